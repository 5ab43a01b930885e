//! What is remembered of earlier syncs of two libraries.

mod staging;

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Serialize, de::DeserializeOwned};
use songrec_core::SongId;
use songrec_storage::Tombstone;

pub(crate) use staging::Staging;

use crate::{
    Error, Pair, Result,
    decide::{Had, Known, SongState},
};

/// What is remembered of earlier syncs of two libraries: how far each was
/// read, and what both agreed on.
///
/// One folder for each pair of libraries, on the machine that syncs them and
/// never inside a library. It makes syncs fast, and no more: what is true of a
/// song stands in the song. If it is lost, the next sync compares everything.
///
/// One process has it at a time, by a lock of the system that is let go when
/// the process ends, however it ends.
#[derive(Debug)]
pub struct SyncState {
    connection: Mutex<Connection>,
    location: String,
    folder: Option<PathBuf>,
    _lock: Option<File>,
}

/// The version of the schema.
const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- What both sides had when they last agreed. `deleted`: 0 no, 1 with tombstones
-- on both sides, 2 otherwise; `since`: when it was agreed on, in seconds.
CREATE TABLE known (
    song BLOB PRIMARY KEY, deleted INTEGER NOT NULL, since INTEGER NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX known_deleted ON known (since) WHERE deleted = 1;
-- Songs that the next sync has to look at, whatever the libraries tell.
CREATE TABLE postponed (
    song BLOB PRIMARY KEY, value TEXT NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
";

/// Drops what a file of version 1 remembered of songs and playlists. They carry
/// it themselves now, so the next sync compares all of them once.
const FORGET_BEFORE: &str = "
DROP TABLE base; DROP TABLE attempt; DROP TABLE postponed; DROP TABLE document;
DELETE FROM meta WHERE name IN ('cursor_left', 'cursor_right', 'full_at');
";

/// A value that is remembered under a name.
pub(crate) trait Meta: Serialize + DeserializeOwned {}
impl<T: Serialize + DeserializeOwned> Meta for T {}

/// A song that the next sync has to look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Postponed {
    /// What the change feeds listed of it, where that cannot be read again.
    pub(crate) states: Pair<SongState>,
    pub(crate) reason: String,
}

impl SyncState {
    /// Opens the state in `folder`, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// `Busy` if another process has it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let location = folder.display().to_string();
        let failed = |error: std::io::Error| Error::state(&location, error);
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let connection =
            Connection::open(folder.join("sync.db")).map_err(|e| Error::state(&location, e))?;
        Self::with(connection, location, Some(folder.to_owned()), Some(lock))
    }

    /// A state in memory, which is lost when it is dropped.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        let location = "memory".to_owned();
        let connection = Connection::open_in_memory().map_err(|e| Error::state(&location, e))?;
        Self::with(connection, location, None, None)
    }

    fn with(
        connection: Connection,
        location: String,
        folder: Option<PathBuf>,
        lock: Option<File>,
    ) -> Result<Self> {
        let state = Self { connection: Mutex::new(connection), location, folder, _lock: lock };
        state.prepare()?;
        Ok(state)
    }

    fn prepare(&self) -> Result<()> {
        let mut connection = self.connection();
        let failed = |error| Error::state(&self.location, error);
        // Each commit has to be on disk before a request is sent.
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        match version {
            VERSION => Ok(()),
            0 | 1 => {
                let transaction = connection.transaction().map_err(failed)?;
                if version == 1 {
                    transaction.execute_batch(FORGET_BEFORE).map_err(failed)?;
                }
                transaction.execute_batch(SCHEMA).map_err(failed)?;
                transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
                transaction.commit().map_err(failed)
            }
            newer => Err(Error::state(
                &self.location,
                format!("it has version {newer}, and this program knows version {VERSION}"),
            )),
        }
    }

    /// An independent copy, as a backup that is restored later.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    #[doc(hidden)]
    pub fn fork(&self) -> Result<Self> {
        let copy = Self::in_memory()?;
        {
            let from = self.connection();
            let to = copy.connection();
            let copied = copy_rows(&from, &to);
            copied.map_err(|fault| Error::state(&self.location, fault.0))?;
        }
        Ok(copy)
    }

    /// The tombstones that are remembered, agreed on or postponed, for tests.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    #[doc(hidden)]
    pub fn tombstones(&self) -> Result<Vec<Tombstone>> {
        let known = self.known_after(None, i32::MAX as usize)?.into_iter();
        let replicas = known.flat_map(|(_, Known(Pair { left, right }))| [left, right]);
        let agreed = replicas.flatten().filter_map(|had| had.tombstone);
        let postponed = self.postponed_after(None, i32::MAX as usize)?.into_iter();
        let states = postponed.flat_map(|(_, one)| [one.states.left, one.states.right]);
        let waiting = states.filter_map(|state| match state {
            SongState::Deleted(tombstone) => Some(tombstone),
            _ => None,
        });
        Ok(agreed.chain(waiting).map(|tombstone| *tombstone).collect())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // If a thread panicked, its transaction was rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// Changes the state in one transaction: all of it or nothing.
    pub(crate) fn change<T>(
        &self,
        work: impl FnOnce(&Changing<'_>) -> Result<T, Fault>,
    ) -> Result<T> {
        let mut connection = self.connection();
        let failed = |fault: Fault| Error::state(&self.location, fault.0);
        let transaction = connection.transaction().map_err(|e| failed(e.into()))?;
        let done = work(&Changing { transaction: &transaction }).map_err(failed)?;
        transaction.commit().map_err(|e| failed(e.into()))?;
        Ok(done)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        work(&self.connection()).map_err(|fault| Error::state(&self.location, fault.0))
    }

    pub(crate) fn meta<T: Meta>(&self, name: &str) -> Result<Option<T>> {
        self.read(|connection| {
            let text: Option<String> = connection
                .prepare_cached("SELECT value FROM meta WHERE name = ?")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            text.map(|text| Ok(serde_json::from_str(&text)?)).transpose()
        })
    }

    pub(crate) fn set_meta<T: Meta>(&self, name: &str, value: &T) -> Result<()> {
        self.change(|changing| changing.set_meta(name, value))
    }

    pub(crate) fn known(&self, songs: &[SongId]) -> Result<Vec<Option<Known>>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT value FROM known WHERE song = ?")?;
            songs
                .iter()
                .map(|song| {
                    let text: Option<String> =
                        statement.query_row([song.as_bytes()], |row| row.get(0)).optional()?;
                    text.map(|text| Ok(serde_json::from_str(&text)?)).transpose()
                })
                .collect()
        })
    }

    /// A page of songs after `after`, each with what is known of it.
    pub(crate) fn known_after(
        &self,
        after: Option<SongId>,
        limit: usize,
    ) -> Result<Vec<(SongId, Known)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(KNOWN_AFTER)?;
            let rows = statement.query_map(params![key(after.as_ref()), limit as i64], |row| {
                Ok((SongId::from_bytes(row.get(0)?), row.get::<_, String>(1)?))
            })?;
            rows.map(|row| {
                let (song, text) = row?;
                Ok((song, serde_json::from_str(&text)?))
            })
            .collect()
        })
    }

    /// Agreed deletions that were agreed on before `until`, the oldest first.
    pub(crate) fn deletions(&self, until: i64, limit: usize) -> Result<Vec<(SongId, Known)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT song, value FROM known WHERE deleted = 1 AND since <= ?1 \
                 ORDER BY since, song LIMIT ?2",
            )?;
            let rows = statement.query_map(params![until, limit as i64], |row| {
                Ok((SongId::from_bytes(row.get(0)?), row.get::<_, String>(1)?))
            })?;
            rows.map(|row| {
                let (song, text) = row?;
                Ok((song, serde_json::from_str(&text)?))
            })
            .collect()
        })
    }

    /// A page of postponed songs after `after`.
    pub(crate) fn postponed_after(
        &self,
        after: Option<SongId>,
        limit: usize,
    ) -> Result<BTreeMap<SongId, Postponed>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(POSTPONED_AFTER)?;
            let rows = statement.query_map(params![key(after.as_ref()), limit as i64], |row| {
                Ok((
                    SongId::from_bytes(row.get(0)?),
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })?;
            rows.map(|row| {
                let (song, states, reason) = row?;
                Ok((song, Postponed { states: serde_json::from_str(&states)?, reason }))
            })
            .collect()
        })
    }
}

