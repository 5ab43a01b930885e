//! Maps: what they keep together, beside umap-learn and openTSNE.

use songrec_analysis::{
    Error, Graph, GraphOptions, Layout, Metric, Rows, TrustworthinessOptions, TsneOptions,
    UmapOptions, place, trustworthiness, tsne, umap,
};
use songrec_core::Job;

use crate::map_rows::{SETS, ended, made_up, part_of, peers, rows, the_same_with_any_threads};

/// A map may be less trustworthy than that of others by so much.
const LESS: f64 = 0.005;

fn graph(rows: Rows<'_>, k: usize) -> Graph {
    Graph::new(rows, &GraphOptions { k, ..GraphOptions::default() }, &Job::silent()).unwrap()
}

fn trust(rows: Rows<'_>, map: &Layout) -> f64 {
    trustworthiness(rows, map, &TrustworthinessOptions::default(), &Job::silent()).unwrap()
}

fn expect_trust(set: &str, by: &str, found: f64) {
    let peer = peers()[set][by]["trustworthiness"].as_f64().unwrap();
    assert!(found > peer - LESS, "{by} of {set}: {found:.4}, others {peer:.4}");
}

#[test]
fn umap_is_as_trustworthy_as_that_of_others() {
    for set in SETS {
        let (values, dimension) = rows(set);
        let rows = Rows::new(&values, dimension).unwrap();

        let map = umap(rows, &graph(rows, 15), &UmapOptions::default(), &Job::silent()).unwrap();

        expect_trust(set, "umap", trust(rows, &map));
    }
}

#[test]
fn tsne_is_as_trustworthy_as_that_of_others() {
    for set in SETS {
        let (values, dimension) = rows(set);
        let rows = Rows::new(&values, dimension).unwrap();
        let options = TsneOptions::default();

        let map = tsne(rows, &graph(rows, options.neighbors()), &options, &Job::silent()).unwrap();

        expect_trust(set, "tsne", trust(rows, &map));
    }
}

#[test]
fn three_dimensions_keep_at_least_what_two_keep() {
    let (values, dimension) = rows("audio");
    let rows = Rows::new(&values, dimension).unwrap();
    let options = UmapOptions { dimensions: 3, ..UmapOptions::default() };

    let map = umap(rows, &graph(rows, 15), &options, &Job::silent()).unwrap();

    assert_eq!((map.dimensions(), map.len()), (3, rows.len()));
    expect_trust("audio", "umap", trust(rows, &map));
    let options = TsneOptions { dimensions: 3, ..TsneOptions::default() };
    let map = tsne(rows, &graph(rows, 90), &options, &Job::silent()).unwrap();
    expect_trust("audio", "tsne", trust(rows, &map));
}

#[test]
fn maps_are_the_same_whatever_the_threads_and_differ_by_seed() {
    let values = made_up(1500, 8, 1);
    let rows = Rows::new(&values, 8).unwrap();
    let graph = graph(rows, 30);
    let job = Job::silent();

    let drawn = the_same_with_any_threads(|| {
        let options = UmapOptions { epochs: Some(30), seed: 7, ..UmapOptions::default() };
        umap(rows, &graph, &options, &job).unwrap()
    });
    let options = UmapOptions { epochs: Some(30), seed: 8, ..UmapOptions::default() };
    assert_ne!(drawn, umap(rows, &graph, &options, &job).unwrap());
    the_same_with_any_threads(|| {
        let options =
            TsneOptions { perplexity: 10.0, early: 20, late: 20, ..TsneOptions::default() };
        tsne(rows, &graph, &options, &job).unwrap()
    });
    let few = TrustworthinessOptions { all_up_to: 100, sample: 333, ..Default::default() };
    the_same_with_any_threads(|| trustworthiness(rows, &drawn, &few, &job).unwrap().to_bits());
}

#[test]
fn a_row_that_is_placed_lies_where_it_would_have_been_drawn() {
    let (values, dimension) = rows("audio");
    let all = Rows::new(&values, dimension).unwrap();
    let (old, new) = values.split_at(900 * dimension);
    let (old, new) = (Rows::new(old, dimension).unwrap(), Rows::new(new, dimension).unwrap());
    let (options, job) = (UmapOptions::default(), Job::silent());
    let map = umap(old, &graph(old, 15), &options, &job).unwrap();
    let nearest = Graph::between(old, new, &GraphOptions::default(), &job).unwrap();

    let placed = place(&map, &nearest, &options, &job).unwrap();

    assert_eq!(placed.len(), 100);
    let both = [map.values(), placed.values()].concat();
    let both = Layout::new(both, 2).unwrap();
    assert_eq!(part_of(&both, 0..900), map, "no other row moves");
    expect_trust("audio", "umap", trust(all, &both));
    // One at a time gives the same, with any number of threads.
    let one = Rows::new(new.row(17), dimension).unwrap();
    let nearest = Graph::between(old, one, &GraphOptions::default(), &job).unwrap();
    let alone = the_same_with_any_threads(|| place(&map, &nearest, &options, &job).unwrap());
    assert_eq!(alone, part_of(&placed, 17..18));
}

