//! Whole libraries from a seed, and how cases are run.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures::future::{BoxFuture, LocalBoxFuture};
use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Embedding, ModelSpec, Song, Vector};
use songrec_storage::{PutMode, StorageBackend};

use crate::{new_embedding, put, random_song, random_vector};

/// A library's worth of songs and embeddings, not stored anywhere yet.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The models of the embeddings.
    pub models: Vec<ModelSpec>,
    /// The songs, sorted by id; once stored, they name their embeddings.
    pub songs: Vec<Song>,
    /// An embedding of every song by every model, in the order of the songs.
    pub embeddings: Vec<Embedding>,
}

/// `count` random songs, without models yet; always the same for a seed.
pub fn library_of(count: usize, seed: u64) -> Fixture {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut songs: Vec<Song> = (0..count).map(|_| random_song(&mut rng)).collect();
    songs.sort_by_key(|song| song.id);
    Fixture { models: Vec::new(), songs, embeddings: Vec::new() }
}

impl Fixture {
    /// The same songs as `model` embeds them. One song in ten sounds exactly
    /// like the one before it.
    #[must_use]
    pub fn embedded_by(mut self, model: &ModelSpec, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut last: Option<Vector> = None;
        for song in &self.songs {
            let repeated = last.filter(|_| rng.random_bool(0.1));
            let vector = repeated.unwrap_or_else(|| random_vector(&mut rng, model));
            last = Some(vector.clone());
            let model = model.name.clone();
            self.embeddings.push(Embedding { song: song.id, model, vector });
        }
        self.models.push(model.clone());
        self
    }

    /// Stores everything, objects first, in batches as large as the backend
    /// likes them, and takes the references over into the songs.
    pub fn store(mut self, backend: &dyn StorageBackend) -> BoxFuture<'_, Self> {
        Box::pin(async move {
            let batch = backend.capabilities().batch.max(1);
            for model in &self.models {
                backend.embeddings().put_model(model).await.unwrap();
            }
            for chunk in self.embeddings.chunks(batch) {
                let new: Vec<_> = chunk
                    .iter()
                    .map(|one| {
                        let at =
                            self.songs.binary_search_by_key(&one.song, |song| song.id).unwrap();
                        new_embedding(&self.songs[at], one.clone())
                    })
                    .collect();
                let references = backend.embeddings().put(&new).await.unwrap();
                assert_eq!(references.len(), chunk.len());
                for (one, reference) in chunk.iter().zip(references) {
                    let at = self.songs.binary_search_by_key(&one.song, |song| song.id).unwrap();
                    self.songs[at].embeddings.insert(one.model.clone(), reference);
                }
            }
            for chunk in self.songs.chunks(batch) {
                let new: Vec<_> = chunk.iter().map(|song| put(song, PutMode::Create)).collect();
                let outcomes = backend.songs().put(&new).await.unwrap();
                assert_eq!(outcomes.len(), chunk.len());
                assert!(outcomes.iter().all(songrec_storage::Outcome::is_done), "{outcomes:?}");
            }
            self
        })
    }
}

/// What opening a backend for a case may give: the backend, a shared one, or
/// one with something that has to live as long, such as its temporary folder.
pub trait Opened<How> {
    /// The backend.
    fn backend(&self) -> &dyn StorageBackend;
}

impl<B: StorageBackend> Opened<()> for B {
    fn backend(&self) -> &dyn StorageBackend {
        self
    }
}

impl<B: StorageBackend, G> Opened<(B, G)> for (B, G) {
    fn backend(&self) -> &dyn StorageBackend {
        &self.0
    }
}

impl Opened<Arc<()>> for Arc<dyn StorageBackend> {
    fn backend(&self) -> &dyn StorageBackend {
        &**self
    }
}

/// A folder that is gone when this is dropped.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("songrec-").tempdir().unwrap()
}

/// Runs a case to its end on a runtime with threads to spare, because
/// [`in_parallel`] blocks one.
pub fn run_case(case: impl Future<Output = ()>) {
    run(Box::pin(case));
}

// Of one type, so that the runtime is not compiled anew for each case.
fn run(case: LocalBoxFuture<'_, ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(case);
}

/// A writer that leaves, also when it fails: nobody waits for it for ever.
pub(crate) struct Leaving<'a>(pub(crate) &'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// What `work` gives for each number below `count`, each on a thread of its
/// own and all begun at the same moment: real races, not turns.
///
/// Only inside of [`run_case`].
pub fn in_parallel<'a, T: Send>(
    count: usize,
    work: impl Fn(usize) -> BoxFuture<'a, T> + Sync,
) -> Vec<T> {
    let runtime = tokio::runtime::Handle::current();
    let (start, work) = (std::sync::Barrier::new(count), &work);
    let one = |number: usize| {
        start.wait();
        runtime.block_on(work(number))
    };
    let all = || {
        std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> =
                (0..count).map(|number| scope.spawn(move || one(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    tokio::task::block_in_place(all)
}
