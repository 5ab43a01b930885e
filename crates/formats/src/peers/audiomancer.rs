//! audiomancer: samples in SQLite, their vectors in LanceDB, which only Python reads, and
//! synths with what each comes from.

use std::{collections::BTreeMap, path::Path};

use rusqlite::Connection;
use serde_json::Value;
use songrec_core::Metric;

use super::{
    Each, PeerError, PeerRecord, PeerSynths, PeerVector, Sidecar,
    database::{columns, fields, open, rename},
    indexed::{Matrix, Rows},
    scalar_of, table,
};

/// What audiomancer calls otherwise.
const CALLED: [(&str, &str); 4] = [
    ("genre_tags", "genres"),
    ("instrument_type", "instrument"),
    ("bpm_detected", "bpm"),
    ("key_detected", "key"),
];
/// The folder of its vectors, beside the database.
const LANCE: &str = "embeddings";
/// What stands for the folder once a script has read it: rows, and whose each is.
const MATRIX: [&str; 2] = ["embeddings.npy", "embeddings.json"];
/// What the model of its vectors is called; it does not say.
const MODEL: &str = "audiomancer";
/// Synths that are taken of one database, at the most: each is held in memory.
const MOST_SYNTHS: i64 = 100_000;

/// Vectors by the ids of samples.
struct Vectors {
    matrix: Matrix,
    rows: BTreeMap<String, u64>,
}

impl Vectors {
    // Those beside a database, if a script has written them.
    fn beside(folder: &Path) -> Result<Option<Self>, PeerError> {
        let [matrix, ids] = MATRIX.map(|name| folder.join(name));
        if !matrix.is_file() || !ids.is_file() {
            return Ok(None);
        }
        let matrix = Matrix::open(&matrix)?;
        let mut rows = BTreeMap::new();
        let mut next = 0;
        table::each(&Sidecar::Json(ids), &mut |record| {
            if let Some(id) = record.ok().and_then(|record| text(record.fields.get("id")?)) {
                rows.insert(id, next);
            }
            next += 1;
            next < matrix.count()
        })?;
        Ok(Some(Self { matrix, rows }))
    }

    fn take(&mut self, id: &str) -> Result<Option<PeerVector>, PeerError> {
        let Some(row) = self.rows.remove(id) else { return Ok(None) };
        let values = self.matrix.row(row)?;
        Ok(Some(PeerVector { model: MODEL.to_owned(), metric: Metric::Cosine, values }))
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn read(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut vectors = Vectors::beside(folder)?;
    let connection = open(path)?;
    let mut samples = connection.prepare("SELECT * FROM samples ORDER BY rowid")?;
    let mut rows = samples.query([])?;
    while let Some(row) = rows.next()? {
        let mut fields = fields(row, |_, _| None)?;
        // Lists are texts in JSON.
        for value in fields.values_mut() {
            if let Value::String(text) = value
                && text.trim_start().starts_with(['[', '{'])
            {
                *value = scalar_of(text);
            }
        }
        if let Some(is_loop) = fields.get("is_loop").and_then(Value::as_i64) {
            fields.insert("is_loop".to_owned(), Value::Bool(is_loop != 0));
        }
        for (from, to) in CALLED {
            rename(&mut fields, from, to);
        }
        let id = fields.get("id").and_then(text);
        let vector = match (&mut vectors, id) {
            (Some(vectors), Some(id)) => vectors.take(&id)?,
            _ => None,
        };
        let vectors = vector.into_iter().collect();
        if !each(Ok(PeerRecord { key: None, fields, vectors })) {
            return Ok(());
        }
    }
    match vectors {
        Some(Vectors { rows, .. }) if !rows.is_empty() => {
            let why = format!("{} of its rows are of no sample", rows.len());
            each(Err((MATRIX[0].to_owned(), why)));
        }
        None if folder.join(LANCE).is_dir() => {
            each(Err((LANCE.to_owned(), in_lance(folder))));
        }
        _ => {}
    }
    let patterns = count(&connection, "patterns")?;
    if patterns > 0 {
        let why = format!("{patterns} rows: they name no part of a sample");
        each(Err(("patterns".to_owned(), why)));
    }
    Ok(())
}

// Its vectors are in the folder, and how they come in.
fn in_lance(folder: &Path) -> String {
    format!(
        "its vectors are in LanceDB, which only Python reads: write them to `{}` with \
         `tools/vectors_to_npy.py`, a script in the source of songrec, and import again",
        folder.join(MATRIX[0]).display()
    )
}

fn count(connection: &Connection, table: &str) -> Result<i64, PeerError> {
    if columns(connection, table)?.is_empty() {
        return Ok(0);
    }
    Ok(connection.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))?)
}

/// The synths of a database, and what each comes from.
pub(super) fn synths(path: &Path) -> Result<PeerSynths, PeerError> {
    let connection = open(path)?;
    let mut all = PeerSynths::default();
    if columns(&connection, "synths")?.contains("source_code") {
        let mut synths = connection.prepare("SELECT * FROM synths ORDER BY rowid LIMIT ?1")?;
        let mut rows = synths.query([MOST_SYNTHS])?;
        while let Some(row) = rows.next()? {
            let fields = fields(row, |_, _| None)?;
            let of = |name: &str| fields.get(name).and_then(text);
            if let (Some(id), Some(source)) = (of("id"), of("source_code")) {
                let name = of("name").unwrap_or_else(|| id.clone());
                all.synths.push(super::PeerSynth { id, name, path: of("file_path"), source });
            }
        }
    }
    let of_links = columns(&connection, "synth_lineage")?;
    if ["child_id", "parent_id"].iter().all(|name| of_links.contains(*name)) {
        let mut links = connection.prepare("SELECT * FROM synth_lineage ORDER BY rowid")?;
        let mut rows = links.query([])?;
        while let Some(row) = rows.next()? {
            let fields = fields(row, |_, _| None)?;
            let of = |name: &str| fields.get(name).and_then(text);
            if let (Some(child), Some(parent)) = (of("child_id"), of("parent_id")) {
                let weight = fields.get("contribution_weight").and_then(Value::as_f64);
                all.links.push((child, parent, weight));
            }
        }
    }
    Ok(all)
}
