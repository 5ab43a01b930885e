//! Reading a filter, and checking it against a collection.

use super::{Comparison, Filter, IdTest, Operand, Test, bad};
use crate::error::{Code, Result, refuse};
use crate::id::Key;
use crate::indexing::Branch;
use crate::json::{Object, Value};
use crate::limits::Limits;
use crate::path::Path;
use crate::settings::Settings;

impl Filter {
    /// A filter that matches everything is `All` of nothing.
    pub(crate) fn parse(
        filter: Option<&Value>,
        settings: &Settings,
        limits: &Limits,
    ) -> Result<Self> {
        let object = match filter {
            None | Some(Value::Null) => return Ok(Self::All(Vec::new())),
            Some(Value::Object(object)) => object,
            Some(other) => {
                return refuse(
                    Code::FilterType,
                    format!("a filter is an object, not {}", other.kind()),
                );
            }
        };
        let mut reader = Reader { settings, limits, comparisons: 0, ids: 0, id_in_or: false };
        let filter = reader.conditions(object, false, false)?;
        if reader.comparisons > limits.filter_comparisons {
            return refuse(
                Code::FilterLimit,
                format!(
                    "the filter has {} conditions; at most {} are allowed",
                    reader.comparisons, limits.filter_comparisons
                ),
            );
        }
        if reader.ids > 1 {
            return refuse(Code::FilterIds, "a filter may name `_id` only once");
        }
        if reader.id_in_or {
            return Err(bad("`_id` cannot be used with `$or`"));
        }
        Ok(filter)
    }
}

struct Reader<'a> {
    settings: &'a Settings,
    limits: &'a Limits,
    comparisons: usize,
    ids: usize,
    /// `_id` was named somewhere below `$or`.
    id_in_or: bool,
}

fn invert(filters: Vec<Filter>, inverted: bool) -> Filter {
    if inverted { Filter::Any(filters) } else { Filter::All(filters) }
}

