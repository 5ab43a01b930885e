//! Vectors can be replaced and removed, of one song and of all.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{path::Path, sync::Arc};

use songrec_core::{
    Filter, Interrupt, Job, ModelName, Pattern, Segment, SegmentId, Song, SongId, Timestamp, Vector,
};
use songrec_library::{
    ErrorKind, Library, drop_model, find, model_use, remove_embedding, replace_embedding,
};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{NearestQuery, SegmentQuery, StorageBackend, StorageBackendExt};
use songrec_testkit::{dot_model, library_of, temp_dir, tiny_model};

use crate::floor::config;

const SONGS: usize = 30;

/// A library on disk whose songs two models embedded.
async fn local(root: &Path) -> (Library, LocalBackend, Vec<Song>) {
    let folder = root.join("library");
    std::fs::create_dir_all(&folder).unwrap();
    let backend = LocalBackend::create(&folder, LocalOptions::default()).await.unwrap();
    let fixture = library_of(SONGS, 1).embedded_by(&tiny_model(), 2).embedded_by(&dot_model(), 3);
    let fixture = fixture.store(&backend).await;
    let library =
        Library::new(Arc::new(backend.clone()), config(root), "test".to_owned(), Some(folder));
    (library, backend, fixture.songs)
}

fn tiny() -> ModelName {
    tiny_model().name
}

async fn vector_of(backend: &LocalBackend, model: &ModelName, song: SongId) -> Option<Vector> {
    let stored = backend.get_embedding(model, song).await.unwrap();
    stored.map(|stored| stored.embedding.vector)
}

async fn all_nearest(backend: &LocalBackend, model: &ModelName, vector: Vector) -> Vec<SongId> {
    let query = NearestQuery::new(model.clone(), vector, SONGS);
    backend.nearest_songs(&query).await.unwrap().into_iter().map(|(_, song)| song.id).collect()
}

fn pointing(dimension: usize, value: f32) -> Vector {
    let values = (0..dimension).map(|at| if at == 0 { value } else { 0.001 }).collect();
    Vector::new(values).unwrap()
}

fn segment(song: SongId, model: ModelName, dimension: usize, is_pattern: bool) -> Segment {
    let id = SegmentId::random();
    let changed_at = Timestamp::UNIX_EPOCH;
    let pattern = Pattern { id, source: None, metadata: Default::default(), changed_at };
    Segment {
        id,
        song,
        start: 0.0,
        end: 1.0,
        frequencies: None,
        kind: if is_pattern { "harmonic" } else { "window" }.to_owned(),
        confidence: 1.0,
        model,
        vector: pointing(dimension, 1.0),
        created_at: changed_at,
        pattern: is_pattern.then_some(pattern),
    }
}

#[tokio::test]
async fn a_vector_can_be_replaced() {
    let root = temp_dir();
    let (library, backend, songs) = local(root.path()).await;
    let (id, dimension) = (songs[3].id, tiny_model().dimension);
    let before = vector_of(&backend, &tiny(), id).await.unwrap();
    let wanted = pointing(dimension, 7.0);
    assert_ne!(before, wanted);

    replace_embedding(&library, id, &tiny(), wanted.clone()).await.unwrap();

    assert_eq!(vector_of(&backend, &tiny(), id).await, Some(wanted.clone()));
    assert_eq!(all_nearest(&backend, &tiny(), wanted.clone()).await[0], id);
    // The other model's is as it was; and doing it again changes nothing.
    let song = backend.get_song(id).await.unwrap().unwrap();
    assert_eq!(song.embeddings[&dot_model().name], songs[3].embeddings[&dot_model().name]);
    replace_embedding(&library, id, &tiny(), wanted).await.unwrap();
    assert_eq!(backend.get_song(id).await.unwrap().unwrap().revision, song.revision);
}

#[tokio::test]
async fn a_vector_that_cannot_be_is_refused_and_the_old_one_stays() {
    let root = temp_dir();
    let (library, backend, songs) = local(root.path()).await;
    let id = songs[3].id;
    let before = vector_of(&backend, &tiny(), id).await;

    let wrong = pointing(5, 1.0);
    let error = replace_embedding(&library, id, &tiny(), wrong.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.in_one_line().contains('5'), "{error:?}");
    let strange = "strange@1".parse().unwrap();
    let error = replace_embedding(&library, id, &strange, wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(vector_of(&backend, &tiny(), id).await, before);
}

#[tokio::test]
async fn a_vector_can_be_removed_once() {
    let root = temp_dir();
    let (library, backend, songs) = local(root.path()).await;
    let id = songs[3].id;

    assert!(remove_embedding(&library, id, &tiny()).await.unwrap());
    assert!(!remove_embedding(&library, id, &tiny()).await.unwrap());

    assert_eq!(vector_of(&backend, &tiny(), id).await, None);
    assert!(vector_of(&backend, &dot_model().name, id).await.is_some());
    let near = pointing(tiny_model().dimension, 1.0);
    let found = all_nearest(&backend, &tiny(), near).await;
    assert_eq!(found.len(), SONGS - 1);
    assert!(!found.contains(&id));
}

#[tokio::test]
async fn a_model_is_dropped_with_its_windows_and_without_patterns() {
    let root = temp_dir();
    let (library, backend, songs) = local(root.path()).await;
    let dimension = tiny_model().dimension;
    let of = |song: usize, is_pattern| segment(songs[song].id, tiny(), dimension, is_pattern);
    let other = segment(songs[0].id, dot_model().name, dot_model().dimension, false);
    backend.segments().put(&[of(0, false), of(1, false), of(1, true), other]).await.unwrap();
    assert_eq!(model_use(&library, tiny().name()).await.unwrap().songs, SONGS as u64);

    let dropped = drop_model(&library, &tiny(), &Job::silent()).await.unwrap();

    assert_eq!((dropped.songs, dropped.windows, dropped.patterns), (SONGS as u64, 2, 1));
    assert!(!dropped.interrupted);
    assert_eq!(model_use(&library, tiny().as_str()).await.unwrap().songs, 0);
    assert_eq!(all_nearest(&backend, &tiny(), pointing(dimension, 1.0)).await, []);
    let left = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    assert_eq!(backend.segments().find(&left).await.unwrap().len(), 2);
    let stats = find::stats(&library, &Filter::all()).await.unwrap();
    let names: Vec<&str> = stats.models.iter().map(|one| one.name.as_str()).collect();
    assert!(names.contains(&dot_model().name.as_str()), "{names:?}");
    // Its bytes go with the garbage.
    let collected = backend
        .maintenance()
        .collect_garbage(std::time::Duration::ZERO, &Job::silent())
        .await
        .unwrap();
    assert_eq!(collected.objects, SONGS as u64);
}

#[tokio::test]
async fn dropping_can_be_interrupted_and_goes_on() {
    let root = temp_dir();
    let (library, _, _) = local(root.path()).await;
    let interrupt = Interrupt::default();
    interrupt.set();
    let job = Job { interrupt, ..Job::silent() };

    let dropped = drop_model(&library, &tiny(), &job).await.unwrap();
    assert!(dropped.interrupted);
    assert_eq!(dropped.songs, 0);

    let dropped = drop_model(&library, &tiny(), &Job::silent()).await.unwrap();
    assert_eq!(dropped.songs, SONGS as u64);
}

#[tokio::test]
async fn a_model_that_is_not_known_cannot_be_dropped() {
    let root = temp_dir();
    let (library, _, _) = local(root.path()).await;

    let error = model_use(&library, "strange").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = drop_model(&library, &"strange@1".parse().unwrap(), &Job::silent()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}
