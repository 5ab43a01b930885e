//! What works here, and what does not.

use std::sync::Arc;

use serde::Serialize;
use songrec_core::{Filter, Hint, Remedy, Scan};
use songrec_local::{IndexState, ListsState};
use songrec_models::EngineKind;

use crate::{
    Config, Error, ErrorKind, HAS_TIMBRE, KnownModel, Library, ModelPlace, Models, TIMBRE,
    decoding::Decoding, keys, similar::few_embedded,
};

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
    pub hint: Option<Hint>,
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

impl Check {
    /// Something that did not work.
    pub fn broken(name: &str, error: &Error) -> Self {
        broken(name, error)
    }

    /// What a library in Astra found out about itself.
    #[cfg(feature = "astra")]
    pub(crate) fn of_probe(probe: songrec_astra::Probe) -> Self {
        Self {
            name: format!("astra: {}", probe.check),
            state: match (probe.kind, probe.only_a_warning) {
                (Some(_), _) => CheckState::Broken,
                (None, true) => CheckState::Doubtful,
                (None, false) => CheckState::Good,
            },
            detail: probe.outcome,
            hint: probe.hint,
            kind: probe.kind.map(ErrorKind::from),
        }
    }

    /// This, where `others` say what is wrong: said once, and not here.
    #[must_use]
    pub fn explained_by(self, others: &[Self]) -> Self {
        match others.iter().find(|other| other.state == CheckState::Broken) {
            Some(other) if self.state == CheckState::Broken => {
                Self { detail: format!("does not open: see `{}`", other.name), hint: None, ..self }
            }
            _ => self,
        }
    }
}

fn broken(name: &str, error: &Error) -> Check {
    Check {
        name: name.to_owned(),
        state: CheckState::Broken,
        detail: error.in_one_line(),
        hint: error.hint().cloned(),
        kind: Some(error.kind()),
    }
}

/// Looks at everything that a library in Astra needs.
///
/// # Errors
///
/// When the settings are not complete.
#[cfg(feature = "astra")]
pub async fn doctor_astra(config: &Config) -> crate::Result<Vec<Check>> {
    let backend = crate::open::connect_in_haste(config)?;
    Ok(backend.doctor().await.into_iter().map(Check::of_probe).collect())
}

/// Looks at everything that songrec needs, and at the library that would be
/// used. Changes nothing.
pub async fn doctor(config: &Arc<Config>, library: Result<&Library, &Error>) -> Vec<Check> {
    let mut checks = vec![configuration(config), folders(config), processors(config)];
    checks.extend(check_models(config).await);
    checks.push(good("formats", songrec_audio::FORMATS.to_owned()));
    checks.push(ffmpeg(config));
    match library {
        Err(error) => checks.push(broken("library", error)),
        Ok(library) => {
            let opens = good("library", format!("{} opens", library.backend));
            checks.push(match library.may_write() {
                Ok(()) => opens,
                Err(error) => Check {
                    state: CheckState::Doubtful,
                    hint: error.hint().cloned(),
                    detail: format!("{}, for reading: {}", opens.detail, error.in_one_line()),
                    ..opens
                },
            });
            checks.push(known_models(library).await);
            checks.extend(usual_model(library).await);
            checks.push(match library.backend.songs().count(&Filter::all()).await {
                Ok(0) => Check {
                    hint: Some(Hint::of("{} adds songs", [Remedy::Scan(Scan::Files)])),
                    state: CheckState::Doubtful,
                    ..good("songs", "there are none yet")
                },
                Ok(songs) => good("songs", songs.to_string()),
                Err(error) => broken("songs", &error.into()),
            });
            checks.extend(indexes(library).await);
            checks.push(match crate::scan::failed_files(library) {
                Ok(failed) if failed.is_empty() => {
                    good("files", "all that were seen could be read")
                }
                Ok(failed) => Check {
                    state: CheckState::Doubtful,
                    hint: Some(Hint::of(
                        "{} lists them and tries again",
                        [Remedy::Scan(Scan::Failed)],
                    )),
                    ..good("files", format!("{} could not be read", failed.len()))
                },
                Err(error) => broken("files", &error),
            });
        }
    }
    checks
}

