//! Any sequence of changes gives the same answers as a plain list of rows.

use std::collections::BTreeMap;

use crate::plain::{answers, plain};
use crate::sample::{copy, key, options};
use proptest::prelude::*;
use songrec_index::{Error, Filter, Index, Key, Kind, Metric, Precision, Query, RowSet};

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<(u8, u8)>),
    Remove(Vec<u8>),
    Reopen,
    /// Ends without a word, as a process that is killed.
    Crash,
    Arrange,
    Verify,
}

const DIMENSION: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    // Few enough that some keys get equal rows.
    let row = 0..200_u8;
    prop_oneof![
        6 => prop::collection::vec((0..40_u8, row), 1..12).prop_map(Step::Put),
        3 => prop::collection::vec(0..40_u8, 1..8).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
        1 => Just(Step::Arrange),
        1 => Just(Step::Verify),
    ]
}

fn row_of(number: u8) -> Vec<f32> {
    crate::sample::row(number.into(), DIMENSION)
}

fn metric() -> impl Strategy<Value = Metric> {
    prop_oneof![Just(Metric::Cosine), Just(Metric::Dot), Just(Metric::Euclidean)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_sequence_of_changes_answers_like_a_plain_list(
        steps in prop::collection::vec(step(), 1..40),
        stored in metric(),
        kind in prop_oneof![Just(Kind::Auto), Just(Kind::Flat), Just(Kind::Ivf)],
        asked in metric(),
        (k, offset) in (1..12_usize, 0..4_usize),
        set in prop::collection::vec(0..50_u8, 0..30),
        excluded in prop::collection::vec(0..40_u8, 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut path = dir.path().join("index");
        let mut index = Index::create(&path, &options(DIMENSION, stored, kind)).unwrap();
        // Sees every change, though it makes none; and reads past its maps.
        let mut watcher = Index::open(&path).unwrap().with_mapped(0);
        let mut crashes = 0;
        let mut model: BTreeMap<Key, Vec<f32>> = BTreeMap::new();

        for step in steps {
            match step {
                Step::Put(rows) => {
                    let rows: Vec<(Key, Vec<f32>)> = rows
                        .into_iter()
                        .map(|(id, row)| (key(id.into()), row_of(row)))
                        .collect();
                    let batch: Vec<(Key, &[f32])> =
                        rows.iter().map(|(key, row)| (*key, row.as_slice())).collect();
                    index.put(&batch).unwrap();
                    model.extend(rows);
                }
                Step::Remove(ids) => {
                    let keys: Vec<Key> = ids.into_iter().map(|id| key(id.into())).collect();
                    let mut expected = 0;
                    for key in &keys {
                        expected += usize::from(model.remove(key).is_some());
                    }
                    prop_assert_eq!(index.remove(&keys).unwrap(), expected);
                }
                Step::Reopen => {
                    drop(index);
                    index = Index::open(&path).unwrap();
                }
                Step::Crash => {
                    // The files as they are while it is open: what is in the
                    // log has not been settled, and nobody is alive.
                    crashes += 1;
                    let left = dir.path().join(format!("crash {crashes}"));
                    copy(&path, &left);
                    path = left;
                    index = Index::open(&path).unwrap();
                    watcher = Index::open(&path).unwrap().with_mapped(0);
                }
                Step::Arrange => assert!(index.build(&|| false).unwrap()),
                Step::Verify => index.verify().unwrap(),
            }
        }

        index.verify().unwrap();
        let set = RowSet::new(set.into_iter().map(|id| key(id.into())));
        let excluded: Vec<Key> = excluded.into_iter().map(|id| key(id.into())).collect();
        let odd = |key: &Key| key.0[15] % 2 == 1;
        for index in [&index, &watcher] {
            prop_assert_eq!(index.len(), model.len());
            let mut keys: Vec<Key> = index.keys().unwrap();
            keys.sort();
            prop_assert_eq!(keys, model.keys().copied().collect::<Vec<_>>());
            for (key, row) in &model {
                let found = index.get(key);
                prop_assert_eq!(found.unwrap(), Some(row.clone()));
            }
            for filter in [Filter::All, Filter::Rows(&set), Filter::Predicate(&odd)] {
                for precision in [Precision::Exact, Precision::Proved, Precision::Auto] {
                    let query = Query {
                        metric: Some(asked),
                        filter,
                        exclude: &excluded,
                        offset,
                        precision,
                        ..Query::new(&[1.0, -2.0, 0.5, 3.0, -1.0], k)
                    };
                    let expected = plain(&model, &query, asked);
                    let found = index.search(&query).unwrap();
                    prop_assert_eq!(answers(&found), answers(&expected), "{:?}", precision);
                }
            }
        }
    }
}

#[test]
fn a_page_is_full_while_more_rows_exist() {
    let (_dir, index) = crate::sample::index(3, Metric::Cosine);
    let rows: Vec<(Key, Vec<f32>)> = (0..50).map(|i| (key(i), vec![1.0, i as f32, 2.0])).collect();
    crate::sample::put(&index, &rows);
    let excluded: Vec<Key> = (0..20).map(key).collect();

    let mut query = Query::new(&[1.0, 0.0, 2.0], 10);
    query.exclude = &excluded;
    query.offset = 20;

    assert_eq!(index.search(&query).unwrap().len(), 10);
    query.offset = 25;
    assert_eq!(index.search(&query).unwrap().len(), 5);
}

#[test]
fn a_threshold_ends_the_list() {
    let (_dir, index) = crate::sample::index(2, Metric::Cosine);
    let rows = [(key(1), vec![1.0, 0.0]), (key(2), vec![1.0, 1.0]), (key(3), vec![0.0, 1.0])];
    crate::sample::put(&index, &rows);

    let mut query = Query::new(&[1.0, 0.0], 10);
    query.threshold = Some(0.7);
    let found = index.search(&query).unwrap();

    assert_eq!(found.iter().map(|hit| hit.key).collect::<Vec<_>>(), [key(1), key(2)]);
    assert_eq!(found[0].distance, 0.0);
    assert!((found[1].similarity - 0.5_f64.sqrt()).abs() < 1e-12);
}

#[test]
fn several_vectors_pull_and_push() {
    let (_dir, index) = crate::sample::index(2, Metric::Cosine);
    let rows = [(key(1), vec![1.0, 1.0]), (key(2), vec![1.0, 0.0]), (key(3), vec![1.0, -1.0])];
    crate::sample::put(&index, &rows);
    let (east, north) = ([5.0, 0.0], [0.0, 0.1]);

    let mut query = Query::new(&east, 1);
    query.vectors.push((&north, 1.0));
    let toward = index.search(&query).unwrap();
    query.vectors[1].1 = -1.0;
    let away = index.search(&query).unwrap();

    assert_eq!(toward[0].key, key(1));
    assert_eq!(away[0].key, key(3));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (_dir, index) = crate::sample::index(2, Metric::Cosine);

    let short = index.put(&[(key(1), &[1.0])]).unwrap_err();
    let zero = index.put(&[(key(1), &[0.0, 0.0])]).unwrap_err();
    let nan = index.put(&[(key(2), &[1.0, 0.0]), (key(1), &[1.0, f32::NAN])]).unwrap_err();
    let query = index.search(&Query::new(&[1.0, 2.0, 3.0], 1)).unwrap_err();

    assert_eq!(short.to_string(), "expected a vector of 2 values, got one of 1");
    assert!(matches!(zero, Error::Zero));
    assert!(matches!(nan, Error::NotFinite { position: 1 }));
    assert!(matches!(query, Error::Dimension { expected: 2, found: 3 }));
    assert!(index.is_empty());
}

#[test]
fn equally_similar_rows_come_in_the_order_of_their_keys() {
    let (_dir, index) = crate::sample::index(2, Metric::Cosine);
    let rows: Vec<(Key, Vec<f32>)> =
        [9, 3, 7, 1, 5].into_iter().map(|i| (key(i), vec![2.0, 1.0])).collect();
    crate::sample::put(&index, &rows);

    let found = index.search(&Query::new(&[1.0, 1.0], 3)).unwrap();

    assert_eq!(found.iter().map(|hit| hit.key).collect::<Vec<_>>(), [key(1), key(3), key(5)]);
}

#[test]
fn the_space_of_removed_rows_is_used_again() {
    let (dir, index) = crate::sample::index(16, Metric::Dot);
    let batch = |first: u64| -> Vec<(Key, Vec<f32>)> {
        (first..first + 2000).map(|i| (key(i), vec![i as f32; 16])).collect()
    };
    let size = || -> u64 {
        std::fs::read_dir(dir.path().join("index"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name() != "log")
            .map(|entry| entry.metadata().unwrap().len())
            .sum()
    };
    crate::sample::put(&index, &batch(0));
    let before = size();

    for round in 0..20 {
        let keys: Vec<Key> = (0..2000).map(|i| key(round * 2000 + i)).collect();
        assert_eq!(index.remove(&keys).unwrap(), 2000);
        crate::sample::put(&index, &batch((round + 1) * 2000));
    }

    index.verify().unwrap();
    assert!(size() < before + before / 4, "{before} became {}", size());
}

#[test]
fn the_rows_are_a_npy_file() {
    let (dir, index) = crate::sample::index(3, Metric::Dot);
    crate::sample::put(&index, &[(key(1), vec![1.0, 2.0, 3.0])]);

    let bytes = std::fs::read(dir.path().join("index/rows.npy")).unwrap();

    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let header = std::str::from_utf8(&bytes[10..128]).unwrap();
    assert!(header.contains("'shape': (1, 3)"), "{header}");
    assert_eq!(&bytes[128..132], 1.0_f32.to_le_bytes());
}
