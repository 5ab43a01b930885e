//! The clusters of a library as they are listed.

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_core::{Filter, Metric, ModelName, Timestamp};

use super::{Cluster, Clustering, labels::Labels};

/// A clustering without its rule, with how many songs are in each cluster now.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the clustering")]
pub struct ClusterList {
    pub model: ModelName,
    pub metric: Metric,
    pub method: String,
    pub parameters: BTreeMap<String, f64>,
    pub seed: u64,
    pub filter: Filter,
    pub made_at: Timestamp,
    /// How many songs are in a cluster or in none.
    pub songs: u64,
    /// How many of them are in none.
    pub noise: u64,
    pub silhouette: Option<f64>,
    pub agreement: f64,
    pub clusters: Vec<Cluster>,
}

impl ClusterList {
    /// The clusters as they were made.
    pub fn as_made(clustering: &Clustering) -> Self {
        let clusters = clustering.clusters.clone();
        Self::with(clustering, clusters, clustering.noise)
    }

    /// The clusters with as many songs as they have now.
    pub fn as_now(clustering: &Clustering, labels: &Labels) -> Self {
        let now = clustering
            .clusters
            .iter()
            .map(|cluster| Cluster { size: labels.size_of(cluster.id), ..cluster.clone() });
        Self::with(clustering, now.collect(), labels.in_none())
    }

    fn with(clustering: &Clustering, clusters: Vec<Cluster>, noise: u64) -> Self {
        Self {
            model: clustering.model.clone(),
            metric: clustering.metric,
            method: clustering.method.clone(),
            parameters: clustering.parameters.clone(),
            seed: clustering.seed,
            filter: clustering.filter.clone(),
            made_at: clustering.made_at,
            songs: clusters.iter().map(|cluster| cluster.size).sum::<u64>() + noise,
            noise,
            silhouette: clustering.silhouette,
            agreement: clustering.agreement,
            clusters,
        }
    }
}
