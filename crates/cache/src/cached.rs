//! A read-through cache in front of another backend.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use songrec_core::{
    BlobRef, Digest, Embedding, EmbeddingRef, Filter, Job, ModelName, ModelSpec, Song, SongId,
    SongSummary, Vector,
};
use songrec_storage::{
    BlobSource, BlobStore, BlobStream, Capabilities, ChangeHead, ChangePage, Collected, Cursor,
    DeleteSong, DocumentStore, EmbeddingStore, Finding, Lookup, Maintenance, NearestQuery,
    Neighbor, NewBlob, NewEmbedding, Outcome, Page, PurgeSong, PutSong, Result, SegmentStore,
    SongQuery, SongStore, StorageBackend, StoredEmbedding, VerifyOptions,
};

use crate::{
    answers::{Answer, Answers, SharedWrite},
    cache::{Cache, Download},
    recent::{CachedOptions, Recent},
};

/// Another backend, asked only for what is not known already; for one that is
/// far away.
///
/// # Semantics
///
/// Embeddings and whole blobs never change, and are kept on disk
/// ([`Cache`]). An embedding is only taken from there by the digest by which
/// its song names it, and only while the song itself is known and fresh;
/// otherwise the backend is asked.
///
/// Songs, the list of models and the answers to searches are remembered in memory for a
/// short time ([`CachedOptions::fresh_for`]), in which what *others* wrote may go
/// unnoticed; what was written through this handle never does. A compare-and-set
/// of an old song fails as it should, and the song is read anew after it.
///
/// Lists, counts, segments and documents are always asked for. So is an
/// empty part of a blob, which is the cheap way to ask whether it is stored: a
/// whole blob may still be given after somebody else has collected it.
///
/// With [`Self::sharing_answers`], what was found by a search and the list of models are
/// also kept as files for the same short time, for other processes of this machine, and
/// what one of these wrote is then never stale for another.
///
/// # Errors
///
/// Those of the backend; a cache that fails is only slow, and says so in the
/// log.
#[derive(Debug)]
pub struct Cached {
    inner: Arc<dyn StorageBackend>,
    cache: Cache,
    recent: Recent,
    answers: Option<Answers>,
    fresh_for: Duration,
    // Since then a blob that is here may have gone there.
    collected: AtomicBool,
}

impl Cached {
    /// `inner`, with its objects kept in `cache`.
    pub fn new(inner: Arc<dyn StorageBackend>, cache: Cache, options: CachedOptions) -> Self {
        Self {
            inner,
            cache,
            recent: Recent::new(&options),
            answers: None,
            fresh_for: options.fresh_for,
            collected: AtomicBool::new(false),
        }
    }

    /// Keeps the answers to searches as files too, for as long as in memory, for every
    /// process of this machine that uses this cache and gives the library the same name.
    /// Whoever else on this machine writes to the library holds a [`SharedWrite`].
    #[must_use]
    pub fn sharing_answers(mut self, library: &str) -> Self {
        self.answers = self.cache.answers(library, self.fresh_for);
        self
    }

    /// The backend itself.
    pub fn inner(&self) -> &Arc<dyn StorageBackend> {
        &self.inner
    }

    /// The cache on disk.
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    fn begin_shared_write(&self) -> Option<SharedWrite> {
        self.answers.as_ref().map(Answers::begin_write)
    }

