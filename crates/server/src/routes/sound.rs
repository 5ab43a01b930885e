//! What a song sounds like: its audio, pictures of it, its vectors.

use std::{ops::Range, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;
use songrec_core::{Song, Vector};
use songrec_library::{
    LARGEST_PICTURE, MOST_POINTS, Part, Playable, artwork, find_model, npy_of, playable,
    read_audio, remove_embedding, replace_embedding, spectrogram, vector_of, waveform,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::songs::named;
use crate::{
    input::{InPath, Json, Query, Writing},
    openapi::Bytes,
    problem::{Problem, Result},
    server::{RequestJob, Shared, done, to_the_end},
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(audio))
        .routes(routes!(cover))
        .routes(routes!(outline))
        .routes(routes!(picture))
        .routes(routes!(embedding, replace, remove))
}

/// How long an address of audio can be used.
const VALID_FOR: Duration = Duration::from_secs(3600);

/// How audio is given out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AudioQuery {
    /// Whether an address that expires is given in place of bytes, where the audio has one.
    #[serde(default)]
    redirect: bool,
}

/// Plays a song: its audio as it is stored, or a part of it.
#[utoipa::path(get, path = "/api/v1/songs/{id}/audio", tag = "sound", params(AudioQuery,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
    ("range" = Option<String>, Header, description = "Which bytes, such as `bytes=0-65535`"),
), responses(
    (status = 200, description = "All bytes", content_type = "audio/*"),
    (status = 206, description = "The bytes that were asked for", content_type = "audio/*"),
    (status = 304, description = "The client has this audio"),
    (status = 307, description = "Where the audio is for an hour, if the client asked for an address and there is one"),
))]
async fn audio(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    Query(asked): Query<AudioQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let song = named(&server, &id).await?;
    let job = RequestJob::new();
    let found =
        playable(&server.library, &song, asked.redirect, VALID_FOR, &server.checked, &job).await?;
    let (size, sha256, place) = match found {
        Playable::At(address) => {
            let mut response = Redirect::temporary(&address).into_response();
            let never = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, never);
            return Ok(response);
        }
        Playable::Here { size, sha256, place } => (size, sha256, place),
    };
    let etag = format!("\"{sha256}\"");
    if has_already(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A part of another version would not fit what the client has.
    let fits = text(header::IF_RANGE).is_none_or(|asked| asked == etag);
    let range = match text(header::RANGE).filter(|_| fits).map(|asked| range_of(asked, size)) {
        None | Some(RequestedRange::All) => None,
        Some(RequestedRange::Part(range)) => Some(range),
        Some(RequestedRange::Beyond) => {
            let problem =
                Problem::new("range_not_satisfiable", format!("the audio has {size} bytes"));
            let headers = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((headers, problem).into_response());
        }
    };
    let bytes = range.clone().unwrap_or(0..size);
    let length = bytes.end - bytes.start;
    let stream = read_audio(&server.library, &place, bytes).await?;
    let mut response = Body::from_stream(stream).into_response();
    if let Some(range) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        put(response.headers_mut(), header::CONTENT_RANGE, &shown);
    }
    let headers = response.headers_mut();
    put(headers, header::CONTENT_TYPE, content_type(&song));
    put(headers, header::CONTENT_LENGTH, &length.to_string());
    put(headers, header::ACCEPT_RANGES, "bytes");
    put(headers, header::ETAG, &etag);
    put(headers, header::CACHE_CONTROL, "private, max-age=0, must-revalidate");
    Ok(response)
}

// Whether a client says that it has what this tag stands for.
fn has_already(headers: &HeaderMap, etag: &str) -> bool {
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    asked.is_some_and(|asked| asked.split(',').any(|one| one.trim() == etag))
}

/// Shows the picture in a song's file: the front cover, or else the first one. A song whose
/// tags name none (`tags.art`) is answered without a look at its file; else the tags of the file
/// are read, which comes from the bucket whole if only that has it.
#[utoipa::path(get, path = "/api/v1/songs/{id}/artwork", tag = "sound", params(
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), responses(
    (status = 200, description = "A JPEG, PNG, GIF, WebP, AVIF or BMP, as it is in the file", content_type = "image/*"),
    (status = 304, description = "The client has this picture"),
))]
async fn cover(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let song = named(&server, &id).await?;
    let job = RequestJob::new();
    let _turn = server.turn().await?;
    let found = artwork(&server.library, &song, &server.checked, &job).await?;
    let etag = format!("\"{}\"", found.sha256);
    let mut response = match has_already(&headers, &etag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, found.media_type)], found.bytes).into_response(),
    };
    put(response.headers_mut(), header::ETAG, &etag);
    // A picture changes when its file is written anew, which is seldom.
    put(response.headers_mut(), header::CACHE_CONTROL, "private, max-age=3600");
    Ok(response)
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn content_type(song: &Song) -> &'static str {
    match song.audio.container.as_str() {
        "mp3" | "mpeg" | "mp1" | "mp2" => "audio/mpeg",
        "flac" => "audio/flac",
        "wav" | "wave" => "audio/wav",
        "ogg" => "audio/ogg",
        "mp4" | "m4a" | "isomp4" => "audio/mp4",
        "aac" | "adts" => "audio/aac",
        "aiff" => "audio/aiff",
        "caf" => "audio/x-caf",
        "matroska" | "mkv" | "webm" => "audio/webm",
        _ => match song.audio.codec.as_str() {
            "mp3" => "audio/mpeg",
            "flac" => "audio/flac",
            codec if codec.starts_with("pcm_") => "audio/wav",
            _ => "application/octet-stream",
        },
    }
}

