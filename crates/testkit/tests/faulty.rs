//! A caller that repeats what failed sees a library that keeps every promise,
//! though one call in five fails before, during or after its work.

use std::{fmt, future::Future, ops::Range, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use songrec_core::{
    BlobRef, Card, Document, DocumentKind, EmbeddingRef, Filter, ModelName, ModelSpec, OperationId,
    Progress, Segment, SegmentId, Silent, Song, SongId,
};
use songrec_storage::{
    BlobSource, BlobStream, Capabilities, ChangePage, ChangeSummary, Cursor, DeleteSong, ErrorKind,
    Finding, Lookup, MemoryBackend, NearestQuery, NearestSegments, Neighbor, NewBlob, NewEmbedding,
    Outcome, Page, PageToken, PurgeSong, PutDocument, PutMode, PutSong, Result, SegmentNeighbor,
    SegmentQuery, SongQuery, StorageBackend, StorageBackendExt, StoredEmbedding, Swept,
    VerifyOptions, read_blob,
};
use songrec_testkit::{
    Fault, Faulty, audio, library_of, new_blob, put, run_case, song, tiny_model, vector,
};

songrec_testkit::conformance!(async {
    Insisting(Faulty::new(MemoryBackend::new()).at_random(7, 0.2, faults))
});

// Where a repeated call gives another answer, as what was swept or deleted is
// gone, and where half a batch hides that the other half was refused, calls
// fail only before or after their work.
fn faults(operation: &'static str) -> &'static [Fault] {
    match operation {
        "sweep" | "delete_segments" => &[Fault::Before],
        "put_embeddings" | "put_segments" => &[Fault::Before, Fault::After],
        _ => &ALL,
    }
}

const ALL: [Fault; 4] =
    [Fault::Before, Fault::After, Fault::Partial, Fault::Delay(Duration::from_micros(50))];

/// Repeats every call that failed and may be repeated.
#[derive(Debug)]
struct Insisting<B>(B);

const ATTEMPTS: usize = 50;

async fn insist<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    let mut answer = call().await;
    for _ in 1..ATTEMPTS {
        match &answer {
            Err(error) if error.is_temporary() => answer = call().await,
            _ => return answer,
        }
    }
    answer
}

fn streamed(bytes: bytes::Bytes) -> BlobStream {
    stream::iter([Ok(bytes)]).boxed()
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> StorageBackend for Insisting<B> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        insist(|| self.0.put_model(model)).await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        insist(|| self.0.models()).await
    }

    async fn put_songs(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        insist(|| self.0.put_songs(songs)).await
    }

    async fn get_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        insist(|| self.0.get_songs(ids)).await
    }

    async fn find_songs(&self, query: &SongQuery) -> Result<Page<Song>> {
        insist(|| self.0.find_songs(query)).await
    }

    async fn find_cards(&self, query: &SongQuery) -> Result<Page<Card>> {
        insist(|| self.0.find_cards(query)).await
    }

    async fn count_songs(&self, filter: &Filter) -> Result<u64> {
        insist(|| self.0.count_songs(filter)).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        insist(|| self.0.lookup(lookups)).await
    }

    async fn delete_songs(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        insist(|| self.0.delete_songs(songs)).await
    }

    async fn purge_songs(&self, tombstones: &[PurgeSong]) -> Result<()> {
        insist(|| self.0.purge_songs(tombstones)).await
    }

    async fn put_embeddings(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        insist(|| self.0.put_embeddings(embeddings)).await
    }

    async fn get_embeddings(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        insist(|| self.0.get_embeddings(model, songs)).await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        insist(|| self.0.nearest(query)).await
    }

    async fn put_blob(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        match source {
            BlobSource::Path(path) => {
                insist(|| self.0.put_blob(blob, BlobSource::Path(path.clone()))).await
            }
            // A stream that broke by itself is the caller's to repeat.
            BlobSource::Stream(stream) => {
                let bytes = read_blob(stream).await?;
                insist(|| self.0.put_blob(blob, BlobSource::Stream(streamed(bytes.clone())))).await
            }
        }
    }

    async fn get_blob(
        &self,
        blob: &BlobRef,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobStream>> {
        insist(|| async {
            let Some(stream) = self.0.get_blob(blob, range.clone()).await? else {
                return Ok(None);
            };
            // Read before it is given, so that a torn one can be asked for
            // again; in pieces, because that is promised.
            let pieces: Vec<_> = stream.collect().await;
            let pieces: Result<Vec<_>> = pieces.into_iter().collect();
            Ok(Some(stream::iter(pieces?.into_iter().map(Ok)).boxed()))
        })
        .await
    }

    async fn blob_url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        insist(|| self.0.blob_url(blob, valid_for)).await
    }

    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        insist(|| self.0.changes(since, limit)).await
    }

    async fn summaries(
        &self,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<ChangePage<ChangeSummary>> {
        insist(|| self.0.summaries(since, limit)).await
    }

    async fn sweep(&self, min_age: Duration) -> Result<Swept> {
        insist(|| self.0.sweep(min_age)).await
    }

    async fn would_sweep(&self, min_age: Duration) -> Result<Swept> {
        insist(|| self.0.would_sweep(min_age)).await
    }

    async fn verify(
        &self,
        options: &VerifyOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Finding>> {
        insist(|| self.0.verify(options, progress)).await
    }

    async fn put_segments(&self, segments: &[Segment]) -> Result<()> {
        insist(|| self.0.put_segments(segments)).await
    }

    async fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        insist(|| self.0.get_segments(ids)).await
    }

    async fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        insist(|| self.0.find_segments(query)).await
    }

    async fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        insist(|| self.0.nearest_segments(query)).await
    }

    async fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        insist(|| self.0.delete_segments(ids)).await
    }

    async fn put_documents(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        insist(|| self.0.put_documents(documents)).await
    }

    async fn get_documents(
        &self,
        kind: DocumentKind,
        ids: &[String],
    ) -> Result<Vec<Option<Document>>> {
        insist(|| self.0.get_documents(kind, ids)).await
    }

    async fn list_documents(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        insist(|| self.0.list_documents(kinds, after)).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        insist(|| self.0.delete_document(kind, id, version)).await
    }
}

