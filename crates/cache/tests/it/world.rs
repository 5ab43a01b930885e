//! A library behind a counter, and caches of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_cache::{Cache, Cached, CachedOptions};
use songrec_core::{BlobRef, Song};
use songrec_storage::{
    BlobSource, MemoryBackend, NearestQuery, Neighbor, StorageBackend, StorageBackendExt, read_blob,
};
use songrec_testkit::{Faulty, library_of, new_blob, temp_dir, tiny_model};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) async fn open(
    inner: Arc<dyn StorageBackend>,
    folder: &Path,
    limit: u64,
    options: CachedOptions,
) -> Cached {
    Cached::new(inner, Cache::open(folder, limit).await.unwrap(), options)
}

// A library of some songs with embeddings behind a counter, and a cache of it.
pub(crate) struct Library {
    pub(crate) behind: Arc<Faulty<MemoryBackend>>,
    pub(crate) songs: Vec<Song>,
    pub(crate) cached: Cached,
    pub(crate) folder: TempDir,
}

pub(crate) async fn library() -> Library {
    let behind = Arc::new(Faulty::new(MemoryBackend::new()));
    let songs = library_of(30, 1).embedded_by(&tiny_model(), 2).store(&*behind).await.songs;
    let folder = temp_dir();
    let cached = open(behind.clone(), folder.path(), 64 * MIB, CachedOptions::default()).await;
    Library { behind, songs, cached, folder }
}

impl Library {
    // Another process with the same cache folder: nothing in memory yet.
    pub(crate) async fn anew(&self) -> Cached {
        open(self.behind.clone(), self.folder.path(), 64 * MIB, CachedOptions::default()).await
    }

    // How many requests `work` takes.
    pub(crate) async fn requests<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.behind.all_calls();
        let done = work.await;
        (done, self.behind.all_calls() - before)
    }

    pub(crate) async fn similar(&self, cached: &Cached, song: &Song) -> Vec<(Neighbor, Song)> {
        self.nearest(cached, song, 5).await
    }

    pub(crate) async fn nearest(
        &self,
        cached: &Cached,
        song: &Song,
        k: usize,
    ) -> Vec<(Neighbor, Song)> {
        let model = tiny_model().name;
        let song = cached.get_song(song.id).await.unwrap().unwrap();
        let embedded = cached.get_embedding(&model, song.id).await.unwrap().unwrap();
        let mut query = NearestQuery::new(model, embedded.embedding.vector, k);
        query.exclude.push(song.id);
        cached.nearest_songs(&query).await.unwrap()
    }
}

pub(crate) fn streamed(bytes: &Bytes) -> BlobSource {
    BlobSource::Stream(stream::iter([Ok(bytes.clone())]).boxed())
}

pub(crate) async fn store(backend: &dyn StorageBackend, bytes: &Bytes) -> BlobRef {
    backend.blobs().put(&new_blob(bytes), streamed(bytes)).await.unwrap()
}

pub(crate) async fn read(backend: &dyn StorageBackend, blob: &BlobRef) -> Bytes {
    read_blob(backend.blobs().get(blob, None).await.unwrap().unwrap()).await.unwrap()
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("v1/blobs"), folder.join("v1/embeddings")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
