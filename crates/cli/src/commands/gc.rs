use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{
    args::GcArgs, ask::confirm, commands::select::size, context::Context, status::ExitStatus,
};

const DAY: Duration = Duration::from_hours(24);

pub(super) async fn run(context: &Context, args: GcArgs) -> Result<ExitStatus> {
    let library = context.library().await?;
    let printer = &context.printer;
    // A bucket does not say whose audio it keeps.
    let question = "remove what no song of this library names, also if it belongs to another \
                    library in the same bucket?";
    if library.backend().capabilities().remote && !confirm(question, args.yes)? {
        printer.say("nothing was removed");
        return Ok(ExitStatus::Done);
    }
    let swept = library.sweep(DAY * args.older_than).await?;
    if printer.json {
        printer.json(&json!({"removed": swept.facts, "bytes": swept.bytes}))?;
    } else {
        let size = size(swept.bytes);
        printer.line(match swept.facts {
            0 => "there was nothing to remove".to_owned(),
            1 => format!("removed 1 embedding or copy of audio, {size}"),
            facts => format!("removed {facts} embeddings and copies of audio, {size}"),
        })?;
    }
    Ok(ExitStatus::Done)
}
