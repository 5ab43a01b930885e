//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! The matrix is made tridiagonal by reflections (Householder, 1958), and that diagonal
//! by rotations with shifts (Francis, 1961; the shift is Wilkinson's, 1968, with which
//! it always ends). The formulas are those of Golub and Van Loan, Matrix Computations,
//! 4th edition, sections 8.3.1 and 8.3.5.

use pulp::Arch;
use rayon::prelude::*;
use songrec_core::Job;

use crate::{Error, Result};

/// Values of each vector that one task rotates.
const COLUMNS: usize = 64;
/// Rows of a matrix for one task.
const ROWS: usize = 32;

pub(super) struct Eigen {
    /// From the largest to the smallest.
    pub(super) values: Vec<f64>,
    /// Unit vectors in the same order, one after the other.
    pub(super) vectors: Vec<f64>,
}

/// Of a symmetric matrix of `n × n` values, in O(`n³`).
pub(super) fn symmetric(mut matrix: Vec<f64>, n: usize, job: &Job) -> Result<Eigen> {
    let mut vectors = vec![0.0; n * n];
    let (mut diagonal, mut off) = tridiagonal(&mut matrix, n, &mut vectors, job)?;
    let mut blocks = Blocks::new(&vectors, n);
    diagonalize(&mut diagonal, &mut off, &mut blocks, job)?;

    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|l, r| diagonal[*r].total_cmp(&diagonal[*l]));
    for (to, from) in vectors.chunks_exact_mut(n).zip(&order) {
        blocks.row(*from, to);
    }
    Ok(Eigen { values: order.into_iter().map(|at| diagonal[at]).collect(), vectors })
}

/// Gives the diagonal and what is beside it; sets the rows of `basis` to the orthonormal
/// vectors in which the matrix looks so.
fn tridiagonal(
    matrix: &mut [f64],
    n: usize,
    basis: &mut [f64],
    job: &Job,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut diagonal = vec![0.0; n];
    let mut off = vec![0.0; n.saturating_sub(1)];
    // Each is a vector `v` and a factor `beta`, and stands for `1 − beta·v·vᵀ`.
    let mut reflections: Vec<(Vec<f64>, f64)> = Vec::new();
    for k in 0..n {
        if job.is_interrupted() {
            return Err(Error::Interrupted);
        }
        diagonal[k] = matrix[k * n + k];
        let Some(off) = off.get_mut(k) else { break };
        let (vector, beta, left) = reflection(&matrix[k * n + k + 1..(k + 1) * n]);
        *off = left;
        if beta != 0.0 {
            reflect(&mut matrix[(k + 1) * n..], n, k + 1, &vector, beta);
        }
        reflections.push((vector, beta));
    }

    for (i, row) in basis.chunks_exact_mut(n).enumerate() {
        row[i] = 1.0;
    }
    for (k, (vector, beta)) in reflections.iter().enumerate().rev() {
        if job.is_interrupted() {
            return Err(Error::Interrupted);
        }
        basis[(k + 1) * n..].par_chunks_mut(ROWS * n).for_each(|rows| {
            for row in rows.chunks_exact_mut(n) {
                let row = &mut row[k + 1..];
                add(row, -beta * dot(row, vector), vector);
            }
        });
    }
    Ok((diagonal, off))
}

/// What turns `x` into a multiple of the first unit vector: `v`, `beta`, and that multiple.
pub(super) fn reflection(x: &[f64]) -> (Vec<f64>, f64, f64) {
    let mut vector = x.to_vec();
    let rest = dot(&x[1..], &x[1..]);
    if rest == 0.0 {
        return (vector, 0.0, x[0]);
    }
    let norm = (x[0] * x[0] + rest).sqrt();
    // The sign that does not cancel.
    let left = if x[0] > 0.0 { -norm } else { norm };
    vector[0] = x[0] - left;
    let beta = 2.0 / (vector[0] * vector[0] + rest);
    (vector, beta, left)
}

