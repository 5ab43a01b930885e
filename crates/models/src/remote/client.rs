//! Asking one model of one server.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::{Method, Response, StatusCode, Url, header};
use serde::{Deserialize, Serialize};
use songrec_core::{Breaker, FailedAttempt, RetryPolicy, has_password, without_password};
use tokio::sync::OnceCell;

use super::{
    BreakerState, ClientConfig, Clock, Figures, Form, Problem, RemoteError,
    figures::Counters,
    protocol::{
        self, Incoming, JSON_LENGTH, Outgoing, complaint, health_path, infer_path, model_path,
        open_answer, open_request, plain_answer, plain_request,
    },
    tls::client_builder,
};

/// Bytes of an answer at the most, after decompression. Longer ones are no
/// vectors of windows.
const LARGEST_ANSWER: usize = 64 << 20;
/// Who is asked to wait longer than this gives up.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The pauses between attempts grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Asks one model of one server.
///
/// Every request has a timeout, is sent again after what passes, and is not
/// sent at all while the server is known to fail. Share one for all calls: the
/// connections, the breaker and the figures are its own.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    base: Url,
    http: reqwest::Client,
    breaker: Breaker,
    counters: Counters,
    /// How the server wants to be asked, once that is known.
    manner: OnceCell<Manner>,
}

/// How a server wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Manner {
    binary: bool,
    input: String,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// How long it took to answer, in seconds.
    pub latency: f64,
    /// What the model looks like to the server, where the form tells.
    pub model: Option<ServedModel>,
}

/// What a server says of a model, in the open protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServedModel {
    /// Its name.
    pub name: String,
    /// Its versions.
    pub versions: Vec<String>,
    /// What computes it.
    pub platform: String,
    /// What it takes.
    pub inputs: Vec<Tensor>,
    /// What it gives.
    pub outputs: Vec<Tensor>,
}

/// One input or output of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Such as `FP32`.
    pub datatype: String,
    /// Its shape; −1 where it varies.
    pub shape: Vec<i64>,
}

impl ServedModel {
    /// The dimension of the vectors in the output called `output`, or the
    /// first one, if it is fixed.
    pub fn dimension(&self, output: Option<&str>) -> Option<usize> {
        let wanted = |tensor: &&Tensor| output.is_none_or(|name| name == tensor.name);
        let last = *self.outputs.iter().find(wanted)?.shape.last()?;
        usize::try_from(last).ok().filter(|dimension| *dimension > 0)
    }
}

struct Answer {
    body: Bytes,
    json_length: Option<usize>,
}

impl Client {
    /// A client that has asked nothing yet.
    ///
    /// # Errors
    ///
    /// When the address or a path is none.
    pub fn new(config: ClientConfig) -> Result<Self, RemoteError> {
        Self::with_clock(config, Clock::default())
    }

