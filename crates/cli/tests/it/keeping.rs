//! `edit`, `rm`, `relocate`, `verify`, `gc`, `export`, `import`, `config`.

use std::fs;

use serde_json::json;

use crate::world::{Run, World, examples};

#[test]
fn an_edit_outlives_a_rescan_and_can_be_taken_back() {
    let world = World::with(&["kick"]);
    let id = world.ids()[0].clone();
    let original = world.json(&["ls"])["title"].clone();
    let path = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().path();

    world.run(&["edit", &id, "--set", "title=Mine", "--set", "mood=dark,slow"]).ok();
    // A newer time makes the scan look again.
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(60)).unwrap();
    world.run(&["scan", "music"]).ok();

    let summary = world.json(&["ls"]);
    assert_eq!(summary["title"], "Mine");
    assert_eq!(summary["moods"], json!(["dark", "slow"]));
    world.run(&["edit", &id, "--reset", "title"]).ok();
    assert_eq!(world.json(&["ls"])["title"], original);
}

#[test]
fn a_wrong_edit_changes_nothing() {
    let world = World::with(&["kick"]);
    let id = world.ids()[0].clone();
    let before = world.json(&["show", &id]);

    let run = world.run(&["edit", &id, "--set", "title=New", "--set", "year=soon"]);

    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("`soon`") && run.stderr.contains("`year`"), "{run:?}");
    assert_eq!(world.json(&["show", &id]), before);
}

#[test]
fn rm_forgets_and_leaves_the_audio() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();

    let dry = world.run(&["rm", &ids[0], "--dry-run"]).ok();
    assert!(dry.stderr.contains("1 song would be forgotten"), "{dry:?}");
    assert_eq!(world.ids().len(), 2);
    world.run(&["rm", &ids[0]]).ok();

    assert_eq!(world.ids(), [ids[1].clone()]);
    assert_eq!(fs::read_dir(world.path("music")).unwrap().count(), 2);
}

#[test]
fn audio_is_deleted_only_after_asking() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();

    let unasked = world.run(&["rm", &ids[0], "--delete-audio"]);
    assert_eq!(unasked.code, 2, "nobody is there to ask: {unasked:?}");
    assert_eq!(fs::read_dir(world.path("music")).unwrap().count(), 2);
    let too_many = world.run(&["rm", "--filter", "duration:>0", "--yes", "--max-delete", "1"]);
    assert_eq!(too_many.code, 12, "{too_many:?}");
    world.run(&["rm", &ids[0], "--delete-audio", "--yes"]).ok();

    assert_eq!(fs::read_dir(world.path("music")).unwrap().count(), 1);
    assert_eq!(world.ids().len(), 1);
}

#[test]
fn what_no_song_names_goes_and_what_can_be_restored_stays() {
    let world = World::bare();
    world.run(&["init", "--keep-copies"]).ok();
    world.add(&examples("kick")[0], "kick.wav");
    world.run(&["scan", "music"]).ok();
    let id = world.ids().remove(0);
    world.run(&["rm", &id, "--yes"]).ok();
    let blobs = world.path("data/songrec/library/blobs");
    let nobodys = ["0", "1"].map(|digit| blobs.join("00").join(digit.repeat(64)));
    fs::create_dir_all(blobs.join("00")).unwrap();
    for path in &nobodys {
        fs::write(path, "stray").unwrap();
    }
    let days = |days: u64| std::time::Duration::from_secs(days * 24 * 3600 + 60);
    let three_days_ago = std::time::SystemTime::now() - days(3);
    for folder in fs::read_dir(&blobs).unwrap() {
        for blob in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = blob.unwrap().path();
            if path != nobodys[1] {
                let file = fs::File::options().append(true).open(path).unwrap();
                file.set_modified(three_days_ago).unwrap();
            }
        }
    }

    let young = world.json(&["gc", "--older-than", "4"]);
    let asked = world.json(&["gc", "--dry-run"]);
    let in_words = world.run(&["gc", "-n"]).ok();
    let was_there = nobodys[0].exists();
    let old = world.json(&["gc"]);

    assert_eq!(young, json!({"removed": 0, "bytes": 0}));
    assert_eq!((asked, was_there), (json!({"would_remove": 1, "bytes": 5}), true));
    assert!(in_words.stdout.contains("would remove 1 embedding"), "{in_words:?}");
    assert_eq!(old, json!({"removed": 1, "bytes": 5}));
    assert_eq!(nobodys.map(|path| path.exists()), [false, true]);
    fs::remove_file(world.path("music/kick.wav")).unwrap();
    world.run(&["trash", "restore", &id]).ok();
    world.run(&["get", &id, "back.wav"]).ok();
    assert_eq!(fs::read(world.path("back.wav")).unwrap(), fs::read(&examples("kick")[0]).unwrap());
    assert_eq!(world.run(&["gc", "--older-than", "0"]).code, 2);
}

