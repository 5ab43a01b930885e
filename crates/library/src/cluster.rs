//! Groups of songs that sound alike, kept with the library.
//!
//! What is kept is not which song is in which cluster, but the rule that says so: a
//! few prototypes, and the cluster of each. The cluster of a song is a function of its
//! vector and of the rule. So a song that is scanned later has a cluster at once, on
//! every machine that has the rule, and what is synced is one small document.

mod clustering;
mod describe;
mod labels;
mod listed;
mod make;
mod manage;
mod prototypes;

pub use clustering::{Cluster, Clustering};
pub use labels::{Labels, labels};
pub use listed::ClusterList;
pub use make::{ClusterCount, ClusterMethod, ClusterOptions, cluster};
pub(crate) use manage::with_clusters;
pub use manage::{
    cluster_named, cluster_songs, clustering, clusters_of, remove_clusters, rename_cluster,
};
