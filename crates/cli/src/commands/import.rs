use anyhow::Result;

use crate::{args::ImportArgs, commands::select::counted, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: ImportArgs) -> Result<ExitStatus> {
    let library = context.library().await?;
    let imported = library
        .import(&args.dir, args.model.as_ref(), &context.interrupt, &*context.progress)
        .await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&imported)?;
    } else {
        for (what, why) in &imported.failed {
            printer.warn(format!("left out `{what}`: {why}"));
        }
        printer.say(format!(
            "{} added, {} completed, {} there already",
            counted(imported.added, "song"),
            imported.completed,
            imported.already_there
        ));
    }
    if imported.interrupted {
        printer.say("interrupted; run the same command to go on");
        return Ok(ExitStatus::Interrupted);
    }
    Ok(if imported.failed.is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}
