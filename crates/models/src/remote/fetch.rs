//! Getting a file from an address that a person gave.

use std::{path::Path, time::Duration};

use reqwest::{Response, StatusCode, Url, redirect};
use songrec_core::{has_password, without_password};
use tokio::io::AsyncWriteExt;

use super::{Problem, RemoteError, client::leads_to, tls::client_builder};

/// Redirects that are followed one after the other.
const REDIRECTS: usize = 5;

/// Writes what is at `url` to a new file, and tells `progress` the size of
/// each piece. Says whether there was anything: a server that has no such file
/// is no error.
///
/// Redirects are followed, also to other servers, which is how files that are
/// large are usually offered: nothing secret is sent, not even the address that
/// led there. Never is one followed from `https` to `http`, nor to an address
/// with a password; and where the address that was named has a query, which may
/// be a key, to no other server.
///
/// # Errors
///
/// When the server does not give all of it, or it is larger than `limit`
/// bytes.
///
/// # Cancellation
///
/// Safe; what is left of the file is the caller's.
pub async fn fetch(
    url: &str,
    to: &Path,
    limit: u64,
    mut progress: impl FnMut(u64),
) -> Result<bool, RemoteError> {
    let failed = |problem, reason: String| {
        RemoteError::new(
            problem,
            url,
            reason,
            "check the address, or get the files with another program and name their folder",
        )
    };
    let address = Url::parse(url)
        .map_err(|error| failed(Problem::Config, format!("this is no address: {error}")))?;
    if has_password(url) {
        let hint = "get the files with another program and name their folder";
        let why = "an address with a password is not asked";
        return Err(RemoteError::new(Problem::Config, url, why, hint));
    }
    let is_open = address.query().is_none();
    let http = client_builder()
        .redirect(followed(is_open))
        // The address that led to another server is none of its business.
        .referer(false)
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| {
            failed(Problem::Config, "no connection can be made".to_owned()).because(error)
        })?;
    let broke = |error: reqwest::Error| {
        let error = error.without_url();
        failed(Problem::Unreachable, "the connection broke".to_owned()).because(error)
    };
    let mut response = http.get(address).send().await.map_err(broke)?;
    if let Some((problem, why)) = why_not_followed(&response, is_open) {
        let hint = "name that address if you trust the server, or get the files with another \
                    program and name their folder";
        return Err(match problem {
            Problem::Refused => RemoteError::new(problem, url, why, hint),
            problem => failed(problem, why),
        });
    }
    tracing::debug!("`{}` came from `{}`", plain(url), plain(response.url().as_str()));
    let too_much = || failed(Problem::Garbage, format!("it has more than {limit} bytes"));
    match response.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(false),
        status if !status.is_success() => {
            return Err(failed(Problem::Failed, status.to_string()));
        }
        _ => {}
    }
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_much());
    }
    let unwritten = |error: std::io::Error| {
        failed(Problem::Config, format!("`{}` cannot be written", to.display())).because(error)
    };
    let mut file = tokio::fs::File::create_new(to).await.map_err(unwritten)?;
    let mut written = 0u64;
    while let Some(piece) = response.chunk().await.map_err(broke)? {
        written += piece.len() as u64;
        if written > limit {
            return Err(too_much());
        }
        file.write_all(&piece).await.map_err(unwritten)?;
        progress(piece.len() as u64);
    }
    file.sync_all().await.map_err(unwritten)?;
    Ok(true)
}

/// Follows redirects as [`fetch`] does; `is_open` says whether they may lead to other
/// servers.
pub(super) fn followed(is_open: bool) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        let from = attempt.previous().last();
        let may = from.is_some_and(|from| refused(from, attempt.url(), is_open).is_none());
        match may && attempt.previous().len() <= REDIRECTS {
            true => attempt.follow(),
            false => attempt.stop(),
        }
    })
}

/// Why a redirect that is the answer was not followed, in words.
pub(super) fn why_not_followed(response: &Response, is_open: bool) -> Option<(Problem, String)> {
    let to = leads_to(response)?;
    let why = Url::parse(&to).ok().and_then(|to| refused(response.url(), &to, is_open));
    Some(match why {
        Some(why) => (Problem::Refused, format!("it leads to `{to}`, {why}")),
        None => {
            let why =
                format!("it takes more than {REDIRECTS} redirects, or they go round in circles");
            (Problem::Failed, why)
        }
    })
}

/// Why a redirect is not followed, if it is not. Another server gets nothing but
/// the address that the first one gave, so `is_open` alone keeps it from there.
pub(super) fn refused(from: &Url, to: &Url, is_open: bool) -> Option<&'static str> {
    match (from.scheme(), to.scheme()) {
        ("https" | "http", "https") | ("http", "http") => {}
        ("https", "http") => return Some("which is not encrypted"),
        _ => return Some("which is no web address"),
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Some("which holds a password");
    }
    (!is_open && !is_same_server(from, to))
        .then_some("which is another server, and the address may hold a key")
}

// From `http` to `https` it may be another port.
fn is_same_server(from: &Url, to: &Url) -> bool {
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    from.host() == to.host() && (from.scheme() != to.scheme() || same_port)
}

// An address without what may be secret in it.
fn plain(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return String::new() };
    url.set_query(None);
    url.set_fragment(None);
    without_password(url.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leaves_for_less_security() {
        for (from, to, expected) in [
            ("https://a.example/x", "https://a.example/y", true),
            ("http://a.example/x", "https://a.example/x", true),
            ("https://a.example/x", "https://cdn.example/x?signature=1", true),
            ("https://a.example/x", "https://a.example:8443/x", true),
            ("http://a.example/x", "http://b.example/x", true),
            ("https://a.example/x", "http://a.example/x", false),
            ("https://a.example/x", "http://b.example/x", false),
            ("http://a.example/x", "ftp://a.example/x", false),
            ("https://a.example/x", "file:///etc/passwd", false),
            ("https://a.example/x", "https://me:hush@b.example/x", false),
        ] {
            let url = |text: &str| Url::parse(text).unwrap();

            let followed = refused(&url(from), &url(to), true).is_none();

            assert_eq!(followed, expected, "{from} to {to}");
        }
    }

    #[test]
    fn an_address_that_may_hold_a_key_stays_on_its_server() {
        for (from, to, expected) in [
            ("https://a.example/x", "https://a.example/y", true),
            ("http://a.example/x", "https://a.example/x", true),
            ("https://a.example/x", "https://b.example/x", false),
            ("https://a.example/x", "https://a.example:8443/x", false),
        ] {
            let url = |text: &str| Url::parse(text).unwrap();

            let followed = refused(&url(from), &url(to), false).is_none();

            assert_eq!(followed, expected, "{from} to {to}");
        }
    }
}
