//! Strict reading of request objects: no unknown member, no wrong type.

use crate::error::{ApiError, Code, Result, refuse};
use crate::json::{Object, Value};

/// The members of one request object, all of them known.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Option<&'a Object>,
    place: &'a str,
}

impl<'a> Fields<'a> {
    /// Absent and `null` count as an object without members.
    pub(crate) fn of(value: Option<&'a Value>, place: &'a str, known: &[&str]) -> Result<Self> {
        let object = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(object),
            Some(other) => return Err(mismatch(place, "an object", other)),
        };
        for (name, _) in object.into_iter().flat_map(Object::iter) {
            if !known.contains(&name) {
                let known = known.join("`, `");
                return refuse(
                    Code::UnknownField,
                    if known.is_empty() {
                        format!("`{place}` has no field `{name}`; it has none")
                    } else {
                        format!("`{place}` has no field `{name}`; it has `{known}`")
                    },
                );
            }
        }
        Ok(Self { object, place })
    }

    /// The value of a member that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name).filter(|value| **value != Value::Null)
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(mismatch(&self.name(name), "a string", other)),
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(mismatch(&self.name(name), "a boolean", other)),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.boolean(name)?.unwrap_or(false))
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            // The server reads a text of digits as the number it is.
            Some(value) => match value.as_integer().or_else(|| value.as_str()?.parse().ok()) {
                Some(number) if i32::try_from(number).is_err() => refuse(
                    Code::Unexpected,
                    format!("`{}` does not fit 32 bits: {number}", self.name(name)),
                ),
                Some(number) => Ok(Some(number)),
                None => Err(mismatch(&self.name(name), "an integer", value)),
            },
        }
    }

    /// An integer that is at least `least`.
    pub(crate) fn count(&self, name: &str, least: usize) -> Result<Option<usize>> {
        let Some(number) = self.integer(name)? else { return Ok(None) };
        match usize::try_from(number) {
            Ok(count) if count >= least => Ok(Some(count)),
            _ => refuse(
                Code::FieldValue,
                format!("`{}` must be at least {least}, not {number}", self.name(name)),
            ),
        }
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<&'a [Value]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(mismatch(&self.name(name), "an array", other)),
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a Value> {
        self.get(name).ok_or_else(|| {
            ApiError::new(Code::FieldValue, format!("`{}` must not be missing", self.name(name)))
        })
    }

    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }
}

fn mismatch(place: &str, expected: &str, found: &Value) -> ApiError {
    ApiError::new(Code::Structure, format!("`{place}` must be {expected}, not {}", found.kind()))
}
