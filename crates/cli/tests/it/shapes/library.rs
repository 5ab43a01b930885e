//! What commands about songs and the library itself print.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use songrec_core::Song;
use songrec_storage::document_text;

use super::Shapes;
use crate::{
    ear::write_config,
    keeping::npy_f64,
    world::{World, examples, tone, wav, with_title},
};

/// Songs come in, change, are edited and forgotten.
pub(super) fn songs(shapes: &Shapes) {
    let world = World::bare();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    world.run(&["init", "--keep-copies"]).ok();
    run(&["ls"]);
    run(&["stats"]);
    run(&["trash"]);
    run(&["conflicts"]);
    for kind in ["kick", "pad", "voice"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    write(&world, "music/techno/Nena - Ballons.wav", &tone(220.0, 1.0));
    write(&world, "music/one.wav", &tone(330.0, 0.5));
    write(&world, "music/one copy.wav", &tone(330.0, 0.5));
    write(&world, "music/one tagged.wav", &with_title(tone(330.0, 0.5), "Tagged"));
    write(&world, "music/moves.wav", &tone(350.0, 0.5));
    write(&world, "music/goes.wav", &tone(360.0, 0.5));
    write(&world, "music/replaced.wav", &tone(370.0, 0.5));
    write(&world, "music/retagged.wav", &tone(380.0, 0.5));
    write(&world, "music/silence.wav", &wav(8000, std::iter::repeat_n(0, 8000)));
    write(&world, "music/cut.wav", &tone(440.0, 6.0)[..6000]);
    write(&world, "music/broken.wav", b"no audio");
    write(&world, "music/unread.wma", b"no audio");
    write(&world, "music/beat.wav", &beat());
    run(&["scan", "music", "--dry-run"]);
    run(&["scan", "music", "--genre-from-folder"]);
    fs::rename(world.path("music/moves.wav"), world.path("music/moved.wav")).unwrap();
    fs::remove_file(world.path("music/goes.wav")).unwrap();
    write(&world, "music/replaced.wav", &tone(390.0, 0.5));
    write(&world, "music/retagged.wav", &with_title(tone(380.0, 0.5), "Now"));
    run(&["scan", "music"]);
    run(&["scan", "--missing"]);
    run(&["scan", "--failed", "--report", "skipped.jsonl"]);
    run(&["scan", "nowhere"]);

    run(&["ls", "--count"]);
    run(&["ls", "--paths"]);
    run(&["ls", "none-such"]);
    let kick = id_of(&world, "kick");
    for summary in run(&["ls"]) {
        run(&["show", summary["id"].as_str().unwrap()]);
    }
    run(&["stats"]);
    run(&["dup"]);
    run(&["dup", "--near", "--threshold", "0.5", "--any-length"]);
    run(&["dup", "none-such"]);

    for set in ["title=Kick", "artist=A", "year=1999", "bpm=120.5", "loop=yes", "genre=a,b"] {
        run(&["edit", &kick, "--set", set]);
    }
    run(&["edit", &kick, "--clear", "comment", "--set", "key=Am", "--set", "mood=dark"]);
    run(&["edit", &kick, "--set", "instrument=kick", "--set", "album=B", "--dry-run"]);
    run(&["edit", &kick, "--set", "instrument=kick", "--set", "album=B"]);
    run(&["edit", "-f", "none-such", "--set", "mood=x"]);
    run(&["show", &kick]);
    run(&["show", "--history", &kick]);
    run(&["ls", "-f", "artist:a"]);

    run(&["get", &kick, "got.wav"]);
    run(&["get", &kick, "got.wav"]);
    run(&["url", &kick]);
    run(&["audio", "rm", &kick, "--yes"]);
    run(&["audio", "rm", &kick, "--yes"]);
    run(&["audio", "keep", &kick]);
    run(&["audio", "keep", &kick]);
    run(&["rm", "-f", "none-such"]);
    run(&["rm", &kick, "--dry-run"]);
    let voice = id_of(&world, "voice");
    run(&["rm", &voice]);
    run(&["show", "--history", &voice]);
    run(&["trash"]);
    run(&["trash", "list"]);
    run(&["trash", "empty", "--older-than", "30d", "--dry-run"]);
    run(&["trash", "restore", &voice]);
    run(&["trash", "empty", "--yes"]);
    let changed = id_of(&world, "pad");
    write(&world, "music/pad.wav", &tone(400.0, 0.5));
    run(&["rm", &changed, "--delete-audio", "--yes"]);
    run(&["rm", &voice, "--delete-audio", "--yes"]);
    run(&["conflicts", "show", &kick]);
    run(&["conflicts", "resolve", &kick]);
    run(&["relocate", "music/techno", "music"]);
    fs::rename(world.path("music/techno"), world.path("music/house")).unwrap();
    run(&["relocate", "music/techno", "music/house", "--dry-run"]);
}

/// Checks, repairs, settings, and what is kept far from a library.
pub(super) fn upkeep(shapes: &Shapes) {
    let world = World::with(&["kick", "snare", "bass"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    let ids = world.ids();
    run(&["init"]);
    run(&["verify"]);
    let vector = format!("data/songrec/library/embeddings/dsp45@1/{}/{}.npy", &ids[0][..2], ids[0]);
    fs::remove_file(world.path(&vector)).unwrap();
    run(&["verify"]);
    run(&["verify", "--repair"]);
    run(&["gc", "--dry-run"]);
    run(&["gc"]);
    run(&["config", "show"]);
    run(&["config", "path"]);
    run(&["doctor"]);
    let named = "[libraries.shelf]\nkind = \"local\"\npath = \"/nowhere\"\n";
    write_config(&world, named);
    run(&["config", "show"]);
    run(&["doctor", "--storage-backend", "shelf"]);
    let spare = "cache/songrec/libraries/0c3e1c5e-8a4e-4a0f-9d4e-3f6c6d1f2a10";
    write(&world, &format!("{spare}-00000000/catalog.sqlite"), b"");
    write(&world, &format!("{spare}-00000001/library.txt"), b"/some/library");
    run(&["cache", "info"]);
    run(&["cache", "prune", "1G"]);
    run(&["cache", "clear"]);
    run(&["export", "out"]);
    fs::write(document(&world, &ids[1]), "{\"id\":").unwrap();
    run(&["export", "out"]);
    run(&["verify"]);
    world.run(&["init", "other"]).ok();
    run(&["migrate", "./other", "./empty", "--dry-run"]);
    run(&["status", "local", "./other"]);
    run(&["sync", "local", "./other"]);
    run(&["check", "local", "./other"]);
    run(&["machines", "--storage-backend", "local"]);
    run(&["machines", "list", "--storage-backend", "local"]);
}

/// What comes from elsewhere.
pub(super) fn imports(shapes: &Shapes) {
    let world = World::new();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    let metadata = |mood: &str| {
        let all = json!([
            {"id": "one", "filename": "kick.wav", "title": "One", "mood": mood, "my own": 5},
            {"id": "two", "title": "Two", "year": 1999, "instrument": "pad", "label": "L"},
            "no record",
        ]);
        write(&world, "old/data/metadata.json", all.to_string().as_bytes());
    };
    metadata("dark");
    write(&world, "old/data/audio/kick.wav", &tone(220.0, 1.0));
    write(&world, "old/data/embeddings/one.npy", &npy_f64(&[1.0, 0.0, 0.5]));
    run(&["import", "old", "--model", "clap@1"]);
    metadata("calm");
    write(&world, "old/data/embeddings/one.npy", &npy_f64(&[0.0, 1.0, 0.0]));
    run(&["import", "old", "--model", "clap@1"]);
    run(&["import", "nowhere"]);
    for id in world.ids() {
        run(&["show", &id]);
    }
    run(&["ls"]);
    run(&["stats"]);
}

/// Songs that early versions wrote, with all that they could say.
pub(super) fn of_before(shapes: &Shapes) {
    let world = World::with(&["kick", "snare"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    let ids = world.ids();
    let stamp = "019a00000000000a";
    let operation = "6f1d2c9e51f44f0c9b593c2b6a9d0e11";
    rewrite(&world, &ids[0], |song| {
        song["format"] = json!(1);
        song["tags"] = json!({
            "title": "Title", "artist": "Artist", "album": "Album", "album_artist": "Artists",
            "genres": ["techno"], "year": 1999, "track": 1, "disc": 2, "bpm": 120.5, "key": "Am",
            "moods": ["dark"], "instrument": "kick", "loop": true, "comment": "Comment",
            "composer": "Composer", "label": "Label", "from_file_name": true,
            "art": {"media_type": "image/jpeg", "size": 100}, "extra": {"isrc": "x"},
        });
        song["edits"] = json!({"title": "Mine"});
        song["stamps"] = json!({"edits.title": stamp});
        song["conflicts"] = json!([
            {"field": "title", "value": "Theirs", "stamp": stamp, "operation": operation},
            {"field": "year", "value": 2001, "stamp": stamp, "operation": operation},
        ]);
        song["history"].take();
        song.as_object_mut().unwrap().retain(|name, _| name != "history" && name != "sources");
    });
    rewrite(&world, &ids[1], |song| song["history"]["gone"] = json!(["of old"]));
    for id in &ids {
        run(&["show", id]);
        run(&["show", "--history", id]);
    }
    run(&["ls"]);
    run(&["conflicts"]);
    run(&["conflicts", "show", &ids[0]]);
    run(&["conflicts", "resolve", &ids[0], "title", "--take", "1"]);
    run(&["edit", &ids[0], "--set", "mood=calm"]);
    run(&["show", &ids[0]]);
}

/// A click every half second, for twelve seconds, now louder and now softer.
pub(super) fn beat() -> Vec<u8> {
    let sample = |n: u32| {
        let loudness = if (n / 24_000).is_multiple_of(2) { 1.0 } else { 0.1 };
        let t = f64::from(n % 4000) / 8000.0;
        ((t * 9000.0).sin() * (-30.0 * t).exp() * 30_000.0 * loudness) as i16
    };
    wav(8000, (0..96_000).map(sample))
}

pub(super) fn write(world: &World, name: &str, bytes: &[u8]) {
    let path = world.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(super) fn document(world: &World, id: &str) -> PathBuf {
    world.path("data/songrec/library/songs").join(&id[..2]).join(format!("{id}.json"))
}

/// Changes the document of a song past songrec.
pub(super) fn rewrite(world: &World, id: &str, change: impl FnOnce(&mut Value)) {
    let path = document(world, id);
    let mut song: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut song);
    song.as_object_mut().unwrap().remove("checksum");
    // The first format had no checksum.
    let bytes = if song["format"] == 1 {
        song.to_string().into_bytes()
    } else {
        let song: Song = serde_json::from_value(song).unwrap();
        document_text(&song, None).into_bytes()
    };
    fs::write(path, bytes).unwrap();
}

pub(super) fn id_of(world: &World, name: &str) -> String {
    let file = format!("/music/{name}.wav");
    let summaries = world.json_lines(&["ls"]);
    let is_it =
        |summary: &&Value| summary["path"].as_str().is_some_and(|path| path.ends_with(&file));
    let summary = summaries.iter().find(is_it);
    summary.unwrap_or_else(|| panic!("no `{name}`: {summaries:?}"))["id"]
        .as_str()
        .unwrap()
        .to_owned()
}
