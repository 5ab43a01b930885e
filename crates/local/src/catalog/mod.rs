//! The catalog: a SQLite copy of the documents, for finding them.
//!
//! Every song is one row; what lists are ordered by and filters look at has
//! indexes. The catalog holds nothing that the files do not, so it can be
//! thrown away at any time; [`Catalog::epoch`] then changes.

pub(crate) mod filter;
pub(crate) mod find;
mod reading;
pub(crate) mod segment_rows;
pub(crate) mod song_rows;

#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig, params};
use songrec_core::{Metric, ModelName, ModelSpec, SongId};
use uuid::Uuid;

use crate::{
    error::{Fault, Result, is_damage},
    files::Files,
    files::Folder,
    files::Stamp,
    wal,
};

/// Every change of the schema, oldest first; the version is their number.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../../migrations/catalog/0001_initial.sql"),
    include_str!("../../../../migrations/catalog/0002_shelf.sql"),
    include_str!("../../../../migrations/catalog/0003_patterns.sql"),
];

/// "song" in ASCII, so that `file` knows a catalog from another database.
const APPLICATION_ID: i32 = 0x736f_6e67;

// Connections cost a file handle and their caches, threads come and go.
const MOST_IDLE: usize = 8;

/// Opens connections to the catalog and keeps some of them.
#[derive(Debug)]
pub(crate) struct Catalog {
    path: PathBuf,
    idle: Mutex<Vec<Opened>>,
    /// Whether it may only be read.
    reading: bool,
}

/// A connection, and the file that it is to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    file: FileIdentity,
}

/// What rows of `pending` and of the vector indexes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum RowKind {
    Song,
    Segments,
}

impl RowKind {
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Song => 0,
            Self::Segments => 1,
        }
    }
}

/// A model with its number in the catalog.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) m: i64,
    pub(crate) spec: ModelSpec,
}

