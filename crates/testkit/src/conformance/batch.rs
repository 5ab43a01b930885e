//! Slices in, vectors out.

use songrec_core::{DocumentKind, OperationId};
use songrec_storage::{Outcome, PutMode, StorageBackend, StorageBackendExt};

use crate::{put, retagged, song, tiny_model};

/// An empty slice is answered without any work.
pub async fn nothing_asked_is_nothing_answered(backend: &dyn StorageBackend) {
    let model = tiny_model();
    backend.embeddings().put_model(&model).await.unwrap();

    assert_eq!(backend.songs().put(&[]).await.unwrap(), []);
    assert_eq!(backend.songs().get(&[]).await.unwrap(), []);
    assert_eq!(backend.songs().lookup(&[]).await.unwrap(), Vec::<Vec<_>>::new());
    assert_eq!(backend.songs().delete(&[]).await.unwrap(), []);
    backend.songs().purge(&[]).await.unwrap();
    assert_eq!(backend.embeddings().put(&[]).await.unwrap(), []);
    assert_eq!(backend.embeddings().get(&model.name, &[]).await.unwrap(), []);
    backend.segments().put(&[]).await.unwrap();
    assert_eq!(backend.segments().get(&[]).await.unwrap(), []);
    assert_eq!(backend.segments().delete(&[]).await.unwrap(), Vec::<bool>::new());
    assert_eq!(backend.documents().put(&[]).await.unwrap(), []);
    assert_eq!(backend.documents().get(DocumentKind::Playlist, &[]).await.unwrap(), []);
    let none = backend.documents().list(&[], None).await.unwrap();
    assert_eq!((none.items, none.next), (vec![], None));
    assert!(backend.capabilities().batch > 0);
}

/// Each element of a batch happens or does not, by itself, and the outcomes
/// are in the order of the elements.
pub async fn each_song_of_a_batch_stands_for_itself(backend: &dyn StorageBackend) {
    let [taken, fresh, stale, kept, absent, repeated] =
        ["taken", "fresh", "stale", "kept", "absent", "repeated"].map(song);
    for song in [&taken, &stale, &kept, &repeated] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let [new_taken, new_stale, new_kept] = [&taken, &stale, &kept].map(retagged);

    let outcomes = backend
        .songs()
        .put(&[
            put(&new_taken, PutMode::Create),
            put(&fresh, PutMode::Create),
            put(&new_stale, PutMode::Replace(OperationId::random())),
            put(&new_kept, PutMode::Replace(kept.revision.operation)),
            put(&absent, PutMode::Replace(OperationId::random())),
            put(&repeated, PutMode::Create),
        ])
        .await
        .unwrap();

    let conflict = |song: &songrec_core::Song| Outcome::Conflict(Some(Box::new(song.clone())));
    let expected = [
        conflict(&taken),
        Outcome::Done,
        conflict(&stale),
        Outcome::Done,
        Outcome::Conflict(None),
        Outcome::Done,
    ];
    assert_eq!(outcomes, expected);
    let ids = [&taken, &fresh, &stale, &kept, &absent, &repeated].map(|song| song.id);
    let stored = backend.songs().get(&ids).await.unwrap();
    let expected = [Some(taken), Some(fresh), Some(stale), Some(new_kept), None, Some(repeated)];
    assert_eq!(stored, expected);
}

/// Of two versions of one song in one batch, one can win.
pub async fn a_batch_cannot_win_against_itself(backend: &dyn StorageBackend) {
    let one = song("one");
    let (left, right) = (retagged(&one), retagged(&one));

    let outcomes = backend
        .songs()
        .put(&[put(&left, PutMode::Create), put(&right, PutMode::Create)])
        .await
        .unwrap();

    let won: Vec<_> = outcomes.iter().map(Outcome::is_done).collect();
    assert!(won[0] != won[1], "{outcomes:?}");
    let winner = if won[0] { left } else { right };
    assert!(outcomes.contains(&Outcome::Conflict(Some(Box::new(winner.clone())))));
    assert_eq!(backend.get_song(one.id).await.unwrap(), Some(winner));
}

/// The same write twice in one batch is one write.
pub async fn a_batch_may_repeat_itself(backend: &dyn StorageBackend) {
    let one = song("one");
    let create = put(&one, PutMode::Create);

    let outcomes = backend.songs().put(&[create.clone(), create]).await.unwrap();

    assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
    assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one));
}
