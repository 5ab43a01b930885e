//! How far a clip is tuned from A4 = 440 Hz.

use super::{
    simd::LANES,
    stft::{BIN_HZ, BINS, Spectrum},
};

/// Steps of the histogram: hundredths of an interval.
pub(super) const STEPS: usize = 100;
/// Steps an octave of the constant-Q transform.
pub(super) const FINE_STEPS: f32 = 36.0;
const LOW_HZ: f32 = 150.0;
const HIGH_HZ: f32 = 4000.0;
const THRESHOLD: f32 = 0.1;

/// The spectral peaks of the frames of a clip, as librosa's `piptrack` finds
/// them.
#[derive(Default)]
pub(super) struct Peaks {
    /// How many peaks there are up to and with each frame.
    ends: Vec<usize>,
    hz: Vec<f32>,
    strength: Vec<f32>,
}

impl Peaks {
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.hz.clear();
        self.strength.clear();
    }

    /// Appends the peaks of one frame of powers, or of magnitudes.
    ///
    /// `top` is the frame's largest value.
    pub(super) fn push(&mut self, spectrum: &Spectrum, top: f32) {
        let threshold = THRESHOLD * top;
        let first = (LOW_HZ / BIN_HZ).ceil() as usize;
        let last = (HIGH_HZ / BIN_HZ).ceil() as usize;
        debug_assert!(last < BINS);
        let near = &spectrum[first - 1..=last];
        let inner = &near[1..near.len() - 1];
        for (chunk, values) in inner.chunks(LANES).enumerate() {
            // Most of a spectrum is below the threshold: ask for that first.
            let mut any = false;
            for value in values {
                any |= *value > threshold;
            }
            if !any {
                continue;
            }
            let at = chunk * LANES;
            for (at, around) in (at..).zip(near[at..at + values.len() + 2].windows(3)) {
                let &[before, here, after] = around else { unreachable!("windows of three") };
                if here > threshold && here > before && here >= after {
                    let curve = after + before - 2.0 * here;
                    let slope = (after - before) / 2.0;
                    let shift = if slope.abs() >= curve.abs() { 0.0 } else { -slope / curve };
                    self.hz.push(((first + at) as f32 + shift) * BIN_HZ);
                    self.strength.push(here + 0.5 * slope * shift);
                }
            }
        }
        self.ends.push(self.hz.len());
    }

    /// Appends frames of another list.
    pub(super) fn extend(&mut self, other: &Self, frames: std::ops::Range<usize>) {
        let end = |frame: usize| if frame == 0 { 0 } else { other.ends[frame - 1] };
        let from = end(frames.start);
        let base = self.hz.len();
        self.hz.extend_from_slice(&other.hz[from..end(frames.end)]);
        self.strength.extend_from_slice(&other.strength[from..end(frames.end)]);
        self.ends.extend(other.ends[frames].iter().map(|end| end - from + base));
    }

    /// Counts how far the stronger half of the peaks lies from a scale of
    /// `steps` equal steps per octave.
    pub(super) fn histogram(&self, steps: f32) -> [u32; STEPS] {
        let mut counts = [0; STEPS];
        let Some(threshold) = median(&self.strength) else { return counts };
        for (&hz, _) in self.hz.iter().zip(&self.strength).filter(|(_, s)| **s >= threshold) {
            let residual = (steps * (hz / 27.5).log2()).rem_euclid(1.0);
            let residual = if residual >= 0.5 { residual - 1.0 } else { residual };
            // The conversion saturates, so rounding cannot leave the table.
            let step = ((residual + 0.5) * STEPS as f32) as usize;
            counts[step.min(STEPS - 1)] += 1;
        }
        counts
    }
}

/// The first of the fullest steps of a histogram, as an offset from −½ in
/// hundredths; 50, no offset, when it is empty.
pub(super) fn fullest(histogram: &[u32; STEPS]) -> usize {
    let top = histogram.iter().copied().max().unwrap_or(0);
    if top == 0 {
        return STEPS / 2;
    }
    histogram.iter().position(|&count| count == top).expect("the maximum is there")
}

/// The offset that a step of the histogram stands for, in intervals.
pub(super) fn offset(step: usize) -> f64 {
    step as f64 / STEPS as f64 - 0.5
}

/// The median; the mean of the middle two of an even number.
pub(super) fn median(values: &[f32]) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let mut values = values.to_vec();
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f32::MIN, f32::max);
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[4.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn an_empty_histogram_means_concert_pitch() {
        assert_eq!(offset(fullest(&[0; STEPS])), 0.0);
    }
}
