//! What is logged, and where to.

use std::{fs::File, sync::Mutex};

use anyhow::Result;
use songrec_library::Error;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{args::GlobalArgs, terminal};

/// Begins to log: warnings always, requests with `-v`, everything with `-vv`;
/// `SONGREC_LOG` says it more finely.
pub(crate) fn begin(global: &GlobalArgs) -> Result<()> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "songrec=debug,songrec_astra=debug,info",
        (false, _) => "debug",
    };
    let filter = match std::env::var("SONGREC_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text)
            .map_err(|error| Error::usage("`SONGREC_LOG` is wrong").because(error))?,
        _ => EnvFilter::new(level),
    };
    let file = match &global.log_file {
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            Some(file.map_err(|error| Error::io("write the log", path, error))?)
        }
        None => None,
    };
    let to_file = file
        .map(|file| fmt::layer().with_ansi(false).with_writer(Mutex::new(terminal::Clean(file))));
    let to_stderr =
        fmt::layer().without_time().with_target(false).with_ansi(false).with_writer(terminal::err);
    // Fails only if a test in this process began before.
    let _ = tracing_subscriber::registry().with(filter).with(to_stderr).with(to_file).try_init();
    Ok(())
}

/// Logs a panic. One that is caught, in the threads that embed files, is told to
/// the person as the reason why a file was skipped.
pub(crate) fn panic(info: &std::panic::PanicHookInfo<'_>) {
    if std::thread::current().name() == Some("main") {
        tracing::error!("songrec has a bug, please report it: {info}");
    } else {
        tracing::debug!("{info}");
    }
}
