//! Regions of songs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{InvalidId, ModelName, SongId, Timestamp, Vector};

/// One region of one song; random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentId(Uuid);

impl SegmentId {
    /// A new id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for SegmentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        // A segment id has the form of a song id, and so has its error.
        text.parse::<SongId>().map(|id| Self(Uuid::from_bytes(*id.as_bytes())))
    }
}

/// A time and frequency region of a song, with its own vector and kind.
///
/// A segment is written once and never changed; to change one, write another
/// and delete the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The segment's own id.
    pub id: SegmentId,
    /// The song it is a part of.
    pub song: SongId,
    /// Where it begins, in seconds from the start of the song.
    pub start: f64,
    /// Where it ends, in seconds; not before `start`.
    pub end: f64,
    /// Its lowest and highest frequency in Hz, if it is not the whole range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequencies: Option<(f32, f32)>,
    /// What it is, such as `window` or `harmonic`.
    pub kind: String,
    /// How sure its finder is, 0 to 1.
    pub confidence: f32,
    /// The model that embedded it.
    pub model: ModelName,
    /// The model's vector.
    pub vector: Vector,
    /// When it was made.
    pub created_at: Timestamp,
}
