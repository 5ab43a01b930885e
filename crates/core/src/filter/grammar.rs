//! The one grammar of filters, for every command and every endpoint.

use std::{fmt, str::FromStr};

use super::{
    Filter, Group, GroupKind, InvalidFilter, NumberField, NumberRange, Term, Test, ValueField,
    WordField, normal,
};
use crate::{Key, words};

impl NumberField {
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
pub(super) fn named_value(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
    })
}

pub(super) fn free_text(text: &str) -> Result<Test, String> {
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
    let in_groups = |kind| {
        let names: Vec<String> = match any {
            true => Vec::new(),
            false => values.iter().map(|value| normal(value)).collect(),
        };
        if names.iter().any(String::is_empty) {
            return Err(format!("the name of a {name}, or `*` for any"));
        }
        Ok(Test::Group(Group { kind, names, songs: None }))
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
        "cluster" => in_groups(GroupKind::Cluster),
        "playlist" => in_groups(GroupKind::Playlist),
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
pub const FIELDS: [&str; 16] = [
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
    "playlist",
    "warning",
];

pub(super) fn is_field(name: &str) -> bool {
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

// What was asked for with `<` or `>` ends next to a number, and is written by that.
fn written(range: &NumberRange) -> String {
    let is_shorter = |one: f64, other: f64| one.to_string().len() < other.to_string().len();
    match (range.min, range.max) {
        (None, Some(max)) if is_shorter(max.next_up(), max) => format!("<{}", max.next_up()),
        (Some(min), None) if is_shorter(min.next_down(), min) => format!(">{}", min.next_down()),
        (min, max) => {
            let end = |end: Option<f64>| end.map(|end| end.to_string()).unwrap_or_default();
            format!("{}..{}", end(min), end(max))
        }
    }
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
                write!(f, "{}:{}", field.as_str(), join(ranges.iter().map(written).collect()))
            }
            Test::Key(keys) => write!(f, "key:{}", join(keys.iter().map(Key::to_string).collect())),
            Test::Loop(wanted) => f.write_str(if *wanted { "loop:yes" } else { "loop:no" }),
            Test::Group(Group { kind, names, .. }) if names.is_empty() => {
                write!(f, "{}:*", kind.as_str())
            }
            Test::Group(Group { kind, names, .. }) => {
                write!(f, "{}:{}", kind.as_str(), join(names.clone()))
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_less_or_more_than_a_number_is_printed_so() {
        for (text, printed) in [
            ("duration:<0.5s", "duration:<0.5"),
            ("bpm:>140,90..100", "bpm:>140,90..100"),
            ("bpm:>=140", "bpm:140.."),
            ("duration:<=1:30", "duration:..90"),
            ("year:1990..", "year:1990.."),
        ] {
            let term: Term = text.parse().unwrap();
            assert_eq!(term.to_string(), printed);
            assert_eq!(printed.parse::<Term>().unwrap(), term, "{text}");
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
            "cluster:2,dark pads",
            "-playlist:evening",
            "playlist:*",
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
