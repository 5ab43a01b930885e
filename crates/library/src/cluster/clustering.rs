//! A clustering as it is kept: clusters, and the rule by which songs belong to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use songrec_core::{Digest, Filter, Metric, ModelName, SongId, Timestamp, words};

use super::prototypes::Prototypes;
use crate::{Error, ErrorKind, Result};

/// Clusters of the songs of a library, as one small document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clustering {
    /// The model whose vectors were grouped.
    pub model: ModelName,
    /// How it compares them.
    pub metric: Metric,
    /// How they were grouped, such as `kmeans`.
    pub method: String,
    /// What the method was asked, such as `k`.
    pub parameters: BTreeMap<String, f64>,
    /// What chance was drawn from.
    pub seed: u64,
    /// Which songs were grouped, and belong to clusters.
    pub filter: Filter,
    /// When.
    pub made_at: Timestamp,
    /// How many songs were grouped.
    pub songs: u64,
    /// How many of them are in no cluster.
    pub noise: u64,
    /// Mean silhouette of the songs, −1 to 1; nothing with fewer than two clusters.
    pub silhouette: Option<f64>,
    /// The part of the songs that the rule puts where the method put them, 0 to 1:
    /// always 1 for k-means.
    pub agreement: f64,
    /// The clusters, by their ids.
    pub clusters: Vec<Cluster>,
    /// The rule.
    pub(super) prototypes: Prototypes,
}

/// Songs that sound alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its number, from 0.
    #[serde(rename = "cluster_id")]
    pub id: u32,
    /// What its songs have in common, or what a person calls it.
    pub name: String,
    /// Whether a person named it.
    pub named_by_hand: bool,
    /// How many songs it had when it was made.
    pub size: u64,
    /// Songs per genre; a song with two genres counts in both.
    pub genres: BTreeMap<String, u64>,
    /// The part of the songs with a genre that have the most common one, 0 to 1;
    /// nothing where no song has a genre.
    pub purity: Option<f64>,
    /// 1 less the mean squared distance of its songs from their mean, divided by that
    /// of all songs from the mean of all: 1 where all sound the same, 0 where they are
    /// as different as the library is.
    pub tightness: f64,
    /// The songs nearest to the mean, the nearest first.
    pub typical: Vec<SongId>,
}

impl Clustering {
    /// The cluster of a song with this vector, if it is in one.
    ///
    /// Costs one comparison for each prototype: 1 for each cluster of k-means, some
    /// hundred for other methods.
    pub fn cluster_of(&self, vector: &[f32]) -> Option<&Cluster> {
        let id = self.label(vector)?;
        self.clusters.iter().find(|cluster| cluster.id == id)
    }

    /// Gives names that a person gave to clusters of `last` to those that most of their
    /// typical songs are in now; `all` holds the cluster of each song, in the order of the
    /// ids. Gives the names for which there is none.
    pub(super) fn keep_names(&mut self, last: &Self, all: &[(SongId, Option<u32>)]) -> Vec<String> {
        let mut gone = Vec::new();
        for old in last.clusters.iter().filter(|old| old.named_by_hand) {
            let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
            for song in &old.typical {
                let place = all.binary_search_by_key(song, |(song, _)| *song);
                if let Some(cluster) = place.ok().and_then(|place| all[place].1) {
                    *votes.entry(cluster).or_default() += 1;
                }
            }
            let most =
                votes.into_iter().max_by_key(|(cluster, votes)| (*votes, u32::MAX - cluster));
            let heir = most.filter(|(_, votes)| votes * 2 > old.typical.len());
            let heir = heir.and_then(|(id, _)| {
                self.clusters.iter_mut().find(|one| one.id == id && !one.named_by_hand)
            });
            let Some(heir) = heir else {
                gone.push(old.name.clone());
                continue;
            };
            let (id, before) = (heir.id, std::mem::replace(&mut heir.name, old.name.clone()));
            heir.named_by_hand = true;
            // A name is that of one cluster.
            let same = |one: &&mut Cluster| one.id != id && one.name == old.name;
            if let Some(other) = self.clusters.iter_mut().find(same) {
                other.name = before;
            }
        }
        gone
    }

    /// What tells clusters with these names from all others.
    pub(crate) fn made_of(&self) -> String {
        let names: Vec<&str> = self.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        format!("{} {names:?}", self.rule())
    }

    /// What tells the rule from every other one.
    pub(super) fn rule(&self) -> Digest {
        let rule = serde_json::to_vec(&(&self.model, self.metric, &self.prototypes));
        Digest::of(&rule.expect("numbers and texts"))
    }

    // How far a vector is from its nearest prototype.
    pub(super) fn distance(&self, vector: &[f32]) -> Option<f32> {
        let mut row = vector.to_vec();
        crate::sample::prepare(&mut row, self.metric);
        self.prototypes.nearest(&row).map(|(_, distance)| distance.sqrt())
    }

    pub(super) fn label(&self, vector: &[f32]) -> Option<u32> {
        let mut row = vector.to_vec();
        crate::sample::prepare(&mut row, self.metric);
        self.prototypes.label(&row)
    }

    /// The cluster with this number or name; case and accents do not count.
    pub fn named(&self, name: &str) -> Option<&Cluster> {
        let normal = |text: &str| words(text).join(" ");
        let name = normal(name);
        let by_number = name
            .parse()
            .ok()
            .and_then(|id: u32| self.clusters.iter().find(|cluster| cluster.id == id));
        by_number.or_else(|| self.clusters.iter().find(|cluster| normal(&cluster.name) == name))
    }

    pub(super) fn to_body(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| {
            Error::new(ErrorKind::Failed, "could not write clusters").because(error)
        })
    }

    pub(super) fn of_body(body: Value) -> Result<Self> {
        let clustering: Self = serde_json::from_value(body).map_err(damaged)?;
        let ids: Vec<u32> = clustering.clusters.iter().map(|cluster| cluster.id).collect();
        clustering.prototypes.check(&ids).map_err(damaged)?;
        Ok(clustering)
    }
}

fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Corrupt, "the clusters of this library cannot be read")
        .because(why)
        .with_hint(songrec_core::Hint::of("{} makes them again", [songrec_core::Remedy::Cluster]))
}
