//! Vectors in inverted lists (IVF) for search.
//!
//! An [`Index`] is a folder that holds float32 rows, each under a 128-bit
//! [`Key`], and answers which rows are nearest to a [`Query`]. Opening it maps
//! its files and reads a page or two; a row is added, replaced or removed by
//! writing a constant number of pages; any number of processes may search
//! while one of them writes.
//!
//! ```
//! use songrec_index::{Index, Key, Kind, Metric, Options, Query};
//!
//! let dir = tempfile::tempdir()?;
//! let index = Index::create(
//!     &dir.path().join("clap@1"),
//!     &Options { dimension: 2, metric: Metric::Cosine, kind: Kind::Auto },
//! )?;
//! let (east, north) = (Key([1; 16]), Key([2; 16]));
//! index.put(&[(east, &[1.0, 0.0]), (north, &[0.0, 1.0])])?;
//!
//! let hits = index.search(&Query::new(&[0.9, 0.1], 1))?;
//! assert_eq!(hits[0].key, east);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The index is derived: the crate that keeps the vectors as objects deletes the folder
//! and builds it again when [`Error::is_rebuildable`] says so.

mod error;
mod key;
mod kind;
mod metric;
mod query;

mod check;
mod edit;
mod layout;
mod log;
mod map;
mod store;
mod table;
mod view;

mod kernel;
mod rotate;

mod build;
mod code;
mod index;
mod lists;
mod mapped;
mod search;

pub use error::{Error, Result};
pub use index::{Index, Options};
pub use key::Key;
pub use kind::Kind;
pub use mapped::MappedRows;
pub use metric::Metric;
pub use query::{AllNeighbors, Filter, Hit, Precision, Query, RowSet};
