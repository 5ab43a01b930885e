//! Two servers and the command line on one library, killed all the time: what was
//! acknowledged is there, at once and in the end, whoever is asked.
//!
//! `SONGREC_SOAK_SECONDS` says for how long (12 if it is not set), and `SONGREC_SOAK_SEED`
//! which random choices are made; when processes are killed differs from run to run all the
//! same.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use crate::world::{World, wav};

const SERVERS: usize = 2;
/// Exit codes: the song is not there any more; trying again may help; a lock is held.
const NOT_FOUND: i32 = 4;
const AGAIN: [i32; 2] = [5, 11];
/// How long a request may take: no server is so slow, and one that hangs is found out.
const PATIENCE: Duration = Duration::from_secs(60);
/// Songs that all change at once, so that writes meet.
const CONTESTED: usize = 2;
/// The playlist that all write to.
const SHARED: &str = "All";

/// What became of something that was asked for.
#[derive(Debug)]
enum Outcome {
    Done(Value),
    /// Nobody answered: it was done, or it was not.
    Unknown,
    /// It was refused, because the song is not there.
    Refused,
}

/// Something that one worker alone decides: what it is, as far as that was acknowledged,
/// and what it may be because somebody was killed in between.
#[derive(Debug)]
struct Fact<T> {
    promised: T,
    tried: Vec<T>,
}

impl<T: PartialEq> Fact<T> {
    const fn new(promised: T) -> Self {
        Self { promised, tried: Vec::new() }
    }

    fn note(&mut self, value: T, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => *self = Self::new(value),
            Outcome::Unknown => self.tried.push(value),
            Outcome::Refused => {}
        }
    }

    fn allows(&self, value: &T) -> bool {
        self.promised == *value || self.tried.contains(value)
    }
}

/// A server, whose address changes whenever it is started again.
struct Server {
    running: Mutex<(Child, String)>,
}

impl Server {
    fn start(world: &World) -> Self {
        Self { running: Mutex::new(started(world)) }
    }

    fn address(&self) -> String {
        self.running.lock().unwrap().1.clone()
    }

