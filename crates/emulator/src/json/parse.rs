//! A strict reader of JSON: every error has its place, duplicates are errors.

use std::collections::HashSet;

use super::{Object, Value};
use crate::number::Number;

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
    let mut parser = Parser::new(text, max_number_length);
    let value = parser.first()?;
    parser.skip_space();
    if parser.at < parser.bytes.len() {
        return Err(parser.error("unexpected text after the value"));
    }
    Ok(value)
}

/// Reads the value that `text` begins with, whatever comes after it.
pub(crate) fn parse_first(text: &str, max_number_length: usize) -> Result<Value, ParseError> {
    Parser::new(text, max_number_length).first()
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    max_number_length: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, max_number_length: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0, max_number_length }
    }

    fn first(&mut self) -> Result<Value, ParseError> {
        self.skip_space();
        self.value()
    }

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
                let code = match (0xd800..0xdc00).contains(&high).then(|| self.low_half()) {
                    Some(Some(low)) => 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    Some(None) | None => high,
                };
                // The server takes half of a surrogate pair, which is no text.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.error("unknown escape")),
        })
    }

    /// The second half of a surrogate pair, if it comes next.
    fn low_half(&mut self) -> Option<u32> {
        let start = self.at;
        if self.eat(b'\\')
            && self.eat(b'u')
            && let Ok(low @ 0xdc00..0xe000) = self.hex()
        {
            return Some(low);
        }
        self.at = start;
        None
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
