//! The files in one state, for reading.

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::Error;
use crate::check::{self, Checked, Checker, DIFFERENT, Known};
use crate::kernel::prefetch;
use crate::layout::{COUNT, Damage, File, Fixed, PAGE, Slot, State};
use crate::map::Map;

/// The files in one state, as mapped memory.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) fixed: Fixed,
    pub(crate) state: State,
    pub(crate) maps: [Map; COUNT],
    /// Which of their pages were compared with their checksums.
    pub(crate) known: [Known; COUNT],
    /// Whether pages are compared at all: not where they may change meanwhile.
    pub(crate) compares: bool,
    /// What the counter was when this state was read; odd if it never was.
    pub(crate) seen: u64,
    /// How long rows and codes together may be to be read through their maps.
    pub(crate) mapped: u64,
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

impl View {
    pub(crate) fn new(fixed: Fixed, mapped: u64) -> Self {
        Self {
            fixed,
            state: State::default(),
            maps: Default::default(),
            known: Default::default(),
            compares: true,
            seen: 1,
            mapped,
        }
    }

    /// All bytes of a file, whether they are as they were written or not.
    pub(crate) fn unchecked(&self, file: File) -> &[u8] {
        self.maps[file as usize].bytes()
    }

    /// Some bytes of a file, as they were written.
    #[inline]
    pub(crate) fn bytes(&self, file: File, at: u64, len: usize) -> Result<&[u8], Damage> {
        let range = range(at, len)?;
        let bytes = self.unchecked(file).get(range.clone()).ok_or(ENDS_EARLY)?;
        self.check(file, &range)?;
        Ok(bytes)
    }

    /// Compares the pages of some bytes with their checksums, unless they were.
    #[inline]
    pub(crate) fn check(&self, file: File, range: &Range<usize>) -> Result<(), Damage> {
        if self.known[file as usize].has(range) || !self.compares {
            return Ok(());
        }
        self.compare(file, range)
    }

    #[cold]
    fn compare(&self, file: File, range: &Range<usize>) -> Result<(), Damage> {
        let known = &self.known[file as usize];
        for page in range.start / PAGE..range.end.div_ceil(PAGE) {
            if !known.has_page(page) {
                let bytes = self.unchecked(file).get(page * PAGE..).ok_or(ENDS_EARLY)?;
                let bytes = &bytes[..bytes.len().min(PAGE)];
                match self.check_page(file, page, bytes) {
                    Checked::Sound => {}
                    // The end of a block that no row has come to yet.
                    Checked::Unwritten if bytes.iter().all(|&byte| byte == 0) => continue,
                    Checked::Unwritten | Checked::Different => return Err(DIFFERENT),
                }
                known.add(page);
            }
        }
        Ok(())
    }

    /// The same of all pages that were ever written.
    pub(crate) fn check_pages(&self, file: File, pages: Range<usize>) -> Result<(), Damage> {
        let known = &self.known[file as usize];
        for page in pages.filter(|&page| !known.has_page(page)) {
            let Some(bytes) = self.unchecked(file).get(page * PAGE..) else { break };
            match self.check_page(file, page, &bytes[..bytes.len().min(PAGE)]) {
                Checked::Sound => known.add(page),
                Checked::Unwritten => {}
                Checked::Different => return Err(DIFFERENT),
            }
        }
        Ok(())
    }

    pub(crate) fn check_page(&self, file: File, page: usize, bytes: &[u8]) -> Checked {
        let Some((checks, _)) = check::place(file, page as u64) else { return Checked::Sound };
        let checks = self.unchecked(checks);
        Checker::new(&self.fixed, &self.state).check(file, page as u64, bytes, checks)
    }

    pub(crate) fn is_known(&self, file: File, page: usize) -> bool {
        self.known[file as usize].has_page(page)
    }

    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> Result<Slot, Damage> {
        Ok(Slot::decode(self.bytes(File::Slots, Slot::at(slot), Slot::LEN)?))
    }

    /// The 8-bit form of a row.
    pub(crate) fn code(&self, slot: u32) -> Result<&[u8], Damage> {
        self.bytes(File::Codes, self.fixed.code_at(slot), self.fixed.code_bytes())
    }

    pub(crate) fn row(&self, slot: u32) -> Result<&[f32], Damage> {
        let bytes = self.bytes(File::Rows, self.fixed.row_at(slot), self.fixed.row_bytes())?;
        bytemuck::try_cast_slice(bytes).map_err(|_| "a row is not where numbers may be")
    }

    /// Whether single rows or codes are read through the map of their file.
    ///
    /// The system maps sixteen pages around each that is read. Where the file
    /// is so large that sooner or later a process would have hundreds of
    /// megabytes of it mapped, a row is read by a call of the system, which
    /// takes half a microsecond longer.
    #[inline]
    pub(crate) fn is_mapped(&self, file: File) -> bool {
        self.state.lengths[file as usize] <= self.mapped
    }

