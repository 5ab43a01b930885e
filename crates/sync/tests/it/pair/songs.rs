//! What becomes of songs.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;
use songrec_core::{Digest, DocumentKind, Field, Job, OperationId, Revision, Song};
use songrec_storage::{
    BlobSource, ErrorKind as StorageErrorKind, NewBlob, PutMode, StorageBackend, StorageBackendExt,
    VerifyOptions,
};
use songrec_sync::{
    Action, AudioPolicy, Direction, Options, Pair, Replica, Side, Syncer, conflicts,
    resolve_conflict, restore, trash,
};
use songrec_testkit::{audio, delete, dot_model, library_of, new_blob, song, time, tiny_model};

use super::{Two, edit, title};
use crate::model::Shaky;

#[tokio::test]
async fn a_library_goes_to_the_other_side_with_all_its_objects() {
    let mut two = Two::new();
    let fixture = library_of(25, 1).embedded_by(&dot_model(), 2).embedded_by(&tiny_model(), 3);
    let mut songs = fixture.store(two.own()).await.songs;
    let bytes = audio(100_000, 4);
    let stream = futures::stream::iter([Ok(bytes.clone())]).boxed();
    let blob = two.own().blobs().put(&new_blob(&bytes), BlobSource::Stream(stream)).await.unwrap();
    let before = songs[3].clone();
    songs[3].blob = Some(blob);
    songs[3].revise(&before, time(1));
    two.own().put_song(&songs[3], PutMode::Replace(before.revision.operation)).await.unwrap();

    let report = two.sync().await;

    assert_eq!(report.counts.right.add, 25);
    two.assert_equal().await;
    let findings =
        two.shared().maintenance().verify(&VerifyOptions::default(), &Job::silent()).await.unwrap();
    assert_eq!(findings, []);

    // And from there to another machine.
    let mut other = two.another();
    assert_eq!(other.sync().await.counts.left.add, 25);
    other.assert_equal().await;
    assert!(other.sync().await.is_empty());
    assert!(two.sync().await.is_empty());
}

#[tokio::test]
async fn two_who_edit_different_fields_get_both() {
    let mut one = Two::new();
    let song = song("x");
    one.own().put_song(&song, PutMode::Create).await.unwrap();
    one.sync().await;
    let mut two = one.another();
    two.sync().await;
    edit(one.own(), song.id, "title", "T", 1).await;
    edit(two.own(), song.id, "artist", "A", 2).await;

    one.sync().await;
    let report = two.sync().await;
    one.sync().await;

    assert_eq!(
        report.songs[0].actions,
        Pair { left: Some(Action::Merge), right: Some(Action::Merge) }
    );
    for library in [one.own(), two.own(), one.shared()] {
        let song = library.get_song(song.id).await.unwrap().unwrap();
        assert_eq!(song.edits.iter().count(), 2);
        assert_eq!(song.conflicts, []);
    }
}

#[tokio::test]
async fn of_two_values_the_later_is_shown_and_the_other_kept_until_decided() {
    let mut one = Two::new();
    let id = song("x").id;
    one.own().put_song(&song("x"), PutMode::Create).await.unwrap();
    one.sync().await;
    let mut two = one.another();
    two.sync().await;
    edit(one.own(), id, "title", "early", 1).await;
    edit(two.own(), id, "title", "late", 2).await;

    one.sync().await;
    let report = two.sync().await;
    one.sync().await;

    let merged = &report.songs[0].merged[0];
    assert_eq!((merged.field.as_str(), &merged.value), ("edits.title", &Some(json!("late"))));
    assert_eq!(
        (merged.from, &merged.other, merged.kept),
        (Some(Side::Left), &Some(json!("early")), true)
    );
    assert_eq!(report.conflicts, 1);
    let found = conflicts(one.own()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0].conflicts[0].shown, &found[0].conflicts[0].other),
        (&Some(json!("late")), &json!("early"))
    );

    let field = Field::Title;
    resolve_conflict(one.own(), id, &field, Some(&json!("early")), time(3)).await.unwrap();
    one.sync().await;
    two.sync().await;

    for library in [one.own(), two.own()] {
        let song = library.get_song(id).await.unwrap().unwrap();
        assert_eq!(title(&song), Some("early"));
        assert_eq!(song.conflicts, []);
    }
    let again = resolve_conflict(one.own(), id, &field, None, time(4)).await.unwrap_err();
    assert_eq!(again.kind(), StorageErrorKind::NotFound);
}

