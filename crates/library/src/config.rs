//! Settings, and where each came from.

mod chosen;
mod files;
pub(crate) mod model_tables;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_core::{decode_path, without_password};

pub use self::chosen::{Chosen, REMOTE_FILE, is_library, local_root};
use self::files::{PROJECT_FILE, Reach, at_home, files};
pub use self::model_tables::{HttpTable, ModelTable, OnnxTable};
pub use self::settings::{Key, SETTINGS, Setting, Text, Value, keys, parse_bytes};
use self::settings::{Kind, keys::LIBRARY, split};
use crate::{Directories, Error, Result};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is what songrec comes with.
    Default,
    /// A configuration file, and the line there.
    File(PathBuf, usize),
    /// A variable in a `.env` file.
    DotEnv(PathBuf, String),
    /// A variable of the environment.
    Variable(String),
    /// A flag on the command line.
    Flag(&'static str),
    /// The working folder lies in the library with this folder.
    WorkingFolder(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::DotEnv(path, name) => write!(f, "{name} in {}", path.display()),
            Self::Variable(name) => write!(f, "{name} in the environment"),
            Self::Flag(name) => write!(f, "{name} on the command line"),
            Self::WorkingFolder(_) => f.write_str("the library that the working folder is in"),
        }
    }
}

/// A named library, as a version-control tool names remotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedLibrary {
    /// `local` or `astra`.
    pub kind: String,
    /// The folder of a local library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The address of an Astra library; that of `[astra]` if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The keyspace of an Astra library; that of `[astra]` if none is given.
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
    /// The address of the S3 server, where it is not Amazon's; as `[blobs]`
    /// says if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobs_endpoint: Option<String>,
    /// The region of the bucket; as `[blobs]` says if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobs_region: Option<String>,
    /// The file that says so, if it lies in a project or a library, where
    /// somebody else may have written it.
    #[serde(skip)]
    pub project_file: Option<PathBuf>,
}

/// All settings of one run, each with its origin.
///
/// A flag comes before the environment, then a `.env` file in the working
/// folder, one in the library's folder or beside it, the project's file, what
/// the library remembers of its remote, the user's file, the system's file, the
/// default. Only which library is used has an order of its own: after flags and
/// variables the library comes that the working folder lies in.
#[derive(Clone)]
pub struct Config {
    values: BTreeMap<&'static str, (Vec<String>, Origin)>,
    /// What the library that the working folder lies in came before.
    overruled: BTreeMap<&'static str, (Vec<String>, Origin)>,
    /// The folder of the library that the working folder lies in.
    around: Option<PathBuf>,
    libraries: BTreeMap<String, (NamedLibrary, Origin)>,
    models: BTreeMap<String, (ModelTable, Origin)>,
    /// The tokens of libraries and of models that have their own.
    tokens: Tokens,
    directories: Directories,
    host: String,
}

// By the variables that hold them; never shown.
#[derive(Clone, Default)]
struct Tokens(BTreeMap<String, String>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

// As it is shown to people: without secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.show().into_iter().filter_map(|shown| Some((shown.key, shown.value?)));
        f.debug_map().entries(set).finish()
    }
}

