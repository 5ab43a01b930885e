use serde_json::Value;
use songrec_analysis::{Error, ForestOptions, IsolationForest, IsolationTree, Rows, TreeNodes};
use songrec_core::Job;

use crate::{fixture, made_up};

fn tree(of: &Value) -> IsolationTree {
    let children = |name: &str| {
        fixture::numbers(&of[name])
            .iter()
            .map(|child| (*child >= 0.0).then_some(*child as usize))
            .collect()
    };
    IsolationTree::new(&TreeNodes {
        // An end has a column below 0.
        columns: fixture::numbers(&of["features"])
            .iter()
            .map(|column| column.max(0.0) as usize)
            .collect(),
        thresholds: fixture::numbers(&of["thresholds"]),
        left: children("left"),
        right: children("right"),
        samples: fixture::numbers(&of["samples"]).iter().map(|count| *count as usize).collect(),
    })
    .unwrap()
}

/// The rank of each value.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|l, r| values[*l].total_cmp(&values[*r]));
    let mut ranks = vec![0.0; values.len()];
    for (rank, at) in order.into_iter().enumerate() {
        ranks[at] = rank as f64;
    }
    ranks
}

/// Of Spearman.
fn rank_correlation(left: &[f64], right: &[f64]) -> f64 {
    let n = left.len() as f64;
    let off = ranks(left).iter().zip(ranks(right)).map(|(l, r)| (l - r) * (l - r)).sum::<f64>();
    1.0 - 6.0 * off / (n * (n * n - 1.0))
}

#[test]
fn the_same_trees_give_the_scores_of_scikit_learn() {
    let (values, dimension) = fixture::rows("blobs");
    let rows = Rows::new(&values, dimension).unwrap();
    let expected = fixture::read("forest");
    let trees = expected["trees"].as_array().unwrap().iter().map(tree).collect();
    let sample = fixture::count(&expected["sample"]);
    let offset = expected["offset"].as_f64().unwrap();
    let forest = IsolationForest::from_trees(trees, sample, dimension, offset).unwrap();

    let scores = forest.scores(rows, &Job::silent()).unwrap();
    let decisions = forest.decisions(rows, &Job::silent()).unwrap();

    for (name, found) in [("scores", scores), ("decisions", decisions)] {
        let theirs = fixture::numbers(&expected[name]);
        assert_eq!(found.len(), theirs.len());
        for (ours, theirs) in found.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-9, "{name}: {ours} {theirs}");
        }
    }
}

#[test]
fn trees_of_our_own_put_rows_in_the_order_of_scikit_learn() {
    let (values, dimension) = fixture::rows("blobs");
    let rows = Rows::new(&values, dimension).unwrap();
    let theirs = fixture::numbers(&fixture::read("forest")["thousand_trees"]);

    // With a hundred, scikit-learn does not agree with itself so well.
    let options = ForestOptions { trees: 1000, ..ForestOptions::default() };
    let forest = IsolationForest::fit(rows, &options, &Job::silent()).unwrap();
    let ours = forest.scores(rows, &Job::silent()).unwrap();

    let correlation = rank_correlation(&ours, &theirs);
    assert!(correlation > 0.95, "{correlation}");
    // They are of the same size, too.
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    assert!((mean(&ours) - mean(&theirs)).abs() < 0.01, "{} {}", mean(&ours), mean(&theirs));
}

#[test]
fn contamination_says_how_many_are_anomalies() {
    let values = made_up::blobs(1001, 4, 3, 1);
    let rows = Rows::new(&values, 4).unwrap();
    let options = ForestOptions { contamination: Some(0.1), ..ForestOptions::default() };

    let forest = IsolationForest::fit(rows, &options, &Job::silent()).unwrap();
    let decisions = forest.decisions(rows, &Job::silent()).unwrap();

    // The line goes through the hundredth of a thousand steps.
    assert_eq!(decisions.iter().filter(|decision| **decision < 0.0).count(), 100);
}

#[test]
fn threads_change_no_bit() {
    let values = made_up::blobs(2000, 6, 3, 2);
    let rows = Rows::new(&values, 6).unwrap();
    let options = ForestOptions { contamination: Some(0.05), ..ForestOptions::default() };

    let [one, three, sixteen] = made_up::with_threads(|| {
        let forest = IsolationForest::fit(rows, &options, &Job::silent()).unwrap();
        forest.decisions(rows, &Job::silent()).unwrap()
    });

    assert!(one == three && one == sixteen);
}

#[test]
fn a_row_far_away_has_the_lowest_score() {
    let mut values = made_up::blobs(500, 5, 1, 3);
    values[5 * 123..][..5].fill(60.0);
    let rows = Rows::new(&values, 5).unwrap();

    let forest = IsolationForest::fit(rows, &ForestOptions::default(), &Job::silent()).unwrap();
    let scores = forest.scores(rows, &Job::silent()).unwrap();

    let lowest = (0..500).min_by(|l, r| scores[*l].total_cmp(&scores[*r])).unwrap();
    assert_eq!(lowest, 123);
    assert!(scores.iter().all(|score| (-1.0..=0.0).contains(score)));
}

#[test]
fn odd_input_has_an_answer_or_an_error() {
    let silent = Job::silent();
    let equal = [1.0f32; 60];
    let equal = Rows::new(&equal, 3).unwrap();
    let forest = IsolationForest::fit(equal, &ForestOptions::default(), &silent).unwrap();
    let scores = forest.scores(equal, &silent).unwrap();
    assert!(scores.iter().all(|score| (score + 0.5).abs() < 1e-12));
    let other = Rows::new(&[1.0, 2.0], 2).unwrap();
    let refused = forest.scores(other, &silent).unwrap_err();
    assert_eq!(refused, Error::Dimension { expected: 3, found: 2 });
    assert_eq!(forest.scores(equal, &made_up::interrupted()), Err(Error::Interrupted));

    let one = Rows::new(&[1.0, 2.0], 2).unwrap();
    let refused =
        |rows, options: ForestOptions| IsolationForest::fit(rows, &options, &silent).unwrap_err();
    let usual = ForestOptions::default;
    assert_eq!(refused(one, usual()), Error::TooFew { needed: 2, found: 1 });
    for options in [
        ForestOptions { trees: 0, ..usual() },
        ForestOptions { sample: 1, ..usual() },
        ForestOptions { contamination: Some(0.0), ..usual() },
        ForestOptions { contamination: Some(f64::NAN), ..usual() },
        ForestOptions { contamination: Some(0.6), ..usual() },
    ] {
        assert!(matches!(refused(equal, options), Error::Option { .. }));
    }
}
