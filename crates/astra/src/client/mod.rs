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

mod breaker;
mod collection;
mod command;
mod endpoint;
mod envelope;
mod error;
mod keyspace;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{
    Url,
    header::{self, HeaderMap, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::{
    breaker::Breaker,
    envelope::{Envelope, Status},
};
pub use self::{
    collection::Collection,
    command::{
        CollectionSettings, Count, Find, FindOptions, FoundPage, Inserted, Repeat, Replace, Update,
        Updated, Version,
    },
    endpoint::{Endpoint, InvalidEndpoint, password_token},
    error::{Error, Problem, Result},
    keyspace::Keyspace,
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

/// How long to wait, and how often to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one answer.
    pub request: Duration,
    /// For the answer to a change of the schema, which is slow on Astra.
    pub schema: Duration,
    /// For an operation with all its repetitions; a schema change takes as
    /// much longer as its answer does.
    pub operation: Duration,
    /// For an operation at an address where nothing listens: waiting longer
    /// rarely helps, and whoever has a copy can show that meanwhile.
    pub refused: Duration,
    /// How often to try at the most.
    pub attempts: usize,
    /// The pause before the second attempt; it doubles from there, and each is
    /// a random part of that.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(15),
            schema: Duration::from_secs(60),
            operation: Duration::from_secs(90),
            refused: Duration::from_secs(2),
            attempts: 9,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(8),
        }
    }
}

/// A connection to one Data API; cheap to clone, and all clones share it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    token: Secret,
    http: reqwest::Client,
    patience: Patience,
    breaker: Breaker,
    requests: AtomicU64,
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
        Self::with_patience(endpoint, token, Patience::default())
    }

    /// A client that waits as `patience` says.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn with_patience(endpoint: Endpoint, token: Secret, patience: Patience) -> Result<Self> {
        let failed =
            |problem, why: &dyn fmt::Display| Error::new(problem, "connect", &endpoint, why);
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| failed(Problem::Denied, &"the token holds a line break or the like"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("Token", value);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("songrec/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10).min(patience.request))
            .pool_idle_timeout(Duration::from_secs(90))
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| failed(Problem::Tls, &causes(&error)))?;
        let inner = Inner {
            endpoint,
            token,
            http,
            patience,
            breaker: Breaker::new(),
            requests: AtomicU64::new(0),
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
        let patience = &self.inner.patience;
        let (once, in_all) = match request.slow {
            false => (patience.request, patience.operation),
            true => (patience.schema, patience.operation + patience.schema * 2),
        };
        let url = self.inner.endpoint.join(path);
        let started = Instant::now();
        let mut pauses = self.pauses();
        let mut attempt = 0;
        let mut last: Option<Error> = None;
        loop {
            attempt += 1;
            if !self.inner.breaker.admits(Instant::now()) {
                return Err(last.unwrap_or_else(|| {
                    Error::new(Problem::Resting, name, &place, self.inner.endpoint.host())
                }));
            }
            let remaining = in_all.saturating_sub(started.elapsed());
            let mut error = match self
                .attempt(&url, &place, &request, body.clone(), once.min(remaining), attempt)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            error.attempts = attempt;
            if !error.problem.is_worth_repeating(request.repeat) {
                return Err(error);
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            let pause = error.retry_after.map_or(pause, |asked| asked.max(pause));
            let in_all = if error.refused { in_all.min(patience.refused) } else { in_all };
            if started.elapsed() + pause >= in_all {
                return Err(error);
            }
            last = Some(error);
            tokio::time::sleep(pause).await;
        }
    }

    // Exponential pauses with full jitter: each is a random part of what it
    // could be, so that many clients do not come back in step.
    fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let patience = &self.inner.patience;
        ExponentialBuilder::new()
            .with_min_delay(patience.first_pause)
            .with_max_delay(patience.longest_pause)
            .with_factor(2.0)
            .with_max_times(patience.attempts.saturating_sub(1))
            .build()
            .map(|most| most.mul_f64(rand::random::<f64>()))
    }

    async fn attempt<C: Sync, D: DeserializeOwned>(
        &self,
        url: &Url,
        place: &str,
        request: &Request<'_, C>,
        body: Bytes,
        time: Duration,
        attempt: u32,
    ) -> Result<Answer<D>> {
        let inner = &*self.inner;
        let name = request.name;
        let sent = body.len();
        let started = Instant::now();
        inner.requests.fetch_add(1, Ordering::Relaxed);
        let probe = Probe { breaker: &inner.breaker, open: true };
        let answer = async {
            let response = inner.http.post(url.clone()).timeout(time).body(body).send().await?;
            let status = response.status();
            let html = has_type(response.headers(), "text/html");
            let retry_after = retry_after(response.headers());
            if let Some(ahead) = ahead(response.headers()) {
                inner.ahead.store(ahead, Ordering::Relaxed);
            }
            Ok::<_, reqwest::Error>((status, html, retry_after, response.bytes().await?))
        }
        .await;
        let elapsed = started.elapsed();
        let (status, html, retry_after, bytes) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let (problem, refused) = (problem_of(&error), is_refused(&error));
                if matches!(problem, Problem::Interrupted) {
                    probe.give_up();
                } else {
                    probe.failed();
                }
                let why = causes(&error.without_url());
                tracing::debug!(
                    command = name,
                    place,
                    attempt,
                    ?elapsed,
                    ?problem,
                    why,
                    "no answer"
                );
                let place = format!("{place} at `{}`", inner.endpoint.host());
                return Err(Error { refused, ..Error::new(problem, name, place, why) });
            }
        };
        probe.answered();
        tracing::debug!(
            command = name,
            place,
            attempt,
            ?elapsed,
            status = status.as_u16(),
            sent,
            received = bytes.len(),
            "answered"
        );
        let envelope = match serde_json::from_slice::<Envelope<D>>(&bytes) {
            Ok(envelope) if status.is_success() || !envelope.errors.is_empty() => envelope,
            unusable => {
                let text = String::from_utf8_lossy(&bytes);
                let html = html || text.trim_start().starts_with('<');
                let parses = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
                let (problem, detail) = match unusable {
                    // Our own idea of the documents is wrong, not the server.
                    Err(error) if status.is_success() && parses => {
                        (Problem::BadAnswer, error.to_string())
                    }
                    _ => {
                        let problem = Problem::of_status(status.as_u16(), html, &text);
                        let what = if html { "a web page".into() } else { text };
                        (problem, format!("{status}, with {what}"))
                    }
                };
                let place = format!("{place} at `{}`", inner.endpoint.host());
                let mut error = Error::new(problem, name, place, detail);
                error.retry_after = retry_after;
                return Err(error);
            }
        };
        self.warn_once(&envelope.status.warnings);
        let errors: Vec<Error> = envelope
            .errors
            .iter()
            .map(|error| Error { retry_after, ..Error::of_api(error, name, place) })
            .collect();
        // What is told document by document is judged document by document.
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

// Tells the breaker how a request ended, also if its caller went away.
struct Probe<'a> {
    breaker: &'a Breaker,
    open: bool,
}

impl Probe<'_> {
    fn answered(mut self) {
        self.open = false;
        self.breaker.answered();
    }

    fn failed(mut self) {
        self.open = false;
        self.breaker.failed(Instant::now());
    }

    fn give_up(self) {}
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if self.open {
            self.breaker.abandoned();
        }
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

/// A clock that nobody has told of.
const UNKNOWN: i64 = i64::MIN;

fn ahead(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(theirs.as_second() - jiff::Timestamp::now().as_second())
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
