//! The backend, as a table of its parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use songrec_core::{ModelName, SongId};
use songrec_storage::{
    BlobStore, Capabilities, DocumentStore, EmbeddingStore, Maintenance, Result, SegmentStore,
    SongStore, StorageBackend,
};

use crate::{
    audio::Audio,
    blobs::Blobs,
    client::{self, Client},
    config::AstraConfig,
    documents::Documents,
    embeddings::Embeddings,
    garbage::Garbage,
    segments::Segments,
    shared::Shared,
    songs::Songs,
};

/// A library in Astra DB, or in any database behind a Data API, with its audio
/// in an object store.
///
/// Songs are documents of the collection `songs`, embeddings of one collection
/// per model, everything else of `library`. See the crate's `README.md` for
/// what lies where and what each call costs.
#[derive(Debug)]
pub struct AstraBackend {
    pub(crate) shared: Arc<Shared>,
    songs: Songs,
    embeddings: Embeddings,
    audio: Audio,
    segments: Segments,
    documents: Documents,
    garbage: Garbage,
}

impl AstraBackend {
    /// The library that `config` tells of, which must have been made by
    /// [`init`](Self::init). Costs one request.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no library, `Incompatible` if it was written by
    /// a newer version, and what any request may fail with.
    pub async fn open(config: &AstraConfig) -> Result<Self> {
        let backend = Self::connect(config)?;
        backend.shared.refresh("open").await?;
        Ok(backend)
    }

    /// The same without a request, by what [`cached_schema`](Self::cached_schema) an
    /// earlier opening had. What is no longer so is noticed by the first look
    /// at the [`changes`](Maintenance::changes), and models that are new when they
    /// are asked for; so it is for who begins with that look.
    ///
    /// # Errors
    ///
    /// `Invalid` if the configuration is. Knowledge that cannot be read is as
    /// none: then it asks.
    pub async fn open_with_schema(config: &AstraConfig, cached_schema: &str) -> Result<Self> {
        let backend = Self::connect(config)?;
        if !backend.shared.learn(cached_schema) {
            backend.shared.refresh("open").await?;
        }
        Ok(backend)
    }

    /// What was learned by opening, as text.
    pub fn cached_schema(&self) -> String {
        self.shared.cached_schema()
    }

    /// The same without a look at what is there: for [`init`](Self::init) and
    /// [`doctor`](Self::doctor).
    ///
    /// # Errors
    ///
    /// `Invalid` if the configuration is.
    pub fn connect(config: &AstraConfig) -> Result<Self> {
        let shared = Arc::new(Shared::connect(config)?);
        Ok(Self {
            songs: Songs::of(&shared),
            embeddings: Embeddings::of(&shared),
            audio: Audio::of(&shared),
            segments: Segments::of(&shared),
            documents: Documents::of(&shared),
            garbage: Garbage::of(&shared),
            shared,
        })
    }

    /// The client, which counts its requests.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// The id of the library.
    pub fn library_id(&self) -> String {
        self.shared.library_id()
    }

    /// Those of `songs` that name embeddings by some of `models` which are not
    /// there, and by which. One that is stored and that its song does not name,
    /// such as a writer leaves that ends before it stores the song, is no
    /// substitute. No vector is read.
    ///
    /// Costs one request for each page of the server, which holds 20 or 50 songs,
    /// and one more of these for each model.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn lost_embeddings(
        &self,
        models: &[ModelName],
        songs: &[SongId],
    ) -> Result<BTreeMap<SongId, BTreeSet<ModelName>>> {
        self.embeddings.lost_embeddings(models, songs).await
    }
}

impl StorageBackend for AstraBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            any_metric: false,
            keeps_audio: self.shared.blobs.is_some(),
            urls: self.shared.blobs.as_ref().is_some_and(Blobs::has_addresses),
            batch: client::MAX_INSERT,
            remote: true,
        }
    }

    fn songs(&self) -> &dyn SongStore {
        &self.songs
    }

    fn embeddings(&self) -> &dyn EmbeddingStore {
        &self.embeddings
    }

    fn blobs(&self) -> &dyn BlobStore {
        &self.audio
    }

    fn segments(&self) -> &dyn SegmentStore {
        &self.segments
    }

    fn documents(&self) -> &dyn DocumentStore {
        &self.documents
    }

    fn maintenance(&self) -> &dyn Maintenance {
        &self.garbage
    }
}

impl fmt::Display for AstraBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
