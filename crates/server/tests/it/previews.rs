//! Previews of a music service that is on this machine.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use songrec_core::Silent;
use songrec_library::{InitOptions, Library, keys};
use songrec_server::Options;
use songrec_testkit::Wire;

use crate::{
    every::over,
    schema::wrong,
    world::{World, config, problem, serving, song},
};

// A server whose service has one track, in both ways to ask for it.
async fn with_service() -> (World, Wire) {
    let wire = Wire::start(|request, mut stream| {
        if request.line().contains("/audio") {
            return Wire::reply(&mut stream, "200 OK", &[], &song(3, "From its tags"));
        }
        let preview = format!("http://{}/audio", request.header("host").unwrap());
        let track =
            json!({"trackId": 7, "trackName": "Seven", "artistName": "Air", "previewUrl": preview});
        let found = json!({"resultCount": 1, "results": [track]});
        Wire::reply(&mut stream, "200 OK", &[], found.to_string().as_bytes())
    });
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("library");
    let flags = vec![
        (keys::LIBRARY.setting(), root.display().to_string(), "--library"),
        (keys::PREVIEWS_ITUNES_URL.setting(), wire.endpoint(), "--url"),
    ];
    let config = config(folder.path(), flags);
    let (library, _) =
        Library::init(config, &root, InitOptions::default(), Arc::new(Silent)).await.unwrap();
    (serving(folder, library, Options::default()).await, wire)
}

#[tokio::test]
async fn a_preview_is_found_downloaded_and_taken_in() {
    let (world, wire) = with_service().await;
    let document = world.json("/openapi.json").await;
    let schema = &document["components"]["schemas"]["preview-list"];

    let before = world.json("/api/v1/previews?q=la+femme&limit=3").await;
    let body = json!({"ids": ["7", "8"], "scan": true});
    let started = world.post("/api/v1/jobs/previews", &body).send().await.unwrap();
    assert_eq!(started.status(), 202);
    let started: Value = started.json().await.unwrap();
    let job = over(&world, started["id"].as_str().unwrap()).await;
    let after = world.json("/api/v1/previews?q=seven").await;

    assert_eq!(wrong(&document, schema, &before, "it"), None);
    assert!(wire.requests()[0].line().contains("term=la+femme"), "{:?}", wire.requests()[0]);
    assert_eq!(before["tracks"][0]["song"], Value::Null);
    assert_eq!((&job["kind"], &job["state"]), (&json!("previews"), &json!("done")), "{job}");
    let result = &job["result"];
    assert_eq!((&result["downloaded"], &result["missing"]), (&json!(1), &json!(["8"])));
    let id = result["tracks"][0]["song"].as_str().unwrap();
    assert_eq!(after["tracks"][0]["song"], id);
    let kept = world.json(&format!("/api/v1/songs/{id}")).await;
    assert_eq!(kept["values"]["title"]["value"], "Seven", "{kept}");
    assert!(world.path("library/previews/Air - Seven [itunes 7].wav").is_file());
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused() {
    let (world, wire) = with_service().await;
    for address in ["/api/v1/previews", "/api/v1/previews?q=+", "/api/v1/previews?q=x&limit=1000"] {
        let (status, code) = problem(world.get(address).send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (400, "invalid_request"), "{address}");
    }
    for body in [
        json!({}),
        json!({"q": "x", "ids": ["7"]}),
        json!({"ids": ["../7"]}),
        json!({"ids": ["7"], "service": "nobody"}),
        json!({"ids": ["7"], "folder": "/etc"}),
        json!({"q": "x", "limit": 0}),
        json!({"q": "x", "limit": 201}),
    ] {
        let request = world.http.request(Method::POST, world.url("/api/v1/jobs/previews"));
        let (status, _) = problem(request.json(&body).send().await.unwrap()).await;
        assert_eq!(status, 400, "{body}");
    }
    assert_eq!(wire.requests().len(), 0);
}
