//! What is derived may be damaged: answers stay right, or it is said.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Filter, Hint, Job, Remedy, Silent, SongId};
use songrec_local::{IndexKind, LocalBackend, LocalOptions};
use songrec_storage::{
    ErrorKind, Finding, NearestQuery, Neighbor, SongQuery, StorageBackend, VerifyOptions,
};
use songrec_testkit::{Fixture, library_of, temp_dir, tiny_model};

async fn open(root: &Path) -> LocalBackend {
    LocalBackend::open(root, &Silent).await.unwrap()
}

async fn filled(root: &Path, count: usize) -> Fixture {
    let library = LocalBackend::create(root, LocalOptions::default()).await.unwrap();
    library_of(count, 1).embedded_by(&tiny_model(), 2).store(&library).await
}

async fn verify(library: &LocalBackend, repair: bool) -> Vec<Finding> {
    library
        .maintenance()
        .verify(&VerifyOptions { repair, read_data: true }, &Job::silent())
        .await
        .unwrap()
}

fn is_repair(hint: &Hint) -> bool {
    hint.remedies().any(|remedy| matches!(remedy, Remedy::Verify { repair: true, .. }))
}

fn query(fixture: &Fixture, number: usize) -> NearestQuery {
    let embedding = &fixture.embeddings[number];
    NearestQuery {
        model: embedding.model.clone(),
        vector: embedding.vector.clone(),
        k: 7,
        offset: 0,
        threshold: None,
        metric: None,
        filter: Filter::all(),
        exclude: vec![embedding.song],
    }
}

/// The nearest songs, by the definition.
fn exact(fixture: &Fixture, query: &NearestQuery) -> Vec<SongId> {
    let mut all: Vec<(f64, SongId)> = fixture
        .embeddings
        .iter()
        .filter(|embedding| !query.exclude.contains(&embedding.song))
        .map(|embedding| {
            let metric = fixture.models[0].metric;
            (metric.compare(&query.vector, &embedding.vector).0, embedding.song)
        })
        .collect();
    all.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    all.into_iter().take(query.k).map(|(_, id)| id).collect()
}

fn ids(found: &[Neighbor]) -> Vec<SongId> {
    found.iter().map(|neighbor| neighbor.song).collect()
}

/// The folder of the only index.
fn index_of(root: &Path) -> PathBuf {
    let mut folders = fs::read_dir(root.join("index").join("tiny@1")).unwrap();
    let folder = folders.next().unwrap().unwrap().path();
    assert!(folders.next().is_none(), "there is one index at a time");
    folder
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| fs::metadata(path).unwrap().len() > 0);
    files.sort();
    files
}

#[tokio::test]
async fn no_flipped_bit_of_an_index_changes_neighbors() {
    let folder = temp_dir();
    let fixture = filled(folder.path(), 60).await;
    let names: Vec<String> = files_of(&index_of(folder.path()))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut random = StdRng::seed_from_u64(3);
    for name in names {
        for round in 0..10 {
            let path = index_of(folder.path()).join(&name);
            // An index that was made again may have files of other numbers.
            let Ok(mut bytes) = fs::read(&path) else { continue };
            let span = if round % 2 == 0 { bytes.len() } else { bytes.len().min(2048) };
            let at = random.random_range(0..span);
            bytes[at] ^= 1 << random.random_range(0..8);
            fs::write(&path, bytes).unwrap();

            let library = open(folder.path()).await;
            for number in [0, 31] {
                let query = query(&fixture, number);
                let found = library.embeddings().nearest(&query).await.unwrap();
                assert_eq!(ids(&found), exact(&fixture, &query), "{name}, byte {at}");
            }
        }
    }
}

