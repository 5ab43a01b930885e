//! The nearest rows of each row.

use std::sync::Mutex;

use songrec_analysis::{Error, Graph, GraphOptions, Metric, Rows};
use songrec_core::Job;

use crate::map_rows::{ended, made_up, the_same_with_any_threads};

/// The true neighbors of a row: all others by distance, then by number.
fn truth(rows: Rows<'_>, row: usize, metric: Metric) -> Vec<(f64, u32)> {
    let distance = |other: &[f32]| {
        let pairs = || rows.row(row).iter().zip(other).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        match metric {
            Metric::Euclidean => pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
            Metric::Cosine => {
                let norms: f64 = pairs().map(|(a, _)| a * a).sum::<f64>()
                    * pairs().map(|(_, b)| b * b).sum::<f64>();
                1.0 - pairs().map(|(a, b)| a * b).sum::<f64>() / norms.sqrt()
            }
        }
    };
    let mut all: Vec<(f64, u32)> = (0..rows.len())
        .filter(|&other| other != row)
        .map(|other| (distance(rows.row(other)), other as u32))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all
}

#[test]
fn neighbors_of_few_rows_are_the_true_ones() {
    let values = made_up(300, 7, 1);
    let rows = Rows::new(&values, 7).unwrap();

    for metric in [Metric::Euclidean, Metric::Cosine] {
        let options = GraphOptions { k: 9, metric, ..GraphOptions::default() };
        let graph = Graph::new(rows, &options, &Job::silent()).unwrap();

        for row in 0..rows.len() {
            let truth = truth(rows, row, metric);
            for ((neighbor, distance), (expected, number)) in graph.row(row).zip(truth) {
                assert_eq!(neighbor, number, "of row {row}");
                assert!((f64::from(distance) - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn of_many_rows_nearly_all_neighbors_are_found_whatever_the_threads() {
    for (dimension, metric) in [(6, Metric::Euclidean), (24, Metric::Cosine)] {
        let values = made_up(12_000, dimension, 2);
        let rows = Rows::new(&values, dimension).unwrap();
        let options = GraphOptions { metric, ..GraphOptions::default() };

        let graph =
            the_same_with_any_threads(|| Graph::new(rows, &options, &Job::silent()).unwrap());

        let mut hits = 0;
        for row in (0..rows.len()).step_by(120) {
            let truth: Vec<u32> = truth(rows, row, metric).iter().take(15).map(|t| t.1).collect();
            let found: Vec<(u32, f32)> = graph.row(row).collect();
            assert!(found.is_sorted_by(|a, b| a.1 <= b.1), "nearest first");
            hits += found.iter().filter(|found| truth.contains(&found.0)).count();
        }
        let recall = hits as f64 / 1500.0;
        assert!(recall > 0.97, "{metric:?}: {recall}");
    }
}

#[test]
fn with_a_recall_of_one_all_neighbors_are_found() {
    let values = made_up(10_500, 3, 3);
    let rows = Rows::new(&values, 3).unwrap();
    let options = GraphOptions { k: 5, recall: 1.0, ..GraphOptions::default() };

    let graph = Graph::new(rows, &options, &Job::silent()).unwrap();

    for row in (0..rows.len()).step_by(500) {
        let found: Vec<u32> = graph.row(row).map(|found| found.0).collect();
        let truth: Vec<u32> =
            truth(rows, row, Metric::Euclidean).iter().take(5).map(|t| t.1).collect();
        assert_eq!(found, truth);
    }
}

#[test]
fn equal_rows_are_neighbors_at_distance_zero() {
    for count in [20, 11_000] {
        let values = vec![0.5; count * 4];
        let rows = Rows::new(&values, 4).unwrap();

        let graph = Graph::new(rows, &GraphOptions::default(), &Job::silent()).unwrap();

        for row in 0..count {
            let mut neighbors: Vec<u32> = graph.row(row).map(|found| found.0).collect();
            neighbors.sort_unstable();
            neighbors.dedup();
            assert_eq!(neighbors.len(), 15);
            assert!(!neighbors.contains(&(row as u32)), "not itself");
        }
        assert!(graph.distances.iter().all(|&distance| distance == 0.0));
    }
}

// Four neighbors of each of these rows, which ones by the number of the row.
fn four(numbers: &[u32], graph: &Graph) -> Graph {
    let mut chosen = Graph { k: 4, ..Graph::default() };
    for (row, number) in numbers.iter().enumerate() {
        for (neighbor, distance) in graph.row(row).skip(*number as usize % 11).take(4) {
            chosen.neighbors.push(neighbor);
            chosen.distances.push(distance);
        }
    }
    chosen
}

#[test]
fn what_is_chosen_is_given_to_the_row_that_it_was_chosen_for() {
    let options = GraphOptions::default();
    for count in [300, 11_000] {
        let values = made_up(count, 4, 7);
        let rows = Rows::new(&values, 4).unwrap();
        let asked = Mutex::new(vec![0; count]);
        let choose = |numbers: &[u32], graph: Graph| {
            let mut asked = asked.lock().unwrap();
            numbers.iter().for_each(|&row| asked[row as usize] += 1);
            Some(four(numbers, &graph))
        };

        let chosen = Graph::chosen(rows, &options, 4, choose, &Job::silent()).unwrap();

        let all = Graph::new(rows, &options, &Job::silent()).unwrap();
        let numbers: Vec<u32> = (0..count as u32).collect();
        assert_eq!(chosen, four(&numbers, &all));
        assert!(asked.into_inner().unwrap().iter().all(|&times| times == 1), "each row once");
    }
}

#[test]
fn a_choice_of_another_size_or_of_nothing_ends_the_work() {
    for count in [300, 11_000] {
        let values = made_up(count, 4, 8);
        let rows = Rows::new(&values, 4).unwrap();
        let chosen = |choice: fn(Graph) -> Option<Graph>| {
            let options = GraphOptions::default();
            Graph::chosen(rows, &options, 4, |_, graph| choice(graph), &Job::silent()).unwrap_err()
        };

        assert!(matches!(chosen(Some), Error::Option { .. }), "15 neighbors and not 4");
        assert_eq!(chosen(|_| None), Error::Interrupted);
    }
}

#[test]
fn new_rows_have_their_neighbors_among_the_old() {
    let values = made_up(500, 5, 4);
    let (old, new) = values.split_at(400 * 5);
    let (old, new) = (Rows::new(old, 5).unwrap(), Rows::new(new, 5).unwrap());

    let graph = Graph::between(old, new, &GraphOptions::default(), &Job::silent()).unwrap();

    let all = Rows::new(&values, 5).unwrap();
    for row in 0..new.len() {
        let found: Vec<u32> = graph.row(row).map(|found| found.0).collect();
        let truth = truth(all, 400 + row, Metric::Euclidean);
        let truth: Vec<u32> = truth.iter().map(|t| t.1).filter(|&t| t < 400).take(15).collect();
        assert_eq!(found, truth);
    }
}

#[test]
fn what_has_no_graph_is_refused() {
    let job = Job::silent();
    let values = made_up(10, 3, 5);
    let rows = Rows::new(&values, 3).unwrap();
    let graph = |options: &GraphOptions| Graph::new(rows, options, &job).unwrap_err();
    let usual = GraphOptions::default();

    assert_eq!(graph(&usual), Error::TooFew { needed: 16, found: 10 });
    assert!(matches!(graph(&GraphOptions { k: 0, ..usual }), Error::Option { .. }));
    for recall in [0.0, 1.5, f64::NAN] {
        assert!(matches!(graph(&GraphOptions { k: 2, recall, ..usual }), Error::Option { .. }));
    }
    let zeros = [1.0, 2.0, 0.0, 0.0, 1.0, 1.0];
    let options = GraphOptions { k: 1, metric: Metric::Cosine, ..usual };
    let refused = Graph::new(Rows::new(&zeros, 2).unwrap(), &options, &job).unwrap_err();
    assert_eq!(refused, Error::Zero { row: 1 });
    let one = Rows::new(&[1.0], 1).unwrap();
    assert!(matches!(Graph::new(one, &options, &job), Err(Error::TooFew { .. })));
}

#[test]
fn a_graph_can_be_interrupted() {
    for count in [200, 11_000] {
        let values = made_up(count, 3, 6);
        let rows = Rows::new(&values, 3).unwrap();

        let refused = Graph::new(rows, &GraphOptions::default(), &ended()).unwrap_err();

        assert_eq!(refused, Error::Interrupted);
    }
}
