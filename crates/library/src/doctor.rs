//! What works here, and what does not.

use serde::Serialize;
use songrec_audio::built_in_models;
use songrec_core::Filter;

use crate::{Config, Error, ErrorKind, Library};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it is.
    pub state: CheckState,
    /// What was found, in words.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What kind of trouble it is, for the exit code.
    #[serde(skip)]
    pub kind: Option<ErrorKind>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants say it")]
pub enum CheckState {
    Good,
    Doubtful,
    Broken,
}

fn good(name: &str, detail: impl Into<String>) -> Check {
    let (name, detail) = (name.to_owned(), detail.into());
    Check { name, state: CheckState::Good, detail, hint: None, kind: None }
}

#[cfg(feature = "astra")]
impl From<songrec_astra::Probe> for Check {
    fn from(probe: songrec_astra::Probe) -> Self {
        Self {
            name: format!("astra: {}", probe.check),
            state: match (probe.ok, probe.only_a_warning) {
                (true, _) => CheckState::Good,
                (false, true) => CheckState::Doubtful,
                (false, false) => CheckState::Broken,
            },
            detail: probe.outcome,
            hint: probe.hint,
            kind: (!probe.ok && !probe.only_a_warning).then_some(ErrorKind::Temporary),
        }
    }
}

impl Check {
    /// Something that did not work.
    pub fn broken(name: &str, error: &Error) -> Self {
        broken(name, error)
    }
}

fn broken(name: &str, error: &Error) -> Check {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        detail = format!("{detail}: {source}");
        cause = source.source();
    }
    Check {
        name: name.to_owned(),
        state: CheckState::Broken,
        detail,
        hint: error.hint().map(str::to_owned),
        kind: Some(error.kind()),
    }
}

/// Looks at everything that songrec needs, and at the library that would be
/// used. Changes nothing.
pub async fn doctor(config: &Config, library: Result<&Library, &Error>) -> Vec<Check> {
    let mut checks = vec![configuration(config), folders(config), processors(config)];
    checks.push(good(
        "models",
        built_in_models().iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", "),
    ));
    checks.push(good("formats", songrec_audio::FORMATS.to_owned()));
    match library {
        Err(error) => checks.push(broken("library", error)),
        Ok(library) => {
            checks.push(good("library", format!("{} opens", library.backend)));
            checks.push(known_models(library).await);
            checks.push(match library.backend.count_songs(&Filter::all()).await {
                Ok(0) => Check {
                    hint: Some("`songrec scan PATH` adds songs".to_owned()),
                    state: CheckState::Doubtful,
                    ..good("songs", "there are none yet")
                },
                Ok(songs) => good("songs", songs.to_string()),
                Err(error) => broken("songs", &error.into()),
            });
            checks.push(match library.failed_files() {
                Ok(failed) if failed.is_empty() => {
                    good("files", "all that were seen could be read")
                }
                Ok(failed) => Check {
                    state: CheckState::Doubtful,
                    hint: Some("`songrec scan --failed` lists them and tries again".to_owned()),
                    ..good("files", format!("{} could not be read", failed.len()))
                },
                Err(error) => broken("files", &error),
            });
        }
    }
    checks
}

// Whether the library made room for models as this version knows them.
async fn known_models(library: &Library) -> Check {
    let known = match library.backend.models().await {
        Ok(known) => known,
        Err(error) => return broken("rooms", &error.into()),
    };
    let differs = |ours: &&songrec_core::ModelSpec| {
        known.iter().any(|theirs| {
            theirs.name == ours.name
                && (theirs.dimension != ours.dimension || theirs.metric != ours.metric)
        })
    };
    let ours = built_in_models();
    let different: Vec<&str> = ours.iter().filter(differs).map(|spec| spec.name.as_str()).collect();
    if different.is_empty() {
        return good("rooms", format!("for {} models", known.len()));
    }
    Check {
        state: CheckState::Broken,
        hint: Some("use another library, or the version of songrec that made this one".to_owned()),
        kind: Some(ErrorKind::Corrupt),
        ..good("rooms", format!("of another dimension or metric for {}", different.join(", ")))
    }
}

fn configuration(config: &Config) -> Check {
    let set =
        config.show().iter().filter(|shown| shown.origin.as_deref() != Some("default")).count();
    good("configuration", format!("read; {set} settings differ from their defaults or are unset"))
}

// Whether what songrec keeps for itself can be written.
fn folders(config: &Config) -> Check {
    let directories = config.directories();
    for folder in [&directories.state, &directories.cache] {
        let probe = folder.join(format!(".doctor-{}", std::process::id()));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&probe, b"songrec"))
            .and_then(|()| std::fs::remove_file(&probe));
        if let Err(error) = written {
            return broken("folders", &Error::io("write to", folder, error));
        }
    }
    good("folders", format!("state in {}", directories.state.display()))
}

fn processors(config: &Config) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = match config.count("threads") {
        0 => cores,
        given => given,
    };
    good("processors", format!("{cores}, of which a scan uses {threads}"))
}
