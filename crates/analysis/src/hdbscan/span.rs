//! The minimum spanning tree of rows.

use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;
use songrec_core::Job;

use super::near::Near;
use crate::{
    Error, Result, Rows,
    distance::{PANEL, least},
    leaves::{Leaves, Search},
};

/// An edge out of a component: how long it is, squared, and where it ends. Of edges
/// as long, the one to the smaller row comes first.
type Edge = (f32, u32);

/// There is none yet.
const NONE: Edge = (f32::INFINITY, u32::MAX);

/// A tree that grows from all rows at once (Borůvka, 1926): in each round every component
/// gets its shortest edge to another.
///
/// Most rows know their shortest edge from the list of their neighbors. Others are searched
/// for, up to what is the shortest of their component so far.
#[derive(Debug)]
pub(super) struct Span<'a> {
    rows: Rows<'a>,
    leaves: &'a Leaves<'a>,
    near: &'a Near,
    /// The smallest core distance in each leaf, squared.
    leaf_cores: Vec<f32>,
    /// The component of each row, named by one of its rows.
    components: Vec<u32>,
    /// The shortest edge known out of the component from each row.
    best: Vec<Edge>,
    /// No other edge from a row out of its component is shorter than this, squared.
    lower: Vec<f32>,
}

impl<'a> Span<'a> {
    pub(super) fn new(rows: Rows<'a>, leaves: &'a Leaves<'a>, near: &'a Near) -> Self {
        let n = rows.len() as u32;
        let core = |leaf| leaves.members(leaf).iter().map(|row| near.core(*row));
        let bound = |row| {
            let farthest = near.of(row).0.last().copied().unwrap_or(0.0);
            if near.is_complete(rows.len()) { f32::INFINITY } else { farthest.max(near.core(row)) }
        };
        Self {
            rows,
            leaves,
            near,
            leaf_cores: (0..leaves.leaves().len())
                .map(|leaf| core(leaf).fold(f32::INFINITY, f32::min))
                .collect(),
            components: (0..n).collect(),
            best: vec![NONE; rows.len()],
            lower: (0..n).map(bound).collect(),
        }
    }

    /// The edges of the tree.
    pub(super) fn edges(mut self, job: &Job) -> Result<Vec<[u32; 2]>> {
        let mut edges = Vec::with_capacity(self.rows.len() - 1);
        while edges.len() + 1 < self.rows.len() {
            self.look_up();
            let shortest = self.shortest();
            self.search(&shortest, job)?;
            self.join(&mut edges);
        }
        Ok(edges)
    }

    /// Sets the best edge of each row from its list, where it has none.
    fn look_up(&mut self) {
        let (near, components) = (self.near, &self.components);
        self.best.par_iter_mut().enumerate().for_each(|(row, best)| {
            let own = components[row];
            if *best != NONE && components[best.1 as usize] != own {
                return;
            }
            *best = NONE;
            let core = near.core(row as u32);
            let (squared, others) = near.of(row as u32);
            for (squared, other) in squared.iter().zip(others) {
                if squared.max(core) > best.0 {
                    break;
                }
                if components[*other as usize] != own {
                    let edge = (squared.max(core).max(near.core(*other)), *other);
                    *best = shorter(*best, edge);
                }
            }
        });
    }

    /// For each component, by the row that names it, the length of its shortest known edge.
    fn shortest(&self) -> Vec<AtomicU32> {
        let shortest: Vec<AtomicU32> =
            self.best.iter().map(|_| AtomicU32::new(f32::INFINITY.to_bits())).collect();
        for (best, component) in self.best.iter().zip(&self.components) {
            lower_to(&shortest[*component as usize], best.0);
        }
        shortest
    }

