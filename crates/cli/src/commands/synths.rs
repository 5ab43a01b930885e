//! `synths`: definitions for SuperCollider, and what each comes from.

mod intake;

use anyhow::Result;
use serde_json::json;
use songrec_library::{
    Error, ErrorKind, Lineage, NamedSynth, Relative, RemovedSynth, ShownSynth, SynthChange,
    SynthFact, SynthQuery, SynthWithSource, Way, edit_synth, find_synths, link_synths,
    remove_synth, synth_lineage, synth_named, synths, unlink_synths,
};

use crate::{
    args::{EditSynthArgs, RowArgs, SynthsArgs, SynthsCommand, WhichSynthsArgs, YesNo},
    context::Context,
    hints,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

/// Digits of an id that people read.
const SHORT: usize = "synth_".len() + 8;

pub(super) async fn run(context: &Context, args: SynthsArgs) -> Result<ExitStatus> {
    let all = WhichSynthsArgs {
        category: None,
        gate: None,
        limit: 100,
        offset: 0,
        rows: RowArgs::default(),
    };
    match args.command.unwrap_or(SynthsCommand::Ls(all)) {
        SynthsCommand::Ls(which) => list(context, Vec::new(), &which).await,
        SynthsCommand::Search { words, which } => list(context, words, &which).await,
        SynthsCommand::Show { synth, source } => show(context, &synth, source).await,
        SynthsCommand::Add(args) => intake::add(context, &args).await,
        SynthsCommand::Edit(args) => edit(context, &args).await,
        SynthsCommand::Rm { synths } => remove(context, &synths).await,
        SynthsCommand::Link { child, parent, weight } => {
            link(context, &child, &parent, weight).await
        }
        SynthsCommand::Unlink { child, parent } => unlink(context, &child, &parent).await,
        SynthsCommand::Lineage { synth, up, down } => {
            let ways: &[Way] = match (up, down) {
                (true, false) => &[Way::Up],
                (false, true) => &[Way::Down],
                _ => &[Way::Up, Way::Down],
            };
            lineage(context, &synth, ways).await
        }
    }
}

async fn list(
    context: &Context,
    words: Vec<String>,
    which: &WhichSynthsArgs,
) -> Result<ExitStatus> {
    let query = SynthQuery {
        words,
        category: which.category,
        gate: which.gate.map(|gate| gate == YesNo::Yes),
        offset: which.offset,
        limit: which.limit,
    };
    let library = context.library_to_read().await?;
    let printer = &context.printer;
    let rows = Rows::of(printer, &which.rows, None)?;
    let found = find_synths(&library, &query).await?;
    let mut table = Table::headed([
        Column::text("id"),
        Column::cut("name", 3),
        Column::text("category"),
        Column::number("channels"),
        Column::text("gate"),
        Column::cut("controls", 3),
        Column::cut("file", 3),
        Column::cut("", 2),
    ]);
    for synth in &found.synths {
        match printer.json {
            true => printer.json(synth)?,
            false => table.row(cells(synth, printer.is_terminal())),
        }
    }
    match rows {
        Some(mut rows) => rows.print(printer, &found.synths)?,
        None => printer.table(&table)?,
    }
    let (shown, count) = (found.synths.len(), found.count);
    if found.synths.is_empty() {
        printer.nothing(&match count {
            0 if query.is_all() => {
                "this library has no synths; `songrec synths add FILE` adds some".to_owned()
            }
            0 => "no synth is as it was asked for".to_owned(),
            _ => format!("nothing after the first {}; {count} pass", query.offset),
        })?;
    }
    if printer.json {
        let (offset, limit) = (query.offset, query.limit);
        printer
            .json(&json!({"type": "summary", "count": count, "offset": offset, "limit": limit}))?;
    } else if shown > 0 && shown < count {
        let from = query.offset + 1;
        let all = counted(count as u64, "synth");
        printer.say(format!("{from} to {} of {all}; `--offset` goes on", query.offset + shown));
    }
    if found.synths.iter().any(|synth| !synth.namesakes.is_empty()) {
        printer.warn(
            "some synths have the same name, from different libraries; `songrec synths edit ID \
             --set name=NAME` gives one another, `songrec synths rm ID` removes it",
        );
    }
    for one in &found.unreadable {
        printer.warn(&one.why);
    }
    Ok(match (shown, found.unreadable.is_empty()) {
        (_, false) => ExitStatus::SomeFailed,
        (0, true) => ExitStatus::FoundNothing,
        (_, true) => ExitStatus::Done,
    })
}

// An id as people read it; whole where it names another version.
fn short(id: &str) -> &str {
    if id.contains("-conflict-") { id } else { id.get(..SHORT).unwrap_or(id) }
}

// Of a path that is cut to fit a terminal nothing would be left that tells files apart.
fn cells(synth: &ShownSynth, is_read: bool) -> [String; 8] {
    let file = synth.file_path.clone().unwrap_or_default();
    let name = file.rsplit(['/', '\\']).next().filter(|_| is_read);
    let names: Vec<&str> = synth.controls.iter().map(|one| one.name.as_str()).collect();
    let mut remarks = Vec::new();
    if !synth.namesakes.is_empty() {
        remarks.push("not the only one of this name".to_owned());
    }
    remarks.extend(synth.beside.as_ref().map(|id| format!("another version of {}", short(id))));
    [
        short(&synth.id).to_owned(),
        synth.name.clone(),
        synth.category.map(|category| category.to_string()).unwrap_or_default(),
        channels(synth),
        gate(synth).to_owned(),
        names.join(" "),
        name.unwrap_or(&file).to_owned(),
        remarks.join(", "),
    ]
}

fn channels(synth: &ShownSynth) -> String {
    synth.channels.map_or("unknown".to_owned(), |channels| channels.to_string())
}

const fn gate(synth: &ShownSynth) -> &'static str {
    match synth.gate {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

async fn show(context: &Context, name: &str, source: bool) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let (list, kept) = synth_named(&library, name).await?;
    let synth = SynthWithSource::of(&list, &kept);
    let printer = &context.printer;
    if printer.json {
        printer.json(&synth)?;
    } else if source {
        printer.line(synth.source.trim_end())?;
    } else {
        printer.table(&facts(&synth.shown))?;
        printer.line("")?;
        printer.line(synth.source.trim_end())?;
    }
    for other in synth.others.iter().filter(|_| !printer.json) {
        let called =
            format!("`{}`, {}", other.name, other.file_path.as_deref().unwrap_or("no file"));
        printer.say(format!("another library says: {called}; `songrec synths edit` decides"));
    }
    Ok(ExitStatus::Done)
}

fn facts(synth: &ShownSynth) -> Table {
    let mut table = Table::of([Column::text(""), Column::wrapped("")]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("name", synth.name.clone());
    row("id", synth.id.clone());
    let of_source = |fact| if synth.unsure.contains(&fact) { "unknown" } else { "none" };
    let category = synth.category.map(|category| category.to_string());
    row("category", category.unwrap_or_else(|| of_source(SynthFact::Category).to_owned()));
    row("channels", channels(synth));
    row("gate", gate(synth).to_owned());
    for control in &synth.controls {
        let default = match (&control.default, &control.written) {
            (_, Some(written)) => format!(" = {written} (worked out)"),
            (serde_json::Value::Null, None) => String::new(),
            (default, None) => format!(" = {default}"),
        };
        let rate = json!(control.rate).as_str().unwrap_or_default().to_owned();
        row("control", format!("{}{default} ({rate})", control.name));
    }
    if !synth.unsure.is_empty() {
        let unsure: Vec<&str> = synth.unsure.iter().map(|fact| fact.as_str()).collect();
        row("unsure", unsure.join(", "));
    }
    if let Some(path) = &synth.file_path {
        row("file", path.clone());
    }
    if let Some(machine) = synth.machine.as_ref().filter(|machine| !machine.is_empty()) {
        row("machine", machine.clone());
    }
    row("SHA-256", synth.file_hash.to_string());
    for parent in &synth.parents {
        let gone = if parent.missing { ", which is gone" } else { "" };
        row("parent", format!("{} ({}{gone})", parent.name, parent.weight));
    }
    if let Some(notes) = &synth.notes {
        row("notes", notes.clone());
    }
    for (name, value) in &synth.extra {
        row(&format!("extra.{name}"), value.to_string());
    }
    for id in &synth.namesakes {
        row("same name", id.clone());
    }
    if let Some(id) = &synth.beside {
        row("version of", id.clone());
    }
    row("added", synth.created_at.to_string());
    row("changed", synth.updated_at.to_string());
    table
}

fn changes(args: &EditSynthArgs) -> Result<Vec<SynthChange>> {
    let mut changes = Vec::new();
    for text in &args.set {
        let (field, value) = text.split_once('=').ok_or_else(|| {
            Error::usage(format_args!("`{text}` is not `FIELD=VALUE`"))
                .with_hint("such as `--set category=pad`")
        })?;
        changes.push(SynthChange::parse(field, Some(value))?);
    }
    for field in &args.clear {
        changes.push(SynthChange::parse(field, None)?);
    }
    if changes.is_empty() {
        return Err(Error::usage("there is nothing to change")
            .with_hint("`--set FIELD=VALUE` or `--clear FIELD`")
            .into());
    }
    Ok(changes)
}

async fn edit(context: &Context, args: &EditSynthArgs) -> Result<ExitStatus> {
    let changes = changes(args)?;
    let library = context.library_to_change().await?;
    let (_, kept) = synth_named(&library, &args.synth).await?;
    let (list, kept) = edit_synth(&library, &kept.id, &changes, None).await?;
    changed(context, &list.shown(&kept))?;
    context.printer.say(format!("changed `{}`", kept.synth.name()));
    Ok(ExitStatus::Done)
}

fn changed(context: &Context, synth: &ShownSynth) -> Result<()> {
    match context.printer.json {
        true => context.printer.json(synth),
        false => context.printer.line(&synth.id),
    }
}

async fn remove(context: &Context, names: &[String]) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let printer = &context.printer;
    let mut failed = 0;
    for name in names {
        let removed = match synth_named(&library, name).await {
            Ok((_, kept)) => remove_synth(&library, &kept.id, None).await,
            // What cannot be read can be removed all the same, by its id.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                remove_synth(&library, name, None).await
            }
            Err(error) => Err(error),
        };
        match removed {
            Ok(removed) => tell_removed(context, &removed)?,
            Err(error)
                if names.len() > 1
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Usage) =>
            {
                failed += 1;
                if printer.json {
                    let hint = error.hint().map(hints::in_words).unwrap_or_default();
                    let reason = error.in_one_line();
                    let failed =
                        json!({"type": "failed", "synth": name, "reason": reason, "hint": hint});
                    printer.json(&failed)?;
                }
                printer.warn(error.in_one_line());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(if failed == 0 { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

fn tell_removed(context: &Context, removed: &RemovedSynth) -> Result<()> {
    let printer = &context.printer;
    if printer.json {
        let RemovedSynth { id, name, links } = removed;
        printer.json(&json!({"type": "removed", "id": id, "name": name, "links": links}))?;
    }
    printer.say(format!("removed `{}`; its file is as it was", removed.name));
    for link in &removed.links {
        printer.say(format!(
            "    the link of `{}` to `{}` ends ({})",
            link.child.name, link.parent.name, link.weight
        ));
    }
    Ok(())
}

async fn link(context: &Context, child: &str, parent: &str, weight: f64) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let list = synths(&library).await?;
    let child = list.find_here(&library, child)?.id.clone();
    let parent = list.find_here(&library, parent)?.clone();
    let (list, kept) = link_synths(&library, &child, &parent.id, weight).await?;
    changed(context, &list.shown(&kept))?;
    let (child, parent) = (kept.synth.name(), parent.synth.name());
    context.printer.say(format!("`{child}` comes from `{parent}` ({weight})"));
    Ok(ExitStatus::Done)
}

async fn unlink(context: &Context, child: &str, parent: &str) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let list = synths(&library).await?;
    let kept = list.find_here(&library, child)?;
    let parent = match list.find_here(&library, parent) {
        Ok(parent) => parent.id.clone(),
        // One that is gone: the link knows it.
        Err(error) => {
            let shown = list.shown(kept);
            let gone = shown.parents.iter().find(|link| {
                link.missing
                    && (link.id == parent || link.name == parent || short(&link.id) == parent)
            });
            gone.map(|link| link.id.clone()).ok_or(error)?
        }
    };
    let (list, kept) = unlink_synths(&library, &kept.id, &parent).await?;
    changed(context, &list.shown(&kept))?;
    context.printer.say(format!("`{}` does not come from it any more", kept.synth.name()));
    Ok(ExitStatus::Done)
}

async fn lineage(context: &Context, name: &str, ways: &[Way]) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let (list, kept) = synth_named(&library, name).await?;
    let lineage = synth_lineage(&list, &kept, ways);
    let printer = &context.printer;
    if printer.json {
        printer.json(&lineage)?;
    } else {
        draw(context, &lineage)?;
    }
    for cycle in &lineage.cycles {
        let names: Vec<String> = cycle.iter().map(|one| format!("`{}`", one.name)).collect();
        printer.warn(format!(
            "these come from each other in a circle: {}; two libraries made the links of it. \
             `songrec synths unlink CHILD PARENT` ends one",
            names.join(", ")
        ));
    }
    let is_alone = [&lineage.up, &lineage.down].into_iter().flatten().all(Vec::is_empty);
    if is_alone && !printer.json {
        printer.say(format!(
            "nothing is known of it; `songrec synths link '{}' PARENT` says what it comes from",
            lineage.synth.name
        ));
    }
    Ok(ExitStatus::Done)
}

fn draw(context: &Context, lineage: &Lineage) -> Result<()> {
    let printer = &context.printer;
    let parts = [("comes from", &lineage.up), ("is where these come from", &lineage.down)];
    for (what, relatives) in parts {
        let Some(relatives) = relatives.as_ref().filter(|all| !all.is_empty()) else { continue };
        printer.line(format!("{} {what}:", lineage.synth.name))?;
        let mut table = Table::of([
            Column::cut("", 4),
            Column::number(""),
            Column::text(""),
            Column::cut("", 3),
        ]);
        for one in relatives {
            table.row(relative(&lineage.synth, relatives, one));
        }
        printer.table(&table)?;
    }
    Ok(())
}

fn relative(of: &NamedSynth, all: &[Relative], one: &Relative) -> [String; 4] {
    let near = all.iter().find(|other| other.id == one.of).map(|other| other.name.as_str());
    let near = near.unwrap_or(&of.name);
    let gone = if one.missing { ", gone" } else { "" };
    [
        format!("{}{}", "  ".repeat(one.depth.min(10)), one.name),
        one.weight.to_string(),
        short(&one.id).to_owned(),
        if one.depth > 1 { format!("by {near}{gone}") } else { gone.replace(", ", "") },
    ]
}
