//! One pass over a file: what it is, and how learned models embed it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use songrec_audio::{Analysis, BlockSink, Result, Warning, analyze_into};
use songrec_core::{ModelName, Vector};

#[cfg(feature = "rten")]
use crate::timbre::{Sounding, TimbreEmbedder, TimbreOutput, timbre};
use crate::{
    batcher::Batcher,
    error::ModelError,
    song_embedder::{SongEmbedder, SongVectors, WindowVector},
};

/// What to find out about a file.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the file is, and what the [built-in models](crate::built_in_models) make
    /// of it.
    pub sound: songrec_audio::Wanted,
    /// The learned models whose vectors are wanted, all from one decode.
    pub batchers: Vec<Arc<Batcher>>,
    /// Whether the windows that they embed are wanted one by one.
    pub windows: bool,
}

/// What was found out about a file.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// What the file is. Its embeddings are those of learned models, too, and
    /// its warnings name those that have no vector for it.
    pub sound: Analysis,
    /// The vectors of learned models window by window, if wanted; in the order of
    /// the song.
    pub windows: BTreeMap<ModelName, Vec<WindowVector>>,
    /// The learned models that failed, and why. Everything else is as good as
    /// without them.
    pub failed: BTreeMap<ModelName, ModelError>,
}

/// Reads and decodes `path` once and finds out all that is wanted.
///
/// Like [`songrec_audio::analyze`], with models beside it. Those of batchers have
/// threads of their own, and here need three of their windows; the one that ships
/// with songrec works after the last sample, while this thread waits, and needs up to
/// 30 MB.
///
/// # Errors
///
/// When there is no audio in the file that could be decoded. A model that
/// failed is named in the answer.
pub fn analyze(path: &Path, wanted: &Wanted) -> Result<Embedded> {
    let start = wanted.sound.part.as_ref().map_or(0.0, |part| part.start.max(0.0));
    let mut embedders: Vec<SongEmbedder> = wanted
        .batchers
        .iter()
        .map(|batcher| SongEmbedder::new(batcher.clone(), wanted.windows, start))
        .collect();
    let mut sinks: Vec<&mut dyn BlockSink> =
        embedders.iter_mut().map(|song_embedder| song_embedder as &mut dyn BlockSink).collect();
    #[cfg(feature = "rten")]
    let (wants_timbre, mut timbre_embedder) = timbre_embedder(wanted);
    #[cfg(feature = "rten")]
    sinks.extend(timbre_embedder.as_mut().map(|embedder| embedder as &mut dyn BlockSink));
    #[cfg(feature = "rten")]
    let mut sounding = wants_timbre.then(Sounding::default);
    #[cfg(feature = "rten")]
    sinks.extend(sounding.as_mut().map(|sounding| sounding as &mut dyn BlockSink));
    #[cfg(feature = "rten")]
    let sound = &songrec_audio::Wanted { values: wants_timbre, ..wanted.sound.clone() };
    #[cfg(not(feature = "rten"))]
    let sound = &wanted.sound;
    let sound = analyze_into(path, sound, &mut sinks)?;
    let mut embedded = Embedded { sound, windows: BTreeMap::new(), failed: BTreeMap::new() };
    #[cfg(feature = "rten")]
    if let Some(timbre_embedder) = timbre_embedder {
        embedded.put_timbre(timbre_embedder, sounding);
    }
    for song_embedder in embedders {
        let model = song_embedder.model();
        match song_embedder.finish() {
            // Models embed something in silence, too: whatever they make of the
            // zeros that they get.
            Ok(_) if embedded.sound.is_silent => embedded.put(model, None),
            Ok(SongVectors { vector, windows }) => {
                if wanted.windows {
                    embedded.windows.insert(model.clone(), windows);
                }
                embedded.put(model, vector);
            }
            Err(error) => _ = embedded.failed.insert(model, error),
        }
    }
    Ok(embedded)
}

/// Whether the model that ships with songrec is wanted, and what computes it: the
/// song's features need what its network says, too.
#[cfg(feature = "rten")]
fn timbre_embedder(wanted: &Wanted) -> (bool, Option<TimbreEmbedder>) {
    let wants_timbre = wanted.sound.models.contains(&timbre());
    let is_needed = wants_timbre || wanted.sound.features;
    (wants_timbre, is_needed.then(TimbreEmbedder::default))
}

impl Embedded {
    /// Takes what the model that ships with songrec gives.
    #[cfg(feature = "rten")]
    fn put_timbre(&mut self, embedder: TimbreEmbedder, sounding: Option<Sounding>) {
        let wants_vector = sounding.is_some();
        match embedder.finish() {
            Ok(output) => {
                let output = output.filter(|_| !self.sound.is_silent);
                if let Some((output, features)) = output.as_ref().zip(self.sound.features.as_mut())
                {
                    output.describe(self.sound.audio.duration, features);
                }
                if let Some(sounding) = sounding {
                    let vector = self.sound.values.as_ref().and_then(|whole| {
                        let dsp45 = sounding.values();
                        let dsp45 = dsp45.as_deref().unwrap_or(&whole.dsp45);
                        TimbreOutput::vector(output.as_ref(), dsp45, &whole.dsp47)
                    });
                    self.put(timbre(), vector);
                }
            }
            Err(error) if wants_vector => _ = self.failed.insert(timbre(), error),
            Err(_) => {}
        }
    }

    fn put(&mut self, model: ModelName, vector: Option<Vector>) {
        match vector {
            Some(vector) => _ = self.sound.embeddings.insert(model, vector),
            None => self.sound.warnings.push(Warning::NoEmbedding { model }),
        }
    }
}
