//! Servers that are not what they seem: how much is read of them, and where
//! nothing is sent to.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::time::Duration;

use songrec_bridge::{Bridge, BridgeConfig, BridgeError, Form, Problem, Token, fetch};
use songrec_testkit::{Wire, temp_dir};

async fn infer(server: &Wire) -> BridgeError {
    let config = BridgeConfig {
        token: Some(Token::new("hush")),
        backoff: Duration::from_millis(1),
        ..BridgeConfig::new(server.endpoint(), Form::Plain, "w2v")
    };
    let bridge = Bridge::new(config).unwrap();
    bridge.infer(&[&[0.0; 100]], 16_000).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut() {
    let endless = Wire::start(|_, mut stream| {
        Wire::begin(&mut stream, "200 OK", &[])?;
        Wire::pour(&mut stream)
    });
    let refusal = Wire::start(|_, mut stream| {
        Wire::begin(&mut stream, "400 Bad Request", &[])?;
        Wire::pour(&mut stream)
    });
    let announced = Wire::start(|_, mut stream| {
        Wire::begin(&mut stream, "200 OK", &[("content-length", "3000000000")])
    });
    let bomb = Wire::bomb(70);
    let packed = Wire::start(move |_, mut stream| {
        Wire::reply(&mut stream, "200 OK", &[("content-encoding", "gzip")], &bomb)
    });
    for server in [endless, refusal, announced, packed] {
        let error = infer(&server).await;

        assert_eq!(error.problem(), Problem::TooMuch, "{error}");
        assert!(error.to_string().contains("64 MiB"), "{error}");
        assert!(error.to_string().contains(&server.endpoint()), "{error}");
        assert!(error.hint().contains("`url`"), "{}", error.hint());
        assert_eq!(server.requests().len(), 1, "asking again would be as much");
    }
}

#[tokio::test]
async fn a_token_is_not_taken_elsewhere() {
    let other = Wire::silent();
    let to = other.endpoint();
    let server = Wire::start(move |_, mut stream| {
        Wire::reply(&mut stream, "302 Found", &[("location", &to)], b"")
    });

    let error = infer(&server).await;

    assert_eq!(error.problem(), Problem::NotThere, "{error}");
    assert!(error.to_string().contains(&other.endpoint()), "{error}");
    assert_eq!(other.requests().len(), 0);
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer hush"));
}

#[tokio::test]
async fn a_password_in_an_address_is_refused_without_showing_it() {
    let config = BridgeConfig::new("https://me:hush@host", Form::Plain, "w2v");
    let folder = temp_dir();

    let shown = format!("{config:?}");
    let bridge = Bridge::new(config).unwrap_err();
    let to = folder.path().join("x");
    let fetched = fetch("https://me:hush@host/x", &to, 1, |_| ()).await.unwrap_err();

    assert_eq!((bridge.problem(), fetched.problem()), (Problem::Config, Problem::Config));
    for text in [shown, format!("{bridge} {bridge:?}"), format!("{fetched} {fetched:?}")] {
        assert!(text.contains("(hidden)") && !text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn a_file_comes_from_the_server_that_was_named() {
    let other = Wire::silent();
    let elsewhere = format!("{}/x?signature=hush", other.endpoint());
    let server = Wire::start(move |request, mut stream| {
        let to = match request.line() {
            "GET /moved HTTP/1.1" => "/file",
            "GET /elsewhere HTTP/1.1" => elsewhere.as_str(),
            _ => return Wire::reply(&mut stream, "200 OK", &[], b"weights"),
        };
        Wire::reply(&mut stream, "302 Found", &[("location", to)], b"")
    });
    let folder = temp_dir();
    let get = async |from: &str| {
        let to = folder.path().join("file");
        let found = fetch(&format!("{}/{from}", server.endpoint()), &to, 1_000, |_| ()).await;
        (found, std::fs::read(&to))
    };

    let (error, file) = get("elsewhere").await;
    let error = error.unwrap_err();
    assert_eq!(error.problem(), Problem::Refused);
    assert!(error.to_string().contains(&format!("{}/x`", other.endpoint())), "{error}");
    assert!(file.is_err() && other.requests().is_empty());

    let (found, file) = get("moved").await;
    assert!(found.unwrap());
    assert_eq!(file.unwrap(), b"weights");
}

#[tokio::test]
async fn a_file_is_not_larger_than_it_may_be() {
    let bomb = Wire::bomb(3);
    let server = Wire::start(move |request, mut stream| match request.line() {
        "GET /announced HTTP/1.1" => {
            Wire::begin(&mut stream, "200 OK", &[("content-length", "3000000000")])
        }
        "GET /packed HTTP/1.1" => {
            Wire::reply(&mut stream, "200 OK", &[("content-encoding", "gzip")], &bomb)
        }
        _ => {
            Wire::begin(&mut stream, "200 OK", &[])?;
            Wire::pour(&mut stream)
        }
    });
    let folder = temp_dir();
    for from in ["announced", "packed", "endless"] {
        let to = folder.path().join(from);
        let url = format!("{}/{from}", server.endpoint());

        let error = fetch(&url, &to, 1 << 20, |_| ()).await.unwrap_err();

        assert_eq!(error.problem(), Problem::Garbage, "{error}");
        assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
        let written = std::fs::metadata(&to).map_or(0, |file| file.len());
        assert!(written <= 1 << 20, "{written}");
    }
}
