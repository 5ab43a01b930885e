//! The model that ships with songrec, from a scan to what it is used for.

use serde_json::{Value, json};

use crate::world::{World, examples};

const KINDS: [&str; 6] = ["kick", "snare", "hihat", "bass", "bell", "voice"];

// Two sounds of each kind, in a folder of names that say nothing.
fn unnamed() -> World {
    let world = World::new();
    for (kind, at) in KINDS.iter().zip(0..) {
        for (example, copy) in examples(kind).iter().zip(0..2) {
            let ending = example.extension().unwrap().to_str().unwrap();
            world.add(example, &format!("a{:04}.{ending}", 2 * at + copy));
        }
    }
    world
}

// The kind of a sound in such a folder.
fn kind(song: &Value) -> &'static str {
    let path = song["path"].as_str().unwrap();
    let name = path.rsplit('/').next().unwrap();
    let number: usize = name[1..5].parse().unwrap();
    KINDS[number / 2]
}

#[test]
fn a_kick_is_found_and_told_from_others_whatever_it_is_called() {
    let world = unnamed();
    world.run(&["scan", "music"]).ok();

    let kicks = world.json_lines(&["ls", "-f", "instrument:kick"]);
    let voices = world.json_lines(&["ls", "-f", "instrument:vocal"]);

    assert_eq!(kicks.iter().map(kind).collect::<Vec<_>>(), ["kick"; 2]);
    assert_eq!(voices.iter().map(kind).collect::<Vec<_>>(), ["voice"; 2]);
    let songs = world.json_lines(&["ls"]);
    let nearest_is_same = |song: &&Value| {
        let similar = world.json(&["similar", song["id"].as_str().unwrap(), "-k", "1"]);
        assert_eq!(similar["model"], "timbre@7");
        kind(&similar["results"][0]) == kind(song)
    };
    // The two bells differ in pitch and length, which half of the vector measures.
    let right = songs.iter().filter(nearest_is_same).count();
    assert!(right >= 10, "{right} of {}", songs.len());
}

#[test]
fn what_is_heard_and_what_the_name_says_are_two_opinions() {
    let world = World::new();
    let kick = &examples("kick")[1];
    world.add(kick, "snare 01.wav");
    world.add(&examples("bell")[0], "desk-bell.wav");
    world.add(&examples("rock")[0], "a0001.wav");
    world.run(&["scan", "music"]).ok();
    let features = |name: &str| {
        let id = world.json(&["ls", name])["id"].as_str().unwrap().to_owned();
        (world.json(&["show", &id])["features"].clone(), world.run(&["show", &id]).ok().stdout)
    };

    let (wrong, told) = features("snare");
    let (agreed, _) = features("bell");
    let (unsure, _) = features("a0001");

    assert_eq!(
        (&wrong["heard_instrument"], &wrong["named_instrument"]),
        (&json!("kick"), &json!("snare"))
    );
    assert_eq!(wrong["instrument"], "snare", "a name comes first");
    assert!(wrong["heard_instrument_probability"].as_f64().unwrap() > 0.9, "{wrong}");
    assert!(wrong["vocal_probability"].as_f64().unwrap() < 0.1, "{wrong}");
    assert!(wrong["loop_probability"].as_f64().unwrap() < 0.2, "{wrong}");
    assert!(told.contains("kick (") && told.contains("snare, by the file's name"), "{told}");
    assert!(told.contains("no voice") && told.contains("a one-shot"), "{told}");
    assert_eq!(
        (&agreed["instrument"], &agreed["heard_instrument"]),
        (&json!("bell"), &json!("bell"))
    );
    assert!(agreed["instrument_confidence"].as_f64() > wrong["instrument_confidence"].as_f64());
    assert_eq!((&unsure["instrument"], &unsure["heard_instrument"]), (&json!(null), &json!(null)));
}

// What an earlier version wrote: `timbre` embedded nothing.
#[test]
fn a_library_of_before_is_compared_as_before_until_the_model_was_added() {
    let world = unnamed();
    world.run(&["scan", "music", "--model", "dsp45"]).ok();
    let id = world.ids()[0].clone();

    let before = world.json(&["similar", &id]);
    let said = world.run(&["similar", &id]).ok().stderr;
    let doctor = world.run(&["doctor"]).stdout;
    // A new sound makes room for the model, and is the only one that has it.
    world.add(&examples("riser")[0], "new.flac");
    world.run(&["scan", "music/new.flac"]).ok();
    let between = world.json(&["similar", &id]);
    world.run(&["scan", "--missing"]).ok();
    let after = world.run(&["similar", &id]).ok();

    for similar in [&before, &between] {
        assert_eq!(similar["model"], "dsp45@1", "{similar}");
        assert!(!similar["results"].as_array().unwrap().is_empty());
    }
    assert_eq!(said.matches("is better").count(), 1, "{said}");
    assert!(said.contains("songrec scan --model timbre@7 --missing"), "{said}");
    assert!(doctor.contains("`timbre@7` embedded 0 of 12 songs"), "{doctor}");
    assert_eq!(world.json(&["similar", &id])["model"], "timbre@7");
    assert!(!after.stderr.contains("--missing"), "{after:?}");
    let song = world.json(&["show", &id]);
    let models: Vec<&String> = song["embeddings"].as_object().unwrap().keys().collect();
    assert_eq!(models, ["dsp45@1", "timbre@7"]);
}

