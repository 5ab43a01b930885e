//! What changed since somebody looked.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures::FutureExt;
use songrec_core::{Document, DocumentKind, Revision, SongId};
use songrec_storage::{
    Change, ChangeHead, ChangeState, Cursor, DeleteSong, ErrorKind, Origin, PutDocument, PutMode,
    PutSong, SongHead, StorageBackend, StorageBackendExt,
};

use crate::{
    delete, fixture::Leaving, in_parallel, library_of, put, retagged, song, time, tiny_model,
};

use super::refusal::assert_refused;

// Every change since a cursor, and the cursor after the last.
async fn since(
    backend: &dyn StorageBackend,
    mut cursor: Option<Cursor>,
    limit: usize,
) -> (Vec<Change>, Cursor) {
    let mut changes = Vec::new();
    let mut promised = false;
    loop {
        assert!(changes.len() < 100_000, "the same changes again and again");
        let page = backend.maintenance().changes(cursor.as_ref(), limit).await.unwrap();
        assert!(page.changes.len() <= limit.max(1), "more than {limit} changes");
        assert!(
            !(promised || page.more) || !page.changes.is_empty(),
            "more was promised, and nothing given"
        );
        promised = page.more;
        changes.extend(page.changes);
        if !page.more {
            return (changes, page.cursor);
        }
        cursor = Some(page.cursor);
    }
}

/// Every change from the beginning.
pub(super) async fn all_changes(backend: &dyn StorageBackend, limit: usize) -> Vec<Change> {
    since(backend, None, limit).await.0
}

// The last state that was told of each song.
fn last_states(changes: Vec<Change>) -> BTreeMap<SongId, ChangeState> {
    changes.into_iter().map(|change| (change.song, change.state)).collect()
}

