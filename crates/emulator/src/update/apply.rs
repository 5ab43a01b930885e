//! One change at one path of one document.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Change;
use crate::error::{ApiError, Code, Result, refuse};
use crate::json::{Object, Value, object};
use crate::number::Number;
use crate::path::{Path, array_index};
use crate::sort::compare;

/// A place in a document that a change can write to.
enum Slot<'a> {
    Member(&'a mut Object, &'a str),
    Element(&'a mut Vec<Value>, usize),
}

impl<'a> Slot<'a> {
    fn get(&self) -> Option<&Value> {
        match self {
            Self::Member(object, name) => object.get(name),
            Self::Element(values, index) => values.get(*index),
        }
    }

    fn get_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Member(object, name) => object.get_mut(name),
            Self::Element(values, index) => values.get_mut(*index),
        }
    }

    fn put(&mut self, value: Value) {
        match self {
            Self::Member(object, name) => object.set(*name, value),
            Self::Element(values, index) => {
                if *index >= values.len() {
                    values.resize(*index + 1, Value::Null);
                }
                values[*index] = value;
            }
        }
    }

    /// Removes a member; an element becomes null, so that the others stay put.
    fn take(&mut self) -> Option<Value> {
        match self {
            Self::Member(object, name) => object.remove(name),
            Self::Element(values, index) => {
                values.get_mut(*index).map(|value| std::mem::replace(value, Value::Null))
            }
        }
    }

    fn is_element(&self) -> bool {
        matches!(self, Self::Element(..))
    }

    /// The place of a path, if everything above it exists.
    fn find(document: &'a mut Object, path: &'a Path) -> Option<Self> {
        let (last, parents) = path.segments().split_last()?;
        let mut parent = Parent::Object(document);
        for segment in parents {
            parent = match parent {
                Parent::Object(object) => Parent::of(object.get_mut(segment)?)?,
                Parent::Array(values) => Parent::of(values.get_mut(array_index(segment)?)?)?,
            };
        }
        Some(match parent {
            Parent::Object(object) => Self::Member(object, last),
            Parent::Array(values) => Self::Element(values, array_index(last)?),
        })
    }

    /// The place of a path; what is missing above it becomes objects.
    fn find_or_create(document: &'a mut Object, path: &'a Path) -> Result<Self> {
        let blocked = |segment: &str| {
            ApiError::new(
                Code::UpdatePath,
                format!(
                    "`{segment}` of path `{}` would be below a value that is not an object",
                    path.as_str()
                ),
            )
        };
        let Some((last, parents)) = path.segments().split_last() else { return Err(blocked("")) };
        let mut parent = Parent::Object(document);
        let mut next = parents.iter().chain([last]).skip(1);
        for segment in parents {
            let below = next.next().map_or("", String::as_str);
            let value = match parent {
                Parent::Object(object) => {
                    if !object.contains(segment) {
                        object.set(segment.as_str(), Value::Object(Object::new()));
                    }
                    object.get_mut(segment)
                }
                Parent::Array(values) => {
                    let index = position(segment, path)?;
                    if index >= values.len() {
                        values.resize(index, Value::Null);
                        values.push(Value::Object(Object::new()));
                    }
                    values.get_mut(index)
                }
            };
            parent = value.and_then(Parent::of).ok_or_else(|| blocked(below))?;
        }
        match parent {
            Parent::Object(object) => Ok(Self::Member(object, last)),
            Parent::Array(values) => Ok(Self::Element(values, position(last, path)?)),
        }
    }
}

/// An array is never grown further than this by naming a position.
const MAX_POSITION: usize = 100_000;

fn position(segment: &str, path: &Path) -> Result<usize> {
    match array_index(segment) {
        Some(index) if index <= MAX_POSITION => Ok(index),
        _ => refuse(
            Code::UpdatePath,
            format!("`{segment}` of path `{}` is not a position in an array", path.as_str()),
        ),
    }
}

enum Parent<'a> {
    Object(&'a mut Object),
    Array(&'a mut Vec<Value>),
}

impl<'a> Parent<'a> {
    fn of(value: &'a mut Value) -> Option<Self> {
        match value {
            Value::Object(object) => Some(Self::Object(object)),
            Value::Array(values) => Some(Self::Array(values)),
            _ => None,
        }
    }
}

fn misfit(operator: &str, expected: &str, path: &Path, found: &Value) -> ApiError {
    ApiError::new(
        Code::UpdateTarget,
        format!("`{operator}` needs {expected} at `{}`, which is {}", path.as_str(), found.kind()),
    )
}

pub(super) fn apply(document: &mut Object, path: &Path, change: &Change) -> Result<bool> {
    match change {
        Change::Set(value) | Change::SetOnInsert(value) => set(document, path, value),
        Change::Unset => Ok(unset(document, path)),
        Change::CurrentDate => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            replace(document, path, &Value::from(object! { "$date" => now }))
        }
        Change::Increment(by) => increment(document, path, by),
        Change::Multiply(by) => multiply(document, path, by),
        Change::Min(value) => {
            let mut slot = Slot::find_or_create(document, path)?;
            Ok(put_if(&mut slot, value, |old| compare(Some(value), Some(old)).is_lt()))
        }
        Change::Max(value) => {
            let mut slot = Slot::find_or_create(document, path)?;
            Ok(put_if(&mut slot, value, |old| compare(Some(value), Some(old)).is_gt()))
        }
        Change::Pop { first } => pop(document, path, *first),
        Change::Push { values, position } => push(document, path, values, *position),
        Change::AddToSet(values) => add_to_set(document, path, values),
        Change::Rename(target) => rename(document, path, target),
    }
}

