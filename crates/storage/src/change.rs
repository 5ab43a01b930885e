//! What changed since somebody looked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use songrec_core::{
    Digest, EmbeddingRef, ModelName, OperationId, Revision, Song, SongId, Timestamp,
};

use crate::UnreadableSong;

/// Where a reader of changes is; means something to the backend alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Some changes, and where the rest begins.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangePage<T = ChangeState> {
    /// The changes; a song that changed twice may appear once, with its last
    /// state.
    pub changes: Vec<Change<T>>,
    /// What to ask for next; also after the last change, for later ones.
    pub cursor: Cursor,
    /// Whether there are more changes already.
    pub more: bool,
    /// Whether playlists or synths were stored or deleted since the cursor
    /// that was given; they are few, and listed as a whole by
    /// [`DocumentStore::list`](crate::DocumentStore::list). May be true
    /// when nothing was, and is without a cursor. Of several pages one tells
    /// it: a caller that reads on remembers them.
    pub documents: bool,
    /// Songs among the changes that are stored and cannot be read: damaged
    /// ones, and those of a later format. One must not keep a reader from all
    /// others.
    pub unreadable: Vec<UnreadableSong>,
}

/// A song that is newer than a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<T = ChangeState> {
    /// Which song.
    pub song: SongId,
    /// What became of it.
    pub state: T,
    /// Who wrote it, where writers are numbered.
    pub origin: Option<Origin>,
}

/// Who wrote a version, and as which of its writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The machine.
    pub machine: String,
    /// The number of the write among the machine's own.
    pub sequence: u64,
}

/// What became of a song.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeState {
    /// It is stored like this.
    Present(Box<Song>),
    /// It was deleted.
    Deleted(Box<Tombstone>),
}

/// What became of a song, without its content where the backend can leave it out.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeHead {
    /// It is stored, and this is its head.
    Song(SongHead),
    /// It was deleted, or cannot be listed in short.
    Whole(ChangeState),
}

/// What tells whether a song is the same as one elsewhere: songs of the same
/// write say the same, and may name other objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SongHead {
    /// The write that made it.
    pub operation: OperationId,
    /// The embeddings that it names, by their models: the key of each, or its
    /// digest where it has none. They differ between libraries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub embeddings: BTreeMap<ModelName, String>,
    /// The audio that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Digest>,
}

impl SongHead {
    /// The head of `song`.
    pub fn of(song: &Song) -> Self {
        Self {
            operation: song.revision.operation,
            embeddings: Self::embeddings(&song.embeddings),
            blob: song.blob.as_ref().map(|blob| blob.sha256),
        }
    }

    /// What a head says of these embeddings.
    pub fn embeddings(named: &BTreeMap<ModelName, EmbeddingRef>) -> BTreeMap<ModelName, String> {
        let one = |named: &EmbeddingRef| match &named.key {
            Some(key) => key.clone(),
            None => named.digest.to_string(),
        };
        named.iter().map(|(model, named)| (model.clone(), one(named))).collect()
    }
}

impl ChangePage {
    /// The same page, with songs in short.
    pub fn heads(self) -> ChangePage<ChangeHead> {
        let changes = self.changes.into_iter().map(|change| Change {
            song: change.song,
            state: match change.state {
                ChangeState::Present(song) => ChangeHead::Song(SongHead::of(&song)),
                deleted @ ChangeState::Deleted(_) => ChangeHead::Whole(deleted),
            },
            origin: change.origin,
        });
        ChangePage {
            changes: changes.collect(),
            cursor: self.cursor,
            more: self.more,
            documents: self.documents,
            unreadable: self.unreadable,
        }
    }
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
