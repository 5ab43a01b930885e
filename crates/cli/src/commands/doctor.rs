use anyhow::Result;
use songrec_library::{Check, CheckState, Config, ErrorKind, Library, doctor};

use crate::{
    context::Context,
    hints,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context) -> Result<ExitStatus> {
    let config = context.config([])?;
    let library = Library::open_to_read(config.clone(), context.job.progress.clone()).await;
    let mut checks = doctor(&config, library.as_ref()).await;
    let of_astra = astra(&config).await;
    if Library::is_far(&config) {
        // What is wrong there is said there.
        let explained = |check: Check| match check.name.as_str() {
            "library" => check.explained_by(&of_astra),
            _ => check,
        };
        checks = checks.into_iter().map(explained).collect();
    }
    checks.extend(of_astra);
    checks.iter_mut().for_each(|check| hints::put_in_words(&mut check.hint));
    let printer = &context.printer;
    if printer.json {
        checks.iter().try_for_each(|check| printer.json(check))?;
    } else {
        let mut table = Table::of([Column::text(""), Column::text(""), Column::wrapped("")]);
        for check in &checks {
            let state = match check.state {
                CheckState::Good => "ok",
                CheckState::Doubtful => "?",
                CheckState::Broken => "no",
            };
            table.row([state.to_owned(), check.name.clone(), check.detail.clone()]);
            if let Some(hint) = &check.hint {
                table.row([String::new(), String::new(), format!("-> {hint}")]);
            }
        }
        printer.table(&table)?;
    }
    let worst = checks.iter().filter_map(|check| check.kind).max_by_key(|kind| match kind {
        ErrorKind::Corrupt => 5,
        ErrorKind::Denied => 4,
        ErrorKind::Usage => 3,
        ErrorKind::NoLibrary => 2,
        // Trying again helps only where nothing else is wrong.
        ErrorKind::Temporary => 0,
        _ => 1,
    });
    Ok(worst.map_or(ExitStatus::Done, ExitStatus::of_kind))
}

// What a library in Astra needs, if one is spoken of at all.
#[cfg(feature = "astra")]
async fn astra(config: &Config) -> Vec<Check> {
    use songrec_library::keys;

    let is_spoken_of = config.get(keys::ASTRA_ENDPOINT).is_some()
        || config.get(keys::ASTRA_DATABASE_ID).is_some()
        || config.get(keys::STORAGE_BACKEND) == "astra";
    if !is_spoken_of {
        return Vec::new();
    }
    match songrec_library::doctor_astra(config).await {
        Ok(checks) => checks,
        Err(error) => vec![Check::broken("astra", &error)],
    }
}

#[cfg(not(feature = "astra"))]
async fn astra(_: &Config) -> Vec<Check> {
    Vec::new()
}
