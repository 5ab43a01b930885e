//! [`LocalBackend`]: the contract, answered by blocking code elsewhere.

use std::{fmt, ops::Range, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use songrec_core::{
    BlobRef, Document, DocumentKind, EmbeddingRef, Filter, Job, ModelName, ModelSpec, OperationId,
    Progress, Segment, SegmentId, Song, SongId, SongSummary,
};
use songrec_storage::{
    BlobSource, BlobStore, BlobStream, Capabilities, ChangePage, Collected, Cursor, DeleteSong,
    DocumentStore, EmbeddingStore, Finding, Lookup, Maintenance, NearestQuery, NearestSegments,
    Neighbor, NewBlob, NewEmbedding, Outcome, Page, PageToken, PurgeSong, PutDocument, PutSong,
    Result, SegmentNeighbor, SegmentQuery, SegmentStore, SongQuery, SongStore, StorageBackend,
    StoredEmbedding, VerifyOptions,
};
use uuid::Uuid;

use crate::{
    access::or_full,
    blobs, blocking,
    catalog::Catalog,
    database::Database,
    documents::Documents,
    embeddings::Embeddings,
    error,
    files::{Disk, Layout, disk::RealDisk},
    garbage::Garbage,
    index_state::{IndexState, index_states},
    options::LocalOptions,
    points::Points,
    progress::{reporter, reporting},
    segments::Segments,
    songs::Songs,
    store::Store,
    verify::Verifier,
};

/// How many songs a batch should have: the wait for the disk is shared by all
/// of it, and others can write in between.
const BATCH: usize = 64;

/// A library in a folder of this machine.
///
/// Every song is a JSON file and every embedding a `.npy` file; a SQLite
/// catalog and vector indexes are made from them, and can be thrown away at
/// any time. Any number of processes may use one library; those that write
/// take turns.
///
/// ```
/// use songrec_local::{LocalBackend, LocalOptions};
/// use songrec_core::Filter;
/// use songrec_storage::StorageBackend;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), songrec_storage::Error> {
/// let folder = tempfile::tempdir().unwrap();
/// let library = LocalBackend::create(folder.path(), LocalOptions::default()).await?;
/// assert_eq!(library.songs().count(&Filter::all()).await?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LocalBackend {
    database: Arc<Database>,
}

impl LocalBackend {
    /// Makes a library in `root`, which may hold other files already.
    ///
    /// Where these are those of a library that has lost its `songrec.json`, it
    /// is that library again, with its id and what was decided about it, as far
    /// as that is known.
    ///
    /// # Errors
    ///
    /// `Conflict` if there is a library already.
    pub async fn create(root: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        Self::create_on(root.as_ref(), Arc::new(RealDisk), options).await
    }

    /// Opens the library in `root`.
    ///
    /// Costs the same at any size, unless the catalog or an index is missing,
    /// damaged or not of these files; then it is built from the files, and
    /// `progress` reports it. Damaged files are left out and reported as
    /// skipped. A damaged `songrec.json` is restored from its copy, or from
    /// the catalog.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no library, `Incompatible` if it was written by
    /// a newer version of songrec, `Corrupt` if nothing tells which library it
    /// is.
    pub async fn open(root: impl AsRef<Path>, progress: &dyn Progress) -> Result<Self> {
        Self::open_with(root, LocalOptions::default(), progress).await
    }

