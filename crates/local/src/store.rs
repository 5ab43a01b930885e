//! The library as the blocking code sees it: reading, writing, recovering.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;
use songrec_core::{Digest, Embedding, EmbeddingRef, ModelName, Progress, Song, SongId, Vector};

use crate::{
    access::{Refusal, is_for_want_of_room},
    backend::LocalOptions,
    catalog::{Catalog, FileIdentity, Kind, Model, Opened, is_damage},
    disk::{Disk, NewFile, Stamp},
    embedding_file,
    error::{Fault, Result},
    files::Files,
    layout::{Folder, Layout},
    library_file::LibraryFile,
    lock::{Locked, WriteLock},
    rebuild, segment_file,
    stored::{self, Resolved, resolve},
    vectors::{Rows, Vectors},
};

/// How many rows of an index are made at once; enough to make the wait for the
/// disk small against the work.
const ROWS_AT_ONCE: usize = 2_048;

/// Everything that the backend is made of.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) layout: Layout,
    pub(crate) files: Files,
    pub(crate) library: LibraryFile,
    pub(crate) catalog: Catalog,
    pub(crate) vectors: Vectors,
    /// Why nothing of the library can be written, if so. What is derived may
    /// lie elsewhere then, and be written there.
    pub(crate) refusal: Option<Refusal>,
    lock: WriteLock,
}

/// The right to write, with a connection to write with.
pub(crate) struct Writing<'a> {
    pub(crate) store: &'a Store,
    pub(crate) connection: &'a Connection,
    _lock: &'a Locked<'a>,
}

/// Rows to put and rows to remove.
type RowChanges = (Vec<([u8; 16], Vector)>, Vec<[u8; 16]>);

/// A song whose files were written, and what the catalog should learn of it.
pub(crate) struct Published {
    pub(crate) id: SongId,
    pub(crate) resolved: Resolved,
    /// The embeddings that the index has for it; nothing if that is not known.
    pub(crate) before: Option<BTreeMap<ModelName, EmbeddingRef>>,
}

/// The file in a spare folder that names the library, written at each opening.
pub const SPARE_NOTE: &str = "library.txt";

