use std::collections::BTreeMap;

use songrec_analysis::{Error, Hdbscan, HdbscanOptions, NOISE, Rows, hdbscan};
use songrec_core::Job;

use crate::{fixture, made_up};

/// Labels in the order of the first row of each cluster.
fn renumbered(labels: &[u32]) -> Vec<u32> {
    let mut numbers = BTreeMap::from([(NOISE, NOISE)]);
    labels
        .iter()
        .map(|label| {
            let next = numbers.len() as u32 - 1;
            *numbers.entry(*label).or_insert(next)
        })
        .collect()
}

#[test]
fn the_partition_is_that_of_hdbscan_for_python() {
    for case in fixture::read("hdbscan")["cases"].as_array().unwrap() {
        let (values, dimension) = fixture::rows(case["rows"].as_str().unwrap());
        let rows = Rows::new(&values, dimension).unwrap();
        let options = HdbscanOptions {
            min_cluster_size: fixture::count(&case["min_cluster_size"]),
            min_samples: fixture::count(&case["min_samples"]),
        };

        let found = hdbscan(rows, &options, &Job::silent()).unwrap();

        // Rows that go with either of two clusters.
        let ties = fixture::numbers(&case["ties"]);
        assert!(ties.len() * 100 < rows.len(), "{options:?}");
        let labels = renumbered(&fixture::labels(&case["labels"]));
        let probabilities = fixture::numbers(&case["probabilities"]);
        for row in (0..rows.len()).filter(|row| !ties.contains(&(*row as f64))) {
            assert_eq!(found.labels[row], labels[row], "{options:?}: {row}");
            let (ours, theirs) = (found.probabilities[row], probabilities[row]);
            assert!((ours - theirs).abs() < 1e-6, "{options:?}: {row}: {ours} {theirs}");
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let values = made_up::blobs(3000, 10, 6, 1);
    let rows = Rows::new(&values, 10).unwrap();
    let options = HdbscanOptions { min_cluster_size: 20, min_samples: 4 };

    let [one, three, sixteen] =
        made_up::with_threads(|| hdbscan(rows, &options, &Job::silent()).unwrap());

    assert!(one == three && one == sixteen);
    assert!(one.labels.iter().filter(|label| **label != NOISE).count() > 1000);
}

#[test]
fn odd_input_has_an_answer_or_an_error() {
    let silent = Job::silent();
    let usual = HdbscanOptions::default();
    let noise = |n: usize| Hdbscan { labels: vec![NOISE; n], probabilities: vec![0.0; n] };
    let of = |values: &[f32]| hdbscan(Rows::new(values, 1).unwrap(), &usual, &silent);

    assert_eq!(of(&[]), Err(Error::TooFew { needed: 1, found: 0 }));
    assert_eq!(of(&[1.0]), Ok(noise(1)));
    assert_eq!(of(&[1.0, 2.0]), Ok(noise(2)));
    // All rows are never one cluster.
    assert_eq!(of(&[1.0; 300]), Ok(noise(300)));
    let two: Vec<f32> = (0..400).map(|row| (row % 2) as f32).collect();
    let labels: Vec<u32> = (0..400).map(|row| row % 2).collect();
    assert_eq!(of(&two), Ok(Hdbscan { labels, probabilities: vec![1.0; 400] }));

    let rows = Rows::new(&two, 1).unwrap();
    for options in [
        HdbscanOptions { min_cluster_size: 1, ..usual },
        HdbscanOptions { min_samples: 0, ..usual },
    ] {
        assert!(matches!(hdbscan(rows, &options, &silent), Err(Error::Option { .. })));
    }
    assert_eq!(hdbscan(rows, &usual, &made_up::interrupted()), Err(Error::Interrupted));
}
