//! Sweeps and purges beside writers: one test for each race that there is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_astra::AstraBackend;
use songrec_core::{BlobRef, Digest, Embedding, Job, OperationId, Song};
use songrec_emulator::{Emulator, Fault, Rule};
use songrec_storage::{
    BlobSource, NewBlob, NewEmbedding, PutMode, StorageBackend, StorageBackendExt,
};
use songrec_testkit::{
    delete, new_embedding, purge, random_vector, run_case,
    s3::{self, Operation},
    song, tiny_model,
};

use crate::support::{Cloud, library};

// A song that nobody has stored, and an embedding of it.
fn embedded(seed: &str) -> (Song, NewEmbedding) {
    use rand::SeedableRng;
    let song = song(seed);
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed.len() as u64);
    let vector = random_vector(&mut rng, &tiny_model());
    let new = new_embedding(&song, Embedding { song: song.id, model: tiny_model().name, vector });
    (song, new)
}

async fn named(backend: &AstraBackend, song: &mut Song, new: &NewEmbedding) {
    let reference = backend.embeddings().put(std::slice::from_ref(new)).await.unwrap().remove(0);
    song.embeddings.insert(tiny_model().name, reference);
}

async fn has_embedding(backend: &AstraBackend, song: &Song) -> bool {
    let found = backend.get_embedding(&tiny_model().name, song.id).await.unwrap();
    // The vector itself, and not only the copy beside the song.
    let query = songrec_storage::NearestQuery::new(
        tiny_model().name,
        songrec_testkit::vector(&[1.0; 8]),
        10,
    );
    let near = backend.nearest_songs(&query).await.unwrap();
    found.is_some() && near.iter().any(|(_, found)| found.id == song.id)
}

async fn opened() -> (Arc<AstraBackend>, Cloud) {
    let (backend, cloud) = library(Emulator::builder()).await;
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    (Arc::new(backend), cloud)
}

#[test]
fn an_embedding_that_is_stored_again_is_young_again() {
    run_case(async {
        let (backend, _cloud) = opened().await;
        let (mut song, new) = embedded("one");
        named(&backend, &mut song, &new).await;
        let first = Instant::now();
        tokio::time::sleep(Duration::from_millis(1_500)).await;

        // An upload that was interrupted is resumed, with the same operation.
        named(&backend, &mut song, &new).await;
        let collected =
            backend.maintenance().collect_garbage(first.elapsed(), &Job::silent()).await.unwrap();
        backend.put_song(&song, PutMode::Create).await.unwrap();

        assert_eq!(collected.objects, 0);
        assert!(has_embedding(&backend, &song).await);
    });
}

#[test]
fn what_is_stored_again_between_a_look_and_its_removal_stays() {
    run_case(async {
        let (backend, cloud) = opened().await;
        let (mut song, new) = embedded("one");
        named(&backend, &mut song, &new).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The removal takes its time.
        let slow = Rule::delay(Duration::from_millis(800)).on("deleteMany").next(1);
        let slow = cloud.faults().add(slow);
        let collector = Arc::clone(&backend);
        let collect_garbage = tokio::spawn(async move {
            collector
                .maintenance()
                .collect_garbage(Duration::from_millis(100), &Job::silent())
                .await
                .unwrap()
        });
        while cloud.faults().fired(slow) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        named(&backend, &mut song, &new).await;
        backend.put_song(&song, PutMode::Create).await.unwrap();
        collect_garbage.await.unwrap();

        assert!(has_embedding(&backend, &song).await);
    });
}

#[test]
fn a_removal_that_is_done_late_does_not_take_what_came_after_it() {
    run_case(async {
        let (backend, cloud) = opened().await;
        let (mut song, new) = embedded("one");
        named(&backend, &mut song, &new).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // Done, though nobody sees it yet.
        cloud.faults().add(Rule::fault(Fault::TimeoutAppliedLater).on("deleteMany").next(1));
        backend
            .maintenance()
            .collect_garbage(Duration::from_millis(100), &Job::silent())
            .await
            .unwrap();

        named(&backend, &mut song, &new).await;
        backend.put_song(&song, PutMode::Create).await.unwrap();

        assert!(has_embedding(&backend, &song).await);
    });
}

