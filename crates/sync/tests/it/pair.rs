//! One pair of libraries at a time: what a sync does, what it costs, what
//! stops it.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::model::{Place as Library, Shaky};
use futures::{FutureExt, StreamExt};
use serde_json::json;
use songrec_core::{
    Digest, Document, DocumentKind, Event, Field, Interrupt, Job, OperationId, Progress, Remedy,
    Revision, Segment, SegmentId, Song, SongId, SongSummary, Vector,
};
use songrec_storage::{
    BlobSource, ErrorKind as StorageErrorKind, MemoryBackend, NewBlob, Outcome, PutDocument,
    PutMode, SegmentQuery, StorageBackend, StorageBackendExt, VerifyOptions,
};
use songrec_sync::{
    Action, AudioPolicy, Direction, ErrorKind, MaxDelete, Options, Pair, Replica, Report, Rules,
    Side, State, Syncer, Verify, check, conflicts, resolve_conflict, restore, trash,
};
use songrec_testkit::{
    audio, delete, dot_model, library_of, new_blob, new_embedding, put, random_vector, retitled,
    song, time, tiny_model,
};

// A library here, and one that is far away and counts its calls.
struct Two {
    own: Arc<Library>,
    shared: Arc<Library>,
    state: Option<State>,
    /// What the last sync called far away, and how often.
    calls: BTreeMap<&'static str, u64>,
}

impl Two {
    fn new() -> Self {
        Self::of(MemoryBackend::new(), MemoryBackend::new())
    }

    fn of(own: MemoryBackend, shared: MemoryBackend) -> Self {
        let mut shared = Arc::into_inner(Library::new(shared, true)).unwrap();
        shared.page = usize::MAX;
        let state = Some(State::in_memory().unwrap());
        let calls = BTreeMap::new();
        Self { own: Library::new(own, false), shared: Arc::new(shared), state, calls }
    }

    // Another machine at the same shared library.
    fn another(&self) -> Self {
        Self {
            own: Library::new(MemoryBackend::new(), false),
            shared: Arc::clone(&self.shared),
            state: Some(State::in_memory().unwrap()),
            calls: BTreeMap::new(),
        }
    }

    fn own(&self) -> &MemoryBackend {
        &self.own.memory
    }

    fn shared(&self) -> &MemoryBackend {
        &self.shared.memory
    }

    async fn try_sync(&mut self, options: &Options) -> (songrec_sync::Result<Report>, u64) {
        let own = Shaky::new(Arc::clone(&self.own), 1, 0.0, Arc::new(Mutex::new(None)));
        let shared = Shaky::new(Arc::clone(&self.shared), 2, 0.0, Arc::new(Mutex::new(None)));
        let syncer = Syncer::new(
            Replica::new("own", own),
            Replica::new("shared", Arc::clone(&shared) as Arc<dyn StorageBackend>),
            self.state.take().unwrap(),
        );
        let report = syncer.run(options).await;
        self.state = Some(syncer.into_state());
        self.calls.clone_from(&shared.calls.lock().unwrap());
        (report, self.calls.values().sum())
    }

    async fn sync_with(&mut self, options: &Options) -> Report {
        let report = self.try_sync(options).await.0.unwrap();
        assert!(report.is_complete(), "{report:?}");
        report
    }

    async fn sync(&mut self) -> Report {
        self.sync_with(&Options::default()).await
    }

    async fn assert_equal(&self) {
        let left = Replica::new("own", Shaky::new(Arc::clone(&self.own), 1, 0.0, Arc::default()));
        let right =
            Replica::new("shared", Shaky::new(Arc::clone(&self.shared), 1, 0.0, Arc::default()));
        let found = check(&left, &right, true, &Job::silent()).await.unwrap();
        assert!(found.is_equal(), "{:?}", found.differences);
    }
}

async fn edit(library: &MemoryBackend, id: SongId, field: &str, value: &str, at: u64) -> Song {
    let before = library.get_song(id).await.unwrap().unwrap();
    let mut after = before.clone();
    after.edits.set(field.parse().unwrap(), Some(value)).unwrap();
    after.revise(&before, time(at));
    library.put_song(&after, PutMode::Replace(before.revision.operation)).await.unwrap();
    after
}

fn title(song: &Song) -> Option<&str> {
    song.edits.get(&Field::Title).and_then(|value| value.as_str())
}

// ---- What a sync does.

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

