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

/// Rows that are copied at once to be compared with.
const PIECE: usize = 4096;

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
/// Takes (rows looked at) × n × (dimension + k) steps; of the rows some are copied at a
/// time.
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
    let steps = chosen.len().div_ceil(BLOCK) + count.div_ceil(PIECE);
    job.on(Event::started(Work::JudgingMap, Some(steps as u64)));
    let places = Panels::new(map.values(), map.dimensions());
    let judge = Judge { points, map, chosen: &chosen, k, job };
    let nearest: Vec<Nearest> = chosen
        .par_chunks(BLOCK)
        .map(|block| judge.nearest_on_map(&places, block))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    let behind = judge.behind(&nearest)?;
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
    /// The rows that are looked at.
    chosen: &'a [usize],
    k: usize,
    job: &'a Job,
}

impl Judge<'_> {
    fn nearest_on_map(&self, places: &Panels, block: &[usize]) -> Result<Vec<Nearest>> {
        let queries: Vec<f32> =
            block.iter().flat_map(|&row| self.map.place(row)).copied().collect();
        let mut found = vec![Nearest::new(self.k); block.len()];
        for range in steps(places.len()) {
            self.go_on()?;
            places.squares(&queries, range, |query, first, squares| {
                found[query].offer_panel(squares, |lane| {
                    let row = first + lane;
                    (row < self.map.len() && row != block[query]).then_some(row as u32)
                });
            });
        }
        self.job.on(Event::Advanced { item: "", bytes: 0 });
        Ok(found)
    }

    /// By how many places neighbors on the map are behind the `k`-th row.
    fn behind(&self, nearest: &[Nearest]) -> Result<u64> {
        let dimension = self.points.dimension();
        let queries = self.points.gather(self.chosen.iter().copied());
        // Who is nearer than each neighbor: compared with the bits that a panel gives.
        let mut bars = Vec::with_capacity(self.chosen.len());
        for (nearest, query) in nearest.iter().zip(queries.chunks_exact(dimension)) {
            let numbers: Vec<u32> = nearest.found().iter().map(|found| found.1).collect();
            let rows = self.points.gather(numbers.iter().map(|&row| row as usize));
            let panels = Panels::new(&rows, dimension);
            let mut squares = Vec::new();
            panels.squares(query, 0..panels.len(), |_, _, found| squares.extend_from_slice(found));
            bars.push(squares.into_iter().zip(numbers).collect::<Vec<_>>());
        }
        let pieces = self.points.len().div_ceil(PIECE);
        let nearer = (0..pieces)
            .into_par_iter()
            .try_fold(
                || vec![0_u32; self.chosen.len() * self.k],
                |mut nearer, piece| {
                    self.count_nearer(piece, &queries, &bars, &mut nearer)?;
                    Ok(nearer)
                },
            )
            .try_reduce(
                || vec![0_u32; self.chosen.len() * self.k],
                |mut nearer, others| {
                    nearer.iter_mut().zip(others).for_each(|(count, other)| *count += other);
                    Ok(nearer)
                },
            )?;
        // Nobody nearer is rank 1, and what is behind rank k counts.
        let ranks = nearer.iter().map(|&nearer| u64::from(nearer) + 1);
        Ok(ranks.map(|rank| rank.saturating_sub(self.k as u64)).sum())
    }

    /// Adds to `nearer` how many rows of a piece are nearer to each query than each of its
    /// neighbors on the map.
    fn count_nearer(
        &self,
        piece: usize,
        queries: &[f32],
        bars: &[Vec<(f32, u32)>],
        nearer: &mut [u32],
    ) -> Result<()> {
        let dimension = self.points.dimension();
        let rows = piece * PIECE..self.points.len().min((piece + 1) * PIECE);
        let start = rows.start;
        let panels = Panels::new(&self.points.gather(rows), dimension);
        for (block, queries) in queries.chunks(BLOCK * dimension).enumerate() {
            self.go_on()?;
            panels.squares(queries, 0..panels.len(), |query, first, squares| {
                let query = block * BLOCK + query;
                let itself = self.chosen[query] as u32;
                let counts = &mut nearer[query * self.k..][..self.k];
                for (count, &(bar, number)) in counts.iter_mut().zip(&bars[query]) {
                    for (row, &square) in ((start + first) as u32..).zip(squares) {
                        let before = square < bar || (square == bar && row < number);
                        *count += u32::from(before && row != itself);
                    }
                }
            });
        }
        self.job.on(Event::Advanced { item: "", bytes: 0 });
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        if self.job.is_interrupted() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

fn steps(panels: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..panels).step_by(PATIENCE).map(move |first| first..panels.min(first + PATIENCE))
}
