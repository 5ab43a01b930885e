//! What is refused, and how.

use std::fmt;

use songrec_storage::{ErrorKind, Result};

/// Checks that `answer` is an error of `kind`; `what` was asked for.
pub(super) fn assert_refused<T>(answer: Result<T>, kind: ErrorKind, what: impl fmt::Display) {
    match answer {
        Ok(_) => panic!("{what} was accepted"),
        Err(error) => assert_eq!(error.kind(), kind, "{what}: {error}"),
    }
}
