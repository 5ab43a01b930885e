//! How models embed songs.

use songrec_core::{Embedding, Song, Vector};
use songrec_storage::{
    ErrorKind, Outcome, PutMode, StorageBackend, StorageBackendExt, StoredEmbedding,
};

use crate::{
    delete, dot_model, euclidean_model, new_embedding, put, retagged, song, tiny_model, vector,
};

use super::refusal::assert_refused;

fn embedded(song: &Song, values: [f32; 8]) -> Embedding {
    Embedding { song: song.id, model: tiny_model().name, vector: vector(&values) }
}

// Stores an embedding, and the song that names it.
async fn store(backend: &dyn StorageBackend, song: &mut Song, embedding: &Embedding) {
    let new = new_embedding(song, embedding.clone());
    let reference = backend.embeddings().put(&[new]).await.unwrap().pop().unwrap();
    song.embeddings.insert(embedding.model.clone(), reference);
    backend.put_song(song, PutMode::Create).await.unwrap();
}

fn bits(vector: &Vector) -> Vec<u32> {
    vector.values().iter().map(|value| value.to_bits()).collect()
}

/// Embeddings come back bit for bit, whatever the numbers.
pub async fn embeddings_come_back_bit_for_bit(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let smallest = f32::from_bits(1);
    let mut cases = vec![
        [0.0, -0.0, 1.0, -1.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 0.1, -0.3],
        [f32::MAX, f32::MIN, f32::EPSILON, 1e-38, 1e38, 16_777_217.0, 1.0 / 3.0, 0.0],
        [smallest, -smallest, f32::from_bits(0x007f_ffff), 1e-40, -1e-45, 0.0, -0.0, 1.0],
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.0],
        [3.5e-5, 1.000_000_1, 0.999_999_9, 123_456.79, -7.1e20, 2.0e-20, 5.0, 8.0],
    ];
    // Every byte of a number takes many values.
    cases.extend((0..20u32).map(|case| {
        std::array::from_fn(|element| {
            let mixed = (case * 8 + element as u32 + 1).wrapping_mul(0x9e37_79b9);
            f32::from_bits(mixed & 0xbfff_ffff)
        })
    }));

    let mut songs: Vec<Song> = (0..cases.len()).map(|number| song(&number.to_string())).collect();
    for (song, values) in songs.iter_mut().zip(&cases) {
        store(backend, song, &embedded(song, *values)).await;
    }

    let ids: Vec<_> = songs.iter().map(|song| song.id).collect();
    let stored = backend.embeddings().get(&tiny_model().name, &ids).await.unwrap();
    for ((song, values), stored) in songs.iter().zip(&cases).zip(stored) {
        let stored = stored.unwrap_or_else(|| panic!("{values:?} is not there"));
        assert_eq!(bits(&stored.embedding.vector), values.map(f32::to_bits), "{values:?}");
        assert_eq!(stored.embedding.song, song.id);
        assert_eq!(stored.embedding.model, tiny_model().name);
        assert_eq!(stored.reference, song.embeddings[&tiny_model().name]);
        assert_eq!(stored.reference.digest, embedded(song, *values).reference().digest);
        assert_eq!(stored.reference.dimension, 8);
    }
}

/// A song has an embedding of each model, and each comes back by its model.
pub async fn embeddings_of_models_are_apart(backend: &dyn StorageBackend) {
    let mut one = song("one");
    let embeddings = [
        embedded(&one, [1.0; 8]),
        Embedding { song: one.id, model: dot_model().name, vector: vector(&[2.0; 5]) },
        Embedding { song: one.id, model: euclidean_model().name, vector: vector(&[3.0; 3]) },
    ];
    for model in [tiny_model(), dot_model(), euclidean_model()] {
        backend.embeddings().put_model(&model).await.unwrap();
    }
    let new: Vec<_> = embeddings.iter().map(|each| new_embedding(&one, each.clone())).collect();

    // The last one is stored, but not named.
    let references = backend.embeddings().put(&new).await.unwrap();
    for (embedding, reference) in embeddings.iter().zip(references).take(2) {
        one.embeddings.insert(embedding.model.clone(), reference);
    }
    backend.put_song(&one, PutMode::Create).await.unwrap();

    assert_eq!(backend.get_song(one.id).await.unwrap().as_ref(), Some(&one));
    for embedding in &embeddings[..2] {
        let stored = backend.get_embedding(&embedding.model, one.id).await.unwrap();
        let reference = one.embeddings[&embedding.model].clone();
        assert_eq!(stored, Some(StoredEmbedding { embedding: embedding.clone(), reference }));
    }
    let unnamed = backend.get_embedding(&euclidean_model().name, one.id).await.unwrap();
    assert_eq!(unnamed, None);
}

