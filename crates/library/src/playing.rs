//! The audio of a song, as a player reads it: from any place, a part at a time.

use std::{
    collections::HashSet,
    io::SeekFrom,
    ops::Range,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use sha2::Digest as _;
use songrec_core::{BlobRef, Digest, Job, Song, SongFile, SongSummary};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::{
    Error, ErrorKind, Library, Result,
    hash::hash_file,
    share::{audio_address, elsewhere, fetch_audio},
    work::blocking,
};

/// Bytes of audio on their way, in pieces of at most a few MiB.
pub type AudioStream = BoxStream<'static, Result<Bytes>>;

/// Bytes that are read from a file at once.
const PIECE: usize = 256 << 10;
/// So many checks are remembered at the most.
const REMEMBERED: usize = 10_000;

/// Audio that can be read.
#[derive(Clone, Debug)]
pub enum Playable {
    /// As bytes.
    Here {
        /// How many bytes it has.
        size: u64,
        /// What they are.
        sha256: Digest,
        /// Where they are.
        place: AudioPlace,
    },
    /// At an address, where anybody can get it for some time.
    At(String),
}

/// Where bytes of audio are.
#[derive(Clone, Debug)]
pub struct AudioPlace(Place);

#[derive(Clone, Debug)]
enum Place {
    /// In the library, or in the one that it is synced with.
    Kept {
        elsewhere: Option<Box<Library>>,
        blob: BlobRef,
    },
    File(PathBuf),
}

/// Which audio was seen to be what its song says. A song may name any file, also one
/// that somebody else wrote into a library that is shared: so nothing is given out that
/// was not compared by its hash, once for each time that the file changed.
#[derive(Debug, Default)]
pub struct CheckedAudio(Mutex<HashSet<Check>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Check {
    sha256: Digest,
    /// Whether it is what another library keeps.
    is_elsewhere: bool,
    /// Of a file; nothing for what the library keeps.
    file: Option<(PathBuf, Option<SystemTime>)>,
}

impl CheckedAudio {
    fn knows(&self, check: &Check) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(check)
    }

    fn remember(&self, check: Check) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(check);
    }
}

/// The audio of a song to play: from a file of this machine, from what the library
/// keeps, or from the library that this one is synced with. With `wants_address`, an address
/// that is valid for `valid_for` comes first, where the audio has one. Bytes that are on this
/// machine are compared by their hash before they are played for the first time.
///
/// # Errors
///
/// `NotFound` if nobody keeps the audio; `Temporary` if it would have to come from a library
/// that cannot be reached now; those of the library.
pub async fn playable(
    library: &Library,
    song: &Song,
    wants_address: bool,
    valid_for: Duration,
    checked: &CheckedAudio,
    job: &Job,
) -> Result<Playable> {
    if wants_address && let Some(address) = address(library, song, valid_for, job).await? {
        return Ok(Playable::At(address));
    }
    for file in &song.files {
        let path = library.file_path(&file.path);
        if is_as_said(&path, file, checked).await? {
            let place = AudioPlace(Place::File(path));
            return Ok(Playable::Here { size: file.size, sha256: file.sha256, place });
        }
    }
    if let Some(found) = kept(library, song, None, checked, job).await? {
        return Ok(found);
    }
    if let Some((there, song)) = elsewhere(library, song, &job.progress).await?
        && let Some(found) = kept(&there, &song, Some(&there), checked, job).await?
    {
        return Ok(found);
    }
    let title = SongSummary::of(song).title;
    Err(Error::not_found(format_args!("the audio of `{title}` is not here"))
        .with_hint("its files are on another machine, or were moved: scan them again here"))
}

// The copy of the audio that `library` keeps, which may be another one than is asked.
async fn kept(
    library: &Library,
    song: &Song,
    elsewhere: Option<&Library>,
    checked: &CheckedAudio,
    job: &Job,
) -> Result<Option<Playable>> {
    let Some(blob) = &song.blob else { return Ok(None) };
    let check = Check { sha256: blob.sha256, is_elsewhere: elsewhere.is_some(), file: None };
    if !checked.knows(&check) && !is_kept(library, blob, check, checked, job).await? {
        return Ok(None);
    }
    let elsewhere = elsewhere.cloned().map(Box::new);
    let place = AudioPlace(Place::Kept { elsewhere, blob: blob.clone() });
    Ok(Some(Playable::Here { size: blob.size, sha256: blob.sha256, place }))
}

