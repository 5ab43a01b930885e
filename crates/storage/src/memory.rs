//! A library in memory: the reference for what the contract means.

mod position;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_core::{
    BlobRef, Digest, Document, DocumentKind, Embedding, EmbeddingRef, Filter, Job, Metric,
    ModelName, ModelSpec, OperationId, Segment, SegmentId, Song, SongId, SongSummary, fold,
};

use self::position::{Position, in_order};
use crate::{
    BlobSource, BlobStore, BlobStream, Capabilities, Change, ChangePage, ChangeState, Collected,
    Cursor, DeleteSong, DocumentStore, EmbeddingStore, Error, ErrorKind, Finding, Lookup, Lost,
    Maintenance, NearestQuery, NearestSegments, Neighbor, NewBlob, NewEmbedding, Origin, Outcome,
    Page, PageToken, PurgeSong, PutDocument, PutMode, PutSong, Result, SegmentNeighbor,
    SegmentQuery, SegmentStore, SongQuery, SongStore, StorageBackend, StoredEmbedding, Tombstone,
    VerifyOptions, query::refuse_search, read_blob,
};

/// A library that is gone when it is dropped; for tests and for embedding.
///
/// Every search looks at every song: right before fast.
pub struct MemoryBackend {
    state: Mutex<State>,
    // Cursors carry it, so that those of another library are known as such.
    history: OperationId,
}

#[derive(Clone, Default)]
struct State {
    models: BTreeMap<ModelName, ModelSpec>,
    songs: BTreeMap<SongId, Stored>,
    last_change: u64,
    // The last change of a document that is listed as a whole.
    last_document: u64,
    // By digest too: of two that are on their way, either may be named.
    embeddings: HashMap<(ModelName, SongId, Digest), Kept<Embedding>>,
    blobs: HashMap<Digest, Kept<Bytes>>,
    segments: BTreeMap<SegmentId, Segment>,
    documents: BTreeMap<(DocumentKind, String), Document>,
}

/// Bytes of a blob that are given at a time.
const PIECE: usize = 1 << 20;

#[derive(Clone)]
struct Stored {
    state: ChangeState,
    change: u64,
    origin: Option<Origin>,
}

#[derive(Clone)]
struct Kept<T> {
    object: T,
    since: Instant,
}

impl<T> Kept<T> {
    fn new(object: T) -> Self {
        Self { object, since: Instant::now() }
    }
}

impl MemoryBackend {
    /// An empty library.
    pub fn new() -> Self {
        Self { state: Mutex::default(), history: OperationId::random() }
    }

