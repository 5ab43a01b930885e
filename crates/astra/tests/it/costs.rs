//! How many requests things cost.

use songrec_astra::AstraBackend;
use songrec_core::{Filter, SongId};
use songrec_emulator::{Builder, Emulator};
use songrec_storage::{
    Lookup, NearestQuery, Outcome, PutMode, SongQuery, StorageBackend, StorageBackendExt,
};
use songrec_testkit::{library_of, new_embedding, put, run_case, tiny_model};

use crate::support::{Cloud, config, library};

// A library of `count` songs, embedded by one model, opened anew.
async fn opened(builder: Builder, count: usize) -> (AstraBackend, songrec_testkit::Fixture, Cloud) {
    let (backend, emulator) = library(builder).await;
    let fixture = library_of(count, 5).embedded_by(&tiny_model(), 5).store(&backend).await;
    let fresh = AstraBackend::open(&config(&emulator)).await.unwrap();
    (fresh, fixture, emulator)
}

#[test]
fn storing_songs_costs_a_request_for_a_hundred_in_each_collection() {
    run_case(async {
        let (backend, emulator) = library(Emulator::builder()).await;
        let mut fixture = library_of(250, 3).embedded_by(&tiny_model(), 4);
        backend.embeddings().put_model(&tiny_model()).await.unwrap();
        // Whoever stores songs has looked whether they are there.
        let ids: Vec<_> = fixture.songs.iter().map(|song| song.id).collect();
        backend.songs().get(&ids).await.unwrap();
        emulator.requests().reset();

        let new: Vec<_> = fixture
            .songs
            .iter()
            .zip(&fixture.embeddings)
            .map(|(song, embedding)| new_embedding(song, embedding.clone()))
            .collect();
        let references = backend.embeddings().put(&new).await.unwrap();
        for (song, reference) in fixture.songs.iter_mut().zip(references) {
            song.embeddings.insert(tiny_model().name, reference);
        }
        let songs: Vec<_> = fixture.songs.iter().map(|song| put(song, PutMode::Create)).collect();
        let outcomes = backend.songs().put(&songs).await.unwrap();

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
            let embedded = backend.get_embedding(&model, asked).await.unwrap().unwrap();
            let mut query = NearestQuery::new(model, embedded.embedding.vector, 10);
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
            let page = backend.songs().find_summaries(&query).await.unwrap();

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
            let page = backend.maintenance().changes(cursor.as_ref(), 100).await.unwrap();
            cursor = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        emulator.requests().reset();

        let page = backend.maintenance().changes(cursor.as_ref(), 100).await.unwrap();

        assert!(page.changes.is_empty() && !page.documents);
        assert_eq!(emulator.requests().total(), 1);
    });
}

#[test]
fn a_scan_looks_up_a_hundred_files_with_a_request() {
    run_case(async {
        let (backend, fixture, emulator) = opened(Emulator::builder(), 220).await;
        emulator.requests().reset();
        let ids: Vec<SongId> = fixture.songs.iter().map(|song| song.id).collect();
        let songs = backend.songs().get(&ids).await.unwrap();
        assert!(songs.iter().all(Option::is_some));
        assert_eq!(emulator.requests().total(), 3, "songs by their ids");

        let first = |song: &songrec_core::Song| song.files.first().cloned();
        let files: Vec<_> = fixture.songs.iter().filter_map(first).take(150).collect();
        assert_eq!(files.len(), 150);
        for (what, lookups) in [
            ("paths", files.iter().map(|file| Lookup::Path(file.path.clone())).collect::<Vec<_>>()),
            ("hashes", files.iter().map(|file| Lookup::FileHash(file.sha256)).collect()),
        ] {
            emulator.requests().reset();
            let found = backend.songs().lookup(&lookups).await.unwrap();
            assert!(found.iter().all(|ids| !ids.is_empty()), "{what}");
            // Two questions, whose answers have two pages each.
            assert!(emulator.requests().total() <= 4, "{what}: {:?}", emulator.requests().counts());
        }
    });
}

#[test]
fn pages_are_read_as_they_are_asked_for_and_not_before() {
    run_case(async {
        let (backend, _fixture, emulator) = opened(Emulator::builder().page_size(20), 400).await;
        emulator.requests().reset();
        let query = SongQuery { limit: 60, ..SongQuery::default() };
        let page = backend.songs().find(&query).await.unwrap();
        assert_eq!(page.items.len(), 60);
        assert!(emulator.requests().total() <= 4, "{:?}", emulator.requests().counts());

        // All songs are numbered for the first reader; later pages cost
        // themselves.
        let mut changes = backend.maintenance().changes(None, 60).await.unwrap();
        for _ in 0..4 {
            emulator.requests().reset();
            changes = backend.maintenance().changes(Some(&changes.cursor), 60).await.unwrap();
            assert!(changes.changes.len() <= 60 && changes.more);
            assert!(emulator.requests().total() <= 5, "{:?}", emulator.requests().counts());
        }
    });
}
