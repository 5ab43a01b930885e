//! `songrec migrate` beside an astrapy script and `rclone`.
//!
//! ```text
//! cargo build --profile dist -p songrec-cli
//! cargo run --profile dist -p songrec-bench --bin migrate -- [PYTHON] [RCLONE]
//! ```
//!
//! Copies 10,000 songs of 512 dimensions without audio into an emulated
//! database, as `tools/bench_migrate.py` does with PYTHON; and 2,000 songs with
//! 64 KiB of audio each, and 60 with 5 MB, into an S3 server on this machine,
//! as RCLONE copies the same files. Each side is a process of its own; servers
//! are the same for both, and fresh each time. Three times each, one side after
//! the other; the medians are printed, and the seconds of processor time that
//! client and server took.
//!
//! ```text
//! cargo run --profile dist -p songrec-bench --bin migrate -- --memory [SONGS] [DIMENSION]
//! ```
//!
//! Migrates, syncs, clones and syncs again a large library, and prints the most
//! memory that `songrec` took each time; the server is another process.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::{
    error::Error,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use songrec_bench::random_library;
use songrec_core::{Metric, ModelSpec};
use songrec_testkit::{peak_memory, s3::S3Server};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SONGS: usize = 10_000;
const DIMENSION: usize = 512;
const MODEL: &str = "random@1";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let memory = arguments.next_if(|first| first == "--memory").is_some();
    let mut next = |usual: &str| arguments.next().unwrap_or_else(|| usual.to_owned());
    let songrec = std::env::current_exe()?.with_file_name("songrec");
    if !songrec.is_file() {
        return Err("build the program first: cargo build --profile dist -p songrec-cli".into());
    }
    let bench =
        Bench { songrec, there: tempfile::tempdir()?, runtime: tokio::runtime::Runtime::new()? };
    if memory {
        return bench.memory(next("200000").parse()?, next("64").parse()?);
    }
    let (python, rclone) = (next("python3"), next("rclone"));
    bench.documents(&python)?;
    bench.audio(&rclone, 2_000, 64 << 10)?;
    bench.audio(&rclone, 60, 5_000_000)
}

struct Bench {
    songrec: PathBuf,
    there: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn library(&self, songs: usize, dimension: usize, audio: usize) -> Result<PathBuf> {
        let folder = self.there.path().join(format!("library-{songs}-{dimension}-{audio}"));
        let model = ModelSpec {
            name: MODEL.parse()?,
            dimension,
            metric: Metric::Cosine,
            description: String::new(),
        };
        self.runtime.block_on(random_library(&folder, &model, songs, audio))?;
        Ok(folder)
    }

    fn cloud(&self, s3: Option<&S3Server>) -> Result<Cloud> {
        Cloud::start(&self.songrec, self.there.path(), s3)
    }

