//! The models on this machine: a folder of folders.

mod add;
mod fit;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use songrec_core::ModelName;

pub use self::add::Added;
use crate::{
    description::Description,
    digest::check_digest,
    engine::OpenOptions,
    error::{ModelError, ModelErrorKind},
    known::known_models,
    onnx_model::OnnxModel,
};

/// The description in each model's folder.
const DESCRIPTION: &str = "model.toml";

/// The models on this machine: in `root`, one folder for each, named
/// `name@revision`, with a `model.toml` and the files that it names.
///
/// A model is there as a whole or not at all: it is put together in a folder of
/// its own, whose name begins with a dot, and then renamed. Nothing is ever
/// downloaded.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    root: PathBuf,
}

impl ModelFolder {
    /// The models in `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one model.
    pub fn folder_of(&self, name: &ModelName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// All models by name, and what is wrong with those that cannot be used.
    ///
    /// # Errors
    ///
    /// When the folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Description, ModelError>>, ModelError> {
        let mut names: Vec<ModelName> = match fs::read_dir(&self.root) {
            Ok(entries) => entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(disk("*", &self.root, "its models could not be listed", error));
            }
        };
        names.sort();
        Ok(names.iter().map(|name| self.describe(name)).collect())
    }

    /// The model called `name`: in full, such as `clap@3f9a62c1`, or without
    /// the revision where there is only one.
    ///
    /// # Errors
    ///
    /// `NotFound`; also when there are several, which are then named.
    pub fn find(&self, name: &str) -> Result<Description, ModelError> {
        if let Ok(full) = name.parse::<ModelName>() {
            return self.describe(&full);
        }
        let mut found: Vec<Result<Description, ModelError>> = Vec::new();
        let mut names = Vec::new();
        for model in self.list()? {
            let full = match &model {
                Ok(description) => description.name.to_string(),
                Err(error) => error.model().to_owned(),
            };
            if full.split_once('@').is_some_and(|(short, _)| short == name) {
                names.push(format!("`{full}`"));
                found.push(model);
            }
        }
        match found.len() {
            0 => Err(missing(name)),
            1 => found.remove(0),
            _ => Err(ModelError::new(
                name,
                ModelErrorKind::NotFound,
                format!("there are several of that name: {}", names.join(", ")),
            )
            .with_hint("name one of them with its revision")),
        }
    }

    /// What the model's own `model.toml` says.
    fn describe(&self, name: &ModelName) -> Result<Description, ModelError> {
        let path = self.folder_of(name).join(DESCRIPTION);
        let description = read_description(name.as_str(), &path)?;
        if description.name != *name {
            return Err(ModelError::new(
                name,
                ModelErrorKind::Mismatch,
                format!("it describes `{}`", description.name),
            )
            .in_file(&path)
            .with_hint(
                "rename the folder to the model's name, or remove it and add the model again",
            ));
        }
        if let Some((file, _)) = description.files().iter().find(|(_, digest)| digest.is_none()) {
            return Err(ModelError::new(
                name,
                ModelErrorKind::Invalid,
                format!("there is no `sha256` for `{file}`"),
            )
            .in_file(&path)
            .with_hint("put models here with `songrec model add`, which writes the digests"));
        }
        Ok(description)
    }

    /// Opens the model called `name`, as [`find`](Self::find) finds it.
    ///
    /// # Errors
    ///
    /// When it is not there, its files are not those that were added, or the
    /// engine cannot run it.
    pub fn open(&self, name: &str, options: &OpenOptions) -> Result<OnnxModel, ModelError> {
        let description = self.find(name)?;
        let folder = self.folder_of(&description.name);
        OnnxModel::open(description, &folder, options)
    }

    /// Checks every file of a model against its digest, and lets it embed and
    /// read a probe.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn verify(&self, name: &str, options: &OpenOptions) -> Result<Description, ModelError> {
        let description = self.find(name)?;
        let folder = self.folder_of(&description.name);
        for (file, digest) in description.files() {
            check_digest(description.name.as_str(), &folder.join(file), digest)?;
        }
        OnnxModel::open(description.clone(), &folder, options)?.probe()?;
        Ok(description)
    }

    /// Removes a model; its embeddings in libraries stay.
    ///
    /// # Errors
    ///
    /// `NotFound`, and when the disk fails.
    pub fn remove(&self, name: &ModelName) -> Result<(), ModelError> {
        let folder = self.folder_of(name);
        // Renamed first, so that nobody finds half a model.
        let away = self.fresh_folder_name("removing");
        match fs::rename(&folder, &away) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(name.as_str()));
            }
            Err(error) => return Err(disk(name, &folder, "it could not be removed", error)),
        }
        fs::remove_dir_all(&away)
            .map_err(|error| disk(name, &away, "it could not be removed as a whole", error))
    }

    /// What describes the files in `files`: the built-in description called
    /// `known`, or, without a name, the `model.toml` that lies with them.
    ///
    /// # Errors
    ///
    /// When there is no such description, or it makes no sense.
    pub fn description_for(known: Option<&str>, files: &Path) -> Result<Description, ModelError> {
        let Some(name) = known else {
            return read_description("model.toml", &files.join(DESCRIPTION));
        };
        if let Some(known) = known_models().iter().find(|known| known.name == name) {
            return Ok(known.description.clone());
        }
        let names: Vec<&str> = known_models().iter().map(|known| known.name).collect();
        Err(ModelError::new(name, ModelErrorKind::NotFound, "no model of that name is known")
            .with_hint(format!(
                "known are {}; for any other, write a `model.toml` beside its files and leave out \
                 the name",
                names.join(", ")
            )))
    }

    fn fresh_folder_name(&self, what: &str) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = self.root.join(format!(".{what}-{}-{count}", std::process::id()));
            if !path.exists() {
                return path;
            }
        }
    }
}

fn read_description(model: &str, path: &Path) -> Result<Description, ModelError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let error = if model == DESCRIPTION {
                ModelError::new(model, ModelErrorKind::NotFound, "there is no description")
                    .with_hint("name a known model, such as `clap`, or write a `model.toml`")
            } else {
                missing(model)
            };
            return Err(error.in_file(path));
        }
        Err(error) => return Err(disk(model, path, "it could not be read", error)),
    };
    Description::from_toml(&text).map_err(|error| {
        ModelError::new(model, ModelErrorKind::Invalid, "it is no description of a model")
            .in_file(path)
            .because(error)
            .with_hint("correct it, or remove the model and add it again")
    })
}

fn missing(model: &str) -> ModelError {
    ModelError::new(model, ModelErrorKind::NotFound, "there is no such model here")
        .with_hint("see `songrec model list`, and add one with `songrec model add`")
}

fn disk(model: impl std::fmt::Display, path: &Path, reason: &str, error: io::Error) -> ModelError {
    ModelError::new(model, ModelErrorKind::Io, reason)
        .in_file(path)
        .because(error)
        .with_hint("check the disk and the permissions; then try again")
}
