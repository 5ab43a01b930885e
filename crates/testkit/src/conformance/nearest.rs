//! The songs nearest to a vector, against looking at every one of them.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng, rngs::StdRng};
use songrec_core::{Embedding, Filter, Metric, ModelSpec, SongId, SongSummary, Vector};
use songrec_storage::{
    ErrorKind, NearestQuery, NearestSongs, Neighbor, PutMode, StorageBackend, StorageBackendExt,
};

use crate::{
    Fixture, delete, dot_model, euclidean_model, library_of, new_embedding, random_filter,
    random_vector, retitled, song, tiny_model, vector,
};

use super::refusal::assert_refused;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

// Backends may compute in float32 and answer in it: 24 bits, and some of them
// lost in a sum. Similarities of the fixtures are of the order of one.
const TOLERANCE: f64 = 2e-5;

// What the answer has to be, by the definitions of metric and filter: every
// song that counts, nearest first.
fn by_hand(fixture: &Fixture, model: &ModelSpec, query: &NearestQuery) -> Vec<(SongId, f64, f64)> {
    let metric = query.metric.unwrap_or(model.metric);
    let summaries: BTreeMap<SongId, SongSummary> =
        fixture.songs.iter().map(|song| (song.id, SongSummary::of(song))).collect();
    let mut hits: Vec<_> = fixture
        .embeddings
        .iter()
        .filter(|one| one.model == query.model && !query.exclude.contains(&one.song))
        .filter(|one| summaries.get(&one.song).is_some_and(|summary| query.filter.passes(summary)))
        .map(|one| {
            let (similarity, distance) = metric.compare(&query.vector, &one.vector);
            (one.song, similarity, distance)
        })
        .filter(|(_, similarity, _)| query.threshold.is_none_or(|least| *similarity >= least))
        .collect();
    hits.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    hits
}

// Checks an answer against every hit there is. Similarities closer than the
// tolerance may be in either order.
fn check(hits: &[Neighbor], all: &[(SongId, f64, f64)], query: &NearestQuery) {
    let expected: Vec<_> = all.iter().skip(query.offset).take(query.k).collect();
    assert_eq!(hits.len(), expected.len(), "{query:?}");
    let exact: BTreeMap<SongId, (f64, f64)> =
        all.iter().map(|(song, similarity, distance)| (*song, (*similarity, *distance))).collect();
    for (hit, (_, rank_similarity, _)) in hits.iter().zip(&expected) {
        let Some((similarity, distance)) = exact.get(&hit.song) else {
            panic!("{} does not count: {query:?}", hit.song);
        };
        assert!((hit.similarity - similarity).abs() < TOLERANCE, "{hit:?}, not {similarity}");
        // A root makes a small difference near zero a large one.
        let squares = (hit.distance * hit.distance - distance * distance).abs();
        assert!(
            (hit.distance - distance).abs() < TOLERANCE || squares < TOLERANCE,
            "{hit:?}, not {distance}"
        );
        assert!((similarity - rank_similarity).abs() < TOLERANCE, "{hit:?} is out of place");
    }
    let distinct: BTreeSet<_> = hits.iter().map(|hit| hit.song).collect();
    assert_eq!(distinct.len(), hits.len(), "a song was found twice");
    for pair in hits.windows(2) {
        let in_order = pair[0].similarity > pair[1].similarity
            || (pair[0].similarity == pair[1].similarity && pair[0].song < pair[1].song);
        assert!(in_order, "{pair:?} are not in order");
    }
}

async fn search(backend: &dyn StorageBackend, query: &NearestQuery) -> Vec<Neighbor> {
    backend.embeddings().nearest(query).await.unwrap_or_else(|error| panic!("{query:?}: {error}"))
}

/// The nearest songs are those that looking at all of them gives, under every
/// metric that the backend has.
pub async fn nearest_agrees_with_looking_at_all(backend: &dyn StorageBackend) {
    let models = [tiny_model(), dot_model(), euclidean_model()];
    let mut fixture = library_of(60, 11);
    for (number, model) in models.iter().enumerate() {
        fixture = fixture.embedded_by(model, number as u64);
    }
    let fixture = fixture.store(backend).await;
    let mut rng = StdRng::seed_from_u64(12);

    for model in &models {
        let others = METRICS.into_iter().filter(|_| backend.capabilities().any_metric).map(Some);
        for metric in [None, Some(model.metric)].into_iter().chain(others) {
            for _ in 0..3 {
                let mut query =
                    NearestQuery::new(model.name.clone(), random_vector(&mut rng, model), 10);
                query.metric = metric;
                check(&search(backend, &query).await, &by_hand(&fixture, model, &query), &query);
            }
        }
    }
}

