//! Which distance counts as near.

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{
    Error, Result, Rows,
    leaves::{Leaves, Search},
    sample,
};

/// Rows whose neighbors are looked for.
const SAMPLE: usize = 2000;
/// Of these, so many by one task.
const BLOCK: usize = 16;

/// A value of `eps` for [`dbscan`](super::dbscan) with this `min_samples`.
///
/// For each row, or 2,000 drawn by the seed, it takes the smallest `eps` with which
/// the row is in a core. In ascending order these are flat inside of clusters and rise
/// steeply for noise (Ester and others, 1996, section 4.2). The value at the knee, where the
/// curve is farthest below the line between its ends, both scaled to 1 (Satopää and others,
/// 2011), is the answer.
///
/// Takes O(`s·n·d`) for `s` rows looked at. Memory: a copy of the rows.
///
/// # Errors
///
/// When there are fewer rows than `min_samples`, that is below 2, all these distances are
/// 0, or the job is interrupted.
pub fn suggest_eps(rows: Rows<'_>, min_samples: usize, seed: u64, job: &Job) -> Result<f64> {
    if min_samples < 2 {
        let (value, expected) = (min_samples.to_string(), "2 or more");
        return Err(Error::Option { option: "min_samples", value, expected });
    }
    rows.at_least(min_samples)?;
    let leaves = Leaves::new(rows);
    let some = sample::rows(rows.len(), SAMPLE, seed);
    job.on(Event::started(Work::ChoosingEps, Some(some.len() as u64)));
    let blocks: Vec<Vec<f32>> = some
        .par_chunks(BLOCK)
        .map(|block| {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let farthest = |query: &[f32]| {
                let mut nearest = Nearest(vec![f32::INFINITY; min_samples]);
                leaves.search(&[query], query, &mut nearest);
                nearest.0[min_samples - 1].sqrt()
            };
            Ok(block.iter().map(|row| farthest(rows.row(*row))).collect())
        })
        .collect::<Result<_>>()?;
    job.on(Event::Finished);
    let mut curve: Vec<f64> = blocks.into_iter().flatten().map(f64::from).collect();
    curve.sort_unstable_by(f64::total_cmp);
    let eps = knee(&curve);
    if eps > 0.0 {
        return Ok(eps);
    }
    // All but a few rows have as many copies.
    let above = curve.iter().copied().find(|distance| *distance > 0.0);
    let (value, expected) = ("0".to_owned(), "rows that are not all equal");
    above.ok_or(Error::Option { option: "eps", value, expected })
}

/// The squared distances to the nearest rows of a query, ascending.
struct Nearest(Vec<f32>);

impl Search for Nearest {
    fn reach(&self, _: usize) -> f32 {
        self.0.last().copied().unwrap_or(0.0).sqrt()
    }

    fn take(&mut self, _: usize, _: usize, squared: &[f32]) {
        let nearest = &mut self.0;
        for distance in squared {
            if nearest.last().is_some_and(|last| distance < last) {
                nearest.pop();
                let at = nearest.partition_point(|other| other <= distance);
                nearest.insert(at, *distance);
            }
        }
    }
}

/// The value of an ascending curve that is farthest below the line between its ends.
fn knee(curve: &[f64]) -> f64 {
    let (first, last) = (curve[0], curve[curve.len() - 1]);
    let steps = (curve.len() - 1).max(1) as f64;
    let below = |(at, value): (usize, &f64)| {
        let height = if last > first { (value - first) / (last - first) } else { 0.0 };
        (at as f64 / steps - height, *value)
    };
    let all = curve.iter().enumerate().map(below);
    all.reduce(|l, r| if r.0 > l.0 { r } else { l }).map_or(last, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_is_where_a_flat_curve_turns_up() {
        let curve: Vec<f64> = (0..100)
            .map(|at| if at < 90 { 1.0 + 0.01 * f64::from(at) } else { f64::from(at) })
            .collect();

        assert_eq!(knee(&curve), curve[89]);
        assert_eq!(knee(&[3.0]), 3.0);
        assert_eq!(knee(&[2.0, 2.0, 2.0]), 2.0);
    }
}
