//! The factory: which library is meant, and how it is opened.
//!
//! It opens the backends that the rest knows by the contract alone.

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

#[cfg(feature = "astra")]
mod astra {
    //! Libraries in Astra DB.

    use std::{
        path::{Path, PathBuf},
        sync::Arc,
        time::{Duration, Instant},
    };

    use songrec_astra::{
        AstraBackend, AstraConfig, BlobConfig, InitReport, Secret,
        client::{Endpoint, Timeouts, password_token},
    };

    use songrec_cache::{Cached, CachedOptions};
    use songrec_core::{Digest, Hint, Remedy, without_password};
    use songrec_storage::StorageBackend;

    use super::Access;
    use crate::{
        Config, Error, ErrorKind, Key, Library, NamedLibrary, Result, Text, keys, silence::Silence,
    };

    impl Library {
        pub(super) async fn open_astra(
            config: Arc<Config>,
            named: Option<&NamedLibrary>,
            access: Access,
        ) -> Result<Self> {
            let mut astra = astra_config(&config, named)?;
            let place = place(&astra);
            if access == Access::Reading {
                astra = hasty(astra);
            }
            let cached_schema = SchemaCache::of(&config, &place);
            let silence = Silence::of(&config, &place);
            let started = Instant::now();
            let opened = match access {
                Access::Direct => {
                    AstraBackend::open_with_schema(&astra, &cached_schema.read()).await
                }
                Access::Cached | Access::Reading => AstraBackend::open(&astra).await,
            };
            match &opened {
                // Who refuses at once may be asked again at once.
                Err(error) if error.is_temporary() => {
                    if access == Access::Reading && started.elapsed() >= FIRST_ANSWER / 2 {
                        silence.note();
                    }
                }
                _ => silence.end(),
            }
            let backend = opened.map_err(|error| {
                let missing = error.kind() == songrec_storage::ErrorKind::NotFound;
                let error = Error::from(error);
                if missing && error.hint().is_none() {
                    let init = Remedy::InitAstra { check: false };
                    return error.with_hint(Hint::of("{} makes the library", [init]));
                }
                error
            })?;
            cached_schema.keep(&backend.cached_schema());
            let id = backend.library_id();
            let astra = Arc::new(backend);
            let mut backend: Arc<dyn StorageBackend> = astra.clone();
            let named = format!("{id} {place}");
            let mut writing = None;
            match crate::cache(&config).await {
                Ok(cache) if access == Access::Direct => {
                    writing = cache.begin_shared_write(&named).map(Arc::new);
                }
                Ok(cache) => {
                    let cached = Cached::new(backend, cache, CachedOptions::default());
                    backend = Arc::new(cached.sharing_answers(&named));
                }
                // It makes things fast, not right.
                Err(error) => {
                    tracing::warn!("nothing is kept in the cache: {}", error.in_one_line());
                }
            }
            let library = Self::new(backend, config, id, None);
            let library = Self { place, astra: Some(astra), writing, ..library };
            if access != Access::Reading {
                library.finish_adding().await;
            }
            Ok(library)
        }

        /// Makes what a library in Astra needs, or with `check` only says what
        /// is missing or different. Doing it again is safe.
        ///
        /// # Errors
        ///
        /// When the settings are not complete, or the database refuses.
        pub async fn init_astra(config: &Config, check: bool) -> Result<InitReport> {
            let backend = AstraBackend::connect(&chosen(config)?)?;
            let report = backend.init(check).await?;
            if !check {
                for spec in songrec_models::built_in_models() {
                    if config.get(keys::SCAN_MODELS).iter().any(|name| *name == spec.name.as_str())
                    {
                        backend.embeddings().put_model(spec).await?;
                    }
                }
            }
            Ok(report)
        }
    }

    /// A connection for looking, which waits for nobody.
    pub(crate) fn connect_in_haste(config: &Config) -> Result<AstraBackend> {
        Ok(AstraBackend::connect(&hasty(chosen(config)?))?)
    }

