//! What is remembered of earlier syncs of two libraries.

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

use crate::{
    Error, Pair, Result, Side,
    resolve::{Had, Known, SongState},
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
pub struct State {
    connection: Mutex<Connection>,
    location: String,
    folder: Option<PathBuf>,
    _lock: Option<File>,
}

/// The shape of the file.
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

/// What a file of before remembered of songs and playlists; they say it
/// themselves, so all is compared once.
const FORGET_BEFORE: &str = "
DROP TABLE base; DROP TABLE attempt; DROP TABLE postponed; DROP TABLE document;
DELETE FROM meta WHERE name IN ('cursor_left', 'cursor_right', 'full_at');
";

/// Something that is remembered by name.
pub(crate) trait Meta: Serialize + DeserializeOwned {}
impl<T: Serialize + DeserializeOwned> Meta for T {}

/// A song that the next sync has to look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Postponed {
    /// What was told of it, where that cannot be asked again.
    pub(crate) states: Pair<SongState>,
    pub(crate) reason: String,
}

impl State {
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

    /// A state that is gone when it is dropped.
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

    /// A copy that goes its own way, as a backup that is restored later.
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

    /// The deletions that are remembered, agreed on or put off, for tests.
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
        // Whatever panicked, its transaction was rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    // One transaction: all of it or nothing.
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

    /// What is known of songs after one, in their order.
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

    /// Songs after one that the next sync has to look at.
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

/// What went wrong inside the file.
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

    /// Notes what both sides have, and that there is nothing left to do.
    pub(crate) fn agree(&self, song: SongId, known: &Known, now: i64) -> Result<(), Fault> {
        self.set_known(song, known, now)?;
        self.resolve(song)
    }

    /// Notes what both sides have; nothing if neither has anything.
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

