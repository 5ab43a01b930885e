//! Filters: how they are read, what they match.
//!
//! A filter becomes a tree of conditions in which `$not` no longer occurs: the
//! server inverts each operator below it, and so does this.

use std::cmp::Ordering;

use crate::document::Document;
use crate::error::{ApiError, Code, Result};
use crate::id::{self, Key};
use crate::indexing::Branch;
use crate::json::Value;
use crate::number::Number;
use crate::path::Path;

mod read;

/// A filter that has been checked against a collection.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Field { path: Path, test: Test },
    Id(IdTest),
    Lexical(String),
}

/// A condition on the value at a path.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Equals(Operand),
    Differs(Operand),
    In(Vec<Operand>),
    NotIn(Vec<Operand>),
    Compares(Comparison, Operand),
    Exists(bool),
    ContainsAll(Vec<Operand>),
    ContainsNone(Vec<Operand>),
    Size { length: usize, equal: bool },
}

/// A condition on the `_id`.
#[derive(Clone, Debug)]
pub(crate) enum IdTest {
    In(Vec<(Key, Value)>),
    NotIn(Vec<Key>),
    Compares(Comparison, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A value to compare with. Extended values of the text kind compare as text,
/// because that is how they are indexed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Date(i64),
    /// An array or an object, compared as a whole and in order.
    Whole(Value),
    /// The same where some members of the stored value are not indexed.
    Indexed(Value, Branch),
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::All(filters) if filters.is_empty())
    }

    /// The rows that the filter names by `_id`, if it does.
    pub(crate) fn ids(&self) -> Option<&[(Key, Value)]> {
        match self {
            Self::Id(IdTest::In(ids)) => Some(ids),
            Self::All(filters) => filters.iter().find_map(Self::ids),
            _ => None,
        }
    }

    pub(crate) fn matches(&self, document: &Document) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(document)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(document)),
            Self::Field { path, test } => test.matches(path.find(&document.body)),
            Self::Id(test) => test.matches(document),
            Self::Lexical(words) => crate::lexical::matches(document, words),
        }
    }

    /// Calls `visit` with the equalities that every matching document has.
    pub(crate) fn equalities(&self, visit: &mut impl FnMut(&Path, Value)) {
        match self {
            Self::All(filters) => filters.iter().for_each(|filter| filter.equalities(visit)),
            Self::Field { path, test: Test::Equals(operand) } => visit(path, operand.to_value()),
            _ => {}
        }
    }
}

impl Comparison {
    fn invert(self) -> Self {
        match self {
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Filter, message)
}

impl Operand {
    /// Reads a value of a filter.
    pub(crate) fn of(value: &Value) -> Result<Self> {
        if let Some((name, inner)) = value.as_extended() {
            return match (name, inner) {
                ("$date", inner) => match inner.as_integer() {
                    Some(millis) => Ok(Self::Date(millis)),
                    None => Err(bad(format!("`$date` takes milliseconds, not {inner}"))),
                },
                ("$uuid", Value::String(text)) if id::parse_uuid(text).is_some() => {
                    Ok(Self::Text(text.to_ascii_lowercase()))
                }
                ("$objectId", Value::String(text)) if id::is_object_id(text) => {
                    Ok(Self::Text(text.to_ascii_lowercase()))
                }
                _ => Err(bad(format!("{value} is not a value to compare with"))),
            };
        }
        Ok(Self::of_stored(value))
    }

    /// A value of a document, which has been checked.
    pub(crate) fn of_stored(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(_)
            | Value::Raw(_)
            | Value::Numbers(_)
            | Value::Object(_)
            | Value::Packed(_) => match value.as_extended() {
                Some(("$date", millis)) => Self::Date(millis.as_integer().unwrap_or(0)),
                Some(("$uuid" | "$objectId", Value::String(text))) => {
                    Self::Text(text.to_ascii_lowercase())
                }
                _ => Self::Whole(value.clone()),
            },
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Date(millis) => Value::from(crate::json::object! { "$date" => *millis }),
            Self::Whole(value) | Self::Indexed(value, _) => value.clone(),
        }
    }

