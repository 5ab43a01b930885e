//! A tree that cuts a sample of rows apart.

use rand::{Rng, seq::index};
use rand_chacha::ChaCha8Rng;

use super::tree::{IsolationTree, TreeNodes};
use crate::Rows;

/// Grows a tree from `sample` random rows until each is alone, or as deep as they would be in
/// a balanced tree: what is deeper is normal anyway.
pub(super) fn tree(rows: Rows<'_>, sample: usize, rng: &mut ChaCha8Rng) -> IsolationTree {
    let mut drawn = index::sample(rng, rows.len(), sample).into_vec();
    let deepest = usize::BITS - (sample - 1).leading_zeros();
    let mut columns: Vec<usize> = (0..rows.dimension()).collect();
    let mut nodes = TreeNodes::default();
    add(&mut nodes, sample);
    let mut open = vec![(0, 0..sample, 0)];
    while let Some((node, range, depth)) = open.pop() {
        if range.len() < 2 || depth == deepest {
            continue;
        }
        let part = &mut drawn[range.clone()];
        let Some((column, threshold)) = cut(rows, part, &mut columns, rng) else { continue };
        let middle = range.start + divide(part, |row| rows.row(row)[column] <= threshold);
        let left = add(&mut nodes, middle - range.start);
        let right = add(&mut nodes, range.end - middle);
        nodes.columns[node] = column;
        nodes.thresholds[node] = f64::from(threshold);
        (nodes.left[node], nodes.right[node]) = (Some(left), Some(right));
        open.push((left, range.start..middle, depth + 1));
        open.push((right, middle..range.end, depth + 1));
    }
    IsolationTree::new(&nodes).expect("each node has two new ones below it, or none")
}

fn add(nodes: &mut TreeNodes, samples: usize) -> usize {
    nodes.columns.push(0);
    nodes.thresholds.push(0.0);
    nodes.left.push(None);
    nodes.right.push(None);
    nodes.samples.push(samples);
    nodes.columns.len() - 1
}

/// A random column in which these rows differ, and a threshold that leaves some on both
/// sides; `None` if they are equal.
fn cut(
    rows: Rows<'_>,
    part: &[usize],
    columns: &mut [usize],
    rng: &mut ChaCha8Rng,
) -> Option<(usize, f32)> {
    for tried in 0..columns.len() {
        columns.swap(tried, rng.random_range(tried..columns.len()));
        let column = columns[tried];
        let values = part.iter().map(|row| rows.row(*row)[column]);
        let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low < high {
            // In float64, where the difference of any two float32 values has a place.
            let (from, to) = (f64::from(low), f64::from(high));
            let threshold = (from + rng.random::<f64>() * (to - from)) as f32;
            return Some((column, if threshold < high { threshold } else { low }));
        }
    }
    None
}

/// Puts rows that go left first; gives their number.
fn divide(rows: &mut [usize], left: impl Fn(usize) -> bool) -> usize {
    let mut middle = 0;
    for at in 0..rows.len() {
        if left(rows[at]) {
            rows.swap(middle, at);
            middle += 1;
        }
    }
    middle
}
