//! Short-time Fourier transform, as librosa's `stft` with its defaults.

use std::sync::{Arc, LazyLock};

use rustfft::{Fft, FftPlanner, num_complex::Complex};

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

static PLAN: LazyLock<Arc<dyn Fft<f32>>> =
    LazyLock::new(|| FftPlanner::new().plan_fft_forward(FRAME));

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

/// Two real frames, one in the real and one in the imaginary part, are
/// transformed at once. The rounding noise of the louder one, 140 dB below it,
/// is then in both; it must stay below that of the softer one's own overtones.
const LIKE: f32 = 100.0;

/// Whether frames of such energies may be transformed together.
#[inline(always)]
pub(super) fn are_alike(left: f32, right: f32) -> bool {
    left <= LIKE * right && right <= LIKE * left
}

/// The transform and its working memory.
pub(super) struct Stft {
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    powers: [Box<Spectrum>; 2],
}

impl Stft {
    pub(super) fn new() -> Self {
        Self {
            bins: vec![Complex::ZERO; FRAME],
            scratch: vec![Complex::ZERO; PLAN.get_inplace_scratch_len()],
            powers: [(); 2].map(|()| Box::new([0.0; PADDED_BINS])),
        }
    }

    /// The power spectrum of the windowed `frame` of [`FRAME`] samples.
    pub(super) fn power(&mut self, frame: &[f32]) -> &Spectrum {
        let Self { bins, scratch, powers } = self;
        vectorized(
            #[inline(always)]
            || {
                for ((bin, x), w) in bins.iter_mut().zip(frame).zip(WINDOW.iter()) {
                    *bin = Complex::new(x * w, 0.0);
                }
            },
        );
        PLAN.process_with_scratch(bins, scratch);
        vectorized(
            #[inline(always)]
            || {
                for (power, bin) in powers[0][..BINS].iter_mut().zip(bins.iter()) {
                    *power = bin.re * bin.re + bin.im * bin.im;
                }
            },
        );
        &powers[0]
    }

    /// The power spectra of two frames that [`are_alike`].
    pub(super) fn powers(&mut self, left: &[f32], right: &[f32]) -> [&Spectrum; 2] {
        let Self { bins, scratch, powers } = self;
        vectorized(
            #[inline(always)]
            || {
                for (((bin, l), r), w) in bins.iter_mut().zip(left).zip(right).zip(WINDOW.iter()) {
                    *bin = Complex::new(l * w, r * w);
                }
            },
        );
        PLAN.process_with_scratch(bins, scratch);
        let [left, right] = powers;
        left[0] = bins[0].re * bins[0].re;
        right[0] = bins[0].im * bins[0].im;
        // The spectrum of a real signal is its own mirror image: what is even
        // belongs to the left, what is odd to the right.
        vectorized(
            #[inline(always)]
            || {
                let (low, high) = (&bins[1..BINS], &bins[BINS - 1..]);
                let mirrored = low.iter().zip(high.iter().rev());
                for ((left, right), (x, y)) in
                    left[1..BINS].iter_mut().zip(&mut right[1..BINS]).zip(mirrored)
                {
                    let (even_re, even_im) = (x.re + y.re, x.im - y.im);
                    let (odd_re, odd_im) = (x.im + y.im, x.re - y.re);
                    *left = 0.25 * (even_re * even_re + even_im * even_im);
                    *right = 0.25 * (odd_re * odd_re + odd_im * odd_im);
                }
            },
        );
        [left, right]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_transformed_together_are_those_transformed_alone() {
        let left: Vec<f32> = (0..FRAME).map(|n| (n as f32 * 0.3).sin()).collect();
        let right: Vec<f32> = (0..FRAME).map(|n| ((n * n % 97) as f32) / 97.0 - 0.5).collect();
        let mut stft = Stft::new();
        let alone = [*stft.power(&left), *stft.power(&right)];

        let together = stft.powers(&left, &right);

        for (alone, together) in alone.iter().zip(together) {
            let top = alone.iter().copied().fold(0.0, f32::max);
            for (a, t) in alone.iter().zip(together) {
                // 100 dB below the loudest bin.
                assert!((a.sqrt() - t.sqrt()).abs() < 1e-5 * top.sqrt(), "{a} {t}");
            }
        }
    }
}
