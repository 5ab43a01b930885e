//! One pass over a file: what it is, and how learned models embed it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use songrec_audio::{Analysis, BlockSink, Result, Warning, analyze_into};
use songrec_core::{ModelName, Vector};

use crate::{
    batcher::Batcher,
    error::ModelError,
    song_embedder::{SongEmbedder, SongVectors, WindowVector},
};

/// What to find out about a file.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the file is, and what the built-in models make of it.
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
/// Like [`songrec_audio::analyze`], with learned models that listen. They have
/// threads of their own, and here need three of their windows.
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
    let sound = analyze_into(path, &wanted.sound, &mut sinks)?;
    let mut embedded = Embedded { sound, windows: BTreeMap::new(), failed: BTreeMap::new() };
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

impl Embedded {
    fn put(&mut self, model: ModelName, vector: Option<Vector>) {
        match vector {
            Some(vector) => _ = self.sound.embeddings.insert(model, vector),
            None => self.sound.warnings.push(Warning::NoEmbedding { model }),
        }
    }
}