// How far searches of a local library need not compare every vector.
async fn indexes(library: &Library) -> Option<Check> {
    let states = match library.local.as_ref()?.index_states().await {
        Ok(states) => states,
        Err(error) => return Some(broken("indexes", &error.into())),
    };
    let mut check = good("indexes", "");
    let mut all = Vec::new();
    for IndexState { model, of_segments, rows, lists, state } in states {
        if rows == 0 && state != ListsState::Lost {
            continue;
        }
        let of = if of_segments { "segments" } else { "songs" };
        let known = match lists {
            0 | 1 => format!("`{model}`: {rows} {of}, compared one by one"),
            _ => format!("`{model}`: {rows} {of} in {lists} lists"),
        };
        all.push(match state {
            ListsState::Ready => known,
            ListsState::Due => format!("{known}; better lists are built beside other work"),
            ListsState::BeingBuilt => format!("{known}; better lists are being built"),
            ListsState::Failed(why) => {
                check.state = CheckState::Doubtful;
                check.hint = Some(Hint::of(
                    "{} says more",
                    [Remedy::Verify { repair: false, read_data: false }],
                ));
                format!("{known}; better lists could not be built: {why}")
            }
            ListsState::Lost => {
                format!("`{model}`: the index of its {of} is lost; the next search makes it again")
            }
        });
    }
    check.detail = all.join("; ");
    (!all.is_empty()).then_some(check)
}

// Whether the library made room for models as this version knows them.
async fn known_models(library: &Library) -> Check {
    let known = match library.backend.embeddings().models().await {
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
        hint: Some("use another library, or the version of songrec that made this one".into()),
        kind: Some(ErrorKind::Corrupt),
        ..good("rooms", format!("of another dimension or metric for {}", different.join(", ")))
    }
}

// How many songs the model that searches compare by embedded.
async fn usual_model(library: &Library) -> Option<Check> {
    let name = "search";
    let known = match library.backend.embeddings().models().await {
        Ok(known) => known,
        // Said of the rooms.
        Err(_) => return None,
    };
    let coverage = match library.usual_coverage(&known).await {
        Ok(coverage) => coverage,
        Err(error) => return Some(broken(name, &error)),
    };
    let few = few_embedded(library.usual_model(), &coverage);
    Some(match few {
        None if !HAS_TIMBRE => good(
            name,
            format!(
                "compares by `{}`: this songrec was built without the feature `rten`, which \
                 `{TIMBRE}` needs",
                coverage.model
            ),
        ),
        None => good(name, format!("compares by `{}`", coverage.model)),
        Some(_) => Check {
            state: CheckState::Doubtful,
            hint: Some(Hint::of(
                "{} lets it embed the others",
                [Remedy::Scan(Scan::Unembedded(Some(library.usual_model().to_owned())))],
            )),
            ..good(
                name,
                format!(
                    "compares by `{}`; `{}` embedded {} of {} songs",
                    coverage.model,
                    library.usual_model(),
                    coverage.embedded,
                    coverage.embedded + coverage.lacking
                ),
            )
        },
    })
}

// The models, what computes them, and the servers of those that are far away.
async fn check_models(config: &Arc<Config>) -> Vec<Check> {
    let models = Arc::new(Models::new(config.clone()));
    let (known, broken_ones): (Vec<_>, Vec<_>) =
        models.list().into_iter().partition(std::result::Result::is_ok);
    let known: Vec<KnownModel> = known.into_iter().flatten().collect();
    let names: Vec<&str> = known.iter().map(|model| model.spec.name.as_str()).collect();
    let mut checks = vec![good("models", names.join(", "))];
    checks.extend(
        broken_ones
            .iter()
            .filter_map(|model| model.as_ref().err())
            .map(|error| broken("model", error)),
    );
    checks.push(rten(&known));
    checks.extend(onnx_runtime(&models, &known));
    for model in known.iter().filter(|model| matches!(model.place, ModelPlace::Http(_))) {
        checks.push(server(&models, model).await);
    }
    checks
}

// Those of `known` that are computed by `engine`.
fn computed_by(known: &[KnownModel], engine: EngineKind) -> impl Iterator<Item = &KnownModel> {
    known.iter().filter(move |model| match &model.place {
        ModelPlace::Onnx(place) => place.engine == engine,
        ModelPlace::BuiltIn | ModelPlace::Http(_) => false,
    })
}

fn rten(known: &[KnownModel]) -> Check {
    let name = "engine: rten";
    if cfg!(feature = "rten") {
        return good(name, "built in");
    }
    left_out(name, "rten", computed_by(known, EngineKind::Rten).next())
}

