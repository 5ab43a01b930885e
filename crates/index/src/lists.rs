//! Rows in inverted lists, which a search walks through.
//!
//! A list is a chain of blocks of 32 rows; only the first block may have room.
//! A row is added to the first block of its list, and the place of a removed
//! row is taken by the last row of the first block. So adding and removing
//! touch one or two blocks, and lists stay packed.

use std::ops::Range;

use crate::Key;
use crate::code::{Bits, Plane, Record};
use crate::edit::Edit;
use crate::kernel::{Factors, GROUP, prefetch};
use crate::layout::{Damage, File, Fixed, NONE, Slot, record_len, u32_at};
use crate::view::View;

/// Length of a list's own entry.
pub(crate) const LIST: usize = 64;

/// Where things lie in [`File::Lists`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Centroids {
    lists: usize,
    padded: usize,
    record: usize,
}

impl Centroids {
    pub(crate) fn new(fixed: &Fixed, lists: u32) -> Self {
        Self { lists: lists as usize, padded: fixed.padded(), record: record_len(fixed.dimension) }
    }

    pub(crate) fn len(&self) -> u64 {
        (self.lists * (LIST + self.record + self.padded * 4)) as u64
    }

    pub(crate) fn record_at(&self, list: u32) -> Range<usize> {
        let start = self.lists * LIST + list as usize * self.record;
        start..start + self.record
    }

    pub(crate) fn values_at(&self, list: u32) -> Range<usize> {
        let start = self.lists * (LIST + self.record) + list as usize * self.padded * 4;
        start..start + self.padded * 4
    }

    /// The entries and codes of all lists, as they were written.
    pub(crate) fn records<'a>(&self, view: &'a View) -> Result<&'a [u8], Damage> {
        view.bytes(File::Lists, 0, self.lists * (LIST + self.record))
    }

    /// All that the lists have.
    pub(crate) fn all<'a>(&self, view: &'a View) -> Result<&'a [u8], Damage> {
        view.bytes(File::Lists, 0, self.len() as usize)
    }

    /// The 8-bit code of a centroid.
    pub(crate) fn record<'a>(&self, bytes: &'a [u8], list: u32) -> Option<Record<'a>> {
        Record::decode(bytes.get(self.record_at(list))?)
    }

    /// The centroid.
    pub(crate) fn values<'a>(&self, bytes: &'a [u8], list: u32) -> Option<&'a [f32]> {
        bytemuck::try_cast_slice(bytes.get(self.values_at(list))?).ok()
    }
}

/// The entry of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    /// The first block, or [`NONE`].
    pub(crate) head: u32,
    /// How many rows it holds.
    pub(crate) count: u32,
    /// The square of the centroid's length.
    pub(crate) square: f32,
    /// How far rows are from the centroid: the root of the mean square.
    pub(crate) radius: f32,
}

impl List {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            head: u32_at(bytes, 0),
            count: u32_at(bytes, 4),
            square: f32::from_bits(u32_at(bytes, 8)),
            radius: f32::from_bits(u32_at(bytes, 12)),
        }
    }

    pub(crate) fn encode(&self) -> [u8; LIST] {
        let mut bytes = [0; LIST];
        bytes[..4].copy_from_slice(&self.head.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.square.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.radius.to_le_bytes());
        bytes
    }
}

/// Where things lie in a block, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockLayout {
    columns: usize,
}

impl BlockLayout {
    const SLOTS: usize = 64;
    const SCALES: usize = Self::SLOTS + GROUP * 4;
    const SHIFTS: usize = Self::SCALES + GROUP * 4;
    const NORMS: usize = Self::SHIFTS + GROUP * 4;
    /// The first bits, byte column by byte column.
    const BITS: usize = Self::NORMS + GROUP * 4;

    pub(crate) fn new(fixed: &Fixed) -> Self {
        Self { columns: fixed.padded() / 8 }
    }

    /// The second bits, row by row, each with its scale and shift: few rows'
    /// are looked at, and each is then one or two lines of memory.
    fn second(self) -> usize {
        Self::BITS + self.columns * GROUP
    }

    fn second_len(self) -> usize {
        self.columns + 8
    }

    pub(crate) fn block_len(self) -> usize {
        self.second() + self.second_len() * GROUP
    }

