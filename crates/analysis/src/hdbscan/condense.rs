//! From a spanning tree to clusters.

use super::{Hdbscan, Merge};
use crate::NOISE;

/// A cluster of the condensed tree. Densities are one over a distance.
struct Cluster {
    parent: usize,
    /// The density at which it splits off.
    birth: f64,
    /// The largest density at which it loses rows.
    death: f64,
    /// How many rows it has, for how long: the sum over rows of the density at which they
    /// leave, less that of its birth.
    stability: f64,
}

impl Cluster {
    const fn new(parent: usize, birth: f64) -> Self {
        Self { parent, birth, death: 0.0, stability: 0.0 }
    }

    fn lose(&mut self, rows: usize, density: f64) {
        self.death = self.death.max(density);
        // Equal rows leave at an infinite density.
        if density > self.birth {
            self.stability += (density - self.birth) * rows as f64;
        }
    }
}

/// The clusters of `n` rows that are worth most together, none of them all rows.
pub(super) fn clusters(n: usize, merges: Vec<Merge>, min_cluster_size: usize) -> Hdbscan {
    let hierarchy = Hierarchy::new(n, merges);
    let (clusters, leaves) = condense(&hierarchy, min_cluster_size);
    let homes = choose(&clusters);

    let mut numbers = vec![NOISE; clusters.len()];
    let mut next = 0;
    let mut found = Hdbscan { labels: vec![NOISE; n], probabilities: vec![0.0; n] };
    for (row, (cluster, density)) in leaves.into_iter().enumerate() {
        let Some(home) = homes[cluster] else { continue };
        if numbers[home] == NOISE {
            (numbers[home], next) = (next, next + 1);
        }
        found.labels[row] = numbers[home];
        let death = clusters[home].death;
        // The definition of hdbscan for Python: 1 for rows that stay until the end.
        let stays = density >= death || !density.is_finite();
        found.probabilities[row] = if stays { 1.0 } else { density / death };
    }
    found
}

/// The splits of a hierarchy that leave two parts of some size: clusters, each after its
/// parent, and for each row the last cluster that it is in and the density at which it leaves it.
fn condense(hierarchy: &Hierarchy, least: usize) -> (Vec<Cluster>, Vec<(usize, f64)>) {
    let mut clusters = vec![Cluster::new(0, 0.0)];
    let mut leaves = vec![(0, 0.0); hierarchy.order.len()];
    let mut open = vec![(hierarchy.top(), 0)];
    while let Some((node, cluster)) = open.pop() {
        let Some(split) = hierarchy.split(node) else { continue };
        let density = 1.0 / split.distance;
        let [left, right] = split.parts.map(|part| hierarchy.size(part));
        if left >= least && right >= least {
            clusters[cluster].lose(left + right, density);
            for part in split.parts {
                open.push((part, clusters.len()));
                clusters.push(Cluster::new(cluster, density));
            }
            continue;
        }
        for part in split.parts {
            let size = hierarchy.size(part);
            if size >= least {
                open.push((part, cluster));
                continue;
            }
            clusters[cluster].lose(size, density);
            for row in hierarchy.rows(part) {
                leaves[*row as usize] = (cluster, density);
            }
        }
    }
    (clusters, leaves)
}

/// For each cluster the chosen one that it is or is in: a cluster is chosen unless the best
/// choice below it is worth more (excess of mass).
fn choose(clusters: &[Cluster]) -> Vec<Option<usize>> {
    let mut below = vec![0.0; clusters.len()];
    let mut worth = vec![false; clusters.len()];
    for (at, cluster) in clusters.iter().enumerate().skip(1).rev() {
        worth[at] = below[at] <= cluster.stability;
        below[cluster.parent] += cluster.stability.max(below[at]);
    }
    let mut homes = vec![None; clusters.len()];
    for (at, cluster) in clusters.iter().enumerate().skip(1) {
        homes[at] = homes[cluster.parent].or(worth[at].then_some(at));
    }
    homes
}

/// Two parts of a set of rows.
#[derive(Clone, Copy)]
struct Split {
    parts: [usize; 2],
    distance: f64,
    size: usize,
    /// Where its rows stand in the order.
    start: usize,
}

/// Rows in sets that merge one after the other. A node below `n` is a row.
struct Hierarchy {
    splits: Vec<Split>,
    /// Where each row stands in the order.
    places: Vec<usize>,
    /// Rows, so that those of each set stand together.
    order: Vec<u32>,
}

impl Hierarchy {
    fn new(n: usize, mut merges: Vec<Merge>) -> Self {
        merges.sort_by(|l, r| l.distance.total_cmp(&r.distance));
        // The root of a set names the node that it is.
        let mut parents: Vec<usize> = (0..n).collect();
        let mut nodes: Vec<usize> = (0..n).collect();
        let mut hierarchy =
            Self { splits: Vec::with_capacity(n), places: vec![0; n], order: vec![0; n] };
        for Merge { rows, distance } in merges {
            let [left, right] = rows.map(|row| root(&mut parents, row as usize));
            let parts = [nodes[left], nodes[right]];
            let size = parts.iter().map(|part| hierarchy.size(*part)).sum();
            parents[right] = left;
            nodes[left] = n + hierarchy.splits.len();
            hierarchy.splits.push(Split { parts, distance, size, start: 0 });
        }
        hierarchy.arrange();
        hierarchy
    }

    /// Gives each set its place within that of the set it is part of.
    fn arrange(&mut self) {
        let n = self.order.len();
        for at in (0..self.splits.len()).rev() {
            let Split { parts: [left, right], start, .. } = self.splits[at];
            for (part, start) in [(left, start), (right, start + self.size(left))] {
                match part.checked_sub(n) {
                    Some(split) => self.splits[split].start = start,
                    None => {
                        self.places[part] = start;
                        self.order[start] = part as u32;
                    }
                }
            }
        }
    }

    fn top(&self) -> usize {
        self.order.len() + self.splits.len() - 1
    }

    fn split(&self, node: usize) -> Option<Split> {
        node.checked_sub(self.order.len()).map(|split| self.splits[split])
    }

    fn size(&self, node: usize) -> usize {
        self.split(node).map_or(1, |split| split.size)
    }

    fn rows(&self, node: usize) -> &[u32] {
        let start = self.split(node).map_or_else(|| self.places[node], |split| split.start);
        &self.order[start..start + self.size(node)]
    }
}

fn root(parents: &mut [usize], row: usize) -> usize {
    let mut at = row;
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}
