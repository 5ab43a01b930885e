//! Rows in lists of what is near each other, by two levels of k-means.

use rand::{Rng, SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use songrec_core::Job;

use crate::{Error, Result};

use super::{
    panels::{LANES, Panels},
    points::Points,
};

/// Rows of a list on average: few enough that a search chooses well among lists,
/// enough that a block of queries has a few panels to compare with.
const LENGTH: usize = 96;

/// Rows of a list at most, so that no search is much slower than others.
const LONGEST: usize = 4 * LENGTH;

/// Rows that a center is trained with on average.
const TRAINED_BY: usize = 48;

/// Rounds of k-means: more do not find more neighbors.
const ROUNDS: usize = 5;

/// Rows of a block that is assigned at once.
const BLOCK: usize = 256;

/// Where each row is.
#[derive(Debug)]
pub(super) struct Lists {
    /// The mean of each list, one after the other.
    pub(super) centers: Vec<f32>,
    /// All rows, list after list.
    pub(super) rows: Vec<u32>,
    /// Where each list begins in `rows`, and the end.
    pub(super) starts: Vec<usize>,
}

impl Lists {
    /// Parts `points` into lists of some 96.
    ///
    /// The first level has about the square root of the lists, so that a row is
    /// compared with few centers: a million rows with 100 and with 100 again.
    pub(super) fn new(points: &Points<'_>, seed: u64, job: &Job) -> Result<Self> {
        let everything: Vec<u32> = (0..points.len() as u32).collect();
        let lists = points.len().div_ceil(LENGTH);
        let coarse = (lists as f64).sqrt().ceil() as usize;
        let (_, of) = part(points, &everything, coarse, seed, job)?;
        let mut cells = vec![Vec::new(); coarse];
        for (row, &cell) in of.iter().enumerate() {
            cells[cell as usize].push(row as u32);
        }
        let parts = cells
            .par_iter()
            .enumerate()
            .map(|(cell, rows)| {
                let count = rows.len().div_ceil(LENGTH);
                part(points, rows, count, seed ^ ((cell as u64 + 1) << 32), job)
            })
            .collect::<Result<Vec<_>>>()?;
        let mut lists = Self { centers: Vec::new(), rows: Vec::new(), starts: vec![0] };
        for (cell, (centers, of)) in cells.iter().zip(parts) {
            lists.add(points.dimension(), cell, &centers, &of);
        }
        Ok(lists)
    }

    /// Appends the lists of a cell that have rows.
    fn add(&mut self, dimension: usize, cell: &[u32], centers: &[f32], of: &[u32]) {
        let mut members = vec![Vec::new(); centers.len() / dimension];
        for (&row, &list) in cell.iter().zip(of) {
            members[list as usize].push(row);
        }
        for (center, rows) in centers.chunks_exact(dimension).zip(members) {
            // Equal rows are in one group however many they are.
            for rows in rows.chunks(LONGEST) {
                self.centers.extend_from_slice(center);
                self.rows.extend(rows);
                self.starts.push(self.rows.len());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of a list.
    pub(super) fn list(&self, number: usize) -> &[u32] {
        &self.rows[self.starts[number]..self.starts[number + 1]]
    }
}

/// Parts `rows` into at most `count` groups by k-means (Lloyd 1982) from random
/// rows: the centers, and the group of each row.
fn part(
    points: &Points<'_>,
    rows: &[u32],
    count: usize,
    seed: u64,
    job: &Job,
) -> Result<(Vec<f32>, Vec<u32>)> {
    if rows.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let dimension = points.dimension();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = count.clamp(1, rows.len());
    let sample = rows.len().min(count * TRAINED_BY);
    let mut chosen = index::sample(&mut random, rows.len(), sample).into_vec();
    let mut centers =
        points.gather(chosen[..count.min(sample)].iter().map(|&at| rows[at] as usize));
    chosen.sort_unstable();
    let sample: Vec<u32> = chosen.iter().map(|&at| rows[at]).collect();
    for _ in 0..ROUNDS {
        let of = assign(points, &sample, &centers, job)?;
        let mut sums = vec![0.0_f64; centers.len()];
        let mut counts = vec![0_u32; count];
        let mut row = Vec::new();
        for (&number, &group) in sample.iter().zip(&of) {
            row.clear();
            points.append(number as usize, &mut row);
            counts[group as usize] += 1;
            for (sum, &x) in sums[group as usize * dimension..].iter_mut().zip(&row) {
                *sum += f64::from(x);
            }
        }
        for (group, &members) in counts.iter().enumerate() {
            let center = &mut centers[group * dimension..][..dimension];
            if members == 0 {
                // A group that lost all its rows begins again at some row.
                row.clear();
                points.append(sample[random.random_range(0..sample.len())] as usize, &mut row);
                center.copy_from_slice(&row);
                continue;
            }
            for (to, sum) in center.iter_mut().zip(&sums[group * dimension..]) {
                *to = (sum / f64::from(members)) as f32;
            }
        }
    }
    let of = assign(points, rows, &centers, job)?;
    Ok((centers, of))
}

/// The nearest center of each row, the first of those that are equally near.
fn assign(points: &Points<'_>, rows: &[u32], centers: &[f32], job: &Job) -> Result<Vec<u32>> {
    let panels = Panels::new(centers, points.dimension());
    let count = centers.len() / points.dimension();
    let blocks = rows
        .par_chunks(BLOCK)
        .map(|block| {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let queries = points.gather(block.iter().map(|&row| row as usize));
            // For each lane the nearest so far, so that panels need no search within.
            let mut best = vec![([f32::INFINITY; LANES], [0_u32; LANES]); block.len()];
            panels.squares(&queries, 0..panels.len(), |query, first, squares| {
                let (nearest, number) = &mut best[query];
                for lane in 0..LANES {
                    if squares[lane] < nearest[lane] {
                        nearest[lane] = squares[lane];
                        number[lane] = first as u32;
                    }
                }
            });
            Ok(best
                .iter()
                .map(|(nearest, first)| {
                    (0..LANES)
                        .map(|lane| (nearest[lane], first[lane] + lane as u32))
                        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
                        .map_or(0, |best| best.1.min(count as u32 - 1))
                })
                .collect())
        })
        .collect::<Result<Vec<Vec<u32>>>>()?;
    Ok(blocks.concat())
}
