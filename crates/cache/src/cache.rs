//! The cache on disk, as async code sees it.

use std::{
    any::Any,
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Serialize;
use songrec_core::{Digest, EmbeddingRef, Timestamp, Vector};
use songrec_storage::{BlobStream, Error, ErrorKind, Result};
use tokio::sync::mpsc;

use crate::{
    answers::{self, Answers, SharedWrite},
    folder::{CachedFile, Draft, Evicted, Folder, ObjectKind, Reservation},
};

/// Embeddings and audio as files in a folder, the least recently used of which
/// go when there are too many.
///
/// # Semantics
///
/// A file is named by the SHA-256 of its bytes, and is compared with its name
/// before it is used; one that differs is removed, and so is fetched again.
/// Audio is compared once in ten minutes while nobody touches its file, so that
/// parts of it are cheap; damage that leaves no trace in the file's times is
/// found when they are over.
/// Nothing is ever invalid, and libraries can share a folder. Any number of
/// processes may use a folder and die at any moment; it may be deleted at any
/// time, also while it is used.
///
/// The files and what is being written together are no more than the limit,
/// but for one file: a limit that another process has lowered counts from the
/// next write.
#[derive(Clone, Debug)]
pub struct Cache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    folder: Folder,
    limit: u64,
    // Who downloads what in this process. Others wait here rather than for
    // the lock of the file, each wait for which takes a thread.
    turns: Mutex<HashMap<Digest, Weak<Turn>>>,
    counts: Counts,
    // Nothing more is written: its disk is full, or may not be written to.
    off: AtomicBool,
}

pub(crate) type Turn = tokio::sync::Mutex<()>;

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    damaged: AtomicU64,
    evicted: AtomicU64,
}

/// What a cache holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Where it is.
    pub folder: PathBuf,
    /// How many bytes it may hold.
    pub limit: u64,
    /// The embeddings.
    pub embeddings: CachedFiles,
    /// The audio.
    pub blobs: CachedFiles,
    /// Bytes of what is being written.
    pub unfinished: u64,
    /// When the file that would go first was used, to the minute.
    pub oldest: Option<Timestamp>,
}

impl CacheStats {
    /// All bytes together.
    pub const fn bytes(&self) -> u64 {
        self.embeddings.bytes + self.blobs.bytes + self.unfinished
    }
}

/// A number of files, and their bytes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CachedFiles {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a handle of a cache was good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheUse {
    /// Objects that were there.
    pub hits: u64,
    /// Objects that were not.
    pub misses: u64,
    /// Files that were not what their names said, and were removed.
    pub damaged: u64,
    /// Files that made room for others.
    pub evicted: u64,
}

impl Cache {
    /// The limit where none is configured: 2 GiB.
    pub const DEFAULT_LIMIT: u64 = 2 << 30;

    /// The cache in a folder of its own, which is made if it is not there, to
    /// hold no more than `limit` bytes. What dead processes left is removed.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or read.
    pub async fn open(folder: impl Into<PathBuf>, limit: u64) -> Result<Self> {
        let root: PathBuf = folder.into();
        let at = root.clone();
        let opened = run_blocking(move || Folder::open(&at)).await;
        let folder = opened.map_err(|source| error("open", &root, source))?;
        let (turns, counts, off) = (Mutex::default(), Counts::default(), AtomicBool::new(false));
        Ok(Self { shared: Arc::new(Shared { root, folder, limit, turns, counts, off }) })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.shared.root
    }

    /// How many bytes it may hold.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    /// What this handle, and its clones, were good for.
    pub fn used(&self) -> CacheUse {
        let Counts { hits, misses, damaged, evicted } = &self.shared.counts;
        let [hits, misses, damaged, evicted] =
            [hits, misses, damaged, evicted].map(|count| count.load(Ordering::Relaxed));
        CacheUse { hits, misses, damaged, evicted }
    }

