//! What lies where in the files.
//!
//! Numbers are little-endian. `head` holds what never changes, the counter of
//! changes and the [`State`]; all else is found from there.

use crate::rotate::padded;
use crate::{Kind, Metric};

#[cfg(target_endian = "big")]
compile_error!("the files of songrec-index are little-endian and are mapped as they are");

pub(crate) const PAGE: usize = 4096;
pub(crate) const VERSION: u32 = 4;
const MAGIC: &[u8; 16] = b"songrec-index\r\n\0";

/// What is wrong with the files.
pub(crate) type Damage = &'static str;

/// No slot, no block: the end of a chain.
pub(crate) const NONE: u32 = u32::MAX;

/// The files that are mapped and changed in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum File {
    /// Page 0: the counter of changes and [`Fixed`]. Page 1: [`State`].
    Head = 0,
    /// The float32 rows, by slot; a `.npy` file.
    Rows = 1,
    /// A [`Slot`] for each row.
    Slots = 2,
    /// The pages of the hash table from keys to slots.
    Table = 3,
    /// Which page of the table holds which hashes.
    Directory = 4,
    /// The 8-bit codes, by slot.
    Codes = 5,
    /// The inverted lists and their centroids.
    Lists = 6,
    /// The rows' bits, by list.
    Blocks = 7,
    /// Where in the blocks the row of a slot is.
    Places = 8,
    /// The checksums of the pages of all files above that are not of one
    /// build, but of the head, which has its own; see `check`.
    Checks = 9,
    /// The same of those that are.
    ListChecks = 10,
}

pub(crate) const COUNT: usize = 11;
pub(crate) const FILES: [File; COUNT] = [
    File::Head,
    File::Rows,
    File::Slots,
    File::Table,
    File::Directory,
    File::Codes,
    File::Lists,
    File::Blocks,
    File::Places,
    File::Checks,
    File::ListChecks,
];

impl File {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        FILES.into_iter().find(|file| *file as u8 == code)
    }

    /// Whether there is another such file for each build of the lists.
    pub(crate) fn is_per_build(self) -> bool {
        matches!(self, Self::Lists | Self::Blocks | Self::Places | Self::ListChecks)
    }

    pub(crate) fn name(self, generation: u64) -> String {
        let name = match self {
            Self::Head => "head",
            Self::Rows => "rows.npy",
            Self::Slots => "slots",
            Self::Table => "table",
            Self::Directory => "directory",
            Self::Codes => "codes",
            Self::Lists => "lists",
            Self::Blocks => "blocks",
            Self::Places => "places",
            Self::Checks => "checks",
            Self::ListChecks => "list-checks",
        };
        if self.is_per_build() { format!("{name}-{generation}") } else { name.to_owned() }
    }
}

/// How long a file is made that has to hold `len` bytes: enough more that
/// growing is rare, little enough that the add that has to do it stays fast.
pub(crate) fn room(len: u64) -> u64 {
    (len + (len / 8).min(1 << 20)).next_multiple_of(4 * PAGE as u64)
}

/// Reads the `N` bytes at `at`, or zeros where there are none.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|slice| slice.try_into().ok()).unwrap_or([0; N])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// What an index is made with and keeps for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) dimension: usize,
    pub(crate) metric: Metric,
    pub(crate) kind: Kind,
    /// Random: spreads the keys, turns the vectors, names the index.
    pub(crate) seed: u64,
}

/// Why a page is not a [`Fixed`].
pub(crate) enum NotFixed {
    Damaged(&'static str),
    Newer(u32),
}

impl Fixed {
    /// Where it lies in page 0; the counter comes first.
    pub(crate) const AT: usize = 64;
    const LEN: usize = 48;

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
        bytes[20..24].copy_from_slice(&(self.dimension as u32).to_le_bytes());
        bytes[24..28].copy_from_slice(&self.metric.code().to_le_bytes());
        bytes[28..32].copy_from_slice(&self.kind.code().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.seed.to_le_bytes());
        let check = crc32fast::hash(&bytes[..40]);
        bytes[40..44].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(page: &[u8]) -> Result<Self, NotFixed> {
        let bytes: [u8; Self::LEN] = array(page, Self::AT);
        if &bytes[..16] != MAGIC {
            return Err(NotFixed::Damaged("its head is not that of an index"));
        }
        let version = u32_at(&bytes, 16);
        if version > VERSION {
            return Err(NotFixed::Newer(version));
        }
        if version < VERSION {
            return Err(NotFixed::Damaged("its files are of an older format"));
        }
        if crc32fast::hash(&bytes[..40]) != u32_at(&bytes, 40) {
            return Err(NotFixed::Damaged("its head does not match its checksum"));
        }
        let damaged = NotFixed::Damaged("its head holds what no index has");
        let dimension = u32_at(&bytes, 20) as usize;
        match (Metric::from_code(u32_at(&bytes, 24)), Kind::from_code(u32_at(&bytes, 28))) {
            (Some(metric), Some(kind)) if (1..=MAX_DIMENSION).contains(&dimension) => {
                Ok(Self { dimension, metric, kind, seed: u64_at(&bytes, 32) })
            }
            _ => Err(damaged),
        }
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.dimension * 4
    }

