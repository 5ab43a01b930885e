use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::{Key, Metric};

/// What to look for.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The vectors to be near to, each with a weight; a negative weight means
    /// to be far from it.
    ///
    /// They become one point: under cosine the sum of the weighted unit
    /// vectors, under the dot product the weighted sum, under Euclidean
    /// distance the weighted sum divided by the sum of the weights where that
    /// is positive (so that `a + b − c` is a point, and `a + b` their middle).
    pub vectors: Vec<(&'a [f32], f32)>,
    /// How many hits to return.
    pub k: usize,
    /// How many of the best to leave out first.
    pub offset: usize,
    /// Hits are at least this similar.
    pub threshold: Option<f32>,
    /// The index's own metric if `None`.
    pub metric: Option<Metric>,
    pub filter: Filter<'a>,
    /// Rows that are not wanted; left out before `offset` and `k` count.
    pub exclude: &'a [Key],
    pub precision: Precision,
}

impl<'a> Query<'a> {
    /// The `k` rows nearest to `vector`.
    pub fn new(vector: &'a [f32], k: usize) -> Self {
        Self {
            vectors: vec![(vector, 1.0)],
            k,
            offset: 0,
            threshold: None,
            metric: None,
            filter: Filter::All,
            exclude: &[],
            precision: Precision::Auto,
        }
    }
}

/// What [`Index::neighbors_of_all`](crate::Index::neighbors_of_all) looks for.
#[derive(Clone, Copy, Debug)]
pub struct AllNeighbors<'a> {
    /// How many neighbors of each row.
    pub k: usize,
    /// Leaves out hits that are less similar.
    pub threshold: Option<f32>,
    /// Which rows are looked at, as rows and as neighbors.
    pub filter: Filter<'a>,
    pub precision: Precision,
}

/// Which rows may be hits.
#[derive(Clone, Copy, Default)]
pub enum Filter<'a> {
    #[default]
    All,
    /// The rows of a set. What is not in the index is passed over.
    Rows(&'a RowSet),
    /// The rows whose keys it accepts. A [`RowSet`] is faster where one can be
    /// had, because the predicate has to be asked row by row.
    Predicate(&'a (dyn Fn(&Key) -> bool + Sync)),
}

impl fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Rows(rows) => f.debug_tuple("Rows").field(rows).finish(),
            Self::Predicate(_) => f.write_str("Predicate(..)"),
        }
    }
}

/// How sure the answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// As good as exact for practical purposes, and much faster: of rows in lists, one in
    /// some thousands that belong into the answer is missed.
    #[default]
    Auto,
    /// As `Auto`, but goes through twice as many rows as nearly all searches need before it
    /// leaves the others out. That takes about a third longer, and hardly ever misses a row.
    Thorough,
    /// Compares with every row in full.
    Exact,
    /// The same answer as `Exact`, faster: rows are left out only where a
    /// bound proves that they cannot be hits.
    Proved,
}

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub key: Key,
    pub similarity: f64,
    pub distance: f64,
}

/// A set of rows to search in, made once and used for many queries.
///
/// It is made of keys alone and may be used with any index. What an index
/// finds out about it is kept until that index changes, so the first search
/// with it pays for looking the keys up and the following ones do not.
pub struct RowSet {
    keys: HashSet<Key>,
    resolved: Mutex<Option<Resolved>>,
}

/// Where the rows of a set were in one state of one index.
#[derive(Clone)]
pub(crate) struct Resolved {
    pub(crate) index: u64,
    pub(crate) generation: u64,
    pub(crate) rows: Arc<Rows>,
}

/// Where the rows of a set are.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Ascending.
    pub(crate) slots: Vec<u32>,
    /// A bit for each slot.
    pub(crate) bitmap: Vec<u64>,
    /// The 8-bit codes one after another, once they were needed; not where
    /// they are as easily had from the map.
    pub(crate) codes: OnceLock<Vec<u8>>,
}

impl Rows {
    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.bitmap.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

impl RowSet {
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        keys.into_iter().collect()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }

    pub(crate) fn resolved(&self, index: u64, generation: u64) -> Option<Arc<Rows>> {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved
            .as_ref()
            .filter(|known| known.index == index && known.generation == generation)
            .map(|known| Arc::clone(&known.rows))
    }

    pub(crate) fn remember(&self, resolved: Resolved) {
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some(resolved);
    }
}

impl FromIterator<Key> for RowSet {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Self {
        Self { keys: keys.into_iter().collect(), resolved: Mutex::new(None) }
    }
}

impl fmt::Debug for RowSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowSet").field("len", &self.keys.len()).finish_non_exhaustive()
    }
}