/// A song is nearest to itself, and every song can be found.
pub async fn a_song_is_nearest_to_itself(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let fixture = library_of(25, 13).embedded_by(&model, 1).store(backend).await;

    for embedding in &fixture.embeddings {
        let query = NearestQuery::new(model.name.clone(), embedding.vector.clone(), 3);
        let hits = search(backend, &query).await;

        assert!((hits[0].similarity - 1.0).abs() < TOLERANCE, "{:?}", hits[0]);
        check(&hits, &by_hand(&fixture, &model, &query), &query);
    }
}

/// `k` and `offset` cut pages out of one list; what is beyond the end is
/// empty, however large the numbers.
pub async fn nearest_comes_in_pages(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let fixture = library_of(40, 14).embedded_by(&model, 2).store(backend).await;
    let query = NearestQuery::new(model.name.clone(), vector(&[0.5; 8]), 100);
    let all = search(backend, &query).await;
    check(&all, &by_hand(&fixture, &model, &query), &query);

    for (offset, k) in [(0, 7), (7, 7), (35, 10), (39, 1), (40, 5), (1_000, 5), (0, 0), (5, 0)] {
        let page = search(backend, &NearestQuery { offset, k, ..query.clone() }).await;

        let expected: Vec<_> = all.iter().skip(offset).take(k).cloned().collect();
        assert_eq!(page, expected, "{k} from {offset}");
    }
    for (offset, k) in [(0, usize::MAX), (10, usize::MAX), (usize::MAX, usize::MAX)] {
        let page = search(backend, &NearestQuery { offset, k, ..query.clone() }).await;

        assert_eq!(page.len(), 40usize.saturating_sub(offset), "{k} from {offset}");
    }
}

/// Filter, exclusion and threshold come before `k`: the answer is never short
/// while there are more.
pub async fn filters_never_make_nearest_short(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let fixture = library_of(80, 15).embedded_by(&model, 3).store(backend).await;
    let summaries: Vec<SongSummary> = fixture.songs.iter().map(SongSummary::of).collect();
    let mut rng = StdRng::seed_from_u64(16);

    for round in 0..60 {
        let mut query = NearestQuery::new(model.name.clone(), random_vector(&mut rng, &model), 5);
        query.filter = random_filter(&mut rng, &summaries);
        query.offset = if round % 3 == 0 { rng.random_range(0..5) } else { 0 };
        if round % 2 == 0 {
            let near = by_hand(&fixture, &model, &query);
            query.exclude = near.iter().step_by(2).take(10).map(|hit| hit.0).collect();
            query.exclude.push(song("missing").id);
        }
        if round % 4 == 0 {
            query.threshold = between(&by_hand(&fixture, &model, &query), &mut rng);
        }
        check(&search(backend, &query).await, &by_hand(&fixture, &model, &query), &query);
    }
}

// A threshold that no similarity comes close to.
fn between(hits: &[(SongId, f64, f64)], rng: &mut StdRng) -> Option<f64> {
    let gaps: Vec<f64> = hits
        .windows(2)
        .filter(|pair| pair[0].1 - pair[1].1 > 10.0 * TOLERANCE)
        .map(|pair| (pair[0].1 + pair[1].1) / 2.0)
        .collect();
    (!gaps.is_empty()).then(|| gaps[rng.random_range(0..gaps.len())])
}

/// A threshold keeps what is similar enough, ends included, and may keep
/// nothing.
pub async fn a_threshold_is_a_similarity(backend: &dyn StorageBackend) {
    for model in [tiny_model(), dot_model(), euclidean_model()] {
        let seed = model.dimension as u64;
        let fixture = library_of(30, seed).embedded_by(&model, seed).store(backend).await;
        let mut rng = StdRng::seed_from_u64(17);
        for _ in 0..5 {
            let mut query =
                NearestQuery::new(model.name.clone(), random_vector(&mut rng, &model), 100);
            let all = by_hand(&fixture, &model, &query);
            query.threshold = between(&all, &mut rng);
            check(&search(backend, &query).await, &by_hand(&fixture, &model, &query), &query);
            query.threshold = Some(all[0].1 + 0.01);
            assert_eq!(search(backend, &query).await, []);
            query.threshold = Some(all[29].1 - 0.01);
            assert_eq!(search(backend, &query).await.len(), 30);
            // The lowest similarity that counts does count.
            let hits = search(backend, &query).await;
            query.threshold = Some(hits[9].similarity);
            let above = search(backend, &query).await;
            assert_eq!(above[..10], hits[..10]);
        }
    }
}

