//! How clearly pitched a sound is.

use std::sync::{Arc, LazyLock};

use realfft::{ComplexToReal, RealFftPlanner};

use super::stft::{BINS, FRAME, SAMPLE_RATE, Spectrum, hann};

/// Pitches from 60 Hz, whose period is a third of a frame, to 1000 Hz.
const SHORTEST: usize = SAMPLE_RATE as usize / 1000;
const LONGEST: usize = SAMPLE_RATE as usize / 60;

static PLAN: LazyLock<Arc<dyn ComplexToReal<f32>>> =
    LazyLock::new(|| RealFftPlanner::new().plan_fft_inverse(FRAME));

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

/// The highest peak of the normalised autocorrelation of a frame at the period
/// of a pitch: near 1 for a steady tone, near 0 for noise and for silence.
pub(super) fn salience(power: &Spectrum) -> f32 {
    let mut bins = PLAN.make_input_vec();
    let mut lags = PLAN.make_output_vec();
    for (bin, power) in bins.iter_mut().zip(&power[..BINS]) {
        bin.re = *power;
    }
    // Nothing below 40 Hz makes a pitch, least of all an offset.
    bins[..4].fill(0.0.into());
    PLAN.process(&mut bins, &mut lags).expect("the buffers were made by this plan");
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
