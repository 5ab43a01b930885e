//! Maps in two or three dimensions that keep neighbors together (t-SNE).

mod affinities;
mod tree;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{
    Error, Graph, Layout, Result, Rows, graph::Edges, layout::check_dimensions, umap::principal,
};
use tree::Tree;

/// How a map is drawn.
#[derive(Clone, Copy, Debug)]
pub struct TsneOptions {
    /// 2 or 3.
    pub dimensions: usize,
    /// How many neighbors a row minds, from 1 to a third of those in the graph.
    pub perplexity: f64,
    /// How often points are moved while neighbors pull 12 times as much, which gathers
    /// clusters (van der Maaten & Hinton 2008; 12 from van der Maaten 2014).
    pub early: usize,
    /// How often after that.
    pub late: usize,
    /// How coarsely far points are looked at, from 0 (all pairs, slow) to 1.
    pub theta: f32,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for TsneOptions {
    /// As openTSNE (Poličar, Stražar & Zupan 2024).
    fn default() -> Self {
        Self { dimensions: 2, perplexity: 30.0, early: 250, late: 500, theta: 0.5, seed: 0 }
    }
}

impl TsneOptions {
    /// How many neighbors of each row a graph needs: three times the perplexity, as
    /// farther ones hardly count (van der Maaten 2014, section 4.1).
    pub fn neighbors(&self) -> usize {
        (3.0 * self.perplexity) as usize
    }

