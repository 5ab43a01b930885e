//! What is special about a library in a folder.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use songrec_core::{
    BlobRef, Digest, Event, Field, Filter, Job, Pattern, Progress, Remedy, Segment, SegmentId,
    Silent, Song, SongFile, SongId, SongSummary, Timestamp,
};
use songrec_local::{IndexKind, LocalBackend, LocalOptions, NearOptions, OnNeighbors};
use songrec_storage::{
    ErrorKind, Finding, Lookup, Lost, MemoryBackend, NearestQuery, Order, OrderBy, PutMode,
    SegmentQuery, SongQuery, StorageBackend, StorageBackendExt, VerifyOptions, read_blob,
};
use songrec_testkit::{Fixture, library_of, retitled, song, temp_dir, tiny_model, vector};

async fn create(root: &Path) -> LocalBackend {
    LocalBackend::create(root, LocalOptions::default()).await.unwrap()
}

async fn open(root: &Path) -> LocalBackend {
    LocalBackend::open(root, &Silent).await.unwrap()
}

async fn filled(root: &Path, count: usize) -> (LocalBackend, Fixture) {
    let library = create(root).await;
    let fixture = library_of(count, 1).embedded_by(&tiny_model(), 2).store(&library).await;
    (library, fixture)
}

async fn summaries(backend: &dyn StorageBackend) -> Vec<SongSummary> {
    let order = Order { by: OrderBy::Title, descending: false };
    let query = SongQuery { order, limit: 1_000, ..SongQuery::default() };
    backend.songs().find_summaries(&query).await.unwrap().items
}

async fn verify(library: &LocalBackend, repair: bool) -> Vec<Finding> {
    library
        .maintenance()
        .verify(&VerifyOptions { repair, read_data: true }, &Job::silent())
        .await
        .unwrap()
}

fn song_path(root: &Path, id: SongId) -> PathBuf {
    root.join("songs").join(id.shard()).join(format!("{id}.json"))
}

fn embedding_path(root: &Path, id: SongId) -> PathBuf {
    root.join("embeddings").join("tiny@1").join(id.shard()).join(format!("{id}.npy"))
}

/// Writes down what it is told.
#[derive(Debug, Default)]
struct Listener(Mutex<Vec<String>>);

