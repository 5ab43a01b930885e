//! What can go wrong with files, catalog and index, and the error a caller gets.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use songrec_core::{Hint, Remedy};

use songrec_storage::{Error, ErrorKind, Unreadable};

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// What went wrong, before the operation and its subject are known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("could not {action} `{}`", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the catalog did not answer")]
    Catalog(#[from] rusqlite::Error),
    #[error("the vectors of `{model}` did not answer")]
    Index { model: String, source: songrec_index::Error },
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error(
        "`{}` has format {found}, and this version of songrec knows up to {known}",
        path.display()
    )]
    Newer { path: PathBuf, found: u64, known: u64 },
    #[error("`{}` is damaged and nothing else tells which library this is: {why}", path.display())]
    Unidentified { path: PathBuf, why: String },
    #[error("there is no library in `{}`", .0.display())]
    Missing(PathBuf),
    #[error("there is a library in `{}` already", .0.display())]
    Exists(PathBuf),
    #[error("{0}")]
    ReadOnly(Refusal),
    #[error("another process has been writing to it for {0} s")]
    Busy(u64),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("`{0}` belongs to another history")]
    CursorLost(String),
    /// The error of a caller's own stream.
    #[error("the bytes did not arrive")]
    Stream(#[source] Error),
}

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This user may not, or the disk is only for reading.
    Denied(PathBuf),
    /// There is no room.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(path) => {
                write!(f, "`{}` may only be read by this user", path.display())
            }
            Self::Full => f.write_str("the disk is full"),
        }
    }
}

impl Fault {
    /// For `map_err`: what was being done to which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, why: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }

    pub(crate) fn invalid(why: impl fmt::Display) -> Self {
        Self::Invalid(why.to_string())
    }

    /// Whether it is an index whose files are damaged, so that making it again
    /// helps.
    pub(crate) fn is_damaged_index(&self) -> bool {
        matches!(self, Self::Index { source, .. } if source.is_rebuildable())
    }

    /// Whether it is a damaged catalog, so that building it again helps.
    pub(crate) fn is_damaged_catalog(&self) -> bool {
        match self {
            Self::Catalog(error) => is_damage_of_rows(error),
            Self::Damaged { path, .. } => path.ends_with("catalog.sqlite"),
            _ => false,
        }
    }

    /// The fault with its causes, in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        text
    }

    /// What is wrong, without the path.
    pub(crate) fn why(self) -> String {
        match self {
            Self::Damaged { why, .. } => why,
            other => other.to_string(),
        }
    }

    /// Why a document cannot be used, if that is what is wrong; itself if it is
    /// something else.
    pub(crate) fn unreadable(self) -> Result<Unreadable> {
        match self {
            Self::Damaged { .. } => Ok(Unreadable::Damaged(self.to_string())),
            Self::Newer { found, .. } => Ok(Unreadable::Newer { found }),
            other => Err(other),
        }
    }

    /// Whether there was no room on a disk.
    pub(crate) fn is_full(&self) -> bool {
        self.kind() == ErrorKind::Full
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::Denied
                }
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Unavailable,
            },
            Self::Catalog(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                    ErrorKind::Locked
                }
                Some(rusqlite::ErrorCode::DiskFull) => ErrorKind::Full,
                Some(
                    rusqlite::ErrorCode::ReadOnly
                    | rusqlite::ErrorCode::PermissionDenied
                    | rusqlite::ErrorCode::AuthorizationForStatementDenied,
                ) => ErrorKind::Denied,
                Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::SystemIoFailure) => {
                    ErrorKind::Unavailable
                }
                _ => ErrorKind::Corrupt,
            },
            Self::Index { source, .. } => match source {
                songrec_index::Error::Io { source, .. } => {
                    let same = io::Error::from(source.kind());
                    Self::Io { action: "", path: PathBuf::new(), source: same }.kind()
                }
                songrec_index::Error::Full { .. } => ErrorKind::Full,
                songrec_index::Error::Newer { .. } => ErrorKind::Incompatible,
                error if error.is_rebuildable() => ErrorKind::Corrupt,
                _ => ErrorKind::Invalid,
            },
            Self::Damaged { .. } | Self::Unidentified { .. } => ErrorKind::Corrupt,
            Self::Newer { .. } => ErrorKind::Incompatible,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Exists(_) => ErrorKind::Conflict,
            Self::ReadOnly(Refusal::Denied(_)) => ErrorKind::Denied,
            Self::ReadOnly(Refusal::Full) => ErrorKind::Full,
            Self::Busy(_) => ErrorKind::Locked,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::CursorLost(_) => ErrorKind::CursorLost,
            Self::Stream(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        let words = |words: &str| Some(Hint::from(words));
        match self {
            Self::Unidentified { .. } => Some(Hint::of(
                "bring the file back from a backup; or move it away and run {} with this folder: \
                 all songs stay, but the library gets another id, and others sync with it as with \
                 a new one",
                [Remedy::Init],
            )),
            Self::Missing(_) => Some(Hint::of("make one with {}", [Remedy::Init])),
            Self::Exists(_) => words("open it instead of making it"),
            Self::ReadOnly(Refusal::Denied(_)) => {
                Some(Hint::of("{} makes a copy of it that can be changed", [Remedy::Clone]))
            }
            Self::Busy(_) => words("wait for the other process, or end it"),
            Self::Newer { .. } => words("install a newer songrec"),
            Self::CursorLost(_) => words("begin again without a cursor"),
            Self::Invalid(_) | Self::Unsupported(_) | Self::Stream(_) => None,
            _ => match self.kind() {
                ErrorKind::Full => words("make room on the disk, then run it again"),
                ErrorKind::Denied => words("check who may write to the library's folder"),
                ErrorKind::Corrupt => {
                    Some(Hint::of("run {}", [Remedy::Verify { repair: true, read_data: false }]))
                }
                ErrorKind::Unavailable => words("check that the disk is there, then run it again"),
                _ => None,
            },
        }
    }

    /// The error that a caller gets.
    pub(crate) fn during(
        self,
        operation: &'static str,
        subject: impl fmt::Display,
        location: impl fmt::Display,
    ) -> Error {
        let error = Error::new(self.kind(), operation, subject, location);
        let error = match self.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        error.because(self)
    }
}

/// Whether building the catalog again helps.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(
            rusqlite::ErrorCode::DatabaseCorrupt
            | rusqlite::ErrorCode::NotADatabase
            // A table or column that is not there.
            | rusqlite::ErrorCode::Unknown,
        ) => true,
        Some(_) => false,
        // A value of another type than it should be.
        None => true,
    }
}

/// The same of an error that came where rows were read: what SQLite says of a
/// query that it does not understand is no damage, unless it looked for what
/// every catalog has.
fn is_damage_of_rows(error: &rusqlite::Error) -> bool {
    let is_unknown = error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown);
    is_damage(error) && (!is_unknown || error.to_string().contains("no such "))
}
