//! The contract, in parts.

mod blobs;
mod documents;
mod embeddings;
mod maintenance;
mod segments;
mod songs;

use std::fmt;

pub use self::{
    blobs::{BlobStore, NewBlob},
    documents::{DocumentStore, PutDocument},
    embeddings::{EmbeddingStore, NewEmbedding, StoredEmbedding},
    maintenance::{Collected, Finding, Lost, Maintenance, VerifyOptions},
    segments::SegmentStore,
    songs::{DeleteSong, Outcome, PurgeSong, PutMode, PutSong, SongStore},
};

/// A place that keeps songs, their embeddings and their audio.
///
/// What an implementation must provide, and no more, in a part for each kind of
/// what is kept; callers get the convenient spellings from
/// [`StorageBackendExt`](crate::StorageBackendExt).
///
/// A backend may be all of its parts itself, and give itself for each. A
/// wrapper gives the parts of the backend behind it for what it leaves alone,
/// and itself for what it changes. Ask for a part with every call, and do not
/// keep it: a wrapper may give another one each time.
///
/// What follows holds for the methods of all parts.
///
/// # Semantics
///
/// A [`Song`](songrec_core::Song) is the manifest of what is stored for it.
/// Objects (embeddings, blobs) are stored first and never change; the song that
/// names them is stored last. What no song names does not exist: it may be
/// collected, but not while it is young, because its song may be on the way.
///
/// Only songs and documents change, and only by compare-and-set: a write says
/// which version it replaces, and carries a new
/// [`OperationId`](songrec_core::OperationId) by which a writer whose answer was
/// lost can tell its own write from another's.
///
/// Slices in, vectors out: an answer has one element for each element asked
/// for, in the same order. An empty slice is answered without any work.
///
/// # Atomicity
///
/// Each element of a batch happens or does not, by itself. A batch is *not*
/// atomic: after an error any part may be stored, and storing it again is
/// always safe.
///
/// # Errors
///
/// What is missing is `None`, never an error. Every call may be repeated, and
/// after a [`Transient`](crate::ErrorKind::Transient) error should be: a reply
/// may have been lost, and repeating the same write succeeds if it had landed.
///
/// # Cancellation
///
/// Every future may be dropped; the worst left is garbage no song names.
pub trait StorageBackend: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Songs, and what finds them by their content.
    fn songs(&self) -> &dyn SongStore;

    /// How models embed songs, and the search for songs that sound alike.
    fn embeddings(&self) -> &dyn EmbeddingStore;

    /// The audio of songs.
    fn blobs(&self) -> &dyn BlobStore;

    /// Regions of songs.
    fn segments(&self) -> &dyn SegmentStore;

    /// Playlists, synths and other documents beside the songs.
    fn documents(&self) -> &dyn DocumentStore;

    /// What changed, what may go, and whether all is well.
    fn maintenance(&self) -> &dyn Maintenance;
}

/// What a backend can do beyond what all can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A search may use another metric than the model's own.
    pub any_metric: bool,
    /// Blobs can be stored, rather than files be known where they lie.
    pub keeps_audio: bool,
    /// Blobs have addresses for others.
    pub urls: bool,
    /// How many elements a batch should have to be cheap.
    pub batch: usize,
    /// Whether a call costs a network request, so that asking twice is worth
    /// avoiding.
    pub remote: bool,
}
