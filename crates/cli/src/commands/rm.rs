use anyhow::Result;
use songrec_core::{Song, SongSummary};
use songrec_library::{
    AudioFiles, Error, ErrorKind, Library, Removed,
    find::{self, Selection},
};

use crate::{
    args::RmArgs, ask::confirm, commands::select, context::Context, numbers::counted,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: RmArgs) -> Result<ExitStatus> {
    let library = context.library_to_change_with(context.config([])?, !args.dry_run).await?;
    let mut selection = args.filter.selection(&context.job, &library, &[]).await?;
    if args.missing {
        selection.missing = Some(true);
    }
    let printer = &context.printer;
    let (songs, gone) = select_songs(context, &library, &args.songs, &selection).await?;
    if songs.is_empty() && gone.is_empty() {
        printer.nothing("no song passes; nothing was forgotten")?;
        return Ok(ExitStatus::FoundNothing);
    }
    let what = counted(songs.len() as u64, "song");
    if let Some(most) = args.max_delete.filter(|most| songs.len() > *most) {
        return Err(Error::new(
            ErrorKind::Guard,
            format_args!("{what} would be forgotten, more than {most}"),
        )
        .with_hint("nothing was changed; raise `--max-delete` if this is meant")
        .into());
    }
    let files = match args.delete_audio {
        true => {
            songrec_library::audio_files(&library, &[songs.as_slice(), gone.as_slice()].concat())?
        }
        false => AudioFiles::default(),
    };
    if songs.is_empty() && files.own.is_empty() {
        if printer.json {
            printer.json(&Removed::default())?;
        }
        printer.say("nothing is left to forget");
        return Ok(ExitStatus::Done);
    }
    // The list is what the question is about; in JSON it is the answer.
    let asks = args.delete_audio || args.songs.is_empty();
    if args.dry_run || (asks && !args.yes && !printer.json) {
        select::print(printer, &songs.iter().map(SongSummary::of).collect::<Vec<_>>())?;
        printer.flush()?;
    }
    for path in &files.own {
        printer.say(format!(
            "{} {}",
            if args.dry_run { "would delete" } else { "to delete:" },
            path.display()
        ));
    }
    for (path, why) in &files.others {
        printer.warn(format!("`{}` stays: {why}", path.display()));
    }
    if args.dry_run {
        let would = format!("{what} would be forgotten");
        match songs.is_empty() {
            true => printer.nothing(&would)?,
            false => printer.say(would),
        }
        return Ok(ExitStatus::Done);
    }
    let question = match files.own.len() {
        0 if selection.missing == Some(true) => {
            format!("forget {what}? Files look gone, too, if their disk is not there")
        }
        0 => format!("forget {what}?"),
        count => format!("forget {what} and DELETE {}?", counted(count as u64, "audio file")),
    };
    if asks && !confirm(&question, args.yes)? {
        printer.nothing("nothing was forgotten")?;
        return Ok(ExitStatus::Done);
    }
    let mut removed = songrec_library::remove(&library, &songs, args.delete_audio).await?;
    if args.delete_audio {
        songrec_library::delete_audio_of(&library, &gone, &mut removed)?;
    }
    if printer.json {
        printer.json(&removed)?;
    } else {
        for song in &songs {
            printer.line(song.id.to_string())?;
        }
    }
    printer.say(format!("forgot {}", counted(removed.songs as u64, "song")));
    if !removed.deleted_files.is_empty() {
        printer
            .say(format!("deleted {}", counted(removed.deleted_files.len() as u64, "audio file")));
    }
    for (path, why) in &removed.failed_files {
        printer.warn(format!("could not delete `{}`: {why}", path.display()));
    }
    Ok(if removed.failed_files.is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

// The songs to forget, and those that are forgotten already: an `rm` that was
// cut off can be done again.
async fn select_songs(
    context: &Context,
    library: &Library,
    names: &[String],
    selection: &Selection,
) -> Result<(Vec<Song>, Vec<Song>)> {
    let mut gone = Vec::new();
    let missing = match find::select(library, names, selection).await {
        Ok(songs) => return Ok((songs, gone)),
        Err(error) => error,
    };
    if missing.kind() != ErrorKind::NotFound {
        return Err(missing.into());
    }
    let mut there = Vec::new();
    for (name, forgotten) in names.iter().zip(songrec_library::forgotten(library, names).await?) {
        match (songrec_library::find::song(library, name).await, forgotten) {
            (Err(error), Some(song)) if error.kind() == ErrorKind::NotFound => {
                context.printer.say(format!("`{name}` is forgotten already"));
                gone.push(song);
            }
            // What is wrong with one name is said before anything is changed.
            (found, _) => there.push(found.map(|_| name.clone())?),
        }
    }
    if there.is_empty() {
        return Ok((Vec::new(), gone));
    }
    Ok((find::select(library, &there, selection).await?, gone))
}