#[tokio::test]
async fn a_deletion_goes_everywhere_and_an_unseen_edit_overrules_it() {
    let mut one = Two::new();
    let (gone, kept) = (song("gone"), song("kept"));
    for song in [&gone, &kept] {
        one.own().put_song(song, PutMode::Create).await.unwrap();
    }
    one.sync().await;
    let mut two = one.another();
    two.sync().await;
    one.own().songs().delete(&[delete(gone.id), delete(kept.id)]).await.unwrap();
    edit(two.own(), kept.id, "title", "mine", 1).await;

    one.sync().await;
    let report = two.sync().await;
    one.sync().await;

    for library in [one.own(), two.own(), one.shared()] {
        assert_eq!(library.get_song(gone.id).await.unwrap(), None);
        let song = library.get_song(kept.id).await.unwrap().unwrap();
        assert_eq!(title(&song), Some("mine"));
    }
    let work = report.songs.iter().find(|work| work.song == kept.id).unwrap();
    assert!(work.note.as_ref().unwrap().contains("edited"), "{work:?}");
}

#[tokio::test]
async fn a_restored_song_is_back_everywhere() {
    let mut one = Two::new();
    let song = song("x");
    one.own().put_song(&song, PutMode::Create).await.unwrap();
    one.sync().await;
    let mut two = one.another();
    two.sync().await;
    one.own().songs().delete(&[delete(song.id)]).await.unwrap();
    one.sync().await;
    two.sync().await;

    let trashed = trash(two.own()).await.unwrap();
    assert_eq!(trashed.iter().map(|one| one.song).collect::<Vec<_>>(), [song.id]);
    assert_eq!(restore(two.own(), &[song.id], time(5)).await.unwrap(), [song.id]);
    two.sync().await;
    one.sync().await;

    for library in [one.own(), two.own(), one.shared()] {
        assert!(library.get_song(song.id).await.unwrap().is_some());
    }
    assert!(one.sync().await.is_empty());
}

#[tokio::test]
async fn a_song_added_again_after_its_deletion_lives() {
    let mut one = Two::new();
    let first = song("x");
    one.own().put_song(&first, PutMode::Create).await.unwrap();
    one.sync().await;
    one.own().songs().delete(&[delete(first.id)]).await.unwrap();
    one.sync().await;
    let again = Song::new(first.audio_hash, first.audio.clone(), time(9));
    one.own().put_song(&again, PutMode::Create).await.unwrap();

    one.sync().await;
    let mut two = one.another();
    two.sync().await;

    assert!(two.own().get_song(first.id).await.unwrap().is_some());
    assert!(one.own().get_song(first.id).await.unwrap().is_some());
}

#[tokio::test]
async fn one_direction_leaves_the_other_side_alone_and_is_made_up_for_later() {
    let mut two = Two::new();
    two.own().put_song(&song("mine"), PutMode::Create).await.unwrap();
    two.shared().put_song(&song("theirs"), PutMode::Create).await.unwrap();
    let push = Options { direction: Direction::Push, ..Options::default() };

    let report = two.sync_with(&push).await;
    assert_eq!(report.waiting, 1);
    assert_eq!(two.own().get_song(song("theirs").id).await.unwrap(), None);
    assert!(two.shared().get_song(song("mine").id).await.unwrap().is_some());

    two.sync().await;
    assert!(two.own().get_song(song("theirs").id).await.unwrap().is_some());
    two.assert_equal().await;
}

#[tokio::test]
async fn references_alone_carry_no_audio_until_it_is_wanted() {
    let mut two = Two::new();
    let mut one = song("x");
    let bytes = audio(5_000, 1);
    let stream = futures::stream::iter([Ok(bytes.clone())]).boxed();
    let blob = NewBlob {
        sha256: Digest::of(&bytes),
        size: bytes.len() as u64,
        operation: OperationId::random(),
    };
    one.blob = Some(two.own().blobs().put(&blob, BlobSource::Stream(stream)).await.unwrap());
    two.own().put_song(&one, PutMode::Create).await.unwrap();

    two.sync_with(&Options { audio: AudioPolicy::None, ..Options::default() }).await;
    let there = two.shared().get_song(one.id).await.unwrap().unwrap();
    assert_eq!(there.blob, None);

    two.sync_with(&Options { full: true, ..Options::default() }).await;
    let there = two.shared().get_song(one.id).await.unwrap().unwrap();
    assert_eq!(there.blob.unwrap().sha256, blob.sha256);
    two.assert_equal().await;
}

