//! Neighbors of all rows, looked for in the nearest lists only.

use std::ops::Range;

use rayon::prelude::*;
use songrec_core::{Event, Job};

use crate::{Error, Result};

use super::{
    lists::Lists,
    nearest::Nearest,
    panels::{LANES, Panels},
    points::Points,
};

/// Rows of which all others are looked at, to know how many lists a search has to
/// visit: with 15 neighbors each the recall is known to about 0.005.
const MEASURED: usize = 256;

/// Of these so many at once, for which the memory is read once.
const MEASURED_AT_ONCE: usize = 16;

/// Lists whose rows are found before what was found is moved to its place.
const BATCH: usize = 128;

/// A search chooses among so many times the lists that it visits.
const CHOICE: usize = 8;

/// What a search needs.
#[derive(Debug)]
pub(super) struct Search<'a> {
    points: &'a Points<'a>,
    lists: Lists,
    /// The rows of all lists, each list in panels of its own. In one piece of memory,
    /// which goes back to the system when the search is over.
    panels: Panels,
    /// The panels of each list.
    ranges: Vec<Range<usize>>,
    centers: Panels,
}

impl<'a> Search<'a> {
    /// Arranges the points, of which it keeps a copy.
    pub(super) fn new(points: &'a Points<'a>, seed: u64, job: &Job) -> Result<Self> {
        let lists = Lists::new(points, seed, job)?;
        let count = (0..lists.len()).map(|list| lists.list(list).len().div_ceil(LANES)).sum();
        let mut panels = Panels::with_room(count, points.dimension());
        let ranges = (0..lists.len())
            .map(|list| {
                let rows = lists.list(list).iter().map(|&row| row as usize);
                panels.append(&points.gather(rows))
            })
            .collect();
        let centers = Panels::new(&lists.centers, points.dimension());
        Ok(Self { points, lists, panels, ranges, centers })
    }

    /// The fewest lists that hold `recall` of the `k` nearest of a sample of rows,
    /// which are found by looking at all rows.
    pub(super) fn reach(&self, k: usize, recall: f64, job: &Job) -> Result<usize> {
        let count = self.points.len();
        let size = MEASURED.min(count);
        let sample: Vec<usize> = (0..size).map(|i| i * count / size).collect();
        let blocks = sample
            .par_chunks(MEASURED_AT_ONCE)
            .map(|rows| self.places(&self.points.gather(rows.iter().copied()), k + 1, job))
            .collect::<Result<Vec<_>>>()?;
        let mut at = vec![0; self.lists.len()];
        for block in blocks {
            for (sum, here) in at.iter_mut().zip(block) {
                *sum += here;
            }
        }
        let all: usize = at.iter().sum();
        let mut seen = 0;
        let enough = at.iter().position(|&here| {
            seen += here;
            seen as f64 >= recall * all as f64
        });
        Ok(enough.map_or(self.lists.len(), |at| at + 1))
    }

    /// How many of the `k` nearest of the queries are in the list that each visits
    /// first, second, and so on. Of equally far rows any will do.
    fn places(&self, queries: &[f32], k: usize, job: &Job) -> Result<Vec<usize>> {
        let dimension = self.points.dimension();
        let mut nearest = vec![Nearest::new(k); queries.len() / dimension];
        for list in 0..self.lists.len() {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let rows = self.lists.list(list);
            self.squares(list, queries, |query, first, squares| {
                nearest[query].offer_panel(squares, |lane| rows.get(first + lane).copied());
            });
        }
        let bars: Vec<f32> =
            nearest.iter().map(|n| n.found().last().map_or(0.0, |last| last.0)).collect();
        let mut inside = vec![vec![0; bars.len()]; self.lists.len()];
        for (list, inside) in inside.iter_mut().enumerate() {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            self.squares(list, queries, |query, _, squares| {
                inside[query] += squares.iter().filter(|&&x| x <= bars[query]).count();
            });
        }
        let mut places = vec![0; self.lists.len()];
        for (number, query) in queries.chunks_exact(dimension).enumerate() {
            let mut missing = k;
            for (place, (_, list)) in places.iter_mut().zip(self.near(query)) {
                let here = missing.min(inside[list as usize][number]);
                *place += here;
                missing -= here;
            }
        }
        Ok(places)
    }

    /// Calls `found(query, first row of the list, distances)` for all queries and the
    /// panels of a list.
    #[inline(always)]
    fn squares(
        &self,
        list: usize,
        queries: &[f32],
        mut found: impl FnMut(usize, usize, &[f32; LANES]),
    ) {
        let range = self.ranges[list].clone();
        let before = range.start * LANES;
        self.panels.squares(queries, range, |query, first, squares| {
            found(query, first - before, squares);
        });
    }

