//! Damaged files end in an error, never in a panic or a crash.

use std::fs;
use std::path::Path;

use crate::sample::{contents, copy, key, put, row, rows};
use rand::prelude::*;
use songrec_index::{Error, Filter, Hit, Index, Key, Kind, Metric, Precision, Query, RowSet};

const DIMENSION: usize = 20;

fn sound(dir: &Path) {
    let index =
        Index::create(dir, &crate::sample::options(DIMENSION, Metric::Cosine, Default::default()))
            .unwrap();
    put(&index, &rows(0..500, DIMENSION));
    index.remove(&(0..50).map(key).collect::<Vec<_>>()).unwrap();
    index.build(&|| false).unwrap();
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
    let _ = index.keys();
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

/// What is asked of an index that may be damaged, and answered.
#[derive(Debug, PartialEq)]
struct Answers {
    hits: Vec<Vec<Hit>>,
    keys: Vec<Key>,
    rows: Vec<Option<Vec<f32>>>,
}

fn ask(index: &Index) -> Result<Answers, Error> {
    let even = RowSet::new((0..3000).filter(|i| i % 2 == 0).map(key));
    let exclude = [key(101)];
    let mut hits = Vec::new();
    for number in [3, 101, 450] {
        let row = row(number, index.dimension());
        for precision in [Precision::Auto, Precision::Exact, Precision::Proved] {
            for filter in [Filter::All, Filter::Rows(&even)] {
                let query = Query { precision, filter, exclude: &exclude, ..Query::new(&row, 10) };
                hits.push(index.search(&query)?);
            }
        }
    }
    let mut keys = index.keys()?;
    keys.sort();
    let rows = [55, 101, 444, 77_777].map(|number| index.get(&key(number)));
    Ok(Answers { hits, keys, rows: rows.into_iter().collect::<Result<_, _>>()? })
}

/// An index of one list, and one of many in which rows were changed since.
fn small_and_built(dir: &Path) -> [std::path::PathBuf; 2] {
    let (small, built) = (dir.join("small"), dir.join("arranged"));
    sound(&small);
    let options = crate::sample::options(24, Metric::Cosine, Kind::Ivf);
    let index = Index::create(&built, &options).unwrap();
    put(&index, &rows(0..2500, 24));
    index.build(&|| false).unwrap();
    put(&index, &rows(2400..2600, 24));
    index.remove(&(20..40).map(key).collect::<Vec<_>>()).unwrap();
    assert!(index.lists() > 1);
    [small, built]
}

/// Asks an index that something was done to. It answers as before, or says
/// that it is damaged; true if it does.
fn tells_damage(path: &Path, sound: &Answers, what: &str) -> bool {
    match Index::open(path).and_then(|index| ask(&index)) {
        Ok(answers) => {
            assert!(answers == *sound, "{what}: other answers, and no word");
            false
        }
        Err(error) => {
            assert!(error.is_rebuildable(), "{what}: {error:?}");
            true
        }
    }
}

#[test]
fn a_flipped_bit_changes_no_answer_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut random = StdRng::seed_from_u64(5);
    for whole in small_and_built(dir.path()) {
        let sound = ask(&Index::open(&whole).unwrap()).unwrap();
        for name in names(&whole) {
            let bytes = fs::read(whole.join(&name)).unwrap();
            let mut told = 0;
            for round in 0..40 {
                let _ = fs::remove_dir_all(&path);
                copy(&whole, &path);
                // Half of them where a file begins, for there is always something.
                let span = if round % 2 == 0 { bytes.len() } else { bytes.len().min(4096) };
                let (at, bit) = (random.random_range(0..span), random.random_range(0..8));
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                fs::write(path.join(&name), flipped).unwrap();

                let what = format!("{name}, bit {bit} of byte {at}");
                told += usize::from(tells_damage(&path, &sound, &what));
            }
            // What nobody read may be damaged; what everybody reads is not.
            let of_all = ["slots", "codes", "rows.npy"].contains(&name.as_str());
            assert!(told >= if of_all { 10 } else { 0 }, "{name}: {told} were told");
        }
    }
}

#[test]
fn files_of_other_times_and_places_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let [small, built] = small_and_built(dir.path());
    let sound = ask(&Index::open(&built).unwrap()).unwrap();
    // The same rows under another name: another index.
    let twin = dir.path().join("twin");
    fs::create_dir(dir.path().join("again")).unwrap();
    fs::rename(&small_and_built(&dir.path().join("again"))[1], &twin).unwrap();
    let older = dir.path().join("older");
    copy(&built, &older);
    let index = Index::open(&built).unwrap();
    put(&index, &rows(100..130, 24));
    put(&index, &rows(7000..7100, 24));
    index.remove(&(200..230).map(key).collect::<Vec<_>>()).unwrap();
    drop(index);
    let newer = ask(&Index::open(&built).unwrap()).unwrap();

    let names = names(&built);
    for (i, name) in names.iter().enumerate() {
        let other = &names[(i + 1) % names.len()];
        for (from, of, before) in [
            (&twin, name, &sound),
            (&small, name, &sound),
            (&built, other, &newer),
            (&older, name, &newer),
        ] {
            let source = from.join(of);
            // A head of another time, or of another index, is all of it.
            if !source.exists() || name == "head" && from != &built {
                continue;
            }
            let _ = fs::remove_dir_all(&path);
            copy(if before == &sound { &older } else { &built }, &path);
            fs::copy(&source, path.join(name)).unwrap();

            tells_damage(&path, before, &format!("{name} from {}", source.display()));
        }
    }
}

#[test]
fn a_damaged_page_is_not_written_back_as_a_sound_one() {
    let dir = tempfile::tempdir().unwrap();
    let [_, path] = small_and_built(dir.path());
    for name in ["slots", "codes", "table"] {
        let copied = dir.path().join(name);
        copy(&path, &copied);
        let mut bytes = fs::read(copied.join(name)).unwrap();
        bytes[300] ^= 4;
        fs::write(copied.join(name), bytes).unwrap();
        let index = Index::open(&copied).unwrap();

        // All rows, so the page is one that has to be written.
        let rows = rows(0..2500, 24);
        let batch: Vec<(Key, &[f32])> =
            rows.iter().map(|(key, row)| (*key, row.as_slice())).collect();
        let error = index.put(&batch).unwrap_err();

        assert!(matches!(error, Error::Corrupt { .. }), "{name}: {error:?}");
        assert!(index.verify().is_err(), "{name}");
    }
}
