//! The one grammar of filters, for every command and every endpoint.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

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
    /// It is in one of the clusters.
    Cluster(Clusters),
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

/// The songs of some clusters of the library.
///
/// Which songs these are is not in their summaries: whoever keeps the clustering
/// looks them up ([`Filter::with_clusters`]) before a backend is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// Numbers or names, as [`words`] joined by spaces; any cluster if empty.
    pub names: Vec<String>,
    /// The songs, once they are looked up. Until then no song passes.
    pub songs: Option<SongSet>,
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

    /// Whether a term asks for clusters: then it depends on more than the songs.
    pub fn names_clusters(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.test, Test::Cluster(_)))
    }

    /// Whether a term asks for clusters whose songs are not looked up yet.
    pub fn lacks_clusters(&self) -> bool {
        self.terms
            .iter()
            .any(|term| matches!(&term.test, Test::Cluster(clusters) if clusters.songs.is_none()))
    }

    /// The same filter, with the songs of each cluster that it names: `songs_of`
    /// gets the names, and nothing for songs of any cluster.
    ///
    /// # Errors
    ///
    /// Those of `songs_of`.
    pub fn with_clusters<E>(
        mut self,
        mut songs_of: impl FnMut(&[String]) -> Result<SongSet, E>,
    ) -> Result<Self, E> {
        for term in &mut self.terms {
            if let Test::Cluster(clusters) = &mut term.test {
                clusters.songs = Some(songs_of(&clusters.names)?);
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
            Self::Cluster(clusters) => {
                clusters.songs.as_ref().is_some_and(|songs| songs.contains(summary.id))
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

    // `bpm:120` means what a person calls 120, and 119.96 is that.
    const fn half_width(self) -> f64 {
        match self {
            Self::Bpm | Self::Duration => 0.5,
            Self::Year => 0.0,
        }
    }

    fn parse(self, text: &str) -> Option<f64> {
        let number = match self {
            Self::Bpm | Self::Year => text.parse().ok()?,
            Self::Duration => seconds(text)?,
        };
        Some(number).filter(|number: &f64| number.is_finite())
    }

    // The ranges that one value means: with `~` a tempo, its double and its
    // half, because one pulse can be counted in each way.
    fn ranges(self, text: &str) -> Option<Vec<NumberRange>> {
        let Some(text) = text.strip_prefix('~').filter(|_| self == Self::Bpm) else {
            return Some(vec![self.range(text)?]);
        };
        let range = self.range(text)?;
        let times = |factor: f64| NumberRange {
            min: range.min.map(|min| min * factor),
            max: range.max.map(|max| max * factor),
        };
        Some([1.0, 2.0, 0.5].map(times).to_vec())
    }

    fn range(self, text: &str) -> Option<NumberRange> {
        let text = text.trim();
        let end = |text: &str| {
            let text = text.trim();
            if text.is_empty() { Some(None) } else { self.parse(text).map(Some) }
        };
        let needed = |text: &str| self.parse(text.trim());
        if let Some((min, max)) = text.split_once("..") {
            let range = NumberRange { min: end(min)?, max: end(max)? };
            let backwards = matches!((range.min, range.max), (Some(min), Some(max)) if min > max);
            return (!backwards && (range.min.is_some() || range.max.is_some())).then_some(range);
        }
        if let Some(number) = text.strip_prefix(">=") {
            return Some(NumberRange { min: Some(needed(number)?), max: None });
        }
        if let Some(number) = text.strip_prefix("<=") {
            return Some(NumberRange { min: None, max: Some(needed(number)?) });
        }
        if let Some(number) = text.strip_prefix('>') {
            return Some(NumberRange { min: Some(needed(number)?.next_up()), max: None });
        }
        if let Some(number) = text.strip_prefix('<') {
            return Some(NumberRange { min: None, max: Some(needed(number)?.next_down()) });
        }
        let (number, half) = (needed(text)?, self.half_width());
        Some(NumberRange { min: Some(number - half), max: Some(number + half) })
    }
}

/// How values are compared: their words, joined by spaces.
fn normal(value: &str) -> String {
    words(value).join(" ")
}

// `90`, `90s`, `1:30`, `1:02:03`, `1m30s`, `2h`.
fn seconds(text: &str) -> Option<f64> {
    if text.contains(':') {
        let mut parts = text.split(':');
        let first: f64 = parts.next()?.parse().ok()?;
        return parts.try_fold(first, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?));
    }
    let mut sum = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let number: f64 = rest[..unit_at].parse().ok()?;
        let unit_end = rest[unit_at..]
            .find(|c: char| !c.is_ascii_alphabetic())
            .map_or(rest.len(), |length| unit_at + length);
        sum += number
            * match &rest[unit_at..unit_end] {
                "" | "s" => 1.0,
                "ms" => 0.001,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(sum)
}

impl FromStr for Term {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let text = text.trim();
        let (negated, body) = match text.strip_prefix(['-', '!']) {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let invalid = |expected: String| InvalidFilter { text: text.to_owned(), expected };
        let test = match named_value(body) {
            None => free_text(body),
            Some((name, values)) => parse_test(&name.to_ascii_lowercase(), values.trim()),
        }
        .map_err(invalid)?;
        Ok(Self { negated, test })
    }
}

// The name and the value of a text such as `genre:techno`.
fn named_value(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
    })
}

fn free_text(text: &str) -> Result<Test, String> {
    let list = words(text);
    let one_of_several = |word: &&str| {
        named_value(word.trim_start_matches(['-', '!']))
            .is_some_and(|(name, value)| !value.is_empty() && is_field(name))
    };
    if let Some(word) = text.split_whitespace().find(one_of_several) {
        return Err(format!("`{word}` as an argument of its own, because it is a filter"));
    }
    if list.is_empty() {
        return Err("at least one word, or a term such as `genre:techno`".to_owned());
    }
    Ok(Test::Words(WordField::Any, vec![list]))
}

fn parse_test(name: &str, text: &str) -> Result<Test, String> {
    let any = text == "*";
    let values = split_values(text).ok_or("a closing quotation mark")?;
    if values.is_empty() {
        return Err(format!("a value after `{name}:`, or `*` for any"));
    }
    let in_words = |field| {
        if any {
            return Ok(Test::HasWords(field));
        }
        let lists: Vec<_> = values.iter().map(|value| words(value)).collect();
        if lists.iter().any(Vec::is_empty) {
            return Err(format!("words after `{name}:`"));
        }
        Ok(Test::Words(field, lists))
    };
    let in_values = |field| {
        if any {
            return Ok(Test::HasValue(field));
        }
        Ok(Test::Values(field, values.iter().map(|value| normal(value)).collect()))
    };
    let in_numbers = |field: NumberField| {
        if any {
            return Ok(Test::HasNumber(field));
        }
        let ranges: Option<Vec<_>> = values.iter().map(|value| field.ranges(value)).collect();
        ranges.map(|ranges| Test::Number(field, ranges.concat())).ok_or_else(|| {
            let example = match field {
                NumberField::Bpm => "`bpm:120`, `bpm:120..130`, `bpm:>=140` or `bpm:~175`",
                NumberField::Year => "`year:1999`, `year:1990..1999` or `year:<1980`",
                NumberField::Duration => "`duration:<10`, `duration:1:30..4:00` or `duration:>5m`",
            };
            format!("a number or a range, such as {example}")
        })
    };
    match name {
        "text" => in_words(WordField::Any),
        "title" => in_words(WordField::Title),
        "artist" => in_words(WordField::Artist),
        "album" => in_words(WordField::Album),
        "path" => in_words(WordField::Path),
        "genre" => in_values(ValueField::Genre),
        "mood" => in_values(ValueField::Mood),
        "instrument" => in_values(ValueField::Instrument),
        "warning" => in_values(ValueField::Warning),
        "bpm" | "tempo" => in_numbers(NumberField::Bpm),
        "year" => in_numbers(NumberField::Year),
        "duration" | "length" => in_numbers(NumberField::Duration),
        "cluster" => {
            let names = values.iter().map(|value| normal(value)).filter(|_| !any).collect();
            Ok(Test::Cluster(Clusters { names, songs: None }))
        }
        "key" if any => Ok(Test::HasKey),
        "key" => parse_keys(&values).map(Test::Key),
        "loop" if any => Ok(Test::HasLoop),
        "loop" => match text {
            "yes" | "true" => Ok(Test::Loop(true)),
            "no" | "false" => Ok(Test::Loop(false)),
            _ => Err("`loop:yes` or `loop:no`".to_owned()),
        },
        _ => Err(match nearest_field(name) {
            Some(nearest) => {
                format!("a field, such as `{nearest}:`; there is none called `{name}`")
            }
            None => format!("a field out of {}; there is none called `{name}`", FIELDS.join(", ")),
        }),
    }
}

/// The names of the fields that filters know.
pub const FIELDS: [&str; 15] = [
    "text",
    "title",
    "artist",
    "album",
    "path",
    "genre",
    "mood",
    "instrument",
    "bpm",
    "year",
    "duration",
    "key",
    "loop",
    "cluster",
    "warning",
];

fn is_field(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FIELDS.contains(&name.as_str()) || ["tempo", "length"].contains(&name.as_str())
}

// The field that somebody meant who typed `name`, if one is near.
fn nearest_field(name: &str) -> Option<&'static str> {
    let by_distance = FIELDS.iter().map(|field| (edits(name, field), *field));
    let near = by_distance.filter(|(edits, field)| *edits <= 2 && *edits * 2 <= field.len());
    near.min_by_key(|(edits, _)| *edits).map(|(_, field)| field)
}

