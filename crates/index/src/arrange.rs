//! Choosing the lists: which centroids there are, and which row goes where.

mod measure;

use std::collections::HashSet;

use rayon::prelude::*;

use self::measure::{measure, probes};
use crate::code::{Bits, Coder, Record};
use crate::edit::Edit;
use crate::index::Kind;
use crate::kernel::{GROUP, Kernels};
use crate::layout::{BEYOND, Enough, File, Fixed, MEASURED, NONE, Reach, State, u32_at};
use crate::lists::{Centroids, Damage, LIST, List, Shelf, block_head, place_of};
use crate::store::View;

/// Which list a row belongs to, and its code there.
pub(crate) fn choose(
    edit: &Edit<'_>,
    fixed: &Fixed,
    coder: &Coder,
    code: &[u8],
) -> Result<(u32, Bits), Damage> {
    let record = Record::decode(code).ok_or("a code is too short")?;
    let lists = edit.state.lists;
    let centroids = Centroids::new(fixed, lists);
    let bytes = centroids.all(edit.base()?)?;
    let missing = "a list has no centroid";
    let list =
        if lists == 1 { 0 } else { nearest(bytes, &centroids, lists, &record).ok_or(missing)? };
    let values = centroids.values(bytes, list).ok_or(missing)?;
    Ok((list, coder.bits(&record, values)))
}

/// The list whose centroid is nearest to a row.
fn nearest(bytes: &[u8], centroids: &Centroids, lists: u32, record: &Record<'_>) -> Option<u32> {
    let kernels = Kernels::get();
    let signed = Signed::new(record);
    let mut best = (f32::INFINITY, 0);
    for list in 0..lists {
        let centroid = centroids.record(bytes, list)?;
        let (product, _) = kernels.bytes(centroid.code, &signed.values, &signed.values);
        let product = (product - signed.offset) as f32 * centroid.scale * signed.scale;
        let square = List::decode(bytes.get(list as usize * LIST..)?).square;
        let distance = square - 2.0 * product;
        if distance < best.0 {
            best = (distance, list);
        }
    }
    Some(best.1)
}

/// A code as what it is compared with others as.
struct Signed {
    values: Vec<i8>,
    scale: f32,
    /// What a product with it is too high by, because bytes are not signed.
    offset: i32,
}

impl Signed {
    fn new(record: &Record<'_>) -> Self {
        let values: Vec<i8> = record
            .code
            .iter()
            .map(|&byte| (i32::from(byte) - 128).clamp(-127, 127) as i8)
            .collect();
        let sum: i32 = values.iter().map(|&value| i32::from(value)).sum();
        Self { values, scale: record.scale, offset: 128 * sum }
    }
}

/// With fewer rows than this one list is as fast (measured; see the README).
const CROSSOVER: usize = 10_000;
/// With fewer rows than this nothing is gained by arranging them.
const FEW: usize = 1000;
/// Rows that the centroids are trained on, for each list.
const SAMPLE: usize = 64;
const ITERATIONS: usize = 8;
/// A list is split if it has more than so many times as many rows as others,
const LONG: usize = 2;
/// and if the squares of their distances become no more than this part.
const CLOSER: f64 = 0.9;
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
/// arrangement is worth its while.
pub(crate) fn is_due(kind: Kind, state: &State) -> bool {
    let (live, arranged) = (state.live as usize, state.arranged as usize);
    if live < FEW {
        return false;
    }
    let lists = lists_for(kind, live);
    let grown = if lists == 1 { 8 } else { 2 };
    arranged == 0
        || kind == Kind::Ivf && state.lists == 1
        || live >= grown * arranged
        || live * 8 <= arranged
        || (lists > 1) != (state.lists > 1) && live >= 2 * arranged
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

/// An arrangement, before it is written.
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

/// The mean of the turned rows.
fn middle(view: &View, coder: &Coder, slots: &[u32]) -> Result<Vec<f32>, Damage> {
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

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

fn record<'a>(view: &'a View, slot: u32) -> Result<Record<'a>, Damage> {
    Record::decode(view.code(slot)?).ok_or("a row has no code")
}

/// Centroids for about `count` lists.
fn train(
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
    let chosen = choose_all(view, sample, &centroids, stop)?;
    let usual = sample.len().div_ceil(centroids.len());
    for (list, members) in members_of(sample, &chosen, centroids.len()).iter().enumerate() {
        if members.len() <= LONG * usual {
            continue;
        }
        let starts: Vec<u32> = some(members, members.len().div_ceil(usual)).collect();
        let parts = means(view, coder, members, &starts, stop)?;
        let spread = |centroids: &[Vec<f32>]| -> Result<f64, Ended> {
            let chosen = choose_all(view, members, centroids, stop)?;
            Ok(chosen.iter().map(|&(_, square)| f64::from(square)).sum())
        };
        if spread(&parts)? < CLOSER * spread(&centroids[list..=list])? {
            let mut parts = split(view, coder, members, parts, stop)?.into_iter();
            centroids[list] = parts.next().ok_or("a list has no centroid")?;
            centroids.extend(parts);
        }
    }
    Ok(centroids)
}

