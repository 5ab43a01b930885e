//! Long work: started, watched, ended.

use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use songrec_library::{
    ClusterCount, ClusterList, ClusterMethod, ClusterOptions, InitOptions, Library, MapData,
    ScanOptions, anomalies, cluster, map, scan,
    share::{self, Libraries, Verify},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    analysis::{AnomalyQuery, model},
    map::MapQuery,
    sharing::{SyncBody, other, served},
};
use crate::{
    input::{InPath, Json, Writing, filter},
    jobs::{JobEvent, Outcome, Record},
    problem::{Problem, Result},
    server::{RequestJob, Shared},
    words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, end))
        .routes(routes!(events))
        .routes(routes!(start_scan))
        .routes(routes!(start_sync))
        .routes(routes!(start_migrate))
        .routes(routes!(start_cluster))
        .routes(routes!(start_map))
        .routes(routes!(start_anomalies))
        .routes(routes!(analyze_anomalies))
}

/// A line that keeps proxies from ending a stream on which nothing happens.
const STILL_HERE: Duration = Duration::from_secs(15);

/// Lists the jobs that are remembered, the one that was asked for last first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", responses(
    (status = 200, description = "The jobs", body = ref("#/components/schemas/job-list")),
))]
async fn list(State(server): State<Shared>) -> Response {
    let jobs: Vec<Value> = server.jobs.all().iter().map(|record| record.document()).collect();
    Answer(json!({ "jobs": jobs })).into_response()
}

/// Shows a job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The id of a job")),
    responses((status = 200, description = "The job", body = ref("#/components/schemas/job")))
)]
async fn show(State(server): State<Shared>, InPath(id): InPath<String>) -> Result<Response> {
    Ok(Answer(server.jobs.get(&id)?.document()).into_response())
}

/// Asks a job for its end, which comes at its next safe point. What was done stays.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The id of a job")),
    responses((status = 202, description = "The job, which ends soon", body = ref("#/components/schemas/job")))
)]
async fn end(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
) -> Result<Response> {
    let record = server.jobs.get(&id)?;
    record.interrupt().set();
    Ok((StatusCode::ACCEPTED, Answer(record.document())).into_response())
}

/// Watches a job: events `progress`, `item`, `log` and in the end `end`, with the whole
/// job. `Last-Event-ID` goes on after an event.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "jobs", params(
    ("id" = String, Path, description = "The id of a job"),
    ("last-event-id" = Option<String>, Header, description = "The number of the last event that the client has"),
), responses((status = 200, description = "The events", content_type = "text/event-stream")))]
async fn events(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let record = server.jobs.get(&id)?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let last = last.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
    let stream = event_stream(record, last);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(STILL_HERE)).into_response())
}

// The events of a job after `last`, until it is over.
fn event_stream(
    record: Arc<Record>,
    last: u64,
) -> impl Stream<Item = std::result::Result<Event, Infallible>> {
    let listener = record.listen();
    let ready: std::vec::IntoIter<JobEvent> = Vec::new().into_iter();
    stream::unfold(
        (record, listener, ready, last),
        |(record, mut listener, mut ready, last)| async move {
            loop {
                if let Some(event) = ready.next() {
                    let number = event.number;
                    let sent = Event::default().event(event.event).id(number.to_string());
                    let sent = sent.data(event.data.to_string());
                    return Some((Ok(sent), (record, listener, ready, number)));
                }
                // Seen before it is looked, so that nothing is missed in between.
                listener.borrow_and_update();
                ready = record.events_after(last).into_iter();
                if ready.len() > 0 {
                    continue;
                }
                if record.state().is_over() || listener.changed().await.is_err() {
                    return None;
                }
            }
        },
    )
}

// The answer to who asked for a job.
pub(super) fn accepted(record: &Record) -> Response {
    let location = format!("/api/v1/jobs/{}", record.id());
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Answer(record.document()))
        .into_response()
}

/// What is scanned, and how.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct ScanBody {
    /// A folder or file of the server's machine, as a whole path.
    path: Option<String>,
    /// Globs of what is left out.
    exclude: Vec<String>,
    /// Take the genre from the folder's name where a file has none.
    genre_from_folder: bool,
    /// Also take in again what was forgotten.
    again: bool,
    /// Only the files that could not be read before.
    failed: bool,
    /// Only the songs that one of the models has not embedded.
    missing: bool,
    /// Also keep the vectors of learned models window by window.
    segments: bool,
    /// The models that embed every song; those of the settings if none is named.
    models: Vec<String>,
}

