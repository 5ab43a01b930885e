//! What `--json` prints has the shape that `crates/library/schema` describes,
//! whatever the command, and everything that is described there is printed.

mod elsewhere;
mod library;
mod listening;
mod previews;
mod synths;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};

use crate::{
    people::answered,
    schema::Schemas,
    world::{Run, World, examples},
};

/// What is described and does not come up here, with the reason.
const NEVER_SEEN: [(&str, &str); 12] = [
    ("definitions.json#/$defs/left_out/", MANY),
    ("definitions.json#/$defs/comparison/properties/left_out", MANY),
    ("definitions.json#/$defs/plan/properties/left_out", MANY),
    ("definitions.json#/$defs/report/properties/left_out", MANY),
    ("migrate.json#/anyOf/0/properties/left_out", MANY),
    ("definitions.json#/$defs/failure/properties/hint is missing", "errors here have a hint"),
    ("definitions.json#/$defs/history/properties/rest is missing", ALIVE),
    ("definitions.json#/$defs/history/properties/writes is missing", ALIVE),
    ("machines-retire.json#/anyOf/1", "somebody has to remove the machine in the same moment"),
    ("model-bench.json#/anyOf/0/properties/server/properties/last_error/type/\"string\"", FAILS),
    ("model-bench.json#/anyOf/0/properties/server/properties/longest_latency/type/\"null\"", FAILS),
    ("model-bench.json#/anyOf/0/properties/server/properties/mean_latency/type/\"null\"", FAILS),
];
const MANY: &str = "there have to be more than ten thousand";
const ALIVE: &str = "a song that is there was written by somebody";
const FAILS: &str = "a measurement in which a call fails is an error as a whole";

/// Runs commands, and holds what they print against their schemas.
pub(crate) struct Shapes {
    schemas: Schemas,
    commands: Vec<String>,
    ran: Mutex<BTreeSet<String>>,
    seen: Mutex<BTreeSet<String>>,
    /// The first of each kind.
    problems: Mutex<BTreeMap<String, String>>,
}

impl Shapes {
    fn new() -> Self {
        let schemas = Schemas::read();
        let commands = schemas.commands();
        let (ran, seen, problems) = Default::default();
        Self { schemas, commands, ran, seen, problems }
    }

    /// The documents that a command prints, which the arguments begin with.
    pub(crate) fn run(&self, world: &World, arguments: &[&str]) -> Vec<Value> {
        self.printed(arguments, &world.run(&[arguments, &["--json"]].concat()))
    }

    /// The same in the cloud.
    fn astra(&self, world: &World, arguments: &[&str]) -> Vec<Value> {
        self.run(world, &[arguments, &["--storage-backend", "astra"]].concat())
    }

    /// The same at a terminal, where a question is answered.
    fn answer(&self, world: &World, arguments: &[&str], answer: &str) -> Vec<Value> {
        self.printed(arguments, &answered(world, &[arguments, &["--json"]].concat(), answer))
    }

    fn printed(&self, arguments: &[&str], run: &Run) -> Vec<Value> {
        let said = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        let said: Vec<Value> = said.collect();
        for document in &said {
            self.check(arguments, document);
        }
        if said.is_empty() {
            let what = format!("printed no document: {}", run.stderr);
            self.wrong(&what, arguments, &what);
        }
        // What is said beside the data is for people.
        for line in run.stderr.lines().filter(|line| line.starts_with('{')) {
            let what = format!("said a document: {line}");
            self.wrong(&what, arguments, &what);
        }
        said
    }

    fn check(&self, arguments: &[&str], document: &Value) {
        let command = (1..=2).rev().find_map(|count| {
            let words = arguments.get(..count)?.join(" ");
            self.commands.contains(&words).then_some(words)
        });
        let command = command.unwrap_or_else(|| panic!("{arguments:?} has no schema"));
        match self.schemas.check(&command, document) {
            Ok(seen) => self.seen.lock().unwrap().extend(seen),
            Err(problems) => {
                for problem in problems {
                    self.wrong(&format!("{command} {}", problem.field()), arguments, &problem);
                }
            }
        }
        self.ran.lock().unwrap().insert(command);
    }

    fn wrong(&self, kind: &str, arguments: &[&str], what: &dyn std::fmt::Display) {
        let problem = format!("`songrec {}`: {what}", arguments.join(" "));
        self.problems.lock().unwrap().entry(kind.to_owned()).or_insert(problem);
    }
}

