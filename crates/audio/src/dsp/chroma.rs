//! Pitch classes from the short-time spectrum, as librosa's `chroma_stft`.

use std::sync::OnceLock;

use super::{
    simd::{Simd, WithSimd, run},
    stft::{BIN_HZ, BINS, FRAME, PADDED_BINS, Spectrum},
    tuning::{self, STEPS},
};

/// Pitch classes, from C.
pub(super) const CLASSES: usize = 12;
/// What every frequency bin adds to every pitch class.
pub(super) struct ChromaFilter {
    /// For each class, the weight of every bin.
    weights: Box<[Spectrum; CLASSES]>,
}

/// The filter of each tuning, 50 kB: to make one takes longer than all else that a hit
/// needs.
static FILTERS: [OnceLock<ChromaFilter>; STEPS] = [const { OnceLock::new() }; STEPS];

impl ChromaFilter {
    /// The filter for audio of a tuning, which is a step of [`tuning::offset`].
    pub(super) fn of(tuning: usize) -> &'static Self {
        FILTERS[tuning].get_or_init(|| Self::new(tuning::offset(tuning)))
    }

    /// The filter for audio tuned `tuning` semitones above A4 = 440 Hz.
    fn new(tuning: f64) -> Self {
        let a0 = 27.5 * (tuning / 12.0).exp2();
        let mut pitch: Vec<f64> =
            (0..FRAME).map(|bin| 12.0 * (bin as f64 * f64::from(BIN_HZ) / a0).log2()).collect();
        // 0 Hz has no pitch: librosa puts it one and a half octaves below the
        // first bin.
        pitch[0] = pitch[1] - 18.0;
        let mut weights = Box::new([[0.0; PADDED_BINS]; CLASSES]);
        for bin in 0..BINS {
            let width = (pitch[bin + 1] - pitch[bin]).max(1.0);
            let mut column: [f64; CLASSES] = std::array::from_fn(|class| {
                let distance = (pitch[bin] - class as f64 + 6.0 + 120.0).rem_euclid(12.0) - 6.0;
                (-0.5 * (2.0 * distance / width).powi(2)).exp()
            });
            let norm = column.iter().map(|w| w * w).sum::<f64>().sqrt();
            // The middle of the keyboard counts most.
            let octave = (-0.5 * ((pitch[bin] / 12.0 - 5.0) / 2.0).powi(2)).exp();
            // From A to C.
            column.rotate_left(3);
            for (weights, weight) in weights.iter_mut().zip(column) {
                weights[bin] = (weight / norm * octave) as f32;
            }
        }
        Self { weights }
    }

    /// The pitch classes of one frame, divided by the largest of them.
    pub(super) fn of_frame(&self, power: &Spectrum) -> [f32; CLASSES] {
        let mut frame = run(Classes { weights: &self.weights, power });
        normalize(&mut frame);
        frame
    }
}

struct Classes<'a> {
    weights: &'a [Spectrum; CLASSES],
    power: &'a Spectrum,
}

impl WithSimd for Classes<'_> {
    type Output = [f32; CLASSES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; CLASSES] {
        let (power, _) = S::as_simd_f32s(self.power);
        // Not by `map`, whose closures would not be compiled for the register.
        let mut weights = [power; CLASSES];
        for (weights, row) in weights.iter_mut().zip(self.weights) {
            *weights = S::as_simd_f32s(row).0;
        }
        let mut sums = [simd.splat_f32s(0.0); CLASSES];
        for (at, power) in power.iter().enumerate() {
            for class in 0..CLASSES {
                sums[class] = simd.mul_add_e_f32s(*power, weights[class][at], sums[class]);
            }
        }
        let mut classes = [0.0; CLASSES];
        for (class, sum) in classes.iter_mut().zip(sums) {
            *class = simd.reduce_sum_f32s(sum);
        }
        classes
    }
}

/// Divides by the largest value, unless all are as good as zero.
pub(super) fn normalize(frame: &mut [f32; CLASSES]) {
    let top = frame.iter().copied().fold(0.0, f32::max);
    if top >= f32::MIN_POSITIVE {
        for class in frame {
            *class /= top;
        }
    }
}
