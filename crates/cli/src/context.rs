//! What every command needs.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc};

use anyhow::Result;
use songrec_core::{Event, Job, encode_path};
use songrec_library::{
    Access, Chosen, Config, Directories, Error, ErrorKind, Library, Setting, Sources, keys,
    share::open_remote,
};

use crate::{args::GlobalArgs, printer::Printer, progress::progress};

/// The run: how to print, the settings, and the way to stop.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) printer: Arc<Printer>,
    pub(crate) global: GlobalArgs,
    /// Where work reports its progress, and the way to end it.
    pub(crate) job: Job,
}

impl Context {
    pub(crate) fn new(global: GlobalArgs) -> Self {
        let printer = Arc::new(Printer::new(&global));
        Self { printer, job: Job::reporting_to(progress(&global)), global }
    }

    /// Warns while progress may be drawn: above it, and not across it.
    pub(crate) fn warn_aside(&self, text: &str) {
        if self.global.quiet {
            self.printer.warn(text);
        } else {
            self.job.progress.on(Event::Note { text: &format!("warning: {text}") });
        }
    }

    /// How this library is named on a command line, after `songrec`.
    pub(crate) fn typed(&self) -> String {
        let mut typed = "songrec".to_owned();
        if let Some(library) = &self.global.library {
            let _ = write!(typed, " --library '{}'", library.display());
        }
        if let Some(name) = &self.global.storage_backend {
            let _ = write!(typed, " --storage-backend {name}");
        }
        typed
    }

    /// The settings, with what the command's own flags set.
    pub(crate) fn config(
        &self,
        flags: impl IntoIterator<Item = (Setting, String, &'static str)>,
    ) -> Result<Arc<Config>> {
        let global = &self.global;
        let mut all = Vec::new();
        if let Some(name) = &global.storage_backend {
            all.push((keys::STORAGE_BACKEND.setting(), name.clone(), "--storage-backend"));
        }
        if let Some(path) = &global.library {
            all.push((keys::LIBRARY.setting(), encode_path(path), "--library"));
        }
        if let Some(threads) = global.threads {
            all.push((keys::THREADS.setting(), threads.to_string(), "--threads"));
        }
        all.extend(flags);
        let working_folder = std::env::current_dir()
            .map_err(|error| Error::usage("the working folder does not exist").because(error))?;
        // A variable whose name is not text cannot be one of ours.
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, encode_path(Path::new(&value))))
            })
            .collect();
        Ok(Arc::new(Config::load(Sources {
            directories: Directories::of_user()?,
            working_folder,
            variables,
            file: global.config.clone(),
            no_files: global.no_config,
            flags: all,
            host: gethostname::gethostname().to_string_lossy().into_owned(),
        })?))
    }

    /// The library that the settings mean, for a command that changes it.
    pub(crate) async fn library_to_change(&self) -> Result<Library> {
        self.library_to_change_with(self.config([])?, true).await
    }

    /// The library that the settings mean, and no other in its place, for a
    /// command that changes it if `changes`.
    pub(crate) async fn library_with_or_to_change(&self, changes: bool) -> Result<Library> {
        match changes {
            true => self.library_to_change().await,
            false => self.library_with(self.config([])?).await,
        }
    }

    /// The library that these settings mean, for a command that changes it if
    /// `changes`. Said is which it is, where it could be another one.
    pub(crate) async fn library_to_change_with(
        &self,
        config: Arc<Config>,
        changes: bool,
    ) -> Result<Library> {
        self.say_which(config.chosen());
        let library = self.library_with(config).await?;
        if changes {
            library.may_write()?;
        }
        Ok(library)
    }

    /// The library that these settings mean, and no other in its place.
    pub(crate) async fn library_with(&self, config: Arc<Config>) -> Result<Library> {
        Ok(Library::open(config, self.job.progress.clone()).await?)
    }

    /// Says which library is used, if another one could be meant too.
    pub(crate) fn say_which(&self, chosen: Option<Chosen>) {
        if let Some(Chosen { used, because, other, other_because }) = chosen {
            self.printer
                .say(format!("using `{used}` ({because}), not `{other}` ({other_because})"));
        }
    }

    /// The library that the settings mean, for a command that only reads: where
    /// it cannot be reached, the local one answers, and that is said. One that
    /// did not answer within the last minute is not asked again.
    pub(crate) async fn library_to_read(&self) -> Result<Library> {
        let config = self.config([])?;
        let silent = Library::silent_for(&config);
        if let Some(ago) = silent
            && let Ok(local) = self.local_library().await
        {
            let ago = ago.as_secs();
            self.printer.warn(format!(
                "the library far away did not answer {ago} s ago, and is asked again a minute \
                 after that; the local library answers in its place"
            ));
            return Ok(local);
        }
        let error = match Library::open_to_read(config, self.job.progress.clone()).await {
            Err(error) if error.kind() == ErrorKind::Temporary => error,
            opened => return Ok(opened?),
        };
        let Ok(library) = self.local_library().await else {
            return Err(error.into());
        };
        let why = innermost(&error);
        self.printer.warn(format!("{error}: {why}; the local library answers in its place"));
        Ok(library)
    }

    async fn local_library(&self) -> Result<Library> {
        let config =
            self.config([(keys::STORAGE_BACKEND.setting(), "local".to_owned(), "the fallback")])?;
        self.library_with(config).await
    }

    /// The library that machines share: the one that is asked for, else the
    /// one that is synced with.
    pub(crate) async fn shared_library(&self) -> Result<Library> {
        let config = self.config([])?;
        let progress = self.job.progress.clone();
        Ok(match &self.global.storage_backend {
            Some(name) => Library::open_named(config, name, Access::Direct, progress).await?,
            None => open_remote(config, progress).await?,
        })
    }
}

// The last cause, which says the most.
fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
