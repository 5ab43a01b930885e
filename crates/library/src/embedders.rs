//! Embedding a file, whether or not it is in a library.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use songrec_audio::{Analysis, Identity, Opening};
use songrec_core::{ModelName, Song, SongFile, Vector, encode_path};
use songrec_models::WindowVector;

use crate::{
    Embedders, Error, ErrorKind, Library, Part, Result, decoding::others, library::now,
    part::clock, work::on_cpu,
};

/// What a file is, without decoding it.
pub(crate) async fn identify(library: &Library, path: &Path) -> Result<Identity> {
    let opening = library.models.decoding().opening()?;
    let (path, by): (PathBuf, Opening) = (path.to_owned(), opening.clone());
    on_cpu(None, move || songrec_audio::identify_by(&path, &by))
        .await
        .map_err(|reason| Error::new(ErrorKind::Failed, reason))?
        .map_err(|error| unreadable(&error, &opening))
}

/// The vectors that models made of a file.
#[derive(Clone, Debug)]
pub struct EmbeddedFile {
    /// The song in it, as it would be taken in.
    pub song: Song,
    /// How each model embedded it.
    pub vectors: BTreeMap<ModelName, Vector>,
    /// The same window by window, for learned models and if that was asked
    /// for.
    pub windows: BTreeMap<ModelName, Vec<WindowVector>>,
    /// The models that did not embed it, and why.
    pub unembedded: BTreeMap<ModelName, Error>,
}

/// Somebody who waits for work; the work ends early when they do not any more.
#[derive(Debug, Default)]
struct Waiter {
    gone: Arc<AtomicBool>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// Embeds a file that need not be in any library; it is not kept. Decoding ends early when
/// the future is dropped.
///
/// # Errors
///
/// When there is no audio in it. A model that did not embed it is listed beside
/// the others.
pub async fn embed_file(
    path: &Path,
    embedders: &Embedders,
    part: Option<Part>,
    windows: bool,
) -> Result<EmbeddedFile> {
    let mut wanted = embedders.wanted();
    wanted.windows = windows;
    wanted.sound.part = part.map(Part::range);
    let asked = Waiter::default();
    wanted.sound.cancel = Some(asked.gone.clone());
    let file = path.to_owned();
    let mut embedded = on_cpu(None, move || songrec_models::analyze(&file, &wanted))
        .await
        .map_err(|reason| Error::new(ErrorKind::Failed, reason))?
        .map_err(|error| unreadable(&error, embedders.opening()))?;
    let duration = embedded.sound.audio.duration;
    if let Some(part) = part.filter(|part| part.start >= duration) {
        return Err(Error::usage(format_args!("`{}` has no part {part}", path.display()))
            .because(format!("it ends after {}", clock(duration)))
            .with_hint("name a part before that, such as `@0:01-0:02.5`"));
    }
    let vectors = std::mem::take(&mut embedded.sound.embeddings);
    let mut unembedded: BTreeMap<ModelName, Error> = std::mem::take(&mut embedded.failed)
        .into_iter()
        .map(|(model, error)| (model, Error::from(error)))
        .collect();
    for spec in embedders.specs() {
        if !vectors.contains_key(&spec.name) && !unembedded.contains_key(&spec.name) {
            let error =
                Error::usage(format_args!("`{}` cannot embed `{}`", spec.name, path.display()))
                    .because("it is silent or too short")
                    .with_hint("name another file, or a longer part of it");
            unembedded.insert(spec.name.clone(), error);
        }
    }
    let mut song = song_of(&embedded.sound);
    song.sources.file_name = songrec_audio::read_name(path);
    song.add_file(file_of(&embedded.sound.identity, encode_path(path)));
    Ok(EmbeddedFile { song, vectors, windows: embedded.windows, unembedded })
}

/// Embeds a file that is not in the library, by those of `models` that are
/// on this machine; why the others did not embed it is listed beside them.
///
/// # Errors
///
/// When there is no audio in it, or none of the models is here.
pub(crate) async fn embed_outside(
    library: &Library,
    path: &Path,
    models: &[ModelName],
    part: Option<Part>,
    windows: bool,
) -> Result<EmbeddedFile> {
    let mut here = Vec::new();
    let mut absent = BTreeMap::new();
    for name in models {
        match library.models.embedders(&[name.to_string()]).await {
            Ok(_) => here.push(name.to_string()),
            Err(error) => _ = absent.insert(name.clone(), error),
        }
    }
    if here.is_empty()
        && let Some((_, error)) = absent.pop_first()
    {
        return Err(error);
    }
    let embedders = library.models.embedders(&here).await?;
    let mut embedded = embed_file(path, &embedders, part, windows).await?;
    embedded.unembedded.extend(absent);
    Ok(embedded)
}

/// A new song with all that was measured, but no file and no embedding yet.
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
pub(crate) fn unreadable(error: &songrec_audio::Error, opening: &Opening) -> Error {
    let kind = match error.reason() {
        songrec_audio::Reason::NotFound => ErrorKind::NotFound,
        songrec_audio::Reason::Denied => ErrorKind::Denied,
        _ => ErrorKind::Usage,
    };
    let hint = others(error.path(), error, opening).unwrap_or_else(|| error.hint().into());
    let result = Error::new(kind, error).with_hint(hint);
    match std::error::Error::source(error) {
        Some(source) => result.because(source.to_string()),
        None => result,
    }
}
