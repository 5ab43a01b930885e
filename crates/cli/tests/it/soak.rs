//! Three machines and a cloud in a ring, killed all the time: the first and the
//! last sync with the cloud, and each with its neighbour's library by its path.
//!
//! `SONGREC_SOAK_SECONDS` says for how long (30 if it is not set), and
//! `SONGREC_SOAK_SEED` which random choices are made; when processes are
//! killed differs from run to run all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;
use songrec_testkit::s3::S3Server;

use crate::world::{World, wav};

const MACHINES: usize = 3;
/// The exit code of a command whose song is not there.
const NOT_FOUND: i32 = 4;
/// So many rounds around the ring come to rest at the latest.
const MOST_ROUNDS: usize = 8;

/// One machine, and what it was promised.
struct Machine {
    index: usize,
    world: World,
    rng: StdRng,
    /// What it syncs with: names or paths of libraries.
    neighbours: Vec<String>,
    files: usize,
    edits: usize,
    /// Files that a scan said it took in.
    acknowledged: BTreeSet<String>,
    /// Files written since, or in a scan that was killed.
    pending: BTreeSet<String>,
    /// By song: the value that an edit of ours was promised to be, and those
    /// of later edits that were killed.
    values: BTreeMap<String, (Option<String>, Vec<String>)>,
    /// Songs that we forgot, or tried to, and their files.
    forgotten: BTreeSet<String>,
    forgotten_files: BTreeSet<String>,
    commands: usize,
    kills: usize,
}

impl Machine {
    fn new(index: usize, seed: u64, env: &str) -> Self {
        let world = World::bare();
        std::fs::write(world.path(".env"), env).unwrap();
        world.run(&["init"]).ok();
        Self {
            index,
            world,
            rng: StdRng::seed_from_u64(seed ^ (index as u64) << 32),
            neighbours: Vec::new(),
            files: 0,
            edits: 0,
            acknowledged: BTreeSet::new(),
            pending: BTreeSet::new(),
            values: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            forgotten_files: BTreeSet::new(),
            commands: 0,
            kills: 0,
        }
    }

    /// Runs a command that may be killed; says whether it ended well.
    fn try_run(&mut self, arguments: &[&str]) -> bool {
        self.commands += 1;
        let mut child = self
            .world
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if self.rng.random_bool(0.4) {
            std::thread::sleep(Duration::from_millis(self.rng.random_range(0..900)));
            let _ = child.kill();
            self.kills += 1;
        }
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            // Killed.
            None => false,
            Some(0) => true,
            // A neighbour's sync deleted the song after we had chosen it.
            Some(NOT_FOUND) if matches!(arguments[0], "edit" | "rm") => false,
            code => panic!("{arguments:?}: {code:?} {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..10) {
            0..=2 => self.add(),
            3..=5 => self.edit(),
            6 => self.forget(),
            _ => {
                let neighbour = self.neighbours.choose(&mut self.rng).unwrap().clone();
                let [left, right] = self.turned(&neighbour);
                self.try_run(&["sync", "--max-delete", "1000", left, right]);
            }
        }
    }

