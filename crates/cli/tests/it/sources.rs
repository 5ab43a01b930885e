//! Who said what of a song: nothing that one source said is lost because
//! another one is asked.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::world::{World, tone, with_title};

// The tone with a title in its tags, if there is one.
fn tagged(title: &str) -> Vec<u8> {
    let wav = tone(220.0, 1.0);
    if title.is_empty() { wav } else { with_title(wav, title) }
}

fn write(world: &World, name: &str, bytes: &[u8]) -> PathBuf {
    let path = world.path("music").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

// A newer time makes a scan look again.
fn touch(path: &Path) {
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
}

// The value of a field and where it comes from.
fn said(world: &World, field: &str) -> (Value, Value) {
    let song = world.json(&["show", &world.ids()[0]]);
    let said = &song["values"][field];
    (said["value"].clone(), said["source"].clone())
}

#[test]
fn a_genre_of_the_folder_stays_when_a_scan_does_not_ask_for_it() {
    let world = World::new();
    let path = write(&world, "techno/bare.wav", &tagged(""));
    world.run(&["scan", "music", "--genre-from-folder"]).ok();
    touch(&path);

    world.run(&["scan", "music"]).ok();

    assert_eq!(world.json(&["ls"])["genres"], json!(["techno"]));
    assert_eq!(said(&world, "genre"), (json!(["techno"]), "folder".into()));
    assert_eq!(world.json(&["ls", "-f", "genre:techno", "--count"])["songs"], 1);

    // Tagged anew, the file says more, and takes nothing away.
    fs::write(&path, tagged("A title")).unwrap();
    world.run(&["scan", "music"]).ok();
    assert_eq!(said(&world, "title"), ("A title".into(), "file".into()));
    assert_eq!(said(&world, "genre"), (json!(["techno"]), "folder".into()));

    // In another folder, that one is asked.
    fs::rename(world.path("music/techno"), world.path("music/house")).unwrap();
    world.run(&["scan", "music"]).ok();
    assert_eq!(said(&world, "genre"), (json!(["house"]), "folder".into()));
    world.run(&["verify"]).ok();
}

#[test]
fn the_folder_is_asked_of_files_that_are_known_and_did_not_change() {
    let world = World::new();
    write(&world, "techno/bare.wav", &tagged("A title"));
    world.run(&["scan", "music"]).ok();
    let id = world.ids().remove(0);
    world.run(&["edit", &id, "--set", "mood=calm"]).ok();
    let scan =
        |options: &[&str]| world.json_lines(&[&["scan", "music"], options].concat()).pop().unwrap();

    let would = scan(&["--genre-from-folder", "--dry-run"]);
    assert_eq!((&would["updated"], &would["dry_run"]), (&1.into(), &true.into()), "{would}");
    assert!(world.json(&["show", &id])["values"]["genre"].is_null());
    let asked = scan(&["--genre-from-folder"]);

    assert_eq!((&asked["updated"], &asked["unchanged"]), (&1.into(), &0.into()), "{asked}");
    assert_eq!(said(&world, "genre"), (json!(["techno"]), "folder".into()));
    assert_eq!(said(&world, "title"), ("A title".into(), "file".into()));
    assert_eq!(said(&world, "mood"), (json!(["calm"]), "person".into()));
    for options in [&["--genre-from-folder"][..], &[], &["--genre-from-folder"]] {
        let again = scan(options);
        assert_eq!((&again["updated"], &again["unchanged"]), (&0.into(), &1.into()), "{again}");
    }
    assert_eq!(said(&world, "genre"), (json!(["techno"]), "folder".into()));

    // The configuration may ask as well; a copy's folder is not asked.
    write(&world, "house/other.wav", &tone(330.0, 1.0));
    scan(&[]);
    write(&world, "zouk/copy.wav", &tone(330.0, 1.0));
    scan(&[]);
    fs::create_dir_all(world.path("config/songrec")).unwrap();
    let config = "[scan]\ngenre_from_folder = true\n";
    fs::write(world.path("config/songrec/config.toml"), config).unwrap();
    assert_eq!(scan(&[])["updated"], 1);
    assert_eq!(world.json(&["ls", "-f", "genre:house", "--count"])["songs"], 1);
    assert_eq!(scan(&[])["unchanged"], 3);
    world.run(&["verify"]).ok();
}

#[test]
fn show_says_where_values_come_from() {
    let world = World::new();
    write(&world, "techno/Nena - Kick.wav", &tagged(""));
    world.run(&["scan", "music", "--genre-from-folder"]).ok();
    let id = world.ids().remove(0);
    world.run(&["edit", &id, "--set", "album=Mine", "--clear", "year"]).ok();

    let shown = world.run(&["show", &id]).ok().stdout;

    for line in ["Nena [file name]", "techno [folder]", "Mine [edited]", "nothing [edited]"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

/// Makes a library's one song as versions before 2 of the format wrote it.
pub(crate) fn make_old(world: &World, tags: Value, added_at: &str) {
    let folder = world.path("data/songrec/library/songs");
    let folder = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut song: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let new = song.as_object_mut().unwrap();
    let known = ["id", "audio_hash", "revision", "files", "audio", "features", "embeddings"];
    new.retain(|name, _| {
        known.contains(&name.as_str()) || ["added_at", "updated_at"].contains(&name.as_str())
    });
    new.insert("format".into(), 1.into());
    new.insert("added_at".into(), added_at.into());
    new.insert("tags".into(), tags);
    fs::write(&path, song.to_string()).unwrap();
}

#[test]
fn what_an_older_version_had_imported_outlives_an_edit_and_a_scan() {
    let world = World::new();
    let path = write(&world, "techno/bare.wav", &tagged("A title"));
    world.run(&["scan", "music"]).ok();
    make_old(
        &world,
        json!({
            "title": "A title", "artist": "Imported", "genres": ["techno"],
            "extra": {"preview_url": "https://example.com/1"},
        }),
        "2020-02-29T22:30:00Z",
    );
    let id = world.ids().remove(0);
    assert_eq!(said(&world, "artist"), ("Imported".into(), "file".into()), "nobody can tell yet");
    world.run(&["edit", &id, "--set", "album=Mine"]).ok();
    touch(&path);

    world.run(&["scan", "music"]).ok();

    assert_eq!(said(&world, "title"), ("A title".into(), "file".into()));
    assert_eq!(said(&world, "artist"), ("Imported".into(), "import".into()));
    assert_eq!(said(&world, "genre"), (json!(["techno"]), "folder".into()));
    assert_eq!(said(&world, "extra.preview_url").1, "import");
    assert_eq!(world.json(&["show", &id])["format"], 3);
    world.run(&["verify", "--read-data"]).ok();
}

#[test]
#[cfg(all(feature = "astra", feature = "emulator"))]
fn sync_carries_what_each_source_said() {
    use crate::{remote::Database, syncing::another};

    let (one, cloud) = (World::new(), Database::start());
    cloud.serve(&one, &one.path("bucket"));
    one.run(&["--storage-backend", "astra", "init-astra"]).ok();
    write(&one, "techno/Nena - Kick.wav", &tagged(""));
    one.run(&["scan", "music", "--genre-from-folder"]).ok();
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();
    let id = one.ids().remove(0);

    // Both say something of the song.
    one.run(&["edit", &id, "--set", "album=Mine"]).ok();
    two.run(&["edit", &id, "--set", "mood=calm"]).ok();
    for world in [&one, &two, &one] {
        world.run(&["sync"]).ok();
    }

    for world in [&one, &two] {
        assert_eq!(said(world, "genre"), (json!(["techno"]), "folder".into()));
        assert_eq!(said(world, "artist"), ("Nena".into(), "file_name".into()));
        assert_eq!(said(world, "album"), ("Mine".into(), "person".into()));
    }
    assert_eq!(one.json(&["show", &id])["sources"], two.json(&["show", &id])["sources"]);
    one.run(&["check", "local", "astra", "--read-data"]).ok();
}
