//! What goes wrong, and what is said then.

use std::io::Read;

use crate::world::{World, examples, examples_folder, tone};

#[test]
fn each_kind_of_trouble_has_its_exit_code_and_a_next_step() {
    let bare = World::bare();
    let world = World::with(&["kick"]);
    let cases: [(&World, &[&str], i32, &str); 9] = [
        (&bare, &["ls"], 10, "songrec init"),
        (&world, &["similar", "nothing-like-this"], 4, "songrec search"),
        (&world, &["similar", "music/none.wav"], 4, "songrec search"),
        (&world, &["scan", "nowhere"], 4, "name folders"),
        (&world, &["ls", "--filter", "colour:red"], 2, "field"),
        (&world, &["similar", "music"], 2, "songrec scan"),
        (&world, &["ls", "--storage-backend", "nope"], 2, "[libraries.nope]"),
        (&world, &["frobnicate"], 2, "Usage"),
        (&world, &["scan", "music", "--model", "clap@9"], 2, "dsp45@1"),
    ];
    for (world, arguments, code, hint) in cases {
        let run = world.run(arguments);

        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(hint), "{arguments:?}: {run:?}");
        assert!(run.stdout.is_empty(), "errors are no data: {run:?}");
    }
}

#[test]
fn an_error_has_a_cause_and_a_hint() {
    let world = World::new();
    std::fs::create_dir_all(world.path("config/songrec")).unwrap();
    std::fs::write(world.path("config/songrec/config.toml"), "[search]\nresults = \"many\"\n")
        .unwrap();

    let run = world.run(&["ls"]);

    let expected = format!(
        "error: `many` is not a value for `search.results`
  caused by: it comes from {}, line 2, and should be a whole number

hint: `search.results` is how many results are shown
",
        world.path("config/songrec/config.toml").display()
    );
    assert_eq!(run.stderr, expected);
    assert_eq!(run.code, 2);
}

#[test]
fn in_json_an_error_is_a_document_too() {
    let world = World::new();
    for (arguments, code) in [
        (&["show", "nothing", "--json"][..], 4),
        (&["ls", "--json", "--frobnicate"], 2),
        (&["--json"], 2),
        (&["ls", "--json", "-f", "gnre:x"], 2),
        (&["ls", "gnre:x", "--json"], 2),
    ] {
        let run = world.run(arguments);

        let error: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(error["type"], "error", "{arguments:?}: {run:?}");
        assert_eq!((error["code"].as_i64(), run.code), (Some(code), code as i32), "{run:?}");
        assert!(error["hint"].is_string() && !run.stderr.is_empty(), "{run:?}");
        assert!(!error["message"].as_str().unwrap().contains("Usage"), "{run:?}");
    }
    let words = world.run(&["show", "nothing"]);
    assert!(words.stdout.is_empty(), "without --json errors are no data: {words:?}");
}

#[test]
fn in_json_nothing_found_is_a_document_too() {
    let world = World::with(&["kick"]);
    for arguments in [
        &["ls", "none-such"][..],
        &["search", "none-such"],
        &["dup"],
        &["dup", "--near"],
        &["trash"],
        &["conflicts"],
        &["conflicts", "show", "kick"],
        &["rm", "-f", "none-such", "--yes"],
        &["edit", "-f", "none-such", "--set", "mood=x", "--yes"],
        &["verify"],
        &["gc"],
        &["stats", "none-such"],
    ] {
        let run = world.run(&[arguments, &["--json"]].concat());

        let documents: Vec<serde_json::Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(documents.len(), 1, "{arguments:?}: {run:?}");
    }
    let nothing = world.json(&["ls", "none-such"]);
    assert_eq!(nothing["type"], "nothing");
    assert!(nothing["message"].as_str().unwrap().contains("none of the 1 songs"), "{nothing}");
}

#[test]
fn an_ambiguous_name_lists_the_candidates() {
    let world = World::new();
    for (number, file) in examples("kick").iter().take(3).enumerate() {
        let ending = file.extension().unwrap().to_str().unwrap();
        world.add(file, &format!("thing {number}.{ending}"));
    }
    world.run(&["scan", "music"]).ok();

    let run = world.run(&["show", "thing"]);

    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("names several songs"), "{run:?}");
    assert_eq!(run.stderr.matches("thing ").count(), 3, "{run:?}");
}

#[test]
fn an_exact_title_wins_among_a_thousand_that_begin_like_it() {
    let world = World::new();
    let song = |number: usize| {
        let mut tone = tone(200.0 + number as f64, 0.05);
        tone.truncate(tone.len() - number % 2);
        std::fs::write(world.path(&format!("music/Sample {number}.wav")), tone).unwrap();
    };
    [7, 17].into_iter().chain(70..80).chain(700..720).for_each(song);
    world.run(&["scan", "music"]).ok();

    let found = world.json(&["show", "sample 7"]);
    let begins = world.run(&["show", "sample 7", "sample 71", "sample"]);

    assert!(found["files"][0]["path"].as_str().unwrap().ends_with("Sample 7.wav"), "{found}");
    assert_eq!(begins.code, 2, "{begins:?}");
    assert!(begins.stderr.contains("`sample` names several songs"), "{begins:?}");
    assert_eq!(begins.stderr.matches("Sample ").count(), 20, "ten titles and paths: {begins:?}");
    assert!(begins.stderr.contains('…'), "{begins:?}");
}

