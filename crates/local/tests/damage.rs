//! What is derived may be damaged: answers stay right, or it is said.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Filter, Silent, SongId};
use songrec_local::{IndexKind, LocalBackend, LocalOptions};
use songrec_storage::{Finding, NearestQuery, Neighbor, StorageBackend, VerifyOptions};
use songrec_testkit::{Fixture, library_of, temp_dir, tiny_model};

async fn open(root: &Path) -> LocalBackend {
    LocalBackend::open(root, &Silent).await.unwrap()
}

async fn filled(root: &Path, count: usize) -> Fixture {
    let library = LocalBackend::create(root, LocalOptions::default()).await.unwrap();
    library_of(count, 1).heard_by(&tiny_model(), 2).store(&library).await
}

async fn verify(library: &LocalBackend, repair: bool) -> Vec<Finding> {
    library.verify(&VerifyOptions { repair, read_data: true }, &Silent).await.unwrap()
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
                let found = library.nearest(&query).await.unwrap();
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

        let found = library.nearest(&query).await.unwrap();

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

        let found = library.nearest(&query).await.unwrap();

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
        let more = library_of(30, seed).heard_by(&tiny_model(), seed).store(&library).await;
        fixture.embeddings.extend(more.embeddings);

        let query = query(&fixture, 50);
        let found = library.nearest(&query).await.unwrap();

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
        assert!(!found[0].repaired && found[0].hint.as_ref().unwrap().contains("--repair"));
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

    assert_eq!(ids(&library.nearest(&query).await.unwrap()), exact(&fixture, &query));
}
