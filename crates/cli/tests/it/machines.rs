//! One library of several machines, which may name different files alike.

use std::fs;

use serde_json::Value;

use crate::{
    remote::{Database, with_astra},
    world::{Run, World, examples},
};

/// Two machines with one music folder between them: what lies in it is on the
/// disk of whichever is used. What they know is their own.
struct Machines {
    world: World,
    _database: Database,
}

impl Machines {
    fn new() -> Self {
        let world = World::bare();
        let database = Database::start();
        database.serve(&world, &world.path("audio"));
        world.run(&with_astra(&["init-astra"])).ok();
        Self { world, _database: database }
    }

    fn run(&self, machine: &str, arguments: &[&str]) -> Run {
        let mut command = self.world.command(&with_astra(arguments));
        command
            .env("XDG_STATE_HOME", self.world.path(machine))
            .env("XDG_CACHE_HOME", self.world.path(machine));
        Run::of(command.output().unwrap())
    }

    fn scan(&self, machine: &str) -> Value {
        let run = self.run(machine, &["scan", "music", "--json"]).ok();
        serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap()
    }

    /// Puts an example file in place of the one that is there.
    fn put(&self, kind: &str, name: &str) {
        self.world.add(&examples(kind)[0], name);
    }

    /// The name of every file of every song, by the songs' ids.
    fn files(&self) -> Vec<Vec<String>> {
        let summaries = self.world.json_lines(&with_astra(&["ls", "--sort", "id"]));
        let names = |summary: &Value| {
            let song = self.world.json(&with_astra(&["show", summary["id"].as_str().unwrap()]));
            let files = song["files"].as_array().cloned().unwrap_or_default();
            files
                .iter()
                .map(|file| file["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
                .collect()
        };
        summaries.iter().map(names).collect()
    }
}

#[test]
fn another_machines_file_of_the_same_name_keeps_its_song() {
    let machines = Machines::new();
    machines.put("kick", "one.wav");
    assert_eq!(machines.scan("a")["added"], 1);
    machines.put("snare", "one.wav");

    let of_b = machines.scan("b");

    assert_eq!(of_b["added"], 1, "{of_b}");
    assert_eq!(machines.files(), [["one.wav"], ["one.wav"]], "both songs name their file");
    // On its own disk there is still what it was.
    machines.put("kick", "one.wav");
    machines.scan("a");
    machines.put("snare", "one.wav");
    assert_eq!(machines.scan("b")["added"], 0);
    assert_eq!(machines.files(), [["one.wav"], ["one.wav"]]);
}

#[test]
fn a_replaced_file_is_taken_from_the_song_that_this_machine_saw_there() {
    let machines = Machines::new();
    machines.put("kick", "one.wav");
    machines.scan("a");
    machines.put("snare", "one.wav");
    machines.scan("b");

    machines.put("bass", "one.wav");
    assert_eq!(machines.scan("b")["added"], 1);

    let mut files = machines.files();
    files.sort();
    assert_eq!(files, [vec![], vec!["one.wav".to_owned()], vec!["one.wav".to_owned()]]);
}

#[test]
fn a_move_takes_no_path_of_another_machine_along() {
    let machines = Machines::new();
    machines.put("kick", "of a.wav");
    machines.scan("a");
    fs::remove_file(machines.world.path("music/of a.wav")).unwrap();
    machines.put("kick", "of b.wav");

    let copy = machines.scan("b");
    fs::rename(machines.world.path("music/of b.wav"), machines.world.path("music/moved.wav"))
        .unwrap();
    let moved = machines.scan("b");

    assert_eq!(copy["duplicates"], 1, "{copy}");
    assert_eq!(moved["moved"], 1, "{moved}");
    assert_eq!(machines.files(), [["moved.wav", "of a.wav"]]);
}

#[test]
fn with_its_state_lost_a_machine_takes_nothing_away() {
    let machines = Machines::new();
    machines.put("kick", "one.wav");
    machines.scan("a");
    fs::remove_dir_all(machines.world.path("a")).unwrap();
    machines.put("snare", "one.wav");

    machines.scan("a");

    assert_eq!(machines.files(), [["one.wav"], ["one.wav"]]);
    let path = machines.world.path("music/one.wav");
    let shown = machines.run("a", &["show", path.to_str().unwrap(), "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let snare = fs::metadata(&examples("snare")[0]).unwrap().len();
    assert_eq!(shown["files"][0]["size"], snare, "the path means what is there");
}

#[test]
fn no_other_song_s_audio_is_deleted() {
    let machines = Machines::new();
    machines.put("kick", "one.wav");
    machines.scan("a");
    let kick = machines.world.json_lines(&with_astra(&["ls"]))[0]["id"].clone();
    machines.put("snare", "one.wav");
    machines.scan("b");

    machines.run("b", &["rm", kick.as_str().unwrap(), "--delete-audio", "--yes"]).ok();

    let kept = fs::read(machines.world.path("music/one.wav")).unwrap();
    assert_eq!(kept, fs::read(&examples("snare")[0]).unwrap());
    assert_eq!(machines.files(), [["one.wav"]]);
}