    // The two libraries of a sync, either of them first.
    fn turned<'a>(&mut self, neighbour: &'a str) -> [&'a str; 2] {
        if self.rng.random() { [neighbour, "local"] } else { ["local", neighbour] }
    }

    /// Syncs with all its neighbours; says whether nothing had to be done.
    fn sync_in_quiet(&mut self) -> bool {
        let mut rests = true;
        for neighbour in self.neighbours.clone() {
            let [left, right] = self.turned(&neighbour);
            let report = self.world.json(&["sync", "--max-delete", "1000", left, right]);
            let none = |what: &str| report[what].as_array().unwrap().is_empty();
            assert!(none("failed"), "{report:#}");
            rests &= none("songs") && none("documents");
        }
        rests
    }

    fn add(&mut self) {
        for _ in 0..self.rng.random_range(1..4) {
            let name = format!("m{}-{}.wav", self.index, self.files);
            let seed = (self.index * 100_000 + self.files) as u64;
            std::fs::write(self.world.path("music").join(&name), noise(seed)).unwrap();
            self.files += 1;
            self.pending.insert(name);
        }
        if self.try_run(&["scan", "music"]) {
            self.acknowledged.append(&mut self.pending);
        }
    }

    fn edit(&mut self) {
        let songs = documents(&self.world);
        let Some(id) = songs.keys().collect::<Vec<_>>().choose(&mut self.rng).copied().cloned()
        else {
            return;
        };
        self.edits += 1;
        let value = format!("v{}", self.edits);
        let own = format!("extra.m{}={value}", self.index);
        let shared = format!("title=by {} {value}", self.index);
        let done = self.try_run(&["edit", &id, "--set", &own, "--set", &shared]);
        let known = self.values.entry(id).or_default();
        if done {
            *known = (Some(value), Vec::new());
        } else {
            known.1.push(value);
        }
    }

    fn forget(&mut self) {
        // Only songs of ours, and few: most have to be there at the end.
        let own = format!("m{}-", self.index);
        let songs = documents(&self.world);
        let ours: Vec<_> = songs
            .iter()
            .filter(|(_, song)| names(song).any(|name| name.starts_with(&own)))
            .collect();
        if ours.len() < 4 {
            return;
        }
        let (id, song) = ours.choose(&mut self.rng).copied().unwrap();
        let id = id.clone();
        // What we said of it goes with it, unless somebody saw it before.
        self.values.remove(&id);
        self.forgotten.insert(id.clone());
        self.forgotten_files.extend(names(song));
        self.try_run(&["rm", &id, "--yes"]);
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a long run says what it did")]
fn three_machines_and_a_cloud_in_a_ring_killed_at_random_come_to_rest() {
    let seconds = number("SONGREC_SOAK_SECONDS").unwrap_or(30);
    let seed = number("SONGREC_SOAK_SEED").unwrap_or(1);
    let s3 = S3Server::start();
    let cloud = World::bare();
    let (_emulator, env) = emulator(&cloud, &s3);
    std::fs::write(cloud.path(".env"), &env).unwrap();
    cloud.run(&["--storage-backend", "astra", "init-astra"]).ok();

    let mut machines: Vec<Machine> =
        (0..MACHINES).map(|index| Machine::new(index, seed, &env)).collect();
    let libraries: Vec<String> = machines
        .iter()
        .map(|machine| machine.world.path("data/songrec/library").display().to_string())
        .collect();
    for machine in &mut machines {
        let (before, after) = (machine.index.checked_sub(1), machine.index + 1);
        machine.neighbours = vec![
            before.map_or("astra", |before| &libraries[before]).to_owned(),
            libraries.get(after).map_or("astra", |after| after).to_owned(),
        ];
    }

    let until = Instant::now() + Duration::from_secs(seconds);
    let threads: Vec<_> = machines
        .into_iter()
        .map(|mut machine| {
            std::thread::spawn(move || {
                while Instant::now() < until {
                    machine.step();
                }
                machine
            })
        })
        .collect();
    let mut machines: Vec<Machine> =
        threads.into_iter().map(|thread| thread.join().unwrap()).collect();

    for machine in &machines {
        machine.world.run(&["verify", "--read-data"]).ok();
    }
    let mut rounds = 0;
    loop {
        rounds += 1;
        let rests = machines.iter_mut().map(Machine::sync_in_quiet).collect::<Vec<_>>();
        if rests.into_iter().all(|rests| rests) {
            break;
        }
        assert!(rounds < MOST_ROUNDS, "there is still something to do (seed {seed})");
    }

    let after: Vec<_> = machines.iter().map(|machine| documents(&machine.world)).collect();
    for (machine, songs) in machines.iter().zip(&after) {
        let comparable = |songs: &BTreeMap<String, Value>| -> BTreeMap<String, Value> {
            songs.iter().map(|(id, song)| (id.clone(), shared_part(song))).collect()
        };
        let (here, there) = (comparable(songs), comparable(&after[0]));
        let ids: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        let different: Vec<_> = ids
            .into_iter()
            .filter(|id| here.get(*id) != there.get(*id))
            .map(|id| (id, here.get(id), there.get(id)))
            .collect();
        let index = machine.index;
        assert!(different.is_empty(), "machines {index} and 0 (seed {seed}): {different:#?}");
        machine.world.run(&["verify", "--read-data"]).ok();
        for neighbour in &machine.neighbours {
            machine.world.run(&["check", "local", neighbour, "--read-data"]).ok();
        }
    }
    let present: BTreeSet<String> = after[0].values().flat_map(names).collect();
    let forgotten: BTreeSet<&String> =
        machines.iter().flat_map(|machine| &machine.forgotten).collect();
    let forgotten_files: BTreeSet<&String> =
        machines.iter().flat_map(|machine| &machine.forgotten_files).collect();
    for machine in &machines {
        for name in &machine.acknowledged {
            let there = present.contains(name) || forgotten_files.contains(name);
            assert!(there, "`{name}` is lost (seed {seed})");
        }
        for (id, (promised, tried)) in &machine.values {
            let Some(song) = after[0].get(id) else {
                assert!(forgotten.contains(id), "song {id} is lost (seed {seed})");
                continue;
            };
            let field = format!("extra.m{}", machine.index);
            let value = edited(song, &field);
            let fine = value == *promised || value.as_ref().is_some_and(|v| tried.contains(v));
            assert!(fine, "{field} of {id}: {value:?}, promised {promised:?} (seed {seed})");
        }
    }
    let sum = |of: fn(&Machine) -> usize| machines.iter().map(of).sum::<usize>();
    eprintln!(
        "seed {seed}, {seconds} s: {} commands, {} of them killed, {} songs, {} edits promised, \
         at rest after {rounds} rounds",
        sum(|machine| machine.commands),
        sum(|machine| machine.kills),
        after[0].len(),
        sum(|machine| machine.values.values().filter(|value| value.0.is_some()).count()),
    );
    assert!(sum(|machine| machine.kills) > 0 && !after[0].is_empty());
}

/// `songrec emulator`, until it is dropped.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// An emulator, and the settings by which songrec finds it and the S3 server.
fn emulator(world: &World, s3: &S3Server) -> (Emulator, String) {
    let mut child = world
        .command(&["emulator", "--addr", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut env: String = lines.take(2).map(|line| line.unwrap() + "\n").collect();
    env += &format!(
        "SONGREC_BLOBS={}\nSONGREC_BLOBS_ENDPOINT={}\nSONGREC_BLOBS_REGION={}\n\
         SONGREC_BLOBS_ACCESS_KEY={}\nSONGREC_BLOBS_SECRET_KEY={}\n",
        s3.blobs("songrec"),
        s3.endpoint(),
        "us-east-1",
        S3Server::ACCESS_KEY,
        S3Server::SECRET_KEY,
    );
    (Emulator(child), env)
}

// The song documents of a machine, by id.
fn documents(world: &World) -> BTreeMap<String, Value> {
    let mut songs = BTreeMap::new();
    let mut folders = vec![world.path("data")];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let is_song = path.extension().is_some_and(|extension| extension == "json")
                && path.components().any(|part| part.as_os_str() == "songs");
            if path.is_dir() {
                folders.push(path);
            } else if is_song
                && let Ok(text) = std::fs::read_to_string(&path)
                && let Ok(song) = serde_json::from_str::<Value>(&text)
            {
                songs.insert(song["id"].as_str().unwrap().to_owned(), song);
            }
        }
    }
    songs
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()).map(|entry| entry.path()).collect()
}

// The names of a song's files, without their folders.
fn names(song: &Value) -> impl Iterator<Item = String> {
    let files = song["files"].as_array().cloned().unwrap_or_default();
    files.into_iter().map(|file| {
        let path = file["path"].as_str().unwrap();
        path.rsplit('/').next().unwrap_or(path).to_owned()
    })
}

fn edited(song: &Value, field: &str) -> Option<String> {
    song["edits"][field].as_str().map(str::to_owned)
}

// What all machines have to agree on: all but where each keeps the objects, and
// by how many writes it came to what it says.
fn shared_part(song: &Value) -> Value {
    let mut song = song.clone();
    let song_fields = song.as_object_mut().unwrap();
    song_fields.remove("blob");
    song_fields.remove("revision");
    song_fields.remove("checksum");
    for embedding in song_fields["embeddings"].as_object_mut().unwrap().values_mut() {
        embedding.as_object_mut().unwrap().remove("key");
    }
    song
}

// 0.4 s of noise that no other seed gives.
fn noise(seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    wav(22_050, (0..8_820).map(|_| rng.random_range(-9000..9000)))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
