//! Sort clauses, and the order of values of all types.

use std::cmp::Ordering;

use crate::document::Document;
use crate::error::{ApiError, Code, Result, refuse};
use crate::json::Value;
use crate::path::Path;
use crate::settings::Settings;
use crate::vector::{self, Vector};

/// How the answer is ordered.
#[derive(Debug)]
pub(crate) enum Sort {
    /// By token: stable, and of no meaning.
    None,
    Fields(Vec<(Path, Direction)>),
    Vector(Vector),
    Lexical(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

impl Sort {
    pub(crate) fn parse(written: Option<&Value>, settings: &Settings) -> Result<Self> {
        let clause = match written {
            None | Some(Value::Null) => return Ok(Self::None),
            Some(Value::Object(clause)) if clause.is_empty() => return Ok(Self::None),
            Some(Value::Object(clause)) => clause,
            Some(other) => {
                return refuse(
                    Code::Sort,
                    format!("a sort clause is an object, not {}", other.kind()),
                );
            }
        };
        for name in ["$lexical", "$vector", "$vectorize"] {
            if clause.contains(name) && clause.len() > 1 {
                return refuse(Code::Sort, format!("`{name}` must be the only sort key"));
            }
        }
        match clause.single() {
            Some(("$lexical", words)) => lexical(words, settings),
            Some(("$vector", value)) => by_vector(value, settings),
            Some(("$vectorize", _)) => refuse(
                Code::NoEmbedding,
                "sorting by `$vectorize` needs an embedding provider; sort by `$vector`",
            ),
            _ => {
                let mut fields = Vec::with_capacity(clause.len());
                for (name, value) in clause.iter() {
                    fields.push(field(name, value, settings)?);
                }
                Ok(Self::Fields(fields))
            }
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

fn lexical(words: &Value, settings: &Settings) -> Result<Sort> {
    if !settings.lexical.enabled {
        return refuse(
            Code::NoLexicalCollection,
            format!("collection `{}` was created without `lexical`", settings.name),
        );
    }
    match words {
        Value::String(words) => Ok(Sort::Lexical(words.clone())),
        other => refuse(
            Code::Sort,
            format!("sorting by `$lexical` takes a string, not {}", other.kind()),
        ),
    }
}

fn by_vector(value: &Value, settings: &Settings) -> Result<Sort> {
    let values = match value {
        Value::Array(_) | Value::Object(_) => vector::read(value).map_err(|error| match value {
            Value::Object(_) => ApiError::new(Code::SortValue, error.message),
            _ => error,
        })?,
        other => {
            return refuse(
                Code::SortValue,
                format!("sorting by `$vector` takes an array or `$binary`, not {}", other.kind()),
            );
        }
    };
    let Some(space) = &settings.vector else {
        return refuse(
            Code::NoVectors,
            format!("collection `{}` was created without `vector`", settings.name),
        );
    };
    let vector = Vector::new(values);
    vector::check(&vector, space.dimension, space.metric)?;
    Ok(Sort::Vector(vector))
}

fn field(name: &str, value: &Value, settings: &Settings) -> Result<(Path, Direction)> {
    if name.is_empty() || name.starts_with('$') {
        return refuse(Code::SortPath, format!("`{name}` is not a path to sort by"));
    }
    let path = Path::parse(name).map_err(|problem| {
        ApiError::new(Code::SortPath, format!("sort path `{name}`: {problem}"))
    })?;
    let direction = match value.as_integer() {
        Some(1) => Direction::Ascending,
        Some(-1) => Direction::Descending,
        _ => {
            return refuse(
                Code::SortValue,
                format!("sorting by `{name}` takes 1 or -1, not {value}"),
            );
        }
    };
    if !settings.indexing.covers(&path) {
        return refuse(
            Code::SortUnindexed,
            format!("path `{name}` of collection `{}` is not indexed", settings.name),
        );
    }
    Ok((path, direction))
}

/// The order of two documents under a sort by fields; `_id` breaks ties.
pub(crate) fn compare_documents(
    a: &Document,
    b: &Document,
    fields: &[(Path, Direction)],
) -> Ordering {
    for (path, direction) in fields {
        let ordering = if path.is_id() {
            compare_ids(a.id(), b.id())
        } else {
            compare(path.find(&a.body), path.find(&b.body))
        };
        let ordering = match direction {
            Direction::Ascending => ordering,
            Direction::Descending => ordering.reverse(),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    compare_ids(a.id(), b.id())
}

/// As other values, but `$uuid` and `$objectId` come before strings.
fn compare_ids(a: &Value, b: &Value) -> Ordering {
    let is_text = |id: &Value| matches!(id.as_extended(), Some(("$uuid" | "$objectId", _)));
    match (a, b) {
        (Value::String(_), Value::Object(_)) if is_text(b) => Ordering::Greater,
        (Value::Object(_), Value::String(_)) if is_text(a) => Ordering::Less,
        _ => compare(Some(a), Some(b)),
    }
}

/// Missing, null, numbers, strings, objects, arrays, booleans, dates.
pub(crate) fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let (Some(x), Some(y)) = (a, b) else { return rank(a).cmp(&rank(b)) };
    match (x, y) {
        (Value::Number(x), Value::Number(y)) => x.cmp(y),
        // Java compares UTF-16 units, which sorts 🎵 before U+FF5E.
        (Value::String(x), Value::String(y)) => x.encode_utf16().cmp(y.encode_utf16()),
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        (Value::Array(x), Value::Array(y)) => compare_lists(x.iter(), y.iter()),
        (Value::Object(o), Value::Object(p)) => match (x.as_date(), y.as_date()) {
            (Some(x), Some(y)) => x.cmp(&y),
            (None, None) => o
                .iter()
                .zip(p.iter())
                .map(|((m, v), (n, w))| m.cmp(n).then_with(|| compare(Some(v), Some(w))))
                .find(|ordering| ordering.is_ne())
                .unwrap_or_else(|| o.len().cmp(&p.len())),
            _ => rank(a).cmp(&rank(b)),
        },
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_lists<'a>(
    a: impl ExactSizeIterator<Item = &'a Value>,
    b: impl ExactSizeIterator<Item = &'a Value>,
) -> Ordering {
    let lengths = a.len().cmp(&b.len());
    a.zip(b)
        .map(|(x, y)| compare(Some(x), Some(y)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(lengths)
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Number(_)) => 2,
        Some(Value::String(_)) => 3,
        Some(value @ (Value::Object(_) | Value::Packed(_))) => {
            if value.as_date().is_some() {
                7
            } else {
                4
            }
        }
        Some(Value::Array(_) | Value::Raw(_) | Value::Numbers(_)) => 5,
        Some(Value::Bool(_)) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use crate::limits::Limits;
    use crate::settings::Features;

    fn settings(options: &str) -> Settings {
        let features = Features { lexical: true, rerank: false };
        Settings::parse("c", Some(&parse(options, 100).unwrap()), &features, &Limits::default())
            .unwrap()
    }

    #[test]
    fn types_have_an_order() {
        let texts = [
            "null",
            "-1",
            "2",
            "10",
            r#""""#,
            r#""10""#,
            r#""2""#,
            "\"\u{1f3b5}\"",
            "\"\u{ff5e}\"",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":2}"#,
            "[]",
            "[1]",
            "[1,2]",
            "[2]",
            "false",
            "true",
            r#"{"$date":1}"#,
            r#"{"$date":2}"#,
        ];
        let values: Vec<_> = texts.iter().map(|text| parse(text, 100).unwrap()).collect();
        assert_eq!(compare(None, Some(&Value::Null)), Ordering::Less);
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(compare(Some(a), Some(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn ids_of_extended_types_come_before_texts() {
        let id = |text| parse(text, 100).unwrap();
        let uuid = id(r#"{"$uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479"}"#);
        let object = id(r#"{"$objectId":"65f000000000000000000000"}"#);
        for text in ["\"a\"", "\"z\""] {
            for extended in [&uuid, &object] {
                assert_eq!(compare_ids(extended, &id(text)), Ordering::Less);
                assert_eq!(compare_ids(&id(text), extended), Ordering::Greater);
            }
        }
        assert_eq!(compare_ids(&id("1"), &uuid), Ordering::Less);
    }

    #[test]
    fn bad_clauses_have_their_codes() {
        let plain = "{}";
        let vectors =
            r#"{"vector":{"dimension":2},"indexing":{"deny":["p"]},"lexical":{"enabled":false}}"#;
        for (clause, options, code) in [
            ("[]", plain, Code::Sort),
            (r#"{"$vector":[1,2],"a":1}"#, vectors, Code::Sort),
            (r#"{"$vector":"x"}"#, vectors, Code::SortValue),
            (r#"{"$vector":{"$binary":"AA"}}"#, vectors, Code::SortValue),
            (r#"{"$vector":[]}"#, vectors, Code::VectorEmpty),
            (r#"{"$vector":[1,2,3]}"#, vectors, Code::VectorLength),
            (r#"{"$vector":[0,0]}"#, vectors, Code::Query),
            (r#"{"$vector":[1,2]}"#, plain, Code::NoVectors),
            (r#"{"$vectorize":"x"}"#, vectors, Code::NoEmbedding),
            (r#"{"$lexical":"x"}"#, vectors, Code::NoLexicalCollection),
            (r#"{"$lexical":1}"#, plain, Code::Sort),
            (r#"{"a":2}"#, plain, Code::SortValue),
            (r#"{"a":1.0}"#, vectors, Code::SortValue),
            (r#"{"a":"asc"}"#, plain, Code::SortValue),
            (r#"{"":1}"#, plain, Code::SortPath),
            (r#"{"$x":1}"#, plain, Code::SortPath),
            (r#"{"a..b":1}"#, plain, Code::SortPath),
            (r#"{"p.q":1}"#, vectors, Code::SortUnindexed),
        ] {
            let error = Sort::parse(Some(&parse(clause, 100).unwrap()), &settings(options)).err();
            // `1.0` is the integer 1 for a reader of decimals.
            if clause == r#"{"a":1.0}"# {
                assert_eq!(error, None);
                continue;
            }
            assert_eq!(error.map(|e| e.code), Some(code), "{clause}");
        }
    }
}
