//! More of everything than a request holds.

use songrec_core::Filter;
use songrec_storage::{Lookup, NearestQuery, Outcome, PutMode, SongQuery, StorageBackend};

use crate::{delete, library_of, new_embedding, purge, put, tiny_model, vector};

/// A batch may be as large as a caller likes, whatever the backend's own
/// limits are.
pub async fn large_batches_are_no_different(backend: &dyn StorageBackend) {
    const COUNT: usize = 1_000;
    let model = tiny_model();
    backend.embeddings().put_model(&model).await.unwrap();
    let mut fixture = library_of(COUNT, 81).embedded_by(&model, 9);
    let new: Vec<_> = fixture
        .songs
        .iter()
        .zip(&fixture.embeddings)
        .map(|(song, embedding)| new_embedding(song, embedding.clone()))
        .collect();

    let references = backend.embeddings().put(&new).await.unwrap();
    for (song, reference) in fixture.songs.iter_mut().zip(references) {
        song.embeddings.insert(model.name.clone(), reference);
    }
    let creates: Vec<_> = fixture.songs.iter().map(|song| put(song, PutMode::Create)).collect();
    let outcomes = backend.songs().put(&creates).await.unwrap();
    assert!(outcomes.len() == COUNT && outcomes.iter().all(Outcome::is_done));

    let ids: Vec<_> = fixture.songs.iter().map(|song| song.id).collect();
    let stored = backend.songs().get(&ids).await.unwrap();
    assert_eq!(stored.len(), COUNT);
    for (stored, song) in stored.iter().zip(&fixture.songs) {
        assert_eq!(stored.as_ref(), Some(song));
    }
    let embeddings = backend.embeddings().get(&model.name, &ids).await.unwrap();
    assert_eq!(embeddings.len(), COUNT);
    for (stored, embedding) in embeddings.iter().zip(&fixture.embeddings) {
        assert_eq!(stored.as_ref().map(|stored| &stored.embedding), Some(embedding));
    }
    assert_eq!(backend.songs().count(&Filter::all()).await.unwrap(), COUNT as u64);
    let query = SongQuery { limit: COUNT, ..SongQuery::default() };
    assert_eq!(backend.songs().find_summaries(&query).await.unwrap().items.len(), COUNT);
    let nearest = NearestQuery::new(model.name.clone(), vector(&[1.0; 8]), COUNT);
    assert_eq!(backend.embeddings().nearest(&nearest).await.unwrap().len(), COUNT);
    let lookups: Vec<_> = ids.iter().map(|id| Lookup::IdPrefix(id.to_string())).collect();
    let found = backend.songs().lookup(&lookups).await.unwrap();
    assert_eq!(found, ids.iter().map(|id| vec![*id]).collect::<Vec<_>>());
    let changes = super::change::all_changes(backend, COUNT).await;
    assert_eq!(changes.len(), COUNT);

    let deletions: Vec<_> = ids.iter().map(|id| delete(*id)).collect();
    let outcomes = backend.songs().delete(&deletions).await.unwrap();
    assert!(outcomes.len() == COUNT && outcomes.iter().all(Outcome::is_done));
    let purges: Vec<_> = deletions.iter().map(purge).collect();
    backend.songs().purge(&purges).await.unwrap();
    assert_eq!(backend.songs().count(&Filter::all()).await.unwrap(), 0);
    assert_eq!(super::change::all_changes(backend, COUNT).await.len(), 0);
}

/// Excluding many songs excludes them all.
pub async fn many_songs_can_be_excluded(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let fixture = library_of(300, 82).embedded_by(&model, 10).store(backend).await;
    let mut query = NearestQuery::new(model.name.clone(), vector(&[1.0; 8]), 300);
    let all = backend.embeddings().nearest(&query).await.unwrap();
    assert_eq!(all.len(), fixture.songs.len());
    query.exclude = all[..250].iter().map(|hit| hit.song).collect();
    query.k = 10;

    let hits = backend.embeddings().nearest(&query).await.unwrap();

    assert_eq!(hits, all[250..260]);
}
