//! Songs, models and embeddings that were read recently, in memory.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use songrec_core::{Digest, EmbeddingRef, ModelName, ModelSpec, Song, SongId, Vector};
use songrec_storage::Neighbor;
use tokio::time::Instant;

/// Longer answers are not remembered.
const MOST_HITS: usize = 1_000;

/// What is remembered in memory, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedOptions {
    /// How old a song, the list of models or the answer to a search may be: for so
    /// long, what others write may go unnoticed. Zero remembers none of them.
    pub fresh_for: Duration,
    /// How many songs at the most.
    pub songs: usize,
    /// How many embeddings at the most.
    pub embeddings: usize,
    /// The answers to how many searches at the most.
    pub searches: usize,
}

impl Default for CachedOptions {
    fn default() -> Self {
        // A song is some KiB, an embedding 2 to 8 KiB, an answer of 100 hits 10 KiB:
        // tens of MiB together.
        let fresh_for = Duration::from_secs(30);
        Self { fresh_for, songs: 4_096, embeddings: 2_048, searches: 256 }
    }
}

#[derive(Debug)]
pub(crate) struct Recent {
    state: Mutex<Memory>,
    fresh_for: Duration,
}

#[derive(Debug)]
struct Memory {
    songs: LruCache<SongId, Remembered<Song>>,
    vectors: LruCache<Digest, Vector>,
    models: Option<Remembered<Vec<ModelSpec>>>,
    // By what was asked for.
    searches: LruCache<Digest, Remembered<Vec<Neighbor>>>,
    // How many writes have begun or ended, and how many are on their way.
    turns: u64,
    writes: usize,
}

#[derive(Debug)]
struct Remembered<T> {
    value: T,
    read_at: Instant,
}

impl<T> Remembered<T> {
    fn fresh(&self, within: Duration) -> Option<&T> {
        (self.read_at.elapsed() < within).then_some(&self.value)
    }
}

/// A read that has begun. What it gives may be older than a write that it
/// overlaps, and is then not remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTicket {
    turn: u64,
    alone: bool,
    since: Instant,
}

impl ReadTicket {
    /// The same for what was read this long ago, by another process.
    pub(crate) fn aged(self, age: Duration) -> Self {
        Self { since: self.since.checked_sub(age).unwrap_or(self.since), ..self }
    }
}

impl Recent {
    pub(crate) fn new(options: &CachedOptions) -> Self {
        let room = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        let state = Memory {
            songs: LruCache::new(room(options.songs)),
            vectors: LruCache::new(room(options.embeddings)),
            models: None,
            searches: LruCache::new(room(options.searches)),
            turns: 0,
            writes: 0,
        };
        Self { state: Mutex::new(state), fresh_for: options.fresh_for }
    }

