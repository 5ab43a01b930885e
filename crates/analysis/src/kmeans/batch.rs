//! Means of many rows, learned from some at a time.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use songrec_core::{Event, Job, Work};

use super::{KMeans, KMeansOptions, check, lloyd::Lloyd, mean_variance, seeding};
use crate::{Error, Result, Rows, distance::Panels};

/// How [`mini_batch_kmeans`] clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct MiniBatchOptions {
    /// The number of clusters, 1 or more.
    pub k: usize,
    /// Rows in a batch.
    pub batch: usize,
    /// The number of batches.
    pub batches: usize,
    /// The largest number of passes over all rows after the batches.
    pub passes: usize,
    /// These passes end once the squared moves of all centroids sum to no more than this
    /// times the mean variance of the columns.
    pub tolerance: f64,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for MiniBatchOptions {
    fn default() -> Self {
        Self { k: 8, batch: 1024, batches: 100, passes: 10, tolerance: 1e-4, seed: 0 }
    }
}

/// Rows among which the first centroids are chosen, in batches.
const FIRST: usize = 16;

/// Clusters very many rows: the centroids learn from random batches, each at a rate of one
/// over the rows that it has taken (Sculley, 2010), and then settle in a few passes of
/// [`kmeans`](super::kmeans) over all rows, which give labels and inertia.
///
/// Takes O(`batch·k·d`) for a batch and what `kmeans` takes for a pass; memory as there.
///
/// # Errors
///
/// As `kmeans`; also when `batch` is 0.
pub fn mini_batch_kmeans(rows: Rows<'_>, options: &MiniBatchOptions, job: &Job) -> Result<KMeans> {
    let MiniBatchOptions { k, batch, batches, passes, tolerance, seed } = *options;
    let checked = KMeansOptions { k, starts: 1, iterations: passes, tolerance, seed, init: None };
    check(rows, &checked)?;
    if batch == 0 {
        let (value, expected) = ("0".to_owned(), "1 or more");
        return Err(Error::Option { option: "batch", value, expected });
    }
    job.on(Event::started(Work::Clustering, Some(batches as u64 + 1)));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let dimension = rows.dimension();
    let draw = |rng: &mut ChaCha8Rng| rows.row(rng.random_range(0..rows.len()));

    let some: Vec<f32>;
    let first = if rows.len() <= FIRST * batch.max(k) {
        rows
    } else {
        some = (0..FIRST * batch.max(k)).flat_map(|_| draw(&mut rng)).copied().collect();
        Rows::new(&some, dimension)?
    };
    let mut centroids = seeding::choose(first, k, &mut rng, job)?;
    let mut taken = vec![0.0f64; k];
    for _ in 0..batches {
        if job.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let drawn: Vec<&[f32]> = (0..batch).map(|_| draw(&mut rng)).collect();
        learn(&mut centroids, &mut taken, &drawn);
        job.on(Event::Advanced { item: "batch", bytes: 0 });
    }
    let found = Lloyd::new(rows, centroids).run(passes, tolerance * mean_variance(rows), job)?;
    job.on(Event::Advanced { item: "passes", bytes: 0 });
    job.on(Event::Finished);
    Ok(found)
}

/// Moves each centroid to the mean of all rows that it ever took.
fn learn(centroids: &mut [f32], taken: &mut [f64], rows: &[&[f32]]) {
    let dimension = rows[0].len();
    let k = taken.len();
    let panels = Panels::new(centroids.chunks_exact(dimension), dimension);
    let mut distances = vec![0.0; rows.len() * panels.width()];
    panels.squared(rows, &mut distances);
    let mut sums = vec![0.0f64; centroids.len()];
    let mut sizes = vec![0.0f64; k];
    for (row, distances) in rows.iter().zip(distances.chunks_exact(panels.width())) {
        let nearest = super::lloyd::nearest(&distances[..k]);
        sizes[nearest] += 1.0;
        let sum = &mut sums[nearest * dimension..][..dimension];
        sum.iter_mut().zip(*row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    for (c, centroid) in centroids.chunks_exact_mut(dimension).enumerate() {
        if sizes[c] == 0.0 {
            continue;
        }
        let all = taken[c] + sizes[c];
        for (value, sum) in centroid.iter_mut().zip(&sums[c * dimension..]) {
            *value = ((f64::from(*value) * taken[c] + sum) / all) as f32;
        }
        taken[c] = all;
    }
}