// The features of a song go with the network that it is heard by: those of an earlier one do
// not stay beside the vector of a new one.
#[test]
fn a_song_that_gets_the_vector_is_described_anew() {
    let world = World::new();
    world.add(&examples("kick")[0], "snare 01.wav");
    world.run(&["scan", "music", "--model", "dsp45"]).ok();
    std::fs::rename(world.path("music/snare 01.wav"), world.path("music/a0001.wav")).unwrap();
    world.run(&["scan", "music", "--model", "dsp45"]).ok();
    let id = world.ids()[0].clone();
    let named = || world.json(&["show", &id])["features"]["named_instrument"].clone();
    assert_eq!(named(), json!("snare"), "what it was called when it was described");

    world.run(&["scan", "--missing"]).ok();

    assert_eq!(named(), json!(null));
    assert_eq!(world.run(&["scan", "--missing", "--json"]).ok().stdout.lines().count(), 1);
}

// Vectors that the version before this one wrote.
#[test]
fn an_earlier_revision_can_be_compared_by_before_and_after_the_new_one_was_added() {
    let world = unnamed();
    world.run(&["scan", "music", "--model", "dsp45"]).ok();
    let id = world.ids()[0].clone();
    let titles: Vec<Value> = (0..3).map(|at| json!({ "title": format!("Old {at}") })).collect();
    std::fs::write(world.path("before.json"), json!(titles).to_string()).unwrap();
    let row = |at: usize| (0..203).map(|value| ((value * (at + 2)) % 7) as f32 - 3.0).collect();
    std::fs::write(world.path("before.npy"), npy(&[row(0), row(1), row(2)])).unwrap();
    world.run(&["import", "before.npy", "--model", "timbre@2"]).ok();

    let before = world.json(&["similar", "Old 0", "--model", "timbre"]);
    world.run(&["scan", "--missing"]).ok();
    let after = world.json(&["similar", &id, "--model", "timbre"]);
    let older = world.json(&["similar", "Old 0", "--model", "timbre@2"]);
    world.run(&["model", "drop", "timbre@2", "--yes"]).ok();
    let dropped = world.json(&["similar", &id]);

    assert_eq!((&before["model"], &after["model"]), (&json!("timbre@2"), &json!("timbre@7")));
    assert_eq!(before["results"].as_array().unwrap().len(), 2);
    assert_eq!(older["results"], before["results"], "they stay as they are");
    assert_eq!(dropped["results"], after["results"]);
}

fn npy(rows: &[Vec<f32>]) -> Vec<u8> {
    let shape = format!("({}, {})", rows.len(), rows[0].len());
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn too_short_or_silent_sounds_have_a_clear_answer() {
    let world = World::new();
    let wav = |samples: &[i16]| {
        let size = 2 * samples.len() as u32;
        let mut file = Vec::new();
        file.extend(b"RIFF");
        file.extend((36 + size).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend(16u32.to_le_bytes());
        file.extend([1, 0, 1, 0]);
        file.extend(44_100u32.to_le_bytes());
        file.extend(88_200u32.to_le_bytes());
        file.extend([2, 0, 16, 0]);
        file.extend(b"data");
        file.extend(size.to_le_bytes());
        file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        file
    };
    std::fs::write(world.path("music/click.wav"), wav(&[20_000])).unwrap();
    std::fs::write(world.path("music/silent.wav"), wav(&[0; 30_000])).unwrap();
    std::fs::write(world.path("music/none.wav"), wav(&[])).unwrap();

    let scan = world.run(&["scan", "music"]);
    let again = world.run(&["scan", "music"]);

    for run in [scan, again] {
        assert!(!run.stderr.contains("panic"), "{run:?}");
    }
    let click = world.json(&["show", "click"]);
    let silent = world.json(&["show", "silent"]);
    assert!(click["embeddings"]["timbre@7"].is_object(), "{click}");
    assert!(silent["embeddings"].get("timbre@7").is_none(), "{silent}");
    assert!(silent["features"].get("heard_instrument").is_none(), "{silent}");
}

#[test]
fn vectors_that_were_dropped_come_back_and_what_has_none_is_not_asked_again() {
    let world = World::with(&["kick"]);
    let silent = crate::world::wav(44_100, std::iter::repeat_n(0, 44_100));
    std::fs::write(world.path("music/silent.wav"), silent).unwrap();
    // Left and right are each other's opposite: not silent, and nothing to embed.
    let sides = (0..44_100_u32).flat_map(|at| {
        let left = if at % 100 < 50 { 8_000 } else { -8_000 };
        [left, -left]
    });
    let mut opposite = crate::world::wav(44_100, sides);
    opposite[22..24].copy_from_slice(&2_u16.to_le_bytes());
    opposite[28..32].copy_from_slice(&176_400_u32.to_le_bytes());
    opposite[32..34].copy_from_slice(&4_u16.to_le_bytes());
    std::fs::write(world.path("music/opposite.wav"), opposite).unwrap();
    world.run(&["scan", "music"]).ok();
    let kick = world.json_lines(&["ls"])[0]["title"].as_str().unwrap().to_owned();
    for model in ["timbre", "dsp45"] {
        world.run(&["model", "drop", model, "--yes"]).ok();
    }

    let without = world.run(&["similar", &kick]);
    let missing = world.json_lines(&["scan", "--missing"]).pop().unwrap();
    let again = world.json_lines(&["scan", "--missing"]).pop().unwrap();
    let all = world.json_lines(&["scan", "music"]).pop().unwrap();

    assert!(without.stderr.contains("scan --model timbre@7 --missing` lets it"), "{without:?}");
    assert_eq!(missing["updated"], 1, "{missing}");
    assert_eq!((&again["updated"], &all["updated"]), (&json!(0), &json!(0)), "{again} {all}");
    let models =
        |title: &str| world.json(&["show", title])["embeddings"].as_object().map(|all| all.len());
    assert_eq!((models(&kick), models("silent"), models("opposite")), (Some(2), None, None));
}
