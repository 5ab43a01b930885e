//! The nearest rows of each row.

mod edges;
mod exact;
mod lists;
mod nearest;
mod panels;
mod points;
mod search;

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

pub(crate) use edges::Edges;
pub(crate) use nearest::Nearest;
pub(crate) use panels::Panels;
pub(crate) use points::Points;

use crate::{Error, Result, Rows};
use search::Search;

/// Up to so many rows every row is compared with every other: it takes less than a
/// second with a few hundred dimensions.
const COMPARED_WITH_ALL: usize = 10_000;

/// Of these so many are chosen from together.
const CHOSEN_TOGETHER: usize = 128;

/// What near means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// The length of the difference.
    #[default]
    Euclidean,
    /// One minus the cosine of the angle, from 0 to 2.
    Cosine,
}

impl Metric {
    /// The distance that belongs to a squared distance of [`Points`].
    pub(crate) fn distance(self, square: f32) -> f32 {
        match self {
            Self::Euclidean => square.sqrt(),
            Self::Cosine => square / 2.0,
        }
    }
}

/// What a graph is made by.
#[derive(Clone, Copy, Debug)]
pub struct GraphOptions {
    /// Neighbors of each row.
    pub k: usize,
    /// What near means.
    pub metric: Metric,
    /// How much of the true neighbors should be found, above 0 and at most 1; with 1
    /// every row is compared with every other. Up to 10,000 rows all are found anyway.
    pub recall: f64,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for GraphOptions {
    fn default() -> Self {
        Self { k: 15, metric: Metric::Euclidean, recall: 0.99, seed: 0 }
    }
}

/// The `k` nearest rows of each of `n` rows, itself left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Neighbors of each row.
    pub k: usize,
    /// `n × k` row numbers, nearest first; equally near ones by their number.
    pub neighbors: Vec<u32>,
    /// The distances to them: lengths, or under cosine from 0 to 2.
    pub distances: Vec<f32>,
}

impl Graph {
    /// Finds the neighbors of all rows.
    ///
    /// Up to 10,000 rows, and with a recall of 1, all rows are compared with all
    /// others. Above, rows are put into lists of about 96 by k-means, and each is
    /// compared with the rows of the lists nearest to it, as in an inverted file
    /// (Jégou, Douze & Schmid 2011). How many lists hold the wanted part of the
    /// neighbors is measured first, on 256 rows that are compared with all others; so
    /// the recall is met within about 0.01 on any data, and data without structure
    /// costs more.
    ///
    /// Takes n × (visited rows) × dimension steps. Memory: one copy of the rows, and 8 k
    /// bytes a row for the answer.
    ///
    /// # Errors
    ///
    /// With `k` or fewer rows, a `k` of 0, a recall outside 0 to 1, a row of zeros under
    /// cosine, and when the job is interrupted.
    pub fn new(rows: Rows<'_>, options: &GraphOptions, job: &Job) -> Result<Self> {
        Self::chosen(rows, options, options.k, |_, graph| Some(graph), job)
    }

    /// As [`Graph::new`], but with `k` neighbors of each row, which `choose` takes from
    /// the `options.k` nearest by whatever it knows besides: it is given the numbers of
    /// some rows that lie near each other, and their graph, and gives the graph of the same
    /// rows with `k` neighbors. It is called on several threads.
    ///
    /// The memory for the answer is 8 `k` bytes a row, whatever `options.k` is.
    ///
    /// # Errors
    ///
    /// Those of [`Graph::new`]; where `choose` gives a graph of another size; where it
    /// gives none, [`Error::Interrupted`].
    pub fn chosen(
        rows: Rows<'_>,
        options: &GraphOptions,
        k: usize,
        choose: impl Fn(&[u32], Self) -> Option<Self> + Sync,
        job: &Job,
    ) -> Result<Self> {
        options.check()?;
        rows.at_least(options.k + 1)?;
        let points = Points::new(rows, options.metric)?;
        let mut graph = Self::empty(rows.len(), k);
        let choose = |rows: &[u32], found: &[Nearest]| {
            let mut wide = Self::empty(found.len(), options.k);
            for (row, nearest) in found.iter().enumerate() {
                wide.set(row, nearest, options.metric);
            }
            let chosen = choose(rows, wide).ok_or(Error::Interrupted)?;
            chosen.check_size(rows.len(), k)?;
            Ok(chosen)
        };
        if rows.len() <= COMPARED_WITH_ALL || options.recall >= 1.0 {
            job.on(started(exact::steps(rows.len())));
            let all: Vec<usize> = (0..rows.len()).collect();
            let itself = |number: usize| Some(number as u32);
            let found = exact::nearest(&points, &points, &all, options.k, itself, job)?;
            let numbers: Vec<u32> = (0..rows.len() as u32).collect();
            let chosen = numbers
                .par_chunks(CHOSEN_TOGETHER)
                .zip(found.par_chunks(CHOSEN_TOGETHER))
                .map(|(rows, found)| choose(rows, found))
                .collect::<Result<Vec<_>>>()?;
            for (rows, chosen) in numbers.chunks(CHOSEN_TOGETHER).zip(chosen) {
                graph.take(rows, &chosen);
            }
        } else {
            job.on(Event::started(Work::FindingNeighbors, None));
            let search = Search::new(&points, options.seed, job)?;
            let reach = search.reach(options.k, options.recall, job)?;
            job.on(Event::Total { total: search.steps() });
            search.neighbors_of_all(options.k, reach, job, choose, |rows, chosen| {
                graph.take(rows, &chosen);
            })?;
        }
        job.on(Event::Finished);
        Ok(graph)
    }

