//! Document identifiers: what may be an `_id`, and the key of its row.

use std::sync::Arc;

use uuid::Uuid;

use crate::error::{ApiError, Code, Result};
use crate::json::Value;

/// The key of a row: a type and a text, as in the server's tables.
///
/// `1` and `"1"` are two documents. `{"$uuid": u}` is stored under the text of
/// `u`, and so is the string `u`: on the server they are one document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Scrambles the order of rows the way a partitioner does; derived from
    /// the rest.
    token: u64,
    kind: Kind,
    text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    String = 1,
    Number = 2,
    Boolean = 3,
    Null = 4,
    Date = 5,
}

impl Key {
    pub(crate) fn of(id: &Value) -> Result<Self> {
        let bad = |problem: String| ApiError::new(Code::IdType, problem);
        let (kind, text) = match id {
            Value::String(text) if text.is_empty() => {
                return Err(ApiError::new(Code::IdValue, "an `_id` must not be an empty string"));
            }
            Value::String(text) => (Kind::String, text.clone()),
            Value::Number(number) => (Kind::Number, number.to_string()),
            Value::Bool(value) => (Kind::Boolean, value.to_string()),
            Value::Null => (Kind::Null, "null".to_owned()),
            Value::Array(_)
            | Value::Object(_)
            | Value::Raw(_)
            | Value::Numbers(_)
            | Value::Packed(_) => match id.as_extended() {
                Some(("$date", value)) => match value.as_integer() {
                    Some(millis) => (Kind::Date, millis.to_string()),
                    None => return Err(bad(format!("`$date` takes milliseconds, not {value}"))),
                },
                Some(("$uuid", value)) => match value.as_str().and_then(parse_uuid) {
                    Some(uuid) => (Kind::String, uuid.to_string()),
                    None => return Err(bad(format!("`$uuid` takes 36 characters, not {value}"))),
                },
                Some(("$objectId", value)) => match value.as_str().filter(|t| is_object_id(t)) {
                    Some(text) => (Kind::String, text.to_ascii_lowercase()),
                    None => {
                        return Err(bad(format!(
                            "`$objectId` takes 24 hexadecimal digits, not {value}"
                        )));
                    }
                },
                Some((name, _)) => {
                    return Err(bad(format!("`{name}` is not an extended type of an `_id`")));
                }
                None => {
                    return Err(bad(format!(
                        "an `_id` is a string, number, boolean, null, `$date`, `$uuid` or `$objectId`, not {} {id}",
                        id.kind()
                    )));
                }
            },
        };
        Ok(Self::from_parts(kind, text.into()))
    }

    pub(crate) fn from_parts(kind: Kind, text: Arc<str>) -> Self {
        Self { token: token(kind, &text), kind, text }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Kind {
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [Self::String, Self::Number, Self::Boolean, Self::Null, Self::Date]
            .into_iter()
            .find(|kind| *kind as i64 == number)
    }
}

/// FNV-1a, then a finalizer: stable between runs, so that page states survive a
/// restart, and without any order that a client could come to rely on.
fn token(kind: Kind, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in std::iter::once(kind as u8).chain(text.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// The canonical form, 36 characters; the other forms that `uuid` reads are refused.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

pub(crate) fn is_object_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn key(json: &str) -> Result<Key> {
        Key::of(&parse(json, 100).unwrap())
    }

    #[test]
    fn types_keep_ids_apart() {
        assert_ne!(key("1").unwrap(), key("\"1\"").unwrap());
        assert_ne!(key("100").unwrap(), key("100.0").unwrap());
        assert_ne!(key("null").unwrap(), key("\"null\"").unwrap());
        assert_eq!(
            key(r#"{"$uuid":"F47AC10B-58CC-4372-A567-0E02B2C3D479"}"#).unwrap(),
            key("\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"").unwrap()
        );
    }

    #[test]
    fn other_values_are_refused() {
        for (json, code) in [
            ("\"\"", Code::IdValue),
            ("[1]", Code::IdType),
            ("{\"a\":1}", Code::IdType),
            ("{\"$date\":\"now\"}", Code::IdType),
            ("{\"$uuid\":\"f47ac10b58cc4372a5670e02b2c3d479\"}", Code::IdType),
            ("{\"$binary\":\"AAAA\"}", Code::IdType),
        ] {
            assert_eq!(key(json).unwrap_err().code, code, "{json}");
        }
    }

    #[test]
    fn rows_are_shuffled() {
        let mut keys: Vec<_> = (0..100).map(|i| key(&i.to_string()).unwrap()).collect();
        let inserted = keys.clone();
        keys.sort();
        assert_ne!(keys, inserted);
    }
}
