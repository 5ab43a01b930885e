//! Vectors in the rows of an index or a matrix, and records that name the rows.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use songrec_core::Metric;

use super::{
    Each, PeerError, PeerRecord, PeerVector, Sidecar,
    database::{fields, open},
    name_of, slug, table,
};
use crate::{
    faiss::{FaissMetric, FlatIndex},
    npy::{Head, Number},
};

/// Vectors in rows, read in order or by number.
pub(super) trait Rows {
    fn count(&self) -> u64;
    fn row(&mut self, number: u64) -> Result<Vec<f32>, PeerError>;
    fn metric(&self) -> Metric;
}

impl Rows for FlatIndex {
    fn count(&self) -> u64 {
        self.count
    }

    fn row(&mut self, number: u64) -> Result<Vec<f32>, PeerError> {
        Ok(self.vector(number)?)
    }

    // An inner product is a cosine for whoever made all vectors as long as 1, as most do.
    fn metric(&self) -> Metric {
        match self.metric {
            FaissMetric::InnerProduct => Metric::Cosine,
            FaissMetric::L2 => Metric::Euclidean,
        }
    }
}

pub(super) fn faiss(path: &Path, sidecar: &Sidecar, each: &mut Each<'_>) -> Result<(), PeerError> {
    let index = FlatIndex::open(path)?;
    let ids = index.ids.clone();
    let model = slug(&stem(path));
    with_sidecar(index, &model, ids.as_deref(), sidecar, each)
}