impl Progress for Listener {
    fn on(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Listener {
    fn saw(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|event| event.contains(text))
    }
}

#[tokio::test]
async fn a_library_is_made_once() {
    let folder = temp_dir();
    assert!(!LocalBackend::is_library(folder.path()));
    let error = LocalBackend::open(folder.path(), &Silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().remedies().any(|remedy| *remedy == Remedy::Init));

    let made = create(folder.path()).await;

    assert!(LocalBackend::is_library(folder.path()));
    let options = LocalOptions::default();
    let error = LocalBackend::create(folder.path(), options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let opened = LocalBackend::open_or_create(folder.path(), options, &Silent).await.unwrap();
    assert_eq!(opened.id(), made.id());
}

#[tokio::test]
async fn a_newer_library_is_refused_and_left_alone() {
    let folder = temp_dir();
    drop(create(folder.path()).await);
    let path = folder.path().join("songrec.json");
    let known = fs::read_to_string(&path).unwrap();
    // A newer version has a checksum of its own.
    let newer = known.replace("\"format\": 1", "\"format\": 2").replace("check", "sum");
    fs::write(&path, &newer).unwrap();

    let error = LocalBackend::open(folder.path(), &Silent).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

/// With lists as without, and made again as they were.
#[tokio::test]
async fn an_index_of_lists_answers_like_comparing_with_every_song() {
    let folder = temp_dir();
    let (library, _) = filled(folder.path(), 1_100).await;
    let query = NearestQuery::new(tiny_model().name, vector(&[0.3; 8]), 30);
    let exact = library.embeddings().nearest(&query).await.unwrap();
    drop(library);
    fs::remove_dir_all(folder.path().join("index")).unwrap();

    let by_lists = LocalOptions { index: IndexKind::Ivf, ..LocalOptions::default() };
    let library = LocalBackend::open_with(folder.path(), by_lists, &Silent).await.unwrap();
    let found = library.embeddings().nearest(&query).await.unwrap();

    let indexes: Vec<_> = fs::read_dir(folder.path().join("index/tiny@1")).unwrap().collect();
    let [index] = &indexes[..] else { panic!("one index of songs") };
    let index = songrec_index::Index::open(&index.as_ref().unwrap().path()).unwrap();
    assert!(index.lists() > 1);
    let songs = |hits: &[songrec_storage::Neighbor]| {
        hits.iter().map(|hit| hit.song).collect::<std::collections::BTreeSet<_>>()
    };
    let missed = songs(&exact).difference(&songs(&found)).count();
    assert!(missed <= 1, "{missed} of 30 are missing");
}

#[tokio::test]
async fn every_song_is_told_its_neighbors() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 60).await;
    let found = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
    let filter = Filter::parse_all(&["-genre:rock"]).unwrap();
    let options = NearOptions { k: 3, threshold: None, stop: Arc::default() };
    let points = library.points(&tiny_model().name, &filter).await.unwrap();

    let told = Arc::clone(&found);
    let on_found: OnNeighbors = Arc::new(move |song, hits| {
        assert!(told.lock().unwrap().insert(song, hits).is_none(), "told twice");
    });
    assert!(points.neighbors_of_all(&options, on_found, &Silent).await.unwrap());

    let found = std::mem::take(&mut *found.lock().unwrap());
    let mut expected = 0;
    for embedding in &fixture.embeddings {
        let (song, vector) = (embedding.song, &embedding.vector);
        let mut query = NearestQuery::new(tiny_model().name, vector.clone(), 3);
        query.filter = filter.clone();
        query.exclude = vec![song];
        let hits = library.embeddings().nearest(&query).await.unwrap();
        let passes = summaries(&library)
            .await
            .iter()
            .any(|summary| summary.id == song && filter.passes(summary));
        expected += usize::from(passes);
        assert_eq!(found.get(&song), passes.then_some(&hits));
    }
    assert_eq!(found.len(), expected);
}

#[tokio::test]
async fn the_points_of_a_library_are_its_vectors_bit_for_bit() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 60).await;
    let filter = Filter::parse_all(&["-genre:rock"]).unwrap();
    let passing = summaries(&library).await.into_iter().filter(|summary| filter.passes(summary));
    let mut expected: Vec<SongId> = passing.map(|summary| summary.id).collect();
    expected.sort_unstable();

    let points = library.points(&tiny_model().name, &filter).await.unwrap();
    let all = library.points(&tiny_model().name, &Filter::all()).await.unwrap();

    let ids = points.ids().await.unwrap();
    assert_eq!(ids, expected);
    assert_eq!(all.ids().await.unwrap().len(), 60);
    let songs: Vec<SongId> = fixture.embeddings.iter().map(|one| one.song).collect();
    let rows = points.rows(&songs).await.unwrap();
    for (embedding, row) in fixture.embeddings.iter().zip(rows) {
        let vector = embedding.vector.values().to_vec();
        assert_eq!(row, expected.contains(&embedding.song).then_some(vector));
    }
}

#[tokio::test]
async fn a_table_has_a_place_for_each_song_until_songs_are_written() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 60).await;
    let filter = Filter::parse_all(&["-genre:rock"]).unwrap();
    let points = library.points(&tiny_model().name, &filter).await.unwrap();

    let table = points.mapped().await.unwrap();

    let mut songs: Vec<SongId> = table.songs().iter().map(|(_, song)| *song).collect();
    songs.sort_unstable();
    assert_eq!(songs, points.ids().await.unwrap());
    assert!(table.songs().iter().map(|(place, _)| *place).is_sorted_by(|one, two| one < two));
    assert_eq!((table.len(), table.as_ptr().is_some()), (60, true));
    assert!(table.is_current());

    let delete = songrec_testkit::delete(fixture.embeddings[0].song);
    library.songs().delete(&[delete]).await.unwrap();

    assert!(!table.is_current());
    assert_eq!(points.mapped().await.unwrap().len(), 60);
}

