//! Onset strength and the tempogram, by librosa's definitions.

use std::sync::{Arc, LazyLock};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::{
    mel::MELS,
    simd::{LANES, fold, vectorized},
    stft::{HOP, SAMPLE_RATE, hann},
};

/// Frames of onset strength per second.
pub(super) const FRAME_RATE: f64 = SAMPLE_RATE as f64 / HOP as f64;

/// How many frames after the rise in energy the onset strength shows it: one,
/// since a rise needs two frames, and two that centre it.
const DELAY: usize = 3;

/// How strongly sound begins at each frame: the mean, and the median, over mel
/// bands of what each gained in decibels.
pub(super) struct OnsetStrength {
    pub(super) mean: Vec<f32>,
    pub(super) median: Vec<f32>,
}

/// Onset strength of a clip whose decibels are cut off at `floor`.
pub(super) fn onset_strength(log_mel: &[f32], floor: f32) -> OnsetStrength {
    let frames = log_mel.len() / MELS;
    let mut strength = OnsetStrength { mean: vec![0.0; frames], median: vec![0.0; frames] };
    let mut rises = [0.0f32; MELS];
    for at in DELAY..frames {
        // The rise from frame `at - 3` to `at - 2` is told at `at`.
        let (before, after) = log_mel[(at - DELAY) * MELS..(at - DELAY + 2) * MELS].split_at(MELS);
        let (sum, rising) = vectorized(
            #[inline(always)]
            || {
                let mut sums = [0.0f32; LANES];
                let mut counts = [0u32; LANES];
                for ((rises, before), after) in rises
                    .chunks_exact_mut(LANES)
                    .zip(before.chunks_exact(LANES))
                    .zip(after.chunks_exact(LANES))
                {
                    for lane in 0..LANES {
                        let rise = (after[lane].max(floor) - before[lane].max(floor)).max(0.0);
                        rises[lane] = rise;
                        sums[lane] += rise;
                        counts[lane] += u32::from(rise > 0.0);
                    }
                }
                (fold(sums), counts.iter().sum::<u32>() as usize)
            },
        );
        strength.mean[at] = sum / MELS as f32;
        // If fewer than half of the bands rise, the middle two do not.
        if rising >= MELS / 2 {
            let (below, &mut upper, _) =
                rises.select_nth_unstable_by(MELS / 2, |a, b| a.total_cmp(b));
            let lower = below.iter().copied().fold(0.0, f32::max);
            strength.median[at] = (lower + upper) / 2.0;
        }
    }
    strength
}

/// Frames of onset strength in a window of the tempogram: eight seconds.
const WINDOW: usize = 344;
/// Enough for the autocorrelation of a window not to wrap around.
const TRANSFORM: usize = 720;
const START_BPM: f64 = 120.0;
const MOST_BPM: f64 = 320.0;

struct Plans {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    window: Vec<f32>,
}

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let mut planner = RealFftPlanner::new();
    Plans {
        forward: planner.plan_fft_forward(TRANSFORM),
        inverse: planner.plan_fft_inverse(TRANSFORM),
        window: hann(WINDOW),
    }
});

/// The mean over frames of the local autocorrelation of onset strength.
///
/// Each window's autocorrelation is divided by its value at lag 0, which is
/// its largest. That division and the mean are linear, so power spectra are
/// summed and transformed back once, at the end.
#[derive(Debug)]
pub(super) struct Tempogram {
    power: Vec<f64>,
    frames: usize,
    heard: bool,
}

impl Tempogram {
    pub(super) fn new() -> Self {
        Self { power: vec![0.0; TRANSFORM / 2 + 1], frames: 0, heard: false }
    }

