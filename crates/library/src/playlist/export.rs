//! A playlist as a file for a player.

use std::path::PathBuf;

use serde::Serialize;
use songrec_core::{Job, Song, SongId, SongSummary};

use super::{
    formats::{Listed, ListedSong, PlaylistFormat},
    kept::KeptPlaylist,
    location::{Location, PathOptions},
    looked_up::{PlaylistSong, playlist_songs},
};
use crate::{Error, ErrorKind, Library, Result, work::blocking};

/// Songs that are read at once.
const READ: usize = 500;

/// A playlist as a file, which is not written yet.
#[derive(Clone, Debug)]
pub struct PlaylistFile {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// What is in it and what not.
    pub exported: ExportedPlaylist,
}

/// What a file of a playlist has of it.
#[derive(Clone, Debug, Serialize)]
pub struct ExportedPlaylist {
    /// The id of the playlist.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many of its songs are in the file.
    pub songs: usize,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// A song that a file of a playlist does not have.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its place in the playlist, from 1.
    pub position: usize,
    /// Its id.
    pub song: SongId,
    /// How it is or was called.
    pub title: String,
    /// Why it is not in the file.
    pub why: String,
}

/// A playlist as a file of `format`. Of a song with several files the first one counts
/// that is on this machine, else the first. Costs what [`playlist_songs`] costs, and
/// reading the songs.
///
/// # Errors
///
/// Those of [`playlist_songs`].
pub async fn playlist_file(
    library: &Library,
    kept: &KeptPlaylist,
    format: PlaylistFormat,
    paths: &PathOptions,
    job: &Job,
) -> Result<PlaylistFile> {
    let shown = playlist_songs(library, kept, job).await?;
    let name = shown.card.name;
    let (bytes, songs, left_out) =
        file_of(library, &name, &shown.entries, format, paths, job).await?;
    Ok(PlaylistFile {
        bytes,
        exported: ExportedPlaylist { id: kept.id.clone(), name, songs, left_out },
    })
}

/// Songs that are in no playlist, such as an answer, as a file of `format` for a player:
/// its bytes, and the songs that it does not have. Files are chosen as
/// [`playlist_file`] does. Costs reading the songs.
///
/// # Errors
///
/// `Interrupted`; those of the library.
pub async fn songs_file(
    library: &Library,
    name: &str,
    songs: &[SongSummary],
    format: PlaylistFormat,
    paths: &PathOptions,
    job: &Job,
) -> Result<(Vec<u8>, Vec<LeftOut>)> {
    let entries = (1..).zip(songs).map(|(position, card)| PlaylistSong {
        position,
        key: None,
        song: card.id,
        missing: false,
        title: card.title.clone(),
        artist: card.artist.clone(),
        card: Some(card.clone()),
    });
    let entries: Vec<PlaylistSong> = entries.collect();
    let (bytes, _, left_out) = file_of(library, name, &entries, format, paths, job).await?;
    Ok((bytes, left_out))
}

// Entries as a file, how many are in it, and those that are not.
async fn file_of(
    library: &Library,
    name: &str,
    entries: &[PlaylistSong],
    format: PlaylistFormat,
    paths: &PathOptions,
    job: &Job,
) -> Result<(Vec<u8>, usize, Vec<LeftOut>)> {
    let mut listed = Listed { name: Some(name.to_owned()), songs: Vec::new() };
    let mut left_out = Vec::new();
    for entries in entries.chunks(READ) {
        if job.is_interrupted() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        let ids: Vec<SongId> = entries.iter().map(|entry| entry.song).collect();
        let songs = library.each_song(&ids).await?;
        let songs: Vec<Option<Song>> = songs.into_iter().map(|song| song.ok().flatten()).collect();
        let files = files_of(library, &songs).await?;
        for (entry, (song, file)) in entries.iter().zip(songs.iter().zip(files)) {
            let why = match (song, &file) {
                (None, _) => "it is not in the library any more",
                (Some(_), None) => "no file is known of it",
                (Some(_), Some(file)) if !can_be_listed(file, format) => {
                    "its path cannot be written in such a file"
                }
                (Some(_), Some(file)) => {
                    listed.songs.push(one(entry, paths.of_file(file)));
                    continue;
                }
            };
            left_out.push(LeftOut {
                position: entry.position,
                song: entry.song,
                title: entry.title.clone(),
                why: why.to_owned(),
            });
        }
    }
    Ok((format.write(&listed), listed.songs.len(), left_out))
}

// The file of each song: the first that is here, else the first.
async fn files_of(library: &Library, songs: &[Option<Song>]) -> Result<Vec<Option<PathBuf>>> {
    let paths = |song: &Option<Song>| -> Vec<PathBuf> {
        let files = song.iter().flat_map(|song| &song.files);
        files.map(|file| library.file_path(&file.path)).collect()
    };
    let all: Vec<Vec<PathBuf>> = songs.iter().map(paths).collect();
    blocking(move || {
        let chosen = |paths: Vec<PathBuf>| match paths.len() {
            0 | 1 => paths.into_iter().next(),
            _ => paths.iter().find(|path| path.exists()).or(paths.first()).cloned(),
        };
        all.into_iter().map(chosen).collect()
    })
    .await
}

// In lines, a path that has several is none.
fn can_be_listed(file: &std::path::Path, format: PlaylistFormat) -> bool {
    let bytes = file.as_os_str().as_encoded_bytes();
    format != PlaylistFormat::M3u8 || !bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

fn one(entry: &PlaylistSong, path: String) -> ListedSong {
    let card = entry.card.as_ref();
    ListedSong {
        location: Some(Location::Path(path)),
        song: Some(entry.song),
        title: Some(entry.title.clone()),
        artist: entry.artist.clone(),
        album: card.and_then(|card| card.album.clone()),
        duration: card.map(|card| card.duration).filter(|seconds| *seconds > 0.0),
    }
}
