//! Clusters as regions where rows lie densely.

mod eps;
mod forest;

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use songrec_core::{Event, Job, Work};

use crate::{
    Error, NOISE, Result, Rows,
    distance::{self, PANEL, least},
    leaves::{Leaves, Search},
    pca::{self, Turned},
};

pub use eps::suggest_eps;
use forest::Forest;

/// Where a squared float32 distance is this close to that of `eps`, as a part of it, the one
/// in float64 decides.
const CLOSE: f64 = 1e-5;
/// From so many rows on, and so many for each column, they are turned first.
const TURNED: usize = 4096;
const TURNED_FOR_COLUMN: usize = 8;

/// How [`dbscan`] clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DbscanOptions {
    /// Rows up to this Euclidean distance are neighbors; above 0.
    pub eps: f64,
    /// A row with as many neighbors, itself among them, is in the core of a cluster.
    pub min_samples: usize,
}

/// Clusters rows that lie densely (Ester, Kriegel, Sander and Xu, 1996); gives a label for
/// each row.
///
/// Core rows that are neighbors are in one cluster. Any other row belongs to the first
/// cluster that has a core row among its neighbors, or is [`NOISE`]. Clusters are numbered
/// by their first core row; labels are those of scikit-learn.
///
/// Takes O(`n²·d`) at worst. Rows in leaves that are too far apart are not compared, nor
/// rows that are known to be in the same cluster, and a row is in a core once
/// `min_samples` neighbors are found. Many rows are compared along their principal
/// components first, which is mostly enough to see that two are no neighbors. Memory: two
/// copies of the rows, and up to `4·min_samples + 30` bytes a row.
///
/// # Errors
///
/// When there is no row, `eps` is not above 0 or no finite number, `min_samples` is 0, or the job is interrupted.
pub fn dbscan(rows: Rows<'_>, options: &DbscanOptions, job: &Job) -> Result<Vec<u32>> {
    let refused = |option, value: String, expected| Err(Error::Option { option, value, expected });
    let DbscanOptions { eps, min_samples } = *options;
    if !(eps > 0.0 && eps.is_finite()) {
        return refused("eps", eps.to_string(), "a finite number above 0");
    }
    if min_samples == 0 {
        return refused("min_samples", "0".to_owned(), "1 or more");
    }
    rows.at_least(1)?;
    let turned = if rows.len() >= TURNED.max(TURNED_FOR_COLUMN * rows.dimension()) {
        pca::turned(rows, job)?
    } else {
        Turned { values: rows.values().to_vec(), error: 0.0 }
    };
    let leaves = Leaves::new(Rows::new(&turned.values, rows.dimension())?);
    let total = 2 * leaves.leaves().len() as u64;
    job.on(Event::started(Work::Clustering, Some(total)));
    let range = Range::new(rows, eps, &turned);
    let found = neighbors(&leaves, range, min_samples, job)?;
    let mut core = vec![true; rows.len()];
    for (row, neighbors) in &found {
        core[*row as usize] = neighbors.len() >= min_samples;
    }
    let forest = Forest::new(rows.len());
    // Most of what is connected is so by these.
    for (row, neighbors) in found.iter().filter(|(row, _)| core[*row as usize]) {
        let of_core = neighbors.iter().filter(|neighbor| core[**neighbor as usize]);
        of_core.for_each(|neighbor| forest.join(*row, *neighbor));
    }
    connect(&leaves, range, &core, &forest, job)?;

    let mut labels = vec![NOISE; rows.len()];
    let mut of_root = vec![NOISE; rows.len()];
    let mut next = 0;
    for row in (0..rows.len()).filter(|row| core[*row]) {
        let label = &mut of_root[forest.root(row as u32) as usize];
        if *label == NOISE {
            (*label, next) = (next, next + 1);
        }
        labels[row] = *label;
    }
    for (row, neighbors) in found.iter().filter(|(row, _)| !core[*row as usize]) {
        let of_core = neighbors.iter().filter(|neighbor| core[**neighbor as usize]);
        labels[*row as usize] =
            of_core.map(|neighbor| labels[*neighbor as usize]).min().unwrap_or(NOISE);
    }
    job.on(Event::Finished);
    Ok(labels)
}

/// Which rows are neighbors.
#[derive(Clone, Copy, Debug)]
struct Range<'a> {
    rows: Rows<'a>,
    turned: &'a [f32],
    eps: f64,
    /// Squared distances between turned rows: below the one they are neighbors, above the
    /// other they are not.
    surely: f32,
    hardly: f32,
}

impl<'a> Range<'a> {
    fn new(rows: Rows<'a>, eps: f64, turned: &'a Turned) -> Self {
        let (nearer, farther) = ((eps - 2.0 * turned.error).max(0.0), eps + 2.0 * turned.error);
        Self {
            rows,
            turned: &turned.values,
            eps,
            surely: (nearer * nearer * (1.0 - CLOSE)) as f32,
            hardly: (farther * farther * (1.0 + CLOSE)) as f32,
        }
    }

