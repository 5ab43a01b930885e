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

use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::{
    bins::{BINS_PER_OCTAVE, Bins, NONE},
    chroma::{CLASSES, normalize},
    clear::Clear,
    simd::{LANES, Simd, WithSimd, dot, run, vectorized},
    stft::{HOP, SAMPLE_RATE, are_alike, frames},
    tuning::{self, STEPS},
};
use crate::transform::plan_double;

pub(super) const OCTAVES: usize = 7;
/// Samples of a frame, at half of librosa's rate for the octave.
const FRAME: usize = 512;
/// librosa's, from which the filters are defined.
const WIDE_FRAME: usize = 2 * FRAME;
/// The share of a filter's magnitude that is dropped to make it sparse.
const SPARSITY: f64 = 0.01;
const C1_HZ: f64 = 32.703_195_662_574_83;

/// Frames from one that is computed to the next, for each octave from the top.
const STEP: [usize; OCTAVES] = [1, 1, 1, 1, 1, 2, 4];

/// Filters that are applied together, one in each lane, to the bins from
/// `start`.
struct Kernel {
    start: usize,
    /// For each bin, the real and the imaginary weight in each filter.
    weights: Vec<[[f32; LANES]; 2]>,
}

static PLAN: LazyLock<Arc<dyn Fft<f32>>> =
    LazyLock::new(|| FftPlanner::new().plan_fft_forward(FRAME));

/// The filters of an octave, the same for every octave, for each tuning.
static KERNELS: [OnceLock<Vec<Kernel>>; STEPS] = [const { OnceLock::new() }; STEPS];

/// Makes the filters for a tuning, which is a step of [`tuning::offset`] in
/// bins.
fn kernels(tuning: usize) -> Vec<Kernel> {
    let per_octave = BINS_PER_OCTAVE as f64;
    let lowest = C1_HZ * (tuning::offset(tuning) / per_octave).exp2();
    let ratio = (2.0 / per_octave).exp2();
    let quality = (ratio + 1.0) / (ratio - 1.0);
    let plan = plan_double(WIDE_FRAME);
    let filters: Vec<Vec<Complex<f64>>> = (0..BINS_PER_OCTAVE)
        .map(|bin| {
            let octaves = (OCTAVES - 1) as f64 + bin as f64 / per_octave;
            let hz = lowest * octaves.exp2();
            filter(hz, quality * f64::from(SAMPLE_RATE) / hz, &*plan)
        })
        .collect();
    filters.chunks(LANES).map(together).collect()
}

/// The spectrum of a complex tone of `hz` under a Hann window of `length`
/// samples.
fn filter(hz: f64, length: f64, plan: &dyn Fft<f64>) -> Vec<Complex<f64>> {
    let before = (length / 2.0).ceil() as usize;
    let count = before + (length / 2.0).floor() as usize;
    let mut spectrum = vec![Complex::ZERO; WIDE_FRAME];
    let start = (WIDE_FRAME - count) / 2;
    let mut sum = 0.0;
    for n in 0..count {
        let turns = hz / f64::from(SAMPLE_RATE) * (n as f64 - before as f64);
        let phase = 2.0 * std::f64::consts::PI * turns;
        let window = 0.5 - 0.5 * (2.0 * std::f64::consts::PI * n as f64 / count as f64).cos();
        sum += window;
        spectrum[start + n] = Complex::new(phase.cos(), phase.sin()) * window;
    }
    plan.process(&mut spectrum);
    spectrum.truncate(WIDE_FRAME / 2 + 1);
    // librosa: unit sum, times length over frame, over the root of the length;
    // twice for the half as many samples here.
    let scale = 2.0 / sum * length / WIDE_FRAME as f64 / length.sqrt();
    spectrum.iter_mut().for_each(|weight| *weight *= scale);
    make_sparse(&mut spectrum);
    spectrum
}

