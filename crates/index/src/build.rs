//! Choosing the lists: which centroids there are, and which row goes where.

mod choose;
mod measure;
mod train;
mod verify;
mod write;

pub(crate) use self::choose::choose;
use self::choose::choose_all;
use self::measure::measure;
use self::train::{middle, train};
pub(crate) use self::verify::verify;
pub(crate) use self::write::carry_out;
use crate::Kind;
use crate::code::{Coder, Record};
use crate::layout::{BEYOND, Damage, Enough, MEASURED, Reach, State};
use crate::view::View;

/// With fewer rows than this one list is as fast (measured; see the README).
const CROSSOVER: usize = 10_000;
/// With fewer rows than this lists gain nothing.
const FEW: usize = 1000;
/// For which of [`MEASURED`] a search has to be better than one through a
/// single list: of 16 rows, which are what one asks for who wants ten.
const USUAL: usize = 4;
/// How many lists suit a number of rows.
pub(crate) fn lists_for(kind: Kind, rows: usize) -> usize {
    let many = (rows as f64).sqrt() as usize;
    match kind {
        Kind::Flat => 1,
        Kind::Ivf => many.max(1),
        Kind::Auto if rows < CROSSOVER => 1,
        Kind::Auto => many,
    }
}

/// Whether the rows have become so many more, or so many fewer, that another
/// new build is worth its while.
pub(crate) fn is_due(kind: Kind, state: &State) -> bool {
    let (live, built) = (state.live as usize, state.built as usize);
    if live < FEW {
        return false;
    }
    let lists = lists_for(kind, live);
    let grown = if lists == 1 { 8 } else { 2 };
    built == 0
        || kind == Kind::Ivf && state.lists == 1
        || live >= grown * built
        || live * 8 <= built
        || (lists > 1) != (state.lists > 1) && live >= 2 * built
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Ended {
    Damaged(Damage),
    /// Somebody said so.
    Stopped,
}

impl From<Damage> for Ended {
    fn from(what: Damage) -> Self {
        Self::Damaged(what)
    }
}

/// Asked now and then whether to stop.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// What holds for a single list, or where nothing was measured.
const ANY_REACH: Reach = [f32::INFINITY; BEYOND];
const NEVER_ENOUGH: Enough = [u32::MAX; MEASURED.len()];

/// A build of the lists, before it is written.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Each list's centroid, and how far its rows are from it.
    centroids: Vec<(Vec<f32>, f32)>,
    /// The list of each slot; any, if the slot has no row.
    chosen: Vec<u32>,
    /// The change after which rows are not in `chosen`.
    sequence: u64,
    reach: Reach,
    enough: Enough,
}

/// Makes a plan for the rows of `view`, which may change meanwhile.
pub(crate) fn plan(view: &View, coder: &Coder, kind: Kind, stop: Stop<'_>) -> Result<Plan, Ended> {
    let slots: Vec<u32> = (0..view.state.slots)
        .filter(|&slot| view.slot(slot).is_ok_and(|slot| slot.is_live()))
        .collect();
    let count = lists_for(kind, slots.len());
    let mut plan = Plan {
        centroids: vec![(middle(view, coder, &slots)?, 0.0)],
        chosen: vec![0; view.state.slots as usize],
        sequence: view.state.sequence,
        reach: ANY_REACH,
        enough: NEVER_ENOUGH,
    };
    if count < 2 {
        return Ok(plan);
    }
    let middle = plan.centroids.clone();
    let trained = train(view, coder, &slots, count, stop)?;
    let count = trained.len();
    let chosen = choose_all(view, &slots, &trained, stop)?;
    let mut radii = vec![(0.0_f64, 0_u32); count];
    for (&slot, &(list, distance)) in slots.iter().zip(&chosen) {
        plan.chosen[slot as usize] = list;
        let (sum, rows) = &mut radii[list as usize];
        *sum += f64::from(distance.max(0.0));
        *rows += 1;
    }
    plan.centroids = trained
        .into_iter()
        .zip(radii)
        .map(|(values, (sum, rows))| (values, (sum / f64::from(rows.max(1))).sqrt() as f32))
        .collect();
    (plan.reach, plan.enough) = measure(view, coder, &slots, &plan, stop)?;
    // Where a search would go through so many rows, one list is as fast.
    if kind == Kind::Auto && plan.enough[USUAL] as usize > slots.len() / 2 {
        plan.chosen.fill(0);
        plan.centroids = middle;
        plan.reach = ANY_REACH;
        plan.enough = NEVER_ENOUGH;
    }
    Ok(plan)
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

fn record<'a>(view: &'a View, slot: u32) -> Result<Record<'a>, Damage> {
    Record::decode(view.code(slot)?).ok_or("a row has no code")
}
