//! From the vectors of windows to the vector of a song.

use songrec_core::Vector;

/// The mean of window vectors, each counted by its weight.
///
/// Summed in f64 and in the order of the song, so that the bits do not depend
/// on which window was computed first.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    sums: Vec<f64>,
    weight: f64,
}

impl Pool {
    /// Counts a window's vector in.
    ///
    /// # Panics
    ///
    /// If it has another dimension than those before.
    pub fn add(&mut self, vector: &Vector, weight: u64) {
        if self.sums.is_empty() {
            self.sums = vec![0.0; vector.dimension()];
        }
        assert_eq!(self.sums.len(), vector.dimension(), "vectors of one model");
        let weight = weight as f64;
        for (sum, value) in self.sums.iter_mut().zip(vector.values()) {
            *sum += weight * f64::from(*value);
        }
        self.weight += weight;
    }

    /// The mean, scaled to length 1 if `normalize`; None without a window, and
    /// when windows cancel each other out so that no direction is left.
    pub fn finish(self, normalize: bool) -> Option<Vector> {
        if self.weight == 0.0 {
            return None;
        }
        let mean: Vec<f64> = self.sums.iter().map(|sum| sum / self.weight).collect();
        scaled(&mean, normalize)
    }
}

/// A window's own vector, scaled to length 1 if `normalize`.
pub(crate) fn of_one(vector: &Vector, normalize: bool) -> Option<Vector> {
    let values: Vec<f64> = vector.values().iter().copied().map(f64::from).collect();
    scaled(&values, normalize)
}

fn scaled(values: &[f64], normalize: bool) -> Option<Vector> {
    let length =
        if normalize { values.iter().map(|value| value * value).sum::<f64>().sqrt() } else { 1.0 };
    if length < 1e-12 {
        return None;
    }
    Vector::new(values.iter().map(|value| (value / length) as f32).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[f32]) -> Vector {
        Vector::new(values.to_vec()).unwrap()
    }

    #[test]
    fn a_window_counts_as_much_as_it_weighs() {
        let mut pool = Pool::default();
        pool.add(&vector(&[1.0, 0.0]), 3);
        pool.add(&vector(&[0.0, 1.0]), 1);

        assert_eq!(pool.clone().finish(false).unwrap().values(), [0.75, 0.25]);
        let normalized = pool.finish(true).unwrap();
        assert!((normalized.norm() - 1.0).abs() < 1e-7);
    }

    #[test]
    fn no_direction_is_no_vector() {
        let mut pool = Pool::default();
        pool.add(&vector(&[1.0, 0.0]), 1);
        pool.add(&vector(&[-1.0, 0.0]), 1);

        assert_eq!(pool.finish(true), None);
        assert_eq!(Pool::default().finish(false), None);
    }
}
