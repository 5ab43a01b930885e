//! Answers that a client need not get twice.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use songrec_core::Digest;
use songrec_library::{clustering, library_state, playlists};

use crate::{
    problem::Result,
    server::{RequestJob, Shared},
};

/// What an answer depends on: the songs of the library, its clusters, its playlists where
/// the request may name them, and what was asked.
pub(super) struct Version(String);

/// The version of an answer that the client does not have yet: to one that has it, the
/// request is answered with `304` before it is looked at.
pub(super) struct Unknown(pub(super) Version);

impl FromRequestParts<Shared> for Unknown {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Response> {
        let version = Version::of(server, &parts.uri, &RequestJob::new()).await;
        let version = version.map_err(IntoResponse::into_response)?;
        version.known(&parts.headers).map_or(Ok(Self(version)), Err)
    }
}

impl Version {
    /// The version of what `uri` asks for. Costs next to nothing for a local library; for
    /// one that is far away two requests, and a look at all playlists where parameters may
    /// name one.
    pub(super) async fn of(server: &Shared, uri: &Uri, job: &RequestJob) -> Result<Self> {
        let library = &server.library;
        let state = library_state(library, job).await?;
        let clusters = match clustering(library).await? {
            Some(clustering) => serde_json::to_string(&clustering.clusters).unwrap_or_default(),
            None => String::new(),
        };
        // A letter may be written as a `%` and its number.
        let may_name = uri.query().is_some_and(|query| {
            query.contains('%') || query.to_ascii_lowercase().contains("playlist")
        });
        let lists = match may_name || uri.path().starts_with("/api/v1/playlists") {
            true => playlists(library).await?.version(),
            false => String::new(),
        };
        let version = server.options.version;
        let all = format!("{version}\n{}\n{state}\n{clusters}\n{lists}\n{uri}", library.id());
        Ok(Self(Digest::of(all.as_bytes()).to_string()[..32].to_owned()))
    }

    /// As text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    // Weak, because an answer may come compressed.
    fn etag(&self) -> String {
        format!("W/\"{}\"", self.0)
    }

    /// `304`, if the client has this version.
    pub(super) fn known(&self, headers: &HeaderMap) -> Option<Response> {
        let asked = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
        let etag = self.etag();
        let is_known = asked.split(',').any(|one| one.trim() == etag || one.trim() == "*");
        is_known.then(|| self.on(StatusCode::NOT_MODIFIED.into_response()))
    }

    /// An answer that is of this version.
    pub(super) fn on(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::from_str(&self.etag()) {
            headers.insert(header::ETAG, etag);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        response
    }

    /// A document that is of this version.
    pub(super) fn json(&self, document: &impl Serialize) -> Response {
        self.on(Json(document).into_response())
    }
}
