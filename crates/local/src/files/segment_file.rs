//! Segments as they lie in files: all of one song in one.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use songrec_core::{ModelName, Pattern, Segment, SegmentId, SongId, Timestamp, Vector};

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

/// Of a file with patterns. A songrec that knows only the first one would drop what
/// it does not know when it writes the file again: it refuses the later number.
const FORMAT: u32 = 2;
/// Of a file of windows alone, which every songrec reads.
const FORMAT_OF_WINDOWS: u32 = 1;

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<Pattern>,
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
    let has_patterns = segments.iter().any(|segment| segment.pattern.is_some());
    let format = if has_patterns { FORMAT } else { FORMAT_OF_WINDOWS };
    let segments = segments.iter().map(StoredSegment::encode).collect();
    let mut bytes =
        serde_json::to_vec(&SegmentsFile { format, segments }).map_err(Fault::invalid)?;
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
            pattern: segment.pattern.clone(),
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
            pattern: self.pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use serde_json::json;

    use super::*;
    use crate::files::disk::RealDisk;

    fn segment(pattern: Option<Pattern>) -> Segment {
        Segment {
            id: SegmentId::from_bytes([1; 16]),
            song: SongId::from_bytes([2; 16]),
            start: 0.5,
            end: 1.0,
            frequencies: None,
            kind: "window".to_owned(),
            confidence: 1.0,
            model: "m@1".parse().unwrap(),
            vector: Vector::new(vec![1.0]).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            pattern,
        }
    }

    fn pattern() -> Pattern {
        Pattern {
            id: SegmentId::from_bytes([3; 16]),
            source: None,
            metadata: serde_json::Map::new(),
            changed_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn written(segments: &[Segment]) -> serde_json::Value {
        let file = new_file(&Layout::new(Path::new("/")), segments[0].song, segments).unwrap();
        serde_json::from_slice(&file.bytes).unwrap()
    }

    #[test]
    fn windows_alone_are_written_as_every_songrec_reads_them() {
        let windows = written(&[segment(None)]);

        let expected = json!({"format": 1, "segments": [{
            "id": "01010101-0101-0101-0101-010101010101", "start": 0.5, "end": 1.0,
            "kind": "window", "confidence": 1.0, "model": "m@1", "vector": "AACAPw==",
            "created_at": "1970-01-01T00:00:00Z",
        }]});
        assert_eq!(windows, expected);
        // One that would drop what it does not know refuses the number.
        assert_eq!(written(&[segment(None), segment(Some(pattern()))])["format"], 2);
    }

    #[test]
    fn what_a_later_songrec_wrote_is_refused() {
        let folder = songrec_testkit::temp_dir();
        let layout = Layout::new(folder.path());
        let files = Files::new(Arc::new(RealDisk), layout.unfinished());
        let song = SongId::from_bytes([2; 16]);
        let path = layout.of_song(Folder::Segments, song);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        for (format, is_read) in [(1, true), (2, true), (3, false)] {
            let text = json!({"format": format, "segments": []}).to_string();
            std::fs::write(&path, text).unwrap();

            let read = read(&layout, &files, song);

            assert_eq!(read.is_ok(), is_read, "{format}: {read:?}");
        }
    }
}
