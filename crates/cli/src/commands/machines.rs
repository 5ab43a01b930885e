//! `machines`: who shares a library.

use anyhow::Result;
use songrec_library::{Library, share};

use crate::{
    args::{Listed, MachinesArgs, MachinesCommand, RowArgs},
    context::Context,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: MachinesArgs) -> Result<ExitStatus> {
    let library = context.shared_library().await?;
    match args.command.unwrap_or(MachinesCommand::List { rows: args.rows }) {
        MachinesCommand::List { rows } => list(context, &library, &rows).await,
        MachinesCommand::Retire { machine } => retire(context, &library, &machine).await,
    }
}

async fn list(
    context: &Context,
    library: &Library,
    rows: &RowArgs<impl Listed>,
) -> Result<ExitStatus> {
    let rows = Rows::of(&context.printer, rows, library)?;
    let machines = share::machines(library).await?;
    let printer = &context.printer;
    let newest = machines.iter().map(|machine| machine.round).max().unwrap_or_default();
    let columns = [Column::cut("", 1), Column::cut("", 2), Column::text(""), Column::wrapped("")];
    let mut table = Table::of(columns);
    for machine in &machines {
        if printer.json {
            printer.json(machine)?;
            continue;
        }
        let state = match (machine.retired, newest.saturating_sub(machine.round)) {
            (true, _) => "retired".to_owned(),
            (false, 0) => "up to date with deletions".to_owned(),
            (false, behind) => {
                format!("{} of deletions behind", counted(behind, "round"))
            }
        };
        let seen = printer.time(machine.last_seen);
        let id = machine.id.clone();
        table.row([id, machine.name.clone(), format!("last seen {seen}"), state]);
    }
    match rows {
        Some(mut rows) => rows.print(printer, &machines)?,
        None => printer.table(&table)?,
    }
    if machines.is_empty() {
        printer.nothing("no machine has synced with this library")?;
        return Ok(ExitStatus::FoundNothing);
    }
    printer.say(counted(machines.len() as u64, "machine"));
    Ok(ExitStatus::Done)
}

async fn retire(context: &Context, library: &Library, named: &str) -> Result<ExitStatus> {
    let Some(machine) = share::retire(library, named).await? else {
        context.printer.nothing(&format!("`{named}` is not there any more"))?;
        return Ok(ExitStatus::FoundNothing);
    };
    if context.printer.json {
        context.printer.json(&machine)?;
    }
    context.printer.say(format!(
        "deletions no longer wait for `{}`; if it comes back, it compares everything once",
        machine.name
    ));
    Ok(ExitStatus::Done)
}
