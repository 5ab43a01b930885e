//! The answers to recent searches as files, so that the next command on this machine
//! need not ask again. Everything here blocks, for the time of some small files.
//!
//! ```text
//! v1/searches/5e…/turn      changes with each write to the library from this machine
//! v1/searches/5e…/writing   locked, shared, by every process that is writing
//! v1/searches/5e…/models    the list of models
//! v1/searches/5e…/9c1e…     an answer: a line of hits, then the songs that were read for it
//! ```
//!
//! An answer names the turn in which its search began. It is used while that is still the
//! turn and nobody is writing, so no process of this machine can get what one of them has
//! outdated. A writer that was killed leaves its turn, in which the database may carry out
//! its last request a little later: that, and what other machines write, goes unnoticed
//! until the answer is no longer fresh.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lru::LruCache;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use songrec_core::{Digest, ModelSpec, Song, SongId};
use songrec_storage::Neighbor;

use crate::file::{create, present};

const TURN: &str = "turn";
const WRITING: &str = "writing";
const MODELS: &str = "models";

/// Longer answers are not kept: a person looks at some tens of hits.
const MOST_HITS: usize = 100;

/// No more answers are kept than these, until some are no longer fresh.
const MOST_ANSWERS: usize = 64;

/// A larger file is not of this module.
const MOST_BYTES: u64 = 4 << 20;

/// Of how many songs it is known in which answers they are.
const MOST_FOUND: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// The folder with the answers of one library.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    fresh_for: Duration,
    writers: Mutex<Writers>,
    // The songs of answers that this process got, and the last answer each is in.
    found: Mutex<LruCache<SongId, Digest>>,
}

#[derive(Debug, Default)]
struct Writers {
    count: usize,
    // Held while there are any.
    lock: Option<File>,
}

/// What of the library's history an answer is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn(String);

/// An answer that is still fresh.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) hits: Vec<Neighbor>,
    /// Those of the hits' songs that were read after the search.
    pub(crate) songs: Vec<Song>,
    /// How old the oldest part is.
    pub(crate) age: Duration,
}

// A line of a file: what was read, when, and in which turn.
#[derive(Debug, Serialize, Deserialize)]
struct Line<T> {
    turn: Turn,
    // Nanoseconds since 1970.
    read_at: u64,
    read: T,
}

#[derive(Debug, Serialize, Deserialize)]
struct Hit {
    song: SongId,
    similarity: f64,
    distance: f64,
    key: Option<String>,
}

impl Answers {
    /// Those of the library of this name, in the cache at `root`.
    pub(crate) fn new(root: &Path, library: &str, fresh_for: Duration) -> Self {
        let name = &Digest::of(library.as_bytes()).to_string()[..16];
        let folder = folder(root).join(name);
        let found = Mutex::new(LruCache::new(MOST_FOUND));
        let shared = Shared { folder, fresh_for, writers: Mutex::default(), found };
        Self { shared: Arc::new(shared) }
    }

    /// The turn it is, or none while anybody on this machine is writing.
    pub(crate) fn turn(&self) -> Option<Turn> {
        if self.shared.fresh_for.is_zero() || self.shared.writers().count > 0 {
            return None;
        }
        noted(self.shared.turn(), "read").flatten()
    }

    /// The answer to a search, if one is kept that is fresh.
    pub(crate) fn read(&self, search: &Digest) -> Option<Answer> {
        let turn = self.turn()?;
        let kept = self.shared.kept(&search.to_string())?;
        let mut lines = kept.split(|byte| *byte == b'\n');
        let (hits, mut age) = self.shared.fresh::<Vec<Hit>>(lines.next()?, &turn)?;
        let mut songs = HashMap::new();
        for (song, read) in lines.filter_map(|line| self.shared.fresh::<Song>(line, &turn)) {
            songs.insert(song.id, (song, read));
        }
        let hits: Vec<Neighbor> = hits.into_iter().map(Neighbor::from).collect();
        let mut read = Vec::new();
        for hit in &hits {
            if let Some((song, since)) = songs.remove(&hit.song) {
                age = age.max(since);
                read.push(song);
            }
        }
        self.shared.note_found(search, &hits);
        Some(Answer { hits, songs: read, age })
    }

    /// Keeps the answer to a search that began in this turn.
    pub(crate) fn keep(&self, turn: Turn, search: &Digest, hits: &[Neighbor]) {
        if hits.len() > MOST_HITS {
            return;
        }
        let read: Vec<Hit> = hits.iter().map(Hit::from).collect();
        let replaced = self.shared.replace(&search.to_string(), &Line::new(turn, read));
        if noted(replaced, "keep") == Some(true) {
            self.shared.note_found(search, hits);
        }
    }

