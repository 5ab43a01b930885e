//! Where the documents are kept: memory alone, or SQLite in a folder as well.
//!
//! Collections answer from memory; the store is written through, one
//! transaction for each step that is atomic, and read once, on start.

use std::path::Path as FilePath;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::document::Document;
use crate::error::{ApiError, Code, Result};
use crate::id::Key;

/// A row to write or to remove.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Put(&'a Document),
    Remove(&'a Key),
}

/// The place that outlives the process, if there is one.
#[derive(Debug)]
pub(crate) enum Store {
    Memory,
    Sqlite(Mutex<Connection>),
}

/// One collection as it was found on start.
#[derive(Debug)]
pub(crate) struct StoredCollection {
    pub(crate) id: i64,
    pub(crate) keyspace: String,
    pub(crate) name: String,
    pub(crate) options: String,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("could not make the folder `{0}`")]
    Folder(String, #[source] std::io::Error),
    /// Another emulator has the folder.
    #[error("`{0}` is in use by another emulator")]
    InUse(String),
    /// The disk is full.
    #[error("the disk that holds `{0}` is full")]
    Full(String),
    /// The file is not a database of an emulator, or one that is damaged.
    #[error("`{0}` is damaged, or is not the data of an emulator")]
    Unreadable(String, #[source] rusqlite::Error),
    /// The database cannot be opened.
    #[error("could not open `{0}`")]
    Database(String, #[source] rusqlite::Error),
    /// It was written by a later version.
    #[error("`{0}` was written by a later version (format {1}, this one reads {FORMAT})")]
    Format(String, i64),
    /// What is stored does not read back.
    #[error("`{0}` is damaged: {1}")]
    Damaged(String, String),
}

impl OpenError {
    fn of(place: &str, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;

        let place = place.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse(place),
            Some(ErrorCode::DiskFull) => Self::Full(place),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Unreadable(place, error)
            }
            _ => Self::Database(place, error),
        }
    }
}

const FORMAT: i64 = 1;
/// Enough for a server that is just ending.
const PATIENCE: Duration = Duration::from_millis(500);
const FILE: &str = "emulator.sqlite";

const SCHEMA: &str = "
    CREATE TABLE keyspaces (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        keyspace TEXT NOT NULL REFERENCES keyspaces ON DELETE CASCADE,
        name TEXT NOT NULL,
        options TEXT NOT NULL,
        UNIQUE (keyspace, name)
    );
    CREATE TABLE documents (
        collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
        kind INTEGER NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (collection, kind, id)
    );
";

