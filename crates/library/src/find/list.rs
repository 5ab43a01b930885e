//! Songs in an order, a page at a time.

use songrec_core::{Filter, SongSummary};
use songrec_storage::{Order, Page, SongQuery};

use super::select::{Selection, present_or_missing};
use crate::{Library, Result};

/// How many songs are read at once: memory does not grow with the library.
const PAGE: usize = 1_000;

/// What is to be listed.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Which songs.
    pub selection: Selection,
    /// In which order.
    pub order: Order,
    /// How many songs to leave out at the beginning.
    pub skip: usize,
    /// How many songs to list at the most.
    pub limit: usize,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            order: Order::default(),
            skip: 0,
            limit: usize::MAX,
        }
    }
}

/// A list that is read as far as it is wanted. It is no snapshot: a song that
/// changes meanwhile may be listed twice, or not at all.
#[derive(Debug)]
pub struct List<'a> {
    library: &'a Library,
    query: SongQuery,
    missing: Option<bool>,
    /// How many songs are left out, all in all.
    skipped: usize,
    /// How many of those that were read are still to be left out: what only
    /// the disk knows has to be looked at before it can be skipped.
    skip: usize,
    left: usize,
    found: usize,
    more: bool,
    is_over: bool,
}

impl<'a> List<'a> {
    /// The list of the songs of `library` that `listing` asks for. Nothing is
    /// read yet.
    pub fn new(library: &'a Library, listing: Listing) -> Self {
        let Listing { selection: Selection { filter, missing }, order, skip, limit } = listing;
        let by_disk = missing.is_some();
        let query = SongQuery {
            filter,
            order,
            after: None,
            skip: if by_disk { 0 } else { skip },
            limit: PAGE,
        };
        Self {
            library,
            query,
            missing,
            skipped: skip,
            skip: if by_disk { skip } else { 0 },
            left: limit,
            found: 0,
            more: false,
            is_over: limit == 0,
        }
    }

    /// The next songs, a thousand at the most; nothing at the end. A page may
    /// be empty although others follow, where files were asked for that are
    /// gone.
    ///
    /// # Errors
    ///
    /// Those of the library.
    pub async fn next(&mut self) -> Result<Option<Vec<SongSummary>>> {
        if self.is_over {
            return Ok(None);
        }
        self.query.limit = if self.missing.is_some() { PAGE } else { self.left.min(PAGE) };
        let page = self.page().await?;
        let mut summaries = page.items;
        let skipped = summaries.len().min(self.skip);
        summaries.drain(..skipped);
        self.skip -= skipped;
        self.more = page.next.is_some() || summaries.len() > self.left;
        summaries.truncate(self.left);
        self.found += summaries.len();
        self.left -= summaries.len();
        self.query.skip = 0;
        self.is_over = self.left == 0 || page.next.is_none();
        self.query.after = page.next;
        Ok(Some(summaries))
    }

    async fn page(&self) -> Result<Page<SongSummary>> {
        let backend = self.library.backend();
        if self.missing.is_none() {
            return Ok(backend.songs().find_summaries(&self.query).await?);
        }
        let page = backend.songs().find(&self.query).await?;
        let songs = present_or_missing(self.library, page.items, self.missing)?;
        Ok(Page { items: songs.iter().map(SongSummary::of).collect(), next: page.next })
    }

    /// How many songs were listed until now.
    pub const fn found(&self) -> usize {
        self.found
    }

    /// Whether there are other songs beyond what was listed until now.
    pub const fn has_more(&self) -> bool {
        self.more
    }

    /// Why a list is empty.
    ///
    /// # Errors
    ///
    /// Those of the library, which is asked how many songs it has.
    pub async fn why_nothing(&self) -> Result<Nothing> {
        let songs = self.library.backend().songs().count(&Filter::all()).await?;
        Ok(match songs {
            0 => Nothing::Empty,
            songs if self.skipped > 0 => Nothing::Beyond { skipped: self.skipped, songs },
            songs if self.missing == Some(true) => Nothing::NotMissing { songs },
            songs => Nothing::NonePass { songs },
        })
    }
}

/// Why a list is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The library has no songs.
    Empty,
    /// Not so many songs pass as were left out.
    Beyond {
        /// How many were left out.
        skipped: usize,
        /// How many songs the library has.
        songs: u64,
    },
    /// No song has lost its files on this machine.
    NotMissing {
        /// How many songs the library has.
        songs: u64,
    },
    /// No song passes.
    NonePass {
        /// How many songs the library has.
        songs: u64,
    },
}
