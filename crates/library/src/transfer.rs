//! Libraries as plain files: out, and in again.

mod arrive;
mod old_layout;
mod peer;
mod record;
mod song_of;
mod synths;
mod table;

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_core::{
    Embedding, Event, Filter, Job, ModelName, ModelSpec, Song, SongId, Vector, Work,
};
use songrec_formats::peers::Peer;
use songrec_storage::{SongQuery, document_text, read_document};

use self::arrive::{Arrival, Arriving, Waits};
pub use self::{
    arrive::{Different, Imported},
    table::{ExportFormat, TableOptions, export_table},
};
use crate::{Error, ErrorKind, Library, Result, work::blocking};

/// What went out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Exported {
    /// Songs written.
    pub songs: u64,
    /// Embeddings written.
    pub embeddings: u64,
    /// Songs that are stored and could not be read.
    pub left_out: u64,
    /// Whether the work was ended early.
    pub interrupted: bool,
}

/// The songs of an export, one JSON document a line.
const SONGS: &str = "songs.jsonl";
/// The models of an export, one JSON document.
const MODELS: &str = "models.json";
/// How many songs are read at once.
const PAGE: usize = 100;

/// Writes songs and their embeddings to `folder`: `models.json`,
/// `songs.jsonl` (one song a line, as the library keeps them) and
/// `embeddings/MODEL/ID.npy`. Writing there again replaces what is there.
///
/// # Errors
///
/// When the folder cannot be written, or holds something else.
pub async fn export(
    library: &Library,
    folder: &Path,
    filter: &Filter,
    models: &[ModelName],
    job: &Job,
) -> Result<Exported> {
    refuse_foreign(folder)?;
    let wanted = |model: &ModelName| models.is_empty() || models.contains(model);
    let specs: Vec<ModelSpec> = library
        .backend
        .embeddings()
        .models()
        .await?
        .into_iter()
        .filter(|spec| wanted(&spec.name))
        .collect();
    // First of all: it is what an export is known by that was cut off.
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    write_whole(&folder.join(MODELS), |file| {
        serde_json::to_writer_pretty(file, &specs).map_err(Into::into)
    })?;
    for spec in &specs {
        let place = folder.join("embeddings").join(spec.name.as_str());
        std::fs::create_dir_all(&place).map_err(|error| Error::io("create", &place, error))?;
    }
    let total = library.backend.songs().count(filter).await?;
    job.on(Event::started(Work::Exporting, Some(total)));
    // The list gets its name only when it is complete.
    let unfinished = folder.join(".songs.jsonl.unfinished");
    let mut list = BufWriter::new(
        File::create(&unfinished).map_err(|error| Error::io("write", &unfinished, error))?,
    );
    let mut exported = Exported::default();
    let mut query = SongQuery { filter: filter.clone(), limit: PAGE, ..SongQuery::default() };
    loop {
        let page = library.backend.songs().find(&query).await?;
        for spec in &specs {
            exported.embeddings +=
                export_embeddings(library, folder, &spec.name, &page.items).await?;
        }
        for song in &page.items {
            writeln!(list, "{}", document_text(song, None))
                .map_err(|error| Error::io("write", &unfinished, error))?;
            exported.songs += 1;
            job.on(Event::Advanced { item: &song.id.to_string(), bytes: 0 });
        }
        if job.is_interrupted() {
            exported.interrupted = true;
            return Ok(exported);
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    exported.left_out = total.saturating_sub(exported.songs);
    let finish =
        list.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all());
    finish
        .and_then(|()| std::fs::rename(&unfinished, folder.join(SONGS)))
        .map_err(|error| Error::io("finish", &folder.join(SONGS), error))?;
    job.on(Event::Finished);
    Ok(exported)
}

async fn export_embeddings(
    library: &Library,
    folder: &Path,
    model: &ModelName,
    songs: &[Song],
) -> Result<u64> {
    let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
    let mut written = 0;
    for stored in library.backend.embeddings().get(model, &ids).await?.into_iter().flatten() {
        let name = format!("{}.npy", stored.embedding.song);
        let path = folder.join("embeddings").join(model.as_str()).join(name);
        std::fs::write(&path, crate::npy::npy_of(&stored.embedding.vector))
            .map_err(|error| Error::io("write", &path, error))?;
        written += 1;
    }
    Ok(written)
}

/// Takes in what [`export`] wrote, a library of the older layouts
/// `data/embeddings/*.npy` + `metadata.json`, or one of another program: what it is is
/// told by its content. Songs that are there already keep what they have, get what they
/// lack, and what differs is said; nothing in `from` is changed.
///
/// `model` names the model of vectors that do not say theirs.
///
/// # Errors
///
/// When there is nothing there that can be taken in.
pub async fn import(
    library: &Library,
    from: &Path,
    model: Option<&ModelName>,
    job: &Job,
) -> Result<Imported> {
    let mut arriving = Arriving::new(library, job).await?;
    if from.join(SONGS).is_file() {
        arriving.imported.found = "an export of songrec".to_owned();
        arriving.import_export(from).await?;
        return Ok(arriving.imported);
    }
    let path = from.to_owned();
    let peer = blocking(move || Peer::recognise(&path)).await?;
    match peer.map_err(|error| Error::io("read", from, error))? {
        Some(peer) => {
            arriving.imported.found = peer.what();
            peer::import_peer(&mut arriving, peer.clone(), model).await?;
            if !arriving.imported.interrupted {
                synths::import_synths(&mut arriving, peer).await?;
            }
        }
        None => {
            let old = old_layout::find(from)?;
            arriving.imported.found = "a library with `metadata.json` and `.npy` files".to_owned();
            old_layout::import_old(&mut arriving, old, model).await?;
        }
    }
    Ok(arriving.imported)
}

impl Arriving<'_> {
    async fn import_export(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join(MODELS);
        let file = File::open(&path).map_err(|error| Error::io("read", &path, error))?;
        let specs: Vec<ModelSpec> = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| corrupt(&path).because(error))?;
        for spec in specs {
            let name = spec.name.clone();
            if let Some(why) = self.make_room_for(spec).await? {
                self.fail(format!("{MODELS}: {name}"), why);
            }
        }
        let path = folder.join(SONGS);
        let list = File::open(&path).map_err(|error| Error::io("read", &path, error))?;
        self.job.on(Event::started(Work::Importing, None));
        let mut batch = Vec::new();
        for (number, line) in BufReader::new(list).lines().enumerate() {
            if self.job.is_interrupted() {
                self.imported.interrupted = true;
                return Ok(());
            }
            let line = line.map_err(|error| Error::io("read", &path, error))?;
            let label = || format!("{SONGS} line {}", number + 1);
            match read_document::<Song>(line.as_bytes(), None) {
                _ if line.trim().is_empty() => {}
                Ok(song) => batch.push(self.exported_arrival(folder, song)),
                Err(error) => self.fail(label(), error.to_string()),
            }
            if batch.len() == self.batch {
                self.take_in(std::mem::take(&mut batch)).await?;
            }
        }
        self.take_in(batch).await?;
        self.job.on(Event::Finished);
        Ok(())
    }

    // A song with the vectors that it names and that are what it says.
    fn exported_arrival(&mut self, folder: &Path, mut song: Song) -> Arrival {
        let mut vectors = Vec::new();
        let named = std::mem::take(&mut song.embeddings);
        for (model, reference) in named {
            let name = format!("{}.npy", song.id);
            let path = folder.join("embeddings").join(model.as_str()).join(name);
            // An export may be of some models only.
            if !path.exists() {
                continue;
            }
            let read = read_vector(&path).and_then(|vector| match self.refuses(&model, &vector) {
                Some(why) => Err(why),
                None => Ok(Embedding { song: song.id, model: model.clone(), vector }),
            });
            match read {
                Ok(embedding) if embedding.reference().digest == reference.digest => {
                    vectors.push((model, embedding.vector));
                }
                Ok(_) => {
                    let why = "it is not the vector that its song names".to_owned();
                    self.fail(path.display().to_string(), why);
                }
                Err(why) => self.fail(path.display().to_string(), why),
            }
        }
        // Copies that another library keeps are not here.
        song.blob = None;
        let label = song.id.to_string();
        Arrival { song, vectors, label, waits: Waits::Never }
    }
}

fn read_vector(path: &Path) -> std::result::Result<Vector, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    crate::npy::read_vector(BufReader::new(file))
}

fn corrupt(path: &Path) -> Error {
    Error::new(ErrorKind::Corrupt, format_args!("`{}` is damaged", path.display()))
}

// A folder that holds other things is not written over.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let is_ours = folder.join(MODELS).is_file();
    let unfinished = unfinished(&folder.join(MODELS));
    let is_begun = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path() == unfinished)
    };
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.all(is_begun),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Error::io("read", folder, error)),
    };
    if is_ours || is_empty {
        return Ok(());
    }
    Err(Error::usage(format_args!("`{}` holds other things", folder.display()))
        .with_hint("name an empty folder, or one of an earlier export"))
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("unfinished")
}

fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let unfinished = unfinished(path);
    File::create(&unfinished)
        .and_then(|file| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.into_inner().map_err(|error| error.into_error())?.sync_all()
        })
        .and_then(|()| std::fs::rename(&unfinished, path))
        .map_err(|error| Error::io("write", path, error))
}