    /// Whether a stored value is this one.
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a == b,
            (Self::Text(a), Value::String(b)) => a == b,
            (Self::Text(a), Value::Object(_)) => match value.as_extended() {
                Some(("$uuid" | "$objectId", Value::String(b))) => *a == b.to_ascii_lowercase(),
                _ => false,
            },
            (Self::Date(a), Value::Object(_)) => value.as_date() == Some(*a),
            (Self::Whole(a), b) => a == b,
            (Self::Indexed(a, hidden), b) => *a == hidden.strip(b),
            _ => false,
        }
    }

    /// How a stored value stands to this one, if they are of one type.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match (self, value) {
            (Self::Bool(a), Value::Bool(b)) => Some(b.cmp(a)),
            (Self::Number(a), Value::Number(b)) => Some(b.cmp(a)),
            (Self::Text(a), Value::String(b)) => Some(b.as_str().cmp(a)),
            (Self::Text(a), Value::Object(_)) => match value.as_extended() {
                Some(("$uuid" | "$objectId", Value::String(b))) => {
                    Some(b.to_ascii_lowercase().as_str().cmp(a))
                }
                _ => None,
            },
            (Self::Date(a), Value::Object(_)) => value.as_date().map(|b| b.cmp(a)),
            _ => None,
        }
    }

    /// Equal to the value or to an element of it, if that is an array.
    fn is_in(&self, value: &Value) -> bool {
        match value {
            Value::Array(values) => {
                self.equals(value) || values.iter().any(|element| self.equals(element))
            }
            _ => self.equals(value),
        }
    }
}

impl Test {
    fn invert(self) -> Self {
        match self {
            Self::Equals(operand) => Self::Differs(operand),
            Self::Differs(operand) => Self::Equals(operand),
            Self::In(operands) => Self::NotIn(operands),
            Self::NotIn(operands) => Self::In(operands),
            Self::Compares(comparison, operand) => Self::Compares(comparison.invert(), operand),
            Self::Exists(exists) => Self::Exists(!exists),
            // The server inverts "contains each" into "contains none".
            Self::ContainsAll(operands) => Self::ContainsNone(operands),
            Self::ContainsNone(operands) => Self::ContainsAll(operands),
            Self::Size { length, equal } => Self::Size { length, equal: !equal },
        }
    }

    pub(crate) fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Equals(operand) => value.is_some_and(|value| equal(operand, value)),
            Self::Differs(operand) => !value.is_some_and(|value| equal(operand, value)),
            Self::In(operands) => {
                value.is_some_and(|value| operands.iter().any(|operand| operand.is_in(value)))
            }
            Self::NotIn(operands) => {
                !value.is_some_and(|value| operands.iter().any(|operand| operand.is_in(value)))
            }
            Self::Compares(comparison, operand) => value
                .and_then(|value| operand.compare(value))
                .is_some_and(|ordering| comparison.holds(ordering)),
            Self::Exists(exists) => value.is_some() == *exists,
            Self::ContainsAll(operands) => {
                value.is_some_and(|value| operands.iter().all(|operand| operand.is_in(value)))
            }
            Self::ContainsNone(operands) => {
                !value.is_some_and(|value| operands.iter().any(|operand| operand.is_in(value)))
            }
            Self::Size { length, equal } => {
                let found = match value {
                    Some(Value::Array(values)) => Some(values.len()),
                    _ => None,
                };
                (found == Some(*length)) == *equal
            }
        }
    }
}

/// `$eq`: the field or an element of it; for `null` and for arrays and
/// objects, the field itself.
fn equal(operand: &Operand, value: &Value) -> bool {
    match operand {
        Operand::Null | Operand::Whole(_) | Operand::Indexed(..) => operand.equals(value),
        _ => operand.is_in(value),
    }
}

impl IdTest {
    fn matches(&self, document: &Document) -> bool {
        match self {
            Self::In(ids) => ids.iter().any(|(key, _)| *key == document.key),
            Self::NotIn(keys) => !keys.contains(&document.key),
            Self::Compares(comparison, operand) => {
                operand.compare(document.id()).is_some_and(|ordering| comparison.holds(ordering))
            }
        }
    }
}

#[cfg(test)]
mod tests;
