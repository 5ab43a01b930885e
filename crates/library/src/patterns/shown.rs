//! What is shown of a pattern.

use serde::Serialize;
use serde_json::{Map, Value};
use songrec_core::{ModelName, Segment, SegmentId, SongId, SongSummary, Timestamp};

use crate::Part;

/// What lists show of a pattern.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownPattern {
    /// Its id, which it keeps when it is changed.
    pub id: SegmentId,
    /// The song that it is a part of.
    pub song: SongId,
    /// The song's title, or its file's name.
    pub title: String,
    /// The song's artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// From where to where, in seconds from the start of the song.
    #[serde(flatten)]
    pub part: Part,
    /// Its lowest frequency in Hz, if it is not the whole range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f32>,
    /// Its highest frequency in Hz, if it is not the whole range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f32>,
    /// What it is, such as `harmonic`.
    pub kind: String,
    /// How sure its finder is, 0 to 1.
    pub confidence: f32,
    /// Who or what found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whatever else was said of it.
    pub metadata: Map<String, Value>,
    /// The model that its features are of.
    pub model: ModelName,
    /// How many numbers its features are.
    pub dimension: usize,
    /// Its features, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<f32>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

impl ShownPattern {
    pub(super) fn of(segment: &Segment, song: &SongSummary) -> Self {
        let pattern = segment.pattern.as_ref();
        Self {
            id: pattern.map_or(segment.id, |pattern| pattern.id),
            song: segment.song,
            title: song.title.clone(),
            artist: song.artist.clone(),
            part: Part { start: segment.start, end: segment.end },
            low: segment.frequencies.map(|(low, _)| low),
            high: segment.frequencies.map(|(_, high)| high),
            kind: segment.kind.clone(),
            confidence: segment.confidence,
            source: pattern.and_then(|pattern| pattern.source.clone()),
            metadata: pattern.map(|pattern| pattern.metadata.clone()).unwrap_or_default(),
            model: segment.model.clone(),
            dimension: segment.vector.dimension(),
            features: None,
            created_at: segment.created_at,
            changed_at: pattern.map_or(segment.created_at, |pattern| pattern.changed_at),
        }
    }

    /// The same with its features.
    #[must_use]
    pub(super) fn with_features_of(mut self, segment: &Segment) -> Self {
        self.features = Some(segment.vector.values().to_vec());
        self
    }
}