/// What no song names does not exist: not before the song is stored, and not
/// after it was deleted. The same for what is missing or of an unknown model.
pub async fn an_embedding_without_its_song_is_none(backend: &dyn StorageBackend) {
    let (name, mut one) = (tiny_model().name, song("one"));
    assert_eq!(backend.embeddings().get(&name, &[one.id]).await.unwrap(), [None]);
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let embedding = embedded(&one, [1.0; 8]);
    let new = new_embedding(&one, embedding.clone());
    let reference = backend.embeddings().put(&[new]).await.unwrap().pop().unwrap();
    assert_eq!(backend.get_embedding(&name, one.id).await.unwrap(), None);

    backend.put_song(&one, PutMode::Create).await.unwrap();
    assert_eq!(backend.get_embedding(&name, one.id).await.unwrap(), None, "not named yet");

    let version = one.revision.operation;
    one.embeddings.insert(name.clone(), reference);
    one.revise(&one.clone(), crate::time(1));
    backend.put_song(&one, PutMode::Replace(version)).await.unwrap();
    let stored = backend.get_embedding(&name, one.id).await.unwrap().unwrap();
    assert_eq!(stored.embedding, embedding);

    backend.songs().delete(&[delete(one.id)]).await.unwrap();
    assert_eq!(backend.get_embedding(&name, one.id).await.unwrap(), None);
}

/// What a song named when it was deleted is given of deleted songs alone, until the song
/// is back.
pub async fn the_embedding_of_a_deleted_song_can_be_read(backend: &dyn StorageBackend) {
    let name = tiny_model().name;
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let (mut kept, mut gone) = (song("kept"), song("gone"));
    for (song, value) in [(&mut kept, 1.0), (&mut gone, 2.0)] {
        store(backend, song, &embedded(song, [value; 8])).await;
    }
    let named = gone.embeddings[&name].clone();
    let asked = [kept.id, gone.id, song("missing").id];
    let before = backend.embeddings().get_deleted(&name, &asked).await.unwrap();
    assert_eq!(before, [None, None, None]);

    backend.songs().delete(&[delete(gone.id)]).await.unwrap();

    let deleted = backend.embeddings().get_deleted(&name, &asked).await.unwrap();
    let [None, Some(stored), None] = deleted.as_slice() else { panic!("{deleted:?}") };
    assert_eq!(stored.embedding, embedded(&gone, [2.0; 8]));
    assert_eq!(stored.reference.digest, named.digest);
    let other = backend.embeddings().get_deleted(&dot_model().name, &asked).await.unwrap();
    assert_eq!(other, [None, None, None], "of no model that it named");
    let none = backend.embeddings().get_deleted(&name, &[]).await.unwrap();
    assert_eq!(none, []);
}

/// Embeddings come in the order of the songs asked for.
pub async fn embeddings_come_in_the_order_asked_for(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let mut songs = ["c", "a", "b"].map(song);
    for (number, song) in songs.iter_mut().enumerate() {
        store(backend, song, &embedded(song, [number as f32 + 1.0; 8])).await;
    }
    let [c, a, b] = songs.each_ref().map(|song| song.id);
    let asked = [b, song("missing").id, c, b, a];

    let stored = backend.embeddings().get(&tiny_model().name, &asked).await.unwrap();

    let first: Vec<_> =
        stored.iter().map(|one| one.as_ref().map(|one| one.embedding.vector.values()[0])).collect();
    assert_eq!(first, [Some(3.0), None, Some(1.0), Some(3.0), Some(2.0)]);
}

/// Storing an embedding again is a no-op: the reference stays the same.
pub async fn storing_an_embedding_again_changes_nothing(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let mut one = song("one");
    let new = new_embedding(&one, embedded(&one, [1.0; 8]));

    // As after a lost answer, and twice in one batch.
    let first = backend.embeddings().put(&[new.clone()]).await.unwrap();
    let again = backend.embeddings().put(&[new.clone(), new.clone()]).await.unwrap();
    assert_eq!(again, [first[0].clone(), first[0].clone()]);

    one.embeddings.insert(tiny_model().name, first[0].clone());
    backend.put_song(&one, PutMode::Create).await.unwrap();
    assert_eq!(backend.embeddings().put(&[new]).await.unwrap(), first);
    let stored = backend.get_embedding(&tiny_model().name, one.id).await.unwrap().unwrap();
    assert_eq!(stored.embedding, embedded(&one, [1.0; 8]));
}

/// The embedding that a stored song names is never replaced: another machine's
/// may differ in the last bits, and is told the reference of the first.
pub async fn the_first_embedding_wins(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let mut one = song("one");
    let first = embedded(&one, [1.0; 8]);
    store(backend, &mut one, &first).await;
    let second = embedded(&one, [f32::from_bits(1.0f32.to_bits() + 1); 8]);

    let references =
        backend.embeddings().put(&[new_embedding(&one, second.clone())]).await.unwrap();

    assert_eq!(references, [one.embeddings[&second.model].clone()]);
    let stored = backend.get_embedding(&first.model, one.id).await.unwrap().unwrap();
    assert_eq!(stored.embedding, first);
}