    /// Searches for the edges that may be as short as the shortest of their component.
    ///
    /// How far a search goes depends on what others have found. An edge as short as the
    /// shortest is always found, and what is longer is forgotten, so that the result does not.
    fn search(&mut self, shortest: &[AtomicU32], job: &Job) -> Result<()> {
        let leaf_components: Vec<Option<u32>> = (0..self.leaves.leaves().len())
            .map(|leaf| {
                let mut all = self.leaves.members(leaf).iter();
                let first = self.components[*all.next()? as usize];
                all.all(|row| self.components[*row as usize] == first).then_some(first)
            })
            .collect();
        let this = &*self;
        let found: Vec<Vec<(u32, Edge)>> = (0..this.leaves.leaves().len())
            .into_par_iter()
            .map(|leaf| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                let open: Vec<u32> = this
                    .leaves
                    .members(leaf)
                    .iter()
                    .copied()
                    .filter(|row| this.is_open(*row, shortest))
                    .collect();
                if open.is_empty() {
                    return Ok(Vec::new());
                }
                let queries: Vec<&[f32]> =
                    open.iter().map(|row| this.rows.row(*row as usize)).collect();
                let best = open.iter().map(|row| this.best[*row as usize]).collect();
                let leaf_components = &leaf_components;
                let mut outward =
                    Outward { span: this, shortest, leaf_components, open: &open, best };
                this.leaves.search(&queries, this.leaves.center(leaf), &mut outward);
                let Outward { best, .. } = outward;
                Ok(open.into_iter().zip(best).collect())
            })
            .collect::<Result<_>>()?;
        for (row, best) in found.into_iter().flatten() {
            let limit = value(&shortest[self.components[row as usize] as usize]);
            let row = row as usize;
            self.best[row] = if best.0 <= limit { best } else { NONE };
            self.lower[row] = self.lower[row].max(limit);
        }
        Ok(())
    }

    /// Whether an edge that nobody knows may be as short as the shortest that is known.
    fn is_open(&self, row: u32, shortest: &[AtomicU32]) -> bool {
        let (best, lower) = (self.best[row as usize].0, self.lower[row as usize]);
        best > lower && lower <= value(&shortest[self.components[row as usize] as usize])
    }

    /// Adds the shortest edge of each component, and joins what it connects.
    fn join(&mut self, edges: &mut Vec<[u32; 2]>) {
        // The shortest, by the row that names a component, with the row where it begins.
        let mut shortest = vec![(NONE, 0u32); self.best.len()];
        for (row, (best, component)) in self.best.iter().zip(&self.components).enumerate() {
            let known = &mut shortest[*component as usize];
            if shorter(known.0, *best) != known.0 {
                *known = (*best, row as u32);
            }
        }
        let mut parents = self.components.clone();
        for ((length, to), from) in shortest {
            if to == u32::MAX {
                continue;
            }
            debug_assert!(!length.is_nan(), "squared distances are numbers");
            let (left, right) = (root(&mut parents, from), root(&mut parents, to));
            if left != right {
                parents[left.max(right) as usize] = left.min(right);
                edges.push([from, to]);
            }
        }
        for row in 0..parents.len() as u32 {
            self.components[row as usize] = root(&mut parents, row);
        }
    }
}

/// What looks for edges from some rows of a leaf.
struct Outward<'a> {
    span: &'a Span<'a>,
    shortest: &'a [AtomicU32],
    leaf_components: &'a [Option<u32>],
    open: &'a [u32],
    best: Vec<Edge>,
}

impl Outward<'_> {
    fn component(&self, query: usize) -> u32 {
        self.span.components[self.open[query] as usize]
    }

    /// No longer edge is of interest.
    fn limit(&self, query: usize) -> f32 {
        value(&self.shortest[self.component(query) as usize]).min(self.best[query].0)
    }
}

impl Search for Outward<'_> {
    fn reach(&self, query: usize) -> f32 {
        self.limit(query).sqrt()
    }

    fn wants(&mut self, query: usize, leaf: usize) -> bool {
        self.leaf_components[leaf] != Some(self.component(query))
            && self.span.leaf_cores[leaf] <= self.limit(query)
    }

    fn take(&mut self, query: usize, leaf: usize, squared: &[f32]) {
        let own = self.component(query);
        let limit = self.limit(query);
        let Span { near, components, .. } = self.span;
        let core = near.core(self.open[query]);
        let members = self.span.leaves.members(leaf);
        let mut best = self.best[query];
        for (squared, members) in squared.chunks(PANEL).zip(members.chunks(PANEL)) {
            if least(squared) > limit {
                continue;
            }
            for (squared, row) in squared.iter().zip(members) {
                if *squared <= limit && components[*row as usize] != own {
                    best = shorter(best, (squared.max(core).max(near.core(*row)), *row));
                }
            }
        }
        self.best[query] = best;
        lower_to(&self.shortest[own as usize], best.0);
    }
}

fn shorter(left: Edge, right: Edge) -> Edge {
    if right.0 < left.0 || (right.0 == left.0 && right.1 < left.1) { right } else { left }
}

/// Bits of numbers that are not negative have the order of the numbers.
fn lower_to(shortest: &AtomicU32, length: f32) {
    shortest.fetch_min(length.to_bits(), Ordering::Relaxed);
}

fn value(shortest: &AtomicU32) -> f32 {
    f32::from_bits(shortest.load(Ordering::Relaxed))
}

fn root(parents: &mut [u32], row: u32) -> u32 {
    let mut at = row;
    while parents[at as usize] != at {
        let above = parents[parents[at as usize] as usize];
        parents[at as usize] = above;
        at = above;
    }
    at
}
