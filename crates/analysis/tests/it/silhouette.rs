use songrec_analysis::{Error, NOISE, Rows, SilhouetteOptions, silhouette};
use songrec_core::Job;

use crate::{fixture, made_up};

#[test]
fn values_are_those_of_scikit_learn() {
    let (values, dimension) = fixture::rows("blobs");
    let rows = Rows::new(&values, dimension).unwrap();
    let expected = fixture::read("silhouette");
    let labels = fixture::labels(&expected["labels"]);

    let found = silhouette(rows, &labels, &SilhouetteOptions::default(), &Job::silent()).unwrap();

    assert!(found.rows.iter().all(|row| labels[*row] != NOISE));
    assert_eq!(found.rows.len(), labels.iter().filter(|label| **label != NOISE).count());
    assert!((found.mean - expected["mean"].as_f64().unwrap()).abs() < 1e-6);
    for (ours, theirs) in found.values.iter().zip(fixture::numbers(&expected["values"])) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
}

#[test]
fn a_sample_is_close_and_threads_change_no_bit() {
    // More rows than go through the kernel at once.
    let values = made_up::blobs(3000, 5, 4, 1);
    let rows = Rows::new(&values, 5).unwrap();
    let labels: Vec<u32> = (0..3000).map(|row| u32::from(values[row * 5] > 0.0) * 7).collect();
    let all = SilhouetteOptions::default();
    let some = SilhouetteOptions { sample: 1000, seed: 3 };

    let all = silhouette(rows, &labels, &all, &Job::silent()).unwrap();
    let [one, three, sixteen] =
        made_up::with_threads(|| silhouette(rows, &labels, &some, &Job::silent()).unwrap());

    assert!(one == three && one == sixteen);
    assert_eq!(one.rows.len(), 1000);
    assert!(one.rows.is_sorted());
    // Three standard errors of a thousand values between −1 and 1.
    assert!((one.mean - all.mean).abs() < 0.05, "{} {}", one.mean, all.mean);
}

#[test]
fn it_needs_two_clusters_and_a_label_for_each_row() {
    let values = made_up::blobs(30, 3, 2, 1);
    let rows = Rows::new(&values, 3).unwrap();
    let of =
        |labels: &[u32]| silhouette(rows, labels, &SilhouetteOptions::default(), &Job::silent());

    assert_eq!(of(&[0; 30]), Err(Error::TooFewClusters { needed: 2, found: 1 }));
    assert_eq!(of(&[NOISE; 30]), Err(Error::TooFewClusters { needed: 2, found: 0 }));
    assert_eq!(of(&[0; 29]), Err(Error::Labels { expected: 30, found: 29 }));
    let each_its_own: Vec<u32> = (0..30).collect();
    assert_eq!(of(&each_its_own), Err(Error::TooFew { needed: 31, found: 30 }));
    let labels: Vec<u32> = (0..30).map(|row| row % 2).collect();
    let options = SilhouetteOptions::default();
    assert_eq!(
        silhouette(rows, &labels, &options, &made_up::interrupted()),
        Err(Error::Interrupted)
    );

    let equal = [1.0f32; 30];
    let equal = Rows::new(&equal, 1).unwrap();
    assert_eq!(silhouette(equal, &labels, &options, &Job::silent()).unwrap().mean, 0.0);
}
