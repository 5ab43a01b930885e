//! A third of all requests fail, and nobody notices.

use std::fs;

use serde_json::Value;
use songrec_emulator::{Fault, Rule};
use songrec_testkit::s3::{self, S3Server};

use crate::{
    cloud::comparable,
    remote::{Database, astra, with_astra},
    world::{World, examples_folder},
};

struct Cloud {
    world: World,
    database: Database,
    bucket: S3Server,
}

impl Cloud {
    fn new() -> Self {
        let world = World::bare();
        let (database, bucket) = (Database::start(), S3Server::start());
        database.serve_bucket(&world, &bucket);
        Self { world, database, bucket }
    }

    fn fill(&self) {
        astra(&self.world, &["init-astra"]).ok();
        astra(&self.world, &["scan", examples_folder().to_str().unwrap()]).ok();
        let ids = self.ids();
        astra(&self.world, &["edit", &ids[0], "--set", "title=Renamed", "--set", "genre=a,b"]).ok();
        astra(&self.world, &["rm", &ids[1], &ids[2]]).ok();
    }

    fn ids(&self) -> Vec<String> {
        self.ask(&["ls", "--sort", "id"])
            .iter()
            .map(|summary| summary["id"].as_str().unwrap().to_owned())
            .collect()
    }

    fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        let run = astra(&self.world, &[arguments, &["--json"]].concat());
        assert!(matches!(run.code, 0 | 1), "{run:?}");
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn every_command_gets_through_while_a_third_of_all_requests_fail() {
    let calm = Cloud::new();
    calm.fill();
    let stormy = Cloud::new();
    let database = stormy.database.faults();
    let storm = database.add(Rule::one_of(Fault::every_failure()).chance(0.3, 11));
    stormy.bucket.fail(s3::Rule::one_of(&s3::Fault::every()).chance(0.3, 11));

    stormy.fill();

    let ids = calm.ids();
    assert_eq!(stormy.ids(), ids, "nothing is lost or doubled");
    let questions: Vec<Vec<&str>> = vec![
        vec!["ls", "--sort", "title", "--limit", "7"],
        vec!["ls", "--count", "--filter=-genre:drums"],
        vec!["search", "renamed"],
        vec!["show", &ids[0]],
        vec!["show", &ids[2][..8]],
        vec!["stats"],
        vec!["dup"],
        vec!["similar", &ids[0], "-k", "20"],
        vec!["similar", &ids[5], "--model", "dsp45@1", "--explain"],
        vec!["similar", &ids[7], "--filter", "duration:<2", "--offset", "2"],
        vec!["explain", &ids[2], &ids[3]],
        vec!["verify"],
    ];
    for question in &questions {
        let answer = |cloud: &Cloud| -> Vec<Value> {
            cloud.ask(question).into_iter().map(comparable).collect()
        };
        assert_eq!(answer(&stormy), answer(&calm), "{question:?}");
    }
    let again = stormy.ask(&["scan", examples_folder().to_str().unwrap()]).pop().unwrap();
    assert_eq!((&again["forgotten"], &again["added"]), (&2.into(), &0.into()), "{again}");
    for (n, id) in ids.iter().enumerate().step_by(9) {
        let song = &stormy.ask(&["show", id])[0];
        let original = fs::read(song["files"][0]["path"].as_str().unwrap()).unwrap();
        let target = format!("back {n}");
        astra(&stormy.world, &["get", id, &target]).ok();
        assert_eq!(fs::read(stormy.world.path(&target)).unwrap(), original);
    }
    // What is wrong is still told as what it is.
    for (arguments, code) in [
        (&["show", "nothing of the kind"][..], 4),
        (&["similar", "00000000-0000-8000-8000-000000000000"], 4),
        (&["edit", &ids[0], "--set", "year=soon"], 2),
        (&["similar", &ids[0], "--model", "nothing@1"], 4),
    ] {
        let run = astra(&stormy.world, arguments);
        let same = astra(&calm.world, arguments);
        assert_eq!((run.code, &run.stderr), (code, &same.stderr), "{run:?}");
    }
    assert!(database.fired(storm) > 50, "the storm was a breeze");
    assert!(stormy.bucket.injected() > 20, "the storm was a breeze");
    database.clear();
    stormy.bucket.heal();
    assert_eq!(stormy.ids(), ids);
    astra(&stormy.world, &["verify", "--read-data"]).ok();
    let env = fs::read_to_string(stormy.world.path(".env")).unwrap();
    fs::write(stormy.world.path(".env"), env.replace(&stormy.database.token(), "AstraCS:no"))
        .unwrap();
    stormy.database.faults().add(Rule::one_of(Fault::every_failure()).chance(0.3, 12));
    let refused = stormy.world.run(&with_astra(&["ls"]));
    assert_eq!(refused.code, 6, "{refused:?}");
}
