//! Records in JSON and CSV.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use serde_json::{Map, Value};

use super::{PeerError, PeerRecord, Sidecar};
use crate::csv::Reader;

/// The most bytes of a JSON document that is read as a whole.
const LARGEST: u64 = 1 << 30;

/// Reads records in order; ends early if `each` says false.
pub(super) fn each(
    sidecar: &Sidecar,
    each: &mut dyn FnMut(Result<PeerRecord, (String, String)>) -> bool,
) -> Result<(), PeerError> {
    match sidecar {
        Sidecar::Json(path) => json(path, each),
        Sidecar::Csv(path) => csv(path, each),
        Sidecar::Database(_) | Sidecar::Nothing => Ok(()),
    }
}

fn csv(
    path: &Path,
    each: &mut dyn FnMut(Result<PeerRecord, (String, String)>) -> bool,
) -> Result<(), PeerError> {
    let mut reader = Reader::new(BufReader::new(File::open(path)?));
    let Some(names) = reader.next_row()? else { return Ok(()) };
    let names: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
    let mut number = 1;
    while let Some(values) = reader.next_row()? {
        number += 1;
        let record = if values.len() > names.len() {
            let why = format!("it has {} values for {} columns", values.len(), names.len());
            Err((format!("row {number}"), why))
        } else {
            let filled = names.iter().cloned().zip(values);
            let fields = filled.filter(|(_, value)| !value.is_empty());
            let fields: Map<String, Value> =
                fields.map(|(name, value)| (name, scalar_of(&value))).collect();
            Ok(PeerRecord { fields, ..PeerRecord::default() })
        };
        if !each(record) {
            return Ok(());
        }
    }
    Ok(())
}

/// A text of a table as the value that it is: lists and objects in JSON, true and false.
/// Numbers stay texts: whoever wants a number reads one, and `007` is none.
pub fn scalar_of(text: &str) -> Value {
    let trimmed = text.trim();
    match trimmed {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if trimmed.starts_with(['[', '{']) => {
            serde_json::from_str(trimmed).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    }
}

fn json(
    path: &Path,
    each: &mut dyn FnMut(Result<PeerRecord, (String, String)>) -> bool,
) -> Result<(), PeerError> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if path.extension().is_some_and(|ending| ending == "jsonl") {
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let record = serde_json::from_str::<Value>(&line)
                .map_err(|error| (format!("line {}", number + 1), error.to_string()))
                .and_then(|value| record_of(None, value, number));
            if !each(record) {
                return Ok(());
            }
        }
        return Ok(());
    }
    if size > LARGEST {
        return Err(PeerError(format!("`{}` has {size} bytes, which is too much", path.display())));
    }
    let value: Value = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| PeerError(format!("`{}` is damaged: {error}", path.display())))?;
    match records(value) {
        Value::Array(list) => {
            for (at, value) in list.into_iter().enumerate() {
                if !each(record_of(None, value, at)) {
                    return Ok(());
                }
            }
        }
        Value::Object(all) => {
            for (at, (key, value)) in all.into_iter().enumerate() {
                if !each(record_of(Some(key), value, at)) {
                    return Ok(());
                }
            }
        }
        _ => return Err(PeerError(format!("`{}` holds no records", path.display()))),
    }
    Ok(())
}

// The records themselves, below the names that programs put them under.
fn records(value: Value) -> Value {
    match value {
        Value::Object(mut all) => {
            let below = ["songs", "records", "metadata", "items", "ids"];
            let known = below.into_iter().find(|name| all.get(*name).is_some_and(is_many));
            match known.and_then(|name| all.remove(name)) {
                Some(inner) => inner,
                None => Value::Object(all),
            }
        }
        value => value,
    }
}

fn is_many(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

fn record_of(key: Option<String>, value: Value, at: usize) -> Result<PeerRecord, (String, String)> {
    match value {
        Value::Object(fields) => Ok(PeerRecord { key, fields, ..PeerRecord::default() }),
        // A list of ids or paths.
        Value::String(text) => {
            let mut fields = Map::new();
            let is_path = text.contains(['/', '\\']) || text.contains('.');
            let name = if is_path { "path" } else { "id" };
            fields.insert(name.to_owned(), Value::String(text));
            Ok(PeerRecord { key, fields, ..PeerRecord::default() })
        }
        _ => Err((key.unwrap_or_else(|| format!("[{at}]")), "it is no record".to_owned())),
    }
}
