//! Regions of songs.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;
use songrec_core::{Metric, ModelSpec, Pattern, Segment, SegmentId, SongId};
use songrec_storage::{
    ErrorKind, NearestSegments, SegmentOrder, SegmentQuery, StorageBackend, WhichSegments,
};

use crate::{dot_model, random_vector, song, time, tiny_model, vector};

use super::refusal::assert_refused;

const KINDS: [&str; 4] = ["window", "harmonic", "it's 100%_odd", ""];
const SOURCES: [&str; 3] = ["a person", "it's 100%_odd", ""];
const WHICH: [WhichSegments; 4] =
    [WhichSegments::All, WhichSegments::All, WhichSegments::Windows, WhichSegments::Patterns];
const ORDERS: [SegmentOrder; 3] =
    [SegmentOrder::Start, SegmentOrder::End, SegmentOrder::Confidence];
const TOLERANCE: f64 = 2e-5;

fn segment(number: u8) -> Segment {
    Segment {
        id: SegmentId::from_bytes([number; 16]),
        song: song("one").id,
        start: 0.1,
        end: 0.1 + 0.2,
        frequencies: Some((20.5, 11_025.1)),
        kind: "harmonic".into(),
        confidence: 0.7,
        model: tiny_model().name,
        vector: vector(&[f32::from(number) + 0.1, -0.0, 1e-40, 1.0, 1.0, 1.0, 1.0, 1.0]),
        created_at: time(number.into()),
        pattern: None,
    }
}

// What a person said of a segment, with what is hard to carry.
fn pattern(number: u8) -> Pattern {
    let metadata = json!({"it's \"a\u{0}\"": [1.5, null, {"": "\u{1f39c}"}], "id": "x"});
    Pattern {
        id: SegmentId::from_bytes([number; 16]),
        source: Some("detector's 100%_odd".to_owned()),
        metadata: metadata.as_object().cloned().unwrap_or_default(),
        changed_at: time(u64::from(number) + 1),
    }
}

// Segments of a few songs; values are often equal, so that ties are met.
fn random_segments(count: usize, seed: u64, models: &[ModelSpec]) -> Vec<Segment> {
    let mut rng = StdRng::seed_from_u64(seed);
    let songs: Vec<SongId> = (0..4).map(|number| song(&number.to_string()).id).collect();
    (0..count)
        .map(|_| {
            let model = models.choose(&mut rng).unwrap();
            let id = SegmentId::from_bytes(rng.random());
            let mut of_few = pattern(rng.random_range(0..9));
            of_few.source =
                rng.random_bool(0.7).then(|| (*SOURCES.choose(&mut rng).unwrap()).to_owned());
            let start = f64::from(rng.random_range(0..8u8)) / 4.0;
            let low = f32::from(rng.random_range(0..5u8)) * 1_000.0;
            Segment {
                id,
                song: *songs.choose(&mut rng).unwrap(),
                start,
                end: start + f64::from(rng.random_range(0..8u8)) / 4.0,
                frequencies: rng.random_bool(0.6).then_some((low, low + 1_500.0)),
                kind: (*KINDS.choose(&mut rng).unwrap()).to_owned(),
                confidence: f32::from(rng.random_range(0..5u8)) / 4.0,
                model: model.name.clone(),
                vector: random_vector(&mut rng, model),
                created_at: time(0),
                pattern: rng.random_bool(0.5).then_some(of_few),
            }
        })
        .collect()
}

// None, which means all, or a song with segments and others.
fn random_songs(rng: &mut StdRng, segments: &[Segment], one: SongId) -> Vec<SongId> {
    if rng.random_bool(0.5) {
        return Vec::new();
    }
    let others = rng.random_range(0..3);
    segments.choose_multiple(rng, others).map(|other| other.song).chain([one]).collect()
}

