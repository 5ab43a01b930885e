//! How long clients of `songrec serve` wait, over libraries of random songs, and Chroma's
//! server over the same vectors.
//!
//! ```text
//! cargo build --profile dist -p songrec-cli
//! cargo run --profile dist -p songrec-bench --bin serve -- [SONGS] [DIMENSION] [DATA] [RATE] [SECONDS] [PYTHON]
//! ```
//!
//! The songs are in `target/bench`, and stay there. DATA is what their vectors are: `clustered`
//! or what else `Source` knows; `isotropic` is the slowest for `similar`. With PYTHON, one that has chromadb, `tools/bench_serve_chroma.py`
//! starts the other server once the first has ended, and both get the same queries from the
//! same client. Recall is against a comparison with every row.
#![allow(clippy::print_stdout, reason = "it prints figures")]

mod http;
mod load;
mod server;
mod songs;

use std::{error::Error, fmt::Write as _, path::PathBuf, sync::Arc};

use songrec_core::{Metric, ModelSpec};

use self::{
    http::{Connection, Request},
    server::Server,
    songs::Songs,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const NEIGHBORS: usize = 10;
/// Clients that ask as fast as they are answered.
const CLIENTS: usize = 8;
/// Connections that send nothing.
const IDLE: usize = 1_000;
/// Uploads a second.
const UPLOADS: f64 = 10.0;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |usual: &str| arguments.next().unwrap_or_else(|| usual.to_owned());
    let songs: usize = next("100000").parse()?;
    let dimension: usize = next("512").parse()?;
    let data = next("clustered");
    let rate: f64 = next("200").parse()?;
    let seconds: f64 = next("30").parse()?;
    let python = next("");
    let songrec = std::env::current_exe()?.with_file_name("songrec");
    if !songrec.is_file() {
        return Err("build the program first: cargo build --profile dist -p songrec-cli".into());
    }
    let folder = PathBuf::from(format!("target/bench/{songs}x{dimension}-{data}"));
    let asked = Songs::of(&folder, &random("random@1", dimension)?, songs, &data).await?;
    println!("{songs} songs of {dimension} dimensions, {data}, in {}", folder.display());

    let server = Server::songrec(&songrec, &folder).await?;
    println!("memory at the start: {}", server.memory()?);
    let similar: Vec<Request> = asked.ids().map(|id| server.similar(&id)).collect();
    let times = load::steady(&similar, rate, seconds).await?;
    println!("GET similar, {rate} a second: {times}");
    println!("memory after it: {}", server.memory()?);
    let (a_second, times) = load::flood(&similar, CLIENTS, seconds / 3.0).await?;
    println!("GET similar, {CLIENTS} clients: {a_second:.0} a second; {times}");
    let recall = asked.recall(&similar, songrec_ids).await?;
    println!("recall at {NEIGHBORS}: {recall:.4}");

    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(Connection::open(&server.address).await?);
    }
    let times = load::steady(&similar, rate, seconds / 3.0).await?;
    println!("the same beside {IDLE} connections that send nothing: {times}");
    drop(idle);
    let bytes = map_size(&server).await?;
    println!("data of the map: {:.2} MB", bytes as f64 / 1e6);
    println!("memory after all: {}", server.memory()?);
    server.end().await?;

    let folder = PathBuf::from(format!("target/bench/{songs}x45-dsp"));
    Songs::of(&folder, &random("dsp45@1", 45)?, songs, &data).await?;
    let server = Server::songrec(&songrec, &folder).await?;
    let times = load::steady(&[upload(&server.address)], UPLOADS, seconds).await?;
    println!("POST /search, 3 s of WAV, {UPLOADS} a second: {times}");
    println!("memory after it: {}", server.memory()?);
    server.end().await?;

    if python.is_empty() {
        return Ok(());
    }
    let server = Server::chroma(&python, &asked.write_rows()?).await?;
    let queries: Vec<Request> = asked.vectors().map(|vector| server.query(vector)).collect();
    let (a_second, times) = load::flood(&queries, CLIENTS, seconds / 3.0).await?;
    println!("Chroma, {CLIENTS} clients: {a_second:.0} a second; {times}");
    let times = load::steady(&queries, rate, seconds / 3.0).await?;
    println!("Chroma, {rate} a second: {times}");
    println!("recall at {NEIGHBORS}: {:.4}", asked.recall(&queries, chroma_ids).await?);
    println!("memory after all: {}", server.memory()?);
    server.end().await
}

