//! Audio that can be heard although something is wrong with it: that is said,
//! kept, and found again.

use std::fs;

use serde_json::{Value, json};

use crate::world::{World, tone, wav};

/// A decaying tone of which 7 % are there.
fn cut() -> Vec<u8> {
    let whole = tone(440.0, 6.0);
    whole[..44 + (whole.len() - 44) * 7 / 100].to_vec()
}

fn silence(seconds: u32) -> Vec<u8> {
    wav(8000, (0..8000 * seconds).map(|_| 0))
}

fn titles(world: &World, filter: &str) -> Vec<Value> {
    let mut summaries = world.json_lines(&["ls", "-f", filter]);
    summaries.iter_mut().map(|summary| summary["title"].take()).collect()
}

#[test]
fn a_file_that_is_cut_off_is_said_to_be_and_found_again() {
    let world = World::new();
    fs::write(world.path("music/cut.wav"), cut()).unwrap();
    fs::write(world.path("music/whole.wav"), tone(440.0, 2.0)).unwrap();

    let scan = world.run(&["scan", "music"]).ok();

    assert!(scan.stderr.contains("the audio of 1 song (1 truncated)"), "{scan:?}");
    assert!(scan.stderr.contains("cut.wav`: 5.6 s shorter than the file says"), "{scan:?}");
    assert_eq!(titles(&world, "warning:truncated"), ["cut"]);
    assert_eq!(titles(&world, "-warning:*"), ["whole"]);
    let id = world.json(&["ls", "-f", "warning:*"])["id"].clone();
    let shown = world.run(&["show", id.as_str().unwrap()]).ok();
    assert!(shown.stdout.contains("5.6 s shorter than the file says"), "{shown:?}");
    assert_eq!(world.json(&["stats"])["warnings"], json!({"truncated": 1}));
    // It is known now.
    let again = world.run(&["scan", "music"]).ok();
    assert!(!again.stderr.contains("truncated"), "{again:?}");
}

#[test]
fn a_file_that_changed_is_asked_again_what_is_wrong_with_it() {
    let world = World::new();
    let path = world.path("music/cut.wav");
    fs::write(&path, cut()).unwrap();
    world.run(&["scan", "music"]).ok();
    let id = world.ids().remove(0);
    world.run(&["edit", &id, "--set", "title=Mine"]).ok();
    // The same audio, by a header that says no more than there is.
    let mut bytes = cut();
    let data = (bytes.len() - 44) as u32;
    bytes[40..44].copy_from_slice(&data.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(60)).unwrap();

    let scan = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!((&scan["updated"], &scan["warned"]), (&json!(1), &json!(0)), "{scan}");
    assert_eq!(world.ids(), std::slice::from_ref(&id));
    assert_eq!(titles(&world, "-warning:*"), ["Mine"]);
}

#[test]
fn silence_is_like_nothing() {
    let world = World::with(&["kick", "snare"]);
    let kick = world.ids().remove(0);
    fs::write(world.path("music/nothing.wav"), silence(1)).unwrap();
    fs::write(world.path("music/no more.wav"), silence(3)).unwrap();

    let scan = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert_eq!((&scan["added"], &scan["warned"]), (&json!(2), &json!(2)), "{scan}");
    assert_eq!(titles(&world, "warning:silent").len(), 2);
    let silent = world.json_lines(&["ls", "-f", "warning:silent"])[0]["id"].clone();
    let asked = world.run(&["similar", silent.as_str().unwrap()]);
    assert_eq!(asked.code, 2, "{asked:?}");
    assert!(asked.stderr.contains("is silent"), "{asked:?}");
    let hits = world.json(&["similar", &kick]);
    assert_eq!(hits["results"].as_array().unwrap().len(), 1, "{hits}");
    // Nobody listens to it again and again.
    let again = world.json_lines(&["scan", "music"]).pop().unwrap();
    assert_eq!((&again["unchanged"], &again["warned"]), (&json!(4), &json!(0)), "{again}");
    let missing = world.json_lines(&["scan", "--missing"]).pop().unwrap();
    assert_eq!(missing["updated"], 0, "{missing}");
    world.run(&["verify", "--read-data"]).ok();
}

#[test]
fn a_guess_that_is_not_sure_is_not_listed_and_not_filtered_by() {
    let world = World::new();
    // A name that says nothing, and a sound that is no instrument in particular.
    fs::write(world.path("music/x17.wav"), tone(440.0, 2.0)).unwrap();
    world.run(&["scan", "music"]).ok();
    let id = world.ids().remove(0);
    let song = world.json(&["show", &id]);
    let features = &song["features"];
    let summary = world.json(&["ls"]);

    for (name, sure) in [("instrument", 0.5), ("key", 0.5)] {
        let confidence = features[format!("{name}_confidence")].as_f64();
        let is_sure = confidence.is_some_and(|confidence| confidence >= sure);
        assert_eq!(summary.get(name).is_some(), is_sure, "{name}: {features} {summary}");
        assert_eq!(titles(&world, &format!("{name}:*")).len(), usize::from(is_sure), "{name}");
    }
    let unsure = ["instrument", "key"]
        .iter()
        .any(|name| features.get(*name).is_some() && summary.get(*name).is_none());
    assert!(unsure, "the test needs an unsure guess: {features}");
}
