//! One channel at another sample rate, as a stream.
//!
//! Samples are filtered and brought to the other rate as a spectrum: chunks of them are
//! transformed with as many zeros behind, multiplied by the spectrum of a windowed sinc,
//! cut or filled up to the bins of the other rate, and transformed back; what rings on
//! after a chunk is added to the next. The values are bit for bit those of rubato's
//! `Fft`, whose transforms took twice as long.

use std::{
    f64::consts::PI,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rubato::{WindowFunction, calculate_cutoff};
use rustfft::num_complex::Complex32;

use crate::{
    real_transform::{Forward, Inverse},
    simd::vectorized,
};

/// The lowest and highest sample rate that is taken for real, in Hz.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 1_000..=1_000_000;

/// Brings one channel from one sample rate to another, block by block.
///
/// The output begins with the input, without delay, and has as many samples as
/// fit into the same time: `ceil(samples · to / from)`, as librosa's. It does
/// not depend on how the input is cut into blocks.
pub struct Resampler {
    from: u32,
    to: u32,
    /// None when nothing has to be done.
    engine: Option<Engine>,
}

struct Engine {
    design: Arc<Design>,
    /// Input that does not fill a chunk yet.
    pending: Vec<f32>,
    /// What rings on after the last chunk, by twos.
    overlap: Vec<Complex32>,
    /// Samples by twos, at both rates, and their spectra.
    pairs: [Vec<Complex32>; 2],
    bins: [Vec<Complex32>; 2],
    scratch: Vec<Complex32>,
    /// Output samples that are still the engine's delay.
    delay: usize,
    taken: u64,
    given: u64,
}

/// What two rates need, whatever the samples.
struct Design {
    from: u32,
    to: u32,
    /// Samples of a chunk at the one rate, and at the other.
    size: usize,
    target: usize,
    forward: Forward,
    inverse: Inverse,
    /// The spectrum of the filter, as far as the other rate reaches.
    response: Vec<Complex32>,
}

/// The designs that were used last: to make one takes longer than to bring a hit to
/// another rate.
static DESIGNS: Mutex<Vec<Arc<Design>>> = Mutex::new(Vec::new());
/// Two for each of the usual rates, of 20 to 200 kB.
const MOST_DESIGNS: usize = 16;

impl Resampler {
    /// A resampler between two rates in Hz.
    ///
    /// # Panics
    ///
    /// If a rate is not between 1 kHz and 1 MHz.
    pub fn new(from: u32, to: u32) -> Self {
        assert!(RATES.contains(&from) && RATES.contains(&to), "{from} Hz to {to} Hz");
        Self { from, to, engine: (from != to).then(|| Engine::new(from, to)) }
    }

    /// Takes `input` and appends what is ready to `output`.
    pub fn push(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let Some(engine) = &mut self.engine else { return output.extend_from_slice(input) };
        engine.taken += input.len() as u64;
        let size = engine.design.size;
        let mut rest = input;
        if !engine.pending.is_empty() {
            let (fill, after) = rest.split_at(rest.len().min(size - engine.pending.len()));
            engine.pending.extend_from_slice(fill);
            rest = after;
            if engine.pending.len() < size {
                return;
            }
            let pending = std::mem::take(&mut engine.pending);
            engine.process(&pending, output);
            engine.pending = pending;
            engine.pending.clear();
        }
        let mut chunks = rest.chunks_exact(size);
        for chunk in &mut chunks {
            engine.process(chunk, output);
        }
        engine.pending.extend_from_slice(chunks.remainder());
    }

    /// Ends the stream, appends the rest to `output`, and starts anew.
    pub fn finish(&mut self, output: &mut Vec<f32>) {
        let Some(engine) = &mut self.engine else { return };
        let wanted = (engine.taken * u64::from(self.to)).div_ceil(u64::from(self.from));
        while engine.given < wanted {
            let mut chunk = std::mem::take(&mut engine.pending);
            chunk.resize(engine.design.size, 0.0);
            engine.process(&chunk, output);
            chunk.clear();
            engine.pending = chunk;
        }
        output.truncate(output.len() - (engine.given - wanted) as usize);
        engine.restart();
    }
}

impl Engine {
    fn new(from: u32, to: u32) -> Self {
        let design = Design::of(from, to);
        let values = |count: usize| vec![Complex32::ZERO; count];
        let (size, target) = (design.size, design.target);
        Self {
            pending: Vec::with_capacity(size),
            overlap: values(target / 2),
            pairs: [size, target].map(values),
            bins: [size + 1, target + 1].map(values),
            scratch: values(design.forward.scratch().max(design.inverse.scratch())),
            delay: target / 2,
            taken: 0,
            given: 0,
            design,
        }
    }

    fn restart(&mut self) {
        self.pending.clear();
        self.overlap.fill(Complex32::ZERO);
        self.delay = self.design.target / 2;
        (self.taken, self.given) = (0, 0);
    }

    fn process(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let Self { design, overlap, pairs: [pairs, out], bins: [bins, kept], scratch, .. } = self;
        let (before, behind) = pairs.split_at_mut(input.len() / 2);
        for (pair, samples) in before.iter_mut().zip(input.chunks_exact(2)) {
            *pair = Complex32::new(samples[0], samples[1]);
        }
        behind.fill(Complex32::ZERO);
        let needed = design.forward.scratch();
        design.forward.process(pairs, bins, &mut scratch[..needed]);
        let (passed, beyond) = kept.split_at_mut(design.response.len());
        vectorized(
            #[inline(always)]
            || {
                for ((passed, bin), weight) in passed.iter_mut().zip(bins).zip(&design.response) {
                    *passed = *bin * *weight;
                }
            },
        );
        beyond.fill(Complex32::ZERO);
        let needed = design.inverse.scratch();
        design.inverse.process(kept, out, &mut scratch[..needed]);
        let (now, later) = out.split_at(overlap.len());
        let at = output.len();
        output.resize(at + design.target, 0.0);
        let rings = overlap.iter_mut().zip(now.iter().zip(later));
        for (samples, (overlap, (now, later))) in output[at..].chunks_exact_mut(2).zip(rings) {
            (samples[0], samples[1]) = (now.re + overlap.re, now.im + overlap.im);
            *overlap = *later;
        }
        let late = self.delay.min(design.target);
        output.drain(at..at + late);
        self.delay -= late;
        self.given += (design.target - late) as u64;
    }
}

impl Design {
    /// That of two rates; one that there is, if it was used lately.
    fn of(from: u32, to: u32) -> Arc<Self> {
        let mut designs = DESIGNS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = designs.iter().position(|design| (design.from, design.to) == (from, to));
        let design = match known {
            Some(at) => designs.remove(at),
            None => Arc::new(Self::new(from, to)),
        };
        designs.insert(0, design.clone());
        designs.truncate(MOST_DESIGNS);
        design
    }

    fn new(from: u32, to: u32) -> Self {
        // Long enough to be efficient, short enough to stay in the cache.
        const CHUNK: usize = 1024;
        let common = greatest_common_divisor(from as usize, to as usize);
        let unit = from as usize / common;
        // The delay is half a chunk of output, and whole samples of it only if
        // the chunk is an even number of units.
        let units = CHUNK.div_ceil(unit).next_multiple_of(2);
        let (size, target) = (units * unit, units * (to as usize / common));
        let forward = Forward::new(2 * size);
        let response = response(size, target, &forward);
        Self { from, to, size, target, inverse: Inverse::new(2 * target), forward, response }
    }
}

/// The spectrum of the filter of chunks of `size` samples, of which `target` are left: up
/// to where the lower rate ends.
fn response(size: usize, target: usize, forward: &Forward) -> Vec<Complex32> {
    let cutoff = |points| calculate_cutoff::<f32>(points, WindowFunction::BlackmanHarris2);
    let cutoff = match size > target {
        true => cutoff(target) * target as f32 / size as f32,
        false => cutoff(size),
    };
    let middle = (size / 2) as f32;
    let taps: Vec<f32> =
        (0..size).map(|n| window(n, size) * sinc((n as f32 - middle) * cutoff)).collect();
    let sum: f32 = taps.iter().sum();
    let scale = (2 * size) as f32;
    let mut pairs: Vec<Complex32> = (taps.chunks_exact(2))
        .map(|taps| Complex32::new(taps[0] / sum / scale, taps[1] / sum / scale))
        .collect();
    pairs.resize(size, Complex32::ZERO);
    let mut bins = vec![Complex32::ZERO; size + 1];
    forward.process(&mut pairs, &mut bins, &mut vec![Complex32::ZERO; forward.scratch()]);
    bins.truncate(target.min(size + 1));
    bins
}

/// The square of a periodic Blackman-Harris window.
fn window(n: usize, length: usize) -> f32 {
    let cosine = |turns: f64| (turns * PI * n as f64 / length as f64).cos();
    let value = 0.35875 - 0.48829 * cosine(2.0) + 0.14128 * cosine(4.0) - 0.01168 * cosine(6.0);
    value as f32 * value as f32
}

fn sinc(x: f32) -> f32 {
    let angle = x * std::f32::consts::PI;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).field("to", &self.to).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use rubato::{
        Fft, FixedSync, Indexing, Resampler as _, audioadapter_buffers::direct::SequentialSlice,
    };

    use super::*;

    fn sine(hz: f64, rate: u32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (TAU * hz * n as f64 / f64::from(rate)).sin() as f32).collect()
    }

    fn resample(from: u32, to: u32, input: &[f32], block: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to);
        let mut output = Vec::new();
        for block in input.chunks(block) {
            resampler.push(block, &mut output);
        }
        resampler.finish(&mut output);
        output
    }

    const RATES: [u32; 10] =
        [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];

    #[test]
    fn the_output_is_as_long_as_the_input_in_time() {
        for from in RATES {
            for to in [16_000, 22_050, 24_000, 48_000] {
                for samples in [0, 1, 441, 5_000] {
                    let output = resample(from, to, &vec![0.5; samples], 1_000);
                    let expected = (samples as u64 * u64::from(to)).div_ceil(u64::from(from));
                    assert_eq!(output.len() as u64, expected, "{samples} from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn how_the_input_is_cut_does_not_matter() {
        let input = sine(440.0, 44_100, 20_000);
        let whole = resample(44_100, 22_050, &input, input.len());
        for block in [1, 7, 1_024, 1_152, 4_096] {
            assert_eq!(resample(44_100, 22_050, &input, block), whole, "blocks of {block}");
        }
    }

    #[test]
    fn a_tone_stays_the_same_tone_at_the_same_time() {
        for from in RATES {
            for to in [16_000, 22_050, 48_000] {
                // 0.5 s of a tone that both rates can carry.
                let input = sine(1_000.0, from, from as usize / 2);
                let output = resample(from, to, &input, 1_152);
                let expected = sine(1_000.0, to, output.len());
                // The ends touch what is before and after the input.
                let edge = output.len() / 10;
                let inner = edge..output.len() - edge;
                let worst = output[inner.clone()]
                    .iter()
                    .zip(&expected[inner])
                    .fold(0.0f32, |worst, (got, want)| worst.max((got - want).abs()));
                assert!(worst < 1e-3, "from {from} to {to}: off by {worst}");
            }
        }
    }

    #[test]
    fn what_the_target_cannot_carry_is_removed() {
        let output = resample(48_000, 16_000, &sine(12_000.0, 48_000, 24_000), 1_000);
        let inner = &output[1_000..output.len() - 1_000];
        let loudest = inner.iter().fold(0.0f32, |loudest, sample| loudest.max(sample.abs()));
        assert!(loudest < 1e-4, "{loudest}");
    }

    #[test]
    fn the_values_are_those_of_rubato() {
        for from in RATES {
            for to in [22_050, 32_000, 48_000] {
                if from == to {
                    continue;
                }
                let mut engine = Engine::new(from, to);
                let (size, target) = (engine.design.size, engine.design.target);
                let mut peer =
                    Fft::new(from as usize, to as usize, size, 1, FixedSync::Both).unwrap();
                assert_eq!((peer.input_frames_next(), peer.output_frames_max()), (size, target));
                assert_eq!(peer.output_delay(), engine.delay);
                engine.delay = 0;
                let input = sine(997.0, from, 3 * size);
                for chunk in input.chunks_exact(size) {
                    let mut output = Vec::new();

                    engine.process(chunk, &mut output);

                    let mut expected = vec![0.0; target];
                    peer.process_into_buffer(
                        &SequentialSlice::new(chunk, 1, size).unwrap(),
                        &mut SequentialSlice::new_mut(&mut expected, 1, target).unwrap(),
                        None::<&Indexing>,
                    )
                    .unwrap();
                    let bits = |values: &[f32]| -> Vec<u32> {
                        values.iter().map(|value| value.to_bits()).collect()
                    };
                    assert!(bits(&output) == bits(&expected), "from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn a_finished_resampler_can_be_used_again() {
        let input = sine(440.0, 48_000, 10_000);
        let mut resampler = Resampler::new(48_000, 22_050);
        let mut outputs = [Vec::new(), Vec::new()];
        for output in &mut outputs {
            resampler.push(&input, output);
            resampler.finish(output);
        }
        assert_eq!(outputs[0], outputs[1]);
    }
}
