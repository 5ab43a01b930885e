//! A catalog that may only be read.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use crate::{error::Result, files::Stamp};

/// A connection that writes nothing, not even the files beside the catalog.
///
/// While another process has the catalog open there is a file for the locks of its
/// readers, which is used; and then its log is read too. Otherwise it is what
/// its own file says, unless there is a log that a dead process left, which
/// cannot be read without writing: then this fails.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let has_log = Stamp::at(&beside(path, "-wal")).ok().flatten().is_some_and(|log| log.size > 0);
    let connection = if has_log || beside(path, "-shm").exists() {
        let shared = Connection::open_with_flags(path, flags)
            .and_then(|connection| prepare(&connection).map(|()| connection));
        match shared {
            Err(_) if !has_log => alone(path, flags)?,
            shared => shared?,
        }
    } else {
        alone(path, flags)?
    };
    super::prepare_once(&connection)?;
    Ok(connection)
}

/// When the catalog and its log were last written.
pub(super) fn state(path: &Path) -> [Option<Stamp>; 2] {
    [path.to_owned(), beside(path, "-wal")].map(|path| Stamp::at(&path).ok().flatten())
}

// Nobody else has it open, and nothing is locked.
fn alone(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => {
                let _ = write!(uri, "%{byte:02x}");
            }
        }
    }
    let connection =
        Connection::open_with_flags(uri + "?immutable=1", flags | OpenFlags::SQLITE_OPEN_URI)?;
    prepare(&connection)?;
    Ok(connection)
}

// Fails where the catalog cannot be read.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -4 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map(|_: i64| ())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
