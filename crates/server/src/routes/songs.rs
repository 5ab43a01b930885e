//! Songs: lists, one, its history; sending, changing and forgetting them.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use songrec_core::{Field, Job, Song};
use songrec_library::{
    EditChange, Received, ShownSong, SongHistory, clusters_of, edit,
    find::{self, List, Listing, Order, OrderBy},
    receive, remove,
    share::deleted_song,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Version;
use crate::{
    input::{InPath, Json, Query, Writing, limit, offset, selection},
    problem::{Problem, Result},
    server::{RequestJob, Shared, to_the_end},
    upload::Upload,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, send))
        .routes(routes!(show, change, forget))
        .routes(routes!(history))
}

/// Songs of one page if nobody says how many.
const PAGE: usize = 50;

/// Which songs are listed, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only songs that pass, as `-f` of the command line takes it, such as `bpm:120..130`,
    /// `genre:techno,house`, `key:~8A`, `-artist:x`, `cluster:3` or `missing:yes`; may be
    /// repeated, and then songs pass all of them.
    #[serde(default)]
    filter: Vec<String>,
    /// Words of title, artist, album, genre, mood or path.
    q: Option<String>,
    /// By what they are sorted.
    #[param(inline)]
    sort: Option<Sort>,
    /// Whether the last comes first.
    #[serde(default)]
    desc: bool,
    /// How many songs, 1 to 1000; 50 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many of the first songs are passed over.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Id,
    Title,
    Artist,
    Album,
    Year,
    Bpm,
    Duration,
    Added,
}

impl From<Sort> for OrderBy {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Id => Self::Id,
            Sort::Title => Self::Title,
            Sort::Artist => Self::Artist,
            Sort::Album => Self::Album,
            Sort::Year => Self::Year,
            Sort::Bpm => Self::Bpm,
            Sort::Duration => Self::Duration,
            Sort::Added => Self::Added,
        }
    }
}

/// Lists songs, page by page.
#[utoipa::path(get, path = "/api/v1/songs", tag = "songs", params(ListQuery), responses(
    (status = 200, description = "Songs, and how many there are in all", body = ref("#/components/schemas/song-list")),
    (status = 304, description = "The client has this answer"),
))]
async fn list(
    State(server): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    Query(asked): Query<ListQuery>,
) -> Result<Response> {
    let job = RequestJob::new();
    let (limit, offset) = (limit(asked.limit, PAGE)?, offset(asked.offset)?);
    let library = &server.library;
    let version = Version::of(&server, &uri, &job).await?;
    let selection = selection(library, &asked.filter, asked.q.as_deref(), &job).await?;
    // Files come and go without the library.
    let is_of_library = selection.missing.is_none();
    if is_of_library && let Some(known) = version.known(&headers) {
        return Ok(known);
    }
    let by = asked.sort.map_or(OrderBy::Id, OrderBy::from);
    let total = find::count(library, &selection).await?;
    let order = Order { by, descending: asked.desc };
    let listing = Listing { selection, order, skip: offset, limit };
    let mut list = List::new(library, listing);
    let mut songs = Vec::new();
    while let Some(page) = list.next().await? {
        songs.extend(page);
    }
    let answer = json!({ "songs": songs, "total": total, "offset": offset, "limit": limit });
    Ok(match is_of_library {
        true => version.json(&answer),
        false => axum::Json(answer).into_response(),
    })
}

/// A file to take in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only says what a form has")]
struct SongForm {
    /// The audio, in any format that songrec reads.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Takes in an audio file. It is kept in the folder `uploads` of the library.
#[utoipa::path(post, path = "/api/v1/songs", tag = "songs",
    request_body(content = inline(SongForm), content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is a new song", body = ref("#/components/schemas/scan-item")),
        (status = 409, description = "The library has this audio already", body = ref("#/components/schemas/known-song"), content_type = "application/problem+json"),
    )
)]
async fn send(State(server): State<Shared>, _: Writing, upload: Upload) -> Result<Response> {
    let upload = upload.alone()?;
    let turn = server.turn().await?;
    let library = server.library.clone();
    let received = to_the_end(async move {
        let _turn = turn;
        let received = receive(&library, &upload.path, &upload.name, &Job::silent()).await;
        received.map_err(|error| Problem::of_upload(error, &upload.path, &upload.name))
    });
    match received.await?? {
        Received::New(item) => {
            let item = json!(item);
            let location = format!("/api/v1/songs/{}", item["id"].as_str().unwrap_or_default());
            let headers = [(header::LOCATION, location)];
            Ok((StatusCode::CREATED, headers, axum::Json(item)).into_response())
        }
        Received::There(song) => {
            let location = format!("/api/v1/songs/{}", song.id);
            let problem = Problem::new("known_already", "the library has this audio already")
                .tip(format!("it is `{location}`"));
            Ok(problem.of_song(song.id))
        }
    }
}

