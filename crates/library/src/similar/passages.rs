//! Parts of songs that sound like a part of a song.

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_core::{
    Filter, Hint, Metric, ModelName, ModelSpec, Piece, Remedy, Scan, Song, SongId, SongSummary,
    Vector,
};
use songrec_storage::{
    NearestSegments, OverFetch, SegmentNeighbor, SegmentQuery, SongQuery, WhichSegments,
    take_passing,
};

use super::{
    Example, MARGIN, Query, Similar, SimilarOptions,
    example::{EmbeddedExample, combine},
};
use crate::{Error, Library, Part, Result};

/// Parts of songs, the most similar first.
#[derive(Clone, Debug, Serialize)]
pub struct Passages {
    /// What they are similar to.
    pub query: Query,
    /// The part of it, if not the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The model that was compared by.
    pub model: ModelName,
    /// How.
    pub metric: Metric,
    /// The parts.
    pub results: Vec<Passage>,
    /// Why there are fewer than were asked for, if there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Hint>,
}

/// One part of a song.
#[derive(Clone, Debug, Serialize)]
pub struct Passage {
    /// Counted from 1, the nearest.
    pub rank: usize,
    /// Higher is closer.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
    /// From where to where, in seconds.
    #[serde(flatten)]
    pub part: Part,
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
}

/// What sounds like a part of a song.
#[derive(Clone, Debug)]
pub enum Found {
    /// Parts of songs.
    Passages(Passages),
    /// Whole songs.
    Songs(Similar),
}

/// More passages of one song are not stored, in practice: ten hours of windows
/// of ten seconds.
const OF_ONE_SONG: usize = 4000;
/// As many songs as a backend far away can be asked of in one request.
const FEW: usize = 100;

/// The parts of songs that sound like `name`: a song, a file, or a part of
/// one, such as `song.flac@1:20-1:35`. Passages of the song itself count
/// only where they do not overlap what is asked about.
///
/// # Errors
///
/// When there is no such song, or several models are asked.
pub async fn passages(library: &Library, name: &str, options: &SimilarOptions) -> Result<Passages> {
    let (models, _) = crate::similar::chosen_models(library, options).await?;
    let [(spec, _)] = models.as_slice() else {
        return Err(Error::usage("passages are compared by one model")
            .with_hint(Hint::of("name it with {}", [Remedy::Model(None)])));
    };
    let one = std::slice::from_ref(&spec.name);
    let embedded =
        crate::similar::example::embed_examples(library, &[Example::like(name)], one).await?;
    passages_like(library, name, &embedded, spec, options).await
}

/// The parts of songs that sound like `name`, or whole songs where no parts
/// are kept, or several models are asked.
///
/// # Errors
///
/// When there is no such song.
pub async fn passages_or_songs(
    library: &Library,
    name: &str,
    options: &SimilarOptions,
) -> Result<Found> {
    let (models, notes) = crate::similar::chosen_models(library, options).await?;
    let names: Vec<ModelName> = models.iter().map(|(spec, _)| spec.name.clone()).collect();
    let embedded =
        crate::similar::example::embed_examples(library, &[Example::like(name)], &names).await?;
    if let [(spec, _)] = models.as_slice() {
        let passages = passages_like(library, name, &embedded, spec, options).await?;
        let vector = combine(&embedded, &spec.name, passages.metric)?;
        if !passages.results.is_empty() || keeps_passages(library, spec, vector).await? {
            return Ok(Found::Passages(passages));
        }
    }
    let songs = crate::similar::like_examples(library, models, notes, &embedded, options).await?;
    Ok(Found::Songs(songs))
}

// Passages are what scans keep, not what people named.
fn windows(model: &ModelName) -> SegmentQuery {
    let which = WhichSegments::Windows;
    SegmentQuery { model: Some(model.clone()), which, ..SegmentQuery::default() }
}

// Whether there is any passage by this model: one near to any vector.
async fn keeps_passages(library: &Library, spec: &ModelSpec, vector: Vector) -> Result<bool> {
    let any = NearestSegments {
        vector,
        among: windows(&spec.name),
        k: 1,
        threshold: None,
        metric: None,
        exclude: Vec::new(),
    };
    Ok(!library.backend.segments().nearest(&any).await?.is_empty())
}