    fn documents(&self, python: &str) -> Result<()> {
        let library = self.library(SONGS, DIMENSION, 0)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let cloud = self.cloud(None)?;
            let server = cloud.processor();
            let mut run = cloud.migrate(&library, &["--no-audio"])?;
            run.server = cloud.processor() - server;
            ours.push(run);

            let cloud = self.cloud(None)?;
            let server = cloud.processor();
            let mut script = Command::new(python);
            script.arg("tools/bench_migrate.py").arg(&library);
            script.args([&cloud.endpoint, &cloud.token, MODEL]);
            match run_measured(&mut script).map_err(|error| error.to_string()).and_then(seconds) {
                Ok(run) => theirs.push(Run { server: cloud.processor() - server, ..run }),
                Err(why) => println!("  astrapy: not measured: {why}"),
            }
        }
        let ours = median(ours).ok_or("nothing was measured")?;
        println!("{SONGS} songs of {DIMENSION} dimensions: songrec {}", ours.of(SONGS, 0));
        if let Some(theirs) = median(theirs) {
            let ratio = theirs.time.as_secs_f64() / ours.time.as_secs_f64();
            println!("  astrapy {}: {ratio:.1} times as long", theirs.of(SONGS, 0));
        }
        Ok(())
    }

    fn audio(&self, rclone: &str, songs: usize, size: usize) -> Result<()> {
        let library = self.library(songs, DIMENSION, size)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let s3 = S3Server::start();
            let cloud = self.cloud(Some(&s3))?;
            let server = processor_of("self");
            let mut run = cloud.migrate(&library, &["--jobs", "16"])?;
            run.server = processor_of("self") - server;
            ours.push(run);
            drop((cloud, s3));

            let s3 = S3Server::start();
            let server = processor_of("self");
            match copy_with(rclone, &library, &s3) {
                Ok(run) => theirs.push(Run { server: processor_of("self") - server, ..run }),
                Err(why) => println!("  rclone: not measured: {why}"),
            }
        }
        let ours = median(ours).ok_or("nothing was measured")?;
        println!(
            "{songs} x {size} bytes of audio: songrec, with its documents, {}",
            ours.of(songs, size)
        );
        if let Some(theirs) = median(theirs) {
            println!("  rclone, audio alone, {}", theirs.of(songs, size));
        }
        Ok(())
    }

    fn memory(&self, songs: usize, dimension: usize) -> Result<()> {
        let library = self.library(songs, dimension, 0)?;
        let local = library.to_string_lossy();
        let clone = self.there.path().join("clone");
        let clone = clone.to_string_lossy();
        let migrated = self.cloud(None)?;
        let synced = self.cloud(None)?;
        let sync: &[&str] = &["sync", &local, "astra", "--json"];
        for (what, cloud, arguments) in [
            ("migrate", &migrated, &["migrate", "--from", &local, "--to", "astra"][..]),
            ("plan of a first sync", &synced, &["status", &local, "astra", "--json"]),
            ("first sync", &synced, sync),
            ("sync with nothing to do", &synced, sync),
            ("clone", &synced, &["clone", "astra", &clone, "--json"]),
        ] {
            let run = cloud.run(arguments)?;
            println!("{what} of {songs} songs of {dimension} dimensions: {}", run.of(songs, 0));
        }
        Ok(())
    }
}

/// So often everything is measured.
const TIMES: usize = 3;

// What a run of a program took.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    time: Duration,
    // Processor time of the client and of the server.
    client: Duration,
    server: Duration,
    // The most memory that the client had, in bytes.
    memory: u64,
}

impl Run {
    fn of(&self, songs: usize, bytes: usize) -> String {
        let seconds = self.time.as_secs_f64();
        let rate = match bytes {
            0 => String::new(),
            bytes => format!("{:.0} MB/s, ", (songs * bytes) as f64 / seconds / 1e6),
        };
        format!(
            "{seconds:.2} s, {:.0} songs/s, {rate}processor {:.2} s and {:.2} s of the server, {} MiB",
            songs as f64 / seconds,
            self.client.as_secs_f64(),
            self.server.as_secs_f64(),
            self.memory >> 20,
        )
    }
}

fn median(mut runs: Vec<Run>) -> Option<Run> {
    runs.sort_by_key(|run| run.time);
    runs.get(runs.len() / 2).copied()
}

// Processor time of a process so far; with that of children only for those
// that have ended.
fn processor_of(process: &str) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // A hundred in a second, on every Linux.
    Duration::from_millis((ticks(12) + ticks(13)) * 10)
}

// Runs a program to its end, and looks at it now and then: what it took is gone
// with it.
fn run_measured(command: &mut Command) -> Result<(Output, Run)> {
    let started = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = child.id().to_string();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let (mut client, mut memory) = (Duration::ZERO, 0);
        loop {
            client = processor_of(&process).max(client);
            memory = peak_memory(&process).map_or(memory, |peak| memory.max(peak));
            if is_done.recv_timeout(Duration::from_millis(5)) != Err(RecvTimeoutError::Timeout) {
                return (client, memory);
            }
        }
    });
    let output = child.wait_with_output()?;
    let time = started.elapsed();
    drop(done);
    let (client, memory) = watcher.join().map_err(|_| "the watcher panicked")?;
    Ok((output, Run { time, client, server: Duration::ZERO, memory }))
}

