//! Songs that go on from songs, and that lead from one to another.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use songrec_core::SongSummary;
use songrec_library::{
    BetweenOptions, Example, RadioOptions, between, create_playlist, find, radio,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Unknown;
use crate::{
    input::{Json, Query, filter, ids},
    problem::{Problem, Result},
    server::{RequestJob, Shared, to_the_end},
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(queue)).routes(routes!(way))
}

/// Songs that a queue goes on from, at the most.
const SEEDS: usize = 100;

/// A queue that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Queue {
    /// Ids of the songs that it goes on from; they are not in it.
    #[serde(default)]
    like: Vec<String>,
    /// How many songs; 25 if neither this nor `minutes` is said.
    #[schema(minimum = 1, maximum = 1000)]
    length: Option<usize>,
    /// How long they play together, at the least.
    minutes: Option<f64>,
    /// From 0, the most similar songs in their order, to 1, any of eight times as many.
    #[serde(default)]
    #[schema(minimum = 0.0, maximum = 1.0)]
    variety: f64,
    /// What chance is drawn from: the same number makes the same queue.
    #[serde(default)]
    seed: u64,
    /// Songs between two of one artist or album, at the least.
    #[serde(default)]
    #[schema(inline)]
    spacing: Spacing,
    /// Only songs that pass, as for the list of songs.
    #[serde(default)]
    filter: Vec<String>,
    /// Ids of songs that do not count, such as those that were played.
    #[serde(default)]
    exclude: Vec<String>,
    /// The model to compare by.
    model: Option<String>,
    /// Keeps it as a playlist of this name.
    playlist: Option<String>,
}

/// Songs between two of one artist or album, at the least.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Spacing {
    artist: usize,
    album: usize,
}

/// Makes a queue of songs that goes on from some songs; with `playlist` it is kept.
#[utoipa::path(post, path = "/api/v1/radio", tag = "playlists", request_body = inline(Queue),
    responses((status = 200, description = "The queue", body = ref("#/components/schemas/radio")))
)]
async fn queue(State(server): State<Shared>, Json(asked): Json<Queue>) -> Result<Response> {
    let seeds = asked.like.len();
    if !(1..=SEEDS).contains(&seeds) {
        return Err(Problem::invalid(format!("a queue cannot go on from {seeds} songs"))
            .tip(format!("`like` has the ids of 1 to {SEEDS}")));
    }
    // Only what is kept changes something.
    if asked.playlist.is_some()
        && let Some(problem) = server.why_not_writable()
    {
        return Err(problem);
    }
    let library = &server.library;
    let mut examples = Vec::with_capacity(seeds);
    for id in &asked.like {
        let song = find::song_by_id(library, id).await?;
        examples.push(Example::like(song.id.to_string()));
    }
    let options = RadioOptions {
        length: asked.length,
        minutes: asked.minutes,
        variety: asked.variety,
        seed: asked.seed,
        artist_spacing: asked.spacing.artist,
        album_spacing: asked.spacing.album,
        filter: filter(library, &asked.filter, &RequestJob::new()).await?,
        played: ids(&asked.exclude)?,
        model: asked.model,
    };
    let turn = server.turn().await?;
    let queue = radio(library, &examples, &options).await?;
    drop(turn);
    let songs: Vec<SongSummary> = queue.songs.iter().map(|one| one.summary.clone()).collect();
    kept(&server, &queue, songs, asked.playlist).await
}

async fn kept(
    server: &Shared,
    document: &impl Serialize,
    songs: Vec<SongSummary>,
    playlist: Option<String>,
) -> Result<Response> {
    let mut document = json!(document);
    if let Some(name) = playlist.filter(|_| !songs.is_empty()) {
        let library = server.library.clone();
        let made = to_the_end(async move { create_playlist(&library, &name, &songs, None).await });
        document["playlist"] = json!(made.await??.card());
    }
    Ok(Answer(document).into_response())
}

/// Which way is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Way {
    /// The id of the song that it begins with.
    a: String,
    /// The id of the song that it ends with.
    b: String,
    /// How many songs, with both ends: 2 to 100; 10 if it is not said.
    #[param(minimum = 2, maximum = 100)]
    length: Option<usize>,
    /// Whether each song can be mixed with the next: by keys beside each other on the
    /// Camelot wheel, and tempos within 6 %.
    #[serde(default)]
    mix: bool,
    /// The model in whose space it goes.
    model: Option<String>,
    /// Only songs that pass, as for the list of songs; may be repeated.
    #[serde(default)]
    filter: Vec<String>,
}

/// Lists songs that lead from one song to another, step by step.
#[utoipa::path(get, path = "/api/v1/path", tag = "playlists", params(Way), responses(
    (status = 200, description = "The songs, both ends included", body = ref("#/components/schemas/way")),
    (status = 304, description = "The client has this answer"),
))]
async fn way(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(asked): Query<Way>,
) -> Result<Response> {
    let library = &server.library;
    let usual = BetweenOptions::default();
    let options = BetweenOptions {
        length: asked.length.unwrap_or(usual.length),
        mix: asked.mix,
        filter: filter(library, &asked.filter, &RequestJob::new()).await?,
        model: asked.model,
    };
    let a = find::song_by_id(library, &asked.a).await?;
    let b = find::song_by_id(library, &asked.b).await?;
    let _turn = server.turn().await?;
    Ok(version.json(&between(library, &a, &b, &options).await?))
}
