//! What an index has to agree with: a plain list of rows.

use std::collections::BTreeMap;

use songrec_index::{Filter, Hit, Key, Metric, Query};

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
