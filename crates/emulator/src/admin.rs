//! Faults and counters over HTTP, for programs that are not written in Rust.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::json;

use crate::auth;
use crate::faults::{Rule, RuleId};
use crate::shared::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/emulator/faults", get(list).post(add).delete(clear))
        .route("/emulator/faults/{rule}", delete(remove))
        .route("/emulator/requests", get(requests).delete(reset))
}

/// Whoever may use the database may break it.
fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let error = auth::check(headers, &shared.credentials).err()?;
    Some((StatusCode::UNAUTHORIZED, Json(json!({ "error": error.message }))).into_response())
}

async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    Json(json!({ "rules": shared.faults.list() })).into_response()
}

async fn add(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    match serde_json::from_str::<Rule>(&body) {
        Ok(rule) => {
            (StatusCode::CREATED, Json(json!({ "id": shared.faults.add(rule) }))).into_response()
        }
        Err(error) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "error": format!("not a rule: {error}") })))
                .into_response()
        }
    }
}

async fn clear(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    shared.faults.clear();
    StatusCode::NO_CONTENT.into_response()
}

async fn remove(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(rule): Path<u64>,
) -> Response {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    match shared.faults.remove(RuleId::from_number(rule)) {
        true => StatusCode::NO_CONTENT.into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn requests(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    let requests = &shared.requests;
    Json(json!({ "total": requests.total(), "counts": requests.counts(), "requests": requests.list() }))
        .into_response()
}

async fn reset(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refused) = refusal(&shared, &headers) {
        return refused;
    }
    shared.requests.reset();
    StatusCode::NO_CONTENT.into_response()
}
