//! Patterns over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use songrec_server::Options;

use crate::world::{World, problem, world};

async fn sent(world: &World, method: Method, path: &str, body: Value) -> Value {
    let request = world.http.request(method, world.url(path)).json(&body);
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn kinds(answer: &Value, field: &str) -> Vec<String> {
    let all = answer[field].as_array().unwrap().iter();
    all.map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn patterns_are_sent_found_changed_and_deleted() {
    let world = world(2, Options::default()).await;
    let (alder, birch) = (world.id("Alder").await, world.id("Birch").await);
    let id = "11111111-1111-4111-8111-111111111111";
    let new = |song: &str, kind: &str, features: [f32; 2]| {
        json!({"song": song, "start": 0, "end": 0.2, "kind": kind, "features": features,
            "low": 20, "high": 80, "confidence": 0.5})
    };
    let mut first = new(&alder, "a", [1.0, 0.0]);
    first["id"] = json!(id);
    let empty = json!({"song": alder, "start": 0, "end": 1, "kind": "x", "features": []});
    let all = json!({"patterns": [first, new(&birch, "b", [1.0, 0.5]), empty,
        new("Birch", "c", [1.0, 1.0])]});

    let added = sent(&world, Method::POST, "/api/v1/patterns", all.clone()).await;
    assert_eq!((&added["added"], &added["failed"]), (&json!(2), &json!(2)), "{added}");
    // Songs are named by ids alone.
    assert!(added["results"][3]["reason"].as_str().unwrap().contains("no id"), "{added}");
    let again = sent(&world, Method::POST, "/api/v1/patterns", json!({"patterns": [first]})).await;
    assert_eq!(again["known"], 1, "{again}");

    let list = world.json("/api/v1/patterns").await;
    assert_eq!((list["limit"].as_u64(), kinds(&list, "patterns").len()), (Some(100), 2));
    for (asked, expected) in [
        (format!("song={birch}"), &["b"][..]),
        ("low=81".to_owned(), &[]),
        ("confidence=0.6".to_owned(), &[]),
        ("kind=a&kind=z&from=0.1&to=9".to_owned(), &["a"]),
        ("source=nobody".to_owned(), &[]),
        ("limit=1&offset=2".to_owned(), &[]),
    ] {
        let found = world.json(&format!("/api/v1/patterns?{asked}")).await;
        assert_eq!(kinds(&found, "patterns"), expected, "{asked}");
    }
    let similar = json!({"pattern": id, "among": {"song": [birch]}});
    let similar = sent(&world, Method::POST, "/api/v1/patterns/similar", similar).await;
    assert_eq!(kinds(&similar, "results"), ["b"]);
    let similar = json!({"features": [1, 0], "threshold": 0.99});
    let similar = sent(&world, Method::POST, "/api/v1/patterns/similar", similar).await;
    assert_eq!(kinds(&similar, "results"), ["a"]);

    let here = format!("/api/v1/patterns/{id}");
    let response = world.get(&here).send().await.unwrap();
    let etag = response.headers()["etag"].clone();
    let known = || world.get(&here).header("if-none-match", &etag).send();
    assert_eq!(known().await.unwrap().status(), 304);
    let changed =
        sent(&world, Method::PATCH, &here, json!({"type": "z", "metadata": {"n": 1}})).await;
    assert_eq!((&changed["kind"], &changed["metadata"]), (&json!("z"), &json!({"n": 1})));
    assert_eq!(known().await.unwrap().status(), 200, "a change makes another version");
    assert_eq!(sent(&world, Method::DELETE, &here, json!({})).await["removed"], true);
    assert_eq!(
        problem(world.get(&here).send().await.unwrap()).await,
        (404, "not_found".to_owned())
    );
}

#[tokio::test]
async fn what_no_pattern_can_be_is_a_problem() {
    let world = world(1, Options::default()).await;
    let alder = world.id("Alder").await;
    for (path, body) in [
        ("/api/v1/patterns", json!({})),
        ("/api/v1/patterns", json!({"patterns": []})),
        ("/api/v1/patterns", json!({"patterns": [{"song": alder}]})),
        ("/api/v1/patterns/query", json!({"low": 9, "high": 1})),
        ("/api/v1/patterns/query", json!({"limit": 0})),
        ("/api/v1/patterns/similar", json!({})),
        ("/api/v1/patterns/similar", json!({"song": alder, "features": [1]})),
        ("/api/v1/patterns/similar", json!({"song": alder, "start": 1, "end": 1})),
        ("/api/v1/patterns/similar", json!({"features": []})),
    ] {
        let answer = world.post(path, &body).send().await.unwrap();
        assert_eq!(problem(answer).await, (400, "invalid_request".to_owned()), "{path} {body}");
    }
    let nowhere = world.get("/api/v1/patterns/nobody").send().await.unwrap();
    assert_eq!(problem(nowhere).await.0, 400);
}