/// Drops the smallest weights, up to a share of the sum of magnitudes.
fn make_sparse(spectrum: &mut [Complex<f64>]) {
    let mut sorted: Vec<f64> = spectrum.iter().map(|weight| weight.norm()).collect();
    sorted.sort_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    let mut sum = 0.0;
    let threshold = sorted.into_iter().find(|magnitude| {
        sum += magnitude / total;
        sum >= SPARSITY
    });
    for weight in spectrum {
        if weight.norm() < threshold.unwrap_or(0.0) {
            *weight = Complex::ZERO;
        }
    }
}

/// Puts filters into lanes; lanes without a filter answer nothing.
fn together(filters: &[Vec<Complex<f64>>]) -> Kernel {
    let is_used = |bin: &usize| filters.iter().any(|filter| filter[*bin] != Complex::ZERO);
    let bins = 0..FRAME / 2 + 1;
    let start = bins.clone().find(is_used).expect("the largest weight is kept");
    let end = bins.rev().find(is_used).expect("the largest weight is kept") + 1;
    let weights = (start..end)
        .map(|bin| {
            let mut weights = [[0.0; LANES]; 2];
            for (lane, filter) in filters.iter().enumerate() {
                weights[0][lane] = filter[bin].re as f32;
                weights[1][lane] = filter[bin].im as f32;
            }
            weights
        })
        .collect();
    Kernel { start, weights }
}

/// Pitch classes of a clip.
pub(super) struct Pitches {
    /// Sums over frames, each divided by its largest class.
    pub(super) chroma: [f64; CLASSES],
    /// What stands above the bins around it, for each octave from C1: sums over
    /// frames of logarithms. Noise and drums are in all bins, tones stand out.
    pub(super) clear: [[f64; CLASSES]; OCTAVES],
}

/// The pitch classes of a clip.
///
/// `tuning` is that of its bins, a step of [`tuning::offset`]; `semitones` is
/// that of its semitones, another one. `soft` is the magnitude from which on the
/// logarithm of what is clear counts, and not its size.
pub(super) fn sum(samples: &[f32], tuning: usize, semitones: usize, soft: f32) -> Pitches {
    let kernels = KERNELS[tuning].get_or_init(|| kernels(tuning));
    let mut clear = Clear::new(tuning, semitones, soft);
    let mut found = [[0.0; CLASSES]; OCTAVES];
    let mut classes = vec![[0.0f32; CLASSES]; frames(samples.len())];
    let mut octave = Octave::new();
    let mut half = halved(samples);
    let mut hop = HOP / 2;
    for (index, step) in STEP.into_iter().enumerate() {
        // The energy of an octave is spread over half as many samples as that
        // of the one above it.
        let gain = (index as f32 / 2.0).exp2();
        octave.add(&half, hop, step, gain, kernels, &mut classes, &mut clear);
        found[OCTAVES - 1 - index] = clear.take_mean().map(|mean| mean * classes.len() as f64);
        hop /= 2;
        if index + 1 < OCTAVES {
            // Without what rang on beyond the ends: there librosa cuts.
            half = halved(&half[MARGIN..half.len() - MARGIN]);
        }
    }
    let mut sums = [0.0; CLASSES];
    for frame in &mut classes {
        normalize(frame);
        for (sum, class) in sums.iter_mut().zip(frame) {
            *sum += f64::from(*class);
        }
    }
    Pitches { chroma: sums, clear: found }
}

/// Working memory for one octave.
struct Octave {
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// The bins that filters use, of either of two frames.
    used: [Vec<Complex<f32>>; 2],
    /// Frames that reach over an end.
    buffers: [Vec<f32>; 2],
}

/// The pitch classes of an octave in a frame.
type Classes = [f32; CLASSES];

impl Octave {
    fn new() -> Self {
        Self {
            bins: vec![Complex::ZERO; FRAME],
            scratch: vec![Complex::ZERO; PLAN.get_inplace_scratch_len()],
            used: [(); 2].map(|()| vec![Complex::ZERO; FRAME / 2]),
            buffers: Default::default(),
        }
    }

