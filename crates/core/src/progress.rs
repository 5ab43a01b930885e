//! Progress is told, never asked.

use std::fmt;

/// Something that long work tells while it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work of this name begins; `total` is how much there is, where known.
    Started {
        /// What is done, such as `scanning`.
        work: &'a str,
        /// The number of items, if it is known.
        total: Option<u64>,
    },
    /// The number of items became known, or known better.
    Total {
        /// The number of items.
        total: u64,
    },
    /// An item is done.
    Advanced {
        /// What it was, such as a path.
        item: &'a str,
        /// How many bytes it was.
        bytes: u64,
    },
    /// So much went over the network, all in all, since the work began.
    Carried {
        /// Bytes of audio and embeddings.
        bytes: u64,
        /// Requests.
        requests: u64,
    },
    /// An item was left out.
    Skipped {
        /// What it was.
        item: &'a str,
        /// Why, in words.
        reason: &'a str,
    },
    /// Something worth saying that stops nothing.
    Note {
        /// In words.
        text: &'a str,
    },
    /// The work is over.
    Finished,
}

/// Who is told. The terminal draws, the server logs, tests collect.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Takes note of `event`; must be quick.
    fn on(&self, event: Event<'_>);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _: Event<'_>) {}
}
