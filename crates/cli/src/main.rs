//! songrec at a terminal.

mod args;
mod ask;
mod commands;
mod context;
mod hints;
mod log;
mod memory;
mod numbers;
mod printer;
mod progress;
mod rows;
mod status;
mod table;
mod terminal;

use std::{io::Write, process::ExitCode};

use songrec_library::until_interrupted;

use crate::{
    args::{Cli, Command},
    context::Context,
    printer::ReaderGone,
    status::ExitStatus,
};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == songrec_library::READ_ALONE) {
        // A scan starts this for a file that may end the process; nobody is
        // told anything, and nobody else should use it.
        if let Some(file) = words.next_back() {
            songrec_library::read_alone(file.as_ref());
        }
        return ExitStatus::Done.into();
    }
    let arguments: Vec<_> = args::with_old_spellings(std::env::args_os()).collect();
    let cli = match Cli::read(arguments.clone()) {
        Ok(cli) => cli,
        Err(error) => {
            let code = ExitStatus::Usage;
            let ours = arguments.iter().take_while(|argument| *argument != "--");
            if error.use_stderr() && ours.into_iter().any(|argument| argument == "--json") {
                printer::usage_error(&error.render().to_string(), code);
            }
            // Where nobody reads, there is nobody to tell.
            if !error.use_stderr() {
                // Help and version are data, and not wrong.
                let _ = error.print();
                return ExitStatus::Done.into();
            }
            // It repeats what was typed, which may be the name of a file.
            let _ = terminal::err().write_all(error.render().to_string().as_bytes());
            return code.into();
        }
    };
    std::panic::set_hook(Box::new(log::panic));
    if cli.command.is_service() {
        memory::give_back_early();
    }
    let context = Context::new(cli.global);
    let result = log::begin(&context.global).and_then(|()| run(&context, cli.command));
    let status = match result.and_then(|status| context.printer.flush().map(|()| status)) {
        Ok(ExitStatus::SomeFailed) if context.global.keep_going_ok => ExitStatus::Done,
        Ok(status) => status,
        Err(error) if error.is::<ReaderGone>() => ExitStatus::Done,
        Err(error) => {
            let status = ExitStatus::of(&error);
            context.printer.error(&error, status);
            status
        }
    };
    status.into()
}

fn run(context: &Context, command: Command) -> anyhow::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let interrupt = context.job.interrupt.clone();
        // The first Ctrl-C asks for an orderly end, the second one does not
        // ask: the library stands that too. What ends services asks once.
        tokio::spawn(async move {
            if asked_to_end().await {
                interrupt.set();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(i32::from(ExitStatus::Interrupted.code()));
            }
        });
        if !command.can_be_left() {
            return commands::run(context, command).await;
        }
        tokio::select! {
            result = commands::run(context, command) => result,
            () = until_interrupted(&context.job.interrupt) => {
                context.printer.interrupted("interrupted; nothing was changed")?;
                Ok(ExitStatus::Interrupted)
            }
        }
    });
    // Work that nobody waits for must not hold up the end.
    runtime.shutdown_background();
    result
}

// Waits for Ctrl-C or, where there is one, SIGTERM; false if neither can be
// waited for.
async fn asked_to_end() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                asked = tokio::signal::ctrl_c() => asked.is_ok(),
                asked = terminate.recv() => asked.is_some(),
            };
        }
    }
    tokio::signal::ctrl_c().await.is_ok()
}