/// A song, as the address names it.
pub(super) async fn named(server: &Shared, id: &str) -> Result<Song> {
    Ok(find::song_by_id(&server.library, id).await?)
}

async fn shown(server: &Shared, song: &Song) -> Result<Response> {
    let clusters = clusters_of(&server.library, std::slice::from_ref(song)).await?;
    let cluster = clusters.into_iter().flatten().next();
    Ok(axum::Json(ShownSong::of(song, cluster.as_ref())).into_response())
}

/// Shows everything that is known of a song.
#[utoipa::path(get, path = "/api/v1/songs/{id}", tag = "songs",
    params(("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning")),
    responses((status = 200, description = "The song", body = ref("#/components/schemas/show")))
)]
async fn show(State(server): State<Shared>, InPath(id): InPath<String>) -> Result<Response> {
    let song = named(&server, &id).await?;
    shown(&server, &song).await
}

/// What is changed of a song. Nothing in its audio files changes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SongPatch {
    /// Fields and their new values: text, a number, a boolean, or a list of texts; `null`
    /// empties a field, whatever the file says.
    #[serde(default)]
    #[schema(value_type = Object)]
    set: Map<String, Value>,
    /// Fields that go back to what the file says.
    #[serde(default)]
    unset: Vec<String>,
}

impl SongPatch {
    fn changes(self) -> Result<Vec<EditChange>> {
        let field = |name: &str| {
            name.parse::<Field>().map_err(|error| {
                let names: Vec<&str> = Field::names().collect();
                Problem::invalid(error.to_string()).tip(format!("fields are {}", names.join(", ")))
            })
        };
        let mut changes = Vec::new();
        for (name, value) in self.set {
            let field = field(&name)?;
            let wrong = || Problem::invalid(format!("`{name}` cannot be {value}"));
            changes.push(match &value {
                Value::Null => EditChange::Clear(field),
                Value::String(text) => EditChange::Set(field, text.clone()),
                Value::Number(number) => EditChange::Set(field, number.to_string()),
                Value::Bool(true) => EditChange::Set(field, "yes".to_owned()),
                Value::Bool(false) => EditChange::Set(field, "no".to_owned()),
                Value::Array(texts) if field.is_list() => {
                    let texts: Option<Vec<&str>> = texts.iter().map(Value::as_str).collect();
                    let texts = texts.ok_or_else(wrong)?;
                    // A field takes its list as one text, in which commas part.
                    if texts.iter().any(|text| text.contains(',')) {
                        return Err(wrong().tip("values of lists cannot have commas"));
                    }
                    EditChange::Set(field, texts.join(","))
                }
                Value::Array(_) | Value::Object(_) => return Err(wrong()),
            });
        }
        for name in &self.unset {
            changes.push(EditChange::Reset(field(name)?));
        }
        if changes.is_empty() {
            return Err(Problem::invalid("there is nothing to change")
                .tip("send `{\"set\":{\"title\":\"Kick\"}}` or `{\"unset\":[\"title\"]}`"));
        }
        Ok(changes)
    }
}

/// Changes what is known of a song.
#[utoipa::path(patch, path = "/api/v1/songs/{id}", tag = "songs", request_body = inline(SongPatch),
    params(("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning")),
    responses((status = 200, description = "The song as it is now", body = ref("#/components/schemas/show")))
)]
async fn change(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    Json(change): Json<SongPatch>,
) -> Result<Response> {
    let changes = change.changes()?;
    let song = named(&server, &id).await?;
    let library = server.library.clone();
    let song = to_the_end(async move { edit(&library, song.id, &changes).await }).await??;
    shown(&server, &song).await
}

/// Forgets a song. Its audio files stay; it can be restored from the trash.
#[utoipa::path(delete, path = "/api/v1/songs/{id}", tag = "songs",
    params(("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning")),
    responses((status = 200, description = "What was forgotten", body = ref("#/components/schemas/rm")))
)]
async fn forget(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
) -> Result<Response> {
    let song = named(&server, &id).await?;
    let library = server.library.clone();
    let removed = to_the_end(async move { remove(&library, &[song], false).await }).await??;
    Ok(axum::Json(removed).into_response())
}

/// Lists the writes that made a song, also one that was deleted and can be restored.
#[utoipa::path(get, path = "/api/v1/songs/{id}/history", tag = "songs",
    params(("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning")),
    responses((status = 200, description = "The writes, the earliest first", body = ref("#/components/schemas/song-history")))
)]
async fn history(State(server): State<Shared>, InPath(id): InPath<String>) -> Result<Response> {
    let missing = match named(&server, &id).await {
        Ok(song) => return Ok(axum::Json(SongHistory::of(&song, None)).into_response()),
        Err(problem) if problem.code() == "not_found" => problem,
        Err(problem) => return Err(problem),
    };
    match deleted_song(&server.library, &id).await? {
        Some((song, at)) => Ok(axum::Json(SongHistory::of(&song, at)).into_response()),
        None => Err(missing),
    }
}