impl<B: fmt::Display> fmt::Display for Insisting<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What each fault leaves behind is what it says.
#[test]
fn faults_do_what_they_say() {
    run_case(async {
        let faulty = Faulty::new(MemoryBackend::new());
        let songs: Vec<_> = (0..4).map(|number| song(&number.to_string())).collect();
        let creates: Vec<_> = songs.iter().map(|song| put(song, PutMode::Create)).collect();
        let all = Filter::all();
        let plan = [Some(Fault::Before), Some(Fault::Partial), None, Some(Fault::After)];
        faulty.plan("put_songs", plan);

        for stored in [0, 2] {
            let error = faulty.put_songs(&creates).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
            assert_eq!(faulty.count_songs(&all).await.unwrap(), stored);
        }
        faulty.put_songs(&creates[..3]).await.unwrap();
        assert_eq!(faulty.count_songs(&all).await.unwrap(), 3);
        faulty.put_songs(&creates).await.unwrap_err();
        assert_eq!(faulty.count_songs(&all).await.unwrap(), 4);
        faulty.put_songs(&creates).await.unwrap();

        assert_eq!(faulty.calls("put_songs"), 5);
        assert_eq!(faulty.calls("get_songs"), 0);
        assert_eq!(faulty.all_calls(), 9);
        assert_eq!(faulty.injected(), 3);
        assert_eq!(faulty.inner().count_songs(&all).await.unwrap(), 4);
    });
}

/// Half a blob comes or goes, and the caller learns of it.
#[test]
fn a_torn_blob_is_an_error() {
    run_case(async {
        let faulty = Faulty::new(MemoryBackend::new());
        let bytes = audio(1_000, 1);
        let blob = new_blob(&bytes);
        faulty.plan("put_blob", [Some(Fault::Partial)]);
        faulty.plan("get_blob", [Some(Fault::Partial)]);
        let source = || BlobSource::Stream(streamed(bytes.clone()));

        faulty.put_blob(&blob, source()).await.unwrap_err();
        let reference = faulty.put_blob(&blob, source()).await.unwrap();
        let torn = faulty.get_blob(&reference, None).await.unwrap().unwrap();
        let error = read_blob(torn).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transient);
        let whole = faulty.get_blob(&reference, None).await.unwrap().unwrap();
        assert_eq!(read_blob(whole).await.unwrap(), bytes);
    });
}

/// A late answer is an answer, as late as planned.
#[tokio::test(start_paused = true)]
async fn a_late_answer_comes() {
    let faulty = Faulty::new(MemoryBackend::new());
    let delay = Duration::from_secs(3_600);
    faulty.plan("models", [Some(Fault::Delay(delay))]);
    let begun = tokio::time::Instant::now();

    assert_eq!(faulty.models().await.unwrap(), []);

    assert!(begun.elapsed() >= delay);
}

/// The same seed and the same calls fail the same way.
#[test]
fn chance_is_the_same_for_a_seed() {
    run_case(async {
        let mut runs = Vec::new();
        for seed in [1, 1, 2] {
            let faulty =
                Faulty::new(MemoryBackend::new()).at_random(seed, 0.5, |_| &[Fault::Before]);
            let mut failed = Vec::new();
            for _ in 0..64 {
                failed.push(faulty.models().await.is_err());
            }
            runs.push(failed);
        }
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
        assert!(runs[0].contains(&true) && runs[0].contains(&false));
    });
}

/// A confirmed search costs one search and one read of songs.
#[test]
fn a_confirmed_search_is_two_calls() {
    run_case(async {
        let faulty = Faulty::new(MemoryBackend::new());
        library_of(30, 1).heard_by(&tiny_model(), 1).store(faulty.inner()).await;
        let query = NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 10);

        assert_eq!(faulty.nearest_songs(&query).await.unwrap().len(), 10);

        assert_eq!((faulty.calls("nearest"), faulty.calls("get_songs")), (1, 1));
        assert_eq!(faulty.all_calls(), 2);
        let none = NearestQuery { k: 0, ..query };
        assert_eq!(faulty.nearest_songs(&none).await.unwrap(), []);
        assert_eq!(faulty.all_calls(), 2, "nothing asked for is nothing asked");
    });
}

/// Verifying is repeated like everything else.
#[test]
fn what_always_fails_is_given_up() {
    run_case(async {
        let faulty = Faulty::new(MemoryBackend::new()).at_random(1, 1.0, |_| &[Fault::Before]);
        let insisting = Insisting(faulty);

        let error = insisting.verify(&VerifyOptions::default(), &Silent).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transient);
        assert_eq!(insisting.0.calls("verify"), ATTEMPTS as u64);
    });
}
