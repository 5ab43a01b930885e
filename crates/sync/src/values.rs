//! What of a song is merged, and what both sides last agreed on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use songrec_core::{
    BlobRef, Conflict, Edits, EmbeddingRef, ModelName, Revision, SegmentId, Song, SongFile,
    Sources, Stamp, Tags, Timestamp,
};

use crate::{Pair, Place};

/// What of a song is merged; a copy of its own, which no later edit reaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Values {
    pub(crate) updated_at: Timestamp,
    pub(crate) added_at: Timestamp,
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Sources::is_default")]
    pub(crate) sources: Sources,
    pub(crate) edits: Edits,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) stamps: BTreeMap<String, Stamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conflicts: Vec<Conflict>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<SongFile>,
}

impl Values {
    pub(crate) fn of(song: &Song) -> Self {
        Self {
            updated_at: song.updated_at,
            added_at: song.added_at,
            tags: song.tags.clone(),
            sources: Sources { unsorted: song.has_unsorted_tags(), ..song.sources.clone() },
            edits: song.edits.clone(),
            stamps: song.stamps.clone(),
            conflicts: song.conflicts.clone(),
            files: song.files.clone(),
        }
    }

    /// Whether a person would see no difference.
    pub(crate) fn say_the_same_as(&self, other: &Self) -> bool {
        let entries = |values: &Self| -> BTreeSet<String> {
            values.conflicts.iter().map(|one| holding(&one.field, &one.value)).collect()
        };
        let sorted = |values: &Self| Sources { unsorted: false, ..values.sources.clone() };
        self.tags == other.tags
            && sorted(self) == sorted(other)
            && self.edits == other.edits
            && self.files == other.files
            && entries(self) == entries(other)
    }

    /// What others than people said, by `SOURCE.FIELD`, such as `tags.title`
    /// or `import.extra.isrc`.
    pub(crate) fn said(&self) -> BTreeMap<String, Value> {
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

    /// Every value that is held: as the value of a field, or, if `conflicts`
    /// count, as one that lost a merge.
    pub(crate) fn holdings(&self, conflicts: bool) -> BTreeSet<String> {
        let mut held = BTreeSet::new();
        for (field, value) in self.edits.iter() {
            match value.as_array() {
                Some(all) => held.extend(all.iter().map(|one| holding(field, one))),
                None => drop(held.insert(holding(field, value))),
            }
        }
        for name in self.stamps.keys() {
            let field = name.strip_prefix("edits.").and_then(|field| field.parse().ok());
            if field.is_some_and(|field| self.edits.get(&field).is_none()) {
                held.insert(format!("{name} as the file says"));
            }
        }
        for (name, value) in self.said() {
            // A value is no other one because another source says it.
            let name = format!("tags.{}", name.split_once('.').map_or("", |(_, field)| field));
            match value.as_array() {
                Some(all) => held.extend(all.iter().map(|one| format!("{name}={one}"))),
                None => drop(held.insert(format!("{name}={value}"))),
            }
        }
        held.extend(self.files.iter().map(|file| format!("files={}\n{}", file.path, file.sha256)));
        if conflicts {
            for conflict in &self.conflicts {
                match conflict.value.as_array() {
                    Some(all) => held.extend(all.iter().map(|one| holding(&conflict.field, one))),
                    None => drop(held.insert(holding(&conflict.field, &conflict.value))),
                }
            }
        }
        held
    }
}

fn holding(field: &songrec_core::Field, value: &Value) -> String {
    format!("edits.{field}={value}")
}

/// The tags and the other sources that say this; the reverse of
/// [`Values::said`].
pub(crate) fn said_by(fields: BTreeMap<String, Value>) -> (Tags, Sources) {
    let mut of_source: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for (name, value) in fields {
        if let Some((source, field)) = name.split_once('.') {
            of_source.entry(source.to_owned()).or_default().insert(field.to_owned(), value);
        }
    }
    let mut tags = |source: &str| tags_of(of_source.remove(source).unwrap_or_default());
    let sources = Sources {
        import: tags("import"),
        folder: tags("folder"),
        file_name: tags("file_name"),
        unsorted: false,
    };
    (tags("tags"), sources)
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

/// The tags that have these fields.
fn tags_of(fields: BTreeMap<String, Value>) -> Tags {
    let (mut tags, mut extra) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, value) in fields {
        match name.strip_prefix("extra.") {
            Some(name) => extra.insert(name.to_owned(), value),
            None => tags.insert(name, value),
        };
    }
    if !extra.is_empty() {
        tags.insert("extra".to_owned(), Value::Object(extra));
    }
    serde_json::from_value(Value::Object(tags)).expect("every value comes from the same tag")
}

/// The facts that a song names on one side.
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
}

/// What both sides last agreed on about a song.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// Whether they agreed that it is deleted; the values are then those that
    /// its deleter saw.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    /// The version on each side; nothing if there is none.
    pub(crate) revisions: Pair<Option<Revision>>,
    /// When it came into each library: another time is another life.
    pub(crate) added: Pair<Timestamp>,
    pub(crate) values: Values,
    #[serde(default)]
    pub(crate) refs: Pair<Refs>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<SegmentId>,
}

impl Base {
    /// The number of the version at `place`; zero if there is none.
    pub(crate) fn number(&self, place: Place) -> u64 {
        self.revisions[place].map_or(0, |revision| revision.number)
    }
}

/// One version that went into a write: what its later versions are compared
/// with, once the write has landed on the other side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) revision: Revision,
    pub(crate) values: Values,
}

impl Input {
    pub(crate) fn of(song: &Song) -> Self {
        Self { revision: song.revision, values: Values::of(song) }
    }
}
