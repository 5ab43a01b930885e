//! Why a server did not embed.

use std::{fmt, time::Duration};

use serde::Serialize;
use songrec_core::without_password;

/// What went wrong, as far as a caller cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The configuration is wrong.
    Config,
    /// Nobody answers there.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server asks for patience (429).
    Busy,
    /// The server cannot answer now (502, 503, 504), or failed (other 5xx).
    Failed,
    /// The server does not know the model, or speaks another form.
    NotThere,
    /// The server wants another token, or none.
    Denied,
    /// The server does not take what it was sent (other 4xx).
    Refused,
    /// The answer is not what the form says.
    Garbage,
    /// The answer is larger than any that the form has.
    TooMuch,
    /// The vectors are not those of the model.
    WrongDimension,
    /// Too much failed; nothing is sent for a while.
    Resting,
}

impl Problem {
    /// Whether the same request may succeed a little later.
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Timeout | Self::Busy | Self::Failed | Self::Garbage
        )
    }

    /// Whether it speaks against the server as a whole. A server that asks for
    /// patience, or does not take a request, is alive.
    pub(crate) const fn counts_against_the_server(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Timeout | Self::Failed | Self::Garbage | Self::TooMuch
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "wrong configuration",
            Self::Unreachable => "unreachable",
            Self::Timeout => "no answer in time",
            Self::Busy => "busy",
            Self::Failed => "the server failed",
            Self::NotThere => "not there",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Garbage => "garbage",
            Self::TooMuch => "too much",
            Self::WrongDimension => "wrong dimension",
            Self::Resting => "resting",
        })
    }
}

/// A server that did not embed: which, why, and what to do about it. The cause,
/// if there is one, is the [source](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[error("`{url}`: {reason}")]
pub struct RemoteError {
    problem: Problem,
    url: String,
    reason: String,
    hint: String,
    /// How long the server asks to wait.
    pub(crate) wait: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl RemoteError {
    pub(crate) fn new(
        problem: Problem,
        url: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (reason, hint) = (reason.into(), hint.into());
        let url = without_password(&url.into()).into_owned();
        Self { problem, url, reason, hint, wait: None, source: None }
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// What is wrong, in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}
