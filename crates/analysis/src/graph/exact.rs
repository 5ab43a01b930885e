//! Every row compared with every other.

use rayon::prelude::*;
use songrec_core::{Event, Job};

use crate::{Error, Result};

use super::{nearest::Nearest, panels::Panels, points::Points};

/// Queries that share a pass over the panels: of 64 the memory is read once.
const BLOCK: usize = 64;

/// Panels between two looks at whether the end was asked for.
const PATIENCE: usize = 1024;

/// The `k` nearest among `points` of each of the points `queries`, but `itself(query)`.
///
/// `numbers` names the points to look for. Costs queries × points × dimension; the
/// points are copied once.
pub(super) fn nearest(
    points: &Points<'_>,
    queries: &Points<'_>,
    numbers: &[usize],
    k: usize,
    itself: impl Fn(usize) -> Option<u32> + Sync,
    job: &Job,
) -> Result<Vec<Nearest>> {
    let dimension = points.dimension();
    let panels = Panels::new(&points.gather(0..points.len()), dimension);
    let blocks: Vec<Vec<Nearest>> = numbers
        .par_chunks(BLOCK)
        .map(|block| {
            let values = queries.gather(block.iter().copied());
            let selves: Vec<_> = block.iter().map(|&number| itself(number)).collect();
            let mut found = vec![Nearest::new(k); block.len()];
            for first in (0..panels.len()).step_by(PATIENCE) {
                if job.is_interrupted() {
                    return Err(Error::Interrupted);
                }
                let range = first..panels.len().min(first + PATIENCE);
                panels.squares(&values, range, |query, first, squares| {
                    found[query].offer_panel(squares, |lane| {
                        let row = first + lane;
                        let number = row as u32;
                        (row < points.len() && selves[query] != Some(number)).then_some(number)
                    });
                });
            }
            job.on(Event::Advanced { item: "", bytes: 0 });
            Ok(found)
        })
        .collect::<Result<_>>()?;
    Ok(blocks.into_iter().flatten().collect())
}

/// How often [`nearest`] tells that it advanced.
pub(super) const fn steps(queries: usize) -> u64 {
    queries.div_ceil(BLOCK) as u64
}
