//! Another backend, asked again when it fails for a moment.

use std::{
    fmt,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_core::{
    BlobRef, Card, Document, DocumentKind, EmbeddingRef, Filter, ModelName, ModelSpec, OperationId,
    Progress, Segment, SegmentId, Song, SongId,
};

use crate::{
    BlobSource, BlobStream, Capabilities, ChangePage, ChangeSummary, Cursor, DeleteSong, Error,
    Finding, Lookup, NearestQuery, NearestSegments, Neighbor, NewBlob, NewEmbedding, Outcome, Page,
    PageToken, PurgeSong, PutDocument, PutSong, Result, SegmentNeighbor, SegmentQuery, SongQuery,
    StorageBackend, StoredEmbedding, Swept, VerifyOptions,
};

/// How often to ask again, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often to ask at the most, the first time included.
    pub attempts: usize,
    /// The pause before the second time; it doubles from there, and each is a
    /// random part of that, so that many callers do not come back in step.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// After so long nothing is begun again. An attempt that is under way is
    /// not cut off: how long one may take is the backend's own matter.
    pub deadline: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            deadline: Duration::from_secs(60),
        }
    }
}

/// Streams of at most so many bytes are held, so that they can be sent again.
const HELD: u64 = 16 << 20;

/// Another backend, asked again when an error says that this may help
/// ([`Error::is_temporary`]). For backends that do not ask again by
/// themselves; what speaks to Astra and S3 does, request by request.
///
/// # Semantics
///
/// By the contract every call may be repeated, and nothing happens twice. Two
/// answers may be other ones, because they are about what a call *changed*:
/// what was deleted or swept by an attempt whose answer was lost counts as not
/// there by the next one.
///
/// A download that breaks goes on where it was. An upload from a file begins
/// anew; one from a stream does up to 16 MiB, which are held for it, and beyond
/// that fails with the error of its one attempt.
///
/// # Errors
///
/// The last one, after as many attempts and as much time as [`Retries`] give;
/// those that repeating cannot help at once. A time that the error asks for
/// ([`Error::retry_after`]) is waited for if the deadline allows it.
#[derive(Debug)]
pub struct Retrying {
    inner: Arc<dyn StorageBackend>,
    retries: Retries,
}

impl Retrying {
    /// `inner`, asked again as `retries` says.
    pub fn new(inner: Arc<dyn StorageBackend>, retries: Retries) -> Self {
        Self { inner, retries }
    }

    /// The backend itself.
    pub const fn inner(&self) -> &Arc<dyn StorageBackend> {
        &self.inner
    }

    async fn again<T, F: Future<Output = Result<T>> + Send>(
        &self,
        call: impl Fn() -> F + Send + Sync,
    ) -> Result<T> {
        let mut patience = Patience::new(&self.retries);
        loop {
            match call().await {
                Err(error) => patience.wait_after(error).await?,
                done => return done,
            }
        }
    }
}

// The pauses of one operation.
struct Patience {
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
    until: Instant,
}

impl Patience {
    fn new(retries: &Retries) -> Self {
        let most = ExponentialBuilder::new()
            .with_min_delay(retries.first_pause)
            .with_max_delay(retries.longest_pause)
            .with_factor(2.0)
            .with_max_times(retries.attempts.saturating_sub(1))
            .build();
        let pauses = Box::new(most.map(|most| most.mul_f64(rand::random::<f64>())));
        Self { pauses, until: Instant::now() + retries.deadline }
    }

