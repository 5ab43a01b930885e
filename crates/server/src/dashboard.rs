//! The pages for a browser, which are in the program.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Problem;

/// What `just dashboard` builds.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/dashboard/dist"]
struct Files;

/// The page that all others are views of.
const INDEX: &str = "index.html";
/// Digits that a build puts into names of files which never change: `app-3f9ab1c2.js`.
const HASH_DIGITS: usize = 8;

/// A file of the dashboard, or its page where an address names a view of it.
pub(crate) async fn page(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return unknown(request.uri().path()).into_response();
    }
    let is_view = path.is_empty() || !(path.contains('.') || path.starts_with("api/"));
    let (name, file) = match Files::get(path) {
        Some(file) => (path, file),
        None if is_view => match Files::get(INDEX) {
            Some(file) => (INDEX, file),
            None => return unknown(request.uri().path()).into_response(),
        },
        None => return unknown(request.uri().path()).into_response(),
    };
    answer(&request, name, file)
}

fn answer(request: &Request, name: &str, file: EmbeddedFile) -> Response {
    let digest = file.metadata.sha256_hash();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // Weak, because it may come compressed.
    let etag = format!("W/\"{hex}\"");
    let asked = request.headers().get(header::IF_NONE_MATCH);
    let is_same = asked.is_some_and(|asked| {
        asked.to_str().is_ok_and(|asked| asked.split(',').any(|one| one.trim() == etag))
    });
    let caching = if has_hash(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if is_same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(file.data).into_response();
        let content_type = HeaderValue::from_static(content_type(name));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn unknown(path: &str) -> Problem {
    Problem::new("no_such_route", format!("there is nothing at `{path}`"))
        .tip("`/docs` lists all addresses")
}

// Whether a name says which content it has.
fn has_hash(name: &str) -> bool {
    let stem = name.rsplit('/').next().unwrap_or_default();
    stem.split(['-', '.']).skip(1).any(|part| {
        part.len() >= HASH_DIGITS
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && part.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_hash_is_kept_for_ever() {
        for name in ["app-3f9ab1c2.js", "assets/style.1A2B3C4D.css", "chunk-BX7QZ2KD.js"] {
            assert!(has_hash(name), "{name}");
        }
        for name in ["index.html", "app.js", "third-party-licences.txt", "favicon.svg"] {
            assert!(!has_hash(name), "{name}");
        }
    }

    #[test]
    fn the_dashboard_is_in_the_program() {
        let index = Files::get(INDEX).unwrap();

        let text = String::from_utf8_lossy(&index.data);
        assert!(text.contains("<html") && !text.contains("<script>"), "nothing is inline");
    }
}
