//! `serve` and `mcp`: doors for programs, as processes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::world::{Run, World, examples};

fn start(world: &World, arguments: &[&str]) -> (Child, Value) {
    let arguments = [&["serve", "--addr", "127.0.0.1:0", "--json"], arguments].concat();
    let mut child = world.begin(&arguments);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

fn end(mut child: Child, signal: &str) -> (i32, String) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), said)
}

// The answer to a request of these lines.
fn ask(served: &Value, lines: &[&str]) -> String {
    let url = served["url"].as_str().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{}\r\nHost: {address}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_library_is_served_until_somebody_ends_it() {
    for signal in ["-TERM", "-INT"] {
        let world = World::with(&["kick"]);
        let (child, served) = start(&world, &[]);
        assert_eq!(served["backend"], "local");
        assert_eq!(served["token_needed"], false);

        let songs = ask(&served, &["GET /api/v1/songs HTTP/1.1"]);
        assert!(songs.starts_with("HTTP/1.1 200") && songs.contains("\"total\":1"), "{songs}");
        let (code, said) = end(child, signal);

        assert_eq!(code, 0, "{said}");
        assert!(said.contains("serving `") && said.contains("whoever uses this machine"), "{said}");
    }
}

// What the image and the unit of systemd start on a new machine.
#[test]
fn a_new_machine_serves_an_empty_library() {
    let world = World::bare();
    let without = world.run(&["serve", "--addr", "127.0.0.1:0"]);
    assert_eq!(without.code, 10, "{without:?}");
    for is_new in [true, false] {
        let (child, served) = start(&world, &["--init"]);
        let songs = ask(&served, &["GET /api/v1/songs HTTP/1.1"]);
        let (_, output) = end(child, "-TERM");

        assert!(songs.contains("\"total\":0"), "{songs}");
        assert_eq!(output.contains("made a library in `"), is_new, "{output}");
    }
}

// The variables that the image and the unit of systemd give it, with their folders
// below the test's.
#[test]
fn what_servers_are_given_is_a_place_where_a_scan_works() {
    for file in ["Dockerfile", "songrec.service"] {
        let world = World::bare();
        world.add(&examples("kick")[0], "kick.wav");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let words = text.split_whitespace().map(|word| word.trim_start_matches("Environment="));
        let given: Vec<(&str, PathBuf)> = words
            .filter(|word| word.starts_with("SONGREC_") || word.starts_with("XDG_"))
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| match value.strip_prefix('/') {
                Some(folder) => (name, world.path(folder)),
                None => (name, PathBuf::from(value)),
            })
            .collect();
        assert!(given.len() >= 4, "{given:?}");
        let run = |arguments: &[&str]| {
            let mut command = world.command(arguments);
            Run::of(command.envs(given.iter().cloned()).output().unwrap()).ok()
        };

        run(&["init"]);
        run(&["scan", "music"]);

        let songs = run(&["--json", "ls"]).stdout.lines().count();
        assert_eq!(songs, 1, "{file}");
    }
}

#[test]
fn a_supervisor_can_ask_whether_the_server_is_ready() {
    let world = World::new();
    let (child, served) = start(&world, &[]);
    let url = served["url"].as_str().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let check = ["serve", "--check", "--addr", &address];

    let ready = world.run(&check);
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    let everywhere = world.run(&["--json", "serve", "--check", "--addr", &everywhere]);
    end(child, "-TERM");
    let gone = world.run(&check);

    assert!(ready.code == 0 && ready.stderr.contains("is ready"), "{ready:?}");
    let document: Value = serde_json::from_str(&everywhere.stdout).unwrap();
    assert_eq!((everywhere.code, &document["ready"]), (0, &json!(true)), "{everywhere:?}");
    assert!(gone.code == 8 && gone.stderr.contains("is not ready"), "{gone:?}");
}

