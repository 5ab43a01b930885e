//! What is asked about: songs to be like, and songs to be unlike.

use std::{collections::BTreeMap, path::PathBuf};

use songrec_core::{
    Hint, Metric, ModelName, Piece, Remedy, Scan, Song, SongId, SongSummary, Vector,
};

use super::folder::{Center, center_of};
use crate::{Error, ErrorKind, Library, Named, Part, Result};

/// Something that the results should be like, or unlike.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What.
    pub subject: Subject,
    /// How much it counts; below 0, the results should be unlike it.
    pub weight: f64,
}

/// What results can be like.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A song of the library, or any audio file, or a part of one such as
    /// `song.flac@1:20-1:35`.
    Song(String),
    /// A song of the library, as it was just read.
    Read(Box<Song>),
    /// The songs of the library in a folder, all together.
    Folder(PathBuf),
    /// Words for a sound, to be read by a model that can.
    Text(String),
    /// What a model would embed it as; of several models, as the first one would.
    Vector(Vector),
}

/// How much something counts that the results should be unlike. Less than the
/// songs that they should be like: songs have much in common with all songs,
/// and who takes all of it away is left with noise.
pub const UNLIKE: f64 = -0.5;

impl Example {
    /// A song to be like.
    pub fn like(name: impl Into<String>) -> Self {
        Self { subject: Subject::Song(name.into()), weight: 1.0 }
    }

    /// A song of the library to be like, as it was just read.
    pub fn read(song: Song) -> Self {
        Self { subject: Subject::Read(Box::new(song)), weight: 1.0 }
    }

    /// A song to be unlike.
    pub fn unlike(name: impl Into<String>) -> Self {
        Self { subject: Subject::Song(name.into()), weight: UNLIKE }
    }

    /// The songs of a folder to be like, as their center.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self { subject: Subject::Folder(path.into()), weight: 1.0 }
    }

    /// Words to sound like.
    pub fn text(words: impl Into<String>) -> Self {
        Self { subject: Subject::Text(words.into()), weight: 1.0 }
    }

    /// A vector to be near to.
    pub const fn vector(vector: Vector) -> Self {
        Self { subject: Subject::Vector(vector), weight: 1.0 }
    }

    /// Words not to sound like.
    pub fn not_text(words: impl Into<String>) -> Self {
        Self { subject: Subject::Text(words.into()), weight: UNLIKE }
    }
}

/// An example as the models embedded it.
#[derive(Debug)]
pub(super) struct EmbeddedExample {
    /// The song's title, or the words.
    pub(super) title: String,
    /// The song; nothing for words.
    pub(super) song: Option<Song>,
    /// The songs of the library that it stands for, if it is none itself.
    pub(super) members: Vec<SongId>,
    pub(super) in_library: bool,
    /// Whether the vectors are those that are stored of the song.
    pub(super) is_stored: bool,
    pub(super) weight: f64,
    pub(super) vectors: BTreeMap<ModelName, Vector>,
    /// Why models did not embed it, where that is known.
    pub(super) unembedded: BTreeMap<ModelName, Error>,
}

impl EmbeddedExample {
    /// Another model that is a part of songrec and embedded this song, where none of
    /// `models` did.
    pub(super) fn other_built_in(&self, models: &[ModelName]) -> Option<ModelName> {
        let song = self.song.as_ref().filter(|_| self.in_library)?;
        let is_embedded = models.iter().any(|model| self.vectors.contains_key(model));
        let mut others = songrec_models::built_in_models().iter().map(|spec| &spec.name);
        others.find(|name| !is_embedded && song.embeddings.contains_key(*name)).cloned()
    }
}

