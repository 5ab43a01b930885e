//! Finding songs: lists, what sounds alike, maps.

use serde_json::{Value, json};
use songrec_server::Options;

use crate::world::{TITLES, problem, song, world};

fn titles(songs: &Value) -> Vec<&str> {
    songs.as_array().unwrap().iter().map(|song| song["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn songs_are_listed_page_by_page() {
    let world = world(8, Options::default()).await;

    let first = world.json("/api/v1/songs?sort=title&limit=3").await;
    let next = world.json("/api/v1/songs?sort=title&limit=3&offset=3").await;
    let last = world.json("/api/v1/songs?sort=title&desc=true&limit=2").await;
    let none = world.json("/api/v1/songs?q=nothing").await;

    assert_eq!(titles(&first["songs"]), TITLES[..3]);
    assert_eq!(titles(&next["songs"]), TITLES[3..6]);
    assert_eq!(titles(&last["songs"]), ["Hazel", "Ginkgo"]);
    assert_eq!(first["total"], 8);
    assert_eq!(none["total"], 0);
    for wrong in [
        "limit=0",
        "limit=1001",
        "offset=-1",
        "sort=loudness",
        "filter=bpm:fast",
        "filter=nothing:x",
        "unknown=1",
        "desc=perhaps",
    ] {
        let response = world.get(&format!("/api/v1/songs?{wrong}")).send().await.unwrap();
        assert_eq!(problem(response).await, (400, "invalid_request".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn an_answer_that_a_client_has_is_not_sent_again_until_a_song_changes() {
    let world = world(2, Options::default()).await;
    let id = world.id("Alder").await;
    for path in ["/api/v1/songs", "/api/v1/stats", "/api/v1/filters"] {
        let etag = world.get(path).send().await.unwrap().headers()["etag"].clone();
        let again = || world.get(path).header("if-none-match", etag.clone()).send();
        assert_eq!(again().await.unwrap().status(), 304, "{path}");

        let change = json!({"set": {"genre": path}});
        let path_of_song = world.url(&format!("/api/v1/songs/{id}"));
        assert_eq!(
            world.http.patch(path_of_song).json(&change).send().await.unwrap().status(),
            200
        );

        assert_eq!(again().await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_song_is_changed_and_goes_back() {
    let world = world(1, Options::default()).await;
    let path = format!("/api/v1/songs/{}", world.id("Alder").await);
    let patch = |body: Value| world.http.patch(world.url(&path)).json(&body).send();

    let set =
        json!({"set": {"title": "Oak", "genre": ["Techno", "House"], "bpm": 127.5, "loop": false}});
    let changed: Value = patch(set).await.unwrap().json().await.unwrap();
    assert_eq!(changed["values"]["title"]["value"], "Oak");
    assert_eq!(changed["values"]["genre"]["value"], json!(["Techno", "House"]));
    assert_eq!(changed["values"]["bpm"]["value"], 127.5);
    let emptied = patch(json!({"set": {"title": null}})).await.unwrap();
    assert_eq!(emptied.status(), 200);
    let back: Value = patch(json!({"unset": ["title"]})).await.unwrap().json().await.unwrap();
    assert_eq!(back["values"]["title"]["value"], "Alder");
    let history = world.json(&format!("{path}/history")).await;
    assert!(history["seen"].as_u64().unwrap() >= 3, "{history}");
    for wrong in [
        json!({}),
        json!({"set": {"bpm": "fast"}}),
        json!({"set": {"nothing at all": 1}}),
        json!({"set": {"title": {"a": 1}}}),
        json!({"unset": ["no field!"]}),
    ] {
        let (status, code) = problem(patch(wrong.clone()).await.unwrap()).await;
        assert_eq!((status, code.as_str()), (400, "invalid_request"), "{wrong}");
    }
}

#[tokio::test]
async fn a_name_over_http_is_an_id_and_never_a_file() {
    let world = world(1, Options::default()).await;
    let file = world.path("audio/Alder.wav").display().to_string().replace('/', "%2F");
    for (name, status) in [
        ("Alder", 400),
        (file.as_str(), 400),
        ("..%2F..%2Fetc%2Fpasswd", 400),
        ("00000000", 404),
        ("00000000-0000-8000-8000-000000000000", 404),
        ("%FF", 400),
    ] {
        let response = world.get(&format!("/api/v1/songs/{name}")).send().await.unwrap();
        assert_eq!(problem(response).await.0, status, "{name}");
    }
    let id = world.id("Alder").await;
    assert_eq!(world.json(&format!("/api/v1/songs/{}", &id[..8])).await["id"], id.as_str());
}

#[tokio::test]
async fn a_file_finds_what_sounds_like_it_and_is_not_kept() {
    let world = world(8, Options::default()).await;
    // As loud and as high as `Cedar`, and no song of the library.
    let sent = song(2, "A stranger");
    let mut other = sent.clone();
    let at = other.len() / 2;
    other[at] ^= 1;

    let fields = [("k", "3"), ("filter", "duration:0..10"), ("from", "0.1"), ("to", "0.9")];
    let found = world.send("/api/v1/similar", Some(("sent.wav", &other)), &fields);
    let found: Value = found.send().await.unwrap().json().await.unwrap();
    let original = world.send("/search?n_results=2", Some(("sent.wav", &other)), &[]);
    let original: Value = original.send().await.unwrap().json().await.unwrap();

    assert_eq!(found["results"][0]["title"], "Cedar", "{found}");
    assert_eq!(found["results"].as_array().unwrap().len(), 3);
    assert_eq!(original["query"]["filename"], "sent.wav");
    let results = original["results"].as_array().unwrap();
    assert_eq!(results[0]["filename"], "Cedar.wav");
    assert!(results[0]["distance"].as_f64() <= results[1]["distance"].as_f64());
    assert_eq!(world.json("/api/v1/songs").await["total"], 8);
    let wrong = world.send("/api/v1/similar", Some(("sent.wav", &other)), &[("k", "many")]);
    assert_eq!(problem(wrong.send().await.unwrap()).await.0, 400);
}

#[tokio::test]
async fn a_vector_finds_the_song_it_is_of() {
    let world = world(8, Options::default()).await;
    let id = world.id("Elm").await;
    let vector = world.json(&format!("/api/v1/songs/{id}/embedding")).await["vector"].clone();
    let ask = |body: Value| world.post("/api/v1/similar", &body).send();

    let found: Value = ask(json!({"vector": vector, "k": 1})).await.unwrap().json().await.unwrap();
    assert_eq!(found["results"][0]["title"], "Elm");
    for wrong in [
        json!({"vector": [1, 2, 3]}),
        json!({"vector": []}),
        json!({}),
        json!({"unlike": [{"song": id}]}),
        json!({"like": [{"song": id, "weight": -1}]}),
        json!({"like": [{"song": "Elm"}]}),
        json!({"like": [{"song": id}], "k": 5000}),
        json!({"like": [{"song": id}], "max_per_artist": 0}),
        json!({"like": [[id, 1, null, null]]}),
    ] {
        let (status, _) = problem(ask(wrong.clone()).await.unwrap()).await;
        assert_eq!(status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn words_without_a_model_that_reads_are_matched_with_what_is_known() {
    let world = world(3, Options::default()).await;

    let body = json!({ "text": "short bright sound" });
    let response = world.post("/api/v1/similar", &body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let found: Value = response.json().await.unwrap();

    assert_eq!(found["model"], "words@1");
    assert_eq!(found["results"].as_array().map(Vec::len), Some(3), "{found}");
    assert!(found["notes"][0].as_str().unwrap().contains("no model here reads words"), "{found}");
}

#[tokio::test]
async fn a_packed_map_is_what_its_first_line_says() {
    let world = world(8, Options::default()).await;
    let query = "method=pca&dims=3&color=bpm";

    let response = world.get(&format!("/api/v1/map?{query}&format=packed")).send().await.unwrap();
    let etag = response.headers()["etag"].clone();
    let bytes = response.bytes().await.unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let head: Value = serde_json::from_slice(&bytes[..end]).unwrap();

    assert_eq!(end % 4, 0, "the numbers can be read where they are");
    assert_eq!((&head["count"], &head["dims"]), (&json!(8), &json!(3)));
    assert_eq!(bytes.len(), end + 8 * 3 * 4 + 8 * 2);
    let songs = world.json(&format!("/api/v1/map/songs?{query}&limit=5&offset=2")).await;
    assert_eq!((songs["total"].as_u64(), songs["songs"].as_array().unwrap().len()), (Some(8), 5));
    let whole = world.json(&format!("/api/v1/map?{query}")).await;
    assert_eq!(whole["songs"][2]["id"], songs["songs"][0]["id"]);
    let x = f32::from_le_bytes(bytes[end + 8..end + 12].try_into().unwrap());
    assert_eq!(whole["songs"][2]["coordinates"][0].as_f64().unwrap() as f32, x);
    let again =
        world.get(&format!("/api/v1/map?{query}&format=packed")).header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), 304);

    // The classes alone are the same without the places.
    let classes = world.get(&format!("/api/v1/map?{query}&format=classes")).send().await.unwrap();
    let classes = classes.bytes().await.unwrap();
    assert_eq!(classes[..end], bytes[..end]);
    assert_eq!(classes[end..], bytes[end + 8 * 3 * 4..]);
    let wrong = world.get(&format!("/api/v1/map?{query}&format=png")).send().await.unwrap();
    assert_eq!(problem(wrong).await, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn an_empty_number_is_refused_by_name_and_an_empty_text_is_none() {
    let world = world(3, Options::default()).await;
    for (address, name) in [
        ("/api/v1/songs?limit=", "limit"),
        ("/api/v1/songs?q=&offset", "offset"),
        ("/api/v1/duplicates?limit=5&near=", "near"),
        ("/search-by-filters?limit=", "limit"),
    ] {
        let answer = world.get(address).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{address}");
        let problem: Value = answer.json().await.unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(detail, format!("the parameter `{name}` is empty"), "{address}");
    }
    let all = world.json("/api/v1/songs?q=&limit=2").await;
    assert_eq!(all["total"], 3, "{all}");
}
