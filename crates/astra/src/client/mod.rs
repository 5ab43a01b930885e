//! A client of the Data API, usable by itself.
//!
//! Commands are types, answers are checked, documents are whatever `serde` can
//! read. What the protocol makes hard is done here once: envelopes, error codes
//! old and new, paging, chunks of the documented sizes, deadlines, repeating
//! where that is safe, and leaving a dead endpoint alone.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use serde_json::{Value, json};
//! use songrec_astra::{Secret, client::{Client, CollectionSettings, Find}};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:8181".parse()?, Secret::new("my token"))?;
//! let keyspace = client.keyspace("default_keyspace");
//! let options = json!({"vector": {"dimension": 3, "metric": "cosine"}});
//! keyspace.create_collection(&CollectionSettings { name: "notes".into(), options }).await?;
//!
//! let notes = keyspace.collection("notes");
//! notes.insert_many(&[json!({"_id": "a", "$vector": [1, 0, 0], "year": 1999})]).await?;
//!
//! let nearest = Find::new(json!({"year": {"$gte": 1990}})).nearest(&[0.9, 0.1, 0.0], 10);
//! let hits: Vec<Value> = notes.find(nearest).try_collect().await?;
//! # Ok(())
//! # }
//! ```

mod body;
mod collection;
mod command;
mod endpoint;
mod envelope;
mod error;
mod keyspace;
mod repeat;
mod timeouts;
mod tls;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{
    StatusCode, Url,
    header::{self, HeaderMap, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use songrec_core::{
    Breaker, BreakerOptions, Clock, FailedAttempt, Permit, Rest, RetryPolicy, without_password,
};

pub(crate) use self::tls::client_builder;
use self::{
    body::{MAX_ANSWER, Unread},
    envelope::{Envelope, Status},
};
pub use self::{
    collection::Collection,
    command::{
        CollectionSettings, Count, Find, FindOptions, FoundPage, Inserted, Replace, Update,
        Updated, Version,
    },
    endpoint::{Endpoint, InvalidEndpoint, password_token},
    error::{Error, Problem, Result},
    keyspace::Keyspace,
    repeat::Repeat,
    timeouts::Timeouts,
};
use crate::Secret;

/// Documents that one request inserts at the most.
pub const MAX_INSERT: usize = 100;
/// Values in one `$in` or `$nin`.
pub const MAX_IN: usize = 100;
/// Comparisons in one filter.
pub const MAX_COMPARISONS: usize = 64;
/// Documents that a search by vector gives at the most.
pub const MAX_NEAREST: usize = 1000;
/// Bytes of one request.
pub const MAX_BODY: usize = 20_000_000;
// Room for what is around the documents, and for gateways that count otherwise.
const COMFORTABLE_BODY: usize = 12_000_000;
/// An endpoint that failed so often in a row is left alone.
const BREAKER: BreakerOptions = BreakerOptions {
    failures: 8,
    rest: Duration::from_secs(1),
    longest_rest: Duration::from_secs(30),
};

/// A connection to one Data API; cheap to clone, and all clones share it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    token: Secret,
    http: reqwest::Client,
    timeouts: Timeouts,
    breaker: Breaker,
    requests: AtomicU64,
    // Whether anything ever answered.
    answered: AtomicBool,
    // The server's clock less ours at its last answer, in seconds.
    ahead: AtomicI64,
    warned: Mutex<HashSet<String>>,
}

// Everything about a request but its place.
struct Request<'a, C> {
    name: &'static str,
    command: &'a C,
    repeat: Repeat,
    slow: bool,
}

// An answer as it came.
struct Raw {
    status: StatusCode,
    is_html: bool,
    retry_after: Option<Duration>,
    // To which address a redirect leads; none is followed.
    leads_to: Option<String>,
    body: Bytes,
}

// How long one request may take: until the answer begins, and in all.
#[derive(Clone, Copy)]
struct Times {
    head: Duration,
    whole: Duration,
}

