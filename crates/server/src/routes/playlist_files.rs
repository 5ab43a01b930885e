//! Playlists as files of players: written, and read.

use std::path::PathBuf;

use axum::{
    Json as Answer,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use songrec_core::Job;
use songrec_library::{
    ImportOptions, LARGEST_PLAYLIST_FILE, PathMap, PathOptions, PlaylistFormat, SentPlaylist,
    import_playlist, playlist_file, playlist_named,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    input::{InPath, Query, Writing, parameters},
    problem::{Problem, Result},
    server::{RequestJob, Shared, to_the_end},
    upload::Upload,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(file)).routes(routes!(import))
}

fn maps(texts: &[String]) -> Result<Vec<PathMap>> {
    let maps = texts.iter().map(|map| map.parse::<PathMap>()).collect::<Result<_, _>>();
    maps.map_err(|error| Problem::invalid(error.to_string()))
}

/// What a file of a playlist is like.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// `m3u8`, `xspf` or `jspf`; `m3u8` if it is not said.
    format: Option<String>,
    /// A folder of the server: paths are written as they are seen from there.
    relative_to: Option<String>,
    /// `FROM=TO`: a folder of the server, and as the player calls it; may be repeated.
    #[serde(default)]
    map: Vec<String>,
    /// Whether `/` stands between folders whatever the player's system.
    #[serde(default)]
    forward_slash: bool,
}

/// Gives a playlist as a file for players. The header `Songrec-Left-Out` has the number of
/// songs that are not in it, because they or their files are not known any more.
#[utoipa::path(get, path = "/api/v1/playlists/{id}/export", tag = "playlists", params(FileQuery,
    ("id" = String, Path, description = "The id or the name of a playlist"),
), responses(
    (status = 200, description = "The file", content(
        (String = "audio/x-mpegurl"), (String = "application/xspf+xml"), (serde_json::Value = "application/jspf+json"),
    )),
))]
async fn file(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    Query(asked): Query<FileQuery>,
) -> Result<Response> {
    let format = asked.format.as_deref().unwrap_or("m3u8").parse::<PlaylistFormat>();
    let format = format.map_err(|error| Problem::invalid(error.to_string()))?;
    let maps = maps(&asked.map)?;
    let relative_to = asked.relative_to.map(PathBuf::from);
    let paths = PathOptions { relative_to, maps, forward_slash: asked.forward_slash };
    let _turn = server.turn().await?;
    let library = &server.library;
    let kept = playlist_named(library, &id).await?;
    let file = playlist_file(library, &kept, format, &paths, &RequestJob::new()).await?;
    let mut response = file.bytes.into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(format.media_type());
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert("songrec-left-out", HeaderValue::from(file.exported.left_out.len()));
    if let Ok(name) = HeaderValue::from_str(&attachment(&file.exported.name, format)) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

// What a browser calls the file: in plain letters, and as it is (RFC 8187).
fn attachment(name: &str, format: PlaylistFormat) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || " -_.".contains(*c);
    let plain: String = name.chars().map(|c| if is_plain(&c) { c } else { '_' }).collect();
    let whole: String = name
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}.{format}\"; filename*=UTF-8''{whole}.{format}")
}

/// A file of a playlist, and how it is taken in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only says what a form has")]
struct PlaylistForm {
    /// The file, whose name ends in `.m3u8`, `.m3u`, `.xspf` or `.jspf`; 8 MiB and 10,000
    /// songs at the most.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What the playlist is called; what the file calls it, or its own name, if it is not
    /// said.
    name: Option<String>,
    /// A folder of the server that relative paths begin at; `/` if it is not said.
    relative_to: Option<String>,
    /// `FROM=TO`: a folder as the file calls it, and as the server does; may be repeated.
    map: Option<Vec<String>>,
    /// Whether only to say what would be taken in.
    dry_run: Option<bool>,
}

/// The fields beside the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: Option<String>,
    relative_to: Option<String>,
    #[serde(default)]
    map: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

/// Makes a playlist of a file of a player. Songs are recognised by the id that songrec wrote,
/// by path, by the name of the file, or by title and artist; files of the server are not
/// looked at. The answer lists what was not recognised, with the reason.
#[utoipa::path(post, path = "/api/v1/import/playlist", tag = "playlists",
    request_body(content = inline(PlaylistForm), content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The playlist, and what is not in it", body = ref("#/components/schemas/playlist-import")),
        (status = 200, description = "No playlist was made: no song was recognised, or none was to be made", body = ref("#/components/schemas/playlist-import")),
    )
)]
async fn import(State(server): State<Shared>, _: Writing, request: Request) -> Result<Response> {
    let upload = Upload::of_at_most(LARGEST_PLAYLIST_FILE, request, &server).await?;
    let text = serde_html_form::to_string(&upload.fields)
        .map_err(|error| Problem::invalid(format!("the fields mean nothing: {error}")))?;
    let Fields { name, relative_to, map, dry_run } = parameters(&text)?;
    let sent = SentPlaylist { folder: relative_to.map(PathBuf::from) };
    let options = ImportOptions { name, maps: maps(&map)?, dry_run, sent: Some(sent) };
    let turn = server.turn().await?;
    // Whoever goes away ends the search for songs, but not the write after it.
    let asked = RequestJob::new();
    let job = Job { progress: asked.progress.clone(), interrupt: asked.interrupt.clone() };
    let library = server.library.clone();
    let imported = to_the_end(async move {
        let _turn = turn;
        let imported = import_playlist(&library, &upload.path, &options, &job).await;
        imported.map_err(|error| Problem::from(error).of_file(&upload.path, &upload.name))
    });
    let imported = imported.await??;
    Ok(match &imported.playlist {
        Some(card) => {
            let location = format!("/api/v1/playlists/{}", card.id);
            (StatusCode::CREATED, [(header::LOCATION, location)], Answer(imported)).into_response()
        }
        None => Answer(imported).into_response(),
    })
}
