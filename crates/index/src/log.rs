//! The redo log: what a change writes, before it is written in place.
//!
//! A change is one record, and durable once the log is. Records hold the bytes
//! to write and where, so that playing them again, however often, gives the
//! same files whichever of their pages had reached the disk. A record that is
//! not whole is the end of the log: its change never happened. But one that
//! other records follow, or that the files are known to be ahead of, was whole
//! once: then the log is damaged.

use std::fs;
use std::io;

use crate::edit::{EditedPage, LINE};
use crate::layout::{File, PAGE, array, u32_at, u64_at};
use crate::map::At;

/// Length of the log's own header; records follow.
pub(crate) const START: u64 = 64;
const MAGIC: &[u8; 16] = b"songrec-redo-log";
const RECORD: usize = 32;
const ENTRY: usize = 16;

pub(crate) fn header(epoch: u64) -> [u8; START as usize] {
    let mut bytes = [0; START as usize];
    bytes[..16].copy_from_slice(MAGIC);
    bytes[16..24].copy_from_slice(&epoch.to_le_bytes());
    let check = crc32fast::hash(&bytes[..24]);
    bytes[24..28].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// The epoch that the log is in; only its records count.
pub(crate) fn epoch(log: &fs::File) -> io::Result<Option<u64>> {
    let mut bytes = [0; START as usize];
    let count = log.read_at_most(&mut bytes, 0)?;
    let whole = count == bytes.len()
        && &bytes[..16] == MAGIC
        && crc32fast::hash(&bytes[..24]) == u32_at(&bytes, 24);
    Ok(whole.then(|| u64_at(&bytes, 16)))
}

/// How long [`record`] makes the record of `pages`.
pub(crate) fn record_len(pages: &[EditedPage]) -> usize {
    let lines: usize = pages.iter().map(|page| page.mask.count_ones() as usize).sum();
    RECORD + pages.len() * ENTRY + lines * LINE
}

/// One record: everything that `pages` change.
pub(crate) fn record(epoch: u64, pages: &[EditedPage]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(record_len(pages));
    bytes.resize(RECORD, 0);
    for page in pages {
        bytes.push(page.file as u8);
        bytes.extend([0; 3]);
        bytes.extend(page.page.to_le_bytes());
        bytes.extend(page.mask.to_le_bytes());
        for line in lines(page.mask) {
            bytes.extend(&page.bytes[line * LINE..(line + 1) * LINE]);
        }
    }
    let len = (bytes.len() - RECORD) as u64;
    bytes[8..16].copy_from_slice(&epoch.to_le_bytes());
    bytes[16..24].copy_from_slice(&len.to_le_bytes());
    let check = crc32fast::hash(&bytes[8..]);
    bytes[..4].copy_from_slice(b"redo");
    bytes[4..8].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// Whether the log begins like one that has a record of this epoch; the record
/// need not be whole.
pub(crate) fn has_record(log: &fs::File, epoch: u64) -> io::Result<bool> {
    let mut head = [0; RECORD];
    let count = log.read_at_most(&mut head, START)?;
    Ok(count == RECORD && &head[..4] == b"redo" && u64_at(&head, 8) == epoch)
}

/// Reads the record at `at`; `None` where none of this epoch is whole.
pub(crate) fn read(log: &fs::File, epoch: u64, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; RECORD];
    if log.read_at_most(&mut head, at)? < RECORD
        || &head[..4] != b"redo"
        || u64_at(&head, 8) != epoch
    {
        return Ok(None);
    }
    let len = u64_at(&head, 16);
    let rest = log.metadata()?.len().saturating_sub(at + RECORD as u64);
    if len > rest {
        return Ok(None);
    }
    let mut bytes = head.to_vec();
    bytes.resize(RECORD + len as usize, 0);
    let count = log.read_at_most(&mut bytes[RECORD..], at + RECORD as u64)?;
    let whole = count as u64 == len && crc32fast::hash(&bytes[8..]) == u32_at(&head, 4);
    Ok(whole.then_some(bytes))
}

/// Where the whole records of this epoch end.
pub(crate) fn end(log: &fs::File, epoch: u64) -> io::Result<u64> {
    let mut at = START;
    while let Some(record) = read(log, epoch, at)? {
        at += record.len() as u64;
    }
    Ok(at)
}

/// Whether there is a whole record anywhere after `end`. Each is synced before
/// the next is written, so a crash leaves none beyond the one that it cut off.
pub(crate) fn has_record_beyond(log: &fs::File, epoch: u64, end: u64) -> io::Result<bool> {
    let mut rest = vec![0; usize::try_from(log.metadata()?.len().saturating_sub(end)).unwrap_or(0)];
    let count = log.read_at_most(&mut rest, end)?;
    // The parts of records, and so their beginnings, are multiples of this.
    for (i, bytes) in rest[..count].chunks_exact(ENTRY).enumerate() {
        if &bytes[..4] == b"redo"
            && u64_at(bytes, 8) == epoch
            && read(log, epoch, end + (i * ENTRY) as u64)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Calls `write` with each run of bytes of a record and where it goes. `None`
/// if the record holds what no record has.
pub(crate) fn replay(
    record: &[u8],
    mut write: impl FnMut(File, u64, &[u8]) -> io::Result<()>,
) -> io::Result<Option<()>> {
    let mut rest = &record[RECORD.min(record.len())..];
    while !rest.is_empty() {
        let Some((entry, lines_and_more)) = rest.split_at_checked(ENTRY) else {
            return Ok(None);
        };
        let mask = u64_at(entry, 8);
        let (Some(file), Some((bytes, more))) = (
            File::from_code(entry[0]),
            lines_and_more.split_at_checked(mask.count_ones() as usize * LINE),
        ) else {
            return Ok(None);
        };
        let page = u64::from(u32::from_le_bytes(array(entry, 4))) * PAGE as u64;
        for (line, bytes) in lines(mask).zip(bytes.chunks_exact(LINE)) {
            write(file, page + (line * LINE) as u64, bytes)?;
        }
        rest = more;
    }
    Ok(Some(()))
}

fn lines(mask: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |line| mask >> line & 1 == 1)
}
