//! Writers that meet.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures::FutureExt;
use songrec_core::Song;
use songrec_storage::{ChangeState, Outcome, PutMode, StorageBackend, StorageBackendExt};

use super::change::all_changes;
use crate::{delete, fixture::Leaving, in_parallel, purge, put, retagged, song};

// One round lets a broken lock pass most of the time; ten do not.
const ROUNDS: usize = 10;
const WRITERS: usize = 6;

// Checks that exactly one writer won, that what it wrote is stored, and that
// every loser was told so.
async fn one_won(backend: &dyn StorageBackend, versions: &[Song], outcomes: &[Outcome<Song>]) {
    let winners: Vec<&Song> = versions
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| outcome.is_done())
        .map(|(version, _)| version)
        .collect();
    assert_eq!(winners.len(), 1, "{} of {} won", winners.len(), versions.len());
    let stored = backend.get_song(winners[0].id).await.unwrap();
    assert_eq!(stored.as_ref(), Some(winners[0]), "the winner is not what is stored");
    let lost = Outcome::Conflict(Some(Box::new(winners[0].clone())));
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_done()) {
        assert_eq!(*outcome, lost, "a loser was not told who won");
    }
}

async fn put_one(backend: &dyn StorageBackend, song: &Song, mode: PutMode) -> Outcome<Song> {
    backend.songs().put(&[put(song, mode)]).await.unwrap().pop().unwrap()
}

/// Of racing creates exactly one wins.
pub async fn of_racing_creates_one_wins(backend: &dyn StorageBackend) {
    for round in 0..ROUNDS {
        let base = song(&format!("round {round}"));
        let versions: Vec<Song> = (0..WRITERS).map(|_| retagged(&base)).collect();

        let outcomes = in_parallel(WRITERS, |writer| {
            put_one(backend, &versions[writer], PutMode::Create).boxed()
        });

        one_won(backend, &versions, &outcomes).await;
    }
}

/// Of racing replacements of one version exactly one wins.
pub async fn of_racing_replacements_one_wins(backend: &dyn StorageBackend) {
    let mut current = song("one");
    backend.put_song(&current, PutMode::Create).await.unwrap();
    for _ in 0..ROUNDS {
        let versions: Vec<Song> = (0..WRITERS).map(|_| retagged(&current)).collect();
        let mode = PutMode::Replace(current.revision.operation);

        let outcomes =
            in_parallel(WRITERS, |writer| put_one(backend, &versions[writer], mode).boxed());

        one_won(backend, &versions, &outcomes).await;
        current = backend.get_song(current.id).await.unwrap().unwrap();
    }
}

/// A song that comes back while its tombstone is purged is there, and so is
/// the tombstone of whoever deletes it again.
pub async fn what_comes_back_survives_a_purge(backend: &dyn StorageBackend) {
    for round in 0..ROUNDS {
        let (stays, goes) = (song(&format!("stays {round}")), song(&format!("goes {round}")));
        let deletions = [delete(stays.id), delete(goes.id)];
        for song in [&stays, &goes] {
            backend.put_song(song, PutMode::Create).await.unwrap();
        }
        backend.songs().delete(&deletions).await.unwrap();
        let back = [retagged(&stays), retagged(&goes)];
        let again = delete(goes.id);

        in_parallel(WRITERS, |writer| {
            let (again, back, deletions) = (&again, &back, &deletions);
            async move {
                match writer {
                    0 => backend.put_song(&back[0], PutMode::Create).await.unwrap(),
                    1 => {
                        backend.put_song(&back[1], PutMode::Create).await.unwrap();
                        backend.songs().delete(std::slice::from_ref(again)).await.unwrap();
                    }
                    _ => backend.songs().purge(&deletions.each_ref().map(purge)).await.unwrap(),
                }
            }
            .boxed()
        });

        assert_eq!(backend.get_song(stays.id).await.unwrap().as_ref(), Some(&back[0]));
        let told = all_changes(backend, 100).await;
        let last = told.iter().find(|change| change.song == goes.id);
        let Some(ChangeState::Deleted(tombstone)) = last.map(|change| &change.state) else {
            panic!("the second deletion was forgotten: {last:?}");
        };
        assert_eq!(tombstone.revision.operation, again.operation);
    }
}

/// The same write sent several times at once, as after a lost reply, is done
/// once and never a conflict with itself.
pub async fn a_write_does_not_race_itself(backend: &dyn StorageBackend) {
    for round in 0..ROUNDS {
        let one = song(&format!("round {round}"));

        let outcomes = in_parallel(WRITERS, |_| put_one(backend, &one, PutMode::Create).boxed());

        assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
        assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one));
    }
}

/// Of an edit and a deletion of the same version exactly one wins.
pub async fn of_an_edit_and_a_deletion_one_wins(backend: &dyn StorageBackend) {
    for round in 0..ROUNDS {
        let one = song(&format!("round {round}"));
        backend.put_song(&one, PutMode::Create).await.unwrap();
        let edited = retagged(&one);
        let mut deletion = delete(one.id);
        deletion.version = Some(one.revision.operation);

        let outcomes = in_parallel(2, |writer| {
            let (edited, deletion) = (&edited, &deletion);
            let mode = PutMode::Replace(one.revision.operation);
            async move {
                if writer == 0 {
                    return put_one(backend, edited, mode).await;
                }
                let deletion = std::slice::from_ref(deletion);
                backend.songs().delete(deletion).await.unwrap().pop().unwrap()
            }
            .boxed()
        });

        let stored = backend.get_song(one.id).await.unwrap();
        match (outcomes[0].is_done(), outcomes[1].is_done()) {
            (true, false) => {
                assert_eq!(outcomes[1], Outcome::Conflict(Some(Box::new(edited.clone()))));
                assert_eq!(stored, Some(edited));
            }
            (false, true) => {
                assert_eq!(outcomes[0], Outcome::Conflict(None));
                assert_eq!(stored, None);
            }
            both => panic!("edit and deletion: {both:?}"),
        }
    }
}

/// Whoever reads while others write sees one version or another, never none
/// and never parts of two.
pub async fn a_reader_sees_whole_versions(backend: &dyn StorageBackend) {
    let first = song("one");
    let mut versions = vec![first.clone()];
    for _ in 0..15 {
        versions.push(retagged(versions.last().unwrap()));
    }
    backend.put_song(&first, PutMode::Create).await.unwrap();
    let writers = AtomicUsize::new(1);

    in_parallel(3, |who| {
        let (versions, writers) = (&versions, &writers);
        async move {
            if who == 0 {
                let _leaving = Leaving(writers);
                for pair in versions.windows(2) {
                    let mode = PutMode::Replace(pair[0].revision.operation);
                    assert_eq!(put_one(backend, &pair[1], mode).await, Outcome::Done);
                }
                return;
            }
            while writers.load(SeqCst) > 0 {
                let seen = backend.get_song(versions[0].id).await.unwrap();
                let seen = seen.expect("a song was gone while it was replaced");
                let number = (seen.revision.number - versions[0].revision.number) as usize;
                assert_eq!(seen, versions[number]);
            }
        }
        .boxed()
    });
}
