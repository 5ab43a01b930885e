//! What becomes of playlists.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::FutureExt;
use serde_json::json;
use songrec_core::{Document, DocumentKind};
use songrec_storage::{MemoryBackend, PutDocument, PutMode, StorageBackend, StorageBackendExt};
use songrec_sync::{Options, Replica, SyncState, Syncer};
use songrec_testkit::{song, time};

use super::Two;
use crate::model::{Place as Library, Shaky};

pub(super) async fn put_list(library: &MemoryBackend, body: &str, at: u64) {
    let ids = ["list".to_owned()];
    let before = library.documents().get(DocumentKind::Playlist, &ids).await.unwrap().remove(0);
    let (document, mode) = match before {
        Some(before) => {
            (before.saying(json!(body), time(at)), PutMode::Replace(before.revision.operation))
        }
        None => {
            let document = Document::new(DocumentKind::Playlist, "list", json!(body), time(at));
            (document, PutMode::Create)
        }
    };
    let outcomes = library.documents().put(&[PutDocument { document, mode }]).await.unwrap();
    assert!(outcomes[0].is_done());
}

pub(super) async fn lists(library: &MemoryBackend) -> Vec<String> {
    let page = library.documents().list(&[DocumentKind::Playlist], None).await.unwrap();
    page.items.iter().map(|one| one.body.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn wherever_a_sync_dies_a_playlist_stays_where_it_can_be_seen() {
    for dies_at in 0..40 {
        let two = Two::new();
        put_list(two.own(), "ours", 1).await;
        put_list(two.shared(), "theirs", 2).await;
        let dies = Arc::new(Mutex::new(Some(dies_at)));
        let own = Shaky::new(Arc::clone(&two.own), 1, 0.0, Arc::clone(&dies));
        let shared = Shaky::new(Arc::clone(&two.shared), 2, 0.0, dies);
        let state = SyncState::in_memory().unwrap();
        let syncer = Syncer::new(Replica::new("own", own), Replica::new("shared", shared), state);

        let done = syncer.run(&Options::default()).now_or_never();

        let (here, there) = (lists(two.own()).await, lists(two.shared()).await);
        assert!(here.contains(&"ours".into()), "{dies_at}: {here:?}");
        assert!(there.contains(&"theirs".into()), "{dies_at}: {there:?}");
        if let Some(done) = done {
            assert!(done.unwrap().is_complete());
            assert_eq!((here.len(), there.len()), (2, 2), "{dies_at}");
            assert!(dies_at > 5, "it never died");
            return;
        }
    }
    panic!("it dies always");
}

#[tokio::test]
async fn a_copy_of_a_machine_takes_the_playlist_that_others_changed() {
    let mut one = Two::new();
    put_list(one.own(), "old", 50).await;
    one.sync().await;
    let mut copy = Two {
        own: Library::new(one.own().fork(), false),
        shared: Arc::clone(&one.shared),
        state: one.state.as_ref().map(|state| state.fork().unwrap()),
        calls: BTreeMap::new(),
    };
    // By a clock that is behind.
    let mut other = one.another();
    other.sync().await;
    put_list(other.own(), "new", 10).await;
    other.sync().await;
    // From here on the two go by one name.
    one.own().put_song(&song("x"), PutMode::Create).await.unwrap();
    one.sync().await;

    let report = copy.sync().await;

    assert!(report.full, "{report:?}");
    assert_eq!(lists(copy.own()).await, ["new"]);
    assert_eq!(lists(copy.shared()).await, ["new"]);
}

#[tokio::test]
async fn a_playlist_survives_that_the_shared_library_goes_back() {
    let mut one = Two::new();
    put_list(one.own(), "old", 1).await;
    one.sync().await;
    let backup = one.shared().fork();
    put_list(one.own(), "new", 2).await;
    one.sync().await;

    let mut shared = Arc::into_inner(Library::new(backup, true)).unwrap();
    shared.page = usize::MAX;
    one.shared = Arc::new(shared);
    one.own().put_song(&song("x"), PutMode::Create).await.unwrap();
    one.sync().await;

    for library in [one.own(), one.shared()] {
        let lists = lists(library).await;
        assert_eq!(lists.first().map(String::as_str), Some("new"), "{lists:?}");
    }
}

#[tokio::test]
async fn a_playlist_that_two_made_alike_is_one() {
    let kind = DocumentKind::Playlist;
    let mut one = Two::new();
    let mut other = one.another();
    for (moment, library) in [(1, one.own()), (2, other.own())] {
        let document = Document::new(kind, "list", json!({"name": "same"}), time(moment));
        let put = PutDocument { document, mode: PutMode::Create };
        assert!(library.documents().put(&[put]).await.unwrap()[0].is_done());
    }
    one.sync().await;
    other.sync().await;
    one.sync().await;

    // Whoever writes it now has seen both.
    let stored = one.own().documents().get(kind, &["list".to_owned()]).await.unwrap();
    let stored = stored.into_iter().flatten().next().unwrap();
    let document = stored.saying(json!({"name": "new"}), time(3));
    let put = PutDocument { document, mode: PutMode::Replace(stored.revision.operation) };
    assert!(one.own().documents().put(&[put]).await.unwrap()[0].is_done());
    one.sync().await;
    other.sync().await;

    for library in [one.own(), other.own(), one.shared()] {
        let all = library.documents().list(&[kind], None).await.unwrap().items;
        let bodies: Vec<_> = all.into_iter().map(|document| document.body).collect();
        assert_eq!(bodies, [json!({"name": "new"})]);
    }
}