impl Store {
    pub(crate) fn open(folder: &FilePath) -> std::result::Result<Self, OpenError> {
        let file = folder.join(FILE);
        let place = file.display().to_string();
        std::fs::create_dir_all(folder)
            .map_err(|error| OpenError::Folder(folder.display().to_string(), error))?;
        let fail = |error| OpenError::of(&place, error);
        let connection = Connection::open(&file).map_err(fail)?;
        connection.busy_timeout(PATIENCE).map_err(fail)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
        // A crash of the machine may lose the last writes, a crash of the
        // process none: good enough for a test server, and ten times faster.
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(fail)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        // Two servers with a copy of the data each would overwrite one another.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(fail)?;
        let format: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail)?;
        match format {
            0 => {
                let script =
                    format!("BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version = {FORMAT};COMMIT;");
                connection.execute_batch(&script).map_err(fail)?;
            }
            // A write takes the exclusive lock, and finds out whether it is free.
            FORMAT => connection
                .execute_batch(&format!("BEGIN IMMEDIATE;PRAGMA user_version = {FORMAT};COMMIT;"))
                .map_err(fail)?,
            later => return Err(OpenError::Format(place, later)),
        }
        Ok(Self::Sqlite(Mutex::new(connection)))
    }

    fn connection(&self) -> Option<MutexGuard<'_, Connection>> {
        match self {
            Self::Memory => None,
            // A panic between two statements leaves a transaction that rolls back.
            Self::Sqlite(connection) => {
                Some(connection.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    pub(crate) fn keyspaces(&self) -> Result<Vec<String>> {
        let Some(connection) = self.connection() else { return Ok(Vec::new()) };
        let mut statement = connection.prepare("SELECT name FROM keyspaces").map_err(failed)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    pub(crate) fn collections(&self) -> Result<Vec<StoredCollection>> {
        let Some(connection) = self.connection() else { return Ok(Vec::new()) };
        let mut statement = connection
            .prepare("SELECT id, keyspace, name, options FROM collections")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                Ok(StoredCollection {
                    id: row.get(0)?,
                    keyspace: row.get(1)?,
                    name: row.get(2)?,
                    options: row.get(3)?,
                })
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Gives the documents of a collection, one at a time.
    pub(crate) fn documents(
        &self,
        collection: i64,
        mut visit: impl FnMut(String) -> Result<()>,
    ) -> Result<()> {
        let Some(connection) = self.connection() else { return Ok(()) };
        let mut statement = connection
            .prepare("SELECT body FROM documents WHERE collection = ?1")
            .map_err(failed)?;
        let mut rows = statement.query([collection]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            visit(row.get(0).map_err(failed)?)?;
        }
        Ok(())
    }

    pub(crate) fn create_keyspace(&self, name: &str) -> Result<()> {
        self.run("INSERT OR IGNORE INTO keyspaces (name) VALUES (?1)", params![name])
    }

    pub(crate) fn drop_keyspace(&self, name: &str) -> Result<()> {
        self.run("DELETE FROM keyspaces WHERE name = ?1", params![name])
    }

    /// The number under which the documents of the new collection are stored.
    pub(crate) fn create_collection(
        &self,
        keyspace: &str,
        name: &str,
        options: &str,
    ) -> Result<i64> {
        let Some(connection) = self.connection() else { return Ok(0) };
        connection
            .query_row(
                "INSERT INTO collections (keyspace, name, options) VALUES (?1, ?2, ?3) RETURNING id",
                params![keyspace, name, options],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)
            .map(Option::unwrap_or_default)
    }

    pub(crate) fn drop_collection(&self, collection: i64) -> Result<()> {
        self.run("DELETE FROM collections WHERE id = ?1", params![collection])
    }

    pub(crate) fn truncate(&self, collection: i64) -> Result<()> {
        self.run("DELETE FROM documents WHERE collection = ?1", params![collection])
    }

    /// Makes all the changes or none.
    pub(crate) fn write(&self, collection: i64, changes: &[Change<'_>]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let Some(mut connection) = self.connection() else { return Ok(()) };
        let transaction = connection.transaction().map_err(failed)?;
        for change in changes {
            match change {
                Change::Put(document) => {
                    let mut statement = transaction
                        .prepare_cached(
                            "INSERT INTO documents (collection, kind, id, body) VALUES (?1, ?2, ?3, ?4)
                             ON CONFLICT DO UPDATE SET body = excluded.body",
                        )
                        .map_err(failed)?;
                    let key = &document.key;
                    statement
                        .execute(params![
                            collection,
                            key.kind() as i64,
                            key.text(),
                            document.to_json()
                        ])
                        .map_err(failed)?;
                }
                Change::Remove(key) => {
                    let mut statement = transaction
                        .prepare_cached(
                            "DELETE FROM documents WHERE collection = ?1 AND kind = ?2 AND id = ?3",
                        )
                        .map_err(failed)?;
                    statement
                        .execute(params![collection, key.kind() as i64, key.text()])
                        .map_err(failed)?;
                }
            }
        }
        transaction.commit().map_err(failed)
    }

    fn run(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<()> {
        match self.connection() {
            None => Ok(()),
            Some(connection) => connection.execute(sql, parameters).map(|_| ()).map_err(failed),
        }
    }
}

fn failed(error: rusqlite::Error) -> ApiError {
    use rusqlite::ErrorCode;

    tracing::error!(%error, "the data folder failed");
    let problem = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "its disk is full; nothing of this request is stored",
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "its file is damaged; start again with an empty folder, or restore a copy"
        }
        Some(ErrorCode::ReadOnly) => "its file may only be read",
        Some(ErrorCode::SystemIoFailure) => "the disk failed",
        _ => "the database failed",
    };
    ApiError::new(
        Code::Internal,
        format!("the emulator could not use its data folder: {problem} ({error})"),
    )
}
