//! A backend that fails on purpose.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use songrec_core::{
    BlobRef, Card, Document, DocumentKind, EmbeddingRef, Filter, ModelName, ModelSpec, OperationId,
    Progress, Segment, SegmentId, Song, SongId,
};
use songrec_storage::{
    BlobSource, BlobStream, Capabilities, ChangePage, ChangeSummary, Cursor, DeleteSong, Error,
    ErrorKind, Finding, Lookup, NearestQuery, NearestSegments, Neighbor, NewBlob, NewEmbedding,
    Outcome, Page, PageToken, PurgeSong, PutDocument, PutSong, Result, SegmentNeighbor,
    SegmentQuery, SongQuery, StorageBackend, StoredEmbedding, Swept, VerifyOptions,
};

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails before anything happened.
    Before,
    /// It happens, but its answer is lost.
    After,
    /// The first half of its batch happens; half of its blob comes or goes. A
    /// call that has no halves fails before anything happened.
    Partial,
    /// It happens, late.
    Delay(Duration),
}

/// Another backend, of which some calls fail with a
/// [`Transient`](ErrorKind::Transient) error: those that a test has planned,
/// or some by chance, always the same for the same seed and the same calls.
///
/// Counts every call by the name of its method, those that fail too.
pub struct Faulty<B> {
    inner: B,
    faults: Mutex<Faults>,
}

#[derive(Default)]
struct Faults {
    planned: BTreeMap<&'static str, VecDeque<Option<Fault>>>,
    chance: Option<Chance>,
    calls: BTreeMap<&'static str, u64>,
    injected: u64,
}

struct Chance {
    rng: StdRng,
    share: f64,
    faults: fn(&'static str) -> &'static [Fault],
}

impl Chance {
    fn fault(&mut self, operation: &'static str) -> Option<Fault> {
        let fails = self.rng.random_bool(self.share);
        fails.then(|| (self.faults)(operation).choose(&mut self.rng).copied()).flatten()
    }
}

impl<B: StorageBackend> Faulty<B> {
    /// `inner` without any fault yet.
    pub fn new(inner: B) -> Self {
        Self { inner, faults: Mutex::default() }
    }

    /// Makes the given share of all calls fail, each in one of the ways that
    /// `faults` says for its operation.
    #[must_use]
    pub fn at_random(
        self,
        seed: u64,
        share: f64,
        faults: fn(&'static str) -> &'static [Fault],
    ) -> Self {
        self.faults().chance = Some(Chance { rng: StdRng::seed_from_u64(seed), share, faults });
        self
    }

    /// Plans what happens to the next calls of an operation; `None` is a call
    /// that succeeds.
    pub fn plan(&self, operation: &'static str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.faults().planned.entry(operation).or_default().extend(faults);
    }

    /// The backend that is failed for.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> u64 {
        self.faults().calls.get(operation).copied().unwrap_or(0)
    }

    /// How often anything was called: what it would cost over a network.
    pub fn all_calls(&self) -> u64 {
        self.faults().calls.values().sum()
    }

    /// How many faults there were.
    pub fn injected(&self) -> u64 {
        self.faults().injected
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Counts a call, and says what is to go wrong with it.
    fn next(&self, operation: &'static str) -> Option<Fault> {
        let mut faults = self.faults();
        *faults.calls.entry(operation).or_default() += 1;
        let planned = faults.planned.get_mut(operation).and_then(VecDeque::pop_front);
        let fault = planned.unwrap_or_else(|| faults.chance.as_mut()?.fault(operation));
        faults.injected += u64::from(fault.is_some());
        fault
    }

    fn error(&self, operation: &'static str, why: &'static str) -> Error {
        Error::new(ErrorKind::Transient, operation, "what a test asked for", &self.inner)
            .because(why)
    }

    fn failed(&self, operation: &'static str) -> Error {
        self.error(operation, "the request was lost on purpose")
    }

    fn lost(&self, operation: &'static str) -> Error {
        self.error(operation, "the answer was lost on purpose")
    }

    // A call that has no halves.
    async fn whole<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.next(operation) {
            None => call.await,
            Some(Fault::Before | Fault::Partial) => Err(self.failed(operation)),
            Some(Fault::After) => {
                // Lost, whether it was good news or bad.
                let _ = call.await;
                Err(self.lost(operation))
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                call.await
            }
        }
    }

    // A call about each of some things.
    async fn batch<'a, E, T, F>(
        &'a self,
        operation: &'static str,
        batch: &'a [E],
        call: impl FnOnce(&'a B, &'a [E]) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        match self.next(operation) {
            None => call(&self.inner, batch).await,
            Some(Fault::Before) => Err(self.failed(operation)),
            Some(Fault::Partial) => {
                let _ = call(&self.inner, &batch[..batch.len() / 2]).await;
                Err(self.lost(operation))
            }
            Some(Fault::After) => {
                let _ = call(&self.inner, batch).await;
                Err(self.lost(operation))
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                call(&self.inner, batch).await
            }
        }
    }