/// Takes in what is new or changed in a folder, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/scan", tag = "jobs", request_body = inline(ScanBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_scan(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<ScanBody>,
) -> Result<Response> {
    let paths: Vec<PathBuf> =
        body.path.iter().map(|path| songrec_core::decode_path(path)).collect();
    match paths.first() {
        Some(path) if !path.is_absolute() => {
            return Err(Problem::invalid(format!("`{}` is not a whole path", path.display()))
                .tip("name it from the root of the server's machine on"));
        }
        None if !body.failed && !body.missing => {
            return Err(Problem::invalid("nothing is named that could be scanned")
                .tip("send `{\"path\":\"/music\"}`"));
        }
        _ => {}
    }
    let library = with_models(&server.library, &body.models)?;
    let options = ScanOptions {
        paths,
        exclude: body.exclude,
        genre_from_folder: body.genre_from_folder,
        failed: body.failed,
        missing: body.missing,
        segments: body.segments,
        again: body.again,
        examiner: server.options.examiner.clone(),
        ..ScanOptions::default()
    };
    let record = server.jobs.start("scan", move |job, _| async move {
        let report = scan(&library, &options, &job).await?;
        let mut result = json!(report);
        result["type"] = json!("summary");
        result["dry_run"] = json!(false);
        Ok(Outcome { result, interrupted: report.interrupted })
    })?;
    Ok(accepted(&record))
}

// A library that scans by these models.
fn with_models(library: &Library, models: &[String]) -> Result<Library> {
    match models.is_empty() {
        true => Ok(library.clone()),
        false => Ok(library.scanning_by(models)?),
    }
}

/// Makes the library and another one agree, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/sync", tag = "jobs", request_body = inline(SyncBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_sync(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<SyncBody>,
) -> Result<Response> {
    let config = server.library.shared_config();
    let options = body.options(&config)?;
    let (left, right) = (served(&server.library), other(&server, body.with.as_deref())?);
    let record = server.jobs.start("sync", move |job, _| async move {
        let progress = job.progress.clone();
        let libraries = Libraries::open(config, Some(left), Some(right), progress).await?;
        let mut report = share::sync(&libraries, &options, &job).await?;
        report.failed.iter_mut().filter_map(|one| one.hint.as_mut()).for_each(words::put_in_words);
        Ok(Outcome { interrupted: report.interrupted, result: json!(report) })
    })?;
    Ok(accepted(&record))
}

/// Where a library is copied to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MigrateBody {
    /// The name of the other library.
    to: String,
    /// How the copy is proved: `full`, `sample` or `none`; `sample` if it is not said.
    verify: Option<String>,
}

/// Copies the whole library into another one, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/migrate", tag = "jobs", request_body = inline(MigrateBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_migrate(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<MigrateBody>,
) -> Result<Response> {
    let config = server.library.shared_config();
    let proof = body.verify.as_deref().map(str::parse::<Verify>).transpose();
    let proof = proof.map_err(|error| Problem::invalid(format!("`verify`: {error}")))?;
    let options = share::options(&config)?;
    let (from, to) = (served(&server.library), other(&server, Some(&body.to))?);
    let record = server.jobs.start("migrate", move |job, _| async move {
        let (init, progress) = (InitOptions::default(), job.progress.clone());
        let libraries = Libraries::open_or_make(config, from, to, init, progress).await?;
        let proof = proof.unwrap_or_default();
        let mut migrated = share::migrate(&libraries, &options, proof, &job).await?;
        migrated
            .failed
            .iter_mut()
            .filter_map(|one| one.hint.as_mut())
            .for_each(words::put_in_words);
        Ok(Outcome { interrupted: migrated.interrupted, result: json!(migrated) })
    })?;
    Ok(accepted(&record))
}

/// How songs are grouped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct ClusterBody {
    /// `kmeans`, `dbscan` or `hdbscan`; `kmeans` if it is not said.
    method: Option<String>,
    /// How many clusters k-means makes: a number, or `auto`.
    #[schema(value_type = Option<String>)]
    k: Option<Value>,
    /// How near neighbors are to dbscan.
    eps: Option<f64>,
    /// How many songs a dense place has, for dbscan and hdbscan.
    min_samples: Option<usize>,
    /// How many songs the smallest cluster has, for hdbscan.
    min_size: Option<usize>,
    /// The model to compare by, with its revision.
    model: Option<String>,
    /// What chance is drawn from.
    seed: u64,
    /// Make them again although no song changed.
    again: bool,
    /// Only songs that pass.
    filter: Vec<String>,
}

