//! The vector indexes: the one module that knows the index crate.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use songrec_core::{Metric, ModelName, ModelSpec, Vector};
use songrec_index::{AllNeighbors, Filter, Index, Key, Options, Precision, Query, RowSet};
use uuid::Uuid;

use crate::{
    backend::IndexKind,
    catalog::Kind,
    error::{Fault, Result},
    index_builder::IndexBuilder,
    layout::Layout,
};

/// What to look for in an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) vector: &'a Vector,
    pub(crate) metric: Metric,
    pub(crate) k: usize,
    pub(crate) offset: usize,
    pub(crate) threshold: Option<f64>,
    /// Only these, if it is said.
    pub(crate) among: Option<&'a RowSet>,
    pub(crate) exclude: &'a [[u8; 16]],
}

/// A row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) id: [u8; 16],
    pub(crate) similarity: f64,
    pub(crate) distance: f64,
}

/// With fewer rows than this a search proves its answer, which takes no time
/// then; with more it is as good as exact (the index says how good), unless
/// the kind of the index is flat. Where lists begin to be faster; measured, as
/// the README of the index says.
const PROVED: usize = 10_000;

/// Keeps the indexes open that were used.
#[derive(Debug)]
pub(crate) struct Vectors {
    layout: Layout,
    kind: IndexKind,
    /// Nothing where the rows may only be read.
    index_builder: Option<IndexBuilder>,
    open: Mutex<HashMap<PathBuf, Arc<Rows>>>,
}

/// The rows of one model.
#[derive(Debug)]
pub(crate) struct Rows {
    index: Index,
    model: ModelName,
}

impl Vectors {
    pub(crate) fn new(layout: Layout, kind: IndexKind) -> Self {
        Self { layout, kind, index_builder: Some(IndexBuilder::new()), open: Mutex::default() }
    }

    /// The same, of rows that may only be read.
    pub(crate) fn for_reading(layout: Layout, kind: IndexKind) -> Self {
        Self { index_builder: None, ..Self::new(layout, kind) }
    }

    /// Has rows built into lists, beside other work, if that is worth its while now
    /// that they were written.
    pub(crate) fn written(&self, rows: &Arc<Rows>) {
        if let Some(index_builder) = &self.index_builder {
            index_builder.after_writing(rows);
        }
    }

    /// The same for rows that were read.
    pub(crate) fn read(&self, rows: &Arc<Rows>) {
        if let Some(index_builder) = &self.index_builder {
            index_builder.after_reading(rows);
        }
    }

    /// A new folder without rows. Its name was never used before, so nobody
    /// can have an older one of that name open.
    pub(crate) fn create(&self, spec: &ModelSpec, kind: Kind) -> Result<(String, Arc<Rows>)> {
        let prefix = match kind {
            Kind::Song => "songs",
            Kind::Segments => "segments",
        };
        let folder = format!("{prefix}-{}", &Uuid::new_v4().simple().to_string()[..8]);
        let path = self.layout.index(&spec.name, &folder);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Fault::io("make", parent))?;
        }
        let index =
            Index::create(&path, &options(spec)).map_err(|source| fault(&spec.name, source))?;
        Ok((folder, self.keep(path, index, &spec.name)))
    }

    /// The rows in a folder; nothing if they are not there.
    ///
    /// # Errors
    ///
    /// [`Fault::is_damaged_index`] if they have to be made again.
    pub(crate) fn open(&self, model: &ModelName, folder: &str) -> Result<Option<Arc<Rows>>> {
        let path = self.layout.index(model, folder);
        if let Some(rows) = self.all_open().get(&path) {
            return Ok(Some(Arc::clone(rows)));
        }
        match Index::open(&path) {
            Ok(index) => Ok(Some(self.keep(path, index, model))),
            Err(songrec_index::Error::Missing { .. }) => Ok(None),
            Err(error) => Err(fault(model, error)),
        }
    }

    /// Removes every folder of a model and kind but the one to keep.
    pub(crate) fn remove_others(&self, model: &ModelName, kind: Kind, keep: Option<&str>) {
        let prefix = match kind {
            Kind::Song => "songs-",
            Kind::Segments => "segments-",
        };
        let folder = self.layout.index(model, "");
        // What cannot be removed now is derived, and in nobody's way.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(prefix) && Some(name) != keep {
                let path = self.layout.index(model, name);
                self.all_open().remove(&path);
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    fn keep(&self, path: PathBuf, index: Index, model: &ModelName) -> Arc<Rows> {
        let rows = Arc::new(Rows { index: index.with_kind(self.kind), model: model.clone() });
        self.all_open().insert(path, Arc::clone(&rows));
        rows
    }

    fn all_open(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<Rows>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// New rows that no catalog knows of.
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
    /// somebody else is doing it.
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

    /// The nearest rows of every row but itself, told from any thread. False
    /// if `stop` ended it.
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

    /// Reads everything, and says what is damaged.
    pub(crate) fn damage(&self) -> Option<String> {
        self.index.verify().err().map(|error| error.to_string())
    }

    /// The nearest rows of those that `is_known` does not deny, nearest first.
    ///
    /// The index may be ahead of the catalog while somebody writes. Twice as
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

fn options(spec: &ModelSpec) -> Options {
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

fn fault(model: &ModelName, source: songrec_index::Error) -> Fault {
    Fault::Index { model: model.to_string(), source }
}