/// Once its song no longer names it, another embedding can take its place.
pub async fn an_embedding_that_is_not_named_can_be_replaced(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let name = tiny_model().name;
    let mut one = song("one");
    let first = embedded(&one, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    store(backend, &mut one, &first).await;
    let mut bare = retagged(&one);
    bare.embeddings.clear();
    backend.put_song(&bare, PutMode::Replace(one.revision.operation)).await.unwrap();
    assert_eq!(backend.get_embedding(&name, one.id).await.unwrap(), None);

    let second = embedded(&one, [-1.0; 8]);
    let references =
        backend.embeddings().put(&[new_embedding(&bare, second.clone())]).await.unwrap();
    let mut again = retagged(&bare);
    again.embeddings.insert(name.clone(), references[0].clone());
    backend.put_song(&again, PutMode::Replace(bare.revision.operation)).await.unwrap();

    let stored = backend.get_embedding(&name, one.id).await.unwrap().unwrap();
    assert_eq!(stored.embedding, second);
    let query = songrec_storage::NearestQuery::new(name, vector(&[-1.0; 8]), 5);
    let found = backend.nearest_songs(&query).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].0.similarity > 0.99, "{found:?}");
}

/// Two machines embed a song at the same time, and one of them stores it first:
/// what the song names is what it gets, whichever was stored last.
pub async fn a_song_gets_the_embedding_it_names(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let name = tiny_model().name;
    for named in 0..2 {
        let base = song(&format!("named {named}"));
        let embedded = [embedded(&base, [1.0; 8]), embedded(&base, [1.5; 8])];
        let mut references = Vec::new();
        for embedding in &embedded {
            let new = new_embedding(&base, embedding.clone());
            references.extend(backend.embeddings().put(&[new]).await.unwrap());
        }
        let mut song = base.clone();
        song.embeddings.insert(name.clone(), references[named].clone());

        backend.put_song(&song, PutMode::Create).await.unwrap();

        let stored = backend.get_embedding(&name, song.id).await.unwrap().unwrap();
        assert_eq!(stored.reference, references[named]);
        assert_eq!(stored.embedding.reference().digest, references[named].digest);
    }
}

/// What a model refuses is refused before anything of the batch is stored.
pub async fn refused_embeddings_store_nothing(backend: &dyn StorageBackend) {
    for model in [tiny_model(), dot_model()] {
        backend.embeddings().put_model(&model).await.unwrap();
    }
    let mut good = song("good");
    let fine = embedded(&good, [1.0; 8]);
    let bad = song("bad");
    let refused = |model: &songrec_core::ModelSpec, values: &[f32]| Embedding {
        song: bad.id,
        model: model.name.clone(),
        vector: vector(values),
    };
    let cases = [
        ("an unknown model", refused(&euclidean_model(), &[1.0; 3])),
        ("too few dimensions", refused(&tiny_model(), &[1.0; 7])),
        ("too many dimensions", refused(&tiny_model(), &[1.0; 9])),
        ("the dimension of another model", refused(&dot_model(), &[1.0; 8])),
        ("a zero vector under cosine", refused(&tiny_model(), &[0.0; 8])),
        ("a negative zero vector", refused(&tiny_model(), &[-0.0; 8])),
    ];

    for (what, embedding) in cases {
        let new = [new_embedding(&good, fine.clone()), new_embedding(&bad, embedding)];
        assert_refused(backend.embeddings().put(&new).await, ErrorKind::Invalid, what);
    }

    // Had the good one been stored, a song could name it.
    let query = songrec_storage::NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 10);
    assert_eq!(backend.embeddings().nearest(&query).await.unwrap(), []);
    good.embeddings.insert(fine.model.clone(), fine.reference());
    if backend.songs().put(&[put(&good, PutMode::Create)]).await.is_ok() {
        let stored = backend.get_embedding(&fine.model, good.id).await.unwrap();
        assert_eq!(stored, None, "it was stored with the refused ones");
    }
}

/// Zero has a place where distance or length count.
pub async fn a_zero_vector_is_only_refused_under_cosine(backend: &dyn StorageBackend) {
    for model in [dot_model(), euclidean_model()] {
        backend.embeddings().put_model(&model).await.unwrap();
        let mut song = song(model.name.as_str());
        let zero = vector(&vec![0.0; model.dimension]);
        let embedding = Embedding { song: song.id, model: model.name.clone(), vector: zero };

        store(backend, &mut song, &embedding).await;

        let stored = backend.get_embedding(&model.name, song.id).await.unwrap().unwrap();
        assert_eq!(stored.embedding, embedding);
    }
}

/// An edit keeps the embeddings that the song still names, and the song may
/// stop naming one.
pub async fn an_edit_keeps_what_the_song_names(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let name = tiny_model().name;
    let mut one = song("one");
    let embedding = embedded(&one, [1.0; 8]);
    store(backend, &mut one, &embedding).await;

    let edited = retagged(&one);
    backend.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    let stored = backend.get_embedding(&name, one.id).await.unwrap().unwrap();
    assert_eq!(stored.embedding, embedding);

    let mut bare = retagged(&edited);
    bare.embeddings.clear();
    let outcomes =
        backend.songs().put(&[put(&bare, PutMode::Replace(edited.revision.operation))]).await;
    assert_eq!(outcomes.unwrap(), [Outcome::Done]);
    assert_eq!(backend.get_embedding(&name, one.id).await.unwrap(), None);
}
