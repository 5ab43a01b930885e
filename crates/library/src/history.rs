//! The writes that made a song.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use songrec_core::{Song, SongId, Stamp, Timestamp};

/// What is left of the writes that made a song, the earliest first.
#[derive(Clone, Debug, Serialize)]
pub struct SongHistory {
    /// The song.
    pub id: SongId,
    /// The writes of which something is left.
    pub writes: Vec<Written>,
    /// How many writes there were.
    pub seen: usize,
    /// When it was deleted, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// What is left of one write.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// When; nothing where songs of that time did not say it.
    pub at: Option<Timestamp>,
    /// The first 64 bits of its id, as hexadecimal digits.
    pub operation: String,
    /// Its values by their keys, such as `edits.title`, in the order of the writer.
    #[serde(serialize_with = "by_key")]
    pub values: Vec<(String, Value)>,
}

fn by_key<S: Serializer>(values: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let sorted: BTreeMap<&String, &Value> =
        values.iter().map(|(key, value)| (key, value)).collect();
    serializer.collect_map(sorted)
}

impl SongHistory {
    /// The history of a song, and when it was deleted if it was.
    pub fn of(song: &Song, deleted_at: Option<Timestamp>) -> Self {
        let version = song.version();
        let mut writes: Vec<(Stamp, Written)> = version
            .writes()
            .iter()
            .map(|(operation, write)| {
                let written = Written {
                    at: (write.stamp != Stamp::default()).then(|| write.stamp.time()),
                    operation: format!("{:016x}", operation.0),
                    values: write.values.clone(),
                };
                (write.stamp, written)
            })
            .collect();
        writes.sort_by_key(|(stamp, _)| *stamp);
        Self {
            id: song.id,
            writes: writes.into_iter().map(|(_, written)| written).collect(),
            // The deletion is a write that left nothing but this.
            seen: version.seen().len() + usize::from(deleted_at.is_some()),
            deleted_at,
        }
    }
}