/// The nearest centroid of each row, and the square of its distance.
fn choose_all(
    view: &View,
    slots: &[u32],
    centroids: &[Vec<f32>],
    stop: Stop<'_>,
) -> Result<Vec<(u32, f32)>, Ended> {
    let kernels = Kernels::get();
    let signed: Vec<(Signed, f32)> = centroids
        .iter()
        .map(|values| {
            let square = values.iter().map(|value| value * value).sum();
            let bytes = crate::code::encode_turned(values, 0.0);
            let record = Record::decode(&bytes).ok_or("a centroid has no code")?;
            Ok((Signed::new(&record), square))
        })
        .collect::<Result<_, Damage>>()?;
    slots
        .par_iter()
        .with_min_len(256)
        .map(|&slot| {
            if slot % 256 == 0 && stop() {
                return Err(Ended::Stopped);
            }
            let record = record(view, slot)?;
            let length: f32 = if view.fixed.metric == crate::Metric::Cosine {
                1.0
            } else {
                record.norm * record.norm
            };
            let mut best = (0, f32::INFINITY);
            for (pair, centroids) in signed.chunks(2).enumerate() {
                let (one, other) = (&centroids[0], &centroids[centroids.len() - 1]);
                let products = kernels.bytes(record.code, &one.0.values, &other.0.values);
                for (i, ((signed, square), product)) in
                    [(one, products.0), (other, products.1)].into_iter().enumerate()
                {
                    let product = (product - signed.offset) as f32 * signed.scale * record.scale;
                    let distance = square - 2.0 * product;
                    if distance < best.1 {
                        best = ((pair * 2 + i) as u32, distance);
                    }
                }
            }
            let last = signed.len() as u32 - 1;
            Ok((best.0.min(last), finite(best.1 + length)))
        })
        .collect()
}

/// The files of an arrangement.
#[derive(Debug)]
pub(crate) struct Arranged {
    pub(crate) lists: Vec<u8>,
    pub(crate) blocks: Vec<u8>,
    pub(crate) places: Vec<u8>,
    /// What the state has to say of it.
    pub(crate) list_count: u32,
    pub(crate) block_count: u32,
    pub(crate) reach: Reach,
    pub(crate) enough: Enough,
}

/// Carries a plan out for the rows as they are now.
pub(crate) fn carry_out(view: &View, coder: &Coder, plan: &Plan) -> Result<Arranged, Damage> {
    let fixed = &view.fixed;
    let count = plan.centroids.len();
    let mut lists = crate::lists::empty(fixed, &plan.centroids);
    let layout = Centroids::new(fixed, count as u32);
    let mut members = vec![Vec::new(); count];
    for slot in 0..view.state.slots {
        let known = view.slot(slot)?;
        if !known.is_live() {
            continue;
        }
        let list = match plan.chosen.get(slot as usize) {
            Some(&list) if known.sequence <= plan.sequence => list,
            // Put since the plan was made.
            _ if count == 1 => 0,
            _ => nearest(&lists, &layout, count as u32, &record(view, slot)?)
                .ok_or("a list has no centroid")?,
        };
        members[list as usize].push(slot);
    }
    let shelf = Shelf::new(fixed);
    let mut places = vec![0xff; view.state.slots as usize * 4];
    let mut start = 0_u32;
    let mut starts = Vec::with_capacity(count);
    for (list, members) in members.iter().enumerate() {
        starts.push(start);
        let blocks = members.len().div_ceil(GROUP) as u32;
        let (_, radius) = plan.centroids[list];
        let entry = List {
            head: if blocks == 0 { NONE } else { start },
            count: members.len() as u32,
            radius,
            ..List::decode(&lists[list * LIST..])
        };
        lists[list * LIST..][..LIST].copy_from_slice(&entry.encode());
        // The first block takes what is over, so that all others are full.
        let first = members.len() - (blocks as usize).saturating_sub(1) * GROUP;
        for (i, &slot) in members.iter().enumerate() {
            let (block, place) = match i.checked_sub(first) {
                None => (0, i),
                Some(rest) => (1 + rest / GROUP, rest % GROUP),
            };
            let place = place_of(start + block as u32, place as u32);
            places[slot as usize * 4..][..4].copy_from_slice(&place.to_le_bytes());
        }
        start += blocks;
    }
    let mut blocks = vec![0; start as usize * shelf.block_len()];
    let mut parts = Vec::with_capacity(count);
    let mut rest = blocks.as_mut_slice();
    for members in &members {
        let (part, more) = rest.split_at_mut(members.len().div_ceil(GROUP) * shelf.block_len());
        parts.push(part);
        rest = more;
    }
    parts.into_par_iter().zip(&members).enumerate().try_for_each(|(list, (part, members))| {
        let values = layout.values(&lists, list as u32).ok_or("a list has no centroid")?;
        let total = members.len().div_ceil(GROUP);
        let mut rows = members.iter();
        for (i, block) in part.chunks_exact_mut(shelf.block_len()).enumerate() {
            let wanted = if i == 0 { members.len() - (total - 1) * GROUP } else { GROUP };
            let next = match i + 1 {
                next if next == total => NONE,
                next => starts[list] + next as u32,
            };
            let head = block_head(next, list as u32, wanted as u32);
            block[..head.len()].copy_from_slice(&head);
            for (place, &slot) in rows.by_ref().take(wanted).enumerate() {
                let record = record(view, slot)?;
                let bits = coder.bits(&record, values);
                shelf.fill(block, place, slot, &bits, record.norm);
            }
        }
        Ok::<_, Damage>(())
    })?;
    Ok(Arranged {
        lists,
        blocks,
        places,
        list_count: count as u32,
        block_count: start,
        reach: plan.reach,
        enough: plan.enough,
    })
}

