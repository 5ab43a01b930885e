//! What a sync will do, and what it did.

use serde::Serialize;
use serde_json::Value;
use songrec_core::{DocumentKind, Hint, SongId};

use crate::{Pair, Side};

/// What happens to one song, or did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SongWork {
    /// Which song.
    pub song: SongId,
    /// Its title in lists.
    pub title: String,
    /// What is done on each side.
    #[serde(flatten)]
    pub actions: Pair<Option<Action>>,
    /// Fields that both sides had changed, with the values that lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedField>,
    /// Why this is done, where it is not obvious: an edit overruled a deletion, or
    /// a side had lost the song.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is done to a song on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new there.
    Add,
    /// It gets the version of the other side.
    Update,
    /// It gets the join of both sides.
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
    /// The side whose value that is; `None` if the value joins both.
    pub from: Option<Side>,
    /// The other side's value, if it lost.
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

    const fn add(&mut self, other: &Self) {
        self.add += other.add;
        self.update += other.update;
        self.merge += other.merge;
        self.delete += other.delete;
        self.restore += other.restore;
    }
}

/// The most details of one kind that are listed. A first sync of a large library is
/// counted as a whole, but no one reads hundreds of thousands of lines of it,
/// and memory must not grow with it.
pub const LISTED: usize = 10_000;

/// How many details the lists of a plan or a report leave out, because there
/// are more than [`LISTED`]. They are counted, and done, like the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "one for each list")]
pub struct LeftOut {
    pub songs: u64,
    pub failed: u64,
    pub notes: u64,
    pub different: u64,
    pub differences: u64,
}

impl LeftOut {
    /// Whether the lists are complete.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Puts details at the end of their list, as long as there is room.
pub(crate) fn list<T>(details: &mut Vec<T>, more: impl IntoIterator<Item = T>, left_out: &mut u64) {
    for one in more {
        if details.len() < LISTED {
            details.push(one);
        } else {
            *left_out += 1;
        }
    }
}

/// What a sync will do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The songs that something happens to, the first [`LISTED`] of them.
    pub songs: Vec<SongWork>,
    /// Every playlist and synth that something happens to.
    pub documents: Vec<DocumentWork>,
    /// How many songs get what on each side.
    pub counts: Pair<Counts>,
    /// The most bytes of embeddings and audio that have to be carried to each
    /// side; what is there already is not carried again.
    pub bytes: Pair<u64>,
    /// About how many calls each side will get, beyond those that made the plan.
    pub requests: Pair<u64>,
    /// Songs that both sides changed in the same way, so that nothing has to be
    /// written.
    pub agreed: u64,
    /// Whether everything was compared, and not only what changed.
    pub full: bool,
    /// Songs that a side cannot read, and that are left as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Failure>,
    /// What is counted but not listed.
    #[serde(skip_serializing_if = "LeftOut::is_nothing")]
    pub left_out: LeftOut,
}

impl Plan {
    /// Whether both sides are as they should be.
    pub fn is_empty(&self) -> bool {
        self.songs.is_empty() && self.documents.is_empty()
    }

    /// How many songs something happens to.
    pub fn total(&self) -> u64 {
        self.songs.len() as u64 + self.left_out.songs
    }

    pub(crate) fn add(&mut self, work: SongWork) {
        count(&mut self.counts, &work);
        list(&mut self.songs, [work], &mut self.left_out.songs);
    }
}

