//! Rows in lists: faster, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rand::prelude::*;
use songrec_index::{AllNeighbors, Filter, Index, Key, Kind, Metric, Precision, Query, RowSet};

use crate::plain::{answers, plain};
use crate::sample::{contents, copy, index_of, key, put};

/// Rows around some centers, as embeddings of songs are.
fn clustered(count: u64, dimension: usize, seed: u64) -> Vec<(Key, Vec<f32>)> {
    let center = |i: u64| crate::sample::row(1_000_000 + i, dimension);
    let mut random = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|i| {
            let center = center(random.random_range(0..count / 50 + 1));
            let values =
                center.into_iter().map(|value| value + random.random_range(-0.7..0.7)).collect();
            (key(i), values)
        })
        .collect()
}

fn shared(found: &[songrec_index::Hit], expected: &[songrec_index::Hit]) -> usize {
    let keys: HashSet<Key> = expected.iter().map(|hit| hit.key).collect();
    found.iter().filter(|hit| keys.contains(&hit.key)).count()
}

/// Where there are more clusters than lists, those that no centroid came close
/// to are not left in one long list.
#[test]
fn many_clusters_get_more_lists() {
    let (_dir, index) = index_of(512, Metric::Cosine, Kind::Ivf);
    let rows: Vec<(Key, Vec<f32>)> = (0..3000_u64)
        .map(|i| {
            let center =
                crate::sample::row((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 100, 512);
            let noise = crate::sample::row(1_000_000 + i, 512);
            let values = center.iter().zip(noise).map(|(value, more)| value + 0.5 * more).collect();
            (key(i), values)
        })
        .collect();
    put(&index, &rows);

    index.build(&|| false).unwrap();

    // The square root of 3,000.
    assert!(index.lists() > 54, "{}", index.lists());
    index.verify().unwrap();
}

/// A list of copies of one row cannot be split.
#[test]
fn rows_of_which_many_are_copies_are_built_into_lists() {
    for different in [1, 101] {
        let (_dir, index) = index_of(8, Metric::Cosine, Kind::Ivf);
        let value = |i: u64, at: u64| ((i % different * 31 + at * 7) % 101) as f32 + 1.0;
        let rows: Vec<(Key, Vec<f32>)> =
            (0..1500).map(|i| (key(i), (0..8).map(|at| value(i, at)).collect())).collect();
        put(&index, &rows);

        index.build(&|| false).unwrap();

        assert_eq!(index.search(&Query::new(&rows[0].1, 10)).unwrap().len(), 10);
        index.verify().unwrap();
    }
}

#[test]
fn lists_find_nearly_all_neighbors_and_proofs_all() {
    for (metric, dimension) in
        [(Metric::Cosine, 128), (Metric::Euclidean, 96), (Metric::Dot, 64), (Metric::Cosine, 45)]
    {
        let (_dir, index) = index_of(dimension, metric, Kind::Ivf);
        put(&index, &clustered(12_000, dimension, 1));
        assert!(index.wants_build());
        index.build(&|| false).unwrap();
        assert!(!index.wants_build());
        assert!(index.lists() > 50);
        index.verify().unwrap();

        let queries = clustered(12_000, dimension, 2);
        let (mut found, mut all) = (0, 0);
        for (_, query) in queries.iter().step_by(100) {
            let mut query = Query::new(query, 10);
            let fast = index.search(&query).unwrap();
            query.precision = Precision::Exact;
            let exact = index.search(&query).unwrap();
            query.precision = Precision::Proved;
            let proved = index.search(&query).unwrap();

            assert_eq!(proved, exact, "{metric:?} {dimension}");
            assert_eq!(fast.len(), 10);
            found += shared(&fast, &exact);
            all += exact.len();
        }
        let recall = found as f64 / all as f64;
        assert!(recall >= 0.995, "{metric:?} {dimension}: {recall}");
    }
}

#[test]
fn filters_keep_the_recall_at_any_selectivity() {
    let (_dir, index) = index_of(64, Metric::Cosine, Kind::Ivf);
    put(&index, &clustered(20_000, 64, 1));
    index.build(&|| false).unwrap();
    for part in [1, 10, 100, 1000] {
        let wanted = |key: &Key| u128::from_be_bytes(key.0).is_multiple_of(part);
        let rows = RowSet::new((0..20_000).map(key).filter(wanted));
        let (mut found, mut all) = (0, 0);
        for (_, query) in clustered(20_000, 64, 3).iter().step_by(200) {
            let mut query = Query::new(query, 10);
            query.filter = Filter::Rows(&rows);
            let by_rows = index.search(&query).unwrap();
            query.filter = Filter::Predicate(&wanted);
            let by_predicate = index.search(&query).unwrap();
            query.precision = Precision::Exact;
            let exact = index.search(&query).unwrap();

            for fast in [by_rows, by_predicate] {
                assert!(fast.iter().all(|hit| wanted(&hit.key)));
                assert_eq!(fast.len(), exact.len());
                found += shared(&fast, &exact);
                all += exact.len();
            }
        }
        let recall = found as f64 / all as f64;
        assert!(recall >= 0.99, "1 of {part}: {recall}");
    }
}

#[test]
fn changes_after_a_build_keep_the_lists_whole() {
    let (dir, mut index) = index_of(32, Metric::Euclidean, Kind::Ivf);
    let mut model: BTreeMap<Key, Vec<f32>> = BTreeMap::new();
    let mut random = StdRng::seed_from_u64(9);
    for round in 0..12 {
        let rows: Vec<(Key, Vec<f32>)> = clustered(1200, 32, round)
            .into_iter()
            .map(|(_, row)| (key(random.random_range(0..4000)), row))
            .collect();
        put(&index, &rows);
        model.extend(rows);
        let keys: Vec<Key> = (0..600).map(|_| key(random.random_range(0..4000))).collect();
        index.remove(&keys).unwrap();
        model.retain(|key, _| !keys.contains(key));
        if round % 3 == 1 {
            index.build(&|| false).unwrap();
        }
        if round % 4 == 3 {
            drop(index);
            index = Index::open(&dir.path().join("index")).unwrap();
        }

        index.verify().unwrap();
        assert_eq!(index.len(), model.len());
        let point = crate::sample::row(round, 32);
        let mut query = Query::new(&point, 20);
        query.precision = Precision::Proved;
        let expected = plain(&model, &query, Metric::Euclidean);
        assert_eq!(answers(&index.search(&query).unwrap()), answers(&expected));
    }
    assert!(contents(&index) == model);
}

#[test]
fn others_read_and_write_while_lists_are_built() {
    let (dir, index) = index_of(32, Metric::Cosine, Kind::Ivf);
    let path = dir.path().join("index");
    put(&index, &clustered(3000, 32, 1));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let reader = Index::open(&path).unwrap();
            let query = crate::sample::row(4, 32);
            while !done.load(Ordering::Relaxed) {
                assert_eq!(reader.search(&Query::new(&query, 10)).unwrap().len(), 10);
                assert!(reader.contains(&key(17)).unwrap());
            }
        });
        scope.spawn(|| {
            let writer = Index::open(&path).unwrap();
            let mut next = 10_000;
            while !done.load(Ordering::Relaxed) {
                put(&writer, &crate::sample::rows(next..next + 20, 32));
                next += 20;
                if next.is_multiple_of(100) {
                    writer.remove(&(next - 100..next).map(key).collect::<Vec<_>>()).unwrap();
                }
            }
        });
        for _ in 0..6 {
            index.build(&|| false).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    index.verify().unwrap();
    assert!((0..3000).all(|i| index.contains(&key(i)).unwrap()));
}

