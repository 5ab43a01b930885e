//! A file of the cache that is being written.

use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;

use super::Folder;

/// A file that is being written, and hashed on the way.
///
/// Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    folder: Folder,
    // Locked for as long as it is written. Gone once it is finished.
    file: Option<File>,
    path: Box<Path>,
    target: Box<Path>,
    size: u64,
    written: u64,
    hasher: Sha256,
}

impl Draft {
    /// A draft in `file`, which is at `path` and locked, for `target`.
    pub(crate) fn new(folder: Folder, file: File, path: PathBuf, target: PathBuf) -> Self {
        let hasher = Sha256::new();
        let (path, target) = (path.into(), target.into());
        Self { folder, file: Some(file), path, target, size: 0, written: 0, hasher }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Makes the file as large as it will be.
    pub(crate) fn take_room(&mut self, size: u64) -> io::Result<()> {
        let file = self.file.as_ref().expect("it is not finished");
        file.set_len(0)?;
        // At once, so that a concurrent count of the files is right.
        file.set_len(size)?;
        self.size = size;
        Ok(())
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    ///
    /// If they are more than there was to be room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        if self.written > self.size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than expected"));
        }
        self.hasher.update(bytes);
        self.file.as_mut().expect("it is not finished").write_all(bytes)
    }

    /// The file at its beginning, and for everybody, if its bytes are those
    /// that have this digest.
    pub(crate) fn finish(mut self, digest: &Digest) -> io::Result<Option<File>> {
        let hash: [u8; 32] = std::mem::take(&mut self.hasher).finalize().into();
        if self.written != self.size || hash != digest.0 {
            return Ok(None);
        }
        if let Some(shard) = self.target.parent() {
            fs::create_dir_all(shard)?;
        }
        let mut file = self.file.as_ref().expect("it is not finished").try_clone()?;
        file.rewind()?;
        // If the folder was deleted meanwhile, the bytes are still good for
        // the caller that asked for them.
        if fs::rename(&self.path, &self.target).is_ok() {
            self.file = None;
        }
        // The lock is of the open file, which both handles share.
        let _ = file.unlock();
        Ok(Some(file))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.is_none() {
            return;
        }
        // What cannot be removed is removed, and what cannot be counted is
        // counted, when room is made the next time.
        if self.size == 0 {
            let _ = fs::remove_file(&self.path);
            return;
        }
        let usage = self.folder.usage();
        let removed = fs::remove_file(&self.path).is_ok();
        if let (Ok(mut usage), true) = (usage, removed) {
            let bytes = usage.bytes().saturating_sub(self.size);
            let _ = usage.set(bytes);
        }
    }
}
