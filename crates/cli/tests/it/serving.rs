//! `serve` and `mcp`: doors for programs, as processes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::world::World;

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

#[cfg(feature = "mcp")]
#[test]
fn a_language_model_can_ask_and_changes_nothing_unless_it_may() {
    for may_write in [false, true] {
        let world = World::with(&["kick", "snare"]);
        let (id, other) = (world.ids()[0].clone(), world.ids()[1].clone());
        let arguments: &[&str] = if may_write { &["mcp", "--allow-writes"] } else { &["mcp"] };
        let mut command = world.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut number = 0;
        let mut ask = |method: &str, params: Value| -> Value {
            number += 1;
            let request =
                json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params});
            writeln!(stdin, "{request}").unwrap();
            let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
            assert_eq!(answer["id"], number, "{answer}");
            if method == "initialize" {
                writeln!(
                    stdin,
                    "{}",
                    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
                )
                .unwrap();
            }
            answer["result"].clone()
        };

        let about = ask(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "a test", "version": "1"},
            }),
        );
        assert_eq!(about["serverInfo"]["name"], "songrec");
        let tools = ask("tools/list", json!({}));
        let names: Vec<&str> = tools["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.contains(&"edit"), may_write, "{names:?}");
        let mut call = |name: &str, arguments: Value| {
            ask("tools/call", json!({"name": name, "arguments": arguments}))
        };
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
        drop(stdin);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(world.json(&["show", &id])["values"]["title"]["value"] == "Thump", may_write);
    }
}
