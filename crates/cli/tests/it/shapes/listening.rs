//! What commands that compare songs, and lists of them, print.

use std::fs;

use serde_json::json;

use super::{
    Shapes,
    library::{rewrite, write},
};
use crate::{
    keeping::npy_f64,
    world::{World, examples, tone},
};

/// What is similar, and why.
pub(super) fn search(shapes: &Shapes) {
    let world = World::with(&["kick", "snare", "bass", "pad"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    write(&world, "music/same.wav", &tone(440.0, 1.0));
    write(&world, "music/same again.wav", &tone(440.0, 1.0)[..15_000]);
    world.run(&["scan", "music"]).ok();
    let ids = world.ids();
    let (one, two) = (ids[0].as_str(), ids[1].as_str());
    run(&["edit", one, "--set", "artist=A", "--set", "year=2001"]);
    run(&["similar", one]);
    run(&["similar", one, "-k", "1", "--explain"]);
    run(&["similar", one, two, "--minus", &ids[2], "--explain"]);
    run(&["similar", one, "--blend", "dsp45=0.6,timbre=0.4", "--explain"]);
    run(&["similar", one, "--threshold", "1.5"]);
    run(&["similar", "music/same.wav"]);
    write(&world, "elsewhere.wav", &tone(300.0, 1.0));
    run(&["similar", "elsewhere.wav"]);
    run(&["similar", "nothing-like-this"]);
    run(&["explain", one, two]);
    run(&["search", "kick"]);
    run(&["search", "none-such"]);
    run(&["search", "--like", one]);
    run(&["embed", "elsewhere.wav"]);
    run(&["embed", "elsewhere.wav@0-0.5", "--npy", "out"]);
    // Two that are one recording by their tags.
    for id in &ids[2..4] {
        rewrite(&world, id, |song| {
            song["tags"]["artist"] = "A".into();
            song["tags"]["title"] = "T".into();
            song["audio"]["duration"] = json!(1.0);
        });
    }
    run(&["similar", one]);
    // One that only some models have embedded, and that an early version measured.
    rewrite(&world, two, |song| {
        song["embeddings"].as_object_mut().unwrap().retain(|name, _| name == "dsp45@1");
        song["features"] = json!({"version": 1, "loudness_lufs": -12.0, "peak_db": -1.0});
    });
    let library = world.path("data/songrec/library");
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = fs::remove_file(library.join(name));
    }
    fs::remove_dir_all(library.join("index")).unwrap();
    run(&["similar", one, "--blend", "dsp45=0.6,timbre=0.4", "--explain"]);
    run(&["similar", two, "--blend", "dsp45=0.6,timbre=0.4"]);
    run(&["explain", one, two]);
    rewrite(&world, two, |song| drop(song.as_object_mut().unwrap().remove("embeddings")));
    run(&["explain", one, two]);
    run(&["show", two]);
    run(&["ls"]);
}

/// Clusters, outliers, maps and measures.
pub(super) fn analysis(shapes: &Shapes) {
    let world = World::new();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["cluster", "ls"]);
    run(&["cluster"]);
    run(&["anomalies"]);
    run(&["map"]);
    run(&["eval"]);
    for hertz in [200.0, 300.0, 440.0, 600.0, 800.0, 1_000.0] {
        write(&world, &format!("music/{hertz}.wav"), &tone(hertz, 0.5));
    }
    run(&["scan", "music"]);
    // Songs of which nothing is known.
    run(&["cluster", "--k", "2"]);
    run(&["cluster", "show", "0"]);
    run(&["map", "-o", "map.json"]);
    run(&["eval"]);
    for kind in ["bass", "bell", "hihat", "kick", "pad", "pluck", "rock", "snare", "voice"] {
        for (number, file) in examples(kind).iter().enumerate() {
            let ending = file.extension().unwrap().to_str().unwrap();
            world.add(file, &format!("{kind}/{number}.{ending}"));
        }
    }
    run(&["scan", "music"]);
    run(&["cluster", "-k", "auto"]);
    run(&["cluster", "--method", "dbscan", "--eps", "9", "-f", "genre:*"]);
    run(&["cluster", "-k", "6"]);
    run(&["cluster", "ls"]);
    run(&["cluster", "show", "0", "--limit", "2"]);
    run(&["cluster", "show", "none-such"]);
    run(&["cluster", "rename", "0", "dark pads"]);
    run(&["cluster", "rename", "none-such", "x"]);
    run(&["ls", "-f", "cluster:dark pads"]);
    run(&["show", &world.ids()[0]]);
    run(&["anomalies"]);
    run(&["anomalies", "--contamination", "2"]);
    run(&["map", "-o", "map.html", "--color", "cluster"]);
    run(&["map", "-o", "map"]);
    run(&["eval"]);
    // By a model with nothing in some of the bands.
    world.run(&["scan", "--missing", "--model", "dsp47@1"]).ok();
    run(&["eval", "--models", "dsp45,dsp47@1", "--not-same", "artist"]);
    run(&["eval", "--distortions", "2"]);
    run(&["cluster", "rm"]);
    run(&["cluster", "rm"]);
}