    /// What is in it. Looks at every file.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub async fn info(&self) -> Result<CacheStats> {
        let listed = self.blocking(|shared| shared.folder.list()).await;
        let (objects, unfinished) = listed.map_err(|source| self.error("read", source))?;
        let of = |kind: ObjectKind| {
            objects.iter().filter(|object| object.kind == kind).fold(
                CachedFiles::default(),
                |sum, object| CachedFiles { files: sum.files + 1, bytes: sum.bytes + object.bytes },
            )
        };
        let oldest = objects.iter().map(|object| object.used).min();
        Ok(CacheStats {
            folder: self.shared.root.clone(),
            limit: self.shared.limit,
            embeddings: of(ObjectKind::Embedding),
            blobs: of(ObjectKind::Blob),
            unfinished,
            oldest: oldest.and_then(|used| Timestamp::try_from(used).ok()),
        })
    }

    /// Removes what was used longest ago until no more than `limit` bytes are
    /// left; returns what was removed.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read or written.
    pub async fn prune(&self, limit: u64) -> Result<CachedFiles> {
        let pruned = self.blocking(move |shared| shared.folder.prune(limit)).await;
        let Evicted { files, bytes } = pruned.map_err(|source| self.error("prune", source))?;
        Ok(CachedFiles { files, bytes })
    }

    /// The answers to searches in the library of this name. None are kept where nothing
    /// may be.
    pub(crate) fn answers(&self, library: &str, fresh_for: Duration) -> Option<Answers> {
        (self.shared.limit > 0).then(|| Answers::new(&self.shared.root, library, fresh_for))
    }

    /// For whoever writes to the library of this name in another way than through a
    /// [`Cached`](crate::Cached) of this cache: until this is dropped, no process of this
    /// machine takes an answer from it.
    pub fn begin_shared_write(&self, library: &str) -> Option<SharedWrite> {
        self.answers(library, Duration::ZERO).map(|answers| answers.begin_write())
    }

    /// Removes everything; returns how many embeddings and how much audio that was.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read or written.
    pub async fn clear(&self) -> Result<CachedFiles> {
        let cleared = self
            .blocking(|shared| {
                answers::clear(&shared.root)?;
                shared.folder.prune(0)
            })
            .await;
        let Evicted { files, bytes } = cleared.map_err(|source| self.error("clear", source))?;
        Ok(CachedFiles { files, bytes })
    }

    /// The vectors of these references, where they are here.
    pub(crate) async fn vectors(&self, wanted: Vec<EmbeddingRef>) -> Vec<Option<Vector>> {
        if wanted.is_empty() {
            return Vec::new();
        }
        self.blocking(move |shared| {
            wanted.iter().map(|reference| shared.vector(reference)).collect()
        })
        .await
    }

    /// Keeps vectors that have these digests, as far as there is room.
    pub(crate) async fn keep_vectors(&self, vectors: Vec<(Digest, Vector)>) {
        if vectors.is_empty() {
            return;
        }
        self.blocking(move |shared| {
            for (digest, vector) in vectors {
                shared.keep_vector(&digest, &vector);
            }
        })
        .await;
    }

    /// The file of a blob, if it is here.
    pub(crate) async fn blob(&self, digest: Digest) -> Option<CachedBlob> {
        self.blocking(move |shared| {
            let file = shared.find(ObjectKind::Blob, &digest)?;
            let size = file.metadata().ok()?.len();
            Some(CachedBlob { cache: Self { shared: Arc::clone(shared) }, file, size })
        })
        .await
    }

    /// The right to download a blob, which one task of the process has at a
    /// time.
    pub(crate) fn turn(&self, digest: Digest) -> Arc<Turn> {
        // Weak references are dropped whole.
        let mut turns = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&digest).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        turns.insert(digest, Arc::downgrade(&turn));
        turn
    }

    /// Room for a blob, unless there is none; waits for other processes that
    /// are downloading it.
    pub(crate) async fn begin(&self, digest: Digest, size: u64) -> Download {
        let begun =
            self.blocking(move |shared| shared.begin(ObjectKind::Blob, &digest, size, true));
        match begun.await {
            Some(Reservation::Draft(draft)) => Download::Room(Room(Some(draft))),
            Some(Reservation::Exists) => Download::Here,
            Some(Reservation::Busy | Reservation::NoRoom) | None => Download::NoRoom,
        }
    }

    /// Ends a download that gave nothing.
    pub(crate) async fn discard(&self, room: Room) {
        self.blocking(move |_| drop(room.draft())).await;
    }

    /// Downloads a blob; nothing if its bytes were not the right ones, or
    /// could not be kept.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub(crate) async fn download(
        &self,
        room: Room,
        digest: Digest,
        mut stream: BlobStream,
    ) -> Result<Option<CachedBlob>> {
        let mut draft = room.draft();
        // Few pieces, so that a slow disk slows the network down and does not
        // fill the memory.
        let (send, mut receive) = mpsc::channel::<Bytes>(2);
        let writer = self.blocking(move |shared| {
            while let Some(piece) = receive.blocking_recv() {
                if let Err(source) = draft.write(&piece) {
                    shared.report_failure("write", &source);
                    return None;
                }
            }
            Some(draft)
        });
        let reader = async move {
            while let Some(piece) = stream.next().await {
                if send.send(piece?).await.is_err() {
                    break;
                }
            }
            Ok::<_, Error>(())
        };
        let (read, draft) = futures::join!(reader, writer);
        let Some(draft) = draft else { return read.map(|()| None) };
        if let Err(error) = read {
            self.discard(Room(Some(draft))).await;
            return Err(error);
        }
        let finished = self.blocking(move |shared| {
            let size = draft.size();
            let finished = draft.finish(&digest);
            let finished = finished.inspect_err(|source| shared.report_failure("write", source));
            finished.ok().flatten().map(|file| (file, size))
        });
        let Some((file, size)) = finished.await else { return Ok(None) };
        Ok(Some(CachedBlob { cache: self.clone(), file, size }))
    }

    /// The one place where async meets the cache's files.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Shared>) -> T + Send + 'static,
    ) -> T {
        let shared = Arc::clone(&self.shared);
        run_blocking(move || work(&shared)).await
    }

    fn error(&self, operation: &'static str, source: io::Error) -> Error {
        error(operation, &self.shared.root, source)
    }
}

