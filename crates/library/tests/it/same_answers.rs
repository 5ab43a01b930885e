//! A library of 2,000 songs gives the same answers wherever it is kept.
#![cfg(feature = "astra")]
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::sync::Arc;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use songrec_astra::{AstraBackend, AstraConfig, BlobConfig, Secret};
use songrec_core::{Filter, ModelSpec, Song, SongId, SongSummary};
use songrec_emulator::Emulator;
use songrec_library::{EditChange, Library, SimilarOptions};
use songrec_local::{LocalBackend, LocalOptions};
use songrec_storage::{Lookup, NearestQuery, Neighbor, Order, OrderBy, SongQuery, StorageBackend};
use songrec_testkit::{
    delete, euclidean_model, library_of, random_filter, random_vector, temp_dir, tiny_model,
};

use crate::floor::config;

const SONGS: usize = 2_000;
const QUESTIONS: usize = 80;
// The cheapest order, the default, may be any on either.
const ORDERS: [OrderBy; 7] = [
    OrderBy::Title,
    OrderBy::Artist,
    OrderBy::Album,
    OrderBy::Year,
    OrderBy::Bpm,
    OrderBy::Duration,
    OrderBy::Added,
];

/// Both libraries, and what is in them.
struct Both {
    local: Library,
    astra: Library,
    /// The same two, as they are kept.
    backends: [Arc<dyn StorageBackend>; 2],
    summaries: Vec<SongSummary>,
    ids: Vec<SongId>,
    rng: StdRng,
    _emulator: Emulator,
    _root: tempfile::TempDir,
}

impl Both {
    async fn filled(seed: u64) -> Self {
        let root = temp_dir_in_memory();
        let config = config(root.path());
        let emulator = Emulator::builder().start().await.unwrap();
        let mut settings = AstraConfig::new(emulator.url(), Secret::new(emulator.token()));
        settings.blobs = Some(BlobConfig::new("memory:"));
        let astra = AstraBackend::connect(&settings).unwrap();
        assert!(astra.init(false).await.unwrap().is_complete());
        let local =
            LocalBackend::create(root.path().join("library"), LocalOptions::default()).await;
        let local = local.unwrap();
        let fixture = library_of(SONGS, seed)
            .embedded_by(&tiny_model(), seed + 1)
            .embedded_by(&euclidean_model(), seed + 2);
        fixture.clone().store(&local).await;
        fixture.clone().store(&astra).await;
        let ids: Vec<SongId> = fixture.songs.iter().map(|song| song.id).collect();
        let backends: [Arc<dyn StorageBackend>; 2] = [Arc::new(local), Arc::new(astra)];
        let [local, astra] = backends.clone();
        let mut both = Self {
            local: Library::new(local, config.clone(), "local".into(), None),
            astra: Library::new(astra, config, "astra".into(), None),
            backends,
            summaries: fixture.songs.iter().map(SongSummary::of).collect(),
            ids,
            rng: StdRng::seed_from_u64(seed + 3),
            _emulator: emulator,
            _root: root,
        };
        both.change().await;
        both
    }

    // Some songs are edited and some deleted, as a person would.
    async fn change(&mut self) {
        let some: Vec<SongId> = self.ids.choose_multiple(&mut self.rng, 60).copied().collect();
        let (edited, deleted) = some.split_at(40);
        for (library, backend) in [&self.local, &self.astra].into_iter().zip(&self.backends) {
            for (n, id) in edited.iter().enumerate() {
                let set = |field: &str, text: String| EditChange::Set(field.parse().unwrap(), text);
                let changes = [
                    set("title", format!("Édited {n}")),
                    set("genre", "House, drum & bass".to_owned()),
                    set("bpm", (100 + n).to_string()),
                ];
                songrec_library::edit(library, *id, &changes).await.unwrap();
            }
            let deletes: Vec<_> = deleted.iter().map(|id| delete(*id)).collect();
            backend.songs().delete(&deletes).await.unwrap();
        }
        let songs = self.backends[0].songs().get(&self.ids).await.unwrap();
        self.summaries = songs.iter().flatten().map(SongSummary::of).collect();
        assert_eq!(self.summaries.len(), SONGS - deleted.len());
    }

