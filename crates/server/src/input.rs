//! What comes in with a request, checked: every mistake is a [`Problem`].

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use songrec_core::{Filter, SongId, Term};
use songrec_library::{
    Library,
    find::{self, Selection},
    looked_up,
};

use crate::{
    problem::{Problem, Result},
    server::{RequestJob, Shared},
    strict,
};

/// The largest body of JSON: a vector of 16,384 numbers, many times over.
const JSON_LIMIT: usize = 2 << 20;
/// How long the next part of a body may take to arrive.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Songs or other things in one answer, at the most.
const MOST: usize = 1_000;
/// Songs that may be passed over.
const FARTHEST: usize = 10_000_000;
/// Days that something may be old.
const MOST_DAYS: u32 = 100_000;
/// Parameters that are looked at one by one, to name one.
const NAMED: usize = 20;
/// Filters of one request.
const FILTERS: usize = 100;

/// The parameters of an address, after its `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parameters(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Parameters as addresses and forms write them; a list is a parameter that is repeated.
pub(crate) fn parameters<T: DeserializeOwned>(text: &str) -> Result<T> {
    let parsed = serde_html_form::from_str(text).map_err(|error| {
        Problem::invalid(format!("the parameters mean nothing: {error}"))
            .tip("`/docs` lists the parameters of every address")
    })?;
    match empty_of_no_text::<T>(text) {
        Some(name) => Err(Problem::invalid(format!("the parameter `{name}` is empty"))
            .tip("give it a value, or leave it out")),
        None => Ok(parsed),
    }
}

// A parameter without a value where a text means nothing either: a number or the like, which
// is taken for not sent otherwise.
fn empty_of_no_text<T: DeserializeOwned>(text: &str) -> Option<&str> {
    let name = |pair: &'_ str| pair.strip_suffix('=').unwrap_or(pair).len();
    let empty = |pair: &&str| !pair.is_empty() && !pair[..name(pair)].contains('=');
    // Any text: what is read as one takes it.
    let is_text = |of: &dyn Fn(&str) -> bool| {
        let pairs = text.split('&').map(|pair| match empty(&pair) && of(pair) {
            true => format!("{}=%00", &pair[..name(pair)]),
            false => pair.to_owned(),
        });
        serde_html_form::from_str::<T>(&pairs.collect::<Vec<_>>().join("&")).is_ok()
    };
    if !text.split('&').any(|pair| empty(&pair)) || is_text(&|_| true) {
        return None;
    }
    let mut some = text.split('&').filter(empty).take(NAMED);
    let pair = some.find(|pair| !is_text(&|other| other == *pair));
    pair.or_else(|| text.split('&').find(empty)).map(|pair| &pair[..name(pair)])
}

/// A part of the path.
pub(crate) struct InPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid(format!("the address means nothing: {error}"))),
        }
    }
}

/// A body of JSON. An empty one is `{}`.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        if !is_of_type(&parts.headers, "application/json") {
            return Err(Problem::new("wrong_content_type", "the body has to be JSON")
                .tip("send `Content-Type: application/json`"));
        }
        let bytes = read(body, JSON_LIMIT).await?;
        let text: &[u8] = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &bytes };
        strict::from_slice(text).map(Self).map_err(|error| {
            Problem::invalid(format!("the body means nothing: {error}"))
                .tip("`/docs` shows what it has to say")
        })
    }
}

/// Whether the body is said to be of a type, whatever its parameters.
pub(crate) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

// All of a body that is small and comes at once.
async fn read(body: Body, limit: usize) -> Result<Bytes> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        let piece = match tokio::time::timeout(PATIENCE, stream.next()).await {
            Err(_) => return Err(Problem::new("too_slow", "the body took too long to arrive")),
            Ok(None) => return Ok(bytes.into()),
            Ok(Some(Err(error))) => {
                return Err(Problem::invalid(format!("the body ended early: {error}")));
            }
            Ok(Some(Ok(piece))) => piece,
        };
        if bytes.len() + piece.len() > limit {
            return Err(Problem::new("too_large", format!("JSON may have {limit} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
}

/// Says that a request changes something: refused where nothing may be changed.
pub(crate) struct Writing;

impl FromRequestParts<Shared> for Writing {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, server: &Shared) -> Result<Self> {
        server.why_not_writable().map_or(Ok(Self), Err)
    }
}

/// How many things an answer has: what was asked for, or `usual`.
pub(crate) fn limit(asked: Option<usize>, usual: usize) -> Result<usize> {
    match asked.unwrap_or(usual) {
        number if (1..=MOST).contains(&number) => Ok(number),
        number => Err(Problem::invalid(format!("an answer cannot have {number} of them"))
            .tip(format!("ask for 1 to {MOST} at a time"))),
    }
}

/// A time that the field `name` gives as a number of days, at least `least` of them.
pub(crate) fn days(name: &str, least: u32, days: u32) -> Result<Duration> {
    match days {
        days if (least..=MOST_DAYS).contains(&days) => Ok(Duration::from_hours(24) * days),
        days => Err(Problem::invalid(format!("`{name}` cannot be {days} days"))
            .tip(format!("send a number from {least} to {MOST_DAYS}"))),
    }
}

/// How many things are passed over.
pub(crate) fn offset(asked: Option<usize>) -> Result<usize> {
    match asked.unwrap_or(0) {
        number if number <= FARTHEST => Ok(number),
        number => Err(Problem::invalid(format!("{number} songs cannot be passed over"))
            .tip("filters find songs faster")),
    }
}

/// The songs that pass all `filters`, which are as the command line takes them, with the
/// songs of clusters looked up.
pub(crate) async fn filter(
    library: &Library,
    filters: &[String],
    job: &RequestJob,
) -> Result<Filter> {
    match selection(library, filters, None, job).await? {
        Selection { filter, missing: None } => Ok(filter),
        _ => Err(Problem::invalid("this address does not look for files that are gone")
            .tip("`GET /api/v1/songs?filter=missing:yes` does")),
    }
}

/// The same with words to search for, and with `missing:yes` or `missing:no`.
pub(crate) async fn selection(
    library: &Library,
    filters: &[String],
    words: Option<&str>,
    job: &RequestJob,
) -> Result<Selection> {
    if filters.len() > FILTERS {
        return Err(Problem::invalid(format!("{} filters are too many", filters.len()))
            .tip(format!("use {FILTERS} at the most; a filter takes values with commas")));
    }
    let mut selection = Selection::default();
    for text in filters {
        match find::asks_for_missing(text) {
            Some(missing) => selection.missing = Some(missing),
            None => {
                let term: Term = text.parse().map_err(|error| {
                    Problem::invalid(format!("{error}")).tip(
                        "a filter is such as `bpm:120..130`, `genre:techno,house` or `key:~8A`",
                    )
                })?;
                selection.filter.terms.push(term);
            }
        }
    }
    if let Some(words) = words.filter(|words| !words.trim().is_empty()) {
        let words: Vec<&str> = words.split_whitespace().collect();
        let of_words = Filter::of_words(&words)
            .map_err(|error| Problem::invalid(error.to_string()).tip("search for other words"))?;
        selection.filter = selection.filter.and(of_words);
    }
    selection.filter = looked_up(library, selection.filter, job).await?;
    Ok(selection)
}

/// Ids of songs.
pub(crate) fn ids(texts: &[String]) -> Result<Vec<SongId>> {
    let id = |text: &String| {
        let invalid = |error| Problem::invalid(format!("`{text}` is no id of a song: {error}"));
        text.parse().map_err(invalid)
    };
    texts.iter().map(id).collect()
}
