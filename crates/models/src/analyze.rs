//! One pass over a file: what it is, and how learned models hear it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use songrec_audio::{Analysis, BlockSink, Result, Warning, analyze_into};
use songrec_core::{ModelName, Vector};

use crate::{
    ear::{Ear, HeardWindow, Impression},
    error::ModelError,
    listener::Listener,
};

/// What to find out about a file.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the file is, and what the built-in models make of it.
    pub sound: songrec_audio::Wanted,
    /// The learned models whose vectors are wanted, all from one decode.
    pub listeners: Vec<Arc<Listener>>,
    /// Whether the windows that they hear are wanted one by one.
    pub windows: bool,
}

/// What was found out about a file.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What the file is. Its embeddings are those of learned models, too, and
    /// its warnings name those that have no vector for it.
    pub sound: Analysis,
    /// What learned models heard window by window, if wanted; in the order of
    /// the song.
    pub windows: BTreeMap<ModelName, Vec<HeardWindow>>,
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
pub fn analyze(path: &Path, wanted: &Wanted) -> Result<Heard> {
    let start = wanted.sound.part.as_ref().map_or(0.0, |part| part.start.max(0.0));
    let mut ears: Vec<Ear> = wanted
        .listeners
        .iter()
        .map(|listener| Ear::new(listener.clone(), wanted.windows, start))
        .collect();
    let mut sinks: Vec<&mut dyn BlockSink> =
        ears.iter_mut().map(|ear| ear as &mut dyn BlockSink).collect();
    let sound = analyze_into(path, &wanted.sound, &mut sinks)?;
    let mut heard = Heard { sound, windows: BTreeMap::new(), failed: BTreeMap::new() };
    for ear in ears {
        let model = ear.model();
        match ear.finish() {
            // Models hear something in silence, too: whatever they make of the
            // zeros that they get.
            Ok(_) if heard.sound.is_silent => heard.put(model, None),
            Ok(Impression { vector, windows }) => {
                if wanted.windows {
                    heard.windows.insert(model.clone(), windows);
                }
                heard.put(model, vector);
            }
            Err(error) => _ = heard.failed.insert(model, error),
        }
    }
    Ok(heard)
}

impl Heard {
    fn put(&mut self, model: ModelName, vector: Option<Vector>) {
        match vector {
            Some(vector) => _ = self.sound.embeddings.insert(model, vector),
            None => self.sound.warnings.push(Warning::NoEmbedding { model }),
        }
    }
}
