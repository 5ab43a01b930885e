//! How the server itself is, for what watches over it.

use std::time::Duration;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::facts::version_of;
use crate::{
    problem::{Problem, Result},
    server::Shared,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(lives))
        .routes(routes!(is_ready))
        .routes(routes!(metrics))
        .routes(routes!(version))
}

/// How long the library may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Says that the server lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses(
    (status = 200, description = "It does", body = String, content_type = "text/plain"),
))]
async fn lives() -> &'static str {
    "ok\n"
}

/// Says whether the library answers.
#[utoipa::path(get, path = "/readyz", tag = "server", responses(
    (status = 200, description = "It does", body = String, content_type = "text/plain"),
))]
async fn is_ready(State(server): State<Shared>) -> Result<&'static str> {
    if server.ending.is_set() {
        return Err(Problem::new("temporary", "the server is about to end"));
    }
    match tokio::time::timeout(PATIENCE, server.library.search_model()).await {
        Ok(Ok(_)) => Ok("ready\n"),
        // Who has no token is not told more.
        Ok(Err(error)) => {
            tracing::warn!("not ready: {}", error.in_one_line());
            Err(Problem::new("temporary", "the library cannot be read now"))
        }
        Err(_) => Err(Problem::new("temporary", "the library does not answer in time")),
    }
}

/// Counts requests, times and jobs, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "The counts", body = String, content_type = "text/plain"),
))]
async fn metrics(State(server): State<Shared>) -> Response {
    let text = server.figures.text(&server.jobs.counts());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Says which songrec this is.
#[utoipa::path(get, path = "/version", tag = "server", responses(
    (status = 200, description = "The version", body = ref("#/components/schemas/version")),
))]
async fn version(State(server): State<Shared>) -> Response {
    axum::Json(version_of(&server)).into_response()
}
