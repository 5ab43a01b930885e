//! What a set of vectors is like: clusters, outliers, maps, evaluation.
//!
//! Pure functions over borrowed [`Rows`]. Each takes what it needs of chance from a
//! seed and gives the same answer with one thread and with sixteen. Each takes a
//! [`Job`](songrec_core::Job), which it tells how it goes on and which may end it.

mod align;
mod error;
mod graph;
mod layout;
mod rows;
mod trustworthiness;
mod tsne;
mod umap;

pub use align::align;
pub use error::{Error, Result};
pub use graph::{Graph, GraphOptions, Metric};
pub use layout::Layout;
pub use rows::Rows;
pub use trustworthiness::{TrustworthinessOptions, trustworthiness};
pub use tsne::{TsneOptions, tsne};
pub use umap::{UmapOptions, place, umap};
