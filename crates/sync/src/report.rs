//! What a sync will do, and what it did.

use serde::Serialize;
use serde_json::Value;
use songrec_core::{DocumentKind, SongId};

use crate::{Pair, Place};

/// What happens to one song, or did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SongWork {
    /// Which song.
    pub song: SongId,
    /// How lists call it.
    pub title: String,
    /// What is done on each side.
    #[serde(flatten)]
    pub actions: Pair<Option<Action>>,
    /// Fields that both sides had changed, and other values that did not come
    /// through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedField>,
    /// Why, where it is not plain: a deletion that an edit overruled, a song
    /// that a side had lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is done to a song on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new there.
    Add,
    /// It becomes as it is on the other side.
    Update,
    /// It becomes what both sides had made of it together.
    Merge,
    /// It is deleted, and can be restored for some time.
    Delete,
    /// It was deleted or lost there and comes back.
    Restore,
}

/// A field of a song that both sides had changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergedField {
    /// Its name, such as `edits.title`, `tags.genres` or `files`.
    pub field: String,
    /// The value that is shown from now on; nothing if the field is empty.
    pub value: Option<Value>,
    /// Whose value that is; nobody's alone if both add up.
    pub from: Option<Place>,
    /// The other side's value, if it did not come through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Value>,
    /// Whether the other value is kept with the song as a conflict.
    pub kept: bool,
}

/// What happens to a playlist or a synth, or did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentWork {
    /// What it is.
    pub kind: DocumentKind,
    /// Its id.
    pub id: String,
    /// What is done on each side.
    #[serde(flatten)]
    pub actions: Pair<Option<Action>>,
    /// The id under which the version that lost is kept, if both sides had
    /// changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_as: Option<String>,
}

/// How many songs get what, on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "one for each action")]
pub struct Counts {
    pub add: u64,
    pub update: u64,
    pub merge: u64,
    pub delete: u64,
    pub restore: u64,
}

impl Counts {
    /// Counts one more.
    pub fn note(&mut self, action: Action) {
        *match action {
            Action::Add => &mut self.add,
            Action::Update => &mut self.update,
            Action::Merge => &mut self.merge,
            Action::Delete => &mut self.delete,
            Action::Restore => &mut self.restore,
        } += 1;
    }

    /// All together.
    pub const fn total(&self) -> u64 {
        self.add + self.update + self.merge + self.delete + self.restore
    }
}

/// What a sync will do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Every song that something happens to.
    pub songs: Vec<SongWork>,
    /// Every playlist and synth that something happens to.
    pub documents: Vec<DocumentWork>,
    /// How many songs get what on each side.
    pub counts: Pair<Counts>,
    /// Bytes of embeddings and audio that have to be carried at the most to
    /// each side; what is there already is not carried again.
    pub bytes: Pair<u64>,
    /// Calls that each side will get about, beyond those that made the plan.
    pub requests: Pair<u64>,
    /// Songs that both sides changed alike, so that nothing has to be written.
    pub agreed: u64,
    /// Whether everything was compared, and not only what changed.
    pub full: bool,
}

impl Plan {
    /// Whether both sides are as they should be.
    pub fn is_empty(&self) -> bool {
        self.songs.is_empty() && self.documents.is_empty()
    }
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Every song that was written somewhere, as it was done in the end.
    pub songs: Vec<SongWork>,
    /// Every playlist and synth that was written somewhere.
    pub documents: Vec<DocumentWork>,
    /// How many songs got what on each side.
    pub counts: Pair<Counts>,
    /// What could not be done; it is tried again by the next sync.
    pub failed: Vec<Failure>,
    /// Things to know that stopped nothing: audio that is nowhere, songs heard
    /// differently.
    pub notes: Vec<Note>,
    /// Songs that wait for a sync in the other direction.
    pub waiting: u64,
    /// Songs with values that lost a merge, among those that were looked at.
    pub conflicts: u64,
    /// Bytes of embeddings and audio carried to each side.
    pub bytes: Pair<u64>,
    /// Calls that each side got.
    pub requests: Pair<u64>,
    /// Whether everything was compared, and not only what changed.
    pub full: bool,
    /// Whether somebody stopped it before its end. What was done is done; the
    /// next sync goes on.
    pub interrupted: bool,
    /// Tombstones that every machine had seen and that are gone for good now.
    pub purged: u64,
}

impl Report {
    /// Whether everything that was to be done was done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && !self.interrupted
    }

    /// Whether nothing had to be done.
    pub fn is_empty(&self) -> bool {
        self.songs.is_empty() && self.documents.is_empty() && self.failed.is_empty()
    }
}

/// Something that could not be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// The song, playlist or synth.
    pub subject: String,
    /// How lists call it, if that is known.
    pub title: String,
    /// Why, in words, from the outermost cause to the innermost.
    pub reason: String,
    /// What to do about it, if there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Something to know about a song.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    /// The song.
    pub song: SongId,
    /// In words.
    pub text: String,
}
