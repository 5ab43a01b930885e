//! A migration that takes long, is cut off, and goes on; and one from cloud
//! to cloud.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::{
    remote::Database,
    world::{Run, World, wav},
};

const SONGS: usize = 120;

// A machine with more songs than one batch holds, and an empty cloud.
fn a_large_library() -> (World, Database) {
    let world = World::new();
    for number in 0..SONGS {
        let samples = (0..8_000).map(|at: i32| (at % (20 + number as i32) * 300) as i16);
        std::fs::write(world.path(&format!("music/{number:03}.wav")), wav(8_000, samples)).unwrap();
    }
    world.run(&["scan", "music"]).ok();
    let cloud = Database::start();
    cloud.serve(&world, &world.path("bucket"));
    world.run(&["--storage-backend", "astra", "init-astra"]).ok();
    (world, cloud)
}

// Audio and embeddings are some two megabytes: with so little a second this
// takes longer than anybody waits before it is cut off.
const SLOWLY: [&str; 7] = ["migrate", "--from", "local", "--to", "astra", "--bandwidth", "50K"];

fn begin(world: &World) -> Child {
    world.begin(&SLOWLY)
}

// Waits until some audio is there.
fn some_audio(world: &World) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while blobs(world) < 5 {
        assert!(Instant::now() < deadline, "nothing is copied");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn blobs(world: &World) -> usize {
    // Two levels: the first byte of the hash, then the audio.
    let folders = std::fs::read_dir(world.path("bucket/audio")).into_iter().flatten();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn a_migration_that_is_stopped_goes_on() {
    let (world, _cloud) = a_large_library();
    let child = begin(&world);
    some_audio(&world);

    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let stopped = Run::of(child.wait_with_output().unwrap());
    let before = blobs(&world);
    let there = world.json_lines(&["--storage-backend", "astra", "ls"]).len();
    let rest = world.json(&["migrate", "--from", "local", "--to", "astra", "--verify", "full"]);

    assert!(signal.success());
    assert_eq!(stopped.code, 130, "{stopped:?}");
    assert!(stopped.stderr.contains("goes on where it was"), "{stopped:?}");
    // All are under way from the beginning, and would be there at the end of
    // their batches.
    assert!(0 < there && there < SONGS / 2, "what had all of its audio is there: {there}");
    assert_eq!(rest["copied"], SONGS - there, "{rest}");
    assert_eq!(rest["already"], there, "{rest}");
    assert_eq!(rest["verified"]["compared"], SONGS, "{rest}");
    assert!(before < blobs(&world));
}

#[test]
fn a_migration_that_is_killed_goes_on() {
    let (world, _cloud) = a_large_library();
    for _ in 0..2 {
        let mut child = begin(&world);
        some_audio(&world);
        std::thread::sleep(Duration::from_millis(300));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    let rest = world.json(&["migrate", "--from", "local", "--to", "astra", "--verify", "full"]);

    assert_eq!(rest["verified"]["compared"], SONGS, "{rest}");
    assert_eq!(rest["verified"]["differences"].as_array().unwrap().len(), 0, "{rest}");
    world.run(&["check", "local", "astra", "--read-data"]).ok();
}

#[test]
fn one_cloud_goes_to_another() {
    let (world, here) = a_large_library();
    world.run(&["migrate", "--from", "local", "--to", "astra"]).ok();
    let far = Database::start();
    std::fs::create_dir_all(world.path("config/songrec")).unwrap();
    std::fs::create_dir_all(world.path("far-bucket")).unwrap();
    let table = format!(
        "[libraries.far]\nkind = \"astra\"\nendpoint = \"{}\"\ntoken_variable = \"FAR_TOKEN\"\n\
         blobs = \"file://{}\"\n",
        far.url(),
        world.path("far-bucket").display()
    );
    std::fs::write(world.path("config/songrec/config.toml"), table).unwrap();
    let env = std::fs::read_to_string(world.path(".env")).unwrap();
    let without = world.run(&["--storage-backend", "far", "init-astra"]);
    std::fs::write(world.path(".env"), format!("{env}FAR_TOKEN={}\n", far.token())).unwrap();
    world.run(&["--storage-backend", "far", "init-astra"]).ok();

    let plan = world.json(&["migrate", "--from", "astra", "--to", "far", "--dry-run"]);
    let copied = world.json(&["migrate", "--from", "astra", "--to", "far", "--verify", "full"]);
    world.run(&["check", "astra", "far", "--read-data"]).ok();
    drop(here);
    let id = world.json_lines(&["--storage-backend", "far", "ls"])[0]["id"].clone();
    let id = id.as_str().unwrap();
    let got = world.run(&["--storage-backend", "far", "get", id, "got.wav"]);

    assert_eq!(without.code, 6, "{without:?}");
    assert!(without.stderr.contains("FAR_TOKEN"), "{without:?}");
    assert_eq!(plan["songs"], SONGS, "{plan}");
    assert_eq!(copied["copied"], SONGS, "{copied}");
    assert_eq!(got.code, 0, "the audio came along: {got:?}");
    assert!(std::fs::read_dir(world.path("far-bucket")).unwrap().count() > 0);
}

#[test]
fn a_watching_sync_takes_what_comes_and_ends_when_asked() {
    let (one, cloud) = crate::syncing::with_cloud(&["kick"]);
    let two = crate::syncing::another(&one, &cloud);
    one.run(&["sync"]).ok();
    two.run(&["clone", "astra", "data/songrec/library"]).ok();
    let mut watching = one.begin(&["sync", "--watch=1", "--json"]);
    let mut reports = BufReader::new(watching.stdout.take().unwrap()).lines();
    let id = one.ids().remove(0);

    let deadline = Instant::now() + Duration::from_secs(30);
    one.run(&["edit", &id, "--set", "title=from one"]).ok();
    let mut said: Vec<serde_json::Value> = Vec::new();
    said.push(serde_json::from_str(&reports.next().unwrap().unwrap()).unwrap());
    two.run(&["sync"]).ok();
    two.run(&["edit", &id, "--set", "comment=from two"]).ok();
    two.run(&["sync"]).ok();
    said.push(serde_json::from_str(&reports.next().unwrap().unwrap()).unwrap());
    let signal = Command::new("kill").args(["-INT", &watching.id().to_string()]).status().unwrap();
    let ended = watching.wait().unwrap();

    assert!(Instant::now() < deadline && signal.success());
    assert_eq!(said[0]["counts"]["right"]["update"], 1, "{}", said[0]);
    assert_eq!(said[1]["counts"]["left"]["update"], 1, "{}", said[1]);
    assert_eq!(one.json(&["show", &id])["edits"]["comment"], "from two");
    assert_eq!(ended.code(), Some(0), "the end was asked for");
    assert!(reports.next().is_none(), "a sync with nothing to do says nothing");
}
