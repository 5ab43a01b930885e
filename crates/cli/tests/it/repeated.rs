//! The same search of a library in the cloud, asked twice within the time for which the
//! answer is kept.

use serde_json::Value;

use crate::{
    remote::{Database, astra, with_astra},
    world::{World, examples_folder},
};

struct Cloud {
    world: World,
    database: Database,
}

impl Cloud {
    fn with_songs() -> Self {
        let world = World::new();
        let database = Database::start();
        database.serve(&world, &world.path("bucket"));
        astra(&world, &["init-astra"]).ok();
        astra(&world, &["scan", examples_folder().to_str().unwrap()]).ok();
        Self { world, database }
    }

    // The answer, and the commands that it took.
    fn ask(&self, arguments: &[&str]) -> (Value, Vec<String>) {
        self.database.requests().reset();
        let answer = self.world.json(&with_astra(arguments));
        let asked = self.database.requests().list();
        let asked = asked.into_iter().map(|request| {
            format!("{} {}", request.command, request.collection.unwrap_or_default())
        });
        (answer, asked.collect())
    }

    fn a_song(&self) -> String {
        let summaries = self.world.json_lines(&with_astra(&["ls", "--limit", "1"]));
        summaries[0]["id"].as_str().unwrap().to_owned()
    }
}

fn searches(asked: &[String]) -> usize {
    asked.iter().filter(|one| one.starts_with("find embeddings")).count()
}

#[test]
fn a_search_that_was_asked_moments_ago_is_not_asked_again() {
    let cloud = Cloud::with_songs();
    let file = examples_folder().join("kick/hard-kick.wav");
    let song = cloud.a_song();
    for asked_for in [file.to_str().unwrap(), &song] {
        let (first, asked) = cloud.ask(&["similar", asked_for]);
        assert_eq!(searches(&asked), 1, "{asked:?}");

        let (again, asked) = cloud.ask(&["similar", asked_for]);

        assert_eq!(again, first);
        // Whether this is the library, which song was meant, and whether it is there still.
        assert!(asked.len() <= 3, "{asked:?}");
        assert_eq!(searches(&asked), 0, "{asked:?}");
    }
}

#[test]
fn what_this_machine_wrote_is_in_the_next_answer() {
    let cloud = Cloud::with_songs();
    let song = cloud.a_song();
    let hits = |answer: &Value| -> Vec<(String, String)> {
        let of = |hit: &Value, field: &str| hit[field].as_str().unwrap().to_owned();
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|hit| (of(hit, "id"), of(hit, "title"))).collect()
    };
    let found = hits(&cloud.ask(&["similar", &song]).0);

    astra(&cloud.world, &["edit", &found[0].0, "--set", "title=Renamed"]).ok();
    assert_eq!(hits(&cloud.ask(&["similar", &song]).0)[0].1, "Renamed");
    astra(&cloud.world, &["rm", &found[0].0]).ok();
    assert_eq!(hits(&cloud.ask(&["similar", &song]).0)[0].0, found[1].0);

    // Also what was written past the cache, by a command that copies libraries.
    cloud.world.run(&["migrate", "astra→local"]).ok();
    let here = &found[1].0;
    cloud.world.run(&["edit", here, "--set", "title=Edited here"]).ok();
    cloud.world.run(&["sync"]).ok();
    assert_eq!(hits(&cloud.ask(&["similar", &song]).0)[0].1, "Edited here");
}
