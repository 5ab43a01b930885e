//! The contract of everything that turns audio into vectors.

use std::fmt;

use serde::{Deserialize, Serialize};
use songrec_core::{ModelSpec, Vector};

use crate::error::{ModelError, ModelErrorKind};

/// Turns windows of audio, and perhaps texts, into vectors.
///
/// What an implementation must provide, and no more. Cutting songs into
/// windows, taking means over them and scaling to length 1 is done by
/// [`analyze`](crate::analyze), batches across songs by a
/// [`Batcher`](super::Batcher).
///
/// # Semantics
///
/// A vector is a pure function of the window: neither what else is in the
/// batch, nor the number of threads, nor the time may change it by more than
/// 1e-5 in any element; on a processor the same call on one machine gives the
/// same bits. Graphics cards and servers need not keep to the last bits.
///
/// # Errors
///
/// One error answers a whole call. It names the model, and its
/// [kind](ModelError::kind) tells callers whether to try again later.
///
/// # Cancellation
///
/// Calls block. They may be made from several threads at once.
pub trait Embedder: fmt::Debug + Send + Sync {
    /// The model's name, the dimension of its vectors and their metric.
    fn spec(&self) -> &ModelSpec;

    /// Which windows the model takes.
    fn windowing(&self) -> &Windowing;

    /// What computes the vectors, for people: `rten 0.27`,
    /// `ONNX Runtime 1.31.1 (cpu)`, `http://localhost:8000`.
    fn engine(&self) -> String;

    /// How calls of [`embed`](Self::embed) are best made.
    fn batching(&self) -> Batching;

    /// Makes the engine's input of one window: the model's front end, such as
    /// a mel spectrogram, or the samples themselves.
    ///
    /// `window` holds mono samples at the model's sample rate, of the window's
    /// length; shorter only under [`Short::Keep`]. Called on the thread that
    /// decodes.
    fn prepare(&self, window: &[f32]) -> Vec<f32>;

    /// One vector for each of `inputs`, in their order; they are
    /// [prepared](Self::prepare) windows, any number of them.
    ///
    /// # Errors
    ///
    /// When not all of them could be computed, or the engine gave something
    /// that is no vector of this model.
    fn embed(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vector>, ModelError>;

    /// Whether the model can read text.
    fn reads_text(&self) -> bool;

    /// One vector for each of `texts`, in their order, comparable with those
    /// of audio.
    ///
    /// # Errors
    ///
    /// `Unsupported` when the model cannot read.
    fn embed_text(&self, texts: &[&str]) -> Result<Vec<Vector>, ModelError>;
}

/// Which windows of a song a model takes, at which sample rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Windowing {
    /// Samples per second of one channel.
    pub sample_rate: u32,
    /// Samples in a window.
    pub window: usize,
    /// Samples from the start of a window to that of the next; at most
    /// `window`, so that no sample is left out.
    pub hop: usize,
    /// What is done with a song that is shorter than one window.
    pub short: Short,
    /// Whether the vectors of windows, and their mean, are scaled to length 1.
    pub normalize: bool,
}

/// What is done with a song that is shorter than one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Short {
    /// Repeated as often as it fits as a whole, then silence; CLAP's
    /// `repeatpad`.
    #[default]
    Repeat,
    /// Repeated until the window is full.
    RepeatAndCut,
    /// Silence after it.
    Silence,
    /// Nothing: the window is as short as the song, but not under 25 ms, the
    /// least that such models embed.
    Keep,
}

/// How calls are best made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Windows in one call; at least 1.
    pub inputs: usize,
    /// Calls at the same time; at least 1.
    pub calls: usize,
}

/// What an engine gave for one window, as a vector of the model.
///
/// # Errors
///
/// When the number of values is not the model's dimension, or one of them is
/// not a finite number: then this is another model, or a broken one.
pub fn checked_vector(spec: &ModelSpec, values: Vec<f32>) -> Result<Vector, ModelError> {
    if values.len() != spec.dimension {
        return Err(ModelError::new(
            &spec.name,
            ModelErrorKind::Mismatch,
            format!(
                "the engine gave a vector of {} dimensions, but the model has {}",
                values.len(),
                spec.dimension
            ),
        )
        .with_hint("another model answers under this name: add the right one, or give this one a name of its own"));
    }
    Vector::new(values).map_err(|error| {
        ModelError::new(
            &spec.name,
            ModelErrorKind::Failed,
            "the engine gave something that is no vector",
        )
        .because(error)
        .with_hint("verify the model's files; then try the other engine")
    })
}
