//! Rows in `k` clusters, each around its mean.

mod auto;
mod batch;
mod lloyd;
mod seeding;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{Error, Result, Rows, distance};

pub use auto::{ChooseKOptions, ChosenK, choose_k};
pub use batch::{MiniBatchOptions, mini_batch_kmeans};

use lloyd::Lloyd;

/// Rows that one task works on; sums are taken over as many, in this order, so that
/// they do not depend on the number of threads.
const CHUNK: usize = 1024;

/// How [`kmeans`] clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeansOptions {
    /// The number of clusters, 1 or more.
    pub k: usize,
    /// How many times to start anew; the result with the smallest inertia is kept.
    pub starts: usize,
    /// The largest number of passes over all rows in each start.
    pub iterations: usize,
    /// A start ends once the squared moves of all centroids sum to no more than this
    /// times the mean variance of the columns.
    pub tolerance: f64,
    /// Where chance begins.
    pub seed: u64,
    /// The first centroids, `k` rows one after the other, in place of chosen ones; there
    /// is one start then.
    pub init: Option<Vec<f32>>,
}

impl Default for KMeansOptions {
    /// Eight clusters, four starts; the other values are those of scikit-learn.
    fn default() -> Self {
        Self { k: 8, starts: 4, iterations: 300, tolerance: 1e-4, seed: 0, init: None }
    }
}

/// What [`kmeans`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    /// The centroids: `k` rows of the dimension of the rows, one after the other.
    pub centroids: Vec<f32>,
    /// For each row the number of its centroid, from 0.
    pub labels: Vec<u32>,
    /// The sum over all rows of the squared distance to their centroid.
    pub inertia: f64,
    /// How many passes over all rows the kept start made.
    pub iterations: usize,
}

/// Clusters rows so that the sum of squared distances to the means of the clusters is
/// small: the algorithm of Lloyd (1982), started by greedy k-means++ (Arthur and
/// Vassilvitskii, 2007).
///
/// The same start leads to the same clusters as in scikit-learn, up to ties and
/// rounding. Rows whose centroid cannot have changed are skipped: each keeps a lower
/// bound of its distance to up to 16 groups of centroids (Elkan, 2003, for `k ≤ 16`;
/// Ding and others, 2015, above). A cluster that loses all its rows takes the row that is
/// farthest from its centroid. With fewer distinct rows than `k`, some clusters stay
/// empty.
///
/// Takes O(`n·k·d`) a pass at worst, usually far less after the first passes. Memory:
/// `n·(12 + 4·min(k, 16))` bytes and some `k·d` numbers; while it chooses the first
/// centroids `n·4·(3 + ln k)` bytes.
///
/// # Errors
///
/// When there are fewer rows than `k`, `k`, `starts` or `iterations` is 0, the tolerance is
/// negative or no number, `init` is not `k` finite rows of this dimension, or the job is
/// interrupted.
pub fn kmeans(rows: Rows<'_>, options: &KMeansOptions, job: &Job) -> Result<KMeans> {
    check(rows, options)?;
    let starts = if options.init.is_some() { 1 } else { options.starts };
    job.on(Event::started(Work::Clustering, Some(starts as u64)));
    let limit = options.tolerance * mean_variance(rows);
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut best: Option<KMeans> = None;
    for _ in 0..starts {
        let first = match &options.init {
            Some(init) => init.clone(),
            None => seeding::choose(rows, options.k, &mut rng, job)?,
        };
        let found = Lloyd::new(rows, first).run(options.iterations, limit, job)?;
        if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
            best = Some(found);
        }
        job.on(Event::Advanced { item: "start", bytes: 0 });
    }
    job.on(Event::Finished);
    Ok(best.expect("there is one start at least"))
}

/// The centroid next to a row, such as one of a song that was added later: its number,
/// and the squared distance. Of several as near, the first.
///
/// Takes O(`k·d`).
///
/// # Errors
///
/// When there is no centroid, or the row has another dimension.
pub fn nearest_centroid(centroids: Rows<'_>, row: &[f32]) -> Result<(u32, f64)> {
    centroids.at_least(1)?;
    if row.len() != centroids.dimension() {
        return Err(Error::Dimension { expected: centroids.dimension(), found: row.len() });
    }
    let distances = centroids.iter().map(|centroid| distance::squared_f64(row, centroid));
    let nearest =
        distances.enumerate().reduce(|best, next| if next.1 < best.1 { next } else { best });
    let (label, distance) = nearest.expect("there is a centroid");
    Ok((label as u32, distance))
}

fn check(rows: Rows<'_>, options: &KMeansOptions) -> Result<()> {
    let refused = |option, value: String, expected| Error::Option { option, value, expected };
    for (option, value) in
        [("k", options.k), ("starts", options.starts), ("iterations", options.iterations)]
    {
        if value == 0 {
            return Err(refused(option, "0".to_owned(), "1 or more"));
        }
    }
    if options.tolerance.is_nan() || options.tolerance < 0.0 {
        return Err(refused("tolerance", options.tolerance.to_string(), "0 or more"));
    }
    rows.at_least(options.k)?;
    let Some(init) = &options.init else { return Ok(()) };
    if init.len() != options.k * rows.dimension() {
        let value = format!("{} values", init.len());
        return Err(refused("init", value, "`k` rows of the dimension of the rows"));
    }
    Rows::new(init, rows.dimension()).map(|_| ())
}

/// The variance of the columns, on average.
fn mean_variance(rows: Rows<'_>) -> f64 {
    let dimension = rows.dimension();
    let none = vec![0.0; dimension];
    let mean: Vec<f64> =
        sums(rows, &none, |off| off).into_iter().map(|sum| sum / rows.len() as f64).collect();
    let squares = sums(rows, &mean, |off| off * off);
    squares.iter().sum::<f64>() / rows.len() as f64 / dimension as f64
}

/// For each column the sum of what `of` makes of how far values are from `from`.
fn sums(rows: Rows<'_>, from: &[f64], of: impl Fn(f64) -> f64 + Sync) -> Vec<f64> {
    let dimension = rows.dimension();
    let chunks: Vec<Vec<f64>> = rows
        .values()
        .par_chunks(16 * CHUNK * dimension)
        .map(|chunk| {
            let mut sums = vec![0.0; dimension];
            for row in chunk.chunks_exact(dimension) {
                for ((sum, value), from) in sums.iter_mut().zip(row).zip(from) {
                    *sum += of(f64::from(*value) - from);
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; dimension];
    for chunk in chunks {
        total.iter_mut().zip(chunk).for_each(|(total, sum)| *total += sum);
    }
    total
}
