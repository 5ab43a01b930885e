//! The picture that a song's file carries.

use std::{path::PathBuf, time::Duration};

use sha2::{Digest as _, Sha256};
use songrec_audio::read_artwork;
use songrec_core::{Digest, Job, Song, SongSummary};

use crate::{
    CheckedAudio, Error, ErrorKind, Library, Result,
    playing::{file_of, on_disk, playable},
    work::on_cpu,
};

/// A picture as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artwork {
    /// One of those that browsers show, by the picture's first bytes: what a tag says of it is
    /// not trusted.
    pub media_type: &'static str,
    /// What the picture is.
    pub sha256: Digest,
    /// The picture, at most 16 MiB.
    pub bytes: Vec<u8>,
}

/// The picture in a song's file: the front cover, or else the first one. Costs nothing where
/// the song is known to have none; else reads the tags of a file, which is brought here whole
/// if another library keeps it. What is on this machine is compared by its hash first, as
/// [`playable`] does.
///
/// # Errors
///
/// `NotFound` if there is no picture, or none that a browser shows; when the audio cannot be
/// had, or its tags cannot be read.
pub async fn artwork(
    library: &Library,
    song: &Song,
    checked: &CheckedAudio,
    job: &Job,
) -> Result<Artwork> {
    let title = || SongSummary::of(song).title;
    if song.tags.art.is_none() {
        return Err(Error::not_found(format_args!("`{}` has no picture", title())));
    }
    let found = playable(library, song, false, Duration::ZERO, checked, job).await?;
    let read = match file_of(&found) {
        Some(path) => picture_in(path).await?,
        None => {
            let brought = on_disk(library, song, job).await?;
            picture_in(brought.path.clone()).await?
        }
    };
    let bytes = read.ok_or_else(|| {
        Error::not_found(format_args!("the file of `{}` has no picture any more", title()))
    })?;
    let media_type = media_type_of(&bytes).ok_or_else(|| {
        Error::not_found(format_args!("the picture of `{}` has an unknown form", title()))
            .with_hint("JPEG, PNG, GIF, WebP, AVIF and BMP are known")
    })?;
    Ok(Artwork { media_type, sha256: Digest(Sha256::digest(&bytes).into()), bytes })
}

async fn picture_in(path: PathBuf) -> Result<Option<Vec<u8>>> {
    let read = on_cpu(None, move || read_artwork(&path)).await;
    let failed = |why| Error::new(ErrorKind::Corrupt, format_args!("no tags could be read: {why}"));
    read.map_err(|why| Error::new(ErrorKind::Failed, why))?.map_err(failed)
}

/// What a picture is, by its first bytes. SVG is not among them, as it may hold scripts.
fn media_type_of(bytes: &[u8]) -> Option<&'static str> {
    let part = |from: usize, text: &[u8]| bytes.get(from..from + text.len()) == Some(text);
    Some(match () {
        () if part(0, b"\xff\xd8\xff") => "image/jpeg",
        () if part(0, b"\x89PNG\r\n\x1a\n") => "image/png",
        () if part(0, b"GIF87a") || part(0, b"GIF89a") => "image/gif",
        () if part(0, b"RIFF") && part(8, b"WEBP") => "image/webp",
        () if part(4, b"ftypavif") => "image/avif",
        () if part(0, b"BM") => "image/bmp",
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_what_its_first_bytes_say() {
        for (bytes, expected) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], Some("image/jpeg")),
            (b"\x89PNG\r\n\x1a\n\0\0", Some("image/png")),
            (b"GIF89a..", Some("image/gif")),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (b"\0\0\0\x20ftypavif", Some("image/avif")),
            (b"<svg xmlns=", None),
            (b"<html>", None),
            (b"\xff\xd8", None),
            (b"", None),
        ] {
            assert_eq!(media_type_of(bytes), expected, "{bytes:?}");
        }
    }
}
