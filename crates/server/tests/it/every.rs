//! Every address of the OpenAPI document, once, in an order that works; and that the
//! document says what they answer.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use songrec_server::Options;

use crate::{
    schema::wrong,
    world::{World, form, problem, song, world},
};

/// One request: which operation of the document it is of, and what it should answer.
struct Example {
    method: Method,
    path: &'static str,
    /// The address, with `{a}`, `{b}` and `{job}` in place of two songs and a job.
    address: &'static str,
    body: Body,
    status: u16,
}

enum Body {
    None,
    Json(Value),
    File,
    Playlist,
}

fn read(path: &'static str, address: &'static str) -> Example {
    Example { method: Method::GET, path, address, body: Body::None, status: 200 }
}

fn write(method: Method, path: &'static str, address: &'static str, body: Value) -> Example {
    Example { method, path, address, body: Body::Json(body), status: 200 }
}

fn job(path: &'static str, body: Value) -> Example {
    Example { status: 202, ..write(Method::POST, path, path, body) }
}

// In an order in which each finds what it needs.
fn examples(audio: &str) -> Vec<Example> {
    let file = |path, address, status| Example {
        method: Method::POST,
        path,
        address,
        body: Body::File,
        status,
    };
    let song = "/api/v1/songs/{id}";
    vec![
        read("/healthz", "/healthz"),
        read("/readyz", "/readyz"),
        read("/version", "/version"),
        read("/api/v1/version", "/api/v1/version"),
        read("/api/v1/session", "/api/v1/session"),
        Example {
            status: 204,
            ..write(
                Method::POST,
                "/api/v1/session",
                "/api/v1/session",
                json!({"token": "none is needed"}),
            )
        },
        read("/api/v1/songs", "/api/v1/songs?filter=duration:0..10&sort=title&desc=true&limit=3"),
        read(song, "/api/v1/songs/{a}"),
        read("/api/v1/songs/{id}/audio", "/api/v1/songs/{a}/audio"),
        // These files have no pictures; `sound.rs` has some that do.
        Example { status: 404, ..read("/api/v1/songs/{id}/artwork", "/api/v1/songs/{a}/artwork") },
        read("/api/v1/songs/{id}/waveform", "/api/v1/songs/{a}/waveform?points=50"),
        read("/api/v1/songs/{id}/spectrogram", "/api/v1/songs/{a}/spectrogram?width=40&height=20"),
        read("/api/v1/songs/{id}/embedding", "/api/v1/songs/{a}/embedding"),
        read("/api/v1/songs/{id}/similar", "/api/v1/songs/{a}/similar?k=3&explain=true"),
        write(
            Method::POST,
            "/api/v1/similar",
            "/api/v1/similar",
            json!({"like": [{"song": "{a}"}], "unlike": [{"song": "{b}", "weight": 0.3}], "k": 2}),
        ),
        write(Method::POST, "/api/v1/explain", "/api/v1/explain", json!({"a": "{a}", "b": "{b}"})),
        file("/search", "/search?n_results=2", 200),
        read("/stats", "/stats"),
        read("/search-by-filters", "/search-by-filters?limit=2"),
        read("/api/v1/stats", "/api/v1/stats"),
        read("/api/v1/filters", "/api/v1/filters"),
        read("/api/v1/duplicates", "/api/v1/duplicates?near=0.5&any_length=true"),
        read("/api/v1/models", "/api/v1/models"),
        read("/api/v1/doctor", "/api/v1/doctor"),
        read("/api/v1/status", "/api/v1/status"),
        write(
            Method::PATCH,
            song,
            "/api/v1/songs/{a}",
            json!({"set": {"genre": ["Techno", "House"], "bpm": 128, "loop": true}}),
        ),
        Example {
            method: Method::DELETE,
            status: 204,
            ..read("/api/v1/songs/{id}/embedding", "/api/v1/songs/{a}/embedding?model=dsp45")
        },
        Example {
            status: 204,
            ..write(
                Method::PUT,
                "/api/v1/songs/{id}/embedding",
                "/api/v1/songs/{a}/embedding?model=dsp45",
                json!({"vector": (0..45).collect::<Vec<u8>>()}),
            )
        },
        read("/api/v1/songs/{id}/history", "/api/v1/songs/{a}/history"),
        job("/api/v1/jobs/cluster", json!({"k": 2})),
        read("/api/v1/jobs/{id}/events", "/api/v1/jobs/{job}/events"),
        read("/api/v1/jobs/{id}", "/api/v1/jobs/{job}"),
        read("/api/v1/jobs", "/api/v1/jobs"),
        read("/api/v1/clusters", "/api/v1/clusters"),
        read("/api/v1/clusters/{name}", "/api/v1/clusters/0"),
        write(
            Method::PATCH,
            "/api/v1/clusters/{name}",
            "/api/v1/clusters/0",
            json!({"name": "trees"}),
        ),
        job("/api/v1/jobs/map", json!({"method": "pca"})),
        read("/api/v1/map", "/api/v1/map?method=pca&color=cluster"),
        read("/api/v1/map/songs", "/api/v1/map/songs?method=pca&color=cluster&limit=2"),
        job("/api/v1/jobs/anomalies", json!({})),
        job("/api/v1/analysis/anomalies", json!({})),
        read("/api/v1/anomalies", "/api/v1/anomalies?contamination=0.2"),
        Example { method: Method::DELETE, ..read("/api/v1/clusters", "/api/v1/clusters") },
        write(
            Method::POST,
            "/api/v1/radio",
            "/api/v1/radio",
            json!({"like": ["{a}"], "length": 3, "spacing": {"artist": 1}, "playlist": "Queue"}),
        ),
        read("/api/v1/path", "/api/v1/path?a={a}&b={b}&length=4"),
        Example {
            status: 201,
            ..write(
                Method::POST,
                "/api/v1/playlists",
                "/api/v1/playlists",
                json!({"name": "Mine", "songs": ["{a}"]}),
            )
        },
        Example {
            method: Method::POST,
            path: "/api/v1/import/playlist",
            address: "/api/v1/import/playlist",
            body: Body::Playlist,
            status: 201,
        },
        read("/api/v1/playlists", "/api/v1/playlists"),
        write(
            Method::POST,
            "/api/v1/playlists/{id}/songs",
            "/api/v1/playlists/mine/songs",
            json!({"songs": ["{b}", "{a}"], "at": 1}),
        ),
        write(
            Method::PATCH,
            "/api/v1/playlists/{id}",
            "/api/v1/playlists/mine",
            json!({"name": "Yours"}),
        ),
        read("/api/v1/playlists/{id}", "/api/v1/playlists/yours?limit=2&offset=1"),
        read("/api/v1/playlists/{id}/export", "/api/v1/playlists/yours/export?format=jspf"),
        Example {
            method: Method::DELETE,
            ..read(
                "/api/v1/playlists/{id}/songs",
                "/api/v1/playlists/yours/songs?entry=00000000&entry=11111111",
            )
        },
        Example {
            method: Method::DELETE,
            ..read("/api/v1/playlists/{id}", "/api/v1/playlists/yours")
        },
        write(
            Method::POST,
            "/api/v1/patterns",
            "/api/v1/patterns",
            json!({"patterns": [{"id": PATTERN, "song": "{a}", "start": 0, "end": 0.2,
                "kind": "harmonic", "low": 20, "high": 80, "metadata": {"bar": 7}},
                {"song": "nowhere", "start": 0, "end": 1, "kind": "x"}]}),
        ),
        read(
            "/api/v1/patterns",
            "/api/v1/patterns?song={a}&kind=harmonic&kind=x&from=0&low=9&sort=end",
        ),
        write(
            Method::POST,
            "/api/v1/patterns/query",
            "/api/v1/patterns/query",
            json!({"song": ["{a}"], "confidence": 0.5, "features": true, "desc": true}),
        ),
        write(
            Method::POST,
            "/api/v1/patterns/similar",
            "/api/v1/patterns/similar",
            json!({"song": "{b}", "start": 0, "end": 0.2, "k": 3, "among": {"low": 10}}),
        ),
        read("/api/v1/patterns/{id}", "/api/v1/patterns/11111111-1111-4111-8111-111111111111"),
        write(
            Method::PATCH,
            "/api/v1/patterns/{id}",
            "/api/v1/patterns/11111111-1111-4111-8111-111111111111",
            json!({"kind": "chord", "metadata": {"bar": null}}),
        ),
        Example {
            method: Method::DELETE,
            ..read("/api/v1/patterns/{id}", "/api/v1/patterns/11111111-1111-4111-8111-111111111111")
        },
        write(Method::POST, "/api/v1/synths", "/api/v1/synths", json!({"source": SYNTHS})),
        read("/api/v1/synths", "/api/v1/synths?q=a&category=bass&gate=true&limit=2&offset=0"),
        read("/api/v1/synths/{id}", "/api/v1/synths/fatBass"),
        write(
            Method::PATCH,
            "/api/v1/synths/{id}",
            "/api/v1/synths/fatBass",
            json!({"category": "lead", "notes": "loud", "extra": {"author": "me"}}),
        ),
        write(
            Method::POST,
            "/api/v1/synths/{id}/parents",
            "/api/v1/synths/softPad/parents",
            json!({"parent": "fatBass", "weight": 0.25}),
        ),
        read("/api/v1/synths/{id}/lineage", "/api/v1/synths/softPad/lineage?way=up"),
        Example {
            method: Method::DELETE,
            ..read("/api/v1/synths/{id}/parents/{parent}", "/api/v1/synths/softPad/parents/fatBass")
        },
        Example { method: Method::DELETE, ..read("/api/v1/synths/{id}", "/api/v1/synths/softPad") },
        Example { method: Method::DELETE, ..read(song, "/api/v1/songs/{b}") },
        read("/api/v1/trash", "/api/v1/trash"),
        write(
            Method::POST,
            "/api/v1/trash/restore",
            "/api/v1/trash/restore",
            json!({"songs": ["{b}"]}),
        ),
        write(Method::POST, "/api/v1/trash/empty", "/api/v1/trash/empty", json!({"dry_run": true})),
        read("/api/v1/conflicts", "/api/v1/conflicts"),
        read("/api/v1/conflicts/{id}", "/api/v1/conflicts/{a}"),
        Example {
            status: 204,
            ..write(
                Method::POST,
                "/api/v1/conflicts/{id}/resolve",
                "/api/v1/conflicts/{a}/resolve",
                json!({}),
            )
        },
        read("/api/v1/machines", "/api/v1/machines"),
        read("/api/v1/remotes", "/api/v1/remotes"),
        // No service is asked that is not on this machine; `previews.rs` has one that is.
        Example {
            status: 400,
            ..read("/api/v1/previews", "/api/v1/previews?q=air&service=nobody")
        },
        Example {
            status: 400,
            ..job("/api/v1/jobs/previews", json!({"q": "air", "service": "nobody"}))
        },
        // The settings of this world name no other library.
        Example {
            status: 404,
            ..write(
                Method::POST,
                "/api/v1/sync/plan",
                "/api/v1/sync/plan",
                json!({"with": "elsewhere"}),
            )
        },
        Example {
            status: 404,
            ..write(
                Method::POST,
                "/api/v1/machines/{id}/retire",
                "/api/v1/machines/none/retire",
                json!({}),
            )
        },
        Example { status: 404, ..job("/api/v1/jobs/sync", json!({"with": "elsewhere"})) },
        Example { status: 404, ..job("/api/v1/jobs/migrate", json!({"to": "elsewhere"})) },
        job("/api/v1/jobs/verify", json!({"read_data": true})),
        job("/api/v1/jobs/gc", json!({"dry_run": true})),
        Example { status: 400, ..job("/api/v1/jobs/gc", json!({"older_than": 0})) },
        job("/api/v1/jobs/eval", json!({"by": "genre", "queries": 5})),
        Example { status: 400, ..job("/api/v1/jobs/eval", json!({"by": "bpm"})) },
        Example { status: 404, ..job("/api/v1/jobs/check", json!({"with": "elsewhere"})) },
        job("/api/v1/jobs/scan", json!({"path": audio})),
        Example {
            method: Method::DELETE,
            status: 202,
            ..read("/api/v1/jobs/{id}", "/api/v1/jobs/{job}")
        },
        file("/api/v1/songs", "/api/v1/songs", 201),
        file("/api/v1/songs", "/api/v1/songs", 409),
        read("/metrics", "/metrics"),
    ]
}

