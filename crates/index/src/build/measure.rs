//! How far a search has to go, measured on rows of the index itself.

use rayon::prelude::*;

use super::{Ended, NEVER_ENOUGH, Plan, Stop, record};
use crate::Metric;
use crate::code::{Coder, Point};
use crate::kernel::Kernels;
use crate::layout::{Damage, Enough, LEAST_BEYOND, MEASURED, Reach};
use crate::lists::{Centroids, LIST, List};
use crate::search::{LEAST, Near};
use crate::view::View;

/// Rows that are searched for to measure how far a search has to go: as many
/// as are compared with all rows in so many comparisons, which take a second or
/// two, within these bounds.
const COMPARISONS: usize = 1 << 27;
const PROBES: std::ops::RangeInclusive<usize> = 256..=2048;
/// How many of them are searched for all neighbors that are measured, and for
/// how many of these the others are: of few neighbors it takes many probes to
/// see what one in a thousand needs.
const THOROUGH: usize = 256;
const FEW: usize = 64;
/// The part of their neighbors that may be missed because a search ends early,
/// and how many of a search at the most: one that is missed before an offset
/// moves all that come after it.
const MISSED: f64 = 0.0003;
const MISSED_AT_MOST: f64 = 0.02;
/// Rows that are compared with all probes while they are near.
const TILE: u32 = 128;

/// Rows from everywhere.
pub(super) fn probes(slots: &[u32]) -> impl Iterator<Item = u32> {
    let affordable = COMPARISONS / slots.len().max(1);
    let count = affordable.clamp(*PROBES.start(), *PROBES.end()).min(slots.len() / 4);
    (0..count).map(move |i| slots[(i * slots.len() + slots.len() / 2) / count])
}

/// How far a search has to go, and how many rows it has to see, to miss hardly
/// any neighbor. Measured on rows of the index itself, so it suits its data,
/// clustered or not.
pub(super) fn measure(
    view: &View,
    coder: &Coder,
    slots: &[u32],
    plan: &Plan,
    stop: Stop<'_>,
) -> Result<(Reach, Enough), Ended> {
    let metric = view.fixed.metric;
    let probes: Vec<u32> = probes(slots).collect();
    let points: Vec<Point> = probes
        .iter()
        .map(|&slot| {
            let row = view.row(slot)?;
            Ok(coder.point(metric, metric, row))
        })
        .collect::<Result<_, Damage>>()?;
    let lists = crate::lists::empty(&view.fixed, &plan.centroids);
    let centroids = Centroids::new(&view.fixed, plan.centroids.len() as u32);
    let kernels = Kernels::get();
    let mut sizes = vec![0_u32; plan.centroids.len()];
    for &slot in slots {
        sizes[plan.chosen[slot as usize] as usize] += 1;
    }
    let seen_from: Vec<SeenFrom> = points
        .iter()
        .map(|point| {
            let near = |list| {
                let record = centroids.record(&lists, list).ok_or("a centroid has no code")?;
                let known = List::decode(&lists[list as usize * LIST..]);
                Ok((Near::new(metric, point, &record, &known, kernels), list))
            };
            let order = (0..plan.centroids.len() as u32).map(near);
            Ok(SeenFrom::new(metric, point, order.collect::<Result<_, Damage>>()?, &sizes))
        })
        .collect::<Result<_, Damage>>()?;
    let (found, heights) = neighbors(view, slots, &probes, &points, &seen_from, plan, stop)?;
    let mut seen: [Vec<u32>; MEASURED.len()] = Default::default();
    for (probe, (from, found)) in seen_from.iter().zip(&found).enumerate() {
        let most = most_of(probe, probes.len());
        for (i, &wanted) in MEASURED.iter().enumerate().filter(|(_, wanted)| **wanted <= most) {
            let found = found.iter().take(wanted);
            seen[i].extend(found.map(|&(_, slot)| from.rows[plan.chosen[slot as usize] as usize]));
        }
    }
    let mut enough = NEVER_ENOUGH;
    for (i, &wanted) in MEASURED.iter().enumerate() {
        seen[i].sort_unstable_by(|a, b| b.cmp(a));
        let missed = MISSED.min(MISSED_AT_MOST / wanted as f64);
        let missed = (seen[i].len() as f64 * missed) as usize;
        // A little further: so few are hardly a measurement.
        if let Some(&rows) = seen[i].get(missed) {
            enough[i] = rows.saturating_add(rows / 2);
        }
    }
    // Of more neighbors some are further, whatever the luck of the probes.
    for i in 1..MEASURED.len() {
        enough[i] = enough[i].max(enough[i - 1]);
    }
    Ok((heights.reach(probes.len()), enough))
}

/// The lists as a probe sees them.
struct SeenFrom {
    /// For each list, how many rows have been seen when it has.
    rows: Vec<u32>,
    /// For each list, what makes the height of a row of its score: sum and
    /// factor. Of lists that are always looked at it is lower than any.
    heights: Vec<(f32, f32)>,
}

impl SeenFrom {
    fn new(metric: Metric, point: &Point, mut order: Vec<(Near, u32)>, sizes: &[u32]) -> Self {
        order.sort_unstable_by(|a, b| a.0.rank.total_cmp(&b.0.rank));
        let mut rows = vec![0; order.len()];
        let mut heights = vec![(f32::NEG_INFINITY, 0.0); order.len()];
        let mut all = 0;
        for (rank, (near, list)) in order.into_iter().enumerate() {
            all += sizes[list as usize];
            rows[list as usize] = all;
            if rank >= LEAST {
                let [none, one] = [0.0, 1.0].map(|score| near.demand(metric, point, score));
                heights[list as usize] = (none, one - none);
            }
        }
        Self { rows, heights }
    }
}

