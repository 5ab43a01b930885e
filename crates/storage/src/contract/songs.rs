//! Songs: the documents that say what is stored.

use async_trait::async_trait;
use songrec_core::{Filter, OperationId, Revision, Song, SongId, SongSummary, Timestamp};

use crate::{Lookup, Origin, Page, Result, SongQuery, Tombstone};

/// Songs, and what finds them by their content.
///
/// ```
/// use songrec_core::{AudioProperties, Digest, Filter, Song, Timestamp};
/// use songrec_storage::{MemoryBackend, Outcome, PutMode, PutSong, StorageBackend};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> songrec_storage::Result<()> {
/// let backend = MemoryBackend::new();
/// let hash = Digest::of(b"the packets of a recording");
/// let song = Song::new(hash, AudioProperties::default(), Timestamp::now());
///
/// let put = PutSong { song: song.clone(), mode: PutMode::Create, origin: None };
/// assert_eq!(backend.songs().put(&[put]).await?, [Outcome::Done]);
///
/// assert_eq!(backend.songs().count(&Filter::all()).await?, 1);
/// assert_eq!(backend.songs().get(&[song.id]).await?, [Some(song)]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SongStore: Send + Sync {
    /// Stores songs, each if its mode allows it or if it is what is stored
    /// already: a song whose [`OperationId`] is the stored one is `Done`. A
    /// document that is damaged does not keep a song from being created: it is
    /// put aside first.
    ///
    /// # Errors
    ///
    /// `Invalid` for a song that names an embedding of a model there is no
    /// room for. A lost race is an [`Outcome`], not an error.
    async fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>>;

    /// The songs with these ids; deleted ones are `None`.
    async fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>>;

    /// The songs that pass a filter, a page at a time. A song stored or
    /// deleted between two pages may be on either or on none.
    ///
    /// # Errors
    ///
    /// `Invalid` for a token that is not from this query.
    async fn find(&self, query: &SongQuery) -> Result<Page<Song>>;

    /// The same songs as [`find`](Self::find), by their summaries alone, which is
    /// cheaper.
    ///
    /// # Errors
    ///
    /// As there.
    async fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>>;

    /// How many songs pass a filter.
    async fn count(&self, filter: &Filter) -> Result<u64>;

    /// The ids of the songs that each look-up names, in order of their ids;
    /// for a prefix or a title at most 20.
    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>>;

    /// Deletes songs: leaves a tombstone that
    /// [`changes`](crate::Maintenance::changes) tells, until it is purged. The
    /// objects stay until they are collected. `Done` also if there is no such song,
    /// or no longer; an absent song gets no tombstone. It holds the song as it
    /// was stored, or what the deletion says that it left
    /// ([`DeleteSong::leaving`]), with the objects that were stored.
    async fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>>;

    /// Forgets tombstones for good, each if it is the one that its deletion
    /// left. Whatever else is stored stays as it is: the song, if it was
    /// restored or added again, and the tombstone of a later deletion, which
    /// nobody may have seen yet.
    async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()>;
}

/// A song to store.
#[derive(Clone, Debug, PartialEq)]
pub struct PutSong {
    /// The song, with the revision that this write makes.
    pub song: Song,
    /// What may be stored now.
    pub mode: PutMode,
    /// Who writes it, for backends that number writers; the backend's own
    /// numbering if none is given.
    pub origin: Option<Origin>,
}

/// What has to be stored for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Nothing, or a tombstone.
    Create,
    /// The version written by this operation.
    Replace(OperationId),
}

/// What became of a write that could lose a race.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// What was to be stored is stored.
    Done,
    /// Something else is; nothing was changed. `None` if nothing is.
    Conflict(Option<Box<T>>),
}

impl<T> Outcome<T> {
    /// Whether the write happened, now or before.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// A song to delete.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteSong {
    /// Which.
    pub id: SongId,
    /// Only if this is the stored version; any version if none is given.
    pub version: Option<OperationId>,
    /// The deletion itself.
    pub operation: OperationId,
    /// When.
    pub at: Timestamp,
    /// Who, as for [`PutSong::origin`].
    pub origin: Option<Origin>,
    /// What the tombstone holds of the song, for a caller that knows more of it than
    /// is stored; the song as it is stored, if none is given.
    pub leaving: Option<Box<Song>>,
}

impl DeleteSong {
    /// The tombstone that this deletion leaves of the song that is stored. The
    /// objects it names are those of the stored song.
    pub fn tombstone(&self, stored: Song) -> Tombstone {
        let revision = Revision { operation: self.operation, ..stored.revision.next() };
        let song = match &self.leaving {
            None => stored,
            Some(leaving) => Song {
                revision: stored.revision,
                embeddings: stored.embeddings,
                blob: stored.blob,
                ..(**leaving).clone()
            },
        };
        Tombstone { revision, deleted_at: self.at, song }
    }
}

/// A tombstone to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeSong {
    /// Of which song.
    pub id: SongId,
    /// The deletion that left it ([`DeleteSong::operation`]).
    pub deletion: OperationId,
}