    /// Adds the pitch classes of an octave to those of every frame.
    #[expect(clippy::too_many_arguments, reason = "an octave is as many things")]
    fn add(
        &mut self,
        samples: &[f32],
        hop: usize,
        step: usize,
        gain: f32,
        kernels: &[Kernel],
        classes: &mut [Classes],
        clear: &mut Clear,
    ) {
        let last = classes.len() - 1;
        let computed = 1 + last.div_ceil(step);
        let place = |index: usize| (index * step).min(last);
        // The last that was computed, and where.
        let mut before: Option<(usize, Classes)> = None;
        let mut fill = |at: usize, bins: &Bins| {
            clear.add(bins, gain);
            let after = folded(bins);
            add(&mut classes[at], &after, gain);
            if let Some((from, before)) = before {
                let gap = (at - from) as f32;
                for (between, classes) in (1u16..).zip(&mut classes[from + 1..at]) {
                    let share = f32::from(between) / gap;
                    add(classes, &before, gain * (1.0 - share));
                    add(classes, &after, gain * share);
                }
            }
            before = Some((at, after));
        };
        for index in (0..computed).step_by(2) {
            let left = place(index);
            let right = (index + 1 < computed).then(|| place(index + 1));
            let found = self.bins(samples, left * hop, right.map(|at| at * hop), kernels);
            fill(left, &found[0]);
            if let Some(right) = right {
                fill(right, &found[1]);
            }
        }
    }

    /// The magnitudes of the frames centred on two samples, or on one.
    fn bins(
        &mut self,
        samples: &[f32],
        left: usize,
        right: Option<usize>,
        kernels: &[Kernel],
    ) -> [Bins; 2] {
        let mut buffers = std::mem::take(&mut self.buffers);
        let [left_buffer, right_buffer] = &mut buffers;
        let left = frame(samples, left, left_buffer);
        let found = match right.map(|right| frame(samples, right, right_buffer)) {
            Some(right) if are_alike_frames(left, right) => {
                self.transform(left, right, kernels);
                self.magnitudes(kernels)
            }
            Some(right) => [self.alone(left, kernels), self.alone(right, kernels)],
            None => [self.alone(left, kernels), NONE],
        };
        self.buffers = buffers;
        found
    }

    fn alone(&mut self, frame: &[f32], kernels: &[Kernel]) -> Bins {
        self.transform(frame, &[0.0; FRAME], kernels);
        self.magnitudes(kernels)[0]
    }

    /// Transforms two frames at once and separates the bins that are used.
    fn transform(&mut self, left: &[f32], right: &[f32], kernels: &[Kernel]) {
        let Self { bins, scratch, used, .. } = self;
        let [left_bins, right_bins] = used;
        let range = used_bins(kernels);
        vectorized(
            #[inline(always)]
            || {
                for ((bin, left), right) in bins.iter_mut().zip(left).zip(right) {
                    *bin = Complex::new(*left, *right);
                }
            },
        );
        PLAN.process_with_scratch(bins, scratch);
        vectorized(
            #[inline(always)]
            || {
                let low = &bins[range.clone()];
                let high = &bins[FRAME + 1 - range.end..FRAME + 1 - range.start];
                let out = left_bins[range.clone()].iter_mut().zip(&mut right_bins[range]);
                for ((left, right), (x, y)) in out.zip(low.iter().zip(high.iter().rev())) {
                    *left = Complex::new(0.5 * (x.re + y.re), 0.5 * (x.im - y.im));
                    *right = Complex::new(0.5 * (x.im + y.im), 0.5 * (y.re - x.re));
                }
            },
        );
    }

    /// The magnitudes of the two frames transformed last.
    fn magnitudes(&self, kernels: &[Kernel]) -> [Bins; 2] {
        let mut magnitudes = [NONE; 2];
        run(Magnitudes { kernels, bins: &self.used, out: &mut magnitudes });
        magnitudes
    }
}

/// The pitch classes of a frame's magnitudes.
fn folded(magnitudes: &Bins) -> Classes {
    let mut classes = [0.0; CLASSES];
    for (bin, magnitude) in magnitudes[..BINS_PER_OCTAVE].iter().enumerate() {
        // Three bins a class; the last of the octave is the lower
        // neighbour of the next C.
        classes[(bin + 1) / 3 % CLASSES] += magnitude;
    }
    classes
}

