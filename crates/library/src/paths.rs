//! Paths as they are on this machine.

use std::path::{Path, PathBuf};

/// The absolute form of `path`, with links followed where it exists.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
