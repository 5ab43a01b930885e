//! How likely rows choose each other as neighbors.

use rayon::prelude::*;

use crate::{Graph, graph::Edges};

/// Rounds of bisection for the width of a row's bell; each halves the error.
const ROUNDS: usize = 100;

/// How near the entropy has to come to its target (van der Maaten 2014, reference
/// implementation).
const TOLERANCE: f64 = 1e-5;

/// The probabilities with which one row chooses its neighbors: a Gaussian bell over the
/// distances, as wide as makes the choice as uncertain as one among `perplexity` equal
/// neighbors (van der Maaten & Hinton 2008, equation 1).
fn of_row(distances: &[f32], perplexity: f64) -> Vec<f32> {
    let target = perplexity.ln();
    // Only differences of squares matter; from the least one no exponential vanishes.
    let least = distances.iter().copied().fold(f32::INFINITY, f32::min);
    let squares: Vec<f64> =
        distances.iter().map(|&d| f64::from(d).powi(2) - f64::from(least).powi(2)).collect();
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    if mean <= 0.0 {
        return vec![1.0 / squares.len() as f32; squares.len()];
    }
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0 / mean);
    let mut chances = vec![0.0; squares.len()];
    for _ in 0..ROUNDS {
        let mut sum = 0.0;
        for (chance, square) in chances.iter_mut().zip(&squares) {
            *chance = (-beta * square).exp();
            sum += *chance;
        }
        let mut weighted = 0.0;
        for (chance, square) in chances.iter_mut().zip(&squares) {
            *chance /= sum;
            weighted += *chance * square;
        }
        let entropy = sum.ln() + beta * weighted;
        if (entropy - target).abs() < TOLERANCE {
            break;
        }
        if entropy > target {
            low = beta;
            beta = if high.is_finite() { f64::midpoint(low, high) } else { beta * 2.0 };
        } else {
            high = beta;
            beta = f64::midpoint(low, high);
        }
    }
    chances.iter().map(|&chance| chance as f32).collect()
}

/// The probability of each pair, the same both ways; all together are 1 (the same,
/// section 3.1).
pub(super) fn joint(graph: &Graph, perplexity: f64) -> Edges {
    let mut own = vec![0.0; graph.neighbors.len()];
    own.par_chunks_exact_mut(graph.k)
        .zip(graph.distances.par_chunks_exact(graph.k))
        .for_each(|(chances, distances)| chances.copy_from_slice(&of_row(distances, perplexity)));
    let all = 2.0 * graph.len() as f32;
    Edges::new(graph, &own, |a, b| (a + b) / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_uncertain_as_the_perplexity_says() {
        let distances: Vec<f32> = (1..=30).map(|i| 3.0 + (i as f32).sqrt()).collect();

        let chances = of_row(&distances, 10.0);

        let entropy: f32 = chances.iter().map(|p| -p * p.ln()).sum();
        assert!((entropy.exp() - 10.0).abs() < 0.01);
        assert!((chances.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn equally_far_neighbors_are_equally_likely() {
        assert_eq!(of_row(&[2.0; 4], 2.0), [0.25; 4]);
        assert_eq!(of_row(&[0.0; 4], 2.0), [0.25; 4]);
    }
}
