use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use serde_json::json;
use songrec_core::{Event, Field, Hint, Remedy, ScanItem, SongId, WarningKind, encode_path};
use songrec_library::{
    EditChange, Error, Library, ScanOptions, ScanReport, SkippedList, SynthsScanned, WatchOptions,
    WatchRound, edit, find, keys,
};

use crate::{
    args::ScanArgs, context::Context, hints, numbers::counted, printer::Printer,
    progress::listened_to, status::ExitStatus,
};

/// How many new songs a person is shown.
const TITLES: usize = 3;

pub(super) async fn run(context: &Context, args: ScanArgs) -> Result<ExitStatus> {
    let mut flags = Vec::new();
    if let Some(size) = &args.max_memory {
        flags.push((keys::SCAN_MAX_MEMORY.setting(), size.clone(), "--max-memory"));
    }
    if !args.models.is_empty() {
        flags.push((keys::SCAN_MODELS.setting(), args.models.join(","), "--model"));
    }
    let labelled = args.label.as_deref().map(|label| one_file(&args.paths, label)).transpose()?;
    let library = context.library_to_change_with(context.config(flags)?, !args.dry_run).await?;
    let list = |path: &PathBuf| SkippedList::create(path, hints::in_words);
    let skipped = args.report.as_ref().map(list).transpose()?;
    let options = ScanOptions {
        paths: args.paths,
        exclude: args.exclude,
        genre_from_folder: args.genre_from_folder,
        failed: args.failed,
        missing: args.missing,
        segments: args.segments,
        again: args.again,
        dry_run: args.dry_run,
        examiner: std::env::current_exe().ok(),
        changed: None,
        skipped,
    };
    if args.watch {
        return watched(context, &library, options, args.settle).await;
    }
    let printer = &context.printer;
    let shown = Arc::new(Shown::default());
    let job = listened_to(&context.job, {
        let (context, shown) = (context.clone(), shown.clone());
        move |event| show(&context, &shown, event)
    });
    let started = std::time::Instant::now();
    let report = songrec_library::scan(&library, &options, &job).await?;
    if let Some(error) = locked(&shown.unprinted).take() {
        return Err(error);
    }
    if let Some((path, change)) = labelled
        && report.failed + report.failed_before + report.forgotten == 0
        && !report.interrupted
    {
        let song = find::song(&library, &path).await?;
        edit(&library, song.id, &[change]).await?;
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
        summarize(context, &report, args.dry_run, Some(started.elapsed()));
        locked(&shown.suspects).read_changes(printer);
        if args.missing && report.files() == 0 && !report.interrupted {
            printer.say("the models have embedded every song whose file is on this machine");
        }
        if found_nothing(&report, args.missing) && !report.interrupted && args.failed {
            printer.say("no file there could not be read before");
        } else if found_nothing(&report, args.missing) && !report.interrupted {
            printer.say(format!(
                "no file there has the name of an audio file; songrec reads {}",
                songrec_library::FORMATS
            ));
        }
        unread(context, &report);
        if let (Some(files), Some(path)) = (report.listed, &args.report) {
            let files = counted(files, "file");
            printer.say(format!("{files} left out, listed in `{}`", path.display()));
        }
        if !args.dry_run {
            let ids = std::mem::take(&mut *locked(&shown.added));
            what_next(context, &library, &ids, &report).await?;
        }
    }
    Ok(status(&report, args.missing))
}

// The one file that is scanned, and the change that names what is in it.
fn one_file(paths: &[PathBuf], label: &str) -> Result<(String, EditChange)> {
    match paths {
        [path] if path.is_file() => {
            Ok((encode_path(path), EditChange::Set(Field::Title, label.to_owned())))
        }
        _ => Err(Error::usage("`--label` names the sound in one file")
            .with_hint("`songrec edit SONG --set title=…` names songs that are in the library")
            .into()),
    }
}

// Scans again and again, with a line for each change and a document for each scan.
async fn watched(
    context: &Context,
    library: &Library,
    options: ScanOptions,
    settle: f64,
) -> Result<ExitStatus> {
    let job = listened_to(&context.job, {
        let context = context.clone();
        move |event| tell(&context, event)
    });
    let options = WatchOptions { scan: options, settle: Duration::from_secs_f64(settle) };
    let printer = &context.printer;
    let mut on_round = |round: &WatchRound| -> Result<()> {
        if printer.json {
            let mut document = json!({ "type": "round" });
            if let (Some(all), serde_json::Value::Object(fields)) =
                (document.as_object_mut(), serde_json::to_value(round)?)
            {
                all.extend(fields);
            }
            printer.json(&document)?;
            return printer.flush();
        }
        if round.round == 1 {
            summarize(context, &round.report, false, None);
            unread(context, &round.report);
            if !round.report.interrupted {
                printer.say("watching for changes; Ctrl-C ends it");
            }
        }
        Ok(())
    };
    songrec_library::watch(library, &options, &job, &mut on_round).await?;
    // Its end is what was asked for, and the next one goes on from there.
    Ok(ExitStatus::Done)
}

