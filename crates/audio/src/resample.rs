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
        let fft = Fft::new(from as usize, to as usize, CHUNK, 1, FixedSync::Both)
            .expect("both rates are above zero");
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

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).field("to", &self.to).finish()
    }
}
