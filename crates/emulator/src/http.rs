//! The server: paths, headers, bodies, and faults on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::answer::Answer;
use crate::auth;
use crate::command::{Command, Context, Fate, Level, Writer, is_write};
use crate::connection::Line;
use crate::error::{ApiError, Code, Names};
use crate::faults::{Fault, Verdict};
use crate::requests::Entry;
use crate::shared::Shared;
use crate::{admin, devops};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for base in ["/v1", "/api/json/v1"] {
        router = router
            .route(base, post(general))
            .route(&format!("{base}/"), post(general))
            .route(&format!("{base}/{{keyspace}}"), post(keyspace))
            .route(&format!("{base}/{{keyspace}}/{{collection}}"), post(collection));
    }
    router
        .route("/stargate/health", get(|| async { "UP" }))
        .merge(devops::router())
        .merge(admin::router())
        .layer(middleware::from_fn(answer_in_time))
        .with_state(shared)
}

/// A client that does not send the rest of its request is not waited for.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Tells the connection that its request is being answered.
async fn answer_in_time(request: Request, next: Next) -> Response {
    let line = request.extensions().get::<ConnectInfo<Line>>().map(|info| info.0.clone());
    let _answering = line.as_ref().map(Line::answering);
    next.run(request).await
}

async fn general(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    handle(shared, Level::General, request).await
}

async fn keyspace(
    State(shared): State<Arc<Shared>>,
    Path(keyspace): Path<String>,
    request: Request,
) -> Response {
    handle(shared, Level::Keyspace(keyspace), request).await
}

async fn collection(
    State(shared): State<Arc<Shared>>,
    Path((keyspace, collection)): Path<(String, String)>,
    request: Request,
) -> Response {
    handle(shared, Level::Collection(keyspace, collection), request).await
}

async fn handle(shared: Arc<Shared>, level: Level, request: Request) -> Response {
    let names = shared.rules.names;
    let (parts, body) = request.into_parts();
    let line = parts.extensions.get::<ConnectInfo<Line>>().map(|info| info.0.clone());
    if let Err(error) = auth::check(&parts.headers, &shared.credentials) {
        return envelope(StatusCode::UNAUTHORIZED, Answer::error(error).into_json(names));
    }
    if !is_json(&parts.headers) {
        let error = ApiError::new(Code::ContentType, "send `Content-Type: application/json`");
        return envelope(StatusCode::UNSUPPORTED_MEDIA_TYPE, Answer::error(error).into_json(names));
    }
    let body = read_body(&parts.headers, body, shared.rules.limits.body_bytes);
    let body = match tokio::time::timeout(BODY_PATIENCE, body).await {
        Ok(Some(body)) => body,
        Ok(None) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };

    // A request that has arrived is carried out, whether or not the client
    // still waits: that is how an answer comes too late.
    let task = tokio::spawn(answer_to(shared, level, body, line));
    task.await.unwrap_or_else(|_| {
        envelope(StatusCode::OK, Answer::error(ApiError::from(Panicked)).into_json(names))
    })
}

async fn answer_to(shared: Arc<Shared>, level: Level, body: Bytes, line: Option<Line>) -> Response {
    let _on_its_way = shared.on_their_way.read().await;
    let started = Instant::now();
    let request_bytes = body.len();
    let parsed = {
        let longest = shared.rules.limits.number_characters;
        on_thread(move || Command::parse(&body, longest)).await
    };
    let name = match &parsed {
        Ok(command) => command.name.clone(),
        Err(_) => String::new(),
    };
    let number = shared.requests.count_one(&name);
    let verdict = shared.faults.decide(&name, level.collection());
    let mut entry = Entry {
        number,
        command: name,
        keyspace: level.keyspace().map(str::to_owned),
        collection: level.collection().map(str::to_owned),
        fault: verdict.fault.as_ref().map(Fault::name),
        status: None,
        errors: Vec::new(),
        request_bytes,
        answer_bytes: 0,
        duration: Duration::ZERO,
    };
    let response = match carry_out(&shared, level, parsed, verdict).await {
        Outcome::Answer { status, text, codes, cut } => {
            entry.status = Some(status.as_u16());
            entry.errors = codes.iter().map(|code| (*code).to_owned()).collect();
            entry.answer_bytes = text.len();
            if cut { broken(line, status, text) } else { envelope(status, text) }
        }
        Outcome::Gateway(response) => {
            entry.status = Some(response.status().as_u16());
            response
        }
        Outcome::Silence => broken(line, StatusCode::OK, String::new()),
    };
    entry.duration = started.elapsed();
    log(&entry);
    shared.requests.add(entry);
    response
}

fn log(entry: &Entry) {
    tracing::debug!(
        command = %entry.command,
        collection = entry.collection.as_deref().unwrap_or(""),
        status = entry.status,
        errors = ?entry.errors,
        fault = entry.fault,
        micros = entry.duration.as_micros(),
        "request"
    );
}

/// What the client gets to see.
enum Outcome {
    Answer {
        status: StatusCode,
        text: String,
        codes: Vec<&'static str>,
        cut: bool,
    },
    /// Something that is not an envelope.
    Gateway(Response),
    /// The connection ends.
    Silence,
}

