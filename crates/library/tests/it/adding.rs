//! Songs that are added together are there together, or not at all.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use songrec_core::{
    AudioProperties, Digest, Event, Filter, Interrupt, Job, Progress, Song, SongId, Timestamp,
    Vector,
};
use songrec_library::{
    EditChange, ErrorKind, InitOptions, Library, NewSong, add_all, edit, take_back_unfinished,
};
use songrec_storage::{MemoryBackend, StorageBackend};
use songrec_testkit::{Fault, Faulty, temp_dir, tiny_model};

use crate::floor::config;

/// More than two batches.
const SONGS: usize = 2_300;

fn new_song(number: usize) -> NewSong {
    let hash = Digest::of(format!("song {number}").as_bytes());
    let song = Song::new(hash, AudioProperties::default(), Timestamp::UNIX_EPOCH);
    let model = tiny_model();
    let vector = (0..model.dimension).map(|at| 1.0 + (at * number) as f32).collect();
    let vector = Vector::new(vector).unwrap();
    NewSong { song, vectors: BTreeMap::from([(model.name, vector)]) }
}

fn new_songs(count: usize) -> Vec<NewSong> {
    (0..count).map(new_song).collect()
}

/// A library in memory that counts, and fails as it is told.
async fn faulty(root: &Path) -> (Library, Arc<Faulty<MemoryBackend>>) {
    let backend = Arc::new(Faulty::new(MemoryBackend::new()));
    backend.inner().embeddings().put_model(&tiny_model()).await.unwrap();
    let library = Library::new(backend.clone(), config(root), "test".to_owned(), None);
    (library, backend)
}

async fn count(backend: &dyn StorageBackend) -> u64 {
    backend.songs().count(&Filter::all()).await.unwrap()
}

// What is left to take back.
fn journals(root: &Path) -> usize {
    let mut folders = vec![root.to_owned()];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found += usize::from(path.parent().unwrap().ends_with("adding"));
            }
        }
    }
    found
}

/// Asks for the end after so many songs.
#[derive(Debug)]
struct After(AtomicUsize, Interrupt);

impl Progress for After {
    fn on(&self, event: Event<'_>) {
        if matches!(event, Event::Advanced { .. }) && self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.1.set();
        }
    }
}

fn interrupted_after(songs: usize) -> Job {
    let interrupt = Interrupt::default();
    let progress = Arc::new(After(AtomicUsize::new(songs), interrupt.clone()));
    Job { progress, interrupt }
}

#[tokio::test]
async fn what_is_added_is_there_and_its_ids_are_in_order() {
    let root = temp_dir();
    let (library, backend) = faulty(root.path()).await;
    let songs = new_songs(SONGS);
    let expected: Vec<SongId> = songs.iter().map(|new| new.song.id).collect();

    let ids = add_all(&library, songs, &Job::silent()).await.unwrap();

    assert_eq!(ids, expected);
    assert_eq!(count(&*backend).await, SONGS as u64);
    let model = tiny_model().name;
    let stored = backend.inner().embeddings().get(&model, &ids[7..8]).await.unwrap();
    let vector = stored[0].clone().unwrap().embedding.vector;
    assert_eq!(&vector, &new_song(7).vectors[&model]);
    assert_eq!(journals(root.path()), 0);
    assert_eq!(take_back_unfinished(&library).await.unwrap(), 0);
    assert_eq!(count(&*backend).await, SONGS as u64);
    assert_eq!(add_all(&library, Vec::new(), &Job::silent()).await.unwrap(), []);
}

#[tokio::test]
async fn everything_is_checked_before_anything_is_written() {
    let root = temp_dir();
    let (library, backend) = faulty(root.path()).await;
    add_all(&library, vec![new_song(1)], &Job::silent()).await.unwrap();
    let (puts, embeddings) = (backend.calls("songs.put"), backend.calls("embeddings.put"));
    let wrong = |change: fn(&mut NewSong)| {
        let mut new = new_song(5);
        change(&mut new);
        vec![new_song(2), new]
    };
    let dimension = tiny_model().dimension;
    let short = |id: SongId| id.short().to_string();
    let cases = [
        (vec![new_song(2), new_song(1)], vec![short(new_song(1).song.id), "already".to_owned()]),
        (vec![new_song(2), new_song(2)], vec![short(new_song(2).song.id), "twice".to_owned()]),
        (
            wrong(|new| {
                let vector = Vector::new(vec![1.0; 77]).unwrap();
                new.vectors.values_mut().for_each(|one| *one = vector.clone());
            }),
            vec![short(new_song(5).song.id), "77".to_owned(), dimension.to_string()],
        ),
        (
            wrong(|new| {
                let vector = new.vectors.pop_first().unwrap().1;
                new.vectors.insert("strange@1".parse().unwrap(), vector);
            }),
            vec![short(new_song(5).song.id), "strange@1".to_owned()],
        ),
    ];
    for (songs, named) in cases {
        let error = add_all(&library, songs, &Job::silent()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Usage, "{error:?}");
        let text = error.in_one_line();
        assert!(text.contains("none of the 2 songs was added"), "{text}");
        for name in named {
            assert!(text.contains(&name), "{name}: {text}");
        }
    }
    assert_eq!(backend.calls("songs.put"), puts);
    assert_eq!(backend.calls("embeddings.put"), embeddings);
    assert_eq!(journals(root.path()), 0);
}

