//! Whether a library can be written, and why not.

use std::path::Path;

use crate::{
    error::{Fault, Refusal},
    files::{Folder, Layout},
};

/// Less free space than this is none: every change writes more.
const LEAST: u64 = 64 << 10;

/// Why this user may not write to a library, if so. The paths that a write
/// changes first are checked, so that nothing has to be written to find out.
pub(crate) fn refusal_of(layout: &Layout) -> Option<Refusal> {
    let root = layout.root();
    let paths = [root.to_owned(), layout.folder(Folder::Songs), layout.lock(), layout.catalog()];
    paths.into_iter().find(|path| !may_write(path)).map(Refusal::Denied)
}

/// Whether an operation failed because the disk of `root` has no room. SQLite
/// does not always report it as such.
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

/// The same fault, or that the disk of `root` is full where that is the reason.
pub(crate) fn or_full(fault: Fault, root: &Path) -> Fault {
    match fault {
        Fault::Catalog(_) if is_for_want_of_room(&fault, root) && !fault.is_full() => {
            Fault::io("write to the catalog in", root)(std::io::ErrorKind::StorageFull.into())
        }
        other => other,
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
