//! One pass over a song's samples.

use std::cell::Cell;

use songrec_core::Features;

use super::{
    clip::{Clip, Scope},
    loudness::LoudnessMeter,
    stft::{HOP, SAMPLE_RATE},
    summary,
    totals::Totals,
    vectors::Raw45,
};
use crate::sink::BlockSink;

/// Samples of the longest clip that is described as one: ten minutes, in whole
/// hops.
pub const CLIP_SAMPLES: usize = (600 * SAMPLE_RATE as usize).next_multiple_of(HOP);

/// Bytes of working memory that a thread keeps for its next song: what songs of
/// five minutes need.
const MOST_SPARE: usize = 64 << 20;

thread_local! {
    /// The emptied clip of the last song. Fresh memory comes from the system
    /// page by page, which takes a tenth of the time that a song does.
    static SPARE: Cell<Option<Box<Clip>>> = const { Cell::new(None) };
}

fn spare_clip() -> Box<Clip> {
    SPARE.take().unwrap_or_else(|| Box::new(Clip::new()))
}

fn put_aside(clip: Box<Clip>) {
    if clip.room() <= MOST_SPARE {
        SPARE.set(Some(clip));
    }
}

/// The 45 values before scaling of mono samples at [`SAMPLE_RATE`], at most
/// [`CLIP_SAMPLES`] of them; None of none. They are those that an [`Extractor`] finds, in
/// half of its time.
///
/// # Panics
///
/// If there are more samples.
pub fn values45(samples: &[f32]) -> Option<Raw45> {
    assert!(samples.len() <= CLIP_SAMPLES, "{} samples are more than one clip", samples.len());
    let mut totals = Totals::new();
    let mut clip = spare_clip();
    clip.push(samples);
    clip.finish(Scope::Values, &mut totals);
    put_aside(clip);
    (totals.samples > 0).then(|| summary::raw45(&totals))
}

/// What is known of a song before it is decoded.
#[derive(Clone, Debug)]
pub struct Source {
    /// Samples per second as decoded, for loudness.
    pub sample_rate: u32,
    /// Channels as decoded, for loudness.
    pub channels: usize,
    /// The file's name, from which an instrument may be guessed.
    pub name: Option<String>,
}

/// Describes a song block by block, in bounded memory.
///
/// Every block of audio is pushed twice: as decoded
/// ([`push_decoded`](Self::push_decoded)), and mixed to mono at [`SAMPLE_RATE`],
/// as a [`BlockSink`]. Blocks may have any size; the result does not depend on
/// it.
pub struct Extractor {
    clip: Box<Clip>,
    totals: Totals,
    meter: LoudnessMeter,
    name: Option<String>,
}

/// What was found in a song.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// The 45 values before scaling; absent for a song without samples.
    pub raw45: Option<Raw45>,
    /// The song's own features; all absent for a song without samples. They
    /// hold the six groups from which [`super::dsp47`] makes its vector.
    pub features: Features,
}

impl Extractor {
    /// An extractor for one song.
    pub fn new(source: Source) -> Self {
        Self {
            clip: spare_clip(),
            totals: Totals::new(),
            meter: LoudnessMeter::new(source.sample_rate, source.channels),
            name: source.name,
        }
    }

    /// Takes interleaved samples as decoded: whole frames of them.
    pub fn push_decoded(&mut self, interleaved: &[f32]) {
        self.meter.push(interleaved);
    }

    /// What was found in all samples.
    pub fn finish(mut self) -> Extracted {
        self.clip.finish(Scope::Last, &mut self.totals);
        put_aside(self.clip);
        let loudness = self.meter.finish();
        if self.totals.samples == 0 {
            return Extracted { raw45: None, features: Features::default() };
        }
        Extracted {
            raw45: Some(summary::raw45(&self.totals)),
            features: summary::features(&self.totals, &loudness, self.name.as_deref()),
        }
    }
}

impl BlockSink for Extractor {
    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn push(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let room = CLIP_SAMPLES - self.clip.len();
            let (now, later) = samples.split_at(samples.len().min(room));
            self.clip.push(now);
            if now.len() == room {
                self.clip.finish(Scope::Part, &mut self.totals);
            }
            samples = later;
        }
    }

    /// Waits for [`finish`](Extractor::finish), which describes the rest.
    fn end(&mut self) {}
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor")
            .field("samples", &(self.totals.samples + self.clip.len() as u64))
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