/// Does the command, as far as the verdict lets it.
async fn carry_out(
    shared: &Arc<Shared>,
    level: Level,
    command: Result<Command, ApiError>,
    verdict: Verdict,
) -> Outcome {
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
    }
    let names = shared.rules.names;
    let writes = command.as_ref().is_ok_and(|command| is_write(&command.name));
    let retries = command.as_ref().is_ok_and(|command| {
        writes
            && ["update", "delete", "findOneAnd"]
                .iter()
                .any(|start| command.name.starts_with(start))
    });
    let run = |fate: Fate, empty_page: bool| {
        let (shared, level) = (Arc::clone(shared), level.clone());
        on_thread(move || match command {
            Ok(command) => {
                let writer = Writer::new(fate);
                let Shared { database, rules, .. } = &*shared;
                Context { database, rules, level: &level, writer: &writer, empty_page }
                    .run(&command)
            }
            Err(error) => Answer::error(error),
        })
    };
    let api_error = |error: ApiError| answer(Answer::error(error), names);
    let timeout = || {
        let code = if writes { Code::WriteTimeout } else { Code::ReadTimeout };
        ApiError::new(code, "the database did not answer in time; the outcome is unknown")
    };
    match verdict.fault {
        None => answer(run(Fate::Done, false).await, names),
        Some(Fault::EmptyPage) => answer(run(Fate::Done, true).await, names),
        Some(Fault::Status { status, retry_after }) => {
            Outcome::Gateway(gateway(status, retry_after))
        }
        Some(Fault::ProxyHtml { status }) => Outcome::Gateway(proxy_page(status)),
        Some(Fault::Hibernated) => Outcome::Gateway(hibernated()),
        Some(Fault::DropBefore) => Outcome::Silence,
        Some(Fault::DropAfter) => {
            run(Fate::Done, false).await;
            Outcome::Silence
        }
        Some(Fault::CutAnswer) => match answer(run(Fate::Done, false).await, names) {
            Outcome::Answer { status, text, codes, .. } => {
                Outcome::Answer { status, text, codes, cut: true }
            }
            other => other,
        },
        Some(Fault::TimeoutApplied) => {
            run(Fate::Done, false).await;
            api_error(timeout())
        }
        Some(Fault::TimeoutNotApplied) => api_error(timeout()),
        Some(Fault::TimeoutAppliedLater) => {
            run(Fate::Later, false).await;
            api_error(timeout())
        }
        Some(Fault::TimeoutPartlyApplied) => {
            run(Fate::Partly, false).await;
            api_error(timeout())
        }
        Some(Fault::Overloaded) => api_error(ApiError::new(
            Code::Driver,
            "Rate limit reached: the database is overloaded, try again later",
        )),
        Some(Fault::ConcurrentFailure { applied }) if retries => {
            let fate = if applied { Fate::DoneThenAlwaysLost } else { Fate::Lost };
            answer(run(fate, false).await, names)
        }
        Some(Fault::ConcurrentFailure { applied }) => {
            if applied {
                run(Fate::Done, false).await;
            }
            api_error(ApiError::new(Code::Concurrent, "other writers won every time; try again"))
        }
        Some(Fault::AppliedThenRepeated) => answer(run(Fate::DoneThenLost, false).await, names),
        Some(Fault::Error { code, applied, status }) => {
            if applied {
                run(Fate::Done, false).await;
            }
            let known = Code::named(&code).unwrap_or(Code::Unexpected);
            let error = ApiError::new(known, format!("a fault was asked for: {code}"));
            match answer(Answer::error(error), names) {
                Outcome::Answer { text, codes, cut, .. } => {
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                    // A code that this server does not have goes out as it came.
                    let text = if known == Code::Unexpected {
                        text.replace(known.name(names), &code)
                    } else {
                        text
                    };
                    Outcome::Answer { status, text, codes, cut }
                }
                other => other,
            }
        }
    }
}

fn answer(answer: Answer, names: Names) -> Outcome {
    let codes = answer.codes(names);
    Outcome::Answer { status: StatusCode::OK, text: answer.into_json(names), codes, cut: false }
}

/// Commands read, compute and write to disk: not on the threads that wait for
/// connections.
async fn on_thread<T: From<Panicked> + Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(_) => T::from(Panicked),
    }
}

/// A command panicked: an error of this server, which the client is told.
struct Panicked;

impl From<Panicked> for ApiError {
    fn from(_: Panicked) -> Self {
        Self::new(
            Code::Unexpected,
            "the emulator failed to carry out the command; please report this",
        )
    }
}

impl From<Panicked> for Answer {
    fn from(panicked: Panicked) -> Self {
        Self::error(panicked.into())
    }
}

impl From<Panicked> for Result<Command, ApiError> {
    fn from(panicked: Panicked) -> Self {
        Err(panicked.into())
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    // The server answers a request that does not say what it holds.
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let Ok(value) = value.to_str() else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The body, or `None` if it is too long.
async fn read_body(headers: &HeaderMap, body: Body, most: usize) -> Option<Bytes> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return None;
    }
    to_bytes(body, most).await.ok()
}

fn envelope(status: StatusCode, text: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], text).into_response()
}

/// About what the head of an answer takes.
const HEAD_BYTES: usize = 110;

/// An answer that stops in the middle, or, without text, none at all.
fn broken(line: Option<Line>, status: StatusCode, text: String) -> Response {
    let keep = text.len() / 2;
    match line {
        Some(line) => {
            line.cut_after(if text.is_empty() { 0 } else { HEAD_BYTES + keep });
            envelope(status, text)
        }
        // Without a connection of our own, a body that fails is as near as it gets.
        None => {
            let half = Bytes::from(text.into_bytes()).slice(..keep);
            let cut = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            Body::from_stream(futures::stream::iter([Ok(half), cut])).into_response()
        }
    }
}

fn gateway(status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let text = status.canonical_reason().unwrap_or("error").to_owned();
    let mut response = (status, text).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn proxy_page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let html = HeaderValue::from_static("text/html");
    (status, [(CONTENT_TYPE, html)], page).into_response()
}

fn hibernated() -> Response {
    let text = "{\"message\":\"Resuming your database, please try again shortly.\"}";
    envelope(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
}
