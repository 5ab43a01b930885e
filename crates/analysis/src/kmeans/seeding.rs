//! The first centroids.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use songrec_core::Job;

use super::CHUNK;
use crate::{
    Error, Result, Rows,
    distance::{PANEL, Panels},
};

/// Rows that go through a kernel at once.
const BLOCK: usize = 32;

/// `k` rows that lie far apart: greedy k-means++.
///
/// Each is drawn with a chance in proportion to the squared distance to the nearest one
/// so far. Of `2 + ln k` draws, the one that leaves the smallest sum of these is kept
/// (Arthur and Vassilvitskii, 2007, in the conclusions).
pub(super) fn choose(
    rows: Rows<'_>,
    k: usize,
    rng: &mut ChaCha8Rng,
    job: &Job,
) -> Result<Vec<f32>> {
    let trials = (2 + (k as f64).ln() as usize).min(PANEL);
    let mut chosen = rows.row(rng.random_range(0..rows.len())).to_vec();
    let mut nearest = distances(rows, &[&chosen], job)?;
    while chosen.len() < k * rows.dimension() {
        let sums = sums(nearest.par_chunks(CHUNK).map(|chunk| sum(chunk.iter().copied())));
        let candidates: Vec<&[f32]> =
            (0..trials).map(|_| rows.row(draw(&nearest, &sums, rng))).collect();
        let distances = distances(rows, &candidates, job)?;
        let left = potentials(&nearest, &distances, trials);
        let best =
            (1..trials).fold(0, |best, next| if left[next] < left[best] { next } else { best });
        nearest
            .par_iter_mut()
            .zip(distances.par_chunks(trials))
            .for_each(|(nearest, distances)| *nearest = nearest.min(distances[best]));
        chosen.extend_from_slice(candidates[best]);
    }
    Ok(chosen)
}

/// From each row to each point, row after row.
fn distances(rows: Rows<'_>, points: &[&[f32]], job: &Job) -> Result<Vec<f32>> {
    let panels = Panels::new(points.iter().copied(), rows.dimension());
    let width = points.len();
    let mut distances = vec![0.0; rows.len() * width];
    distances
        .par_chunks_mut(CHUNK * width)
        .zip(rows.values().par_chunks(CHUNK * rows.dimension()))
        .try_for_each(|(distances, rows_of_chunk)| {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let mut all = vec![0.0; BLOCK * panels.width()];
            let rows_of_chunk: Vec<&[f32]> = rows_of_chunk.chunks_exact(rows.dimension()).collect();
            for (rows, distances) in
                rows_of_chunk.chunks(BLOCK).zip(distances.chunks_mut(BLOCK * width))
            {
                panels.squared(rows, &mut all);
                for (to, from) in
                    distances.chunks_exact_mut(width).zip(all.chunks_exact(panels.width()))
                {
                    to.copy_from_slice(&from[..width]);
                }
            }
            Ok(())
        })?;
    Ok(distances)
}

/// For each candidate the sum of distances that would be left.
fn potentials(nearest: &[f32], distances: &[f32], trials: usize) -> Vec<f64> {
    let chunks: Vec<Vec<f64>> = nearest
        .par_chunks(CHUNK)
        .zip(distances.par_chunks(CHUNK * trials))
        .map(|(nearest, distances)| {
            let mut sums = vec![0.0; trials];
            for (nearest, distances) in nearest.iter().zip(distances.chunks_exact(trials)) {
                for (sum, distance) in sums.iter_mut().zip(distances) {
                    *sum += f64::from(nearest.min(*distance));
                }
            }
            sums
        })
        .collect();
    (0..trials).map(|trial| chunks.iter().map(|chunk| chunk[trial]).sum()).collect()
}

fn sum(values: impl Iterator<Item = f32>) -> f64 {
    values.map(f64::from).sum()
}

fn sums(chunks: impl IndexedParallelIterator<Item = f64>) -> Vec<f64> {
    chunks.collect()
}

/// A row with a chance in proportion to its value; `sums` are those of chunks.
fn draw(values: &[f32], sums: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let total: f64 = sums.iter().sum();
    if total <= 0.0 || !total.is_finite() {
        return rng.random_range(0..values.len());
    }
    let mut left = rng.random::<f64>() * total;
    let mut chunk = 0;
    while chunk + 1 < sums.len() && left >= sums[chunk] {
        left -= sums[chunk];
        chunk += 1;
    }
    let start = chunk * CHUNK;
    let chunk = &values[start..values.len().min(start + CHUNK)];
    // A row at distance 0 is a centroid already, so rounding must not end at one.
    let mut last = 0;
    for (row, value) in chunk.iter().enumerate() {
        if *value > 0.0 {
            last = row;
            left -= f64::from(*value);
            if left < 0.0 {
                break;
            }
        }
    }
    start + last
}
