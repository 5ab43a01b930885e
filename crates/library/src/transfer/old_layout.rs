//! The layout of the recommender that songrec replaces: `metadata.json`
//! beside a folder `embeddings` of `.npy` files, in `data` or anywhere.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{StreamExt, stream};
use serde_json::{Map, Value};
use songrec_audio::Identity;
use songrec_core::{
    AudioProperties, Digest, Event, Metric, ModelName, ModelSpec, Song, SongFile, SongId, Vector,
    Work,
};

use super::{
    arrive::{Arrival, Arriving, Waits},
    read_vector,
    record::{Record, Rest},
};
use crate::{
    Error, ErrorKind, Result, complete::name_lookup_key, embedders::file_of, library::now,
    paths::absolute, work::on_cpu,
};

/// How many records are read at once.
const READ_AT_ONCE: usize = 16;

/// An old library that was found.
pub(super) struct OldLibrary {
    /// The folder that paths in the metadata may be meant from.
    folder: PathBuf,
    embeddings: PathBuf,
    metadata: Metadata,
}

/// What could be read of a record.
struct ReadRecord {
    song: Song,
    /// The song that it makes as long as the audio is not there.
    without_audio: SongId,
    vector: Vector,
    /// The audio file, if it is there, and what it is.
    audio: Option<(PathBuf, Identity)>,
    rest: Rest,
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
        return Err(Error::not_found(format_args!(
            "there is no library to import in `{}`",
            folder.display()
        ))
        .because("neither `songs.jsonl` of an export, nor `metadata.json` with `embeddings/*.npy`")
        .with_hint("name the folder that holds one of these"));
    };
    let text =
        std::fs::read_to_string(&metadata).map_err(|error| Error::io("read", &metadata, error))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format_args!("`{}` is damaged", metadata.display()))
            .because(error)
    })?;
    Ok(OldLibrary { folder: folder.to_owned(), embeddings, metadata: records(json) })
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

impl Arriving<'_> {
    pub(super) async fn import_old(
        &mut self,
        old: OldLibrary,
        model: Option<&ModelName>,
    ) -> Result<()> {
        let total = old.metadata.records.len();
        self.imported.no_records.clone_from(&old.metadata.others);
        let old = Arc::new(old);
        self.job.on(Event::started(Work::Importing, Some(total as u64)));
        for begin in (0..total).step_by(self.batch) {
            if self.job.is_interrupted() {
                self.imported.interrupted = true;
                return Ok(());
            }
            let read = |at: usize| {
                let old = old.clone();
                on_cpu(None, move || old.read(at))
            };
            let read: Vec<_> = stream::iter((begin..total.min(begin + self.batch)).map(read))
                .buffered(READ_AT_ONCE)
                .collect()
                .await;
            let mut batch = Vec::with_capacity(read.len());
            for (at, read) in (begin..).zip(read) {
                let label = old.label(at);
                match read.and_then(|read| read) {
                    Ok(read) => batch.extend(self.old_arrival(read, label, model).await?),
                    Err(reason) => self.fail(label, reason),
                }
            }
            self.take_in(batch).await?;
        }
        self.job.on(Event::Finished);
        Ok(())
    }

    // The song that a record tells of; nothing if its vector fits no model.
    async fn old_arrival(
        &mut self,
        read: ReadRecord,
        label: String,
        model: Option<&ModelName>,
    ) -> Result<Option<Arrival>> {
        let ReadRecord { mut song, without_audio, vector, audio, rest } = read;
        let model = match model {
            Some(model) => model.clone(),
            None => format!("imported-{}@1", vector.dimension()).parse().map_err(Error::usage)?,
        };
        let spec = ModelSpec {
            name: model.clone(),
            dimension: vector.dimension(),
            metric: Metric::Cosine,
            description: "imported vectors; the model that made them is not known".to_owned(),
        };
        if let Some(why) = self.make_room_for(spec).await?.or(self.refuses(&model, &vector)) {
            self.fail(label, why);
            return Ok(None);
        }
        let waits = match &audio {
            Some(_) => Waits::Did(without_audio),
            None => Waits::Yes,
        };
        if let Some((path, identity)) = audio {
            song.add_file(file_of(&identity, self.library.stored_path(&absolute(&path))));
        }
        for name in rest.fields.keys() {
            *self.imported.kept.entry(name.clone()).or_default() += 1;
        }
        self.imported.cut += rest.cut;
        song.sources.import.extra = rest.fields;
        Ok(Some(Arrival { song, vectors: vec![(model, vector)], label, waits }))
    }
}

impl OldLibrary {
    fn label(&self, at: usize) -> String {
        let (key, fields) = &self.metadata.records[at];
        Record::new(fields).label(key.as_deref())
    }

    fn read(&self, at: usize) -> std::result::Result<ReadRecord, String> {
        let (key, fields) = &self.metadata.records[at];
        let mut record = Record::new(fields);
        let vector = match self.vector_file(key.as_deref(), &mut record) {
            Some(npy) => read_vector(&npy)?,
            None => {
                let values = record.vector().ok_or("it has no `.npy` file")?;
                Vector::new(values).map_err(|error| error.to_string())?
            }
        };
        let path = record.path();
        let audio = match path.as_deref().and_then(|path| self.audio_file(path)) {
            Some(path) => {
                let read = songrec_audio::identify(&path).map_err(|error| error.to_string())?;
                Some((path, read))
            }
            None => None,
        };
        // Without audio it is known by its vector until that comes along.
        let no_audio =
            Digest::of(&[b"imported without audio\n".as_slice(), &vector.to_le_bytes()].concat());
        let audio_hash = audio.as_ref().map_or(no_audio, |(_, identity)| identity.audio_hash);
        let mut song = Song::new(audio_hash, AudioProperties::default(), now());
        song.sources.import = record.tags();
        record.describe_audio(&mut song);
        // The record may be filed under the name of its file.
        let file = path.or_else(|| key.clone());
        if let Some(file) = &file {
            song.sources.file_name = songrec_audio::read_name(Path::new(&file.replace('\\', "/")));
        }
        if audio.is_none()
            && let Some(file) = file
        {
            song.files = expected_files(file, record.sha256());
        }
        let mut rest = record.rest();
        if let Some(key) = key {
            rest.fields.entry("id".to_owned()).or_insert_with(|| key.clone());
        }
        let without_audio = SongId::from_audio_hash(&no_audio);
        Ok(ReadRecord { song, without_audio, vector, audio, rest })
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

    fn audio_file(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        let beside = path.file_name().map(|file| self.folder.join("audio").join(file));
        let in_data = path.file_name().map(|file| self.folder.join("data/audio").join(file));
        [Some(self.folder.join(path)), Some(path.to_owned()), beside, in_data]
            .into_iter()
            .flatten()
            .find(|path| path.is_file())
    }
}

// Files that are not here, by what is known of them: audio that comes later
// finds its song by the hash or, where that is not known or was another, by the
// name. Their size is zero, which no audio has.
fn expected_files(path: String, sha256: Option<Digest>) -> Vec<SongFile> {
    let by_name = name_lookup_key(Path::new(&path));
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let mut files: Vec<SongFile> = match (sha256, by_name) {
        (Some(sha256), Some(by_name)) if name != path => vec![
            SongFile { path, sha256, size: 0 },
            SongFile { path: name, sha256: by_name, size: 0 },
        ],
        (Some(sha256), _) => vec![SongFile { path, sha256, size: 0 }],
        (None, Some(sha256)) => vec![SongFile { path, sha256, size: 0 }],
        (None, None) => Vec::new(),
    };
    files.sort();
    files
}
