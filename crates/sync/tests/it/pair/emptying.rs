//! Deleted songs that are forgotten for good, where nobody else has to hear of them.

use std::sync::{Arc, Mutex};

use serde_json::json;
use songrec_core::{Document, DocumentKind, SongId};
use songrec_storage::{
    Change, ChangeState, DeleteSong, MemoryBackend, PutDocument, PutMode, StorageBackend,
    StorageBackendExt,
};
use songrec_sync::{Emptied, empty_trash, restore, trash};
use songrec_testkit::{delete, library_of, song, time};

use super::Two;
use crate::model::{Place, Shaky};

/// Stores and deletes so many songs; the one with the number `n` is deleted at `time(n)`.
async fn deleted(library: &MemoryBackend, count: usize) -> Vec<SongId> {
    let songs = library_of(count, 7).store(library).await.songs;
    let deletes: Vec<DeleteSong> =
        (0..).zip(&songs).map(|(n, song)| DeleteSong { at: time(n), ..delete(song.id) }).collect();
    library.songs().delete(&deletes).await.unwrap();
    songs.into_iter().map(|song| song.id).collect()
}

async fn left(library: &MemoryBackend) -> Vec<SongId> {
    let mut left: Vec<SongId> =
        trash(library).await.unwrap().into_iter().map(|one| one.song).collect();
    left.sort();
    left
}

fn sorted(ids: &[SongId]) -> Vec<SongId> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_library_that_met_nobody_forgets_what_is_old_enough() {
    let library = MemoryBackend::new();
    let kept = song("kept");
    library.put_song(&kept, PutMode::Create).await.unwrap();
    // More than one request forgets.
    let ids = deleted(&library, 250).await;
    let wanted = Emptied { emptied: 231, waiting: 0, younger: 19 };

    let counted = empty_trash(&library, time(230), true).await.unwrap();
    let after_counting = left(&library).await;
    let emptied = empty_trash(&library, time(230), false).await.unwrap();

    assert_eq!((counted, emptied), (wanted, wanted), "one of `until` itself is old enough");
    assert_eq!(after_counting, sorted(&ids), "what is only counted stays");
    assert_eq!(left(&library).await, sorted(&ids[231..]));
    assert_eq!(library.get_song(kept.id).await.unwrap(), Some(kept));
    assert_eq!(restore(&library, &ids[..1], time(999)).await.unwrap(), []);
    let page = library.maintenance().changes(None, 1_000).await.unwrap();
    let is_deletion = |change: &&Change| matches!(change.state, ChangeState::Deleted(_));
    let deletions = page.changes.iter().filter(is_deletion).count();
    assert_eq!(deletions, 19, "who lists the changes hears of the others no more");
    let again = empty_trash(&library, time(230), false).await.unwrap();
    assert_eq!(again, Emptied { younger: 19, ..Emptied::default() });
}

#[tokio::test]
async fn who_ever_met_another_library_forgets_nothing() {
    let mut two = Two::new();
    deleted(two.own(), 3).await;
    let common = song("common");
    two.own().put_song(&common, PutMode::Create).await.unwrap();
    two.sync().await;
    two.own().songs().delete(&[delete(common.id)]).await.unwrap();
    // What only the other library has; its state of the sync tells it nothing.
    let there = song("there");
    two.shared().put_song(&there, PutMode::Create).await.unwrap();
    two.shared().songs().delete(&[delete(there.id)]).await.unwrap();

    for (library, name) in [(two.own(), "own"), (two.shared(), "shared")] {
        let before = left(library).await;
        for dry_run in [true, false] {
            let done = empty_trash(library, time(100), dry_run).await.unwrap();
            let waiting = before.len() as u64;
            assert_eq!(done, Emptied { waiting, ..Emptied::default() }, "{name}");
        }
        assert_eq!(left(library).await, before, "{name}");
    }

    assert!(left(two.own()).await.contains(&common.id));
    two.sync().await;
    assert_eq!(two.shared().get_song(common.id).await.unwrap(), None, "so it does not come back");
}

#[tokio::test]
async fn a_machine_that_was_seen_once_is_somebody_to_wait_for() {
    let library = MemoryBackend::new();
    let ids = deleted(&library, 2).await;
    let machine = Document::new(DocumentKind::Machine, "desk", json!({}), time(1));
    let put = PutDocument { document: machine, mode: PutMode::Create };
    assert!(library.documents().put(&[put]).await.unwrap()[0].is_done());

    let done = empty_trash(&library, time(100), false).await.unwrap();

    assert_eq!(done, Emptied { waiting: 2, ..Emptied::default() });
    assert_eq!(left(&library).await, sorted(&ids));
}

#[tokio::test]
async fn it_is_looked_up_before_each_batch_and_a_call_that_failed_goes_on() {
    let place = Place::new(MemoryBackend::new(), false);
    let ids = deleted(&place.memory, 250).await;
    let shaky = |share| Shaky::new(Arc::clone(&place), 3, share, Arc::new(Mutex::new(None)));

    let counting = shaky(0.0);
    empty_trash(&*counting, time(1_000), true).await.unwrap();
    let asked = counting.calls.lock().unwrap().get("documents.get").copied();

    assert_eq!(asked, Some(3), "once for each hundred");
    assert_eq!(left(&place.memory).await, sorted(&ids));
    let failing = shaky(0.2);
    let mut failed = 0;
    while empty_trash(&*failing, time(1_000), false).await.is_err() {
        failed += 1;
    }
    assert!(failed > 0, "it is to fail sometimes");
    assert_eq!(left(&place.memory).await, []);
}