/// The bins that filters use; never the first, which has no mirror image.
fn used_bins(kernels: &[Kernel]) -> std::ops::Range<usize> {
    let start = kernels.iter().map(|kernel| kernel.start).min().unwrap_or(1);
    let end = kernels.iter().map(|kernel| kernel.start + kernel.weights.len()).max().unwrap_or(1);
    start.max(1)..end
}

/// The samples of the frame centred on one; `buffer` if it reaches over an end.
fn frame<'a>(samples: &'a [f32], centre: usize, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    const HALF: usize = FRAME / 2;
    let centre = centre + MARGIN;
    if centre >= HALF && centre + HALF <= samples.len() {
        return &samples[centre - HALF..centre + HALF];
    }
    buffer.clear();
    buffer.resize(FRAME, 0.0);
    let from = centre.saturating_sub(HALF);
    let to = (centre + HALF).min(samples.len());
    if from < to {
        let at = from + HALF - centre;
        buffer[at..at + to - from].copy_from_slice(&samples[from..to]);
    }
    buffer
}

fn are_alike_frames(left: &[f32], right: &[f32]) -> bool {
    let [left, right] = run(Energies { left, right });
    are_alike(left, right)
}

/// The energies of two frames.
struct Energies<'a> {
    left: &'a [f32],
    right: &'a [f32],
}

impl WithSimd for Energies<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; 2] {
        // Not by `map`, whose closure would not be compiled for the register.
        [dot(simd, self.left, self.left), dot(simd, self.right, self.right)]
    }
}

/// Writes the magnitudes of the filters' responses in two frames.
struct Magnitudes<'a> {
    kernels: &'a [Kernel],
    bins: &'a [Vec<Complex<f32>>; 2],
    out: &'a mut [Bins; 2],
}

impl WithSimd for Magnitudes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [left_out, right_out] = self.out;
        let outs = left_out.chunks_exact_mut(LANES).zip(right_out.chunks_exact_mut(LANES));
        for (kernel, (left_out, right_out)) in self.kernels.iter().zip(outs) {
            let range = kernel.start..kernel.start + kernel.weights.len();
            let (left, right) = (&self.bins[0][range.clone()], &self.bins[1][range]);
            let (left_out, _) = S::as_mut_simd_f32s(left_out);
            let (right_out, _) = S::as_mut_simd_f32s(right_out);
            // A kernel's lanes fill one register or several.
            for at in 0..left_out.len() {
                // Four products each, summed apart: a sum waits for the one
                // before it, and eight of them hide the wait.
                let zero = simd.splat_f32s(0.0);
                let (mut l0, mut l1, mut l2, mut l3) = (zero, zero, zero, zero);
                let (mut r0, mut r1, mut r2, mut r3) = (zero, zero, zero, zero);
                for ([re, im], (l, r)) in kernel.weights.iter().zip(left.iter().zip(right)) {
                    let re = S::as_simd_f32s(re).0[at];
                    let im = S::as_simd_f32s(im).0[at];
                    let (l_re, l_im) = (simd.splat_f32s(l.re), simd.splat_f32s(l.im));
                    let (r_re, r_im) = (simd.splat_f32s(r.re), simd.splat_f32s(r.im));
                    l0 = simd.mul_add_e_f32s(re, l_re, l0);
                    l1 = simd.mul_add_e_f32s(im, l_im, l1);
                    l2 = simd.mul_add_e_f32s(re, l_im, l2);
                    l3 = simd.mul_add_e_f32s(im, l_re, l3);
                    r0 = simd.mul_add_e_f32s(re, r_re, r0);
                    r1 = simd.mul_add_e_f32s(im, r_im, r1);
                    r2 = simd.mul_add_e_f32s(re, r_im, r2);
                    r3 = simd.mul_add_e_f32s(im, r_re, r3);
                }
                let (re, im) = (simd.sub_f32s(l0, l1), simd.add_f32s(l2, l3));
                let square = simd.mul_add_e_f32s(im, im, simd.mul_f32s(re, re));
                left_out[at] = simd.sqrt_f32s(square);
                let (re, im) = (simd.sub_f32s(r0, r1), simd.add_f32s(r2, r3));
                let square = simd.mul_add_e_f32s(im, im, simd.mul_f32s(re, re));
                right_out[at] = simd.sqrt_f32s(square);
            }
        }
    }
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

