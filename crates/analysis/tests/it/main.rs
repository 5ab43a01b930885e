//! What analysis finds, beside what scikit-learn and hdbscan find.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dbscan;
mod fixture;
mod forest;
mod hdbscan;
mod kmeans;
mod made_up;
mod pca;
mod silhouette;
