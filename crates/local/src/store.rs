//! What every part of a library shares: its paths, files, catalog, indexes and
//! lock. It reads them as they are; what mends them is elsewhere.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;
use songrec_core::{EmbeddingRef, ModelName, Segment, Song, SongId, Vector};

use crate::{
    catalog::{Catalog, Model, RowKind, segment_rows, song_rows},
    error::{Fault, Refusal, Result},
    files::{
        self, Files, Layout, embedding_file,
        lock::WriteLock,
        segment_file,
        stored::{self, Checked, Resolved, Stored},
    },
    library_file::LibraryFile,
    options::LocalOptions,
    vectors::{Rows, Vectors},
};

/// The shared half of all parts of a library.
#[derive(Debug)]
pub(crate) struct Store {
    layout: Layout,
    files: Files,
    library: LibraryFile,
    catalog: Catalog,
    vectors: Vectors,
    /// Why nothing of the library can be written, if so. What is derived may
    /// lie elsewhere then, and be written there.
    refusal: Option<Refusal>,
    lock: WriteLock,
    checked: Checked,
}

/// The rows of a model, as the catalog records them.
pub(crate) enum RecordedRows {
    Rows(Arc<Rows>),
    None,
    /// They have to be built again; with the damage, if that is why.
    Lost(Option<Fault>),
}

impl Store {
    /// A store whose catalog and indexes are written, in the library or, where
    /// that refuses, in the folder that `layout` derives them in.
    pub(crate) fn new(
        layout: Layout,
        files: Files,
        library: LibraryFile,
        refusal: Option<Refusal>,
        lock: WriteLock,
        options: LocalOptions,
    ) -> Self {
        Self {
            catalog: Catalog::new(layout.catalog()),
            vectors: Vectors::new(layout.clone(), options.index),
            layout,
            files,
            library,
            refusal,
            lock,
            checked: Checked::default(),
        }
    }

    /// A store of which nothing is written, not even what is derived.
    pub(crate) fn for_reading(
        layout: Layout,
        files: Files,
        library: LibraryFile,
        refusal: Refusal,
        options: LocalOptions,
    ) -> Self {
        Self {
            catalog: Catalog::for_reading(layout.catalog()),
            vectors: Vectors::for_reading(layout.clone(), options.index),
            lock: WriteLock::for_reading(layout.lock()),
            layout,
            files,
            library,
            refusal: Some(refusal),
            checked: Checked::default(),
        }
    }

    /// What another store of the same library begins with.
    pub(crate) fn into_parts(self) -> (Layout, Files, LibraryFile) {
        (self.layout, self.files, self.library)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn library(&self) -> &LibraryFile {
        &self.library
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    pub(crate) fn lock(&self) -> &WriteLock {
        &self.lock
    }

    /// An error, if the library may not be written.
    pub(crate) fn may_write(&self) -> Result<()> {
        self.refusal.as_ref().map_or(Ok(()), |why| Err(Fault::ReadOnly(why.clone())))
    }

    /// Removes files that a newer file has made obsolete. Where the library may
    /// not be written they stay: nobody reads them.
    pub(crate) fn remove_obsolete<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> Result<()> {
        match self.refusal {
            Some(_) => Ok(()),
            None => self.files.remove(paths),
        }
    }

    /// Whether nothing is written here, not even what is derived.
    pub(crate) fn only_reads(&self) -> bool {
        self.refusal.is_some() && self.layout.derived() == self.layout.root()
    }

    /// Temporary files of batches. Batches are written under the lock, so while
    /// it is free these belong to writers that died. Blobs are written without
    /// it; theirs have another ending and are left until they are old.
    pub(crate) fn unfinished(&self) -> Result<Vec<PathBuf>> {
        let folder = self.layout.unfinished();
        let names = files::names_in(&folder)?.into_iter();
        Ok(names.filter(|name| name.ends_with(".tmp")).map(|name| folder.join(name)).collect())
    }

    /// The song as its file has it; nothing if none is stored.
    pub(crate) fn read_song(&self, id: SongId) -> Result<Option<Stored<Song>>> {
        stored::read_song(&self.layout, &self.files, id)
    }

    /// The same without its origin and its stamp, for answers: the checksum of a file that
    /// was read before is not computed again.
    pub(crate) fn read_document_of_song(&self, id: SongId) -> Result<Option<Song>> {
        stored::read_document_of_song(&self.layout, &self.files, &self.checked, id)
    }

    /// What the files hold about a song, and which file is obsolete by it.
    pub(crate) fn resolve(&self, id: SongId) -> (Resolved, Option<PathBuf>) {
        stored::resolve(&self.layout, &self.files, id)
    }

    /// The segments of a song, from its file.
    pub(crate) fn segments_of(&self, song: SongId) -> Result<Vec<Segment>> {
        segment_file::read(&self.layout, &self.files, song)
    }

    /// An embedding, if it is there and is what its song names.
    pub(crate) fn embedding(
        &self,
        model: &ModelName,
        id: SongId,
        reference: &EmbeddingRef,
    ) -> Result<Option<Vector>> {
        embedding_file::read(&self.layout, &self.files, model, id, reference)
    }

    /// The rows of a model, as far as the catalog's record of them is right.
    pub(crate) fn rows_as_recorded(
        &self,
        connection: &Connection,
        model: &Model,
        kind: RowKind,
    ) -> Result<RecordedRows> {
        let Some((folder, generation)) = Catalog::vectors(connection, model.m, kind)? else {
            let has_rows = match kind {
                RowKind::Song => !song_rows::ids_of_model(connection, model.m)?.is_empty(),
                RowKind::Segments => !segment_rows::songs_of_model(connection, model.m)?.is_empty(),
            };
            return Ok(if has_rows { RecordedRows::Lost(None) } else { RecordedRows::None });
        };
        match self.vectors.open(&model.spec.name, &folder) {
            // It may be ahead of the catalog, while somebody is writing.
            Ok(Some(rows)) if rows.generation() >= generation => Ok(RecordedRows::Rows(rows)),
            Ok(_) => Ok(RecordedRows::Lost(None)),
            Err(damage) if damage.is_damaged_index() => Ok(RecordedRows::Lost(Some(damage))),
            Err(other) => Err(other),
        }
    }

    /// Whether the rows of a model have to be built again. Damage is logged.
    pub(crate) fn rows_are_lost(
        &self,
        connection: &Connection,
        model: &Model,
        kind: RowKind,
    ) -> Result<bool> {
        match self.rows_as_recorded(connection, model, kind)? {
            RecordedRows::Lost(damage) => {
                report_damaged(model, damage.as_ref());
                Ok(true)
            }
            RecordedRows::Rows(_) | RecordedRows::None => Ok(false),
        }
    }
}

/// Reports that an index is damaged and built again, if it is.
pub(crate) fn report_damaged(model: &Model, damage: Option<&Fault>) {
    if let Some(damage) = damage {
        let name = &model.spec.name;
        tracing::warn!(
            "{}: the index of `{name}` is made again from the embeddings",
            damage.chain()
        );
    }
}