/// The first invariant, over random songs, against the definition.
#[tokio::test]
async fn what_is_derived_can_be_thrown_away() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 150).await;
    let memory = MemoryBackend::new();
    let theirs = Fixture { embeddings: fixture.embeddings.clone(), ..fixture.clone() };
    theirs.store(&memory).await;
    drop(library);

    for damage in ["nothing", "both", "catalog", "index", "garbage", "half"] {
        let catalog = folder.path().join("catalog.sqlite");
        let index = folder.path().join("index");
        match damage {
            "both" => {
                fs::remove_file(&catalog).unwrap();
                fs::remove_dir_all(&index).unwrap();
            }
            "catalog" => fs::remove_file(&catalog).unwrap(),
            "index" => fs::remove_dir_all(&index).unwrap(),
            "garbage" => fs::write(&catalog, vec![0x5a; 100_000]).unwrap(),
            "half" => {
                let bytes = fs::read(&catalog).unwrap();
                fs::write(&catalog, &bytes[..1_000]).unwrap();
            }
            _ => {}
        }
        let listener = Listener::default();
        let library = LocalBackend::open(folder.path(), &listener).await.unwrap();

        assert_eq!(listener.saw("Started"), damage != "nothing", "{damage}");
        assert_eq!(summaries(&library).await, summaries(&memory).await, "{damage}");
        let ids: Vec<SongId> = fixture.songs.iter().map(|song| song.id).collect();
        assert_eq!(
            library.songs().get(&ids).await.unwrap(),
            memory.songs().get(&ids).await.unwrap(),
            "{damage}"
        );
        let mut query = NearestQuery::new(tiny_model().name, vector(&[0.3; 8]), 40);
        query.filter = Filter::parse_all(&["-genre:rock"]).unwrap();
        let (ours, theirs) = (
            library.embeddings().nearest(&query).await.unwrap(),
            memory.embeddings().nearest(&query).await.unwrap(),
        );
        let songs = |hits: &[songrec_storage::Neighbor]| {
            hits.iter().map(|hit| hit.song).collect::<Vec<_>>()
        };
        assert_eq!(songs(&ours), songs(&theirs), "{damage}");
        let mut told = BTreeMapOf::default();
        for change in library.maintenance().changes(None, 1_000).await.unwrap().changes {
            told.insert(change.song, change.state);
        }
        assert_eq!(told.len(), fixture.songs.len(), "{damage}");
        let found = verify(&library, false).await;
        assert!(found.is_empty(), "{damage}: {found:?}");
    }
}

type BTreeMapOf = std::collections::BTreeMap<SongId, songrec_storage::ChangeState>;

#[tokio::test]
async fn a_cursor_from_before_the_catalog_was_lost_is_lost() {
    let folder = temp_dir();
    let (library, _) = filled(folder.path(), 3).await;
    let cursor = library.maintenance().changes(None, 10).await.unwrap().cursor;
    drop(library);
    fs::remove_file(folder.path().join("catalog.sqlite")).unwrap();

    let error =
        open(folder.path()).await.maintenance().changes(Some(&cursor), 10).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CursorLost);
}

/// Somebody brings songs back from a backup, or takes some away.
#[tokio::test]
async fn files_that_come_and_go_by_other_means_are_noticed() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 20).await;
    let (gone, kept) = (fixture.songs[3].id, fixture.songs[4].id);
    drop(library);
    let backup = fs::read(song_path(folder.path(), gone)).unwrap();
    fs::remove_file(song_path(folder.path(), gone)).unwrap();

    let library = open(folder.path()).await;

    assert_eq!(library.songs().count(&Filter::all()).await.unwrap(), 19);
    let query = NearestQuery::new(tiny_model().name, vector(&[0.3; 8]), 100);
    assert_eq!(library.embeddings().nearest(&query).await.unwrap().len(), 19);
    drop(library);

    fs::write(song_path(folder.path(), gone), backup).unwrap();
    let library = open(folder.path()).await;

    assert_eq!(summaries(&library).await.len(), 20);
    assert_eq!(library.embeddings().nearest(&query).await.unwrap().len(), 20);
    assert!(library.get_song(kept).await.unwrap().is_some());
    assert_eq!(verify(&library, false).await, []);
}

