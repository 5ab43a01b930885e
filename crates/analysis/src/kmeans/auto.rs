//! How many clusters there are.

use std::ops::RangeInclusive;

use songrec_core::{Event, Job, Work};

use super::{KMeansOptions, kmeans};
use crate::{Error, Result, Rows, SilhouetteOptions, sample, silhouette};

/// How [`choose_k`] compares numbers of clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct ChooseKOptions {
    /// The numbers to compare, from 2.
    pub ks: RangeInclusive<usize>,
    /// If there are more rows than this, so many of them are looked at.
    pub sample: usize,
    /// Starts of k-means for each number.
    pub starts: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for ChooseKOptions {
    fn default() -> Self {
        Self { ks: 2..=20, sample: 5000, starts: 4, seed: 0 }
    }
}

/// What [`choose_k`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenK {
    /// The best number of clusters.
    pub k: usize,
    /// Each number that was compared, with its mean silhouette, from −1 to 1.
    pub silhouettes: Vec<(usize, f64)>,
}

/// The number of clusters with the largest mean silhouette (Rousseeuw, 1987), the smallest
/// of several as good.
///
/// k-means and silhouette both run over the same rows: all, or a sample drawn by the
/// seed. Numbers above the number of these rows less one are left out, as are those for
/// which k-means finds no second cluster.
///
/// Takes O(`s·k·d`) a pass of k-means and O(`s²·d`) for a silhouette, for `s` rows looked
/// at. Memory: a copy of these rows.
///
/// # Errors
///
/// When there are fewer than three rows, the range is empty or starts below 2, the sample is
/// below 3, all rows are equal, or the job is interrupted.
pub fn choose_k(rows: Rows<'_>, options: &ChooseKOptions, job: &Job) -> Result<ChosenK> {
    let refused = |option, value: String, expected| Error::Option { option, value, expected };
    let ks = options.ks.clone();
    if ks.is_empty() || *ks.start() < 2 {
        return Err(refused("ks", format!("{}..={}", ks.start(), ks.end()), "a range from 2"));
    }
    if options.sample < 3 {
        return Err(refused("sample", options.sample.to_string(), "3 or more"));
    }
    rows.at_least(3.max(ks.start() + 1))?;
    let some = sample::rows(rows.len(), options.sample, options.seed);
    let values: Vec<f32> = some.iter().flat_map(|row| rows.row(*row)).copied().collect();
    let some = Rows::new(&values, rows.dimension())?;

    let last = (*ks.end()).min(some.len() - 1);
    job.on(Event::started(Work::ChoosingK, Some((*ks.start()..=last).count() as u64)));
    let mut silhouettes: Vec<(usize, f64)> = Vec::new();
    let quiet = Job { interrupt: job.interrupt.clone(), ..Job::silent() };
    for k in *ks.start()..=last {
        let (starts, seed) = (options.starts, options.seed);
        let options = KMeansOptions { k, starts, seed, ..KMeansOptions::default() };
        let found = kmeans(some, &options, &quiet)?;
        let options = SilhouetteOptions { sample: some.len(), seed };
        match silhouette(some, &found.labels, &options, &quiet) {
            Ok(found) => silhouettes.push((k, found.mean)),
            Err(Error::TooFewClusters { .. }) => {}
            Err(error) => return Err(error),
        }
        job.on(Event::Advanced { item: "k", bytes: 0 });
    }
    job.on(Event::Finished);
    let best = silhouettes.iter().copied().reduce(|l, r| if r.1 > l.1 { r } else { l });
    let (k, _) = best.ok_or(Error::TooFewClusters { needed: 2, found: 1 })?;
    Ok(ChosenK { k, silhouettes })
}
