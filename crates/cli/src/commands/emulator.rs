use anyhow::Result;
use serde_json::json;
use songrec_emulator::{DEFAULT_KEYSPACE, Limits, OpenError, Options, StartError, serve};
use songrec_library::{Error, ErrorKind, until_interrupted};

use crate::{
    args::EmulatorArgs,
    commands::listening::{address, token_in},
    context::Context,
    status::ExitStatus,
};

/// The password of `--user`: not a flag, because other users see those.
const PASSWORD: &str = "SONGREC_EMULATOR_PASSWORD";

pub(super) async fn run(context: &Context, args: EmulatorArgs) -> Result<ExitStatus> {
    let tokens = match &args.token_file {
        Some(path) => vec![token_in(path)?],
        None => Vec::new(),
    };
    let given = std::env::var(PASSWORD).ok().filter(|password| !password.is_empty());
    let is_known = !tokens.is_empty() || args.user.is_some() && given.is_some();
    let password = given.unwrap_or_else(|| songrec_core::OperationId::random().to_string());
    let users = args.user.iter().map(|name| (name.clone(), password.clone())).collect();
    let options = Options {
        address: address(&args.addr, "localhost:8181").await?,
        data: args.data.clone(),
        tokens,
        users,
        limits: limits(&args)?,
        rerank: args.rerank,
        late_estimates: !args.exact_estimates,
        delay: std::time::Duration::from_millis(args.delay),
        ..Options::default()
    };
    let printer = &context.printer;
    let interrupt = context.job.interrupt.clone();
    let stop = async move { until_interrupted(&interrupt).await };
    let ready = |emulator: &songrec_emulator::Emulator| {
        let token = (!is_known).then(|| emulator.token());
        // What a `.env` needs; nobody reading it is no reason to stop serving.
        if context.global.json {
            let _ = printer.json(&json!({
                "endpoint": emulator.url(),
                "token": token,
                "keyspace": DEFAULT_KEYSPACE,
            }));
        } else {
            let _ = printer.line(format!("ASTRA_DB_API_ENDPOINT={}", emulator.url()));
            if let Some(token) = token {
                let _ = printer.line(format!("ASTRA_DB_APPLICATION_TOKEN={token}"));
            }
        }
        let _ = printer.flush();
        printer.say("serving the Data API; put what stands above into `.env`, Ctrl-C ends it");
    };
    serve(options, ready, stop).await.map_err(failure)?;
    Ok(ExitStatus::Done)
}

fn limits(args: &EmulatorArgs) -> Result<Limits> {
    let mut limits = Limits::default();
    limits.page_size = args.page_size as usize;
    limits.collections = args.collections as usize;
    for written in &args.limits {
        let parsed = written.split_once('=').and_then(|(name, number)| {
            number.trim().parse::<usize>().ok().map(|number| (name.trim(), number))
        });
        let Some((name, number)) = parsed else {
            return Err(Error::usage(format_args!("`{written}` is no limit"))
                .with_hint("write NAME=NUMBER, such as `--limit insert-documents=20`")
                .into());
        };
        limits.set(name, number).map_err(|error| {
            Error::usage(error).with_hint("`songrec emulator --help` says where they are listed")
        })?;
    }
    Ok(limits)
}

fn failure(error: StartError) -> Error {
    let hint = match &error {
        StartError::Open(OpenError::InUse(_)) => "end the other emulator, or name another `--data`",
        StartError::Open(OpenError::Full(_)) => "make room on the disk, or name another `--data`",
        StartError::Open(OpenError::Format(..)) => "take the songrec that wrote it",
        StartError::Open(_) => "name an empty folder with `--data`, or restore a copy of this one",
        _ => "`--addr` takes another address, such as 127.0.0.1:0 for any free port",
    };
    Error::new(ErrorKind::Failed, "the emulator could not serve").because(error).with_hint(hint)
}
