//! How clearly pitched a sound is.

use std::sync::LazyLock;

use rustfft::num_complex::Complex32;

use super::stft::{BINS, FRAME, SAMPLE_RATE, Spectrum, hann};
use crate::real_transform::Inverse;

/// Pitches from 60 Hz, whose period is a third of a frame, to 1000 Hz.
const SHORTEST: usize = SAMPLE_RATE as usize / 1000;
const LONGEST: usize = SAMPLE_RATE as usize / 60;

static PLAN: LazyLock<Inverse> = LazyLock::new(|| Inverse::new(FRAME));

/// The autocorrelation of the analysis window, by which that of a windowed
/// frame falls off.
static WINDOW: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let window = hann(FRAME);
    let at = |lag: usize| -> f32 {
        // Cyclic, as the transform is.
        (0..FRAME).map(|n| window[n] * window[(n + lag) % FRAME]).sum()
    };
    (0..=LONGEST).map(|lag| at(lag) / at(0)).collect()
});

/// Working memory for the salience of frames.
pub(super) struct Salience {
    bins: Vec<Complex32>,
    /// The autocorrelation of a frame, by twos.
    lags: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Salience {
    pub(super) fn new() -> Self {
        let values = |count: usize| vec![Complex32::ZERO; count];
        Self { bins: values(BINS), lags: values(FRAME / 2), scratch: values(PLAN.scratch()) }
    }

    /// The highest peak of the normalised autocorrelation of a frame at the period
    /// of a pitch: near 1 for a steady tone, near 0 for noise and for silence.
    pub(super) fn of(&mut self, power: &Spectrum) -> f32 {
        for (bin, power) in self.bins.iter_mut().zip(&power[..BINS]) {
            *bin = Complex32::new(*power, 0.0);
        }
        // Nothing below 40 Hz makes a pitch, least of all an offset.
        self.bins[..4].fill(Complex32::ZERO);
        PLAN.process(&mut self.bins, &mut self.lags, &mut self.scratch);
        let mut lags = [0.0; LONGEST + 2];
        for (lags, pair) in lags.chunks_mut(2).zip(&self.lags) {
            let pair = [pair.re, pair.im];
            lags.copy_from_slice(&pair[..lags.len()]);
        }
        if lags[0] <= f32::MIN_POSITIVE {
            return 0.0;
        }
        let level = |lag: usize| lags[lag] / lags[0] / WINDOW[lag];
        (SHORTEST..LONGEST)
            .filter(|&lag| lags[lag] > lags[lag - 1] && lags[lag] >= lags[lag + 1])
            .map(level)
            .fold(0.0, f32::max)
            .clamp(0.0, 1.0)
    }
}