    /// How many coordinates a turned row has.
    pub(crate) fn padded(&self) -> usize {
        padded(self.dimension)
    }

    /// Where the code of `slot` begins in [`File::Codes`].
    pub(crate) fn code_at(&self, slot: u32) -> u64 {
        u64::from(slot) * self.code_bytes() as u64
    }

    pub(crate) fn code_bytes(&self) -> usize {
        record_len(self.dimension)
    }

    /// Where the row of `slot` begins in [`File::Rows`].
    pub(crate) fn row_at(&self, slot: u32) -> u64 {
        NPY_HEADER as u64 + u64::from(slot) * self.row_bytes() as u64
    }
}

pub(crate) const MAX_DIMENSION: usize = 16384;

/// For how many neighbors it is measured how many rows have to be seen.
pub(crate) const MEASURED: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// How many rows have to be seen to find as many neighbors.
pub(crate) type Enough = [u32; MEASURED.len()];

/// How far a search has to go so that no more rows lie beyond than a number,
/// in the mean of many searches: for 2^-12, 2^-11 and so on to 2^9.
pub(crate) type Reach = [f32; BEYOND];
pub(crate) const BEYOND: usize = 22;
pub(crate) const LEAST_BEYOND: f32 = 1.0 / 4096.0;

/// What changes with every put and remove; lies in page 1 of the head.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct State {
    /// How many changes were made to the index.
    pub(crate) sequence: u64,
    /// How many slots there are, with and without a row.
    pub(crate) slots: u32,
    /// How many of them hold a row.
    pub(crate) live: u32,
    /// The first slot of the chain of those that hold none.
    pub(crate) free_slot: u32,
    /// How many bits of a hash choose an entry of the directory.
    pub(crate) depth: u32,
    /// How many pages the table has.
    pub(crate) buckets: u32,
    /// Where the next record of the log goes, and in which epoch.
    pub(crate) log_end: u64,
    pub(crate) log_epoch: u64,
    /// Which build of the lists is in use; names its files.
    pub(crate) generation: u64,
    /// How many lists it has.
    pub(crate) lists: u32,
    /// How many blocks, with and without rows.
    pub(crate) blocks: u32,
    /// The first block of the chain of those without.
    pub(crate) free_block: u32,
    /// How many rows there were when it was made.
    pub(crate) built: u32,
    pub(crate) reach: Reach,
    pub(crate) enough: Enough,
    /// How long each file is, by [`File`].
    pub(crate) lengths: [u64; COUNT],
}

impl State {
    /// Where it lies in [`File::Head`].
    pub(crate) const AT: usize = PAGE;
    pub(crate) const LEN: usize = 512;

    /// How many rows have to be seen to find `count` neighbors: as many as for
    /// the next number that was measured. In between there is no telling, where
    /// the rows of one cluster end and those of others begin.
    pub(crate) fn budget(&self, count: f32) -> f32 {
        match MEASURED.iter().position(|&known| count <= known as f32) {
            Some(above) => self.enough[above] as f32,
            // Beyond, at least as many more rows as neighbors.
            None => {
                let [.., few, many] = self.enough.map(|rows| rows.max(1) as f32);
                let most = MEASURED[MEASURED.len() - 1] as f32;
                many * (count / most).powf((many / few).log2().max(1.0))
            }
        }
    }

