use std::io;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an index did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("there is no index in `{}`", dir.display())]
    Missing { dir: PathBuf },
    #[error("there is an index in `{}` already", dir.display())]
    Exists { dir: PathBuf },
    #[error("the index in `{}` is damaged: {what}", dir.display())]
    Corrupt { dir: PathBuf, what: &'static str },
    #[error(
        "the index in `{}` has format {found}, and this program knows up to {known}",
        dir.display()
    )]
    Newer { dir: PathBuf, found: u32, known: u32 },
    #[error("expected a vector of {expected} values, got one of {found}")]
    Dimension { expected: usize, found: usize },
    #[error("value {position} of the vector is not a finite number")]
    NotFinite { position: usize },
    #[error("a vector of zeros has no direction, so it has no cosine")]
    Zero,
    #[error("the query has no vector")]
    NoVector,
    #[error("dimension {0} is out of range: expected 1 to 16384")]
    DimensionRange(usize),
    #[error("the index in `{}` is full", dir.display())]
    Full { dir: PathBuf },
    #[error("could not {operation} `{}`", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
}

impl Error {
    /// Whether deleting the folder and building it again from the objects helps.
    pub fn is_rebuildable(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Corrupt { .. } | Self::Newer { .. })
    }

    /// For `map_err`: what was being done to which path.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }

    pub(crate) fn corrupt(dir: &Path, what: &'static str) -> Self {
        Self::Corrupt { dir: dir.to_owned(), what }
    }
}
