//! How fast a model hears.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use songrec_core::ModelName;
use songrec_models::{Listener, ModelError, Windows};

use super::{KnownModel, ModelPlace, Models};
use crate::{Error, Result, work::blocking};

/// How fast a model heard.
#[derive(Clone, Debug, Serialize)]
pub struct ModelBench {
    /// The model.
    pub model: ModelName,
    /// What computes it.
    pub engine: String,
    /// Windows in one call of it, and calls at the same time.
    pub batch: usize,
    /// Calls at the same time.
    pub calls_at_once: usize,
    /// Seconds until it was open.
    pub load_seconds: f64,
    /// Seconds of audio that it heard.
    pub audio_seconds: f64,
    /// Windows that it heard.
    pub windows: u64,
    /// Seconds that took.
    pub seconds: f64,
    /// How much faster than the audio plays.
    pub times_real_time: f64,
    /// The mean of a window, in milliseconds, as far as the engine is
    /// concerned.
    pub engine_ms_per_window: f64,
    /// And what is done with the window before.
    pub front_end_ms_per_window: f64,
    /// How the server did, if it is one.
    #[cfg(feature = "bridge")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<songrec_models::remote::Figures>,
}

impl Models {
    /// Lets a learned model hear so many seconds of noise, and measures.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or does not hear.
    pub async fn bench(self: &Arc<Self>, model: &KnownModel, seconds: f64) -> Result<ModelBench> {
        if matches!(model.place, ModelPlace::BuiltIn) {
            return Err(Error::usage(format_args!("`{}` is a part of songrec", model.spec.name))
                .with_hint("built-in models hear together with everything else: time a scan"));
        }
        let began = Instant::now();
        let listener = self.listener(model).await?;
        let load = began.elapsed();
        let worker = listener.clone();
        let took = blocking(move || hear_noise(&worker, seconds)).await??;
        let figures = listener.figures();
        let batching = listener.embedder().batching();
        let per_window =
            |time: Duration| time.as_secs_f64() * 1000.0 / figures.windows.max(1) as f64;
        Ok(ModelBench {
            model: model.spec.name.clone(),
            engine: listener.embedder().engine(),
            batch: batching.inputs,
            calls_at_once: batching.calls,
            load_seconds: load.as_secs_f64(),
            audio_seconds: seconds,
            windows: figures.windows,
            seconds: took.as_secs_f64(),
            times_real_time: seconds / took.as_secs_f64().max(1e-9),
            engine_ms_per_window: per_window(figures.engine),
            front_end_ms_per_window: per_window(figures.front_end),
            #[cfg(feature = "bridge")]
            server: self.server_figures(model),
        })
    }
}

// Noise: no model is faster on it than on music. Always the same.
fn hear_noise(listener: &Listener, seconds: f64) -> std::result::Result<Duration, ModelError> {
    let listening = listener.embedder().listening().clone();
    let mut left = ((seconds * f64::from(listening.sample_rate)) as usize).max(1);
    let mut state = 0x9e37_79b9_u32;
    let mut noise = |count: usize| -> Vec<f32> {
        let next = || {
            // Xorshift, by Marsaglia.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state as f32 / u32::MAX as f32 - 0.5) * 0.5
        };
        std::iter::repeat_with(next).take(count).collect()
    };
    let began = Instant::now();
    let mut windows = Windows::new(&listening);
    let mut pending = Vec::new();
    while left > 0 {
        let block = left.min(listening.sample_rate as usize);
        windows.push(&noise(block), |window| pending.push(listener.hear(&window.samples)));
        left -= block;
    }
    windows.finish(|window| pending.push(listener.hear(&window.samples)));
    for answer in pending {
        answer.wait()?;
    }
    Ok(began.elapsed())
}
