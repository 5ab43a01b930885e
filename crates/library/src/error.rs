//! What can go wrong for a person who uses a library.

use std::fmt;

use songrec_core::Hint;
use songrec_storage::ErrorKind as StorageKind;
use songrec_sync::ErrorKind as SyncKind;

/// What a use case gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a person would sort it; each has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request or the configuration is wrong.
    Usage,
    /// A named song, file or model does not exist.
    NotFound,
    /// It may work later: network, rate limit, a sleeping database.
    Temporary,
    /// Credentials or permissions.
    Denied,
    /// What is stored is damaged, or from a newer version.
    Corrupt,
    /// There is no library here yet.
    NoLibrary,
    /// Another process holds what is needed.
    Locked,
    /// A guard stopped it before anything was written.
    Guard,
    /// Somebody asked for its end before anything was written.
    Interrupted,
    /// Anything else, such as a full disk.
    Failed,
}

impl ErrorKind {
    /// The exit code of a program that ends with it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound => 4,
            Self::Temporary => 5,
            Self::Denied => 6,
            Self::Corrupt => 7,
            Self::Failed => 8,
            Self::NoLibrary => 10,
            Self::Locked => 11,
            Self::Guard => 12,
            Self::Interrupted => 130,
        }
    }

    /// Its name, such as `not_found`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Temporary => "temporary",
            Self::Denied => "denied",
            Self::Corrupt => "corrupt",
            Self::Failed => "failed",
            Self::NoLibrary => "no_library",
            Self::Locked => "locked",
            Self::Guard => "guard",
            Self::Interrupted => "interrupted",
        }
    }
}

/// An error with its causes and something to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    hint: Option<Hint>,
}

impl Error {
    /// An error of `kind` with a message.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), source: None, hint: None }
    }

    /// An error of `kind` that says what `error` says, with its causes.
    pub fn caused(kind: ErrorKind, error: impl std::error::Error) -> Self {
        let source = Causes::of(&error).map(Into::into);
        Self { kind, message: error.to_string(), source, hint: None }
    }

    /// A wrong request.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Something named does not exist.
    pub fn not_found(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// This error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// This error with something to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file operation that failed.
    pub fn io(operation: &str, path: &std::path::Path, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Failed,
        };
        Self::new(kind, format_args!("could not {operation} `{}`", path.display())).because(error)
    }

    /// How a person would sort it.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message with its causes.
    pub fn in_one_line(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            text = format!("{text}: {source}");
            cause = source.source();
        }
        text
    }

    /// What a person can do.
    pub const fn hint(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }
}

// One failed model is the answer for many songs; its causes go along as texts.
impl Clone for Error {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            source: Causes::of(self).map(Into::into),
            hint: self.hint.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<StorageKind> for ErrorKind {
    fn from(kind: StorageKind) -> Self {
        match kind {
            StorageKind::NotFound => Self::NoLibrary,
            StorageKind::Transient | StorageKind::Unavailable => Self::Temporary,
            StorageKind::Denied => Self::Denied,
            StorageKind::Corrupt | StorageKind::Incompatible => Self::Corrupt,
            StorageKind::Invalid | StorageKind::Unsupported => Self::Usage,
            StorageKind::Locked => Self::Locked,
            StorageKind::Conflict | StorageKind::CursorLost | StorageKind::Full => Self::Failed,
        }
    }
}

// The storage error keeps its own message and causes; only the kind is
// translated, and the hint is carried along.
impl From<songrec_storage::Error> for Error {
    fn from(error: songrec_storage::Error) -> Self {
        let kind = error.kind().into();
        let hint = error.hint().cloned();
        Self { hint, ..Self::caused(kind, error) }
    }
}

impl From<SyncKind> for ErrorKind {
    fn from(kind: SyncKind) -> Self {
        match kind {
            SyncKind::Library(kind) => kind.into(),
            SyncKind::Guard | SyncKind::OtherLibrary => Self::Guard,
            SyncKind::Interrupted => Self::Interrupted,
            SyncKind::Busy => Self::Locked,
            SyncKind::State => Self::Failed,
            SyncKind::Invalid => Self::Usage,
        }
    }
}

// The same of what two libraries make wrong together.
impl From<songrec_sync::Error> for Error {
    fn from(error: songrec_sync::Error) -> Self {
        let (kind, hint) = (error.kind().into(), error.hint());
        Self { hint, ..Self::caused(kind, error) }
    }
}

// The causes below an error, as texts; the error itself is taken apart.
#[derive(Debug)]
struct Causes {
    message: String,
    source: Option<Box<Causes>>,
}

impl Causes {
    fn of(error: &dyn std::error::Error) -> Option<Self> {
        let source = error.source()?;
        Some(Self { message: source.to_string(), source: Self::of(source).map(Box::new) })
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Causes {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_error_keeps_message_causes_and_hint() {
        let storage =
            songrec_storage::Error::new(StorageKind::Denied, "read", "song `3f9a`", "`home`")
                .because("401 Unauthorized")
                .with_hint("check the token");

        let error = Error::from(storage);

        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.to_string(), "could not read song `3f9a` in `home`");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "401 Unauthorized");
        assert_eq!(error.hint(), Some(&"check the token".into()));
    }
}
