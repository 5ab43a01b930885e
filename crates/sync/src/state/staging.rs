//! The songs that have to be decided on, between the libraries and the plan.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, params};
use songrec_core::SongId;

use super::{Fault, SyncState, key};
use crate::{Error, Pair, Result, Side, decide::SongState};

/// A staging table: what the change feeds listed of each song, until the song is
/// decided on. It is in a file of its own, so that memory does not grow with the
/// libraries.
#[derive(Debug)]
pub(crate) struct Staging {
    connection: Mutex<Connection>,
    location: String,
}

// A page cache of 32 MiB.
const STAGING: &str = "
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;
CREATE TABLE told (
    song BLOB NOT NULL, side INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (song, side)
) WITHOUT ROWID;
";

// Pages begin where the one before ended, and cost the same everywhere.
const STAGED_AFTER: &str = "SELECT song, side, value FROM told WHERE song > ?1 ORDER BY song, side";

impl Staging {
    /// An empty table, in the folder of the state, or in memory if the state is.
    pub(crate) fn new(state: &SyncState) -> Result<Self> {
        let location = state.location().to_owned();
        let failed = |error: Fault| Error::state(&location, error.0);
        let connection = match state.folder() {
            Some(folder) => {
                let path = folder.join("spool.db");
                // A process that died left it; everything in it can be read again.
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

    /// Stages what a side has of songs; a later row for a song replaces an earlier.
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

    /// Those of these songs that are not staged for `side`.
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

    /// A page of songs after `after`, with what is staged of them for both sides.
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
    use crate::state::{KNOWN_AFTER, POSTPONED_AFTER};

    fn song(number: u8) -> SongId {
        SongId::from_bytes([number; 16])
    }

    #[test]
    fn pages_of_the_staging_table_have_every_song_once() {
        let staging = Staging::new(&SyncState::in_memory().unwrap()).unwrap();
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
        let state = SyncState::in_memory().unwrap();
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
