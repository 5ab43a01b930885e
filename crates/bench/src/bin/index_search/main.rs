//! How fast and how exact searches in an index are.
//!
//! ```text
//! cargo run --profile dist -p songrec-bench --bin index_search -- [ROWS] [DIMENSION] [DATA] [FOLDER] [KIND]
//! cargo run --profile dist -p songrec-bench --bin index_search -- recall [ROWS] [DIMENSION] [DATA] [FOLDER] [KIND]
//! cargo run --profile dist -p songrec-bench --bin index_search -- ask FOLDER [QUERIES] [FIRST]
//! python3 tools/bench_index_peers.py FOLDER
//! ```
//!
//! With `ask` it only opens the index that is in FOLDER, asks some of its
//! queries, and says how long opening and the first one took, how often it
//! waited for the disk (major faults), and how much memory is resident, by
//! file, as `/proc/self/smaps` has it. `echo 1 > /proc/sys/vm/drop_caches`
//! before it makes that a cold start.
//!
//! DATA is `clustered` (unit vectors around 1,000 centers, or one for each
//! hundred rows if there are fewer), `power-law` (the same, with clusters of
//! very different sizes), `low-rank` (a sixteenth of the dimensions, and a
//! little noise in all) or `isotropic`. Queries are other vectors of the same
//! kind. Recall is measured against [`Precision::Proved`]. The rows, the
//! queries and the true neighbors are left in FOLDER as `.npy` files, for the
//! script that runs the peers on the same data.
//!
//! `recall` asks what `songrec similar` asks of the index: for the neighbors of
//! rows but themselves, from 1 to 1,000 of them, with offsets, filters and
//! exclusions.
#![allow(clippy::print_stdout, reason = "it prints figures")]

mod recall;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use songrec_bench::{Source, write_npy};
use songrec_index::{Filter, Hit, Index, Key, Kind, Metric, Options, Precision, Query, RowSet};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const QUERIES: usize = 1000;
/// Queries whose true neighbors are looked for.
const CHECKED: usize = 200;
const NEIGHBORS: usize = 10;
const BATCH: usize = 4096;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "ask").is_some() {
        return ask(arguments.collect());
    }
    let only_recall = arguments.next_if(|first| first == "recall").is_some();
    let rows: usize = arguments.next().as_deref().unwrap_or("100000").parse()?;
    let dimension: usize = arguments.next().as_deref().unwrap_or("512").parse()?;
    let data = arguments.next().unwrap_or_else(|| "clustered".to_owned());
    let folder = arguments.next().map_or_else(
        || PathBuf::from(format!("target/bench/index-{data}-{rows}x{dimension}")),
        PathBuf::from,
    );
    let kind = match arguments.next().as_deref() {
        None | Some("auto") => Kind::Auto,
        Some("flat") => Kind::Flat,
        Some("ivf") => Kind::Ivf,
        Some(other) => return Err(format!("expected auto, flat or ivf, got `{other}`").into()),
    };
    let source = Source::new(&data, rows, dimension)?;
    let path = folder.join("index");
    std::fs::create_dir_all(&folder)?;
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|i| source.vector(2, i)).collect();
    if !path.exists() {
        build(&source, &path, rows, kind)?;
    }
    if only_recall {
        return recall::measure(&Index::open(&path)?, rows);
    }

    let (cold, first) = (Instant::now(), &queries[0]);
    let index = Index::open(&path)?;
    index.search(&Query::new(first, NEIGHBORS))?;
    println!(
        "{rows} x {dimension} {data}, {} lists; open and first query {:.2} ms",
        index.lists(),
        cold.elapsed().as_secs_f64() * 1e3
    );

    let truth = queries[..CHECKED.min(queries.len())]
        .iter()
        .map(|query| {
            let query = Query { precision: Precision::Proved, ..Query::new(query, NEIGHBORS) };
            Ok(index.search(&query)?)
        })
        .collect::<Result<Vec<Vec<Hit>>>>()?;
    write_npy(&folder.join("queries.npy"), &queries.concat(), dimension)?;
    let numbers: Vec<f32> =
        truth.iter().flatten().map(|hit| u128::from_be_bytes(hit.key.0) as f32).collect();
    write_npy(&folder.join("truth.npy"), &numbers, NEIGHBORS)?;

    measure(
        "all rows",
        &queries,
        &truth,
        |query| Ok(index.search(&Query::new(query, NEIGHBORS))?),
    )?;
    measure("all rows, as `songrec similar` asks", &queries, &truth, |query| {
        let query = Query { precision: Precision::Thorough, ..Query::new(query, NEIGHBORS) };
        Ok(index.search(&query)?)
    })?;
    for part in [10, 100, 1000] {
        if rows / part < NEIGHBORS {
            continue;
        }
        // A multiplicative hash, so that the wanted are all over the file.
        let wanted = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let set = RowSet::new((0..rows).filter(|&i| wanted(i) % part as u64 == 0).map(key));
        let truth = queries[..truth.len()]
            .iter()
            .map(|query| Ok(index.search(&among(&set, query, Precision::Proved))?))
            .collect::<Result<Vec<Vec<Hit>>>>()?;
        measure(&format!("one row in {part}"), &queries, &truth, |query| {
            Ok(index.search(&among(&set, query, Precision::Auto))?)
        })?;
    }
    changes(&index, &queries, rows)?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("Rss")) {
        println!("  {}", line.replace('\t', " "));
    }
    Ok(())
}