    // Fills in the embeddings that fresh songs name and that are known; gives
    // the places of the others.
    async fn known_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
        answers: &mut [Option<StoredEmbedding>],
    ) -> Vec<usize> {
        let mut unknown = Vec::new();
        let mut on_disk = Vec::new();
        let stored = |at: usize, vector: Vector, reference: EmbeddingRef| StoredEmbedding {
            embedding: Embedding { song: songs[at], model: model.clone(), vector },
            reference,
        };
        for (at, named) in self.recent.named(model, songs).into_iter().enumerate() {
            let Some(reference) = named else {
                unknown.push(at);
                continue;
            };
            match self.recent.vector(&reference.digest) {
                Some(vector) => answers[at] = Some(stored(at, vector, reference)),
                None => on_disk.push((at, reference)),
            }
        }
        let wanted = on_disk.iter().map(|(_, reference)| reference.clone()).collect();
        let found = self.cache.vectors(wanted).await;
        for ((at, reference), vector) in on_disk.into_iter().zip(found) {
            let Some(vector) = vector else {
                unknown.push(at);
                continue;
            };
            self.recent.remember_vector(reference.digest, &vector);
            answers[at] = Some(stored(at, vector, reference));
        }
        unknown
    }

    // Everything of a blob that is not here yet.
    async fn fetch(&self, blob: &BlobRef) -> Result<Option<BlobStream>> {
        let turn = self.cache.turn(blob.sha256);
        let turn = turn.lock().await;
        match self.cache.begin(blob.sha256, blob.size).await {
            Download::Room(room) => {
                let stream = match self.inner.blobs().get(blob, None).await {
                    Ok(Some(stream)) => stream,
                    other => {
                        self.cache.discard(room).await;
                        return other;
                    }
                };
                if let Some(here) = self.cache.download(room, blob.sha256, stream).await? {
                    let whole = 0..here.size();
                    return Ok(Some(here.read(whole)));
                }
            }
            Download::Here => {
                if let Some(here) = self.cache.blob(blob.sha256).await {
                    let whole = 0..here.size();
                    return Ok(Some(here.read(whole)));
                }
            }
            Download::NoRoom => {}
        }
        drop(turn);
        // Nothing to keep, so nothing to wait for: straight through.
        self.inner.blobs().get(blob, None).await
    }
}

// What tells one search from another.
fn search_of(query: &NearestQuery) -> Digest {
    let NearestQuery { model, vector, k, offset, threshold, metric, filter, exclude } = query;
    let mut all = vector.to_le_bytes();
    let rest = (model, k, offset, threshold.map(f64::to_bits), metric, filter, exclude);
    all.extend(format!("{rest:?}").into_bytes());
    Digest::of(&all)
}

impl StorageBackend for Cached {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn songs(&self) -> &dyn SongStore {
        self
    }

    fn embeddings(&self) -> &dyn EmbeddingStore {
        self
    }

    fn blobs(&self) -> &dyn BlobStore {
        self
    }

    fn segments(&self) -> &dyn SegmentStore {
        self.inner.segments()
    }

    fn documents(&self) -> &dyn DocumentStore {
        self.inner.documents()
    }

    fn maintenance(&self) -> &dyn Maintenance {
        self
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SongStore for Cached {
    async fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        let _shared = self.begin_shared_write();
        let _writing = self.recent.begin_write(songs.iter().map(|put| put.song.id));
        self.inner.songs().put(songs).await
    }

    async fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        let reading = self.recent.begin_read();
        let mut songs = self.recent.songs(ids);
        let unknown: Vec<usize> = (0..ids.len()).filter(|at| songs[*at].is_none()).collect();
        if unknown.is_empty() {
            return Ok(songs);
        }
        let asked: Vec<SongId> = unknown.iter().map(|at| ids[*at]).collect();
        let found = self.answers.as_ref().filter(|answers| answers.found_any(&asked));
        let turn = found.and_then(Answers::turn);
        let read = self.inner.songs().get(&asked).await?;
        self.recent.remember_songs(reading, read.iter().flatten());
        if let (Some(answers), Some(turn)) = (found, turn) {
            answers.keep_songs(&turn, read.iter().flatten());
        }
        for (at, song) in unknown.into_iter().zip(read) {
            songs[at] = song;
        }
        Ok(songs)
    }

    async fn find(&self, query: &SongQuery) -> Result<Page<Song>> {
        let reading = self.recent.begin_read();
        let page = self.inner.songs().find(query).await?;
        self.recent.remember_songs(reading, &page.items);
        Ok(page)
    }

