//! Hearing a file, whether or not it is in a library.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use songrec_audio::{Analysis, Identity};
use songrec_core::{ModelName, Song, SongFile, Vector, encode_path};
use songrec_models::HeardWindow;

use crate::{
    Error, ErrorKind, Hearing, Library, Part, Result, library::now, part::clock, work::on_cpu,
};

/// What a file is, without decoding it.
pub(crate) async fn identify(path: &Path) -> Result<Identity> {
    let path: PathBuf = path.to_owned();
    on_cpu(None, move || songrec_audio::identify(&path))
        .await
        .map_err(|reason| Error::new(ErrorKind::Failed, reason))?
        .map_err(|error| unreadable(&error))
}

/// What models heard in a file.
#[derive(Clone, Debug)]
pub struct HeardFile {
    /// The song in it, as it would be taken in.
    pub song: Song,
    /// How each model heard it.
    pub vectors: BTreeMap<ModelName, Vector>,
    /// The same window by window, for learned models and if that was asked
    /// for.
    pub windows: BTreeMap<ModelName, Vec<HeardWindow>>,
    /// The models that did not hear it, and why.
    pub unheard: BTreeMap<ModelName, Error>,
}

/// Hears a file that need not be in any library; it is not kept.
///
/// # Errors
///
/// When there is no audio in it. A model that did not hear it is told beside
/// the others.
pub async fn hear_file(
    path: &Path,
    hearing: &Hearing,
    part: Option<Part>,
    windows: bool,
) -> Result<HeardFile> {
    let mut wanted = hearing.wanted();
    wanted.windows = windows;
    wanted.sound.part = part.map(Part::range);
    let file = path.to_owned();
    let mut heard = on_cpu(None, move || songrec_models::analyze(&file, &wanted))
        .await
        .map_err(|reason| Error::new(ErrorKind::Failed, reason))?
        .map_err(|error| unreadable(&error))?;
    let duration = heard.sound.audio.duration;
    if let Some(part) = part.filter(|part| part.start >= duration) {
        return Err(Error::usage(format_args!("`{}` has no part {part}", path.display()))
            .because(format!("it ends after {}", clock(duration)))
            .with_hint("name a part before that, such as `@0:01-0:02.5`"));
    }
    let vectors = std::mem::take(&mut heard.sound.embeddings);
    let mut unheard: BTreeMap<ModelName, Error> = std::mem::take(&mut heard.failed)
        .into_iter()
        .map(|(model, error)| (model, Error::from(error)))
        .collect();
    for spec in hearing.specs() {
        if !vectors.contains_key(&spec.name) && !unheard.contains_key(&spec.name) {
            let error =
                Error::usage(format_args!("`{}` cannot hear `{}`", spec.name, path.display()))
                    .because("it is silent or too short")
                    .with_hint("name another file, or a longer part of it");
            unheard.insert(spec.name.clone(), error);
        }
    }
    let mut song = song_of(&heard.sound);
    song.sources.file_name = songrec_audio::read_name(path);
    song.add_file(file_of(&heard.sound.identity, encode_path(path)));
    Ok(HeardFile { song, vectors, windows: heard.windows, unheard })
}

impl Library {
    /// Hears a file that is not in the library, by those of `models` that are
    /// on this machine; why the others did not hear it is told beside them.
    ///
    /// # Errors
    ///
    /// When there is no audio in it, or none of the models is here.
    pub(crate) async fn hear_outside(
        &self,
        path: &Path,
        models: &[ModelName],
        part: Option<Part>,
        windows: bool,
    ) -> Result<HeardFile> {
        let mut here = Vec::new();
        let mut absent = BTreeMap::new();
        for name in models {
            match self.models.hearing(&[name.to_string()]).await {
                Ok(_) => here.push(name.to_string()),
                Err(error) => _ = absent.insert(name.clone(), error),
            }
        }
        if here.is_empty()
            && let Some((_, error)) = absent.pop_first()
        {
            return Err(error);
        }
        let hearing = self.models.hearing(&here).await?;
        let mut heard = hear_file(path, &hearing, part, windows).await?;
        heard.unheard.extend(absent);
        Ok(heard)
    }
}

/// A new song with all that was heard, but no file and no embedding yet.
pub(crate) fn song_of(analysis: &Analysis) -> Song {
    let mut song = Song::new(analysis.identity.audio_hash, analysis.audio.clone(), now());
    song.tags = analysis.tags.clone();
    song.features.clone_from(&analysis.features);
    song
}

/// A file as a song names it.
pub(crate) fn file_of(identity: &Identity, path: String) -> SongFile {
    SongFile { path, sha256: identity.sha256, size: identity.size }
}

/// An audio file that a person named and that cannot be used.
pub(crate) fn unreadable(error: &songrec_audio::Error) -> Error {
    let kind = match error.reason() {
        songrec_audio::Reason::NotFound => ErrorKind::NotFound,
        songrec_audio::Reason::Denied => ErrorKind::Denied,
        _ => ErrorKind::Usage,
    };
    let result = Error::new(kind, error).with_hint(error.hint());
    match std::error::Error::source(error) {
        Some(source) => result.because(source.to_string()),
        None => result,
    }
}
