//! Patterns that sound alike.

use serde::Serialize;
use songrec_core::{Hint, Metric, ModelName, ModelSpec, Piece, Remedy, Segment, SegmentId, Vector};
use songrec_storage::{NearestSegments, OverFetch, SegmentNeighbor, take_passing};

use super::{
    add::embed_part,
    find::{PatternQuery, current, pattern},
    shown::ShownPattern,
};
use crate::{Error, Library, Part, Result, find_model, given::given_model, similar};

/// How many more are searched for than are wanted, for those that are left out.
const MARGIN: usize = 8;

/// What patterns can be similar to.
#[derive(Clone, Debug, PartialEq)]
pub enum PatternSubject {
    /// A pattern, which is not in the answer itself.
    Pattern(SegmentId),
    /// A song, any audio file, or a part of one such as `song.flac@1:20-1:35`.
    Song(String),
    /// Features.
    Vector(Vector),
}

/// How similar patterns are asked for.
#[derive(Clone, Debug)]
pub struct SimilarPatternsOptions {
    /// The model to compare by. If it is not said, that of the pattern; that of features
    /// that were given, for features; else the one that searches compare by.
    pub model: Option<String>,
    /// How many patterns.
    pub k: usize,
    /// How many of the nearest to leave out.
    pub offset: usize,
    /// The lowest similarity that counts.
    pub threshold: Option<f64>,
    /// How to compare; the model's own metric if none is given.
    pub metric: Option<Metric>,
    /// Which patterns count; its order, offset, limit and model are not looked at.
    pub among: PatternQuery,
}

/// Similar patterns, the most similar first.
#[derive(Clone, Debug, Serialize)]
pub struct SimilarPatterns {
    /// What they are similar to: a title, with the part if it is one.
    pub query: String,
    /// The pattern that was asked about, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<SegmentId>,
    /// The model that was compared by.
    pub model: ModelName,
    /// How.
    pub metric: Metric,
    /// The patterns.
    pub results: Vec<SimilarPattern>,
    /// Why there are fewer than were asked for, if there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Hint>,
}

/// One similar pattern.
#[derive(Clone, Debug, Serialize)]
pub struct SimilarPattern {
    /// Counted from 1, the nearest.
    pub rank: usize,
    /// Higher is closer.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
    /// The pattern.
    #[serde(flatten)]
    pub pattern: ShownPattern,
}

/// What is asked about, as a model hears it.
struct Subject {
    title: String,
    model: ModelSpec,
    vector: Vector,
    own: Vec<SegmentId>,
}

/// The patterns that sound like `subject`.
///
/// # Errors
///
/// `NotFound` if there is no such pattern, song or model, `Usage` for features that the
/// model cannot have made; those of the library.
pub async fn similar_patterns(
    library: &Library,
    subject: &PatternSubject,
    options: &SimilarPatternsOptions,
) -> Result<SimilarPatterns> {
    let asked = asked(library, subject, options.model.as_deref()).await?;
    let among = PatternQuery { model: Some(asked.model.name.clone()), ..options.among.clone() };
    let query = NearestSegments {
        vector: asked.vector,
        among: among.segments()?,
        k: options.offset.saturating_add(options.k),
        threshold: options.threshold,
        metric: options.metric,
        exclude: asked.own,
    };
    let (query, plan) = (&query, OverFetch::new(query.k).with_margin(MARGIN));
    let nearest = |k| async move {
        let query = NearestSegments { k, ..query.clone() };
        Ok(library.backend().segments().nearest(&query).await?)
    };
    let pass = |found| current(library, found, segment_of);
    let found = match options.k {
        0 => Vec::new(),
        _ => take_passing(plan, nearest, pass).await?.items,
    };
    let results: Vec<SimilarPattern> = found
        .into_iter()
        .enumerate()
        .skip(options.offset)
        .map(|(place, (hit, song))| SimilarPattern {
            rank: place + 1,
            similarity: hit.similarity,
            distance: hit.distance,
            pattern: ShownPattern::of(&hit.segment, &song),
        })
        .collect();
    let shortfall = shortfall(&asked.model.name, results.len(), options);
    Ok(SimilarPatterns {
        query: asked.title,
        pattern: match subject {
            PatternSubject::Pattern(id) => Some(*id),
            PatternSubject::Song(_) | PatternSubject::Vector(_) => None,
        },
        model: asked.model.name,
        metric: options.metric.unwrap_or(asked.model.metric),
        results,
        shortfall,
    })
}

