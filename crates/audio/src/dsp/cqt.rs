//! Pitch classes from the constant-Q transform, as librosa's `chroma_cqt`:
//! seven octaves from C1, 36 bins an octave, each frame divided by its largest
//! class, averaged over frames.
//!
//! librosa halves the sample rate from octave to octave and transforms frames
//! of 1024 samples, of which the octave's bins lie in the lower two fifths of
//! the spectrum. Here the rate is halved once more before each octave, and
//! frames of 512 samples give the same bins. Of the lowest octaves, whose
//! filters last for a second, only every second or fourth frame is computed.

use std::sync::{Arc, LazyLock, OnceLock};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

use super::{
    chroma::{CLASSES, normalize},
    simd::{LANES, fold, vectorized},
    stft::{HOP, SAMPLE_RATE, frames},
    tuning::{self, STEPS},
};

/// Bins an octave.
pub(super) const BINS_PER_OCTAVE: usize = 36;
const OCTAVES: usize = 7;
/// Samples of a frame, at half of librosa's rate for the octave.
const FRAME: usize = 512;
/// librosa's, from which the filters are defined.
const WIDE_FRAME: usize = 2 * FRAME;
/// The share of a filter's magnitude that is dropped to make it sparse.
const SPARSITY: f64 = 0.01;
const C1_HZ: f64 = 32.703_195_662_574_83;

/// Frames from one that is computed to the next, for each octave from the top.
const STEP: [usize; OCTAVES] = [1, 1, 1, 1, 1, 2, 4];

/// One filter in the frequency domain: weights of the bins from `start`, padded
/// to whole lanes.
struct Kernel {
    start: usize,
    re: Vec<f32>,
    im: Vec<f32>,
}

static PLAN: LazyLock<Arc<dyn RealToComplex<f32>>> =
    LazyLock::new(|| RealFftPlanner::new().plan_fft_forward(FRAME));

/// The filters of an octave, the same for every octave, for each tuning.
static KERNELS: [OnceLock<Vec<Kernel>>; STEPS] = [const { OnceLock::new() }; STEPS];

/// Makes the filters for a tuning, which is a step of [`tuning::offset`] in
/// bins.
fn kernels(tuning: usize) -> Vec<Kernel> {
    let per_octave = BINS_PER_OCTAVE as f64;
    let lowest = C1_HZ * (tuning::offset(tuning) / per_octave).exp2();
    let ratio = (2.0 / per_octave).exp2();
    let quality = (ratio + 1.0) / (ratio - 1.0);
    let plan = realfft::RealFftPlanner::<f64>::new().plan_fft_forward(WIDE_FRAME);
    (0..BINS_PER_OCTAVE)
        .map(|bin| {
            let octaves = (OCTAVES - 1) as f64 + bin as f64 / per_octave;
            let hz = lowest * octaves.exp2();
            kernel(hz, quality * f64::from(SAMPLE_RATE) / hz, &*plan)
        })
        .collect()
}

/// A complex tone of `hz` under a Hann window of `length` samples.
fn kernel(hz: f64, length: f64, plan: &dyn RealToComplex<f64>) -> Kernel {
    let before = (length / 2.0).ceil() as usize;
    let count = before + (length / 2.0).floor() as usize;
    let mut parts = [plan.make_input_vec(), plan.make_input_vec()];
    let start = (WIDE_FRAME - count) / 2;
    let mut sum = 0.0;
    for n in 0..count {
        let turns = hz / f64::from(SAMPLE_RATE) * (n as f64 - before as f64);
        let phase = 2.0 * std::f64::consts::PI * turns;
        let window = 0.5 - 0.5 * (2.0 * std::f64::consts::PI * n as f64 / count as f64).cos();
        sum += window;
        parts[0][start + n] = window * phase.cos();
        parts[1][start + n] = window * phase.sin();
    }
    let mut spectra = [plan.make_output_vec(), plan.make_output_vec()];
    for (part, spectrum) in parts.iter_mut().zip(&mut spectra) {
        plan.process(part, spectrum).expect("the buffers were made by this plan");
    }
    let [re, im] = spectra;
    // librosa: unit sum, times length over frame, over the root of the length;
    // twice for the half as many samples here.
    let scale = 2.0 / sum * length / WIDE_FRAME as f64 / length.sqrt();
    // The transform of a + ib from those of a and of b.
    let spectrum: Vec<Complex<f64>> = re
        .iter()
        .zip(&im)
        .map(|(re, im)| Complex::new(re.re - im.im, re.im + im.re) * scale)
        .collect();
    sparse(&spectrum)
}

