//! `--play` and `--open` of lists of songs.

use anyhow::Result;
use songrec_core::SongId;
use songrec_library::{Library, Opened, play, show_files};

use crate::{args::ListenArgs, context::Context, numbers::counted, terminal::for_programs};

/// Does with the songs of a list what was asked for: has them played, or their folders
/// shown. Does nothing with a list of none.
pub(super) async fn listen(
    context: &Context,
    library: &Library,
    args: &ListenArgs,
    songs: &[SongId],
) -> Result<()> {
    if songs.is_empty() || !(args.play || args.open) {
        return Ok(());
    }
    // What was listed is read while it plays.
    context.printer.flush()?;
    if args.open {
        let opened = show_files(library, songs, for_programs, &context.job).await?;
        say(context, &opened, "opened", "folder");
    }
    if args.play {
        let opened = play(library, songs, for_programs, &context.job).await?;
        say(context, &opened, "played", "file");
    }
    Ok(())
}

fn say(context: &Context, opened: &Opened, done: &str, what: &str) {
    context.printer.say(format!("{done} {}", counted(opened.paths.len() as u64, what)));
    if !opened.absent.is_empty() {
        let songs = counted(opened.absent.len() as u64, "song");
        context.printer.warn(format!("the audio of {songs} is not on this machine"));
    }
}
