//! Clusters, outliers, maps and measures, as a person uses them.

use std::fs;

use serde_json::Value;

use crate::{
    syncing::{another, with_cloud},
    world::{World, examples, tone},
};

const KINDS: [&str; 8] = ["bass", "bell", "hihat", "kick", "pad", "pluck", "rock", "voice"];

// A library of forty sounds of eight kinds.
fn sounds() -> World {
    let world = World::new();
    add(&world, &KINDS);
    world
}

fn add(world: &World, kinds: &[&str]) {
    for kind in kinds {
        for file in examples(kind) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            world.add(&file, &format!("{kind}/{name}"));
        }
    }
    world.run(&["scan", "music"]).ok();
}

fn ids(world: &World, arguments: &[&str]) -> Vec<String> {
    let lines = world.json_lines(arguments);
    let mut ids: Vec<String> =
        lines.iter().filter_map(|line| Some(line["id"].as_str()?.to_owned())).collect();
    ids.sort();
    ids
}

fn sizes(clustering: &Value) -> Vec<u64> {
    let clusters = clustering["clusters"].as_array().unwrap();
    clusters.iter().map(|cluster| cluster["size"].as_u64().unwrap()).collect()
}

#[test]
fn clusters_are_kept_named_and_filtered_by() {
    let world = sounds();

    let made = world.json(&["cluster", "-k", "6"]);
    let again = world.json(&["cluster", "-k", "6"]);

    assert_eq!(made, again);
    assert_eq!(sizes(&made).iter().sum::<u64>(), 40);
    assert_eq!((made["songs"].as_u64(), made["agreement"].as_f64()), (Some(40), Some(1.0)));
    let by_number = ids(&world, &["ls", "-f", "cluster:3"]);
    assert_eq!(by_number.len() as u64, sizes(&made)[3]);
    let name = made["clusters"][3]["name"].as_str().unwrap();
    assert_eq!(ids(&world, &["ls", "-f", &format!("cluster:\"{name}\"")]), by_number);
    assert_eq!(ids(&world, &["ls", "-f", "-cluster:3"]).len(), 40 - by_number.len());
    assert_eq!(ids(&world, &["ls", "-f", "cluster:*"]).len(), 40);
    // What finds nothing leaves what there is.
    let none = world.run(&["cluster", "--method", "hdbscan", "--min-size", "39"]);
    assert_eq!(none.code, 4, "{}", none.stderr);
    assert_eq!(ids(&world, &["ls", "-f", "cluster:3"]), by_number);
    // Every command that takes a filter, takes this one.
    let similar = world.json(&["similar", &by_number[0], "-f", "cluster:3", "-k", "40"]);
    assert_eq!(similar["results"].as_array().unwrap().len(), by_number.len() - 1);
    let stats = world.json(&["stats", "cluster:3"]);
    assert_eq!(stats["total_songs"].as_u64(), Some(by_number.len() as u64));
    world.run(&["edit", "-f", "cluster:3", "--set", "mood=third", "--yes"]).ok();
    assert_eq!(ids(&world, &["ls", "mood:third"]), by_number);

    world.run(&["cluster", "rename", "3", "Dark Pads"]).ok();
    assert_eq!(ids(&world, &["ls", "-f", "cluster:dark pads"]), by_number);
    let shown = world.json(&["show", &by_number[0]]);
    assert_eq!(shown["cluster"]["name"], "Dark Pads");
    let listed = ids(&world, &["cluster", "show", "dark pads"]);
    assert_eq!(listed, Vec::<String>::new(), "it is one document");
    let songs = world.json(&["cluster", "show", "dark pads"])["songs"].as_array().unwrap().len();
    assert_eq!(songs, by_number.len());

    // A name that a person gave stays with songs of that kind.
    let renewed = world.json(&["cluster", "-k", "6", "--seed", "5"]);
    let named =
        renewed["clusters"].as_array().unwrap().iter().find(|one| one["name"] == "Dark Pads");
    assert_eq!(named.expect("it is still there")["named_by_hand"], true);

    let wrong = world.run(&["ls", "-f", "cluster:none-such"]);
    assert_eq!(wrong.code, 4);
    assert!(wrong.stderr.contains("`Dark Pads`"), "{}", wrong.stderr);
    world.run(&["cluster", "rm"]).ok();
    let gone = world.run(&["ls", "-f", "cluster:3"]);
    assert_eq!(gone.code, 4);
    assert!(gone.stderr.contains("songrec cluster"), "{}", gone.stderr);
}

#[test]
fn a_new_song_has_a_cluster_without_a_new_run() {
    let world = sounds();
    world.run(&["cluster", "-k", "5"]).ok();
    let before = world.json(&["cluster", "ls"]);

    add(&world, &["snare"]);

    let after = world.json(&["cluster", "ls"]);
    assert_eq!(sizes(&after).iter().sum::<u64>(), 45);
    assert_eq!(before["made_at"], after["made_at"]);
    let snare = ids(&world, &["ls", "path:snare", "-f", "cluster:*"]);
    assert_eq!(snare.len(), 5);
    for id in &snare {
        assert!(world.json(&["show", id])["cluster"]["cluster_id"].is_u64());
    }
    // What is deleted is in no cluster.
    world.run(&["rm", &snare[0]]).ok();
    assert_eq!(sizes(&world.json(&["cluster", "ls"])).iter().sum::<u64>(), 44);
}