#[test]
fn what_a_tombstone_names_outlives_garbage_collection_until_it_is_purged() {
    run_case(async {
        let (backend, _cloud) = opened().await;
        let (mut song, new) = embedded("one");
        named(&backend, &mut song, &new).await;
        backend.put_song(&song, PutMode::Create).await.unwrap();
        backend.songs().delete(&[delete(song.id)]).await.unwrap();

        assert_eq!(
            backend
                .maintenance()
                .collect_garbage(Duration::ZERO, &Job::silent())
                .await
                .unwrap()
                .objects,
            0
        );
        song.revision = song.revision.next();
        backend.put_song(&song, PutMode::Create).await.unwrap();
        assert!(has_embedding(&backend, &song).await, "restored without storing it again");

        let deletion = delete(song.id);
        backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();
        backend.songs().purge(&[purge(&deletion)]).await.unwrap();
        assert_eq!(
            backend
                .maintenance()
                .collect_garbage(Duration::ZERO, &Job::silent())
                .await
                .unwrap()
                .objects,
            1
        );
    });
}

#[test]
fn a_purge_that_is_done_late_does_not_take_a_later_tombstone() {
    run_case(async {
        let (backend, cloud) = opened().await;
        let (mut song, _) = embedded("one");
        backend.put_song(&song, PutMode::Create).await.unwrap();
        let deletion = delete(song.id);
        backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();
        let slow = Rule::delay(Duration::from_millis(800)).on("deleteMany").next(1);
        let slow = cloud.faults().add(slow);
        let purger = Arc::clone(&backend);
        let purge = purge(&deletion);
        let purge = tokio::spawn(async move { purger.songs().purge(&[purge]).await.unwrap() });
        while cloud.faults().fired(slow) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        song.revision = song.revision.next();
        backend.put_song(&song, PutMode::Create).await.unwrap();
        backend.songs().delete(&[delete(song.id)]).await.unwrap();
        purge.await.unwrap();

        let reported = backend.maintenance().changes(None, 10).await.unwrap();
        assert_eq!(reported.changes.len(), 1, "nobody has seen the second deletion yet");
    });
}

async fn stored(backend: &AstraBackend, new: &NewBlob, bytes: &Bytes) -> BlobRef {
    let source = BlobSource::Stream(stream::iter([Ok(bytes.clone())]).boxed());
    backend.blobs().put(new, source).await.unwrap()
}

#[test]
fn audio_that_is_uploaded_again_between_two_looks_stays() {
    run_case(async {
        let (backend, cloud) = opened().await;
        let bytes = Bytes::from_static(b"not much of a song");
        let new = NewBlob {
            sha256: Digest::of(&bytes),
            size: bytes.len() as u64,
            operation: OperationId::random(),
        };
        let mut song = song("one");
        song.blob = Some(stored(&backend, &new, &bytes).await);
        // Times of objects are whole seconds.
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let slow = s3::Rule::delay(Duration::from_millis(1_500)).on(Operation::Head).next(1);
        let slow = cloud.s3.fail(slow);
        let collector = Arc::clone(&backend);
        let collect_garbage = tokio::spawn(async move {
            collector
                .maintenance()
                .collect_garbage(Duration::from_secs(1), &Job::silent())
                .await
                .unwrap()
        });
        while cloud.s3.fired(slow) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        stored(&backend, &new, &bytes).await;
        backend.put_song(&song, PutMode::Create).await.unwrap();
        assert_eq!(collect_garbage.await.unwrap().objects, 0);

        assert!(backend.blobs().get(song.blob.as_ref().unwrap(), None).await.unwrap().is_some());
    });
}
