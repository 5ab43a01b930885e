//! Asking a service on the web for documents, and for the files that they name.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use reqwest::{
    Response, Url,
    header::{self, HeaderValue},
};
use songrec_core::{FailedAttempt, RetryPolicy, has_password};
use tokio::io::AsyncWriteExt;

use super::{
    Problem, RemoteError, Token,
    fetch::{followed, refused, why_not_followed},
    pace::Pace,
    tls::client_builder,
};

/// Bytes of a document at the most, after decompression.
const LARGEST_DOCUMENT: usize = 8 << 20;
/// Characters that are shown of what a service says of an error.
const LONGEST_COMPLAINT: usize = 200;

/// How a service is asked.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// Documents that are asked for in any 60 s, repetitions included; 0 is any number.
    pub per_minute: usize,
    /// How long one request may take, its answer included.
    pub timeout: Duration,
    /// When a request that failed is sent again.
    pub retry: RetryPolicy,
    /// What the service wants to see before it answers: the scheme, such as `Token`, and the
    /// key. No server but that of the service gets it.
    pub key: Option<(&'static str, Token)>,
}

/// A service on the web: asked for documents no faster than it allows, and again after what
/// passes. Nothing that it answers is believed: sizes and times have limits, and redirects
/// lead only to web addresses, never from `https` to `http`.
pub struct Web {
    base: Url,
    documents: reqwest::Client,
    files: reqwest::Client,
    pace: Pace,
    options: WebOptions,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (base, options) = (self.base.as_str(), &self.options);
        f.debug_struct("Web").field("base", &base).field("options", options).finish_non_exhaustive()
    }
}

impl Web {
    /// The service at `base`, which has been asked nothing yet.
    ///
    /// # Errors
    ///
    /// When that is no address of a web server, or holds a password.
    pub fn new(base: &str, options: WebOptions) -> Result<Self, RemoteError> {
        let wrong = |reason: String| {
            let hint = "give the address of a service, such as `https://example.org`";
            RemoteError::new(Problem::Config, base, reason, hint)
        };
        let url = Url::parse(base.trim_end_matches('/'))
            .map_err(|error| wrong(format!("this is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("this is no address of a web server".to_owned()));
        }
        if has_password(base) {
            return Err(wrong("a password does not belong into an address".to_owned()));
        }
        let is_open = options.key.is_none();
        let client = |is_open| {
            client_builder()
                .redirect(followed(is_open))
                .referer(false)
                .connect_timeout(options.timeout.min(Duration::from_secs(10)))
                .timeout(options.timeout)
                .build()
                .map_err(|error| wrong("no connection can be made".to_owned()).because(error))
        };
        let (documents, files) = (client(is_open)?, client(true)?);
        Ok(Self { base: url, documents, files, pace: Pace::new(options.per_minute), options })
    }

    /// What `read` makes of the document at `path` below the service's address, asked for
    /// with these parameters. What it cannot read is asked for again, as an answer may be
    /// damaged.
    ///
    /// # Errors
    ///
    /// When there is none in the end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn document<T>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, RemoteError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(parameters);
        let attempt = || async {
            tokio::time::sleep(self.pace.wait(Instant::now())).await;
            let mut request = self.documents.get(url.clone());
            if let Some((scheme, key)) = &self.options.key {
                let text = format!("{scheme} {}", key.expose());
                let mut value = HeaderValue::from_str(&text).map_err(|error| {
                    let (why, hint) = ("the key cannot be sent", "it is text on one line");
                    RemoteError::new(Problem::Denied, url.as_str(), why, hint).because(error)
                })?;
                value.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, value);
            }
            let sent = request.send().await;
            let mut response = sent.map_err(|error| self.unsent(url.as_str(), error))?;
            let too_much = || {
                let why = format!("the answer has more than {} MiB", LARGEST_DOCUMENT >> 20);
                RemoteError::new(Problem::TooMuch, url.as_str(), why, "check what answers there")
            };
            let mut body = BytesMut::new();
            loop {
                let piece = response.chunk().await;
                let Some(piece) = piece.map_err(|error| self.unsent(url.as_str(), error))? else {
                    break;
                };
                if body.len() + piece.len() > LARGEST_DOCUMENT {
                    return Err(too_much());
                }
                body.extend_from_slice(&piece);
            }
            refuse_failure(&response, url.as_str(), self.options.key.is_none(), &body)?;
            read(&body).map_err(|why| {
                let hint = "check that this is the address of the service, or try again later";
                RemoteError::new(Problem::Garbage, url.as_str(), why, hint)
            })
        };
        self.patiently(attempt).await
    }