async fn put_list(library: &MemoryBackend, body: &str, at: u64) {
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

async fn lists(library: &MemoryBackend) -> Vec<String> {
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
        let state = State::in_memory().unwrap();
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

// ---- What stops it.

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
    let state = State::open(folder.path()).unwrap();

    assert_eq!(State::open(folder.path()).unwrap_err().kind(), ErrorKind::Busy);
    drop(state);
    State::open(folder.path()).unwrap();
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

fn segment(song: &Song, number: u8) -> Segment {
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
async fn add_segment(library: &MemoryBackend, id: SongId, number: u8) {
    let song = library.get_song(id).await.unwrap().unwrap();
    library.segments().put(&[segment(&song, number)]).await.unwrap();
    touch(library, song).await;
}

async fn touch(library: &MemoryBackend, song: Song) {
    let before = song.clone();
    let mut song = song;
    song.revise(&before, time(9));
    library.put_song(&song, PutMode::Replace(before.revision.operation)).await.unwrap();
}

async fn segments(library: &MemoryBackend) -> Vec<u8> {
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

// ---- What it costs.

async fn idle_costs(songs: usize) {
    let library = MemoryBackend::new();
    library_of(songs, 1).store(&library).await;
    let mut two = Two::of(library.fork(), library);
    two.sync().await;
    two.sync().await;

    let (report, calls) = two.try_sync(&Options::default()).await;

    assert!(report.unwrap().is_empty());
    assert_eq!(calls, 1, "with {songs} songs");
}

#[tokio::test]
async fn nothing_to_do_costs_one_call() {
    idle_costs(10).await;
    idle_costs(2_000).await;
}

#[tokio::test]
#[ignore = "takes a minute; `just soak` runs it"]
async fn nothing_to_do_costs_one_call_at_a_hundred_thousand_songs() {
    idle_costs(100_000).await;
}

#[tokio::test]
async fn one_song_changed_here_costs_eight_calls_at_most() {
    let mut two = Two::new();
    library_of(300, 1).embedded_by(&tiny_model(), 2).store(two.own()).await;
    two.sync().await;
    two.sync().await;
    let first = songrec_storage::SongQuery { limit: 1, ..Default::default() };
    let id = two.own().songs().find(&first).await.unwrap().items[0].id;

    edit(two.own(), id, "title", "new", 1).await;
    let (report, calls) = two.try_sync(&Options::default()).await;
    assert_eq!(report.unwrap().counts.right.update, 1);
    assert!(calls <= 8, "{calls} calls for an edit");

    let mut new = song("new");
    let mut rng = rand::SeedableRng::seed_from_u64(5);
    let vector = random_vector(&mut rng, &tiny_model());
    let embedding = songrec_core::Embedding { song: new.id, model: tiny_model().name, vector };
    let references = two.own().embeddings().put(&[new_embedding(&new, embedding)]).await.unwrap();
    new.embeddings.insert(tiny_model().name, references[0].clone());
    two.own().songs().put(&[put(&new, PutMode::Create)]).await.unwrap();
    let (report, calls) = two.try_sync(&Options::default()).await;
    assert_eq!(report.unwrap().counts.right.add, 1);
    assert!(calls <= 10, "{calls} calls for a new song with an embedding");

    // And then there is nothing to do, for one call.
    assert_eq!(two.try_sync(&Options::default()).await.1, 1);
}

#[tokio::test]
async fn pulling_costs_a_call_for_each_page_and_a_few() {
    let mut one = Two::new();
    library_of(5, 1).store(one.own()).await;
    one.sync().await;
    let mut two = one.another();
    two.sync().await;
    let mut costs = Vec::new();
    for (round, count) in [1usize, 100, 2_500].into_iter().enumerate() {
        library_of(count, 10 + round as u64).store(one.own()).await;
        one.sync().await;
        one.sync().await;

        let (report, calls) = two.try_sync(&Options::default()).await;

        assert_eq!(report.unwrap().counts.left.add, count as u64);
        costs.push(calls - count.div_ceil(1_000) as u64);
        two.sync().await;
    }
    assert!(costs.iter().all(|more| *more <= 8), "{costs:?} calls beside the pages");
}

#[tokio::test]
async fn a_sync_of_which_nothing_is_remembered_reads_what_differs_and_no_more() {
    let mut one = Two::new();
    let songs = library_of(1_200, 1).embedded_by(&tiny_model(), 2).store(one.own()).await.songs;
    one.sync().await;
    edit(one.own(), songs[3].id, "title", "new here", 1).await;
    edit(one.shared(), songs[5].id, "title", "new there", 2).await;
    one.state = Some(State::in_memory().unwrap());

    let (report, calls) = one.try_sync(&Options::default()).await;

    let report = report.unwrap();
    assert_eq!((report.counts.left.update, report.counts.right.update), (1, 1), "{report:?}");
    let named = |call: &str| one.calls.get(call).copied().unwrap_or_default();
    assert_eq!(
        (named("maintenance.changes"), named("maintenance.summaries"), named("songs.get")),
        (0, 2, 1)
    );
    assert!(calls <= 14, "{:?}", one.calls);
    // What is known of the others is enough to write them.
    edit(one.own(), songs[9].id, "title", "later", 3).await;
    edit(one.shared(), songs[11].id, "title", "later", 4).await;
    let (report, _) = one.try_sync(&Options::default()).await;
    let report = report.unwrap();
    assert_eq!((report.counts.left.update, report.counts.right.update), (1, 1), "{report:?}");
    assert!(
        one.shared()
            .maintenance()
            .verify(&VerifyOptions::default(), &Job::silent())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(one.try_sync(&Options::default()).await.1, 1);
}

// ---- Migrating and checking.

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
    let state = State::in_memory().unwrap();
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