    fn at(self, block: u32) -> u64 {
        u64::from(block) * self.block_len() as u64
    }

    /// Where `count` rows of a list lie that begins in `block`, if nothing was
    /// put or removed since it was made.
    pub(crate) fn span(self, block: u32, count: u32) -> (u64, usize) {
        (self.at(block), count.div_ceil(GROUP as u32) as usize * self.block_len())
    }

    #[inline]
    pub(crate) fn block(self, view: &View, block: u32) -> Result<Block<'_>, Damage> {
        let bytes = view.bytes(File::Blocks, self.at(block), self.block_len())?;
        self.decode(bytes).ok_or("a block is not where numbers may be")
    }

    /// Brings near what all rows of a block are estimated by, if there is such a
    /// block.
    #[inline]
    pub(crate) fn prefetch_block(self, bytes: &[u8], block: u32) {
        if let Ok(start) = usize::try_from(self.at(block))
            && let Some(bytes) = bytes.get(start..)
        {
            prefetch(&bytes[..bytes.len().min(self.second())]);
        }
    }

    fn decode(self, bytes: &[u8]) -> Option<Block<'_>> {
        let part = |at: usize| &bytes[at..at + GROUP * 4];
        let floats = |at| bytemuck::try_cast_slice(part(at)).ok()?.try_into().ok();
        Some(Block {
            next: u32_at(bytes, 0),
            list: u32_at(bytes, 4),
            count: u32_at(bytes, 8),
            slots: bytemuck::try_cast_slice(part(Self::SLOTS)).ok()?.try_into().ok()?,
            factors: Factors {
                scale: floats(Self::SCALES)?,
                shift: floats(Self::SHIFTS)?,
                norm: floats(Self::NORMS)?,
            },
            bits: &bytes[Self::BITS..self.second()],
            second: &bytes[self.second()..],
        })
    }

    /// All bytes of the second bits of the row at a place, as [`place_of`] has
    /// it.
    pub(crate) fn second_of(self, bytes: &[u8], place: u32) -> Option<&[u8]> {
        let (block, place) = (place / GROUP as u32, place as usize % GROUP);
        let start = usize::try_from(self.at(block)).ok()? + self.second();
        bytes.get(start + place * self.second_len()..)?.get(..self.second_len())
    }

    /// The slot of the row at a place, and its norm.
    pub(crate) fn slot_of(self, bytes: &[u8], place: u32) -> Option<(u32, f32)> {
        let (block, place) = (place / GROUP as u32, place as usize % GROUP);
        let start = usize::try_from(self.at(block)).ok()? + place * 4;
        let word = |at: usize| Some(u32_at(bytes.get(start + at..)?.get(..4)?, 0));
        Some((word(Self::SLOTS)?, f32::from_bits(word(Self::NORMS)?)))
    }

    /// Where in a block the bytes of the row at `place` are.
    fn pieces(self, place: usize) -> impl Iterator<Item = Range<usize>> {
        let words = [Self::SLOTS, Self::SCALES, Self::SHIFTS, Self::NORMS].into_iter();
        let words = words.map(move |start| start + place * 4..start + place * 4 + 4);
        let first = (0..self.columns).map(move |column| {
            let at = Self::BITS + column * GROUP + place;
            at..at + 1
        });
        let second = self.second() + place * self.second_len();
        words.chain(first).chain(std::iter::once(second..second + self.second_len()))
    }

    /// Gives `put` the bytes of a row, and where in a block they belong.
    fn write(
        self,
        place: usize,
        slot: u32,
        bits: &Bits,
        norm: f32,
        mut put: impl FnMut(usize, &[u8]),
    ) {
        // In the order of `pieces`.
        let Bits { first, second } = bits;
        let mut bytes = slot.to_le_bytes().to_vec();
        bytes.extend([first.scale, first.shift, norm].into_iter().flat_map(f32::to_le_bytes));
        bytes.extend(&first.bits);
        bytes.extend(&second.bits);
        bytes.extend([second.scale, second.shift].into_iter().flat_map(f32::to_le_bytes));
        let mut rest = bytes.as_slice();
        for piece in self.pieces(place) {
            let (now, later) = rest.split_at(piece.len());
            put(piece.start, now);
            rest = later;
        }
    }

    /// Puts a row into a block that is being made in memory.
    pub(crate) fn fill(self, block: &mut [u8], place: usize, slot: u32, bits: &Bits, norm: f32) {
        self.write(place, slot, bits, norm, |at, bytes| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
        });
    }
}

