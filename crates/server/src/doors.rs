//! Who is let in: names, sites, tokens; and what every answer says of itself.

use std::{net::IpAddr, panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;

use crate::{
    problem::{Problem, Result},
    server::Shared,
};

/// The name of the cookie that stands for a token.
const COOKIE: &str = "songrec_session";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Nothing but what this server sends: no script or style in a page, no other host.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; \
     script-src 'self'; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What every answer says, whatever it is.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Lets a request through or refuses it, counts it, and dresses its answer.
pub(crate) async fn guard(State(server): State<Shared>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let in_flight = InFlight::new(server.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match let_in(&server, &request) {
        Err(problem) => problem.into_response(),
        Ok(Entry::Preflight) => preflight(),
        Ok(Entry::Request) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            // The panic was logged where it happened.
            Err(_) => Problem::new("bug", "songrec came to an unexpected end in this request")
                .tip("please report it, with what the server logged")
                .into_response(),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin.filter(|origin| is_listed(&server, origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("etag, location, content-range, retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        let across = HeaderValue::from_static("cross-origin");
        headers.insert(HeaderName::from_static("cross-origin-resource-policy"), across);
    }
    let (route, status) = (route.as_deref().unwrap_or("other"), response.status());
    server.figures.count(method.as_str(), route, status.as_u16(), started.elapsed());
    tracing::debug!(%method, route, status = status.as_u16(), took = ?started.elapsed(), "request");
    drop(in_flight);
    response
}

/// A request that is counted as long as somebody works on it.
struct InFlight(Shared);

impl InFlight {
    fn new(server: Shared) -> Self {
        server.figures.begin();
        Self(server)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.figures.end();
    }
}

enum Entry {
    Request,
    /// A browser asks whether a page of a listed origin may send something.
    Preflight,
}

fn let_in(server: &Shared, request: &Request) -> Result<Entry> {
    let headers = request.headers();
    let host = named_host(request)?;
    known_host(server, &host)?;
    let is_listed = headers.get(header::ORIGIN).is_some_and(|origin| is_listed(server, origin));
    if is_listed && request.method() == Method::OPTIONS {
        return Ok(Entry::Preflight);
    }
    if !is_listed {
        same_site(request, &host)?;
    }
    if needs_token(request.uri().path()) && !is_authenticated(server, headers) {
        return Err(Problem::new("no_token", "this server answers those who have its token")
            .tip("send `Authorization: Bearer TOKEN`, or log in with `POST /api/v1/session`"));
    }
    Ok(Entry::Request)
}

// What the client calls this server, with the port if it says one.
fn named_host(request: &Request) -> Result<String> {
    let host = request.headers().get_all(header::HOST);
    let mut hosts = host.iter().filter_map(|host| host.to_str().ok());
    match (hosts.next(), hosts.next(), request.uri().authority()) {
        // In an absolute address it counts more than the header.
        (_, _, Some(authority)) => Ok(authority.as_str().to_ascii_lowercase()),
        (Some(host), None, None) => Ok(host.to_ascii_lowercase()),
        _ => Err(Problem::new("wrong_host", "the request does not say which host it means")),
    }
}

// A page of another site can let its name point here, and then a browser thinks that
// it may read the answers: so a name that is not this server's is refused.
fn known_host(server: &Shared, host: &str) -> Result<()> {
    let name = without_port(host);
    let is_loopback = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let options = &server.options;
    let is_named = options.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
    // Who rebinds a name has no token, and no cookie of that name.
    let is_open = options.hosts.is_empty() && options.token.is_some();
    if is_loopback || is_named || is_open {
        return Ok(());
    }
    Err(Problem::new("wrong_host", format!("this server is not called `{name}`"))
        .tip("`songrec serve --allow-host NAME` lets it be called so"))
}

// `[::1]:8001` and `localhost:8001` without what comes after the last colon.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_listed(server: &Shared, origin: &HeaderValue) -> bool {
    server
        .options
        .origins
        .iter()
        .any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
}

// Browsers say from where a request comes. What another site sends is refused: a write
// because it would be done in the user's name, and anything else because it costs
// something and a picture or a sound could be seen. Programs say nothing of this.
fn same_site(request: &Request, host: &str) -> Result<()> {
    let headers = request.headers();
    let refused = || {
        Problem::new("other_site", "a page of another site sent this request")
            .tip("`songrec serve --allow-origin ORIGIN` lets its pages use this server")
    };
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        let is_own = site == "same-origin" || site == "none";
        // A link to a page may stand anywhere.
        let is_link = is_safe
            && !needs_token(request.uri().path())
            && headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
        return if is_own || is_link { Ok(()) } else { Err(refused()) };
    }
    let Some(origin) = headers.get(header::ORIGIN).filter(|_| !is_safe) else { return Ok(()) };
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match own {
        Some((_, origin)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(refused()),
    }
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id, range"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

// The pages, what logs in and what says that the server lives tell nothing of the
// library.
fn needs_token(path: &str) -> bool {
    let asks_library = ["/search", "/stats", "/search-by-filters", "/metrics"].contains(&path);
    asks_library || (path.starts_with("/api/") && path != "/api/v1/session")
}

/// Whether the client has the token, or the cookie that stands for it.
pub(crate) fn is_authenticated(server: &Shared, headers: &HeaderMap) -> bool {
    let Some(token) = &server.options.token else { return true };
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    let authorization = headers.get(header::AUTHORIZATION).map(text).unwrap_or_default();
    let bearer = authorization
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .is_some_and(|(_, presented)| token.is(presented.trim()));
    // A cookie is sent by itself, and only pages of this server may make use of that:
    // it is for the same site alone.
    bearer
        || headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|value| {
                text(value).split(';').map(|one| one.trim().to_owned()).collect::<Vec<_>>()
            })
            .filter_map(|cookie| cookie.strip_prefix(COOKIE)?.strip_prefix('=').map(str::to_owned))
            .any(|presented| server.session.is(&presented))
}

/// The cookie that stands for the token from now on.
pub(crate) fn cookie(server: &Shared) -> String {
    format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", server.session.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_without_its_port() {
        for (host, name) in [
            ("localhost", "localhost"),
            ("localhost:8001", "localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:8001", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
