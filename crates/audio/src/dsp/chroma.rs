//! Pitch classes from the short-time spectrum, as librosa's `chroma_stft`.

use super::{
    simd::vectorized,
    stft::{BIN_HZ, BINS, FRAME, Spectrum},
};

/// Pitch classes, from C.
pub(super) const CLASSES: usize = 12;
/// [`CLASSES`] rounded up to whole lanes.
const LANES: usize = 16;

/// What every frequency bin adds to every pitch class.
pub(super) struct ChromaFilter {
    weights: Vec<[f32; LANES]>,
}

impl ChromaFilter {
    /// The filter for audio tuned `tuning` semitones above A4 = 440 Hz.
    pub(super) fn new(tuning: f64) -> Self {
        let a0 = 27.5 * (tuning / 12.0).exp2();
        let mut pitch: Vec<f64> =
            (0..FRAME).map(|bin| 12.0 * (bin as f64 * f64::from(BIN_HZ) / a0).log2()).collect();
        // 0 Hz has no pitch: librosa puts it one and a half octaves below the
        // first bin.
        pitch[0] = pitch[1] - 18.0;
        let weights = (0..BINS)
            .map(|bin| {
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
                let mut row = [0.0; LANES];
                for (row, weight) in row.iter_mut().zip(column) {
                    *row = (weight / norm * octave) as f32;
                }
                row
            })
            .collect();
        Self { weights }
    }

    /// Adds the pitch classes of one frame, divided by the largest of them.
    pub(super) fn add(&self, power: &Spectrum, sums: &mut [f64; CLASSES]) {
        let mut classes = [[0.0f32; LANES]; 2];
        vectorized(|| {
            for (power, weights) in
                power[..BINS - 1].chunks_exact(2).zip(self.weights.chunks_exact(2))
            {
                for half in 0..2 {
                    for lane in 0..LANES {
                        classes[half][lane] += power[half] * weights[half][lane];
                    }
                }
            }
        });
        let mut frame: [f32; CLASSES] = std::array::from_fn(|class| {
            classes[0][class] + classes[1][class] + power[BINS - 1] * self.weights[BINS - 1][class]
        });
        normalize(&mut frame);
        for (sum, class) in sums.iter_mut().zip(frame) {
            *sum += f64::from(class);
        }
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