    /// The 8-bit code of a row, in the map or in `buffer`.
    #[inline]
    pub(crate) fn read_code<'a>(
        &'a self,
        slot: u32,
        buffer: &'a mut Buffer,
    ) -> Result<&'a [u8], Unread> {
        if self.reads_map(File::Codes, buffer) {
            return Ok(self.code(slot)?);
        }
        let Buffer { code, .. } = buffer;
        code.resize(self.fixed.code_bytes(), 0);
        self.read_past_map(File::Codes, self.fixed.code_at(slot), code)?;
        Ok(code)
    }

    /// The 8-bit codes of some rows, one after another.
    pub(crate) fn read_codes(&self, slots: &[u32]) -> Result<Vec<u8>, Unread> {
        let len = self.fixed.code_bytes();
        let mut codes = vec![0; slots.len() * len];
        for (&slot, code) in slots.iter().zip(codes.chunks_exact_mut(len)) {
            self.read_past_map(File::Codes, self.fixed.code_at(slot), code)?;
        }
        Ok(codes)
    }

    /// The same of a row itself.
    #[inline]
    pub(crate) fn read_row<'a>(
        &'a self,
        slot: u32,
        buffer: &'a mut Buffer,
    ) -> Result<&'a [f32], Unread> {
        if self.reads_map(File::Rows, buffer) {
            return Ok(self.row(slot)?);
        }
        let Buffer { row, .. } = buffer;
        row.resize(self.fixed.dimension, 0.0);
        let bytes = bytemuck::cast_slice_mut(row);
        self.read_past_map(File::Rows, self.fixed.row_at(slot), bytes)?;
        Ok(row)
    }

    fn read_past_map(&self, file: File, at: u64, into: &mut [u8]) -> Result<(), Unread> {
        let range = range(at, into.len())?;
        if !self.compares || self.known[file as usize].has(&range) {
            return self.read_bytes(file, range.start, into);
        }
        // Whole pages, the first time, because these have the checksums.
        let first = range.start / PAGE;
        let end = range.end.next_multiple_of(PAGE).min(self.unchecked(file).len());
        let mut pages = vec![0; end.saturating_sub(first * PAGE)];
        self.read_bytes(file, first * PAGE, &mut pages)?;
        for (page, bytes) in pages.chunks(PAGE).enumerate() {
            if self.check_page(file, first + page, bytes) != Checked::Sound {
                return Err(DIFFERENT.into());
            }
            self.known[file as usize].add(first + page);
        }
        let wanted = pages.get(range.start - first * PAGE..range.end - first * PAGE);
        into.copy_from_slice(wanted.ok_or(ENDS_EARLY)?);
        Ok(())
    }

    fn read_bytes(&self, file: File, at: usize, into: &mut [u8]) -> Result<(), Unread> {
        match self.maps[file as usize].read(at, into) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ENDS_EARLY.into()),
            Err(error) => Err(Unread::Io(error)),
        }
    }

    fn reads_map(&self, file: File, buffer: &Buffer) -> bool {
        match buffer.reading {
            Reading::Usual => self.is_mapped(file),
            Reading::Once => false,
            Reading::Many => true,
        }
    }

    /// Brings the code of a row near, if it will be read through its map.
    pub(crate) fn prefetch_code(&self, slot: u32, buffer: &Buffer) {
        if self.reads_map(File::Codes, buffer)
            && let Some(code) = self.there(File::Codes, self.fixed.code_at(slot))
        {
            prefetch(&code[..code.len().min(self.fixed.code_bytes())]);
        }
    }

    /// The same of a row itself.
    pub(crate) fn prefetch_row(&self, slot: u32, buffer: &Buffer) {
        if self.reads_map(File::Rows, buffer)
            && let Some(row) = self.there(File::Rows, self.fixed.row_at(slot))
        {
            prefetch(&row[..row.len().min(self.fixed.row_bytes())]);
        }
    }

    /// What will be read soon, and only then compared.
    fn there(&self, file: File, at: u64) -> Option<&[u8]> {
        self.unchecked(file).get(usize::try_from(at).ok()?..)
    }

    /// After all rows or codes were read through their maps: gives them back
    /// where single ones are not read so.
    pub(crate) fn forget_rows(&self) {
        for file in [File::Rows, File::Codes] {
            if !self.is_mapped(file) {
                self.maps[file as usize].forget();
            }
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

const ENDS_EARLY: Damage = "a file ends before what it should hold";

fn range(at: u64, len: usize) -> Result<Range<usize>, Damage> {
    let start = usize::try_from(at).map_err(|_| ENDS_EARLY)?;
    Ok(start..start.checked_add(len).ok_or(ENDS_EARLY)?)
}

/// Why a row or a code could not be read.
#[derive(Debug)]
pub(crate) enum Unread {
    Damaged(Damage),
    Io(io::Error),
}

impl From<Damage> for Unread {
    fn from(what: Damage) -> Self {
        Self::Damaged(what)
    }
}

impl Unread {
    pub(crate) fn of(self, dir: &Path) -> Error {
        match self {
            Self::Damaged(what) => Error::corrupt(dir, what),
            Self::Io(source) => Error::io("read a row of", dir)(source),
        }
    }
}