const SYNTHS: &str = "SynthDef(\\fatBass, { |gate = 1, freq| Out.ar(0, Saw.ar(freq) ! 2) }).add;
SynthDef(\\softPad, { |freq = 440| Out.ar(0, Saw.ar(freq)) }).add";
const PATTERN: &str = "11111111-1111-4111-8111-111111111111";

#[tokio::test]
async fn every_operation_is_described_and_answers_as_described() {
    let world = world(8, Options::default()).await;
    let document = world.json("/openapi.json").await;
    let (a, b) = (world.id("Alder").await, world.id("Birch").await);
    let mut job = String::new();
    let mut asked = BTreeSet::new();
    for example in examples(&world.path("audio").display().to_string()) {
        asked.insert((example.method.as_str().to_ascii_lowercase(), example.path));
        let fill = |text: &str| text.replace("{a}", &a).replace("{b}", &b).replace("{job}", &job);
        let request = world.http.request(example.method.clone(), world.url(&fill(example.address)));
        let request = match &example.body {
            Body::None => request,
            Body::Json(body) => {
                request.header("content-type", "application/json").body(fill(&body.to_string()))
            }
            Body::File => {
                let sent = song(20, "Willow");
                let (content_type, body) = form(Some(("willow.wav", &sent)), &[]);
                request.header("content-type", content_type).body(body)
            }
            Body::Playlist => {
                let (content_type, body) = form(Some(("read.m3u8", b"Alder.wav\nnone.wav")), &[]);
                request.header("content-type", content_type).body(body)
            }
        };
        let what = format!("{} {}", example.method, example.address);
        let response = request.send().await.unwrap();
        let answer = check(&document, &example, &what, response).await;
        if example.status == 202 && example.method == Method::POST {
            job = answer["id"].as_str().unwrap().to_owned();
            over(&world, &job).await;
        }
    }

    let described: BTreeSet<(String, &str)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations
                .as_object()
                .unwrap()
                .keys()
                .map(move |method| (method.clone(), path.as_str()))
        })
        .collect();
    assert_eq!(asked, described, "each operation has an example here");
}