    /// Opens the library in `root`, with `options`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(
        root: impl AsRef<Path>,
        options: LocalOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        Self::open_on(root.as_ref(), Arc::new(RealDisk), options, None, progress).await
    }

    /// The same; if the library may only be read, or its disk is full, and what
    /// is derived of it is not as its files, that is made in `spare`, a folder
    /// for any number of libraries. Everything that only reads works then, and
    /// what writes is `Denied` or `Full`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with_spare(
        root: impl AsRef<Path>,
        options: LocalOptions,
        spare: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        Self::open_on(root.as_ref(), Arc::new(RealDisk), options, Some(spare), progress).await
    }

    /// Nothing, if songs can be stored and changed.
    ///
    /// # Errors
    ///
    /// `Denied` if this user may not, or the disk is only for reading; `Full`
    /// if it had no room when the library was opened.
    pub fn may_write(&self) -> Result<()> {
        self.store().may_write().map_err(|fault| fault.during("change", "the library", self))
    }

    /// Opens the library in `root`, or makes one if there is none.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); what was decided about a library that is there
    /// stays.
    pub async fn open_or_create(
        root: impl AsRef<Path>,
        options: LocalOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let root = root.as_ref();
        match Self::open_with(root, options, progress).await {
            Err(error) if error.kind() == songrec_storage::ErrorKind::NotFound => {}
            other => return other,
        }
        match Self::create(root, options).await {
            // Somebody else was faster.
            Err(error) if error.kind() == songrec_storage::ErrorKind::Conflict => {
                Self::open_with(root, options, progress).await
            }
            other => other,
        }
    }

    /// Whether all that is in `root` is what making a library there left that
    /// was cut off: making it again goes on.
    pub fn is_begun(root: impl AsRef<Path>) -> bool {
        Layout::new(root.as_ref()).is_begun()
    }

    /// Whether there is a library in `root`.
    pub fn is_library(root: impl AsRef<Path>) -> bool {
        Layout::new(root.as_ref()).library_file().is_file()
    }

    /// The folder of the library; relative paths of songs begin there.
    pub fn root(&self) -> &Path {
        self.store().layout().root()
    }

    /// What the library is known by, wherever it is copied to.
    pub fn id(&self) -> Uuid {
        self.store().library().id
    }

    /// The vectors of all songs that pass `filter`, as a model embedded them, where
    /// they are: nothing is copied. They are those of now; songs that are
    /// stored or deleted meanwhile may be among them or not.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no such model.
    pub async fn points(&self, model: &ModelName, filter: &Filter) -> Result<Points> {
        let (name, filter) = (model.clone(), filter.clone());
        let subject = format_args!("model `{model}`").to_string();
        self.blocking("read all of", subject, move |database| {
            Embeddings::new(database).points(&name, &filter)
        })
        .await
    }

    /// How the index of each model is. Opens the indexes, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be read.
    pub async fn index_states(&self) -> Result<Vec<IndexState>> {
        self.blocking("look at", "the indexes".to_owned(), index_states).await
    }

    /// A text that is another one after every change of a song. Costs one look at the
    /// catalog.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be read.
    pub async fn songs_state(&self) -> Result<String> {
        self.blocking("look for changes of", "songs".to_owned(), move |database| {
            Songs::new(database).state()
        })
        .await
    }

    fn store(&self) -> &Store {
        self.database.store()
    }

    pub(crate) async fn create_on(
        root: &Path,
        disk: Arc<dyn Disk>,
        options: LocalOptions,
    ) -> Result<Self> {
        let path = root.to_owned();
        let create = move || Database::create(&path, disk, options);
        let database = blocking::run(create).await;
        let database =
            database.map_err(|fault| fault.during("create", "the library", root.display()))?;
        Ok(Self { database: Arc::new(database) })
    }

    pub(crate) async fn open_on(
        root: &Path,
        disk: Arc<dyn Disk>,
        options: LocalOptions,
        spare: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (path, spare) = (root.to_owned(), spare.map(Path::to_owned));
        let (reporter, pass_on) = reporter(progress);
        let open = move || Database::open(&path, disk, options, spare.as_deref(), &reporter);
        let open = tokio::task::spawn_blocking(open);
        pass_on.await;
        let database = blocking::join(open.await);
        let database =
            database.map_err(|fault| fault.during("open", "the library", root.display()))?;
        Ok(Self { database: Arc::new(database) })
    }

    /// The one place where async meets blocking I/O.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        work: impl FnOnce(&Database) -> error::Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = Arc::clone(&self.database);
        blocking::run(move || work(&database))
            .await
            .map_err(|fault| or_full(fault, self.root()).during(operation, subject, self))
    }

    /// The same for what changes the library.
    async fn changing<T: Send + 'static>(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        work: impl FnOnce(&Database) -> error::Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = |database: &Database| database.store().may_write().and_then(|()| work(database));
        self.blocking(operation, subject, work).await
    }
}

fn some(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

impl StorageBackend for LocalBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            any_metric: true,
            keeps_audio: self.store().library().keeps_copies,
            urls: false,
            batch: BATCH,
            remote: false,
        }
    }

    fn songs(&self) -> &dyn SongStore {
        self
    }

    fn embeddings(&self) -> &dyn EmbeddingStore {
        self
    }

    fn blobs(&self) -> &dyn BlobStore {
        self
    }

    fn segments(&self) -> &dyn SegmentStore {
        self
    }

    fn documents(&self) -> &dyn DocumentStore {
        self
    }

    fn maintenance(&self) -> &dyn Maintenance {
        self
    }
}

