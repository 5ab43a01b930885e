//! Finding songs: by name, by what they are, page by page, and in numbers.

mod by_id;
mod facets;
mod list;
mod resolve;
mod select;
mod stats;

pub use by_id::song_by_id;
pub use facets::{Facet, FacetValue, Facets, facets};
pub use list::{List, Listing, Nothing};
pub(crate) use resolve::resolve_all;
pub use resolve::{Named, resolve, song, songs};
pub use select::{Selection, asks_for_missing, count, select, summaries};
pub use songrec_storage::{Order, OrderBy};
pub use stats::{ModelStats, SoundStats, Stats, stats};
