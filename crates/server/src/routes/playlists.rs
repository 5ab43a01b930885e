//! Lists of songs that people made.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use songrec_core::{Filter, SongId, SongSummary};
use songrec_library::{
    ErrorKind, KeptPlaylist, Library, PlaylistChange, PlaylistRule, change_playlist,
    create_playlist, delete_playlist, find, looked_up, playlist_named, playlist_songs, playlists,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Unknown;
use crate::{
    input::{InPath, Json, Query, Writing, ids, limit, offset},
    problem::{Problem, Result},
    server::{RequestJob, Shared, to_the_end},
    versions,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, new))
        .routes(routes!(show, change, remove))
        .routes(routes!(add, take_out))
}

/// Songs that are read at once.
const READ: usize = 100;
/// Songs or entries of one request, at the most.
const MOST: usize = 1_000;

/// Lists the playlists of the library.
#[utoipa::path(get, path = "/api/v1/playlists", tag = "playlists", responses(
    (status = 200, description = "The playlists", body = ref("#/components/schemas/playlist-list")),
    (status = 304, description = "The client has this answer"),
))]
async fn list(State(server): State<Shared>, Unknown(version): Unknown) -> Result<Response> {
    let list = playlists(&server.library).await?;
    let cards: Vec<_> = list.playlists.iter().map(KeptPlaylist::card).collect();
    Ok(version.json(&json!({ "playlists": cards, "unreadable": list.unreadable })))
}

/// A playlist that is to be made: of songs, or with a rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPlaylist {
    /// What it is called, with at least one letter or digit. No other playlist may have
    /// the same words.
    name: String,
    /// The ids of its songs, 1000 at the most; more can be added.
    #[serde(default)]
    songs: Vec<String>,
    /// What gives its songs, in place of them.
    #[schema(inline)]
    rule: Option<NewRule>,
}

/// What gives the songs of a smart playlist.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRule {
    /// Only songs that pass, as for the list of songs.
    #[serde(default)]
    filter: Vec<String>,
    /// Ids of songs that it begins with, and that the others sound like.
    #[serde(default)]
    like: Vec<String>,
    /// How many songs, at the most; 25 where it is like songs, else all that pass.
    #[schema(minimum = 1, maximum = 10_000)]
    length: Option<usize>,
}

impl NewRule {
    async fn rule(self, library: &Library) -> Result<PlaylistRule> {
        let filter = Filter::parse_all(&self.filter).map_err(|error| {
            Problem::invalid(error.to_string()).tip("a filter is such as `bpm:120..130`")
        })?;
        // A group that is not there is said now.
        looked_up(library, filter.clone(), &RequestJob::new()).await?;
        let like = summaries(library, &self.like).await?;
        Ok(PlaylistRule::new(filter, &like, self.length))
    }
}

// The songs with these ids, in their order.
async fn summaries(library: &Library, texts: &[String]) -> Result<Vec<SongSummary>> {
    if texts.len() > MOST {
        return Err(Problem::invalid(format!("{} songs are too many", texts.len()))
            .tip(format!("send {MOST} at a time")));
    }
    let wanted: Vec<SongId> = ids(texts)?;
    let mut all = Vec::with_capacity(wanted.len());
    for wanted in wanted.chunks(READ) {
        let found = find::summaries(library, wanted).await?;
        for id in wanted {
            let song = found.iter().find(|song| song.id == *id).ok_or_else(|| {
                Problem::new("not_found", format!("no song has the id `{id}`"))
                    .tip("`GET /api/v1/songs?q=WORDS` finds songs by their words")
            })?;
            all.push(song.clone());
        }
    }
    Ok(all)
}

/// Makes a playlist.
#[utoipa::path(post, path = "/api/v1/playlists", tag = "playlists", request_body = inline(NewPlaylist),
    responses((status = 201, description = "The playlist", body = ref("#/components/schemas/playlist")))
)]
async fn new(
    State(server): State<Shared>,
    _: Writing,
    Json(asked): Json<NewPlaylist>,
) -> Result<Response> {
    let library = server.library.clone();
    let songs = summaries(&library, &asked.songs).await?;
    let rule = match asked.rule {
        Some(rule) => Some(rule.rule(&library).await?),
        None => None,
    };
    let made =
        to_the_end(async move { create_playlist(&library, &asked.name, &songs, rule).await });
    let card = made.await??.card();
    let location = format!("/api/v1/playlists/{}", card.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Answer(card)).into_response())
}

/// Which songs of a playlist are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// How many songs, 1 to 1000; 1000 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many of the first are passed over.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
}

/// Shows a playlist and its songs. Those of a smart one are worked out.
#[utoipa::path(get, path = "/api/v1/playlists/{id}", tag = "playlists", params(Page,
    ("id" = String, Path, description = "The id or the name of a playlist"),
), responses(
    (status = 200, description = "The playlist", body = ref("#/components/schemas/playlist-of-songs")),
    (status = 304, description = "The client has this answer"),
))]
async fn show(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    InPath(id): InPath<String>,
    Query(asked): Query<Page>,
) -> Result<Response> {
    let (limit, offset) = (limit(asked.limit, MOST)?, offset(asked.offset)?);
    let _turn = server.turn().await?;
    let library = &server.library;
    let kept = playlist_named(library, &id).await?;
    let mut shown = playlist_songs(library, &kept, &RequestJob::new()).await?;
    shown.entries.drain(..offset.min(shown.entries.len()));
    shown.entries.truncate(limit);
    let mut document = json!(shown);
    document["offset"] = json!(offset);
    document["limit"] = json!(limit);
    Ok(version.json(&document))
}

