//! Which patterns a library has.

use std::collections::BTreeSet;

use serde::Serialize;
use songrec_core::{Hint, ModelName, Remedy, Segment, SegmentId, SongId, SongSummary};
pub use songrec_storage::SegmentOrder as PatternOrder;
use songrec_storage::{OverFetch, SegmentQuery, WhichSegments, take_passing};

use super::{shown::ShownPattern, store};
use crate::{Error, Library, Result};

/// How many more are read than are wanted: versions that a later one took the place
/// of, and patterns of songs that are gone, are left out.
const MARGIN: usize = 8;

/// Which patterns are asked for. Times and frequencies count if they overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatternQuery {
    /// Parts of one of these songs; of any if there are none.
    pub songs: Vec<SongId>,
    /// Of one of these kinds; of any if there are none.
    pub kinds: Vec<String>,
    /// Overlapping this time, in seconds.
    pub time: Option<(f64, f64)>,
    /// Overlapping these frequencies, in Hz; a pattern without frequencies covers all.
    pub frequencies: Option<(f32, f32)>,
    /// At least this sure.
    pub min_confidence: Option<f32>,
    /// Found by one of these; by any if there are none.
    pub sources: Vec<String>,
    /// With features of this model.
    pub model: Option<ModelName>,
    /// In which order; equal ones by their ids.
    pub order: PatternOrder,
    /// From high to low.
    pub descending: bool,
    /// How many to leave out.
    pub offset: usize,
    /// How many to give at the most.
    pub limit: usize,
}

impl PatternQuery {
    /// The same as a question to a backend.
    pub(super) fn segments(&self) -> Result<SegmentQuery> {
        let time = self.time.unwrap_or((0.0, 0.0));
        let confidence = self.min_confidence.unwrap_or(0.0);
        if let Some(why) = Segment::refusal_of(time, self.frequencies, confidence) {
            return Err(Error::usage("no pattern can be asked for so").because(why));
        }
        Ok(SegmentQuery {
            songs: self.songs.clone(),
            model: self.model.clone(),
            kinds: self.kinds.clone(),
            time: self.time,
            frequencies: self.frequencies,
            min_confidence: self.min_confidence,
            which: WhichSegments::Patterns,
            patterns: Vec::new(),
            sources: self.sources.clone(),
            order: self.order,
            descending: self.descending,
            skip: 0,
            limit: self.offset.saturating_add(self.limit),
        })
    }

    /// Whether some patterns do not pass, of whatever model they are.
    pub(super) fn is_narrow(&self) -> bool {
        !self.songs.is_empty()
            || !self.kinds.is_empty()
            || self.time.is_some()
            || self.frequencies.is_some()
            || self.min_confidence.is_some()
            || !self.sources.is_empty()
    }
}

/// A pattern as the library has it.
#[derive(Clone, Debug, Serialize)]
pub struct KeptPattern {
    /// What is shown of it, with its features.
    #[serde(flatten)]
    pub shown: ShownPattern,
    /// What it is as well, where it was changed in two libraries at the same time,
    /// until somebody changes it again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ShownPattern>,
    /// Its segments, the one that is shown first.
    #[serde(skip)]
    pub(super) versions: Vec<Segment>,
}

impl KeptPattern {
    pub(super) fn of(versions: Vec<Segment>, song: &SongSummary) -> Option<Self> {
        let [first, others @ ..] = versions.as_slice() else { return None };
        let shown = ShownPattern::of(first, song).with_features_of(first);
        let shown_too = |other: &Segment| ShownPattern::of(other, song).with_features_of(other);
        Some(Self { shown, others: others.iter().map(shown_too).collect(), versions })
    }
}