fn random_query(rng: &mut StdRng, segments: &[Segment], models: &[ModelSpec]) -> SegmentQuery {
    let one = segments.choose(rng).unwrap();
    let kinds = rng.random_range(0..3);
    let sources = if rng.random_bool(0.2) { 2 } else { 0 };
    SegmentQuery {
        songs: random_songs(rng, segments, one.song),
        model: rng.random_bool(0.4).then(|| models.choose(rng).unwrap().name.clone()),
        kinds: KINDS.choose_multiple(rng, kinds).map(|kind| (*kind).to_owned()).collect(),
        // Touching ends overlap.
        time: rng.random_bool(0.4).then(|| (one.end, one.end + rng.random_range(0.0..1.0))),
        frequencies: rng.random_bool(0.3).then(|| one.frequencies.unwrap_or((900.0, 1_000.0))),
        min_confidence: rng.random_bool(0.4).then_some(one.confidence),
        which: *WHICH.choose(rng).unwrap(),
        patterns: match &one.pattern {
            Some(pattern) if rng.random_bool(0.2) => {
                vec![pattern.id, SegmentId::from_bytes([3; 16])]
            }
            _ => Vec::new(),
        },
        sources: SOURCES.choose_multiple(rng, sources).map(|one| (*one).to_owned()).collect(),
        order: *ORDERS.choose(rng).unwrap(),
        descending: rng.random(),
        skip: 0,
        limit: 1_000,
    }
}

fn numbers(segments: &[Segment]) -> Vec<SegmentId> {
    segments.iter().map(|segment| segment.id).collect()
}

/// Segments come back as they were stored, in the order asked for; a missing
/// one is `None`.
pub async fn segments_come_back(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let mut whole = segment(2);
    whole.frequencies = None;
    whole.start = 0.0;
    whole.end = 0.0;
    let mut named = segment(3);
    named.pattern = Some(pattern(7));
    let segments = [segment(1), whole, named];

    backend.segments().put(&segments).await.unwrap();

    let asked = [3, 9, 1, 3, 2].map(|number| SegmentId::from_bytes([number; 16]));
    let stored = backend.segments().get(&asked).await.unwrap();
    let [one, two, three] = segments;
    assert_eq!(stored, [Some(three.clone()), None, Some(one), Some(three), Some(two)]);
    let bits = |segment: &Segment| -> Vec<u32> {
        segment.vector.values().iter().map(|value| value.to_bits()).collect()
    };
    assert_eq!(stored[2].as_ref().map(bits), Some(bits(&segment(1))));
}

/// Storing a segment again is a no-op.
pub async fn storing_a_segment_again_changes_nothing(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let one = segment(1);

    for _ in 0..2 {
        backend.segments().put(&[one.clone(), one.clone()]).await.unwrap();
    }

    let query = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    assert_eq!(backend.segments().find(&query).await.unwrap(), [one]);
}

/// What is wrong with one segment is said before anything of the batch is
/// stored.
pub async fn refused_segments_store_nothing(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let change = |change: &dyn Fn(&mut Segment)| {
        let mut segment = segment(2);
        change(&mut segment);
        segment
    };
    let cases = [
        ("an unknown model", change(&|one| one.model = dot_model().name)),
        ("too few dimensions", change(&|one| one.vector = vector(&[1.0; 7]))),
        ("a zero vector under cosine", change(&|one| one.vector = vector(&[0.0; 8]))),
        ("its end before its beginning", change(&|one| (one.start, one.end) = (1.0, 0.9))),
        ("no time", change(&|one| one.end = f64::NAN)),
        ("no beginning", change(&|one| one.start = f64::NAN)),
        ("no end", change(&|one| one.end = f64::INFINITY)),
        ("a beginning before its song's", change(&|one| one.start = -0.5)),
        ("frequencies in the wrong order", change(&|one| one.frequencies = Some((2.0, 1.0)))),
        ("a frequency below zero", change(&|one| one.frequencies = Some((-1.0, 1.0)))),
        ("endless frequencies", change(&|one| one.frequencies = Some((1.0, f32::INFINITY)))),
        ("no frequency", change(&|one| one.frequencies = Some((f32::NAN, 1.0)))),
        ("more than sure", change(&|one| one.confidence = 1.1)),
        ("less than unsure", change(&|one| one.confidence = -0.1)),
        ("no confidence", change(&|one| one.confidence = f32::NAN)),
    ];

    for (what, wrong) in cases {
        assert_refused(
            backend.segments().put(&[segment(1), wrong]).await,
            ErrorKind::Invalid,
            what,
        );
    }
    let query = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    assert_eq!(backend.segments().find(&query).await.unwrap(), []);
}