// Where ONNX Runtime is, or was looked for: for each model that asks for it,
// else in general.
fn onnx_runtime(models: &Models, known: &[KnownModel]) -> Vec<Check> {
    let name = "engine: ort";
    let asking: Vec<&KnownModel> = computed_by(known, EngineKind::Ort).collect();
    if cfg!(not(feature = "ort")) {
        return vec![left_out(name, "ort", asking.first().copied())];
    }
    if asking.is_empty() {
        let search = models.runtime_search();
        return vec![match search.first() {
            Some(path) => good(name, format!("ONNX Runtime is at {}", path.display())),
            None => good(name, format!("nobody asks for ONNX Runtime; looked for it at {search}")),
        }];
    }
    let check = |model: &&KnownModel| {
        let model_name = &model.spec.name;
        let search = models.search_for(model);
        match search.first() {
            Some(path) => {
                good(name, format!("ONNX Runtime is at {}, for `{model_name}`", path.display()))
            }
            None => Check {
                state: CheckState::Broken,
                kind: Some(ErrorKind::Usage),
                hint: Some(
                    "`pip install onnxruntime`, name its library in `ORT_DYLIB_PATH`, or take \
                     `rten`"
                        .into(),
                ),
                ..good(
                    name,
                    format!(
                        "`{model_name}` asks for ONNX Runtime, which was not found; looked at \
                         {search}"
                    ),
                )
            },
        }
    };
    asking.iter().map(check).collect()
}

// An engine that this songrec was built without.
fn left_out(name: &str, feature: &str, asking: Option<&KnownModel>) -> Check {
    let detail = format!("this songrec was built without the feature `{feature}`");
    match asking {
        None => good(name, detail),
        Some(model) => Check {
            state: CheckState::Broken,
            kind: Some(ErrorKind::Usage),
            hint: Some(Hint::from(format_args!(
                "take a songrec with it, or set `engine` in `[models.{}]`",
                model.spec.name.name()
            ))),
            ..good(name, format!("`{}` asks for it, but {detail}", model.spec.name))
        },
    }
}

// Whether the server of a model is well, and embeds a window of noise.
#[cfg(feature = "bridge")]
async fn server(models: &Arc<Models>, model: &KnownModel) -> Check {
    let name = format!("server: {}", model.spec.name);
    let found = match models.server_health(model).await {
        Ok(health) => crate::bench_model(models, model, 0.1, &songrec_core::Job::silent())
            .await
            .map(|bench| (health, bench)),
        Err(error) => Err(error),
    };
    let (health, bench) = match found {
        Ok(found) => found,
        Err(error) => {
            let breaker = models.server_figures(model).map(|figures| figures.breaker);
            let breaker = breaker.map(|breaker| format!("; breaker {breaker}"));
            let check = broken(&name, &error);
            return Check { detail: check.detail + &breaker.unwrap_or_default(), ..check };
        }
    };
    let platform = health.as_ref().and_then(|health| health.model.as_ref());
    let platform = platform.map(|model| model.platform.as_str()).filter(|text| !text.is_empty());
    let platform = platform.map(|text| format!(", by {text}")).unwrap_or_default();
    let latency = health.map_or(0.0, |health| health.latency * 1000.0);
    let mut detail = format!("{} is well ({latency:.0} ms){platform}", model.place);
    if let Some(figures) = bench.server {
        let failed: u64 = figures.failures.values().sum();
        detail += &format!(
            "; embedded a window in {:.0} ms: requests {}, failed {failed}, breaker {}",
            figures.mean_latency.unwrap_or_default() * 1000.0,
            figures.requests,
            figures.breaker
        );
    }
    good(&name, detail)
}

#[cfg(not(feature = "bridge"))]
async fn server(_: &Arc<Models>, model: &KnownModel) -> Check {
    Check {
        state: CheckState::Doubtful,
        hint: Some("take a songrec that was built with the feature `bridge`".into()),
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
            let error = Error::io("write to", folder, error).with_hint(Hint::of(
                "{} lists the folders: check who may write there",
                [Remedy::ShowFolders],
            ));
            return broken("folders", &error);
        }
    }
    good("folders", format!("state in {}", directories.state.display()))
}

// Whether another program reads what songrec does not.
fn ffmpeg(config: &Arc<Config>) -> Check {
    let installed = crate::decoding::installed();
    let asked = Decoding::new(config.clone()).ffmpeg();
    match (asked, installed) {
        (Ok(Some(ffmpeg)), _) => {
            good("ffmpeg", format!("{} reads what songrec does not", ffmpeg.version()))
        }
        (Ok(None), Ok(ffmpeg)) => good(
            "ffmpeg",
            format!("{} is there and not used; see `decode.ffmpeg`", ffmpeg.version()),
        ),
        (Ok(None), Err(_)) => good("ffmpeg", "not there, and not asked for"),
        (Err(error), _) => broken("ffmpeg", &error),
    }
}

fn processors(config: &Config) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = match config.get(keys::THREADS) {
        0 => cores,
        given => given,
    };
    good("processors", format!("{cores}, of which a scan uses {threads}"))
}
