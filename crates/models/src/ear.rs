//! What one listener hears of one song.

use std::{collections::VecDeque, sync::Arc};

use songrec_audio::BlockSink;
use songrec_core::{ModelName, Vector};

use crate::{
    error::ModelError,
    listener::{Listener, Pending},
    pooling::{Pool, of_one},
    windows::{Window, Windows},
};

/// Answers that may be outstanding before the first of them is waited for.
/// They are small; what is large, the windows themselves, waits in the
/// listener's own bounded queue.
const MOST_PENDING: usize = 256;

/// A window of a song and what a model heard in it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeardWindow {
    /// Where it begins, in seconds from the start of the song.
    pub start: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// What the model heard.
    pub vector: Vector,
}

/// What a model heard in a song.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Impression {
    /// The song's vector; None when there is no direction in it, or no sound.
    pub(crate) vector: Option<Vector>,
    /// The windows, if they were asked for.
    pub(crate) windows: Vec<HeardWindow>,
}

/// One listener's side of one song: cuts it into windows, hands them over, and
/// collects the vectors.
#[derive(Debug)]
pub(crate) struct Ear {
    listener: Arc<Listener>,
    /// None once something failed: then the rest need not be heard.
    windows: Option<Windows>,
    keeps_windows: bool,
    /// Where in the song its first sample is, in seconds.
    offset: f64,
    pending: VecDeque<(Span, Pending)>,
    pool: Pool,
    heard: Vec<HeardWindow>,
    error: Option<ModelError>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    end: u64,
    weight: u64,
}

impl Ear {
    pub(crate) fn new(listener: Arc<Listener>, keeps_windows: bool, offset: f64) -> Self {
        Self {
            windows: Some(Windows::new(listener.embedder().listening())),
            listener,
            keeps_windows,
            offset,
            pending: VecDeque::new(),
            pool: Pool::default(),
            heard: Vec::new(),
            error: None,
        }
    }

    /// The model.
    pub(crate) fn model(&self) -> ModelName {
        self.listener.spec().name.clone()
    }

    fn hear(&mut self, window: Window) {
        if self.error.is_some() {
            return;
        }
        while self.pending.len() >= MOST_PENDING {
            self.collect_one();
        }
        let Window { start, end, weight, samples } = window;
        self.pending.push_back((Span { start, end, weight }, self.listener.hear(&samples)));
    }

    /// Waits for the oldest window that is outstanding.
    fn collect_one(&mut self) {
        let Some((span, pending)) = self.pending.pop_front() else { return };
        match pending.wait() {
            Ok(vector) if self.error.is_none() => {
                self.pool.add(&vector, span.weight);
                let listening = self.listener.embedder().listening();
                if self.keeps_windows
                    && let Some(vector) = of_one(&vector, listening.normalize)
                {
                    let rate = f64::from(listening.sample_rate);
                    self.heard.push(HeardWindow {
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
    pub(crate) fn finish(mut self) -> Result<Impression, ModelError> {
        self.end();
        while !self.pending.is_empty() {
            self.collect_one();
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let normalize = self.listener.embedder().listening().normalize;
        let spec = self.listener.spec();
        // Under cosine a zero vector has no direction, and is none.
        let vector = self.pool.finish(normalize).filter(|vector| spec.refuses(vector).is_none());
        Ok(Impression { vector, windows: self.heard })
    }
}

impl BlockSink for Ear {
    fn sample_rate(&self) -> u32 {
        self.listener.embedder().listening().sample_rate
    }

    fn push(&mut self, samples: &[f32]) {
        let Some(mut windows) = self.windows.take() else { return };
        windows.push(samples, |window| self.hear(window));
        if self.error.is_none() {
            self.windows = Some(windows);
        }
    }

    /// Hands the last window over.
    fn end(&mut self) {
        if let Some(windows) = self.windows.take() {
            windows.finish(|window| self.hear(window));
        }
    }
}