    /// How long who only reads waits for the first byte of the first answer.
    const FIRST_ANSWER: Duration = Duration::from_secs(5);

    fn hasty(astra: AstraConfig) -> AstraConfig {
        let timeouts = Timeouts { first_answer: Some(FIRST_ANSWER), ..Timeouts::default() };
        AstraConfig { timeouts: Some(timeouts), ..astra }
    }

    fn place(astra: &AstraConfig) -> String {
        format!("{} {}", astra.endpoint, astra.keyspace)
    }

    /// How long ago the library that the settings mean did not begin to answer
    /// in time, if that was within the last minute.
    pub(super) fn silent_for(config: &Config, named: Option<&NamedLibrary>) -> Option<Duration> {
        let astra = astra_config(config, named).ok()?;
        Silence::of(config, &place(&astra)).since()
    }

    // What an earlier run learned by opening, which spares a request.
    struct SchemaCache(PathBuf);

    impl SchemaCache {
        fn of(config: &Config, place: &str) -> Self {
            let name = Digest::of(place.as_bytes()).to_string();
            let folder = config.directories().state.join("astra");
            Self(folder.join(format!("{}.json", &name[..16])))
        }

        fn read(&self) -> String {
            std::fs::read_to_string(&self.0).unwrap_or_default()
        }

