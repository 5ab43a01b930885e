//! Whatever a crash leaves, the index is as before the change or after it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sample::{contents, copy, key, put, rows};
use rand::prelude::*;
use songrec_index::{Error, Index, Key, Metric};

const DIMENSION: usize = 24;

/// The folder before a change, after it (with the log that says so), and what
/// the index held each time.
struct Change {
    _dir: tempfile::TempDir,
    before: PathBuf,
    after: PathBuf,
    held_before: BTreeMap<Key, Vec<f32>>,
    held_after: BTreeMap<Key, Vec<f32>>,
}

fn change() -> Change {
    let (dir, index) = crate::sample::index(DIMENSION, Metric::Cosine);
    let path = dir.path().join("index");
    put(&index, &rows(0..600, DIMENSION));
    index.remove(&(0..100).map(key).collect::<Vec<_>>()).unwrap();
    drop(index);
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    copy(&path, &before);

    let index = Index::open(&path).unwrap();
    let held_before = contents(&index);
    put(&index, &rows(500..900, DIMENSION));
    index.remove(&(150..300).map(key).collect::<Vec<_>>()).unwrap();
    put(&index, &[(key(400), crate::sample::row(7, DIMENSION))]);
    let held_after = contents(&index);
    // Copied while the index is open: nothing is in the files but by chance,
    // and the log is what a crash leaves.
    copy(&path, &after);

    Change { _dir: dir, before, after, held_before, held_after }
}

fn scratch(change: &Change) -> PathBuf {
    let path = change.before.with_file_name("scratch");
    let _ = fs::remove_dir_all(&path);
    copy(&change.before, &path);
    path
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["log", "lock", "alive", "arranging"].contains(&name.as_str()))
        .collect()
}

#[test]
fn whichever_sectors_reached_the_disk_a_synced_log_makes_the_index_whole() {
    let change = change();
    let mut random = StdRng::seed_from_u64(1);
    for share in [0.0, 0.1, 0.5, 0.5, 0.5, 0.9, 1.0] {
        let path = scratch(&change);
        fs::copy(change.after.join("log"), path.join("log")).unwrap();
        for name in names(&change.after) {
            let new = fs::read(change.after.join(&name)).unwrap();
            let mut mixed = fs::read(path.join(&name)).unwrap_or_default();
            if random.random_bool(0.5) {
                mixed.resize(new.len(), 0);
            }
            for (mixed, new) in mixed.chunks_mut(512).zip(new.chunks(512)) {
                if random.random_bool(share) {
                    mixed.copy_from_slice(&new[..mixed.len()]);
                }
            }
            fs::write(path.join(&name), mixed).unwrap();
        }

        let index = Index::open(&path).unwrap();

        index.verify().unwrap();
        assert!(contents(&index) == change.held_after, "share {share}");
        put(&index, &rows(1000..1010, DIMENSION));
        drop(index);
        let index = Index::open(&path).unwrap();
        index.verify().unwrap();
        assert_eq!(index.len(), change.held_after.len() + 10);
    }
}

#[test]
fn a_log_that_ends_anywhere_gives_a_state_between_two_changes() {
    let change = change();
    let log = fs::read(change.after.join("log")).unwrap();
    let mut seen = Vec::new();
    for length in (64..log.len()).step_by(997).chain([log.len()]) {
        let path = scratch(&change);
        fs::write(path.join("log"), &log[..length]).unwrap();

        let index = Index::open(&path).unwrap();

        index.verify().unwrap();
        seen.push(index.len());
        if index.len() == change.held_before.len() {
            assert!(contents(&index) == change.held_before);
        }
    }
    seen.dedup();
    // Before, after the put, after the remove; the last put replaces a row.
    assert_eq!(seen, [500, 800, 650]);
}

/// Where the records of a log begin, and where the last one ends.
fn records(log: &[u8]) -> Vec<usize> {
    let mut starts = vec![64];
    while let Some(head) = log.get(starts[starts.len() - 1]..).filter(|rest| rest.len() >= 32) {
        let len = u64::from_le_bytes(head[16..24].try_into().unwrap());
        starts.push(starts[starts.len() - 1] + 32 + usize::try_from(len).unwrap());
    }
    assert_eq!(starts.last(), Some(&log.len()));
    starts
}

/// The bytes of a log that are flipped: of the heads of its records, and some.
fn flipped(log: &[u8]) -> Vec<usize> {
    let heads = records(log).into_iter().filter(|start| *start < log.len());
    let heads = heads.flat_map(|start| [0, 5, 9, 17, 23].map(|at| start + at));
    heads.chain((64..log.len()).step_by(1009)).collect()
}

/// As a power cut leaves it: nothing that the log says is in the files.
#[test]
fn a_damaged_record_is_only_the_end_of_the_log_if_it_is_the_last() {
    let change = change();
    let log = fs::read(change.after.join("log")).unwrap();
    let starts = records(&log);
    let last = starts[starts.len() - 2];
    assert_eq!(starts.len(), 4);
    for at in flipped(&log) {
        let path = scratch(&change);
        let mut log = log.clone();
        log[at] ^= 0x10;
        fs::write(path.join("log"), &log).unwrap();

        let opened = Index::open(&path);

        if at < last {
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "byte {at}: {opened:?}");
        } else {
            let index = opened.unwrap();
            index.verify().unwrap();
            assert_eq!(index.len(), 650, "byte {at}");
            assert!(contents(&index) != change.held_after, "byte {at}");
        }
    }
}

