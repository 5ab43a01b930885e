//! What is said of two libraries.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;
use songrec_core::SongId;
use songrec_library::share::{
    Action, Counts, DocumentWork, Failure, Libraries, MergedField, Pair, Plan, Report, Side,
    SongWork,
};

use crate::{
    hints,
    numbers::{counted, size},
    printer::Printer,
    table::{Column, Table},
};

/// Says that a library called `name` was made, if one was.
pub(super) fn say_if_new(printer: &Printer, libraries: &Libraries, name: &str) {
    if libraries.is_new() {
        printer.say(format!("made a library in `{name}`"));
    }
}

/// What will be done, in words or as one JSON document.
pub(super) fn print_plan(printer: &Printer, libraries: &Libraries, plan: &mut Plan) -> Result<()> {
    put_in_words(&mut plan.refused);
    if printer.json {
        return printer.json(plan);
    }
    print_work(printer, libraries.names(), &plan.songs, &plan.documents)?;
    and_more(printer, plan.left_out.songs, "song");
    print_failures(printer, &plan.refused, 0);
    if plan.is_empty() {
        if plan.refused.is_empty() {
            printer.say("both libraries are the same; there is nothing to do");
        }
        return Ok(());
    }
    for side in Side::BOTH {
        if plan.counts[side].total() == 0 {
            continue;
        }
        let name = &libraries.names()[side];
        let mut text = format!(
            "`{name}` would get: {}; at most {}, about {}",
            in_words(&plan.counts[side]),
            size(plan.bytes[side]),
            counted(plan.requests[side], "request"),
        );
        if libraries.is_remote(side) {
            text += &of_the_free_plan(plan.requests[side], plan.bytes[side]);
        }
        printer.say(text);
    }
    Ok(())
}

/// What was done, in words or as one JSON document.
pub(super) fn print_report(
    printer: &Printer,
    names: &Pair<String>,
    report: &mut Report,
) -> Result<()> {
    put_in_words(&mut report.failed);
    if printer.json {
        return printer.json(report);
    }
    print_work(printer, names, &report.songs, &report.documents)?;
    and_more(printer, report.left_out.songs, "song");
    for note in &report.notes {
        printer.say(format!("note: song `{}`: {}", note.song.short(), note.text));
    }
    and_more(printer, report.left_out.notes, "note");
    print_failures(printer, &report.failed, report.left_out.failed);
    for side in Side::BOTH {
        if report.counts[side].total() > 0 {
            printer.say(format!(
                "`{}` got: {}; {}, {}",
                names[side],
                in_words(&report.counts[side]),
                size(report.bytes[side]),
                counted(report.requests[side], "request"),
            ));
        }
    }
    if report.is_empty() {
        printer.say("both libraries are the same; nothing had to be done");
    }
    if report.waiting > 0 {
        printer.say(format!("{} for a sync in the other direction", waits(report.waiting, "song")));
    }
    if report.conflicts > 0 {
        printer.say(format!(
            "{} values that lost a merge; `songrec conflicts` shows them",
            has(report.conflicts, "song"),
        ));
    }
    if report.interrupted {
        printer.say("interrupted; the same command goes on from here");
    }
    Ok(())
}

/// Puts what can be done about failures into the words of the command line.
pub(super) fn put_in_words(failed: &mut [Failure]) {
    failed.iter_mut().for_each(|failure| hints::put_in_words(&mut failure.hint));
}

/// What could not be done.
pub(super) fn print_failures(printer: &Printer, failed: &[Failure], left_out: u64) {
    for failure in failed {
        let named = if failure.title.is_empty() { &failure.subject } else { &failure.title };
        printer.warn(format!("{named}: {}", failure.reason));
        if let Some(hint) = &failure.hint {
            printer.say(format!("    {hint}"));
        }
    }
    and_more(printer, left_out, "failure");
}