#[tokio::test]
async fn equal_songs_of_a_first_sync_are_taken_as_they_are() {
    let mut two = Two::new();
    let mine = song("x");
    let mut theirs = song("x");
    theirs.revision = Revision::first();
    theirs.added_at = time(50);
    two.own().put_song(&mine, PutMode::Create).await.unwrap();
    two.shared().put_song(&theirs, PutMode::Create).await.unwrap();

    let report = two.sync().await;

    assert!(report.songs.is_empty(), "{report:?}");
    assert_eq!(two.own().get_song(mine.id).await.unwrap(), Some(mine.clone()));
    // And a later edit finds the version that it replaces.
    edit(two.own(), mine.id, "title", "new", 1).await;
    assert_eq!(two.sync().await.counts.right.update, 1);
    two.assert_equal().await;
}

#[tokio::test]
async fn a_first_sync_deletes_what_the_deleter_had_seen_and_no_more() {
    let mut two = Two::new();
    let theirs = Song::new(song("theirs").audio_hash, song("theirs").audio, time(3));
    two.shared().put_song(&theirs, PutMode::Create).await.unwrap();
    two.own().put_song(&song("theirs"), PutMode::Create).await.unwrap();
    for library in [two.own(), two.shared()] {
        library.put_song(&song("both"), PutMode::Create).await.unwrap();
    }
    let (both, theirs) = (song("both").id, theirs.id);
    two.own().songs().delete(&[delete(both), delete(theirs)]).await.unwrap();

    two.sync().await;

    assert_eq!(two.shared().get_song(both).await.unwrap(), None);
    assert!(two.own().get_song(theirs).await.unwrap().is_some());
}

#[tokio::test]
async fn a_plan_says_what_a_sync_then_does_and_writes_nothing() {
    let mut two = Two::new();
    let fixture = library_of(12, 1).embedded_by(&tiny_model(), 2);
    fixture.store(two.own()).await;
    let own = Shaky::new(Arc::clone(&two.own), 1, 0.0, Arc::default());
    let shared = Shaky::new(Arc::clone(&two.shared), 2, 0.0, Arc::default());
    let syncer = Syncer::new(
        Replica::new("own", own),
        Replica::new("shared", shared),
        two.state.take().unwrap(),
    );

    let plan = syncer.plan(&Options::default()).await.unwrap();

    assert_eq!(plan.counts.right.add, 12);
    assert_eq!(plan.bytes.right, 12 * 4 * tiny_model().dimension as u64);
    assert_eq!(two.shared().songs().count(&songrec_core::Filter::all()).await.unwrap(), 0);
    assert_eq!(two.shared().documents().list(&DocumentKind::ALL, None).await.unwrap().items, []);
    two.state = Some(syncer.into_state());
    assert_eq!(two.sync().await.counts, plan.counts);
}

#[tokio::test]
async fn a_deletion_brings_what_was_said_before_it() {
    let mut one = Two::new();
    let mut other = one.another();
    let song = song("x");
    one.own().put_song(&song, PutMode::Create).await.unwrap();
    one.sync().await;
    other.sync().await;
    edit(other.own(), song.id, "title", "said", 1).await;
    assert!(other.own().songs().delete(&[delete(song.id)]).await.unwrap()[0].is_done());

    other.sync().await;
    one.sync().await;

    restore(one.own(), &[song.id], time(20)).await.unwrap();
    let back = one.own().get_song(song.id).await.unwrap().unwrap();
    assert_eq!(title(&back), Some("said"));
}

#[tokio::test]
async fn a_deletion_that_waited_for_the_other_direction_is_still_known() {
    let mut two = Two::new();
    let song = song("x");
    two.own().put_song(&song, PutMode::Create).await.unwrap();
    two.sync().await;
    assert!(two.own().songs().delete(&[delete(song.id)]).await.unwrap()[0].is_done());

    let pull = Options { direction: Direction::Pull, ..Options::default() };
    assert_eq!(two.sync_with(&pull).await.waiting, 1);
    two.sync().await;

    assert_eq!(two.own().get_song(song.id).await.unwrap(), None);
    assert_eq!(two.shared().get_song(song.id).await.unwrap(), None);
}
