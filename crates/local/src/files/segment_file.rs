//! Segments as they lie in files: all of one song in one.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use songrec_core::{ModelName, Segment, SegmentId, SongId, Timestamp, Vector};

use crate::{
    error::{Fault, Result},
    files::Files,
    files::NewFile,
    files::{Folder, Layout},
};

#[derive(Serialize, Deserialize)]
struct SegmentsFile {
    format: u32,
    segments: Vec<StoredSegment>,
}

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct StoredSegment {
    id: SegmentId,
    start: f64,
    end: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frequencies: Option<(f32, f32)>,
    kind: String,
    confidence: f32,
    model: ModelName,
    /// Little-endian float32 in base64: short, and every bit comes back.
    vector: String,
    created_at: Timestamp,
}

/// The segments of a song, by their ids; none if there is no file.
pub(crate) fn read(layout: &Layout, files: &Files, song: SongId) -> Result<Vec<Segment>> {
    let path = layout.of_song(Folder::Segments, song);
    let Some(bytes) = files.read(&path)? else { return Ok(vec![]) };
    let file: SegmentsFile =
        serde_json::from_slice(&bytes).map_err(|error| Fault::damaged(&path, error))?;
    if file.format > FORMAT {
        return Err(Fault::Newer { path, found: file.format.into(), known: FORMAT.into() });
    }
    file.segments
        .into_iter()
        .map(|stored| stored.decode(song).map_err(|why| Fault::damaged(&path, why)))
        .collect()
}

/// The file of a song's segments.
pub(crate) fn new_file(layout: &Layout, song: SongId, segments: &[Segment]) -> Result<NewFile> {
    let segments = segments.iter().map(StoredSegment::encode).collect();
    let mut bytes =
        serde_json::to_vec(&SegmentsFile { format: FORMAT, segments }).map_err(Fault::invalid)?;
    bytes.push(b'\n');
    Ok(NewFile { path: layout.of_song(Folder::Segments, song), bytes })
}

impl StoredSegment {
    fn encode(segment: &Segment) -> Self {
        Self {
            id: segment.id,
            start: segment.start,
            end: segment.end,
            frequencies: segment.frequencies,
            kind: segment.kind.clone(),
            confidence: segment.confidence,
            model: segment.model.clone(),
            vector: BASE64_STANDARD.encode(segment.vector.to_le_bytes()),
            created_at: segment.created_at,
        }
    }

    fn decode(self, song: SongId) -> Result<Segment, String> {
        let bytes = BASE64_STANDARD.decode(&self.vector).map_err(|error| error.to_string())?;
        let (fours, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(format!("a vector of {} bytes", bytes.len()));
        }
        let values = fours.iter().map(|four| f32::from_le_bytes(*four)).collect();
        Ok(Segment {
            id: self.id,
            song,
            start: self.start,
            end: self.end,
            frequencies: self.frequencies,
            kind: self.kind,
            confidence: self.confidence,
            model: self.model,
            vector: Vector::new(values).map_err(|error| error.to_string())?,
            created_at: self.created_at,
        })
    }
}