/// The examples with their vectors under those of `models` that embedded
/// them: one request a model for all songs of the library together.
pub(super) async fn embed_examples(
    library: &Library,
    examples: &[Example],
    models: &[ModelName],
) -> Result<Vec<EmbeddedExample>> {
    let mut embedded = Vec::with_capacity(examples.len());
    let names: Vec<&str> = examples
        .iter()
        .filter_map(|example| match &example.subject {
            Subject::Song(name) => Some(Part::split(name).0),
            Subject::Read(_) | Subject::Folder(_) | Subject::Text(_) | Subject::Vector(_) => None,
        })
        .collect();
    let mut named = crate::find::resolve_all(library, &names).await?.into_iter();
    for Example { subject, weight } in examples {
        let name = match subject {
            Subject::Song(name) | Subject::Text(name) => name,
            Subject::Read(song) => &SongSummary::of(song).title,
            Subject::Folder(folder) => &*folder.to_string_lossy(),
            Subject::Vector(_) => "a vector",
        };
        if !weight.is_finite() || *weight == 0.0 {
            return Err(Error::usage(format_args!("`{weight}` is not a weight for `{name}`"))
                .with_hint("a weight is a number other than 0, such as 1 or 0.5"));
        }
        embedded.push(match subject {
            Subject::Folder(folder) => {
                of_center(center_of(library, folder, models).await?, *weight)
            }
            Subject::Text(words) => read_example(library, words, *weight, models).await?,
            Subject::Vector(vector) => vector_example(vector, *weight, models),
            Subject::Read(song) => stored_example((**song).clone(), *weight),
            Subject::Song(name) => {
                let song = named.next().expect("there is one for each song");
                song_example(library, song, Part::split(name).1, *weight, models).await?
            }
        });
    }
    let ids: Vec<SongId> = embedded
        .iter()
        .filter(|one| one.is_stored)
        .filter_map(|one| one.song.as_ref().map(|song| song.id))
        .collect();
    for model in models {
        let stored = library.backend.embeddings().get(model, &ids).await?;
        let songs = embedded.iter_mut().filter(|one| one.is_stored);
        for (example, stored) in songs.zip(stored) {
            if let Some(stored) = stored {
                example.vectors.insert(model.clone(), stored.embedding.vector);
            }
        }
    }
    Ok(embedded)
}

async fn song_example(
    library: &Library,
    named: Named,
    part: Option<Part>,
    weight: f64,
    models: &[ModelName],
) -> Result<EmbeddedExample> {
    let (song, path) = match (named, part) {
        (Named::Song(song), None) => return Ok(stored_example(*song, weight)),
        // What is not stored has to be embedded: a part of a song, or a file
        // outside the library.
        (Named::Song(song), Some(_)) => {
            let path = audio_file(library, &song)?;
            (Some(*song), path)
        }
        (Named::File(path), _) => (None, path),
    };
    let embedded = crate::embedders::embed_outside(library, &path, models, part, false).await?;
    let in_library = song.is_some();
    let song = song.unwrap_or(embedded.song);
    let title = SongSummary::of(&song).title;
    Ok(EmbeddedExample {
        title: part.map_or(title.clone(), |part| format!("{title} ({part})")),
        song: Some(song),
        members: Vec::new(),
        in_library,
        is_stored: false,
        weight,
        vectors: embedded.vectors,
        unembedded: embedded.unembedded,
    })
}

// A song of the library, whose vectors are those that are stored.
fn stored_example(song: Song, weight: f64) -> EmbeddedExample {
    EmbeddedExample {
        title: SongSummary::of(&song).title,
        song: Some(song),
        members: Vec::new(),
        in_library: true,
        is_stored: true,
        weight,
        vectors: BTreeMap::new(),
        unembedded: BTreeMap::new(),
    }
}

// The songs of a folder, as what stands for them.
fn of_center(center: Center, weight: f64) -> EmbeddedExample {
    let Center { title, songs, vectors, unembedded } = center;
    EmbeddedExample {
        title,
        song: None,
        members: songs,
        in_library: false,
        is_stored: false,
        weight,
        vectors,
        unembedded,
    }
}

// A vector, which means something to the first of the models alone.
fn vector_example(vector: &Vector, weight: f64, models: &[ModelName]) -> EmbeddedExample {
    let vectors = models.first().map(|model| (model.clone(), vector.clone()));
    EmbeddedExample {
        title: "a vector".to_owned(),
        song: None,
        members: Vec::new(),
        in_library: false,
        is_stored: false,
        weight,
        vectors: vectors.into_iter().collect(),
        unembedded: BTreeMap::new(),
    }
}