// What is sent, and where to.
struct Outgoing {
    url: Url,
    place: String,
    body: Bytes,
}

struct Answer<D> {
    data: Option<D>,
    status: Status,
    errors: Vec<Error>,
    attempts: u32,
}

impl Client {
    /// A client of the Data API at `endpoint`.
    ///
    /// # Errors
    ///
    /// When the token cannot be sent, or TLS cannot be set up.
    pub fn new(endpoint: Endpoint, token: Secret) -> Result<Self> {
        Self::with_timeouts(endpoint, token, Timeouts::default())
    }

    /// A client that waits as long as `timeouts` allow.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn with_timeouts(endpoint: Endpoint, token: Secret, timeouts: Timeouts) -> Result<Self> {
        let failed =
            |problem, why: &dyn fmt::Display| Error::new(problem, "connect", &endpoint, why);
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| failed(Problem::Denied, &"the token holds a line break or the like"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("Token", value);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let http = client_builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10).min(timeouts.request))
            .pool_idle_timeout(Duration::from_secs(90))
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| failed(Problem::Tls, &causes(&error)))?;
        let inner = Inner {
            endpoint,
            token,
            http,
            timeouts,
            breaker: Breaker::new(BREAKER, Clock::default()),
            requests: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            ahead: AtomicI64::new(UNKNOWN),
            warned: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A keyspace, which need not exist yet.
    pub fn keyspace(&self, name: impl Into<String>) -> Keyspace {
        Keyspace::new(self.clone(), name.into())
    }

    /// Where the Data API is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// How many requests were sent so far, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// By how many seconds the server's clock was ahead of ours when it last
    /// answered, to a second or two; negative if it was behind, `None` before
    /// the first answer and if the server does not say.
    pub fn server_ahead_s(&self) -> Option<i64> {
        Some(self.inner.ahead.load(Ordering::Relaxed)).filter(|ahead| *ahead != UNKNOWN)
    }

    async fn send<C: Serialize + Sync, D: DeserializeOwned>(
        &self,
        path: &[&str],
        request: Request<'_, C>,
    ) -> Result<Answer<D>> {
        let name = request.name;
        let place = place(path);
        let body = serde_json::to_vec(&Named(&request))
            .map(Bytes::from)
            .map_err(|error| Error::new(Problem::Refused, name, &place, error))?;
        if body.len() > MAX_BODY {
            let why = format!("the request has {} bytes", body.len());
            return Err(Error::new(Problem::TooLarge, name, place, why));
        }
        let started = Instant::now();
        let outgoing = Outgoing { url: self.inner.endpoint.join(path), place, body };
        let sent = self.send_patiently(&outgoing, &request, started).await;
        // Whose server it is decides what a person can do.
        let own = !self.inner.endpoint.is_astra();
        match sent {
            Ok(mut answer) => {
                answer.errors.iter_mut().for_each(|error| error.own_server = own);
                Ok(answer)
            }
            Err(error) => Err(Error { own_server: own, ..error }),
        }
    }

    async fn send_patiently<C: Sync, D: DeserializeOwned>(
        &self,
        outgoing: &Outgoing,
        request: &Request<'_, C>,
        started: Instant,
    ) -> Result<Answer<D>> {
        let inner = &*self.inner;
        let timeouts = &inner.timeouts;
        let retry_policy = RetryPolicy { total: self.operation(request), ..timeouts.retry };
        let mut retries = retry_policy.start();
        let mut attempt = 0;
        let mut last: Option<Error> = None;
        loop {
            let gone = started.elapsed();
            let left = self.time_for(request).saturating_sub(gone);
            let permit = match inner.breaker.admit() {
                Ok(permit) => permit,
                Err(Rest { left: rest, refused }) if refused || rest >= left => {
                    return Err(last.unwrap_or_else(|| {
                        let host = inner.endpoint.host();
                        Error::new(Problem::Resting, request.name, &outgoing.place, host)
                    }));
                }
                Err(rest) => {
                    tokio::time::sleep(rest.left).await;
                    continue;
                }
            };
            attempt += 1;
            let once = if request.slow { timeouts.schema } else { timeouts.request };
            let in_all = self.operation(request).saturating_sub(gone);
            let times = Times { head: once.min(left), whole: once.min(in_all) };
            let mut error = match self.attempt(outgoing, request, permit, times, attempt).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            error.attempts = attempt;
            if !error.problem.is_worth_repeating(request.repeat) {
                return Err(error);
            }
            let in_all = self.time_for(request);
            let in_all = if error.refused { in_all.min(timeouts.refused) } else { in_all };
            let failed = FailedAttempt {
                elapsed: started.elapsed(),
                asked: error.retry_after,
                total: Some(in_all),
            };
            let Some(pause) = retries.after(failed, rand::random()) else { return Err(error) };
            last = Some(error);
            tokio::time::sleep(pause).await;
        }
    }

    // For an operation with all its repetitions.
    fn operation<C>(&self, request: &Request<'_, C>) -> Duration {
        let timeouts = &self.inner.timeouts;
        match request.slow {
            false => timeouts.retry.total,
            true => timeouts.retry.total + timeouts.schema * 2,
        }
    }

    // The same, or what is left of it while nothing ever answered.
    fn time_for<C>(&self, request: &Request<'_, C>) -> Duration {
        let in_all = self.operation(request);
        match self.inner.timeouts.first_answer {
            Some(first) if !self.inner.answered.load(Ordering::Relaxed) => in_all.min(first),
            _ => in_all,
        }
    }

    async fn attempt<C: Sync, D: DeserializeOwned>(
        &self,
        outgoing: &Outgoing,
        request: &Request<'_, C>,
        permit: Permit<'_>,
        times: Times,
        attempt: u32,
    ) -> Result<Answer<D>> {
        let inner = &*self.inner;
        let (name, place) = (request.name, outgoing.place.as_str());
        let started = Instant::now();
        inner.requests.fetch_add(1, Ordering::Relaxed);
        let raw = match self.exchange(outgoing, name, times).await {
            Ok(raw) => raw,
            Err(error) => {
                match error.problem {
                    Problem::Interrupted => drop(permit),
                    Problem::TooMuch => permit.answered(),
                    _ => permit.failed(error.refused),
                }
                tracing::debug!(
                    command = name,
                    place,
                    attempt,
                    elapsed = ?started.elapsed(),
                    problem = ?error.problem,
                    why = %error.detail,
                    "no answer"
                );
                return Err(error);
            }
        };
        permit.answered();
        tracing::debug!(
            command = name,
            place,
            attempt,
            elapsed = ?started.elapsed(),
            status = raw.status.as_u16(),
            sent = outgoing.body.len(),
            received = raw.body.len(),
            "answered"
        );
        let envelope = match serde_json::from_slice::<Envelope<D>>(&raw.body) {
            Ok(envelope) if raw.status.is_success() || !envelope.errors.is_empty() => envelope,
            unusable => {
                let (problem, detail) = raw.unusable(unusable.err());
                let error = Error::new(problem, name, self.placed(place), detail);
                return Err(Error { retry_after: raw.retry_after, ..error });
            }
        };
        let retry_after = raw.retry_after;
        self.warn_once(&envelope.status.warnings);
        let errors: Vec<Error> = envelope
            .errors
            .iter()
            .map(|error| Error { retry_after, ..Error::of_api(error, name, place) })
            .collect();
        // What is answered document by document is judged document by document.
        let in_part = envelope.status.document_responses.is_some()
            || envelope.status.inserted_ids.as_ref().is_some_and(|ids| !ids.is_empty());
        let repeated = errors
            .first()
            .filter(|error| !in_part && error.problem.is_worth_repeating(request.repeat));
        if repeated.is_some() {
            return Err(errors.into_iter().next().expect("just found"));
        }
        Ok(Answer { data: envelope.data, status: envelope.status, errors, attempts: attempt })
    }

    // One request and its answer, whole.
    async fn exchange(&self, outgoing: &Outgoing, name: &'static str, times: Times) -> Result<Raw> {
        let inner = &*self.inner;
        let failed = |problem, why: &dyn fmt::Display| {
            Error::new(problem, name, self.placed(&outgoing.place), why)
        };
        let broken = |error: reqwest::Error| {
            let (problem, refused) = (problem_of(&error), is_refused(&error));
            Error { refused, ..failed(problem, &causes(&error.without_url())) }
        };
        let post = inner.http.post(outgoing.url.clone()).body(outgoing.body.clone());
        let head = tokio::time::timeout(times.head, post.timeout(times.whole).send()).await;
        let response = head
            .map_err(|_| failed(Problem::TimedOut, &format!("nothing within {:.0?}", times.head)))?
            .map_err(broken)?;
        inner.answered.store(true, Ordering::Relaxed);
        let headers = response.headers();
        if let Some(ahead) = ahead(headers) {
            inner.ahead.store(ahead, Ordering::Relaxed);
        }
        let (status, is_html) = (response.status(), has_type(headers, "text/html"));
        let (retry_after, leads_to) = (retry_after(headers), leads_to(&outgoing.url, headers));
        let body = body::whole(response, MAX_ANSWER).await.map_err(|error| match error {
            Unread::Broken(error) => broken(error),
            Unread::TooLarge => {
                failed(Problem::TooMuch, &format!("more than {} MiB", MAX_ANSWER >> 20))
            }
        })?;
        Ok(Raw { status, is_html, retry_after, leads_to, body })
    }

    fn placed(&self, place: &str) -> String {
        format!("{place} at `{}`", self.inner.endpoint.host())
    }

    fn warn_once(&self, warnings: &[Value]) {
        for warning in warnings {
            let text = warning["message"].as_str().or(warning.as_str()).unwrap_or_default();
            let key = warning["errorCode"].as_str().unwrap_or(text).to_owned();
            let mut warned = self.inner.warned.lock().unwrap_or_else(PoisonError::into_inner);
            if warned.len() < 100 && warned.insert(key) {
                tracing::warn!("the Data API says: {text}");
            }
        }
    }
}

