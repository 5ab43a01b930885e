//! Several handles of one library.

use std::{
    fmt,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use songrec_core::{
    BlobRef, Card, Document, DocumentKind, EmbeddingRef, Filter, ModelName, ModelSpec, OperationId,
    Progress, Segment, SegmentId, Song, SongId,
};
use songrec_storage::{
    BlobSource, BlobStream, Capabilities, ChangePage, ChangeSummary, Cursor, DeleteSong, Finding,
    Lookup, NearestQuery, NearestSegments, Neighbor, NewBlob, NewEmbedding, Outcome, Page,
    PageToken, PurgeSong, PutDocument, PutSong, Result, SegmentNeighbor, SegmentQuery, SongQuery,
    StorageBackend, StoredEmbedding, Swept, VerifyOptions,
};

/// Handles of one library, such as two processes or two machines have them;
/// every call goes to the next.
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

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Alternating<B> {
    fn capabilities(&self) -> Capabilities {
        self.next().capabilities()
    }

    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        self.next().put_model(model).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        self.next().models().await
    }

    async fn put_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        self.next().put_songs(songs).await
    }

    async fn get_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        self.next().get_songs(ids).await
    }

    async fn find_songs(&self, query: &SongQuery) -> Result<Page<Song>> {
        self.next().find_songs(query).await
    }

    async fn find_cards(&self, query: &SongQuery) -> Result<Page<Card>> {
        self.next().find_cards(query).await
    }

    async fn count_songs(&self, filter: &Filter) -> Result<u64> {
        self.next().count_songs(filter).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.next().lookup(lookups).await
    }

    async fn delete_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        self.next().delete_songs(songs).await
    }

    async fn purge_songs(&self, tombstones: &[PurgeSong]) -> Result<()> {
        self.next().purge_songs(tombstones).await
    }

    async fn put_embeddings(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        self.next().put_embeddings(embeddings).await
    }

    async fn get_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.next().get_embeddings(model, songs).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        self.next().nearest(query).await
    }

    async fn put_blob(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        self.next().put_blob(blob, source).await
    }

    async fn get_blob(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        self.next().get_blob(blob, range).await
    }

    async fn blob_url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        self.next().blob_url(blob, valid_for).await
    }

    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        self.next().changes(since, limit).await
    }

    async fn summaries(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeSummary>> {
        self.next().summaries(since, limit).await
    }

    async fn sweep(&self, min_age: Duration) -> Result<Swept> {
        self.next().sweep(min_age).await
    }

    async fn would_sweep(&self, min_age: Duration) -> Result<Swept> {
        self.next().would_sweep(min_age).await
    }

    async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>> {
        self.next().verify(options, progress).await
    }

    async fn put_segments(&self, segments: &[Segment]) -> Result<()> {
        self.next().put_segments(segments).await
    }

    async fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.next().get_segments(ids).await
    }

    async fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.next().find_segments(query).await
    }

    async fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.next().nearest_segments(query).await
    }

    async fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.next().delete_segments(ids).await
    }

    async fn put_documents(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        self.next().put_documents(documents).await
    }

    async fn get_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>> {
        self.next().get_documents(kind, ids).await
    }

    async fn list_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        self.next().list_documents(kinds, after).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        self.next().delete_document(kind, id, version).await
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
