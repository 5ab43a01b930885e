//! What a set of vectors is like: clusters, outliers, maps, evaluation.
//!
//! Pure functions over borrowed [`Rows`]. Each takes what it needs of chance from a
//! seed and gives the same answer with one thread and with sixteen. Each takes a
//! [`Job`](songrec_core::Job), which it tells how it goes on and which may end it.

mod error;
mod graph;
mod rows;

pub use error::{Error, Result};
pub use graph::{Graph, GraphOptions, Metric};
pub use rows::Rows;
