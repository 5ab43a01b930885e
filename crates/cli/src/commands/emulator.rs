use anyhow::Result;
use songrec_emulator::{Options, serve};
use songrec_library::{Error, ErrorKind};

use crate::{args::EmulatorArgs, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: EmulatorArgs) -> Result<ExitStatus> {
    let tokens = match &args.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::io("read the token in", path, error))?;
            vec![text.trim().to_owned()]
        }
        None => Vec::new(),
    };
    let token_is_known = !tokens.is_empty();
    let options = Options { address: args.addr, data: args.data, tokens, ..Options::default() };
    let printer = &context.printer;
    let interrupt = context.interrupt.clone();
    let stop = async move { interrupt.wait().await };
    let ready = |emulator: &songrec_emulator::Emulator| {
        let mut settings = vec![format!("ASTRA_DB_API_ENDPOINT={}", emulator.url())];
        if !token_is_known {
            settings.push(format!("ASTRA_DB_APPLICATION_TOKEN={}", emulator.token()));
        }
        // What a `.env` needs; nobody reading it is no reason to stop serving.
        for line in settings {
            let _ = printer.line(line);
        }
        let _ = printer.flush();
        printer.say("serving the Data API; put the lines above into `.env`, Ctrl-C ends it");
    };
    serve(options, ready, stop).await.map_err(|error| {
        Error::new(ErrorKind::Failed, "the emulator could not serve")
            .because(error)
            .with_hint("`--addr` takes another address, `--data` another folder")
    })?;
    Ok(ExitStatus::Done)
}
