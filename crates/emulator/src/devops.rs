//! The part of Astra's DevOps API that programs need: keyspaces of a database.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::auth;
use crate::shared::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v2/databases/{database}", get(describe))
        .route("/v2/databases/{database}/keyspaces/{keyspace}", post(create).delete(remove))
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "errors": [{ "ID": status.as_u16(), "message": message }] })))
        .into_response()
}

/// Every database id is this database: it has no id of its own.
async fn describe(
    State(shared): State<Arc<Shared>>,
    Path(database): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = auth::check(&headers, &shared.credentials) {
        return refused(StatusCode::UNAUTHORIZED, &error.message);
    }
    let keyspaces = shared.database.keyspaces();
    Json(json!({
        "id": database,
        "orgId": "00000000-0000-0000-0000-000000000000",
        "ownerId": "00000000-0000-0000-0000-000000000000",
        "status": "ACTIVE",
        "info": {
            "name": "emulator",
            "keyspace": keyspaces.first(),
            "keyspaces": keyspaces,
            "cloudProvider": "GCP",
            "region": "local",
            "tier": "serverless",
            "dbType": "vector",
        },
        "availableActions": [],
    }))
    .into_response()
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Path((_, keyspace)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = auth::check(&headers, &shared.credentials) {
        return refused(StatusCode::UNAUTHORIZED, &error.message);
    }
    match shared.database.create_keyspace(&keyspace) {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.message),
    }
}

async fn remove(
    State(shared): State<Arc<Shared>>,
    Path((_, keyspace)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = auth::check(&headers, &shared.credentials) {
        return refused(StatusCode::UNAUTHORIZED, &error.message);
    }
    if !shared.database.has_keyspace(&keyspace) {
        return refused(StatusCode::NOT_FOUND, &format!("there is no keyspace `{keyspace}`"));
    }
    match shared.database.drop_keyspace(&keyspace) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.message),
    }
}
