//! Every short history of one song, through real syncs.
//!
//! Beside each library stands what the rule says that it has: which writes it
//! has seen. Nothing here knows of versions and joins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use songrec_core::{AudioProperties, Field, OperationId, Song, SongId, Timestamp};
use songrec_storage::{
    DeleteSong, MemoryBackend, Outcome, PutMode, PutSong, StorageBackend, StorageBackendExt,
};
use songrec_sync::{
    Direction, MaxDelete, Options, Replica, Report, Rules, SyncState, Syncer, restore,
};

use super::{DAY, Place, Shaky, audio_hash, checks::picture, run, values_of};

/// Libraries, and which of them sync.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Whether each is far away; people write at those that are not.
    pub(crate) remote: &'static [bool],
    pub(crate) edges: &'static [(usize, usize)],
}

/// Three libraries, each of which syncs with both others.
pub(crate) const RING: Shape =
    Shape { remote: &[false, false, false], edges: &[(0, 1), (0, 2), (1, 2)] };
/// Three libraries around a shared one.
pub(crate) const STAR: Shape =
    Shape { remote: &[false, false, false, true], edges: &[(0, 3), (1, 3), (2, 3)] };
/// Two libraries that sync with each other and with a shared one.
pub(crate) const SHARED_RING: Shape =
    Shape { remote: &[false, false, true], edges: &[(0, 1), (0, 2), (1, 2)] };

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Add,
    Title,
    Delete,
    Restore,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize, Kind),
    /// Which edge, and whether each of the two gets anything.
    Sync(usize, bool, bool),
}

impl Shape {
    fn steps(self) -> Vec<Step> {
        let mut all = Vec::new();
        let writers = (0..self.remote.len()).filter(|at| !self.remote[*at]);
        for at in writers {
            let kinds = [Kind::Add, Kind::Title, Kind::Delete, Kind::Restore];
            all.extend(kinds.map(|kind| Step::Write(at, kind)));
        }
        for edge in 0..self.edges.len() {
            let both = [(true, true), (true, false), (false, true)];
            all.extend(both.map(|(one, two)| Step::Sync(edge, one, two)));
        }
        all
    }
}

// Sets of writes, by their numbers.
type Writes = u32;

struct World {
    shape: Shape,
    places: Vec<Arc<Place>>,
    /// By edge, and whether its second library is named first.
    states: BTreeMap<(usize, bool), Arc<SyncState>>,
    seen: Vec<Writes>,
    /// What was written, and what its writer had seen.
    written: Vec<(Kind, Writes)>,
    log: Vec<Step>,
    // Chooses who is named first.
    chance: u64,
    syncs: u64,
}

const MOST_ROUNDS: usize = 6;

fn song() -> SongId {
    SongId::from_audio_hash(&audio_hash(0))
}

impl World {
    fn new(shape: Shape) -> Self {
        let place = |remote: &bool| Place::new(MemoryBackend::new(), *remote);
        Self {
            shape,
            places: shape.remote.iter().map(place).collect(),
            states: BTreeMap::new(),
            seen: vec![0; shape.remote.len()],
            written: Vec::new(),
            log: Vec::new(),
            chance: 0,
            syncs: 0,
        }
    }

    // Shares all with this one until either writes.
    fn fork(&self) -> Self {
        Self {
            shape: self.shape,
            places: self.places.clone(),
            states: self.states.clone(),
            seen: self.seen.clone(),
            written: self.written.clone(),
            log: self.log.clone(),
            chance: self.chance,
            syncs: 0,
        }
    }

    fn own(&mut self, at: usize) -> &MemoryBackend {
        let place = &mut self.places[at];
        if Arc::strong_count(place) > 1 {
            *place = Place::new(place.memory.fork(), place.remote);
        }
        &place.memory
    }

    // Each machine's clock is a day behind the one before.
    fn time(&self, at: usize) -> Timestamp {
        let (at, passed) = (i64::try_from(at).unwrap(), i64::try_from(self.log.len()).unwrap());
        Timestamp::from_second(1_800_000_000 - at * DAY + passed * 60).unwrap()
    }

    // A deletion takes the additions, edits and restorations that it saw.
    fn lives(&self, seen: Writes) -> bool {
        self.those(seen).any(|(number, kind, _)| {
            kind != Kind::Delete && !self.is_over(seen, number, Kind::Delete)
        })
    }