/// Songs that sound exactly alike come in order of their ids, so that pages
/// of them fit together.
pub async fn equally_near_songs_come_by_their_ids(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let mut fixture = library_of(30, 18);
    let sounds = [vector(&[1.0, 2.0, 3.0, 4.0, 0.0, 0.1, 0.3, 0.7]), vector(&[1.0; 8])];
    fixture.models.push(model.clone());
    fixture.embeddings = fixture
        .songs
        .iter()
        .enumerate()
        .map(|(number, song)| Embedding {
            song: song.id,
            model: model.name.clone(),
            vector: sounds[number % 2].clone(),
        })
        .collect();
    let fixture = fixture.store(backend).await;
    let query = NearestQuery::new(model.name.clone(), sounds[0].clone(), 30);
    let expected: Vec<_> =
        by_hand(&fixture, &model, &query).into_iter().map(|(song, ..)| song).collect();

    let all: Vec<_> = search(backend, &query).await.into_iter().map(|hit| hit.song).collect();
    let mut pages = Vec::new();
    for offset in (0..30).step_by(4) {
        let page = search(backend, &NearestQuery { k: 4, offset, ..query.clone() }).await;
        pages.extend(page.into_iter().map(|hit| hit.song));
    }

    assert_eq!(all, expected);
    assert_eq!(pages, expected);
}

