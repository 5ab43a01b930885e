//! A library over a network that loses requests and answers, applies writes
//! late, and before which its caller may die.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Document, DocumentKind, Job, OperationId, Segment, SegmentId, SongId};
use songrec_storage::{
    BlobStore, Capabilities, ChangeHead, ChangePage, Collected, Cursor, DeleteSong, DocumentStore,
    EmbeddingStore, Error, ErrorKind, Finding, Lookup, Maintenance, MemoryBackend, NewEmbedding,
    Outcome, Page, PageToken, PurgeSong, PutDocument, PutSong, Result, SegmentStore, SongStore,
    StorageBackend, VerifyOptions,
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
                Late::Put(put) => drop(self.memory.songs().put(&[*put]).await),
                Late::Delete(delete) => drop(self.memory.songs().delete(&[delete]).await),
                Late::Document(put) => drop(self.memory.documents().put(&[put]).await),
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

    fn inner(&self) -> &MemoryBackend {
        &self.place.memory
    }

    async fn whole<T, F: Future<Output = Result<T>>>(
        &self,
        call: &'static str,
        work: impl FnOnce() -> F,
    ) -> Result<T> {
        match self.fault(call) {
            None => work().await,
            Some(Fault::Before | Fault::Part | Fault::Late) => Err(self.lost(call)),
            Some(Fault::After) => {
                let _ = work().await;
                Err(self.lost(call))
            }
            Some(Fault::DieBefore) => std::future::pending().await,
            Some(Fault::DieAfter) => {
                let _ = work().await;
                std::future::pending().await
            }
        }
    }

    // How much of a batch happens, and whether it is answered; what does not
    // happen now may happen later.
    async fn batch<'a, E: Landing, T, F: Future<Output = Result<T>>>(
        &self,
        call: &'static str,
        batch: &'a [E],
        work: impl FnOnce(&'a [E]) -> F,
    ) -> Result<T> {
        let Some(keys) = batch.iter().map(E::key).collect::<Option<Vec<String>>>() else {
            return self.whole(call, || work(batch)).await;
        };
        let fault = self.fault(call);
        for key in &keys {
            self.place.land(Some(key)).await;
        }
        match fault {
            None => work(batch).await,
            Some(Fault::Before) => Err(self.lost(call)),
            Some(Fault::After) => {
                let _ = work(batch).await;
                Err(self.lost(call))
            }
            Some(Fault::Part) => {
                let _ = work(&batch[..batch.len() / 2]).await;
                Err(self.lost(call))
            }
            Some(Fault::Late) => {
                for (key, one) in keys.into_iter().zip(batch) {
                    if let Some(late) = one.late() {
                        self.place.be_late(key, late);
                    }
                }
                Err(self.lost(call))
            }
            Some(Fault::DieBefore) => std::future::pending().await,
            Some(Fault::DieAfter) => {
                let half = self.faults.lock().unwrap().rng.random();
                let part = if half { &batch[..batch.len() / 2] } else { batch };
                let _ = work(part).await;
                std::future::pending().await
            }
        }
    }
}

// One of a batch: of what it is, if a batch of it may happen in part, and what
// is left of it when it is late.
trait Landing {
    fn key(&self) -> Option<String> {
        None
    }

    fn late(&self) -> Option<Late> {
        None
    }
}

impl Landing for PutSong {
    fn key(&self) -> Option<String> {
        Some(song_key(self.song.id))
    }

    fn late(&self) -> Option<Late> {
        Some(Late::Put(Box::new(self.clone())))
    }
}

impl Landing for DeleteSong {
    fn key(&self) -> Option<String> {
        Some(song_key(self.id))
    }

    fn late(&self) -> Option<Late> {
        Some(Late::Delete(self.clone()))
    }
}

impl Landing for NewEmbedding {
    fn key(&self) -> Option<String> {
        Some(format!("embedding {}", self.embedding.song))
    }
}

impl Landing for PutDocument {
    fn key(&self) -> Option<String> {
        Some(document_key(self.document.kind, &self.document.id))
    }

    fn late(&self) -> Option<Late> {
        Some(Late::Document(self.clone()))
    }
}

impl Landing for SongId {}
impl Landing for Lookup {}
impl Landing for PurgeSong {}
impl Landing for Segment {}
impl Landing for SegmentId {}

impl StorageBackend for Shaky {
    fn capabilities(&self) -> Capabilities {
        Capabilities { remote: self.place.remote, ..self.place.memory.capabilities() }
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

songrec_testkit::forward!([] SongStore, EmbeddingStore, BlobStore, SegmentStore for Shaky);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl DocumentStore for Shaky {
    async fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        self.batch("documents.put", documents, |some| self.inner().documents().put(some)).await
    }

    async fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>> {
        self.whole("documents.get", || self.inner().documents().get(kind, ids)).await
    }

    async fn list(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        self.whole("documents.list", || self.inner().documents().list(kinds, after)).await
    }

    async fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        self.place.land(Some(&document_key(kind, id))).await;
        self.whole("documents.delete", || self.inner().documents().delete(kind, id, version)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Maintenance for Shaky {
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        let limit = limit.min(self.place.page);
        self.whole("maintenance.changes", || self.inner().maintenance().changes(since, limit)).await
    }

    async fn heads(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage<ChangeHead>> {
        let limit = limit.min(self.place.page);
        self.whole("maintenance.summaries", || self.inner().maintenance().heads(since, limit)).await
    }

    async fn collect_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        self.whole("maintenance.collect_garbage", || {
            self.inner().maintenance().collect_garbage(min_age, job)
        })
        .await
    }

    async fn find_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        self.whole("maintenance.would_sweep", || {
            self.inner().maintenance().find_garbage(min_age, job)
        })
        .await
    }

    async fn verify(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        self.whole("maintenance.verify", || self.inner().maintenance().verify(options, job)).await
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
