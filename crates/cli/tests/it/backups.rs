//! `backup` and `restore`.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    remote::Database,
    shapes::Shapes,
    syncing::with_cloud,
    world::{Run, World, tone},
};

// Three songs, of which one is edited and one deleted, and a playlist.
fn filled() -> World {
    let world = World::with(&["kick", "snare", "pad"]);
    let ids = world.ids();
    world.run(&["edit", &ids[0], "--set", "title=Mine"]).ok();
    world.run(&["playlist", "new", "Evening", &ids[0], &ids[1]]).ok();
    world.run(&["rm", &ids[2]]).ok();
    world
}

fn damage(world: &World, name: &str, to: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(world.path(name)).unwrap();
    change(&mut bytes);
    fs::write(world.path(to), bytes).unwrap();
}

#[test]
fn a_library_goes_into_a_file_and_out_of_it() {
    let world = filled();

    let made = world.run(&["backup", "a b.songrec"]).ok();
    let again = world.run(&["backup", "a b.songrec"]);
    let looked = world.run(&["restore", "--dry-run", "a b.songrec"]).ok();
    let restored = world.run(&["--library", "new", "restore", "a b.songrec"]).ok();
    let twice = world.run(&["--library", "new", "restore", "a b.songrec"]).ok();

    assert!(made.stderr.contains("2 songs, 1 deleted song, 6 vectors"), "{made:?}");
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("is there already"), "{again:?}");
    world.run(&["backup", "--force", "a b.songrec"]).ok();
    assert!(looked.stdout.contains("whole: 2 songs"), "{looked:?}");
    assert!(restored.stdout.contains("2 added"), "{restored:?}");
    assert!(restored.stderr.contains("made a library"), "{restored:?}");
    assert!(twice.stdout.contains("2 there already"), "{twice:?}");
    world.run(&["check", "local", "./new", "--read-data"]).ok();
    let trash = world.run(&["--library", "new", "trash", "list"]).ok();
    assert_eq!(trash.stdout.lines().count(), 1, "{trash:?}");
    world.run(&["--library", "new", "verify", "--read-data"]).ok();
    let playlist = world.json(&["--library", "new", "playlist", "show", "evening"]);
    assert_eq!(playlist["entries"].as_array().unwrap().len(), 2, "{playlist}");
}

#[test]
fn what_is_restored_from_the_trash_of_a_restored_library_is_whole() {
    let (world, _cloud) = with_cloud(&["kick", "snare", "pad"]);
    let gone = world.ids()[2].clone();
    let part = format!("{gone}@0:00-0:00.2");
    world.run(&["patterns", "add", &part, "--type", "hit"]).ok();
    world.run(&["rm", &gone]).ok();
    let cloud = ["--storage-backend", "astra"];

    world.run(&["backup", "disk.songrec"]).ok();
    world.run(&[&cloud[..], &["restore", "disk.songrec"]].concat()).ok();
    world.run(&[&cloud[..], &["backup", "cloud.songrec"]].concat()).ok();
    world.run(&["--library", "new", "restore", "cloud.songrec"]).ok();

    for library in [["--library", "new"], cloud] {
        let run = |arguments: &[&str]| world.run(&[&library[..], arguments].concat());
        let trash = run(&["trash", "list", "--json"]).ok();
        assert!(trash.stdout.contains(&gone), "{trash:?}");
        run(&["trash", "restore", &gone]).ok();
        let song: Value =
            serde_json::from_str(&run(&["show", &gone, "--json"]).ok().stdout).unwrap();
        assert_eq!(song["embeddings"].as_object().map(|all| all.len()), Some(2), "{song}");
        let similar = run(&["similar", &gone, "-k", "2"]).ok();
        assert_eq!(similar.stdout.lines().count(), 3, "{similar:?}");
        assert!(run(&["patterns", "ls", &gone]).ok().stdout.contains("hit"));
        run(&["verify"]).ok();
    }
    world.run(&["trash", "restore", &gone]).ok();
    world.run(&["check", "local", "./new", "--read-data"]).ok();
}

