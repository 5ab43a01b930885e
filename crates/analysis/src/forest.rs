//! Rows that are easily cut off from the others.

mod grow;
mod tree;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{Error, Result, Rows};

pub use tree::{IsolationTree, TreeNodes};

/// Rows that go through all trees together.
const BLOCK: usize = 128;

/// How [`IsolationForest::fit`] works. The values by default are those of Liu, Ting and
/// Zhou (2008), and of scikit-learn.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestOptions {
    /// The number of trees.
    pub trees: usize,
    /// Rows that each tree is grown from; all if there are fewer.
    pub sample: usize,
    /// The part of rows that are anomalies, above 0 and up to 0.5; `None` puts the line at
    /// the score −0.5, which a row of average depth has.
    pub contamination: Option<f64>,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for ForestOptions {
    fn default() -> Self {
        Self { trees: 100, sample: 256, contamination: None, seed: 0 }
    }
}

/// Trees that cut rows off by random thresholds (Liu, Ting and Zhou, 2008): the fewer cuts
/// a row needs, the more it is an anomaly.
#[derive(Clone, Debug)]
pub struct IsolationForest {
    trees: Vec<IsolationTree>,
    /// The depth that a row has on average.
    normal: f64,
    dimension: usize,
    /// Scores below this are anomalies.
    pub offset: f64,
}

impl IsolationForest {
    /// Grows trees, each from rows drawn without putting any back, and with a random column
    /// and threshold at each cut; and scores all rows if `contamination` is given.
    ///
    /// Takes O(`trees·sample·log(sample)`), and [`Self::scores`] if so. Memory: some 32 bytes
    /// for each tree and row of its sample.
    ///
    /// # Errors
    ///
    /// When there are fewer than two rows, `trees` is 0, `sample` is below 2, the contamination
    /// is not in its range, or the job is interrupted.
    pub fn fit(rows: Rows<'_>, options: &ForestOptions, job: &Job) -> Result<Self> {
        check(rows, options)?;
        let sample = options.sample.min(rows.len());
        job.on(Event::started(Work::GrowingTrees, Some(options.trees as u64)));
        // A seed for each tree, so that the order in which they grow is nothing.
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let seeds: Vec<u64> = (0..options.trees).map(|_| rng.random()).collect();
        let trees = seeds
            .par_iter()
            .map(|seed| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                let tree = grow::tree(rows, sample, &mut ChaCha8Rng::seed_from_u64(*seed));
                job.on(Event::Advanced { item: "tree", bytes: 0 });
                Ok(tree)
            })
            .collect::<Result<_>>()?;
        job.on(Event::Finished);
        let mut forest = Self::from_trees(trees, sample, rows.dimension(), -0.5)?;
        if let Some(contamination) = options.contamination {
            forest.offset = quantile(forest.scores(rows, job)?, contamination);
        }
        Ok(forest)
    }

    /// A forest of trees that were grown elsewhere, each from `sample` rows.
    ///
    /// # Errors
    ///
    /// When there is no tree, a tree asks for a column that rows of this dimension have not, or
    /// `sample` is below 2.
    pub fn from_trees(
        trees: Vec<IsolationTree>,
        sample: usize,
        dimension: usize,
        offset: f64,
    ) -> Result<Self> {
        let refused = |option, value: usize, expected| {
            Err(Error::Option { option, value: value.to_string(), expected })
        };
        if trees.is_empty() {
            return refused("trees", 0, "1 or more");
        }
        if sample < 2 {
            return refused("sample", sample, "2 or more");
        }
        if let Some(found) = trees.iter().map(IsolationTree::columns).find(|c| *c > dimension) {
            return Err(Error::Dimension { expected: found, found: dimension });
        }
        Ok(Self { trees, normal: tree::average_depth(sample), dimension, offset })
    }

    /// The score of each row, from −1 (an anomaly) to 0, as in scikit-learn's `score_samples`:
    /// `−2^(−h/c)` for a mean depth `h` over all trees and the depth `c` of an average row.
    ///
    /// Takes O(`trees·log(sample)`) a row. Memory: 8 bytes a row.
    ///
    /// # Errors
    ///
    /// When the rows have another dimension, or the job is interrupted.
    pub fn scores(&self, rows: Rows<'_>, job: &Job) -> Result<Vec<f64>> {
        if rows.dimension() != self.dimension {
            return Err(Error::Dimension { expected: self.dimension, found: rows.dimension() });
        }
        job.on(Event::started(Work::ScoringOutliers, Some(rows.len() as u64)));
        let mut scores = vec![0.0; rows.len()];
        scores
            .par_chunks_mut(BLOCK)
            .zip(rows.values().par_chunks(BLOCK * self.dimension))
            .try_for_each(|(scores, rows)| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                for tree in &self.trees {
                    tree.add_depths(rows, self.dimension, scores);
                }
                let scale = self.trees.len() as f64 * self.normal;
                scores.iter_mut().for_each(|depth| *depth = -(-*depth / scale).exp2());
                Ok(())
            })?;
        job.on(Event::Finished);
        Ok(scores)
    }

    /// The score of each row less [`Self::offset`]: negative for an anomaly, as in
    /// scikit-learn's `decision_function`.
    ///
    /// # Errors
    ///
    /// As [`Self::scores`].
    pub fn decisions(&self, rows: Rows<'_>, job: &Job) -> Result<Vec<f64>> {
        let mut scores = self.scores(rows, job)?;
        scores.iter_mut().for_each(|score| *score -= self.offset);
        Ok(scores)
    }
}

fn check(rows: Rows<'_>, options: &ForestOptions) -> Result<()> {
    let refused = |option, value: String, expected| Err(Error::Option { option, value, expected });
    if options.trees == 0 {
        return refused("trees", "0".to_owned(), "1 or more");
    }
    if options.sample < 2 {
        return refused("sample", options.sample.to_string(), "2 or more");
    }
    if let Some(part) = options.contamination
        && !(part > 0.0 && part <= 0.5)
    {
        return refused("contamination", part.to_string(), "above 0 and up to 0.5");
    }
    rows.at_least(2)
}

/// The value below which this part of values lies, between the two nearest in proportion.
fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = part * (values.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(values.len() - 1);
    values[low] + (values[high] - values[low]) * (at - low as f64)
}
