//! An open library: reading with recovery before it and healing after it,
//! writing under the lock.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use songrec_core::{Digest, Progress, Silent};

use crate::{
    access::{is_for_want_of_room, refusal_of},
    catalog::{Catalog, FileIdentity, Model, Opened, RowKind},
    error::{Fault, Refusal, Result, is_damage},
    files::{
        Disk, Files, Layout,
        lock::{Locked, WriteLock},
    },
    index_rows::IndexRows,
    library_file::LibraryFile,
    options::LocalOptions,
    rebuild,
    recovery::Recovery,
    store::{RecordedRows, Store, report_damaged},
    transaction::Transaction,
    vectors::Rows,
};

/// The file in a spare folder that names the library, written at each opening.
pub const SPARE_NOTE: &str = "library.txt";

/// An open library. All parts read and write through it.
#[derive(Debug)]
pub(crate) struct Database {
    store: Store,
}

impl Database {
    pub(crate) fn create(root: &Path, disk: Arc<dyn Disk>, options: LocalOptions) -> Result<Self> {
        let layout = Layout::new(root);
        let files = Files::new(disk, layout.unfinished());
        if layout.library_file().exists() {
            return Err(Fault::Exists(root.to_owned()));
        }
        std::fs::create_dir_all(root).map_err(Fault::io("make", root))?;
        let lock = WriteLock::new(layout.lock());
        let library = {
            let _locked = lock.acquire()?;
            // Somebody else may have been faster.
            if layout.library_file().exists() {
                return Err(Fault::Exists(root.to_owned()));
            }
            // A folder that has lost the file is the library that it was.
            let known = match layout.is_begun() {
                true => None,
                false => LibraryFile::recovered(&layout, &files)?,
            };
            let library = known.unwrap_or_else(|| LibraryFile::new(options.keeps_copies));
            library.write(&layout, &files)?;
            library
        };
        let store = Store::new(layout, files, library, None, lock, options);
        Self::ready(store, &Silent)
    }

    pub(crate) fn open(
        root: &Path,
        disk: Arc<dyn Disk>,
        options: LocalOptions,
        spare: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let layout = Layout::new(root);
        let files = Files::new(disk, layout.unfinished());
        let lock = WriteLock::new(layout.lock());
        let library = library_of(&layout, &files, &lock)?;
        let reading = (layout.clone(), files.clone(), library.clone());
        let why = match refusal_of(&layout) {
            Some(why) => why,
            None => {
                match Self::ready(Store::new(layout, files, library, None, lock, options), progress)
                {
                    Err(fault) if is_for_want_of_room(&fault, root) => {
                        tracing::debug!("the library is only read: {}", fault.chain());
                        Refusal::Full
                    }
                    other => return other,
                }
            }
        };
        let (layout, files, library) = reading;
        Self::for_reading(layout, files, library, &why, options, spare, progress)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Reads from one snapshot of the catalog. A damaged catalog is built again,
    /// with a warning, and read once more.
    pub(crate) fn read<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        let before = self.store.catalog().identity().ok();
        let damage = match self.read_as_it_is(&work) {
            Err(fault) if fault.is_damaged_catalog() && !self.store.only_reads() => fault,
            answer => return answer,
        };
        tracing::warn!(
            "the catalog is damaged and is built again from the files: {}",
            damage.chain()
        );
        match self.build_again_unless_done(before) {
            Ok(()) => self.read_as_it_is(work),
            Err(fault) => {
                tracing::warn!("it could not be built: {}", fault.chain());
                Err(damage)
            }
        }
    }

