//! How long clients of `songrec serve` wait for songs that sound alike, at a steady rate of
//! requests over a library of random songs.
//!
//! ```text
//! cargo build --profile dist -p songrec-cli
//! cargo run --profile dist -p songrec-bench --bin serve -- [SONGS] [DIMENSION] [RATE] [SECONDS]
//! ```
//!
//! Requests are sent when they are due, whether or not others were answered, and a time is
//! counted from when its request was due: a server that falls behind cannot look fast.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::{
    error::Error,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use songrec_bench::random_library;
use songrec_core::{Metric, ModelSpec};
use songrec_storage::{SongQuery, StorageBackend};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Connections that are kept, which is more than are needed while nobody waits.
const CONNECTIONS: usize = 64;
/// Songs that are asked about in turn.
const SONGS_ASKED: usize = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |usual: &str| arguments.next().unwrap_or_else(|| usual.to_owned());
    let songs: usize = next("100000").parse()?;
    let dimension: usize = next("512").parse()?;
    let rate: f64 = next("200").parse()?;
    let seconds: f64 = next("30").parse()?;
    let folder = PathBuf::from(format!("target/bench/{songs}x{dimension}"));
    let songrec = std::env::current_exe()?.with_file_name("songrec");
    if !songrec.is_file() {
        return Err("build the program first: cargo build --profile dist -p songrec-cli".into());
    }
    let model = ModelSpec {
        name: "random@1".parse()?,
        dimension,
        metric: Metric::Cosine,
        description: String::new(),
    };
    let library = random_library(&folder, &model, songs, 0).await.map_err(|e| e.to_string())?;
    let query = SongQuery { limit: SONGS_ASKED, ..SongQuery::default() };
    let found = library.songs().find_summaries(&query).await?;
    let ids: Vec<String> = found.items.iter().map(|song| song.id.to_string()).collect();
    drop(library);

    let mut server = Command::new(songrec)
        .args(["serve", "--addr", "127.0.0.1:0", "--json", "--library"])
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    let output = server.stdout.take().ok_or("the server says nothing")?;
    BufReader::new(output).read_line(&mut line).await?;
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address: Arc<str> = address.ok_or("the server does not say where it is")?.into();

    // What is read for the first time is not what is measured.
    let (room, free) = tokio::sync::mpsc::unbounded_channel();
    let free = Arc::new(tokio::sync::Mutex::new(free));
    for number in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&*address).await?;
        ask(&mut stream, &address, &ids[number % ids.len()]).await?;
        room.send(stream)?;
    }
    let times = Arc::new(Mutex::new(Vec::new()));
    let failed = Arc::new(Mutex::new(0u64));
    let (start, count) = (Instant::now(), (rate * seconds) as usize);
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..count {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        let (room, free, times) = (room.clone(), free.clone(), times.clone());
        let (failed, address, id) =
            (failed.clone(), address.clone(), ids[number % ids.len()].clone());
        requests.spawn(async move {
            let Some(mut stream) = free.lock().await.recv().await else { return };
            match ask(&mut stream, &address, &id).await {
                Ok(()) => {
                    times.lock().unwrap_or_else(PoisonError::into_inner).push(due.elapsed());
                    let _ = room.send(stream);
                }
                Err(_) => *failed.lock().unwrap_or_else(PoisonError::into_inner) += 1,
            }
        });
    }
    while requests.join_next().await.is_some() {}
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort();
    let at = |part: f64| {
        times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)))
    };
    let ms = |part| at(part).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
    println!("{songs} songs of {dimension} dimensions, {rate} requests a second for {seconds} s");
    println!(
        "GET similar: median {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms; {} answered, {} failed",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        ms(1.0),
        times.len(),
        failed.lock().unwrap_or_else(PoisonError::into_inner),
    );
    Ok(())
}

// Asks for what sounds like a song, and reads the answer to its end.
async fn ask(stream: &mut TcpStream, address: &str, id: &str) -> Result<()> {
    let request = format!(
        "GET /api/v1/songs/{id}/similar?k=10&model=random%401 HTTP/1.1\r\nHost: {address}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (None, String::new());
    reader.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(line.into());
    }
    loop {
        line.clear();
        reader.read_line(&mut line).await?;
        let field = line.trim().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = vec![0; length.ok_or("an answer without a length")?];
    reader.read_exact(&mut body).await?;
    Ok(())
}
