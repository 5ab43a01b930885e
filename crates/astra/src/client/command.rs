//! The commands of the Data API, as types.
//!
//! Filters, projections, sorts and updates are JSON, because their grammar is
//! that of the documents; everything around them is typed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::repeat::Repeat;

/// Documents to look for, a page at a time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Find {
    /// Which; all of them if it is `null`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub filter: Value,
    /// Which of their fields; all but the vector if it is `null`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub projection: Value,
    /// In which order. A sorted answer is one page and no more.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub sort: Value,
    /// How many, from where.
    #[serde(skip_serializing_if = "FindOptions::is_empty")]
    pub options: FindOptions,
}

/// How many documents, from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindOptions {
    /// At most so many, over all pages; at most 1,000 by vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Leave out so many; needs a sort that is not by vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<usize>,
    /// Where the page begins, as the page before said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_state: Option<String>,
    /// Put `$similarity` into each document found by vector.
    #[serde(skip_serializing_if = "is_false")]
    pub include_similarity: bool,
}

impl FindOptions {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Find {
    /// All documents that pass `filter`.
    pub fn new(filter: Value) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Only these fields.
    #[must_use]
    pub fn project(mut self, projection: Value) -> Self {
        self.projection = projection;
        self
    }

    /// In this order.
    #[must_use]
    pub fn sort(mut self, sort: Value) -> Self {
        self.sort = sort;
        self
    }

    /// Nearest to a vector first, at most `limit`, each with `$similarity`.
    #[must_use]
    pub fn nearest(mut self, vector: &[f32], limit: usize) -> Self {
        self.sort = json!({"$vector": super::binary_vector(vector)});
        self.options.limit = Some(limit);
        self.options.include_similarity = true;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.options.limit = Some(limit);
        self
    }

    /// Without the first so many.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.options.skip = (skip > 0).then_some(skip);
        self
    }

    /// From where another page ended.
    #[must_use]
    pub fn after(mut self, page_state: Option<String>) -> Self {
        self.options.page_state = page_state;
        self
    }
}

/// A change of one document, or of all that pass a filter.
#[derive(Clone, Debug, Serialize)]
pub struct Update {
    /// Which documents.
    pub filter: Value,
    /// What changes, such as `{"$set": {"title": "T"}}`.
    pub update: Value,
    #[serde(skip_serializing_if = "UpdateOptions::is_empty")]
    pub(super) options: UpdateOptions,
    #[serde(skip)]
    pub(super) repeat: Option<Repeat>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) projection: Value,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateOptions {
    #[serde(skip_serializing_if = "is_false")]
    pub(super) upsert: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) return_document: Option<Version>,
}

impl UpdateOptions {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which version of a changed document is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// As it was.
    Before,
    /// As it is now.
    After,
}

impl Update {
    /// Changes what passes `filter` by `update`.
    pub const fn new(filter: Value, update: Value) -> Self {
        Self {
            filter,
            update,
            options: UpdateOptions { upsert: false, page_state: None, return_document: None },
            repeat: None,
            projection: Value::Null,
        }
    }

    /// Insert a document if none passes the filter.
    #[must_use]
    pub const fn upsert(mut self) -> Self {
        self.options.upsert = true;
        self
    }

    /// Applying it twice is the same as applying it once, or is prevented by
    /// the filter: it may be sent again when an answer was lost. The caller
    /// then finds out what happened by reading.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeat = Some(Repeat::Always);
        self
    }

    /// Only these fields of the document that is returned.
    #[must_use]
    pub fn project(mut self, projection: Value) -> Self {
        self.projection = projection;
        self
    }
}

/// Another document in the place of one.
#[derive(Clone, Debug, Serialize)]
pub struct Replace<T> {
    /// Which document.
    pub filter: Value,
    /// What is there afterwards.
    pub replacement: T,
    #[serde(skip_serializing_if = "UpdateOptions::is_empty")]
    pub(super) options: UpdateOptions,
    #[serde(skip)]
    pub(super) repeat: Option<Repeat>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) projection: Value,
}

