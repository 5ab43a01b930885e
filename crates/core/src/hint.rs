//! What a person can do about something.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::SongId;

/// What a person can do, in words, with what a program offers for it.
///
/// Below the programs nobody knows how something is done in them: at a terminal
/// it is a command, in a browser a button. So where a hint means something that
/// programs offer it names a [`Remedy`], and each program [words](Self::worded)
/// that. Shown as it is, and as JSON, it is in words that hold for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint(Vec<Piece>);

/// A part of a [`Hint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Words that hold for every program.
    Words(String),
    /// Something that a program offers.
    Remedy(Remedy),
}

impl Hint {
    /// The words of `text`, with these pieces in place of each `{}` in it.
    ///
    /// ```
    /// use songrec_core::{Hint, Remedy};
    ///
    /// let hint = Hint::of("{} finds others", [Remedy::Search]);
    /// assert_eq!(hint.to_string(), "a search by words finds others");
    /// ```
    ///
    /// # Panics
    ///
    /// In tests, if there are not as many pieces as places for them.
    pub fn of<P: Into<Piece>>(text: &'static str, pieces: impl IntoIterator<Item = P>) -> Self {
        let mut pieces = pieces.into_iter().map(Into::into);
        let mut all = Vec::new();
        for (number, words) in text.split("{}").enumerate() {
            if number > 0 {
                let piece = pieces.next();
                debug_assert!(piece.is_some(), "`{text}` has more places than pieces");
                all.extend(piece);
            }
            if !words.is_empty() {
                all.push(Piece::Words(words.to_owned()));
            }
        }
        debug_assert!(pieces.next().is_none(), "`{text}` has fewer places than pieces");
        Self(all)
    }

    /// This hint, and after a semicolon another one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.push(Piece::Words("; ".to_owned()));
        self.0.extend(other.0);
        self
    }

    /// What is offered that may help, in the order in which it is named.
    pub fn remedies(&self) -> impl Iterator<Item = &Remedy> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Remedy(remedy) => Some(remedy),
            Piece::Words(_) => None,
        })
    }

    /// The same hint with `to` wherever it says `from`: where a person knows a
    /// place by another name.
    #[must_use]
    pub fn replaced(self, from: &str, to: &str) -> Self {
        let pieces = self.0.into_iter().map(|piece| match piece {
            Piece::Words(words) => Piece::Words(words.replace(from, to)),
            Piece::Remedy(Remedy::AddModel(Some((model, place)))) => {
                Piece::Remedy(Remedy::AddModel(Some((model, place.replace(from, to)))))
            }
            Piece::Remedy(Remedy::Scan(Scan::Path(path))) => {
                Piece::Remedy(Remedy::Scan(Scan::Path(path.replace(from, to))))
            }
            Piece::Remedy(remedy) => Piece::Remedy(remedy),
        });
        Self(pieces.collect())
    }

    /// The hint in the words of a program, which says by `word` how it offers
    /// each remedy.
    pub fn worded(&self, word: impl Fn(&Remedy) -> String) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => text.push_str(words),
                Piece::Remedy(remedy) => text.push_str(&word(remedy)),
            }
        }
        text
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worded(ToString::to_string))
    }
}

impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Self {
        Self(vec![Piece::Words(words)])
    }
}

impl From<&str> for Hint {
    fn from(words: &str) -> Self {
        Self::from(words.to_owned())
    }
}

impl From<fmt::Arguments<'_>> for Hint {
    fn from(words: fmt::Arguments<'_>) -> Self {
        Self::from(words.to_string())
    }
}

impl From<Remedy> for Piece {
    fn from(remedy: Remedy) -> Self {
        Self::Remedy(remedy)
    }
}

