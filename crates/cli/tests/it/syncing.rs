//! Copying a library, and keeping two the same.

use std::fs;

use serde_json::Value;

use crate::{remote::Database, world::World};

// A machine with a library of some examples, and a cloud.
pub(crate) fn with_cloud(kinds: &[&str]) -> (World, Database) {
    let world = World::with(kinds);
    let cloud = Database::start();
    cloud.serve(&world, &world.path("bucket"));
    world.run(&["--storage-backend", "astra", "init-astra"]).ok();
    (world, cloud)
}

// Another machine that shares the cloud of `first`.
pub(crate) fn another(first: &World, cloud: &Database) -> World {
    let world = World::bare();
    cloud.serve(&world, &first.path("bucket"));
    world
}

fn title(world: &World, id: &str) -> String {
    world.json(&["show", id])["edits"]["title"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_library_goes_to_the_cloud_and_to_a_disk_and_back() {
    let (world, _cloud) = with_cloud(&["kick", "snare", "pad"]);

    let plan = world.json(&["migrate", "--from", "local", "--to", "astra", "--dry-run"]);
    let there = world.json(&["migrate", "--from", "local", "--to", "astra", "--verify", "full"]);
    let again = world.json(&["migrate", "--from", "local", "--to", "astra"]);
    let disk = world.json(&["migrate", "--from", "astra", "--to", "./disk", "--keep-copies"]);
    let back = world.json(&["migrate", "--from", "./disk", "--to", "./again", "--keep-copies"]);

    assert_eq!((&plan["songs"], &plan["already"]), (&3.into(), &0.into()), "{plan}");
    assert_eq!(
        (&there["copied"], &there["verified"]["compared"]),
        (&3.into(), &3.into()),
        "{there}"
    );
    assert_eq!(there["verified"]["differences"].as_array().unwrap().len(), 0, "{there}");
    assert_eq!((&again["copied"], &again["already"]), (&0.into(), &3.into()), "{again}");
    assert_eq!((&disk["copied"], &back["copied"]), (&3.into(), &3.into()), "{disk} {back}");
    // The audio itself went all the way.
    let blobs = fs::read_dir(world.path("again/blobs")).unwrap().count();
    assert!(blobs > 0);
    world.run(&["check", "local", "./again", "--read-data"]).ok();
    world.run(&["--library", "again", "verify", "--read-data"]).ok();
}

#[test]
fn the_old_flags_are_the_commands() {
    let (world, _cloud) = with_cloud(&["kick"]);

    world.run(&["--init-astra", "--check"]).ok();
    world.run(&["--migrate", "--from", "local", "--to", "astra"]).ok();
    let run = world.run(&["--sync"]).ok();

    assert!(run.stderr.contains("the same"), "{run:?}");
}

#[test]
fn a_migration_without_audio_carries_none() {
    let (world, _cloud) = with_cloud(&["kick"]);

    world
        .run(&["migrate", "--from", "local", "--to", "./copy", "--keep-copies", "--no-audio"])
        .ok();

    assert!(!world.path("copy/blobs").exists());
}

#[test]
fn a_sync_costs_what_it_says() {
    let (world, cloud) = with_cloud(&["kick", "snare", "pad"]);
    world.run(&["sync"]).ok();
    let id = world.ids()[0].clone();
    // What is left to do after the first sync is done by the second.
    world.run(&["sync"]).ok();

    let counted = |arguments: &[&str]| {
        cloud.requests().reset();
        world.run(arguments).ok();
        cloud.requests().total()
    };
    assert_eq!(counted(&["sync"]), 1, "nothing to do");
    world.run(&["edit", &id, "--set", "title=Thump"]).ok();
    let one_edit = counted(&["sync"]);
    assert!(one_edit <= 8, "{one_edit} requests for one edit");
    assert_eq!(counted(&["sync"]), 1, "nothing to do after an edit");
    assert_eq!(counted(&["status"]), 1, "nothing would be done");
}

#[test]
fn what_two_machines_say_of_one_song_is_kept_and_decided() {
    let (one, cloud) = with_cloud(&["kick", "snare"]);
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();
    let id = one.ids()[0].clone();
    one.run(&["edit", &id, "--set", "title=One"]).ok();
    two.run(&["edit", &id, "--set", "title=Two", "--set", "mood=calm"]).ok();
    one.run(&["sync"]).ok();

    let would = two.run(&["status"]);
    let report = two.json(&["sync"]);
    one.run(&["sync"]).ok();

    assert_eq!(would.code, 1, "{would:?}");
    assert!(would.stdout.contains("merge"), "{would:?}");
    assert_eq!(report["conflicts"], 1, "{report}");
    assert_eq!((title(&one, &id), title(&two, &id)), ("Two".into(), "Two".into()));
    let open = one.json_lines(&["conflicts"]);
    assert_eq!(open[0]["conflicts"][0]["other"], "One", "{open:?}");

    one.run(&["conflicts", "resolve", &id, "title", "--take", "1"]).ok();
    one.run(&["sync"]).ok();
    two.run(&["sync"]).ok();

    assert_eq!((title(&one, &id), title(&two, &id)), ("One".into(), "One".into()));
    assert_eq!(two.run(&["conflicts"]).code, 1);
    assert_eq!(two.json(&["show", &id])["edits"]["mood"], Value::from(vec!["calm"]));
}

#[test]
fn deletions_travel_are_guarded_and_can_be_taken_back() {
    let (one, cloud) = with_cloud(&["kick", "snare", "pad"]);
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();
    let ids = one.ids();
    one.run(&["rm", &ids[0], &ids[1], "--yes"]).ok();

    let guarded = one.run(&["sync", "--max-delete", "1"]);
    assert_eq!(guarded.code, 12, "{guarded:?}");
    assert!(guarded.stderr.contains("--max-delete 2"), "{guarded:?}");
    assert_eq!(two.run(&["sync"]).ok().code, 0);
    assert_eq!(two.ids(), ids, "nothing was deleted");

    one.run(&["sync"]).ok();
    two.run(&["sync"]).ok();
    assert_eq!(two.ids(), ids[2..]);

    let trash = two.json_lines(&["trash"]);
    assert_eq!(trash.len(), 2, "{trash:?}");
    two.run(&["trash", "restore", &ids[1]]).ok();
    two.run(&["sync"]).ok();
    one.run(&["sync"]).ok();
    assert_eq!(one.ids(), ids[1..]);
    one.run(&["verify", "--read-data"]).ok();
}

#[test]
fn a_library_that_is_gone_or_another_one_is_no_deletion() {
    let (world, cloud) = with_cloud(&["kick", "snare"]);
    world.run(&["sync"]).ok();
    let library = world.path("data/songrec/library");
    let aside = world.path("aside");
    fs::rename(&library, &aside).unwrap();

    let gone = world.run(&["sync"]);
    fs::create_dir(&library).unwrap();
    let empty = world.run(&["sync"]);
    world.run(&["init"]).ok();
    let another = world.run(&["sync"]);

    assert_eq!((gone.code, empty.code), (10, 10), "{gone:?} {empty:?}");
    assert_eq!(another.code, 12, "{another:?}");
    assert!(another.stderr.contains("--adopt"), "{another:?}");
    let astra = world.json_lines(&["--storage-backend", "astra", "ls"]);
    assert_eq!(astra.len(), 2);

    world.run(&["sync", "--adopt"]).ok();
    assert_eq!(world.ids().len(), 2, "what was adopted has everything");
    drop(cloud);
    let away = world.run(&["sync"]);
    assert_eq!(away.code, 5, "{away:?}");
}

#[test]
fn audio_that_stayed_elsewhere_is_fetched_when_it_is_wanted() {
    let (one, cloud) = with_cloud(&["kick"]);
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "data/songrec/library", "--audio", "none"]).ok();
    let id = one.ids()[0].clone();
    fs::remove_dir_all(one.path("music")).unwrap();

    let verified = two.run(&["verify", "--read-data"]);
    let run = two.run(&["get", &id, "kick.wav"]).ok();

    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(run.stderr.contains("fetching it from `astra`"), "{run:?}");
    let original = fs::read(&crate::world::examples("kick")[0]).unwrap();
    assert_eq!(fs::read(two.path("kick.wav")).unwrap(), original);
}

