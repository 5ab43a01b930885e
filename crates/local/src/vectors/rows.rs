//! The rows of one index, and searches among them: the one module that calls
//! the index crate.

use std::path::Path;

use songrec_core::{Metric, ModelName, ModelSpec, Vector};
use songrec_index::{AllNeighbors, Filter, Index, Key, Options, Precision, Query, RowSet};

use crate::{
    error::{Fault, Result},
    options::IndexKind,
};

/// A search of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) vector: &'a Vector,
    pub(crate) metric: Metric,
    pub(crate) k: usize,
    pub(crate) offset: usize,
    pub(crate) threshold: Option<f64>,
    /// Only these rows, if given.
    pub(crate) among: Option<&'a RowSet>,
    pub(crate) exclude: &'a [[u8; 16]],
}

/// A row and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) id: [u8; 16],
    pub(crate) similarity: f64,
    pub(crate) distance: f64,
}

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

    pub(crate) fn len(&self) -> usize {
        self.index.len()
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
            IndexKind::Auto | IndexKind::Ivf => Precision::Auto,
        }
    }

    /// The nearest rows of every row but itself, passed to `on_found` from any
    /// thread. False if `stop` ended it.
    pub(crate) fn neighbors_of_all(
        &self,
        options: &AllNeighbors<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        on_found: &(dyn Fn([u8; 16], Vec<Hit>) + Sync),
    ) -> Result<bool> {
        self.index
            .neighbors_of_all(options, stop, &|key, hits| {
                on_found(key.0, hits.into_iter().map(Hit::from).collect());
            })
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

    /// The nearest rows of those that `is_known` does not deny, nearest first.
    ///
    /// The index may be ahead of the catalog while a writer is at work. Twice as
    /// many are asked for until enough are known or there are no more, so it
    /// ends whatever the index holds.
    pub(crate) fn search_known(
        &self,
        search: &Search<'_>,
        mut is_known: impl FnMut(&Hit) -> Result<bool>,
    ) -> Result<Vec<Hit>> {
        let mut ask = search.k;
        loop {
            let hits = self.search(&Search { k: ask, ..*search })?;
            let is_all = hits.len() < ask;
            let mut known = Vec::with_capacity(hits.len());
            for hit in hits {
                if is_known(&hit)? {
                    known.push(hit);
                }
            }
            if known.len() >= search.k || is_all {
                known.truncate(search.k);
                return Ok(known);
            }
            ask = ask.saturating_mul(2);
        }
    }

    /// The nearest rows, nearest first, equally near ones by their ids.
    pub(crate) fn search(&self, search: &Search<'_>) -> Result<Vec<Hit>> {
        let exclude: Vec<Key> = search.exclude.iter().map(|id| Key(*id)).collect();
        let query = Query {
            k: search.k,
            offset: search.offset,
            // The index rounds its threshold to float32. A lower one lets in
            // too many, at the end; they are left out below.
            threshold: search.threshold.map(|least| (least as f32).next_down()),
            metric: Some(metric(search.metric)),
            filter: search.among.map_or(Filter::All, Filter::Rows),
            exclude: &exclude,
            precision: self.precision(),
            ..Query::new(search.vector.values(), search.k)
        };
        let hits = self.index.search(&query).map_err(|source| fault(&self.model, source))?;
        let hits = hits
            .into_iter()
            .map(Hit::from)
            .filter(|hit| search.threshold.is_none_or(|least| hit.similarity >= least));
        Ok(hits.collect())
    }
}

impl From<songrec_index::Hit> for Hit {
    fn from(hit: songrec_index::Hit) -> Self {
        Self { id: hit.key.0, similarity: hit.similarity, distance: hit.distance }
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