impl Raw {
    // What is wrong with an answer that is no envelope, or one that says no
    // more than its status does.
    fn unusable(&self, error: Option<serde_json::Error>) -> (Problem, String) {
        let text = String::from_utf8_lossy(&self.body);
        let is_html = self.is_html || text.trim_start().starts_with('<');
        let parses = serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).is_ok();
        if let Some(error) = error.filter(|_| self.status.is_success() && parses) {
            // Our own idea of the documents is wrong, not the server.
            return (Problem::BadAnswer, error.to_string());
        }
        let status = self.status;
        let detail = match (&self.leads_to, is_html, text.trim()) {
            (Some(address), ..) => format!("{status}, which leads to `{address}`"),
            (None, true, _) => format!("{status}, with a web page"),
            (None, false, "") => format!("{status}, without a body"),
            (None, false, text) => format!("{status}, with {text}"),
        };
        (Problem::of_status(status.as_u16(), is_html, &text), detail)
    }
}

impl<D> Answer<D> {
    fn check(mut self) -> Result<Self> {
        match self.errors.is_empty() {
            true => Ok(self),
            false => Err(self.errors.swap_remove(0)),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.inner.endpoint.to_string())
            .field("token", &self.inner.token)
            .finish_non_exhaustive()
    }
}

// A command as the one member of its request.
struct Named<'a, C>(&'a Request<'a, C>);

