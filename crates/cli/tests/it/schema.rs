//! Holds documents against the schemas in `crates/library/schema`, more strictly
//! than whoever reads documents should.
//!
//! A program must not mind fields that it does not know, so the schemas do not
//! forbid them; here what is not described is wrong. A whole number is no
//! `number` here, because a field that becomes one has changed its type. And
//! noted is which properties and which alternatives were seen, because what is
//! described and never printed is wrong, too.
//!
//! Of JSON Schema, draft 2020-12, this knows the words that the schemas use, and
//! refuses others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

use serde_json::{Map, Value};

/// All schemas, by the names of their files.
pub(crate) struct Schemas(BTreeMap<String, Value>);

/// What is wrong with a value.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The value, such as `results[0].rank`.
    path: String,
    depth: usize,
    text: String,
}

impl Problem {
    /// The field, whichever of several elements it is of, such as
    /// `results[].rank`.
    pub(crate) fn field(&self) -> String {
        self.path.chars().filter(|c| !c.is_ascii_digit()).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "`{path}` {}", self.text)
    }
}

/// Where in the schemas something is described, such as
/// `definitions.json#/$defs/card/properties/bpm`.
type Place = String;

/// What a value showed of the schemas.
#[derive(Debug, Default)]
struct Sight {
    places: BTreeSet<Place>,
    /// The names of the value's properties that are described.
    known: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Sight {
    fn add(&mut self, other: Self) {
        self.known.extend(other.known.iter().cloned());
        self.add_inside(other);
    }

    /// Adds what was seen of a value inside.
    fn add_inside(&mut self, other: Self) {
        self.places.extend(other.places);
        self.problems.extend(other.problems);
    }
}

/// A value with its path in the document.
#[derive(Clone, Copy)]
struct At<'a> {
    value: &'a Value,
    path: &'a str,
    depth: usize,
    /// Whether everything in it has to be described here.
    closed: bool,
}

impl At<'_> {
    fn open(self) -> Self {
        Self { closed: false, ..self }
    }

    fn wrong(&self, text: impl Into<String>) -> Problem {
        Problem { path: self.path.to_owned(), depth: self.depth, text: text.into() }
    }
}

/// Of an optional property: that it was missing.
const MISSING: &str = " is missing";

