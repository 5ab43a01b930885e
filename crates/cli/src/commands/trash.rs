//! `trash`: deleted songs, and how they come back.

use anyhow::Result;
use songrec_library::{
    Library,
    share::{self, Trashed},
};

use crate::{
    args::{TrashArgs, TrashCommand},
    context::Context,
    numbers::counted,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: TrashArgs) -> Result<ExitStatus> {
    let changes = matches!(args.command, Some(TrashCommand::Restore { .. }));
    let library = context.library_with_or_to_change(changes).await?;
    match args.command.unwrap_or(TrashCommand::List) {
        TrashCommand::List => list(context, &share::trash(&library).await?),
        TrashCommand::Restore { songs } => restore(context, &library, &songs).await,
    }
}

fn list(context: &Context, trashed: &[Trashed]) -> Result<ExitStatus> {
    let printer = &context.printer;
    let mut table = Table::of([Column::text(""), Column::cut("", 1), Column::text("")]);
    for one in trashed {
        if printer.json {
            printer.json(one)?;
            continue;
        }
        let deleted = format!("deleted {}", printer.time(one.deleted_at));
        table.row([one.song.short().to_string(), one.title.clone(), deleted]);
    }
    printer.table(&table)?;
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
