//! Files that clients send: what becomes of them, and that nothing of them is left.

use std::path::Path;

use serde_json::Value;
use songrec_server::Options;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{World, problem, song, world};

// Uploads that are in the folder for temporary files. Tests that run beside each other
// see each other's, so what is compared is whether they go.
fn left() -> Vec<String> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("songrec-upload-")).collect()
}

async fn wait_until_gone(before: &[String]) {
    for _ in 0..200 {
        if left().iter().all(|name| before.contains(name)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("uploads are left: {:?}", left());
}

fn uploads(world: &World) -> usize {
    std::fs::read_dir(world.path("library/uploads")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_file_that_is_sent_is_a_song_once() {
    let world = world(1, Options::default()).await;
    let sent = song(7, "Poplar");

    let new =
        world.send("/api/v1/songs", Some(("../poplar.wav", &sent)), &[]).send().await.unwrap();
    let again = world.send("/api/v1/songs", Some(("other.wav", &sent)), &[]).send().await.unwrap();

    assert_eq!(new.status(), 201);
    let place = new.headers()["location"].to_str().unwrap().to_owned();
    let song = world.json(&place).await;
    assert_eq!(song["values"]["title"]["value"], "Poplar");
    assert_eq!(again.status(), 409);
    assert_eq!(again.headers()["location"], place.as_str());
    let known: Value = again.json().await.unwrap();
    assert_eq!(known["id"], song["id"]);
    assert!(Path::new(&world.path("library/uploads/poplar.wav")).is_file());
    assert_eq!(uploads(&world), 1, "of the second nothing is kept");
}

#[tokio::test]
async fn what_is_no_audio_is_refused_and_not_kept() {
    let world = world(1, Options::default()).await;
    let before = left();
    for path in ["/api/v1/songs", "/api/v1/similar", "/search"] {
        for (name, bytes) in [
            ("song.wav", &b"this is no audio at all, whatever it is called"[..]),
            ("empty.wav", b""),
            ("RIFF.wav", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0"),
        ] {
            let response = world.send(path, Some((name, bytes)), &[]).send().await.unwrap();
            let text = response.text().await.unwrap();
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(told["status"], 422, "{path} {name}: {text}");
            assert_eq!(told["code"], "unreadable_audio");
            assert!(!text.contains("songrec-upload-"), "where it was is nobody's business: {text}");
        }
        let response = world.send(path, None, &[("k", "2")]).send().await.unwrap();
        assert_eq!(problem(response).await.0, 400, "{path}: there is no file");
        let response = world.http.post(world.url(path)).header("content-type", "text/plain");
        let (status, code) = problem(response.body("x").send().await.unwrap()).await;
        assert_eq!((status, code.as_str()), (415, "wrong_content_type"), "{path}");
    }
    assert_eq!(uploads(&world), 0);
    assert_eq!(world.json("/api/v1/songs").await["total"], 1);
    wait_until_gone(&before).await;
}

#[tokio::test]
async fn a_field_beside_a_new_song_is_refused_and_not_forgotten() {
    let world = world(0, Options::default()).await;
    let sent = song(7, "Poplar");

    let response = world.send("/api/v1/songs", Some(("a.wav", &sent)), &[("title", "Elm")]);
    let (status, code) = problem(response.send().await.unwrap()).await;

    assert_eq!((status, code.as_str()), (400, "invalid_request"));
    assert_eq!(world.json("/api/v1/songs").await["total"], 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused_while_it_comes() {
    let options = Options { upload_limit: 10_000, ..Options::default() };
    let world = world(1, options).await;
    let before = left();

    let response =
        world.send("/api/v1/similar", Some(("a.wav", &[0; 20_000])), &[]).send().await.unwrap();
    let (status, code) = problem(response).await;
    assert_eq!((status, code.as_str()), (413, "too_large"));

    // Said to be larger than can be, it is not even read.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /api/v1/songs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\
                Content-Type: multipart/form-data; boundary=xyz\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    wait_until_gone(&before).await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let world = world(1, Options::default()).await;
    let before = left();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /api/v1/songs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\
                Content-Type: multipart/form-data; boundary=xyz\r\n\r\n--xyz\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 100_000]).await.unwrap();
    let mut came = false;
    for _ in 0..200 {
        came |= left().iter().any(|name| !before.contains(name));
        if came {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(came, "the upload was begun");

    drop(stream);

    wait_until_gone(&before).await;
    assert_eq!(uploads(&world), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let world = world(0, Options::default()).await;
    let post = |body: Vec<u8>| {
        let request = world.http.post(world.url("/api/v1/explain"));
        request.header("content-type", "application/json").body(body)
    };

    let large = post(vec![b' '; 3 << 20]).send().await.unwrap();
    assert_eq!(problem(large).await, (413, "too_large".to_owned()));
    for wrong in ["{", "[]", "{\"a\":1}", "{\"a\":\"\",\"b\":\"\",\"c\":\"\"}", "\u{0}"] {
        let response = post(wrong.as_bytes().to_vec()).send().await.unwrap();
        assert_eq!(problem(response).await, (400, "invalid_request".to_owned()), "{wrong}");
    }
}
