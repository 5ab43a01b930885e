//! How many requests things cost.

use songrec_astra::AstraBackend;
use songrec_core::Filter;
use songrec_emulator::{Builder, Emulator};
use songrec_storage::{
    NearestQuery, Outcome, PutMode, SongQuery, StorageBackend, StorageBackendExt,
};
use songrec_testkit::{library_of, new_embedding, put, run_case, tiny_model};

use crate::support::{Cloud, config, library};

// A library of `count` songs, heard by one model, opened anew.
async fn opened(builder: Builder, count: usize) -> (AstraBackend, songrec_testkit::Fixture, Cloud) {
    let (backend, emulator) = library(builder).await;
    let fixture = library_of(count, 5).heard_by(&tiny_model(), 5).store(&backend).await;
    let fresh = AstraBackend::open(&config(&emulator)).await.unwrap();
    (fresh, fixture, emulator)
}

#[test]
fn storing_songs_costs_a_request_for_a_hundred_in_each_collection() {
    run_case(async {
        let (backend, emulator) = library(Emulator::builder()).await;
        let mut fixture = library_of(250, 3).heard_by(&tiny_model(), 4);
        backend.put_model(&tiny_model()).await.unwrap();
        // Whoever stores songs has looked whether they are there.
        let ids: Vec<_> = fixture.songs.iter().map(|song| song.id).collect();
        backend.get_songs(&ids).await.unwrap();
        emulator.requests().reset();

        let new: Vec<_> = fixture
            .songs
            .iter()
            .zip(&fixture.embeddings)
            .map(|(song, embedding)| new_embedding(song, embedding.clone()))
            .collect();
        let references = backend.put_embeddings(&new).await.unwrap();
        for (song, reference) in fixture.songs.iter_mut().zip(references) {
            song.embeddings.insert(tiny_model().name, reference);
        }
        let songs: Vec<_> = fixture.songs.iter().map(|song| put(song, PutMode::Create)).collect();
        let outcomes = backend.put_songs(&songs).await.unwrap();

        assert!(outcomes.iter().all(Outcome::is_done));
        assert_eq!(emulator.requests().total(), 2 * 3, "{:?}", emulator.requests().counts());
    });
}

#[test]
fn similar_songs_cost_three_requests_whatever_the_filter() {
    run_case(async {
        let (backend, fixture, emulator) = opened(Emulator::builder(), 150).await;
        for filter in [Filter::all(), Filter::parse_all(&["year:1990..", "-title:kick"]).unwrap()] {
            emulator.requests().reset();

            let model = tiny_model().name;
            let asked = fixture.songs[7].id;
            let heard = backend.get_embedding(&model, asked).await.unwrap().unwrap();
            let mut query = NearestQuery::new(model, heard.embedding.vector, 10);
            query.filter = filter;
            query.exclude = vec![asked];
            let found = backend.nearest_songs(&query).await.unwrap();

            assert_eq!(found.len(), 10);
            assert_eq!(emulator.requests().total(), 3, "{:?}", emulator.requests().counts());
        }
    });
}

#[test]
fn showing_costs_one_request_and_a_list_one_for_each_page() {
    run_case(async {
        let (backend, fixture, emulator) = opened(Emulator::builder(), 120).await;
        emulator.requests().reset();
        backend.get_song(fixture.songs[3].id).await.unwrap().unwrap();
        assert_eq!(emulator.requests().total(), 1);

        for (limit, pages) in [(20, 1), (49, 1), (100, 2)] {
            emulator.requests().reset();
            let query = SongQuery { limit, ..SongQuery::default() };
            let page = backend.find_cards(&query).await.unwrap();

            assert_eq!(page.items.len(), limit);
            assert_eq!(emulator.requests().total(), pages, "a page of {limit}");
        }
    });
}

#[test]
fn looking_for_changes_costs_one_request_when_there_are_none() {
    run_case(async {
        let (backend, _fixture, emulator) = opened(Emulator::builder(), 60).await;
        let mut cursor = None;
        loop {
            let page = backend.changes(cursor.as_ref(), 100).await.unwrap();
            cursor = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        emulator.requests().reset();

        let page = backend.changes(cursor.as_ref(), 100).await.unwrap();

        assert!(page.changes.is_empty() && !page.documents);
        assert_eq!(emulator.requests().total(), 1);
    });
}