#[tokio::test]
async fn many_problems_are_counted_and_some_are_named() {
    let root = temp_dir();
    let (library, _) = faulty(root.path()).await;
    let songs = (0..20).chain(0..20).map(new_song).collect();

    let error = add_all(&library, songs, &Job::silent()).await.unwrap_err();

    let text = error.in_one_line();
    assert!(text.contains("; and 15 more"), "{text}");
}

#[tokio::test]
async fn whatever_fails_nothing_stays() {
    let batches = SONGS.div_ceil(1_000);
    for operation in ["songs.put", "embeddings.put"] {
        for call in 0..batches {
            for fault in [Fault::Before, Fault::After, Fault::Partial] {
                let root = temp_dir();
                let (library, backend) = faulty(root.path()).await;
                let plan = std::iter::repeat_n(None, call).chain([Some(fault)]);
                backend.plan(operation, plan);

                let error = add_all(&library, new_songs(SONGS), &Job::silent()).await.unwrap_err();

                let what = format!("{operation} {call} {fault:?}: {error:?}");
                assert_eq!(backend.injected(), 1, "{what}");
                assert_eq!(error.kind(), ErrorKind::Temporary, "{what}");
                assert_eq!(count(&*backend).await, 0, "{what}");
                assert_eq!(journals(root.path()), 0, "{what}");
                // The way is free for another try.
                add_all(&library, new_songs(SONGS), &Job::silent()).await.unwrap();
                assert_eq!(count(&*backend).await, SONGS as u64, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_at_once_is_taken_back_later() {
    let root = temp_dir();
    let (library, backend) = faulty(root.path()).await;
    backend.plan("songs.put", [None, Some(Fault::Partial)]);
    backend.plan("songs.delete", [None, Some(Fault::Before)]);

    let error = add_all(&library, new_songs(SONGS), &Job::silent()).await.unwrap_err();

    assert!(error.to_string().contains("still there"), "{error:?}");
    let there = count(&*backend).await;
    assert!(there > 0, "{there}");
    assert_eq!(journals(root.path()), 1);
    // What somebody changed meanwhile is his.
    let changed = new_song(SONGS / 2).song.id;
    let title = "title".parse().unwrap();
    edit(&library, changed, &[EditChange::Set(title, "mine".to_owned())]).await.unwrap();

    assert_eq!(take_back_unfinished(&library).await.unwrap(), there - 1);

    assert_eq!(count(&*backend).await, 1);
    assert_eq!(take_back_unfinished(&library).await.unwrap(), 0);
    assert_eq!(journals(root.path()), 0);
}

#[tokio::test]
async fn who_is_at_work_is_left_in_peace() {
    let root = temp_dir();
    let (library, backend) = faulty(root.path()).await;
    backend.plan("songs.put", [None, Some(Fault::Delay(Duration::from_millis(300)))]);
    let adding = tokio::spawn({
        let library = library.clone();
        async move { add_all(&library, new_songs(SONGS), &Job::silent()).await }
    });
    while backend.calls("songs.put") < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(journals(root.path()), 1);

    assert_eq!(take_back_unfinished(&library).await.unwrap(), 0);

    assert_eq!(adding.await.unwrap().unwrap().len(), SONGS);
    assert_eq!(count(&*backend).await, SONGS as u64);
}

#[tokio::test]
async fn an_interrupt_takes_back_what_was_added() {
    let root = temp_dir();
    let (library, backend) = faulty(root.path()).await;

    let error = add_all(&library, new_songs(SONGS), &interrupted_after(1_500)).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(backend.calls("songs.put"), 2);
    assert_eq!(count(&*backend).await, 0);
}

#[tokio::test]
async fn the_next_open_takes_back_what_a_dead_process_added() {
    let root = temp_dir();
    let folder = root.path().join("library");
    let (settings, silent) = (config(root.path()), Arc::new(songrec_core::Silent));
    let (library, _) =
        Library::init(settings.clone(), &folder, InitOptions::default(), silent.clone())
            .await
            .unwrap();
    // A new library knows no model.
    let bare = |new: NewSong| NewSong { vectors: BTreeMap::new(), ..new };
    add_all(&library, vec![bare(new_song(9_999))], &Job::silent()).await.unwrap();
    let songs: Vec<NewSong> = new_songs(SONGS).into_iter().map(bare).collect();
    let job = interrupted_after(1_000);
    let interrupt = job.interrupt.clone();
    // Nobody goes on with it after the first batch, as if the process had died.
    let dead = async {
        while !interrupt.is_set() {
            tokio::task::yield_now().await;
        }
    };
    let silent_job = Job { interrupt: Interrupt::default(), ..job };
    tokio::select! {
        biased;
        () = dead => {}
        _ = add_all(&library, songs, &silent_job) => panic!("it came to its end"),
    }
    drop(library);
    assert_eq!(journals(root.path()), 1);

    let library = Library::open_named(
        settings,
        &folder.display().to_string(),
        songrec_library::Access::Cached,
        silent,
    )
    .await
    .unwrap();

    let selection = songrec_library::find::Selection::default();
    assert_eq!(songrec_library::find::count(&library, &selection).await.unwrap(), 1);
    assert_eq!(journals(root.path()), 0);
}
