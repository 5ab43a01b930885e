//! A song as it is shown whole: its document, and what of it counts.

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_core::{Field, Song, SourcedValue};

use crate::Cluster;

/// A song's document, and what of it is shown.
#[derive(Debug, Serialize)]
pub struct ShownSong<'a> {
    /// The document.
    #[serde(flatten)]
    pub song: &'a Song,
    /// The value of each field that has one, and who said it.
    pub values: BTreeMap<Field, SourcedValue>,
    /// The cluster that it is in, where the library has clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
}

/// Which cluster a song is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterName {
    /// Its number.
    pub cluster_id: u32,
    /// Its name.
    pub name: String,
}

impl ClusterName {
    /// The name of a cluster.
    pub fn of(cluster: &Cluster) -> Self {
        Self { cluster_id: cluster.id, name: cluster.name.clone() }
    }
}

impl<'a> ShownSong<'a> {
    /// A song that is in this cluster.
    pub fn of(song: &'a Song, cluster: Option<&Cluster>) -> Self {
        Self { song, values: song.values(), cluster: cluster.map(ClusterName::of) }
    }
}