/// The segments found are those that the query passes, in its order, equal
/// ones by their ids, page by page.
pub async fn segments_are_found_by_their_query(backend: &dyn StorageBackend) {
    let models = [tiny_model(), dot_model()];
    for model in &models {
        backend.embeddings().put_model(model).await.unwrap();
    }
    let segments = random_segments(60, 61, &models);
    backend.segments().put(&segments).await.unwrap();
    let mut rng = StdRng::seed_from_u64(62);

    for _ in 0..80 {
        let mut query = random_query(&mut rng, &segments, &models);
        let mut expected: Vec<Segment> =
            segments.iter().filter(|segment| query.passes(segment)).cloned().collect();
        expected.sort_by(|left, right| query.compare(left, right));

        let found = backend.segments().find(&query).await.unwrap();
        assert_eq!(numbers(&found), numbers(&expected), "{query:?}");
        assert_eq!(found, expected);

        (query.skip, query.limit) = (rng.random_range(0..10), rng.random_range(0..10));
        let part = backend.segments().find(&query).await.unwrap();
        let expected: Vec<_> =
            numbers(&expected).into_iter().skip(query.skip).take(query.limit).collect();
        assert_eq!(numbers(&part), expected, "{query:?}");
    }
    assert_eq!(backend.segments().find(&SegmentQuery::default()).await.unwrap(), []);
    let beyond = SegmentQuery { skip: usize::MAX, limit: usize::MAX, ..SegmentQuery::default() };
    assert_eq!(backend.segments().find(&beyond).await.unwrap(), []);
    let all = SegmentQuery { limit: usize::MAX, ..SegmentQuery::default() };
    assert_eq!(backend.segments().find(&all).await.unwrap().len(), 60);
}

/// The nearest segments are those that looking at all of them gives.
pub async fn nearest_segments_agree_with_looking_at_all(backend: &dyn StorageBackend) {
    let models = [tiny_model(), dot_model()];
    for model in &models {
        backend.embeddings().put_model(model).await.unwrap();
    }
    let segments = random_segments(60, 63, &models);
    backend.segments().put(&segments).await.unwrap();
    let mut rng = StdRng::seed_from_u64(64);

    for round in 0..40 {
        let model = &models[round % 2];
        let other = backend.capabilities().any_metric && round % 5 == 0;
        let mut among = random_query(&mut rng, &segments, &models);
        among.model = Some(model.name.clone());
        // Not looked at.
        (among.skip, among.limit) = (3, 1);
        let mut query = NearestSegments {
            vector: random_vector(&mut rng, model),
            among,
            k: rng.random_range(0..8),
            threshold: None,
            metric: other.then_some(Metric::Euclidean),
            exclude: vec![],
        };
        let metric = query.metric.unwrap_or(model.metric);
        let hits = |query: &NearestSegments| {
            let mut hits: Vec<(f64, &Segment)> = segments
                .iter()
                .filter(|one| query.among.passes(one) && !query.exclude.contains(&one.id))
                .map(|one| (metric.compare(&query.vector, &one.vector).0, one))
                .filter(|(similarity, _)| query.threshold.is_none_or(|least| *similarity >= least))
                .collect();
            hits.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.id.cmp(&right.1.id)));
            hits
        };
        if round % 3 == 0 {
            query.exclude = hits(&query).iter().step_by(2).map(|(_, one)| one.id).collect();
        }
        if let [.., (better, _), (worse, _)] = hits(&query)[..]
            && round % 4 == 0
            && better - worse > 10.0 * TOLERANCE
        {
            query.threshold = Some((better + worse) / 2.0);
        }

        let found = backend.segments().nearest(&query).await.unwrap();

        let expected: Vec<_> = hits(&query).into_iter().take(query.k).collect();
        assert_eq!(found.len(), expected.len(), "{query:?}");
        for (found, (similarity, segment)) in found.iter().zip(expected) {
            assert_eq!(found.segment, *segment, "{query:?}");
            assert!((found.similarity - similarity).abs() < TOLERANCE, "{found:?}");
            let distance = metric.distance(similarity);
            assert!((found.distance - distance).abs() < 100.0 * TOLERANCE, "{found:?}");
        }
    }
}

