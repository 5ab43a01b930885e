//! What becomes of segments.

use serde_json::json;
use songrec_core::{Document, DocumentKind, Revision, Segment, SegmentId, Song, SongId};
use songrec_storage::{
    MemoryBackend, PutDocument, PutMode, SegmentQuery, StorageBackend, StorageBackendExt,
};
use songrec_testkit::{delete, retitled, song, time, tiny_model};

use super::{Two, edit};

#[tokio::test]
async fn playlists_and_segments_come_along() {
    let mut one = Two::new();
    let song = song("x");
    one.own().embeddings().put_model(&tiny_model()).await.unwrap();
    one.own().put_song(&song, PutMode::Create).await.unwrap();
    let segment = segment(&song, 7);
    one.own().segments().put(std::slice::from_ref(&segment)).await.unwrap();
    let list = Document {
        kind: DocumentKind::Playlist,
        id: "best".into(),
        revision: Revision::first(),
        updated_at: time(1),
        body: json!({ "songs": [song.id] }),
        deleted: false,
        history: None,
    };
    let new = PutDocument { document: list.clone(), mode: PutMode::Create };
    one.own().documents().put(&[new]).await.unwrap();

    one.sync().await;
    let mut two = one.another();
    two.sync().await;

    let all = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    assert_eq!(two.own().segments().find(&all).await.unwrap(), [segment]);
    let ids = ["best".to_owned()];
    let stored = two.own().documents().get(list.kind, &ids).await.unwrap();
    assert_eq!(stored, [Some(list.clone())]);

    // Both change it: the later one stays, the other is kept beside it.
    for (at, library) in [(5, one.own()), (4, two.own())] {
        let mut next = list.clone();
        next.revision = next.revision.next();
        next.updated_at = time(at);
        next.body = json!({ "songs": [], "by": at });
        let mode = PutMode::Replace(list.revision.operation);
        library.documents().put(&[PutDocument { document: next, mode }]).await.unwrap();
    }
    one.sync().await;
    let report = two.sync().await;
    one.sync().await;
    let kept_as = report.documents[0].kept_as.clone().unwrap();
    for library in [one.own(), two.own()] {
        let ids = ["best".to_owned(), kept_as.clone()];
        let stored = library.documents().get(list.kind, &ids).await.unwrap();
        let by: Vec<_> = stored.into_iter().map(|one| one.unwrap().body["by"].clone()).collect();
        assert_eq!(by, [json!(5), json!(4)]);
    }

    // Deleted here, deleted there.
    let stored =
        one.own().documents().get(list.kind, std::slice::from_ref(&kept_as)).await.unwrap();
    let stored = stored[0].as_ref().unwrap();
    let mode = PutMode::Replace(stored.revision.operation);
    let put = PutDocument { document: stored.deleted(time(9)), mode };
    one.own().documents().put(&[put]).await.unwrap();
    one.sync().await;
    two.sync().await;
    let stored = two.own().documents().get(list.kind, &[kept_as]).await.unwrap();
    assert!(stored[0].as_ref().unwrap().deleted);
    assert!(two.sync().await.is_empty() && one.sync().await.is_empty());
}