impl Schemas {
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../library/schema");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&text).unwrap())
        });
        Self(files.collect())
    }

    /// The words of every command that has a schema.
    pub(crate) fn commands(&self) -> Vec<String> {
        let titles = self.0.values().filter_map(|schema| schema["title"].as_str());
        titles.filter_map(|title| title.strip_prefix("songrec ")).map(str::to_owned).collect()
    }

    /// What `document` shows of the schema of `command`.
    ///
    /// # Errors
    ///
    /// Everything by which it is no document of that command.
    pub(crate) fn check(
        &self,
        command: &str,
        document: &Value,
    ) -> Result<BTreeSet<Place>, Vec<Problem>> {
        let file = format!("{}.json", command.replace(' ', "-"));
        let schema = self.0.get(&file).unwrap_or_else(|| panic!("`{file}` is not there"));
        let at = At { value: document, path: "", depth: 0, closed: true };
        let sight = self.value(&file, "", schema, at);
        if sight.problems.is_empty() { Ok(sight.places) } else { Err(sight.problems) }
    }

    /// Every place that a document should show.
    pub(crate) fn places(&self) -> BTreeSet<Place> {
        let mut places = BTreeSet::new();
        for (file, schema) in &self.0 {
            walk(schema, &format!("{file}#"), &mut |place, schema| {
                let required = strings(&schema["required"]);
                for name in keys(&schema["properties"]) {
                    let property = format!("{place}/properties/{name}");
                    if !required.contains(&name) {
                        places.insert(format!("{property}{MISSING}"));
                    }
                    places.insert(property);
                }
                let alternatives = schema["anyOf"].as_array().map_or(0, Vec::len);
                places.extend((0..alternatives).map(|n| format!("{place}/anyOf/{n}")));
                if let Value::Array(types) = &schema["type"] {
                    places.extend(types.iter().map(|one| format!("{place}/type/{one}")));
                }
            });
        }
        places
    }

    /// What is wrong with the schemas themselves.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut named = BTreeSet::new();
        for (file, schema) in &self.0 {
            walk(schema, &format!("{file}#"), &mut |place, schema| {
                if let Some(name) = schema["$ref"].as_str() {
                    let (file, pointer) = resolved(file, name);
                    match self.0.get(file).and_then(|schema| schema.pointer(pointer)) {
                        Some(_) => drop(named.insert(format!("{file}#{pointer}"))),
                        None => faults.push(format!("{place}: there is no `{name}`")),
                    }
                }
                for (name, property) in object(&schema["properties"]) {
                    if !self.is_described(file, property) {
                        faults.push(format!("{place}: `{name}` is not described in words"));
                    }
                }
            });
        }
        for (file, schema) in &self.0 {
            for name in keys(&schema["$defs"]) {
                let place = format!("{file}#/$defs/{name}");
                if !named.contains(&place) {
                    faults.push(format!("{place}: nothing names it"));
                }
            }
        }
        faults
    }

    fn is_described(&self, file: &str, schema: &Value) -> bool {
        if schema["description"].as_str().is_some_and(|words| !words.is_empty()) {
            return true;
        }
        let Some(name) = schema["$ref"].as_str() else { return false };
        let (file, pointer) = resolved(file, name);
        let found = self.0.get(file).and_then(|schema| schema.pointer(pointer));
        found.is_some_and(|schema| self.is_described(file, schema))
    }

    fn value(&self, file: &str, pointer: &str, schema: &Value, at: At<'_>) -> Sight {
        let Value::Object(words) = schema else { panic!("{file}#{pointer} is no schema") };
        let place = format!("{file}#{pointer}");
        let mut sight = Sight::default();
        if words.keys().all(|word| word == "description") {
            // Anything.
            sight.known.extend(keys(at.value));
        }
        for (word, said) in words {
            let below = format!("{pointer}/{word}");
            match word.as_str() {
                "$schema" | "$defs" | "title" | "description" | "required" => {}
                "$ref" => {
                    let (file, pointer) = resolved(file, said.as_str().unwrap());
                    let schema = self.0[file].pointer(pointer).unwrap();
                    sight.add(self.value(file, pointer, schema, at.open()));
                }
                "allOf" => {
                    for (n, one) in said.as_array().unwrap().iter().enumerate() {
                        sight.add(self.value(file, &format!("{below}/{n}"), one, at.open()));
                    }
                }
                "anyOf" => sight.add(self.alternatives(file, &below, said, at)),
                "properties" => sight.add(self.properties(file, pointer, schema, at)),
                "additionalProperties" => {
                    for (name, value) in object(at.value) {
                        let path = format!("{}[{name:?}]", at.path);
                        let inside = At { value, path: &path, depth: at.depth + 1, closed: true };
                        sight.add_inside(self.value(file, &below, said, inside));
                    }
                    sight.known.extend(keys(at.value));
                }
                "items" | "prefixItems" => sight.add(self.items(file, &below, said, at)),
                _ => match plain(word, said, at.value) {
                    Ok(seen) => sight.places.extend(seen.map(|seen| format!("{place}/{seen}"))),
                    Err(text) => sight.problems.push(at.wrong(format!("{text} ({place})"))),
                },
            }
        }
        if at.closed {
            for name in keys(at.value) {
                let path = joined(at.path, &name);
                // Said once, by the innermost of several.
                if sight.known.insert(name) {
                    let text = format!("is not described ({place})");
                    sight.problems.push(Problem { path, depth: at.depth, text });
                }
            }
        }
        sight
    }

    fn properties(&self, file: &str, pointer: &str, schema: &Value, at: At<'_>) -> Sight {
        let required = strings(&schema["required"]);
        let mut sight = Sight::default();
        let Value::Object(all) = at.value else { return sight };
        for (name, property) in object(&schema["properties"]) {
            let path = joined(at.path, name);
            let below = format!("{pointer}/properties/{name}");
            let place = format!("{file}#{below}");
            match all.get(name) {
                Some(value) => {
                    sight.known.insert(name.clone());
                    sight.places.insert(place);
                    let inside = At { value, path: &path, depth: at.depth + 1, closed: true };
                    sight.add_inside(self.value(file, &below, property, inside));
                }
                None if required.contains(name) => {
                    let text = format!("is missing, and is required ({place})");
                    sight.problems.push(Problem { path, depth: at.depth, text });
                }
                None => drop(sight.places.insert(format!("{place}{MISSING}"))),
            }
        }
        sight
    }

    fn items(&self, file: &str, pointer: &str, said: &Value, at: At<'_>) -> Sight {
        let mut sight = Sight::default();
        for (n, value) in at.value.as_array().into_iter().flatten().enumerate() {
            let path = format!("{}[{n}]", at.path);
            let inside = At { value, path: &path, depth: at.depth + 1, closed: true };
            match said {
                Value::Array(each) => match each.get(n) {
                    Some(one) => {
                        let below = format!("{pointer}/{n}");
                        sight.add_inside(self.value(file, &below, one, inside));
                    }
                    None => sight.problems.push(inside.wrong("is one too many")),
                },
                one => sight.add_inside(self.value(file, pointer, one, inside)),
            }
        }
        sight
    }

    // The first alternative that fits; else what is wrong by the one that is
    // nearest.
    fn alternatives(&self, file: &str, pointer: &str, said: &Value, at: At<'_>) -> Sight {
        let mut nearest: Option<((usize, usize), Sight)> = None;
        for (n, one) in said.as_array().unwrap().iter().enumerate() {
            let below = format!("{pointer}/{n}");
            let mut sight = self.value(file, &below, one, at);
            if sight.problems.is_empty() {
                sight.places.insert(format!("{file}#{below}"));
                return sight;
            }
            let here = sight.problems.iter().filter(|one| one.depth <= at.depth).count();
            let how_far = (here, sight.problems.len());
            if nearest.as_ref().is_none_or(|(best, _)| how_far < *best) {
                nearest = Some((how_far, sight));
            }
        }
        nearest.unwrap().1
    }
}

