//! The files that this machine has scanned, so that a scan can skip them.
//!
//! True of one machine only and derived: without it a scan reads every file
//! once more and comes to the same library.
//!
//! Each file has the status that its song had in the library at the saved
//! cursor. A scan that reads the library's changes from
//! there on, and writes down what they mean for the files, knows of every file
//! without asking for its song. What is written down is never newer news than
//! the cursor's, so it may be read from there again.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use songrec_core::SongId;

use crate::wal;

/// A file as it was when it was last scanned.
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
    /// A recording of this song, which the library holds like this.
    Song(SongId, FileStatus),
    /// Nothing that could be read, for this reason.
    Failed(String),
}

/// What the library holds of a file's song, as far as this machine has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStatus {
    /// The song is about to be stored; if nothing else was written down since,
    /// nobody knows whether it was.
    Storing,
    /// The library has to be asked.
    Unknown,
    /// The song names the file, and was embedded as the
    /// [standard](KnownFiles::judged_by) asks.
    UpToDate,
    /// The song was deleted.
    Deleted,
    /// The song does not name the file, or was not embedded by all models.
    Stale,
}

impl FileStatus {
    const ALL: [Self; 5] =
        [Self::Storing, Self::Unknown, Self::UpToDate, Self::Deleted, Self::Stale];

    const fn number(self) -> i64 {
        self as i64
    }

    fn of_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|one| one.number() == number).unwrap_or(Self::Unknown)
    }

    // Whether a song that is enough for one scan may not be for another.
    const fn depends_on_standard(self) -> bool {
        matches!(self, Self::UpToDate | Self::Stale)
    }
}

/// A file whose song is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownStatus {
    /// As in [`KnownFile::path`].
    pub path: String,
    /// Whose file it was taken for; nothing is written down if it is another's
    /// now.
    pub song: SongId,
    /// What the library holds of it.
    pub status: FileStatus,
}

/// The files that one machine knows of one library.
#[derive(Debug)]
pub struct KnownFiles {
    connection: Mutex<Connection>,
    standard: i64,
}

// A file of an older version is learnt again.
const VERSION: i64 = 2;