impl Shared {
    fn find(&self, kind: ObjectKind, digest: &Digest) -> Option<File> {
        let found = self.folder.find(kind, digest);
        let found = found.inspect_err(|source| self.report_failure("read", source));
        match found.unwrap_or(CachedFile::Missing) {
            CachedFile::Sound(file) => {
                self.counts.hits.fetch_add(1, Ordering::Relaxed);
                Some(file)
            }
            CachedFile::Missing => {
                self.counts.misses.fetch_add(1, Ordering::Relaxed);
                None
            }
            CachedFile::Damaged => {
                tracing::warn!(%digest, cache = %self.root.display(), "removed a damaged file");
                self.counts.misses.fetch_add(1, Ordering::Relaxed);
                self.counts.damaged.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn vector(&self, reference: &EmbeddingRef) -> Option<Vector> {
        let mut file = self.find(ObjectKind::Embedding, &reference.digest)?;
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.inspect_err(|source| self.report_failure("read", source)).ok()?;
        let (values, rest) = bytes.as_chunks::<4>();
        let right = rest.is_empty() && values.len() == reference.dimension;
        let values = values.iter().copied().map(f32::from_le_bytes).collect();
        right.then(|| Vector::new(values).ok()).flatten()
    }

    fn keep_vector(&self, digest: &Digest, vector: &Vector) {
        let bytes = vector.to_le_bytes();
        let begun = self.begin(ObjectKind::Embedding, digest, bytes.len() as u64, false);
        let Some(Reservation::Draft(mut draft)) = begun else { return };
        let kept = draft.write(&bytes).and_then(|()| draft.finish(digest));
        if let Err(source) = kept {
            self.report_failure("write", &source);
        }
    }

    fn begin(
        &self,
        kind: ObjectKind,
        digest: &Digest,
        size: u64,
        wait: bool,
    ) -> Option<Reservation> {
        if self.off.load(Ordering::Relaxed) {
            return None;
        }
        let begun = self.folder.begin(kind, digest, size, self.limit, wait);
        let (begun, evicted) =
            begun.inspect_err(|source| self.report_failure("write", source)).ok()?;
        self.counts.evicted.fetch_add(evicted.files, Ordering::Relaxed);
        Some(begun)
    }

    // A cache that does not work makes things slow, not wrong. One that has no
    // room is left alone from then on, with one warning.
    fn report_failure(&self, operation: &'static str, source: &io::Error) {
        if cannot_keep(source) {
            if !self.off.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "nothing more is kept in the cache `{}`: {source}",
                    self.root.display()
                );
            }
            return;
        }
        tracing::warn!(cache = %self.root.display(), error = %source, "could not {operation} the cache");
    }
}

/// The answer to a request for room for a blob.
#[derive(Debug)]
pub(crate) enum Download {
    /// Download it to here.
    Room(Room),
    /// Another process has downloaded it meanwhile.
    Here,
    /// It cannot be kept.
    NoRoom,
}

/// A place to download to. A caller that gives up drops it on a thread that
/// must not wait, so it is cleared away on another one.
#[derive(Debug)]
pub(crate) struct Room(Option<Draft>);

impl Room {
    fn draft(mut self) -> Draft {
        self.0.take().expect("it is only taken here and on drop")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let (Some(draft), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(draft)));
        }
    }
}

