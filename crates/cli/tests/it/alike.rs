//! What `similar` can be asked about besides songs, and where its answer can go.

use std::fs;

use serde_json::Value;

use crate::{
    keeping::npy_f64,
    world::{World, examples},
};

fn ids(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap();
    results.iter().map(|song| song["id"].as_str().unwrap().to_owned()).collect()
}

/// Kicks and snares in folders of their own, and a pad beside them.
fn folders() -> World {
    let world = World::new();
    for kind in ["kick", "snare"] {
        for (number, file) in examples(kind).iter().take(3).enumerate() {
            let ending = file.extension().unwrap().to_str().unwrap();
            world.add(file, &format!("{kind}s/{number}.{ending}"));
        }
    }
    world.add(&examples("pad")[0], "pad.wav");
    world.run(&["scan", "music"]).ok();
    world
}

#[test]
fn a_folder_stands_for_the_center_of_its_songs() {
    let world = folders();
    let all = world.json_lines(&["ls", "--sort", "id"]);
    let in_folder = |folder: &str| -> Vec<&str> {
        let below = all.iter().filter(|song| song["path"].as_str().unwrap().contains(folder));
        below.map(|song| song["id"].as_str().unwrap()).collect()
    };

    let answer = world.json(&["similar", "music/kicks/", "--model", "dsp45@1"]);

    assert_eq!(answer["query"]["title"], "kicks (3 songs)");
    let found = ids(&answer);
    assert_eq!(found.len(), 4, "the folder's own songs are left out");
    assert!(in_folder("kicks/").iter().all(|id| !found.iter().any(|found| found == id)));
    let with = world.json(&["similar", "music/kicks", "--model", "dsp45@1", "--include-self"]);
    assert_eq!(ids(&with).len(), 7);
    // The same as the mean of what the songs were embedded as, worked out here.
    let rows: Vec<Vec<f64>> = in_folder("kicks/").iter().map(|id| vector(&world, id)).collect();
    let mean: Vec<f64> =
        (0..45).map(|at| rows.iter().map(|row| row[at]).sum::<f64>() / 3.0).collect();
    fs::write(world.path("mean.npy"), npy_f64(&mean)).unwrap();
    let by_vector = ["similar", "--vector", "mean.npy", "--model", "dsp45@1"];
    assert_eq!(ids(&world.json(&by_vector)), ids(&with));
    let beside = world.json(&["similar", "music/kicks/", "pad", "--minus", "music/snares/"]);
    assert_eq!(beside["queries"].as_array().unwrap().len(), 3);

    fs::create_dir(world.path("empty")).unwrap();
    let none = world.run(&["similar", "./empty"]);
    assert!(none.code == 4 && none.stderr.contains("no song of the library lies in"), "{none:?}");
}

// What a song was embedded as, as a direction.
fn vector(world: &World, id: &str) -> Vec<f64> {
    let song = world.json(&["show", id]);
    let path = song["files"][0]["path"].as_str().unwrap();
    let embedded = world.json(&["embed", path, "--model", "dsp45@1"]);
    let values = embedded["vector"].as_array().unwrap();
    let values: Vec<f64> = values.iter().map(|value| value.as_f64().unwrap()).collect();
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.iter().map(|value| value / length).collect()
}

#[test]
fn a_vector_of_another_dimension_is_refused() {
    let world = World::with(&["kick", "snare"]);
    fs::write(world.path("short.npy"), npy_f64(&[1.0, 2.0])).unwrap();
    fs::write(world.path("none.npy"), "no vector").unwrap();

    let short = world.run(&["similar", "--vector", "short.npy"]);
    let none = world.run(&["similar", "--vector", "none.npy"]);

    assert!(short.code == 2 && short.stderr.contains("a vector of 2 values"), "{short:?}");
    assert!(none.code != 0 && none.stderr.contains("none.npy"), "{none:?}");
    assert_eq!(world.run(&["similar"]).code, 2);
}

#[test]
fn an_answer_is_written_as_a_playlist() {
    let world = folders();
    let ask = ["similar", "music/kicks/", "-k", "2", "--m3u", "near.m3u8", "--json"];

    let answer = world.run(&ask).ok();

    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    let list = fs::read_to_string(world.path("near.m3u8")).unwrap();
    let paths: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let found: Vec<&str> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths.len(), 2);
    assert!(paths.iter().zip(&found).all(|(path, found)| path.ends_with(found)), "{list}");
    let again = world.run(&ask);
    assert!(again.code == 2 && again.stderr.contains("`--force` writes over it"), "{again:?}");
    world.run(&[&ask[..], &["--force"]].concat()).ok();
    let wrong = world.run(&["similar", "pad", "--m3u", "near.txt"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("the file ends in"), "{wrong:?}");
}
