//! Finding the nearest rows.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::query::Resolved;
use crate::store::{View, corrupt};
use crate::{Filter, Hit, Key, Metric, Query, Result, RowSet};

/// Slots that one thread looks through at a time.
const SHARE: u32 = 16 * 1024;

/// A row that may be a hit. The greatest is the one to drop first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    score: f64,
    key: Key,
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

/// The best candidates seen so far.
#[derive(Debug)]
struct Best {
    count: usize,
    heap: BinaryHeap<Candidate>,
}

impl Best {
    fn new(count: usize) -> Self {
        Self { count, heap: BinaryHeap::new() }
    }

    /// Whether a row of this score may be among the best.
    fn wants(&self, score: f64) -> bool {
        self.heap.len() < self.count || self.heap.peek().is_some_and(|worst| score >= worst.score)
    }

    fn offer(&mut self, candidate: Candidate) {
        if self.heap.len() < self.count {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for candidate in other.heap {
            self.offer(candidate);
        }
        self
    }
}

pub(crate) fn search(
    view: &View,
    dir: &Path,
    query: &Query<'_>,
    point: &[f32],
) -> Result<Vec<Hit>> {
    let count = query.k.saturating_add(query.offset).min(view.state.live as usize);
    if query.k == 0 || count == 0 {
        return Ok(Vec::new());
    }
    let metric = query.metric.unwrap_or(view.fixed.metric);
    let excluded: HashSet<&Key> = query.exclude.iter().collect();
    let norm = dot(point, point).sqrt();
    let consider = |best: &mut Best, slot: u32| {
        let (Some(known), Some(row)) = (view.slot(slot), view.row(slot)) else {
            return Err(corrupt(dir, "a row is not where it should be"));
        };
        if !known.is_live() || excluded.contains(&known.key) {
            return Ok(());
        }
        let score = score(metric, point, norm, row);
        if best.wants(score)
            && match query.filter {
                Filter::Predicate(accepts) => accepts(&known.key),
                Filter::All | Filter::Rows(_) => true,
            }
        {
            best.offer(Candidate { score, key: known.key });
        }
        Ok(())
    };
    let best = match query.filter {
        Filter::Rows(rows) => {
            let slots = resolve(view, dir, rows)?;
            let mut best = Best::new(count);
            slots.iter().try_for_each(|&slot| consider(&mut best, slot))?;
            best
        }
        Filter::All | Filter::Predicate(_) => {
            let scan = |share: u32| {
                let mut best = Best::new(count);
                let start = share * SHARE;
                let end = start.saturating_add(SHARE).min(view.state.slots);
                (start..end).try_for_each(|slot| consider(&mut best, slot))?;
                Ok(best)
            };
            let shares = view.state.slots.div_ceil(SHARE);
            if shares == 1 {
                scan(0)?
            } else {
                (0..shares)
                    .into_par_iter()
                    .map(scan)
                    .try_reduce(|| Best::new(count), |a, b| Ok(a.merge(b)))?
            }
        }
    };
    Ok(best
        .heap
        .into_sorted_vec()
        .into_iter()
        .skip(query.offset)
        .map(|candidate| {
            let (similarity, distance) = metric.measure(candidate.score);
            Hit { key: candidate.key, similarity, distance }
        })
        .take_while(|hit| query.threshold.is_none_or(|least| hit.similarity >= f64::from(least)))
        .collect())
}

/// Where the rows of a set are, in ascending order.
fn resolve(view: &View, dir: &Path, rows: &RowSet) -> Result<Arc<[u32]>> {
    let (index, generation) = (view.fixed.seed, view.state.sequence);
    if let Some(slots) = rows.resolved(index, generation) {
        return Ok(slots);
    }
    let mut slots = Vec::with_capacity(rows.len());
    for key in rows.keys() {
        slots.extend(view.find(dir, key)?);
    }
    slots.sort_unstable();
    let slots: Arc<[u32]> = slots.into();
    rows.remember(Resolved { index, generation, slots: Arc::clone(&slots) });
    Ok(slots)
}

/// What similarity is computed from; see [`Metric::measure`].
fn score(metric: Metric, point: &[f32], norm: f64, row: &[f32]) -> f64 {
    match metric {
        Metric::Cosine => {
            let length = dot(row, row).sqrt();
            if length > 0.0 { (dot(point, row) / (norm * length)).clamp(-1.0, 1.0) } else { 0.0 }
        }
        Metric::Dot => dot(point, row),
        Metric::Euclidean => -square(point, row),
    }
}

/// Partial sums of one dot product. Products of two float32 are exact in
/// float64, so that machines with and without fused multiply-add agree; the
/// order of the additions is fixed by this number.
const LANES: usize = 16;

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sums(a, b, |a, b| f64::from(a) * f64::from(b))
}

fn square(a: &[f32], b: &[f32]) -> f64 {
    sums(a, b, |a, b| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    })
}

#[inline(always)]
fn sums(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_rows, a_rest) = a.as_chunks::<LANES>();
    let (b_rows, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_rows.iter().zip(b_rows) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(a, b);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(a, b);
    }
    sums.iter().sum()
}
