//! `backup`: everything of a library in one file.

use std::path::Path;

use anyhow::Result;
use songrec_library::{BackedUp, BackupOptions, Error, backup, backup_to_file};

use crate::{
    args::BackupArgs,
    context::Context,
    numbers::{counted, size},
    status::ExitStatus,
    terminal,
};

pub(super) async fn run(context: &Context, args: BackupArgs) -> Result<ExitStatus> {
    let printer = &context.printer;
    let to_stdout = args.file == Path::new("-");
    if to_stdout && printer.json {
        return Err(Error::usage("`-` is where the backup goes, so `--json` cannot go there")
            .with_hint("name a file, or leave `--json` out")
            .into());
    }
    if to_stdout && terminal::out_is_terminal() {
        return Err(Error::usage("a backup is nothing that a terminal can show")
            .with_hint("name a file, or write `songrec backup - | …`")
            .into());
    }
    let config = context.config([])?;
    context.say_which(config.chosen());
    let library = context.library_with(config).await?;
    let options = BackupOptions { audio: args.audio };
    let done = match to_stdout {
        true => backup(&library, Box::new(terminal::bytes_out()), &options, &context.job).await?,
        false => backup_to_file(&library, &args.file, args.force, &options, &context.job).await?,
    };
    if printer.json {
        printer.json(&done)?;
    }
    for one in &done.left_out {
        printer.warn(format!("left out {}: {}", one.subject, one.reason));
    }
    let place = match to_stdout {
        true => "stdout".to_owned(),
        false => format!("`{}`", args.file.display()),
    };
    printer.say(format!("wrote {} to {place}, {}", in_words(&done, args.audio), size(done.bytes)));
    if done.without_audio > 0 {
        let songs = counted(done.without_audio, "song");
        printer.warn(format!("the audio of {songs} cannot be reached, and is not in it"));
    }
    let is_complete = done.left_out.is_empty() && done.without_audio == 0;
    Ok(if is_complete { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

fn in_words(done: &BackedUp, audio: bool) -> String {
    let mut words = super::restore::in_words(&done.contents);
    if audio {
        words += &format!(", {} of audio", size(done.audio_bytes));
    }
    words
}
