//! The factory: which library is meant, and how it is opened.
//!
//! It opens the backends that the rest knows by the contract alone.

#[cfg(feature = "astra")]
mod astra;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use songrec_core::{Hint, Progress, Remedy, decode_path};
use songrec_local::{IndexKind, LocalBackend, LocalOptions};

use crate::{
    Config, Error, ErrorKind, Library, Result, keys, local_root,
    paths::absolute,
    spare::{keep_spare_folders_small, spare_root},
    work::blocking,
};

#[cfg(feature = "astra")]
const KINDS: &str = "`local`, `astra`";
#[cfg(not(feature = "astra"))]
const KINDS: &str = "`local`";

/// What a new local library is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct InitOptions {
    /// Keep a copy of every audio file in the library.
    pub keep_copies: bool,
}

/// How what is far away is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through copies on this machine, for looking at songs.
    Cached,
    /// The same for a command that only reads: who does not begin to answer
    /// within some seconds is not waited for, and not asked again for a minute.
    Reading,
    /// Directly, for copying a whole library: every answer is the library's
    /// own, and the copies of what this user listens to are left in peace.
    Direct,
}

// Where a library is.
enum Place {
    Local(PathBuf),
    #[cfg(feature = "astra")]
    Astra(Option<crate::NamedLibrary>),
}

impl Place {
    fn of(config: &Config, name: &str) -> Result<Self> {
        if let Some(named) = config.library(name) {
            return match (named.kind.as_str(), &named.path) {
                ("local", Some(path)) => Ok(Self::Local(path.clone())),
                #[cfg(feature = "astra")]
                ("astra", _) => Ok(Self::Astra(Some(named.clone()))),
                (kind, _) => Err(unknown_kind(kind)),
            };
        }
        match name {
            #[cfg(feature = "astra")]
            "astra" => Ok(Self::Astra(None)),
            "local" => Ok(Self::Local(local_root(config))),
            folder if folder.contains(std::path::is_separator) || folder.starts_with('.') => {
                Ok(Self::Local(decode_path(folder)))
            }
            other => Err(Error::usage(format_args!("there is no library `{other}`"))
                .because(format!("`{other}` is neither {KINDS} nor a name in `[libraries]`"))
                .with_hint(format_args!(
                    "add `[libraries.{other}]` with `kind` and `path` to the configuration, or \
                     write a folder with a slash: `./{other}`"
                ))),
        }
    }
}

// Whether nothing is in a folder, or only what making a library left there that
// was cut off.
fn is_free(folder: &Path) -> Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none() || LocalBackend::is_begun(folder)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io("read", folder, error)),
    }
}

impl Library {
    /// Opens the library that the settings mean.
    ///
    /// # Errors
    ///
    /// `NoLibrary` if there is none yet.
    pub async fn open(config: Arc<Config>, progress: Arc<dyn Progress>) -> Result<Self> {
        let name = config.get(keys::STORAGE_BACKEND).to_owned();
        Self::open_named(config, &name, Access::Cached, progress).await
    }

    /// Opens a library by its name: `local`, `astra`, one from `[libraries]`,
    /// or the folder of a local one.
    ///
    /// # Errors
    ///
    /// `Usage` if nothing has that name; `NoLibrary` if there is none yet.
    pub async fn open_named(
        config: Arc<Config>,
        name: &str,
        access: Access,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        match Place::of(&config, name)? {
            Place::Local(root) => {
                // A folder is never far away.
                let _ = access;
                Self::open_local(config, &root, progress).await
            }
            #[cfg(feature = "astra")]
            Place::Astra(named) => Self::open_astra(config, named.as_ref(), access).await,
        }
    }

    /// Opens the library that the settings mean, for a command that only reads.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `Temporary` after some seconds if what is far
    /// away does not begin to answer.
    pub async fn open_to_read(config: Arc<Config>, progress: Arc<dyn Progress>) -> Result<Self> {
        let name = config.get(keys::STORAGE_BACKEND).to_owned();
        Self::open_named(config, &name, Access::Reading, progress).await
    }

