//! What those need who package songrec.

use anyhow::Result;
use clap::CommandFactory;
use serde_json::json;
use songrec_library::Error;

use crate::{
    args::{Cli, CompletionsArgs, ManArgs},
    context::Context,
    status::{self, ExitStatus},
};

pub(super) fn completions(context: &Context, args: CompletionsArgs) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "songrec", &mut script);
    context.printer.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitStatus::Done)
}

pub(super) fn man(context: &Context, args: ManArgs) -> Result<ExitStatus> {
    let Some(folder) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        context.printer.line(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(ExitStatus::Done);
    };
    std::fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
    clap_mangen::generate_to(Cli::command(), &folder)
        .map_err(|error| Error::io("write manual pages to", &folder, error))?;
    context.printer.say(format!("wrote the manual pages to `{}`", folder.display()));
    Ok(ExitStatus::Done)
}

pub(super) fn version(context: &Context) -> Result<ExitStatus> {
    let version = env!("CARGO_PKG_VERSION");
    if context.printer.json {
        let models: Vec<_> =
            songrec_library::built_in_models().iter().map(|spec| &spec.name).collect();
        context.printer.json(&json!({
            "name": "songrec",
            "version": version,
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            "models": models,
        }))?;
    } else {
        context.printer.line(format!("songrec {version}"))?;
    }
    Ok(ExitStatus::Done)
}

pub(super) fn exit_codes(context: &Context) -> Result<ExitStatus> {
    context.printer.line(status::HELP)?;
    Ok(ExitStatus::Done)
}
