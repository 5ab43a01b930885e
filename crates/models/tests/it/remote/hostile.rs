//! Servers that are not what they seem: how much is read of them, and where
//! nothing is sent to.

use std::time::Duration;

use songrec_models::remote::{Client, ClientConfig, Form, Problem, RemoteError, Token, fetch};
use songrec_testkit::{Wire, temp_dir};

async fn infer(server: &Wire) -> RemoteError {
    let config = ClientConfig {
        token: Some(Token::new("hush")),
        backoff: Duration::from_millis(1),
        ..ClientConfig::new(server.endpoint(), Form::Plain, "w2v")
    };
    let client = Client::new(config).unwrap();
    client.infer(&[&[0.0; 100]], 16_000).await.unwrap_err()
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
    let config = ClientConfig::new("https://me:hush@host", Form::Plain, "w2v");
    let folder = temp_dir();

    let shown = format!("{config:?}");
    let client = Client::new(config).unwrap_err();
    let to = folder.path().join("x");
    let fetched = fetch("https://me:hush@host/x", &to, 1, |_| ()).await.unwrap_err();

    assert_eq!((client.problem(), fetched.problem()), (Problem::Config, Problem::Config));
    for text in [shown, format!("{client} {client:?}"), format!("{fetched} {fetched:?}")] {
        assert!(text.contains("(hidden)") && !text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn a_file_may_come_from_another_server_which_learns_nothing() {
    let other = Wire::start(|request, mut stream| match request.line() {
        "GET /x?signature=1 HTTP/1.1" => Wire::reply(&mut stream, "200 OK", &[], b"weights"),
        _ => Wire::reply(&mut stream, "404 Not Found", &[], b""),
    });
    let elsewhere = format!("{}/x?signature=1", other.endpoint());
    let server = Wire::start(move |request, mut stream| {
        let to = match request.line() {
            "GET /moved HTTP/1.1" => "/elsewhere",
            "GET /elsewhere HTTP/1.1" | "GET /elsewhere?key=hush HTTP/1.1" => elsewhere.as_str(),
            "GET /round HTTP/1.1" => "/round",
            "GET /script HTTP/1.1" => "ftp://127.0.0.1/x?signature=hush",
            _ => "http://me:hush@127.0.0.1:9/x",
        };
        Wire::reply(&mut stream, "302 Found", &[("location", to)], b"")
    });
    let folder = temp_dir();
    let get = async |from: &str| {
        let to = folder.path().join("file");
        let found = fetch(&format!("{}/{from}", server.endpoint()), &to, 1_000, |_| ()).await;
        (found, std::fs::read(&to))
    };

    for (from, problem, says) in [
        ("elsewhere?key=hush", Problem::Refused, "another server, and the address may hold a key"),
        ("round", Problem::Failed, "more than 5 redirects"),
        ("script", Problem::Refused, "no web address"),
        ("password", Problem::Refused, "which holds a password"),
    ] {
        let (error, file) = get(from).await;
        let error = error.unwrap_err();
        assert_eq!(error.problem(), problem, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        let leads_to = error.to_string().split("leads to").nth(1).unwrap_or_default().to_owned();
        assert!(!leads_to.contains("hush"), "{error}");
        assert!(file.is_err() && other.requests().is_empty());
    }
    // The first request, and so many redirects.
    let rounds = server.requests().iter().filter(|one| one.line().contains("/round")).count();
    assert_eq!(rounds, 6);

    let (found, file) = get("moved").await;
    assert!(found.unwrap());
    assert_eq!(file.unwrap(), b"weights");
    let asked = other.requests();
    assert_eq!(asked.len(), 1);
    for secret in ["referer", "authorization", "cookie", "proxy-authorization"] {
        assert_eq!(asked[0].header(secret), None, "{secret}");
    }
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
