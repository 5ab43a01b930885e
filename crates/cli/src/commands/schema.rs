//! `schema`: what documents `--json` prints, field by field.
//!
//! The schemas are written by hand, and tests hold every document against them.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Map, Value, json};
use songrec_library::{DEFINITIONS, Error, SCHEMAS};

use crate::{args::SchemaArgs, context::Context, status::ExitStatus};

/// Commands that this build need not have.
const OPTIONAL: [(&str, bool); 4] = [
    ("emulator", cfg!(feature = "emulator")),
    ("init-astra", cfg!(feature = "astra")),
    ("mcp", cfg!(feature = "mcp")),
    ("serve", cfg!(feature = "serve")),
];

// The schema of every command that this build has.
fn schemas() -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_here = |command: &str| OPTIONAL.iter().all(|(name, here)| *name != command || *here);
    SCHEMAS.iter().copied().filter(move |(command, _)| is_here(command))
}

/// How they name it, and how it is named where it stands beside.
const ELSEWHERE: &str = "definitions.json#/$defs/";
const HERE: &str = "#/$defs/";

pub(super) fn run(context: &Context, args: &SchemaArgs) -> Result<ExitStatus> {
    let printer = &context.printer;
    if args.command.is_empty() {
        for (command, text) in schemas() {
            if printer.json {
                let description = &parsed(text)["description"];
                printer.json(&json!({ "command": command, "description": description }))?;
            } else {
                printer.line(command)?;
            }
        }
        return Ok(ExitStatus::Done);
    }
    let command = args.command.join(" ");
    let Some(schema) = schema_of(&command) else {
        return Err(Error::usage(format_args!("`{command}` is no command that prints documents"))
            .with_hint("`songrec schema` lists those that do")
            .into());
    };
    if printer.json {
        printer.json(&schema)?;
    } else {
        printer.line(serde_json::to_string_pretty(&schema)?)?;
    }
    Ok(ExitStatus::Done)
}

/// The schema of `command`, complete in itself.
fn schema_of(command: &str) -> Option<Value> {
    let mut schema = parsed(schemas().find(|(known, _)| *known == command)?.1);
    // One that is the same as another command's, which its file is named after.
    if let Some(other) = schema["$ref"].as_str().and_then(|file| file.strip_suffix(".json")) {
        let is_other = |known: &str| known.replace(' ', "-") == other;
        let mut same = parsed(schemas().find(|(known, _)| is_other(known))?.1);
        same["title"] = schema["title"].take();
        schema = same;
    }
    let all = parsed(DEFINITIONS);
    let mut own = match schema["$defs"].take() {
        Value::Object(own) => own,
        _ => Map::new(),
    };
    let mut named = BTreeSet::new();
    bring_here(&mut schema, &mut named);
    own.values_mut().for_each(|definition| bring_here(definition, &mut named));
    while let Some(name) = named.pop_first() {
        if !own.contains_key(&name) {
            let mut definition = all["$defs"][&name].clone();
            bring_here(&mut definition, &mut named);
            own.insert(name, definition);
        }
    }
    schema["$defs"] = own.into();
    Some(schema)
}

// Lets what is named elsewhere be named here, and says what that is.
fn bring_here(schema: &mut Value, named: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(name)) = object.get_mut("$ref") {
                let known = name.strip_prefix(ELSEWHERE).or(name.strip_prefix(HERE));
                if let Some(known) = known.map(str::to_owned) {
                    *name = format!("{HERE}{known}");
                    named.insert(known);
                }
            }
            object.values_mut().for_each(|value| bring_here(value, named));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| bring_here(value, named)),
        _ => {}
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a test reads every schema")
}

#[cfg(all(test, feature = "astra", feature = "emulator", feature = "mcp", feature = "serve"))]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_schema_is_embedded_and_complete_in_itself() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../library/schema");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "definitions.json")
            .collect();
        let named =
            SCHEMAS.iter().map(|(command, _)| format!("{}.json", command.replace(' ', "-")));
        assert_eq!(named.collect::<BTreeSet<String>>(), files);

        for (command, _) in SCHEMAS {
            let schema = schema_of(command).unwrap();
            assert_eq!(schema["title"], format!("songrec {command}"));
            assert!(schema["anyOf"].is_array(), "{command}");
            assert!(!schema.to_string().contains(".json"), "{command} names another file");
        }
    }

    #[test]
    fn every_command_has_a_schema_and_every_schema_a_command() {
        use clap::CommandFactory;

        // What cannot be run by itself prints nothing.
        fn commands(parent: &clap::Command, before: &str, found: &mut BTreeSet<String>) {
            for command in parent.get_subcommands() {
                let name = format!("{before}{}", command.get_name());
                if !command.is_subcommand_required_set() {
                    found.insert(name.clone());
                }
                commands(command, &format!("{name} "), found);
            }
        }
        let mut all = BTreeSet::new();
        commands(&crate::args::Cli::command(), "", &mut all);

        let described = SCHEMAS.iter().map(|(command, _)| (*command).to_owned());
        assert_eq!(described.collect::<BTreeSet<_>>(), all);
    }
}
