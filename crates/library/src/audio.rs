//! The audio that a library keeps: to a file, or as an address.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::StreamExt;
use sha2::Digest as _;
use songrec_core::{BlobRef, Card, Digest, Event, Progress, Song};

use crate::{Error, ErrorKind, Interrupt, Library, Result};

impl Library {
    /// Writes the audio of a song to `target`: a file, or a folder in which it
    /// gets its own name. Checked by its hash; a file that is there already is
    /// left alone. Gives the path.
    ///
    /// # Errors
    ///
    /// When the library has no audio of the song, or it is not what it should
    /// be.
    pub async fn get_audio(
        &self,
        song: &Song,
        target: &Path,
        interrupt: &Interrupt,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let target = if target.is_dir() { target.join(file_name(song)) } else { target.to_owned() };
        if target.exists() {
            return Err(Error::usage(format_args!("`{}` is there already", target.display()))
                .with_hint("name another file, or remove it first"));
        }
        for blob in blobs(song) {
            let Some(mut stream) = self.backend.get_blob(&blob, None).await? else { continue };
            progress.on(Event::Started { work: "downloading", total: None });
            let folder = match target.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let failed = |error| Error::io("write", &target, error);
            // Complete before it has its name.
            let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
            let mut hash = sha2::Sha256::new();
            while let Some(piece) = stream.next().await {
                if interrupt.is_set() {
                    return Err(Error::new(ErrorKind::Failed, "interrupted; nothing was written"));
                }
                let piece = piece?;
                hash.update(&piece);
                file.write_all(&piece).map_err(failed)?;
            }
            if Digest(hash.finalize().into()) != blob.sha256 {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format_args!("the audio of `{}` is damaged", Card::of(song).title),
                )
                .with_hint("`songrec verify --read-data` looks at everything"));
            }
            file.as_file().sync_all().map_err(failed)?;
            file.persist_noclobber(&target).map_err(|error| failed(error.error))?;
            progress.on(Event::Finished);
            return Ok(target);
        }
        Err(Error::not_found(format_args!(
            "the library has no audio of `{}`",
            Card::of(song).title
        ))
        .with_hint("its files are on another machine, or were moved: `songrec show` lists them"))
    }

    /// An address at which anybody can get the audio of a song for some time.
    ///
    /// # Errors
    ///
    /// When the library has no audio of the song, or no such addresses.
    pub async fn audio_url(&self, song: &Song, valid_for: Duration) -> Result<String> {
        for blob in blobs(song) {
            if let Some(url) = self.backend.blob_url(&blob, valid_for).await? {
                return Ok(url);
            }
        }
        let title = Card::of(song).title;
        Err(if self.backend.capabilities().urls {
            Error::not_found(format_args!("the library keeps no audio of `{title}`"))
        } else {
            Error::usage("this library has no addresses to give out")
                .because("its audio is in files, not in an object store")
                .with_hint("`songrec get` writes the audio to a file")
        })
    }
}

// The copy that is kept, and files that may be reached.
fn blobs(song: &Song) -> impl Iterator<Item = BlobRef> + '_ {
    let files =
        song.files.iter().map(|file| BlobRef { sha256: file.sha256, size: file.size, key: None });
    song.blob.clone().into_iter().chain(files)
}

fn file_name(song: &Song) -> String {
    let of_file = song.files.first().and_then(|file| {
        let path = songrec_core::decode_path(&file.path);
        Some(path.file_name()?.to_string_lossy().into_owned())
    });
    of_file.unwrap_or_else(|| format!("{}.{}", song.id, song.audio.container))
}
