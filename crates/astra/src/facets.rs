//! The fields that filters look at, and filters in the words of the Data API.
//!
//! Beside the summary of each song stand indexed fields, made so that every test
//! of a [`Filter`] becomes an equality or a range:
//!
//! - `find.words`: every beginning of every word, after one letter that says
//!   which field it is from, so that "begins a word of the artist" is "contains
//!   `abjo`". The letter alone says that the field has words at all.
//! - `find.genre`, `find.mood`, `find.instrument`, `find.warning`: whole values
//!   as [`words`] joined by spaces.
//! - `find.bpm`, `find.year`, `find.duration`, `find.key`, `find.loop`: as they are.
//!
//! Beginnings are cut at [`LONGEST_PREFIX`] characters, and a song with too
//! many words holds only [`EVERYTHING`], which every search for words asks for
//! as well. The server may therefore find too much, never too little; whoever
//! reads its answer applies the filter to the summaries again.

use serde::Serialize;
use serde_json::{Value, json};
use songrec_core::{
    Digest, Filter, NumberField, NumberRange, Song, SongSummary, Test, ValueField, WordField, words,
};

use crate::client::{MAX_COMPARISONS, MAX_IN};

/// Characters of a word that can be searched for; longer words are found by
/// their first so many.
const LONGEST_PREFIX: usize = 10;
/// Characters of a value that can be searched for.
const LONGEST_VALUE: usize = 100;
/// Elements in one indexed array; the server allows 1,000.
const MOST_ELEMENTS: usize = 1000;
/// Stands for more than can be indexed. No word contains it.
const EVERYTHING: &str = "*";
/// Follows what was cut. No word contains it.
const CUT: char = '…';
/// Hexadecimal digits at the beginning of an id that can be searched for.
pub(crate) const ID_DIGITS: usize = 12;

/// What filters look at, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Facets {
    words: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    genre: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mood: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instrument: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warning: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bpm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#loop: Option<bool>,
    /// Whether a list holds only [`EVERYTHING`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// What look-ups go by, as it is stored beside the facets of a song.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LookupKeys {
    id: Vec<String>,
    path: Vec<String>,
    file: Vec<String>,
}

impl Facets {
    pub(crate) fn of(summary: &SongSummary) -> Self {
        let values = |field: ValueField| {
            at_most(
                field.values(summary).iter().map(|value| stored_value(&normal(value))).collect(),
            )
        };
        let words = word_prefixes(summary);
        let (genre, mood) = (values(ValueField::Genre), values(ValueField::Mood));
        let is_cut = |list: &Vec<String>| list.iter().any(|one| one == EVERYTHING);
        let more = [&words, &genre, &mood].into_iter().any(is_cut);
        Self {
            more,
            words,
            genre,
            mood,
            instrument: values(ValueField::Instrument),
            warning: values(ValueField::Warning),
            bpm: summary.bpm.filter(|bpm| bpm.is_finite()),
            year: summary.year,
            duration: summary.duration,
            key: summary.key.map(|key| key.to_string()),
            r#loop: summary.is_loop,
        }
    }
}

impl LookupKeys {
    pub(crate) fn of(song: &Song) -> Self {
        let digits = song.id.to_string().replace('-', "");
        Self {
            id: (1..=ID_DIGITS).map(|length| digits[..length].to_owned()).collect(),
            path: at_most(song.files.iter().map(|file| path_lookup_key(&file.path)).collect()),
            file: at_most(song.files.iter().map(|file| file.sha256.to_string()).collect()),
        }
    }
}

impl LookupKeys {
    /// Every beginning of the id that can be searched for.
    pub(crate) fn id_prefixes(self) -> Vec<String> {
        self.id
    }
}

/// What stands for a path: paths may be longer than what can be indexed.
pub(crate) fn path_lookup_key(path: &str) -> String {
    Digest::of(path.as_bytes()).to_string()[..32].to_owned()
}

