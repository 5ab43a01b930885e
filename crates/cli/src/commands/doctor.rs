use anyhow::Result;
use songrec_library::{CheckState, ErrorKind, doctor};

use crate::{context::Context, printer::Table, status::ExitStatus};

pub(super) async fn run(context: &Context) -> Result<ExitStatus> {
    let config = context.config([])?;
    let library = songrec_library::Library::open(config.clone(), context.progress.clone()).await;
    let checks = doctor(&config, library.as_ref()).await;
    let printer = &context.printer;
    if printer.json {
        checks.iter().try_for_each(|check| printer.json(check))?;
    } else {
        let mut table = Table::default();
        for check in &checks {
            let state = match check.state {
                CheckState::Good => "ok",
                CheckState::Doubtful => "?",
                CheckState::Broken => "no",
            };
            table.row([state.to_owned(), check.name.to_owned(), check.detail.clone()]);
            if let Some(hint) = &check.hint {
                table.row([String::new(), String::new(), format!("-> {hint}")]);
            }
        }
        table.lines().iter().try_for_each(|line| printer.line(line))?;
    }
    let worst = checks.iter().filter_map(|check| check.kind).max_by_key(|kind| match kind {
        ErrorKind::Corrupt => 3,
        ErrorKind::Denied => 2,
        ErrorKind::Temporary => 1,
        _ => 0,
    });
    Ok(worst.map_or(ExitStatus::Done, ExitStatus::of_kind))
}