#[test]
fn machines_are_known_and_can_be_retired() {
    let (one, cloud) = with_cloud(&["kick"]);
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "data/songrec/library"]).ok();

    let machines = one.json_lines(&["machines"]);
    assert_eq!(machines.len(), 2, "{machines:?}");
    let id = machines[0]["id"].as_str().unwrap();
    one.run(&["machines", "retire", id]).ok();
    let unknown = one.run(&["machines", "retire", "nobody"]);

    let retired = one.json_lines(&["machines"]);
    assert_eq!(retired.iter().filter(|one| one["retired"] == true).count(), 1, "{retired:?}");
    assert_eq!(unknown.code, 4, "{unknown:?}");
    // Whoever was retired comes back under another name.
    one.run(&["sync"]).ok();
    two.run(&["sync"]).ok();
    assert_eq!(two.ids(), one.ids());
}

#[test]
fn names_that_mean_nothing_or_the_same_are_refused() {
    let world = World::with(&["kick"]);

    let nothing = world.run(&["sync", "local", "elsewhere"]);
    let same = world.run(&["check", "local", "data/songrec/library"]);
    let folder = world.run(&["migrate", "--from", "local", "--to", "./music"]);

    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(nothing.stderr.contains("[libraries.elsewhere]"), "{nothing:?}");
    assert_eq!(same.code, 2, "{same:?}");
    assert_eq!(folder.code, 10, "a folder with other things in it: {folder:?}");
}

