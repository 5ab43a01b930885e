//! How well rows lie in their clusters.

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{
    Error, NOISE, Result, Rows,
    distance::{PANEL, Panels},
    sample,
};

/// Rows that one task compares with all others.
const BLOCK: usize = 16;
/// Panels that these are compared with at once; their distances stay in the cache.
const PANELS: usize = 64;

/// How [`silhouette`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilhouetteOptions {
    /// If more rows than this are in clusters, so many of them are looked at.
    pub sample: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for SilhouetteOptions {
    fn default() -> Self {
        Self { sample: 5000, seed: 0 }
    }
}

/// What [`silhouette`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Silhouette {
    /// The mean of the values.
    pub mean: f64,
    /// The rows that were looked at, ascending.
    pub rows: Vec<usize>,
    /// The silhouette of each of these, from −1 (nearer to another cluster) to 1.
    pub values: Vec<f64>,
}

/// The silhouette of rows (Rousseeuw, 1987): `(b − a) / max(a, b)`, where `a` is the mean
/// Euclidean distance to the other rows of the cluster, and `b` that to the rows of the
/// nearest other cluster. The only row of its cluster has 0.
///
/// Rows with the label [`NOISE`] are left out. If more others than `sample` are left, the
/// values are those of a sample drawn by the seed, whose rows are compared with each other
/// only; if not, they are exact.
///
/// Takes O(`s²·d`) for `s` rows looked at. Memory: a copy of these rows, and `s·(c + 4)`
/// numbers for `c` clusters.
///
/// # Errors
///
/// When there is not one label for each row, fewer than two clusters are among the rows
/// looked at, there are as many clusters as these rows, or the job is interrupted.
pub fn silhouette(
    rows: Rows<'_>,
    labels: &[u32],
    options: &SilhouetteOptions,
    job: &Job,
) -> Result<Silhouette> {
    if labels.len() != rows.len() {
        return Err(Error::Labels { expected: rows.len(), found: labels.len() });
    }
    let clustered: Vec<usize> = (0..rows.len()).filter(|row| labels[*row] != NOISE).collect();
    let some: Vec<usize> = sample::rows(clustered.len(), options.sample, options.seed)
        .into_iter()
        .map(|at| clustered[at])
        .collect();

    // By cluster, so that each is a run of distances.
    let mut order: Vec<usize> = (0..some.len()).collect();
    order.sort_by_key(|at| labels[some[*at]]);
    let mut ends = Vec::new();
    for (at, of) in order.iter().enumerate() {
        let next = order.get(at + 1).map(|next| labels[some[*next]]);
        if next != Some(labels[some[*of]]) {
            ends.push(at + 1);
        }
    }
    if ends.len() < 2 {
        return Err(Error::TooFewClusters { needed: 2, found: ends.len() });
    }
    if ends.len() == some.len() {
        return Err(Error::TooFew { needed: some.len() + 1, found: some.len() });
    }

    let ordered: Vec<&[f32]> = order.iter().map(|at| rows.row(some[*at])).collect();
    let panels = Panels::new(ordered.iter().copied(), rows.dimension());
    job.on(Event::started(Work::Silhouettes, Some(some.len() as u64)));
    let blocks: Vec<Vec<f64>> = ordered
        .par_chunks(BLOCK)
        .enumerate()
        .map(|(block, rows)| {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let sums = sums(&panels, rows, &ends);
            let of_row = |(row, sums): (usize, &[f64])| value(block * BLOCK + row, sums, &ends);
            Ok(sums.chunks_exact(ends.len()).enumerate().map(of_row).collect())
        })
        .collect::<Result<_>>()?;
    let mut values = vec![0.0; some.len()];
    for (at, value) in order.iter().zip(blocks.into_iter().flatten()) {
        values[*at] = value;
    }
    job.on(Event::Finished);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Ok(Silhouette { mean, rows: some, values })
}

/// For each row and cluster the sum of distances.
fn sums(panels: &Panels, rows: &[&[f32]], ends: &[usize]) -> Vec<f64> {
    let mut sums = vec![0.0; rows.len() * ends.len()];
    let mut distances = vec![0.0f32; rows.len() * PANELS * PANEL];
    let len = *ends.last().expect("there are two clusters or more");
    let mut first = 0;
    while first < panels.count() {
        let last = (first + PANELS).min(panels.count());
        let width = (last - first) * PANEL;
        let distances = &mut distances[..rows.len() * width];
        panels.squared_within(first..last, rows, distances);
        distances.iter_mut().for_each(|distance| *distance = distance.sqrt());
        let (from, to) = (first * PANEL, (last * PANEL).min(len));
        for (distances, sums) in
            distances.chunks_exact(width).zip(sums.chunks_exact_mut(ends.len()))
        {
            let mut at = from;
            let mut cluster = ends.partition_point(|end| *end <= from);
            while at < to {
                let end = ends[cluster].min(to);
                let run = &distances[at - from..end - from];
                sums[cluster] += run.iter().map(|distance| f64::from(*distance)).sum::<f64>();
                (at, cluster) = (end, cluster + 1);
            }
        }
        first = last;
    }
    sums
}

/// Of the row that comes at this place in the order of clusters.
fn value(at: usize, sums: &[f64], ends: &[usize]) -> f64 {
    let own = ends.partition_point(|end| *end <= at);
    let size = |cluster: usize| ends[cluster] - if cluster == 0 { 0 } else { ends[cluster - 1] };
    if size(own) == 1 {
        return 0.0;
    }
    let a = sums[own] / (size(own) - 1) as f64;
    let others = (0..ends.len()).filter(|cluster| *cluster != own);
    let b = others.map(|other| sums[other] / size(other) as f64).fold(f64::INFINITY, f64::min);
    let largest = a.max(b);
    // All these rows are equal.
    if largest == 0.0 { 0.0 } else { (b - a) / largest }
}
