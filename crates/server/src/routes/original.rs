//! The addresses of the system that the dashboard and the API come from, with its names
//! and shapes: clients that were written for it need not be changed.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use songrec_core::{SongSummary, decode_path};
use songrec_library::{
    SimilarOptions, find,
    find::{List, Listing, Order, OrderBy, Selection},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::similar::like_file;
use crate::{
    input::{Query, filter, limit},
    problem::Result,
    server::{RequestJob, Shared},
    upload::Upload,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(stats)).routes(routes!(by_filters))
}

/// How many results there are.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// 1 to 1000; 5 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    n_results: Option<usize>,
}

/// A file to find others like.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only says what a form has")]
struct SearchForm {
    /// The audio.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Lists the songs that sound like a file, which is not kept, by ascending distance.
#[utoipa::path(post, path = "/search", tag = "original", params(SearchQuery),
    request_body(content = inline(SearchForm), content_type = "multipart/form-data"),
    responses((status = 200, description = "The file, and what sounds like it", body = ref("#/components/schemas/original-search")))
)]
async fn search(
    State(server): State<Shared>,
    Query(asked): Query<SearchQuery>,
    upload: Upload,
) -> Result<Response> {
    let options = SimilarOptions { k: limit(asked.n_results, 5)?, ..SimilarOptions::default() };
    let similar = like_file(&server, &upload, None, &options).await?;
    let results = similar.results.iter().map(|song| {
        let mut result = result(&song.summary);
        result["distance"] = json!(song.distance);
        result["similarity"] = json!(song.similarity);
        result
    });
    let query = json!({ "filename": upload.name, "duration": similar.query.duration });
    Ok(Json(json!({ "query": query, "results": results.collect::<Vec<_>>() })).into_response())
}

// A song by the names of that system. Its files are known by their names alone, and
// those without a genre are said to be of the genre `unknown`.
fn result(summary: &SongSummary) -> Value {
    let of_path = summary
        .path
        .as_deref()
        .and_then(|path| Some(decode_path(path).file_name()?.to_string_lossy().into_owned()));
    json!({
        "id": summary.id,
        "filename": of_path.unwrap_or_else(|| summary.title.clone()),
        "genre": summary.genres.first().map_or("unknown", String::as_str),
        "duration": summary.duration,
        "bpm": summary.bpm,
        "key": summary.key,
    })
}

/// Counts songs and genres.
#[utoipa::path(get, path = "/stats", tag = "original", responses(
    (status = 200, description = "The library in numbers", body = ref("#/components/schemas/original-stats")),
))]
async fn stats(State(server): State<Shared>) -> Result<Response> {
    let _turn = server.turn().await?;
    let library = &server.library;
    let stats = find::stats(library, &songrec_core::Filter::all()).await?;
    let model = library.search_model().await?;
    let dimension = stats.models.iter().find(|known| known.name == model);
    Ok(Json(json!({
        "total_samples": stats.total_songs,
        "genres": stats.genres,
        "embedding_dimension": dimension.map_or(0, |model| model.dimension),
        "total_duration": stats.total_duration,
        "model": model,
    }))
    .into_response())
}

/// Which songs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ByFilters {
    /// A genre.
    genre: Option<String>,
    /// The number or name of a cluster.
    cluster: Option<String>,
    /// 1 to 1000; 20 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Lists songs of a genre or a cluster.
#[utoipa::path(get, path = "/search-by-filters", tag = "original", params(ByFilters), responses(
    (status = 200, description = "The songs", body = ref("#/components/schemas/original-list")),
))]
async fn by_filters(
    State(server): State<Shared>,
    Query(asked): Query<ByFilters>,
) -> Result<Response> {
    let job = RequestJob::new();
    let limit = limit(asked.limit, 20)?;
    let named = [("genre", &asked.genre), ("cluster", &asked.cluster)];
    let filters: Vec<String> = named
        .into_iter()
        .filter_map(|(name, value)| {
            Some(format!("{name}:\"{}\"", value.as_deref()?.replace('"', "")))
        })
        .collect();
    let filter = filter(&server.library, &filters, &job).await?;
    let selection = Selection { filter, missing: None };
    let total = find::count(&server.library, &selection).await?;
    let order = Order { by: OrderBy::Title, descending: false };
    let mut list = List::new(&server.library, Listing { selection, order, skip: 0, limit });
    let mut results = Vec::new();
    while let Some(page) = list.next().await? {
        results.extend(page.iter().map(result));
    }
    Ok(Json(json!({ "results": results, "total": total })).into_response())
}
