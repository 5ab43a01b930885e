//! Databases in SQLite whose records are rows: which one it is, and beets.

use std::{collections::BTreeSet, path::Path};

use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};
use serde_json::{Map, Number, Value};

use super::{Each, Kind, PeerError, PeerRecord, scalar_of};

/// Opens a database to read it, whoever else has it open.
pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // What a view or a trigger of a stranger calls is not trusted.
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Which program made it, by its tables.
pub(super) fn recognise(path: &Path) -> Result<Option<Kind>, rusqlite::Error> {
    let connection = open(path)?;
    let tables = names(&connection, "SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let has = |name: &str| tables.contains(name);
    let columns = |table: &str| columns(&connection, table);
    Ok(if has("embeddings_queue") && has("collections") {
        Some(Kind::Chroma)
    } else if has("items") && has("item_attributes") && has("albums") {
        Some(Kind::Beets)
    } else if has("TracksV2") {
        Some(Kind::BlissAnalyser)
    } else if has("song") && has("feature") {
        Some(Kind::Blissify)
    } else if has("samples") && columns("samples")?.contains("file_path") {
        Some(Kind::Audiomancer)
    } else if has("audio") && columns("audio")?.contains("faiss_idx") {
        Some(Kind::AudioTable)
    } else {
        None
    })
}

fn names(connection: &Connection, query: &str) -> Result<BTreeSet<String>, rusqlite::Error> {
    let mut statement = connection.prepare(query)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// The columns of a table, in small letters as they are.
pub(super) fn columns(
    connection: &Connection,
    table: &str,
) -> Result<BTreeSet<String>, rusqlite::Error> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

/// The columns of a row that say something, by their names. What is no text and no number
/// is left out, but for what `bytes` makes of it.
pub(super) fn fields(
    row: &Row<'_>,
    bytes: impl Fn(&str, &[u8]) -> Option<Value>,
) -> Result<Map<String, Value>, rusqlite::Error> {
    let names: Vec<String> = row.as_ref().column_names().map(str::to_owned).collect();
    let mut fields = Map::new();
    for (at, name) in names.into_iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(Value::from(number)),
            ValueRef::Real(number) => Number::from_f64(number).map(Value::Number),
            ValueRef::Text(text) => {
                let text = String::from_utf8_lossy(text);
                (!text.trim().is_empty()).then(|| Value::String(text.into_owned()))
            }
            ValueRef::Blob(blob) => bytes(&name, blob),
        };
        if let Some(value) = value {
            fields.insert(name, value);
        }
    }
    Ok(fields)
}

/// A path whose bytes are kept, whatever they are.
pub(super) fn path_of(bytes: &[u8]) -> Value {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;

        let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
        Value::String(songrec_core::encode_path(path))
    }
    #[cfg(not(unix))]
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// Gives a field another name, unless something has that.
pub(super) fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if !fields.contains_key(to)
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

/// What beets calls otherwise.
const OF_BEETS: [(&str, &str); 7] = [
    ("albumartist", "album_artist"),
    ("length", "duration"),
    ("samplerate", "sample_rate"),
    ("initial_key", "key"),
    ("comments", "comment"),
    ("id", "beets_id"),
    ("composers", "composer"),
];

pub(super) fn beets(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let connection = open(path)?;
    let mut of_item = connection
        .prepare("SELECT key, value FROM item_attributes WHERE entity_id = ?1 ORDER BY key")?;
    let mut items = connection.prepare("SELECT * FROM items ORDER BY id")?;
    let mut rows = items.query([])?;
    while let Some(row) = rows.next()? {
        let mut fields = fields(row, |name, bytes| (name == "path").then(|| path_of(bytes)))?;
        // Nothing is written as zero.
        fields.retain(|_, value| value.as_f64() != Some(0.0));
        if let Some(id) = fields.get("id").and_then(Value::as_i64) {
            let attributes = of_item.query_map([id], |row| {
                let text = |value: ValueRef<'_>| match value {
                    ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Integer(number) => Some(number.to_string()),
                    ValueRef::Real(number) => Some(number.to_string()),
                    ValueRef::Null | ValueRef::Blob(_) => None,
                };
                Ok((row.get::<_, String>(0)?, text(row.get_ref(1)?)))
            })?;
            for attribute in attributes {
                let (name, value) = attribute?;
                if let Some(value) = value {
                    fields.entry(name).or_insert_with(|| scalar_of(&value));
                }
            }
        }
        for (from, to) in OF_BEETS {
            rename(&mut fields, from, to);
        }
        for (name, value) in fields.iter_mut() {
            if let Value::String(text) = value
                && let Some(several) = several(name, text)
            {
                *value = several;
            }
        }
        if !each(Ok(PeerRecord { fields, ..PeerRecord::default() })) {
            return Ok(());
        }
    }
    Ok(())
}

/// What later versions of beets write between values of one field.
const BETWEEN: &str = "\\\u{2400}";

// Several values are one text; of genres also before.
fn several(name: &str, text: &str) -> Option<Value> {
    let separator = match text.contains(BETWEEN) {
        true => BETWEEN,
        false if matches!(name, "genre" | "genres") => ";",
        false => return None,
    };
    let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    (parts.len() > 1).then(|| parts.into())
}
