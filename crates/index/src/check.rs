//! Checksums of pages, so that damage is noticed before it is believed.
//!
//! Every page of a file that is changed in place has a checksum in another
//! file, which is changed with it. A process compares a page when it first
//! reads it, and then remembers that it did: so a search costs what it did once
//! its pages are known, and the first one a third of a microsecond a page more.
//!
//! A checksum is also one of the index, the file and the page: bytes of another
//! index, or of another place, do not pass for these.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::layout::{Damage, File, Fixed, PAGE, State, u32_at};

/// Checksums in a page of them. All are of one file.
const TOGETHER: usize = PAGE / 4;
/// What a page has that was never written.
const UNWRITTEN: u32 = 0;

pub(crate) const DIFFERENT: Damage = "a part of a file does not match its checksum";

/// Whose pages are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checker {
    seed: u64,
    generation: u64,
}

/// What the checksum of a page says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is as it was written.
    Sound,
    /// It was never written, so it is no part of the index whatever it holds.
    Unwritten,
    Different,
}

impl Checker {
    pub(crate) fn new(fixed: &Fixed, state: &State) -> Self {
        Self { seed: fixed.seed, generation: state.generation }
    }

    /// The checksum of a page; the last one of a file may be shorter.
    pub(crate) fn sum(self, file: File, page: u64, bytes: &[u8]) -> u32 {
        let generation = if file.is_per_build() { self.generation } else { 0 };
        let mut of = [0; 32];
        for (into, word) in
            of.as_chunks_mut::<8>().0.iter_mut().zip([self.seed, generation, page, file as u64])
        {
            *into = word.to_le_bytes();
        }
        let mut hasher = crc32fast::Hasher::new_with_initial(crc32fast::hash(&of));
        hasher.update(bytes);
        match hasher.finalize() {
            UNWRITTEN => !UNWRITTEN,
            sum => sum,
        }
    }

    /// Compares a page with its checksum, which is in `checks`.
    pub(crate) fn check(self, file: File, page: u64, bytes: &[u8], checks: &[u8]) -> Checked {
        let Some((_, at)) = place(file, page) else { return Checked::Sound };
        let known = usize::try_from(at).ok().and_then(|at| checks.get(at..at + 4));
        match known.map_or(UNWRITTEN, |known| u32_at(known, 0)) {
            UNWRITTEN => Checked::Unwritten,
            known if known == self.sum(file, page, bytes) => Checked::Sound,
            _ => Checked::Different,
        }
    }

    /// The checksums of whole files of a build.
    pub(crate) fn of_build(self, files: &[(File, &[u8])]) -> Vec<u8> {
        let mut checks = Vec::new();
        for (file, bytes) in files {
            for (page, bytes) in bytes.chunks(PAGE).enumerate() {
                let Some((_, at)) = place(*file, page as u64) else { continue };
                let at = at as usize;
                if checks.len() < at + 4 {
                    checks.resize((at + 4).next_multiple_of(PAGE), 0);
                }
                // The file goes on with zeros to the end of the page.
                let mut whole = [0; PAGE];
                whole[..bytes.len()].copy_from_slice(bytes);
                let sum = self.sum(*file, page as u64, &whole);
                checks[at..at + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        checks
    }
}

/// Where the checksum of a page is: in which file, and where there. Nothing for
/// pages that have none.
pub(crate) fn place(file: File, page: u64) -> Option<(File, u64)> {
    // The pages of checksums of several files take turns, so that each file may
    // grow; what is never written takes no room on most disks.
    let (turn, turns) = match file {
        File::Rows => (0, 5),
        File::Slots => (1, 5),
        File::Table => (2, 5),
        File::Directory => (3, 5),
        File::Codes => (4, 5),
        File::Lists => (0, 3),
        File::Blocks => (1, 3),
        File::Places => (2, 3),
        File::Head | File::Checks | File::ListChecks => return None,
    };
    let into = if file.is_per_build() { File::ListChecks } else { File::Checks };
    let together = TOGETHER as u64;
    let before = (page / together * turns + turn) * together;
    Some((into, (before + page % together) * 4))
}

/// Which pages of a file were compared.
#[derive(Debug, Default)]
pub(crate) struct Known {
    words: Vec<AtomicU64>,
}

impl Known {
    /// Makes room for a file of `len` bytes.
    pub(crate) fn grow(&mut self, len: usize) {
        let words = len.div_ceil(PAGE).div_ceil(64);
        if words > self.words.len() {
            self.words.resize_with(words, AtomicU64::default);
        }
    }

    /// Whether all pages of some bytes were.
    #[inline]
    pub(crate) fn has(&self, range: &Range<usize>) -> bool {
        let (first, end) = (range.start / PAGE, range.end.div_ceil(PAGE));
        (first..end).all(|page| self.has_page(page))
    }

    #[inline]
    pub(crate) fn has_page(&self, page: usize) -> bool {
        let word = self.words.get(page / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (page % 64) & 1 == 1)
    }

    pub(crate) fn add(&self, page: usize) {
        if let Some(word) = self.words.get(page / 64) {
            word.fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::layout::FILES;

    #[test]
    fn every_page_has_a_place_of_its_own() {
        let mut places = HashSet::new();
        for file in FILES {
            for page in (0..3000).chain([1 << 20, 1 << 30]) {
                if let Some(place) = place(file, page) {
                    assert!(places.insert((place.0 as u8, place.1)), "{file:?} {page}");
                }
            }
        }
    }

    #[test]
    fn the_same_bytes_elsewhere_have_another_checksum() {
        let checker = |seed, generation| Checker { seed, generation };
        let bytes = [7; PAGE];
        let sum = checker(1, 1).sum(File::Lists, 5, &bytes);

        assert_ne!(sum, checker(2, 1).sum(File::Lists, 5, &bytes));
        assert_ne!(sum, checker(1, 2).sum(File::Lists, 5, &bytes));
        assert_ne!(sum, checker(1, 1).sum(File::Blocks, 5, &bytes));
        assert_ne!(sum, checker(1, 1).sum(File::Lists, 6, &bytes));
        // What is not of one build of the lists stays when there is another.
        let rows = checker(1, 1).sum(File::Rows, 5, &bytes);
        assert_eq!(rows, checker(1, 2).sum(File::Rows, 5, &bytes));
    }
}
