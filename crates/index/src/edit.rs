//! A change under way: the pages it will write, kept beside the files.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::check::{self, Checked, Checker, DIFFERENT};
use crate::layout::{Damage, File, Fixed, PAGE, State, room};
use crate::view::View;

/// The unit in which changes are noted: one bit of a page's mask.
pub(crate) const LINE: usize = PAGE / 64;

/// Reads the files as they will be once the edit is applied, and collects what
/// has to be written for that. Nothing is written until it is committed.
#[derive(Debug)]
pub(crate) struct Edit<'a> {
    pub(crate) state: State,
    fixed: Fixed,
    /// The files as they are; none of a new index.
    base: Option<&'a View>,
    /// What was found wrong with what was read; nothing is written then.
    damage: Option<Damage>,
    pages: Vec<EditedPage>,
    laid: Vec<Laid>,
    places: HashMap<u64, usize, BuildHasherDefault<Spread>>,
    last: Option<(u64, usize)>,
}

#[derive(Debug)]
pub(crate) struct EditedPage {
    pub(crate) file: File,
    pub(crate) page: u32,
    /// Which lines differ from the file.
    pub(crate) mask: u64,
    pub(crate) bytes: Box<[u8; PAGE]>,
}

/// Bytes that go where nobody looks yet.
#[derive(Debug)]
pub(crate) struct Laid {
    pub(crate) file: File,
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

/// With fewer bytes than this in new places they go through the log, which
/// costs one sync instead of three.
const MANY: usize = 1 << 20;

/// All that an edit writes.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) state: State,
    /// What has to be on the disk before the log says that it is part of the
    /// index: whole pages beyond all rows.
    pub(crate) laid: Vec<Laid>,
    /// In the order of the files, with the state among them.
    pub(crate) pages: Vec<EditedPage>,
}

impl<'a> Edit<'a> {
    /// Over no files yet.
    pub(crate) fn new(fixed: Fixed, state: State) -> Self {
        Self {
            state,
            fixed,
            base: None,
            damage: None,
            pages: Vec::new(),
            laid: Vec::new(),
            places: HashMap::default(),
            last: None,
        }
    }

    /// Over the files of `view`.
    pub(crate) fn over(view: &'a View) -> Self {
        Self { base: Some(view), ..Self::new(view.fixed, view.state) }
    }

