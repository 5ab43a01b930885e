//! What a version of a document has seen, and the values that nobody who saw
//! them has overwritten.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::Value;

use crate::{Digest, OperationId, Stamp};

/// One write of one document: the first 64 bits of its operation, which tell
/// the writes of one document apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Op(pub u64);

impl Op {
    /// The write that is always the same for the same text.
    pub fn made_of(text: &str) -> Self {
        Self::begin(&Digest::of(text.as_bytes()).0)
    }

    fn begin(bytes: &[u8]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// An operation that is this write, told from others that are by `text`.
    pub fn operation(self, text: &str) -> OperationId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes[8..].copy_from_slice(&Digest::of(text.as_bytes()).0[..8]);
        OperationId::from_bytes(bytes)
    }
}

impl From<OperationId> for Op {
    fn from(operation: OperationId) -> Self {
        Self::begin(operation.as_bytes())
    }
}

/// The key of a life: a document that has one is there, one that has none is
/// deleted.
pub const LIFE: &str = "life";

/// What one write left that nobody has overwritten who saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// When it was done, by the clock of its writer; later than all that it had
    /// seen.
    pub stamp: Stamp,
    /// Its values by their keys, each key once, in the order of the writer.
    pub values: Vec<(String, Value)>,
}

/// A version of a document: the writes that it has seen, and what is left of
/// them.
///
/// Two versions have one [`join`](Self::join), which is commutative,
/// associative and idempotent. So versions may be joined along any graph, in
/// any order and however often, and whoever has seen the same writes has the
/// same values.
///
/// Invariants: every write that left something was seen; and a version that
/// has seen a write has seen all that its writer had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    writes: BTreeMap<Op, Write>,
    seen: BTreeSet<Op>,
    highest: BTreeMap<String, (u64, Value)>,
    gone: BTreeSet<String>,
}