#[test]
fn trustworthiness_is_that_of_scikit_learn() {
    // Not of drawn pictures, which are whole numbers: of many equally near ones
    // scikit-learn takes whichever its sort puts first.
    for set in SETS.into_iter().filter(|&set| set != "drawn") {
        let (values, dimension) = rows(set);
        let rows = Rows::new(&values, dimension).unwrap();
        let columns = rows.iter().flat_map(|row| row[..2].to_vec()).collect();
        let map = Layout::new(columns, 2).unwrap();

        for (metric, name) in
            [(Metric::Euclidean, "first_columns"), (Metric::Cosine, "first_columns_cosine")]
        {
            let options = TrustworthinessOptions { metric, ..TrustworthinessOptions::default() };
            let found = trustworthiness(rows, &map, &options, &Job::silent()).unwrap();
            let expected = peers()[set][name].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-6, "{set}, {name}: {found} not {expected}");
        }
    }
}

#[test]
fn a_sample_is_near_the_whole() {
    let (values, dimension) = rows("audio");
    let rows = Rows::new(&values, dimension).unwrap();
    let columns = rows.iter().flat_map(|row| row[..2].to_vec()).collect();
    let map = Layout::new(columns, 2).unwrap();
    let options = TrustworthinessOptions { all_up_to: 10, sample: 400, ..Default::default() };

    let found = trustworthiness(rows, &map, &options, &Job::silent()).unwrap();

    assert!((found - trust(rows, &map)).abs() < 0.02);
    assert!(found != trust(rows, &map), "it is of other rows");
}

#[test]
fn equal_rows_and_constant_columns_have_maps() {
    let mut values = vec![1.0; 60 * 3];
    let draw = |values: &[f32]| {
        let rows = Rows::new(values, 3).unwrap();
        let graph = graph(rows, 15);
        let options = UmapOptions { epochs: Some(50), ..UmapOptions::default() };
        let first = umap(rows, &graph, &options, &Job::silent()).unwrap();
        let options = TsneOptions { perplexity: 5.0, ..TsneOptions::default() };
        let second = tsne(rows, &graph, &options, &Job::silent()).unwrap();
        assert!(first.values().iter().chain(second.values()).all(|x| x.is_finite()));
        assert_eq!((first.len(), second.len()), (60, 60));
    };

    draw(&values);
    for (row, first) in values.iter_mut().step_by(3).enumerate() {
        *first = row as f32 * 1e6;
    }
    draw(&values);
}

#[test]
fn what_means_nothing_is_refused() {
    let values = made_up(100, 4, 2);
    let rows = Rows::new(&values, 4).unwrap();
    let (graph, job) = (graph(rows, 15), Job::silent());
    let usual = UmapOptions::default();

    for options in [
        UmapOptions { dimensions: 4, ..usual },
        UmapOptions { min_dist: -1.0, ..usual },
        UmapOptions { min_dist: 2.0, ..usual },
        UmapOptions { spread: f64::NAN, ..usual },
    ] {
        assert!(matches!(umap(rows, &graph, &options, &job), Err(Error::Option { .. })));
    }
    // Thirty neighbors need ninety in the graph.
    let refused = tsne(rows, &graph, &TsneOptions::default(), &job);
    assert!(matches!(refused, Err(Error::Option { option: "the perplexity", .. })));
    let fewer = Rows::new(&values[..40], 4).unwrap();
    assert!(umap(fewer, &graph, &usual, &job).is_err());
    let mut wrong = graph.clone();
    wrong.neighbors[3] = 100;
    assert!(umap(rows, &wrong, &usual, &job).is_err());
    wrong.neighbors.pop();
    assert!(umap(rows, &wrong, &usual, &job).is_err());
    let map = Layout::new(vec![0.0; 200], 2).unwrap();
    for options in [
        TrustworthinessOptions { k: 50, ..Default::default() },
        TrustworthinessOptions { k: 0, ..Default::default() },
        TrustworthinessOptions { sample: 0, ..Default::default() },
    ] {
        assert!(trustworthiness(rows, &map, &options, &job).is_err());
    }
    assert!(Layout::new(vec![0.0, f32::NAN], 2).is_err());
    assert!(Layout::new(vec![0.0; 5], 2).is_err());
}

#[test]
fn all_of_it_can_be_interrupted() {
    let values = made_up(300, 4, 3);
    let rows = Rows::new(&values, 4).unwrap();
    let graph = graph(rows, 15);
    let map = Layout::new(vec![0.0; 600], 2).unwrap();
    let few = TsneOptions { perplexity: 5.0, ..TsneOptions::default() };

    let found = [
        umap(rows, &graph, &UmapOptions::default(), &ended()).unwrap_err(),
        tsne(rows, &graph, &few, &ended()).unwrap_err(),
        place(&map, &graph, &UmapOptions::default(), &ended()).unwrap_err(),
        trustworthiness(rows, &map, &TrustworthinessOptions::default(), &ended()).unwrap_err(),
    ];

    assert_eq!(found, [const { Error::Interrupted }; 4]);
}