/// What cannot be searched for is said to be so.
pub async fn a_wrong_search_is_refused(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let unknown = NearestQuery::new(model.name.clone(), vector(&[1.0; 8]), 5);
    assert_refused(
        backend.embeddings().nearest(&unknown).await,
        ErrorKind::Invalid,
        "an unknown model",
    );
    backend.embeddings().put_model(&model).await.unwrap();
    assert_eq!(backend.embeddings().nearest(&unknown).await.unwrap(), [], "no songs");

    for values in [&[1.0; 7][..], &[1.0; 9], &[0.0; 8]] {
        let query = NearestQuery::new(model.name.clone(), vector(values), 5);
        assert_refused(
            backend.embeddings().nearest(&query).await,
            ErrorKind::Invalid,
            format_args!("{values:?}"),
        );
    }
    let mut query = unknown;
    query.metric = Some(Metric::Euclidean);
    match backend.embeddings().nearest(&query).await {
        Ok(hits) => assert!(backend.capabilities().any_metric && hits.is_empty()),
        Err(error) => {
            assert!(!backend.capabilities().any_metric, "{error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}

/// A search sees a song as it is now: an edit moves it into a filter or out
/// of it.
pub async fn nearest_filters_by_what_a_song_says_now(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let fixture = library_of(10, 19).embedded_by(&model, 5).store(backend).await;
    let one = &fixture.songs[4];
    let edited = retitled(one, "Unmistakable");
    let mut query = NearestQuery::new(model.name.clone(), vector(&[1.0; 8]), 5);
    query.filter = Filter::parse_all(&["title:unmistakable"]).unwrap();
    assert_eq!(search(backend, &query).await, []);

    backend.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    let hits = search(backend, &query).await;
    assert_eq!(hits.iter().map(|hit| hit.song).collect::<Vec<_>>(), [one.id]);

    let back = retitled(&edited, "Something else");
    backend.put_song(&back, PutMode::Replace(edited.revision.operation)).await.unwrap();
    assert_eq!(search(backend, &query).await, []);
}

/// Hits are confirmed against their songs: an embedding that no song names,
/// left by a crash or by a deletion, is never shown and leaves no gap.
pub async fn nearest_songs_are_songs(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let fixture = library_of(30, 20).embedded_by(&model, 6).store(backend).await;
    let query = NearestQuery::new(model.name.clone(), vector(&[1.0; 8]), 6);
    // The nearest of all, but their songs never came.
    let orphans: Vec<_> = (0..12)
        .map(|number| {
            let song = song(&format!("orphan {number}"));
            let vector = vector(&[1.0 + number as f32 / 1024.0; 8]);
            new_embedding(&song, Embedding { song: song.id, model: model.name.clone(), vector })
        })
        .collect();
    backend.embeddings().put(&orphans).await.unwrap();
    let mut left = by_hand(&fixture, &model, &query);
    let deleted: Vec<_> = left.drain(..5).map(|hit| delete(hit.0)).collect();
    backend.songs().delete(&deleted).await.unwrap();

    for offset in [0, 3, 20, 25, 100] {
        let found = backend.nearest_songs(&NearestQuery { offset, ..query.clone() }).await.unwrap();

        let neighbors: Vec<_> = found.iter().map(|(neighbor, _)| neighbor.clone()).collect();
        check(&neighbors, &left, &NearestQuery { offset, ..query.clone() });
        for (neighbor, song) in &found {
            let at = fixture.songs.binary_search_by_key(&neighbor.song, |song| song.id).unwrap();
            assert_eq!(*song, fixture.songs[at]);
        }
    }

    // Some at a time, they are the same.
    let of_all = by_hand(&fixture, &model, &NearestQuery { k: 30, ..query.clone() });
    let left: Vec<_> = of_all.into_iter().skip(5).collect();
    let mut nearest = NearestSongs::new(backend, NearestQuery { k: 4, ..query });
    let mut found = Vec::new();
    for count in [1, 2, 0, 7, 3, 30] {
        let some = nearest.next(count).await.unwrap();
        assert_eq!(some.len(), count.min(left.len() - found.len()), "{count}");
        found.extend(some.into_iter().map(|(neighbor, _)| neighbor.song));
    }
    assert_eq!(found, left.iter().map(|hit| hit.0).collect::<Vec<_>>());
    assert_eq!(nearest.next(1).await.unwrap(), []);
}

/// A song that gets its embedding later is found from then on; one that stops
/// naming it is not.
pub async fn a_song_is_found_while_it_names_its_embedding(backend: &dyn StorageBackend) {
    let model = tiny_model();
    backend.embeddings().put_model(&model).await.unwrap();
    let bare = song("one");
    backend.put_song(&bare, PutMode::Create).await.unwrap();
    let query = NearestQuery::new(model.name.clone(), vector(&[1.0; 8]), 5);
    assert_eq!(backend.nearest_songs(&query).await.unwrap(), []);

    let mut embedded = retitled(&bare, "heard");
    let embedding =
        Embedding { song: bare.id, model: model.name.clone(), vector: vector(&[2.0; 8]) };
    let references =
        backend.embeddings().put(&[new_embedding(&embedded, embedding)]).await.unwrap();
    embedded.embeddings.insert(model.name.clone(), references[0].clone());
    backend.put_song(&embedded, PutMode::Replace(bare.revision.operation)).await.unwrap();
    let found = backend.nearest_songs(&query).await.unwrap();
    assert_eq!(found.iter().map(|(_, song)| song).collect::<Vec<_>>(), [&embedded]);

    let mut deaf = retitled(&embedded, "deaf");
    deaf.embeddings.clear();
    backend.put_song(&deaf, PutMode::Replace(embedded.revision.operation)).await.unwrap();
    assert_eq!(backend.nearest_songs(&query).await.unwrap(), []);
}

/// Very long and very short vectors have a direction too.
pub async fn nearest_copes_with_extreme_vectors(backend: &dyn StorageBackend) {
    let model = tiny_model();
    let mut fixture = library_of(4, 21);
    let scaled = |scale: f32, first: f32| {
        let mut values = [scale; 8];
        values[0] = first * scale;
        Vector::new(values.to_vec()).unwrap()
    };
    let vectors = [scaled(1e18, 1.0), scaled(1e-18, 2.0), scaled(1.0, 3.0), scaled(1e10, 4.0)];
    fixture.models.push(model.clone());
    fixture.embeddings = fixture
        .songs
        .iter()
        .zip(&vectors)
        .map(|(song, vector)| Embedding {
            song: song.id,
            model: model.name.clone(),
            vector: vector.clone(),
        })
        .collect();
    let fixture = fixture.store(backend).await;

    for vector in vectors {
        let query = NearestQuery::new(model.name.clone(), vector, 4);

        check(&search(backend, &query).await, &by_hand(&fixture, &model, &query), &query);
    }
}