impl Reader<'_> {
    /// Conditions that all hold; or, inverted, of which one does not.
    fn conditions(&mut self, object: &Object, inverted: bool, in_or: bool) -> Result<Filter> {
        let mut filters = self.members(object, inverted, in_or)?;
        if filters.len() == 1 {
            return Ok(filters.remove(0));
        }
        Ok(invert(filters, inverted))
    }

    /// One condition for each comparison of `object`, and one for each group
    /// below it.
    fn members(&mut self, object: &Object, inverted: bool, in_or: bool) -> Result<Vec<Filter>> {
        let mut filters = Vec::with_capacity(object.len());
        for (name, value) in object.iter() {
            match (name, value) {
                ("$and", Value::Array(list)) => {
                    let mut all = Vec::with_capacity(list.len());
                    for object in objects(list) {
                        all.push(self.conditions(object?, inverted, in_or || inverted)?);
                    }
                    filters.push(invert(all, inverted));
                }
                ("$or", Value::Array(list)) => filters.extend(self.any(list, inverted)?),
                ("$not", Value::Object(object)) => {
                    filters.push(self.conditions(object, !inverted, in_or)?);
                }
                ("$and" | "$or" | "$not", other) => {
                    return Err(bad(format!("`{name}` does not take {}", other.kind())));
                }
                _ => self.field(name, value, inverted, in_or, &mut filters)?,
            }
        }
        Ok(filters)
    }

    /// The server flattens `$or`: each comparison of each member stands beside
    /// the others, also where a member holds several that look as if all had to
    /// hold. Only `$and` within a member keeps them together. Nothing at all
    /// is no condition.
    fn any(&mut self, list: &[Value], inverted: bool) -> Result<Option<Filter>> {
        let mut any = Vec::with_capacity(list.len());
        for object in objects(list) {
            any.extend(self.members(object?, inverted, true)?);
        }
        Ok((!any.is_empty()).then(|| invert(any, !inverted)))
    }

    fn field(
        &mut self,
        name: &str,
        value: &Value,
        inverted: bool,
        in_or: bool,
        filters: &mut Vec<Filter>,
    ) -> Result<()> {
        let object = match value {
            Value::Array(_) => {
                return Err(bad(format!(
                    "`{name}` cannot be compared with a bare array; use `$eq`"
                )));
            }
            // The server makes no condition of it.
            Value::Object(object) if object.is_empty() => return Ok(()),
            Value::Object(object) => Some(object),
            _ => None,
        };
        let is_operator = |name: &str| name.starts_with('$') && !is_extended(name);
        let operators = object.filter(|object| object.iter().all(|(name, _)| is_operator(name)));
        let Some(operators) = operators else {
            // One that mixes operators and names is equal to nothing stored.
            let nested = |(_, value): (&str, &Value)| holds_operators(value);
            if object.is_some_and(|object| object.iter().any(nested)) {
                return Err(bad(format!(
                    "`{name}` is compared with an object that holds operators; write the path with dots"
                )));
            }
            filters.push(self.condition(name, "$eq", value, inverted, in_or)?);
            return Ok(());
        };
        // Several operators on one field all hold, or, inverted, one of them
        // fails: as the members around them.
        for (operator, value) in operators.iter() {
            filters.push(self.condition(name, operator, value, inverted, in_or)?);
        }
        Ok(())
    }

    fn condition(
        &mut self,
        name: &str,
        operator: &str,
        value: &Value,
        inverted: bool,
        in_or: bool,
    ) -> Result<Filter> {
        const OPERATORS: [&str; 12] = [
            "$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists", "$all", "$size",
            "$match",
        ];
        if !OPERATORS.contains(&operator) {
            return refuse(
                Code::FilterOperator,
                format!("there is no filter operator `{operator}`"),
            );
        }
        self.comparisons += 1;
        let path = self.path(name, operator)?;
        if operator == "$match" {
            let Some(words) = value.as_str() else {
                return Err(bad(format!("`$match` takes a string, not {}", value.kind())));
            };
            if inverted {
                return refuse(Code::FilterOperator, "`$match` cannot be inverted by `$not`");
            }
            return Ok(Filter::Lexical(words.to_owned()));
        }
        if path.is_id() {
            self.ids += 1;
            self.id_in_or |= in_or;
            if operator != "$exists" {
                return self.id(operator, value, inverted);
            }
        }
        if !self.settings.indexing.covers(&path) {
            if path.is_id() {
                return refuse(
                    Code::FilterId,
                    format!("`_id` is not indexed: `{operator}` cannot be used"),
                );
            }
            return refuse(
                Code::FilterUnindexed,
                format!(
                    "path `{}` of collection `{}` is not indexed",
                    path.as_str(),
                    self.settings.name
                ),
            );
        }
        let test = match (self.test(operator, value)?, self.settings.indexing.hidden_below(&path)) {
            (Test::Equals(operand), Some(hidden)) => Test::Equals(indexed(&path, operand, hidden)?),
            (Test::Differs(operand), Some(hidden)) => {
                Test::Differs(indexed(&path, operand, hidden)?)
            }
            (test, _) => test,
        };
        Ok(Filter::Field { path, test: if inverted { test.invert() } else { test } })
    }

    fn path(&self, name: &str, operator: &str) -> Result<Path> {
        if name.is_empty() {
            return Err(bad("a filter path must not be empty"));
        }
        match name {
            "$vector" | "$vectorize" if operator != "$exists" => {
                return Err(bad(format!(
                    "`{name}` can only be filtered by `$exists`, not `{operator}`"
                )));
            }
            "$lexical" if !self.settings.lexical.enabled => {
                return refuse(
                    Code::NoLexicalCollection,
                    format!("collection `{}` was created without `lexical`", self.settings.name),
                );
            }
            "$lexical" if operator != "$match" => {
                return Err(bad(format!(
                    "`$lexical` can only be filtered by `$match`, not `{operator}`"
                )));
            }
            "$vector" | "$vectorize" | "$lexical" => {}
            _ if name.starts_with('$') => {
                return Err(bad(format!("a filter path must not start with `$`: `{name}`")));
            }
            _ if operator == "$match" => {
                return Err(bad(format!("`$match` is for `$lexical`, not `{name}`")));
            }
            _ => {}
        }
        Path::parse_lenient(name).map_err(|problem| bad(format!("filter path `{name}`: {problem}")))
    }

    fn test(&self, operator: &str, value: &Value) -> Result<Test> {
        Ok(match operator {
            "$eq" => Test::Equals(Operand::of(value)?),
            "$ne" => Test::Differs(Operand::of(value)?),
            "$in" => Test::In(self.values(operator, value)?),
            "$nin" => Test::NotIn(self.values(operator, value)?),
            "$all" => match value {
                Value::Array(list) if !list.is_empty() => {
                    Test::ContainsAll(list.iter().map(Operand::of).collect::<Result<_>>()?)
                }
                _ => return Err(bad("`$all` takes an array with at least one value")),
            },
            "$exists" => match value {
                Value::Bool(exists) => Test::Exists(*exists),
                other => {
                    return Err(bad(format!("`$exists` takes a boolean, not {}", other.kind())));
                }
            },
            "$size" => match value {
                Value::Number(number) => match number.as_i64().map(usize::try_from) {
                    Some(Ok(length)) => Test::Size { length, equal: true },
                    _ => {
                        return Err(bad(format!(
                            "`$size` takes an integer of at least 0, not {number}"
                        )));
                    }
                },
                other => {
                    return Err(bad(format!("`$size` takes an integer, not {}", other.kind())));
                }
            },
            _ => Test::Compares(comparison(operator), ordered(operator, value)?),
        })
    }

    fn values(&self, operator: &str, value: &Value) -> Result<Vec<Operand>> {
        self.list_of(operator, value)?.iter().map(Operand::of).collect()
    }

    fn list_of<'v>(&self, operator: &str, value: &'v Value) -> Result<&'v [Value]> {
        match value {
            Value::Array(list) if list.len() > self.limits.in_values => Err(bad(format!(
                "`{operator}` has {} values; at most {} are allowed",
                list.len(),
                self.limits.in_values
            ))),
            Value::Array(list) => Ok(list),
            other => Err(bad(format!("`{operator}` takes an array, not {}", other.kind()))),
        }
    }

    fn id(&mut self, operator: &str, value: &Value, inverted: bool) -> Result<Filter> {
        let key = |value: &Value| Ok((Key::of(value)?, value.clone()));
        let test = match operator {
            "$eq" | "$ne" => {
                let ids = vec![key(value)?];
                if (operator == "$eq") != inverted {
                    IdTest::In(ids)
                } else {
                    IdTest::NotIn(ids.into_iter().map(|(key, _)| key).collect())
                }
            }
            "$in" | "$nin" => {
                let ids: Vec<_> =
                    self.list_of(operator, value)?.iter().map(key).collect::<Result<_>>()?;
                if (operator == "$in") != inverted {
                    IdTest::In(ids)
                } else {
                    IdTest::NotIn(ids.into_iter().map(|(key, _)| key).collect())
                }
            }
            "$gt" | "$gte" | "$lt" | "$lte" => {
                let comparison = comparison(operator);
                let comparison = if inverted { comparison.invert() } else { comparison };
                IdTest::Compares(comparison, ordered(operator, value)?)
            }
            _ => {
                return refuse(
                    Code::FilterOperator,
                    format!("`{operator}` cannot be used with `_id`"),
                );
            }
        };
        let indexed = Path::parse("_id").is_ok_and(|path| self.settings.indexing.covers(&path));
        if !indexed && !matches!(test, IdTest::In(_)) {
            return refuse(
                Code::FilterId,
                format!("`_id` is not indexed: `{operator}` cannot be used"),
            );
        }
        Ok(Filter::Id(test))
    }
}