#[test]
fn a_crash_after_a_build_loses_nothing() {
    let (dir, index) = index_of(32, Metric::Cosine, Kind::Ivf);
    let (path, crashed) = (dir.path().join("index"), dir.path().join("crashed"));
    put(&index, &clustered(2000, 32, 1));
    index.build(&|| false).unwrap();
    // A checkpoint: what is in the files now is on the disk.
    drop(index);
    let index = Index::open(&path).unwrap();
    index.build(&|| false).unwrap();
    let (synced, later) = (dir.path().join("synced"), dir.path().join("later"));
    copy(&path, &synced);
    put(&index, &crate::sample::rows(5000..5100, 32));
    index.remove(&(0..50).map(key).collect::<Vec<_>>()).unwrap();
    let held = contents(&index);
    copy(&path, &later);

    // Of the changes since, only the log has reached the disk.
    copy(&synced, &crashed);
    std::fs::copy(later.join("log"), crashed.join("log")).unwrap();
    for cut in [None, Some("head")] {
        if let Some(name) = cut {
            // Not even the change of builds itself.
            let mut head = std::fs::read(crashed.join(name)).unwrap();
            head[4096..4096 + 256].fill(0);
            std::fs::write(crashed.join(name), head).unwrap();
            std::fs::copy(later.join("log"), crashed.join("log")).unwrap();
        }
        let index = Index::open(&crashed).unwrap();
        index.verify().unwrap();
        assert!(contents(&index) == held);
    }
}

