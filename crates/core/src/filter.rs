//! Filters: which songs pass. `grammar.rs` reads and writes them as text.

mod grammar;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::grammar::FIELDS;
use self::grammar::{free_text, is_field, named_value};
use crate::{Key, SongId, SongSummary, words};

/// Which songs are meant: those that pass every term.
///
/// | text | passes |
/// | --- | --- |
/// | `genre:techno,house` | any of the genres; likewise `mood`, `instrument`, `warning` |
/// | `artist:daft punk` | every word begins a word of the artist; likewise `title`, `album`, `path` |
/// | `bpm:120..130`, `year:1990..`, `duration:<1:30` | numbers in the range, ends included |
/// | `bpm:~175` | the tempo, its double or its half |
/// | `key:Am,8B`, `key:~8A` | any of the keys; with `~` also those that mix with it |
/// | `loop:yes` | loops |
/// | `cluster:2`, `cluster:"dark pads"` | songs of the cluster with this number or name |
/// | `playlist:evening` | songs of the playlist with this name or id |
/// | `genre:*` | songs with any genre at all |
/// | `-genre:rock` | songs that the rest of the term does not pass |
/// | `warm pad` | every word begins a word of title, artist, album, genre, mood, instrument or path |
///
/// Case, accents and punctuation do not count. A value with a comma is quoted:
/// `artist:"Earth, Wind"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Filter {
    /// What has to hold, all of it.
    pub terms: Vec<Term>,
}

/// One thing that has to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Whether it must *not* hold.
    pub negated: bool,
    /// What.
    pub test: Test,
}

/// What a term looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// In one of the lists, every (folded) word begins a word of the field.
    Words(WordField, Vec<Vec<String>>),
    /// A value of the field is one of these, as [`words`] joined by spaces.
    Values(ValueField, Vec<String>),
    /// The number lies in one of the ranges.
    Number(NumberField, Vec<NumberRange>),
    /// The key is one of these.
    Key(Vec<Key>),
    /// It is, or is not, a loop.
    Loop(bool),
    /// It is in one of the groups that the library keeps.
    Group(Group),
    /// The field has a value.
    HasWords(WordField),
    /// The field has a value.
    HasValue(ValueField),
    /// The field has a value.
    HasNumber(NumberField),
    /// The key is known.
    HasKey,
    /// It is known whether it is a loop.
    HasLoop,
}

/// The songs of some groups of one kind.
///
/// Which songs these are is not in their summaries: whoever keeps the groups looks them
/// up ([`Filter::with_groups`]) before a backend is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What kind of groups.
    pub kind: GroupKind,
    /// Numbers, ids or names, as [`words`] joined by spaces; any group if empty.
    pub names: Vec<String>,
    /// The songs, once they are looked up. Until then no song passes.
    pub songs: Option<SongSet>,
}

/// What songs are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// They sound alike.
    Cluster,
    /// Somebody put them together.
    Playlist,
}

impl GroupKind {
    /// Its name, as filters have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Playlist => "playlist",
        }
    }
}

/// A set of songs that is cheap to copy: 16 bytes for each, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SongSet(Arc<[SongId]>);

impl SongSet {
    /// Whether the song is in the set. Costs a binary search.
    pub fn contains(&self, song: SongId) -> bool {
        self.0.binary_search(&song).is_ok()
    }

    /// The songs, in the order of their ids.
    pub fn as_slice(&self) -> &[SongId] {
        &self.0
    }
}

impl FromIterator<SongId> for SongSet {
    fn from_iter<I: IntoIterator<Item = SongId>>(songs: I) -> Self {
        let mut songs: Vec<SongId> = songs.into_iter().collect();
        songs.sort_unstable();
        songs.dedup();
        Self(songs.into())
    }
}

/// Fields that are searched by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the usual tags")]
pub enum WordField {
    /// All of them, genre, mood and instrument included.
    Any,
    Title,
    Artist,
    Album,
    Path,
}

/// Fields that hold whole values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the usual tags")]
pub enum ValueField {
    Genre,
    Mood,
    Instrument,
    /// What is wrong with the audio, such as `truncated`.
    Warning,
}

/// Fields that hold a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the usual tags")]
pub enum NumberField {
    Bpm,
    Year,
    /// In seconds.
    Duration,
}

/// Numbers from `min` to `max`, both included; open where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the struct says it")]
pub struct NumberRange {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl NumberRange {
    /// Whether `number` lies in the range.
    pub fn contains(&self, number: f64) -> bool {
        self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
    }
}

impl Filter {
    /// The filter that every song passes.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether every song passes.
    pub fn is_all(&self) -> bool {
        self.terms.is_empty()
    }

