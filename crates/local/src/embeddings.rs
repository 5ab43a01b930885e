//! Embeddings, and the songs nearest to a vector.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use rusqlite::Connection;
use songrec_core::{Digest, Embedding, EmbeddingRef, Filter, ModelName, ModelSpec, SongId, Vector};
use songrec_index::{Hit, Key, Query};
use songrec_storage::{NearestQuery, Neighbor, NewEmbedding, StoredEmbedding};

use crate::{
    catalog::{Catalog, Model, RowKind, find, song_rows},
    database::Database,
    error::{Fault, Result},
    files::NewFile,
    files::embedding_file,
    files::npy,
    files::stored::{self, Resolved},
    points::Points,
    recovery::Recovery,
    store::Store,
    vectors::{Rows, row_set},
};

/// How many of the nearest songs are examined for one that passes a filter, before
/// the set of all songs that pass is made, and how many at the most.
const EXAMINED_FOR_EACH: usize = 20;
const EXAMINED_AT_MOST: usize = 1_000;

/// The embeddings of songs of a library, and searches among them.
pub(crate) struct Embeddings<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Embeddings<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    pub(crate) fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        self.database.write(|transaction| {
            let models = Catalog::models(transaction.connection())?;
            for NewEmbedding { embedding, .. } in embeddings {
                let spec = models.iter().map(|model| &model.spec);
                refuse(spec, &embedding.model, &embedding.vector).map_err(|why| {
                    let song = embedding.song.short();
                    Fault::invalid(format_args!("the embedding of song `{song}`: {why}"))
                })?;
            }
            let mut references = Vec::with_capacity(embeddings.len());
            let mut files: BTreeMap<PathBuf, (Digest, NewFile)> = BTreeMap::new();
            let mut late = Vec::new();
            for NewEmbedding { embedding, .. } in embeddings {
                let (model, id) = (&embedding.model, embedding.song);
                let named = match self.named_by_song(embedding) {
                    // A song that takes its place is on the way.
                    Err(Fault::Damaged { .. }) => None,
                    other => other?,
                };
                if let Some(named) = named {
                    match self.store.embedding(model, id, &named) {
                        Ok(Some(_)) => {
                            references.push(named);
                            continue;
                        }
                        // It is missing or damaged; this may be what is missing.
                        Ok(None) | Err(Fault::Damaged { .. }) => late.push(id),
                        Err(other) => return Err(other),
                    }
                }
                let reference = embedding.reference();
                let mut path = self.store.layout().embedding(model, id);
                let there = match files.get(&path) {
                    Some((digest, _)) => Some(*digest),
                    None => match embedding_file::read_file(self.store.files(), &path) {
                        Ok(there) => there.map(|(_, digest)| digest),
                        Err(Fault::Damaged { .. }) => None,
                        Err(other) => return Err(other),
                    },
                };
                if there.is_some_and(|digest| digest != reference.digest) {
                    path = self.store.layout().other_embedding(model, id, &reference.digest);
                }
                // One that is there already is written again, to be young.
                let bytes = npy::encode(&embedding.vector);
                let file = NewFile { path: path.clone(), bytes };
                files.insert(path, (reference.digest, file));
                references.push(reference);
            }
            let files: Vec<NewFile> = files.into_values().map(|(_, file)| file).collect();
            self.store.files().store(&files)?;
            // Songs that were there before what they name.
            Recovery::new(transaction).refresh(&late)?;
            Ok(references)
        })
    }

    pub(crate) fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let (layout, files) = (self.store.layout(), self.store.files());
        let find = |id: &SongId| match stored::read_named(layout, files, *id)? {
            Some(named) => self.read(model, *id, named),
            None => Ok(None),
        };
        self.database.read(|_| songs.iter().map(find).collect())
    }

    /// The same of songs that were deleted.
    pub(crate) fn get_deleted(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let (layout, files) = (self.store.layout(), self.store.files());
        let find = |id: &SongId| match stored::resolve(layout, files, *id).0 {
            Resolved::Deleted(tombstone) => {
                self.read(model, *id, tombstone.document.song.embeddings)
            }
            _ => Ok(None),
        };
        self.database.read(|_| songs.iter().map(find).collect())
    }

    // The one of these that is of a model, if it is there.
    fn read(
        &self,
        model: &ModelName,
        song: SongId,
        mut named: BTreeMap<ModelName, EmbeddingRef>,
    ) -> Result<Option<StoredEmbedding>> {
        let Some(reference) = named.remove(model) else { return Ok(None) };
        let vector = self.store.embedding(model, song, &reference)?;
        Ok(vector.map(|vector| StoredEmbedding {
            embedding: Embedding { song, model: model.clone(), vector },
            reference,
        }))
    }

    pub(crate) fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        self.database.read(|connection| {
            let model = searchable(connection, &query.model, &query.vector, query.metric)?;
            let found = self.database.with_rows(connection, &model, RowKind::Song, |rows| {
                self.nearest_rows(connection, query, &model, rows)
            });
            let hits = match found {
                Ok(hits) => hits.unwrap_or_default(),
                Err(fault) if fault.is_damaged_index() => {
                    self.nearest_without_index(connection, query, &model)?
                }
                Err(fault) => return Err(fault),
            };
            let hits = hits.into_iter().skip(query.offset).take(query.k).map(|hit| Neighbor {
                song: SongId::from_bytes(hit.key.0),
                similarity: hit.similarity,
                distance: hit.distance,
                key: None,
            });
            Ok(hits.collect())
        })
    }

    fn nearest_rows(
        &self,
        connection: &Connection,
        query: &NearestQuery,
        model: &Model,
        rows: &Arc<Rows>,
    ) -> Result<Vec<Hit>> {
        self.store.vectors().read(rows);
        let exclude: Vec<Key> = query.exclude.iter().map(|id| Key(*id.as_bytes())).collect();
        let metric = query.metric.unwrap_or(model.spec.metric);
        let k = query.offset.saturating_add(query.k);
        let search = Query { exclude: &exclude, ..rows.query(&query.vector, metric, k) };
        if query.filter.is_all() {
            return self.named(connection, query, rows, &search);
        }
        if let Some(hits) = self.passing_of_nearest(connection, query, rows, &search)? {
            return Ok(hits);
        }
        let among = row_set(find::ids_passing(connection, &query.filter)?);
        let search = Query { filter: songrec_index::Filter::Rows(&among), ..search };
        self.named(connection, query, rows, &search)
    }

    /// Hits that songs name. The index may be ahead of the catalog while
    /// a writer is at work.
    fn named(
        &self,
        connection: &Connection,
        query: &NearestQuery,
        rows: &Rows,
        search: &Query<'_>,
    ) -> Result<Vec<Hit>> {
        let model = &query.model;
        rows.search_known(search, query.threshold, |hit| {
            let id = SongId::from_bytes(hit.key.0);
            Ok(song_rows::names_embedding(connection, id, model)?
                || self.file_names(connection, id, model)?)
        })
    }

    /// Whether the file of a song names an embedding that the catalog does not
    /// know of. Either a writer is at work, or the catalog is damaged.
    fn file_names(&self, connection: &Connection, id: SongId, model: &ModelName) -> Result<bool> {
        let stored = match self.store.read_song(id) {
            Ok(Some(stored)) => stored,
            Ok(None) | Err(Fault::Damaged { .. } | Fault::Newer { .. }) => return Ok(false),
            Err(other) => return Err(other),
        };
        let names = stored.document.embeddings.contains_key(model);
        if names && !Catalog::is_anything_pending(connection)? {
            tracing::warn!(
                "the catalog does not know what song `{id}` names, so it may be damaged: a \
                 verification that repairs compares it with the files"
            );
        }
        Ok(names)
    }

    /// Hits that pass the filter, taken from the nearest of all: where many
    /// songs pass, that is faster than knowing which. Nothing if there are not
    /// enough: a second, larger request would cost more than the set of all songs
    /// that pass.
    fn passing_of_nearest(
        &self,
        connection: &Connection,
        query: &NearestQuery,
        rows: &Rows,
        search: &Query<'_>,
    ) -> Result<Option<Vec<Hit>>> {
        let k = search.k.saturating_mul(EXAMINED_FOR_EACH).clamp(1, EXAMINED_AT_MOST);
        let hits = self.named(connection, query, rows, &Query { k, ..search.clone() })?;
        let is_all = hits.len() < k;
        let mut passing = Vec::new();
        for hit in hits {
            let summary = find::summary_of(connection, SongId::from_bytes(hit.key.0))?;
            if summary.is_some_and(|summary| query.filter.passes(&summary)) {
                passing.push(hit);
                if passing.len() == search.k {
                    return Ok(Some(passing));
                }
            }
        }
        Ok(is_all.then_some(passing))
    }

    // The reference by which the stored song names this embedding, if it does.
    fn named_by_song(&self, embedding: &Embedding) -> Result<Option<EmbeddingRef>> {
        let stored = self.store.read_song(embedding.song)?;
        Ok(stored.and_then(|stored| stored.document.embeddings.get(&embedding.model).cloned()))
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
            true => song_rows::ids_of_model(connection, model.m)?,
            false => {
                let passing = find::ids_passing(connection, &query.filter)?;
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
                hits.push(Hit { key: Key(*id.as_bytes()), similarity, distance });
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
        let song = match self.store.read_song(id) {
            Ok(song) => song,
            Err(Fault::Damaged { .. } | Fault::Newer { .. }) => None,
            Err(other) => return Err(other),
        };
        let reference =
            song.and_then(|song| song.document.embeddings.get(&model.spec.name).cloned());
        let Some(reference) = reference else { return Ok(None) };
        match self.store.embedding(&model.spec.name, id, &reference) {
            Err(Fault::Damaged { path, why }) => {
                tracing::warn!("`{}` is damaged: {why}", path.display());
                Ok(None)
            }
            vector => Ok(vector?.filter(|vector| model.spec.refuses(vector).is_none())),
        }
    }

    /// The rows of the songs that pass `filter`, as they are now.
    pub(crate) fn points(&self, name: &ModelName, filter: &Filter) -> Result<Points> {
        let (rows, among) = self.database.read(|connection| {
            let model = Catalog::model(connection, name)?
                .ok_or_else(|| Fault::invalid(format_args!("there is no model `{name}` here")))?;
            let among = match filter.is_all() {
                true => None,
                false => Some(row_set(find::ids_passing(connection, filter)?)),
            };
            // Before anybody reads them, for damage would come up in between.
            let rows = self.database.with_rows(connection, &model, RowKind::Song, |rows| {
                rows.check().map(|()| Arc::clone(rows))
            })?;
            Ok((rows, among))
        })?;
        let location = format!("`{}`", self.store.layout().root().display());
        Ok(Points::of_library(rows, among, &location))
    }
}