    /// Whether the library that the settings mean is far away.
    pub fn is_far(config: &Config) -> bool {
        let name = config.get(keys::STORAGE_BACKEND);
        !matches!(Place::of(config, name), Ok(Place::Local(_)) | Err(_))
    }

    /// How long ago the library that the settings mean did not begin to answer
    /// a command that only read, if that was within the last minute.
    pub fn silent_for(config: &Config) -> Option<Duration> {
        match Place::of(config, config.get(keys::STORAGE_BACKEND)) {
            #[cfg(feature = "astra")]
            Ok(Place::Astra(named)) => astra::silent_for(config, named.as_ref()),
            _ => None,
        }
    }

    /// Opens a library by its name to copy songs into it: a local one is made
    /// if its folder is not there or empty. Says whether it is new.
    ///
    /// # Errors
    ///
    /// As [`open_named`](Self::open_named); `NoLibrary` for a folder that holds
    /// other things.
    pub async fn open_or_make(
        config: Arc<Config>,
        name: &str,
        options: InitOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<(Self, bool)> {
        if let Place::Local(root) = Place::of(&config, name)?
            && is_free(&root)?
        {
            return Self::init(config, &root, options, progress).await;
        }
        Ok((Self::open_named(config, name, Access::Direct, progress).await?, false))
    }

    /// Whether [`open_or_make`](Self::open_or_make) would make the library.
    ///
    /// # Errors
    ///
    /// As there, for a name that means nothing.
    pub fn would_be_made(config: &Config, name: &str) -> Result<bool> {
        match Place::of(config, name)? {
            Place::Local(root) => is_free(&root),
            #[cfg(feature = "astra")]
            Place::Astra(_) => Ok(false),
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
            .with_hint(Hint::of(
                "{} makes one; {} names another folder",
                [Remedy::Init, Remedy::NameLibrary],
            )));
        }
        let root = absolute(root);
        let options = LocalOptions { index: index(&config), ..LocalOptions::default() };
        let spare = spare_root(&config);
        let backend = LocalBackend::open_with_spare(&root, options, &spare, &*progress).await?;
        // Only who may not write to a library adds to that.
        let writes = backend.may_write().is_ok();
        if !writes {
            let limit = config.get(keys::CACHE_LIMIT);
            blocking(move || keep_spare_folders_small(&spare, limit)).await?;
        }
        let library = Self::over_local(backend, config, root);
        if writes {
            library.finish_adding().await;
        }
        Ok(library)
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
        let options = LocalOptions { keeps_copies: options.keep_copies, index: index(&config) };
        let backend = LocalBackend::create(&root, options).await?;
        Ok((Self::over_local(backend, config, root), true))
    }

    // What a process left that ended while it added songs. An open that cannot undo
    // it leaves it to the next one.
    async fn finish_adding(&self) {
        match crate::take_back_unfinished(self).await {
            Ok(0) => {}
            Ok(songs) => tracing::warn!(
                "{songs} songs were deleted again: the process that added them ended before all \
                 were there"
            ),
            Err(error) => tracing::warn!(
                "songs that a process had begun to add are still there: {}",
                error.in_one_line()
            ),
        }
    }

    fn over_local(backend: LocalBackend, config: Arc<Config>, root: PathBuf) -> Self {
        let id = backend.id().to_string();
        let local = Some(backend.clone());
        Self { local, ..Self::new(Arc::new(backend), config, id, Some(root)) }
    }
}

fn index(config: &Config) -> IndexKind {
    match config.get(keys::SEARCH_INDEX) {
        "flat" => IndexKind::Flat,
        "ivf" => IndexKind::Ivf,
        _ => IndexKind::Auto,
    }
}

fn unknown_kind(kind: &str) -> Error {
    Error::usage(format_args!("`{kind}` is not a kind of library"))
        .with_hint(format_args!("the kinds are {KINDS}"))
}

#[cfg(feature = "astra")]
pub(crate) use astra::{astra_table, connect_in_haste, trust};
