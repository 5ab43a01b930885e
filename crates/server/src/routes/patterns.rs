//! Regions of songs that persons and programs named.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use songrec_core::{Metric, ModelName, SegmentId, Vector};
use songrec_library::{
    Error, ErrorKind, NewPattern, PatternChange, PatternIntake, PatternOrder, PatternQuery,
    PatternSubject, SimilarPatternsOptions, edit_pattern, find, find_patterns, keys, pattern,
    remove_patterns, similar_patterns,
};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Unknown;
use crate::{
    input::{InPath, Json, Query, Writing, ids, limit, offset},
    problem::{Problem, Result},
    server::{Shared, to_the_end},
    words::{in_words, put_in_words},
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(query))
        .routes(routes!(similar))
        .routes(routes!(show, change, remove))
}

/// Patterns of one request, at the most, and as many as an answer has if it is not said.
const MOST: usize = 1_000;
const USUAL: usize = 100;

/// Which patterns are asked for: those that pass everything that is said.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PatternParameters {
    /// The id of a song that they are parts of; may be repeated.
    #[serde(default)]
    song: Vec<String>,
    /// What they are, such as `harmonic`; may be repeated.
    #[serde(default)]
    kind: Vec<String>,
    /// They overlap the time from here, in seconds from the start of their song.
    #[param(minimum = 0)]
    #[schema(minimum = 0)]
    from: Option<f64>,
    /// They overlap the time up to here, in seconds.
    #[param(minimum = 0)]
    #[schema(minimum = 0)]
    to: Option<f64>,
    /// They overlap frequencies from this one, in Hz.
    #[param(minimum = 0)]
    #[schema(minimum = 0)]
    low: Option<f32>,
    /// They overlap frequencies up to this one, in Hz.
    #[param(minimum = 0)]
    #[schema(minimum = 0)]
    high: Option<f32>,
    /// They are at least this sure.
    #[param(minimum = 0, maximum = 1)]
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
    /// Who or what found them; may be repeated.
    #[serde(default)]
    source: Vec<String>,
    /// The model that their features are of.
    model: Option<String>,
    /// What they are ordered by; `start` if it is not said.
    #[param(inline)]
    #[schema(inline)]
    sort: Option<Sort>,
    /// From high to low.
    #[serde(default)]
    desc: bool,
    /// Whether their features are in the answer.
    #[serde(default)]
    features: bool,
    /// How many patterns, 1 to 1000; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many are left out first.
    #[param(maximum = 10_000_000)]
    #[schema(maximum = 10_000_000)]
    offset: Option<usize>,
}

/// What patterns are ordered by.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Start,
    End,
    Confidence,
}

impl From<Sort> for PatternOrder {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Start => Self::Start,
            Sort::End => Self::End,
            Sort::Confidence => Self::Confidence,
        }
    }
}

impl PatternParameters {
    fn query(&self) -> Result<PatternQuery> {
        if self.song.len() > MOST || self.kind.len() > MOST || self.source.len() > MOST {
            return Err(Problem::invalid("too many songs, kinds or sources were named")
                .tip(format!("name {MOST} of each at the most")));
        }
        // As an `f32` it may be 0 though it is not.
        if let Some(least) = self.confidence.filter(|least| !(0.0..=1.0).contains(least)) {
            return Err(Problem::invalid(format!(
                "a confidence is from 0 to 1, and {least} is not"
            )));
        }
        let model = self.model.as_deref().map(str::parse::<ModelName>).transpose();
        Ok(PatternQuery {
            songs: ids(&self.song)?,
            kinds: self.kind.clone(),
            time: match (self.from, self.to) {
                (None, None) => None,
                (from, to) => Some((from.unwrap_or(0.0), to.unwrap_or(f64::MAX))),
            },
            frequencies: match (self.low, self.high) {
                (None, None) => None,
                (low, high) => Some((low.unwrap_or(0.0), high.unwrap_or(f32::MAX))),
            },
            min_confidence: self.confidence.map(|least| least as f32),
            sources: self.source.clone(),
            model: model.map_err(|error| {
                Problem::invalid(error.to_string()).tip("`GET /api/v1/stats` lists models")
            })?,
            order: self.sort.map(Into::into).unwrap_or_default(),
            descending: self.desc,
            offset: offset(self.offset)?,
            limit: limit(self.limit, USUAL)?,
        })
    }

