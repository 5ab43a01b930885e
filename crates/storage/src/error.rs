//! Errors that say what a caller can do.

use std::{fmt, time::Duration};

use songrec_core::{Hint, Song, SongId};

/// What a storage operation gives.
pub type Result<T> = std::result::Result<T, Error>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The library, or something it needs to work at all, is not there. What
    /// is looked up and missing is `None`, never this.
    NotFound,
    /// Somebody else changed it first: read it, merge, write again.
    Conflict,
    /// The credentials are missing, wrong or not enough.
    Denied,
    /// It may work when tried again soon: a lost reply, a rate limit.
    Transient,
    /// The place cannot be reached, or sleeps; waiting may help.
    Unavailable,
    /// What is stored is damaged; a `verify` that repairs may help.
    Corrupt,
    /// What is stored was written by a newer version.
    Incompatible,
    /// The request itself is wrong; repeating it is useless.
    Invalid,
    /// The backend cannot do this.
    Unsupported,
    /// Another process holds what is needed.
    Locked,
    /// There is no room: disk, quota or limit.
    Full,
    /// The cursor belongs to a history that is gone; begin without one.
    CursorLost,
}

/// A storage operation that failed.
///
/// The message names the operation, its subject and the place; then come the
/// sources, then [`Error::hint`]. The message never repeats its source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    subject: Box<str>,
    location: Box<str>,
    source: Option<Source>,
    hint: Option<Hint>,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of `kind`: "could not `operation` `subject` in `location`".
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        subject: impl fmt::Display,
        location: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            operation,
            subject: subject.to_string().into(),
            location: location.to_string().into(),
            source: None,
            hint: None,
            retry_after: None,
        }
    }

    /// This error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// This error with something to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// This error with how long the place asks to be left alone.
    #[must_use]
    pub const fn with_retry_after(mut self, asked: Option<Duration>) -> Self {
        self.retry_after = asked;
        self
    }

    /// How long the place asks to be left alone, if it does.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What a caller can do.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What a person can do, if there is more to say than the message.
    pub const fn hint(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }

    /// Whether trying the same again may help.
    pub const fn is_temporary(&self) -> bool {
        matches!(self.kind, ErrorKind::Transient | ErrorKind::Unavailable | ErrorKind::Locked)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} {} in {}", self.operation, self.subject, self.location)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Why a document is there and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer songrec wrote it: what this one does not know of it would get
    /// lost.
    #[error("it has format {found}, and this version of songrec knows up to {known}", known = Song::FORMAT)]
    Newer {
        /// The format that it says it has.
        found: u64,
    },
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
}

impl Unreadable {
    /// What a caller can do about it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Newer { .. } => ErrorKind::Incompatible,
            Self::Damaged(_) => ErrorKind::Corrupt,
        }
    }
}

/// A song that is stored and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableSong {
    /// Which.
    pub song: SongId,
    /// Why.
    pub why: Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_does_not_repeat_its_source() {
        let error = Error::new(ErrorKind::Denied, "read", "song `3f9a`", "memory")
            .because("401 Unauthorized")
            .with_hint("check the token");

        assert_eq!(error.to_string(), "could not read song `3f9a` in memory");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "401 Unauthorized");
        assert_eq!(error.hint(), Some(&"check the token".into()));
    }
}
