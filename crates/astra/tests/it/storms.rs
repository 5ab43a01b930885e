//! A library is filled and read while 30 % of all requests to both servers
//! fail, by somebody with little retry policy: so errors come up, and what the
//! caller does about them is what the contract says.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use songrec_astra::{
    AstraBackend,
    client::{Find, Timeouts},
};
use songrec_core::{Digest, Job, RetryPolicy, Song};
use songrec_emulator::{Emulator, Fault, Rule};
use songrec_storage::{
    BlobSource, Error, ErrorKind, NearestQuery, NewBlob, PutMode, SongQuery, StorageBackend,
    StorageBackendExt, read_blob,
};
use songrec_testkit::{library_of, new_blob, new_embedding, put, run_case, s3, tiny_model};

use crate::support::{self, library};

const SONGS: usize = 60;

// What happened on the way.
#[derive(Default)]
struct Diary {
    errors: Vec<Error>,
}

impl Diary {
    // Does it again while the error says that this may help.
    async fn insist<T, F: Future<Output = Result<T, Error>>>(&mut self, call: impl Fn() -> F) -> T {
        for _ in 0..200 {
            match call().await {
                Ok(done) => return done,
                Err(error) => {
                    assert!(error.is_temporary(), "{error:?}");
                    self.errors.push(error);
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never goes well: {:?}", self.errors.last());
    }
}

fn audio(song: &Song) -> Bytes {
    Bytes::from(format!("the sound of {}", song.id).repeat(50))
}

async fn upload(backend: &AstraBackend, new: NewBlob, bytes: Bytes) -> Result<(), Error> {
    let source = BlobSource::Stream(stream::iter([Ok(bytes)]).boxed());
    backend.blobs().put(&new, source).await.map(drop)
}

#[test]
fn nothing_is_lost_or_doubled_and_no_error_names_a_wrong_cause() {
    run_case(async {
        let (_, cloud) = library(Emulator::builder()).await;
        let mut config = support::config(&cloud.emulator);
        config.blobs = Some(support::blobs(&cloud.s3));
        config.timeouts = Some(Timeouts {
            retry: RetryPolicy {
                attempts: 1,
                first_pause: Duration::from_millis(1),
                longest_pause: Duration::from_millis(2),
                ..RetryPolicy::default()
            },
            ..Timeouts::default()
        });
        let backend = AstraBackend::open(&config).await.unwrap();
        backend.embeddings().put_model(&tiny_model()).await.unwrap();
        cloud.faults().add(Rule::one_of(Fault::every_failure()).chance(0.3, 5));
        cloud.s3.fail(s3::Rule::one_of(&s3::Fault::every()).chance(0.3, 6));
        let mut diary = Diary::default();
        let mut fixture = library_of(SONGS, 8).embedded_by(&tiny_model(), 9);

        for (chunk, embedded) in fixture.songs.chunks_mut(7).zip(fixture.embeddings.chunks(7)) {
            for song in chunk.iter_mut() {
                let new = new_blob(&audio(song));
                diary.insist(|| upload(&backend, new, audio(song))).await;
                let source = || BlobSource::Stream(stream::iter([Ok(audio(song))]).boxed());
                let named =
                    diary.insist(|| async { backend.blobs().put(&new, source()).await }).await;
                song.blob = Some(named);
            }
            let new: Vec<_> = chunk
                .iter()
                .zip(embedded)
                .map(|(song, embedded)| new_embedding(song, embedded.clone()))
                .collect();
            let references = diary.insist(|| backend.embeddings().put(&new)).await;
            for (song, reference) in chunk.iter_mut().zip(references) {
                song.embeddings.insert(tiny_model().name, reference);
            }
            let puts: Vec<_> = chunk.iter().map(|song| put(song, PutMode::Create)).collect();
            let outcomes = diary.insist(|| backend.songs().put(&puts)).await;
            assert!(outcomes.iter().all(songrec_storage::Outcome::is_done), "{outcomes:?}");
        }
        // Reads go well in the storm, too.
        let query =
            NearestQuery::new(tiny_model().name, fixture.embeddings[0].vector.clone(), SONGS);
        let near = diary.insist(|| backend.nearest_songs(&query)).await;
        assert_eq!(near.len(), SONGS);
        let blob = fixture.songs[3].blob.clone().unwrap();
        let bytes = diary
            .insist(|| async { read_blob(backend.blobs().get(&blob, None).await?.unwrap()).await })
            .await;
        assert_eq!(bytes, audio(&fixture.songs[3]));

        assert!(diary.errors.len() > 20, "only {} errors", diary.errors.len());
        for error in &diary.errors {
            assert!(
                matches!(error.kind(), ErrorKind::Transient | ErrorKind::Unavailable),
                "{error:?}"
            );
            let said =
                format!("{error} {}", error.hint().map(ToString::to_string).unwrap_or_default())
                    .to_lowercase();
            for wrong in ["token", "bucket", "access key", "init-astra", "verify", "region"] {
                assert!(!said.contains(wrong), "`{wrong}`: {said}: {error:?}");
            }
        }
        cloud.faults().clear();
        cloud.s3.heal();
        let all = SongQuery { limit: 1_000, ..SongQuery::default() };
        let mut found = backend.songs().find(&all).await.unwrap().items;
        found.sort_by_key(|song| song.id);
        assert_eq!(found, fixture.songs);
        let ids: Vec<_> = fixture.songs.iter().map(|song| song.id).collect();
        let embedded = backend.embeddings().get(&tiny_model().name, &ids).await.unwrap();
        for (embedded, expected) in embedded.into_iter().zip(&fixture.embeddings) {
            assert_eq!(embedded.unwrap().embedding, *expected);
        }
        let keyspace = backend.client().keyspace("default_keyspace");
        let vectors =
            keyspace.collection("embeddings_tiny_1").find(Find::new(serde_json::json!({})));
        let vectors: Vec<serde_json::Value> = vectors.try_collect().await.unwrap();
        assert_eq!(vectors.len(), SONGS, "no vector twice");
        let mut objects = 0;
        for shard in std::fs::read_dir(cloud.s3.objects().join("my/library/audio")).unwrap() {
            for object in std::fs::read_dir(shard.unwrap().path()).unwrap() {
                let bytes = std::fs::read(object.unwrap().path()).unwrap();
                let digest = Digest::of(&bytes);
                let named = |song: &Song| song.blob.as_ref().is_some_and(|b| b.sha256 == digest);
                assert!(fixture.songs.iter().any(named), "an object of half a song");
                objects += 1;
            }
        }
        assert_eq!(objects, SONGS, "no object twice");
        let mut reported = backend.maintenance().changes(None, 1_000).await.unwrap();
        reported.changes.sort_by_key(|change| change.song);
        assert_eq!(reported.changes.iter().map(|change| change.song).collect::<Vec<_>>(), ids);
        let findings = backend
            .maintenance()
            .verify(
                &songrec_storage::VerifyOptions { repair: false, read_data: true },
                &Job::silent(),
            )
            .await
            .unwrap();
        assert_eq!(findings, []);
    });
}