// Audio that is kept in a folder has no address.
async fn address(
    library: &Library,
    song: &Song,
    valid_for: Duration,
    job: &Job,
) -> Result<Option<String>> {
    match audio_address(library, song, valid_for, &job.progress).await {
        Ok(address) => Ok(Some(address.url)),
        Err(error) if matches!(error.kind(), ErrorKind::Usage | ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

// Whether a file holds what its song says. Its size tells most of what is not.
async fn is_as_said(path: &PathBuf, file: &SongFile, checked: &CheckedAudio) -> Result<bool> {
    let Ok(metadata) = tokio::fs::metadata(path).await else { return Ok(false) };
    if !metadata.is_file() || metadata.len() != file.size {
        return Ok(false);
    }
    let file_state = Some((path.clone(), metadata.modified().ok()));
    let check = Check { sha256: file.sha256, is_elsewhere: false, file: file_state };
    if checked.knows(&check) {
        return Ok(true);
    }
    let hashed = path.clone();
    let is_same = blocking(move || hash_file(&hashed)).await?.is_ok_and(|it| it == file.sha256);
    if is_same {
        checked.remember(check);
    }
    Ok(is_same)
}

// Whether the library keeps a blob, whole.
async fn is_kept(
    library: &Library,
    blob: &BlobRef,
    check: Check,
    checked: &CheckedAudio,
    job: &Job,
) -> Result<bool> {
    let Some(mut stream) = library.backend().blobs().get(blob, None).await? else {
        return Ok(false);
    };
    // A bucket holds what was checked when it came, under its digest; a local library may
    // read any file that a song names.
    if library.is_remote() {
        return Ok(true);
    }
    let mut hash = sha2::Sha256::new();
    while let Some(piece) = stream.next().await {
        if job.is_interrupted() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted before it was checked"));
        }
        hash.update(&piece?);
    }
    let is_same = Digest(hash.finalize().into()) == blob.sha256;
    if is_same {
        checked.remember(check);
    }
    Ok(is_same)
}

/// Bytes of audio that [`playable`] found, from `range.start` to before `range.end`.
///
/// # Errors
///
/// When they are gone meanwhile, or cannot be read.
pub async fn read_audio(
    library: &Library,
    place: &AudioPlace,
    range: Range<u64>,
) -> Result<AudioStream> {
    match &place.0 {
        Place::Kept { elsewhere, blob } => {
            let gone = || Error::not_found("the audio is not in the library any more");
            let stream = elsewhere
                .as_deref()
                .unwrap_or(library)
                .backend()
                .blobs()
                .get(blob, Some(range))
                .await?;
            Ok(stream.ok_or_else(gone)?.map_err(Error::from).boxed())
        }
        Place::File(path) => {
            let failed = |error| Error::io("read", path, error);
            let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
            file.seek(SeekFrom::Start(range.start)).await.map_err(failed)?;
            let path = path.clone();
            let left = range.end.saturating_sub(range.start);
            let pieces = stream::try_unfold((file, left), move |(mut file, left)| {
                let path = path.clone();
                async move {
                    let mut piece = vec![0; left.min(PIECE as u64) as usize];
                    if piece.is_empty() {
                        return Ok(None);
                    }
                    let count = file
                        .read(&mut piece)
                        .await
                        .map_err(|error| Error::io("read", &path, error))?;
                    if count == 0 {
                        let end = std::io::ErrorKind::UnexpectedEof.into();
                        return Err(Error::io("read", &path, end));
                    }
                    piece.truncate(count);
                    Ok(Some((Bytes::from(piece), (file, left - count as u64))))
                }
            });
            Ok(pieces.boxed())
        }
    }
}

/// The file of this machine that plays, if that is what was found.
pub(crate) fn file_of(found: &Playable) -> Option<PathBuf> {
    match found {
        Playable::Here { place: AudioPlace(Place::File(path)), .. } => Some(path.clone()),
        _ => None,
    }
}

/// The audio of a song as a file that can be decoded.
#[derive(Debug)]
pub(crate) struct AudioOnDisk {
    pub(crate) path: PathBuf,
    /// Where it was brought to, if it was not here.
    _folder: Option<tempfile::TempDir>,
}

/// A file of this machine with the audio of `song`: the one that the song names, or one
/// that is brought here and goes with the answer.
///
/// # Errors
///
/// As [`fetch_audio`].
pub(crate) async fn on_disk(library: &Library, song: &Song, job: &Job) -> Result<AudioOnDisk> {
    for file in &song.files {
        let path = library.file_path(&file.path);
        let metadata = tokio::fs::metadata(&path).await;
        if metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.size) {
            return Ok(AudioOnDisk { path, _folder: None });
        }
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Error::io("make a folder in", &std::env::temp_dir(), error))?;
    let fetched = fetch_audio(library, song, folder.path(), job).await?;
    Ok(AudioOnDisk { path: fetched.path, _folder: Some(folder) })
}
