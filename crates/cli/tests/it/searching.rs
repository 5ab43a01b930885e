//! `similar`, `explain`, `ls`, `search`: what they say.

use crate::world::{World, examples};

#[test]
fn a_song_can_be_named_in_every_way() {
    let world = World::with(&["kick", "snare", "bass"]);
    let id = world.ids()[0].clone();
    let song = world.json(&["show", &id]);
    let path = song["files"][0]["path"].as_str().unwrap().to_owned();
    let title = song["tags"]["title"].as_str().unwrap().to_owned();
    let sample = format!("smpl_{}", &id[..8]);
    let sha256 = song["files"][0]["sha256"].as_str().unwrap().to_owned();

    for name in [&id, &id[..8], &sample, &path, &title, &sha256, &sha256.to_uppercase()] {
        assert_eq!(world.json(&["show", name])["id"], id.as_str(), "{name}");
    }
    let other = world.run(&["show", &sha256.replace(&sha256[..8], "00000000")]);
    assert!(other.code == 4 && other.stderr.contains("there is no song"), "{other:?}");
}

#[test]
fn a_file_outside_the_library_can_be_asked_about() {
    let world = World::with(&["kick", "snare", "bass", "pad"]);
    let outside = &examples("kick")[1];

    let similar = world.json(&["similar", outside.to_str().unwrap()]);

    assert_eq!(similar["query"]["id"], serde_json::Value::Null);
    assert!(similar["results"][0]["path"].as_str().unwrap().contains("kick"), "{similar}");
    assert_eq!(world.ids().len(), 4, "it is not taken in");
}

