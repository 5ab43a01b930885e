//! Songs that pass a filter, in an order, a page at a time.

use std::{cmp::Ordering, collections::BTreeSet};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Filter, Song, SongId, SongSummary, Timestamp, fold, sort_key};
use songrec_storage::{
    ErrorKind, Order, OrderBy, PageToken, PutMode, SongQuery, StorageBackend, StorageBackendExt,
};

use crate::{delete, library_of, put, random_filter, retitled, song};

use super::refusal::assert_refused;

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

fn every_order() -> impl Iterator<Item = Order> {
    ORDERS.into_iter().flat_map(|by| [false, true].map(|descending| Order { by, descending }))
}

// Everything that a query finds, from pages of its limit.
async fn pages(backend: &dyn StorageBackend, query: &SongQuery) -> Vec<Song> {
    let mut found = Vec::new();
    let mut query = query.clone();
    loop {
        let page = backend.songs().find(&query).await.unwrap();
        let summaries = backend.songs().find_summaries(&query).await.unwrap();
        let expected: Vec<_> = page.items.iter().map(SongSummary::of).collect();
        assert_eq!(summaries.items, expected, "summaries differ from songs: {query:?}");
        assert_eq!(summaries.next.is_some(), page.next.is_some());
        assert!(page.items.len() <= query.limit, "more than {}", query.limit);
        let full = page.items.len() == query.limit.min(1_000);
        assert!(full || page.next.is_none(), "a page that is not the last is short: {query:?}");
        found.extend(page.items);
        assert!(found.len() < 10_000, "the same songs again and again: {query:?}");
        let Some(next) = page.next else { return found };
        query.after = Some(next);
        query.skip = 0;
    }
}

fn ids(songs: &[Song]) -> Vec<SongId> {
    songs.iter().map(|song| song.id).collect()
}

// Where a song belongs, by the definition of the order.
#[derive(Debug, PartialEq)]
enum Place {
    Text(String),
    Number(f64),
    Time(Timestamp),
}

fn place(song: &Song, by: OrderBy) -> Option<Place> {
    let summary = SongSummary::of(song);
    let text = |text: Option<String>| text.map(|text| Place::Text(fold(&text)));
    match by {
        OrderBy::Any | OrderBy::Id => Some(Place::Text(song.id.to_string())),
        OrderBy::Title => text(Some(summary.title)),
        OrderBy::Artist => Some(Place::Text(sort_key(song, &summary))),
        OrderBy::Album => text(summary.album),
        OrderBy::Year => summary.year.map(|year| Place::Number(year.into())),
        OrderBy::Bpm => summary.bpm.map(Place::Number),
        OrderBy::Duration => Some(Place::Number(summary.duration)),
        OrderBy::Added => Some(Place::Time(song.added_at)),
    }
}

fn compare(order: Order, left: &Song, right: &Song) -> Ordering {
    let by_value = match (place(left, order.by), place(right, order.by)) {
        (Some(left), Some(right)) => {
            let up = match (left, right) {
                (Place::Text(left), Place::Text(right)) => left.cmp(&right),
                (Place::Number(left), Place::Number(right)) => left.total_cmp(&right),
                (Place::Time(left), Place::Time(right)) => left.cmp(&right),
                different => panic!("{different:?}"),
            };
            if order.descending { up.reverse() } else { up }
        }
        (left, right) => left.is_none().cmp(&right.is_none()),
    };
    by_value.then(left.id.cmp(&right.id))
}

/// An empty library has no songs.
pub async fn an_empty_library_has_no_songs(backend: &dyn StorageBackend) {
    let query = SongQuery { limit: 10, ..SongQuery::default() };

    let page = backend.songs().find(&query).await.unwrap();

    assert_eq!((page.items, page.next), (vec![], None));
    assert_eq!(backend.songs().find_summaries(&query).await.unwrap().items, []);
    assert_eq!(backend.songs().count(&Filter::all()).await.unwrap(), 0);
}

/// The songs found and counted are those whose summaries pass, for every form that
/// a filter can have.
pub async fn filters_pass_what_their_definition_passes(backend: &dyn StorageBackend) {
    let fixture = library_of(90, 31).store(backend).await;
    let summaries: Vec<SongSummary> = fixture.songs.iter().map(SongSummary::of).collect();
    let mut rng = StdRng::seed_from_u64(32);

    for _ in 0..120 {
        let filter = random_filter(&mut rng, &summaries);
        let expected: BTreeSet<SongId> = summaries
            .iter()
            .filter(|summary| filter.passes(summary))
            .map(|summary| summary.id)
            .collect();

        let query = SongQuery { filter, limit: 100, ..SongQuery::default() };
        let page = backend.songs().find_summaries(&query).await.unwrap();

        let found: BTreeSet<SongId> = page.items.iter().map(|summary| summary.id).collect();
        let wrong: Vec<&SongSummary> = summaries
            .iter()
            .filter(|summary| found.contains(&summary.id) != expected.contains(&summary.id))
            .collect();
        assert!(wrong.is_empty(), "{:?}: wrong about {wrong:#?}", query.filter);
        assert_eq!(page.items.len(), expected.len(), "a song was found twice");
        let count = backend.songs().count(&query.filter).await.unwrap();
        assert_eq!(count, expected.len() as u64, "{:?}", query.filter);
    }
}

