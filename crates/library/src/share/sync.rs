//! Making two libraries agree, once or again and again.

use std::time::Duration;

use songrec_core::Job;
use songrec_sync::{AudioPolicy, Direction, Options, Plan, Report};

use super::libraries::{Libraries, options};
use crate::{Error, ErrorKind, Result, until_interrupted};

/// What a sync would do. Writes nothing.
///
/// # Errors
///
/// As [`sync`], but that more deletions than may be are reported by the plan, not
/// refused.
pub async fn plan(libraries: &Libraries, options: &Options, job: &Job) -> Result<Plan> {
    Ok(libraries.syncer(job)?.plan(options).await?)
}

/// Makes two libraries agree. With nothing to do it costs one request to a
/// remote library; `sync`'s `README.md` lists what else costs how many.
///
/// # Errors
///
/// `Guard` before anything is written: more songs would be deleted than may be,
/// or a library is another one than it was. What fails for one song is in the
/// report, and does not keep the others.
pub async fn sync(libraries: &Libraries, options: &Options, job: &Job) -> Result<Report> {
    Ok(libraries.syncer(job)?.run(options).await?)
}

/// Fills the clone that [`Libraries::open_clone`] opened with everything that
/// the other library has; `audio` says which audio comes along, where the
/// settings should not.
///
/// # Errors
///
/// As [`sync`].
pub async fn pull_clone(
    libraries: &Libraries,
    audio: Option<AudioPolicy>,
    job: &Job,
) -> Result<Report> {
    let mut options = options(libraries.config())?;
    options.direction = Direction::Pull;
    // Where another library was before, nothing is remembered of it.
    options.adopt = libraries.is_new();
    options.audio = audio.unwrap_or(options.audio);
    sync(libraries, &options, job).await
}

/// What came of one round of [`keep_syncing`].
#[derive(Debug)]
pub enum Round {
    /// A sync that did something, or could not do all.
    Done(Box<Report>),
    /// What goes wrong for a while and was not reported in the round before.
    Trouble(Error),
}

/// Syncs again and again, with a `pause` in between, until the job is
/// interrupted. Each round that did something is reported to `on_round`; what goes
/// wrong for a while is reported once and tried again.
///
/// # Errors
///
/// What only a person can put right, and what `on_round` gives. `Interrupted` if
/// the end was asked for within a round that had written nothing.
pub async fn keep_syncing<E: From<Error>>(
    libraries: &Libraries,
    mut options: Options,
    pause: Duration,
    job: &Job,
    mut on_round: impl FnMut(Round) -> Result<(), E>,
) -> Result<(), E> {
    let mut last_trouble = String::new();
    loop {
        match sync(libraries, &options, job).await {
            Ok(report) => {
                // What was asked for once is done.
                (options.full, options.adopt) = (false, false);
                last_trouble.clear();
                if !report.is_empty() {
                    on_round(Round::Done(Box::new(report)))?;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Temporary | ErrorKind::Locked) => {
                let trouble = error.in_one_line();
                if trouble != last_trouble {
                    last_trouble = trouble;
                    on_round(Round::Trouble(error))?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = until_interrupted(&job.interrupt) => {}
        }
        if job.is_interrupted() {
            return Ok(());
        }
    }
}
