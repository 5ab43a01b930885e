//! Playlists, as a person makes and uses them.

use std::fs;

use serde_json::Value;

#[cfg(all(feature = "astra", feature = "emulator"))]
use crate::syncing::{another, with_cloud};
use crate::world::World;

fn titles(shown: &Value) -> Vec<String> {
    let entries = shown["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["title"].as_str().unwrap().to_owned()).collect()
}

// Songs with titles `a` to `d`.
fn world() -> World {
    let world = World::with(&["kick", "snare", "pad", "bass"]);
    for (id, title) in world.ids().iter().zip(["a", "b", "c", "d"]) {
        world.run(&["edit", id, "--set", &format!("title={title}")]).ok();
    }
    world
}

#[test]
fn a_playlist_is_made_and_changed_by_words() {
    let world = world();

    let made = world.run(&["playlist", "new", "Late evening", "a", "b"]).ok();
    assert!(made.stderr.contains("made the playlist `Late evening` with 2 songs"), "{made:?}");
    world.run(&["playlist", "add", "late evening", "c", "d", "a", "--at", "2"]).ok();
    let shown = world.json(&["playlist", "show", made.stdout.trim()]);
    assert_eq!(titles(&shown), ["a", "c", "d", "a", "b"]);
    world.run(&["playlist", "move", "Late Evening", "5", "1"]).ok();
    world.run(&["playlist", "rm", "late evening", "a"]).ok();
    world.run(&["playlist", "rm", "late evening", "--at", "3"]).ok();
    assert_eq!(titles(&world.json(&["playlist", "show", "late-evening"])), ["b", "c"]);
    world.run(&["playlist", "add", "late evening", "--title", "d"]).ok();
    world.run(&["playlist", "edit", "late evening", "--name", "Night"]).ok();

    world.run(&["rm", "c"]).ok();
    let shown = world.run(&["playlist", "show", "night"]).ok();
    assert!(shown.stdout.contains("not in the library"), "{shown:?}");
    assert!(shown.stderr.contains("1 song not in the library any more"), "{shown:?}");
    let passing = world.json_lines(&["ls", "-f", "playlist:night"]);
    assert_eq!(passing.len(), 2);
    world.run(&["playlist", "rm", "night", "c"]).ok();
    assert_eq!(titles(&world.json(&["playlist", "show", "night"])), ["b", "d"]);

    for (arguments, code, said) in [
        (&["playlist", "new", "NIGHT"][..], 2, "there is a playlist `Night` already"),
        (&["playlist", "new", "x", "a", "-f", "bpm:1"], 2, "cannot be used with"),
        (&["playlist", "show", "nihgt"], 4, "there are `Night`"),
        (&["playlist", "rm", "night", "a"], 4, "`a` is not in `Night`"),
        (&["playlist", "rm", "night", "--at", "7"], 4, "it has 2 songs"),
        (&["playlist", "move", "night", "1", "5"], 2, "has no place 5"),
        (&["ls", "-f", "playlist:day"], 4, "there is no playlist `day`"),
    ] {
        let run = world.run(arguments);
        assert!(run.code == code && run.stderr.contains(said), "{arguments:?} {run:?}");
    }
    world.run(&["playlist", "delete", "night"]).ok();
    let none = world.run(&["playlist"]);
    assert!(none.code == 1 && none.stderr.contains("`songrec playlist new NAME`"), "{none:?}");
}

#[test]
fn a_smart_playlist_follows_its_rule() {
    let world = world();
    world.run(&["playlist", "new", "First", "--title", "a,b"]).ok();
    world.run(&["playlist", "new", "Near", "--like", "a", "--length", "3"]).ok();

    assert_eq!(titles(&world.json(&["playlist", "show", "first"])), ["a", "b"]);
    let near = world.json(&["playlist", "show", "near"]);
    assert_eq!((titles(&near).len(), titles(&near)[0].as_str()), (3, "a"));
    world.run(&["edit", "c", "--set", "title=a"]).ok();
    assert_eq!(titles(&world.json(&["playlist", "show", "first"])), ["a", "a", "b"]);
    world.run(&["playlist", "edit", "first", "--length", "1"]).ok();
    assert_eq!(titles(&world.json(&["playlist", "show", "first"])), ["a"]);
    let list = world.run(&["playlist", "ls"]).ok();
    assert!(list.stdout.contains("title:a,b 1 songs"), "{list:?}");
    let added = world.run(&["playlist", "add", "first", "d"]);
    assert!(added.code == 2 && added.stderr.contains("a rule says"), "{added:?}");
}

#[test]
fn a_player_gets_paths_that_it_can_use() {
    let world = world();
    world.run(&["playlist", "new", "Trip", "a", "b", "c"]).ok();
    world.run(&["rm", "c"]).ok();
    let music = world.path("music").canonicalize().unwrap();
    let music = music.to_str().unwrap();
    let map = format!("{music}=M:\\Music");
    for (arguments, begins) in [
        (&["trip.m3u8"][..], format!("{music}/")),
        (&["relative.m3u8", "--relative-to", "."], "music/".to_owned()),
        (&["mapped.m3u8", "--map", &map], "M:\\Music\\".to_owned()),
        (&["slashed.m3u8", "--map", &map, "--forward-slash"], "M:/Music/".to_owned()),
    ] {
        let run = world.run(&[&["playlist", "export", "trip"], arguments].concat());
        assert!(run.code == 3 && run.stderr.contains("left out 3, `c`: it is not in"), "{run:?}");
        let text = std::fs::read_to_string(world.path(arguments[0])).unwrap();
        let paths: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(paths.len() == 2 && paths.iter().all(|path| path.starts_with(&begins)), "{text}");
        assert!(text.starts_with("#EXTM3U\n#PLAYLIST:Trip\n#EXTINF:"), "{text}");
    }
    let again = world.run(&["playlist", "export", "trip", "trip.m3u8"]);
    assert!(again.code == 2 && again.stderr.contains("`--force` writes over it"), "{again:?}");

    world.run(&["playlist", "import", "relative.m3u8", "--name", "Back"]).ok();
    assert_eq!(titles(&world.json(&["playlist", "show", "back"])), ["a", "b"]);
    let back = format!("M:\\Music={music}");
    world.run(&["playlist", "import", "mapped.m3u8", "--map", &back, "--name", "Mapped"]).ok();
    assert_eq!(titles(&world.json(&["playlist", "show", "mapped"])), ["a", "b"]);
    std::fs::write(world.path("odd.m3u8"), "nowhere.mp3\nhttp://example.org/\n").unwrap();
    let odd = world.run(&["playlist", "import", "odd.m3u8"]);
    assert!(odd.code == 1 && odd.stderr.contains("0 of 2 songs"), "{odd:?}");
    assert!(odd.stderr.contains("left out 1, `nowhere.mp3`"), "{odd:?}");
}

#[test]
fn two_programs_that_change_a_playlist_lose_nothing() {
    let world = world();
    world.run(&["playlist", "new", "Both"]).ok();

    let runs: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|title| world.begin(&["playlist", "add", "both", title]))
        .collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    let mut found = titles(&world.json(&["playlist", "show", "both"]));
    found.sort_unstable();
    assert_eq!(found, ["a", "b", "c", "d"]);
}

