//! Finding songs: by name, by what they are, page by page, and in numbers.

mod list;
mod resolve;
mod select;
mod stats;

pub use list::{List, Listing, Nothing};
pub(crate) use resolve::resolve_all;
pub use resolve::{Named, resolve, song, songs};
pub use select::{Selection, count, select, summaries};
pub use songrec_storage::{Order, OrderBy};
pub use stats::{ModelStats, SoundStats, Stats, stats};