impl Store {
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
        Self::with(layout, files, library, lock, options, &songrec_core::Silent)
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
        let why = match Refusal::of(&layout) {
            Some(why) => why,
            None => match Self::with(layout, files, library, lock, options, progress) {
                Err(fault) if is_for_want_of_room(&fault, root) => {
                    tracing::debug!("the library is only read: {}", rebuild::reason(&fault));
                    Refusal::Full
                }
                other => return other,
            },
        };
        let (layout, files, library) = reading;
        Self::for_reading(layout, files, library, &why, options, spare, progress)
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
        let store = Self {
            catalog: Catalog::for_reading(layout.catalog()),
            vectors: Vectors::for_reading(layout.clone(), options.index),
            lock: WriteLock::for_reading(layout.lock()),
            layout,
            files,
            library,
            refusal: Some(why.clone()),
        };
        let stale = match store.why_stale() {
            Ok(None) => return Ok(store),
            Ok(Some(stale)) => stale.to_owned(),
            Err(fault) => rebuild::reason(&fault),
        };
        let Self { layout, files, library, .. } = store;
        let root = layout.root().to_owned();
        let Some(spare) = spare else { return Err(why.fault()) };
        // Copies of a library have one id, and each its own files.
        let place = Digest::of(root.as_os_str().as_encoded_bytes()).to_string();
        let derived = spare.join(format!("{}-{}", library.id, &place[..8]));
        tracing::info!("what is derived of it is kept in `{}`: {stale}", derived.display());
        std::fs::create_dir_all(&derived).map_err(Fault::io("make", &derived))?;
        // Whose it is, and by its time when it was opened last; without room for
        // that it is only known less well.
        let _ = std::fs::write(derived.join(SPARE_NOTE), songrec_core::encode_path(&root));
        let layout = layout.deriving_in(derived);
        let store = Self {
            catalog: Catalog::new(layout.catalog()),
            vectors: Vectors::new(layout.clone(), options.index),
            lock: WriteLock::new(layout.lock()),
            layout,
            files,
            library,
            refusal: Some(why.clone()),
        };
        store.make_ready(progress)?;
        Ok(store)
    }

    // Why catalog and indexes are not as the files, if they are not.
    fn why_stale(&self) -> Result<Option<&'static str>> {
        if self.catalog.refused(self.library.id, false)?.is_some() {
            return Ok(Some("its own catalog cannot be used"));
        }
        let opened = self.catalog.take()?;
        let connection = &opened.connection;
        // Whoever is at work brings them up to date himself.
        if !self.lock.is_held() {
            if Catalog::is_anything_pending(connection)? {
                return Ok(Some("a write was cut off, and waits for somebody who may write"));
            }
            if rebuild::differs(self, connection)? {
                return Ok(Some("its own catalog is not of these files"));
            }
        }
        for model in Catalog::models(connection)? {
            for kind in [Kind::Song, Kind::Segments] {
                if self.rows_are_lost(connection, &model, kind)? {
                    return Ok(Some("its own indexes cannot be used"));
                }
            }
        }
        self.catalog.give(opened);
        Ok(None)
    }

    /// Nothing, where the library may be written.
    pub(crate) fn may_write(&self) -> Result<()> {
        self.refusal.as_ref().map_or(Ok(()), |why| Err(why.fault()))
    }

    /// Removes files that say nothing any more, where that can be done: what
    /// they would say is not asked.
    pub(crate) fn tidy<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        match self.refusal {
            Some(_) => Ok(()),
            None => self.files.remove(paths),
        }
    }

    // Whether what is derived is written by nobody here.
    fn only_reads(&self) -> bool {
        self.refusal.is_some() && self.layout.derived() == self.layout.root()
    }

    fn with(
        layout: Layout,
        files: Files,
        library: LibraryFile,
        lock: WriteLock,
        options: LocalOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let store = Self {
            catalog: Catalog::new(layout.catalog()),
            vectors: Vectors::new(layout.clone(), options.index),
            layout,
            files,
            library,
            refusal: None,
            lock,
        };
        store.make_ready(progress)?;
        Ok(store)
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
        let opened = self.catalog.take()?;
        self.help_recover(&opened)?;
        if rebuild::differs(self, &opened.connection)? {
            self.write(|writing| rebuild::reconcile(writing, progress))?;
        }
        self.catalog.give(opened);
        Ok(())
    }

    // Mostly there is nothing, and then nobody has to wait.
    fn remove_unfinished(&self) -> Result<()> {
        if self.unfinished()?.is_empty() {
            return Ok(());
        }
        if let Some(_locked) = self.lock.try_acquire()? {
            for path in self.unfinished()? {
                self.files.remove([path.as_path()])?;
            }
        }
        Ok(())
    }

    /// Files on their way. Batches are written under the lock, so what is
    /// there when it is free is nobody's; blobs are not, so they are left
    /// until they are old.
    pub(crate) fn unfinished(&self) -> Result<Vec<PathBuf>> {
        let folder = self.layout.unfinished();
        let names = rebuild::names_in(&folder)?.into_iter();
        Ok(names.filter(|name| name.ends_with(".tmp")).map(|name| folder.join(name)).collect())
    }

    /// Builds the catalog if it cannot be used.
    fn ensure_catalog(&self, progress: &dyn Progress) -> Result<()> {
        if self.catalog.refused(self.library.id, false)?.is_none() {
            return Ok(());
        }
        let locked = self.lock.acquire()?;
        // Another process may have built it in the meantime.
        let Some(why) = self.catalog.refused(self.library.id, true)? else { return Ok(()) };
        tracing::info!("the catalog is built from the files: {why}");
        self.build_all(&locked, progress)
    }

    // The catalog first, then the indexes from it.
    fn build_all(&self, locked: &Locked<'_>, progress: &dyn Progress) -> Result<()> {
        rebuild::build(self, progress)?;
        let opened = self.catalog.take()?;
        let writing = Writing { store: self, connection: &opened.connection, _lock: locked };
        rebuild::build_lost_rows(&writing, progress)?;
        writing.remove_unfinished()?;
        self.catalog.give(opened);
        Ok(())
    }

    /// Reads from one state of the catalog. One that turns out to be damaged is
    /// built again, which is told, and read once more.
    pub(crate) fn read<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        let before = self.catalog.identity().ok();
        let damage = match self.read_as_it_is(&work) {
            Err(fault) if fault.is_damaged_catalog() && !self.only_reads() => fault,
            answer => return answer,
        };
        tracing::warn!(
            "the catalog is damaged and is built again from the files: {}",
            rebuild::reason(&damage)
        );
        match self.build_again_unless_done(before) {
            Ok(()) => self.read_as_it_is(work),
            Err(fault) => {
                tracing::warn!("it could not be built: {}", rebuild::reason(&fault));
                Err(damage)
            }
        }
    }

    fn build_again_unless_done(&self, before: Option<FileIdentity>) -> Result<()> {
        let locked = self.lock.acquire()?;
        // Another thread or process may have met the same damage.
        if before.is_some() && self.catalog.identity().ok() != before {
            return Ok(());
        }
        self.build_all(&locked, &songrec_core::Silent)
    }

    /// Reads from one state of the catalog, which may be damaged.
    pub(crate) fn read_as_it_is<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let opened = self.take()?;
        if !self.only_reads()
            && let Err(fault) = self.help_recover(&opened)
        {
            // What can be read is read, even where nothing can be written.
            tracing::warn!("a write that was cut off waits: {}", rebuild::reason(&fault));
        }
        opened.connection.execute_batch("BEGIN")?;
        let answer = work(&opened.connection);
        opened.connection.execute_batch("COMMIT")?;
        self.catalog.give(opened);
        answer
    }

    /// Writes, while nobody else does.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Writing<'_>) -> Result<T>) -> Result<T> {
        self.ensure_there()?;
        let locked = self.lock.acquire()?;
        let opened = self.catalog.take()?;
        let answer = {
            let writing = Writing { store: self, connection: &opened.connection, _lock: &locked };
            // What only reads does not mend either.
            let recovered = if self.only_reads() { Ok(()) } else { writing.recover() };
            recovered.and_then(|()| work(&writing))
        };
        self.catalog.give(opened);
        answer
    }

    /// Throws the catalog away and builds it again.
    pub(crate) fn build_again(&self, progress: &dyn Progress) -> Result<()> {
        let locked = self.lock.acquire()?;
        self.build_all(&locked, progress)
    }

    // Settles what a writer left that is no more. What is pending because a
    // writer is at work is left to it.
    fn help_recover(&self, opened: &Opened) -> Result<()> {
        if Catalog::is_anything_pending(&opened.connection)?
            && let Some(locked) = self.lock.try_acquire()?
        {
            let writing = Writing { store: self, connection: &opened.connection, _lock: &locked };
            writing.recover()?;
        }
        Ok(())
    }

    fn take(&self) -> Result<Opened> {
        self.ensure_there()?;
        match self.catalog.take() {
            // Somebody is building it this moment: that is waited for.
            Err(Fault::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.ensure_catalog(&songrec_core::Silent)?;
                self.catalog.take()
            }
            other => other,
        }
    }

    // Somebody may delete the catalog while it is in use.
    fn ensure_there(&self) -> Result<()> {
        if !self.layout.catalog().exists() {
            self.ensure_catalog(&songrec_core::Silent)?;
        }
        Ok(())
    }

    /// The rows of a model to search in; nothing if there can be none.
    pub(crate) fn rows(
        &self,
        connection: &Connection,
        model: &Model,
        kind: Kind,
    ) -> Result<Option<Arc<Rows>>> {
        match self.rows_as_recorded(connection, model, kind)? {
            Recorded::Rows(rows) => Ok(Some(rows)),
            Recorded::None => Ok(None),
            // With its own connection: this one may be in the middle of reading.
            Recorded::Lost(_) => self.write(|writing| writing.rows(model, kind)).map(Some),
        }
    }

    fn rows_as_recorded(
        &self,
        connection: &Connection,
        model: &Model,
        kind: Kind,
    ) -> Result<Recorded> {
        let Some((folder, generation)) = Catalog::vectors(connection, model.m, kind)? else {
            let has_rows = match kind {
                Kind::Song => !Catalog::ids_of_model(connection, model.m)?.is_empty(),
                Kind::Segments => !Catalog::songs_with_segments(connection, model.m)?.is_empty(),
            };
            return Ok(if has_rows { Recorded::Lost(None) } else { Recorded::None });
        };
        match self.vectors.open(&model.spec.name, &folder) {
            // It may be ahead of the catalog, while somebody is writing.
            Ok(Some(rows)) if rows.generation() >= generation => Ok(Recorded::Rows(rows)),
            Ok(_) => Ok(Recorded::Lost(None)),
            Err(damage) if damage.is_damaged_index() => Ok(Recorded::Lost(Some(damage))),
            Err(other) => Err(other),
        }
    }

    /// Whether the rows of a model have to be made again; told, if that is
    /// because they are damaged.
    pub(crate) fn rows_are_lost(
        &self,
        connection: &Connection,
        model: &Model,
        kind: Kind,
    ) -> Result<bool> {
        match self.rows_as_recorded(connection, model, kind)? {
            Recorded::Lost(damage) => {
                report_damaged(model, damage.as_ref());
                Ok(true)
            }
            Recorded::Rows(_) | Recorded::None => Ok(false),
        }
    }

    /// An embedding, if it is there and what its song says it is.
    pub(crate) fn embedding(
        &self,
        model: &ModelName,
        id: SongId,
        reference: &EmbeddingRef,
    ) -> Result<Option<Vector>> {
        embedding_file::read(&self.layout, &self.files, model, id, reference)
    }
}

