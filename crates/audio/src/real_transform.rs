//! Fourier transforms of real samples, two of which are a complex number.
//!
//! Bit for bit what realfft computes, which the tests compare with: its loops before and
//! behind the complex transform are compiled for any processor, and took as long as the
//! transform itself.

use std::sync::Arc;

use rustfft::{Fft, FftPlanner, num_complex::Complex32};

use crate::simd::vectorized;

/// From samples to bins.
pub(crate) struct Forward {
    half: Arc<dyn Fft<f32>>,
    twiddles: Vec<Complex32>,
}

/// From bins to samples.
pub(crate) struct Inverse {
    half: Arc<dyn Fft<f32>>,
    twiddles: Vec<Complex32>,
}

/// The rotations by which the bins of pairs become those of samples.
fn twiddles(length: usize) -> impl Iterator<Item = Complex32> {
    let turn = -2f64 * std::f64::consts::PI / length as f64;
    (1..(length / 2).div_ceil(2)).map(move |bin| {
        let angle = turn * bin as f64;
        Complex32::new(angle.cos() as f32, angle.sin() as f32)
    })
}

impl Forward {
    /// A transform of `length` samples, an even number.
    pub(crate) fn new(length: usize) -> Self {
        debug_assert!(length.is_multiple_of(2));
        let half = FftPlanner::new().plan_fft_forward(length / 2);
        Self { half, twiddles: twiddles(length).map(|twiddle| twiddle * 0.5).collect() }
    }

    /// The values of `scratch`.
    pub(crate) fn scratch(&self) -> usize {
        self.half.get_outofplace_scratch_len()
    }

    /// Transforms samples by twos, which are lost, into one more `bins` than there are
    /// pairs.
    pub(crate) fn process(
        &self,
        pairs: &mut [Complex32],
        bins: &mut [Complex32],
        scratch: &mut [Complex32],
    ) {
        let half = self.half.len();
        self.half.process_outofplace_with_scratch(pairs, &mut bins[..half], scratch);
        let first = bins[0];
        bins[0] = Complex32::new(first.re + first.im, 0.0);
        bins[half] = Complex32::new(first.re - first.im, 0.0);
        let (left, right) = bins[1..half].split_at_mut(self.twiddles.len());
        vectorized(
            #[inline(always)]
            || {
                let both = left.iter_mut().zip(right.iter_mut().rev());
                for ((left, right), twiddle) in both.zip(&self.twiddles) {
                    let (sum, difference) = (*left + *right, *left - *right);
                    let (re, im) = turned(sum, difference, *twiddle);
                    let (half_re, half_im) = (0.5 * sum.re, 0.5 * difference.im);
                    *left = Complex32::new(half_re + re, half_im + im);
                    *right = Complex32::new(half_re - re, im - half_im);
                }
            },
        );
        if half.is_multiple_of(2) {
            bins[half / 2].im = -bins[half / 2].im;
        }
    }
}

impl Inverse {
    /// A transform into `length` samples, an even number.
    pub(crate) fn new(length: usize) -> Self {
        debug_assert!(length.is_multiple_of(2));
        let half = FftPlanner::new().plan_fft_inverse(length / 2);
        Self { half, twiddles: twiddles(length).map(|twiddle| twiddle.conj()).collect() }
    }

    /// The values of `scratch`.
    pub(crate) fn scratch(&self) -> usize {
        self.half.get_outofplace_scratch_len()
    }

    /// Transforms bins, which are lost, into samples by twos, one pair less than there are
    /// bins; `length` times as large as those that [`Forward`] would make these bins of.
    pub(crate) fn process(
        &self,
        bins: &mut [Complex32],
        pairs: &mut [Complex32],
        scratch: &mut [Complex32],
    ) {
        let half = self.half.len();
        // The first and the last bin of real samples are real.
        let (first, last) = (bins[0].re, bins[half].re);
        bins[0] = Complex32::new(first + last, first - last);
        let (left, right) = bins[1..half].split_at_mut(self.twiddles.len());
        vectorized(
            #[inline(always)]
            || {
                let both = left.iter_mut().zip(right.iter_mut().rev());
                for ((left, right), twiddle) in both.zip(&self.twiddles) {
                    let (sum, difference) = (*left + *right, *left - *right);
                    let (re, im) = turned(sum, difference, *twiddle);
                    *left = Complex32::new(sum.re - re, difference.im - im);
                    *right = Complex32::new(sum.re + re, -im - difference.im);
                }
            },
        );
        if half.is_multiple_of(2) {
            let middle = bins[half / 2];
            bins[half / 2] = (middle + middle).conj();
        }
        self.half.process_outofplace_with_scratch(&mut bins[..half], pairs, scratch);
    }
}

/// What two bins that mirror each other have in common, turned.
#[inline(always)]
fn turned(sum: Complex32, difference: Complex32, twiddle: Complex32) -> (f32, f32) {
    (
        sum.im * twiddle.re + difference.re * twiddle.im,
        sum.im * twiddle.im - difference.re * twiddle.re,
    )
}

#[cfg(test)]
mod tests {
    use realfft::RealFftPlanner;

    use super::*;

    /// Sizes whose half is even, odd, and those that are in use.
    const LENGTHS: [usize; 6] = [8, 18, 1_024, 2_048, 2_560, 3_528];

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn bits(values: &[Complex32]) -> Vec<[u32; 2]> {
        values.iter().map(|value| [value.re.to_bits(), value.im.to_bits()]).collect()
    }

    fn by_twos(samples: &[f32]) -> Vec<Complex32> {
        samples.chunks_exact(2).map(|pair| Complex32::new(pair[0], pair[1])).collect()
    }

    #[test]
    fn bins_are_those_of_realfft() {
        for length in LENGTHS {
            let forward = Forward::new(length);
            let mut bins = vec![Complex32::ZERO; length / 2 + 1];
            let mut scratch = vec![Complex32::ZERO; forward.scratch()];

            forward.process(&mut by_twos(&noise(length)), &mut bins, &mut scratch);

            let peer = RealFftPlanner::new().plan_fft_forward(length);
            let mut expected = peer.make_output_vec();
            peer.process(&mut noise(length), &mut expected).unwrap();
            assert_eq!(bits(&bins), bits(&expected), "{length}");
        }
    }

    #[test]
    fn samples_are_those_of_realfft() {
        for length in LENGTHS {
            let inverse = Inverse::new(length);
            let mut bins = by_twos(&noise(length + 2));
            (bins[0].im, bins[length / 2].im) = (0.0, 0.0);
            let mut expected = vec![0.0; length];
            let peer = RealFftPlanner::new().plan_fft_inverse(length);
            peer.process(&mut bins.clone(), &mut expected).unwrap();
            let mut pairs = vec![Complex32::ZERO; length / 2];
            let mut scratch = vec![Complex32::ZERO; inverse.scratch()];

            inverse.process(&mut bins, &mut pairs, &mut scratch);

            assert_eq!(bits(&pairs), bits(&by_twos(&expected)), "{length}");
        }
    }
}