// What `word` asks of `value` itself; says which of several types it has.
fn plain(word: &str, said: &Value, value: &Value) -> Result<Option<String>, String> {
    let fits = match word {
        "type" => {
            let types: Vec<&Value> = match said {
                Value::Array(types) => types.iter().collect(),
                one => vec![one],
            };
            let Some(found) = types.iter().find(|one| has_type(value, one.as_str().unwrap()))
            else {
                return Err(format!("is {value}, and should be of type {said}"));
            };
            return Ok(said.is_array().then(|| format!("type/{found}")));
        }
        "const" => value == said,
        "enum" => said.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= said.as_f64().unwrap()),
        "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= said.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|all| all.len() as u64 <= said.as_u64().unwrap()),
        "format" => value.as_str().is_none_or(|text| has_format(text, said.as_str().unwrap())),
        "pattern" => value.as_str().is_none_or(|text| has_pattern(text, said.as_str().unwrap())),
        word => panic!("`{word}` is not among the words of JSON Schema that the test knows"),
    };
    if fits { Ok(None) } else { Err(format!("is {value}, which does not fit {word} {said}")) }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_f64(),
        name => panic!("`{name}` is no type"),
    }
}

fn has_format(text: &str, name: &str) -> bool {
    match name {
        "date-time" => text.ends_with('Z') && text.parse::<songrec_core::Timestamp>().is_ok(),
        "uuid" => text.parse::<songrec_core::SongId>().is_ok() && text.len() == 36,
        "uri" => text.split_once("://").is_some_and(|(scheme, rest)| {
            scheme.bytes().all(|byte| byte.is_ascii_lowercase()) && !rest.is_empty()
        }),
        name => panic!("`{name}` is not among the formats that the test knows"),
    }
}

// So many hexadecimal digits, the one pattern there is.
fn has_pattern(text: &str, pattern: &str) -> bool {
    let count = pattern.strip_prefix("^[0-9a-f]{").and_then(|rest| rest.strip_suffix("}$"));
    let count: usize = count.and_then(|count| count.parse().ok()).expect("hexadecimal digits");
    text.len() == count && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells `each` of every schema in `schema`, with its place.
fn walk(schema: &Value, place: &str, each: &mut impl FnMut(&str, &Value)) {
    each(place, schema);
    for word in ["properties", "$defs"] {
        for (name, one) in object(&schema[word]) {
            walk(one, &format!("{place}/{word}/{name}"), each);
        }
    }
    for word in ["allOf", "anyOf", "prefixItems"] {
        for (n, one) in schema[word].as_array().into_iter().flatten().enumerate() {
            walk(one, &format!("{place}/{word}/{n}"), each);
        }
    }
    for word in ["additionalProperties", "items"] {
        if let Some(one) = schema.get(word) {
            walk(one, &format!("{place}/{word}"), each);
        }
    }
}

// The file and the place in it that `name` means in `file`.
fn resolved<'a>(file: &'a str, name: &'a str) -> (&'a str, &'a str) {
    match name.split_once('#') {
        Some(("", pointer)) => (file, pointer),
        Some((file, pointer)) => (file, pointer),
        None => (name, ""),
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn keys(value: &Value) -> Vec<String> {
    object(value).map(|(name, _)| name.clone()).collect()
}

fn strings(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