    async fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        self.inner.songs().find_summaries(query).await
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        self.inner.songs().count(filter).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.inner.songs().lookup(lookups).await
    }

    async fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        let _shared = self.begin_shared_write();
        let _writing = self.recent.begin_write(songs.iter().map(|delete| delete.id));
        self.inner.songs().delete(songs).await
    }

    async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        let _shared = self.begin_shared_write();
        let _writing = self.recent.begin_write(tombstones.iter().map(|purge| purge.id));
        self.inner.songs().purge(tombstones).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EmbeddingStore for Cached {
    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        let _shared = self.begin_shared_write();
        let _writing = self.recent.begin_models_write();
        self.inner.embeddings().put_model(model).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        if let Some(models) = self.recent.models() {
            return Ok(models);
        }
        let reading = self.recent.begin_read();
        if let Some((models, age)) = self.answers.as_ref().and_then(Answers::models) {
            self.recent.remember_models(reading.aged(age), &models);
            return Ok(models);
        }
        let turn = self.answers.as_ref().and_then(Answers::turn);
        let models = self.inner.embeddings().models().await?;
        self.recent.remember_models(reading, &models);
        if let (Some(answers), Some(turn)) = (&self.answers, turn) {
            answers.keep_models(turn, &models);
        }
        Ok(models)
    }

    async fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        // No song changes by it, and what songs name is known by digest; but a search may
        // find it.
        let _shared = self.begin_shared_write();
        let _writing = self.recent.begin_write([]);
        self.inner.embeddings().put(embeddings).await
    }

    async fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let mut answers = vec![None; songs.len()];
        let unknown = self.known_embeddings(model, songs, &mut answers).await;
        if unknown.is_empty() {
            return Ok(answers);
        }
        let asked: Vec<SongId> = unknown.iter().map(|at| songs[*at]).collect();
        let read = self.inner.embeddings().get(model, &asked).await?;
        let mut kept = Vec::new();
        for StoredEmbedding { embedding, reference } in read.iter().flatten() {
            let vector = &embedding.vector;
            if Digest::of(&vector.to_le_bytes()) == reference.digest {
                self.recent.remember_vector(reference.digest, vector);
                kept.push((reference.digest, vector.clone()));
            }
        }
        // All of them came with one request: there is no download of each that
        // another process could be spared by waiting.
        self.cache.keep_vectors(kept).await;
        for (at, embedding) in unknown.into_iter().zip(read) {
            answers[at] = embedding;
        }
        Ok(answers)
    }

    // Asked for once, by whoever copies a whole library.
    async fn get_deleted(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.inner.embeddings().get_deleted(model, songs).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        let search = search_of(query);
        if let Some(hits) = self.recent.hits(&search) {
            return Ok(hits);
        }
        let reading = self.recent.begin_read();
        if let Some(answer) = self.answers.as_ref().and_then(|answers| answers.read(&search)) {
            let Answer { hits, songs, age } = answer;
            self.recent.remember_songs(reading.aged(age), &songs);
            self.recent.remember_hits(reading.aged(age), search, &hits);
            return Ok(hits);
        }
        let turn = self.answers.as_ref().and_then(Answers::turn);
        let hits = self.inner.embeddings().nearest(query).await?;
        self.recent.evict_contradicted(&query.model, &hits);
        self.recent.remember_hits(reading, search, &hits);
        if let (Some(answers), Some(turn)) = (&self.answers, turn) {
            answers.keep(turn, &search, &hits);
        }
        Ok(hits)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobStore for Cached {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        self.inner.blobs().put(blob, source).await
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return self.inner.blobs().get(blob, range).await;
        }
        if self.collected.load(Ordering::Relaxed)
            && self.inner.blobs().get(blob, Some(0..0)).await?.is_none()
        {
            return Ok(None);
        }
        if let Some(here) = self.cache.blob(blob.sha256).await {
            let range = range.clone().unwrap_or(0..here.size());
            if range.end <= here.size() {
                return Ok(Some(here.read(range)));
            }
        }
        match range {
            // A part is no reason to download the whole.
            Some(_) => self.inner.blobs().get(blob, range).await,
            None => self.fetch(blob).await,
        }
    }

    async fn url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        self.inner.blobs().url(blob, valid_for).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Maintenance for Cached {
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        let page = self.inner.maintenance().changes(since, limit).await?;
        self.recent.evict(page.changes.iter().map(|change| change.song));
        Ok(page)
    }

    async fn heads(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage<ChangeHead>> {
        let page = self.inner.maintenance().heads(since, limit).await?;
        self.recent.evict(page.changes.iter().map(|change| change.song));
        Ok(page)
    }

    async fn collect_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        self.collected.store(true, Ordering::Relaxed);
        self.inner.maintenance().collect_garbage(min_age, job).await
    }

    async fn find_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        self.inner.maintenance().find_garbage(min_age, job).await
    }

    async fn verify(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        let _shared = options.repair.then(|| self.begin_shared_write());
        let _writing = options.repair.then(|| self.recent.begin_any_write());
        self.inner.maintenance().verify(options, job).await
    }
}

// A cache is no place of its own: errors name where the songs are.
impl fmt::Display for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
