//! Libraries that songs of before wrote, which say nothing of what they have
//! seen. `tests/before/make.sh` made them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{remote::Database, world::World};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/before").join(name)
}

fn on<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--library", "library"], arguments].concat()
}

// The numbers of all segments in a library.
fn segments(library: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(library.join("segments")).into_iter().flatten() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let file: Value = serde_json::from_str(&text).unwrap();
            let ids = file["segments"].as_array().unwrap().iter();
            found.extend(ids.map(|one| one["id"].as_str().unwrap()[..2].to_owned()));
        }
    }
    found
}

fn by_title(world: &World, name: &str) -> Value {
    let songs = world.json_lines(&on(&["ls"]));
    let named = |song: &&Value| song["title"] == name;
    let id = songs.iter().find(named).unwrap_or_else(|| panic!("no `{name}`: {songs:?}"));
    world.json(&on(&["show", id["id"].as_str().unwrap()]))
}

#[test]
fn libraries_of_before_sync_with_each_other_and_lose_nothing() {
    let data = tempfile::tempdir().unwrap();
    copy(&fixture("cloud"), data.path());
    let builder = songrec_emulator::Emulator::builder().data(data.path()).token("fixture-token");
    let cloud = Database::on(builder);
    let (laptop, studio) = (World::bare(), World::bare());
    for (world, name) in [(&laptop, "laptop"), (&studio, "studio")] {
        copy(&fixture(name), &world.path("library"));
        cloud.serve(world, &world.path("bucket"));
    }
    copy(&fixture("disk"), &laptop.path("disk"));
    let places = [laptop.path("library"), studio.path("library"), laptop.path("disk")];
    let before = places.each_ref().map(|place| segments(place).into_iter().collect::<Vec<_>>());
    assert_eq!(before, [vec!["01", "02"], vec!["02", "03"], vec!["04"]]);

    let mut rests = false;
    for _ in 0..6 {
        let all = [
            laptop.json(&on(&["sync"])),
            laptop.json(&on(&["sync", "local", "./disk"])),
            studio.json(&on(&["sync"])),
        ];
        let done = |report: &Value| {
            let songs = report["songs"].as_array().unwrap().is_empty();
            songs && report["documents"].as_array().unwrap().is_empty()
        };
        rests = all.iter().all(done);
        if rests {
            break;
        }
    }

    assert!(rests, "there is still something to do");
    studio.run(&on(&["check", "local", "astra"])).ok();
    laptop.run(&on(&["check", "local", "astra"])).ok();
    laptop.run(&on(&["check", "local", "./disk"])).ok();
    for place in &places {
        assert_eq!(segments(place).into_iter().collect::<Vec<_>>(), ["01", "02", "03", "04"]);
    }
    for world in [&laptop, &studio] {
        // Two had named one song; another is deleted, and stays so.
        let named = by_title(world, "Studio title");
        assert_eq!(named["conflicts"][0]["value"], "Laptop title");
        assert_eq!(world.json_lines(&on(&["ls"])).len(), 4);
        // Deleted and restored, then named on the disk.
        by_title(world, "Disk title");
        // What was not synced: an artist, and a mood of a song that was deleted.
        let edits = &by_title(world, "tone3")["edits"];
        assert_eq!(*edits, json!({"artist": "Studio artist", "genre": ["House", "Dub"]}));
        assert_eq!(by_title(world, "tone4")["edits"]["mood"], json!(["dark"]));
        assert!(world.path("library/playlists/best.json").exists());
        world.run(&on(&["verify"])).ok();
    }
}

#[test]
fn a_song_tells_its_history() {
    let world = World::with(&["kick"]);
    let id = world.ids().remove(0);
    world.run(&["edit", &id, "--set", "title=First"]).ok();
    world.run(&["edit", &id, "--set", "title=Second"]).ok();

    let told = world.run(&["show", "--history", &id]).ok().stdout;
    let history = world.json(&["show", "--history", &id]);

    assert!(told.contains("title = Second") && !told.contains("First"), "{told}");
    assert!(told.contains("and 1 write of which nothing is left"), "{told}");
    assert_eq!((&history["seen"], history["writes"].as_array().unwrap().len()), (&json!(3), 2));
}