const SCHEMA: &str = "
    DROP TABLE IF EXISTS files;
    CREATE TABLE files (
        path TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        song BLOB,
        reason TEXT,
        seen INTEGER NOT NULL,
        standing INTEGER NOT NULL,
        standard INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX failed ON files (path) WHERE reason IS NOT NULL;
    CREATE INDEX of_song ON files (song) WHERE song IS NOT NULL;
    DROP TABLE IF EXISTS heard;
    CREATE TABLE heard (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL);
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
        Ok(Self { connection: Mutex::new(connection), standard: 0 })
    }

    /// The same, for a scan that asks `standard` of a song: what was judged by
    /// another one is [`Unknown`](FileStatus::Unknown).
    #[must_use]
    pub fn judged_by(self, standard: i64) -> Self {
        Self { standard, ..self }
    }

    fn read(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<KnownFile> {
        let song: Option<[u8; 16]> = row.get(3)?;
        let outcome = match song {
            Some(bytes) => {
                let status = FileStatus::of_number(row.get(5)?);
                let standard: i64 = row.get(6)?;
                let foreign = status.depends_on_standard() && standard != self.standard;
                let status = if foreign { FileStatus::Unknown } else { status };
                KnownOutcome::Song(SongId::from_bytes(bytes), status)
            }
            None => KnownOutcome::Failed(row.get::<_, Option<String>>(4)?.unwrap_or_default()),
        };
        let size: i64 = row.get(1)?;
        Ok(KnownFile {
            path: row.get(0)?,
            size: size.unsigned_abs(),
            modified: row.get(2)?,
            outcome,
        })
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
        let mut select =
            connection.prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE path = ?1"))?;
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            found.push(select.query_row([path], |row| self.read(row)).optional()?);
        }
        Ok(found)
    }

    /// Takes note of files, all seen by this scan.
    pub fn put(&self, files: &[KnownFile], scan: i64) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO files
                     (path, size, modified, song, reason, seen, standing, standard)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for file in files {
                let (song, reason, status) = match &file.outcome {
                    KnownOutcome::Song(id, status) => {
                        (Some(id.as_bytes().as_slice()), None, *status)
                    }
                    KnownOutcome::Failed(reason) => (None, Some(reason), FileStatus::Unknown),
                };
                let size = i64::try_from(file.size).unwrap_or(i64::MAX);
                insert.execute(params![
                    file.path,
                    size,
                    file.modified,
                    song,
                    reason,
                    scan,
                    status.number(),
                    self.standard
                ])?;
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
        let mut select = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM files
             WHERE path >= ?1 AND path < ?2 AND path > ?3 AND seen < ?4 ORDER BY path LIMIT ?5"
        ))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows =
            select.query_map(params![low, high, after, scan, limit], |row| self.read(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every file that could not be read, by path.
    pub fn failed(&self) -> Result<Vec<KnownFile>, KnownFilesError> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM files WHERE reason IS NOT NULL ORDER BY path"
        ))?;
        let rows = select.query_map([], |row| self.read(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many files are known as a song's.
    pub fn count_songs(&self) -> Result<u64, KnownFilesError> {
        let select = "SELECT COUNT(*) FROM files WHERE song IS NOT NULL";
        let count: i64 = self.connection().query_row(select, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The files that this machine has seen hold one of these songs, with
    /// their songs.
    pub fn of_songs(&self, songs: &[SongId]) -> Result<Vec<(SongId, String)>, KnownFilesError> {
        let connection = self.connection();
        let mut select =
            connection.prepare_cached("SELECT path FROM files WHERE song = ?1 ORDER BY path")?;
        let mut found = Vec::new();
        for id in songs {
            let paths = select.query_map([id.as_bytes().as_slice()], |row| row.get(0))?;
            for path in paths {
                found.push((*id, path?));
            }
        }
        Ok(found)
    }

    /// Up to where the library's changes were read.
    pub fn cursor(&self) -> Result<Option<String>, KnownFilesError> {
        let connection = self.connection();
        let cursor = connection.query_row("SELECT cursor FROM heard", [], |row| row.get(0));
        Ok(cursor.optional()?)
    }

    /// Takes note that nothing is known of any song: the place of the cursor is
    /// not known any more.
    pub fn doubt(&self) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM heard", [])?;
        let unsure = FileStatus::Unknown.number();
        transaction.execute(
            "UPDATE files SET standing = ?1 WHERE song IS NOT NULL AND standing <> ?2",
            [unsure, FileStatus::Storing.number()],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Takes note of what the library holds, and that its changes were read
    /// of up to `cursor`.
    pub fn apply(
        &self,
        known_statuses: &[KnownStatus],
        cursor: &str,
    ) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        self.write_down(&transaction, known_statuses, None)?;
        transaction.execute("INSERT OR REPLACE INTO heard VALUES (1, ?1)", [cursor])?;
        transaction.commit()?;
        Ok(())
    }

    /// Takes note of what the library was asked for.
    pub fn set_statuses(&self, known_statuses: &[KnownStatus]) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        self.write_down(&transaction, known_statuses, None)?;
        transaction.commit()?;
        Ok(())
    }

    /// Takes note that the songs of arriving files are stored. Where something
    /// later was read meanwhile, that stays.
    pub fn arrive(&self, known_statuses: &[KnownStatus]) -> Result<(), KnownFilesError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        self.write_down(&transaction, known_statuses, Some(FileStatus::Storing))?;
        transaction.commit()?;
        Ok(())
    }

    fn write_down(
        &self,
        transaction: &Transaction<'_>,
        known_statuses: &[KnownStatus],
        only: Option<FileStatus>,
    ) -> Result<(), KnownFilesError> {
        let mut update = transaction.prepare_cached(
            "UPDATE files SET standing = ?3, standard = ?4
             WHERE path = ?1 AND song = ?2 AND (?5 IS NULL OR standing = ?5)",
        )?;
        for KnownStatus { path, song, status } in known_statuses {
            update.execute(params![
                path,
                song.as_bytes().as_slice(),
                status.number(),
                self.standard,
                only.map(FileStatus::number)
            ])?;
        }
        Ok(())
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

// What `KnownFiles::read` reads.
const COLUMNS: &str = "path, size, modified, song, reason, standing, standard";

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    wal::switch(&connection, std::time::Duration::from_secs(30))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    if version_of(&connection)? == VERSION {
        return Ok(connection);
    }
    let making = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have made it while this process waited.
    if version_of(&making)? != VERSION {
        making.execute_batch(SCHEMA)?;
        making.pragma_update(None, "user_version", VERSION)?;
    }
    making.commit()?;
    Ok(connection)
}

fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
    )
}

