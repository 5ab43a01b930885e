//! What is asked of the library behind, and how old an answer may be.

use std::time::Duration;

use songrec_cache::CachedOptions;
use songrec_core::{Embedding, ModelSpec};
use songrec_storage::{
    ErrorKind, NearestQuery, PutMode, SongQuery, StorageBackend, StorageBackendExt,
};
use songrec_testkit::{
    Fault, delete, new_embedding, put, retagged, run_case, song, tiny_model, vector,
};

use crate::world::library;

#[test]
fn similar_costs_one_request_when_its_songs_are_known() {
    run_case(async {
        let library = library().await;
        let song = &library.songs[3];
        let expected = library.similar(&library.cached, song).await;

        let (found, requests) = library.requests(library.nearest(&library.cached, song, 4)).await;

        assert_eq!(requests, 1);
        assert_eq!(found, expected[..4]);
    });
}

#[test]
fn a_new_process_finds_embeddings_on_disk() {
    run_case(async {
        let library = library().await;
        let song = &library.songs[3];
        let expected = library.similar(&library.cached, song).await;
        let anew = library.anew().await;

        let (found, requests) = library.requests(library.similar(&anew, song)).await;

        // The song, the search, the hits; not the embedding.
        assert_eq!(requests, 3);
        assert_eq!(found, expected);
        assert_eq!(anew.cache().used().hits, 1);
    });
}

#[test]
fn nothing_known_is_asked_for_twice() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let model = tiny_model().name;
        let ids: Vec<_> = library.songs.iter().map(|song| song.id).collect();
        let page = SongQuery { limit: 30, ..SongQuery::default() };
        cached.songs().find(&page).await.unwrap();
        let expected = cached.embeddings().get(&model, &ids).await.unwrap();
        cached.embeddings().models().await.unwrap();

        let ((), requests) = library
            .requests(async {
                let songs = cached.songs().get(&ids).await.unwrap();
                assert_eq!(songs, library.songs.iter().cloned().map(Some).collect::<Vec<_>>());
                assert_eq!(cached.embeddings().get(&model, &ids).await.unwrap(), expected);
                assert_eq!(cached.embeddings().models().await.unwrap(), [tiny_model()]);
            })
            .await;

        assert_eq!(requests, 0);
        assert!(expected.iter().all(Option::is_some));
        // Only what is not known is asked for.
        let (_, requests) = library.requests(cached.songs().get(&[ids[0], song("?").id])).await;
        assert_eq!(requests, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_search_is_asked_again_after_a_while_or_a_write() {
    let library = library().await;
    let (cached, song) = (&library.cached, &library.songs[0]);
    let searches = || library.behind.calls("embeddings.nearest");
    let found = library.similar(cached, song).await;
    assert_eq!((found.len(), searches()), (5, 1));

    let (again, requests) = library.requests(library.similar(cached, song)).await;
    assert_eq!((again, requests), (found.clone(), 0));

    // What this handle writes is seen at once.
    let gone = &found[0].1;
    cached.songs().delete(&[delete(gone.id)]).await.unwrap();
    let without = library.similar(cached, song).await;
    assert_eq!(searches(), 2);
    assert!(without.iter().all(|(_, other)| other.id != gone.id), "{without:?}");

    // What another one writes, when the answer is no longer fresh.
    let other = &without[0].1;
    library.behind.inner().songs().delete(&[delete(other.id)]).await.unwrap();
    tokio::time::advance(CachedOptions::default().fresh_for).await;
    let left = library.similar(cached, song).await;
    assert_eq!(searches(), 3);
    assert!(left.iter().all(|(_, song)| song.id != other.id), "{left:?}");

    // Another question is another search.
    let mut query = NearestQuery::new(tiny_model().name, vector(&[1.0; 8]), 3);
    let three = cached.embeddings().nearest(&query).await.unwrap();
    query.threshold = Some(three[1].similarity);
    assert_eq!(cached.embeddings().nearest(&query).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_others_wrote_is_seen_after_a_while() {
    let library = library().await;
    let one = &library.songs[0];
    let known = vec![tiny_model()];
    let ninth = ModelSpec { name: "ninth@1".parse().unwrap(), ..tiny_model() };
    assert_eq!(library.cached.get_song(one.id).await.unwrap().as_ref(), Some(one));
    assert_eq!(library.cached.embeddings().models().await.unwrap(), known);
    let edited = retagged(one);
    library.behind.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    library.behind.embeddings().put_model(&ninth).await.unwrap();

    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(library.cached.get_song(one.id).await.unwrap().as_ref(), Some(one));
    assert_eq!(library.cached.embeddings().models().await.unwrap(), known);

    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(library.cached.get_song(one.id).await.unwrap(), Some(edited));
    assert_eq!(library.cached.embeddings().models().await.unwrap(), [ninth, tiny_model()]);
}

#[test]
fn own_writes_are_seen_at_once() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let one = cached.get_song(library.songs[0].id).await.unwrap().unwrap();

        let edited = retagged(&one);
        cached.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
        assert_eq!(cached.get_song(one.id).await.unwrap().as_ref(), Some(&edited));

        // Also those whose answer was lost.
        let again = retagged(&edited);
        library.behind.plan("songs.put", [Some(Fault::After)]);
        let replace = [put(&again, PutMode::Replace(edited.revision.operation))];
        cached.songs().put(&replace).await.unwrap_err();
        assert_eq!(cached.get_song(one.id).await.unwrap(), Some(again));

        cached.songs().delete(&[delete(one.id)]).await.unwrap();
        assert_eq!(cached.get_song(one.id).await.unwrap(), None);
    });
}

#[test]
fn a_lost_race_is_followed_by_a_fresh_read() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let old = cached.get_song(library.songs[0].id).await.unwrap().unwrap();
        let theirs = retagged(&old);
        library.behind.put_song(&theirs, PutMode::Replace(old.revision.operation)).await.unwrap();

        let ours = retagged(&old);
        let lost = cached.put_song(&ours, PutMode::Replace(old.revision.operation)).await;

        assert_eq!(lost.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(cached.get_song(old.id).await.unwrap(), Some(theirs));
    });
}

#[test]
fn a_changed_song_never_gets_its_old_embedding() {
    run_case(async {
        let library = library().await;
        let cached = &library.cached;
        let model = tiny_model().name;
        let mut one = library.songs[0].clone();
        cached.get_song(one.id).await.unwrap();
        cached.get_embedding(&model, one.id).await.unwrap().unwrap();
        // Somebody takes the embedding away and, later, stores another one.
        let old = one.revision.operation;
        one.revise(&one.clone(), songrec_testkit::time(50));
        one.embeddings.clear();
        library.behind.put_song(&one, PutMode::Replace(old)).await.unwrap();
        let embedded = Embedding { song: one.id, model: model.clone(), vector: vector(&[9.0; 8]) };
        let new = [new_embedding(&one, embedded.clone())];
        let reference = library.behind.embeddings().put(&new).await.unwrap().remove(0);
        let old = one.revision.operation;
        one.revise(&one.clone(), songrec_testkit::time(51));
        one.embeddings.insert(model.clone(), reference);
        library.behind.put_song(&one, PutMode::Replace(old)).await.unwrap();

        // Whoever has the new song has the new embedding.
        cached.maintenance().changes(None, 100).await.unwrap();
        assert_eq!(cached.get_song(one.id).await.unwrap(), Some(one.clone()));
        let stored = cached.get_embedding(&model, one.id).await.unwrap().unwrap();
        assert_eq!(stored.embedding, embedded);
    });
}
