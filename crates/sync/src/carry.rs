//! Objects on their way from one library to the other, before the songs that
//! name them: embeddings, audio and segments.

mod audio;
mod embeddings;
mod models;
mod scope;
mod segments;
mod throttle;

pub use self::scope::{KEEP_AUDIO, keeps_audio_of};

use std::{collections::HashMap, sync::Arc};

use songrec_core::{BlobRef, EmbeddingRef, ModelName, OperationId, Song, SongId};

use self::{
    audio::Audio, embeddings::Embeddings, models::Models, scope::Scope, segments::Segments,
    throttle::Throttle,
};
use crate::{Note, Options, Result, Side, decide::Refs, session::Session};

/// Songs of one batch whose audio is on its way at once; of all batches
/// together, no more than there are jobs.
pub(crate) const AUDIO_AT_ONCE: usize = 16;

/// A song that needs objects at a side.
pub(crate) struct Needs<'a> {
    pub(crate) song: &'a Song,
    /// The write that will name the objects.
    pub(crate) operation: OperationId,
    /// The objects that the side has.
    pub(crate) own: &'a Refs,
    /// The objects that the other side has.
    pub(crate) theirs: &'a Refs,
}

/// What was carried for some songs.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) embeddings: HashMap<(SongId, ModelName), EmbeddingRef>,
    pub(crate) bytes: u64,
    pub(crate) notes: Vec<Note>,
}

impl Carried {
    /// Adds the audio of a song; gives what the song has to name.
    pub(crate) fn add(&mut self, audio: CarriedBlob) -> Option<BlobRef> {
        self.bytes += audio.bytes;
        self.notes.extend(audio.note);
        audio.blob
    }
}

/// The audio of one song, carried if the side lacked it.
#[derive(Debug, Default)]
pub(crate) struct CarriedBlob {
    /// What the song has to name there.
    blob: Option<BlobRef>,
    bytes: u64,
    note: Option<Note>,
}

/// Carries objects in both directions, and remembers what it learned of both
/// libraries on the way. One lasts for one round of a sync.
pub(crate) struct Transfer<'a> {
    scope: Arc<Scope>,
    embeddings: Embeddings<'a>,
    audio: Audio<'a>,
    segments: Segments<'a>,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(session: &'a Session, options: &Options) -> Self {
        let scope = Arc::new(Scope::new(session, options));
        let models = Arc::new(Models::new(session));
        let throttle = options.bandwidth.map(Throttle::new);
        Self {
            embeddings: Embeddings::new(session, scope.clone(), models.clone(), throttle.clone()),
            audio: Audio::new(session, options, scope.clone(), throttle),
            segments: Segments::new(session, models),
            scope,
        }
    }

    /// Whether `side` lacks objects of a song that the other side has, and that
    /// are carried.
    pub(crate) fn lacks(&self, side: Side, own: &Refs, theirs: &Refs, song: &Song) -> bool {
        self.scope.lacks(side, own, theirs, song)
    }

    /// How many bytes may have to be carried to `side` for a song.
    pub(crate) fn bytes(&self, side: Side, own: &Refs, theirs: &Refs, song: &Song) -> u64 {
        self.scope.bytes(side, own, theirs, song)
    }

    /// Carries the embeddings that songs lack at `side`.
    pub(crate) async fn embeddings(&self, side: Side, songs: &[&Needs<'_>]) -> Result<Carried> {
        self.embeddings.carry(side, songs).await
    }

    /// Gives the blob that a song has to name at `side`, and carries it there if
    /// the side lacks it and audio is carried. `before` is what the other side
    /// named when both last agreed.
    pub(crate) async fn audio(
        &self,
        side: Side,
        needs: &Needs<'_>,
        before: Option<&BlobRef>,
    ) -> Result<CarriedBlob> {
        self.audio.carry(side, needs, before).await
    }

    /// Carries the segments of songs to `side`, and deletes those that are gone.
    pub(crate) async fn segments(&self, side: Side, songs: &[&Song]) -> Result<()> {
        self.segments.carry(side, songs).await
    }
}
