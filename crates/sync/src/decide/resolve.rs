//! What is to be done about one song: the whole decision, without I/O.
//!
//! Each side has a version, and both get the join of the two. What is remembered
//! of earlier syncs only saves reading a side that did not change.

use std::collections::BTreeSet;

use songrec_core::{
    Digest, Field, InvalidVersion, Op, OperationId, Revision, Song, SongSummary, Timestamp, Version,
};
use songrec_storage::{PutMode, Tombstone};

use super::{
    known::{Had, Known, SongState},
    values::Refs,
};
use crate::{Action, MergedField, Pair, Side};

/// Everything that is known of one song.
pub(crate) struct Case<'a> {
    pub(crate) known: Option<&'a Known>,
    pub(crate) states: &'a Pair<SongState>,
    /// Tells whether a side lacks objects that the other has.
    pub(crate) lacks: &'a Lacks<'a>,
}

/// Whether a side, that names these objects of a song, lacks what the other side
/// names.
pub(crate) type Lacks<'a> = dyn Fn(Side, &Refs, &Refs, &Song) -> bool + 'a;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    Nothing,
    /// Both sides have the same already, or neither has the song any more.
    Agreed(Box<Known>),
    /// The song has to be read from that side first.
    Fetch(Side),
    Write(Box<Write>),
    /// The document of one side is damaged: no song can have these values.
    Damaged(String),
}

/// What both sides have to become.
#[derive(Debug, PartialEq)]
pub(crate) struct Write {
    /// The song, without the objects that each side names by itself; or what its
    /// tombstone says of it.
    pub(crate) song: Song,
    pub(crate) steps: Pair<Option<Step>>,
    pub(crate) merged: Vec<MergedField>,
    pub(crate) note: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Put {
        mode: PutMode,
        revision: Revision,
        /// The write only adds objects that the side lacks.
        only_objects: bool,
    },
    Delete {
        version: Revision,
        operation: OperationId,
        at: Timestamp,
    },
}

impl Write {
    pub(crate) fn title(&self) -> String {
        SongSummary::of(&self.song).title
    }
}