#[test]
fn the_song_itself_is_left_out_unless_asked_for() {
    let world = World::with(&["kick", "snare", "bass"]);
    let id = world.ids()[0].clone();

    let without = world.json(&["similar", &id]);
    let with = world.json(&["similar", &id, "--include-self"]);

    let ids = |answer: &serde_json::Value| -> Vec<String> {
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|song| song["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&without).len(), 2);
    assert!(!ids(&without).contains(&id));
    assert_eq!(ids(&with)[0], id);
    assert!((with["results"][0]["similarity"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert!(without["shortfall"].as_str().unwrap().contains("only 2 found"));
}

#[test]
fn nothing_found_is_exit_code_1_with_a_reason() {
    let world = World::with(&["kick", "snare"]);
    let id = world.ids()[0].clone();

    let similar = world.run(&["similar", &id, "--genre", "nonsense"]);
    let search = world.run(&["search", "zzzz"]);

    assert_eq!(similar.code, 1, "{similar:?}");
    assert!(similar.stderr.contains("0 of 2 songs pass the filter"), "{similar:?}");
    assert_eq!(search.code, 1);
    assert!(search.stderr.contains("none of the 2 songs"), "{search:?}");
}

#[test]
fn explain_gives_reasons_and_numbers() {
    let world = World::new();
    for (number, file) in examples("kick")[..2].iter().enumerate() {
        let ending = file.extension().unwrap().to_str().unwrap();
        world.add(file, &format!("kick{number}.{ending}"));
    }
    world.run(&["scan", "music"]).ok();
    let ids = world.ids();

    let text = world.run(&["explain", &ids[0], &ids[1]]).ok().stdout;
    let json = world.json(&["explain", &ids[0], &ids[1]]);

    assert!(text.contains('%') && text.contains("length (s)"), "{text}");
    assert_eq!(json["groups"].as_array().unwrap().len(), 5, "{json}");
    for group in json["groups"].as_array().unwrap() {
        assert_ne!(group["group"], "rhythm", "two kicks have no beat: {json}");
        let score = group["score"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score), "{group}");
    }
}

#[test]
fn the_same_filters_work_everywhere() {
    let world = World::with(&["kick", "snare", "bass"]);
    let id = world.ids()[0].clone();
    world.run(&["edit", &id, "--set", "genre=Drum & Bass", "--set", "bpm=174"]).ok();
    let filter = ["--filter", "genre:drum & bass", "--bpm", "170..180"];

    let listed = world.json(&[&["ls"][..], &filter].concat());
    let found = world.json(&[&["search", "drum"][..], &filter].concat());
    let counted = world.json(&[&["stats"][..], &filter].concat());

    assert_eq!(listed["id"], id.as_str());
    assert_eq!(found["id"], id.as_str());
    assert_eq!(counted["total_songs"], 1);
}

#[test]
fn filters_are_filters_wherever_a_person_writes_them() {
    let world = World::with(&["kick", "snare", "bass"]);
    let id = world.ids()[0].clone();
    let set = ["instrument=theremin", "mood=dark", "loop=yes", "bpm=87.5", "title=Only One"];
    let set: Vec<&str> = set.iter().flat_map(|change| ["--set", change]).collect();
    world.run(&[&["edit", &id][..], &set].concat()).ok();

    for arguments in [
        &["search", "instrument:theremin"][..],
        &["search", "only", "instrument:theremin"],
        &["search", "-f", "instrument:theremin"],
        &["search", "--instrument", "theremin"],
        &["ls", "instrument:theremin"],
        &["ls", "only"],
        &["ls", "--mood", "dark"],
        &["ls", "--loop", "--title", "only"],
        &["ls", "-loop:no", "-instrument:kick", "mood:*", "bpm:80..90"],
        &["ls", "bpm:~175"],
        &["ls", "--bpm", "~175"],
        &["ls", "--instrument", "theremin", "--duration", "<60"],
    ] {
        assert_eq!(world.json(arguments)["id"], id.as_str(), "{arguments:?}");
    }
    assert_eq!(world.json(&["stats", "instrument:theremin"])["total_songs"], 1);
    assert_eq!(world.run(&["ls", "--loop", "no", "title:only"]).code, 1);
    let summary = world.json(&["ls", "only"]);
    let folder = world.json_lines(&["ls", "--path", summary["path"].as_str().unwrap()]);
    assert_eq!(folder.len(), 1);
}

#[test]
fn what_looks_like_an_unknown_filter_is_said_to_be_one() {
    let world = World::with(&["kick"]);
    for (arguments, said) in [
        (&["search", "gnre:techno"][..], "such as `genre:`"),
        (&["ls", "bmp:120"], "such as `bpm:`"),
        (&["search", "kick bpm:120"], "`bpm:120` as an argument of its own"),
        (&["search"], "<WORD|FILTER>"),
        (&["ls", "--loop", "kick"], "--loop"),
        (&["rm"], "<SONG>"),
    ] {
        let run = world.run(arguments);

        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(said), "{arguments:?}: {run:?}");
    }
    let song = world.run(&["similar", "genre:techno"]);
    assert!(song.code == 4 && song.stderr.contains("-f 'genre:techno'"), "{song:?}");
    assert_eq!(world.run(&["rm", "--instrument", "none-such"]).code, 1);
}

#[test]
fn lists_are_in_order_and_in_pages() {
    let world = World::with(&["kick", "snare", "bass", "pad", "bell"]);
    let titles = |arguments: &[&str]| -> Vec<String> {
        let summaries = world.json_lines(&[&["ls", "--sort", "title"], arguments].concat());
        summaries.iter().map(|summary| summary["title"].as_str().unwrap().to_lowercase()).collect()
    };

    let all = titles(&[]);
    let mut reversed = titles(&["--reverse"]);
    reversed.reverse();

    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(reversed, all);
    assert_eq!(titles(&["--limit", "2", "--offset", "1"]), all[1..3]);
}

#[test]
fn several_models_score_together_and_each_is_named() {
    let world = World::with(&["kick", "snare", "bass", "pad"]);
    let id = world.ids()[0].clone();
    let blend = ["similar", &id, "--blend", "timbre=0.6,dsp45=0.4"];

    let similar = world.json(&blend);
    let text = world.run(&[&blend[..], &["--explain"]].concat()).ok();

    let alone = |model: &str| world.json(&["similar", &id, "--model", model]);
    let (timbre, dsp45) = (alone("timbre"), alone("dsp45@1"));
    let of = |answer: &serde_json::Value, song: &serde_json::Value| {
        let results = answer["results"].as_array().unwrap();
        results.iter().find(|one| one["id"] == *song).unwrap()["similarity"].as_f64().unwrap()
    };
    for result in similar["results"].as_array().unwrap() {
        let expected = 0.6 * of(&timbre, &result["id"]) + 0.4 * of(&dsp45, &result["id"]);
        assert!((result["similarity"].as_f64().unwrap() - expected).abs() < 1e-6, "{result}");
        assert_eq!(result["parts"][1]["model"], "dsp45@1", "{result}");
    }
    assert!(text.stderr.contains("0.60 `timbre@7` + 0.40 `dsp45@1`"), "{text:?}");
    assert!(text.stdout.contains("by `timbre@7`"), "{text:?}");
}

#[test]
fn a_wrong_blend_is_refused_with_a_right_one() {
    let world = World::with(&["kick", "snare"]);
    let id = world.ids()[0].clone();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--blend", "timbre=-1"], 2, "clap=0.6,dsp47=0.4"),
        (&["--blend", "timbre=0.5,nope=0.5"], 4, "this library knows dsp45@1"),
        (&["--blend", "timbre=1", "--model", "dsp45"], 2, "--blend"),
        (&["--weights", "0"], 2, "above 0"),
        (&["--weights", "1,2"], 2, "one weight a song"),
        (&["--minus", &id, "--weights", "1,1"], 2, "cancel each other out"),
    ];
    for (arguments, code, hint) in cases {
        let run = world.run(&[&["similar", &id], arguments].concat());

        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(hint), "{arguments:?}: {run:?}");
    }
}

#[test]
fn songs_add_up_and_take_away() {
    let world = World::with(&["kick", "snare", "bass", "pad", "bell"]);
    let ids = world.ids();
    let outside = examples("kick")[1].clone();
    let outside = outside.to_str().unwrap();

    let similar = world.json(&["similar", &ids[0], outside, "--minus", &ids[1]]);
    let text = world.run(&["similar", &ids[0], outside, "--minus", &ids[1], "--explain"]).ok();

    let found: Vec<&str> = similar["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|song| song["id"].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), 3, "neither the songs themselves nor the one to be unlike");
    assert!(!found.contains(&ids[0].as_str()) && !found.contains(&ids[1].as_str()));
    assert_eq!(similar["queries"][1]["id"], serde_json::Value::Null);
    assert_eq!(similar["queries"][2]["weight"], -0.5);
    assert!(text.stderr.contains(", unlike "), "{text:?}");
    assert!(text.stdout.contains("beside "), "{text:?}");
}
