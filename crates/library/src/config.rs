//! Settings, and where each came from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{Directories, Error, ModelTable, Result};

/// One thing that can be set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in configuration files, such as `search.model`.
    pub key: &'static str,
    /// The variables that set it, the first one first.
    pub variables: &'static [&'static str],
    /// Its value if nothing sets it.
    pub default: Option<&'static str>,
    /// Whether it is never shown, and never read from a project's file.
    pub secret: bool,
    /// What it may be.
    kind: Kind,
    /// One line for people.
    pub about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Path,
    Count,
    Bytes,
    Flag,
    List,
    Choice(&'static [&'static str]),
}

const fn setting(
    key: &'static str,
    variables: &'static [&'static str],
    default: Option<&'static str>,
    kind: Kind,
    about: &'static str,
) -> Setting {
    Setting { key, variables, default, secret: false, kind, about }
}

const fn secret(
    key: &'static str,
    variables: &'static [&'static str],
    about: &'static str,
) -> Setting {
    Setting { key, variables, default: None, secret: true, kind: Kind::Text, about }
}

/// Everything that can be set.
pub const SETTINGS: &[Setting] = &[
    setting(
        "storage_backend",
        &["SONGREC_STORAGE_BACKEND", "STORAGE_BACKEND"],
        Some("local"),
        Kind::Text,
        "which library is used: `local`, `astra`, or a name from `[libraries]`",
    ),
    setting("library", &["SONGREC_LIBRARY"], None, Kind::Path, "the folder of the local library"),
    setting("threads", &["SONGREC_THREADS"], Some("0"), Kind::Count, "threads; 0 is one per core"),
    setting(
        "scan.exclude",
        &["SONGREC_EXCLUDE"],
        None,
        Kind::List,
        "files and folders that a scan leaves out, as globs",
    ),
    setting(
        "scan.max_memory",
        &["SONGREC_MAX_MEMORY"],
        Some("4G"),
        Kind::Bytes,
        "about how much memory a scan may use",
    ),
    setting(
        "scan.genre_from_folder",
        &["SONGREC_GENRE_FROM_FOLDER"],
        Some("false"),
        Kind::Flag,
        "take the genre from the folder's name where a file has none",
    ),
    setting(
        "scan.models",
        &["SONGREC_MODELS"],
        Some("dsp45@1,dsp45-row@1,dsp47@1"),
        Kind::List,
        "the models that hear every song",
    ),
    setting(
        "search.model",
        &["SONGREC_MODEL"],
        Some("dsp45@1"),
        Kind::Text,
        "the model that `similar` compares by",
    ),
    setting(
        "search.results",
        &["SONGREC_RESULTS"],
        Some("10"),
        Kind::Count,
        "how many results are shown",
    ),
    setting(
        "search.index",
        &["SONGREC_INDEX"],
        Some("auto"),
        Kind::Choice(&["auto", "flat", "ivf"]),
        "how a local library searches: always exact, by lists from 1,000 songs on, or as suits",
    ),
    setting(
        "cache.folder",
        &["SONGREC_CACHE"],
        None,
        Kind::Path,
        "where copies of what is far away are kept; the user's cache folder if it is not set",
    ),
    setting(
        "cache.limit",
        &["SONGREC_CACHE_LIMIT"],
        Some("2G"),
        Kind::Bytes,
        "how large that may grow; the least recently used goes first",
    ),
    setting(
        "sync.remote",
        &["SONGREC_SYNC_REMOTE"],
        Some("astra"),
        Kind::Text,
        "the library that the local one is synced with",
    ),
    setting(
        "sync.audio",
        &["SONGREC_SYNC_AUDIO"],
        Some("all"),
        Kind::Text,
        "which audio is carried to libraries that keep audio: `all`, `none`, `recent`, `recent:DAYS`",
    ),
    setting(
        "sync.machine",
        &["SONGREC_MACHINE"],
        None,
        Kind::Text,
        "what this machine is called; its host name if it is not set",
    ),
    setting(
        "astra.endpoint",
        &["ASTRA_DB_API_ENDPOINT"],
        None,
        Kind::Text,
        "the address of the Data API, of Astra or of a server of your own",
    ),
    setting(
        "astra.database_id",
        &["ASTRA_DB_ID"],
        None,
        Kind::Text,
        "the id of the Astra database, where no endpoint is given",
    ),
    setting(
        "astra.region",
        &["ASTRA_DB_REGION"],
        None,
        Kind::Text,
        "the region of the Astra database, where no endpoint is given",
    ),
    setting(
        "astra.keyspace",
        &["ASTRA_DB_KEYSPACE"],
        Some("default_keyspace"),
        Kind::Text,
        "the keyspace of the library",
    ),
    secret("astra.token", &["ASTRA_DB_APPLICATION_TOKEN"], "the application token"),
    setting(
        "astra.username",
        &["ASTRA_DB_USERNAME"],
        None,
        Kind::Text,
        "the user of a server of your own, in place of a token",
    ),
    secret("astra.password", &["ASTRA_DB_PASSWORD"], "the password of that user"),
    setting(
        "blobs.url",
        &["SONGREC_BLOBS"],
        None,
        Kind::Text,
        "where an Astra library keeps audio: `s3://bucket/prefix` or `file:///folder`",
    ),
    setting(
        "blobs.endpoint",
        &["SONGREC_BLOBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        None,
        Kind::Text,
        "the address of an S3 server that is not Amazon's",
    ),
    setting(
        "blobs.region",
        &["SONGREC_BLOBS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        None,
        Kind::Text,
        "the region of the bucket",
    ),
    secret(
        "blobs.access_key",
        &["SONGREC_BLOBS_ACCESS_KEY", "AWS_ACCESS_KEY_ID"],
        "the access key of the bucket",
    ),
    secret(
        "blobs.secret_key",
        &["SONGREC_BLOBS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"],
        "the secret key of the bucket",
    ),
    secret(
        "blobs.session_token",
        &["SONGREC_BLOBS_SESSION_TOKEN", "AWS_SESSION_TOKEN"],
        "the session token that belongs to temporary keys",
    ),
];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is what songrec comes with.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// A variable in a `.env` file.
    DotEnv(PathBuf, String),
    /// A variable of the environment.
    Variable(String),
    /// A flag on the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::DotEnv(path, name) => write!(f, "{name} in {}", path.display()),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::Flag(name) => write!(f, "{name} on the command line"),
        }
    }
}