        // Where it cannot be kept, the next run asks again.
        fn keep(&self, text: &str) {
            if self.read() == text {
                return;
            }
            let new = self.0.with_extension(format!("{}.new", std::process::id()));
            let _ = self
                .0
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&new, text))
                .and_then(|()| std::fs::rename(&new, &self.0));
        }
    }

    // The settings of the library that is used, if it is in Astra, else of the
    // one called `astra`.
    fn chosen(config: &Config) -> Result<AstraConfig> {
        let named = config.library(config.get(keys::STORAGE_BACKEND));
        astra_config(config, named.filter(|library| library.kind == "astra"))
    }

    fn astra_config(config: &Config, named: Option<&NamedLibrary>) -> Result<AstraConfig> {
        let endpoint = endpoint(config, named)?;
        refuse_a_projects_server(config, named, &endpoint)?;
        refuse_a_projects_role(config)?;
        let mut astra = AstraConfig::new(endpoint, token(config, named)?);
        let keyspace = named.and_then(|named| named.keyspace.as_deref());
        keyspace
            .unwrap_or_else(|| config.get(keys::ASTRA_KEYSPACE))
            .clone_into(&mut astra.keyspace);
        let url = named.and_then(|named| named.blobs.as_deref());
        astra.blobs = url.or_else(|| config.get(keys::BLOBS_URL)).map(|url| {
            let secret = |key: Key<Option<Text>>| config.get(key).map(Secret::new);
            let mut blobs = BlobConfig::new(url);
            let said = |of_named: fn(&NamedLibrary) -> &Option<String>, key: Key<Option<Text>>| {
                named.and_then(|named| of_named(named).clone()).or_else(|| text(config, key))
            };
            blobs.endpoint = said(|named| &named.blobs_endpoint, keys::BLOBS_ENDPOINT);
            blobs.region = said(|named| &named.blobs_region, keys::BLOBS_REGION);
            blobs.access_key = secret(keys::BLOBS_ACCESS_KEY);
            blobs.secret_key = secret(keys::BLOBS_SECRET_KEY);
            blobs.session_token = secret(keys::BLOBS_SESSION_TOKEN);
            blobs.instance_role = config.get(keys::BLOBS_INSTANCE_ROLE);
            blobs
        });
        Ok(astra)
    }

    fn text(config: &Config, key: Key<Option<Text>>) -> Option<String> {
        config.get(key).map(str::to_owned)
    }

    /// Where the library `astra` is, as the settings say it.
    pub(crate) fn astra_table(config: &Config) -> Result<NamedLibrary> {
        Ok(NamedLibrary {
            kind: "astra".to_owned(),
            endpoint: Some(endpoint(config, None)?),
            keyspace: Some(config.get(keys::ASTRA_KEYSPACE).to_owned()),
            blobs: text(config, keys::BLOBS_URL),
            blobs_endpoint: text(config, keys::BLOBS_ENDPOINT),
            blobs_region: text(config, keys::BLOBS_REGION),
            ..NamedLibrary::default()
        })
    }

    // The servers that this user named himself, one a line.
    fn servers(config: &Config) -> PathBuf {
        config.directories().state.join("servers")
    }

    fn is_trusted(config: &Config, endpoint: &str) -> bool {
        let known = std::fs::read_to_string(servers(config)).unwrap_or_default();
        known.lines().any(|known| known == endpoint)
    }

    /// Takes note that this user's tokens may be sent to a server though it is
    /// named by a file that a library brings. Where that cannot be noted, the
    /// server has to be named in the user's own configuration.
    pub(crate) fn trust(config: &Config, endpoint: &str) {
        if is_trusted(config, endpoint) {
            return;
        }
        let path = servers(config);
        let _ = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::File::options().append(true).create(true).open(&path))
            // In one write, so that the lines of two processes do not mix.
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, format!("{endpoint}\n").as_bytes())
            });
    }

    fn endpoint(config: &Config, named: Option<&NamedLibrary>) -> Result<String> {
        let given = named.and_then(|named| named.endpoint.as_deref());
        if let Some(endpoint) = given.or_else(|| config.get(keys::ASTRA_ENDPOINT)) {
            return Ok(endpoint.to_owned());
        }
        match (config.get(keys::ASTRA_DATABASE_ID), config.get(keys::ASTRA_REGION)) {
            (Some(database), Some(region)) => {
                Endpoint::astra(database, region).map(|endpoint| endpoint.to_string()).map_err(
                    |error| Error::usage("the address of the database is wrong").because(error),
                )
            }
            _ => Err(Error::usage("it is not known where the Astra library is").with_hint(
                "set `ASTRA_DB_API_ENDPOINT`, or `ASTRA_DB_ID` and `ASTRA_DB_REGION`, in `.env`",
            )),
        }
    }

    // A token beside the file that names the server, or below it, as `.env` lies
    // below `.songrec.toml`.
    fn may_use_token(of_server: &Path, of_token: &Path) -> bool {
        match (of_server.parent(), of_token.parent()) {
            (Some(server), Some(token)) => token.starts_with(server),
            _ => false,
        }
    }

    // The author of a folder's files would otherwise be sent the token of
    // everybody who works there. A token of the folder's own may go anywhere, and
    // so may a token to a server that this user named when a library was cloned.
    fn refuse_a_projects_server(
        config: &Config,
        named: Option<&NamedLibrary>,
        endpoint: &str,
    ) -> Result<()> {
        // Everything that names this server, the user's own configuration among
        // it.
        let of_named = named
            .filter(|named| named.endpoint.is_some())
            .map(|named| named.project_file.as_deref());
        let same = config.get(keys::ASTRA_ENDPOINT) == Some(endpoint);
        let of_settings = same.then(|| config.project_file(keys::ASTRA_ENDPOINT));
        let says: Vec<Option<&Path>> = of_named.into_iter().chain(of_settings).collect();
        let files: Option<Vec<&Path>> = says.into_iter().collect();
        let Some(files) = files else { return Ok(()) };
        let Some(file) = files.first() else { return Ok(()) };
        let key = [keys::ASTRA_TOKEN, keys::ASTRA_PASSWORD]
            .into_iter()
            .find(|key| config.get(*key).is_some());
        let of_token = key.and_then(|key| config.project_file(key));
        let own_token =
            of_token.is_some_and(|of_token| files.iter().any(|file| may_use_token(file, of_token)));
        let parsed: Option<Endpoint> = endpoint.parse().ok();
        let harmless = parsed.is_none_or(|endpoint| endpoint.is_astra() || endpoint.is_here());
        if own_token || harmless || is_trusted(config, endpoint) {
            return Ok(());
        }
        let endpoint = without_password(endpoint);
        Err(Error::usage(format_args!("your token is not sent to `{endpoint}`"))
            .because(format!(
                "`{}` names that server, and the token is from elsewhere",
                file.display()
            ))
            .with_hint(
                "if you trust the server, name it in your own configuration or in the environment",
            ))
    }

    // Nor are the keys of the machine's role asked for because a folder says so.
    fn refuse_a_projects_role(config: &Config) -> Result<()> {
        match config.get(keys::BLOBS_INSTANCE_ROLE)
            && config.project_file(keys::BLOBS_INSTANCE_ROLE).is_some()
        {
            false => Ok(()),
            true => Err(Error::usage("`blobs.instance_role` may not come from the working folder")
                .because("who wrote its files would have this machine's role used")
                .with_hint("set it in your own configuration or in the environment")),
        }
    }

    fn token(config: &Config, named: Option<&NamedLibrary>) -> Result<Secret> {
        if let Some(variable) = named.and_then(|named| named.token_variable.as_deref()) {
            return config.token_in(variable).map(Secret::new).ok_or_else(|| {
                Error::new(ErrorKind::Denied, "there is no token for the Astra library")
                    .because(format!("its `token_variable` is `{variable}`, which is not set"))
                    .with_hint(format_args!("set `{variable}` in `.env`"))
            });
        }
        if let Some(token) = config.get(keys::ASTRA_TOKEN) {
            return Ok(Secret::new(token));
        }
        match (config.get(keys::ASTRA_USERNAME), config.get(keys::ASTRA_PASSWORD)) {
            (Some(user), Some(password)) => Ok(password_token(user, &Secret::new(password))),
            _ => Err(Error::new(ErrorKind::Denied, "there is no token for the Astra library")
                .with_hint(
                    "set `ASTRA_DB_APPLICATION_TOKEN` in `.env`, or `ASTRA_DB_USERNAME` and `ASTRA_DB_PASSWORD` for a server of your own",
                )),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::path::Path;

        use super::*;
        use crate::{Directories, Sources};

        fn load(root: &Path, project: &str, dot_env: &str, token: Option<&str>) -> Config {
            let mut sources = Sources {
                directories: Directories::below(root),
                working_folder: root.to_owned(),
                variables: std::collections::BTreeMap::new(),
                file: None,
                no_files: false,
                flags: Vec::new(),
                host: String::new(),
            };
            std::fs::write(root.join(".songrec.toml"), project).unwrap();
            std::fs::write(root.join(".env"), dot_env).unwrap();
            if let Some(token) = token {
                sources.variables.insert("ASTRA_DB_APPLICATION_TOKEN".into(), token.into());
            }
            Config::load(sources).unwrap()
        }

        #[test]
        fn a_folders_files_do_not_have_a_token_sent_anywhere() {
            let root = tempfile::tempdir().unwrap();
            let server = "[astra]\nendpoint = \"https://data.example.org\"";
            let far = "[libraries.far]\nkind = \"astra\"\nendpoint = \"https://data.example.org\"";
            let astra = "[astra]\nendpoint = \"https://6f3b1e7a-5a0e-4d7b-9c42-0d6f3b1e7a55-us-east1.apps.astra.datastax.com\"";
            let token = "ASTRA_DB_APPLICATION_TOKEN=AstraCS:own";
            let dot_env = "ASTRA_DB_API_ENDPOINT=https://data.example.org";
            let asked = |project: &str, dot_env: &str, token: Option<&str>, named: &str| {
                let config = load(root.path(), project, dot_env, token);
                astra_config(&config, config.library(named)).map(drop)
            };

            for (project, dot_env, named) in [(server, "", ""), (far, "", "far"), ("", dot_env, "")]
            {
                let error = asked(project, dot_env, Some("AstraCS:mine"), named).unwrap_err();

                assert!(error.to_string().contains("`https://data.example.org"), "{error}");
            }
            asked(server, token, None, "").unwrap();
            asked(far, token, None, "far").unwrap();
            asked(astra, "", Some("AstraCS:mine"), "").unwrap();
        }
    }
}
