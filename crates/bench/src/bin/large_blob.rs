//! Sends a large blob to S3 and gets it back, and says how much memory that
//! took: `cargo run --profile dist -p songrec-bench --bin large_blob -- 2048`.
//!
//! The server is another process, so that only the client's memory is
//! measured (`VmHWM` of `/proc/self/status`, as `/usr/bin/time -v` shows it).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};
use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret};
use songrec_core::{Digest, OperationId};
use songrec_storage::{BlobSource, NewBlob, StorageBackend};
use songrec_testkit::{peak_memory, s3::S3Server, temp_dir};

const PIECE: usize = 1 << 20;

// The piece at a place: the same each time, and none like another.
fn piece(at: u64) -> Bytes {
    let mut state = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(PIECE);
    while bytes.len() < PIECE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.into()
}

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("serve") {
        let folder = temp_dir();
        let server = S3Server::start_in(folder.path(), 0);
        println!("{}", server.endpoint());
        // Until the client closes its end.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let mebibytes: u64 = argument.map_or(2048, |text| text.parse().unwrap());
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut endpoint = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(send_and_get(endpoint.trim(), mebibytes));
    drop(server.stdin.take());
    server.wait().unwrap();
}

async fn send_and_get(endpoint: &str, mebibytes: u64) {
    let mut blobs = BlobConfig::new(format!("s3://{}/large", S3Server::BUCKET));
    blobs.endpoint = Some(endpoint.to_owned());
    blobs.access_key = Some(Secret::new(S3Server::ACCESS_KEY));
    blobs.secret_key = Some(Secret::new(S3Server::SECRET_KEY));
    // The Data API is not asked for blobs.
    let mut config = AstraConfig::new("http://127.0.0.1:9", Secret::new("none"));
    config.blobs = Some(blobs);
    let backend = AstraBackend::connect(&config).unwrap();

    let mut hash = Sha256::new();
    (0..mebibytes).for_each(|at| hash.update(piece(at)));
    let new = NewBlob {
        sha256: Digest(hash.finalize().into()),
        size: mebibytes << 20,
        operation: OperationId::random(),
    };
    println!("before: {} MiB", peak());

    let started = Instant::now();
    let source = stream::iter((0..mebibytes).map(|at| Ok(piece(at)))).boxed();
    let stored = backend.blobs().put(&new, BlobSource::Stream(source)).await.unwrap();
    let rate = mebibytes as f64 / started.elapsed().as_secs_f64();
    println!("sent {mebibytes} MiB at {rate:.0} MiB/s, peak {} MiB", peak());

    let started = Instant::now();
    let mut got = backend.blobs().get(&stored, None).await.unwrap().unwrap();
    let mut hash = Sha256::new();
    while let Some(piece) = got.try_next().await.unwrap() {
        hash.update(&piece);
    }
    assert_eq!(Digest(hash.finalize().into()), new.sha256);
    let rate = mebibytes as f64 / started.elapsed().as_secs_f64();
    println!("got it back at {rate:.0} MiB/s, peak {} MiB", peak());
}

// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    peak_memory("self").unwrap_or(0) >> 20
}