/// A named library, as a version-control tool names remotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedLibrary {
    /// `local` or `astra`.
    pub kind: String,
    /// The folder of a local library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The address of an Astra library; that of `[astra]` if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The keyspace of an Astra library; that of `[astra]` if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyspace: Option<String>,
    /// Where an Astra library keeps audio; as `[blobs]` says if it is not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobs: Option<String>,
    /// The variable that holds the token of an Astra library; the usual one if
    /// it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_variable: Option<String>,
    /// Whether a project's file says so.
    #[serde(skip)]
    pub is_of_project: bool,
}

/// All settings of one run, each with its origin.
///
/// A flag comes before the environment, then a `.env` file in the working
/// folder, the project's file, the user's file, the system's file, the
/// default.
#[derive(Clone, Debug)]
pub struct Config {
    values: BTreeMap<&'static str, (Vec<String>, Origin)>,
    libraries: BTreeMap<String, (NamedLibrary, Origin)>,
    models: BTreeMap<String, (ModelTable, Origin)>,
    /// The tokens of libraries and of models that have their own.
    tokens: Tokens,
    directories: Directories,
}

// By the variables that hold them; never shown.
#[derive(Clone, Default)]
struct Tokens(BTreeMap<String, String>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// From where settings are read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folders of the user.
    pub directories: Directories,
    /// The folder in which `.env` and the project's file are looked for.
    pub working_folder: PathBuf,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The configuration file in place of the usual ones.
    pub file: Option<PathBuf>,
    /// No files at all.
    pub no_files: bool,
    /// Flags: key, value, and the flag's name.
    pub flags: Vec<(&'static str, String, &'static str)>,
}

