//! A cache in front of a backend that is far away.
//!
//! [`Cached`] is a backend over another one: it keeps what never changes,
//! embeddings and audio, as files in a [`Cache`], songs in memory for a short time, and
//! the answers to searches both in memory and as files for as short a time. It keeps every promise of the backend behind it.
#![warn(missing_docs)]

mod answers;
mod cache;
mod cached;
mod file;
mod folder;
mod recent;
mod trusted;
mod usage;

pub use answers::SharedWrite;
pub use cache::{Cache, CacheStats, CacheUse, CachedFiles};
pub use cached::Cached;
pub use recent::CachedOptions;
