//! Several processes with one library, and processes that are killed.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]
#![expect(clippy::print_stderr, reason = "a child process tells its parent how far it is")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Embedding, Filter, Job, Silent, Song, SongId};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{NearestQuery, PutMode, StorageBackend, StorageBackendExt, VerifyOptions};
use songrec_testkit::{new_embedding, put, song, temp_dir, tiny_model, vector};

const ROOT: &str = "SONGREC_TEST_CHILD_ROOT";
const SONGS: &str = "SONGREC_TEST_CHILD_SONGS";
const BATCH: usize = 8;

fn numbered(n: usize) -> (Song, Embedding) {
    let mut song = song(&format!("numbered {n}"));
    song.files.clear();
    let values: Vec<f32> = (0..8).map(|i| ((n * 31 + i * 7) % 101) as f32 + 1.0).collect();
    let embedding = Embedding { song: song.id, model: tiny_model().name, vector: vector(&values) };
    song.embeddings.insert(tiny_model().name, embedding.reference());
    (song, embedding)
}

async fn store(library: &LocalBackend, numbers: impl Iterator<Item = usize>) {
    let songs: Vec<_> = numbers.map(numbered).collect();
    let embeddings: Vec<_> =
        songs.iter().map(|(song, embedding)| new_embedding(song, embedding.clone())).collect();
    library.embeddings().put(&embeddings).await.unwrap();
    let puts: Vec<_> = songs.iter().map(|(song, _)| put(song, PutMode::Create)).collect();
    // Another process may have been first with the same song.
    library.songs().put(&puts).await.unwrap();
}

/// Not a test of its own: what the other tests run as another process. It
/// stores songs and says after which number they are safe.
#[tokio::test]
async fn child() {
    let (Ok(root), Ok(songs)) = (std::env::var(ROOT), std::env::var(SONGS)) else { return };
    let (from, to) = songs.split_once("..").unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let library = LocalBackend::open(root, &Silent).await.unwrap();
    for begin in (from..to).step_by(BATCH) {
        let end = (begin + BATCH).min(to);
        store(&library, begin..end).await;
        eprintln!("safe {end}");
    }
}

fn spawn(root: &Path, songs: std::ops::Range<usize>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["processes::child", "--exact", "--nocapture"])
        .env(ROOT, root)
        .env(SONGS, format!("{}..{}", songs.start, songs.end))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn assert_whole(library: &LocalBackend, songs: impl Iterator<Item = usize>) {
    let wanted: BTreeSet<SongId> = songs.map(|n| numbered(n).0.id).collect();
    let ids: Vec<SongId> = wanted.iter().copied().collect();
    let stored = library.songs().get(&ids).await.unwrap();
    let embeddings = library.embeddings().get(&tiny_model().name, &ids).await.unwrap();
    for ((id, song), embedding) in ids.iter().zip(stored).zip(embeddings) {
        assert!(song.is_some() && embedding.is_some(), "{id}");
    }
    let count = library.songs().count(&Filter::all()).await.unwrap();
    let every = NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 100_000);
    let nearest = library.nearest_songs(&every).await.unwrap();
    assert_eq!(nearest.len() as u64, count, "every song is found by its sound");
    let found: BTreeSet<SongId> = nearest.iter().map(|(_, song)| song.id).collect();
    assert!(found.is_superset(&wanted));
    let options = VerifyOptions { repair: false, read_data: true };
    assert_eq!(library.maintenance().verify(&options, &Job::silent()).await.unwrap(), []);
}

#[tokio::test]
async fn processes_that_store_into_one_library_lose_nothing() {
    let folder = temp_dir();
    let library = LocalBackend::create(folder.path(), LocalOptions::default()).await.unwrap();
    library.embeddings().put_model(&tiny_model()).await.unwrap();

    // They share songs 40 to 80, and this process stores as well.
    let children = [spawn(folder.path(), 0..80), spawn(folder.path(), 40..120)];
    for begin in (120..160).step_by(BATCH) {
        store(&library, begin..begin + BATCH).await;
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }

    assert_eq!(library.songs().count(&Filter::all()).await.unwrap(), 160);
    assert_whole(&library, 0..160).await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_safe() {
    let folder = temp_dir();
    let library = LocalBackend::create(folder.path(), LocalOptions::default()).await.unwrap();
    library.embeddings().put_model(&tiny_model()).await.unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    let mut safe = 0;

    for _ in 0..20 {
        let mut child = spawn(folder.path(), safe..safe + 400);
        let batches = rng.random_range(1..4);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        for line in
            lines.map_while(Result::ok).filter(|line| line.starts_with("safe")).take(batches)
        {
            safe = line["safe ".len()..].parse().unwrap();
        }
        // Somewhere in the next batch.
        std::thread::sleep(std::time::Duration::from_micros(rng.random_range(0..8_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        // Both for who was there all the time and for who comes new.
        assert!(library.songs().count(&Filter::all()).await.unwrap() >= safe as u64);
        let new = LocalBackend::open(folder.path(), &Silent).await.unwrap();
        assert_whole(&new, 0..safe).await;
    }
    assert_whole(&library, 0..safe).await;
}

#[tokio::test]
async fn a_catalog_that_is_thrown_away_while_it_is_used_comes_back() {
    let folder = temp_dir();
    let one = LocalBackend::create(folder.path(), LocalOptions::default()).await.unwrap();
    one.embeddings().put_model(&tiny_model()).await.unwrap();
    let two = LocalBackend::open(folder.path(), &Silent).await.unwrap();
    store(&one, 0..8).await;
    assert_whole(&two, 0..8).await;

    std::fs::remove_file(folder.path().join("catalog.sqlite")).unwrap();
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    store(&two, 8..16).await;
    store(&one, 16..24).await;

    for library in [&one, &two] {
        assert_eq!(library.songs().count(&Filter::all()).await.unwrap(), 24);
        assert_whole(library, 0..24).await;
    }
}
