//! Rows that maps are drawn of.

use std::path::{Path, PathBuf};

use songrec_analysis::Layout;
use songrec_core::{Interrupt, Job};

/// What `tools/analysis_map_peers.py` draws as well.
pub(crate) const SETS: [&str; 4] = ["drawn", "swiss_roll", "blobs", "audio"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/map")
}

/// What others measured: `peers()["blobs"]["umap"]["trustworthiness"]`.
pub(crate) fn peers() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder().join("peers.json")).unwrap()).unwrap()
}

/// The named rows, one after the other, and their dimension.
pub(crate) fn rows(name: &str) -> (Vec<f32>, usize) {
    let bytes = std::fs::read(folder().join(name).with_extension("npy")).unwrap();
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (head, values) = bytes[10..].split_at(length);
    let head = std::str::from_utf8(head).unwrap();
    let shape = head.split_once("'shape': (").unwrap().1;
    let dimension = shape.split([',', ')']).nth(1).unwrap().trim().parse().unwrap();
    let values = if head.contains("'|u1'") {
        values.iter().map(|&value| f32::from(value)).collect()
    } else {
        assert!(head.contains("'<f4'") && head.contains("'fortran_order': False"), "{head}");
        values.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
    };
    (values, dimension)
}

/// `n` rows around 20 points, from a seed.
pub(crate) fn made_up(n: usize, dimension: usize, seed: u64) -> Vec<f32> {
    use rand::{Rng, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let centers: Vec<f32> = (0..20 * dimension).map(|_| random.random_range(-2.0..2.0)).collect();
    (0..n)
        .flat_map(|_| {
            let center = random.random_range(0..20) * dimension;
            (0..dimension)
                .map(|at| centers[center + at] + random.random_range(-1.0..1.0))
                .collect::<Vec<f32>>()
        })
        .collect()
}

/// What `work` gives with 1, 3 and 16 threads, which is the same.
pub(crate) fn the_same_with_any_threads<T>(work: impl Fn() -> T + Sync) -> T
where
    T: Send + PartialEq + std::fmt::Debug,
{
    let [one, three, sixteen] = [1, 3, 16].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&work)
    });
    assert!(one == three && three == sixteen, "threads change the result");
    one
}

/// Work whose end was asked for.
pub(crate) fn ended() -> Job {
    let interrupt = Interrupt::default();
    interrupt.set();
    Job { interrupt, ..Job::silent() }
}

/// The places of some rows, as a map of their own.
pub(crate) fn part_of(map: &Layout, rows: std::ops::Range<usize>) -> Layout {
    let values = rows.flat_map(|row| map.place(row).to_vec()).collect();
    Layout::new(values, map.dimensions()).unwrap()
}
