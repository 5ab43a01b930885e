//! The one place where files of the library are written and removed.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::file_system::FileSystem;

/// What the library does to a file system, one step at a time.
///
/// A seam: tests put a disk here that dies before or after any step.
pub(crate) trait Disk: fmt::Debug + Send + Sync + 'static {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Makes a new file of these bytes that survives a power cut, though its
    /// name may not.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<Stamp>;
    /// Makes the bytes of a file survive a power cut.
    fn sync(&self, path: &Path) -> io::Result<Stamp>;
    /// Replaces what is at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Nothing happens if it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a new file of these bytes, which a power cut may take or spoil
    /// until [`sync_file_system`](Self::sync_file_system).
    fn write_unsynced(&self, path: &Path, bytes: &[u8]) -> io::Result<Stamp>;
    /// The file system that holds `folder`, opened, where it is to be synced in
    /// place of each of `count` files or folders; nothing where that cannot be, or
    /// costs more.
    fn file_system_of(&self, folder: &Path, count: usize) -> Option<FileSystem>;
    /// Makes everything on a file system survive a power cut. What it could not
    /// keep since it was opened is an error.
    fn sync_file_system(&self, system: &FileSystem) -> io::Result<()>;
    /// Runs a step that is not a file of ours: a transaction, a change of an
    /// index.
    fn step(&self, run: &mut dyn FnMut()) -> io::Result<()>;
    /// How many steps to do at once, where their order does not matter.
    fn width(&self) -> usize;
}

/// When a file was last written, and how long it is: it has changed if these
/// have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Nanoseconds since 1970.
    pub(crate) mtime: i64,
    pub(crate) size: i64,
}

impl Stamp {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        let mtime = metadata.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        });
        Self { mtime, size: i64::try_from(metadata.len()).unwrap_or(i64::MAX) }
    }

    /// Of the file or folder at `path`; nothing if there is none.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The disk of the machine.
#[derive(Debug)]
pub(crate) struct RealDisk;

/// From how many files or folders on the whole file system is synced instead.
///
/// That waits for what other programs have written as well, perhaps gigabytes of a
/// download, so it has to save something. So many syncs of files are three rounds of
/// those that wait together ([`Disk::width`]); below, a song that is added or a scan
/// that stores what it has waits for nobody else.
const MANY: usize = 48;

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
        let mut file = fs::File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(Stamp::of(&file.metadata()?))
    }

    fn write_unsynced(&self, path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
        let mut file = fs::File::create_new(path)?;
        file.write_all(bytes)?;
        Ok(Stamp::of(&file.metadata()?))
    }

    fn file_system_of(&self, folder: &Path, count: usize) -> Option<FileSystem> {
        if count < MANY {
            return None;
        }
        FileSystem::of(folder).ok().filter(FileSystem::can_be_synced)
    }

    fn sync_file_system(&self, system: &FileSystem) -> io::Result<()> {
        system.sync()
    }

    fn sync(&self, path: &Path) -> io::Result<Stamp> {
        let file = fs::File::options().write(true).open(path)?;
        file.sync_all()?;
        Ok(Stamp::of(&file.metadata()?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    // Elsewhere folders cannot be opened; their journal has to do.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn step(&self, run: &mut dyn FnMut()) -> io::Result<()> {
        run();
        Ok(())
    }

    // Syncs wait for the journal of the file system, and those that wait
    // together are answered by one write of it.
    fn width(&self) -> usize {
        16
    }
}

/// Bytes, and where they belong.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}