// That an answer is one that the document describes; its document, if it has one.
async fn check(
    document: &Value,
    example: &Example,
    what: &str,
    response: reqwest::Response,
) -> Value {
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").cloned();
    let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
    let bytes = response.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(status, example.status, "{what}: {text}");
    let method = example.method.as_str().to_ascii_lowercase();
    let operation = &document["paths"][example.path][&method];
    let described = match operation["responses"].get(status.to_string()) {
        Some(described) => described.clone(),
        None => document["components"]["responses"]["problem"].clone(),
    };
    let Some(content_type) = content_type else {
        assert!(bytes.is_empty() && described["content"].is_null(), "{what}: {text}");
        return Value::Null;
    };
    let essence = content_type.split(';').next().unwrap().trim().to_owned();
    let kinds = described["content"].as_object().unwrap_or_else(|| panic!("{what}: {described}"));
    let kind = kinds.iter().find(|(kind, _)| {
        **kind == essence || kind.strip_suffix("/*").is_some_and(|all| essence.starts_with(all))
    });
    let (_, kind) = kind.unwrap_or_else(|| panic!("{what}: `{essence}` is not described"));
    if !essence.ends_with("json") {
        return Value::Null;
    }
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(wrong(document, &kind["schema"], &answer, "it"), None, "{what}: {answer}");
    answer
}

