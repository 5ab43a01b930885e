//! Objects that no song names, and whether everything is as it should be.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_core::{BlobRef, Embedding, Job, Song};
use songrec_storage::{
    BlobSource, Collected, Finding, PutMode, StorageBackend, StorageBackendExt, VerifyOptions,
    read_blob,
};

use crate::{
    audio, delete, library_of, new_blob, new_embedding, purge, retagged, song, tiny_model, vector,
};

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn put_blob(backend: &dyn StorageBackend, bytes: &Bytes) -> Option<BlobRef> {
    if !backend.capabilities().keeps_audio {
        return None;
    }
    let source = BlobSource::Stream(stream::iter([Ok(bytes.clone())]).boxed());
    Some(backend.blobs().put(&new_blob(bytes), source).await.unwrap())
}

// A song with an embedding and, where audio is kept, a blob; not stored yet,
// but its objects are.
async fn with_objects(backend: &dyn StorageBackend, seed: &str) -> (Song, Bytes) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let mut song = song(seed);
    let bytes = audio(1_000, seed.len() as u64);
    song.blob = put_blob(backend, &bytes).await;
    let model = tiny_model().name;
    let embedding = Embedding { song: song.id, model: model.clone(), vector: vector(&[1.0; 8]) };
    let references = backend.embeddings().put(&[new_embedding(&song, embedding)]).await.unwrap();
    song.embeddings.insert(model, references[0].clone());
    (song, bytes)
}

async fn has_objects(backend: &dyn StorageBackend, song: &Song, bytes: &Bytes) -> bool {
    let embedding = backend.get_embedding(&tiny_model().name, song.id).await.unwrap();
    let blob = match &song.blob {
        None => return embedding.is_some(),
        Some(blob) => backend.blobs().get(blob, None).await.unwrap(),
    };
    let Some(blob) = blob else { return false };
    embedding.is_some() && read_blob(blob).await.unwrap() == *bytes
}

async fn collect_garbage(backend: &dyn StorageBackend) -> Collected {
    backend.maintenance().collect_garbage(Duration::ZERO, &Job::silent()).await.unwrap()
}

/// What a song names is never collected; what none names is, and is counted.
pub async fn garbage_collection_removes_what_no_song_names(backend: &dyn StorageBackend) {
    assert_eq!(collect_garbage(backend).await, Collected::default());
    let (named, bytes) = with_objects(backend, "named").await;
    backend.put_song(&named, PutMode::Create).await.unwrap();
    let (_, orphaned) = with_objects(backend, "not named").await;

    let collected = collect_garbage(backend).await;

    let blobs = u64::from(backend.capabilities().keeps_audio);
    assert_eq!(collected.objects, 1 + blobs);
    assert!(collected.bytes >= 32 + blobs * orphaned.len() as u64, "{collected:?}");
    assert!(has_objects(backend, &named, &bytes).await);
    assert_eq!(
        collect_garbage(backend).await,
        Collected::default(),
        "there was nothing left to collect"
    );
    let query = songrec_storage::NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 10);
    assert_eq!(backend.embeddings().nearest(&query).await.unwrap().len(), 1);
}

/// What a garbage collection would remove is known without removing it.
pub async fn what_would_be_swept_can_be_asked(backend: &dyn StorageBackend) {
    let (named, bytes) = with_objects(backend, "named").await;
    backend.put_song(&named, PutMode::Create).await.unwrap();
    let (orphan, orphaned) = with_objects(backend, "not named").await;

    let would = [
        backend.maintenance().find_garbage(Duration::ZERO, &Job::silent()).await.unwrap(),
        backend.maintenance().find_garbage(Duration::ZERO, &Job::silent()).await.unwrap(),
    ];

    assert_eq!(
        backend.maintenance().find_garbage(A_DAY, &Job::silent()).await.unwrap(),
        Collected::default()
    );
    backend.put_song(&orphan, PutMode::Create).await.unwrap();
    assert!(has_objects(backend, &orphan, &orphaned).await, "nothing was removed");
    assert!(has_objects(backend, &named, &bytes).await);
    let deletion = delete(orphan.id);
    backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();
    backend.songs().purge(&[purge(&deletion)]).await.unwrap();
    assert_eq!(would, [collect_garbage(backend).await; 2]);
}

/// What is young may be on its way: it is collected only when it is older than
/// asked for.
pub async fn garbage_collection_spares_the_young(backend: &dyn StorageBackend) {
    let (song, bytes) = with_objects(backend, "on its way").await;

    assert_eq!(
        backend.maintenance().collect_garbage(A_DAY, &Job::silent()).await.unwrap(),
        Collected::default()
    );

    backend.put_song(&song, PutMode::Create).await.unwrap();
    assert!(has_objects(backend, &song, &bytes).await);
}

