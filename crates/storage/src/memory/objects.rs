//! What never changes: embeddings, blobs and segments.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_core::{
    BlobRef, Digest, EmbeddingRef, Metric, ModelName, ModelSpec, Segment, SegmentId, SongId,
    SongSummary,
};

use super::{Kept, MemoryBackend};
use crate::{
    BlobSource, BlobStore, BlobStream, EmbeddingStore, NearestQuery, NearestSegments, Neighbor,
    NewBlob, NewEmbedding, Result, SegmentNeighbor, SegmentQuery, SegmentStore, StoredEmbedding,
    query::refuse_search, read_blob,
};

/// Bytes of a blob that are given at a time.
const PIECE: usize = 1 << 20;

#[async_trait]
impl EmbeddingStore for MemoryBackend {
    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        let mut state = self.state();
        match state.models.get(&model.name) {
            None => drop(state.models.insert(model.name.clone(), model.clone())),
            Some(known) if known.dimension == model.dimension && known.metric == model.metric => {}
            Some(known) => {
                let why = format!(
                    "it is known with {} dimensions compared by {}, not {} by {}",
                    known.dimension, known.metric, model.dimension, model.metric
                );
                return Err(self.invalid(
                    "make room for",
                    format_args!("model `{}`", model.name),
                    why,
                ));
            }
        }
        Ok(())
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        Ok(self.state().models.values().cloned().collect())
    }

    async fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        let mut state = self.state();
        for NewEmbedding { embedding, .. } in embeddings {
            let why = match state.models.get(&embedding.model) {
                None => Some(format!("there is no model `{}` here", embedding.model)),
                Some(model) => model.refuses(&embedding.vector),
            };
            if let Some(why) = why {
                let subject = format!("an embedding of song `{}`", embedding.song.short());
                return Err(self.invalid("store", subject, why));
            }
        }
        let mut references = Vec::with_capacity(embeddings.len());
        for NewEmbedding { embedding, .. } in embeddings {
            let named = state.song(&embedding.song).and_then(|song| {
                state.named(song, &embedding.model)?;
                song.embeddings.get(&embedding.model).cloned()
            });
            if let Some(named) = named {
                references.push(named);
                continue;
            }
            let reference = embedding.reference();
            let place = (embedding.model.clone(), embedding.song, reference.digest);
            // Stored again, it is young again: its song is on the way now.
            state.embeddings.insert(place, Kept::new(embedding.clone()));
            references.push(reference);
        }
        Ok(references)
    }

    async fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let state = self.state();
        let find = |id: &SongId| {
            let song = state.song(id)?;
            let embedding = state.named(song, model)?.clone();
            Some(StoredEmbedding { embedding, reference: song.embeddings.get(model)?.clone() })
        };
        Ok(songs.iter().map(find).collect())
    }

    async fn get_deleted(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        let state = self.state();
        let find = |id: &SongId| {
            let song = &state.tombstone(id)?.song;
            let embedding = state.named(song, model)?.clone();
            Some(StoredEmbedding { embedding, reference: song.embeddings.get(model)?.clone() })
        };
        Ok(songs.iter().map(find).collect())
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        let state = self.state();
        let model = state.models.get(&query.model).ok_or_else(|| {
            self.invalid("search", format_args!("model `{}`", query.model), "there is none here")
        })?;
        let metric = query.metric.unwrap_or(model.metric);
        if let Some(why) = refuse_search(model, &query.vector, metric) {
            return Err(self.invalid("search", format_args!("model `{}`", query.model), why));
        }
        let mut hits: Vec<Neighbor> = state
            .present()
            .filter(|song| !query.exclude.contains(&song.id))
            .filter_map(|song| Some((song, state.named(song, &query.model)?)))
            .filter(|(song, _)| query.filter.passes(&SongSummary::of(song)))
            .map(|(_, embedding)| embedding)
            .map(|embedding| {
                let (similarity, distance) = metric.compare(&query.vector, &embedding.vector);
                Neighbor { song: embedding.song, similarity, distance, key: None }
            })
            .filter(|hit| query.threshold.is_none_or(|least| hit.similarity >= least))
            .collect();
        hits.sort_by(|left, right| {
            right.similarity.total_cmp(&left.similarity).then(left.song.cmp(&right.song))
        });
        Ok(hits.into_iter().skip(query.offset).take(query.k).collect())
    }
}