/// What is changed of a playlist: all of it, or nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlaylistPatch {
    /// Another name.
    name: Option<String>,
    /// Another rule; a playlist that has songs can have none.
    #[schema(inline)]
    rule: Option<NewRule>,
    /// Entries that go to another place.
    #[schema(inline)]
    r#move: Option<Move>,
}

/// Entries that go to another place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Their keys, in the order that they are to have.
    entries: Vec<String>,
    /// The place of the first of them, from 1, among the entries that stay where they are.
    #[schema(minimum = 1)]
    to: usize,
}

async fn changed(
    server: &Shared,
    headers: &HeaderMap,
    name: &str,
    changes: Vec<PlaylistChange>,
) -> Result<Response> {
    let expected = versions::expected(headers)?;
    let library = server.library.clone();
    let id = playlist_named(&library, name).await?.id;
    let changed =
        to_the_end(async move { change_playlist(&library, &id, &changes, expected).await });
    Ok(Answer(changed.await?.map_err(versions::refused)?.card()).into_response())
}

/// Changes a playlist. With `If-Match` and the `version` that the client has seen, only
/// that version is changed.
#[utoipa::path(patch, path = "/api/v1/playlists/{id}", tag = "playlists", request_body = inline(PlaylistPatch),
    params(("id" = String, Path, description = "The id or the name of a playlist"),
           ("If-Match" = Option<String>, Header, description = "The version to change, in quotes")),
    responses((status = 200, description = "The playlist as it is now", body = ref("#/components/schemas/playlist")))
)]
async fn change(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    headers: HeaderMap,
    Json(asked): Json<PlaylistPatch>,
) -> Result<Response> {
    let mut changes: Vec<PlaylistChange> =
        asked.name.map(PlaylistChange::Name).into_iter().collect();
    if let Some(rule) = asked.rule {
        changes.push(PlaylistChange::Rule(rule.rule(&server.library).await?));
    }
    if let Some(Move { entries: keys, to }) = asked.r#move {
        let to = to
            .checked_sub(1)
            .ok_or_else(|| Problem::invalid("there is no place 0").tip("the first place is 1"))?;
        changes.push(PlaylistChange::Move { keys, to });
    }
    if changes.is_empty() {
        return Err(Problem::invalid("there is nothing to change")
            .tip("send `name`, `rule`, or `move` with `entries` and `to`"));
    }
    changed(&server, &headers, &id, changes).await
}

/// Deletes a playlist. Its songs stay as they are.
#[utoipa::path(delete, path = "/api/v1/playlists/{id}", tag = "playlists",
    params(("id" = String, Path, description = "The id or the name of a playlist; of one that cannot be read, its id"),
           ("If-Match" = Option<String>, Header, description = "The version to delete, in quotes")),
    responses((status = 200, description = "It is gone", body = ref("#/components/schemas/playlist-delete")))
)]
async fn remove(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let expected = versions::expected(&headers)?;
    let library = server.library.clone();
    let id = match playlist_named(&library, &id).await {
        Ok(kept) => kept.id,
        Err(error) if error.kind() == ErrorKind::Corrupt => id,
        Err(error) => return Err(error.into()),
    };
    let of = id.clone();
    let deleted = to_the_end(async move { delete_playlist(&library, &of, expected).await });
    deleted.await?.map_err(versions::refused)?;
    Ok(Answer(json!({ "removed": true, "id": id })).into_response())
}

/// Songs that are added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Added {
    /// Their ids, 1000 at the most.
    songs: Vec<String>,
    /// The place of the first of them, from 1; the end if it is not said.
    #[schema(minimum = 1)]
    at: Option<usize>,
}

/// Adds songs to a playlist.
#[utoipa::path(post, path = "/api/v1/playlists/{id}/songs", tag = "playlists", request_body = inline(Added),
    params(("id" = String, Path, description = "The id or the name of a playlist"),
           ("If-Match" = Option<String>, Header, description = "The version to change, in quotes")),
    responses((status = 200, description = "The playlist as it is now", body = ref("#/components/schemas/playlist")))
)]
async fn add(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    headers: HeaderMap,
    Json(added): Json<Added>,
) -> Result<Response> {
    let songs = summaries(&server.library, &added.songs).await?;
    if songs.is_empty() {
        return Err(Problem::invalid("there is nothing to add").tip("send `songs`"));
    }
    let at = match added.at {
        Some(0) => return Err(Problem::invalid("there is no place 0").tip("the first place is 1")),
        at => at.map(|at| at - 1),
    };
    changed(&server, &headers, &id, vec![PlaylistChange::Add { songs, at }]).await
}

/// Which entries are taken out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TakenOut {
    /// The key of an entry; may be repeated.
    #[serde(default)]
    entry: Vec<String>,
}

/// Takes entries out of a playlist. Their songs stay in the library.
#[utoipa::path(delete, path = "/api/v1/playlists/{id}/songs", tag = "playlists", params(TakenOut,
    ("id" = String, Path, description = "The id or the name of a playlist"),
    ("If-Match" = Option<String>, Header, description = "The version to change, in quotes"),
), responses((status = 200, description = "The playlist as it is now", body = ref("#/components/schemas/playlist"))))]
async fn take_out(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    headers: HeaderMap,
    Query(asked): Query<TakenOut>,
) -> Result<Response> {
    if asked.entry.is_empty() || asked.entry.len() > MOST {
        return Err(Problem::invalid(format!(
            "{} entries are none or too many",
            asked.entry.len()
        ))
        .tip(format!("`entry` has the key of one, and may be repeated up to {MOST} times")));
    }
    changed(&server, &headers, &id, vec![PlaylistChange::Remove(asked.entry)]).await
}