// One line of what became of a file.
fn tell(context: &Context, event: Event<'_>) {
    let line = match event {
        Event::Scanned { item } => match item {
            ScanItem::Added { path, .. } => format!("new: `{path}`"),
            ScanItem::Updated { path, .. } => format!("updated: `{path}`"),
            ScanItem::Moved { path, from, .. } => format!("moved: `{from}` to `{path}`"),
            ScanItem::Duplicate { path, .. } => format!("copy: `{path}`"),
            ScanItem::Missing { path, .. } => format!("gone, its song stays: `{path}`"),
            ScanItem::Unembedded { path, reason, .. } => {
                format!("warning: `{path}` was not embedded: {reason}")
            }
            ScanItem::Warned { path, warnings, .. } => {
                let texts: Vec<&str> =
                    warnings.iter().map(|warning| warning.text.as_str()).collect();
                format!("warning: `{path}`: {}", texts.join("; "))
            }
            ScanItem::SynthAdded { name, path, .. } => format!("new synth: {name} in `{path}`"),
            ScanItem::SynthUpdated { name, path, .. } => {
                format!("updated synth: {name} in `{path}`")
            }
            ScanItem::SynthMoved { path, from, .. } => {
                format!("moved synth: `{from}` to `{path}`")
            }
        },
        Event::Failed { item, reason } => {
            format!("warning: skipped `{item}`: {}", hints::in_words(reason))
        }
        _ => return,
    };
    if context.global.quiet && !line.starts_with("warning: ") {
        return;
    }
    match (context.global.quiet, line.strip_prefix("warning: ")) {
        (true, Some(warning)) => context.printer.warn(warning),
        _ => context.job.progress.on(Event::Note { text: &line }),
    }
}

/// What was shown of a scan, and what is shown of it in the end.
#[derive(Debug, Default)]
struct Shown {
    /// The first songs that are new.
    added: Mutex<Vec<SongId>>,
    suspects: Mutex<Suspects>,
    /// Why an item could not be printed.
    unprinted: Mutex<Option<anyhow::Error>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// Prints what an event says of a file.
fn show(context: &Context, shown: &Shown, event: Event<'_>) {
    let printed = match event {
        Event::Scanned { item } => {
            locked(&shown.suspects).count(item);
            if let ScanItem::Added { id, .. } = item {
                let mut added = locked(&shown.added);
                if added.len() < TITLES {
                    added.push(*id);
                }
            }
            if context.printer.json { context.printer.json(item) } else { print(context, item) }
        }
        Event::Failed { item, reason } => {
            let reason = hints::in_words(reason);
            if context.printer.json {
                let failed = json!({ "type": "failed", "path": item, "reason": reason });
                context.printer.json(&failed)
            } else {
                context.warn_aside(&format!("skipped `{item}`: {reason}"));
                Ok(())
            }
        }
        _ => return,
    };
    if let Err(error) = printed {
        // Nobody reads on; the songs that are found are still wanted by
        // the library, but this run is over.
        context.job.interrupt.set();
        locked(&shown.unprinted).get_or_insert(error);
    }
}

/// Songs whose audio came in although something is wrong with it.
#[derive(Debug, Default)]
struct Suspects {
    kinds: BTreeMap<WarningKind, u64>,
    /// The first few, in words.
    named: Vec<String>,
    songs: u64,
}

impl Suspects {
    const NAMED: usize = 3;

    fn count(&mut self, item: &ScanItem) {
        let ScanItem::Warned { path, warnings, .. } = item else { return };
        self.songs += 1;
        for warning in warnings {
            *self.kinds.entry(warning.kind).or_default() += 1;
        }
        if self.named.len() < Self::NAMED {
            let texts: Vec<&str> = warnings.iter().map(|warning| warning.text.as_str()).collect();
            self.named.push(format!("`{path}`: {}", texts.join("; ")));
        }
    }

