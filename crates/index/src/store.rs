//! The files of an index: mapped for many readers, changed by one writer.
//!
//! # How a change is made
//!
//! Under the lock file a writer collects the pages it will change
//! ([`Edit`]), appends them to the redo log as one record and syncs it: the
//! change is durable. Then it makes the counter odd, writes the pages in
//! place, and makes the counter even. The pages reach the disk in their own
//! time; a checkpoint syncs them and empties the log. Many new rows at once are
//! written and synced where they belong, beyond all others, before the log
//! makes them part of the index: so they are written once.
//!
//! # How a reader sees one state
//!
//! It notes the counter, reads, and looks at the counter again: the same even
//! number means that nothing changed. If it meets changes several times in a
//! row it takes the lock, shared, and writers wait for it.
//!
//! # How a crash is repaired
//!
//! A process that has changed files it has not synced holds the `alive` file.
//! Whoever finds records in the log and nobody alive (or, holding the lock, an
//! odd counter) plays the log again, which makes the files whole.

use std::fs::{self, File as Disk, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use crate::arrange::Arranged;
use crate::edit::{Edit, Edited, EditedPage, LINE};
use crate::kernel::prefetch;
use crate::layout::{COUNT, FILES, File, Fixed, NONE, NPY_HEADER, NotFixed, PAGE, State, VERSION};
use crate::lists::{self, Centroids, Shelf};
use crate::log::{self, At};
use crate::map::{Counter, Map};
use crate::{Error, Result, layout, table};

/// A checkpoint is made when the log is longer: it bounds what opening after a
/// crash has to read, and is far above one batch.
const CHECKPOINT: u64 = 32 << 20;
/// How often a reader tries again before it makes writers wait.
const TRIES: usize = 4;
/// How long rows and codes together may be to be read through their maps,
/// unless somebody says otherwise.
const MAPPED: u64 = 384 << 20;
/// Pages of one edit are written in place in pieces of at most this.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    fixed: Fixed,
    counter: Counter,
    view: RwLock<View>,
    writer: Mutex<Option<Writer>>,
}

/// The files in one state, as mapped memory.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) fixed: Fixed,
    pub(crate) state: State,
    maps: [Map; COUNT],
    /// What the counter was when this state was read; odd if it never was.
    seen: u64,
    /// How long rows and codes together may be to be read through their maps.
    mapped: u64,
}

/// What reading rows and codes needs.
#[derive(Debug)]
pub(crate) struct Buffer {
    reading: Reading,
    row: Vec<f32>,
    code: Vec<u8>,
}

/// How rows and codes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As suits the length of their files.
    Usual,
    /// Past the map: a page that is read once is not worth mapping.
    Once,
    /// Through the map; [`View::forget_rows`] follows.
    Many,
}

impl Buffer {
    pub(crate) fn new(reading: Reading) -> Self {
        Self { reading, row: Vec::new(), code: Vec::new() }
    }
}

/// What a process needs to change the files.
#[derive(Debug)]
struct Writer {
    lock: Disk,
    /// Held, shared, from the first change until the checkpoint at the end.
    alive: Disk,
    log: Disk,
    counter: Counter,
    head: Disk,
    /// The files by [`File`], and whose arrangement some of them are of.
    files: Vec<Disk>,
    arrangement: u64,
}