#[test]
fn others_open_it_and_find_files_with_their_hashes() {
    let world = filled();
    world.run(&["backup", "b.songrec"]).ok();
    let zstd = Command::new("zstd").arg("--version").output();
    if zstd.is_err() {
        return;
    }

    let list = world.path("list");
    let script = format!(
        "cd '{}' && zstd -qdc ../b.songrec | tar -xf - && for f in */*; do \
         h=$(sha256sum < \"$f\" | cut -c1-64); case \"$f\" in *-$h.*) echo ok;; *) echo \"$f\";; esac; done",
        list.display()
    );
    fs::create_dir(&list).unwrap();
    let run = Run::of(Command::new("sh").args(["-c", &script]).output().unwrap()).ok();

    assert!(run.stdout.lines().count() > 4, "{run:?}");
    assert!(run.stdout.lines().all(|line| line == "ok"), "{run:?}");
}

#[test]
fn it_goes_from_one_to_the_other_through_a_pipe() {
    let world = filled();
    let mut writing = world.command(&["backup", "-"]);
    let mut writing = writing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reading = world.command(&["--library", "piped", "restore", "-"]);

    let read = reading.stdin(writing.stdout.take().unwrap()).output().unwrap();

    let written = Run::of(writing.wait_with_output().unwrap()).ok();
    assert!(written.stderr.contains("to stdout"), "{written:?}");
    Run::of(read).ok();
    world.run(&["check", "local", "./piped"]).ok();
}

#[test]
fn audio_comes_along_where_it_is_asked_for_and_kept() {
    let world = filled();

    let with = world.json(&["backup", "--audio", "with.songrec"]);
    fs::remove_dir_all(world.path("music")).unwrap();
    let new = world.json(&["--library", "new", "restore", "with.songrec"]);
    world.run(&["--library", "keeps-none", "init"]).ok();
    let none = world.json(&["--library", "keeps-none", "restore", "with.songrec"]);
    let without = world.run(&["backup", "--audio", "without.songrec"]);

    assert_eq!((&with["audio"], &with["without_audio"]), (&2.into(), &0.into()), "{with}");
    assert_eq!(new["restored"]["audio_left_out"], 0, "{new}");
    assert_eq!(none["restored"]["audio_left_out"], 2, "{none}");
    assert_eq!(without.code, 3, "{without:?}");
    let id = world.ids().remove(0);
    world.run(&["--library", "new", "get", &id, "got.wav"]).ok();
    assert!(fs::metadata(world.path("got.wav")).unwrap().len() > 1000);
    world.run(&["--library", "new", "verify", "--read-data"]).ok();
    world.run(&["check", "local", "./keeps-none"]).ok();
}

#[test]
fn a_cloud_comes_back_in_another_cloud_and_on_a_disk() {
    let (world, cloud) = with_cloud(&["kick", "snare"]);
    world.run(&["migrate", "local", "astra"]).ok();
    let astra = ["--storage-backend", "astra"];
    let run = |arguments: &[&str]| world.run(&[&astra[..], arguments].concat());

    run(&["backup", "--audio", "cloud.songrec"]).ok();
    world.run(&["--library", "disk", "restore", "cloud.songrec"]).ok();
    world.run(&["check", "astra", "./disk", "--read-data"]).ok();
    let same = run(&["restore", "cloud.songrec"]).ok();
    drop(cloud);
    let other = Database::start();
    other.serve(&world, &world.path("other-bucket"));
    run(&["init-astra"]).ok();
    let restored = run(&["restore", "cloud.songrec"]).ok();
    let machines = run(&["machines", "list"]);

    assert!(same.stdout.contains("2 there already"), "{same:?}");
    assert!(restored.stdout.contains("2 added"), "{restored:?}");
    world.run(&["check", "astra", "./disk", "--read-data"]).ok();
    // Nobody waits for a machine that only restored.
    assert_eq!((machines.code, machines.stdout.as_str()), (1, ""), "{machines:?}");
}

#[test]
fn what_is_not_whole_is_said_and_not_restored() {
    let world = filled();
    world.run(&["backup", "b.songrec"]).ok();
    let length = fs::metadata(world.path("b.songrec")).unwrap().len() as usize;
    damage(&world, "b.songrec", "cut.songrec", |bytes| bytes.truncate(length - 200));
    damage(&world, "b.songrec", "flipped.songrec", |bytes| bytes[length / 2] ^= 1);

    for name in ["cut.songrec", "flipped.songrec"] {
        let dry = world.run(&["restore", "--dry-run", name]);
        let refused = world.run(&["--library", "new", "restore", name]);
        let there = world.path("new").exists();
        let going = world.run(&[
            "--library",
            name.split('.').next().unwrap(),
            "restore",
            name,
            "--keep-going",
        ]);

        assert_eq!(
            (dry.code, refused.code, going.code),
            (7, 7, 3),
            "{dry:?} {refused:?} {going:?}"
        );
        assert!(dry.stdout.contains("NOT whole"), "{dry:?}");
        assert!(refused.stderr.contains("--keep-going"), "{refused:?}");
        assert!(!there, "nothing is made");
    }
}

