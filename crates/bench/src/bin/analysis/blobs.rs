//! Made-up rows in clusters.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Normal clusters of different sizes and widths, with noise.
///
/// The widths, standard deviations in each dimension, go from 0.7 to 1.3, and the largest
/// cluster has four times the rows of the smallest. Two centers in three lie in random
/// places, on average `apart` from each other; each other one is 4 from one of those, so
/// that these clusters overlap whatever `apart` is. One row in twenty is noise, spread
/// around the middle three times as widely as centers and rows together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blobs {
    pub(crate) rows: usize,
    pub(crate) dimension: usize,
    pub(crate) clusters: usize,
    pub(crate) apart: f64,
    pub(crate) seed: u64,
}

impl Blobs {
    /// The rows, one after the other.
    pub(crate) fn values(&self) -> Vec<f32> {
        let Self { rows, dimension, clusters, apart, seed } = *self;
        let mut rng = StdRng::seed_from_u64(seed);
        // Two points with this deviation in each dimension are so far apart.
        let spread = |distance: f64| distance / (2.0 * dimension as f64).sqrt();
        let mut centers: Vec<Vec<f64>> = Vec::new();
        for cluster in 0..clusters {
            let alone = cluster < clusters.div_ceil(3) * 2;
            let (from, deviation) = if alone {
                (vec![0.0; dimension], spread(apart))
            } else {
                (centers[cluster % (clusters.div_ceil(3) * 2)].clone(), spread(4.0) * 2f64.sqrt())
            };
            centers.push(from.iter().map(|value| value + deviation * normal(&mut rng)).collect());
        }
        let part = |cluster: usize| cluster as f64 / (clusters.max(2) - 1) as f64;
        let sizes: Vec<f64> = (0..clusters).map(|cluster| 1.0 + 3.0 * part(cluster)).collect();
        let all: f64 = sizes.iter().sum();
        let wide = 3.0 * (1.0 + spread(apart).powi(2)).sqrt();

        let mut values = Vec::with_capacity(rows * dimension);
        for _ in 0..rows {
            if rng.random_bool(0.05) {
                values.extend((0..dimension).map(|_| (wide * normal(&mut rng)) as f32));
                continue;
            }
            let mut left = rng.random::<f64>() * all;
            let mut cluster = 0;
            while cluster + 1 < clusters && left >= sizes[cluster] {
                left -= sizes[cluster];
                cluster += 1;
            }
            // Sizes and widths go different ways.
            let width = 0.7 + 0.6 * part((cluster * 5) % clusters);
            let row = centers[cluster].iter().map(|center| center + width * normal(&mut rng));
            values.extend(row.map(|value| value as f32));
        }
        values
    }
}

/// A standard normal number (Box and Muller, 1958).
fn normal(rng: &mut StdRng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
