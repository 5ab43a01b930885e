//! Whole histories, against the library in memory.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use songrec_core::{Embedding, Filter, Job, OperationId, Song, SongFile, SongId};
use songrec_storage::{
    ChangeState, Cursor, DeleteSong, Lookup, MemoryBackend, NearestQuery, PurgeSong, PutMode,
    PutSong, StorageBackend, StorageBackendExt,
};

use crate::{delete, new_embedding, random_vector, retagged, song, time, tiny_model, vector};

const STEPS: usize = 120;
const SONGS: usize = 6;

// Both libraries, to which the same happens.
struct Pair<'a> {
    backend: &'a dyn StorageBackend,
    reference: MemoryBackend,
    // What somebody who follows the changes of either knows.
    told: [Told; 2],
}

#[derive(Default)]
struct Told {
    cursor: Option<Cursor>,
    states: BTreeMap<SongId, ChangeState>,
}

impl Told {
    async fn follow(&mut self, backend: &dyn StorageBackend, limit: usize) {
        for _ in 0..1_000 {
            let page = backend.maintenance().changes(self.cursor.as_ref(), limit).await.unwrap();
            self.states.extend(page.changes.into_iter().map(|change| (change.song, change.state)));
            self.cursor = Some(page.cursor);
            if !page.more {
                return;
            }
        }
        panic!("the same changes again and again");
    }
}

/// Whatever happens, in whatever order, the answers are those of the library
/// in memory, which is the definition.
pub async fn a_random_history_goes_as_in_memory(backend: &dyn StorageBackend) {
    random_history(backend, 91).await;
}

/// The same history for the same seed, in an empty library; for looking into
/// what one seed found, or for trying many.
pub async fn random_history(backend: &dyn StorageBackend, seed: u64) {
    let model = tiny_model();
    let mut pair = Pair { backend, reference: MemoryBackend::new(), told: Default::default() };
    backend.embeddings().put_model(&model).await.unwrap();
    pair.reference.embeddings().put_model(&model).await.unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    // Versions that were written or could have been, the stale ones too.
    let mut versions: Vec<Song> = (0..SONGS).map(|number| song(&number.to_string())).collect();

    for step in 0..STEPS {
        match rng.random_range(0..10) {
            0..5 => pair.put(&mut rng, &mut versions).await,
            5 => pair.embed(&mut rng, &mut versions).await,
            6 | 7 => pair.delete(&mut rng, &versions).await,
            8 => pair.purge(&mut rng, &versions).await,
            _ => {
                // Objects that are on their way would be lost to both, but which
                // of them are there to be lost is each backend's own matter.
                let age = Duration::from_secs(3_600);
                backend.maintenance().collect_garbage(age, &Job::silent()).await.unwrap();
            }
        }
        if step % 4 == 0 {
            pair.compare(&versions[..SONGS], &mut rng).await;
        }
    }
    pair.compare(&versions[..SONGS], &mut rng).await;
}

