//! What a user has.

use std::{
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use songrec_core::{ModelName, ModelSpec, Song, SongId, Timestamp, decode_path, encode_path};
use songrec_local::{ListsState, LocalBackend};
use songrec_storage::{ErrorKind as StorageTrouble, StorageBackend, StorageBackendExt};

use crate::{Config, Error, Models, Origin, Result, keys};

/// How many of the songs of a library the usual model embedded.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    /// The model that searches compare by.
    pub(crate) model: String,
    /// How many songs the usual model embedded, and how many more another one did;
    /// 0 where that is not known.
    pub(crate) embedded: usize,
    pub(crate) lacking: usize,
}

/// One library: where its songs are kept, and how this user wants to use it.
#[derive(Clone, Debug)]
pub struct Library {
    pub(crate) backend: Arc<dyn StorageBackend>,
    pub(crate) config: Arc<Config>,
    /// What stays the same for as long as the library exists.
    pub(crate) id: String,
    /// The folder that relative paths of songs are meant from.
    pub(crate) root: Option<PathBuf>,
    /// Where it is.
    pub(crate) place: String,
    /// The backend, where it is a local one: it can do things of its own.
    pub(crate) local: Option<LocalBackend>,
    /// The same of one in Astra, whatever stands in front of it.
    #[cfg(feature = "astra")]
    pub(crate) astra: Option<Arc<songrec_astra::AstraBackend>>,
    /// Held while this may write past the copies on this machine.
    #[cfg(feature = "astra")]
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) writing: Option<Arc<songrec_cache::SharedWrite>>,
    /// The models that can embed here.
    pub(crate) models: Arc<Models>,
    /// When the usual model was last found to have embedded all that others did.
    pub(crate) whole: Arc<Mutex<Option<Instant>>>,
}

/// For so long, no search looks again whether the usual model embedded all: looking takes
/// as long as a search of a small library.
const STAYS_WHOLE: Duration = Duration::from_secs(10);

impl Library {
    /// A library kept by `backend`. Paths of files below `root` are kept
    /// relative to it, so that the folder can be moved as a whole.
    pub fn new(
        backend: Arc<dyn StorageBackend>,
        config: Arc<Config>,
        id: String,
        root: Option<PathBuf>,
    ) -> Self {
        let place = root.as_deref().map_or_else(|| id.clone(), |root| root.display().to_string());
        let models = Arc::new(Models::new(config.clone()));
        Self {
            backend,
            config,
            id,
            root,
            place,
            local: None,
            #[cfg(feature = "astra")]
            astra: None,
            #[cfg(feature = "astra")]
            writing: None,
            models,
            whole: Arc::default(),
        }
    }

    /// Where the songs are kept.
    pub(crate) fn backend(&self) -> &dyn StorageBackend {
        &*self.backend
    }

    /// The same, for work that outlives a borrow.
    pub(crate) fn shared_backend(&self) -> Arc<dyn StorageBackend> {
        self.backend.clone()
    }

    /// Whether it is reached through a network, and may be others' as well.
    pub fn is_remote(&self) -> bool {
        self.backend.capabilities().remote
    }

    /// What stays the same for as long as the library exists.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is: a folder, or an address. Another library may come to be
    /// there, with another [`id`](Self::id).
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The settings, for work that outlives a borrow.
    pub fn shared_config(&self) -> Arc<Config> {
        self.config.clone()
    }

    /// The same library, whose scans embed by these models.
    ///
    /// # Errors
    ///
    /// When one of them has no name.
    pub fn scanning_by(&self, models: &[String]) -> Result<Self> {
        let config = self.config.with(keys::SCAN_MODELS, &models.join(","))?;
        Ok(Self { config: Arc::new(config), ..self.clone() })
    }

    /// The models that can embed here.
    pub const fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// The folder of a local library.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Nothing, if songs can be stored and changed here, as far as that is
    /// known before it is tried.
    ///
    /// # Errors
    ///
    /// `Denied` for a local library that this user may only read, `Failed` if
    /// its disk is full.
    pub fn may_write(&self) -> Result<()> {
        Ok(self.local.as_ref().map_or(Ok(()), LocalBackend::may_write)?)
    }

    /// The model that searches compare by: the configured one. Where none is
    /// configured and the usual one embedded few of the songs, as in a library of
    /// before or after an import of vectors, the best of those that did embed them.
    ///
    /// # Errors
    ///
    /// When the configured name is no model name, or the library cannot be
    /// read.
    pub async fn search_model(&self) -> Result<ModelName> {
        let name = match self.is_model_chosen() {
            true => self.usual_model().to_owned(),
            false => self.model_among(&self.backend.embeddings().models().await?).await?,
        };
        name.parse().map_err(|error| Error::usage("`search.model` is wrong").because(error))
    }

    /// The same, given the models that the library knows.
    pub(crate) async fn model_among(&self, known: &[ModelSpec]) -> Result<String> {
        Ok(self.usual_coverage(known).await?.model)
    }