#[tokio::test]
async fn rows_of_songs_that_nobody_knows_end_no_search() {
    let folder = temp_dir();
    let fixture = filled(folder.path(), 40).await;
    for slot in 0..40 {
        let path = index_of(folder.path()).join("slots");
        let mut bytes = fs::read(&path).unwrap();
        // A bit of the key: the row is of another song now.
        bytes[slot * 32 + 3] ^= 1;
        fs::write(&path, bytes).unwrap();
        let library = open(folder.path()).await;
        let query = query(&fixture, slot);

        let found = library.embeddings().nearest(&query).await.unwrap();

        assert_eq!(ids(&found), exact(&fixture, &query), "{slot}");
        assert_eq!(verify(&library, false).await, []);
    }
}

#[tokio::test]
async fn an_index_in_lists_that_is_damaged_is_made_again() {
    let folder = temp_dir();
    let fixture = filled(folder.path(), 1100).await;
    let options = LocalOptions { index: IndexKind::Ivf, ..LocalOptions::default() };
    let mut random = StdRng::seed_from_u64(4);
    for name in ["codes", "lists", "blocks", "rows.npy", "slots", "checks", "list-checks"] {
        let files = files_of(&index_of(folder.path()));
        let of_name = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap() == name;
        let numbered = |path: &&PathBuf| {
            let of = path.file_name().unwrap().to_str().unwrap();
            of.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
        };
        let path = files.iter().find(|path| of_name(path) || numbered(path)).unwrap();
        let mut bytes = fs::read(path).unwrap();
        for _ in 0..50 {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 0x10;
        }
        fs::write(path, bytes).unwrap();
        let library = LocalBackend::open_with(folder.path(), options, &Silent).await.unwrap();
        let query = query(&fixture, random.random_range(0..1100));

        let found = library.embeddings().nearest(&query).await.unwrap();

        let shared = exact(&fixture, &query).iter().filter(|id| ids(&found).contains(id)).count();
        assert!(shared >= 6, "{name}: {shared}");
        verify(&library, true).await;
        assert_eq!(verify(&library, false).await, [], "{name}");
    }
}

#[tokio::test]
async fn writing_to_a_damaged_index_makes_it_again() {
    let folder = temp_dir();
    let mut fixture = filled(folder.path(), 40).await;
    for (seed, name) in (100..).zip(["slots", "codes", "table", "directory"]) {
        let path = index_of(folder.path()).join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[1] ^= 1;
        fs::write(&path, bytes).unwrap();
        let library = open(folder.path()).await;
        let more = library_of(30, seed).embedded_by(&tiny_model(), seed).store(&library).await;
        fixture.embeddings.extend(more.embeddings);

        let query = query(&fixture, 50);
        let found = library.embeddings().nearest(&query).await.unwrap();

        assert_eq!(ids(&found), exact(&fixture, &query), "{name}");
        assert_eq!(verify(&library, true).await, [], "{name}");
    }
}

#[tokio::test]
async fn a_damaged_index_is_repaired_where_it_is_found() {
    let folder = temp_dir();
    filled(folder.path(), 40).await;
    for name in ["slots", "codes", "blocks-1", "rows.npy"] {
        let path = index_of(folder.path()).join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[200] ^= 2;
        fs::write(&path, bytes).unwrap();
        let library = open(folder.path()).await;

        let found = verify(&library, false).await;
        let repaired = verify(&library, true).await;

        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(!found[0].repaired && is_repair(found[0].hint.as_ref().unwrap()));
        assert!(repaired.iter().all(|finding| finding.repaired), "{name}: {repaired:?}");
        assert_eq!(verify(&library, false).await, [], "{name}");
    }
}

#[tokio::test]
async fn a_song_that_the_catalog_has_forgotten_is_still_a_neighbor() {
    let folder = temp_dir();
    let fixture = filled(folder.path(), 40).await;
    let query = query(&fixture, 3);
    let nearest = exact(&fixture, &query)[0];
    let catalog = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).unwrap();
    let sql = "DELETE FROM embedding WHERE n = (SELECT n FROM song WHERE id = ?)";
    assert_eq!(catalog.execute(sql, [nearest.as_bytes()]).unwrap(), 1);
    drop(catalog);
    let library = open(folder.path()).await;

    assert_eq!(ids(&library.embeddings().nearest(&query).await.unwrap()), exact(&fixture, &query));
}

