//! Forgetting songs.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_core::{OperationId, Song, SongFile, SongId};
use songrec_storage::DeleteSong;

use crate::{Library, Result, library::now};

/// What was removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Removed {
    /// How many songs were forgotten.
    pub songs: usize,
    /// The audio files that were deleted.
    pub deleted_files: Vec<PathBuf>,
    /// The audio files that could not be deleted, and why.
    pub failed_files: Vec<(PathBuf, String)>,
}

impl Library {
    /// Whether the files of each of `songs` are gone from this machine: it has
    /// seen one of them, none is where it should be, and the library keeps no
    /// copy. A song that other machines alone have files of is not missing, nor
    /// one that never had a file.
    ///
    /// # Errors
    ///
    /// When this machine's own state cannot be read.
    pub fn are_missing(&self, songs: &[Song]) -> Result<Vec<bool>> {
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let seen = self.known_files()?.of_songs(&ids)?;
        let seen: HashSet<SongId> = seen.into_iter().map(|(song, _)| song).collect();
        let is_gone = |file: &SongFile| !self.file_path(&file.path).exists();
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
    /// deleted must be what was meant.
    pub fn audio_files(&self, songs: &[Song]) -> Vec<PathBuf> {
        let files = songs.iter().flat_map(|song| song.files.iter().map(move |file| (song, file)));
        files
            .map(|(song, file)| (song, file, self.file_path(&file.path)))
            .filter(|(song, file, path)| is_of(song, file, path))
            .map(|(_, _, path)| path)
            .collect()
    }

    /// Forgets songs. Their audio files stay, unless `delete_audio` says that
    /// they go too: then after their songs, so that no song is left without
    /// its audio.
    ///
    /// # Errors
    ///
    /// The backend's own; a file that cannot be deleted is reported instead.
    pub async fn remove(&self, songs: &[Song], delete_audio: bool) -> Result<Removed> {
        let files = if delete_audio { self.audio_files(songs) } else { Vec::new() };
        let batch = self.backend.capabilities().batch.max(1);
        let mut removed = Removed::default();
        for songs in songs.chunks(batch) {
            let deletes: Vec<DeleteSong> = songs
                .iter()
                .map(|song| DeleteSong {
                    id: song.id,
                    version: None,
                    operation: OperationId::random(),
                    at: now(),
                    origin: None,
                })
                .collect();
            let outcomes = self.backend.delete_songs(&deletes).await?;
            removed.songs += outcomes.iter().filter(|outcome| outcome.is_done()).count();
        }
        for path in files {
            match std::fs::remove_file(&path) {
                Ok(()) => removed.deleted_files.push(path),
                Err(error) => removed.failed_files.push((path, error.to_string())),
            }
        }
        Ok(removed)
    }
}

// Whether the file at `path` holds the audio of `song`, with the tags that it
// had when it was scanned or with others.
fn is_of(song: &Song, file: &SongFile, path: &Path) -> bool {
    path.is_file()
        && songrec_audio::identify(path).is_ok_and(|identity| {
            identity.sha256 == file.sha256 || identity.audio_hash == song.audio_hash
        })
}
