//! Segments: regions of songs.

use async_trait::async_trait;
use songrec_core::{Segment, SegmentId};

use crate::{NearestSegments, Result, SegmentNeighbor, SegmentQuery};

/// Regions of songs, each with a vector of its own.
///
/// ```
/// use songrec_core::{
///     AudioProperties, Digest, Metric, ModelSpec, Segment, SegmentId, Song, Timestamp, Vector,
/// };
/// use songrec_storage::{MemoryBackend, SegmentQuery, StorageBackend};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backend = MemoryBackend::new();
/// let model = ModelSpec {
///     name: "example@1".parse()?,
///     dimension: 2,
///     metric: Metric::Cosine,
///     description: String::new(),
/// };
/// backend.embeddings().put_model(&model).await?;
/// let hash = Digest::of(b"the packets of a recording");
/// let song = Song::new(hash, AudioProperties::default(), Timestamp::now());
/// let chorus = Segment {
///     id: SegmentId::random(),
///     song: song.id,
///     start: 30.0,
///     end: 45.5,
///     frequencies: None,
///     kind: "chorus".to_owned(),
///     confidence: 0.9,
///     model: model.name,
///     vector: Vector::new(vec![3.0, 4.0])?,
///     created_at: Timestamp::now(),
///     pattern: None,
/// };
///
/// backend.segments().put(&[chorus.clone()]).await?;
///
/// let query = SegmentQuery { songs: vec![song.id], limit: 10, ..SegmentQuery::default() };
/// assert_eq!(backend.segments().find(&query).await?, [chorus.clone()]);
/// assert_eq!(backend.segments().delete(&[chorus.id]).await?, [true]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SegmentStore: Send + Sync {
    /// Stores segments with all they say. Storing one again is a no-op.
    /// [`changes`](crate::Maintenance::changes) tells songs alone: whoever
    /// stores or deletes segments of a stored song stores the song again after
    /// that, as its next version.
    ///
    /// # Errors
    ///
    /// `Invalid`, before anything is stored, for a model there is no room for,
    /// a vector that its model refuses, and a segment that
    /// [is none](Segment::refusal): whose times or frequencies are below zero, in
    /// the wrong order or endless, or whose confidence is not from 0 to 1.
    async fn put(&self, segments: &[Segment]) -> Result<()>;

    /// The segments with these ids.
    async fn get(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>>;

    /// The segments asked for.
    async fn find(&self, query: &SegmentQuery) -> Result<Vec<Segment>>;

    /// The segments nearest to a vector, nearest first.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [embeddings](crate::EmbeddingStore::nearest), and
    /// without a model.
    async fn nearest(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>>;

    /// Deletes segments; returns for each whether it was there.
    async fn delete(&self, ids: &[SegmentId]) -> Result<Vec<bool>>;
}
