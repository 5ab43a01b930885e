//! JSON as the Data API sees it: exact numbers, ordered members, no duplicates.
//!
//! `serde_json` would do, with two of its features; features are shared by a
//! whole workspace, and a test server has no business changing how the program
//! under test reads JSON. So the emulator reads and writes its own.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::number::Number;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Value>),
    Object(Object),
    /// Text that is already JSON. Only in stored documents, for vectors written
    /// as arrays: 500 numbers as a tree take ten times their text.
    Raw(Box<str>),
    /// A vector written as `$binary`, without its base64. Only in stored documents.
    Packed(Arc<[f32]>),
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

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
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
            Self::Array(_) | Self::Raw(_) => "Array",
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

impl Object {
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

/// Why a text is not JSON that a server takes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("{problem} at byte {at}")]
    Syntax { at: usize, problem: &'static str },
    #[error("duplicate member `{0}`")]
    Duplicate(String),
    #[error("a number of {0} characters exceeds the maximum allowed ({1})")]
    NumberTooLong(usize, usize),
    #[error("nested more than {MAX_NESTING} levels deep")]
    TooDeep,
}

/// Beyond every document limit, and well within the stack.
const MAX_NESTING: usize = 200;

/// Reads one JSON text.
pub(crate) fn parse(text: &str, max_number_length: usize) -> Result<Value, ParseError> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, depth: 0, max_number_length };
    parser.skip_space();
    let value = parser.value()?;
    parser.skip_space();
    if parser.at < parser.bytes.len() {
        return Err(parser.error("unexpected text after the value"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    max_number_length: usize,
}

impl Parser<'_> {
    fn error(&self, problem: &'static str) -> ParseError {
        ParseError::Syntax { at: self.at, problem }
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        match self.bytes.get(self.at) {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("unexpected end")),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, ParseError>,
    ) -> Result<Value, ParseError> {
        if self.depth == MAX_NESTING {
            return Err(ParseError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParseError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, ParseError> {
        let mut members: Vec<(String, Value)> = Vec::new();
        // Few members are compared one by one; many get a set.
        let mut seen: Option<HashSet<String>> = None;
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::Object(Object(members)));
        }
        loop {
            self.skip_space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.error("expected a member name"));
            }
            let name = self.string()?;
            if members.len() == 16 {
                seen = Some(members.iter().map(|(name, _)| name.clone()).collect());
            }
            let duplicate = match &mut seen {
                Some(seen) => !seen.insert(name.clone()),
                None => members.iter().any(|(other, _)| *other == name),
            };
            if duplicate {
                return Err(ParseError::Duplicate(name));
            }
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error("expected `:`"));
            }
            self.skip_space();
            let value = self.value()?;
            members.push((name, value));
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::Object(Object(members)));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn array(&mut self) -> Result<Value, ParseError> {
        let mut values = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            self.skip_space();
            values.push(self.value()?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Value::Array(values));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        if !matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            return Err(self.error("expected a digit"));
        }
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        } else if matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            return Err(self.error("a number must not start with zero"));
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        let literal = &self.text[start..self.at];
        if literal.len() > self.max_number_length {
            return Err(ParseError::NumberTooLong(literal.len(), self.max_number_length));
        }
        Number::parse(literal).map(Value::Number).ok_or(self.error("the exponent is too large"))
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut start = self.at;
        let mut text = String::new();
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.error("unexpected end of a string")),
                Some(b'"') => {
                    text.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    text.push(self.escape()?);
                    start = self.at;
                }
                Some(0..=0x1f) => return Err(self.error("control character in a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let byte = *self.bytes.get(self.at).ok_or(self.error("unexpected end of a string"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    if !(self.eat(b'\\') && self.eat(b'u')) {
                        return Err(self.error("half of a surrogate pair"));
                    }
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.error("half of a surrogate pair"));
                    }
                    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                char::from_u32(code).ok_or(self.error("half of a surrogate pair"))?
            }
            _ => return Err(self.error("unknown escape")),
        })
    }

    fn hex(&mut self) -> Result<u32, ParseError> {
        let text = self.text.get(self.at..self.at + 4);
        let code = text
            .filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|t| u32::from_str_radix(t, 16).ok())
            .ok_or(self.error("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_comes_back_as_it_was_written() {
        let text = r#"{"b":[1,-2.5,"x\"\\\n é 🎵",null,true],"a":{},"empty":[],"big":123456789012345678901234567890}"#;

        assert_eq!(parse(text, 100).unwrap().to_string(), text);
    }

    #[test]
    fn bad_texts_are_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "nul",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\u{1}\"",
            "{} {}",
            "{a:1}",
            "'a'",
            "\"\\u12\u{e9}\"",
        ] {
            assert!(matches!(parse(text, 100), Err(ParseError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn duplicates_are_refused_in_small_and_large_objects() {
        assert_eq!(
            parse(r#"{"a":1,"b":{"c":1,"c":2}}"#, 100),
            Err(ParseError::Duplicate("c".into()))
        );
        let members: Vec<_> = (0..40).map(|i| format!("\"k{i}\":{i}")).collect();
        let text = format!("{{{},\"k7\":1}}", members.join(","));
        assert_eq!(parse(&text, 100), Err(ParseError::Duplicate("k7".into())));
        assert!(parse(&format!("{{{}}}", members.join(",")), 100).is_ok());
    }

    #[test]
    fn a_long_number_and_a_deep_nest_are_refused() {
        assert_eq!(parse(&"9".repeat(101), 100), Err(ParseError::NumberTooLong(101, 100)));
        assert_eq!(parse(&"[".repeat(100_000), 100), Err(ParseError::TooDeep));
    }

    proptest! {
        #[test]
        fn any_string_survives(text in any::<String>()) {
            let written = Value::String(text.clone()).to_string();
            prop_assert_eq!(parse(&written, 100).unwrap(), Value::String(text.clone()));
            let other: serde_json::Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(other.as_str(), Some(text.as_str()));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text, 100);
        }
    }
}
