//! `sync`, and `status`, which says what it would do.

use std::time::Duration;

use anyhow::Result;
use songrec_library::{
    Error, ErrorKind,
    share::{self, Libraries, Options, Report, Round, keep_syncing},
};

use crate::{
    args::{StatusArgs, SyncArgs},
    commands::pair,
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: SyncArgs) -> Result<ExitStatus> {
    if args.left.as_deref().is_none_or(|left| left == "local") && !args.dry_run {
        context.say_which(context.config([])?.chosen_local());
    }
    let libraries = open(context, args.left.clone(), args.right.clone()).await?;
    let options = options(&libraries, &args)?;
    if args.dry_run {
        return plan(context, &libraries, &options).await;
    }
    if let Some(seconds) = args.watch {
        return watch(context, &libraries, options, Duration::from_secs(seconds.max(1))).await;
    }
    let mut report = share::sync(&libraries, &options, &context.job).await?;
    pair::print_report(&context.printer, libraries.names(), &mut report)?;
    Ok(ended(&report))
}

/// `songrec status`: what a sync would do.
pub(super) async fn status(context: &Context, args: StatusArgs) -> Result<ExitStatus> {
    let libraries = open(context, args.left, args.right).await?;
    let options = share::options(libraries.config())?;
    plan(context, &libraries, &options).await
}

async fn open(context: &Context, left: Option<String>, right: Option<String>) -> Result<Libraries> {
    let progress = context.job.progress.clone();
    Ok(Libraries::open(context.config([])?, left, right, progress).await?)
}

async fn plan(context: &Context, libraries: &Libraries, options: &Options) -> Result<ExitStatus> {
    let mut plan = share::plan(libraries, options, &context.job).await?;
    pair::print_plan(&context.printer, libraries, &mut plan)?;
    Ok(if plan.is_empty() { ExitStatus::Done } else { ExitStatus::FoundNothing })
}

async fn watch(
    context: &Context,
    libraries: &Libraries,
    options: Options,
    pause: Duration,
) -> Result<ExitStatus> {
    let printer = &context.printer;
    let read_changes = |round| -> Result<()> {
        match round {
            Round::Done(mut report) => {
                pair::print_report(printer, libraries.names(), &mut report)?;
                printer.flush()
            }
            Round::Trouble(error) => {
                printer.warn(format!("{}; trying again", error.in_one_line()));
                Ok(())
            }
        }
    };
    match keep_syncing(libraries, options, pause, &context.job, read_changes).await {
        Ok(()) => Ok(ExitStatus::Done),
        Err(error) if is_interrupted(&error) => Ok(ExitStatus::Interrupted),
        Err(error) => Err(error),
    }
}

fn is_interrupted(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::Interrupted)
}

fn options(libraries: &Libraries, args: &SyncArgs) -> Result<Options> {
    let mut options = share::options(libraries.config())?;
    options.direction = args.direction.into();
    options.full = args.full;
    options.adopt = args.adopt;
    if let Some(most) = args.max_delete {
        options.max_delete = most;
    }
    if let Some(audio) = args.audio {
        options.audio = audio;
    }
    if let Some(jobs) = args.jobs {
        options.jobs = jobs.max(1);
    }
    options.bandwidth = args.bandwidth;
    Ok(options)
}

/// How a run ended that gave this report.
pub(super) fn ended(report: &Report) -> ExitStatus {
    match report {
        report if report.interrupted => ExitStatus::Interrupted,
        report if report.failed.is_empty() => ExitStatus::Done,
        _ => ExitStatus::SomeFailed,
    }
}