// An emulated database, and how songrec finds it.
struct Cloud {
    emulator: Child,
    endpoint: String,
    token: String,
    home: PathBuf,
    songrec: PathBuf,
    blobs: Vec<(&'static str, String)>,
}

impl Cloud {
    fn start(songrec: &Path, there: &Path, s3: Option<&S3Server>) -> Result<Self> {
        let mut emulator = Command::new(songrec)
            .args(["emulator", "--addr", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = emulator.stdout.take().ok_or("the emulator says nothing")?;
        let mut lines = BufReader::new(output).lines();
        let mut next = || -> Result<String> {
            let line = lines.next().ok_or("the emulator ended")??;
            Ok(line.split_once('=').ok_or("not a setting")?.1.to_owned())
        };
        let (endpoint, token) = (next()?, next()?);
        let home = there.join(format!("home-{}", emulator.id()));
        std::fs::create_dir_all(&home)?;
        let blobs = match s3 {
            Some(s3) => vec![
                ("SONGREC_BLOBS", s3.blobs("bench")),
                ("SONGREC_BLOBS_ENDPOINT", s3.endpoint()),
                ("SONGREC_BLOBS_REGION", "us-east-1".to_owned()),
                ("SONGREC_BLOBS_ACCESS_KEY", S3Server::ACCESS_KEY.to_owned()),
                ("SONGREC_BLOBS_SECRET_KEY", S3Server::SECRET_KEY.to_owned()),
            ],
            None => Vec::new(),
        };
        let cloud = Self { emulator, endpoint, token, home, songrec: songrec.to_owned(), blobs };
        cloud.run(&["--storage-backend", "astra", "init-astra"])?;
        Ok(cloud)
    }

    fn processor(&self) -> Duration {
        processor_of(&self.emulator.id().to_string())
    }

    fn run(&self, arguments: &[&str]) -> Result<Run> {
        let mut command = Command::new(&self.songrec);
        command.args(arguments).current_dir(&self.home).envs(self.blobs.iter().cloned());
        command.env("HOME", &self.home);
        command.env("ASTRA_DB_API_ENDPOINT", &self.endpoint);
        command.env("ASTRA_DB_APPLICATION_TOKEN", &self.token);
        let (output, run) = run_measured(&mut command)?;
        // A plan with something in it ends with 1.
        if !output.status.success() && (output.status.code() != Some(1) || output.stdout.is_empty())
        {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(run)
    }

    fn migrate(&self, library: &Path, more: &[&str]) -> Result<Run> {
        let from = library.to_string_lossy();
        let arguments = ["migrate", "--from", &from, "--to", "astra", "--verify", "none"];
        self.run(&[&arguments, more].concat())
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

fn copy_with(rclone: &str, library: &Path, s3: &S3Server) -> Result<Run> {
    let mut command = Command::new(rclone);
    command
        .arg("copy")
        .arg(library.join("blobs"))
        .arg(format!(":s3:{}/rclone", S3Server::BUCKET))
        .args(["--transfers", "16", "--checkers", "16", "--config", "/dev/null"])
        .args(["--s3-provider", "Other", "--s3-region", "us-east-1", "--s3-no-check-bucket"])
        .args(["--s3-force-path-style", "--s3-endpoint", &s3.endpoint()])
        // What is trusted of other servers makes it stumble over this one.
        .env_remove("AWS_CA_BUNDLE")
        .env("RCLONE_S3_ACCESS_KEY_ID", S3Server::ACCESS_KEY)
        .env("RCLONE_S3_SECRET_ACCESS_KEY", S3Server::SECRET_KEY);
    let (output, run) = run_measured(&mut command)?;
    match output.status.success() {
        true => Ok(run),
        false => Err(last_line(&output).into()),
    }
}

// With the time that a script printed: `{"seconds": …}`.
fn seconds((output, run): (Output, Run)) -> std::result::Result<Run, String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text
        .split("\"seconds\": ")
        .nth(1)
        .and_then(|rest| rest.split([',', '}']).next()?.trim().parse().ok());
    let time = number.map(Duration::from_secs_f64).ok_or_else(|| last_line(&output))?;
    Ok(Run { time, ..run })
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}