#[cfg(all(feature = "astra", feature = "emulator"))]
#[test]
fn playlists_reach_other_machines_and_what_both_wrote_is_kept() {
    let (one, cloud) = with_cloud(&["kick", "snare"]);
    let ids = one.ids();
    one.run(&["playlist", "new", "Best", &ids[0]]).ok();
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();
    assert_eq!(two.json(&["playlist", "show", "best"])["songs"], 1);
    let there = two.json(&["--storage-backend", "astra", "playlist", "show", "best"]);
    assert_eq!(there["entries"][0]["song"], ids[0].as_str());

    one.run(&["playlist", "add", "best", &ids[1]]).ok();
    two.run(&["playlist", "edit", "best", "--name", "Best of two"]).ok();
    for world in [&one, &two, &one] {
        world.run(&["sync"]).ok();
    }

    for world in [&one, &two] {
        let list = world.json_lines(&["playlist", "ls"]);
        assert_eq!(list.len(), 2, "{list:?}");
        let own = list.iter().find(|one| one["beside"].is_null()).unwrap();
        let beside = list.iter().find(|one| !one["beside"].is_null()).unwrap();
        assert_eq!(beside["beside"], own["id"]);
        let mut names = [own["name"].as_str().unwrap(), beside["name"].as_str().unwrap()];
        names.sort_unstable();
        assert_eq!(names, ["Best", "Best of two"]);
    }
    one.run(&["playlist", "delete", "best of two"]).ok();
    for world in [&one, &two] {
        world.run(&["sync"]).ok();
    }
    assert_eq!(two.json_lines(&["playlist", "ls"]).len(), 1);
}