    /// Reads from one snapshot of the catalog; damage is an error here.
    pub(crate) fn read_as_it_is<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let opened = self.take()?;
        if !self.store.only_reads()
            && let Err(fault) = self.help_recover(&opened)
        {
            // What can be read is read, even where nothing can be written.
            tracing::warn!("a write that was cut off waits: {}", fault.chain());
        }
        opened.connection.execute_batch("BEGIN")?;
        let answer = work(&opened.connection);
        opened.connection.execute_batch("COMMIT")?;
        self.store.catalog().give(opened);
        answer
    }

    /// Writes, while nobody else does.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.ensure_there()?;
        let locked = self.store.lock().acquire()?;
        let opened = self.store.catalog().take()?;
        let answer = {
            let transaction = Transaction::new(&self.store, &opened.connection, &locked);
            // What only reads does not mend either.
            let recovered = if self.store.only_reads() {
                Ok(())
            } else {
                Recovery::new(&transaction).recover()
            };
            recovered.and_then(|()| work(&transaction))
        };
        self.store.catalog().give(opened);
        answer
    }

    /// Builds the catalog and its indexes again from the files.
    pub(crate) fn build_again(&self, progress: &dyn Progress) -> Result<()> {
        let locked = self.store.lock().acquire()?;
        self.build_all(&locked, progress)
    }

    /// The rows of a model to search in; nothing if there can be none.
    pub(crate) fn rows(
        &self,
        connection: &Connection,
        model: &Model,
        kind: RowKind,
    ) -> Result<Option<Arc<Rows>>> {
        match self.store.rows_as_recorded(connection, model, kind)? {
            RecordedRows::Rows(rows) => Ok(Some(rows)),
            RecordedRows::None => Ok(None),
            // With its own connection: this one may be in the middle of reading.
            RecordedRows::Lost(_) => {
                self.write(|transaction| IndexRows::new(transaction).open(model, kind)).map(Some)
            }
        }
    }

    /// Queries the rows of a model; nothing if there can be none. Damaged rows are
    /// built again, and queried once more.
    ///
    /// Building them again reads what an answer without them would have to read,
    /// so it is done at once and not later.
    ///
    /// # Errors
    ///
    /// The error of `query`; [`Fault::is_damaged_index`] if the rows are damaged and
    /// cannot be built again, which is logged.
    pub(crate) fn with_rows<T>(
        &self,
        connection: &Connection,
        model: &Model,
        kind: RowKind,
        query: impl Fn(&Arc<Rows>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(rows) = self.rows(connection, model, kind)? else { return Ok(None) };
        let damage = match query(&rows) {
            Err(fault) if fault.is_damaged_index() => fault,
            answer => return answer.map(Some),
        };
        report_damaged(model, Some(&damage));
        match self
            .write(|transaction| IndexRows::new(transaction).build_damaged(model, kind, &rows))
        {
            Ok(rows) => query(&rows).map(Some),
            Err(fault) => {
                tracing::warn!("it could not be made again: {}", fault.chain());
                Err(damage)
            }
        }
    }

    // A library that cannot be written: with its own catalog and indexes, if
    // these are as its files, else with some that are made in `spare`.
    fn for_reading(
        layout: Layout,
        files: Files,
        library: LibraryFile,
        why: &Refusal,
        options: LocalOptions,
        spare: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let store = Store::for_reading(layout, files, library, why.clone(), options);
        let database = Self { store };
        let stale = match database.why_stale() {
            Ok(None) => return Ok(database),
            Ok(Some(stale)) => stale.to_owned(),
            Err(fault) => fault.chain(),
        };
        let (layout, files, library) = database.store.into_parts();
        let root = layout.root().to_owned();
        let Some(spare) = spare else { return Err(Fault::ReadOnly(why.clone())) };
        // Copies of a library have one id, and each its own files.
        let path_digest = Digest::of(root.as_os_str().as_encoded_bytes()).to_string();
        let derived = spare.join(format!("{}-{}", library.id, &path_digest[..8]));
        tracing::info!("what is derived of it is kept in `{}`: {stale}", derived.display());
        std::fs::create_dir_all(&derived).map_err(Fault::io("make", &derived))?;
        // Whose it is, and by its time when it was opened last; without room for
        // that it is only known less well.
        let _ = std::fs::write(derived.join(SPARE_NOTE), songrec_core::encode_path(&root));
        let layout = layout.deriving_in(derived);
        let lock = WriteLock::new(layout.lock());
        let store = Store::new(layout, files, library, Some(why.clone()), lock, options);
        Self::ready(store, progress)
    }

    // Why catalog and indexes are not as the files, if they are not.
    fn why_stale(&self) -> Result<Option<&'static str>> {
        if self.store.catalog().refused(self.store.library().id, false)?.is_some() {
            return Ok(Some("its own catalog cannot be used"));
        }
        let opened = self.store.catalog().take()?;
        let connection = &opened.connection;
        // The writer that is at work brings them up to date itself.
        if !self.store.lock().is_held() {
            if Catalog::is_anything_pending(connection)? {
                return Ok(Some("a write was cut off, and waits for somebody who may write"));
            }
            if rebuild::differs(&self.store, connection)? {
                return Ok(Some("its own catalog is not of these files"));
            }
        }
        for model in Catalog::models(connection)? {
            for kind in [RowKind::Song, RowKind::Segments] {
                if self.store.rows_are_lost(connection, &model, kind)? {
                    return Ok(Some("its own indexes cannot be used"));
                }
            }
        }
        self.store.catalog().give(opened);
        Ok(None)
    }

    // Opens what can be written, with everything up to date.
    fn ready(store: Store, progress: &dyn Progress) -> Result<Self> {
        let database = Self { store };
        database.make_ready(progress)?;
        Ok(database)
    }

    fn make_ready(&self, progress: &dyn Progress) -> Result<()> {
        self.ensure_catalog(progress)?;
        match self.catch_up(progress) {
            // The damage shows only where it is read.
            Err(Fault::Catalog(error)) if is_damage(&error) => {
                tracing::info!("the catalog is built from the files: {error}");
                self.build_again(progress)?;
                self.catch_up(progress)?;
            }
            other => other?,
        }
        self.remove_unfinished()
    }

    // Takes in what happened since the catalog was last written.
    fn catch_up(&self, progress: &dyn Progress) -> Result<()> {
        let opened = self.store.catalog().take()?;
        self.help_recover(&opened)?;
        if rebuild::differs(&self.store, &opened.connection)? {
            self.write(|transaction| rebuild::reconcile(transaction, progress))?;
        }
        self.store.catalog().give(opened);
        Ok(())
    }

    // Mostly there is nothing, and then nobody has to wait.
    fn remove_unfinished(&self) -> Result<()> {
        if self.store.unfinished()?.is_empty() {
            return Ok(());
        }
        if let Some(_locked) = self.store.lock().try_acquire()? {
            for path in self.store.unfinished()? {
                self.store.files().remove([path.as_path()])?;
            }
        }
        Ok(())
    }

    /// Builds the catalog if it cannot be used.
    fn ensure_catalog(&self, progress: &dyn Progress) -> Result<()> {
        if self.store.catalog().refused(self.store.library().id, false)?.is_none() {
            return Ok(());
        }
        let locked = self.store.lock().acquire()?;
        // Another process may have built it in the meantime.
        let Some(why) = self.store.catalog().refused(self.store.library().id, true)? else {
            return Ok(());
        };
        tracing::info!("the catalog is built from the files: {why}");
        self.build_all(&locked, progress)
    }

    // The catalog first, then the indexes from it.
    fn build_all(&self, locked: &Locked<'_>, progress: &dyn Progress) -> Result<()> {
        rebuild::build(&self.store, progress)?;
        let opened = self.store.catalog().take()?;
        let transaction = Transaction::new(&self.store, &opened.connection, locked);
        IndexRows::new(&transaction).build_lost(progress)?;
        Recovery::new(&transaction).remove_unfinished()?;
        self.store.catalog().give(opened);
        Ok(())
    }

    fn build_again_unless_done(&self, before: Option<FileIdentity>) -> Result<()> {
        let locked = self.store.lock().acquire()?;
        // Another thread or process may have met the same damage.
        if before.is_some() && self.store.catalog().identity().ok() != before {
            return Ok(());
        }
        self.build_all(&locked, &Silent)
    }

    // Completes what a dead writer left pending. While a writer is at work, its
    // pending songs are its own.
    fn help_recover(&self, opened: &Opened) -> Result<()> {
        if Catalog::is_anything_pending(&opened.connection)?
            && let Some(locked) = self.store.lock().try_acquire()?
        {
            let transaction = Transaction::new(&self.store, &opened.connection, &locked);
            Recovery::new(&transaction).recover()?;
        }
        Ok(())
    }

    fn take(&self) -> Result<Opened> {
        self.ensure_there()?;
        match self.store.catalog().take() {
            // Somebody is building it this moment: that is waited for.
            Err(Fault::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.ensure_catalog(&Silent)?;
                self.store.catalog().take()
            }
            other => other,
        }
    }

    // Somebody may delete the catalog while it is in use.
    fn ensure_there(&self) -> Result<()> {
        if !self.store.layout().catalog().exists() {
            self.ensure_catalog(&Silent)?;
        }
        Ok(())
    }
}

/// What a library is, from its file; one that is damaged, or as an older songrec
/// wrote it, is written again where that can be done now, or else by the next
/// opening.
fn library_of(layout: &Layout, files: &Files, lock: &WriteLock) -> Result<LibraryFile> {
    let found = LibraryFile::read(layout, files)?;
    if found.is_whole {
        return Ok(found.library);
    }
    let write = || -> Result<bool> {
        if refusal_of(layout).is_some() {
            return Ok(false);
        }
        let Some(_locked) = lock.try_acquire()? else { return Ok(false) };
        // Somebody else may have been faster.
        let now = LibraryFile::read(layout, files)?;
        if !now.is_whole {
            now.library.write(layout, files)?;
        }
        Ok(true)
    };
    let written = write().unwrap_or_else(|fault| {
        tracing::debug!("`songrec.json` was not written: {}", fault.chain());
        false
    });
    if let Some(damage) = found.damage {
        let done = match written {
            true => "it was written again, as the library is known otherwise",
            false => "until it can be written again, what is known otherwise is used",
        };
        tracing::warn!("{}; {done}", damage.chain());
    }
    Ok(found.library)
}