// How many letters have to be put in, taken out, exchanged or swapped with
// their neighbour to make `left` into `right`.
fn edits(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let exchanged = rows[i][j] + usize::from(l != r);
            let mut least = exchanged.min(rows[i][j + 1] + 1).min(row[j] + 1);
            let is_swap = i > 0 && j > 0 && left[i - 1] == *r && *l == right[j - 1];
            if is_swap {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

fn parse_keys(values: &[String]) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for value in values {
        let (compatible, name) = match value.strip_prefix('~') {
            Some(name) => (true, name),
            None => (false, value.as_str()),
        };
        let key: Key = name.parse().map_err(|error: crate::InvalidKey| error.to_string())?;
        if compatible {
            keys.extend(key.compatible());
        } else {
            keys.push(key);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

// Splits at commas outside of quotation marks; nothing if one is not closed.
fn split_values(text: &str) -> Option<Vec<String>> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(String::new()),
            other => values.last_mut().expect("never empty").push(other),
        }
    }
    let values = values.iter().map(|value| value.trim().to_owned());
    (!quoted).then(|| values.filter(|value| !value.is_empty()).collect())
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("-")?;
        }
        let join = |values: Vec<String>| values.join(",");
        match &self.test {
            Test::Words(field, lists) => {
                let lists = lists.iter().map(|list| list.join(" ")).collect();
                write!(f, "{}:{}", field.as_str(), join(lists))
            }
            Test::Values(field, values) => write!(f, "{}:{}", field.as_str(), join(values.clone())),
            Test::Number(field, ranges) => {
                let end = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
                let ranges =
                    ranges.iter().map(|range| format!("{}..{}", end(range.min), end(range.max)));
                write!(f, "{}:{}", field.as_str(), join(ranges.collect()))
            }
            Test::Key(keys) => write!(f, "key:{}", join(keys.iter().map(Key::to_string).collect())),
            Test::Loop(wanted) => f.write_str(if *wanted { "loop:yes" } else { "loop:no" }),
            Test::Cluster(Clusters { names, .. }) if names.is_empty() => f.write_str("cluster:*"),
            Test::Cluster(Clusters { names, .. }) => write!(f, "cluster:{}", join(names.clone())),
            Test::HasWords(field) => write!(f, "{}:*", field.as_str()),
            Test::HasValue(field) => write!(f, "{}:*", field.as_str()),
            Test::HasNumber(field) => write!(f, "{}:*", field.as_str()),
            Test::HasKey => f.write_str("key:*"),
            Test::HasLoop => f.write_str("loop:*"),
        }
    }
}

