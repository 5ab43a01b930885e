//! The library as a landscape.

use std::{
    io::{self, BufWriter, Write},
    sync::Arc,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::Deserialize;
use serde_json::json;
use songrec_library::{MapData, MapMethod, MapOptions, Property, is_map_kept, map};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    analysis::{is_quick, model},
    fresh::{Unknown, Version},
};
use crate::{
    input::{Query, filter, limit, offset},
    openapi::Bytes as AnyBytes,
    problem::{Problem, Result},
    server::{RequestJob, Shared, done},
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(whole)).routes(routes!(songs))
}

/// How songs get their places and colors.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct MapQuery {
    /// `umap`, `tsne` or `pca`; `umap` if it is not said.
    method: Option<String>,
    /// In 2 or 3 dimensions; 2 if it is not said.
    #[param(minimum = 2, maximum = 3)]
    #[schema(minimum = 2, maximum = 3)]
    dims: Option<usize>,
    /// The model to compare by, with its revision.
    model: Option<String>,
    /// What colors mean: `genre`, `instrument`, `cluster`, `key`, `bpm` or `anomaly`;
    /// `genre` if it is not said.
    color: Option<String>,
    /// What chance is drawn from.
    seed: u64,
    /// Only songs that pass, as for the list of songs; may be repeated.
    filter: Vec<String>,
    /// How it is written: `json`, song by song; `packed`, in columns; or `classes`, which is
    /// packed without the places, for who has them and wants other colors.
    format: Option<String>,
    /// How many songs, of the list of songs, 1 to 1000; 1000 if it is not said.
    limit: Option<usize>,
    /// How many songs of the list are passed over.
    offset: Option<usize>,
    /// Whether a job draws it again, instead of placing new songs on it.
    again: bool,
}

impl MapQuery {
    /// As the library takes it.
    pub(super) async fn options(&self, server: &Shared, job: &RequestJob) -> Result<MapOptions> {
        let wrong = |name| move |error| Problem::invalid(format!("`{name}`: {error}"));
        let method = self.method.as_deref().map(str::parse::<MapMethod>).transpose();
        let dims = self.dims.unwrap_or(2);
        if !(2..=3).contains(&dims) {
            return Err(Problem::invalid(format!("a map has 2 or 3 dimensions, not {dims}")));
        }
        Ok(MapOptions {
            method: method.map_err(wrong("method"))?.unwrap_or_default(),
            dims,
            model: model(self.model.as_deref())?,
            filter: filter(&server.library, &self.filter, job).await?,
            seed: self.seed,
            again: self.again,
        })
    }

    /// What colors mean.
    pub(super) fn color(&self) -> Result<Property> {
        let color = self.color.as_deref().map(|name| Property::named(name, &Property::COLORS));
        let color = color.transpose();
        let wrong = |error| Problem::invalid(format!("`color`: {error}"));
        Ok(color.map_err(wrong)?.unwrap_or_default())
    }

    // What a map depends on, whatever is shown of it.
    fn key(&self) -> String {
        let Self { method, dims, model, color, seed, filter, .. } = self;
        format!("{method:?} {dims:?} {model:?} {color:?} {seed} {filter:?}")
    }
}

// The map that is asked for, as the library is now.
async fn drawn(
    server: &Shared,
    asked: &MapQuery,
    job: &RequestJob,
) -> Result<(Version, Arc<MapData>)> {
    let key = asked.key();
    let color = asked.color()?;
    if asked.again {
        return Err(
            Problem::invalid("`again` is for jobs").tip("`POST /api/v1/jobs/map` draws it again")
        );
    }
    // What the map is of, without what is shown of it.
    let version = Version::of(server, &Uri::from_static("/api/v1/map"), job).await?;
    let key = format!("{} {key}", version.as_str());
    if let Some(known) = server.maps.get(&key) {
        return Ok((version, known));
    }
    let options = asked.options(server, job).await?;
    let library = &server.library;
    if !is_map_kept(library, &options, job).await? && !is_quick(server).await? {
        return Err(Problem::new("not_computed", "no such map of these songs is known yet")
            .tip("`POST /api/v1/jobs/map` draws it"));
    }
    let _turn = server.turn().await?;
    let map = done(map(library, &options, job).await?)?;
    let data = done(MapData::read(library, map, color, &options.filter, job).await?)?;
    let data = Arc::new(data);
    server.maps.keep(key, data.clone());
    Ok((version, data))
}