/// The files that are known could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KnownFilesError {
    /// The error is the database's.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The error is the file system's.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, outcome: KnownOutcome) -> KnownFile {
        KnownFile { path: path.to_owned(), size: 1, modified: 2, outcome }
    }

    const SONG: SongId = SongId::from_bytes([7; 16]);

    fn song() -> KnownOutcome {
        KnownOutcome::Song(SONG, FileStatus::Deleted)
    }

    fn known_status(path: &str, status: FileStatus) -> KnownStatus {
        KnownStatus { path: path.to_owned(), song: SONG, status }
    }

    fn status(known: &KnownFiles, path: &str) -> FileStatus {
        match known.get(&[path.to_owned()]).unwrap().pop().flatten().unwrap().outcome {
            KnownOutcome::Song(_, status) => status,
            KnownOutcome::Failed(reason) => panic!("{reason}"),
        }
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

    #[test]
    fn what_was_applied_stands_with_the_cursor_and_by_the_standard() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("known.sqlite");
        let known = KnownFiles::open(&path).unwrap().judged_by(1);
        let arriving = KnownOutcome::Song(SONG, FileStatus::Storing);
        known.put(&["/m/a", "/m/b"].map(|path| file(path, arriving.clone())), 1).unwrap();
        assert_eq!(known.cursor().unwrap(), None);

        known.apply(&[known_status("/m/a", FileStatus::Stale)], "c1").unwrap();
        known
            .arrive(&["/m/a", "/m/b"].map(|path| known_status(path, FileStatus::UpToDate)))
            .unwrap();

        assert_eq!(known.cursor().unwrap().as_deref(), Some("c1"));
        assert_eq!(status(&known, "/m/a"), FileStatus::Stale, "it was read later");
        assert_eq!(status(&known, "/m/b"), FileStatus::UpToDate);
        let stricter = KnownFiles::open(&path).unwrap().judged_by(2);
        assert_eq!(status(&stricter, "/m/b"), FileStatus::Unknown);
        known.doubt().unwrap();
        assert_eq!(known.cursor().unwrap(), None);
        assert_eq!(status(&known, "/m/b"), FileStatus::Unknown);
    }

    #[test]
    fn what_is_known_of_a_song_is_not_held_of_the_one_that_took_its_place() {
        let root = tempfile::tempdir().unwrap();
        let known = KnownFiles::open(&root.path().join("known.sqlite")).unwrap();
        let other = SongId::from_bytes([8; 16]);
        known.put(&[file("/m/a", KnownOutcome::Song(other, FileStatus::UpToDate))], 1).unwrap();

        known.set_statuses(&[known_status("/m/a", FileStatus::Deleted)]).unwrap();

        assert_eq!(status(&known, "/m/a"), FileStatus::UpToDate);
        assert_eq!(known.of_songs(&[SONG, other]).unwrap(), [(other, "/m/a".to_owned())]);
    }

    #[test]
    fn a_file_of_an_older_version_is_learnt_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("known.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE files (path TEXT PRIMARY KEY, size INTEGER NOT NULL,
                 modified INTEGER NOT NULL, song BLOB, reason TEXT, seen INTEGER NOT NULL);
             INSERT INTO files VALUES ('/m/a', 1, 2, NULL, 'not audio', 1);",
        )
        .unwrap();
        drop(old);

        let known = KnownFiles::open(&path).unwrap();

        assert_eq!(known.failed().unwrap(), []);
        known.put(&[file("/m/a", song())], 1).unwrap();
        assert_eq!(status(&known, "/m/a"), FileStatus::Deleted);
    }
}
