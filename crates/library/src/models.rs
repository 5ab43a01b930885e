//! The models that can embed on this machine: built in, in folders, on servers.

mod add;
mod bench;
mod place;
#[cfg(feature = "bridge")]
mod server;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use songrec_audio::Opening;
use songrec_core::{Hint, ModelName, ModelSpec, Piece, Remedy, Vector};
use songrec_models::{
    Batcher, Device, Embedder, ModelError, ModelErrorKind, ModelFolder, OpenOptions, RuntimeSearch,
    Wanted, built_in_models,
};

use self::place::{configured_engine, elsewhere, in_folder, on_server};
pub use self::{
    add::AddedModel,
    bench::{ModelBench, bench_model},
    place::{HttpModelPlace, KnownModel, ModelFile, ModelPlace, OnnxModelPlace},
};
use crate::{
    Config, Error, ErrorKind, ModelTable, OnnxTable, Result, decoding::Decoding, keys,
    work::blocking,
};

/// Finds models, and keeps those that were opened: loading one takes seconds.
#[derive(Debug)]
pub struct Models {
    config: Arc<Config>,
    folder: ModelFolder,
    open: Mutex<BTreeMap<ModelName, Arc<Batcher>>>,
    decoding: Decoding,
    #[cfg(feature = "bridge")]
    clients: Mutex<BTreeMap<String, Arc<songrec_models::remote::Client>>>,
}

/// The models that embed songs, ready to work: all of them from one decode.
#[derive(Clone, Debug)]
pub struct Embedders {
    specs: Vec<ModelSpec>,
    batchers: Vec<Arc<Batcher>>,
    opening: Opening,
}

impl Embedders {
    /// The models, in the order in which they were asked for.
    pub fn specs(&self) -> &[ModelSpec] {
        &self.specs
    }

    /// Those of them that are learned, at work.
    pub fn batchers(&self) -> &[Arc<Batcher>] {
        &self.batchers
    }

    /// How they open files.
    pub(crate) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// What has to be found out about a file for these models.
    pub fn wanted(&self) -> Wanted {
        let models = self.specs.iter().map(|spec| spec.name.clone()).collect();
        Wanted {
            sound: songrec_audio::Wanted {
                models,
                ffmpeg: self.opening.ffmpeg.clone(),
                ..songrec_audio::Wanted::default()
            },
            batchers: self.batchers.clone(),
            windows: false,
        }
    }
}

