use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{args::GcArgs, ask::confirm, context::Context, numbers::size, status::ExitStatus};

const DAY: Duration = Duration::from_hours(24);

pub(super) async fn run(context: &Context, args: GcArgs) -> Result<ExitStatus> {
    let library = context.library_with_or_to_change(!args.dry_run).await?;
    let printer = &context.printer;
    // A bucket does not say whose audio it keeps.
    let question = "remove what no song of this library names, also if it belongs to another \
                    library in the same bucket?";
    let is_shared = library.is_remote();
    if is_shared && !args.dry_run && !confirm(question, args.yes)? {
        printer.nothing("nothing was removed")?;
        return Ok(ExitStatus::Done);
    }
    let age = DAY * args.older_than;
    let collected = match args.dry_run {
        true => songrec_library::find_garbage(&library, age, &context.job).await?,
        false => songrec_library::collect_garbage(&library, age, &context.job).await?,
    };
    let status = match context.job.is_interrupted() {
        true => ExitStatus::Interrupted,
        false => ExitStatus::Done,
    };
    if printer.json {
        let count = if args.dry_run { "would_remove" } else { "removed" };
        printer.json(&json!({ count: collected.objects, "bytes": collected.bytes }))?;
        return Ok(status);
    }
    let (size, done) =
        (size(collected.bytes), if args.dry_run { "would remove" } else { "removed" });
    printer.line(match collected.objects {
        0 => "there was nothing to remove".to_owned(),
        1 => format!("{done} 1 embedding or copy of audio, {size}"),
        objects => format!("{done} {objects} embeddings and copies of audio, {size}"),
    })?;
    Ok(status)
}
