//! Several processes with one cache, which are killed.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use songrec_cache::CachedOptions;
use songrec_core::BlobRef;
use songrec_storage::MemoryBackend;
use songrec_testkit::{audio, run_case, temp_dir};

use crate::world::{files, open, read, store};

const FOLDER: &str = "SONGREC_TEST_CACHE";
const LIMIT: u64 = 400_000;
const BLOBS: u64 = 40;

// Blobs of 10 to 49 kB, of which a dozen fit.
async fn blobs() -> (Arc<MemoryBackend>, Vec<(BlobRef, Bytes)>) {
    let behind = Arc::new(MemoryBackend::new());
    let mut blobs = Vec::new();
    for number in 0..BLOBS {
        let bytes = audio(10_000 + 1_000 * number as usize, number);
        blobs.push((store(&*behind, &bytes).await, bytes));
    }
    (behind, blobs)
}

/// Not a test: what a process does that others start, until it is killed.
#[test]
#[ignore = "is started by another test"]
fn a_process_reads_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    run_case(async {
        let (behind, blobs) = blobs().await;
        let cached = open(behind, folder.as_ref(), LIMIT, CachedOptions::default()).await;
        let mut at = std::process::id() as usize;
        loop {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (blob, bytes) = &blobs[(at >> 33) % blobs.len()];
            assert_eq!(read(&cached, blob).await, bytes);
        }
    });
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::a_process_reads_until_it_is_killed", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

// The bytes of the cache at a moment at which nobody makes room.
fn size(folder: &Path) -> u64 {
    let usage = File::options().read(true).write(true).open(folder.join("v1/usage"));
    let Ok(usage) = usage else { return 0 };
    usage.lock().unwrap();
    // A file may be published between the two looks: it counts once.
    let mut sizes = HashMap::new();
    let unfinished = std::fs::read_dir(folder.join("v1/temporary")).into_iter().flatten();
    for path in unfinished.map(|entry| entry.unwrap().path()).chain(files(folder)) {
        let name = path.file_name().unwrap().to_string_lossy().replace("blobs-", "");
        if let Ok(metadata) = path.metadata() {
            sizes.insert(name, metadata.len());
        }
    }
    sizes.values().sum()
}

#[test]
fn processes_that_are_killed_leave_a_cache_that_works() {
    let folder = temp_dir();
    let mut processes: Vec<Child> = (0..8).map(|_| start(folder.path())).collect();
    let begun = std::time::Instant::now();
    let (mut largest, mut killed) = (0, 0);
    while killed < 40 && begun.elapsed() < Duration::from_secs(60) {
        largest = size(folder.path()).max(largest);
        std::thread::sleep(Duration::from_millis(20));
        if largest > LIMIT / 2 {
            let one = &mut processes[killed % 8];
            assert!(one.try_wait().unwrap().is_none(), "it read something wrong");
            one.kill().unwrap();
            one.wait().unwrap();
            processes[killed % 8] = start(folder.path());
            killed += 1;
        }
    }
    for mut one in processes {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    largest = size(folder.path()).max(largest);

    assert!(killed >= 8, "only {killed} were killed");
    assert!(largest <= LIMIT, "{largest} bytes of {LIMIT}");
    run_case(async {
        let (behind, blobs) = blobs().await;
        let cached = open(behind, folder.path(), LIMIT, CachedOptions::default()).await;
        assert_eq!(cached.cache().info().await.unwrap().unfinished, 0, "leftovers of the dead");
        for (blob, bytes) in &blobs {
            assert_eq!(read(&cached, blob).await, bytes);
        }
        let (last, _) = blobs.last().unwrap();
        read(&cached, last).await;
        assert!(cached.cache().used().hits > 0);
        assert!(size(folder.path()) <= LIMIT);
    });
}
