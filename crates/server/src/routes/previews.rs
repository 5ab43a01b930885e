//! Tracks of music services, and what they offer to hear of them.

use axum::{
    Json as Answer,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use songrec_library::{
    PreviewOptions, PreviewTrack, PreviewWords, download_previews, known_previews,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    input::{Json, PATIENCE, Query, Writing},
    jobs::Outcome,
    problem::{Problem, Result},
    server::{RequestJob, Shared},
    words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(start))
}

/// Tracks of an answer, if it is not said.
const USUAL: usize = 10;

/// What a service is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PreviewParameters {
    /// Words of title, artist or album.
    q: String,
    /// The service: `itunes` or `freesound`; that of the settings if it is not said.
    service: Option<String>,
    /// How many tracks, 1 to 200 of `itunes` and to 150 of `freesound`; 10 if it is not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Lists tracks of a music service, the best first. Each service has terms of use, which
/// whoever asks has to keep.
#[utoipa::path(get, path = "/api/v1/previews", tag = "previews", params(PreviewParameters), responses(
    (status = 200, description = "The tracks", body = ref("#/components/schemas/preview-list")),
))]
async fn search(
    State(server): State<Shared>,
    Query(asked): Query<PreviewParameters>,
) -> Result<Response> {
    let config = server.library.shared_config();
    let previews = server.previews.open(&config, asked.service.as_deref())?;
    let wanted = PreviewWords::Words(asked.q, asked.limit.unwrap_or(USUAL));
    let job = RequestJob::new();
    let Ok(tracks) = tokio::time::timeout(PATIENCE, previews.find(&wanted, &job)).await else {
        return Err(Problem::new("temporary", "the service takes too long to answer")
            .tip("try again later"));
    };
    let tracks = tracks?;
    let known = known_previews(&server.library, &tracks).await?;
    let with_song = |track: &PreviewTrack| {
        let mut document = json!(track);
        document["song"] = json!(known.get(&track.id));
        document
    };
    let tracks: Vec<Value> = tracks.iter().map(with_song).collect();
    let document = json!({ "service": previews.service(), "tracks": tracks });
    Ok(Answer(document).into_response())
}

/// Which previews are downloaded, and how.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PreviewsBody {
    /// Words of title, artist or album; this or `ids`.
    q: Option<String>,
    /// What the service calls the tracks; this or `q`.
    ids: Vec<String>,
    /// The service: `itunes` or `freesound`; that of the settings if it is not said.
    service: Option<String>,
    /// How many tracks words find; 10 if it is not said.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Whether they are taken into the library, with what the service says of them.
    scan: bool,
}

/// Downloads previews of tracks to the folder of the settings, as a job. Tracks that the
/// library has are left out. Each service has terms of use, which whoever asks has to keep.
#[utoipa::path(post, path = "/api/v1/jobs/previews", tag = "jobs", request_body = inline(PreviewsBody), responses(
    (status = 202, description = "The job", body = ref("#/components/schemas/job")),
))]
async fn start(
    State(server): State<Shared>,
    _: Writing,
    Json(body): Json<PreviewsBody>,
) -> Result<Response> {
    let wanted = match (body.q, body.ids.as_slice()) {
        (Some(words), []) => PreviewWords::Words(words, body.limit.unwrap_or(USUAL)),
        (None, [_, ..]) => match PreviewWords::of(&body.ids, USUAL) {
            ids @ PreviewWords::Ids(_) => ids,
            PreviewWords::Words(..) => {
                return Err(
                    Problem::invalid("an id in `ids` is no number").tip("send words as `q`")
                );
            }
        },
        _ => {
            return Err(Problem::invalid("it is not clear which tracks are meant")
                .tip("send `{\"q\":\"WORDS\"}` or `{\"ids\":[\"ID\"]}`"));
        }
    };
    let library = server.library.clone();
    let previews = server.previews.open(&library.shared_config(), body.service.as_deref())?;
    previews.check(&wanted)?;
    let options = PreviewOptions {
        folder: None,
        scan: body.scan,
        dry_run: false,
        examiner: server.options.examiner.clone(),
    };
    let record = server.jobs.start("previews", move |job, _| async move {
        let mut done = download_previews(&library, &previews, &wanted, &options, &job).await?;
        done.items.iter_mut().filter_map(|item| item.hint.as_mut()).for_each(words::put_in_words);
        let mut result = json!(done);
        result["type"] = json!("summary");
        result["dry_run"] = json!(false);
        result["tracks"] = json!(done.items);
        Ok(Outcome { result, interrupted: done.interrupted })
    })?;
    let location = format!("/api/v1/jobs/{}", record.id());
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::ACCEPTED, headers, Answer(record.document())).into_response())
}