impl Store {
    /// Makes an empty index. Whatever an interrupted call left is written over.
    pub(crate) fn create(dir: &Path, fixed: Fixed) -> Result<Self> {
        fs::create_dir_all(dir).map_err(Error::io("create the folder", dir))?;
        let lock = open_lock(dir, "lock")?;
        lock.lock().map_err(Error::io("lock", dir))?;
        let head = dir.join(File::Head.name(0));
        if head.try_exists().map_err(Error::io("look at", &head))? {
            return Err(Error::Exists { dir: dir.to_owned() });
        }
        let epoch = 1;
        let state = State {
            free_slot: NONE,
            free_block: NONE,
            log_end: log::START,
            log_epoch: epoch,
            arrangement: 1,
            lists: 1,
            ..State::default()
        };
        let mut edit = Edit::new(state, [&[]; COUNT]);
        edit.write(File::Head, Fixed::AT as u64, &fixed.encode());
        edit.write(File::Rows, 0, &layout::npy_header(0, fixed.dimension));
        for file in [File::Slots, File::Codes, File::Blocks, File::Places] {
            edit.reserve(file, 1);
        }
        table::create(&mut edit);
        // One list around the origin, until there are rows to arrange.
        let origin = (vec![0.0; fixed.padded()], 0.0);
        edit.write(File::Lists, 0, &lists::empty(&fixed, &[origin]));
        let Edited { state, pages, .. } = edit.finish();

        let log = dir.join("log");
        write_new(&log, |file| file.write_all(&log::header(epoch), 0))?;
        for file in FILES.into_iter().rev() {
            let len = state.lengths[file as usize];
            let write = |disk: &Disk| {
                disk.set_len(len)?;
                let of_file = pages.iter().filter(|page| page.file == file);
                write_pages(of_file, |_, at, bytes| disk.write_all(bytes, at))
            };
            let path = dir.join(file.name(state.arrangement));
            if file == File::Head {
                // What makes the folder an index, so it comes last and at once.
                let new = dir.join("head.new");
                write_new(&new, write)?;
                sync_folder(dir)?;
                fs::rename(&new, &path).map_err(Error::io("name", &path))?;
                sync_folder(dir)?;
            } else {
                write_new(&path, write)?;
            }
        }
        drop(lock);
        Self::open(dir)
    }

    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let head = match Disk::open(dir.join(File::Head.name(0))) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { dir: dir.to_owned() });
            }
            Err(error) => return Err(Error::io("open the index", dir)(error)),
        };
        let mut page = vec![0; PAGE];
        head.read_at_most(&mut page, 0).map_err(Error::io("read the index", dir))?;
        let fixed = Fixed::decode(&page).map_err(|why| match why {
            NotFixed::Damaged(what) => corrupt(dir, what),
            NotFixed::Newer(found) => Error::Newer { dir: dir.to_owned(), found, known: VERSION },
        })?;
        let short = |_| corrupt(dir, "its head ends early");
        let store = Self {
            dir: dir.to_owned(),
            fixed,
            counter: Counter::read(&head).map_err(short)?,
            view: RwLock::new(View::new(fixed, MAPPED)),
            writer: Mutex::new(None),
        };
        if store.has_log()? {
            store.recover_if_alone()?;
        }
        store.read(|_| Ok(()))?;
        Ok(store)
    }

    /// See [`crate::Index::with_mapped`].
    pub(crate) fn set_mapped(&self, bytes: u64) {
        self.view_mut().mapped = bytes;
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// Runs `work` over one state of the files. It may be run several times,
    /// and what it reads may be nonsense when it is: it must not trust it.
    pub(crate) fn read<T>(&self, work: impl Fn(&View) -> Result<T>) -> Result<T> {
        for attempt in 0..TRIES {
            let before = self.counter.load();
            if before % 2 == 1 {
                // Writing pages in place takes some microseconds.
                for _ in 0..200 << attempt {
                    std::hint::spin_loop();
                }
                continue;
            }
            if let Some(result) = self.read_at(before, &work) {
                return result;
            }
        }
        loop {
            let lock = open_lock(&self.dir, "lock")?;
            lock.lock_shared().map_err(Error::io("lock", &self.dir))?;
            let before = self.counter.load();
            if before.is_multiple_of(2)
                && let Some(result) = self.read_at(before, &work)
            {
                return result;
            }
            // No writer is at work, so the one that began has died.
            drop(lock);
            self.recover()?;
        }
    }

    /// Like `read`, once; `None` if the files changed meanwhile.
    fn read_at<T>(&self, before: u64, work: impl Fn(&View) -> Result<T>) -> Option<Result<T>> {
        let mut view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        if view.seen != before {
            drop(view);
            if let Err(error) = self.refresh(before) {
                return (self.counter.load() == before).then_some(Err(error));
            }
            view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            if view.seen != before {
                return None;
            }
        }
        let result = work(&view);
        (self.counter.load_after() == before).then_some(result)
    }

    /// Brings the view up to the state whose counter is `now`.
    fn refresh(&self, now: u64) -> Result<()> {
        let mut view = self.view_mut();
        if view.seen == now {
            return Ok(());
        }
        self.refresh_view(&mut view, now)
    }

    fn refresh_view(&self, view: &mut View, now: u64) -> Result<()> {
        let head = &mut view.maps[File::Head as usize];
        if head.bytes().is_empty() {
            *head = self.map(File::Head, 0, 2 * PAGE as u64)?;
        }
        let state = State::decode(head.bytes())
            .ok_or_else(|| corrupt(&self.dir, "its state does not match its checksum"))?;
        if self.counter.load_after() != now {
            return Ok(());
        }
        self.check(&state)?;
        for file in FILES {
            let len = state.lengths[file as usize];
            let map = &mut view.maps[file as usize];
            let other = file.is_arranged() && state.arrangement != view.state.arrangement;
            if other || map.bytes().is_empty() || !map.extend(len) {
                *map = self.map(file, state.arrangement, len)?;
            }
        }
        view.state = state;
        view.seen = now;
        Ok(())
    }

    /// Whether the files are long enough for what the state says of them.
    fn check(&self, state: &State) -> Result<()> {
        let least = |file: File, len: Option<u64>| {
            len.is_some_and(|len| state.lengths[file as usize] >= len)
        };
        let rows = u64::from(state.slots)
            .checked_mul(self.fixed.row_bytes() as u64)
            .map(|len| len + NPY_HEADER as u64);
        let block = Shelf::new(&self.fixed).block_len() as u64;
        let entries = 1u64.checked_shl(state.depth).map(|count| count * 4);
        if state.live <= state.slots
            && state.depth < 32
            && least(File::Rows, rows)
            && least(File::Slots, Some(crate::layout::Slot::at(state.slots)))
            && least(File::Table, Some(u64::from(state.buckets) * PAGE as u64))
            && least(File::Directory, entries)
            && least(File::Codes, Some(self.fixed.code_at(state.slots)))
            && least(File::Places, Some(u64::from(state.slots) * 4))
            && least(File::Lists, Some(Centroids::new(&self.fixed, state.lists).len()))
            && least(File::Blocks, u64::from(state.blocks).checked_mul(block))
        {
            return Ok(());
        }
        Err(corrupt(&self.dir, "its state says more than its files hold"))
    }

    fn map(&self, file: File, arrangement: u64, len: u64) -> Result<Map> {
        let path = self.dir.join(file.name(arrangement));
        let disk = match Disk::open(&path) {
            Ok(disk) => disk,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt(&self.dir, "one of its files is missing"));
            }
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        Map::open(disk, len).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => corrupt(&self.dir, "one of its files ends early"),
            _ => Error::io("map", &path)(error),
        })
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the files: all that `work` writes, or nothing. Durable when it
    /// returns. Other writers, in this process or others, wait.
    pub(crate) fn edit<T>(&self, work: impl FnOnce(&mut Edit<'_>) -> Result<T>) -> Result<T> {
        let mut slot = self.writer();
        let writer = self.begin(&mut slot)?;
        let result = self.edit_with(writer, work);
        let unlocked = writer.lock.unlock().map_err(Error::io("unlock", &self.dir));
        result.and_then(|value| unlocked.map(|()| value))
    }

    fn edit_with<T>(
        &self,
        writer: &mut Writer,
        work: impl FnOnce(&mut Edit<'_>) -> Result<T>,
    ) -> Result<T> {
        let before = writer.counter.load();
        self.refresh(before)?;
        let (value, edited) = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            let mut edit =
                Edit::new(view.state, std::array::from_fn(|file| view.maps[file].bytes()));
            let value = work(&mut edit)?;
            if edit.weight() == 0 {
                return Ok(value);
            }
            edit.state.sequence += 1;
            (value, edit.finish())
        };
        writer.open_files(&self.dir, edited.state.arrangement)?;
        self.commit(writer, before, edited)?;
        self.view.read().unwrap_or_else(PoisonError::into_inner).forget_rows();
        Ok(value)
    }

    fn commit(&self, writer: &mut Writer, before: u64, edited: Edited) -> Result<()> {
        let Edited { mut state, laid, mut pages } = edited;
        let failed = |operation| Error::io(operation, &self.dir);
        for run in &laid {
            let disk = &writer.files[run.file as usize];
            disk.write_all(&run.bytes, run.at).map_err(failed("write to"))?;
        }
        // Real zeros, not a hole: a full disk is noticed here, where nothing
        // has happened yet.
        for file in FILES {
            writer.extend(file, state.lengths[file as usize]).map_err(failed("make room in"))?;
        }
        for run in &laid {
            writer.files[run.file as usize].sync_data().map_err(failed("sync"))?;
        }
        let start = state.log_end;
        // The record holds the state, and the state where the record ends.
        let len = log::record(state.log_epoch, &pages).len() as u64;
        state.log_end = start + len;
        let head = pages
            .iter_mut()
            .find(|page| page.file == File::Head && page.page == (State::AT / PAGE) as u32);
        if let Some(head) = head {
            head.bytes[..State::LEN].copy_from_slice(&state.encode());
        }
        let record = log::record(state.log_epoch, &pages);
        debug_assert_eq!(record.len() as u64, len);
        let logged = writer.log.write_all(&record, start).and_then(|()| writer.log.sync_data());
        if let Err(error) = logged {
            // Not to be played by anyone: the caller is told that it failed.
            let _ = writer.log.set_len(start);
            return Err(failed("write the log of")(error));
        }

        let mut view = self.view_mut();
        writer.counter.store(before + 1);
        write_pages(pages.iter(), |file, at, bytes| {
            writer.files[file as usize].write_all(bytes, at)
        })
        .map_err(failed("write to"))?;
        writer.counter.store(before + 2);
        self.refresh_view(&mut view, before + 2)?;
        drop(view);
        if state.log_end > CHECKPOINT {
            self.checkpoint(writer)?;
        }
        Ok(())
    }

    /// The files as they are now, mapped once more: for long work that must
    /// not keep writers waiting, and can bear that rows change under it.
    pub(crate) fn snapshot(&self) -> Result<View> {
        loop {
            let (sequence, mapped) = self.read(|view| Ok((view.seen, view.mapped)))?;
            let mut view = View::new(self.fixed, mapped);
            self.refresh_view(&mut view, sequence)?;
            if view.seen == sequence {
                return Ok(view);
            }
        }
    }

    /// The turn to arrange; nothing if somebody else has it. Given back when
    /// it is dropped, or when its process ends.
    pub(crate) fn turn_to_arrange(&self) -> Result<Option<Disk>> {
        let turn = open_lock(&self.dir, "arranging")?;
        match turn.try_lock() {
            Ok(()) => Ok(Some(turn)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &self.dir)(error)),
        }
    }

    /// Changes to another arrangement, which `make` makes of the rows while
    /// other writers wait. Readers go on with the old one until it is ready.
    pub(crate) fn arrange(&self, make: impl FnOnce(&View) -> Result<Arranged>) -> Result<()> {
        let mut slot = self.writer();
        let writer = self.begin(&mut slot)?;
        let result = self.arrange_with(writer, make);
        let unlocked = writer.lock.unlock().map_err(Error::io("unlock", &self.dir));
        result.and(unlocked)
    }

    fn arrange_with(
        &self,
        writer: &mut Writer,
        make: impl FnOnce(&View) -> Result<Arranged>,
    ) -> Result<()> {
        // Records of the log are then all of one arrangement.
        self.checkpoint(writer)?;
        let old = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            view.state.arrangement
        };
        let made = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            let made = make(&view);
            view.forget_rows();
            made?
        };
        let new = old + 1;
        let mut lengths = Vec::new();
        for (file, bytes) in
            [(File::Lists, &made.lists), (File::Blocks, &made.blocks), (File::Places, &made.places)]
        {
            let len = layout::room(bytes.len() as u64);
            write_new(&self.dir.join(file.name(new)), |disk| {
                disk.set_len(len)?;
                disk.write_all(bytes, 0)
            })?;
            lengths.push((file, len));
        }
        sync_folder(&self.dir)?;
        self.edit_with(writer, |edit| {
            let state = &mut edit.state;
            state.arrangement = new;
            state.lists = made.list_count;
            state.blocks = made.block_count;
            state.free_block = NONE;
            state.arranged = state.live;
            state.reach = made.reach;
            state.enough = made.enough;
            for (file, len) in lengths {
                state.lengths[file as usize] = len;
            }
            edit.touch_state();
            Ok(())
        })?;
        // Whoever has them mapped keeps them. What stays because of a crash is
        // removed after the next arrangement, or written over by it.
        for number in old.saturating_sub(1)..=old {
            for file in FILES.into_iter().filter(|file| file.is_arranged()) {
                let _ = fs::remove_file(self.dir.join(file.name(number)));
            }
        }
        Ok(())
    }

    /// Opens the files for writing if need be, takes the lock, and makes the
    /// files whole if a writer died.
    fn begin<'a>(&self, slot: &'a mut Option<Writer>) -> Result<&'a mut Writer> {
        let failed = |operation| Error::io(operation, &self.dir);
        if slot.is_none() {
            let mut writer = Writer::open(&self.dir)?;
            writer.lock.lock().map_err(failed("lock"))?;
            match writer.alive.try_lock() {
                Ok(()) => {
                    if self.has_log()? || writer.counter.load() % 2 == 1 {
                        self.replay(&mut writer)?;
                    }
                    writer.alive.unlock().map_err(failed("unlock"))?;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
            }
            writer.alive.lock_shared().map_err(failed("lock"))?;
            return Ok(slot.insert(writer));
        }
        let Some(writer) = slot else {
            unreachable!("it was filled above");
        };
        writer.lock.lock().map_err(failed("lock"))?;
        if writer.counter.load() % 2 == 1 {
            self.replay(writer)?;
        }
        Ok(writer)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the log has a record that may not be in the files.
    fn has_log(&self) -> Result<bool> {
        let path = self.dir.join("log");
        let log = match Disk::open(&path) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt(&self.dir, "its log is missing"));
            }
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let epoch = self.epoch(&log)?;
        log::has_record(&log, epoch).map_err(Error::io("read", &path))
    }

    fn epoch(&self, log: &Disk) -> Result<u64> {
        log::epoch(log)
            .map_err(Error::io("read the log of", &self.dir))?
            .ok_or_else(|| corrupt(&self.dir, "its log does not begin like one"))
    }

    /// Plays the log if no living process has.
    fn recover_if_alone(&self) -> Result<()> {
        let mut writer = Writer::open(&self.dir)?;
        writer.lock.lock().map_err(Error::io("lock", &self.dir))?;
        match writer.alive.try_lock() {
            Ok(()) => self.replay(&mut writer),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &self.dir)(error)),
        }
    }

    /// Makes the files whole after a writer died in the middle.
    fn recover(&self) -> Result<()> {
        let _slot = self.writer();
        let mut writer = Writer::open(&self.dir)?;
        writer.lock.lock().map_err(Error::io("lock", &self.dir))?;
        if writer.counter.load() % 2 == 1 {
            self.replay(&mut writer)?;
        }
        Ok(())
    }

    /// Under the lock: writes what the log says, and makes a checkpoint.
    fn replay(&self, writer: &mut Writer) -> Result<()> {
        let failed = |operation| Error::io(operation, &self.dir);
        let epoch = self.epoch(&writer.log)?;
        let counter = writer.counter.load() | 1;
        writer.counter.store(counter);
        // The head first, because it says which the other files are: an
        // arrangement is only changed when the log is empty, so all records
        // are of the one that the last of them names.
        self.replay_files(&writer.log, epoch, |file, at, bytes| match file {
            File::Head => writer.head.write_all(bytes, at),
            _ => Ok(()),
        })?;
        let mut head = vec![0; 2 * PAGE];
        writer.head.read_at_most(&mut head, 0).map_err(failed("read"))?;
        let mut state = State::decode(&head)
            .ok_or_else(|| corrupt(&self.dir, "its state does not match its checksum"))?;
        self.check(&state)?;
        writer.open_files(&self.dir, state.arrangement)?;
        self.replay_files(&writer.log, epoch, |file, at, bytes| {
            writer.files[file as usize].write_all(bytes, at)
        })?;
        for file in FILES {
            writer.extend(file, state.lengths[file as usize]).map_err(failed("make room in"))?;
        }
        self.empty_log(writer, &mut state)?;
        writer.counter.store(counter + 1);
        Ok(())
    }

    fn replay_files(
        &self,
        log: &Disk,
        epoch: u64,
        mut write: impl FnMut(File, u64, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut at = log::START;
        while let Some(record) =
            log::read(log, epoch, at).map_err(Error::io("read the log of", &self.dir))?
        {
            log::replay(&record, &mut write)
                .map_err(Error::io("write to", &self.dir))?
                .ok_or_else(|| corrupt(&self.dir, "its log holds what no log has"))?;
            at += record.len() as u64;
        }
        Ok(())
    }

    /// Under the lock: makes the log unnecessary, and empties it.
    fn checkpoint(&self, writer: &mut Writer) -> Result<()> {
        let before = writer.counter.load();
        self.refresh(before)?;
        let mut view = self.view_mut();
        if view.state.log_end == log::START {
            return Ok(());
        }
        writer.open_files(&self.dir, view.state.arrangement)?;
        writer.counter.store(before + 1);
        let mut state = view.state;
        self.empty_log(writer, &mut state)?;
        writer.counter.store(before + 2);
        self.refresh_view(&mut view, before + 2)
    }

    fn empty_log(&self, writer: &Writer, state: &mut State) -> Result<()> {
        let failed = |operation| Error::io(operation, &self.dir);
        for file in FILES {
            writer.files[file as usize].sync_data().map_err(failed("sync"))?;
        }
        let epoch = self.epoch(&writer.log)? + 1;
        // Synced before the first record of the new epoch may be written:
        // the old ones are played all or not at all.
        writer
            .log
            .write_all(&log::header(epoch), 0)
            .and_then(|()| writer.log.set_len(log::START))
            .and_then(|()| writer.log.sync_data())
            .map_err(failed("empty the log of"))?;
        state.log_end = log::START;
        state.log_epoch = epoch;
        // Not synced: where it is lost, so is every record after it.
        writer.files[File::Head as usize]
            .write_all(&state.encode(), State::AT as u64)
            .map_err(failed("write to"))
    }
}

