//! Random histories of several machines that share one library, and what must
//! hold after them.
//!
//! A history is a list of seeds, one for each step, so that a step does the
//! same when others are left out; that is how a failing history is made
//! shorter.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod every;
mod shaky;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use songrec_core::{
    AudioProperties, Digest, Document, DocumentKind, Embedding, Field, Job, Metric, ModelSpec, Op,
    OperationId, Segment, SegmentId, Song, SongFile, SongId, SongSummary, Timestamp, Vector,
    Version,
};
use songrec_storage::{
    BlobSource, ChangeState, DeleteSong, MemoryBackend, NewBlob, NewEmbedding, Outcome,
    PutDocument, PutMode, PutSong, SegmentQuery, StorageBackend, StorageBackendExt, Tombstone,
    VerifyOptions,
};
use songrec_sync::{
    Direction, MaxDelete, Options, Replica, Report, Rules, State, Syncer, Verify, resolve_conflict,
    restore, retire,
};

pub(crate) use shaky::{Place, Shaky};

/// What histories are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) rules: Rules,
    /// Requests are lost, callers die.
    pub(crate) faults: bool,
    /// Machines are restored from backups.
    pub(crate) restores: bool,
    /// Machines are copied with their identity.
    pub(crate) clones: bool,
    /// Machines sync with each other, too.
    pub(crate) direct: bool,
    /// Tombstones are purged.
    pub(crate) purges: bool,
    /// Libraries sync along a random graph, with one or two shared ones in it;
    /// otherwise all with one shared library, and sometimes with each other.
    pub(crate) graph: bool,
    /// Playlists are made, changed and deleted.
    pub(crate) playlists: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            faults: true,
            restores: true,
            clones: true,
            direct: true,
            purges: true,
            graph: false,
            playlists: true,
        }
    }
}

const SONGS: u64 = 4;
const DAY: i64 = 24 * 60 * 60;

fn model() -> ModelSpec {
    ModelSpec {
        name: "tiny@1".parse().unwrap(),
        dimension: 2,
        metric: Metric::Euclidean,
        description: String::new(),
    }
}

struct Machine {
    library: Arc<Place>,
    states: BTreeMap<Names, State>,
    clock: Arc<AtomicI64>,
}

struct Backup {
    of: usize,
    library: MemoryBackend,
    states: BTreeMap<Names, State>,
}

/// What a machine remembers syncs by: with whom, and whether the other one is
/// named first, because `sync A B` and `sync B A` remember apart.
type Names = (usize, bool);

/// With whom a state is, for the first of the shared libraries; the others
/// count down from it.
const SHARED: usize = usize::MAX;

/// What somebody did to a song, and what they knew.
struct Object {
    song: SongId,
    op: Op,
    /// The writes that they had seen.
    seen: BTreeSet<Op>,
    kind: Kind,
    /// Values that they said, and those that they took away or replaced.
    wrote: Vec<(String, String)>,
    over: BTreeSet<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A person wants the song.
    Life,
    /// A file moved, a segment came.
    Found,
    Deletion,
}

pub(crate) struct World {
    setup: Setup,
    machines: Vec<Machine>,
    shared: Vec<Arc<Place>>,
    // Who syncs with whom: a machine with a machine or with a shared library.
    edges: Vec<(usize, usize)>,
    backups: Vec<Backup>,
    now: i64,
    objects: Vec<Object>,
    // Names of playlists, until somebody who saw them says otherwise.
    said: BTreeSet<String>,
    // Segments that went with a disk; a backup may bring them back.
    lost: BTreeSet<String>,
    log: Vec<String>,
    pub(crate) syncs: u64,
    pub(crate) crashes: u64,
}

// Everything in memory is ready at once; what is not is a caller that died.
fn now_or_dead<T>(future: impl Future<Output = T>) -> Option<T> {
    future.now_or_never()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    now_or_dead(future).expect("nothing waits here")
}

fn audio_hash(number: u64) -> Digest {
    Digest::of(format!("song {number}").as_bytes())
}

const FIELDS: [&str; 3] = ["title", "artist", "genre"];
/// In what is said of a song: one of its segments, by its id.
const SEGMENT: &str = "segment";

// What an object says or takes: an element of a list or a file by itself, any
// other field as a whole.
fn key(field: &str, value: &str) -> String {
    match field {
        "genre" | "files" | SEGMENT => format!("{field}={value}"),
        _ => field.to_owned(),
    }
}

// A random tree over the machines and shared libraries, and some more edges, so
// that rings are common. Shared libraries do not sync by themselves.
fn graph(rng: &mut StdRng, machines: usize, shared: usize) -> Vec<(usize, usize)> {
    let mut edges = BTreeSet::new();
    for machine in 1..machines {
        edges.insert((rng.random_range(0..machine), machine));
    }
    for number in 0..shared {
        edges.insert((rng.random_range(0..machines), SHARED - number));
    }
    for _ in 0..rng.random_range(0..=machines + shared) {
        let (one, two) = (rng.random_range(0..machines), rng.random_range(0..machines + shared));
        if two >= machines {
            edges.insert((one, SHARED - (two - machines)));
        } else if one != two {
            edges.insert((one.min(two), one.max(two)));
        }
    }
    edges.into_iter().collect()
}

