//! Rows that are not what they should be: each keeps to itself.

use serde_json::{Value, json};
use songrec_astra::{
    AstraBackend, DEFAULT_KEYSPACE,
    client::{Collection, Update},
};
use songrec_core::{Job, Song, SongId};
use songrec_emulator::Emulator;
use songrec_storage::{
    ErrorKind, Finding, Lost, PutMode, SongQuery, StorageBackend, StorageBackendExt, VerifyOptions,
};
use songrec_testkit::{library_of, retagged, run_case, song, tiny_model};

use crate::support::{Cloud, library};

/// A library of two songs, and the collection that they lie in.
async fn of_two() -> (AstraBackend, Cloud, Collection, [Song; 2]) {
    let (backend, cloud) = library(Emulator::builder()).await;
    let songs = ["one", "two"].map(song);
    for song in &songs {
        backend.put_song(song, PutMode::Create).await.unwrap();
    }
    let rows = backend.client().keyspace(DEFAULT_KEYSPACE).collection("songs");
    (backend, cloud, rows, songs)
}

async fn row(rows: &Collection, id: SongId) -> Value {
    rows.find_one(json!({"_id": id}), json!({})).await.unwrap().unwrap()
}

/// Changes what stands in a row as the song.
async fn change(rows: &Collection, id: SongId, change: impl Fn(&mut Value)) {
    let text = row(rows, id).await["song"].as_str().unwrap().to_owned();
    let mut song: Value = serde_json::from_str(&text).unwrap();
    change(&mut song);
    write(rows, id, &song.to_string()).await;
}

async fn write(rows: &Collection, id: SongId, text: &str) {
    let update = Update::new(json!({"_id": id}), json!({"$set": {"song": text}}));
    assert_eq!(rows.update_one(&update).await.unwrap().modified, 1);
}

/// The same song, as another write.
fn again(song: &Song) -> Song {
    Song { revision: song.revision.next(), ..song.clone() }
}

async fn verify(backend: &AstraBackend, repair: bool) -> Vec<Finding> {
    let options = VerifyOptions { repair, read_data: true };
    backend.maintenance().verify(&options, &Job::silent()).await.unwrap()
}

/// What it does not know of the song would get lost with the first edit.
#[test]
fn a_song_of_a_later_format_is_refused_everywhere() {
    run_case(async {
        let (backend, _cloud, rows, [one, two]) = of_two().await;
        change(&rows, one.id, |song| {
            song["format"] = json!(Song::FORMAT + 1);
            song["checksum"] = Value::Null;
            song["colour"] = json!("red");
        })
        .await;
        let before = row(&rows, one.id).await;

        let read = backend.get_song(one.id).await.unwrap_err();
        let create = backend.put_song(&again(&one), PutMode::Create).await.unwrap_err();
        let listed = backend.songs().find(&SongQuery { limit: 10, ..SongQuery::default() }).await;
        let reported = backend.maintenance().changes(None, 10).await.unwrap();

        assert_eq!(read.kind(), ErrorKind::Incompatible);
        assert_eq!(create.kind(), ErrorKind::Incompatible);
        assert_eq!(listed.unwrap().items, std::slice::from_ref(&two));
        assert_eq!(reported.changes.iter().map(|one| one.song).collect::<Vec<_>>(), [two.id]);
        assert_eq!(reported.unreadable.iter().map(|one| one.song).collect::<Vec<_>>(), [one.id]);
        let found = verify(&backend, true).await;
        assert!(found.len() == 1 && !found[0].repaired, "{found:?}");
        assert_eq!(row(&rows, one.id).await, before);
    });
}

#[test]
fn a_row_of_another_song_is_damaged() {
    run_case(async {
        let (backend, _cloud, rows, [one, two]) = of_two().await;
        let theirs = row(&rows, two.id).await["song"].as_str().unwrap().to_owned();
        write(&rows, one.id, &theirs).await;

        let read = backend.get_song(one.id).await.unwrap_err();
        let found = verify(&backend, false).await;

        assert_eq!(read.kind(), ErrorKind::Corrupt);
        assert!(found.len() == 1 && found[0].subject.contains(&one.id.to_string()), "{found:?}");
        assert_eq!(backend.get_song(two.id).await.unwrap(), Some(two));
    });
}

#[test]
fn a_flipped_bit_is_damage_and_no_edit_takes_it_along() {
    run_case(async {
        let (backend, _cloud, rows, [one, two]) = of_two().await;
        change(&rows, one.id, |song| song["tags"]["title"] = json!("ond")).await;

        let read = backend.get_song(one.id).await.unwrap_err();
        let reported = backend.maintenance().changes(None, 10).await.unwrap();

        assert_eq!(read.kind(), ErrorKind::Corrupt);
        assert_eq!(reported.changes.iter().map(|one| one.song).collect::<Vec<_>>(), [two.id]);
        assert_eq!(reported.unreadable.iter().map(|one| one.song).collect::<Vec<_>>(), [one.id]);
        let found = verify(&backend, false).await;
        assert!(found.len() == 1 && found[0].problem.contains("checksum"), "{found:?}");
    });
}

