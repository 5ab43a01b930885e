//! Readers see one state, whoever writes.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::sample::{key, put, row, rows};
use songrec_index::{Index, Key, Metric, Query};

#[test]
fn an_open_index_shows_what_another_adds() {
    let (dir, writer) = crate::sample::index(8, Metric::Cosine);
    let reader = Index::open(&dir.path().join("index")).unwrap();
    assert!(reader.is_empty());
    let first = reader.generation();

    put(&writer, &rows(0..5000, 8));

    assert_eq!(reader.len(), 5000);
    assert!(reader.generation() > first);
    assert_eq!(reader.get(&key(4321)).unwrap(), Some(row(4321, 8)));
    let found = reader.search(&Query::new(&row(4321, 8), 1)).unwrap();
    assert_eq!(found[0].key, key(4321));
}

#[test]
fn two_that_write_in_turn_lose_nothing() {
    let (dir, one) = crate::sample::index(8, Metric::Cosine);
    let two = Index::open(&dir.path().join("index")).unwrap();
    std::thread::scope(|scope| {
        for (index, first) in [(&one, 0), (&two, 10_000)] {
            scope.spawn(move || {
                for i in 0..100 {
                    put(index, &rows(first + i * 10..first + i * 10 + 10, 8));
                }
            });
        }
    });

    for index in [&one, &two] {
        index.verify().unwrap();
        assert_eq!(index.len(), 2000);
    }
    drop(one);
    two.verify().unwrap();
}

#[test]
fn a_search_sees_whole_batches_only() {
    const COUNT: u64 = 64;
    let (dir, writer) = crate::sample::index(16, Metric::Euclidean);
    let batch = |turn: u64| -> Vec<(Key, Vec<f32>)> {
        // Half of the keys stay, the others come and go.
        (0..COUNT)
            .map(|i| {
                let family = if i % 2 == 0 { 0 } else { turn % 7 * COUNT };
                (key(family + i), vec![turn as f32; 16])
            })
            .collect()
    };
    put(&writer, &batch(1));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = Index::open(&dir.path().join("index")).unwrap();
                let mut turns = 0;
                let mut last = 0.0;
                while !done.load(Ordering::Relaxed) {
                    let found = reader.search(&Query::new(&[1e6; 16], 32)).unwrap();
                    let distance = found[0].distance;
                    assert_eq!(found.len(), 32);
                    assert!(
                        found.iter().all(|hit| hit.distance == distance),
                        "rows of two batches in one answer"
                    );
                    turns += usize::from(distance != last);
                    last = distance;
                }
                assert!(turns > 1, "saw no change at all");
            });
        }
        for turn in 2..300 {
            put(&writer, &batch(turn));
        }
        done.store(true, Ordering::Relaxed);
    });
    writer.verify().unwrap();
}
