//! What the parts of a backend share: the connection, the registry of models,
//! and what this process remembers to save requests.

use std::{
    collections::HashMap,
    fmt,
    num::NonZeroUsize,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use lru::LruCache;
use serde_json::{Value, json};
use songrec_core::{Digest, Hint, ModelName, ModelSpec, OperationId, SongId};
use songrec_storage::{Error, ErrorKind, Result, Unreadable};

use crate::{
    blobs::{self, Blobs},
    client::{self, Client, Collection, Find, Keyspace, Problem},
    config::AstraConfig,
    hint::{hint_of, no_library, run_repair, run_verify},
    row::{Before, SearchFields, WrongRow, text},
    schema::{self, KnownModel, ModelDocument, Registry, WrongSchema},
};

/// Requests of one call that are on their way at once.
pub(crate) const AT_ONCE: usize = 16;
/// How often a write that keeps losing races is tried.
pub(crate) const ROUNDS: usize = 12;
/// Songs whose last version is remembered, to save a read before a write.
const REMEMBERED: usize = 10_000;
/// Vectors that are remembered until their songs are stored.
const VECTORS: usize = 2_000;
/// Elements of a vector that is kept beside its song as well: up to 5.5 kB.
pub(crate) const SHORT_VECTOR: usize = 1024;
/// How long a request may be under way in the database after its answer was
/// given up: the longest of its own timeouts is 20 s.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// How long a song that was looked for and not there is taken to be absent.
const ABSENT_FOR: Duration = Duration::from_secs(5);

/// The connection to a library, and what is known of it.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) keyspace: Keyspace,
    pub(crate) songs: Collection,
    pub(crate) library: Collection,
    pub(crate) blobs: Option<Blobs>,
    registry: RwLock<Registry>,
    memory: Mutex<Memory>,
    largest_page: AtomicUsize,
    abandoned: Mutex<Vec<(String, Instant)>>,
}

/// What this process remembers to save requests. Forgetting any of it changes
/// what is asked, never what is answered.
struct Memory {
    seen: LruCache<SongId, Seen>,
    absent: LruCache<SongId, Instant>,
    vectors: LruCache<String, (Digest, String)>,
    fresh: LruCache<String, ()>,
}

/// The last version of a song that this process read or wrote.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) rev: OperationId,
    pub(crate) before: Before,
    /// What the documents of its embeddings show; unknown if it was read.
    pub(crate) search_fields: Option<SearchFields>,
}

