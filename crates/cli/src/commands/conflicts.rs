//! `conflicts`: values that lost a merge.

use anyhow::Result;
use serde_json::{Value, json};
use songrec_core::Field;
use songrec_library::{
    Library,
    share::{self, Decision, SongConflicts},
};

use crate::{
    args::{ConflictsArgs, ConflictsCommand, Listed, RowArgs},
    commands::pair::shown,
    context::Context,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: ConflictsArgs) -> Result<ExitStatus> {
    let changes = matches!(args.command, Some(ConflictsCommand::Resolve { .. }));
    let library = context.library_with_or_to_change(changes).await?;
    match args.command {
        None => list(context, &library, &args.rows).await,
        Some(ConflictsCommand::List { rows }) => list(context, &library, &rows).await,
        Some(ConflictsCommand::Show { song }) => show(context, &library, &song).await,
        Some(ConflictsCommand::Resolve { song, field, take }) => {
            resolve(context, &library, &song, field, take).await
        }
    }
}

async fn list(
    context: &Context,
    library: &Library,
    rows: &RowArgs<impl Listed>,
) -> Result<ExitStatus> {
    let rows = Rows::of(&context.printer, rows, library)?;
    let songs = share::conflicts(library).await?;
    match rows {
        Some(mut rows) => {
            let lost = songs.iter().flat_map(each).collect::<Result<Vec<Value>>>()?;
            rows.print(&context.printer, &lost)?;
        }
        None => songs.iter().try_for_each(|song| print(context, song))?,
    }
    if songs.is_empty() {
        context.printer.nothing("no value lost a merge")?;
        return Ok(ExitStatus::FoundNothing);
    }
    context.printer.say(format!(
        "{} with values that lost a merge; `songrec conflicts resolve SONG [FIELD --take N]` decides",
        counted(songs.len() as u64, "song")
    ));
    Ok(ExitStatus::Done)
}

// A value that lost, with the song that it is of.
fn each(song: &SongConflicts) -> impl Iterator<Item = Result<Value>> {
    song.conflicts.iter().map(|one| {
        let mut document = serde_json::to_value(one)?;
        document["song"] = json!(song.song);
        document["title"] = json!(song.title);
        Ok(document)
    })
}

async fn show(context: &Context, library: &Library, named: &str) -> Result<ExitStatus> {
    let song = songrec_library::find::song(library, named).await?;
    let conflicts = share::conflicts_of(&song);
    print(context, &conflicts)?;
    if conflicts.conflicts.is_empty() {
        context.printer.say("no value of this song lost a merge");
        return Ok(ExitStatus::FoundNothing);
    }
    Ok(ExitStatus::Done)
}

async fn resolve(
    context: &Context,
    library: &Library,
    named: &str,
    field: Option<Field>,
    take: Option<usize>,
) -> Result<ExitStatus> {
    let song = songrec_library::find::song(library, named).await?;
    let song = match share::decide(library, &song, field.clone(), take).await? {
        Decision::Done(song) => song,
        Decision::Nothing => {
            let what = field.map_or_else(|| "this song".to_owned(), |field| format!("`{field}`"));
            context.printer.nothing(&format!("no value of {what} lost a merge"))?;
            return Ok(ExitStatus::FoundNothing);
        }
    };
    if context.printer.json {
        context.printer.json(&song)?;
    }
    context.printer.say("decided; the next sync tells the others");
    Ok(ExitStatus::Done)
}

fn print(context: &Context, song: &SongConflicts) -> Result<()> {
    let printer = &context.printer;
    if printer.json {
        return printer.json(song);
    }
    if song.conflicts.is_empty() {
        return Ok(());
    }
    printer.line(printer.bold(&format!("{}  {}", song.song.short(), song.title)))?;
    for (at, one) in song.conflicts.iter().enumerate() {
        let kept = match &one.shown {
            Some(value) => shown(Some(value)),
            None => "what the file says".to_owned(),
        };
        let other = shown(Some(&one.other));
        let lead = format!("    {}  ", at + 1);
        printer.paragraph(&lead, &format!("{}: {other}, in place of {kept}", one.field))?;
    }
    Ok(())
}
