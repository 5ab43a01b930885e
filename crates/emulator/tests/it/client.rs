//! A client of a few lines: it sends a body and reads the envelope.

use serde_json::{Value, json};
use songrec_emulator::{Builder, DEFAULT_KEYSPACE, Emulator};

pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) emulator: Emulator,
    pub(crate) token: String,
}

/// A client of reqwest, which needs a cryptography even for `http`.
pub(crate) fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Client {
    pub(crate) async fn start(builder: Builder) -> Self {
        let emulator = builder.start().await.unwrap();
        let token = emulator.token();
        Self { http: http_client(), emulator, token }
    }

    /// With a collection `c` without options.
    pub(crate) async fn with_collection(builder: Builder) -> Self {
        let client = Self::start(builder).await;
        client.create("c", json!({})).await;
        client
    }

    pub(crate) async fn create(&self, name: &str, options: Value) {
        let answer =
            self.keyspace(json!({"createCollection": {"name": name, "options": options}})).await;
        assert_eq!(answer, json!({"status": {"ok": 1}}));
    }

    pub(crate) fn request(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}{path}", self.emulator.url()))
            .header("Token", &self.token)
            .json(body)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let response = self.request(path, &body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{body}");
        response.json().await.unwrap()
    }

    pub(crate) async fn general(&self, body: Value) -> Value {
        self.post("/v1", body).await
    }

    pub(crate) async fn keyspace(&self, body: Value) -> Value {
        self.post(&format!("/v1/{DEFAULT_KEYSPACE}"), body).await
    }

    pub(crate) async fn on(&self, collection: &str, body: Value) -> Value {
        self.post(&format!("/v1/{DEFAULT_KEYSPACE}/{collection}"), body).await
    }

    /// A command on `c`.
    pub(crate) async fn c(&self, body: Value) -> Value {
        self.on("c", body).await
    }

    /// A command on `c` whose answer may get lost.
    pub(crate) async fn try_c(&self, body: Value) -> Result<Value, reqwest::Error> {
        let path = format!("/v1/{DEFAULT_KEYSPACE}/c");
        self.request(&path, &body).send().await?.json().await
    }

    pub(crate) async fn insert(&self, documents: Vec<Value>) {
        for chunk in documents.chunks(100) {
            let answer = self.c(json!({"insertMany": {"documents": chunk}})).await;
            assert_eq!(
                answer["status"]["insertedIds"].as_array().unwrap().len(),
                chunk.len(),
                "{answer}"
            );
        }
    }

    /// The ids of all pages of a find, in order, and the number of pages.
    pub(crate) async fn scan(&self, find: Value) -> (Vec<Value>, usize) {
        let (mut ids, mut pages) = (Vec::new(), 0);
        let mut body = json!({"find": find});
        loop {
            let answer = self.c(body.clone()).await;
            let data = &answer["data"];
            pages += 1;
            ids.extend(data["documents"].as_array().unwrap().iter().map(|d| d["_id"].clone()));
            assert!(data.as_object().unwrap().contains_key("nextPageState"), "{answer}");
            if data["nextPageState"].is_null() {
                return (ids, pages);
            }
            body["find"]["options"]["pageState"] = data["nextPageState"].clone();
        }
    }
}

/// The code of the only error.
pub(crate) fn code(answer: &Value) -> &str {
    let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("no errors: {answer}"));
    assert_eq!(errors.len(), 1, "{answer}");
    assert!(answer.get("data").is_none(), "{answer}");
    errors[0]["errorCode"].as_str().unwrap()
}

/// Base64 of big-endian floats, as `$binary` has it.
pub(crate) fn binary(values: &[f32]) -> Value {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |g, b| g << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    json!({ "$binary": text })
}