/// What to search for to find `handle`, and what holds too many to name it.
pub(crate) fn any_lookup_key(lookup_keys: &[String]) -> Value {
    json!({"$in": lookup_keys.iter().map(String::as_str).chain([EVERYTHING]).collect::<Vec<_>>()})
}

/// Look-ups that fit into one request, with room for [`EVERYTHING`].
pub(crate) const MOST_LOOKUP_KEYS: usize = MAX_IN - 1;

/// A filter in the words of the Data API.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conditions {
    all: Vec<Value>,
    comparisons: usize,
    /// Whether the server finds exactly what passes, as long as no song holds
    /// [`EVERYTHING`] where `by_lists` is set.
    pub(crate) exact: bool,
    pub(crate) by_lists: bool,
}

/// The condition that a song has more to search for than is indexed.
pub(crate) fn has_more() -> Value {
    json!({"find.more": true})
}

impl Conditions {
    /// `filter` beside `base`; what does not fit into one request is left out.
    pub(crate) fn of(filter: &Filter, base: Vec<Value>) -> Self {
        let comparisons = base.iter().map(comparisons).sum();
        let mut conditions = Self { all: base, comparisons, exact: true, by_lists: false };
        for term in &filter.terms {
            conditions.by_lists |= matches!(term.test, Test::Words(..) | Test::Values(..));
            let Translated { condition, exact } = translate(&term.test, term.negated);
            conditions.exact &= exact;
            match condition {
                Some(condition) if conditions.admit(&condition) => {}
                _ => conditions.exact = false,
            }
        }
        conditions
    }

    /// Adds a condition if there is room for its comparisons.
    pub(crate) fn admit(&mut self, condition: &Value) -> bool {
        let more = comparisons(condition);
        let fits = self.comparisons + more < MAX_COMPARISONS;
        if fits {
            self.comparisons += more;
            self.all.push(condition.clone());
        }
        fits
    }

    /// Adds a condition for which there has to be room: one comparison, of
    /// which a few are kept back.
    pub(crate) fn admit_always(&mut self, condition: Value) {
        self.all.push(condition);
    }

    pub(crate) fn filter(&self) -> Value {
        match self.all.as_slice() {
            [] => json!({}),
            [one] => one.clone(),
            all => json!({"$and": all}),
        }
    }
}

struct Translated {
    condition: Option<Value>,
    exact: bool,
}

fn translate(test: &Test, negated: bool) -> Translated {
    let exactly = |condition| Translated { condition: Some(condition), exact: true };
    match test {
        Test::Words(field, lists) => in_words(*field, lists, negated),
        Test::Values(field, values) => {
            let exact = values.iter().all(|value| value.chars().count() <= LONGEST_VALUE);
            let stored: Vec<String> = values.iter().map(|value| stored_value(value)).collect();
            let path = value_path(*field);
            // What was cut may be the same only so far.
            if negated && !exact {
                return Translated { condition: None, exact: false };
            }
            Translated { condition: Some(any_of(path, &stored, negated)), exact }
        }
        Test::Number(field, ranges) => in_ranges(number_path(*field), ranges, negated),
        Test::Key(keys) => {
            let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
            exactly(any_of("find.key", &names, negated))
        }
        Test::Loop(wanted) if negated => exactly(json!({"find.loop": {"$ne": wanted}})),
        Test::Loop(wanted) => exactly(json!({"find.loop": wanted})),
        // What songs these are, the server does not know: its answers are looked
        // through here.
        Test::Group(_) => Translated { condition: None, exact: false },
        Test::HasWords(field) => {
            let tags: Vec<String> = tags(*field).map(String::from).collect();
            exactly(contains_any(&tags, negated))
        }
        Test::HasValue(field) => exactly(exists(value_path(*field), !negated)),
        Test::HasNumber(field) => exactly(exists(number_path(*field), !negated)),
        Test::HasKey => exactly(exists("find.key", !negated)),
        Test::HasLoop => exactly(exists("find.loop", !negated)),
    }
}

