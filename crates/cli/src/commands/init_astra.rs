use anyhow::Result;
use songrec_library::{Library, keys};

use crate::{args::InitAstraArgs, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: InitAstraArgs) -> Result<ExitStatus> {
    let keyspace = args.keyspace.map(|name| (keys::ASTRA_KEYSPACE.setting(), name, "--keyspace"));
    let config = context.config(keyspace)?;
    let report = Library::init_astra(&config, args.check).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&report)?;
    } else {
        for part in &report.parts {
            printer.line(part.to_string())?;
        }
    }
    if report.is_complete() {
        if !args.check {
            printer.say("next: `songrec --storage-backend astra scan PATH` takes in audio files");
        }
        return Ok(ExitStatus::Done);
    }
    printer.say(if args.check {
        "not everything is there: `songrec init-astra` makes what is missing"
    } else {
        "not everything could be made; what is different has to be changed or removed by hand"
    });
    Ok(if args.check { ExitStatus::FoundNothing } else { ExitStatus::Corrupt })
}
