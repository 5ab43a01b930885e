//! Every command that writes can be killed at any moment, and run again.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::world::{World, examples};

/// How often each command is killed, spread over its time.
const MOMENTS: u32 = 5;

/// A command, and the machine that it is run on.
struct Case {
    world: World,
    arguments: Vec<String>,
    /// The library that it writes to, to be verified in the end; the usual one
    /// if it is empty.
    library: &'static str,
}

fn case(world: World, arguments: &[&str], library: &'static str) -> Case {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Case { world, arguments, library }
}

// With three songs, by the names of their files.
fn songs() -> World {
    World::with(&["kick", "snare", "pad"])
}

fn named(world: &World) -> Vec<String> {
    let cards = world.json_lines(&["ls", "--sort", "id"]);
    cards.iter().map(|card| card["title"].as_str().unwrap().to_owned()).collect()
}

fn init() -> Case {
    case(World::bare(), &["init", "made"], "made")
}

fn scan() -> Case {
    let world = World::new();
    for kind in ["kick", "snare", "pad"] {
        world.add(&examples(kind)[0], &format!("{kind}.wav"));
    }
    case(world, &["scan", "music"], "")
}

fn rm() -> Case {
    let world = songs();
    let ids = world.ids();
    case(world, &["rm", &ids[0], &ids[1], &ids[2]], "")
}

fn rm_of_titles_and_audio() -> Case {
    let world = songs();
    let names = named(&world);
    case(world, &["rm", &names[0], &names[1], "--delete-audio", "--yes"], "")
}

fn edit() -> Case {
    let world = songs();
    let ids = world.ids();
    case(world, &["edit", &ids[0], &ids[1], "--set", "mood=calm"], "")
}

fn restore() -> Case {
    let world = songs();
    let ids = world.ids();
    world.run(&["rm", &ids[0], &ids[1]]).ok();
    case(world, &["trash", "restore", &ids[0], &ids[1]], "")
}

fn export() -> Case {
    case(songs(), &["export", "out"], "")
}

fn import() -> Case {
    let world = songs();
    world.run(&["export", "out"]).ok();
    world.run(&["init", "made"]).ok();
    case(world, &["--library", "made", "import", "out"], "made")
}

fn clone() -> Case {
    case(songs(), &["clone", "local", "made", "--keep-copies"], "made")
}

fn migrate() -> Case {
    case(songs(), &["migrate", "--from", "local", "--to", "./made", "--keep-copies"], "made")
}

fn sync() -> Case {
    let world = songs();
    world.run(&["init", "made", "--keep-copies"]).ok();
    case(world, &["sync", "local", "./made"], "made")
}

fn get() -> Case {
    let world = songs();
    let ids = world.ids();
    case(world, &["get", &ids[0], "got.wav"], "")
}

fn relocate() -> Case {
    let world = songs();
    fs::rename(world.path("music"), world.path("moved")).unwrap();
    case(world, &["relocate", "music", "moved"], "")
}

fn gc() -> Case {
    case(songs(), &["gc", "--yes"], "")
}

fn repair() -> Case {
    let world = songs();
    fs::remove_dir_all(world.path("data/songrec/library/index")).unwrap();
    case(world, &["verify", "--repair"], "")
}

#[test]
fn a_command_that_was_killed_can_be_run_again() {
    let seed = std::env::var("SONGREC_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut rng = StdRng::seed_from_u64(seed.unwrap_or(1));
    let cases: [fn() -> Case; 14] = [
        init,
        scan,
        rm,
        rm_of_titles_and_audio,
        edit,
        restore,
        export,
        import,
        clone,
        migrate,
        sync,
        get,
        relocate,
        repair,
    ];
    for make in cases.into_iter().chain([gc as fn() -> Case]) {
        let whole = make();
        let begun = Instant::now();
        let arguments: Vec<&str> = whole.arguments.iter().map(String::as_str).collect();
        whole.world.run(&arguments).ok();
        let takes = begun.elapsed();
        let again = whole.world.run(&arguments);
        assert!(is_fine(again.code), "done twice: {arguments:?}: {again:?}");
        for moment in 0..MOMENTS {
            let share = (f64::from(moment) + rng.random_range(0.0..1.0)) / f64::from(MOMENTS);
            killed_at(make(), takes.mul_f64(share));
        }
    }
}

// Where all was done, nothing may be found that is left to do.
const fn is_fine(code: i32) -> bool {
    matches!(code, 0 | 1)
}

fn killed_at(case: Case, moment: Duration) {
    let Case { world, arguments, library } = case;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = world.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(moment);
    let _ = child.kill();
    child.wait().unwrap();

    let again = world.run(&arguments);
    let of = match library {
        "" => vec!["verify", "--read-data"],
        named => vec!["--library", named, "verify", "--read-data"],
    };
    let verified = world.run(&of);

    assert!(is_fine(again.code), "{arguments:?}, killed after {moment:?}: {again:?}");
    assert_eq!(verified.code, 0, "{arguments:?}, killed after {moment:?}: {verified:?}");
}

#[test]
fn rm_says_what_is_forgotten_already_and_forgets_the_rest() {
    let world = songs();
    let (ids, names) = (world.ids(), named(&world));
    world.run(&["rm", &ids[0]]).ok();

    let again = world.run(&["rm", &ids[0], &ids[1]]).ok();
    let nothing = world.run(&["rm", &names[0], &ids[1][..8]]).ok();
    let typo = world.run(&["rm", "nosuchsong", &ids[2]]);

    assert!(again.stderr.contains(&format!("`{}` is forgotten already", ids[0])), "{again:?}");
    assert_eq!(again.stdout, format!("{}\n", ids[1]));
    assert!(nothing.stderr.contains("nothing is left to forget"), "{nothing:?}");
    assert_eq!(typo.code, 4, "{typo:?}");
    assert_eq!(world.ids(), ids[2..], "a name that means nothing stops it before anything is done");
}

#[test]
fn a_clone_goes_on_in_what_an_early_end_left_and_where_one_was_removed() {
    let world = songs();
    fs::create_dir_all(world.path("early/tmp")).unwrap();
    fs::write(world.path("early/songrec.lock"), "").unwrap();
    fs::create_dir_all(world.path("full")).unwrap();
    fs::write(world.path("full/notes.txt"), "mine").unwrap();

    world.run(&["clone", "local", "early"]).ok();
    world.run(&["clone", "local", "copy"]).ok();
    fs::remove_dir_all(world.path("copy")).unwrap();
    world.run(&["clone", "local", "copy"]).ok();
    let full = world.run(&["clone", "local", "full"]);

    for copy in ["early", "copy"] {
        assert_eq!(world.run(&["--library", copy, "ls", "--count"]).ok().stdout, "3\n");
    }
    assert_eq!(full.code, 10, "{full:?}");
}

#[test]
fn a_migration_into_a_folder_that_is_not_there_can_be_planned() {
    let world = songs();

    let plan = world.json(&["migrate", "--from", "local", "--to", "./new", "--dry-run"]);

    assert_eq!((&plan["songs"], &plan["already"]), (&3.into(), &0.into()), "{plan}");
    assert!(!world.path("new").exists());
    assert!(!world.path("state/songrec/sync").exists(), "a plan remembers nothing");
    world.run(&["migrate", "--from", "local", "--to", "./new"]).ok();
}