// One list of words has to fit, all of it; or, negated, of every list one word
// must not.
fn in_words(field: WordField, lists: &[Vec<String>], negated: bool) -> Translated {
    let is_cut = |word: &String| word.chars().count() > LONGEST_PREFIX;
    let exact = !lists.iter().flatten().any(is_cut);
    // The server makes nothing of a condition on nothing, where the definition
    // may mean that no song passes.
    if lists.is_empty() || lists.iter().any(Vec::is_empty) {
        return Translated { condition: None, exact: false };
    }
    // The beginning of a word that must not be there may be there.
    if negated && !exact {
        return Translated { condition: None, exact: false };
    }
    let word = |word: &String| {
        let prefix: String = word.chars().take(LONGEST_PREFIX).collect();
        let tagged: Vec<String> = tags(field).map(|tag| format!("{tag}{prefix}")).collect();
        contains_any(&tagged, negated)
    };
    let list = |list: &Vec<String>| {
        let words: Vec<Value> = list.iter().map(word).collect();
        if negated { one_of(words) } else { all_of(words) }
    };
    let lists: Vec<Value> = lists.iter().map(list).collect();
    let condition = if negated { all_of(lists) } else { one_of(lists) };
    Translated { condition: Some(condition), exact }
}

fn in_ranges(path: &str, ranges: &[NumberRange], negated: bool) -> Translated {
    let finite = |end: Option<f64>| end.is_none_or(f64::is_finite);
    if ranges.is_empty() || !ranges.iter().all(|range| finite(range.min) && finite(range.max)) {
        return Translated { condition: None, exact: false };
    }
    let range = |range: &NumberRange| match (range.min, range.max, negated) {
        (None, None, _) => exists(path, !negated),
        (Some(min), None, false) => json!({path: {"$gte": min}}),
        (None, Some(max), false) => json!({path: {"$lte": max}}),
        (Some(min), Some(max), false) => json!({path: {"$gte": min, "$lte": max}}),
        (min, max, true) => {
            let below = min.map(|min| json!({path: {"$lt": min}}));
            let above = max.map(|max| json!({path: {"$gt": max}}));
            one_of([Some(exists(path, false)), below, above].into_iter().flatten().collect())
        }
    };
    let ranges: Vec<Value> = ranges.iter().map(range).collect();
    let condition = if negated { all_of(ranges) } else { one_of(ranges) };
    Translated { condition: Some(condition), exact: true }
}

fn contains_any(tagged: &[String], negated: bool) -> Value {
    if negated {
        return json!({"find.words": {"$nin": tagged}});
    }
    json!({"find.words": {"$in": tagged.iter().map(String::as_str).chain([EVERYTHING]).collect::<Vec<_>>()}})
}

fn any_of(path: &str, values: &[String], negated: bool) -> Value {
    let operator = if negated { "$nin" } else { "$in" };
    // A song with too many values may have this one, and may not.
    let chunk = |values: &[String]| match negated {
        true => json!({path: {operator: values}}),
        false => json!({path: {operator:
            values.iter().map(String::as_str).chain([EVERYTHING]).collect::<Vec<_>>()}}),
    };
    let chunks: Vec<Value> = values.chunks(MAX_IN - 1).map(chunk).collect();
    match (chunks.is_empty(), negated) {
        (true, _) => json!({path: {operator: []}}),
        (false, true) => all_of(chunks),
        (false, false) => one_of(chunks),
    }
}

fn exists(path: &str, wanted: bool) -> Value {
    json!({path: {"$exists": wanted}})
}

/// One of these conditions, of which there is at least one, has to hold.
///
/// The server takes a member of `$or` that compares twice apart, and each of its
/// comparisons becomes a member by itself; only what stands in an `$and` of its
/// own stays together.
pub(crate) fn one_of(mut conditions: Vec<Value>) -> Value {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => json!({"$or": conditions.into_iter().map(kept_together).collect::<Vec<_>>()}),
    }
}

fn all_of(mut conditions: Vec<Value>) -> Value {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => json!({"$and": conditions}),
    }
}

