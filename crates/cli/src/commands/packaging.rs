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
    let script = String::from_utf8_lossy(&script);
    if context.printer.json {
        let shell = args.shell.to_string();
        context.printer.json(&json!({ "shell": shell, "script": script.trim_end() }))?;
    } else {
        context.printer.line(script.trim_end())?;
    }
    Ok(ExitStatus::Done)
}

pub(super) fn man(context: &Context, args: ManArgs) -> Result<ExitStatus> {
    let Some(folder) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        let page = String::from_utf8_lossy(&page);
        if context.printer.json {
            context.printer.json(&json!({ "page": page.trim_end() }))?;
        } else {
            context.printer.line(page.trim_end())?;
        }
        return Ok(ExitStatus::Done);
    };
    std::fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
    clap_mangen::generate_to(Cli::command(), &folder)
        .map_err(|error| Error::io("write manual pages to", &folder, error))?;
    if context.printer.json {
        context.printer.json(&json!({ "folder": folder }))?;
    }
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
    if context.printer.json {
        return status::codes()
            .try_for_each(|(code, meaning)| {
                context.printer.json(&json!({ "code": code, "meaning": meaning }))
            })
            .map(|()| ExitStatus::Done);
    }
    context.printer.line(status::HELP)?;
    Ok(ExitStatus::Done)
}
