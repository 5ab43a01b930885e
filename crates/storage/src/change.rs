//! What changed since somebody looked.

use serde::{Deserialize, Serialize};
use songrec_core::{Revision, Song, SongId, Timestamp};

use crate::{Origin, UnreadableSong};

/// Where a reader of changes is; means something to the backend alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Some changes, and where the rest begins.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangePage {
    /// The changes; a song that changed twice may appear once, with its last
    /// state.
    pub changes: Vec<Change>,
    /// What to ask for next; also after the last change, for later ones.
    pub cursor: Cursor,
    /// Whether there are more changes already.
    pub more: bool,
    /// Whether playlists or synths were stored or deleted since the cursor
    /// that was given; they are few, and told as a whole by
    /// [`list_documents`](crate::StorageBackend::list_documents). May be true
    /// when nothing was, and is without a cursor. Of several pages one tells
    /// it: whoever reads on remembers.
    pub documents: bool,
    /// Songs among the changes that are stored and cannot be read: damaged
    /// ones, and those of a later format. One must not keep a reader from all
    /// others.
    pub unreadable: Vec<UnreadableSong>,
}

/// A song that is newer than a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which song.
    pub song: SongId,
    /// What became of it.
    pub state: ChangeState,
    /// Who wrote it, where writers are numbered.
    pub origin: Option<Origin>,
}

/// What became of a song.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeState {
    /// It is stored like this.
    Present(Box<Song>),
    /// It was deleted.
    Deleted(Box<Tombstone>),
}

/// What is left of a deleted song, until everybody knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The version of the document that the deletion made.
    pub revision: Revision,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// The song as its deleter saw it; storing it again restores it.
    pub song: Song,
}
