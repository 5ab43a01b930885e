//! `clone`: a new library with everything that another one has.

use anyhow::Result;
use songrec_library::{
    InitOptions, folder_name,
    share::{Libraries, pull_clone},
};

use crate::{
    args::CloneArgs,
    commands::{pair, sync::ended},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: CloneArgs) -> Result<ExitStatus> {
    let (printer, job) = (&context.printer, &context.job);
    let folder = folder_name(&args.dir);
    let init = InitOptions { keep_copies: args.keep_copies };
    let config = context.config([])?;
    let libraries =
        Libraries::open_clone(config, args.from, folder, init, job.progress.clone()).await?;
    pair::say_if_new(printer, &libraries, &libraries.names().left);
    let mut report = pull_clone(&libraries, args.audio, job).await?;
    pair::print_report(printer, libraries.names(), &mut report)?;
    if report.is_complete() {
        let folder = args.dir.display();
        printer.say(format!("in `{folder}`, `songrec sync` keeps both the same from now on"));
    }
    Ok(ended(&report))
}
