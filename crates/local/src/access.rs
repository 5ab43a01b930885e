//! Whether a library can be written, and why not.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    error::Fault,
    layout::{Folder, Layout},
};

/// Less free space than this is none: every change writes more.
const LEAST: u64 = 64 << 10;

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This user may not, or the disk is only for reading.
    Denied(PathBuf),
    /// There is no room.
    Full,
}

impl Refusal {
    /// Why this user may not write to a library, if so. What is written first
    /// is looked at, so that nothing has to be written to find out.
    pub(crate) fn of(layout: &Layout) -> Option<Self> {
        let root = layout.root();
        let paths =
            [root.to_owned(), layout.folder(Folder::Songs), layout.lock(), layout.catalog()];
        paths.into_iter().find(|path| !may_write(path)).map(Self::Denied)
    }

    pub(crate) fn fault(&self) -> Fault {
        Fault::ReadOnly(self.clone())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(path) => {
                write!(f, "`{}` may only be read by this user", path.display())
            }
            Self::Full => f.write_str("the disk is full"),
        }
    }
}

/// Whether what went wrong did so because there is no room on the disk of
/// `root`. SQLite does not always say it.
pub(crate) fn is_for_want_of_room(fault: &Fault, root: &Path) -> bool {
    match fault {
        Fault::Catalog(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => true,
            Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::CannotOpen) => {
                is_full(root)
            }
            _ => false,
        },
        other => other.is_full(),
    }
}

#[cfg(unix)]
fn may_write(path: &Path) -> bool {
    use rustix::{
        fs::{Access, access},
        io::Errno,
    };
    // What is not there is made where its folder may be written to.
    matches!(access(path, Access::WRITE_OK), Ok(()) | Err(Errno::NOENT | Errno::NOTDIR))
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |metadata| !metadata.permissions().readonly())
}

#[cfg(unix)]
fn is_full(root: &Path) -> bool {
    rustix::fs::statvfs(root).is_ok_and(|disk| {
        disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST
            || disk.f_favail == 0 && disk.f_files > 0
    })
}

#[cfg(not(unix))]
fn is_full(_: &Path) -> bool {
    false
}
