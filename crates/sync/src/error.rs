//! Errors that say what a caller can do.

use songrec_core::{Hint, Remedy};
use songrec_storage::ErrorKind as StorageErrorKind;

use crate::Side;

/// The result of a sync.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a sync could not go on. Whatever was done before is done; the next sync
/// goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A library failed in a way that would affect every other song too.
    #[error("{side} library `{name}` failed")]
    #[expect(missing_docs, reason = "the message says what each is")]
    Library {
        side: Side,
        name: String,
        #[source]
        source: Box<songrec_storage::Error>,
    },
    /// More songs would be deleted than are allowed to be. Nothing was written.
    #[error("{planned} songs would be deleted from `{name}`, more than the {allowed} that may be")]
    #[expect(missing_docs, reason = "the message says what each is")]
    TooManyDeletions { side: Side, name: String, planned: u64, allowed: u64 },
    /// A side is not the library that was synced before. Nothing was written.
    #[error("`{name}` is not the library that was synced before")]
    #[expect(missing_docs, reason = "the message says what each is")]
    OtherLibrary { side: Side, name: String },
    /// The sync was interrupted before anything was written.
    #[error("stopped before anything was written")]
    Interrupted,
    /// Another process has the state.
    #[error("another process is syncing these libraries")]
    Busy,
    /// What was remembered of earlier syncs cannot be read or written.
    #[error("what is remembered of earlier syncs, in `{location}`, cannot be used")]
    #[expect(missing_docs, reason = "the message says what each is")]
    State {
        location: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request cannot be fulfilled.
    #[error("{0}")]
    Invalid(String),
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A library failed; its own kind says more.
    Library(StorageErrorKind),
    /// A guard against deleting too much.
    Guard,
    /// A guard against another library.
    OtherLibrary,
    /// Stopped on request.
    Interrupted,
    /// Another process is at it; wait.
    Busy,
    /// The state folder.
    State,
    /// The request itself is wrong.
    Invalid,
}

impl Error {
    /// What a caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Library { source, .. } => ErrorKind::Library(source.kind()),
            Self::TooManyDeletions { .. } => ErrorKind::Guard,
            Self::OtherLibrary { .. } => ErrorKind::OtherLibrary,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Busy => ErrorKind::Busy,
            Self::State { .. } => ErrorKind::State,
            Self::Invalid(_) => ErrorKind::Invalid,
        }
    }

    /// What a person can do, if there is more to say than the message.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Library { source, .. } => source.hint().cloned(),
            Self::TooManyDeletions { planned, .. } => Some(Hint::of(
                "look at the plan with {}; if it is right, allow it with {}",
                [Remedy::PlanOnly, Remedy::AllowDeletions(*planned)],
            )),
            Self::OtherLibrary { .. } => Some(Hint::of(
                "if it was made anew, or another one is meant, sync with {}, which compares \
                 everything; {} shows what that would do",
                [Remedy::Adopt, Remedy::PlanOnly],
            )),
            Self::Busy => Some("wait until it is done".into()),
            Self::State { .. } => Some(
                "if the folder is damaged, move it away: it only makes syncs fast, and the next one \
                 compares everything"
                    .into(),
            ),
            Self::Interrupted | Self::Invalid(_) => None,
        }
    }

    pub(crate) fn state(
        location: impl std::fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::State { location: location.to_string(), source: source.into() }
    }
}

/// Whether an error is about one song rather than about the library.
pub(crate) fn is_about_one(error: &songrec_storage::Error) -> bool {
    match error.kind() {
        StorageErrorKind::Conflict
        | StorageErrorKind::Corrupt
        | StorageErrorKind::Incompatible
        | StorageErrorKind::Invalid
        | StorageErrorKind::Unsupported => true,
        StorageErrorKind::NotFound
        | StorageErrorKind::Denied
        | StorageErrorKind::Transient
        | StorageErrorKind::Unavailable
        | StorageErrorKind::Locked
        | StorageErrorKind::Full
        | StorageErrorKind::CursorLost => false,
    }
}

/// The words of an error, from the outermost cause to the innermost.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