    async fn answer(&self, server: &Shared) -> Result<Value> {
        let query = self.query()?;
        let found = find_patterns(&server.library, &query, self.features).await?;
        Ok(json!({ "patterns": found, "offset": query.offset, "limit": query.limit }))
    }
}

/// Lists patterns: regions of songs that people and programs named.
#[utoipa::path(get, path = "/api/v1/patterns", tag = "patterns", params(PatternParameters), responses(
    (status = 200, description = "The patterns", body = ref("#/components/schemas/pattern-list")),
    (status = 304, description = "The client has this answer"),
))]
async fn list(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(asked): Query<PatternParameters>,
) -> Result<Response> {
    Ok(version.json(&asked.answer(&server).await?))
}

/// Lists patterns, as `GET /api/v1/patterns` does, for more than an address has room for.
#[utoipa::path(post, path = "/api/v1/patterns/query", tag = "patterns", request_body = inline(PatternParameters),
    responses((status = 200, description = "The patterns", body = ref("#/components/schemas/pattern-list")))
)]
async fn query(
    State(server): State<Shared>,
    Json(asked): Json<PatternParameters>,
) -> Result<Response> {
    Ok(Answer(asked.answer(&server).await?).into_response())
}

/// Patterns that are to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Added {
    /// The patterns, 1000 at the most.
    #[schema(inline, max_items = 1000)]
    patterns: Vec<New>,
}

/// A pattern that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct New {
    /// The id that it is to have. One that is there already is left as it is, so that a
    /// request can be sent again.
    #[schema(value_type = Option<String>)]
    id: Option<SegmentId>,
    /// The id of the song that it is a part of.
    song: String,
    /// Where it begins, in seconds from the start of the song: 0 or more.
    start: f64,
    /// Where it ends, in seconds.
    end: f64,
    /// Its lowest frequency in Hz, 0 or more; together with the highest one, or neither.
    low: Option<f32>,
    /// Its highest frequency in Hz.
    high: Option<f32>,
    /// What it is, such as `harmonic`; may be called `type`.
    #[serde(alias = "type")]
    kind: String,
    /// How sure its finder is, from 0 to 1; 1 if it is not said.
    confidence: Option<f32>,
    /// Its features. Without them the model embeds the part of the song.
    features: Option<Vec<f32>>,
    /// The model that made the features, or is to make them.
    model: Option<String>,
    /// How features of a new model are compared: `cosine`, `dot` or `euclidean`.
    metric: Option<String>,
    /// Who or what found it.
    source: Option<String>,
    /// Whatever else is to be kept with it, 16 KiB at the most.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Map<String, Value>,
}

impl New {
    fn pattern(self) -> Result<NewPattern> {
        Ok(NewPattern {
            id: self.id,
            low: self.low,
            high: self.high,
            confidence: self.confidence,
            features: self.features,
            model: self.model,
            metric: metric(self.metric)?,
            source: self.source,
            metadata: self.metadata,
            ..NewPattern::new(self.song, self.start, self.end, self.kind)
        })
    }
}