    /// Writes the file at `url`, an address that the service gave, to `to`, a file that is
    /// there, in place of what it holds, and gives its size. Nothing secret is sent. `progress` gets the size of each
    /// piece.
    ///
    /// # Errors
    ///
    /// When the file does not come whole, has more than `limit` bytes, or the address is not
    /// one that a redirect from the service might lead to. What was written then is part of
    /// it at the most.
    ///
    /// # Cancellation
    ///
    /// Safe; what is left of the file is the caller's.
    pub async fn file(
        &self,
        url: &str,
        to: &Path,
        limit: u64,
        progress: impl Fn(u64),
    ) -> Result<u64, RemoteError> {
        let failed = |problem, why: String| {
            RemoteError::new(problem, url, why, "try again later, or leave it out")
        };
        let address = Url::parse(url)
            .map_err(|error| failed(Problem::Garbage, format!("this is no address: {error}")))?;
        if let Some(why) = refused(&self.base, &address, true) {
            return Err(failed(Problem::Refused, format!("the service names an address {why}")));
        }
        let too_much = || failed(Problem::TooMuch, format!("it has more than {limit} bytes"));
        let unwritten = |error: std::io::Error| {
            let why = format!("`{}` cannot be written", to.display());
            failed(Problem::Config, why).because(error)
        };
        let attempt = || async {
            let sent = self.files.get(address.clone()).send().await;
            let mut response = sent.map_err(|error| self.unsent(url, error))?;
            refuse_failure(&response, url, true, &[])?;
            if response.content_length().is_some_and(|length| length > limit) {
                return Err(too_much());
            }
            // Not made anew: whoever gave up waiting may have removed it meanwhile.
            let opened = tokio::fs::OpenOptions::new().write(true).truncate(true).open(to).await;
            let mut file = opened.map_err(unwritten)?;
            let mut written = 0u64;
            loop {
                let piece = response.chunk().await;
                let Some(piece) = piece.map_err(|error| self.unsent(url, error))? else { break };
                written += piece.len() as u64;
                if written > limit {
                    return Err(too_much());
                }
                file.write_all(&piece).await.map_err(unwritten)?;
                progress(piece.len() as u64);
            }
            file.sync_all().await.map_err(unwritten)?;
            Ok(written)
        };
        self.patiently(attempt).await
    }

    async fn patiently<T, F: Future<Output = Result<T, RemoteError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, RemoteError> {
        let (began, mut retries) = (Instant::now(), self.options.retry.start());
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if !error.problem().is_passing() {
                return Err(error);
            }
            let failed = FailedAttempt { elapsed: began.elapsed(), asked: error.wait, total: None };
            let Some(pause) = retries.after(failed, rand::random()) else { return Err(error) };
            tracing::debug!(%error, ?pause, "a request is sent again");
            tokio::time::sleep(pause).await;
        }
    }

    fn unsent(&self, url: &str, error: reqwest::Error) -> RemoteError {
        // The address is in the message already.
        let error = error.without_url();
        let hint = "check the connection to the internet, or try again later";
        if error.is_timeout() {
            let why = format!("no whole answer within {:?}", self.options.timeout);
            return RemoteError::new(Problem::Timeout, url, why, hint).because(error);
        }
        let why = if error.is_connect() { "nobody answers" } else { "the connection broke" };
        RemoteError::new(Problem::Unreachable, url, why, hint).because(error)
    }
}

// What an answer other than a success means.
fn refuse_failure(
    response: &Response,
    url: &str,
    is_open: bool,
    body: &[u8],
) -> Result<(), RemoteError> {
    if let Some((problem, why)) = why_not_followed(response, is_open) {
        return Err(RemoteError::new(problem, url, why, "check the address of the service"));
    }
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let (problem, hint) = match status.as_u16() {
        401 | 403 => (
            Problem::Denied,
            "check the key if the service wants one; one that is asked too often may refuse, too: \
             try again later",
        ),
        404 | 410 => (Problem::NotThere, "check the address of the service"),
        429 => (Problem::Busy, "it is asked too often: try again later"),
        500..=599 => (Problem::Failed, "the service is in trouble: try again later"),
        _ => (Problem::Refused, "check the request and the address of the service"),
    };
    let wait = response.headers().get(header::RETRY_AFTER);
    let wait = wait.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut reason = status.to_string();
    let said = String::from_utf8_lossy(body);
    // A page for a browser says nothing to a terminal.
    if !said.trim().is_empty() && !said.trim_start().starts_with('<') {
        let said: String = said.trim().chars().take(LONGEST_COMPLAINT).collect();
        reason = format!("{reason}: {said}");
    }
    if let Some(seconds) = wait {
        reason = format!("{reason}; it asks to wait {seconds} s");
    }
    let mut error = RemoteError::new(problem, url, reason, hint);
    error.wait = wait.map(Duration::from_secs);
    Err(error)
}
