//! What an answer says.

use serde::Serialize;
use songrec_core::{Hint, Metric, ModelName, SongId, SongSummary};

use super::{BlendPart, SimilarOptions, blend::Candidate, example::EmbeddedExample};
use crate::{Explanation, explain};

/// Similar songs, nearest first.
#[derive(Clone, Debug, Serialize)]
pub struct Similar {
    /// What they are similar to: the first song, if several were given.
    pub query: Query,
    /// All songs that were given, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<WeightedQuery>,
    /// The model that was compared by; of several, the one that found the
    /// candidates.
    pub model: ModelName,
    /// The models that were compared by, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blend: Vec<ModelWeight>,
    /// How.
    pub metric: Metric,
    /// The songs.
    pub results: Vec<SimilarSong>,
    /// What a person should know of how they were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Hint>,
    /// Why there are fewer than were asked for, if there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Hint>,
}

/// What was asked about.
#[derive(Clone, Debug, Serialize)]
pub struct Query {
    /// Its id, if it is in the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<SongId>,
    /// Its title, or the file's name, or the words.
    pub title: String,
    /// Its artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// In seconds, if it is a song.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
}

/// One of several songs that were asked about.
#[derive(Clone, Debug, Serialize)]
pub struct WeightedQuery {
    /// The song.
    #[serde(flatten)]
    pub query: Query,
    /// How much it counts; below 0, the results should be unlike it.
    pub weight: f64,
}

/// How much a model counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelWeight {
    /// The model.
    pub model: ModelName,
    /// The weights of all models add up to 1.
    pub weight: f64,
}

/// One similar song.
#[derive(Clone, Debug, Serialize)]
pub struct SimilarSong {
    /// Counted from 1, the nearest.
    pub rank: usize,
    /// Higher is closer.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
    /// How many other copies of the recording were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub copies_left_out: usize,
    /// What each model says, if several were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<BlendPart>,
    /// Of several songs that were asked about, the title of the one that it is
    /// explained beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Why it is similar, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Query {
    pub(super) fn of(example: &EmbeddedExample) -> Self {
        let summary = example.song.as_ref().map(SongSummary::of);
        Self {
            id: summary.as_ref().filter(|_| example.in_library).map(|summary| summary.id),
            title: example.title.clone(),
            artist: summary.as_ref().and_then(|summary| summary.artist.clone()),
            duration: summary.map(|summary| summary.duration),
        }
    }
}

/// One result, explained beside the example that it has most in common with.
pub(super) fn result(
    rank: usize,
    candidate: Candidate,
    examples: &[EmbeddedExample],
    options: &SimilarOptions,
) -> SimilarSong {
    let likeness =
        |explanation: &Explanation| explanation.groups.iter().map(|group| group.score).sum::<f64>();
    let explained = examples
        .iter()
        .filter(|example| options.explain && example.weight > 0.0)
        .filter_map(|example| example.song.as_ref())
        .map(|song| (explain(song, &candidate.song), song))
        .reduce(|best, next| if likeness(&next.0) > likeness(&best.0) { next } else { best });
    let beside = explained.as_ref().filter(|_| examples.len() > 1);
    SimilarSong {
        rank,
        similarity: candidate.similarity,
        distance: candidate.distance,
        beside: beside.map(|(_, song)| SongSummary::of(song).title),
        explanation: explained.map(|(explanation, _)| explanation),
        parts: candidate.parts,
        copies_left_out: candidate.copies,
        summary: SongSummary::of(&candidate.song),
    }
}