    /// The model that searches compare by, given those that the library knows, and
    /// how much of a local library the usual one embedded.
    pub(crate) async fn usual_coverage(&self, known: &[ModelSpec]) -> Result<Coverage> {
        let usual = self.usual_model();
        let unknown = Coverage { model: usual.to_owned(), embedded: 0, lacking: 0 };
        // Those that are a part of songrec are listed from the best on.
        let built_in = songrec_models::built_in_models().iter().map(|spec| &spec.name);
        let is_known = |name: &&ModelName| known.iter().any(|spec| spec.name == **name);
        let others: Vec<&ModelName> = built_in
            .filter(is_known)
            .chain(known.iter().map(|spec| &spec.name))
            // Features that were given with patterns are of no song.
            .filter(|name| name.as_str() != usual && !crate::given::is_given(name))
            .collect();
        let Some(other) = others.first().filter(|_| !self.is_model_chosen()) else {
            return Ok(unknown);
        };
        let is_built_in = |name: &ModelName| {
            songrec_models::built_in_models().iter().any(|spec| spec.name == *name)
        };
        let is_usual_known = known.iter().any(|spec| spec.name.as_str() == usual);
        let model = if is_usual_known { usual } else { other.as_str() };
        let uncounted = Coverage { model: model.to_owned(), ..unknown };
        // How many it embedded far away would cost a look at all songs.
        let Some(local) = &self.local else { return Ok(uncounted) };
        let whole = || self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if is_usual_known && whole().is_some_and(|since| since.elapsed() < STAYS_WHOLE) {
            return Ok(uncounted);
        }
        let states = local.index_states().await?;
        let of_songs = || states.iter().filter(|state| !state.of_segments);
        if of_songs().any(|state| state.state == ListsState::Lost) {
            // It is made again by the first search, and counted by the next.
            return Ok(uncounted);
        }
        let rows = |name: &str| -> usize {
            of_songs().filter(|state| state.model.as_str() == name).map(|state| state.rows).sum()
        };
        // Of a model whose vectors were all removed the library still knows the name.
        let other = others.iter().find(|name| rows(name.as_str()) > 0).unwrap_or(other);
        let (embedded, by_other): (usize, usize) = (rows(usual), rows(other.as_str()));
        let is_few = !is_usual_known || 2 * embedded < by_other;
        *whole() = (embedded >= by_other).then(Instant::now);
        Ok(Coverage {
            model: if is_few { other.as_str() } else { usual }.to_owned(),
            embedded,
            // A model that somebody brought may well be the better one.
            lacking: if is_built_in(other) { by_other.saturating_sub(embedded) } else { 0 },
        })
    }

    /// The model that searches compare by if the library has embeddings of it.
    pub(crate) fn usual_model(&self) -> &str {
        self.config.get(keys::SEARCH_MODEL)
    }

    /// Whether a person chose the model that searches compare by.
    pub(crate) fn is_model_chosen(&self) -> bool {
        self.config.origin(keys::SEARCH_MODEL).is_some_and(|origin| *origin != Origin::Default)
    }

    /// The songs with these ids, and of each that cannot be read, what kind of
    /// trouble it is: one bad song must not keep work from all others.
    pub(crate) async fn each_song(
        &self,
        ids: &[SongId],
    ) -> Result<Vec<std::result::Result<Option<Song>, StorageTrouble>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let is_of_one = |error: &songrec_storage::Error| {
            matches!(error.kind(), StorageTrouble::Corrupt | StorageTrouble::Incompatible)
        };
        match self.backend.songs().get(ids).await {
            Err(error) if is_of_one(&error) => {}
            songs => return Ok(songs?.into_iter().map(Ok).collect()),
        }
        let mut songs = Vec::with_capacity(ids.len());
        for id in ids {
            songs.push(match self.backend.get_song(*id).await {
                Err(error) if is_of_one(&error) => Err(error.kind()),
                song => Ok(song?),
            });
        }
        Ok(songs)
    }

    /// Where this machine keeps what it alone knows of this library.
    pub(crate) fn state_folder(&self) -> PathBuf {
        self.config.directories().state.join("libraries").join(&self.id)
    }

    /// How a song names the file at an absolute path.
    pub(crate) fn stored_path(&self, path: &Path) -> String {
        let relative = self.root.as_deref().and_then(|root| path.strip_prefix(root).ok());
        match relative {
            Some(relative) => encode_path(&slashes(relative)),
            None => encode_path(path),
        }
    }

    /// The file that a song names.
    pub fn file_path(&self, stored: &str) -> PathBuf {
        let path = decode_path(stored);
        match &self.root {
            Some(root) => root.join(path),
            None => path,
        }
    }
}

// `/` between the parts on every platform, so that a library can be carried
// from one to another.
fn slashes(path: &Path) -> PathBuf {
    if std::path::MAIN_SEPARATOR == '/' {
        return path.to_owned();
    }
    let parts: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    PathBuf::from(parts.join("/"))
}

/// Now, to the millisecond: what documents can hold on every backend.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// A short name for a song in messages.
pub(crate) fn named(id: SongId) -> String {
    format!("song `{}`", id.short())
}
