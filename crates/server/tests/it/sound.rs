//! Audio in parts, pictures, vectors.

use reqwest::Method;
use serde_json::Value;
use songrec_server::Options;

use crate::world::{problem, song, with_cover, world};

#[tokio::test]
async fn audio_is_given_whole_or_in_parts() {
    let world = world(2, Options::default()).await;
    let id = world.id("Birch").await;
    let path = format!("/api/v1/songs/{id}/audio");
    let file = std::fs::read(world.path("audio/Birch.wav")).unwrap();
    let part = |range: &str| world.get(&path).header("range", range.to_owned());

    let whole = world.get(&path).send().await.unwrap();
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.headers()["content-type"], "audio/wav");
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    let etag = whole.headers()["etag"].clone();
    assert_eq!(whole.bytes().await.unwrap(), file);

    for (range, from, to) in [
        ("bytes=0-9", 0, 10),
        ("bytes=1000-", 1000, file.len()),
        ("bytes=-7", file.len() - 7, file.len()),
    ] {
        let response = part(range).send().await.unwrap();
        assert_eq!(response.status(), 206, "{range}");
        let shown = format!("bytes {from}-{}/{}", to - 1, file.len());
        assert_eq!(response.headers()["content-range"], shown.as_str());
        assert_eq!(response.bytes().await.unwrap(), &file[from..to], "{range}");
    }
    let beyond = part("bytes=99999999-").send().await.unwrap();
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{}", file.len()).as_str());
    assert_eq!(problem(beyond).await.0, 416);
    let known = world.get(&path).header("if-none-match", etag.clone()).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let same = part("bytes=0-9").header("if-range", etag).send().await.unwrap();
    let other = part("bytes=0-9").header("if-range", "\"other\"").send().await.unwrap();
    assert_eq!((same.status().as_u16(), other.status().as_u16()), (206, 200));
    let head = world.http.head(world.url(&path)).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], file.len().to_string().as_str());
}

#[tokio::test]
async fn another_file_in_the_place_of_a_song_is_not_given_out() {
    let world = world(2, Options::default()).await;
    let id = world.id("Alder").await;
    let place = world.path("audio/Alder.wav");
    let length = std::fs::metadata(&place).unwrap().len();
    std::fs::write(&place, vec![b'x'; length as usize]).unwrap();

    let response = world.get(&format!("/api/v1/songs/{id}/audio")).send().await.unwrap();

    assert_eq!(problem(response).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn the_picture_in_a_file_is_given_for_what_it_is() {
    let world = world(1, Options::default()).await;
    let jpeg = [b"\xff\xd8\xff\xe0".as_slice(), &[7; 5_000]].concat();
    let mut places = Vec::new();
    // What the tag says of a picture is not what is said of it.
    for (number, name, media_type, picture) in [
        (7, "elm", "text/html", jpeg.as_slice()),
        (8, "ash", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"),
    ] {
        let sent = with_cover(song(number, name), media_type, picture);
        let file = format!("{name}.wav");
        let new = world.send("/api/v1/songs", Some((&file, &sent)), &[]).send().await.unwrap();
        assert_eq!(new.status(), 201, "{name}");
        places.push(format!("{}/artwork", new.headers()["location"].to_str().unwrap()));
    }

    let shown = world.get(&places[0]).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert_eq!(shown.headers()["content-type"], "image/jpeg");
    assert_eq!(shown.headers()["x-content-type-options"], "nosniff");
    let etag = shown.headers()["etag"].clone();
    assert_eq!(shown.bytes().await.unwrap(), jpeg);
    let known = world.get(&places[0]).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let scripted = world.get(&places[1]).send().await.unwrap();
    assert_eq!(problem(scripted).await, (404, "not_found".to_owned()));

    // Another file is in the place of the one that the song names.
    let file = world.path("library/uploads/elm.wav");
    let mut other = std::fs::read(&file).unwrap();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&file, other).unwrap();
    let gone = world.get(&places[0]).send().await.unwrap();
    assert_eq!(problem(gone).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_song_can_be_seen() {
    let world = world(1, Options::default()).await;
    let id = world.id("Alder").await;

    let all = world.json(&format!("/api/v1/songs/{id}/waveform?points=100")).await;
    let part = world.json(&format!("/api/v1/songs/{id}/waveform?points=9&from=0.5&to=0.6")).await;
    let picture = world.get(&format!("/api/v1/songs/{id}/spectrogram?width=64&height=32"));
    let picture = picture.send().await.unwrap();

    assert_eq!(all["min"].as_array().unwrap().len(), 100);
    assert!((all["duration"].as_f64().unwrap() - 1.0).abs() < 1e-3, "{}", all["duration"]);
    assert_eq!(part["points"], 9);
    assert!(all["max"][0].as_f64().unwrap() > 0.1 && all["min"][0].as_f64().unwrap() < -0.1);
    assert_eq!(picture.headers()["content-type"], "image/png");
    let bytes = picture.bytes().await.unwrap();
    assert_eq!(&bytes[1..4], b"PNG");
    assert_eq!(&bytes[16..24], &[0, 0, 0, 64, 0, 0, 0, 32], "its width and height");
    for wrong in [
        "waveform?points=0",
        "waveform?points=20001",
        "waveform?from=2&to=1",
        "waveform?from=NaN",
        "spectrogram?width=5000",
        "spectrogram?height=x",
    ] {
        let response = world.get(&format!("/api/v1/songs/{id}/{wrong}")).send().await.unwrap();
        assert_eq!(problem(response).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_vector_is_the_same_however_it_is_written() {
    let world = world(1, Options::default()).await;
    let path = format!("/api/v1/songs/{}/embedding?model=dsp45", world.id("Alder").await);

    let json = world.json(&path).await;
    let npy = world.get(&format!("{path}&format=npy")).send().await.unwrap().bytes().await.unwrap();

    assert_eq!(json["dimension"], 45);
    assert!(npy.starts_with(b"\x93NUMPY"));
    let values: Vec<Value> = npy[npy.len() - 4 * 45..]
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| serde_json::json!(f32::from_le_bytes(*bytes)))
        .collect();
    assert_eq!(json["vector"], Value::Array(values));
}

#[tokio::test]
async fn a_vector_can_be_given_and_taken_away() {
    let world = world(1, Options::default()).await;
    let path = format!("/api/v1/songs/{}/embedding?model=dsp45", world.id("Alder").await);
    let send = |method: Method, body: Option<Value>| {
        let request = world.http.request(method, world.url(&path));
        async move { body.iter().fold(request, |one, body| one.json(body)).send().await.unwrap() }
    };
    let wanted: Vec<f32> = (1..=45).map(|value| value as f32).collect();

    let response = send(Method::PUT, Some(serde_json::json!({"vector": wanted}))).await;
    assert_eq!(response.status(), 204);
    assert_eq!(world.json(&path).await["vector"], serde_json::json!(wanted));

    let short = send(Method::PUT, Some(serde_json::json!({"vector": [1.0, 2.0]}))).await;
    assert_eq!(problem(short).await.0, 400);
    let endless = send(Method::PUT, Some(serde_json::json!({"vector": [1e300]}))).await;
    assert_eq!(problem(endless).await.0, 400);
    assert_eq!(world.json(&path).await["vector"], serde_json::json!(wanted));

    for _ in 0..2 {
        assert_eq!(send(Method::DELETE, None).await.status(), 204);
    }
    assert_eq!(problem(world.get(&path).send().await.unwrap()).await.0, 404);
}