    fn backends(&self) -> [&dyn StorageBackend; 2] {
        self.backends.each_ref().map(|backend| &**backend)
    }

    fn filter(&mut self) -> Filter {
        if self.rng.random_bool(0.1) {
            return Filter::all();
        }
        random_filter(&mut self.rng, &self.summaries)
    }

    fn song(&mut self) -> SongId {
        self.summaries.choose(&mut self.rng).unwrap().id
    }
}

// Thousands of small files are written and synced.
fn temp_dir_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| temp_dir())
}

// What a song is on every backend; the keys of its objects are the backend's
// own, and an edit is a write of its own with a time of its own.
fn plain(mut song: Song) -> Song {
    song.embeddings.values_mut().for_each(|embedding| embedding.key = None);
    song.revision.operation = songrec_testkit::operation("any");
    song.updated_at = song.added_at;
    song.stamps.clear();
    song.history = None;
    song
}

#[track_caller]
fn assert_same_hits(local: &[Neighbor], astra: &[Neighbor], question: &str) {
    let ids = |hits: &[Neighbor]| hits.iter().map(|hit| hit.song).collect::<Vec<_>>();
    assert_eq!(ids(astra), ids(local), "{question}");
    for (local, astra) in local.iter().zip(astra) {
        assert!((local.similarity - astra.similarity).abs() < 1e-5, "{question}");
        assert!((local.distance - astra.distance).abs() < 1e-5, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_random_songs_are_found_alike_wherever_they_are_kept() {
    let mut both = Both::filled(20).await;
    same_songs(&both).await;
    same_lists(&mut both).await;
    same_neighbors(&mut both, &tiny_model()).await;
    same_neighbors(&mut both, &euclidean_model()).await;
    same_similar(&mut both).await;
    same_look_ups(&mut both).await;
}

async fn same_songs(both: &Both) {
    let [local, astra] = both.backends();
    for ids in both.ids.chunks(500) {
        let songs = local.songs().get(ids).await.unwrap();
        let others = astra.songs().get(ids).await.unwrap();
        for (song, other) in songs.into_iter().zip(others) {
            assert_eq!(other.map(plain), song.map(plain));
        }
        let model = tiny_model().name;
        let vectors = local.embeddings().get(&model, ids).await.unwrap();
        let others = astra.embeddings().get(&model, ids).await.unwrap();
        for (vector, other) in vectors.into_iter().zip(others) {
            let bits = |stored: songrec_storage::StoredEmbedding| {
                let values = stored.embedding.vector.values().to_vec();
                values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(other.map(bits), vector.map(bits));
        }
    }
}

async fn same_lists(both: &mut Both) {
    let mut found = 0;
    for n in 0..QUESTIONS {
        let filter = both.filter();
        let order = Order { by: ORDERS[n % ORDERS.len()], descending: both.rng.random_bool(0.5) };
        let limit = *[7, 50, 300, 1_000].choose(&mut both.rng).unwrap();
        let skip = if both.rng.random_bool(0.3) { both.rng.random_range(0..100) } else { 0 };
        let query = SongQuery { filter, order, skip, limit, after: None };
        let [local, astra] = both.backends();
        let pages = [pages(local, &query).await, pages(astra, &query).await];
        assert_eq!(pages[1], pages[0], "{query:?}");
        found += pages[0].len();
        let counts =
            [local.songs().count(&query.filter).await, astra.songs().count(&query.filter).await];
        let [of_local, of_astra] = counts.map(Result::unwrap);
        assert_eq!(of_astra, of_local, "{query:?}");
    }
    assert!(found > QUESTIONS * 10, "the questions found only {found} cards");
}

// The summaries of the first two pages.
async fn pages(backend: &dyn StorageBackend, query: &SongQuery) -> Vec<SongSummary> {
    let first = backend.songs().find_summaries(query).await.unwrap();
    let mut summaries = first.items;
    if let Some(after) = first.next {
        let query = SongQuery { after: Some(after), skip: 0, ..query.clone() };
        summaries.extend(backend.songs().find_summaries(&query).await.unwrap().items);
    }
    summaries
}

async fn same_neighbors(both: &mut Both, model: &ModelSpec) {
    let mut found = 0;
    for _ in 0..QUESTIONS {
        let mut query =
            NearestQuery::new(model.name.clone(), random_vector(&mut both.rng, model), 10);
        query.k = *[1, 10, 60].choose(&mut both.rng).unwrap();
        query.filter = both.filter();
        if both.rng.random_bool(0.3) {
            query.offset = both.rng.random_range(1..40);
        }
        if both.rng.random_bool(0.3) {
            query.threshold = Some(both.rng.random_range(0.1..0.9));
        }
        if both.rng.random_bool(0.5) {
            query.exclude = both.ids.choose_multiple(&mut both.rng, 30).copied().collect();
        }
        let [local, astra] = both.backends();
        let hits = local.embeddings().nearest(&query).await.unwrap();
        let others = astra.embeddings().nearest(&query).await.unwrap();
        assert_same_hits(&hits, &others, &format!("{query:?}"));
        found += hits.len();
    }
    assert!(found > QUESTIONS * 3, "the questions found only {found} songs");
}

async fn same_similar(both: &mut Both) {
    for n in 0..QUESTIONS / 4 {
        let id = both.song().to_string();
        let options = SimilarOptions {
            model: Some(tiny_model().name.to_string()),
            k: 12,
            offset: [0, 0, 5][n % 3],
            threshold: [None, Some(0.4)][n % 2],
            filter: both.filter(),
            exclude: vec![both.song()],
            max_per_artist: [None, None, None, Some(2)][n % 4],
            ..SimilarOptions::default()
        };
        let mut answers = Vec::new();
        for library in [&both.local, &both.astra] {
            let similar = songrec_library::similar(library, &id, &options).await.map(|similar| {
                let results: Vec<(SongId, i64)> = similar
                    .results
                    .iter()
                    .map(|hit| (hit.summary.id, (hit.similarity * 1e5).round() as i64))
                    .collect();
                (results, similar.shortfall)
            });
            // Some songs are silent, and like nothing on either.
            answers.push(similar.map_err(|error| error.to_string()));
        }
        assert_eq!(answers[1], answers[0], "{id} {options:?}");
    }
}

async fn same_look_ups(both: &mut Both) {
    let songs = both.backends[0].songs().get(&both.ids).await.unwrap();
    let songs: Vec<&Song> = songs.iter().flatten().collect();
    let mut lookups = Vec::new();
    for song in songs.choose_multiple(&mut both.rng, 60) {
        lookups.push(Lookup::IdPrefix(song.id.to_string()[..3].to_owned()));
        for file in &song.files {
            lookups.push(Lookup::Path(file.path.clone()));
            lookups.push(Lookup::FileHash(file.sha256));
        }
        lookups.push(Lookup::Title(SongSummary::of(song).title));
    }
    lookups.push(Lookup::Path("/nowhere".into()));
    let [local, astra] = both.backends();

    let found = local.songs().lookup(&lookups).await.unwrap();

    assert_eq!(astra.songs().lookup(&lookups).await.unwrap(), found);
    let searched = "drum & bass dark kick";
    for word in searched.split(' ') {
        let filter = Filter::text(word);
        let counts = [local.songs().count(&filter).await, astra.songs().count(&filter).await];
        let [of_local, of_astra] = counts.map(Result::unwrap);
        assert_eq!(of_astra, of_local, "{word}");
    }
}