#[test]
fn numbers_that_ask_for_nothing_are_refused_by_name() {
    let world = World::with(&["kick"]);
    for (arguments, named) in [
        (&["similar", "kick", "-k", "0"][..], "-k"),
        (&["similar", "kick", "-k", "-3"], "-k"),
        (&["similar", "kick", "--threshold", "NaN"], "--threshold"),
        (&["similar", "kick", "--threshold", "inf"], "--threshold"),
        (&["ls", "--limit", "0"], "--limit"),
        (&["search", "kick", "--limit", "-1"], "--limit"),
        (&["search", "--like", "kick", "--threshold", "high"], "--threshold"),
        (&["dup", "--near", "--threshold", "NaN"], "NaN"),
        (&["similar", "kick", "--weights", "-1"], "`-1` is not a weight"),
        (&["similar", "kick", "--weights", "1,2"], "2 weights for 1 song"),
        (&["similar", "kick", "--model", ""], "--model"),
        (&["scan", "music", "--model", ""], "--model"),
        (&["model", "bench", "dsp45", "--seconds", "NaN"], "NaN"),
    ] {
        let run = world.run(arguments);

        assert_eq!(run.code, 2, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(named), "{arguments:?}: {run:?}");
    }
    let words = world.run(&["search", "kick", "--threshold", "0.5"]);
    assert!(words.code == 2 && words.stderr.contains("--text"), "{words:?}");
    world.run(&["search", "--like", "kick", "--threshold", "-1"]);
    let most = usize::MAX.to_string();
    let all = world.run(&["similar", "kick", "-k", &most, "--include-self"]).ok();
    assert!(all.stderr.contains("only 1 found"), "{all:?}");
}

#[cfg(unix)]
#[test]
fn a_folder_without_audio_is_told_what_was_looked_for() {
    let world = World::new();
    std::fs::write(world.path("music/notes.txt"), "no music").unwrap();
    std::os::unix::fs::symlink("nowhere.wav", world.path("music/gone.wav")).unwrap();

    let dangling = world.run(&["scan", "music"]);
    std::fs::remove_file(world.path("music/gone.wav")).unwrap();
    let run = world.run(&["scan", "music"]);

    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("songrec reads MP3, FLAC"), "{run:?}");
    assert_eq!(dangling.code, 3, "{dangling:?}");
    assert_eq!(dangling.stderr.matches("gone.wav").count(), 1, "{dangling:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::with(&["kick", "snare", "bass"]);
    let mut child = world.begin(&["export", "out", "--json"]);
    drop(child.stdout.take());

    let status = child.wait().unwrap();

    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(status.success(), "{status}: {stderr}");
    assert!(!stderr.contains("panic"), "{stderr}");
}

#[test]
fn a_damaged_catalog_is_built_again() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    let library = world.path("data/songrec/library");
    for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(library.join(name));
    }
    std::fs::write(library.join("catalog.sqlite"), vec![0x5a; 8192]).unwrap();

    assert_eq!(world.ids(), ids);
}

#[test]
fn a_newer_library_is_refused() {
    let world = World::with(&["kick"]);
    let path = world.path("data/songrec/library/songrec.json");
    let mut document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    document["format"] = 999.into();
    document["check"] = "as a newer songrec makes it".into();
    std::fs::write(&path, document.to_string()).unwrap();

    let run = world.run(&["ls"]);

    assert_eq!(run.code, 7, "{run:?}");
}

#[test]
fn an_interrupt_leaves_a_whole_library_and_says_how_to_go_on() {
    let world = World::new();
    let folder = examples_folder();
    let folder_name = folder.to_str().unwrap();
    let child = world.begin(&["scan", folder_name, "--threads", "1", "--report", "list.csv"]);
    // The first id on stdout would do, but stdout is only sent on at the end;
    // the library itself shows that the work has begun.
    let songs = world.path("data/songrec/library/songs");
    while std::fs::read_dir(&songs).map_or(0, Iterator::count) < 2 {
        std::thread::yield_now();
    }
    let killed =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());

    let output = child.wait_with_output().unwrap();

    let stderr = String::from_utf8(output.stderr).unwrap();
    // A fast machine may be done before the signal arrives.
    if output.status.code() != Some(0) {
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("run the same command to go on"), "{stderr}");
    }
    let list = std::fs::read_to_string(world.path("list.csv")).unwrap();
    assert_eq!(list.lines().next(), Some("path,kind,reason,hint"));
    world.run(&["verify"]).ok();
    world.run(&["scan", folder_name]).ok();
    world.run(&["verify", "--read-data"]).ok();
}