/// What was counted and not listed.
pub(super) fn and_more(printer: &Printer, left_out: u64, one: &str) {
    if left_out > 0 {
        printer.say(format!("… and {} more", counted(left_out, one)));
    }
}

fn print_work(
    printer: &Printer,
    names: &Pair<String>,
    songs: &[SongWork],
    documents: &[DocumentWork],
) -> Result<()> {
    let columns = [Column::text(""), Column::text(""), Column::text(""), Column::cut("", 1)];
    let mut table = Table::of(columns);
    let mut below: Vec<Vec<String>> = Vec::new();
    for work in songs {
        let (action, side) = what_where(names, &work.actions);
        table.row([action, side, short(work.song), work.title.clone()]);
        let merged = work.merged.iter().map(|field| merged_line(names, field));
        below.push(merged.chain(work.note.clone()).collect());
    }
    for work in documents {
        let (action, side) = what_where(names, &work.actions);
        table.row([action, side, work.kind.as_str().to_owned(), work.id.clone()]);
        let kept = work.kept_as.iter().map(|id| format!("the other version is kept as `{id}`"));
        below.push(kept.collect());
    }
    printer.table_with(&table, |row| {
        below[row].iter().try_for_each(|text| printer.line(printer.dim(&format!("    {text}"))))
    })?;
    printer.flush()
}

fn what_where(names: &Pair<String>, actions: &Pair<Option<Action>>) -> (String, String) {
    match (actions.left, actions.right) {
        (Some(left), Some(right)) if left == right => (verb(left).to_owned(), "both".to_owned()),
        (Some(left), Some(right)) => {
            (format!("{}, {}", verb(left), verb(right)), format!("{}, {}", names.left, names.right))
        }
        (Some(action), None) => (verb(action).to_owned(), names.left.clone()),
        (None, Some(action)) => (verb(action).to_owned(), names.right.clone()),
        (None, None) => ("agree".to_owned(), String::new()),
    }
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::Add => "add",
        Action::Update => "update",
        Action::Merge => "merge",
        Action::Delete => "delete",
        Action::Restore => "restore",
    }
}

fn merged_line(names: &Pair<String>, field: &MergedField) -> String {
    let mut text = format!("{}: {}", field.field, shown(field.value.as_ref()));
    if let Some(side) = field.from {
        let _ = write!(text, " (from `{}`)", names[side]);
    }
    if let Some(other) = &field.other {
        let fate = if field.kept { "kept as a conflict" } else { "overruled" };
        let _ = write!(text, "; {} is {fate}", shown(Some(other)));
    }
    text
}

/// A value of a field, for people.
pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(empty)".to_owned(),
        Some(Value::String(text)) => format!("\"{text}\""),
        Some(other) => other.to_string(),
    }
}

fn short(id: SongId) -> String {
    id.short().to_string()
}

fn in_words(counts: &Counts) -> String {
    let parts = [
        (counts.add, "added"),
        (counts.update, "updated"),
        (counts.merge, "merged"),
        (counts.delete, "deleted"),
        (counts.restore, "restored"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// What requests and bytes are of what the free plan of Astra DB allows: its
/// credit is good for about 20 million reads and writes and 80 GB a month.
pub(super) fn of_the_free_plan(requests: u64, bytes: u64) -> String {
    format!(
        " ({} of the 20 million operations a month and at most {} of the 80 GB that the free plan \
         of Astra DB has)",
        share(requests, 20_000_000),
        share(bytes, 80_000_000_000),
    )
}

fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole as f64;
    if percent < 0.01 { "under 0.01 %".to_owned() } else { format!("{percent:.2} %") }
}

fn waits(count: u64, one: &str) -> String {
    let verb = if count == 1 { "waits" } else { "wait" };
    format!("{} {verb}", counted(count, one))
}

fn has(count: u64, one: &str) -> String {
    let verb = if count == 1 { "has" } else { "have" };
    format!("{} {verb}", counted(count, one))
}
