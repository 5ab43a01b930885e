use anyhow::Result;
use serde_json::Value;
use songrec_core::{Field, SongId};
use songrec_library::{Error, Library, now};
use songrec_sync::SongConflicts;

use crate::{
    args::{ConflictsArgs, ConflictsCommand},
    commands::{pair::shown, select::counted},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: ConflictsArgs) -> Result<ExitStatus> {
    let changes = matches!(args.command, Some(ConflictsCommand::Resolve { .. }));
    let library = context.library_with_or_to_change(changes).await?;
    match args.command {
        None => list(context, &library).await,
        Some(ConflictsCommand::Show { song }) => show(context, &library, &song).await,
        Some(ConflictsCommand::Resolve { song, field, take }) => {
            resolve(context, &library, &song, field, take).await
        }
    }
}

async fn list(context: &Context, library: &Library) -> Result<ExitStatus> {
    let songs = songrec_sync::conflicts(library.backend()).await.map_err(Error::from)?;
    for song in &songs {
        print(context, song)?;
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

async fn show(context: &Context, library: &Library, named: &str) -> Result<ExitStatus> {
    let song = library.song(named).await?;
    let conflicts = songrec_sync::conflicts_of(&song);
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
    let song = library.song(named).await?;
    let SongConflicts { conflicts, .. } = songrec_sync::conflicts_of(&song);
    let mut fields: Vec<Field> = conflicts.iter().map(|one| one.field.clone()).collect();
    fields.sort();
    fields.dedup();
    if let Some(field) = field {
        if !fields.contains(&field) {
            // Also what a run that was cut off has decided already.
            context.printer.nothing(&format!("no value of `{field}` lost a merge"))?;
            return Ok(ExitStatus::FoundNothing);
        }
        fields = vec![field];
    }
    let taken: Option<Value> = match take {
        None => None,
        Some(number) => {
            let of_field: Vec<_> = conflicts
                .iter()
                .enumerate()
                .filter(|(_, one)| fields.contains(&one.field))
                .collect();
            let found = of_field.iter().find(|(at, _)| at + 1 == number);
            let Some((_, conflict)) = found else {
                return Err(Error::usage(format_args!(
                    "there is no value {number} of `{}`",
                    fields[0]
                ))
                .with_hint(format_args!("`songrec conflicts show {named}` counts them"))
                .into());
            };
            Some(conflict.other.clone())
        }
    };
    if fields.is_empty() {
        context.printer.nothing("no value of this song lost a merge")?;
        return Ok(ExitStatus::FoundNothing);
    }
    for field in &fields {
        decide(library, song.id, field, taken.as_ref()).await?;
    }
    let song = library.song(&song.id.to_string()).await?;
    if context.printer.json {
        context.printer.json(&song)?;
    }
    context.printer.say("decided; the next sync tells the others");
    Ok(ExitStatus::Done)
}

async fn decide(
    library: &Library,
    song: SongId,
    field: &Field,
    taken: Option<&Value>,
) -> Result<()> {
    songrec_sync::resolve_conflict(library.backend(), song, field, taken, now())
        .await
        .map_err(Error::from)?;
    Ok(())
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
