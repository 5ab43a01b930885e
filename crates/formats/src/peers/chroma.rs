//! ChromaDB's `chroma.sqlite3`.
//!
//! Every write of a record stands in the table `embeddings_queue`, with its vector, until
//! a later version (0.5.6 on) removes it from there; then the vector is only in files of
//! the index, which are not read.

use std::{collections::BTreeMap, path::Path};

use rusqlite::Connection;
use serde_json::{Map, Value};
use songrec_core::Metric;

use super::{
    Each, PeerError, PeerRecord, PeerVector,
    database::{columns, open},
    slug,
};

/// What a write does, as the numbers in the table mean it.
const DELETE: i64 = 3;

struct Collection {
    name: String,
    metric: Metric,
}

pub(super) fn read(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let connection = open(path)?;
    let collections = collections(&connection)?;
    let mut writes = connection.prepare(
        "SELECT topic, id, operation, vector, encoding, metadata FROM embeddings_queue \
         ORDER BY topic, id, seq_id",
    )?;
    let mut rows = writes.query([])?;
    let mut current: Option<((String, String), Replayed)> = None;
    let mut goes_on = true;
    while let Some(row) = rows.next()? {
        let at: (String, String) = (row.get(0)?, row.get(1)?);
        if current.as_ref().is_none_or(|(known, _)| *known != at)
            && let Some((known, state)) = current.replace((at, Replayed::default()))
        {
            goes_on = finish(known, state, &collections, each);
            if !goes_on {
                break;
            }
        }
        let Some((_, state)) = &mut current else { continue };
        let vector: Option<Vec<u8>> = row.get(3)?;
        let encoding: Option<String> = row.get(4)?;
        state.write(row.get(2)?, vector, encoding, row.get(5)?);
    }
    if goes_on && let Some((at, state)) = current {
        goes_on = finish(at, state, &collections, each);
    }
    if goes_on {
        without_vectors(&connection, &collections, each)?;
    }
    Ok(())
}

/// What a record is after some writes.
#[derive(Default)]
struct Replayed {
    is_there: bool,
    vector: Option<Vec<f32>>,
    fields: Map<String, Value>,
    wrong: Option<String>,
}

impl Replayed {
    fn write(
        &mut self,
        operation: i64,
        vector: Option<Vec<u8>>,
        encoding: Option<String>,
        metadata: Option<String>,
    ) {
        if operation == DELETE {
            *self = Self::default();
            return;
        }
        self.is_there = true;
        if let Some(bytes) = vector {
            match encoding.as_deref() {
                None | Some("FLOAT32") => match bytes.as_chunks::<4>() {
                    (values, []) => {
                        let values = values.iter().map(|value| f32::from_le_bytes(*value));
                        self.vector = Some(values.collect());
                    }
                    _ => self.wrong = Some("its vector is cut off".to_owned()),
                },
                Some(other) => {
                    self.wrong = Some(format!("its vector is written as `{other}`"));
                }
            }
        }
        if let Some(Ok(Value::Object(fields))) = metadata.map(|text| serde_json::from_str(&text)) {
            for (name, value) in fields {
                // Nothing takes a value away.
                match value {
                    Value::Null => drop(self.fields.remove(&name)),
                    value => drop(self.fields.insert(name, value)),
                }
            }
        }
    }
}

fn finish(
    (topic, id): (String, String),
    state: Replayed,
    collections: &BTreeMap<String, Collection>,
    each: &mut Each<'_>,
) -> bool {
    if !state.is_there {
        return true;
    }
    // A topic ends with the id of the collection.
    let collection = topic.rsplit('/').next().and_then(|id| collections.get(id));
    let Replayed { vector, fields, wrong, .. } = state;
    if let Some(why) = wrong {
        return each(Err((id, why)));
    }
    let (name, metric) = match collection {
        Some(found) => (found.name.as_str(), found.metric),
        None => ("chroma", Metric::Euclidean),
    };
    let vectors =
        vector.map(|values| PeerVector { model: slug(name), metric, values }).into_iter().collect();
    each(Ok(PeerRecord { key: Some(id), fields: plain(fields), vectors }))
}

// Names of Chroma's own, and a text that may be a path.
fn plain(mut fields: Map<String, Value>) -> Map<String, Value> {
    if let Some(text) = fields.remove("chroma:document") {
        fields.insert("document".to_owned(), text);
    }
    fields
}

fn collections(connection: &Connection) -> Result<BTreeMap<String, Collection>, PeerError> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    if !columns(connection, "collection_metadata")?.is_empty() {
        let mut statement = connection.prepare(
            "SELECT collection_id, str_value FROM collection_metadata WHERE key = 'hnsw:space'",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        for row in rows {
            let (id, space) = row?;
            let metric = match space.as_deref() {
                Some("cosine") => Metric::Cosine,
                Some("ip") => Metric::DotProduct,
                _ => Metric::Euclidean,
            };
            metrics.insert(id, metric);
        }
    }
    let mut statement = connection.prepare("SELECT id, name FROM collections")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut collections = BTreeMap::new();
    for row in rows {
        let (id, name) = row?;
        let metric = metrics.get(&id).copied().unwrap_or(Metric::Euclidean);
        collections.insert(id, Collection { name, metric });
    }
    Ok(collections)
}

// Records whose writes were removed from the queue: what they say is there, and their
// vectors are not.
fn without_vectors(
    connection: &Connection,
    collections: &BTreeMap<String, Collection>,
    each: &mut Each<'_>,
) -> Result<(), PeerError> {
    let is_there = |table| columns(connection, table).map(|columns| !columns.is_empty());
    if !is_there("embeddings")? || !is_there("embedding_metadata")? || !is_there("segments")? {
        return Ok(());
    }
    let mut records = connection.prepare(
        "SELECT e.id, e.embedding_id, s.collection FROM embeddings e \
         JOIN segments s ON s.id = e.segment_id WHERE NOT EXISTS \
         (SELECT 1 FROM embeddings_queue q WHERE q.id = e.embedding_id) \
         GROUP BY s.collection, e.embedding_id ORDER BY e.id",
    )?;
    let mut rows = records.query([])?;
    while let Some(row) = rows.next()? {
        let (id, collection): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let known = collection.and_then(|id| collections.get(&id));
        let of = known.map_or(String::new(), |known| format!(" of `{}`", known.name));
        let why = format!(
            "its vector{of} is only in the files of the index, which are not read: write the \
             collection's records with `collection.get(include=[\"embeddings\", \
             \"metadatas\"])` to .npy and .json"
        );
        if !each(Err((id, why))) {
            return Ok(());
        }
    }
    Ok(())
}