    /// Whether any of these songs is one that a search found.
    pub(crate) fn found_any(&self, songs: &[SongId]) -> bool {
        let found = self.shared.found();
        songs.iter().any(|song| found.contains(song))
    }

    /// Keeps those of the songs that a search found, beside its hits. They were read in
    /// this turn.
    pub(crate) fn keep_songs<'a>(&self, turn: &Turn, songs: impl IntoIterator<Item = &'a Song>) {
        let mut lines: HashMap<Digest, Vec<u8>> = HashMap::new();
        let mut found = self.shared.found();
        for song in songs {
            let Some(search) = found.get(&song.id) else { continue };
            lines.entry(*search).or_default().extend(Line::new(turn.clone(), song).to_json());
        }
        drop(found);
        for (search, lines) in lines {
            let path = self.shared.folder.join(search.to_string());
            let appended = OpenOptions::new().append(true).open(path);
            noted(present(appended.and_then(|mut file| file.write_all(&lines))), "keep");
        }
    }

    /// The list of models, if it is kept and fresh, and how old it is.
    pub(crate) fn models(&self) -> Option<(Vec<ModelSpec>, Duration)> {
        let turn = self.turn()?;
        let kept = self.shared.kept(MODELS)?;
        self.shared.fresh(kept.strip_suffix(b"\n")?, &turn)
    }

    /// Keeps the list of models, which was read in this turn.
    pub(crate) fn keep_models(&self, turn: Turn, models: &[ModelSpec]) {
        noted(self.shared.replace(MODELS, &Line::new(turn, models)), "keep");
    }

    /// Outdates all answers, for every process of this machine, until this is dropped and
    /// once more then.
    pub(crate) fn begin_write(&self) -> SharedWrite {
        let mut writers = self.shared.writers();
        writers.count += 1;
        if writers.count == 1 {
            writers.lock = noted(self.shared.lock(), "lock");
            noted(self.shared.turn_over(), "outdate");
        }
        drop(writers);
        SharedWrite { answers: self.clone() }
    }
}

/// A write to a library, as other processes see it.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct SharedWrite {
    answers: Answers,
}

// However it ended, it may have happened.
impl Drop for SharedWrite {
    fn drop(&mut self) {
        let mut writers = self.answers.shared.writers();
        writers.count -= 1;
        if writers.count == 0 {
            noted(self.answers.shared.turn_over(), "outdate");
            writers.lock = None;
        }
    }
}

impl Shared {
    fn writers(&self) -> MutexGuard<'_, Writers> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> MutexGuard<'_, LruCache<SongId, Digest>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_found(&self, search: &Digest, hits: &[Neighbor]) {
        let mut found = self.found();
        for hit in hits {
            found.put(hit.song, *search);
        }
    }

    // The turn is read before the lock is tried: a writer that locks later ends it.
    fn turn(&self) -> io::Result<Option<Turn>> {
        let read = || present(fs::read_to_string(self.folder.join(TURN)));
        let mut turn = read()?.unwrap_or_default();
        let writing = create(&self.folder.join(WRITING))?;
        match writing.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // It is the first, or its writer was killed between two of these lines.
        if turn.is_empty() {
            self.turn_over()?;
            turn = read()?.unwrap_or_default();
        }
        Ok((!turn.is_empty()).then_some(Turn(turn)))
    }

    fn lock(&self) -> io::Result<File> {
        let file = create(&self.folder.join(WRITING))?;
        file.lock_shared()?;
        Ok(file)
    }

    // Ends the turn. No two that begin have the same name.
    fn turn_over(&self) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{count}", nanoseconds(SystemTime::now()), process::id());
        let mut file = create(&self.folder.join(TURN))?;
        file.set_len(0)?;
        file.write_all(name.as_bytes())
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        let read = || {
            let mut bytes = Vec::new();
            let file = File::open(self.folder.join(name))?;
            file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = noted(present(read()), "read").flatten()?;
        (bytes.len() as u64 <= MOST_BYTES).then_some(bytes)
    }

    // What a line says, and how old it is.
    fn fresh<T: DeserializeOwned>(&self, line: &[u8], turn: &Turn) -> Option<(T, Duration)> {
        // A last line may be torn, and is then none.
        let line: Line<T> = serde_json::from_slice(line).ok()?;
        let age = nanoseconds(SystemTime::now()).checked_sub(line.read_at)?;
        let age = Duration::from_nanos(age);
        (line.turn == *turn && age < self.fresh_for).then_some((line.read, age))
    }