impl Catalog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), reading: false }
    }

    /// A catalog that may only be read.
    pub(crate) fn for_reading(path: PathBuf) -> Self {
        Self { reading: true, ..Self::new(path) }
    }

    /// A connection to the catalog as it is now. The caller gives it
    /// back.
    pub(crate) fn take(&self) -> Result<Opened> {
        // Another process may have thrown the catalog away and built it again.
        let now = self.identity()?;
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|opened| opened.file == now);
            idle.pop()
        };
        match idle {
            Some(opened) => Ok(opened),
            None => self.open(),
        }
    }

    /// The library that the catalog in `path` is of.
    pub(crate) fn library(path: PathBuf) -> Result<Uuid> {
        let opened = Self::for_reading(path).take()?;
        let id: String = opened.connection.query_row(
            "SELECT value FROM meta WHERE name = 'library'",
            [],
            |row| row.get(0),
        )?;
        id.parse().map_err(Fault::invalid)
    }

    pub(crate) fn give(&self, opened: Opened) {
        if !opened.connection.is_autocommit() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(opened);
        }
    }

    fn open(&self) -> Result<Opened> {
        let file = self.identity()?;
        let connection = match self.reading {
            true => reading::connect(&self.path)?,
            false => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?,
        };
        Ok(Opened { connection, file })
    }

    // A connection that takes no locks has to notice by itself that its file
    // was changed.
    pub(crate) fn identity(&self) -> Result<FileIdentity> {
        let file = FileIdentity::of(&self.path)?;
        Ok(match self.reading {
            true => FileIdentity { state: Some(reading::state(&self.path)), ..file },
            false => file,
        })
    }

    /// Why the catalog cannot be used as it is, if it cannot; one that is only
    /// older is brought up to date. Costs the same at any size. The caller has
    /// the write lock if `may_migrate`.
    pub(crate) fn refused(&self, library: Uuid, may_migrate: bool) -> Result<Option<String>> {
        if !self.path.exists() {
            return Ok(Some("it is missing".to_owned()));
        }
        let check = || -> Result<Option<String>> {
            let mut opened = self.take()?;
            let refused = refused(&mut opened.connection, library, may_migrate)?;
            self.give(opened);
            Ok(refused)
        };
        match check() {
            Err(Fault::Catalog(error)) if is_damage(&error) => Ok(Some(error.to_string())),
            other => other,
        }
    }

    /// Builds a catalog from nothing: `fill` puts the rows into it, and then
    /// it replaces the one that is there. The caller has the write lock.
    pub(crate) fn build(
        &self,
        library: Uuid,
        files: &Files,
        fill: impl FnOnce(&Connection) -> Result<()>,
    ) -> Result<()> {
        let new = self.path.with_extension("sqlite.new");
        remove_database(&new)?;
        let create = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = Connection::open_with_flags(&new, create)?;
        // Whatever happens before the rename, it never was.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -128 * 1024)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        prepare_once(&connection)?;
        migrate(&mut connection)?;
        let epoch = Uuid::new_v4().simple().to_string();
        connection.execute_batch("BEGIN")?;
        for (name, value) in [("epoch", epoch.as_str()), ("library", &library.to_string())] {
            connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", [name, value])?;
        }
        connection.execute("INSERT INTO meta (name, value) VALUES ('change', 0)", [])?;
        fill(&connection)?;
        connection.execute_batch("COMMIT; PRAGMA optimize;")?;
        connection.close().map_err(|(_, error)| error)?;
        let file = fs::File::open(&new).map_err(Fault::io("open", &new))?;
        file.sync_all().map_err(Fault::io("sync", &new))?;

        // The old log would be played into the new catalog, and the old
        // catalog without its log would lack what was acknowledged; so first
        // neither is there, and that is only one more reason to build.
        files.step(|| remove_database(&self.path))?;
        files.step(|| fs::rename(&new, &self.path).map_err(Fault::io("write", &self.path)))?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// What changes when the catalog is built again: cursors from before mean
    /// nothing after.
    pub(crate) fn epoch(connection: &Connection) -> Result<String> {
        Ok(connection
            .prepare_cached("SELECT value FROM meta WHERE name = 'epoch'")?
            .query_row([], |row| row.get(0))?)
    }

    /// Makes every reader of the changes begin anew.
    pub(crate) fn renew_epoch(connection: &Connection) -> Result<()> {
        let epoch = Uuid::new_v4().simple().to_string();
        connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", [epoch])?;
        Ok(())
    }

    /// The number of the last change.
    pub(crate) fn last_change(connection: &Connection) -> Result<i64> {
        Ok(connection
            .prepare_cached("SELECT value FROM meta WHERE name = 'change'")?
            .query_row([], |row| row.get(0))?)
    }

    /// Reads everything, and returns the first damage; a thorough check also
    /// compares the indexes with the rows.
    pub(crate) fn damage(connection: &Connection, thorough: bool) -> Result<Option<String>> {
        let sql = if thorough { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
        let report: String = connection.query_row(sql, [], |row| row.get(0))?;
        Ok((report != "ok").then_some(report))
    }

    pub(crate) fn add_pending(
        connection: &Connection,
        kind: RowKind,
        ids: impl IntoIterator<Item = SongId>,
    ) -> Result<()> {
        let mut statement =
            connection.prepare_cached("INSERT OR IGNORE INTO pending (kind, id) VALUES (?, ?)")?;
        for id in ids {
            statement.execute(params![kind.code(), id.as_bytes()])?;
        }
        Ok(())
    }

    pub(crate) fn remove_pending(
        connection: &Connection,
        kind: RowKind,
        ids: impl IntoIterator<Item = SongId>,
    ) -> Result<()> {
        let mut statement =
            connection.prepare_cached("DELETE FROM pending WHERE kind = ? AND id = ?")?;
        for id in ids {
            statement.execute(params![kind.code(), id.as_bytes()])?;
        }
        Ok(())
    }

    pub(crate) fn pending(connection: &Connection, kind: RowKind) -> Result<Vec<SongId>> {
        let mut statement = connection.prepare_cached("SELECT id FROM pending WHERE kind = ?")?;
        let ids = statement.query_map([kind.code()], |row| row.get(0).map(SongId::from_bytes))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    pub(crate) fn is_anything_pending(connection: &Connection) -> Result<bool> {
        Ok(connection.prepare_cached("SELECT 1 FROM pending LIMIT 1")?.exists([])?)
    }

    /// When each shard of a folder was last written, as far as the catalog
    /// knows.
    pub(crate) fn shards(connection: &Connection, folder: Folder) -> Result<Vec<(u8, i64)>> {
        let mut statement = connection
            .prepare_cached("SELECT shard, mtime FROM shard WHERE folder = ? ORDER BY shard")?;
        let shards =
            statement.query_map([folder.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(shards.collect::<Result<_, _>>()?)
    }

    /// Notes when a shard was last written; nothing if it is not there.
    pub(crate) fn set_shard(
        connection: &Connection,
        folder: Folder,
        shard: u8,
        stamp: Option<Stamp>,
    ) -> Result<()> {
        match stamp {
            Some(stamp) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO shard (folder, shard, mtime) VALUES (?, ?, ?)",
                )?
                .execute(params![folder.as_str(), shard, stamp.mtime])?,
            None => connection
                .prepare_cached("DELETE FROM shard WHERE folder = ? AND shard = ?")?
                .execute(params![folder.as_str(), shard])?,
        };
        Ok(())
    }

    pub(crate) fn models(connection: &Connection) -> Result<Vec<Model>> {
        let mut statement = connection.prepare_cached(
            "SELECT m, name, dimension, metric, description FROM model ORDER BY name",
        )?;
        let mut rows = statement.query([])?;
        let mut models = Vec::new();
        while let Some(row) = rows.next()? {
            let unreadable = |why: String| Fault::damaged(Path::new("catalog.sqlite"), why);
            let name: String = row.get(1)?;
            let metric: String = row.get(3)?;
            let spec = ModelSpec {
                name: name.parse::<ModelName>().map_err(|error| unreadable(error.to_string()))?,
                dimension: row.get::<_, u32>(2)? as usize,
                metric: metric.parse::<Metric>().map_err(unreadable)?,
                description: row.get(4)?,
            };
            models.push(Model { m: row.get(0)?, spec });
        }
        Ok(models)
    }

    pub(crate) fn model(connection: &Connection, name: &ModelName) -> Result<Option<Model>> {
        Ok(Self::models(connection)?.into_iter().find(|model| model.spec.name == *name))
    }

    pub(crate) fn set_model(connection: &Connection, spec: &ModelSpec) -> Result<()> {
        let dimension = i64::try_from(spec.dimension).map_err(Fault::invalid)?;
        connection.execute(
            "INSERT INTO model (name, dimension, metric, description) VALUES (?, ?, ?, ?) \
             ON CONFLICT (name) DO UPDATE SET dimension = excluded.dimension, \
             metric = excluded.metric, description = excluded.description",
            params![spec.name.as_str(), dimension, spec.metric.to_string(), spec.description],
        )?;
        Ok(())
    }

    /// The index folder of a model, and the generation it should have.
    pub(crate) fn vectors(
        connection: &Connection,
        m: i64,
        kind: RowKind,
    ) -> Result<Option<(String, u64)>> {
        Ok(connection
            .prepare_cached("SELECT folder, generation FROM vectors WHERE m = ? AND kind = ?")?
            .query_row([m, kind.code()], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })
            .optional()?)
    }

    pub(crate) fn set_vectors(
        connection: &Connection,
        m: i64,
        kind: RowKind,
        vectors: Option<(&str, u64)>,
    ) -> Result<()> {
        match vectors {
            Some((folder, generation)) => connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO vectors (m, kind, folder, generation) \
                     VALUES (?, ?, ?, ?)",
                )?
                .execute(params![m, kind.code(), folder, generation.cast_signed()])?,
            None => connection
                .prepare_cached("DELETE FROM vectors WHERE m = ? AND kind = ?")?
                .execute([m, kind.code()])?,
        };
        Ok(())
    }
}

/// Has statements prepared once, and not for each value that they are asked with. SQLite
/// would look for a better plan with each value once there are statistics, which takes
/// longer than a search.
fn prepare_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(96);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Writers take turns by the library's own lock; this is for checkpoints.
    wal::switch(&connection, Duration::from_secs(10))?;
    prepare_once(&connection)?;
    // FULL, not NORMAL: a `pending` row that a power cut forgets would leave a
    // stale row that nothing ever looks at again.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Each of several connections has its own; a larger one made nothing faster.
    connection.pragma_update(None, "cache_size", -4 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn refused(
    connection: &mut Connection,
    library: Uuid,
    may_migrate: bool,
) -> Result<Option<String>> {
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Ok(Some("it is no catalog of songrec".to_owned()));
    }
    let version = version(connection)?;
    if version > MIGRATIONS.len() {
        return Ok(Some(format!("its schema {version} is of a newer songrec")));
    }
    if version < MIGRATIONS.len() {
        if !may_migrate {
            return Ok(Some(format!("its schema {version} is old")));
        }
        migrate(connection)?;
    }
    let of: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE name = 'library'", [], |row| row.get(0))
        .optional()?;
    Ok((of != Some(library.to_string())).then(|| "it is of another library".to_owned()))
}

fn version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn migrate(connection: &mut Connection) -> Result<()> {
    let done = version(connection)?;
    let transaction = connection.transaction()?;
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

fn remove_database(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Fault::io("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Tells a file from another at the same path, as long as one of them is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    /// When it and its log were last written, where that is compared.
    state: Option<[Option<Stamp>; 2]>,
}

impl FileIdentity {
    #[cfg(unix)]
    fn of(path: &Path) -> Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).map_err(Fault::io("open", path))?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), state: None })
    }

    // Elsewhere a file that is open cannot be replaced.
    #[cfg(not(unix))]
    fn of(path: &Path) -> Result<Self> {
        fs::metadata(path).map_err(Fault::io("open", path))?;
        Ok(Self { device: 0, inode: 0, state: None })
    }
}
