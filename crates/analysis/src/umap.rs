//! Maps in two or three dimensions that keep neighbors together (UMAP).

mod curve;
mod descend;
mod initial;
mod weights;

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{Error, Graph, Layout, Result, Rows, layout::check_dimensions};
use curve::{Curve, Forces};
use descend::Descent;
pub(crate) use initial::principal;

/// How a map is drawn.
#[derive(Clone, Copy, Debug)]
pub struct UmapOptions {
    /// 2 or 3.
    pub dimensions: usize,
    /// How near points of the map may lie: 0 draws tight lumps.
    pub min_dist: f64,
    /// The scale of the map, not below `min_dist`.
    pub spread: f64,
    /// How often all points are moved; if `None`, 500 times up to 10,000 rows and 200
    /// times above (McInnes, Healy & Melville 2018, reference implementation).
    pub epochs: Option<usize>,
    /// Random points that a point moves away from for each that it moves towards.
    pub negatives: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for UmapOptions {
    fn default() -> Self {
        Self { dimensions: 2, min_dist: 0.1, spread: 1.0, epochs: None, negatives: 5, seed: 0 }
    }
}

/// Up to so many rows points are moved more often.
const FEW: usize = 10_000;

/// Epochs for a row that is placed among others.
const SETTLING: usize = 100;

/// How long its first step is (the same).
const SETTLING_RATE: f32 = 0.25;

/// Draws a map of `rows`, whose neighbors are `graph`, by UMAP (McInnes, Healy &
/// Melville 2018).
///
/// Points begin on the first principal axes. They are all moved at once, each by what
/// the others were before, which the original does one after the other; so the map is
/// the same with any number of threads.
///
/// Takes epochs × n × about 40 steps for 15 neighbors; memory: a copy of the graph, and what
/// [`umap_from`] takes.
///
/// # Errors
///
/// Where the graph is of other rows, an option means nothing, and when the job is
/// interrupted.
pub fn umap(rows: Rows<'_>, graph: &Graph, options: &UmapOptions, job: &Job) -> Result<Layout> {
    graph.check(rows.len())?;
    umap_from(&umap_start(rows, options, job)?, graph.clone(), options, job)
}

/// Where the points of a map of `rows` begin: on the first principal axes.
///
/// # Errors
///
/// Where an option means nothing, and when the job is interrupted.
pub fn umap_start(rows: Rows<'_>, options: &UmapOptions, job: &Job) -> Result<Layout> {
    options.check()?;
    match options.dimensions {
        2 => start::<2>(rows, options, job),
        _ => start::<3>(rows, options, job),
    }
}

fn start<const D: usize>(rows: Rows<'_>, options: &UmapOptions, job: &Job) -> Result<Layout> {
    let places = initial::spread(&principal::<D>(rows, options.seed, job)?, options.seed);
    Ok(Layout::of(&places))
}

/// The map of rows whose neighbors are `graph`, from points that begin at `start`: what
/// [`umap`] does once the rows themselves are not needed any more.
///
/// Memory: some 20 bytes for each neighbor of each row, with the graph.
///
/// # Errors
///
/// Where the graph is of other rows, an option means nothing or says other dimensions than
/// those of `start`, and when the job is interrupted.
pub fn umap_from(start: &Layout, graph: Graph, options: &UmapOptions, job: &Job) -> Result<Layout> {
    options.check()?;
    graph.check(start.len())?;
    match (options.dimensions, start.dimensions()) {
        (2, 2) => draw::<2>(start, graph, options, job),
        (3, 3) => draw::<3>(start, graph, options, job),
        (_, dimensions) => Err(Error::Option {
            option: "the number of dimensions",
            value: options.dimensions.to_string(),
            expected: if dimensions == 2 { "2, as the start" } else { "3, as the start" },
        }),
    }
}

fn draw<const D: usize>(
    start: &Layout,
    graph: Graph,
    options: &UmapOptions,
    job: &Job,
) -> Result<Layout> {
    let epochs = options.epochs.unwrap_or(if start.len() <= FEW { 500 } else { 200 });
    job.on(Event::started(Work::DrawingMap, Some(epochs as u64)));
    // An edge that weighs less is never due.
    let edges = weights::union(graph, 1.0 / epochs.max(1) as f32);
    let forces = options.forces();
    let descent = Descent {
        forces: &forces,
        epochs,
        rate: 1.0,
        negatives: options.negatives,
        seed: options.seed,
    };
    let places = descent.run(&edges, start.places::<D>().to_vec(), job)?;
    job.on(Event::Finished);
    Ok(Layout::of(&places))
}

/// Places new rows on a map, all of whose points stay where they are.
///
/// `nearest` has the neighbors of the new rows among those of the map, as
/// [`Graph::between`] or an index finds them. A row begins at the weighted mean of its
/// neighbors and is then moved 100 times. Its place depends on its neighbors only, not
/// on what else is placed.
///
/// A row takes less than a millisecond for 15 neighbors.
///
/// # Errors
///
/// Where a neighbor is not on the map, an option means nothing, and when the job is
/// interrupted.
pub fn place(map: &Layout, nearest: &Graph, options: &UmapOptions, job: &Job) -> Result<Layout> {
    let options = &UmapOptions { dimensions: map.dimensions(), ..*options };
    options.check()?;
    nearest.check_neighbors(map.len())?;
    match options.dimensions {
        2 => settle::<2>(map, nearest, options, job),
        _ => settle::<3>(map, nearest, options, job),
    }
}

fn settle<const D: usize>(
    map: &Layout,
    nearest: &Graph,
    options: &UmapOptions,
    job: &Job,
) -> Result<Layout> {
    let forces = options.forces();
    let descent = Descent {
        forces: &forces,
        epochs: options.epochs.unwrap_or(SETTLING),
        rate: SETTLING_RATE,
        negatives: options.negatives,
        seed: options.seed,
    };
    let places: &[[f32; D]] = map.places();
    job.on(Event::started(Work::PlacingRows, Some(nearest.len() as u64)));
    let settled = nearest
        .neighbors
        .par_chunks_exact(nearest.k)
        .zip(nearest.distances.par_chunks_exact(nearest.k))
        .map(|(neighbors, distances)| {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            // The row is near even its nearest neighbor by its distance only, as no
            // row of the map had to be joined to it (the same, reference implementation).
            let weights = weights::of_row(distances, 0.0, 0.0);
            let sum: f32 = weights.iter().sum();
            let mut start = [0.0; D];
            for (&neighbor, weight) in neighbors.iter().zip(&weights) {
                for (axis, x) in start.iter_mut().zip(places[neighbor as usize]) {
                    *axis += x * weight / sum;
                }
            }
            let name = neighbors
                .iter()
                .fold(0_u64, |name, &neighbor| name.rotate_left(7) ^ u64::from(neighbor));
            let most = weights.iter().copied().fold(0.0, f32::max);
            let weights: Vec<f32> = weights.iter().map(|weight| weight / most).collect();
            job.on(Event::Advanced { item: "", bytes: 0 });
            Ok(descent.settle(start, (neighbors, &weights), places, name))
        })
        .collect::<Result<Vec<_>>>()?;
    job.on(Event::Finished);
    Ok(Layout::of(&settled))
}

impl UmapOptions {
    fn check(&self) -> Result<()> {
        check_dimensions(self.dimensions)?;
        if !(self.spread > 0.0 && self.spread.is_finite()) {
            return Err(Error::Option {
                option: "the spread",
                value: self.spread.to_string(),
                expected: "a number above 0",
            });
        }
        if !(self.min_dist >= 0.0 && self.min_dist <= self.spread) {
            return Err(Error::Option {
                option: "the least distance",
                value: self.min_dist.to_string(),
                expected: "from 0 to the spread",
            });
        }
        Ok(())
    }

    fn forces(&self) -> Forces {
        Forces::new(Curve::fit(self.min_dist, self.spread))
    }
}
