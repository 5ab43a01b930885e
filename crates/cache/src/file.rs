//! Files that other processes may remove or replace at any time.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

/// Opens `path` for reading and writing, and creates it, with its folder, if
/// it is not there.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            open()
        }
        opened => opened,
    }
}

/// Whether `file` is still what `path` names: a lock on a file that was
/// removed or renamed keeps nobody out.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let Some(named) = present(fs::metadata(path))? else { return Ok(false) };
    let own = file.metadata()?;
    Ok((own.dev(), own.ino()) == (named.dev(), named.ino()))
}

/// Whether `path` is there. A file that is open and locked is not replaced by
/// another one here.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// What is gone is no error: the cache may be deleted at any time.
pub(crate) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
