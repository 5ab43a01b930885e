//! `trash`: deleted songs, how they come back, and how they are forgotten.

use std::time::Duration;

use anyhow::Result;
use songrec_library::{Library, share};

use crate::{
    args::{Listed, RowArgs, TrashArgs, TrashCommand},
    ask::confirm,
    context::Context,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: TrashArgs) -> Result<ExitStatus> {
    let changes = matches!(
        args.command,
        Some(TrashCommand::Restore { .. } | TrashCommand::Empty { dry_run: false, .. })
    );
    let library = context.library_with_or_to_change(changes).await?;
    match args.command.unwrap_or(TrashCommand::List { rows: args.rows }) {
        TrashCommand::List { rows } => list(context, &library, &rows).await,
        TrashCommand::Restore { songs } => restore(context, &library, &songs).await,
        TrashCommand::Empty { older_than, dry_run, yes } => {
            empty(context, &library, older_than, (dry_run, yes)).await
        }
    }
}

async fn list(
    context: &Context,
    library: &Library,
    rows: &RowArgs<impl Listed>,
) -> Result<ExitStatus> {
    let printer = &context.printer;
    let rows = Rows::of(printer, rows, library)?;
    let trashed = share::trash(library).await?;
    let mut table = Table::of([Column::text(""), Column::cut("", 1), Column::text("")]);
    for one in &trashed {
        if printer.json {
            printer.json(one)?;
            continue;
        }
        let deleted = format!("deleted {}", printer.time(one.deleted_at));
        table.row([one.song.short().to_string(), one.title.clone(), deleted]);
    }
    match rows {
        Some(mut rows) => rows.print(printer, &trashed)?,
        None => printer.table(&table)?,
    }
    if trashed.is_empty() {
        printer.nothing("no deleted song can be restored")?;
        return Ok(ExitStatus::FoundNothing);
    }
    printer.say(format!(
        "{} can be restored: `songrec trash restore SONG`",
        counted(trashed.len() as u64, "deleted song")
    ));
    Ok(ExitStatus::Done)
}

async fn empty(
    context: &Context,
    library: &Library,
    older_than: Duration,
    (dry_run, yes): (bool, bool),
) -> Result<ExitStatus> {
    let printer = &context.printer;
    let there = share::empty_trash(library, older_than, true).await?;
    let songs = counted(there.emptied, "deleted song");
    let question = format!("forget {songs} for good? They cannot be restored any more");
    let asks = there.emptied > 0 && !dry_run;
    if asks && !confirm(&question, yes)? {
        printer.nothing("nothing was forgotten")?;
        return Ok(ExitStatus::Done);
    }
    let done = match asks {
        true => share::empty_trash(library, older_than, false).await?,
        false => there,
    };
    if printer.json {
        let mut document = serde_json::to_value(done)?;
        document["dry_run"] = dry_run.into();
        printer.json(&document)?;
    } else {
        let songs = counted(done.emptied, "deleted song");
        printer.line(match dry_run {
            true => format!("would forget {songs} for good"),
            false => format!("forgot {songs} for good"),
        })?;
    }
    if done.waiting > 0 {
        let songs = counted(done.waiting, "deleted song");
        printer.say(format!(
            "{songs} kept: this library is synced with others, and their deletion has to reach every \
             machine; `songrec machines` lists them. Syncs forget it by themselves after 30 days"
        ));
    }
    if done.emptied > 0 && !dry_run {
        printer.say("`songrec gc` removes what only they named");
    }
    Ok(if done.emptied + done.waiting == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

async fn restore(context: &Context, library: &Library, named: &[String]) -> Result<ExitStatus> {
    let printer = &context.printer;
    let restored = share::restore(library, named).await?;
    for name in &restored.there_already {
        printer.say(format!("`{name}` is there already"));
    }
    if printer.json {
        printer.json(&serde_json::json!({ "restored": restored.songs }))?;
    } else {
        restored.songs.iter().try_for_each(|id| printer.line(id.to_string()))?;
    }
    printer.say(format!("restored {}", counted(restored.songs.len() as u64, "song")));
    Ok(if restored.is_complete() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}
