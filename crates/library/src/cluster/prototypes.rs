//! The rule by which a song belongs to a cluster: its nearest prototype.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use songrec_analysis::{Rows, squared_distance};

/// Prototypes together have at most so many values: 1 MB of document.
const MOST_VALUES: usize = 200_000;

/// Vectors that stand for clusters. A song belongs to the cluster of its nearest
/// prototype, if it is not farther from it than the prototype reaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Prototypes {
    dimension: usize,
    /// The values, prototype by prototype.
    #[serde(serialize_with = "to_base64", deserialize_with = "of_base64")]
    values: Vec<f32>,
    /// The cluster of each.
    clusters: Vec<u32>,
    /// How far each reaches, as a Euclidean distance; any distance if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(serialize_with = "to_base64", deserialize_with = "of_base64")]
    reaches: Vec<f32>,
}

impl Prototypes {
    /// One for each cluster, which reaches everything: the rule of k-means.
    pub(super) fn of_centroids(centroids: &[f32], dimension: usize) -> Self {
        let count = (centroids.len() / dimension) as u32;
        Self {
            dimension,
            values: centroids.to_vec(),
            clusters: (0..count).collect(),
            reaches: Vec::new(),
        }
    }

    /// Prototypes of clusters of any shape: of each cluster about the square root of
    /// its size many, spread over it by taking the farthest row again and again
    /// (Gonzalez 1985). Each reaches as far as its farthest row, or as far as half
    /// way to the next prototype of the cluster where it stands for itself alone.
    ///
    /// Costs a comparison for each row and each prototype of its cluster.
    pub(super) fn spread(rows: &Rows<'_>, labels: &[Option<u32>], clusters: u32) -> Self {
        let dimension = rows.dimension();
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); clusters as usize];
        for (row, label) in labels.iter().enumerate() {
            if let Some(label) = label {
                members[*label as usize].push(row);
            }
        }
        let wanted: f64 = members.iter().map(|one| (one.len() as f64).sqrt().ceil()).sum();
        let most = (MOST_VALUES / dimension).max(clusters as usize) as f64;
        let share = (most / wanted).min(1.0);
        let mut made = Self { dimension, ..Self::default() };
        for (cluster, members) in members.iter().enumerate() {
            let count = ((members.len() as f64).sqrt() * share).ceil().max(1.0) as usize;
            made.add(rows, members, count, cluster as u32);
        }
        made
    }

    // `count` prototypes of the cluster with these rows.
    fn add(&mut self, rows: &Rows<'_>, members: &[usize], count: usize, cluster: u32) {
        let Some(first) = members.first() else { return };
        let mut chosen = vec![*first];
        let mut nearest: Vec<(f32, usize)> = members
            .iter()
            .map(|row| (squared_distance(rows.row(*row), rows.row(*first)), 0))
            .collect();
        while chosen.len() < count {
            let farthest = nearest.iter().enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
            let Some((at, (distance, _))) = farthest else { break };
            if *distance <= 0.0 {
                break;
            }
            let row = members[at];
            let number = chosen.len();
            chosen.push(row);
            for (member, nearest) in members.iter().zip(&mut nearest) {
                let distance = squared_distance(rows.row(*member), rows.row(row));
                if distance < nearest.0 {
                    *nearest = (distance, number);
                }
            }
        }
        let mut reaches = vec![0.0f32; chosen.len()];
        for (distance, number) in nearest {
            reaches[number] = reaches[number].max(distance.sqrt());
        }
        // How densely the cluster is filled: nothing else tells how far a lone
        // prototype reaches.
        let usual = reaches.iter().sum::<f32>() / reaches.len() as f32;
        for (row, reach) in chosen.iter().zip(reaches) {
            self.values.extend_from_slice(rows.row(*row));
            self.clusters.push(cluster);
            self.reaches.push(reach.max(usual));
        }
    }

    /// The cluster of a row.
    pub(super) fn label(&self, row: &[f32]) -> Option<u32> {
        let (at, distance) = self.nearest(row)?;
        let reaches = self.reaches.get(at).is_none_or(|reach| distance <= reach * reach);
        reaches.then(|| self.clusters[at])
    }

    /// The number of the nearest prototype, and the squared distance.
    pub(super) fn nearest(&self, row: &[f32]) -> Option<(usize, f32)> {
        if row.len() != self.dimension || self.dimension == 0 {
            return None;
        }
        let distances = self.values.chunks_exact(self.dimension).map(|p| squared_distance(p, row));
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Whether it is whole, and of these clusters: it may come from elsewhere.
    pub(super) fn check(&self, clusters: &[u32]) -> Result<(), &'static str> {
        let count = self.clusters.len();
        let fits = self.dimension > 0 && self.values.len() == count.saturating_mul(self.dimension);
        if !fits || !(self.reaches.is_empty() || self.reaches.len() == count) {
            return Err("the prototypes are not whole");
        }
        if self.values.iter().chain(&self.reaches).any(|value| !value.is_finite()) {
            return Err("a prototype holds a value that is not a finite number");
        }
        match self.clusters.iter().all(|cluster| clusters.contains(cluster)) {
            true => Ok(()),
            false => Err("a prototype is of no cluster"),
        }
    }
}

fn to_base64<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn of_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    let (values, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(serde::de::Error::custom("half a number at the end"));
    }
    Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(count: usize, radius: f32) -> Vec<f32> {
        let at = |i: usize| (i as f32 / count as f32 * std::f32::consts::TAU).sin_cos();
        (0..count).flat_map(|i| [at(i).0 * radius, at(i).1 * radius]).collect()
    }

    #[test]
    fn prototypes_follow_clusters_of_any_shape() {
        // A ring around a spot: no centroid can tell them apart.
        let values = [ring(100, 0.2), ring(400, 3.0)].concat();
        let rows = Rows::new(&values, 2).unwrap();
        let labels: Vec<_> = (0..500).map(|row| Some(u32::from(row >= 100))).collect();

        let prototypes = Prototypes::spread(&rows, &labels, 2);

        let agree = (0..500).filter(|row| prototypes.label(rows.row(*row)) == labels[*row]).count();
        assert!(agree >= 495, "{agree}");
        assert_eq!(prototypes.label(&[1.6, 0.0]), None);
        assert_eq!(prototypes.check(&[0, 1]), Ok(()));
        assert!(prototypes.clusters.len() < 40);
    }

    #[test]
    fn what_comes_from_elsewhere_is_checked() {
        let whole = Prototypes::of_centroids(&[1.0, 2.0, 3.0, 4.0], 2);
        assert_eq!(whole.check(&[0, 1]), Ok(()));
        assert!(whole.check(&[0]).is_err());
        let cut = Prototypes { values: vec![1.0], ..whole.clone() };
        assert!(cut.check(&[0, 1]).is_err());
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Prototypes>(&text).unwrap(), whole);
        assert!(serde_json::from_str::<Prototypes>(&text.replace("AAC", "A C")).is_err());
    }
}
