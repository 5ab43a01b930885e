//! Deleting songs, and forgetting that they were.

use songrec_core::{Filter, OperationId, Song};
use songrec_storage::{
    ChangeState, DeleteSong, Lookup, Outcome, PurgeSong, PutMode, SongQuery, StorageBackend,
    StorageBackendExt,
};

use crate::{delete, purge, put, retagged, retitled, song};

use super::change::all_changes;

/// Deleted songs are `None`, and are found nowhere.
pub async fn a_deleted_song_is_none(backend: &dyn StorageBackend) {
    let (gone, kept) = (song("gone"), song("kept"));
    for song in [&gone, &kept] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }

    assert_eq!(backend.songs().delete(&[delete(gone.id)]).await.unwrap(), [Outcome::Done]);

    let stored = backend.songs().get(&[gone.id, kept.id]).await.unwrap();
    assert_eq!(stored, [None, Some(kept.clone())]);
    assert_eq!(backend.songs().count(&Filter::all()).await.unwrap(), 1);
    let query = SongQuery { limit: 10, ..SongQuery::default() };
    assert_eq!(backend.songs().find(&query).await.unwrap().items, [kept.clone()]);
    assert_eq!(backend.songs().find_summaries(&query).await.unwrap().items.len(), 1);
    let lookups = [
        Lookup::IdPrefix(gone.id.to_string()),
        Lookup::Path(gone.files[0].path.clone()),
        Lookup::FileHash(gone.files[0].sha256),
    ];
    assert_eq!(backend.songs().lookup(&lookups).await.unwrap(), [vec![], vec![], vec![]]);
}

/// A deletion of a version leaves another one alone and is told of it.
pub async fn a_deletion_takes_the_version_it_names(backend: &dyn StorageBackend) {
    let first = song("one");
    let second = retagged(&first);
    backend.put_song(&first, PutMode::Create).await.unwrap();
    backend.put_song(&second, PutMode::Replace(first.revision.operation)).await.unwrap();
    let mut deletion = delete(first.id);

    deletion.version = Some(first.revision.operation);
    let outcomes = backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();
    assert_eq!(outcomes, [Outcome::Conflict(Some(Box::new(second.clone())))]);
    assert_eq!(backend.get_song(first.id).await.unwrap(), Some(second.clone()));

    deletion.version = Some(second.revision.operation);
    let outcomes = backend.songs().delete(&[deletion]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done]);
    assert_eq!(backend.get_song(first.id).await.unwrap(), None);
}

/// What is not there is deleted already, and gets no tombstone.
pub async fn deleting_what_is_not_there_leaves_no_trace(backend: &dyn StorageBackend) {
    let mut of_a_version = delete(song("two").id);
    of_a_version.version = Some(OperationId::random());

    let outcomes = backend.songs().delete(&[delete(song("one").id), of_a_version]).await.unwrap();

    assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
    assert_eq!(all_changes(backend, 10).await, []);
}

/// A deletion whose answer was lost is repeated without harm, and so is
/// another deletion of the same song: the tombstone stays as it was.
pub async fn repeating_a_deletion_succeeds(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let mut deletion = delete(one.id);
    deletion.version = Some(one.revision.operation);

    for repeated in [&deletion, &deletion, &delete(one.id)] {
        let outcomes = backend.songs().delete(std::slice::from_ref(repeated)).await.unwrap();

        assert_eq!(outcomes, [Outcome::Done]);
    }

    let changes = all_changes(backend, 10).await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    let ChangeState::Deleted(tombstone) = &changes[0].state else {
        panic!("not deleted: {changes:?}");
    };
    assert_eq!(tombstone.revision.operation, deletion.operation);
}

/// A deletion leaves a tombstone that says who, when, and what it was.
pub async fn a_deletion_leaves_a_tombstone(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let deletion = delete(one.id);

    backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();

    let changes = all_changes(backend, 10).await;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].song, one.id);
    let ChangeState::Deleted(tombstone) = &changes[0].state else {
        panic!("not deleted: {changes:?}");
    };
    assert_eq!(tombstone.revision.operation, deletion.operation);
    assert_eq!(tombstone.revision.number, one.revision.number + 1);
    assert_eq!(tombstone.deleted_at, deletion.at);
    assert_eq!(tombstone.song, one);
}

