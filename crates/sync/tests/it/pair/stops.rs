//! What stops a sync.

use std::sync::Arc;

use futures::FutureExt;
use songrec_core::{Digest, Event, Interrupt, Job, Progress, Remedy};
use songrec_storage::{MemoryBackend, PutMode, StorageBackend, StorageBackendExt};
use songrec_sync::{ErrorKind, MaxDelete, Options, Replica, SyncState, Syncer};
use songrec_testkit::{delete, song, tiny_model};

use super::Two;
use crate::model::{Place as Library, Shaky};

#[tokio::test]
async fn too_many_deletions_stop_everything() {
    let mut two = Two::new();
    for number in 0..30 {
        two.own().put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }
    two.sync().await;
    let gone: Vec<_> = (0..11).map(|number| delete(song(&number.to_string()).id)).collect();
    two.own().songs().delete(&gone).await.unwrap();
    two.own().put_song(&song("new"), PutMode::Create).await.unwrap();

    let error = two.try_sync(&Options::default()).await.0.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Guard);
    assert!(error.hint().unwrap().remedies().any(|remedy| *remedy == Remedy::AllowDeletions(11)));
    assert_eq!(two.shared().songs().count(&songrec_core::Filter::all()).await.unwrap(), 30);
    assert_eq!(two.shared().get_song(song("new").id).await.unwrap(), None);

    let most = Options { max_delete: MaxDelete::Songs(11), ..Options::default() };
    assert_eq!(two.sync_with(&most).await.counts.right.delete, 11);
    two.assert_equal().await;
}

#[tokio::test]
async fn another_library_in_its_place_is_refused_and_deletes_nothing() {
    let mut two = Two::new();
    for number in 0..5 {
        two.own().put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }
    two.sync().await;

    // The disk is not mounted, and somebody made a new library there.
    two.own = Library::new(MemoryBackend::new(), false);
    let error = two.try_sync(&Options::default()).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OtherLibrary);
    assert!(error.hint().unwrap().remedies().any(|remedy| *remedy == Remedy::Adopt));

    let adopt = Options { adopt: true, ..Options::default() };
    assert_eq!(two.sync_with(&adopt).await.counts.left.add, 5);
    assert_eq!(two.shared().songs().count(&songrec_core::Filter::all()).await.unwrap(), 5);
}

#[tokio::test]
async fn a_library_that_was_restored_gets_back_what_it_lost() {
    let mut two = Two::new();
    two.own().put_song(&song("old"), PutMode::Create).await.unwrap();
    two.sync().await;
    let backup = two.own().fork();
    for number in 0..20 {
        two.own().put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }
    two.sync().await;

    two.own = Library::new(backup, false);
    let report = two.sync().await;

    assert_eq!(report.counts.left.restore, 20);
    assert_eq!(report.counts.right.delete, 0);
    two.assert_equal().await;
}

/// Asks for the end when so many songs were written.
#[derive(Debug)]
struct StopsAt {
    songs: u64,
    written: Arc<Library>,
    interrupt: Interrupt,
}

impl Progress for StopsAt {
    fn on(&self, _: Event<'_>) {
        let all = songrec_core::Filter::all();
        let count = self.written.memory.songs().count(&all);
        if count.now_or_never().unwrap().unwrap() >= self.songs {
            self.interrupt.set();
        }
    }
}

#[tokio::test]
async fn whoever_asks_to_stop_is_heard_and_the_next_sync_goes_on() {
    let mut two = Two::new();
    for number in 0..450 {
        two.own().put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }
    let own = Shaky::new(Arc::clone(&two.own), 1, 0.0, Arc::default());
    let shared = Shaky::new(Arc::clone(&two.shared), 2, 0.0, Arc::default());
    let state = two.state.take().unwrap();
    let syncer = Syncer::new(Replica::new("own", own), Replica::new("shared", shared), state);
    let job = Job::silent();
    let written = Arc::clone(&two.shared);
    let stop = StopsAt { songs: 100, written, interrupt: job.interrupt.clone() };
    let syncer = syncer.reporting_to(Job { progress: Arc::new(stop), ..job });

    let options = Options { jobs: 1, ..Options::default() };
    let report = syncer.run(&options).await.unwrap();
    two.state = Some(syncer.into_state());

    assert!(report.interrupted);
    assert!((100..=200).contains(&report.counts.right.add), "{:?}", report.counts);
    let rest = two.sync().await;
    assert_eq!(rest.counts.right.add + report.counts.right.add, 450);
    two.assert_equal().await;
}

#[test]
fn one_process_has_the_state_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let state = SyncState::open(folder.path()).unwrap();

    assert_eq!(SyncState::open(folder.path()).unwrap_err().kind(), ErrorKind::Busy);
    drop(state);
    SyncState::open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_song_that_is_refused_does_not_keep_the_others() {
    let mut two = Two::new();
    let mut odd = song("odd");
    // A model that nobody knows.
    let reference =
        songrec_core::EmbeddingRef { dimension: 3, digest: Digest::of(b"?"), key: None };
    two.own().embeddings().put_model(&tiny_model()).await.unwrap();
    odd.embeddings.insert(tiny_model().name, reference);
    two.own().put_song(&odd, PutMode::Create).await.unwrap();
    two.own().put_song(&song("good"), PutMode::Create).await.unwrap();

    let report = two.sync().await;

    // Its embedding cannot be had, so it goes without, and that is said.
    assert!(report.notes.iter().any(|note| note.song == odd.id), "{report:?}");
    let there = two.shared().get_song(odd.id).await.unwrap().unwrap();
    assert!(there.embeddings.is_empty());
    assert!(two.shared().get_song(song("good").id).await.unwrap().is_some());
}
