use anyhow::Result;

use crate::{args::ExportArgs, context::Context, numbers::counted, status::ExitStatus};

pub(super) async fn run(context: &Context, args: ExportArgs) -> Result<ExitStatus> {
    let library = context.library_with(context.config([])?).await?;
    let filter = args.filter.filter(&context.job, &library, &[]).await?;
    let exported =
        songrec_library::export(&library, &args.dir, &filter, &args.models, &context.job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&exported)?;
    }
    if exported.interrupted {
        printer.say("interrupted; run the same command to begin again");
        return Ok(ExitStatus::Interrupted);
    }
    printer.say(format!(
        "wrote {} and {} to `{}`",
        counted(exported.songs, "song"),
        counted(exported.embeddings, "embedding"),
        args.dir.display()
    ));
    if exported.left_out > 0 {
        printer.warn(format!(
            "{} could not be read and left out; `songrec verify` names them",
            counted(exported.left_out, "song")
        ));
        return Ok(ExitStatus::SomeFailed);
    }
    Ok(if exported.songs == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
