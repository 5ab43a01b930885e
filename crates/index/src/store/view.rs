//! The files in one state, for reading.

use std::io;
use std::ops::Range;
use std::path::Path;

use super::corrupt;
use crate::kernel::prefetch;
use crate::layout::{COUNT, File, Fixed, Slot, State};
use crate::map::Map;
use crate::{Key, Result, table};

/// The files in one state, as mapped memory.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) fixed: Fixed,
    pub(crate) state: State,
    pub(super) maps: [Map; COUNT],
    /// What the counter was when this state was read; odd if it never was.
    pub(super) seen: u64,
    /// How long rows and codes together may be to be read through their maps.
    pub(super) mapped: u64,
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
    pub(super) fn new(fixed: Fixed, mapped: u64) -> Self {
        Self { fixed, state: State::default(), maps: Default::default(), seen: 1, mapped }
    }

    pub(crate) fn bytes(&self, file: File) -> &[u8] {
        self.maps[file as usize].bytes()
    }

    pub(crate) fn find(&self, dir: &Path, key: &Key) -> Result<Option<u32>> {
        table::find(
            key,
            self.fixed.seed,
            self.state.depth,
            self.bytes(File::Directory),
            self.bytes(File::Table),
            self.bytes(File::Slots),
        )
        .map_err(|what| corrupt(dir, what))
    }

    pub(crate) fn slot(&self, slot: u32) -> Option<Slot> {
        let at = slot as usize * Slot::LEN;
        let bytes = self.bytes(File::Slots).get(at..at + Slot::LEN)?;
        Some(Slot::decode(bytes))
    }

    /// The 8-bit form of a row.
    pub(crate) fn code(&self, slot: u32) -> Option<&[u8]> {
        let at = usize::try_from(self.fixed.code_at(slot)).ok()?;
        self.bytes(File::Codes).get(at..at + self.fixed.code_bytes())
    }

    pub(crate) fn row(&self, slot: u32) -> Option<&[f32]> {
        let at = usize::try_from(self.fixed.row_at(slot)).ok()?;
        let bytes = self.bytes(File::Rows).get(at..at + self.fixed.row_bytes())?;
        bytemuck::try_cast_slice(bytes).ok()
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
