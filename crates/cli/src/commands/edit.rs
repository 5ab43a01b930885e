use anyhow::Result;
use songrec_core::{Field, SongSummary};
use songrec_library::{EditChange, Error, find};

use crate::{
    args::EditArgs, ask::confirm, commands::select, context::Context, numbers::counted,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: EditArgs) -> Result<ExitStatus> {
    let changes = changes(&args)?;
    let library = context.library_to_change_with(context.config([])?, !args.dry_run).await?;
    let selection = args.filter.selection(&context.job, &library, &[]).await?;
    let songs = find::select(&library, &args.songs, &selection).await?;
    if songs.is_empty() {
        context.printer.nothing("no song passes; nothing was changed")?;
        return Ok(ExitStatus::FoundNothing);
    }
    // One wrong value must not leave half of the songs changed.
    let mut probe = songs[0].edits.clone();
    for change in &changes {
        if let EditChange::Set(field, text) = change {
            probe.set(field.clone(), Some(text)).map_err(Error::usage)?;
        }
    }
    let what = counted(songs.len() as u64, "song");
    if args.dry_run {
        select::print(&context.printer, &songs.iter().map(SongSummary::of).collect::<Vec<_>>())?;
        context.printer.say(format!("{what} would be changed"));
        return Ok(ExitStatus::Done);
    }
    let several = args.songs.is_empty() && songs.len() > 1;
    if several && !confirm(&format!("change {what}?"), args.yes)? {
        context.printer.nothing("nothing was changed")?;
        return Ok(ExitStatus::Done);
    }
    for (number, song) in songs.iter().enumerate() {
        if context.job.is_interrupted() {
            let said = format!("interrupted; {number} of {what} were changed");
            context.printer.interrupted(&said)?;
            return Ok(ExitStatus::Interrupted);
        }
        let edited = songrec_library::edit(&library, song.id, &changes).await?;
        if context.printer.json {
            context.printer.json(&edited)?;
        } else {
            context.printer.line(edited.id.to_string())?;
        }
    }
    context.printer.say(format!("changed {what}"));
    Ok(ExitStatus::Done)
}

fn changes(args: &EditArgs) -> Result<Vec<EditChange>> {
    let field = |name: &str| name.parse::<Field>().map_err(Error::usage);
    let mut changes = Vec::new();
    for text in &args.set {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Error::usage(format_args!("`{text}` is not `FIELD=VALUE`"))
                .with_hint("such as `--set title=Kick`")
        })?;
        changes.push(EditChange::Set(field(name.trim())?, value.to_owned()));
    }
    for name in &args.clear {
        changes.push(EditChange::Clear(field(name)?));
    }
    for name in &args.reset {
        changes.push(EditChange::Reset(field(name)?));
    }
    if changes.is_empty() {
        return Err(Error::usage("there is nothing to change")
            .with_hint("`--set FIELD=VALUE`, `--clear FIELD` or `--reset FIELD`")
            .into());
    }
    Ok(changes)
}
