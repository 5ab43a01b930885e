//! What a browser is shown, and what watches over the server.

use songrec_server::Options;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{problem, world};

#[tokio::test]
async fn the_dashboard_and_its_views_are_one_page() {
    let world = world(0, Options::default()).await;

    let page = world.get("/").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers()["cache-control"], "no-cache");
    let etag = page.headers()["etag"].clone();
    let text = page.text().await.unwrap();
    let view = world.get("/songs/3f9a").send().await.unwrap().text().await.unwrap();
    let known = world.get("/").header("if-none-match", etag).send().await.unwrap();

    assert!(text.contains("<title>") && text == view);
    assert_eq!(known.status(), 304);
    for path in ["/app.js", "/api/v1/nothing", "/api/nothing", "/../Cargo.toml", "/%2e%2e/x.y"] {
        let response = world.get(path).send().await.unwrap();
        assert_eq!(problem(response).await, (404, "no_such_route".to_owned()), "{path}");
    }
    let wrong = world.http.put(world.url("/api/v1/songs")).send().await.unwrap();
    assert_eq!(problem(wrong).await, (405, "method_not_allowed".to_owned()));
}

#[tokio::test]
async fn the_documentation_needs_no_other_host() {
    let world = world(0, Options::default()).await;

    let page = world.get("/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let text = page.text().await.unwrap();
    let script = world.get("/docs/swagger-initializer.js").send().await.unwrap();
    let script = script.text().await.unwrap();

    assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    assert!(script.contains("/openapi.json"), "{script}");
    // The other layout has an inline style, which the policy refuses.
    assert!(script.contains("BaseLayout") && !script.contains("StandaloneLayout\""), "{script}");
    assert_eq!(world.json("/openapi.json").await["openapi"], "3.1.0");
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_can_read_that() {
    let world = world(8, Options::default()).await;
    let ask = || world.get("/api/v1/songs").header("accept-encoding", "gzip");
    let plain = world.get("/api/v1/songs").header("accept-encoding", "identity");

    let packed = ask().send().await.unwrap();
    let plain = plain.send().await.unwrap();

    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(!plain.headers().contains_key("content-encoding"));
    assert_eq!(packed.bytes().await.unwrap()[..2], [0x1f, 0x8b]);
    let id = world.id("Alder").await;
    let audio = world.get(&format!("/api/v1/songs/{id}/audio")).header("accept-encoding", "gzip");
    let audio = audio.send().await.unwrap();
    assert!(!audio.headers().contains_key("content-encoding"), "ranges are of what is stored");
}

#[tokio::test]
async fn connections_that_send_nothing_cost_nobody_theirs() {
    let world = world(0, Options::default()).await;
    let mut kept = TcpStream::connect(world.address).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", world.address);
    let mut quiet = Vec::new();
    for _ in 0..20 {
        for _ in 0..50 {
            quiet.push(TcpStream::connect(world.address).await.unwrap());
        }

        kept.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        kept.read_exact(&mut answer).await.expect("its connection is still there");
        assert_eq!(answer, *b"HTTP/1.1 200");
        while !answer.ends_with(b"ok\n") {
            answer.rotate_left(1);
            answer[11] = kept.read_u8().await.unwrap();
        }
        // And a client that comes after all of them is let in.
        let response = crate::world::client().get(world.url("/healthz")).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn requests_are_counted_by_their_routes() {
    let world = world(1, Options::default()).await;
    let id = world.id("Alder").await;
    world.json(&format!("/api/v1/songs/{id}")).await;

    let text = world.get("/metrics").send().await.unwrap().text().await.unwrap();

    let wanted =
        "songrec_requests_total{method=\"GET\",route=\"/api/v1/songs/{id}\",status=\"200\"} 1";
    assert!(text.contains(wanted), "{text}");
    assert!(!text.contains(&id), "an address is no name of a route");
}