#[test]
fn a_token_comes_from_a_file_or_a_variable_and_is_never_shown() {
    let world = World::new();
    let token = "0123456789abcdef-secret";
    std::fs::write(world.path("token"), format!("{token}\n")).unwrap();

    let (child, served) = start(&world, &["--token-file", "token", "--read-only"]);
    let without = ask(&served, &["GET /api/v1/songs HTTP/1.1"]);
    let with = [&*format!("Authorization: Bearer {token}"), "X: y"];
    let with = ask(&served, &["GET /api/v1/songs HTTP/1.1", with[0], with[1]]);
    let (_, said) = end(child, "-TERM");

    assert_eq!(served["token_needed"], true);
    assert!(without.starts_with("HTTP/1.1 401"), "{without}");
    assert!(with.starts_with("HTTP/1.1 200"), "{with}");
    assert!(!said.contains(token) && !served.to_string().contains(token), "{said}");
}

#[test]
fn what_would_open_a_library_to_others_is_refused() {
    let world = World::new();
    std::fs::write(world.path("short"), "secret\n").unwrap();
    for (arguments, reason) in [
        (&["--addr", "0.0.0.0:0"][..], "no token protects"),
        (&["--token-file", "short"], "too short"),
        (&["--token-file", "nowhere"], "could not read the token"),
        (&["--addr", "nowhere"], "no address to listen at"),
    ] {
        let run = world.run(&[&["serve"], arguments].concat());
        assert!(run.code != 0 && run.stderr.contains(reason), "{run:?}");
        assert!(!run.stderr.contains("secret\n"), "{run:?}");
    }
}

/// A language model that talks to `songrec mcp`.
#[cfg(feature = "mcp")]
struct Model {
    child: Child,
    stdin: Option<std::process::ChildStdin>,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
    number: u64,
}

