//! Times the emulator over HTTP: `emulator [DOCUMENTS] [--data DIR]`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use songrec_emulator::{DEFAULT_KEYSPACE, Emulator};

const DIMENSION: usize = 512;

struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    async fn send(&self, body: String) -> Result<(Value, Duration), reqwest::Error> {
        let request = self.http.post(&self.url).header("Token", &self.token);
        let request = request.header("Content-Type", "application/json").body(body);
        let started = Instant::now();
        let text = request.send().await?.bytes().await?;
        let elapsed = started.elapsed();
        Ok((serde_json::from_slice(&text).unwrap_or(Value::Null), elapsed))
    }
}

/// Random, and the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn vector(&mut self) -> String {
        use base64::Engine as _;
        let value = |n: u64| (n % 20_001) as f32 / 10_000.0 - 1.0;
        let bytes: Vec<u8> =
            (0..DIMENSION).flat_map(|_| value(self.next()).to_be_bytes()).collect();
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut count = 100_000;
    let mut builder = Emulator::builder();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--data" => builder = builder.data(arguments.next().ok_or("`--data` needs a folder")?),
            number => count = number.parse()?,
        }
    }
    let emulator = builder.start().await?;
    // Reqwest needs a cryptography even for `http`.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client {
        http: reqwest::Client::new(),
        url: format!("{}/v1/{DEFAULT_KEYSPACE}", emulator.url()),
        token: emulator.token(),
    };
    let options = json!({"vector": {"dimension": DIMENSION}, "lexical": {"enabled": false}});
    client
        .send(json!({"createCollection": {"name": "songs", "options": options}}).to_string())
        .await?;
    let client = Client { url: format!("{}/songs", client.url), ..client };

    let mut random = Random(42);
    let mut times = Vec::new();
    for start in (0..count).step_by(100) {
        let documents: Vec<Value> = (start..(start + 100).min(count))
            .map(|i| {
                json!({
                    "_id": format!("song-{i}"), "year": 1950 + i % 70, "genre": format!("genre {}", i % 40),
                    "artist": format!("artist {}", i % 5_000), "title": format!("title {i}"), "stamp": i,
                    "$vector": {"$binary": random.vector()},
                })
            })
            .collect();
        let (answer, time) =
            client.send(json!({"insertMany": {"documents": documents}}).to_string()).await?;
        assert!(answer["errors"].is_null(), "{answer}");
        times.push(time);
    }
    println!("{count} documents of {DIMENSION} elements");
    println!(
        "insertMany of 100: {:.1?} median, {:.1?} in all",
        median(times.clone()),
        times.iter().sum::<Duration>()
    );

    // This process is client and server; the documents are most of it.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(memory) = status.lines().find_map(|line| line.strip_prefix("VmRSS:")) {
        println!("memory: {}", memory.trim());
    }

    let vector = random.vector();
    let ids: Vec<_> = (0..100).map(|i| format!("song-{}", i * 7 % count)).collect();
    let sort = json!({"$vector": {"$binary": vector}});
    for (name, find) in [
        ("find one _id", json!({"filter": {"_id": "song-7"}})),
        (
            "find 100 _id with vectors",
            json!({"filter": {"_id": {"$in": ids}}, "projection": {"*": 1}}),
        ),
        ("find by artist", json!({"filter": {"artist": "artist 77"}})),
        ("find stamp > last (nothing)", json!({"filter": {"stamp": {"$gt": count}}})),
        ("find year and genre", json!({"filter": {"year": 1999, "genre": "genre 9"}})),
        ("one page of everything", json!({})),
        ("20 nearest", json!({"sort": sort, "options": {"limit": 20, "includeSimilarity": true}})),
        (
            "20 nearest, 1 in 40",
            json!({"filter": {"genre": "genre 9"}, "sort": sort, "options": {"limit": 20}}),
        ),
        (
            "20 nearest, year >= 2010",
            json!({"filter": {"year": {"$gte": 2010}}, "sort": sort, "options": {"limit": 20}}),
        ),
        ("1000 nearest", json!({"sort": sort})),
    ] {
        let body = json!({"find": find}).to_string();
        let (first, cold) = client.send(body.clone()).await?;
        let mut times = Vec::new();
        for _ in 0..15 {
            times.push(client.send(body.clone()).await?.1);
        }
        let found = first["data"]["documents"].as_array().map_or(0, Vec::len);
        println!(
            "{name}: {:.2?} median, {cold:.2?} the first time, {found} documents",
            median(times)
        );
    }

    let started = Instant::now();
    let (mut pages, mut found, mut state) = (0, 0, Value::Null);
    loop {
        let find = json!({"find": {"projection": {"year": 1}, "options": {"pageState": state}}});
        let (answer, _) = client.send(find.to_string()).await?;
        pages += 1;
        found += answer["data"]["documents"].as_array().map_or(0, Vec::len);
        state = answer["data"]["nextPageState"].clone();
        if state.is_null() {
            break;
        }
    }
    println!("all {found} documents in {pages} pages: {:.2?}", started.elapsed());

    let mut times = Vec::new();
    for i in 0..200 {
        let update = json!({"updateOne": {"filter": {"_id": format!("song-{i}"), "stamp": i}, "update": {"$set": {"title": "new"}, "$inc": {"stamp": count}}}});
        let (answer, time) = client.send(update.to_string()).await?;
        assert!(answer["status"]["modifiedCount"] == 1, "{answer}");
        times.push(time);
    }
    println!("compare-and-set update: {:.2?} median", median(times));
    emulator.shutdown().await;
    Ok(())
}
