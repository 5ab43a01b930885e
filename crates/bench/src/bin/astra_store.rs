//! How fast a library is stored, beside a Python script that stores the same
//! documents and objects with astrapy and boto3 (`just bench-astra`).
//!
//! ```text
//! astra_store [--songs N] [--python PYTHON] [--rounds N]
//! ```
//!
//! Both sides speak to the same servers, which are a process of their own: the
//! emulator of the Data API, and an S3 server. Each run gets new ones. Each
//! song has an embedding of 512 dimensions and 64 KiB of audio. The documents
//! that Python stores are those that this side stored, read back from the
//! first run; reading and decoding them is not counted.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it prints figures")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use songrec_astra::{
    AstraBackend, AstraConfig, BlobConfig, Secret,
    client::{Client, Find},
};
use songrec_core::{Metric, ModelSpec, Song};
use songrec_emulator::{Emulator, Rule};
use songrec_storage::{BlobSource, PutMode, StorageBackend};
use songrec_testkit::{
    library_of, new_blob, new_embedding, put,
    s3::{self, S3Server},
    temp_dir,
};

const DIMENSION: usize = 512;
const AUDIO: usize = 64 << 10;
const BATCH: usize = 100;
/// Batches on their way at once, and blobs.
const BATCHES: usize = 8;
const BLOBS: usize = 32;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut options = BTreeMap::new();
    while let Some(name) = arguments.next() {
        options.insert(name.trim_start_matches('-').to_owned(), arguments.next().unwrap());
    }
    let number = |name: &str, otherwise: usize| {
        options.get(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let songs = number("songs", 2_000);
    if let Some(delay) = options.get("serve") {
        return runtime.block_on(serve(Duration::from_millis(delay.parse().unwrap())));
    }
    if let Some(servers) = options.get("store") {
        let servers = serde_json::from_str(servers).unwrap();
        return runtime.block_on(store(&servers, songs, options.get("dump").map(Path::new)));
    }
    let python = options.get("python").map_or("python3", String::as_str);
    compare(songs, python, number("rounds", 3));
}

// The servers, until their input ends.
async fn serve(delay: Duration) {
    let emulator = Emulator::builder().start().await.unwrap();
    emulator.faults().add(Rule::delay(delay));
    // In memory where that can be had: it is not the disk that is measured.
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => temp_dir(),
    };
    let s3 = S3Server::start_in(folder.path(), 0);
    s3.fail(s3::Rule::delay(delay));
    let servers = json!({
        "api": emulator.url(), "token": emulator.token(), "s3": s3.endpoint(),
        "bucket": S3Server::BUCKET, "key": S3Server::ACCESS_KEY, "secret": S3Server::SECRET_KEY,
    });
    println!("{servers}");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
        .await
        .unwrap()
        .unwrap();
}

fn model() -> ModelSpec {
    let name = "bench@1".parse().unwrap();
    ModelSpec { name, dimension: DIMENSION, metric: Metric::Cosine, description: String::new() }
}

async fn open(servers: &Value) -> AstraBackend {
    let text = |name: &str| servers[name].as_str().unwrap().to_owned();
    let mut blobs = BlobConfig::new(format!("s3://{}/bench", text("bucket")));
    blobs.endpoint = Some(text("s3"));
    blobs.access_key = Some(Secret::new(text("key")));
    blobs.secret_key = Some(Secret::new(text("secret")));
    let mut config = AstraConfig::new(text("api"), Secret::new(text("token")));
    config.blobs = Some(blobs);
    AstraBackend::connect(&config).unwrap()
}

// One line of JSON: how long it took, and how many requests of the Data API.
async fn store(servers: &Value, songs: usize, dump: Option<&Path>) {
    let backend = open(servers).await;
    backend.init(false).await.unwrap();
    backend.embeddings().put_model(&model()).await.unwrap();
    let fixture = library_of(songs, 1).embedded_by(&model(), 2);
    let mut random = StdRng::seed_from_u64(3);
    let audio: Vec<Bytes> = (0..songs)
        .map(|_| {
            let mut bytes = vec![0; AUDIO];
            random.fill_bytes(&mut bytes);
            bytes.into()
        })
        .collect();
    let before = backend.client().requests();
    let (started, cpu) = (Instant::now(), cpu_seconds(std::process::id()));

    let batches = (0..songs).step_by(BATCH).map(|from| {
        let to = (from + BATCH).min(songs);
        let (songs, audio) = (&fixture.songs[from..to], &audio[from..to]);
        let embedded = &fixture.embeddings[from..to];
        let backend = &backend;
        async move {
            let mut songs: Vec<Song> = songs.to_vec();
            let blobs = stream::iter(audio)
                .map(|bytes| {
                    let source = BlobSource::Stream(stream::iter([Ok(bytes.clone())]).boxed());
                    let new = new_blob(bytes);
                    async move { backend.blobs().put(&new, source).await }
                })
                .buffered(BLOBS)
                .try_collect::<Vec<_>>();
            let new: Vec<_> = songs
                .iter()
                .zip(embedded)
                .map(|(song, embedded)| new_embedding(song, embedded.clone()))
                .collect();
            let (blobs, references) =
                futures::try_join!(blobs, backend.embeddings().put(&new)).unwrap();
            for ((song, blob), reference) in songs.iter_mut().zip(blobs).zip(references) {
                song.blob = Some(blob);
                song.embeddings.insert(model().name, reference);
            }
            let puts: Vec<_> = songs.iter().map(|song| put(song, PutMode::Create)).collect();
            backend.songs().put(&puts).await.unwrap();
        }
    });
    stream::iter(batches).buffer_unordered(BATCHES).collect::<Vec<()>>().await;

    let seconds = started.elapsed().as_secs_f64();
    let requests = backend.client().requests() - before;
    println!(
        "{}",
        json!({
            "seconds": seconds, "cpu": cpu_seconds(std::process::id()) - cpu, "requests": requests,
        })
    );
    if let Some(folder) = dump {
        write_down(servers, folder, &audio).await;
    }
}

