//! How fast analysis is, on rows that its peers get as well.
//!
//! ```text
//! cargo run --profile dist -p songrec-bench --bin analysis -- FOLDER [NAME...]
//! python3 tools/bench_analysis_peers.py FOLDER [NAME...]
//! ```
//!
//! NAME is `kmeans`, `mini-batch`, `dbscan`, `hdbscan` or `forest`; all of them if there is
//! none. The rows of each, the first centroids and the options are left in FOLDER for
//! the script that runs the peers; it prints the same lines.
#![allow(clippy::print_stdout, reason = "it prints figures")]

mod blobs;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use songrec_analysis::{
    DbscanOptions, ForestOptions, HdbscanOptions, IsolationForest, KMeansOptions, MiniBatchOptions,
    NOISE, Pca, Rows, SilhouetteOptions, dbscan, hdbscan, kmeans, mini_batch_kmeans, silhouette,
    suggest_eps,
};
use songrec_bench::write_npy;
use songrec_core::Job;

use self::blobs::Blobs;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLUSTERS: usize = 12;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    std::fs::create_dir_all(&folder)?;
    let names: Vec<String> = arguments.collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    if wanted("kmeans") {
        k_means(&folder)?;
    }
    if wanted("mini-batch") {
        mini_batch(&folder)?;
    }
    if wanted("dbscan") {
        density(&folder)?;
    }
    if wanted("hdbscan") {
        hierarchy(&folder)?;
    }
    if wanted("forest") {
        forest(&folder)?;
    }
    Ok(())
}

/// Of rows whose centers are so close that clusters run into each other.
fn k_means(folder: &Path) -> Result<()> {
    let dimension = 512;
    let data = Blobs { rows: 100_000, dimension, clusters: CLUSTERS, apart: 4.0, seed: 1 };
    let values = data.values();
    write_npy(&folder.join("kmeans.npy"), &values, dimension)?;
    let rows = Rows::new(&values, dimension)?;
    // Rows far from each other in the file, and in no other way chosen.
    let init: Vec<f32> =
        (0..CLUSTERS).flat_map(|c| rows.row(c * rows.len() / CLUSTERS)).copied().collect();
    write_npy(&folder.join("kmeans-init.npy"), &init, dimension)?;
    let options = KMeansOptions { k: CLUSTERS, init: Some(init), ..KMeansOptions::default() };
    let found = measure("k-means 100,000 x 512, k = 12", || kmeans(rows, &options, &silent()))?;
    println!("    inertia {:.6e}, {} passes", found.inertia, found.iterations);

    let options = SilhouetteOptions::default();
    let found = measure("silhouettes of 5,000 x 512", || {
        silhouette(rows, &found.labels, &options, &silent())
    })?;
    println!("    mean {:.6}", found.mean);
    let found = measure("2 components of 100,000 x 512", || Pca::fit(rows, 2, &silent()))?;
    println!("    variance {:.6e} {:.6e}", found.variance[0], found.variance[1]);
    Ok(())
}

fn mini_batch(folder: &Path) -> Result<()> {
    let dimension = 45;
    let data = Blobs { rows: 1_000_000, dimension, clusters: CLUSTERS, apart: 4.0, seed: 2 };
    let values = data.values();
    write_npy(&folder.join("mini-batch.npy"), &values, dimension)?;
    let rows = Rows::new(&values, dimension)?;
    for seed in 0..3 {
        let options = MiniBatchOptions { k: CLUSTERS, seed, ..MiniBatchOptions::default() };
        let name = format!("mini-batch k-means 1,000,000 x 45, k = 12, seed {seed}");
        let found = measure(&name, || mini_batch_kmeans(rows, &options, &silent()))?;
        println!("    inertia {:.6e}, {} passes", found.inertia, found.iterations);
    }
    Ok(())
}

/// How near neighbors are to DBSCAN here.
const EPS: f64 = 6.5;

fn density(folder: &Path) -> Result<()> {
    let dimension = 45;
    let data = Blobs { rows: 100_000, dimension, clusters: CLUSTERS, apart: 10.0, seed: 3 };
    let values = data.values();
    write_npy(&folder.join("dbscan.npy"), &values, dimension)?;
    let rows = Rows::new(&values, dimension)?;
    let min_samples = 10;
    let suggested = measure("a suggested eps of 100,000 x 45", || {
        suggest_eps(rows, min_samples, 0, &silent())
    })?;
    println!("    {suggested:.4}");
    // Within clusters, and not between them: with the suggested one nearly all rows that do
    // not overlap are one cluster, and scikit-learn keeps every pair of neighbors in memory.
    let eps = EPS;
    std::fs::write(folder.join("dbscan.txt"), format!("{eps} {min_samples}\n"))?;
    let options = DbscanOptions { eps, min_samples };
    let labels = measure("DBSCAN 100,000 x 45", || dbscan(rows, &options, &silent()))?;
    println!("    eps {eps:.4}, {}", counted(&labels));
    Ok(())
}

fn hierarchy(folder: &Path) -> Result<()> {
    let dimension = 45;
    let data = Blobs { rows: 50_000, dimension, clusters: CLUSTERS, apart: 10.0, seed: 4 };
    let values = data.values();
    write_npy(&folder.join("hdbscan.npy"), &values, dimension)?;
    let rows = Rows::new(&values, dimension)?;
    let options = HdbscanOptions { min_cluster_size: 50, min_samples: 10 };
    let found = measure("HDBSCAN 50,000 x 45", || hdbscan(rows, &options, &silent()))?;
    println!("    {}", counted(&found.labels));
    let labels: Vec<f32> = found
        .labels
        .iter()
        .map(|label| if *label == NOISE { -1.0 } else { *label as f32 })
        .collect();
    write_npy(&folder.join("hdbscan-labels.npy"), &labels, 1)?;
    Ok(())
}

fn forest(folder: &Path) -> Result<()> {
    let dimension = 45;
    let data = Blobs { rows: 200_000, dimension, clusters: CLUSTERS, apart: 10.0, seed: 5 };
    let values = data.values();
    write_npy(&folder.join("forest.npy"), &values, dimension)?;
    let rows = Rows::new(&values, dimension)?;
    let options = ForestOptions::default();
    let scores = measure("isolation forest 200,000 x 45", || {
        IsolationForest::fit(rows, &options, &silent())?.scores(rows, &silent())
    })?;
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    println!("    mean score {mean:.6}");
    Ok(())
}

fn silent() -> Job {
    Job::silent()
}

fn counted(labels: &[u32]) -> String {
    let noise = labels.iter().filter(|label| **label == NOISE).count();
    let clusters = labels.iter().filter(|label| **label != NOISE).max().map_or(0, |last| last + 1);
    format!("{clusters} clusters, {noise} rows of noise")
}

/// Runs it three times and prints the shortest.
fn measure<T, E: Error + 'static>(
    name: &str,
    work: impl Fn() -> std::result::Result<T, E>,
) -> Result<T> {
    let mut best = (f64::INFINITY, 0.0);
    let mut found = None;
    for _ in 0..3 {
        let (start, cpu) = (Instant::now(), process_cpu());
        found = Some(work()?);
        let took = (start.elapsed().as_secs_f64(), process_cpu() - cpu);
        if took.0 < best.0 {
            best = took;
        }
    }
    println!("{name:55} {:8.3} s, {:8.2} s CPU", best.0, best.1);
    found.ok_or_else(|| "it ran three times".into())
}

/// CPU seconds of all threads, as Linux counts them; zero elsewhere.
fn process_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    let ticks: f64 =
        text.split(' ').skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}
