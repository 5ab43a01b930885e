//! `model`, `embed`, and what learned models embed: in folders and on servers.

use serde_json::{Value, json};

use crate::{
    ear::{Server, configure, tiny_model, write_config},
    world::{World, examples},
};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn a_model_whose_vectors_are_gone_is_not_what_searches_compare_by() {
    let world = World::new();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/vectors.npy");
    for model in ["one@1", "two@1"] {
        world.run(&["import", vectors, "--model", model]).ok();
    }
    let id = world.ids().remove(0);
    assert_eq!(world.json(&["similar", &id])["model"], "one@1");
    let before = world.json(&["stats"])["models"].clone();

    world.run(&["model", "drop", "one", "--yes"]).ok();

    assert_eq!(world.json(&["similar", &id])["model"], "two@1");
    let stats = world.run(&["stats"]).ok().stdout;
    assert!(stats.contains("one@1: no vectors, "), "{stats}");
    assert!(stats.contains(&format!("two@1: {} songs, ", before[1]["songs"])), "{stats}");
    let after = world.json(&["stats"])["models"].clone();
    assert_eq!((&after[0]["songs"], &after[1]), (&json!(0), &before[1]));
    let by_it = world.run(&["similar", &id, "--model", "one"]);
    assert!(by_it.stderr.contains("was not embedded by `one@1`"), "{by_it:?}");
}

#[test]
fn a_model_is_added_checked_and_removed() {
    let world = World::bare();
    let files = tiny_model("clap-tiny@1");
    let files = files.to_str().unwrap();

    let added = world.json(&["model", "add", "clap-tiny", files]);
    let again = world.json(&["model", "add", "clap-tiny", files]);
    let name = added["name"].as_str().unwrap().to_owned();

    assert_eq!(added["was_there"], false);
    assert_eq!(again["was_there"], true, "{again}");
    let listed = world.json_lines(&["model", "list"]);
    let listed: Vec<&str> = listed.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(listed, ["timbre@7", "dsp45@1", "dsp47@2", "dsp45-row@1", "dsp47@1", &name]);
    let info = world.json(&["model", "info", "clap-tiny"]);
    assert!(info["files"][0]["sha256"].is_string(), "{info}");
    world.run(&["model", "verify"]).ok();

    let folder = world.path("data/songrec/models").join(&name);
    let audio = folder.join(info["files"][0]["name"].as_str().unwrap());
    let mut bytes = std::fs::read(&audio).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&audio, bytes).unwrap();
    let damaged = world.run(&["model", "verify", "clap-tiny"]);
    assert_eq!(damaged.code, 7, "{damaged:?}");
    assert!(damaged.stderr.contains(&name), "{damaged:?}");

    let asked = world.run(&["model", "remove", "clap-tiny"]);
    assert_eq!(asked.code, 2, "there is nobody to ask: {asked:?}");
    world.run(&["model", "remove", "clap-tiny", "--yes"]).ok();
    assert!(!folder.exists());
}

#[test]
fn what_is_no_model_is_refused_with_a_next_step() {
    let world = World::bare();
    let files = tiny_model("clap-tiny@1");
    let cases: [(&[&str], i32, &str); 7] = [
        (&["model", "add", "clap", "nowhere"], 4, "name the folder"),
        (&["model", "add", "other", files.to_str().unwrap()], 2, "not of `other`"),
        (&["model", "add", "clap", "music"], 4, "export_models.py"),
        (&["model", "info", "nope"], 2, "dsp45@1"),
        (&["model", "remove", "dsp45", "--yes"], 2, "a part of songrec"),
        (&["model", "bench", "dsp45"], 2, "a part of songrec"),
        (&["embed", "music/none.wav"], 4, "check the path"),
    ];
    for (arguments, code, hint) in cases {
        let run = world.run(arguments);

        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(hint), "{arguments:?}: {run:?}");
    }
    assert!(!world.path("data/songrec/models/clap@0").exists());
}

