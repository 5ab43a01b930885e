//! How fast a model embeds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use songrec_core::{Event, Job, ModelName, Work};
use songrec_models::{Batcher, ModelError, Windows};

use super::{KnownModel, ModelPlace, Models};
use crate::{Error, ErrorKind, Result, work::blocking};

/// How fast a model embedded.
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
    /// Seconds of audio that it embedded.
    pub audio_seconds: f64,
    /// Windows that it embedded.
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

/// Lets a learned model embed so many seconds of noise, and measures. Reports
/// each window to `job`.
///
/// # Errors
///
/// When it cannot be opened, or does not embed. `Interrupted` if `job` was.
pub async fn bench_model(
    models: &Arc<Models>,
    model: &KnownModel,
    seconds: f64,
    job: &Job,
) -> Result<ModelBench> {
    if matches!(model.place, ModelPlace::BuiltIn) {
        return Err(Error::usage(format_args!("`{}` is a part of songrec", model.spec.name))
            .with_hint("built-in models embed together with everything else: time a scan"));
    }
    let began = Instant::now();
    let batcher = models.batcher(model).await?;
    let load = began.elapsed();
    let worker = (batcher.clone(), job.clone());
    job.on(Event::started(Work::Measuring, None));
    let took = blocking(move || embed_noise(&worker.0, seconds, &worker.1)).await;
    job.on(Event::Finished);
    let Some(took) = took?? else {
        return Err(Error::new(
            ErrorKind::Interrupted,
            "interrupted before all of it was embedded",
        ));
    };
    let figures = batcher.figures();
    let batching = batcher.embedder().batching();
    let per_window = |time: Duration| time.as_secs_f64() * 1000.0 / figures.windows.max(1) as f64;
    Ok(ModelBench {
        model: model.spec.name.clone(),
        engine: batcher.embedder().engine(),
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
        server: models.server_figures(model),
    })
}

// Noise: no model is faster on it than on music. Always the same. Nothing if the
// job was interrupted.
fn embed_noise(
    batcher: &Batcher,
    seconds: f64,
    job: &Job,
) -> std::result::Result<Option<Duration>, ModelError> {
    let windowing = batcher.embedder().windowing().clone();
    let mut left = ((seconds * f64::from(windowing.sample_rate)) as usize).max(1);
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
    let mut windows = Windows::new(&windowing);
    let mut pending = Vec::new();
    while left > 0 {
        if job.is_interrupted() {
            return Ok(None);
        }
        let block = left.min(windowing.sample_rate as usize);
        windows.push(&noise(block), |window| pending.push(batcher.embed(&window.samples)));
        left -= block;
    }
    windows.finish(|window| pending.push(batcher.embed(&window.samples)));
    for answer in pending {
        if job.is_interrupted() {
            return Ok(None);
        }
        answer.wait()?;
        job.on(Event::Advanced { item: "", bytes: 0 });
    }
    Ok(Some(began.elapsed()))
}
