//! Copying one library into another.

use songrec_core::Job;
use songrec_sync::{Migrated, MigrationPlan, Options, Verify};

use super::libraries::Libraries;
use crate::Result;

/// What [`migrate`] would copy from the left library to the right one, and what
/// that costs. Writes nothing.
///
/// # Errors
///
/// Those of the libraries.
pub async fn plan_migration(
    libraries: &Libraries,
    options: &Options,
    job: &Job,
) -> Result<MigrationPlan> {
    Ok(libraries.syncer(job)?.plan_migration(options).await?)
}

/// Copies what the left library has and the right one lacks, and proves it as
/// `verify` says. Done again, it goes on where it was.
///
/// # Errors
///
/// Those of the libraries, and `Locked` if the two are being synced. What fails
/// for one song is in the report, and does not keep the others.
pub async fn migrate(
    libraries: &Libraries,
    options: &Options,
    verify: Verify,
    job: &Job,
) -> Result<Migrated> {
    Ok(libraries.syncer(job)?.migrate(options, verify).await?)
}