#[test]
fn the_neighbors_of_all_are_what_searches_give() {
    let (_dir, index) = index_of(48, Metric::Cosine, Kind::Ivf);
    put(&index, &clustered(1500, 48, 5));
    assert!(index.build(&|| false).unwrap());
    assert!(index.lists() > 1);
    let even = RowSet::new((0..1500).filter(|i| i % 2 == 0).map(key));
    for (filter, threshold, rows) in [
        (Filter::All, None, 1500),
        (Filter::Rows(&even), None, 750),
        (Filter::All, Some(0.8), 1500),
    ] {
        let graph = Mutex::new(BTreeMap::new());
        let precision = Precision::Auto;
        let options = AllNeighbors { k: 5, threshold, filter, precision };

        let done = index.neighbors_of_all(&options, &|| false, &|key, hits| {
            assert!(graph.lock().unwrap().insert(key, hits).is_none(), "told twice");
        });

        assert!(done.unwrap());
        let graph = graph.into_inner().unwrap();
        assert_eq!(graph.len(), rows);
        let mut found = [0, 0];
        for (key, neighbors) in &graph {
            let row = index.get(key).unwrap().unwrap();
            let exclude = [*key];
            let query = Query {
                exclude: &exclude,
                filter,
                threshold,
                precision: Precision::Exact,
                ..Query::new(&row, 5)
            };
            let expected = index.search(&query).unwrap();
            found[0] += neighbors.iter().filter(|hit| expected.contains(hit)).count();
            found[1] += expected.len();
            assert!(neighbors.len() <= expected.len());
        }
        let recall = found[0] as f64 / found[1] as f64;
        assert!(recall >= 0.995, "{filter:?} {threshold:?}: {recall}");
        assert!(found[1] > 0 && (threshold.is_none() || found[1] < 5 * rows));
    }
}

#[test]
fn long_work_stops_when_it_is_told_to() {
    let (_dir, index) = index_of(48, Metric::Cosine, Kind::Ivf);
    put(&index, &clustered(3000, 48, 5));
    let told = AtomicUsize::new(0);
    let (filter, precision) = (Filter::All, Precision::Auto);
    let options = AllNeighbors { k: 5, threshold: None, filter, precision };

    let enough = || told.load(Ordering::Relaxed) >= 100;
    let count = |_, _| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let all = index.neighbors_of_all(&options, &enough, &count).unwrap();

    assert!(!all);
    assert!(told.into_inner() < 200);
    assert!(!index.build(&|| true).unwrap());
    assert_eq!(index.lists(), 1);
}

#[test]
fn one_at_a_time_builds() {
    let (dir, index) = index_of(48, Metric::Cosine, Kind::Ivf);
    put(&index, &clustered(3000, 48, 5));
    let other = Index::open(&dir.path().join("index")).unwrap();
    let refused = AtomicUsize::new(0);

    // Asked in the middle of building the lists.
    let meanwhile = || {
        let done = other.build(&|| false).unwrap();
        refused.fetch_add(usize::from(!done), Ordering::Relaxed);
        false
    };
    assert!(index.build(&meanwhile).unwrap());

    assert!(refused.into_inner() > 0);
    assert!(other.lists() > 1);
    other.verify().unwrap();
}

#[test]
fn an_index_may_be_built_by_another_kind_than_it_was_made_with() {
    let (dir, index) = index_of(16, Metric::Cosine, Kind::Auto);
    put(&index, &clustered(1500, 16, 5));
    index.build(&|| false).unwrap();
    assert_eq!((index.lists(), index.wants_build()), (1, false));

    let index = Index::open(&dir.path().join("index")).unwrap().with_kind(Kind::Ivf);

    assert!(index.wants_build());
    index.build(&|| false).unwrap();
    assert!(index.lists() > 1 && !index.wants_build());
    let index = index.with_kind(Kind::Flat);
    assert!(!index.wants_build());
    index.build(&|| false).unwrap();
    assert_eq!(index.lists(), 1);
}
// A hole takes its room when it is first read through a map; on a file system
// in memory that is full, that ends the process.
#[cfg(unix)]
#[test]
fn files_that_are_mapped_have_no_holes() {
    use std::os::unix::fs::MetadataExt;
    let (dir, index) = crate::sample::index(24, Metric::Cosine);
    let path = dir.path().join("index");
    put(&index, &crate::sample::rows(0..3_000, 24));
    let index = index.with_kind(Kind::Ivf);
    assert!(index.build(&|| false).unwrap());
    drop(index);
    let zeros = dir.path().join("zeros");
    let file = std::fs::File::create(&zeros).unwrap();
    std::io::Write::write_all(&mut &file, &vec![0; 1 << 20]).unwrap();
    file.sync_all().unwrap();
    if zeros.metadata().unwrap().blocks() * 512 < 1 << 20 {
        // Zeros take no room on this file system, wherever they are.
        return;
    }

    for entry in std::fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
        let metadata = path.metadata().unwrap();
        let room = metadata.blocks() * 512;
        assert!(room >= metadata.len(), "`{}`: {room} of {}", path.display(), metadata.len());
    }
}
