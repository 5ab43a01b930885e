//! What went wrong, as HTTP says it: the only place that knows which status is what.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use songrec_library::{Error, ErrorKind};

use crate::words;

/// The answer to a request that failed, as RFC 9457 shapes it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    /// Stays the same from version to version.
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tip: Option<String>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// Every code with its status and what it means.
pub(crate) const CODES: [(&str, u16, &str); 27] = [
    ("invalid_request", 400, "The request means nothing"),
    ("no_token", 401, "A token is needed"),
    ("denied", 403, "This is not allowed"),
    ("read_only", 403, "This server only reads"),
    ("other_site", 403, "Another site sent this"),
    ("not_found", 404, "There is no such thing"),
    ("no_such_route", 404, "There is no such address"),
    ("no_clusters", 404, "The library has no clusters"),
    ("not_computed", 404, "This has not been worked out yet"),
    ("method_not_allowed", 405, "This address has no such method"),
    ("too_slow", 408, "The request took too long to arrive"),
    ("known_already", 409, "The library has this already"),
    ("guard", 409, "Stopped before anything was changed"),
    ("changed", 412, "It was changed since it was read"),
    ("too_large", 413, "The request is too large"),
    ("wrong_content_type", 415, "The content has another type"),
    ("range_not_satisfiable", 416, "There are not so many bytes"),
    ("wrong_host", 421, "This server is not called so"),
    ("unreadable_audio", 422, "There is no audio to be read"),
    ("too_many_jobs", 429, "Too many jobs are waiting"),
    ("failed", 500, "It failed"),
    ("damaged", 500, "What is stored is damaged"),
    ("bug", 500, "songrec has a bug"),
    ("temporary", 503, "It may work later"),
    ("busy", 503, "Too much is going on"),
    ("no_library", 503, "There is no library"),
    ("locked", 503, "Another program is using it"),
];

impl Problem {
    /// A problem with one of the [`CODES`].
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let known = CODES.iter().find(|(known, _, _)| *known == code);
        // A test goes through the codes that are used.
        debug_assert!(known.is_some(), "`{code}` is no code");
        let (status, title) =
            known.map_or((500, "It failed"), |(_, status, title)| (*status, *title));
        Self {
            kind: format!("urn:songrec:problem:{code}"),
            title,
            status,
            code,
            detail: detail.into(),
            tip: None,
            retry_after: matches!(status, 429 | 503).then_some(2),
        }
    }

    /// A request that means nothing.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new("invalid_request", detail)
    }

    /// This problem with something to do about it.
    pub(crate) fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }

    /// What a file was that somebody sent: its own fault, and not that of the request. It
    /// is called as its sender calls it, and not by where it was for the time being.
    pub(crate) fn of_upload(error: Error, path: &std::path::Path, name: &str) -> Self {
        match error.kind() {
            ErrorKind::Usage | ErrorKind::NotFound => {
                let tip = error.hint().map(words::in_words);
                let problem = Self { tip, ..Self::new("unreadable_audio", error.in_one_line()) };
                problem.of_file(path, name)
            }
            _ => error.into(),
        }
    }

    /// The same of a file that somebody sent, as its sender calls it.
    pub(crate) fn of_file(mut self, path: &std::path::Path, name: &str) -> Self {
        self.detail = self.detail.replace(&path.display().to_string(), name);
        self
    }

    /// The answer that names a song which the library has already.
    pub(crate) fn of_song(self, id: songrec_core::SongId) -> Response {
        let mut body = serde_json::to_value(&self).unwrap_or_default();
        body["id"] = serde_json::json!(id);
        let mut response = self.into_response();
        *response.body_mut() = body.to_string().into();
        if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/songs/{id}")) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    /// Its code.
    pub(crate) const fn code(&self) -> &'static str {
        self.code
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Usage => "invalid_request",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Temporary | ErrorKind::Interrupted => "temporary",
            ErrorKind::Denied => "denied",
            ErrorKind::Corrupt => "damaged",
            ErrorKind::NoLibrary => "no_library",
            ErrorKind::Locked => "locked",
            ErrorKind::Guard => "guard",
            ErrorKind::Failed => "failed",
        };
        let tip = error.hint().map(words::in_words);
        if matches!(error.kind(), ErrorKind::Failed | ErrorKind::Corrupt) {
            tracing::warn!("{}", error.in_one_line());
        }
        Self { tip, ..Self::new(code, error.in_one_line()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"songrec\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