#[test]
fn files_are_embedded_without_a_library() {
    let world = World::bare();
    let pad = examples("pad")[0].clone();
    let kick = examples("kick")[0].clone();
    let (pad, kick) = (pad.to_str().unwrap(), kick.to_str().unwrap());

    let lines = world.json_lines(&["embed", pad, kick, "--model", "timbre", "--model", "dsp47@1"]);
    let again = world.json_lines(&["embed", pad, "--threads", "1"]);
    let files = world.run(&["embed", pad, kick, "--npy", "out"]).ok();
    let part = world.json(&["embed", &format!("{pad}@0:00-0:00.5")]);

    let models: Vec<&str> = lines.iter().map(|line| line["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["timbre@7", "dsp47@1", "timbre@7", "dsp47@1"]);
    assert_eq!(lines[0]["vector"], again[0]["vector"], "two runs are equal to the bit");
    assert_ne!(lines[0]["vector"], part["vector"]);
    assert_eq!(part["part"]["end"], 0.5);
    for file in files.stdout.lines() {
        let bytes = std::fs::read(world.path(file)).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY"), "{file}");
        assert_eq!(bytes.len() % 64, 331 * 4 % 64, "a header of whole lines, then 331 values");
    }
}

#[test]
fn a_folder_of_a_model_hears_and_reads_nothing_of_the_network() {
    let world = World::with(&["kick", "snare", "pad"]);
    let files = tiny_model("clap-tiny@1");
    world.run(&["model", "add", "clap-tiny", files.to_str().unwrap()]).ok();
    let pad = examples("pad")[0].clone();
    let pad = pad.to_str().unwrap();

    let one = world.json(&["embed", pad, "--model", "clap-tiny"]);
    let other = world.json(&["embed", pad, "--model", "clap-tiny", "--threads", "1"]);

    let (one, other) = (numbers(&one["vector"]), numbers(&other["vector"]));
    for (left, right) in one.iter().zip(&other) {
        assert!((left - right).abs() < 1e-5, "threads do not matter");
    }
    let length: f64 = one.iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-5);
    let doctor = world.json_lines(&["doctor"]);
    let state =
        |name: &str| doctor.iter().find(|check| check["name"] == name).unwrap()["state"].clone();
    assert_eq!(state("engine: rten"), "good");
    assert_eq!(state("engine: ort"), "good", "nobody needs it");
}

#[test]
fn a_model_on_a_server_hears_like_any_other() {
    let world = World::new();
    let server = Server::start();
    configure(&world, &server, "");
    let pad = examples("pad")[0].clone();
    let pad = pad.to_str().unwrap();

    let embedded = world.json(&["embed", pad, "--model", "ear", "--windows"]);
    let windows = embedded["windows"].as_array().unwrap();

    assert_eq!(windows.len(), server.embedded());
    assert_eq!(embedded["model"], "ear@1");
    let length: f64 = numbers(&embedded["vector"]).iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-6, "{embedded}");
    let bench = world.json(&["model", "bench", "ear", "--seconds", "5"]);
    assert_eq!(bench["windows"], 20);
    assert_eq!(bench["server"]["breaker"], "closed");
    assert_eq!(bench["server"]["requests"], 20, "{bench}");
    let checks = world.json_lines(&["doctor"]);
    let check = checks.iter().find(|check| check["name"] == "server: ear@1").unwrap();
    assert_eq!(check["state"], "good", "{check}");
}

#[test]
fn a_server_that_is_gone_or_another_model_is_said_so() {
    let world = World::new();
    let server = Server::start();
    let pad = examples("pad")[0].clone();
    let pad = pad.to_str().unwrap();
    configure(&world, &server, "");
    write_config(
        &world,
        &std::fs::read_to_string(world.path("config/songrec/config.toml"))
            .unwrap()
            .replace("dimension = 3", "dimension = 512"),
    );
    let other = world.run(&["embed", pad, "--model", "ear"]);
    configure(&world, &server, "");
    server.stop();

    let gone = world.run(&["embed", pad, "--model", "ear"]);
    let doctor = world.run(&["doctor"]);
    let info = world.run(&["model", "info", "ear"]);

    assert_eq!(other.code, 7, "{other:?}");
    assert!(other.stderr.contains("512") && other.stderr.contains("ear@1"), "{other:?}");
    assert_eq!(gone.code, 5, "{gone:?}");
    assert!(gone.stderr.contains("nobody answers"), "{gone:?}");
    assert!(gone.stderr.contains("hint: start the server"), "{gone:?}");
    assert_eq!(doctor.code, 5, "{doctor:?}");
    assert!(doctor.stdout.contains("server: ear@1"), "{doctor:?}");
    assert_eq!(info.code, 5, "{info:?}");
}

