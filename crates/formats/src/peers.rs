//! Libraries of other programs, read record by record.
//!
//! What a file is is told by its content, not by its name. Nothing is changed: databases
//! are opened to be read, and as if nobody else wrote them.

mod acousticbrainz;
mod audiomancer;
mod bliss;
mod chroma;
mod database;
mod indexed;
mod table;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use songrec_core::Metric;

pub use self::table::scalar_of;
use crate::faiss::FlatIndex;

/// One record of another program: what it says of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerRecord {
    /// How it is called there, if not by one of its fields.
    pub key: Option<String>,
    /// What it says, under the names that it uses itself or that are usual.
    pub fields: Map<String, Value>,
    /// Its vectors.
    pub vectors: Vec<PeerVector>,
}

/// A vector of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerVector {
    /// A name for the model, such as `bliss23`; small letters, digits, `-`.
    pub model: String,
    /// How vectors of the model are compared.
    pub metric: Metric,
    /// The vector.
    pub values: Vec<f32>,
}

/// A definition of a synth for SuperCollider.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerSynth {
    /// How links name it.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The file that it was read from, on some machine.
    pub path: Option<String>,
    /// What the file says.
    pub source: String,
}

/// Synths beside records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerSynths {
    /// The synths.
    pub synths: Vec<PeerSynth>,
    /// What comes from what, by their ids: the child, the parent, and how much of it the
    /// child has, from 0 to 1, if that is said.
    pub links: Vec<(String, String, Option<f64>)>,
}

/// A record, or one that cannot be read: how it is called, and why.
pub type Each<'a> = dyn FnMut(Result<PeerRecord, (String, String)>) -> bool + 'a;

/// Why a library cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PeerError(pub String);

impl From<io::Error> for PeerError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<rusqlite::Error> for PeerError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::faiss::FaissError> for PeerError {
    fn from(error: crate::faiss::FaissError) -> Self {
        Self(error.to_string())
    }
}

/// A library of another program that was found.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where.
    pub path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Beets,
    Blissify,
    BlissAnalyser,
    Chroma,
    Audiomancer,
    /// A database beside indexes of FAISS.
    AudioTable,
    /// An index of FAISS, with what says what its rows are.
    Faiss(Sidecar),
    /// A matrix of NumPy, with the same.
    Matrix(Sidecar),
    AcousticBrainz,
    /// Records alone.
    Records(Sidecar),
}

/// What says what the rows of an index or a matrix are.
#[derive(Clone, Debug, PartialEq)]
enum Sidecar {
    Json(PathBuf),
    Csv(PathBuf),
    /// A database with a table that names rows.
    Database(PathBuf),
    /// Nothing: rows have numbers.
    Nothing,
}