/// The summary beside a song is made of it, and may be of an older version.
#[test]
fn an_old_summary_is_renewed_by_a_repair() {
    run_case(async {
        let (backend, _cloud, rows, [one, _]) = of_two().await;
        let summary = row(&rows, one.id).await["card"].as_str().unwrap().replace("one", "old");
        let old = json!({"$set": {"card": summary, "find.instrument": ["kick"]}});
        rows.update_one(&Update::new(json!({"_id": one.id}), old)).await.unwrap();
        assert_eq!(verify(&backend, false).await.len(), 1);

        let repaired = verify(&backend, true).await;

        assert!(repaired.len() == 1 && repaired[0].repaired, "{repaired:?}");
        assert_eq!(verify(&backend, false).await, []);
        assert!(row(&rows, one.id).await["find"].get("instrument").is_none());
        assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one));
    });
}

#[test]
fn a_damaged_row_is_put_aside_by_a_repair_and_by_the_song_that_comes_back() {
    run_case(async {
        let (backend, _cloud, rows, [one, two]) = of_two().await;
        for song in [&one, &two] {
            write(&rows, song.id, "{ half a docum").await;
        }

        let back = again(&one);
        backend.put_song(&back, PutMode::Create).await.unwrap();
        let repaired = verify(&backend, true).await;

        assert!(repaired.len() == 1 && repaired[0].repaired, "{repaired:?}");
        assert_eq!(repaired[0].lost, Some(Lost::Song(two.id)));
        assert_eq!(backend.get_song(one.id).await.unwrap(), Some(back));
        assert_eq!(backend.get_song(two.id).await.unwrap(), None);
        let aside = backend.client().keyspace(DEFAULT_KEYSPACE).collection("library");
        for song in [&one, &two] {
            let id = format!("damaged:{}:{}", song.id, song.revision.operation);
            let copy: Value = aside.find_one(json!({"_id": id}), json!({})).await.unwrap().unwrap();
            assert_eq!(copy["payload"], "{ half a docum");
        }
        assert_eq!(verify(&backend, false).await, []);
        // What is kept aside is no document of the library's own.
        backend.put_song(&two, PutMode::Create).await.unwrap();
        let next = retagged(&two);
        backend.put_song(&next, PutMode::Replace(two.revision.operation)).await.unwrap();
        assert_eq!(backend.get_song(two.id).await.unwrap(), Some(next));
    });
}

/// The first embedding wins, but not one that is no more.
#[test]
fn an_embedding_that_is_lost_can_be_stored_again() {
    run_case(async {
        let (backend, _cloud) = library(Emulator::builder()).await;
        let fixture = library_of(3, 5).embedded_by(&tiny_model(), 8).store(&backend).await;
        let model = tiny_model().name;
        let vectors = backend.client().keyspace(DEFAULT_KEYSPACE).collection("embeddings_tiny_1");
        let songs = &fixture.songs[..2];
        let keys = [0, 1].map(|at| songs[at].embeddings[&model].key.clone().unwrap());
        assert!(vectors.delete_one(json!({"_id": keys[0]})).await.unwrap());
        let zero = json!({"$set": {"$vector": vec![1.0f32; 8]}});
        vectors.update_one(&Update::new(json!({"_id": keys[1]}), zero)).await.unwrap();
        let found = verify(&backend, false).await;
        let lost: Vec<_> = found.into_iter().filter_map(|one| one.lost).collect();
        assert_eq!(lost.len(), 2, "{lost:?}");
        assert!(songs.iter().all(|one| lost.contains(&Lost::Embedding(one.id, model.clone()))));

        for song in songs {
            let embedding =
                fixture.embeddings.iter().find(|one| one.song == song.id).unwrap().clone();
            let new = songrec_testkit::new_embedding(song, embedding);
            let reference = backend.embeddings().put(&[new]).await.unwrap().remove(0);
            let mut next = retagged(song);
            next.embeddings.insert(model.clone(), reference);
            backend.put_song(&next, PutMode::Replace(song.revision.operation)).await.unwrap();
        }

        assert_eq!(verify(&backend, false).await, []);
    });
}

/// As when a writer ends between an embedding and the song that names it.
#[test]
fn an_embedding_that_its_song_does_not_name_is_no_substitute_for_one_that_is_lost() {
    run_case(async {
        let (backend, _cloud) = library(Emulator::builder()).await;
        let fixture = library_of(3, 5).embedded_by(&tiny_model(), 8).store(&backend).await;
        let (model, song) = (tiny_model().name, &fixture.songs[0]);
        let ids: Vec<SongId> = fixture.songs.iter().map(|song| song.id).collect();
        let models = std::slice::from_ref(&model);
        assert!(backend.lost_embeddings(models, &ids).await.unwrap().is_empty());
        let vectors = backend.client().keyspace(DEFAULT_KEYSPACE).collection("embeddings_tiny_1");
        let key = song.embeddings[&model].key.clone().unwrap();
        assert!(vectors.delete_one(json!({"_id": key})).await.unwrap());
        let is_lost = [(song.id, [model.clone()].into())].into();
        assert_eq!(backend.lost_embeddings(models, &ids).await.unwrap(), is_lost);

        let mut next = retagged(song);
        let embedded = fixture.embeddings.iter().find(|one| one.song == song.id).unwrap().clone();
        let new = songrec_testkit::new_embedding(&next, embedded);
        let reference = backend.embeddings().put(&[new]).await.unwrap().remove(0);

        assert_eq!(backend.lost_embeddings(models, &ids).await.unwrap(), is_lost);
        next.embeddings.insert(model.clone(), reference);
        backend.put_song(&next, PutMode::Replace(song.revision.operation)).await.unwrap();
        assert!(backend.lost_embeddings(models, &ids).await.unwrap().is_empty());
        assert_eq!(verify(&backend, false).await, []);
    });
}