    /// Adds the frames of one clip.
    pub(super) fn add(&mut self, strength: &[f32]) {
        let (Some(&first), Some(&last)) = (strength.first(), strength.last()) else { return };
        let plans = &*PLANS;
        let half = WINDOW / 2;
        // Windows at the ends see a ramp to zero.
        let mut padded = Vec::with_capacity(strength.len() + WINDOW);
        padded.extend((0..half).map(|i| first * i as f32 / half as f32));
        padded.extend_from_slice(strength);
        padded.extend((0..half).rev().map(|i| last * i as f32 / half as f32));
        let mut input = plans.forward.make_input_vec();
        let mut bins = plans.forward.make_output_vec();
        let mut scratch = plans.forward.make_scratch_vec();
        // Sums over some frames in f32, over those sums in f64.
        let mut partial = vec![0.0f32; bins.len()];
        for (at, window) in padded.windows(WINDOW).take(strength.len()).enumerate() {
            let energy = vectorized(
                #[inline(always)]
                || {
                    let mut sums = [0.0f32; LANES];
                    for ((input, x), w) in input
                        .chunks_exact_mut(LANES)
                        .zip(window.chunks_exact(LANES))
                        .zip(plans.window.chunks_exact(LANES))
                    {
                        for lane in 0..LANES {
                            let value = x[lane] * w[lane];
                            input[lane] = value;
                            sums[lane] += value * value;
                        }
                    }
                    fold(sums)
                },
            );
            self.frames += 1;
            if energy < f32::MIN_POSITIVE {
                continue;
            }
            self.heard = true;
            input[WINDOW..].fill(0.0);
            plans
                .forward
                .process_with_scratch(&mut input, &mut bins, &mut scratch)
                .expect("the buffers were made by this plan");
            vectorized(
                #[inline(always)]
                || {
                    for (sum, bin) in partial.iter_mut().zip(&bins) {
                        *sum += (bin.re * bin.re + bin.im * bin.im) / energy;
                    }
                },
            );
            if at % 256 == 255 {
                self.flush(&mut partial);
            }
        }
        self.flush(&mut partial);
    }

    fn flush(&mut self, partial: &mut [f32]) {
        for (sum, partial) in self.power.iter_mut().zip(partial) {
            *sum += f64::from(std::mem::take(partial));
        }
    }

    /// The mean autocorrelation at each lag in frames, 1 at most.
    fn autocorrelation(&self) -> Vec<f64> {
        let plans = &*PLANS;
        let mut bins = plans.inverse.make_input_vec();
        let mut lags = plans.inverse.make_output_vec();
        let scale = 1.0 / (TRANSFORM as f64 * self.frames.max(1) as f64);
        for (bin, power) in bins.iter_mut().zip(&self.power) {
            bin.re = (power * scale) as f32;
        }
        plans.inverse.process(&mut bins, &mut lags).expect("the buffers were made by this plan");
        // A single onset has an autocorrelation of zero, of which the transform
        // makes rounding noise that the logarithm below would take for a beat.
        const NOISE: f32 = 1e-6;
        lags[..WINDOW].iter().map(|&lag| if lag < NOISE { 0.0 } else { f64::from(lag) }).collect()
    }

    /// The tempo whose period fits best, weighed by how usual it is; on the
    /// coarse grid of whole frames. For silence, the most usual.
    pub(super) fn bpm(&self) -> f64 {
        let mut best = (f64::MIN, 0.0);
        for (lag, strength) in self.autocorrelation().into_iter().enumerate().skip(1) {
            let bpm = 60.0 * FRAME_RATE / lag as f64;
            if bpm >= MOST_BPM {
                continue;
            }
            let prior = -0.5 * (bpm / START_BPM).log2().powi(2);
            let score = (1e6 * strength).ln_1p() + prior;
            if score > best.0 {
                best = (score, bpm);
            }
        }
        best.1
    }

    /// Adds the frames of another.
    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, power) in self.power.iter_mut().zip(&other.power) {
            *sum += power;
        }
        self.frames += other.frames;
        self.heard |= other.heard;
    }

    /// Whether there was any onset.
    pub(super) fn heard(&self) -> bool {
        self.heard
    }
}
