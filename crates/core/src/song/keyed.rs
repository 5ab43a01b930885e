//! What a song says, value by value, and the song that says it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    Conflict, Field, Song, Stamp,
    version::{LIFE, Op, Shown, Version},
};

/// What a song says, by keys such as `edits.title`, `tags.album`,
/// `files.a/b.wav`, and `edits.genre="House"` for an element of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keyed {
    pub(crate) values: BTreeMap<String, Value>,
    /// The keys of elements, each list in its order.
    pub(crate) elements: Vec<String>,
}

/// What is the library's own, or follows from other values.
const OWN: [&str; 10] = [
    "format",
    "id",
    "audio_hash",
    "revision",
    "blob",
    "embeddings",
    "updated_at",
    "stamps",
    "conflicts",
    "history",
];
/// What follows from the audio and the version of the analysis: of two, the one
/// of the higher version counts.
const ANALYSED: [&str; 3] = ["audio", "features", "warnings"];
/// The key under which a version keeps that.
pub(crate) const ANALYSIS: &str = "analysis";

/// Whether a key is that of an element of a list.
pub(crate) fn is_element(key: &str) -> bool {
    element_of(key).is_some()
}

// The field of an element, and what it is.
fn element_of(key: &str) -> Option<(Field, Value)> {
    let (name, element) = key.strip_prefix("edits.")?.split_once('=')?;
    let field: Field = name.parse().ok()?;
    let element = serde_json::from_str(element).ok()?;
    field.is_list().then_some((field, element))
}

fn element_key(field: &Field, element: &Value) -> String {
    format!("edits.{field}={element}")
}

fn edit_of(key: &str) -> Option<Field> {
    key.strip_prefix("edits.")?.parse().ok()
}

impl Keyed {
    pub(crate) fn by(song: &Song) -> Self {
        let mut keyed = Self::default();
        keyed.values.insert(LIFE.to_owned(), Value::Null);
        for (field, value) in song.edits.iter() {
            keyed.edit(field, value);
        }
        for file in &song.files {
            let value = serde_json::to_value(file).unwrap_or_default();
            keyed.values.insert(format!("files.{}", file.path), value);
        }
        let Ok(Value::Object(all)) = serde_json::to_value(song) else { return keyed };
        let apart = ["edits", "files"];
        for (name, value) in all {
            let name = name.as_str();
            if !OWN.contains(&name) && !ANALYSED.contains(&name) && !apart.contains(&name) {
                flatten(&escape(name), value, &mut keyed.values);
            }
        }
        if song.has_unsorted_tags() {
            keyed.values.insert("sources.unsorted".to_owned(), Value::Bool(true));
        }
        keyed
    }

    // A list is that there is one, and its elements.
    fn edit(&mut self, field: &Field, value: &Value) {
        let key = format!("edits.{field}");
        match value {
            Value::Array(elements) if field.is_list() => {
                self.values.insert(key, Value::Array(Vec::new()));
                for element in elements {
                    let key = element_key(field, element);
                    if self.values.insert(key.clone(), Value::Null).is_none() {
                        self.elements.push(key);
                    }
                }
            }
            value => drop(self.values.insert(key, value.clone())),
        }
    }
}

impl Keyed {
    /// Whether the list under a key has elements.
    pub(crate) fn has_elements(&self, key: &str) -> bool {
        let is_of = |element: &String| {
            element.strip_prefix(key).is_some_and(|element| element.starts_with('='))
        };
        self.elements.iter().any(is_of)
    }
}

// Whether a key is of what no write says; a damaged history may name it.
fn is_apart(key: &str) -> bool {
    let name = components(key).remove(0);
    OWN.contains(&name.as_str()) || ANALYSED.contains(&name.as_str())
}

/// What was worked out from the audio, with its rank.
pub(crate) fn analysis_of(song: &Song) -> (u64, Value) {
    let rank = song.features.as_ref().map_or(0, |features| u64::from(features.version));
    let Ok(Value::Object(all)) = serde_json::to_value(song) else { return (0, Value::Null) };
    let analysis_of = all.into_iter().filter(|(name, _)| ANALYSED.contains(&name.as_str()));
    (rank, Value::Object(analysis_of.collect()))
}

fn escape(name: &str) -> String {
    name.replace('\\', "\\\\").replace('.', "\\.")
}

// The components of a key.
fn components(key: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        let last = all.last_mut().expect("there is always one");
        match character {
            '\\' => last.extend(characters.next()),
            '.' => all.push(String::new()),
            other => last.push(other),
        }
    }
    all
}

// Every value that is no object, by its path. An empty object says nothing.
fn flatten(path: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(all) => {
            for (name, value) in all {
                flatten(&format!("{path}.{}", escape(&name)), value, into);
            }
        }
        value => drop(into.insert(path.to_owned(), value)),
    }
}

