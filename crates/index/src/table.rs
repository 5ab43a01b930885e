//! From keys to slots: an extendible hash table (Fagin, Nievergelt, Pippenger,
//! Strong 1979) of pages of one disk page each.
//!
//! The high bits of a hash choose an entry of the directory, which names a
//! page; in the page the low bits choose a place, and the next free one is
//! taken. A page that fills up is split into two. So a look-up reads two
//! places, and a change writes one or two pages, whatever the size.

use std::path::Path;

use crate::edit::Edit;
use crate::layout::{Damage, File, NONE, PAGE, Slot, u32_at};
use crate::view::View;
use crate::{Error, Key};

/// Bytes before the entries of a page: depth and count.
const HEADER: usize = 16;
const ENTRY: usize = 8;
const ENTRIES: usize = (PAGE - HEADER) / ENTRY;
/// A page is split when it holds this many: three quarters, so that a search
/// for a free place stays short.
const FULL: u32 = (ENTRIES * 3 / 4) as u32;
/// Enough for 2^32 rows; more would mean keys that all have one hash.
const MAX_DEPTH: u32 = 26;

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    /// [`NONE`] where the place is free.
    slot: u32,
}

/// The slot of `key` in the index in `dir`.
pub(crate) fn find(view: &View, dir: &Path, key: &Key) -> crate::Result<Option<u32>> {
    find_on(view, key).map_err(|what| Error::corrupt(dir, what))
}