pub(super) fn segment(song: &Song, number: u8) -> Segment {
    Segment {
        id: SegmentId::from_bytes([number; 16]),
        song: song.id,
        start: 1.0,
        end: 2.0,
        frequencies: None,
        kind: "window".into(),
        confidence: 0.5,
        model: tiny_model().name,
        vector: songrec_testkit::vector(&vec![0.5; tiny_model().dimension]),
        created_at: time(0),
        pattern: (number % 2 == 1).then(|| songrec_core::Pattern {
            id: SegmentId::from_bytes([number; 16]),
            source: Some("a program".to_owned()),
            metadata: serde_json::from_str(r#"{"bar": 7}"#).unwrap(),
            changed_at: time(1),
        }),
    }
}

// Segments come to a song that is stored; then the song is stored again.
pub(super) async fn add_segment(library: &MemoryBackend, id: SongId, number: u8) {
    let song = library.get_song(id).await.unwrap().unwrap();
    library.segments().put(&[segment(&song, number)]).await.unwrap();
    touch(library, song).await;
}

pub(super) async fn touch(library: &MemoryBackend, song: Song) {
    let before = song.clone();
    let mut song = song;
    song.revise(&before, time(9));
    library.put_song(&song, PutMode::Replace(before.revision.operation)).await.unwrap();
}

pub(super) async fn segments(library: &MemoryBackend) -> Vec<u8> {
    let all = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    let found = library.segments().find(&all).await.unwrap();
    let mut numbers: Vec<u8> = found.iter().map(|segment| segment.id.as_bytes()[0]).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn segments_that_come_later_reach_everybody() {
    let mut one = Two::new();
    one.own().embeddings().put_model(&tiny_model()).await.unwrap();
    let song = song("x");
    one.own().put_song(&song, PutMode::Create).await.unwrap();
    one.sync().await;
    let mut two = one.another();
    two.own().embeddings().put_model(&tiny_model()).await.unwrap();
    two.sync().await;

    // Both add some at once, and the song itself stays as it is.
    add_segment(one.own(), song.id, 1).await;
    add_segment(two.own(), song.id, 2).await;
    for machine in [&mut one, &mut two] {
        machine.sync().await;
    }
    one.sync().await;

    for library in [one.own(), two.own(), one.shared()] {
        assert_eq!(segments(library).await, [1, 2]);
    }

    // One is deleted; then that is so everywhere.
    let gone = segment(&song, 1).id;
    two.own().segments().delete(&[gone]).await.unwrap();
    let before = two.own().get_song(song.id).await.unwrap().unwrap();
    let mut after = before.clone();
    after.forget_segments(&[gone]);
    after.revise(&before, time(9));
    two.own().put_song(&after, PutMode::Replace(before.revision.operation)).await.unwrap();
    two.sync().await;
    // Who still has it writes the song at the same time.
    edit(one.own(), song.id, "title", "new", 10).await;
    one.sync().await;
    two.sync().await;
    for library in [one.own(), two.own(), one.shared()] {
        assert_eq!(segments(library).await, [2]);
    }
    assert!(one.sync().await.is_empty() && two.sync().await.is_empty());
}

#[tokio::test]
async fn a_song_that_comes_back_has_the_segments_of_all_who_had_it() {
    let mut one = Two::new();
    let song = song("x");
    one.own().embeddings().put_model(&tiny_model()).await.unwrap();
    one.own().put_song(&song, PutMode::Create).await.unwrap();
    add_segment(one.own(), song.id, 1).await;
    assert!(one.own().songs().delete(&[delete(song.id)]).await.unwrap()[0].is_done());
    let mut other = one.another();
    other.own().embeddings().put_model(&tiny_model()).await.unwrap();
    let again = Song::new(song.audio_hash, song.audio.clone(), time(2));
    other.own().put_song(&again, PutMode::Create).await.unwrap();
    add_segment(other.own(), song.id, 2).await;
    other.sync().await;

    one.sync().await;
    other.sync().await;

    for library in [one.own(), one.shared(), other.own()] {
        assert_eq!(segments(library).await, [1, 2]);
    }
}

#[tokio::test]
async fn equal_songs_of_a_first_sync_add_up_their_segments() {
    let mut two = Two::new();
    let song = song("x");
    for (number, library) in [(1, two.own()), (2, two.shared())] {
        library.embeddings().put_model(&tiny_model()).await.unwrap();
        library.put_song(&retitled(&song, "same"), PutMode::Create).await.unwrap();
        add_segment(library, song.id, number).await;
    }

    two.sync().await;

    assert_eq!(segments(two.own()).await, [1, 2]);
    assert_eq!(segments(two.shared()).await, [1, 2]);
}
