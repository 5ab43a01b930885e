//! What `--json` prints has the shape that `crates/library/schema` describes,
//! whatever the command, and everything that is described there is printed.

mod synths;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};
use songrec_core::Song;
use songrec_storage::document_text;
use songrec_testkit::s3::S3Server;

use crate::{
    ear::{Server, configure, tiny_model, write_config},
    keeping::npy_f64,
    people::answered,
    remote::Database,
    schema::Schemas,
    syncing::{another, with_cloud},
    world::{Run, World, examples, tone, wav, with_title},
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
            songs,
            search,
            analysis,
            playlists,
            patterns,
            synths::synths,
            upkeep,
            imports,
            crate::backups::shapes,
            of_before,
            models,
            cloud,
            several,
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

/// A click every half second, for twelve seconds, now louder and now softer.
fn beat() -> Vec<u8> {
    let sample = |n: u32| {
        let loudness = if (n / 24_000).is_multiple_of(2) { 1.0 } else { 0.1 };
        let t = f64::from(n % 4000) / 8000.0;
        ((t * 9000.0).sin() * (-30.0 * t).exp() * 30_000.0 * loudness) as i16
    };
    wav(8000, (0..96_000).map(sample))
}

fn write(world: &World, name: &str, bytes: &[u8]) {
    let path = world.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn document(world: &World, id: &str) -> PathBuf {
    world.path("data/songrec/library/songs").join(&id[..2]).join(format!("{id}.json"))
}

/// Changes the document of a song past songrec.
fn rewrite(world: &World, id: &str, change: impl FnOnce(&mut Value)) {
    let path = document(world, id);
    let mut song: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut song);
    song.as_object_mut().unwrap().remove("checksum");
    // The first format had no checksum.
    let bytes = if song["format"] == 1 {
        song.to_string().into_bytes()
    } else {
        let song: Song = serde_json::from_value(song).unwrap();
        document_text(&song, None).into_bytes()
    };
    fs::write(path, bytes).unwrap();
}

fn id_of(world: &World, name: &str) -> String {
    let file = format!("/music/{name}.wav");
    let summaries = world.json_lines(&["ls"]);
    let is_it =
        |summary: &&Value| summary["path"].as_str().is_some_and(|path| path.ends_with(&file));
    let summary = summaries.iter().find(is_it);
    summary.unwrap_or_else(|| panic!("no `{name}`: {summaries:?}"))["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Songs come in, change, are edited and forgotten.
fn songs(shapes: &Shapes) {
    let world = World::bare();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    world.run(&["init", "--keep-copies"]).ok();
    run(&["ls"]);
    run(&["stats"]);
    run(&["trash"]);
    run(&["conflicts"]);
    for kind in ["kick", "pad", "voice"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    write(&world, "music/techno/Nena - Ballons.wav", &tone(220.0, 1.0));
    write(&world, "music/one.wav", &tone(330.0, 0.5));
    write(&world, "music/one copy.wav", &tone(330.0, 0.5));
    write(&world, "music/one tagged.wav", &with_title(tone(330.0, 0.5), "Tagged"));
    write(&world, "music/moves.wav", &tone(350.0, 0.5));
    write(&world, "music/goes.wav", &tone(360.0, 0.5));
    write(&world, "music/replaced.wav", &tone(370.0, 0.5));
    write(&world, "music/retagged.wav", &tone(380.0, 0.5));
    write(&world, "music/silence.wav", &wav(8000, std::iter::repeat_n(0, 8000)));
    write(&world, "music/cut.wav", &tone(440.0, 6.0)[..6000]);
    write(&world, "music/broken.wav", b"no audio");
    write(&world, "music/unread.wma", b"no audio");
    write(&world, "music/beat.wav", &beat());
    run(&["scan", "music", "--dry-run"]);
    run(&["scan", "music", "--genre-from-folder"]);
    fs::rename(world.path("music/moves.wav"), world.path("music/moved.wav")).unwrap();
    fs::remove_file(world.path("music/goes.wav")).unwrap();
    write(&world, "music/replaced.wav", &tone(390.0, 0.5));
    write(&world, "music/retagged.wav", &with_title(tone(380.0, 0.5), "Now"));
    run(&["scan", "music"]);
    run(&["scan", "--missing"]);
    run(&["scan", "--failed"]);
    run(&["scan", "nowhere"]);

    run(&["ls", "--count"]);
    run(&["ls", "--paths"]);
    run(&["ls", "none-such"]);
    let kick = id_of(&world, "kick");
    for summary in run(&["ls"]) {
        run(&["show", summary["id"].as_str().unwrap()]);
    }
    run(&["stats"]);
    run(&["dup"]);
    run(&["dup", "--near", "--threshold", "0.5", "--any-length"]);
    run(&["dup", "none-such"]);

    for set in ["title=Kick", "artist=A", "year=1999", "bpm=120.5", "loop=yes", "genre=a,b"] {
        run(&["edit", &kick, "--set", set]);
    }
    run(&["edit", &kick, "--clear", "comment", "--set", "key=Am", "--set", "mood=dark"]);
    run(&["edit", &kick, "--set", "instrument=kick", "--set", "album=B", "--dry-run"]);
    run(&["edit", &kick, "--set", "instrument=kick", "--set", "album=B"]);
    run(&["edit", "-f", "none-such", "--set", "mood=x"]);
    run(&["show", &kick]);
    run(&["show", "--history", &kick]);
    run(&["ls", "-f", "artist:a"]);

    run(&["get", &kick, "got.wav"]);
    run(&["get", &kick, "got.wav"]);
    run(&["url", &kick]);
    run(&["rm", "-f", "none-such"]);
    run(&["rm", &kick, "--dry-run"]);
    let voice = id_of(&world, "voice");
    run(&["rm", &voice]);
    run(&["show", "--history", &voice]);
    run(&["trash"]);
    run(&["trash", "list"]);
    run(&["trash", "restore", &voice]);
    let changed = id_of(&world, "pad");
    write(&world, "music/pad.wav", &tone(400.0, 0.5));
    run(&["rm", &changed, "--delete-audio", "--yes"]);
    run(&["rm", &voice, "--delete-audio", "--yes"]);
    run(&["conflicts", "show", &kick]);
    run(&["conflicts", "resolve", &kick]);
    run(&["relocate", "music/techno", "music"]);
    fs::rename(world.path("music/techno"), world.path("music/house")).unwrap();
    run(&["relocate", "music/techno", "music/house", "--dry-run"]);
}

/// What is similar, and why.
fn search(shapes: &Shapes) {
    let world = World::with(&["kick", "snare", "bass", "pad"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    write(&world, "music/same.wav", &tone(440.0, 1.0));
    write(&world, "music/same again.wav", &tone(440.0, 1.0)[..15_000]);
    world.run(&["scan", "music"]).ok();
    let ids = world.ids();
    let (one, two) = (ids[0].as_str(), ids[1].as_str());
    run(&["edit", one, "--set", "artist=A", "--set", "year=2001"]);
    run(&["similar", one]);
    run(&["similar", one, "-k", "1", "--explain"]);
    run(&["similar", one, two, "--minus", &ids[2], "--explain"]);
    run(&["similar", one, "--blend", "dsp45=0.6,timbre=0.4", "--explain"]);
    run(&["similar", one, "--threshold", "1.5"]);
    run(&["similar", "music/same.wav"]);
    write(&world, "elsewhere.wav", &tone(300.0, 1.0));
    run(&["similar", "elsewhere.wav"]);
    run(&["similar", "nothing-like-this"]);
    run(&["explain", one, two]);
    run(&["search", "kick"]);
    run(&["search", "none-such"]);
    run(&["search", "--like", one]);
    run(&["embed", "elsewhere.wav"]);
    run(&["embed", "elsewhere.wav@0-0.5", "--npy", "out"]);
    // Two that are one recording by their tags.
    for id in &ids[2..4] {
        rewrite(&world, id, |song| {
            song["tags"]["artist"] = "A".into();
            song["tags"]["title"] = "T".into();
            song["audio"]["duration"] = json!(1.0);
        });
    }
    run(&["similar", one]);
    // One that only some models have embedded, and that an early version measured.
    rewrite(&world, two, |song| {
        song["embeddings"].as_object_mut().unwrap().retain(|name, _| name == "dsp45@1");
        song["features"] = json!({"version": 1, "loudness_lufs": -12.0, "peak_db": -1.0});
    });
    let library = world.path("data/songrec/library");
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = fs::remove_file(library.join(name));
    }
    fs::remove_dir_all(library.join("index")).unwrap();
    run(&["similar", one, "--blend", "dsp45=0.6,timbre=0.4", "--explain"]);
    run(&["similar", two, "--blend", "dsp45=0.6,timbre=0.4"]);
    run(&["explain", one, two]);
    rewrite(&world, two, |song| drop(song.as_object_mut().unwrap().remove("embeddings")));
    run(&["explain", one, two]);
    run(&["show", two]);
    run(&["ls"]);
}

/// Checks, repairs, settings, and what is kept far from a library.
fn upkeep(shapes: &Shapes) {
    let world = World::with(&["kick", "snare", "bass"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    let ids = world.ids();
    run(&["init"]);
    run(&["verify"]);
    let vector = format!("data/songrec/library/embeddings/dsp45@1/{}/{}.npy", &ids[0][..2], ids[0]);
    fs::remove_file(world.path(&vector)).unwrap();
    run(&["verify"]);
    run(&["verify", "--repair"]);
    run(&["gc", "--dry-run"]);
    run(&["gc"]);
    run(&["config", "show"]);
    run(&["config", "path"]);
    run(&["doctor"]);
    let named = "[libraries.shelf]\nkind = \"local\"\npath = \"/nowhere\"\n";
    write_config(&world, named);
    run(&["config", "show"]);
    run(&["doctor", "--storage-backend", "shelf"]);
    let spare = "cache/songrec/libraries/0c3e1c5e-8a4e-4a0f-9d4e-3f6c6d1f2a10";
    write(&world, &format!("{spare}-00000000/catalog.sqlite"), b"");
    write(&world, &format!("{spare}-00000001/library.txt"), b"/some/library");
    run(&["cache", "info"]);
    run(&["cache", "prune", "1G"]);
    run(&["cache", "clear"]);
    run(&["export", "out"]);
    fs::write(document(&world, &ids[1]), "{\"id\":").unwrap();
    run(&["export", "out"]);
    run(&["verify"]);
    world.run(&["init", "other"]).ok();
    run(&["migrate", "./other", "./empty", "--dry-run"]);
    run(&["status", "local", "./other"]);
    run(&["sync", "local", "./other"]);
    run(&["check", "local", "./other"]);
    run(&["machines", "--storage-backend", "local"]);
    run(&["machines", "list", "--storage-backend", "local"]);
}

/// What comes from elsewhere.
fn imports(shapes: &Shapes) {
    let world = World::new();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    let metadata = |mood: &str| {
        let all = json!([
            {"id": "one", "filename": "kick.wav", "title": "One", "mood": mood, "my own": 5},
            {"id": "two", "title": "Two", "year": 1999, "instrument": "pad", "label": "L"},
            "no record",
        ]);
        write(&world, "old/data/metadata.json", all.to_string().as_bytes());
    };
    metadata("dark");
    write(&world, "old/data/audio/kick.wav", &tone(220.0, 1.0));
    write(&world, "old/data/embeddings/one.npy", &npy_f64(&[1.0, 0.0, 0.5]));
    run(&["import", "old", "--model", "clap@1"]);
    metadata("calm");
    write(&world, "old/data/embeddings/one.npy", &npy_f64(&[0.0, 1.0, 0.0]));
    run(&["import", "old", "--model", "clap@1"]);
    run(&["import", "nowhere"]);
    for id in world.ids() {
        run(&["show", &id]);
    }
    run(&["ls"]);
    run(&["stats"]);
}

/// Clusters, outliers, maps and measures.
fn analysis(shapes: &Shapes) {
    let world = World::new();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["cluster", "ls"]);
    run(&["cluster"]);
    run(&["anomalies"]);
    run(&["map"]);
    run(&["eval"]);
    for hertz in [200.0, 300.0, 440.0, 600.0, 800.0, 1_000.0] {
        write(&world, &format!("music/{hertz}.wav"), &tone(hertz, 0.5));
    }
    run(&["scan", "music"]);
    // Songs of which nothing is known.
    run(&["cluster", "--k", "2"]);
    run(&["cluster", "show", "0"]);
    run(&["map", "-o", "map.json"]);
    run(&["eval"]);
    for kind in ["bass", "bell", "hihat", "kick", "pad", "pluck", "rock", "snare", "voice"] {
        for (number, file) in examples(kind).iter().enumerate() {
            let ending = file.extension().unwrap().to_str().unwrap();
            world.add(file, &format!("{kind}/{number}.{ending}"));
        }
    }
    run(&["scan", "music"]);
    run(&["cluster", "-k", "auto"]);
    run(&["cluster", "--method", "dbscan", "--eps", "9", "-f", "genre:*"]);
    run(&["cluster", "-k", "6"]);
    run(&["cluster", "ls"]);
    run(&["cluster", "show", "0", "--limit", "2"]);
    run(&["cluster", "show", "none-such"]);
    run(&["cluster", "rename", "0", "dark pads"]);
    run(&["cluster", "rename", "none-such", "x"]);
    run(&["ls", "-f", "cluster:dark pads"]);
    run(&["show", &world.ids()[0]]);
    run(&["anomalies"]);
    run(&["anomalies", "--contamination", "2"]);
    run(&["map", "-o", "map.html", "--color", "cluster"]);
    run(&["map", "-o", "map"]);
    run(&["eval"]);
    // By a model with nothing in some of the bands.
    world.run(&["scan", "--missing", "--model", "dsp47"]).ok();
    run(&["eval", "--models", "dsp45,dsp47", "--not-same", "artist"]);
    run(&["eval", "--distortions", "2"]);
    run(&["cluster", "rm"]);
    run(&["cluster", "rm"]);
}

/// Lists of songs, and files of them.
fn playlists(shapes: &Shapes) {
    let world = World::new();
    for kind in ["kick", "snare", "pad"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    // Each file that has an artist is one that has none elsewhere.
    write(&world, "music/tone.wav", &tone(300.0, 0.5));
    world.run(&["scan", "music"]).ok();
    let ids = world.ids();
    world.run(&["edit", &ids[0], "--set", "artist=Somebody"]).ok();
    world.run(&["edit", &ids[3], "--clear", "artist"]).ok();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["playlist"]);
    run(&["playlist", "ls"]);
    run(&["playlist", "new", "Evening", &ids[0], &ids[3]]);
    run(&["playlist", "new", "evening"]);
    run(&["playlist", "new", "Short", "--duration", "<9", "--length", "2"]);
    run(&["playlist", "new", "Like", "--like", &ids[0]]);
    run(&["playlist", "new", "None", "-f", "genre:polka"]);
    run(&["playlist", "add", "Evening", "-f", "genre:polka"]);
    run(&["playlist", "add", "Evening", &ids[1], "--at", "1"]);
    run(&["playlist", "add", "nobody", &ids[1]]);
    run(&["playlist", "move", "Evening", "3", "1"]);
    run(&["playlist", "move", "Evening", "9", "1"]);
    run(&["playlist", "edit", "Evening", "--name", "Late"]);
    run(&["playlist", "edit", "Late"]);
    run(&["playlist"]);
    run(&["playlist", "ls"]);
    run(&["ls", "-f", "playlist:late"]);
    run(&["rm", &ids[0]]);
    for name in ["Late", "Short", "Like", "None", "nobody"] {
        run(&["playlist", "show", name]);
    }
    run(&["playlist", "export", "Late", "late.m3u8"]);
    run(&["playlist", "export", "Late", "late.m3u8"]);
    let some = "#EXTINF:1,A - B\nnowhere.wav\nmusic/tone.wav\nmusic/kick.wav\nmusic/pad.wav\n";
    fs::write(world.path("more.m3u8"), some).unwrap();
    run(&["playlist", "import", "late.m3u8", "--dry-run"]);
    run(&["playlist", "import", "more.m3u8"]);
    fs::write(world.path("odd.jspf"), "{\"playlist\":{\"track\":[{}]}}").unwrap();
    run(&["playlist", "import", "odd.jspf"]);
    run(&["playlist", "import", "nowhere.xspf"]);
    run(&["playlist", "rm", "Late", "--at", "1"]);
    run(&["radio", &ids[1], "--length", "9", "--playlist", "Radio"]);
    run(&["radio", &ids[1], "--minutes", "0.1"]);
    run(&["radio", &ids[1], "--variety", "7"]);
    run(&["path", &ids[1], &ids[3], "--length", "3", "--playlist", "Way"]);
    run(&["path", &ids[1], &ids[3], "--mix"]);
    run(&["path", &ids[1], &ids[1]]);
    run(&["playlist", "rm", "Late", "nothing-such"]);
    run(&["playlist", "delete", "Late"]);
    run(&["playlist", "delete", "Late"]);
}

/// Regions of songs.
fn patterns(shapes: &Shapes) {
    let world = World::with(&["kick", "snare"]);
    let (a, b) = (world.ids()[0].clone(), world.ids()[1].clone());
    world.run(&["edit", &a, "--set", "artist=Somebody"]).ok();
    world.run(&["edit", &b, "--clear", "artist"]).ok();
    let (one, two) = (format!("{a}@0-0.1"), format!("{b}@0-0.1"));
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["patterns"]);
    run(&["patterns", "ls"]);
    fs::write(world.path("f.npy"), npy_f64(&[1.0, 2.0])).unwrap();
    let rich = ["--low", "20", "--high", "80", "--source", "by ear", "--meta", "bar={\"is\":7}"];
    run(&[&["patterns", "add", &one, "--type", "x", "--features", "f.npy"][..], &rich].concat());
    let given = ["patterns", "add", &two, "--type", "x", "--features", "f.npy"];
    for id in ["33333333-1111-4111-8111-111111111111"; 2] {
        run(&[&given[..], &["--id", id]].concat());
    }
    run(&["patterns", "add", "nowhere@0-1", "--type", "x", "--features", "f.npy"]);
    run(&["patterns", "add", &one, &two, "nowhere@0-1", "--type", "heard"]);
    let id = "11111111-1111-4111-8111-111111111111";
    let line =
        json!({"id": id, "song": a, "start": 0, "end": 0.1, "kind": "y", "features": [1, 2]});
    let lines = format!("{line}\n{line}\n{{}}\n{}\n", line.to_string().replace("0.1", "99"));
    fs::write(world.path("lines.jsonl"), lines).unwrap();
    run(&["patterns", "add", "--from", "lines.jsonl"]);
    run(&["patterns"]);
    run(&["patterns", "ls"]);
    run(&["patterns", "ls", "nothing-such"]);
    run(&["patterns", "query", "--type", "x", "--features"]);
    run(&["patterns", "query", "--type", "nothing-such"]);
    run(&["patterns", "show", id]);
    run(&["patterns", "edit", id, "--type", "z"]);
    run(&["patterns", "edit", id, "--confidence", "2"]);
    run(&["patterns", "similar", id]);
    run(&["patterns", "similar", &one, "-k", "1"]);
    run(&["patterns", "similar", "--features", "f.npy", "-k", "2"]);
    run(&["patterns", "similar", id, "--model", "nobody"]);
    run(&["patterns", "rm", id, "22222222-1111-4111-8111-111111111111"]);
    run(&["patterns", "rm", id]);
    run(&["patterns", "show", id]);
}

/// Songs that early versions wrote, with all that they could say.
fn of_before(shapes: &Shapes) {
    let world = World::with(&["kick", "snare"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    let ids = world.ids();
    let stamp = "019a00000000000a";
    let operation = "6f1d2c9e51f44f0c9b593c2b6a9d0e11";
    rewrite(&world, &ids[0], |song| {
        song["format"] = json!(1);
        song["tags"] = json!({
            "title": "Title", "artist": "Artist", "album": "Album", "album_artist": "Artists",
            "genres": ["techno"], "year": 1999, "track": 1, "disc": 2, "bpm": 120.5, "key": "Am",
            "moods": ["dark"], "instrument": "kick", "loop": true, "comment": "Comment",
            "composer": "Composer", "label": "Label", "from_file_name": true,
            "art": {"media_type": "image/jpeg", "size": 100}, "extra": {"isrc": "x"},
        });
        song["edits"] = json!({"title": "Mine"});
        song["stamps"] = json!({"edits.title": stamp});
        song["conflicts"] = json!([
            {"field": "title", "value": "Theirs", "stamp": stamp, "operation": operation},
            {"field": "year", "value": 2001, "stamp": stamp, "operation": operation},
        ]);
        song["history"].take();
        song.as_object_mut().unwrap().retain(|name, _| name != "history" && name != "sources");
    });
    rewrite(&world, &ids[1], |song| song["history"]["gone"] = json!(["of old"]));
    for id in &ids {
        run(&["show", id]);
        run(&["show", "--history", id]);
    }
    run(&["ls"]);
    run(&["conflicts"]);
    run(&["conflicts", "show", &ids[0]]);
    run(&["conflicts", "resolve", &ids[0], "title", "--take", "1"]);
    run(&["edit", &ids[0], "--set", "mood=calm"]);
    run(&["show", &ids[0]]);
}

/// Models in folders and on servers.
fn models(shapes: &Shapes) {
    let world = World::with(&["kick", "pad"]);
    let server = Server::start();
    let far = format!(
        "[models.far]\nkind = \"http\"\nform = \"oip\"\nurl = \"{}\"\ndimension = 3\n\
         sample_rate = 8000\nwindow = 0.25\n",
        server.url()
    );
    let more = format!("hop = 0.125\n{far}");
    configure(&world, &server, &more);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["model", "verify"]);
    let files = tiny_model("clap-tiny@1");
    let files = files.to_str().unwrap();
    run(&["model", "add", "clap-tiny", files]);
    run(&["model", "add", "clap-tiny", files]);
    run(&["model", "list"]);
    for name in ["dsp45@1", "clap-tiny", "ear", "far"] {
        run(&["model", "info", name]);
    }
    run(&["model", "bench", "clap-tiny", "--seconds", "1"]);
    run(&["model", "bench", "ear", "--seconds", "1"]);
    run(&["model", "verify"]);

    write(&world, "music/tone.wav", &tone(300.0, 1.0));
    world.run(&["scan", "music"]).ok();
    run(&["scan", "--missing", "--model", "ear", "--model", "dsp45", "--segments"]);
    run(&["scan", "--missing", "--model", "clap-tiny", "--model", "dsp45"]);
    let id = id_of(&world, "tone");
    run(&["similar", &id, "--passages", "--model", "ear"]);
    run(&["similar", &id, "--passages", "--model", "ear", "-k", "1"]);
    run(&["similar", &format!("{id}@0-0.25"), "--model", "ear", "-k", "50"]);
    run(&["similar", &id, "--blend", "ear=0.5,dsp45=0.5"]);
    run(&["search", "--text", "warm pad"]);
    run(&["embed", "music/tone.wav", "--model", "ear", "--windows"]);
    run(&["embed", "music/tone.wav", "--model", "ear", "--windows", "--npy", "out"]);
    run(&["embed", "music/tone.wav@0-0.5"]);
    server.stop();
    write(&world, "music/later.wav", &tone(500.0, 1.0));
    run(&["scan", "music", "--model", "ear", "--model", "dsp45"]);

    run(&["stats"]);
    shapes.answer(&world, &["model", "remove", "clap-tiny"], "n");
    let folder = world.path("data/songrec/models/clap-tiny@1");
    fs::write(folder.join("clap_text.onnx"), "damaged").unwrap();
    run(&["model", "verify", "clap-tiny"]);
    run(&["model", "remove", "clap-tiny", "--yes"]);
    write(&world, "data/songrec/models/odd@1/model.toml", b"name = 5");
    run(&["model", "verify"]);
}

/// A library in the cloud.
fn cloud(shapes: &Shapes) {
    let world = World::bare();
    let (database, bucket) = (Database::start(), S3Server::start());
    database.serve_bucket(&world, &bucket);
    let run = |arguments: &[&str]| shapes.astra(&world, arguments);
    run(&["init-astra", "--check"]);
    database.command("", &json!({"createCollection": {"name": "songs"}}));
    run(&["init-astra", "--check"]);
    database.command("", &json!({"deleteCollection": {"name": "songs"}}));
    run(&["init-astra"]);
    run(&["init-astra"]);
    for kind in ["kick", "snare"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    run(&["scan", "music"]);
    let summaries = run(&["ls"]);
    let id = summaries[0]["id"].as_str().unwrap();
    run(&["show", id]);
    run(&["edit", id, "--set", "title=Mine"]);
    run(&["similar", id]);
    run(&["stats"]);
    run(&["url", id]);
    run(&["get", id, "got.wav"]);
    run(&["doctor"]);
    run(&["config", "show"]);
    run(&["machines"]);
    run(&["machines", "list"]);
    shapes.answer(&world, &["gc", "--storage-backend", "astra"], "n");
    run(&["gc", "--yes"]);
    fs::remove_dir_all(world.path("music")).unwrap();
    run(&["get", id, "again.wav"]);
    run(&["cache", "info"]);
    run(&["rm", id]);
}

/// One library in several places.
fn several(shapes: &Shapes) {
    let (one, database) = with_cloud(&["kick", "snare", "bass", "pad"]);
    let on_one = |arguments: &[&str]| shapes.run(&one, arguments);
    on_one(&["migrate", "local", "astra", "--dry-run"]);
    on_one(&["migrate", "local", "./disk", "--verify", "none"]);
    on_one(&["playlist", "new", "Best"]);
    let part = format!("{}@0-0.1", one.ids()[0]);
    let pattern = on_one(&["patterns", "add", &part, "--type", "x"]);
    let pattern = pattern[0]["pattern"]["id"].as_str().unwrap().to_owned();
    on_one(&["status"]);
    on_one(&["sync", "--dry-run"]);
    on_one(&["sync"]);
    let two = another(&one, &database);
    let on_two = |arguments: &[&str]| shapes.run(&two, arguments);
    on_two(&["clone", "astra", "data/songrec/library"]);
    on_two(&["machines"]);
    let ids = one.ids();
    let (a, b, c) = (ids[0].as_str(), ids[1].as_str(), ids[2].as_str());
    one.run(&["edit", a, "--set", "title=One", "--set", "genre=a"]).ok();
    two.run(&["edit", a, "--set", "title=Two", "--set", "genre=b"]).ok();
    one.run(&["rm", b]).ok();
    two.run(&["edit", b, "--set", "title=Kept"]).ok();
    two.run(&["rm", c]).ok();
    on_one(&["playlist", "add", "Best", a]);
    on_two(&["playlist", "edit", "Best", "--name", "Best of two"]);
    on_one(&["patterns", "edit", &pattern, "--type", "here"]);
    on_two(&["patterns", "edit", &pattern, "--type", "there"]);
    on_one(&["sync"]);
    on_two(&["status"]);
    on_two(&["sync"]);
    on_one(&["check", "local", "astra"]);
    on_one(&["sync"]);
    on_one(&["playlist", "ls"]);
    on_one(&["patterns", "show", &pattern]);
    on_one(&["patterns", "edit", &pattern, "--keep-features"]);
    on_one(&["conflicts"]);
    on_one(&["conflicts", "show", a]);
    on_one(&["conflicts", "resolve", a, "title"]);
    on_one(&["sync", "--direction", "pull"]);
    on_one(&["sync"]);
    on_one(&["migrate", "local", "./disk", "--no-audio"]);
    on_one(&["check", "local", "./disk", "--read-data"]);
    on_one(&["sync", "local", "./disk"]);
    // What both have scanned, and each at another place.
    write(&one, "music/of one.wav", &tone(700.0, 0.5));
    write(&two, "music/of two.wav", &tone(700.0, 0.5));
    one.run(&["scan", "music"]).ok();
    two.run(&["scan", "music"]).ok();
    on_one(&["sync"]);
    on_two(&["sync"]);
    // An object that is lost.
    let last = ids[3].as_str();
    let vector = format!("data/songrec/library/embeddings/dsp45@1/{}/{last}.npy", &last[..2]);
    fs::remove_file(one.path(&vector)).unwrap();
    on_one(&["migrate", "local", "./lacking"]);
    on_one(&["sync", "local", "./disk"]);
    // One that a side cannot read.
    fs::write(document(&one, a), "{\"id\":").unwrap();
    two.run(&["edit", a, "--set", "comment=x"]).ok();
    two.run(&["sync"]).ok();
    on_one(&["status"]);
    on_one(&["sync"]);
    on_one(&["migrate", "local", "./another"]);
    let machines = on_one(&["machines"]);
    on_one(&["machines", "retire", machines[0]["id"].as_str().unwrap()]);
    on_one(&["machines", "retire", "nobody"]);
    on_one(&["sync", "local", "local"]);
}