#[tokio::test]
async fn a_bit_that_flips_after_a_song_was_read_is_found() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 3).await;
    let (id, path) = (fixture.songs[1].id, song_path(folder.path(), fixture.songs[1].id));
    let whole = fs::read_to_string(&path).unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    // A letter of a value becomes the next one: JSON that says something else.
    let flipped = whole.replacen("\"added_at\":\"2", "\"added_at\":\"3", 1);
    assert_ne!(flipped, whole);

    for _ in 0..2 {
        assert_eq!(library.songs().get(&[id]).await.unwrap()[0], Some(fixture.songs[1].clone()));
    }
    fs::write(&path, &flipped).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();

    for _ in 0..2 {
        let error = library.songs().get(&[id]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    fs::write(&path, &whole).unwrap();
    assert!(library.songs().get(&[id]).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn a_damaged_song_is_left_out_and_named() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 12).await;
    let damaged = fixture.songs[5].id;
    drop(library);
    let path = song_path(folder.path(), damaged);
    fs::write(&path, "{ half a docum").unwrap();
    fs::remove_file(folder.path().join("catalog.sqlite")).unwrap();
    let listener = Listener::default();

    let library = LocalBackend::open(folder.path(), &listener).await.unwrap();

    assert!(listener.saw("Skipped") && listener.saw(&damaged.to_string()));
    assert_eq!(summaries(&library).await.len(), 11);
    let error = library.songs().get(&[damaged]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let found = verify(&library, false).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].subject.contains(&damaged.to_string()) && !found[0].repaired);
    let told = library.maintenance().changes(None, 100).await.unwrap();
    assert_eq!(told.changes.len(), 11);
    let unreadable: Vec<_> = told.unreadable.iter().map(|one| one.song).collect();
    assert_eq!(unreadable, [damaged]);
    // What it names is not known, so nothing that it may name is garbage.
    let collected = library
        .maintenance()
        .collect_garbage(std::time::Duration::ZERO, &Job::silent())
        .await
        .unwrap();
    assert_eq!(collected.objects, 0);

    // Storing it again, as a scan does, puts it right and keeps the old file.
    library.put_song(&fixture.songs[5], PutMode::Create).await.unwrap();

    assert_eq!(library.get_song(damaged).await.unwrap().as_ref(), Some(&fixture.songs[5]));
    assert_eq!(verify(&library, false).await, []);
    let aside: Vec<_> = fs::read_dir(folder.path().join("damaged")).unwrap().flatten().collect();
    assert_eq!(fs::read_to_string(aside[0].path()).unwrap(), "{ half a docum");
}

#[tokio::test]
async fn a_song_of_a_newer_version_is_left_alone() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 3).await;
    let id = fixture.songs[1].id;
    let path = song_path(folder.path(), id);
    let (known, next) = (Song::FORMAT, Song::FORMAT + 1);
    let document = fs::read_to_string(&path).unwrap();
    let newer = document.replacen(&format!("\"format\":{known}"), &format!("\"format\":{next}"), 1);
    fs::write(&path, &newer).unwrap();

    let error = library.songs().get(&[id]).await.unwrap_err();
    let put = library.put_song(&fixture.songs[1], PutMode::Create).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert_eq!(put.kind(), ErrorKind::Incompatible);
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    assert_eq!(verify(&library, true).await.len(), 1);
}

/// A disk that forgets: nothing but the file itself changes.
#[tokio::test]
async fn a_song_that_was_damaged_in_place_can_be_left_out_or_deleted() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 12).await;
    for (i, song) in fixture.songs[..2].iter().enumerate() {
        fs::write(song_path(folder.path(), song.id), vec![0; 100 + i]).unwrap();
    }
    let query = SongQuery { limit: 100, ..SongQuery::default() };

    assert_eq!(library.songs().find(&query).await.unwrap().items.len(), 10);
    assert_eq!(verify(&library, false).await.len(), 2);

    let delete = songrec_testkit::delete(fixture.songs[0].id);
    library.songs().delete(&[delete]).await.unwrap();

    assert!(library.get_song(fixture.songs[0].id).await.unwrap().is_none());
    assert_eq!(verify(&library, false).await.len(), 1);
}

/// A disk that flips a bit inside of a value.
#[tokio::test]
async fn a_flipped_bit_in_a_title_is_noticed() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 4).await;
    let id = fixture.songs[0].id;
    let edited = retitled(&fixture.songs[0], "a title");
    let before = PutMode::Replace(fixture.songs[0].revision.operation);
    library.put_song(&edited, before).await.unwrap();
    let path = song_path(folder.path(), id);
    let document = fs::read_to_string(&path).unwrap();
    fs::write(&path, document.replacen("a title", "a tidle", 1)).unwrap();

    let error = library.songs().get(&[id]).await.unwrap_err();
    let told = library.maintenance().changes(None, 100).await.unwrap();
    let found = verify(&library, false).await;

    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(told.unreadable.iter().map(|one| one.song).collect::<Vec<_>>(), [id]);
    assert!(found.len() == 1 && found[0].problem.contains("checksum"), "{found:?}");
    let mut next = edited.clone();
    next.revise(&edited, edited.updated_at);
    let put = library.put_song(&next, PutMode::Replace(edited.revision.operation)).await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A document that cannot be read keeps its song from coming back, and may hold
