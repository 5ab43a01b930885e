//! Rows turned so that their first values differ most.

use rayon::prelude::*;
use songrec_core::Job;

use super::{BLOCK, Pca, center, eigen};
use crate::{Result, Rows, sample};

/// Components that become the first values.
const COUNT: usize = 16;
/// Rows that they are found from.
const SAMPLE: usize = 4096;

/// Rows in other coordinates: distances are the same, up to rounding, and the first values
/// hold as much of them as that many can.
#[derive(Debug)]
pub(crate) struct Turned {
    /// Row after row.
    pub(crate) values: Vec<f32>,
    /// Rounding has moved no row farther.
    pub(crate) error: f64,
}

/// Turns rows around their mean.
///
/// The first [`COUNT`] axes are the principal components of some rows, and reflections that
/// turn these to the first unit vectors (Householder, 1958) complete them to a basis.
/// Takes O(`n·d`) and O(`d³`).
///
/// # Errors
///
/// When there are fewer than two rows, or the job is interrupted.
pub(crate) fn turned(rows: Rows<'_>, job: &Job) -> Result<Turned> {
    let dimension = rows.dimension();
    let some = sample::rows(rows.len(), SAMPLE, 0);
    let values: Vec<f32> = some.iter().flat_map(|row| rows.row(*row)).copied().collect();
    let some = Rows::new(&values, dimension)?;
    let silent = Job { interrupt: job.interrupt.clone(), ..Job::silent() };
    let pca = Pca::fit(some, COUNT.min(dimension).min(some.len()), &silent)?;
    let reflections = reflections(&pca.components, dimension);

    let mut values = vec![0.0; rows.values().len()];
    let largest = values
        .par_chunks_mut(BLOCK * dimension)
        .zip(rows.values().par_chunks(BLOCK * dimension))
        .map(|(values, rows)| {
            let mut centered = vec![0.0; dimension];
            let mut largest = 0.0f64;
            for (row, values) in
                rows.chunks_exact(dimension).zip(values.chunks_exact_mut(dimension))
            {
                center(row, &pca.mean, &mut centered);
                reflections.iter().enumerate().for_each(|(at, reflection)| {
                    reflection.apply(&mut centered[at..]);
                });
                largest = largest.max(eigen::dot(&centered, &centered));
                values.iter_mut().zip(&centered).for_each(|(to, value)| *to = *value as f32);
            }
            largest
        })
        .reduce(|| 0.0, f64::max);
    // Each value is rounded to a float32, and sums in float64 are off by much less.
    Ok(Turned { values, error: largest.sqrt() * f64::from(f32::EPSILON) })
}

/// `1 − beta·v·vᵀ` on values from some place on.
struct Reflection {
    vector: Vec<f64>,
    beta: f64,
}

impl Reflection {
    fn apply(&self, values: &mut [f64]) {
        eigen::add(values, -self.beta * eigen::dot(values, &self.vector), &self.vector);
    }
}

/// Those that turn orthonormal vectors to the unit vectors, or what points away from them,
/// one after the other: number `i` leaves the first `i` values as they are.
fn reflections(vectors: &[f64], dimension: usize) -> Vec<Reflection> {
    let mut found: Vec<Reflection> = Vec::new();
    for vector in vectors.chunks_exact(dimension) {
        let mut vector = vector.to_vec();
        for (at, reflection) in found.iter().enumerate() {
            reflection.apply(&mut vector[at..]);
        }
        let (vector, beta, _) = eigen::reflection(&vector[found.len()..]);
        found.push(Reflection { vector, beta });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_stay_and_the_first_values_hold_most_of_them() {
        // The columns that vary most stand last.
        let (n, dimension) = (300, 24);
        let values: Vec<f32> = (0..n * dimension)
            .map(|at| ((at * 7919 % 1009) as f32 / 1009.0 - 0.5) * (at % dimension) as f32 + 50.0)
            .collect();
        let rows = Rows::new(&values, dimension).unwrap();

        let Turned { values: turned, error } = turned(rows, &Job::silent()).unwrap();

        let after = Rows::new(&turned, dimension).unwrap();
        let (mut early, mut all) = (0.0, 0.0);
        for (l, r) in (0..n).zip(1..n) {
            let parts = |rows: Rows<'_>| -> Vec<f64> {
                let parts = rows.row(l).iter().zip(rows.row(r));
                parts.map(|(l, r)| (f64::from(*l) - f64::from(*r)).powi(2)).collect()
            };
            let (was, is) = (parts(rows), parts(after));
            let distance = |parts: &[f64]| parts.iter().sum::<f64>().sqrt();
            assert!((distance(&was) - distance(&is)).abs() <= 2.0 * error);
            early += is[..COUNT].iter().sum::<f64>();
            all += is.iter().sum::<f64>();
        }
        assert!(early > 0.85 * all, "{early} of {all}");
        assert!(error < 1e-4);
    }
}
