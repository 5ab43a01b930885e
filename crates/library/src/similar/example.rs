//! What is asked about: songs to be like, and songs to be unlike.

use std::collections::BTreeMap;

use songrec_core::{Card, Metric, ModelName, Song, Vector};

use crate::{Error, Library, Named, Result, hearing};

/// A song that the results should be like, or unlike.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// A song of the library, or any audio file.
    pub name: String,
    /// How much it counts; below 0, the results should be unlike it.
    pub weight: f64,
}

/// How much a song counts that the results should be unlike. Less than the
/// songs that they should be like: songs have much in common with all songs,
/// and who takes all of it away is left with noise.
pub const UNLIKE: f64 = -0.5;

impl Example {
    /// A song to be like.
    pub fn like(name: impl Into<String>) -> Self {
        Self { name: name.into(), weight: 1.0 }
    }

    /// A song to be unlike.
    pub fn unlike(name: impl Into<String>) -> Self {
        Self { name: name.into(), weight: UNLIKE }
    }
}

/// An example as the models heard it.
#[derive(Clone, Debug)]
pub(super) struct HeardExample {
    pub(super) song: Song,
    pub(super) in_library: bool,
    pub(super) weight: f64,
    pub(super) vectors: BTreeMap<ModelName, Vector>,
}

impl Library {
    /// The examples with their vectors under those of `models` that heard
    /// them: one request a model for all songs of the library together.
    pub(super) async fn hear_examples(
        &self,
        examples: &[Example],
        models: &[ModelName],
    ) -> Result<Vec<HeardExample>> {
        let mut heard = Vec::with_capacity(examples.len());
        for Example { name, weight } in examples {
            if !weight.is_finite() || *weight == 0.0 {
                return Err(Error::usage(format_args!("`{weight}` is not a weight for `{name}`"))
                    .with_hint("a weight is a number other than 0, such as 1 or 0.5"));
            }
            let (song, in_library, vectors) = match self.resolve(name).await? {
                Named::Song(song) => (*song, true, BTreeMap::new()),
                Named::File(path) => {
                    let (song, vectors) = hearing::hear_outside(&path, models).await?;
                    (song, false, vectors)
                }
            };
            heard.push(HeardExample { song, in_library, weight: *weight, vectors });
        }
        let ids: Vec<_> =
            heard.iter().filter(|one| one.in_library).map(|one| one.song.id).collect();
        for model in models {
            let stored = self.backend.get_embeddings(model, &ids).await?;
            let songs = heard.iter_mut().filter(|one| one.in_library);
            for (example, stored) in songs.zip(stored) {
                if let Some(stored) = stored {
                    example.vectors.insert(model.clone(), stored.embedding.vector);
                }
            }
        }
        Ok(heard)
    }
}

/// The vector that stands for all `examples` together under `model`: their
/// weighted mean, each as a direction where only directions count.
///
/// # Errors
///
/// When the model did not hear one of them, or they cancel each other out.
pub(super) fn combine(
    examples: &[HeardExample],
    model: &ModelName,
    metric: Metric,
) -> Result<Vector> {
    let mut vectors = Vec::with_capacity(examples.len());
    for example in examples {
        let vector = example.vectors.get(model).ok_or_else(|| unheard(example, model))?;
        vectors.push((vector, example.weight));
    }
    if let [(vector, weight)] = vectors.as_slice()
        && *weight > 0.0
    {
        // As it was stored, to the bit.
        return Ok((*vector).clone());
    }
    let all: f64 = vectors.iter().map(|(_, weight)| weight.max(0.0)).sum();
    if all == 0.0 {
        return Err(Error::usage("there is nothing to be like")
            .with_hint("name a song to be like before those to be unlike"));
    }
    let mut sum = vec![0.0f64; vectors[0].0.dimension()];
    for (vector, weight) in vectors {
        let length = if metric == Metric::Cosine { vector.norm() } else { 1.0 };
        if vector.dimension() != sum.len() || length == 0.0 {
            continue;
        }
        for (sum, value) in sum.iter_mut().zip(vector.values()) {
            *sum += weight / all / length * f64::from(*value);
        }
    }
    let vector = Vector::new(sum.into_iter().map(|value| value as f32).collect())
        .map_err(|error| Error::usage("the songs do not add up").because(error))?;
    if metric == Metric::Cosine && vector.norm() < 1e-6 {
        return Err(Error::usage("the songs cancel each other out")
            .with_hint("name other songs, or give them other weights with `--weights`"));
    }
    Ok(vector)
}

fn unheard(example: &HeardExample, model: &ModelName) -> Error {
    let title = Card::of(&example.song).title;
    if !example.in_library {
        return Error::usage(format_args!("`{model}` cannot hear `{title}`"))
            .because("it is silent or too short, or the model is not here");
    }
    Error::not_found(format_args!("`{title}` was not heard by `{model}`")).with_hint(match example
        .song
        .embeddings
        .keys()
        .next()
    {
        Some(other) => {
            format!("it was heard by `{other}`: try `--model {other}`, or scan it again")
        }
        None => "scan its file again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use songrec_core::{AudioProperties, Digest, Timestamp};

    use super::*;

    fn example(weight: f64, values: &[f32]) -> HeardExample {
        HeardExample {
            song: Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH),
            in_library: true,
            weight,
            vectors: BTreeMap::from([(model(), Vector::new(values.to_vec()).unwrap())]),
        }
    }

    fn model() -> ModelName {
        "m@1".parse().unwrap()
    }

    #[test]
    fn the_length_of_a_vector_counts_only_where_the_metric_says_so() {
        let examples = [example(1.0, &[10.0, 0.0]), example(1.0, &[0.0, 1.0])];

        let cosine = combine(&examples, &model(), Metric::Cosine).unwrap();
        let euclidean = combine(&examples, &model(), Metric::Euclidean).unwrap();

        assert_eq!(cosine.values(), [0.5, 0.5]);
        assert_eq!(euclidean.values(), [5.0, 0.5]);
    }

    #[test]
    fn a_song_to_be_unlike_pushes_away() {
        let examples = [example(1.0, &[1.0, 1.0]), example(-0.5, &[0.0, 1.0])];

        let vector = combine(&examples, &model(), Metric::Cosine).unwrap();

        assert!(vector.values()[0] > vector.values()[1], "{vector:?}");
    }

    #[test]
    fn songs_that_cancel_each_other_out_are_refused() {
        let examples = [example(1.0, &[1.0, 2.0]), example(-1.0, &[2.0, 4.0])];

        assert!(combine(&examples, &model(), Metric::Cosine).is_err());
        assert!(combine(&examples[1..], &model(), Metric::Cosine).is_err(), "nothing to be like");
    }

    #[test]
    fn a_single_song_is_asked_about_as_it_was_stored() {
        let values = [0.1f32, 0.7, -3.0];

        let vector = combine(&[example(0.3, &values)], &model(), Metric::Cosine).unwrap();

        assert_eq!(vector.values(), values);
    }
}
