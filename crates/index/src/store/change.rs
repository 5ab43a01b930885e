//! Changing the files: one edit, or another build of the lists of all rows.

use std::fs::{self, File as Disk, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use super::{PIECE, Store, fill, open_existing, open_lock, sync_folder, write_new};
use crate::check::Checker;
use crate::edit::{Edit, Edited, EditedPage, LINE};
use crate::layout::{self, Enough, FILES, File, NONE, PAGE, Reach, State};
use crate::map::{At, Counter};
use crate::view::View;
use crate::{Error, Result, log};

/// A checkpoint is made when the log is longer: it bounds what opening after a
/// crash has to read, and is far above one batch.
const CHECKPOINT: u64 = 32 << 20;

/// What a process needs to change the files.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) lock: Disk,
    /// Held, shared, from the first change until the checkpoint at the end.
    pub(super) alive: Disk,
    pub(super) log: Disk,
    pub(super) counter: Counter,
    pub(super) head: Disk,
    /// The files by [`File`], and the build that some of them belong to.
    pub(super) files: Vec<Disk>,
    generation: u64,
}

/// The files of a build of the lists.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) lists: Vec<u8>,
    pub(crate) blocks: Vec<u8>,
    pub(crate) places: Vec<u8>,
    /// What the state has to say of it.
    pub(crate) list_count: u32,
    pub(crate) block_count: u32,
    pub(crate) reach: Reach,
    pub(crate) enough: Enough,
}

impl Store {
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
            let mut edit = Edit::over(&view);
            let value = work(&mut edit)?;
            if edit.weight() == 0 {
                return Ok(value);
            }
            edit.state.sequence += 1;
            (value, edit.finish().map_err(|what| Error::corrupt(&self.dir, what))?)
        };
        writer.open_files(&self.dir, edited.state.generation)?;
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
        state.log_end = start + log::record_len(&pages) as u64;
        let head = pages
            .iter_mut()
            .find(|page| page.file == File::Head && page.page == (State::AT / PAGE) as u32);
        if let Some(head) = head {
            head.bytes[..State::LEN].copy_from_slice(&state.encode());
        }
        let record = log::record(state.log_epoch, &pages);
        debug_assert_eq!(start + record.len() as u64, state.log_end);
        let logged = writer.log.write_all(&record, start).and_then(|()| writer.log.sync_data());
        if let Err(error) = logged {
            // Not to be played by anyone: the caller gets the error.
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

    /// The turn to build the lists; nothing if somebody else has it. Given back when
    /// it is dropped, or when its process ends.
    pub(crate) fn turn_to_build(&self) -> Result<Option<Disk>> {
        let turn = open_lock(&self.dir, "arranging")?;
        match turn.try_lock() {
            Ok(()) => Ok(Some(turn)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &self.dir)(error)),
        }
    }

    /// Changes to another build of the lists, which `make` makes of the rows while
    /// other writers wait. Readers go on with the old one until it is ready.
    pub(crate) fn build(&self, make: impl FnOnce(&View) -> Result<Built>) -> Result<()> {
        let mut slot = self.writer();
        let writer = self.begin(&mut slot)?;
        let result = self.build_with(writer, make);
        let unlocked = writer.lock.unlock().map_err(Error::io("unlock", &self.dir));
        result.and(unlocked)
    }

    fn build_with(
        &self,
        writer: &mut Writer,
        make: impl FnOnce(&View) -> Result<Built>,
    ) -> Result<()> {
        // Records of the log are then all of one build.
        self.checkpoint(writer)?;
        let old = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            view.state.generation
        };
        let made = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            let made = make(&view);
            view.forget_rows();
            made?
        };
        let new = old + 1;
        let mut lengths = Vec::new();
        let files = [
            (File::Lists, made.lists.as_slice()),
            (File::Blocks, &made.blocks),
            (File::Places, &made.places),
        ];
        let checks = Checker::new(&self.fixed, &State { generation: new, ..State::default() })
            .of_build(&files);
        for (file, bytes) in files.into_iter().chain([(File::ListChecks, checks.as_slice())]) {
            let len = layout::room(bytes.len() as u64);
            write_new(&self.dir.join(file.name(new)), |disk| {
                disk.write_all(bytes, 0)?;
                fill(disk, bytes.len() as u64, len)
            })?;
            lengths.push((file, len));
        }
        sync_folder(&self.dir)?;
        self.edit_with(writer, |edit| {
            let state = &mut edit.state;
            state.generation = new;
            state.lists = made.list_count;
            state.blocks = made.block_count;
            state.free_block = NONE;
            state.built = state.live;
            state.reach = made.reach;
            state.enough = made.enough;
            for (file, len) in lengths {
                state.lengths[file as usize] = len;
            }
            edit.touch_state();
            Ok(())
        })?;
        // Processes that have them mapped keep them. What stays because of a crash is
        // removed after the next build, or written over by it.
        for number in old.saturating_sub(1)..=old {
            for file in FILES.into_iter().filter(|file| file.is_per_build()) {
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

    pub(super) fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let head = open_existing(dir, &File::Head.name(0))?;
        Ok(Self {
            lock: open_lock(dir, "lock")?,
            alive: open_lock(dir, "alive")?,
            log: open_existing(dir, "log")?,
            counter: Counter::write(&head).map_err(Error::io("map the head of", dir))?,
            head,
            files: Vec::new(),
            generation: 0,
        })
    }

    /// Under the lock: opens what is to be written.
    pub(super) fn open_files(&mut self, dir: &Path, generation: u64) -> Result<()> {
        if self.files.is_empty() || self.generation != generation {
            self.files = FILES
                .into_iter()
                .map(|file| open_existing(dir, &file.name(generation)))
                .collect::<Result<Vec<_>>>()?;
            self.generation = generation;
        }
        Ok(())
    }

    pub(super) fn extend(&self, file: File, len: u64) -> io::Result<()> {
        let disk = &self.files[file as usize];
        fill(disk, disk.metadata()?.len(), len)
    }
}

/// Writes the changed lines of `pages`, neighbours together.
pub(super) fn write_pages<'a>(
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
