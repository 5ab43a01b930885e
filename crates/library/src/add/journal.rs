//! Which songs are being added, for who comes after a process that ended.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use songrec_core::{OperationId, SongId};

use crate::{Error, Library, Result};

/// Songs with the operations that add them.
pub(super) type Added = Vec<(SongId, OperationId)>;

/// What an [`add_all`](super::add_all) at work has on disk: a line for each song,
/// with its id and the operation that adds it. Whoever is at work holds the file's
/// lock, which the system lets go when the process ends.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    // Open for its lock.
    file: File,
}

impl Journal {
    /// Notes on disk what is going to be added.
    pub(super) fn begin(library: &Library, added: &[(SongId, OperationId)]) -> Result<Self> {
        let folder = folder(library);
        fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        let path = folder.join(format!("{}.txt", OperationId::random()));
        let new = path.with_extension("new");
        let file = write(&new, &path, added).map_err(|error| {
            let _ = fs::remove_file(&new);
            Error::io("write", &path, error)
        })?;
        Ok(Self { path, file })
    }

    /// The journals of processes that are no longer there, each with what it says.
    pub(super) fn left(library: &Library) -> Result<Vec<(Self, Added)>> {
        let folder = folder(library);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| Error::io("read", &folder, error))?,
        };
        let mut left = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| Error::io("read", &folder, error))?.path();
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let failed = |error| Error::io("read", &path, error);
            let Ok(file) = File::options().read(true).write(true).open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            let added = read(&file).map_err(failed)?;
            left.push((Self { path, file }, added));
        }
        Ok(left)
    }

    /// Forgets it, for good: everything was added, or taken back.
    pub(super) fn empty(&self) -> Result<()> {
        // A journal that a power cut brings back must name no song that is here to stay.
        let emptied = self.file.set_len(0).and_then(|()| self.file.sync_all());
        emptied.map_err(|error| Error::io("empty", &self.path, error))?;
        let _ = fs::remove_file(&self.path);
        Ok(())
    }
}

fn folder(library: &Library) -> PathBuf {
    library.state_folder().join("adding")
}

// Locked before it has its name, so that nobody takes it for one that was left.
fn write(new: &Path, path: &Path, added: &[(SongId, OperationId)]) -> std::io::Result<File> {
    let file = File::create(new)?;
    file.lock()?;
    let mut lines = std::io::BufWriter::new(&file);
    for (song, operation) in added {
        writeln!(lines, "{song} {operation}")?;
    }
    lines.flush()?;
    drop(lines);
    file.sync_all()?;
    fs::rename(new, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

// It has its name only when it is whole.
fn read(file: &File) -> std::io::Result<Added> {
    let mut added = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        let pair = line
            .split_once(' ')
            .and_then(|(song, operation)| Some((song.parse().ok()?, operation.parse().ok()?)));
        added.extend(pair);
    }
    Ok(added)
}
