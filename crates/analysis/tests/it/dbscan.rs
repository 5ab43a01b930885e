use songrec_analysis::{DbscanOptions, Error, NOISE, Rows, dbscan, suggest_eps};
use songrec_core::Job;

use crate::{fixture, made_up};

/// The labels as the definition has them, from all pairs of rows.
fn by_definition(rows: Rows<'_>, eps: f64, min_samples: usize) -> Vec<u32> {
    let near = |l: usize, r: usize| {
        let squares = rows.row(l).iter().zip(rows.row(r)).map(|(l, r)| {
            let off = f64::from(*l) - f64::from(*r);
            off * off
        });
        squares.sum::<f64>() <= eps * eps
    };
    let n = rows.len();
    let neighbors: Vec<Vec<usize>> =
        (0..n).map(|l| (0..n).filter(|r| near(l, *r)).collect()).collect();
    let core = |row: usize| neighbors[row].len() >= min_samples;
    let mut labels = vec![NOISE; n];
    let mut next = 0;
    for first in 0..n {
        if labels[first] != NOISE || !core(first) {
            continue;
        }
        let mut open = vec![first];
        while let Some(row) = open.pop() {
            if labels[row] == NOISE {
                labels[row] = next;
                if core(row) {
                    open.extend(&neighbors[row]);
                }
            }
        }
        next += 1;
    }
    labels
}

#[test]
fn labels_are_those_of_scikit_learn() {
    for case in fixture::read("dbscan")["cases"].as_array().unwrap() {
        let (values, dimension) = fixture::rows(case["rows"].as_str().unwrap());
        let rows = Rows::new(&values, dimension).unwrap();
        let eps = case["eps"].as_f64().unwrap();
        let min_samples = fixture::count(&case["min_samples"]);

        let found = dbscan(rows, &DbscanOptions { eps, min_samples }, &Job::silent()).unwrap();

        assert_eq!(found, fixture::labels(&case["labels"]), "eps {eps}, {min_samples}");
    }
}

#[test]
fn many_rows_are_turned_and_keep_their_labels() {
    let dimension = 20;
    let mut values = made_up::blobs(4200, dimension, 6, 2);
    // Far from the origin, some rows twice, and one that rounding is measured by.
    values.iter_mut().for_each(|value| *value += 300.0);
    values.copy_within(..40 * dimension, 1000 * dimension);
    values[7 * dimension] = 3e6;
    let rows = Rows::new(&values, dimension).unwrap();
    for eps in [4.5, 5.5] {
        let options = DbscanOptions { eps, min_samples: 6 };

        let found = dbscan(rows, &options, &Job::silent()).unwrap();

        let expected = by_definition(rows, eps, 6);
        assert!(expected.contains(&0) && expected.contains(&NOISE), "eps {eps}");
        assert_eq!(found, expected, "eps {eps}");
    }
}

#[test]
fn labels_are_those_of_the_definition_with_any_number_of_threads() {
    // More rows than a leaf holds, in clusters that touch.
    for (dimension, eps) in [(2, 0.3), (5, 1.4), (30, 7.0)] {
        let values = made_up::blobs(2500, dimension, 8, 1);
        let rows = Rows::new(&values, dimension).unwrap();
        for min_samples in [2, 9] {
            let options = DbscanOptions { eps, min_samples };
            let expected = by_definition(rows, eps, min_samples);
            let noise = expected.iter().filter(|label| **label == NOISE).count();
            assert!(noise > 20 && noise < 2400, "{noise} of {dimension}: the case is too easy");

            let found = made_up::with_threads(|| dbscan(rows, &options, &Job::silent()).unwrap());

            assert!(found.iter().all(|found| *found == expected), "{dimension}, {min_samples}");
        }
    }
}

#[test]
fn a_row_at_exactly_eps_is_a_neighbor() {
    // In float32 the square of 0.1 is above that in float64.
    let rows = Rows::new(&[0.0, 0.5, 1.0, 1.6], 1).unwrap();

    let found = dbscan(rows, &DbscanOptions { eps: 0.5, min_samples: 2 }, &Job::silent()).unwrap();

    assert_eq!(found, [0, 0, 0, NOISE]);
}

#[test]
fn the_suggested_eps_parts_clusters_from_noise() {
    let (values, dimension) = fixture::rows("moons");
    let rows = Rows::new(&values, dimension).unwrap();

    let eps = suggest_eps(rows, 5, 0, &Job::silent()).unwrap();
    let labels = dbscan(rows, &DbscanOptions { eps, min_samples: 5 }, &Job::silent()).unwrap();

    let clusters = labels.iter().filter(|label| **label != NOISE).max().unwrap() + 1;
    assert!((3..=8).contains(&clusters), "{clusters} at {eps}");
}

#[test]
fn odd_input_has_an_answer_or_an_error() {
    let silent = Job::silent();
    let equal = [1.0f32; 900];
    let equal = Rows::new(&equal, 3).unwrap();
    let options = DbscanOptions { eps: 0.5, min_samples: 5 };
    assert_eq!(dbscan(equal, &options, &silent).unwrap(), [0; 300]);
    assert!(matches!(suggest_eps(equal, 5, 0, &silent), Err(Error::Option { option: "eps", .. })));
    let one = Rows::new(&[1.0, 2.0], 2).unwrap();
    assert_eq!(dbscan(one, &options, &silent).unwrap(), [NOISE]);
    let refused = suggest_eps(one, 5, 0, &silent).unwrap_err();
    assert_eq!(refused, Error::TooFew { needed: 5, found: 1 });
    let none = Rows::new(&[], 2).unwrap();
    assert_eq!(dbscan(none, &options, &silent), Err(Error::TooFew { needed: 1, found: 0 }));

    for eps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = dbscan(one, &DbscanOptions { eps, min_samples: 1 }, &silent);
        assert!(matches!(refused, Err(Error::Option { option: "eps", .. })));
    }
    let options = DbscanOptions { eps: 1.0, min_samples: 0 };
    assert!(matches!(dbscan(one, &options, &silent), Err(Error::Option { .. })));
    let options = DbscanOptions { eps: 1.0, min_samples: 1 };
    assert_eq!(dbscan(equal, &options, &made_up::interrupted()), Err(Error::Interrupted));
}