impl Models {
    /// The models that this configuration knows of. Opens nothing yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            folder: ModelFolder::new(&config.directories().models),
            decoding: Decoding::new(config.clone()),
            config,
            open: Mutex::default(),
            #[cfg(feature = "bridge")]
            clients: Mutex::default(),
        }
    }

    /// Who reads audio files on this machine.
    pub(crate) fn decoding(&self) -> &Decoding {
        &self.decoding
    }

    /// The folder of the models that were added.
    pub fn folder(&self) -> &Path {
        self.folder.root()
    }

    /// Every model that can embed here: the built-in ones, those that were
    /// added, those on servers; with what is wrong with those that cannot.
    pub fn list(&self) -> Vec<Result<KnownModel>> {
        let mut models: Vec<Result<KnownModel>> = built_in_models()
            .iter()
            .map(|spec| {
                let place = ModelPlace::BuiltIn;
                Ok(KnownModel { spec: spec.clone(), reads_text: false, place })
            })
            .collect();
        match self.folder.list() {
            Ok(added) => models.extend(added.into_iter().map(|model| -> Result<KnownModel> {
                let description = model?;
                let table = self.table_of(&description.name);
                Ok(in_folder(&self.folder, description, table))
            })),
            Err(error) => models.push(Err(error.into())),
        }
        for (key, table) in self.config.models() {
            match table {
                ModelTable::Http(table) => models.push(on_server(key, table)),
                ModelTable::Onnx(table) => {
                    let Some(folder) = &table.folder else { continue };
                    models.push(elsewhere(key, folder, table));
                }
            }
        }
        models
    }

    /// The model that `name` means: a whole name, or the part before `@` where
    /// there is one revision of it, or all are a part of songrec: then the newest.
    ///
    /// # Errors
    ///
    /// `Usage` if there is none or several, with what there is instead; what
    /// is wrong with a model of that name, if something is.
    pub fn find(&self, name: &str) -> Result<KnownModel> {
        let mut known = Vec::new();
        let mut broken = None;
        for model in self.list() {
            match model {
                Ok(model) => known.push(model),
                Err(error) if error.to_string().contains(&format!("`{name}")) => {
                    broken = Some(error);
                }
                Err(_) => {}
            }
        }
        let is_named = |model: &&KnownModel| {
            model.spec.name.as_str() == name || model.spec.name.name() == name
        };
        let named: Vec<&KnownModel> = known.iter().filter(is_named).collect();
        match (named.as_slice(), broken) {
            ([model], _) => Ok((*model).clone()),
            ([], Some(error)) => Err(error),
            ([], None) => Err(unknown(name, &known)),
            // They are listed from the newest on.
            ([newest, others @ ..], _)
                if others
                    .iter()
                    .chain([newest])
                    .all(|model| matches!(model.place, ModelPlace::BuiltIn)) =>
            {
                Ok((*newest).clone())
            }
            (several, _) => {
                let names: Vec<&str> =
                    several.iter().map(|model| model.spec.name.as_str()).collect();
                Err(Error::usage(format_args!("`{name}` names several models"))
                    .because(format!("they are {}", names.join(", ")))
                    .with_hint("name one with its revision; their vectors cannot be compared"))
            }
        }
    }

    /// The models with these names, ready to work.
    ///
    /// # Errors
    ///
    /// When there is no such model, or it cannot be opened; when the settings ask for
    /// an ffmpeg that is not there.
    pub async fn embedders(self: &Arc<Self>, names: &[String]) -> Result<Embedders> {
        let opening = self.decoding.opening()?;
        let mut embedders = Embedders { specs: Vec::new(), batchers: Vec::new(), opening };
        for name in names {
            let model = self.find(name)?;
            if embedders.specs.contains(&model.spec) {
                continue;
            }
            embedders.specs.push(model.spec.clone());
            if !matches!(model.place, ModelPlace::BuiltIn) {
                embedders.batchers.push(self.batcher(&model).await?);
            }
        }
        Ok(embedders)
    }

    /// A learned model, at work; opened if it is not yet.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub async fn batcher(self: &Arc<Self>, model: &KnownModel) -> Result<Arc<Batcher>> {
        let name = &model.spec.name;
        if let Some(open) = lock(&self.open).get(name) {
            return Ok(open.clone());
        }
        let (models, opening) = (self.clone(), model.clone());
        // Loading and optimizing a graph takes seconds.
        let embedder = blocking(move || models.open(&opening)).await??;
        let batcher = Arc::new(Batcher::new(embedder));
        // Of two that opened it at the same time, the first one stays.
        Ok(lock(&self.open).entry(name.clone()).or_insert(batcher).clone())
    }

    /// What a model makes of words, to be compared with what it embedded.
    ///
    /// # Errors
    ///
    /// When it is not here, or cannot read.
    pub async fn read(self: &Arc<Self>, name: &ModelName, words: &str) -> Result<Vector> {
        let model = self.find(name.as_str())?;
        if !model.reads_text {
            return Err(Error::usage(format_args!("`{name}` cannot read words")).with_hint(
                Hint::of(
                    "{} says which models can; {} names another one",
                    [Remedy::Models, Remedy::Model(None)],
                ),
            ));
        }
        let batcher = self.batcher(&model).await?;
        let words = words.to_owned();
        let reading = move || batcher.embedder().embed_text(&[&words]);
        let mut vectors = blocking(reading).await??;
        vectors.pop().ok_or_else(|| {
            Error::new(ErrorKind::Failed, format_args!("`{name}` made nothing of the words"))
        })
    }

    /// Where ONNX Runtime is looked for.
    pub(crate) fn runtime_search(&self) -> RuntimeSearch {
        let configured = self.config.models().find_map(|(_, table)| match table {
            ModelTable::Onnx(table) => table.library.clone(),
            ModelTable::Http(_) => None,
        });
        RuntimeSearch::of_this_machine(configured)
    }

    /// The same for one model, which may say it itself.
    pub(crate) fn search_for(&self, model: &KnownModel) -> RuntimeSearch {
        match &model.place {
            ModelPlace::Onnx(place) => self.open_options(&place.table).search,
            ModelPlace::BuiltIn | ModelPlace::Http(_) => self.runtime_search(),
        }
    }

    /// How a model in a folder is opened.
    pub(crate) fn open_options(&self, table: &OnnxTable) -> OpenOptions {
        let device = match table.device.as_deref() {
            Some("cuda") => Device::Cuda,
            Some("coreml") => Device::CoreMl,
            _ => Device::Cpu,
        };
        let threads = Some(self.config.get(keys::THREADS)).filter(|threads| *threads > 0);
        OpenOptions {
            engine: configured_engine(table),
            device,
            threads: table.threads.or(threads),
            search: RuntimeSearch::of_this_machine(table.library.clone()),
        }
    }

    fn open(&self, model: &KnownModel) -> Result<Arc<dyn Embedder>> {
        match &model.place {
            ModelPlace::BuiltIn => {
                Err(Error::usage(format_args!("`{}` is a part of songrec", model.spec.name))
                    .with_hint("it needs no opening, and embeds every song that is scanned"))
            }
            ModelPlace::Onnx(_) if cfg!(not(any(feature = "rten", feature = "ort"))) => {
                Err(Error::usage(format_args!("`{}` cannot embed here", model.spec.name))
                    .because("this songrec was built without the features `rten` and `ort`")
                    .with_hint("take a songrec with one of them, or a model on a server"))
            }
            ModelPlace::Onnx(place) => {
                let root = place.folder.parent().unwrap_or(&place.folder);
                let options = self.open_options(&place.table);
                Ok(Arc::new(ModelFolder::new(root).open(model.spec.name.as_str(), &options)?))
            }
            #[cfg(feature = "bridge")]
            ModelPlace::Http(place) => server::open(place, self.client(place)?),
            #[cfg(not(feature = "bridge"))]
            ModelPlace::Http(place) => Err(Error::usage(format_args!(
                "`{}` cannot embed here: it is on a server",
                place.key
            ))
            .because("this songrec was built without the feature `bridge`")
            .with_hint("take a songrec with it")),
        }
    }

    // How the configuration wants an added model to be computed: said of its
    // whole name, or of the part before `@`.
    fn table_of(&self, name: &ModelName) -> OnnxTable {
        let tables: Vec<(&str, &OnnxTable)> = self
            .config
            .models()
            .filter_map(|(key, table)| match table {
                ModelTable::Onnx(table) if table.folder.is_none() => Some((key, table)),
                ModelTable::Onnx(_) | ModelTable::Http(_) => None,
            })
            .collect();
        let said_of = |wanted: &str| tables.iter().find(|(key, _)| *key == wanted);
        let table = said_of(name.as_str()).or_else(|| said_of(name.name()));
        table.map(|(_, table)| (*table).clone()).unwrap_or_default()
    }
}