#[test]
fn clusters_are_the_same_in_the_cloud_and_on_another_machine() {
    let (world, cloud) = with_cloud(&[]);
    add(&world, &KINDS[..5]);
    world.run(&["cluster", "-k", "4"]).ok();
    world.run(&["cluster", "rename", "2", "dark pads"]).ok();
    let here = ids(&world, &["ls", "-f", "cluster:dark pads"]);
    assert!(!here.is_empty());

    world.run(&["sync"]).ok();
    let far = ["--storage-backend", "astra"];
    let there = ids(&world, &[&["ls", "-f", "cluster:dark pads"], &far[..]].concat());
    assert_eq!(there, here);
    let other = another(&world, &cloud);
    other.run(&["clone", "astra", "library"]).ok();
    let cloned = ids(&other, &["ls", "-f", "cluster:2", "--library", "library"]);
    assert_eq!(cloned, here);

    // A second sync has nothing to do, and a removal goes along.
    let again = world.json(&["sync"]);
    assert_eq!(again["documents"].as_array().map(Vec::len), Some(0), "{again}");
    world.run(&["cluster", "rm"]).ok();
    world.run(&["sync"]).ok();
    let gone = world.run(&[&["cluster", "ls"], &far[..]].concat());
    assert_eq!(gone.code, 1, "{}", gone.stderr);
}

#[test]
fn clusters_of_any_shape_say_which_songs_are_in_none() {
    let world = sounds();

    let found = world.json(&["cluster", "--method", "hdbscan", "--min-size", "3"]);

    let in_some: u64 = sizes(&found).iter().sum();
    assert!(sizes(&found).len() >= 2, "{found}");
    assert_eq!(in_some + found["noise"].as_u64().unwrap(), 40);
    assert_eq!(ids(&world, &["ls", "-f", "cluster:*"]).len() as u64, in_some);
    assert_eq!(ids(&world, &["ls", "-f", "-cluster:*"]).len() as u64, 40 - in_some);
}

#[test]
fn a_distance_that_joins_nearly_all_songs_is_said() {
    let world = sounds();

    let joined = world.run(&["cluster", "--method", "dbscan", "--eps", "100"]).ok();

    assert!(joined.stderr.contains(" % of the songs, as chains"), "{}", joined.stderr);
    // What is advised parts them.
    let advised = world.run(&["cluster", "--method", "hdbscan"]);
    assert!(!advised.stderr.contains(" % of the songs have"), "{}", advised.stderr);
}

#[test]
fn what_makes_no_clusters_is_said() {
    let world = World::new();
    for (arguments, code, words) in [
        (vec!["cluster"], 4, "songs"),
        (vec!["anomalies"], 4, "song"),
        (vec!["map"], 4, "song"),
        (vec!["eval"], 4, "song"),
        (vec!["cluster", "-k", "none"], 2, "auto"),
        (vec!["map", "-o", "map.pdf"], 2, ".html"),
        (vec!["map", "-o", "nowhere/map.html"], 4, "no folder"),
        (vec!["cluster", "--method", "dbscan", "--eps", "-1"], 2, "above 0"),
        (vec!["cluster", "--method", "hdbscan", "--min-size", "1"], 2, "from 2 on"),
        (vec!["eval", "--distortions", "0"], 2, "from 1 on"),
        (vec!["map", "-o", "map.png", "--dims", "3"], 2, "two dimensions"),
        (vec!["anomalies", "--contamination", "0.9"], 2, "0.5"),
    ] {
        let run = world.run(&arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments:?}: {}", run.stderr);
    }
    // All the same: no cluster is better than another one.
    for number in 0..8 {
        let name = format!("music/{number}.wav");
        fs::write(world.path(&name), tone(440.0, 0.5 + f64::from(number) / 1e3)).unwrap();
    }
    world.run(&["scan", "music"]).ok();
    for arguments in [
        vec!["cluster", "-k", "3"],
        vec!["cluster", "-k", "auto", "--again"],
        vec!["cluster", "--method", "dbscan"],
        vec!["cluster", "--method", "hdbscan"],
        vec!["map", "-o", "map.json"],
        vec!["map", "-o", "map.json", "--method", "pca"],
        vec!["map", "-o", "map.json", "--method", "tsne"],
    ] {
        let run = world.run(&arguments);
        assert!([0, 4].contains(&run.code), "{arguments:?}: {}", run.stderr);
    }
    let many = world.run(&["cluster", "-k", "9"]);
    assert_eq!(many.code, 4, "{}", many.stderr);
    assert!(many.stderr.contains("fewer clusters"), "{}", many.stderr);
    world.run(&["cluster", "-k", "2"]).ok();
    let of_clusters = world.run(&["cluster", "-f", "cluster:0"]);
    assert_eq!(of_clusters.code, 2, "{}", of_clusters.stderr);
    let none = world.run(&["cluster", "-f", "genre:none-such"]);
    assert_eq!(none.code, 4, "{}", none.stderr);
}

