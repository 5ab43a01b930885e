//! Rows to their nearest centroid, centroids to the mean of their rows, and again.

use rayon::prelude::*;
use songrec_core::Job;

use super::{CHUNK, KMeans};
use crate::{
    Error, Result, Rows,
    distance::{self, PANEL, Panels},
};

/// Groups of centroids that a row keeps a bound for.
const GROUPS: usize = 16;
/// Rows that go through a kernel at once.
const BLOCK: usize = 32;
/// What is taken off a bound, as a part of it: more than float32 distances and
/// some hundred additions to them round away.
const SLACK: f32 = 1e-5;

/// A row that goes from one centroid to another.
#[derive(Clone, Copy, Debug)]
struct Move {
    row: u32,
    /// `NOWHERE` at first.
    from: u32,
    to: u32,
}

const NOWHERE: u32 = u32::MAX;

/// One start.
///
/// Invariant between passes: `upper` is no less than a row's distance to its
/// centroid, and `lower` no more than that to any other centroid of the group.
#[derive(Debug)]
pub(super) struct Lloyd<'a> {
    rows: Rows<'a>,
    k: usize,
    centroids: Vec<f32>,
    labels: Vec<u32>,
    upper: Vec<f32>,
    /// A value for each row and group.
    lower: Vec<f32>,
    /// Centroids in a group.
    group: usize,
    groups: usize,
    /// How far each centroid has gone since the bounds were right.
    drifts: Vec<f32>,
    /// Sums of the rows of each cluster. In float64, where adding and taking away
    /// a row leaves what was there.
    sums: Vec<f64>,
    sizes: Vec<usize>,
}

impl<'a> Lloyd<'a> {
    pub(super) fn new(rows: Rows<'a>, centroids: Vec<f32>) -> Self {
        let k = centroids.len() / rows.dimension();
        let group = k.div_ceil(GROUPS);
        let groups = k.div_ceil(group);
        Self {
            rows,
            k,
            labels: vec![NOWHERE; rows.len()],
            upper: vec![f32::INFINITY; rows.len()],
            lower: vec![0.0; rows.len() * groups],
            group,
            groups,
            drifts: vec![0.0; k],
            sums: vec![0.0; centroids.len()],
            sizes: vec![0; k],
            centroids,
        }
    }

    /// Until no row changes its cluster, or the sum of squared moves is at most `limit`.
    pub(super) fn run(mut self, iterations: usize, limit: f64, job: &Job) -> Result<KMeans> {
        let mut passes = 0;
        let mut settled = false;
        while passes < iterations && !settled {
            passes += 1;
            settled = !self.assign(job)?;
            if !settled && self.update() <= limit {
                break;
            }
        }
        if !settled {
            self.assign(job)?;
        }
        let inertia = self.inertia(job)?;
        let Self { centroids, labels, .. } = self;
        Ok(KMeans { centroids, labels, inertia, iterations: passes })
    }

    /// Gives each row its nearest centroid; says whether that changed any.
    fn assign(&mut self, job: &Job) -> Result<bool> {
        let dimension = self.rows.dimension();
        let panels = Panels::new(self.centroids.chunks_exact(dimension), dimension);
        let chunk_of = Assignment {
            rows: self.rows,
            centroids: &self.centroids,
            panels: &panels,
            drifts: &self.drifts,
            group_drifts: self
                .drifts
                .chunks(self.group)
                .map(|group| group.iter().copied().fold(0.0, f32::max))
                .collect(),
            k: self.k,
            group: self.group,
        };
        let moves: Vec<Vec<Move>> = self
            .labels
            .par_chunks_mut(CHUNK)
            .zip(self.upper.par_chunks_mut(CHUNK))
            .zip(self.lower.par_chunks_mut(CHUNK * self.groups))
            .enumerate()
            .map(|(chunk, ((labels, upper), lower))| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                Ok(chunk_of.run(chunk * CHUNK, labels, upper, lower))
            })
            .collect::<Result<_>>()?;
        self.drifts.fill(0.0);
        let changed = moves.iter().any(|chunk| !chunk.is_empty());
        self.carry(&moves);
        Ok(changed)
    }

    /// Takes the rows that moved from the sums where they were to those where they are.
    fn carry(&mut self, moves: &[Vec<Move>]) {
        let mut of_centroid: Vec<Vec<(u32, bool)>> = vec![Vec::new(); self.k];
        for change in moves.iter().flatten() {
            if change.from != NOWHERE {
                of_centroid[change.from as usize].push((change.row, false));
                self.sizes[change.from as usize] -= 1;
            }
            of_centroid[change.to as usize].push((change.row, true));
            self.sizes[change.to as usize] += 1;
        }
        let rows = self.rows;
        // In the order of rows, whatever the number of threads.
        self.sums.par_chunks_mut(rows.dimension()).zip(&of_centroid).for_each(|(sum, changes)| {
            for (row, comes) in changes {
                let row = rows.row(*row as usize);
                if *comes {
                    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
                } else {
                    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum -= f64::from(*value));
                }
            }
        });
    }

    /// Moves each centroid to the mean of its rows; gives the sum of squared moves.
    fn update(&mut self) -> f64 {
        self.fill_empty();
        let dimension = self.rows.dimension();
        let mut total = 0.0;
        for (c, centroid) in self.centroids.chunks_exact_mut(dimension).enumerate() {
            if self.sizes[c] == 0 {
                continue;
            }
            let size = self.sizes[c] as f64;
            let mut moved = 0.0;
            for (value, sum) in centroid.iter_mut().zip(&self.sums[c * dimension..]) {
                let mean = (sum / size) as f32;
                let by = f64::from(mean) - f64::from(*value);
                moved += by * by;
                *value = mean;
            }
            total += moved;
            self.drifts[c] = moved.sqrt() as f32 * (1.0 + SLACK);
        }
        total
    }

    /// Gives each empty cluster the row that is farthest from its own centroid.
    fn fill_empty(&mut self) {
        let empty: Vec<usize> = (0..self.k).filter(|c| self.sizes[*c] == 0).collect();
        if empty.is_empty() {
            return;
        }
        let dimension = self.rows.dimension();
        let mut far: Vec<(f32, usize)> = self
            .labels
            .par_iter()
            .enumerate()
            .map(|(row, label)| {
                let centroid = &self.centroids[*label as usize * dimension..][..dimension];
                (distance::squared(self.rows.row(row), centroid), row)
            })
            .collect();
        far.sort_unstable_by(|l, r| r.0.total_cmp(&l.0).then(l.1.cmp(&r.1)));
        let mut far = far.into_iter().filter(|(distance, _)| *distance > 0.0);
        for c in empty {
            let alone = |row: usize| self.sizes[self.labels[row] as usize] == 1;
            let Some((_, row)) = far.find(|(_, row)| !alone(*row)) else { break };
            let from = self.labels[row];
            self.labels[row] = c as u32;
            self.upper[row] = f32::INFINITY;
            self.lower[row * self.groups..][..self.groups].fill(0.0);
            self.carry(&[vec![Move { row: row as u32, from, to: c as u32 }]]);
        }
    }

    /// The sum of squared distances to the centroids.
    fn inertia(&self, job: &Job) -> Result<f64> {
        let dimension = self.rows.dimension();
        let chunks: Vec<f64> = self
            .labels
            .par_chunks(CHUNK)
            .zip(self.rows.values().par_chunks(CHUNK * dimension))
            .map(|(labels, rows)| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                let squared = |(label, row): (&u32, &[f32])| {
                    let centroid = &self.centroids[*label as usize * dimension..][..dimension];
                    f64::from(distance::squared(row, centroid))
                };
                Ok(labels.iter().zip(rows.chunks_exact(dimension)).map(squared).sum())
            })
            .collect::<Result<_>>()?;
        Ok(chunks.iter().sum())
    }
}

