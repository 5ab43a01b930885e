//! What nobody but songrec may tell the terminal, however it is called and
//! whoever says it.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::TcpListener,
};

use crate::world::{Run, World, tone};

/// Clears the screen, sets the title, turns text around, starts a line anew.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}b\rc\u{2028}d";
const SHOWN: &str = "a\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31m\\u{202e}b\\rc\\u{2028}d";

// The styles of songrec itself, in which nothing else is wrapped.
const STYLES: [&str; 6] =
    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[33m", "\u{1b}[1;31m", "\u{1b}[1;36m"];

/// Runs songrec in colour, and wants nothing in its answer that a terminal
/// would obey.
#[track_caller]
fn run(world: &World, arguments: &[&str]) -> Run {
    let run = world.run(&[&["--color", "always"], arguments].concat());
    for text in [&run.stdout, &run.stderr] {
        let text = STYLES.iter().fold(text.clone(), |text, style| text.replace(style, ""));
        let obeyed = |c: char| {
            (c.is_control() && c != '\n' && c != '\t')
                || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.contains(obeyed), "{arguments:?}: {run:?}");
    }
    run
}

#[cfg(unix)]
#[test]
fn a_hostile_file_name_is_shown_and_not_obeyed() {
    let world = World::new();
    let music = world.path("music");
    std::fs::write(music.join(format!("{HOSTILE}.wav")), tone(440.0, 0.5)).unwrap();
    std::fs::write(music.join(format!("{HOSTILE} broken.wav")), "no audio").unwrap();

    let scan = run(&world, &["scan", "music"]);
    assert!(scan.stdout.contains(SHOWN) || scan.stderr.contains(SHOWN), "{scan:?}");
    assert!(scan.stderr.contains(&format!("{SHOWN} broken.wav")), "{scan:?}");
    let id = &world.ids()[0];
    for arguments in [
        &["scan", "music", "--again"][..],
        &["scan", "music", "-vv", "--failed"],
        &["ls"],
        &["show", id],
        &["similar", id, "--include-self"],
        &["explain", id, id],
        &["search", "owned"],
        &["stats"],
        &["dup"],
        &["verify", "--read-data"],
        &["get", id, "copy.wav"],
        &["get", id, "copy.wav"],
        &["embed", &format!("music/{HOSTILE}.wav")],
        &["embed", &format!("music/{HOSTILE} broken.wav")],
        &["similar", &format!("music/{HOSTILE} gone.wav")],
        &["scan", &format!("music/{HOSTILE} gone")],
    ] {
        run(&world, arguments);
        run(&world, &[arguments, &["--json"]].concat());
    }
    std::fs::remove_file(music.join(format!("{HOSTILE}.wav"))).unwrap();
    let gone = run(&world, &["get", id, "other.wav"]);
    assert!(gone.code != 0 && gone.stderr.contains(SHOWN), "{gone:?}");
    run(&world, &["verify", "--read-data"]);

    let path = world.json_lines(&["ls"])[0]["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with(&format!("{HOSTILE}.wav")), "programs get the name as it is: {path}");
}

#[test]
fn a_hostile_tag_is_shown_and_not_obeyed() {
    let world = World::with(&["kick"]);
    let id = &world.ids()[0];
    // As another program might store it, or another machine send it.
    let path = world.path("data/songrec").to_path_buf();
    let songs = walk(&path).into_iter().filter(|path| path.extension() == Some(OsStr::new("json")));
    for file in songs.filter(|path| path.to_string_lossy().contains(id.as_str())) {
        let mut song: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        song["tags"]["title"] = HOSTILE.into();
        song["tags"]["comment"] = HOSTILE.into();
        song["tags"]["genres"] = serde_json::json!([HOSTILE]);
        if let Some(song) = song.as_object_mut() {
            song.remove("checksum");
        }
        std::fs::write(&file, song.to_string()).unwrap();
    }
    run(&world, &["verify", "--repair"]);

    for arguments in [
        &["ls"][..],
        &["show", id],
        &["stats"],
        &["explain", id, id],
        &["search", "owned"],
        &["export"],
    ] {
        run(&world, arguments);
        run(&world, &[arguments, &["--json"]].concat());
    }
    for edit in ["title=", "artist=", "genre=", "nonsense="] {
        run(&world, &["edit", id, "--set", &format!("{edit}{HOSTILE}")]);
        run(&world, &["show", id]);
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(walk(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn hostile_arguments_and_settings_are_shown_and_not_obeyed() {
    let world = World::with(&["kick"]);
    for arguments in [
        &["ls", "--storage-backend", HOSTILE][..],
        &["ls", "--library", HOSTILE],
        &["ls", "--filter", HOSTILE],
        &["ls", "--sort", HOSTILE],
        &["similar", HOSTILE],
        &["similar", "kick", "--model", HOSTILE],
        &["scan", "music", "--model", HOSTILE],
        &["model", "add", HOSTILE, "music"],
        &["import", HOSTILE],
        &["config", "set", HOSTILE, HOSTILE],
        &["sync", "--with", HOSTILE],
        &["ls", &format!("--{HOSTILE}")],
        &[HOSTILE],
    ] {
        let run = run(&world, arguments);
        assert_ne!(run.code, 0, "{run:?}");
    }
    let toml = r#"a\u001b[2J\u009b31m\u202eb"#;
    std::fs::create_dir_all(world.path("config/songrec")).unwrap();
    for text in [
        format!("[search]\nmodel = \"{toml}\"\n"),
        format!("[search]\n\"{toml}\" = 1\n"),
        format!("[search]\nresults = \"{toml}\"\n"),
        format!("library = \"{toml}\"\n"),
        "[search\u{1b}[2J]\n".to_owned(),
    ] {
        std::fs::write(world.path("config/songrec/config.toml"), text).unwrap();
        for arguments in
            [&["config", "show"][..], &["config", "path"], &["ls"], &["similar", "kick"]]
        {
            run(&world, arguments);
            run(&world, &[arguments, &["--json"]].concat());
        }
    }
}

#[cfg(feature = "astra")]
#[test]
fn a_hostile_answer_of_a_server_is_shown_and_not_obeyed() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let text = serde_json::Value::from(HOSTILE).to_string();
    let body = format!(
        "{{\"errors\":[{{\"message\":{text},\"title\":{text},\"errorCode\":{text},\
         \"family\":\"REQUEST\",\"scope\":{text}}}]}}"
    );
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64 * 1024]);
            // Now as an answer of the API, now as one of who knows whom.
            let (status, body) = match number % 3 {
                0 => ("200 OK", body.as_str()),
                1 => ("400 Bad Request", body.as_str()),
                _ => ("403 Forbidden", HOSTILE),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let env = format!("ASTRA_DB_API_ENDPOINT=http://{address}\nASTRA_DB_APPLICATION_TOKEN=x\n");
    std::fs::write(world.path(".env"), env).unwrap();
    let mut shown = 0;
    for _ in 0..3 {
        for arguments in [&["ls"][..], &["doctor"], &["ls", "-vv"], &["ls", "--json"]] {
            let run = run(&world, &[arguments, &["--storage-backend", "astra"]].concat());
            shown += usize::from(run.stderr.contains("\\u{1b}[2J") || run.stdout.contains("[2J"));
        }
    }
    assert!(shown > 0, "the server's words are told");
}
