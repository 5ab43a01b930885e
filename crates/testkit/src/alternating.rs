//! Several handles of one library.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use songrec_storage::{
    BlobStore, Capabilities, DocumentStore, EmbeddingStore, Maintenance, SegmentStore, SongStore,
    StorageBackend,
};

/// Handles of one library, such as two processes or two machines have them;
/// every part that is asked for is that of the next.
///
/// What keeps all promises through this keeps them among processes, too: what
/// one stored the others see, tokens and cursors of one are those of all, and
/// nothing is remembered that another may have changed.
pub struct Alternating<B> {
    handles: Vec<B>,
    next: AtomicUsize,
}

impl<B> Alternating<B> {
    /// These handles, in turn.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn new(handles: impl IntoIterator<Item = B>) -> Self {
        let handles: Vec<B> = handles.into_iter().collect();
        assert!(!handles.is_empty(), "no handle to call");
        Self { handles, next: AtomicUsize::new(0) }
    }

    fn next(&self) -> &B {
        &self.handles[self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len()]
    }
}

impl<B: StorageBackend> StorageBackend for Alternating<B> {
    fn capabilities(&self) -> Capabilities {
        self.next().capabilities()
    }

    fn songs(&self) -> &dyn SongStore {
        self.next().songs()
    }

    fn embeddings(&self) -> &dyn EmbeddingStore {
        self.next().embeddings()
    }

    fn blobs(&self) -> &dyn BlobStore {
        self.next().blobs()
    }

    fn segments(&self) -> &dyn SegmentStore {
        self.next().segments()
    }

    fn documents(&self) -> &dyn DocumentStore {
        self.next().documents()
    }

    fn maintenance(&self) -> &dyn Maintenance {
        self.next().maintenance()
    }
}

impl<B: fmt::Display> fmt::Display for Alternating<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handles[0].fmt(f)
    }
}

impl<B: fmt::Debug> fmt::Debug for Alternating<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alternating").field(&self.handles).finish()
    }
}
