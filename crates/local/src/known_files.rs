//! Which files this machine has looked at, so that it need not look again.
//!
//! True of one machine only and derived: without it a scan reads every file
//! once more and comes to the same library.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, params};
use songrec_core::SongId;

/// A file as it was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// The absolute path, as [`encode_path`](songrec_core::encode_path) writes
    /// it.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// When it was last modified, in nanoseconds since 1970.
    pub modified: i64,
    /// What it turned out to be.
    pub outcome: KnownOutcome,
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownOutcome {
    /// A recording of this song.
    Song(SongId),
    /// Nothing that could be read, for this reason.
    Failed(String),
}

/// The files that one machine knows of one library.
#[derive(Debug)]
pub struct KnownFiles {
    connection: Mutex<Connection>,
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS files (
        path TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        song BLOB,
        reason TEXT,
        seen INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS failed ON files (path) WHERE reason IS NOT NULL;
    CREATE TABLE IF NOT EXISTS scans (number INTEGER PRIMARY KEY AUTOINCREMENT);
";

impl KnownFiles {
    /// Opens the file at `path`, or begins a new one there. A damaged one is
    /// replaced: it can be learnt again.
    ///
    /// # Errors
    ///
    /// When neither can be done.
    pub fn open(path: &Path) -> Result<Self, KnownFilesError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let connection = match connect(path) {
            Err(error) if is_damage(&error) => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    match std::fs::remove_file(&name) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(error.into());
                        }
                        _ => {}
                    }
                }
                connect(path)?
            }
            opened => opened?,
        };
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // SQLite rolls back what a panic left open.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a scan; its number is higher than every number before.
    pub fn begin_scan(&self) -> Result<i64, KnownFilesError> {
        let connection = self.connection();
        connection.execute("INSERT INTO scans DEFAULT VALUES", [])?;
        let number = connection.last_insert_rowid();
        connection.execute("DELETE FROM scans WHERE number < ?1", [number])?;
        Ok(number)
    }

    /// What is known of the files at these paths.
    pub fn get(&self, paths: &[String]) -> Result<Vec<Option<KnownFile>>, KnownFilesError> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT path, size, modified, song, reason FROM files WHERE path = ?1",
        )?;
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            found.push(select.query_row([path], read_row).optional()?);
        }
        Ok(found)
    }

    /// Takes note of files, all seen by this scan.
    pub fn put(&self, files: &[KnownFile], scan: i64) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO files (path, size, modified, song, reason, seen)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for file in files {
                let (song, reason) = match &file.outcome {
                    KnownOutcome::Song(id) => (Some(id.as_bytes().as_slice()), None),
                    KnownOutcome::Failed(reason) => (None, Some(reason)),
                };
                let size = i64::try_from(file.size).unwrap_or(i64::MAX);
                insert.execute(params![file.path, size, file.modified, song, reason, scan])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Takes note that these files are still there, unchanged.
    pub fn mark_seen(&self, paths: &[String], scan: i64) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        {
            let mut update =
                transaction.prepare_cached("UPDATE files SET seen = ?2 WHERE path = ?1")?;
            for path in paths {
                update.execute(params![path, scan])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Up to `limit` files below `folder` that this scan has not seen, by
    /// path, after `after`.
    pub fn unseen(
        &self,
        folder: &str,
        scan: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<KnownFile>, KnownFilesError> {
        let low = format!("{}/", folder.trim_end_matches('/'));
        // The character after `/` bounds what begins with the folder.
        let high = format!("{}0", folder.trim_end_matches('/'));
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT path, size, modified, song, reason FROM files
             WHERE path >= ?1 AND path < ?2 AND path > ?3 AND seen < ?4 ORDER BY path LIMIT ?5",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![low, high, after, scan, limit], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every file that could not be read, by path.
    pub fn failed(&self) -> Result<Vec<KnownFile>, KnownFilesError> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT path, size, modified, song, reason FROM files
             WHERE reason IS NOT NULL ORDER BY path",
        )?;
        let rows = select.query_map([], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets files, so that the next scan looks at them again.
    pub fn forget(&self, paths: &[String]) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        {
            let mut delete = transaction.prepare_cached("DELETE FROM files WHERE path = ?1")?;
            for path in paths {
                delete.execute([path])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
    )
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<KnownFile> {
    let song: Option<[u8; 16]> = row.get(3)?;
    let reason: Option<String> = row.get(4)?;
    let outcome = match song {
        Some(bytes) => KnownOutcome::Song(SongId::from_bytes(bytes)),
        None => KnownOutcome::Failed(reason.unwrap_or_default()),
    };
    let size: i64 = row.get(1)?;
    Ok(KnownFile { path: row.get(0)?, size: size.unsigned_abs(), modified: row.get(2)?, outcome })
}

/// The files that are known could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KnownFilesError {
    /// The database said so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The file system said so.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, outcome: KnownOutcome) -> KnownFile {
        KnownFile { path: path.to_owned(), size: 1, modified: 2, outcome }
    }

    fn song() -> KnownOutcome {
        KnownOutcome::Song(SongId::from_bytes([7; 16]))
    }

    #[test]
    fn what_was_seen_is_known_after_opening_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state/known.sqlite");
        let bad = file("/m/b", KnownOutcome::Failed("not audio".into()));
        {
            let known = KnownFiles::open(&path).unwrap();
            let scan = known.begin_scan().unwrap();
            known.put(&[file("/m/a", song()), bad.clone()], scan).unwrap();
        }

        let known = KnownFiles::open(&path).unwrap();

        let found = known.get(&["/m/a".into(), "/m/c".into()]).unwrap();
        assert_eq!(found, [Some(file("/m/a", song())), None]);
        assert_eq!(known.failed().unwrap(), [bad]);
    }

    #[test]
    fn unseen_files_are_those_below_the_folder_that_a_later_scan_missed() {
        let root = tempfile::tempdir().unwrap();
        let known = KnownFiles::open(&root.path().join("known.sqlite")).unwrap();
        let first = known.begin_scan().unwrap();
        let paths = ["/m/a", "/m/b", "/m/d/c", "/m2/x", "/m.txt"];
        known.put(&paths.map(|path| file(path, song())), first).unwrap();
        let second = known.begin_scan().unwrap();
        known.mark_seen(&["/m/a".into()], second).unwrap();

        let unseen = |after: &str, limit| -> Vec<String> {
            let files = known.unseen("/m", second, after, limit).unwrap();
            files.into_iter().map(|file| file.path).collect()
        };

        assert_eq!(unseen("", 10), ["/m/b", "/m/d/c"]);
        assert_eq!(unseen("/m/b", 1), ["/m/d/c"]);
    }

    #[test]
    fn a_damaged_file_is_learnt_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("known.sqlite");
        std::fs::write(&path, "this is not a database, and long enough to be looked at").unwrap();

        let known = KnownFiles::open(&path).unwrap();

        assert_eq!(known.failed().unwrap(), []);
    }
}
