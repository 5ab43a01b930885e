//! Playlists over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use songrec_server::Options;

use crate::world::{World, problem, world};

async fn sent(world: &World, method: Method, path: &str, body: Value) -> reqwest::Response {
    world.http.request(method, world.url(path)).json(&body).send().await.unwrap()
}

// The titles of a playlist, and the keys of its entries.
async fn shown(world: &World, name: &str) -> (Vec<String>, Vec<String>) {
    let shown = world.json(&format!("/api/v1/playlists/{name}")).await;
    let of = |field: &str| {
        let entries = shown["entries"].as_array().unwrap().iter();
        entries.map(|one| one[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    (of("title"), of("key"))
}

#[tokio::test]
async fn a_playlist_is_made_ordered_and_written() {
    let world = world(4, Options::default()).await;
    let (alder, birch) = (world.id("Alder").await, world.id("Birch").await);
    let body = json!({"name": "Döner & \"tea\"", "songs": [alder, birch]});
    let made = sent(&world, Method::POST, "/api/v1/playlists", body.clone()).await;
    assert_eq!(made.status(), 201);
    let location = made.headers()["location"].to_str().unwrap().to_owned();
    let card: Value = made.json().await.unwrap();
    assert_eq!(location, format!("/api/v1/playlists/{}", card["id"].as_str().unwrap()));
    let again = sent(&world, Method::POST, "/api/v1/playlists", body).await;
    assert_eq!(problem(again).await, (400, "invalid_request".to_owned()));

    let id = card["id"].as_str().unwrap();
    let (titles, keys) = shown(&world, id).await;
    assert_eq!(titles, ["Alder", "Birch"]);
    let order = json!({"move": {"entries": [keys[1]], "to": 1}});
    let moved = sent(&world, Method::PATCH, &location, order.clone()).await;
    assert_eq!(moved.status(), 200);
    assert_eq!(shown(&world, id).await.0, ["Birch", "Alder"]);
    let songs = json!({"songs": [alder], "at": 2});
    sent(&world, Method::POST, &format!("{location}/songs"), songs).await;
    assert_eq!(shown(&world, id).await.0, ["Birch", "Alder", "Alder"]);
    let taken = world.http.delete(world.url(&format!("{location}/songs?entry={}", keys[0])));
    assert_eq!(taken.send().await.unwrap().json::<Value>().await.unwrap()["songs"], 2);

    let file = world.get(&format!("{location}/export?format=m3u8&map=/=X:")).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "audio/x-mpegurl; charset=utf-8");
    assert_eq!(file.headers()["songrec-left-out"], "0");
    let name = file.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(
        name,
        "attachment; filename=\"D_ner _ _tea_.m3u8\"; filename*=UTF-8''D%C3%B6ner%20%26%20%22tea%22.m3u8"
    );
    let text = file.text().await.unwrap();
    assert!(text.lines().filter(|line| line.starts_with("X:\\")).count() == 2, "{text}");
    let found = world.json(&format!("/api/v1/songs?filter=playlist:{id}")).await;
    assert_eq!(found["total"], 2);
    let forgotten = world.http.delete(world.url(&format!("/api/v1/songs/{alder}")));
    assert_eq!(forgotten.send().await.unwrap().status(), 200);
    let now = world.json(&location).await;
    assert_eq!((&now["missing"], &now["entries"][1]["title"]), (&json!(1), &json!("Alder")));
}

#[tokio::test]
async fn only_what_was_seen_is_changed_if_a_client_says_so() {
    let world = world(3, Options::default()).await;
    let alder = world.id("Alder").await;
    let made = sent(&world, Method::POST, "/api/v1/playlists", json!({"name": "One"})).await;
    let seen: Value = made.json().await.unwrap();
    let version = format!("\"{}\"", seen["version"].as_str().unwrap());
    let change = |name: &str| {
        let request = world.http.patch(world.url("/api/v1/playlists/one"));
        request.header("if-match", &version).json(&json!({"name": name})).send()
    };
    assert_eq!(change("ONE").await.unwrap().status(), 200);
    assert_eq!(problem(change("oNE").await.unwrap()).await, (412, "changed".to_owned()));
    let wrong = world.http.delete(world.url("/api/v1/playlists/one")).header("if-match", "\"x\"");
    assert_eq!(problem(wrong.send().await.unwrap()).await.0, 400);

    // An answer that depends on playlists is a new one once they change.
    let address = "/api/v1/songs?filter=playlist:one";
    let first = world.get(address).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let same = world.get(address).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    let songs = json!({"songs": [alder]});
    sent(&world, Method::POST, "/api/v1/playlists/one/songs", songs).await;
    let other = world.get(address).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(other.status(), 200);
    assert_eq!(other.json::<Value>().await.unwrap()["total"], 1);
}

#[tokio::test]
async fn a_wrong_request_changes_nothing() {
    let world = world(3, Options::default()).await;
    let alder = world.id("Alder").await;
    sent(&world, Method::POST, "/api/v1/playlists", json!({"name": "One", "songs": [alder]})).await;
    let smart = json!({"name": "Smart", "rule": {"like": [alder], "length": 2}});
    sent(&world, Method::POST, "/api/v1/playlists", smart).await;
    let unknown = "00000000-0000-8000-8000-000000000000";
    let lists = "/api/v1/playlists";
    for (method, path, body, status) in [
        (Method::POST, lists, json!({"name": " one! "}), 400),
        (Method::POST, lists, json!(["x", [alder], null]), 400),
        (Method::POST, lists, json!({"name": "x", "rule": [[], [alder], 2]}), 400),
        (Method::POST, lists, json!({"name": "x".repeat(300)}), 400),
        (Method::POST, lists, json!({"name": "x", "songs": [unknown]}), 404),
        (Method::POST, lists, json!({"name": "x", "songs": ["/etc/passwd"]}), 400),
        (Method::POST, lists, json!({"name": "x", "songs": vec![alder.as_str(); 1001]}), 400),
        (Method::POST, lists, json!({"name": "x", "rule": {"filter": ["gnre:x"]}}), 400),
        (Method::POST, lists, json!({"name": "x", "rule": {"filter": ["playlist:y"]}}), 404),
        (
            Method::POST,
            lists,
            json!({"name": "x", "songs": [alder], "rule": {"like": [alder]}}),
            400,
        ),
        (Method::POST, "/api/v1/playlists/smart/songs", json!({"songs": [alder]}), 400),
        (Method::PATCH, "/api/v1/playlists/one", json!({}), 400),
        (Method::PATCH, "/api/v1/playlists/one", json!({"move": {"entries": ["x"], "to": 1}}), 404),
        (Method::PATCH, "/api/v1/playlists/one", json!({"move": {"entries": [], "to": 0}}), 400),
        (Method::PATCH, "/api/v1/playlists/none", json!({"name": "x"}), 404),
        (Method::DELETE, "/api/v1/playlists/one/songs", json!({}), 400),
        (Method::GET, "/api/v1/playlists/one/export?format=pls", json!({}), 400),
        (Method::GET, "/api/v1/playlists/one/export?map=x", json!({}), 400),
    ] {
        let what = format!("{method} {path} {body}");
        let (found, _) = problem(sent(&world, method, path, body).await).await;
        assert_eq!(found, status, "{what}");
    }
    let list = world.json(lists).await;
    assert_eq!(list["playlists"].as_array().unwrap().len(), 2);
    assert_eq!(shown(&world, "one").await.0, ["Alder"]);
    let smart = world.json("/api/v1/playlists/smart").await;
    assert_eq!((smart["songs"].as_u64(), smart["entries"][0]["key"].is_null()), (Some(2), true));
}

#[tokio::test]
async fn a_queue_is_kept_only_where_the_server_may_write() {
    let options = Options { read_only: true, ..Options::default() };
    let world = world(6, options).await;
    let alder = world.id("Alder").await;
    let asked = json!({"like": [alder], "length": 4, "exclude": [world.id("Birch").await]});
    let answer = sent(&world, Method::POST, "/api/v1/radio", asked.clone()).await;
    assert_eq!(answer.status(), 200);
    let queue: Value = answer.json().await.unwrap();
    let songs = queue["songs"].as_array().unwrap().iter();
    let titles: Vec<&str> = songs.map(|one| one["title"].as_str().unwrap()).collect();
    assert!(titles.len() == 4 && !titles.contains(&"Alder") && !titles.contains(&"Birch"));
    let mut kept = asked.clone();
    kept["playlist"] = json!("Kept");
    let refused = sent(&world, Method::POST, "/api/v1/radio", kept).await;
    assert_eq!(problem(refused).await, (403, "read_only".to_owned()));
    for wrong in [
        json!({"like": []}),
        json!({"like": ["/etc/passwd"]}),
        json!({"like": [alder], "variety": 2}),
        json!({"like": [alder], "length": 100_000}),
        json!({"like": [alder], "minutes": -1}),
    ] {
        let answer = sent(&world, Method::POST, "/api/v1/radio", wrong.clone()).await;
        assert_eq!(problem(answer).await.0, 400, "{wrong}");
    }
    let same = format!("/api/v1/path?a={alder}&b={alder}");
    assert_eq!(problem(world.get(&same).send().await.unwrap()).await.0, 400);
}

#[tokio::test]
async fn a_queue_of_minutes_is_filled_with_samples_too() {
    let world = world(6, Options::default()).await;
    let alder = world.id("Alder").await;
    let songs = world.json("/api/v1/songs").await;
    let songs = songs["songs"].as_array().unwrap();
    let others = songs.iter().filter(|one| one["id"] != json!(alder));
    let wanted = 0.9 * others.map(|one| one["duration"].as_f64().unwrap()).sum::<f64>();
    assert!(wanted < 300.0, "there are more songs than minutes");

    let asked = json!({"like": [alder], "minutes": wanted / 60.0});
    let answer = sent(&world, Method::POST, "/api/v1/radio", asked).await;
    let queue: Value = answer.json().await.unwrap();

    assert_eq!(queue["songs"].as_array().unwrap().len(), 5);
    assert!(queue["duration"].as_f64().unwrap() >= wanted, "{queue}");
    assert_eq!(queue["notes"], json!([]));
}

// A file that is sent, and what came of it.
async fn imported(
    world: &World,
    (name, bytes): (&str, &[u8]),
    fields: &[(&str, &str)],
) -> (u16, Value) {
    let sent = world.send("/api/v1/import/playlist", Some((name, bytes)), fields);
    let answer = sent.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_file_of_a_player_becomes_a_playlist() {
    let world = world(4, Options::default()).await;
    let folder = world.path("audio").display().to_string();
    let copy = world.path("Copy.wav");
    std::fs::copy(world.path("audio/Dogwood.wav"), &copy).unwrap();
    let text = format!(
        "#EXTM3U\n{folder}/Alder.wav\nBirch.wav\n#EXTINF:1,Gone\nGone.wav\n\
         http://example.org/Cedar.flac\n{}\n",
        copy.display()
    );
    let file = ("Late & long.m3u8", text.as_bytes());

    let dry = imported(&world, file, &[("dry_run", "true")]).await;
    assert_eq!((dry.0, &dry.1["playlist"]), (200, &Value::Null));
    let (status, report) = imported(&world, file, &[]).await;
    assert_eq!(status, 201, "{report}");
    assert_eq!(report["playlist"]["name"], "Late & long");
    assert_eq!(report["matched_by"], json!({"path": 1, "file_name": 1}));
    let unmatched = report["unmatched"].as_array().unwrap();
    let places: Vec<u64> = unmatched.iter().map(|one| one["position"].as_u64().unwrap()).collect();
    assert_eq!(places, [3, 4, 5], "no file of the server is read: {report}");
    assert!(unmatched.iter().all(|one| !one["why"].as_str().unwrap().is_empty()));
    let id = report["playlist"]["id"].as_str().unwrap();
    assert_eq!(shown(&world, id).await.0, ["Alder", "Birch"]);

    let fields = [("name", "Named"), ("relative_to", &*folder), ("map", "/far=/near")];
    let (_, report) = imported(&world, file, &fields).await;
    assert_eq!(report["matched_by"], json!({"path": 2}), "{report}");
    assert_eq!(report["playlist"]["name"], "Named");
    for format in ["m3u8", "xspf", "jspf"] {
        let path = format!("/api/v1/playlists/{id}/export?format={format}");
        let bytes = world.get(&path).send().await.unwrap().bytes().await.unwrap();
        let name = format!("again.{format}");
        let (status, report) = imported(&world, (&name, &bytes), &[("name", &name)]).await;
        assert_eq!((status, &report["matched"]), (201, &json!(2)), "{format}: {report}");
    }
    let (status, report) = imported(&world, ("empty.m3u8", b""), &[]).await;
    assert_eq!((status, &report["matched"]), (200, &json!(0)));
    assert_eq!(world.json("/api/v1/playlists").await["playlists"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_is_no_playlist_makes_none() {
    let world = world(1, Options::default()).await;
    let large = vec![b'\n'; (8 << 20) + 1];
    let ok = b"Alder.wav".as_slice();
    imported(&world, ("one.m3u", ok), &[]).await;
    for (name, bytes, fields, status, said) in [
        ("x.txt", ok, vec![], 400, "`txt` is no format"),
        ("x.xspf", b"<playlist><trackList>", vec![], 400, "`x.xspf` cannot be read as xspf"),
        ("x.jspf", b"[]", vec![], 400, "`x.jspf` cannot be read as jspf"),
        ("x.m3u8", large.as_slice(), vec![], 413, "8388608 bytes"),
        ("x.m3u8", ok, vec![("name", "ONE")], 400, "there is a playlist `one` already"),
        ("x.m3u8", ok, vec![("map", "x")], 400, "`x`"),
        ("x.m3u8", ok, vec![("title", "x")], 400, "unknown field"),
        ("x.m3u8", ok, vec![("dry_run", "perhaps")], 400, "perhaps"),
    ] {
        let (found, problem) = imported(&world, (name, bytes), &fields).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(found == status && detail.contains(said), "{name} {fields:?}: {problem}");
        assert!(!detail.contains("songrec-upload"), "where it was is nobody's business: {detail}");
    }
    let none = world.send("/api/v1/import/playlist", None, &[("name", "x")]).send().await.unwrap();
    assert_eq!(problem(none).await.0, 400);
    let json = world.post("/api/v1/import/playlist", &json!({})).send().await.unwrap();
    assert_eq!(problem(json).await.0, 415);
    assert_eq!(world.json("/api/v1/playlists").await["playlists"].as_array().unwrap().len(), 1);
}
