//! Files as memory: the one place that maps them.
#![expect(unsafe_code, reason = "mapping a file is unsafe, because another process may change it")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::{Mmap, MmapMut, MmapOptions};

/// Address space asked for beyond the end of a file, so that growing it does
/// not mean mapping it again each time. It costs no memory.
const SLACK: u64 = if cfg!(unix) { 256 << 20 } else { 0 };

/// Places that are looked at to know whether the system has bytes in memory.
const TRIED: usize = 16;

/// Reads and writes at a place, without a cursor that threads would share.
pub(crate) trait At {
    fn read_at_most(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    fn write_all(&self, bytes: &[u8], at: u64) -> io::Result<()>;
}

impl At for File {
    fn read_at_most(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            #[cfg(unix)]
            let count =
                std::os::unix::fs::FileExt::read_at(self, &mut into[done..], at + done as u64);
            #[cfg(windows)]
            let count =
                std::os::windows::fs::FileExt::seek_read(self, &mut into[done..], at + done as u64);
            match count {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_all(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_all_at(self, bytes, at);
        #[cfg(windows)]
        {
            let (mut bytes, mut at) = (bytes, at);
            while !bytes.is_empty() {
                let count = std::os::windows::fs::FileExt::seek_write(self, bytes, at)?;
                (bytes, at) = (&bytes[count..], at + count as u64);
            }
            Ok(())
        }
    }
}

/// A file, mapped for reading.
#[derive(Debug, Default)]
pub(crate) struct Map {
    map: Option<Mmap>,
    len: usize,
    file: Option<File>,
}

impl Map {
    /// Maps the first `len` bytes, which must exist.
    pub(crate) fn open(file: File, len: u64) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self::default());
        }
        if file.metadata()?.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let span = usize::try_from(len + SLACK.min(len)).map_err(io::Error::other)?;
        // SAFETY: the bytes are only ever read as plain numbers, for which any
        // value is valid, and no reference outlives the map. Writers follow
        // the protocol of `store`: what is read while a writer is at work is
        // thrown away. The files are never made shorter while they may be
        // mapped; a program that does so from outside ends this process with
        // SIGBUS, as with every mapped file.
        let map = unsafe { MmapOptions::new().len(span).map(&file)? };
        Ok(Self { map: Some(map), len: len as usize, file: Some(file) })
    }

    /// Says that the file is at least `len` long now. False if that is beyond
    /// what was mapped.
    pub(crate) fn extend(&mut self, len: u64) -> bool {
        let room = self.map.as_ref().map_or(0, |map| map.len() as u64);
        if len > room {
            return false;
        }
        self.len = self.len.max(len as usize);
        true
    }

    /// Asks for some bytes to be read from the disk, without waiting for them.
    pub(crate) fn will_need(&self, ranges: &[Range<usize>]) {
        #[cfg(unix)]
        if let Some(map) = &self.map
            // Asking takes two microseconds for each range.
            && !self.seem_cached(ranges)
        {
            for range in ranges.iter().filter(|range| range.end <= self.len) {
                // The system rounds up the length, but not down the start.
                // Only advice: where it is not taken, reading waits.
                let start = range.start / 4096 * 4096;
                let len = range.end.saturating_sub(start);
                let _ = map.advise_range(memmap2::Advice::WillNeed, start, len);
            }
        }
        #[cfg(not(unix))]
        let _ = ranges;
    }

    /// Whether the system has some bytes in memory, as far as looking at a few
    /// of them tells.
    pub(crate) fn seem_cached(&self, ranges: &[Range<usize>]) -> bool {
        let mut tried = (0..TRIED).filter_map(|i| {
            let range = ranges.get(ranges.len() * i / TRIED)?;
            Some(range.start + range.len() * i / TRIED)
        });
        tried.all(|at| self.is_cached(at))
    }

