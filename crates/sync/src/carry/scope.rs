//! What may be carried, by the options and by what each side keeps.

use std::collections::BTreeSet;

use serde_json::Value;
use songrec_core::{Field, ModelName, Song, Timestamp};

use crate::{AudioPolicy, Options, Pair, Side, decide::Refs, session::Session};

/// The field of a song by which a person says that libraries are to keep no copy of its
/// audio: it is synced as every edit is, so that no sync brings the copy back.
pub const KEEP_AUDIO: &str = "keep_audio";

/// Whether libraries keep copies of the audio of a song, as far as a person has a say.
pub fn keeps_audio_of(song: &Song) -> bool {
    song.edits.get(&Field::Extra(KEEP_AUDIO.to_owned())).and_then(Value::as_str) != Some("no")
}

/// Which embeddings and which audio a sync carries.
#[derive(Debug)]
pub(super) struct Scope {
    keeps_audio: Pair<bool>,
    audio: AudioPolicy,
    models: Option<BTreeSet<ModelName>>,
    now: Timestamp,
}

impl Scope {
    pub(super) fn new(session: &Session, options: &Options) -> Self {
        Self {
            keeps_audio: Pair::of(|side| session.backend(side).capabilities().keeps_audio),
            audio: options.audio,
            models: options.models.clone(),
            now: session.now(),
        }
    }

    pub(super) fn keeps_audio(&self, side: Side) -> bool {
        self.keeps_audio[side]
    }

    pub(super) fn carries(&self, model: &ModelName) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }

    pub(super) fn carries_audio_of(&self, song: &Song) -> bool {
        if !keeps_audio_of(song) {
            return false;
        }
        match self.audio {
            AudioPolicy::All => true,
            AudioPolicy::None => false,
            AudioPolicy::Recent(days) => {
                let age = self.now.duration_since(song.added_at);
                age.as_secs() <= i64::from(days) * 24 * 60 * 60
            }
        }
    }

    /// Whether `side` lacks objects of a song that the other side has, and that
    /// are carried.
    pub(super) fn lacks(&self, side: Side, own: &Refs, theirs: &Refs, song: &Song) -> bool {
        let embedded = theirs
            .embeddings
            .keys()
            .any(|model| self.carries(model) && !own.embeddings.contains_key(model));
        let audio = self.keeps_audio[side]
            && self.keeps_audio[side.other()]
            && own.blob.is_none()
            && theirs.blob.is_some()
            && self.carries_audio_of(song);
        embedded || audio
    }

    /// How many bytes may have to be carried to `side` for a song.
    pub(super) fn bytes(&self, side: Side, own: &Refs, theirs: &Refs, song: &Song) -> u64 {
        let embedded = theirs
            .embeddings
            .iter()
            .filter(|(model, _)| self.carries(model) && !own.embeddings.contains_key(*model))
            .map(|(_, reference)| reference.dimension as u64 * 4)
            .sum::<u64>();
        let audio = self.keeps_audio[side] && self.carries_audio_of(song);
        let blob = match (&own.blob, &theirs.blob) {
            (None, Some(blob)) if audio => blob.size,
            (None, None) if audio && !self.keeps_audio[side.other()] => {
                song.files.first().map_or(0, |file| file.size)
            }
            _ => 0,
        };
        embedded + blob
    }
}