    fn state(&self) -> MutexGuard<'_, Memory> {
        // What is remembered is only ever whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin_read(&self) -> ReadTicket {
        let state = self.state();
        ReadTicket { turn: state.turns, alone: state.writes == 0, since: Instant::now() }
    }

    /// Evicts the songs of a write when it begins, and again when it ends, however
    /// it ends.
    pub(crate) fn begin_write(&self, songs: impl IntoIterator<Item = SongId>) -> WriteGuard<'_> {
        self.guard(Written::Songs(songs.into_iter().collect()))
    }

    /// The same for models.
    pub(crate) fn begin_models_write(&self) -> WriteGuard<'_> {
        self.guard(Written::Models)
    }

    /// The same for a write that may be of anything.
    pub(crate) fn begin_any_write(&self) -> WriteGuard<'_> {
        self.guard(Written::Anything)
    }

    fn guard(&self, written: Written) -> WriteGuard<'_> {
        let writing = WriteGuard { recent: self, written };
        let mut state = self.state();
        state.writes += 1;
        writing.evict(&mut state);
        drop(state);
        writing
    }

    /// The songs with these ids that are remembered and fresh.
    pub(crate) fn songs(&self, ids: &[SongId]) -> Vec<Option<Song>> {
        let mut state = self.state();
        ids.iter().map(|id| state.songs.get(id)?.fresh(self.fresh_for).cloned()).collect()
    }

    pub(crate) fn remember_songs<'a>(
        &self,
        reading: ReadTicket,
        songs: impl IntoIterator<Item = &'a Song>,
    ) {
        let mut state = self.state();
        if self.fresh_for.is_zero() || !state.allows(reading) {
            return;
        }
        for song in songs {
            if state.songs.peek(&song.id).is_some_and(|known| known.read_at > reading.since) {
                continue;
            }
            let remembered = Remembered { value: song.clone(), read_at: reading.since };
            state.songs.put(song.id, remembered);
        }
    }

    /// Evicts songs that are known to have changed.
    pub(crate) fn evict(&self, songs: impl IntoIterator<Item = SongId>) {
        let mut songs = songs.into_iter().peekable();
        if songs.peek().is_some() {
            drop(self.begin_write(songs));
        }
    }

    /// Evicts the songs that do not name the hits of a search: song or hit is
    /// outdated, and only another read of the song shows which.
    pub(crate) fn evict_contradicted(&self, model: &ModelName, hits: &[Neighbor]) {
        let mut state = self.state();
        for hit in hits {
            let unnamed = state.songs.peek(&hit.song).is_some_and(|song| {
                song.value.embeddings.get(model).is_none_or(|named| named.key != hit.key)
            });
            if unnamed {
                state.songs.pop(&hit.song);
                state.searches.clear();
                // What is being read now may be the old one again.
                state.turns += 1;
            }
        }
    }

    /// How these songs name their embeddings, where that is fresh.
    pub(crate) fn named(&self, model: &ModelName, songs: &[SongId]) -> Vec<Option<EmbeddingRef>> {
        let mut state = self.state();
        let named = songs
            .iter()
            .map(|id| state.songs.get(id)?.fresh(self.fresh_for)?.embeddings.get(model).cloned());
        named.collect()
    }

    pub(crate) fn vector(&self, digest: &Digest) -> Option<Vector> {
        self.state().vectors.get(digest).cloned()
    }

    /// Remembers a vector that has this digest, for good.
    pub(crate) fn remember_vector(&self, digest: Digest, vector: &Vector) {
        self.state().vectors.put(digest, vector.clone());
    }

    pub(crate) fn models(&self) -> Option<Vec<ModelSpec>> {
        self.state().models.as_ref()?.fresh(self.fresh_for).cloned()
    }

    pub(crate) fn remember_models(&self, reading: ReadTicket, models: &[ModelSpec]) {
        let mut state = self.state();
        if !self.fresh_for.is_zero() && state.allows(reading) {
            state.models = Some(Remembered { value: models.to_vec(), read_at: reading.since });
        }
    }

    /// The hits of a search that was asked before, if they are fresh.
    pub(crate) fn hits(&self, search: &Digest) -> Option<Vec<Neighbor>> {
        self.state().searches.get(search)?.fresh(self.fresh_for).cloned()
    }

    pub(crate) fn remember_hits(&self, reading: ReadTicket, search: Digest, hits: &[Neighbor]) {
        let mut state = self.state();
        if !self.fresh_for.is_zero() && hits.len() <= MOST_HITS && state.allows(reading) {
            let value = hits.to_vec();
            state.searches.put(search, Remembered { value, read_at: reading.since });
        }
    }
}

impl Memory {
    fn allows(&self, reading: ReadTicket) -> bool {
        reading.alone && reading.turn == self.turns
    }
}

/// A write that has begun.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct WriteGuard<'a> {
    recent: &'a Recent,
    written: Written,
}

#[derive(Debug)]
enum Written {
    Songs(Vec<SongId>),
    Models,
    Anything,
}

