//! Servers that are silent, wrong or somebody else's, as a person meets them.

use std::fs;

use songrec_testkit::{Wire, s3::S3Server};

use crate::{
    remote::{Database, astra, bucket_env},
    world::World,
};

fn env(world: &World, text: &str) {
    fs::write(world.path(".env"), text).unwrap();
}

#[test]
fn a_silent_database_is_waited_for_once_a_minute() {
    let world = World::with(&["kick"]);
    let silent = Wire::silent();
    let endpoint = silent.endpoint();
    env(
        &world,
        &format!("ASTRA_DB_API_ENDPOINT={endpoint}\nASTRA_DB_APPLICATION_TOKEN=AstraCS:x\n"),
    );

    let first = astra(&world, &["ls"]).ok();
    let asked = silent.requests().len();
    let second = astra(&world, &["ls"]).ok();

    assert_eq!((asked, silent.requests().len()), (1, 1), "{first:?} {second:?}");
    for run in [&first, &second] {
        assert!(run.stdout.contains("kick") || run.stdout.lines().count() == 2, "{run:?}");
        let said = run.stderr.matches("the local library answers in its place").count();
        assert_eq!(said, 1, "{run:?}");
    }
    assert!(second.stderr.contains("did not answer"), "{second:?}");
}

#[test]
fn no_password_in_an_address_is_ever_shown() {
    let world = World::with(&["kick"]);
    env(
        &world,
        "ASTRA_DB_API_ENDPOINT=https://me:hush@data.example.org\nASTRA_DB_APPLICATION_TOKEN=x\n\
         SONGREC_BLOBS=s3://me:hush@bucket/x\nSONGREC_BLOBS_ENDPOINT=https://me:hush@s3.example.org\n",
    );
    for (arguments, code) in [
        (&["config", "show"][..], 0),
        (&["config", "show", "--json"], 0),
        (&["ls", "-vv"], 0),
        (&["ls", "-vv", "--storage-backend", "astra"], 2),
        (&["doctor", "-vv"], 2),
        (&["model", "add", "clap", "https://me:hush@127.0.0.1:9/clap"], 2),
    ] {
        let mut command = world.command(arguments);
        let run = crate::world::Run::of(
            command.env("HTTPS_PROXY", "http://me:hush@127.0.0.1:9").output().unwrap(),
        );

        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
        assert!(!run.stdout.contains("hush") && !run.stderr.contains("hush"), "{run:?}");
    }
    let shown = world.run(&["config", "show"]).ok();
    assert_eq!(shown.stdout.matches("://(hidden)@").count(), 3, "{shown:?}");
}

#[test]
fn a_bucket_without_keys_names_the_variables() {
    let world = World::bare();
    let (database, bucket) = (Database::start(), S3Server::start());
    let all = bucket_env(&bucket, "x");
    let keyless: Vec<&str> = all.lines().filter(|line| !line.contains("_KEY=")).collect();
    database.serve_with(&world, &format!("{}\n", keyless.join("\n")));

    let run = astra(&world, &["init-astra"]);

    assert_eq!(run.code, 6, "{run:?}");
    assert!(run.stderr.contains("there are no keys for the bucket"), "{run:?}");
    assert!(run.stderr.contains("SONGREC_BLOBS_ACCESS_KEY"), "{run:?}");
    assert_eq!(bucket.requests(), 0);
}

#[test]
fn the_doctor_says_each_problem_once() {
    let world = World::bare();
    let (database, bucket) = (Database::start(), S3Server::start());
    database.serve_bucket(&world, &bucket);
    astra(&world, &["init-astra"]).ok();

    database.serve_with(&world, &bucket_env(&bucket, "not-the-secret"));
    let wrong_secret = astra(&world, &["doctor"]);
    let dot_env = fs::read_to_string(world.path(".env")).unwrap();
    let no_token: Vec<&str> = dot_env.lines().filter(|line| !line.contains("TOKEN")).collect();
    let user = "ASTRA_DB_USERNAME=me\nASTRA_DB_PASSWORD=not-the-password\n";
    env(&world, &format!("{}\n{user}", no_token.join("\n")));
    let wrong_password = astra(&world, &["doctor"]);

    assert_eq!(wrong_secret.code, 6, "{wrong_secret:?}");
    assert_eq!(wrong_secret.stdout.matches("403 Forbidden").count(), 1, "{wrong_secret:?}");
    assert!(!wrong_secret.stdout.contains('<'), "{wrong_secret:?}");
    assert_eq!(wrong_password.code, 6, "{wrong_password:?}");
    assert_eq!(wrong_password.stdout.matches("was not accepted").count(), 1, "{wrong_password:?}");
    assert_eq!(wrong_password.stdout.matches("ASTRA_DB_USERNAME").count(), 1, "{wrong_password:?}");
    assert!(!wrong_password.stdout.contains("portal"), "{wrong_password:?}");
}
