//! The audio of a song, wherever it is kept: in this library, or in the one
//! that it is synced with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use songrec_core::{Event, Job, Progress, Song, SongId};
use songrec_storage::StorageBackendExt;

use super::libraries::remote;
use crate::{
    Access, Error, ErrorKind, Library, Result, previews::PREVIEW_URL, web_address::named_address,
};

/// Audio that was written to a file.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The song.
    pub song: SongId,
    /// The file.
    pub path: PathBuf,
}

/// Writes the audio of `song` to `target`, a file or a folder in which it gets
/// its own name. If it is not here, and the library that this one is synced with
/// keeps it, it comes from there, which a note reports.
///
/// # Errors
///
/// As [`get_audio`](crate::get_audio); `Temporary` if it would have to come from a
/// library that cannot be reached now.
pub async fn fetch_audio(
    library: &Library,
    song: &Song,
    target: &Path,
    job: &Job,
) -> Result<Fetched> {
    let missing = match get(library, song, target, job).await {
        Err(error) if error.kind() == ErrorKind::NotFound && is_elsewhere(library, song) => error,
        got => return got,
    };
    let Some((name, shared)) = shared(library, &job.progress).await? else { return Err(missing) };
    let Some(song) = shared.backend().get_song(song.id).await? else { return Err(missing) };
    job.on(Event::Note { text: &format!("its audio is not here; fetching it from `{name}`") });
    get(&shared, &song, target, job).await
}

async fn get(library: &Library, song: &Song, target: &Path, job: &Job) -> Result<Fetched> {
    let path = crate::audio::get_audio(library, song, target, job).await?;
    Ok(Fetched { song: song.id, path })
}

/// An address at which anybody can get the audio of a song for some time.
#[derive(Clone, Debug)]
pub struct Address {
    /// The song.
    pub song: SongId,
    /// The address.
    pub url: String,
    /// What is there.
    pub kind: AddressKind,
}

/// What an [`Address`] leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// The audio that a library keeps; the address is valid for some time.
    Kept,
    /// What the song's field `extra.audio_url` names, for as long as it is there.
    Named,
    /// A preview, which a music service offers for as long as it likes.
    Preview,
}

/// The field of a song, behind `extra.`, that says where its audio is on the web.
const AUDIO_URL: &str = "audio_url";

/// An address of the audio of `song` that is valid for some time: of this
/// library, or of the one that it is synced with if that keeps it. Where neither
/// has one, the address that the song names in `extra.audio_url`, or else that of a
/// preview that a service offers, in `extra.preview_url`.
///
/// # Errors
///
/// As [`audio_url`](crate::audio_url); `Temporary` if the other library cannot be
/// reached now.
pub async fn audio_address(
    library: &Library,
    song: &Song,
    valid_for: Duration,
    progress: &Arc<dyn Progress>,
) -> Result<Address> {
    let (library, song) = match elsewhere(library, song, progress).await? {
        Some((shared, there)) => (shared, there),
        None => (library.clone(), song.clone()),
    };
    let url = crate::audio::audio_url(&library, &song, valid_for).await;
    let is_nowhere = |error: &Error| matches!(error.kind(), ErrorKind::Usage | ErrorKind::NotFound);
    let named = || {
        let address = |name, kind| named_address(&song, name).map(|url| (url, kind));
        address(AUDIO_URL, AddressKind::Named)
            .or_else(|| address(PREVIEW_URL, AddressKind::Preview))
    };
    let (url, kind) = match url {
        Err(error) if is_nowhere(&error) => named().ok_or(error)?,
        url => (url?, AddressKind::Kept),
    };
    Ok(Address { song: song.id, url, kind })
}

/// The library that this one is synced with, and `song` as it has it, if it keeps the audio
/// that is not here.
///
/// # Errors
///
/// `Temporary` if the other library cannot be reached now; those of reading a song.
pub(crate) async fn elsewhere(
    library: &Library,
    song: &Song,
    progress: &Arc<dyn Progress>,
) -> Result<Option<(Library, Song)>> {
    if !is_elsewhere(library, song) {
        return Ok(None);
    }
    let Some((_, shared)) = shared(library, progress).await? else { return Ok(None) };
    let there = shared.backend().get_song(song.id).await?;
    Ok(there.map(|song| (shared, song)))
}

// Whether the library that this one is synced with keeps the audio.
fn is_elsewhere(library: &Library, song: &Song) -> bool {
    !library.is_remote() && song.blob.as_ref().is_some_and(|blob| blob.key.is_some())
}

// That library with its name, if one is configured.
async fn shared(
    library: &Library,
    progress: &Arc<dyn Progress>,
) -> Result<Option<(String, Library)>> {
    let config = library.config.clone();
    let name = remote(&config);
    match Library::open_named(config, &name, Access::Reading, progress.clone()).await {
        Ok(library) => Ok(Some((name, library))),
        Err(error) if error.kind() == ErrorKind::Temporary => Err(error),
        Err(_) => Ok(None),
    }
}
