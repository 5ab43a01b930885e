//! Use cases as a server would call them: lists, points, and two libraries,
//! without a command line.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use songrec_core::{Event, Filter, Job, Progress, Remedy, Silent, SongId, SongSummary};
use songrec_library::{
    Config, Directories, Error, ErrorKind, InitOptions, Library, Sources,
    find::{self, List, Listing, Nothing, Order, OrderBy, Selection},
    points,
    share::{self, Libraries, MaxDelete, Round},
};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{MemoryBackend, StorageBackend};
use songrec_testkit::{Fixture, delete, library_of, temp_dir, tiny_model};

const SONGS: usize = 60;

/// Settings of which everything lies below a folder.
pub(crate) fn config(root: &Path) -> Arc<Config> {
    let sources = Sources {
        directories: Directories::below(root),
        working_folder: root.to_owned(),
        variables: BTreeMap::new(),
        file: None,
        no_files: true,
        flags: Vec::new(),
        host: "laptop".to_owned(),
    };
    Arc::new(Config::load(sources).unwrap())
}

fn songs() -> Fixture {
    library_of(SONGS, 1).embedded_by(&tiny_model(), 2)
}

pub(crate) async fn in_memory(root: &Path) -> (Library, Fixture) {
    let backend = MemoryBackend::new();
    let fixture = songs().store(&backend).await;
    (Library::new(Arc::new(backend), config(root), "test".to_owned(), None), fixture)
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn on(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(serde_json::to_string(&event).unwrap());
    }
}