#[async_trait]
impl SongStore for LocalBackend {
    async fn put(&self, songs: &[PutSong]) -> Result<Vec<Outcome<Song>>> {
        if songs.is_empty() {
            return Ok(vec![]);
        }
        let (subject, songs) = (some(songs.len(), "song"), songs.to_vec());
        self.changing("store", subject, move |database| Songs::new(database).put(&songs)).await
    }

    async fn get(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let (subject, ids) = (some(ids.len(), "song"), ids.to_vec());
        self.blocking("read", subject, move |database| Songs::new(database).get(&ids)).await
    }

    async fn find(&self, query: &SongQuery) -> Result<Page<Song>> {
        let query = query.clone();
        self.blocking("find", "songs", move |database| Songs::new(database).find(&query)).await
    }

    async fn find_summaries(&self, query: &SongQuery) -> Result<Page<SongSummary>> {
        let query = query.clone();
        self.blocking("find", "songs", move |database| Songs::new(database).find_summaries(&query))
            .await
    }

    async fn count(&self, filter: &Filter) -> Result<u64> {
        let filter = filter.clone();
        self.blocking("count", "songs", move |database| Songs::new(database).count(&filter)).await
    }

    async fn lookup(&self, lookups: &[Lookup]) -> Result<Vec<Vec<SongId>>> {
        if lookups.is_empty() {
            return Ok(vec![]);
        }
        let lookups = lookups.to_vec();
        self.blocking("look up", "songs", move |database| Songs::new(database).lookup(&lookups))
            .await
    }

    async fn delete(&self, songs: &[DeleteSong]) -> Result<Vec<Outcome<Song>>> {
        if songs.is_empty() {
            return Ok(vec![]);
        }
        let (subject, songs) = (some(songs.len(), "song"), songs.to_vec());
        self.changing("delete", subject, move |database| Songs::new(database).delete(&songs)).await
    }

    async fn purge(&self, tombstones: &[PurgeSong]) -> Result<()> {
        if tombstones.is_empty() {
            return Ok(());
        }
        let (subject, tombstones) = (some(tombstones.len(), "deleted song"), tombstones.to_vec());
        self.changing("forget", subject, move |database| Songs::new(database).purge(&tombstones))
            .await
    }
}

#[async_trait]
impl EmbeddingStore for LocalBackend {
    async fn put_model(&self, model: &ModelSpec) -> Result<()> {
        let (subject, model) = (format!("model `{}`", model.name), model.clone());
        self.changing("make room for", subject, move |database| {
            Songs::new(database).put_model(&model)
        })
        .await
    }

    async fn models(&self) -> Result<Vec<ModelSpec>> {
        self.blocking("list", "models", |database| {
            let models = database.read(Catalog::models)?;
            Ok(models.into_iter().map(|model| model.spec).collect())
        })
        .await
    }

    async fn put(&self, embeddings: &[NewEmbedding]) -> Result<Vec<EmbeddingRef>> {
        if embeddings.is_empty() {
            return Ok(vec![]);
        }
        let (subject, embeddings) = (some(embeddings.len(), "embedding"), embeddings.to_vec());
        self.changing("store", subject, move |database| Embeddings::new(database).put(&embeddings))
            .await
    }

    async fn get(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        if songs.is_empty() {
            return Ok(vec![]);
        }
        let subject = format!("{} by `{model}`", some(songs.len(), "embedding"));
        let (model, songs) = (model.clone(), songs.to_vec());
        self.blocking("read", subject, move |database| {
            Embeddings::new(database).get(&model, &songs)
        })
        .await
    }

    async fn get_deleted(
        &self,
        model: &ModelName,
        songs: &[SongId],
    ) -> Result<Vec<Option<StoredEmbedding>>> {
        if songs.is_empty() {
            return Ok(vec![]);
        }
        let subject = format!("{} of deleted songs by `{model}`", some(songs.len(), "embedding"));
        let (model, songs) = (model.clone(), songs.to_vec());
        self.blocking("read", subject, move |database| {
            Embeddings::new(database).get_deleted(&model, &songs)
        })
        .await
    }

    async fn nearest(&self, query: &NearestQuery) -> Result<Vec<Neighbor>> {
        let (subject, query) = (format!("model `{}`", query.model), query.clone());
        self.blocking("search", subject, move |database| Embeddings::new(database).nearest(&query))
            .await
    }
}

