//! Two libraries at once: how they are opened, and what is remembered of them.

use std::{path::PathBuf, sync::Arc};

use songrec_core::{Digest, Job, Progress};
use songrec_sync::{Options, Pair, Replica, Side, SyncState, Syncer};

use crate::{Access, Config, Error, InitOptions, Library, Result, keys};

/// Two libraries that are made to agree or compared, by name.
#[derive(Debug)]
pub struct Libraries {
    names: Pair<String>,
    opened: Pair<Library>,
    is_new: bool,
    config: Arc<Config>,
    /// Where the right one is, if it is only there to be planned for.
    pretended: Option<tempfile::TempDir>,
}

impl Libraries {
    /// Opens the libraries called `left` and `right`: if they are not said,
    /// the local one and the [one that it is synced with](remote).
    ///
    /// # Errors
    ///
    /// As [`Library::open_named`]; `Usage` if both are one library.
    pub async fn open(
        config: Arc<Config>,
        left: Option<String>,
        right: Option<String>,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let left = left.unwrap_or_else(|| "local".to_owned());
        let right = right.unwrap_or_else(|| remote(&config));
        let opened = Pair {
            left: open(&config, &left, &progress).await?,
            right: open(&config, &right, &progress).await?,
        };
        Self::of(config, Pair { left, right }, opened)
    }

    /// The same, but a folder where the right one is to be is made a library if
    /// it is not there or empty; [`is_new`](Self::is_new) says so.
    ///
    /// # Errors
    ///
    /// As there, and as [`Library::open_or_make`].
    pub async fn open_or_make(
        config: Arc<Config>,
        left: String,
        right: String,
        options: InitOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let from = open(&config, &left, &progress).await?;
        let (to, is_new) = Library::open_or_make(config.clone(), &right, options, progress).await?;
        let libraries = Self::of(config, Pair { left, right }, Pair { left: from, right: to })?;
        Ok(Self { is_new, ..libraries })
    }

    /// The same, to say what would be done: what would be made is made for the
    /// time being, elsewhere.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn open_or_pretend(
        config: Arc<Config>,
        left: String,
        right: String,
        options: InitOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        if !Library::would_be_made(&config, &right)? {
            return Self::open(config, Some(left), Some(right), progress).await;
        }
        let from = open(&config, &left, &progress).await?;
        let folder = tempfile::tempdir()
            .map_err(|error| Error::io("make a folder in", &std::env::temp_dir(), error))?;
        let (to, is_new) = Library::init(config.clone(), folder.path(), options, progress).await?;
        let libraries = Self::of(config, Pair { left, right }, Pair { left: from, right: to })?;
        Ok(Self { is_new, pretended: Some(folder), ..libraries })
    }

    /// Opens the library called `from` and a new local one in `folder`, which is
    /// to be its clone and is the left one here. The clone remembers from the
    /// beginning whose it is, so whatever cuts the copying off, a sync goes on.
    ///
    /// # Errors
    ///
    /// As [`open_or_make`](Self::open_or_make) and [`remember_remote`](crate::remember_remote).
    pub async fn open_clone(
        config: Arc<Config>,
        from: String,
        folder: String,
        options: InitOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let opened = Self::open_or_make(config, from.clone(), folder, options, progress).await?;
        let Pair { left, right } = opened.names;
        let names = Pair { left: right, right: left };
        let Pair { left, right } = opened.opened;
        let libraries = Self { names, opened: Pair { left: right, right: left }, ..opened };
        crate::remote::remember_remote(&libraries.opened.left, &from)?;
        Ok(libraries)
    }

    fn of(config: Arc<Config>, names: Pair<String>, opened: Pair<Library>) -> Result<Self> {
        if opened.left.place() == opened.right.place() || opened.left.id() == opened.right.id() {
            return Err(Error::usage(format_args!(
                "`{}` and `{}` are one and the same library",
                names.left, names.right
            )));
        }
        Ok(Self { names, opened, is_new: false, config, pretended: None })
    }

    /// How the two are called.
    pub const fn names(&self) -> &Pair<String> {
        &self.names
    }

    /// Whether one of them was made just now.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether a side is reached through a network.
    pub fn is_remote(&self, side: Side) -> bool {
        self.opened[side].is_remote()
    }

    /// The two as `sync` takes them.
    pub(super) fn replicas(&self) -> Pair<Replica> {
        Pair::of(|side| Replica::new(&self.names[side], self.opened[side].shared_backend()))
    }

    /// What makes them agree as `job`, with what this machine remembers of the
    /// two.
    pub(super) fn syncer(&self, job: &Job) -> Result<Syncer> {
        let state = match self.pretended {
            Some(_) => SyncState::in_memory(),
            None => SyncState::open(self.state_folder()),
        };
        let Pair { left, right } = self.replicas();
        Ok(Syncer::new(left, right, state?).reporting_to(job.clone()))
    }

    // By where the two are, not by which they are: so it is noticed when
    // another library is in the place of one.
    fn state_folder(&self) -> PathBuf {
        let places = Side::BOTH.map(|side| self.opened[side].place().to_owned());
        let name = Digest::of(places.join("\n").as_bytes()).to_string();
        self.config.directories().state.join("sync").join(&name[..16])
    }
}

async fn open(config: &Arc<Config>, name: &str, progress: &Arc<dyn Progress>) -> Result<Library> {
    Library::open_named(config.clone(), name, Access::Direct, progress.clone()).await
}

/// The name of the library that the local one is synced with.
pub fn remote(config: &Config) -> String {
    config.get(keys::SYNC_REMOTE).to_owned()
}

/// Opens the library that machines share: the one that the local one is synced
/// with.
///
/// # Errors
///
/// As [`Library::open_named`].
pub async fn open_remote(config: Arc<Config>, progress: Arc<dyn Progress>) -> Result<Library> {
    open(&config, &remote(&config), &progress).await
}

/// The options of a sync or a migration that the settings mean.
///
/// # Errors
///
/// `Usage` if `sync.audio` says nothing that audio can be.
pub fn options(config: &Config) -> Result<Options> {
    let audio = config.get(keys::SYNC_AUDIO);
    let audio =
        audio.parse().map_err(|error| Error::usage("`sync.audio` is wrong").because(error))?;
    let machine = config.get(keys::SYNC_MACHINE).unwrap_or_else(|| config.host()).to_owned();
    Ok(Options { audio, machine, ..Options::default() })
}