/// Gives a map of the library: as JSON, song by song, or packed: a line of JSON, padded so
/// that the numbers after it begin at a multiple of four bytes, then x, y (and z) of all
/// songs as little-endian float32, column by column, then the class of each as
/// little-endian uint16, 65535 for none. As `classes` it has all of that but the places.
/// Of more than 5,000 songs it is drawn by a job first.
#[utoipa::path(get, path = "/api/v1/map", tag = "analysis", params(MapQuery), responses(
    (status = 200, description = "The map", content(
        (ref("#/components/schemas/map-of-songs") = "application/json"),
        (inline(AnyBytes) = "application/octet-stream"),
    )),
    (status = 304, description = "The client has this answer"),
))]
async fn whole(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(asked): Query<MapQuery>,
) -> Result<Response> {
    let job = RequestJob::new();
    let columns = match asked.format.as_deref() {
        None | Some("json") => None,
        Some("packed") => Some(Columns::All),
        Some("classes") => Some(Columns::Classes),
        Some(other) => {
            return Err(Problem::invalid(format!("`{other}` is no format of a map"))
                .tip("`json`, `packed` and `classes` are"));
        }
    };
    let (_, data) = drawn(&server, &asked, &job).await?;
    let (body, content_type) = match columns {
        Some(columns) => (pack(&data, columns).into(), "application/octet-stream"),
        None => (as_json(data), "application/json"),
    };
    Ok(version.on(([(header::CONTENT_TYPE, content_type)], body).into_response()))
}

// Some 250 bytes a song, of which only pieces are in memory: they are written as they are
// taken, until nobody takes them any more.
fn as_json(data: Arc<MapData>) -> Body {
    let (pieces, taken) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Pieces(pieces.clone()));
        if let Err(error) = data.write_json(&mut out).and_then(|()| out.flush()) {
            // What has begun can only be broken off.
            let _ = pieces.blocking_send(Err(error));
        }
    });
    Body::from_stream(stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken))))
}

/// Bytes that are written at once, and pieces of so many that wait to be taken.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// Gives pieces to whoever takes them.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which columns a packed map has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    /// The places and the classes.
    All,
    /// The classes alone: at 100,000 songs a fifth of the bytes.
    Classes,
}

fn pack(data: &MapData, columns: Columns) -> Vec<u8> {
    let (classes, of_songs) = data.classes();
    let map = &data.map;
    let count = map.songs.len();
    let head = json!({
        "count": count,
        "dims": map.dims,
        "classes": classes,
        "color": data.color,
        "seed": map.seed,
        "model": map.model,
        "method": map.method,
        "made_at": map.made_at,
        "trustworthiness": map.trustworthiness,
        "placed": map.placed,
    });
    let mut bytes = head.to_string().into_bytes();
    while !(bytes.len() + 1).is_multiple_of(4) {
        bytes.push(b' ');
    }
    bytes.push(b'\n');
    let places = if columns == Columns::All { map.dims } else { 0 };
    for axis in 0..places {
        let places = map.coordinates.iter().skip(axis).step_by(map.dims);
        bytes.extend(places.flat_map(|place| place.to_le_bytes()));
    }
    bytes.extend(of_songs.iter().flat_map(|class| class.to_le_bytes()));
    bytes
}

/// Lists the songs of a map in the order of its columns, with their nearest neighbors in
/// truth as numbers of songs.
#[utoipa::path(get, path = "/api/v1/map/songs", tag = "analysis", params(MapQuery), responses(
    (status = 200, description = "The songs", body = ref("#/components/schemas/map-song-list")),
    (status = 304, description = "The client has this answer"),
))]
async fn songs(
    State(server): State<Shared>,
    Unknown(version): Unknown,
    Query(asked): Query<MapQuery>,
) -> Result<Response> {
    let job = RequestJob::new();
    let (limit, offset) = (limit(asked.limit, 1_000)?, offset(asked.offset)?);
    let (_, data) = drawn(&server, &asked, &job).await?;
    let total = data.map.songs.len();
    let numbers = offset.min(total)..offset.saturating_add(limit).min(total);
    let song = |number: usize| {
        let neighbors = data.map.nearest(number);
        let neighbors: Vec<u32> =
            neighbors.iter().copied().filter(|near| (*near as usize) < total).collect();
        let mut document = json!({ "id": data.map.songs[number], "neighbors": neighbors });
        // Nothing for a song that was deleted meanwhile.
        if let Some(song) = &data.songs[number] {
            document["title"] = json!(song.title);
            for (name, text) in [("artist", &song.artist), ("genre", &song.genre)] {
                if let Some(text) = text {
                    document[name] = json!(**text);
                }
            }
            if let Some(bpm) = song.bpm {
                document["bpm"] = json!(bpm);
            }
            if let Some(key) = song.key {
                document["key"] = json!(key);
            }
        }
        document
    };
    let songs: Vec<_> = numbers.map(song).collect();
    let answer = json!({ "songs": songs, "total": total, "offset": offset, "limit": limit });
    Ok(version.json(&answer))
}