/// From where settings are read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folders of the user.
    pub directories: Directories,
    /// The folder in which `.env` and the project's file are looked for.
    pub working_folder: PathBuf,
    /// The environment, each value as [`encode_path`](songrec_core::encode_path)
    /// writes it, so that paths may have any bytes.
    pub variables: BTreeMap<String, String>,
    /// The configuration file in place of the usual ones.
    pub file: Option<PathBuf>,
    /// No files at all.
    pub no_files: bool,
    /// Flags: the setting, its value (paths as
    /// [`encode_path`](songrec_core::encode_path) writes them), and the flag's
    /// name.
    pub flags: Vec<(Setting, String, &'static str)>,
    /// What this machine is called, where no setting says it.
    pub host: String,
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, names an unknown key, or a value is not
    /// what its key takes.
    pub fn load(sources: Sources) -> Result<Self> {
        let config = Self::read(&sources, None)?;
        // Which library is used has to be known before its files can be read,
        // and mostly there are none.
        let library = local_root(&config);
        match sources.no_files || !files::says_anything(&library) {
            true => Ok(config),
            false => Self::read(&sources, Some(&library)),
        }
    }

    // Reads all settings, also those beside a library.
    fn read(sources: &Sources, library: Option<&Path>) -> Result<Self> {
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
            directories: sources.directories.clone(),
            host: sources.host.clone(),
            overruled: BTreeMap::new(),
            around: None,
        };
        for file in files(sources, library) {
            config.read_file(&file)?;
        }
        if !sources.no_files {
            let here = sources.working_folder.join(".env");
            for beside in library.iter().flat_map(|library| files::dot_envs(library)) {
                if beside != here {
                    config.read_dot_env(&beside, Reach::Remote, &sources.variables)?;
                }
            }
            config.read_dot_env(&here, Reach::All, &sources.variables)?;
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
        for (setting, value, flag) in &sources.flags {
            config.set(setting, value, Origin::Flag(flag))?;
        }
        config.choose(&sources.working_folder);
        Ok(config)
    }

    /// The folders of the user.
    pub const fn directories(&self) -> &Directories {
        &self.directories
    }

    /// What this machine is called, where no setting says it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The value of a setting.
    pub fn get<V: Value>(&self, key: Key<V>) -> V::Of<'_> {
        V::of(self.values.get(key.name()).map(|(texts, _)| texts.as_slice()).unwrap_or_default())
    }

    /// The library called `name`, if one is configured.
    pub fn library(&self, name: &str) -> Option<&NamedLibrary> {
        self.libraries.get(name).map(|(library, _)| library)
    }

    /// Every `[libraries.NAME]`, by name.
    pub fn libraries(&self) -> impl Iterator<Item = (&str, &NamedLibrary)> {
        self.libraries.iter().map(|(name, (library, _))| (name.as_str(), library))
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

    /// Where a setting came from, if it is set.
    pub fn origin<V>(&self, key: Key<V>) -> Option<&Origin> {
        self.values.get(key.name()).map(|(_, origin)| origin)
    }

    /// The file that a value comes from, if it lies in a project or with a
    /// library, where somebody else may have written it: the project's file, or
    /// a `.env`.
    pub fn project_file<V>(&self, key: Key<V>) -> Option<&Path> {
        match self.origin(key) {
            Some(Origin::File(path, _)) => {
                let of_project = path.file_name().is_some_and(|name| name == PROJECT_FILE);
                of_project.then_some(path.as_path())
            }
            Some(Origin::DotEnv(path, _)) => Some(path),
            _ => None,
        }
    }

    /// Every setting with its value and origin; secrets hidden.
    pub fn show(&self) -> Vec<Shown> {
        let settings = SETTINGS.iter().map(|setting| {
            let (value, origin) = match self.values.get(setting.key) {
                Some((_, origin)) if setting.secret => {
                    (Some("(set, hidden)".to_owned()), Some(origin))
                }
                Some((values, origin)) if setting.kind == Kind::Path => {
                    let path = values.first().map(|text| decode_path(text).display().to_string());
                    (path, Some(origin))
                }
                Some((values, origin)) => {
                    (Some(without_password(&values.join(",")).into_owned()), Some(origin))
                }
                // It is used all the same.
                None if setting.key == LIBRARY.name() => {
                    (Some(self.directories.library.display().to_string()), Some(&Origin::Default))
                }
                None => (None, None),
            };
            Shown {
                key: setting.key.to_owned(),
                value,
                origin: origin.map(|origin| self.origin_in_words(setting.key, origin)),
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

    // Where a value came from, and what it came before.
    fn origin_in_words(&self, key: &str, origin: &Origin) -> String {
        match (origin, self.overruled.get(key)) {
            (Origin::WorkingFolder(_), Some((values, other))) => {
                let value = values.first().map(|text| decode_path(text)).unwrap_or_default();
                format!("{origin}; elsewhere it is `{}` ({other})", value.display())
            }
            _ => origin.to_string(),
        }
    }

    /// The same settings with another value of one.
    pub(crate) fn with<V>(&self, key: Key<V>, text: &str) -> Result<Self> {
        let mut config = self.clone();
        config.set(&key.setting(), text, Origin::Flag("a request"))?;
        Ok(config)
    }

    fn set(&mut self, setting: &Setting, text: &str, origin: Origin) -> Result<()> {
        let mut values = split(setting, text);
        if setting.kind == Kind::Path {
            values = values.into_iter().map(at_home).collect();
        }
        self.set_values(setting, values, origin)
    }

    fn set_values(&mut self, setting: &Setting, values: Vec<String>, origin: Origin) -> Result<()> {
        let expected = match (setting.kind, values.first()) {
            (kind, found) if kind != Kind::List && (found.is_none() || values.len() > 1) => {
                "one value".into()
            }
            (Kind::Count, Some(text)) if text.parse::<usize>().is_err() => "a whole number".into(),
            (Kind::Number, Some(text)) if !text.parse().is_ok_and(f64::is_finite) => {
                "a number, such as 0.8".into()
            }
            (Kind::Bytes, Some(text)) if parse_bytes(text).is_none() => {
                "a size such as `500M` or `2G`".into()
            }
            (Kind::Flag, Some(text)) if text != "true" && text != "false" => {
                "`true` or `false`".into()
            }
            (Kind::Choice(of), Some(text)) if !of.contains(&text.as_str()) => {
                format!("one of `{}`", of.join("`, `"))
            }
            _ => {
                self.values.insert(setting.key, (values, origin));
                return Ok(());
            }
        };
        let text = match setting.secret {
            true => "(hidden)".to_owned(),
            false => without_password(&values.join(",")).into_owned(),
        };
        Err(Error::usage(format_args!("`{text}` is not a value for `{}`", setting.key))
            .because(format!("it comes from {origin}, and should be {expected}"))
            .with_hint(format_args!("`{}` is {}", setting.key, setting.about)))
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
