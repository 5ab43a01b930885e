//! The layout of the recommender that songrec replaces: `metadata.json`
//! beside a folder `embeddings` of `.npy` files, in `data` or anywhere.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{StreamExt, stream};
use serde_json::{Map, Value};
use songrec_audio::Opening;
use songrec_core::{Event, InvalidModelName, Metric, ModelName, Vector, Work};

use super::{
    arrive::Arriving,
    read_vector,
    record::Record,
    song_of::{Described, described, unknown_model},
};
use crate::{Error, ErrorKind, Result, work::on_cpu};

/// How many records are read at once.
const READ_AT_ONCE: usize = 16;

/// An old library that was found.
pub(super) struct OldLibrary {
    /// The folder that paths in the metadata may be meant from.
    folder: PathBuf,
    embeddings: PathBuf,
    metadata: Metadata,
}

/// Looks for an old library in `folder`.
pub(super) fn find(folder: &Path) -> Result<OldLibrary> {
    let positions = [
        folder.to_owned(),
        folder.join("data"),
        folder.join("data/embeddings"),
        folder.join("embeddings"),
    ];
    let metadata =
        positions.iter().map(|place| place.join("metadata.json")).find(|path| path.is_file());
    let embeddings = ["embeddings", "data/embeddings", "."]
        .iter()
        .map(|name| folder.join(name))
        .find(|place| has_npy(place));
    let (Some(metadata), Some(embeddings)) = (metadata, embeddings) else {
        let nothing = Error::not_found(format_args!(
            "there is no library to import in `{}`",
            folder.display()
        ));
        return Err(match needs_python(folder) {
            Some(what) => {
                nothing.because(format!("it is {what}, which only Python reads")).with_hint(
                    "`tools/vectors_to_npy.py`, a script in the source of songrec, writes .npy and \
                 .json of it",
                )
            }
            None => nothing
                .because(
                    "it holds no `songs.jsonl` of an export, no `metadata.json` with \
                     `embeddings/*.npy`, and no library of another program that is known",
                )
                .with_hint(
                    "name the folder or the file of one: beets, ChromaDB, FAISS, blissify, \
                     bliss-analyser, audiomancer, AcousticBrainz, .npy or CSV",
                ),
        });
    };
    let text =
        std::fs::read_to_string(&metadata).map_err(|error| Error::io("read", &metadata, error))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format_args!("`{}` is damaged", metadata.display()))
            .because(error)
    })?;
    Ok(OldLibrary { folder: folder.to_owned(), embeddings, metadata: records(json) })
}

fn needs_python(path: &Path) -> Option<&'static str> {
    if is_lance(path) {
        return Some("a database of LanceDB");
    }
    // Every pickle since 2003 begins with its protocol; no text begins so.
    let mut begins = [0; 2];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut begins)).ok()?;
    matches!(begins, [0x80, 2..=5]).then_some("a pickle")
}

/// Whether a folder is a table of LanceDB, or holds some.
fn is_lance(folder: &Path) -> bool {
    let is_table =
        |path: &Path| path.extension().is_some_and(|ending| ending == "lance") && path.is_dir();
    is_table(folder)
        || std::fs::read_dir(folder)
            .is_ok_and(|entries| entries.flatten().any(|entry| is_table(&entry.path())))
}

fn has_npy(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|ending| ending == "npy"))
    })
}

/// What metadata holds.
#[derive(Default)]
struct Metadata {
    records: Vec<(Option<String>, Map<String, Value>)>,
    /// What is none, by name or place.
    others: Vec<String>,
}

// The records are a list, or an object by id or file name; either may stand
// below `songs`.
fn records(json: Value) -> Metadata {
    let mut found = Metadata::default();
    match json {
        Value::Array(list) => {
            for (place, value) in list.into_iter().enumerate() {
                match value {
                    Value::Object(record) => found.records.push((None, record)),
                    _ => found.others.push(format!("[{place}]")),
                }
            }
        }
        Value::Object(mut all) => match all.remove("songs").or_else(|| all.remove("metadata")) {
            Some(inner) => {
                found = records(inner);
                found.others.extend(all.into_iter().map(|(name, _)| name));
            }
            None => {
                for (name, value) in all {
                    match value {
                        Value::Object(record) => found.records.push((Some(name), record)),
                        _ => found.others.push(name),
                    }
                }
            }
        },
        _ => {}
    }
    found
}

pub(super) async fn import_old(
    arriving: &mut Arriving<'_>,
    old: OldLibrary,
    model: Option<&ModelName>,
) -> Result<()> {
    let total = old.metadata.records.len();
    arriving.imported.no_records.clone_from(&old.metadata.others);
    let (old, opening) = (Arc::new(old), arriving.opening.clone());
    arriving.job.on(Event::started(Work::Importing, Some(total as u64)));
    for begin in (0..total).step_by(arriving.batch) {
        if arriving.job.is_interrupted() {
            arriving.imported.interrupted = true;
            return Ok(());
        }
        let read = |at: usize| {
            let (old, model) = (old.clone(), model.cloned());
            let opening = opening.clone();
            on_cpu(None, move || old.read(at, model.as_ref(), &opening))
        };
        let read: Vec<_> = stream::iter((begin..total.min(begin + arriving.batch)).map(read))
            .buffered(READ_AT_ONCE)
            .collect()
            .await;
        let mut batch = Vec::with_capacity(read.len());
        for (at, read) in (begin..).zip(read) {
            let label = old.label(at);
            match read.and_then(|read| read) {
                Ok(read) => batch.extend(arriving.arrival(read, label).await?),
                Err(reason) => arriving.fail(label, reason),
            }
        }
        arriving.take_in(batch).await?;
    }
    arriving.job.on(Event::Finished);
    Ok(())
}

impl OldLibrary {
    fn label(&self, at: usize) -> String {
        let (key, fields) = &self.metadata.records[at];
        Record::new(fields).label(key.as_deref())
    }

    fn read(
        &self,
        at: usize,
        model: Option<&ModelName>,
        opening: &Opening,
    ) -> std::result::Result<Described, String> {
        let (key, fields) = &self.metadata.records[at];
        let mut record = Record::new(fields);
        let vector = match self.vector_file(key.as_deref(), &mut record) {
            Some(npy) => read_vector(&npy)?,
            None => {
                let values = record.vector().ok_or("it has no `.npy` file")?;
                Vector::new(values).map_err(|error| error.to_string())?
            }
        };
        let name = match model {
            Some(model) => model.clone(),
            None => format!("imported-{}@1", vector.dimension())
                .parse()
                .map_err(|error: InvalidModelName| error.to_string())?,
        };
        let spec = unknown_model(name, vector.dimension(), Metric::Cosine);
        described(key.as_deref(), record, vec![(spec, vector)], &self.folder, opening)
    }

    fn vector_file(&self, key: Option<&str>, record: &mut Record<'_>) -> Option<PathBuf> {
        let named = record.vector_file();
        let named = named.map(PathBuf::from).into_iter().flat_map(|path| {
            let beside = path.file_name().map(|file| self.embeddings.join(file));
            [Some(self.folder.join(&path)), Some(path), beside].into_iter().flatten()
        });
        let stems = record.names(key).into_iter().flat_map(|text| {
            let path = Path::new(&text);
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let file = path.file_name().map(|file| file.to_string_lossy().into_owned());
            [stem, file].into_iter().flatten()
        });
        let guessed = stems.map(|stem| self.embeddings.join(format!("{stem}.npy")));
        named.chain(guessed).find(|path| path.is_file())
    }
}