/// As the end of a process leaves it: the files know how long the log was.
#[test]
fn no_damaged_record_is_the_end_of_a_log_that_the_files_are_ahead_of() {
    let change = change();
    let log = fs::read(change.after.join("log")).unwrap();
    let copied = |log: &[u8]| {
        let path = change.before.with_file_name("scratch");
        let _ = fs::remove_dir_all(&path);
        copy(&change.after, &path);
        fs::write(path.join("log"), log).unwrap();
        path
    };
    assert!(contents(&Index::open(&copied(&log)).unwrap()) == change.held_after);
    for at in flipped(&log) {
        let mut log = log.clone();
        log[at] ^= 0x10;

        let opened = Index::open(&copied(&log));

        assert!(matches!(opened, Err(Error::Corrupt { .. })), "byte {at}: {opened:?}");
    }
    for length in [64, 80, log.len() / 2, log.len() - 1] {
        let opened = Index::open(&copied(&log[..length]));

        assert!(matches!(opened, Err(Error::Corrupt { .. })), "{length} bytes: {opened:?}");
    }
}

/// So many at once that their rows do not go through the log.
#[test]
fn a_crash_with_many_rows_on_their_way_leaves_all_or_none() {
    const WIDE: usize = 512;
    let (dir, index) = crate::sample::index(WIDE, Metric::Cosine);
    let path = dir.path().join("index");
    put(&index, &rows(0..101, WIDE));
    drop(index);
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    copy(&path, &before);
    let index = Index::open(&path).unwrap();
    let held_before = contents(&index);
    // With one that is replaced, in the page where the new ones begin.
    put(&index, &rows(100..1001, WIDE));
    put(&index, &[(key(100), crate::sample::row(7, WIDE))]);
    let held_after = contents(&index);
    copy(&path, &after);
    assert!(fs::metadata(after.join("log")).unwrap().len() < 700 << 10, "rows are in the log");
    // Where rows.npy and codes hold what was synced before the log was.
    let synced = |name: &str| match name {
        "rows.npy" => (128 + 101 * WIDE * 4_usize).next_multiple_of(4096),
        "codes" => (101 * (WIDE + 16)).next_multiple_of(4096),
        _ => usize::MAX,
    };
    let mut random = StdRng::seed_from_u64(1);
    for (share, logged) in [(0.0, true), (0.5, true), (0.5, true), (0.0, false), (0.5, false)] {
        let crashed = dir.path().join("crashed");
        let _ = fs::remove_dir_all(&crashed);
        copy(&before, &crashed);
        for name in names(&after) {
            let new = fs::read(after.join(&name)).unwrap();
            let mut mixed = fs::read(before.join(&name)).unwrap();
            mixed.resize(new.len(), 0);
            for at in (0..new.len()).step_by(512) {
                let is_laid = at >= synced(&name);
                // Nothing is written in place before the log is.
                if is_laid && logged || (is_laid || logged) && random.random_bool(share) {
                    mixed[at..at + 512].copy_from_slice(&new[at..at + 512]);
                }
            }
            fs::write(crashed.join(&name), mixed).unwrap();
        }
        if logged {
            fs::copy(after.join("log"), crashed.join("log")).unwrap();
        }

        let index = Index::open(&crashed).unwrap();

        index.verify().unwrap();
        let held = if logged { &held_after } else { &held_before };
        assert!(contents(&index) == *held, "share {share}, logged {logged}");
        put(&index, &rows(900..1800, WIDE));
        drop(index);
        let index = Index::open(&crashed).unwrap();
        index.verify().unwrap();
    }
}

/// Not a test of its own: what the process that is killed runs.
#[test]
fn writes_until_killed() {
    let Ok(path) = std::env::var("SONGREC_INDEX_CRASH_TEST") else {
        return;
    };
    let index = Index::open(Path::new(&path)).unwrap();
    let mut random = StdRng::seed_from_u64(std::process::id().into());
    loop {
        // Every batch gives all hundred keys of a family the same row, so
        // that a reader can see whether a batch is whole.
        let family = random.random_range(0..4_u64);
        if random.random_bool(0.2) {
            let keys: Vec<Key> = (0..100).map(|i| key(family * 100 + i)).collect();
            index.remove(&keys).unwrap();
        } else {
            let row = crate::sample::row(random.random(), DIMENSION);
            let batch: Vec<(Key, &[f32])> =
                (0..100).map(|i| (key(family * 100 + i), row.as_slice())).collect();
            index.put(&batch).unwrap();
        }
    }
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_batches() {
    let (dir, index) = crate::sample::index(DIMENSION, Metric::Cosine);
    drop(index);
    let path = dir.path().join("index");
    let mut random = StdRng::seed_from_u64(3);
    for round in 0..40 {
        let watcher = Index::open(&path).unwrap();
        let before = watcher.generation();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writes_until_killed", "--nocapture"])
            .env("SONGREC_INDEX_CRASH_TEST", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In every other round it is killed while it begins, else while it
        // writes, however slow the machine is.
        let begun = Instant::now();
        while round % 2 == 1 && watcher.generation() == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not write");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(watcher);
        // The moment is the point of the test, not a wait for something.
        std::thread::sleep(Duration::from_micros(random.random_range(3_000..40_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let index = Index::open(&path).unwrap();

        index.verify().unwrap();
        let held = contents(&index);
        for family in 0..4 {
            let of_family: Vec<_> = (0..100).map(|i| held.get(&key(family * 100 + i))).collect();
            assert!(of_family.iter().all(|row| *row == of_family[0]), "a batch is stored in part");
        }
    }
}