    fn those(&self, seen: Writes) -> impl Iterator<Item = (usize, Kind, Writes)> {
        let all = self.written.iter().enumerate();
        let all = all.filter(move |(number, _)| seen & 1 << number != 0);
        all.map(|(number, (kind, knew))| (number, *kind, *knew))
    }

    // Whether somebody who knew a write did something of this kind.
    fn is_over(&self, seen: Writes, write: usize, by: Kind) -> bool {
        self.those(seen).any(|(_, kind, knew)| kind == by && knew & 1 << write != 0)
    }

    fn step(&mut self, number: usize, step: Step) -> Result<bool, String> {
        self.chance = (self.chance + 1 + number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match step {
            Step::Write(at, kind) => {
                let seen = self.seen[at];
                let may = match kind {
                    Kind::Add => seen == 0,
                    Kind::Title | Kind::Delete => self.lives(seen),
                    Kind::Restore => seen != 0 && !self.lives(seen),
                };
                if !may {
                    return Ok(false);
                }
                self.log.push(step);
                self.write(at, kind);
                self.seen[at] |= 1 << self.written.len();
                self.written.push((kind, seen));
            }
            Step::Sync(edge, one, two) => {
                self.log.push(step);
                self.sync(edge, one, two)?;
            }
        }
        Ok(true)
    }

    fn write(&mut self, at: usize, kind: Kind) {
        let (now, number) = (self.time(at), self.written.len());
        let library = self.own(at);
        let before = run(library.get_song(song())).unwrap();
        let put = |song, mode| {
            let put = [PutSong { song, mode, origin: None }];
            assert_eq!(run(library.songs().put(&put)).unwrap(), [Outcome::Done]);
        };
        match (kind, before) {
            (Kind::Add, None) => {
                let song = Song::new(audio_hash(0), AudioProperties::default(), now);
                put(song, PutMode::Create);
            }
            (Kind::Title, Some(before)) => {
                let mut next = before.clone();
                next.edits.set(Field::Title, Some(&number.to_string())).unwrap();
                next.revise(&before, now);
                put(next, PutMode::Replace(before.revision.operation));
            }
            (Kind::Delete, Some(before)) => {
                let delete = DeleteSong {
                    id: before.id,
                    version: Some(before.revision.operation),
                    operation: OperationId::random(),
                    at: now,
                    origin: None,
                    leaving: None,
                };
                assert_eq!(run(library.songs().delete(&[delete])).unwrap(), [Outcome::Done]);
            }
            (Kind::Restore, None) => drop(run(restore(library, &[song()], now)).unwrap()),
            (kind, before) => panic!("{kind:?} of {before:?}"),
        }
    }

    fn sync(&mut self, edge: usize, gets_one: bool, gets_two: bool) -> Result<Report, String> {
        let turned = self.chance.rotate_left(7 + 11 * u32::try_from(edge).unwrap()) & 1 != 0;
        let (one, two) = self.shape.edges[edge];
        let now = self.time(one);
        let side = |world: &mut Self, at: usize| {
            world.own(at);
            let shaky = Shaky::new(Arc::clone(&world.places[at]), 0, 0.0, Arc::default());
            Replica::new(at.to_string(), shaky)
        };
        let (first, second) = (side(self, one), side(self, two));
        let (left, right) = if turned { (second, first) } else { (first, second) };
        let state = match self.states.remove(&(edge, turned)).map(Arc::try_unwrap) {
            None => SyncState::in_memory().unwrap(),
            Some(Ok(state)) => state,
            Some(Err(shared)) => shared.fork().unwrap(),
        };
        let keep = Duration::from_secs(100_000 * DAY.unsigned_abs());
        let syncer = Syncer::new(left, right, state)
            .with_rules(Rules::default(), keep)
            .with_clock(move || now);
        let direction = match (gets_one, gets_two) {
            (true, true) => Direction::Both,
            (left, _) if left != turned => Direction::Pull,
            _ => Direction::Push,
        };
        let max_delete = MaxDelete::Songs(1_000);
        let options = Options { direction, max_delete, jobs: 1, ..Options::default() };
        let report = run(syncer.run(&options));
        self.states.insert((edge, turned), Arc::new(syncer.into_state()));
        self.syncs += 1;
        let report = report.map_err(|error| format!("a sync failed: {error:?}"))?;
        if !report.is_complete() {
            return Err(format!("a sync left something: {:?}", report.failed));
        }
        self.sync_by_the_rule(one, two, gets_one, gets_two);
        Ok(report)
    }

    // Whoever gets anything has seen what both had; of a deletion only he is
    // told who has the song.
    fn sync_by_the_rule(&mut self, one: usize, two: usize, gets_one: bool, gets_two: bool) {
        let both = self.seen[one] | self.seen[two];
        for (at, gets) in [(one, gets_one), (two, gets_two)] {
            if gets && (self.lives(both) || self.lives(self.seen[at])) {
                self.seen[at] = both;
            }
        }
    }

    // All sync until nothing is left to do.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MOST_ROUNDS {
            let mut rests = true;
            for edge in 0..self.shape.edges.len() {
                let report = self.sync(edge, true, true)?;
                rests &= report.is_empty() && report.waiting == 0;
            }
            self.chance = self.chance.rotate_left(1);
            if rests {
                return self.check();
            }
        }
        Err(format!("after {MOST_ROUNDS} rounds there is still something to do"))
    }

    fn check(&self) -> Result<(), String> {
        let all = self.seen.iter().fold(0, |all, seen| all | seen);
        let lives = self.lives(all);
        let titles = self.those(all).filter(|(number, kind, _)| {
            *kind == Kind::Title && !self.is_over(all, *number, Kind::Title)
        });
        let titles: BTreeSet<String> = titles.map(|(number, ..)| number.to_string()).collect();
        let first = run(self.places[0].memory.get_song(song())).unwrap();
        for (at, place) in self.places.iter().enumerate() {
            let song = run(place.memory.get_song(song())).unwrap();
            if song.is_some() != lives {
                return Err(format!("{at} has the song: {}", song.is_some()));
            }
            let (Some(song), Some(first)) = (song, &first) else { continue };
            let shown = values_of(song.edits.get(&Field::Title));
            let others = song.conflicts.iter().flat_map(|one| values_of(Some(&one.value)));
            let found: BTreeSet<String> = shown.into_iter().chain(others).collect();
            if found != titles {
                return Err(format!("{at} has the titles {found:?}, not {titles:?}"));
            }
            if song.version() != first.version() || song.history != first.history {
                return Err(format!("{at} has seen {:?}, 0 {:?}", song.history, first.history));
            }
            if picture(&place.memory, &|_| true) != picture(&self.places[0].memory, &|_| true) {
                return Err(format!("{at} and 0 differ"));
            }
        }
        Ok(())
    }
}

