//! A library over a network that loses requests and answers, applies writes
//! late, and before which its caller may die.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{
    BlobRef, Card, Document, DocumentKind, EmbeddingRef, Filter, ModelName, ModelSpec, OperationId,
    Progress, Segment, SegmentId, Song, SongId,
};
use songrec_storage::{
    BlobSource, BlobStream, Capabilities, ChangePage, ChangeSummary, Cursor, DeleteSong, Error,
    ErrorKind, Finding, Lookup, MemoryBackend, NearestQuery, NearestSegments, Neighbor, NewBlob,
    NewEmbedding, Outcome, Page, PageToken, PurgeSong, PutDocument, PutSong, Result,
    SegmentNeighbor, SegmentQuery, SongQuery, StorageBackend, StoredEmbedding, Swept,
    VerifyOptions,
};

/// A write whose answer was lost, and which is applied later: at the next
/// write of the same song or document at the latest.
#[derive(Clone, Debug)]
pub(crate) enum Late {
    Put(Box<PutSong>),
    Delete(DeleteSong),
    Document(PutDocument),
}

/// The library itself; handles of it fail each on their own.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) memory: MemoryBackend,
    late: Mutex<BTreeMap<String, Vec<Late>>>,
    pub(crate) remote: bool,
    /// Changes on one page at the most.
    pub(crate) page: usize,
}

impl Place {
    pub(crate) fn new(memory: MemoryBackend, remote: bool) -> Arc<Self> {
        // Small pages, so that there are several.
        let page = if remote { 3 } else { usize::MAX };
        Arc::new(Self { memory, late: Mutex::default(), remote, page })
    }

    /// Applies what is late, of one song or document or of all.
    pub(crate) async fn land(&self, key: Option<&str>) {
        let late: Vec<Late> = {
            let mut all = self.late.lock().unwrap();
            match key {
                Some(key) => all.remove(key).unwrap_or_default(),
                None => std::mem::take(&mut *all).into_values().flatten().collect(),
            }
        };
        for one in late {
            match one {
                Late::Put(put) => drop(self.memory.put_songs(&[*put]).await),
                Late::Delete(delete) => drop(self.memory.delete_songs(&[delete]).await),
                Late::Document(put) => drop(self.memory.put_documents(&[put]).await),
            }
        }
    }

    fn be_late(&self, key: String, late: Late) {
        self.late.lock().unwrap().entry(key).or_default().push(late);
    }
}

fn song_key(song: SongId) -> String {
    song.to_string()
}

fn document_key(kind: DocumentKind, id: &str) -> String {
    format!("{}/{id}", kind.as_str())
}

/// One caller's way to a library.
pub(crate) struct Shaky {
    place: Arc<Place>,
    faults: Mutex<Faults>,
    pub(crate) calls: Mutex<BTreeMap<&'static str, u64>>,
}

pub(crate) struct Faults {
    rng: StdRng,
    share: f64,
    // The caller dies at the call with this number.
    pub(crate) dies_at: Arc<Mutex<Option<u64>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Before,
    After,
    Late,
    Part,
    DieBefore,
    DieAfter,
}