/// The patterns asked for, in order; with their features if that is asked for.
///
/// # Errors
///
/// `Usage` for times, frequencies or a confidence that no pattern can have; those of the
/// library.
pub async fn find_patterns(
    library: &Library,
    query: &PatternQuery,
    features: bool,
) -> Result<Vec<ShownPattern>> {
    let asked = &query.segments()?;
    if query.limit == 0 {
        return Ok(Vec::new());
    }
    let plan = OverFetch::new(asked.limit).with_margin(MARGIN);
    let find = |limit| async move {
        let asked = SegmentQuery { limit, ..asked.clone() };
        Ok(library.backend().segments().find(&asked).await?)
    };
    let found = take_passing(plan, find, |found| current(library, found, |one| one)).await?.items;
    let shown = found.into_iter().skip(query.offset).map(|(segment, song)| {
        let shown = ShownPattern::of(&segment, &song);
        if features { shown.with_features_of(&segment) } else { shown }
    });
    Ok(shown.collect())
}

/// Those of `found` that are shown of their patterns, with their songs; those whose
/// songs are gone are left out.
pub(super) async fn current<T>(
    library: &Library,
    found: Vec<T>,
    segment_of: impl Fn(&T) -> &Segment,
) -> Result<Vec<(T, SongSummary)>> {
    let id_of = |one: &T| store::of(segment_of(one)).map(|pattern| pattern.id);
    let ids: BTreeSet<SegmentId> = found.iter().filter_map(id_of).collect();
    let versions = store::versions(library, &ids).await?;
    let is_shown = |one: &T| {
        let latest = id_of(one).and_then(|id| versions.get(&id)?.first());
        latest.is_some_and(|latest| latest.id == segment_of(one).id)
    };
    let shown: Vec<T> = found.into_iter().filter(is_shown).collect();
    let songs = store::songs_of(library, shown.iter().map(&segment_of)).await?;
    let with_song = |one: T| {
        let song = songs.get(&segment_of(&one).song)?.clone();
        Some((one, song))
    };
    Ok(shown.into_iter().filter_map(with_song).collect())
}

/// The least that names a pattern: digits of its id.
const LEAST_DIGITS: usize = 4;

/// The pattern that `name` means: an id, or the beginning of one, of four digits or more.
///
/// A whole id is not looked up. With a beginning, costs a look at all patterns.
///
/// # Errors
///
/// `NotFound` if no pattern has such an id, `Usage` if several have; those of the library.
pub async fn pattern_id(library: &Library, name: &str) -> Result<SegmentId> {
    let name = name.trim().to_ascii_lowercase();
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match pattern_ids(library, &name).await?.as_slice() {
        [one] => Ok(*one),
        [] => Err(none(&name)),
        several => {
            Err(Error::usage(format_args!("`{name}` may be any of {} patterns", several.len()))
                .with_hint("name it by more of its id"))
        }
    }
}

/// The patterns whose ids begin so; none for what is too short, or begins no id.
///
/// # Errors
///
/// Those of the library.
pub async fn pattern_ids(library: &Library, beginning: &str) -> Result<Vec<SegmentId>> {
    let digits = beginning.replace('-', "").to_ascii_lowercase();
    if digits.len() < LEAST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let begins = |id: &SegmentId| id.to_string().replace('-', "").starts_with(&digits);
    let query = SegmentQuery {
        which: WhichSegments::Patterns,
        limit: usize::MAX,
        ..SegmentQuery::default()
    };
    let found = library.backend().segments().find(&query).await?;
    let ids: BTreeSet<SegmentId> =
        found.iter().filter_map(|segment| Some(store::of(segment)?.id)).filter(begins).collect();
    Ok(ids.into_iter().collect())
}

/// The pattern with this id.
///
/// # Errors
///
/// `NotFound` if there is none, or its song is gone.
pub async fn pattern(library: &Library, id: SegmentId) -> Result<KeptPattern> {
    let versions = store::versions(library, &BTreeSet::from([id])).await?.remove(&id);
    let versions = versions.unwrap_or_default();
    let songs = store::songs_of(library, &versions).await?;
    let song = versions.first().and_then(|first| songs.get(&first.song));
    let Some(song) = song.cloned() else { return Err(none(id)) };
    KeptPattern::of(versions, &song).ok_or_else(|| none(id))
}

/// That there is no pattern with this id.
pub(super) fn none(id: impl std::fmt::Display) -> Error {
    Error::not_found(format_args!("there is no pattern `{id}`"))
        .with_hint(Hint::of("{} has all of them", [Remedy::Patterns]))
}
