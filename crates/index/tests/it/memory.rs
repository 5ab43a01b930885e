//! How much of the files becomes part of the process.

use songrec_index::{Filter, Index, Kind, Metric, Precision, Query, RowSet};

use crate::sample::{index_of, key, put, row, rows};

const DIMENSION: usize = 64;

#[test]
fn rows_read_past_the_map_give_the_same_answers() {
    let (dir, index) = index_of(DIMENSION, Metric::Cosine, Kind::Ivf);
    put(&index, &rows(0..3000, DIMENSION));
    assert!(index.build(&|| false).unwrap());
    let other = Index::open(&dir.path().join("index")).unwrap().with_mapped(0);

    for number in 10_000..10_020 {
        let vector = row(number, DIMENSION);
        for (set, other_set) in sets().iter().zip(&sets()) {
            for precision in [Precision::Auto, Precision::Proved, Precision::Exact] {
                let query = |filter| Query { precision, filter, ..Query::new(&vector, 10) };
                for _ in 0..2 {
                    assert_eq!(
                        index.search(&query(Filter::Rows(set))).unwrap(),
                        other.search(&query(Filter::Rows(other_set))).unwrap(),
                    );
                }
                assert_eq!(
                    index.search(&query(Filter::All)).unwrap(),
                    other.search(&query(Filter::All)).unwrap(),
                );
            }
        }
    }
    assert_eq!(index.get(&key(7)).unwrap(), other.get(&key(7)).unwrap());
}

/// Small, middling and large ones.
fn sets() -> [RowSet; 3] {
    [100, 10, 2].map(|part| (0..3000).filter(|i| i % part == 0).map(key).collect())
}

#[cfg(target_os = "linux")]
#[test]
fn rows_and_codes_stay_out_of_memory_where_they_are_many() {
    let (dir, made) = index_of(DIMENSION, Metric::Cosine, Kind::Ivf);
    put(&made, &rows(0..3000, DIMENSION));
    drop(made);
    let path = dir.path().join("index");
    let resident =
        || -> u64 { ["rows.npy", "codes"].map(|name| resident(&path.join(name))).iter().sum() };

    let index = Index::open(&path).unwrap();
    index.search(&Query::new(&row(1, DIMENSION), 10)).unwrap();
    assert_eq!(resident(), 0, "a process that asks once maps nothing");
    for _ in 0..20 {
        index.search(&Query::new(&row(1, DIMENSION), 10)).unwrap();
    }
    assert!(resident() > 0, "of a small index they are mapped");
    drop(index);

    let index = Index::open(&path).unwrap().with_mapped(0);
    let look = |precision| {
        for number in 0..100 {
            let vector = row(number, DIMENSION);
            index.search(&Query { precision, ..Query::new(&vector, 10) }).unwrap();
            for set in sets() {
                let filter = Filter::Rows(&set);
                index.search(&Query { precision, filter, ..Query::new(&vector, 10) }).unwrap();
            }
            assert!(index.get(&key(number)).unwrap().is_some());
        }
    };
    look(Precision::Auto);
    look(Precision::Proved);
    look(Precision::Exact);
    assert_eq!(resident(), 0, "after searches");
    index.build(&|| false).unwrap();
    index.verify().unwrap();
    put(&index, &rows(2000..4000, DIMENSION));
    index.remove(&[key(2500), key(1)]).unwrap();
    assert_eq!(resident(), 0, "after changes");
}

/// How many bytes of a file this process has mapped.
#[cfg(target_os = "linux")]
fn resident(path: &std::path::Path) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut of_file = false;
    let mut sum = 0;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("Rss:") if of_file => {
                sum += words.next().unwrap().parse::<u64>().unwrap() * 1024;
            }
            Some(range) if range.contains('-') => of_file = line.ends_with(path.to_str().unwrap()),
            _ => {}
        }
    }
    sum
}
