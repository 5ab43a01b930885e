//! Storing and reading songs.

use songrec_core::{OperationId, SongId};
use songrec_storage::{ErrorKind, Outcome, PutMode, StorageBackend, StorageBackendExt};

use crate::{put, retagged, song, tiny_model};

use super::refusal::assert_refused;

/// What is missing is `None`, never an error.
pub async fn a_missing_song_is_none(backend: &dyn StorageBackend) {
    let id = song("missing").id;

    assert_eq!(backend.songs().get(&[id]).await.unwrap(), [None]);
    assert_eq!(backend.get_song(id).await.unwrap(), None);
}

/// A song comes back as it was stored, in every field.
pub async fn a_stored_song_comes_back(backend: &dyn StorageBackend) {
    let song = song("one");

    let outcomes = backend.songs().put(&[put(&song, PutMode::Create)]).await.unwrap();

    assert_eq!(outcomes, [Outcome::Done]);
    assert_eq!(backend.songs().get(&[song.id]).await.unwrap(), [Some(song)]);
}

/// `Create` is what makes `add` safe to run on two machines at once.
pub async fn create_refuses_to_overwrite(backend: &dyn StorageBackend) {
    let first = song("one");
    let second = retagged(&first);
    backend.put_song(&first, PutMode::Create).await.unwrap();

    let outcomes = backend.songs().put(&[put(&second, PutMode::Create)]).await.unwrap();

    // The loser is told what is stored, so that it can merge without asking.
    assert_eq!(outcomes, [Outcome::Conflict(Some(Box::new(first.clone())))]);
    assert_eq!(backend.get_song(first.id).await.unwrap(), Some(first.clone()));
    assert_refused(
        backend.put_song(&second, PutMode::Create).await,
        ErrorKind::Conflict,
        "another song",
    );
}

/// A write says which version it replaces.
pub async fn replace_takes_the_version_it_names(backend: &dyn StorageBackend) {
    let first = song("one");
    let second = retagged(&first);
    let third = retagged(&second);
    backend.put_song(&first, PutMode::Create).await.unwrap();

    for (next, last) in [(&second, &first), (&third, &second)] {
        let mode = PutMode::Replace(last.revision.operation);
        let outcomes = backend.songs().put(&[put(next, mode)]).await.unwrap();

        assert_eq!(outcomes, [Outcome::Done]);
        assert_eq!(backend.get_song(first.id).await.unwrap().as_ref(), Some(next));
    }
}

/// A write that expects another version changes nothing and is told what is
/// stored.
pub async fn replace_refuses_another_version(backend: &dyn StorageBackend) {
    let first = song("one");
    let second = retagged(&first);
    let late = retagged(&first);
    backend.put_song(&first, PutMode::Create).await.unwrap();
    backend.put_song(&second, PutMode::Replace(first.revision.operation)).await.unwrap();

    for expected in [first.revision.operation, OperationId::random(), late.revision.operation] {
        let outcomes =
            backend.songs().put(&[put(&late, PutMode::Replace(expected))]).await.unwrap();

        assert_eq!(outcomes, [Outcome::Conflict(Some(Box::new(second.clone())))]);
    }
    assert_eq!(backend.get_song(first.id).await.unwrap(), Some(second));
}

/// `None` stands for nothing in the answer to a lost race, too.
pub async fn replace_refuses_what_is_not_there(backend: &dyn StorageBackend) {
    let song = song("one");

    let mode = PutMode::Replace(OperationId::random());
    let outcomes = backend.songs().put(&[put(&song, mode)]).await.unwrap();

    assert_eq!(outcomes, [Outcome::Conflict(None)]);
    assert_eq!(backend.get_song(song.id).await.unwrap(), None);
}

/// A song whose operation is the stored one is `Done`, whatever its mode says:
/// that is how a writer whose answer was lost learns that it had won.
pub async fn repeating_a_write_succeeds(backend: &dyn StorageBackend) {
    let first = song("one");
    let second = retagged(&first);
    let replace = PutMode::Replace(first.revision.operation);
    for _ in 0..3 {
        let outcomes = backend.songs().put(&[put(&first, PutMode::Create)]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Done]);
    }

    for mode in [replace, replace, PutMode::Create, PutMode::Replace(OperationId::random())] {
        let outcomes = backend.songs().put(&[put(&second, mode)]).await.unwrap();

        assert_eq!(outcomes, [Outcome::Done], "{mode:?}");
        assert_eq!(backend.get_song(first.id).await.unwrap().as_ref(), Some(&second));
    }
}

