//! `songrec dup --near`: recordings that sound almost the same.

use std::{collections::BTreeSet, path::Path};

use crate::world::{World, examples_folder};

/// One sound in five formats, lossless and lossy.
const ENCODINGS: [&str; 5] = ["s16.wav", "cd.flac", "cbr.mp3", "vorbis.ogg", "aac.m4a"];

/// All example files, no two of which are the same sound, and one sound more
/// in five formats.
fn world() -> World {
    let world = World::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../audio/tests/fixtures/formats");
    for name in ENCODINGS {
        world.add(&fixtures.join(name), name);
    }
    world.run(&["scan", "music", examples_folder().to_str().unwrap()]).ok();
    world
}

fn names(group: &serde_json::Value) -> BTreeSet<&str> {
    let songs = group["songs"].as_array().unwrap();
    let paths = songs.iter().map(|song| song["path"].as_str().unwrap());
    paths.map(|path| path.rsplit('/').next().unwrap()).collect()
}

#[test]
fn the_formats_of_one_sound_are_near_duplicates_and_nothing_else_is() {
    let world = world();

    let groups = world.json_lines(&["dup", "--near"]);

    assert_eq!(groups.len(), 1, "{groups:#?}");
    assert_eq!(names(&groups[0]), BTreeSet::from(ENCODINGS));
    let least = groups[0]["similarity"].as_f64().unwrap();
    for song in groups[0]["songs"].as_array().unwrap() {
        let similarity = song["similarity"].as_f64().unwrap();
        assert!((least..=1.000_001).contains(&similarity) && least >= 0.97);
    }
}

#[test]
fn near_is_what_the_threshold_says() {
    let world = world();

    let text = world.run(&["dup", "--near", "--threshold", "0.9"]).ok();
    let none = world.run(&["dup", "--near", "--threshold", "1.5"]);
    let other = world.json_lines(&["dup", "--near", "--model", "dsp45-row@1"]);

    assert!(text.stdout.contains("s16.wav") && text.stderr.contains("group"), "{text:?}");
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    assert!(none.stderr.contains("no two songs"), "{none:?}");
    assert!(other.iter().any(|group| names(group).is_superset(&BTreeSet::from(ENCODINGS))));
    assert_eq!(world.run(&["dup", "--threshold", "0.9"]).code, 2);
    assert_eq!(world.run(&["dup", "--near", "--threshold", "nan"]).code, 2);
}

#[test]
fn only_songs_that_pass_the_filter_are_compared() {
    let world = world();

    let lossless = world.json_lines(&["dup", "--near", "--filter", "path:flac"]);
    let all = world.json_lines(&["dup", "--near", "--filter", "duration:<1"]);

    assert!(lossless.is_empty(), "{lossless:?}");
    assert_eq!(names(&all[0]), BTreeSet::from(ENCODINGS));
}
