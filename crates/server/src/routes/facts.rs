//! What the library is like as a whole.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use songrec_core::ModelName;
use songrec_library::{
    Config, NEAR, NearDuplicateOptions, doctor, duplicates, find, near_duplicates,
};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Unknown;
use crate::{
    input::{Query, filter, limit, offset},
    problem::{Problem, Result},
    server::{RequestJob, Server, Shared, done},
    words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(stats))
        .routes(routes!(filters))
        .routes(routes!(twice))
        .routes(routes!(models))
        .routes(routes!(checks))
        .routes(routes!(status))
        .routes(routes!(version))
}

/// Values of one key that are listed.
const VALUES: usize = 200;

/// Which songs are looked at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only songs that pass, as for the list of songs; may be repeated.
    #[serde(default)]
    filter: Vec<String>,
}

/// Counts songs, genres, tempos, keys, models.
#[utoipa::path(get, path = "/api/v1/stats", tag = "library", params(Which), responses(
    (status = 200, description = "The library in numbers", body = ref("#/components/schemas/stats")),
    (status = 304, description = "The client has this answer"),
))]
async fn stats(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(which): Query<Which>,
) -> Result<Response> {
    let job = RequestJob::new();
    let _turn = server.turn().await?;
    let filter = filter(&server.library, &which.filter, &job).await?;
    Ok(version.json(&find::stats(&server.library, &filter).await?))
}

/// Lists what filters can ask for: the keys, and the values that most songs have.
#[utoipa::path(get, path = "/api/v1/filters", tag = "library", params(Which), responses(
    (status = 200, description = "The keys", body = ref("#/components/schemas/filters")),
    (status = 304, description = "The client has this answer"),
))]
async fn filters(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(which): Query<Which>,
) -> Result<Response> {
    let job = RequestJob::new();
    let _turn = server.turn().await?;
    let filter = filter(&server.library, &which.filter, &job).await?;
    Ok(version.json(&done(find::facets(&server.library, &filter, VALUES, &job).await?)?))
}

/// Which duplicates are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Twice {
    /// Only songs that pass, as for the list of songs; may be repeated.
    #[serde(default)]
    filter: Vec<String>,
    /// Recordings that are almost the same, from this similarity on; without it files of
    /// the same recording are listed. 0.99 finds good encodings, 0.95 most.
    near: Option<f64>,
    /// The model to compare by.
    model: Option<String>,
    /// Whether songs of different lengths count as well.
    #[serde(default)]
    any_length: bool,
    /// How many, 1 to 1000; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many of the first are passed over.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
}

/// Lists recordings that are there more than once, or almost.
#[utoipa::path(get, path = "/api/v1/duplicates", tag = "library", params(Twice), responses(
    (status = 200, description = "The recordings", body = ref("#/components/schemas/duplicates")),
    (status = 304, description = "The client has this answer"),
))]
async fn twice(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(asked): Query<Twice>,
) -> Result<Response> {
    let job = RequestJob::new();
    let (limit, offset) = (limit(asked.limit, 100)?, offset(asked.offset)?);
    let _turn = server.turn().await?;
    let library = &server.library;
    let filter = filter(library, &asked.filter, &job).await?;
    let Some(near) = asked.near else {
        let mut found = Vec::new();
        let mut number = 0;
        let total = duplicates(library, &filter, |one| {
            if (offset..offset.saturating_add(limit)).contains(&number) {
                found.push(one);
            }
            number += 1;
        });
        let total = total.await?;
        return Ok(version.json(&json!({ "duplicates": found, "total": total })));
    };
    if !near.is_finite() {
        return Err(Problem::invalid("`near` is no similarity").tip(format!("{NEAR} finds most")));
    }
    let model = asked.model.as_deref().map(str::parse::<ModelName>).transpose();
    let model = model.map_err(|error| Problem::invalid(error.to_string()))?;
    let options =
        NearDuplicateOptions { model, threshold: near, filter, any_length: asked.any_length };
    let groups = done(near_duplicates(library, &options, &job).await?)?;
    let total = groups.len();
    let groups: Vec<_> = groups.into_iter().skip(offset).take(limit).collect();
    Ok(version.json(&json!({ "groups": groups, "total": total })))
}

/// Lists the models that can embed here.
#[utoipa::path(get, path = "/api/v1/models", tag = "library", responses(
    (status = 200, description = "The models, and what is wrong with others", body = ref("#/components/schemas/models")),
))]
async fn models(State(server): State<Shared>) -> Result<Response> {
    let (mut models, mut problems) = (Vec::new(), Vec::new());
    for model in server.library.models().list() {
        match model {
            Ok(model) => models.push(model),
            Err(error) => problems.push(error.in_one_line()),
        }
    }
    Ok(Json(json!({ "models": models, "problems": problems })).into_response())
}

/// Checks that songrec can work here.
#[utoipa::path(get, path = "/api/v1/doctor", tag = "library", responses(
    (status = 200, description = "What was checked, and how it is", body = ref("#/components/schemas/checks")),
))]
async fn checks(State(server): State<Shared>) -> Result<Response> {
    let _turn = server.turn().await?;
    let config = server.library.shared_config();
    let mut checks = doctor(&config, Ok(&server.library)).await;
    checks.extend(of_astra(&config, &server).await);
    checks.iter_mut().filter_map(|check| check.hint.as_mut()).for_each(words::put_in_words);
    Ok(Json(json!({ "checks": checks })).into_response())
}

// What a library in Astra needs, where that is the one that is served.
#[cfg(feature = "astra")]
async fn of_astra(config: &Config, server: &Server) -> Vec<songrec_library::Check> {
    if !server.library.is_remote() {
        return Vec::new();
    }
    match songrec_library::doctor_astra(config).await {
        Ok(checks) => checks,
        Err(error) => vec![songrec_library::Check::broken("astra", &error)],
    }
}

#[cfg(not(feature = "astra"))]
async fn of_astra(_: &Config, _: &Server) -> Vec<songrec_library::Check> {
    Vec::new()
}

/// Which kind of library is served.
pub(super) fn kind(server: &Server) -> &'static str {
    match (server.library.is_remote(), server.library.root()) {
        (true, _) => "astra",
        (false, Some(_)) => "local",
        (false, None) => "other",
    }
}

/// Says which library is served, and whether it can be changed.
#[utoipa::path(get, path = "/api/v1/status", tag = "library", responses(
    (status = 200, description = "The library", body = ref("#/components/schemas/status-of-library")),
))]
async fn status(State(server): State<Shared>) -> Result<Response> {
    let library = &server.library;
    let mut document = json!({
        "place": library.place(),
        "id": library.id(),
        "kind": kind(&server),
        "backend": library.config().get(songrec_library::keys::STORAGE_BACKEND),
        "writable": true,
        "songs": find::count(library, &find::Selection::default()).await?,
        "version": server.options.version,
    });
    if let Some(problem) = server.why_not_writable() {
        document["writable"] = json!(false);
        document["why_not_writable"] = json!(problem);
    }
    Ok(Json(document).into_response())
}

/// Says which songrec this is.
#[utoipa::path(get, path = "/api/v1/version", tag = "library", responses(
    (status = 200, description = "The version", body = ref("#/components/schemas/version")),
))]
async fn version(State(server): State<Shared>) -> Response {
    Json(version_of(&server)).into_response()
}

/// The document of the version.
pub(super) fn version_of(server: &Server) -> Value {
    let models = songrec_library::built_in_models();
    json!({
        "name": "songrec",
        "version": server.options.version,
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        "models": models.iter().map(|spec| &spec.name).collect::<Vec<_>>(),
    })
}