impl Shared {
    /// Connects without a request.
    ///
    /// # Errors
    ///
    /// `Invalid` if the configuration is.
    pub(crate) fn connect(config: &AstraConfig) -> Result<Self> {
        let name = config.keyspace_name();
        let place = format!("astra keyspace `{name}`");
        let endpoint = config.address().map_err(|error| {
            Error::new(ErrorKind::Invalid, "connect to", "the Data API", &place)
                .because(error)
                .with_hint("set `ASTRA_DB_API_ENDPOINT`, or `ASTRA_DB_ID` and `ASTRA_DB_REGION`")
        })?;
        if !(1..=48).contains(&name.len())
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Err(Error::new(ErrorKind::Invalid, "use", place, &endpoint)
                .because("a keyspace is named by 1 to 48 letters, digits and `_`")
                .with_hint("set `ASTRA_DB_KEYSPACE`"));
        }
        if config.token.is_empty() {
            return Err(Error::new(ErrorKind::Denied, "connect to", &endpoint, place)
                .because("there is no token")
                .with_hint("set `ASTRA_DB_APPLICATION_TOKEN`; a self-hosted server takes user and password"));
        }
        let client = Client::with_timeouts(endpoint, config.token.clone(), config.timeouts())
            .map_err(|error| {
                let hint = hint_of(&error);
                Error::new(error.kind(), "connect to", "the Data API", &place)
                    .because(error)
                    .with_hint(hint)
            })?;
        let keyspace = client.keyspace(name);
        let size = |count: usize| NonZeroUsize::new(count).expect("not zero");
        Ok(Self {
            songs: keyspace.collection(schema::SONGS),
            library: keyspace.collection(schema::LIBRARY),
            blobs: config
                .blobs
                .as_ref()
                .map(|blobs| blobs::open(blobs, &config.timeouts()))
                .transpose()?,
            client,
            keyspace,
            registry: RwLock::default(),
            memory: Mutex::new(Memory {
                seen: LruCache::new(size(REMEMBERED)),
                absent: LruCache::new(size(REMEMBERED)),
                vectors: LruCache::new(size(VECTORS)),
                fresh: LruCache::new(size(REMEMBERED)),
            }),
            largest_page: AtomicUsize::new(0),
            abandoned: Mutex::default(),
        })
    }

    /// The registry as text, as [`learn`](Self::learn) reads it.
    pub(crate) fn cached_schema(&self) -> String {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        text(&registry.documents())
    }

    /// Takes over a registry that was read from [`cached_schema`](Self::cached_schema).
    /// False if the text cannot be read.
    pub(crate) fn learn(&self, cached_schema: &str) -> bool {
        let registry = serde_json::from_str(cached_schema).ok().map(Registry::read);
        let Some(Ok(registry)) = registry else { return false };
        *self.registry.write().unwrap_or_else(PoisonError::into_inner) = registry;
        true
    }

    /// An error of the client as one of the contract.
    pub(crate) fn failed(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        error: client::Error,
    ) -> Error {
        let (hint, asked) = (hint_of(&error), error.retry_after);
        Error::new(error.kind(), operation, subject, self)
            .because(error)
            .with_hint(hint)
            .with_retry_after(asked)
    }

    pub(crate) fn invalid(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        why: impl Into<String>,
    ) -> Error {
        Error::new(ErrorKind::Invalid, operation, subject, self).because(why.into())
    }

    pub(crate) fn damaged(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error::new(ErrorKind::Corrupt, operation, subject, self)
            .because(error)
            .with_hint(run_verify())
    }

    /// A document of a song that cannot be used, as an error of the contract.
    pub(crate) fn unreadable(
        &self,
        operation: &'static str,
        subject: impl fmt::Display,
        wrong: WrongRow,
    ) -> Error {
        let hint = match wrong.why {
            Unreadable::Newer { .. } => Hint::from("install a newer songrec"),
            Unreadable::Damaged(_) => run_repair(),
        };
        Error::new(wrong.why.kind(), operation, subject, self).because(wrong).with_hint(hint)
    }

    pub(crate) fn contended(&self, operation: &'static str, subject: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Transient, operation, subject, self)
            .because("other writers were faster every time")
            .with_hint("try again in a moment")
    }

    // Reads the library's own documents anew.
    pub(crate) async fn refresh(&self, operation: &'static str) -> Result<()> {
        let find = Find::new(json!({"kind": {"$in": ["schema", "model"]}}));
        let missing = || {
            Error::new(ErrorKind::NotFound, operation, "the library", self)
                .because(WrongSchema::Missing)
                .with_hint(no_library())
        };
        let documents: Vec<Value> = match self.library.find(find).try_collect().await {
            Ok(documents) => documents,
            Err(error) if error.problem() == Problem::NoCollection => return Err(missing()),
            Err(error) => return Err(self.failed(operation, "the library", error)),
        };
        let registry = Registry::read(documents).map_err(|wrong| match wrong {
            WrongSchema::Missing => missing(),
            WrongSchema::Newer { .. } => {
                Error::new(ErrorKind::Incompatible, operation, "the library", self)
                    .because(wrong)
                    .with_hint("install a newer songrec")
            }
            WrongSchema::Damaged { .. } => self.damaged(operation, "the library", wrong),
        })?;
        *self.registry.write().unwrap_or_else(PoisonError::into_inner) = registry;
        Ok(())
    }

    /// The id of the library.
    pub(crate) fn library_id(&self) -> String {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).library.clone()
    }

    fn known(&self, name: &ModelName) -> Option<KnownModel> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).models.get(name).cloned()
    }

    /// Every model this process knows.
    pub(crate) fn known_models(&self) -> Vec<KnownModel> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        registry.models.values().cloned().collect()
    }

    /// The model of this name; asks again if this process does not know it,
    /// because another may have made room for it.
    pub(crate) async fn model(&self, name: &ModelName) -> Result<Option<KnownModel>> {
        if let Some(known) = self.known(name) {
            return Ok(Some(known));
        }
        self.refresh("look for a model in").await?;
        Ok(self.known(name))
    }

    pub(crate) fn embeddings_of(&self, model: &KnownModel) -> Collection {
        self.keyspace.collection(model.collection.as_str())
    }

    pub(crate) async fn make_model(&self, model: &ModelSpec) -> Result<()> {
        let subject = format!("model `{}`", model.name);
        if let Some(known) = self.model(&model.name).await? {
            let known = known.spec;
            if known.dimension == model.dimension && known.metric == model.metric {
                return Ok(());
            }
            let why = format!(
                "it is known with {} dimensions compared by {}, not {} by {}",
                known.dimension, known.metric, model.dimension, model.metric
            );
            return Err(self.invalid("make room for", subject, why));
        }
        let failed = |error| self.failed("make room for", &subject, error);
        self.keyspace.create_collection(&schema::embeddings_of(model)).await.map_err(failed)?;
        let document = ModelDocument::of(model);
        match self.library.insert_one(&document).await {
            Ok(()) => {}
            // Another process made room at the same moment; what it said counts.
            Err(error) if error.problem() == Problem::DocumentExists => {
                self.refresh("read the models of").await?;
                return Box::pin(self.make_model(model)).await;
            }
            Err(error) => return Err(failed(error)),
        }
        let known = KnownModel { spec: model.clone(), collection: document.collection };
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.models.insert(model.name.clone(), known);
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change of it is complete before anything can panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seen(&self, id: SongId) -> Option<Seen> {
        self.memory().seen.get(&id).cloned()
    }

    pub(crate) fn remember(&self, id: SongId, seen: Seen) {
        let mut memory = self.memory();
        memory.absent.pop(&id);
        // A read does not know the face; what a write knew of it still holds.
        let search_fields = match memory.seen.peek(&id) {
            Some(known) if seen.search_fields.is_none() && known.rev == seen.rev => {
                known.search_fields.clone()
            }
            _ => seen.search_fields,
        };
        memory.seen.put(id, Seen { search_fields, ..seen });
    }

    pub(crate) fn forget(&self, id: SongId) {
        let mut memory = self.memory();
        memory.seen.pop(&id);
        memory.absent.pop(&id);
    }

    pub(crate) fn remember_absent(&self, id: SongId) {
        let mut memory = self.memory();
        memory.seen.pop(&id);
        memory.absent.put(id, Instant::now());
    }

    pub(crate) fn is_absent(&self, id: SongId) -> bool {
        self.memory().absent.get(&id).is_some_and(|since| since.elapsed() < ABSENT_FOR)
    }

    pub(crate) fn remember_vector(&self, key: String, digest: Digest, data: String) {
        self.memory().vectors.put(key, (digest, data));
    }

    pub(crate) fn vector(&self, key: &str, digest: Digest) -> Option<String> {
        let mut memory = self.memory();
        memory.vectors.get(key).filter(|(known, _)| *known == digest).map(|(_, data)| data.clone())
    }

    /// Remembers that the document of an embedding is as its song will want
    /// it: just inserted, and not named by any song yet.
    pub(crate) fn remember_fresh(&self, key: String) {
        self.memory().fresh.put(key, ());
    }

    /// Whether it is; asked once, by the song that names it.
    pub(crate) fn take_fresh(&self, key: &str) -> bool {
        self.memory().fresh.pop(key).is_some()
    }

    /// Notes a number whose giver went away (`changes.rs`).
    pub(crate) fn abandon_number(&self, name: String) {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        abandoned.push((name, Instant::now()));
    }

    /// Those of them of which no request can be under way any more.
    pub(crate) fn abandoned_numbers(&self) -> Vec<String> {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        let old = abandoned.extract_if(.., |(_, since)| since.elapsed() > UNDER_WAY);
        old.map(|(name, _)| name).collect()
    }

    /// Whether a sorted answer with `got` documents of `asked` is the last.
    /// The server's page size is not known and may be smaller than what was
    /// asked for; only an answer smaller than another one is surely not full.
    pub(crate) fn is_last_page(&self, got: usize, asked: usize) -> bool {
        let largest = self.largest_page.fetch_max(got, Ordering::Relaxed);
        got == 0 || (got < asked && got < largest)
    }

    /// Where audio is kept, or an error that says how to name a place.
    pub(crate) fn place_of_audio(&self, operation: &'static str) -> Result<&Blobs> {
        self.blobs.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, operation, "audio", self)
                .because("this library has no place for audio")
                .with_hint("set `SONGREC_BLOBS` to `s3://bucket/prefix` or `file:///folder`")
        })
    }
}

/// The answers of futures in their order, of which `width` run at once; the
/// first error ends all.
pub(crate) async fn at_once<T, E, F: Future<Output = std::result::Result<T, E>>>(
    width: usize,
    futures: Vec<F>,
) -> std::result::Result<Vec<T>, E> {
    stream::iter(futures).buffered(width).try_collect().await
}

/// The places in `asked` of each of its different elements.
pub(crate) fn positions<T: std::hash::Hash + Eq + Copy>(asked: &[T]) -> HashMap<T, Vec<usize>> {
    let mut positions: HashMap<T, Vec<usize>> = HashMap::with_capacity(asked.len());
    for (at, one) in asked.iter().enumerate() {
        positions.entry(*one).or_default().push(at);
    }
    positions
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "astra keyspace `{}`", self.keyspace.name())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("client", &self.client)
            .field("keyspace", &self.keyspace.name())
            .field("blobs", &self.blobs.as_ref().map(Blobs::place))
            .finish_non_exhaustive()
    }
}