/// Opens an index and asks some queries, as a process that has just begun.
fn ask(arguments: Vec<String>) -> Result<()> {
    let folder = PathBuf::from(arguments.first().ok_or("which folder?")?);
    let count: usize = arguments.get(1).map_or("1", String::as_str).parse()?;
    let first: usize = arguments.get(2).map_or("0", String::as_str).parse()?;
    let bytes = std::fs::read(folder.join("queries.npy"))?;
    let path = folder.join("index");
    let before = major_faults();
    let start = Instant::now();
    let index = Index::open(&path)?;
    let opened = start.elapsed();
    let size = index.dimension() * 4;
    for i in (first..).take(count) {
        let at = 128 + i * size % (bytes.len() - 128);
        let query: Vec<f32> = bytes[at..at + size]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        index.search(&Query::new(&query, NEIGHBORS))?;
        if i == first {
            println!(
                "open {:.2} ms, with the first query {:.2} ms, waits for the disk {}",
                opened.as_secs_f64() * 1e3,
                start.elapsed().as_secs_f64() * 1e3,
                major_faults() - before
            );
        }
    }
    let mut resident = std::collections::BTreeMap::<String, u64>::new();
    let mut name = String::new();
    for line in std::fs::read_to_string("/proc/self/smaps")?.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            ["Rss:", kilobytes, _] => {
                *resident.entry(name.clone()).or_default() += kilobytes.parse::<u64>()?;
            }
            [range, _, _, _, _, ..] if range.contains('-') => {
                let file = fields.get(5).unwrap_or(&"anonymous");
                let of_index = Path::new(file).parent().is_some_and(|at| at.ends_with("index"));
                name = match Path::new(file).file_name().and_then(|name| name.to_str()) {
                    Some(name) if of_index => name.to_owned(),
                    _ => "program, heap and stacks".to_owned(),
                };
            }
            _ => {}
        }
    }
    let rows = resident.remove("rows.npy").unwrap_or_default();
    let rest: u64 = resident.values().sum();
    println!("resident: {} MB, and {} MB of float32 rows", rest >> 10, rows >> 10);
    for (name, kilobytes) in resident.iter().filter(|(_, kilobytes)| **kilobytes > 512) {
        println!("  {:>6.1} MB {name}", *kilobytes as f64 / 1024.0);
    }
    Ok(())
}