    /// A copy that goes its own way from here, as a backup that is restored
    /// later: it has the same songs, objects, documents and cursors.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()), history: self.history }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn invalid(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        why: impl Into<String>,
    ) -> Error {
        Error::new(ErrorKind::Invalid, operation, subject, self).because(why.into())
    }

    fn foreign_token(&self) -> Error {
        self.invalid("find", "songs", "the page token is not from this query")
            .with_hint("begin again without a token")
    }

    fn lost_cursor(&self, cursor: &Cursor) -> Error {
        Error::new(ErrorKind::CursorLost, "read", "the changes", self)
            .because(format!("`{}` is not a cursor of this library", cursor.0.escape_debug()))
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn collect_garbage(&mut self, min_age: Duration, job: &Job) -> Collected {
        let mut collected = Collected::default();
        // A tombstone keeps its objects: the song may be restored.
        let song = |stored: &Stored| match &stored.state {
            ChangeState::Present(song) => (**song).clone(),
            ChangeState::Deleted(tombstone) => tombstone.song.clone(),
        };
        let songs: HashMap<SongId, Song> =
            self.songs.iter().map(|(id, stored)| (*id, song(stored))).collect();
        let blobs: HashSet<Digest> =
            songs.values().filter_map(|song| Some(song.blob.as_ref()?.sha256)).collect();
        self.embeddings.retain(|(model, id, digest), kept| {
            let named = songs.get(id).and_then(|song| song.embeddings.get(model));
            let keep = job.is_interrupted()
                || kept.since.elapsed() < min_age
                || named.is_some_and(|reference| reference.digest == *digest);
            if !keep {
                collected.objects += 1;
                collected.bytes += kept.object.vector.dimension() as u64 * 4;
            }
            keep
        });
        self.blobs.retain(|digest, kept| {
            let keep =
                job.is_interrupted() || kept.since.elapsed() < min_age || blobs.contains(digest);
            if !keep {
                collected.objects += 1;
                collected.bytes += kept.object.len() as u64;
            }
            keep
        });
        collected
    }

    fn song(&self, id: &SongId) -> Option<&Song> {
        match &self.songs.get(id)?.state {
            ChangeState::Present(song) => Some(song),
            ChangeState::Deleted(_) => None,
        }
    }

    fn tombstone(&self, id: &SongId) -> Option<&Tombstone> {
        match &self.songs.get(id)?.state {
            ChangeState::Present(_) => None,
            ChangeState::Deleted(tombstone) => Some(tombstone),
        }
    }

    fn present(&self) -> impl Iterator<Item = &Song> {
        self.songs.keys().filter_map(|id| self.song(id))
    }

    fn set(&mut self, id: SongId, state: ChangeState, origin: Option<Origin>) {
        self.last_change += 1;
        self.songs.insert(id, Stored { state, change: self.last_change, origin });
    }

    fn note_document(&mut self, kind: DocumentKind) {
        if kind.is_synced() {
            self.last_change += 1;
            self.last_document = self.last_change;
        }
    }

    // The embedding that `song` names under `model`.
    fn named(&self, song: &Song, model: &ModelName) -> Option<&Embedding> {
        let digest = song.embeddings.get(model)?.digest;
        Some(&self.embeddings.get(&(model.clone(), song.id, digest))?.object)
    }

    // A page of songs, and where the next one begins; nothing if the token is
    // not from this query.
    fn find(&self, query: &SongQuery) -> Option<(Vec<&Song>, Option<PageToken>)> {
        let after = match &query.after {
            None => None,
            Some(token) => Some(Position::of_token(token, query)?),
        };
        let mut found: Vec<(Position, &Song)> = self
            .present()
            .map(|song| (song, SongSummary::of(song)))
            .filter(|(_, summary)| query.filter.passes(summary))
            .map(|(song, summary)| (Position::of(query.order, song, &summary), song))
            .filter(|(position, _)| {
                after.as_ref().is_none_or(|after| in_order(query.order, after, position).is_lt())
            })
            .collect();
        found.sort_by(|(left, _), (right, _)| in_order(query.order, left, right));
        let mut rest = found.into_iter().skip(query.skip);
        let page: Vec<_> = rest.by_ref().take(query.limit).collect();
        let last = page.last().filter(|_| rest.next().is_some());
        let next = last.map(|(position, _)| position.token(query));
        Some((page.into_iter().map(|(_, song)| song).collect(), next))
    }
}

impl StorageBackend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { any_metric: true, keeps_audio: true, urls: false, batch: 100, remote: false }
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
        self
    }

    fn documents(&self) -> &dyn DocumentStore {
        self
    }

    fn maintenance(&self) -> &dyn Maintenance {
        self
    }
}

