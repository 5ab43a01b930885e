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

/// The group that the five encodings are in.
fn encodings(groups: &[serde_json::Value]) -> &serde_json::Value {
    groups.iter().find(|group| names(group).contains("s16.wav")).unwrap()
}

#[test]
fn the_formats_of_one_sound_are_near_duplicates() {
    let world = world();

    let groups = world.json_lines(&["dup", "--near"]);

    let group = encodings(&groups);
    assert_eq!(names(group), BTreeSet::from(ENCODINGS), "{groups:#?}");
    let least = group["similarity"].as_f64().unwrap();
    for song in group["songs"].as_array().unwrap() {
        let similarity = song["similarity"].as_f64().unwrap();
        assert!((least..=1.000_001).contains(&similarity) && least >= 0.95);
    }
    // What else sounds almost the same is at least of one kind.
    for group in groups.iter().filter(|group| !names(group).contains("s16.wav")) {
        let songs = group["songs"].as_array().unwrap();
        let kinds: BTreeSet<&str> = songs
            .iter()
            .map(|song| song["path"].as_str().unwrap().rsplit('/').nth(1).unwrap())
            .collect();
        assert_eq!(kinds.len(), 1, "{group:#?}");
    }
    let least = |group: &serde_json::Value| group["similarity"].as_f64().unwrap();
    assert!(groups.windows(2).all(|pair| least(&pair[0]) >= least(&pair[1])));
}

#[test]
fn near_is_what_the_threshold_says() {
    let world = world();

    let close = world.json_lines(&["dup", "--near", "--threshold", "0.99"]);
    let text = world.run(&["dup", "--near"]).ok();
    let none = world.run(&["dup", "--near", "--threshold", "1.5"]);
    let other = world.json_lines(&["dup", "--near", "--model", "dsp45@1", "--threshold", "0.95"]);

    assert_eq!(names(encodings(&close)), BTreeSet::from(["s16.wav", "cd.flac", "cbr.mp3"]));
    assert!(text.stdout.contains("s16.wav") && text.stderr.contains("groups of"), "{text:?}");
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    assert!(none.stderr.contains("no two songs"), "{none:?}");
    assert_eq!(names(encodings(&other)), BTreeSet::from(ENCODINGS));
    assert_eq!(world.run(&["dup", "--threshold", "0.9"]).code, 2);
    assert_eq!(world.run(&["dup", "--near", "--threshold", "nan"]).code, 2);
}

#[test]
fn songs_of_other_lengths_are_near_only_if_asked_for() {
    let world = world();
    let lengths = |group: &serde_json::Value| -> Vec<f64> {
        let songs = group["songs"].as_array().unwrap();
        songs.iter().map(|song| song["duration"].as_f64().unwrap()).collect()
    };
    // Every two of a group that are joined are equally long; with groups of two
    // that is both.
    let unequal = |groups: &[serde_json::Value]| {
        let pairs = groups.iter().map(lengths).filter(|lengths| lengths.len() == 2);
        pairs
            .filter(|pair| (pair[0] - pair[1]).abs() > (0.1 * pair[0].max(pair[1])).max(0.07))
            .count()
    };
    // Low enough that sounds of one kind are near to each other.
    let near = ["dup", "--near", "--threshold", "0.9"];

    let equal = world.json_lines(&near);
    let any = world.json_lines(&[&near[..], &["--any-length"]].concat());

    assert_eq!(unequal(&equal), 0, "{equal:#?}");
    let songs = |groups: &[serde_json::Value]| {
        groups.iter().map(|group| lengths(group).len()).sum::<usize>()
    };
    assert!(songs(&any) > songs(&equal), "{any:#?}");
    assert!(names(encodings(&equal)).is_superset(&BTreeSet::from(ENCODINGS)));
    assert_eq!(world.run(&["dup", "--any-length"]).code, 2);
}

#[test]
fn only_songs_that_pass_the_filter_are_compared() {
    let world = world();

    let lossless = world.json_lines(&["dup", "--near", "--filter", "path:flac"]);
    let short = world.json_lines(&["dup", "--near", "--filter", "duration:<0.5"]);

    assert!(lossless.is_empty(), "{lossless:?}");
    assert_eq!(names(encodings(&short)), BTreeSet::from(ENCODINGS));
}

#[cfg(all(feature = "astra", feature = "emulator"))]
#[test]
fn a_library_in_the_cloud_gives_the_same_groups_in_few_requests() {
    use crate::remote::{Database, astra, with_astra};
    let world = world();
    let database = Database::start();
    database.serve(&world, &world.path("bucket"));
    astra(&world, &["init-astra"]).ok();
    astra(&world, &["scan", "music", examples_folder().to_str().unwrap()]).ok();
    let _ = std::fs::remove_dir_all(world.path("cache"));
    let local = world.json_lines(&["dup", "--near"]);
    database.requests().reset();

    let cloud = world.json_lines(&with_astra(&["dup", "--near"]));

    // Opening, models, a count, a page of summaries, their embeddings, and the
    // songs that were found: not one for each of the 55 songs.
    let requests = database.requests().total();
    assert!(requests <= 20, "{:?}", database.requests().counts());
    let all = |groups: &[serde_json::Value]| -> Vec<BTreeSet<String>> {
        groups.iter().map(|group| names(group).into_iter().map(str::to_owned).collect()).collect()
    };
    assert!(!local.is_empty());
    assert_eq!(all(&cloud), all(&local));
}