/// what a person said: it is moved, and whoever reads the changes looks again.
#[tokio::test]
async fn a_repair_puts_a_damaged_song_aside() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 12).await;
    let (song, buried) = (fixture.songs[0].id, fixture.songs[1].id);
    library.songs().delete(&[songrec_testkit::delete(buried)]).await.unwrap();
    let tombstone =
        folder.path().join("trash").join(&buried.to_string()[..2]).join(format!("{buried}.json"));
    let cursor = library.maintenance().changes(None, 100).await.unwrap().cursor;
    fs::write(song_path(folder.path(), song), "{ half a docum").unwrap();
    fs::write(&tombstone, "{ half a tombst").unwrap();

    let found = verify(&library, true).await;

    assert_eq!(found.len(), 2, "{found:?}");
    for one in &found {
        let id = if one.subject.contains(&song.to_string()) { song } else { buried };
        assert!(one.repaired && one.lost == Some(Lost::Song(id)), "{one:?}");
    }
    let mut aside: Vec<String> = fs::read_dir(folder.path().join("damaged"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    aside.sort();
    assert_eq!(aside, ["{ half a docum", "{ half a tombst"]);
    assert_eq!(summaries(&library).await.len(), 10);
    let error = library.maintenance().changes(Some(&cursor), 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CursorLost);
    assert_eq!(verify(&library, false).await, []);
    library.put_song(&fixture.songs[0], PutMode::Create).await.unwrap();
    assert_eq!(verify(&library, false).await, []);
}

#[tokio::test]
async fn a_damaged_embedding_is_an_error_and_a_finding() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 8).await;
    let (flipped, missing) = (fixture.songs[1].id, fixture.songs[2].id);
    let path = embedding_path(folder.path(), flipped);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::remove_file(embedding_path(folder.path(), missing)).unwrap();

    let error = library.get_embedding(&tiny_model().name, flipped).await.unwrap_err();
    let found = verify(&library, true).await;

    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let subjects: Vec<&str> = found.iter().map(|one| one.subject.as_str()).collect();
    assert!(subjects.contains(&format!("song `{flipped}`").as_str()), "{found:?}");
    assert!(subjects.contains(&format!("song `{missing}`").as_str()), "{found:?}");
    let lost: Vec<_> = found.into_iter().filter_map(|one| one.lost).collect();
    let model = tiny_model().name;
    assert!(lost.contains(&Lost::Embedding(flipped, model.clone())), "{lost:?}");
    assert!(lost.contains(&Lost::Embedding(missing, model)), "{lost:?}");
}

#[tokio::test]
async fn verifying_puts_right_what_loses_nothing() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 8).await;
    // A file is changed in place, which its folder does not show.
    let path = song_path(folder.path(), fixture.songs[0].id);
    let mut changed: Song = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    changed.edits.set(Field::Title, Some("changed by hand")).unwrap();
    let mut changed = serde_json::to_value(&changed).unwrap();
    changed["checksum"] = serde_json::Value::Null;
    fs::write(&path, changed.to_string()).unwrap();
    fs::write(folder.path().join("tmp").join("left.tmp"), "left").unwrap();

    let seen = verify(&library, false).await;
    let repaired = verify(&library, true).await;

    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|one| !one.repaired && one.hint.is_some()), "{seen:?}");
    assert!(repaired.len() == 2 && repaired.iter().all(|one| one.repaired), "{repaired:?}");
    assert_eq!(verify(&library, false).await, []);
    let filter = Filter::text("changed by hand");
    assert_eq!(library.songs().count(&filter).await.unwrap(), 1);
}

/// Whichever page of the catalog is damaged.
#[tokio::test]
async fn a_damaged_catalog_is_built_again() {
    let folder = temp_dir();
    let (library, _) = filled(folder.path(), 20).await;
    drop(library);
    let path = folder.path().join("catalog.sqlite");
    let whole = fs::read(&path).unwrap();
    let mut found_by_verify = 0;

    for page in (0..whole.len()).step_by(4096) {
        let mut bytes = whole.clone();
        bytes[page..page + 4096].fill(0xa5);
        fs::write(&path, bytes).unwrap();

        let library = open(folder.path()).await;
        let found = verify(&library, true).await;

        found_by_verify += usize::from(!found.is_empty());
        assert_eq!(summaries(&library).await.len(), 20, "{page}");
        assert_eq!(verify(&library, false).await, [], "{page}");
    }
    assert!(found_by_verify > 5, "only {found_by_verify}");
}