impl World {
    pub(crate) fn new(seed: u64, setup: Setup) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let machines = rng.random_range(2..=5);
        let skew = [0, 0, 90, -90, DAY, -DAY, 400 * DAY];
        let machines = (0..machines)
            .map(|_| {
                let memory = MemoryBackend::new();
                run(memory.embeddings().put_model(&model())).unwrap();
                Machine {
                    library: Place::new(memory, false),
                    states: BTreeMap::new(),
                    clock: Arc::new(AtomicI64::new(*skew.choose(&mut rng).unwrap())),
                }
            })
            .collect();
        let machines: Vec<Machine> = machines;
        let shared = if setup.graph { rng.random_range(0..=2) } else { 1 };
        let edges = if setup.graph {
            graph(&mut rng, machines.len(), shared)
        } else {
            (0..machines.len()).map(|machine| (machine, SHARED)).collect()
        };
        let shared = (0..shared).map(|_| Place::new(MemoryBackend::new(), true)).collect();
        Self {
            setup,
            machines,
            shared,
            edges,
            backups: Vec::new(),
            now: 1_800_000_000,
            objects: Vec::new(),
            said: BTreeSet::new(),
            lost: BTreeSet::new(),
            log: Vec::new(),
            syncs: 0,
            crashes: 0,
        }
    }

    fn time(&self, machine: usize) -> Timestamp {
        let offset = self.machines[machine].clock.load(Ordering::Relaxed);
        Timestamp::from_second(self.now + offset).unwrap()
    }

    fn library(&self, machine: usize) -> &MemoryBackend {
        &self.machines[machine].library.memory
    }

    fn place(&self, at: usize) -> &Arc<Place> {
        match SHARED - at {
            number if number < 100 => &self.shared[number],
            _ => &self.machines[at].library,
        }
    }

    fn everywhere(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.machines.iter().map(|machine| &machine.library).chain(&self.shared)
    }

    fn name(&self, at: usize) -> String {
        match SHARED - at {
            number if number < 100 => format!("shared {number}"),
            _ => at.to_string(),
        }
    }

    fn songs(&self, machine: usize) -> Vec<Song> {
        songs_of(self.library(machine))
    }

    pub(crate) fn step(&mut self, seed: u64) -> Result<(), String> {
        let mut rng = StdRng::seed_from_u64(seed);
        self.now += rng.random_range(1..600);
        let machine = rng.random_range(0..self.machines.len());
        let unique = format!("{:06x}", seed & 0xff_ffff);
        if seed.is_multiple_of(25) {
            self.segment(machine, &mut rng, seed);
            return Ok(());
        }
        if seed.is_multiple_of(101) {
            self.unsegment(machine, &mut rng);
            return Ok(());
        }
        match rng.random_range(0..100) {
            0..=11 => self.add(machine, &mut rng, &unique),
            12..=31 => self.edit(machine, &mut rng, &unique),
            32..=35 => self.retag(machine, &mut rng, &unique),
            36..=39 => self.move_file(machine, &mut rng, &unique),
            40..=45 => self.delete(machine, &mut rng),
            46..=47 => self.undelete(machine, &mut rng),
            48..=51 => self.decide(machine, &mut rng),
            52..=56 => {
                if self.setup.playlists {
                    self.playlist(machine, &mut rng, &unique);
                }
            }
            57..=86 => {
                let edge = *self.edges.choose(&mut rng).unwrap();
                let (one, two) = self.who_syncs(edge, &mut rng);
                self.sync(one, two, &mut rng)?;
            }
            87..=90 => {
                let other = rng.random_range(0..self.machines.len());
                if self.setup.direct && !self.setup.graph && other != machine {
                    self.sync(machine, other, &mut rng)?;
                }
            }
            91 => self.back_up(machine),
            92 => self.restore(&mut rng),
            93 => self.copy_machine(machine, &mut rng),
            94 => {
                let jump = *[3_600, -3_600, DAY, -DAY, -40 * DAY].choose(&mut rng).unwrap();
                self.machines[machine].clock.fetch_add(jump, Ordering::Relaxed);
                self.log.push(format!("{machine}: clock jumps by {jump}"));
            }
            95 | 96 => {
                let days = rng.random_range(1..20);
                self.now += days * DAY;
                self.log.push(format!("{days} days pass"));
            }
            97 => self.retire(&mut rng),
            98 if rng.random() => self.migrate(machine, &mut rng),
            98 => self.lose_state(machine, &mut rng),
            _ => {
                self.everywhere().for_each(|place| run(place.land(None)));
                self.log.push("what was late lands".into());
            }
        }
        Ok(())
    }

    // ---- What people do.

    fn add(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let number = rng.random_range(0..SONGS);
        let now = self.time(machine);
        let mut song = Song::new(audio_hash(number), AudioProperties::default(), now);
        let library = self.library(machine);
        if run(library.get_song(song.id)).unwrap().is_some() {
            return;
        }
        let path = format!("m{machine}/{number}-{unique}.flac");
        song.tags.title = Some(format!("song {number}"));
        song.add_file(SongFile { path: path.clone(), sha256: audio_hash(number), size: 4 });
        // Another machine embeds the last bit otherwise.
        let embedded = vec![number as f32, machine as f32];
        let vector = Vector::new(embedded).unwrap();
        let embedding = Embedding { song: song.id, model: model().name, vector };
        let new = NewEmbedding {
            summary: SongSummary::of(&song),
            operation: song.revision.operation,
            embedding,
        };
        let references = run(library.embeddings().put(&[new])).unwrap();
        song.embeddings.insert(model().name, references[0].clone());
        if rng.random_bool(0.3) {
            let bytes = bytes::Bytes::from(format!("audio {number}"));
            let new = NewBlob {
                sha256: Digest::of(&bytes),
                size: bytes.len() as u64,
                operation: song.revision.operation,
            };
            let stream = futures::stream::iter([Ok(bytes)]).boxed();
            song.blob = Some(run(library.blobs().put(&new, BlobSource::Stream(stream))).unwrap());
        }
        let put = PutSong { song: song.clone(), mode: PutMode::Create, origin: None };
        assert_eq!(run(library.songs().put(&[put])).unwrap(), [Outcome::Done]);
        self.note(None, &song, Kind::Life, vec![("files", path.clone())], &[]);
        self.log.push(format!("{machine}: adds {number} {path}"));
    }

    fn choose(&self, machine: usize, rng: &mut StdRng) -> Option<Song> {
        self.songs(machine).choose(rng).cloned()
    }

    fn replace(
        &mut self,
        machine: usize,
        before: &Song,
        mut after: Song,
        kind: Kind,
        wrote: Vec<(&str, String)>,
        over: &[String],
    ) {
        after.revise(before, self.time(machine));
        self.note(Some(&before.version()), &after, kind, wrote, over);
        let mode = PutMode::Replace(before.revision.operation);
        let put = PutSong { song: after, mode, origin: None };
        assert_eq!(run(self.library(machine).songs().put(&[put])).unwrap(), [Outcome::Done]);
    }

    fn edit(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let Some(song) = self.choose(machine, rng) else { return };
        let name = *FIELDS.choose(rng).unwrap();
        let field: Field = name.parse().unwrap();
        let mut next = song.clone();
        let before = next.edits.get(&field).cloned();
        match (name, rng.random_range(0..10)) {
            (_, 0) => {
                next.edits.reset(&field);
            }
            (_, 1) => next.edits.set(field.clone(), None).unwrap(),
            ("genre", 2..=7) => {
                // One more, and perhaps one less.
                let mut all: Vec<Value> =
                    before.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
                if all.len() > 1 && rng.random() {
                    all.remove(0);
                }
                all.push(json!(unique));
                next.edits.set_value(field.clone(), Value::Array(all));
            }
            _ => next.edits.set(field.clone(), Some(unique)).unwrap(),
        }
        if next.edits.get(&field) == before.as_ref() {
            return;
        }
        let after = next.edits.get(&field).cloned();
        self.log.push(format!("{machine}: {} {name} = {after:?}", song.id.short()));
        let (was, is) = (values_of(before.as_ref()), values_of(after.as_ref()));
        // Whoever writes a field has decided about all that was seen of it. In
        // a list only what is new is said: what it kept, others may take away.
        let over: Vec<String> = match name {
            "genre" => {
                was.iter().filter(|one| !is.contains(one)).map(|one| key(name, one)).collect()
            }
            _ => vec![name.to_owned()],
        };
        let new = is.into_iter().filter(|one| name != "genre" || !was.contains(one));
        let wrote = new.map(|one| (name, one)).collect();
        self.replace(machine, &song, next, Kind::Life, wrote, &over);
    }

    fn retag(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let Some(song) = self.choose(machine, rng) else { return };
        let mut next = song.clone();
        next.tags.album = Some(unique.to_owned());
        next.tags.genres = vec![unique.to_owned()];
        self.log.push(format!("{machine}: {} retagged {unique}", song.id.short()));
        self.replace(machine, &song, next, Kind::Found, vec![], &[]);
    }

    // Objects first, then the song that they belong to: only songs are told.
    fn segment(&mut self, machine: usize, rng: &mut StdRng, seed: u64) {
        let Some(song) = self.choose(machine, rng) else { return };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let id = SegmentId::from_bytes(bytes);
        let segment = Segment {
            id,
            song: song.id,
            model: model().name,
            kind: "chorus".to_owned(),
            start: 1.0,
            end: 2.0,
            frequencies: None,
            confidence: 0.5,
            vector: Vector::new(vec![1.0, 2.0]).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            pattern: None,
        };
        run(self.library(machine).segments().put(&[segment])).unwrap();
        self.log.push(format!("{machine}: {} gets segment {id}", song.id.short()));
        let wrote = vec![(SEGMENT, id.to_string())];
        self.replace(machine, &song, song.clone(), Kind::Found, wrote, &[]);
    }

    fn move_file(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let Some(song) = self.choose(machine, rng) else { return };
        let Some(file) = song.files.choose(rng).cloned() else { return };
        let mut next = song.clone();
        let path = format!("m{machine}/moved-{unique}.flac");
        next.remove_file(&file.path);
        next.add_file(SongFile { path: path.clone(), ..file.clone() });
        self.log.push(format!("{machine}: {} {} moves to {path}", song.id.short(), file.path));
        let over = [key("files", &file.path)];
        self.replace(machine, &song, next, Kind::Found, vec![("files", path)], &over);
    }

    fn delete(&mut self, machine: usize, rng: &mut StdRng) {
        let Some(song) = self.choose(machine, rng) else { return };
        let operation = OperationId::random();
        let delete = DeleteSong {
            id: song.id,
            version: Some(song.revision.operation),
            operation,
            at: self.time(machine),
            origin: None,
            leaving: None,
        };
        assert_eq!(run(self.library(machine).songs().delete(&[delete])).unwrap(), [Outcome::Done]);
        self.log.push(format!("{machine}: deletes {}", song.id.short()));
        self.objects.push(Object {
            song: song.id,
            op: operation.into(),
            seen: song.version().seen().clone(),
            kind: Kind::Deletion,
            wrote: vec![],
            over: BTreeSet::new(),
        });
    }

    fn undelete(&mut self, machine: usize, rng: &mut StdRng) {
        let library = self.library(machine);
        let changes = run(library.maintenance().changes(None, 1_000)).unwrap().changes;
        let deleted: Vec<Tombstone> = changes
            .into_iter()
            .filter_map(|change| match change.state {
                ChangeState::Deleted(tombstone) => Some(*tombstone),
                ChangeState::Present(_) => None,
            })
            .collect();
        if let Some(Tombstone { song, revision, .. }) = deleted.choose(rng) {
            run(restore(library, &[song.id], self.time(machine))).unwrap();
            let back = run(self.library(machine).get_song(song.id)).unwrap().unwrap();
            let known = song.deleted(revision.operation);
            self.note(Some(&known), &back, Kind::Life, vec![], &[]);
            self.log.push(format!("{machine}: restores {}", song.id.short()));
        }
    }

    // Deletes a segment, for ever.
    fn unsegment(&mut self, machine: usize, rng: &mut StdRng) {
        let Some(song) = self.choose(machine, rng) else { return };
        let segments = segments_of(self.library(machine), song.id);
        let Some(id) = segments.iter().next() else { return };
        let gone: SegmentId = id.parse().unwrap();
        run(self.library(machine).segments().delete(&[gone])).unwrap();
        let mut next = song.clone();
        next.forget_segments(&[gone]);
        self.log.push(format!("{machine}: {} loses segment {id}", song.id.short()));
        self.replace(machine, &song, next, Kind::Found, vec![], &[key(SEGMENT, id)]);
    }

    fn decide(&mut self, machine: usize, rng: &mut StdRng) {
        let songs = self.songs(machine);
        let with: Vec<&Song> = songs.iter().filter(|song| !song.conflicts.is_empty()).collect();
        let Some(song) = with.choose(rng) else { return };
        let entry = song.conflicts.choose(rng).unwrap();
        let taken = rng.random_bool(0.5).then_some(&entry.value);
        let name = entry.field.to_string();
        let library = self.library(machine);
        let now = self.time(machine);
        run(resolve_conflict(library, song.id, &entry.field, taken, now)).unwrap();
        self.log.push(format!("{machine}: {} decides {name}: {taken:?}", song.id.short()));
        let stays = values_of(taken.or(song.edits.get(&entry.field)));
        let after = run(self.library(machine).get_song(song.id)).unwrap().unwrap();
        let field = entry.field.to_string();
        let wrote = stays.into_iter().map(|one| (field.as_str(), one)).collect();
        self.note(Some(&song.version()), &after, Kind::Life, wrote, &[name]);
    }

    fn playlist(&mut self, machine: usize, rng: &mut StdRng, unique: &str) {
        let library = self.library(machine);
        let id = format!("list-{}", rng.random_range(0..2));
        let ids = std::slice::from_ref(&id);
        let kind = DocumentKind::Playlist;
        let stored = run(library.documents().get(kind, ids)).unwrap().pop().flatten();
        let now = self.time(machine);
        if let Some(stored) = stored.as_ref().filter(|stored| !stored.deleted) {
            let seen = stored.body["name"].as_str().unwrap().to_owned();
            self.said.remove(&seen);
            if rng.random_bool(0.2) {
                let mode = PutMode::Replace(stored.revision.operation);
                let put = PutDocument { document: stored.deleted(now), mode };
                run(self.library(machine).documents().put(&[put])).unwrap();
                self.log.push(format!("{machine}: deletes playlist {id}"));
                return;
            }
        }
        let body = json!({ "name": unique });
        let document = match &stored {
            Some(stored) => stored.saying(body, now),
            None => Document::new(kind, id.clone(), body, now),
        };
        let mode = match &stored {
            Some(stored) => PutMode::Replace(stored.revision.operation),
            None => PutMode::Create,
        };
        let put = PutDocument { document, mode };
        assert_eq!(run(self.library(machine).documents().put(&[put])).unwrap(), [Outcome::Done]);
        self.said.insert(unique.to_owned());
        self.log.push(format!("{machine}: playlist {id} = {unique}"));
    }

    fn note(
        &mut self,
        before: Option<&Version>,
        after: &Song,
        kind: Kind,
        wrote: Vec<(&str, String)>,
        over: &[String],
    ) {
        let written = wrote.iter().map(|(field, value)| key(field, value));
        self.objects.push(Object {
            song: after.id,
            op: after.revision.operation.into(),
            seen: before.map(|before| before.seen().clone()).unwrap_or_default(),
            kind,
            over: over.iter().cloned().chain(written).collect(),
            wrote: wrote.into_iter().map(|(field, value)| (field.to_owned(), value)).collect(),
        });
    }

    // ---- What machines do.

    // Either of two machines syncs them; a shared library does nothing.
    fn who_syncs(&self, (one, two): (usize, usize), rng: &mut StdRng) -> (usize, usize) {
        if two < self.machines.len() && rng.random() { (two, one) } else { (one, two) }
    }

    fn syncer(
        &mut self,
        machine: usize,
        (with, turned): Names,
        seed: u64,
        share: f64,
        dies_at: Arc<Mutex<Option<u64>>>,
    ) -> Syncer {
        let keep = if self.setup.purges { 25 * DAY } else { 100_000 * DAY };
        let keep = Duration::from_secs(keep.unsigned_abs());
        let one = &mut self.machines[machine];
        let state = one.states.remove(&(with, turned));
        let state = state.unwrap_or_else(|| State::in_memory().unwrap());
        let (now, clock) = (self.now, Arc::clone(&one.clock));
        let (own, other) = (Arc::clone(self.place(machine)), Arc::clone(self.place(with)));
        // The own library is a disk: it does not lose answers, but its caller
        // may die.
        let own = Replica::new("own", Shaky::new(own, seed ^ 1, 0.0, Arc::clone(&dies_at)));
        let other = Replica::new("other", Shaky::new(other, seed ^ 2, share, dies_at));
        let (left, right) = if turned { (other, own) } else { (own, other) };
        Syncer::new(left, right, state).with_rules(self.setup.rules, keep).with_clock(move || {
            Timestamp::from_second(now + clock.load(Ordering::Relaxed)).unwrap()
        })
    }

    fn sync(&mut self, machine: usize, with: usize, rng: &mut StdRng) -> Result<(), String> {
        let faulty = self.setup.faults && rng.random_bool(0.5);
        let share = if faulty { rng.random_range(0.0..0.5) } else { 0.0 };
        let dies = self.setup.faults && rng.random_bool(0.25);
        let dies_at = dies.then(|| rng.random_range(0..25));
        let dies_at = Arc::new(Mutex::new(dies_at));
        let direction = match rng.random_range(0..10) {
            0 => Direction::Push,
            1 => Direction::Pull,
            _ => Direction::Both,
        };
        let options = Options {
            direction,
            max_delete: MaxDelete::Songs(1_000),
            jobs: rng.random_range(1..3),
            full: rng.random_bool(0.03),
            adopt: true,
            machine: format!("machine {machine}"),
            ..Options::default()
        };
        let names = (with, rng.random());
        let syncer = self.syncer(machine, names, rng.random(), share, dies_at);
        let result = now_or_dead(syncer.run(&options));
        self.syncs += 1;
        let with_name = self.name(with);
        let text = match &result {
            None => {
                self.crashes += 1;
                "dies".to_owned()
            }
            Some(Err(error)) => format!("fails: {error}"),
            Some(Ok(report)) => summary(report),
        };
        let turned = if names.1 { " turned" } else { "" };
        self.log.push(format!("{machine}: syncs with {with_name} {direction:?}{turned}: {text}"));
        self.machines[machine].states.insert(names, syncer.into_state());
        self.check_objects(with)
    }

    // A reader elsewhere never sees a song whose objects cannot be had.
    fn check_objects(&self, with: usize) -> Result<(), String> {
        let library = &self.place(with).memory;
        let findings =
            run(library.maintenance().verify(&VerifyOptions::default(), &Job::silent())).unwrap();
        match findings.first() {
            None => Ok(()),
            Some(finding) => Err(format!("{}: {}", finding.subject, finding.problem)),
        }
    }

    fn back_up(&mut self, machine: usize) {
        let one = &self.machines[machine];
        let states = one.states.iter().map(|(names, state)| (*names, state.fork().unwrap()));
        let backup =
            Backup { of: machine, library: one.library.memory.fork(), states: states.collect() };
        self.backups.push(backup);
        if self.backups.len() > 3 {
            self.backups.remove(0);
        }
        self.log.push(format!("{machine}: is backed up"));
    }

    fn restore(&mut self, rng: &mut StdRng) {
        if !self.setup.restores || self.backups.is_empty() {
            return;
        }
        let at = rng.random_range(0..self.backups.len());
        let what = rng.random_range(0..3);
        let machine = self.backups[at].of;
        let backup = &self.backups[at];
        let library = backup.library.fork();
        let states = backup.states.iter().map(|(names, state)| (*names, state.fork().unwrap()));
        let states = states.collect();
        if what != 1 {
            self.disk_goes(machine, &library);
            self.machines[machine].library = Place::new(library, false);
        }
        if what != 2 {
            self.machines[machine].states = states;
        }
        let what = ["library and state", "state", "library"][what];
        self.log.push(format!("{machine}: {what} restored from a backup"));
    }

    // The disk of one machine is copied to another, in place of what was
    // there.
    fn copy_machine(&mut self, machine: usize, rng: &mut StdRng) {
        let to = rng.random_range(0..self.machines.len());
        if !self.setup.clones || to == machine {
            return;
        }
        let library = self.library(machine).fork();
        self.disk_goes(to, &library);
        let from = &self.machines[machine];
        let states = from.states.iter().map(|(names, state)| (*names, state.fork().unwrap()));
        // A state with oneself makes no sense.
        let states = states.filter(|((with, _), _)| *with != to).collect();
        let library = Place::new(from.library.memory.fork(), false);
        self.machines[to].library = library;
        self.machines[to].states = states;
        self.backups.retain(|backup| backup.of != to);
        self.log.push(format!("{machine}: is copied to {to}"));
    }

    // What was only here is gone with the disk, and nobody can help it.
    fn disk_goes(&mut self, machine: usize, instead: &MemoryBackend) {
        let names = |library: &MemoryBackend| -> BTreeSet<String> {
            // One that was merged holds others until they stand beside it.
            let beside = |one: Document| {
                let others = one.beside(&one.version());
                std::iter::once(one).chain(others)
            };
            let names = playlists(library).into_iter().flat_map(beside);
            names.map(|one| one.body["name"].as_str().unwrap().to_owned()).collect()
        };
        let here = names(self.library(machine));
        let mut elsewhere = names(instead);
        for other in self.everywhere().filter(|other| !Arc::ptr_eq(other, self.place(machine))) {
            elsewhere.extend(names(&other.memory));
        }
        self.said.retain(|said| !here.contains(said) || elsewhere.contains(said));
        let segments = |library: &MemoryBackend| -> BTreeSet<String> {
            let songs = (0..SONGS).map(|number| SongId::from_audio_hash(&audio_hash(number)));
            songs.flat_map(|song| segments_of(library, song)).collect()
        };
        let mut gone = segments(self.library(machine));
        let others = self.everywhere().filter(|other| !Arc::ptr_eq(other, self.place(machine)));
        for library in others.map(|other| &other.memory).chain([instead]) {
            for segment in segments(library) {
                gone.remove(&segment);
            }
        }
        self.lost.append(&mut gone);
    }

    // What is remembered of syncs is deleted, or comes from another machine.
    fn lose_state(&mut self, machine: usize, rng: &mut StdRng) {
        let from = rng.random_range(0..self.machines.len());
        let states = if rng.random() {
            BTreeMap::new()
        } else {
            let states = self.machines[from].states.iter();
            let states = states.filter(|((with, _), _)| *with != machine);
            states.map(|(names, state)| (*names, state.fork().unwrap())).collect()
        };
        self.log.push(format!("{machine}: remembers {} syncs, of {from}", states.len()));
        self.machines[machine].states = states;
    }

    fn retire(&mut self, rng: &mut StdRng) {
        let Some(shared) = self.shared.first().cloned() else { return };
        let machines = run(songrec_sync::machines(&shared.memory)).unwrap();
        if let Some(machine) = machines.choose(rng) {
            run(retire(&shared.memory, &machine.id)).unwrap();
            self.log.push(format!("machine {} ({}) is retired", machine.id, machine.name));
        }
    }

    fn migrate(&mut self, machine: usize, rng: &mut StdRng) {
        let to = rng.random_range(0..self.machines.len());
        if to == machine || !self.setup.direct {
            return;
        }
        let left = Shaky::new(Arc::clone(&self.machines[machine].library), 1, 0.0, Arc::default());
        let right = Shaky::new(Arc::clone(&self.machines[to].library), 2, 0.0, Arc::default());
        let syncer = Syncer::new(
            Replica::new("from", left),
            Replica::new("to", right),
            State::in_memory().unwrap(),
        );
        let options = Options::default();
        run(syncer.migrate(&options, Verify::None)).unwrap();
        self.log.push(format!("{machine}: is migrated to {to}"));
    }

    // ---- What must hold.

    /// Everybody syncs in quiet until nothing is left to do; then all must be
    /// equal, and everything that nobody took back who knew it must be there.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.everywhere().for_each(|place| run(place.land(None)));
        let (held, remembered) = (self.held(), self.remembered());
        let mut rng = StdRng::seed_from_u64(0);
        let faults = std::mem::replace(&mut self.setup.faults, false);
        for round in 0.. {
            if round == MOST_ROUNDS {
                return Err(format!("after {round} quiet rounds there is still something to do"));
            }
            let mut rests = true;
            for edge in self.edges.clone() {
                let (one, two) = self.who_syncs(edge, &mut rng);
                rests &= self.sync_in_quiet(one, (two, rng.random()), &mut rng)?;
            }
            if rests {
                break;
            }
        }
        for (one, two) in self.edges.clone() {
            for turned in [false, true] {
                if !self.sync_in_quiet(one, (two, turned), &mut rng)? {
                    return Err(format!("{one} has something to do again, turned: {turned}"));
                }
            }
        }
        self.setup.faults = faults;
        self.check_equal(&held)?;
        self.check_objects_of_songs(&held, &remembered)?;
        self.check_playlists()?;
        for (_, with) in self.edges.clone() {
            self.check_objects(with)?;
        }
        (0..self.machines.len()).try_for_each(|machine| self.check_objects(machine))
    }

    // Says whether nothing had to be done.
    fn sync_in_quiet(
        &mut self,
        one: usize,
        names: Names,
        rng: &mut StdRng,
    ) -> Result<bool, String> {
        let options =
            Options { max_delete: MaxDelete::Songs(1_000), adopt: true, ..Options::default() };
        let syncer = self.syncer(one, names, rng.random(), 0.0, Arc::default());
        let result = run(syncer.run(&options));
        self.machines[one].states.insert(names, syncer.into_state());
        let report = result.map_err(|error| format!("a quiet sync failed: {error:?}"))?;
        let (with, turned) = (self.name(names.0), if names.1 { " turned" } else { "" });
        self.log.push(format!("{one}: syncs in quiet with {with}{turned}: {}", summary(&report)));
        if !report.is_complete() {
            return Err(format!("a quiet sync left something: {:?}", report.failed));
        }
        Ok(report.is_empty() && report.waiting == 0)
    }

    // The writes that a deletion had seen which is remembered. If no library
    // has it any more, it may count or not.
    fn remembered(&self) -> BTreeSet<Op> {
        let states = self.machines.iter().flat_map(|machine| machine.states.values());
        let remembered = states.flat_map(|state| state.tombstones().unwrap());
        let seen = |tombstone: Tombstone| {
            tombstone.song.deleted(tombstone.revision.operation).seen().clone()
        };
        remembered.flat_map(seen).collect()
    }

    // The writes that some library has seen; the others went with a disk.
    fn held(&self) -> BTreeSet<Op> {
        let mut held = BTreeSet::new();
        for place in self.everywhere() {
            for change in run(place.memory.maintenance().changes(None, usize::MAX)).unwrap().changes
            {
                let version = match change.state {
                    ChangeState::Present(song) => song.version(),
                    ChangeState::Deleted(tombstone) => {
                        tombstone.song.deleted(tombstone.revision.operation)
                    }
                };
                held.extend(version.seen().iter().copied());
            }
        }
        held
    }

    fn check_equal(&self, held: &BTreeSet<Op>) -> Result<(), String> {
        let pictured =
            |library: &MemoryBackend| picture(library, &|segment| self.is_known(segment, held));
        let wanted = pictured(self.library(0));
        for at in (1..self.machines.len()).chain((0..self.shared.len()).map(|one| SHARED - one)) {
            let found = pictured(&self.place(at).memory);
            if found != wanted {
                let keys: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
                for key in keys {
                    let (own, first) = (found.get(key), wanted.get(key));
                    if own != first {
                        let at = self.name(at);
                        return Err(format!("{at} and 0 differ in {key}:\n  {own:?}\n  {first:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    // A song is there exactly if somebody wanted it whom no deletion knew; and
    // it says exactly what nobody took back who knew it.
    fn check_objects_of_songs(
        &self,
        held: &BTreeSet<Op>,
        remembered: &BTreeSet<Op>,
    ) -> Result<(), String> {
        let known: BTreeSet<Op> = held.union(remembered).copied().collect();
        (0..SONGS).try_for_each(|number| {
            let checked = self.check_song(number, held);
            checked.or_else(|wrong| self.check_song(number, &known).map_err(|_| wrong))
        })
    }

    fn check_song(&self, number: u64, held: &BTreeSet<Op>) -> Result<(), String> {
        let objects: Vec<&Object> =
            self.objects.iter().filter(|object| held.contains(&object.op)).collect();
        let library = self.library(0);
        let id = SongId::from_audio_hash(&audio_hash(number));
        let of_song: Vec<&&Object> = objects.iter().filter(|object| object.song == id).collect();
        let known_by = |object: &Object, by: &dyn Fn(&Object) -> bool| {
            of_song.iter().any(|later| later.seen.contains(&object.op) && by(later))
        };
        let alive = of_song.iter().any(|object| {
            object.kind == Kind::Life && !known_by(object, &|later| later.kind == Kind::Deletion)
        });
        let song = run(library.get_song(id)).unwrap();
        if song.is_some() != alive {
            return Err(format!("song {} is there: {}", id.short(), !alive));
        }
        let Some(song) = song else { return Ok(()) };
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        for object in &of_song {
            for (field, value) in &object.wrote {
                let key = key(field, value);
                // Segments come before the songs that know of them, and
                // whoever deletes one has seen it.
                let is_over = if field == SEGMENT {
                    of_song.iter().any(|one| one.op != object.op && one.over.contains(&key))
                } else {
                    known_by(object, &|later| later.over.contains(&key))
                };
                if !is_over {
                    wanted.insert((field.clone(), value.clone()));
                }
            }
        }
        let mut found: BTreeSet<(String, String)> = visible(&song).into_iter().collect();
        let segments = segments_of(library, id).into_iter();
        let segments = segments.filter(|segment| self.is_known(segment, held));
        found.extend(segments.map(|segment| (SEGMENT.to_owned(), segment)));
        wanted.retain(|(field, value)| field != SEGMENT || self.is_known(value, held));
        if found != wanted {
            return Err(format!(
                "song {}: missing {:?}, not wanted {:?}",
                id.short(),
                wanted.difference(&found).collect::<Vec<_>>(),
                found.difference(&wanted).collect::<Vec<_>>()
            ));
        }
        Ok(())
    }

    // Segments lie beside songs, and come before them: where a sync died and the
    // disk that it read went, one is there of which no song knows, or is gone
    // and nobody knows why.
    fn is_known(&self, segment: &str, held: &BTreeSet<Op>) -> bool {
        let of_it = |object: &&Object| object.over.contains(&key(SEGMENT, segment));
        !self.lost.contains(segment)
            && self.objects.iter().filter(of_it).all(|object| held.contains(&object.op))
    }

    fn check_playlists(&self) -> Result<(), String> {
        let there = playlists(self.library(0)).into_iter();
        let there: BTreeSet<String> =
            there.map(|one| one.body["name"].as_str().unwrap().to_owned()).collect();
        match self.said.difference(&there).next() {
            None => Ok(()),
            Some(name) => Err(format!("`{name}`, the name of a playlist, is gone")),
        }
    }
}

/// So many rounds over all edges come to rest at the latest.
const MOST_ROUNDS: u64 = 12;

fn summary(report: &Report) -> String {
    let mut text = String::new();
    for work in &report.songs {
        let actions = (work.actions.left, work.actions.right);
        text.push_str(&format!(" {} {actions:?}", work.song.short()));
        if let Some(note) = &work.note {
            text.push_str(&format!(" ({note})"));
        }
    }
    for work in &report.documents {
        text.push_str(&format!(" {} {:?}", work.id, (work.actions.left, work.actions.right)));
    }
    for failure in &report.failed {
        text.push_str(&format!(" failed: {}", failure.reason));
    }
    if report.full {
        text.push_str(" full");
    }
    if report.purged > 0 {
        text.push_str(&format!(" purged {}", report.purged));
    }
    text
}

fn songs_of(library: &MemoryBackend) -> Vec<Song> {
    let changes = run(library.maintenance().changes(None, usize::MAX)).unwrap().changes;
    let mut songs: Vec<Song> = changes
        .into_iter()
        .filter_map(|change| match change.state {
            ChangeState::Present(song) => Some(*song),
            ChangeState::Deleted(_) => None,
        })
        .collect();
    songs.sort_by_key(|song| song.id);
    songs
}

fn values_of(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null) => vec![],
        Some(Value::Array(all)) => {
            all.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect()
        }
        Some(one) => vec![one.as_str().unwrap_or_default().to_owned()],
    }
}

// Everything that is said of a song, shown or in conflict.
fn visible(song: &Song) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (field, value) in song.edits.iter() {
        all.extend(values_of(Some(value)).into_iter().map(|one| (field.to_string(), one)));
    }
    for entry in &song.conflicts {
        let values = values_of(Some(&entry.value)).into_iter();
        all.extend(values.map(|one| (entry.field.to_string(), one)));
    }
    all.extend(song.files.iter().map(|file| ("files".to_owned(), file.path.clone())));
    all
}

fn segments_of(library: &MemoryBackend, song: SongId) -> BTreeSet<String> {
    let query = SegmentQuery { songs: vec![song], limit: 1_000, ..Default::default() };
    let found = run(library.segments().find(&query)).unwrap();
    found.iter().map(|segment| segment.id.to_string()).collect()
}

fn playlists(library: &MemoryBackend) -> Vec<Document> {
    let all = run(library.documents().list(&[DocumentKind::Playlist], None)).unwrap().items;
    all.into_iter().filter(|one| !one.deleted).collect()
}

// What a person sees of a library, with some of the segments.
fn picture(
    library: &MemoryBackend,
    with_segment: &dyn Fn(&str) -> bool,
) -> BTreeMap<String, Value> {
    let mut picture = BTreeMap::new();
    for song in songs_of(library) {
        let conflicts: BTreeSet<String> =
            song.conflicts.iter().map(|entry| format!("{}={}", entry.field, entry.value)).collect();
        let mut segments = segments_of(library, song.id);
        segments.retain(|segment| with_segment(segment));
        let models: Vec<String> = song.embeddings.keys().map(ToString::to_string).collect();
        let said = json!({
            "edits": song.edits,
            "tags": song.tags,
            "files": song.files,
            "conflicts": conflicts,
            "models": models,
            "segments": segments,
        });
        picture.insert(format!("song {}", song.id.short()), said);
    }
    for document in playlists(library) {
        picture.insert(format!("playlist {}", document.id), document.body);
    }
    picture
}

use futures::StreamExt as _;

/// A history that went wrong.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) seed: u64,
    pub(crate) steps: Vec<u64>,
    pub(crate) problem: String,
    pub(crate) log: Vec<String>,
}

/// The steps of the history that a seed stands for.
pub(crate) fn history(seed: u64, steps: usize) -> Vec<u64> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
    (0..steps).map(|_| rng.random()).collect()
}

/// Plays a history and what must hold after it.
pub(crate) fn play(seed: u64, steps: &[u64], setup: Setup) -> Result<World, Broken> {
    let mut world = World::new(seed, setup);
    let mut problem = None;
    for step in steps {
        if let Err(wrong) = world.step(*step) {
            problem = Some(wrong);
            break;
        }
    }
    if problem.is_none() {
        problem = world.settle().err();
    }
    match problem {
        None => Ok(world),
        Some(problem) => Err(Broken {
            seed,
            steps: steps.to_vec(),
            problem,
            log: std::mem::take(&mut world.log),
        }),
    }
}

/// The shortest history found that still goes wrong.
pub(crate) fn shrink(mut broken: Broken, setup: Setup) -> Broken {
    let mut size = broken.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < broken.steps.len() {
            let mut fewer = broken.steps.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            match play(broken.seed, &fewer, setup) {
                Err(shorter) => broken = shorter,
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    broken
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {} ({} steps): {}", self.seed, self.steps.len(), self.problem)?;
        for line in &self.log {
            writeln!(f, "  {line}")?;
        }
        write!(f, "replay with SONGREC_SYNC_SEED={} just soak", self.seed)
    }
}
