//! The tokens of SuperCollider code. Comments are none; whatever is wrong is passed
//! over, because people write notes and unfinished code into the same files.

use std::ops::Range;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// In bytes.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name that begins with a small letter, also one of the environment.
    Name,
    /// A name that begins with a capital letter.
    Class,
    /// A number; nothing where it is none that is read here, such as a scale degree.
    Number(Option<f64>),
    /// `\name` or `'name'`.
    Symbol(String),
    Text(String),
    /// A character such as `$a`.
    Character,
    /// An operator of one or more signs, such as `*` or `->`.
    Operator,
    /// A single sign, or `..` (`r`) or `...` (`e`).
    Sign(char),
}

/// The characters of operators. `|` also begins and ends arguments, and is a sign.
const OPERATORS: &[u8] = b"!@%&*-+<>?/=";

/// The tokens of a source.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader::of(source);
    let mut tokens: Vec<Token> = Vec::new();
    while let Some(token) = reader.next() {
        // Texts that stand side by side are one.
        if let Kind::Text(text) = &token.kind
            && let Some(Token { kind: Kind::Text(before), span }) = tokens.last_mut()
        {
            before.push_str(text);
            span.end = token.span.end;
            continue;
        }
        tokens.push(token);
    }
    tokens
}

/// The comments of a source, without their signs.
pub(super) fn comments(source: &str) -> Vec<&str> {
    let mut reader = Reader::of(source);
    while reader.next().is_some() {}
    let text = |span: Range<usize>| {
        source[span].trim_matches(|c: char| c == '/' || c == '*' || c.is_whitespace())
    };
    reader.comments.into_iter().map(text).collect()
}

