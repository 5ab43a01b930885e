//! One pass over a file: everything songrec knows about it.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use songrec_core::{AudioProperties, Features, ModelName, SongId, Tags, Vector};

use crate::{
    built_in::{BuiltIn, ModelInput, built_in_models},
    decode::Block,
    decoder::Decoder,
    demux::Identity,
    dsp::{self, Extracted, Extractor, Source},
    error::{Error, Reason, Result},
    ffmpeg::Ffmpeg,
    opening::Opening,
    picture::peak,
    resample::Resampler,
    sink::BlockSink,
    tags::read_tags_by,
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
    /// Whether [`Analysis::values`] are wanted, though none of these is.
    pub values: bool,
    /// The only part of the song that is analysed, in seconds from its
    /// start; what the file is and how long is found out all the same.
    pub part: Option<Range<f64>>,
    /// The largest file to be read, in bytes.
    pub max_bytes: u64,
    /// The program that reads what nothing here does.
    pub ffmpeg: Option<Arc<Ffmpeg>>,
    /// Set by another thread to end the work early, with
    /// [`Reason::Cancelled`].
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Wanted {
    /// All that is built in, of whole files of any size.
    fn default() -> Self {
        Self {
            features: true,
            models: built_in_models().iter().map(|model| model.name.clone()).collect(),
            values: false,
            part: None,
            max_bytes: u64::MAX,
            ffmpeg: None,
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
    /// What models join to their own; None for silence, and where only learned models
    /// are wanted.
    pub values: Option<Values>,
    /// The vectors of the wanted models.
    pub embeddings: BTreeMap<ModelName, Vector>,
    /// Whether the mean of all channels, which models get, is silence: then
    /// the built-in ones have no vector, and others should not have one either.
    pub is_silent: bool,
    /// What a person may want to know.
    pub warnings: Vec<Warning>,
}

/// The vectors of two built-in models, for those that are made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The 45 values of `dsp45@1`.
    pub dsp45: Vec<f32>,
    /// The 47 values of `dsp47@2`.
    pub dsp47: Vec<f32>,
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
    analyze_into(path, wanted, &mut [])
}

/// Does the same, and feeds `sinks` from the same decode.
///
/// # Errors
///
/// As [`analyze`]; what a sink got until then is not all of the song.
pub fn analyze_into(
    path: &Path,
    wanted: &Wanted,
    sinks: &mut [&mut dyn BlockSink],
) -> Result<Analysis> {
    let opening = Opening {
        max_bytes: wanted.max_bytes,
        ffmpeg: wanted.ffmpeg.clone(),
        cancel: wanted.cancel.clone(),
    };
    let mut decoder = Decoder::open_with(path, &opening)?;
    let extracted = decode(path, &mut decoder, wanted, sinks)?;
    let identity = decoder.identity()?;
    let audio = decoder.properties();
    let (tags, problem) = read_tags_by(path, wanted.ffmpeg.as_deref());

    let mut warnings = Warning::of_damage(decoder.damage(), audio.sample_rate);
    warnings.extend(problem.map(|reason| Warning::Tags { reason }));
    let mut analysis = Analysis {
        song: identity.song(),
        identity,
        audio,
        tags,
        features: None,
        values: None,
        embeddings: BTreeMap::new(),
        is_silent: true,
        warnings,
    };
    if let Some(extracted) = extracted {
        extracted.describe(wanted, &mut analysis);
    }
    analysis.audio.warnings = analysis.warnings.iter().filter_map(Warning::kept).collect();
    Ok(analysis)
}

/// Everything that takes a song's samples while it is decoded.
struct Feed<'a, 'b> {
    /// The part of the song that is analysed, in frames as decoded.
    part: Range<u64>,
    /// Frames decoded so far.
    frames: u64,
    extractor: Option<Extractor>,
    /// The highest sample of any channel, and of their mean, which is what
    /// models hear: channels can cancel each other out.
    loudest: f32,
    peak: f32,
    /// Those of others.
    sinks: &'a mut [&'b mut dyn BlockSink],
    /// One for each sample rate that somebody wants.
    resamplers: BTreeMap<u32, Resampler>,
    mono: Vec<f32>,
    resampled: Vec<f32>,
}

/// What was analysed.
struct Measured {
    extracted: Option<Extracted>,
    loudest: f32,
    peak: f32,
}

impl<'a, 'b> Feed<'a, 'b> {
    fn new(
        path: &Path,
        block: &Block<'_>,
        wanted: &Wanted,
        sinks: &'a mut [&'b mut dyn BlockSink],
    ) -> Self {
        let rate = block.sample_rate();
        let part = wanted.part.clone().unwrap_or(0.0..f64::INFINITY);
        // Casts saturate: before the start is the start, infinity is the end.
        let frame = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
        let described = wanted.features
            || wanted.values
            || wanted.models.iter().any(|name| BuiltIn::find(name).is_some());
        let extractor = described.then(|| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            Extractor::new(Source { sample_rate: rate, channels: block.channels(), name })
        });
        let rates = sinks.iter().map(|sink| sink.sample_rate());
        let resamplers = rates
            .chain(extractor.as_ref().map(Extractor::sample_rate))
            .map(|to| (to, Resampler::new(rate, to)))
            .collect();
        Self {
            part: frame(part.start)..frame(part.end),
            frames: 0,
            extractor,
            loudest: 0.0,
            peak: 0.0,
            sinks,
            resamplers,
            mono: Vec::new(),
            resampled: Vec::new(),
        }
    }

    fn push(&mut self, block: &Block<'_>) {
        let first = self.frames;
        self.frames += block.frames() as u64;
        let start = self.part.start.max(first) - first;
        let end = self.part.end.min(self.frames).saturating_sub(first);
        if start >= end {
            return;
        }
        let block = block.part(start as usize..end as usize);
        block.mono_into(&mut self.mono);
        self.peak = self.peak.max(peak(&self.mono));
        self.loudest = self.loudest.max(peak(block.samples()));
        if let Some(extractor) = &mut self.extractor {
            extractor.push_decoded(block.samples());
        }
        for (&rate, resampler) in &mut self.resamplers {
            self.resampled.clear();
            resampler.push(&self.mono, &mut self.resampled);
            feed(rate, &self.resampled, self.sinks, &mut self.extractor);
        }
    }

    fn finish(mut self) -> Measured {
        for (&rate, resampler) in &mut self.resamplers {
            self.resampled.clear();
            resampler.finish(&mut self.resampled);
            feed(rate, &self.resampled, self.sinks, &mut self.extractor);
        }
        self.sinks.iter_mut().for_each(|sink| sink.end());
        Measured {
            // While the engines behind the sinks still compute, the rest is
            // described.
            extracted: self.extractor.map(Extractor::finish),
            loudest: self.loudest,
            peak: self.peak,
        }
    }
}

