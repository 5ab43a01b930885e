//! What is stored and is no longer what it was: it is noticed, brought back
//! from the audio, and takes nothing else along.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::world::World;

fn library(world: &World) -> PathBuf {
    world.path("data/songrec/library")
}

fn document(world: &World, id: &str) -> PathBuf {
    library(world).join(format!("songs/{}/{id}.json", &id[..2]))
}

fn vector(world: &World, id: &str) -> PathBuf {
    let name = format!("embeddings/dsp45@1/{}/{id}.npy", &id[..2]);
    library(world).join(name)
}

/// What a person and the scan before have said of a song.
fn kept(world: &World, id: &str) -> [Value; 4] {
    let song = world.json(&["show", id]);
    ["edits", "tags", "added_at", "embeddings"].map(|name| song[name].clone())
}

/// A library of three songs, one of them edited, of which one vector is
/// missing, one empty, and one is damaged.
fn decayed() -> (World, Vec<String>) {
    let world = World::with(&["kick", "snare", "bass"]);
    let ids = world.ids();
    world.run(&["edit", &ids[0], "--set", "title=Mine", "--set", "mood=dark"]).ok();
    fs::remove_file(vector(&world, &ids[0])).unwrap();
    fs::write(vector(&world, &ids[1]), b"").unwrap();
    let mut bytes = fs::read(vector(&world, &ids[2])).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(vector(&world, &ids[2]), bytes).unwrap();
    (world, ids)
}

#[test]
fn a_repair_hears_again_what_is_lost_and_keeps_the_rest() {
    let (world, ids) = decayed();
    let before: Vec<_> = ids.iter().map(|id| kept(&world, id)).collect();
    let found = world.run(&["verify"]);
    assert_eq!(found.code, 7, "{found:?}");
    assert!(found.stdout.contains("run `songrec verify --repair`"), "{found:?}");

    let repaired = world.run(&["verify", "--repair"]);

    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert!(repaired.stdout.contains("it was embedded again (repaired)"), "{repaired:?}");
    world.run(&["verify", "--read-data"]).ok();
    let after: Vec<_> = ids.iter().map(|id| kept(&world, id)).collect();
    assert_eq!(after, before);
    assert_eq!(world.json(&["similar", &ids[0]])["results"].as_array().unwrap().len(), 2);
}

#[test]
fn a_scan_for_what_is_missing_hears_again_what_is_lost() {
    let (world, ids) = decayed();
    let before: Vec<_> = ids.iter().map(|id| kept(&world, id)).collect();

    let scan = world.json_lines(&["scan", "--missing"]).pop().unwrap();

    assert_eq!(scan["updated"], 3, "{scan}");
    world.run(&["verify", "--read-data"]).ok();
    let after: Vec<_> = ids.iter().map(|id| kept(&world, id)).collect();
    assert_eq!(after, before);
    let again = world.json_lines(&["scan", "--missing"]).pop().unwrap();
    assert_eq!(again["updated"], 0, "{again}");
}

#[test]
fn what_cannot_be_heard_again_says_why() {
    let (world, ids) = decayed();
    let path = world.json(&["show", &ids[1]])["files"][0]["path"].clone();
    fs::remove_file(PathBuf::from(path.as_str().unwrap())).unwrap();

    let repaired = world.run(&["verify", "--repair"]);

    assert_eq!(repaired.code, 7, "{repaired:?}");
    assert!(repaired.stdout.contains("none of its files is on this machine"), "{repaired:?}");
    let found = world.json_lines(&["verify"]);
    let lost: Vec<&Value> =
        found.iter().filter(|one| one["problem"].as_str().unwrap().contains("dsp45@1")).collect();
    assert_eq!(lost.len(), 1, "{found:?}");
}

