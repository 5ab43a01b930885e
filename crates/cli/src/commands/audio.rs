//! `audio`: the copies of audio that libraries keep.

use anyhow::Result;
use songrec_core::Song;
use songrec_library::{
    Library, find,
    share::{KeptAudio, drop_audio, keep_audio},
};

use crate::{
    args::{AudioArgs, AudioCommand},
    ask::confirm,
    context::Context,
    numbers::{counted, size},
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: AudioArgs) -> Result<ExitStatus> {
    let library = context.library_with_or_to_change(true).await?;
    let printer = &context.printer;
    match args.command {
        AudioCommand::Rm { songs, yes } => {
            let songs = find::songs(&library, &songs).await?;
            let only = songs.iter().filter(|song| !is_here(&library, song)).count() as u64;
            let what = counted(songs.len() as u64, "song");
            let question = match only {
                0 => format!("let go of the copies of the audio of {what}?"),
                only => format!(
                    "let go of the copies of the audio of {what}? Of {} there is no file on this \
                     machine: a copy may be all that is left",
                    counted(only, "song")
                ),
            };
            if !confirm(&question, yes)? {
                printer.nothing("nothing was changed")?;
                return Ok(ExitStatus::Done);
            }
            let done = drop_audio(&library, &songs).await?;
            tell(context, &done)?;
            let bytes = size(done.bytes);
            printer.say(match done.songs.len() as u64 {
                0 => "no copies are kept of them already".to_owned(),
                songs => format!(
                    "{} without a copy now; `songrec gc` removes {bytes} once they are a day old",
                    counted(songs, "song")
                ),
            });
        }
        AudioCommand::Keep { songs } => {
            let songs = find::songs(&library, &songs).await?;
            let done = keep_audio(&library, &songs).await?;
            tell(context, &done)?;
            let songs = counted(done.songs.len() as u64, "song");
            printer.say(format!(
                "libraries that keep copies of audio store that of {songs} again, by the next scan \
                 or sync"
            ));
        }
    }
    Ok(ExitStatus::Done)
}

fn tell(context: &Context, done: &KeptAudio) -> Result<()> {
    match context.printer.json {
        true => context.printer.json(done),
        false => done.songs.iter().try_for_each(|id| context.printer.line(id.to_string())),
    }
}

fn is_here(library: &Library, song: &Song) -> bool {
    song.files.iter().any(|file| {
        let path = library.file_path(&file.path);
        path.metadata().is_ok_and(|there| there.is_file() && there.len() == file.size)
    })
}
