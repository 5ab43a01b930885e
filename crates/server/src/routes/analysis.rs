//! Songs that are like no others.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use songrec_core::ModelName;
use songrec_library::{
    AnomalyMethod, AnomalyOptions, CONTAMINATION, anomalies, are_anomalies_kept, find,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    input::{Query, filter, limit},
    problem::{Problem, Result},
    server::{RequestJob, Shared, done},
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What takes longer for more songs than these is worked out by a job.
const AT_ONCE: u64 = 5_000;

/// How songs are scored, and how many are listed.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct AnomalyQuery {
    /// `forest` (how few cuts set a song apart) or `knn` (how far its neighbors are).
    method: Option<String>,
    /// The part of the songs that are anomalies, above 0 and up to 0.5; 0.1 if it is not
    /// said.
    contamination: Option<f64>,
    /// The model to compare by, with its revision.
    model: Option<String>,
    /// What chance is drawn from.
    seed: u64,
    /// Only songs that pass, as for the list of songs; may be repeated.
    filter: Vec<String>,
    /// How many songs, 1 to 1000; 20 if it is not said.
    limit: Option<usize>,
}

impl AnomalyQuery {
    /// As the library takes it.
    pub(super) async fn options(
        &self,
        server: &Shared,
        job: &RequestJob,
    ) -> Result<AnomalyOptions> {
        let method = self.method.as_deref().map(str::parse::<AnomalyMethod>).transpose();
        Ok(AnomalyOptions {
            method: method
                .map_err(|error| Problem::invalid(format!("`method`: {error}")))?
                .unwrap_or_default(),
            contamination: self.contamination.unwrap_or(CONTAMINATION),
            model: model(self.model.as_deref())?,
            filter: filter(&server.library, &self.filter, job).await?,
            seed: self.seed,
            limit: limit(self.limit, 20)?,
        })
    }
}

/// A model by its whole name.
pub(super) fn model(name: Option<&str>) -> Result<Option<ModelName>> {
    name.map(str::parse).transpose().map_err(|error: songrec_core::InvalidModelName| {
        Problem::invalid(error.to_string()).tip("`GET /api/v1/models` lists them")
    })
}

/// Whether the library is so small that what is asked for is worked out at once.
pub(super) async fn is_quick(server: &Shared) -> Result<bool> {
    Ok(find::count(&server.library, &find::Selection::default()).await? <= AT_ONCE)
}

/// Lists songs that are like no others, and in what. Of more than 5,000 songs they are
/// worked out by a job first.
#[utoipa::path(get, path = "/api/v1/anomalies", tag = "analysis", params(AnomalyQuery), responses(
    (status = 200, description = "Songs, the least typical first", body = ref("#/components/schemas/anomalies")),
))]
async fn list(State(server): State<Shared>, Query(asked): Query<AnomalyQuery>) -> Result<Response> {
    let job = RequestJob::new();
    let options = asked.options(&server, &job).await?;
    let library = &server.library;
    if !are_anomalies_kept(library, &options, &job).await? && !is_quick(&server).await? {
        let problem = Problem::new("not_computed", "no anomalies of these songs are known yet");
        return Err(problem.tip("`POST /api/v1/jobs/anomalies` works them out"));
    }
    let _turn = server.turn().await?;
    Ok(Json(done(anomalies(library, &options, &job).await?)?).into_response())
}