    // Nothing of it comes to its end.
    fn kill_and_start(&self, world: &World) {
        let mut running = self.running.lock().unwrap();
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        *running = started(world);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok((child, _)) = self.running.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn started(world: &World) -> (Child, String) {
    let mut command = world.command(&["serve", "--addr", "127.0.0.1:0", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let served: Value = serde_json::from_str(&line).unwrap();
    let url = served["url"].as_str().unwrap();
    (child, url.trim_start_matches("http://").trim_end_matches('/').to_owned())
}

/// A body and its type.
type Body = (&'static str, Vec<u8>);

fn as_json(value: &Value) -> Body {
    ("application/json", value.to_string().into_bytes())
}

fn as_form(name: &str, audio: &[u8]) -> Body {
    let mut body = format!(
        "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(audio);
    body.extend(b"\r\n--xyz--\r\n");
    ("multipart/form-data; boundary=xyz", body)
}

// The whole answer, or nothing if the server ends before.
fn ask(address: &str, line: &str, body: Option<&Body>) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let none = Vec::new();
    let bytes = body.map_or(&none, |(content_type, bytes)| {
        head += &format!("Content-Type: {content_type}\r\n");
        bytes
    });
    head += &format!("Content-Length: {}\r\n\r\n", bytes.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(cut)?;
    Ok((status, serde_json::from_str(body).map_err(|_| cut())?))
}

/// By which door a worker changes the library.
#[derive(Clone, Copy)]
enum Door<'a> {
    Http(&'a Server),
    Terminal,
}

/// A song that a worker brought in.
struct Own {
    id: String,
    is_there: Fact<bool>,
    is_in_playlist: Fact<bool>,
    is_in_shared: Fact<bool>,
}

/// Someone who changes the library, and what was promised.
struct Worker<'a> {
    index: usize,
    world: &'a World,
    /// The one that is used, and the others, which have to agree with it.
    door: Door<'a>,
    others: Vec<Door<'a>>,
    rng: StdRng,
    files: usize,
    own: Vec<Own>,
    /// The field of this worker in each song.
    values: BTreeMap<String, Fact<Option<String>>>,
    asked: usize,
    unknown: usize,
    compared: usize,
}

impl<'a> Worker<'a> {
    fn new(
        index: usize,
        world: &'a World,
        (door, others): (Door<'a>, Vec<Door<'a>>),
        seed: u64,
    ) -> Self {
        Self {
            index,
            world,
            door,
            others,
            rng: StdRng::seed_from_u64(seed ^ (index as u64) << 32),
            files: 0,
            own: Vec::new(),
            values: BTreeMap::new(),
            asked: 0,
            unknown: 0,
            compared: 0,
        }
    }

    fn playlist(&self) -> String {
        format!("W{}", self.index)
    }

    fn field(&self) -> String {
        format!("extra.w{}", self.index)
    }

    fn http(&mut self, server: &Server, line: &str, body: Option<&Body>) -> Outcome {
        self.asked += 1;
        let outcome = match ask(&server.address(), line, body) {
            Ok((200..=299, answer)) => Outcome::Done(answer),
            Ok((404, _)) => Outcome::Refused,
            // The library has this audio: an upload before was not answered.
            Ok((409, answer)) if answer["code"] == "known_already" => Outcome::Done(answer),
            Ok((503, _)) => Outcome::Unknown,
            Ok((status, answer)) => panic!("{line}: {status} {answer}"),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("{line}: no answer in {PATIENCE:?}")
            }
            Err(_) => Outcome::Unknown,
        };
        self.unknown += usize::from(matches!(outcome, Outcome::Unknown));
        outcome
    }

    // A command, which is killed now and then.
    fn command(&mut self, arguments: &[&str]) -> Outcome {
        self.asked += 1;
        let mut command = self.world.command(&[arguments, &["--json"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if self.rng.random_bool(0.3) {
            std::thread::sleep(Duration::from_millis(self.rng.random_range(0..400)));
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        let outcome = match output.status.code() {
            Some(0) => Outcome::Done(serde_json::from_slice(&output.stdout).unwrap_or_default()),
            Some(NOT_FOUND) => Outcome::Refused,
            Some(code) if !AGAIN.contains(&code) => {
                panic!("{arguments:?}: {code} {}", String::from_utf8_lossy(&output.stderr))
            }
            _ => Outcome::Unknown,
        };
        self.unknown += usize::from(matches!(outcome, Outcome::Unknown));
        outcome
    }

    fn step(&mut self) {
        match self.rng.random_range(0..12) {
            0..=1 => self.add(),
            2..=5 => self.edit(),
            6 => self.forget_or_restore(),
            7..=9 => self.list(),
            10 => self.share(),
            _ => self.title(),
        }
        // A server that is being started again is asked again a little later.
        std::thread::sleep(Duration::from_millis(5));
    }

    fn add(&mut self) {
        let name = format!("w{}-{}.wav", self.index, self.files);
        let audio = noise((self.index * 100_000 + self.files) as u64);
        self.files += 1;
        let found = |answer: &Value| answer["id"].as_str().map(str::to_owned);
        // Until somebody has said that it is there.
        let id = loop {
            let outcome = match self.door {
                Door::Http(server) => {
                    self.http(server, "POST /api/v1/songs", Some(&as_form(&name, &audio)))
                }
                Door::Terminal => {
                    std::fs::write(self.world.path("music").join(&name), &audio).unwrap();
                    match self.command(&["scan", "music"]) {
                        Outcome::Done(_) => self.command(&["show", &format!("music/{name}")]),
                        other => other,
                    }
                }
            };
            if let Outcome::Done(answer) = outcome
                && let Some(id) = found(&answer)
            {
                break id;
            }
        };
        self.own.push(Own {
            id,
            is_there: Fact::new(true),
            is_in_playlist: Fact::new(false),
            is_in_shared: Fact::new(false),
        });
    }

    // A song of this worker, or one of a few that all change at once; it may be gone before
    // it is used.
    fn any_song(&mut self) -> Option<String> {
        if self.rng.random_bool(0.3) {
            return self.own.choose(&mut self.rng).map(|own| own.id.clone());
        }
        let server = [self.door].into_iter().chain(self.others.iter().copied()).find_map(
            |door| match door {
                Door::Http(server) => Some(server),
                Door::Terminal => None,
            },
        )?;
        let line = format!("GET /api/v1/songs?sort=id&limit={CONTESTED}");
        let listed = ask(&server.address(), &line, None).ok()?.1;
        let songs = listed["songs"].as_array()?;
        Some(songs.choose(&mut self.rng)?["id"].as_str()?.to_owned())
    }

    fn set(&mut self, id: &str, field: &str, value: &str) -> Outcome {
        match self.door {
            Door::Http(server) => {
                let body = as_json(&json!({"set": {field: value}}));
                self.http(server, &format!("PATCH /api/v1/songs/{id}"), Some(&body))
            }
            Door::Terminal => self.command(&["edit", id, "--set", &format!("{field}={value}")]),
        }
    }

    fn edit(&mut self) {
        let Some(id) = self.any_song() else { return };
        let value = format!("v{}", self.asked);
        let outcome = self.set(&id, &self.field(), &value);
        let known = self.values.entry(id.clone()).or_insert_with(|| Fact::new(None));
        known.note(Some(value.clone()), &outcome);
        if matches!(outcome, Outcome::Done(_)) && self.rng.random_bool(0.3) {
            self.compare(&id, &value);
        }
    }

    // What was acknowledged at one door is seen through each other one.
    fn compare(&mut self, id: &str, value: &str) {
        for door in self.others.clone() {
            let shown = match door {
                Door::Http(server) => {
                    ask(&server.address(), &format!("GET /api/v1/songs/{id}"), None).ok()
                }
                Door::Terminal => {
                    let run = self.world.run(&["show", id, "--json"]);
                    let status = if run.code == 0 { 200 } else { 404 };
                    serde_json::from_str(&run.stdout).ok().map(|shown| (status, shown))
                }
            };
            // A server that is dead now says nothing, and the owner may have deleted it.
            if let Some((200, shown)) = shown {
                let seen = shown["edits"][self.field()].as_str();
                assert_eq!(seen, Some(value), "worker {}: {id}", self.index);
                self.compared += 1;
            }
        }
    }

    fn title(&mut self) {
        let Some(id) = self.any_song() else { return };
        let value = format!("by {} at {}", self.index, self.asked);
        self.set(&id, "title", &value);
    }

    fn forget_or_restore(&mut self) {
        if self.own.len() < 3 {
            return;
        }
        let at = self.rng.random_range(0..self.own.len());
        let id = self.own[at].id.clone();
        let is_there = !self.own[at].is_there.promised;
        let outcome = match (self.door, is_there) {
            (Door::Http(server), false) => {
                self.http(server, &format!("DELETE /api/v1/songs/{id}"), None)
            }
            (Door::Http(server), true) => {
                let body = as_json(&json!({"songs": [id]}));
                self.http(server, "POST /api/v1/trash/restore", Some(&body))
            }
            (Door::Terminal, false) => self.command(&["rm", &id, "--yes"]),
            (Door::Terminal, true) => self.command(&["trash", "restore", &id]),
        };
        // Who was killed had done it, if nobody else can have.
        let known = &mut self.own[at].is_there;
        match outcome {
            Outcome::Refused => {
                assert!(known.allows(&is_there), "{id}: {known:?}, but it was refused");
                *known = Fact::new(is_there);
            }
            outcome => known.note(is_there, &outcome),
        }
    }

    // Puts a song into the playlist of this worker, or takes it out.
    fn list(&mut self) {
        let name = self.playlist();
        let Some(at) = self.own_that_is_there() else { return };
        let id = self.own[at].id.clone();
        let is_in = !self.own[at].is_in_playlist.promised;
        let outcome = match (self.door, is_in) {
            (Door::Http(server), true) => self.put_in(server, &name, &id),
            (Door::Http(server), false) => self.take_out(server, &name, &id),
            (Door::Terminal, true) => self.command(&["playlist", "add", &name, &id]),
            (Door::Terminal, false) => self.command(&["playlist", "rm", &name, &id]),
        };
        if !is_in && matches!(outcome, Outcome::Refused) {
            let known = &mut self.own[at].is_in_playlist;
            assert!(known.allows(&false), "{id} is not in {name}: {known:?}");
            *known = Fact::new(false);
        } else {
            self.own[at].is_in_playlist.note(is_in, &outcome);
        }
    }

    fn put_in(&mut self, server: &Server, name: &str, id: &str) -> Outcome {
        let body = as_json(&json!({"songs": [id]}));
        self.http(server, &format!("POST /api/v1/playlists/{name}/songs"), Some(&body))
    }

    fn take_out(&mut self, server: &Server, name: &str, id: &str) -> Outcome {
        let shown = self.http(server, &format!("GET /api/v1/playlists/{name}"), None);
        let Outcome::Done(shown) = shown else { return shown };
        let keys: Vec<String> = entries(&shown)
            .filter(|(song, _)| *song == id)
            .map(|(_, key)| format!("entry={key}"))
            .collect();
        if keys.is_empty() {
            return Outcome::Refused;
        }
        let line = format!("DELETE /api/v1/playlists/{name}/songs?{}", keys.join("&"));
        self.http(server, &line, None)
    }

    // All put songs into one playlist, which loses none.
    fn share(&mut self) {
        let Some(at) = self.own_that_is_there() else { return };
        let id = self.own[at].id.clone();
        let outcome = match self.door {
            Door::Http(server) => self.put_in(server, SHARED, &id),
            Door::Terminal => self.command(&["playlist", "add", SHARED, &id]),
        };
        self.own[at].is_in_shared.note(true, &outcome);
    }

    fn own_that_is_there(&mut self) -> Option<usize> {
        let there = |own: &Own| own.is_there.promised && own.is_there.tried.is_empty();
        let places: Vec<usize> = (0..self.own.len()).filter(|at| there(&self.own[*at])).collect();
        places.choose(&mut self.rng).copied()
    }

    /// That everything that was promised is there.
    fn check(&self, songs: &BTreeMap<String, Value>, lists: &BTreeMap<String, Value>, seed: u64) {
        let has = |list: &str, id: &str| entries(&lists[list]).any(|(song, _)| song == id);
        for own in &self.own {
            let Own { id, is_there, is_in_playlist, is_in_shared } = own;
            assert!(is_there.allows(&songs.contains_key(id)), "{id}: {is_there:?} (seed {seed})");
            let listed = has(&self.playlist(), id);
            assert!(is_in_playlist.allows(&listed), "{id}: {is_in_playlist:?} (seed {seed})");
            assert!(is_in_shared.allows(&has(SHARED, id)), "{id}: {is_in_shared:?} (seed {seed})");
        }
        for (id, known) in &self.values {
            let Some(song) = songs.get(id) else { continue };
            let value = song["edits"][self.field()].as_str().map(str::to_owned);
            assert!(known.allows(&value), "{id}: {value:?}, promised {known:?} (seed {seed})");
        }
    }
}

// The songs of a playlist with their keys.
fn entries(shown: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = shown["entries"].as_array().into_iter().flatten();
    all.filter_map(|entry| Some((entry["song"].as_str()?, entry["key"].as_str()?)))
}

#[test]
#[expect(clippy::print_stderr, reason = "a long run says what it did")]
fn two_servers_and_the_command_line_killed_at_random_lose_nothing_and_agree() {
    let seconds = number("SONGREC_SOAK_SECONDS").unwrap_or(12);
    let seed = number("SONGREC_SOAK_SEED").unwrap_or(1);
    let world = World::new();
    for index in 0..=SERVERS {
        world.run(&["playlist", "new", &format!("W{index}")]).ok();
    }
    world.run(&["playlist", "new", SHARED]).ok();
    let servers: Vec<Server> = (0..SERVERS).map(|_| Server::start(&world)).collect();

    let until = Instant::now() + Duration::from_secs(seconds);
    let mut doors: Vec<Door<'_>> = servers.iter().map(Door::Http).collect();
    doors.push(Door::Terminal);
    let (workers, kills) = std::thread::scope(|scope| {
        let running: Vec<_> = (0..doors.len())
            .map(|index| {
                let mut others = doors.clone();
                let door = others.remove(index);
                let mut worker = Worker::new(index, &world, (door, others), seed);
                scope.spawn(move || {
                    while Instant::now() < until {
                        worker.step();
                    }
                    worker
                })
            })
            .collect();
        let mut rng = StdRng::seed_from_u64(seed);
        let mut kills = 0;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(rng.random_range(100..1_000)));
            servers.choose(&mut rng).unwrap().kill_and_start(&world);
            kills += 1;
        }
        (running.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>(), kills)
    });

    let seen: Vec<Seen> = doors.iter().map(|door| Seen::through(*door, &world)).collect();
    for other in &seen[1..] {
        assert_eq!(seen[0].list, other.list, "seed {seed}");
        assert_eq!(seen[0].playlists, other.playlists, "seed {seed}");
        assert_eq!(seen[0].similar, other.similar, "seed {seed}");
        for (id, song) in &seen[0].songs {
            assert_eq!(Some(song), other.songs.get(id), "seed {seed}");
        }
        assert_eq!(seen[0].songs.len(), other.songs.len());
    }
    for worker in &workers {
        worker.check(&seen[0].songs, &seen[0].playlists, seed);
    }
    world.run(&["verify", "--read-data"]).ok();

    let sum = |of: fn(&Worker<'_>) -> usize| workers.iter().map(of).sum::<usize>();
    eprintln!(
        "seed {seed}, {seconds} s: {kills} servers killed, {} requests and commands, {} of them \
         without an answer, {} compared at once, {} songs",
        sum(|worker| worker.asked),
        sum(|worker| worker.unknown),
        sum(|worker| worker.compared),
        seen[0].songs.len(),
    );
    assert!(kills > 0 && sum(|worker| worker.unknown) > 0 && !seen[0].songs.is_empty());
}

/// The library as it is seen through one door.
struct Seen {
    list: Vec<Value>,
    songs: BTreeMap<String, Value>,
    playlists: BTreeMap<String, Value>,
    similar: Vec<Value>,
}

impl Seen {
    fn through(door: Door<'_>, world: &World) -> Self {
        match door {
            Door::Http(server) => Self::of_server(&server.address()),
            Door::Terminal => Self::of_commands(world),
        }
    }

    fn of_server(address: &str) -> Self {
        let get = |path: &str| {
            let (status, document) = ask(address, &format!("GET {path}"), None).unwrap();
            assert_eq!(status, 200, "{path}: {document}");
            document
        };
        let list = get("/api/v1/songs?sort=id&limit=1000")["songs"].as_array().unwrap().clone();
        let songs = ids(&list).map(|id| (id.to_owned(), get(&format!("/api/v1/songs/{id}"))));
        let mut playlists: BTreeMap<_, _> =
            names().map(|name| (name.clone(), get(&format!("/api/v1/playlists/{name}")))).collect();
        for playlist in playlists.values_mut() {
            // Which part of it this is.
            for name in ["offset", "limit"] {
                playlist.as_object_mut().unwrap().remove(name);
            }
        }
        let similar = ids(&list)
            .take(5)
            .map(|id| get(&format!("/api/v1/songs/{id}/similar?k=20"))["results"].clone());
        Self { songs: songs.collect(), playlists, similar: similar.collect(), list: list.clone() }
    }

    fn of_commands(world: &World) -> Self {
        let list = world.json_lines(&["ls", "--sort", "id"]);
        let named: Vec<&str> = ids(&list).collect();
        let songs = world.json_lines(&[&["show"], named.as_slice()].concat());
        let songs = songs.into_iter().map(|song| (song["id"].as_str().unwrap().to_owned(), song));
        let playlists =
            names().map(|name| (name.clone(), world.json(&["playlist", "show", &name])));
        let similar = named
            .iter()
            .take(5)
            .map(|id| world.json(&["similar", id, "-k", "20"])["results"].clone());
        Self {
            songs: songs.collect(),
            playlists: playlists.collect(),
            similar: similar.collect(),
            list: list.clone(),
        }
    }
}

fn ids(list: &[Value]) -> impl Iterator<Item = &str> {
    list.iter().map(|song| song["id"].as_str().unwrap())
}

fn names() -> impl Iterator<Item = String> {
    (0..=SERVERS).map(|index| format!("W{index}")).chain([SHARED.to_owned()])
}

// 0.4 s of noise that no other seed gives.
fn noise(seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    wav(22_050, (0..8_820).map(|_| rng.random_range(-9000..9000)))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
