//! Rows, and indexes of them.

use std::collections::BTreeMap;
use std::path::Path;

use songrec_index::{Index, Key, Kind, Metric, Options};
use tempfile::TempDir;

pub(crate) fn key(number: u64) -> Key {
    Key::from(u128::from(number))
}

pub(crate) fn options(dimension: usize, metric: Metric, kind: Kind) -> Options {
    Options { dimension, metric, kind }
}

pub(crate) fn index(dimension: usize, metric: Metric) -> (TempDir, Index) {
    index_of(dimension, metric, Kind::Auto)
}

pub(crate) fn index_of(dimension: usize, metric: Metric, kind: Kind) -> (TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let index = Index::create(&path, &options(dimension, metric, kind)).unwrap();
    (dir, index)
}

pub(crate) fn put(index: &Index, rows: &[(Key, Vec<f32>)]) {
    let batch: Vec<(Key, &[f32])> = rows.iter().map(|(key, row)| (*key, row.as_slice())).collect();
    index.put(&batch).unwrap();
}

/// A row that is a function of its number, with something of a shape.
pub(crate) fn row(number: u64, dimension: usize) -> Vec<f32> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..dimension)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub(crate) fn rows(numbers: std::ops::Range<u64>, dimension: usize) -> Vec<(Key, Vec<f32>)> {
    numbers.map(|i| (key(i), row(i, dimension))).collect()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Everything the index holds, in the order of the keys.
pub(crate) fn contents(index: &Index) -> BTreeMap<Key, Vec<f32>> {
    let row = |key| (key, index.get(&key).unwrap().unwrap());
    index.keys().unwrap().into_iter().map(row).collect()
}
