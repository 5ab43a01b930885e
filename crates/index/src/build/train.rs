//! The centroids of the lists, by k-means.

use std::collections::HashSet;

use rayon::prelude::*;

use super::choose::choose_all;
use super::measure::probes;
use super::{Ended, Stop, finite, record};
use crate::code::Coder;
use crate::layout::Damage;
use crate::view::View;

/// Rows that the centroids are trained on, for each list.
const SAMPLE: usize = 64;
const ITERATIONS: usize = 8;
/// A list is split if it has more than so many times as many rows as others,
const LONG: usize = 2;
/// and if the squares of their distances become no more than this part.
const CLOSER: f64 = 0.9;
/// How often the parts may be split again.
const ROUNDS: usize = 3;

/// Centroids for about `count` lists.
pub(super) fn train(
    view: &View,
    coder: &Coder,
    slots: &[u32],
    count: usize,
    stop: Stop<'_>,
) -> Result<Vec<Vec<f32>>, Ended> {
    // Not on the rows that will be searched for to measure the result: their
    // lists would suit them better than those of what users search for.
    let probes: HashSet<u32> = probes(slots).collect();
    let sample: Vec<u32> =
        some(slots, count * SAMPLE).filter(|slot| !probes.contains(slot)).collect();
    let starts: Vec<u32> = some(slots, count).collect();
    let centroids = means(view, coder, &sample, &starts, stop)?;
    split(view, coder, &sample, centroids, stop)
}

/// So many of the rows, from everywhere.
fn some(slots: &[u32], wanted: usize) -> impl Iterator<Item = u32> {
    let wanted = wanted.min(slots.len());
    (0..wanted).map(move |i| slots[i * slots.len() / wanted])
}

/// Centroids by k-means (Lloyd 1982) over a sample of the rows.
fn means(
    view: &View,
    coder: &Coder,
    sample: &[u32],
    starts: &[u32],
    stop: Stop<'_>,
) -> Result<Vec<Vec<f32>>, Ended> {
    let mut centroids = starts
        .iter()
        .map(|&slot| Ok(record(view, slot)?.values().collect()))
        .collect::<Result<Vec<Vec<f32>>, Damage>>()?;
    for _ in 0..ITERATIONS {
        let chosen = choose_all(view, sample, &centroids, stop)?;
        let mut members = members_of(sample, &chosen, centroids.len());
        // A centroid that nothing is near to starts again from a row that is
        // far from its own.
        let mut lonely: Vec<usize> = (0..sample.len()).collect();
        lonely.sort_unstable_by(|&a, &b| chosen[b].1.total_cmp(&chosen[a].1));
        let mut lonely = lonely.into_iter().map(|i| sample[i]);
        for members in &mut members {
            if members.is_empty() {
                members.extend(lonely.next());
            }
        }
        centroids = members
            .par_iter()
            .map(|members| middle(view, coder, members))
            .collect::<Result<_, _>>()?;
    }
    Ok(centroids)
}

fn members_of(sample: &[u32], chosen: &[(u32, f32)], count: usize) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); count];
    for (&slot, &(list, _)) in sample.iter().zip(chosen) {
        members[list as usize].push(slot);
    }
    members
}

/// Splits lists that are much longer than others, where that makes them closer.
///
/// Where there are more clusters than lists, k-means leaves those that no
/// centroid came close to in a list around the middle of everything. That is
/// among the nearest of most queries, which would look through all of it.
fn split(
    view: &View,
    coder: &Coder,
    sample: &[u32],
    mut centroids: Vec<Vec<f32>>,
    stop: Stop<'_>,
) -> Result<Vec<Vec<f32>>, Ended> {
    let usual = sample.len().div_ceil(centroids.len()).max(1);
    for _ in 0..ROUNDS {
        let chosen = choose_all(view, sample, &centroids, stop)?;
        let before = centroids.len();
        for (list, members) in members_of(sample, &chosen, before).iter().enumerate() {
            if members.len() <= LONG * usual {
                continue;
            }
            let starts: Vec<u32> = some(members, members.len().div_ceil(usual)).collect();
            let parts = means(view, coder, members, &starts, stop)?;
            // Below zero by rounding, of rows that are all the same.
            let spread = |centroids: &[Vec<f32>]| -> Result<f64, Ended> {
                let chosen = choose_all(view, members, centroids, stop)?;
                Ok(chosen.iter().map(|&(_, square)| f64::from(square.max(0.0))).sum())
            };
            if spread(&parts)? < CLOSER * spread(&centroids[list..=list])? {
                let mut parts = parts.into_iter();
                centroids[list] = parts.next().ok_or("a list has no centroid")?;
                centroids.extend(parts);
            }
        }
        if centroids.len() == before {
            break;
        }
    }
    Ok(centroids)
}

/// The mean of the turned rows.
pub(super) fn middle(view: &View, coder: &Coder, slots: &[u32]) -> Result<Vec<f32>, Damage> {
    let mut sum = vec![0.0_f64; coder.len];
    let step = slots.len().div_ceil(20_000).max(1);
    let mut rows = 0.0_f64;
    for &slot in slots.iter().step_by(step) {
        for (sum, value) in sum.iter_mut().zip(record(view, slot)?.values()) {
            *sum += f64::from(value);
        }
        rows += 1.0;
    }
    Ok(sum.into_iter().map(|sum| finite((sum / rows.max(1.0)) as f32)).collect())
}