impl WriteGuard<'_> {
    fn evict(&self, state: &mut Memory) {
        state.turns += 1;
        // Any song may come into an answer by it, or go.
        state.searches.clear();
        match &self.written {
            Written::Songs(songs) => songs.iter().for_each(|id| drop(state.songs.pop(id))),
            Written::Models => state.models = None,
            Written::Anything => {
                state.songs.clear();
                state.models = None;
            }
        }
    }
}

// However it ended, it may have happened.
impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.recent.state();
        state.writes -= 1;
        self.evict(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use songrec_core::{AudioProperties, Timestamp};

    use super::*;

    fn recent() -> Recent {
        Recent::new(&CachedOptions::default())
    }

    fn song(seed: &str) -> Song {
        let hash = Digest::of(seed.as_bytes());
        Song::new(hash, AudioProperties::default(), Timestamp::UNIX_EPOCH)
    }

    fn knows(recent: &Recent, song: &Song) -> bool {
        recent.songs(&[song.id]) == [Some(song.clone())]
    }

    #[test]
    fn what_was_read_alone_is_remembered() {
        let (recent, one) = (recent(), song("one"));

        recent.remember_songs(recent.begin_read(), [&one]);

        assert!(knows(&recent, &one));
    }

    #[test]
    fn what_was_read_beside_a_write_is_not_remembered() {
        let (recent, one) = (recent(), song("one"));

        let before = recent.begin_read();
        let writing = recent.begin_write([one.id]);
        let during = recent.begin_read();
        recent.remember_songs(before, [&one]);
        assert!(!knows(&recent, &one), "the write may have changed it already");
        drop(writing);
        for reading in [before, during] {
            recent.remember_songs(reading, [&one]);

            assert!(!knows(&recent, &one), "it may have been read before the write");
        }
    }

    #[test]
    fn a_write_evicts_what_it_writes() {
        let (recent, one, other) = (recent(), song("one"), song("other"));
        recent.remember_songs(recent.begin_read(), [&one, &other]);

        drop(recent.begin_write([one.id]));

        assert!(!knows(&recent, &one) && knows(&recent, &other));
        drop(recent.begin_any_write());
        assert!(!knows(&recent, &other));
    }

    #[test]
    fn every_write_evicts_the_answers_to_searches() {
        let (recent, one, search) = (recent(), song("one"), Digest::of(b"a search"));
        let hit = Neighbor { song: one.id, similarity: 1.0, distance: 0.0, key: None };
        let hits = [hit];
        let remember = |reading| recent.remember_hits(reading, search, &hits);

        remember(recent.begin_read());
        assert_eq!(recent.hits(&search).unwrap(), hits);
        assert_eq!(recent.hits(&Digest::of(b"another")), None);

        // Looking for changes and finding none is no write.
        recent.evict([]);
        assert!(recent.hits(&search).is_some());
        let before = recent.begin_read();
        for write in [recent.begin_write([song("other").id]), recent.begin_models_write()] {
            assert_eq!(recent.hits(&search), None);
            drop(write);
            remember(before);
            assert_eq!(recent.hits(&search), None, "it may be from before the write");
            remember(recent.begin_read());
        }
    }

    #[test]
    fn a_song_that_does_not_name_a_hit_is_evicted() {
        let (recent, one, mut other) = (recent(), song("one"), song("other"));
        let model: ModelName = "tiny@1".parse().unwrap();
        let digest = Digest::of(b"vector");
        let named = EmbeddingRef { dimension: 1, digest, key: Some("new".to_owned()) };
        other.embeddings.insert(model.clone(), named);
        recent.remember_songs(recent.begin_read(), [&one, &other]);
        let hit = |song: &Song| Neighbor {
            song: song.id,
            similarity: 1.0,
            distance: 0.0,
            key: Some("new".to_owned()),
        };

        recent.evict_contradicted(&model, &[hit(&one), hit(&other)]);

        assert!(!knows(&recent, &one) && knows(&recent, &other));
    }
}
