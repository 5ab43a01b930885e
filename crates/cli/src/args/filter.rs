//! Which songs a command is about.

use std::str::FromStr;

use clap::Args;
use songrec_core::{Filter, InvalidFilter, Job, Term};
use songrec_library::{
    Error, Library,
    find::{Selection, asks_for_missing as missing},
};

/// One filter as it is typed.
#[derive(Clone, Debug)]
enum Typed {
    Term(Term),
    Missing(bool),
}

impl FromStr for Typed {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        Ok(match missing(text) {
            Some(missing) => Self::Missing(missing),
            None => Self::Term(text.parse()?),
        })
    }
}

/// The options that say which songs are meant, the same for every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which songs")]
pub(crate) struct FilterArgs {
    /// Only songs that pass, such as `bpm:120..130`, `genre:techno,house`,
    /// `key:~8A`, `-artist:x` or words; may be repeated
    #[arg(short, long = "filter", value_name = "FILTER", allow_hyphen_values = true)]
    filters: Vec<Typed>,
    /// Only titles with these words
    #[arg(long, value_name = "WORDS")]
    title: Option<String>,
    /// Only artists with these words
    #[arg(long, value_name = "WORDS")]
    artist: Option<String>,
    /// Only albums with these words
    #[arg(long, value_name = "WORDS")]
    album: Option<String>,
    /// Only this genre, or one of several with commas
    #[arg(long, value_name = "GENRE")]
    genre: Option<String>,
    /// Only this mood, or one of several with commas
    #[arg(long, value_name = "MOOD")]
    mood: Option<String>,
    /// Only this instrument, or one of several with commas
    #[arg(long, value_name = "NAME")]
    instrument: Option<String>,
    /// Only this tempo, such as 120 or 120..130; `~175` also its double and
    /// its half
    #[arg(long, value_name = "RANGE")]
    bpm: Option<String>,
    /// Only this key, such as Am or 8A; `~8A` also those that mix with it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only this year, such as 1999 or 1990..1999
    #[arg(long, value_name = "RANGE")]
    year: Option<String>,
    /// Only this length, such as 1:30..4:00 or `<10`
    #[arg(long, value_name = "RANGE")]
    duration: Option<String>,
    /// Only loops, or with `no` only what is none
    #[arg(long = "loop", value_name = "YES|NO", num_args = 0..=1, default_missing_value = "yes",
          value_parser = ["yes", "no"])]
    is_loop: Option<String>,
    /// Only files whose paths have these words
    #[arg(long, value_name = "WORDS")]
    path: Option<String>,
}

impl FilterArgs {
    /// The filter that the options make together with `words`, which are words
    /// and filters as a person types them. The songs of clusters are looked up.
    ///
    /// # Errors
    ///
    /// When one of them is none, or asks for files that are gone; those of the
    /// library, when clusters are named.
    pub(crate) async fn filter(
        &self,
        job: &Job,
        library: &Library,
        words: &[String],
    ) -> Result<Filter, Error> {
        match self.selection(job, library, words).await? {
            Selection { filter, missing: None } => Ok(filter),
            _ => Err(Error::usage("this command does not look for files that are gone")
                .with_hint("`missing:yes` is for `ls`, `search`, `edit` and `rm`")),
        }
    }

    /// The same, for commands that can look which files are gone.
    ///
    /// # Errors
    ///
    /// When one of them is no filter; those of the library, when clusters are named.
    pub(crate) async fn selection(
        &self,
        job: &Job,
        library: &Library,
        words: &[String],
    ) -> Result<Selection, Error> {
        let Selection { filter, missing } = self.typed(words)?;
        let filter = songrec_library::looked_up(library, filter, job).await?;
        Ok(Selection { filter, missing })
    }

    fn typed(&self, words: &[String]) -> Result<Selection, Error> {
        let named = [
            ("title", &self.title),
            ("artist", &self.artist),
            ("album", &self.album),
            ("genre", &self.genre),
            ("mood", &self.mood),
            ("instrument", &self.instrument),
            ("bpm", &self.bpm),
            ("key", &self.key),
            ("year", &self.year),
            ("duration", &self.duration),
            ("loop", &self.is_loop),
            ("path", &self.path),
        ];
        let mut selection = Selection::default();
        for typed in &self.filters {
            match typed {
                Typed::Term(term) => selection.filter.terms.push(term.clone()),
                Typed::Missing(missing) => selection.missing = Some(*missing),
            }
        }
        for (name, value) in named {
            if let Some(value) = value {
                selection.filter.terms.push(format!("{name}:{value}").parse().map_err(wrong)?);
            }
        }
        let (asked, words): (Vec<_>, Vec<_>) =
            words.iter().partition(|word| missing(word).is_some());
        selection.missing = asked.last().map_or(selection.missing, |word| missing(word));
        selection.filter = selection.filter.and(Filter::of_words(&words).map_err(wrong)?);
        Ok(selection)
    }
}

fn wrong(error: InvalidFilter) -> Error {
    Error::usage(error).with_hint(
        "a filter is such as `bpm:120..130`, `genre:techno,house`, `key:~8A` or words; words with a \
         colon go without it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_gone_are_asked_of_the_disk() {
        for (text, expected) in [
            ("missing:yes", Some(true)),
            ("missing:no", Some(false)),
            ("-missing:yes", Some(false)),
            ("!missing:no", Some(true)),
            ("missing:perhaps", None),
            ("missing", None),
        ] {
            assert_eq!(missing(text), expected, "{text}");
        }
        let words = ["kick".to_owned(), "missing:yes".to_owned()];
        let selection = FilterArgs::default().typed(&words).unwrap();
        assert_eq!((selection.filter.terms.len(), selection.missing), (1, Some(true)));
    }
}
