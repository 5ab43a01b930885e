//! How often the nearest rows are of the right class.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{Error, Result, Rows, squared_distance};

/// The numbers of neighbors that precision is measured at.
pub const PRECISION_AT: [usize; 3] = [1, 5, 10];

/// A row that is in no group, for [`EvaluationOptions::groups`].
pub const NO_GROUP: u32 = u32::MAX;

/// Neighbors of each query whose distances are sorted into bands.
const BANDED: usize = 10;

/// What is measured.
#[derive(Clone, Debug)]
pub struct EvaluationOptions<'a> {
    /// The group of each row, such as its artist, or [`NO_GROUP`]: rows of one group are
    /// no neighbors of each other. Without it songs of one album find each other by
    /// their recording, and every model looks better than it is (Flexer 2007).
    pub groups: Option<&'a [u32]>,
    /// How many rows are asked for their neighbors, at the most; drawn by chance where
    /// there are more.
    pub queries: usize,
    /// How often queries are drawn again for the confidence intervals (bootstrap, Efron
    /// 1979).
    pub resamples: usize,
    /// What chance is drawn from.
    pub seed: u64,
}

impl Default for EvaluationOptions<'_> {
    fn default() -> Self {
        Self { groups: None, queries: 2_000, resamples: 1_000, seed: 0 }
    }
}

/// A mean over queries, with the interval that 95 % of the means of as many queries,
/// drawn from these, lie in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How many neighbors in a range of distances are of the right class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The Euclidean distance of the query and one of its ten nearest rows.
    pub distance: f32,
    /// Whether both are of one class.
    pub right: bool,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The rows that were asked for their neighbors.
    pub queries: Vec<usize>,
    /// For each query the part of the nearest 1, 5 and 10 rows that are of its class;
    /// of as many as there are, where there are fewer.
    pub precision: [Vec<f64>; 3],
    /// For each query the average precision over the ranking of all rows.
    pub average_precision: Vec<f64>,
    /// For each query the part of all rows that are of its class: what chance would get.
    pub chance: Vec<f64>,
    /// How often the nearest row of a query of one class is of another one: the class of
    /// the query, that of the neighbor, and how often; the most frequent first.
    pub confusions: Vec<(u32, u32, u64)>,
    /// The ten nearest rows of every query.
    pub pairs: Vec<Pair>,
}

struct OneQuery {
    precision: [f64; 3],
    average_precision: f64,
    chance: f64,
    confusion: Option<(u32, u32)>,
    pairs: Vec<Pair>,
}

