//! A client of a server on which everything goes wrong.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use songrec_core::{Metric, ModelSpec};
use songrec_models::remote::{
    BreakerState, Client, ClientConfig, Clock, Form, Problem, RemoteModel, Token,
};
use songrec_models::{Embedder, ModelErrorKind, Short, Windowing};

/// What the server does with the next request.
#[derive(Clone, Debug)]
enum Does {
    Status(u16),
    Busy(u64),
    Slow,
    Body(&'static str),
    Endless,
    TooShort,
}

/// A server that embeds windows as their mean and their number of samples, and
/// goes wrong as it is told.
#[derive(Clone, Default)]
struct Server {
    plan: Arc<Mutex<VecDeque<Does>>>,
    seen: Arc<Mutex<Vec<String>>>,
    extensions: Vec<&'static str>,
    token: Option<&'static str>,
}

impl Server {
    async fn start(&self) -> SocketAddr {
        let app = Router::new()
            .route("/v2", get(Self::about))
            .route("/v2/health/ready", get(Self::well))
            .route("/health", get(Self::well))
            .route("/v2/models/{model}", get(Self::model))
            .route("/v2/models/{model}/infer", post(Self::infer))
            .route("/process/wav2vec2", post(Self::process))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }

    fn plan(&self, does: impl IntoIterator<Item = Does>) {
        self.plan.lock().unwrap().extend(does);
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    async fn about(State(server): State<Self>) -> Json<Value> {
        Json(json!({"name": "stub", "version": "1", "extensions": server.extensions}))
    }

    async fn well() -> Json<Value> {
        Json(json!({"status": "healthy"}))
    }

    async fn model(Path(model): Path<String>) -> Response {
        if model != "w2v" {
            return (StatusCode::NOT_FOUND, Json(json!({"error": "unknown model"})))
                .into_response();
        }
        Json(json!({
            "name": "w2v", "versions": ["1"], "platform": "stub",
            "inputs": [{"name": "waveform", "datatype": "FP32", "shape": [-1, -1]}],
            "outputs": [{"name": "embedding", "datatype": "FP32", "shape": [-1, 2]}],
        }))
        .into_response()
    }

    // What goes wrong, or the number of vectors too few to give.
    async fn trouble(&self, headers: &HeaderMap) -> Result<bool, Response> {
        if let Some(token) = self.token {
            let given = headers.get("authorization").map(|value| value.to_str().unwrap());
            if given != Some(&format!("Bearer {token}")) {
                return Err(StatusCode::UNAUTHORIZED.into_response());
            }
        }
        let does = self.plan.lock().unwrap().pop_front();
        match does {
            None => Ok(false),
            Some(Does::TooShort) => Ok(true),
            Some(Does::Status(status)) => {
                let status = StatusCode::from_u16(status).unwrap();
                Err((status, Json(json!({"error": "as planned"}))).into_response())
            }
            Some(Does::Busy(seconds)) => {
                let after = [("retry-after", seconds.to_string())];
                Err((StatusCode::TOO_MANY_REQUESTS, after).into_response())
            }
            Some(Does::Slow) => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Ok(false)
            }
            Some(Does::Body(text)) => Err(text.into_response()),
            Some(Does::Endless) => Err(vec![b' '; 65 << 20].into_response()),
        }
    }

