//! Logging in with a browser.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::facts::kind;
use crate::{
    doors::{cookie, is_authenticated},
    input::Json,
    problem::{Problem, Result},
    server::Shared,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(show, begin))
}

/// Says whether a token is needed, and whether the client has shown it.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses(
    (status = 200, description = "The session", body = ref("#/components/schemas/session")),
))]
async fn show(State(server): State<Shared>, headers: HeaderMap) -> Response {
    let is_in = is_authenticated(&server, &headers);
    Answer(json!({
        "needed": server.options.token.is_some(),
        "authenticated": is_in,
        "read_only": server.why_not_writable().is_some(),
        // Where it is, is nothing for strangers.
        "library": is_in.then(|| server.library.place()),
        "backend": kind(&server),
        "version": server.options.version,
    }))
    .into_response()
}

/// A token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The token that the server was started with.
    token: String,
}

/// Logs in: gives a cookie that stands for the token until the server ends.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = inline(Login), responses(
    (status = 204, description = "The cookie is set"),
))]
async fn begin(State(server): State<Shared>, Json(login): Json<Login>) -> Result<Response> {
    let Some(token) = &server.options.token else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    if !token.is(&login.token) {
        return Err(Problem::new("no_token", "this is not the token of this server")
            .tip("it is in the file or the variable that `songrec serve` was started with"));
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&server))]).into_response())
}
