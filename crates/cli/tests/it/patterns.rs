//! Patterns, as people and programs make and use them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

#[cfg(all(feature = "astra", feature = "emulator"))]
use crate::syncing::{another, with_cloud};
use crate::{
    keeping::npy_f64,
    world::{Run, World},
};

// The id that `patterns add` prints.
#[track_caller]
fn added(run: Run) -> String {
    let run = run.ok();
    run.stdout.trim().to_owned()
}

fn kinds(world: &World, arguments: &[&str]) -> Vec<String> {
    let found = world.json_lines(&[&["patterns"], arguments].concat());
    found.iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
}

// What a command prints that reads `input`.
fn fed(world: &World, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = world
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

fn line(song: &str, start: f64, kind: &str, features: &[f64]) -> String {
    let end = start + 0.25;
    json!({"song": song, "start": start, "end": end, "kind": kind, "features": features})
        .to_string()
}

#[test]
fn a_pattern_is_named_by_the_beginning_of_its_id_and_not_changed_by_nothing() {
    let world = World::with(&["kick", "pad"]);
    let part = format!("{}@0:00-0:00.2", world.ids()[0]);
    let ids = ["57db617b-1184-4b67-9513-d0a7d2aee568", "57dbaaaa-1184-4b67-9513-d0a7d2aee568"];
    for id in ids {
        world.run(&["patterns", "add", &part, "--type", "hit", "--id", id]).ok();
    }

    let shown = world.json(&["patterns", "show", "57DB61"]);
    let nothing = world.run(&["patterns", "edit", "57db617b"]);
    let several = world.run(&["patterns", "show", "57db"]);
    let short = world.run(&["patterns", "show", "57d"]);
    let none = world.run(&["patterns", "rm", "abcd"]);
    let like = world.json(&["patterns", "similar", "57db617b", "-k", "1"]);
    world.run(&["patterns", "edit", "57db617b-1184", "--type", "kick"]).ok();
    world.run(&["patterns", "rm", "57dbaaaa"]).ok();

    assert_eq!(shown["id"], ids[0]);
    assert!(nothing.code == 2 && nothing.stderr.contains("nothing to change"), "{nothing:?}");
    assert!(several.code == 2 && several.stderr.contains("any of 2 patterns"), "{several:?}");
    assert!(short.code == 2 && short.stderr.contains("no id of a pattern"), "{short:?}");
    assert!(none.code == 4 && none.stderr.contains("no pattern `abcd`"), "{none:?}");
    assert_eq!((&like["pattern"], &like["results"][0]["id"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(kinds(&world, &["ls"]), ["kick"]);
    let below = world.run(&["patterns", "add", &part, "--type", "x", "--low", "-5", "--high", "9"]);
    assert!(below.stderr.contains("-5 Hz to 9 Hz is no range"), "{below:?}");
}

#[test]
fn a_pattern_is_made_found_changed_and_deleted() {
    let world = World::with(&["kick", "pad"]);
    let (kick, pad) = (&world.ids()[0], &world.ids()[1]);
    let none = world.run(&["patterns"]);
    assert!(none.code == 1 && none.stderr.contains("`songrec patterns add`"), "{none:?}");

    let part = format!("{pad}@0:00.1-0:01");
    let rich = ["--type", "harmonic", "--low", "20", "--high", "8000", "--confidence", "0.9"];
    let more = ["--source", "by ear", "--meta", "bar=7", "--meta", "note=a \"b\""];
    let id = added(world.run(&[&["patterns", "add", &part][..], &rich, &more].concat()));
    let both = [format!("{kick}@0-0.2"), format!("{pad}@0.5-0.8")];
    let low = ["patterns", "add", &both[0], &both[1], "--kind", "thump", "--confidence", "0.4"];
    let two = world.run(&low).ok();
    assert_eq!(two.stdout.lines().count(), 2, "{two:?}");

    let shown = world.json(&["patterns", "show", &id]);
    assert_eq!(shown["start"], 0.1);
    assert_eq!((&shown["low"], &shown["confidence"]), (&json!(20.0), &json!(0.9)));
    assert_eq!(shown["metadata"], json!({"bar": 7, "note": "a \"b\""}));
    assert_eq!(
        shown["features"].as_array().unwrap().len() as u64,
        shown["dimension"].as_u64().unwrap()
    );
    for (arguments, expected) in [
        (&["ls"][..], &["harmonic", "thump", "thump"][..]),
        (&["ls", kick], &["thump"]),
        (&["query", "--type", "harmonic"], &["harmonic"]),
        (&["query", "--type", "nothing"], &[]),
        (&["query", "--time", "0:00.9-0:05"], &["harmonic"]),
        (&["query", "--low", "9000"], &["thump", "thump"]),
        (&["query", "--high", "10"], &["thump", "thump"]),
        (&["query", "--low", "100", "--high", "200"], &["harmonic", "thump", "thump"]),
        (&["query", "--confidence", "0.5"], &["harmonic"]),
        (&["query", "--source", "by ear"], &["harmonic"]),
        (&["query", "--sort", "confidence", "-r", "-l", "1"], &["harmonic"]),
        (&["query", "--sort", "end", "--offset", "1"], &["thump", "harmonic"]),
        (&["query", pad, "--type", "thump,harmonic", "--sort", "end"], &["thump", "harmonic"]),
    ] {
        let mut found = kinds(&world, arguments);
        if !arguments.contains(&"--sort") {
            found.sort();
        }
        assert_eq!(found, expected, "{arguments:?}");
    }

    let before = shown["features"].clone();
    world.run(&["patterns", "edit", &id, "--type", "chord", "--no-meta", "note"]).ok();
    world.run(&["patterns", "edit", &id, "--at", "0:00.2-0:01", "--all-frequencies"]).ok();
    let changed = world.json(&["patterns", "show", &id]);
    assert_eq!((&changed["kind"], &changed["start"]), (&json!("chord"), &json!(0.2)));
    assert_eq!((&changed["metadata"], &changed["source"]), (&json!({"bar": 7}), &json!("by ear")));
    assert!(changed.get("low").is_none() && changed["features"] != before, "{changed}");
    assert_eq!(changed["created_at"], shown["created_at"]);
    assert_ne!(changed["changed_at"], shown["changed_at"]);
    assert_eq!(world.json_lines(&["patterns", "ls"]).len(), 3, "a change makes no other one");

    world.run(&["patterns", "rm", &id]).ok();
    let gone = world.run(&["patterns", "show", &id]);
    assert!(gone.code == 4 && gone.stderr.contains("`songrec patterns ls`"), "{gone:?}");
    let again = world.run(&["patterns", "rm", &id]);
    assert_eq!(again.code, 4, "{again:?}");
    let forgotten = world.run(&[&["patterns", "add", &part][..], &rich, &["--id", &id]].concat());
    assert!(forgotten.code == 2 && forgotten.stderr.contains("deleted"), "{forgotten:?}");
    world.run(&["rm", kick]).ok();
    assert_eq!(kinds(&world, &["ls"]), ["thump"], "those of songs that are gone are not shown");
    world.run(&["verify"]).ok();
}

#[test]
fn patterns_are_compared_by_their_features() {
    let world = World::with(&["kick", "pad"]);
    let (kick, pad) = (&world.ids()[0], &world.ids()[1]);
    for (name, values) in [("a", [1.0, 0.0, 0.0]), ("b", [1.0, 0.2, 0.0]), ("c", [0.0, 0.0, 9.0])] {
        fs::write(world.path(&format!("{name}.npy")), npy_f64(&values)).unwrap();
    }
    let add = |song: &str, name: &str, more: &[&str]| {
        let (part, file) = (format!("{song}@0-0.2"), format!("{name}.npy"));
        let given = ["patterns", "add", &part, "--type", name, "--features", &file];
        added(world.run(&[&given[..], more].concat()))
    };
    let a = add(kick, "a", &[]);
    let b = add(pad, "b", &[]);
    add(pad, "c", &[]);
    add(pad, "c", &["--model", "mine@1", "--metric", "euclidean"]);
    let heard = added(world.run(&["patterns", "add", &format!("{pad}@0-0.5"), "--type", "d"]));
    let similar = |arguments: &[&str]| {
        let found = world.json(&[&["patterns", "similar"], arguments].concat());
        let results = found["results"].as_array().unwrap().iter();
        let kinds: Vec<String> =
            results.map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
        (kinds.join(" "), found["model"].as_str().unwrap().to_owned())
    };
    let of = |kinds: &str, model: &str| (kinds.to_owned(), model.to_owned());
    assert_eq!(similar(&[&a]), of("b c", "given-3@1"));
    assert_eq!(similar(&["--features", "a.npy"]), of("a b c", "given-3@1"));
    assert_eq!(similar(&[&a, "--threshold", "0.8"]), of("b", "given-3@1"));
    assert_eq!(similar(&["--features", "a.npy", "-k", "1", "--offset", "1"]), of("b", "given-3@1"));
    assert_eq!(similar(&["--features", "a.npy", "--song", pad]), of("b c", "given-3@1"));
    assert_eq!(similar(&["--features", "a.npy", "--type", "c"]), of("c", "given-3@1"));
    assert_eq!(similar(&["--features", "c.npy", "--model", "mine"]), of("c", "mine@1"));
    let (found, model) = similar(&[&format!("{pad}@0.1-0.4")]);
    assert!(found == "d" && !model.starts_with("given"), "{model}");
    assert_eq!(similar(&[pad]).0, "d");
    let none = world.run(&["patterns", "similar", &heard]);
    assert!(none.code == 1 && none.stderr.contains("these are all patterns"), "{none:?}");
    let euclidean = world.json(&["patterns", "similar", &a, "--metric", "euclidean"]);
    assert_eq!(euclidean["metric"], "euclidean");

    // What is set counts where nothing is said.
    fs::write(world.path(".songrec.toml"), "[patterns]\nthreshold = 0.99\nresults = 1\n").unwrap();
    assert_eq!(similar(&["--features", "a.npy"]).0, "a");
    assert_eq!(similar(&["--features", "a.npy", "--threshold", "0.5", "-k", "9"]).0, "a b");
    // Windows and songs are not among patterns, nor patterns among them.
    let mut given = kinds(&world, &["query", "--model", "given-3@1"]);
    given.sort();
    assert_eq!(given, ["a", "b", "c"]);
    let songs = world.json(&["similar", kick]);
    assert!(!songs["model"].as_str().unwrap().starts_with("given"), "{songs}");
    let file = world.path("out.npy");
    world.run(&["patterns", "show", &b, "--npy", file.to_str().unwrap()]).ok();
    assert_eq!(similar(&["--features", "out.npy", "-k", "1"]).0, "b");
}

#[test]
fn what_no_pattern_can_be_is_refused() {
    let world = World::with(&["kick"]);
    let kick = world.ids()[0].clone();
    fs::write(world.path("empty.npy"), npy_f64(&[])).unwrap();
    fs::write(world.path("one.npy"), npy_f64(&[1.0])).unwrap();
    fs::write(world.path("zero.npy"), npy_f64(&[0.0, 0.0])).unwrap();
    let part = format!("{kick}@0-0.1");
    let far = format!("{kick}@0-100");
    let id = added(world.run(&["patterns", "add", &part, "--type", "x", "--features", "one.npy"]));
    for (arguments, code, said) in [
        (&["add", &part][..], 2, "--kind"),
        (&["add", &part, "--type", ""], 2, "a pattern has a kind"),
        (&["add", &part, "--type", "window"], 2, "scans call"),
        (&["add", &kick, "--type", "x"], 2, "names no part of a song"),
        (&["add", &far, "--type", "x"], 2, "it ends after"),
        (&["add", "nowhere@0-1", "--type", "x"], 4, "there is no song `nowhere`"),
        (&["add", &part, "--type", "x", "--low", "20"], 2, "--high"),
        (&["add", &part, "--type", "x", "--low", "9", "--high", "1"], 2, "9 Hz to 1 Hz"),
        (&["add", &part, "--type", "x", "--confidence", "1.5"], 2, "from 0 to 1"),
        (&["add", &part, "--type", "x", "--confidence", "-1"], 2, "from 0 to 1"),
        (&["add", &part, "--type", "x", "--features", "empty.npy"], 2, "holds no vector"),
        (&["add", &part, "--type", "x", "--features", "zero.npy"], 2, "cannot be used"),
        (&["add", &part, "--type", "x", "--features", "nothing.npy"], 4, "nothing.npy"),
        (&["add", &part, "--type", "x", "--model", "nobody@1"], 2, "nobody@1"),
        (&["add", &part, "--type", "x", "--meta", "bar"], 2, "a name and a value"),
        (&["add", &part, &part, "--type", "x", "--features", "one.npy"], 2, "of one part"),
        (
            &["add", &part, "--type", "x", "--features", "one.npy", "--model", "dsp45"],
            2,
            "cannot be used",
        ),
        (&["add", "--from", "nothing.jsonl"], 4, "nothing.jsonl"),
        (&["show", "nobody"], 2, "no id of a pattern"),
        (&["edit", &id, "--confidence", "2"], 2, "from 0 to 1"),
        (&["edit", &id, "--low", "5"], 2, "a lowest and a highest"),
        (&["edit", &id, "--at", "0-100"], 2, "it ends after"),
        (&["edit", &id, "--at", "0-0.2"], 2, "of another part"),
        (&["edit", &id, "--at", "1-0"], 2, "is no part of a song"),
        (&["query", "--low", "9", "--high", "1"], 2, "no pattern can be asked for so"),
        (&["similar"], 2, "WHAT"),
        (&["similar", "11111111-1111-4111-8111-111111111111"], 4, "there is no pattern"),
        (&["similar", "--features", "zero.npy"], 4, "features of no model"),
        (&["rm", "11111111-1111-4111-8111-111111111111"], 4, "there is no pattern"),
    ] {
        let run = world.run(&[&["patterns"], arguments].concat());
        assert!(run.code == code && run.stderr.contains(said), "{arguments:?} {run:?}");
    }
    world.run(&["patterns", "edit", &id, "--at", "0-0.2", "--keep-features"]).ok();
    assert_eq!(kinds(&world, &["ls"]), ["x"], "nothing else was made");
}

#[test]
fn a_program_feeds_patterns_line_by_line() {
    let world = World::with(&["kick", "pad"]);
    let (kick, pad) = (&world.ids()[0], &world.ids()[1]);
    let id = "11111111-1111-4111-8111-111111111111";
    let mut with_id: Value = serde_json::from_str(&line(kick, 0.0, "first", &[1.0, 2.0])).unwrap();
    with_id["id"] = json!(id);
    let long = format!("{{\"song\":\"{}\"}}", "x".repeat(300 << 10));
    let lines = [
        with_id.to_string(),
        String::new(),
        "{\"song\":".to_owned(),
        line(pad, 0.5, "second", &[1.0, 3.0]),
        line("nowhere", 0.5, "third", &[1.0]),
        line(pad, 0.5, "fourth", &[]),
        long,
        line(pad, 99.0, "fifth", &[1.0]),
        with_id.to_string(),
        line(kick, 0.1, "last", &[2.0, 1.0]),
    ]
    .join("\n");

    let run = fed(&world, &["patterns", "add", "--from", "-", "--json"], lines.as_bytes());

    assert_eq!(run.code, 3, "{run:?}");
    let said: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |what: &str| -> Vec<u64> {
        let all = said.iter().filter(|one| one["type"] == what);
        all.filter_map(|one| one["line"].as_u64()).collect()
    };
    assert_eq!(of("added"), [1, 4, 10], "{run:?}");
    assert_eq!((of("known"), of("failed")), (vec![9], vec![3, 5, 6, 7, 8]), "{run:?}");
    let summary =
        json!({"type": "summary", "added": 3, "known": 1, "failed": 5, "interrupted": false});
    assert_eq!(said.last(), Some(&summary));
    let plain = fed(&world, &["patterns", "add", "--from", "-"], b"{}\n");
    assert!(plain.code == 3 && plain.stderr.contains("line 1: "), "{plain:?}");
    assert_eq!(fed(&world, &["patterns", "add", "--from", "-"], b"").code, 1);

    // What one library has another one takes, and what is there stays as it is.
    let all = world.run(&["patterns", "query", "--features", "--json"]).ok();
    world.run(&["patterns", "edit", id, "--type", "changed"]).ok();
    let same = fed(&world, &["patterns", "add", "--from", "-"], all.stdout.as_bytes()).ok();
    assert!(same.stderr.contains("added 0 patterns, 3 were there already"), "{same:?}");
    assert_eq!(world.json(&["patterns", "show", id])["kind"], "changed");
    // What is wrong is refused, whether its id is known from the same batch or from before.
    with_id["end"] = json!(99);
    let wrong = fed(&world, &["patterns", "add", "--from", "-"], with_id.to_string().as_bytes());
    assert!(wrong.code == 3 && wrong.stderr.contains("no part that ends at 1:39"), "{wrong:?}");
    let other = World::with(&["kick", "pad"]);
    fs::write(other.path("all.jsonl"), &all.stdout).unwrap();
    other.run(&["patterns", "add", "--from", "all.jsonl"]).ok();
    assert_eq!(kinds(&other, &["query"]).len(), 3);
    assert_eq!(other.json(&["patterns", "show", id])["features"], json!([1.0, 2.0]));
}

#[test]
fn what_a_program_has_written_is_stored_before_it_writes_more() {
    let world = World::with(&["kick"]);
    let kick = world.ids()[0].clone();
    let mut child = world
        .command(&["patterns", "add", "--from", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());

    for number in 0..3 {
        writeln!(stdin, "{}", line(&kick, 0.0, &format!("kind {number}"), &[1.0])).unwrap();
        let mut id = String::new();
        stdout.read_line(&mut id).unwrap();
        let shown = world.json(&["patterns", "show", id.trim()]);
        assert_eq!(shown["kind"], format!("kind {number}"));
    }

    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn patterns_go_where_their_songs_go() {
    let one = World::with(&["kick", "pad"]);
    let (kick, pad) = (one.ids()[0].clone(), one.ids()[1].clone());
    let add = |song: &str, kind: &str| {
        added(one.run(&["patterns", "add", &format!("{song}@0-0.2"), "--type", kind]))
    };
    let (kept, edited, gone) = (add(&kick, "kept"), add(&kick, "edited"), add(&pad, "gone"));
    one.run(&["migrate", "local", "./disk"]).ok();
    let disk = |arguments: &[&str]| one.run(&[&["--library", "disk"], arguments].concat());
    disk(&["patterns", "show", &kept]).ok();

    // Both change one without knowing of the other, and one is deleted.
    one.run(&["patterns", "edit", &edited, "--type", "here"]).ok();
    disk(&["patterns", "edit", &edited, "--type", "there"]).ok();
    one.run(&["patterns", "rm", &gone]).ok();
    for _ in 0..2 {
        one.run(&["sync", "local", "./disk"]).ok();
    }

    let shown = one.json(&["patterns", "show", &edited]);
    let there = disk(&["patterns", "show", &edited, "--json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&there.stdout).unwrap(), shown);
    assert_eq!((&shown["kind"], &shown["others"][0]["kind"]), (&json!("there"), &json!("here")));
    assert_eq!(disk(&["patterns", "show", &gone]).code, 4);
    // The next change decides, everywhere.
    one.run(&["patterns", "edit", &edited, "--type", "both"]).ok();
    one.run(&["sync", "local", "./disk"]).ok();
    let there = disk(&["patterns", "show", &edited, "--json"]).ok();
    let there: Value = serde_json::from_str(&there.stdout).unwrap();
    assert!(there["kind"] == "both" && there.get("others").is_none(), "{there}");
    // A deletion beats only what it knew.
    one.run(&["patterns", "rm", &kept]).ok();
    disk(&["patterns", "edit", &kept, "--type", "needed"]).ok();
    one.run(&["sync", "local", "./disk"]).ok();
    let found: Vec<String> = kinds(&one, &["ls"]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&"needed".to_owned()), "{found:?}");
    one.run(&["verify"]).ok();
}

#[test]
#[cfg(all(feature = "astra", feature = "emulator"))]
fn patterns_reach_another_machine_by_the_cloud() {
    let (one, database) = with_cloud(&["kick", "pad"]);
    let kick = one.ids()[0].clone();
    let part = format!("{kick}@0-0.2");
    let add = |kind: &str| {
        let rich = ["--type", kind, "--low", "20", "--high", "80", "--source", "by ear"];
        added(one.run(&[&["patterns", "add", &part][..], &rich, &["--meta", "bar=7"]].concat()))
    };
    let (kept, gone) = (add("kept"), add("gone"));
    one.run(&["sync"]).ok();
    let cloud = |arguments: &[&str]| {
        let run = one.run(&[&["--storage-backend", "astra"], arguments, &["--json"]].concat());
        (run.code, run.stdout.lines().next().map(|line| serde_json::from_str(line).unwrap()))
    };

    let (_, shown): (i32, Option<Value>) = cloud(&["patterns", "show", &kept]);
    assert_eq!(shown, Some(one.json(&["patterns", "show", &kept])));
    let (_, found): (i32, Option<Value>) = cloud(&["patterns", "similar", &kept]);
    assert_eq!(found.unwrap()["results"][0]["kind"], "gone");
    let asked = ["patterns", "query", "--type", "kept", "--low", "50", "--source", "by ear"];
    let (_, found): (i32, Option<Value>) = cloud(&asked);
    assert_eq!(found.unwrap()["id"], kept.as_str());
    let (code, _): (i32, Option<Value>) = cloud(&["patterns", "edit", &kept, "--type", "changed"]);
    assert_eq!(code, 0);
    let (code, _): (i32, Option<Value>) = cloud(&["patterns", "rm", &gone]);
    assert_eq!(code, 0);
    let two = another(&one, &database);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();
    one.run(&["sync"]).ok();

    for world in [&one, &two] {
        assert_eq!(kinds(world, &["ls"]), ["changed"]);
    }
    two.run(&["patterns", "rm", &kept]).ok();
    two.run(&["sync"]).ok();
    one.run(&["sync"]).ok();
    assert_eq!(kinds(&one, &["ls"]), Vec::<String>::new());
}

#[test]
fn the_examples_of_patterns_do_what_they_say() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for (name, said) in [
        ("basic", "deleted 1 pattern"),
        ("batch", "added 0 patterns, 12 were there already"),
        ("errors", "nothing was lost"),
        ("queries", "the nearest of them is"),
    ] {
        let world = World::bare();
        let output = Command::new("sh")
            .arg(examples.join(format!("patterns-{name}.sh")))
            .env("SONGREC", env!("CARGO_BIN_EXE_songrec"))
            .env("TMPDIR", world.path(""))
            .output()
            .unwrap();

        let text = format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success() && text.contains(said), "{name}: {text}");
    }
}
