//! Makes two libraries agree: migrate, sync, check.
//!
//! Both sides are any [`StorageBackend`](songrec_storage::StorageBackend); this
//! crate does not know which. [`Syncer`] says what keeps a sync safe.
//!
//! What takes long is given as a boxed future: so it is compiled once, here, and not in every
//! crate that waits for it.

mod apply;
mod batch;
mod carry;
mod changes;
mod check;
mod conflicts;
mod decide;
mod decider;
mod documents;
mod error;
mod fetch;
mod machines;
mod migrate;
mod options;
mod outcome;
mod plan;
mod report;
mod rules;
mod run;
mod schedule;
mod session;
mod side;
mod state;
mod syncer;
mod traffic;
mod trash;
mod write;

pub use carry::{KEEP_AUDIO, keeps_audio_of};
pub use check::{Comparison, Difference, DifferenceKind, check};
pub use conflicts::{FieldConflict, SongConflicts, conflicts, conflicts_of, resolve_conflict};
pub use error::{Error, ErrorKind, Result};
pub use machines::{Machine, machines, retire};
pub use migrate::{Migrated, MigrationPlan};
pub use options::{AudioPolicy, Direction, InvalidOption, MaxDelete, Options, Verify};
pub use report::{
    Action, Counts, DocumentWork, Failure, LISTED, LeftOut, MergedField, Note, Plan, Report,
    SongWork,
};
#[doc(hidden)]
pub use rules::Rules;
pub use session::KEEP_DELETED;
pub use side::{Pair, Replica, Side};
pub use state::SyncState;
pub use syncer::Syncer;
pub use trash::{Emptied, Trashed, empty_trash, restore, trash};
