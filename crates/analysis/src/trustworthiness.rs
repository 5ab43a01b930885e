//! How far what is near on a map is near in truth.

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{
    Error, Layout, Metric, Result, Rows,
    graph::{Nearest, Panels, Points},
};

/// Rows of a map that are looked at together.
const BLOCK: usize = 8;

/// Panels between two looks at whether the end was asked for.
const PATIENCE: usize = 4096;

/// How a map is judged.
#[derive(Clone, Copy, Debug)]
pub struct TrustworthinessOptions {
    /// Neighbors on the map that are looked at, fewer than half of the rows.
    pub k: usize,
    /// What near means for the rows; on the map it is the length of the difference.
    pub metric: Metric,
    /// Up to so many rows the neighbors of all are looked at.
    pub all_up_to: usize,
    /// Above, the neighbors of so many, which chance chooses. Where the value is 0.95,
    /// those of 2,000 give it to about 0.002.
    pub sample: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for TrustworthinessOptions {
    fn default() -> Self {
        Self { k: 15, metric: Metric::Euclidean, all_up_to: 10_000, sample: 2_000, seed: 0 }
    }
}

/// How far the neighbors of rows on `map` are neighbors in truth (Venna & Kaski
/// 2001): 1 if all of them are among the `k` nearest `rows`, about 0.5 for a random map.
///
/// Each that is not costs as many places as it is behind the `k`-th. Of equally near
/// rows that with the lower number counts as nearer. Ranks are among all rows, also where
/// only a sample is looked at.
///
/// Takes (rows looked at) × n × (dimension + k) steps and a copy of the rows.
///
/// # Errors
///
/// Where the map has another number of rows, `k` is 0 or not below half of the rows, the
/// sample is empty, a row of zeros has no cosine, and when the job is interrupted.
pub fn trustworthiness(
    rows: Rows<'_>,
    map: &Layout,
    options: &TrustworthinessOptions,
    job: &Job,
) -> Result<f64> {
    let (count, k) = (rows.len(), options.k);
    options.check()?;
    rows.at_least(2 * k + 1)?;
    if map.len() != count {
        return Err(Error::Option {
            option: "the number of rows of the map",
            value: map.len().to_string(),
            expected: "that of the rows",
        });
    }
    let points = Points::new(rows, options.metric)?;
    let chosen: Vec<usize> = if count <= options.all_up_to {
        (0..count).collect()
    } else {
        let mut random =
            <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(options.seed);
        let size = options.sample.min(count);
        let mut chosen = rand::seq::index::sample(&mut random, count, size).into_vec();
        chosen.sort_unstable();
        chosen
    };
    let blocks = chosen.len().div_ceil(BLOCK) as u64;
    job.on(Event::started(Work::JudgingMap, Some(blocks)));
    let judge = Judge {
        places: Panels::new(map.values(), map.dimensions()),
        panels: Panels::new(&points.gather(0..count), rows.dimension()),
        points,
        map,
        k,
    };
    let behind = chosen
        .par_chunks(BLOCK)
        .map(|block| {
            let nearest = judge.nearest_on_map(block, job)?;
            let behind = judge.behind(block, &nearest, job)?;
            job.on(Event::Advanced { item: "", bytes: 0 });
            Ok(behind)
        })
        .sum::<Result<u64>>()?;
    job.on(Event::Finished);
    let most = chosen.len() as f64 * k as f64 * (2.0 * count as f64 - 3.0 * k as f64 - 1.0);
    Ok(1.0 - 2.0 / most * behind as f64)
}

impl TrustworthinessOptions {
    fn check(&self) -> Result<()> {
        for (option, value) in [("the number of neighbors", self.k), ("the sample", self.sample)] {
            if value == 0 {
                return Err(Error::Option { option, value: "0".to_owned(), expected: "1 or more" });
            }
        }
        Ok(())
    }
}

struct Judge<'a> {
    points: Points<'a>,
    map: &'a Layout,
    k: usize,
    panels: Panels,
    places: Panels,
}

impl Judge<'_> {
    fn nearest_on_map(&self, block: &[usize], job: &Job) -> Result<Vec<Nearest>> {
        let queries: Vec<f32> =
            block.iter().flat_map(|&row| self.map.place(row)).copied().collect();
        let mut found = vec![Nearest::new(self.k); block.len()];
        for range in steps(self.places.len()) {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.places.squares(&queries, range, |query, first, squares| {
                found[query].offer_panel(squares, |lane| {
                    let row = first + lane;
                    (row < self.map.len() && row != block[query]).then_some(row as u32)
                });
            });
        }
        Ok(found)
    }

    /// By how many places neighbors on the map are behind the `k`-th row.
    fn behind(&self, block: &[usize], nearest: &[Nearest], job: &Job) -> Result<u64> {
        let dimension = self.points.dimension();
        let queries = self.points.gather(block.iter().copied());
        // Who is nearer than each neighbor: compared with the bits that a panel gives.
        let mut bars = Vec::with_capacity(block.len());
        for (nearest, query) in nearest.iter().zip(queries.chunks_exact(dimension)) {
            let numbers: Vec<u32> = nearest.found().iter().map(|found| found.1).collect();
            let rows = self.points.gather(numbers.iter().map(|&row| row as usize));
            let panels = Panels::new(&rows, dimension);
            let mut squares = Vec::new();
            panels.squares(query, 0..panels.len(), |_, _, found| squares.extend_from_slice(found));
            bars.push(squares.into_iter().zip(numbers).collect::<Vec<_>>());
        }
        let mut nearer = vec![vec![0_u32; self.k]; block.len()];
        for range in steps(self.panels.len()) {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.panels.squares(&queries, range, |query, first, squares| {
                let itself = block[query] as u32;
                for (count, &(bar, number)) in nearer[query].iter_mut().zip(&bars[query]) {
                    for (row, &square) in (first as u32..).zip(squares) {
                        let before = square < bar || (square == bar && row < number);
                        *count += u32::from(before && row != itself);
                    }
                }
            });
        }
        // Nobody nearer is rank 1, and what is behind rank k counts.
        let ranks = nearer.iter().flatten().map(|&nearer| u64::from(nearer) + 1);
        Ok(ranks.map(|rank| rank.saturating_sub(self.k as u64)).sum())
    }
}

fn steps(panels: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..panels).step_by(PATIENCE).map(move |first| first..panels.min(first + PATIENCE))
}
