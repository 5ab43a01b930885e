use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::json;
use songrec_core::encode_path;
use songrec_library::{Config, Error, InitOptions, Library, Origin};

use crate::{args::InitArgs, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: InitArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let root = args.dir.clone().unwrap_or_else(|| songrec_library::local_root(&config));
    let options = InitOptions { keep_copies: args.keep_copies };
    let (library, is_new) =
        Library::init(config.clone(), &root, options, context.job.progress.clone()).await?;
    let root = library.root().unwrap_or(&root).to_owned();
    let remembered = remember(context, &config, &root)?;
    if context.printer.json {
        let usual = if remembered.is_some() { root.clone() } else { config.usual_library().0 };
        context.printer.json(&json!({
            "library": root, "new": is_new, "configured": remembered, "usual": usual,
        }))?;
        return Ok(ExitStatus::Done);
    }
    let made = if is_new { "made a library in" } else { "there is a library already in" };
    context.printer.say(format!("{made} `{}`", root.display()));
    match remembered {
        Some(file) => context.printer.say(format!(
            "it is now the usual one (`library` in `{file}`); in the folder of another library, \
             that one is used"
        )),
        None => say_where_it_is_used(context, &config, &root),
    }
    context.printer.say("next: `songrec scan PATH` takes in audio files");
    Ok(ExitStatus::Done)
}

// Which library is used where, unless this one is used everywhere.
fn say_where_it_is_used(context: &Context, config: &Config, root: &Path) {
    let (usual, origin) = config.usual_library();
    if same(&usual, root) {
        return;
    }
    let is_there = songrec_library::is_library(&usual);
    let elsewhere = match (&origin, is_there) {
        // Nothing says that another one is used, and there is none.
        (Origin::Default, false) => {
            format!("elsewhere `--library '{}'` names it", root.display())
        }
        (Origin::Default, true) => {
            format!("elsewhere `{}` is used, unless `--library` names another", usual.display())
        }
        (origin, true) => format!("elsewhere `{}` is used ({origin})", usual.display()),
        (origin, false) => format!(
            "elsewhere `{}` would be used ({origin}), where there is no library",
            usual.display()
        ),
    };
    context.printer.say(format!("commands in this folder use it; {elsewhere}"));
}

// The first library in a folder of its own becomes the usual one, if no
// configuration says otherwise. The configuration that it goes to is a new
// file: one that a person wrote is left alone.
fn remember(context: &Context, config: &Config, root: &Path) -> Result<Option<String>> {
    let file = &config.directories().config;
    let elsewhere = context.global.no_config || context.global.config.is_some();
    let (usual, origin) = config.usual_library();
    let is_decided =
        same(&usual, root) || origin != Origin::Default || songrec_library::is_library(&usual);
    if elsewhere || is_decided || file.exists() {
        return Ok(None);
    }
    // What is not text cannot stand in the file.
    let Some(text) = root.to_str().filter(|text| *text == encode_path(root)) else {
        return Ok(None);
    };
    // A JSON string is a basic TOML string.
    let text = format!("library = {}\n", serde_json::Value::from(text));
    write_new(file, &text).map_err(|error| Error::io("write the configuration", file, error))?;
    Ok(Some(file.display().to_string()))
}

// Whole or not at all.
fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(file)?;
    Ok(())
}

fn same(left: &Path, right: &Path) -> bool {
    let whole =
        |path: &Path| -> PathBuf { path.canonicalize().unwrap_or_else(|_| path.to_owned()) };
    whole(left) == whole(right)
}