#[async_trait]
impl SongStore for MemoryBackend {
    async fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        let mut state = self.state();
        for PutSong { song, .. } in songs {
            if let Some(model) = song.embeddings.keys().find(|m| !state.models.contains_key(*m)) {
                let why = format!("it names an embedding of `{model}`, which is not known here");
                return Err(self.invalid("store", format_args!("song `{}`", song.id.short()), why));
            }
        }
        let mut outcomes = Vec::with_capacity(songs.len());
        for PutSong { song, mode, origin } in songs {
            let stored = state.song(&song.id);
            let version = stored.map(|stored| stored.revision.operation);
            let allowed = match mode {
                PutMode::Create => version.is_none(),
                PutMode::Replace(expected) => version == Some(*expected),
            };
            outcomes.push(if version == Some(song.revision.operation) {
                Outcome::Done
            } else if allowed {
                let present = ChangeState::Present(Box::new(song.clone()));
                state.set(song.id, present, origin.clone());
                Outcome::Done
            } else {
                Outcome::Conflict(stored.cloned().map(Box::new))
            });
        }
        Ok(outcomes)
    }

    async fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.song(id).cloned()).collect())
    }

    async fn find(&self, query: &SongQuery) -> Result<Page<Song>> {
        let state = self.state();
        let (songs, next) = state.find(query).ok_or_else(|| self.foreign_token())?;
        Ok(Page { items: songs.into_iter().cloned().collect(), next })
    }

    async fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        let state = self.state();
        let (songs, next) = state.find(query).ok_or_else(|| self.foreign_token())?;
        Ok(Page { items: songs.into_iter().map(SongSummary::of).collect(), next })
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        let state = self.state();
        Ok(state.present().filter(|song| filter.passes(&SongSummary::of(song))).count() as u64)
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        let state = self.state();
        let answers = lookups.iter().map(|lookup| match lookup {
            Lookup::IdPrefix(prefix) => {
                let prefix = prefix.replace('-', "").to_lowercase();
                let named =
                    |song: &&Song| song.id.to_string().replace('-', "").starts_with(&prefix);
                state.present().filter(named).map(|song| song.id).take(20).collect()
            }
            Lookup::Path(path) => state
                .present()
                .filter(|song| song.files.iter().any(|file| file.path == *path))
                .map(|song| song.id)
                .collect(),
            Lookup::FileHash(hash) => state
                .present()
                .filter(|song| song.files.iter().any(|file| file.sha256 == *hash))
                .map(|song| song.id)
                .collect(),
            Lookup::Title(title) => {
                let title = fold(title);
                let named = |song: &&Song| fold(&SongSummary::of(song).title) == title;
                state.present().filter(named).map(|song| song.id).take(20).collect()
            }
        });
        Ok(answers.collect())
    }

    async fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        let mut state = self.state();
        let mut outcomes = Vec::with_capacity(songs.len());
        for delete in songs {
            let Some(song) = state.song(&delete.id).cloned() else {
                outcomes.push(Outcome::Done);
                continue;
            };
            if delete.version.is_some_and(|version| version != song.revision.operation) {
                outcomes.push(Outcome::Conflict(Some(Box::new(song))));
                continue;
            }
            let deleted = ChangeState::Deleted(Box::new(delete.tombstone(song)));
            state.set(delete.id, deleted, delete.origin.clone());
            outcomes.push(Outcome::Done);
        }
        Ok(outcomes)
    }

    async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        let mut state = self.state();
        for PurgeSong { id, deletion } in tombstones {
            if state.tombstone(id).is_some_and(|one| one.revision.operation == *deletion) {
                state.songs.remove(id);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl EmbeddingStore for MemoryBackend {
    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        let mut state = self.state();
        match state.models.get(&model.name) {
            None => drop(state.models.insert(model.name.clone(), model.clone())),
            Some(known) if known.dimension == model.dimension && known.metric == model.metric => {}
            Some(known) => {
                let why = format!(
                    "it is known with {} dimensions compared by {}, not {} by {}",
                    known.dimension, known.metric, model.dimension, model.metric
                );
                return Err(self.invalid(
                    "make room for",
                    format_args!("model `{}`", model.name),
                    why,
                ));
            }
        }
        Ok(())
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        Ok(self.state().models.values().cloned().collect())
    }

    async fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        let mut state = self.state();
        for NewEmbedding { embedding, .. } in embeddings {
            let why = match state.models.get(&embedding.model) {
                None => Some(format!("there is no model `{}` here", embedding.model)),
                Some(model) => model.refuses(&embedding.vector),
            };
            if let Some(why) = why {
                let subject = format!("an embedding of song `{}`", embedding.song.short());
                return Err(self.invalid("store", subject, why));
            }
        }
        let mut references = Vec::with_capacity(embeddings.len());
        for NewEmbedding { embedding, .. } in embeddings {
            let named = state.song(&embedding.song).and_then(|song| {
                state.named(song, &embedding.model)?;
                song.embeddings.get(&embedding.model).cloned()
            });
            if let Some(named) = named {
                references.push(named);
                continue;
            }
            let reference = embedding.reference();
            let place = (embedding.model.clone(), embedding.song, reference.digest);
            // Stored again, it is young again: its song is on the way now.
            state.embeddings.insert(place, Kept::new(embedding.clone()));
            references.push(reference);
        }
        Ok(references)
    }

    async fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let state = self.state();
        let find = |id: &SongId| {
            let song = state.song(id)?;
            let embedding = state.named(song, model)?.clone();
            Some(StoredEmbedding { embedding, reference: song.embeddings.get(model)?.clone() })
        };
        Ok(songs.iter().map(find).collect())
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        let state = self.state();
        let model = state.models.get(&query.model).ok_or_else(|| {
            self.invalid("search", format_args!("model `{}`", query.model), "there is none here")
        })?;
        let metric = query.metric.unwrap_or(model.metric);
        if let Some(why) = refuse_search(model, &query.vector, metric) {
            return Err(self.invalid("search", format_args!("model `{}`", query.model), why));
        }
        let mut hits: Vec<Neighbor> = state
            .present()
            .filter(|song| !query.exclude.contains(&song.id))
            .filter_map(|song| Some((song, state.named(song, &query.model)?)))
            .filter(|(song, _)| query.filter.passes(&SongSummary::of(song)))
            .map(|(_, embedding)| embedding)
            .map(|embedding| {
                let (similarity, distance) = metric.compare(&query.vector, &embedding.vector);
                Neighbor { song: embedding.song, similarity, distance, key: None }
            })
            .filter(|hit| query.threshold.is_none_or(|least| hit.similarity >= least))
            .collect();
        hits.sort_by(|left, right| {
            right.similarity.total_cmp(&left.similarity).then(left.song.cmp(&right.song))
        });
        Ok(hits.into_iter().skip(query.offset).take(query.k).collect())
    }
}