fn nearest_first(hits: &mut Vec<Hit>, wanted: usize) {
    hits.sort_unstable_by(|left, right| {
        right.similarity.total_cmp(&left.similarity).then(left.key.cmp(&right.key))
    });
    hits.truncate(wanted);
}

/// The model, if vectors of it can be searched for with this one.
pub(crate) fn searchable(
    connection: &Connection,
    name: &ModelName,
    vector: &Vector,
    metric: Option<songrec_core::Metric>,
) -> Result<Model> {
    let model = Catalog::model(connection, name)?
        .ok_or_else(|| Fault::invalid(format_args!("there is no model `{name}` here")))?;
    let metric = metric.unwrap_or(model.spec.metric);
    match (ModelSpec { metric, ..model.spec.clone() }).refuses(vector) {
        Some(why) => Err(Fault::Invalid(why)),
        None => Ok(model),
    }
}

/// Why a vector cannot be stored under a model, if it cannot.
pub(crate) fn refuse<'a>(
    mut models: impl Iterator<Item = &'a ModelSpec>,
    name: &ModelName,
    vector: &Vector,
) -> Result<(), String> {
    match models.find(|spec| spec.name == *name) {
        None => Err(format!("there is no model `{name}` here")),
        Some(spec) => spec.refuses(vector).map_or(Ok(()), Err),
    }
}