/// The same for filters as people write them.
pub async fn filters_that_people_write_work(backend: &dyn StorageBackend) {
    let fixture = library_of(60, 33).store(backend).await;
    let summaries: Vec<SongSummary> = fixture.songs.iter().map(SongSummary::of).collect();

    for texts in [
        &["genre:techno"][..],
        &["genre:techno,house", "-mood:dark"],
        &["genre:drum & bass"],
        &["genre:!!!"],
        &["artist:bjork"],
        &["artist:\"Earth, Wind\""],
        &["artist:ac dc"],
        &["title:kick", "bpm:100..130"],
        &["title:off beat"],
        &["title:日本の歌"],
        &["path:50 off"],
        &["path:kicks", "-path:deep"],
        &["year:1990..1995"],
        &["year:>=1995", "year:<1998"],
        &["bpm:119.96"],
        &["bpm:>120"],
        &["duration:<30"],
        &["duration:1:00.."],
        &["key:Am,8B"],
        &["key:~8A"],
        &["-key:*"],
        &["loop:yes"],
        &["loop:no"],
        &["-loop:*"],
        &["genre:*", "mood:*"],
        &["-artist:*"],
        &["kick"],
        &["warm pad"],
        &["house dark"],
        &["wav"],
        &["-wav"],
    ] {
        let filter = Filter::parse_all(texts).unwrap();
        let expected: Vec<SongId> = summaries
            .iter()
            .filter(|summary| filter.passes(summary))
            .map(|summary| summary.id)
            .collect();

        let query = SongQuery { filter, limit: 100, ..SongQuery::default() };
        let mut found = ids(&backend.songs().find(&query).await.unwrap().items);

        found.sort_unstable();
        assert_eq!(found, expected, "{texts:?}");
    }
}

/// Songs come in the order asked for, either way; without the value last,
/// equal ones by their ids; and pages fit together.
pub async fn songs_come_in_every_order(backend: &dyn StorageBackend) {
    let fixture = library_of(50, 34).store(backend).await;

    for order in every_order() {
        let mut expected = fixture.songs.clone();
        expected.sort_by(|left, right| compare(order, left, right));
        let query = SongQuery { order, limit: 7, ..SongQuery::default() };

        let found = pages(backend, &query).await;

        let mut sorted = ids(&found);
        sorted.sort_unstable();
        assert_eq!(sorted, ids(&fixture.songs), "{order:?} loses or repeats songs");
        if matches!(order.by, OrderBy::Any | OrderBy::Id) {
            // No order that means anything, but always the same.
            assert_eq!(pages(backend, &SongQuery { limit: 13, ..query }).await, found);
            continue;
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(
                found.id,
                expected.id,
                "{order:?}: {:?} where {:?} belongs",
                place(found, order.by),
                place(expected, order.by)
            );
        }
    }
}

/// Pages of a filter fit together, by token and by skipping, and hold as many
/// songs as are counted.
pub async fn pages_of_a_filter_fit_together(backend: &dyn StorageBackend) {
    let fixture = library_of(60, 35).store(backend).await;
    let summaries: Vec<SongSummary> = fixture.songs.iter().map(SongSummary::of).collect();
    let mut rng = StdRng::seed_from_u64(36);

    for order in every_order() {
        let filter = random_filter(&mut rng, &summaries);
        let count = backend.songs().count(&filter).await.unwrap() as usize;
        let query = SongQuery { filter, order, limit: 100, ..SongQuery::default() };
        let all = ids(&backend.songs().find(&query).await.unwrap().items);
        assert_eq!(all.len(), count, "{query:?}");

        let limit = rng.random_range(1..10);
        assert_eq!(ids(&pages(backend, &SongQuery { limit, ..query.clone() }).await), all);
        let skip = rng.random_range(0..count + 3);
        let rest = pages(backend, &SongQuery { limit: 9, skip, ..query.clone() }).await;
        assert_eq!(ids(&rest), all.iter().skip(skip).copied().collect::<Vec<_>>(), "{query:?}");
    }
}

/// A page may leave out songs after its token, too; and nothing is a page.
pub async fn a_page_can_skip(backend: &dyn StorageBackend) {
    let fixture = library_of(20, 37).store(backend).await;
    let order = Order { by: OrderBy::Title, descending: true };
    let query = SongQuery { order, limit: 5, ..SongQuery::default() };
    let all = ids(&pages(backend, &query).await);
    assert_eq!(all.len(), fixture.songs.len());
    let token = backend.songs().find(&query).await.unwrap().next;

    let skipping = SongQuery { after: token, skip: 3, ..query.clone() };
    let page = backend.songs().find(&skipping).await.unwrap();
    assert_eq!(ids(&page.items), all[8..13]);
    let next =
        backend.songs().find(&SongQuery { after: page.next, ..query.clone() }).await.unwrap();
    assert_eq!(ids(&next.items), all[13..18]);

    let beyond = SongQuery { skip: usize::MAX, ..query.clone() };
    assert_eq!(backend.songs().find(&beyond).await.unwrap().items, []);
    let none = SongQuery { limit: 0, ..query.clone() };
    assert_eq!(backend.songs().find(&none).await.unwrap().items, []);
    assert_eq!(backend.songs().find_summaries(&none).await.unwrap().items, []);
    let unlimited = SongQuery { limit: usize::MAX, ..query };
    assert_eq!(ids(&pages(backend, &unlimited).await), all);
}