    /// The filter made of what a person types to search: terms such as
    /// `genre:techno`, and words, each of which begins a word of the song.
    ///
    /// # Errors
    ///
    /// When one of them looks like a term and is none, such as `gnre:techno`.
    pub fn of_words<S: AsRef<str>>(texts: &[S]) -> Result<Self, InvalidFilter> {
        let mut terms = Vec::new();
        for text in texts {
            let text = text.as_ref().trim();
            let body = text.strip_prefix(['-', '!']).unwrap_or(text);
            // In `Mission: Impossible` nothing follows the colon at once.
            let is_named = named_value(body).is_some_and(|(name, value)| {
                is_field(name) || value.starts_with(|first: char| !first.is_whitespace())
            });
            if is_named || body.len() < text.len() {
                terms.push(text.parse()?);
            } else if !words(text).is_empty() {
                let test = free_text(text)
                    .map_err(|expected| InvalidFilter { text: text.to_owned(), expected })?;
                terms.push(Term { negated: false, test });
            }
        }
        Ok(Self { terms })
    }

    /// The filter made of several texts, as flags give them.
    ///
    /// # Errors
    ///
    /// When one of them is no term.
    pub fn parse_all<S: AsRef<str>>(texts: &[S]) -> Result<Self, InvalidFilter> {
        let terms = texts.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    /// Free text: every word begins a word of the song.
    pub fn text(text: &str) -> Self {
        let words = words(text);
        if words.is_empty() {
            return Self::all();
        }
        Self {
            terms: vec![Term { negated: false, test: Test::Words(WordField::Any, vec![words]) }],
        }
    }

    /// This filter and `other` together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self
    }

    /// The groups that terms ask for: with some it depends on more than the songs.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.terms.iter().filter_map(|term| match &term.test {
            Test::Group(group) => Some(group),
            _ => None,
        })
    }

    /// Whether a term asks for groups of any kind.
    pub fn names_groups(&self) -> bool {
        self.groups().next().is_some()
    }

    /// Whether a term asks for groups of this kind whose songs are not looked up yet.
    pub fn lacks(&self, kind: GroupKind) -> bool {
        self.groups().any(|group| group.kind == kind && group.songs.is_none())
    }

    /// The same filter, with the songs of each group of this kind that it names:
    /// `songs_of` gets the names, and nothing for songs of any group.
    ///
    /// # Errors
    ///
    /// Those of `songs_of`.
    pub fn with_groups<E>(
        mut self,
        kind: GroupKind,
        mut songs_of: impl FnMut(&[String]) -> Result<SongSet, E>,
    ) -> Result<Self, E> {
        for term in &mut self.terms {
            if let Test::Group(group) = &mut term.test
                && group.kind == kind
            {
                group.songs = Some(songs_of(&group.names)?);
            }
        }
        Ok(self)
    }

    /// Whether the song with this summary passes: the definition that every
    /// backend's own search has to agree with.
    pub fn passes(&self, summary: &SongSummary) -> bool {
        self.terms.iter().all(|term| term.test.holds(summary) != term.negated)
    }
}

impl Test {
    fn holds(&self, summary: &SongSummary) -> bool {
        match self {
            Self::Words(field, lists) => {
                let of_summary = field.words(summary);
                lists.iter().any(|list| {
                    list.iter().all(|word| of_summary.iter().any(|found| found.starts_with(word)))
                })
            }
            Self::Values(field, wanted) => {
                field.values(summary).iter().any(|value| wanted.contains(&normal(value)))
            }
            Self::Number(field, ranges) => field
                .number(summary)
                .is_some_and(|number| ranges.iter().any(|range| range.contains(number))),
            Self::Key(keys) => summary.key.is_some_and(|key| keys.contains(&key)),
            Self::Loop(wanted) => summary.is_loop == Some(*wanted),
            Self::Group(group) => {
                group.songs.as_ref().is_some_and(|songs| songs.contains(summary.id))
            }
            Self::HasWords(field) => !field.words(summary).is_empty(),
            Self::HasValue(field) => !field.values(summary).is_empty(),
            Self::HasNumber(field) => field.number(summary).is_some(),
            Self::HasKey => summary.key.is_some(),
            Self::HasLoop => summary.is_loop.is_some(),
        }
    }
}

impl WordField {
    /// The words of this field of `summary`.
    pub fn words(self, summary: &SongSummary) -> Vec<String> {
        match self {
            Self::Any => summary.words().into_iter().collect(),
            Self::Title => words(&summary.title),
            Self::Artist => words(summary.artist.as_deref().unwrap_or_default()),
            Self::Album => words(summary.album.as_deref().unwrap_or_default()),
            Self::Path => words(summary.path.as_deref().unwrap_or_default()),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "text",
            Self::Title => "title",
            Self::Artist => "artist",
            Self::Album => "album",
            Self::Path => "path",
        }
    }
}

impl ValueField {
    /// The values of this field of `summary`, as written.
    pub fn values(self, summary: &SongSummary) -> &[String] {
        match self {
            Self::Genre => &summary.genres,
            Self::Mood => &summary.moods,
            Self::Instrument => summary.instrument.as_slice(),
            Self::Warning => &summary.warnings,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Genre => "genre",
            Self::Mood => "mood",
            Self::Instrument => "instrument",
            Self::Warning => "warning",
        }
    }
}