impl Drop for Store {
    /// Leaves an empty log, so that the next to open has nothing to play. If
    /// that fails the log is still there, and it will.
    fn drop(&mut self) {
        let mut slot = self.writer();
        if let Some(mut writer) = slot.take()
            && writer.lock.lock().is_ok()
            && writer.counter.load().is_multiple_of(2)
        {
            let _ = self.checkpoint(&mut writer);
        }
    }
}

impl View {
    fn new(fixed: Fixed, mapped: u64) -> Self {
        Self { fixed, state: State::default(), maps: Default::default(), seen: 1, mapped }
    }

    pub(crate) fn bytes(&self, file: File) -> &[u8] {
        self.maps[file as usize].bytes()
    }

    /// Whether single rows and codes are read through their maps.
    ///
    /// The system maps sixteen pages around each that is read. Where the files
    /// are so large that sooner or later a process would have hundreds of
    /// megabytes of them mapped, a row is read by a call of the system, which
    /// takes half a microsecond longer.
    #[inline]
    pub(crate) fn is_mapped(&self) -> bool {
        let lengths = &self.state.lengths;
        lengths[File::Rows as usize].saturating_add(lengths[File::Codes as usize]) <= self.mapped
    }

    /// The 8-bit code of a row, in the map or in `buffer`; nothing if the file
    /// ends before it.
    #[inline]
    pub(crate) fn read_code<'a>(
        &'a self,
        slot: u32,
        buffer: &'a mut Buffer,
    ) -> io::Result<Option<&'a [u8]>> {
        if self.reads_map(buffer) {
            return Ok(self.code(slot));
        }
        let Buffer { code, .. } = buffer;
        code.resize(self.fixed.code_bytes(), 0);
        Ok(self.read_past_map(File::Codes, self.fixed.code_at(slot), code)?.then_some(code))
    }

    /// The 8-bit codes of some rows, one after another.
    pub(crate) fn read_codes(&self, slots: &[u32]) -> io::Result<Option<Vec<u8>>> {
        let len = self.fixed.code_bytes();
        let mut codes = vec![0; slots.len() * len];
        for (&slot, code) in slots.iter().zip(codes.chunks_exact_mut(len)) {
            if !self.read_past_map(File::Codes, self.fixed.code_at(slot), code)? {
                return Ok(None);
            }
        }
        Ok(Some(codes))
    }

    /// The same of a row itself.
    #[inline]
    pub(crate) fn read_row<'a>(
        &'a self,
        slot: u32,
        buffer: &'a mut Buffer,
    ) -> io::Result<Option<&'a [f32]>> {
        if self.reads_map(buffer) {
            return Ok(self.row(slot));
        }
        let Buffer { row, .. } = buffer;
        row.resize(self.fixed.dimension, 0.0);
        let bytes = bytemuck::cast_slice_mut(row);
        Ok(self.read_past_map(File::Rows, self.fixed.row_at(slot), bytes)?.then_some(row))
    }

    fn read_past_map(&self, file: File, at: u64, into: &mut [u8]) -> io::Result<bool> {
        match usize::try_from(at) {
            Ok(at) => self.maps[file as usize].read(at, into),
            Err(_) => Ok(false),
        }
    }

    fn reads_map(&self, buffer: &Buffer) -> bool {
        match buffer.reading {
            Reading::Usual => self.is_mapped(),
            Reading::Once => false,
            Reading::Many => true,
        }
    }

    /// Brings the code of a row near, if it will be read through its map.
    pub(crate) fn prefetch_code(&self, slot: u32, buffer: &Buffer) {
        if self.reads_map(buffer)
            && let Some(code) = self.code(slot)
        {
            prefetch(code);
        }
    }

    /// The same of a row itself.
    pub(crate) fn prefetch_row(&self, slot: u32, buffer: &Buffer) {
        if self.reads_map(buffer)
            && let Some(row) = self.row(slot)
        {
            prefetch(bytemuck::cast_slice(row));
        }
    }

    /// After all rows or codes were read through their maps: gives them back
    /// where single ones are not read so.
    pub(crate) fn forget_rows(&self) {
        if !self.is_mapped() {
            self.maps[File::Rows as usize].forget();
            self.maps[File::Codes as usize].forget();
        }
    }

    /// Asks for some parts of a file, by their starts and lengths, to be read
    /// from the disk, without waiting for them.
    pub(crate) fn will_need(&self, file: File, parts: impl Iterator<Item = (u64, usize)>) {
        let ranges: Vec<Range<usize>> = parts
            .filter_map(|(start, len)| Some((usize::try_from(start).ok()?, len)))
            .map(|(start, len)| start..start.saturating_add(len))
            .collect();
        self.maps[file as usize].will_need(&ranges);
    }

    /// Whether the system seems to have a file in memory.
    pub(crate) fn seems_cached(&self, file: File) -> bool {
        let map = &self.maps[file as usize];
        map.seem_cached(std::slice::from_ref(&(0..map.bytes().len())))
    }
}