    // Gives the error back if it is no use to ask again.
    async fn wait_after(&mut self, error: Error) -> Result<()> {
        if !error.is_temporary() {
            return Err(error);
        }
        let Some(pause) = self.pauses.next() else { return Err(error) };
        let pause = error.retry_after().map_or(pause, |asked| asked.max(pause));
        if Instant::now() + pause >= self.until {
            return Err(error);
        }
        tracing::debug!(%error, ?pause, "asked again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

impl Retrying {
    // The rest of a download, which is opened anew whenever it breaks.
    fn resumed(&self, blob: BlobRef, rest: Range<u64>, first: BlobStream) -> BlobStream {
        struct Download {
            backend: Arc<dyn StorageBackend>,
            retries: Retries,
            blob: BlobRef,
            rest: Range<u64>,
            pieces: Option<BlobStream>,
            patience: Patience,
        }
        let download = Download {
            backend: Arc::clone(&self.inner),
            retries: self.retries,
            blob,
            rest,
            pieces: Some(first),
            patience: Patience::new(&self.retries),
        };
        stream::try_unfold(download, |mut download| async move {
            loop {
                let Some(pieces) = &mut download.pieces else {
                    let rest = Some(download.rest.clone());
                    match download.backend.get_blob(&download.blob, rest).await {
                        Ok(Some(pieces)) => download.pieces = Some(pieces),
                        // It was there a moment ago.
                        Ok(None) => return Ok(None),
                        Err(error) => download.patience.wait_after(error).await?,
                    }
                    continue;
                };
                match pieces.next().await {
                    Some(Ok(piece)) => {
                        download.rest.start += piece.len() as u64;
                        if !piece.is_empty() {
                            download.patience = Patience::new(&download.retries);
                        }
                        return Ok(Some((piece, download)));
                    }
                    Some(Err(error)) => {
                        download.patience.wait_after(error).await?;
                        download.pieces = None;
                        if download.rest.is_empty() {
                            return Ok(None);
                        }
                    }
                    None => return Ok(None),
                }
            }
        })
        .boxed()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StorageBackend for Retrying {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        self.again(|| self.inner.put_model(model)).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        self.again(|| self.inner.models()).await
    }

    async fn put_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        self.again(|| self.inner.put_songs(songs)).await
    }

    async fn get_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        self.again(|| self.inner.get_songs(ids)).await
    }

    async fn find_songs(&self, query: &SongQuery) -> Result<Page<Song>> {
        self.again(|| self.inner.find_songs(query)).await
    }

    async fn find_cards(&self, query: &SongQuery) -> Result<Page<Card>> {
        self.again(|| self.inner.find_cards(query)).await
    }

    async fn count_songs(&self, filter: &Filter) -> Result<u64> {
        self.again(|| self.inner.count_songs(filter)).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        self.again(|| self.inner.lookup(lookups)).await
    }

    async fn delete_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        self.again(|| self.inner.delete_songs(songs)).await
    }

    async fn purge_songs(&self, tombstones: &[PurgeSong]) -> Result<()> {
        self.again(|| self.inner.purge_songs(tombstones)).await
    }

    async fn put_embeddings(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        self.again(|| self.inner.put_embeddings(embeddings)).await
    }

    async fn get_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        self.again(|| self.inner.get_embeddings(model, songs)).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        self.again(|| self.inner.nearest(query)).await
    }

    async fn put_blob(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        let bytes = match source {
            BlobSource::Path(path) => {
                let source = || BlobSource::Path(path.clone());
                return self.again(|| self.inner.put_blob(blob, source())).await;
            }
            BlobSource::Stream(stream) if blob.size > HELD => {
                return self.inner.put_blob(blob, BlobSource::Stream(stream)).await;
            }
            BlobSource::Stream(stream) => read_at_most(stream, HELD).await?,
        };
        let source = || BlobSource::Stream(stream::iter(bytes.clone().into_iter().map(Ok)).boxed());
        self.again(|| self.inner.put_blob(blob, source())).await
    }

    async fn get_blob(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        let found = self.again(|| self.inner.get_blob(blob, range.clone())).await?;
        let rest = range.unwrap_or(0..blob.size);
        Ok(found.map(|first| self.resumed(blob.clone(), rest, first)))
    }

    async fn blob_url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        self.again(|| self.inner.blob_url(blob, valid_for)).await
    }

    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        self.again(|| self.inner.changes(since, limit)).await
    }

    async fn summaries(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeSummary>> {
        self.again(|| self.inner.summaries(since, limit)).await
    }

    async fn sweep(&self, min_age: Duration) -> Result<Swept> {
        self.again(|| self.inner.sweep(min_age)).await
    }

    async fn would_sweep(&self, min_age: Duration) -> Result<Swept> {
        self.again(|| self.inner.would_sweep(min_age)).await
    }

    async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>> {
        self.again(|| self.inner.verify(options, progress)).await
    }

    async fn put_segments(&self, segments: &[Segment]) -> Result<()> {
        self.again(|| self.inner.put_segments(segments)).await
    }

    async fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.again(|| self.inner.get_segments(ids)).await
    }

    async fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.again(|| self.inner.find_segments(query)).await
    }

    async fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.again(|| self.inner.nearest_segments(query)).await
    }

    async fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.again(|| self.inner.delete_segments(ids)).await
    }

    async fn put_documents(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        self.again(|| self.inner.put_documents(documents)).await
    }

    async fn get_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>> {
        self.again(|| self.inner.get_documents(kind, ids)).await
    }

    async fn list_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        self.again(|| self.inner.list_documents(kinds, after)).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        self.again(|| self.inner.delete_document(kind, id, version)).await
    }
}

// The pieces of a stream; of one that is longer, only more than `most` bytes.
async fn read_at_most(mut stream: BlobStream, most: u64) -> Result<Vec<Bytes>> {
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    while bytes <= most
        && let Some(piece) = stream.next().await
    {
        let piece = piece?;
        bytes += piece.len() as u64;
        pieces.push(piece);
    }
    Ok(pieces)
}

// It is no place of its own: errors name where the songs are.
impl fmt::Display for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