/// A write that was overwritten since is not done again.
pub async fn repeating_a_write_does_not_undo_the_next(backend: &dyn StorageBackend) {
    let first = song("one");
    let second = retagged(&first);
    backend.put_song(&first, PutMode::Create).await.unwrap();
    backend.put_song(&second, PutMode::Replace(first.revision.operation)).await.unwrap();

    let outcomes = backend.songs().put(&[put(&first, PutMode::Create)]).await.unwrap();

    assert_eq!(outcomes, [Outcome::Conflict(Some(Box::new(second.clone())))]);
    assert_eq!(backend.get_song(first.id).await.unwrap(), Some(second));
}

/// A song cannot name an embedding of a model there is no room for.
pub async fn a_song_of_an_unknown_model_is_refused(backend: &dyn StorageBackend) {
    let mut song = song("one");
    let reference = songrec_core::EmbeddingRef {
        dimension: 8,
        digest: songrec_core::Digest::of(b"nothing"),
        key: None,
    };
    song.embeddings.insert(tiny_model().name, reference);

    assert_refused(
        backend.songs().put(&[put(&song, PutMode::Create)]).await,
        ErrorKind::Invalid,
        "an unknown model",
    );
    assert_eq!(backend.get_song(song.id).await.unwrap(), None);
}

/// Every error names the place it comes from.
pub async fn errors_name_the_backend(backend: &dyn StorageBackend) {
    let place = backend.to_string();
    let query = songrec_storage::NearestQuery::new(tiny_model().name, crate::vector(&[1.0; 8]), 1);

    let error = backend.embeddings().nearest(&query).await.unwrap_err();

    assert!(!place.is_empty());
    assert!(error.to_string().contains(&place), "`{error}` does not say `{place}`");
    assert!(std::error::Error::source(&error).is_some(), "`{error}` does not say why");
}

/// There is room for a model once, and for another model beside it.
pub async fn models_are_listed_by_name(backend: &dyn StorageBackend) {
    let (tiny, loud) = (tiny_model(), crate::dot_model());
    assert_eq!(backend.embeddings().models().await.unwrap(), []);

    for model in [&tiny, &loud, &tiny, &loud] {
        backend.embeddings().put_model(model).await.unwrap();
    }

    assert!(loud.name < tiny.name);
    assert_eq!(backend.embeddings().models().await.unwrap(), [loud, tiny]);
}

/// A model keeps its dimension and its metric: its vectors could not be
/// compared otherwise.
pub async fn a_model_does_not_change(backend: &dyn StorageBackend) {
    let tiny = tiny_model();
    backend.embeddings().put_model(&tiny).await.unwrap();

    let mut wider = tiny.clone();
    wider.dimension = 16;
    let mut other = tiny.clone();
    other.metric = songrec_core::Metric::Euclidean;
    for wrong in [wider, other] {
        assert_refused(
            backend.embeddings().put_model(&wrong).await,
            ErrorKind::Invalid,
            format_args!("{wrong:?}"),
        );
    }
    assert_eq!(backend.embeddings().models().await.unwrap(), [tiny]);
}

/// An answer has one element for each asked for, in the same order, however
/// often it is asked for.
pub async fn songs_come_in_the_order_asked_for(backend: &dyn StorageBackend) {
    let songs = ["c", "a", "d", "b"].map(song);
    let missing = song("missing").id;
    for song in &songs {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let [c, a, d, b] = songs.each_ref().map(|song| song.id);
    let asked: Vec<SongId> = vec![d, missing, a, a, c, missing, b, d];

    let answer = backend.songs().get(&asked).await.unwrap();

    let ids: Vec<_> = answer.iter().map(|song| song.as_ref().map(|song| song.id)).collect();
    let expected = [Some(d), None, Some(a), Some(a), Some(c), None, Some(b), Some(d)];
    assert_eq!(ids, expected);
}
