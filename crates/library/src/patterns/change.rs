//! Changing and deleting patterns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use songrec_core::{ModelSpec, Pattern, Segment, SegmentId, SongId, Timestamp, Vector};

use super::{
    add::{Spaces, embed_part, is_possible},
    draft::{frequencies_of, has_room, is_within, kind_of, source_of},
    find::{KeptPattern, none, pattern},
    store::{announce, versions},
};
use crate::{Error, Library, Result, find, given::is_given, library::now};

/// What is changed of a pattern; the rest stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatternChange {
    /// What it is.
    pub kind: Option<String>,
    /// Where it begins, in seconds.
    pub start: Option<f64>,
    /// Where it ends, in seconds.
    pub end: Option<f64>,
    /// Its lowest frequency in Hz.
    pub low: Option<f32>,
    /// Its highest frequency in Hz.
    pub high: Option<f32>,
    /// It has no frequencies of its own any more, but the whole range.
    pub all_frequencies: bool,
    /// How sure its finder is, 0 to 1.
    pub confidence: Option<f32>,
    /// Who or what found it; nobody if it is empty.
    pub source: Option<String>,
    /// Values of its metadata by their names; those without a value go.
    pub metadata: BTreeMap<String, Option<Value>>,
    /// Its features.
    pub features: Option<Vector>,
    /// The model that made the features, or is to embed the part anew.
    pub model: Option<String>,
    /// The features stay, although they are of another part of the song now.
    pub keep_features: bool,
}

/// Changes a pattern, and gives it as it is then. If it begins or ends elsewhere, its
/// model embeds that part, unless features are given or stay. What was written elsewhere
/// at the same time goes with this change.
///
/// # Errors
///
/// `NotFound` if there is none with this id, `Usage` for what no pattern can be; those of
/// the library.
pub async fn edit_pattern(
    library: &Library,
    id: SegmentId,
    change: &PatternChange,
) -> Result<KeptPattern> {
    let kept = pattern(library, id).await?;
    let old = kept.versions.first().ok_or_else(|| none(id))?;
    let song = find::song_by_id(library, &old.song.to_string()).await?;
    let mut new = changed(old, change)?;
    is_possible((new.start, new.end), new.frequencies, new.confidence)?;
    if (new.start, new.end) != (old.start, old.end) {
        is_within(new.end, song.audio.duration)?;
    }
    let mut models = Spaces::of(library).await?;
    if let Some((model, vector)) = embedded_anew(library, &mut models, old, &new, change).await? {
        (new.model, new.vector) = (model.name, vector);
    }
    if new == *old && kept.others.is_empty() {
        return Ok(kept);
    }
    new.id = SegmentId::random();
    let written_at = after(&kept.versions);
    if let Some(pattern) = &mut new.pattern {
        pattern.changed_at = written_at;
    }
    models.make_room(std::slice::from_ref(&new)).await?;
    library.backend().segments().put(std::slice::from_ref(&new)).await?;
    let replaced: Vec<SegmentId> = kept.versions.iter().map(|version| version.id).collect();
    let told = BTreeMap::from([(new.song, replaced.clone())]);
    if !announce(library, &told).await?.is_empty() {
        library.backend().segments().delete(&[new.id]).await?;
        return Err(none(id));
    }
    // After their song has noted that they are gone: what is left by a crash is not shown,
    // and goes with the next change.
    library.backend().segments().delete(&replaced).await?;
    let summary = songrec_core::SongSummary::of(&song);
    KeptPattern::of(vec![new], &summary).ok_or_else(|| none(id))
}

// Later than all that it takes the place of, whatever the clock says.
fn after(versions: &[Segment]) -> Timestamp {
    let last = versions.iter().filter_map(|one| one.pattern.as_ref()).map(|one| one.changed_at);
    let last = last.max().unwrap_or(Timestamp::UNIX_EPOCH);
    let next = Timestamp::from_millisecond(last.as_millisecond() + 1).unwrap_or(last);
    now().max(next)
}

// The pattern with what was said of it, and the features that it had.
fn changed(old: &Segment, change: &PatternChange) -> Result<Segment> {
    let mut new = old.clone();
    if let Some(kind) = &change.kind {
        new.kind = kind_of(kind)?;
    }
    new.start = change.start.unwrap_or(old.start);
    new.end = change.end.unwrap_or(old.end);
    let (low, high) = (old.frequencies.map(|one| one.0), old.frequencies.map(|one| one.1));
    let asks_for_range = change.low.is_some() || change.high.is_some();
    new.frequencies = match (change.all_frequencies, asks_for_range) {
        (true, true) => {
            return Err(Error::usage("a pattern has frequencies of its own, or all of them")
                .with_hint("say one of the two"));
        }
        (true, false) => None,
        (false, _) => frequencies_of(change.low.or(low), change.high.or(high))?,
    };
    new.confidence = change.confidence.unwrap_or(old.confidence);
    if let Some(pattern) = &mut new.pattern {
        describe(pattern, change)?;
    }
    Ok(new)
}

fn describe(pattern: &mut Pattern, change: &PatternChange) -> Result<()> {
    if let Some(source) = &change.source {
        pattern.source = source_of(source)?;
    }
    for (name, value) in &change.metadata {
        match value {
            Some(value) => _ = pattern.metadata.insert(name.clone(), value.clone()),
            None => _ = pattern.metadata.remove(name),
        }
    }
    has_room(&pattern.metadata)
}

// The features of the pattern as it is now, if they are not those that it had.
async fn embedded_anew(
    library: &Library,
    models: &mut Spaces<'_>,
    old: &Segment,
    new: &Segment,
    change: &PatternChange,
) -> Result<Option<(ModelSpec, Vector)>> {
    let part = (new.start, new.end);
    let model = change.model.as_deref();
    if let Some(vector) = &change.features {
        // As many numbers as before are of the same model as before.
        let same = (vector.dimension() == old.vector.dimension()).then_some(old.model.as_str());
        let spec = models.of_given(vector, model.or(same), None).await?;
        return Ok(Some((spec, vector.clone())));
    }
    let is_moved = part != (old.start, old.end);
    if change.keep_features || (model.is_none() && !is_moved) {
        return Ok(None);
    }
    if model.is_none() && is_given(&old.model) {
        return Err(Error::usage("its features are of another part of the song")
            .because("they were given, and no model is known that could make others")
            .with_hint("give features, name a model, or say that they stay"));
    }
    let spec = models.embedding_model(Some(model.unwrap_or(old.model.as_str()))).await?;
    let vector = embed_part(library, new.song, part, &spec).await?;
    Ok(Some((spec, vector)))
}

/// Deletes patterns, with all that was written of them anywhere and is here, and says of
/// each whether it was there. A change that another library made without knowing of the
/// deletion brings its pattern back.
///
/// # Errors
///
/// Those of the library; doing it again is safe.
pub async fn remove_patterns(library: &Library, ids: &[SegmentId]) -> Result<Vec<bool>> {
    let asked: BTreeSet<SegmentId> = ids.iter().copied().collect();
    let versions = versions(library, &asked).await?;
    let mut gone: BTreeMap<SongId, Vec<SegmentId>> = BTreeMap::new();
    for segment in versions.values().flatten() {
        gone.entry(segment.song).or_default().push(segment.id);
    }
    announce(library, &gone).await?;
    let segments: Vec<SegmentId> = gone.into_values().flatten().collect();
    library.backend().segments().delete(&segments).await?;
    let mut seen = BTreeSet::new();
    Ok(ids.iter().map(|id| versions.contains_key(id) && seen.insert(*id)).collect())
}