    async fn infer(State(server): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let too_short = match server.trouble(&headers).await {
            Ok(too_short) => too_short,
            Err(response) => return response,
        };
        let json_length: Option<usize> = headers
            .get("inference-header-content-length")
            .map(|value| value.to_str().unwrap().parse().unwrap());
        let head: Value =
            serde_json::from_slice(&body[..json_length.unwrap_or(body.len())]).unwrap();
        let input = &head["inputs"][0];
        assert_eq!(input["name"], "waveform", "the model's own name for it");
        let samples = input["shape"][1].as_u64().unwrap() as usize;
        let values: Vec<f64> = match json_length {
            Some(length) => {
                let (fours, []) = body[length..].as_chunks::<4>() else { panic!("odd bytes") };
                fours.iter().map(|four| f64::from(f32::from_le_bytes(*four))).collect()
            }
            None => input["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect(),
        };
        let count = input["shape"][0].as_u64().unwrap();
        server.seen.lock().unwrap().push(format!(
            "{count} x {samples}{}",
            if json_length.is_some() { " as bytes" } else { "" }
        ));
        let mut vectors: Vec<f64> = values.chunks(samples).flat_map(embedded).collect();
        if too_short {
            vectors.truncate(vectors.len() - 2);
        }
        let shape = [vectors.len() / 2, 2];
        Json(json!({"model_name": "w2v", "outputs": [
            {"name": "embedding", "datatype": "FP32", "shape": shape, "data": vectors}]}))
        .into_response()
    }

    async fn process(State(server): State<Self>, headers: HeaderMap, body: Bytes) -> Response {
        if let Err(response) = server.trouble(&headers).await {
            return response;
        }
        let request: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(request["sample_rate"], 8000);
        let audio: Vec<f64> =
            request["audio"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        Json(json!({"features": embedded(&audio)})).into_response()
    }
}

fn embedded(window: &[f64]) -> [f64; 2] {
    [window.iter().sum::<f64>() / window.len() as f64, window.len() as f64]
}

fn config(address: SocketAddr, form: Form) -> ClientConfig {
    let model = if form == Form::Oip { "w2v" } else { "wav2vec2" };
    ClientConfig {
        timeout: Duration::from_millis(500),
        backoff: Duration::from_millis(1),
        ..ClientConfig::new(format!("http://{address}"), form, model)
    }
}

async fn embed(client: &Client) -> Result<Vec<Vec<f32>>, Problem> {
    let result = client.infer(&[&[0.5, -0.25, 0.5], &[1.0, 1.0, 1.0]], 8000).await;
    result.map_err(|error| {
        assert!(!error.hint().is_empty(), "{error}");
        assert!(error.to_string().contains(&client.config().url), "{error}");
        error.problem()
    })
}

#[tokio::test]
async fn both_forms_hear_the_same() {
    let server = Server::default();
    let address = server.start().await;
    for form in [Form::Oip, Form::Plain] {
        let client = Client::new(config(address, form)).unwrap();

        let vectors = embed(&client).await.unwrap();

        assert_eq!(vectors, [[0.25, 3.0], [1.0, 3.0]], "{form}");
        assert!(client.health().await.unwrap().latency > 0.0);
        assert_eq!(client.figures().windows, 2);
    }
}

#[tokio::test]
async fn windows_go_as_bytes_where_the_server_can_and_in_batches_of_one_length() {
    let server = Server { extensions: vec!["binary_tensor_data"], ..Server::default() };
    let client = ClientConfig { batch: 2, ..config(server.start().await, Form::Oip) };
    let client = Client::new(client).unwrap();
    let windows: [&[f32]; 5] = [&[1.0; 4], &[2.0; 4], &[3.0; 4], &[4.0; 2], &[5.0; 4]];

    let vectors = client.infer(&windows, 8000).await.unwrap();

    let lengths = [4.0, 4.0, 4.0, 2.0, 4.0];
    for (number, (vector, length)) in vectors.iter().zip(lengths).enumerate() {
        assert_eq!(vector, &[(number + 1) as f32, length]);
    }
    let seen = ["2 x 4 as bytes", "1 x 4 as bytes", "1 x 2 as bytes", "1 x 4 as bytes"];
    assert_eq!(server.seen(), seen);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let server = Server::default();
    let address = server.start().await;
    let passing = [
        Does::Status(503),
        Does::Status(500),
        Does::Busy(0),
        Does::Body("<html>hello</html>"),
        Does::Body("{\"outputs\": []}"),
        Does::Slow,
        Does::TooShort,
    ];
    for does in passing {
        let client = Client::new(config(address, Form::Oip)).unwrap();
        server.plan([does.clone()]);

        assert!(embed(&client).await.is_ok(), "{does:?}");

        let figures = client.figures();
        assert_eq!((figures.calls, figures.failed_calls, figures.retries), (1, 0, 1), "{does:?}");
    }
}

#[tokio::test]
async fn what_stays_wrong_is_an_error_that_names_it() {
    let server = Server::default();
    let address = server.start().await;
    let lasting: [(Does, Problem, u64); 10] = [
        // As much again would be too much as well.
        (Does::Endless, Problem::TooMuch, 1),
        (Does::Status(503), Problem::Failed, 4),
        (Does::Status(500), Problem::Failed, 4),
        (Does::Busy(0), Problem::Busy, 4),
        (Does::Busy(3600), Problem::Busy, 1),
        (Does::Body("<html>hello</html>"), Problem::Garbage, 4),
        (Does::Slow, Problem::Timeout, 4),
        (Does::Status(400), Problem::Refused, 1),
        (Does::Status(403), Problem::Denied, 1),
        (Does::Status(404), Problem::NotThere, 1),
    ];
    for (does, problem, requests) in lasting {
        let mut config = config(address, Form::Plain);
        // Only what is slow has to be given up soon: a busy machine takes its
        // time with the others.
        config.timeout = match does {
            Does::Slow => Duration::from_millis(100),
            _ => Duration::from_secs(30),
        };
        let client = Client::new(config).unwrap();
        server.plan(std::iter::repeat_n(does.clone(), requests as usize));

        assert_eq!(embed(&client).await.unwrap_err(), problem, "{does:?}");

        let figures = client.figures();
        assert_eq!(figures.requests, requests, "{does:?}");
        assert_eq!(figures.failures[&problem], requests, "{does:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_waited_for() {
    let server = Server::default();
    let client = Client::new(config(server.start().await, Form::Plain)).unwrap();
    server.plan([Does::Busy(1)]);
    let began = Instant::now();

    embed(&client).await.unwrap();

    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_killed_server_opens_the_breaker_and_a_new_one_closes_it() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let time = Arc::new(Mutex::new(Instant::now()));
    let shown = time.clone();
    let config = ClientConfig { retries: 1, ..config(address, Form::Plain) };
    let clock = Clock::new(move || *shown.lock().unwrap());
    let client = Client::with_clock(config, clock).unwrap();

    for _ in 0..3 {
        assert_eq!(embed(&client).await.unwrap_err(), Problem::Unreachable);
    }
    assert_eq!(client.breaker(), BreakerState::Open);
    assert_eq!(embed(&client).await.unwrap_err(), Problem::Resting);
    assert_eq!(client.figures().requests, 6, "nothing is sent while it rests");
    let error = client.infer(&[&[1.0]], 8000).await.unwrap_err();
    assert!(error.to_string().contains("nobody answers"), "it says why: {error}");

    *time.lock().unwrap() += Duration::from_secs(30);
    assert_eq!(embed(&client).await.unwrap_err(), Problem::Unreachable, "the trial");
    assert_eq!(embed(&client).await.unwrap_err(), Problem::Resting);

    *time.lock().unwrap() += Duration::from_secs(30);
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let app = Router::new()
        .route("/process/wav2vec2", post(|| async { Json(json!({"features": [1, 2]})) }));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    assert!(embed(&client).await.is_ok());
    assert_eq!(client.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_tried_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            let whole = "{\"features\": [1, 2]}";
            let sent = if number % 2 == 0 { &whole[..5] } else { whole };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{sent}",
                whole.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    });
    let client = Client::new(config(address, Form::Plain)).unwrap();

    let vectors = client.infer(&[&[1.0]], 8000).await.unwrap();

    assert_eq!(vectors, [[1.0, 2.0]]);
    assert_eq!(client.figures().failures[&Problem::Unreachable], 1);
}

#[tokio::test]
async fn a_request_that_is_refused_does_not_speak_against_the_server() {
    let server = Server::default();
    let client = Client::new(config(server.start().await, Form::Plain)).unwrap();
    server.plan(std::iter::repeat_n(Does::Status(400), 5));

    for _ in 0..5 {
        assert_eq!(embed(&client).await.unwrap_err(), Problem::Refused);
    }

    assert_eq!(client.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn a_model_that_is_not_there_is_named_by_the_server() {
    let server = Server::default();
    let mut config = config(server.start().await, Form::Oip);
    config.model = "other".to_owned();
    let client = Client::new(config).unwrap();

    let error = client.health().await.unwrap_err();

    assert_eq!(error.problem(), Problem::NotThere);
    assert!(error.to_string().contains("unknown model"), "{error}");
}

#[tokio::test]
async fn a_token_is_sent_and_never_shown() {
    let server = Server { token: Some("hush"), ..Server::default() };
    let address = server.start().await;
    let without = Client::new(config(address, Form::Plain)).unwrap();
    let mut config = config(address, Form::Plain);
    config.token = Some(Token::new("hush"));
    let with = Client::new(config).unwrap();

    assert_eq!(embed(&without).await.unwrap_err(), Problem::Denied);
    assert!(embed(&with).await.is_ok());
    assert!(!format!("{with:?}").contains("hush"));
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in ["", "localhost:8000", "ftp://x", "http://"] {
        let error = Client::new(ClientConfig::new(url, Form::Oip, "m")).unwrap_err();

        assert_eq!(error.problem(), Problem::Config, "{url}");
    }
    for model in ["", "a b", "../x?y"] {
        let error = Client::new(ClientConfig::new("http://x", Form::Oip, model)).unwrap_err();

        assert_eq!(error.problem(), Problem::Config, "{model}");
    }
}

fn model(client: Client, dimension: usize) -> RemoteModel {
    let spec = ModelSpec {
        name: "w2v@1".parse().unwrap(),
        dimension,
        metric: Metric::Cosine,
        description: String::new(),
    };
    let listening =
        Windowing { sample_rate: 8000, window: 8, hop: 8, short: Short::Keep, normalize: true };
    RemoteModel::new(spec, listening, Arc::new(client), tokio::runtime::Handle::current())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_model_is_a_model_like_any_other() {
    let server = Server::default();
    let client = Client::new(config(server.start().await, Form::Oip)).unwrap();
    let model = model(client, 2);

    let vectors = tokio::task::spawn_blocking(move || {
        let input = model.prepare(&[0.5; 8]);
        model.embed(&[input.clone(), input]).unwrap()
    })
    .await
    .unwrap();

    assert_eq!(vectors[1].values(), [0.5, 8.0]);
    assert_eq!(vectors.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_dimension_is_another_model() {
    let server = Server::default();
    let client = Client::new(config(server.start().await, Form::Plain)).unwrap();
    let model = model(client, 768);

    let (error, figures) = tokio::task::spawn_blocking(move || {
        let error = model.embed(&[vec![0.5; 8]]).unwrap_err();
        (error, model.client().figures())
    })
    .await
    .unwrap();

    assert_eq!(error.kind(), ModelErrorKind::Mismatch);
    assert!(error.to_string().contains("768"), "{error}");
    assert_eq!(figures.failures[&Problem::WrongDimension], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_worth_another_try_later() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let client = ClientConfig { retries: 0, ..config(address, Form::Plain) };
    let model = model(Client::new(client).unwrap(), 2);

    let error = tokio::task::spawn_blocking(move || model.embed(&[vec![0.5; 8]]).unwrap_err())
        .await
        .unwrap();

    assert_eq!(error.kind(), ModelErrorKind::Unavailable);
    assert!(!error.hint().is_empty());
    assert!(error.to_string().contains("w2v@1"), "{error}");
}
