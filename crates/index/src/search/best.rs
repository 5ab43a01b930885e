//! The best of many: scores, and rows.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::Key;

/// The greatest few of many numbers.
#[derive(Debug)]
pub(super) struct Top {
    count: usize,
    heap: BinaryHeap<Reverse<Number>>,
    least: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Number(f32);

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Top {
    /// Of numbers that reach `floor`.
    pub(super) fn new(count: usize, floor: f32) -> Self {
        Self { count, heap: BinaryHeap::new(), least: floor }
    }

    pub(super) fn is_full(&self) -> bool {
        self.heap.len() >= self.count
    }

    /// What a number has to reach to be one of them.
    pub(super) fn least(&self) -> f32 {
        self.least
    }

    pub(super) fn offer(&mut self, number: f32) {
        if self.heap.len() < self.count {
            if number >= self.least {
                self.heap.push(Reverse(Number(number)));
            }
        } else if number > self.least
            && let Some(mut least) = self.heap.peek_mut()
        {
            *least = Reverse(Number(number));
        }
        if self.is_full()
            && let Some(least) = self.heap.peek()
        {
            self.least = least.0.0;
        }
    }
}

/// A row whose score is known. The greatest is the one to drop first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) score: f64,
    pub(super) key: Key,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best rows seen so far.
#[derive(Debug)]
pub(super) struct Best {
    count: usize,
    pub(super) heap: BinaryHeap<Candidate>,
}

impl Best {
    pub(super) fn new(count: usize) -> Self {
        Self { count, heap: BinaryHeap::new() }
    }

    /// Whether a row of this score may be among the best.
    pub(super) fn wants(&self, score: f64) -> bool {
        self.heap.len() < self.count || self.heap.peek().is_some_and(|worst| score >= worst.score)
    }

    pub(super) fn offer(&mut self, candidate: Candidate) {
        if self.heap.len() < self.count {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        for candidate in other.heap {
            self.offer(candidate);
        }
        self
    }
}