/// Drops the smallest weights, up to a share of the sum of magnitudes.
fn sparse(spectrum: &[Complex<f64>]) -> Kernel {
    let mut sorted: Vec<f64> = spectrum.iter().map(|weight| weight.norm()).collect();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    let mut sum = 0.0;
    let threshold = sorted
        .iter()
        .copied()
        .find(|magnitude| {
            sum += magnitude / total;
            sum >= SPARSITY
        })
        .unwrap_or(0.0);
    let kept = |at: usize| spectrum[at].norm() >= threshold;
    let first = (0..spectrum.len()).find(|&at| kept(at)).expect("the largest is kept");
    let last = (0..spectrum.len()).rev().find(|&at| kept(at)).expect("the largest is kept");
    let lanes = (last + 1 - first).next_multiple_of(LANES);
    let weight = |at: usize| if kept(at) { spectrum[at] } else { Complex::ZERO };
    Kernel {
        start: first,
        re: (first..first + lanes).map(|at| weight(at).re as f32).collect(),
        im: (first..first + lanes).map(|at| weight(at).im as f32).collect(),
    }
}

/// The sums over frames of the pitch classes of a clip whose tuning in bins is
/// a step of [`tuning::offset`].
pub(super) fn sum(samples: &[f32], tuning: usize) -> [f64; CLASSES] {
    let kernels = KERNELS[tuning].get_or_init(|| kernels(tuning));
    let mut classes = vec![[0.0f32; CLASSES]; frames(samples.len())];
    let mut octave = Octave::new();
    let mut half = halved(samples);
    let mut hop = HOP / 2;
    for (index, step) in STEP.into_iter().enumerate() {
        // The energy of an octave is spread over half as many samples as that
        // of the one above it.
        let gain = (index as f32 / 2.0).exp2();
        octave.add(&half, hop, step, gain, kernels, &mut classes);
        hop /= 2;
        if index + 1 < OCTAVES {
            half = halved(&half);
        }
    }
    let mut sums = [0.0; CLASSES];
    for frame in &mut classes {
        normalize(frame);
        for (sum, class) in sums.iter_mut().zip(frame) {
            *sum += f64::from(*class);
        }
    }
    sums
}

/// Working memory for one octave.
struct Octave {
    input: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    re: Vec<f32>,
    im: Vec<f32>,
}

impl Octave {
    fn new() -> Self {
        let bins = PLAN.make_output_vec();
        // Kernels may reach beyond the last bin by less than their padding.
        let padded = bins.len() + 4 * LANES;
        Self {
            input: PLAN.make_input_vec(),
            bins,
            scratch: PLAN.make_scratch_vec(),
            re: vec![0.0; padded],
            im: vec![0.0; padded],
        }
    }

    /// Adds the pitch classes of an octave to those of every frame.
    fn add(
        &mut self,
        samples: &[f32],
        hop: usize,
        step: usize,
        gain: f32,
        kernels: &[Kernel],
        classes: &mut [[f32; CLASSES]],
    ) {
        let last = classes.len() - 1;
        let mut before = self.classes(samples, 0, gain, kernels);
        add(&mut classes[0], &before, 1.0);
        let mut at = 0;
        while at < last {
            let next = (at + step).min(last);
            let after = self.classes(samples, next * hop, gain, kernels);
            let gap = next - at;
            for between in 1..=gap {
                let share = between as f32 / gap as f32;
                let frame = &mut classes[at + between];
                add(frame, &before, 1.0 - share);
                add(frame, &after, share);
            }
            before = after;
            at = next;
        }
    }

    /// The pitch classes of the frame centred on a sample.
    fn classes(
        &mut self,
        samples: &[f32],
        centre: usize,
        gain: f32,
        kernels: &[Kernel],
    ) -> [f32; CLASSES] {
        const HALF: usize = FRAME / 2;
        if centre >= HALF && centre + HALF <= samples.len() {
            self.input.copy_from_slice(&samples[centre - HALF..centre + HALF]);
        } else {
            self.input.fill(0.0);
            let from = centre.saturating_sub(HALF);
            let to = (centre + HALF).min(samples.len());
            if from < to {
                let at = from + HALF - centre;
                self.input[at..at + to - from].copy_from_slice(&samples[from..to]);
            }
        }
        PLAN.process_with_scratch(&mut self.input, &mut self.bins, &mut self.scratch)
            .expect("the buffers were made by this plan");
        let Self { bins, re, im, .. } = self;
        vectorized(|| {
            for ((re, im), bin) in re.iter_mut().zip(im.iter_mut()).zip(bins.iter()) {
                *re = bin.re;
                *im = bin.im;
            }
            let mut classes = [0.0; CLASSES];
            for (bin, kernel) in kernels.iter().enumerate() {
                // Three bins a class; the last of the octave is the lower
                // neighbour of the next C.
                classes[(bin + 1) / 3 % CLASSES] += gain * magnitude(kernel, re, im);
            }
            classes
        })
    }
}

