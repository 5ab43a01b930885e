use songrec_analysis::{
    ChooseKOptions, Error, KMeansOptions, MiniBatchOptions, Rows, choose_k, kmeans,
    mini_batch_kmeans, nearest_centroid,
};
use songrec_core::Job;

use crate::{fixture, made_up};

#[test]
fn the_same_start_gives_the_clusters_of_scikit_learn() {
    let (values, dimension) = fixture::rows("blobs");
    let rows = Rows::new(&values, dimension).unwrap();

    for case in fixture::read("kmeans")["cases"].as_array().unwrap() {
        let init = fixture::matrix(&case["init"]);
        let k = init.len();
        let init = init.iter().flatten().map(|value| *value as f32).collect();
        let options = KMeansOptions { k, init: Some(init), ..KMeansOptions::default() };
        let found = kmeans(rows, &options, &Job::silent()).unwrap();

        assert_eq!(found.labels, fixture::labels(&case["labels"]), "k = {k}");
        assert_eq!(found.iterations, fixture::count(&case["iterations"]), "k = {k}");
        let inertia = case["inertia"].as_f64().unwrap();
        // scikit-learn keeps it in float32.
        assert!((found.inertia / inertia - 1.0).abs() < 1e-5, "{} {inertia}", found.inertia);
        for (ours, theirs) in
            found.centroids.iter().zip(fixture::matrix(&case["centroids"]).iter().flatten())
        {
            assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{ours} {theirs}");
        }
    }
}

#[test]
fn bounds_leave_every_row_with_its_nearest_centroid() {
    let values = made_up::blobs(3000, 7, 30, 1);
    let rows = Rows::new(&values, 7).unwrap();

    // One group for each centroid, groups of four, and a last group of another size.
    for k in [2, 16, 61, 64] {
        let options = KMeansOptions { k, starts: 1, tolerance: 0.0, ..KMeansOptions::default() };
        let found = kmeans(rows, &options, &Job::silent()).unwrap();

        let centroids = Rows::new(&found.centroids, 7).unwrap();
        let mut inertia = 0.0;
        for (row, label) in rows.iter().zip(&found.labels) {
            let (nearest, distance) = nearest_centroid(centroids, row).unwrap();
            assert_eq!(nearest, *label, "k = {k}");
            inertia += distance;
        }
        assert!((found.inertia / inertia - 1.0).abs() < 1e-6);
        // And each centroid is the mean of its rows.
        for (label, centroid) in centroids.iter().enumerate() {
            let of: Vec<&[f32]> = rows
                .iter()
                .zip(&found.labels)
                .filter(|of| *of.1 == label as u32)
                .map(|of| of.0)
                .collect();
            for (column, value) in centroid.iter().enumerate() {
                let mean =
                    of.iter().map(|row| f64::from(row[column])).sum::<f64>() / of.len() as f64;
                assert!((mean - f64::from(*value)).abs() < 1e-5, "k = {k}");
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let values = made_up::blobs(5000, 9, 12, 2);
    let rows = Rows::new(&values, 9).unwrap();
    let options = KMeansOptions { k: 12, seed: 7, ..KMeansOptions::default() };
    let batches = MiniBatchOptions { k: 20, batch: 100, ..MiniBatchOptions::default() };

    let [one, three, sixteen] = made_up::with_threads(|| {
        (
            kmeans(rows, &options, &Job::silent()).unwrap(),
            mini_batch_kmeans(rows, &batches, &Job::silent()).unwrap(),
        )
    });

    assert_eq!(one, three);
    assert_eq!(one, sixteen);
}

#[test]
fn batches_end_close_to_what_all_rows_give() {
    let values = made_up::blobs(20_000, 6, 10, 3);
    let rows = Rows::new(&values, 6).unwrap();
    let all = KMeansOptions { k: 10, ..KMeansOptions::default() };
    let batches = MiniBatchOptions { k: 10, ..MiniBatchOptions::default() };

    let all = kmeans(rows, &all, &Job::silent()).unwrap();
    let batches = mini_batch_kmeans(rows, &batches, &Job::silent()).unwrap();

    assert!(batches.inertia < all.inertia * 1.01, "{} {}", batches.inertia, all.inertia);
}

#[test]
fn the_number_of_clusters_is_found() {
    let values = made_up::blobs(900, 12, 6, 4);
    let rows = Rows::new(&values, 12).unwrap();

    let all = choose_k(rows, &ChooseKOptions::default(), &Job::silent()).unwrap();
    let some = ChooseKOptions { sample: 300, ..ChooseKOptions::default() };
    let some = choose_k(rows, &some, &Job::silent()).unwrap();

    assert_eq!((all.k, some.k), (6, 6));
    assert_eq!(all.silhouettes.len(), 19);
}

#[test]
fn equal_rows_and_constant_columns_are_clustered() {
    let equal = [[1.0f32, 2.0]; 40].concat();
    let equal = Rows::new(&equal, 2).unwrap();
    let options = KMeansOptions { k: 3, ..KMeansOptions::default() };

    let found = kmeans(equal, &options, &Job::silent()).unwrap();

    assert_eq!((found.inertia, found.centroids), (0.0, [1.0, 2.0].repeat(3)));
    assert_eq!(found.labels, [0; 40]);
    let ks = ChooseKOptions::default();
    let refused = choose_k(equal, &ks, &Job::silent()).unwrap_err();
    assert_eq!(refused, Error::TooFewClusters { needed: 2, found: 1 });

    let one = Rows::new(&[3.0, 4.0], 2).unwrap();
    let options = KMeansOptions { k: 1, ..KMeansOptions::default() };
    assert_eq!(kmeans(one, &options, &Job::silent()).unwrap().labels, [0]);

    // Values whose squares no float32 holds.
    let huge: Vec<f32> = (0..20).map(|row| if row % 2 == 0 { 3e38 } else { -3e38 }).collect();
    let options = KMeansOptions { k: 2, ..KMeansOptions::default() };
    kmeans(Rows::new(&huge, 1).unwrap(), &options, &Job::silent()).unwrap();
}

#[test]
fn what_cannot_be_done_is_refused() {
    let values = made_up::blobs(50, 3, 2, 5);
    let rows = Rows::new(&values, 3).unwrap();
    let silent = Job::silent();
    let with = |k| KMeansOptions { k, ..KMeansOptions::default() };

    assert_eq!(kmeans(rows, &with(51), &silent), Err(Error::TooFew { needed: 51, found: 50 }));
    assert!(matches!(kmeans(rows, &with(0), &silent), Err(Error::Option { option: "k", .. })));
    let short = KMeansOptions { init: Some(vec![0.0; 5]), ..with(2) };
    assert!(matches!(kmeans(rows, &short, &silent), Err(Error::Option { option: "init", .. })));
    let nan = KMeansOptions { init: Some(vec![f32::NAN; 6]), ..with(2) };
    assert_eq!(kmeans(rows, &nan, &silent), Err(Error::NotFinite { row: 0 }));
    let nan = KMeansOptions { tolerance: f64::NAN, ..with(2) };
    assert!(matches!(kmeans(rows, &nan, &silent), Err(Error::Option { .. })));
    assert_eq!(kmeans(rows, &with(2), &made_up::interrupted()), Err(Error::Interrupted));
    let batches = MiniBatchOptions { batch: 0, ..MiniBatchOptions::default() };
    assert!(matches!(mini_batch_kmeans(rows, &batches, &silent), Err(Error::Option { .. })));
    let refused = nearest_centroid(rows, &[1.0]).unwrap_err();
    assert_eq!(refused, Error::Dimension { expected: 3, found: 1 });
}
