use anyhow::Result;
use songrec_core::Card;
use songrec_library::{AudioFiles, Error, ErrorKind};

use crate::{
    args::RmArgs,
    ask::confirm,
    commands::select::{self, counted},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: RmArgs) -> Result<ExitStatus> {
    let mut chosen = args.filter.chosen(&[])?;
    if args.missing {
        chosen.missing = Some(true);
    }
    let library = context.library().await?;
    let songs = select::songs(&library, &args.songs, &chosen).await?;
    let printer = &context.printer;
    if songs.is_empty() {
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
        true => library.audio_files(&songs)?,
        false => AudioFiles::default(),
    };
    // The list is what the question is about; in JSON it is the answer.
    let asks = args.delete_audio || args.songs.is_empty();
    if args.dry_run || (asks && !args.yes && !printer.json) {
        select::print(printer, &songs.iter().map(Card::of).collect::<Vec<_>>())?;
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
        printer.say(format!("{what} would be forgotten"));
        return Ok(ExitStatus::Done);
    }
    let question = match files.own.len() {
        0 if chosen.missing == Some(true) => {
            format!("forget {what}? Files look gone, too, if their disk is not there")
        }
        0 => format!("forget {what}?"),
        count => format!("forget {what} and DELETE {}?", counted(count as u64, "audio file")),
    };
    if asks && !confirm(&question, args.yes)? {
        printer.say("nothing was forgotten");
        return Ok(ExitStatus::Done);
    }
    let removed = library.remove(&songs, args.delete_audio).await?;
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
