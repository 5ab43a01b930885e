//! Synths over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use songrec_server::Options;

use crate::world::{World, world};

const TWO: &str = "SynthDef(\\fatBass, { |gate = 1, freq = 55| Out.ar(0, Saw.ar(freq) ! 2) }).add;
SynthDef(\\softPad, { |freq = 440| Out.ar(0, Saw.ar(freq)) }).add";

async fn answered(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = world.http.request(method, world.url(path)).json(&body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

async fn sent(world: &World, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = answered(world, method, path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test]
async fn synths_are_sent_found_changed_linked_and_removed() {
    let world = world(2, Options::default()).await;
    let added = sent(&world, Method::POST, "/api/v1/synths", json!({"source": TWO})).await;
    assert_eq!(added["failed"], 0, "{added}");
    let bass = &added["results"][0]["synth"];
    assert_eq!(
        (&bass["gate"], &bass["channels"], &bass["category"]),
        (&json!(true), &json!(2), &json!("bass"))
    );
    let again = sent(&world, Method::POST, "/api/v1/synths", json!({"source": TWO})).await;
    assert_eq!(again["failed"], 2, "{again}");
    assert!(again["results"][0]["reason"].as_str().unwrap().contains("already"), "{again}");

    for (asked, expected) in [
        ("", &["fatBass", "softPad"][..]),
        ("?q=bass", &["fatBass"]),
        ("?category=pad&gate=false", &["softPad"]),
        ("?category=pad&gate=true", &[]),
        ("?limit=1&offset=1", &["softPad"]),
    ] {
        let list = world.json(&format!("/api/v1/synths{asked}")).await;
        let names: Vec<&str> = list["synths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{asked}");
    }
    let counted = world.json("/api/v1/synths?limit=1").await;
    assert_eq!((&counted["count"], &counted["limit"]), (&json!(2), &json!(1)));

    let id = bass["id"].as_str().unwrap();
    let path = format!("/api/v1/synths/{id}");
    let shown = world.json(&path).await;
    assert!(shown["source"].as_str().unwrap().starts_with("SynthDef(\\fatBass"), "{shown}");
    let change = json!({"name": "hugeBass", "notes": "loud", "extra": {"a": 1, "b": null}});
    let changed = sent(&world, Method::PATCH, &path, change).await;
    assert_eq!((&changed["name"], &changed["extra"]), (&json!("hugeBass"), &json!({"a": 1})));
    let old = bass["version"].as_str().unwrap();
    let stale = world
        .http
        .request(Method::PATCH, world.url(&path))
        .header("If-Match", format!("\"{old}\""))
        .json(&json!({"clear": ["name"]}))
        .send()
        .await
        .unwrap();
    assert_eq!(stale.status(), 412);

    let parents = "/api/v1/synths/softPad/parents";
    let linked = sent(&world, Method::POST, parents, json!({"parent": id, "weight": 0.25})).await;
    assert_eq!(linked["parents"][0]["weight"], 0.25);
    let circle = format!("{path}/parents");
    for (path, body) in [
        (circle.as_str(), json!({"parent": "softPad"})),
        (parents, json!({"parent": id})),
        (parents, json!({"parent": "softPad"})),
        (parents, json!({"parent": id, "weight": 2})),
        ("/api/v1/synths", json!({"source": "1 + 1"})),
        ("/api/v1/synths", json!({"source": TWO, "name": "x"})),
    ] {
        let (status, answer) = answered(&world, Method::POST, path, body).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_request")), "{answer}");
    }
    let lineage = world.json("/api/v1/synths/softPad/lineage").await;
    assert_eq!(lineage["up"][0]["name"], "hugeBass");
    // Only ids and names: an address opens no file.
    let (status, _) =
        answered(&world, Method::GET, "/api/v1/synths/%2Fetc%2Fpasswd", json!({})).await;
    assert_eq!(status, 404);

    let removed = sent(&world, Method::DELETE, &path, json!({})).await;
    assert_eq!(removed["links"][0]["child"]["name"], "softPad");
    let gone = format!("{parents}/{id}");
    let unlinked = sent(&world, Method::DELETE, &gone, json!({})).await;
    assert_eq!(unlinked["parents"], json!([]));
    assert_eq!(answered(&world, Method::GET, &path, json!({})).await.0, 404);
}
