//! Whole commands over a library of random songs: what a person waits for.
//!
//! ```text
//! cargo build --profile dist -p songrec-cli
//! cargo run --profile dist -p songrec-bench --bin commands -- [SONGS] [DIMENSION] [FOLDER]
//! ```
//!
//! Each command is a process of its own, run eleven times, and its median is
//! printed: with what the operating system keeps of the files in memory, and,
//! where this process may drop that (`/proc/sys/vm/drop_caches`), without. A
//! folder that holds a library already is used as it is.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use songrec_bench::random_library;
use songrec_core::{Metric, ModelSpec};
use songrec_storage::{SongQuery, StorageBackend};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const RUNS: usize = 11;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let songs: usize = arguments.next().as_deref().unwrap_or("100000").parse()?;
    let dimension: usize = arguments.next().as_deref().unwrap_or("512").parse()?;
    let folder = arguments
        .next()
        .map_or_else(|| PathBuf::from(format!("target/bench/{songs}x{dimension}")), PathBuf::from);
    let songrec = std::env::current_exe()?.with_file_name("songrec");
    if !songrec.is_file() {
        return Err("build the program first: cargo build --profile dist -p songrec-cli".into());
    }
    let model = ModelSpec {
        name: "random@1".parse()?,
        dimension,
        metric: Metric::Cosine,
        description: String::new(),
    };
    let id = fill(&folder, &model, songs).await?;

    println!("{songs} songs of {dimension} dimensions in {}", folder.display());
    println!("{:<56}{:>10}{:>12}", "command", "warm, ms", "evicted, ms");
    let commands: [&[&str]; 8] = [
        &["version"],
        &["similar", &id, "--model", "random@1"],
        &["similar", &id, "--model", "random@1", "--filter", "genre:techno"],
        &["ls", "--limit", "50"],
        &["ls", "--limit", "50", "--sort", "title", "--filter", "bpm:120..130"],
        &["search", "deep", "kick"],
        &["ls", "--count", "--filter", "year:1990..1999"],
        &["show", &id],
    ];
    for arguments in commands {
        let warm = median(&songrec, &folder, arguments, false)?;
        let evicted =
            if may_evict() { Some(median(&songrec, &folder, arguments, true)?) } else { None };
        let shown = arguments.iter().map(|text| if **text == *id { "SONG" } else { text });
        println!(
            "{:<56}{:>10}{:>12}",
            shown.collect::<Vec<_>>().join(" "),
            ms(warm),
            evicted.map_or_else(|| "-".to_owned(), ms)
        );
    }
    Ok(())
}

/// Fills the library up to `songs` songs; gives the id of one of them.
async fn fill(folder: &Path, model: &ModelSpec, songs: usize) -> Result<String> {
    let started = Instant::now();
    let library = random_library(folder, model, songs, 0).await?;
    if started.elapsed() > Duration::from_secs(1) {
        println!("filled in {:.0} s", started.elapsed().as_secs_f64());
    }
    let query = SongQuery { skip: songs / 2, limit: 1, ..SongQuery::default() };
    let page = library.songs().find_summaries(&query).await?;
    Ok(page.items.first().ok_or("the library is empty")?.id.to_string())
}

fn median(songrec: &Path, folder: &Path, arguments: &[&str], evict: bool) -> Result<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for run in 0..=RUNS {
        if evict {
            std::fs::write("/proc/sys/vm/drop_caches", "1")?;
        }
        let started = Instant::now();
        let status = Command::new(songrec)
            .args(["--no-config", "--library"])
            .arg(folder)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        // The first run only warms up.
        if run > 0 {
            times.push(started.elapsed());
        }
        if !status.success() {
            return Err(format!("`songrec {}` failed: {status}", arguments.join(" ")).into());
        }
    }
    times.sort_unstable();
    Ok(times[RUNS / 2])
}

fn may_evict() -> bool {
    std::fs::OpenOptions::new().write(true).open("/proc/sys/vm/drop_caches").is_ok()
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
