//! Every command that writes can be killed at any moment, and run again.

use std::{
    any::Any,
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::world::{World, examples, tone};

/// How often each command is killed, spread over its time.
const MOMENTS: u32 = 5;

/// A command, and the machine that it is run on.
struct Case {
    world: World,
    arguments: Vec<String>,
    /// What finds in the end that all is well.
    check: Vec<&'static str>,
    /// What has to live as long, such as a database.
    beside: Option<Box<dyn Any>>,
}

fn checked_by(world: World, arguments: &[&str], check: &[&'static str]) -> Case {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Case { world, arguments, check: check.to_vec(), beside: None }
}

// One that writes to a library, or to the usual one if that has no name.
fn case(world: World, arguments: &[&str], library: &'static str) -> Case {
    match library {
        "" => checked_by(world, arguments, &["verify", "--read-data"]),
        named => checked_by(world, arguments, &["--library", named, "verify", "--read-data"]),
    }
}

// With three songs, by the names of their files.
fn songs() -> World {
    World::with(&["kick", "snare", "pad"])
}

fn named(world: &World) -> Vec<String> {
    let summaries = world.json_lines(&["ls", "--sort", "id"]);
    summaries.iter().map(|summary| summary["title"].as_str().unwrap().to_owned()).collect()
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

#[cfg(feature = "rten")]
fn model_add() -> Case {
    let folder =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/fixtures/models/clap-tiny@1");
    let check = ["model", "verify", "clap-tiny"];
    checked_by(World::bare(), &["model", "add", "clap-tiny", folder], &check)
}

#[cfg(all(feature = "bridge", feature = "rten"))]
fn model_download() -> Case {
    let site = crate::downloading::Site::start();
    let arguments = ["model", "add", "clap-tiny", &site.url("/clap")];
    let made = checked_by(World::bare(), &arguments, &["model", "verify", "clap-tiny"]);
    Case { beside: Some(Box::new(site)), ..made }
}

#[test]
fn a_command_that_was_killed_can_be_run_again() {
    let cases: &[fn() -> Case] = &[
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
        gc,
        #[cfg(feature = "rten")]
        model_add,
        #[cfg(all(feature = "bridge", feature = "rten"))]
        model_download,
    ];
    kill_and_run_again(cases);
}

#[cfg(all(feature = "astra", feature = "emulator"))]
mod cloud {
    use songrec_emulator::{Fault, Rule};

    use super::*;
    use crate::remote::{Database, with_astra};

    const VERIFY: &[&str] = &["--storage-backend", "astra", "verify", "--read-data"];

    fn case(world: World, database: Database, arguments: &[&str], check: &[&'static str]) -> Case {
        let made = checked_by(world, arguments, check);
        Case { beside: Some(Box::new(database)), ..made }
    }

    fn database(world: &World) -> Database {
        let database = Database::start();
        database.serve(world, &world.path("bucket"));
        database
    }

    // With three songs on this machine, and a library in the cloud.
    fn both() -> (World, Database) {
        let world = songs();
        let database = database(&world);
        world.run(&with_astra(&["init-astra"])).ok();
        (world, database)
    }

    // With three songs in the cloud.
    fn there() -> (World, Database, Vec<String>) {
        let (world, database) = both();
        world.run(&with_astra(&["scan", "music"])).ok();
        let ids = world.ids();
        (world, database, ids)
    }

    fn in_the_cloud(arguments: impl FnOnce(&[String]) -> Vec<String>) -> Case {
        let (world, database, ids) = there();
        let arguments = arguments(&ids);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        case(world, database, &with_astra(&arguments), VERIFY)
    }

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(|word| (*word).to_owned()).collect()
    }

    fn init_astra() -> Case {
        let world = World::bare();
        let database = database(&world);
        let check = ["--storage-backend", "astra", "init-astra", "--check"];
        case(world, database, &with_astra(&["init-astra"]), &check)
    }

    fn scan() -> Case {
        let (world, database) = both();
        case(world, database, &with_astra(&["scan", "music"]), VERIFY)
    }

    // Songs that are there, and change.
    fn rescan() -> Case {
        rescan_of("music")
    }

    // One that changes, and no others beside it whose end may come first.
    fn rescan_of_one() -> Case {
        rescan_of("music/bare.wav")
    }

    fn rescan_of(files: &str) -> Case {
        let (world, database) = both();
        fs::write(world.path("music/bare.wav"), tone(220.0, 0.5)).unwrap();
        world.run(&with_astra(&["scan", "music"])).ok();
        case(world, database, &with_astra(&["scan", files, "--genre-from-folder"]), VERIFY)
    }

    fn relocate() -> Case {
        let (world, database, _) = there();
        fs::rename(world.path("music"), world.path("moved")).unwrap();
        case(world, database, &with_astra(&["relocate", "music", "moved"]), VERIFY)
    }

    fn edit() -> Case {
        in_the_cloud(|ids| words(&["edit", &ids[0], &ids[1], "--set", "mood=calm"]))
    }

    fn rm() -> Case {
        in_the_cloud(|ids| words(&["rm", &ids[0], &ids[1], &ids[2]]))
    }

    fn restore() -> Case {
        let (world, database, ids) = there();
        world.run(&with_astra(&["rm", &ids[0], &ids[1]])).ok();
        let arguments = ["trash", "restore", &ids[0], &ids[1]];
        case(world, database, &with_astra(&arguments), VERIFY)
    }

    fn import() -> Case {
        let (world, database) = both();
        world.run(&["export", "out"]).ok();
        case(world, database, &with_astra(&["import", "out"]), VERIFY)
    }

    fn get() -> Case {
        in_the_cloud(|ids| words(&["get", &ids[0], "got.wav"]))
    }

    fn gc() -> Case {
        in_the_cloud(|_| words(&["gc", "--yes"]))
    }

    fn repair() -> Case {
        let (world, database, ids) = there();
        let lost = serde_json::json!({"deleteMany": {"filter": {"song": ids[0]}}});
        database.command("embeddings_dsp45_1", &lost);
        case(world, database, &with_astra(&["verify", "--repair"]), VERIFY)
    }

    fn missing() -> Case {
        let (world, database, ids) = there();
        let lost = serde_json::json!({"deleteMany": {"filter": {"song": ids[0]}}});
        database.command("embeddings_dsp45_1", &lost);
        case(world, database, &with_astra(&["scan", "--missing"]), VERIFY)
    }

    fn migrate() -> Case {
        let (world, database) = both();
        case(world, database, &["migrate", "--from", "local", "--to", "astra"], VERIFY)
    }

    fn sync() -> Case {
        let (world, database) = both();
        case(world, database, &["sync", "local", "astra"], VERIFY)
    }

    fn clone() -> Case {
        let (world, database, _) = there();
        let check = ["--library", "made", "verify", "--read-data"];
        case(world, database, &["clone", "astra", "made", "--keep-copies"], &check)
    }

    fn retire() -> Case {
        let (world, database) = both();
        world.run(&["sync", "local", "astra"]).ok();
        let machines = world.json_lines(&with_astra(&["machines"]));
        let id = machines[0]["id"].as_str().unwrap().to_owned();
        case(world, database, &with_astra(&["machines", "retire", &id]), VERIFY)
    }

    // As when a process ends between the song and what searches see of it.
    #[test]
    fn what_searches_were_not_told_of_is_told_by_the_same_command() {
        for (made, shown) in
            [(edit(), "mood:calm"), (rescan_of_one(), "genre:music"), (restore(), "duration:0..")]
        {
            let Case { world, arguments, check, beside } = made;
            let database = beside.unwrap().downcast::<Database>().unwrap();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let refusal = Rule::fault(Fault::status(403)).on("updateOne");
            database.faults().add(refusal.in_collection("embeddings_dsp45_1"));
            let cut_off = world.run(&arguments);
            assert_eq!(cut_off.code, 6, "{arguments:?}: {cut_off:?}");
            database.faults().clear();
            let found = world.run(check.as_slice());
            assert_eq!(found.code, 7, "{arguments:?}: {cut_off:?} {found:?}");

            let again = world.run(&arguments);

            assert!(is_fine(again.code), "{arguments:?}: {again:?}");
            world.run(check.as_slice()).ok();
            let ids = world.json_lines(&with_astra(&["ls", "-f", shown]));
            assert!(!ids.is_empty(), "{arguments:?}");
        }
    }

    // As when a process ends between an embedding and the song that names it.
    #[test]
    fn what_is_missing_is_heard_again_until_its_song_names_it() {
        let Case { world, arguments, check, beside } = missing();
        let database = beside.unwrap().downcast::<Database>().unwrap();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let refusal = Rule::fault(Fault::status(403)).on("findOneAndUpdate");
        database.faults().add(refusal.in_collection("songs"));
        let cut_off = world.run(&arguments);
        assert_eq!(cut_off.code, 6, "{cut_off:?}");
        let stored = serde_json::json!({"countDocuments": {}});
        let stored = database.command("embeddings_dsp45_1", &stored);
        assert_eq!(stored["status"]["count"], 3, "one of them is named by no song");
        database.faults().clear();

        let again = world.json_lines(&arguments).pop().unwrap();

        assert_eq!(again["updated"], 1, "{again}");
        world.run(check.as_slice()).ok();
    }

    // Who finds nothing to change tells of the song once more; if that was deleted
    // meanwhile, this does not bring it back.
    #[test]
    fn what_is_told_again_stays_deleted() {
        let (world, database, ids) = there();
        let edit = with_astra(&["edit", &ids[0], "--set", "mood=calm"]);
        world.run(&edit).ok();
        let of_songs = || {
            let asked = database.requests().list();
            asked.iter().filter(|asked| asked.collection.as_deref() == Some("songs")).count()
        };
        database.requests().reset();
        world.run(&edit).ok();
        let before_the_last = of_songs() as u64 - 1;
        database.requests().reset();
        let slow = Rule::delay(Duration::from_secs(2)).in_collection("songs");
        let slow = database.faults().add(slow.after(before_the_last));
        let mut editing = world.command(&edit);
        let mut editing = editing.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while database.faults().fired(slow) == 0 {
            assert!(editing.try_wait().unwrap().is_none(), "nothing was told");
            std::thread::sleep(Duration::from_millis(5));
        }

        world.run(&with_astra(&["rm", &ids[0]])).ok();
        assert!(editing.try_wait().unwrap().is_none(), "it was too late");
        assert!(is_fine(editing.wait().unwrap().code().unwrap()));

        assert_eq!(world.run(&with_astra(&["ls", "--count"])).ok().stdout, "2\n");
    }

    #[test]
    fn a_command_over_astra_that_was_killed_can_be_run_again() {
        kill_and_run_again(&[
            init_astra, scan, rescan, relocate, edit, rm, restore, import, get, gc, repair,
            missing, migrate, sync, clone, retire,
        ]);
    }
}

fn kill_and_run_again(cases: &[fn() -> Case]) {
    let seed = std::env::var("SONGREC_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut rng = StdRng::seed_from_u64(seed.unwrap_or(1));
    for make in cases {
        let whole = make();
        let begun = Instant::now();
        let arguments: Vec<&str> = whole.arguments.iter().map(String::as_str).collect();
        whole.world.run(&arguments).ok();
        let takes = begun.elapsed();
        let again = whole.world.run(&arguments);
        assert!(is_fine(again.code), "done twice: {arguments:?}: {again:?}");
        for moment in 0..MOMENTS {
            let share = (f64::from(moment) + rng.random_range(0.0..1.0)) / f64::from(MOMENTS);
            killed_at(&make(), takes.mul_f64(share));
        }
    }
}

// Where all was done, nothing may be found that is left to do.
const fn is_fine(code: i32) -> bool {
    matches!(code, 0 | 1)
}

fn killed_at(case: &Case, moment: Duration) {
    let Case { world, arguments, check, .. } = case;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = world.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(moment);
    let _ = child.kill();
    child.wait().unwrap();

    let again = world.run(&arguments);
    let checked = world.run(check);

    assert!(is_fine(again.code), "{arguments:?}, killed after {moment:?}: {again:?}");
    assert_eq!(checked.code, 0, "{arguments:?}, killed after {moment:?}: {checked:?}");
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
