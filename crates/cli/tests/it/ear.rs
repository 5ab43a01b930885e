//! A model on a server, and the tiny models that lie with the tests of `audio`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::world::World;

/// A server in the plain form that embeds how loud a window is, and how often
/// it crosses zero; nothing in silence.
pub(crate) struct Server {
    address: SocketAddr,
    embedded: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    /// Milliseconds before each answer.
    delay: Arc<AtomicU64>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (embedded, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let delay = Arc::<AtomicU64>::default();
        let (counter, end, pause) = (embedded.clone(), stopped.clone(), delay.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (counter, pause) = (counter.clone(), pause.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &counter, &pause));
            }
        });
        Self { address, embedded, stopped, delay }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many windows it has embedded since it was last asked this.
    pub(crate) fn embedded(&self) -> usize {
        self.embedded.swap(0, Ordering::SeqCst)
    }

    /// It takes its time for each answer.
    pub(crate) fn take_time(&self, milliseconds: u64) {
        self.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// Nobody listens there any more.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread up, which then closes the socket.
        while std::net::TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }
}

fn answer(mut stream: std::net::TcpStream, embedded: &AtomicUsize, delay: &AtomicU64) {
    let mut request = Vec::new();
    let mut piece = [0; 65_536];
    let (head, length) = loop {
        let Ok(read @ 1..) = stream.read(&mut piece) else { return };
        request.extend_from_slice(&piece[..read]);
        let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(request[..end].to_vec()).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.trim().parse::<usize>().unwrap());
        request.drain(..end + 4);
        break (head, length);
    };
    while request.len() < length {
        let Ok(read @ 1..) = stream.read(&mut piece) else { return };
        request.extend_from_slice(&piece[..read]);
    }
    std::thread::sleep(Duration::from_millis(delay.load(Ordering::SeqCst)));
    let body = if head.starts_with("post /process/ear") {
        embedded.fetch_add(1, Ordering::SeqCst);
        let request: Value = serde_json::from_slice(&request).unwrap();
        let audio: Vec<f64> =
            request["audio"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        json!({ "features": features(&audio) })
    } else if head.starts_with("get /v2/models/") {
        let tensor = |name: &str| json!({"name": name, "datatype": "FP32", "shape": [-1, 3]});
        json!({
            "name": "ear", "versions": ["1"], "platform": "made up",
            "inputs": [tensor("audio")], "outputs": [tensor("features")],
        })
    } else {
        json!({ "status": "healthy" })
    };
    let body = body.to_string();
    let _ = stream.write_all(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
}

fn features(audio: &[f64]) -> [f64; 3] {
    let count = audio.len() as f64;
    let level = (audio.iter().map(|sample| sample * sample).sum::<f64>() / count).sqrt();
    let crossings = audio.windows(2).filter(|two| (two[0] < 0.0) != (two[1] < 0.0)).count();
    if level == 0.0 {
        return [0.0; 3];
    }
    [level + 0.01, crossings as f64 / count * 10.0, 0.1]
}

/// Tells songrec of the server's model `ear`.
pub(crate) fn configure(world: &World, server: &Server, more: &str) {
    write_config(
        world,
        &format!(
            "[models.ear]\nkind = \"http\"\nform = \"plain\"\nurl = \"{}\"\n\
             dimension = 3\nsample_rate = 8000\nwindow = 0.25\nretries = 0\n{more}",
            server.url()
        ),
    );
}

pub(crate) fn write_config(world: &World, text: &str) {
    let path = world.path("config/songrec/config.toml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

pub(crate) fn tiny_model(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/models");
    models.join(name).canonicalize().unwrap()
}
