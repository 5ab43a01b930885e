//! The rows of one index, and searches among them: the one module that calls
//! the index crate.

use std::path::Path;

use songrec_core::{Metric, ModelName, ModelSpec, Vector};
use songrec_index::{AllNeighbors, Hit, Index, Key, MappedRows, Options, Precision, Query, RowSet};
use songrec_storage::OverFetch;

use crate::{
    error::{Fault, Result},
    options::IndexKind,
};

/// With fewer rows than this a search proves its answer, which takes no time
/// then; with more it is as good as exact (the README of the index has the figures), unless
/// the kind of the index is flat. Where lists begin to be faster; measured, as
/// the README of the index says.
const PROVED: usize = 10_000;

/// The rows of one model.
#[derive(Debug)]
pub(crate) struct Rows {
    index: Index,
    model: ModelName,
}

impl Rows {
    pub(super) fn new(index: Index, model: ModelName) -> Self {
        Self { index, model }
    }

    /// New rows that no catalog records.
    pub(crate) fn loose(path: &Path, spec: &ModelSpec, kind: IndexKind) -> Result<Self> {
        let index = Index::create(path, &options(spec)).map_err(|from| fault(&spec.name, from))?;
        Ok(Self { index: index.with_kind(kind), model: spec.name.clone() })
    }

    /// Grows with every change.
    pub(crate) fn generation(&self) -> u64 {
        self.index.generation()
    }

    pub(crate) fn put(&self, rows: &[([u8; 16], Vector)]) -> Result<()> {
        let rows: Vec<(Key, &[f32])> =
            rows.iter().map(|(id, vector)| (Key(*id), vector.values())).collect();
        self.index.put(&rows).map_err(|source| fault(&self.model, source))
    }

    pub(crate) fn remove(&self, ids: &[[u8; 16]]) -> Result<()> {
        let keys: Vec<Key> = ids.iter().map(|id| Key(*id)).collect();
        self.index.remove(&keys).map(drop).map_err(|source| fault(&self.model, source))
    }

    /// The vector of a row, bit for bit.
    pub(crate) fn get(&self, id: &[u8; 16]) -> Result<Option<Vec<f32>>> {
        self.index.get(&Key(*id)).map_err(|source| fault(&self.model, source))
    }

    pub(crate) fn contains(&self, id: &[u8; 16]) -> Result<bool> {
        self.index.contains(&Key(*id)).map_err(|source| fault(&self.model, source))
    }

    pub(crate) fn ids(&self) -> Result<Vec<[u8; 16]>> {
        let keys = self.index.keys().map_err(|source| fault(&self.model, source))?;
        Ok(keys.into_iter().map(|key| key.0).collect())
    }

    /// All of them where they are, as one table.
    pub(crate) fn mapped(&self) -> Result<MappedRows> {
        self.index.mapped_rows().map_err(|source| fault(&self.model, source))
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// In how many lists the rows are.
    pub(crate) fn lists(&self) -> usize {
        self.index.lists()
    }

    /// Whether searches would become faster.
    pub(crate) fn wants_build(&self) -> bool {
        self.index.kind() != IndexKind::Flat && self.index.wants_build()
    }

    /// Builds the lists of the rows for their number. False if `stop` ended it, or if
    /// another process is doing it.
    pub(crate) fn build(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        self.index.build(stop).map_err(|source| fault(&self.model, source))
    }

    pub(crate) fn precision(&self) -> Precision {
        match self.index.kind() {
            IndexKind::Flat => Precision::Proved,
            IndexKind::Auto if self.index.len() < PROVED => Precision::Proved,
            IndexKind::Ivf if self.index.lists() < 2 => Precision::Proved,
            IndexKind::Auto | IndexKind::Ivf => Precision::Thorough,
        }
    }

    /// The nearest rows of every row but itself, passed to `on_found` from any
    /// thread. False if `stop` ended it.
    pub(crate) fn neighbors_of_all(
        &self,
        options: &AllNeighbors<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        on_found: &(dyn Fn(Key, Vec<Hit>) + Sync),
    ) -> Result<bool> {
        self.index
            .neighbors_of_all(options, stop, on_found)
            .map_err(|source| fault(&self.model, source))
    }

    /// Reads everything, and compares it with its checksums.
    pub(crate) fn check(&self) -> Result<()> {
        self.index.check_files().map_err(|source| fault(&self.model, source))
    }

    /// Reads everything, and returns the first damage.
    pub(crate) fn damage(&self) -> Option<String> {
        self.index.verify().err().map(|error| error.to_string())
    }

    /// A query for the `k` rows nearest to `vector`, proved where that takes no
    /// time.
    pub(crate) fn query<'a>(&self, vector: &'a Vector, by: Metric, k: usize) -> Query<'a> {
        Query {
            metric: Some(metric(by)),
            precision: self.precision(),
            ..Query::new(vector.values(), k)
        }
    }

    /// The nearest rows of those that `is_known` does not deny, nearest first;
    /// with a similarity of at least `threshold`.
    ///
    /// The index may be ahead of the catalog while a writer is at work. It ends
    /// whatever the index holds.
    pub(crate) fn search_known(
        &self,
        query: &Query<'_>,
        threshold: Option<f64>,
        mut is_known: impl FnMut(&Hit) -> Result<bool>,
    ) -> Result<Vec<Hit>> {
        let mut plan = OverFetch::new(query.k);
        loop {
            let hits = self.search(&Query { k: plan.ask(), ..query.clone() }, threshold)?;
            let found = hits.len();
            let mut known = Vec::with_capacity(found);
            for hit in hits {
                if is_known(&hit)? {
                    known.push(hit);
                }
            }
            if plan.answered(found, known.len()).is_some() {
                known.truncate(query.k);
                return Ok(known);
            }
        }
    }

    /// The nearest rows, nearest first, equally near ones by their ids; with a
    /// similarity of at least `threshold`.
    fn search(&self, query: &Query<'_>, threshold: Option<f64>) -> Result<Vec<Hit>> {
        // The index rounds its threshold to float32. A lower one lets in too
        // many, at the end; they are left out below.
        let rounded = threshold.map(|least| (least as f32).next_down());
        let query = Query { threshold: rounded, ..query.clone() };
        let mut hits = self.index.search(&query).map_err(|source| fault(&self.model, source))?;
        hits.retain(|hit| threshold.is_none_or(|least| hit.similarity >= least));
        Ok(hits)
    }
}

pub(super) fn options(spec: &ModelSpec) -> Options {
    Options { dimension: spec.dimension, metric: metric(spec.metric), kind: IndexKind::Auto }
}

/// A set of rows to search in.
pub(crate) fn row_set(ids: Vec<[u8; 16]>) -> RowSet {
    RowSet::new(ids.into_iter().map(Key))
}

const fn metric(metric: Metric) -> songrec_index::Metric {
    match metric {
        Metric::Cosine => songrec_index::Metric::Cosine,
        Metric::DotProduct => songrec_index::Metric::Dot,
        Metric::Euclidean => songrec_index::Metric::Euclidean,
    }
}

pub(super) fn fault(model: &ModelName, source: songrec_index::Error) -> Fault {
    Fault::Index { model: model.to_string(), source }
}
