use anyhow::Result;
use serde_json::json;
use songrec_library::{ScanItem, ScanOptions, ScanReport};

use crate::{args::ScanArgs, commands::select::counted, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: ScanArgs) -> Result<ExitStatus> {
    let mut flags = Vec::new();
    if let Some(size) = &args.max_memory {
        flags.push(("scan.max_memory", size.clone(), "--max-memory"));
    }
    if !args.models.is_empty() {
        flags.push(("scan.models", args.models.join(","), "--model"));
    }
    let library = context.library_with(context.config(flags)?).await?;
    let options = ScanOptions {
        paths: args.paths,
        exclude: args.exclude,
        genre_from_folder: args.genre_from_folder,
        failed: args.failed,
        missing: args.missing,
        segments: args.segments,
        again: args.again,
        dry_run: args.dry_run,
    };
    let printer = &context.printer;
    let unprinted = std::sync::Mutex::new(None);
    let on_item = |item: &ScanItem| {
        let printed = if printer.json { printer.json(item) } else { print(context, item) };
        if let Err(error) = printed {
            // Nobody reads on; the songs that are found are still wanted by
            // the library, but this run is over.
            context.interrupt.set();
            unprinted
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .get_or_insert(error);
        }
    };
    let started = std::time::Instant::now();
    let report = library.scan(&options, &context.interrupt, &*context.progress, &on_item).await?;
    if let Some(error) = unprinted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    if printer.json {
        let mut summary = json!({ "type": "summary", "dry_run": args.dry_run });
        if let (Some(all), serde_json::Value::Object(numbers)) =
            (summary.as_object_mut(), serde_json::to_value(&report)?)
        {
            all.extend(numbers);
        }
        printer.json(&summary)?;
    } else {
        summarize(context, &report, args.dry_run, started.elapsed());
        if args.missing && report.files() == 0 && !report.interrupted {
            printer.say("the models have heard every song whose file is on this machine");
        }
        if found_nothing(&report, args.missing) && !report.interrupted {
            printer.say(format!(
                "no file there has the name of an audio file; songrec reads {}",
                songrec_library::FORMATS
            ));
        }
    }
    Ok(status(&report, args.missing))
}

fn print(context: &Context, item: &ScanItem) -> Result<()> {
    match item {
        ScanItem::Added { id, .. } => context.printer.line(id.to_string()),
        ScanItem::Updated { .. } | ScanItem::Moved { .. } | ScanItem::Duplicate { .. } => Ok(()),
        ScanItem::Missing { path, .. } => {
            context.printer.warn(format!("`{path}` is not there any more"));
            Ok(())
        }
        ScanItem::Unheard { path, reason, .. } => {
            context.printer.warn(format!("`{path}` was not heard: {reason}"));
            Ok(())
        }
        ScanItem::Failed { path, reason } => {
            context.printer.warn(format!("skipped `{path}`: {reason}"));
            Ok(())
        }
    }
}

fn summarize(context: &Context, report: &ScanReport, dry_run: bool, took: std::time::Duration) {
    let parts = [
        (report.added, "new"),
        (report.updated, "updated"),
        (report.moved, "moved"),
        (report.duplicates, "copies of known songs"),
        (report.unchanged, "unchanged"),
        (report.failed, "could not be read"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let printer = &context.printer;
    let prefix = if dry_run { "would be: " } else { "" };
    let found = counted(report.files(), "file");
    let details = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    printer.say(format!("{prefix}{found}{details} ({:.1} s)", took.as_secs_f64()));
    if report.forgotten > 0 {
        printer.say(format!(
            "{} of forgotten songs left alone; `--again` takes them in",
            counted(report.forgotten, "file")
        ));
    }
    if report.failed_before > 0 {
        printer.say(format!(
            "{} left alone that could not be read before; `--failed` tries again",
            counted(report.failed_before, "file")
        ));
    }
    if report.unheard > 0 {
        printer.say(format!(
            "{} kept without what a model would have heard; the same command with `--missing` in place of paths tries again",
            counted(report.unheard, "song")
        ));
    }
    if report.missing > 0 {
        printer.say(format!(
            "{} not found any more; their songs stay: `songrec relocate` if they moved, `songrec rm` to forget them",
            counted(report.missing, "file")
        ));
    }
    if report.interrupted {
        printer.say("interrupted; everything found so far is kept: run the same command to go on");
    }
}

// That nothing is missing any more is no failure.
fn found_nothing(report: &ScanReport, missing: bool) -> bool {
    report.files() == 0 && !missing
}

// A scan in which nothing worked must not look like a success.
fn status(report: &ScanReport, missing: bool) -> ExitStatus {
    if report.interrupted {
        ExitStatus::Interrupted
    } else if report.failed > 0 || report.unheard > 0 {
        ExitStatus::SomeFailed
    } else if found_nothing(report, missing) {
        ExitStatus::FoundNothing
    } else {
        ExitStatus::Done
    }
}