    /// How far a list may be to be looked at, so that no more than `beyond` of
    /// the rows that count are in others.
    pub(crate) fn reach(&self, beyond: f32) -> f32 {
        let place = (beyond / LEAST_BEYOND).log2().clamp(0.0, (self.reach.len() - 1) as f32);
        let below = (place as usize).min(self.reach.len() - 2);
        let [near, far] = [self.reach[below + 1], self.reach[below]];
        if far.is_finite() { far + (near - far) * (place - below as f32) } else { far }
    }

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut words = [0; Self::LEN / 8 - 1];
        words[0] = self.sequence;
        words[1] = self.slots.into();
        words[2] = self.live.into();
        words[3] = self.free_slot.into();
        words[4] = self.depth.into();
        words[5] = self.buckets.into();
        words[6] = self.log_end;
        words[7] = self.log_epoch;
        words[8] = self.generation;
        words[9] = self.lists.into();
        words[10] = self.blocks.into();
        words[11] = self.free_block.into();
        words[12] = self.built.into();
        words[13..13 + COUNT].copy_from_slice(&self.lengths);
        let enough = self.enough.into_iter().map(u64::from);
        let measured = enough.chain(self.reach.into_iter().map(|reach| reach.to_bits().into()));
        for (word, measured) in words[13 + COUNT..].iter_mut().zip(measured) {
            *word = measured;
        }
        let mut bytes = [0; Self::LEN];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let check = crc32fast::hash(&bytes[..Self::LEN - 8]);
        bytes[Self::LEN - 8..Self::LEN - 4].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(head: &[u8]) -> Option<Self> {
        let bytes = head.get(Self::AT..Self::AT + Self::LEN)?;
        if crc32fast::hash(&bytes[..Self::LEN - 8]) != u32_at(bytes, Self::LEN - 8) {
            return None;
        }
        let word = |i: usize| u64_at(bytes, i * 8);
        let small = |i: usize| u32::try_from(word(i)).ok();
        let mut lengths = [0; COUNT];
        for (i, length) in lengths.iter_mut().enumerate() {
            *length = word(13 + i);
        }
        let (mut reach, mut enough) = (Reach::default(), Enough::default());
        for (i, enough) in enough.iter_mut().enumerate() {
            *enough = small(13 + COUNT + i)?;
        }
        for (i, reach) in reach.iter_mut().enumerate() {
            *reach = f32::from_bits(small(13 + COUNT + MEASURED.len() + i)?);
        }
        Some(Self {
            sequence: word(0),
            slots: small(1)?,
            live: small(2)?,
            free_slot: small(3)?,
            depth: small(4)?,
            buckets: small(5)?,
            log_end: word(6),
            log_epoch: word(7),
            generation: word(8),
            lists: small(9)?,
            blocks: small(10)?,
            free_block: small(11)?,
            built: small(12)?,
            reach,
            enough,
            lengths,
        })
    }
}

/// What is known of a slot beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) key: crate::Key,
    /// The change that last wrote it.
    pub(crate) sequence: u64,
    /// Checksum of the row's bytes.
    pub(crate) check: u32,
    /// [`Slot::LIVE`] if it holds a row, else the next of the free chain.
    pub(crate) next: u32,
}

impl Slot {
    pub(crate) const LEN: usize = 32;
    pub(crate) const LIVE: u32 = u32::MAX - 1;

    pub(crate) fn at(slot: u32) -> u64 {
        u64::from(slot) * Self::LEN as u64
    }

    pub(crate) fn is_live(&self) -> bool {
        self.next == Self::LIVE
    }

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(&self.key.0);
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.check.to_le_bytes());
        bytes[28..].copy_from_slice(&self.next.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            key: crate::Key(array(bytes, 0)),
            sequence: u64_at(bytes, 16),
            check: u32_at(bytes, 24),
            next: u32_at(bytes, 28),
        }
    }
}

/// How long the header of `rows.npy` is: a multiple of 64 that has room for
/// any shape.
pub(crate) const NPY_HEADER: usize = 128;

/// The header of a `.npy` file of `rows` × `dimension` float32 values
/// (format 1.0 of NumPy's NEP 1).
pub(crate) fn npy_header(rows: u32, dimension: usize) -> [u8; NPY_HEADER] {
    let mut header = [b' '; NPY_HEADER];
    header[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
    header[8..10].copy_from_slice(&(NPY_HEADER as u16 - 10).to_le_bytes());
    let text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimension}), }}");
    header[10..10 + text.len()].copy_from_slice(text.as_bytes());
    header[NPY_HEADER - 1] = b'\n';
    header
}

/// How long the 8-bit form of a row is: its bytes, then scale, error, norm.
pub(crate) fn record_len(dimension: usize) -> usize {
    padded(dimension) + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_a_damaged_one_does_not() {
        let state = State {
            sequence: 7,
            slots: 3,
            free_slot: NONE,
            lengths: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            ..State::default()
        };
        let mut head = vec![0; 2 * PAGE];
        head[State::AT..State::AT + State::LEN].copy_from_slice(&state.encode());

        assert_eq!(State::decode(&head), Some(state));
        for i in 0..State::LEN - 4 {
            head[State::AT + i] ^= 1;
            assert_eq!(State::decode(&head), None, "byte {i}");
            head[State::AT + i] ^= 1;
        }
    }

    #[test]
    fn the_largest_shape_fits_the_npy_header() {
        let header = npy_header(u32::MAX, MAX_DIMENSION);

        assert!(header.ends_with(b"), }                  \n") || header.ends_with(b" \n"));
        assert_eq!((header.len()) % 64, 0);
    }
}
