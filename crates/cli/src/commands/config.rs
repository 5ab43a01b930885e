use anyhow::Result;
use serde_json::json;

use crate::{
    args::{ConfigArgs, ConfigCommand},
    context::Context,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) fn run(context: &Context, args: ConfigArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let printer = &context.printer;
    match args.what {
        ConfigCommand::Show if printer.json => {
            config.show().iter().try_for_each(|shown| printer.json(shown))?;
        }
        ConfigCommand::Show => {
            let columns = ["setting", "value", "from", "variable"].map(Column::text);
            let mut table = Table::headed(columns);
            for shown in config.show() {
                let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                table.row([
                    shown.key,
                    or_none(shown.value),
                    or_none(shown.origin),
                    or_none(shown.variable),
                ]);
            }
            printer.table(&table)?;
        }
        ConfigCommand::Path => {
            let directories = config.directories();
            let library = songrec_library::local_root(&config);
            let positions = [
                ("config", &directories.config),
                ("library", &library),
                ("cache", &directories.cache),
                ("state", &directories.state),
            ];
            if printer.json {
                let all: serde_json::Map<_, _> = positions
                    .iter()
                    .map(|(name, path)| ((*name).to_owned(), json!(path)))
                    .collect();
                printer.json(&all)?;
            } else {
                let mut table = Table::default();
                for (name, path) in positions {
                    table.row([name.to_owned(), path.display().to_string()]);
                }
                printer.table(&table)?;
            }
        }
    }
    Ok(ExitStatus::Done)
}
