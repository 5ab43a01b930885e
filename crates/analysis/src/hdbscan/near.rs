//! The nearest rows of each row.

use rayon::prelude::*;
use songrec_core::Job;

use crate::{
    Error, Result, Rows,
    distance::{PANEL, least},
    leaves::{Leaves, Search},
};

/// Neighbors that are kept at least: most edges of the tree are among them.
const KEPT: usize = 12;

/// For each row its nearest others.
#[derive(Debug)]
pub(super) struct Near {
    /// How many of each row are kept.
    kept: usize,
    /// Which of them says how densely a row lies, from 1.
    core: usize,
    /// Ascending squared distances, row after row.
    squared: Vec<f32>,
    rows: Vec<u32>,
}

impl Near {
    /// Finds `core` or more of each row; there are more rows than this.
    pub(super) fn new(rows: Rows<'_>, leaves: &Leaves<'_>, core: usize, job: &Job) -> Result<Self> {
        let kept = core.max(KEPT).min(rows.len() - 1);
        let found: Vec<Lists<'_>> = (0..leaves.leaves().len())
            .into_par_iter()
            .map(|leaf| {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                let members = leaves.members(leaf);
                let queries: Vec<&[f32]> =
                    members.iter().map(|row| rows.row(*row as usize)).collect();
                let squared = vec![f32::INFINITY; members.len() * kept];
                let found = vec![u32::MAX; members.len() * kept];
                let mut lists = Lists { leaves, members, kept, squared, rows: found };
                leaves.search(&queries, leaves.center(leaf), &mut lists);
                Ok(lists)
            })
            .collect::<Result<_>>()?;
        let size = rows.len() * kept;
        let mut near = Self { kept, core, squared: vec![0.0; size], rows: vec![0; size] };
        for lists in found {
            for (at, row) in lists.members.iter().enumerate() {
                let (from, to) = (at * kept, *row as usize * kept);
                near.squared[to..to + kept].copy_from_slice(&lists.squared[from..from + kept]);
                near.rows[to..to + kept].copy_from_slice(&lists.rows[from..from + kept]);
            }
        }
        Ok(near)
    }

    /// The squared distances of a row to its nearest others, ascending, and these.
    pub(super) fn of(&self, row: u32) -> (&[f32], &[u32]) {
        let at = row as usize * self.kept..(row as usize + 1) * self.kept;
        (&self.squared[at.clone()], &self.rows[at])
    }

    /// The squared distance to the neighbor that says how densely a row lies.
    pub(super) fn core(&self, row: u32) -> f32 {
        self.of(row).0[self.core - 1]
    }

    /// This neighbor.
    pub(super) fn last_of_core(&self, row: u32) -> u32 {
        self.of(row).1[self.core - 1]
    }

    /// Whether all other rows are known of each.
    pub(super) const fn is_complete(&self, rows: usize) -> bool {
        self.kept + 1 == rows
    }
}

/// Those of the rows of one leaf.
struct Lists<'a> {
    leaves: &'a Leaves<'a>,
    members: &'a [u32],
    kept: usize,
    squared: Vec<f32>,
    rows: Vec<u32>,
}

impl Search for Lists<'_> {
    fn reach(&self, query: usize) -> f32 {
        self.squared[(query + 1) * self.kept - 1].sqrt()
    }

    fn take(&mut self, query: usize, leaf: usize, squared: &[f32]) {
        let at = query * self.kept..(query + 1) * self.kept;
        let (nearest, rows) = (&mut self.squared[at.clone()], &mut self.rows[at]);
        let last = self.kept - 1;
        for (squared, members) in squared.chunks(PANEL).zip(self.leaves.members(leaf).chunks(PANEL))
        {
            // Mostly none of them is near enough.
            if least(squared) >= nearest[last] {
                continue;
            }
            for (squared, row) in squared.iter().zip(members) {
                if *squared >= nearest[last] || *row == self.members[query] {
                    continue;
                }
                let place = nearest.partition_point(|other| other <= squared);
                nearest[place..].rotate_right(1);
                rows[place..].rotate_right(1);
                (nearest[place], rows[place]) = (*squared, *row);
            }
        }
    }
}