/// What both print, held against their schemas.
pub(crate) fn shapes(shapes: &Shapes) {
    let world = filled();
    let run = |arguments: &[&str]| -> Vec<Value> { shapes.run(&world, arguments) };
    run(&["backup", "--audio", "b.songrec"]);
    run(&["backup", "b.songrec"]);
    run(&["restore", "--dry-run", "b.songrec"]);
    run(&["restore", "b.songrec", "--library", "new"]);
    fs::write(world.path("no.songrec"), "no backup").unwrap();
    run(&["restore", "no.songrec"]);
    let bytes = fs::read(world.path("b.songrec")).unwrap();
    // The manifest is the first frame; without it the others are whole.
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let frames: Vec<usize> =
        (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == magic).collect();
    fs::write(world.path("headless.songrec"), &bytes[frames[1]..]).unwrap();
    run(&["restore", "--dry-run", "headless.songrec"]);
    damage(&world, "b.songrec", "flipped.songrec", |bytes| {
        for frame in &frames {
            bytes[frame + 30] ^= 0x55;
        }
    });
    run(&["restore", "--dry-run", "flipped.songrec"]);
    // What a frame begins with is damaged, so nobody can say which piece it is.
    damage(&world, "b.songrec", "nameless.songrec", |bytes| bytes[frames[1]] ^= 0x55);
    run(&["restore", "--dry-run", "nameless.songrec"]);
    // A vector that cannot be read is left out, and said.
    let embeddings = world.path("data/songrec/library/embeddings/dsp45@1");
    for shard in fs::read_dir(embeddings).unwrap().flatten() {
        for file in fs::read_dir(shard.path()).into_iter().flatten().flatten() {
            fs::write(file.path(), "damaged").unwrap();
        }
    }
    fs::write(world.path("music/one.wav"), tone(330.0, 0.5)).unwrap();
    run(&["backup", "--force", "b.songrec"]);
}

#[cfg(unix)]
#[test]
fn a_backup_that_is_interrupted_leaves_nothing_under_its_name() {
    let world = World::with(&["kick"]);
    // Audio that takes a while to copy: a chunk of zeros that no decoder looks at, which
    // takes no room on most disks.
    let mut long = tone(440.0, 0.5);
    let hole: u32 = 256 << 20;
    long.extend(b"junk");
    long.extend(hole.to_le_bytes());
    let riff = u32::try_from(long.len()).unwrap() - 8 + hole;
    long[4..8].copy_from_slice(&riff.to_le_bytes());
    let path = world.path("music/long.wav");
    fs::write(&path, &long).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(u64::from(riff) + 8).unwrap();
    world.run(&["scan", "music"]).ok();
    fs::create_dir(world.path("backups")).unwrap();
    fs::write(world.path("backups/old.songrec"), "of yesterday").unwrap();
    let there = || {
        let names = fs::read_dir(world.path("backups")).unwrap();
        let mut names: Vec<String> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };

    for (arguments, signal) in [
        (vec!["backup", "--audio", "backups/new.songrec"], "-INT"),
        (vec!["backup", "--audio", "--force", "backups/old.songrec"], "-INT"),
        (vec!["backup", "--audio", "backups/new.songrec"], "-TERM"),
    ] {
        let child = world.begin(&arguments);
        while there().len() < 2 {
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let ended = Run::of(child.wait_with_output().unwrap());

        assert_eq!(ended.code, 130, "{ended:?}");
        assert!(ended.stderr.contains("interrupted"), "{ended:?}");
        assert!(ended.stderr.contains("was not written"), "{ended:?}");
        assert_eq!(there(), ["old.songrec"], "{arguments:?}");
    }
    let old = fs::read_to_string(world.path("backups/old.songrec")).unwrap();
    assert_eq!(old, "of yesterday");
    // And the same command again makes it.
    world.run(&["backup", "backups/new.songrec"]).ok();
    world.run(&["restore", "--dry-run", "backups/new.songrec"]).ok();
}
