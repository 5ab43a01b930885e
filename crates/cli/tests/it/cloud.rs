//! A library in Astra mode, with the Data API emulated: the same commands, the
//! same answers.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::{
    remote::Database,
    world::{World, examples_folder},
};

/// `songrec emulator`, until it is dropped.
struct Cloud(Child);

impl Cloud {
    /// Starts one for `world`, and tells its `.env` where it is.
    fn start(world: &World) -> Self {
        let mut child = world
            .command(&["emulator", "--addr", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut env = format!("SONGREC_BLOBS=file://{}\n", world.path("bucket").display());
        for _ in 0..2 {
            env += &lines.next().unwrap().unwrap();
            env.push('\n');
        }
        std::fs::create_dir_all(world.path("bucket")).unwrap();
        std::fs::write(world.path(".env"), env).unwrap();
        Self(child)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn astra<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--storage-backend", "astra"], arguments].concat()
}

#[test]
fn the_emulator_takes_its_settings_and_says_what_is_wrong_with_them() {
    let world = World::bare();
    std::fs::write(world.path("empty"), "\n").unwrap();
    std::fs::write(world.path("two"), "AstraCS:a:b\nAstraCS:c:d\n").unwrap();
    for (arguments, reason) in [
        (["--token-file", "empty"], "`empty` holds no token"),
        (["--token-file", "two"], "`two` holds several lines"),
        (["--addr", "nowhere"], "`nowhere` is no address to listen at"),
        (["--limit", "colour=3"], "there is no limit `colour`"),
        (["--limit", "depth"], "`depth` is no limit"),
        (["--limit", "depth=0"], "the limit `depth` must be at least 1"),
    ] {
        let run = world.run(&[&["emulator"], &arguments[..]].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(reason) && run.stderr.contains("hint: "), "{run:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_emulator_prints_json_and_ends_when_asked() {
    let world = World::bare();
    let mut child = world
        .command(&["--json", "emulator", "--addr", "localhost:0", "--user", "cassandra"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();

    assert!(said["endpoint"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{said}");
    assert!(said["token"].as_str().unwrap().starts_with("Cassandra:Y2Fzc2FuZHJh:"), "{said}");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

// What may differ: when, and under which names the objects are kept.
pub(crate) fn comparable(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                for name in [
                    "added_at",
                    "updated_at",
                    "made_at",
                    "stamps",
                    "revision",
                    "key",
                    "blob",
                    "path",
                    "files",
                ] {
                    object.remove(name);
                }
                object.remove("history");
                object.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            Value::Number(number) => {
                // Scores are compared to five decimals.
                let rounded = (number.as_f64().unwrap() * 1e5).round() / 1e5;
                *value = rounded.into();
            }
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[test]
fn every_command_gives_the_same_answer_in_the_cloud() {
    let world = World::new();
    let _cloud = Cloud::start(&world);
    let folder = examples_folder();
    let folder = folder.to_str().unwrap();
    world.run(&astra(&["init-astra"])).ok();
    world.run(&astra(&["init-astra", "--check"])).ok();
    world.run(&["scan", folder]).ok();
    world.run(&astra(&["scan", folder])).ok();
    let ids = world.ids();
    for library in [&[][..], &["--storage-backend", "astra"]] {
        let run = |arguments: &[&str]| world.run(&[library, arguments].concat()).ok();
        run(&["edit", &ids[0], "--set", "title=Renamed", "--set", "genre=Drum & Bass"]);
        run(&["rm", &ids[1]]);
    }
    let questions: Vec<Vec<&str>> = vec![
        vec!["ls", "--sort", "title", "--limit", "7"],
        vec!["ls", "--sort", "bpm", "--reverse", "--filter", "bpm:*"],
        vec!["ls", "--filter", "genre:drum & bass"],
        vec!["ls", "--count", "--filter=-genre:drums"],
        vec!["search", "renamed"],
        vec!["search", "kic"],
        vec!["show", &ids[0]],
        vec!["show", &ids[2][..8]],
        vec!["stats"],
        vec!["similar", &ids[0], "-k", "20"],
        vec!["similar", &ids[5], "--model", "dsp45@1", "--explain"],
        vec!["similar", &ids[7], "--filter", "duration:<2", "--offset", "2"],
        vec!["similar", &ids[9], "--threshold", "0.5", "--max-per-artist", "1"],
        vec!["explain", &ids[2], &ids[3]],
        vec!["cluster", "-k", "5"],
        vec!["cluster", "show", "2"],
        vec!["ls", "--filter", "cluster:2"],
        vec!["similar", &ids[5], "--filter", "-cluster:1", "-k", "20"],
        vec!["anomalies"],
        vec!["eval", "--models", "timbre,dsp45"],
    ];
    for question in questions {
        let ask = |arguments: &[&str]| -> Vec<Value> {
            world.json_lines(arguments).into_iter().map(comparable).collect()
        };
        let (local, cloud) = (ask(&question), ask(&astra(&question)));

        assert!(!local.is_empty(), "{question:?}");
        assert_eq!(cloud.len(), local.len(), "{question:?}");
        for (cloud, local) in cloud.iter().zip(&local) {
            assert_eq!(cloud, local, "{question:?}");
        }
    }
    world.run(&astra(&["verify"])).ok();
    world.run(&astra(&["doctor"])).ok();
    let unsure = world.run(&astra(&["gc"]));
    assert!(unsure.code == 2 && unsure.stderr.contains("--yes"), "{unsure:?}");
    assert_eq!(world.json(&astra(&["gc", "--yes"]))["removed"], 0);
    world.run(&astra(&["verify", "--read-data"])).ok();
}

#[test]
fn audio_comes_back_from_the_cloud_bit_for_bit() {
    let world = World::new();
    let _cloud = Cloud::start(&world);
    let file = world.add(&crate::world::examples("kick")[0], "kick.wav");
    world.run(&astra(&["init-astra"])).ok();
    world.run(&astra(&["scan", "music"])).ok();
    let id = world.json_lines(&astra(&["ls"]))[0]["id"].as_str().unwrap().to_owned();
    let original = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();

    world.run(&astra(&["get", &id, "back.wav"])).ok();
    let again = world.run(&astra(&["get", &id, "back.wav"]));
    let url = world.run(&astra(&["url", &id]));

    assert_eq!(std::fs::read(world.path("back.wav")).unwrap(), original);
    again.ok();
    std::fs::write(world.path("back.wav"), "mine").unwrap();
    let other = world.run(&astra(&["get", &id, "back.wav"]));
    assert_eq!(other.code, 2, "what is there is left alone: {other:?}");
    assert_eq!(std::fs::read(world.path("back.wav")).unwrap(), b"mine");
    assert_eq!(url.code, 2, "a folder has no addresses: {url:?}");
}

#[test]
fn reads_fall_back_to_the_local_library_and_say_so() {
    let world = World::with(&["kick", "snare"]);
    // Nothing listens on port 1.
    std::fs::write(
        world.path(".env"),
        "ASTRA_DB_API_ENDPOINT=http://127.0.0.1:1\nASTRA_DB_APPLICATION_TOKEN=AstraCS:hush\n",
    )
    .unwrap();

    let read = world.run(&astra(&["ls"])).ok();
    let write = world.run(&astra(&["scan", "music"]));

    assert_eq!(read.stdout.lines().count(), 3, "{read:?}");
    assert!(read.stderr.contains("the local library answers in its place"), "{read:?}");
    assert_eq!(write.code, 5, "{write:?}");
    for run in [&read, &write] {
        assert!(!run.stderr.contains("hush"), "{run:?}");
    }
}

#[test]
fn every_read_is_answered_locally_once_the_database_is_gone() {
    let world = World::with(&["kick", "snare"]);
    let mut database = Database::start();
    database.serve(&world, &world.path("audio"));
    world.run(&astra(&["init-astra"])).ok();
    world.run(&astra(&["scan", "music"])).ok();
    let id = world.ids().remove(0);
    database.stop();

    // Each of them is patient for some seconds first.
    for read in [&["similar", &id, "-k", "1"][..], &["get", &id, "back.wav"]] {
        let run = world.run(&astra(read));

        assert!(run.code <= 1, "{run:?}");
        let said = run.stderr.matches("the local library answers in its place").count();
        assert_eq!(said, 1, "{run:?}");
    }
    let write = world.run(&astra(&["edit", &id, "--set", "title=x"]));
    assert_eq!(write.code, 5, "{write:?}");
    assert_eq!(world.json(&["show", &id])["edits"], Value::Null, "nothing was written instead");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_command_that_waits_for_an_answer() {
    let world = World::new();
    // Takes calls, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let env = format!("ASTRA_DB_API_ENDPOINT=http://{address}\nASTRA_DB_APPLICATION_TOKEN=x\n");
    std::fs::write(world.path(".env"), env).unwrap();
    for command in [&["ls"][..], &["ls", "--json"]] {
        let child = world.begin(&astra(command));
        let _call = silent.accept().unwrap();

        let id = child.id().to_string();
        std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();

        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        let stdout = String::from_utf8(output.stdout).unwrap();
        if command.contains(&"--json") {
            let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
            assert_eq!((&last["type"], &last["code"]), (&"error".into(), &130.into()), "{last}");
        } else {
            assert_eq!(stdout, "");
        }
    }
}

#[test]
fn a_missing_setting_is_named() {
    let world = World::new();

    let nowhere = world.run(&astra(&["ls"]));
    std::fs::write(world.path(".env"), "ASTRA_DB_API_ENDPOINT=http://127.0.0.1:1\n").unwrap();
    let no_token = world.run(&astra(&["ls"]));

    assert_eq!(nowhere.code, 2, "{nowhere:?}");
    assert!(nowhere.stderr.contains("ASTRA_DB_API_ENDPOINT"), "{nowhere:?}");
    assert_eq!(no_token.code, 6, "{no_token:?}");
    assert!(no_token.stderr.contains("ASTRA_DB_APPLICATION_TOKEN"), "{no_token:?}");
}

#[test]
fn no_secret_is_ever_shown() {
    let world = World::new();
    let _cloud = Cloud::start(&world);
    let env = std::fs::read_to_string(world.path(".env")).unwrap();
    let token =
        env.lines().find_map(|line| line.strip_prefix("ASTRA_DB_APPLICATION_TOKEN=")).unwrap();
    world.add(&crate::world::examples("kick")[0], "kick.wav");
    for arguments in [
        &["init-astra"][..],
        &["scan", "music"],
        &["ls"],
        &["similar", "kick"],
        &["config", "show"],
        &["doctor"],
        &["show", "nothing"],
        &["rm", "kick"],
    ] {
        let run = world.run(&astra(&[arguments, &["-vv", "--log-file", "log.txt"]].concat()));

        assert!(!run.stdout.contains(token) && !run.stderr.contains(token), "{arguments:?}");
    }
    assert!(!std::fs::read_to_string(world.path("log.txt")).unwrap().contains(token));
}

#[test]
fn the_cloud_demo_gets_the_same_answer() {
    let world = World::bare();

    let run = world.run(&["demo", "--cloud", "--audio", examples_folder().to_str().unwrap()]).ok();

    assert!(run.stderr.contains("the same answer as from the local library"), "{run:?}");
}

#[test]
fn a_copy_that_was_let_go_of_is_not_brought_back() {
    let world = World::new();
    let _cloud = Cloud::start(&world);
    world.add(&crate::world::examples("kick")[0], "kick.wav");
    world.add(&crate::world::examples("snare")[0], "snare.wav");
    world.run(&astra(&["init-astra"])).ok();
    world.run(&["scan", "music"]).ok();
    world.run(&["sync"]).ok();
    let ids = world.ids();
    let blob = |library: &[&str]| {
        let song = world.json(&[library, &["show", &ids[0]]].concat());
        song["blob"].clone()
    };
    let cloud: &[&str] = &["--storage-backend", "astra"];
    assert!(blob(cloud).is_object());

    let asked = world.run(&astra(&["audio", "rm", &ids[0]]));
    let done = world.json(&astra(&["audio", "rm", &ids[0], "--yes"]));
    let again = world.json(&astra(&["audio", "rm", &ids[0], "--yes"]));

    assert!(asked.code == 2 && asked.stderr.contains("nobody to ask"), "{asked:?}");
    assert_eq!(done["songs"], serde_json::json!([ids[0]]));
    assert!(done["bytes"].as_u64().unwrap() > 1_000, "{done}");
    assert_eq!(again["already"], serde_json::json!([ids[0]]));
    assert!(blob(cloud).is_null());
    // Neither a sync nor a scan stores another, and no library names the old one.
    world.run(&["sync"]).ok();
    world.run(&["sync", "--full"]).ok();
    world.run(&["scan", "music", "--again"]).ok();
    world.run(&astra(&["scan", "music", "--again"])).ok();
    assert!(blob(cloud).is_null() && blob(&[]).is_null());
    let other = world.json(&astra(&["show", &ids[1]]));
    assert!(other["blob"].is_object(), "{other}");
    // The song is there with all else, and its file where it was.
    assert_eq!(world.json_lines(&astra(&["similar", &ids[0]])).len(), 1);
    assert!(world.path("music/kick.wav").is_file() && world.path("music/snare.wav").is_file());
    world.run(&astra(&["verify"])).ok();

    world.run(&["audio", "keep", &ids[0]]).ok();
    world.run(&["sync"]).ok();
    assert!(blob(cloud).is_object(), "a person has changed their mind");
}
