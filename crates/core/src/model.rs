//! Names and properties of embedding models.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Vector;

/// Names one exact build of an embedding model, such as `dsp45@1`.
///
/// The part after `@` changes whenever the same audio could give another
/// vector: new weights, new resampling, new pooling. An embedding is therefore
/// a pure function of the audio and the model, and may be cached for ever.
///
/// Invariant: `name@revision`, both of 1 to 48 characters of `a-z`, `0-9`,
/// `.`, `_` and `-`, starting with a letter or digit; the text is thus safe as
/// a file name everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl ModelName {
    /// The whole name, `name@revision`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `@`.
    pub fn name(&self) -> &str {
        self.0.split_once('@').expect("checked on construction").0
    }

    /// The part after `@`.
    pub fn revision(&self) -> &str {
        self.0.split_once('@').expect("checked on construction").1
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, InvalidModelName> {
        let part = |part: &str| {
            (1..=48).contains(&part.len())
                && part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        };
        match text.split_once('@') {
            Some((name, revision)) if part(name) && part(revision) => Ok(Self(text.to_owned())),
            _ => Err(InvalidModelName(text.to_owned())),
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ModelName {
    type Error = InvalidModelName;

    fn try_from(text: String) -> Result<Self, InvalidModelName> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

/// A text that names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a model name: expected `name@revision` in small letters, such as `dsp45@1`")]
pub struct InvalidModelName(String);

/// How two vectors of one model are compared.
///
/// | metric | similarity | distance |
/// | --- | --- | --- |
/// | cosine | cos, −1 to 1 | 1 − cos, 0 to 2 |
/// | dot product | the product | 1 − product |
/// | Euclidean | 1 / (1 + d²), 0 to 1 | d |
///
/// A higher similarity and a lower distance are closer, in the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The angle alone; loudness and length of a vector do not count.
    #[default]
    Cosine,
    /// The inner product.
    #[serde(alias = "dot")]
    DotProduct,
    /// The straight distance.
    #[serde(alias = "l2")]
    Euclidean,
}

impl Metric {
    /// Similarity and distance of two vectors of the same dimension.
    ///
    /// Under cosine a zero vector is as far from everything as an orthogonal
    /// one.
    pub fn compare(self, left: &Vector, right: &Vector) -> (f64, f64) {
        match self {
            Self::Cosine => {
                let norms = left.norm() * right.norm();
                let cosine =
                    if norms > 0.0 { (left.dot(right) / norms).clamp(-1.0, 1.0) } else { 0.0 };
                (cosine, 1.0 - cosine)
            }
            Self::DotProduct => {
                let dot = left.dot(right);
                (dot, 1.0 - dot)
            }
            Self::Euclidean => {
                let squared: f64 = left
                    .values()
                    .iter()
                    .zip(right.values())
                    .map(|(l, r)| (f64::from(*l) - f64::from(*r)).powi(2))
                    .sum();
                (1.0 / (1.0 + squared), squared.sqrt())
            }
        }
    }

    /// The distance that belongs to a similarity.
    pub fn distance(self, similarity: f64) -> f64 {
        match self {
            Self::Cosine | Self::DotProduct => 1.0 - similarity,
            Self::Euclidean => (1.0 / similarity - 1.0).max(0.0).sqrt(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cosine => "cosine",
            Self::DotProduct => "dot_product",
            Self::Euclidean => "euclidean",
        })
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "cosine" => Ok(Self::Cosine),
            "dot" | "dot_product" | "dot-product" => Ok(Self::DotProduct),
            "euclidean" | "l2" => Ok(Self::Euclidean),
            _ => Err(format!("`{text}` is not a metric: expected `cosine`, `dot` or `euclidean`")),
        }
    }
}

/// What a library has to know about a model to keep its embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The model's name and revision.
    pub name: ModelName,
    /// The number of elements of its vectors.
    pub dimension: usize,
    /// How its vectors are meant to be compared.
    pub metric: Metric,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl ModelSpec {
    /// Why `vector` cannot be a vector of this model, if it cannot.
    pub fn refuses(&self, vector: &Vector) -> Option<String> {
        if vector.dimension() != self.dimension {
            return Some(format!(
                "the vector has {} dimensions, but `{}` has {}",
                vector.dimension(),
                self.name,
                self.dimension
            ));
        }
        (self.metric == Metric::Cosine && vector.is_zero()).then(|| {
            format!("a zero vector has no direction, and `{}` compares by cosine", self.name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[f32]) -> Vector {
        Vector::new(values.to_vec()).unwrap()
    }

    #[test]
    fn a_model_name_has_a_revision() {
        assert_eq!("dsp45@1".parse::<ModelName>().unwrap().revision(), "1");
        for wrong in ["dsp45", "@1", "a@", "A@1", "a/b@1", "a@1@2", "..@1"] {
            assert!(wrong.parse::<ModelName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_metric_ranks_the_nearer_higher() {
        let (query, near, far) = (vector(&[1.0, 0.0]), vector(&[0.9, 0.1]), vector(&[0.0, 1.0]));
        for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
            let (near_similarity, near_distance) = metric.compare(&query, &near);
            let (far_similarity, far_distance) = metric.compare(&query, &far);

            assert!(near_similarity > far_similarity, "{metric}");
            assert!(near_distance < far_distance, "{metric}");
            assert!((metric.distance(near_similarity) - near_distance).abs() < 1e-12, "{metric}");
        }
    }

    #[test]
    fn opposite_vectors_are_two_apart_under_cosine() {
        assert_eq!(Metric::Cosine.compare(&vector(&[2.0]), &vector(&[-1.0])), (-1.0, 2.0));
    }
}
