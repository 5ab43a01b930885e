//! What a set of vectors is like: clusters, outliers, maps, evaluation.
//!
//! Pure functions over borrowed [`Rows`]. Each takes what it needs of chance from a
//! seed and gives the same answer with one thread and with sixteen. Each takes a
//! [`Job`](songrec_core::Job), which it tells how it goes on and which may end it.

mod align;
mod dbscan;
mod distance;
mod error;
mod evaluation;
mod forest;
mod graph;
mod hdbscan;
mod kmeans;
mod layout;
mod leaves;
mod pca;
mod rows;
mod sample;
mod silhouette;
mod trustworthiness;
mod tsne;
mod umap;

pub use align::align;
pub use dbscan::{DbscanOptions, dbscan, suggest_eps};
pub use error::{Error, Result};
pub use evaluation::{
    Estimate, Evaluation, EvaluationOptions, NO_GROUP, PRECISION_AT, Pair, estimate, evaluate,
};
pub use forest::{ForestOptions, IsolationForest, IsolationTree, TreeNodes};
pub use graph::{Graph, GraphOptions, Metric};
pub use hdbscan::{Hdbscan, HdbscanOptions, hdbscan};
pub use kmeans::{
    ChooseKOptions, ChosenK, KMeans, KMeansOptions, MiniBatchOptions, choose_k, kmeans,
    mini_batch_kmeans, nearest_centroid,
};
pub use layout::Layout;
pub use pca::Pca;
pub use rows::{Rows, squared_distance};
pub use silhouette::{Silhouette, SilhouetteOptions, silhouette};
pub use trustworthiness::{TrustworthinessOptions, trustworthiness};
pub use tsne::{TsneOptions, tsne};
pub use umap::{UmapOptions, place, umap, umap_from, umap_start};

/// The label of rows that belong to no cluster.
pub const NOISE: u32 = u32::MAX;