#[test]
fn a_wrong_table_of_a_model_is_refused_by_name() {
    let world = World::new();
    for (text, named) in [
        ("[models.ear]\nkind = \"http\"\n", "dimension"),
        ("[models.ear]\nkind = \"smoke\"\n", "smoke"),
        ("[models.ear]\nkind = \"onnx\"\nengine = \"steam\"\n", "steam"),
    ] {
        write_config(&world, text);

        let run = world.run(&["model", "list"]);

        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains("[models.ear]") && run.stderr.contains(named), "{run:?}");
    }
}

fn summary(world: &World, arguments: &[&str]) -> Value {
    world.json_lines(arguments).pop().unwrap()
}

#[test]
fn a_new_model_hears_the_old_songs_once() {
    let world = World::with(&["kick", "snare", "pad"]);
    let server = Server::start();
    configure(&world, &server, "");
    let fill = ["scan", "--model", "ear", "--missing"];

    let first = summary(&world, &fill);
    let embedded = server.embedded();
    let second = summary(&world, &fill);

    assert_eq!(first["updated"], 3, "{first}");
    assert!(embedded >= 3);
    assert_eq!((second["updated"].as_u64(), server.embedded()), (Some(0), 0), "{second}");
    let id = world.ids()[0].clone();
    let song = world.json(&["show", &id]);
    let models: Vec<&String> = song["embeddings"].as_object().unwrap().keys().collect();
    assert_eq!(models, ["dsp45@1", "ear@1", "timbre@7"]);
    let similar = world.json(&["similar", &id, "--model", "ear"]);
    assert_eq!(similar["results"].as_array().unwrap().len(), 2);
    let blended = world.json(&["similar", &id, "--blend", "ear=0.6,dsp45=0.4"]);
    assert_eq!(blended["results"][0]["parts"].as_array().unwrap().len(), 2, "{blended}");
    world.run(&["verify", "--read-data"]).ok();
}

#[test]
fn several_models_hear_new_songs_from_one_decode() {
    let world = World::new();
    let server = Server::start();
    configure(&world, &server, "");
    world.add(&examples("pad")[0], "pad.wav");

    let scanned = summary(&world, &["scan", "music", "--model", "ear", "--model", "dsp45"]);

    assert_eq!(scanned["added"], 1, "{scanned}");
    let song = world.json(&["show", &world.ids()[0]]);
    let models: Vec<&String> = song["embeddings"].as_object().unwrap().keys().collect();
    assert_eq!(models, ["dsp45@1", "ear@1"]);
    let embedded = world.json(&["embed", "music/pad.wav", "--model", "ear"]);
    let dimension = song["embeddings"]["ear@1"]["dimension"].as_u64();
    assert!(dimension.is_none_or(|dimension| dimension == 3), "{song} {embedded}");
}

#[test]
fn songs_are_taken_in_without_the_server_and_filled_in_when_it_is_back() {
    let world = World::new();
    let server = Server::start();
    configure(&world, &server, "");
    server.stop();
    world.add(&examples("pad")[0], "pad.wav");
    world.add(&examples("kick")[0], "kick.wav");
    let models = ["--model", "dsp45", "--model", "ear"];

    let without = world.run(&[&["scan", "music"][..], &models].concat());

    assert_eq!(without.code, 3, "{without:?}");
    assert!(without.stderr.contains("was not embedded"), "{without:?}");
    assert!(without.stderr.contains("--missing"), "{without:?}");
    assert_eq!(world.ids().len(), 2, "what could be embedded is kept");

    let back = Server::start();
    configure(&world, &back, "");
    let filled = summary(&world, &[&["scan", "--missing"][..], &models].concat());
    assert_eq!(filled["updated"], 2, "{filled}");
    let similar = world.json(&["similar", "music/pad.wav", "--model", "ear"]);
    assert!(similar["results"][0]["path"].as_str().unwrap().ends_with("kick.wav"), "{similar}");
}

