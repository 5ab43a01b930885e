//! How a bucket's server is spoken to: no redirect is followed, nothing but an
//! object may be long, and what goes wrong is said in one sentence.
//!
//! Between `object_store`, which signs, repeats and understands, and the client
//! that sends.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::{
    ClientConfigKey, ClientOptions, CredentialProvider,
    aws::AwsCredential,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use reqwest::{Method, StatusCode, header};
use songrec_core::without_password;

use crate::client::{Timeouts, client_builder};

/// How long the server may take for one answer, the sending of a part
/// included: 8 MiB in 5 minutes are 0.2 Mbit/s. A time for a whole request
/// would end long downloads.
const ANSWER: Duration = Duration::from_secs(300);
/// Bytes of an answer that is no object: a list of 1,000 names of 1,024
/// characters is 2 MiB.
const LARGEST_LIST: usize = 16 << 20;
/// Bytes of a refusal that are read.
const LARGEST_REFUSAL: usize = 64 << 10;
/// Characters of a refusal that are shown.
const LONGEST_WORDS: usize = 200;

/// What is wrong with a server, or with how it is asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("nothing answers at `{server}`: {why}")]
    Unreachable { server: String, why: String },
    #[error("`{server}` did not answer within {time:.0?}")]
    Silent { server: String, time: Duration },
    #[error("the connection to `{server}` broke: {why}")]
    Broken { server: String, why: String },
    #[error("`{server}` leads elsewhere, to `{to}`, and redirects of a bucket are not followed")]
    Redirected { server: String, to: String },
    #[error("`{server}` answered with more than {} MiB where no object was asked for", most >> 20)]
    TooMuch { server: String, most: usize },
    #[error("{0}")]
    NoKeys(&'static str),
}

impl Trouble {
    /// What a person can do about it.
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Broken { .. } => {
                "try again; check the address of the server in `SONGREC_BLOBS_ENDPOINT`, and the \
                 network"
            }
            Self::Redirected { .. } => {
                "check `SONGREC_BLOBS_REGION`, and set `SONGREC_BLOBS_ENDPOINT` to the server that \
                 holds the bucket"
            }
            Self::TooMuch { .. } => {
                "no S3 server answers that much: check `SONGREC_BLOBS_ENDPOINT` and what answers \
                 there"
            }
            Self::NoKeys(_) => {
                "set `SONGREC_BLOBS_ACCESS_KEY` and `SONGREC_BLOBS_SECRET_KEY` (or \
                 `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`) in `.env`; where the role of a \
                 cloud's machine is to be used, set `blobs.instance_role`"
            }
        }
    }

    fn into_http(self, kind: HttpErrorKind) -> HttpError {
        HttpError::new(kind, self)
    }
}

/// In place of the keys of a bucket that has none: a request that needs them fails,
/// and its error names the missing ones. Without it the store would ask the cloud's own address
/// for some.
#[derive(Debug)]
pub(super) struct NoKeys(pub(super) &'static str);

#[async_trait]
impl CredentialProvider for NoKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Err(object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(Trouble::NoKeys(self.0)),
        })
    }
}

/// Makes clients that keep to the rules above.
#[derive(Debug)]
pub(super) struct Connector {
    timeouts: Timeouts,
    answered: Arc<AtomicBool>,
}

impl Connector {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        Self { timeouts: timeouts.clone(), answered: Arc::default() }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let client = client_builder()
            .connect_timeout(Duration::from_secs(10).min(self.timeouts.request))
            .read_timeout(ANSWER)
            .https_only(plain.as_deref() != Some("true"))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            // A length that is announced is that of the object.
            .no_gzip()
            .build()
            .map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error.without_url()),
            })?;
        let (timeouts, answered) = (self.timeouts.clone(), Arc::clone(&self.answered));
        Ok(HttpClient::new(Guarded { client, timeouts, answered }))
    }
}