/// Hands samples of one rate to all who want it.
fn feed(
    rate: u32,
    samples: &[f32],
    sinks: &mut [&mut dyn BlockSink],
    extractor: &mut Option<Extractor>,
) {
    for sink in sinks.iter_mut().filter(|sink| sink.sample_rate() == rate) {
        sink.push(samples);
    }
    if let Some(extractor) = extractor.as_mut().filter(|own| own.sample_rate() == rate) {
        extractor.push(samples);
    }
}

impl Measured {
    fn describe(self, wanted: &Wanted, analysis: &mut Analysis) {
        let is_silent = self.peak < Warning::SILENCE;
        analysis.is_silent = is_silent;
        if self.loudest < Warning::SILENCE {
            analysis.warnings.push(Warning::Silent);
        }
        if let Some(extracted) = self.extracted {
            let duration = match &wanted.part {
                Some(part) => part.end.min(analysis.audio.duration) - part.start.max(0.0),
                None => analysis.audio.duration,
            };
            if !is_silent {
                analysis.warnings.extend(Warning::of_sound(&extracted.features, duration));
            }
            for name in &wanted.models {
                let Some(model) = BuiltIn::find(name) else { continue };
                let vector = if is_silent { None } else { embed(model, &extracted) };
                analysis.put(name.clone(), vector);
            }
            let measured = extracted.raw45.as_ref().zip(extracted.features.groups.as_ref());
            analysis.values = measured.filter(|_| !is_silent).map(|(raw45, groups)| Values {
                dsp45: dsp::dsp45(raw45),
                dsp47: dsp::dsp47(groups),
            });
            analysis.features = wanted.features.then_some(extracted.features);
        }
    }
}

impl Analysis {
    fn put(&mut self, model: ModelName, vector: Option<Vector>) {
        match vector {
            Some(vector) => _ = self.embeddings.insert(model, vector),
            None => self.warnings.push(Warning::NoEmbedding { model }),
        }
    }
}

fn embed(model: &BuiltIn, extracted: &Extracted) -> Option<Vector> {
    let raw45 = extracted.raw45.as_ref()?;
    let groups = extracted.features.groups.as_ref()?;
    model.embed(&ModelInput { raw45, groups })
}

/// Decodes all blocks; what is heard in them, if there are any.
fn decode(
    path: &Path,
    decoder: &mut Decoder,
    wanted: &Wanted,
    sinks: &mut [&mut dyn BlockSink],
) -> Result<Option<Measured>> {
    let cancelled = || wanted.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed));
    let check = || match cancelled() {
        true => Err(Error::new(path, Reason::Cancelled)),
        false => Ok(()),
    };
    check()?;
    let Some(first) = decoder.next_block()? else { return Ok(None) };
    let mut feed = Feed::new(path, &first, wanted, sinks);
    feed.push(&first);
    loop {
        check()?;
        let Some(block) = decoder.next_block()? else { break };
        feed.push(&block);
    }
    Ok(Some(feed.finish()))
}
