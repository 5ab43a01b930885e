//! Which rows are connected.

use std::sync::atomic::{AtomicU32, Ordering};

/// Disjoint sets that several threads join (Anderson and Woll, 1991). Each is a tree whose
/// root is its smallest row, so that in the end they are the same whoever joined first.
///
/// Invariant: the parent of a row is no larger than it.
#[derive(Debug)]
pub(super) struct Forest(Vec<AtomicU32>);

impl Forest {
    /// Each row by itself.
    pub(super) fn new(rows: usize) -> Self {
        Self((0..rows as u32).map(AtomicU32::new).collect())
    }

    /// The smallest row of the set, as far as threads have joined it.
    pub(super) fn root(&self, row: u32) -> u32 {
        let mut at = row;
        loop {
            let parent = self.parent(at);
            if parent == at {
                return at;
            }
            let above = self.parent(parent);
            // Halves the path for whoever comes next. That it fails means that somebody
            // else was faster. Relaxed will do: there is nothing behind these numbers.
            if above != parent {
                let (old, new) = (Ordering::Relaxed, Ordering::Relaxed);
                let _ = self.0[at as usize].compare_exchange_weak(parent, above, old, new);
            }
            at = above;
        }
    }

    /// Makes one set of those of two rows.
    pub(super) fn join(&self, left: u32, right: u32) {
        loop {
            let (left, right) = (self.root(left), self.root(right));
            if left == right {
                return;
            }
            let (low, high) = (left.min(right), left.max(right));
            let (old, new) = (Ordering::Relaxed, Ordering::Relaxed);
            if self.0[high as usize].compare_exchange(high, low, old, new).is_ok() {
                return;
            }
        }
    }

    fn parent(&self, row: u32) -> u32 {
        self.0[row as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn sets_are_the_same_whoever_joins_first() {
        let forest = Forest::new(3000);

        // Three chains: rows that are equal modulo 3.
        (0..2997u32).into_par_iter().for_each(|row| forest.join(2996 - row + 3, 2996 - row));

        assert!((0..3000).all(|row| forest.root(row) == row % 3));
    }
}