#[test]
fn relocate_follows_a_folder_that_was_moved() {
    let world = World::with(&["kick", "snare"]);
    fs::rename(world.path("music"), world.path("elsewhere")).unwrap();

    let from = world.path("music");
    world.run(&["relocate", from.to_str().unwrap(), "elsewhere"]).ok();

    let paths = world.run(&["ls", "--paths"]).ok().stdout;
    assert!(paths.lines().all(|path| path.contains("elsewhere")), "{paths}");
    assert_eq!(world.run(&["verify", "--read-data"]).code, 0);
}

#[test]
fn relocate_keeps_the_path_of_what_is_another_file() {
    let world = World::with(&["kick"]);
    let name = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().file_name();
    let before = world.run(&["ls", "--paths"]).ok().stdout;
    fs::create_dir(world.path("elsewhere")).unwrap();
    fs::write(world.path("elsewhere").join(name), b"something else").unwrap();

    let run = world.run(&["relocate", "music", "elsewhere"]);

    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(world.run(&["ls", "--paths"]).ok().stdout, before);
}

#[test]
fn an_export_comes_in_elsewhere_the_same() {
    let world = World::with(&["kick", "snare", "bass"]);
    let ids = world.ids();
    world.run(&["edit", &ids[0], "--set", "title=Mine"]).ok();
    let out = world.path("out");
    world.run(&["export", out.to_str().unwrap()]).ok();
    let other = World::new();

    other.run(&["import", out.to_str().unwrap()]).ok();
    let again = other.json(&["import", out.to_str().unwrap()]);

    assert_eq!(other.ids(), ids);
    assert_eq!(again["already_there"], 3);
    let answer = |world: &World| {
        let mut answer = world.json(&["similar", &ids[0], "--filter", "duration:>0"]);
        // The files lie elsewhere only for the library that moved.
        for song in answer["results"].as_array_mut().unwrap() {
            song.as_object_mut().unwrap().remove("path");
        }
        answer
    };
    assert_eq!(answer(&other), answer(&world));
    let foreign = world.run(&["export", world.path("music").to_str().unwrap()]);
    assert_eq!(foreign.code, 2, "a folder with other things: {foreign:?}");
}

#[test]
fn an_old_library_comes_in() {
    let world = World::new();
    let data = world.path("old/data");
    fs::create_dir_all(data.join("embeddings")).unwrap();
    for (name, values) in
        [("one", [1.0f64, 0.0, 0.1]), ("two", [0.9, 0.1, 0.1]), ("three", [0.0, 1.0, 0.0])]
    {
        fs::write(data.join(format!("embeddings/{name}.npy")), npy_f64(&values)).unwrap();
    }
    let metadata = json!({
        "one": { "title": "One", "artist": "A", "bpm": 120, "duration": 30.0 },
        "two": { "filename": "two.mp3", "genre": "Pop" },
        "three": { "embedding_path": "data/embeddings/three.npy" },
        "four": { "title": "No vector" },
    });
    fs::write(data.join("metadata.json"), metadata.to_string()).unwrap();

    let run = world.run(&["import", "old", "--model", "clap@1"]);

    assert_eq!(run.code, 3, "one has no vector: {run:?}");
    assert!(run.stderr.contains("No vector") || run.stderr.contains("four"), "{run:?}");
    let similar = world.json(&["similar", "One", "--model", "clap@1"]);
    assert_eq!(similar["results"][0]["title"], "two");
    assert_eq!(similar["results"].as_array().unwrap().len(), 2);
    // No song was embedded by the usual model, and none is configured.
    let unasked = world.json(&["similar", "One"]);
    assert_eq!((&unasked["model"], &unasked["results"]), (&"clap@1".into(), &similar["results"]));
    assert!(world.json(&["explain", "One", "two"])["similarity"].is_number());
    assert_eq!(world.run(&["dup", "--near", "--any-length", "--threshold", "0.9"]).code, 0);
    let mut chosen = world.command(&["similar", "One"]);
    let chosen = Run::of(chosen.env("SONGREC_MODEL", "dsp47@1").output().unwrap());
    assert_eq!(chosen.code, 4, "what is asked for is not replaced: {chosen:?}");
}

