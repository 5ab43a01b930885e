//! The factory: which library is meant, and how it is opened.
//!
//! The only file that names the backends.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use songrec_core::Progress;
use songrec_local::{LocalBackend, LocalOptions};

use crate::{Config, Error, ErrorKind, Library, Result, library::absolute};

/// What a new local library is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct InitOptions {
    /// Keep a copy of every audio file in the library.
    pub keep_copies: bool,
}

impl Library {
    /// Opens the library that the settings mean.
    ///
    /// # Errors
    ///
    /// `NoLibrary` if there is none yet.
    pub async fn open(config: Arc<Config>, progress: Arc<dyn Progress>) -> Result<Self> {
        let name = config.text("storage_backend").unwrap_or("local").to_owned();
        if let Some(named) = config.library(&name) {
            return match (named.kind.as_str(), &named.path) {
                ("local", Some(path)) => Self::open_local(config.clone(), path, progress).await,
                (kind, _) => Err(unknown_kind(kind)),
            };
        }
        match name.as_str() {
            "local" => {
                let root = local_root(&config);
                Self::open_local(config, &root, progress).await
            }
            other => Err(Error::usage(format_args!("there is no library `{other}`"))
                .because(format!("`{other}` is neither `local` nor a name in `[libraries]`"))
                .with_hint(format_args!(
                    "add `[libraries.{other}]` with `kind` and `path` to the configuration"
                ))),
        }
    }

    async fn open_local(
        config: Arc<Config>,
        root: &Path,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        if !LocalBackend::is_library(root) {
            return Err(Error::new(
                ErrorKind::NoLibrary,
                format_args!("there is no library in `{}`", root.display()),
            )
            .with_hint("`songrec init` makes one; `--library` names another folder"));
        }
        let root = absolute(root);
        let backend = LocalBackend::open(&root, &*progress).await?;
        let id = backend.id().to_string();
        Ok(Self::new(Arc::new(backend), config, id, Some(root)))
    }

    /// Makes a new local library in `root`, or opens the one that is there.
    /// Says whether it is new.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub async fn init(
        config: Arc<Config>,
        root: &Path,
        options: InitOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<(Self, bool)> {
        if LocalBackend::is_library(root) {
            return Ok((Self::open_local(config, root, progress).await?, false));
        }
        std::fs::create_dir_all(root).map_err(|error| Error::io("create", root, error))?;
        let root = absolute(root);
        let options = LocalOptions { keeps_copies: options.keep_copies };
        let backend = LocalBackend::create(&root, options).await?;
        let id = backend.id().to_string();
        Ok((Self::new(Arc::new(backend), config, id, Some(root)), true))
    }
}

/// The folder of the local library: the one that is set, else the nearest one
/// at or above the working folder, else the user's own.
pub fn local_root(config: &Config) -> PathBuf {
    if let Some(path) = config.text("library") {
        return PathBuf::from(path);
    }
    let above = std::env::current_dir().ok().and_then(|folder| {
        folder.ancestors().find(|folder| LocalBackend::is_library(folder)).map(Path::to_owned)
    });
    above.unwrap_or_else(|| config.directories().library.clone())
}

fn unknown_kind(kind: &str) -> Error {
    Error::usage(format_args!("`{kind}` is not a kind of library"))
        .with_hint("the kinds are `local`")
}