/// How often this process waited for the disk; zero where that is not known.
fn major_faults() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Field 12 of proc(5).
    text.split(' ').nth(11).and_then(|count| count.parse().ok()).unwrap_or_default()
}

fn among<'a>(set: &'a RowSet, query: &'a [f32], precision: Precision) -> Query<'a> {
    Query { filter: Filter::Rows(set), precision, ..Query::new(query, NEIGHBORS) }
}

fn key(number: usize) -> Key {
    Key::from(number as u128)
}

fn build(source: &Source, path: &Path, rows: usize, kind: Kind) -> Result<()> {
    let options = Options { dimension: source.dimension, metric: Metric::Cosine, kind };
    let index = Index::create(path, &options)?;
    let mut putting = 0.0;
    for first in (0..rows).step_by(BATCH) {
        let vectors: Vec<Vec<f32>> =
            (first..rows.min(first + BATCH)).map(|i| source.vector(1, i)).collect();
        let batch: Vec<(Key, &[f32])> =
            vectors.iter().enumerate().map(|(i, row)| (key(first + i), row.as_slice())).collect();
        let start = Instant::now();
        index.put(&batch)?;
        putting += start.elapsed().as_secs_f64();
    }
    let start = Instant::now();
    index.build(&|| false)?;
    println!(
        "build: put {putting:.1} s, arrange {:.1} s, process CPU {:.1} s with making the data",
        start.elapsed().as_secs_f64(),
        process_cpu()
    );
    Ok(())
}

/// Adds and removes, one by one and a thousand at once.
fn changes(index: &Index, vectors: &[Vec<f32>], rows: usize) -> Result<()> {
    let batch: Vec<(Key, &[f32])> =
        vectors.iter().enumerate().map(|(i, row)| (key(rows + i), row.as_slice())).collect();
    let keys: Vec<Key> = batch.iter().map(|row| row.0).collect();
    let mut add = Vec::new();
    let mut remove = Vec::new();
    for (row, key) in batch.iter().zip(&keys).take(50) {
        let start = Instant::now();
        index.put(std::slice::from_ref(row))?;
        add.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        index.remove(std::slice::from_ref(key))?;
        remove.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let start = Instant::now();
    index.put(&batch)?;
    let add_batch = start.elapsed().as_secs_f64() * 1e3 / batch.len() as f64;
    let start = Instant::now();
    index.remove(&keys)?;
    let remove_batch = start.elapsed().as_secs_f64() * 1e3 / batch.len() as f64;
    println!(
        "  durable: add {:.2} ms, remove {:.2} ms; in a batch of {}: {add_batch:.4} and \
         {remove_batch:.4} ms each",
        median(&mut add),
        median(&mut remove),
        batch.len()
    );
    Ok(())
}

fn measure(
    name: &str,
    queries: &[Vec<f32>],
    truth: &[Vec<Hit>],
    search: impl Fn(&[f32]) -> Result<Vec<Hit>>,
) -> Result<()> {
    for query in &queries[..queries.len() / 5] {
        search(query)?;
    }
    let mut times = Vec::with_capacity(queries.len());
    let mut found = Vec::with_capacity(queries.len());
    let before = thread_cpu();
    for query in queries {
        let start = Instant::now();
        found.push(search(query)?);
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = (thread_cpu() - before) * 1e6 / queries.len() as f64;
    let (mut hits, mut all) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        hits += found.iter().filter(|hit| truth.iter().any(|other| other.key == hit.key)).count();
        all += truth.len();
    }
    println!(
        "  {name}: recall {:.4}, median {:.1} µs, mean CPU {cpu:.1} µs",
        hits as f64 / all as f64,
        median(&mut times)
    );
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU seconds of this thread, as Linux counts them; zero elsewhere.
fn thread_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).map_or(0.0, |ns| ns / 1e9)
}

/// CPU seconds of all threads, as Linux counts them; zero elsewhere.
fn process_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    let ticks: f64 =
        text.split(' ').skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}
