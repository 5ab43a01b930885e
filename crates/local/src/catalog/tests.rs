use rand::{Rng, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use songrec_core::SongSummary;
use songrec_storage::{MemoryBackend, Order, OrderBy, SongQuery, StorageBackend};
use songrec_testkit::{library_of, random_filter};

use super::{
    Catalog,
    find::{self, Limits},
    song_rows,
};
use crate::{
    files::Files,
    files::disk::{RealDisk, Stamp},
    files::stored::{Resolved, Stored},
};

const ORDERS: [OrderBy; 9] = [
    OrderBy::Any,
    OrderBy::Id,
    OrderBy::Title,
    OrderBy::Artist,
    OrderBy::Album,
    OrderBy::Year,
    OrderBy::Bpm,
    OrderBy::Duration,
    OrderBy::Added,
];

/// The three ways to find a page: along an index until it is full, by sorting
/// all that passes, and along an index through the set of all that passes.
const WAYS: [Limits; 3] = [
    Limits { walked: usize::MAX, sorted: 0 },
    Limits { walked: 0, sorted: usize::MAX },
    Limits { walked: 0, sorted: 0 },
];

fn query(rng: &mut StdRng, summaries: &[SongSummary]) -> SongQuery {
    SongQuery {
        filter: random_filter(rng, summaries),
        order: Order { by: ORDERS[rng.random_range(0..ORDERS.len())], descending: rng.random() },
        after: None,
        skip: [0, 0, 0, 3, 50][rng.random_range(0..5)],
        limit: [1, 7, 40, 1_000][rng.random_range(0..4)],
    }
}

// Page after page of these rows, in this order.
fn pages_of(connection: &Connection, first: &SongQuery, limits: Limits, rows: &[&SongSummary]) {
    let (mut query, mut at) = (first.clone(), 0);
    loop {
        let page = find::page_within(connection, &query, limits).unwrap();
        let from = (at + query.skip).min(rows.len());
        at = (from + query.limit).min(rows.len());
        let found: Vec<&SongSummary> = page.items.iter().collect();
        assert_eq!(found, rows[from..at], "{limits:?}: {query:?}");
        assert_eq!(page.next.is_some(), at < rows.len(), "{limits:?}: {query:?}");
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
}

#[tokio::test]
async fn every_way_finds_what_the_definition_finds() {
    let folder = songrec_testkit::temp_dir();
    let fixture = library_of(300, 11);
    let summaries: Vec<SongSummary> = fixture.songs.iter().map(SongSummary::of).collect();
    let catalog = Catalog::new(folder.path().join("catalog.sqlite"));
    let files = Files::new(std::sync::Arc::new(RealDisk), folder.path().join("tmp"));
    catalog
        .build(uuid::Uuid::nil(), &files, |connection| {
            for song in fixture.songs.iter().rev() {
                let stamp = Stamp::default();
                let stored = Stored { document: song.clone(), origin: None, stamp };
                song_rows::set_resolved(connection, song.id, &Resolved::Present(Box::new(stored)))?;
            }
            Ok(())
        })
        .unwrap();
    let opened = catalog.take().unwrap();
    let memory = MemoryBackend::new();
    fixture.store(&memory).await;
    let mut rng = StdRng::seed_from_u64(5);
    let mut passed = 0;

    for round in 0..600 {
        let first = query(&mut rng, &summaries);
        let passing: Vec<_> =
            summaries.iter().filter(|summary| first.filter.passes(summary)).collect();
        passed += usize::from(!passing.is_empty() && passing.len() < summaries.len());
        let mut ids = find::ids_passing(&opened.connection, &first.filter).unwrap();
        ids.sort_unstable();
        assert_eq!(
            ids,
            passing.iter().map(|summary| *summary.id.as_bytes()).collect::<Vec<_>>(),
            "{round}: {:?}",
            first.filter
        );
        let count = find::count(&opened.connection, &first.filter).unwrap();
        assert_eq!(count, passing.len() as u64, "{round}: {:?}", first.filter);
        if first.order.by == OrderBy::Any {
            let as_they_lie: Vec<&SongSummary> = passing.into_iter().rev().collect();
            for limits in WAYS {
                pages_of(&opened.connection, &first, limits, &as_they_lie);
            }
            continue;
        }
        for limits in WAYS {
            let (mut ours, mut theirs) = (first.clone(), first.clone());
            for page in 0..6 {
                let found = find::page_within(&opened.connection, &ours, limits).unwrap();
                let expected = memory.songs().find_summaries(&theirs).await.unwrap();
                assert_eq!(found.items, expected.items, "{round}, {page}, {limits:?}: {first:?}");
                assert_eq!(found.next.is_some(), expected.next.is_some(), "{round}, {page}");
                (ours.after, theirs.after) = (found.next, expected.next);
                if ours.after.is_none() {
                    break;
                }
            }
        }
    }
    assert!(passed > 200, "only {passed} filters told songs apart");
}

#[test]
fn a_catalog_of_another_program_is_refused() {
    let folder = songrec_testkit::temp_dir();
    let path = folder.path().join("catalog.sqlite");
    let catalog = Catalog::new(path.clone());
    let library = uuid::Uuid::new_v4();
    let refused = || catalog.refused(library, true).unwrap().unwrap_or_default();

    assert_eq!(refused(), "it is missing");
    std::fs::write(&path, b"not a database at all, but long enough to be one").unwrap();
    assert!(!refused().is_empty());
    std::fs::write(&path, b"").unwrap();
    assert_eq!(refused(), "it is no catalog of songrec");

    let files = Files::new(std::sync::Arc::new(RealDisk), folder.path().join("tmp"));
    catalog.build(library, &files, |_| Ok(())).unwrap();
    assert_eq!(refused(), "");
    let opened = catalog.take().unwrap();
    opened.connection.pragma_update(None, "user_version", 99).unwrap();
    assert_eq!(refused(), "its schema 99 is of a newer songrec");
}