/// Applies a reflection to both sides of what lies in `rows` from column `first`.
fn reflect(rows: &mut [f64], n: usize, first: usize, vector: &[f64], beta: f64) {
    let mut other: Vec<f64> = rows
        .par_chunks(ROWS * n)
        .flat_map_iter(|rows| rows.chunks_exact(n).map(|row| beta * dot(&row[first..], vector)))
        .collect();
    let half = -0.5 * beta * dot(&other, vector);
    add(&mut other, half, vector);
    rows.par_chunks_mut(ROWS * n).enumerate().for_each(|(chunk, rows)| {
        for (i, row) in rows.chunks_exact_mut(n).enumerate() {
            let i = chunk * ROWS + i;
            let row = &mut row[first..];
            add(row, -vector[i], &other);
            add(row, -other[i], vector);
        }
    });
}

/// Rotates until nothing is left beside the diagonal.
fn diagonalize(diagonal: &mut [f64], off: &mut [f64], basis: &mut Blocks, job: &Job) -> Result<()> {
    let n = diagonal.len();
    let norm = diagonal.iter().chain(&*off).map(|value| value.abs()).fold(0.0, f64::max);
    let negligible = |diagonal: &[f64], off: &[f64], i: usize| {
        let beside = f64::EPSILON * (diagonal[i].abs() + diagonal[i + 1].abs());
        // Below this, a value is less than what rounding made of the matrix before.
        off[i].abs() <= beside.max(1e-3 * f64::EPSILON * norm)
    };
    let mut rotations = Vec::new();
    let mut high = n.saturating_sub(1);
    while high > 0 {
        if negligible(diagonal, off, high - 1) {
            off[high - 1] = 0.0;
            high -= 1;
            continue;
        }
        let mut low = high - 1;
        while low > 0 && !negligible(diagonal, off, low - 1) {
            low -= 1;
        }
        sweep(&mut diagonal[low..=high], &mut off[low..high], low, &mut rotations);
        // Several sweeps together, while the block is in the cache.
        if rotations.len() >= 8 * n {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            basis.rotate(&rotations);
            rotations.clear();
        }
    }
    basis.rotate(&rotations);
    Ok(())
}

/// A rotation of two neighbors, the first of which is `at`.
struct Rotation {
    at: usize,
    cosine: f64,
    sine: f64,
}

/// One step of the implicit QR algorithm.
fn sweep(diagonal: &mut [f64], off: &mut [f64], first: usize, rotations: &mut Vec<Rotation>) {
    let last = off.len() - 1;
    let half = (diagonal[last] - diagonal[last + 1]) / 2.0;
    let root = half.hypot(off[last]);
    let away = if half < 0.0 { half - root } else { half + root };
    let shift = diagonal[last + 1] - off[last] / away * off[last];
    let (mut x, mut z) = (diagonal[0] - shift, off[0]);
    for k in 0..=last {
        let r = x.hypot(z);
        let (c, s) = if r == 0.0 { (1.0, 0.0) } else { (x / r, z / r) };
        if k > 0 {
            off[k - 1] = r;
        }
        let (a, b, e) = (diagonal[k], diagonal[k + 1], off[k]);
        let both = 2.0 * c * s * e;
        diagonal[k] = c * c * a + both + s * s * b;
        diagonal[k + 1] = s * s * a - both + c * c * b;
        off[k] = c * s * (b - a) + (c * c - s * s) * e;
        x = off[k];
        if k < last {
            z = s * off[k + 1];
            off[k + 1] *= c;
        }
        rotations.push(Rotation { at: first + k, cosine: c, sine: s });
    }
}

/// Rows of a square matrix, cut into blocks of columns that fit the cache.
struct Blocks {
    values: Vec<f64>,
    n: usize,
}

