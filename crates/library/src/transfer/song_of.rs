//! The song that a record of another program describes.

use std::path::{Path, PathBuf};

use songrec_audio::{Identity, Opening};
use songrec_core::{
    AudioProperties, Digest, Metric, ModelName, ModelSpec, Song, SongFile, SongId, Vector,
    decode_path,
};

use super::{
    arrive::{Arrival, Arriving, Waits},
    record::{Record, Rest},
};
use crate::{Result, complete::name_lookup_key, embedders::file_of, library::now, paths::absolute};

/// What could be read of a record.
pub(super) struct Described {
    song: Song,
    /// The song that it makes as long as the audio is not there.
    without_audio: SongId,
    vectors: Vec<(ModelSpec, Vector)>,
    /// The audio file, if it is there, and what it is.
    audio: Option<(PathBuf, Identity)>,
    rest: Rest,
}

/// What is said of a model of which nothing is known.
pub(super) fn unknown_model(name: ModelName, dimension: usize, metric: Metric) -> ModelSpec {
    let description = "imported vectors; the model that made them is not known".to_owned();
    ModelSpec { name, dimension, metric, description }
}

/// Reads what a record says. `folder` is where its paths may be meant from.
///
/// # Errors
///
/// Why it describes no song, in words.
pub(super) fn described(
    key: Option<&str>,
    mut record: Record<'_>,
    vectors: Vec<(ModelSpec, Vector)>,
    folder: &Path,
    opening: &Opening,
) -> std::result::Result<Described, String> {
    let path = record.path();
    let audio = match path.as_deref().and_then(|path| audio_file(folder, path)) {
        Some(path) => {
            let read =
                songrec_audio::identify_by(&path, opening).map_err(|error| error.to_string())?;
            Some((path, read))
        }
        None => None,
    };
    // A name without a folder may be that of many files: how the record itself is called
    // tells them apart.
    let name = match (path.as_deref(), key) {
        (Some(path), Some(key)) if !path.contains(['/', '\\']) => Some(format!("{path}\n{key}")),
        (path, key) => path.or(key).map(str::to_owned),
    };
    // Without audio it is known by its vector, or else by its name, until that comes along.
    let known_by = match (vectors.first(), name) {
        (Some((_, vector)), _) => {
            [b"imported without audio\n".as_slice(), &vector.to_le_bytes()].concat()
        }
        (None, Some(name)) => format!("imported without audio or vector\n{name}").into_bytes(),
        (None, None) => return Err("it has neither a vector nor the name of a file".to_owned()),
    };
    let no_audio = Digest::of(&known_by);
    let audio_hash = audio.as_ref().map_or(no_audio, |(_, identity)| identity.audio_hash);
    let mut song = Song::new(audio_hash, AudioProperties::default(), now());
    song.sources.import = record.tags();
    record.describe_audio(&mut song);
    // The record may be filed under the name of its file.
    let file = path.or_else(|| key.map(str::to_owned));
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
        rest.fields.entry("id".to_owned()).or_insert_with(|| key.to_owned());
    }
    let without_audio = SongId::from_audio_hash(&no_audio);
    Ok(Described { song, without_audio, vectors, audio, rest })
}

fn audio_file(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = decode_path(path);
    let beside = path.file_name().map(|file| folder.join("audio").join(file));
    let in_data = path.file_name().map(|file| folder.join("data/audio").join(file));
    [Some(folder.join(&path)), Some(path.clone()), beside, in_data]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
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

impl Arriving<'_> {
    /// The song that a record tells of; nothing if a vector fits no model.
    pub(super) async fn arrival(
        &mut self,
        described: Described,
        label: String,
    ) -> Result<Option<Arrival>> {
        let Described { mut song, without_audio, vectors, audio, rest } = described;
        let mut named = Vec::with_capacity(vectors.len());
        for (spec, vector) in vectors {
            let model = spec.name.clone();
            if let Some(why) = self.make_room_for(spec).await?.or(self.refuses(&model, &vector)) {
                self.fail(label, why);
                return Ok(None);
            }
            named.push((model, vector));
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
        Ok(Some(Arrival { song, vectors: named, label, waits }))
    }
}