/// The head of a block that is being made in memory.
pub(crate) fn block_head(next: u32, list: u32, count: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&next.to_le_bytes());
    bytes[4..8].copy_from_slice(&list.to_le_bytes());
    bytes[8..].copy_from_slice(&count.to_le_bytes());
    bytes
}

/// 32 rows of a list, or fewer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) next: u32,
    pub(crate) list: u32,
    pub(crate) count: u32,
    pub(crate) slots: &'a [u32; GROUP],
    pub(crate) factors: Factors<'a>,
    pub(crate) bits: &'a [u8],
    second: &'a [u8],
}

/// The second bits of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Second<'a> {
    pub(crate) bits: &'a [u8],
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

impl<'a> Second<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (bits, factors) = bytes.split_at(bytes.len() - 8);
        let float = |at| f32::from_bits(u32_at(factors, at));
        Self { bits, scale: float(0), shift: float(4) }
    }
}

impl<'a> Block<'a> {
    /// The bits of one row.
    pub(crate) fn row(&self, place: usize) -> Bits {
        let len = self.second.len() / GROUP;
        let Second { bits, scale, shift } = Second::new(&self.second[place * len..][..len]);
        Bits {
            first: Plane {
                bits: self.bits.chunks_exact(GROUP).map(|column| column[place]).collect(),
                scale: self.factors.scale[place],
                shift: self.factors.shift[place],
            },
            second: Plane { bits: bits.to_vec(), scale, shift },
        }
    }
}

fn list(edit: &mut Edit<'_>, list: u32) -> Result<List, Damage> {
    if list >= edit.state.lists {
        return Err("a block is of a list that is not there");
    }
    let bytes: [u8; 16] = edit.bytes(File::Lists, u64::from(list) * LIST as u64);
    let known = List::decode(&bytes);
    if known.head != NONE && known.head >= edit.state.blocks {
        return Err("a list begins in a block that is not there");
    }
    Ok(known)
}

fn write_list(edit: &mut Edit<'_>, list: u32, head: u32, count: u32) {
    let at = u64::from(list) * LIST as u64;
    edit.write_u32(File::Lists, at, head);
    edit.write_u32(File::Lists, at + 4, count);
}

/// Adds a row to a list.
pub(crate) fn insert(
    edit: &mut Edit<'_>,
    block_layout: BlockLayout,
    slot: u32,
    to: u32,
    bits: &Bits,
    norm: f32,
) -> Result<(), Damage> {
    let known = list(edit, to)?;
    let mut head = known.head;
    let mut count = match head {
        NONE => GROUP as u32,
        head => edit.u32(File::Blocks, block_layout.at(head) + 8),
    };
    if count >= GROUP as u32 {
        let new = take_block(edit, block_layout)?;
        edit.write(File::Blocks, block_layout.at(new), &block_head(head, to, 0));
        (head, count) = (new, 0);
    }
    let at = block_layout.at(head);
    block_layout.write(count as usize, slot, bits, norm, |within, bytes| {
        edit.write(File::Blocks, at + within as u64, bytes);
    });
    edit.write_u32(File::Blocks, at + 8, count + 1);
    write_list(edit, to, head, known.count.saturating_add(1));
    edit.write_u32(File::Places, u64::from(slot) * 4, place_of(head, count));
    Ok(())
}

pub(crate) fn place_of(block: u32, place: u32) -> u32 {
    block * GROUP as u32 + place
}