    // `stream` up to half of its first piece.
    fn torn(&self, operation: &'static str, mut stream: BlobStream) -> BlobStream {
        let error = self.lost(operation);
        let first = async move {
            match stream.next().await {
                Some(Ok(piece)) => Ok(piece.slice(..piece.len() / 2)),
                Some(Err(error)) => Err(error),
                None => Ok(bytes::Bytes::new()),
            }
        };
        stream::once(first).chain(stream::iter([Err(error)])).boxed()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Faulty<B> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        self.whole("put_model", self.inner.put_model(model)).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        self.whole("models", self.inner.models()).await
    }

    async fn put_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        self.batch("put_songs", songs, B::put_songs).await
    }

    async fn get_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        self.batch("get_songs", ids, B::get_songs).await
    }

    async fn find_songs(&self, query: &SongQuery) -> Result<Page<Song>> {
        self.whole("find_songs", self.inner.find_songs(query)).await
    }

    async fn find_cards(&self, query: &SongQuery) -> Result<Page<Card>> {
        self.whole("find_cards", self.inner.find_cards(query)).await
    }

    async fn count_songs(&self, filter: &Filter) -> Result<u64> {
        self.whole("count_songs", self.inner.count_songs(filter)).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.batch("lookup", lookups, B::lookup).await
    }

    async fn delete_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        self.batch("delete_songs", songs, B::delete_songs).await
    }

    async fn purge_songs(&self, tombstones: &[PurgeSong]) -> Result<()> {
        self.batch("purge_songs", tombstones, B::purge_songs).await
    }

    async fn put_embeddings(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        self.batch("put_embeddings", embeddings, B::put_embeddings).await
    }

    async fn get_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.whole("get_embeddings", self.inner.get_embeddings(model, songs)).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        self.whole("nearest", self.inner.nearest(query)).await
    }

    async fn put_blob(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        match (self.next("put_blob"), source) {
            (Some(Fault::Before), _) | (Some(Fault::Partial), BlobSource::Path(_)) => {
                Err(self.failed("put_blob"))
            }
            (Some(Fault::Partial), BlobSource::Stream(stream)) => {
                let torn = BlobSource::Stream(self.torn("put_blob", stream));
                let _ = self.inner.put_blob(blob, torn).await;
                Err(self.lost("put_blob"))
            }
            (Some(Fault::After), source) => {
                let _ = self.inner.put_blob(blob, source).await;
                Err(self.lost("put_blob"))
            }
            (Some(Fault::Delay(delay)), source) => {
                tokio::time::sleep(delay).await;
                self.inner.put_blob(blob, source).await
            }
            (None, source) => self.inner.put_blob(blob, source).await,
        }
    }

    async fn get_blob(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        match self.next("get_blob") {
            Some(Fault::Before | Fault::After) => Err(self.failed("get_blob")),
            Some(Fault::Partial) => {
                let stream = self.inner.get_blob(blob, range).await?;
                Ok(stream.map(|stream| self.torn("get_blob", stream)))
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.inner.get_blob(blob, range).await
            }
            None => self.inner.get_blob(blob, range).await,
        }
    }

    async fn blob_url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        self.whole("blob_url", self.inner.blob_url(blob, valid_for)).await
    }

    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        self.whole("changes", self.inner.changes(since, limit)).await
    }

    async fn summaries(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeSummary>> {
        self.whole("summaries", self.inner.summaries(since, limit)).await
    }

    async fn sweep(&self, min_age: Duration) -> Result<Swept> {
        self.whole("sweep", self.inner.sweep(min_age)).await
    }

    async fn would_sweep(&self, min_age: Duration) -> Result<Swept> {
        self.whole("would_sweep", self.inner.would_sweep(min_age)).await
    }

    async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>> {
        self.whole("verify", self.inner.verify(options, progress)).await
    }

    async fn put_segments(&self, segments: &[Segment]) -> Result<()> {
        self.batch("put_segments", segments, B::put_segments).await
    }

    async fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.batch("get_segments", ids, B::get_segments).await
    }

    async fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.whole("find_segments", self.inner.find_segments(query)).await
    }

    async fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.whole("nearest_segments", self.inner.nearest_segments(query)).await
    }

    async fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.batch("delete_segments", ids, B::delete_segments).await
    }

    async fn put_documents(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        self.batch("put_documents", documents, B::put_documents).await
    }

    async fn get_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>> {
        self.whole("get_documents", self.inner.get_documents(kind, ids)).await
    }

    async fn list_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        self.whole("list_documents", self.inner.list_documents(kinds, after)).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        self.whole("delete_document", self.inner.delete_document(kind, id, version)).await
    }
}

// A fault is no place of its own: errors name what they are injected into.
impl<B: fmt::Display> fmt::Display for Faulty<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<B: fmt::Debug> fmt::Debug for Faulty<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.inner).finish()
    }
}