/// Which bytes a client asks for.
#[derive(Debug, PartialEq, Eq)]
enum RequestedRange {
    /// What is not understood, or several parts, which nobody has to be given.
    All,
    Part(Range<u64>),
    /// None that there are.
    Beyond,
}

// As RFC 9110 has it.
fn range_of(text: &str, size: u64) -> RequestedRange {
    let Some(range) = text.strip_prefix("bytes=").filter(|range| !range.contains(',')) else {
        return RequestedRange::All;
    };
    let Some((first, last)) = range.trim().split_once('-') else { return RequestedRange::All };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(_), Ok(_)) => return RequestedRange::All,
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return RequestedRange::All,
    };
    if start < end { RequestedRange::Part(start..end) } else { RequestedRange::Beyond }
}

/// Which part of a song is drawn, and how finely.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OutlineQuery {
    /// How many points, 1 to 20,000; 1,000 if it is not said. Fewer if there are not as
    /// many samples.
    #[param(minimum = 1, maximum = 20_000)]
    points: Option<usize>,
    /// From where, in seconds.
    #[param(minimum = 0)]
    from: Option<f64>,
    /// To where, in seconds.
    #[param(minimum = 0)]
    to: Option<f64>,
}

/// Outlines a song or a part of it: the lowest and highest sample and the root mean
/// square of each point.
#[utoipa::path(get, path = "/api/v1/songs/{id}/waveform", tag = "sound", params(OutlineQuery,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), responses((status = 200, description = "The outline", body = ref("#/components/schemas/waveform"))))]
async fn outline(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    Query(asked): Query<OutlineQuery>,
) -> Result<Response> {
    let points = within(asked.points, 1_000, MOST_POINTS)?;
    let part = part(asked.from, asked.to)?;
    let song = named(&server, &id).await?;
    let _turn = server.turn().await?;
    let job = RequestJob::new();
    let outline = done(waveform(&server.library, &song, part, points, &job).await?)?;
    Ok(kept(axum::Json(outline).into_response()))
}

/// A part that is given in seconds, of which either end may be left out.
pub(super) fn part(from: Option<f64>, to: Option<f64>) -> Result<Option<Part>> {
    if from.is_none() && to.is_none() {
        return Ok(None);
    }
    // No song is longer than this; what is no number fails the comparison.
    const LONGEST: f64 = 9_999_999.0;
    let part = Part { start: from.unwrap_or(0.0), end: to.unwrap_or(LONGEST) };
    match part.start >= 0.0 && part.start < part.end && part.end <= LONGEST {
        true => Ok(Some(part)),
        false => Err(Problem::invalid(format!("from {} to {} is no part", part.start, part.end))
            .tip("`from` comes before `to`; both are in seconds from the beginning")),
    }
}

/// How large a picture is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PictureQuery {
    /// Points from the beginning to the end, 1 to 4,096; 800 if it is not said.
    #[param(minimum = 1, maximum = 4096)]
    width: Option<usize>,
    /// Bands, 1 to 4,096; 256 if it is not said.
    #[param(minimum = 1, maximum = 4096)]
    height: Option<usize>,
}

/// Draws the spectrogram of a song: time from left to right, the mel scale from below,
/// 80 dB from dark to light.
#[utoipa::path(get, path = "/api/v1/songs/{id}/spectrogram", tag = "sound", params(PictureQuery,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), responses((status = 200, description = "The picture", content_type = "image/png")))]
async fn picture(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    Query(asked): Query<PictureQuery>,
) -> Result<Response> {
    let width = within(asked.width, 800, LARGEST_PICTURE)?;
    let height = within(asked.height, 256, LARGEST_PICTURE)?;
    let song = named(&server, &id).await?;
    let _turn = server.turn().await?;
    let job = RequestJob::new();
    let png = done(spectrogram(&server.library, &song, width, height, &job).await?)?;
    Ok(kept(([(header::CONTENT_TYPE, "image/png")], png).into_response()))
}

