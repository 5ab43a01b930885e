//! A scan of what is known asks the library what changed, not of every file.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    remote::{Database, with_astra},
    world::{World, tone},
};

fn fill(world: &World, files: u32) {
    for n in 0..files {
        let folder = world.path(&format!("music/{}", n / 50));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{n}.wav")), tone(100.0 + f64::from(n), 0.2)).unwrap();
    }
}

fn summary(world: &World, arguments: &[&str]) -> serde_json::Value {
    world.json_lines(&with_astra(&[&["scan", "music"], arguments].concat())).pop().unwrap()
}

// A database with the music of `world`, scanned once.
fn scanned(world: &World, files: u32) -> Database {
    let database = Database::start();
    database.serve(world, &world.path("audio"));
    fill(world, files);
    world.run(&with_astra(&["init-astra"])).ok();
    assert_eq!(summary(world, &[])["added"], files);
    database
}

#[test]
fn a_rescan_costs_the_same_few_requests_however_many_files_there_are() {
    let mut costs = Vec::new();
    for files in [10, 230] {
        let world = World::bare();
        let database = scanned(&world, files);
        database.requests().reset();

        let again = summary(&world, &[]);

        assert_eq!(again["unchanged"], files, "{again}");
        costs.push(database.requests().total());
    }

    assert_eq!(costs[0], costs[1]);
    assert!(costs[0] <= 3, "{} requests", costs[0]);
}

#[test]
fn new_files_are_asked_for_together() {
    let world = World::bare();
    let database = scanned(&world, 100);
    fs::rename(world.path("music/0"), world.path("music/elsewhere")).unwrap();
    database.requests().reset();

    let again = summary(&world, &[]);

    assert_eq!((&again["moved"], &again["unchanged"]), (&50.into(), &50.into()), "{again}");
    let counts = database.requests().counts();
    // Looking them up takes a question by hash and one for the songs, each in
    // a few pages; a change of a song is a request of its own, as are the
    // changes of the 50 songs when they are seen.
    assert!(counts["find"] <= 40, "{counts:?}");
}

#[test]
fn what_others_did_to_songs_is_heard_of() {
    let world = World::bare();
    let database = scanned(&world, 12);
    let ids: Vec<String> = world
        .json_lines(&with_astra(&["ls"]))
        .iter()
        .map(|summary| summary["id"].as_str().unwrap().to_owned())
        .collect();
    // Without this machine's state it is another machine.
    let other = |arguments: &[&str]| {
        let mut command = world.command(&with_astra(arguments));
        let output = command.env("XDG_STATE_HOME", world.path("other")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    other(&["rm", &ids[3]]);
    other(&["edit", &ids[4], "--set", "title=Theirs"]);
    database.requests().reset();

    let embedded = summary(&world, &[]);

    assert_eq!(
        (&embedded["forgotten"], &embedded["unchanged"]),
        (&1.into(), &11.into()),
        "{embedded}"
    );
    assert!(database.requests().total() <= 16, "{:?}", database.requests().counts());
    assert_eq!(summary(&world, &["--again"])["added"], 1);
    assert_eq!(summary(&world, &[])["unchanged"], 12);
}

#[test]
fn a_model_that_is_new_hears_what_is_known() {
    let world = World::bare();
    let database = Database::start();
    database.serve(&world, &world.path("audio"));
    fill(&world, 5);
    world.run(&with_astra(&["init-astra"])).ok();
    assert_eq!(summary(&world, &["--model", "dsp47@1"])["added"], 5);

    let more = summary(&world, &["--model", "dsp45@1,dsp47@1"]);
    let fewer = summary(&world, &["--model", "dsp47@1"]);

    assert_eq!(more["updated"], 5, "{more}");
    assert_eq!(fewer["unchanged"], 5, "{fewer}");
}

#[test]
fn what_is_lost_in_the_cloud_is_heard_again_with_few_requests() {
    let world = World::bare();
    let database = scanned(&world, 230);
    let song = |number: usize| {
        let summaries = world.json_lines(&with_astra(&["ls", "--sort", "id"]));
        summaries[number]["id"].as_str().unwrap().to_owned()
    };
    let (one, two) = (song(3), song(99));
    world.run(&with_astra(&["edit", &one, "--set", "title=Mine"])).ok();
    summary(&world, &[]);
    database.requests().reset();
    let whole = world.json_lines(&with_astra(&["scan", "--missing"])).pop().unwrap();
    assert_eq!(whole["updated"], 0, "{whole}");
    // Five pages of 50 songs for what they name, five for each of the three
    // models, and what a scan costs anyway.
    let counts = database.requests().counts();
    assert!(database.requests().total() <= 23, "{counts:?}");
    for song in [&one, &two] {
        let lost = json!({"deleteMany": {"filter": {"song": song}}});
        let deleted = database.command("embeddings_dsp45_1", &lost);
        assert_eq!(deleted["status"]["deletedCount"], 1, "{deleted}");
    }
    assert_eq!(world.run(&with_astra(&["verify"])).code, 7);
    let known = find(&world.path("state"), "known-files.sqlite");

    for forgets in [false, true] {
        if forgets {
            // Without what this machine knew, the library's songs are asked for.
            let lost = json!({"deleteMany": {"filter": {"song": two}}});
            database.command("embeddings_dsp45_1", &lost);
            fs::remove_file(&known).unwrap();
        }
        let embedded = world.json_lines(&with_astra(&["scan", "--missing"])).pop().unwrap();

        assert_eq!(embedded["updated"], if forgets { 1 } else { 2 }, "{embedded}");
        world.run(&with_astra(&["verify", "--read-data"])).ok();
        let again = world.json_lines(&with_astra(&["scan", "--missing"])).pop().unwrap();
        assert_eq!(again["updated"], 0, "{again}");
    }
    assert_eq!(world.json(&with_astra(&["show", &one]))["edits"]["title"], "Mine");
    let near = world.json(&with_astra(&["similar", &one, "-k", "229", "--model", "dsp45"]));
    let ids: Vec<_> = near["results"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert!(ids.contains(&&two.into()), "{} songs", ids.len());
}

#[test]
fn a_lost_or_broken_state_is_learnt_again() {
    let world = World::bare();
    let database = scanned(&world, 5);
    let known = find(&world.path("state"), "known-files.sqlite");
    fs::remove_file(&known).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", known.display()));
    }

    let lost = summary(&world, &[]);
    fs::write(&known, "no database at all, and long enough to be looked at as one").unwrap();
    let broken = summary(&world, &[]);

    assert_eq!(lost["unchanged"], 5, "{lost}");
    assert_eq!(broken["unchanged"], 5, "{broken}");
    drop(database);
}

fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        if path.is_dir() {
            let below = find(&path, name);
            if below.exists() {
                return below;
            }
        } else if path.file_name().is_some_and(|file| file == name) {
            return path;
        }
    }
    folder.join("nothing")
}
