use songrec_analysis::{Error, Pca, Rows};
use songrec_core::Job;

use crate::{fixture, made_up};

#[test]
fn components_are_those_of_scikit_learn() {
    let (blobs, blobs_dimension) = fixture::rows("blobs");
    let fixture = fixture::read("pca");
    let wide: Vec<f32> =
        fixture::matrix(&fixture["wide"]).iter().flatten().map(|value| *value as f32).collect();

    for case in fixture["cases"].as_array().unwrap() {
        let (values, dimension) =
            if case["rows"] == "blobs" { (&blobs, blobs_dimension) } else { (&wide, 30) };
        let rows = Rows::new(values, dimension).unwrap();
        let components = fixture::matrix(&case["components"]);
        let pca = Pca::fit(rows, components.len(), &Job::silent()).unwrap();

        let near = |ours: &[f64], theirs: &[f64], what: &str| {
            assert_eq!(ours.len(), theirs.len(), "{what}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!(
                    (ours - theirs).abs() < 1e-5 * theirs.abs().max(1.0),
                    "{what}: {ours} {theirs}"
                );
            }
        };
        near(&pca.mean, &fixture::numbers(&case["mean"]), "mean");
        near(&pca.variance, &fixture::numbers(&case["variance"]), "variance");
        near(&pca.ratio, &fixture::numbers(&case["ratio"]), "ratio");
        // Up to the sign, which scikit-learn takes from the same rule.
        near(&pca.components, &components.concat(), "components");
        let first = Rows::new(&values[..20.min(rows.len()) * dimension], dimension).unwrap();
        let places: Vec<f64> = pca.transform(first).unwrap().into_iter().map(f64::from).collect();
        near(&places, &fixture::matrix(&case["transformed"]).concat(), "transformed");
    }
}

#[test]
fn threads_change_no_bit() {
    let values = made_up::blobs(1500, 70, 5, 1);
    let rows = Rows::new(&values, 70).unwrap();

    let [one, three, sixteen] = made_up::with_threads(|| {
        let pca = Pca::fit(rows, 10, &Job::silent()).unwrap();
        (pca.transform(rows).unwrap(), pca)
    });

    assert!(one == three && one == sixteen);
}

#[test]
fn places_vary_as_the_components_say() {
    let values = made_up::blobs(3000, 20, 4, 2);
    let rows = Rows::new(&values, 20).unwrap();
    let pca = Pca::fit(rows, 20, &Job::silent()).unwrap();

    let places = pca.transform(rows).unwrap();

    for (component, variance) in pca.variance.iter().enumerate() {
        let squares = places.iter().skip(component).step_by(20).map(|p| f64::from(p * p));
        let found = squares.sum::<f64>() / 2999.0;
        assert!((found / variance - 1.0).abs() < 1e-4, "{component}: {found} {variance}");
    }
    assert!((pca.ratio.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn odd_input_has_an_answer_or_an_error() {
    let silent = Job::silent();
    let equal = [4.0f32; 12];
    let pca = Pca::fit(Rows::new(&equal, 3).unwrap(), 2, &silent).unwrap();
    assert_eq!((pca.variance, pca.ratio), (vec![0.0; 2], vec![0.0; 2]));

    let rows = Rows::new(&[1.0, 2.0, 3.0, 4.0], 2).unwrap();
    assert!(matches!(Pca::fit(rows, 3, &silent), Err(Error::Option { option: "count", .. })));
    assert!(matches!(Pca::fit(rows, 0, &silent), Err(Error::Option { option: "count", .. })));
    assert_eq!(Pca::fit(rows, 1, &made_up::interrupted()), Err(Error::Interrupted));
    let one = Rows::new(&[1.0, 2.0], 2).unwrap();
    assert_eq!(Pca::fit(one, 1, &silent), Err(Error::TooFew { needed: 2, found: 1 }));
    let pca = Pca::fit(rows, 1, &silent).unwrap();
    let other = Rows::new(&[1.0], 1).unwrap();
    assert_eq!(pca.transform(other), Err(Error::Dimension { expected: 2, found: 1 }));
}
