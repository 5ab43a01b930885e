//! Comparing two libraries.

use songrec_core::Job;
use songrec_sync::{Comparison, Pair};

use super::libraries::Libraries;
use crate::Result;

/// Compares two libraries song by song, and with `read_data` every embedding
/// and all audio bit by bit. Changes nothing.
///
/// # Errors
///
/// Those of the libraries; what differs is no error.
pub async fn check(libraries: &Libraries, read_data: bool, job: &Job) -> Result<Comparison> {
    let Pair { left, right } = libraries.replicas();
    Ok(songrec_sync::check(&left, &right, read_data, job).await?)
}
