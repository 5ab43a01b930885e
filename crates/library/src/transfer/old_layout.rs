//! The layout of the recommender that songrec replaces: `metadata.json`
//! beside a folder `embeddings` of `.npy` files, in `data` or anywhere.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use songrec_core::{
    AudioProperties, Digest, Event, Metric, ModelName, ModelSpec, Progress, Song, SongFile, Tags,
};

use super::{Arrival, BATCH, Imported, read_vector};
use crate::{
    Error, ErrorKind, Interrupt, Library, Result,
    hearing::file_of,
    library::{absolute, now},
    work::on_cpu,
};

/// An old library that was found.
pub(super) struct OldLibrary {
    /// The folder that paths in the metadata may be meant from.
    folder: PathBuf,
    embeddings: PathBuf,
    records: Vec<(Option<String>, Map<String, Value>)>,
}

/// Looks for an old library in `folder`.
pub(super) fn find(folder: &Path) -> Result<OldLibrary> {
    let places = [
        folder.to_owned(),
        folder.join("data"),
        folder.join("data/embeddings"),
        folder.join("embeddings"),
    ];
    let metadata =
        places.iter().map(|place| place.join("metadata.json")).find(|path| path.is_file());
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
    Ok(OldLibrary { folder: folder.to_owned(), embeddings, records: records(json) })
}

fn has_npy(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|ending| ending == "npy"))
    })
}

// The records are a list, or an object by id or file name; either may stand
// below `songs`.
fn records(json: Value) -> Vec<(Option<String>, Map<String, Value>)> {
    let object = |value| match value {
        Value::Object(object) => Some(object),
        _ => None,
    };
    match json {
        Value::Array(list) => {
            list.into_iter().filter_map(object).map(|record| (None, record)).collect()
        }
        Value::Object(mut all) => match all.remove("songs").or_else(|| all.remove("metadata")) {
            Some(inner) => records(inner),
            None => all
                .into_iter()
                .filter_map(|(name, value)| Some((Some(name), object(value)?)))
                .collect(),
        },
        _ => Vec::new(),
    }
}

impl Library {
    pub(super) async fn import_old(
        &self,
        old: &OldLibrary,
        model: Option<&ModelName>,
        interrupt: &Interrupt,
        progress: &dyn Progress,
    ) -> Result<Imported> {
        progress.on(Event::Started { work: "importing", total: Some(old.records.len() as u64) });
        let mut imported = Imported::default();
        let mut batch = Vec::new();
        for (name, record) in &old.records {
            if interrupt.is_set() {
                imported.interrupted = true;
                return Ok(imported);
            }
            match self.old_arrival(old, name.as_deref(), record, model).await {
                Ok(arrival) => batch.push(arrival),
                Err(reason) => {
                    let shown = label(name.as_deref(), record);
                    progress.on(Event::Skipped { item: &shown, reason: &reason });
                    imported.failed.push((shown, reason));
                }
            }
            if batch.len() == BATCH {
                self.take_in_batch(std::mem::take(&mut batch), &mut imported, progress).await?;
            }
        }
        self.take_in_batch(batch, &mut imported, progress).await?;
        progress.on(Event::Finished);
        Ok(imported)
    }

    async fn old_arrival(
        &self,
        old: &OldLibrary,
        name: Option<&str>,
        record: &Map<String, Value>,
        model: Option<&ModelName>,
    ) -> std::result::Result<Arrival, String> {
        let npy = old.vector_file(name, record).ok_or("it has no `.npy` file")?;
        let vector = read_vector(&npy)?;
        let audio = old.audio_file(record);
        let mut song = match &audio {
            // The audio is there: the song is known by it, as every other.
            Some(path) => {
                let file = path.clone();
                let identity = on_cpu(None, move || songrec_audio::identify(&file))
                    .await?
                    .map_err(|error| error.to_string())?;
                let mut song = Song::new(identity.audio_hash, AudioProperties::default(), now());
                song.add_file(file_of(&identity, self.stored_path(&absolute(path))));
                song
            }
            // Known by its vector until the audio comes along.
            None => {
                let hash = Digest::of(
                    &[b"imported without audio\n".as_slice(), &vector.to_le_bytes()].concat(),
                );
                Song::new(hash, AudioProperties::default(), now())
            }
        };
        fill(&mut song, name, record);
        if audio.is_none()
            && let Some(path) = text(record, &["path", "file_path", "audio_path", "filename"])
        {
            song.add_file(SongFile { path, sha256: song.audio_hash, size: 0 });
        }
        let model = match model {
            Some(model) => model.clone(),
            None => format!("imported-{}@1", vector.dimension())
                .parse()
                .map_err(|error: songrec_core::InvalidModelName| error.to_string())?,
        };
        let spec = ModelSpec {
            name: model.clone(),
            dimension: vector.dimension(),
            metric: Metric::Cosine,
            description: "imported vectors; the model that made them is not known".to_owned(),
        };
        self.backend.put_model(&spec).await.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            source.unwrap_or_else(|| error.to_string())
        })?;
        if let Some(why) = spec.refuses(&vector) {
            return Err(why);
        }
        Ok(Arrival { song, vectors: vec![(model, vector)] })
    }
}