#[async_trait]
impl BlobStore for MemoryBackend {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        let subject = format!("blob `{}`", blob.sha256);
        let bytes = match source {
            BlobSource::Stream(stream) => read_blob(stream).await?,
            BlobSource::Path(path) => std::fs::read(&path).map(Bytes::from).map_err(|error| {
                let shown = path.display();
                self.invalid("store", &subject, format!("`{shown}` cannot be read: {error}"))
            })?,
        };
        if bytes.len() as u64 != blob.size || Digest::of(&bytes) != blob.sha256 {
            return Err(self.invalid(
                "store",
                subject,
                "the bytes are not those that were promised",
            ));
        }
        self.state().blobs.insert(blob.sha256, Kept::new(bytes));
        Ok(BlobRef { sha256: blob.sha256, size: blob.size, key: None })
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        let Some(bytes) = self.state().blobs.get(&blob.sha256).map(|kept| kept.object.clone())
        else {
            return Ok(None);
        };
        let range = range.unwrap_or(0..bytes.len() as u64);
        if range.start > range.end || range.end > bytes.len() as u64 {
            let why = format!("bytes {}..{} of {}", range.start, range.end, bytes.len());
            return Err(self.invalid("read", format_args!("blob `{}`", blob.sha256), why));
        }
        let mut rest = bytes.slice(range.start as usize..range.end as usize);
        let pieces = std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(PIECE))))
        });
        Ok(Some(stream::iter(pieces).boxed()))
    }

    async fn url(&self, _: &BlobRef, _: Duration) -> Result<Option<String>> {
        Ok(None)
    }
}

#[async_trait]
impl SegmentStore for MemoryBackend {
    async fn put(&self, segments: &[Segment]) -> Result<()> {
        let mut state = self.state();
        for segment in segments {
            let why = match state.models.get(&segment.model) {
                None => Some(format!("there is no model `{}` here", segment.model)),
                Some(model) => model.refuses(&segment.vector),
            };
            let sound = 0.0 <= segment.start && segment.start <= segment.end;
            let sound = sound && segment.end.is_finite();
            let (start, end) = (segment.start, segment.end);
            let why =
                why.or_else(|| (!sound).then(|| format!("{start} to {end} is no part of a song")));
            if let Some(why) = why {
                return Err(self.invalid("store", format_args!("segment `{}`", segment.id), why));
            }
        }
        for segment in segments {
            state.segments.entry(segment.id).or_insert_with(|| segment.clone());
        }
        Ok(())
    }