#[derive(Debug)]
struct Guarded {
    client: reqwest::Client,
    timeouts: Timeouts,
    // Whether anything ever answered.
    answered: Arc<AtomicBool>,
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let server = server_of(&request);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        // Nothing else of ours has a name that begins so.
        let is_object = request.uri().path().contains("/audio/");
        let first = self.timeouts.first_answer.filter(|_| !self.answered.load(Ordering::Relaxed));
        let time = first.map_or(self.timeouts.request, |first| first.min(self.timeouts.request));
        let answer = HttpService::call(&self.client, request);
        let answer = match is_read || first.is_some() {
            false => answer.await,
            true => tokio::time::timeout(time, answer).await.map_err(|_| {
                // Who waits for the first answer of all has another place to ask.
                let kind = match first {
                    Some(_) => HttpErrorKind::Unknown,
                    None => HttpErrorKind::Timeout,
                };
                Trouble::Silent { server: server.clone(), time }.into_http(kind)
            })?,
        };
        let response = answer.map_err(|error| unanswered(&server, &error))?;
        self.answered.store(true, Ordering::Relaxed);
        let status = response.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            // What comes after the path may be a signature.
            let to = to.and_then(|to| to.split(['?', '#']).next()).unwrap_or("nowhere");
            let to = shortened(&without_password(to));
            return Err(Trouble::Redirected { server, to }.into_http(HttpErrorKind::Unknown));
        }
        if status.is_success() && is_object && is_read {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = match status.is_success() {
            true => whole(body, LARGEST_LIST, server).await?,
            false => in_words(&beginning(body).await).into(),
        };
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

fn server_of(request: &HttpRequest) -> String {
    let uri = request.uri();
    let (scheme, host) = (uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default());
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

// The same kind of error, by which it is decided whether to ask again.
fn unanswered(server: &str, error: &HttpError) -> HttpError {
    let (server, why) = (server.to_owned(), innermost(error));
    match error.kind() {
        HttpErrorKind::Connect => Trouble::Unreachable { server, why },
        _ => Trouble::Broken { server, why },
    }
    .into_http(error.kind())
}

/// What the last cause of an error says, which is the most.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

async fn whole(body: HttpResponseBody, most: usize, server: String) -> Result<Bytes, HttpError> {
    let (mut pieces, mut whole) = (body.bytes_stream(), BytesMut::new());
    while let Some(piece) = pieces.try_next().await? {
        if whole.len() + piece.len() > most {
            return Err(Trouble::TooMuch { server, most }.into_http(HttpErrorKind::Unknown));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

// Of a refusal only the beginning matters, and nothing that is wrong with it.
async fn beginning(body: HttpResponseBody) -> Vec<u8> {
    let (mut pieces, mut read) = (body.bytes_stream(), Vec::new());
    while let Ok(Some(piece)) = pieces.try_next().await {
        let left = LARGEST_REFUSAL - read.len();
        read.extend_from_slice(&piece[..piece.len().min(left)]);
        if read.len() == LARGEST_REFUSAL {
            break;
        }
    }
    read
}

// `<Error><Code>NoSuchKey</Code><Message>It is gone.</Message>…` as
// `NoSuchKey: It is gone.`, and whatever else it is in short.
fn in_words(refusal: &[u8]) -> String {
    let text = String::from_utf8_lossy(refusal);
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (part, _) = rest.split_once(&format!("</{name}>"))?;
        Some(part.trim()).filter(|part| !part.is_empty())
    };
    let words = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) if text.trim_start().starts_with('<') => "a web page".to_owned(),
        (None, _) => text.into_owned(),
    };
    shortened(&words)
}

fn shortened(words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST_WORDS) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

/// An error of the store in one sentence, without the address and the count of
/// attempts that it carries through all of its causes.
#[derive(Debug)]
pub(super) struct Reason(String);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

impl Reason {
    pub(super) fn of(error: &object_store::Error) -> Self {
        if let Some(trouble) = trouble(error) {
            return Self(trouble.to_string());
        }
        let text = innermost(error);
        let refused = text.strip_prefix("Server returned non-2xx status code: ");
        Self(match refused {
            Some(refused) => {
                format!("the server answered {}", refused.trim_end_matches(": "))
            }
            None => shortened(&without_password(&text)),
        })
    }
}

/// What was wrong with the server, if it was that.
pub(super) fn trouble(error: &object_store::Error) -> Option<&Trouble> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(trouble) = error.downcast_ref() {
            return Some(trouble);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence() {
        let refusal = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Not\n  \
                        you.</Message><RequestId>1</RequestId></Error>";
        assert_eq!(in_words(refusal), "AccessDenied: Not you.");
        assert_eq!(in_words(b"<html><body>log in"), "a web page");
        assert_eq!(in_words(b"slow down"), "slow down");
        assert_eq!(in_words(b"<Error><Code>SlowDown</Code></Error>"), "SlowDown");
        assert!(in_words(&[b'x'; 9_000]).chars().count() <= LONGEST_WORDS + 1);
    }
}