    fn check(&self, k: usize) -> Result<()> {
        check_dimensions(self.dimensions)?;
        if !(self.perplexity >= 1.0 && self.neighbors() <= k) {
            return Err(Error::Option {
                option: "the perplexity",
                value: self.perplexity.to_string(),
                expected: "from 1 to a third of the neighbors in the graph",
            });
        }
        if !(0.0..=1.0).contains(&self.theta) {
            return Err(Error::Option {
                option: "theta",
                value: self.theta.to_string(),
                expected: "from 0 to 1",
            });
        }
        Ok(())
    }
}

/// How much more neighbors pull in the beginning.
const EXAGGERATION: f32 = 12.0;

/// The spread of points in the beginning (van der Maaten 2014).
const START: f64 = 1e-4;

/// No point moves farther at once; openTSNE has the same limit.
const FARTHEST: f32 = 5.0;

/// Points that one thread moves at a time.
const CHUNK: usize = 256;

/// Draws a map of `rows`, whose neighbors are `graph`, by t-SNE with the tree of Barnes
/// & Hut (van der Maaten 2014).
///
/// Points begin on the first principal axes (Kobak & Berens 2019). The step is n / 12
/// (Belkina et al. 2019), at least 200; each coordinate has a gain (Jacobs 1988) and
/// momentum. The graph needs [`TsneOptions::neighbors`] neighbors of each row, and
/// uses all that it has.
///
/// Takes 750 × n × (log n + neighbors) steps; memory: some 28 bytes for each neighbor
/// of each row. The map is the same with any number of threads.
///
/// # Errors
///
/// Where the graph is of other rows or has too few neighbors, an option means nothing,
/// and when the job is interrupted.
pub fn tsne(rows: Rows<'_>, graph: &Graph, options: &TsneOptions, job: &Job) -> Result<Layout> {
    graph.check(rows.len())?;
    options.check(graph.k)?;
    match options.dimensions {
        2 => draw::<2>(rows, graph, options, job),
        _ => draw::<3>(rows, graph, options, job),
    }
}

fn draw<const D: usize>(
    rows: Rows<'_>,
    graph: &Graph,
    options: &TsneOptions,
    job: &Job,
) -> Result<Layout> {
    let total = (options.early + options.late) as u64;
    job.on(Event::started(Work::DrawingMap, Some(total)));
    let edges = affinities::joint(graph, options.perplexity);
    let mut map = Map {
        edges,
        moves: vec![Move::still(); rows.len()],
        places: start(&principal::<D>(rows, options.seed, job)?),
    };
    let rate = (rows.len() as f32 / EXAGGERATION).max(200.0);
    for round in 0..options.early + options.late {
        let (exaggeration, momentum) =
            if round < options.early { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let step = Step { exaggeration, momentum, rate };
        map.advance(step, options.theta, job)?;
        job.on(Event::Advanced { item: "", bytes: 0 });
    }
    job.on(Event::Finished);
    Ok(Layout::of(&map.places))
}

/// Points on the first axes, narrow. Equal rows are parted by what is a rounding error
/// elsewhere: otherwise nothing could ever part them.
fn start<const D: usize>(places: &[[f64; D]]) -> Vec<[f32; D]> {
    let square: f64 = places.iter().map(|place| place[0] * place[0]).sum();
    let spread = (square / places.len() as f64).sqrt();
    let scale = if spread > 0.0 { START / spread } else { 0.0 };
    places
        .iter()
        .enumerate()
        .map(|(row, place)| {
            // Evenly spread in each axis (the fractions of multiples of an irrational).
            let apart = |axis: usize| {
                let root = ((axis + 2) as f64).sqrt();
                (row as f64 * root).fract() - 0.5
            };
            std::array::from_fn(|axis| (place[axis] * scale + START * 1e-2 * apart(axis)) as f32)
        })
        .collect()
}

struct Map<const D: usize> {
    edges: Edges,
    places: Vec<[f32; D]>,
    moves: Vec<Move<D>>,
}

/// The last move of a point, and the gain of each coordinate.
#[derive(Clone, Copy)]
struct Move<const D: usize> {
    last: [f32; D],
    gains: [f32; D],
}

impl<const D: usize> Move<D> {
    const fn still() -> Self {
        Self { last: [0.0; D], gains: [1.0; D] }
    }
}

#[derive(Clone, Copy)]
struct Step {
    exaggeration: f32,
    momentum: f32,
    rate: f32,
}

impl<const D: usize> Map<D> {
    /// Moves all points once.
    fn advance(&mut self, step: Step, theta: f32, job: &Job) -> Result<()> {
        let stop = || job.is_interrupted();
        let pushes = Tree::new(&self.places).pushes(theta, &stop).ok_or(Error::Interrupted)?;
        let push = (1.0 / pushes.sum.max(f64::MIN_POSITIVE)) as f32;
        let mut next = vec![[0.0; D]; self.places.len()];
        next.par_chunks_mut(CHUNK)
            .zip(self.moves.par_chunks_mut(CHUNK))
            .zip(pushes.of.par_chunks(CHUNK))
            .enumerate()
            .for_each(|(chunk, ((next, moves), pushes))| {
                pulp::Arch::new().dispatch(Chunk {
                    edges: &self.edges,
                    places: &self.places,
                    first: chunk * CHUNK,
                    step,
                    push,
                    pushes,
                    moves,
                    next,
                });
            });
        // Nothing holds the map as a whole in its place.
        let mut mean = [0.0; D];
        for place in &next {
            for axis in 0..D {
                mean[axis] += f64::from(place[axis]);
            }
        }
        for place in &mut next {
            for axis in 0..D {
                place[axis] -= (mean[axis] / self.places.len() as f64) as f32;
            }
        }
        self.places = next;
        Ok(())
    }
}

/// Some points in one round.
struct Chunk<'a, const D: usize> {
    edges: &'a Edges,
    places: &'a [[f32; D]],
    first: usize,
    step: Step,
    /// One over the sum of all similarities.
    push: f32,
    pushes: &'a [[f32; D]],
    moves: &'a mut [Move<D>],
    next: &'a mut [[f32; D]],
}

impl<const D: usize> WithSimd for Chunk<'_, D> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let moves = self.moves.iter_mut().zip(self.next).zip(self.pushes);
        for (row, ((last, next), push)) in (self.first..).zip(moves) {
            let place = self.places[row];
            let (to, weights) = self.edges.of(row);
            let mut pull = [0.0; D];
            for (&other, &weight) in to.iter().zip(weights) {
                let other = self.places[other as usize];
                let difference: [f32; D] = std::array::from_fn(|axis| place[axis] - other[axis]);
                let square: f32 = difference.iter().map(|x| x * x).sum();
                let force = weight / (1.0 + square);
                for axis in 0..D {
                    pull[axis] += force * difference[axis];
                }
            }
            let mut square = 0.0;
            for axis in 0..D {
                let gradient = self.step.exaggeration * pull[axis] - self.push * push[axis];
                // Farther where the way goes on, shorter where it turns.
                let goes_on = (gradient > 0.0) != (last.last[axis] > 0.0);
                let gain = last.gains[axis];
                last.gains[axis] = if goes_on { gain + 0.2 } else { (gain * 0.8).max(0.01) };
                last.last[axis] = self.step.momentum * last.last[axis]
                    - self.step.rate * last.gains[axis] * gradient;
                square += last.last[axis] * last.last[axis];
            }
            let shorter = (FARTHEST / square.sqrt()).min(1.0);
            for axis in 0..D {
                last.last[axis] *= shorter;
                next[axis] = place[axis] + last.last[axis];
            }
        }
    }
}
