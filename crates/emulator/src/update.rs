//! Update operators: how they are read, how they change a document.

mod apply;

use crate::error::{ApiError, Code, Result, refuse};
use crate::json::{Object, Value};
use crate::number::Number;
use crate::path::Path;

/// A checked update: its operators in the order in which the server applies
/// them, which is by name, each with its paths in order.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    actions: Vec<Action>,
}

#[derive(Clone, Debug)]
struct Action {
    path: Path,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    AddToSet(Vec<Value>),
    CurrentDate,
    Increment(Number),
    Max(Value),
    Min(Value),
    Multiply(Number),
    Pop { first: bool },
    Push { values: Vec<Value>, position: Option<i64> },
    Rename(Path),
    Set(Value),
    SetOnInsert(Value),
    Unset,
}

const OPERATORS: [&str; 12] = [
    "$addToSet",
    "$currentDate",
    "$inc",
    "$max",
    "$min",
    "$mul",
    "$pop",
    "$push",
    "$rename",
    "$set",
    "$setOnInsert",
    "$unset",
];

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::UpdateParam, message)
}

impl Update {
    pub(crate) fn parse(written: &Value) -> Result<Self> {
        let Some(operators) = written.as_object() else {
            return refuse(
                Code::UpdateType,
                format!("an update is an object, not {}", written.kind()),
            );
        };
        for (name, arguments) in operators.iter() {
            if !OPERATORS.contains(&name) {
                return refuse(
                    Code::Update,
                    format!(
                        "there is no update operator `{name}`; there are `{}`",
                        OPERATORS.join("`, `")
                    ),
                );
            }
            if arguments.as_object().is_none() {
                return refuse(
                    Code::UpdateType,
                    format!("`{name}` takes an object, not {}", arguments.kind()),
                );
            }
        }
        for name in ["$set", "$unset"] {
            if let Some(Value::Object(paths)) = operators.get(name)
                && paths.contains("$vector")
                && paths.contains("$vectorize")
            {
                return refuse(
                    Code::VectorizeUsage,
                    format!("`{name}` cannot name both `$vector` and `$vectorize`"),
                );
            }
        }
        let mut actions = Vec::new();
        for operator in OPERATORS {
            let Some(Value::Object(arguments)) = operators.get(operator) else { continue };
            let start = actions.len();
            for (name, argument) in arguments.iter() {
                let path = path(operator, name)?;
                actions.push(Action { path, change: change(operator, name, argument)? });
            }
            actions[start..].sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        }
        let update = Self { actions };
        update.check_overlaps()?;
        Ok(update)
    }

    fn check_overlaps(&self) -> Result<()> {
        let mut paths: Vec<&Path> = self.actions.iter().map(|action| &action.path).collect();
        paths.sort();
        for pair in paths.windows(2) {
            if pair[0].segments() == pair[1].segments() || pair[1].is_below(pair[0]) {
                return Err(bad(format!(
                    "update paths `{}` and `{}` overlap",
                    pair[0].as_str(),
                    pair[1].as_str()
                )));
            }
        }
        Ok(())
    }

    /// Changes a document; says whether it is another than before.
    pub(crate) fn apply(&self, document: &mut Object, inserting: bool) -> Result<bool> {
        let mut modified = false;
        for Action { path, change } in &self.actions {
            if inserting || !matches!(change, Change::SetOnInsert(_)) {
                modified |= apply::apply(document, path, change)?;
            }
        }
        Ok(modified)
    }

    /// Sets the equalities of a filter in a document that is to be inserted.
    pub(crate) fn set(document: &mut Object, path: &Path, value: Value) -> Result<()> {
        apply::apply(document, path, &Change::Set(value)).map(|_| ())
    }
}

