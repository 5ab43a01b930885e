//! Migrating and checking.

use std::sync::Arc;

use songrec_core::{Job, Song, SongSummary, Vector};
use songrec_storage::{Outcome, PutMode, StorageBackend, StorageBackendExt};
use songrec_sync::{Options, Replica, Rules, SyncState, Syncer, Verify, check};
use songrec_testkit::{delete, library_of, retitled, song, tiny_model};

use super::{Two, edit};
use crate::model::Shaky;

#[tokio::test]
async fn a_migration_copies_everything_once_and_proves_it() {
    let mut two = Two::new();
    library_of(230, 1).embedded_by(&tiny_model(), 2).store(two.own()).await;
    two.shared().put_song(&retitled(&song("there"), "theirs"), PutMode::Create).await.unwrap();
    two.own().put_song(&song("there"), PutMode::Create).await.unwrap();
    let own = Replica::new("own", Shaky::new(Arc::clone(&two.own), 1, 0.0, Arc::default()));
    let shared =
        Replica::new("shared", Shaky::new(Arc::clone(&two.shared), 2, 0.0, Arc::default()));
    let syncer = Syncer::new(own, shared, two.state.take().unwrap());

    let plan = syncer.plan_migration(&Options::default()).await.unwrap();
    let first = syncer.migrate(&Options::default(), Verify::Full).await.unwrap();
    let second = syncer.migrate(&Options::default(), Verify::Sample).await.unwrap();

    assert_eq!((plan.songs, plan.already), (231, 1));
    assert_eq!((first.copied, first.already, first.different.len()), (230, 0, 1));
    assert_eq!(first.verified.as_ref().unwrap().embeddings, 460);
    assert!(first.is_complete(), "{first:?}");
    assert_eq!((second.copied, second.already), (0, 230));
    let theirs = two.shared().get_song(song("there").id).await.unwrap().unwrap();
    assert_eq!(theirs.tags.title.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn a_check_finds_what_differs() {
    let two = Two::new();
    let own = library_of(10, 1).embedded_by(&tiny_model(), 2).store(two.own()).await;
    library_of(10, 1).embedded_by(&tiny_model(), 2).store(two.shared()).await;
    let (one, other, third) = (&own.songs[0], &own.songs[1], &own.songs[2]);
    edit(two.own(), one.id, "title", "only here", 1).await;
    two.shared().songs().delete(&[delete(other.id)]).await.unwrap();
    two.own().songs().delete(&[delete(third.id)]).await.unwrap();
    let left = Replica::new("own", Shaky::new(Arc::clone(&two.own), 1, 0.0, Arc::default()));
    let right = Replica::new("shared", Shaky::new(Arc::clone(&two.shared), 1, 0.0, Arc::default()));

    let found = check(&left, &right, true, &Job::silent()).await.unwrap();

    use songrec_sync::DifferenceKind::{MissingLeft, MissingRight, Song};
    let mut kinds: Vec<_> = found.differences.iter().map(|one| (one.song, one.kind)).collect();
    kinds.sort_by_key(|(song, _)| *song);
    let mut wanted = vec![(one.id, Song), (other.id, MissingRight), (third.id, MissingLeft)];
    wanted.sort_by_key(|(song, _)| *song);
    assert_eq!(kinds, wanted);
    assert!(found.differences.iter().any(|one| one.text.contains("edits.title")));
}

// A library can be synced from any thread.
#[test]
fn a_sync_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let two = Two::new();
    let own = Shaky::new(Arc::clone(&two.own), 1, 0.0, Arc::default());
    let shared = Shaky::new(Arc::clone(&two.shared), 2, 0.0, Arc::default());
    let state = SyncState::in_memory().unwrap();
    let syncer = Syncer::new(Replica::new("own", own), Replica::new("shared", shared), state);
    let options = Options::default();
    is_send(&syncer.run(&options));
    is_send(&syncer.migrate(&options, Verify::None));
    let _ = (
        Rules::default(),
        Vector::new(vec![1.0]),
        Outcome::<Song>::Done,
        SongSummary::of(&song("x")),
    );
}
