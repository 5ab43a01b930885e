//! Forgetting songs.

use std::path::PathBuf;

use serde::Serialize;
use songrec_core::{OperationId, Song};
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
    /// The audio files of `songs` on this machine.
    pub fn audio_files(&self, songs: &[Song]) -> Vec<PathBuf> {
        let paths =
            songs.iter().flat_map(|song| &song.files).map(|file| self.file_path(&file.path));
        paths.filter(|path| path.is_file()).collect()
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
