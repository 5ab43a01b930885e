//! Synths, as a person keeps them.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

#[cfg(all(feature = "astra", feature = "emulator"))]
use crate::syncing::{another, with_cloud};
use crate::world::{Run, World, examples};

const BASS: &str = r"// A bass.
SynthDef(\fatBass, {
    |out = 0, freq = 55, amp = 0.3, gate = 1|
    var env = EnvGen.kr(Env.adsr, gate, doneAction: 2);
    Out.ar(out, RLPF.ar(Saw.ar(freq), freq * 4, 0.3) * env * amp ! 2);
}).add;
";
const PAD: &str = r"SynthDef(\softPad, { |freq = 440| Out.ar(0, Pan2.ar(SinOsc.ar(freq))) }).add;";
const KIT: &str = r#"(
SynthDef(\kick1, { |t_trig = 1| Out.ar(0, SinOsc.ar(60)) }).add;
SynthDef("snare1", { Out.ar(0, WhiteNoise.ar(\amp.kr(0.1)) ! 2) }).add;
4.do { |i| SynthDef("voice" ++ i, { Out.ar(i, Saw.ar) }).add };
)"#;

pub(crate) fn write(world: &World, name: &str, text: &str) {
    let path = world.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn names(found: &[Value]) -> Vec<&str> {
    found.iter().filter_map(|one| one["name"].as_str()).collect()
}

pub(crate) fn fed(world: &World, arguments: &[&str], input: &str) -> Run {
    let mut child = world
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

// The same commands over any library.
fn kept_found_changed_and_removed(world: &World, place: &[&str]) {
    let run = |arguments: &[&str]| world.run(&[place, arguments].concat());
    let json = |arguments: &[&str]| world.json(&[place, arguments].concat());
    let lines = |arguments: &[&str]| world.json_lines(&[place, arguments].concat());
    write(world, "synths/bass.scd", BASS);
    write(world, "synths/pads/soft.scd", PAD);
    write(world, "synths/kit ü.scd", KIT);
    let none = run(&["synths"]);
    assert!(none.code == 1 && none.stderr.contains("`songrec synths add FILE`"), "{none:?}");

    let added =
        run(&["synths", "add", "synths/bass.scd", "synths/pads/soft.scd", "synths/kit ü.scd"]).ok();
    assert_eq!(added.stdout.lines().count(), 5, "{added:?}");
    assert!(added.stderr.contains("5 new synths"), "{added:?}");
    assert!(added.stderr.contains("added `kit ü`: no category"), "{added:?}");
    assert!(added.stderr.contains("unsure: name, category"), "{added:?}");

    let bass = json(&["synths", "show", "fatBass"]);
    let hash = songrec_core::Digest::of(BASS.as_bytes()).to_string();
    assert_eq!((&bass["source"], &bass["file_hash"]), (&json!(BASS), &json!(hash)));
    assert_eq!(bass["id"], format!("synth_{}", &hash[..32]));
    assert_eq!(
        (&bass["channels"], &bass["gate"], &bass["category"]),
        (&json!(2), &json!(true), &json!("bass"))
    );
    assert_eq!(bass["controls"][1], json!({"name": "freq", "default": 55.0, "rate": "kr"}));
    assert!(bass["file_path"].as_str().unwrap().ends_with("synths/bass.scd"), "{bass}");
    let id = bass["id"].as_str().unwrap();
    for name in [id, &id[..14], &hash[..8], &hash, "FATBASS", "synths/bass.scd"] {
        assert_eq!(json(&["synths", "show", name])["id"], id, "{name}");
    }
    assert_eq!(run(&["synths", "show", "fatBass", "--source"]).ok().stdout, BASS);

    for (arguments, expected) in [
        (&["ls"][..], &["fatBass", "kick1", "kit ü", "snare1", "softPad"][..]),
        (&["ls", "--category", "drum"], &["kick1", "snare1"]),
        (&["ls", "--gate", "yes"], &["fatBass"]),
        (&["ls", "--gate", "no", "--category", "pad"], &["softPad"]),
        (&["ls", "--limit", "2", "--offset", "1"], &["kick1", "kit ü"]),
        (&["search", "PADS"], &["softPad"]),
        (&["search", "kit", "scd"], &["kick1", "kit ü", "snare1"]),
        (&["search", "s", "--category", "bass", "--gate", "yes"], &["fatBass"]),
        (&["search", "fat", "soft"], &[]),
    ] {
        let found = lines(&[&["synths"], arguments].concat());
        assert_eq!(names(&found), expected, "{arguments:?}");
    }
    let found = lines(&["synths", "search", "kit", "--limit", "1"]);
    assert_eq!(found[1], json!({"type": "summary", "count": 3, "offset": 0, "limit": 1}));

    // A name and a source are there once.
    write(world, "synths/other.scd", &BASS.replace("freq * 4", "freq * 5"));
    write(world, "synths/copy.scd", BASS);
    for (file, said) in [
        ("synths/other.scd", "there is a synth `fatBass` already"),
        ("synths/copy.scd", "there is a synth with this source already: `fatBass`"),
    ] {
        let refused = run(&["synths", "add", file]);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{refused:?}");
    }
    run(&["synths", "add", "synths/other.scd", "--name", "thinBass"]).ok();

    let edit = ["synths", "edit", "thinBass", "--set", "category=lead", "--set", "notes=thin"];
    run(&[&edit[..], &["--set", "extra.author=me", "--set", "extra.year=1999"]].concat()).ok();
    let edited = json(&["synths", "show", "thinBass"]);
    assert_eq!(edited["extra"], json!({"author": "me", "year": 1999}));
    assert_eq!(
        (&edited["category"], &edited["edited"]),
        (&json!("lead"), &json!(["name", "category"]))
    );
    // As texts a whole second comes after a part of it.
    assert_ne!(edited["updated_at"], edited["created_at"]);
    run(&["synths", "edit", "thinBass", "--clear", "category", "--clear", "extra.year"]).ok();
    let cleared = json(&["synths", "show", "thinBass"]);
    assert_eq!(
        (&cleared["category"], &cleared["extra"]),
        (&json!("bass"), &json!({"author": "me"}))
    );

    run(&["synths", "link", "softPad", "fatBass", "--weight", "0.25"]).ok();
    run(&["synths", "link", "kick1", "softPad"]).ok();
    let up = json(&["synths", "lineage", "kick1", "--up"]);
    let relatives: Vec<(&str, f64, u64)> = up["up"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let depth = one["depth"].as_u64().unwrap();
            (one["name"].as_str().unwrap(), one["weight"].as_f64().unwrap(), depth)
        })
        .collect();
    assert_eq!(relatives, [("softPad", 0.5, 1), ("fatBass", 0.25, 2)]);
    assert!(up.get("down").is_none() && up["cycles"] == json!([]), "{up}");
    assert_eq!(
        json(&["synths", "lineage", "fatBass", "--down"])["down"].as_array().unwrap().len(),
        2
    );
    for (arguments, code, said) in [
        (&["link", "fatBass", "kick1"][..], 2, "which comes from it"),
        (&["link", "fatBass", "fatBass"], 2, "cannot come from itself"),
        (&["link", "softPad", "fatBass"], 2, "comes from `fatBass` already"),
        (&["link", "snare1", "fatBass", "--weight", "1.5"], 2, "from 0 to 1"),
        (&["link", "snare1", "fatBass", "--weight", "-1"], 2, "from 0 to 1"),
        (&["link", "snare1", "fatBass", "--weight", "NaN"], 2, "from 0 to 1"),
        (&["link", "snare1", "nobody"], 4, "there is no synth `nobody`"),
        (&["unlink", "snare1", "fatBass"], 4, "does not come from"),
        (&["edit", "snare1", "--set", "name=kick1"], 2, "there is a synth `kick1` already"),
        (&["edit", "snare1", "--set", "category=brass"], 2, "no category"),
        (&["edit", "snare1", "--set", "freq=1"], 2, "no field `freq`"),
        (&["edit", "snare1"], 2, "nothing to change"),
        (&["show", "synth_"], 4, "there are `fatBass`"),
        (&["ls", "--category", "brass"], 2, "no category"),
        (&["rm", "nobody"], 4, "there is no synth"),
    ] {
        let refused = run(&[&["synths"], arguments].concat());
        assert!(refused.code == code && refused.stderr.contains(said), "{arguments:?} {refused:?}");
    }

    let removed = run(&["synths", "rm", "softPad"]).ok();
    assert!(removed.stderr.contains("the link of `softPad` to `fatBass` ends"), "{removed:?}");
    assert!(removed.stderr.contains("the link of `kick1` to `softPad` ends"), "{removed:?}");
    let up = json(&["synths", "lineage", "kick1"]);
    assert_eq!((&up["up"][0]["missing"], up["up"].as_array().unwrap().len()), (&json!(true), 1));
    run(&["synths", "unlink", "kick1", "softPad"]).ok();
    assert_eq!(json(&["synths", "show", "kick1"])["parents"], json!([]));
    // What was removed can be added again, and is the same one.
    run(&["synths", "add", "synths/pads/soft.scd"]).ok();
    assert_eq!(run(&["synths", "rm", "softPad", "nobody"]).code, 3);
}

#[test]
fn synths_are_kept_found_changed_and_removed() {
    let world = World::new();
    kept_found_changed_and_removed(&world, &[]);
    world.run(&["verify"]).ok();
}

#[test]
#[cfg(all(feature = "astra", feature = "emulator"))]
fn synths_are_kept_in_the_cloud_as_well() {
    let (world, _database) = with_cloud(&[]);
    kept_found_changed_and_removed(&world, &["--storage-backend", "astra"]);
}

#[test]
fn what_is_no_synth_is_refused() {
    let world = World::new();
    write(&world, "empty.scd", "// SynthDef(\\x, {})\n");
    write(&world, "open.scd", "\nSynthDef(\\x, { Saw.ar(");
    write(&world, "two.scd", "SynthDef(\\a, { 1 }); SynthDef(\\b, { 2 })");
    write(&world, "bad name.scd", "SynthDef(\"a\\nb\", { 1 })");
    fs::write(world.path("latin.scd"), b"// \xe4\nSynthDef(\\x, {})").unwrap();
    fs::write(world.path("wide.scd"), b"\xff\xfeS\0y\0").unwrap();
    let large = format!("SynthDef(\\x, {{}}) // {}", "x".repeat(1 << 20));
    write(&world, "large.scd", &large);
    for (arguments, code, said) in [
        (&["empty.scd"][..], 2, "has no SynthDef"),
        (&["open.scd"], 2, "line 2 do not close"),
        (&["latin.scd"], 2, "byte 4 belongs to no character"),
        (&["wide.scd"], 2, "UTF-16"),
        (&["large.scd"], 2, "too large"),
        (&["nowhere.scd"], 4, "nowhere.scd"),
        (&["music"], 2, "is no file"),
        (&["bad name.scd"], 2, "control characters"),
        (&["two.scd", "--name", "x"], 2, "a name is for one synth"),
        (&["two.scd", "open.scd", "--name", "x"], 2, "a name is for one synth"),
        (&[], 2, "FILE"),
    ] {
        let run = world.run(&[&["synths", "add"], arguments].concat());
        assert!(run.code == code && run.stderr.contains(said), "{arguments:?} {run:?}");
    }
    assert_eq!(world.run(&["synths", "ls"]).code, 1, "nothing was added");
    // What is wrong with one file keeps no other one from it.
    let some = world.run(&["synths", "add", "two.scd", "open.scd", "--json"]);
    let last: Value = serde_json::from_str(some.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((some.code, &last["added"], &last["failed"]), (3, &json!(2), &json!(1)), "{some:?}");
    let named = fed(&world, &["synths", "add", "-", "--name", "in"], PAD).ok();
    assert!(named.stderr.contains("added `in`"), "{named:?}");
    assert_eq!(world.json(&["synths", "show", "in"])["file_path"], json!(null));
}

#[test]
fn a_scan_takes_in_synths_and_follows_their_files() {
    let world = World::new();
    let scan = |arguments: &[&str]| {
        let run = world.run(&[&["scan", "music", "--json"], arguments].concat());
        let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
        (run.code, last["synths"].clone(), run)
    };
    let of = |counts: &[(&str, u64)]| {
        let mut all = json!({"added": 0, "updated": 0, "moved": 0, "unchanged": 0,
            "forgotten": 0, "failed": 0, "without": 0});
        counts.iter().for_each(|(name, count)| all[*name] = json!(count));
        all
    };
    world.add(&examples("kick")[0], "kick.wav");
    write(&world, "music/bass.scd", BASS);
    write(&world, "music/deep/kit.SCD", KIT);
    write(&world, "music/notes.scd", "s.boot;");

    let (code, synths, _) = scan(&["--dry-run"]);
    assert_eq!((code, synths), (0, of(&[("added", 4), ("without", 1)])));
    assert_eq!(world.run(&["synths"]).code, 1, "nothing was added");
    let (code, synths, run) = scan(&[]);
    assert_eq!((code, synths), (0, of(&[("added", 4), ("without", 1)])), "{run:?}");
    assert!(run.stdout.contains("\"synth_added\""), "{run:?}");
    let (_, synths, _) = scan(&[]);
    assert_eq!(synths, of(&[("unchanged", 4), ("without", 1)]));

    // Another source in the same file, and another place of the same source.
    let id = world.json(&["synths", "show", "fatBass"])["id"].clone();
    world.run(&["synths", "edit", "fatBass", "--set", "notes=kept"]).ok();
    write(&world, "music/bass.scd", &BASS.replace("! 2", "! 4"));
    fs::rename(world.path("music/deep/kit.SCD"), world.path("music/kit.scd")).unwrap();
    let (_, synths, run) = scan(&["--dry-run"]);
    assert_eq!(synths, of(&[("updated", 1), ("moved", 3), ("without", 1)]), "{run:?}");
    assert_eq!(world.json(&["synths", "show", "fatBass"])["channels"], 2);
    let (_, synths, _) = scan(&[]);
    assert_eq!(synths, of(&[("updated", 1), ("moved", 3), ("without", 1)]));
    let bass = world.json(&["synths", "show", "fatBass"]);
    assert_eq!((&bass["id"], &bass["channels"], &bass["notes"]), (&id, &json!(4), &json!("kept")));
    assert!(
        world.json(&["synths", "show", "kick1"])["file_path"]
            .as_str()
            .unwrap()
            .ends_with("music/kit.scd")
    );
    // The first source, which another synth had, comes again in another file.
    write(&world, "music/first.scd", &BASS.replace("fatBass", "firstBass"));
    // The only synth of a file has another name by now.
    write(&world, "music/bass.scd", &BASS.replace("fatBass", "hugeBass"));
    let (_, synths, _) = scan(&[]);
    assert_eq!(synths, of(&[("added", 1), ("updated", 1), ("unchanged", 3), ("without", 1)]));
    assert_eq!(world.json(&["synths", "show", "hugeBass"])["id"], id);

    // What was removed stays away, until it is wanted again.
    world.run(&["synths", "rm", "snare1"]).ok();
    let (_, synths, _) = scan(&[]);
    assert_eq!(synths, of(&[("unchanged", 4), ("forgotten", 1), ("without", 1)]));
    let (_, synths, _) = scan(&["--again"]);
    assert_eq!(synths, of(&[("added", 1), ("unchanged", 4), ("without", 1)]));
    // Two files with one name.
    write(&world, "music/z.scd", &PAD.replace("softPad", "kick1"));
    let (code, synths, run) = scan(&[]);
    assert_eq!((code, &synths["failed"]), (3, &json!(1)));
    assert!(run.stdout.contains("there is a synth `kick1` already"), "{run:?}");
    fs::remove_file(world.path("music/z.scd")).unwrap();
    // A file alone, and words for people.
    let plain = world.run(&["scan", "music/bass.scd"]).ok();
    assert!(plain.stderr.contains("1 synth: 1 unchanged"), "{plain:?}");
}

#[test]
fn a_source_takes_the_place_of_another_one_where_that_is_wanted() {
    let world = World::new();
    write(&world, "a.scd", BASS);
    write(&world, "b.scd", &BASS.replace("freq * 4", "freq * 8"));
    world.run(&["synths", "add", "a.scd"]).ok();
    let id = world.json(&["synths", "show", "fatBass"])["id"].clone();

    let would = world.run(&["synths", "add", "--update", "-n", "b.scd"]).ok();
    assert!(would.stderr.contains("would be: updated `fatBass`"), "{would:?}");
    assert_eq!(world.json(&["synths", "show", "fatBass"])["source"], BASS);
    world.run(&["synths", "add", "--update", "b.scd"]).ok();
    let now = world.json(&["synths", "show", "fatBass"]);
    assert!(now["source"].as_str().unwrap().contains("freq * 8"), "{now}");
    assert_eq!(now["id"], id);
    // The first source is another synth by now, with an id of its own.
    let again = world.run(&["synths", "add", "a.scd", "--name", "again"]).ok();
    assert_ne!(json!(again.stdout.trim()), id);
    let known = world.run(&["synths", "add", "--update", "b.scd"]).ok();
    assert!(known.stderr.contains("known already"), "{known:?}");
    assert_eq!(world.json_lines(&["synths", "ls"]).len(), 3);
}

#[test]
fn two_libraries_agree_on_synths() {
    let one = World::with(&["kick"]);
    one.run(&["migrate", "local", "./disk"]).ok();
    let disk = |arguments: &[&str]| one.run(&[&["--library", "disk"], arguments].concat());
    let there = |arguments: &[&str]| one.json(&[&["--library", "disk"], arguments].concat());
    let sync = || {
        for _ in 0..2 {
            one.run(&["sync", "local", "./disk"]).ok();
        }
    };
    write(&one, "a/bass.scd", BASS);
    write(&one, "b/bass.scd", BASS);
    write(&one, "a/pad.scd", PAD);
    write(&one, "b/pad.scd", &PAD.replace("440", "441"));
    write(&one, "kit.scd", KIT);

    // The same source, and two sources of one name, by two who do not know of each other.
    one.run(&["synths", "add", "a/bass.scd", "a/pad.scd", "kit.scd"]).ok();
    disk(&["synths", "add", "b/bass.scd", "b/pad.scd"]).ok();
    one.run(&["synths", "edit", "fatBass", "--set", "extra.here=1"]).ok();
    disk(&["synths", "edit", "fatBass", "--set", "extra.there=2"]).ok();
    sync();

    let list = one.run(&["synths", "ls"]).ok();
    assert!(list.stderr.contains("some synths have the same name"), "{list:?}");
    let all = one.json_lines(&["synths", "ls"]);
    assert_eq!(names(&all), ["fatBass", "kick1", "kit", "snare1", "softPad", "softPad"]);
    let bass = one.json(&["synths", "show", "fatBass"]);
    assert_eq!(bass["extra"], json!({"here": 1, "there": 2}), "{bass}");
    assert_eq!(bass["others"].as_array().unwrap().len(), 1);
    assert_eq!(there(&["synths", "show", "fatBass"]), bass);
    let both = one.run(&["synths", "show", "softPad"]);
    assert!(both.code == 2 && both.stderr.contains("names several synths"), "{both:?}");
    let (first, second) = (all[4]["id"].as_str().unwrap(), all[5]["id"].as_str().unwrap());
    assert_eq!(all[4]["namesakes"], json!([second]));
    one.run(&["synths", "edit", second, "--set", "name=otherPad"]).ok();
    // A change decides what is said of the other.
    one.run(&["synths", "edit", "fatBass", "--set", "notes=ours"]).ok();
    sync();
    let bass = there(&["synths", "show", "fatBass"]);
    assert!(bass.get("others").is_none() && bass["notes"] == "ours", "{bass}");
    assert_eq!(bass["extra"], json!({"here": 1, "there": 2}), "{bass}");
    assert_eq!(there(&["synths", "show", "otherPad"])["id"], second);

    // Links that make a circle only together.
    one.run(&["synths", "link", first, "otherPad"]).ok();
    disk(&["synths", "link", "otherPad", first]).ok();
    disk(&["synths", "rm", "kick1"]).ok();
    sync();
    let circle = one.run(&["synths", "lineage", "otherPad"]).ok();
    assert!(circle.stderr.contains("in a circle"), "{circle:?}");
    let lineage = one.json(&["synths", "lineage", first, "--up"]);
    assert_eq!(lineage["cycles"][0].as_array().unwrap().len(), 2, "{lineage}");
    assert_eq!(lineage["up"].as_array().unwrap().len(), 2, "{lineage}");
    one.run(&["synths", "unlink", first, "otherPad"]).ok();
    assert_eq!(one.json(&["synths", "lineage", first])["cycles"], json!([]));
    assert_eq!(one.run(&["synths", "show", "kick1"]).code, 4, "it is deleted everywhere");

    // A deletion beats what it knew, and not what it did not.
    one.run(&["synths", "rm", "snare1"]).ok();
    disk(&["synths", "edit", "snare1", "--set", "notes=needed"]).ok();
    sync();
    assert_eq!(one.json(&["synths", "show", "snare1"])["notes"], "needed");
    one.run(&["verify"]).ok();
    one.run(&["check", "local", "./disk"]).ok();
}

#[test]
fn a_source_that_two_changed_at_once_is_kept_twice() {
    let one = World::with(&["kick"]);
    write(&one, "bass.scd", BASS);
    one.run(&["synths", "add", "bass.scd"]).ok();
    one.run(&["migrate", "local", "./disk"]).ok();
    let disk = |arguments: &[&str]| one.run(&[&["--library", "disk"], arguments].concat());
    write(&one, "bass.scd", &BASS.replace("* 4", "* 5"));
    one.run(&["synths", "add", "--update", "bass.scd"]).ok();
    write(&one, "bass.scd", &BASS.replace("* 4", "* 6"));
    disk(&["synths", "add", "--update", "bass.scd"]).ok();
    for _ in 0..2 {
        one.run(&["sync", "local", "./disk"]).ok();
    }

    let all = one.json_lines(&["synths", "ls"]);
    assert_eq!(names(&all), ["fatBass", "fatBass"]);
    let beside = all.iter().find(|one| one.get("beside").is_some()).unwrap();
    let other = beside["id"].as_str().unwrap();
    let sources: Vec<Value> = all
        .iter()
        .filter(|synth| synth.get("id").is_some())
        .map(|synth| one.json(&["synths", "show", synth["id"].as_str().unwrap()])["source"].clone())
        .collect();
    assert!(sources[0] != sources[1], "{sources:?}");
    one.run(&["synths", "edit", other, "--set", "name=otherBass"]).ok();
    one.run(&["sync", "local", "./disk"]).ok();
    assert_eq!(disk(&["synths", "show", "otherBass"]).code, 0);
}

#[test]
#[cfg(all(feature = "astra", feature = "emulator"))]
fn synths_reach_another_machine_by_the_cloud() {
    let (one, database) = with_cloud(&["kick"]);
    write(&one, "kit.scd", KIT);
    one.run(&["synths", "add", "kit.scd"]).ok();
    one.run(&["synths", "link", "kick1", "snare1"]).ok();
    one.run(&["sync"]).ok();
    let two = another(&one, &database);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();

    assert_eq!(two.json(&["synths", "show", "kick1"]), one.json(&["synths", "show", "kick1"]));
    two.run(&["synths", "rm", "kit"]).ok();
    two.run(&["sync"]).ok();
    one.run(&["sync"]).ok();
    assert_eq!(names(&one.json_lines(&["synths", "ls"])), ["kick1", "snare1"]);
}

#[test]
fn two_that_add_one_name_at_the_same_time_do_not_both_keep_it() {
    for round in 0..5 {
        let world = World::new();
        for number in 0..2 {
            let source = BASS.replace("* 4", &format!("* {}", number + 5));
            write(&world, &format!("{number}.scd"), &source);
        }
        let begin = |file: &str| {
            let mut command: Command = world.command(&["synths", "add", file]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let both = [begin("0.scd"), begin("1.scd")];
        let codes: Vec<i32> =
            both.map(|child| Run::of(child.wait_with_output().unwrap()).code).into();

        let kept = world.json_lines(&["synths", "ls"]);
        let done = codes.iter().filter(|code| **code == 0).count();
        assert_eq!(names(&kept).len(), done, "{round}: {codes:?} {kept:?}");
        assert!(done <= 1, "{round}: {codes:?}");
    }
}
