use std::path::Path;

use anyhow::Result;
use serde_json::json;
use songrec_library::{InitOptions, Library};

use crate::{args::InitArgs, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: InitArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let root = match &args.dir {
        Some(dir) => dir.clone(),
        None => match config.text("library") {
            Some(set) => set.into(),
            None => config.directories().library.clone(),
        },
    };
    let options = InitOptions { keep_copies: args.keep_copies };
    let (library, is_new) =
        Library::init(config.clone(), &root, options, context.progress.clone()).await?;
    let root = library.root().unwrap_or(&root).to_owned();
    let remembered = remember(context, &config, &root)?;
    if context.printer.json {
        context
            .printer
            .json(&json!({ "library": root, "new": is_new, "configured": remembered }))?;
        return Ok(ExitStatus::Done);
    }
    let made = if is_new { "made a library in" } else { "there is a library already in" };
    context.printer.say(format!("{made} `{}`", root.display()));
    if let Some(file) = remembered {
        context.printer.say(format!("it is now the usual one (in `{file}`)"));
    }
    context.printer.say("next: `songrec scan PATH` takes in audio files");
    Ok(ExitStatus::Done)
}

// A library in a folder of its own becomes the usual one, if no configuration
// says otherwise. The configuration that it goes to is a new file: one that a
// person wrote is left alone.
fn remember(
    context: &Context,
    config: &songrec_library::Config,
    root: &Path,
) -> Result<Option<String>> {
    let file = &config.directories().config;
    let elsewhere = context.global.no_config || context.global.config.is_some();
    let is_default = *root == config.directories().library;
    if elsewhere || is_default || config.text("library").is_some() || file.exists() {
        return Ok(None);
    }
    let text = format!("library = {}\n", toml_text(&root.to_string_lossy()));
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(file, text))
        .map_err(|error| songrec_library::Error::io("write the configuration", file, error))?;
    Ok(Some(file.display().to_string()))
}

fn toml_text(text: &str) -> String {
    // A JSON string is a basic TOML string.
    serde_json::Value::from(text).to_string()
}
