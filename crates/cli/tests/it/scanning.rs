//! `scan`: what it takes in, and what it leaves alone.

use std::fs;

use crate::world::{Run, World, examples, examples_folder, tone};

#[test]
fn a_second_scan_finds_nothing_new() {
    let world = World::with(&["kick", "snare"]);

    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!(summary["added"], 0);
    assert_eq!(summary["unchanged"], 2);
}

#[test]
fn a_moved_file_keeps_its_song() {
    let world = World::with(&["kick"]);
    let id = world.ids()[0].clone();
    let old = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().path();
    fs::create_dir(world.path("music/sub")).unwrap();
    fs::rename(&old, world.path("music/sub/other name.wav")).unwrap();

    let items = world.json_lines(&["scan", "music"]);

    assert_eq!(items[0]["type"], "moved");
    assert_eq!(world.ids(), std::slice::from_ref(&id));
    let song = world.json(&["show", &id]);
    let files = song["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert!(files[0]["path"].as_str().unwrap().ends_with("sub/other name.wav"));
}

#[test]
fn a_copy_is_stored_once_and_reported() {
    let world = World::with(&["kick"]);
    world.add(&examples("kick")[0], "copy.wav");

    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!(summary["duplicates"], 1);
    assert_eq!(world.ids().len(), 1);
    let duplicates = world.json(&["dup"]);
    assert_eq!(duplicates["files"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_read_is_reported_once_and_retried_when_asked() {
    let world = World::with(&["kick"]);
    fs::write(world.path("music/bad.mp3"), b"this is not audio at all").unwrap();
    fs::write(world.path("music/empty.wav"), b"").unwrap();

    let first = world.run(&["scan", "music"]);
    let second = world.json_lines(&["scan", "music"]).pop().unwrap();
    let retried = world.run(&["scan", "--failed"]);

    assert_eq!(first.code, 3, "{first:?}");
    assert!(first.stderr.contains("bad.mp3") && first.stderr.contains("empty.wav"), "{first:?}");
    assert_eq!(second["failed_before"], 2);
    assert_eq!(retried.code, 3, "{retried:?}");
    fs::copy(&examples("snare")[0], world.path("music/bad.mp3")).unwrap();
    let repaired = world.json_lines(&["scan", "--failed"]).pop().unwrap();
    assert_eq!(repaired["added"], 1);
    assert_eq!(repaired["failed"], 1);
}

#[test]
fn a_forgotten_song_stays_forgotten_until_it_is_named() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    world.run(&["rm", &ids[0]]).ok();

    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();
    assert_eq!(summary["forgotten"], 1);
    assert_eq!(world.ids(), [ids[1].clone()]);

    world.run(&["scan", "music", "--again"]).ok();
    assert_eq!(world.ids(), ids);
}

#[test]
fn ignored_and_excluded_files_are_left_out() {
    let world = World::new();
    world.add(&examples("kick")[0], "in.wav");
    world.add(&examples("snare")[0], "drafts/out.wav");
    world.add(&examples("bass")[0], "loops/out.wav");
    fs::write(world.path("music/.songrecignore"), "drafts/\n").unwrap();

    let summary = world.json_lines(&["scan", "music", "--exclude", "loops/**"]).pop().unwrap();

    assert_eq!(summary["added"], 1, "{summary}");
}

#[test]
fn a_missing_file_costs_no_song() {
    let world = World::with(&["kick", "snare"]);
    let file = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(file).unwrap();

    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!(summary["missing"], 1);
    assert_eq!(world.ids().len(), 2);
}

#[test]
fn a_replaced_file_is_another_song() {
    let world = World::with(&["kick"]);
    let path = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().path();
    fs::copy(&examples("bass")[0], &path).unwrap();

    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!(summary["added"], 1);
    let songs: Vec<_> = world.ids().iter().map(|id| world.json(&["show", id])).collect();
    let with_files = songs.iter().filter(|song| song["files"].is_array()).count();
    assert_eq!((songs.len(), with_files), (2, 1), "the old song has lost its file");
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = World::new();
    world.add(&examples("kick")[0], "kick.wav");

    let summary = world.json_lines(&["scan", "music", "--dry-run"]).pop().unwrap();

    assert_eq!(summary["added"], 1);
    assert!(world.ids().is_empty());
    world.run(&["scan", "music"]).ok();
    assert_eq!(world.ids().len(), 1);
}

#[test]
fn the_folder_gives_the_genre_where_a_file_has_none() {
    let world = World::new();
    let bare = world.path("music/techno/bare.wav");
    fs::create_dir_all(bare.parent().unwrap()).unwrap();
    fs::write(&bare, tone(220.0, 1.0)).unwrap();

    world.run(&["scan", "music", "--genre-from-folder"]).ok();

    let song = world.json(&["ls"]);
    assert_eq!(song["genres"], serde_json::json!(["techno"]));
}

#[test]
fn two_processes_scanning_into_one_library_lose_nothing() {
    let world = World::new();
    let folder = examples_folder();
    let folder = folder.to_str().unwrap();

    let both = [world.begin(&["scan", folder]), world.begin(&["scan", folder])];

    for scan in both {
        Run::of(scan.wait_with_output().unwrap()).ok();
    }
    let files = walk(&examples_folder());
    assert_eq!(world.json(&["ls", "--count"])["songs"], files);
    world.run(&["verify", "--read-data"]).ok();
}

fn walk(folder: &std::path::Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let is_text = path.extension().is_some_and(|ending| ending == "md");
            if path.is_dir() { walk(&path) } else { usize::from(!is_text) }
        })
        .sum()
}

#[test]
#[cfg(unix)]
fn a_file_whose_name_is_no_text_is_named_by_its_id() {
    use std::os::unix::ffi::OsStrExt;

    let world = World::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.wav");
    fs::copy(&examples("kick")[0], world.path("music").join(name)).unwrap();

    world.run(&["scan", "music"]).ok();

    let id = world.ids().remove(0);
    let bytes = fs::read(&examples("kick")[0]).unwrap();
    world.run(&["show", &id]).ok();
    world.run(&["get", &id, "back.wav"]).ok();
    assert_eq!(fs::read(world.path("back.wav")).unwrap(), bytes);
    let again = world.json_lines(&["scan", "music"]).pop().unwrap();
    assert_eq!(again["unchanged"], 1, "{again}");
    world.run(&["rm", &id, "--delete-audio", "--yes"]).ok();
    assert_eq!(fs::read_dir(world.path("music")).unwrap().count(), 0);
}

#[test]
fn one_damaged_song_keeps_a_scan_from_no_other() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    let library = world.path("data/songrec/library");
    fs::write(library.join(format!("songs/{}/{}.json", &ids[0][..2], ids[0])), "{\"id\":").unwrap();
    world.add(&examples("bass")[0], "bass.wav");

    let hit = world.run(&["similar", &ids[1]]);
    let shown = world.run(&["show", &ids[0]]);
    let scan = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!(hit.code, 1, "there is nothing else to hit: {hit:?}");
    assert!(hit.stderr.contains("left out"), "{hit:?}");
    assert_eq!(shown.code, 7, "{shown:?}");
    assert_eq!((&scan["added"], &scan["failed"]), (&1.into(), &0.into()), "{scan}");
    let again = world.json_lines(&["scan", "music", "--again"]).pop().unwrap();
    assert_eq!((&again["added"], &again["unchanged"]), (&1.into(), &2.into()), "{again}");
    world.run(&["show", &ids[0]]).ok();
    world.run(&["verify"]).ok();
}