#[tokio::test]
async fn audio_is_read_where_it_lies() {
    let (folder, elsewhere) = (temp_dir(), temp_dir());
    let library = create(folder.path()).await;
    let bytes = songrec_testkit::audio(3_000_000, 1);
    let blob = BlobRef { sha256: Digest::of(&bytes), size: 3_000_000, key: None };
    assert!(library.blobs().get(&blob, None).await.unwrap().is_none());
    for (path, file) in [
        ("music/loop.wav".to_owned(), folder.path().join("music/loop.wav")),
        (elsewhere.path().join("a.wav").display().to_string(), elsewhere.path().join("a.wav")),
    ] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &bytes).unwrap();
        let mut song = song(&path);
        song.files = vec![SongFile { path, sha256: blob.sha256, size: blob.size }];
        library.put_song(&song, PutMode::Create).await.unwrap();

        let whole = library.blobs().get(&blob, None).await.unwrap().unwrap();
        let part = library.blobs().get(&blob, Some(1_000_000..2_500_000)).await.unwrap().unwrap();

        assert!(read_blob(whole).await.unwrap() == bytes);
        assert!(read_blob(part).await.unwrap() == bytes[1_000_000..2_500_000]);
        fs::write(&file, "another file by now").unwrap();
        assert!(library.blobs().get(&blob, None).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_song_that_leaves_the_library_is_not_followed() {
    let (folder, elsewhere) = (temp_dir(), temp_dir());
    let library = create(&folder.path().join("library")).await;
    fs::write(elsewhere.path().join("secret"), "secret").unwrap();
    let outside = elsewhere.path().strip_prefix("/").unwrap().join("secret");
    let path = format!("{}{}", "../".repeat(20), outside.display());
    let blob = BlobRef { sha256: Digest::of(b"secret"), size: 6, key: None };
    let mut song = song("a");
    song.files = vec![SongFile { path, sha256: blob.sha256, size: blob.size }];
    library.put_song(&song, PutMode::Create).await.unwrap();

    assert!(library.blobs().get(&blob, None).await.unwrap().is_none());
}

#[tokio::test]
async fn files_are_those_that_other_programs_can_read() {
    let folder = temp_dir();
    let (library, fixture) = filled(folder.path(), 1).await;
    let song = &fixture.songs[0];

    let json = fs::read(song_path(folder.path(), song.id)).unwrap();
    assert_eq!(serde_json::from_slice::<Song>(&json).unwrap(), *song);
    let npy = fs::read(embedding_path(folder.path(), song.id)).unwrap();
    assert!(npy.starts_with(b"\x93NUMPY\x01\x00"));
    assert!(npy.ends_with(&fixture.embeddings[0].vector.to_le_bytes()));

    let edited = retitled(song, "edited");
    library.put_song(&edited, PutMode::Replace(song.revision.operation)).await.unwrap();
    let lookup = [Lookup::IdPrefix(song.id.short())];
    assert_eq!(library.songs().lookup(&lookup).await.unwrap(), [[song.id]]);
}

#[tokio::test]
async fn patterns_that_an_older_catalog_lacks_are_read_again() {
    let root = temp_dir();
    let (library, fixture) = filled(root.path(), 2).await;
    let id = SegmentId::from_bytes([7; 16]);
    let segment = Segment {
        id,
        song: fixture.songs[0].id,
        start: 0.0,
        end: 1.0,
        frequencies: None,
        kind: "harmonic".to_owned(),
        confidence: 1.0,
        model: tiny_model().name,
        vector: vector(&[1.0; 8]),
        created_at: Timestamp::UNIX_EPOCH,
        pattern: Some(Pattern {
            id,
            source: None,
            metadata: serde_json::Map::new(),
            changed_at: Timestamp::UNIX_EPOCH,
        }),
    };
    library.segments().put(std::slice::from_ref(&segment)).await.unwrap();
    drop(library);
    // As an older songrec builds it, which refuses the file.
    let catalog = rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap();
    catalog
        .execute_batch(
            "DELETE FROM segment; DROP INDEX segment_pattern; \
             ALTER TABLE segment DROP COLUMN pattern; ALTER TABLE segment DROP COLUMN source; \
             PRAGMA user_version = 2;",
        )
        .unwrap();
    drop(catalog);

    let library = open(root.path()).await;

    let all = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    assert_eq!(library.segments().find(&all).await.unwrap(), [segment]);
    assert_eq!(verify(&library, false).await, []);
}