fn copy_rows(from: &Connection, to: &Connection) -> Result<(), Fault> {
    for (table, columns) in [("meta", 2), ("known", 4), ("postponed", 3)] {
        let mut select = from.prepare(&format!("SELECT * FROM {table}"))?;
        let marks = vec!["?"; columns].join(", ");
        let mut insert = to.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<rusqlite::types::Value> =
                (0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            insert.execute(rusqlite::params_from_iter(values))?;
        }
    }
    Ok(())
}

/// An error of SQLite or of JSON in the file.
#[derive(Debug)]
pub(crate) struct Fault(Box<dyn std::error::Error + Send + Sync>);

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self(Box::new(error))
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self(Box::new(error))
    }
}

/// A change of the state: all of it happens, or nothing.
pub(crate) struct Changing<'a> {
    transaction: &'a Transaction<'a>,
}

impl Changing<'_> {
    pub(crate) fn set_meta<T: Meta>(&self, name: &str, value: &T) -> Result<(), Fault> {
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")?
            .execute(params![name, serde_json::to_string(value)?])?;
        Ok(())
    }

    /// Remembers what both sides have, and that nothing is left to do.
    pub(crate) fn agree(&self, song: SongId, known: &Known, now: i64) -> Result<(), Fault> {
        self.set_known(song, known, now)?;
        self.resolve(song)
    }

    /// Remembers what both sides have, or forgets the song if neither has it.
    pub(crate) fn set_known(&self, song: SongId, known: &Known, now: i64) -> Result<(), Fault> {
        let dead = |had: &Option<Had>| had.as_ref().is_some_and(|had| !had.is_alive());
        let deleted = match (&known.0.left, &known.0.right) {
            (None, None) => return self.forget(song),
            (left, right) if dead(left) && dead(right) => 1,
            (left, right) if dead(left) || dead(right) => 2,
            _ => 0,
        };
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO known (song, deleted, since, value) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![song.as_bytes(), deleted, now, serde_json::to_string(known)?])?;
        Ok(())
    }

    fn forget(&self, song: SongId) -> Result<(), Fault> {
        self.transaction
            .prepare_cached("DELETE FROM known WHERE song = ?")?
            .execute([song.as_bytes()])?;
        Ok(())
    }

    /// Takes a song off the list of postponed songs.
    pub(crate) fn resolve(&self, song: SongId) -> Result<(), Fault> {
        self.transaction
            .prepare_cached("DELETE FROM postponed WHERE song = ?")?
            .execute([song.as_bytes()])?;
        Ok(())
    }

    pub(crate) fn forget_everything(&self) -> Result<(), Fault> {
        self.transaction.execute_batch(
            "DELETE FROM known; DELETE FROM postponed; \
             DELETE FROM meta WHERE name <> 'machine';",
        )?;
        Ok(())
    }

    pub(crate) fn put_postponed(&self, song: SongId, postponed: &Postponed) -> Result<(), Fault> {
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO postponed (song, value, reason) VALUES (?, ?, ?)",
            )?
            .execute(params![
                song.as_bytes(),
                serde_json::to_string(&postponed.states)?,
                postponed.reason
            ])?;
        Ok(())
    }
}

// Pages begin where the one before ended, and cost the same everywhere.
const KNOWN_AFTER: &str = "SELECT song, value FROM known WHERE song > ?1 ORDER BY song LIMIT ?2";
const POSTPONED_AFTER: &str =
    "SELECT song, value, reason FROM postponed WHERE song > ?1 ORDER BY song LIMIT ?2";

// The key of `after`; the empty key comes before all songs.
fn key(after: Option<&SongId>) -> &[u8] {
    after.map_or(&[], |song| song.as_bytes())
}