// The same condition as one comparison or one operator of logic.
fn kept_together(condition: Value) -> Value {
    let Value::Object(members) = condition else { return condition };
    let mut single = Vec::new();
    for (name, value) in members {
        match value {
            Value::Object(operators) if !name.starts_with('$') => {
                single.extend(
                    operators
                        .into_iter()
                        .map(|(operator, to)| json!({name.as_str(): {operator: to}})),
                );
            }
            value => single.push(json!({name: value})),
        }
    }
    all_of(single)
}

fn comparisons(condition: &Value) -> usize {
    match condition {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("$and" | "$or", Value::Array(all)) => all.iter().map(comparisons).sum(),
                (_, Value::Object(operators)) => operators.len(),
                _ => 1,
            })
            .sum(),
        _ => 0,
    }
}

const fn value_path(field: ValueField) -> &'static str {
    match field {
        ValueField::Genre => "find.genre",
        ValueField::Mood => "find.mood",
        ValueField::Instrument => "find.instrument",
        ValueField::Warning => "find.warning",
    }
}

const fn number_path(field: NumberField) -> &'static str {
    match field {
        NumberField::Bpm => "find.bpm",
        NumberField::Year => "find.year",
        NumberField::Duration => "find.duration",
    }
}

// `o` stands for what only free text finds: genre, mood and instrument.
fn tags(field: WordField) -> impl Iterator<Item = char> {
    match field {
        WordField::Any => "talpo",
        WordField::Title => "t",
        WordField::Artist => "a",
        WordField::Album => "l",
        WordField::Path => "p",
    }
    .chars()
}

fn word_prefixes(summary: &SongSummary) -> Vec<String> {
    let fields = [WordField::Title, WordField::Artist, WordField::Album, WordField::Path];
    let mut prefixes = Vec::new();
    let mut add = |tag: char, mut found: Vec<String>| {
        if !found.is_empty() {
            prefixes.push(tag.to_string());
        }
        found.sort_unstable();
        found.dedup();
        for word in found {
            let mut prefix = String::from(tag);
            for character in word.chars().take(LONGEST_PREFIX) {
                prefix.push(character);
                prefixes.push(prefix.clone());
            }
        }
    };
    for field in fields {
        let tag = tags(field).next().expect("every field has a tag");
        add(tag, field.words(summary));
    }
    let others = summary.genres.iter().chain(&summary.moods).chain(summary.instrument.as_ref());
    add('o', others.flat_map(|value| words(value)).collect());
    prefixes.sort_unstable();
    prefixes.dedup();
    if prefixes.len() <= MOST_ELEMENTS {
        return prefixes;
    }
    // Which fields have words is still said.
    let tags = prefixes.into_iter().filter(|prefix| prefix.chars().count() == 1);
    tags.chain([EVERYTHING.to_owned()]).collect()
}

fn at_most(mut values: Vec<String>) -> Vec<String> {
    values.sort_unstable();
    values.dedup();
    if values.len() > MOST_ELEMENTS { vec![EVERYTHING.to_owned()] } else { values }
}

fn normal(value: &str) -> String {
    words(value).join(" ")
}

