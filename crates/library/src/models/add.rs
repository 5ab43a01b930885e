//! Adding, checking and removing models in folders.

#[cfg(feature = "bridge")]
mod download;

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use songrec_core::{Hint, Job, Progress, Remedy};
use songrec_models::{Description, ModelFolder, known_models};

use super::{KnownModel, ModelPlace, Models, in_folder};
use crate::{
    Error, ErrorKind, OnnxTable, Result,
    work::{blocking, until_interrupted},
};

/// What a model says of itself.
const DESCRIPTION: &str = "model.toml";

/// How the folder of a download begins. The dot hides it from the models.
#[cfg(feature = "bridge")]
const DOWNLOADING: &str = ".downloading-";
/// How folders begin in which models are brought here, put together and taken
/// apart.
const UNFINISHED: [&str; 3] = [".downloading-", ".adding-", ".removing-"];
/// What is older was left behind by a process that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);

/// What became of adding a model.
#[derive(Clone, Debug, Serialize)]
pub struct AddedModel {
    /// The model.
    #[serde(flatten)]
    pub model: KnownModel,
    /// Whether it was there already, with the same files.
    pub was_there: bool,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Models {
    /// Names of models whose files songrec knows how to use.
    pub fn addable() -> Vec<&'static str> {
        known_models().iter().map(|known| known.name).collect()
    }

    /// Adds a model from a folder of this machine, or from an address at which
    /// its files lie. What it is, its `model.toml` says, or songrec itself for
    /// [some](Self::addable).
    ///
    /// Only an address that is given is ever asked. The files are checked
    /// before the model is there, and copied: `from` stays as it is.
    ///
    /// # Errors
    ///
    /// When a file is missing or not the one that is described; then nothing
    /// was added.
    pub async fn add(&self, name: &str, from: &str, job: &Job) -> Result<AddedModel> {
        remove_left_behind(self.folder());
        if let Some(rest) = ["http://", "https://"].iter().find_map(|it| from.strip_prefix(it)) {
            if rest.trim_matches('/').is_empty() {
                return Err(Error::usage(format_args!("`{from}` is no address"))
                    .with_hint("an address is such as `https://example.org/models/clap`"));
            }
            return tokio::select! {
                added = self.add_address(name, from, &*job.progress) => added,
                () = until_interrupted(&job.interrupt) => Err(Error::new(
                    ErrorKind::Interrupted,
                    "interrupted; nothing was added",
                )),
            };
        }
        let folder = Path::new(from);
        if !folder.is_dir() {
            return Err(Error::not_found(format_args!("there is no folder `{from}`")).with_hint(
                "name the folder with the model's files, or an address that begins with `https://`",
            ));
        }
        let description = described_by(name, folder, from)?;
        self.add_folder(description, folder).await
    }

    #[cfg(feature = "bridge")]
    async fn add_address(
        &self,
        name: &str,
        from: &str,
        progress: &dyn Progress,
    ) -> Result<AddedModel> {
        use self::download::Downloaded;

        match self.download(name, from, progress).await? {
            Downloaded::IsHere(description) => Ok(AddedModel {
                model: in_folder(&self.folder, description, OnnxTable::default()),
                was_there: true,
                notes: Vec::new(),
            }),
            Downloaded::Files(files) => {
                let added = self.add_folder(files.description.clone(), files.folder()).await;
                let added = added.map_err(|error| files.reword(error))?;
                Ok(AddedModel { notes: [files.notes, added.notes].concat(), ..added })
            }
        }
    }

    #[cfg(not(feature = "bridge"))]
    async fn add_address(&self, _: &str, from: &str, _: &dyn Progress) -> Result<AddedModel> {
        Err(Error::usage(format_args!("`{from}` cannot be asked"))
            .because("this songrec was built without the feature `bridge`")
            .with_hint("get the files with another program, and name their folder"))
    }

    async fn add_folder(&self, description: Description, files: &Path) -> Result<AddedModel> {
        let options = self.open_options(&self.table_of(&description.name));
        let (folder, files) = (self.folder.clone(), files.to_owned());
        let adding = move || folder.add(description, &files, &options);
        let added = blocking(adding).await??;
        Ok(AddedModel {
            model: in_folder(&self.folder, added.description, OnnxTable::default()),
            was_there: added.was_there,
            notes: added.notes,
        })
    }

    /// Checks every file of a model against its digest, and lets it embed a
    /// probe.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub async fn verify(&self, model: &KnownModel) -> Result<()> {
        let ModelPlace::Onnx(place) = &model.place else { return Ok(()) };
        let options = self.open_options(&place.table);
        let root = place.folder.parent().unwrap_or(&place.folder).to_owned();
        let name = model.spec.name.clone();
        let verifying = move || ModelFolder::new(root).verify(name.as_str(), &options);
        blocking(verifying).await??;
        Ok(())
    }

    /// Removes a model that was added. What it embedded stays in libraries.
    ///
    /// # Errors
    ///
    /// When it is no such model.
    pub fn remove(&self, model: &KnownModel) -> Result<()> {
        let name = &model.spec.name;
        match &model.place {
            ModelPlace::Onnx(place) if place.folder.parent() == Some(self.folder()) => {
                Ok(self.folder.remove(name)?)
            }
            ModelPlace::Onnx(place) => {
                Err(Error::usage(format_args!("`{name}` was not added by songrec"))
                    .with_hint(format_args!("remove `{}` yourself", place.folder.display())))
            }
            ModelPlace::BuiltIn => Err(Error::usage(format_args!("`{name}` is a part of songrec"))
                .with_hint("`scan.models` says which models embed every song")),
            ModelPlace::Http(_) => Err(Error::usage(format_args!("`{name}` is on a server"))
                .with_hint(format_args!(
                    "remove `[models.{}]` from the configuration",
                    name.name()
                ))),
        }
    }
}

// What describes the files in `folder`, which came from `from`: their own
// `model.toml`, if it is of that name, or what songrec knows of the name.
fn described_by(name: &str, folder: &Path, from: &str) -> Result<Description> {
    let has_own = folder.join(DESCRIPTION).is_file();
    let known = (!has_own).then_some(name);
    if !has_own && !Models::addable().contains(&name) {
        let place = format!("{}/{DESCRIPTION}", from.trim_end_matches('/'));
        return Err(Error::not_found(format_args!("there is no `{place}`"))
            .because(format!("songrec itself does not know the model `{name}`"))
            .with_hint(format_args!(
                "put a `{DESCRIPTION}` beside its files, or name one of {}",
                Models::addable().join(", ")
            )));
    }
    let description = ModelFolder::description_for(known, folder)?;
    let own = &description.name;
    if own.as_str() != name && own.name() != name {
        return Err(Error::usage(format_args!("the files are those of `{own}`, not of `{name}`"))
            .with_hint(Hint::of(
                "{} adds them",
                [Remedy::AddModel(Some((own.name().to_owned(), from.to_string())))],
            )));
    }
    Ok(description)
}

// Removes what processes that were killed left behind. What cannot be removed
// harms nobody.
fn remove_left_behind(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    let is_old = |path: &PathBuf| {
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|then| SystemTime::now().duration_since(then).ok());
        age.is_some_and(|age| age > LEFT_BEHIND)
    };
    let is_unfinished = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        UNFINISHED.iter().any(|begins| name.to_string_lossy().starts_with(begins))
    };
    entries
        .flatten()
        .filter(is_unfinished)
        .map(|entry| entry.path())
        .filter(is_old)
        .for_each(|path| _ = std::fs::remove_dir_all(path));
}
