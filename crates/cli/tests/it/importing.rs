//! Libraries of the older layout, with all that they say.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    keeping::npy_f64,
    world::{World, tone},
};

// An old library of these records, each with a vector of its own.
fn old(world: &World, records: &Value) {
    let data = world.path("old/data");
    fs::create_dir_all(data.join("embeddings")).unwrap();
    for (number, record) in records.as_array().unwrap().iter().enumerate() {
        let id = record["id"].as_str().unwrap();
        let values = [1.0, number as f64, 0.5];
        fs::write(data.join(format!("embeddings/{id}.npy")), npy_f64(&values)).unwrap();
    }
    fs::write(data.join("metadata.json"), records.to_string()).unwrap();
}

fn import(world: &World) -> Value {
    world.json(&["import", "old", "--model", "clap@1"])
}

fn only(world: &World) -> Value {
    let ids = world.ids();
    assert_eq!(ids.len(), 1, "{ids:?}");
    world.json(&["show", &ids[0]])
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn full() -> Value {
    json!([{
        "id": "one", "filename": "kick.wav", "title": "Kick", "artist": "A", "genre": "Techno",
        "year": 1999, "tempo": 120.5, "key": "Am", "mood": "dark", "instrument": "kick",
        "label": "Warp", "hash": "0123", "collection_id": 7, "track_id": 8,
        "preview_url": "https://example.com/p", "artist_view_url": "https://example.com/v",
        "my own": {"stars": 5}, "nothing": null,
    }])
}

#[test]
fn everything_of_an_old_library_is_kept_and_named() {
    let world = World::new();
    old(&world, &full());

    let run = world.run(&["import", "old", "--model", "clap@1"]).ok();

    let song = only(&world);
    for (field, value) in [
        ("title", json!("Kick")),
        ("genre", json!(["Techno"])),
        ("key", json!("Am")),
        ("mood", json!(["dark"])),
        ("instrument", json!("kick")),
        ("label", json!("Warp")),
        ("extra.hash", json!("0123")),
        ("extra.collection_id", json!("7")),
        ("extra.artist_view_url", json!("https://example.com/v")),
        ("extra.my_own", json!(r#"{"stars":5}"#)),
    ] {
        assert_eq!(song["values"][field], json!({"value": value, "source": "import"}), "{field}");
    }
    assert!(run.stderr.contains("extra.collection_id (1)"), "{run:?}");
    assert_eq!(world.json(&["ls", "-f", "instrument:kick", "--count"])["songs"], 1);
    let again = import(&world);
    assert_eq!((&again["already_there"], &again["kept"]["my_own"]), (&1.into(), &1.into()));
    assert_eq!((&again["differing"], world.ids().len()), (&0.into(), 1), "{again}");
}

#[test]
fn what_was_imported_outlives_the_scan_of_the_audio() {
    let world = World::new();
    old(&world, &full());
    write(&world.path("old/data/audio/kick.wav"), &tone(220.0, 1.0));
    import(&world);
    let before = only(&world);

    world.run(&["scan", "old/data/audio"]).ok();

    let song = only(&world);
    assert_eq!(song["sources"]["import"], before["sources"]["import"]);
    assert_eq!(song["values"]["artist"], json!({"value": "A", "source": "import"}));
    assert!(song["embeddings"]["dsp45@1"].is_object() && song["embeddings"]["clap@1"].is_object());
}

#[test]
fn importing_again_brings_back_what_a_library_had_lost() {
    let world = World::new();
    old(&world, &full());
    write(&world.path("music/kick.wav"), &tone(220.0, 1.0));
    write(&world.path("old/data/audio/kick.wav"), &tone(220.0, 1.0));
    // What an import and a scan of an older version left: nothing.
    world.run(&["scan", "music"]).ok();
    let id = world.ids().remove(0);
    world.run(&["edit", &id, "--set", "title=Mine"]).ok();

    let report = import(&world);

    let song = only(&world);
    assert_eq!(report["completed"], 1, "{report}");
    assert_eq!(song["values"]["title"], json!({"value": "Mine", "source": "person"}));
    assert_eq!(song["values"]["artist"], json!({"value": "A", "source": "import"}));
    assert_eq!(song["values"]["extra.track_id"], json!({"value": "8", "source": "import"}));
    assert_eq!(import(&world)["already_there"], 1);
}

#[test]
fn a_song_that_never_had_audio_is_not_damaged() {
    let world = World::new();
    let hash = "0".repeat(64);
    old(
        &world,
        &json!([
            {"id": "a", "title": "No file"},
            {"id": "b", "title": "A name", "filename": "kick.wav"},
            {"id": "c", "title": "A path", "path": "/nowhere/of/mine/pad.wav", "sha256": hash},
            {"id": "d", "title": "Here", "path": "pad.wav"},
        ]),
    );
    write(&world.path("data/songrec/library/kick.txt"), b"");
    import(&world);
    assert_eq!(world.ids().len(), 4);

    for arguments in [&["verify"][..], &["verify", "--read-data"], &["verify", "--repair"]] {
        let run = world.run(arguments).ok();
        assert!(run.stderr.contains("everything is as it should be"), "{run:?}");
        assert!(run.stderr.contains("4 songs came without audio"), "{run:?}");
    }
    for id in world.ids() {
        let shown = world.run(&["show", &id]).ok().stdout;
        let named = |name: &str| shown.lines().any(|line| line.starts_with(name));
        assert!(!named("audio") && !named("length") && !shown.contains("not found"), "{shown}");
    }
    let stats = world.json(&["stats"]);
    assert_eq!((&stats["without_audio"], &stats["codecs"]), (&4.into(), &json!({})));
    assert!(!world.run(&["ls"]).ok().stdout.contains("0.00 s"));
}

#[test]
fn audio_that_comes_later_meets_its_song_by_name() {
    let world = World::new();
    old(
        &world,
        &json!([
            {"id": "one", "path": "/gone/a/kick.wav", "title": "In A", "duration": 1.0},
            {"id": "two", "path": "/gone/b/kick.wav", "title": "In B", "duration": 1.0},
            {"id": "three", "path": "/gone/long.wav", "title": "Another", "duration": 60.0},
        ]),
    );
    import(&world);
    let names = |world: &World| {
        let summaries = world.json_lines(&["ls", "--sort", "title"]);
        summaries
            .iter()
            .map(|summary| summary["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let expected = world.json(&["show", "In B"])["id"].as_str().unwrap().to_owned();
    world.run(&["edit", &expected, "--set", "album=Mine"]).ok();
    write(&world.path("music/b/Kick.wav"), &tone(220.0, 1.0));
    // Of this name, but of another length.
    write(&world.path("music/long.wav"), &tone(330.0, 1.0));

    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!((&summary["moved"], &summary["added"]), (&1.into(), &1.into()), "{summary}");
    assert_eq!(names(&world), ["Another", "In A", "In B", "long"]);
    let song = world.json(&["show", "In B"]);
    assert_ne!(song["id"], expected.as_str(), "it is known by its audio now");
    assert_eq!(song["values"]["album"], json!({"value": "Mine", "source": "person"}));
    assert!(song["embeddings"]["dsp45@1"].is_object() && song["embeddings"]["clap@1"].is_object());
    assert_eq!(song["files"].as_array().unwrap().len(), 1, "{song}");
    assert_eq!(world.json_lines(&["scan", "music"]).pop().unwrap()["unchanged"], 2);
    // Importing again finds it, and makes no second song.
    write(&world.path("old/data/audio/long.wav"), &tone(440.0, 60.0));
    let again = import(&world);
    assert_eq!((&again["added"], &again["known_by_file"]), (&1.into(), &1.into()), "{again}");
    // What had waited is the song that the audio makes.
    assert_eq!(names(&world), ["Another", "In A", "In B", "long"]);
    assert!(world.json(&["show", "Another"])["embeddings"]["clap@1"].is_object());
    world.run(&["verify", "--read-data"]).ok();
}

#[test]
fn audio_that_comes_later_meets_its_song_by_hash() {
    let world = World::new();
    let audio = tone(220.0, 1.0);
    let hash = songrec_core::Digest::of(&audio).to_string();
    old(&world, &json!([{"id": "one", "path": "/gone/a.wav", "title": "One", "hash": hash}]));
    import(&world);
    write(&world.path("music/renamed.wav"), &audio);

    world.run(&["scan", "music"]).ok();

    let song = only(&world);
    assert_eq!(song["values"]["title"], json!({"value": "One", "source": "import"}));
    assert!(song["features"].is_object(), "{song}");
}

#[test]
fn a_record_without_audio_meets_a_song_that_was_scanned() {
    let world = World::new();
    write(&world.path("music/deep/kick.wav"), &tone(220.0, 1.0));
    world.run(&["scan", "music"]).ok();
    old(&world, &json!([{"id": "one", "filename": "kick.wav", "title": "One"}]));

    let report = import(&world);

    let song = only(&world);
    assert_eq!(report["known_by_file"], 1, "{report}");
    assert_eq!(song["values"]["title"], json!({"value": "One", "source": "import"}));
    assert!(song["embeddings"]["clap@1"].is_object());
    assert_eq!(song["files"].as_array().unwrap().len(), 1);
}

#[test]
fn a_vector_that_differs_is_said_and_not_taken() {
    let world = World::new();
    old(&world, &json!([{"id": "one", "filename": "kick.wav", "title": "One", "mood": "dark"}]));
    write(&world.path("old/data/audio/kick.wav"), &tone(220.0, 1.0));
    import(&world);
    fs::write(world.path("old/data/embeddings/one.npy"), npy_f64(&[0.0, 1.0, 0.0])).unwrap();
    let changed = json!([{"id": "one", "filename": "kick.wav", "title": "One", "mood": "calm"}]);
    fs::write(world.path("old/data/metadata.json"), changed.to_string()).unwrap();

    let report = import(&world);
    let told = world.run(&["import", "old", "--model", "clap@1"]).ok();

    assert_eq!((&report["differing"], &report["already_there"]), (&2.into(), &1.into()));
    assert_eq!(report["different"][0]["embedding"], "clap@1", "{report}");
    assert_eq!(report["different"][1]["field"], "mood", "{report}");
    assert!(told.stderr.contains("songrec rm"), "{told:?}");

    // What is said to be done helps.
    world.run(&["rm", &world.ids()[0], "--yes"]).ok();
    assert_eq!(import(&world)["differing"], 0);
    assert_eq!(only(&world)["values"]["mood"]["value"], json!(["calm"]));
    world.run(&["verify", "--read-data"]).ok();
}

#[test]
fn songs_of_a_later_format_are_not_imported_in_part() {
    let world = World::with(&["kick"]);
    world.run(&["export", "out"]).ok();
    let list = world.path("out/songs.jsonl");
    let mut song: Value = serde_json::from_str(&fs::read_to_string(&list).unwrap()).unwrap();
    song["format"] = 99.into();
    fs::write(&list, format!("{song}\n")).unwrap();
    let other = World::new();

    let run = other.run(&["import", world.path("out").to_str().unwrap()]);

    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("format 99"), "{run:?}");
    assert!(other.ids().is_empty());
}
