//! Damaged files end in an error, never in a panic or a crash.

use std::fs;
use std::path::Path;

use crate::sample::{contents, copy, key, put, row, rows};
use rand::prelude::*;
use songrec_index::{Error, Index, Metric, Precision, Query};

const DIMENSION: usize = 20;

fn sound(dir: &Path) {
    let index =
        Index::create(dir, &crate::sample::options(DIMENSION, Metric::Cosine, Default::default()))
            .unwrap();
    put(&index, &rows(0..500, DIMENSION));
    index.remove(&(0..50).map(key).collect::<Vec<_>>()).unwrap();
    index.arrange(&|| false).unwrap();
    index.remove(&(50..60).map(key).collect::<Vec<_>>()).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["lock", "alive", "arranging"].contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// Everything that can be asked. Any answer is right that is not a panic;
/// true if nothing was found wrong.
fn exercise(dir: &Path) -> bool {
    let index = match Index::open(dir) {
        Ok(index) => index,
        Err(error) => {
            assert!(
                matches!(
                    error,
                    Error::Corrupt { .. } | Error::Newer { .. } | Error::Missing { .. }
                ),
                "{error:?}"
            );
            assert!(error.is_rebuildable());
            return false;
        }
    };
    let verified = index.verify();
    let query = row(3, index.dimension());
    for precision in [Precision::Auto, Precision::Exact, Precision::Proved] {
        let mut query = Query::new(&query, 10);
        query.precision = precision;
        let _ = index.search(&query);
    }
    let _ = index.get(&key(77));
    let _ = index.keys().count();
    let _ = index.put(&[(key(9999), &row(1, index.dimension()))]);
    let _ = index.put(&[(key(100), &row(2, index.dimension()))]);
    let _ = index.remove(&[key(200), key(9999)]);
    verified.is_ok()
}

#[test]
fn a_missing_index_and_a_missing_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let missing = Index::open(&path).unwrap_err();
    sound(&path);
    fs::remove_file(path.join("slots")).unwrap();

    let damaged = Index::open(&path).unwrap_err();

    assert!(matches!(missing, Error::Missing { .. }));
    assert!(matches!(damaged, Error::Corrupt { .. }));
}

#[test]
fn an_index_is_not_made_over_another() {
    let dir = tempfile::tempdir().unwrap();
    sound(&dir.path().join("index"));

    let again = Index::create(
        &dir.path().join("index"),
        &crate::sample::options(3, Metric::Dot, Default::default()),
    )
    .unwrap_err();

    assert!(matches!(again, Error::Exists { .. }));
}

#[test]
fn a_newer_format_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    sound(&path);
    let mut head = fs::read(path.join("head")).unwrap();
    head[64 + 16] = 200;
    fs::write(path.join("head"), head).unwrap();

    let error = Index::open(&path).unwrap_err();

    assert!(matches!(error, Error::Newer { found: 200, .. }));
}

#[test]
fn a_file_cut_short_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, path) = (dir.path().join("whole"), dir.path().join("index"));
    sound(&whole);
    for name in names(&whole) {
        let len = fs::metadata(whole.join(&name)).unwrap().len();
        for keep in [0, 1, len / 2, len.saturating_sub(1)] {
            let _ = fs::remove_dir_all(&path);
            copy(&whole, &path);
            fs::OpenOptions::new()
                .write(true)
                .open(path.join(&name))
                .unwrap()
                .set_len(keep)
                .unwrap();

            assert!(!exercise(&path), "{name} of {len} bytes cut to {keep}");
        }
    }
}

#[test]
fn a_changed_byte_is_found_or_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, path) = (dir.path().join("whole"), dir.path().join("index"));
    sound(&whole);
    let held = contents(&Index::open(&whole).unwrap());
    let mut random = StdRng::seed_from_u64(11);
    for round in 0..240 {
        let _ = fs::remove_dir_all(&path);
        copy(&whole, &path);
        let names = names(&whole);
        let name = &names[round % names.len()];
        let mut bytes = fs::read(path.join(name)).unwrap();
        let span = if round % 2 == 0 { bytes.len() } else { 4096 };
        for _ in 0..random.random_range(1..20) {
            let at = random.random_range(0..span.min(bytes.len()));
            bytes[at] = random.random();
        }
        fs::write(path.join(name), bytes).unwrap();

        let untouched = || {
            Index::open(&path).is_ok_and(|index| index.verify().is_ok() && contents(&index) == held)
        };
        let harmless = untouched();
        let copied = dir.path().join("copy");
        let _ = fs::remove_dir_all(&copied);
        copy(&path, &copied);

        assert_eq!(exercise(&copied), harmless, "round {round}, {name}");
    }
}
