//! A library in memory: the reference for what the contract means.

mod objects;
mod position;
mod versions;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use songrec_core::{
    Digest, Document, DocumentKind, Embedding, Job, ModelName, ModelSpec, OperationId, Segment,
    SegmentId, Song, SongId, SongSummary,
};

use self::position::{Position, in_order};
use crate::{
    BlobStore, Capabilities, Change, ChangePage, ChangeState, Collected, Cursor, DocumentStore,
    EmbeddingStore, Error, ErrorKind, Finding, Lost, Maintenance, Origin, PageToken, Result,
    SegmentStore, SongQuery, SongStore, StorageBackend, Tombstone, VerifyOptions,
};

/// A library that is gone when it is dropped; for tests and for embedding.
///
/// Every search looks at every song: right before fast.
pub struct MemoryBackend {
    state: Mutex<Contents>,
    // Cursors carry it, so that those of another library are known as such.
    history: OperationId,
}

#[derive(Clone, Default)]
struct Contents {
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

    fn state(&self) -> MutexGuard<'_, Contents> {
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

impl Contents {
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
    use songrec_core::{AudioProperties, BlobRef, EmbeddingRef, Metric, Timestamp};

    use super::*;
    use crate::{PutDocument, PutMode, StorageBackendExt};

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