    /// There is nothing left to do about a song.
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
const STAGED_AFTER: &str = "SELECT song, side, value FROM told WHERE song > ?1 ORDER BY song, side";

// What the songs after this one come after; the empty key comes before all.
fn key(after: Option<&SongId>) -> &[u8] {
    after.map_or(&[], |song| song.as_bytes())
}

/// What is known of a song on each side, on its way from the libraries to the
/// plan: in a file of its own, so that memory does not grow with them.
#[derive(Debug)]
pub(crate) struct Staging {
    connection: Mutex<Connection>,
    location: String,
}

// Pages of 4 KiB that stay in memory: 32 MiB.
const STAGING: &str = "
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;
CREATE TABLE told (
    song BLOB NOT NULL, side INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (song, side)
) WITHOUT ROWID;
";

impl Staging {
    /// An empty one, beside the state or in memory, as the state is.
    pub(crate) fn new(state: &State) -> Result<Self> {
        let location = state.location().to_owned();
        let failed = |error: Fault| Error::state(&location, error.0);
        let connection = match state.folder() {
            Some(folder) => {
                let path = folder.join("spool.db");
                // Left by a process that died; it is only a copy.
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::state(&location, error));
                    }
                    _ => {}
                }
                Connection::open(path)
            }
            None => Connection::open_in_memory(),
        }
        .map_err(|error| failed(error.into()))?;
        connection.execute_batch(STAGING).map_err(|error| failed(error.into()))?;
        Ok(Self { connection: Mutex::new(connection), location })
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|fault| Error::state(&self.location, fault.0))
    }

    pub(crate) fn clear(&self) -> Result<()> {
        self.with(|connection| Ok(connection.execute_batch("DELETE FROM told")?))
    }

    /// Notes what was told; the last that is told of a song counts.
    pub(crate) fn stage(&self, side: Side, staged: &[(SongId, SongState)]) -> Result<()> {
        self.with(|connection| {
            connection.execute_batch("BEGIN")?;
            let mut insert = connection.prepare_cached(
                "INSERT OR REPLACE INTO told (song, side, value) VALUES (?, ?, ?)",
            )?;
            for (song, state) in staged {
                let state = serde_json::to_string(state)?;
                insert.execute(params![song.as_bytes(), side as i64, state])?;
            }
            connection.execute_batch("COMMIT")?;
            Ok(())
        })
    }

    /// Which of these songs nothing was told of at `side`.
    pub(crate) fn unstaged(&self, side: Side, songs: &[SongId]) -> Result<Vec<SongId>> {
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM told WHERE song = ? AND side = ?)")?;
            let mut unstaged = Vec::new();
            for song in songs {
                let staged: bool =
                    statement.query_row(params![song.as_bytes(), side as i64], |row| row.get(0))?;
                if !staged {
                    unstaged.push(*song);
                }
            }
            Ok(unstaged)
        })
    }

    /// Songs after one, with what was told of them on both sides.
    pub(crate) fn after(
        &self,
        after: Option<SongId>,
        limit: usize,
    ) -> Result<Vec<(SongId, Pair<SongState>)>> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(STAGED_AFTER)?;
            let mut rows = statement.query([key(after.as_ref())])?;
            let mut songs: Vec<(SongId, Pair<SongState>)> = Vec::new();
            while let Some(row) = rows.next()? {
                let song = SongId::from_bytes(row.get(0)?);
                if songs.last().is_none_or(|(last, _)| *last != song) {
                    if songs.len() == limit {
                        break;
                    }
                    songs.push((song, Pair::default()));
                }
                let number: i64 = row.get(1)?;
                let side = if number == 0 { Side::Left } else { Side::Right };
                let (_, states) = songs.last_mut().expect("one was just added");
                states[side] = serde_json::from_str(&row.get::<_, String>(2)?)?;
            }
            Ok(songs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(number: u8) -> SongId {
        SongId::from_bytes([number; 16])
    }

    #[test]
    fn pages_of_what_was_told_have_every_song_once() {
        let staging = Staging::new(&State::in_memory().unwrap()).unwrap();
        let staged = |songs: &[u8]| -> Vec<_> {
            songs.iter().map(|number| (song(*number), SongState::Absent)).collect()
        };
        staging.stage(Side::Left, &staged(&[0, 1, 2, 4, 255])).unwrap();
        staging.stage(Side::Right, &staged(&[1, 2, 3, 4])).unwrap();

        for limit in 1..7 {
            let (mut songs, mut after) = (Vec::new(), None);
            loop {
                let page = staging.after(after, limit).unwrap();
                let Some((last, _)) = page.last() else { break };
                after = Some(*last);
                assert!(page.len() == limit || *last == song(255), "{limit}");
                songs.extend(page);
            }
            let sides =
                |states: &Pair<SongState>| Side::BOTH.map(|side| states[side] == SongState::Absent);
            let got: Vec<_> = songs.iter().map(|(id, states)| (*id, sides(states))).collect();
            let expected = [
                (song(0), [true, false]),
                (song(1), [true, true]),
                (song(2), [true, true]),
                (song(3), [false, true]),
                (song(4), [true, true]),
                (song(255), [true, false]),
            ];
            assert_eq!(got, expected, "in pages of {limit}");
        }
    }

    #[test]
    fn a_page_reads_nothing_before_its_beginning() {
        let state = State::in_memory().unwrap();
        let staging = Staging::new(&state).unwrap();
        let plan = |connection: &Connection, sql: &str| -> String {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let empty: Vec<&str> = vec![""; statement.parameter_count()];
            let rows = statement.query_map(rusqlite::params_from_iter(empty), |row| row.get(3));
            rows.unwrap().collect::<rusqlite::Result<Vec<String>>>().unwrap().join("; ")
        };

        for sql in [KNOWN_AFTER, POSTPONED_AFTER] {
            let plan = plan(&state.connection(), sql);
            assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP"), "{sql}: {plan}");
        }
        let plan = plan(&staging.connection.lock().unwrap(), STAGED_AFTER);
        assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP"), "{plan}");
    }
}
