//! What a song says of the writes that made it.
//!
//! The values of a song stand where readers look for them, in its tags, edits
//! and files. Beside them it says which writes it has seen, and which of them
//! left which value: its [`History`]. Both together are its [`Version`].

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    InvalidId, OperationId, Stamp, Timestamp,
    song::keyed::{Keyed, is_element},
    version::{LIFE, Op, Version},
};

/// Which writes a song has seen, and which of them left which value.
///
/// A write is 64 bits; its values are named by their keys, because what they
/// say stands in the song itself. Most values of most songs come from the same
/// few writes: `rest` names these, and the values that they left are those that
/// are not named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct History {
    seen: Seen,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rest: Vec<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writes: Vec<Left>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<String>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Written {
    seen: Seen,
    rest: Vec<usize>,
    writes: Vec<Left>,
    deleted: bool,
    gone: Vec<String>,
}

// What is left of a write: its place among those seen, when it was done, the
// keys of its values that are shown, and its values that are not.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Left(usize, Stamp, #[serde(default)] Vec<String>, #[serde(default)] BTreeMap<String, Value>);

// What comes last and is empty is left out.
impl Serialize for Left {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(write, stamp, keys, lost) = self;
        match (keys.is_empty(), lost.is_empty()) {
            (true, true) => (write, stamp).serialize(to),
            (false, true) => (write, stamp, keys).serialize(to),
            (_, false) => (write, stamp, keys, lost).serialize(to),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Seen(Vec<Op>);

impl TryFrom<String> for Seen {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new(&text, "a list of writes, 64 bits each, in base64");
        let bytes = URL_SAFE_NO_PAD.decode(&text).map_err(|_| invalid())?;
        let (ops, rest) = bytes.as_chunks::<8>();
        let ops: Vec<Op> = ops.iter().map(|op| Op(u64::from_be_bytes(*op))).collect();
        if !rest.is_empty() || !ops.is_sorted_by(|one, next| one < next) {
            return Err(invalid());
        }
        Ok(Self(ops))
    }
}

impl From<Seen> for String {
    fn from(seen: Seen) -> Self {
        let bytes: Vec<u8> = seen.0.iter().flat_map(|op| op.0.to_be_bytes()).collect();
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A history that names writes which it has not seen.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the history of the song names write {0} of {1}")]
struct InvalidHistory(usize, usize);

impl TryFrom<Written> for History {
    type Error = InvalidHistory;

    fn try_from(written: Written) -> Result<Self, InvalidHistory> {
        let Written { seen, rest, writes, deleted, gone } = written;
        let known = seen.0.len();
        let named = rest.iter().chain(writes.iter().map(|left| &left.0));
        if let Some(wrong) = named.copied().find(|at| *at >= known) {
            return Err(InvalidHistory(wrong, known));
        }
        Ok(Self { seen, rest, writes, deleted, gone })
    }
}

impl History {
    /// The history of a song that one write made, with all that it says.
    pub fn begun(operation: OperationId, now: Timestamp) -> Self {
        let stamp = Stamp::after(Stamp::default(), now);
        Self {
            seen: Seen(vec![operation.into()]),
            rest: vec![0],
            writes: vec![Left(0, stamp, Vec::new(), BTreeMap::new())],
            deleted: false,
            gone: Vec::new(),
        }
    }

    /// How many writes the song has seen.
    pub fn len(&self) -> usize {
        self.seen.0.len()
    }

    /// Whether it has seen none.
    pub fn is_empty(&self) -> bool {
        self.seen.0.is_empty()
    }

    /// The segments that were deleted for ever.
    pub fn gone(&self) -> impl Iterator<Item = &String> {
        self.gone.iter()
    }

    /// Whether both have seen the same writes.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.seen == other.seen && self.gone == other.gone
    }

    /// Whether a version has seen all of this.
    pub fn is_in(&self, version: &Version) -> bool {
        self.seen.0.iter().all(|op| version.seen().contains(op))
            && self.gone.iter().all(|one| version.gone().contains(one))
    }

    /// The history of a version of which `keyed` is shown.
    pub(crate) fn of(version: &Version, keyed: &Keyed) -> Self {
        let seen: Vec<Op> = version.seen().iter().copied().collect();
        let place = |op: &Op| seen.binary_search(op).expect("what left something was seen");
        let mut writers: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (op, write) in version.writes() {
            for (key, value) in &write.values {
                if keyed.values.get(key) == Some(value) {
                    writers.entry(key).or_default().insert(place(op));
                }
            }
        }
        let rest = most_common(writers.iter().filter(|(key, _)| !is_element(key)));
        let writes = version.writes().iter().map(|(op, write)| {
            let (mut keys, mut lost) = (Vec::new(), BTreeMap::new());
            for (key, value) in &write.values {
                if keyed.values.get(key) != Some(value) {
                    lost.insert(key.clone(), value.clone());
                } else if is_element(key) || writers[key.as_str()] != rest {
                    keys.push(key.clone());
                }
            }
            // Only of the elements of lists the order says something; all else
            // stands alike, so that all that have seen the same write the same.
            keys.sort_by(|one, two| match (is_element(one), is_element(two)) {
                (true, true) => Ordering::Equal,
                (false, false) => one.cmp(two),
                (one, two) => one.cmp(&two),
            });
            Left(place(op), write.stamp, keys, lost)
        });
        Self {
            writes: writes.collect(),
            rest: rest.into_iter().collect(),
            deleted: !version.is_alive(),
            gone: version.gone().iter().cloned().collect(),
            seen: Seen(seen),
        }
    }

    /// The version of a song that says this. What nobody is named for was left
    /// by `writer`.
    pub(crate) fn version(&self, keyed: &Keyed, writer: Op, stamp: Stamp) -> Version {
        let mut version = Version::new();
        self.seen.0.iter().for_each(|op| version.see(*op));
        version.remove_for_ever(self.gone.iter().cloned());
        let named: BTreeSet<&str> =
            self.writes.iter().flat_map(|left| &left.2).map(String::as_str).collect();
        let unnamed = keyed.values.iter().filter(|(key, _)| {
            !(named.contains(key.as_str()) || self.deleted && key.as_str() == LIFE)
        });
        let (others, unnamed): (Vec<_>, Vec<_>) =
            unnamed.partition(|(key, _)| is_element(key) || self.rest.is_empty());
        for left in &self.writes {
            let shown = left.2.iter().filter_map(|key| keyed.values.get_key_value(key));
            let rest = unnamed.iter().copied().filter(|_| self.rest.contains(&left.0));
            let values = shown.chain(rest).chain(&left.3);
            let values = values.map(|(key, value)| (key.clone(), value.clone())).collect();
            version.leave(self.seen.0[left.0], left.1, values);
        }
        if !others.is_empty() {
            let others = others.into_iter().map(|(key, value)| (key.clone(), value.clone()));
            version.leave(writer, stamp, others.collect());
        }
        version
    }
}

// The writes that left most of the values together.
fn most_common<'a>(
    writers: impl Iterator<Item = (&'a &'a str, &'a BTreeSet<usize>)>,
) -> BTreeSet<usize> {
    let mut counts: BTreeMap<&BTreeSet<usize>, usize> = BTreeMap::new();
    for (_, writers) in writers {
        *counts.entry(writers).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(writers, _)| writers.clone()).unwrap_or_default()
}
