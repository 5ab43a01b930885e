use std::path::Path;

use anyhow::Result;
use songrec_library::{Error, ExportFormat, TableOptions, export_table};

use crate::{
    args::ExportArgs, commands::select, context::Context, numbers::counted, status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: ExportArgs) -> Result<ExitStatus> {
    let library = context.library_with(context.config([])?).await?;
    let filter = args.filter.filter(&context.job, &library, &[]).await?;
    let mut models = Vec::with_capacity(args.models.len());
    for name in &args.models {
        models.extend(select::model(&library, Some(name)).await?);
    }
    if args.format.is_some() && args.to == Path::new("-") {
        return Err(Error::usage("a format is written to a file, and `-` is none")
            .with_hint("name a file; `songrec ls --tsv` prints songs for other programs")
            .into());
    }
    let exported = match args.format {
        None => songrec_library::export(&library, &args.to, &filter, &models, &context.job).await?,
        Some(format) => {
            if models.len() > 1 {
                return Err(Error::usage(format!("a file of `{format}` is of one model"))
                    .with_hint("name one `--model`")
                    .into());
            }
            let model = models.pop();
            let options = TableOptions { format, model, replace: args.force };
            export_table(&library, &args.to, &filter, &options, &context.job).await?
        }
    };
    let printer = &context.printer;
    if printer.json {
        printer.json(&exported)?;
    }
    if exported.interrupted {
        printer.say("interrupted; run the same command to begin again");
        return Ok(ExitStatus::Interrupted);
    }
    let mut wrote = counted(exported.songs, "song");
    if exported.embeddings > 0 || args.format.is_none() {
        wrote.push_str(&format!(" and {}", counted(exported.embeddings, "embedding")));
    }
    printer.say(format!("wrote {wrote} to `{}`", args.to.display()));
    if exported.left_out > 0 && args.format.is_some() {
        let what = match args.format.is_some_and(ExportFormat::is_of_vectors) {
            true => "have no such vector",
            false => "have no file, or could not be read",
        };
        let songs = counted(exported.left_out, "song");
        printer.warn(format!("{songs} {what}, and are left out"));
        return Ok(ExitStatus::SomeFailed);
    }
    if exported.left_out > 0 {
        printer.warn(format!(
            "{} could not be read and left out; `songrec verify` names them",
            counted(exported.left_out, "song")
        ));
        return Ok(ExitStatus::SomeFailed);
    }
    Ok(if exported.songs == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
