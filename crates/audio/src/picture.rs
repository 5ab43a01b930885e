//! A log-mel picture of 2.88 s of sound: 64 mel bands over 128 columns of time.
//!
//! What the network of `songrec-models` sees of a window. It is here, because this
//! crate's loops are optimised in every profile. A change changes every vector of that
//! model, and so needs another revision of it.
//!
//! Equal to `tools/train/timbre/image.py` within 1e-4, which says why it is as it is:
//!
//! * 92,160 samples (2.88 s) at 32 kHz, brought to a peak of 1; silence before and after them.
//! * Power of 288 frames of 1,024 samples, 320 (10 ms) apart, periodic Hann window; frame k covers
//!   samples 320 k − 512 to 320 k + 511.
//! * 96 columns of one frame each, then 32 that are each the mean power of 6 frames.
//! * 64 triangles, evenly spaced on HTK's mel scale from 30 to 15,800 Hz.
//! * Decibels under the loudest cell: −80 and less is 0, the loudest is 1.

use std::sync::LazyLock;

use rustfft::num_complex::Complex32;

use crate::{real_transform::Forward, simd::vectorized};

/// Samples per second of what is heard.
pub const RATE: u32 = 32_000;
/// Samples of a window.
pub const SAMPLES: usize = FRAMES * HOP;
/// Samples that a picture looks at: the last frame reaches beyond the window.
pub const SEEN: usize = SAMPLES + FRAME / 2;
/// Largest absolute sample of what counts as silence, −100 dBFS.
pub const SILENCE: f32 = 1e-5;
/// Bands of a picture.
pub const BANDS: usize = 64;
/// Columns of a picture.
pub const COLUMNS: usize = FINE + COARSE;

/// The first columns of a picture, which are of one frame each, 10 ms apart.
pub const FINE: usize = 96;

const FRAME: usize = 1_024;
const HOP: usize = 320;
const COARSE: usize = 32;
const COARSE_FRAMES: usize = 6;
const FRAMES: usize = FINE + COARSE * COARSE_FRAMES;
const BINS: usize = FRAME / 2 + 1;
const RANGE_DB: f32 = 80.0;
const FLOOR: f32 = 1e-10;
const LOWEST_HZ: f64 = 30.0;
const HIGHEST_HZ: f64 = 15_800.0;

static FRONT_END: LazyLock<FrontEnd> = LazyLock::new(FrontEnd::new);

struct FrontEnd {
    fft: Forward,
    window: Vec<f32>,
    bands: Vec<Band>,
}

/// One triangle: the weights of the bins from `start` on.
struct Band {
    start: usize,
    weights: Vec<f32>,
}

/// The picture of a window of at most [`SEEN`] samples, of which fewer are
/// followed by silence: [`BANDS`] rows, the lowest first, of [`COLUMNS`] values
/// from 0 to 1. All 0 for silence.
pub fn picture(samples: &[f32]) -> Vec<f32> {
    let samples = &samples[..samples.len().min(SEEN)];
    let mut picture = vec![0.0; BANDS * COLUMNS];
    let peak = peak(samples);
    if peak < SILENCE {
        return picture;
    }
    // Column by column, as they are computed.
    let mut columns = vec![0.0f32; COLUMNS * BANDS];
    let mut frames = Frames::new(samples, peak);
    for (column, bands) in columns.chunks_exact_mut(BANDS).enumerate() {
        let (first, count) = match column.checked_sub(FINE) {
            None => (column, 1),
            Some(coarse) => (FINE + coarse * COARSE_FRAMES, COARSE_FRAMES),
        };
        frames.measure(first..first + count, bands);
    }
    let mut loudest = f32::NEG_INFINITY;
    for value in &mut columns {
        *value = 10.0 * (*value + FLOOR).log10();
        loudest = loudest.max(*value);
    }
    for (column, bands) in columns.chunks_exact(BANDS).enumerate() {
        for (band, decibels) in bands.iter().enumerate() {
            picture[band * COLUMNS + column] =
                ((decibels - loudest) / RANGE_DB + 1.0).clamp(0.0, 1.0);
        }
    }
    picture
}

/// The largest absolute sample; what is not a number has none.
pub fn peak(samples: &[f32]) -> f32 {
    const LANES: usize = 32;
    let (chunks, rest) = samples.as_chunks::<LANES>();
    let tops = vectorized(
        #[inline(always)]
        || {
            let mut tops = [0.0f32; LANES];
            for chunk in chunks {
                for lane in 0..LANES {
                    let size = chunk[lane].abs();
                    // Also false for what is not a number.
                    tops[lane] = if size > tops[lane] { size } else { tops[lane] };
                }
            }
            tops
        },
    );
    let sizes = rest.iter().map(|sample| sample.abs());
    tops.into_iter().chain(sizes).fold(0.0, f32::max)
}