/// The magnitude of a filter's response.
#[inline(always)]
fn magnitude(kernel: &Kernel, re: &[f32], im: &[f32]) -> f32 {
    let end = kernel.start + kernel.re.len();
    let (re, im) = (&re[kernel.start..end], &im[kernel.start..end]);
    let mut real = [0.0f32; LANES];
    let mut imaginary = [0.0f32; LANES];
    let weights = kernel.re.chunks_exact(LANES).zip(kernel.im.chunks_exact(LANES));
    let values = re.chunks_exact(LANES).zip(im.chunks_exact(LANES));
    for ((kernel_re, kernel_im), (re, im)) in weights.zip(values) {
        for lane in 0..LANES {
            real[lane] += kernel_re[lane] * re[lane] - kernel_im[lane] * im[lane];
            imaginary[lane] += kernel_re[lane] * im[lane] + kernel_im[lane] * re[lane];
        }
    }
    let (real, imaginary) = (fold(real), fold(imaginary));
    (real * real + imaginary * imaginary).sqrt()
}

fn add(frame: &mut [f32; CLASSES], classes: &[f32; CLASSES], share: f32) {
    for (sum, class) in frame.iter_mut().zip(classes) {
        *sum += share * class;
    }
}

/// Odd taps on either side of the centre of the half-band filter. It passes the
/// lower 0.38 of the spectrum, as far as the octaves need, and holds what
/// would fold into it 85 dB down.
const TAPS: usize = 12;

static HALF_BAND: LazyLock<[f32; TAPS]> = LazyLock::new(|| {
    // A Kaiser window of that attenuation.
    const BETA: f64 = 8.5;
    let mut taps: [f64; TAPS] = std::array::from_fn(|tap| {
        let n = (2 * tap + 1) as f64;
        let sign = if tap % 2 == 0 { 1.0 } else { -1.0 };
        let position = n / (2 * TAPS) as f64;
        let window = bessel(BETA * (1.0 - position * position).sqrt()) / bessel(BETA);
        sign / (std::f64::consts::PI * n) * window
    });
    // Exactly one at 0 Hz: one half from the centre, a quarter from each side.
    let sum: f64 = taps.iter().sum();
    for tap in &mut taps {
        *tap *= 0.25 / sum;
    }
    taps.map(|tap| tap as f32)
});

/// The modified Bessel function of the first kind of order 0.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

/// Every second sample of the low-passed signal, without delay.
fn halved(samples: &[f32]) -> Vec<f32> {
    // Outputs that are computed together, each from its own stretch of the
    // even and of the odd samples.
    const BLOCK: usize = 1024;
    let count = samples.len().div_ceil(2);
    let mut out = vec![0.0; count];
    let mut odd = [0.0f32; BLOCK + 2 * TAPS];
    let taps = &*HALF_BAND;
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let first = block * BLOCK;
        for (at, odd) in odd.iter_mut().enumerate() {
            // Odd sample `first + at - TAPS`, zero outside of the clip.
            let sample = 2 * (first + at) + 1;
            *odd =
                sample.checked_sub(2 * TAPS).and_then(|s| samples.get(s)).copied().unwrap_or(0.0);
        }
        vectorized(|| {
            for (out, pair) in out.iter_mut().zip(samples[2 * first..].chunks(2)) {
                *out = 0.5 * pair[0];
            }
            for (tap, weight) in taps.iter().enumerate() {
                let left = &odd[TAPS - 1 - tap..][..BLOCK];
                let right = &odd[TAPS + tap..][..BLOCK];
                for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
                    *out += weight * (left + right);
                }
            }
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: f64, count: usize) -> Vec<f32> {
        (0..count)
            .map(|n| (2.0 * std::f64::consts::PI * hz / rate * n as f64).sin() as f32)
            .collect()
    }

    #[test]
    fn halving_keeps_low_tones_and_removes_high_ones() {
        let rate = 22_050.0;
        let low = halved(&tone(4000.0, rate, 22_050));
        let high = halved(&tone(7200.0, rate, 22_050));

        let expected = tone(4000.0, rate / 2.0, 11_025);
        let inner = 100..10_900;
        for at in inner.clone() {
            // 85 dB down is 6e-5.
            assert!((low[at] - expected[at]).abs() < 1e-4);
            assert!(high[at].abs() < 1e-4);
        }
    }

    #[test]
    fn a_tone_is_its_pitch_class() {
        for (hz, class) in [(55.0, 9), (261.63, 0), (1479.98, 6), (38.89, 3)] {
            let clip = tone(hz, f64::from(SAMPLE_RATE), 4 * 22_050);

            let sums = sum(&clip, STEPS / 2);

            let mean = sums.map(|sum| sum / frames(clip.len()) as f64);
            assert!(mean[class] > 0.98, "{hz}: {mean:?}");
            // Leakage into other classes; the neighbours get most.
            let other = (class + 6) % 12;
            assert!(mean[other] < 0.05, "{hz}: {mean:?}");
        }
    }

    #[test]
    fn clips_shorter_than_a_filter_have_an_answer() {
        for count in [1, 2, 3, 100, 513] {
            let sums = sum(&tone(440.0, 22_050.0, count), 50);

            assert!(sums.iter().all(|sum| sum.is_finite()), "{count}");
        }
    }
}
