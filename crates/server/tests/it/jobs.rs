//! Long work: its progress, its end, and the end of the server.

use serde_json::{Value, json};
use songrec_server::Options;

use crate::{
    every::over,
    world::{World, problem, song, world},
};

async fn start(world: &World, kind: &str, body: Value) -> String {
    let response = world.post(&format!("/api/v1/jobs/{kind}"), &body).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let place = response.headers()["location"].to_str().unwrap().to_owned();
    let job: Value = response.json().await.unwrap();
    assert_eq!(place, format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()));
    job["id"].as_str().unwrap().to_owned()
}

fn many_files(world: &World, count: usize) -> String {
    let folder = world.path("more");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..count {
        // Each of another length, so that no two are the same recording.
        let mut bytes = song(number % 9, &format!("Song {number}"));
        bytes.extend(vec![0; number]);
        let file = crate::world::wav(
            8_000,
            (0..8_000 + 10 * number).map(|i| ((i * (number + 3)) % 251) as i16 * 80),
            &format!("Song {number}"),
        );
        std::fs::write(folder.join(format!("{number}.wav")), file).unwrap();
    }
    folder.display().to_string()
}

// The events of a stream: their names, numbers and documents.
fn events(text: &str) -> Vec<(String, u64, Value)> {
    let event = |block: &str| {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim_start_matches(':').trim().to_owned())
        };
        Some((
            field("event")?,
            field("id")?.parse().ok()?,
            serde_json::from_str(&field("data")?).ok()?,
        ))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn a_scan_tells_what_it_finds_and_a_client_can_look_on_later() {
    let world = world(0, Options::default()).await;
    let folder = many_files(&world, 6);
    std::fs::write(world.path("more/broken.wav"), "no audio").unwrap();

    let id = start(&world, "scan", json!({ "path": folder })).await;
    let path = format!("/api/v1/jobs/{id}/events");
    let text = world.get(&path).send().await.unwrap().text().await.unwrap();

    let told = events(&text);
    let count = |name: &str| told.iter().filter(|(event, _, _)| event == name).count();
    assert_eq!(count("item"), 7, "{text}");
    assert_eq!(count("end"), 1);
    let (last, number, job) = told.last().unwrap();
    assert_eq!(last, "end");
    assert_eq!(job["state"], "done");
    assert_eq!(job["result"]["added"], 6);
    assert_eq!(job["counts"]["added"], 6);
    let failed = told.iter().find(|(_, _, data)| data["type"] == "failed").unwrap();
    assert!(failed.2["path"].as_str().unwrap().ends_with("broken.wav"));
    let resumed = world.get(&path).header("last-event-id", (number - 2).to_string());
    let resumed = events(&resumed.send().await.unwrap().text().await.unwrap());
    assert_eq!(resumed.iter().map(|event| event.1).collect::<Vec<_>>(), [number - 1, *number]);
}

#[tokio::test]
async fn a_job_that_is_ended_keeps_what_it_did() {
    let world = world(0, Options::default()).await;
    let folder = many_files(&world, 60);

    let id = start(&world, "scan", json!({ "path": folder })).await;
    let waiting = start(&world, "verify", json!({})).await;
    let path = format!("/api/v1/jobs/{id}");
    let ended = world.http.delete(world.url(&path)).send().await.unwrap();
    assert_eq!(ended.status(), 202);
    let job = over(&world, &id).await;
    let next = over(&world, &waiting).await;

    assert_eq!(job["state"], "cancelled", "{job}");
    let added = job["result"]["added"].as_u64().unwrap_or(0);
    assert!(added < 60, "{job}");
    assert_eq!(world.json("/api/v1/songs").await["total"], added);
    assert_eq!(next["state"], "done", "{next}");
    assert_eq!(next["result"]["findings"], json!([]));
}

#[tokio::test]
async fn jobs_that_wait_are_bounded() {
    let world = world(0, Options::default()).await;
    let folder = many_files(&world, 40);
    start(&world, "scan", json!({ "path": folder })).await;
    let mut refused = 0;
    for _ in 0..20 {
        let response = world.post("/api/v1/jobs/verify", &json!({})).send().await.unwrap();
        if response.status() != 202 {
            assert_eq!(problem(response).await, (429, "too_many_jobs".to_owned()));
            refused += 1;
        }
    }
    assert!(refused > 0);
    for job in world.json("/api/v1/jobs").await["jobs"].as_array().unwrap() {
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
        world.http.delete(world.url(&path)).send().await.unwrap();
    }
}

#[tokio::test]
async fn the_server_ends_after_its_jobs_have_reached_a_safe_point() {
    let world = world(0, Options::default()).await;
    let folder = many_files(&world, 60);
    let id = start(&world, "scan", json!({ "path": folder })).await;
    let events = world.get(&format!("/api/v1/jobs/{id}/events")).send().await.unwrap();
    let library = world.library.clone();

    let folder = world.end().await;

    let text = events.text().await.unwrap();
    assert!(text.contains("event: end"), "who looks on is told: {text}");
    let options = songrec_library::VerifyOptions { repair: false, read_data: true };
    let job = songrec_core::Job::silent();
    let findings = songrec_library::verify(&library, &options, &job).await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    drop(folder);
}

#[tokio::test]
async fn what_a_job_is_asked_is_looked_at_before_it_starts() {
    let world = world(0, Options::default()).await;
    for (kind, body) in [
        ("scan", json!({})),
        ("scan", json!({"path": "relative/folder"})),
        ("scan", json!({"path": "/", "unknown": 1})),
        ("cluster", json!({"k": 0})),
        ("cluster", json!({"method": "magic"})),
        ("map", json!({"dims": 4})),
        ("map", json!([null, null])),
        ("verify", json!([true, false])),
        ("anomalies", json!({"method": "magic"})),
        ("sync", json!({"max_delete": "many"})),
        ("gc", json!({"older_than": 0})),
        ("gc", json!({"older_than": 100_001})),
        ("eval", json!({"by": "bpm"})),
        ("eval", json!({"queries": 0})),
    ] {
        let response = world.post(&format!("/api/v1/jobs/{kind}"), &body).send().await.unwrap();
        assert_eq!(problem(response).await, (400, "invalid_request".to_owned()), "{kind} {body}");
    }
    let old = world.post("/api/v1/trash/empty", &json!({"older_than": 100_001})).send().await;
    assert_eq!(problem(old.unwrap()).await, (400, "invalid_request".to_owned()));
    assert_eq!(world.json("/api/v1/jobs").await["jobs"], json!([]));
    // A folder is no name of a library over HTTP.
    let folder = world.path("elsewhere");
    let response = world.post("/api/v1/jobs/migrate", &json!({ "to": folder })).send().await;
    assert_eq!(problem(response.unwrap()).await.0, 404);
    assert!(!folder.exists());
}

#[tokio::test]
async fn neighbors_are_measured_and_garbage_is_counted() {
    let world = world(8, Options::default()).await;

    let id = start(&world, "eval", json!({"by": "folder", "queries": 4})).await;
    let eval = over(&world, &id).await;
    assert_eq!((&eval["result"]["by"], &eval["result"]["queries"]), (&json!("folder"), &json!(4)));
    assert!(eval["result"]["models"][0]["precision_at_1"]["mean"].is_number(), "{eval}");
    let id = start(&world, "gc", json!({"dry_run": true})).await;
    let garbage = over(&world, &id).await;
    assert_eq!(garbage["result"], json!({"would_remove": 0, "bytes": 0}));
    let id = start(&world, "gc", json!({})).await;
    assert_eq!(over(&world, &id).await["result"], json!({"removed": 0, "bytes": 0}));
}