#[async_trait]
impl BlobStore for MemoryBackend {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        let subject = format!("blob `{}`", blob.sha256);
        let bytes = match source {
            BlobSource::Stream(stream) => read_blob(stream).await?,
            BlobSource::Path(path) => std::fs::read(&path).map(Bytes::from).map_err(|error| {
                let shown = path.display();
                self.invalid("store", &subject, format!("`{shown}` cannot be read: {error}"))
            })?,
        };
        if bytes.len() as u64 != blob.size || Digest::of(&bytes) != blob.sha256 {
            return Err(self.invalid(
                "store",
                subject,
                "the bytes are not those that were promised",
            ));
        }
        self.state().blobs.insert(blob.sha256, Kept::new(bytes));
        Ok(BlobRef { sha256: blob.sha256, size: blob.size, key: None })
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        let Some(bytes) = self.state().blobs.get(&blob.sha256).map(|kept| kept.object.clone())
        else {
            return Ok(None);
        };
        let range = range.unwrap_or(0..bytes.len() as u64);
        if range.start > range.end || range.end > bytes.len() as u64 {
            let why = format!("bytes {}..{} of {}", range.start, range.end, bytes.len());
            return Err(self.invalid("read", format_args!("blob `{}`", blob.sha256), why));
        }
        let mut rest = bytes.slice(range.start as usize..range.end as usize);
        let pieces = std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(PIECE))))
        });
        Ok(Some(stream::iter(pieces).boxed()))
    }

    async fn url(&self, _: &BlobRef, _: Duration) -> Result<Option<String>> {
        Ok(None)
    }
}

#[async_trait]
impl SegmentStore for MemoryBackend {
    async fn put(&self, segments: &[Segment]) -> Result<()> {
        let mut state = self.state();
        for segment in segments {
            let why = match state.models.get(&segment.model) {
                None => Some(format!("there is no model `{}` here", segment.model)),
                Some(model) => model.refuses(&segment.vector),
            };
            if let Some(why) = why.or_else(|| segment.refusal()) {
                return Err(self.invalid("store", format_args!("segment `{}`", segment.id), why));
            }
        }
        for segment in segments {
            state.segments.entry(segment.id).or_insert_with(|| segment.clone());
        }
        Ok(())
    }

    async fn get(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.segments.get(id).cloned()).collect())
    }

    async fn find(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let state = self.state();
        let mut found: Vec<_> = state.segments.values().filter(|one| query.passes(one)).collect();
        found.sort_by(|left, right| query.compare(left, right));
        Ok(found.into_iter().skip(query.skip).take(query.limit).cloned().collect())
    }

    async fn nearest(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        let state = self.state();
        let refuse = |why: String| self.invalid("search", "segments", why);
        let name = query.among.model.as_ref().ok_or_else(|| refuse("a model is needed".into()))?;
        let model = state
            .models
            .get(name)
            .ok_or_else(|| refuse(format!("there is no model `{name}` here")))?;
        let metric: Metric = query.metric.unwrap_or(model.metric);
        if let Some(why) = refuse_search(model, &query.vector, metric) {
            return Err(refuse(why));
        }
        let mut hits: Vec<SegmentNeighbor> = state
            .segments
            .values()
            .filter(|segment| query.among.passes(segment) && !query.exclude.contains(&segment.id))
            .map(|segment| {
                let (similarity, distance) = metric.compare(&query.vector, &segment.vector);
                SegmentNeighbor { segment: segment.clone(), similarity, distance }
            })
            .filter(|hit| query.threshold.is_none_or(|least| hit.similarity >= least))
            .collect();
        hits.sort_by(|left, right| {
            right
                .similarity
                .total_cmp(&left.similarity)
                .then(left.segment.id.cmp(&right.segment.id))
        });
        hits.truncate(query.k);
        Ok(hits)
    }

    async fn delete(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        let mut state = self.state();
        Ok(ids.iter().map(|id| state.segments.remove(id).is_some()).collect())
    }
}
