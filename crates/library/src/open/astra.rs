//! Libraries in Astra DB: which settings are meant, what may be sent where, and opening.

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
            Access::Direct => AstraBackend::open_with_schema(&astra, &cached_schema.read()).await,
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
                if config.get(keys::SCAN_MODELS).iter().any(|name| *name == spec.name.as_str()) {
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
    keyspace.unwrap_or_else(|| config.get(keys::ASTRA_KEYSPACE)).clone_into(&mut astra.keyspace);
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
        (Some(database), Some(region)) => Endpoint::astra(database, region)
            .map(|endpoint| endpoint.to_string())
            .map_err(|error| Error::usage("the address of the database is wrong").because(error)),
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
    let of_named =
        named.filter(|named| named.endpoint.is_some()).map(|named| named.project_file.as_deref());
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
        .because(format!("`{}` names that server, and the token is from elsewhere", file.display()))
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

        for (project, dot_env, named) in [(server, "", ""), (far, "", "far"), ("", dot_env, "")] {
            let error = asked(project, dot_env, Some("AstraCS:mine"), named).unwrap_err();

            assert!(error.to_string().contains("`https://data.example.org"), "{error}");
        }
        asked(server, token, None, "").unwrap();
        asked(far, token, None, "far").unwrap();
        asked(astra, "", Some("AstraCS:mine"), "").unwrap();
    }
}
