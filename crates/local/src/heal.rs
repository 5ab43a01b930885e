//! Answers where an index is damaged: from one that is made again, or from the
//! embeddings themselves.

use std::sync::Arc;

use rusqlite::Connection;
use songrec_core::{SongId, Vector};
use songrec_storage::NearestQuery;

use crate::{
    catalog::{Catalog, Kind, Model},
    error::{Fault, Result},
    rebuild::reason,
    store::{Store, Writing, report_damaged},
    vectors::{Hit, Rows},
};

impl Store {
    /// Asks the rows of a model; nothing if there can be none. Rows that turn
    /// out to be damaged are made again, and asked once more.
    ///
    /// Making them again reads what an answer without them would have to read,
    /// so it is done at once and not later.
    ///
    /// # Errors
    ///
    /// What `ask` says; [`Fault::is_damaged_index`] if the rows are damaged and
    /// cannot be made again, which is told.
    pub(crate) fn with_rows<T>(
        &self,
        connection: &Connection,
        model: &Model,
        kind: Kind,
        ask: impl Fn(&Arc<Rows>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(rows) = self.rows(connection, model, kind)? else { return Ok(None) };
        let damage = match ask(&rows) {
            Err(fault) if fault.is_damaged_index() => fault,
            answer => return answer.map(Some),
        };
        report_damaged(model, Some(&damage));
        match self.write(|writing| writing.build_damaged_rows(model, kind, &rows)) {
            Ok(rows) => ask(&rows).map(Some),
            Err(fault) => {
                tracing::warn!("it could not be made again: {}", reason(&fault));
                Err(damage)
            }
        }
    }

    /// The nearest songs, of all embeddings in the files.
    pub(crate) fn nearest_without_index(
        &self,
        connection: &Connection,
        query: &NearestQuery,
        model: &Model,
    ) -> Result<Vec<Hit>> {
        let name = &model.spec.name;
        tracing::warn!(
            "every embedding of `{name}` is read for this answer: a verification that repairs makes \
             the index again where the library can be written"
        );
        let ids = match query.filter.is_all() {
            true => Catalog::ids_of_model(connection, model.m)?,
            false => {
                let passing = Catalog::ids_passing(connection, &query.filter)?;
                passing.into_iter().map(SongId::from_bytes).collect()
            }
        };
        let metric = query.metric.unwrap_or(model.spec.metric);
        let wanted = query.offset.saturating_add(query.k);
        let mut hits: Vec<Hit> = Vec::new();
        for id in ids.into_iter().filter(|id| !query.exclude.contains(id)) {
            let Some(vector) = self.vector_of(model, id)? else { continue };
            let (similarity, distance) = metric.compare(&query.vector, &vector);
            if query.threshold.is_none_or(|least| similarity >= least) {
                hits.push(Hit { id: *id.as_bytes(), similarity, distance });
            }
            if hits.len() >= wanted.saturating_mul(2).max(1024) {
                nearest_first(&mut hits, wanted);
            }
        }
        nearest_first(&mut hits, wanted);
        Ok(hits)
    }

    /// The embedding of a song, if it can be read.
    fn vector_of(&self, model: &Model, id: SongId) -> Result<Option<Vector>> {
        let song = match self.read_song(id) {
            Ok(song) => song,
            Err(Fault::Damaged { .. } | Fault::Newer { .. }) => None,
            Err(other) => return Err(other),
        };
        let reference =
            song.and_then(|song| song.document.embeddings.get(&model.spec.name).cloned());
        let Some(reference) = reference else { return Ok(None) };
        match self.embedding(&model.spec.name, id, &reference) {
            Err(Fault::Damaged { path, why }) => {
                tracing::warn!("`{}` is damaged: {why}", path.display());
                Ok(None)
            }
            vector => Ok(vector?.filter(|vector| model.spec.refuses(vector).is_none())),
        }
    }
}

fn nearest_first(hits: &mut Vec<Hit>, wanted: usize) {
    hits.sort_unstable_by(|left, right| {
        right.similarity.total_cmp(&left.similarity).then(left.id.cmp(&right.id))
    });
    hits.truncate(wanted);
}

impl Writing<'_> {
    /// Makes rows again that were found damaged, unless somebody has.
    pub(crate) fn build_damaged_rows(
        &self,
        model: &Model,
        kind: Kind,
        damaged: &Arc<Rows>,
    ) -> Result<Arc<Rows>> {
        let now = self.rows(model, kind)?;
        if Arc::ptr_eq(&now, damaged) {
            self.build_rows(model, kind, &songrec_core::Silent)
        } else {
            Ok(now)
        }
    }
}