/// How many rows have at least which height: what a search for their scores
/// demands of their lists.
///
/// A search that does not look at lists of which more is demanded than a height
/// misses no more rows than have that height, whatever it looks for. So one
/// distribution serves searches for any number of rows, filtered or not.
#[derive(Clone, Debug)]
struct Heights {
    /// From [`Self::LOWEST`] on, in steps of [`Self::STEP`].
    counts: Vec<u64>,
}

impl Heights {
    const LOWEST: f32 = -0.5;
    const STEP: f32 = 0.005;
    const STEPS: usize = 900;

    fn new() -> Self {
        Self { counts: vec![0; Self::STEPS] }
    }

    fn offer(&mut self, height: f32) {
        if height > Self::LOWEST {
            let step = ((height - Self::LOWEST) / Self::STEP) as usize;
            self.counts[step.min(Self::STEPS - 1)] += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The height that no more than `beyond` rows reach, of all probes.
    fn above(&self, beyond: f64) -> f32 {
        let mut rows = 0;
        let reached = self.counts.iter().rposition(|&count| {
            rows += count;
            rows as f64 > beyond
        });
        match reached {
            // Higher than any step: it may be any height.
            Some(step) if step + 1 == Self::STEPS => f32::INFINITY,
            Some(step) => Self::LOWEST + (step + 1) as f32 * Self::STEP,
            None => Self::LOWEST,
        }
    }

    fn reach(&self, probes: usize) -> Reach {
        // Where less than one row of all probes was to be beyond, there is
        // none to be measured by: on as steeply as to there.
        let [highest, high] = [0.0, 3.0].map(|beyond| self.above(beyond));
        let steep = ((highest - high) / 2.0).max(0.0);
        std::array::from_fn(|i| {
            let beyond = f64::from(LEAST_BEYOND * (1_u32 << i) as f32) * probes as f64;
            let further = if beyond < 1.0 { -beyond.log2() as f32 * steep } else { 0.0 };
            // A little further: the centroids suit the rows that were searched
            // for better than those that will be.
            self.above(beyond) + further + 0.03
        })
    }
}

/// How many neighbors of a probe are looked for.
fn most_of(probe: usize, probes: usize) -> usize {
    let thorough = probe.is_multiple_of((probes / THOROUGH).max(1));
    if thorough { MEASURED[MEASURED.len() - 1] } else { FEW }
}

/// The best of many rows.
#[derive(Clone, Debug)]
struct Nearest {
    count: usize,
    rows: Vec<(f32, u32)>,
    /// What a score has to be above.
    bar: f32,
}

impl Nearest {
    fn new(count: usize) -> Self {
        Self { count, rows: Vec::new(), bar: f32::NEG_INFINITY }
    }

    fn offer(&mut self, score: f32, slot: u32) {
        if score > self.bar {
            self.rows.push((score, slot));
            // Now and then, so that a row costs little.
            if self.rows.len() == 2 * self.count {
                self.rows.select_nth_unstable_by(self.count - 1, |a, b| b.0.total_cmp(&a.0));
                self.bar = self.rows[self.count - 1].0;
                self.rows.truncate(self.count);
            }
        }
    }

    /// The best first.
    fn sorted(mut self) -> Vec<(f32, u32)> {
        self.rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.rows.truncate(self.count);
        self.rows
    }
}

/// The nearest rows of each probe with their scores, and the heights of all.
type Looked = (Vec<Vec<(f32, u32)>>, Heights);

/// The nearest rows of each probe but itself, with their scores, by 8-bit
/// codes, the best first; and the heights of all rows.
fn neighbors(
    view: &View,
    slots: &[u32],
    probes: &[u32],
    points: &[Point],
    seen_from: &[SeenFrom],
    plan: &Plan,
    stop: Stop<'_>,
) -> Result<Looked, Ended> {
    let kernels = Kernels::get();
    let nothing = || {
        let count = |probe| Nearest::new(most_of(probe, probes.len()));
        ((0..probes.len()).map(count).collect::<Vec<Nearest>>(), Heights::new())
    };
    let (best, heights) = slots
        .par_chunks(TILE as usize)
        .try_fold(nothing, |(mut best, mut heights), slots| {
            if stop() {
                return Err(Ended::Stopped);
            }
            let probes = probes.iter().zip(points).zip(seen_from).zip(&mut best);
            for (((probe, point), from), best) in probes {
                for &slot in slots.iter().filter(|slot| *slot != probe) {
                    let record = record(view, slot)?;
                    let (factor, term) = point.shape.line(record.norm);
                    let score = factor * point.product(kernels, &record) + term;
                    if score.is_finite() {
                        best.offer(score, slot);
                        let (sum, factor) = from.heights[plan.chosen[slot as usize] as usize];
                        heights.offer(sum + factor * score);
                    }
                }
            }
            Ok((best, heights))
        })
        .try_reduce(nothing, |(mut all, mut heights), (more, more_heights)| {
            for (all, more) in all.iter_mut().zip(more) {
                for (score, slot) in more.rows {
                    all.offer(score, slot);
                }
            }
            heights.merge(&more_heights);
            Ok((all, heights))
        })?;
    Ok((best.into_iter().map(Nearest::sorted).collect(), heights))
}
