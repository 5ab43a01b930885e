//! Rows that a seed makes up, and ways to run what is tested.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use songrec_core::{Interrupt, Job};

/// `n` rows around `clusters` random points, wide enough to touch.
pub(crate) fn blobs(n: usize, dimension: usize, clusters: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let centers: Vec<f32> =
        (0..clusters * dimension).map(|_| rng.random_range(-5.0..5.0)).collect();
    (0..n)
        .flat_map(|_| {
            let center = rng.random_range(0..clusters) * dimension;
            let row: Vec<f32> = (0..dimension)
                .map(|column| {
                    // Close enough to normal, and quick.
                    let normal: f32 = (0..4).map(|_| rng.random_range(-1.0f32..1.0)).sum();
                    centers[center + column] + normal
                })
                .collect();
            row
        })
        .collect()
}

/// `work` with one thread, three and sixteen.
pub(crate) fn with_threads<T: Send>(work: impl Fn() -> T + Sync) -> [T; 3] {
    [1, 3, 16].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&work)
    })
}

/// Work whose end was asked for before it began.
pub(crate) fn interrupted() -> Job {
    let interrupt = Interrupt::default();
    interrupt.set();
    Job { interrupt, ..Job::silent() }
}
