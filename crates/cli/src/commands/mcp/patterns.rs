//! What a language model can do with patterns.

use std::collections::BTreeMap;

use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use songrec_core::SegmentId;
use songrec_library::{
    Error, Library, NewPattern, PatternChange, PatternIntake, PatternQuery, SimilarPatternsOptions,
    edit_pattern, find, find_patterns, keys, pattern, remove_patterns, similar_patterns,
};

use super::shape::{document, removing, text, tool, within, writing};
use crate::{commands::patterns::subject, hints};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowPatterns {
    pattern: Option<SegmentId>,
    #[serde(flatten)]
    which: Which,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Similar {
    like: String,
    #[serde(flatten)]
    which: Which,
    limit: Option<usize>,
    model: Option<String>,
    threshold: Option<f64>,
}

/// Which patterns count.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Which {
    songs: Vec<String>,
    kinds: Vec<String>,
    start: Option<f64>,
    end: Option<f64>,
    low: Option<f32>,
    high: Option<f32>,
    min_confidence: Option<f32>,
    sources: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    song: String,
    start: f64,
    end: f64,
    kind: String,
    low: Option<f32>,
    high: Option<f32>,
    confidence: Option<f32>,
    source: Option<String>,
    model: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edited {
    pattern: SegmentId,
    kind: Option<String>,
    start: Option<f64>,
    end: Option<f64>,
    low: Option<f32>,
    high: Option<f32>,
    #[serde(default)]
    all_frequencies: bool,
    confidence: Option<f32>,
    source: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, Option<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removed {
    pattern: SegmentId,
}

/// The tools that only read; `limit` is how a limit is described.
pub(super) fn reading(limit: &Value) -> [Tool; 2] {
    let id = text("The id of one pattern, to see everything that is known of it");
    let like = text("A pattern by its id, or a song or an audio file; `SONG@0:12-0:15` is a part");
    let mut shown = which();
    shown.extend([("pattern".to_owned(), id), ("limit".to_owned(), limit.clone())]);
    let mut similar = which();
    similar.extend([
        ("like".to_owned(), like),
        ("limit".to_owned(), limit.clone()),
        ("model".to_owned(), text("The model to compare by")),
        (
            "threshold".to_owned(),
            json!({ "type": "number", "description": "The lowest similarity that counts" }),
        ),
    ]);
    [
        tool(
            "patterns",
            "Lists patterns, which are parts of songs that persons and programs named, or shows one.",
            &[],
            Value::Object(shown),
        ),
        tool(
            "similar_patterns",
            "Lists the patterns that sound like a pattern, a song or a part of one.",
            &["like"],
            Value::Object(similar),
        ),
    ]
}

/// The tools that change something.
pub(super) fn writing_tools(song: &Value) -> [Tool; 3] {
    let said = |rest: Value| -> Value {
        let mut fields = json!({
            "kind": text("What it is, such as `harmonic`"),
            "start": seconds("Where it begins, in seconds from the start of the song"),
            "end": seconds("Where it ends, in seconds"),
            "low": hertz("Its lowest frequency in Hz; together with `high`"),
            "high": hertz("Its highest frequency in Hz; together with `low`"),
            "confidence": part_of_one("How sure it is, 0 to 1"),
            "source": text("Who says so"),
        });
        if let (Some(fields), Value::Object(rest)) = (fields.as_object_mut(), rest) {
            fields.extend(rest);
        }
        fields
    };
    let id = text("The id of the pattern");
    [
        writing(
            "add_pattern",
            "Names a part of a song; a model embeds the part, so the audio has to be there.",
            &["song", "start", "end", "kind"],
            said(json!({
                "song": song, "model": text("The model that embeds it"),
                "metadata": { "type": "object", "description": "Anything else to keep with it" },
            })),
        ),
        writing(
            "edit_pattern",
            "Changes what is said of a pattern, which keeps its id.",
            &["pattern"],
            said(json!({
                "pattern": id,
                "all_frequencies": { "type": "boolean", "description": "Whether it is of all frequencies again" },
                "metadata": { "type": "object", "description": "Names and new values; null removes one" },
            })),
        ),
        removing("remove_pattern", "Deletes a pattern.", &["pattern"], json!({ "pattern": id })),
    ]
}

/// Patterns, or one of them.
pub(super) async fn shown(library: &Library, asked: ShowPatterns) -> Result<Value, Error> {
    if let Some(id) = asked.pattern {
        return without_features(document(&pattern(library, id).await?)?);
    }
    let limit = within(asked.limit)?;
    let query = PatternQuery { limit, ..asked.which.query(library).await? };
    Ok(json!({ "patterns": find_patterns(library, &query, false).await? }))
}

/// The patterns that sound like something.
pub(super) async fn similar(library: &Library, asked: Similar) -> Result<Value, Error> {
    let config = library.config();
    let options = SimilarPatternsOptions {
        model: asked.model,
        k: within(asked.limit)?,
        offset: 0,
        threshold: asked.threshold.or_else(|| config.get(keys::PATTERNS_THRESHOLD)),
        metric: None,
        among: asked.which.query(library).await?,
    };
    let subject = subject(library, &asked.like).await?;
    let mut found = similar_patterns(library, &subject, &options).await?;
    hints::put_in_words(&mut found.shortfall);
    document(&found)
}

/// Makes a pattern.
pub(super) async fn add(library: &Library, asked: Added) -> Result<Value, Error> {
    let new = NewPattern {
        low: asked.low,
        high: asked.high,
        confidence: asked.confidence,
        source: asked.source,
        model: asked.model,
        metadata: asked.metadata,
        ..NewPattern::new(asked.song, asked.start, asked.end, asked.kind)
    };
    let mut outcomes = PatternIntake::new(library).add(&[new]).await?;
    let added = outcomes.pop().transpose()?;
    without_features(json!(added.map(|one| one.pattern)))
}

/// Changes one.
pub(super) async fn edit(library: &Library, asked: Edited) -> Result<Value, Error> {
    let change = PatternChange {
        kind: asked.kind,
        start: asked.start,
        end: asked.end,
        low: asked.low,
        high: asked.high,
        all_frequencies: asked.all_frequencies,
        confidence: asked.confidence,
        source: asked.source,
        metadata: asked.metadata,
        ..PatternChange::default()
    };
    without_features(document(&edit_pattern(library, asked.pattern, &change).await?)?)
}

/// Deletes one.
pub(super) async fn remove(library: &Library, asked: Removed) -> Result<Value, Error> {
    let id = asked.pattern;
    match remove_patterns(library, &[id]).await?.as_slice() {
        [true] => Ok(json!({ "removed": id })),
        _ => Err(Error::not_found(format_args!("there is no pattern `{id}`"))),
    }
}

impl Which {
    async fn query(self, library: &Library) -> Result<PatternQuery, Error> {
        let songs = find::songs(library, &self.songs).await?;
        let between = |low: Option<f32>, high: Option<f32>| {
            let is_said = low.is_some() || high.is_some();
            is_said.then(|| (low.unwrap_or(0.0), high.unwrap_or(f32::MAX)))
        };
        let is_said = self.start.is_some() || self.end.is_some();
        Ok(PatternQuery {
            songs: songs.into_iter().map(|song| song.id).collect(),
            kinds: self.kinds,
            time: is_said.then(|| (self.start.unwrap_or(0.0), self.end.unwrap_or(f64::MAX))),
            frequencies: between(self.low, self.high),
            min_confidence: self.min_confidence,
            sources: self.sources,
            ..PatternQuery::default()
        })
    }
}

// The arguments of `Which`.
fn which() -> Map<String, Value> {
    let texts = |about: &str| json!({ "type": "array", "items": { "type": "string" }, "description": about });
    let which = json!({
        "songs": texts("Of these songs only"),
        "kinds": texts("Of these kinds only, such as `harmonic`"),
        "start": seconds("Only those that overlap the time from here, in seconds"),
        "end": seconds("Only those that overlap the time to here, in seconds"),
        "low": hertz("Only those that overlap the frequencies from here, in Hz"),
        "high": hertz("Only those that overlap the frequencies to here, in Hz"),
        "min_confidence": part_of_one("At least this sure, 0 to 1"),
        "sources": texts("Found by one of these persons or programs"),
    });
    which.as_object().cloned().unwrap_or_default()
}

fn seconds(about: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "description": about })
}

fn hertz(about: &str) -> Value {
    seconds(about)
}

fn part_of_one(about: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1, "description": about })
}

// Long, and nothing that a model can read anything from.
fn without_features(mut document: Value) -> Result<Value, Error> {
    if let Some(pattern) = document.as_object_mut() {
        pattern.remove("features");
        for other in pattern.get_mut("others").and_then(Value::as_array_mut).into_iter().flatten() {
            other.as_object_mut().map(|other| other.remove("features"));
        }
    }
    Ok(document)
}