#[cfg(feature = "bridge")]
impl Models {
    /// Whether the server of a model is well; nothing for a model of this
    /// machine.
    ///
    /// # Errors
    ///
    /// When it is not well.
    pub async fn server_health(
        &self,
        model: &KnownModel,
    ) -> Result<Option<songrec_models::remote::Health>> {
        let ModelPlace::Http(place) = &model.place else { return Ok(None) };
        let client = self.client(place)?;
        server::health(place, &client).await.map(Some)
    }

    /// What was asked of the server of a model, and how it went.
    pub fn server_figures(&self, model: &KnownModel) -> Option<songrec_models::remote::Figures> {
        let ModelPlace::Http(place) = &model.place else { return None };
        lock(&self.clients).get(&place.key).map(|client| client.figures())
    }

    // One client for each model: its breaker has to see everything.
    fn client(&self, place: &HttpModelPlace) -> Result<Arc<songrec_models::remote::Client>> {
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(&place.key) {
            return Ok(client.clone());
        }
        let client = Arc::new(server::client(&self.config, place)?);
        clients.insert(place.key.clone(), client.clone());
        Ok(client)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(name: &str, known: &[KnownModel]) -> Error {
    let names: Vec<&str> = known.iter().map(|model| model.spec.name.as_str()).collect();
    let short = name.split('@').next().unwrap_or(name);
    let revisions: Vec<&str> =
        names.iter().copied().filter(|known| known.split('@').next() == Some(short)).collect();
    let error = Error::usage(format_args!("there is no model `{name}` here"));
    if revisions.is_empty() {
        return error.with_hint(Hint::of(
            "the models are {}; {} adds others",
            [Piece::from(names.join(", ")), Remedy::AddModel(None).into()],
        ));
    }
    error.because(format!("there is {} instead", revisions.join(", "))).with_hint(
        "vectors of two revisions cannot be compared: name the one that is here, or add the other",
    )
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        let kind = match error.kind() {
            ModelErrorKind::NotFound => ErrorKind::NotFound,
            ModelErrorKind::Exists
            | ModelErrorKind::Invalid
            | ModelErrorKind::Unsupported
            | ModelErrorKind::NoEngine => ErrorKind::Usage,
            ModelErrorKind::Mismatch => ErrorKind::Corrupt,
            ModelErrorKind::Unavailable => ErrorKind::Temporary,
            _ => ErrorKind::Failed,
        };
        let result = Self::new(kind, &error);
        let result = match error.hint() {
            "" => result,
            hint => result.with_hint(hint),
        };
        match std::error::Error::source(&error) {
            Some(source) => result.because(source.to_string()),
            None => result,
        }
    }
}
