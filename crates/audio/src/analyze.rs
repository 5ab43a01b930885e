//! One pass over a file: everything songrec knows about it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use songrec_core::{AudioProperties, Features, ModelName, SongId, Tags, Vector};

use crate::{
    decode::Decoder,
    demux::Identity,
    dsp::{Extracted, Extractor, SAMPLE_RATE, Source},
    error::{Error, Reason, Result},
    models::{BuiltIn, Heard, built_in_models},
    resample::Resampler,
    tags::read_tags,
    warning::Warning,
};

/// What to find out about a file.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whether the song's own features are wanted.
    pub features: bool,
    /// The models whose vectors are wanted. Names that are not
    /// [built in](built_in_models) are left to others.
    pub models: Vec<ModelName>,
    /// The largest file to be read, in bytes.
    pub max_bytes: u64,
    /// Set by another thread to end the work early, with
    /// [`Reason::Cancelled`].
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Wanted {
    /// Everything, of files of any size.
    fn default() -> Self {
        Self {
            features: true,
            models: built_in_models().iter().map(|model| model.name.clone()).collect(),
            max_bytes: u64::MAX,
            cancel: None,
        }
    }
}

/// What was found out about a file.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The id of the song in it.
    pub song: SongId,
    /// What the file is.
    pub identity: Identity,
    /// How the audio is stored.
    pub audio: AudioProperties,
    /// What is written on it.
    pub tags: Tags,
    /// What the signal says, if wanted.
    pub features: Option<Features>,
    /// How the wanted models hear it.
    pub embeddings: BTreeMap<ModelName, Vector>,
    /// What a person may want to know.
    pub warnings: Vec<Warning>,
}

/// Reads and decodes `path` once and finds out all that is wanted.
///
/// Takes one thread, and less than 200 MB of memory however long the song is.
/// The same file gives the same answer, bit for bit, on the same machine.
///
/// # Errors
///
/// When there is no audio in the file that could be decoded. Damage to parts
/// of the file is a warning.
pub fn analyze(path: &Path, wanted: &Wanted) -> Result<Analysis> {
    let mut decoder = Decoder::open_up_to(path, wanted.max_bytes)?;
    let (heard, peak) = listen(path, &mut decoder, wanted)?;
    let identity = decoder.identity()?;
    let audio = decoder.properties();
    let (tags, problem) = read_tags(path);

    let mut warnings = Warning::of_damage(decoder.damage(), audio.sample_rate);
    warnings.extend(problem.map(|reason| Warning::Tags { reason }));
    let mut embeddings = BTreeMap::new();
    let mut features = None;
    if let Some(heard) = heard {
        warnings.extend(Warning::of_sound(&heard.features, peak, audio.duration));
        for name in &wanted.models {
            let Some(model) = BuiltIn::find(name) else { continue };
            match embed(model, &heard) {
                Some(vector) => _ = embeddings.insert(name.clone(), vector),
                None => warnings.push(Warning::NoEmbedding { model: name.clone() }),
            }
        }
        features = wanted.features.then_some(heard.features);
    }
    Ok(Analysis { song: identity.song(), identity, audio, tags, features, embeddings, warnings })
}

fn embed(model: &BuiltIn, heard: &Extracted) -> Option<Vector> {
    let raw45 = heard.raw45.as_ref()?;
    let groups = heard.features.groups.as_ref()?;
    model.embed(&Heard { raw45, groups })
}

/// Decodes all blocks; what is heard in them, and the highest sample.
fn listen(path: &Path, decoder: &mut Decoder, wanted: &Wanted) -> Result<(Option<Extracted>, f32)> {
    let listens = wanted.features || wanted.models.iter().any(|name| BuiltIn::find(name).is_some());
    let cancelled = || wanted.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed));
    let mut ears: Option<(Extractor, Resampler)> = None;
    let mut peak = 0.0f32;
    let (mut mono, mut resampled) = (Vec::new(), Vec::new());
    loop {
        if cancelled() {
            return Err(Error::new(path, Reason::Cancelled));
        }
        let Some(block) = decoder.next_block()? else { break };
        if !listens {
            continue;
        }
        let (extractor, resampler) = ears.get_or_insert_with(|| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let source =
                Source { sample_rate: block.sample_rate(), channels: block.channels(), name };
            (Extractor::new(source), Resampler::new(block.sample_rate(), SAMPLE_RATE))
        });
        extractor.push_decoded(block.samples());
        block.mono_into(&mut mono);
        peak = mono.iter().fold(peak, |peak, sample| sample.abs().max(peak));
        resampled.clear();
        resampler.push(&mono, &mut resampled);
        extractor.push_mono(&resampled);
    }
    let heard = ears.map(|(mut extractor, mut resampler)| {
        resampled.clear();
        resampler.finish(&mut resampled);
        extractor.push_mono(&resampled);
        extractor.finish()
    });
    Ok((heard, peak))
}