impl Writer {
    fn open(dir: &Path) -> Result<Self> {
        let head = open_existing(dir, &File::Head.name(0))?;
        Ok(Self {
            lock: open_lock(dir, "lock")?,
            alive: open_lock(dir, "alive")?,
            log: open_existing(dir, "log")?,
            counter: Counter::write(&head).map_err(Error::io("map the head of", dir))?,
            head,
            files: Vec::new(),
            arrangement: 0,
        })
    }

    /// Under the lock: opens what is to be written.
    fn open_files(&mut self, dir: &Path, arrangement: u64) -> Result<()> {
        if self.files.is_empty() || self.arrangement != arrangement {
            self.files = FILES
                .into_iter()
                .map(|file| open_existing(dir, &file.name(arrangement)))
                .collect::<Result<Vec<_>>>()?;
            self.arrangement = arrangement;
        }
        Ok(())
    }

    fn extend(&self, file: File, len: u64) -> io::Result<()> {
        let disk = &self.files[file as usize];
        let mut at = disk.metadata()?.len();
        let zeros = vec![0; (len.saturating_sub(at) as usize).min(PIECE)];
        while at < len {
            let count = zeros.len().min((len - at) as usize);
            disk.write_all(&zeros[..count], at)?;
            at += count as u64;
        }
        Ok(())
    }
}

