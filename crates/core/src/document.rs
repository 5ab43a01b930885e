//! Small documents beside the songs: playlists, synths, who takes part.

use serde::{Deserialize, Serialize};

use crate::{Revision, Timestamp};

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A named list of songs.
    Playlist,
    /// A synthesizer definition with its lineage.
    Synth,
    /// The library itself: its identity and version.
    Library,
    /// A machine that takes part in syncing.
    Machine,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Playlist, Self::Synth, Self::Library, Self::Machine];

    /// The kind in small letters, as documents name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Playlist => "playlist",
            Self::Synth => "synth",
            Self::Library => "library",
            Self::Machine => "machine",
        }
    }
}

/// A document of some kind, known by its id within the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What it is about.
    pub kind: DocumentKind,
    /// Its id: 1 to 64 characters of `a-z`, `0-9`, `_` and `-`.
    pub id: String,
    /// The version, for compare-and-set.
    pub revision: Revision,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What it says; its shape belongs to its kind.
    pub body: serde_json::Value,
}

impl Document {
    /// Whether `id` may name a document.
    pub fn is_valid_id(id: &str) -> bool {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    }
}
