//! One writer at a time, among all threads and processes.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::error::{Fault, Result};

// Longer than any batch takes; a rebuild of a large library may take longer,
// and then the error names it.
const PATIENCE: Duration = Duration::from_secs(120);
const LONGEST_NAP: Duration = Duration::from_millis(20);

/// The lock of a library. The system lets it go when its process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct WriteLock {
    path: PathBuf,
    // The threads of this process would all have the file's lock at once, so
    // they take turns here first.
    file: Mutex<Option<File>>,
    // The file may only be read: then the process that locks it looks, and writes
    // nothing.
    reading: bool,
}

/// Nobody else writes while this is there.
#[derive(Debug)]
pub(crate) struct Locked<'a>(MutexGuard<'a, Option<File>>);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some(file) = &*self.0 {
            // If it fails, closing the file lets the lock go.
            if file.unlock().is_err() {
                *self.0 = None;
            }
        }
    }
}

impl WriteLock {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::new(None), reading: false }
    }

    /// The lock of a library that may only be read.
    pub(crate) fn for_reading(path: PathBuf) -> Self {
        Self { reading: true, ..Self::new(path) }
    }

    /// Whether another process or thread is writing this moment.
    pub(crate) fn is_held(&self) -> bool {
        File::open(&self.path)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Waits for the lock.
    pub(crate) fn acquire(&self) -> Result<Locked<'_>> {
        let guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.wait(guard, PATIENCE)?.ok_or(Fault::Busy(PATIENCE.as_secs()))
    }

    /// The lock, if nobody has it.
    pub(crate) fn try_acquire(&self) -> Result<Option<Locked<'_>>> {
        match self.file.try_lock() {
            Ok(guard) => self.wait(guard, Duration::ZERO),
            Err(std::sync::TryLockError::Poisoned(guard)) => {
                self.wait(guard.into_inner(), Duration::ZERO)
            }
            Err(std::sync::TryLockError::WouldBlock) => Ok(None),
        }
    }

    // Nothing if there is no file, and none can be made.
    fn open(&self) -> Result<Option<File>> {
        let mut options = File::options();
        if self.reading {
            options.read(true);
        } else {
            options.create(true).truncate(false).write(true);
        }
        match options.open(&self.path) {
            Err(_) if self.reading => Ok(None),
            opened => opened.map(Some).map_err(Fault::io("open", &self.path)),
        }
    }

    fn wait<'a>(
        &self,
        mut guard: MutexGuard<'a, Option<File>>,
        patience: Duration,
    ) -> Result<Option<Locked<'a>>> {
        let file = match &mut *guard {
            Some(file) => file,
            empty => match self.open()? {
                Some(opened) => empty.insert(opened),
                None => return Ok(Some(Locked(guard))),
            },
        };
        let begin = Instant::now();
        let mut nap = Duration::from_micros(200);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Locked(guard))),
                // A share may not lock what cannot be written.
                Err(TryLockError::Error(_)) if self.reading => return Ok(Some(Locked(guard))),
                Err(TryLockError::Error(error)) => {
                    return Err(Fault::io("lock", &self.path)(error));
                }
                Err(TryLockError::WouldBlock) if begin.elapsed() >= patience => return Ok(None),
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(nap);
                    nap = (nap * 2).min(LONGEST_NAP);
                }
            }
        }
    }
}