/// What a library is, from its file; one that is damaged, or as an older songrec
/// wrote it, is written again where that can be done now. Else whoever opens it
/// next does.
fn library_of(layout: &Layout, files: &Files, lock: &WriteLock) -> Result<LibraryFile> {
    let found = LibraryFile::read(layout, files)?;
    if found.is_whole {
        return Ok(found.library);
    }
    let write = || -> Result<bool> {
        if Refusal::of(layout).is_some() {
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
        tracing::debug!("`songrec.json` was not written: {}", rebuild::reason(&fault));
        false
    });
    if let Some(damage) = found.damage {
        let done = match written {
            true => "it was written again, as the library is known otherwise",
            false => "until it can be written again, what is known otherwise is used",
        };
        tracing::warn!("{}; {done}", rebuild::reason(&damage));
    }
    Ok(found.library)
}

/// Says that an index is damaged and made again, if it is.
pub(crate) fn report_damaged(model: &Model, damage: Option<&Fault>) {
    if let Some(damage) = damage {
        let name = &model.spec.name;
        tracing::warn!(
            "{}: the index of `{name}` is made again from the embeddings",
            rebuild::reason(damage)
        );
    }
}

enum Recorded {
    Rows(Arc<Rows>),
    None,
    /// They have to be made again; with the damage, if that is why.
    Lost(Option<Fault>),
}