/// What comes or goes between two pages may be on either or on none; every
/// other song is on exactly one.
pub async fn pages_fit_while_the_library_changes(backend: &dyn StorageBackend) {
    let fixture = library_of(30, 38).store(backend).await;

    for order in [
        Order { by: OrderBy::Any, descending: false },
        Order { by: OrderBy::Id, descending: false },
        Order { by: OrderBy::Title, descending: false },
        Order { by: OrderBy::Year, descending: true },
    ] {
        let mut songs = library_of(12, 39).songs;
        for (number, song) in songs.iter_mut().enumerate() {
            // Some come early in the order, some late.
            *song = retitled(song, if number % 2 == 0 { "A" } else { "zz" });
            song.tags.year = Some(if number % 2 == 0 { 1900 } else { 2100 });
        }
        let mut query = SongQuery { order, limit: 4, ..SongQuery::default() };
        let mut found = Vec::new();
        for song in songs.iter().cycle().take(200) {
            let page = backend.songs().find(&query).await.unwrap();
            found.extend(ids(&page.items));
            let Some(next) = page.next else { break };
            query.after = Some(next);
            backend.put_song(song, PutMode::Create).await.ok();
            // The last song of a page goes as well, if it is not one of those
            // that have to be found once.
            if let Some(last) = page.items.last().filter(|last| ids(&songs).contains(&last.id)) {
                backend.songs().delete(&[delete(last.id)]).await.unwrap();
            }
        }
        let coming: BTreeSet<SongId> = songs.iter().map(|song| song.id).collect();
        found.retain(|id| !coming.contains(id));
        found.sort_unstable();
        assert_eq!(found, ids(&fixture.songs), "{order:?}");
        let leaving: Vec<_> = coming.into_iter().map(delete).collect();
        backend.songs().delete(&leaving).await.unwrap();
    }
}

/// A token is only valid with the filter and the order that it came from.
pub async fn a_token_of_another_query_is_refused(backend: &dyn StorageBackend) {
    library_of(10, 40).store(backend).await;
    let query = SongQuery { limit: 2, ..SongQuery::default() };
    let token = backend.songs().find(&query).await.unwrap().next.unwrap();
    let nonsense = ["", "nonsense", "-1", "{}", "null", "\u{0}", "'", "AAAA"];

    for wrong in nonsense.map(|text| PageToken(text.to_owned())) {
        let query = SongQuery { after: Some(wrong.clone()), ..query.clone() };
        let what = format!("{wrong:?}");
        assert_refused(backend.songs().find(&query).await, ErrorKind::Invalid, &what);
        assert_refused(backend.songs().find_summaries(&query).await, ErrorKind::Invalid, &what);
    }
    let after = Some(token);
    let filter = Filter::parse_all(&["year:1990.."]).unwrap();
    let order = Order { by: OrderBy::Title, descending: false };
    let down = Order { descending: true, ..Order::default() };
    for other in [
        SongQuery { filter, after: after.clone(), ..query.clone() },
        SongQuery { order, after: after.clone(), ..query.clone() },
        SongQuery { order: down, after: after.clone(), ..query.clone() },
    ] {
        assert_refused(
            backend.songs().find(&other).await,
            ErrorKind::Invalid,
            format_args!("{other:?}"),
        );
    }
    // With another limit it is the same query.
    backend.songs().find(&SongQuery { after, limit: 3, ..query }).await.unwrap();
}

/// A search sees a song as it is now.
pub async fn an_edited_song_is_found_as_it_is_now(backend: &dyn StorageBackend) {
    let one = song("one");
    let edited = retitled(&one, "Zwei");
    let titled = |title: &str| SongQuery {
        filter: Filter::parse_all(&[format!("title:{title}")]).unwrap(),
        limit: 5,
        ..SongQuery::default()
    };
    backend.songs().put(&[put(&one, PutMode::Create)]).await.unwrap();
    assert_eq!(backend.songs().find(&titled("one")).await.unwrap().items, [one.clone()]);

    backend.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();

    assert_eq!(backend.songs().find(&titled("one")).await.unwrap().items, []);
    assert_eq!(backend.songs().find(&titled("zwei")).await.unwrap().items, [edited.clone()]);
    assert_eq!(
        backend.songs().find_summaries(&titled("zwei")).await.unwrap().items,
        [SongSummary::of(&edited)]
    );
    let filter = Filter::parse_all(&["title:one"]).unwrap();
    assert_eq!(backend.songs().count(&filter).await.unwrap(), 0);
}