/// Asks rows for the ranking of all others by Euclidean distance, and compares their
/// classes. `classes` holds for each row the sorted numbers of its classes; two rows are
/// right for each other if they share one. Rows without a class, and those that share
/// theirs with no row they may find, are no queries; rows without a class are no
/// neighbors either.
///
/// Rankings are exact, and equal rows are in their order. Takes O(`n·d + n·log n`) a
/// query, and `16·n` bytes for each thread.
///
/// # Errors
///
/// `TooFew` if no row can be a query, or the job is interrupted.
pub fn evaluate(
    rows: Rows<'_>,
    classes: &[Vec<u32>],
    options: &EvaluationOptions<'_>,
    job: &Job,
) -> Result<Evaluation> {
    assert_eq!(rows.len(), classes.len(), "classes for every row");
    let labelled: Vec<usize> = (0..rows.len()).filter(|row| !classes[*row].is_empty()).collect();
    if labelled.len() < 2 || options.queries == 0 {
        return Err(Error::TooFew { needed: 2, found: labelled.len() });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let count = options.queries.min(labelled.len());
    let mut queries: Vec<usize> =
        index::sample(&mut rng, labelled.len(), count).iter().map(|at| labelled[at]).collect();
    queries.sort_unstable();
    job.on(Event::started(Work::Evaluating, Some(queries.len() as u64)));
    let ask = |query: &usize| {
        if job.is_interrupted() {
            return None;
        }
        let answer = ask(rows, classes, &labelled, options.groups, *query);
        job.on(Event::Advanced { item: "", bytes: 0 });
        Some(answer.map(|answer| (*query, answer)))
    };
    let answers: Option<Vec<Option<(usize, OneQuery)>>> = queries.par_iter().map(ask).collect();
    let answers = answers.ok_or(Error::Interrupted)?;
    job.on(Event::Finished);
    let mut found = Evaluation {
        queries: Vec::new(),
        precision: [const { Vec::new() }; 3],
        average_precision: Vec::new(),
        chance: Vec::new(),
        confusions: Vec::new(),
        pairs: Vec::new(),
    };
    let mut confusions: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (query, answer) in answers.into_iter().flatten() {
        found.queries.push(query);
        found.precision.iter_mut().zip(answer.precision).for_each(|(all, one)| all.push(one));
        found.average_precision.push(answer.average_precision);
        found.chance.push(answer.chance);
        found.pairs.extend(answer.pairs);
        if let Some(confusion) = answer.confusion {
            *confusions.entry(confusion).or_default() += 1;
        }
    }
    if found.queries.is_empty() {
        return Err(Error::TooFew { needed: 2, found: 1 });
    }
    found.confusions =
        confusions.into_iter().map(|((of, with), count)| (of, with, count)).collect();
    found.confusions.sort_by(|a, b| b.2.cmp(&a.2).then(a.cmp(b)));
    Ok(found)
}

fn ask(
    rows: Rows<'_>,
    classes: &[Vec<u32>],
    labelled: &[usize],
    groups: Option<&[u32]>,
    query: usize,
) -> Option<OneQuery> {
    let own = rows.row(query);
    let is_right = |row: usize| classes[query].iter().any(|class| classes[row].contains(class));
    let may_find = |row: usize| {
        let of_group =
            groups.is_some_and(|groups| groups[query] != NO_GROUP && groups[query] == groups[row]);
        row != query && !of_group
    };
    let mut ranking: Vec<(f32, u32)> = labelled
        .iter()
        .filter(|row| may_find(**row))
        .map(|row| (squared_distance(own, rows.row(*row)), *row as u32))
        .collect();
    let relevant = ranking.iter().filter(|(_, row)| is_right(*row as usize)).count();
    if relevant == 0 {
        return None;
    }
    ranking.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut found = 0;
    let (mut precision, mut sum) = ([0.0; 3], 0.0);
    let mut pairs = Vec::with_capacity(BANDED);
    for (place, (distance, row)) in ranking.iter().enumerate() {
        let right = is_right(*row as usize);
        if right {
            found += 1;
            sum += f64::from(found) / (place + 1) as f64;
        }
        if place < BANDED {
            pairs.push(Pair { distance: distance.sqrt(), right });
        }
        for (at, precision) in PRECISION_AT.iter().zip(&mut precision) {
            if place + 1 == (*at).min(ranking.len()) {
                *precision = f64::from(found) / (place + 1) as f64;
            }
        }
    }
    let (_, nearest) = ranking[0];
    let confused = !is_right(nearest as usize);
    Some(OneQuery {
        precision,
        average_precision: sum / relevant as f64,
        chance: relevant as f64 / ranking.len() as f64,
        confusion: confused.then(|| (classes[query][0], classes[nearest as usize][0])),
        pairs,
    })
}

/// The mean of values, and its 95 % interval: the middle 95 % of the means of `resamples`
/// samples of as many values, drawn with replacement.
///
/// The same seed draws the same samples, so that two lists over the same queries can be
/// compared by the values of their difference. No values give zeros.
pub fn estimate(values: &[f64], resamples: usize, seed: u64) -> Estimate {
    if values.is_empty() {
        return Estimate::default();
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let drawn = (0..values.len()).map(|_| values[rng.random_range(0..values.len())]);
            drawn.sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = (part * means.len() as f64) as usize;
        means.get(place.min(means.len().saturating_sub(1))).copied().unwrap_or(mean)
    };
    Estimate { mean, low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two classes on a line, of which one row lies among the other class.
    const LINE: [f32; 7] = [0.0, 1.0, 2.1, 10.0, 11.0, 12.1, 10.4];

    fn classes(of: [u32; 7]) -> Vec<Vec<u32>> {
        of.map(|class| vec![class]).to_vec()
    }

    fn measured(classes: &[Vec<u32>], groups: Option<&[u32]>) -> Evaluation {
        let rows = Rows::new(&LINE, 1).unwrap();
        let options = EvaluationOptions { groups, ..EvaluationOptions::default() };
        evaluate(rows, classes, &options, &Job::silent()).unwrap()
    }

    #[test]
    fn precision_is_that_of_the_nearest() {
        let found = measured(&classes([0, 0, 0, 1, 1, 1, 0]), None);

        assert_eq!(found.queries, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(found.precision[0], [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        // Of 0: 1, 2.1, 10, 10.4, 11 and the far one.
        assert!((found.precision[1][0] - 3.0 / 5.0).abs() < 1e-12);
        assert!((found.average_precision[0] - (1.0 + 1.0 + 3.0 / 4.0) / 3.0).abs() < 1e-12);
        assert!((found.chance[0] - 0.5).abs() < 1e-12);
        assert_eq!(found.confusions, [(1, 0, 2), (0, 1, 1)]);
        assert_eq!(found.pairs.len(), 7 * 6);
    }

    #[test]
    fn rows_of_a_group_do_not_find_each_other() {
        let classes = classes([0, 0, 0, 1, 1, 1, 0]);
        let found = measured(&classes, Some(&[7, 7, NO_GROUP, 1, 2, 3, 4]));

        // The first two skip each other.
        assert_eq!(found.average_precision.len(), 7);
        assert!((found.average_precision[0] - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn rows_without_anybody_to_find_are_no_queries() {
        let found = measured(&classes([0, 0, 0, 1, 1, 1, 9]), None);
        assert_eq!(found.queries, [0, 1, 2, 3, 4, 5]);

        let rows = Rows::new(&LINE, 1).unwrap();
        let alone: Vec<Vec<u32>> = (0..7).map(|row| vec![row]).collect();
        let none = evaluate(rows, &alone, &EvaluationOptions::default(), &Job::silent());
        assert_eq!(none, Err(Error::TooFew { needed: 2, found: 1 }));
    }

    #[test]
    fn an_interval_holds_the_mean_and_shrinks_with_more_values() {
        let few: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let many: Vec<f64> = (0..4_000).map(|i| f64::from(i % 2)).collect();

        let (few, many) = (estimate(&few, 1_000, 1), estimate(&many, 1_000, 1));

        assert_eq!((few.mean, many.mean), (0.5, 0.5));
        assert!(few.low < 0.5 && few.high > 0.5);
        // Of 40 throws the standard error is 0.079.
        assert!((few.high - few.low - 4.0 * 0.079).abs() < 0.04, "{few:?}");
        assert!(many.high - many.low < (few.high - few.low) / 5.0);
    }
}