impl OldLibrary {
    fn vector_file(&self, name: Option<&str>, record: &Map<String, Value>) -> Option<PathBuf> {
        let named = text(record, &["embedding_path", "embedding_file", "embedding"]);
        let named = named.map(PathBuf::from).into_iter().flat_map(|path| {
            let beside = path.file_name().map(|file| self.embeddings.join(file));
            [Some(self.folder.join(&path)), Some(path), beside].into_iter().flatten()
        });
        let ids = text(record, &["song_id", "id", "embedding_id"]);
        let file = text(record, &["filename", "file_name", "path", "file_path", "audio_path"]);
        let stems = [name.map(str::to_owned), ids, file].into_iter().flatten().flat_map(|text| {
            let path = Path::new(&text);
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let file = path.file_name().map(|file| file.to_string_lossy().into_owned());
            [stem, file].into_iter().flatten()
        });
        let guessed = stems.map(|stem| self.embeddings.join(format!("{stem}.npy")));
        named.chain(guessed).find(|path| path.is_file())
    }

    fn audio_file(&self, record: &Map<String, Value>) -> Option<PathBuf> {
        let path = text(record, &["path", "file_path", "audio_path", "filename", "file_name"])?;
        let path = Path::new(&path);
        let beside = path.file_name().map(|file| self.folder.join("audio").join(file));
        let in_data = path.file_name().map(|file| self.folder.join("data/audio").join(file));
        [Some(self.folder.join(path)), Some(path.to_owned()), beside, in_data]
            .into_iter()
            .flatten()
            .find(|path| path.is_file())
    }
}

// Brings what the record says into the song.
fn fill(song: &mut Song, name: Option<&str>, record: &Map<String, Value>) {
    let file = text(record, &["filename", "file_name", "path", "file_path"])
        .or_else(|| name.map(str::to_owned));
    if let Some(file) = file {
        song.sources.file_name = songrec_audio::read_name(Path::new(&file));
    }
    let import = &mut song.sources.import;
    *import = Tags {
        title: text(record, &["title", "track_name", "name"]),
        artist: text(record, &["artist", "artist_name"]),
        album: text(record, &["album", "collection_name"]),
        genres: text(record, &["genre", "primary_genre_name"]).into_iter().collect(),
        year: number(record, &["year"]).map(|year| year as i32),
        bpm: number(record, &["bpm", "tempo"]).filter(|bpm| *bpm > 0.0).map(|bpm| bpm as f32),
        ..Tags::default()
    };
    for field in ["preview_url", "track_id", "artwork_url", "release_date"] {
        if let Some(value) = text(record, &[field]) {
            import.extra.insert(field.to_owned(), value);
        }
    }
    song.audio.duration = number(record, &["duration", "duration_seconds"]).unwrap_or(0.0).max(0.0);
    song.audio.sample_rate = number(record, &["sample_rate"]).map_or(0, |rate| rate as u32);
}

fn label(name: Option<&str>, record: &Map<String, Value>) -> String {
    name.map(str::to_owned)
        .or_else(|| text(record, &["title", "filename", "path", "id", "song_id"]))
        .unwrap_or_else(|| "a record without a name".to_owned())
}

fn text(record: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match record.get(*name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn number(record: &Map<String, Value>, names: &[&str]) -> Option<f64> {
    let number = names.iter().find_map(|name| match record.get(*name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    });
    number.filter(|number| number.is_finite())
}