fn unflatten(key: &str, value: Value, into: &mut Map<String, Value>) {
    let components = components(key);
    let (last, path) = components.split_last().expect("there is always one");
    let mut place = into;
    for name in path {
        let inner = place.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        let Value::Object(inner) = inner else { unreachable!("it was just made one") };
        place = inner;
    }
    place.insert(last.clone(), value);
}

/// The values of the edits of a version.
#[derive(Default)]
struct Edited {
    edits: Map<String, Value>,
    stamps: BTreeMap<String, Stamp>,
    conflicts: Vec<Conflict>,
}

/// The song that says what is shown of `version`; what is a library's own is
/// that of `like`.
pub(crate) fn song_of(version: &Version, like: &Song) -> Result<Song, serde_json::Error> {
    let Value::Object(mut json) = serde_json::to_value(like)? else {
        unreachable!("a song is an object")
    };
    let added_at = json.remove("added_at").unwrap_or_default();
    json.retain(|name, _| OWN[..7].contains(&name.as_str()));
    json.insert("added_at".to_owned(), added_at);
    if let Some((_, Value::Object(analysis_of))) = version.highest().get(ANALYSIS) {
        json.extend(analysis_of.clone());
    }
    let shown = version.shown();
    let mut files = Vec::new();
    for (key, one) in &shown {
        if key.starts_with("files.") {
            files.push(one.value.clone());
        } else if *key != LIFE && !key.starts_with("edits.") && !is_apart(key) {
            unflatten(key, one.value.clone(), &mut json);
        }
    }
    let edited = edited(version, &shown);
    json.insert("files".to_owned(), Value::Array(files));
    json.insert("edits".to_owned(), Value::Object(edited.edits));
    let mut song: Song = serde_json::from_value(Value::Object(json))?;
    song.files.sort_by(|left, right| left.path.cmp(&right.path));
    song.stamps = edited.stamps;
    song.conflicts = edited.conflicts;
    Ok(song)
}

fn edited(version: &Version, shown: &BTreeMap<&str, Shown<'_>>) -> Edited {
    let mut edited = Edited::default();
    let mut lists: BTreeMap<Field, Vec<(Shown<'_>, Value)>> = BTreeMap::new();
    let mut fields = BTreeSet::new();
    for (key, one) in shown {
        if let Some((field, element)) = element_of(key) {
            lists.entry(field.clone()).or_default().push((*one, element));
            fields.insert(field);
        } else if let Some(field) = edit_of(key) {
            fields.insert(field);
        }
    }
    for field in fields {
        let key = format!("edits.{field}");
        let mut last = shown.get(key.as_str()).map(|one| one.stamp);
        let mut value = shown.get(key.as_str()).map(|one| one.value.clone());
        if let Some(mut elements) = lists.remove(&field) {
            elements.sort_by_key(|(one, _)| (one.stamp, one.op, one.place));
            last = last.max(elements.iter().map(|(one, _)| one.stamp).max());
            value = Some(elements.into_iter().map(|(_, element)| element).collect());
        }
        // A list that was cleared, or is empty, is no value that lost.
        let says_nothing = |other: &Value| {
            field.is_list() && (other.is_null() || other.as_array().is_some_and(Vec::is_empty))
        };
        let mut lost: BTreeMap<String, Conflict> = BTreeMap::new();
        for (stamp, op, other) in version.values(&key) {
            if value.as_ref() != Some(other) && !says_nothing(other) {
                lost.entry(other.to_string()).or_insert_with(|| Conflict {
                    field: field.clone(),
                    value: other.clone(),
                    stamp,
                    operation: op.operation(""),
                });
            }
        }
        edited.conflicts.extend(lost.into_values());
        edited.stamps.extend(last.map(|stamp| (key, stamp)));
        edited.edits.extend(value.map(|value| (field.to_string(), value)));
    }
    edited
}

/// Where an element stands in its list: by its write, then within it.
type Rank = (Stamp, Op, usize);

/// The elements of lists that have to be written so that they come in the order
/// in which they are said, each after the value that says that there is a list:
/// where an element is left, that one is too.
pub(crate) fn elements_to_write(keyed: &Keyed, version: &Version) -> Vec<(String, Value)> {
    let shown = version.shown();
    let mut written = Vec::new();
    let mut last: Option<(Field, Option<Rank>)> = None;
    for key in &keyed.elements {
        let Some((field, _)) = element_of(key) else { continue };
        let before = match &last {
            Some((of, place)) if *of == field => *place,
            _ => Some((Stamp::default(), Op(0), 0)),
        };
        let place = shown.get(key.as_str()).map(|one| (one.stamp, one.op, one.place));
        // Whatever follows one that is written now comes after it.
        let stays = place.filter(|place| before.is_some_and(|before| *place >= before));
        if stays.is_none() {
            written.push((format!("edits.{field}"), Value::Array(Vec::new())));
            written.push((key.clone(), Value::Null));
        }
        last = Some((field, stays));
    }
    written
}