pub(super) fn matrix(path: &Path, sidecar: &Sidecar, each: &mut Each<'_>) -> Result<(), PeerError> {
    let matrix = Matrix::open(path)?;
    with_sidecar(matrix, &slug(&stem(path)), None, sidecar, each)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Fields by which a record names its row.
const ROW: [&str; 5] = ["faiss_idx", "faiss_id", "index", "row", "idx"];

fn with_sidecar(
    mut rows: impl Rows,
    model: &str,
    ids: Option<&[i64]>,
    sidecar: &Sidecar,
    each: &mut Each<'_>,
) -> Result<(), PeerError> {
    let (count, metric) = (rows.count(), rows.metric());
    let places: Option<BTreeMap<i64, u64>> = ids.map(|ids| ids.iter().copied().zip(0..).collect());
    if let Sidecar::Database(path) = sidecar {
        let table = table_of_rows(path)?;
        return of_database(path, &table, &mut [(model.to_owned(), &mut rows)], each);
    }
    if *sidecar == Sidecar::Nothing {
        for number in 0..count {
            let id = ids.map_or(number as i64, |ids| ids[number as usize]);
            let values = rows.row(number)?;
            let vectors = vec![PeerVector { model: model.to_owned(), metric, values }];
            let mut fields = Map::new();
            fields.insert("row".to_owned(), Value::from(id));
            if !each(Ok(PeerRecord { key: Some(format!("{model} {id}")), fields, vectors })) {
                break;
            }
        }
        return Ok(());
    }
    let mut next = 0;
    let mut failed = None;
    let mut goes_on = true;
    table::each(sidecar, &mut |record| {
        let number = next;
        next += 1;
        let mut record = match record {
            Ok(record) => record,
            Err(wrong) => {
                goes_on = each(Err(wrong));
                return goes_on;
            }
        };
        let named = ROW.iter().find_map(|name| {
            let value = record.fields.get(*name)?;
            value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
        });
        let row = match (named, &places) {
            (Some(id), Some(places)) => places.get(&id).copied(),
            (Some(row), None) => u64::try_from(row).ok(),
            (None, _) => Some(number),
        };
        let label = || {
            let text = |name: &str| record.fields.get(name).and_then(Value::as_str);
            let named = ["path", "title", "label", "id"].iter().find_map(|name| text(name));
            named.map_or_else(|| format!("row {number}"), str::to_owned)
        };
        match row.filter(|row| *row < count) {
            Some(row) => match rows.row(row) {
                Ok(values) => {
                    for name in ROW {
                        record.fields.remove(name);
                    }
                    record.vectors.push(PeerVector { model: model.to_owned(), metric, values });
                    goes_on = each(Ok(record));
                }
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            },
            None => {
                goes_on = each(Err((label(), format!("there are only {count} vectors"))));
            }
        }
        goes_on
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if goes_on && next < count {
        each(Err((
            format!("rows {next} to {}", count - 1),
            "nothing says which songs they are".to_owned(),
        )));
    }
    Ok(())
}

/// A database with a table `audio`, and the indexes beside it.
pub(super) fn audio_table(path: &Path, each: &mut Each<'_>) -> Result<(), PeerError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut found: Vec<(String, FlatIndex)> = Vec::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        let mut begins = [0; 16];
        let is_index = file.is_file()
            && File::open(&file).and_then(|mut file| file.read_exact(&mut begins)).is_ok()
            && FlatIndex::is_index(&begins);
        if !is_index {
            continue;
        }
        match FlatIndex::open(&file) {
            Ok(index) => found.push((slug(&stem(&file)), index)),
            Err(error) => {
                if !each(Err((name_of(&file), error.to_string()))) {
                    return Ok(());
                }
            }
        }
    }
    let mut indexes: Vec<(String, &mut dyn Rows)> =
        found.iter_mut().map(|(name, index)| (name.clone(), index as &mut dyn Rows)).collect();
    of_database(path, "audio", &mut indexes, each)
}

// The table that has a column for rows.
fn table_of_rows(path: &Path) -> Result<String, PeerError> {
    let connection = open(path)?;
    let mut tables = connection.prepare(
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND c.name IN ('faiss_idx', 'faiss_id') ORDER BY m.name",
    )?;
    let mut rows = tables.query([])?;
    match rows.next()? {
        Some(row) => Ok(row.get(0)?),
        None => Err(PeerError(format!(
            "no table of `{}` names rows of an index: there is no column `faiss_idx`",
            path.display()
        ))),
    }
}

fn of_database(
    path: &Path,
    table: &str,
    indexes: &mut [(String, &mut dyn Rows)],
    each: &mut Each<'_>,
) -> Result<(), PeerError> {
    let connection = open(path)?;
    let quoted = table.replace('"', "\"\"");
    let mut records = connection.prepare(&format!("SELECT * FROM \"{quoted}\" ORDER BY rowid"))?;
    let mut rows = records.query([])?;
    while let Some(row) = rows.next()? {
        let mut fields = fields(row, |_, _| None)?;
        let row = ["faiss_idx", "faiss_id"]
            .iter()
            .find_map(|name| fields.remove(*name)?.as_i64())
            .and_then(|row| u64::try_from(row).ok());
        if let Some(label) = fields.remove("label") {
            fields.entry("title").or_insert(label);
        }
        let mut vectors = Vec::new();
        for (model, index) in &mut *indexes {
            if let Some(row) = row.filter(|row| *row < index.count()) {
                let (metric, values) = (index.metric(), index.row(row)?);
                vectors.push(PeerVector { model: model.clone(), metric, values });
            }
        }
        if !each(Ok(PeerRecord { key: None, fields, vectors })) {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a `.npy` file has several rows.
pub(super) fn has_rows(path: &Path) -> bool {
    Matrix::open(path).is_ok_and(|matrix| matrix.rows > 1)
}

/// A `.npy` file with two dimensions, of float32 or float64.
pub(super) struct Matrix {
    file: BufReader<File>,
    number: Number,
    rows: u64,
    columns: usize,
    begins: u64,
    next: u64,
}

impl Matrix {
    pub(super) fn open(path: &Path) -> Result<Self, PeerError> {
        let wrong = |what: &str| PeerError(format!("`{}` {what}", path.display()));
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let head = Head::read(&mut file)
            .map_err(|why| PeerError(format!("`{}` cannot be read: {why}", path.display())))?;
        if head.is_fortran {
            return Err(wrong("is in the order of Fortran: save `numpy.ascontiguousarray` of it"));
        }
        let (rows, columns) = match head.shape[..] {
            [rows, columns] => (rows, columns),
            [columns] => (1, columns),
            _ => return Err(wrong("has no rows of vectors")),
        };
        let bytes = head.count().ok().map(|count| count * head.number.width() as u64);
        let is_whole = bytes.is_some_and(|bytes| bytes <= length.saturating_sub(head.length));
        if columns == 0 || columns > 1 << 20 || !is_whole {
            return Err(wrong("is not as long as it says"));
        }
        let (number, columns) = (head.number, columns as usize);
        Ok(Self { file, number, rows, columns, begins: head.length, next: 0 })
    }
}

impl Rows for Matrix {
    fn count(&self) -> u64 {
        self.rows
    }

    fn row(&mut self, number: u64) -> Result<Vec<f32>, PeerError> {
        use std::io::{Seek, SeekFrom};

        let width = self.number.width();
        if number != self.next {
            let at = self.begins + number * (self.columns * width) as u64;
            self.file.seek(SeekFrom::Start(at))?;
        }
        let mut bytes = vec![0; self.columns * width];
        self.file.read_exact(&mut bytes)?;
        self.next = number + 1;
        Ok(self.number.read(&bytes))
    }

    fn metric(&self) -> Metric {
        Metric::Cosine
    }
}
