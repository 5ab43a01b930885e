//! One tree of an isolation forest, laid out for speed.

use crate::{Error, Result};

/// Rows that go down a tree together, so that one does not wait for the memory that another
/// needs.
const TOGETHER: usize = 8;

/// A tree as scikit-learn has it: a value for each node, and node 0 at the top.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TreeNodes {
    /// The column that a node looks at.
    pub columns: Vec<usize>,
    /// Rows whose value in this column is up to this go left, others right.
    pub thresholds: Vec<f64>,
    /// The node to the left; `None` at the end of a path.
    pub left: Vec<Option<usize>>,
    /// The node to the right; `None` at the end of a path.
    pub right: Vec<Option<usize>>,
    /// How many rows of the sample came here.
    pub samples: Vec<usize>,
}

/// A node whose children lie side by side. An end is its own left child and sends all
/// rows there, so that every row takes as many steps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    threshold: f32,
    column: u32,
    left: u32,
}

/// One tree of an [`IsolationForest`](super::IsolationForest).
///
/// Invariant: `left + 1`, or `left` of an end, is a node.
#[derive(Clone, Debug, PartialEq)]
pub struct IsolationTree {
    nodes: Vec<Node>,
    /// For each node that is an end, what a row that comes there adds to its depth.
    depths: Vec<f64>,
    /// Steps to the farthest end.
    height: usize,
    columns: usize,
}

impl IsolationTree {
    /// Arranges nodes.
    ///
    /// # Errors
    ///
    /// When there is none, lists differ in length, a threshold is no number, or the children
    /// make no tree.
    pub fn new(nodes: &TreeNodes) -> Result<Self> {
        let count = nodes.columns.len();
        let lengths = [nodes.thresholds.len(), nodes.left.len(), nodes.right.len()];
        if count == 0 || nodes.samples.len() != count || lengths != [count; 3] {
            return Err(Error::Tree { reason: "it has no node, or lists of different lengths" });
        }
        let mut tree = Self { nodes: Vec::new(), depths: Vec::new(), height: 0, columns: 0 };
        // Nodes in the order in which they get their place, with the steps from the top.
        let mut order = vec![(0, 0)];
        let mut at = 0;
        while let Some((node, steps)) = order.get(at).copied() {
            let column = nodes.columns[node];
            match (nodes.left[node], nodes.right[node]) {
                (None, None) => tree.push_end(steps, nodes.samples[node]),
                (Some(left), Some(right))
                    if left.max(right) < count && order.len() + 2 <= count =>
                {
                    if nodes.thresholds[node].is_nan() {
                        return Err(Error::Tree { reason: "a threshold is no number" });
                    }
                    let next = order.len();
                    tree.push_cut(column, nodes.thresholds[node], next);
                    order.extend([(left, steps + 1), (right, steps + 1)]);
                }
                _ => return Err(Error::Tree { reason: "its children make no tree" }),
            }
            at += 1;
        }
        Ok(tree)
    }

    fn push_end(&mut self, steps: usize, samples: usize) {
        let left = self.nodes.len() as u32;
        self.nodes.push(Node { threshold: f32::INFINITY, column: 0, left });
        self.depths.push(steps as f64 + average_depth(samples));
        self.height = self.height.max(steps);
    }

    fn push_cut(&mut self, column: usize, threshold: f64, left: usize) {
        // The largest float32 that is no more: the same values are up to it.
        let mut rounded = threshold as f32;
        if f64::from(rounded) > threshold {
            rounded = rounded.next_down();
        }
        self.nodes.push(Node { threshold: rounded, column: column as u32, left: left as u32 });
        self.depths.push(0.0);
        self.columns = self.columns.max(column + 1);
    }

    /// The number of columns that rows have to have.
    pub(super) const fn columns(&self) -> usize {
        self.columns
    }

    /// Adds to `depths` how far down each row comes.
    pub(super) fn add_depths(&self, rows: &[f32], dimension: usize, depths: &mut [f64]) {
        let mut groups = rows.chunks_exact(TOGETHER * dimension);
        let mut of_groups = depths.chunks_exact_mut(TOGETHER);
        for (rows, depths) in groups.by_ref().zip(of_groups.by_ref()) {
            self.add_together::<TOGETHER>(rows, dimension, depths);
        }
        for (row, depth) in
            groups.remainder().chunks_exact(dimension).zip(of_groups.into_remainder())
        {
            self.add_together::<1>(row, dimension, std::slice::from_mut(depth));
        }
    }

    #[inline]
    fn add_together<const ROWS: usize>(&self, rows: &[f32], dimension: usize, depths: &mut [f64]) {
        let mut at = [0usize; ROWS];
        for _ in 0..self.height {
            for (row, at) in at.iter_mut().enumerate() {
                let node = self.nodes[*at];
                let value = rows[row * dimension + node.column as usize];
                *at = node.left as usize + usize::from(value > node.threshold);
            }
        }
        for (depth, at) in depths.iter_mut().zip(at) {
            *depth += self.depths[at];
        }
    }
}

/// The mean depth at which a search in a random binary tree of `n` values fails: what is still
/// below an end with `n` rows (equation 1 of Liu, Ting and Zhou, 2008).
pub(super) fn average_depth(n: usize) -> f64 {
    /// Of Euler and Mascheroni.
    const GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = n as f64;
            2.0 * ((n - 1.0).ln() + GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump() -> TreeNodes {
        TreeNodes {
            columns: vec![1, 0, 0],
            thresholds: vec![0.1, 0.0, 0.0],
            left: vec![Some(1), None, None],
            right: vec![Some(2), None, None],
            samples: vec![7, 2, 5],
        }
    }

    #[test]
    fn a_threshold_between_two_float32_values_parts_them() {
        let tree = IsolationTree::new(&stump()).unwrap();
        // 0.1 as float32 is more than as float64, and goes right.
        let rows = [0.0, 0.1f32, 0.0, 0.1f32.next_down()];
        let mut depths = [0.0; 2];

        tree.add_depths(&rows, 2, &mut depths);

        assert_eq!(depths, [1.0 + average_depth(5), 2.0]);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let broken = |change: fn(&mut TreeNodes)| {
            let mut nodes = stump();
            change(&mut nodes);
            IsolationTree::new(&nodes).is_err()
        };

        assert!(broken(|nodes| nodes.left[0] = Some(0)));
        assert!(broken(|nodes| nodes.right[0] = None));
        assert!(broken(|nodes| nodes.right[0] = Some(3)));
        assert!(broken(|nodes| nodes.thresholds[0] = f64::NAN));
        assert!(broken(|nodes| nodes.samples.truncate(2)));
        assert!(broken(|nodes| *nodes = TreeNodes::default()));
    }
}
