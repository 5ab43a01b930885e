//! Settings in files: which files, and what stands on which line of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use songrec_core::{Hint, Remedy, encode_path, has_password};
use toml::de::{DeTable, DeValue};

use super::{
    Config, ModelTable, NamedLibrary, Origin, REMOTE_FILE, Sources,
    settings::{Kind, SETTINGS, Setting, find, nearest_key, split},
};
use crate::{Error, Result};

/// The project's own file, looked for in the working folder and above it.
pub(super) const PROJECT_FILE: &str = ".songrec.toml";
const SYSTEM_FILE: &str = "/etc/songrec/config.toml";

/// A file that may hold settings.
pub(super) struct ConfigFile {
    path: PathBuf,
    required: bool,
    project: bool,
    reach: Reach,
}

/// What a file may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    /// Only what a library is synced with, and how that is reached: the file
    /// lies with the library, which may be somebody else's.
    Remote,
}

impl Reach {
    fn allows(self, key: &str) -> bool {
        let section = key.split('.').next();
        self == Self::All || matches!(section, Some("sync" | "libraries" | "astra" | "blobs"))
    }
}

/// The files that are read, the one that counts least first.
pub(super) fn files(sources: &Sources, library: Option<&Path>) -> Vec<ConfigFile> {
    if sources.no_files {
        return Vec::new();
    }
    let optional =
        |path: PathBuf, project| ConfigFile { path, required: false, project, reach: Reach::All };
    let mut files = match &sources.file {
        Some(path) => vec![ConfigFile { required: true, ..optional(path.clone(), false) }],
        None => vec![
            optional(PathBuf::from(SYSTEM_FILE), false),
            optional(sources.directories.config.clone(), false),
        ],
    };
    files.extend(library.map(|library| {
        let file = optional(library.join(REMOTE_FILE), true);
        ConfigFile { reach: Reach::Remote, ..file }
    }));
    if sources.file.is_none() {
        let project = sources.working_folder.ancestors().map(|folder| folder.join(PROJECT_FILE));
        let nearest = project.into_iter().find(|path| path.is_file());
        files.extend(nearest.map(|path| optional(path, true)));
    }
    files
}

/// Where variables are looked for that belong to a library, the file that
/// counts least first: beside its folder, and in it.
pub(super) fn dot_envs(library: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let beside = library.parent().map(|folder| folder.join(".env"));
    beside.into_iter().chain([library.join(".env")])
}

/// Whether a library has files of its own that say anything.
pub(super) fn says_anything(library: &Path) -> bool {
    library.join(REMOTE_FILE).is_file() || dot_envs(library).any(|path| path.is_file())
}

// Whether nobody but this user, or the system's own, wrote a file: the folder
// beside a library may be one that anybody can write to.
#[cfg(unix)]
fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(path).map(|metadata| metadata.uid());
    owner.is_ok_and(|owner| owner == 0 || owner == rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    true
}

/// A file that is being read.
struct Reading<'a> {
    file: &'a ConfigFile,
    /// On which line each key stands, by its dotted name.
    lines: BTreeMap<String, usize>,
}

impl<'a> Reading<'a> {
    fn of(file: &'a ConfigFile, text: &str) -> Self {
        let mut lines = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            note_lines(text, "", table.get_ref(), &mut lines);
        }
        Self { file, lines }
    }

    fn line(&self, key: &str) -> usize {
        self.lines.get(key).copied().unwrap_or(1)
    }

    fn origin(&self, key: &str) -> Origin {
        Origin::File(self.file.path.clone(), self.line(key))
    }

    // What is wrong with a table, such as `libraries.far`; the line is that of
    // the key which the reason names, if it names one.
    fn wrong_table(&self, table: &str, why: String) -> Error {
        let key = why.split('`').nth(1).map(|key| format!("{table}.{key}")).unwrap_or_default();
        let line = self.lines.get(&key).copied().unwrap_or_else(|| self.line(table));
        let path = self.file.path.display();
        Error::usage(format_args!("`[{table}]` in `{path}`, line {line}, is wrong"))
            .because(why)
            .with_hint("`config.toml` of songrec's sources shows every key with an example")
    }
}

fn note_lines(text: &str, prefix: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            note_lines(text, &format!("{name}."), inner, lines);
        }
        lines.insert(name, line_at(text, key.span().start));
    }
}

fn line_at(text: &str, place: usize) -> usize {
    1 + text.bytes().take(place).filter(|byte| *byte == b'\n').count()
}