fn find_on(view: &View, key: &Key) -> Result<Option<u32>, Damage> {
    let depth = view.state.depth;
    if depth > MAX_DEPTH {
        return Err("its table is deeper than any");
    }
    let hash = key.hash(view.fixed.seed);
    let at = u64::from(choice(hash, depth)) * 4;
    let page = u32_at(view.bytes(File::Directory, at, 4)?, 0);
    let page = view.bytes(File::Table, u64::from(page) * PAGE as u64, PAGE)?;
    for step in 0..ENTRIES {
        let at = HEADER + (hash as usize + step) % ENTRIES * ENTRY;
        let slot = u32_at(page, at + 4);
        if slot == NONE {
            return Ok(None);
        }
        if u32_at(page, at) == hash && view.slot(slot)?.key == *key {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

/// The first page, with nothing in it, and the directory that names it.
pub(crate) fn create(edit: &mut Edit<'_>) {
    edit.state.depth = 0;
    edit.state.buckets = 1;
    write_page(edit, 0, 0, &[]);
    edit.write_u32(File::Directory, 0, 0);
}

/// The same as [`find`], of the files as they will be.
pub(crate) fn find_in(edit: &mut Edit<'_>, key: &Key, seed: u64) -> Result<Option<u32>, Damage> {
    let hash = key.hash(seed);
    let page = page_of(edit, hash)?;
    for step in 0..ENTRIES {
        let entry = entry(edit, page, (hash as usize + step) % ENTRIES);
        if entry.slot == NONE {
            return Ok(None);
        }
        if entry.hash != hash {
            continue;
        }
        if entry.slot >= edit.state.slots {
            return Err("its table names a slot that is not there");
        }
        if edit.bytes::<16>(File::Slots, Slot::at(entry.slot)) == key.0 {
            return Ok(Some(entry.slot));
        }
    }
    Ok(None)
}

/// Adds a key that is not there.
pub(crate) fn insert(edit: &mut Edit<'_>, key: &Key, seed: u64, slot: u32) -> Result<(), Damage> {
    let hash = key.hash(seed);
    loop {
        let page = page_of(edit, hash)?;
        let (depth, count) = header(edit, page);
        if count < FULL {
            place(edit, page, Entry { hash, slot });
            write_header(edit, page, depth, count + 1);
            return Ok(());
        }
        if depth >= MAX_DEPTH {
            return Err("too many of its keys have one hash");
        }
        split(edit, page, depth, hash)?;
    }
}

/// Removes a key from the table. Nothing happens if it is not there.
pub(crate) fn remove(edit: &mut Edit<'_>, key: &Key, seed: u64, slot: u32) -> Result<(), Damage> {
    let hash = key.hash(seed);
    let page = page_of(edit, hash)?;
    let Some(mut hole) = (0..ENTRIES)
        .map(|step| (hash as usize + step) % ENTRIES)
        .find(|&at| entry(edit, page, at).slot == slot)
    else {
        return Ok(());
    };
    // Entries that were put further along because the hole was taken move up,
    // so that a search may stop at the first free place.
    let mut at = hole;
    for _ in 1..ENTRIES {
        at = (at + 1) % ENTRIES;
        let next = entry(edit, page, at);
        if next.slot == NONE {
            break;
        }
        let home = next.hash as usize % ENTRIES;
        let stays = (at + ENTRIES - home) % ENTRIES < (at + ENTRIES - hole) % ENTRIES;
        if !stays {
            write_entry(edit, page, hole, next);
            hole = at;
        }
    }
    write_entry(edit, page, hole, Entry { hash: 0, slot: NONE });
    let (depth, count) = header(edit, page);
    write_header(edit, page, depth, count.saturating_sub(1));
    Ok(())
}

fn choice(hash: u32, depth: u32) -> u32 {
    if depth == 0 { 0 } else { hash >> (32 - depth) }
}

fn page_of(edit: &mut Edit<'_>, hash: u32) -> Result<u32, Damage> {
    let depth = edit.state.depth;
    if depth > MAX_DEPTH {
        return Err("its table is deeper than any");
    }
    let page = edit.u32(File::Directory, u64::from(choice(hash, depth)) * 4);
    if page >= edit.state.buckets {
        return Err("its directory names a page that is not there");
    }
    Ok(page)
}

fn header(edit: &mut Edit<'_>, page: u32) -> (u32, u32) {
    let bytes: [u8; 8] = edit.bytes(File::Table, u64::from(page) * PAGE as u64);
    (u32_at(&bytes, 0), u32_at(&bytes, 4))
}

fn write_header(edit: &mut Edit<'_>, page: u32, depth: u32, count: u32) {
    let at = u64::from(page) * PAGE as u64;
    edit.write_u32(File::Table, at, depth);
    edit.write_u32(File::Table, at + 4, count);
}

fn entry_at(page: u32, place: usize) -> u64 {
    u64::from(page) * PAGE as u64 + (HEADER + place * ENTRY) as u64
}

fn entry(edit: &mut Edit<'_>, page: u32, place: usize) -> Entry {
    let bytes: [u8; ENTRY] = edit.bytes(File::Table, entry_at(page, place));
    Entry { hash: u32_at(&bytes, 0), slot: u32_at(&bytes, 4) }
}

fn write_entry(edit: &mut Edit<'_>, page: u32, place: usize, entry: Entry) {
    let mut bytes = [0; ENTRY];
    bytes[..4].copy_from_slice(&entry.hash.to_le_bytes());
    bytes[4..].copy_from_slice(&entry.slot.to_le_bytes());
    edit.write(File::Table, entry_at(page, place), &bytes);
}

fn place(edit: &mut Edit<'_>, page: u32, new: Entry) {
    let free = (0..ENTRIES)
        .map(|step| (new.hash as usize + step) % ENTRIES)
        .find(|&at| entry(edit, page, at).slot == NONE);
    // A page is split before it fills up, so there is a free place.
    if let Some(at) = free {
        write_entry(edit, page, at, new);
    }
}

fn write_page(edit: &mut Edit<'_>, page: u32, depth: u32, entries: &[Entry]) {
    let mut bytes = vec![0xff; PAGE];
    bytes[..HEADER].fill(0);
    edit.write(File::Table, u64::from(page) * PAGE as u64, &bytes);
    write_header(edit, page, depth, entries.len() as u32);
    for &entry in entries {
        place(edit, page, entry);
    }
}

/// Moves the entries whose next bit is set to a new page.
fn split(edit: &mut Edit<'_>, page: u32, depth: u32, hash: u32) -> Result<(), Damage> {
    if depth > edit.state.depth {
        return Err("a page of its table is deeper than its directory");
    }
    if depth == edit.state.depth {
        // Every entry of the directory becomes two; four bytes each, so even
        // for ten million rows this writes some hundred kilobytes.
        let len = 1u32 << depth;
        let old: Vec<u32> = (0..len).map(|i| edit.u32(File::Directory, u64::from(i) * 4)).collect();
        let new: Vec<u8> = old.iter().flat_map(|page| [page.to_le_bytes(); 2].concat()).collect();
        edit.write(File::Directory, 0, &new);
        edit.state.depth += 1;
    }
    let entries: Vec<Entry> = (0..ENTRIES)
        .map(|place| entry(edit, page, place))
        .filter(|entry| entry.slot != NONE)
        .collect();
    let (ones, zeros): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.hash >> (31 - depth) & 1 == 1);
    let new = edit.state.buckets;
    edit.state.buckets += 1;
    write_page(edit, page, depth + 1, &zeros);
    write_page(edit, new, depth + 1, &ones);

    // The entries of the directory that named the page and have the bit set.
    let width = edit.state.depth - depth - 1;
    let first = (choice(hash, depth) << 1 | 1) << width;
    for i in first..first + (1 << width) {
        edit.write_u32(File::Directory, u64::from(i) * 4, new);
    }
    Ok(())
}
