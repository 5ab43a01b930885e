//! Groups of songs that sound alike.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use songrec_core::SongId;
use songrec_library::{
    Cluster, ClusterList, ClusterName, Clustering, cluster_named, cluster_songs, clustering, find,
    labels, remove_clusters, rename_cluster,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fresh::Unknown;
use crate::{
    input::{InPath, Json, Query, Writing, limit, offset},
    problem::{Problem, Result},
    server::{RequestJob, Shared, done, to_the_end},
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, remove)).routes(routes!(show, rename))
}

/// Songs that are read at once.
const READ: usize = 100;

fn none() -> Problem {
    Problem::new("no_clusters", "this library has no clusters")
        .tip("`POST /api/v1/jobs/cluster` makes some")
}

/// Lists the clusters of the library.
#[utoipa::path(get, path = "/api/v1/clusters", tag = "analysis", responses(
    (status = 200, description = "The clusters, and how they were made", body = ref("#/components/schemas/cluster-ls")),
    (status = 304, description = "The client has this answer"),
))]
async fn list(State(server): State<Shared>, Unknown(version): Unknown) -> Result<Response> {
    let job = RequestJob::new();
    let library = &server.library;
    let clustering = clustering(library).await?.ok_or_else(none)?;
    let _turn = server.turn().await?;
    let labels = done(labels(library, &clustering, &job).await?)?;
    Ok(version.json(&ClusterList::as_now(&clustering, &labels)))
}

/// Removes the clusters. Songs stay as they are.
#[utoipa::path(delete, path = "/api/v1/clusters", tag = "analysis", responses(
    (status = 200, description = "They are gone", body = ref("#/components/schemas/cluster-rm")),
))]
async fn remove(State(server): State<Shared>, _: Writing) -> Result<Response> {
    clustering(&server.library).await?.ok_or_else(none)?;
    let library = server.library.clone();
    to_the_end(async move { remove_clusters(&library).await }).await??;
    Ok(Answer(json!({ "removed": true })).into_response())
}

/// Which songs of a cluster are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// How many songs, 1 to 1000; 20 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// How many of the most typical songs are passed over.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
}

// The cluster of this number or name.
async fn named(server: &Shared, name: &str) -> Result<(Clustering, Cluster)> {
    clustering(&server.library).await?.ok_or_else(none)?;
    Ok(cluster_named(&server.library, name).await?)
}

/// Shows a cluster and its songs, the most typical first.
#[utoipa::path(get, path = "/api/v1/clusters/{name}", tag = "analysis", params(Page,
    ("name" = String, Path, description = "The number or the name of a cluster"),
), responses((status = 200, description = "The cluster", body = ref("#/components/schemas/cluster-show"))))]
async fn show(
    State(server): State<Shared>,
    InPath(name): InPath<String>,
    Query(shown): Query<Page>,
) -> Result<Response> {
    let job = RequestJob::new();
    let (limit, offset) = (limit(shown.limit, 20)?, offset(shown.offset)?);
    let (clustering, cluster) = named(&server, &name).await?;
    let _turn = server.turn().await?;
    let library = &server.library;
    let songs = done(cluster_songs(library, &clustering, cluster.id, &job).await?)?;
    let wanted: Vec<SongId> = songs.iter().skip(offset).take(limit).copied().collect();
    let mut summaries = Vec::with_capacity(wanted.len());
    for ids in wanted.chunks(READ) {
        summaries.extend(find::summaries(library, ids).await?);
    }
    let mut document = json!(cluster);
    document["size"] = json!(songs.len());
    document["songs"] = json!(summaries);
    document["offset"] = json!(offset);
    document["limit"] = json!(limit);
    Ok(Answer(document).into_response())
}

/// What a cluster is called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewName {
    /// The new name, with at least one letter.
    name: String,
}

/// Gives a cluster another name.
#[utoipa::path(patch, path = "/api/v1/clusters/{name}", tag = "analysis", request_body = inline(NewName),
    params(("name" = String, Path, description = "The number or the name of a cluster")),
    responses((status = 200, description = "The cluster as it is called now", body = ref("#/components/schemas/cluster-rename")))
)]
async fn rename(
    State(server): State<Shared>,
    _: Writing,
    InPath(name): InPath<String>,
    Json(new): Json<NewName>,
) -> Result<Response> {
    let (_, cluster) = named(&server, &name).await?;
    let library = server.library.clone();
    let id = cluster.id.to_string();
    let renamed =
        to_the_end(async move { rename_cluster(&library, &id, &new.name).await }).await??;
    Ok(Answer(ClusterName::of(&renamed)).into_response())
}