/// The project's own file, looked for in the working folder and above it.
const PROJECT_FILE: &str = ".songrec.toml";
const SYSTEM_FILE: &str = "/etc/songrec/config.toml";

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, names an unknown key, or a value is not
    /// what its key takes.
    pub fn load(sources: Sources) -> Result<Self> {
        let mut config = Self {
            values: SETTINGS
                .iter()
                .filter_map(|setting| {
                    let value = split(setting, setting.default?);
                    Some((setting.key, (value, Origin::Default)))
                })
                .collect(),
            libraries: BTreeMap::new(),
            models: BTreeMap::new(),
            tokens: Tokens::default(),
            directories: sources.directories,
        };
        for file in
            files(&sources.file, sources.no_files, &config.directories, &sources.working_folder)
        {
            config.read_file(&file)?;
        }
        if !sources.no_files {
            config.read_dot_env(&sources.working_folder.join(".env"), &sources.variables)?;
        }
        for setting in SETTINGS {
            for name in setting.variables.iter().rev() {
                if let Some(value) = sources.variables.get(*name).filter(|value| !value.is_empty())
                {
                    config.set(setting, value, Origin::Variable((*name).to_owned()))?;
                }
            }
        }
        for name in config.token_variables() {
            if let Some(token) = sources.variables.get(&name).filter(|token| !token.is_empty()) {
                config.tokens.0.insert(name, token.clone());
            }
        }
        for (key, value, flag) in sources.flags {
            let setting = find(key).expect("flags set what can be set");
            config.set(setting, &value, Origin::Flag(flag))?;
        }
        Ok(config)
    }

    /// The folders of the user.
    pub const fn directories(&self) -> &Directories {
        &self.directories
    }

    /// The text of a setting, if it is set.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(|(values, _)| values.first()).map(String::as_str)
    }

    /// The values of a list.
    pub fn list(&self, key: &str) -> &[String] {
        self.values.get(key).map(|(values, _)| values.as_slice()).unwrap_or_default()
    }

    /// A number of things.
    pub fn count(&self, key: &str) -> usize {
        let text = self.text(key).expect("counts have defaults");
        text.parse().expect("checked when it was set")
    }

    /// A number of bytes.
    pub fn bytes(&self, key: &str) -> u64 {
        let text = self.text(key).expect("sizes have defaults");
        parse_bytes(text).expect("checked when it was set")
    }

    /// A yes or no.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    /// The library called `name`, if one is configured.
    pub fn library(&self, name: &str) -> Option<&NamedLibrary> {
        self.libraries.get(name).map(|(library, _)| library)
    }

    /// Every `[models.NAME]`, by name.
    pub fn models(&self) -> impl Iterator<Item = (&str, &ModelTable)> {
        self.models.iter().map(|(name, (table, _))| (name.as_str(), table))
    }

    /// The token of a library or a model that has its own.
    #[cfg(any(feature = "astra", feature = "bridge"))]
    pub(crate) fn token_in(&self, variable: &str) -> Option<&str> {
        self.tokens.0.get(variable).map(String::as_str)
    }

    fn token_variables(&self) -> Vec<String> {
        let of_libraries =
            self.libraries.values().filter_map(|(named, _)| named.token_variable.clone());
        let of_models = self.models.values().filter_map(|(table, _)| match table {
            ModelTable::Http(table) => table.token_variable.clone(),
            ModelTable::Onnx(_) => None,
        });
        of_libraries.chain(of_models).collect()
    }

    /// Where a setting came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// Whether the working folder says so: the project's file, or `.env`.
    pub fn is_of_project(&self, key: &str) -> bool {
        match self.origin(key) {
            Some(Origin::File(path)) => path.file_name().is_some_and(|name| name == PROJECT_FILE),
            Some(Origin::DotEnv(..)) => true,
            _ => false,
        }
    }

    /// Every setting with its value and origin; secrets hidden.
    pub fn show(&self) -> Vec<Shown> {
        let settings = SETTINGS.iter().map(|setting| {
            let (value, origin) = match self.values.get(setting.key) {
                Some(_) if setting.secret => {
                    (Some("(set, hidden)".to_owned()), self.origin(setting.key))
                }
                Some((values, origin)) => (Some(values.join(",")), Some(origin)),
                None => (None, None),
            };
            Shown {
                key: setting.key.to_owned(),
                value,
                origin: origin.map(Origin::to_string),
                variable: setting.variables.first().map(|name| (*name).to_owned()),
                about: setting.about.to_owned(),
            }
        });
        let libraries = self.libraries.iter().map(|(name, (library, origin))| Shown {
            key: format!("libraries.{name}"),
            value: library.path.as_ref().map(|path| format!("{} {}", library.kind, path.display())),
            origin: Some(origin.to_string()),
            variable: None,
            about: "a library by name".to_owned(),
        });
        let models = self.models.iter().map(|(name, (table, origin))| Shown {
            key: format!("models.{name}"),
            value: Some(match table {
                ModelTable::Onnx(table) => match &table.folder {
                    Some(folder) => format!("onnx {}", folder.display()),
                    None => "onnx".to_owned(),
                },
                ModelTable::Http(table) => format!("http {} ({})", table.url, table.form),
            }),
            origin: Some(origin.to_string()),
            variable: None,
            about: "a model by name".to_owned(),
        });
        settings.chain(libraries).chain(models).collect()
    }

    fn set(&mut self, setting: &'static Setting, text: &str, origin: Origin) -> Result<()> {
        let values = split(setting, text);
        self.set_values(setting, values, origin)
    }

    fn set_values(
        &mut self,
        setting: &'static Setting,
        values: Vec<String>,
        origin: Origin,
    ) -> Result<()> {
        let expected = match (setting.kind, values.first()) {
            (Kind::Count, Some(text)) if text.parse::<usize>().is_err() => "a whole number".into(),
            (Kind::Bytes, Some(text)) if parse_bytes(text).is_none() => {
                "a size such as `500M` or `2G`".into()
            }
            (Kind::Flag, Some(text)) if text != "true" && text != "false" => {
                "`true` or `false`".into()
            }
            (Kind::Choice(of), Some(text)) if !of.contains(&text.as_str()) => {
                format!("one of `{}`", of.join("`, `"))
            }
            (Kind::Text | Kind::Path | Kind::Choice(_), None) => "a value".into(),
            _ => {
                self.values.insert(setting.key, (values, origin));
                return Ok(());
            }
        };
        let text = if setting.secret { "(hidden)".to_owned() } else { values.join(",") };
        Err(Error::usage(format_args!("`{text}` is not a value for `{}`", setting.key))
            .because(format!("it comes from {origin}, and should be {expected}"))
            .with_hint(format_args!("`{}` is {}", setting.key, setting.about)))
    }

    fn read_file(&mut self, file: &ConfigFile) -> Result<()> {
        let path = &file.path;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.required => {
                return Ok(());
            }
            Err(error) => return Err(Error::io("read the configuration", path, error)),
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Error::usage(format_args!("the configuration `{}` is not valid TOML", path.display()))
                .because(error.to_string().trim().to_owned())
        })?;
        for (name, value) in table {
            match value {
                toml::Value::Table(libraries) if name == "libraries" => {
                    for (name, value) in libraries {
                        self.read_library(file, name, value)?;
                    }
                }
                toml::Value::Table(models) if name == "models" => {
                    for (name, value) in models {
                        self.read_model(file, name, value)?;
                    }
                }
                toml::Value::Table(section) => {
                    for (key, value) in section {
                        self.read_value(file, &format!("{name}.{key}"), value)?;
                    }
                }
                value => self.read_value(file, &name, value)?,
            }
        }
        Ok(())
    }

    fn read_library(&mut self, file: &ConfigFile, name: String, value: toml::Value) -> Result<()> {
        let invalid = |why: String| {
            Error::usage(format_args!("`[libraries.{name}]` in `{}` is wrong", file.path.display()))
                .because(why)
        };
        let mut library: NamedLibrary = value
            .try_into()
            .map_err(|error: toml::de::Error| invalid(error.message().to_owned()))?;
        if library.kind == "local" && library.path.is_none() {
            return Err(invalid("a local library needs a `path`".to_owned()));
        }
        if file.project && library.token_variable.is_some() {
            return Err(invalid("a project's file may not name a token".to_owned()));
        }
        library.is_of_project = file.project;
        library.path = library.path.map(|path| resolve(&path, file.path.parent()));
        self.libraries.insert(name, (library, Origin::File(file.path.clone())));
        Ok(())
    }

    fn read_model(&mut self, file: &ConfigFile, name: String, value: toml::Value) -> Result<()> {
        let invalid = |why: String| {
            Error::usage(format_args!("`[models.{name}]` in `{}` is wrong", file.path.display()))
                .because(why)
                .with_hint("`config.toml` of songrec's sources shows every key with an example")
        };
        let mut table: ModelTable = value
            .try_into()
            .map_err(|error: toml::de::Error| invalid(error.message().to_owned()))?;
        table.check(&name).map_err(invalid)?;
        match &mut table {
            // What it names is loaded, and so could do anything.
            ModelTable::Onnx(table) if file.project && table.library.is_some() => {
                return Err(invalid("a project's file may not name a `library`".to_owned()));
            }
            ModelTable::Onnx(table) => {
                for path in [&mut table.folder, &mut table.library] {
                    *path = path.take().map(|path| resolve(&path, file.path.parent()));
                }
            }
            // Otherwise whoever writes a project's file could have any
            // variable of this user sent anywhere.
            ModelTable::Http(table) if file.project && table.token_variable.is_some() => {
                return Err(invalid("a project's file may not name a token".to_owned()));
            }
            ModelTable::Http(_) => {}
        }
        self.models.insert(name, (table, Origin::File(file.path.clone())));
        Ok(())
    }

    fn read_value(&mut self, file: &ConfigFile, key: &str, value: toml::Value) -> Result<()> {
        let path = file.path.display();
        let Some(setting) = find(key) else {
            let error = Error::usage(format_args!("`{key}` in `{path}` is not a setting"));
            return Err(match nearest_key(key) {
                Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
                None => error.with_hint("`songrec config show` lists all settings"),
            });
        };
        if setting.secret && file.project {
            return Err(Error::usage(format_args!("`{key}` may not stand in `{path}`"))
                .because("a project's file is shared with others")
                .with_hint(format_args!("set `{}` in `.env`", setting.variables[0])));
        }
        let text = |value: toml::Value| match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        let mut values = match value {
            toml::Value::Array(values) => values.into_iter().map(text).collect(),
            value => split(setting, &text(value)),
        };
        if setting.kind == Kind::Path {
            for value in &mut values {
                let resolved = resolve(Path::new(value.as_str()), file.path.parent());
                *value = resolved.to_string_lossy().into_owned();
            }
        }
        self.set_values(setting, values, Origin::File(file.path.clone()))
    }

    // `.env` fills gaps only: a variable of the environment wins, whichever
    // of a setting's names it has.
    fn read_dot_env(&mut self, path: &Path, variables: &BTreeMap<String, String>) -> Result<()> {
        if !path.is_file() {
            return Ok(());
        }
        let invalid = |error: dotenvy::Error| {
            // The error may quote the line, and the line may be a secret.
            let why = match error {
                dotenvy::Error::Io(error) => error.to_string(),
                _ => "a line is not `NAME=value`".to_owned(),
            };
            Error::usage(format_args!("`{}` cannot be read", path.display())).because(why)
        };
        let mut found = BTreeMap::new();
        for pair in dotenvy::from_path_iter(path).map_err(invalid)? {
            let (name, value) = pair.map_err(invalid)?;
            found.insert(name, value);
        }
        for name in self.token_variables() {
            if let Some(token) = found.get(&name).filter(|token| !token.is_empty()) {
                self.tokens.0.insert(name, token.clone());
            }
        }
        for setting in SETTINGS {
            for name in setting.variables.iter().rev() {
                let Some(value) = found.get(*name).filter(|value| !value.is_empty()) else {
                    continue;
                };
                if !variables.contains_key(*name) {
                    let origin = Origin::DotEnv(path.to_owned(), (*name).to_owned());
                    self.set(setting, value, origin)?;
                }
            }
        }
        Ok(())
    }
}