impl NumberField {
    /// The number in this field of `summary`.
    pub fn number(self, summary: &SongSummary) -> Option<f64> {
        match self {
            Self::Bpm => summary.bpm,
            Self::Year => summary.year.map(f64::from),
            Self::Duration => Some(summary.duration),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Bpm => "bpm",
            Self::Year => "year",
            Self::Duration => "duration",
        }
    }
}

/// How values are compared: their words, joined by spaces.
fn normal(value: &str) -> String {
    words(value).join(" ")
}

/// A text that is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a filter: expected {expected}")]
pub struct InvalidFilter {
    text: String,
    expected: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> SongSummary {
        SongSummary {
            id: crate::SongId::from_bytes([1; 16]),
            title: "Deep Kick 01".into(),
            artist: Some("Björk, Earth".into()),
            album: None,
            genres: vec!["Drum & Bass".into(), "Techno".into()],
            year: Some(1999),
            bpm: Some(119.96),
            key: Some("Am".parse().unwrap()),
            moods: vec![],
            instrument: Some("kick".into()),
            is_loop: Some(false),
            duration: 75.5,
            path: Some("drums/kick01.wav".into()),
            codec: "pcm_s16le".into(),
            size: 1,
            models: vec![],
            warnings: vec!["truncated".into()],
        }
    }

    fn passes(text: &str) -> bool {
        Filter::parse_all(&[text]).unwrap().passes(&summary())
    }

    #[test]
    fn a_group_is_looked_up_before_songs_pass() {
        let filter = Filter::parse_all(&["cluster:2,\"Dark Pads\""]).unwrap();
        assert_eq!(filter.terms[0].to_string(), "cluster:2,dark pads");
        assert!(filter.lacks(GroupKind::Cluster) && !filter.lacks(GroupKind::Playlist));
        assert!(!filter.passes(&summary()));

        let mut asked = Vec::new();
        let looked_up = filter.with_groups(GroupKind::Cluster, |names| {
            asked = names.to_vec();
            Ok::<_, ()>([SongId::from_bytes([9; 16]), summary().id].into_iter().collect())
        });

        let filter = looked_up.unwrap();
        assert_eq!(asked, ["2", "dark pads"]);
        assert!(!filter.lacks(GroupKind::Cluster) && filter.passes(&summary()));
        let any: Term = "-cluster:*".parse().unwrap();
        assert_eq!(any.to_string(), "-cluster:*");
        let playlists = Filter::parse_all(&["playlist:Evening"]).unwrap();
        assert!(playlists.lacks(GroupKind::Playlist) && playlists.names_groups());
        let others = playlists.with_groups(GroupKind::Cluster, |_| Ok::<_, ()>(SongSet::default()));
        assert!(others.unwrap().lacks(GroupKind::Playlist));
    }

    #[test]
    fn each_field_can_be_asked_for() {
        for text in [
            "genre:techno,house",
            "genre:drum and bass,drum & bass",
            "artist:bjork",
            "artist:\"björk, ear\"",
            "title:kick deep",
            "bpm:120",
            "bpm:119..121,10..20",
            "bpm:>100",
            "year:..1999",
            "year:>=1999",
            "key:8A",
            "key:~9A",
            "loop:no",
            "duration:1:15..1:16",
            "duration:<1m16s",
            "instrument:*",
            "-album:*",
            "-genre:rock",
            "!year:<1990",
            "kick drum",
            "path:drums",
            "text:bass",
            "warning:truncated,silent",
            "warning:*",
        ] {
            assert!(passes(text), "{text}");
        }
        for text in [
            "genre:tech",
            "genre:drum",
            "bpm:121",
            "bpm:>119.96",
            "year:2000..",
            "key:C",
            "loop:yes",
            "mood:*",
            "warning:silent",
            "truncated",
            "kick snare",
            "title:bjork",
            "-genre:techno",
            "duration:<1m15s",
        ] {
            assert!(!passes(text), "{text}");
        }
    }

    #[test]
    fn a_tempo_is_found_at_double_and_half_if_asked() {
        let at = |bpm: f64| SongSummary { bpm: Some(bpm), ..summary() };
        let about = Filter::parse_all(&["bpm:~175"]).unwrap();
        let range = Filter::parse_all(&["bpm:~170..180"]).unwrap();

        for bpm in [175.0, 174.6, 350.0, 87.5] {
            assert!(about.passes(&at(bpm)), "{bpm}");
        }
        for bpm in [120.0, 176.0, 262.5, 43.75] {
            assert!(!about.passes(&at(bpm)), "{bpm}");
        }
        assert!(range.passes(&at(85.0)) && range.passes(&at(360.0)) && !range.passes(&at(91.0)));
        assert!("year:~1999".parse::<Term>().is_err());
        let printed = about.terms[0].to_string();
        assert_eq!(printed.parse::<Term>().unwrap(), about.terms[0], "{printed}");
    }
}