/// Takes a row out of its list.
pub(crate) fn remove(
    edit: &mut Edit<'_>,
    block_layout: BlockLayout,
    slot: u32,
) -> Result<(), Damage> {
    let wide = GROUP as u32;
    let place = edit.u32(File::Places, u64::from(slot) * 4);
    let (block, place) = (place / wide, u64::from(place % wide));
    let at = block_layout.at(block);
    if block >= edit.state.blocks || edit.u32(File::Blocks, slot_at(at, place)) != slot {
        return Err("a row is not in its list");
    }
    let from = edit.u32(File::Blocks, at + 4);
    let known = list(edit, from)?;
    let head = block_layout.at(known.head);
    let count = match known.head {
        NONE => 0,
        _ => edit.u32(File::Blocks, head + 8),
    };
    if !(1..=wide).contains(&count) {
        return Err("a list has a first block without rows");
    }
    let last = u64::from(count - 1);
    if (head, last) != (at, place) {
        let moved = edit.u32(File::Blocks, slot_at(head, last));
        if moved >= edit.state.slots {
            return Err("a block names a slot that is not there");
        }
        let mut bytes = Vec::new();
        for (from, to) in
            block_layout.pieces(last as usize).zip(block_layout.pieces(place as usize))
        {
            bytes.resize(from.len(), 0);
            edit.read(File::Blocks, head + from.start as u64, &mut bytes);
            edit.write(File::Blocks, at + to.start as u64, &bytes);
        }
        let to = place_of(block, place as u32);
        edit.write_u32(File::Places, u64::from(moved) * 4, to);
    }
    edit.write_u32(File::Blocks, slot_at(head, last), NONE);
    edit.write_u32(File::Blocks, head + 8, count - 1);
    let mut first = known.head;
    if count == 1 {
        first = edit.u32(File::Blocks, head);
        edit.write_u32(File::Blocks, head, edit.state.free_block);
        edit.state.free_block = known.head;
    }
    write_list(edit, from, first, known.count.saturating_sub(1));
    edit.write_u32(File::Places, u64::from(slot) * 4, NONE);
    Ok(())
}

fn slot_at(block: u64, place: u64) -> u64 {
    block + BlockLayout::SLOTS as u64 + place * 4
}

fn take_block(edit: &mut Edit<'_>, block_layout: BlockLayout) -> Result<u32, Damage> {
    let free = edit.state.free_block;
    if free == NONE {
        let new = edit.state.blocks;
        if new >= NONE / GROUP as u32 {
            return Err("it has as many blocks as it can name");
        }
        edit.state.blocks += 1;
        edit.reserve(File::Blocks, block_layout.at(new + 1));
        return Ok(new);
    }
    if free >= edit.state.blocks || edit.u32(File::Blocks, block_layout.at(free) + 8) != 0 {
        return Err("a block is both free and in use");
    }
    edit.state.free_block = edit.u32(File::Blocks, block_layout.at(free));
    Ok(free)
}

/// The keys of a list's rows.
pub(crate) fn keys_of(view: &View, list: u32) -> Result<Vec<Key>, Damage> {
    let lists = view.unchecked(File::Lists);
    let block_layout = BlockLayout::new(&view.fixed);
    let known = List::decode(lists.get(list as usize * LIST..).ok_or("a list is missing")?);
    let mut keys = Vec::with_capacity(known.count.min(view.state.slots) as usize);
    let (mut next, mut blocks) = (known.head, 0);
    while next != NONE {
        blocks += 1;
        // Of a snapshot, too, the blocks may be of later lists than the state.
        if blocks > view.state.blocks {
            break;
        }
        let Ok(block) = block_layout.block(view, next) else { break };
        for &slot in block.slots.iter().take(block.count as usize) {
            let live = view.slot(slot).ok().filter(Slot::is_live);
            keys.extend(live.map(|slot| slot.key));
        }
        next = block.next;
    }
    Ok(keys)
}

/// Lists without rows, as bytes of [`File::Lists`].
pub(crate) fn empty(fixed: &Fixed, centroids: &[(Vec<f32>, f32)]) -> Vec<u8> {
    let layout = Centroids::new(fixed, centroids.len() as u32);
    let mut bytes = vec![0; layout.len() as usize];
    for (list, (values, radius)) in centroids.iter().enumerate() {
        let entry = List {
            head: NONE,
            count: 0,
            square: values.iter().map(|value| value * value).sum(),
            radius: *radius,
        };
        let list = list as u32;
        bytes[list as usize * LIST..][..LIST].copy_from_slice(&entry.encode());
        bytes[layout.record_at(list)].copy_from_slice(&crate::code::encode_turned(values, 0.0));
        bytes[layout.values_at(list)].copy_from_slice(bytemuck::cast_slice(values));
    }
    bytes
}
