use std::time::Duration;

use anyhow::Result;
use songrec_library::{Error, ErrorKind};
use songrec_sync::{Options, Report};

use crate::{
    args::{StatusArgs, SyncArgs},
    commands::pair::{self, Libraries, wrong},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: SyncArgs) -> Result<ExitStatus> {
    if args.left.as_deref().is_none_or(|left| left == "local") && !args.dry_run {
        context.say_which(context.config([])?.chosen_local());
    }
    let libraries = Libraries::open(context, args.left.clone(), args.right.clone()).await?;
    let options = options(&libraries, &args)?;
    if args.dry_run {
        return plan(context, &libraries, &options).await;
    }
    if let Some(seconds) = args.watch {
        return watch(context, &libraries, options, Duration::from_secs(seconds.max(1))).await;
    }
    let report = once(context, &libraries, &options).await?;
    pair::print_report(&context.printer, &libraries.names, &report)?;
    Ok(ended(&report))
}

/// `songrec status`: what a sync would do.
pub(super) async fn status(context: &Context, args: StatusArgs) -> Result<ExitStatus> {
    let libraries = Libraries::open(context, args.left, args.right).await?;
    let options = pair::options(libraries.config())?;
    plan(context, &libraries, &options).await
}

async fn plan(context: &Context, libraries: &Libraries, options: &Options) -> Result<ExitStatus> {
    let syncer = libraries.syncer()?;
    let interrupt = || context.job.interrupt.is_set();
    let progress = &*context.job.progress;
    let planning = syncer.plan(options, progress, &interrupt);
    let plan = pair::watched(&syncer, progress, planning).await.map_err(wrong)?;
    pair::print_plan(&context.printer, libraries, &plan)?;
    Ok(if plan.is_empty() { ExitStatus::Done } else { ExitStatus::FoundNothing })
}

async fn once(context: &Context, libraries: &Libraries, options: &Options) -> Result<Report> {
    let syncer = libraries.syncer()?;
    let interrupt = || context.job.interrupt.is_set();
    let progress = &*context.job.progress;
    let done = syncer.run(options, progress, &interrupt);
    Ok(pair::watched(&syncer, progress, done).await.map_err(wrong)?)
}

// What goes wrong for a while is said once and tried again; what only a person
// can put right ends it.
async fn watch(
    context: &Context,
    libraries: &Libraries,
    mut options: Options,
    pause: Duration,
) -> Result<ExitStatus> {
    let printer = &context.printer;
    let mut last_trouble = String::new();
    loop {
        match once(context, libraries, &options).await {
            Ok(report) => {
                // What was asked for once is done.
                (options.full, options.adopt) = (false, false);
                last_trouble.clear();
                if !report.is_empty() {
                    pair::print_report(printer, &libraries.names, &report)?;
                    printer.flush()?;
                }
            }
            Err(error) => {
                let kind = error.downcast_ref::<Error>().map(Error::kind);
                match kind {
                    Some(ErrorKind::Interrupted) => return Ok(ExitStatus::Interrupted),
                    Some(ErrorKind::Temporary | ErrorKind::Locked) => {}
                    _ => return Err(error),
                }
                let trouble = format!("{error:#}");
                if trouble != last_trouble {
                    printer.warn(format!("{trouble}; trying again"));
                    last_trouble = trouble;
                }
            }
        }
        if sleep(context, pause).await {
            return Ok(ExitStatus::Done);
        }
    }
}

// Sleeps, and says whether the end was asked for.
async fn sleep(context: &Context, pause: Duration) -> bool {
    let until = tokio::time::Instant::now() + pause;
    while tokio::time::Instant::now() < until {
        if context.job.interrupt.is_set() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100).min(pause)).await;
    }
    context.job.interrupt.is_set()
}

fn options(libraries: &Libraries, args: &SyncArgs) -> Result<Options> {
    let mut options = pair::options(libraries.config())?;
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

fn ended(report: &Report) -> ExitStatus {
    match report {
        report if report.interrupted => ExitStatus::Interrupted,
        report if report.failed.is_empty() => ExitStatus::Done,
        _ => ExitStatus::SomeFailed,
    }
}
