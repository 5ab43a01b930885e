//! How surely two rows belong together: the fuzzy simplicial set.

use rayon::prelude::*;

use crate::Graph;

/// Rounds of bisection for the scale of a row; each halves the error.
const ROUNDS: usize = 64;

/// How near the sum of weights has to come to its target (McInnes, Healy & Melville
/// 2018, reference implementation).
const TOLERANCE: f64 = 1e-5;

/// The least scale, as a part of the mean distance (the same).
const LEAST: f64 = 1e-3;

/// The weights of one row to its neighbours (McInnes, Healy & Melville 2018, section
/// 3.1): `exp(−(distance − rho) / sigma)`, where rho is the distance of the nearest that
/// is not equal and sigma makes the sum of weights the binary logarithm of their number.
///
/// `mean` is the mean distance of all rows, below a thousandth of which sigma never goes.
pub(super) fn of_row(distances: &[f32], rho: f64, mean: f64) -> Vec<f32> {
    let target = (distances.len() as f64).log2();
    let past: Vec<f64> = distances.iter().map(|&d| (f64::from(d) - rho).max(0.0)).collect();
    let (mut low, mut high, mut sigma) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..ROUNDS {
        let sum: f64 = past.iter().map(|d| (-d / sigma).exp()).sum();
        if (sum - target).abs() < TOLERANCE {
            break;
        }
        if sum > target {
            high = sigma;
            sigma = f64::midpoint(low, high);
        } else {
            low = sigma;
            sigma = if high.is_finite() { f64::midpoint(low, high) } else { sigma * 2.0 };
        }
    }
    let here = distances.iter().map(|&d| f64::from(d)).sum::<f64>() / distances.len() as f64;
    let sigma = sigma.max(LEAST * if rho > 0.0 { here } else { mean });
    past.iter()
        .map(|d| if *d == 0.0 || sigma == 0.0 { 1.0 } else { (-d / sigma).exp() as f32 })
        .collect()
}

/// The distance of the nearest that is not equal, or 0 if all are.
pub(super) fn rho(distances: &[f32]) -> f64 {
    distances.iter().copied().find(|&d| d > 0.0).map_or(0.0, f64::from)
}

/// The mean of all distances of a graph.
pub(super) fn mean(graph: &Graph) -> f64 {
    let sums: Vec<f64> = graph
        .distances
        .par_chunks(1 << 16)
        .map(|chunk| chunk.iter().map(|&d| f64::from(d)).sum())
        .collect();
    sums.iter().sum::<f64>() / graph.distances.len() as f64
}

/// Edges in both directions, row after row.
#[derive(Debug)]
pub(super) struct Edges {
    /// Where the edges of each row begin, and the end.
    pub(super) starts: Vec<usize>,
    pub(super) to: Vec<u32>,
    /// Above 0, at most 1.
    pub(super) weights: Vec<f32>,
}

impl Edges {
    /// The union of what rows say of each other: `a + b − a b` (the same, section 3.1).
    ///
    /// Takes `n k log k` steps and some 24 bytes for each neighbour of the graph.
    pub(super) fn new(graph: &Graph) -> Self {
        let (count, k) = (graph.len(), graph.k);
        let mean = mean(graph);
        let mut own = vec![0.0_f32; count * k];
        own.par_chunks_exact_mut(k).zip(graph.distances.par_chunks_exact(k)).for_each(
            |(weights, distances)| {
                weights.copy_from_slice(&of_row(distances, rho(distances), mean));
            },
        );
        let (incoming, sources, given) = turned(graph, &own);
        let merged: Vec<Vec<(u32, f32)>> = (0..count)
            .into_par_iter()
            .map(|row| {
                let out = graph.neighbors[row * k..][..k].iter().zip(&own[row * k..]);
                let range = incoming[row]..incoming[row + 1];
                let back = sources[range.clone()].iter().zip(&given[range]);
                let mut all: Vec<(u32, f32)> =
                    out.chain(back).map(|(&to, &weight)| (to, weight)).collect();
                all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
                all.dedup_by(|next, kept| {
                    let same = next.0 == kept.0;
                    if same {
                        kept.1 = (kept.1 + next.1 - kept.1 * next.1).min(1.0);
                    }
                    same
                });
                all.retain(|&(to, weight)| weight > 0.0 && to as usize != row);
                all.shrink_to_fit();
                all
            })
            .collect();
        let mut edges = Self { starts: vec![0], to: Vec::new(), weights: Vec::new() };
        for row in merged {
            edges.to.extend(row.iter().map(|edge| edge.0));
            edges.weights.extend(row.iter().map(|edge| edge.1));
            edges.starts.push(edges.to.len());
        }
        edges
    }
}

/// Who has each row as a neighbour: where the edges of each begin, from whom, and with
/// which weight.
fn turned(graph: &Graph, weights: &[f32]) -> (Vec<usize>, Vec<u32>, Vec<f32>) {
    let mut starts = vec![0_usize; graph.len() + 1];
    for &to in &graph.neighbors {
        starts[to as usize + 1] += 1;
    }
    for row in 0..graph.len() {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut sources = vec![0; graph.neighbors.len()];
    let mut given = vec![0.0; graph.neighbors.len()];
    for (at, (&to, &weight)) in graph.neighbors.iter().zip(weights).enumerate() {
        let place = &mut next[to as usize];
        (sources[*place], given[*place]) = ((at / graph.k) as u32, weight);
        *place += 1;
    }
    (starts, sources, given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_the_binary_logarithm() {
        let distances = [0.5, 0.7, 0.9, 1.5, 1.6, 2.0, 3.0, 3.1];

        let weights = of_row(&distances, rho(&distances), 1.0);

        assert!((weights[0] - 1.0).abs() < f32::EPSILON);
        assert!((weights.iter().sum::<f32>() - 3.0).abs() < 1e-3);
        assert!(weights.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn an_edge_is_as_sure_as_both_rows_say_together() {
        let graph = Graph {
            k: 2,
            neighbors: vec![1, 2, 0, 2, 0, 1],
            distances: vec![1.0, 2.0, 1.0, 1.5, 2.0, 1.5],
        };

        let edges = Edges::new(&graph);

        let of = |row: usize| -> Vec<(u32, f32)> {
            let range = edges.starts[row]..edges.starts[row + 1];
            range.map(|edge| (edges.to[edge], edges.weights[edge])).collect()
        };
        for row in 0..3_u32 {
            for (to, weight) in of(row as usize) {
                assert!(of(to as usize).contains(&(row, weight)), "both ways the same");
            }
        }
        assert!((of(0)[0].1 - 1.0).abs() < 1e-6, "nearest to each other");
    }
}