#[async_trait]
impl BlobStore for LocalBackend {
    async fn put(&self, blob: &NewBlob, source: BlobSource) -> Result<BlobRef> {
        let put = match self.store().may_write() {
            Ok(()) => blobs::put(&self.database, blob, source).await,
            Err(fault) => Err(fault),
        };
        put.map_err(|fault| fault.during("store", format_args!("blob `{}`", blob.sha256), self))
    }

    async fn get(&self, blob: &BlobRef, range: Option<Range<u64>>) -> Result<Option<BlobStream>> {
        let got = blobs::get(&self.database, blob, range).await;
        got.map_err(|fault| fault.during("read", format_args!("blob `{}`", blob.sha256), self))
    }

    async fn url(&self, _: &BlobRef, _: Duration) -> Result<Option<String>> {
        Ok(None)
    }
}

#[async_trait]
impl SegmentStore for LocalBackend {
    async fn put(&self, segments: &[Segment]) -> Result<()> {
        if segments.is_empty() {
            return Ok(());
        }
        let (subject, segments) = (some(segments.len(), "segment"), segments.to_vec());
        self.changing("store", subject, move |database| Segments::new(database).put(&segments))
            .await
    }

    async fn get(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let ids = ids.to_vec();
        self.blocking("read", "segments", move |database| Segments::new(database).get(&ids)).await
    }

    async fn find(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let query = query.clone();
        self.blocking("find", "segments", move |database| Segments::new(database).find(&query))
            .await
    }

    async fn nearest(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        let query = query.clone();
        self.blocking("search", "segments", move |database| Segments::new(database).nearest(&query))
            .await
    }

    async fn delete(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let (subject, ids) = (some(ids.len(), "segment"), ids.to_vec());
        self.changing("delete", subject, move |database| Segments::new(database).delete(&ids)).await
    }
}

#[async_trait]
impl DocumentStore for LocalBackend {
    async fn put(&self, documents: &[PutDocument]) -> Result<Vec<Outcome<Document>>> {
        if documents.is_empty() {
            return Ok(vec![]);
        }
        let (subject, documents) = (some(documents.len(), "document"), documents.to_vec());
        self.changing("store", subject, move |database| Documents::new(database).put(&documents))
            .await
    }

    async fn get(&self, kind: DocumentKind, ids: &[String]) -> Result<Vec<Option<Document>>> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let (subject, ids) = (some(ids.len(), kind.as_str()), ids.to_vec());
        self.blocking("read", subject, move |database| Documents::new(database).get(kind, &ids))
            .await
    }

    async fn list(
        &self,
        kinds: &[DocumentKind],
        after: Option<&PageToken>,
    ) -> Result<Page<Document>> {
        let (kinds, after) = (kinds.to_vec(), after.cloned());
        self.blocking("list", "documents", move |database| {
            Documents::new(database).list(&kinds, after.as_ref())
        })
        .await
    }

    async fn delete(
        &self,
        kind: DocumentKind,
        id: &str,
        version: OperationId,
    ) -> Result<Outcome<Document>> {
        let (subject, id) = (format!("{} `{id}`", kind.as_str()), id.to_owned());
        self.changing("delete", subject, move |database| {
            Documents::new(database).delete(kind, &id, version)
        })
        .await
    }
}

#[async_trait]
impl Maintenance for LocalBackend {
    async fn changes(&self, since: Option<&Cursor>, limit: usize) -> Result<ChangePage> {
        let since = since.cloned();
        self.blocking("read", "the changes", move |database| {
            Songs::new(database).changes(since.as_ref(), limit)
        })
        .await
    }

    async fn collect_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        let (job, pass_on) = reporting(job);
        let collect = self.changing("clean up", "objects", move |database| {
            Garbage::new(database).collect(min_age, false, &job)
        });
        futures::join!(collect, pass_on).0
    }

    async fn find_garbage(&self, min_age: Duration, job: &Job) -> Result<Collected> {
        let (job, pass_on) = reporting(job);
        let find = self.blocking("look for", "garbage", move |database| {
            Garbage::new(database).collect(min_age, true, &job)
        });
        futures::join!(find, pass_on).0
    }

    async fn verify(&self, options: &VerifyOptions, job: &Job) -> Result<Vec<Finding>> {
        let (job, pass_on) = reporting(job);
        let options = *options;
        let verify = self.blocking("verify", "the library", move |database| {
            Verifier::new(database).verify(&options, &job)
        });
        futures::join!(verify, pass_on).0
    }
}

impl fmt::Display for LocalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.root().display())
    }
}

impl fmt::Debug for LocalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBackend").field("root", &self.root()).finish_non_exhaustive()
    }
}
