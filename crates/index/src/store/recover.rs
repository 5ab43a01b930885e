//! The log played after a crash, and emptied when the files are whole.

use std::fs::{File as Disk, TryLockError};
use std::io;

use super::change::Writer;
use super::{Store, is_denied, open_lock};
use crate::layout::{FILES, File, PAGE, State};
use crate::map::At;
use crate::{Error, Result, log};

impl Store {
    /// Whether the log has a record that may not be in the files.
    pub(super) fn has_log(&self) -> Result<bool> {
        let path = self.dir.join("log");
        let log = match Disk::open(&path) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::corrupt(&self.dir, "its log is missing"));
            }
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let epoch = self.epoch(&log)?;
        // One that does not begin with a record is empty, begins with one that
        // was cut off, or has lost it.
        Ok(log::has_record(&log, epoch).map_err(Error::io("read", &path))?
            || self.is_log_damaged(&log, epoch)?)
    }

    /// Whether the log lacks a record that was in it: one after it is whole, or
    /// the files hold what it did. With a living writer, either may be because
    /// it is writing.
    fn is_log_damaged(&self, log: &Disk, epoch: u64) -> Result<bool> {
        let failed = || Error::io("read the log of", &self.dir);
        let end = log::end(log, epoch).map_err(failed())?;
        if log::has_record_beyond(log, epoch, end).map_err(failed())? {
            return Ok(true);
        }
        let mut page = vec![0; 2 * PAGE];
        let head = Disk::open(self.dir.join(File::Head.name(0))).map_err(failed())?;
        head.read_at_most(&mut page, 0).map_err(failed())?;
        let state = State::decode(&page);
        Ok(state.is_some_and(|state| state.log_epoch == epoch && state.log_end > end))
    }

    fn epoch(&self, log: &Disk) -> Result<u64> {
        log::epoch(log)
            .map_err(Error::io("read the log of", &self.dir))?
            .ok_or_else(|| Error::corrupt(&self.dir, "its log does not begin like one"))
    }

    /// Plays the log if no living process has.
    pub(super) fn recover_if_alone(&self) -> Result<()> {
        let mut writer = match Writer::open(&self.dir) {
            // Somebody else's, who is at work: what is logged is in the files.
            Err(Error::Io { source, .. }) if is_denied(&source) && self.is_alive() => return Ok(()),
            opened => opened?,
        };
        writer.lock.lock().map_err(Error::io("lock", &self.dir))?;
        match writer.alive.try_lock() {
            Ok(()) => self.replay(&mut writer),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &self.dir)(error)),
        }
    }

    // Whether a process lives that has changed the files.
    fn is_alive(&self) -> bool {
        let look = || -> io::Result<bool> {
            // A process that wants to know the same takes this lock first.
            let open = |name| open_lock(&self.dir, name).map_err(io::Error::other);
            let (lock, alive) = (open("lock")?, open("alive")?);
            lock.lock_shared()?;
            Ok(matches!(alive.try_lock(), Err(TryLockError::WouldBlock)))
        };
        look().unwrap_or(false)
    }

    /// Makes the files whole after a writer died in the middle.
    pub(super) fn recover(&self) -> Result<()> {
        let _slot = self.writer();
        let mut writer = Writer::open(&self.dir)?;
        writer.lock.lock().map_err(Error::io("lock", &self.dir))?;
        if writer.counter.load() % 2 == 1 {
            self.replay(&mut writer)?;
        }
        Ok(())
    }

    /// Under the lock: writes what the log says, and makes a checkpoint.
    pub(super) fn replay(&self, writer: &mut Writer) -> Result<()> {
        let failed = |operation| Error::io(operation, &self.dir);
        let epoch = self.epoch(&writer.log)?;
        if self.is_log_damaged(&writer.log, epoch)? {
            return Err(Error::corrupt(&self.dir, "a part of its log does not match its checksum"));
        }
        let counter = writer.counter.load() | 1;
        writer.counter.store(counter);
        // The head first, because it says which the other files are: an
        // build is only changed when the log is empty, so all records
        // are of the one that the last of them names.
        self.replay_files(&writer.log, epoch, |file, at, bytes| match file {
            File::Head => writer.head.write_all(bytes, at),
            _ => Ok(()),
        })?;
        let mut head = vec![0; 2 * PAGE];
        writer.head.read_at_most(&mut head, 0).map_err(failed("read"))?;
        let mut state = State::decode(&head)
            .ok_or_else(|| Error::corrupt(&self.dir, "its state does not match its checksum"))?;
        self.check(&state)?;
        writer.open_files(&self.dir, state.generation)?;
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
                .ok_or_else(|| Error::corrupt(&self.dir, "its log holds what no log has"))?;
            at += record.len() as u64;
        }
        Ok(())
    }

    /// Under the lock: makes the log unnecessary, and empties it.
    pub(super) fn checkpoint(&self, writer: &mut Writer) -> Result<()> {
        let before = writer.counter.load();
        self.refresh(before)?;
        let mut view = self.view_mut();
        if view.state.log_end == log::START {
            return Ok(());
        }
        writer.open_files(&self.dir, view.state.generation)?;
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
