//! Dotted paths: `tags.0`, and `a&.b` for a name that holds a dot.

use std::cmp::Ordering;

use crate::json::{Object, Value};

/// The segments of a dotted path, without escapes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    written: String,
    segments: Vec<String>,
}

impl Path {
    /// Reads a path as sorts, projections and updates write it.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        Self::read(written, false)
    }

    /// Reads a path as filters write it: one with an empty segment finds
    /// nothing, and is no error.
    pub(crate) fn parse_lenient(written: &str) -> Result<Self, String> {
        Self::read(written, true)
    }

    fn read(written: &str, lenient: bool) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut segment = String::new();
        let mut characters = written.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '.' if segment.is_empty() && !lenient => {
                    return Err(format!("the segment before the dot at {at} is empty"));
                }
                '.' => segments.push(std::mem::take(&mut segment)),
                '&' => match characters.next() {
                    Some((_, next @ ('.' | '&'))) => segment.push(next),
                    _ => {
                        return Err(format!(
                            "the `&` at {at} must be followed by `.` or `&`; write `&&` for a literal `&`"
                        ));
                    }
                },
                _ => segment.push(character),
            }
        }
        if segment.is_empty() && (!lenient || written.is_empty()) {
            return Err("the last segment is empty".to_owned());
        }
        segments.push(segment);
        Ok(Self { written: written.to_owned(), segments })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.written
    }

    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }

    pub(crate) fn is_id(&self) -> bool {
        self.written == "_id"
    }

    pub(crate) fn is_below(&self, other: &Self) -> bool {
        self.segments.len() > other.segments.len() && self.segments.starts_with(&other.segments)
    }

    /// The value at this path, array positions included.
    pub(crate) fn find<'a>(&self, document: &'a Object) -> Option<&'a Value> {
        let (first, rest) = self.segments.split_first()?;
        let mut value = document.get(first)?;
        for segment in rest {
            value = match value {
                Value::Object(object) => object.get(segment)?,
                Value::Array(values) => values.get(array_index(segment)?)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

impl Ord for Path {
    fn cmp(&self, other: &Self) -> Ordering {
        self.segments.cmp(&other.segments)
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `0`, `17`; not `00` and not `-1`.
pub(crate) fn array_index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || !segment.starts_with('0');
    let digits = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    if canonical && digits { segment.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(Path::parse("a.b").unwrap().segments(), ["a", "b"]);
        assert_eq!(Path::parse("a&.b.c&&d").unwrap().segments(), ["a.b", "c&d"]);
        for bad in ["", ".", "a.", ".a", "a..b", "a&", "a&b"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn array_positions_are_segments() {
        let Value::Object(document) =
            parse(r#"{"tags":["x",{"n":1}],"a.b":2,"o":{"0":3}}"#, 100).unwrap()
        else {
            unreachable!()
        };
        let find = |path: &str| Path::parse(path).unwrap().find(&document).map(Value::to_string);

        assert_eq!(find("tags.0").as_deref(), Some("\"x\""));
        assert_eq!(find("tags.1.n").as_deref(), Some("1"));
        assert_eq!(find("a&.b").as_deref(), Some("2"));
        assert_eq!(find("o.0").as_deref(), Some("3"));
        assert_eq!(find("tags.00"), None);
        assert_eq!(find("tags.2"), None);
    }
}
