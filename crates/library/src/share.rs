//! One library in several places: what two libraries do together, and what is
//! left of that in each.
//!
//! [`Libraries`] are two that are opened together. [`sync`], [`plan`],
//! [`keep_syncing`], [`migrate`], [`plan_migration`], [`pull_clone`] and
//! [`check`] need both; the others look at what syncing leaves in one library:
//! values that lost a merge, deleted songs, the machines that take part, and
//! audio that another library keeps.

mod audio;
mod check;
mod conflicts;
mod kept_audio;
mod libraries;
mod machines;
mod migrate;
mod sync;
mod trash;

pub(crate) use audio::elsewhere;
pub use audio::{Address, AddressKind, Fetched, audio_address, fetch_audio};
pub use check::check;
pub use conflicts::{Decision, conflicts, conflicts_of, decide};
pub use kept_audio::{KeptAudio, drop_audio, keep_audio};
pub use libraries::{Libraries, open_remote, options, remote};
pub use machines::{machines, retire};
pub use migrate::{migrate, plan_migration};
pub use songrec_sync::{
    Action, AudioPolicy, Comparison, Counts, Difference, Direction, DocumentWork, Emptied, Failure,
    FieldConflict, InvalidOption, LeftOut, Machine, MaxDelete, MergedField, Migrated,
    MigrationPlan, Note, Options, Pair, Plan, Report, Side, SongConflicts, SongWork, Trashed,
    Verify,
};
pub use sync::{Round, keep_syncing, plan, pull_clone, sync};
pub use trash::{Restored, deleted_song, empty_trash, restore, trash};
