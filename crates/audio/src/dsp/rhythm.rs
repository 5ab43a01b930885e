//! Onset strength and the tempogram, by librosa's definitions.

use std::sync::{Arc, LazyLock};

use realfft::{ComplexToReal, RealFftPlanner};
use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::{
    mel::MELS,
    simd::{LANES, Simd, WithSimd, dot, fold, run, vectorized},
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

static FORWARD: LazyLock<Arc<dyn Fft<f32>>> =
    LazyLock::new(|| FftPlanner::new().plan_fft_forward(TRANSFORM));
static INVERSE: LazyLock<Arc<dyn ComplexToReal<f32>>> =
    LazyLock::new(|| RealFftPlanner::new().plan_fft_inverse(TRANSFORM));
static TAPER: LazyLock<Vec<f32>> = LazyLock::new(|| hann(WINDOW));

/// The mean over frames of the local autocorrelation of onset strength.
///
/// Each window's autocorrelation is divided by its value at lag 0, which is
/// its largest. That division and the mean are linear, so power spectra are
/// summed and transformed back once, at the end.
#[derive(Debug)]
pub(super) struct Tempogram {
    power: Vec<f64>,
    frames: usize,
    has_onsets: bool,
}

impl Tempogram {
    pub(super) fn new() -> Self {
        Self { power: vec![0.0; TRANSFORM / 2 + 1], frames: 0, has_onsets: false }
    }

    /// Adds the frames of one clip.
    pub(super) fn add(&mut self, strength: &[f32]) {
        let (Some(&first), Some(&last)) = (strength.first(), strength.last()) else { return };
        let half = WINDOW / 2;
        // Windows at the ends see a ramp to zero.
        let mut padded = Vec::with_capacity(strength.len() + WINDOW);
        padded.extend((0..half).map(|i| first * i as f32 / half as f32));
        padded.extend_from_slice(strength);
        padded.extend((0..half).rev().map(|i| last * i as f32 / half as f32));
        let mut bins = vec![Complex::ZERO; TRANSFORM];
        let mut scratch = vec![Complex::ZERO; FORWARD.get_inplace_scratch_len()];
        let mut windows = [[0.0f32; WINDOW]; 2];
        // Sums over some frames in f32, over those sums in f64.
        let mut partial = vec![0.0f32; TRANSFORM];
        for (at, pair) in (0..strength.len()).step_by(2).enumerate() {
            let mut any = false;
            for (half, window) in windows.iter_mut().enumerate() {
                if pair + half < strength.len() {
                    any |= window_of_energy_one(&padded[pair + half..][..WINDOW], window);
                } else {
                    window.fill(0.0);
                }
            }
            if any {
                self.has_onsets = true;
                add_power(&windows, &mut bins, &mut scratch, &mut partial);
            }
            if at % 128 == 127 {
                self.flush(&mut partial);
            }
        }
        self.flush(&mut partial);
        self.frames += strength.len();
    }

    /// Adds the powers of pairs of real signals, one in the real and one in the
    /// imaginary part. Of such a pair, the powers at a frequency and at its
    /// mirror image sum to twice the sum of both signals' powers.
    fn flush(&mut self, partial: &mut [f32]) {
        for (bin, sum) in self.power.iter_mut().enumerate() {
            let mirror = (TRANSFORM - bin) % TRANSFORM;
            *sum += 0.5 * (f64::from(partial[bin]) + f64::from(partial[mirror]));
        }
        partial.fill(0.0);
    }

    /// The mean autocorrelation at each lag in frames, 1 at most.
    fn autocorrelation(&self) -> Vec<f64> {
        let mut bins = INVERSE.make_input_vec();
        let mut lags = INVERSE.make_output_vec();
        let scale = 1.0 / (TRANSFORM as f64 * self.frames.max(1) as f64);
        for (bin, power) in bins.iter_mut().zip(&self.power) {
            bin.re = (power * scale) as f32;
        }
        INVERSE.process(&mut bins, &mut lags).expect("the buffers were made by this plan");
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
        self.has_onsets |= other.has_onsets;
    }

    /// Whether there was any onset.
    pub(super) fn has_onsets(&self) -> bool {
        self.has_onsets
    }
}

/// Tapers a window and scales it to energy 1, unless it is silent; tells
/// whether it sounds.
fn window_of_energy_one(values: &[f32], out: &mut [f32; WINDOW]) -> bool {
    let taper: &[f32] = &TAPER;
    vectorized(
        #[inline(always)]
        || {
            for ((out, value), taper) in out.iter_mut().zip(values).zip(taper) {
                *out = value * taper;
            }
        },
    );
    let energy = run(Energy(out));
    if energy < f32::MIN_POSITIVE {
        out.fill(0.0);
        return false;
    }
    let scale = 1.0 / energy.sqrt();
    for value in out {
        *value *= scale;
    }
    true
}

struct Energy<'a>(&'a [f32]);

impl WithSimd for Energy<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        dot(simd, self.0, self.0)
    }
}

/// Adds the power of two windows, one in the real and one in the imaginary
/// part.
fn add_power(
    [left, right]: &[[f32; WINDOW]; 2],
    bins: &mut [Complex<f32>],
    scratch: &mut [Complex<f32>],
    sums: &mut [f32],
) {
    for ((bin, left), right) in bins.iter_mut().zip(left).zip(right) {
        *bin = Complex::new(*left, *right);
    }
    bins[WINDOW..].fill(Complex::ZERO);
    FORWARD.process_with_scratch(bins, scratch);
    vectorized(
        #[inline(always)]
        || {
            for (sum, bin) in sums.iter_mut().zip(bins.iter()) {
                *sum += bin.re * bin.re + bin.im * bin.im;
            }
        },
    );
}