impl ClusterBody {
    async fn options(&self, server: &Shared) -> Result<ClusterOptions> {
        let method = self.method.as_deref().map(str::parse::<ClusterMethod>).transpose();
        let least = [self.min_samples, self.min_size].into_iter().flatten().min();
        if least.is_some_and(|least| least < 2) {
            return Err(Problem::invalid("`min_samples` and `min_size` are 2 or more"));
        }
        if self.eps.is_some_and(|eps| !eps.is_finite() || eps <= 0.0) {
            return Err(Problem::invalid("`eps` is a distance above 0"));
        }
        let k = match &self.k {
            None | Some(Value::Null) => ClusterCount::default(),
            Some(Value::String(text)) if text == "auto" => ClusterCount::Best,
            Some(number) => {
                let number =
                    number.as_str().map_or_else(|| number.as_u64(), |text| text.parse().ok());
                match number.and_then(|number| usize::try_from(number).ok()) {
                    Some(number) if number >= 1 => ClusterCount::Exactly(number),
                    _ => return Err(Problem::invalid("`k` is a number from 1 on, or `auto`")),
                }
            }
        };
        Ok(ClusterOptions {
            method: method
                .map_err(|error| Problem::invalid(format!("`method`: {error}")))?
                .unwrap_or_default(),
            k,
            eps: self.eps,
            min_samples: self.min_samples,
            min_size: self.min_size,
            model: model(self.model.as_deref())?,
            filter: filter(&server.library, &self.filter, &RequestJob::new()).await?,
            seed: self.seed,
            again: self.again,
        })
    }
}

/// Groups songs that sound alike, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/cluster", tag = "jobs", request_body = inline(ClusterBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_cluster(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<ClusterBody>,
) -> Result<Response> {
    let options = body.options(&server).await?;
    let library = server.library.clone();
    let record = server.jobs.start("cluster", move |job, _| async move {
        let made = cluster(&library, &options, &job).await?;
        let result = made.as_ref().map(|clustering| json!(ClusterList::as_made(clustering)));
        Ok(Outcome { interrupted: result.is_none(), result: result.unwrap_or_default() })
    })?;
    Ok(accepted(&record))
}

/// Draws a map of the library, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/map", tag = "jobs", request_body = inline(MapQuery), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_map(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<MapQuery>,
) -> Result<Response> {
    let options = body.options(&server, &RequestJob::new()).await?;
    let color = body.color()?;
    let library = server.library.clone();
    let record = server.jobs.start("map", move |job, _| async move {
        let interrupted = || Outcome { result: Value::Null, interrupted: true };
        let Some(map) = map(&library, &options, &job).await? else { return Ok(interrupted()) };
        // What colors mean is worked out now as well, so that it is quick when it is asked for.
        let data = MapData::read(&library, map, color, &options.filter, &job).await?;
        let Some(MapData { map, .. }) = data else { return Ok(interrupted()) };
        let result = json!({
            "songs": map.songs.len(),
            "placed": map.placed,
            "model": map.model,
            "method": map.method,
            "dims": map.dims,
            "seed": map.seed,
            "made_at": map.made_at,
            "trustworthiness": map.trustworthiness,
        });
        Ok(Outcome { result, interrupted: false })
    })?;
    Ok(accepted(&record))
}

/// Works out which songs are like no others, as a job.
#[utoipa::path(post, path = "/api/v1/jobs/anomalies", tag = "jobs", request_body = inline(AnomalyQuery), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start_anomalies(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<AnomalyQuery>,
) -> Result<Response> {
    let options = body.options(&server, &RequestJob::new()).await?;
    let library = server.library.clone();
    let record = server.jobs.start("anomalies", move |job, _| async move {
        let found = anomalies(&library, &options, &job).await?;
        let result = found.as_ref().map(|found| json!(found));
        Ok(Outcome { interrupted: result.is_none(), result: result.unwrap_or_default() })
    })?;
    Ok(accepted(&record))
}

/// The same as `POST /api/v1/jobs/anomalies`.
#[utoipa::path(post, path = "/api/v1/analysis/anomalies", tag = "jobs", request_body = inline(AnomalyQuery), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn analyze_anomalies(
    server: State<Shared>,
    writing: Writing,
    body: Json<AnomalyQuery>,
) -> Result<Response> {
    start_anomalies(server, writing, body).await
}
