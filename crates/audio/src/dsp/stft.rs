//! Short-time Fourier transform, as librosa's `stft` with its defaults.

use std::sync::{Arc, LazyLock};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

use super::simd::vectorized;

/// Samples per second of everything in this module but loudness.
pub const SAMPLE_RATE: u32 = 22_050;
/// Samples in a frame.
pub(super) const FRAME: usize = 2048;
/// Samples from one frame to the next.
pub(super) const HOP: usize = 512;
/// Zeros before the first and after the last sample, so that frame `t` is
/// centred on sample `t · HOP`.
pub(super) const PAD: usize = FRAME / 2;
/// Frequency bins of a frame, from 0 Hz to the Nyquist frequency.
pub(super) const BINS: usize = FRAME / 2 + 1;
/// [`BINS`] rounded up, so that spectra can be read in whole lanes.
pub(super) const PADDED_BINS: usize = 1040;
/// Hz from one bin to the next.
pub(super) const BIN_HZ: f32 = SAMPLE_RATE as f32 / FRAME as f32;

/// The number of frames of a clip of so many samples.
pub(super) const fn frames(samples: usize) -> usize {
    1 + samples / HOP
}

/// A power spectrum; what lies beyond [`BINS`] is zero.
pub(super) type Spectrum = [f32; PADDED_BINS];

static PLAN: LazyLock<Arc<dyn RealToComplex<f32>>> =
    LazyLock::new(|| RealFftPlanner::new().plan_fft_forward(FRAME));

static WINDOW: LazyLock<Vec<f32>> = LazyLock::new(|| hann(FRAME));

/// A periodic Hann window.
pub(super) fn hann(length: usize) -> Vec<f32> {
    (0..length)
        .map(|n| {
            let phase = 2.0 * std::f64::consts::PI * n as f64 / length as f64;
            (0.5 - 0.5 * phase.cos()) as f32
        })
        .collect()
}

/// The transform and its working memory.
pub(super) struct Stft {
    windowed: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Box<Spectrum>,
}

impl Stft {
    pub(super) fn new() -> Self {
        Self {
            windowed: PLAN.make_input_vec(),
            bins: PLAN.make_output_vec(),
            scratch: PLAN.make_scratch_vec(),
            power: Box::new([0.0; PADDED_BINS]),
        }
    }

    /// The power spectrum of the windowed `frame` of [`FRAME`] samples.
    pub(super) fn power(&mut self, frame: &[f32]) -> &Spectrum {
        let Self { windowed, bins, scratch, power } = self;
        vectorized(
            #[inline(always)]
            || {
                for ((out, x), w) in windowed.iter_mut().zip(frame).zip(WINDOW.iter()) {
                    *out = x * w;
                }
            },
        );
        PLAN.process_with_scratch(windowed, bins, scratch)
            .expect("the buffers were made by this plan");
        vectorized(
            #[inline(always)]
            || {
                for (out, bin) in power.iter_mut().zip(bins.iter()) {
                    *out = bin.re * bin.re + bin.im * bin.im;
                }
            },
        );
        power
    }
}
