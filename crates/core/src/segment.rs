//! Regions of songs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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

    /// Its first eight digits: what people read.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
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
/// and delete the first. A pattern keeps its name through that.
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
    /// What a person or a program said of it; nothing for a window, which a scan
    /// made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
}

/// What only a segment has that a person or a program made.
///
/// A pattern that is changed is another segment of the same pattern. Two that were
/// written without knowledge of each other both stay, until one is written that
/// takes the place of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// Names it through all changes: the id of the segment that it was first.
    pub id: SegmentId,
    /// Who or what found it, such as the name of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whatever else is to be kept with it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// When it was last changed; when it was first made is the segment's.
    pub changed_at: Timestamp,
}

impl Segment {
    /// Why this cannot be a region of a song, if it cannot: every number is finite,
    /// times are in order from 0 on, frequencies too, and the confidence is from 0
    /// to 1.
    pub fn refusal(&self) -> Option<String> {
        Self::refusal_of((self.start, self.end), self.frequencies, self.confidence)
    }

    /// The same for times in seconds and frequencies in Hz that are no segment yet.
    pub fn refusal_of(
        (start, end): (f64, f64),
        frequencies: Option<(f32, f32)>,
        confidence: f32,
    ) -> Option<String> {
        if !(0.0 <= start && start <= end && end.is_finite()) {
            return Some(format!("{start} s to {end} s is no part of a song"));
        }
        if let Some((low, high)) = frequencies
            && !(0.0 <= low && low <= high && high.is_finite())
        {
            return Some(format!("{low} Hz to {high} Hz is no range of frequencies"));
        }
        if !(0.0..=1.0).contains(&confidence) {
            return Some(format!("a confidence is from 0 to 1, and {confidence} is not"));
        }
        None
    }
}
