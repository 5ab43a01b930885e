//! Segments: what they are in `library`, where they are found by what they
//! say; their vectors beside those of the songs, where they are found by what
//! they sound like. The document in `library` decides: it is written last and
//! deleted first, and a vector without one is never shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use songrec_core::{Segment, SegmentId, SongId, Vector};
use songrec_storage::{
    Error, ErrorKind, NearestSegments, OverFetch, Result, SegmentNeighbor, SegmentQuery,
    SegmentStore, WhichSegments, take_passing,
};

use crate::{
    client::{self, Find, Inserted, MAX_IN},
    clock::now_ms,
    embeddings::Embeddings,
    row::text,
    schema::KnownModel,
    search::Search,
    shared::{AT_ONCE, Shared, at_once},
    songs::SEGMENT,
};

/// What segments are found by, in either collection.
#[derive(Debug, Serialize)]
struct Region<'a> {
    song: SongId,
    model: &'a str,
    what: &'a str,
    start: f64,
    end: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
    confidence: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<SegmentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

impl<'a> Region<'a> {
    fn of(segment: &'a Segment) -> Self {
        Self {
            song: segment.song,
            model: segment.model.as_str(),
            what: short(&segment.kind),
            start: segment.start,
            end: segment.end,
            low: segment.frequencies.map(|(low, _)| low.into()),
            high: segment.frequencies.map(|(_, high)| high.into()),
            confidence: segment.confidence.into(),
            pattern: segment.pattern.as_ref().map(|pattern| pattern.id),
            source: segment.pattern.as_ref().and_then(|one| one.source.as_deref()).map(short),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Stored {
    #[serde(default)]
    payload: Option<String>,
    #[serde(default, rename = "$vector")]
    vector: Value,
}

fn id_of(id: SegmentId) -> String {
    format!("segment:{id}")
}

/// A pattern as a row has it: a shape that no songrec takes for a segment that knows
/// only windows, and would copy it to other places without what it does not know.
#[derive(Serialize, Deserialize)]
struct StoredPattern<'a> {
    format: u32,
    pattern: Cow<'a, Segment>,
}

const PATTERN_FORMAT: u32 = 2;

fn payload_of(segment: &Segment) -> String {
    match segment.pattern {
        None => text(segment),
        Some(_) => text(&StoredPattern { format: PATTERN_FORMAT, pattern: Cow::Borrowed(segment) }),
    }
}

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Damaged(#[from] serde_json::Error),
    #[error("it was written by a newer songrec: format {0}, and this one knows {PATTERN_FORMAT}")]
    Newer(u32),
}

fn read_payload(payload: &str) -> std::result::Result<Segment, Unreadable> {
    #[derive(Deserialize)]
    struct Numbered {
        format: Option<u32>,
    }
    match serde_json::from_str::<Numbered>(payload)?.format {
        None => Ok(serde_json::from_str(payload)?),
        Some(PATTERN_FORMAT) => {
            Ok(serde_json::from_str::<StoredPattern<'_>>(payload)?.pattern.into_owned())
        }
        Some(later) => Err(Unreadable::Newer(later)),
    }
}

// An indexed text may have 8,000 bytes; a longer kind is found by its beginning.
fn short(kind: &str) -> &str {
    const MOST: usize = 200;
    kind.char_indices().nth(MOST).map_or(kind, |(at, _)| &kind[..at])
}

// What the server can leave out; the rest is left out by `SegmentQuery::passes`.
fn conditions(query: &SegmentQuery, base: Value) -> Value {
    let mut all = vec![base];
    if !query.songs.is_empty() && query.songs.len() <= MAX_IN {
        all.push(json!({"region.song": {"$in": query.songs}}));
    }
    if let Some(model) = &query.model {
        all.push(json!({"region.model": model}));
    }
    if !query.kinds.is_empty() && query.kinds.len() <= MAX_IN {
        let kinds: Vec<&str> = query.kinds.iter().map(|kind| short(kind)).collect();
        all.push(json!({"region.what": {"$in": kinds}}));
    }
    let finite = |(from, to): &(f64, f64)| from.is_finite() && to.is_finite();
    if let Some((from, to)) = query.time.filter(finite) {
        all.push(json!({"region.start": {"$lte": to}}));
        all.push(json!({"region.end": {"$gte": from}}));
    }
    if let Some(least) = query.min_confidence.filter(|least| least.is_finite()) {
        all.push(json!({"region.confidence": {"$gte": f64::from(least)}}));
    }
    match query.which {
        WhichSegments::All => {}
        WhichSegments::Windows => all.push(json!({"region.pattern": {"$exists": false}})),
        WhichSegments::Patterns => all.push(json!({"region.pattern": {"$exists": true}})),
    }
    if !query.patterns.is_empty() && query.patterns.len() <= MAX_IN {
        all.push(json!({"region.pattern": {"$in": query.patterns}}));
    }
    if !query.sources.is_empty() && query.sources.len() <= MAX_IN {
        let sources: Vec<&str> = query.sources.iter().map(|source| short(source)).collect();
        all.push(json!({"region.source": {"$in": sources}}));
    }
    json!({"$and": all})
}

/// The segments of songs.
#[derive(Debug)]
pub(crate) struct Segments {
    shared: Arc<Shared>,
}

impl Segments {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    pub(crate) async fn store_segments(&self, segments: &[Segment]) -> Result<()> {
        let mut by_model: BTreeMap<&str, (KnownModel, Vec<&Segment>)> = BTreeMap::new();
        for segment in segments {
            let known = self.shared.model(&segment.model).await?;
            let why = match &known {
                None => Some(format!("there is no model `{}` here", segment.model)),
                Some(known) => known.spec.refuses(&segment.vector),
            };
            let why = why.or_else(|| segment.refusal());
            match (why, known) {
                (None, Some(known)) => by_model
                    .entry(segment.model.as_str())
                    .or_insert_with(|| (known, Vec::new()))
                    .1
                    .push(segment),
                (why, _) => {
                    let why = why.unwrap_or_default();
                    let subject = format!("segment `{}`", segment.id);
                    return Err(self.shared.invalid("store", subject, why));
                }
            }
        }
        // The first one of an id wins, also within a batch.
        for (known, of_model) in by_model.into_values() {
            let vectors: Vec<Value> = of_model
                .iter()
                .map(|segment| {
                    json!({
                        "_id": id_of(segment.id),
                        "of": SEGMENT,
                        "created": now_ms(),
                        "region": Region::of(segment),
                        "payload": payload_of(segment),
                        "$vector": client::binary_vector(segment.vector.values()),
                    })
                })
                .collect();
            self.insert_segments(&self.shared.embeddings_of(&known), &vectors).await?;
        }
        let documents: Vec<Value> = segments
            .iter()
            .map(|segment| {
                json!({
                    "_id": id_of(segment.id),
                    "kind": SEGMENT,
                    "region": Region::of(segment),
                    "payload": payload_of(segment),
                })
            })
            .collect();
        self.insert_segments(&self.shared.library, &documents).await
    }

    async fn insert_segments(
        &self,
        collection: &client::Collection,
        documents: &[Value],
    ) -> Result<()> {
        let failed = |error| {
            self.shared.failed("store", format_args!("{} segments", documents.len()), error)
        };
        for inserted in collection.insert_many(documents).await.map_err(failed)? {
            if let Inserted::Failed(error) = inserted {
                return Err(failed(error));
            }
        }
        Ok(())
    }

    fn read_segment(&self, payload: Option<&String>) -> Result<Segment> {
        let payload = payload.map(String::as_str).unwrap_or_default();
        read_payload(payload).map_err(|why| match why {
            Unreadable::Damaged(error) => self.shared.damaged("read", "a segment", error),
            newer @ Unreadable::Newer(_) => {
                Error::new(ErrorKind::Incompatible, "read", "a segment", &self.shared)
                    .because(newer)
                    .with_hint("use the songrec that wrote it, or a newer one")
            }
        })
    }

    pub(crate) async fn read_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        let mut keys: Vec<String> = ids.iter().map(|id| id_of(*id)).collect();
        keys.sort_unstable();
        keys.dedup();
        let chunks: Vec<&[String]> = keys.chunks(MAX_IN).collect();
        let pages: Vec<Vec<Stored>> = at_once(
            AT_ONCE,
            chunks
                .into_iter()
                .map(|chunk| {
                    let find = Find::new(json!({"_id": {"$in": chunk}}));
                    self.shared.library.find(find.project(json!({"payload": 1}))).try_collect()
                })
                .collect(),
        )
        .await
        .map_err(|error| self.shared.failed("read", "segments", error))?;
        let mut found: HashMap<SegmentId, Segment> = HashMap::new();
        for stored in pages.into_iter().flatten() {
            let segment = self.read_segment(stored.payload.as_ref())?;
            found.insert(segment.id, segment);
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// Every segment that passes goes by once; those asked for stay.
    pub(crate) async fn list_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let failed = |error| self.shared.failed("list", "segments", error);
        let wanted = query.skip.saturating_add(query.limit);
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let find = Find::new(conditions(query, json!({"kind": SEGMENT})));
        let mut all =
            std::pin::pin!(self.shared.library.find::<Stored>(find.project(json!({"payload": 1}))));
        let mut found: Vec<Segment> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(stored) = all.try_next().await.map_err(failed)? {
            let segment = self.read_segment(stored.payload.as_ref())?;
            if query.passes(&segment) && seen.insert(segment.id) {
                found.push(segment);
            }
            if found.len() > wanted.saturating_mul(2).saturating_add(1000) {
                found.sort_by(|left, right| query.compare(left, right));
                found.truncate(wanted);
            }
        }
        found.sort_by(|left, right| query.compare(left, right));
        Ok(found.into_iter().skip(query.skip).take(query.limit).collect())
    }

    pub(crate) async fn search_segments(
        &self,
        query: &NearestSegments,
    ) -> Result<Vec<SegmentNeighbor>> {
        let model = query.among.model.as_ref();
        let known = Embeddings::of(&self.shared)
            .searched("segments", model, query.metric, &query.vector)
            .await?;
        let excluded: HashSet<SegmentId> = query.exclude.iter().copied().collect();
        let collection = &self.shared.embeddings_of(&known);
        let filter = conditions(&query.among, json!({"of": SEGMENT}));
        if query.k == 0 {
            return Ok(Vec::new());
        }
        let (excluded, filter) = (&excluded, &filter);
        let nearest = |wanted| async move {
            let search = Search {
                collection,
                filter: filter.clone(),
                bare: json!({"of": SEGMENT}),
                projection: json!({"$vector": 1, "payload": 1}),
                vector: &query.vector,
                metric: known.spec.metric,
                threshold: query.threshold,
                wanted,
                spare: excluded.len(),
            };
            search
                .run(
                    |stored: &Stored| Vector::new(client::read_vector(&stored.vector)?).ok(),
                    |stored, similarity, distance| {
                        let payload = stored.payload.as_deref()?;
                        let segment = read_payload(payload).ok()?;
                        let counts =
                            query.among.passes(&segment) && !excluded.contains(&segment.id);
                        counts.then_some(SegmentNeighbor { segment, similarity, distance })
                    },
                    |left, right| {
                        right
                            .similarity
                            .total_cmp(&left.similarity)
                            .then(left.segment.id.cmp(&right.segment.id))
                    },
                    |hit| hit.similarity,
                )
                .await
                .map_err(|error| self.shared.failed("search", "segments", error))
        };
        let plan = OverFetch::new(query.k);
        Ok(take_passing(plan, nearest, |found| self.confirm(found)).await?.items)
    }

    // Those that are stored as they were found.
    async fn confirm(&self, found: Vec<SegmentNeighbor>) -> Result<Vec<SegmentNeighbor>> {
        let ids: Vec<SegmentId> = found.iter().map(|neighbor| neighbor.segment.id).collect();
        let stored = self.read_segments(&ids).await?;
        let confirmed = found
            .into_iter()
            .zip(stored)
            .filter(|(neighbor, stored)| stored.as_ref() == Some(&neighbor.segment))
            .map(|(neighbor, _)| neighbor);
        Ok(confirmed.collect())
    }

    pub(crate) async fn remove_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        let failed =
            |error| self.shared.failed("delete", format_args!("{} segments", ids.len()), error);
        let stored = self.read_segments(ids).await?;
        let mut deleted = HashSet::new();
        let there: Vec<bool> = ids
            .iter()
            .zip(&stored)
            .map(|(id, segment)| segment.is_some() && deleted.insert(*id))
            .collect();
        let keys: Vec<String> = deleted.iter().map(|id| id_of(*id)).collect();
        let mut models: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for segment in stored.iter().flatten() {
            models.entry(segment.model.clone()).or_default().push(id_of(segment.id));
        }
        for chunk in keys.chunks(MAX_IN) {
            let filter = json!({"_id": {"$in": chunk}, "kind": SEGMENT});
            self.shared.library.delete_many(filter).await.map_err(failed)?;
        }
        for (model, keys) in models {
            let Some(known) = self.shared.model(&model).await? else { continue };
            let collection = self.shared.embeddings_of(&known);
            for chunk in keys.chunks(MAX_IN) {
                let filter = json!({"_id": {"$in": chunk}});
                collection.delete_many(filter).await.map_err(failed)?;
            }
        }
        Ok(there)
    }
}

#[async_trait]
impl SegmentStore for Segments {
    async fn put(&self, segments: &[Segment]) -> Result<()> {
        self.store_segments(segments).await
    }

    async fn get(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.read_segments(ids).await
    }

    async fn find(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.list_segments(query).await
    }

    async fn nearest(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.search_segments(query).await
    }

    async fn delete(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.remove_segments(ids).await
    }
}

#[cfg(test)]
mod tests {
    use songrec_core::{Pattern, Timestamp};

    use super::*;

    #[test]
    fn a_row_of_a_pattern_is_no_segment_to_a_songrec_of_before() {
        let mut segment = Segment {
            id: SegmentId::from_bytes([1; 16]),
            song: SongId::from_bytes([2; 16]),
            start: 0.5,
            end: 1.0,
            frequencies: None,
            kind: "harmonic".to_owned(),
            confidence: 1.0,
            model: "m@1".parse().unwrap(),
            vector: Vector::new(vec![1.0]).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            pattern: None,
        };
        // It read the payload as a segment, and passed over what it did not know.
        let is_segment = |payload: &str| serde_json::from_str::<Segment>(payload).is_ok();
        assert!(is_segment(&payload_of(&segment)), "windows are as they were");
        assert_eq!(read_payload(&payload_of(&segment)).unwrap(), segment);

        segment.pattern = Some(Pattern {
            id: segment.id,
            source: None,
            metadata: serde_json::Map::new(),
            changed_at: Timestamp::UNIX_EPOCH,
        });

        let payload = payload_of(&segment);
        assert!(!is_segment(&payload), "{payload}");
        assert_eq!(read_payload(&payload).unwrap(), segment);
        let later = payload.replace("\"format\":2", "\"format\":3");
        assert!(matches!(read_payload(&later), Err(Unreadable::Newer(3))), "{later}");
        assert!(matches!(read_payload("{}"), Err(Unreadable::Damaged(_))));
    }
}
