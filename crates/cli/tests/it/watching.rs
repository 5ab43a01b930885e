//! `scan --watch`: what changes in a folder comes into the library by itself.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command},
};

use serde_json::Value;

use crate::world::{World, examples};

/// A watch at work; it prints a document for each round.
struct Watch {
    child: Child,
    rounds: BufReader<ChildStdout>,
}

impl Watch {
    fn begin(world: &World, settle: &str) -> Self {
        let arguments = ["scan", "music", "--watch", "--settle", settle, "--json"];
        let mut child = world.begin(&arguments);
        let rounds = BufReader::new(child.stdout.take().unwrap());
        Self { child, rounds }
    }

    /// The next round. A file may be seen twice; rounds in which nothing came of that are
    /// passed over.
    fn round(&mut self, of: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.rounds.read_line(&mut line).unwrap() > 0, "no round of {of}");
            let round: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(round["type"], "round", "{round}");
            if of == "all" || round[of].as_u64().unwrap() > 0 {
                return round;
            }
        }
    }

    /// Ends it as a service manager does; what it said, and how it ended.
    fn end(self) -> (Option<i32>, String) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        drop(self.rounds);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn what_comes_moves_and_goes_is_seen_until_the_end() {
    let world = World::with(&["kick"]);
    let mut watch = Watch::begin(&world, "0.2");

    let first = watch.round("all");
    assert_eq!((first["round"].as_u64(), first["full"].as_bool()), (Some(1), Some(true)));
    assert_eq!(first["unchanged"], 1);

    // A folder that comes with a file in it.
    fs::create_dir(world.path("music/new")).unwrap();
    world.add(&examples("snare")[0], "new/snare.wav");
    let added = watch.round("added");
    assert_eq!((added["added"].as_u64(), added["full"].as_bool()), (Some(1), Some(false)));
    assert_eq!(added["unchanged"], 0, "nothing else is looked at");

    fs::rename(world.path("music/new/snare.wav"), world.path("music/moved.wav")).unwrap();
    let moved = watch.round("moved");
    assert_eq!((moved["moved"].as_u64(), moved["missing"].as_u64()), (Some(1), Some(0)));

    fs::remove_file(world.path("music/moved.wav")).unwrap();
    let gone = watch.round("missing");
    assert_eq!(gone["missing"], 1);

    // What is no audio changes nothing; what is ignored neither.
    fs::write(world.path("music/notes.txt"), b"x").unwrap();
    fs::write(world.path("music/bad.mp3"), b"no audio at all").unwrap();
    let failed = watch.round("failed");
    assert_eq!(failed["failed"], 1);

    let (code, said) = watch.end();
    assert_eq!(code, Some(0), "{said}");
    for line in ["new: `", "moved: `", "gone, its song stays: `", "skipped `"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(world.ids().len(), 2, "the song of a file that is gone stays");
}

#[test]
fn a_file_that_grows_is_read_when_it_is_whole() {
    let world = World::new();
    // Far longer than any pause of the writer.
    let mut watch = Watch::begin(&world, "3");
    watch.round("all");
    let whole = fs::read(&examples("kick")[0]).unwrap();
    let path = world.path("music/kick.wav");

    for part in 1..=8 {
        fs::write(&path, &whole[..whole.len() * part / 8]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let added = watch.round("added");

    assert_eq!((added["added"].as_u64(), added["failed"].as_u64()), (Some(1), Some(0)));
    let (code, said) = watch.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("new: `").count(), 1, "{said}");
    assert!(!said.contains("cut off"), "{said}");
}

#[test]
fn a_folder_that_is_taken_away_ends_the_watch_and_costs_no_song() {
    let world = World::with(&["kick"]);
    let mut watch = Watch::begin(&world, "0.2");
    watch.round("all");

    fs::rename(world.path("music"), world.path("elsewhere")).unwrap();
    let output = {
        drop(watch.rounds);
        watch.child.wait_with_output().unwrap()
    };

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("there is no `") && said.contains("to watch"), "{said}");
    assert_eq!(world.ids().len(), 1);
}
