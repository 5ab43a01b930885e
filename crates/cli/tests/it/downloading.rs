//! `model add NAME URL`: files from an address that a person gave.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::world::{Run, World};

/// What a server does when it is asked for a path.
#[derive(Clone)]
enum Answer {
    File(Vec<u8>),
    /// The first half, under the length of the whole.
    Half(Vec<u8>),
    /// Some bytes, and then nothing more, for ever.
    Stuck(Vec<u8>),
    Redirect(String),
    Status(u16),
}

/// A web server with some files, which remembers what it was asked for.
pub(crate) struct Site {
    address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// With the files of the tiny CLAP at `/clap`.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::<Mutex<BTreeMap<String, Answer>>>::default();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        for entry in std::fs::read_dir(tiny_clap()).unwrap().flatten() {
            let path = format!("/clap/{}", entry.file_name().to_str().unwrap());
            let file = Answer::File(std::fs::read(entry.path()).unwrap());
            answers.lock().unwrap().insert(path, file);
        }
        let (known, log) = (answers.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, log) = (known.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &known, &log));
            }
        });
        Self { address, answers, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(&self, path: &str, answer: Answer) -> &Self {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
        self
    }

    fn file(&self, path: &str) -> Vec<u8> {
        match self.answers.lock().unwrap()[path].clone() {
            Answer::File(bytes) => bytes,
            _ => panic!("{path} is no file"),
        }
    }

    /// What it was asked for since it was last asked this.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &Mutex<BTreeMap<String, Answer>>,
    asked: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let Ok(read @ 1..) = stream.read(&mut piece) else { return };
        request.extend_from_slice(&piece[..read]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answers.lock().unwrap().get(&path).cloned().unwrap_or(Answer::Status(404));
    asked.lock().unwrap().push(path);
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n")
    };
    let (head, body) = match &answer {
        Answer::File(bytes) => (head("200 OK", "", bytes.len()), &bytes[..]),
        Answer::Half(bytes) => (head("200 OK", "", bytes.len()), &bytes[..bytes.len() / 2]),
        Answer::Stuck(bytes) => (head("200 OK", "", bytes.len() + 1), &bytes[..]),
        Answer::Redirect(to) => (head("302 Found", &format!("location: {to}\r\n"), 0), &b""[..]),
        Answer::Status(status) => (head(&format!("{status} No"), "", 0), &b""[..]),
    };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    if matches!(answer, Answer::Stuck(_)) {
        // Until the other side goes away.
        let _ = stream.read(&mut piece);
    }
}

fn tiny_clap() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/models/clap-tiny@1")
}

