//! Changes of what somebody else may have changed meanwhile.

use axum::http::{HeaderMap, header};
use songrec_core::OperationId;
use songrec_library::{Error, ErrorKind};

use crate::problem::{Problem, Result};

/// The version of something that `If-Match` says has to be there.
///
/// # Errors
///
/// When it names no version.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<OperationId>> {
    let Some(text) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = text.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_matches('"').parse().map(Some).map_err(|error| {
        Problem::invalid(format!("`If-Match` names no version: {error}"))
            .tip("send the `version` that was shown, in quotes")
    })
}

/// What a client is told whose change was refused, such as one of a version that is gone.
pub(crate) fn refused(error: Error) -> Problem {
    match error.kind() {
        ErrorKind::Guard => Problem::new("changed", error.in_one_line())
            .tip("get it again, and change what is there now"),
        _ => error.into(),
    }
}
