//! Moving points until what belongs together lies together.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use songrec_core::{Event, Job};

use crate::{Error, Result, graph::Edges};

use super::curve::Forces;

/// Rows that one thread moves at a time.
const CHUNK: usize = 1024;

/// No step is longer in any direction (McInnes, Healy & Melville 2018, reference
/// implementation).
const LONGEST: f32 = 4.0;

/// How points are moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descent<'a> {
    pub(super) forces: &'a Forces,
    /// How often all points are moved.
    pub(super) epochs: usize,
    /// How long the first step is; the length falls to 0 in a line.
    pub(super) rate: f32,
    /// Random points that a point moves away from for each that it moves towards.
    pub(super) negatives: usize,
    pub(super) seed: u64,
}

impl Descent<'_> {
    /// Moves all points along their edges.
    ///
    /// In each epoch every point reads where all others were at its beginning, so it does
    /// not matter who moves first, or on which thread. Both ends of an edge move when it
    /// is due, which is as often as its weight says (the same, section 3.2).
    ///
    /// Takes two copies of the points.
    pub(super) fn run<const D: usize>(
        &self,
        edges: &Edges,
        mut places: Vec<[f32; D]>,
        job: &Job,
    ) -> Result<Vec<[f32; D]>> {
        let mut next = places.clone();
        for epoch in 0..self.epochs {
            next.par_chunks_mut(CHUNK).enumerate().try_for_each(|(chunk, next)| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                pulp::Arch::new().dispatch(Chunk {
                    descent: self,
                    edges,
                    places: &places,
                    epoch,
                    first: chunk * CHUNK,
                    next,
                });
                Ok(())
            })?;
            std::mem::swap(&mut places, &mut next);
            job.on(Event::Advanced { item: "", bytes: 0 });
        }
        Ok(places)
    }

    /// Moves one point that is not among `places`, which stay.
    pub(super) fn settle<const D: usize>(
        &self,
        mut place: [f32; D],
        edges: (&[u32], &[f32]),
        places: &[[f32; D]],
        name: u64,
    ) -> [f32; D] {
        for epoch in 0..self.epochs {
            place = self.moved(place, edges, places, epoch, name, 1.0);
        }
        place
    }

    /// Where a point lies after an epoch. `ends` is 2 where the other end of an edge
    /// pulls as well.
    #[inline(always)]
    fn moved<const D: usize>(
        &self,
        mut place: [f32; D],
        (to, weights): (&[u32], &[f32]),
        places: &[[f32; D]],
        epoch: usize,
        name: u64,
        ends: f32,
    ) -> [f32; D] {
        let rate = self.rate * (1.0 - epoch as f32 / self.epochs as f32);
        let mut random = Random::new(self.seed, epoch as u64, name);
        for (&other, &weight) in to.iter().zip(weights) {
            let (before, after) = (epoch as f32 * weight, (epoch + 1) as f32 * weight);
            if before as i32 == after as i32 {
                continue;
            }
            // Pull and pushes are all of the same place: one after the other, each would
            // have to wait for the last.
            let mut step = [0.0; D];
            let (difference, square) = difference(place, places[other as usize]);
            let pull = if square > 0.0 { self.forces.pull(square) } else { 0.0 };
            for axis in 0..D {
                step[axis] += ends * (pull * difference[axis]).clamp(-LONGEST, LONGEST);
            }
            for _ in 0..self.negatives {
                let other = places[random.below(places.len())];
                let (difference, square) = self::difference(place, other);
                let push = self.forces.push(square);
                for axis in 0..D {
                    step[axis] += (push * difference[axis]).clamp(-LONGEST, LONGEST);
                }
            }
            for axis in 0..D {
                place[axis] += rate * step[axis];
            }
        }
        place
    }
}

/// Some points in one epoch.
struct Chunk<'a, const D: usize> {
    descent: &'a Descent<'a>,
    edges: &'a Edges,
    places: &'a [[f32; D]],
    epoch: usize,
    first: usize,
    next: &'a mut [[f32; D]],
}

impl<const D: usize> WithSimd for Chunk<'_, D> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, to) in (self.first..).zip(self.next) {
            let (place, own) = (self.places[row], self.edges.of(row));
            *to = self.descent.moved(place, own, self.places, self.epoch, row as u64, 2.0);
        }
    }
}

#[inline(always)]
fn difference<const D: usize>(a: [f32; D], b: [f32; D]) -> ([f32; D], f32) {
    let mut difference = [0.0; D];
    let mut square = 0.0;
    for axis in 0..D {
        difference[axis] = a[axis] - b[axis];
        square += difference[axis] * difference[axis];
    }
    (difference, square)
}

/// Numbers that follow from what they are for, so that no thread needs those of
/// another: `SplitMix64` (Steele, Lea & Flood 2014).
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64, epoch: u64, name: u64) -> Self {
        Self(mix(mix(seed ^ epoch.wrapping_mul(STEP)) ^ name))
    }

    #[inline(always)]
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(STEP);
        // The high half of a product is evenly spread below `end` (Lemire 2019).
        (((mix(self.0) >> 32) * end as u64) >> 32) as usize
    }

    /// From −1 to 1.
    pub(super) fn signed(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(STEP);
        (mix(self.0) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