fn within(asked: Option<usize>, usual: usize, most: usize) -> Result<usize> {
    match asked.unwrap_or(usual) {
        number if (1..=most).contains(&number) => Ok(number),
        number => Err(Problem::invalid(format!("a picture cannot have {number} points"))
            .tip(format!("ask for 1 to {most}"))),
    }
}

// The audio of a song never changes, because it is what its id is made of.
fn kept(mut response: Response) -> Response {
    put(response.headers_mut(), header::CACHE_CONTROL, "private, max-age=86400");
    response
}

/// Which vector is given, and how it is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EmbeddingQuery {
    /// The model, with or without its revision; the one that searches compare by if it is
    /// not said.
    model: Option<String>,
    /// How it is written.
    #[param(inline)]
    format: Option<VectorFormat>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum VectorFormat {
    #[default]
    Json,
    /// As NumPy reads it: little-endian float32.
    Npy,
}

/// Gives the vector by which a model knows a song.
#[utoipa::path(get, path = "/api/v1/songs/{id}/embedding", tag = "sound", params(EmbeddingQuery,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), responses((status = 200, description = "The vector", content(
    (ref("#/components/schemas/vector-of-song") = "application/json"),
    (inline(Bytes) = "application/x-npy"),
))))]
async fn embedding(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    Query(asked): Query<EmbeddingQuery>,
) -> Result<Response> {
    let song = named(&server, &id).await?;
    let (spec, vector) = vector_of(&server.library, &song, asked.model.as_deref()).await?;
    Ok(match asked.format.unwrap_or_default() {
        VectorFormat::Json => axum::Json(json!({
            "id": song.id,
            "model": spec.name,
            "dimension": spec.dimension,
            "metric": spec.metric,
            "vector": vector.values(),
        }))
        .into_response(),
        VectorFormat::Npy => {
            ([(header::CONTENT_TYPE, "application/x-npy")], npy_of(&vector)).into_response()
        }
    })
}

/// Which vector of a song is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VectorOf {
    /// The model, with or without its revision.
    model: String,
}

/// The vector that takes the place of another one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewVector {
    /// As many numbers as the model has dimensions.
    vector: Vec<f32>,
}

/// Replaces the vector by which a model knows a song, or gives it one. In a library that is
/// shared, other machines keep the vector they have.
#[utoipa::path(put, path = "/api/v1/songs/{id}/embedding", tag = "sound", params(VectorOf,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), request_body = inline(NewVector), responses((status = 204, description = "It has this vector")))]
async fn replace(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    Query(of): Query<VectorOf>,
    Json(new): Json<NewVector>,
) -> Result<StatusCode> {
    let library = server.library.clone();
    let song = named(&server, &id).await?.id;
    let model = find_model(&library, &of.model).await?.name;
    let vector = Vector::new(new.vector)
        .map_err(|error| Problem::new("invalid_request", format!("this is no vector: {error}")))?;
    to_the_end(async move { replace_embedding(&library, song, &model, vector).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the vector by which a model knows a song. Removing it again is right as well.
#[utoipa::path(delete, path = "/api/v1/songs/{id}/embedding", tag = "sound", params(VectorOf,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), responses((status = 204, description = "It has no such vector")))]
async fn remove(
    State(server): State<Shared>,
    _: Writing,
    InPath(id): InPath<String>,
    Query(of): Query<VectorOf>,
) -> Result<StatusCode> {
    let library = server.library.clone();
    let song = named(&server, &id).await?.id;
    let model = find_model(&library, &of.model).await?.name;
    to_the_end(async move { remove_embedding(&library, song, &model).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_the_standard_says() {
        for (text, expected) in [
            ("bytes=0-9", RequestedRange::Part(0..10)),
            ("bytes=90-", RequestedRange::Part(90..100)),
            ("bytes=-10", RequestedRange::Part(90..100)),
            ("bytes=-1000", RequestedRange::Part(0..100)),
            ("bytes=50-1000", RequestedRange::Part(50..100)),
            ("bytes=100-", RequestedRange::Beyond),
            ("bytes=-0", RequestedRange::Beyond),
            ("bytes=9-0", RequestedRange::All),
            ("bytes=0-1,4-5", RequestedRange::All),
            ("bytes=x-", RequestedRange::All),
            ("items=0-1", RequestedRange::All),
            ("bytes=18446744073709551615-18446744073709551615", RequestedRange::Beyond),
        ] {
            assert_eq!(range_of(text, 100), expected, "{text}");
        }
    }
}