impl<C: Serialize> Serialize for Named<'_, C> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0.name, self.0.command)])
    }
}

/// A vector as the Data API takes it in the fewest bytes: big-endian float32.
pub fn binary_vector(values: &[f32]) -> Value {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    serde_json::json!({"$binary": STANDARD.encode(bytes)})
}

/// The vector of a document, in either of the two forms that it may have.
pub fn read_vector(value: &Value) -> Option<Vec<f32>> {
    if let Some(text) = value["$binary"].as_str() {
        let bytes = STANDARD.decode(text).ok()?;
        let (values, rest) = bytes.as_chunks::<4>();
        return rest
            .is_empty()
            .then(|| values.iter().map(|four| f32::from_be_bytes(*four)).collect());
    }
    value.as_array()?.iter().map(|one| one.as_f64().map(|one| one as f32)).collect()
}

fn place(path: &[&str]) -> String {
    match path {
        [] => "the database".to_owned(),
        path => format!("`{}`", path.join("/")),
    }
}

fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    found.is_some_and(|found| found.starts_with(wanted))
}

/// A clock that no answer has shown yet.
const UNKNOWN: i64 = i64::MIN;

fn ahead(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(theirs.as_second() - jiff::Timestamp::now().as_second())
}

// The address that a redirect names, without what may be secret in it.
fn leads_to(from: &Url, headers: &HeaderMap) -> Option<String> {
    let mut to = from.join(headers.get(header::LOCATION)?.to_str().ok()?).ok()?;
    to.set_query(None);
    to.set_fragment(None);
    Some(without_password(to.as_str()).into_owned())
}