/// Lists of songs, and files of them.
pub(super) fn playlists(shapes: &Shapes) {
    let world = World::new();
    for kind in ["kick", "snare", "pad"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    // Each file that has an artist is one that has none elsewhere.
    write(&world, "music/tone.wav", &tone(300.0, 0.5));
    world.run(&["scan", "music"]).ok();
    let ids = world.ids();
    world.run(&["edit", &ids[0], "--set", "artist=Somebody"]).ok();
    world.run(&["edit", &ids[3], "--clear", "artist"]).ok();
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["playlist"]);
    run(&["playlist", "ls"]);
    run(&["playlist", "new", "Evening", &ids[0], &ids[3]]);
    run(&["playlist", "new", "evening"]);
    run(&["playlist", "new", "Short", "--duration", "<9", "--length", "2"]);
    run(&["playlist", "new", "Like", "--like", &ids[0]]);
    run(&["playlist", "new", "None", "-f", "genre:polka"]);
    run(&["playlist", "add", "Evening", "-f", "genre:polka"]);
    run(&["playlist", "add", "Evening", &ids[1], "--at", "1"]);
    run(&["playlist", "add", "nobody", &ids[1]]);
    run(&["playlist", "move", "Evening", "3", "1"]);
    run(&["playlist", "move", "Evening", "9", "1"]);
    run(&["playlist", "edit", "Evening", "--name", "Late"]);
    run(&["playlist", "edit", "Late"]);
    run(&["playlist"]);
    run(&["playlist", "ls"]);
    run(&["ls", "-f", "playlist:late"]);
    run(&["rm", &ids[0]]);
    for name in ["Late", "Short", "Like", "None", "nobody"] {
        run(&["playlist", "show", name]);
    }
    run(&["playlist", "export", "Late", "late.m3u8"]);
    run(&["playlist", "export", "Late", "late.m3u8"]);
    let some = "#EXTINF:1,A - B\nnowhere.wav\nmusic/tone.wav\nmusic/kick.wav\nmusic/pad.wav\n";
    fs::write(world.path("more.m3u8"), some).unwrap();
    run(&["playlist", "import", "late.m3u8", "--dry-run"]);
    run(&["playlist", "import", "more.m3u8"]);
    fs::write(world.path("odd.jspf"), "{\"playlist\":{\"track\":[{}]}}").unwrap();
    run(&["playlist", "import", "odd.jspf"]);
    run(&["playlist", "import", "nowhere.xspf"]);
    run(&["playlist", "rm", "Late", "--at", "1"]);
    run(&["radio", &ids[1], "--length", "9", "--playlist", "Radio"]);
    run(&["radio", &ids[1], "--minutes", "0.1"]);
    run(&["radio", &ids[1], "--variety", "7"]);
    run(&["path", &ids[1], &ids[3], "--length", "3", "--playlist", "Way"]);
    run(&["path", &ids[1], &ids[3], "--mix"]);
    run(&["path", &ids[1], &ids[1]]);
    run(&["playlist", "rm", "Late", "nothing-such"]);
    run(&["playlist", "delete", "Late"]);
    run(&["playlist", "delete", "Late"]);
}

/// Regions of songs.
pub(super) fn patterns(shapes: &Shapes) {
    let world = World::with(&["kick", "snare"]);
    let (a, b) = (world.ids()[0].clone(), world.ids()[1].clone());
    world.run(&["edit", &a, "--set", "artist=Somebody"]).ok();
    world.run(&["edit", &b, "--clear", "artist"]).ok();
    let (one, two) = (format!("{a}@0-0.1"), format!("{b}@0-0.1"));
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    run(&["patterns"]);
    run(&["patterns", "ls"]);
    fs::write(world.path("f.npy"), npy_f64(&[1.0, 2.0])).unwrap();
    let rich = ["--low", "20", "--high", "80", "--source", "by ear", "--meta", "bar={\"is\":7}"];
    run(&[&["patterns", "add", &one, "--type", "x", "--features", "f.npy"][..], &rich].concat());
    let given = ["patterns", "add", &two, "--type", "x", "--features", "f.npy"];
    for id in ["33333333-1111-4111-8111-111111111111"; 2] {
        run(&[&given[..], &["--id", id]].concat());
    }
    run(&["patterns", "add", "nowhere@0-1", "--type", "x", "--features", "f.npy"]);
    run(&["patterns", "add", &one, &two, "nowhere@0-1", "--type", "heard"]);
    let id = "11111111-1111-4111-8111-111111111111";
    let line =
        json!({"id": id, "song": a, "start": 0, "end": 0.1, "kind": "y", "features": [1, 2]});
    let lines = format!("{line}\n{line}\n{{}}\n{}\n", line.to_string().replace("0.1", "99"));
    fs::write(world.path("lines.jsonl"), lines).unwrap();
    run(&["patterns", "add", "--from", "lines.jsonl"]);
    run(&["patterns"]);
    run(&["patterns", "ls"]);
    run(&["patterns", "ls", "nothing-such"]);
    run(&["patterns", "query", "--type", "x", "--features"]);
    run(&["patterns", "query", "--type", "nothing-such"]);
    run(&["patterns", "show", id]);
    run(&["patterns", "edit", id, "--type", "z"]);
    run(&["patterns", "edit", id, "--confidence", "2"]);
    run(&["patterns", "similar", id]);
    run(&["patterns", "similar", &one, "-k", "1"]);
    run(&["patterns", "similar", "--features", "f.npy", "-k", "2"]);
    run(&["patterns", "similar", id, "--model", "nobody"]);
    run(&["patterns", "rm", id, "22222222-1111-4111-8111-111111111111"]);
    run(&["patterns", "rm", id]);
    run(&["patterns", "show", id]);
}