/// Makes patterns. One that cannot be made, as with a `start` below 0, is `failed` in the
/// answer and keeps no other one from it.
#[utoipa::path(post, path = "/api/v1/patterns", tag = "patterns", request_body = inline(Added),
    responses((status = 200, description = "What became of each", body = ref("#/components/schemas/patterns-added")))
)]
async fn add(
    State(server): State<Shared>,
    _: Writing,
    Json(asked): Json<Added>,
) -> Result<Response> {
    if asked.patterns.is_empty() || asked.patterns.len() > MOST {
        return Err(Problem::invalid(format!(
            "{} patterns are none or too many",
            asked.patterns.len()
        ))
        .tip(format!("send 1 to {MOST} at a time")));
    }
    let patterns: Vec<NewPattern> =
        asked.patterns.into_iter().map(New::pattern).collect::<Result<_>>()?;
    // Only what models have to embed takes a core.
    let _turn = match patterns.iter().all(|new| new.features.is_some()) {
        true => None,
        false => Some(server.turn().await?),
    };
    let library = server.library.clone();
    let added =
        to_the_end(async move { PatternIntake::by_ids(&library).add(&patterns).await }).await??;
    let (mut new, mut known, mut failed) = (0, 0, 0);
    let results: Vec<Value> = added
        .into_iter()
        .map(|outcome| match outcome {
            Ok(added) => {
                let (count, said) =
                    if added.is_new { (&mut new, "added") } else { (&mut known, "known") };
                *count += 1;
                json!({ "type": said, "pattern": added.pattern })
            }
            Err(error) => {
                failed += 1;
                let mut result = json!({ "type": "failed", "reason": error.in_one_line() });
                if let Some(hint) = error.hint() {
                    result["tip"] = json!(in_words(hint));
                }
                result
            }
        })
        .collect();
    let body = json!({ "added": new, "known": known, "failed": failed, "results": results });
    Ok(Answer(body).into_response())
}

/// Shows a pattern, with its features.
#[utoipa::path(get, path = "/api/v1/patterns/{id}", tag = "patterns",
    params(("id" = String, Path, description = "The id of a pattern")), responses(
    (status = 200, description = "The pattern", body = ref("#/components/schemas/kept_pattern")),
    (status = 304, description = "The client has this answer"),
))]
async fn show(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    InPath(id): InPath<SegmentId>,
) -> Result<Response> {
    Ok(version.json(&pattern(&server.library, id).await?))
}

/// What is changed of a pattern; the rest stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PatternPatch {
    /// Where it begins, in seconds. Its model embeds the part that it is then, unless
    /// features are sent or stay.
    #[schema(minimum = 0)]
    start: Option<f64>,
    /// Where it ends, in seconds.
    #[schema(minimum = 0)]
    end: Option<f64>,
    /// What it is; may be called `type`.
    #[serde(alias = "type")]
    kind: Option<String>,
    /// Its lowest frequency in Hz.
    #[schema(minimum = 0)]
    low: Option<f32>,
    /// Its highest frequency in Hz.
    #[schema(minimum = 0)]
    high: Option<f32>,
    /// It has no frequencies of its own, but all.
    #[serde(default)]
    all_frequencies: bool,
    /// How sure its finder is.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f32>,
    /// Who or what found it; nobody if it is empty.
    source: Option<String>,
    /// Values of its metadata by their names; those that are null go.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Its features.
    features: Option<Vec<f32>>,
    /// The model that made the features, or is to embed the part anew.
    model: Option<String>,
    /// The features stay although it is elsewhere in its song.
    #[serde(default)]
    keep_features: bool,
}

/// Changes a pattern, which keeps its id.
#[utoipa::path(patch, path = "/api/v1/patterns/{id}", tag = "patterns", request_body = inline(PatternPatch),
    params(("id" = String, Path, description = "The id of a pattern")),
    responses((status = 200, description = "The pattern as it is now", body = ref("#/components/schemas/kept_pattern")))
)]
async fn change(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<SegmentId>,
    Json(asked): Json<PatternPatch>,
) -> Result<Response> {
    let metadata: BTreeMap<String, Option<Value>> = asked
        .metadata
        .into_iter()
        .map(|(name, value)| (name, Some(value).filter(|value| !value.is_null())))
        .collect();
    let change = PatternChange {
        kind: asked.kind,
        start: asked.start,
        end: asked.end,
        low: asked.low,
        high: asked.high,
        all_frequencies: asked.all_frequencies,
        confidence: asked.confidence,
        source: asked.source,
        metadata,
        features: asked.features.map(vector).transpose()?,
        model: asked.model,
        keep_features: asked.keep_features,
    };
    let _turn = server.turn().await?;
    let library = server.library.clone();
    let changed = to_the_end(async move { edit_pattern(&library, id, &change).await });
    Ok(Answer(changed.await??).into_response())
}

