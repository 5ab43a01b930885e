//! Files that an installed ffmpeg reads, where the settings say so. The program is a
//! script, so that these tests need none.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::world::{Run, World};

/// A machine with an ffmpeg that reads a file of two seconds.
fn world() -> World {
    let world = World::new();
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    let mut samples = b".snd".to_vec();
    for word in [24, u32::MAX, 6, 8_000, 1] {
        samples.extend(u32::to_be_bytes(word));
    }
    for at in 0..16_000_u16 {
        let sample = f32::sin(f32::from(at) * 0.3) * 0.5;
        samples.extend(sample.to_be_bytes());
    }
    fs::write(bin.join("samples"), samples).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n\
         *-version*) echo 'ffmpeg version 9.9-test of a test';;\n\
         *framehash*) printf \"Input #0, asf, from 'x':\\n\" >&2; echo '#codec_id 0: wmav2';;\n\
         *ffmetadata*) printf ';FFMETADATA1\\ntitle=A Tone\\n';;\n\
         *'-f data'*) echo packets;;\n\
         *'-f au'*) /bin/cat '{}';;\nesac\n",
        bin.join("samples").display()
    );
    fs::write(bin.join("ffmpeg"), script).unwrap();
    fs::set_permissions(bin.join("ffmpeg"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(world.path("music/song.wma"), b"nothing that songrec reads").unwrap();
    world
}

fn run(mut command: Command) -> Run {
    Run::of(command.output().unwrap())
}

// With the program in the path, and asked for.
fn with_ffmpeg(world: &World, arguments: &[&str]) -> Run {
    let mut command = world.command(arguments);
    command.env("PATH", world.path("bin")).env("SONGREC_DECODE_FFMPEG", "true");
    run(command)
}

#[test]
fn a_format_that_songrec_does_not_read_is_scanned_where_a_setting_says_so() {
    let world = world();

    let without = world.run(&["scan", "music"]);
    let named = world.run(&["scan", "music/song.wma"]);
    let with = with_ffmpeg(&world, &["scan", "music"]);

    assert!(without.stderr.contains("1 file not read: 1 wma"), "{without:?}");
    assert!(without.stderr.contains("`[decode] ffmpeg = true`"), "{without:?}");
    assert_eq!(named.code, 3, "{named:?}");
    assert!(named.stderr.contains("`[decode] ffmpeg = true` lets an installed"), "{named:?}");
    // What failed without it is known and unchanged: it is tried when asked for.
    assert_eq!(with.code, 0, "{with:?}");
    let again = with_ffmpeg(&world, &["scan", "--failed"]);
    assert_eq!(again.code, 0, "{again:?}");
    let song = world.json(&["show", "A Tone"]);
    assert_eq!(song["audio"]["codec"], "wmav2");
    assert_eq!(song["audio"]["container"], "asf");
    assert!((song["audio"]["duration"].as_f64().unwrap() - 2.0).abs() < 1e-6);
    // It compares like any other, also by name on a machine where the setting is on.
    let similar = with_ffmpeg(&world, &["similar", "music/song.wma", "--include-self"]);
    assert_eq!(similar.code, 0, "{similar:?}");
    assert!(similar.stdout.contains("A Tone"), "{similar:?}");
}

#[test]
fn an_ffmpeg_that_is_asked_for_and_not_there_is_told_once() {
    let world = world();
    fs::write(world.path("music/other.wma"), b"nothing either").unwrap();
    let mut command = world.command(&["scan", "music"]);
    // Without a path, systems look where this machine may have one.
    command.env("SONGREC_DECODE_FFMPEG", "true").env("PATH", world.path("nothing"));

    let scanned = run(command);

    assert_eq!(scanned.code, 2, "{scanned:?}");
    assert_eq!(scanned.stderr.matches("there is no `ffmpeg` on this machine").count(), 1);
    assert!(scanned.stderr.contains("hint: install it"), "{scanned:?}");
}

#[test]
fn a_projects_file_does_not_have_a_program_run() {
    let world = world();
    fs::write(world.path(".songrec.toml"), "[decode]\nffmpeg = true\n").unwrap();
    let mut command = world.command(&["scan", "music"]);
    command.env("PATH", world.path("bin"));

    let scanned = run(command);

    assert_eq!(scanned.code, 2, "{scanned:?}");
    assert!(scanned.stderr.contains("may not come from the working folder"), "{scanned:?}");
}

#[test]
fn the_doctor_says_whether_there_is_one() {
    let world = world();
    let check = |asked: bool, there: bool| {
        let mut command = world.command(&["doctor", "--json"]);
        command.env("PATH", world.path(if there { "bin" } else { "nothing" }));
        if asked {
            command.env("SONGREC_DECODE_FFMPEG", "true");
        }
        let run = run(command);
        let checks: Vec<serde_json::Value> = run
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|check: &serde_json::Value| check["name"] == "ffmpeg")
            .collect();
        let [check] = checks.as_slice() else { panic!("{run:?}") };
        (check["state"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned())
    };

    assert_eq!(check(true, true), ("good".into(), "9.9-test reads what songrec does not".into()));
    assert_eq!(check(false, false), ("good".into(), "not there, and not asked for".into()));
    let (state, detail) = check(false, true);
    assert!(state == "good" && detail.contains("9.9-test is there and not used"), "{detail}");
    let (state, detail) = check(true, false);
    assert!(state == "broken" && detail.contains("there is no `ffmpeg`"), "{detail}");
}