    async fn get(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.segments.get(id).cloned()).collect())
    }

    async fn find(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let state = self.state();
        let mut found: Vec<_> = state.segments.values().filter(|one| query.passes(one)).collect();
        found.sort_by(|left, right| query.compare(left, right));
        Ok(found.into_iter().skip(query.skip).take(query.limit).cloned().collect())
    }

    async fn nearest(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        let state = self.state();
        let refuse = |why: String| self.invalid("search", "segments", why);
        let name = query.among.model.as_ref().ok_or_else(|| refuse("a model is needed".into()))?;
        let model = state
            .models
            .get(name)
            .ok_or_else(|| refuse(format!("there is no model `{name}` here")))?;
        let metric: Metric = query.metric.unwrap_or(model.metric);
        if let Some(why) = refuse_search(model, &query.vector, metric) {
            return Err(refuse(why));
        }
        let mut hits: Vec<SegmentNeighbor> = state
            .segments
            .values()
            .filter(|segment| query.among.passes(segment) && !query.exclude.contains(&segment.id))
            .map(|segment| {
                let (similarity, distance) = metric.compare(&query.vector, &segment.vector);
                SegmentNeighbor { segment: segment.clone(), similarity, distance }
            })
            .filter(|hit| query.threshold.is_none_or(|least| hit.similarity >= least))
            .collect();
        hits.sort_by(|left, right| {
            right
                .similarity
                .total_cmp(&left.similarity)
                .then(left.segment.id.cmp(&right.segment.id))
        });
        hits.truncate(query.k);
        Ok(hits)
    }

    async fn delete(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        let mut state = self.state();
        Ok(ids.iter().map(|id| state.segments.remove(id).is_some()).collect())
    }
}

#[async_trait]
impl DocumentStore for MemoryBackend {
    async fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        let mut state = self.state();
        if let Some(put) = documents.iter().find(|put| !Document::is_valid_id(&put.document.id)) {
            let id = &put.document.id;
            return Err(self.invalid(
                "store",
                "a document",
                format!("`{id}` is not a document id"),
            ));
        }
        let mut outcomes = Vec::with_capacity(documents.len());
        for PutDocument { document, mode } in documents {
            let place = (document.kind, document.id.clone());
            let stored = state.documents.get(&place);
            let version = stored.map(|stored| stored.revision.operation);
            let allowed = match mode {
                PutMode::Create => version.is_none(),
                PutMode::Replace(expected) => version == Some(*expected),
            };
            outcomes.push(if version == Some(document.revision.operation) {
                Outcome::Done
            } else if allowed {
                state.documents.insert(place, document.clone());
                state.note_document(document.kind);
                Outcome::Done
            } else {
                Outcome::Conflict(stored.cloned().map(Box::new))
            });
        }
        Ok(outcomes)
    }

    async fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.documents.get(&(kind, id.clone())).cloned()).collect())
    }

    async fn list(&self, kinds: &[DocumentKind], _: Option<&PageToken>) -> Result<Page<Document>> {
        let state = self.state();
        let items = state.documents.values().filter(|one| kinds.contains(&one.kind));
        Ok(Page { items: items.cloned().collect(), next: None })
    }

    async fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        let mut state = self.state();
        let place = (kind, id.to_owned());
        match state.documents.get(&place) {
            Some(stored) if stored.revision.operation != version => {
                Ok(Outcome::Conflict(Some(Box::new(stored.clone()))))
            }
            Some(_) => {
                state.documents.remove(&place);
                state.note_document(kind);
                Ok(Outcome::Done)
            }
            None => Ok(Outcome::Done),
        }
    }
}