/// An object is compared with what is indexed of the stored ones, and must not
/// name what is not.
fn indexed(path: &Path, operand: Operand, hidden: &Branch) -> Result<Operand> {
    let Operand::Whole(value) = operand else { return Ok(operand) };
    if hidden.strip(&value) != value {
        return refuse(
            Code::FilterUnindexed,
            format!("`{}` is compared with {value}, of which a part is not indexed", path.as_str()),
        );
    }
    Ok(Operand::Indexed(value, hidden.clone()))
}

fn objects(list: &[Value]) -> impl Iterator<Item = Result<&Object>> {
    list.iter().map(|value| match value {
        Value::Object(object) => Ok(object),
        other => {
            refuse(Code::FilterType, format!("`$and` and `$or` list objects, not {}", other.kind()))
        }
    })
}

fn holds_operators(value: &Value) -> bool {
    let Some(object) = value.as_object() else { return false };
    object
        .iter()
        .any(|(name, value)| name.starts_with('$') && !is_extended(name) || holds_operators(value))
}

fn is_extended(name: &str) -> bool {
    matches!(name, "$date" | "$uuid" | "$objectId" | "$binary")
}

fn comparison(operator: &str) -> Comparison {
    match operator {
        "$gt" => Comparison::Greater,
        "$gte" => Comparison::GreaterOrEqual,
        "$lt" => Comparison::Less,
        _ => Comparison::LessOrEqual,
    }
}

fn ordered(operator: &str, value: &Value) -> Result<Operand> {
    match Operand::of(value)? {
        Operand::Null | Operand::Whole(_) | Operand::Indexed(..) => Err(bad(format!(
            "`{operator}` takes a number, string, date or boolean, not {}",
            value.kind()
        ))),
        operand => Ok(operand),
    }
}