    /// The files as they are now, without the edit.
    pub(crate) fn base(&self) -> Result<&'a View, Damage> {
        self.base.ok_or("there is nothing to read yet")
    }

    pub(crate) fn read(&mut self, file: File, at: u64, into: &mut [u8]) {
        let (mut at, mut into) = (at, into);
        while !into.is_empty() {
            let offset = (at % PAGE as u64) as usize;
            let count = into.len().min(PAGE - offset);
            let (now, rest) = into.split_at_mut(count);
            match self.edited(file, at / PAGE as u64) {
                Some(place) => {
                    now.copy_from_slice(&self.pages[place].bytes[offset..offset + count]);
                }
                None => self.read_base(file, at, now),
            }
            at += count as u64;
            into = rest;
        }
    }

    pub(crate) fn bytes<const N: usize>(&mut self, file: File, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(file, at, &mut bytes);
        bytes
    }

    pub(crate) fn u32(&mut self, file: File, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(file, at))
    }

    pub(crate) fn write(&mut self, file: File, at: u64, bytes: &[u8]) {
        self.reserve(file, at + bytes.len() as u64);
        let (mut at, mut bytes) = (at, bytes);
        while !bytes.is_empty() {
            let offset = (at % PAGE as u64) as usize;
            let count = bytes.len().min(PAGE - offset);
            let (now, rest) = bytes.split_at(count);
            let place = self.touch(file, at / PAGE as u64);
            let page = &mut self.pages[place];
            page.bytes[offset..offset + count].copy_from_slice(now);
            for line in offset / LINE..=(offset + count - 1) / LINE {
                page.mask |= 1 << line;
            }
            at += count as u64;
            bytes = rest;
        }
    }

    /// Writes to a place beyond all rows, which this edit does not read again.
    /// Many such bytes need not be written twice, to the log and in place.
    pub(crate) fn lay(&mut self, file: File, at: u64, bytes: &[u8]) {
        self.reserve(file, at + bytes.len() as u64);
        let run = self.laid.iter_mut().find(|run| run.file == file);
        match run.filter(|run| run.at + run.bytes.len() as u64 == at) {
            Some(run) => run.bytes.extend_from_slice(bytes),
            // The latest run of a file comes first, so that it is found.
            None => self.laid.insert(0, Laid { file, at, bytes: bytes.to_vec() }),
        }
    }

    pub(crate) fn write_u32(&mut self, file: File, at: u64, value: u32) {
        self.write(file, at, &value.to_le_bytes());
    }

    /// Makes the file at least `len` long, in steps.
    pub(crate) fn reserve(&mut self, file: File, len: u64) {
        let length = &mut self.state.lengths[file as usize];
        if len > *length {
            *length = match file {
                // Two pages for ever.
                File::Head => 2 * PAGE as u64,
                _ => room(len),
            };
        }
    }

    /// Says that the state is changed, if nothing else is.
    pub(crate) fn touch_state(&mut self) {
        let state = self.state;
        self.write(File::Head, State::AT as u64, &state.encode());
    }

    /// How many bytes the edit will write.
    pub(crate) fn weight(&self) -> usize {
        self.pages.len() * PAGE + self.laid.iter().map(|run| run.bytes.len()).sum::<usize>()
    }

    /// All that is to be written, with the checksums of it.
    pub(crate) fn finish(mut self) -> Result<Edited, Damage> {
        let laid = self.settle_laid();
        self.write_checks(&laid);
        let state = self.state;
        self.write(File::Head, State::AT as u64, &state.encode());
        if let Some(what) = self.damage {
            return Err(what);
        }
        let mut pages = self.pages;
        pages.sort_unstable_by_key(|page| (page.file, page.page));
        Ok(Edited { state, laid, pages })
    }

    fn write_checks(&mut self, laid: &[Laid]) {
        let checker = Checker::new(&self.fixed, &self.state);
        let mut sums = Vec::new();
        for page in &self.pages {
            let number = u64::from(page.page);
            if let Some(place) = check::place(page.file, number) {
                sums.push((place, checker.sum(page.file, number, page.bytes.as_slice())));
            }
        }
        for run in laid {
            for (number, bytes) in (run.at / PAGE as u64..).zip(run.bytes.chunks(PAGE)) {
                if let Some(place) = check::place(run.file, number) {
                    sums.push((place, checker.sum(run.file, number, bytes)));
                }
            }
        }
        for ((file, at), sum) in sums {
            self.write_u32(file, at, sum);
        }
    }

    /// Reads bytes within a page that the edit has not touched.
    fn read_base(&mut self, file: File, at: u64, into: &mut [u8]) {
        into.fill(0);
        let Some(view) = self.base else { return };
        if self.is_written(view, file, at / PAGE as u64) {
            copy(view.unchecked(file), at, into);
        }
    }

    /// Whether a page of the files is part of the index. A process that died
    /// may have left something where nothing was before.
    fn is_written(&mut self, view: &View, file: File, page: u64) -> bool {
        let Ok(number) = usize::try_from(page) else { return false };
        if view.is_known(file, number) || check::place(file, page).is_none() {
            return true;
        }
        let mut bytes = [0; PAGE];
        copy(view.unchecked(file), page * PAGE as u64, &mut bytes);
        match view.check_page(file, number, &bytes) {
            Checked::Sound => true,
            Checked::Unwritten => false,
            Checked::Different => {
                self.damage.get_or_insert(DIFFERENT);
                true
            }
        }
    }

    /// Leaves the whole pages of long runs, and writes the rest as usual: a
    /// page at the end of a run may hold something else, now or later.
    fn settle_laid(&mut self) -> Vec<Laid> {
        let runs = std::mem::take(&mut self.laid);
        let many = runs.iter().map(|run| run.bytes.len()).sum::<usize>() >= MANY;
        let mut left = Vec::new();
        for Laid { file, at, mut bytes } in runs {
            let page = PAGE as u64;
            let end = at + bytes.len() as u64;
            let (first, last) = (at.next_multiple_of(page), end / page * page);
            if !many || first >= last {
                self.write(file, at, &bytes);
                continue;
            }
            self.write(file, last, &bytes[(last - at) as usize..]);
            bytes.truncate((last - at) as usize);
            let rest = bytes.split_off((first - at) as usize);
            self.write(file, at, &bytes);
            left.push(Laid { file, at: first, bytes: rest });
        }
        left
    }

    fn edited(&mut self, file: File, page: u64) -> Option<usize> {
        let id = (file as u64) << 56 | page;
        if let Some((last, place)) = self.last
            && last == id
        {
            return Some(place);
        }
        let place = *self.places.get(&id)?;
        self.last = Some((id, place));
        Some(place)
    }

    fn touch(&mut self, file: File, page: u64) -> usize {
        if let Some(place) = self.edited(file, page) {
            return place;
        }
        let mut bytes = Box::new([0; PAGE]);
        let mut mask = u64::MAX;
        if let Some(view) = self.base
            && self.is_written(view, file, page)
        {
            copy(view.unchecked(file), page * PAGE as u64, bytes.as_mut_slice());
            mask = 0;
        }
        let place = self.pages.len();
        self.pages.push(EditedPage { file, page: page as u32, mask, bytes });
        let id = (file as u64) << 56 | page;
        self.places.insert(id, place);
        self.last = Some((id, place));
        place
    }
}

/// Copies what a file has from `at` on.
fn copy(base: &[u8], at: u64, into: &mut [u8]) {
    let start = (at as usize).min(base.len());
    let have = (base.len() - start).min(into.len());
    into[..have].copy_from_slice(&base[start..start + have]);
}

/// Page numbers need no more than one multiplication to be spread.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // 2^64 divided by the golden ratio; the high bits are the good ones.
        self.0 = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}