fn count(counts: &mut Pair<Counts>, work: &SongWork) {
    for side in Side::BOTH {
        if let Some(action) = work.actions[side] {
            counts[side].note(action);
        }
    }
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The songs that were written somewhere, as it was done in the end; the
    /// first [`LISTED`] of them.
    pub songs: Vec<SongWork>,
    /// Every playlist and synth that was written somewhere.
    pub documents: Vec<DocumentWork>,
    /// How many songs got what on each side.
    pub counts: Pair<Counts>,
    /// What could not be done; it is tried again by the next sync.
    pub failed: Vec<Failure>,
    /// Things to know that stopped nothing: audio that is nowhere, songs embedded
    /// differently.
    pub notes: Vec<Note>,
    /// Songs that wait for a sync in the other direction.
    pub waiting: u64,
    /// Songs with values that lost a merge, among those that were compared.
    pub conflicts: u64,
    /// Bytes of embeddings and audio carried to each side.
    pub bytes: Pair<u64>,
    /// Calls that each side got.
    pub requests: Pair<u64>,
    /// Whether everything was compared, and not only what changed.
    pub full: bool,
    /// Whether it was interrupted. What was done is done; the next sync goes on.
    pub interrupted: bool,
    /// Tombstones that every machine had seen and that are gone for good now.
    pub purged: u64,
    /// What is counted but not listed.
    #[serde(skip_serializing_if = "LeftOut::is_nothing")]
    pub left_out: LeftOut,
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

    /// How many songs were written somewhere.
    pub fn total(&self) -> u64 {
        self.songs.len() as u64 + self.left_out.songs
    }

    /// How much could not be done.
    pub fn failures(&self) -> u64 {
        self.failed.len() as u64 + self.left_out.failed
    }

    pub(crate) fn add_song(&mut self, work: SongWork) {
        count(&mut self.counts, &work);
        list(&mut self.songs, [work], &mut self.left_out.songs);
    }

    pub(crate) fn add_failure(&mut self, failure: Failure) {
        list(&mut self.failed, [failure], &mut self.left_out.failed);
    }

    pub(crate) fn add_notes(&mut self, notes: Vec<Note>) {
        list(&mut self.notes, notes, &mut self.left_out.notes);
    }

    /// Adds what was done besides.
    pub(crate) fn add(&mut self, other: Self) {
        list(&mut self.songs, other.songs, &mut self.left_out.songs);
        self.documents.extend(other.documents);
        list(&mut self.failed, other.failed, &mut self.left_out.failed);
        self.add_notes(other.notes);
        self.left_out.songs += other.left_out.songs;
        self.left_out.failed += other.left_out.failed;
        self.left_out.notes += other.left_out.notes;
        self.waiting += other.waiting;
        self.conflicts += other.conflicts;
        for side in Side::BOTH {
            self.counts[side].add(&other.counts[side]);
            self.bytes[side] += other.bytes[side];
        }
        self.interrupted |= other.interrupted;
    }

    /// Forgets what waits and what failed: it is tried again.
    pub(crate) fn try_again(&mut self) {
        (self.waiting, self.left_out.failed) = (0, 0);
        self.failed.clear();
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
    /// What to do about it, if the reason does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

/// Something to know about a song.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    /// The song.
    pub song: SongId,
    /// In words.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(number: usize) -> SongWork {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        SongWork {
            song: SongId::from_bytes(bytes),
            title: format!("song {number}"),
            actions: Pair { left: None, right: Some(Action::Add) },
            merged: vec![],
            note: None,
        }
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let songs = LISTED * 2 + 5;
        let (mut plan, mut report) = (Plan::default(), Report::default());

        for number in 0..songs {
            plan.add(work(number));
            let mut one = Report::default();
            one.add_song(work(number));
            report.add(one);
        }
        let mut whole = Report::default();
        whole.add(report);

        for (listed, left_out, counts, total) in [
            (&plan.songs, plan.left_out, plan.counts, plan.total()),
            (&whole.songs, whole.left_out, whole.counts, whole.total()),
        ] {
            assert_eq!(listed.len(), LISTED);
            assert_eq!(listed[7], work(7));
            assert_eq!(left_out.songs, (songs - LISTED) as u64);
            assert_eq!((counts.right.add, total), (songs as u64, songs as u64));
        }
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["left_out"]["songs"], songs - LISTED);
        assert_eq!(serde_json::to_value(Plan::default()).unwrap().get("left_out"), None);
    }

    #[test]
    fn a_failure_that_is_tried_again_is_none() {
        let failure = Failure {
            subject: "song".to_owned(),
            title: String::new(),
            reason: "refused".to_owned(),
            hint: None,
        };
        let mut report = Report { waiting: 3, ..Report::default() };
        for _ in 0..=LISTED {
            report.add_failure(failure.clone());
        }
        assert_eq!(report.failures(), LISTED as u64 + 1);

        report.try_again();

        assert_eq!((report.failures(), report.waiting), (0, 0));
        assert!(report.is_complete());
    }
}
