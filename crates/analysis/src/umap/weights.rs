//! How surely two rows belong together: the fuzzy simplicial set.

use rayon::prelude::*;

use crate::{Graph, graph::Edges};

/// Rounds of bisection for the scale of a row; each halves the error.
const ROUNDS: usize = 64;

/// How near the sum of weights has to come to its target (McInnes, Healy & Melville
/// 2018, reference implementation).
const TOLERANCE: f64 = 1e-5;

/// The least scale, as a part of the mean distance (the same).
const LEAST: f64 = 1e-3;

/// The weights of one row to its neighbors (McInnes, Healy & Melville 2018, section
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

/// How surely rows belong together, from what both say of each other: `a + b − a b`
/// (the same, section 3.1). Weights are `least` or more, and at most 1.
pub(super) fn union(mut graph: Graph, least: f32) -> Edges {
    let mean = mean(&graph);
    // In place of the distances, which nothing needs afterwards.
    let mut own = std::mem::take(&mut graph.distances);
    own.par_chunks_exact_mut(graph.k).for_each(|row| {
        let weights = of_row(row, rho(row), mean);
        row.copy_from_slice(&weights);
    });
    Edges::new(&graph, &own, |a, b| {
        let both = (a + b - a * b).min(1.0);
        if both < least { 0.0 } else { both }
    })
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

        let edges = union(graph, 0.0);

        let of = |row: usize| -> Vec<(u32, f32)> {
            let (to, weights) = edges.of(row);
            to.iter().copied().zip(weights.iter().copied()).collect()
        };
        for row in 0..3_u32 {
            for (to, weight) in of(row as usize) {
                assert!(of(to as usize).contains(&(row, weight)), "both ways the same");
            }
        }
        assert!((of(0)[0].1 - 1.0).abs() < 1e-6, "nearest to each other");
    }
}
