use anyhow::Result;
use songrec_library::{InitOptions, folder_name};
use songrec_sync::Direction;

use crate::{
    args::CloneArgs,
    commands::pair::{self, Libraries, wrong},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: CloneArgs) -> Result<ExitStatus> {
    let folder = folder_name(&args.dir);
    let shown = args.dir.display().to_string();
    let init = InitOptions { keep_copies: args.keep_copies };
    let libraries = Libraries::open_or_make(context, args.from.clone(), folder, init).await?;
    // The new library is the local one of the syncs to come, so it is at the
    // left here too.
    let libraries = libraries.swapped();
    // Before anything is copied: whatever cuts this off, a sync goes on.
    libraries.opened.left.remember_remote(&args.from)?;
    let mut options = pair::options(libraries.config())?;
    options.direction = Direction::Pull;
    // Where another library was before, nothing is remembered of it.
    options.adopt = libraries.is_new;
    if let Some(audio) = args.audio {
        options.audio = audio;
    }
    let interrupt = || context.job.interrupt.is_set();
    let syncer = libraries.syncer()?;
    let progress = &*context.job.progress;
    let done = syncer.run(&options, progress, &interrupt);
    let report = pair::watched(&syncer, progress, done).await.map_err(wrong)?;
    let printer = &context.printer;
    pair::print_report(printer, &libraries.names, &report)?;
    if report.is_complete() {
        printer.say(format!("in `{shown}`, `songrec sync` keeps both the same from now on"));
    }
    Ok(match report.interrupted {
        true => ExitStatus::Interrupted,
        false if report.failed.is_empty() => ExitStatus::Done,
        false => ExitStatus::SomeFailed,
    })
}
