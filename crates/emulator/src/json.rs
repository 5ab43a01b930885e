//! JSON as the Data API sees it: exact numbers, ordered members, no duplicates.
//!
//! `serde_json` would do, with two of its features; features are shared by a
//! whole workspace, and a test server has no business changing how the program
//! under test reads JSON. So the emulator reads and writes its own.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::number::Number;

mod parse;

pub(crate) use parse::{ParseError, parse, parse_first};

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Value>),
    Object(Object),
    /// Text that is already JSON.
    Raw(Box<str>),
    /// A vector written as an array. Only in stored documents: 500 numbers as a
    /// tree take ten times their text.
    Numbers(Numbers),
    /// A vector written as `$binary`, without its base64. Only in stored documents.
    Packed(Arc<[f32]>),
}

/// The numbers of an array in little space, from which the array is written
/// again as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    /// Each is the shortest decimal of its float.
    Single(Arc<[f32]>),
    /// Each is the shortest decimal of its float as a double, as programs write
    /// floats that have no type for them.
    Widened(Arc<[f32]>),
    /// Each is the shortest decimal of a double.
    Double(Box<[f64]>),
    /// Anything else.
    Text(Box<str>),
}

impl Numbers {
    /// The smallest form of `array`, whose elements rounded to floats are
    /// `values`. Of values that are floats it takes no memory of its own.
    pub(crate) fn of(array: &Value, values: &Arc<[f32]>) -> Self {
        let text = array.to_string();
        let doubles = match array {
            Value::Array(array) => array.iter().filter_map(|value| match value {
                Value::Number(number) => Some(number.to_f64()),
                _ => None,
            }),
            _ => return Self::Text(text.into()),
        };
        let double = Self::Double(doubles.collect());
        [Self::Single(Arc::clone(values)), Self::Widened(Arc::clone(values)), double]
            .into_iter()
            .find(|numbers| numbers.is_written(&text))
            .unwrap_or_else(|| Self::Text(text.into()))
    }

    fn is_written(&self, text: &str) -> bool {
        let mut written = String::with_capacity(text.len());
        self.write(&mut written);
        written == text
    }

    pub(crate) fn write(&self, out: &mut String) {
        let mut literal = String::new();
        let mut write = |first: bool, double: Option<f64>, single: f32| {
            out.push(if first { '[' } else { ',' });
            literal.clear();
            let _ = match double {
                Some(value) => write!(literal, "{value:?}"),
                None => write!(literal, "{single:?}"),
            };
            // The literal of a whole float ends in `.0`, which no client writes
            // for an integer.
            let literal = literal.strip_suffix(".0").unwrap_or(&literal);
            let number = Number::parse(literal).unwrap_or_else(Number::zero);
            let _ = write!(out, "{number}");
        };
        match self {
            Self::Text(text) => return out.push_str(text),
            Self::Single(values) => {
                values.iter().enumerate().for_each(|(at, value)| write(at == 0, None, *value));
            }
            Self::Widened(values) => values
                .iter()
                .enumerate()
                .for_each(|(at, value)| write(at == 0, Some(f64::from(*value)), *value)),
            Self::Double(values) => {
                values.iter().enumerate().for_each(|(at, value)| write(at == 0, Some(*value), 0.0))
            }
        }
        out.push(']');
    }

    /// The array as a tree.
    pub(crate) fn to_value(&self) -> Value {
        let mut text = String::new();
        self.write(&mut text);
        parse(&text, usize::MAX).unwrap_or(Value::Null)
    }
}

/// Members in the order they were written. Names are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a member, in its old place if it has one.
    pub(crate) fn set(&mut self, name: impl Into<String> + AsRef<str>, value: Value) {
        match self.get_mut(name.as_ref()) {
            Some(old) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    pub(crate) fn insert_first(&mut self, name: &str, value: Value) {
        self.remove(name);
        self.0.insert(0, (name.to_owned(), value));
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// The only member, if there is exactly one.
    pub(crate) fn single(&self) -> Option<(&str, &Value)> {
        match self.0.as_slice() {
            [(name, value)] => Some((name, value)),
            _ => None,
        }
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Bool(_) => "Boolean",
            Self::Number(_) => "Number",
            Self::String(_) => "String",
            Self::Array(_) | Self::Raw(_) | Self::Numbers(_) => "Array",
            Self::Object(_) | Self::Packed(_) => "Object",
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer written as one.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Number(number) if number.is_integer() => number.as_i64(),
            _ => None,
        }
    }

    /// `{"$name": value}`: the name and the value of an extended JSON value.
    pub(crate) fn as_extended(&self) -> Option<(&str, &Value)> {
        self.as_object()?.single().filter(|(name, _)| name.starts_with('$'))
    }

    /// Milliseconds of a well-formed `{"$date": …}`.
    pub(crate) fn as_date(&self) -> Option<i64> {
        match self.as_extended()? {
            ("$date", value) => value.as_integer(),
            _ => None,
        }
    }

    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Self::String(text) => write_string(text, out),
            Self::Raw(text) => out.push_str(text),
            Self::Numbers(numbers) => numbers.write(out),
            Self::Packed(values) => {
                out.push_str("{\"$binary\":\"");
                write_binary(values, out);
                out.push_str("\"}");
            }
            Self::Array(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out),
        }
    }
}

impl Value {
    /// Characters of the JSON text that [`write`](Self::write) makes, as Java
    /// counts them: in UTF-16 units.
    pub(crate) fn characters(&self) -> usize {
        let with_commas = |count: usize| 2 + count.saturating_sub(1);
        match self {
            Self::Null | Self::Bool(true) => 4,
            Self::Bool(false) => 5,
            Self::Number(number) => number.characters(),
            Self::String(text) => characters_of(text),
            Self::Raw(text) => text.encode_utf16().count(),
            Self::Numbers(Numbers::Text(text)) => text.len(),
            Self::Numbers(numbers) => {
                let mut text = String::new();
                numbers.write(&mut text);
                text.len()
            }
            Self::Packed(values) => "{\"$binary\":\"\"}".len() + (values.len() * 4).div_ceil(3) * 4,
            Self::Array(values) => {
                with_commas(values.len()) + values.iter().map(Self::characters).sum::<usize>()
            }
            Self::Object(object) => object.characters(),
        }
    }
}

fn characters_of(text: &str) -> usize {
    let of_byte = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        // What continues a character; those of four bytes are two units.
        0x80..0xc0 => 0,
        0xf0.. => 2,
        _ => 1,
    };
    2 + text.bytes().map(of_byte).sum::<usize>()
}

impl Object {
    /// As [`Value::characters`].
    pub(crate) fn characters(&self) -> usize {
        let members = self.iter().map(|(name, value)| characters_of(name) + 1 + value.characters());
        2 + self.len().saturating_sub(1) + members.sum::<usize>()
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push('{');
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            write_string(name, out);
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}

/// Base64 of big-endian floats.
pub(crate) fn write_binary(values: &[f32], out: &mut String) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    STANDARD.encode_string(bytes, out);
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut start = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[start..i]);
        start = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[start..]);
    out.push('"');
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(Number::from_i64(value))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::Array(values)
    }
}

/// Builds an object: `object! { "ok" => 1_i64 }`.
macro_rules! object {
    ($($name:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "an empty object is written the same way")]
        let mut object = $crate::json::Object::new();
        $(object.set($name, $crate::json::Value::from($value));)*
        object
    }};
}
pub(crate) use object;

#[cfg(test)]
mod tests;