fn change_catalog(root: &Path, sql: &str) {
    let catalog = rusqlite::Connection::open(root.join("catalog.sqlite")).unwrap();
    assert!(catalog.execute(sql, []).unwrap() > 0, "{sql}");
}

#[tokio::test]
async fn rows_that_say_something_else_than_their_files_are_repaired() {
    let folder = temp_dir();
    filled(folder.path(), 12).await;
    let first = "(SELECT min(n) FROM song)";
    let of_song = [
        "title = 'other'",
        "artist = 'other'",
        "album = 'other'",
        "year = 1066",
        "bpm = 66.6",
        "duration = 0.5",
        "added = x'00'",
        "key = 'none'",
        "is_loop = 7",
        "has = 0",
        "blob = x'01'",
        "card = replace(card, '\"title\":\"', '\"title\":\"X')",
        "card = '{ half a'",
        "card = x'00ff'",
    ];
    let of_song = of_song.map(|change| format!("UPDATE song SET {change} WHERE n = {first}"));
    let of_others = [
        "DELETE FROM value WHERE n = (SELECT n FROM value LIMIT 1)".to_owned(),
        format!("DELETE FROM file WHERE n = {first}"),
        format!("UPDATE file SET sha256 = x'00' WHERE n = {first}"),
        format!("DELETE FROM words WHERE rowid = {first}"),
        "UPDATE model SET dimension = 9".to_owned(),
    ];
    for change in of_song.into_iter().chain(of_others) {
        change_catalog(folder.path(), &change);
        let library = open(folder.path()).await;

        let found = verify(&library, false).await;
        let repaired = verify(&library, true).await;

        assert!(!found.is_empty(), "{change}");
        let hints = found.iter().filter_map(|finding| finding.hint.as_ref());
        assert!(hints.clone().count() > 0 && hints.clone().all(is_repair));
        assert!(repaired.iter().all(|finding| finding.repaired), "{change}: {repaired:?}");
        assert_eq!(verify(&library, false).await, [], "{change}");
    }
}

#[tokio::test]
async fn a_summary_that_cannot_be_read_is_made_again_by_who_reads_it() {
    let folder = temp_dir();
    filled(folder.path(), 12).await;
    let library = open(folder.path()).await;
    let query = SongQuery { limit: 100, ..SongQuery::default() };
    let before = library.songs().find_summaries(&query).await.unwrap().items;
    for summary in ["'{ half a'", "x'00ff'"] {
        change_catalog(folder.path(), &format!("UPDATE song SET card = {summary} WHERE n % 3 = 0"));

        let after = library.songs().find_summaries(&query).await.unwrap().items;

        assert_eq!(after, before);
        assert_eq!(verify(&library, false).await, []);
    }
}

/// What damage may leave of a file.
fn damaged(whole: &[u8]) -> Vec<Vec<u8>> {
    let flipped = (0..whole.len()).map(|at| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    flipped.chain([vec![], whole[..40].to_vec(), vec![0; 200]]).collect()
}

#[tokio::test]
async fn a_damaged_library_file_is_written_again_as_its_copy_says() {
    let folder = temp_dir();
    let options = LocalOptions { keeps_copies: true, ..LocalOptions::default() };
    let id = LocalBackend::create(folder.path(), options).await.unwrap().id();
    let file = folder.path().join("songrec.json");
    let copy = folder.path().join("songrec.copy.json");
    let whole = fs::read(&file).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), whole);
    for path in [&file, &copy] {
        for bytes in damaged(&whole) {
            fs::write(path, &bytes).unwrap();

            let library = open(folder.path()).await;

            let said = String::from_utf8_lossy(&bytes);
            assert_eq!(library.id(), id, "{said}");
            assert!(library.capabilities().keeps_audio, "{said}");
            // What says the same may stay: ids and times are read in several
            // spellings.
            for path in [&file, &copy] {
                let now = fs::read(path).unwrap();
                assert!(serde_json::from_slice::<serde_json::Value>(&now).is_ok(), "{said}");
                let same =
                    |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase().replace(',', ".");
                assert_eq!(same(&now), same(&whole), "{said}");
            }
            fs::write(path, &whole).unwrap();
        }
    }
}