pub(crate) fn npy_f64(values: &[f64]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}", values.len());
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn verify_notices_and_repairs() {
    let world = World::with(&["kick", "snare"]);
    world.run(&["verify"]).ok();
    let library = world.path("data/songrec/library");
    let npy = find(&library.join("embeddings"), "npy");
    fs::write(&npy, b"damaged").unwrap();

    let found = world.run(&["verify", "--read-data"]);

    assert_eq!(found.code, 7, "{found:?}");
    assert!(!found.stdout.is_empty());
}

fn find(folder: &std::path::Path, ending: &str) -> std::path::PathBuf {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return find(&path, ending);
        }
        if path.extension().is_some_and(|found| found == ending) {
            return path;
        }
    }
    panic!("no .{ending} in {}", folder.display());
}

#[test]
fn config_shows_where_each_value_comes_from() {
    let world = World::new();
    fs::write(world.path(".env"), "SONGREC_RESULTS=3\n").unwrap();

    let shown = world.json_lines(&["config", "show", "--threads", "2"]);

    let origin = |key: &str| {
        let setting = shown.iter().find(|shown| shown["key"] == key).unwrap();
        setting["origin"].as_str().unwrap().to_owned()
    };
    assert!(origin("search.results").contains(".env"));
    assert_eq!(origin("threads"), "--threads on the command line");
    assert_eq!(origin("search.model"), "default");
}

#[test]
fn the_sample_configuration_is_what_is_there_without_it() {
    let world = World::bare();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.toml");
    let values = |arguments: &[&str]| -> Vec<_> {
        let shown = world.json_lines(&[&["config", "show"], arguments].concat());
        shown
            .into_iter()
            .map(|setting| (setting["key"].clone(), setting["value"].clone()))
            .collect()
    };

    let with = values(&["--config", sample]);
    let mut without = values(&[]);

    // An empty list and none are the same.
    for (key, value) in &mut without {
        if key == "scan.exclude" {
            *value = json!("");
        }
    }
    assert_eq!(with, without);
}

#[test]
fn what_packages_need_can_be_printed() {
    let world = World::bare();

    assert!(world.run(&["completions", "bash"]).ok().stdout.contains("complete"));
    assert!(world.run(&["man"]).ok().stdout.contains(".TH"));
    assert!(world.json(&["version"])["version"].is_string());
    assert!(world.run(&["exit-codes"]).ok().stdout.contains("130"));
    assert_eq!(world.run(&["help", "exit-codes"]).code, 0);
}

#[test]
fn audio_that_another_library_keeps_is_no_damage() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    let library = world.path("data/songrec/library");
    // As a sync leaves songs of another machine, of which one is in the cloud.
    for (id, is_kept) in ids.iter().zip([true, false]) {
        let path = library.join(format!("songs/{}/{id}.json", &id[..2]));
        let mut song: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        song["files"][0]["path"] = world.path("music/of another machine.wav").to_str().into();
        song["checksum"] = serde_json::Value::Null;
        if is_kept {
            let file = &song["files"][0];
            song["blob"] = serde_json::json!({
                "sha256": file["sha256"], "size": file["size"], "key": "audio/9c/9c.one"
            });
        }
        fs::write(&path, song.to_string()).unwrap();
    }
    world.run(&["verify", "--repair"]);

    let verified = world.run(&["verify"]);
    let kept = world.run(&["get", &ids[0]]);
    let lost = world.run(&["get", &ids[1]]);

    assert_eq!(verified.code, 7, "{verified:?}");
    assert!(verified.stdout.contains(&ids[1]), "{verified:?}");
    assert!(!verified.stdout.contains(&ids[0]), "{verified:?}");
    assert!(verified.stderr.contains("1 song has its audio elsewhere"), "{verified:?}");
    assert_eq!((kept.code, lost.code), (4, 4), "{kept:?} {lost:?}");
    assert!(kept.stderr.contains("--storage-backend astra"), "{kept:?}");
    for run in [kept, lost] {
        assert!(run.stderr.contains("of another machine.wav`: not here"), "{run:?}");
    }
}