#[test]
fn a_damaged_song_is_put_aside_and_comes_back_with_the_next_scan() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    fs::write(document(&world, &ids[0]), "{\"id\":").unwrap();
    let found = world.run(&["verify"]);
    assert_eq!(found.code, 7, "{found:?}");
    let exported = world.run(&["export", "out"]);
    assert!(exported.stderr.contains("1 song could not be read and left out"), "{exported:?}");
    assert_eq!(exported.code, 3, "{exported:?}");

    let repaired = world.run(&["verify", "--repair"]);

    assert_eq!(repaired.code, 0, "{repaired:?}");
    let aside: Vec<_> = fs::read_dir(library(&world).join("damaged")).unwrap().flatten().collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read_to_string(aside[0].path()).unwrap(), "{\"id\":");
    assert!(repaired.stdout.contains(&*aside[0].path().to_string_lossy()), "{repaired:?}");
    assert_eq!(world.ids(), [ids[1].clone()]);
    let scan = world.json_lines(&["scan", "music"]).pop().unwrap();
    assert_eq!((&scan["added"], &scan["unchanged"]), (&json!(1), &json!(1)), "{scan}");
    assert_eq!(world.ids(), ids);
    world.run(&["verify", "--read-data"]).ok();
}

#[test]
fn a_file_of_another_song_is_not_deleted_whatever_a_document_says() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    let theirs = world.json(&["show", &ids[1]]);
    let path = PathBuf::from(theirs["files"][0]["path"].as_str().unwrap());
    let export = world.path("export");
    world.run(&["export", export.to_str().unwrap()]).ok();
    // A document as somebody else may hand it over: the first song names the
    // second one's file, with its digest.
    let songs = fs::read_to_string(export.join("songs.jsonl")).unwrap();
    let mut songs: Vec<Value> =
        songs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = songs.iter_mut().find(|song| song["id"] == ids[0].as_str()).unwrap();
    first["files"] = theirs["files"].clone();
    first["checksum"] = Value::Null;
    let lines: String = songs.iter().map(|song| format!("{song}\n")).collect();
    fs::write(export.join("songs.jsonl"), lines).unwrap();
    let other = World::new();
    other.run(&["import", export.to_str().unwrap()]).ok();

    let removed = other.run(&["rm", &ids[0], "--delete-audio", "--yes"]);

    assert_eq!(removed.code, 0, "{removed:?}");
    assert!(path.is_file(), "{removed:?}");
    assert!(removed.stderr.contains("stays: it holds other audio"), "{removed:?}");
    assert_eq!(other.ids(), [ids[1].clone()]);
}

#[test]
fn a_version_at_the_end_of_its_numbers_does_not_wrap() {
    let world = World::with(&["kick"]);
    let id = world.ids().remove(0);
    let export = world.path("export");
    world.run(&["export", export.to_str().unwrap()]).ok();
    let mut song: Value =
        serde_json::from_str(&fs::read_to_string(export.join("songs.jsonl")).unwrap()).unwrap();
    song["checksum"] = Value::Null;
    for (number, taken) in [((1u64 << 53) - 1, true), (u64::MAX, false)] {
        song["revision"]["number"] = json!(number);
        fs::write(export.join("songs.jsonl"), format!("{song}\n")).unwrap();
        let other = World::new();

        let imported = other.run(&["import", export.to_str().unwrap()]);

        assert_eq!(other.ids().len(), usize::from(taken), "{imported:?}");
        if taken {
            other.run(&["edit", &id, "--set", "title=Next"]).ok();
            let edited = other.json(&["show", &id]);
            assert_eq!(edited["revision"]["number"], json!(number), "{edited}");
            assert_eq!(edited["edits"]["title"], "Next");
        } else {
            assert!(imported.stderr.contains("no number that a version can have"), "{imported:?}");
        }
    }
}

#[test]
fn an_import_refuses_songs_of_a_later_format() {
    let world = World::with(&["kick"]);
    let export = world.path("export");
    world.run(&["export", export.to_str().unwrap()]).ok();
    let path = export.join("songs.jsonl");
    let mut song: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    song["format"] = json!(99);
    fs::write(&path, format!("{song}\n")).unwrap();
    let other = World::new();

    let imported = other.run(&["import", export.to_str().unwrap()]);

    assert_eq!(other.ids(), Vec::<String>::new());
    assert_ne!(imported.code, 0);
    assert!(imported.stderr.contains("format 99"), "{imported:?}");
}

#[test]
fn a_file_that_is_named_is_heard_again_if_its_vector_is_lost() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    fs::remove_file(vector(&world, &ids[0])).unwrap();
    let path = world.json(&["show", &ids[0]])["files"][0]["path"].clone();

    let scan = world.json_lines(&["scan", path.as_str().unwrap()]).pop().unwrap();

    assert_eq!(scan["updated"], 1, "{scan}");
    world.run(&["verify", "--read-data"]).ok();
}