#[tokio::test]
async fn a_list_is_read_as_far_as_it_is_wanted() {
    let root = temp_dir();
    let (library, fixture) = in_memory(root.path()).await;
    let order = Order { by: OrderBy::Title, descending: false };
    let listing = |skip, limit| Listing { order, skip, limit, ..Listing::default() };
    let titles = |summaries: &[SongSummary]| {
        summaries.iter().map(|summary| summary.title.clone()).collect::<Vec<_>>()
    };
    let mut whole = List::new(&library, listing(0, usize::MAX));
    let all = whole.next().await.unwrap().unwrap();
    assert_eq!((all.len(), whole.found(), whole.has_more()), (SONGS, SONGS, false));
    assert!(whole.next().await.unwrap().is_none());

    let mut some = List::new(&library, listing(5, 10));
    let page = some.next().await.unwrap().unwrap();

    assert_eq!(titles(&page), titles(&all[5..15]));
    assert!(some.has_more() && some.next().await.unwrap().is_none());
    assert_eq!(find::count(&library, &Selection::default()).await.unwrap(), SONGS as u64);
    let ids = [fixture.songs[3].id, SongId::from_bytes([7; 16])];
    assert_eq!(find::summaries(&library, &ids).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_empty_list_says_why() {
    let root = temp_dir();
    let (library, _) = in_memory(root.path()).await;
    let empty = Library::new(Arc::new(MemoryBackend::new()), config(root.path()), "e".into(), None);
    let nobody = Selection { filter: Filter::parse_all(&["title:nobody"]).unwrap(), missing: None };

    for (library, listing, expected) in [
        (&empty, Listing::default(), Nothing::Empty),
        (
            &library,
            Listing { skip: 99, ..Listing::default() },
            Nothing::Beyond { skipped: 99, songs: 60 },
        ),
        (
            &library,
            Listing { selection: nobody, ..Listing::default() },
            Nothing::NonePass { songs: 60 },
        ),
    ] {
        let mut list = List::new(library, listing);
        while let Some(summaries) = list.next().await.unwrap() {
            assert_eq!(summaries, []);
        }
        assert_eq!(list.why_nothing().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn points_are_the_same_wherever_the_library_is() {
    let root = temp_dir();
    let (far, fixture) = in_memory(root.path()).await;
    let here = root.path().join("here");
    let backend = LocalBackend::create(&here, LocalOptions::default()).await.unwrap();
    songs().store(&backend).await;
    drop(backend);
    let (here, _) =
        Library::init(config(root.path()), &here, InitOptions::default(), Arc::new(Silent))
            .await
            .unwrap();
    let (model, filter) = (tiny_model().name, Filter::parse_all(&["-genre:rock"]).unwrap());
    let ids: Vec<SongId> = fixture.embeddings.iter().map(|one| one.song).collect();
    let mut read = Vec::new();

    for library in [&here, &far] {
        let points = points(library, Some(&model), &filter, &Job::silent()).await.unwrap().unwrap();
        assert_eq!(points.spec().name, model);
        let near = Arc::new(Mutex::new(BTreeMap::new()));
        let told = near.clone();
        let on_found = move |song: SongId, neighbors: Vec<(SongId, f64)>| {
            let neighbors: Vec<SongId> = neighbors.into_iter().map(|(id, _)| id).collect();
            told.lock().unwrap().insert(song, neighbors);
        };
        assert!(points.neighbors_of_all(3, None, on_found, &Job::silent()).await.unwrap());
        let near = near.lock().unwrap().clone();
        read.push((points.ids().await.unwrap(), points.rows(&ids).await.unwrap(), near));
    }

    assert_eq!(read[0], read[1]);
    let (passing, rows, near) = &read[0];
    assert!(!passing.is_empty() && passing.len() < SONGS && near.len() == passing.len());
    for (embedding, row) in fixture.embeddings.iter().zip(rows) {
        let vector = Some(embedding.vector.values().to_vec());
        assert_eq!(*row, vector.filter(|_| passing.contains(&embedding.song)));
    }
    let error = points(&here, Some(&"no@1".parse().unwrap()), &filter, &Job::silent()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

// Two libraries in folders, the left one with songs.
async fn pair(root: &Path) -> Libraries {
    let (left, right) = (root.join("left"), root.join("right"));
    for (folder, is_filled) in [(&left, true), (&right, false)] {
        let backend = LocalBackend::create(folder, LocalOptions::default()).await.unwrap();
        if is_filled {
            songs().store(&backend).await;
        }
    }
    let [left, right] = [left, right].map(|folder| Some(folder.display().to_string()));
    let progress = Arc::new(Silent);
    Libraries::open(config(root), left, right, progress).await.unwrap()
}

#[tokio::test]
async fn two_libraries_are_made_to_agree_and_the_job_is_told() {
    let root = temp_dir();
    let libraries = pair(root.path()).await;
    let options = share::options(libraries.config()).unwrap();
    assert_eq!(options.machine, "laptop");
    let told = Arc::new(Told::default());
    let job = Job::reporting_to(told.clone());

    let plan = share::plan(&libraries, &options, &job).await.unwrap();
    let report = share::sync(&libraries, &options, &job).await.unwrap();

    assert_eq!((plan.counts.right.add, report.counts.right.add), (SONGS as u64, SONGS as u64));
    assert!(share::check(&libraries, true, &job).await.unwrap().is_equal());
    let told = told.0.lock().unwrap();
    for expected in [
        r#"{"event":"started","work":"looking_for_changes"}"#.to_owned(),
        format!(r#"{{"event":"started","work":"syncing","total":{SONGS}}}"#),
        r#"{"event":"finished"}"#.to_owned(),
    ] {
        assert!(told.contains(&expected), "{expected}");
    }
}

#[tokio::test]
async fn who_keeps_syncing_ends_when_asked_and_is_told_of_each_round() {
    let root = temp_dir();
    let libraries = pair(root.path()).await;
    let options = share::options(libraries.config()).unwrap();
    let job = Job::silent();
    let mut rounds = 0;

    let tell = |round| {
        let Round::Done(report) = round else { panic!("{round:?}") };
        rounds += report.counts.right.add;
        job.interrupt.set();
        Ok::<(), Error>(())
    };
    share::keep_syncing(&libraries, options, Duration::from_secs(600), &job, tell).await.unwrap();

    assert_eq!(rounds, SONGS as u64);
}

#[tokio::test]
async fn a_guard_names_what_would_let_it_pass() {
    let root = temp_dir();
    let libraries = pair(root.path()).await;
    let mut options = share::options(libraries.config()).unwrap();
    share::sync(&libraries, &options, &Job::silent()).await.unwrap();
    let backend = LocalBackend::open(root.path().join("left"), &Silent).await;
    let deletes: Vec<_> = songs().songs.iter().take(2).map(|song| delete(song.id)).collect();
    backend.unwrap().songs().delete(&deletes).await.unwrap();
    options.max_delete = MaxDelete::Songs(1);

    let error = share::sync(&libraries, &options, &Job::silent()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Guard);
    let remedies: Vec<&Remedy> = error.hint().unwrap().remedies().collect();
    assert_eq!(remedies, [&Remedy::PlanOnly, &Remedy::AllowDeletions(2)]);
}

#[tokio::test]
async fn one_library_is_no_pair() {
    let root = temp_dir();
    let _ = pair(root.path()).await;
    let left = Some(root.path().join("left").display().to_string());

    let error = Libraries::open(config(root.path()), left.clone(), left, Arc::new(Silent))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Usage);
}