/// The spectra of a window's frames.
struct Frames {
    front_end: &'static FrontEnd,
    /// At a peak of 1.
    samples: Vec<f32>,
    /// A windowed frame, by twos.
    frame: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
    power: Vec<f32>,
}

impl Frames {
    fn new(samples: &[f32], peak: f32) -> Self {
        let front_end = &*FRONT_END;
        let mut samples = samples.to_vec();
        vectorized(
            #[inline(always)]
            || samples.iter_mut().for_each(|sample| *sample /= peak),
        );
        Self {
            front_end,
            samples,
            frame: vec![Complex32::ZERO; FRAME / 2],
            spectrum: vec![Complex32::ZERO; BINS],
            scratch: vec![Complex32::ZERO; front_end.fft.scratch()],
            power: vec![0.0; BINS],
        }
    }

    /// The mean power of the frames in each band.
    fn measure(&mut self, frames: std::ops::Range<usize>, bands: &mut [f32]) {
        let count = frames.len() as f32;
        self.power.fill(0.0);
        let mut is_silent = true;
        for frame in frames {
            is_silent &= !self.add(frame);
        }
        if is_silent {
            return;
        }
        for (band, value) in self.front_end.bands.iter().zip(bands) {
            let bins = &self.power[band.start..band.start + band.weights.len()];
            let sum: f32 =
                bins.iter().zip(&band.weights).map(|(power, weight)| power * weight).sum();
            *value = sum / count;
        }
    }

    /// Adds the power of one frame; false if there are no samples in it.
    fn add(&mut self, number: usize) -> bool {
        let Self { front_end, samples, frame, spectrum, scratch, power } = self;
        let start = (number * HOP) as isize - (FRAME / 2) as isize;
        let first = start.max(0) as usize;
        let end = samples.len().min((start + FRAME as isize) as usize);
        if first >= end {
            return false;
        }
        let mut edge = [0.0; FRAME];
        let seen = match &samples[first..end] {
            whole if whole.len() == FRAME => whole,
            part => {
                // Silence before and behind the window.
                edge[(first as isize - start) as usize..][..part.len()].copy_from_slice(part);
                &edge
            }
        };
        vectorized(
            #[inline(always)]
            || {
                let weighed = seen.chunks_exact(2).zip(front_end.window.chunks_exact(2));
                for (pair, (seen, weight)) in frame.iter_mut().zip(weighed) {
                    *pair = Complex32::new(seen[0] * weight[0], seen[1] * weight[1]);
                }
            },
        );
        front_end.fft.process(frame, spectrum, scratch);
        vectorized(
            #[inline(always)]
            || {
                for (power, bin) in power.iter_mut().zip(spectrum.iter()) {
                    *power += bin.re * bin.re + bin.im * bin.im;
                }
            },
        );
        true
    }
}

impl FrontEnd {
    fn new() -> Self {
        let turn = std::f64::consts::TAU / FRAME as f64;
        Self {
            fft: Forward::new(FRAME),
            window: (0..FRAME).map(|n| (0.5 - 0.5 * (turn * n as f64).cos()) as f32).collect(),
            bands: bands(),
        }
    }
}

fn bands() -> Vec<Band> {
    let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let (low, high) = (mel(LOWEST_HZ), mel(HIGHEST_HZ));
    let edge = |number: usize| {
        let mel = low + (high - low) * number as f64 / (BANDS + 1) as f64;
        700.0 * (10f64.powf(mel / 2595.0) - 1.0)
    };
    let bin_hz = f64::from(RATE) / FRAME as f64;
    (0..BANDS)
        .map(|band| {
            let (low, mid, high) = (edge(band), edge(band + 1), edge(band + 2));
            let mut weights: Vec<f64> = (0..BINS)
                .map(|bin| {
                    let hz = bin as f64 * bin_hz;
                    ((hz - low) / (mid - low)).min((high - hz) / (high - mid)).max(0.0)
                })
                .collect();
            // The lowest triangles are narrower than the bins are apart: such a
            // band takes the nearest bin whole rather than next to nothing.
            if weights.iter().sum::<f64>() < 0.5 {
                weights[(mid / bin_hz).round() as usize] += 1.0;
            }
            let length = weights.iter().sum::<f64>().sqrt();
            let start = weights.iter().position(|weight| *weight > 0.0).unwrap_or(0);
            let end = weights.iter().rposition(|weight| *weight > 0.0).map_or(0, |last| last + 1);
            Band {
                start,
                weights: weights[start..end]
                    .iter()
                    .map(|weight| (weight / length) as f32)
                    .collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_found_wherever_it_is() {
        for at in [0, 31, 32, 70, 99] {
            let mut samples = vec![0.25; 100];
            samples[50] = f32::NAN;
            samples[at] = -0.5;
            assert_eq!(peak(&samples), 0.5, "{at}");
        }
        assert_eq!(peak(&[]), 0.0);
        assert_eq!(peak(&[f32::NAN; 40]), 0.0);
    }
}