    /// All lists by the distance of their centers to `query`.
    fn near(&self, query: &[f32]) -> Vec<(f32, u32)> {
        let mut found = Vec::with_capacity(self.lists.len());
        self.centers.squares(query, 0..self.centers.len(), |_, first, squares| {
            found.extend(squares.iter().copied().zip(first as u32..));
        });
        // Behind the last center are lanes without one.
        found.truncate(self.lists.len());
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found
    }

    /// Calls `finish` with the rows of each list and their neighbors in the `reach` nearest
    /// lists, and `found` with what becomes of them, always in the same order.
    pub(super) fn neighbors_of_all<T: Send>(
        &self,
        k: usize,
        reach: usize,
        job: &Job,
        finish: impl Fn(&[u32], &[Nearest]) -> Result<T> + Sync,
        mut found: impl FnMut(&[u32], T),
    ) -> Result<()> {
        let lists: Vec<usize> = (0..self.lists.len()).collect();
        for batch in lists.chunks(BATCH) {
            let done = batch
                .par_iter()
                .map(|&list| {
                    let nearest = self.neighbors_of(list, k, reach, job)?;
                    finish(self.lists.list(list), &nearest)
                })
                .collect::<Result<Vec<_>>>()?;
            for (&list, done) in batch.iter().zip(done) {
                found(self.lists.list(list), done);
            }
            job.on(Event::Advanced { item: "", bytes: 0 });
        }
        Ok(())
    }

    /// How often [`Self::neighbors_of_all`] tells that it advanced.
    pub(super) fn steps(&self) -> u64 {
        self.lists.len().div_ceil(BATCH) as u64
    }

    /// The neighbors of the rows of one list.
    fn neighbors_of(&self, list: usize, k: usize, reach: usize, job: &Job) -> Result<Vec<Nearest>> {
        let dimension = self.points.dimension();
        let rows = self.lists.list(list);
        let queries = self.points.gather(rows.iter().map(|&row| row as usize));
        let center = &self.lists.centers[list * dimension..][..dimension];
        let mut choice = self.near(center);
        choice.truncate(CHOICE * reach + 1);
        let choice: Vec<u32> = choice.into_iter().map(|(_, list)| list).collect();
        let visitors = self.visitors(&queries, &choice, reach);
        let mut nearest = vec![Nearest::new(k); rows.len()];
        let mut block = Vec::new();
        for (&list, visitors) in choice.iter().zip(&visitors) {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            block.clear();
            for &query in visitors {
                block.extend_from_slice(&queries[query * dimension..][..dimension]);
            }
            let candidates = self.lists.list(list as usize);
            self.squares(list as usize, &block, |query, first, squares| {
                let query = visitors[query];
                nearest[query].offer_panel(squares, |lane| {
                    candidates.get(first + lane).copied().filter(|&row| row != rows[query])
                });
            });
        }
        self.complete(&mut nearest, rows, &queries);
        Ok(nearest)
    }

    /// Looks at everything for the rows near which were too few.
    fn complete(&self, nearest: &mut [Nearest], rows: &[u32], queries: &[f32]) {
        let queries = queries.chunks_exact(self.points.dimension());
        for ((nearest, &row), query) in nearest.iter_mut().zip(rows).zip(queries) {
            if nearest.is_full() {
                continue;
            }
            for list in 0..self.lists.len() {
                let candidates = self.lists.list(list);
                self.squares(list, query, |_, first, squares| {
                    nearest.offer_panel(squares, |lane| {
                        candidates.get(first + lane).copied().filter(|&other| other != row)
                    });
                });
            }
        }
    }

    /// Which of the queries visit each list of the choice: each the `reach` nearest.
    fn visitors(&self, queries: &[f32], choice: &[u32], reach: usize) -> Vec<Vec<usize>> {
        let dimension = self.points.dimension();
        let mut visitors = vec![Vec::new(); choice.len()];
        if choice.len() <= reach {
            visitors.fill((0..queries.len() / dimension).collect());
            return visitors;
        }
        let centers: Vec<f32> = choice
            .iter()
            .flat_map(|&list| &self.lists.centers[list as usize * dimension..][..dimension])
            .copied()
            .collect();
        let panels = Panels::new(&centers, dimension);
        let mut squares = vec![Vec::with_capacity(choice.len() + LANES); queries.len() / dimension];
        panels.squares(queries, 0..panels.len(), |query, _, found| {
            squares[query].extend_from_slice(found);
        });
        let mut order = Vec::new();
        for (query, squares) in squares.iter().enumerate() {
            order.clear();
            order.extend(squares[..choice.len()].iter().copied().zip(0..));
            order.select_nth_unstable_by(reach - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for &(_, at) in &order[..reach] {
                let at: usize = at;
                visitors[at].push(query);
            }
        }
        visitors
    }
}