/// A blob in the cache; stays readable though its file be evicted.
#[derive(Debug)]
pub(crate) struct CachedBlob {
    cache: Cache,
    file: File,
    size: u64,
}

/// Bytes of a blob that are given at a time.
const PIECE: u64 = 1 << 20;

impl CachedBlob {
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// These bytes of it, which have to be there.
    pub(crate) fn read(self, range: Range<u64>) -> BlobStream {
        let Self { cache, file, .. } = self;
        let pieces = stream::try_unfold((file, range), move |(file, range)| {
            let cache = cache.clone();
            async move {
                if range.is_empty() {
                    return Ok(None);
                }
                let read = cache.blocking(move |_| read_piece(file, range)).await;
                let (piece, file, rest) = read.map_err(|source| cache.error("read", source))?;
                Ok(Some((piece, (file, rest))))
            }
        });
        pieces.boxed()
    }
}

fn read_piece(mut file: File, range: Range<u64>) -> io::Result<(Bytes, File, Range<u64>)> {
    let length = PIECE.min(range.end - range.start);
    let mut piece = vec![0; length as usize];
    file.seek(SeekFrom::Start(range.start))?;
    file.read_exact(&mut piece)?;
    Ok((piece.into(), file, range.start + length..range.end))
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // One type of task for all work: the runtime's code is compiled anew for each type.
    let work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> = Box::new(|| Box::new(work()));
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => *result.downcast().expect("the result of the work"),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and everybody on it.
            Err(_) => futures::future::pending().await,
        },
    }
}

fn cannot_keep(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn error(operation: &'static str, folder: &Path, source: io::Error) -> Error {
    let (kind, hint) = match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Denied, "choose a folder for the cache that you may write to")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Full, "make room on the disk, or choose another folder for the cache")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            (ErrorKind::Invalid, "choose a folder for the cache that is a folder")
        }
        _ => (ErrorKind::Unavailable, "the cache may be deleted at any time"),
    };
    Error::new(kind, operation, "the cache", format_args!("`{}`", folder.display()))
        .because(source)
        .with_hint(hint)
}