    /// The turned row of this number.
    fn query(self, row: u32) -> &'a [f32] {
        let dimension = self.rows.dimension();
        &self.turned[row as usize * dimension..][..dimension]
    }

    fn reach(&self) -> f32 {
        self.hardly.sqrt()
    }

    /// Those of `others`, at these squared distances from a row, that are its neighbors.
    fn neighbors(self, row: u32, others: &[u32], squared: &[f32]) -> impl Iterator<Item = u32> {
        squared
            .chunks(PANEL)
            .zip(others.chunks(PANEL))
            // Mostly none of them is near.
            .filter(move |(squared, _)| least(squared) <= self.hardly)
            .flat_map(|(squared, others)| squared.iter().zip(others))
            .filter(move |(squared, other)| self.holds(row, **other, **squared))
            .map(|(_, other)| *other)
    }

    fn holds(&self, left: u32, right: u32, squared: f32) -> bool {
        if squared < self.surely || squared > self.hardly {
            return squared < self.surely;
        }
        let rows = self.rows;
        let exact = distance::squared_f64(rows.row(left as usize), rows.row(right as usize));
        exact <= self.eps * self.eps
    }
}

/// Each row with all its neighbors, or with `least` of them if there are more.
fn neighbors(
    leaves: &Leaves<'_>,
    range: Range<'_>,
    least: usize,
    job: &Job,
) -> Result<Vec<(u32, Vec<u32>)>> {
    let found: Vec<Vec<(u32, Vec<u32>)>> = (0..leaves.leaves().len())
        .into_par_iter()
        .map(|leaf| {
            if job.is_interrupted() {
                return Err(Error::Interrupted);
            }
            let members = leaves.members(leaf);
            let queries: Vec<&[f32]> = members.iter().map(|row| range.query(*row)).collect();
            let found = vec![Vec::new(); members.len()];
            let mut counting = Counting { leaves, range, members, least, found };
            leaves.search(&queries, leaves.center(leaf), &mut counting);
            job.on(Event::Advanced { item: "leaf", bytes: 0 });
            Ok(members.iter().copied().zip(counting.found).collect())
        })
        .collect::<Result<_>>()?;
    Ok(found.into_iter().flatten().collect())
}

struct Counting<'a> {
    leaves: &'a Leaves<'a>,
    range: Range<'a>,
    members: &'a [u32],
    least: usize,
    found: Vec<Vec<u32>>,
}

impl Search for Counting<'_> {
    fn reach(&self, query: usize) -> f32 {
        if self.found[query].len() < self.least { self.range.reach() } else { -1.0 }
    }

    fn take(&mut self, query: usize, leaf: usize, squared: &[f32]) {
        let found = &mut self.found[query];
        let row = self.members[query];
        for other in self.range.neighbors(row, self.leaves.members(leaf), squared) {
            found.push(other);
            if found.len() == self.least {
                // Enough is known of it.
                return;
            }
        }
    }
}

/// Joins core rows that are neighbors.
fn connect(
    leaves: &Leaves<'_>,
    range: Range<'_>,
    core: &[bool],
    forest: &Forest,
    job: &Job,
) -> Result<()> {
    let cores: Vec<Vec<u32>> = (0..leaves.leaves().len())
        .map(|leaf| {
            leaves.members(leaf).iter().copied().filter(|row| core[*row as usize]).collect()
        })
        .collect();
    let joined: Vec<AtomicBool> = cores.iter().map(|_| AtomicBool::new(false)).collect();
    (0..cores.len()).into_par_iter().try_for_each(|leaf| {
        if job.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let members = &cores[leaf];
        let queries: Vec<&[f32]> = members.iter().map(|row| range.query(*row)).collect();
        let mut connecting = Connecting {
            own: leaf,
            leaves,
            range,
            core,
            cores: &cores,
            members,
            forest,
            joined: &joined,
            seen: None,
            one: false,
        };
        leaves.search(&queries, leaves.center(leaf), &mut connecting);
        job.on(Event::Advanced { item: "leaf", bytes: 0 });
        Ok(())
    })
}

struct Connecting<'a> {
    leaves: &'a Leaves<'a>,
    range: Range<'a>,
    core: &'a [bool],
    cores: &'a [Vec<u32>],
    members: &'a [u32],
    /// Their leaf.
    own: usize,
    forest: &'a Forest,
    /// Of each leaf, whether all its core rows are known to be in one set.
    joined: &'a [AtomicBool],
    /// The leaf that was asked for last, and whether that held for it then.
    seen: Option<usize>,
    one: bool,
}

impl Search for Connecting<'_> {
    fn reach(&self, _: usize) -> f32 {
        self.range.reach()
    }

    fn wants(&mut self, query: usize, leaf: usize) -> bool {
        // The other pairs of leaves are compared from the other side.
        if leaf < self.own {
            return false;
        }
        if self.seen != Some(leaf) {
            self.seen = Some(leaf);
            let joined = &self.joined[leaf];
            // Joined rows stay joined.
            if !joined.load(Ordering::Relaxed) {
                let mut roots = self.cores[leaf].iter().map(|row| self.forest.root(*row));
                let first = roots.next();
                let one = roots.all(|root| Some(root) == first);
                joined.store(one, Ordering::Relaxed);
            }
            self.one = joined.load(Ordering::Relaxed);
        }
        let Some(first) = self.cores[leaf].first() else { return false };
        !(self.one && self.forest.root(*first) == self.forest.root(self.members[query]))
    }

    fn take(&mut self, query: usize, leaf: usize, squared: &[f32]) {
        let row = self.members[query];
        for other in self.range.neighbors(row, self.leaves.members(leaf), squared) {
            if self.core[other as usize] {
                self.forest.join(row, other);
            }
        }
    }
}
