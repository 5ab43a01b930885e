//! Who is let in.

use reqwest::Method;
use serde_json::{Value, json};
use songrec_server::{Options, Token};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{World, problem, world};

const TOKEN: &str = "a-token-that-nobody-guesses";

fn with_token() -> Options {
    Options { token: Some(Token::new(TOKEN).unwrap()), ..Options::default() }
}

// Sends these lines as they are; gives the first line of the answer and the rest.
async fn raw(world: &World, lines: &[&str]) -> (String, String) {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (first, rest) = answer.split_once("\r\n").unwrap();
    (first.to_owned(), rest.to_owned())
}

#[tokio::test]
async fn without_the_token_nothing_is_told_of_the_library() {
    let world = world(1, with_token()).await;
    let document = world.json("/openapi.json").await;
    let open = ["/healthz", "/readyz", "/version", "/api/v1/session"];
    let mut refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            if open.contains(&path.as_str()) {
                continue;
            }
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let request = world.http.request(method, world.url(path)).json(&json!({}));

            let (status, code) = problem(request.send().await.unwrap()).await;

            assert_eq!((status, code.as_str()), (401, "no_token"), "{path}");
            refused += 1;
        }
    }
    assert!(refused > 40, "only {refused}");
    let session = world.json("/api/v1/session").await;
    assert_eq!(session["needed"], true);
    assert_eq!(session["authenticated"], false);
    assert_eq!(session["library"], Value::Null, "where it is, is nothing for strangers");
    assert_eq!(world.get("/").send().await.unwrap().status(), 200, "the page can ask for it");
}

#[tokio::test]
async fn the_token_or_the_cookie_that_stands_for_it_lets_in() {
    let world = world(1, with_token()).await;
    let songs = "/api/v1/songs";
    let bearer = |token: &str| world.get(songs).bearer_auth(token.to_owned());

    assert_eq!(bearer(TOKEN).send().await.unwrap().status(), 200);
    for wrong in ["", "a-token-that-nobody-guesse", "a-token-that-nobody-guessesx"] {
        assert_eq!(bearer(wrong).send().await.unwrap().status(), 401, "{wrong}");
    }
    let wrong = world.post("/api/v1/session", &json!({"token": "something else"})).send().await;
    assert_eq!(problem(wrong.unwrap()).await.0, 401);
    let right = world.post("/api/v1/session", &json!({ "token": TOKEN })).send().await.unwrap();
    assert_eq!(right.status(), 204);
    let cookie = right.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(TOKEN), "the cookie is not the token");
    let pair = cookie.split(';').next().unwrap();
    let with_cookie = |cookie: String| world.get(songs).header("cookie", cookie);
    assert_eq!(with_cookie(format!("x=y; {pair}")).send().await.unwrap().status(), 200);
    assert_eq!(with_cookie(format!("{pair}0")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_name_that_points_here_is_not_enough() {
    let world = world(0, Options::default()).await;
    let ask = |host: &'static str| {
        let world = &world;
        async move { raw(world, &["GET /api/v1/songs HTTP/1.1", host]).await.0 }
    };

    assert_eq!(ask("Host: localhost:8001").await, "HTTP/1.1 200 OK");
    assert_eq!(ask("Host: [::1]:8001").await, "HTTP/1.1 200 OK");
    assert!(ask("Host: rebound.example").await.contains("421"));
    assert!(ask("Host: 127.0.0.1.rebound.example:8001").await.contains("421"));
    assert!(ask("X: no host at all").await.contains("4"), "hyper or the guard refuses");
    let absolute = ["GET http://rebound.example/api/v1/songs HTTP/1.1", "Host: localhost"];
    assert!(raw(&world, &absolute).await.0.contains("421"), "the address counts");
}

#[tokio::test]
async fn a_name_that_was_allowed_is_let_in() {
    let options = Options { hosts: vec!["studio.local".to_owned()], ..Options::default() };
    let world = world(0, options).await;

    let named = raw(&world, &["GET /api/v1/songs HTTP/1.1", "Host: Studio.local:8001"]).await;
    let other = raw(&world, &["GET /api/v1/songs HTTP/1.1", "Host: other.local"]).await;

    assert_eq!(named.0, "HTTP/1.1 200 OK");
    assert!(other.0.contains("421"), "{}", other.0);
}

#[tokio::test]
async fn what_another_site_sends_is_refused() {
    let listed = "https://music.example";
    let options = Options { origins: vec![listed.to_owned()], ..Options::default() };
    let world = world(1, options).await;
    let own = format!("http://{}", world.address);
    let send = |origin: &str, site: Option<&str>| {
        let request = world.post("/api/v1/explain", &json!({})).header("origin", origin);
        site.into_iter().fold(request, |request, site| request.header("sec-fetch-site", site))
    };
    let status = |request: reqwest::RequestBuilder| async {
        request.send().await.unwrap().status().as_u16()
    };

    // It comes in, and means nothing.
    assert_eq!(status(send(&own, None)).await, 400);
    assert_eq!(status(send(&own, Some("same-origin"))).await, 400);
    assert_eq!(status(send(listed, Some("cross-site"))).await, 400);
    for (origin, site) in [
        ("https://evil.example", None),
        ("null", None),
        ("https://evil.example", Some("cross-site")),
        ("http://127.0.0.1:1", Some("same-site")),
    ] {
        let (status, code) = problem(send(origin, site).send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (403, "other_site"), "{origin}");
    }
    // A picture on a page elsewhere would be shown there, and a link to the page is fine.
    let picture = world.get("/api/v1/songs").header("sec-fetch-site", "cross-site");
    assert_eq!(status(picture.header("sec-fetch-mode", "no-cors")).await, 403);
    let link = world.get("/").header("sec-fetch-site", "cross-site");
    assert_eq!(status(link.header("sec-fetch-mode", "navigate")).await, 200);
}

#[tokio::test]
async fn a_listed_origin_may_read_answers_and_others_may_not() {
    let listed = "https://music.example";
    let options = Options { origins: vec![listed.to_owned()], ..Options::default() };
    let world = world(0, options).await;
    let ask = |origin: &str| world.get("/api/v1/songs").header("origin", origin.to_owned());

    let allowed = ask(listed).send().await.unwrap();
    let other = ask("https://evil.example").send().await.unwrap();
    let before = world
        .http
        .request(Method::OPTIONS, world.url("/api/v1/songs"))
        .header("origin", listed)
        .header("access-control-request-method", "POST")
        .send()
        .await
        .unwrap();

    assert_eq!(allowed.headers()["access-control-allow-origin"], listed);
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    assert_eq!(before.status(), 204);
    assert!(before.headers()["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = world(0, Options::default()).await;

    for path in ["/", "/api/v1/songs", "/nothing/at.all", "/docs/", "/healthz"] {
        let response = world.get(path).send().await.unwrap();
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
    }
}

#[tokio::test]
async fn it_does_not_open_to_others_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("library");
    let library = crate::world::local_library(&root, folder.path()).await;

    let address = "0.0.0.0:0".parse().unwrap();
    let stop = std::future::ready(());
    let refused =
        songrec_server::serve(library, Options::default(), address, |_| panic!("open"), stop).await;

    assert!(matches!(refused, Err(songrec_server::ServeError::NoToken(_))));
}