#[test]
fn a_damaged_song_fails_its_file_alone() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    let library = world.path("data/songrec/library");
    fs::write(library.join(format!("songs/{}/{}.json", &ids[0][..2], ids[0])), "{\"id\":").unwrap();
    // Without its state the machine has to ask.
    fs::remove_dir_all(world.path("state")).unwrap();

    let items = world.json_lines(&["scan", "music"]);

    let summary = items.last().unwrap();
    assert_eq!((&summary["unchanged"], &summary["failed"]), (&1.into(), &1.into()), "{items:?}");
    assert!(items[0]["reason"].as_str().unwrap().contains("verify --repair"), "{items:?}");
}

#[test]
fn a_scan_ends_with_what_a_person_wants_to_know() {
    let world = World::new();
    for kind in ["kick", "snare", "bass", "pad"] {
        let example = &examples(kind)[0];
        world.add(example, example.file_name().unwrap().to_str().unwrap());
    }
    for name in ["a.wma", "b.WMA", "deep/c.wv", "cover.jpg", "notes.txt"] {
        world.add(&examples("kick")[0], name);
    }

    let first = world.run(&["scan", "music"]).ok();
    let again = world.run(&["scan", "music"]).ok();

    assert_eq!(first.stdout.lines().count(), 4, "an id a line for programs: {first:?}");
    assert!(first.stderr.contains("4 files: 4 new"), "{first:?}");
    assert!(
        first.stderr.contains("3 files not read: 2 wma, 1 wv; `[decode] ffmpeg = true`"),
        "{first:?}"
    );
    let new = first.stderr.lines().find_map(|line| line.strip_prefix("new: ")).unwrap();
    assert!(new.contains(" and 1 more") && new.matches(", ").count() == 2, "{new}");
    let next = first.stderr.lines().find_map(|line| line.strip_prefix("next: `songrec ")).unwrap();
    let command = next.split('`').next().unwrap().replace('\'', "");
    let (command, song) = command.split_once(' ').unwrap();
    world.run(&[command, song]).ok();
    assert!(!again.stderr.contains("new: ") && again.stderr.contains("4 unchanged"), "{again:?}");
    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();
    assert_eq!(summary["unread"], serde_json::json!({ "wma": 2, "wv": 1 }));
}

