//! Answers that a client need not get twice.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use songrec_core::Digest;
use songrec_library::{clustering, library_state};

use crate::{
    problem::Result,
    server::{RequestJob, Shared},
};

/// What an answer depends on: the songs of the library, its clusters, and what was asked.
pub(super) struct Version(String);

impl Version {
    /// The version of what `uri` asks for. Costs next to nothing for a local library, and
    /// two requests for one that is far away.
    pub(super) async fn of(server: &Shared, uri: &Uri, job: &RequestJob) -> Result<Self> {
        let library = &server.library;
        let state = library_state(library, job).await?;
        let clusters = match clustering(library).await? {
            Some(clustering) => serde_json::to_string(&clustering.clusters).unwrap_or_default(),
            None => String::new(),
        };
        let version = server.options.version;
        let all = format!("{version}\n{}\n{state}\n{clusters}\n{uri}", library.id());
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