/// A setting as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub key: String,
    /// Its value, if it is set.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Option<String>,
    /// The variable that sets it.
    pub variable: Option<String>,
    /// One line for people.
    pub about: String,
}

struct ConfigFile {
    path: PathBuf,
    required: bool,
    project: bool,
}

fn files(
    given: &Option<PathBuf>,
    none: bool,
    directories: &Directories,
    working_folder: &Path,
) -> Vec<ConfigFile> {
    if none {
        return Vec::new();
    }
    if let Some(path) = given {
        return vec![ConfigFile { path: path.clone(), required: true, project: false }];
    }
    let optional = |path: PathBuf, project| ConfigFile { path, required: false, project };
    let mut files = vec![
        optional(PathBuf::from(SYSTEM_FILE), false),
        optional(directories.config.clone(), false),
    ];
    let project = working_folder.ancestors().map(|folder| folder.join(PROJECT_FILE));
    files.extend(project.into_iter().find(|path| path.is_file()).map(|path| optional(path, true)));
    files
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

// The setting with the most letters in common at the same places, if it is
// most of them: enough to catch a slip.
fn nearest_key(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().replace('-', "_");
    let wanted = last(key);
    SETTINGS.iter().map(|setting| setting.key).find(|known| {
        let known = last(known);
        let same = known.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
        known == wanted || (same >= 3 && same * 2 >= known.len().max(wanted.len()))
    })
}

fn split(setting: &Setting, text: &str) -> Vec<String> {
    match setting.kind {
        Kind::List => {
            text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
        }
        Kind::Text | Kind::Path | Kind::Count | Kind::Bytes | Kind::Flag | Kind::Choice(_) => {
            vec![text.to_owned()]
        }
    }
}

// Paths in a file are meant from that file's folder, and `~` is the home.
fn resolve(path: &Path, base: Option<&Path>) -> PathBuf {
    if let Ok(rest) = path.strip_prefix("~")
        && let Ok(home) = etcetera::home_dir()
    {
        return home.join(rest);
    }
    match base {
        Some(base) => base.join(path),
        None => path.to_owned(),
    }
}

/// Bytes from text such as `500M`, `2G` or `1048576`; units are powers of
/// 1024.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches(['B', 'b']).trim_end_matches('i');
    let (number, factor) = match text.chars().last()?.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 1 << 10),
        'M' => (&text[..text.len() - 1], 1 << 20),
        'G' => (&text[..text.len() - 1], 1 << 30),
        'T' => (&text[..text.len() - 1], 1 << 40),
        _ => (text, 1u64),
    };
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * factor as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(root: &Path) -> Sources {
        Sources {
            directories: Directories::below(root),
            working_folder: root.to_owned(),
            variables: BTreeMap::new(),
            file: None,
            no_files: false,
            flags: Vec::new(),
        }
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_nearer_source_wins() {
        let root = tempfile::tempdir().unwrap();
        let mut sources = sources(root.path());
        let results = |sources: &Sources| {
            let config = Config::load(sources.clone()).unwrap();
            (config.count("search.results"), config.origin("search.results").unwrap().to_string())
        };
        assert_eq!(results(&sources), (10, "default".into()));
        write(&sources.directories.config, "[search]\nresults = 1");
        assert_eq!(results(&sources).0, 1);
        write(&root.path().join(".songrec.toml"), "[search]\nresults = 2");
        assert_eq!(results(&sources).0, 2);
        write(&root.path().join(".env"), "SONGREC_RESULTS=3\n");
        assert_eq!(results(&sources).0, 3);
        sources.variables.insert("SONGREC_RESULTS".into(), "4".into());
        assert_eq!(results(&sources), (4, "SONGREC_RESULTS in the environment".into()));
        sources.flags.push(("search.results", "5".into(), "--results"));
        assert_eq!(results(&sources), (5, "--results on the command line".into()));
    }

    #[test]
    fn what_is_no_setting_is_refused_with_the_one_that_was_meant() {
        let root = tempfile::tempdir().unwrap();
        let sources = sources(root.path());
        write(&sources.directories.config, "[search]\nresult = 1");

        let error = Config::load(sources).unwrap_err();

        assert!(error.to_string().contains("`search.result`"), "{error}");
        assert_eq!(error.hint(), Some("did you mean `search.results`?"));
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_origin() {
        let root = tempfile::tempdir().unwrap();
        for text in
            ["threads = \"many\"", "[scan]\nmax_memory = \"big\"", "[scan]\ngenre_from_folder = 1"]
        {
            let sources = sources(root.path());
            write(&sources.directories.config, text);

            let error = Config::load(sources).unwrap_err();

            let why = std::error::Error::source(&error).unwrap().to_string();
            assert!(why.contains("config.toml"), "{why}");
        }
    }

    #[test]
    fn paths_in_a_file_are_meant_from_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let sources = sources(root.path());
        write(
            &sources.directories.config,
            "library = \"songs\"\n[libraries.disk]\nkind = \"local\"\npath = \"/mnt/disk\"",
        );

        let config = Config::load(sources).unwrap();

        assert_eq!(config.text("library"), root.path().join("config/songs").to_str());
        assert_eq!(config.library("disk").unwrap().path, Some("/mnt/disk".into()));
    }

    #[test]
    fn a_model_is_a_table_that_says_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let mut sources = sources(root.path());
        write(
            &sources.directories.config,
            "[models.clap]\nkind = \"onnx\"\nfolder = \"clap\"\nengine = \"ort\"\n\
             [models.w2v]\nkind = \"http\"\ndimension = 768\ntoken_variable = \"W2V\"",
        );
        sources.variables.insert("W2V".into(), "hush".into());

        let config = Config::load(sources.clone()).unwrap();

        let tables: Vec<_> = config.models().collect();
        let ("clap", ModelTable::Onnx(clap)) = tables[0] else { panic!("{tables:?}") };
        assert_eq!(clap.folder, Some(root.path().join("config/clap")));
        assert!(matches!(tables[1], ("w2v", ModelTable::Http(_))), "{tables:?}");
        assert!(!format!("{config:?}").contains("hush"));
        assert!(config.show().iter().any(|shown| shown.key == "models.w2v"));

        write(&sources.directories.config, "[models.w2v]\nkind = \"http\"\nurl = 3");
        assert!(Config::load(sources.clone()).unwrap_err().to_string().contains("[models.w2v]"));
        write(&sources.directories.config, "");
        for project in [
            "[models.w2v]\nkind = \"http\"\ndimension = 7\ntoken_variable = \"HOME\"",
            "[libraries.far]\nkind = \"astra\"\ntoken_variable = \"HOME\"",
            "[models.clap]\nkind = \"onnx\"\nlibrary = \"./onnxruntime.so\"",
        ] {
            write(&root.path().join(".songrec.toml"), project);
            let error = Config::load(sources.clone()).unwrap_err();
            let why = std::error::Error::source(&error).unwrap().to_string();
            assert!(why.contains("a project's file may not name a"), "{why}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("500M"), Some(500 << 20));
        assert_eq!(parse_bytes("1.5 GiB"), Some(3 << 29));
        assert_eq!(parse_bytes("12"), Some(12));
        assert_eq!(parse_bytes("x"), None);
        assert_eq!(parse_bytes("-1"), None);
    }
}
