//! A search that is not exact finds nearly all, whatever is looked for.
//!
//! What is asked is what `songrec similar` asks: for the neighbors of rows but
//! themselves, six more than a person wants, and for twenty times as many
//! where a filter is left to be looked at later.

use std::collections::HashSet;

use rand::prelude::*;
use rayon::prelude::*;
use songrec_index::{Filter, Hit, Index, Key, Kind, Metric, Precision, Query, RowSet};
use tempfile::TempDir;

use crate::sample::{index_of, key, put};

const ROWS: u64 = 12_000;
const DIMENSION: usize = 64;
/// Rows whose neighbors are looked for.
const ASKED: u64 = 500;
/// The least part of the truth that is found, of anything, by usual searches and by
/// thorough ones.
const LEAST: [(Precision, f64); 2] = [(Precision::Auto, 0.998), (Precision::Thorough, 0.999)];
const COUNTS: [usize; 17] =
    [1, 2, 5, 9, 10, 11, 16, 17, 40, 99, 100, 101, 106, 250, 320, 999, 1000];

/// A normally distributed number (Box and Muller, 1958).
fn gauss(random: &mut StdRng) -> f32 {
    let (a, b): (f32, f32) = (random.random(), random.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}

fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= norm);
    values
}

/// Rows around centers, of which the `i`-th has a part of `weight(i)`.
fn clustered(weight: impl Fn(usize) -> f64) -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(7);
    let centers: Vec<(Vec<f32>, f32)> = (0..ROWS as usize / 100)
        .map(|_| {
            let center = unit((0..DIMENSION).map(|_| gauss(&mut random)).collect());
            (center, random.random_range(0.5..1.0) / (DIMENSION as f32).sqrt())
        })
        .collect();
    let all: f64 = (0..centers.len()).map(&weight).sum();
    let row = |_| {
        let mut place = random.random::<f64>() * all;
        let chosen = (0..centers.len() - 1).find(|&i| {
            place -= weight(i);
            place < 0.0
        });
        let (center, spread) = &centers[chosen.unwrap_or(centers.len() - 1)];
        unit(center.iter().map(|value| value + spread * gauss(&mut random)).collect())
    };
    (0..ROWS).map(row).collect()
}

/// Rows that lie near a space of few dimensions.
fn low_rank() -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(8);
    let basis: Vec<Vec<f32>> =
        (0..6).map(|_| (0..DIMENSION).map(|_| gauss(&mut random)).collect()).collect();
    let row = |_| {
        let mut values: Vec<f32> = (0..DIMENSION).map(|_| 0.2 * gauss(&mut random)).collect();
        for direction in &basis {
            let along = gauss(&mut random);
            values.iter_mut().zip(direction).for_each(|(value, one)| *value += along * one);
        }
        unit(values)
    };
    (0..ROWS).map(row).collect()
}

fn isotropic() -> Vec<Vec<f32>> {
    let mut random = StdRng::seed_from_u64(9);
    (0..ROWS).map(|_| unit((0..DIMENSION).map(|_| gauss(&mut random)).collect())).collect()
}

fn built(rows: &[Vec<f32>]) -> (TempDir, Index) {
    let (dir, index) = index_of(DIMENSION, Metric::Cosine, Kind::Auto);
    let rows: Vec<(Key, Vec<f32>)> = (0..).map(key).zip(rows.iter().cloned()).collect();
    put(&index, &rows);
    index.build(&|| false).unwrap();
    (dir, index)
}

/// What is asked of an index, and the truth.
struct Case<'a> {
    index: &'a Index,
    rows: &'a [Vec<f32>],
    name: String,
    filter: Filter<'a>,
    excluded: Vec<Key>,
    /// Of each row that asks, up to a thousand neighbors.
    truth: Vec<Vec<Hit>>,
}

impl<'a> Case<'a> {
    fn new(
        index: &'a Index,
        rows: &'a [Vec<f32>],
        name: String,
        filter: Filter<'a>,
        excluded: Vec<Key>,
    ) -> Self {
        let mut case = Self { index, rows, name, filter, excluded, truth: Vec::new() };
        case.truth = case.ask(|query| (query.k, query.precision) = (1000, Precision::Proved));
        case
    }

