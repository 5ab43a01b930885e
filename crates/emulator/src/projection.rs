//! Projections: which parts of a document are answered.

use std::collections::HashMap;

use crate::document::Document;
use crate::error::{ApiError, Code, Result, refuse};
use crate::json::{Object, Value};
use crate::number::Number;
use crate::path::Path;

/// What to answer of each document.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Everything,
    Nothing,
    Include(Layer),
    Exclude(Layer),
}

/// One level of the projected paths.
#[derive(Clone, Debug, Default)]
struct Layer {
    path: String,
    end: Option<End>,
    next: HashMap<String, Layer>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Slice { skip: Option<i64>, count: i64 },
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::ProjectionParam, message)
}

/// What a projection says, before inclusion or exclusion is known.
#[derive(Default)]
struct Collected {
    paths: Vec<String>,
    slices: Vec<(String, End)>,
    including: Option<bool>,
    id: Option<bool>,
    vector: Option<bool>,
    vectorize: Option<bool>,
    lexical: Option<bool>,
}

impl Projection {
    pub(crate) fn parse(written: Option<&Value>) -> Result<Self> {
        let empty = Object::new();
        let definition = match written {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(object)) => object,
            Some(other) => {
                return refuse(
                    Code::Projection,
                    format!("a projection is an object, not {}", other.kind()),
                );
            }
        };
        if let Some(("*", value)) = definition.single() {
            let shape = match included(value) {
                Some(true) => Shape::Everything,
                Some(false) => Shape::Nothing,
                None => return Err(bad(format!("`*` takes 0 or 1, not {}", value.kind()))),
            };
            return Ok(Self { shape });
        }
        let mut collected = Collected::default();
        collected.read(definition, None)?;
        collected.build().map(|shape| Self { shape })
    }

    /// The projection for commands that answer no document.
    pub(crate) fn everything() -> Self {
        Self { shape: Shape::Everything }
    }

    pub(crate) fn apply(&self, document: &Document, similarity: Option<f32>) -> Object {
        let mut projected = match &self.shape {
            Shape::Everything => document.body.clone(),
            Shape::Nothing => Object::new(),
            Shape::Include(layer) => layer.include(&document.body),
            Shape::Exclude(layer) => layer.exclude(&document.body),
        };
        if let Some(similarity) = similarity {
            let text: Box<str> = format!("{similarity:?}").into();
            let value = if similarity.is_finite() { Value::Raw(text) } else { Value::Null };
            projected.set("$similarity", value);
        }
        projected
    }

    /// The documents of an answer, before anything else changed them.
    pub(crate) fn apply_to_body(&self, body: &Object) -> Object {
        match &self.shape {
            Shape::Everything => body.clone(),
            Shape::Nothing => Object::new(),
            Shape::Include(layer) => layer.include(body),
            Shape::Exclude(layer) => layer.exclude(body),
        }
    }
}

fn included(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => Some(!number.is_zero()),
        _ => None,
    }
}

