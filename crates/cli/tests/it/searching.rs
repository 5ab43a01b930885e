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

    for name in [&id, &id[..8], &sample, &path, &title] {
        assert_eq!(world.json(&["show", name])["id"], id.as_str(), "{name}");
    }
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
    assert_eq!(json["groups"].as_array().unwrap().len(), 6, "{json}");
    for group in json["groups"].as_array().unwrap() {
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
fn lists_are_in_order_and_in_pages() {
    let world = World::with(&["kick", "snare", "bass", "pad", "bell"]);
    let titles = |arguments: &[&str]| -> Vec<String> {
        let cards = world.json_lines(&[&["ls", "--sort", "title"], arguments].concat());
        cards.iter().map(|card| card["title"].as_str().unwrap().to_lowercase()).collect()
    };

    let all = titles(&[]);
    let mut reversed = titles(&["--reverse"]);
    reversed.reverse();

    assert!(all.is_sorted(), "{all:?}");
    assert_eq!(reversed, all);
    assert_eq!(titles(&["--limit", "2", "--offset", "1"]), all[1..3]);
}