#[tokio::test]
async fn damage_of_a_library_file_in_use_is_found_and_repaired() {
    let folder = temp_dir();
    filled(folder.path(), 3).await;
    let library = open(folder.path()).await;
    for name in ["songrec.json", "songrec.copy.json"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();

        let found = verify(&library, false).await;
        let repaired = verify(&library, true).await;

        assert!(found.len() == 1 && found[0].problem.contains(name), "{found:?}");
        assert!(is_repair(found[0].hint.as_ref().unwrap()));
        assert!(repaired.len() == 1 && repaired[0].repaired, "{repaired:?}");
        assert_eq!(verify(&library, false).await, []);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[tokio::test]
async fn a_library_of_before_gets_a_checksum_and_a_copy() {
    let folder = temp_dir();
    filled(folder.path(), 3).await;
    let id = open(folder.path()).await.id();
    let file = folder.path().join("songrec.json");
    let copy = folder.path().join("songrec.copy.json");
    let whole = fs::read(&file).unwrap();
    let without = |bytes: &[u8]| {
        let mut document: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        document.as_object_mut().unwrap().remove("check").unwrap();
        document
    };
    fs::write(&file, without(&whole).to_string()).unwrap();
    fs::remove_file(&copy).unwrap();

    assert_eq!(open(folder.path()).await.id(), id);

    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_eq!(fs::read(&copy).unwrap(), whole);

    // An older songrec writes the file alone, and then the copy is of before.
    let mut other = without(&whole);
    other["id"] = "0196f3b0-0000-4000-8000-000000000000".into();
    fs::write(&file, other.to_string()).unwrap();

    let library = open(folder.path()).await;

    assert_eq!(library.id().to_string(), "0196f3b0-0000-4000-8000-000000000000");
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&file).unwrap());
}