impl Collected {
    fn read(&mut self, definition: &Object, parent: Option<&str>) -> Result<()> {
        for (name, value) in definition.iter() {
            if name.is_empty() {
                return Err(bad("a projection path must not be empty"));
            }
            if name.starts_with('$') && !matches!(name, "$vector" | "$vectorize" | "$lexical") {
                match parent {
                    None => {
                        return Err(bad(format!(
                            "`{name}` cannot be projected; only `$vector`, `$vectorize` and `$lexical` start with `$`"
                        )));
                    }
                    Some(parent) if name == "$slice" => {
                        self.slices.push((parent.to_owned(), slice(parent, value)?));
                        continue;
                    }
                    Some(_) => {
                        return Err(bad(format!("there is no projection operator `{name}`")));
                    }
                }
            }
            if name == "*" {
                return Err(bad("`*` must be the only path of a projection"));
            }
            let path = match parent {
                None => name.to_owned(),
                Some(parent) => format!("{parent}.{name}"),
            };
            match (included(value), value) {
                (Some(include), _) => self.add(path, include)?,
                (None, Value::Object(object)) => self.read(object, Some(&path))?,
                (None, other) => {
                    return Err(bad(format!(
                        "projection path `{path}` takes a number, boolean or object, not {}",
                        other.kind()
                    )));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, include: bool) -> Result<()> {
        match path.as_str() {
            "_id" => self.id = Some(include),
            "$vector" => self.vector = Some(include),
            "$vectorize" => self.vectorize = Some(include),
            "$lexical" => self.lexical = Some(include),
            _ if self.including.is_some_and(|including| including != include) => {
                return Err(bad(if include {
                    format!("`{path}` cannot be included by a projection that excludes")
                } else {
                    format!("`{path}` cannot be excluded by a projection that includes")
                }));
            }
            _ => {
                self.including = Some(include);
                self.paths.push(path);
            }
        }
        Ok(())
    }

    fn build(self) -> Result<Shape> {
        // A projection of `_id` and `$` fields alone excludes: so does the server.
        let include = self.including == Some(true);
        let mut root = Layer::default();
        for path in &self.paths {
            root.add(path, End::Whole)?;
        }
        for (path, end) in &self.slices {
            root.add(path, *end)?;
        }
        for (name, wanted, default) in [
            ("_id", self.id, true),
            ("$vector", self.vector, false),
            ("$vectorize", self.vectorize, false),
            ("$lexical", self.lexical, false),
        ] {
            if wanted.unwrap_or(default) == include {
                root.add(name, End::Whole)?;
            }
        }
        Ok(if include { Shape::Include(root) } else { Shape::Exclude(root) })
    }
}

fn slice(path: &str, value: &Value) -> Result<End> {
    let integer = |value: &Value| match value {
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    match value {
        Value::Number(_) => {
            if let Some(count) = integer(value) {
                return Ok(End::Slice { skip: None, count });
            }
        }
        Value::Array(values) => {
            if let [skip, count] = values.as_slice()
                && let (Some(skip), Some(count)) = (integer(skip), integer(count))
            {
                if count < 0 {
                    return Err(bad(format!(
                        "`$slice` of `{path}` must not return {count} elements"
                    )));
                }
                return Ok(End::Slice { skip: Some(skip), count });
            }
        }
        _ => {}
    }
    Err(bad(format!("`$slice` of `{path}` takes an integer or two, not {value}")))
}

impl Layer {
    fn add(&mut self, written: &str, end: End) -> Result<()> {
        let path = Path::parse(written)
            .map_err(|problem| bad(format!("projection path `{written}`: {problem}")))?;
        let conflict =
            |other: &str| Err(bad(format!("projection paths `{written}` and `{other}` overlap")));
        let mut layer = self;
        for segment in path.segments() {
            if layer.end.is_some() {
                return conflict(&layer.path);
            }
            layer = layer.next.entry(segment.clone()).or_default();
        }
        if layer.end.is_some() || !layer.next.is_empty() {
            let other =
                if layer.end.is_some() { layer.path.clone() } else { format!("{written}.…") };
            return conflict(&other);
        }
        layer.path = written.to_owned();
        layer.end = Some(end);
        Ok(())
    }

    fn include(&self, object: &Object) -> Object {
        object
            .iter()
            .filter_map(|(name, value)| {
                let layer = self.next.get(name)?;
                Some((name.to_owned(), layer.include_value(value)))
            })
            .collect()
    }

    fn include_value(&self, value: &Value) -> Value {
        match (self.end, value) {
            (Some(end), value) => end.of(value),
            (None, Value::Object(object)) => Value::Object(self.include(object)),
            (None, Value::Array(values)) => {
                Value::Array(values.iter().map(|value| self.include_value(value)).collect())
            }
            // A path that goes on below a scalar leaves the scalar.
            (None, value) => value.clone(),
        }
    }

    fn exclude(&self, object: &Object) -> Object {
        object
            .iter()
            .filter_map(|(name, value)| {
                let kept = match self.next.get(name) {
                    None => value.clone(),
                    Some(layer) => match layer.end {
                        Some(End::Whole) => return None,
                        Some(end) => end.of(value),
                        None => layer.exclude_value(value),
                    },
                };
                Some((name.to_owned(), kept))
            })
            .collect()
    }

    fn exclude_value(&self, value: &Value) -> Value {
        match value {
            Value::Object(object) => Value::Object(self.exclude(object)),
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.exclude_value(value)).collect())
            }
            value => value.clone(),
        }
    }
}

impl End {
    fn of(self, value: &Value) -> Value {
        let Self::Slice { skip, count } = self else { return value.clone() };
        let parsed;
        let values = match value {
            Value::Array(values) => values,
            Value::Numbers(numbers) => match numbers.to_value() {
                Value::Array(values) => {
                    parsed = values;
                    &parsed
                }
                _ => return value.clone(),
            },
            other => return other.clone(),
        };
        let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
        let (from, to) = match skip {
            None if count >= 0 => (0, count.min(length)),
            None => (length.saturating_add(count).max(0), length),
            Some(skip) => {
                let from =
                    if skip >= 0 { skip.min(length) } else { length.saturating_add(skip).max(0) };
                (from, from.saturating_add(count).min(length))
            }
        };
        let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
        Value::Array(values.get(range).unwrap_or_default().to_vec())
    }
}

/// The vector of a query, as `status.sortVector` shows it.
pub(crate) fn vector_to_json(values: &[f32]) -> Value {
    Value::Array(values.iter().map(|v| Value::Number(Number::from_f32(*v))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    const DOCUMENT: &str = r#"{"_id":1,"a":{"x":1,"y":[{"z":1,"w":2},3]},"b":[1,2,3,4],"c.d":5,"$vector":[1,2],"$lexical":"w"}"#;

    fn project(projection: &str) -> Result<String> {
        let Value::Object(body) = parse(DOCUMENT, 100).unwrap() else { unreachable!() };
        let projection = Projection::parse(Some(&parse(projection, 100).unwrap()))?;
        Ok(Value::Object(projection.apply_to_body(&body)).to_string())
    }

    #[test]
    fn the_default_leaves_out_the_special_fields() {
        let default = r#"{"_id":1,"a":{"x":1,"y":[{"z":1,"w":2},3]},"b":[1,2,3,4],"c.d":5}"#;
        assert_eq!(project("{}").unwrap(), default);
        assert_eq!(project("null").unwrap(), default);
        // The trap: naming only `_id` excludes nothing.
        assert_eq!(project(r#"{"_id":1}"#).unwrap(), default);
    }

    #[test]
    fn projections_include_and_exclude() {
        for (projection, expected) in [
            (r#"{"*":1}"#, DOCUMENT),
            (r#"{"*":0}"#, "{}"),
            (r#"{"a.x":1}"#, r#"{"_id":1,"a":{"x":1}}"#),
            (r#"{"a":{"y":{"z":1}},"_id":0}"#, r#"{"a":{"y":[{"z":1},3]}}"#),
            (r#"{"a.y.z":0,"b":false,"c&.d":0}"#, r#"{"_id":1,"a":{"x":1,"y":[{"w":2},3]}}"#),
            (r#"{"c&.d":true,"$vector":1}"#, r#"{"_id":1,"c.d":5,"$vector":[1,2]}"#),
            (r#"{"none":1}"#, r#"{"_id":1}"#),
            (r#"{"b.x":1}"#, r#"{"_id":1,"b":[1,2,3,4]}"#),
            (r#"{"none":1,"b":{"$slice":2}}"#, r#"{"_id":1,"b":[1,2]}"#),
            (r#"{"none":1,"b":{"$slice":-3}}"#, r#"{"_id":1,"b":[2,3,4]}"#),
            (r#"{"none":1,"b":{"$slice":[1,2]}}"#, r#"{"_id":1,"b":[2,3]}"#),
            (r#"{"none":1,"b":{"$slice":[-2,1]}}"#, r#"{"_id":1,"b":[3]}"#),
            (r#"{"a":0,"b":{"$slice":1}}"#, r#"{"_id":1,"b":[1],"c.d":5}"#),
        ] {
            assert_eq!(project(projection).unwrap(), expected, "{projection}");
        }
    }

    #[test]
    fn bad_projections_have_their_codes() {
        for projection in [
            r#"{"a":1,"b":0}"#,
            r#"{"a":1,"*":1}"#,
            r#"{"$x":1}"#,
            r#"{"a":{"$each":1}}"#,
            r#"{"a":"yes"}"#,
            r#"{"":1}"#,
            r#"{"a":1,"a.x":1}"#,
            r#"{"a.x":1,"a":1}"#,
            r#"{"b":{"$slice":[1,-2]}}"#,
            r#"{"b":{"$slice":"x"}}"#,
            r#"{"a&b":1}"#,
        ] {
            assert_eq!(
                project(projection).unwrap_err().code,
                Code::ProjectionParam,
                "{projection}"
            );
        }
        assert_eq!(project("[]").unwrap_err().code, Code::Projection);
    }
}