impl Blocks {
    fn new(rows: &[f64], n: usize) -> Self {
        let mut values = vec![0.0; n * n.next_multiple_of(COLUMNS)];
        for (block, values) in values.chunks_exact_mut(n * COLUMNS).enumerate() {
            for (row, values) in rows.chunks_exact(n).zip(values.chunks_exact_mut(COLUMNS)) {
                let part = &row[block * COLUMNS..n.min((block + 1) * COLUMNS)];
                values[..part.len()].copy_from_slice(part);
            }
        }
        Self { values, n }
    }

    fn row(&self, number: usize, to: &mut [f64]) {
        for (block, to) in self.values.chunks_exact(self.n * COLUMNS).zip(to.chunks_mut(COLUMNS)) {
            to.copy_from_slice(&block[number * COLUMNS..][..to.len()]);
        }
    }

    fn rotate(&mut self, rotations: &[Rotation]) {
        self.values.par_chunks_mut(self.n * COLUMNS).for_each(|block| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for Rotation { at, cosine, sine } in rotations {
                        let pair = &mut block[at * COLUMNS..][..2 * COLUMNS];
                        let (upper, lower) = pair.split_at_mut(COLUMNS);
                        for (upper, lower) in upper.iter_mut().zip(lower) {
                            let (u, l) = (*upper, *lower);
                            *upper = cosine * u + sine * l;
                            *lower = cosine * l - sine * u;
                        }
                    }
                },
            );
        });
    }
}

/// The sum of products, in the same order on every machine.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            const LANES: usize = 16;
            let mut sums = [0.0; LANES];
            let (left, left_rest) = left.as_chunks::<LANES>();
            let (right, right_rest) = right.as_chunks::<LANES>();
            for (left, right) in left.iter().zip(right) {
                for ((sum, l), r) in sums.iter_mut().zip(left).zip(right) {
                    *sum += l * r;
                }
            }
            let rest: f64 = left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum();
            sums.iter().sum::<f64>() + rest
        },
    )
}

/// Adds a multiple.
pub(super) fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (to, from) in to.iter_mut().zip(from) {
                *to += factor * from;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(matrix: &[f64], n: usize) -> Vec<f64> {
        let found = symmetric(matrix.to_vec(), n, &Job::silent()).unwrap();
        let scale = matrix.iter().fold(1e-300, |most: f64, value| most.max(value.abs()));
        for (i, (value, vector)) in
            found.values.iter().zip(found.vectors.chunks_exact(n)).enumerate()
        {
            for (row, part) in matrix.chunks_exact(n).zip(vector) {
                let error = dot(row, vector) - value * part;
                assert!(error.abs() < 1e-12 * scale * n as f64, "{i} of {n}: {error}");
            }
            for (j, other) in found.vectors.chunks_exact(n).enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot(vector, other) - expected).abs() < 1e-12, "{i} {j} of {n}");
            }
        }
        assert!(found.values.is_sorted_by(|l, r| l >= r));
        found.values
    }

    #[test]
    fn vectors_are_those_that_a_matrix_only_stretches() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
        };
        for n in [1, 2, 3, 10, 64, 65, 150] {
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in i..n {
                    let value = random();
                    (matrix[i * n + j], matrix[j * n + i]) = (value, value);
                }
            }
            check(&matrix, n);
            // Of very different sizes, and of rank 1.
            let one: Vec<f64> = (0..n).map(|i| random() * 10f64.powi(-(i as i32 % 9))).collect();
            let product: Vec<f64> =
                one.iter().flat_map(|l| one.iter().map(move |r| l * r)).collect();
            let values = check(&product, n);
            assert!((values[0] - dot(&one, &one)).abs() < 1e-12 * values[0]);
        }
    }

    #[test]
    fn known_values_are_found() {
        assert_eq!(check(&[0.0; 9], 3), [0.0; 3]);
        assert_eq!(check(&[2.0, 0.0, 0.0, 5.0], 2), [5.0, 2.0]);
        let values = check(&[2.0, 1.0, 1.0, 2.0], 2);
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14);
    }
}
