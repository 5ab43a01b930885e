//! Getting a file from an address that a person gave.

use std::{path::Path, time::Duration};

use reqwest::{StatusCode, Url, redirect};
use songrec_core::has_password;
use tokio::io::AsyncWriteExt;

use crate::{BridgeError, Problem, bridge::leads_to};

/// Redirects that are followed one after the other.
const REDIRECTS: usize = 10;

/// Writes what is at `url` to a new file, and tells `progress` the size of
/// each piece. Says whether there was anything: a server that has no such file
/// is no error. A redirect is followed on the same server alone, and never from
/// `https` to `http`.
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
) -> Result<bool, BridgeError> {
    let failed = |problem, reason: String| {
        BridgeError::new(
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
        return Err(BridgeError::new(Problem::Config, url, why, hint));
    }
    let http = reqwest::Client::builder()
        .redirect(redirect::Policy::custom(|attempt| {
            let stays = attempt.previous().last().is_some_and(|from| stays(from, attempt.url()));
            match stays && attempt.previous().len() <= REDIRECTS {
                true => attempt.follow(),
                false => attempt.stop(),
            }
        }))
        .user_agent(concat!("songrec/", env!("CARGO_PKG_VERSION")))
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
    if let Some(to) = leads_to(&response) {
        let here = response.url();
        if Url::parse(&to).is_ok_and(|to| stays(here, &to)) {
            let why = "its redirects lead to each other and never to the file";
            return Err(failed(Problem::Failed, why.to_owned()));
        }
        let why = format!("it leads to `{to}`, which is another server");
        let hint = "name that address if you trust the server, or get the files with another \
                    program and name their folder";
        return Err(BridgeError::new(Problem::Refused, url, why, hint));
    }
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

// Whether a redirect stays on the server that was named; from `http` to `https`
// it may go to another port.
fn stays(from: &Url, to: &Url) -> bool {
    let same_port = from.port_or_known_default() == to.port_or_known_default();
    let ways = (from.scheme(), to.scheme());
    from.host() == to.host()
        && (ways == ("http", "https") || (ways.0 == ways.1 && same_port))
        && matches!(to.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_its_server() {
        for (from, to, expected) in [
            ("https://a.example/x", "https://a.example/y", true),
            ("http://a.example/x", "https://a.example/x", true),
            ("https://a.example/x", "http://a.example/x", false),
            ("https://a.example/x", "https://b.example/x", false),
            ("https://a.example/x", "https://a.example:8443/x", false),
            ("http://a.example/x", "ftp://a.example/x", false),
        ] {
            let url = |text: &str| Url::parse(text).unwrap();

            assert_eq!(stays(&url(from), &url(to)), expected, "{from} to {to}");
        }
    }
}
