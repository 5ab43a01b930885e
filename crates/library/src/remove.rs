//! Forgetting songs.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_audio::Opening;
use songrec_core::{OperationId, Song, SongFile, SongId, SongSummary, encode_path};
use songrec_local::{KnownFiles, KnownOutcome};
use songrec_storage::{ChangeState, DeleteSong};

use crate::{Library, Result, library::now, paths::absolute};

/// What was removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Removed {
    /// How many songs were forgotten.
    pub songs: usize,
    /// The audio files that were deleted.
    pub deleted_files: Vec<PathBuf>,
    /// The audio files that could not be deleted, and why.
    pub failed_files: Vec<(PathBuf, String)>,
    /// The files that songs name and that were left alone, and why.
    pub left_files: Vec<(PathBuf, String)>,
}

/// The files that songs name and that are on this machine.
#[derive(Clone, Debug, Default)]
pub struct AudioFiles {
    /// Those that hold the song that names them.
    pub own: Vec<PathBuf>,
    /// Those of which that is not sure, and why.
    pub others: Vec<(PathBuf, String)>,
}

/// Changes of one page.
const PAGE: usize = 1_000;

impl Removed {
    fn delete(&mut self, files: Vec<PathBuf>) {
        for path in files {
            match std::fs::remove_file(&path) {
                Ok(()) => self.deleted_files.push(path),
                Err(error) => self.failed_files.push((path, error.to_string())),
            }
        }
    }
}

/// Whether the files of each of `songs` are gone from this machine: it has
/// seen one of them, none is where it should be, and the library keeps no
/// copy. A song that other machines alone have files of is not missing, nor
/// one that never had a file.
///
/// # Errors
///
/// When this machine's own state cannot be read.
pub fn are_missing(library: &Library, songs: &[Song]) -> Result<Vec<bool>> {
    let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
    let seen = crate::scan::known_files(library)?.of_songs(&ids)?;
    let seen: HashSet<SongId> = seen.into_iter().map(|(song, _)| song).collect();
    let is_gone = |file: &SongFile| !library.file_path(&file.path).exists();
    let is_missing = |song: &Song| {
        seen.contains(&song.id)
            && song.blob.is_none()
            && !song.files.is_empty()
            && song.files.iter().all(is_gone)
    };
    Ok(songs.iter().map(is_missing).collect())
}

/// The audio files of `songs` on this machine. Each is read: under a path
/// that another machine named there may be another song here, and what is
/// deleted must be what was meant. What a song says of its file proves
/// nothing; what counts is the audio that is in it, or that this machine
/// itself has seen the song in these very bytes.
///
/// # Errors
///
/// When this machine's own state cannot be read.
pub fn audio_files(library: &Library, songs: &[Song]) -> Result<AudioFiles> {
    let known = crate::scan::known_files(library)?;
    let opening = library.models.decoding().opening()?;
    let mut files = AudioFiles::default();
    for song in songs {
        for file in &song.files {
            let path = library.file_path(&file.path);
            if !path.is_file() {
                continue;
            }
            match not_of(song, file, &path, &known, &opening)? {
                None => files.own.push(path),
                Some(why) => files.others.push((path, why)),
            }
        }
    }
    Ok(files)
}

/// Forgets songs. Their audio files stay, unless `delete_audio` says that
/// they go too: then after their songs, so that no song is left without
/// its audio.
///
/// # Errors
///
/// The backend's own; a file that cannot be deleted is reported instead.
pub async fn remove(library: &Library, songs: &[Song], delete_audio: bool) -> Result<Removed> {
    let files = if delete_audio { audio_files(library, songs)? } else { AudioFiles::default() };
    let batch = library.backend.capabilities().batch.max(1);
    let mut removed = Removed { left_files: files.others, ..Removed::default() };
    for songs in songs.chunks(batch) {
        let deletes: Vec<DeleteSong> = songs
            .iter()
            .map(|song| DeleteSong {
                id: song.id,
                version: None,
                operation: OperationId::random(),
                at: now(),
                origin: None,
                leaving: None,
            })
            .collect();
        let outcomes = library.backend.songs().delete(&deletes).await?;
        removed.songs += outcomes.iter().filter(|outcome| outcome.is_done()).count();
    }
    removed.delete(files.own);
    Ok(removed)
}

/// Deletes the audio files of songs that are forgotten already, which an
/// interrupted [`remove`] left.
///
/// # Errors
///
/// When this machine's own state cannot be read.
pub fn delete_audio_of(library: &Library, forgotten: &[Song], removed: &mut Removed) -> Result<()> {
    let files = audio_files(library, forgotten)?;
    removed.left_files.extend(files.others);
    removed.delete(files.own);
    Ok(())
}

/// The songs in the trash that `names` mean: by id, the beginning of one,
/// the path of a file, or the title; nothing for the others. Looks at all
/// that ever changed.
///
/// # Errors
///
/// The backend's own.
pub async fn forgotten(library: &Library, names: &[String]) -> Result<Vec<Option<Song>>> {
    let mut found: Vec<Option<Song>> = vec![None; names.len()];
    let mut cursor = None;
    loop {
        let page = library.backend.maintenance().changes(cursor.as_ref(), PAGE).await?;
        for change in page.changes {
            match change.state {
                ChangeState::Deleted(tombstone) => {
                    for (name, found) in names.iter().zip(&mut found) {
                        if is_named(library, &tombstone.song, name) {
                            *found = Some(tombstone.song.clone());
                        }
                    }
                }
                // It came back.
                ChangeState::Present(_) => {
                    for found in &mut found {
                        found.take_if(|song| song.id == change.song);
                    }
                }
            }
        }
        cursor = Some(page.cursor);
        if !page.more {
            return Ok(found);
        }
    }
}

fn is_named(library: &Library, song: &Song, name: &str) -> bool {
    let id = song.id.to_string();
    let path = absolute(Path::new(name));
    let has_path = |file: &SongFile| file.path == name || library.file_path(&file.path) == path;
    id == name
        || (name.len() >= 4 && id.starts_with(name))
        || song.files.iter().any(has_path)
        || SongSummary::of(song).title.eq_ignore_ascii_case(name.trim())
}

// Why the file at `path` may not be of `song`, if it may not.
fn not_of(
    song: &Song,
    file: &SongFile,
    path: &Path,
    known: &KnownFiles,
    opening: &Opening,
) -> Result<Option<String>> {
    let identity = match songrec_audio::identify_by(path, opening) {
        Ok(identity) => identity,
        Err(error) => return Ok(Some(format!("it cannot be read: {}", error.reason()))),
    };
    if identity.song() == song.id {
        return Ok(None);
    }
    // An older version may have made another id of the same bytes.
    let seen = known.get(&[encode_path(path)])?.pop().flatten();
    let was_seen = seen.is_some_and(|seen| {
        matches!(seen.outcome, KnownOutcome::Song(id, _) if id == song.id)
            && seen.size == identity.size
    });
    if was_seen && identity.sha256 == file.sha256 {
        return Ok(None);
    }
    Ok(Some(format!("it holds other audio, that of song `{}`", identity.song().short())))
}