    /// Whether the system has a byte in memory; no if it does not tell.
    #[cfg(target_os = "linux")]
    fn is_cached(&self, at: usize) -> bool {
        use std::os::fd::AsRawFd;

        let (Some(file), Ok(at)) = (&self.file, i64::try_from(at)) else {
            return false;
        };
        let mut byte = 0_u8;
        let into = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: the file is open, and the one buffer is as long as it says.
        // Reading does not wait: a byte that is not in memory is not read.
        let read =
            unsafe { libc::preadv2(file.as_raw_fd(), &raw const into, 1, at, libc::RWF_NOWAIT) };
        read == 1
    }

    #[cfg(not(target_os = "linux"))]
    fn is_cached(&self, _: usize) -> bool {
        false
    }

    /// Reads some bytes past the map, so that no page of them becomes part of
    /// this process. False if the file has fewer.
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) -> io::Result<bool> {
        match &self.file {
            Some(file) if at.checked_add(into.len()).is_some_and(|end| end <= self.len) => {
                Ok(file.read_at_most(into, at as u64)? == into.len())
            }
            _ => Ok(false),
        }
    }

    /// Gives the pages back that reading has made part of this process. They
    /// stay in the system's cache, and come back when they are read again.
    pub(crate) fn forget(&self) {
        #[cfg(unix)]
        if let Some(map) = &self.map {
            // SAFETY: a file's pages that are mapped for reading only come back
            // with the bytes of the file, for all threads; so nothing that is
            // borrowed from the map changes. Only advice, as above.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // Bounded by the file's length, not the map's: beyond it lies SIGBUS.
        self.map.as_ref().map_or(&[], |map| &map[..self.len])
    }
}

/// A counter in a mapped file that all processes share.
///
/// Even while the files are whole, odd while a writer changes them. A reader
/// compares it before and after, so it never waits and never writes.
#[derive(Debug)]
pub(crate) struct Counter {
    map: Mapped,
}

#[derive(Debug)]
enum Mapped {
    Read(Mmap),
    Write(MmapMut),
}

impl Counter {
    /// The file must be at least eight bytes long; they are the counter.
    pub(crate) fn read(file: &File) -> io::Result<Self> {
        Self::check(file)?;
        // SAFETY: as in `Map::open`; these bytes are only accessed atomically.
        let map = unsafe { MmapOptions::new().len(8).map(file)? };
        Ok(Self { map: Mapped::Read(map) })
    }

    pub(crate) fn write(file: &File) -> io::Result<Self> {
        Self::check(file)?;
        // SAFETY: as in `Map::open`; these bytes are only accessed atomically.
        let map = unsafe { MmapOptions::new().len(8).map_mut(file)? };
        Ok(Self { map: Mapped::Write(map) })
    }

    fn check(file: &File) -> io::Result<()> {
        if file.metadata()?.len() < 8 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn atomic(&self) -> &AtomicU64 {
        let start = match &self.map {
            Mapped::Read(map) => map.as_ptr(),
            Mapped::Write(map) => map.as_ptr(),
        };
        // SAFETY: a map starts at a page boundary, so the pointer is aligned;
        // it is valid for eight bytes as long as `self`. Stores go through
        // `store` only, which has a writable map.
        unsafe { &*start.cast::<AtomicU64>() }
    }

    pub(crate) fn load(&self) -> u64 {
        self.atomic().load(Ordering::Acquire)
    }

    /// Reads the counter after everything that was read before the call.
    pub(crate) fn load_after(&self) -> u64 {
        fence(Ordering::Acquire);
        self.atomic().load(Ordering::Relaxed)
    }

    /// Stores before everything that is written after the call, and after
    /// everything before it. Does nothing through a map for reading.
    pub(crate) fn store(&self, value: u64) {
        if matches!(self.map, Mapped::Write(_)) {
            self.atomic().store(value, Ordering::SeqCst);
            fence(Ordering::SeqCst);
        }
    }
}