#[test]
fn a_clone_remembers_where_it_is_from() {
    let (one, cloud) = with_cloud(&["kick", "snare"]);
    one.run(&["sync"]).ok();
    let two = another(&one, &cloud);
    two.run(&["clone", "astra", "shelf/copy"]).ok();
    let id = one.ids()[0].clone();
    let remembered = fs::read_to_string(two.path("shelf/copy/remote.toml")).unwrap();
    let env = fs::read_to_string(two.path(".env")).unwrap();
    fs::remove_file(two.path(".env")).unwrap();
    fs::create_dir_all(two.path("shelf/copy/deeper")).unwrap();
    let from = |folder: &str, arguments: &[&str]| {
        let mut command = two.command(arguments);
        command.current_dir(two.path(folder));
        crate::world::Run::of(command.output().unwrap())
    };

    let without_token = from("shelf/copy", &["sync"]);
    let token = env.lines().find(|line| line.contains("TOKEN")).unwrap();
    for (place, title) in [("shelf", "Beside"), ("shelf/copy", "Inside")] {
        fs::write(two.path(place).join(".env"), token).unwrap();
        one.run(&["edit", &id, "--set", &format!("title={title}")]).ok();
        one.run(&["sync"]).ok();
        from("shelf/copy/deeper", &["sync"]).ok();
        let song = from("shelf/copy", &["show", &id, "--json"]).ok();
        assert!(song.stdout.contains(title), "{song:?}");
        from("", &["--library", "shelf/copy", "status"]).ok();
        fs::remove_file(two.path(place).join(".env")).unwrap();
    }
    // The remembered place wins over what the settings say of `astra`.
    let elsewhere = format!("{token}\nASTRA_DB_API_ENDPOINT=http://127.0.0.1:9\n");
    fs::write(two.path(".env"), elsewhere).unwrap();
    from("", &["--library", "shelf/copy", "sync"]).ok();

    assert!(!remembered.contains(&cloud.token()), "{remembered}");
    assert!(remembered.contains(cloud.url()), "{remembered}");
    assert_eq!(without_token.code, 6, "{without_token:?}");
    let origin = from("shelf/copy", &["config", "show", "--json"]).ok().stdout;
    assert!(origin.contains("remote.toml, line"), "{origin}");
    fs::write(two.path(".env"), &env).unwrap();
    two.run(&["clone", "astra", "shelf/copy"]).ok();
    let other = two.run(&["clone", "./shelf/copy", "shelf/copy2"]).ok();
    let again = two.run(&["clone", "astra", "shelf/copy2"]);
    assert!(fs::read_to_string(two.path("shelf/copy2/remote.toml")).unwrap().contains("origin"));
    assert_eq!(again.code, 2, "a clone of another library: {other:?} {again:?}");
    from("shelf/copy2", &["sync"]).ok();
}

#[test]
fn what_lies_with_a_library_says_only_what_it_is_synced_with() {
    let (one, cloud) = with_cloud(&["kick"]);
    one.run(&["sync"]).ok();
    let remote = one.path("data/songrec/library/remote.toml");

    fs::write(&remote, "[search]\nresults = 3\n").unwrap();
    let refused = one.run(&["ls"]);
    let other = "[libraries.astra]\nkind = \"astra\"\nendpoint = \"http://data.example.org\"\n\
                 [sync]\nremote = \"astra\"\n";
    fs::write(&remote, other).unwrap();
    let elsewhere = one.run(&["sync"]);
    fs::remove_file(&remote).unwrap();
    fs::write(one.path("data/songrec/library/.env"), "SONGREC_RESULTS=3\n").unwrap();
    let ignored = one.run(&["config", "show"]);

    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("may not stand in"), "{refused:?}");
    assert_eq!(elsewhere.code, 2, "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("your token is not sent to"), "{elsewhere:?}");
    let results = ignored.stdout.lines().find(|line| line.starts_with("search.results"));
    assert!(results.unwrap().contains("default"), "{ignored:?}");
    drop(cloud);
}