struct Reader<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    comments: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn of(source: &'a str) -> Self {
        Self { source, bytes: source.as_bytes(), at: 0, comments: Vec::new() }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            if self.at >= self.bytes.len() {
                return None;
            }
            if self.peek(0).is_ascii_whitespace() {
                self.at += 1;
            } else if !self.comment() {
                break;
            }
        }
        let start = self.at;
        let kind = match self.peek(0) {
            b'"' => Kind::Text(self.quoted(b'"', true).unwrap_or_default()),
            b'\'' => match self.quoted(b'\'', false) {
                Some(name) => Kind::Symbol(name),
                None => self.sign(),
            },
            b'\\' => {
                self.at += 1;
                self.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Kind::Symbol(self.source[start + 1..self.at].to_owned())
            }
            b'$' => self.character(),
            b'0'..=b'9' => self.number(),
            b'a'..=b'z' | b'_' => self.name(Kind::Name),
            b'~' => {
                self.at += 1;
                self.name(Kind::Name)
            }
            b'A'..=b'Z' => self.name(Kind::Class),
            b'=' if self.peek(1) != b'=' => self.sign(),
            byte if OPERATORS.contains(&byte) => self.operator(),
            _ => self.sign(),
        };
        Some(Token { kind, span: start..self.at })
    }

    fn skip(&mut self, passes: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && passes(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    // Passes over a comment, if there is one here.
    fn comment(&mut self) -> bool {
        let begin = self.at;
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => self.skip(|byte| byte != b'\n'),
            (b'/', b'*') => {
                let mut depth = 0_usize;
                while self.at < self.bytes.len() {
                    match (self.peek(0), self.peek(1)) {
                        (b'/', b'*') => (depth, self.at) = (depth + 1, self.at + 2),
                        (b'*', b'/') => (depth, self.at) = (depth - 1, self.at + 2),
                        _ => self.at += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
                self.at = self.at.min(self.bytes.len());
            }
            _ => return false,
        }
        self.comments.push(begin..self.at);
        true
    }

    // What stands between two quotes. A text that does not end goes on to the end; a
    // symbol that does not end in its line is none, but the apostrophe of a note.
    fn quoted(&mut self, quote: u8, over_lines: bool) -> Option<String> {
        let mut bytes = Vec::new();
        let mut at = self.at + 1;
        loop {
            match self.bytes.get(at) {
                Some(byte) if *byte == quote => break,
                Some(b'\n') | None if !over_lines => return None,
                None => break,
                Some(b'\\') => {
                    at += 1;
                    match self.bytes.get(at) {
                        Some(b'n') => bytes.push(b'\n'),
                        Some(b't') => bytes.push(b'\t'),
                        Some(b'r') => bytes.push(b'\r'),
                        Some(other) => bytes.push(*other),
                        None => break,
                    }
                }
                Some(other) => bytes.push(*other),
            }
            at += 1;
        }
        self.at = (at + 1).min(self.bytes.len());
        // The signs that are looked for are ASCII, so that no character is cut.
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn character(&mut self) -> Kind {
        self.at += if self.peek(1) == b'\\' { 2 } else { 1 };
        self.one();
        Kind::Character
    }

    fn sign(&mut self) -> Kind {
        if self.peek(0) == b'.' && self.peek(1) == b'.' {
            let is_rest = self.peek(2) == b'.';
            self.at += if is_rest { 3 } else { 2 };
            return Kind::Sign(if is_rest { 'e' } else { 'r' });
        }
        Kind::Sign(self.one().unwrap_or(' '))
    }

    // Goes on by one character.
    fn one(&mut self) -> Option<char> {
        let one = self.source.get(self.at..).and_then(|rest| rest.chars().next());
        self.at += one.map_or(0, char::len_utf8);
        one
    }

    fn name(&mut self, kind: Kind) -> Kind {
        self.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        kind
    }

    fn operator(&mut self) -> Kind {
        while OPERATORS.contains(&self.peek(0)) {
            // `a +/* why */ b`.
            if self.peek(0) == b'/' && matches!(self.peek(1), b'/' | b'*') {
                break;
            }
            self.at += 1;
        }
        Kind::Operator
    }

    fn number(&mut self) -> Kind {
        let start = self.at;
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        self.skip(digits);
        if self.peek(0) == b'r' && self.peek(1).is_ascii_alphanumeric() {
            let radix = self.source[start..self.at].parse().ok();
            self.at += 1;
            let begin = self.at;
            self.skip(|byte| byte.is_ascii_alphanumeric());
            let radix = radix.filter(|radix| (2..=36).contains(radix));
            let value = radix
                .and_then(|radix| u64::from_str_radix(&self.source[begin..self.at], radix).ok());
            return Kind::Number(value.map(|value| value as f64));
        }
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip(digits);
        }
        let signed = usize::from(matches!(self.peek(1), b'-' | b'+'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + signed).is_ascii_digit() {
            self.at += 1 + signed;
            self.skip(digits);
        }
        let value: Option<f64> = self.source[start..self.at].replace('_', "").parse().ok();
        let value = value.filter(|value| value.is_finite());
        if self.source[self.at..].starts_with("pi") && !self.peek(2).is_ascii_alphanumeric() {
            self.at += 2;
            return Kind::Number(value.map(|value| value * std::f64::consts::PI));
        }
        // A scale degree, such as `4s` or `3b50`.
        if matches!(self.peek(0), b's' | b'b') && !self.peek(1).is_ascii_alphabetic() {
            self.skip(|byte| byte.is_ascii_digit() || matches!(byte, b's' | b'b'));
            return Kind::Number(None);
        }
        Kind::Number(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<Kind> {
        tokens(source).into_iter().map(|token| token.kind).collect()
    }

    fn number(value: f64) -> Kind {
        Kind::Number(Some(value))
    }

    #[test]
    fn comments_nest_and_are_no_code() {
        let source = "1 /* a /* b */ c */ 2 // SynthDef(\\x\n3";
        assert_eq!(kinds(source), [number(1.0), number(2.0), number(3.0)]);
        assert_eq!(comments(source), ["a /* b */ c", "SynthDef(\\x"]);
        assert_eq!(kinds("1 /* never ends /* "), [number(1.0)]);
        assert_eq!(kinds("\"/* no comment */\""), [Kind::Text("/* no comment */".into())]);
    }

    #[test]
    fn texts_symbols_and_characters_hide_what_is_in_them() {
        assert_eq!(
            kinds(r#"'a b' \c $" $\n "x\"y" "z""#),
            [
                Kind::Symbol("a b".into()),
                Kind::Symbol("c".into()),
                Kind::Character,
                Kind::Character,
                Kind::Text("x\"yz".into()),
            ]
        );
        // An apostrophe in a note.
        assert_eq!(kinds("don't\n1").last(), Some(&number(1.0)));
        assert_eq!(kinds("$é 1"), [Kind::Character, number(1.0)]);
    }

    #[test]
    fn numbers_of_all_kinds() {
        for (source, value) in [
            ("440", Some(440.0)),
            ("0.5", Some(0.5)),
            ("1e-3", Some(0.001)),
            ("2.5e2", Some(250.0)),
            ("16r1F", Some(31.0)),
            ("2pi", Some(std::f64::consts::TAU)),
            ("1_000", Some(1000.0)),
            ("4s", None),
            ("3b50", None),
            ("99r1", None),
            ("9e999", None),
        ] {
            assert_eq!(kinds(source), [Kind::Number(value)], "{source}");
        }
        assert_eq!(kinds("440.neg").len(), 3);
        assert_eq!(kinds("(1..4)")[2], Kind::Sign('r'));
    }
}
