//! What a person at a terminal sees and is asked: 80 columns, and a clock.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::Stdio,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;

use crate::{
    sources::make_old,
    world::{Run, World},
};

/// Two hours ahead of UTC, by rules that need no database.
const EAST: &str = "EAST-2";

// The terminal, and the side of it that a program is on.
fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let program = File::options().read(true).write(true).open(name).unwrap();
    let size = Winsize { ws_col: 80, ws_row: 24, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&program, size).unwrap();
    (File::from(master), program)
}

/// What a command shows at a terminal.
fn shown(world: &World, arguments: &[&str]) -> String {
    let (mut master, program) = terminal();
    let mut command = world.command(arguments);
    command.env("TZ", EAST).env("NO_COLOR", "1").stdout(OwnedFd::from(program));
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    // The command holds the program's side as long as it lives.
    drop(command);
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    // At the end of the last program there, Linux fails to read.
    while let Ok(read @ 1..) = master.read(&mut piece) {
        seen.extend_from_slice(&piece[..read]);
    }
    assert!(child.wait_with_output().unwrap().status.success());
    String::from_utf8(seen).unwrap().replace('\r', "")
}

/// What a command says to who answers its question.
pub(crate) fn answered(world: &World, arguments: &[&str], answer: &str) -> Run {
    let (mut master, program) = terminal();
    let mut command = world.command(arguments);
    command.stdin(OwnedFd::from(program)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(command);
    master.write_all(format!("{answer}\n").as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn a_no_to_a_question_is_a_document_that_says_that_nothing_was_done() {
    let world = World::with(&["kick", "snare"]);
    world.run(&["init", "other"]).ok();
    for (arguments, message) in [
        (&["rm", "-f", "duration:0..", "--json"][..], "nothing was forgotten"),
        (&["edit", "-f", "duration:0..", "--set", "mood=calm", "--json"], "nothing was changed"),
    ] {
        let run = answered(&world, arguments, "n").ok();

        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(document, json!({"type": "nothing", "message": message}), "{run:?}");
    }
    assert_eq!(world.ids().len(), 2);
    answered(&world, &["rm", "-f", "duration:0..", "--json"], "yes").ok();
    assert_eq!(world.ids().len(), 0);
}

#[test]
fn days_are_those_of_the_local_clock_and_json_is_in_utc() {
    let world = World::with(&["kick"]);
    let id = world.ids().remove(0);
    // Late in the evening in UTC, the next day in the east.
    make_old(&world, json!({"title": "Old"}), "2020-02-29T22:30:00Z");

    let seen = shown(&world, &["show", &id]);

    let added = seen.lines().find(|line| line.starts_with("added")).unwrap();
    assert!(added.ends_with("2020-03-01"), "{seen}");
    assert_eq!(world.json(&["show", &id])["added_at"], "2020-02-29T22:30:00Z");
    assert!(world.run(&["show", &id]).ok().stdout.contains("2020-02-29T22:30:00Z"));
}

#[test]
fn a_history_is_a_table_that_a_person_reads() {
    let world = World::with(&["kick"]);
    let id = world.ids().remove(0);
    for edit in ["title=First", "title=Second", "genre=House,Dub"] {
        world.run(&["edit", &id, "--set", edit]).ok();
    }

    let seen = shown(&world, &["show", "--history", &id]);

    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].starts_with(&id[..8]) && lines[0].ends_with("Second"), "{seen}");
    assert!(lines[1].starts_with("when  ") && lines[1].ends_with("what"), "{seen}");
    let now = jiff_now_in_the_east();
    assert!(lines[2].starts_with(&now[..10]) && lines[2].ends_with("added to the library"));
    assert!(lines.iter().any(|line| line.contains("file ") && line.ends_with("added")), "{seen}");
    assert!(lines.iter().any(|line| line.ends_with("  title = Second")), "{seen}");
    assert!(lines.iter().any(|line| line.ends_with("  genre = House, Dub")), "{seen}");
    assert_eq!(*lines.last().unwrap(), "and 1 write of which nothing is left");
    assert!(!seen.contains("First") && lines.iter().all(|line| line.len() <= 80), "{seen}");

    world.run(&["rm", &id]).ok();
    let gone = shown(&world, &["show", "--history", &id]);
    assert!(gone.lines().any(|line| line.ends_with("  deleted")), "{gone}");
    let told = world.json(&["show", "--history", &id]);
    assert!(told["deleted_at"].is_string() && told["seen"] == 5, "{told}");
}

fn jiff_now_in_the_east() -> String {
    let now = songrec_core::Timestamp::now().as_second() + 2 * 3600;
    songrec_core::Timestamp::from_second(now).unwrap().to_string()
}