impl Pair<'_> {
    async fn put(&self, rng: &mut StdRng, versions: &mut Vec<Song>) {
        let mut batch = Vec::new();
        for _ in 0..rng.random_range(1..4) {
            let base = versions.choose(rng).unwrap().clone();
            let song = if rng.random_bool(0.2) { base.clone() } else { changed(rng, &base) };
            let current = self.reference.get_song(base.id).await.unwrap();
            let current = current.map(|song| song.revision.operation);
            let mode = match rng.random_range(0..6) {
                0..3 => current.map_or(PutMode::Create, PutMode::Replace),
                3 => PutMode::Create,
                4 => PutMode::Replace(base.revision.operation),
                _ => PutMode::Replace(OperationId::random()),
            };
            versions.push(song.clone());
            batch.push(PutSong { song, mode, origin: None });
        }
        let outcomes = self.backend.songs().put(&batch).await.unwrap();
        let expected = self.reference.songs().put(&batch).await.unwrap();
        assert_eq!(outcomes, expected, "{batch:#?}");
    }

    // Stores an embedding, which the next version of the song names.
    async fn embed(&self, rng: &mut StdRng, versions: &mut Vec<Song>) {
        let model = tiny_model();
        let base = versions.choose(rng).unwrap().clone();
        let mut next = changed(rng, &base);
        let vector = random_vector(rng, &model);
        let embedding = Embedding { song: base.id, model: model.name.clone(), vector };
        let new = [new_embedding(&next, embedding)];
        let reference = self.backend.embeddings().put(&new).await.unwrap().pop().unwrap();
        let expected = self.reference.embeddings().put(&new).await.unwrap().pop().unwrap();
        assert_eq!(reference.digest, expected.digest);
        next.embeddings.insert(model.name, reference);
        versions.push(next);
    }

    async fn delete(&self, rng: &mut StdRng, versions: &[Song]) {
        let mut batch = Vec::new();
        for _ in 0..rng.random_range(1..3) {
            let base = versions.choose(rng).unwrap();
            let version = rng.random_bool(0.3).then_some(base.revision.operation);
            batch.push(DeleteSong { version, ..delete(base.id) });
        }
        let outcomes = self.backend.songs().delete(&batch).await.unwrap();
        let expected = self.reference.songs().delete(&batch).await.unwrap();
        assert_eq!(outcomes, expected, "{batch:#?}");
    }

    // Whoever follows the changes has to know of a deletion before it is
    // forgotten.
    async fn purge(&mut self, rng: &mut StdRng, versions: &[Song]) {
        self.follow().await;
        let known = &self.told[1].states;
        let purges: Vec<PurgeSong> = versions
            .choose_multiple(rng, 2)
            .map(|version| {
                let deletion = match known.get(&version.id) {
                    Some(ChangeState::Deleted(tombstone)) => tombstone.revision.operation,
                    // Of a deletion that is not the last one, or never was.
                    _ => version.revision.operation,
                };
                PurgeSong { id: version.id, deletion }
            })
            .collect();
        self.backend.songs().purge(&purges).await.unwrap();
        self.reference.songs().purge(&purges).await.unwrap();
    }

    async fn follow(&mut self) {
        let [told, expected] = &mut self.told;
        told.follow(self.backend, 2).await;
        expected.follow(&self.reference, 3).await;
        assert_eq!(told.states, expected.states);
    }

    async fn compare(&mut self, songs: &[Song], rng: &mut StdRng) {
        self.follow().await;
        let name = tiny_model().name;
        let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
        let stored = self.backend.songs().get(&ids).await.unwrap();
        assert_eq!(stored, self.reference.songs().get(&ids).await.unwrap());
        for ((song, id), told) in stored.iter().zip(&ids).map(|pair| (pair, &self.told[0])) {
            match (song, told.states.get(id)) {
                (Some(song), Some(ChangeState::Present(told))) => assert_eq!(*song, **told),
                (None, None | Some(ChangeState::Deleted(_))) => {}
                different => panic!("{different:?}"),
            }
        }
        // Songs may name what never came, or what was replaced meanwhile: then
        // there is no embedding.
        let embeddings = self.backend.embeddings().get(&name, &ids).await.unwrap();
        assert_eq!(embeddings, self.reference.embeddings().get(&name, &ids).await.unwrap());
        let query = NearestQuery::new(name, vector(&[1.0; 8]), rng.random_range(1..8));
        let near = self.backend.nearest_songs(&query).await.unwrap();
        // Songs carry the keys of the backend, which mean nothing to the
        // reference; but it finds nothing that no song names.
        let expected = self.reference.embeddings().nearest(&query).await.unwrap();
        let near: Vec<SongId> = near.iter().map(|(_, song)| song.id).collect();
        let expected: Vec<SongId> = expected.iter().map(|hit| hit.song).collect();
        assert_eq!(near, expected);
        let filter = Filter::text("moved");
        let count = self.backend.songs().count(&filter).await.unwrap();
        assert_eq!(count, self.reference.songs().count(&filter).await.unwrap());
        let mut lookups: Vec<Lookup> =
            (0..4).map(|number| Lookup::Path(format!("moved/{number}.wav"))).collect();
        lookups.push(Lookup::FileHash(songs[0].audio_hash));
        let found = self.backend.songs().lookup(&lookups).await.unwrap();
        assert_eq!(found, self.reference.songs().lookup(&lookups).await.unwrap());
    }
}

fn changed(rng: &mut StdRng, base: &Song) -> Song {
    let mut next = retagged(base);
    if rng.random_bool(0.3) {
        next.files.clear();
        let path = format!("moved/{}.wav", rng.random_range(0..4));
        next.add_file(SongFile { path, sha256: base.audio_hash, size: 1 });
        next.updated_at = time(rng.random_range(0..100));
    }
    next
}
