//! The vector indexes of the models: which are open, and who builds their lists.

mod index_builder;
mod rows;

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use songrec_core::{ModelName, ModelSpec};
use songrec_index::Index;
use uuid::Uuid;

pub(crate) use self::{
    index_builder::Building,
    rows::{Rows, row_set},
};
use self::{
    index_builder::IndexBuilder,
    rows::{fault, options},
};
use crate::{
    catalog::RowKind,
    error::{Fault, Result},
    files::Layout,
    options::IndexKind,
};

/// Keeps the indexes open that were used.
#[derive(Debug)]
pub(crate) struct Vectors {
    layout: Layout,
    kind: IndexKind,
    /// Nothing where the rows may only be read.
    index_builder: Option<IndexBuilder>,
    open: Mutex<HashMap<PathBuf, Arc<Rows>>>,
}

impl Vectors {
    pub(crate) fn new(layout: Layout, kind: IndexKind) -> Self {
        Self { layout, kind, index_builder: Some(IndexBuilder::new()), open: Mutex::default() }
    }

    /// The same, of rows that may only be read.
    pub(crate) fn for_reading(layout: Layout, kind: IndexKind) -> Self {
        Self { index_builder: None, ..Self::new(layout, kind) }
    }

    /// Builds the lists of rows beside other work, if searches become faster now
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

    /// Whether the lists of rows are being built beside other work of this process.
    pub(crate) fn building(&self, rows: &Arc<Rows>) -> Building {
        self.index_builder.as_ref().map_or(Building::No, |builder| builder.building(rows))
    }

    /// A new folder without rows. Its name was never used before, so nobody
    /// can have an older one of that name open.
    pub(crate) fn create(&self, spec: &ModelSpec, kind: RowKind) -> Result<(String, Arc<Rows>)> {
        let prefix = match kind {
            RowKind::Song => "songs",
            RowKind::Segments => "segments",
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
    /// [`Fault::is_damaged_index`] if they have to be built again.
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
    pub(crate) fn remove_others(&self, model: &ModelName, kind: RowKind, keep: Option<&str>) {
        let prefix = match kind {
            RowKind::Song => "songs-",
            RowKind::Segments => "segments-",
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
        let rows = Arc::new(Rows::new(index.with_kind(self.kind), model.clone()));
        self.all_open().insert(path, Arc::clone(&rows));
        rows
    }

    fn all_open(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<Rows>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