#[test]
fn songs_whose_files_are_gone_can_be_listed_and_forgotten() {
    let world = World::with(&["kick", "snare", "bass"]);
    let gone = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().path();
    let lost = world.json(&["show", gone.to_str().unwrap()])["id"].clone();
    fs::remove_file(&gone).unwrap();

    let scan = world.run(&["scan", "music"]);
    let listed = world.json(&["ls", "-f", "missing:yes"]);
    let others = world.json_lines(&["search", "missing:no", "--limit", "1", "--offset", "1"]);

    assert!(scan.stderr.contains("`songrec rm --missing`"), "{scan:?}");
    assert_eq!(listed["id"], lost);
    assert_eq!(world.json(&["ls", "--missing", "--count"])["songs"], 1);
    assert_eq!(others.len(), 1, "two are there, and one is skipped");
    assert_ne!(others[0]["id"], lost);
    let elsewhere = world.run(&["similar", "kick", "-f", "missing:yes"]);
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("`rm`"), "{elsewhere:?}");
    world.run(&["rm", "--missing", "--yes"]).ok();
    assert_eq!(world.ids().len(), 2);
    assert_eq!(world.run(&["rm", "--missing", "--yes"]).code, 1);
}

#[test]
fn songs_without_files_on_this_machine_are_not_missing() {
    let world = World::with(&["kick", "snare"]);
    // What another machine scanned, this one has never seen.
    fs::remove_dir_all(world.path("state")).unwrap();
    fs::remove_dir_all(world.path("music")).unwrap();

    let listed = world.run(&["ls", "--missing"]);

    assert_eq!(listed.code, 1, "{listed:?}");
    assert!(listed.stderr.contains("has lost its files"), "{listed:?}");
}

#[test]
#[cfg(unix)]
fn a_song_can_be_named_by_a_path_that_is_no_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let world = World::with(&["snare"]);
    let name = OsStr::from_bytes(b"music/caf\xe9.wav");
    fs::copy(&examples("kick")[0], world.path("").join(name)).unwrap();
    let run = |command: &str| {
        let output = world.command(&[command, "--json"]).arg(name).output().unwrap();
        Run::of(output)
    };

    let outside = run("similar").ok();
    run("scan").ok();
    let inside = run("show").ok();

    assert!(outside.stdout.contains("snare"), "{outside:?}");
    assert!(inside.stdout.contains("\"files\""), "{inside:?}");
    assert_eq!(run("embed").code, 0);
    fs::remove_file(world.path("").join(name)).unwrap();
    assert_eq!(run("show").ok().stdout, inside.stdout, "by its path, also without its file");
    run("rm").ok();
    assert_eq!(world.ids().len(), 1);
}

