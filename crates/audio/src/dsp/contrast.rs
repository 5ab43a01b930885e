//! Spectral contrast: how far peaks stand out from valleys, in octave bands.

use std::sync::LazyLock;

use super::{
    mel::TOP_DB,
    simd::{LANES, Simd, WithSimd, decibels, run},
    stft::{BIN_HZ, BINS, Spectrum},
};

/// Octave bands, from below 200 Hz to the Nyquist frequency.
pub(super) const BANDS: usize = 7;
const FIRST_EDGE_HZ: f32 = 200.0;
const QUANTILE: f64 = 0.02;

struct Band {
    bins: std::ops::Range<usize>,
    /// How many of the largest and smallest bins are averaged.
    count: usize,
}

static TABLE: LazyLock<[Band; BANDS]> = LazyLock::new(|| {
    std::array::from_fn(|band| {
        let low = if band == 0 { 0.0 } else { FIRST_EDGE_HZ * 2f32.powi(band as i32 - 1) };
        let high = FIRST_EDGE_HZ * 2f32.powi(band as i32);
        let inside = |bin: usize| (low..=high).contains(&(bin as f32 * BIN_HZ));
        let first = (0..BINS).find(|&bin| inside(bin)).expect("every band has a bin");
        let last = (0..BINS).rev().find(|&bin| inside(bin)).expect("every band has a bin");
        // As in librosa: a band takes in the bin below it, and all but the
        // last give up their highest bin, after it was counted.
        let first = first.saturating_sub(usize::from(band > 0));
        let all = last + 1 - first;
        let count = ((QUANTILE * all as f64).round_ties_even() as usize).max(1);
        Band { bins: first..last + usize::from(band == BANDS - 1), count }
    })
});

/// The valleys, then the peaks of the bands of one frame, in decibels.
pub(super) type Extremes = [[f32; BANDS]; 2];

pub(super) fn extremes(power: &Spectrum) -> Extremes {
    run(Frame(power))
}

struct Frame<'a>(&'a Spectrum);

impl WithSimd for Frame<'_> {
    type Output = Extremes;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Extremes {
        let mut out = [[0.0; BANDS]; 2];
        for (index, band) in TABLE.iter().enumerate() {
            let (low, high) = means_of_extremes(simd, &self.0[band.bins.clone()], band.count);
            out[0][index] = decibels(low);
            out[1][index] = decibels(high);
        }
        out
    }
}

/// The most values that are averaged; 2 % of the widest band.
const MOST: usize = 9;
const _: () = assert!(MOST <= WIDE);

/// The mean magnitudes of the `count` smallest and largest of `powers`.
#[inline(always)]
fn means_of_extremes<S: Simd>(simd: S, powers: &[f32], count: usize) -> (f32, f32) {
    // Sorting every band of every frame would cost more than the transform.
    // The extremes of 16 interleaved lanes are 16 different values, so the
    // `count`-th of them bounds the `count`-th of all; few values pass.
    let (least, most) = lane_extremes(simd, powers);
    if count == 1 {
        let low = least.into_iter().fold(f32::MAX, |low, v| if v < low { v } else { low });
        let high = most.into_iter().fold(0.0, |high, v| if v > high { v } else { high });
        return (low.sqrt(), high.sqrt());
    }
    // A band with more than one value to average has more than 16 bins.
    let low = nth_smallest(&least, count);
    let high = -nth_smallest(&most.map(|value| -value), count);
    let (mut lows, mut highs) = (Smallest::new(count), Smallest::new(count));
    let (registers, rest) = S::as_simd_f32s(powers);
    let (low_all, high_all) = (simd.splat_f32s(low), simd.splat_f32s(high));
    for (at, values) in registers.iter().enumerate() {
        let around = || &powers[at * S::F32_LANES..(at + 1) * S::F32_LANES];
        let is_low = simd.less_than_or_equal_f32s(*values, low_all);
        if simd.first_true_m32s(is_low) < S::F32_LANES {
            lows.offer(around(), low);
        }
        let is_high = simd.greater_than_or_equal_f32s(*values, high_all);
        if simd.first_true_m32s(is_high) < S::F32_LANES {
            highs.offer_negated(around(), high);
        }
    }
    lows.offer(rest, low);
    highs.offer_negated(rest, high);
    (lows.mean_root(), highs.mean_root())
}

/// The `n`-th smallest value: the smallest that `n` values do not exceed.
#[inline(always)]
fn nth_smallest(values: &[f32; WIDE], n: usize) -> f32 {
    // All against all needs no branch and fills the registers.
    let mut ranks = [0i32; WIDE];
    for other in values {
        for lane in 0..WIDE {
            ranks[lane] += i32::from(*other <= values[lane]);
        }
    }
    let mut found = f32::MAX;
    for lane in 0..WIDE {
        let candidate = if ranks[lane] >= n as i32 { values[lane] } else { f32::MAX };
        found = if candidate < found { candidate } else { found };
    }
    found
}

/// Lanes whose extremes are reported.
const WIDE: usize = 2 * LANES;