/// Whoever deletes may know more of the song than is stored: the tombstone says
/// that, with the version and the objects that were stored.
pub async fn a_tombstone_holds_what_its_deletion_left(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let leaving = retitled(&one, "known");
    let deletion = DeleteSong { leaving: Some(Box::new(leaving.clone())), ..delete(one.id) };

    backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();

    let changes = all_changes(backend, 10).await;
    let ChangeState::Deleted(tombstone) = &changes[0].state else {
        panic!("not deleted: {changes:?}");
    };
    assert_eq!(tombstone.revision.operation, deletion.operation);
    assert_eq!(tombstone.song, Song { revision: one.revision, ..leaving });
}

/// `Create` may follow a tombstone, which is then gone; the write of the song
/// before it may not come back as if it were new.
pub async fn a_deleted_song_can_be_created_again(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let next = retagged(&one);
    backend.songs().delete(&[delete(one.id)]).await.unwrap();

    // To replace what was deleted is to have lost against the deletion.
    let mode = PutMode::Replace(one.revision.operation);
    let outcomes = backend.songs().put(&[put(&next, mode)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Conflict(None)]);

    let outcomes = backend.songs().put(&[put(&next, PutMode::Create)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done]);
    assert_eq!(backend.get_song(one.id).await.unwrap().as_ref(), Some(&next));
    let changes = all_changes(backend, 10).await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].state, ChangeState::Present(Box::new(next)));
}

/// Purging forgets a tombstone for good.
pub async fn purging_forgets_a_tombstone(backend: &dyn StorageBackend) {
    let (gone, kept) = (song("gone"), song("kept"));
    for song in [&gone, &kept] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let deletion = delete(gone.id);
    backend.songs().delete(std::slice::from_ref(&deletion)).await.unwrap();

    for _ in 0..2 {
        // What is not a tombstone stays as it is; what is not there, too.
        let of_a_song = PurgeSong { id: kept.id, deletion: kept.revision.operation };
        let of_nothing = purge(&delete(song("missing").id));
        backend.songs().purge(&[purge(&deletion), of_a_song, of_nothing]).await.unwrap();
    }

    let changes = all_changes(backend, 10).await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].state, ChangeState::Present(Box::new(kept.clone())));
    assert_eq!(backend.songs().get(&[gone.id, kept.id]).await.unwrap(), [None, Some(kept)]);
    backend.put_song(&gone, PutMode::Create).await.unwrap();
    assert_eq!(backend.get_song(gone.id).await.unwrap(), Some(gone));
}

/// A purge takes the tombstone that it names, and no later one: nobody may
/// have seen that yet.
pub async fn purging_takes_the_tombstone_it_names(backend: &dyn StorageBackend) {
    let one = song("one");
    let (first, second) = (delete(one.id), delete(one.id));
    backend.put_song(&one, PutMode::Create).await.unwrap();
    backend.songs().delete(std::slice::from_ref(&first)).await.unwrap();
    backend.put_song(&retagged(&one), PutMode::Create).await.unwrap();
    backend.songs().delete(std::slice::from_ref(&second)).await.unwrap();

    backend.songs().purge(&[purge(&first)]).await.unwrap();
    let changes = all_changes(backend, 10).await;
    let ChangeState::Deleted(tombstone) = &changes[0].state else { panic!("{changes:?}") };
    assert_eq!(tombstone.revision.operation, second.operation);

    backend.songs().purge(&[purge(&first), purge(&second)]).await.unwrap();
    assert!(all_changes(backend, 10).await.is_empty());
}

/// The same deletion twice in one batch is one deletion.
pub async fn a_batch_of_deletions_may_repeat_itself(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let mut deletion = delete(one.id);
    deletion.version = Some(one.revision.operation);

    let outcomes =
        backend.songs().delete(&[deletion.clone(), deletion, delete(one.id)]).await.unwrap();

    assert_eq!(outcomes, [Outcome::Done, Outcome::Done, Outcome::Done]);
    assert_eq!(all_changes(backend, 10).await.len(), 1);
}

/// Each deletion of a batch stands for itself.
pub async fn each_deletion_of_a_batch_stands_for_itself(backend: &dyn StorageBackend) {
    let [gone, changed, missing] = ["gone", "changed", "missing"].map(song);
    for song in [&gone, &changed] {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let mut stale = delete(changed.id);
    stale.version = Some(OperationId::random());

    let outcomes =
        backend.songs().delete(&[stale, delete(missing.id), delete(gone.id)]).await.unwrap();

    let conflict = Outcome::Conflict(Some(Box::new(changed.clone())));
    assert_eq!(outcomes, [conflict, Outcome::Done, Outcome::Done]);
    assert_eq!(backend.songs().get(&[gone.id, changed.id]).await.unwrap(), [None, Some(changed)]);
}
