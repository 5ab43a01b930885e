//! The best few of what was seen.

use super::panels::LANES;

/// The nearest of what was offered: by distance, and where that is the same by
/// number. Which they are does not depend on the order in which they were offered.
#[derive(Clone, Debug)]
pub(crate) struct Nearest {
    k: usize,
    /// Nearest first.
    found: Vec<(f32, u32)>,
    /// What is farther than this is not among them.
    bar: f32,
}

impl Nearest {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, found: Vec::with_capacity(k + 1), bar: f32::INFINITY }
    }

    /// Offers those of a panel whose `number(lane)` is something.
    #[inline(always)]
    pub(crate) fn offer_panel(
        &mut self,
        squares: &[f32; LANES],
        number: impl Fn(usize) -> Option<u32>,
    ) {
        let mut near = false;
        for &square in squares {
            near |= square <= self.bar;
        }
        if near {
            self.offer_each(squares, number);
        }
    }

    #[cold]
    fn offer_each(&mut self, squares: &[f32; LANES], number: impl Fn(usize) -> Option<u32>) {
        for (lane, &square) in squares.iter().enumerate() {
            if square <= self.bar
                && let Some(number) = number(lane)
            {
                self.offer(square, number);
            }
        }
    }

    /// Offers one.
    pub(crate) fn offer(&mut self, square: f32, number: u32) {
        let new = (square, number);
        let at = self.found.partition_point(|old| *old < new);
        if at == self.k || self.found.get(at) == Some(&new) {
            return;
        }
        self.found.insert(at, new);
        self.found.truncate(self.k);
        if self.found.len() == self.k {
            self.bar = self.found[self.k - 1].0;
        }
    }

    /// Whether there are as many as were asked for.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() == self.k
    }

    /// Nearest first, with squared distances.
    pub(crate) fn found(&self) -> &[(f32, u32)] {
        &self.found
    }
}
