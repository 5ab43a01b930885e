//! What has to be in a database to hold a library, and which models it knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{Digest, Metric, ModelName, ModelSpec};

use crate::client::CollectionSettings;

/// The version of the layout written by this version.
pub(crate) const SCHEMA_VERSION: u64 = 1;
pub(crate) const SONGS: &str = "songs";
pub(crate) const LIBRARY: &str = "library";
/// The `_id` of the document that says which layout and which library this is.
pub(crate) const SCHEMA_ID: &str = "schema";
/// The `_id` of the document that numbers changes.
pub(crate) const FEED_ID: &str = "feed";

const SONGS_JSON: &str = include_str!("../../../migrations/astra/songs.json");
const LIBRARY_JSON: &str = include_str!("../../../migrations/astra/library.json");
const EMBEDDINGS_JSON: &str = include_str!("../../../migrations/astra/embeddings.json");

/// The collections that every library has.
pub(crate) fn collections() -> [CollectionSettings; 2] {
    [SONGS_JSON, LIBRARY_JSON].map(parse)
}

/// The collection of one model's embeddings.
pub(crate) fn embeddings_of(model: &ModelSpec) -> CollectionSettings {
    let mut settings = parse(EMBEDDINGS_JSON);
    settings.name = collection_name(&model.name);
    let metric = match model.metric {
        Metric::Cosine => "cosine",
        Metric::DotProduct => "dot_product",
        Metric::Euclidean => "euclidean",
    };
    settings.options["vector"] = json!({"dimension": model.dimension, "metric": metric});
    settings
}

fn parse(text: &str) -> CollectionSettings {
    serde_json::from_str(text).expect("the embedded settings are valid JSON")
}

/// The collection for a model: its name where that is plain, otherwise as much
/// of it as is allowed, with a digest so that no two models meet.
pub(crate) fn collection_name(model: &ModelName) -> String {
    format!("embeddings_{}", field_name(model))
}

/// A model's name as a name of a field: `a-z`, `0-9` and `_`, at most 37
/// characters. A plain one has a single `_`, one with a digest has two at
/// least, so that they cannot be the same.
pub(crate) fn field_name(model: &ModelName) -> String {
    const MOST: usize = 37;
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric());
    let readable: String =
        model.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if plain(model.name()) && plain(model.revision()) && readable.len() <= MOST {
        return readable;
    }
    let digest = &Digest::of(model.as_str().as_bytes()).to_string()[..10];
    let readable: String = readable.chars().take(MOST - 11).collect();
    format!("{readable}_{digest}")
}

/// The document that says which layout and which library this is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SchemaDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) version: u64,
    /// Random; another one means another library at the same address.
    pub(crate) library: String,
}

/// The document that says that there is room for a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) collection: String,
    pub(crate) payload: String,
}

impl ModelDocument {
    pub(crate) fn of(model: &ModelSpec) -> Self {
        Self {
            id: format!("model:{}", model.name),
            kind: "model".to_owned(),
            collection: collection_name(&model.name),
            payload: serde_json::to_string(model).expect("a model is plain data"),
        }
    }
}

/// What this process knows of the library.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    pub(crate) library: String,
    pub(crate) models: BTreeMap<ModelName, KnownModel>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KnownModel {
    pub(crate) spec: ModelSpec,
    pub(crate) collection: String,
}

/// What is wrong with a library's own documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrongSchema {
    #[error("there is no library in it yet")]
    Missing,
    #[error(
        "it was written by a newer songrec: layout {found}, and this one knows {SCHEMA_VERSION}"
    )]
    Newer { found: u64 },
    #[error("its document `{id}` cannot be read: {why}")]
    Damaged { id: String, why: String },
}

impl Registry {
    /// The documents that this was read from.
    pub(crate) fn documents(&self) -> Vec<Value> {
        let schema = SchemaDocument {
            id: SCHEMA_ID.to_owned(),
            kind: "schema".to_owned(),
            version: SCHEMA_VERSION,
            library: self.library.clone(),
        };
        let models = self.models.values().map(|known| ModelDocument::of(&known.spec));
        std::iter::once(serde_json::to_value(schema))
            .chain(models.map(serde_json::to_value))
            .collect::<Result<_, _>>()
            .expect("they are plain data")
    }

    /// Reads the schema and model documents of a library.
    pub(crate) fn read(documents: Vec<Value>) -> Result<Self, WrongSchema> {
        let mut registry = Self::default();
        for document in documents {
            let id = document["_id"].as_str().unwrap_or_default().to_owned();
            let damaged =
                |why: &dyn ToString| WrongSchema::Damaged { id: id.clone(), why: why.to_string() };
            if id == SCHEMA_ID {
                let schema: SchemaDocument =
                    serde_json::from_value(document).map_err(|error| damaged(&error))?;
                if schema.version > SCHEMA_VERSION {
                    return Err(WrongSchema::Newer { found: schema.version });
                }
                registry.library = schema.library;
            } else {
                let model: ModelDocument =
                    serde_json::from_value(document).map_err(|error| damaged(&error))?;
                let spec: ModelSpec =
                    serde_json::from_str(&model.payload).map_err(|error| damaged(&error))?;
                let known = KnownModel { collection: model.collection, spec };
                registry.models.insert(known.spec.name.clone(), known);
            }
        }
        if registry.library.is_empty() { Err(WrongSchema::Missing) } else { Ok(registry) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_collections_are_allowed_and_never_the_same() {
        let long = format!("{}@{}", "a".repeat(48), "b".repeat(48));
        let names =
            ["clap@1", "dsp45-row@1", "dsp45.row@1", "dsp45_row@1", "a@b-1", "a-b@1", &long];

        let mut collections: Vec<_> =
            names.iter().map(|name| collection_name(&name.parse().unwrap())).collect();

        assert_eq!(collections[0], "embeddings_clap_1");
        for name in &collections {
            assert!(name.len() <= 48, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{name}");
        }
        collections.sort();
        collections.dedup();
        assert_eq!(collections.len(), names.len());
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let schema = |version: u64| {
            vec![json!({"_id": "schema", "kind": "schema", "version": version, "library": "x"})]
        };

        assert!(Registry::read(schema(SCHEMA_VERSION)).is_ok());
        let newer = Registry::read(schema(SCHEMA_VERSION + 1));
        assert!(matches!(newer, Err(WrongSchema::Newer { .. })));
        assert!(matches!(Registry::read(Vec::new()), Err(WrongSchema::Missing)));
    }

    #[test]
    fn the_embedded_settings_are_whole() {
        let model = ModelSpec {
            name: "clap@1".parse().unwrap(),
            dimension: 512,
            metric: Metric::Cosine,
            description: String::new(),
        };

        assert_eq!(collections().map(|one| one.name), [SONGS, LIBRARY]);
        assert_eq!(embeddings_of(&model).options["vector"]["dimension"], 512);
        assert!(embeddings_of(&model).options["indexing"]["deny"].is_array());
    }
}