    fn ask(&self, ask: impl Fn(&mut Query<'_>) + Sync) -> Vec<Vec<Hit>> {
        let answer = |i: u64| {
            let number = i * (ROWS / ASKED);
            let exclude = [&[key(number)], self.excluded.as_slice()].concat();
            let row = &self.rows[number as usize];
            let mut query = Query { filter: self.filter, exclude: &exclude, ..Query::new(row, 1) };
            ask(&mut query);
            self.index.search(&query).unwrap()
        };
        (0..ASKED).into_par_iter().map(answer).collect()
    }

    /// Asserts that nearly all of `k` after `offset` are found.
    fn assert_found(&self, k: usize, offset: usize) {
        // Without lists there is nothing to go further in.
        let both = self.index.lists() > 1 && [1, 10, 16, 106].contains(&k);
        let precisions = if both { &LEAST[..] } else { &LEAST[..1] };
        for &(precision, least) in precisions {
            self.assert_found_by(precision, least, k, offset);
        }
    }

    fn assert_found_by(&self, precision: Precision, least: f64, k: usize, offset: usize) {
        let (mut right, mut all) = (0, 0);
        let found = self.ask(|query| {
            (query.k, query.offset, query.precision) = (k, offset, precision);
        });
        for (found, truth) in found.iter().zip(&self.truth) {
            let found: HashSet<Key> = found.iter().map(|hit| hit.key).collect();
            let page = truth.iter().skip(offset).take(k);
            right += page.clone().filter(|hit| found.contains(&hit.key)).count();
            all += page.count();
        }
        let recall = right as f64 / all as f64;
        // Two or three of five hundred are chance, not a measurement.
        let enough = recall >= least || all - right <= 3;
        assert!(enough, "{}: {recall:.4} of {k} after {offset}, {precision:?}", self.name);
    }
}

fn assert_finds_everything(rows: &[Vec<f32>], name: &str, in_lists: bool) {
    let (_dir, index) = built(rows);
    assert_eq!(index.lists() > 1, in_lists, "{name}");
    let all = Case::new(&index, rows, name.to_owned(), Filter::All, vec![]);
    for k in COUNTS {
        all.assert_found(k, 0);
    }
    for (offset, k) in [(10, 16), (90, 16), (400, 100), (984, 16)] {
        all.assert_found(k, offset);
    }
    let set = |part| RowSet::new((0..ROWS).filter(|i| i * 7919 % part == 0).map(key));
    let parts = [2, 4, 10, 1000].map(|part| (format!("one in {part}"), set(part)));
    // Far from most others, as the songs of a genre are.
    let away: Vec<f32> = rows[0].iter().map(|value| -value).collect();
    let far = Query { precision: Precision::Proved, ..Query::new(&away, ROWS as usize / 4) };
    let far = RowSet::new(index.search(&far).unwrap().into_iter().map(|hit| hit.key));
    for (part, set) in parts.iter().chain([&("a quarter elsewhere".to_owned(), far)]) {
        let name = format!("{name}, {part}");
        let case = Case::new(&index, rows, name, Filter::Rows(set), vec![]);
        [7, 16, 106].into_iter().for_each(|k| case.assert_found(k, 0));
    }
    let excluded = all.truth[0].iter().take(200).map(|hit| hit.key).collect();
    let name = format!("{name}, without 200 others");
    let others = Case::new(&index, rows, name, Filter::All, excluded);
    [7, 16, 106].into_iter().for_each(|k| others.assert_found(k, 0));
}

#[test]
fn neighbors_in_clusters_are_found() {
    assert_finds_everything(&clustered(|_| 1.0), "clustered", true);
}

#[test]
fn neighbors_in_clusters_of_very_different_sizes_are_found() {
    assert_finds_everything(&clustered(|i| 1.0 / (i + 1) as f64), "power law", true);
}

#[test]
fn neighbors_in_a_space_of_few_dimensions_are_found() {
    assert_finds_everything(&low_rank(), "low rank", true);
}

#[test]
fn neighbors_that_are_anywhere_are_found() {
    assert_finds_everything(&isotropic(), "isotropic", false);
}