/// Samples that the filter rings on before the first and after the last.
const MARGIN: usize = TAPS;

/// Every second sample of the low-passed signal, without delay, and
/// [`MARGIN`] samples more at both ends.
fn halved(samples: &[f32]) -> Vec<f32> {
    let count = samples.len().div_ceil(2) + 2 * MARGIN;
    let mut out = vec![0.0; count];
    // Zero outside of the clip.
    let sample = |at: usize| {
        at.checked_sub(2 * MARGIN).and_then(|at| samples.get(at)).copied().unwrap_or(0.0)
    };
    let mut even = [0.0f32; BLOCK];
    let mut odd = [0.0f32; BLOCK + 2 * TAPS];
    let mut low = [0.0f32; BLOCK];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let first = 2 * block * BLOCK;
        // Odd samples from `TAPS` before to `TAPS` after the block.
        let inner = (first.checked_sub(2 * (MARGIN + TAPS)))
            .and_then(|start| samples.get(start..start + 2 * (BLOCK + 2 * TAPS)));
        if let Some(inner) = inner {
            for (odd, pair) in odd.iter_mut().zip(inner.chunks_exact(2)) {
                *odd = pair[1];
            }
            for (even, pair) in even.iter_mut().zip(inner[2 * TAPS..].chunks_exact(2)) {
                *even = pair[0];
            }
        } else {
            for (at, odd) in odd.iter_mut().enumerate() {
                let at = first + 2 * at + 1;
                *odd = at.checked_sub(2 * TAPS).map_or(0.0, sample);
            }
            for (at, even) in even.iter_mut().enumerate() {
                *even = sample(first + 2 * at);
            }
        }
        run(HalfBand { even: &even, odd: &odd, out: &mut low });
        out.copy_from_slice(&low[..out.len()]);
    }
    out
}

/// Outputs that are computed together.
const BLOCK: usize = 1024;

/// Low-passed samples from the even ones they replace and the odd ones around.
struct HalfBand<'a> {
    even: &'a [f32; BLOCK],
    odd: &'a [f32; BLOCK + 2 * TAPS],
    out: &'a mut [f32; BLOCK],
}

impl WithSimd for HalfBand<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (even, _) = S::as_simd_f32s(self.even);
        let (out, _) = S::as_mut_simd_f32s(self.out);
        let half = simd.splat_f32s(0.5);
        let mut weights = [half; TAPS];
        let mut left = [even; TAPS];
        let mut right = [even; TAPS];
        for tap in 0..TAPS {
            weights[tap] = simd.splat_f32s(HALF_BAND[tap]);
            left[tap] = S::as_simd_f32s(&self.odd[TAPS - 1 - tap..][..BLOCK]).0;
            right[tap] = S::as_simd_f32s(&self.odd[TAPS + tap..][..BLOCK]).0;
        }
        for at in 0..out.len() {
            let mut sum = simd.mul_f32s(half, even[at]);
            for tap in 0..TAPS {
                let pair = simd.add_f32s(left[tap][at], right[tap][at]);
                sum = simd.mul_add_e_f32s(weights[tap], pair, sum);
            }
            out[at] = sum;
        }
    }
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
            assert!((low[MARGIN + at] - expected[at]).abs() < 1e-4);
            assert!(high[MARGIN + at].abs() < 1e-4);
        }
    }

    #[test]
    fn a_tone_is_its_pitch_class() {
        for (hz, class) in [(55.0, 9), (261.63, 0), (1479.98, 6), (38.89, 3)] {
            let clip = tone(hz, f64::from(SAMPLE_RATE), 4 * 22_050);

            let sums = sum(&clip, STEPS / 2, STEPS / 2, 0.1).chroma;

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
            let sums = sum(&tone(440.0, 22_050.0, count), 50, 50, 0.1);

            let every = sums.chroma.iter().chain(sums.clear.as_flattened());
            assert!(every.copied().all(f64::is_finite), "{count}");
        }
    }
}