/// The keys of a list's rows.
pub(crate) fn keys_of(view: &View, list: u32) -> Result<Vec<crate::Key>, Damage> {
    let lists = view.unchecked(File::Lists);
    let shelf = Shelf::new(&view.fixed);
    let known = List::decode(lists.get(list as usize * LIST..).ok_or("a list is missing")?);
    let mut keys = Vec::with_capacity(known.count.min(view.state.slots) as usize);
    let (mut next, mut blocks) = (known.head, 0);
    while next != NONE {
        blocks += 1;
        // Of a snapshot, too, the blocks may be of later lists than the state.
        if blocks > view.state.blocks {
            break;
        }
        let Ok(block) = shelf.block(view, next) else { break };
        for &slot in block.slots.iter().take(block.count as usize) {
            let live = view.slot(slot).ok().filter(crate::layout::Slot::is_live);
            keys.extend(live.map(|slot| slot.key));
        }
        next = block.next;
    }
    Ok(keys)
}

/// Whether every row is in one list, with the code that it should have there.
pub(crate) fn verify(view: &View, coder: &Coder) -> Result<(), Damage> {
    let (shelf, centroids) =
        (Shelf::new(&view.fixed), Centroids::new(&view.fixed, view.state.lists));
    let lists = centroids.all(view)?;
    let places = view.bytes(File::Places, 0, view.state.slots as usize * 4)?;
    let mut rows = 0;
    let mut blocks = 0;
    for list in 0..view.state.lists {
        let known = List::decode(lists.get(list as usize * LIST..).ok_or("a list is missing")?);
        let values = centroids.values(lists, list).ok_or("a centroid is missing")?;
        let code = lists.get(centroids.record_at(list));
        if code != Some(&crate::code::encode_turned(values, 0.0))
            || known.square != values.iter().map(|value| value * value).sum::<f32>()
            || !known.radius.is_finite()
        {
            return Err("a centroid does not match its code");
        }
        let mut block = known.head;
        let mut count = 0;
        while block != NONE {
            blocks += 1;
            if blocks > view.state.blocks {
                return Err("the blocks of a list go in a circle");
            }
            let of = shelf.block(view, block)?;
            let full = of.count == GROUP as u32 || block == known.head && of.count > 0;
            if of.list != list || !full || of.count > GROUP as u32 {
                return Err("a block is not as its list needs it");
            }
            for place in 0..of.count {
                let slot = of.slots[place as usize];
                let at = slot as usize * 4;
                let code = record(view, slot)?;
                if slot >= view.state.slots
                    || !view.slot(slot)?.is_live()
                    || u32_at(places, at) != place_of(block, place)
                    || of.row(place as usize) != coder.bits(&code, values)
                    || of.factors.norm[place as usize] != code.norm
                {
                    return Err("a row is not in its list");
                }
            }
            count += of.count;
            block = of.next;
        }
        if count != known.count {
            return Err("a list holds more or fewer rows than it says");
        }
        rows += count;
    }
    if rows != view.state.live {
        return Err("the lists hold more or fewer rows than there are");
    }
    Ok(())
}