// Seconds only: a date would have to be compared with a clock that may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    const MOST: u64 = 60;
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(MOST)))
}

fn problem_of(error: &reqwest::Error) -> Problem {
    let causes = causes(error).to_ascii_lowercase();
    let tls = ["certificate", "handshake", "tls", "invalidmessage", "corrupt message"];
    if error.is_dns() {
        Problem::UnknownHost
    } else if error.is_connect() && tls.iter().any(|word| causes.contains(word)) {
        Problem::Tls
    } else if error.is_connect() {
        Problem::Unreachable
    } else if error.is_timeout() {
        Problem::TimedOut
    } else {
        Problem::Interrupted
    }
}

// Whether somebody is there and nobody listens.
fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let of_io = cause.downcast_ref::<std::io::Error>();
        if of_io.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = cause.source();
    }
    false
}

// The innermost causes say the most.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_survives_both_forms() {
        let values = [1.0, -0.0, f32::MIN_POSITIVE, 0.1];

        let read = read_vector(&binary_vector(&values)).unwrap();

        assert_eq!(read.map_bits(), values.to_vec().map_bits());
        assert_eq!(read_vector(&serde_json::json!([1, 0.5])), Some(vec![1.0, 0.5]));
        assert_eq!(read_vector(&serde_json::json!({"$binary": "AAA="})), None);
    }

    trait Bits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl Bits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }

    #[test]
    fn a_client_does_not_show_its_token() {
        let endpoint = "http://127.0.0.1:1".parse().unwrap();
        let client = Client::new(endpoint, Secret::new("AstraCS:very:secret")).unwrap();

        assert!(!format!("{client:?}").contains("very"));
    }

    #[test]
    fn a_token_with_a_line_break_is_an_error_that_hides_it() {
        let endpoint: Endpoint = "http://127.0.0.1:1".parse().unwrap();

        let error = Client::new(endpoint, Secret::new("Astra\nCS")).unwrap_err();

        assert_eq!(error.problem(), Problem::Denied);
        assert!(!format!("{error:?}{error}").contains("CS"));
    }

    #[test]
    fn a_date_tells_how_the_clocks_differ() {
        let headers = |text: &str| {
            HeaderMap::from_iter([(header::DATE, HeaderValue::from_str(text).unwrap())])
        };

        assert!(ahead(&headers("Sun, 06 Nov 1994 08:49:37 GMT")).unwrap() < -900_000_000);
        let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!(ahead(&headers(&now)).unwrap().abs() <= 1);
        assert_eq!(ahead(&headers("yesterday")), None);
    }

    #[test]
    fn only_seconds_are_taken_from_retry_after() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))])
        };

        assert_eq!(retry_after(&headers("2")), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&headers("86400")), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&headers("Wed, 21 Oct 2026 07:28:00 GMT")), None);
    }
}
