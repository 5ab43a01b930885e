//! Where a model is, and how patient to be with it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use songrec_core::without_password;

use super::BreakerOptions;

/// What a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The Open Inference Protocol v2: `POST /v2/models/MODEL/infer`.
    #[default]
    #[serde(alias = "v2", alias = "kserve")]
    Oip,
    /// One window a request, as JSON: `POST /process/MODEL` with `audio` and
    /// `sample_rate`, answered with `features`.
    Plain,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Oip => "oip",
            Self::Plain => "plain",
        })
    }
}

/// A text that a server wants to see before it answers, and nobody else should.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// One model on one server.
#[derive(Clone, PartialEq)]
pub struct ClientConfig {
    /// The address that all paths are added to, such as
    /// `http://localhost:8000`.
    pub url: String,
    /// What it speaks.
    pub form: Form,
    /// The model's name on the server.
    pub model: String,
    /// The model's version on the server; its newest if none is given.
    pub version: Option<String>,
    /// The path that is asked, in place of the form's own.
    pub endpoint: Option<String>,
    /// The path that says whether the server is well, in place of the form's
    /// own.
    pub health: Option<String>,
    /// The name of the model's input; what the server says, or `audio`.
    pub input: Option<String>,
    /// The name of the output; the first one if none is given.
    pub output: Option<String>,
    /// Whether numbers are sent as bytes; if the server says that it can, if it
    /// is not said.
    pub binary: Option<bool>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request that failed is sent again.
    pub retries: u32,
    /// The pause before the first of these; each further one is twice as long.
    pub backoff: Duration,
    /// The most windows of one request.
    pub batch: usize,
    /// The most requests at the same time.
    pub at_once: usize,
    /// When to stop asking.
    pub breaker: BreakerOptions,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<Token>,
}

// An address with a password is refused, but only when it is used.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("url", &without_password(&self.url))
            .field("form", &self.form)
            .field("model", &self.model)
            .field("version", &self.version)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl ClientConfig {
    /// A model on a server, with what is usual for the rest.
    pub fn new(url: impl Into<String>, form: Form, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            form,
            model: model.into(),
            version: None,
            endpoint: None,
            health: None,
            input: None,
            output: None,
            binary: None,
            timeout: Duration::from_secs(30),
            retries: 3,
            backoff: Duration::from_secs(1),
            batch: 8,
            at_once: 2,
            breaker: BreakerOptions {
                failures: 3,
                rest: Duration::from_secs(30),
                longest_rest: Duration::from_secs(30),
            },
            token: None,
        }
    }
}
