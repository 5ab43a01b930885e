//! One channel at another sample rate, as a stream.

use std::fmt;

use rubato::{
    Fft, FixedSync, Indexing, Resampler as _, audioadapter_buffers::direct::SequentialSlice,
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
    fft: Fft<f32>,
    /// Samples that are taken at once.
    size: usize,
    /// Input that does not fill a chunk yet.
    pending: Vec<f32>,
    chunk: Vec<f32>,
    /// Output samples that are still the engine's delay.
    delay: usize,
    taken: u64,
    given: u64,
}

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
        let size = engine.size;
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
            chunk.resize(engine.size, 0.0);
            engine.process(&chunk, output);
            chunk.clear();
            engine.pending = chunk;
        }
        output.truncate(output.len() - (engine.given - wanted) as usize);
        *engine = Engine::new(self.from, self.to);
    }
}

impl Engine {
    fn new(from: u32, to: u32) -> Self {
        // Long enough to be efficient, short enough to stay in the cache.
        const CHUNK: usize = 1024;
        let (from, to) = (from as usize, to as usize);
        let unit = from / greatest_common_divisor(from, to);
        // The delay is half a chunk of output, and whole samples of it only if
        // the chunk is an even number of units.
        let chunk = unit * CHUNK.div_ceil(unit).next_multiple_of(2);
        let fft = Fft::new(from, to, chunk, 1, FixedSync::Both).expect("both rates are above zero");
        Self {
            size: fft.input_frames_next(),
            pending: Vec::with_capacity(fft.input_frames_next()),
            chunk: vec![0.0; fft.output_frames_max()],
            delay: fft.output_delay(),
            fft,
            taken: 0,
            given: 0,
        }
    }

    fn process(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let frames = self.chunk.len();
        let (_, produced) = {
            let from = SequentialSlice::new(input, 1, input.len()).expect("one channel");
            let mut to = SequentialSlice::new_mut(&mut self.chunk, 1, frames).expect("one channel");
            self.fft
                .process_into_buffer(&from, &mut to, None::<&Indexing>)
                .expect("the buffers have the sizes that were asked for")
        };
        let late = self.delay.min(produced);
        self.delay -= late;
        output.extend_from_slice(&self.chunk[late..produced]);
        self.given += (produced - late) as u64;
    }
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
