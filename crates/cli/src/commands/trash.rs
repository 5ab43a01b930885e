use anyhow::Result;
use songrec_core::{Card, Song, SongId};
use songrec_library::{Error, Library, now};
use songrec_sync::Trashed;

use crate::{
    args::{TrashArgs, TrashCommand},
    commands::select::counted,
    context::Context,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: TrashArgs) -> Result<ExitStatus> {
    let changes = matches!(args.command, Some(TrashCommand::Restore { .. }));
    let library = context.library_with_or_to_change(changes).await?;
    let trashed = songrec_sync::trash(library.backend()).await.map_err(Error::from)?;
    match args.command.unwrap_or(TrashCommand::List) {
        TrashCommand::List => list(context, &trashed),
        TrashCommand::Restore { songs } => restore(context, &library, &trashed, &songs).await,
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

async fn restore(
    context: &Context,
    library: &Library,
    trashed: &[Trashed],
    named: &[String],
) -> Result<ExitStatus> {
    let mut ids: Vec<SongId> = Vec::new();
    for name in named {
        match find(trashed, name) {
            Ok(id) => ids.push(id),
            // A restore that was cut off can be done again.
            Err(error) => match there(library, name).await {
                Some(song) => {
                    library.tell_again(&[song]).await?;
                    context.printer.say(format!("`{name}` is there already"));
                }
                None => return Err(error),
            },
        }
    }
    let restored =
        songrec_sync::restore(library.backend(), &ids, now()).await.map_err(Error::from)?;
    if context.printer.json {
        context.printer.json(&serde_json::json!({ "restored": restored }))?;
    } else {
        restored.iter().try_for_each(|id| context.printer.line(id.to_string()))?;
    }
    context.printer.say(format!("restored {}", counted(restored.len() as u64, "song")));
    Ok(if restored.len() == ids.len() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

// The deleted song that a person means: by id, the beginning of one, or title.
fn find(trashed: &[Trashed], name: &str) -> Result<SongId> {
    let found: Vec<&Trashed> = trashed
        .iter()
        .filter(|one| one.song.to_string().starts_with(name) || one.title == name)
        .collect();
    match found.as_slice() {
        [one] => Ok(one.song),
        [] => Err(Error::not_found(format_args!("no deleted song is called `{name}`"))
            .with_hint("`songrec trash` lists those that can be restored")
            .into()),
        several => Err(Error::usage(format_args!(
            "`{name}` may be any of {} deleted songs",
            several.len()
        ))
        .with_hint("name it by more of its id")
        .into()),
    }
}

// The song of the library that a name means which is no deleted song's, if it
// is its id or title.
async fn there(library: &Library, name: &str) -> Option<Song> {
    let song = library.song(name).await.ok()?;
    (song.id.to_string().starts_with(name) || Card::of(&song).title == name).then_some(song)
}