/// What a pass over a chunk of rows reads.
struct Assignment<'a> {
    rows: Rows<'a>,
    centroids: &'a [f32],
    panels: &'a Panels,
    drifts: &'a [f32],
    group_drifts: Vec<f32>,
    k: usize,
    group: usize,
}

impl Assignment<'_> {
    fn run(
        &self,
        start: usize,
        labels: &mut [u32],
        upper: &mut [f32],
        lower: &mut [f32],
    ) -> Vec<Move> {
        let groups = self.group_drifts.len();
        let mut open = Vec::new();
        for (row, (label, upper)) in labels.iter().zip(&mut *upper).enumerate() {
            let mut least = f32::INFINITY;
            for (lower, drift) in lower[row * groups..][..groups].iter_mut().zip(&self.group_drifts)
            {
                *lower -= drift;
                least = least.min(*lower);
            }
            let least = least * (1.0 - SLACK);
            if *label == NOWHERE {
                open.push(row);
                continue;
            }
            *upper += self.drifts[*label as usize];
            if *upper < least {
                continue;
            }
            // One distance in place of all, where that is much less.
            if self.k > PANEL {
                *upper = self.distance(start + row, *label);
                if *upper < least {
                    continue;
                }
            }
            open.push(row);
        }

        let mut moves = Vec::new();
        let mut distances = vec![0.0; BLOCK * self.panels.width()];
        let mut rows: Vec<&[f32]> = Vec::with_capacity(BLOCK);
        for block in open.chunks(BLOCK) {
            rows.clear();
            rows.extend(block.iter().map(|row| self.rows.row(start + row)));
            self.panels.squared(&rows, &mut distances);
            for (row, distances) in block.iter().zip(distances.chunks_exact(self.panels.width())) {
                let nearest = nearest(&distances[..self.k]);
                upper[*row] = distances[nearest].sqrt();
                self.bound(nearest, distances, &mut lower[row * groups..][..groups]);
                let from = std::mem::replace(&mut labels[*row], nearest as u32);
                if from != nearest as u32 {
                    moves.push(Move { row: (start + row) as u32, from, to: nearest as u32 });
                }
            }
        }
        moves
    }

    fn distance(&self, row: usize, label: u32) -> f32 {
        let dimension = self.rows.dimension();
        let centroid = &self.centroids[label as usize * dimension..][..dimension];
        distance::squared(self.rows.row(row), centroid).sqrt()
    }

    /// The distance to the nearest centroid of each group but `nearest`.
    fn bound(&self, nearest: usize, distances: &[f32], lower: &mut [f32]) {
        for (group, lower) in lower.iter_mut().enumerate() {
            let from = group * self.group;
            let of_group = &distances[from..(from + self.group).min(self.k)];
            let others = of_group.iter().enumerate().filter(|(c, _)| from + c != nearest);
            *lower = others.map(|(_, squared)| *squared).fold(f32::INFINITY, f32::min).sqrt();
        }
    }
}

/// The first of the smallest.
pub(super) fn nearest(distances: &[f32]) -> usize {
    let mut best = 0;
    for (c, distance) in distances.iter().enumerate() {
        if *distance < distances[best] {
            best = c;
        }
    }
    best
}