#[cfg(feature = "mcp")]
impl Model {
    fn of(world: &World, may_write: bool) -> Self {
        let arguments: &[&str] = if may_write { &["mcp", "--allow-writes"] } else { &["mcp"] };
        let mut command = world.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut model = Self { child, stdin, answers, number: 0 };
        let about = model.ask(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "a test", "version": "1"},
            }),
        );
        assert_eq!(about["serverInfo"]["name"], "songrec");
        model.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        model
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let number = self.number;
        self.say(&json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params}));
        let answer: Value = serde_json::from_str(&self.answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["id"], number, "{answer}");
        answer["result"].clone()
    }

    // The tools that it may use, and whether each one says that it only reads.
    fn tools(&mut self) -> Vec<(String, bool)> {
        let tools = self.ask("tools/list", json!({}));
        let tools = tools["tools"].as_array().unwrap().iter();
        let one = |tool: &Value| {
            let only_reads = tool["annotations"]["readOnlyHint"].as_bool().unwrap();
            (tool["name"].as_str().unwrap().to_owned(), only_reads)
        };
        tools.map(one).collect()
    }

    fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": name, "arguments": arguments}))
    }

    // What a tool answers that has to work.
    fn get(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.call(name, arguments);
        assert_eq!(answer["isError"], false, "{name}: {answer}");
        answer["structuredContent"].clone()
    }

    // What a tool says that has to fail.
    fn refused(&mut self, name: &str, arguments: Value) -> String {
        let answer = self.call(name, arguments);
        assert_eq!(answer["isError"], true, "{name}: {answer}");
        answer["content"][0]["text"].as_str().unwrap().to_owned()
    }

    fn end(mut self) {
        self.stdin = None;
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[cfg(feature = "mcp")]
#[test]
fn a_language_model_can_ask_and_changes_nothing_unless_it_may() {
    for may_write in [false, true] {
        let world = World::with(&["kick", "snare"]);
        let (id, other) = (world.ids()[0].clone(), world.ids()[1].clone());
        let mut model = Model::of(&world, may_write);
        let tools = model.tools();
        assert_eq!(tools.contains(&("edit".to_owned(), false)), may_write, "{tools:?}");
        assert_eq!(tools.iter().any(|(_, only_reads)| !only_reads), may_write, "{tools:?}");
        let mut call = |name: &str, arguments: Value| model.call(name, arguments);
        assert_eq!(call("search", json!({}))["structuredContent"]["total"], 2);
        let similar = call("similar", json!({"song": id, "limit": 1}));
        assert_eq!(
            similar["structuredContent"]["results"].as_array().unwrap().len(),
            1,
            "{similar}"
        );
        assert_eq!(call("describe", json!({"song": id}))["structuredContent"]["id"], id.as_str());
        let queue = call("radio", json!({"songs": [id], "length": 5}));
        assert_eq!(queue["structuredContent"]["songs"][0]["id"], other.as_str(), "{queue}");
        let way = call("path", json!({"a": id, "b": other, "length": 2}));
        let way = way["structuredContent"]["songs"].as_array().unwrap();
        let ends: Vec<_> = way.iter().map(|song| song["id"].as_str().unwrap()).collect();
        assert_eq!(ends, [id.as_str(), other.as_str()]);
        assert!(call("stats", json!({}))["structuredContent"]["total_songs"] == 2);
        for (name, arguments) in [
            ("clusters", json!({})),
            ("similar", json!({"song": "no such song"})),
            ("search", json!({"filters": ["bpm:fast"]})),
            ("search", json!({"limit": 5000})),
            ("radio", json!({"songs": []})),
            ("radio", json!({"songs": [id], "length": 5000})),
            ("radio", json!({"songs": [id], "variety": 2})),
            ("path", json!({"a": id, "b": id})),
            ("path", json!({"a": id, "b": other, "length": 1})),
            ("nothing", json!({})),
        ] {
            assert_eq!(call(name, arguments)["isError"], true, "{name}");
        }
        let made = call("new_playlist", json!({"name": "Best", "songs": [id]}));
        assert_eq!(made["isError"], !may_write, "{made}");
        let added = call("add_to_playlist", json!({"playlist": "best", "songs": [id]}));
        assert_eq!(added["isError"], !may_write, "{added}");
        let playlists = call("playlists", json!({}))["structuredContent"]["playlists"].clone();
        let counts: Vec<_> =
            playlists.as_array().unwrap().iter().map(|one| one["songs"].as_u64()).collect();
        assert_eq!(counts, if may_write { vec![Some(2)] } else { Vec::new() });
        if may_write {
            let best = call("playlists", json!({"playlist": "best"}));
            assert_eq!(best["structuredContent"]["entries"][1]["song"], id.as_str());
        }
        let edited = call("edit", json!({"song": id, "set": {"title": "Thump"}}));
        assert_eq!(edited["isError"], !may_write, "{edited}");
        model.end();
        assert_eq!(world.json(&["show", &id])["values"]["title"]["value"] == "Thump", may_write);
    }
}

#[cfg(feature = "mcp")]
#[test]
fn a_language_model_finds_patterns_and_names_new_ones_where_it_may() {
    let world = World::with(&["kick", "snare"]);
    let (id, other) = (world.ids()[0].clone(), world.ids()[1].clone());
    let made = json!({"song": id, "start": 0, "end": 0.1, "kind": "thump", "low": 20, "high": 200,
                      "confidence": 0.5, "source": "a model", "metadata": {"by": "ear"}});
    let mut reading = Model::of(&world, false);
    assert!(reading.refused("add_pattern", made.clone()).contains("--allow-writes"));
    assert_eq!(reading.get("patterns", json!({}))["patterns"], json!([]));
    reading.end();
    let mut model = Model::of(&world, true);

    let thump = model.get("add_pattern", made);
    let second = json!({"song": other, "start": 0, "end": 0.1, "kind": "crack"});
    let crack = model.get("add_pattern", second);
    let (thump, crack) = (thump["id"].clone(), crack["id"].clone());

    let shown = model.get("patterns", json!({"pattern": thump}));
    assert_eq!((&shown["kind"], &shown["metadata"]["by"]), (&json!("thump"), &json!("ear")));
    assert!(shown["dimension"].as_u64() > Some(0), "a model heard it: {shown}");
    assert_eq!(shown.get("features"), None, "numbers tell a language model nothing");
    for (which, found) in [
        (json!({}), 2),
        (json!({"limit": 1}), 1),
        (json!({"songs": [id]}), 1),
        (json!({"kinds": ["thump", "crack"]}), 2),
        (json!({"kinds": ["hum"]}), 0),
        (json!({"start": 0.2}), 0),
        (json!({"end": 0.05, "min_confidence": 0.6}), 1),
        (json!({"low": 5000, "kinds": ["thump"]}), 0),
        (json!({"sources": ["a model"]}), 1),
    ] {
        let patterns = model.get("patterns", which.clone())["patterns"].clone();
        assert_eq!(patterns.as_array().unwrap().len(), found, "{which}: {patterns}");
    }
    let alike = model.get("similar_patterns", json!({"like": thump}));
    assert_eq!(alike["results"][0]["id"], crack, "{alike}");
    let alike = model.get("similar_patterns", json!({"like": id, "kinds": ["thump"], "limit": 1}));
    assert_eq!(alike["results"][0]["id"], thump, "{alike}");
    let none = model.get("similar_patterns", json!({"like": thump, "threshold": 0.999_999}));
    assert_eq!(none["results"], json!([]), "{none}");
    let change = json!({"pattern": thump, "kind": "boom", "metadata": {"by": null, "for": "you"}});
    let edited = model.get("edit_pattern", change);
    assert_eq!((&edited["id"], &edited["kind"]), (&thump, &json!("boom")), "{edited}");
    assert_eq!(edited["metadata"], json!({"for": "you"}));
    for (name, arguments) in [
        ("patterns", json!({"pattern": "no id"})),
        ("patterns", json!({"pattern": id})),
        ("patterns", json!({"colour": "red"})),
        ("patterns", json!({"limit": 0})),
        ("patterns", json!({"start": 3, "end": 2})),
        ("similar_patterns", json!({})),
        ("similar_patterns", json!({"like": "no such song"})),
        ("add_pattern", json!({"song": id, "start": 1, "end": 0.5, "kind": "thump"})),
        ("add_pattern", json!({"song": id, "start": 0, "end": 0.1, "kind": ""})),
        ("edit_pattern", json!({"pattern": thump, "confidence": 2})),
        ("remove_pattern", json!({"pattern": id})),
    ] {
        assert!(!model.refused(name, arguments).is_empty(), "{name}");
    }
    assert_eq!(model.get("remove_pattern", json!({"pattern": thump}))["removed"], thump);
    model.end();
    let left = world.json_lines(&["patterns", "ls"]);
    assert_eq!(left.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&crack]);
}