#[test]
fn a_list_names_every_file_that_was_left_out_and_why() {
    let world = World::with(&["kick", "snare"]);
    world.run(&["rm", &world.ids()[0]]).ok();
    fs::write(world.path("music/bad, \"quoted\".mp3"), b"this is not audio at all").unwrap();
    fs::write(world.path("music/other.wma"), b"a format that is not read").unwrap();
    fs::write(world.path("music/wrong.scd"), b"SynthDef(\\x, { Out.ar(0, (((").unwrap();
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(world.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let found = |name: &str, kind: &str| {
        let lines = lines(name);
        let found: Vec<_> = lines.iter().filter(|line| line["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {lines:?}");
        let text = |field: &str| found[0][field].as_str().unwrap_or_default().to_owned();
        (text("path"), text("reason"), text("hint"))
    };

    let first = world.run(&["scan", "music", "--exclude", "*.scd", "--report", "first.jsonl"]);
    let second = world.json_lines(&["scan", "music", "--report", "second.jsonl"]).pop().unwrap();
    world.run(&["scan", "music", "--exclude", "*.scd", "--report", "table.csv"]);

    assert!(first.stderr.contains("3 files left out, listed in `first.jsonl`"), "{first:?}");
    let (path, reason, hint) = found("first.jsonl", "failed");
    assert!(path.ends_with("music/bad, \"quoted\".mp3") && path.starts_with('/'), "{path}");
    assert_eq!(reason, "not an audio file of a known format");
    assert!(hint.contains("songrec reads MP3"), "{hint}");
    let (path, reason, hint) = found("first.jsonl", "unread");
    assert!(path.ends_with("music/other.wma"), "{path}");
    assert_eq!(reason, "songrec does not read `wma` files by itself");
    assert!(hint.contains("`[decode] ffmpeg = true`"), "{hint}");
    let (_, reason, hint) = found("first.jsonl", "forgotten");
    assert_eq!(reason, "its song was removed from the library");
    assert!(hint.contains("`songrec scan '/"), "{hint}");
    let (path, reason, hint) = found("second.jsonl", "failed_before");
    assert!(path.ends_with(".mp3") && hint.contains("`songrec scan --failed`"), "{path} {hint}");
    assert_eq!(reason, "not an audio file of a known format");
    assert!(found("second.jsonl", "failed").0.ends_with("wrong.scd"));
    assert_eq!(second["listed"], 4);
    let table = fs::read_to_string(world.path("table.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!((rows[0], rows.len()), ("path,kind,reason,hint", 4));
    assert!(table.contains("bad, \"\"quoted\"\".mp3\",failed_before,"), "{table}");
    let beside = fs::read_dir(world.path(".")).unwrap();
    let beside: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains("skipped-")), "{beside:?}");
}

#[test]
fn a_list_that_cannot_be_written_is_refused_before_anything_is_scanned() {
    let world = World::new();
    world.add(&examples("kick")[0], "kick.wav");

    for (name, why) in [("list.txt", "`.jsonl`"), ("none/list.csv", "could not write")] {
        let run = world.run(&["scan", "music", "--report", name]);

        assert!(run.code != 0 && run.stderr.contains(why), "{run:?}");
    }
    assert!(world.ids().is_empty());
}

#[test]
fn a_label_names_the_sound_of_one_file() {
    let world = World::with(&["kick", "pad"]);
    fs::write(world.path("music/tone.wav"), tone(440.0, 1.0)).unwrap();
    let labelled = |path: &str, label: &str| world.run(&["scan", path, "--label", label]);

    labelled("music/tone.wav", "Deep kick").ok();
    assert!(world.run(&["show", "Deep kick"]).ok().stdout.contains("Deep kick"));
    labelled("music/tone.wav", "Deeper kick").ok();
    world.run(&["show", "Deeper kick"]).ok();

    for path in ["music", "music/nothing.wav"] {
        let run = labelled(path, "Both");
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains("one file"), "{}", run.stderr);
    }
    assert_eq!(labelled("music/tone.wav", "").code, 2);
}
