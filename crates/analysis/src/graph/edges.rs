//! Edges between rows, in both directions.

use rayon::prelude::*;

use crate::Graph;

/// Rows whose edges are joined at once.
const AT_ONCE: usize = 1 << 16;

/// Edges in both directions, row after row.
#[derive(Debug)]
pub(crate) struct Edges {
    /// Where the edges of each row begin, and the end.
    pub(crate) starts: Vec<usize>,
    pub(crate) to: Vec<u32>,
    pub(crate) weights: Vec<f32>,
}

impl Edges {
    /// The edges of a graph, each there and back with one weight: `join` of what both
    /// rows give, of which one may be 0, the larger first. Edges with a weight of 0 are left
    /// out.
    ///
    /// Takes `n k log k` steps and some 16 bytes for each of the neighbors of the graph, of
    /// which there are fewer than 2³².
    pub(crate) fn new(graph: &Graph, own: &[f32], join: impl Fn(f32, f32) -> f32 + Sync) -> Self {
        let (incoming, given) = turned(graph);
        let k = graph.k;
        let edges_of = |row: usize| {
            let mut all: Vec<(u32, f32, f32)> = Vec::with_capacity(3 * k);
            for (&to, &weight) in graph.neighbors[row * k..][..k].iter().zip(&own[row * k..]) {
                all.push((to, weight, 0.0));
            }
            for &at in &given[incoming[row]..incoming[row + 1]] {
                all.push((at / k as u32, 0.0, own[at as usize]));
            }
            all.sort_unstable_by_key(|edge| edge.0);
            all.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    (kept.1, kept.2) = (kept.1.max(next.1), kept.2.max(next.2));
                }
                same
            });
            // The larger first at both ends, so the same bits there and back.
            all.into_iter()
                .map(|(to, a, b)| (to, join(a.max(b), a.min(b))))
                .filter(|&(to, weight)| weight > 0.0 && to as usize != row)
                .collect::<Vec<_>>()
        };
        let mut edges = Self { starts: vec![0], to: Vec::new(), weights: Vec::new() };
        // Some rows at a time: all at once would take twice the memory.
        for first in (0..graph.len()).step_by(AT_ONCE) {
            let rows = first..graph.len().min(first + AT_ONCE);
            for row in rows.into_par_iter().map(edges_of).collect::<Vec<_>>() {
                edges.to.extend(row.iter().map(|edge| edge.0));
                edges.weights.extend(row.iter().map(|edge| edge.1));
                edges.starts.push(edges.to.len());
            }
        }
        edges
    }

    /// The edges of a row: where to, and how much they weigh.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.to[range.clone()], &self.weights[range])
    }
}

/// Who has each row as a neighbor: where those of each begin, and their places among the
/// neighbors of the graph.
fn turned(graph: &Graph) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0_usize; graph.len() + 1];
    for &to in &graph.neighbors {
        starts[to as usize + 1] += 1;
    }
    for row in 0..graph.len() {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut places = vec![0; graph.neighbors.len()];
    for (at, &to) in graph.neighbors.iter().enumerate() {
        let place = &mut next[to as usize];
        places[*place] = at as u32;
        *place += 1;
    }
    (starts, places)
}