#[tokio::test]
async fn without_its_file_and_copy_the_catalog_knows_the_library() {
    let folder = temp_dir();
    filled(folder.path(), 3).await;
    let id = open(folder.path()).await.id();
    let file = folder.path().join("songrec.json");
    let copy = folder.path().join("songrec.copy.json");
    let damage_both = || [&file, &copy].map(|path| fs::write(path, "{").unwrap());
    damage_both();

    assert_eq!(open(folder.path()).await.id(), id);
    assert_eq!(fs::read(&file).unwrap(), fs::read(&copy).unwrap());

    // Made again where it is lost, it is the same library.
    fs::remove_file(&file).unwrap();
    let made = LocalBackend::create(folder.path(), LocalOptions::default()).await.unwrap();
    assert_eq!(made.id(), id);

    drop(made);
    damage_both();
    fs::remove_file(folder.path().join("catalog.sqlite")).unwrap();
    let error = LocalBackend::open(folder.path(), &Silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.hint().unwrap().remedies().any(|remedy| *remedy == Remedy::Init));
    fs::remove_file(&file).unwrap();
    let made = LocalBackend::create(folder.path(), LocalOptions::default()).await.unwrap();
    assert_ne!(made.id(), id);
    let query = SongQuery { limit: 9, ..SongQuery::default() };
    assert_eq!(made.songs().find_summaries(&query).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn a_file_of_a_newer_library_is_never_written_over() {
    let folder = temp_dir();
    filled(folder.path(), 3).await;
    let file = folder.path().join("songrec.json");
    let copy = folder.path().join("songrec.copy.json");
    let whole = fs::read_to_string(&file).unwrap();
    let mut newer: serde_json::Value = serde_json::from_str(&whole).unwrap();
    newer["format"] = 2.into();
    newer["check"] = "as a newer songrec makes it".into();
    let newer = newer.to_string();
    for (of_file, of_copy, is_opened) in [
        (newer.as_str(), whole.as_str(), false),
        (&newer, &newer, false),
        ("{", &newer, false),
        // Whoever makes it newer writes the copy first.
        (&whole, &newer, true),
    ] {
        fs::write(&file, of_file).unwrap();
        fs::write(&copy, of_copy).unwrap();

        let opened = LocalBackend::open(folder.path(), &Silent).await;

        assert_eq!(opened.is_ok(), is_opened, "{of_file} {of_copy}");
        if let Err(error) = opened {
            assert_eq!(error.kind(), ErrorKind::Incompatible, "{of_file} {of_copy}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), of_file);
        assert_eq!(fs::read_to_string(&copy).unwrap(), of_copy);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_damaged_library_file_that_cannot_be_written_is_read_from_its_copy() {
    use std::os::unix::fs::PermissionsExt;
    let folder = temp_dir();
    filled(folder.path(), 3).await;
    let id = open(folder.path()).await.id();
    let file = folder.path().join("songrec.json");
    fs::write(&file, "{").unwrap();
    let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    let may_write_anyway = fs::write(folder.path().join("probe"), "").is_ok();

    let spare = temp_dir();
    let options = LocalOptions::default();
    let opened = LocalBackend::open_with_spare(folder.path(), options, spare.path(), &Silent).await;
    set(0o755);

    let library = opened.unwrap();
    assert_eq!(library.id(), id);
    // The superuser writes where nobody may.
    if !may_write_anyway {
        assert_eq!(fs::read_to_string(&file).unwrap(), "{");
        let found = verify(&library, false).await;
        assert!(found.len() == 1 && found[0].problem.contains("songrec.json"), "{found:?}");
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_opened_is_found_and_repaired() {
    let folder = temp_dir();
    let fixture = filled(folder.path(), 40).await;
    let path = index_of(folder.path()).join("head");
    let len = fs::read(&path).unwrap().len();
    fs::write(&path, vec![0x5a; len]).unwrap();
    let library = open(folder.path()).await;

    let found = verify(&library, false).await;
    let repaired = verify(&library, true).await;

    assert!(found.len() == 1 && found[0].problem.contains("damaged"), "{found:?}");
    assert!(repaired.len() == 1 && repaired[0].repaired, "{repaired:?}");
    assert_eq!(verify(&library, false).await, []);
    let query = query(&fixture, 0);
    assert_eq!(ids(&library.embeddings().nearest(&query).await.unwrap()), exact(&fixture, &query));
}

#[tokio::test]
async fn a_damaged_record_of_the_log_of_an_index_loses_no_neighbor() {
    let (folder, killed) = (temp_dir(), temp_dir());
    let fixture = filled(folder.path(), 40).await;
    let library = open(folder.path()).await;
    for seed in [7, 8] {
        library_of(3, seed).embedded_by(&tiny_model(), 2).store(&library).await;
    }
    let query = query(&fixture, 31);
    let before = library.embeddings().nearest(&query).await.unwrap();
    // As it is when its process ends now; closing it would empty the log.
    let index = index_of(folder.path());
    for file in files_of(&index) {
        fs::copy(&file, killed.path().join(file.file_name().unwrap())).unwrap();
    }
    drop(library);
    for file in files_of(killed.path()) {
        fs::copy(&file, index.join(file.file_name().unwrap())).unwrap();
    }
    let log = index.join("log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[64 + 100] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let library = open(folder.path()).await;

    let found = verify(&library, false).await;
    let after = library.embeddings().nearest(&query).await.unwrap();

    let problem = "a part of its log does not match its checksum";
    assert!(found.len() == 1 && found[0].problem.contains(problem), "{found:?}");
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(verify(&library, false).await, []);
}