/// Objects of a deleted song stay for as long as its tombstone, from which it
/// can be restored; then they go.
pub async fn garbage_collection_spares_what_can_be_restored(backend: &dyn StorageBackend) {
    let (song, bytes) = with_objects(backend, "restored").await;
    backend.put_song(&song, PutMode::Create).await.unwrap();
    backend.songs().delete(&[delete(song.id)]).await.unwrap();

    assert_eq!(collect_garbage(backend).await, Collected::default());
    let restored = retagged(&song);
    backend.put_song(&restored, PutMode::Create).await.unwrap();
    assert!(has_objects(backend, &restored, &bytes).await);

    let deletion = delete(song.id);
    backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();
    backend.songs().purge(&[purge(&deletion)]).await.unwrap();
    let collected = collect_garbage(backend).await;
    assert_eq!(collected.objects, 1 + u64::from(backend.capabilities().keeps_audio));
}

/// An object that its song no longer names goes.
pub async fn garbage_collection_removes_what_is_no_longer_named(backend: &dyn StorageBackend) {
    let (song, _) = with_objects(backend, "edited").await;
    backend.put_song(&song, PutMode::Create).await.unwrap();
    let mut bare = retagged(&song);
    bare.embeddings.clear();
    bare.blob = None;
    backend.put_song(&bare, PutMode::Replace(song.revision.operation)).await.unwrap();

    let collected = collect_garbage(backend).await;

    assert_eq!(collected.objects, 1 + u64::from(backend.capabilities().keeps_audio));
    assert_eq!(backend.get_song(song.id).await.unwrap(), Some(bare));
}

/// Interrupted work ends early, without an error and without harm: what was not
/// removed then is removed by the next collection.
pub async fn interrupted_maintenance_ends_early(backend: &dyn StorageBackend) {
    let (song, bytes) = with_objects(backend, "named").await;
    backend.put_song(&song, PutMode::Create).await.unwrap();
    with_objects(backend, "not named").await;
    let job = Job::silent();
    job.interrupt.set();
    let maintenance = backend.maintenance();

    let collected = maintenance.collect_garbage(Duration::ZERO, &job).await.unwrap();
    let counted = maintenance.find_garbage(Duration::ZERO, &job).await.unwrap();
    let options = VerifyOptions { repair: true, read_data: true };
    let found = maintenance.verify(&options, &job).await.unwrap();

    assert_eq!([collected, counted], [Collected::default(); 2]);
    assert_eq!(found, []);
    assert!(has_objects(backend, &song, &bytes).await);
    let left = collect_garbage(backend).await;
    assert_eq!(left.objects, 1 + u64::from(backend.capabilities().keeps_audio));
    assert!(has_objects(backend, &song, &bytes).await);
}

async fn verify(backend: &dyn StorageBackend) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (repair, read_data) in [(false, false), (false, true), (true, false), (true, true)] {
        let options = VerifyOptions { repair, read_data };
        findings.extend(backend.maintenance().verify(&options, &Job::silent()).await.unwrap());
    }
    findings
}

/// In a library that nothing happened to, there is nothing to find, and
/// looking changes nothing.
pub async fn verifying_a_sound_library_finds_nothing(backend: &dyn StorageBackend) {
    assert_eq!(verify(backend).await, []);
    let fixture = library_of(20, 51).embedded_by(&tiny_model(), 7).store(backend).await;
    let mut expected = fixture.songs.clone();
    // Files of the fixture are made up, so they are not looked for.
    let (song, bytes) = with_objects(backend, "with objects").await;
    backend.put_song(&song, PutMode::Create).await.unwrap();
    let edited = retagged(&expected[3]);
    let mode = PutMode::Replace(expected[3].revision.operation);
    backend.put_song(&edited, mode).await.unwrap();
    expected[3] = edited;
    let gone = expected.remove(7);
    backend.songs().delete(&[delete(gone.id)]).await.unwrap();

    assert_eq!(verify(backend).await, []);

    let ids: Vec<_> = expected.iter().map(|song| song.id).collect();
    let stored: Vec<_> =
        backend.songs().get(&ids).await.unwrap().into_iter().map(Option::unwrap).collect();
    assert_eq!(stored, expected);
    assert!(has_objects(backend, &song, &bytes).await);
}

/// What a crash leaves, objects without a song, is nothing to worry about.
pub async fn verifying_accepts_objects_without_a_song(backend: &dyn StorageBackend) {
    with_objects(backend, "on its way").await;

    assert_eq!(verify(backend).await, []);

    let collected = collect_garbage(backend).await;
    assert_eq!(collected.objects, 1 + u64::from(backend.capabilities().keeps_audio));
}