#[test]
fn passages_are_found_by_a_part_of_a_song() {
    let world = World::new();
    let server = Server::start();
    configure(&world, &server, "hop = 0.125\n");
    for kind in ["pad", "kick", "bass"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    let keep = ["scan", "music", "--model", "ear", "--model", "dsp45", "--segments"];
    world.run(&keep).ok();
    let embedded = server.embedded();
    world.run(&keep).ok();
    assert!(embedded > 6, "{embedded}");
    assert_eq!(server.embedded(), 0, "what is kept is not embedded again");

    let passages =
        world.json(&["similar", "music/pad.wav@0:00-0:00.25", "--model", "ear", "-k", "5"]);
    let outside = world.json(&[
        "similar",
        examples("pad")[0].to_str().unwrap(),
        "--passages",
        "--model",
        "ear",
    ]);
    let songs = world.json(&["similar", "music/pad.wav@0-0.25", "--model", "dsp45"]);

    let results = passages["results"].as_array().unwrap();
    assert_eq!(results.len(), 5, "{passages}");
    for result in results {
        let (start, end) = (result["start"].as_f64().unwrap(), result["end"].as_f64().unwrap());
        assert!((end - start - 0.25).abs() < 1e-6, "{result}");
        let is_own = result["path"].as_str().unwrap().ends_with("pad.wav");
        let overlaps = is_own && start < 0.2499;
        assert!(!overlaps, "it is no news that a part is similar to itself: {result}");
    }
    assert_eq!(passages["part"]["end"], 0.25);
    assert!(outside["results"][0]["start"].is_number(), "{outside}");
    assert!(songs["results"].is_array(), "{songs}");
    let deaf = world.run(&["scan", "music", "--segments"]);
    assert_eq!(deaf.code, 2, "{deaf:?}");
    assert!(deaf.stderr.contains("only learned models"), "{deaf:?}");
    let beyond = world.run(&["similar", "music/pad.wav@59:00-59:10", "--model", "ear"]);
    assert_eq!(beyond.code, 2, "{beyond:?}");
    assert!(beyond.stderr.contains("has no part 59:00-59:10"), "{beyond:?}");
}

#[test]
fn without_a_model_that_reads_words_are_matched_with_what_is_measured() {
    let world = World::with(&["kick", "pad"]);

    let found = world.json(&["search", "--text", "long warm pad"]);
    let kick = world.json(&["search", "--text", "punchy kick", "--not", "pad"]);
    let said = world.run(&["search", "--text", "warm analogue pad"]).ok().stderr;
    let like = world.run(&["search", "--text", "pad", "--like", "kick"]);
    let deaf = world.run(&["search", "--text", "warm analogue pad", "--model", "dsp45"]);
    let empty = world.run(&["search", "--text", " ", "--model", "dsp45"]);

    assert_eq!(found["results"][0]["instrument"], "synth", "{found}");
    assert_eq!(kick["results"][0]["instrument"], "kick", "{kick}");
    assert!(said.contains("no model here reads words"), "{said}");
    assert!(said.contains("`analogue` looked for in names"), "{said}");
    assert!(said.contains("songrec model add clap"), "{said}");
    assert_eq!(like.code, 4, "{like:?}");
    assert_eq!(deaf.code, 2, "{deaf:?}");
    assert!(deaf.stderr.contains("cannot read words"), "{deaf:?}");
    assert_eq!(empty.code, 2, "{empty:?}");
}

#[test]
fn words_find_songs_through_a_model_that_reads() {
    let world = World::with(&["kick", "snare", "pad"]);
    let files = tiny_model("clap-tiny@1");
    world.run(&["model", "add", "clap-tiny", files.to_str().unwrap()]).ok();
    let unembedded = world.run(&["search", "--text", "warm analogue pad"]);
    world.run(&["scan", "--model", "clap-tiny", "--missing"]).ok();
    let id = world.ids()[0].clone();

    let found = world.json(&["search", "--text", "warm analogue pad"]);
    let again = world.json(&["search", "--text", "warm analogue pad"]);
    let other = world.json(&["search", "--text", "harsh noise"]);
    let more = world.json(&["search", "--text", "pad", "--like", &id, "--not", "vocals"]);
    let narrowed = world.json(&["search", "kick", "--text", "warm analogue pad"]);

    assert_eq!(unembedded.code, 4, "{unembedded:?}");
    assert!(unembedded.stderr.contains("--missing"), "{unembedded:?}");
    assert_eq!(found["results"].as_array().unwrap().len(), 3, "{found}");
    assert_eq!(found, again);
    assert_ne!(found["results"][0]["similarity"], other["results"][0]["similarity"]);
    assert_eq!(found["query"], json!({ "title": "warm analogue pad" }));
    assert_eq!(more["queries"].as_array().unwrap().len(), 3);
    let others: Vec<&str> = more["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|song| song["id"].as_str().unwrap())
        .collect();
    assert_eq!(others.len(), 2, "{more}");
    assert!(!others.contains(&id.as_str()));
    assert_eq!(narrowed["results"].as_array().unwrap().len(), 1, "{narrowed}");
}