/// How many histories there were, and how many syncs in them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    pub(crate) histories: u64,
    pub(crate) syncs: u64,
}

// Every history that goes on from here with so many steps; what they begin
// with is played once.
fn go(world: &World, left: usize, all: &[Step], count: &mut Count) -> Result<(), String> {
    let failed = |world: &World, why: String| Err(format!("{:?}: {why}", world.log));
    for (number, step) in all.iter().enumerate() {
        let mut next = world.fork();
        match next.step(number, *step) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(why) => return failed(&next, why),
        }
        if left > 1 {
            count.syncs += next.syncs;
            go(&next, left - 1, all, count)?;
            continue;
        }
        let settled = next.settle();
        count.syncs += next.syncs;
        count.histories += 1;
        if let Err(why) = settled {
            return failed(&next, why);
        }
    }
    Ok(())
}

/// Plays every history of so many steps, at least two, and lets all libraries
/// sync after it: they come to rest, are equal, and have what nobody took back
/// who knew it. The first that goes wrong is told.
pub(crate) fn every(shape: Shape, steps: usize, threads: usize) -> Result<Count, String> {
    let all = shape.steps();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut count = Count::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= all.len() * all.len() {
                return Ok(count);
            }
            let mut world = World::new(shape);
            let mut begins = true;
            for number in [at / all.len(), at % all.len()] {
                begins = begins && world.step(number, all[number])?;
            }
            count.syncs += world.syncs;
            match steps - 2 {
                _ if !begins => {}
                0 => {
                    world.syncs = 0;
                    world.settle().map_err(|why| format!("{:?}: {why}", world.log))?;
                    count.syncs += world.syncs;
                    count.histories += 1;
                }
                left => go(&world, left, &all, &mut count)?,
            }
        }
    };
    let counts: Result<Vec<Count>, String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    Ok(counts?.into_iter().fold(Count::default(), |sum, one| Count {
        histories: sum.histories + one.histories,
        syncs: sum.syncs + one.syncs,
    }))
}