impl TryFrom<Vec<String>> for Filter {
    type Error = InvalidFilter;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidFilter> {
        Self::parse_all(&texts)
    }
}

impl From<Filter> for Vec<String> {
    fn from(filter: Filter) -> Self {
        filter.terms.iter().map(Term::to_string).collect()
    }
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
    fn a_cluster_is_looked_up_before_songs_pass() {
        let filter = Filter::parse_all(&["cluster:2,\"Dark Pads\""]).unwrap();
        assert_eq!(filter.terms[0].to_string(), "cluster:2,dark pads");
        assert!(filter.lacks_clusters() && !filter.passes(&summary()));

        let mut asked = Vec::new();
        let looked_up = filter.with_clusters(|names| {
            asked = names.to_vec();
            Ok::<_, ()>([SongId::from_bytes([9; 16]), summary().id].into_iter().collect())
        });

        let filter = looked_up.unwrap();
        assert_eq!(asked, ["2", "dark pads"]);
        assert!(!filter.lacks_clusters() && filter.passes(&summary()));
        let any: Term = "-cluster:*".parse().unwrap();
        assert_eq!(any.to_string(), "-cluster:*");
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
    fn a_filter_means_the_same_after_printing() {
        for text in [
            "bpm:~175",
            "-genre:drum & bass,house",
            "bpm:120..130,>140",
            "key:~8A",
            "artist:\"a, b\",c",
            "some words",
            "loop:yes",
            "year:*",
        ] {
            let term: Term = text.parse().unwrap();

            assert_eq!(term.to_string().parse(), Ok(term), "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_was_expected() {
        for text in [
            "",
            "colour:red",
            "bpm:fast",
            "bpm:130..120",
            "genre:",
            "key:H",
            "artist:\"a",
            "bpm:..",
            "-",
        ] {
            assert!(text.parse::<Term>().is_err(), "{text}");
        }
        let error = "bpm:fast".parse::<Term>().unwrap_err().to_string();
        assert!(error.contains("`bpm:fast`") && error.contains("bpm:120..130"), "{error}");
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

    #[test]
    fn what_is_typed_to_search_is_words_and_filters() {
        let parsed = |texts: &[&str]| Filter::of_words(texts);
        let same = |texts: &[&str], terms: &[&str]| {
            assert_eq!(parsed(texts).unwrap(), Filter::parse_all(terms).unwrap(), "{texts:?}");
        };

        same(&["instrument:kick"], &["instrument:kick"]);
        same(&["warm", "genre:house", "!loop:yes"], &["text:warm", "genre:house", "-loop:yes"]);
        same(&["Mission: Impossible"], &["text:mission impossible"]);
        same(&["—", "deep kick"], &["deep kick"]);
        same(&["10:15 Saturday Night"], &["text:10 15 saturday night"]);
        assert_eq!(parsed(&["—"]).unwrap(), Filter::all());
    }

    #[test]
    fn what_looks_like_an_unknown_filter_is_said_to_be_one() {
        for (text, expected) in [
            ("gnre:x", "such as `genre:`"),
            ("intsrument:kick", "such as `instrument:`"),
            ("bmp:120", "such as `bpm:`"),
            ("colour:red", "none called `colour`"),
            ("colour:red", "text, title, artist"),
            ("kick bpm:120", "`bpm:120` as an argument of its own"),
        ] {
            let error = Filter::of_words(&[text]).unwrap_err().to_string();

            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(seconds("1:02:03"), Some(3723.0));
        assert_eq!(seconds("1m30s"), Some(90.0));
        assert_eq!(seconds("250ms"), Some(0.25));
        assert_eq!(seconds("2h"), Some(7200.0));
        assert_eq!(seconds("x"), None);
        assert_eq!(seconds(""), None);
    }
}
