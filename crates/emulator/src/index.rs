//! Value indexes of a collection: they narrow a scan, the filter decides.
//!
//! An index is built when a filter first names its path in a collection that
//! is large enough, and kept from then on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::document::Document;
use crate::filter::{Comparison, Filter, Operand, Test};
use crate::id::Key;
use crate::json::Value;
use crate::number::Number;
use crate::path::Path;

/// Smaller collections are scanned.
const WORTH_AN_INDEX: usize = 500;
/// A filter that leaves more than this part of the rows is scanned.
const SELECTIVE: usize = 4;
/// Paths that a program filters on; more are scanned.
const MAX_INDEXES: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Indexes(HashMap<Path, Postings>);

type Postings = BTreeMap<Entry, BTreeSet<Key>>;

/// A scalar at a path, or in an array at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Bool(bool),
    Number(Number),
    Text(String),
    Date(i64),
}

impl Entry {
    fn of(operand: &Operand) -> Option<Self> {
        match operand {
            Operand::Bool(value) => Some(Self::Bool(*value)),
            Operand::Number(number) => Some(Self::Number(number.clone())),
            Operand::Text(text) => Some(Self::Text(text.clone())),
            Operand::Date(millis) => Some(Self::Date(*millis)),
            Operand::Null | Operand::Whole(_) | Operand::Indexed(..) => None,
        }
    }

    fn all(value: &Value) -> Vec<Self> {
        match value {
            Value::Array(values) => {
                values.iter().filter_map(|value| Self::of(&Operand::of_stored(value))).collect()
            }
            value => Self::of(&Operand::of_stored(value)).into_iter().collect(),
        }
    }

    /// The first and the last entry of the same type.
    fn same_type(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A part of a filter that an index can answer.
enum Lookup<'a> {
    Any(Vec<Entry>),
    Range(Comparison, &'a Operand),
}

fn lookup(test: &Test) -> Option<Lookup<'_>> {
    match test {
        Test::Equals(operand) => Some(Lookup::Any(vec![Entry::of(operand)?])),
        Test::In(operands) => {
            Some(Lookup::Any(operands.iter().map(Entry::of).collect::<Option<_>>()?))
        }
        Test::ContainsAll(operands) => {
            Some(Lookup::Any(vec![operands.iter().find_map(Entry::of)?]))
        }
        Test::Compares(comparison, operand) => Some(Lookup::Range(*comparison, operand)),
        _ => None,
    }
}

/// The conditions that all matches fulfil and that an index could answer.
fn conditions<'a>(filter: &'a Filter, found: &mut Vec<(&'a Path, Lookup<'a>)>) {
    match filter {
        Filter::All(filters) => filters.iter().for_each(|filter| conditions(filter, found)),
        Filter::Field { path, test } => found.extend(lookup(test).map(|lookup| (path, lookup))),
        Filter::Any(_) | Filter::Id(_) | Filter::Lexical(_) => {}
    }
}

impl Indexes {
    /// The paths of a filter that should have an index and have none.
    pub(crate) fn missing(&self, filter: &Filter, rows: usize) -> Vec<Path> {
        if rows < WORTH_AN_INDEX || self.0.len() >= MAX_INDEXES {
            return Vec::new();
        }
        let mut found = Vec::new();
        conditions(filter, &mut found);
        found
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| !self.0.contains_key(*path))
            .cloned()
            .collect()
    }

    pub(crate) fn build<'a>(
        &mut self,
        path: Path,
        documents: impl Iterator<Item = &'a Arc<Document>>,
    ) {
        let mut postings = Postings::new();
        for document in documents {
            for entry in path.find(&document.body).map(Entry::all).unwrap_or_default() {
                postings.entry(entry).or_default().insert(document.key.clone());
            }
        }
        self.0.insert(path, postings);
    }

    pub(crate) fn add(&mut self, document: &Document) {
        for (path, postings) in &mut self.0 {
            for entry in path.find(&document.body).map(Entry::all).unwrap_or_default() {
                postings.entry(entry).or_default().insert(document.key.clone());
            }
        }
    }

    /// Forgets a document, but for what its successor has as well.
    pub(crate) fn remove(&mut self, old: &Document, new: Option<&Arc<Document>>) {
        for (path, postings) in &mut self.0 {
            let entries =
                |document: &Document| path.find(&document.body).map(Entry::all).unwrap_or_default();
            let kept = new.map(|new| entries(new)).unwrap_or_default();
            for entry in entries(old) {
                if kept.contains(&entry) {
                    continue;
                }
                if let Some(keys) = postings.get_mut(&entry) {
                    keys.remove(&old.key);
                    if keys.is_empty() {
                        postings.remove(&entry);
                    }
                }
            }
        }
    }

    /// The rows that may match, in the order of scans; `None` if a scan of all
    /// rows is as good.
    pub(crate) fn candidates(&self, filter: &Filter, rows: usize) -> Option<Vec<Key>> {
        let mut found = Vec::new();
        conditions(filter, &mut found);
        let limit = rows / SELECTIVE;
        let mut best: Option<Vec<&Key>> = None;
        for (path, lookup) in found {
            let Some(postings) = self.0.get(path) else { continue };
            let limit = best.as_ref().map_or(limit, Vec::len);
            if let Some(keys) = keys(postings, &lookup, limit) {
                best = Some(keys);
            }
        }
        let mut keys = best?;
        keys.sort_unstable();
        keys.dedup();
        Some(keys.into_iter().cloned().collect())
    }
}