#[test]
fn every_schema_is_sound_and_says_in_words_what_each_field_means() {
    let faults = Schemas::read().faults();

    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_field_that_goes_or_comes_or_changes_its_type_is_named() {
    let schemas = Schemas::read();
    let id = "a8493af8-da4a-8b8d-8fd1-6f6150c88b1f";
    for (document, problem) in [
        (json!({"id": id, "path": "a"}), ""),
        (json!({"id": id}), "`path` is missing"),
        (json!({"id": id, "path": 1}), "`path` is 1, and should be of type \"string\""),
        (json!({"id": id, "path": "a", "size": 1}), "`size` is not described"),
        (json!({"id": "a", "path": "a"}), "`id` is \"a\", which does not fit format"),
        (json!([]), "`the document` is [], and should be of type"),
    ] {
        let problems = schemas.check("get", &document).err().unwrap_or_default();

        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), usize::from(!problem.is_empty()), "{document}: {said:?}");
        assert!(said.iter().all(|said| said.starts_with(problem)), "{document}: {said:?}");
    }
}

#[test]
fn every_document_has_the_shape_that_its_schema_describes() {
    let shapes = Shapes::new();

    std::thread::scope(|scope| {
        let parts = [
            without_a_library,
            library::songs,
            listening::search,
            listening::analysis,
            listening::playlists,
            listening::patterns,
            synths::synths,
            previews::previews,
            library::upkeep,
            library::imports,
            crate::backups::shapes,
            library::of_before,
            elsewhere::models,
            elsewhere::cloud,
            elsewhere::several,
        ];
        for part in parts {
            let shapes = &shapes;
            scope.spawn(move || part(shapes));
        }
    });

    let problems = shapes.problems.into_inner().unwrap();
    assert!(
        problems.is_empty(),
        "a shape that changes needs another schema, and a line in CHANGELOG.md:\n{}",
        problems.into_values().collect::<Vec<_>>().join("\n")
    );
    let (ran, seen) = (shapes.ran.into_inner().unwrap(), shapes.seen.into_inner().unwrap());
    let all: BTreeSet<String> = shapes.commands.into_iter().collect();
    assert_eq!(ran, all, "these commands were run");
    let is_excused = |place: &String| NEVER_SEEN.iter().any(|(begin, _)| place.starts_with(begin));
    let unseen: Vec<String> =
        shapes.schemas.places().into_iter().filter(|place| !seen.contains(place)).collect();
    let dead: Vec<&String> = unseen.iter().filter(|place| !is_excused(place)).collect();
    assert!(dead.is_empty(), "described, and never printed: {dead:#?}");
    for (begin, _) in NEVER_SEEN {
        let unseen = unseen.iter().any(|place| place.starts_with(begin));
        assert!(unseen, "`{begin}` comes up, and needs no excuse");
    }
}

/// What needs no library, and what is wrong with arguments.
fn without_a_library(shapes: &Shapes) {
    let world = World::bare();
    for command in &shapes.commands {
        let words: Vec<&str> = command.split(' ').collect();
        shapes.run(&world, &[&words[..], &["--frobnicate"]].concat());
        shapes.run(&world, &[&["schema"], &words[..]].concat());
    }
    for arguments in [
        &["schema"][..],
        &["version"],
        &["exit-codes"],
        &["man"],
        &["man", "--dir", "pages"],
        &["completions", "bash"],
        &["config", "path"],
        &["ls"],
        &["doctor"],
        &["init", "own"],
        &["init", "own"],
        &["demo", "--audio", "music"],
        &["demo", "--audio", examples("kick")[0].parent().unwrap().to_str().unwrap(), "--cloud"],
    ] {
        shapes.run(&world, arguments);
    }
    fs::write(world.path("token"), "AstraCS:a:b\n").unwrap();
    for more in [&[][..], &["--token-file", "token"]] {
        let arguments = [&["emulator", "--addr", "127.0.0.1:0"], more].concat();
        let mut command = world.command(&[&arguments, &["--json"][..]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        end(&child);
        child.wait().unwrap();
        shapes.check(&arguments, &serde_json::from_str(&line).unwrap());
    }
    let world = World::new();
    at_its_door(shapes, &world);
    std::fs::write(world.path("music/unread.wma"), b"no audio").unwrap();
    watching(shapes, &world);
}

fn watching(shapes: &Shapes, world: &World) {
    let arguments = ["scan", "music", "--watch"];
    let mut child = world.begin(&[&arguments[..], &["--json"]].concat());
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    end(&child);
    child.wait().unwrap();
    shapes.check(&arguments, &serde_json::from_str(&line).unwrap());
}

fn at_its_door(shapes: &Shapes, world: &World) {
    let arguments = ["serve", "--addr", "127.0.0.1:0"];
    let mut command = world.command(&[&arguments[..], &["--json"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let served: Value = serde_json::from_str(&line).unwrap();
    let url = served["url"].as_str().unwrap();
    let check = ["serve", "--check", "--addr", url[7..].trim_end_matches('/')];
    let ready = world.run(&[&check[..], &["--json"]].concat());
    end(&child);
    child.wait().unwrap();
    shapes.check(&arguments, &served);
    shapes.check(&check, &serde_json::from_str(&ready.stdout).unwrap());
}

fn end(child: &std::process::Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}