// What was stored, for the other side to store.
async fn write_down(servers: &Value, folder: &Path, audio: &[Bytes]) {
    let token = Secret::new(servers["token"].as_str().unwrap());
    let client = Client::new(servers["api"].as_str().unwrap().parse().unwrap(), token).unwrap();
    let keyspace = client.keyspace("default_keyspace");
    for name in ["songs", "embeddings_bench_1"] {
        let found =
            keyspace.collection(name).find::<Value>(Find::new(json!({})).project(json!({"*": 1})));
        let documents: Vec<Value> = found.try_collect().await.unwrap();
        let text: String = documents.iter().map(|document| format!("{document}\n")).collect();
        std::fs::write(folder.join(format!("{name}.jsonl")), text).unwrap();
    }
    std::fs::write(folder.join("audio"), audio.concat()).unwrap();
}

fn compare(songs: usize, python: &str, rounds: usize) {
    let folder = temp_dir();
    println!("{songs} songs with {DIMENSION} dimensions and {} KiB of audio", AUDIO >> 10);
    println!(
        "{:>7}{:>7}{:>11}{:>11}{:>13}{:>13}{:>19}{:>8}",
        "delay",
        "round",
        "songrec/s",
        "python/s",
        "songrec CPU",
        "python CPU",
        "servers' CPU",
        "times"
    );
    for delay in [1, 30] {
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let ours = measured(delay, |servers| {
                let mut ours = Command::new(std::env::current_exe().unwrap());
                ours.args(["--store", servers, "--songs", &songs.to_string()]);
                if (delay, round) == (1, 1) {
                    ours.arg("--dump").arg(folder.path());
                }
                ours
            });
            let theirs = measured(delay, |servers| {
                let script =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/bench_astra.py");
                let mut theirs = Command::new(python);
                theirs.arg(script).arg(servers).arg(folder.path());
                theirs
            });
            let (ours_s, theirs_s) =
                (ours["seconds"].as_f64().unwrap(), theirs["seconds"].as_f64().unwrap());
            let rate = |seconds: f64| songs as f64 / seconds;
            println!(
                "{delay:>4} ms{round:>7}{:>11.0}{:>11.0}{:>11.2} s{:>11.2} s{:>8.2}, {:.2} s{:>8.2}",
                rate(ours_s),
                rate(theirs_s),
                ours["cpu"].as_f64().unwrap(),
                theirs["cpu"].as_f64().unwrap(),
                ours["served"].as_f64().unwrap(),
                theirs["served"].as_f64().unwrap(),
                theirs_s / ours_s
            );
            ratios.push(theirs_s / ours_s);
        }
        ratios.sort_by(f64::total_cmp);
        println!("{delay:>4} ms   median {:.2} times as fast", ratios[ratios.len() / 2]);
    }
}

fn measured(delay: u64, side: impl FnOnce(&str) -> Command) -> Value {
    let mut servers = Servers::start(delay);
    let mut command = side(&servers.described);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let served = cpu_seconds(servers.process.id());
    servers.stop();
    assert!(output.status.success(), "{command:?}");
    let mut measured: Value = serde_json::from_slice(&output.stdout).unwrap();
    measured["served"] = served.into();
    measured
}

struct Servers {
    process: Child,
    described: String,
}

impl Servers {
    fn start(delay: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", &delay.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut described = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut described).unwrap();
        Self { process, described }
    }

    fn stop(&mut self) {
        self.process.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.process.wait().unwrap();
    }
}

// Of a process, in user and kernel; hundredths of a second on Linux.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at: usize| -> f64 {
        after_name.split_whitespace().nth(at).and_then(|text| text.parse().ok()).unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}