    /// The nearest of `rows` of each of the rows `to`, by comparing each with all. A row
    /// that is among `rows` as well has itself as a neighbor.
    ///
    /// Takes rows × to × dimension steps and a copy of the rows.
    ///
    /// # Errors
    ///
    /// As [`Graph::new`], but `k` rows are enough; and when the dimensions differ.
    pub fn between(
        rows: Rows<'_>,
        to: Rows<'_>,
        options: &GraphOptions,
        job: &Job,
    ) -> Result<Self> {
        options.check()?;
        rows.at_least(options.k)?;
        if rows.dimension() != to.dimension() {
            return Err(Error::Option {
                option: "the dimension",
                value: to.dimension().to_string(),
                expected: "that of the other rows",
            });
        }
        job.on(started(exact::steps(to.len())));
        let points = Points::new(rows, options.metric)?;
        let queries = Points::new(to, options.metric)?;
        let all: Vec<usize> = (0..to.len()).collect();
        let found = exact::nearest(&points, &queries, &all, options.k, |_| None, job)?;
        let mut graph = Self::empty(to.len(), options.k);
        for (row, nearest) in found.iter().enumerate() {
            graph.set(row, nearest, options.metric);
        }
        job.on(Event::Finished);
        Ok(graph)
    }

    /// An error unless this is a graph of `rows` rows.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        if self.len() != rows || self.is_empty() {
            return Err(Error::Option {
                option: "the number of rows of the graph",
                value: self.len().to_string(),
                expected: "that of the rows, above 0",
            });
        }
        self.check_neighbors(rows)
    }

    /// An error unless all neighbors are among `rows` rows, and have a distance each.
    fn check_size(&self, rows: usize, k: usize) -> Result<()> {
        if (self.k, self.neighbors.len(), self.distances.len()) == (k, rows * k, rows * k) {
            return Ok(());
        }
        Err(Error::Option {
            option: "the size of a chosen graph",
            value: format!("{} × {}", self.len(), self.k),
            expected: "that of its rows, with k neighbors of each",
        })
    }

    pub(crate) fn check_neighbors(&self, rows: usize) -> Result<()> {
        let size = self.len() * self.k;
        if self.neighbors.len() != size || self.distances.len() != size {
            return Err(Error::Option {
                option: "the size of the graph",
                value: format!("{} and {}", self.neighbors.len(), self.distances.len()),
                expected: "k for each row",
            });
        }
        if let Some(at) = self.distances.iter().position(|d| !(d.is_finite() && *d >= 0.0)) {
            return Err(Error::NotFinite { row: at / self.k });
        }
        match self.neighbors.iter().find(|&&neighbor| neighbor as usize >= rows) {
            None => Ok(()),
            Some(neighbor) => Err(Error::Option {
                option: "a neighbor",
                value: neighbor.to_string(),
                expected: "the number of a row",
            }),
        }
    }

    fn empty(count: usize, k: usize) -> Self {
        Self { k, neighbors: vec![0; count * k], distances: vec![f32::INFINITY; count * k] }
    }

    // The neighbors of these rows, from their own graph.
    fn take(&mut self, rows: &[u32], chosen: &Self) {
        let k = self.k;
        for (at, &row) in rows.iter().enumerate() {
            let (from, to) = (at * k..(at + 1) * k, row as usize * k..(row as usize + 1) * k);
            self.neighbors[to.clone()].copy_from_slice(&chosen.neighbors[from.clone()]);
            self.distances[to].copy_from_slice(&chosen.distances[from]);
        }
    }

    fn set(&mut self, row: usize, nearest: &Nearest, metric: Metric) {
        let neighbors = &mut self.neighbors[row * self.k..][..self.k];
        let distances = &mut self.distances[row * self.k..][..self.k];
        for ((to, distance), &(square, number)) in
            neighbors.iter_mut().zip(distances).zip(nearest.found())
        {
            (*to, *distance) = (number, metric.distance(square));
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.neighbors.len().checked_div(self.k).unwrap_or(0)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.neighbors.is_empty()
    }

    /// The neighbors of a row and their distances, nearest first.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f32)> + Clone + '_ {
        let range = row * self.k..(row + 1) * self.k;
        let distances = self.distances[range.clone()].iter().copied();
        self.neighbors[range].iter().copied().zip(distances)
    }
}

const fn started(total: u64) -> Event<'static> {
    Event::started(Work::FindingNeighbors, Some(total))
}

impl GraphOptions {
    fn check(&self) -> Result<()> {
        if self.k == 0 {
            return Err(Error::Option {
                option: "the number of neighbors",
                value: "0".to_owned(),
                expected: "1 or more",
            });
        }
        if !(self.recall > 0.0 && self.recall <= 1.0) {
            return Err(Error::Option {
                option: "the recall",
                value: self.recall.to_string(),
                expected: "above 0, at most 1",
            });
        }
        Ok(())
    }
}