/// Writes the changed lines of `pages`, neighbours together.
fn write_pages<'a>(
    pages: impl Iterator<Item = &'a EditedPage>,
    mut write: impl FnMut(File, u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut run: Option<(File, u64, Vec<u8>)> = None;
    for page in pages {
        for line in 0..64 {
            if page.mask >> line & 1 == 0 {
                continue;
            }
            let at = u64::from(page.page) * PAGE as u64 + (line * LINE) as u64;
            let bytes = &page.bytes[line * LINE..(line + 1) * LINE];
            match &mut run {
                Some((file, start, run))
                    if *file == page.file
                        && *start + run.len() as u64 == at
                        && run.len() < PIECE =>
                {
                    run.extend_from_slice(bytes);
                }
                run => {
                    if let Some((file, start, bytes)) = run.take() {
                        write(file, start, &bytes)?;
                    }
                    *run = Some((page.file, at, bytes.to_vec()));
                }
            }
        }
    }
    match run {
        Some((file, start, bytes)) => write(file, start, &bytes),
        None => Ok(()),
    }
}

fn write_new(path: &Path, write: impl FnOnce(&Disk) -> io::Result<()>) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|file| {
            write(&file)?;
            file.sync_all()
        })
        .map_err(Error::io("write", path))
}

fn open_existing(dir: &Path, name: &str) -> Result<Disk> {
    let path = dir.join(name);
    match OpenOptions::new().read(true).write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(corrupt(dir, "one of its files is missing"))
        }
        opened => opened.map_err(Error::io("open for writing", &path)),
    }
}

fn open_lock(dir: &Path, name: &str) -> Result<Disk> {
    let path = dir.join(name);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::io("open", &path))
}

fn sync_folder(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    Disk::open(dir).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", dir))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

pub(crate) fn corrupt(dir: &Path, what: &'static str) -> Error {
    Error::Corrupt { dir: dir.to_owned(), what }
}