impl<T> Replace<T> {
    /// Puts `replacement` where a document passes `filter`.
    pub const fn new(filter: Value, replacement: T) -> Self {
        let options = UpdateOptions { upsert: false, page_state: None, return_document: None };
        Self { filter, replacement, options, repeat: None, projection: Value::Null }
    }

    /// As [`Update::repeatable`].
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeat = Some(Repeat::Always);
        self
    }

    /// Insert the document if none passes the filter.
    #[must_use]
    pub const fn upsert(mut self) -> Self {
        self.options.upsert = true;
        self
    }

    /// Only these fields of the document that is returned.
    #[must_use]
    pub fn project(mut self, projection: Value) -> Self {
        self.projection = projection;
        self
    }
}

/// A page of documents, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPage<T> {
    /// The documents; there may be none although there are more.
    pub documents: Vec<T>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// What became of one inserted document.
#[derive(Debug)]
pub enum Inserted {
    /// It is stored.
    Done,
    /// A document of its `_id` is stored.
    Exists {
        /// Whether it was sent more than once, so that it may be this very
        /// document, stored before an answer was lost.
        repeated: bool,
    },
    /// It is not stored, or nobody knows.
    Failed(super::Error),
}

/// What an update did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Updated<T = Value> {
    /// Documents that were read; proves nothing.
    pub matched: u64,
    /// Documents that were written.
    pub modified: u64,
    /// The `_id` of the document that an upsert made.
    pub upserted: Option<Value>,
    /// The document, if it was asked for and there is one.
    pub document: Option<T>,
}

/// How many documents there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// At least so many.
    pub count: u64,
    /// Whether there are more: the server counts to 1,000.
    pub more: bool,
}

/// The settings of a collection, as it is created and as the server tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectionSettings {
    /// Its name: 1 to 48 of `A-Za-z0-9_`.
    pub name: String,
    /// The `options` of `createCollection`.
    #[serde(default)]
    pub options: Value,
}

impl CollectionSettings {
    /// How `existing` differs from what is wanted here, in words; nothing if
    /// every option asked for is as it should be.
    pub fn differences(&self, existing: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for option in ["vector", "indexing", "defaultId"] {
            let (wanted, found) = (&self.options[option], &existing.options[option]);
            if !covers(wanted, found) {
                let show = |value: &Value| match value {
                    Value::Null => "nothing".to_owned(),
                    other => format!("`{other}`"),
                };
                differences.push(format!("{option} is {}, not {}", show(found), show(wanted)));
            }
        }
        differences
    }
}

// Whether `found` says everything that `wanted` says; lists in any order.
fn covers(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| covers(value, found))),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().all(|one| found.contains(one))
        }
        (Value::Null, found) => found.is_null(),
        _ => wanted == found,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_sent() {
        assert_eq!(serde_json::to_value(Find::default()).unwrap(), json!({}));
        let find = Find::new(json!({"a": 1})).limit(3).after(Some("s".into()));
        assert_eq!(
            serde_json::to_value(find).unwrap(),
            json!({"filter": {"a": 1}, "options": {"limit": 3, "pageState": "s"}})
        );
        let update = Update::new(json!({"_id": 1}), json!({"$set": {"a": 1}})).repeatable();
        assert_eq!(
            serde_json::to_value(update).unwrap(),
            json!({"filter": {"_id": 1}, "update": {"$set": {"a": 1}}})
        );
    }

    #[test]
    fn a_collection_may_have_more_settings_but_no_others() {
        let settings = |options| CollectionSettings { name: "songs".into(), options };
        let wanted =
            settings(json!({"vector": {"dimension": 4}, "indexing": {"deny": ["a", "b"]}}));

        let same = settings(json!({
            "vector": {"dimension": 4, "metric": "cosine"},
            "indexing": {"deny": ["b", "a"]},
            "lexical": {"enabled": true}
        }));
        let other = settings(json!({"vector": {"dimension": 5}, "indexing": {"deny": ["a"]}}));

        assert_eq!(wanted.differences(&same), Vec::<String>::new());
        assert_eq!(wanted.differences(&other).len(), 2);
    }
}