#[cfg(feature = "mcp")]
#[test]
fn a_language_model_finds_synths_and_says_what_they_come_from_where_it_may() {
    let world = World::new();
    let synth = |name: &str| {
        format!(
            "SynthDef(\\{name}, {{ |freq = 440, gate = 1| Out.ar(0, SinOsc.ar(freq) * gate) }}).add;"
        )
    };
    for name in ["deepBass", "softPad"] {
        std::fs::write(world.path(&format!("{name}.scd")), synth(name)).unwrap();
        world.run(&["synths", "add", &format!("{name}.scd")]).ok();
    }
    let link = json!({"child": "softPad", "parent": "deepBass", "weight": 0.5});
    let mut reading = Model::of(&world, false);
    assert!(reading.refused("link_synths", link.clone()).contains("--allow-writes"));
    let all = reading.get("synths", json!({}));
    assert_eq!(all["count"], 2, "{all}");
    let pads = reading.get("synths", json!({"category": "pad", "words": "soft"}));
    assert_eq!(pads["synths"][0]["name"], "softPad", "{pads}");
    let one = reading.get("synths", json!({"synth": "deepBass"}));
    assert!(one["source"].as_str().unwrap().contains("SinOsc"), "{one}");
    for (name, arguments) in [
        ("synths", json!({"synth": "nobody"})),
        ("synths", json!({"category": "kazoo"})),
        ("synths", json!({"limit": 101})),
        ("synth_lineage", json!({"synth": "nobody"})),
    ] {
        reading.refused(name, arguments);
    }
    reading.end();
    let mut model = Model::of(&world, true);

    model.get("link_synths", link);

    let lineage = model.get("synth_lineage", json!({"synth": "softPad"}));
    let parent = &lineage["up"][0];
    assert_eq!((&parent["name"], &parent["weight"]), (&json!("deepBass"), &json!(0.5)));
    let back = json!({"child": "deepBass", "parent": "softPad"});
    assert!(!model.refused("link_synths", back).is_empty(), "no circles");
    model.get("unlink_synths", json!({"child": "softPad", "parent": "deepBass"}));
    assert_eq!(model.get("synth_lineage", json!({"synth": "softPad"}))["up"], json!([]));
    model.end();
}
