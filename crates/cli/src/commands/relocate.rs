use anyhow::Result;
use songrec_library::RelocateOptions;

use crate::{args::RelocateArgs, context::Context, numbers::counted, status::ExitStatus};

pub(super) async fn run(context: &Context, args: RelocateArgs) -> Result<ExitStatus> {
    let library = context.library_to_change_with(context.config([])?, !args.dry_run).await?;
    let options = RelocateOptions {
        from: args.from.clone(),
        to: args.to,
        by_size: args.by_size,
        dry_run: args.dry_run,
    };
    let relocated = songrec_library::relocate(&library, &options, &context.job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&relocated)?;
    } else {
        for path in &relocated.not_found {
            printer.warn(format!("`{path}` was not found at its new place, and keeps its path"));
        }
        let verb = if args.dry_run { "would follow" } else { "followed" };
        printer.say(format!("{verb} {}", counted(relocated.relocated, "file")));
    }
    if relocated.interrupted {
        printer.say("interrupted; run the same command to go on");
        return Ok(ExitStatus::Interrupted);
    }
    Ok(match (relocated.relocated, relocated.not_found.len()) {
        (_, 1..) => ExitStatus::SomeFailed,
        (0, 0) => {
            printer.say(format!("no song has a file in `{}`", args.from.display()));
            ExitStatus::FoundNothing
        }
        _ => ExitStatus::Done,
    })
}