    /// The same with another clock for its breaker.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_clock(config: ClientConfig, clock: Clock) -> Result<Self, RemoteError> {
        let wrong = |reason: String| {
            RemoteError::new(
                Problem::Config,
                &config.url,
                reason,
                "give the server's address, such as `http://localhost:8000`",
            )
        };
        let base = Url::parse(config.url.trim_end_matches('/'))
            .map_err(|error| wrong(format!("this is no address: {error}")))?;
        if has_password(&config.url) {
            let hint = "leave user and password out, and name the variable that holds the server's \
                        token as `token_variable` of the model";
            let why = "a password does not belong into an address";
            return Err(RemoteError::new(Problem::Config, &config.url, why, hint));
        }
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong("this is no address of a web server".to_owned()));
        }
        let is_plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:".contains(&b))
        };
        if !is_plain(&config.model) {
            return Err(wrong(format!("`{}` is no name of a model on a server", config.model)));
        }
        let http = client_builder()
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                wrong("no connection can be made from here".to_owned()).because(error)
            })?;
        let breaker = Breaker::new(config.breaker, clock);
        let counters = Counters::default();
        Ok(Self { config, base, http, breaker, counters, manner: OnceCell::new() })
    }

    /// Which model, where.
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// What was asked so far, and how it went.
    pub fn figures(&self) -> Figures {
        self.counters.figures(self.breaker.state())
    }

    /// Whether calls go through.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Takes note of what was found wrong with the vectors.
    pub(crate) fn count(&self, problem: Problem, why: String) {
        self.counters.failed(problem);
        self.counters.call_failed(Some(why));
    }

    /// Whether the server is well, asked once and whatever the breaker says.
    ///
    /// # Errors
    ///
    /// When it is not, or the model is not there.
    pub async fn health(&self) -> Result<Health, RemoteError> {
        let began = Instant::now();
        self.get(&health_path(&self.config)).await?;
        let latency = began.elapsed().as_secs_f64();
        let model = match self.config.form {
            Form::Oip if self.config.endpoint.is_none() => Some(self.describe().await?),
            Form::Oip | Form::Plain => None,
        };
        Ok(Health { latency, model })
    }

    /// What the server says of the model.
    ///
    /// # Errors
    ///
    /// When the server does not speak the open protocol, or has no such model.
    pub async fn describe(&self) -> Result<ServedModel, RemoteError> {
        let path = model_path(&self.config);
        let answer = self.get(&path).await?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            self.garbage(&path, "the answer is not one of the open protocol".to_owned())
                .because(error)
        })
    }

    /// The vectors of `windows`, in their order, as the server gave them: mono
    /// samples at this rate.
    ///
    /// # Errors
    ///
    /// When the server did not give one for each of them, however often it was
    /// asked; or at once, while it is known to fail.
    ///
    /// # Cancellation
    ///
    /// Safe; the server may go on computing.
    pub async fn infer(
        &self,
        windows: &[&[f32]],
        sample_rate: u32,
    ) -> Result<Vec<Vec<f32>>, RemoteError> {
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        self.counters.call();
        let permit = match self.breaker.admit() {
            Ok(permit) => permit,
            Err(rest) => {
                let error = self.resting(rest.left);
                self.counters.failed(Problem::Resting);
                self.counters.call_failed(None);
                return Err(error);
            }
        };
        match self.infer_all(windows, sample_rate).await {
            Ok(vectors) => {
                permit.answered();
                self.counters.embedded(windows.len());
                Ok(vectors)
            }
            Err(error) => {
                if error.problem().counts_against_the_server() {
                    permit.failed(false);
                } else {
                    permit.answered();
                }
                self.counters.call_failed(Some(error.to_string()));
                Err(error)
            }
        }
    }

    async fn infer_all(
        &self,
        windows: &[&[f32]],
        sample_rate: u32,
    ) -> Result<Vec<Vec<f32>>, RemoteError> {
        let path = infer_path(&self.config);
        let output = self.config.output.as_deref();
        let mut vectors = Vec::with_capacity(windows.len());
        if self.config.form == Form::Plain {
            for window in windows {
                let request = plain_request(window, sample_rate);
                let read = |answer: &Answer| plain_answer(&answer.body, output);
                vectors.push(self.post(&path, &request, read).await?);
            }
            return Ok(vectors);
        }
        let manner = self.manner().await?;
        // Windows of one request have one length.
        for same in windows.chunk_by(|left, right| left.len() == right.len()) {
            for batch in same.chunks(self.config.batch.max(1)) {
                let request = open_request(batch, &manner.input, output, manner.binary);
                let read = |answer: &Answer| {
                    let Answer { body, json_length } = answer;
                    open_answer(&Incoming { body, json_length: *json_length }, output, batch.len())
                };
                vectors.extend(self.post(&path, &request, read).await?);
            }
        }
        Ok(vectors)
    }

    // What the configuration leaves open, as the server says it. A server that
    // has no such answers is asked in the way that all understand.
    async fn manner(&self) -> Result<&Manner, RemoteError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Server {
            extensions: Vec<String>,
        }
        let ask = || async {
            let known = |result: Result<Answer, RemoteError>| match result {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.problem().is_passing() => Err(error),
                Err(_) => Ok(None),
            };
            let binary = match self.config.binary {
                Some(binary) => binary,
                None => known(self.get_patiently("/v2").await)?
                    .and_then(|answer| serde_json::from_slice::<Server>(&answer.body).ok())
                    .is_some_and(|server| {
                        server.extensions.iter().any(|name| name == "binary_tensor_data")
                    }),
            };
            let input = match &self.config.input {
                Some(input) => input.clone(),
                None => known(self.get_patiently(&model_path(&self.config)).await)?
                    .and_then(|answer| serde_json::from_slice::<ServedModel>(&answer.body).ok())
                    .and_then(|model| model.inputs.into_iter().next())
                    .map_or_else(|| "audio".to_owned(), |input| input.name),
            };
            Ok(Manner { binary, input })
        };
        self.manner.get_or_try_init(ask).await
    }

    async fn get(&self, path: &str) -> Result<Answer, RemoteError> {
        self.send(Method::GET, path, None).await
    }

    async fn get_patiently(&self, path: &str) -> Result<Answer, RemoteError> {
        self.patiently(|| self.get(path)).await
    }

    async fn post<T>(
        &self,
        path: &str,
        request: &Outgoing,
        read: impl Fn(&Answer) -> Result<T, String>,
    ) -> Result<T, RemoteError> {
        let body = Bytes::copy_from_slice(&request.body);
        let attempt = || async {
            let began = Instant::now();
            let sent = Some((body.clone(), request.json_length));
            let answer = self.send(Method::POST, path, sent).await?;
            let read = read(&answer).map_err(|reason| self.garbage(path, reason))?;
            self.counters.answered(began.elapsed());
            Ok(read)
        };
        self.patiently(attempt).await
    }

    // Tries again what may pass, after a pause that grows, or that the server
    // asks for.
    async fn patiently<T, F: Future<Output = Result<T, RemoteError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, RemoteError> {
        let (began, mut retries) = (Instant::now(), self.retry_policy().start());
        let mut is_retry = false;
        loop {
            self.counters.request(is_retry);
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            self.counters.failed(error.problem());
            if !error.problem().is_passing() {
                return Err(error);
            }
            let failed = FailedAttempt { elapsed: began.elapsed(), asked: error.wait, total: None };
            let Some(pause) = retries.after(failed, rand::random()) else { return Err(error) };
            tracing::debug!(%error, ?pause, "a request is sent again");
            tokio::time::sleep(pause).await;
            is_retry = true;
        }
    }

    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            attempts: self.config.retries.saturating_add(1),
            first_pause: self.config.backoff,
            factor: 2,
            longest_pause: LONGEST_PAUSE.max(self.config.backoff),
            // Up to twice as long: `backoff` is what a person asked for at least.
            spread: (1.0, 2.0),
            total: Duration::MAX,
            longest_wait: LONGEST_WAIT,
        }
    }

    // One request and its answer, whole.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(Bytes, Option<usize>)>,
    ) -> Result<Answer, RemoteError> {
        let url = self.address(path);
        let mut request = self.http.request(method, &url).timeout(self.config.timeout);
        if let Some(token) = &self.config.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some((body, json_length)) = body {
            let kind = match json_length {
                Some(_) => "application/octet-stream",
                None => "application/json",
            };
            request = request.header(header::CONTENT_TYPE, kind).body(body);
            if let Some(length) = json_length {
                request = request.header(JSON_LENGTH, length.to_string());
            }
        }
        let mut response = request.send().await.map_err(|error| self.unsent(&url, error))?;
        let status = response.status();
        let number = |name: &str| -> Option<u64> {
            response.headers().get(name)?.to_str().ok()?.trim().parse().ok()
        };
        let json_length = number(JSON_LENGTH).and_then(|length| usize::try_from(length).ok());
        let wait = number("retry-after").map(Duration::from_secs);
        let leads_to = leads_to(&response);
        if response.content_length().is_some_and(|length| length > LARGEST_ANSWER as u64) {
            return Err(self.too_much(url));
        }
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unsent(&url, error))? {
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(self.too_much(url));
            }
            body.extend_from_slice(&piece);
        }
        let answer = Answer { body: body.freeze(), json_length };
        if status.is_success() {
            return Ok(answer);
        }
        if let Some(to) = leads_to {
            let reason = format!("{status}, which leads to `{to}`, and no redirect is followed");
            let hint = "set `url` of the model to the address where its server answers itself";
            return Err(RemoteError::new(Problem::NotThere, url, reason, hint));
        }
        Err(self.refused(url, status, wait, &answer.body))
    }

    fn too_much(&self, url: String) -> RemoteError {
        let reason = format!("the answer has more than {} MiB", LARGEST_ANSWER >> 20);
        let hint = "no vectors of windows are as large: check `url` and `endpoint` of the model, and \
                    what answers there";
        RemoteError::new(Problem::TooMuch, url, reason, hint)
    }

    fn address(&self, path: &str) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        format!("{base}/{}", path.trim_start_matches('/'))
    }

    fn unsent(&self, url: &str, error: reqwest::Error) -> RemoteError {
        // The address is in the message already.
        let error = error.without_url();
        if error.is_timeout() {
            let reason = format!("no answer within {:?}", self.config.timeout);
            let hint = "the server may be too slow for its windows: raise `timeout`, lower \
                        `batch`, or give the server more threads";
            return RemoteError::new(Problem::Timeout, url, reason, hint).because(error);
        }
        let reason = if error.is_connect() { "nobody answers" } else { "the connection broke" };
        let hint = "start the server, or correct the `url` of the model";
        RemoteError::new(Problem::Unreachable, url, reason, hint).because(error)
    }

    fn refused(
        &self,
        url: String,
        status: StatusCode,
        wait: Option<Duration>,
        body: &[u8],
    ) -> RemoteError {
        let (problem, hint) = match status.as_u16() {
            401 | 403 => (
                Problem::Denied,
                "name the variable with the server's token as `token_variable` of the model",
            ),
            404 | 405 | 501 => (
                Problem::NotThere,
                "check `remote`, `form` and `endpoint` of the model; the server's own list of \
                 models is at `/v2/repository/index` or in its log",
            ),
            429 => (Problem::Busy, "lower `at_once` of the model, or try again later"),
            500..=599 => (Problem::Failed, "look into the server's log; then try again"),
            _ => (
                Problem::Refused,
                "check that `input`, `sample_rate` and `window` are those of the server's model",
            ),
        };
        let mut reason = status.to_string();
        if let Some(said) = complaint(body) {
            reason = format!("{reason}: {said}");
        }
        if let Some(wait) = wait {
            reason = format!("{reason}; it asks to wait {} s", wait.as_secs());
        }
        let mut error = RemoteError::new(problem, url, reason, hint);
        error.wait = wait;
        error
    }

    fn garbage(&self, path: &str, reason: String) -> RemoteError {
        let hint = format!(
            "check that this is an inference server that speaks `{}`, and `output` of the model",
            self.config.form
        );
        RemoteError::new(Problem::Garbage, self.address(path), reason, hint)
    }

    fn resting(&self, rest: Duration) -> RemoteError {
        let reason = match self.figures().last_error {
            Some(last) if rest.is_zero() => {
                format!("one request tries whether it is back ({last})")
            }
            Some(last) => {
                format!(
                    "it failed too often, and is not asked for {} s ({last})",
                    rest.as_secs() + 1
                )
            }
            None => "it failed too often".to_owned(),
        };
        let hint = "`songrec doctor` says how the server is";
        RemoteError::new(
            Problem::Resting,
            self.address(&protocol::infer_path(&self.config)),
            reason,
            hint,
        )
    }
}

/// The address that a redirect names, without what may be secret in it.
pub(crate) fn leads_to(response: &Response) -> Option<String> {
    let to =
        response.headers().get(header::LOCATION).filter(|_| response.status().is_redirection())?;
    let mut to = response.url().join(to.to_str().ok()?).ok()?;
    to.set_query(None);
    to.set_fragment(None);
    Some(without_password(to.as_str()).into_owned())
}
