//! What one batcher sees one song.

use std::{collections::VecDeque, sync::Arc};

use songrec_audio::BlockSink;
use songrec_core::{ModelName, Vector};

use crate::{
    batcher::{Batcher, Pending},
    error::ModelError,
    pooling::{Pool, of_one},
    windows::{Window, Windows},
};

/// Answers that may be outstanding before the first of them is waited for.
/// They are small; what is large, the windows themselves, waits in the
/// batcher's own bounded queue.
const MOST_PENDING: usize = 256;

/// A window of a song and the model's vector of it.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowVector {
    /// Where it begins, in seconds from the start of the song.
    pub start: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// The model's vector.
    pub vector: Vector,
}

/// The vectors of a song by one model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SongVectors {
    /// The song's vector; None when there is no direction in it, or no sound.
    pub(crate) vector: Option<Vector>,
    /// The windows, if they were asked for.
    pub(crate) windows: Vec<WindowVector>,
}

/// One batcher's side of one song: cuts it into windows, hands them over, and
/// collects the vectors.
#[derive(Debug)]
pub(crate) struct SongEmbedder {
    batcher: Arc<Batcher>,
    /// None once something failed: then the rest need not be embedded.
    windows: Option<Windows>,
    keeps_windows: bool,
    /// Where in the song its first sample is, in seconds.
    offset: f64,
    pending: VecDeque<(Span, Pending)>,
    pool: Pool,
    embedded: Vec<WindowVector>,
    error: Option<ModelError>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    end: u64,
    weight: u64,
}

impl SongEmbedder {
    pub(crate) fn new(batcher: Arc<Batcher>, keeps_windows: bool, offset: f64) -> Self {
        Self {
            windows: Some(Windows::new(batcher.embedder().windowing())),
            batcher,
            keeps_windows,
            offset,
            pending: VecDeque::new(),
            pool: Pool::default(),
            embedded: Vec::new(),
            error: None,
        }
    }

    /// The model.
    pub(crate) fn model(&self) -> ModelName {
        self.batcher.spec().name.clone()
    }

    fn embed(&mut self, window: Window) {
        if self.error.is_some() {
            return;
        }
        while self.pending.len() >= MOST_PENDING {
            self.collect_one();
        }
        let Window { start, end, weight, samples } = window;
        self.pending.push_back((Span { start, end, weight }, self.batcher.embed(&samples)));
    }

    /// Waits for the oldest window that is outstanding.
    fn collect_one(&mut self) {
        let Some((span, pending)) = self.pending.pop_front() else { return };
        match pending.wait() {
            Ok(vector) if self.error.is_none() => {
                self.pool.add(&vector, span.weight);
                let windowing = self.batcher.embedder().windowing();
                if self.keeps_windows
                    && let Some(vector) = of_one(&vector, windowing.normalize)
                {
                    let rate = f64::from(windowing.sample_rate);
                    self.embedded.push(WindowVector {
                        start: self.offset + span.start as f64 / rate,
                        end: self.offset + span.end as f64 / rate,
                        vector,
                    });
                }
            }
            Ok(_) => (),
            Err(error) => _ = self.error.get_or_insert(error),
        }
    }

    /// Waits for all that is outstanding.
    pub(crate) fn finish(mut self) -> Result<SongVectors, ModelError> {
        self.end();
        while !self.pending.is_empty() {
            self.collect_one();
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let normalize = self.batcher.embedder().windowing().normalize;
        let spec = self.batcher.spec();
        // Under cosine a zero vector has no direction, and is none.
        let vector = self.pool.finish(normalize).filter(|vector| spec.refuses(vector).is_none());
        Ok(SongVectors { vector, windows: self.embedded })
    }
}

impl BlockSink for SongEmbedder {
    fn sample_rate(&self) -> u32 {
        self.batcher.embedder().windowing().sample_rate
    }

    fn push(&mut self, samples: &[f32]) {
        let Some(mut windows) = self.windows.take() else { return };
        windows.push(samples, |window| self.embed(window));
        if self.error.is_none() {
            self.windows = Some(windows);
        }
    }

    /// Hands the last window over.
    fn end(&mut self) {
        if let Some(windows) = self.windows.take() {
            windows.finish(|window| self.embed(window));
        }
    }
}
