//! The audio that a library keeps: to a file, or as an address.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt;
use sha2::Digest as _;
use songrec_core::{
    BlobRef, Digest, Event, Hint, Interrupt, Job, Remedy, Scan, Song, SongFile, SongSummary, Work,
};
use songrec_storage::BlobStream;

use crate::{Error, ErrorKind, Library, Result, hash::hash_file, work::blocking};

/// Writes the audio of a song to `target`: a file, or a folder in which it
/// gets its own name. Checked by its hash; a file that is there already is
/// left alone. Gives the path.
///
/// # Errors
///
/// When the library has no audio of the song, or it is not what it should
/// be.
pub async fn get_audio(
    library: &Library,
    song: &Song,
    target: &Path,
    job: &Job,
) -> Result<PathBuf> {
    let target = if target.is_dir() { target.join(file_name(song)) } else { target.to_owned() };
    if target.is_file() && is_audio_of(song, &target).await? {
        // Got before, by a run that was cut off before it could say so.
        return Ok(target);
    }
    if target.exists() {
        return Err(Error::usage(format_args!("`{}` is there already", target.display()))
            .with_hint("name another file, or remove it first"));
    }
    let failed = |error| Error::io("write", &target, error);
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Error::not_found(format_args!("there is no folder `{}`", folder.display()))
            .with_hint("make it first, or name another place"));
    }
    let mut is_damaged = false;
    for blob in blobs(song) {
        let Some(stream) = library.backend.blobs().get(&blob, None).await? else { continue };
        job.on(Event::started(Work::Downloading, None));
        // Complete before it has its name.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let digest = receive(stream, &mut file, &job.interrupt, failed).await?;
        job.on(Event::Finished);
        if digest != blob.sha256 {
            is_damaged = true;
            continue;
        }
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(&target).map_err(|error| failed(error.error))?;
        return Ok(target);
    }
    for file in &song.files {
        // Where the library itself does not see the files of this machine,
        // or sees another one of the same size first.
        let (path, folder) = (library.file_path(&file.path), folder.to_owned());
        let expected = file.clone();
        let copied = blocking(move || copy_of(&path, &expected, &folder)).await?;
        if let Some(copy) = copied.map_err(failed)? {
            copy.persist_noclobber(&target).map_err(|error| failed(error.error))?;
            return Ok(target);
        }
    }
    let title = SongSummary::of(song).title;
    if is_damaged {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format_args!("the audio of `{title}` is damaged"),
        )
        .with_hint(Hint::of(
            "{} looks at everything",
            [Remedy::Verify { repair: false, read_data: true }],
        )));
    }
    Err(Error::not_found(format_args!("the audio of `{title}` is not here"))
        .because(where_audio_is(library, song))
        .with_hint(where_to_get(library, song)))
}

// Whether a file is what would be written to it.
async fn is_audio_of(song: &Song, path: &Path) -> Result<bool> {
    let wanted: Vec<Digest> = blobs(song).map(|blob| blob.sha256).collect();
    let path = path.to_owned();
    let hashed = blocking(move || hash_file(&path)).await?;
    Ok(hashed.is_ok_and(|digest| wanted.contains(&digest)))
}

// What a song says of its audio.
fn where_audio_is(library: &Library, song: &Song) -> String {
    let mut lines: Vec<String> = song
        .files
        .iter()
        .map(|file| {
            let path = library.file_path(&file.path);
            let state = if path.exists() { "another file is there" } else { "not here" };
            format!("`{}`: {state}", path.display())
        })
        .collect();
    if song.blob.as_ref().is_some_and(|blob| blob.key.is_some()) {
        lines.push("a copy that another library keeps".to_owned());
    }
    match lines.as_slice() {
        [] => "no file of it is known".to_owned(),
        [one] => format!("all that is known is {one}"),
        several => format!("known are\n  {}", several.join("\n  ")),
    }
}

fn where_to_get(library: &Library, song: &Song) -> Hint {
    let remote = library.backend.capabilities().remote;
    if !remote && song.blob.as_ref().is_some_and(|blob| blob.key.is_some()) {
        return Hint::of(
            "{}, or the name of the library that keeps it, gets it from there",
            [Remedy::GetFromCloud(song.id)],
        );
    }
    if song.files.is_empty() {
        return Hint::of("{} its file again, wherever it is now", [Remedy::Scan(Scan::Again)]);
    }
    "its files are on another machine, or were moved: scan them again where they are now".into()
}

/// An address at which anybody can get the audio of a song for some time.
///
/// # Errors
///
/// When the library has no audio of the song, or no such addresses.
pub async fn audio_url(library: &Library, song: &Song, valid_for: Duration) -> Result<String> {
    for blob in blobs(song) {
        if let Some(url) = library.backend.blobs().url(&blob, valid_for).await? {
            return Ok(url);
        }
    }
    let title = SongSummary::of(song).title;
    Err(if library.backend.capabilities().urls {
        Error::not_found(format_args!("the library keeps no audio of `{title}`"))
    } else {
        Error::usage("this library has no addresses to give out")
            .because("its audio is in files, not in an object store")
            .with_hint(Hint::of("{} writes the audio to a file", [Remedy::GetAudio]))
    })
}

// The copy that is kept, and files that may be reached.
fn blobs(song: &Song) -> impl Iterator<Item = BlobRef> + '_ {
    let files =
        song.files.iter().map(|file| BlobRef { sha256: file.sha256, size: file.size, key: None });
    song.blob.clone().into_iter().chain(files)
}

// Writes what comes to a file; gives its digest.
async fn receive(
    mut stream: BlobStream,
    file: &mut impl Write,
    interrupt: &Interrupt,
    failed: impl Fn(io::Error) -> Error,
) -> Result<Digest> {
    let mut hash = sha2::Sha256::new();
    while let Some(piece) = stream.next().await {
        if interrupt.is_set() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted; nothing was written"));
        }
        let piece = piece?;
        hash.update(&piece);
        file.write_all(&piece).map_err(&failed)?;
    }
    Ok(Digest(hash.finalize().into()))
}

// A copy of the file at `path` in `folder`, if it is the expected one.
fn copy_of(
    path: &Path,
    expected: &SongFile,
    folder: &Path,
) -> io::Result<Option<tempfile::NamedTempFile>> {
    let Ok(mut source) = File::open(path) else { return Ok(None) };
    if !source.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == expected.size) {
        return Ok(None);
    }
    let mut copy = tempfile::NamedTempFile::new_in(folder)?;
    io::copy(&mut source, &mut copy)?;
    copy.as_file().sync_all()?;
    // What was copied counts, whatever becomes of its source meanwhile.
    let is_expected = hash_file(copy.path())? == expected.sha256;
    Ok(is_expected.then_some(copy))
}

fn file_name(song: &Song) -> String {
    let of_file = song.files.first().and_then(|file| {
        let path = songrec_core::decode_path(&file.path);
        Some(path.file_name()?.to_string_lossy().into_owned())
    });
    of_file.unwrap_or_else(|| format!("{}.{}", song.id, song.audio.container))
}
