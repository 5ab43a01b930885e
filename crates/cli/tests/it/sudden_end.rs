//! A scan that came to a sudden end, and the next one.

use std::path::PathBuf;

use crate::world::World;

fn notes(world: &World) -> Vec<PathBuf> {
    let libraries = std::fs::read_dir(world.path("state/songrec/libraries")).unwrap();
    let folders = libraries.map(|library| library.unwrap().path().join("reading"));
    let notes = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    notes.map(|note| note.unwrap().path()).collect()
}

#[test]
fn what_was_read_at_a_sudden_end_is_tried_alone_and_then_taken_in() {
    let world = World::with(&["kick"]);
    assert!(notes(&world).is_empty(), "a scan that ends leaves no note");
    let library = std::fs::read_dir(world.path("state/songrec/libraries")).unwrap();
    let folder = library.last().unwrap().unwrap().path().join("reading");
    let snare = &crate::world::examples("snare")[0];
    let file = world.add(snare, "snare.wav").canonicalize().unwrap();
    std::fs::write(folder.join("of-one-that-died"), format!("+{}\0", file.display())).unwrap();

    let scan = world.run(&["scan", "music"]).ok();

    assert!(scan.stderr.contains("1 new"), "{scan:?}");
    assert!(notes(&world).is_empty(), "nobody is suspected any more");
}

#[test]
fn reading_a_file_alone_tells_nobody_anything() {
    let world = World::bare();
    let file = &crate::world::examples("kick")[0];
    std::fs::write(world.path("broken.wav"), "RIFF").unwrap();
    for file in [file.to_str().unwrap(), "broken.wav", "missing.wav"] {
        let run = world.run(&["read-alone", "--", file]).ok();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    }
}
