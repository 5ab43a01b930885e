//! What works here, and what does not.

use std::sync::Arc;

use serde::Serialize;
use songrec_core::Filter;

use crate::{Config, Error, ErrorKind, KnownModel, Library, ModelPlace, Models};

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
pub async fn doctor(config: &Arc<Config>, library: Result<&Library, &Error>) -> Vec<Check> {
    let mut checks = vec![configuration(config), folders(config), processors(config)];
    checks.extend(hearing(config).await);
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
    let ours: Vec<songrec_core::ModelSpec> =
        library.models().list().into_iter().flatten().map(|model| model.spec).collect();
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

// The models, what computes them, and the servers of those that are far away.
async fn hearing(config: &Arc<Config>) -> Vec<Check> {
    let models = Models::new(config.clone());
    let mut checks = Vec::new();
    let mut names = Vec::new();
    let mut needs_runtime = false;
    let mut far_away = Vec::new();
    for model in models.list() {
        match model {
            Ok(model) => {
                needs_runtime |= models.needs_runtime(&model);
                names.push(model.spec.name.to_string());
                if matches!(model.place, ModelPlace::Http(_)) {
                    far_away.push(model);
                }
            }
            Err(error) => checks.push(broken("model", &error)),
        }
    }
    checks.insert(0, good("models", names.join(", ")));
    checks.extend(engines(&models, needs_runtime));
    for model in far_away {
        checks.push(server(&models, &model).await);
    }
    checks
}

fn engines(models: &Models, needs_runtime: bool) -> Vec<Check> {
    let search = models.runtime_search();
    let runtime = match search.first() {
        Some(path) => good("engine: ort", format!("ONNX Runtime is at {}", path.display())),
        None => Check {
            state: if needs_runtime { CheckState::Broken } else { CheckState::Good },
            kind: needs_runtime.then_some(ErrorKind::Usage),
            hint: needs_runtime.then(|| {
                "`pip install onnxruntime`, name its library in `ORT_DYLIB_PATH`, or take `rten`"
                    .to_owned()
            }),
            ..good("engine: ort", format!("ONNX Runtime was not found; looked at {search}"))
        },
    };
    vec![good("engine: rten", "built in"), runtime]
}

#[cfg(feature = "bridge")]
async fn server(models: &Models, model: &KnownModel) -> Check {
    let name = format!("server: {}", model.spec.name);
    match models.server_health(model).await {
        Ok(Some(health)) => {
            let platform = health.model.map(|model| model.platform).filter(|text| !text.is_empty());
            let platform = platform.map(|text| format!(", by {text}")).unwrap_or_default();
            good(
                &name,
                format!("{} is well ({:.0} ms){platform}", model.place, health.latency * 1000.0),
            )
        }
        Ok(None) => good(&name, "on this machine"),
        Err(error) => broken(&name, &error),
    }
}

#[cfg(not(feature = "bridge"))]
async fn server(_: &Models, model: &KnownModel) -> Check {
    Check {
        state: CheckState::Doubtful,
        hint: Some("use a songrec that was built with the feature `bridge`".to_owned()),
        ..good(&format!("server: {}", model.spec.name), "cannot be asked by this songrec")
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
