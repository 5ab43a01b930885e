//! Where this machine keeps what: the platform's folders for programs.

use std::path::{Path, PathBuf};

use etcetera::{AppStrategy, AppStrategyArgs, choose_app_strategy};

use crate::{Error, Result};

/// The folders of songrec for one user on one machine.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The user's configuration file.
    pub config: PathBuf,
    /// The library that is used if no other is named.
    pub library: PathBuf,
    /// The models that were added.
    pub models: PathBuf,
    /// What can be fetched or computed again.
    pub cache: PathBuf,
    /// What is true of this machine only, such as which files were seen.
    pub state: PathBuf,
}

impl Directories {
    /// The folders for the user of this process: XDG on Unix, the platform's
    /// own elsewhere.
    ///
    /// # Errors
    ///
    /// When the user has no home folder.
    pub fn of_user() -> Result<Self> {
        let strategy = choose_app_strategy(AppStrategyArgs {
            top_level_domain: "org".to_owned(),
            author: "songrec".to_owned(),
            app_name: "songrec".to_owned(),
        })
        .map_err(|error| {
            Error::usage("the home folder of this user is not known")
                .because(error)
                .with_hint("set `HOME`")
        })?;
        Ok(Self {
            config: strategy.config_dir().join("config.toml"),
            library: strategy.data_dir().join("library"),
            models: strategy.data_dir().join("models"),
            cache: strategy.cache_dir(),
            state: strategy.state_dir().unwrap_or_else(|| strategy.data_dir().join("state")),
        })
    }

    /// All folders below one, for tests and for a library that is carried
    /// about.
    pub fn below(root: &Path) -> Self {
        Self {
            config: root.join("config/config.toml"),
            library: root.join("library"),
            models: root.join("models"),
            cache: root.join("cache"),
            state: root.join("state"),
        }
    }
}
