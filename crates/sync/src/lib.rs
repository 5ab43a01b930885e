//! Makes two libraries agree: migrate, sync, check.
//!
//! Both sides are any [`StorageBackend`](songrec_storage::StorageBackend); this
//! crate does not know which. [`Syncer`] says what keeps a sync safe.

mod apply;
mod changes;
mod check;
mod conflict;
mod document;
mod error;
mod machine;
mod migrate;
mod objects;
mod options;
mod refused;
mod report;
mod resolve;
mod rules;
mod segment;
mod side;
mod state;
mod syncer;
mod traffic;
mod trash;
mod values;
mod writing;

pub use check::{Comparison, Difference, DifferenceKind, check};
pub use conflict::{FieldConflict, SongConflicts, conflicts, conflicts_of, resolve_conflict};
pub use error::{Error, ErrorKind, Result};
pub use machine::{Machine, machines, retire};
pub use migrate::{Migrated, MigrationPlan};
pub use options::{AudioPolicy, Direction, InvalidOption, MaxDelete, Options, Verify};
pub use report::{
    Action, Counts, DocumentWork, Failure, LISTED, LeftOut, MergedField, Note, Plan, Report,
    SongWork,
};
#[doc(hidden)]
pub use rules::Rules;
pub use side::{Pair, Replica, Side};
pub use state::State;
pub use syncer::Syncer;
pub use trash::{Trashed, restore, trash};