#[test]
fn anomalies_are_below_zero_and_say_why() {
    let world = sounds();
    // Longer and lower than everything else.
    fs::write(world.path("music/odd.wav"), tone(30.0, 20.0)).unwrap();
    world.run(&["scan", "music"]).ok();

    // By the measured values: to the network it is a bass like others.
    let measured = ["anomalies", "--model", "dsp45@1", "--limit", "50"];
    let found = world.json(&measured);
    let again = world.json(&measured);

    assert_eq!(found, again);
    let results = found["results"].as_array().unwrap();
    assert_eq!((found["songs"].as_u64(), results.len()), (Some(41), 4), "{found}");
    let scores: Vec<f64> = results.iter().map(|one| one["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted() && scores.iter().all(|score| *score < 0.0), "{scores:?}");
    let odd = results.iter().find(|one| one["title"] == "odd");
    let reasons = odd.expect("it is unlike all others")["reasons"].to_string();
    assert!(reasons.contains("20 s long, longer than"), "{reasons}");
    let by_neighbors = world.json(&["anomalies", "--method", "knn"]);
    assert_eq!(by_neighbors["results"].as_array().unwrap().len(), 4);
}

#[test]
fn a_map_keeps_its_places() {
    let world = sounds();
    let places = |file: &str| {
        let text = fs::read_to_string(world.path(file)).unwrap();
        let map: Value = serde_json::from_str(&text).unwrap();
        let songs = map["songs"].as_array().unwrap().clone();
        let place = |song: &Value| (song["id"].to_string(), song["coordinates"].clone());
        songs.iter().map(place).collect::<std::collections::BTreeMap<String, Value>>()
    };

    let drawn = world.json(&["map", "-o", "one.json"]);
    assert!(drawn["trustworthiness"].as_f64().unwrap() > 0.8, "{drawn}");
    let first = places("one.json");
    add(&world, &["snare"]);
    let placed = world.json(&["map", "-o", "two.json"]);
    let second = places("two.json");

    assert_eq!((placed["songs"].as_u64(), placed["placed"].as_u64()), (Some(45), Some(5)));
    assert_eq!(second.len(), 45);
    assert!(first.iter().all(|(id, place)| second[id] == *place));
    let other = world.json(&["map", "-o", "three.json", "--again"]);
    assert_eq!(other["placed"].as_u64(), Some(0));
    assert_eq!(places("three.json").len(), 45);
}

#[test]
fn a_map_is_written_as_what_its_name_says() {
    let world = sounds();
    world.run(&["edit", "-f", "instrument:kick", "--set", "title=</script><b>&", "--yes"]).ok();

    for name in ["map.html", "map.png", "map.csv", "map.npy", "map.json"] {
        world.run(&["map", "-o", name, "--color", "instrument"]).ok();
    }

    let page = fs::read_to_string(world.path("map.html")).unwrap();
    assert!(!page.contains("SONGREC_MAP_DATA"));
    assert!(page.contains("\\u003c/script\\u003e\\u003cb\\u003e\\u0026"));
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    assert_eq!(fs::read(world.path("map.png")).unwrap()[..4], *b"\x89PNG");
    let csv = fs::read_to_string(world.path("map.csv")).unwrap();
    assert_eq!((csv.lines().count(), &csv[..7]), (41, "id,x,y,"));
    assert_eq!(fs::read(world.path("map.npy")).unwrap()[..6], *b"\x93NUMPY");
    assert_eq!(fs::read_to_string(world.path("map.ids.txt")).unwrap().lines().count(), 40);
}

#[test]
fn neighbors_are_measured_for_each_model() {
    let world = sounds();

    let found = world.json(&["eval", "--by", "folder", "--models", "timbre,dsp45"]);

    assert_eq!((found["labelled"].as_u64(), found["queries"].as_u64()), (Some(40), Some(40)));
    assert!((found["chance"].as_f64().unwrap() - 4.0 / 39.0).abs() < 1e-9);
    for model in found["models"].as_array().unwrap() {
        let nearest = model["precision_at_1"]["mean"].as_f64().unwrap();
        assert!(nearest > 0.5, "{model}");
        let counted: u64 = model["bands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|band| band["neighbors"].as_u64().unwrap())
            .sum();
        assert_eq!(counted, 400);
    }
    let robust = world.json(&["eval", "--distortions", "5"]);
    assert_eq!((robust["songs"].as_u64(), robust["skipped"].as_u64()), (Some(5), Some(0)));
    for copies in robust["models"][0]["distortions"].as_array().unwrap() {
        assert_eq!(copies["copies"].as_u64(), Some(5), "{copies}");
        assert!(copies["in_ten"].as_f64().unwrap() >= 0.8, "{copies}");
    }
}
