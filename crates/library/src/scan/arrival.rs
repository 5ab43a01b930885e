//! A file on its way into the library, from stage to stage of a scan.

use std::collections::{BTreeMap, BTreeSet};

use songrec_audio::Identity;
use songrec_core::{BlobRef, EmbeddingRef, FromFile, ModelName, Song, SongId};
use songrec_local::FileStatus;
use songrec_models::Embedded;

use super::Candidate;
use crate::decoding::Why;

/// A file that was looked at.
pub(super) struct Looked {
    pub(super) candidate: Candidate,
    /// Or why not, with what can be done about it.
    pub(super) found: std::result::Result<Found, Why>,
}

/// What a readable file turned out to be.
pub(super) struct Found {
    pub(super) identity: Identity,
    /// What it says of its song.
    pub(super) says: FromFile,
    /// What was embedded; nothing if a song is known that was embedded already.
    pub(super) analysis: Option<Box<Embedded>>,
    /// Whether the song is known and there was nothing to find out about it.
    pub(super) is_embedded: bool,
    /// The models that listened, well or not.
    pub(super) tried: Vec<ModelName>,
    /// The song that has this audio, if it is known.
    pub(super) song: Option<SongId>,
    /// Whether the library keeps a copy of the audio already, or is to keep none.
    pub(super) has_blob: bool,
    /// A song that was imported without audio and waits for this file.
    pub(super) met: Option<Box<Song>>,
    /// A song that this machine has seen at this path, and that is there no
    /// longer.
    pub(super) replaced: Option<SongId>,
    /// The models whose embeddings of the song are lost.
    pub(super) lost: BTreeSet<ModelName>,
    /// Whether a scan was cut off while it stored the song.
    pub(super) was_cut_off: bool,
}

/// One readable file on its way into the library.
pub(super) struct Arrival {
    pub(super) candidate: Candidate,
    pub(super) found: Found,
    /// The path as its song will name it.
    pub(super) stored: String,
    /// What the song will name, once it is stored.
    pub(super) embeddings: BTreeMap<ModelName, EmbeddingRef>,
    /// The copy that the library keeps, if it keeps one.
    pub(super) blob: Option<BlobRef>,
}

/// What a file changed about its song.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Added,
    Updated,
    Moved { from: String },
    Duplicate,
    Nothing,
}

/// What arrivals changed about their songs, by the arrivals' paths.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) changes: BTreeMap<String, Change>,
    pub(super) statuses: BTreeMap<String, FileStatus>,
}
