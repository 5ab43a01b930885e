//! What several tests share.
use std::collections::BTreeMap;
use std::path::Path;

use songrec_index::{Filter, Hit, Index, Key, Kind, Metric, Options, Query};
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
    index.keys().map(|key| (key, index.get(&key).unwrap())).collect()
}

/// The answer of a plain list of rows.
pub(crate) fn plain(rows: &BTreeMap<Key, Vec<f32>>, query: &Query<'_>, metric: Metric) -> Vec<Hit> {
    let point = query.vectors[0].0;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut hits: Vec<Hit> = rows
        .iter()
        .filter(|(key, _)| !query.exclude.contains(key))
        .filter(|(key, _)| match query.filter {
            Filter::All => true,
            Filter::Rows(set) => set.contains(key),
            Filter::Predicate(accepts) => accepts(key),
        })
        .map(|(key, row)| {
            let square: f64 =
                point.iter().zip(row).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            let norms = dot(point, point).sqrt() * dot(row, row).sqrt();
            let (similarity, distance) = match metric {
                Metric::Cosine if norms == 0.0 => (0.0, 1.0),
                Metric::Cosine => (dot(point, row) / norms, 1.0 - dot(point, row) / norms),
                Metric::Dot => (dot(point, row), 1.0 - dot(point, row)),
                Metric::Euclidean => (1.0 / (1.0 + square), square.sqrt()),
            };
            Hit { key: *key, similarity, distance }
        })
        .collect();
    // To nine places, because the sums are in another order here and rows
    // that are equally similar must come in the order of their keys.
    hits.sort_by(|a, b| {
        let rounded = |hit: &Hit| (hit.similarity * 1e9).round();
        rounded(b).total_cmp(&rounded(a)).then(a.key.cmp(&b.key))
    });
    hits.into_iter().skip(query.offset).take(query.k).collect()
}

/// Hits as far as two orders of summation agree.
pub(crate) fn answers(hits: &[Hit]) -> Vec<String> {
    hits.iter()
        .map(|hit| {
            // Adding zero makes a rounded −0 a 0.
            let places = |value: f64| (value * 1e9).round() / 1e9 + 0.0;
            format!("{} {:.9} {:.5}", hit.key, places(hit.similarity), places(hit.distance))
        })
        .collect()
}