impl Config {
    pub(super) fn read_file(&mut self, file: &ConfigFile) -> Result<()> {
        let path = &file.path;
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.required => {
                return Ok(());
            }
            Err(error) => return Err(Error::io("read the configuration", path, error)),
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let path = path.display();
            let line = line_at(&text, error.span().map_or(0, |span| span.start));
            // Without the line itself, which may hold a secret.
            Error::usage(format_args!("the configuration `{path}` is not TOML in line {line}"))
                .because(error.message().trim().to_owned())
                .with_hint("texts stand in quotation marks, such as `model = \"dsp45@1\"`")
        })?;
        let reading = Reading::of(file, &text);
        for (name, value) in table {
            match value {
                toml::Value::Table(libraries) if name == "libraries" => {
                    for (name, value) in libraries {
                        self.read_library(&reading, &name, value)?;
                    }
                }
                toml::Value::Table(models) if name == "models" => {
                    for (name, value) in models {
                        self.read_model(&reading, &name, value)?;
                    }
                }
                toml::Value::Table(section) => {
                    for (key, value) in section {
                        self.read_value(&reading, &format!("{name}.{key}"), value)?;
                    }
                }
                value => self.read_value(&reading, &name, value)?,
            }
        }
        Ok(())
    }

    fn read_library(
        &mut self,
        reading: &Reading<'_>,
        name: &str,
        value: toml::Value,
    ) -> Result<()> {
        let (file, key) = (reading.file, format!("libraries.{name}"));
        let wrong = |why: String| reading.wrong_table(&key, why);
        let mut library: NamedLibrary =
            value.try_into().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
        if library.kind == "local" && library.path.is_none() {
            return Err(wrong("a local library needs a `path`".to_owned()));
        }
        for (name, address) in [("endpoint", &library.endpoint), ("blobs", &library.blobs)] {
            if address.as_deref().is_some_and(has_password) {
                return Err(wrong(format!("`{name}` holds a password, which belongs into `.env`")));
            }
        }
        if file.project && library.token_variable.is_some() {
            return Err(wrong("a project's file may not name a token".to_owned()));
        }
        library.project_file = file.project.then(|| file.path.clone());
        library.path = library.path.map(|path| resolve(&path, file.path.parent()));
        if let Some((known, _)) = self.libraries.get(name)
            && file.reach == Reach::Remote
            && known.is_where(&library)
        {
            // The user's own table says the same, and may name a token.
            return Ok(());
        }
        self.libraries.insert(name.to_owned(), (library, reading.origin(&key)));
        Ok(())
    }

    fn read_model(&mut self, reading: &Reading<'_>, name: &str, value: toml::Value) -> Result<()> {
        let (file, key) = (reading.file, format!("models.{name}"));
        let wrong = |why: String| reading.wrong_table(&key, why);
        let mut table: ModelTable =
            value.try_into().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
        table.check(name).map_err(wrong)?;
        match &mut table {
            // What it names is loaded, and so could do anything.
            ModelTable::Onnx(table) if file.project && table.library.is_some() => {
                return Err(wrong("a project's file may not name a `library`".to_owned()));
            }
            ModelTable::Onnx(table) => {
                for path in [&mut table.folder, &mut table.library] {
                    *path = path.take().map(|path| resolve(&path, file.path.parent()));
                }
            }
            // Otherwise the author of a project's file could have any
            // variable of this user sent anywhere.
            ModelTable::Http(table) if file.project && table.token_variable.is_some() => {
                return Err(wrong("a project's file may not name a token".to_owned()));
            }
            ModelTable::Http(_) => {}
        }
        self.models.insert(name.to_owned(), (table, reading.origin(&key)));
        Ok(())
    }

    fn read_value(&mut self, reading: &Reading<'_>, key: &str, value: toml::Value) -> Result<()> {
        let (path, line) = (reading.file.path.display(), reading.line(key));
        let Some(setting) = find(key) else {
            let error =
                Error::usage(format_args!("`{key}` in `{path}`, line {line}, is not a setting"));
            return Err(match nearest_key(key) {
                Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
                None => error.with_hint(Hint::of("{} lists all settings", [Remedy::ShowSettings])),
            });
        };
        if !reading.file.reach.allows(key) {
            return Err(Error::usage(format_args!("`{key}` may not stand in `{path}`"))
                .because("the file only says what the library is synced with")
                .with_hint(Hint::of(
                    "set it in your own configuration; {} says where",
                    [Remedy::ShowFolders],
                )));
        }
        if setting.secret && reading.file.project {
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
                let resolved = resolve(Path::new(value.as_str()), reading.file.path.parent());
                *value = encode_path(&resolved);
            }
        }
        self.set_values(setting, values, reading.origin(key))
    }

    // `.env` fills gaps only: a variable of the environment wins, whichever
    // of a setting's names it has.
    pub(super) fn read_dot_env(
        &mut self,
        path: &Path,
        reach: Reach,
        variables: &BTreeMap<String, String>,
    ) -> Result<()> {
        if !path.is_file() {
            return Ok(());
        }
        if reach == Reach::Remote && !is_own(path) {
            tracing::warn!("`{}` is another user's, and is not read", path.display());
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
        let allowed = |setting: &&Setting| reach.allows(setting.key);
        for setting in SETTINGS.iter().filter(allowed) {
            for name in setting.variables.iter().rev() {
                let Some(value) = found.get(*name).filter(|value| !value.is_empty()) else {
                    continue;
                };
                if !variables.contains_key(*name) {
                    let origin = Origin::DotEnv(path.to_owned(), (*name).to_owned());
                    match setting.kind {
                        Kind::Path => self.set(setting, &encode_path(Path::new(value)), origin)?,
                        _ => self.set(setting, value, origin)?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// A path whose `~` nobody replaced, as in `.env` and behind `=`, from the
/// user's home.
pub(super) fn at_home(path: String) -> String {
    let rest = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (rest, etcetera::home_dir()) {
        (Some(rest), Ok(home)) => format!("{}{rest}", songrec_core::encode_path(&home)),
        _ => path,
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