/// The rows of a lookup, unless there are more than `limit`.
fn keys<'a>(postings: &'a Postings, lookup: &Lookup<'_>, limit: usize) -> Option<Vec<&'a Key>> {
    let mut keys = Vec::new();
    let mut take = |set: &'a BTreeSet<Key>| {
        keys.extend(set);
        keys.len() <= limit
    };
    match lookup {
        Lookup::Any(entries) => {
            for set in entries.iter().filter_map(|entry| postings.get(entry)) {
                if !take(set) {
                    return None;
                }
            }
        }
        Lookup::Range(comparison, operand) => {
            let entry = Entry::of(operand)?;
            let range = match comparison {
                Comparison::Greater => (Bound::Excluded(&entry), Bound::Unbounded),
                Comparison::GreaterOrEqual => (Bound::Included(&entry), Bound::Unbounded),
                Comparison::Less => (Bound::Unbounded, Bound::Excluded(&entry)),
                Comparison::LessOrEqual => (Bound::Unbounded, Bound::Included(&entry)),
            };
            let upwards = matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual);
            let mut range = postings.range::<Entry, _>(range);
            // Start at the entry, so that the walk ends where the type does.
            let mut next = || if upwards { range.next() } else { range.next_back() };
            while let Some((other, set)) = next() {
                if !other.same_type(&entry) {
                    break;
                }
                if !take(set) {
                    return None;
                }
            }
        }
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::shred;
    use crate::json::parse;
    use crate::limits::Limits;
    use crate::settings::{Features, Settings};

    fn settings() -> Settings {
        Settings::parse("c", None, &Features { lexical: false, rerank: false }, &Limits::default())
            .unwrap()
    }

    fn document(text: &str) -> Arc<Document> {
        let Value::Object(body) = parse(text, 100).unwrap() else { unreachable!() };
        shred(body, &settings(), &Limits::default(), 1).unwrap()
    }

    fn filter(text: &str) -> Filter {
        Filter::parse(Some(&parse(text, 100).unwrap()), &settings(), &Limits::default()).unwrap()
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..6_u8).prop_map(|n| n.to_string()),
            (0..6_u8).prop_map(|n| format!("\"{n}\"")),
            prop::collection::vec(0..6, 0..3).prop_map(|list| format!("{list:?}")),
            Just("null".to_owned()),
            (0..6_u8).prop_map(|n| format!(r#"{{"$date":{n}}}"#)),
            any::<bool>().prop_map(|b| b.to_string()),
        ]
    }

    fn scalar() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..6_u8).prop_map(|n| n.to_string()),
            (0..6_u8).prop_map(|n| format!("\"{n}\"")),
            (0..6_u8).prop_map(|n| format!(r#"{{"$date":{n}}}"#)),
        ]
    }

    proptest! {
        /// Whatever an index says, it never hides a match, through any history.
        #[test]
        fn candidates_hold_every_match(
            history in prop::collection::vec((0..20_u32, prop::option::of(value())), 1..60),
            operator in prop::sample::select(vec!["$eq", "$gt", "$gte", "$lt", "$lte", "$in", "$all"]),
            operand in scalar(),
        ) {
            let mut rows: BTreeMap<Key, Arc<Document>> = BTreeMap::new();
            let mut indexes = Indexes::default();
            indexes.build(Path::parse("a").unwrap(), rows.values());
            for (id, value) in history {
                let new = value.map(|value| document(&format!(r#"{{"_id":{id},"a":{value}}}"#)));
                let key = Key::of(&Value::from(i64::from(id))).unwrap();
                let old = match &new {
                    Some(new) => { indexes.add(new); rows.insert(key.clone(), Arc::clone(new)) }
                    None => rows.remove(&key),
                };
                if let Some(old) = old {
                    indexes.remove(&old, rows.get(&key));
                }
            }
            let operand = if matches!(operator, "$in" | "$all") { format!("[{operand}]") } else { operand };
            let filter = filter(&format!(r#"{{"a":{{"{operator}":{operand}}}}}"#));
            // As if there were many rows, so that the index answers.
            let candidates = indexes.candidates(&filter, 10_000).unwrap();
            let expected: Vec<_> = rows.values().filter(|d| filter.matches(d)).map(|d| d.key.clone()).collect();
            for key in &expected {
                prop_assert!(candidates.contains(key));
            }
            for key in &candidates {
                prop_assert!(rows.contains_key(key));
            }
            prop_assert!(candidates.is_sorted());
        }
    }
}