fn put_if(slot: &mut Slot<'_>, value: &Value, better: impl Fn(&Value) -> bool) -> bool {
    let put = slot.get().is_none_or(better);
    if put {
        slot.put(value.clone());
    }
    put
}

fn replace(document: &mut Object, path: &Path, value: &Value) -> Result<bool> {
    let mut slot = Slot::find_or_create(document, path)?;
    Ok(put_if(&mut slot, value, |old| old != value))
}

fn set(document: &mut Object, path: &Path, value: &Value) -> Result<bool> {
    let modified = replace(document, path, value)?;
    // The text that a vector was computed from does not fit another vector.
    if modified && path.as_str() == "$vector" {
        document.remove("$vectorize");
    }
    Ok(modified)
}

fn unset(document: &mut Object, path: &Path) -> bool {
    let removed = Slot::find(document, path).and_then(|mut slot| slot.take()).is_some();
    if removed {
        match path.as_str() {
            "$vector" => drop(document.remove("$vectorize")),
            "$vectorize" => drop(document.remove("$vector")),
            _ => {}
        }
    }
    removed
}

fn too_far(operator: &str, path: &Path) -> ApiError {
    ApiError::new(
        Code::UpdateTarget,
        format!("`{operator}` of `{}` has too many digits", path.as_str()),
    )
}

fn increment(document: &mut Object, path: &Path, by: &Number) -> Result<bool> {
    let mut slot = Slot::find_or_create(document, path)?;
    let sum = match slot.get() {
        None => by.clone(),
        Some(Value::Number(_)) if by.is_zero() => return Ok(false),
        Some(Value::Number(old)) => old.add(by).ok_or_else(|| too_far("$inc", path))?,
        Some(other) => return Err(misfit("$inc", "a number", path, other)),
    };
    slot.put(Value::Number(sum));
    Ok(true)
}

fn multiply(document: &mut Object, path: &Path, by: &Number) -> Result<bool> {
    let mut slot = Slot::find_or_create(document, path)?;
    let product = match slot.get() {
        None => Number::zero(),
        Some(Value::Number(old)) => {
            let product = old.multiply(by).ok_or_else(|| too_far("$mul", path))?;
            if product == *old {
                return Ok(false);
            }
            product
        }
        Some(other) => return Err(misfit("$mul", "a number", path, other)),
    };
    slot.put(Value::Number(product));
    Ok(true)
}

fn pop(document: &mut Object, path: &Path, first: bool) -> Result<bool> {
    let Some(mut slot) = Slot::find(document, path) else { return Ok(false) };
    match slot.get_mut() {
        None => Ok(false),
        Some(Value::Array(values)) if values.is_empty() => Ok(false),
        Some(Value::Array(values)) => {
            if first {
                values.remove(0);
            } else {
                values.pop();
            }
            Ok(true)
        }
        Some(other) => Err(misfit("$pop", "an array", path, other)),
    }
}

/// The array at a path, made if it is missing.
fn with_array<T>(
    document: &mut Object,
    path: &Path,
    operator: &str,
    work: impl FnOnce(&mut Vec<Value>) -> T,
) -> Result<T> {
    let mut slot = Slot::find_or_create(document, path)?;
    if slot.get().is_none() {
        slot.put(Value::Array(Vec::new()));
    }
    match slot.get_mut() {
        Some(Value::Array(values)) => Ok(work(values)),
        other => Err(misfit(operator, "an array", path, other.as_deref().unwrap_or(&Value::Null))),
    }
}

fn push(document: &mut Object, path: &Path, new: &[Value], position: Option<i64>) -> Result<bool> {
    with_array(document, path, "$push", |values| {
        let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
        let at = match position {
            None => length,
            Some(at) if at < 0 => length.saturating_add(at).max(0),
            Some(at) => at.min(length),
        };
        let at = usize::try_from(at).unwrap_or(0);
        values.splice(at..at, new.iter().cloned());
    })?;
    Ok(true)
}

fn add_to_set(document: &mut Object, path: &Path, new: &[Value]) -> Result<bool> {
    with_array(document, path, "$addToSet", |values| {
        let before = values.len();
        for value in new {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        values.len() > before
    })
}

fn rename(document: &mut Object, path: &Path, target: &Path) -> Result<bool> {
    let in_array = |path: &Path| {
        ApiError::new(
            Code::UpdatePath,
            format!("`$rename` does not reach into arrays: `{}`", path.as_str()),
        )
    };
    let value = match Slot::find(document, path) {
        Some(slot) if slot.is_element() && slot.get().is_some() => return Err(in_array(path)),
        Some(mut slot) => slot.take(),
        None => None,
    };
    let Some(value) = value else { return Ok(false) };
    let mut slot = Slot::find_or_create(document, target)?;
    if slot.is_element() {
        return Err(in_array(target));
    }
    slot.put(value);
    Ok(true)
}