/// What cannot be searched for is said to be so.
pub async fn a_wrong_search_of_segments_is_refused(backend: &dyn StorageBackend) {
    let model = tiny_model();
    backend.embeddings().put_model(&model).await.unwrap();
    backend.segments().put(&[segment(1)]).await.unwrap();
    let query = |model: Option<&ModelSpec>, values: &[f32]| NearestSegments {
        vector: vector(values),
        among: SegmentQuery {
            model: model.map(|model| model.name.clone()),
            ..SegmentQuery::default()
        },
        k: 5,
        threshold: None,
        metric: None,
        exclude: vec![],
    };

    for (what, wrong) in [
        ("no model", query(None, &[1.0; 8])),
        ("an unknown model", query(Some(&dot_model()), &[1.0; 5])),
        ("a wrong dimension", query(Some(&model), &[1.0; 5])),
        ("a zero vector under cosine", query(Some(&model), &[0.0; 8])),
    ] {
        assert_refused(backend.segments().nearest(&wrong).await, ErrorKind::Invalid, what);
    }
    let right = query(Some(&model), &[1.0; 8]);
    assert_eq!(backend.segments().nearest(&right).await.unwrap().len(), 1);
}

/// A deletion says of each segment whether it was there.
pub async fn deleted_segments_were_there(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let segments = [1, 2, 3].map(segment);
    backend.segments().put(&segments).await.unwrap();
    let ids = [3, 9, 1].map(|number| SegmentId::from_bytes([number; 16]));

    assert_eq!(backend.segments().delete(&ids).await.unwrap(), [true, false, true]);

    assert_eq!(backend.segments().delete(&ids).await.unwrap(), [false, false, false]);
    assert_eq!(backend.segments().get(&ids).await.unwrap(), [None, None, None]);
    let query = SegmentQuery { limit: 10, ..SegmentQuery::default() };
    assert_eq!(backend.segments().find(&query).await.unwrap(), segments[1..2]);
    let nearest = NearestSegments {
        vector: segments[0].vector.clone(),
        among: SegmentQuery { model: Some(tiny_model().name), ..SegmentQuery::default() },
        k: 10,
        threshold: None,
        metric: None,
        exclude: vec![],
    };
    assert_eq!(backend.segments().nearest(&nearest).await.unwrap().len(), 1);
}

/// Two versions of a pattern are two segments, and both are found by its id: also
/// among windows, which a search for windows alone gives.
pub async fn patterns_are_found_by_their_ids(backend: &dyn StorageBackend) {
    backend.embeddings().put_model(&tiny_model()).await.unwrap();
    let version = |number: u8, of: u8| Segment { pattern: Some(pattern(of)), ..segment(number) };
    let segments = [segment(1), version(2, 2), version(3, 2), version(4, 4), segment(5)];
    backend.segments().put(&segments).await.unwrap();
    let ids = |numbers: &[u8]| -> Vec<SegmentId> {
        numbers.iter().map(|number| SegmentId::from_bytes([*number; 16])).collect()
    };
    let all = SegmentQuery { limit: 10, ..SegmentQuery::default() };

    for (query, expected) in [
        (SegmentQuery { patterns: ids(&[2, 1]), ..all.clone() }, &[2, 3][..]),
        (SegmentQuery { which: WhichSegments::Patterns, ..all.clone() }, &[2, 3, 4]),
        (SegmentQuery { which: WhichSegments::Windows, ..all.clone() }, &[1, 5]),
        (SegmentQuery { sources: vec!["nobody".to_owned()], ..all.clone() }, &[]),
    ] {
        let found = backend.segments().find(&query).await.unwrap();
        assert_eq!(numbers(&found), ids(expected), "{query:?}");

        let nearest = NearestSegments {
            vector: segments[0].vector.clone(),
            among: SegmentQuery { model: Some(tiny_model().name), ..query.clone() },
            k: 10,
            threshold: None,
            metric: None,
            exclude: vec![],
        };
        let mut found: Vec<SegmentId> = backend
            .segments()
            .nearest(&nearest)
            .await
            .unwrap()
            .into_iter()
            .map(|hit| hit.segment.id)
            .collect();
        found.sort_unstable();
        assert_eq!(found, ids(expected), "{query:?}");
    }
}
