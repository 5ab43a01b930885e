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

mod change;
mod recover;

use std::fs::{self, File as Disk, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard};

pub(crate) use self::change::Built;
use self::change::{Writer, write_pages};
use crate::check::Known;
use crate::edit::{Edit, Edited};
use crate::layout::{FILES, File, Fixed, NONE, NPY_HEADER, NotFixed, PAGE, State, VERSION};
use crate::lists::{self, BlockLayout, Centroids};
use crate::map::{At, Counter, Map};
use crate::view::View;
use crate::{Error, Result, layout, log, table};

/// Pages that are compared with their checksums in one go.
const PAGES_AT_ONCE: usize = 1024;
/// How often a reader tries again before it makes writers wait.
const TRIES: usize = 4;
/// Files are written in pieces of at most this.
const PIECE: usize = 1 << 20;
/// How long the file of rows, or that of codes, may be to be read through its
/// map, unless somebody says otherwise.
const MAPPED: u64 = 128 << 20;

#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    fixed: Fixed,
    counter: Counter,
    view: RwLock<View>,
    writer: Mutex<Option<Writer>>,
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
            generation: 1,
            lists: 1,
            ..State::default()
        };
        let mut edit = Edit::new(fixed, state);
        edit.write(File::Head, Fixed::AT as u64, &fixed.encode());
        edit.write(File::Rows, 0, &layout::npy_header(0, fixed.dimension));
        for file in [File::Slots, File::Codes, File::Blocks, File::Places] {
            edit.reserve(file, 1);
        }
        table::create(&mut edit);
        // One list around the origin, until there are rows to build lists of.
        let origin = (vec![0.0; fixed.padded()], 0.0);
        edit.write(File::Lists, 0, &lists::empty(&fixed, &[origin]));
        let Edited { state, pages, .. } =
            edit.finish().map_err(|what| Error::corrupt(dir, what))?;

        let log = dir.join("log");
        write_new(&log, |file| file.write_all(&log::header(epoch), 0))?;
        for file in FILES.into_iter().rev() {
            let len = state.lengths[file as usize];
            let write = |disk: &Disk| {
                fill(disk, 0, len)?;
                let of_file = pages.iter().filter(|page| page.file == file);
                write_pages(of_file, |_, at, bytes| disk.write_all(bytes, at))
            };
            let path = dir.join(file.name(state.generation));
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
            NotFixed::Damaged(what) => Error::corrupt(dir, what),
            NotFixed::Newer(found) => Error::Newer { dir: dir.to_owned(), found, known: VERSION },
        })?;
        let short = |_| Error::corrupt(dir, "its head ends early");
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
            .ok_or_else(|| Error::corrupt(&self.dir, "its state does not match its checksum"))?;
        if self.counter.load_after() != now {
            return Ok(());
        }
        self.check(&state)?;
        for file in FILES {
            let len = state.lengths[file as usize];
            let map = &mut view.maps[file as usize];
            let other = file.is_per_build() && state.generation != view.state.generation;
            let known = &mut view.known[file as usize];
            if other || map.bytes().is_empty() || !map.extend(len) {
                *map = self.map(file, state.generation, len)?;
            }
            if other {
                *known = Known::default();
            }
            known.grow(map.bytes().len());
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
        let block = BlockLayout::new(&self.fixed).block_len() as u64;
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
        Err(Error::corrupt(&self.dir, "its state says more than its files hold"))
    }

    /// The first `len` bytes of a file, mapped.
    pub(crate) fn map(&self, file: File, generation: u64, len: u64) -> Result<Map> {
        let path = self.dir.join(file.name(generation));
        let disk = match Disk::open(&path) {
            Ok(disk) => disk,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::corrupt(&self.dir, "one of its files is missing"));
            }
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        Map::open(disk, len).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::corrupt(&self.dir, "one of its files ends early")
            }
            _ => Error::io("map", &path)(error),
        })
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares everything that was ever written to some files with its
    /// checksums, piece by piece, so that writers do not have to wait and this process
    /// does not hold a whole file.
    pub(crate) fn check_whole(&self, files: &[File]) -> Result<()> {
        for &file in files {
            let pages = self.read(|view| Ok(view.unchecked(file).len().div_ceil(PAGE)))?;
            for first in (0..pages).step_by(PAGES_AT_ONCE) {
                self.read(|view| {
                    let checked = view.check_pages(file, first..pages.min(first + PAGES_AT_ONCE));
                    view.forget_rows();
                    checked.map_err(|what| Error::corrupt(&self.dir, what))
                })?;
            }
        }
        Ok(())
    }

    /// The files as they are now, mapped once more: for long work that must
    /// not keep writers waiting, and can bear that rows change under it.
    pub(crate) fn snapshot(&self) -> Result<View> {
        loop {
            let (sequence, mapped) = self.read(|view| Ok((view.seen, view.mapped)))?;
            let mut view = View { compares: false, ..View::new(self.fixed, mapped) };
            self.refresh_view(&mut view, sequence)?;
            if view.seen == sequence {
                return Ok(view);
            }
        }
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

/// Makes a file longer by zeros that are there, not by a hole: a hole in a
/// mapped file takes its room when it is first looked at, and where there is
/// none then, looking ends the process with SIGBUS.
fn fill(disk: &Disk, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    let zeros = vec![0; (to.saturating_sub(at) as usize).min(PIECE)];
    while at < to {
        let count = zeros.len().min((to - at) as usize);
        disk.write_all(&zeros[..count], at)?;
        at += count as u64;
    }
    Ok(())
}

fn open_existing(dir: &Path, name: &str) -> Result<Disk> {
    let path = dir.join(name);
    match OpenOptions::new().read(true).write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::corrupt(dir, "one of its files is missing"))
        }
        opened => opened.map_err(Error::io("open for writing", &path)),
    }
}

fn open_lock(dir: &Path, name: &str) -> Result<Disk> {
    let path = dir.join(name);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    // A lock of what may only be read can be looked at, and held shared.
    let opened = match opened {
        Err(error) if is_denied(&error) => Disk::open(&path).map_err(|_| error),
        opened => opened,
    };
    opened.map_err(Error::io("open", &path))
}

fn is_denied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn sync_folder(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    Disk::open(dir).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", dir))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}