fn segment_of(hit: &SegmentNeighbor) -> &Segment {
    &hit.segment
}

async fn asked(
    library: &Library,
    subject: &PatternSubject,
    model: Option<&str>,
) -> Result<Subject> {
    match subject {
        PatternSubject::Pattern(id) => {
            let kept = pattern(library, *id).await?;
            let shown = &kept.shown;
            let own = kept.versions.iter().map(|version| version.id).collect();
            let title = format!("{} of {} ({})", shown.kind, shown.title, shown.part);
            let spec = find_model(library, model.unwrap_or(shown.model.as_str())).await?;
            let Part { start, end } = shown.part;
            let vector = match kept.versions.first() {
                Some(version) if version.model == spec.name => version.vector.clone(),
                _ => embed_part(library, shown.song, (start, end), &spec).await?,
            };
            Ok(Subject { title, model: spec, vector, own })
        }
        PatternSubject::Song(name) => {
            let usual = library.search_model().await?;
            let spec = find_model(library, model.unwrap_or(usual.as_str())).await?;
            let (title, vector) = similar::embed_named(library, name, &spec).await?;
            Ok(Subject { title, model: spec, vector, own: Vec::new() })
        }
        PatternSubject::Vector(vector) => {
            let model = model_of(library, vector, model).await?;
            let title = format!("{} features", vector.dimension());
            Ok(Subject { title, model, vector: vector.clone(), own: Vec::new() })
        }
    }
}

// The model of features: the one that was named, that of given ones, or the usual one
// if it makes as many.
async fn model_of(library: &Library, vector: &Vector, model: Option<&str>) -> Result<ModelSpec> {
    if let Some(name) = model {
        return find_model(library, name).await;
    }
    let known = library.backend().embeddings().models().await?;
    let given = given_model(vector.dimension())?;
    let usual = library.model_among(&known).await?;
    let is_one = |spec: &&ModelSpec| {
        spec.name == given.name
            || (spec.name.as_str() == usual && spec.dimension == vector.dimension())
    };
    let mut fitting: Vec<&ModelSpec> = known.iter().filter(is_one).collect();
    fitting.sort_by_key(|spec| spec.name != given.name);
    fitting.first().copied().cloned().ok_or_else(|| {
        let dimension = vector.dimension();
        Error::not_found(format_args!("no pattern here has {dimension} features of no model"))
            .with_hint(Hint::of("name the model that made them with {}", [Remedy::Model(None)]))
    })
}

// Why there are only `found` patterns, in words.
fn shortfall(model: &ModelName, found: usize, options: &SimilarPatternsOptions) -> Option<Hint> {
    if found >= options.k {
        return None;
    }
    let mut reasons = Vec::new();
    if let Some(threshold) = options.threshold {
        reasons.push(format!("only a similarity of {threshold} or more counts"));
    }
    if options.among.is_narrow() {
        reasons.push("only some patterns pass what was asked for".to_owned());
    }
    if options.offset > 0 {
        reasons.push(format!("the first {} were passed over", options.offset));
    }
    let found = if found == 0 { "nothing found".to_owned() } else { format!("only {found} found") };
    if reasons.is_empty() {
        return Some(Hint::of(
            "{}: these are all patterns with features of {}; {} makes others",
            [
                Piece::from(found),
                Piece::from(format!("`{model}`")),
                Piece::from(Remedy::NewPattern),
            ],
        ));
    }
    Some(format!("{found}: {}", reasons.join("; ")).into())
}