/// Without a cursor everything is told, songs and tombstones, in pages of any
/// size.
pub async fn changes_tell_everything_from_the_beginning(backend: &dyn StorageBackend) {
    assert_eq!(all_changes(backend, 10).await, []);
    let songs: Vec<_> = (0..7).map(|number| song(&number.to_string())).collect();
    for song in &songs {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    backend.songs().delete(&[delete(songs[2].id), delete(songs[5].id)]).await.unwrap();

    for limit in [1, 2, 3, 7, 100] {
        let states = last_states(all_changes(backend, limit).await);

        assert_eq!(states.len(), 7, "in pages of {limit}");
        for (number, song) in songs.iter().enumerate() {
            match &states[&song.id] {
                ChangeState::Present(stored) => assert_eq!(**stored, *song),
                ChangeState::Deleted(tombstone) => {
                    assert!(number == 2 || number == 5);
                    assert_eq!(tombstone.song, *song);
                }
            }
        }
    }
}

/// Summaries tell of the same songs as changes, and their cursors go on for
/// both.
pub async fn heads_say_what_changes_say(backend: &dyn StorageBackend) {
    let summary_of = |change: Change| match change.state {
        ChangeState::Present(song) => ChangeHead::Song(SongHead::of(&song)),
        deleted @ ChangeState::Deleted(_) => ChangeHead::Whole(deleted),
    };
    let songs = library_of(30, 5).embedded_by(&tiny_model(), 6).store(backend).await.songs;
    for number in 0..10 {
        backend.put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }
    backend.songs().delete(&[delete(songs[2].id), delete(song("5").id)]).await.unwrap();

    for limit in [1, 7, 100] {
        let (mut told, mut cursor) = (BTreeMap::new(), None);
        loop {
            let page = backend.maintenance().heads(cursor.as_ref(), limit).await.unwrap();
            assert!(page.changes.len() <= limit);
            told.extend(page.changes.into_iter().map(|change| (change.song, change.state)));
            cursor = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        let changes = all_changes(backend, limit).await.into_iter();
        let expected: BTreeMap<_, _> =
            changes.map(|change| (change.song, summary_of(change))).collect();
        assert_eq!(told, expected, "in pages of {limit}");
        assert_eq!(since(backend, cursor, limit).await.0, []);
    }
}

/// At least one change, if there are any, even for a limit of none: a reader
/// always gets on.
pub async fn changes_always_get_on(backend: &dyn StorageBackend) {
    for number in 0..3 {
        backend.put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }

    assert_eq!(last_states(all_changes(backend, 0).await).len(), 3);
    assert_eq!(last_states(all_changes(backend, usize::MAX).await).len(), 3);
}

/// After the last change the cursor waits for later ones: nothing is told when
/// nothing happened, and everything that did.
pub async fn a_cursor_tells_what_came_after_it(backend: &dyn StorageBackend) {
    let [one, two, three] = ["one", "two", "three"].map(song);
    let (_, cursor) = since(backend, None, 10).await;
    backend.put_song(&one, PutMode::Create).await.unwrap();
    backend.put_song(&two, PutMode::Create).await.unwrap();

    let (first, cursor) = since(backend, Some(cursor), 10).await;
    assert_eq!(last_states(first).len(), 2);
    // Nothing happened. Another call may move the cursor, but not lose it.
    let (nothing, cursor) = since(backend, Some(cursor), 10).await;
    assert_eq!(nothing, []);

    let edited = retagged(&one);
    backend.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    backend.put_song(&three, PutMode::Create).await.unwrap();
    backend.songs().delete(&[delete(two.id)]).await.unwrap();
    for limit in [10, 1] {
        let (later, _) = since(backend, Some(cursor.clone()), limit).await;
        let states = last_states(later);

        assert_eq!(states.len(), 3);
        assert_eq!(states[&one.id], ChangeState::Present(Box::new(edited.clone())));
        assert_eq!(states[&three.id], ChangeState::Present(Box::new(three.clone())));
        assert!(matches!(&states[&two.id], ChangeState::Deleted(_)));
    }
}

/// A page can be read again, as after a crash of the reader, and tells at
/// least the same songs.
pub async fn a_cursor_can_be_used_again(backend: &dyn StorageBackend) {
    for number in 0..6 {
        backend.put_song(&song(&number.to_string()), PutMode::Create).await.unwrap();
    }
    let first = backend.maintenance().changes(None, 2).await.unwrap();

    let once = backend.maintenance().changes(Some(&first.cursor), 2).await.unwrap();
    let again = backend.maintenance().changes(Some(&first.cursor), 2).await.unwrap();

    assert_eq!(once, again);
}

/// While a reader turns pages, songs may change, go and come: in the end it
/// knows every song as it became.
pub async fn a_song_that_changes_meanwhile_is_told_as_it_became(backend: &dyn StorageBackend) {
    let mut songs: Vec<_> = (0..8).map(|number| song(&number.to_string())).collect();
    for song in &songs {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let mut told = Vec::new();
    let mut cursor = None;
    for number in 0..songs.len() {
        let page = backend.maintenance().changes(cursor.as_ref(), 2).await.unwrap();
        told.extend(page.changes);
        cursor = Some(page.cursor);
        // One that was told perhaps, and one that was not.
        for at in [number, songs.len() - 1 - number] {
            let edited = retagged(&songs[at]);
            let mode = PutMode::Replace(songs[at].revision.operation);
            backend.put_song(&edited, mode).await.unwrap();
            songs[at] = edited;
        }
    }
    backend.songs().delete(&[delete(songs[3].id)]).await.unwrap();

    told.extend(since(backend, cursor, 2).await.0);

    let states = last_states(told);
    for (number, song) in songs.iter().enumerate() {
        match &states[&song.id] {
            ChangeState::Present(told) => assert_eq!(**told, *song),
            ChangeState::Deleted(tombstone) => assert_eq!((number, &tombstone.song), (3, song)),
        }
    }
}

/// A cursor survives being written down and read again.
pub async fn a_cursor_is_text(backend: &dyn StorageBackend) {
    backend.put_song(&song("one"), PutMode::Create).await.unwrap();
    let (_, cursor) = since(backend, None, 10).await;
    backend.put_song(&song("two"), PutMode::Create).await.unwrap();

    let text = serde_json::to_string(&cursor).unwrap();
    let (later, _) = since(backend, Some(serde_json::from_str(&text).unwrap()), 10).await;

    assert_eq!(last_states(later).into_keys().collect::<Vec<_>>(), [song("two").id]);
}

/// Writes that changed nothing are no changes.
pub async fn what_changed_nothing_is_no_change(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let (_, cursor) = since(backend, None, 10).await;

    backend.put_song(&one, PutMode::Create).await.unwrap();
    backend.songs().put(&[put(&retagged(&one), PutMode::Create)]).await.unwrap();
    backend.songs().delete(&[delete(song("missing").id)]).await.unwrap();

    let (nothing, _) = since(backend, Some(cursor), 10).await;
    assert_eq!(nothing, []);
}

/// A cursor that belongs to no history of this library is lost.
pub async fn nonsense_is_a_lost_cursor(backend: &dyn StorageBackend) {
    backend.put_song(&song("one"), PutMode::Create).await.unwrap();

    for text in ["", "nonsense", "-1", "99999999999999999999999", "{\"a\":1}", "\u{0}", "null"] {
        assert_refused(
            backend.maintenance().changes(Some(&Cursor(text.into())), 10).await,
            ErrorKind::CursorLost,
            format_args!("`{text}`"),
        );
    }
}

/// Where writers are numbered, a change says who wrote it, as the writer said.
pub async fn changes_say_who_wrote(backend: &dyn StorageBackend) {
    let (one, two) = (song("one"), song("two"));
    let origin = |sequence| Some(Origin { machine: "studio".into(), sequence });
    backend
        .songs()
        .put(&[
            PutSong { origin: origin(1), ..put(&one, PutMode::Create) },
            PutSong { origin: origin(2), ..put(&two, PutMode::Create) },
        ])
        .await
        .unwrap();
    backend.songs().delete(&[DeleteSong { origin: origin(3), ..delete(one.id) }]).await.unwrap();

    for change in all_changes(backend, 10).await {
        let expected = if change.song == one.id { origin(3) } else { origin(2) };
        assert!(change.origin.is_none() || change.origin == expected, "{change:?}");
    }
}

/// Every change that was acknowledged before the call is told, though others
/// are on their way meanwhile: a change that takes long must not be passed by
/// a cursor.
pub async fn no_change_slips_past_a_cursor(backend: &dyn StorageBackend) {
    const WRITERS: usize = 4;
    const EACH: usize = 12;
    let songs: Vec<_> = (0..WRITERS * EACH).map(|number| song(&number.to_string())).collect();
    let writing = AtomicUsize::new(WRITERS);

    let told = in_parallel(WRITERS + 1, |who| {
        let (songs, writing) = (&songs, &writing);
        async move {
            let mut told = Vec::new();
            if who < WRITERS {
                let _leaving = Leaving(writing);
                for song in &songs[who * EACH..(who + 1) * EACH] {
                    backend.put_song(song, PutMode::Create).await.unwrap();
                }
                return told;
            }
            let mut cursor = None;
            loop {
                let all_written = writing.load(SeqCst) == 0;
                let (changes, next) = since(backend, cursor.take(), 5).await;
                told.extend(changes);
                cursor = Some(next);
                if all_written {
                    return told;
                }
            }
        }
        .boxed()
    });

    let told = last_states(told.into_iter().flatten().collect());
    assert_eq!(told.len(), songs.len(), "some songs were never told");
}

/// Changes tell that playlists or synths were stored, changed or deleted since
/// the cursor, on one page or another, and whether songs changed too or not.
pub async fn changes_tell_that_documents_changed(backend: &dyn StorageBackend) {
    // Whether documents changed, and the cursor after the last page.
    async fn told(backend: &dyn StorageBackend, cursor: &Cursor) -> (bool, Cursor) {
        let (mut documents, mut cursor) = (false, cursor.clone());
        loop {
            let page = backend.maintenance().changes(Some(&cursor), 1).await.unwrap();
            documents |= page.documents;
            cursor = page.cursor;
            if !page.more {
                return (documents, cursor);
            }
        }
    }
    let first = backend.maintenance().changes(None, 10).await.unwrap();
    assert!(first.documents, "without a cursor everything is new");

    let mut cursor = first.cursor;
    for (round, kind) in [DocumentKind::Playlist, DocumentKind::Synth].into_iter().enumerate() {
        let document = Document {
            kind,
            id: "one".into(),
            revision: Revision::first(),
            updated_at: time(1),
            body: serde_json::json!({ "songs": [] }),
            deleted: false,
            history: None,
        };
        let put = |document: &Document, mode| [PutDocument { document: document.clone(), mode }];
        backend.documents().put(&put(&document, PutMode::Create)).await.unwrap();
        let (stored, after) = told(backend, &cursor).await;
        assert!(stored, "a new {kind:?}");
        cursor = after;

        let mut next = document.clone();
        next.revision = next.revision.next();
        let version = document.revision.operation;
        backend.documents().put(&put(&next, PutMode::Replace(version))).await.unwrap();
        for number in 0..3 {
            let seed = format!("{round} {number}");
            backend.put_song(&song(&seed), PutMode::Create).await.unwrap();
        }
        let (changed, after) = told(backend, &cursor).await;
        assert!(changed, "a changed {kind:?}, and songs on several pages");
        cursor = after;

        backend.documents().delete(kind, "one", next.revision.operation).await.unwrap();
        let (deleted, after) = told(backend, &cursor).await;
        assert!(deleted, "a deleted {kind:?}");
        cursor = after;
    }
}
