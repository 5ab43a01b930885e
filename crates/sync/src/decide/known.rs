//! What a sync knows of one song: what it read of each side, and what both had
//! when they last agreed.

use serde::{Deserialize, Serialize};
use songrec_core::{History, Revision, Song};
use songrec_storage::{SongHead, Tombstone};

use super::values::Refs;
use crate::Pair;

/// What was read of a song on one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SongState {
    /// As it was when both sides last agreed.
    #[default]
    Same,
    Present(Box<Song>),
    /// It is there, and only its head was listed.
    Head(SongHead),
    Deleted(Box<Tombstone>),
    /// It is not there.
    Absent,
}

/// What both sides had when they last agreed; nothing for a side that has
/// neither the song nor its tombstone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known(pub(crate) Pair<Option<Had>>);

/// What a side had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Had {
    pub(crate) revision: Revision,
    pub(crate) seen: History,
    #[serde(default)]
    pub(crate) refs: Refs,
    /// Whether only its head was listed: then `refs` are those of the other side,
    /// of the same models and the same audio, and must not be written here.
    #[serde(default, rename = "in_short", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) only_head: bool,
    /// If it was deleted: a tombstone is listed once, and cannot be read by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tombstone: Option<Box<Tombstone>>,
}

impl Had {
    pub(crate) fn of_song(song: &Song) -> Self {
        let (revision, seen, refs) = (song.revision, song.seen(), Refs::of(song));
        Self { revision, seen, refs, only_head: false, tombstone: None }
    }

    /// What a side has that listed only the head of this song.
    pub(super) fn like_song(song: &Song) -> Self {
        Self { only_head: true, ..Self::of_song(song) }
    }

    /// Whether a side that names these objects has what it had.
    pub(crate) fn names(&self, refs: &Refs) -> bool {
        if self.only_head {
            self.refs.comparable() == refs.comparable()
        } else {
            self.refs == *refs
        }
    }

    pub(crate) fn of_tombstone(tombstone: &Tombstone) -> Self {
        Self {
            revision: tombstone.revision,
            seen: History::default(),
            refs: Refs::default(),
            only_head: false,
            tombstone: Some(Box::new(tombstone.clone())),
        }
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.tombstone.is_none()
    }
}

impl Known {
    /// What was read of each side; for a side that was not read, what was known.
    pub(crate) fn of(states: &Pair<SongState>, known: Option<&Self>) -> Self {
        Self(Pair::of(|side| match &states[side] {
            SongState::Same | SongState::Head(_) => known.and_then(|known| known.0[side].clone()),
            SongState::Present(song) => Some(Had::of_song(song)),
            SongState::Deleted(tombstone) => Some(Had::of_tombstone(tombstone)),
            SongState::Absent => None,
        }))
    }
}
