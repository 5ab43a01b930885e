//! Jobs that look whether a library is as it should be, and as good as it could be.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};
use songrec_library::{
    EvalOptions, Property, VerifyOptions, collect_garbage, evaluate, find_garbage,
    share::{self, Libraries},
    verify,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    jobs::accepted,
    sharing::{other, served},
};
use crate::{
    input::{Json, Writing, days, filter},
    jobs::Outcome,
    problem::{Problem, Result},
    server::{RequestJob, Shared},
    words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(start_verify))
        .routes(routes!(start_check))
        .routes(routes!(start_gc))
        .routes(routes!(start_eval))
}

/// How thoroughly a library is checked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct VerifyBody {
    /// Put right what can be.
    repair: bool,
    /// Read every byte.
    read_data: bool,
}

/// Checks that everything is as it should be, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/verify", tag = "jobs", request_body = inline(VerifyBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_verify(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<VerifyBody>,
) -> Result<Response> {
    let library = server.library.clone();
    let options = VerifyOptions { repair: body.repair, read_data: body.read_data };
    let record = server.jobs.start("verify", move |job, _| async move {
        let mut findings = verify(&library, &options, &job).await?;
        findings.iter_mut().filter_map(|one| one.hint.as_mut()).for_each(words::put_in_words);
        Ok(Outcome { result: json!({ "findings": findings }), interrupted: job.is_interrupted() })
    })?;
    Ok(accepted(&record))
}

/// With which library this one is compared, and how.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct CheckBody {
    /// The name of the other library; the one that `sync.remote` names if it is not said.
    with: Option<String>,
    /// Also read all embeddings and audio, and compare every byte.
    read_data: bool,
}

/// Compares the library with another one song by song, as a job. Its result says what they
/// do not have in common.
#[utoipa::path(post, path = "/api/v1/jobs/check", tag = "jobs", request_body = inline(CheckBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_check(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<CheckBody>,
) -> Result<Response> {
    let config = server.library.shared_config();
    let (left, right) = (served(&server.library), other(&server, body.with.as_deref())?);
    let record = server.jobs.start("check", move |job, _| async move {
        let progress = job.progress.clone();
        let libraries = Libraries::open(config, Some(left), Some(right), progress).await?;
        let found = share::check(&libraries, body.read_data, &job).await?;
        Ok(Outcome { interrupted: found.interrupted, result: json!(found) })
    })?;
    Ok(accepted(&record))
}

/// Which objects that no song names are removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct GarbageBody {
    /// Only count them.
    dry_run: bool,
    /// How many days old they are at least, 1 or more: what is younger may belong to a song
    /// that a machine is about to store.
    #[schema(minimum = 1, maximum = 100_000)]
    older_than: u32,
    /// Of a library in the cloud: that the bucket is this library's own. A bucket does not
    /// say whose audio it keeps.
    bucket_is_own: bool,
}

impl Default for GarbageBody {
    fn default() -> Self {
        Self { dry_run: false, older_than: 1, bucket_is_own: false }
    }
}

/// Removes audio and embeddings that no song names any more, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/gc", tag = "jobs", request_body = inline(GarbageBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_gc(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<GarbageBody>,
) -> Result<Response> {
    let library = server.library.clone();
    if library.is_remote() && !body.dry_run && !body.bucket_is_own {
        return Err(Problem::invalid("the bucket may keep audio of other libraries")
            .tip("send `bucket_is_own` if it keeps none, or `dry_run` to count only"));
    }
    let age = days("older_than", 1, body.older_than)?;
    let record = server.jobs.start("gc", move |job, _| async move {
        let collected = match body.dry_run {
            true => find_garbage(&library, age, &job).await?,
            false => collect_garbage(&library, age, &job).await?,
        };
        let count = if body.dry_run { "would_remove" } else { "removed" };
        let result = json!({ count: collected.objects, "bytes": collected.bytes });
        Ok(Outcome { interrupted: job.is_interrupted(), result })
    })?;
    Ok(accepted(&record))
}

/// By what neighbors are measured.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct EvalBody {
    /// What makes songs right for each other: `genre`, `instrument`, `artist`, `album`,
    /// `folder` or `cluster`.
    by: String,
    /// Songs that have the same of this do not count as neighbors.
    not_same: Option<String>,
    /// The models; the one that searches use if none is named.
    models: Vec<String>,
    /// How many songs are asked for their neighbors at the most.
    #[schema(minimum = 1)]
    queries: usize,
    /// What chance is drawn from.
    seed: u64,
    /// Only songs that pass.
    filter: Vec<String>,
}

impl Default for EvalBody {
    fn default() -> Self {
        Self {
            by: Property::default().as_str().to_owned(),
            not_same: None,
            models: Vec::new(),
            queries: 2_000,
            seed: 0,
            filter: Vec::new(),
        }
    }
}

fn measured_by(name: &str) -> Result<Property> {
    Property::named(name, &Property::MEASURED_BY).map_err(Problem::invalid)
}

/// Measures how good the neighbors of songs are, by each model, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/eval", tag = "jobs", request_body = inline(EvalBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_eval(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<EvalBody>,
) -> Result<Response> {
    if body.queries == 0 {
        return Err(Problem::invalid("`queries` is a number from 1 on"));
    }
    let options = EvalOptions {
        by: measured_by(&body.by)?,
        not_same: body.not_same.as_deref().map(measured_by).transpose()?,
        filter: filter(&server.library, &body.filter, &RequestJob::new()).await?,
        models: body.models,
        blend: None,
        queries: body.queries,
        seed: body.seed,
    };
    let library = server.library.clone();
    let record = server.jobs.start("eval", move |job, _| async move {
        let found = evaluate(&library, &options, &job).await?;
        let result = found.as_ref().map_or(Value::Null, |found| json!(found));
        Ok(Outcome { interrupted: found.is_none(), result })
    })?;
    Ok(accepted(&record))
}