#[async_trait]
impl Maintenance for MemoryBackend {
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        let state = self.state();
        let seen: u64 = match since {
            None => 0,
            Some(cursor) => cursor
                .0
                .strip_prefix(&format!("{}-", self.history))
                .and_then(|seen| seen.parse().ok())
                .filter(|seen| *seen <= state.last_change)
                .ok_or_else(|| self.lost_cursor(cursor))?,
        };
        let mut newer: Vec<_> = state.songs.iter().filter(|(_, one)| one.change > seen).collect();
        newer.sort_by_key(|(_, stored)| stored.change);
        let more = newer.len() > limit.max(1);
        newer.truncate(limit.max(1));
        let last = match newer.last() {
            Some((_, stored)) if more => stored.change,
            _ => state.last_change,
        };
        let cursor = Cursor(format!("{}-{last}", self.history));
        let changes = newer.into_iter().map(|(id, stored)| Change {
            song: *id,
            state: stored.state.clone(),
            origin: stored.origin.clone(),
        });
        let documents = since.is_none() || state.last_document > seen;
        let unreadable = Vec::new();
        Ok(ChangePage { changes: changes.collect(), cursor, more, documents, unreadable })
    }

    async fn collect_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        Ok(self.state().collect_garbage(min_age, job))
    }

    async fn find_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        Ok(self.state().clone().collect_garbage(min_age, job))
    }

    async fn verify(&self, _: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        let state = self.state();
        let mut findings = Vec::new();
        for song in state.present() {
            if job.is_interrupted() {
                break;
            }
            for (model, reference) in &song.embeddings {
                let stored = state.named(song, model);
                if stored.map(Embedding::reference).as_ref() != Some(reference) {
                    let problem = format!("its embedding by `{model}` is not what it names");
                    let lost = Lost::Embedding(song.id, model.clone());
                    let subject = format!("song `{}`", song.id);
                    let finding = Finding::open(subject, problem, "scan its file again");
                    findings.push(finding.of_lost(lost));
                }
            }
            let blob = song.blob.as_ref();
            if blob.is_some_and(|blob| !state.blobs.contains_key(&blob.sha256)) {
                findings.push(Finding::open(
                    format!("song `{}`", song.id),
                    "the audio that it names is not there",
                    "scan its file again",
                ));
            }
        }
        Ok(findings)
    }
}

impl fmt::Display for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let songs = self.state().songs.len();
        f.debug_struct("MemoryBackend").field("songs", &songs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use songrec_core::{AudioProperties, Timestamp};

    use super::*;
    use crate::StorageBackendExt;

    fn song() -> Song {
        Song::new(Digest::of(b"audio"), AudioProperties::default(), Timestamp::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_cursor_of_another_library_is_lost() {
        let (one, other) = (MemoryBackend::new(), MemoryBackend::new());
        for library in [&one, &other] {
            library.put_song(&song(), PutMode::Create).await.unwrap();
        }
        let cursor = one.maintenance().changes(None, 10).await.unwrap().cursor;

        let error = other.maintenance().changes(Some(&cursor), 10).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::CursorLost);
        assert_eq!(one.maintenance().changes(Some(&cursor), 10).await.unwrap().changes, []);
    }

    #[tokio::test]
    async fn only_playlists_and_synths_are_told_of() {
        let library = MemoryBackend::new();
        let cursor = library.maintenance().changes(None, 10).await.unwrap().cursor;
        for kind in [DocumentKind::Machine, DocumentKind::Library] {
            let revision = songrec_core::Revision::first();
            let (updated_at, body) = (Timestamp::UNIX_EPOCH, serde_json::Value::Null);
            let document = Document {
                kind,
                id: "one".into(),
                revision,
                updated_at,
                body,
                deleted: false,
                history: None,
            };
            let put = PutDocument { document, mode: PutMode::Create };
            library.documents().put(&[put]).await.unwrap();
        }
        library.put_song(&song(), PutMode::Create).await.unwrap();

        assert!(!library.maintenance().changes(Some(&cursor), 10).await.unwrap().documents);
    }

    #[tokio::test]
    async fn a_fork_goes_its_own_way() {
        let library = MemoryBackend::new();
        let cursor = library.maintenance().changes(None, 10).await.unwrap().cursor;
        let fork = library.fork();
        library.put_song(&song(), PutMode::Create).await.unwrap();

        assert_eq!(fork.maintenance().changes(Some(&cursor), 10).await.unwrap().changes, []);
        assert_eq!(
            library.maintenance().changes(Some(&cursor), 10).await.unwrap().changes.len(),
            1
        );
    }

    #[tokio::test]
    async fn verifying_finds_what_is_named_but_not_there() {
        let library = MemoryBackend::new();
        let name: ModelName = "tiny@1".parse().unwrap();
        let model = ModelSpec {
            name: name.clone(),
            dimension: 1,
            metric: Metric::Cosine,
            description: String::new(),
        };
        library.embeddings().put_model(&model).await.unwrap();
        let mut song = song();
        let reference = EmbeddingRef { dimension: 1, digest: Digest::of(b"?"), key: None };
        song.embeddings.insert(name, reference);
        song.blob = Some(BlobRef { sha256: Digest::of(b"?"), size: 1, key: None });
        library.put_song(&song, PutMode::Create).await.unwrap();

        let findings =
            library.maintenance().verify(&VerifyOptions::default(), &Job::silent()).await.unwrap();

        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