fn random(name: &str, dimension: usize) -> Result<ModelSpec> {
    let name = name.parse()?;
    Ok(ModelSpec { name, dimension, metric: Metric::Cosine, description: String::new() })
}

/// The songs that `similar` gave.
fn songrec_ids(body: &[u8]) -> Result<Vec<String>> {
    let answer: serde_json::Value = serde_json::from_slice(body)?;
    let hits = answer["results"].as_array().ok_or("an answer without results")?;
    Ok(hits.iter().filter_map(|hit| Some(hit["id"].as_str()?.to_owned())).collect())
}

/// The songs that Chroma gave, the one that was asked about among them.
fn chroma_ids(body: &[u8]) -> Result<Vec<String>> {
    let answer: serde_json::Value = serde_json::from_slice(body)?;
    let hits = answer["ids"][0].as_array().ok_or("an answer without ids")?;
    Ok(hits.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect())
}

/// The bytes of a map of the whole library as the pages get it; by PCA, since every method
/// gives as many.
async fn map_size(server: &Server) -> Result<usize> {
    let target = "/api/v1/jobs/map";
    let asked = br#"{"method":"pca"}"#;
    let job = http::ask(&Request::post(&server.address, target, "application/json", asked)).await?;
    let job: serde_json::Value = serde_json::from_slice(&job)?;
    let id = job["id"].as_str().ok_or("a job without an id")?;
    let status = Request::get(&server.address, &format!("/api/v1/jobs/{id}"));
    loop {
        let job: serde_json::Value = serde_json::from_slice(&http::ask(&status).await?)?;
        match job["state"].as_str() {
            Some("queued" | "running") => {}
            Some("done") => break,
            _ => return Err(format!("the map was not drawn: {job}").into()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let map = Request::get(&server.address, "/api/v1/map?method=pca&format=packed");
    Ok(http::ask(&map).await?.len())
}

/// An upload to `POST /search`: three seconds of a tone that decays, 44,100 samples a second.
fn upload(address: &Arc<str>) -> Request {
    const RATE: u32 = 44_100;
    const BOUNDARY: &str = "part-7d1f0c";
    let samples = (0..3 * RATE).map(|i| {
        let seconds = i as f32 / RATE as f32;
        let tone = (seconds * 220.0 * std::f32::consts::TAU).sin() * (-seconds).exp();
        (tone * 20_000.0) as i16
    });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let mut head = String::new();
    let kind = "Content-Type: audio/wav";
    let name = "Content-Disposition: form-data; name=\"file\"; filename=\"tone.wav\"";
    let _ = write!(head, "--{BOUNDARY}\r\n{name}\r\n{kind}\r\n\r\n");
    let mut body = head.into_bytes();
    body.extend(b"RIFF");
    body.extend((36 + data.len() as u32).to_le_bytes());
    body.extend(b"WAVEfmt ");
    body.extend(16u32.to_le_bytes());
    body.extend([1, 0, 1, 0]);
    body.extend(RATE.to_le_bytes());
    body.extend((2 * RATE).to_le_bytes());
    body.extend([2, 0, 16, 0]);
    body.extend(b"data");
    body.extend((data.len() as u32).to_le_bytes());
    body.extend(data);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    Request::post(address, "/search?n_results=5", &kind, &body)
}