/// The song of a side.
#[derive(Clone, Copy)]
enum View<'a> {
    Alive(&'a Song),
    Dead(&'a Tombstone),
    /// Alive as it was known, and not read.
    Known(&'a Had),
    /// Nothing is there; whether there should be.
    Absent {
        lost: bool,
    },
}

const OVERRULED: &str = "deleted on one side, but edited or added on the other by somebody who did \
                         not know: it stays";
const LOST: &str = "one side had lost it without a trace; it is put back";

/// Decides what is to be done about a song.
pub(crate) fn resolve(case: &Case<'_>) -> Decision {
    for side in Side::BOTH {
        let SongState::Head(head) = &case.states[side] else { continue };
        let SongState::Present(song) = &case.states[side.other()] else {
            return Decision::Fetch(side);
        };
        let refs = Refs::of(song);
        let same = head.operation == song.revision.operation
            && (head.embeddings.keys().collect(), head.blob) == refs.comparable();
        return if same {
            let had = |at| if at == side { Had::like_song(song) } else { Had::of_song(song) };
            Decision::Agreed(Box::new(Known(Pair::of(|at| Some(had(at))))))
        } else {
            Decision::Fetch(side)
        };
    }
    let views = Pair::of(|side| view(case, side));
    let known = |side: Side| matches!(views[side], View::Known(_));
    if known(Side::Left) && known(Side::Right) {
        return Decision::Nothing;
    }
    let versions = Pair::of(|side| match views[side] {
        View::Alive(song) => song.version(),
        View::Dead(tombstone) => tombstone.song.deleted(tombstone.revision.operation),
        View::Known(_) | View::Absent { .. } => Version::new(),
    });
    for side in Side::BOTH {
        let View::Known(had) = views[side] else { continue };
        let other = side.other();
        let lacks = match views[other] {
            View::Alive(song) => {
                let refs = Refs::of(song);
                let agrees = had.seen.agrees_with(&song.seen());
                (case.lacks)(other, &refs, &had.refs, song)
                    || agrees && (case.lacks)(side, &had.refs, &refs, song)
                    || had.only_head && !agrees
            }
            View::Dead(_) => had.only_head,
            View::Known(_) | View::Absent { .. } => false,
        };
        if lacks || !had.seen.is_in(&versions[other]) {
            return Decision::Fetch(side);
        }
    }
    let joined = versions.left.join(&versions.right);
    let decided = Resolving { case, views, versions, joined }.decide();
    decided.unwrap_or_else(|error| Decision::Damaged(error.to_string()))
}

fn view<'a>(case: &'a Case<'_>, side: Side) -> View<'a> {
    let known = case.known.and_then(|known| known.0[side].as_ref());
    match (&case.states[side], known) {
        (SongState::Present(song), _) => View::Alive(song),
        (SongState::Deleted(tombstone), _) => View::Dead(tombstone),
        (SongState::Same | SongState::Head(_) | SongState::Absent, None) => {
            View::Absent { lost: false }
        }
        (state, Some(had)) => match &had.tombstone {
            // Also when it was purged: that it was deleted is still known.
            Some(tombstone) => View::Dead(tombstone),
            None if *state == SongState::Absent => View::Absent { lost: true },
            None => View::Known(had),
        },
    }
}

struct Resolving<'a> {
    case: &'a Case<'a>,
    views: Pair<View<'a>>,
    versions: Pair<Version>,
    joined: Version,
}

impl Resolving<'_> {
    fn decide(&self) -> Result<Decision, InvalidVersion> {
        let Some(like) = self.like() else { return Ok(self.agreed()) };
        let write = if self.joined.is_alive() { self.put(like)? } else { self.delete(like)? };
        Ok(write.map_or_else(|| self.agreed(), |write| Decision::Write(Box::new(write))))
    }

    fn agreed(&self) -> Decision {
        Decision::Agreed(Box::new(Known::of(self.case.states, self.case.known)))
    }

    // A document of either side, the one that has seen more first.
    fn like(&self) -> Option<&Song> {
        let document = |side: Side| match self.views[side] {
            View::Alive(song) => Some(song),
            View::Dead(tombstone) => Some(&tombstone.song),
            View::Known(_) | View::Absent { .. } => None,
        };
        let newer = |song: &&Song| (song.updated_at, song.revision.operation);
        Side::BOTH.into_iter().filter_map(document).max_by_key(newer)
    }

    fn agrees(&self, side: Side) -> bool {
        self.versions[side].agrees_with(&self.joined)
    }

    fn revision(&self, side: Side) -> Option<Revision> {
        match self.views[side] {
            View::Alive(song) => Some(song.revision),
            View::Dead(tombstone) => Some(tombstone.revision),
            View::Known(had) => Some(had.revision),
            View::Absent { .. } => None,
        }
    }

    // An operation that every machine derives alike from the same versions.
    fn operation(&self, what: &str) -> (OperationId, u64) {
        let revisions = Side::BOTH.into_iter().filter_map(|side| self.revision(side));
        let mut from: Vec<String> = Vec::new();
        let mut number = 0;
        for revision in revisions {
            from.push(revision.operation.to_string());
            number = number.max(revision.number);
        }
        from.sort();
        let seen = self.joined.seen();
        (operation_of(&format!("songrec sync {what} {from:?} {seen:?}")), number)
    }

    // Both sides get the song with the joined version.
    fn put(&self, like: &Song) -> Result<Option<Write>, InvalidVersion> {
        // A song that has the joined version already is copied as it is.
        let whole = Side::BOTH.into_iter().find_map(|side| match self.views[side] {
            View::Alive(song) if self.agrees(side) => Some(song),
            _ => None,
        });
        let song = match whole {
            Some(song) => song.clone(),
            None => {
                let (operation, number) = self.operation("merge");
                let moments = Side::BOTH.into_iter().filter_map(|at| self.updated_at(at));
                Song {
                    revision: Revision { number: number + 1, operation },
                    updated_at: moments.max().unwrap_or(like.updated_at),
                    ..like.saying(&self.joined)?
                }
            }
        };
        let refs = Pair::of(|side| match self.views[side] {
            View::Alive(song) => Refs::of(song),
            View::Known(had) => had.refs.clone(),
            View::Dead(_) | View::Absent { .. } => Refs::default(),
        });
        let steps = Pair::of(|side| {
            let lacks = || (self.case.lacks)(side, &refs[side], &refs[side.other()], &song);
            let merge = if whole.is_some() { Action::Update } else { Action::Merge };
            let put = |mode, revision, only_objects| How::Put { mode, revision, only_objects };
            let (action, how) = match self.views[side] {
                View::Alive(own) if self.agrees(side) => {
                    if !lacks() {
                        return None;
                    }
                    let (operation, number) = self.operation(&format!("facts {side}"));
                    let revision = Revision { number: number + 1, operation };
                    (Action::Update, put(PutMode::Replace(own.revision.operation), revision, true))
                }
                View::Known(had) if self.is_known(had) => return None,
                View::Alive(_) | View::Known(_) => {
                    let version = self.revision(side)?.operation;
                    (merge, put(PutMode::Replace(version), song.revision, false))
                }
                View::Dead(_) | View::Absent { lost: true } => {
                    (Action::Restore, put(PutMode::Create, song.revision, false))
                }
                View::Absent { lost: false } => {
                    (Action::Add, put(PutMode::Create, song.revision, false))
                }
            };
            Some(Step { action, how })
        });
        if steps == Pair::default() {
            return Ok(None);
        }
        let (merged, note) = (self.merged(&song), self.note());
        Ok(Some(Write { song, steps, merged, note }))
    }

    // Whether a side that was not read has seen everything that the other has.
    fn is_known(&self, had: &Had) -> bool {
        let all = Side::BOTH.into_iter().find_map(|side| match self.views[side] {
            View::Alive(song) => Some(song.seen()),
            _ => None,
        });
        all.is_some_and(|all| all.agrees_with(&had.seen))
    }

    fn updated_at(&self, side: Side) -> Option<Timestamp> {
        match self.views[side] {
            View::Alive(song) => Some(song.updated_at),
            View::Dead(tombstone) => Some(tombstone.deleted_at.max(tombstone.song.updated_at)),
            View::Known(_) | View::Absent { .. } => None,
        }
    }

    // A side that still has the song deletes it, and its tombstone has what both
    // had seen.
    fn delete(&self, like: &Song) -> Result<Option<Write>, InvalidVersion> {
        let tombstone = Side::BOTH.into_iter().find_map(|side| match self.views[side] {
            View::Dead(tombstone) => Some(tombstone),
            _ => None,
        });
        let (operation, at) = match tombstone {
            Some(tombstone) => (tombstone.revision.operation, tombstone.deleted_at),
            // Each side had deleted what the other one has. No new write: its
            // first half is one that both have seen.
            None => {
                let seen = self.joined.seen();
                let op = seen.first().copied().unwrap_or(Op(0));
                (op.operation(&format!("songrec sync delete {seen:?}")), like.updated_at)
            }
        };
        let steps = Pair::of(|side| {
            let version = match self.views[side] {
                View::Alive(song) => song.revision,
                View::Known(had) => had.revision,
                View::Dead(_) | View::Absent { .. } => return None,
            };
            Some(Step { action: Action::Delete, how: How::Delete { version, operation, at } })
        });
        if steps == Pair::default() {
            return Ok(None);
        }
        let song = like.saying(&self.joined)?;
        Ok(Some(Write { song, steps, merged: vec![], note: None }))
    }

    fn note(&self) -> Option<&'static str> {
        Side::BOTH.into_iter().find_map(|side| match (self.views[side], side.other()) {
            (View::Absent { lost: true }, _) => Some(LOST),
            // A machine that restored the song knew of the deletion.
            (View::Dead(_), other) if !self.versions[other].includes(&self.versions[side]) => {
                Some(OVERRULED)
            }
            _ => None,
        })
    }

    // Fields that both sides had changed without knowing of each other.
    fn merged(&self, song: &Song) -> Vec<MergedField> {
        let shown = Pair::of(|side| self.versions[side].shown());
        let keys: BTreeSet<&str> = shown.left.keys().copied().collect();
        let mut merged = Vec::new();
        for key in keys {
            let (Some(left), Some(right)) = (shown.left.get(key), shown.right.get(key)) else {
                continue;
            };
            let unknown = !self.versions.left.seen().contains(&right.op)
                && !self.versions.right.seen().contains(&left.op);
            if !unknown || left.value == right.value || key == "added_at" {
                continue;
            }
            let left_wins = (left.stamp, left.op) > (right.stamp, right.op);
            let (from, value, other) = if left_wins {
                (Side::Left, left.value, right.value)
            } else {
                (Side::Right, right.value, left.value)
            };
            let field: Option<Field> =
                key.strip_prefix("edits.").and_then(|field| field.parse().ok());
            let kept = song
                .conflicts
                .iter()
                .any(|one| Some(&one.field) == field.as_ref() && one.value == *other);
            merged.push(MergedField {
                field: key.to_owned(),
                value: Some(value.clone()),
                from: Some(from),
                other: Some(other.clone()),
                kept,
            });
        }
        merged
    }
}

/// An operation id derived from a text: the same text gives the same id.
pub(crate) fn operation_of(what: &str) -> OperationId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(what.as_bytes()).0[..16]);
    // A version-8 UUID: made from something, not random.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    OperationId::from_bytes(bytes)
}