fn path(operator: &str, name: &str) -> Result<Path> {
    let allowed = matches!(operator, "$set" | "$setOnInsert" | "$unset");
    match name {
        "_id" if operator != "$setOnInsert" => {
            return refuse(Code::UpdateId, format!("`{operator}` cannot change `_id`"));
        }
        "$vector" if !allowed => {
            return refuse(Code::UpdateVector, format!("`{operator}` cannot change `$vector`"));
        }
        "$vectorize" if !allowed => {
            return refuse(
                Code::UpdateVectorize,
                format!("`{operator}` cannot change `$vectorize`"),
            );
        }
        "$lexical" if !allowed => {
            return refuse(Code::UpdateLexical, format!("`{operator}` cannot change `$lexical`"));
        }
        "_id" | "$vector" | "$vectorize" | "$lexical" => {}
        _ if name.starts_with('$') => {
            return match operator {
                "$set" | "$setOnInsert" => {
                    refuse(Code::FieldName, format!("field name `{name}` starts with `$`"))
                }
                "$inc" | "$mul" => refuse(
                    Code::UpdateModifier,
                    format!("`{operator}` has no modifiers, so not `{name}`"),
                ),
                _ => Err(bad(format!("`{operator}` takes field names, not the modifier `{name}`"))),
            };
        }
        _ => {}
    }
    Path::parse(name).map_err(|problem| {
        ApiError::new(Code::UpdatePath, format!("update path `{name}`: {problem}"))
    })
}

fn change(operator: &str, name: &str, argument: &Value) -> Result<Change> {
    let number = || match argument {
        Value::Number(number) => Ok(number.clone()),
        other => Err(bad(format!("`{operator}` of `{name}` takes a number, not {}", other.kind()))),
    };
    Ok(match operator {
        "$addToSet" => match each(operator, argument)? {
            (values, None) => Change::AddToSet(values),
            (_, Some(_)) => {
                return refuse(Code::UpdateModifier, "`$addToSet` has no modifier `$position`");
            }
        },
        "$push" => {
            let (values, position) = each(operator, argument)?;
            Change::Push { values, position }
        }
        "$currentDate" => {
            let date = argument.as_object().and_then(Object::single);
            let date =
                date.is_some_and(|(name, value)| name == "$type" && value.as_str() == Some("date"));
            if *argument != Value::Bool(true) && !date {
                return Err(bad(format!(
                    "`$currentDate` of `{name}` takes `true` or `{{\"$type\":\"date\"}}`, not {argument}"
                )));
            }
            Change::CurrentDate
        }
        "$inc" => Change::Increment(number()?),
        "$mul" => Change::Multiply(number()?),
        "$max" => Change::Max(argument.clone()),
        "$min" => Change::Min(argument.clone()),
        "$pop" => match number()?.as_i64() {
            Some(1) => Change::Pop { first: false },
            Some(-1) => Change::Pop { first: true },
            _ => return Err(bad(format!("`$pop` of `{name}` takes 1 or -1, not {argument}"))),
        },
        "$rename" => {
            let Some(target) = argument.as_str() else {
                return Err(bad(format!(
                    "`$rename` of `{name}` takes a string, not {}",
                    argument.kind()
                )));
            };
            if target == name {
                return refuse(
                    Code::UpdatePath,
                    format!("`$rename` needs another name than `{name}`"),
                );
            }
            Change::Rename(path(operator, target)?)
        }
        "$set" => Change::Set(argument.clone()),
        "$setOnInsert" => Change::SetOnInsert(argument.clone()),
        _ => Change::Unset,
    })
}

/// A plain value, or `{"$each": [...], "$position": n}`.
fn each(operator: &str, argument: &Value) -> Result<(Vec<Value>, Option<i64>)> {
    let modifiers = argument.as_object().filter(|o| {
        o.iter().any(|(name, _)| matches!(name, "$each" | "$position") || is_modifier(name))
    });
    let Some(modifiers) = modifiers else { return Ok((vec![argument.clone()], None)) };
    let (mut values, mut position) = (None, None);
    for (name, value) in modifiers.iter() {
        match (name, value) {
            ("$each", Value::Array(list)) => values = Some(list.clone()),
            ("$each", other) => {
                return Err(bad(format!("`$each` takes an array, not {}", other.kind())));
            }
            ("$position", value) => match value.as_integer() {
                Some(at) => position = Some(at),
                None => return Err(bad(format!("`$position` takes an integer, not {value}"))),
            },
            (other, _) => {
                return refuse(
                    Code::UpdateModifier,
                    format!("`{operator}` has no modifier `{other}`"),
                );
            }
        }
    }
    match values {
        Some(values) => Ok((values, position)),
        None => Err(bad(format!("the modifiers of `{operator}` need `$each`"))),
    }
}

/// `$date` and its like are values, and may be pushed.
fn is_modifier(name: &str) -> bool {
    name.starts_with('$') && !matches!(name, "$date" | "$uuid" | "$objectId" | "$binary")
}

#[cfg(test)]
mod tests;