/// What lies in the folder of the models, hidden or not.
fn in_models(world: &World) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(world.path("data/songrec/models")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn add(world: &World, site: &Site) -> Run {
    world.run(&["model", "add", "clap-tiny", &site.url("/clap/")])
}

#[test]
fn a_model_is_had_from_an_address_and_from_nowhere_else() {
    let (world, site) = (World::bare(), Site::start());

    let added = world.json(&["model", "add", "clap-tiny", &site.url("/clap")]);

    let expected =
        ["model.toml", "clap_audio.onnx", "clap_text.onnx", "tokenizer.json"].map(below_clap);
    assert_eq!(site.asked(), expected);
    assert_eq!((&added["was_there"], &added["notes"]), (&false.into(), &serde_json::json!([])));
    assert_eq!(in_models(&world), ["clap-tiny@1"]);
    world.run(&["model", "verify", "clap-tiny"]).ok();
    world.run(&["model", "list"]).ok();
    world.run(&["model", "info", "clap-tiny"]).ok();
    let missing = world.run(&["model", "info", "mert"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert_eq!(site.asked(), [""; 0], "nobody asked for anything");
}

fn below_clap(file: &str) -> String {
    format!("/clap/{file}")
}

#[test]
fn a_model_that_is_here_is_not_downloaded_again() {
    let (world, site) = (World::bare(), Site::start());
    add(&world, &site).ok();
    site.asked();

    let again = world.json(&["model", "add", "clap-tiny", &site.url("/clap")]);

    assert_eq!(again["was_there"], true);
    assert_eq!(site.asked(), [below_clap("model.toml")]);
}

#[test]
fn a_model_without_its_text_files_only_hears() {
    let (world, site) = (World::bare(), Site::start());
    site.answer("/clap/tokenizer.json", Answer::Status(404));

    let run = add(&world, &site).ok();

    let absent = site.url("/clap/tokenizer.json");
    assert!(run.stderr.contains(&format!("there is no `{absent}`")), "{run:?}");
    assert_eq!(world.json(&["model", "info", "clap-tiny"])["reads_text"], false);
    world.run(&["model", "verify"]).ok();
}

#[test]
fn a_redirection_is_followed() {
    let (world, site) = (World::bare(), Site::start());
    let audio = Answer::File(site.file("/clap/clap_audio.onnx"));
    site.answer("/elsewhere/audio", audio)
        .answer("/clap/clap_audio.onnx", Answer::Redirect("/elsewhere/audio".to_owned()));

    add(&world, &site).ok();

    // Large files often lie elsewhere; only the files of the model are asked for.
    let (other, cdn) = (World::bare(), Site::start());
    cdn.answer("/1/audio", Answer::File(site.file("/clap/clap_text.onnx")));
    site.answer("/clap/clap_text.onnx", Answer::Redirect(cdn.url("/1/audio")));
    let from = site.url("/clap");
    let elsewhere = other.run(&["model", "add", "clap-tiny", &from, "-v"]).ok();
    let came = format!("`{from}/clap_text.onnx` came from `{}`", cdn.url("/1/audio"));
    assert!(elsewhere.stderr.contains(&came), "{elsewhere:?}");
    assert_eq!(cdn.asked(), ["/1/audio"]);
    other.run(&["model", "verify", "clap-tiny"]).ok();

    site.answer("/clap/model.toml", Answer::Redirect("/clap/model.toml".to_owned()));
    let round_and_round = add(&world, &site);
    assert_eq!(round_and_round.code, 5, "{round_and_round:?}");
    assert!(round_and_round.stderr.contains("redirect"), "{round_and_round:?}");
}

#[test]
fn what_is_not_the_model_is_refused_and_leaves_nothing() {
    let site = Site::start();
    let audio = site.file("/clap/clap_audio.onnx");
    let description = String::from_utf8(site.file("/clap/model.toml")).unwrap();
    let mut damaged = audio.clone();
    damaged[audio.len() / 2] ^= 1;
    let outside = description.replace("clap_audio.onnx", "../clap_audio.onnx");
    // Without a digest it is the engine that finds out.
    let without_digest: String = description
        .lines()
        .filter(|line| !line.starts_with("sha256"))
        .collect::<Vec<_>>()
        .join("\n");
    let (toml, onnx) = ("/clap/model.toml", "/clap/clap_audio.onnx");
    let text = |text: String| Answer::File(text.into_bytes());
    let cases = [
        (onnx, Answer::Status(404), 4, "there is no `http"),
        (onnx, Answer::File(damaged), 7, "is not the file of the model"),
        (onnx, Answer::Half(audio.clone()), 5, "the connection broke"),
        (onnx, Answer::Status(500), 5, "500"),
        (toml, Answer::Half(description.clone().into_bytes()), 5, "the connection broke"),
        (toml, Answer::Status(404), 4, "does not know the model `clap-tiny`"),
        (toml, Answer::Status(403), 5, "403"),
        (toml, Answer::File(vec![b'#'; 2 << 20]), 7, "more than 1048576 bytes"),
        (toml, text("<html>please log in</html>".to_owned()), 2, "no description of a model"),
        (toml, text(outside), 2, "no name for a model's file"),
        (toml, text(description.replace("clap-tiny@1", "other@1")), 2, "those of `other@1`"),
    ];
    for (path, answer, code, says) in cases {
        let world = World::bare();
        let whole = Answer::File(site.file(path));
        site.answer(path, answer);

        let run = add(&world, &site);

        site.answer(path, whole);
        assert_eq!(run.code, code, "{path}: {run:?}");
        assert!(run.stderr.contains(says), "{path}: {run:?}");
        assert!(run.stderr.contains("hint: "), "{path}: {run:?}");
        assert!(!run.stderr.contains(".downloading-"), "not where it lay for a moment: {run:?}");
        assert_eq!(in_models(&world), [""; 0], "{path}: {run:?}");
        assert_eq!(run.stdout, "", "{path}");
    }
    let world = World::bare();
    site.answer(toml, text(without_digest)).answer(onnx, Answer::File(audio[..1000].to_vec()));
    let cut_off = add(&world, &site);
    assert_eq!(cut_off.code, 7, "{cut_off:?}");
    assert!(cut_off.stderr.contains("cut off"), "{cut_off:?}");
    assert_eq!(in_models(&world), [""; 0]);
}

#[test]
fn an_address_where_nobody_answers_is_said() {
    let world = World::bare();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    drop(silent);
    let site = Site::start();

    let gone = world.run(&["model", "add", "clap", &format!("http://{address}/clap")]);
    let not_secure =
        world.run(&["model", "add", "clap", &format!("https://{}/clap", site.address)]);
    let no_address = world.run(&["model", "add", "clap", "http://"]);

    for run in [&gone, &not_secure] {
        assert_eq!(run.code, 5, "{run:?}");
        assert!(run.stderr.contains("hint: check the address"), "{run:?}");
    }
    assert_eq!(no_address.code, 2, "{no_address:?}");
    assert_eq!(in_models(&world), [""; 0]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_download_and_leaves_nothing() {
    let (world, site) = (World::bare(), Site::start());
    let audio = site.file("/clap/clap_audio.onnx");
    site.answer("/clap/clap_audio.onnx", Answer::Stuck(audio));
    let child = world.begin(&["model", "add", "clap-tiny", &site.url("/clap")]);
    while site.asked.lock().unwrap().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }

    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();

    assert!(kill.unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{run:?}");
    assert!(run.stderr.contains("nothing was added"), "{run:?}");
    assert_eq!(in_models(&world), [""; 0]);
}

#[test]
fn what_a_killed_download_left_behind_goes_away_in_time() {
    let (world, site) = (World::bare(), Site::start());
    let models = world.path("data/songrec/models");
    let (old, young) = (models.join(".adding-1-0"), models.join(".downloading-young"));
    for folder in [&old, &young] {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("clap_audio.onnx"), "half").unwrap();
    }
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    let opened = std::fs::File::open(&old).unwrap();
    opened.set_modified(two_days_ago).unwrap();

    add(&world, &site).ok();

    assert!(!old.exists());
    assert!(young.exists(), "another process may be at it");
}
