//! Several models at once: which, how much each counts, and what they say
//! together.

use std::str::FromStr;

use serde::Serialize;
use songrec_core::{Metric, ModelName, ModelSpec, Song, Vector};
use songrec_storage::Neighbor;

/// How much each of several models counts, such as `clap=0.6,dsp47=0.4`. The
/// first one finds the candidates, and all of them score these.
///
/// Invariant: at least one model, none of them twice, and every weight is a
/// positive number.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend(Vec<(String, f64)>);

impl Blend {
    /// The names, with or without their revisions, and their weights.
    pub fn parts(&self) -> &[(String, f64)] {
        &self.0
    }

    /// One model alone.
    pub(crate) fn of_one(model: &str) -> Self {
        Self(vec![(model.to_owned(), 1.0)])
    }
}

impl FromStr for Blend {
    type Err = InvalidBlend;

    fn from_str(text: &str) -> Result<Self, InvalidBlend> {
        let invalid = || InvalidBlend(text.to_owned());
        let mut parts: Vec<(String, f64)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = match part.split_once('=') {
                Some((name, weight)) => (name, weight.trim().parse().map_err(|_| invalid())?),
                None => (part, 1.0),
            };
            let name = name.trim().to_owned();
            let is_known = parts.iter().any(|(known, _)| *known == name);
            if name.is_empty() || is_known || !f64::is_finite(weight) || weight <= 0.0 {
                return Err(invalid());
            }
            parts.push((name, weight));
        }
        Ok(Self(parts))
    }
}

/// A text that names no blend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a blend: expected models, each once, with weights above 0, such as \
     `clap=0.6,dsp47=0.4`"
)]
pub struct InvalidBlend(String);

/// What one model says of a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlendPart {
    /// The model.
    pub model: ModelName,
    /// How much it counts; the weights of a result add up to 1.
    pub weight: f64,
    /// How similar the two are to it; nothing if it did not embed the song, and
    /// then the others count for it.
    pub similarity: Option<f64>,
}

/// One model of a search, with the vector that it looks for.
#[derive(Clone, Debug)]
pub(super) struct ModelQuery {
    pub(super) spec: ModelSpec,
    pub(super) weight: f64,
    pub(super) vector: Vector,
    pub(super) metric: Metric,
}

/// A song that may be a result, scored by all models together.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) song: Song,
    pub(super) similarity: f64,
    pub(super) distance: f64,
    /// What each model says, if there are several.
    pub(super) parts: Vec<BlendPart>,
    /// How many other copies of the recording were left out.
    pub(super) copies: usize,
}

/// What `model_queries` say of a song that the first of them found, when the
/// others embedded it as `vectors`, in their order.
pub(super) fn score(
    model_queries: &[ModelQuery],
    (neighbor, song): (Neighbor, Song),
    vectors: Vec<Option<Vector>>,
) -> Candidate {
    let Neighbor { similarity, distance, .. } = neighbor;
    let mut candidate = Candidate { song, similarity, distance, parts: Vec::new(), copies: 0 };
    let [first, others @ ..] = model_queries else { return candidate };
    if others.is_empty() {
        return candidate;
    }
    let of_first = Some((similarity, distance));
    let of_others = others.iter().zip(vectors).map(|(model_query, vector)| {
        Some(model_query.metric.compare(&model_query.vector, &vector?))
    });
    let scores: Vec<(&ModelQuery, Option<(f64, f64)>)> =
        std::iter::once((first, of_first)).chain(others.iter().zip(of_others)).collect();
    let all: f64 = scores
        .iter()
        .filter(|(_, score)| score.is_some())
        .map(|(model_query, _)| model_query.weight)
        .sum();
    (candidate.similarity, candidate.distance) = (0.0, 0.0);
    for (model_query, score) in scores {
        let weight = if score.is_some() { model_query.weight / all } else { 0.0 };
        if let Some((similarity, distance)) = score {
            candidate.similarity += weight * similarity;
            candidate.distance += weight * distance;
        }
        let similarity = score.map(|(similarity, _)| similarity);
        let model = model_query.spec.name.clone();
        candidate.parts.push(BlendPart { model, weight, similarity });
    }
    candidate
}

#[cfg(test)]
mod tests {
    use songrec_core::{AudioProperties, Digest, Timestamp};

    use super::*;

    fn model_query(name: &str, weight: f64) -> ModelQuery {
        let spec = ModelSpec {
            name: name.parse().unwrap(),
            dimension: 2,
            metric: Metric::Cosine,
            description: String::new(),
        };
        let vector = Vector::new(vec![1.0, 0.0]).unwrap();
        ModelQuery { spec, weight, vector, metric: Metric::Cosine }
    }

    fn found(similarity: f64) -> (Neighbor, Song) {
        let song =
            Song::new(Digest::of(b"song"), AudioProperties::default(), Timestamp::UNIX_EPOCH);
        let distance = 1.0 - similarity;
        (Neighbor { song: song.id, similarity, distance, key: None }, song)
    }

    #[test]
    fn a_blend_names_models_and_weights() {
        let blend: Blend = "clap=0.6, dsp47@1=0.4,dsp45".parse().unwrap();

        let expected = [("clap", 0.6), ("dsp47@1", 0.4), ("dsp45", 1.0)];
        assert_eq!(blend.parts(), expected.map(|(name, weight)| (name.to_owned(), weight)));
        for wrong in ["", "a=", "a=x", "a=0", "a=-1", "a=inf", "a=NaN", "a=1,a=2", ",a", "a,", "=1"]
        {
            assert!(wrong.parse::<Blend>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_score_is_the_weighted_mean_of_what_the_models_say() {
        let model_queries = [model_query("a@1", 3.0), model_query("b@1", 1.0)];
        let across = Vector::new(vec![0.0, 2.0]).unwrap();

        let candidate = score(&model_queries, found(0.8), vec![Some(across)]);

        assert!((candidate.similarity - 0.75 * 0.8).abs() < 1e-12, "{candidate:?}");
        assert!((candidate.distance - (0.75 * 0.2 + 0.25)).abs() < 1e-12, "{candidate:?}");
        assert_eq!(candidate.parts[1].similarity, Some(0.0));
    }

    #[test]
    fn the_others_count_for_a_model_that_did_not_embed_the_song() {
        let model_queries =
            [model_query("a@1", 2.0), model_query("b@1", 7.0), model_query("c@1", 2.0)];
        let along = Vector::new(vec![5.0, 0.0]).unwrap();

        let candidate = score(&model_queries, found(0.5), vec![None, Some(along)]);

        assert!((candidate.similarity - 0.75).abs() < 1e-12, "{candidate:?}");
        let weights: Vec<f64> = candidate.parts.iter().map(|part| part.weight).collect();
        assert_eq!(weights, [0.5, 0.0, 0.5]);
        assert_eq!(candidate.parts[1].similarity, None);
    }
}
