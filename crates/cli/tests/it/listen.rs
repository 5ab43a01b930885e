//! `--play` and `--open`: players and file managers, which are scripts here.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::world::{Run, World};

/// A machine with a program of each of these names that notes how it was called.
fn with_programs(world: &World, names: &[&str]) -> PathBuf {
    let bin = world.path("bin");
    fs::create_dir_all(&bin).unwrap();
    for name in names {
        let log = bin.join(format!("{name}.log"));
        let script = format!(
            "#!/bin/sh\necho playing\nfor word in \"$@\"; do echo \"$word\"; done >> '{}'\n",
            log.display()
        );
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

fn called(world: &World, name: &str) -> Vec<String> {
    let log = fs::read_to_string(world.path("bin").join(format!("{name}.log")));
    log.unwrap_or_default().lines().map(str::to_owned).collect()
}

fn run(mut command: Command, bin: &Path) -> Run {
    Run::of(command.env("PATH", bin).output().unwrap())
}

#[test]
fn a_player_of_the_settings_gets_the_files_in_their_order() {
    let world = World::with(&["kick", "snare", "bass"]);
    let bin = with_programs(&world, &["player"]);
    let id = world.ids()[0].clone();
    let found = world.json(&["similar", &id]);
    let paths: Vec<String> = found["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|song| song["path"].as_str().unwrap().to_owned())
        .collect();

    let mut command = world.command(&["similar", &id, "--play", "--json"]);
    command.env("SONGREC_PLAYER", "player,--loud,{},last word");
    let played = run(command, &bin);

    assert_eq!(played.code, 0, "{played:?}");
    let expected = [&["--loud".to_owned()], paths.as_slice(), &["last word".to_owned()]].concat();
    assert_eq!(called(&world, "player"), expected);
    // What the player prints is not among the data.
    assert!(serde_json::from_str::<serde_json::Value>(&played.stdout).is_ok(), "{played:?}");
    assert!(played.stderr.contains("playing") && played.stderr.contains("played 2 files"));
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_setting_the_system_opens_a_list_and_the_folders() {
    let world = World::with(&["kick", "snare", "bass"]);
    let bin = with_programs(&world, &["xdg-open"]);
    let ids = world.ids();
    world.run(&["playlist", "new", "mine", &ids[0], &ids[1]]).ok();

    let played = run(world.command(&["playlist", "show", "mine", "--play"]), &bin);
    let opened = run(world.command(&["radio", &ids[0], "--open"]), &bin);

    assert_eq!((played.code, opened.code), (0, 0), "{played:?} {opened:?}");
    let called = called(&world, "xdg-open");
    let [list, folder] = called.as_slice() else { panic!("{called:?}") };
    let lines = fs::read_to_string(list).unwrap();
    assert_eq!(lines.lines().count(), 3, "{lines}");
    let music = world.path("music").canonicalize().unwrap();
    assert_eq!(folder, music.to_str().unwrap());
}

#[test]
fn what_is_not_here_is_not_opened_and_neither_is_what_is_no_audio() {
    let world = World::with(&["kick", "snare"]);
    let bin = with_programs(&world, &["player", "xdg-open"]);
    let id = world.ids()[0].clone();
    let found = world.json(&["similar", &id]);
    let path = found["results"][0]["path"].as_str().unwrap().to_owned();
    // Another file than the song's.
    fs::write(&path, b"short").unwrap();
    let play = |variable: &str| {
        let mut command = world.command(&["similar", &id, "--play"]);
        command.env("SONGREC_PLAYER", variable);
        run(command, &bin)
    };

    let absent = play("player");

    assert_eq!(absent.code, 4, "{absent:?}");
    assert!(absent.stderr.contains("is not on this machine"), "{absent:?}");
    assert!(!absent.stdout.is_empty(), "the list comes all the same: {absent:?}");
    assert!(called(&world, "player").is_empty());
}

#[test]
fn a_player_that_is_not_there_or_that_a_project_names_is_an_error() {
    let world = World::with(&["kick", "snare"]);
    let bin = with_programs(&world, &["player"]);
    let id = world.ids()[0].clone();

    let mut command = world.command(&["similar", &id, "--play"]);
    command.env("SONGREC_PLAYER", "no-such-player");
    let missing = run(command, &bin);
    fs::write(world.path(".songrec.toml"), "[player]\ncommand = [\"player\"]\n").unwrap();
    let project = run(world.command(&["similar", &id, "--play"]), &bin);

    assert!(missing.code != 0, "{missing:?}");
    assert!(missing.stderr.contains("could not run `no-such-player`"), "{missing:?}");
    assert!(missing.stderr.contains("`songrec config path`"), "{missing:?}");
    assert_eq!(project.code, 2, "{project:?}");
    assert!(project.stderr.contains("may not come from the working folder"), "{project:?}");
    assert!(called(&world, "player").is_empty());
}
