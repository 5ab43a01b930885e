//! What analysis finds, beside what scikit-learn, hdbscan, umap-learn and openTSNE find.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dbscan;
mod fixture;
mod forest;
mod hdbscan;
mod kmeans;
mod made_up;
mod map;
mod map_graph;
mod map_rows;
mod pca;
mod silhouette;