impl From<String> for Piece {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<&str> for Piece {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}

/// Something that programs for people offer, and that may put something right.
///
/// Each is shown as a noun, in words that hold for every program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Making a local library.
    Init,
    /// Making what a library in Astra needs, or only looking at what is missing
    /// or different.
    InitAstra {
        /// Only looking.
        check: bool,
    },
    /// Naming another library.
    NameLibrary,
    /// Copying a library to this machine.
    Clone,
    /// Checking a library.
    Verify {
        /// Putting right what can be.
        repair: bool,
        /// Reading every byte.
        read_data: bool,
    },
    /// Taking in audio files.
    Scan(Scan),
    /// Looking at what a sync would do, without doing it.
    PlanOnly,
    /// Letting a sync delete so many songs.
    AllowDeletions(u64),
    /// Accepting that a library is another one than it was.
    Adopt,
    /// Comparing everything in a sync, instead of what changed.
    Fully,
    /// Doing fewer things at once.
    FewerJobs,
    /// The deleted songs that can be restored.
    Trash,
    /// The values of a song that lost a merge.
    Conflicts(SongId),
    /// The machines that share a library.
    Machines,
    /// The audio of a song as a file; which library is asked for it is up to
    /// the person.
    GetAudio,
    /// The audio of this song as a file, from the library in the cloud.
    GetFromCloud(SongId),
    /// All songs.
    List,
    /// The songs that are silent.
    ListSilent,
    /// Songs by their words.
    Search,
    /// Songs by this filter.
    Filter(String),
    /// Choosing a metric.
    Metric,
    /// Choosing a model: this one, or any.
    Model(Option<String>),
    /// Choosing several models.
    Blend,
    /// Choosing how much each of several songs counts.
    Weights,
    /// Writing over a file that is there.
    Replace,
    /// Describing a sound in words, such as these.
    Describe(&'static str),
    /// Grouping songs that sound alike.
    Cluster,
    /// All playlists.
    Playlists,
    /// The list of patterns.
    Patterns,
    /// Making a pattern.
    NewPattern,
    /// Making a playlist.
    NewPlaylist,
    /// The list of synths.
    Synths,
    /// Add synths.
    NewSynth,
    /// Put the source of a synth in the place of the one that is there.
    UpdateSynth,
    /// Give a synth another name.
    RenameSynth,
    /// Say that a synth does not come from another one.
    UnlinkSynth,
    /// The models that a library knows.
    Stats,
    /// The models that this machine has.
    Models,
    /// Adding a model: any, or this one from there.
    AddModel(Option<(String, String)>),
    /// Letting an installed ffmpeg read what songrec does not.
    UseFfmpeg,
    /// All settings and where each comes from.
    ShowSettings,
    /// Where files of configuration and state lie.
    ShowFolders,
}

/// Which scan is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// One of the same files again.
    Again,
    /// One of files that the person names.
    Files,
    /// One of this file or folder.
    Path(String),
    /// One of the files that could not be read.
    Failed,
    /// One that lets a model embed: this one, or any.
    ByModel(Option<String>),
    /// One that lets a model embed the songs that it has not embedded.
    Unembedded(Option<String>),
    /// One that keeps passages of songs, as this model embeds them.
    Passages(String),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "initialization",
            Self::InitAstra { check: false } => "initialization of the database",
            Self::InitAstra { check: true } => "a check of the database",
            Self::NameLibrary => "the choice of a library",
            Self::Clone => "a clone",
            Self::Verify { repair: true, .. } => "a check that repairs",
            Self::Verify { read_data: true, .. } => "a check of every byte",
            Self::Verify { .. } => "a check",
            Self::Scan(scan) => return scan.fmt(f),
            Self::PlanOnly => "a plan alone",
            Self::AllowDeletions(songs) => return write!(f, "a limit of {songs} deletions"),
            Self::Adopt => "the choice to accept another library",
            Self::Fully => "the choice to compare everything",
            Self::FewerJobs => "fewer jobs",
            Self::Trash => "the list of deleted songs",
            Self::Conflicts(_) => "the list of its conflicts",
            Self::Machines => "the list of machines",
            Self::GetAudio => "a download of its audio",
            Self::GetFromCloud(_) => "a download from the library in the cloud",
            Self::List => "the list of songs",
            Self::ListSilent => "the list of silent songs",
            Self::Search => "a search by words",
            Self::Filter(filter) => return write!(f, "the filter `{filter}`"),
            Self::Metric => "the choice of a metric",
            Self::Model(None) => "the choice of a model",
            Self::Model(Some(model)) => return write!(f, "the model `{model}`"),
            Self::Blend => "the choice of several models",
            Self::Weights => "the choice of weights",
            Self::Replace => "permission to replace it",
            Self::Describe(words) => return write!(f, "\"{words}\""),
            Self::Cluster => "grouping songs into clusters",
            Self::Playlists => "the list of playlists",
            Self::Patterns => "the list of patterns",
            Self::NewPattern => "making a pattern",
            Self::NewPlaylist => "making a playlist",
            Self::Synths => "the list of synths",
            Self::NewSynth => "adding a synth",
            Self::UpdateSynth => "updating the synth",
            Self::RenameSynth => "renaming a synth",
            Self::UnlinkSynth => "unlinking",
            Self::Stats => "the library in numbers",
            Self::Models => "the list of models",
            Self::AddModel(None) => "the addition of a model",
            Self::AddModel(Some((model, from))) => {
                return write!(f, "the addition of `{model}` from `{from}`");
            }
            Self::UseFfmpeg => "the setting `decode.ffmpeg`",
            Self::ShowSettings => "the list of settings",
            Self::ShowFolders => "the list of folders",
        })
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scan")?;
        match self {
            Self::Again => Ok(()),
            Self::Files => f.write_str(" of your audio"),
            Self::Path(path) => write!(f, " of `{path}`"),
            Self::Failed => f.write_str(" of the files that failed"),
            Self::ByModel(None) => f.write_str(" by another model"),
            Self::ByModel(Some(model)) => write!(f, " by `{model}`"),
            Self::Unembedded(model) => {
                f.write_str(" of the songs that are missing")?;
                model.as_ref().map_or(Ok(()), |model| write!(f, " by `{model}`"))
            }
            Self::Passages(model) => write!(f, " by `{model}` that keeps passages"),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Remedy(remedy) => remedy.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_words_what_it_offers() {
        let name = "a {} b".to_owned();
        let hint = Hint::of(
            "run {} in {}, or wait",
            [Remedy::Verify { repair: true, read_data: false }.into(), Piece::from(name)],
        );

        assert_eq!(hint.to_string(), "run a check that repairs in a {} b, or wait");
        assert_eq!(hint.worded(|_| "`fix`".to_owned()), "run `fix` in a {} b, or wait");
        assert_eq!(hint.remedies().count(), 1);
        assert_eq!(serde_json::to_value(&hint).unwrap(), hint.to_string());
    }
}
