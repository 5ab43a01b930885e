//! `songrec migrate` beside an astrapy script and `rclone`.
//!
//! ```text
//! cargo build --release -p songrec-cli
//! cargo run --release -p songrec-bench --bin migrate -- [PYTHON] [RCLONE]
//! ```
//!
//! Copies 10,000 songs of 512 dimensions without audio into an emulated
//! database, as `tools/bench_migrate.py` does with PYTHON; and 2,000 songs with
//! 64 KiB of audio each, and 60 with 5 MB, into an S3 server on this machine,
//! as RCLONE copies the same files. Each side is a process of its own; servers
//! are the same for both, and fresh.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::{
    error::Error,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use songrec_bench::random_library;
use songrec_core::{Metric, ModelSpec};
use songrec_testkit::s3::S3Server;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SONGS: usize = 10_000;
const DIMENSION: usize = 512;
const MODEL: &str = "random@1";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let python = arguments.next().unwrap_or_else(|| "python3".to_owned());
    let rclone = arguments.next().unwrap_or_else(|| "rclone".to_owned());
    let songrec = std::env::current_exe()?.with_file_name("songrec");
    if !songrec.is_file() {
        return Err("build the program first: cargo build --release -p songrec-cli".into());
    }
    let there = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let model = ModelSpec {
        name: MODEL.parse()?,
        dimension: DIMENSION,
        metric: Metric::Cosine,
        description: String::new(),
    };

    let library = there.path().join("documents");
    runtime.block_on(random_library(&library, &model, SONGS, 0))?;
    let cloud = Cloud::start(&songrec, there.path(), None)?;
    let ours = cloud.migrate(&library, &["--no-audio"])?;
    println!("{SONGS} songs of {DIMENSION} dimensions: songrec {}", per(SONGS, ours));
    let theirs = Command::new(&python)
        .arg("tools/bench_migrate.py")
        .arg(&library)
        .args([&cloud.endpoint, &cloud.token, MODEL, &DIMENSION.to_string()])
        .output();
    match theirs.map_err(|error| error.to_string()).and_then(seconds) {
        Ok(time) => println!(
            "  astrapy {}: {:.1} times as long",
            per(SONGS, time),
            time.as_secs_f64() / ours.as_secs_f64()
        ),
        Err(why) => println!("  astrapy: not measured: {why}"),
    }
    drop(cloud);

    for (songs, size) in [(2_000, 64 << 10), (60, 5_000_000)] {
        let library = there.path().join(format!("audio-{size}"));
        runtime.block_on(random_library(&library, &model, songs, size))?;
        let s3 = S3Server::start();
        let cloud = Cloud::start(&songrec, there.path(), Some(&s3))?;
        let ours = cloud.migrate(&library, &["--jobs", "16"])?;
        drop(cloud);
        let rate = |time: Duration| {
            let bytes = (songs * size) as f64 / time.as_secs_f64() / 1e6;
            format!("{}, {bytes:.0} MB/s", per(songs, time))
        };
        println!("{songs} x {size} bytes of audio: songrec, with its documents, {}", rate(ours));
        match copy_with(&rclone, &library, &S3Server::start()) {
            Ok(time) => println!("  rclone, audio alone, {}", rate(time)),
            Err(why) => println!("  rclone: not measured: {why}"),
        }
    }
    Ok(())
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

    fn run(&self, arguments: &[&str]) -> Result<Duration> {
        let started = Instant::now();
        let output = Command::new(&self.songrec)
            .args(arguments)
            .env("HOME", &self.home)
            .env("ASTRA_DB_API_ENDPOINT", &self.endpoint)
            .env("ASTRA_DB_APPLICATION_TOKEN", &self.token)
            .envs(self.blobs.iter().cloned())
            .current_dir(&self.home)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(started.elapsed())
    }

    fn migrate(&self, library: &Path, more: &[&str]) -> Result<Duration> {
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

fn copy_with(rclone: &str, library: &Path, s3: &S3Server) -> std::result::Result<Duration, String> {
    let started = Instant::now();
    let output = Command::new(rclone)
        .arg("copy")
        .arg(library.join("blobs"))
        .arg(format!(":s3:{}/rclone", S3Server::BUCKET))
        .args(["--transfers", "16", "--checkers", "16", "--config", "/dev/null"])
        .args(["--s3-provider", "Other", "--s3-region", "us-east-1", "--s3-no-check-bucket"])
        .args(["--s3-force-path-style", "--s3-endpoint", &s3.endpoint()])
        // What is trusted of other servers makes it stumble over this one.
        .env_remove("AWS_CA_BUNDLE")
        .env("RCLONE_S3_ACCESS_KEY_ID", S3Server::ACCESS_KEY)
        .env("RCLONE_S3_SECRET_ACCESS_KEY", S3Server::SECRET_KEY)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(started.elapsed());
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned())
}

// What a script printed: `{"seconds": …}`.
fn seconds(output: std::process::Output) -> std::result::Result<Duration, String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text
        .split("\"seconds\": ")
        .nth(1)
        .and_then(|rest| rest.split([',', '}']).next()?.trim().parse().ok());
    number.map(Duration::from_secs_f64).ok_or_else(|| {
        String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
    })
}

fn per(songs: usize, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!("{seconds:.1} s, {:.0} songs/s", songs as f64 / seconds)
}
