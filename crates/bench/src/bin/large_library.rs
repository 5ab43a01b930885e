//! Reads a large remote library page by page, and says how much memory that
//! took: `cargo run --profile dist -p songrec-bench --bin large_library -- 200000`.
//!
//! The emulator is another process, so that only the client's memory is
//! measured (`VmHWM` of `/proc/self/status`).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use futures::{StreamExt, stream};
use rand::{SeedableRng, rngs::StdRng};
use songrec_astra::{AstraBackend, AstraConfig, Secret};
use songrec_emulator::Emulator;
use songrec_storage::{PutMode, SongQuery, StorageBackend};
use songrec_testkit::{peak_memory, put, random_song};

const PAGE: usize = 500;

#[tokio::main]
async fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("serve") {
        let emulator = Emulator::builder().start().await.unwrap();
        println!("{} {}", emulator.url(), emulator.token());
        // Until the client closes its end.
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
            .await
            .unwrap()
            .unwrap();
        return;
    }
    let songs: usize = argument.map_or(200_000, |text| text.parse().unwrap());
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let (url, token) = address.trim().split_once(' ').unwrap();
    let config = AstraConfig::new(url, Secret::new(token));

    let started = Instant::now();
    fill(&config, songs).await;
    let seconds = started.elapsed().as_secs_f64();
    println!("stored {songs} songs in {seconds:.0} s, peak {} MiB", peak());

    let backend = AstraBackend::open(&config).await.unwrap();
    let (started, mut read) = (Instant::now(), 0);
    let mut query = SongQuery { limit: PAGE, ..SongQuery::default() };
    loop {
        let page = backend.songs().find(&query).await.unwrap();
        assert!(page.items.len() <= PAGE);
        read += page.items.len();
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(read, songs);
    let seconds = started.elapsed().as_secs_f64();
    println!("listed them in {seconds:.0} s, peak {} MiB", peak());

    let (started, mut read, mut cursor) = (Instant::now(), 0, None);
    loop {
        let page = backend.maintenance().changes(cursor.as_ref(), PAGE).await.unwrap();
        assert!(page.changes.len() <= PAGE);
        read += page.changes.len();
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(read, songs);
    let seconds = started.elapsed().as_secs_f64();
    println!("read the changes in {seconds:.0} s, peak {} MiB", peak());
    drop(server.stdin.take());
    server.wait().unwrap();
}

async fn fill(config: &AstraConfig, songs: usize) {
    let backend = AstraBackend::connect(config).unwrap();
    backend.init(false).await.unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let batches = (0..songs).step_by(100).map(|from| {
        let to = (from + 100).min(songs);
        let batch: Vec<_> =
            (from..to).map(|_| put(&random_song(&mut rng), PutMode::Create)).collect();
        let backend = &backend;
        async move { drop(backend.songs().put(&batch).await.unwrap()) }
    });
    stream::iter(batches).buffer_unordered(4).collect::<Vec<()>>().await;
}

// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    peak_memory("self").unwrap_or(0) >> 20
}