impl Writing<'_> {
    /// Stores documents of songs and lets everybody know: the order of it is
    /// what makes it safe to die anywhere.
    ///
    /// 1. The songs are noted as pending.
    /// 2. Their files are replaced, each at once.
    /// 3. Files that say nothing any more are removed.
    /// 4. The indexes and the catalog learn of it, and nothing is pending.
    pub(crate) fn store(
        &self,
        new_files: &[NewFile],
        leftovers: &[PathBuf],
        publish: impl FnOnce(&[Stamp]) -> Vec<Published>,
        ids: &[SongId],
    ) -> Result<()> {
        self.note_pending(Kind::Song, ids)?;
        let stamps = self.store.files.store(new_files)?;
        if !leftovers.is_empty() {
            self.store.files.remove(leftovers.iter().map(PathBuf::as_path))?;
        }
        self.publish(publish(&stamps))
    }

    pub(crate) fn note_pending(&self, kind: Kind, ids: &[SongId]) -> Result<()> {
        self.commit(|connection| Catalog::add_pending(connection, kind, ids.iter().copied()))
    }

    /// Runs a transaction.
    pub(crate) fn commit(&self, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        self.store.files.step(|| {
            let transaction = self.connection.unchecked_transaction()?;
            work(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    /// Lets indexes and catalog know what the files of some songs say.
    pub(crate) fn publish(&self, songs: Vec<Published>) -> Result<()> {
        let mut generations = Vec::new();
        for model in Catalog::models(self.connection)? {
            let (put, remove) = self.index_changes(&model, &songs)?;
            generations.extend(self.change_rows(&model, Kind::Song, &put, &remove)?);
        }
        let touched: BTreeSet<u8> = songs.iter().map(|song| song.id.as_bytes()[0]).collect();
        self.commit(|connection| {
            for song in &songs {
                Catalog::set(connection, song.id, &song.resolved)?;
            }
            for (m, folder, generation) in &generations {
                Catalog::set_vectors(connection, *m, Kind::Song, Some((folder, *generation)))?;
            }
            for shard in &touched {
                for folder in [Folder::Songs, Folder::Trash] {
                    self.note_shard(connection, folder, *shard)?;
                }
            }
            Catalog::remove_pending(connection, Kind::Song, songs.iter().map(|song| song.id))
        })
    }

    /// Notes that a shard is what the catalog thinks it is.
    pub(crate) fn note_shard(
        &self,
        connection: &Connection,
        folder: Folder,
        shard: u8,
    ) -> Result<()> {
        let path = self.store.layout.shard(folder, shard);
        let stamp = Stamp::at(&path).map_err(Fault::io("read", &path))?;
        Catalog::set_shard(connection, folder, shard, stamp)
    }

    // What has to be put into the rows of a model, and what removed.
    fn index_changes(&self, model: &Model, songs: &[Published]) -> Result<RowChanges> {
        let name = &model.spec.name;
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for song in songs {
            let wanted = match &song.resolved {
                Resolved::Present(stored) => stored.document.embeddings.get(name),
                Resolved::Deleted(_) | Resolved::Absent | Resolved::Damaged(_) => None,
            };
            if song.before.as_ref().is_some_and(|before| before.get(name) == wanted) {
                continue;
            }
            let vector = match wanted {
                Some(reference) => self.vector_or_warning(model, song.id, reference)?,
                None => None,
            };
            match vector {
                Some(vector) => put.push((*song.id.as_bytes(), vector)),
                None => remove.push(*song.id.as_bytes()),
            }
        }
        Ok((put, remove))
    }

    // A song whose embedding is damaged can still be listed; `verify` tells.
    pub(crate) fn vector_or_warning(
        &self,
        model: &Model,
        id: SongId,
        reference: &EmbeddingRef,
    ) -> Result<Option<Vector>> {
        match self.store.embedding(&model.spec.name, id, reference) {
            Ok(Some(vector)) if model.spec.refuses(&vector).is_none() => Ok(Some(vector)),
            Ok(_) => Ok(None),
            Err(Fault::Damaged { path, why }) => {
                tracing::warn!("`{}` is damaged: {why}", path.display());
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Changes rows of a model, and gives what the catalog has to note.
    pub(crate) fn change_rows(
        &self,
        model: &Model,
        kind: Kind,
        put: &[([u8; 16], Vector)],
        remove: &[[u8; 16]],
    ) -> Result<Option<(i64, String, u64)>> {
        if put.is_empty() && remove.is_empty() {
            return Ok(None);
        }
        if put.is_empty() && Catalog::vectors(self.connection, model.m, kind)?.is_none() {
            return Ok(None);
        }
        let mut rows = self.rows(model, kind)?;
        let change = |rows: &Rows| -> Result<()> {
            if !remove.is_empty() {
                rows.remove(remove)?;
            }
            if !put.is_empty() {
                rows.put(put)?;
            }
            Ok(())
        };
        match self.store.files.step(|| change(&rows)) {
            Err(fault) if fault.is_damaged_index() => {
                report_damaged(model, Some(&fault));
                rows = self.build_rows(model, kind, &songrec_core::Silent)?;
                self.store.files.step(|| change(&rows))?;
            }
            // Damaged rows are made again from the catalog and the files when
            // the change is settled.
            Err(fault @ Fault::Index { .. }) => {
                self.commit(|connection| Catalog::set_vectors(connection, model.m, kind, None))?;
                return Err(fault);
            }
            other => other?,
        }
        let recorded = Catalog::vectors(self.connection, model.m, kind)?;
        let folder = recorded.map(|(folder, _)| folder).unwrap_or_default();
        self.store.vectors.written(&rows);
        Ok(Some((model.m, folder, rows.generation())))
    }

    /// Removes rows that nobody has.
    pub(crate) fn remove_rows(&self, model: &Model, kind: Kind, ids: &[[u8; 16]]) -> Result<()> {
        let changed = self.change_rows(model, kind, &[], ids)?;
        self.commit(|connection| {
            if let Some((m, folder, generation)) = &changed {
                Catalog::set_vectors(connection, *m, kind, Some((folder, *generation)))?;
            }
            Ok(())
        })
    }

    /// The rows of a model to change, made again if they are lost.
    pub(crate) fn rows(&self, model: &Model, kind: Kind) -> Result<Arc<Rows>> {
        match self.store.rows_as_recorded(self.connection, model, kind)? {
            Recorded::Rows(rows) => Ok(rows),
            Recorded::None => self.build_rows(model, kind, &songrec_core::Silent),
            Recorded::Lost(damage) => {
                report_damaged(model, damage.as_ref());
                self.build_rows(model, kind, &songrec_core::Silent)
            }
        }
    }

    /// Makes the rows of a model from the files that the catalog knows.
    pub(crate) fn build_rows(
        &self,
        model: &Model,
        kind: Kind,
        progress: &dyn Progress,
    ) -> Result<Arc<Rows>> {
        let name = &model.spec.name;
        let ids = match kind {
            Kind::Song => Catalog::ids_of_model(self.connection, model.m)?,
            Kind::Segments => Catalog::songs_with_segments(self.connection, model.m)?,
        };
        let (folder, rows) = self.store.vectors.create(&model.spec, kind)?;
        let total = Some(ids.len() as u64);
        let shown = !ids.is_empty();
        if shown {
            let work = format!("building the index of `{name}`");
            progress.on(songrec_core::Event::Started { work: &work, total });
        }
        let mut waiting = Vec::with_capacity(ROWS_AT_ONCE);
        for id in ids {
            match kind {
                Kind::Song => {
                    let song: Option<Song> =
                        match resolve(&self.store.layout, &self.store.files, id) {
                            (Resolved::Present(stored), _) => Some(stored.document),
                            _ => None,
                        };
                    let reference = song.as_ref().and_then(|song| song.embeddings.get(name));
                    if let Some(reference) = reference
                        && let Some(vector) = self.vector_or_warning(model, id, reference)?
                    {
                        waiting.push((*id.as_bytes(), vector));
                    }
                }
                Kind::Segments => {
                    let segments = segment_file::read(&self.store.layout, &self.store.files, id)?;
                    let of_model = segments.into_iter().filter(|one| one.model == *name);
                    waiting.extend(of_model.map(|one| (*one.id.as_bytes(), one.vector)));
                }
            }
            if shown {
                progress.on(songrec_core::Event::Advanced { item: &id.short(), bytes: 0 });
            }
            if waiting.len() >= ROWS_AT_ONCE {
                self.store.files.step(|| rows.put(&waiting))?;
                waiting.clear();
            }
        }
        if !waiting.is_empty() {
            self.store.files.step(|| rows.put(&waiting))?;
        }
        // Whoever waits for this waits a little longer, for an index that is
        // as good as the one that was lost.
        if rows.wants_build() {
            self.store.files.step(|| rows.build(&|| false).map(drop))?;
        }
        let generation = rows.generation();
        self.commit(|connection| {
            Catalog::set_vectors(connection, model.m, kind, Some((&folder, generation)))
        })?;
        self.store.vectors.remove_others(name, kind, Some(&folder));
        if shown {
            progress.on(songrec_core::Event::Finished);
        }
        Ok(rows)
    }

    /// Finishes what somebody began who is no more.
    pub(crate) fn recover(&self) -> Result<()> {
        if !Catalog::is_anything_pending(self.connection)? {
            return Ok(());
        }
        let songs = Catalog::pending(self.connection, Kind::Song)?;
        tracing::info!("finishing a write of {} songs that was cut off", songs.len());
        for some in songs.chunks(256) {
            self.refresh_pending(some)?;
        }
        let segments = Catalog::pending(self.connection, Kind::Segments)?;
        self.publish_segments(&segments)?;
        self.remove_unfinished()
    }

    /// Takes a file that cannot be understood out of the way, where it can be
    /// looked at, and forgets the song.
    pub(crate) fn set_aside(&self, id: SongId) -> Result<()> {
        let from = self.store.layout.of_song(Folder::Songs, id);
        let to = self.move_aside(id, &from)?;
        tracing::warn!("`{}` is damaged and was moved to `{}`", from.display(), to.display());
        Ok(())
    }

    fn move_aside(&self, id: SongId, from: &Path) -> Result<PathBuf> {
        let to = self.store.layout.set_aside(id);
        self.note_pending(Kind::Song, &[id])?;
        self.store.files.set_aside(from, &to)?;
        self.refresh_pending(&[id])?;
        Ok(to)
    }

    /// Does the same with those documents of a song, it and its tombstone, that
    /// are damaged; says where they are now. Whoever reads the changes begins
    /// anew: that a song is gone is told by no change.
    pub(crate) fn set_damaged_aside(&self, id: SongId) -> Result<Vec<PathBuf>> {
        let (layout, files) = (&self.store.layout, &self.store.files);
        let mut moved = Vec::new();
        for folder in [Folder::Songs, Folder::Trash] {
            let read = match folder {
                Folder::Trash => stored::read_tombstone(layout, files, id).map(drop),
                _ => stored::read_song(layout, files, id).map(drop),
            };
            match read {
                Err(Fault::Damaged { path, .. }) => moved.push(self.move_aside(id, &path)?),
                Ok(()) | Err(Fault::Newer { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        if !moved.is_empty() {
            self.commit(Catalog::renew_epoch)?;
        }
        Ok(moved)
    }

    /// Makes indexes and catalog agree with the files of some songs.
    /// Gives what is wrong with those that are damaged.
    pub(crate) fn refresh(&self, ids: &[SongId]) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for some in ids.chunks(256) {
            self.note_pending(Kind::Song, some)?;
            faults.extend(self.refresh_pending(some)?);
        }
        Ok(faults)
    }

    fn refresh_pending(&self, ids: &[SongId]) -> Result<Vec<String>> {
        let (mut published, mut leftovers) = (Vec::new(), Vec::new());
        let mut faults = Vec::new();
        for id in ids {
            let (resolved, leftover) = resolve(&self.store.layout, &self.store.files, *id);
            leftovers.extend(leftover);
            match &resolved {
                Resolved::Damaged(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
                    faults.push(rebuild::reason(fault));
                }
                // A disk that does not answer says nothing about the song.
                Resolved::Damaged(_) => {
                    let Resolved::Damaged(fault) = resolved else { continue };
                    return Err(fault);
                }
                _ => {}
            }
            published.push(Published { id: *id, resolved, before: None });
        }
        if !leftovers.is_empty() {
            self.store.tidy(leftovers.iter().map(PathBuf::as_path))?;
        }
        self.publish(published)?;
        Ok(faults)
    }

    /// Removes what was on its way when its writer ended.
    pub(crate) fn remove_unfinished(&self) -> Result<()> {
        let unfinished = self.store.unfinished()?;
        self.store.files.remove(unfinished.iter().map(PathBuf::as_path))
    }

    /// Which of these embeddings their stored songs name.
    pub(crate) fn named_by_song(&self, embedding: &Embedding) -> Result<Option<EmbeddingRef>> {
        let stored =
            crate::stored::read_song(&self.store.layout, &self.store.files, embedding.song)?;
        Ok(stored.and_then(|stored| stored.document.embeddings.get(&embedding.model).cloned()))
    }
}