impl Peer {
    /// What `path` is, a file or a folder; nothing if it is nothing that is known.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn recognise(path: &Path) -> io::Result<Option<Self>> {
        if !std::fs::metadata(path)?.is_dir() {
            return Ok(recognise_file(path)?.map(|kind| Self { path: path.to_owned(), kind }));
        }
        let mut names: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?.path();
            if entry.is_file() {
                names.push(entry);
            }
        }
        names.sort();
        // A database says most; then what has vectors.
        let rank = |kind: &Kind| match kind {
            Kind::AudioTable | Kind::Chroma | Kind::Audiomancer => 0,
            Kind::Beets | Kind::Blissify | Kind::BlissAnalyser => 1,
            Kind::Faiss(_) => 2,
            Kind::Matrix(_) => 3,
            Kind::AcousticBrainz => 4,
            Kind::Records(_) => 5,
        };
        let mut best: Option<Self> = None;
        for file in names {
            let Some(kind) = recognise_file(&file)? else { continue };
            // A folder of JSON files is one library; a table alone in a folder is not
            // what was meant.
            let is_folder = kind == Kind::AcousticBrainz;
            // A vector of one song alone is neither.
            let is_part = match &kind {
                Kind::Records(_) => true,
                Kind::Matrix(_) => !indexed::has_rows(&file),
                _ => false,
            };
            if is_part {
                continue;
            }
            if best.as_ref().is_none_or(|best| rank(&kind) < rank(&best.kind)) {
                best = Some(Self { path: if is_folder { path.to_owned() } else { file }, kind });
            }
        }
        Ok(best)
    }

    /// What it is, in words.
    pub fn what(&self) -> String {
        let beside = |sidecar: &Sidecar| match sidecar {
            Sidecar::Json(path) | Sidecar::Csv(path) | Sidecar::Database(path) => {
                format!(" with `{}`", name_of(path))
            }
            Sidecar::Nothing => String::new(),
        };
        match &self.kind {
            Kind::Beets => "a library of beets".to_owned(),
            Kind::Blissify => "a library of blissify".to_owned(),
            Kind::BlissAnalyser => "a database of bliss-analyser".to_owned(),
            Kind::Chroma => "a database of ChromaDB".to_owned(),
            Kind::Audiomancer => "a library of audiomancer".to_owned(),
            Kind::AudioTable => "a metadata database beside FAISS indexes".to_owned(),
            Kind::Faiss(sidecar) => format!("a FAISS index{}", beside(sidecar)),
            Kind::Matrix(sidecar) => format!("a matrix of vectors{}", beside(sidecar)),
            Kind::AcousticBrainz => "descriptions of AcousticBrainz".to_owned(),
            Kind::Records(_) => "a table of records".to_owned(),
        }
    }

    /// Reads all records; ends early if `each` says false.
    ///
    /// # Errors
    ///
    /// When the library as a whole cannot be read.
    pub fn each(&self, each: &mut Each<'_>) -> Result<(), PeerError> {
        match &self.kind {
            Kind::Beets => database::beets(&self.path, each),
            Kind::Audiomancer => audiomancer::read(&self.path, each),
            Kind::Blissify => bliss::blissify(&self.path, each),
            Kind::BlissAnalyser => bliss::analyser(&self.path, each),
            Kind::Chroma => chroma::read(&self.path, each),
            Kind::AudioTable => indexed::audio_table(&self.path, each),
            Kind::Faiss(sidecar) => indexed::faiss(&self.path, sidecar, each),
            Kind::Matrix(sidecar) => indexed::matrix(&self.path, sidecar, each),
            Kind::AcousticBrainz => acousticbrainz::read(&self.path, each),
            Kind::Records(sidecar) => table::each(sidecar, &mut |record| each(record)),
        }
    }
}

impl Peer {
    /// The synths that it keeps beside its records.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn synths(&self) -> Result<PeerSynths, PeerError> {
        match self.kind {
            Kind::Audiomancer => audiomancer::synths(&self.path),
            _ => Ok(PeerSynths::default()),
        }
    }
}

fn recognise_file(path: &Path) -> io::Result<Option<Kind>> {
    let mut begins = [0; 16];
    let mut file = File::open(path)?;
    let mut count = 0;
    while count < begins.len() {
        match file.read(&mut begins[count..])? {
            0 => break,
            more => count += more,
        }
    }
    let begins = &begins[..count];
    if begins == b"SQLite format 3\0" {
        return Ok(database::recognise(path).unwrap_or_default());
    }
    if FlatIndex::is_index(begins) {
        return Ok(Some(Kind::Faiss(sidecar_of(path))));
    }
    if begins.starts_with(b"\x93NUMPY") {
        return Ok(Some(Kind::Matrix(sidecar_of(path))));
    }
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("json") if acousticbrainz::is_one(path) => Ok(Some(Kind::AcousticBrainz)),
        Some("json" | "jsonl") => Ok(Some(Kind::Records(Sidecar::Json(path.to_owned())))),
        Some("csv" | "tsv") => Ok(Some(Kind::Records(Sidecar::Csv(path.to_owned())))),
        _ => Ok(None),
    }
}

// What stands beside `clap.index` or `clap.npy` and says what its rows are.
fn sidecar_of(path: &Path) -> Sidecar {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    let stem = stem.unwrap_or_default();
    // Its whole name belongs to it alone: `a.csv` may be of `a.npy` or of nobody.
    let names = [&name_of(path), stem.as_str(), "metadata", "ids"];
    for name in names {
        for (ending, sidecar) in [
            ("ids.json", Sidecar::Json as fn(PathBuf) -> Sidecar),
            ("json", Sidecar::Json),
            ("jsonl", Sidecar::Json),
            ("csv", Sidecar::Csv),
            ("tsv", Sidecar::Csv),
            ("db", Sidecar::Database),
            ("sqlite", Sidecar::Database),
            ("sqlite3", Sidecar::Database),
        ] {
            let beside = folder.join(format!("{name}.{ending}"));
            if beside.is_file() {
                return sidecar(beside);
            }
        }
    }
    Sidecar::Nothing
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A name for a model from words: small letters, digits and `-`.
fn slug(words: &str) -> String {
    let mut slug = String::new();
    for one in words.chars().flat_map(char::to_lowercase) {
        match one {
            'a'..='z' | '0'..='9' => slug.push(one),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() == 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "imported".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests;