// Words, as the models that can read understand them.
async fn read_example(
    library: &Library,
    words: &str,
    weight: f64,
    models: &[ModelName],
) -> Result<EmbeddedExample> {
    if words.trim().is_empty() {
        return Err(Error::usage("there are no words to sound like").with_hint(Hint::of(
            "describe a sound, such as {}",
            [Remedy::Describe("warm analogue pad")],
        )));
    }
    let mut vectors = BTreeMap::new();
    let mut unembedded = BTreeMap::new();
    for name in models {
        match library.models.read(name, words).await {
            Ok(vector) => _ = vectors.insert(name.clone(), vector),
            Err(error) => _ = unembedded.insert(name.clone(), error),
        }
    }
    Ok(EmbeddedExample {
        title: words.to_owned(),
        song: None,
        members: Vec::new(),
        in_library: false,
        is_stored: false,
        weight,
        vectors,
        unembedded,
    })
}

/// A file of this machine that holds the audio of `song`.
///
/// # Errors
///
/// When there is none any more.
pub(crate) fn audio_file(library: &Library, song: &Song) -> Result<PathBuf> {
    let mut paths = song.files.iter().map(|file| library.file_path(&file.path));
    paths.find(|path| path.is_file()).ok_or_else(|| {
        Error::not_found(format_args!(
            "the audio of `{}` is not on this machine",
            SongSummary::of(song).title
        ))
        .with_hint(Hint::of(
            "{} writes the audio that a library keeps to a file, which can be named instead",
            [Remedy::GetAudio],
        ))
    })
}

/// The vector that stands for all `examples` together under `model`: their
/// weighted mean, each as a direction where only directions count.
///
/// # Errors
///
/// When the model did not embed one of them, or they cancel each other out.
pub(super) fn combine(
    examples: &[EmbeddedExample],
    model: &ModelName,
    metric: Metric,
) -> Result<Vector> {
    let mut vectors = Vec::with_capacity(examples.len());
    for example in examples {
        if example.song.as_ref().is_some_and(Song::is_silent) {
            return Err(Error::usage(format_args!("`{}` is silent", example.title))
                .because("nothing sounds like silence, and nothing else is worth comparing with")
                .with_hint(Hint::of(
                    "{} lists songs that are; name another one",
                    [Remedy::ListSilent],
                )));
        }
        let vector = example.vectors.get(model).ok_or_else(|| unembedded(example, model))?;
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
        return Err(Error::usage("the songs cancel each other out").with_hint(Hint::of(
            "name other songs, or give them other weights with {}",
            [Remedy::Weights],
        )));
    }
    Ok(vector)
}

fn unembedded(example: &EmbeddedExample, model: &ModelName) -> Error {
    if let Some(error) = example.unembedded.get(model) {
        return error.clone();
    }
    if example.song.as_ref().is_some_and(|song| song.embeddings.contains_key(model)) {
        let lost = format!("the embedding of `{}` by `{model}` is lost", example.title);
        return Error::new(ErrorKind::Corrupt, lost).with_hint(Hint::of(
            "{} embeds its audio again",
            [Remedy::Verify { repair: true, read_data: false }],
        ));
    }
    let embedded_by = example.song.as_ref().and_then(|song| {
        let built_in = songrec_models::built_in_models().iter().map(|spec| &spec.name);
        let mut embedded = built_in.filter(|name| song.embeddings.contains_key(name));
        embedded.next().or_else(|| song.embeddings.keys().next())
    });
    let scan = Remedy::Scan(Scan::Unembedded(Some(model.to_string())));
    Error::not_found(format_args!("`{}` was not embedded by `{model}`", example.title)).with_hint(
        match embedded_by {
            Some(other) => Hint::of(
                "it was embedded by `{}`: try {}; {} lets the other one embed it, too",
                [
                    Piece::from(other.to_string()),
                    Remedy::Model(Some(other.to_string())).into(),
                    scan.into(),
                ],
            ),
            None => Hint::of("{} lets it embed all songs whose files are here", [scan]),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(weight: f64, values: &[f32]) -> EmbeddedExample {
        EmbeddedExample {
            title: "x".to_owned(),
            song: None,
            members: Vec::new(),
            in_library: true,
            is_stored: true,
            weight,
            unembedded: BTreeMap::new(),
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
