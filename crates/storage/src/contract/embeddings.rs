//! Embeddings: how models embed songs.

use async_trait::async_trait;
use songrec_core::{
    Embedding, EmbeddingRef, ModelName, ModelSpec, OperationId, SongId, SongSummary,
};

use crate::{NearestQuery, Neighbor, Result};

/// The embeddings of songs, one collection for each model, and the search for
/// songs that sound alike.
///
/// ```
/// use songrec_core::{
///     AudioProperties, SongSummary, Digest, Embedding, Metric, ModelSpec, OperationId, Song, Timestamp,
///     Vector,
/// };
/// use songrec_storage::{
///     MemoryBackend, NearestQuery, NewEmbedding, PutMode, StorageBackend, StorageBackendExt,
/// };
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
///
/// // The object first, then the song that names it.
/// let hash = Digest::of(b"the packets of a recording");
/// let mut song = Song::new(hash, AudioProperties::default(), Timestamp::now());
/// let (id, name, vector) = (song.id, model.name, Vector::new(vec![3.0, 4.0])?);
/// let embedding = Embedding { song: id, model: name.clone(), vector: vector.clone() };
/// let (summary, operation) = (SongSummary::of(&song), OperationId::random());
/// let new = NewEmbedding { embedding, summary, operation };
/// let named = backend.embeddings().put(&[new]).await?;
/// song.embeddings.insert(name.clone(), named[0].clone());
/// backend.put_song(&song, PutMode::Create).await?;
///
/// let hits = backend.embeddings().nearest(&NearestQuery::new(name, vector, 10)).await?;
/// assert_eq!(hits[0].song, id);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait EmbeddingStore: Send + Sync {
    /// Makes room for the embeddings of a model. Making it again is a no-op.
    ///
    /// # Errors
    ///
    /// `Invalid` if the model is known with another dimension or metric.
    async fn put_model(&self, model: &ModelSpec) -> Result<()>;

    /// Every model there is room for, by name.
    async fn models(&self) -> Result<Vec<ModelSpec>>;

    /// Stores embeddings, and gives the references by which their songs have
    /// to name them. Storing one again is a no-op. One that a stored song
    /// names is never replaced: the first one wins, and its reference is
    /// given; unless it is lost or damaged, then this one takes its place. Of
    /// several that were stored before their song, the song gets the one whose
    /// reference it names.
    ///
    /// # Errors
    ///
    /// `Invalid`, before anything is stored, for a model there is no room
    /// for, a wrong dimension, and a zero vector under cosine.
    async fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>>;

    /// The embeddings of these songs under one model, bit for bit as stored;
    /// `None` for a song that is not stored or does not name one.
    async fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>>;

    /// The embeddings that deleted songs named under one model when they were deleted, as
    /// [`get`](Self::get) gives those of songs: they are there until the deletion is
    /// forgotten. `None` for a song that is not deleted, or did not name one.
    async fn get_deleted(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>>;

    /// The nearest songs, nearest first; equally near ones by their ids.
    /// Exclusion, filter, threshold and offset come before `k`: fewer than
    /// `k` hits mean that there are no more. A hit may be an embedding that no
    /// song names ([`Neighbor::key`]).
    ///
    /// # Errors
    ///
    /// `Invalid` for an unknown model, a wrong dimension, or a metric that
    /// the backend cannot use
    /// ([`Capabilities::any_metric`](crate::Capabilities::any_metric)).
    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>>;
}

/// An embedding to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEmbedding {
    /// The embedding.
    pub embedding: Embedding,
    /// The summary of its song, as the song will be stored: a backend that
    /// filters inside its vector search keeps it beside the vector.
    pub summary: SongSummary,
    /// The write, which becomes part of the key where there are keys; the
    /// same for a repeated write.
    pub operation: OperationId,
}

/// An embedding with the reference by which its song names it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEmbedding {
    /// The embedding.
    pub embedding: Embedding,
    /// The reference.
    pub reference: EmbeddingRef,
}