/// The smallest and the largest value in each of interleaved lanes.
#[inline(always)]
fn lane_extremes<S: Simd>(simd: S, powers: &[f32]) -> ([f32; WIDE], [f32; WIDE]) {
    let mut least = [f32::MAX; WIDE];
    let mut most = [0.0f32; WIDE];
    let chunks = powers.chunks_exact(WIDE);
    let rest = chunks.remainder();
    {
        let registers = WIDE / S::F32_LANES;
        let mut low = [simd.splat_f32s(f32::MAX); WIDE];
        let mut high = [simd.splat_f32s(0.0); WIDE];
        for chunk in chunks {
            let (values, _) = S::as_simd_f32s(chunk);
            for at in 0..registers {
                low[at] = simd.min_f32s(low[at], values[at]);
                high[at] = simd.max_f32s(high[at], values[at]);
            }
        }
        S::as_mut_simd_f32s(&mut least).0.copy_from_slice(&low[..registers]);
        S::as_mut_simd_f32s(&mut most).0.copy_from_slice(&high[..registers]);
    }
    for (lane, &value) in rest.iter().enumerate() {
        least[lane] = least[lane].min(value);
        most[lane] = most[lane].max(value);
    }
    (least, most)
}

/// Candidates for the `count` smallest values, of which there are few more.
///
/// Without branches on values, which a processor cannot foresee: they took longer than
/// the rest of the contrast.
struct Smallest {
    candidates: [f32; ROOM],
    filled: usize,
    count: usize,
}

/// Candidates for which there is room: more than are left by a bound, but for ties.
const ROOM: usize = 2 * WIDE;
const _: () = assert!(MOST + WIDE <= ROOM);

impl Smallest {
    #[inline(always)]
    fn new(count: usize) -> Self {
        Self { candidates: [f32::MAX; ROOM], filled: 0, count }
    }

    /// Takes the values not above `bound`, of at most [`WIDE`].
    #[inline(always)]
    fn offer(&mut self, values: &[f32], bound: f32) {
        self.make_room(values.len());
        for &value in values {
            self.candidates[self.filled % ROOM] = value;
            self.filled += usize::from(value <= bound);
        }
    }

    /// Takes the negatives of the values not below `bound`, of at most [`WIDE`].
    #[inline(always)]
    fn offer_negated(&mut self, values: &[f32], bound: f32) {
        self.make_room(values.len());
        for &value in values {
            self.candidates[self.filled % ROOM] = -value;
            self.filled += usize::from(value >= bound);
        }
    }

    #[inline(always)]
    fn make_room(&mut self, more: usize) {
        if self.filled + more >= ROOM {
            self.candidates[..self.filled].sort_unstable_by(f32::total_cmp);
            self.filled = self.filled.min(self.count);
        }
    }

    /// The mean of the roots of the smallest, summed in their order.
    #[inline(always)]
    fn mean_root(&mut self) -> f32 {
        let mut sorted = [0.0; WIDE];
        if self.filled <= WIDE {
            self.candidates[self.filled..].fill(f32::MAX);
            sort(self.candidates.first_chunk().expect("there is more room"), &mut sorted);
        } else {
            self.candidates[..self.filled].sort_unstable_by(f32::total_cmp);
            sorted.copy_from_slice(&self.candidates[..WIDE]);
        }
        let sum: f32 = sorted[..self.count].iter().map(|v| v.abs().sqrt()).sum();
        sum / self.count as f32
    }
}

/// Sorts by counting how many come before each.
#[inline(always)]
fn sort(values: &[f32; WIDE], sorted: &mut [f32; WIDE]) {
    let mut ranks = [0i32; WIDE];
    for (at, other) in values.iter().enumerate() {
        for lane in 0..WIDE {
            let before = (*other < values[lane]) | ((*other == values[lane]) & (at < lane));
            ranks[lane] += i32::from(before);
        }
    }
    for (rank, value) in ranks.iter().zip(values) {
        sorted[*rank as usize % WIDE] = *value;
    }
}

/// The sums over frames of the contrast of each band.
///
/// Peaks and valleys are each cut off 80 dB below the highest of their own, as
/// librosa does.
pub(super) fn sum(frames: &[Extremes]) -> [f64; BANDS] {
    let top =
        |side: usize| frames.iter().flat_map(|frame| frame[side]).fold(f32::MIN, f32::max) - TOP_DB;
    let floors = [top(0), top(1)];
    let mut sums = [0.0; BANDS];
    for [valleys, peaks] in frames {
        for band in 0..BANDS {
            sums[band] += f64::from(peaks[band].max(floors[1]) - valleys[band].max(floors[0]));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_those_of_the_sorted_values() {
        let mut state = 1u32;
        for band in TABLE.iter() {
            for round in 0..50 {
                let values: Vec<f32> = (0..band.bins.len())
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        // Ties in half of the rounds.
                        if round % 2 == 0 { (state >> 29) as f32 } else { (state >> 8) as f32 }
                    })
                    .collect();

                let (low, high) = means_of_extremes(pulp::Scalar::new(), &values, band.count);

                let mut sorted = values;
                sorted.sort_by(f32::total_cmp);
                let mean =
                    |part: &[f32]| part.iter().map(|v| v.sqrt()).sum::<f32>() / band.count as f32;
                let expected_low = mean(&sorted[..band.count]);
                let expected_high = mean(&sorted[sorted.len() - band.count..]);
                assert!((low - expected_low).abs() <= 1e-4 * expected_low, "{low} {expected_low}");
                assert!((high - expected_high).abs() <= 1e-4 * expected_high);
            }
        }
    }

    #[test]
    fn no_band_averages_more_than_fits() {
        assert!(TABLE.iter().all(|band| band.count <= MOST));
        assert!(TABLE.iter().all(|band| band.count == 1 || band.bins.len() > 2 * LANES));
    }
}
