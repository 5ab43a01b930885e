//! Clusters of any density.

mod condense;
mod near;
mod span;

use songrec_core::{Event, Job, Work};

use crate::{Error, NOISE, Result, Rows, distance, leaves::Leaves};

use near::Near;
use span::Span;

/// How [`hdbscan`] clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HdbscanOptions {
    /// Fewer rows than this are no cluster; 2 or more.
    pub min_cluster_size: usize,
    /// The number of other rows that have to be near for a row to lie densely; 1 or more.
    pub min_samples: usize,
}

impl Default for HdbscanOptions {
    fn default() -> Self {
        Self { min_cluster_size: 5, min_samples: 5 }
    }
}

/// What [`hdbscan`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hdbscan {
    /// For each row the number of its cluster, from 0 in the order of their first rows, or
    /// [`NOISE`].
    pub labels: Vec<u32>,
    /// How strongly each row belongs to its cluster, from 0 for noise to 1.
    pub probabilities: Vec<f64>,
}

/// Clusters rows that lie densely compared with what is around them: HDBSCAN* (Campello,
/// Moulavi and Sander, 2013).
///
/// The distance of two rows counts as no less than that of either to its neighbor number
/// `min_samples`. A minimum spanning tree in these distances gives a hierarchy, which
/// keeps the splits into parts of `min_cluster_size` rows or more; of it those clusters
/// are taken that last longest together (excess of mass), but never all rows as one
/// cluster. The partition is that of hdbscan for Python, up to ties.
///
/// The tree is exact. Takes O(`n²·d·log n`) at worst, where no rows can be left out
/// by the leaves they lie in, and mostly O(`n²·d`) at a small part of all pairs. Memory: a
/// copy of the rows, and `8·max(min_samples, 12) + 150` bytes a row.
///
/// # Errors
///
/// When there is no row, `min_cluster_size` is below 2, `min_samples` is 0, or the job is
/// interrupted.
pub fn hdbscan(rows: Rows<'_>, options: &HdbscanOptions, job: &Job) -> Result<Hdbscan> {
    let refused = |option, value: usize, expected| {
        Err(Error::Option { option, value: value.to_string(), expected })
    };
    let HdbscanOptions { min_cluster_size, min_samples } = *options;
    if min_cluster_size < 2 {
        return refused("min_cluster_size", min_cluster_size, "2 or more");
    }
    if min_samples == 0 {
        return refused("min_samples", 0, "1 or more");
    }
    rows.at_least(1)?;
    if rows.len() == 1 {
        return Ok(Hdbscan { labels: vec![NOISE], probabilities: vec![0.0] });
    }
    job.on(Event::started(Work::Clustering, None));
    let leaves = Leaves::new(rows);
    let near = Near::new(rows, &leaves, min_samples.min(rows.len() - 1), job)?;
    let edges = Span::new(rows, &leaves, &near).edges(job)?;
    let merges = exact(rows, &near, &edges);
    let found = condense::clusters(rows.len(), merges, min_cluster_size);
    job.on(Event::Finished);
    Ok(found)
}

/// Two rows, and how far from each other they count as being.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Merge {
    rows: [u32; 2],
    distance: f64,
}

/// The edges with distances in float64.
fn exact(rows: Rows<'_>, near: &Near, edges: &[[u32; 2]]) -> Vec<Merge> {
    let squared =
        |l: u32, r: u32| distance::squared_f64(rows.row(l as usize), rows.row(r as usize));
    let core: Vec<f64> =
        (0..rows.len() as u32).map(|row| squared(row, near.last_of_core(row))).collect();
    edges
        .iter()
        .map(|[l, r]| {
            let largest = squared(*l, *r).max(core[*l as usize]).max(core[*r as usize]);
            Merge { rows: [*l, *r], distance: largest.sqrt() }
        })
        .collect()
}