/// Waits until a job is over, by its events; gives it.
pub(crate) async fn over(world: &World, job: &str) -> Value {
    let events = world.get(&format!("/api/v1/jobs/{job}/events")).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    events.text().await.unwrap();
    world.json(&format!("/api/v1/jobs/{job}")).await
}

#[tokio::test]
async fn nothing_can_be_changed_where_the_server_only_reads() {
    let options = Options { read_only: true, ..Options::default() };
    let world = world(2, options).await;
    let document = world.json("/openapi.json").await;
    // They answer, and change nothing.
    let asking = [
        "/api/v1/similar",
        "/api/v1/patterns/query",
        "/api/v1/patterns/similar",
        "/api/v1/radio",
        "/api/v1/explain",
        "/search",
        "/api/v1/session",
        "/api/v1/sync/plan",
    ];
    let mut refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "get") {
            if asking.contains(&path.as_str()) {
                continue;
            }
            let address = path.replace("{id}", "00000000").replace("{name}", "0");
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let request = world.http.request(method, world.url(&address)).json(&json!({}));

            let (status, code) = problem(request.send().await.unwrap()).await;

            assert_eq!((status, code.as_str()), (403, "read_only"), "{path}");
            refused += 1;
        }
    }
    assert!(refused > 10, "only {refused}");
    assert_eq!(world.json("/api/v1/session").await["read_only"], true);
}

#[test]
fn the_document_is_the_one_that_is_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let now = format!("{}\n", serde_json::to_string_pretty(&songrec_server::document()).unwrap());
    if std::env::var_os("SONGREC_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &now).unwrap();
    }

    let committed = std::fs::read_to_string(path).unwrap_or_default();

    assert!(
        committed == now,
        "the addresses have changed: `SONGREC_WRITE_OPENAPI=1 cargo test -p songrec-server \
         the_document` writes the document again; look at what it changes for clients"
    );
}

#[test]
fn every_reference_of_the_document_points_somewhere() {
    let document = songrec_server::document();
    let mut stack = vec![&document];
    let mut seen = 0;
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "`{reference}` points nowhere");
                    seen += 1;
                }
                stack.extend(object.values());
            }
            Value::Array(values) => stack.extend(values),
            _ => {}
        }
    }
    assert!(seen > 100, "only {seen}");
}
