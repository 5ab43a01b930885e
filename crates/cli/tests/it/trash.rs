//! `trash empty`: deleted songs that are forgotten for good.

use std::fs;

use crate::world::World;

#[test]
fn an_emptied_trash_is_counted_asked_for_and_gone() {
    let world = World::with(&["kick", "snare", "bass"]);
    let ids = world.ids();
    world.run(&["rm", &ids[0], &ids[1]]).ok();

    let asked = world.run(&["trash", "empty"]);
    let young = world.json(&["trash", "empty", "--older-than", "30d", "--yes"]);
    let would = world.json(&["trash", "empty", "--dry-run"]);
    let before = world.json_lines(&["trash"]).len();
    let emptied = world.json(&["trash", "empty", "--yes"]);

    assert!(asked.code == 2 && asked.stderr.contains("nobody to ask"), "{asked:?}");
    assert_eq!((young["emptied"].as_u64(), young["younger"].as_u64()), (Some(0), Some(2)));
    assert_eq!((would["emptied"].as_u64(), would["dry_run"].as_bool()), (Some(2), Some(true)));
    assert_eq!(before, 2, "what was only counted is there");
    assert_eq!((emptied["emptied"].as_u64(), emptied["waiting"].as_u64()), (Some(2), Some(0)));
    assert!(world.json_lines(&["trash"]).is_empty());
    assert_eq!(world.ids(), [ids[2].clone()]);
    let restored = world.run(&["trash", "restore", &ids[0]]);
    assert!(restored.code != 0, "{restored:?}");
    // What nobody names any more can go; a scan does not bring forgotten songs back.
    let summary = world.json_lines(&["scan", "music"]).pop().unwrap();
    assert_eq!((summary["added"].as_u64(), summary["forgotten"].as_u64()), (Some(0), Some(2)));
    let again = world.run(&["trash", "empty", "--yes"]);
    assert_eq!(again.code, 1, "{again:?}");
}

#[test]
fn a_deletion_that_another_library_has_to_hear_of_stays() {
    let world = World::with(&["kick", "snare"]);
    let other = world.path("other");
    fs::create_dir(&other).unwrap();
    let other = other.to_str().unwrap();
    world.run(&["--library", other, "init"]).ok();
    let ids = world.ids();
    world.run(&["sync", "local", other]).ok();
    world.run(&["rm", &ids[0]]).ok();

    let emptied = world.json(&["trash", "empty", "--yes"]);
    let told = world.run(&["trash", "empty", "--yes"]);

    assert_eq!((emptied["emptied"].as_u64(), emptied["waiting"].as_u64()), (Some(0), Some(1)));
    assert!(told.stderr.contains("has to reach every machine"), "{told:?}");
    // So the song does not come back.
    world.run(&["sync", "local", other]).ok();
    assert_eq!(world.ids(), [ids[1].clone()]);
    let there = world.json_lines(&["--library", other, "ls"]);
    assert_eq!(there.len(), 1);
}