impl Version {
    /// A version that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of whoever has seen both.
    ///
    /// A value stays if both have it, or if one has it and the other has not
    /// seen its write: what one side has seen and no longer has was
    /// overwritten there.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut joined = Self {
            writes: BTreeMap::new(),
            seen: self.seen.union(&other.seen).copied().collect(),
            highest: self.highest.clone(),
            gone: self.gone.union(&other.gone).cloned().collect(),
        };
        for (op, write) in &self.writes {
            match other.writes.get(op) {
                Some(theirs) => drop(joined.writes.insert(*op, both(write, theirs))),
                None if other.seen.contains(op) => {}
                None => drop(joined.writes.insert(*op, write.clone())),
            }
        }
        for (op, write) in &other.writes {
            if !self.seen.contains(op) {
                joined.writes.insert(*op, write.clone());
            }
        }
        joined.writes.retain(|_, write| !write.values.is_empty());
        for (key, (rank, value)) in &other.highest {
            joined.raise(key, *rank, value.clone());
        }
        joined
    }

    /// Whether this one has seen all that the other has: then it is their join.
    pub fn includes(&self, other: &Self) -> bool {
        self.seen.is_superset(&other.seen)
            && self.gone.is_superset(&other.gone)
            && other.highest.iter().all(|(key, (rank, value))| !self.is_raised(key, *rank, value))
    }

    /// Whether both have seen the same: then they are the same.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.seen == other.seen && self.gone == other.gone && self.highest == other.highest
    }

    /// Whether the document is there; otherwise it is deleted, and the rest is
    /// what it held.
    pub fn is_alive(&self) -> bool {
        self.values(LIFE).next().is_some()
    }

    /// The writes that this version has seen, in an order that says nothing.
    pub const fn seen(&self) -> &BTreeSet<Op> {
        &self.seen
    }

    /// What is left of each write.
    pub const fn writes(&self) -> &BTreeMap<Op, Write> {
        &self.writes
    }

    /// Of each key that only rises, the highest value with its rank.
    pub const fn highest(&self) -> &BTreeMap<String, (u64, Value)> {
        &self.highest
    }

    /// What was removed for ever.
    pub const fn gone(&self) -> &BTreeSet<String> {
        &self.gone
    }

    /// The values of a key, the one that is shown first: several, if they were
    /// written without knowledge of each other.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (Stamp, Op, &'a Value)> {
        let mut values: Vec<_> = self
            .writes
            .iter()
            .filter_map(|(op, write)| {
                let (_, value) = write.values.iter().find(|(of, _)| of == key)?;
                Some((write.stamp, *op, value))
            })
            .collect();
        values.sort_by_key(|(stamp, op, _)| std::cmp::Reverse((*stamp, *op)));
        values.into_iter()
    }

    /// Of every key the value that is shown, with the write that left it and
    /// its place among the values of that write.
    pub fn shown(&self) -> BTreeMap<&str, Shown<'_>> {
        let mut shown: BTreeMap<&str, Shown<'_>> = BTreeMap::new();
        for (op, write) in &self.writes {
            for (place, (key, value)) in write.values.iter().enumerate() {
                let one = Shown { stamp: write.stamp, op: *op, place, value };
                shown
                    .entry(key)
                    .and_modify(|known| {
                        if (one.stamp, one.op) > (known.stamp, known.op) {
                            *known = one;
                        }
                    })
                    .or_insert(one);
            }
        }
        shown
    }

    /// The latest moment at which something that is left was written.
    pub fn last(&self) -> Stamp {
        self.writes.values().map(|write| write.stamp).max().unwrap_or_default()
    }

    /// Does a write: it leaves `values`, in place of all that is known under
    /// their keys and under `removed`.
    pub fn write<'a>(
        &mut self,
        op: Op,
        stamp: Stamp,
        removed: impl IntoIterator<Item = &'a str>,
        values: Vec<(String, Value)>,
    ) {
        let removed: BTreeSet<&str> = removed.into_iter().collect();
        let stays =
            |key: &str| !removed.contains(key) && !values.iter().any(|(written, _)| written == key);
        for write in self.writes.values_mut() {
            write.values.retain(|(key, _)| stays(key));
        }
        self.writes.retain(|_, write| !write.values.is_empty());
        self.seen.insert(op);
        if !values.is_empty() {
            self.writes.insert(op, Write { stamp, values });
        }
    }

    /// Deletes the document: takes every life that was seen.
    pub fn bury(&mut self, op: Op) {
        self.write(op, Stamp::default(), [LIFE], Vec::new());
    }

    /// Notes a value of a key that only rises: of two, the one of the higher
    /// rank counts, of equal ranks always the same one.
    pub fn raise(&mut self, key: &str, rank: u64, value: Value) {
        if self.is_raised(key, rank, &value) {
            self.highest.insert(key.to_owned(), (rank, value));
        }
    }

    fn is_raised(&self, key: &str, rank: u64, value: &Value) -> bool {
        self.highest.get(key).is_none_or(|(known, than)| {
            rank > *known || rank == *known && by_text(value, than).is_gt()
        })
    }

    /// Says a value of a key that only rises, whatever was said before.
    pub(crate) fn set_highest(&mut self, key: &str, rank: u64, value: Value) {
        self.highest.insert(key.to_owned(), (rank, value));
    }

    /// Notes what is removed and never comes back.
    pub fn remove_for_ever(&mut self, ids: impl IntoIterator<Item = String>) {
        self.gone.extend(ids);
    }

    /// Notes what a write left, beside what others left.
    pub(crate) fn leave(&mut self, op: Op, stamp: Stamp, values: Vec<(String, Value)>) {
        self.seen.insert(op);
        if !values.is_empty() {
            let write =
                self.writes.entry(op).or_insert_with(|| Write { stamp, values: Vec::new() });
            write.values.extend(values);
        }
    }

    /// Notes that a write was seen of which nothing is left.
    pub fn see(&mut self, op: Op) {
        self.seen.insert(op);
    }
}

/// A value that is shown, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown<'a> {
    /// When it was written.
    pub stamp: Stamp,
    /// By which write.
    pub op: Op,
    /// Its place among the values of that write.
    pub place: usize,
    /// The value itself.
    pub value: &'a Value,
}

// An order of values that is the same everywhere.
fn by_text(one: &Value, two: &Value) -> Ordering {
    one.to_string().cmp(&two.to_string())
}

// What is left of one write on both sides.
fn both(one: &Write, two: &Write) -> Write {
    // The same write left the same values. If a file was damaged so that it
    // did not, everybody takes the same ones.
    let values = one.values.iter().filter_map(|(key, value)| {
        let (_, other) = two.values.iter().find(|(of, _)| of == key)?;
        let greater = if by_text(value, other).is_ge() { value } else { other };
        Some((key.clone(), greater.clone()))
    });
    Write { stamp: one.stamp.max(two.stamp), values: values.collect() }
}

#[cfg(test)]
#[path = "version/tests.rs"]
mod tests;