/// Deletes a pattern.
#[utoipa::path(delete, path = "/api/v1/patterns/{id}", tag = "patterns",
    params(("id" = String, Path, description = "The id of a pattern")),
    responses((status = 200, description = "It is gone", body = ref("#/components/schemas/pattern-gone")))
)]
async fn remove(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<SegmentId>,
) -> Result<Response> {
    let library = server.library.clone();
    let removed = to_the_end(async move { remove_patterns(&library, &[id]).await }).await??;
    match removed.contains(&true) {
        true => Ok(Answer(json!({ "removed": true, "id": id })).into_response()),
        false => Err(Problem::new("not_found", format!("there is no pattern `{id}`"))
            .tip("`GET /api/v1/patterns` has all of them")),
    }
}

/// What patterns are to be similar to: one of `pattern`, `song` and `features`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Similar {
    /// The id of a pattern.
    #[schema(value_type = Option<String>)]
    pattern: Option<SegmentId>,
    /// The id of a song.
    song: Option<String>,
    /// Where the part of the song begins, in seconds; all of it if it is not said.
    #[schema(minimum = 0)]
    start: Option<f64>,
    /// Where the part of the song ends, in seconds.
    #[schema(minimum = 0)]
    end: Option<f64>,
    /// Features.
    features: Option<Vec<f32>>,
    /// The model to compare by; that of the pattern if it is not said.
    model: Option<String>,
    /// How many patterns, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    k: Option<usize>,
    /// How many of the nearest are left out.
    #[schema(maximum = 10_000_000)]
    offset: Option<usize>,
    /// The lowest similarity that counts.
    threshold: Option<f64>,
    /// How to compare: `cosine`, `dot` or `euclidean`; as the model does if it is not said.
    metric: Option<String>,
    /// Which patterns count; their order and number are not looked at.
    #[serde(default)]
    #[schema(inline)]
    among: PatternParameters,
}

/// Lists patterns that sound like a pattern, a song, a part of one, or features.
#[utoipa::path(post, path = "/api/v1/patterns/similar", tag = "patterns", request_body = inline(Similar),
    responses((status = 200, description = "The patterns", body = ref("#/components/schemas/similar_patterns")))
)]
async fn similar(State(server): State<Shared>, Json(asked): Json<Similar>) -> Result<Response> {
    let library = &server.library;
    let part = match (asked.start, asked.end) {
        (None, None) => String::new(),
        (Some(start), Some(end)) if 0.0 <= start && start < end && end.is_finite() => {
            format!("@{start}-{end}")
        }
        _ => {
            return Err(Problem::invalid("that is no part of a song")
                .tip("send `start` and `end` in seconds, the first below the second"));
        }
    };
    let subject = match (asked.pattern, asked.song, asked.features) {
        (Some(id), None, None) if part.is_empty() => PatternSubject::Pattern(id),
        (None, Some(song), None) => {
            let id = find::song_by_id(library, &song).await?.id;
            PatternSubject::Song(format!("{id}{part}"))
        }
        (None, None, Some(features)) if part.is_empty() => {
            PatternSubject::Vector(vector(features)?)
        }
        _ => {
            return Err(Problem::invalid("it is not clear what they are to be similar to")
                .tip("send `pattern`, `features`, or `song` with `start` and `end`"));
        }
    };
    let config = library.config();
    let options = SimilarPatternsOptions {
        model: asked.model,
        k: limit(asked.k, config.get(keys::PATTERNS_RESULTS))?,
        offset: offset(asked.offset)?,
        threshold: asked.threshold.or_else(|| config.get(keys::PATTERNS_THRESHOLD)),
        metric: metric(asked.metric)?,
        among: asked.among.query()?,
    };
    let _turn = server.turn().await?;
    let mut found = similar_patterns(library, &subject, &options).await?;
    if let Some(hint) = &mut found.shortfall {
        put_in_words(hint);
    }
    Ok(Answer(found).into_response())
}

fn metric(text: Option<String>) -> Result<Option<Metric>> {
    text.map(|text| text.parse::<Metric>().map_err(Problem::invalid)).transpose()
}

fn vector(values: Vec<f32>) -> Result<Vector> {
    let refused = |error: songrec_core::InvalidVector| {
        let error = Error::new(ErrorKind::Usage, "the features cannot be used").because(error);
        Problem::from(error).tip("features are a list of at least one number")
    };
    Vector::new(values).map_err(refused)
}