async fn passages_like(
    library: &Library,
    name: &str,
    embedded: &[EmbeddedExample],
    spec: &ModelSpec,
    options: &SimilarOptions,
) -> Result<Passages> {
    let model = &spec.name;
    let metric = options.metric.unwrap_or(spec.metric);
    let vector = combine(embedded, model, metric)?;
    let example = embedded.first().expect("one was asked about");
    let part = Part::split(name).1;
    let own = example.song.as_ref().map(|song| song.id);
    let mut exclude = Vec::new();
    if let Some(own) = own.filter(|_| example.in_library && !options.include_self) {
        // Ends that merely touch are no overlap.
        let time = part.map(|part| (part.start + 1e-3, part.end - 1e-3));
        let among = SegmentQuery {
            songs: vec![own],
            model: Some(model.clone()),
            time,
            limit: OF_ONE_SONG,
            ..SegmentQuery::default()
        };
        let overlapping = library.backend.segments().find(&among).await?;
        exclude.extend(overlapping.into_iter().map(|segment| segment.id));
    }
    let nearest = NearestSegments {
        vector,
        among: windows(model),
        k: options.offset.saturating_add(options.k),
        threshold: options.threshold,
        metric: options.metric,
        exclude,
    };
    let passing = nearest_passages(library, nearest, options).await?;
    let results: Vec<Passage> = passing
        .into_iter()
        .skip(options.offset)
        .take(options.k)
        .enumerate()
        .map(|(place, (hit, summary))| Passage {
            rank: options.offset + place + 1,
            similarity: hit.similarity,
            distance: hit.distance,
            part: Part { start: hit.segment.start, end: hit.segment.end },
            summary,
        })
        .collect();
    let shortfall = (results.len() < options.k).then(|| {
        let only_some = options.threshold.is_some() || !options.filter.is_all();
        let among = if only_some { " that pass" } else { "" };
        Hint::of(
            "only {} found{}: {} keeps passages of songs",
            [
                Piece::from(results.len().to_string()),
                among.into(),
                Remedy::Scan(Scan::Passages(model.to_string())).into(),
            ],
        )
    });
    Ok(Passages {
        query: Query::of(example),
        part,
        model: model.clone(),
        metric,
        results,
        shortfall,
    })
}

// The nearest passages of songs that pass, up to as many as the query asks
// for.
async fn nearest_passages(
    library: &Library,
    mut query: NearestSegments,
    options: &SimilarOptions,
) -> Result<Vec<(SegmentNeighbor, SongSummary)>> {
    match few_passing(library, &options.filter).await? {
        // Without songs the query would mean those of all.
        Some(none) if none.is_empty() => return Ok(Vec::new()),
        few => query.among.songs = few.unwrap_or_default(),
    }
    let some_count = !options.filter.is_all() || !options.exclude.is_empty();
    let plan = OverFetch::new(query.k).with_margin(if some_count { MARGIN } else { 0 });
    let query = &query;
    let nearest = |k| async move {
        let query = NearestSegments { k, ..query.clone() };
        Ok(library.backend.segments().nearest(&query).await?)
    };
    Ok(take_passing(plan, nearest, |found| passing(library, found, options)).await?.items)
}

// The songs that pass, if they are so few that their passages can be asked
// for by name; else passages are found first, and looked at whether they
// pass.
async fn few_passing(library: &Library, filter: &Filter) -> Result<Option<Vec<SongId>>> {
    if filter.is_all() {
        return Ok(None);
    }
    let query = SongQuery { filter: filter.clone(), limit: FEW + 1, ..SongQuery::default() };
    let summaries = library.backend.songs().find_summaries(&query).await?.items;
    Ok((summaries.len() <= FEW).then(|| summaries.iter().map(|summary| summary.id).collect()))
}

// The hits whose songs are there and pass.
async fn passing(
    library: &Library,
    found: Vec<SegmentNeighbor>,
    options: &SimilarOptions,
) -> Result<Vec<(SegmentNeighbor, SongSummary)>> {
    let mut ids: Vec<SongId> = found.iter().map(|hit| hit.segment.song).collect();
    ids.sort_unstable();
    ids.dedup();
    let songs: BTreeMap<SongId, Song> = library
        .backend
        .songs()
        .get(&ids)
        .await?
        .into_iter()
        .flatten()
        .map(|song| (song.id, song))
        .collect();
    let with_summary = |hit: SegmentNeighbor| {
        let summary = SongSummary::of(songs.get(&hit.segment.song)?);
        let passes = options.filter.passes(&summary) && !options.exclude.contains(&summary.id);
        passes.then_some((hit, summary))
    };
    Ok(found.into_iter().filter_map(with_summary).collect())
}
