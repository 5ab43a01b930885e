//! The values that people see of a song, and the objects that it names.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use songrec_core::{
    BlobRef, Conflict, Digest, Edits, EmbeddingRef, ModelName, Song, SongFile, Sources, Tags,
};

/// The values that people see of a song, on whichever side it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values {
    pub(crate) tags: Tags,
    pub(crate) sources: Sources,
    pub(crate) edits: Edits,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) files: Vec<SongFile>,
}

impl Values {
    pub(crate) fn of(song: &Song) -> Self {
        Self {
            tags: song.tags.clone(),
            sources: Sources { unsorted: false, ..song.sources.clone() },
            edits: song.edits.clone(),
            conflicts: song.conflicts.clone(),
            files: song.files.clone(),
        }
    }

    /// Whether a person would see no difference.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self.tags == other.tags
            && self.sources == other.sources
            && self.edits == other.edits
            && self.files == other.files
            && self.lost() == other.lost()
    }

    /// The values that lost a merge, without their authors and times.
    pub(crate) fn lost(&self) -> BTreeSet<String> {
        self.conflicts.iter().map(|one| format!("{}={}", one.field, one.value)).collect()
    }

    /// The values from other sources than people, by `SOURCE.FIELD`, such as
    /// `tags.title` or `import.extra.isrc`.
    pub(crate) fn stated(&self) -> BTreeMap<String, Value> {
        let Sources { import, folder, file_name, unsorted: _ } = &self.sources;
        let all = [
            ("tags", &self.tags),
            ("import", import),
            ("folder", folder),
            ("file_name", file_name),
        ];
        let fields = all.into_iter().flat_map(|(source, tags)| {
            fields_of(tags)
                .into_iter()
                .map(move |(name, value)| (format!("{source}.{name}"), value))
        });
        fields.collect()
    }
}

/// The fields of `tags` by their names, those of `extra` as `extra.NAME`.
fn fields_of(tags: &Tags) -> BTreeMap<String, Value> {
    let Ok(Value::Object(fields)) = serde_json::to_value(tags) else { return BTreeMap::new() };
    let mut named = BTreeMap::new();
    for (name, value) in fields {
        match value {
            Value::Object(extra) if name == "extra" => {
                named.extend(extra.into_iter().map(|(k, v)| (format!("extra.{k}"), v)));
            }
            value => drop(named.insert(name, value)),
        }
    }
    named
}

/// The objects that a song names on one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refs {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) embeddings: BTreeMap<ModelName, EmbeddingRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blob: Option<BlobRef>,
}

impl Refs {
    pub(crate) fn of(song: &Song) -> Self {
        Self { embeddings: song.embeddings.clone(), blob: song.blob.clone() }
    }

    /// The models and the digest of the audio, which can be compared between two
    /// sides.
    pub(crate) fn comparable(&self) -> (Vec<&ModelName>, Option<Digest>) {
        (self.embeddings.keys().collect(), self.blob.as_ref().map(|blob| blob.sha256))
    }
}
