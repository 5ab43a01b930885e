//! Libraries of other programs come in, and files for other programs go out. What comes in
//! was made by `tools/make_import_fixtures.py`.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::world::World;

fn peer(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    folder.join(name).display().to_string()
}

fn import(world: &World, name: &str) -> Value {
    let run = world.run(&["import", &peer(name), "--json"]);
    assert!(matches!(run.code, 0 | 3), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

// The songs with these titles, in this order.
fn titled(world: &World, title: &str) -> Value {
    let listed = world.json_lines(&["ls"]);
    let id = listed.iter().find(|song| song["title"] == title);
    let id = id.unwrap_or_else(|| panic!("no `{title}`: {listed:?}"))["id"].as_str().unwrap();
    world.json(&["show", id])
}

fn value(song: &Value, field: &str) -> Value {
    song["values"][field]["value"].clone()
}

#[test]
fn a_library_of_beets_comes_in_with_all_that_it_says() {
    let world = World::new();

    let first = import(&world, "beets.db");
    let again = import(&world, "beets.db");

    assert_eq!(first["found"], "a library of beets");
    assert_eq!((&first["added"], &first["failed"]), (&json!(2), &json!([])), "{first}");
    assert_eq!((&again["added"], &again["already_there"]), (&json!(0), &json!(2)), "{again}");
    let song = titled(&world, "Night Walk");
    for (field, expected) in [
        ("artist", json!("Ada")),
        ("genre", json!(["House", "Techno"])),
        ("year", json!(1999)),
        ("track", json!(3)),
        ("bpm", json!(124.0)),
        ("key", json!("Am")),
        ("extra.mood_acoustic", json!("0.12")),
        ("extra.play_count", json!("7")),
        ("extra.mb_trackid", json!("3f9a0000-0000-4000-8000-000000000001")),
    ] {
        assert_eq!(value(&song, field), expected, "{field}");
    }
    // An unset number is no number.
    assert!(value(&titled(&world, "Odd"), "bpm").is_null());
    assert!(first["kept"]["play_count"] == 1, "{first}");
}

#[test]
fn chroma_comes_in_as_its_writes_left_it_with_vectors_to_search_by() {
    let world = World::new();

    let report = import(&world, "chroma.sqlite3");

    assert_eq!(report["found"], "a database of ChromaDB");
    assert_eq!((&report["added"], &report["failed"]), (&json!(2), &json!([])), "{report}");
    let songs = world.json_lines(&["ls"]);
    let kick = songs.iter().find(|song| song["path"] == "kick_1.wav").unwrap();
    let kick = world.json(&["show", kick["id"].as_str().unwrap()]);
    assert_eq!(value(&kick, "extra.cluster"), json!("3"));
    assert_eq!(value(&kick, "bpm"), json!(120.0));
    assert_eq!(kick["embeddings"]["audio-samples@1"]["dimension"], 3);
    let id = kick["id"].as_str().unwrap();
    let near = world.json(&["similar", id, "--model", "audio-samples@1"]);
    assert_eq!(near["results"].as_array().unwrap().len(), 1, "{near}");
}

#[test]
fn indexes_of_faiss_come_in_with_their_database() {
    let world = World::new();

    let report = import(&world, "audio_db");
    let alone = World::new();
    let one = world_import(&alone, &["import", &peer("audio_db/clap.index"), "--model", "clap@2"]);

    assert_eq!(report["found"], "a metadata database beside FAISS indexes");
    assert_eq!((&report["added"], &report["failed"]), (&json!(2), &json!([])), "{report}");
    let pad = titled(&world, "Pad");
    assert_eq!(pad["embeddings"]["clap@1"]["dimension"], 4);
    assert_eq!(pad["embeddings"]["librosa@1"]["dimension"], 2);
    assert_eq!(one["found"], "a FAISS index with `metadata.db`");
    assert_eq!(titled(&alone, "Pad")["embeddings"]["clap@2"]["dimension"], 4);
}

fn world_import(world: &World, arguments: &[&str]) -> Value {
    let run = world.run(&[arguments, &["--json"]].concat()).ok();
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn what_bliss_measured_comes_in_and_what_it_could_not_read_is_named() {
    let world = World::new();

    let songs = import(&world, "blissify.db");
    let tracks = import(&world, "bliss-analyser.db");

    assert_eq!(songs["found"], "a library of blissify");
    assert_eq!(
        (&songs["added"], songs["failed"][0][0].as_str()),
        (&json!(1), Some("/music/broken.flac"),)
    );
    assert_eq!(tracks["found"], "a database of bliss-analyser");
    // The same vector is the same song, which has two files.
    assert_eq!((&tracks["added"], &tracks["failed"]), (&json!(0), &json!([])), "{tracks}");
    let one = titled(&world, "One");
    assert_eq!(one["embeddings"]["bliss23@1"]["dimension"], 23);
    assert_eq!(value(&one, "artist"), json!("Bea"));
}

#[test]
fn samples_descriptions_and_tables_come_in() {
    let world = World::new();

    let samples = import(&world, "samples.db");
    let descriptions = import(&world, "acousticbrainz");
    let matrix = import(&world, "vectors.npy");
    let rows = World::new();
    let table = import(&rows, "vectors.csv");

    assert_eq!(samples["found"], "a library of audiomancer");
    let sample = titled(&world, "loop");
    assert_eq!(
        (value(&sample, "genre"), value(&sample, "mood")),
        (json!(["techno", "house"]), json!(["dark"]),)
    );
    assert_eq!(value(&sample, "instrument"), json!("drums"));
    assert_eq!(value(&sample, "extra.spectral_centroid"), json!("2500.5"));
    assert_eq!(descriptions["found"], "descriptions of AcousticBrainz");
    let dance = titled(&world, "Dance");
    assert_eq!((value(&dance, "key"), value(&dance, "mood")), (json!("Am"), json!(["party"])));
    assert_eq!(matrix["found"], "a matrix of vectors with `vectors.csv`");
    let first = titled(&world, "A, or B");
    assert_eq!(first["embeddings"]["vectors@1"]["dimension"], 3);
    assert_eq!(value(&first, "extra.rating"), json!("5"));
    assert_eq!((&table["found"], &table["added"]), (&json!("a table of records"), &json!(2)));
}

#[test]
fn descriptions_of_two_recordings_in_files_of_one_name_are_two_songs() {
    let world = World::new();
    fs::create_dir(world.path("dump")).unwrap();
    for (recording, title) in [("one", "First"), ("two", "Second")] {
        let description = json!({
            "lowlevel": {}, "rhythm": {"bpm": 120}, "tonal": {},
            "metadata": {"audio_properties": {"length": 200.0},
                "tags": {"title": [title], "file_name": "01.mp3"}},
        });
        let file = world.path(&format!("dump/{recording}.json"));
        fs::write(file, description.to_string()).unwrap();
    }

    let first = world_import(&world, &["import", "dump"]);
    let again = world_import(&world, &["import", "dump"]);

    assert_eq!((&first["added"], &first["differing"]), (&json!(2), &json!(0)), "{first}");
    assert_eq!((&again["added"], &again["already_there"]), (&json!(0), &json!(2)), "{again}");
    let titles: Vec<_> = world.json_lines(&["ls", "--sort", "title"]);
    assert_eq!((&titles[0]["title"], &titles[1]["title"]), (&json!("First"), &json!("Second")));
}

#[test]
fn synths_of_audiomancer_come_in_with_what_they_come_from() {
    let world = World::new();
    let from = peer("synths.db");

    let first = world.run(&["import", &from, "--json"]);
    world.run(&["synths", "edit", "low", "--set", "category=bass"]).ok();
    let again = world.run(&["import", &from, "--json"]);

    assert_eq!((first.code, again.code), (3, 3), "{first:?} {again:?}");
    let [first, again] = [first, again]
        .map(|run| serde_json::from_str::<serde_json::Value>(run.stdout.trim()).unwrap());
    assert_eq!((&first["synths"], &again["synths"]), (&json!(2), &json!(0)), "{first} {again}");
    for import in [&first, &again] {
        let failed = import["failed"].as_array().unwrap();
        assert_eq!(failed.len(), 2, "the one without a SynthDef, and its link: {import}");
    }
    let lineage = world.json(&["synths", "lineage", "high", "--up"]);
    assert_eq!(lineage["up"][0]["name"], "low");
    assert_eq!(lineage["up"][0]["weight"], 0.25);
    assert_eq!(world.json(&["synths", "show", "low"])["category"], "bass", "edits stay");
}

#[test]
fn what_is_known_of_no_program_is_refused_in_words() {
    let world = World::new();
    fs::write(world.path("text"), "no library").unwrap();
    fs::create_dir(world.path("empty")).unwrap();
    fs::write(world.path("vectors.pkl"), b"\x80\x04K\x01.").unwrap();
    fs::create_dir_all(world.path("lance/table.lance")).unwrap();

    for from in ["text", "empty", "nowhere", "vectors.pkl", "lance"] {
        let run = world.run(&["import", from]);
        assert_eq!(run.code, 4, "{run:?}");
        assert!(run.stderr.contains(from), "{run:?}");
        let needs_python = ["vectors.pkl", "lance"].contains(&from);
        assert_eq!(run.stderr.contains("vectors_to_npy.py"), needs_python, "{run:?}");
    }
}

#[test]
fn songs_and_vectors_go_out_as_one_file() {
    let world = World::with(&["kick", "snare"]);
    let run = |arguments: &[&str]| world.run(arguments).ok();

    run(&["export", "--format", "csv", "songs.csv"]);
    run(&["export", "--format", "m3u8", "songs.m3u8", "-f", "title:kick"]);
    run(&["export", "--format", "npy", "v.npy", "--model", "dsp45@1"]);
    run(&["export", "--format", "faiss", "v.index", "--model", "dsp45@1"]);
    run(&["export", "--format", "parquet", "songs.parquet", "--model", "dsp45@1"]);
    let again = world.run(&["export", "--format", "csv", "songs.csv"]);
    let forced = world.run(&["export", "--format", "csv", "songs.csv", "--force"]);
    let unknown = world.run(&["export", "--format", "faiss", "x", "--model", "no@1"]);
    let odd = world.run(&["export", "--format", "xls", "x"]);

    let csv = fs::read_to_string(world.path("songs.csv")).unwrap();
    assert!(csv.starts_with("id,title,artist"), "{csv}");
    assert_eq!(csv.lines().count(), 3);
    let m3u8 = fs::read_to_string(world.path("songs.m3u8")).unwrap();
    assert_eq!(m3u8.lines().filter(|line| !line.starts_with('#')).count(), 1, "{m3u8}");
    let npy = fs::read(world.path("v.npy")).unwrap();
    assert_eq!(npy.len(), 128 + 2 * 45 * 4);
    let ids: Value =
        serde_json::from_slice(&fs::read(world.path("v.npy.ids.json")).unwrap()).unwrap();
    assert_eq!(ids.as_array().unwrap().len(), 2);
    assert!(fs::read(world.path("songs.parquet")).unwrap().ends_with(b"PAR1"));
    assert_eq!((again.code, forced.code, unknown.code, odd.code), (2, 0, 4, 2), "{again:?}");
    assert!(unknown.stderr.contains("dsp45@1"), "{unknown:?}");
    // What went out comes in again.
    let other = World::new();
    for name in ["v.index", "v.index.ids.json"] {
        fs::copy(world.path(name), other.path(name)).unwrap();
    }
    let back = world_import(&other, &["import", "v.index", "--model", "dsp45@1"]);
    assert_eq!(
        (&back["added"], &back["found"]),
        (&json!(2), &json!("a FAISS index with `v.index.ids.json`"),)
    );
}