fn stored_value(normal: &str) -> String {
    match normal.char_indices().nth(LONGEST_VALUE) {
        None => normal.to_owned(),
        Some((at, _)) => format!("{}{CUT}", &normal[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(texts: &[&str]) -> Conditions {
        Conditions::of(&Filter::parse_all(texts).unwrap(), Vec::new())
    }

    #[test]
    fn each_test_has_its_words() {
        for (text, expected) in [
            ("artist:bjo", json!({"find.words": {"$in": ["abjo", "*"]}})),
            ("-artist:bjo", json!({"find.words": {"$nin": ["abjo"]}})),
            (
                "kick",
                json!({"find.words": {"$in": ["tkick", "akick", "lkick", "pkick", "okick", "*"]}}),
            ),
            ("genre:Drum & Bass", json!({"find.genre": {"$in": ["drum bass", "*"]}})),
            ("-genre:rock", json!({"find.genre": {"$nin": ["rock"]}})),
            ("year:1990..", json!({"find.year": {"$gte": 1990.0}})),
            ("key:Am", json!({"find.key": {"$in": ["Am", "*"]}})),
            ("-loop:yes", json!({"find.loop": {"$ne": true}})),
            ("-album:*", json!({"find.words": {"$nin": ["l"]}})),
            ("bpm:*", json!({"find.bpm": {"$exists": true}})),
        ] {
            let conditions = conditions(&[text]);

            assert_eq!(conditions.filter(), expected, "{text}");
            assert!(conditions.exact, "{text}");
        }
    }

    // Whether each member of each `$or` is one comparison, or says that it is
    // several.
    fn assert_kept_together(condition: &Value) {
        let Value::Object(members) = condition else { return };
        for (name, value) in members {
            let Value::Array(inner) = value else { continue };
            for member in inner.iter().filter(|_| name == "$or" || name == "$and") {
                assert_kept_together(member);
                let is_logic = member.get("$and").is_some() || member.get("$or").is_some();
                let alone = member.as_object().is_some_and(|member| member.len() == 1);
                assert!(alone, "{condition}");
                assert!(name == "$and" || is_logic || comparisons(member) == 1, "{condition}");
            }
        }
    }

    #[test]
    fn two_ranges_stay_two_ranges() {
        let found = conditions(&["bpm:100..112,130..140"]).filter();

        let range = |min: f64, max: f64| json!({"$and": [{"find.bpm": {"$gte": min}}, {"find.bpm": {"$lte": max}}]});
        assert_eq!(found, json!({"$or": [range(100.0, 112.0), range(130.0, 140.0)]}));
    }

    #[test]
    fn no_alternative_compares_twice_without_saying_so() {
        for texts in [
            &["bpm:100..112,130..140"][..],
            &["-bpm:100..112,130..140"],
            &["year:1990..1999,2005", "duration:<2,10..20"],
            &["title:deep house,acid", "-artist:a b,c"],
            &["deep house", "genre:a,b", "-mood:c,d", "key:Am,C", "-year:1990..2000"],
            &["-bpm:*", "bpm:100..112,130..,..90"],
        ] {
            assert_kept_together(&conditions(texts).filter());
        }
        let two_fields = json!({"a": {"$gte": 1, "$lt": 2}, "b": 3});
        let split = json!({"$and": [{"a": {"$gte": 1}}, {"a": {"$lt": 2}}, {"b": 3}]});
        assert_eq!(one_of(vec![two_fields, json!({"c": 1})]), json!({"$or": [split, {"c": 1}]}));
    }

    #[test]
    fn what_cannot_be_said_is_left_out_and_checked_later() {
        let long = conditions(&["title:abcdefghijkl"]);
        assert_eq!(long.filter(), json!({"find.words": {"$in": ["tabcdefghij", "*"]}}));
        assert!(!long.exact);

        let negated = conditions(&["-title:abcdefghijkl", "loop:yes"]);
        assert_eq!(negated.filter(), json!({"find.loop": true}));
        assert!(!negated.exact);

        let years: Vec<String> = (1900..2000).map(|year| year.to_string()).collect();
        let many = conditions(&[&format!("year:{}", years.join(",")), "loop:yes"]);
        assert_eq!(many.filter(), json!({"find.loop": true}), "more comparisons than allowed");
        assert!(!many.exact);
    }

    #[test]
    fn no_array_gets_too_long() {
        let summary: SongSummary = serde_json::from_value(json!({
            "id": "3f9a62c1-5a0e-8d7b-9c42-0d6f3b1e7a55",
            "title": (0..5000).map(|n| format!("w{n} ")).collect::<String>(),
            "genres": (0..1500).map(|n| format!("genre {n}")).collect::<Vec<_>>(),
            "moods": ["x".repeat(9000)],
            "duration": 1.0,
        }))
        .unwrap();

        let facets = Facets::of(&summary);

        assert!(facets.words.len() <= MOST_ELEMENTS && facets.words.contains(&"*".to_owned()));
        assert_eq!(facets.genre, ["*"]);
        assert!(facets.mood[0].len() < 8000);
    }
}
