//! A caller that repeats what failed sees a library that keeps every promise,
//! though one call in five fails before, during or after its work.

use std::{fmt, future::Future, ops::Range, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use songrec_core::{BlobRef, Filter, Job};
use songrec_storage::{
    BlobSource, BlobStore, BlobStream, Capabilities, DocumentStore, EmbeddingStore, ErrorKind,
    Maintenance, MemoryBackend, NearestQuery, NewBlob, PutMode, Result, SegmentStore, SongStore,
    StorageBackend, StorageBackendExt, VerifyOptions, read_blob,
};
use songrec_testkit::{
    Fault, Faulty, audio, library_of, new_blob, put, run_case, song, tiny_model, vector,
};

songrec_testkit::conformance!(async {
    Insisting(Faulty::new(MemoryBackend::new()).at_random(7, 0.2, faults))
});

// Where a repeated call gives another answer, as what was collected or deleted is
// gone, and where half a batch hides that the other half was refused, calls
// fail only before or after their work.
fn faults(operation: &'static str) -> &'static [Fault] {
    match operation {
        "maintenance.collect_garbage" | "segments.delete" => &[Fault::Before],
        "embeddings.put" | "segments.put" => &[Fault::Before, Fault::After],
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

impl<B: StorageBackend> Insisting<B> {
    fn inner(&self) -> &B {
        &self.0
    }

    async fn whole<T, F: Future<Output = Result<T>>>(
        &self,
        _: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T> {
        insist(call).await
    }

    async fn batch<'a, E, T, F: Future<Output = Result<T>>>(
        &self,
        _: &'static str,
        batch: &'a [E],
        call: impl Fn(&'a [E]) -> F,
    ) -> Result<T> {
        insist(|| call(batch)).await
    }
}

impl<B: StorageBackend> StorageBackend for Insisting<B> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
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

songrec_testkit::forward!(
    [B: StorageBackend]
    SongStore, EmbeddingStore, SegmentStore, DocumentStore, Maintenance for Insisting<B>
);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<B: StorageBackend> BlobStore for Insisting<B> {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        match source {
            BlobSource::Path(path) => {
                insist(|| self.0.blobs().put(blob, BlobSource::Path(path.clone()))).await
            }
            // A stream that broke by itself is the caller's to repeat.
            BlobSource::Stream(stream) => {
                let bytes = read_blob(stream).await?;
                insist(|| self.0.blobs().put(blob, BlobSource::Stream(streamed(bytes.clone()))))
                    .await
            }
        }
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        insist(|| async {
            let Some(stream) = self.0.blobs().get(blob, range.clone()).await? else {
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

    async fn url(&self, blob: &BlobRef, valid_for: Duration) -> Result<Option<String>> {
        insist(|| self.0.blobs().url(blob, valid_for)).await
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
        faulty.plan("songs.put", plan);

        for stored in [0, 2] {
            let error = faulty.songs().put(&creates).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
            assert_eq!(faulty.songs().count(&all).await.unwrap(), stored);
        }
        faulty.songs().put(&creates[..3]).await.unwrap();
        assert_eq!(faulty.songs().count(&all).await.unwrap(), 3);
        faulty.songs().put(&creates).await.unwrap_err();
        assert_eq!(faulty.songs().count(&all).await.unwrap(), 4);
        faulty.songs().put(&creates).await.unwrap();

        assert_eq!(faulty.calls("songs.put"), 5);
        assert_eq!(faulty.calls("songs.get"), 0);
        assert_eq!(faulty.all_calls(), 9);
        assert_eq!(faulty.injected(), 3);
        assert_eq!(faulty.inner().songs().count(&all).await.unwrap(), 4);
    });
}

/// Half a blob comes or goes, and the caller learns of it.
#[test]
fn a_torn_blob_is_an_error() {
    run_case(async {
        let faulty = Faulty::new(MemoryBackend::new());
        let bytes = audio(1_000, 1);
        let blob = new_blob(&bytes);
        faulty.plan("blobs.put", [Some(Fault::Partial)]);
        faulty.plan("blobs.get", [Some(Fault::Partial)]);
        let source = || BlobSource::Stream(streamed(bytes.clone()));

        faulty.blobs().put(&blob, source()).await.unwrap_err();
        let reference = faulty.blobs().put(&blob, source()).await.unwrap();
        let torn = faulty.blobs().get(&reference, None).await.unwrap().unwrap();
        let error = read_blob(torn).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transient);
        let whole = faulty.blobs().get(&reference, None).await.unwrap().unwrap();
        assert_eq!(read_blob(whole).await.unwrap(), bytes);
    });
}

/// A late answer is an answer, as late as planned.
#[tokio::test(start_paused = true)]
async fn a_late_answer_comes() {
    let faulty = Faulty::new(MemoryBackend::new());
    let delay = Duration::from_secs(3_600);
    faulty.plan("embeddings.models", [Some(Fault::Delay(delay))]);
    let begun = tokio::time::Instant::now();

    assert_eq!(faulty.embeddings().models().await.unwrap(), []);

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
                failed.push(faulty.embeddings().models().await.is_err());
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
        library_of(30, 1).embedded_by(&tiny_model(), 1).store(faulty.inner()).await;
        let query = NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 10);

        assert_eq!(faulty.nearest_songs(&query).await.unwrap().len(), 10);

        assert_eq!((faulty.calls("embeddings.nearest"), faulty.calls("songs.get")), (1, 1));
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

        let error = insisting
            .maintenance()
            .verify(&VerifyOptions::default(), &Job::silent())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Transient);
        assert_eq!(insisting.0.calls("maintenance.verify"), ATTEMPTS as u64);
    });
}
