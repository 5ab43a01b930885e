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
use songrec_core::BlobRef;
use songrec_storage::{
    BlobSource, BlobStore, BlobStream, Capabilities, DocumentStore, EmbeddingStore, Error,
    ErrorKind, Maintenance, NewBlob, Result, SegmentStore, SongStore, StorageBackend,
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
/// Counts every call by the names of its part and method, such as `songs.put`,
/// those that fail too.
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
    async fn whole<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> F,
    ) -> Result<T> {
        match self.next(operation) {
            None => call().await,
            Some(Fault::Before | Fault::Partial) => Err(self.failed(operation)),
            Some(Fault::After) => {
                // Lost, whether it was good news or bad.
                let _ = call().await;
                Err(self.lost(operation))
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                call().await
            }
        }
    }

    // A call about each of some things.
    async fn batch<'a, E, T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        batch: &'a [E],
        call: impl FnOnce(&'a [E]) -> F,
    ) -> Result<T> {
        match self.next(operation) {
            None => call(batch).await,
            Some(Fault::Before) => Err(self.failed(operation)),
            Some(Fault::Partial) => {
                let _ = call(&batch[..batch.len() / 2]).await;
                Err(self.lost(operation))
            }
            Some(Fault::After) => {
                let _ = call(batch).await;
                Err(self.lost(operation))
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                call(batch).await
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

impl<B: StorageBackend> StorageBackend for Faulty<B> {
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
        self
    }

    fn documents(&self) -> &dyn DocumentStore {
        self
    }

    fn maintenance(&self) -> &dyn Maintenance {
        self
    }
}

crate::forward!(
    [B: StorageBackend]
    SongStore, EmbeddingStore, SegmentStore, DocumentStore, Maintenance for Faulty<B>
);

// A blob has halves of another kind.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> BlobStore for Faulty<B> {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        match (self.next("blobs.put"), source) {
            (Some(Fault::Before), _) | (Some(Fault::Partial), BlobSource::Path(_)) => {
                Err(self.failed("blobs.put"))
            }
            (Some(Fault::Partial), BlobSource::Stream(stream)) => {
                let torn = BlobSource::Stream(self.torn("blobs.put", stream));
                let _ = self.inner.blobs().put(blob, torn).await;
                Err(self.lost("blobs.put"))
            }
            (Some(Fault::After), source) => {
                let _ = self.inner.blobs().put(blob, source).await;
                Err(self.lost("blobs.put"))
            }
            (Some(Fault::Delay(delay)), source) => {
                tokio::time::sleep(delay).await;
                self.inner.blobs().put(blob, source).await
            }
            (None, source) => self.inner.blobs().put(blob, source).await,
        }
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        match self.next("blobs.get") {
            Some(Fault::Before | Fault::After) => Err(self.failed("blobs.get")),
            Some(Fault::Partial) => {
                let stream = self.inner.blobs().get(blob, range).await?;
                Ok(stream.map(|stream| self.torn("blobs.get", stream)))
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.inner.blobs().get(blob, range).await
            }
            None => self.inner.blobs().get(blob, range).await,
        }
    }

    async fn url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        self.whole("blobs.url", || self.inner.blobs().url(blob, valid_for)).await
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