impl Shaky {
    pub(crate) fn new(
        place: Arc<Place>,
        seed: u64,
        share: f64,
        dies_at: Arc<Mutex<Option<u64>>>,
    ) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(seed);
        let faults = Mutex::new(Faults { rng, share, dies_at });
        Arc::new(Self { place, faults, calls: Mutex::default() })
    }

    fn fault(&self, call: &'static str) -> Option<Fault> {
        *self.calls.lock().unwrap().entry(call).or_default() += 1;
        let mut faults = self.faults.lock().unwrap();
        let dies = {
            let mut left = faults.dies_at.lock().unwrap();
            match &mut *left {
                Some(0) => true,
                Some(more) => {
                    *more -= 1;
                    false
                }
                None => false,
            }
        };
        if dies {
            return Some(if faults.rng.random() { Fault::DieBefore } else { Fault::DieAfter });
        }
        let share = faults.share;
        if share == 0.0 || !faults.rng.random_bool(share) {
            return None;
        }
        Some(match faults.rng.random_range(0..5) {
            0 | 1 => Fault::Before,
            2 => Fault::After,
            3 => Fault::Late,
            _ => Fault::Part,
        })
    }

    fn lost(&self, call: &'static str) -> Error {
        Error::new(ErrorKind::Transient, call, "something", "shaky").because("lost on purpose")
    }

    async fn whole<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.fault(call) {
            None => work.await,
            Some(Fault::Before | Fault::Part | Fault::Late) => Err(self.lost(call)),
            Some(Fault::After) => {
                let _ = work.await;
                Err(self.lost(call))
            }
            Some(Fault::DieBefore) => std::future::pending().await,
            Some(Fault::DieAfter) => {
                let _ = work.await;
                std::future::pending().await
            }
        }
    }

    // How much of a batch happens, and whether it is answered; what does not
    // happen now may happen later.
    async fn batch<'a, E, T, F>(
        &'a self,
        call: &'static str,
        batch: &'a [E],
        key: impl Fn(&E) -> String,
        late: impl Fn(&E) -> Option<Late>,
        work: impl FnOnce(&'a MemoryBackend, &'a [E]) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let library = &self.place.memory;
        let fault = self.fault(call);
        for one in batch {
            self.place.land(Some(&key(one))).await;
        }
        match fault {
            None => work(library, batch).await,
            Some(Fault::Before) => Err(self.lost(call)),
            Some(Fault::After) => {
                let _ = work(library, batch).await;
                Err(self.lost(call))
            }
            Some(Fault::Part) => {
                let _ = work(library, &batch[..batch.len() / 2]).await;
                Err(self.lost(call))
            }
            Some(Fault::Late) => {
                for one in batch {
                    if let Some(late) = late(one) {
                        self.place.be_late(key(one), late);
                    }
                }
                Err(self.lost(call))
            }
            Some(Fault::DieBefore) => std::future::pending().await,
            Some(Fault::DieAfter) => {
                let half = self.faults.lock().unwrap().rng.random();
                let part = if half { &batch[..batch.len() / 2] } else { batch };
                let _ = work(library, part).await;
                std::future::pending().await
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageBackend for Shaky {
    fn capabilities(&self) -> Capabilities {
        Capabilities { remote: self.place.remote, ..self.place.memory.capabilities() }
    }

    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        self.whole("put_model", self.place.memory.put_model(model)).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        self.whole("models", self.place.memory.models()).await
    }

    async fn put_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        let key = |put: &PutSong| song_key(put.song.id);
        let late = |put: &PutSong| Some(Late::Put(Box::new(put.clone())));
        self.batch("put_songs", songs, key, late, MemoryBackend::put_songs).await
    }

    async fn get_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        self.whole("get_songs", self.place.memory.get_songs(ids)).await
    }

    async fn find_songs(&self, query: &SongQuery) -> Result<Page<Song>> {
        self.whole("find_songs", self.place.memory.find_songs(query)).await
    }

    async fn find_cards(&self, query: &SongQuery) -> Result<Page<Card>> {
        self.whole("find_cards", self.place.memory.find_cards(query)).await
    }

    async fn count_songs(&self, filter: &Filter) -> Result<u64> {
        self.whole("count_songs", self.place.memory.count_songs(filter)).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.whole("lookup", self.place.memory.lookup(lookups)).await
    }

    async fn delete_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        let key = |delete: &DeleteSong| song_key(delete.id);
        let late = |delete: &DeleteSong| Some(Late::Delete(delete.clone()));
        self.batch("delete_songs", songs, key, late, MemoryBackend::delete_songs).await
    }

    async fn purge_songs(&self, tombstones: &[PurgeSong]) -> Result<()> {
        self.whole("purge_songs", self.place.memory.purge_songs(tombstones)).await
    }

    async fn put_embeddings(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        let key = |one: &NewEmbedding| format!("embedding {}", one.embedding.song);
        self.batch("put_embeddings", embeddings, key, |_| None, MemoryBackend::put_embeddings).await
    }

    async fn get_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.whole("get_embeddings", self.place.memory.get_embeddings(model, songs)).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        self.whole("nearest", self.place.memory.nearest(query)).await
    }

    async fn put_blob(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        self.whole("put_blob", self.place.memory.put_blob(blob, source)).await
    }

    async fn get_blob(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        self.whole("get_blob", self.place.memory.get_blob(blob, range)).await
    }

    async fn blob_url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        self.whole("blob_url", self.place.memory.blob_url(blob, valid_for)).await
    }

    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        let limit = limit.min(self.place.page);
        self.whole("changes", self.place.memory.changes(since, limit)).await
    }

    async fn summaries(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeSummary>> {
        let limit = limit.min(self.place.page);
        self.whole("summaries", self.place.memory.summaries(since, limit)).await
    }

    async fn sweep(&self, min_age: Duration) -> Result<Swept> {
        self.whole("sweep", self.place.memory.sweep(min_age)).await
    }

    async fn would_sweep(&self, min_age: Duration) -> Result<Swept> {
        self.whole("would_sweep", self.place.memory.would_sweep(min_age)).await
    }

    async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>> {
        self.whole("verify", self.place.memory.verify(options, progress)).await
    }

    async fn put_segments(&self, segments: &[Segment]) -> Result<()> {
        self.whole("put_segments", self.place.memory.put_segments(segments)).await
    }

    async fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.whole("get_segments", self.place.memory.get_segments(ids)).await
    }

    async fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.whole("find_segments", self.place.memory.find_segments(query)).await
    }

    async fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.whole("nearest_segments", self.place.memory.nearest_segments(query)).await
    }

    async fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.whole("delete_segments", self.place.memory.delete_segments(ids)).await
    }

    async fn put_documents(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        let key = |put: &PutDocument| document_key(put.document.kind, &put.document.id);
        let late = |put: &PutDocument| Some(Late::Document(put.clone()));
        self.batch("put_documents", documents, key, late, MemoryBackend::put_documents).await
    }

    async fn get_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>> {
        self.whole("get_documents", self.place.memory.get_documents(kind, ids)).await
    }

    async fn list_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        self.whole("list_documents", self.place.memory.list_documents(kinds, after)).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        self.place.land(Some(&document_key(kind, id))).await;
        self.whole("delete_document", self.place.memory.delete_document(kind, id, version)).await
    }
}

impl fmt::Display for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shaky")
    }
}

impl fmt::Debug for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shaky")
    }
}