    fn read_changes(&self, printer: &Printer) {
        if self.songs == 0 {
            return;
        }
        let kinds: Vec<String> =
            self.kinds.iter().map(|(kind, count)| format!("{count} {}", kind.as_str())).collect();
        printer.warn(format!(
            "something is wrong with the audio of {} ({}); `songrec ls -f 'warning:*'` lists them all",
            counted(self.songs, "song"),
            kinds.join(", ")
        ));
        for named in &self.named {
            printer.say(format!("    {named}"));
        }
    }
}

fn print(context: &Context, item: &ScanItem) -> Result<()> {
    match item {
        // Programs go on with the ids; a person is shown titles in the end.
        ScanItem::Added { id, .. } if !context.printer.is_terminal() => {
            context.printer.line(id.to_string())
        }
        ScanItem::Added { .. }
        | ScanItem::Updated { .. }
        | ScanItem::Moved { .. }
        | ScanItem::Duplicate { .. } => Ok(()),
        ScanItem::Missing { path, .. } => {
            context.warn_aside(&format!("`{path}` is not there any more"));
            Ok(())
        }
        // Told together in the end.
        ScanItem::Warned { .. } => Ok(()),
        ScanItem::SynthAdded { id, .. } if !context.printer.is_terminal() => {
            context.printer.line(id)
        }
        ScanItem::SynthAdded { .. }
        | ScanItem::SynthUpdated { .. }
        | ScanItem::SynthMoved { .. } => Ok(()),
        ScanItem::Unembedded { path, reason, .. } => {
            context.warn_aside(&format!("`{path}` was not embedded: {reason}"));
            Ok(())
        }
    }
}

// The audio that songrec does not read, by format.
fn unread(context: &Context, report: &ScanReport) {
    let mut formats: Vec<(&String, &u64)> = report.unread.iter().collect();
    formats.sort_by_key(|(ending, count)| (std::cmp::Reverse(**count), *ending));
    let formats: Vec<String> =
        formats.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
    if !formats.is_empty() {
        let all = counted(report.unread.values().sum(), "file");
        let how = Hint::of("{} has an installed ffmpeg read them", [Remedy::UseFfmpeg]);
        context.printer.say(format!(
            "{all} not read: {}; {}",
            formats.join(", "),
            hints::in_words(&how)
        ));
    }
}

// Some of what is new, and what can be done with it.
async fn what_next(
    context: &Context,
    library: &Library,
    ids: &[SongId],
    report: &ScanReport,
) -> Result<()> {
    let summaries = find::summaries(library, ids).await?;
    let Some(first) = summaries.first() else { return Ok(()) };
    let titles: Vec<&str> = summaries.iter().map(|summary| summary.title.as_str()).collect();
    let more = report.added.saturating_sub(titles.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (printer, songrec) = (&context.printer, context.typed());
    printer.say(format!("new: {}{more}", titles.join(", ")));
    // A title that is not the only one, or that a shell would take apart, is
    // better left to the id.
    let is_plain = first.title.chars().all(|c| c.is_alphanumeric() || " -_.,()".contains(c));
    let is_found = is_plain
        && songrec_library::find::song(library, &first.title)
            .await
            .is_ok_and(|song| song.id == first.id);
    let name = if is_found { format!("'{}'", first.title) } else { first.id.short() };
    printer.say(format!(
        "next: `{songrec} similar {name}` lists what sounds like it, `{songrec} ls` all songs"
    ));
    Ok(())
}

fn summarize(context: &Context, report: &ScanReport, dry_run: bool, took: Option<Duration>) {
    let parts = [
        (report.added, "new"),
        (report.updated, "updated"),
        (report.moved, "moved"),
        (report.duplicates, if report.duplicates == 1 { "copy" } else { "copies" }),
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
    let took = took.map(|took| format!(" ({:.1} s)", took.as_secs_f64())).unwrap_or_default();
    printer.say(format!("{prefix}{found}{details}{took}"));
    synths(context, &report.synths, dry_run);
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
    if report.unembedded > 0 {
        printer.say(format!(
            "{} kept without what a model would have embedded; the same command with `--missing` in place of paths tries again",
            counted(report.unembedded, "song")
        ));
    }
    if report.missing > 0 {
        printer.say(format!(
            "{} not found any more; their songs stay: `{songrec} relocate FROM TO` if a folder moved, \
             `{songrec} rm --missing` to forget those without a file",
            counted(report.missing, "file"),
            songrec = context.typed(),
        ));
    }
    if report.interrupted {
        printer.say("interrupted; everything found so far is kept: run the same command to go on");
    }
}

// What became of files with synths.
fn synths(context: &Context, done: &SynthsScanned, dry_run: bool) {
    let parts = [
        (done.added, "new"),
        (done.updated, "updated"),
        (done.moved, "moved"),
        (done.unchanged, "unchanged"),
        (done.forgotten, "removed before and left alone"),
        (done.failed, "could not be taken in"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let prefix = if dry_run { "would be: " } else { "" };
    if !parts.is_empty() {
        let found = counted(done.found(), "synth");
        context.printer.say(format!("{prefix}{found}: {}", parts.join(", ")));
    }
    if done.without > 0 {
        let files = counted(done.without, "file");
        context.printer.say(format!("{files} of SuperCollider without a SynthDef passed over"));
    }
}

// That nothing is missing any more is no failure.
fn found_nothing(report: &ScanReport, missing: bool) -> bool {
    report.files() == 0 && report.synths.found() == 0 && !missing
}

// A scan in which nothing worked must not look like a success.
fn status(report: &ScanReport, missing: bool) -> ExitStatus {
    if report.interrupted {
        ExitStatus::Interrupted
    } else if report.failed > 0 || report.unembedded > 0 || report.synths.failed > 0 {
        ExitStatus::SomeFailed
    } else if found_nothing(report, missing) {
        ExitStatus::FoundNothing
    } else {
        ExitStatus::Done
    }
}
