//! What songrec answers over the example audio.

use std::{collections::BTreeMap, path::Path};

use crate::world::{World, examples_folder};

fn kind_of(path: &str) -> String {
    let folder = Path::new(path).parent().and_then(Path::file_name);
    folder.unwrap().to_string_lossy().into_owned()
}

#[test]
fn the_nearest_of_nine_files_in_ten_is_of_its_kind() {
    let world = World::new();
    world.run(&["scan", examples_folder().to_str().unwrap()]).ok();
    let summaries = world.json_lines(&["ls"]);
    let mut wrong = Vec::new();
    for summary in &summaries {
        let id = summary["id"].as_str().unwrap();
        let similar = world.json(&["similar", id, "-k", "1", "--model", "dsp45@1"]);
        let (own, nearest) = (&summary["path"], &similar["results"][0]["path"]);
        if kind_of(own.as_str().unwrap()) != kind_of(nearest.as_str().unwrap()) {
            wrong.push(format!("{own} -> {nearest}"));
        }
    }

    assert!(summaries.len() >= 40, "{} files", summaries.len());
    assert!(
        wrong.len() * 10 <= summaries.len(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        summaries.len()
    );
}

#[test]
fn the_examples_are_many_kinds_in_many_formats() {
    let world = World::new();
    world.run(&["scan", examples_folder().to_str().unwrap()]).ok();
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for summary in world.json_lines(&["ls"]) {
        *kinds.entry(kind_of(summary["path"].as_str().unwrap())).or_default() += 1;
    }

    let stats = world.json(&["stats"]);

    assert!(kinds.len() >= 8, "{kinds:?}");
    let codecs = stats["codecs"].as_object().unwrap();
    for codec in ["flac", "mp3", "vorbis", "aac"] {
        assert!(codecs.contains_key(codec), "{codec} in {codecs:?}");
    }
    assert!(codecs.keys().any(|codec| codec.starts_with("pcm")), "{codecs:?}");
}

#[test]
fn every_answer_is_the_same_after_catalog_and_index_are_deleted() {
    let world = World::with(&["kick", "snare", "bass", "pad", "bell", "voice"]);
    let ids = world.ids();
    world.run(&["edit", &ids[0], "--set", "title=Renamed", "--set", "genre=a,b"]).ok();
    world.run(&["rm", &ids[5]]).ok();
    let questions: Vec<Vec<&str>> = vec![
        vec!["ls", "--sort", "title"],
        vec!["ls", "--filter", "bpm:*"],
        vec!["search", "renamed"],
        vec!["stats"],
        vec!["similar", &ids[1], "--explain"],
        vec!["similar", &ids[2], "--metric", "euclidean", "--filter", "-genre:a"],
        vec!["show", &ids[3]],
    ];
    let ask =
        || -> Vec<_> { questions.iter().map(|question| world.json_lines(question)).collect() };
    let before = ask();
    let library = world.path("data/songrec/library");
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(library.join(name));
    }
    std::fs::remove_dir_all(library.join("index")).unwrap();

    assert_eq!(ask(), before);
}

#[test]
fn the_demo_shows_what_is_similar_and_what_to_type_next() {
    let world = World::bare();

    let run = world.run(&["demo", "--audio", examples_folder().to_str().unwrap()]).ok();

    assert!(run.stdout.contains("similarity"), "{run:?}");
    assert!(run.stdout.contains('%'), "it says why: {run:?}");
    assert!(run.stderr.contains("songrec scan"), "{run:?}");
    let next = run.stderr.lines().find(|line| line.contains(" similar ")).unwrap();
    assert!(next.contains("--library"), "{next}");
}