    // Writes a file of one line, unless there are too many; says whether it did.
    fn replace<T: Serialize>(&self, name: &str, line: &Line<T>) -> io::Result<bool> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if self.remove_old()? >= MOST_ANSWERS {
            return Ok(false);
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!("{name}.{}-{count}", process::id()));
        let written = create(&draft)
            .and_then(|mut file| file.write_all(&line.to_json()))
            .and_then(|()| fs::rename(&draft, self.folder.join(name)));
        if written.is_err() {
            noted(present(fs::remove_file(&draft)), "remove");
        }
        written.map(|()| true)
    }

    // Removes what is no longer fresh; gives how many files are left.
    fn remove_old(&self) -> io::Result<usize> {
        let mut left = 0;
        for entry in present(fs::read_dir(&self.folder))?.into_iter().flatten() {
            let Some(entry) = present(entry)? else { continue };
            let name = entry.file_name();
            if name == TURN || name == WRITING {
                continue;
            }
            let written = present(entry.metadata())?.and_then(|of| of.modified().ok());
            let old = written.is_none_or(|at| {
                at.elapsed().unwrap_or_else(|ahead| ahead.duration()) > self.fresh_for
            });
            if old {
                present(fs::remove_file(entry.path()))?;
            } else {
                left += 1;
            }
        }
        Ok(left)
    }
}

impl<T: Serialize> Line<T> {
    fn new(turn: Turn, read: T) -> Self {
        Self { turn, read_at: nanoseconds(SystemTime::now()), read }
    }

    // Nothing that is kept fails to be JSON; if it did, an empty line is no answer.
    fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

impl From<&Neighbor> for Hit {
    fn from(hit: &Neighbor) -> Self {
        let Neighbor { song, similarity, distance, key } = hit.clone();
        Self { song, similarity, distance, key }
    }
}

impl From<Hit> for Neighbor {
    fn from(Hit { song, similarity, distance, key }: Hit) -> Self {
        Self { song, similarity, distance, key }
    }
}

/// Removes the answers of every library from the cache at `root`.
pub(crate) fn clear(root: &Path) -> io::Result<()> {
    present(fs::remove_dir_all(folder(root))).map(drop)
}

fn folder(root: &Path) -> PathBuf {
    root.join("v1").join("searches")
}

fn nanoseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos().try_into().unwrap_or(u64::MAX))
}

// A cache that fails is only slow.
fn noted<T>(result: io::Result<T>, what: &'static str) -> Option<T> {
    result.inspect_err(|error| tracing::debug!(%error, "could not {what} kept searches")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> (Answers, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        (process(&root), root)
    }

    fn process(root: &tempfile::TempDir) -> Answers {
        Answers::new(root.path(), "library", Duration::from_mins(1))
    }

    fn keep(answers: &Answers, search: &Digest) {
        answers.keep(answers.turn().expect("nobody writes"), search, &[]);
        assert!(answers.read(search).is_some());
    }

    // What the system does when a process ends.
    fn let_go_of_lock(answers: &Answers) {
        answers.shared.writers().lock = None;
    }

    #[test]
    fn a_writer_that_was_killed_has_outdated_what_was_there_before() {
        let (reader, root) = answers();
        let search = Digest::of(b"a search");
        keep(&reader, &search);

        let writer = process(&root);
        std::mem::forget(writer.begin_write());
        let_go_of_lock(&writer);

        assert!(reader.read(&search).is_none());
        keep(&reader, &search);
    }

    #[test]
    fn the_end_of_a_write_outdates_what_was_read_meanwhile() {
        let (reader, root) = answers();
        let search = Digest::of(b"a search");
        let writer = process(&root);
        let writing = writer.begin_write();
        assert!(reader.turn().is_none());

        // Where the file system has no locks that hold.
        let_go_of_lock(&writer);
        keep(&reader, &search);
        drop(writing);

        assert!(reader.read(&search).is_none());
    }

    #[test]
    fn an_answer_of_before_a_write_is_not_kept_after_it() {
        let (reader, root) = answers();
        let search = Digest::of(b"a search");
        let turn = reader.turn().unwrap();
        drop(process(&root).begin_write());

        reader.keep(turn, &search, &[]);

        assert!(reader.read(&search).is_none());
    }

    #[test]
    fn a_turn_that_was_torn_is_begun_again() {
        let (reader, _root) = answers();
        let search = Digest::of(b"a search");
        keep(&reader, &search);
        fs::write(reader.shared.folder.join(TURN), "").unwrap();

        assert!(reader.read(&search).is_none());
        keep(&reader, &search);
    }
}
