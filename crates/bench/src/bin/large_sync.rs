//! What syncing a large library takes: `cargo run --profile dist -p songrec-bench
//! --bin large_sync -- [SONGS] [DIMENSION]` makes two local libraries, syncs one
//! into the other, syncs again with nothing to do and with one change, and
//! compares both.
#![expect(clippy::unwrap_used, reason = "a measurement may stop")]
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::{sync::Arc, time::Instant};

use songrec_core::{Job, Metric, ModelSpec};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{PutMode, StorageBackend, StorageBackendExt};
use songrec_sync::{Options, Replica, SyncState, Syncer, check};
use songrec_testkit::{library_of, peak_memory, retagged};

// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    peak_memory("self").unwrap_or(0) >> 20
}

#[tokio::main]
async fn main() {
    let number = |at: usize| std::env::args().nth(at).and_then(|text| text.parse::<usize>().ok());
    let (songs, dimension) = (number(1).unwrap_or(20_000), number(2).unwrap_or(64));
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| LocalBackend::create(folder.path().join(name), LocalOptions::default());
    let own: Arc<dyn StorageBackend> = Arc::new(open("own").await.unwrap());
    let other: Arc<dyn StorageBackend> = Arc::new(open("other").await.unwrap());
    let model = ModelSpec {
        name: "random@1".parse().unwrap(),
        dimension,
        metric: Metric::Cosine,
        description: String::new(),
    };
    let begun = Instant::now();
    // In parts, so that making them does not need more memory than syncing.
    let mut first = None;
    for part in 0..songs.div_ceil(1_000) {
        let part = library_of(songs.min(1_000), part as u64).embedded_by(&model, part as u64);
        let part = part.store(&*own).await;
        first.get_or_insert_with(|| part.songs[0].clone());
    }
    println!(
        "{songs} songs of {dimension} dimensions stored in {:?}, peak {} MiB",
        begun.elapsed(),
        peak()
    );

    let state = SyncState::open(folder.path().join("state")).unwrap();
    let replicas =
        [Replica::new("own", Arc::clone(&own)), Replica::new("other", Arc::clone(&other))];
    let syncer = Syncer::new(replicas[0].clone(), replicas[1].clone(), state);
    let sync = async |what: &str| {
        let begun = Instant::now();
        let report = syncer.run(&Options::default()).await.unwrap();
        assert!(report.is_complete());
        let (took, done) = (begun.elapsed(), report.counts.right.total());
        println!(
            "{what}: {done} songs in {took:?}, {:?} calls, peak {} MiB",
            report.requests,
            peak()
        );
    };
    sync("the first sync").await;
    sync("its own writes").await;
    sync("nothing to do").await;
    let first = first.unwrap();
    own.put_song(&retagged(&first), PutMode::Replace(first.revision.operation)).await.unwrap();
    sync("one change").await;
    let begun = Instant::now();
    let found = check(&replicas[0], &replicas[1], true, &Job::silent()).await.unwrap();
    assert!(found.is_equal(), "{:?}", &found.differences[..found.differences.len().min(5)]);
    println!("checked bit by bit in {:?}, peak {} MiB", begun.elapsed(), peak());
}
