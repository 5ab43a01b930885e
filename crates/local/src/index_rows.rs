//! The rows of the vector indexes: changed with their songs, and built again
//! from the files where they are lost.

use std::sync::Arc;

use songrec_core::{EmbeddingRef, Event, Progress, Silent, Song, SongId, Vector, Work};

use crate::{
    catalog::{Catalog, Model, RowKind, segment_rows, song_rows},
    error::{Fault, Result},
    files::stored::Resolved,
    store::{RecordedRows, report_damaged},
    transaction::Transaction,
    vectors::Rows,
};

/// How many rows of an index are written at once; enough to make the wait for
/// the disk small against the work.
const ROWS_AT_ONCE: usize = 2_048;

/// Writes the rows of indexes, within a transaction.
pub(crate) struct IndexRows<'a> {
    transaction: &'a Transaction<'a>,
}

/// What the catalog records of an index: the number of its model, its folder
/// and its generation.
pub(crate) type Generation = (i64, String, u64);

impl<'a> IndexRows<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { transaction }
    }

    /// Changes rows of a model, and gives what the catalog has to note.
    pub(crate) fn change(
        &self,
        model: &Model,
        kind: RowKind,
        put: &[([u8; 16], Vector)],
        remove: &[[u8; 16]],
    ) -> Result<Option<Generation>> {
        if put.is_empty() && remove.is_empty() {
            return Ok(None);
        }
        if put.is_empty()
            && Catalog::vectors(self.transaction.connection(), model.m, kind)?.is_none()
        {
            return Ok(None);
        }
        let mut rows = self.open(model, kind)?;
        let change = |rows: &Rows| -> Result<()> {
            if !remove.is_empty() {
                rows.remove(remove)?;
            }
            if !put.is_empty() {
                rows.put(put)?;
            }
            Ok(())
        };
        match self.transaction.store().files().step(|| change(&rows)) {
            Err(fault) if fault.is_damaged_index() => {
                report_damaged(model, Some(&fault));
                rows = self.build(model, kind, &Silent)?;
                self.transaction.store().files().step(|| change(&rows))?;
            }
            // Damaged rows are built again from the catalog and the files when
            // the change is settled.
            Err(fault @ Fault::Index { .. }) => {
                self.transaction
                    .commit(|connection| Catalog::set_vectors(connection, model.m, kind, None))?;
                return Err(fault);
            }
            other => other?,
        }
        let recorded = Catalog::vectors(self.transaction.connection(), model.m, kind)?;
        let folder = recorded.map(|(folder, _)| folder).unwrap_or_default();
        self.transaction.store().vectors().written(&rows);
        Ok(Some((model.m, folder, rows.generation())))
    }

    /// Removes rows that nobody has.
    pub(crate) fn remove(&self, model: &Model, kind: RowKind, ids: &[[u8; 16]]) -> Result<()> {
        let changed = self.change(model, kind, &[], ids)?;
        self.transaction.commit(|connection| {
            if let Some((m, folder, generation)) = &changed {
                Catalog::set_vectors(connection, *m, kind, Some((folder, *generation)))?;
            }
            Ok(())
        })
    }

    /// The rows of a model to change, built again if they are lost.
    pub(crate) fn open(&self, model: &Model, kind: RowKind) -> Result<Arc<Rows>> {
        match self.transaction.store().rows_as_recorded(
            self.transaction.connection(),
            model,
            kind,
        )? {
            RecordedRows::Rows(rows) => Ok(rows),
            RecordedRows::None => self.build(model, kind, &Silent),
            RecordedRows::Lost(damage) => {
                report_damaged(model, damage.as_ref());
                self.build(model, kind, &Silent)
            }
        }
    }

    /// Builds damaged rows again, unless another thread has done so.
    pub(crate) fn build_damaged(
        &self,
        model: &Model,
        kind: RowKind,
        damaged: &Arc<Rows>,
    ) -> Result<Arc<Rows>> {
        let now = self.open(model, kind)?;
        if Arc::ptr_eq(&now, damaged) { self.build(model, kind, &Silent) } else { Ok(now) }
    }

    /// Builds every index whose rows are not those that the catalog records.
    pub(crate) fn build_lost(&self, progress: &dyn Progress) -> Result<()> {
        let transaction = self.transaction;
        for model in Catalog::models(transaction.connection())? {
            for kind in [RowKind::Song, RowKind::Segments] {
                if transaction.store().rows_are_lost(transaction.connection(), &model, kind)? {
                    self.build(&model, kind, progress)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the rows of a model from the files that the catalog knows.
    pub(crate) fn build(
        &self,
        model: &Model,
        kind: RowKind,
        progress: &dyn Progress,
    ) -> Result<Arc<Rows>> {
        let name = &model.spec.name;
        let ids = match kind {
            RowKind::Song => song_rows::ids_of_model(self.transaction.connection(), model.m)?,
            RowKind::Segments => {
                segment_rows::songs_of_model(self.transaction.connection(), model.m)?
            }
        };
        let (folder, rows) = self.transaction.store().vectors().create(&model.spec, kind)?;
        let total = Some(ids.len() as u64);
        let shown = !ids.is_empty();
        if shown {
            let (work, subject) = (Work::BuildingIndex, Some(name.as_str()));
            progress.on(Event::Started { work, subject, total });
        }
        let mut waiting = Vec::with_capacity(ROWS_AT_ONCE);
        for id in ids {
            match kind {
                RowKind::Song => {
                    let song: Option<Song> = match self.transaction.store().resolve(id) {
                        (Resolved::Present(stored), _) => Some(stored.document),
                        _ => None,
                    };
                    let reference = song.as_ref().and_then(|song| song.embeddings.get(name));
                    if let Some(reference) = reference
                        && let Some(vector) = self.vector_or_warning(model, id, reference)?
                    {
                        waiting.push((*id.as_bytes(), vector));
                    }
                }
                RowKind::Segments => {
                    let segments = self.transaction.store().segments_of(id)?;
                    let of_model = segments.into_iter().filter(|one| one.model == *name);
                    waiting.extend(of_model.map(|one| (*one.id.as_bytes(), one.vector)));
                }
            }
            if shown {
                progress.on(Event::Advanced { item: &id.short(), bytes: 0 });
            }
            if waiting.len() >= ROWS_AT_ONCE {
                self.transaction.store().files().step(|| rows.put(&waiting))?;
                waiting.clear();
            }
        }
        if !waiting.is_empty() {
            self.transaction.store().files().step(|| rows.put(&waiting))?;
        }
        // The caller waits a little longer, for an index that is
        // as good as the one that was lost.
        if rows.wants_build() {
            self.transaction.store().files().step(|| rows.build(&|| false).map(drop))?;
        }
        let generation = rows.generation();
        self.transaction.commit(|connection| {
            Catalog::set_vectors(connection, model.m, kind, Some((&folder, generation)))
        })?;
        self.transaction.store().vectors().remove_others(name, kind, Some(&folder));
        if shown {
            progress.on(Event::Finished);
        }
        Ok(rows)
    }

    // A song whose embedding is damaged can still be listed; `verify` reports it.
    pub(crate) fn vector_or_warning(
        &self,
        model: &Model,
        id: SongId,
        reference: &EmbeddingRef,
    ) -> Result<Option<Vector>> {
        match self.transaction.store().embedding(&model.spec.name, id, reference) {
            Ok(Some(vector)) if model.spec.refuses(&vector).is_none() => Ok(Some(vector)),
            Ok(_) => Ok(None),
            Err(Fault::Damaged { path, why }) => {
                tracing::warn!("`{}` is damaged: {why}", path.display());
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}
