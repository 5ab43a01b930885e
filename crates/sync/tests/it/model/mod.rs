//! Random histories of several machines that share one library, and what must
//! hold after them.
//!
//! A history is a list of seeds, one for each step, so that a step does the
//! same when others are left out; that is how a failing history is made
//! shorter.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]
#![allow(dead_code, reason = "each test uses a part of it")]

mod checks;
mod deeds;
pub(crate) mod every;
pub(crate) mod play;
mod shaky;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use futures::FutureExt;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;
use songrec_core::{
    Digest, Document, DocumentKind, Metric, ModelSpec, Op, Song, SongId, Timestamp,
};
use songrec_storage::{ChangeState, MemoryBackend, SegmentQuery, StorageBackend};
use songrec_sync::{Rules, SyncState};

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
    states: BTreeMap<Names, SyncState>,
    clock: Arc<AtomicI64>,
}

struct Backup {
    of: usize,
    library: MemoryBackend,
    states: BTreeMap<Names, SyncState>,
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

fn segments_of(library: &MemoryBackend, song: SongId) -> BTreeSet<String> {
    let query = SegmentQuery { songs: vec![song], limit: 1_000, ..Default::default() };
    let found = run(library.segments().find(&query)).unwrap();
    found.iter().map(|segment| segment.id.to_string()).collect()
}

fn playlists(library: &MemoryBackend) -> Vec<Document> {
    let all = run(library.documents().list(&[DocumentKind::Playlist], None)).unwrap().items;
    all.into_iter().filter(|one| !one.deleted).collect()
}