#[test]
fn a_radio_goes_on_from_a_song_and_remembers_what_it_played() {
    let world = World::with(&["kick", "snare", "pad", "bass", "bell", "hihat", "pluck", "voice"]);
    let ids = world.ids();
    let queue = |more: &[&str]| {
        let queue = world.json(&[&["radio", &ids[0], "--length", "3"], more].concat());
        let songs = queue["songs"].as_array().unwrap().iter();
        songs.map(|song| song["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = queue(&["--history", "played"]);
    assert!(first.len() == 3 && !first.contains(&ids[0]), "{first:?}");
    assert_eq!(queue(&[]), first, "without variety always the same");
    let second = queue(&["--history", "played"]);
    assert!(second.len() == 3 && second.iter().all(|id| !first.contains(id)), "{second:?}");
    let last = world.run(&["radio", &ids[0], "--length", "3", "--history", "played"]).ok();
    assert!(last.stderr.contains("6 songs that were played are left out"), "{last:?}");
    let varied: std::collections::BTreeSet<Vec<String>> = ["1", "2", "3", "4"]
        .iter()
        .map(|seed| queue(&["--variety", "1", "--seed", seed]))
        .collect();
    assert!(varied.len() > 1);
    let same = ["--variety", "1", "--seed", "4"];
    assert_eq!(queue(&same), queue(&same));

    for id in &ids {
        world.run(&["edit", id, "--set", "artist=One"]).ok();
    }
    let near = world.run(&["radio", &ids[0], "--spacing", "artist=3"]).ok();
    assert!(near.stderr.contains("too near to a song of the same artist"), "{near:?}");
    let kept = world.run(&["radio", &ids[0], "--length", "3", "--playlist", "Radio"]).ok();
    assert!(kept.stderr.contains("kept as the playlist `Radio`"), "{kept:?}");
    assert_eq!(world.json(&["playlist", "show", "radio"])["songs"], 3);
    let wrong = world.run(&["radio", &ids[0], "--spacing", "label=3"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("`label=3`"), "{wrong:?}");
}

#[test]
fn a_path_leads_from_one_song_to_another() {
    let world = World::with(&["kick", "snare", "pad", "bass", "bell", "hihat", "pluck", "voice"]);
    let ids = world.ids();
    let path = |more: &[&str]| world.json(&[&["path", &ids[0], &ids[5]], more].concat());
    let way = path(&["--length", "5", "--playlist", "Way"]);
    let songs: Vec<&str> =
        way["songs"].as_array().unwrap().iter().map(|song| song["id"].as_str().unwrap()).collect();
    assert_eq!((songs[0], *songs.last().unwrap()), (ids[0].as_str(), ids[5].as_str()));
    let once: std::collections::BTreeSet<&&str> = songs.iter().collect();
    assert!(songs.len() == 5 && once.len() == 5, "{way}");
    assert_eq!(world.json(&["playlist", "show", "way"])["songs"], 5);

    // Nothing mixes with a song without key and tempo, and that is said.
    for id in &ids {
        world.run(&["edit", id, "--clear", "key", "--clear", "bpm"]).ok();
    }
    let mixed = world.run(&["path", &ids[0], &ids[5], "--mix", "--length", "4"]).ok();
    assert!(mixed.stderr.contains("2 of 2 places are left out"), "{mixed:?}");
    assert!(mixed.stdout.contains("does not mix"), "{mixed:?}");
    for id in &ids {
        world.run(&["edit", id, "--set", "key=Am", "--set", "bpm=120"]).ok();
    }
    let mixed = path(&["--mix", "--length", "4"]);
    assert!(mixed["songs"].as_array().unwrap().iter().all(|song| song["mixes"] == true));
    assert_eq!(mixed["notes"], serde_json::json!([]));
}

#[test]
fn of_no_songs_the_duration_is_nought_and_what_is_no_playlist_is_told_plainly() {
    let world = World::with(&["kick", "snare"]);
    world.run(&["playlist", "new", "empty"]).ok();
    fs::write(world.path("cut.xspf"), "<playlist").unwrap();

    let shown = world.run(&["playlist", "show", "empty", "--json"]);
    let radio = world.run(&["radio", &world.ids()[0], "-f", "genre:nothing", "--json"]);
    let cut = world.run(&["playlist", "import", "cut.xspf"]);

    for run in [shown, radio] {
        assert!(run.stdout.contains("\"duration\":0.0"), "{run:?}");
    }
    assert!(cut.code == 2 && !cut.stderr.contains("at the most"), "{cut:?}");
}
