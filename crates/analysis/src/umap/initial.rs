//! Where points begin.

use rayon::prelude::*;
use songrec_core::Job;

use crate::{Error, Result, Rows};

use super::descend::Random;

/// Rows that the principal axes are taken from.
const SAMPLE: usize = 20_000;

/// Rounds of subspace iteration: points need not begin exactly on the axes.
const ROUNDS: usize = 24;

/// Rows of a chunk, whose sums are added in order.
const CHUNK: usize = 1024;

/// Half the width of a map when it begins (McInnes, Healy & Melville 2018, reference
/// implementation).
const HALF_WIDTH: f64 = 10.0;

/// The rows along their first principal axes (Pearson 1901), by subspace iteration.
pub(crate) fn principal<const D: usize>(
    rows: Rows<'_>,
    seed: u64,
    job: &Job,
) -> Result<Vec<[f64; D]>> {
    let dimension = rows.dimension();
    let mean = column_means(rows);
    let step = rows.len().div_ceil(SAMPLE);
    let sample: Vec<usize> = (0..rows.len()).step_by(step).collect();
    let mut random = Random::new(seed, 0, 0);
    let mut axes: Vec<[f64; D]> =
        (0..dimension).map(|_| std::array::from_fn(|_| random.signed())).collect();
    orthonormalize(&mut axes);
    for _ in 0..ROUNDS {
        if job.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let parts: Vec<Vec<[f64; D]>> = sample
            .par_chunks(CHUNK)
            .map(|chunk| {
                let mut sum = vec![[0.0; D]; dimension];
                for &row in chunk {
                    let at = along(rows.row(row), &mean, &axes);
                    for ((sum, &x), mean) in sum.iter_mut().zip(rows.row(row)).zip(&mean) {
                        for axis in 0..D {
                            sum[axis] += (f64::from(x) - mean) * at[axis];
                        }
                    }
                }
                sum
            })
            .collect();
        axes = vec![[0.0; D]; dimension];
        for part in parts {
            for (sum, part) in axes.iter_mut().flatten().zip(part.iter().flatten()) {
                *sum += part;
            }
        }
        orthonormalize(&mut axes);
    }
    Ok(rows.values().par_chunks_exact(dimension).map(|row| along(row, &mean, &axes)).collect())
}

fn along<const D: usize>(row: &[f32], mean: &[f64], axes: &[[f64; D]]) -> [f64; D] {
    let mut at = [0.0; D];
    for ((&x, mean), axes) in row.iter().zip(mean).zip(axes) {
        for axis in 0..D {
            at[axis] += (f64::from(x) - mean) * axes[axis];
        }
    }
    at
}

fn column_means(rows: Rows<'_>) -> Vec<f64> {
    let parts: Vec<Vec<f64>> = rows
        .values()
        .par_chunks(rows.dimension() * CHUNK)
        .map(|chunk| {
            let mut sum = vec![0.0; rows.dimension()];
            for row in chunk.chunks_exact(rows.dimension()) {
                for (sum, &x) in sum.iter_mut().zip(row) {
                    *sum += f64::from(x);
                }
            }
            sum
        })
        .collect();
    let mut mean = vec![0.0; rows.dimension()];
    for part in parts {
        for (sum, part) in mean.iter_mut().zip(part) {
            *sum += part / rows.len() as f64;
        }
    }
    mean
}

/// Makes the columns of length 1 and right angles to each other (Gram & Schmidt 1907);
/// columns that vanish become 0.
fn orthonormalize<const D: usize>(columns: &mut [[f64; D]]) {
    for axis in 0..D {
        let before: f64 = columns.iter().map(|row| row[axis] * row[axis]).sum();
        for earlier in 0..axis {
            let dot: f64 = columns.iter().map(|row| row[axis] * row[earlier]).sum();
            for row in columns.iter_mut() {
                row[axis] -= dot * row[earlier];
            }
        }
        let square: f64 = columns.iter().map(|row| row[axis] * row[axis]).sum();
        // What is left of equal columns is rounding.
        let scale = if square > before * 1e-20 { 1.0 / square.sqrt() } else { 0.0 };
        for row in columns.iter_mut() {
            row[axis] *= scale;
        }
    }
}

/// The places in a map of the usual width, each moved a little, so that equal rows part.
pub(super) fn spread<const D: usize>(places: &[[f64; D]], seed: u64) -> Vec<[f32; D]> {
    let most = places.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
    let scale = if most > 0.0 { HALF_WIDTH / most } else { 0.0 };
    places
        .iter()
        .enumerate()
        .map(|(row, place)| {
            let mut random = Random::new(seed, u64::MAX, row as u64);
            std::array::from_fn(|axis| (place[axis] * scale + 1e-3 * random.signed()) as f32)
        })
        .collect()
}
