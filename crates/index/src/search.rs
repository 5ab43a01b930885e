//! Finding the nearest rows.
//!
//! A search walks the lists nearest to the query, estimates every row's score
//! from its 1-bit code, looks at the 8-bit codes of those that may be among
//! the best, and at the rows themselves of those that still may be. How many
//! that are depends on how sure the estimates are, not on a constant.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::code::{ERROR, Point, Record};
use crate::kernel::{GROUP, Kernels, Weigh, prefetch};
use crate::layout::{File, NONE};
use crate::lists::{Block, Centroids, LIST, List, Shelf};
use crate::query::Resolved;
use crate::store::{View, corrupt};
use crate::{Error, Filter, Hit, Key, Metric, Precision, Query, Result, RowSet};

/// Slots that one thread looks through at a time.
const SHARE: u32 = 16 * 1024;
/// With no more rows than this, looking at the rows themselves is faster.
const FEW: usize = 64;
/// How many standard errors above its estimate a row's score may be.
const SURE: f32 = 2.8;
/// The same for 8-bit codes, which are sure enough to be generous.
const SURER: f32 = 4.0;
/// Rows that a predicate is asked about to know which part it accepts.
const SAMPLE: u32 = 256;
/// What a row out of order costs, in rows of a list.
const OUT_OF_ORDER: f32 = 10.0;
/// Lists that are looked at whatever their distance.
pub(crate) const LEAST: usize = 3;

/// What is asked for ahead at the most: lists at once, codes of rows in the
/// nearest lists, codes or rows that are left in the end.
const LISTS_AHEAD: usize = 16;
const CODES_AHEAD: usize = 64;
const ROWS_AHEAD: usize = 2000;

/// A query, and what was computed of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) query: &'a Query<'a>,
    pub(crate) metric: Metric,
    pub(crate) vector: &'a [f32],
    pub(crate) point: &'a Point,
    /// Whether what will be read is asked for ahead of it, all at once: on a
    /// disk that is a tenth of the time of waiting for one after the other.
    pub(crate) ahead: bool,
}

pub(crate) fn search(view: &View, dir: &Path, ask: &Ask<'_>) -> Result<Vec<Hit>> {
    let query = ask.query;
    let live = view.state.live as usize;
    let count = query.k.saturating_add(query.offset).min(live);
    if query.k == 0 || count == 0 {
        return Ok(Vec::new());
    }
    let search = Search::new(view, dir, *ask, count)?;
    let precision = match query.precision {
        Precision::Auto | Precision::Proved if !ask.point.usable => Precision::Exact,
        precision => precision,
    };
    let best = match (precision, &search.rows) {
        (Precision::Exact, Some(rows)) => search.compare(rows.slots.iter().copied())?,
        (Precision::Exact, None) => search.compare_all()?,
        (Precision::Auto, Some(rows)) if rows.slots.len() <= FEW.max(count) => {
            search.compare(rows.slots.iter().copied())?
        }
        (Precision::Auto, Some(rows)) if search.prefers_slots(rows.slots.len())? => {
            search.code(rows.slots.iter().copied(), false)?
        }
        (Precision::Auto, None) if live <= FEW => search.compare_all()?,
        (Precision::Auto, _) => search.walk()?,
        (Precision::Proved, Some(rows)) => search.code(rows.slots.iter().copied(), true)?,
        (Precision::Proved, None) => search.code(0..view.state.slots, true)?,
    };
    Ok(best
        .heap
        .into_sorted_vec()
        .into_iter()
        .skip(query.offset)
        .map(|candidate| {
            let (similarity, distance) = ask.metric.measure(candidate.score);
            Hit { key: candidate.key, similarity, distance }
        })
        .take_while(|hit| query.threshold.is_none_or(|least| hit.similarity >= f64::from(least)))
        .collect())
}

/// One search under way.
struct Search<'a> {
    view: &'a View,
    dir: &'a Path,
    ask: Ask<'a>,
    /// How many rows are wanted, with those that the offset leaves out.
    count: usize,
    kernels: &'static Kernels,
    norm: f64,
    /// The score that hits have at least, or a little less.
    floor: f32,
    /// Slots of the excluded keys, ascending.
    excluded: Vec<u32>,
    rows: Option<Arc<Rows>>,
}

/// Where the rows of a set are.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Ascending.
    slots: Vec<u32>,
    /// A bit for each slot.
    bitmap: Vec<u64>,
}

impl Rows {
    fn contains(&self, slot: u32) -> bool {
        self.bitmap.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

/// A row that an estimate could not rule out.
#[derive(Clone, Copy, Debug)]
struct Maybe {
    /// How high its score may be.
    upper: f32,
    slot: u32,
}

impl<'a> Search<'a> {
    fn new(view: &'a View, dir: &'a Path, ask: Ask<'a>, count: usize) -> Result<Self> {
        let kernels = Kernels::get();
        let mut excluded = Vec::with_capacity(ask.query.exclude.len());
        for key in ask.query.exclude {
            excluded.extend(view.find(dir, key)?);
        }
        excluded.sort_unstable();
        let rows = match ask.query.filter {
            Filter::Rows(rows) => Some(resolve(view, dir, rows)?),
            Filter::All | Filter::Predicate(_) => None,
        };
        Ok(Self {
            view,
            dir,
            ask,
            count,
            kernels,
            norm: kernels.dot(ask.vector, ask.vector).sqrt(),
            floor: ask.query.threshold.map_or(f32::NEG_INFINITY, |least| floor(ask.metric, least)),
            excluded,
            rows,
        })
    }

    fn damaged(&self) -> Error {
        corrupt(self.dir, "a row is not where it should be")
    }

    /// Whether so few rows come into question that it is faster to go from
    /// one to the next than through the lists.
    fn prefers_slots(&self, rows: usize) -> Result<bool> {
        let live = self.view.state.live as f32;
        let budget = match self.is_arranged_for() {
            true => self.view.state.budget(self.wanted()?).min(live),
            false => live,
        };
        Ok(rows <= 2000 || rows as f32 * OUT_OF_ORDER <= budget)
    }

    /// Whether the query wants the row at all.
    fn accepts(&self, slot: u32) -> Result<bool> {
        if self.excluded.binary_search(&slot).is_ok() {
            return Ok(false);
        }
        match (self.ask.query.filter, &self.rows) {
            (Filter::Predicate(accepts), _) => {
                let known = self.view.slot(slot).ok_or_else(|| self.damaged())?;
                Ok(known.is_live() && accepts(&known.key))
            }
            (_, Some(rows)) => Ok(rows.contains(slot)),
            (_, None) => Ok(true),
        }
    }

    /// Compares with the row itself.
    fn consider(&self, best: &mut Best, slot: u32) -> Result<()> {
        let (Some(known), Some(row)) = (self.view.slot(slot), self.view.row(slot)) else {
            return Err(self.damaged());
        };
        if !known.is_live() {
            return Ok(());
        }
        let vector = self.ask.vector;
        let score = match self.ask.metric {
            Metric::Cosine => {
                let length = self.kernels.dot(row, row).sqrt();
                if length > 0.0 {
                    (self.kernels.dot(vector, row) / (self.norm * length)).clamp(-1.0, 1.0)
                } else {
                    0.0
                }
            }
            Metric::Dot => self.kernels.dot(vector, row),
            Metric::Euclidean => -self.kernels.square(vector, row),
        };
        if best.wants(score) {
            best.offer(Candidate { score, key: known.key });
        }
        Ok(())
    }

    /// Compares with each of some rows.
    fn compare(&self, slots: impl Iterator<Item = u32>) -> Result<Best> {
        let mut best = Best::new(self.count);
        for slot in slots {
            if self.accepts(slot)? {
                self.consider(&mut best, slot)?;
            }
        }
        Ok(best)
    }

    /// Compares with every row, on all threads if there are many.
    fn compare_all(&self) -> Result<Best> {
        let slots = self.view.state.slots;
        if slots <= SHARE {
            return self.compare(0..slots);
        }
        (0..slots.div_ceil(SHARE))
            .into_par_iter()
            .map(|share| {
                let start = share * SHARE;
                self.compare(start..start.saturating_add(SHARE).min(slots))
            })
            .try_reduce(|| Best::new(self.count), |a, b| Ok(a.merge(b)))
    }

    /// Score and doubt of a row from its 8-bit code.
    fn rate(&self, slot: u32) -> Result<(f32, f32, f32)> {
        let record = self.view.code(slot).and_then(Record::decode).ok_or_else(|| self.damaged())?;
        let point = self.ask.point;
        let (factor, term) = point.shape.line(record.norm);
        let score = factor * point.product(self.kernels, &record) + term;
        let (most, usual) = point.doubt(&record);
        // The score itself is rounded, too.
        let rounding = (score.abs() + term.abs()) * 1e-6;
        let (most, usual) = (factor * most + rounding, factor * usual + rounding);
        if score.is_finite() && most.is_finite() {
            Ok((score, most, usual))
        } else {
            Ok((f32::NEG_INFINITY, f32::INFINITY, f32::INFINITY))
        }
    }

    fn prefetch(&self, slot: Option<u32>) {
        if let Some(code) = slot.and_then(|slot| self.view.code(slot)) {
            prefetch(code);
        }
    }

    /// Looks at the 8-bit codes of some rows, and at the rows that are left.
    fn code(&self, slots: impl Iterator<Item = u32>, proved: bool) -> Result<Best> {
        let mut lowers = Top::new(self.count, self.floor);
        let mut maybe = Vec::new();
        let mut ahead = Ahead::new(slots);
        while let Some(slot) = ahead.next() {
            self.prefetch(ahead.later());
            if !self.accepts(slot)? || self.view.slot(slot).is_none_or(|slot| !slot.is_live()) {
                continue;
            }
            let (score, most, usual) = self.rate(slot)?;
            let doubt = if proved { most } else { usual * SURER };
            let upper = upper(score, doubt);
            if upper >= lowers.least() {
                lowers.offer(score - doubt);
                maybe.push(Maybe { upper, slot });
            }
        }
        self.finish(maybe, lowers.least())
    }

    /// Compares with the rows that may be among the best, the likely first.
    fn finish(&self, mut maybe: Vec<Maybe>, least: f32) -> Result<Best> {
        maybe.retain(|row| row.upper >= least);
        maybe.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper).then(a.slot.cmp(&b.slot)));
        if self.ask.ahead {
            let fixed = &self.view.fixed;
            for row in maybe.iter().take(self.count.saturating_mul(3).min(ROWS_AHEAD)) {
                self.view.will_need(File::Rows, fixed.row_at(row.slot), fixed.row_bytes());
            }
        }
        let mut best = Best::new(self.count);
        for (i, row) in maybe.iter().enumerate() {
            if !best.wants(row.upper.into()) {
                break;
            }
            if let Some(next) = maybe.get(i + 1).and_then(|row| self.view.row(row.slot)) {
                prefetch(bytemuck::cast_slice(next));
            }
            self.consider(&mut best, row.slot)?;
        }
        Ok(best)
    }

    /// Goes through the lists, the nearest first.
    fn walk(&self) -> Result<Best> {
        let mut order = self.lists()?;
        let wanted = self.wanted()?;
        let (budget, reach) = match self.is_arranged_for() {
            true => (self.view.state.budget(wanted), self.view.state.reach(wanted)),
            false => (f32::INFINITY, f32::INFINITY),
        };
        let mut walk = Walk {
            top: Top::new(self.count, self.floor),
            lowers: Top::new(self.count, self.floor),
            rated: Vec::new(),
            maybe: Vec::new(),
            seen: 0,
        };
        let mut done = 0;
        let mut step = LEAST;
        while done < order.len() {
            let wanted = (done + step).min(order.len());
            nearest_first(&mut order, done, wanted);
            if self.ask.ahead {
                self.ask_for_lists(&order[done..wanted]);
                if done == 0 {
                    self.ask_for_likely(&order[..wanted])?;
                }
            }
            for near in &order[done..wanted] {
                let enough = walk.top.is_full() || self.floor > f32::NEG_INFINITY;
                if enough && walk.seen as f32 >= budget {
                    return self.narrow(walk);
                }
                let demand = near.demand(self.ask.metric, self.ask.point, walk.top.least());
                if done < LEAST || demand <= reach {
                    self.scan(near, &mut walk)?;
                }
            }
            done = wanted;
            step *= 2;
        }
        self.narrow(walk)
    }

    /// Among how many of all rows the wanted ones are the nearest: where only
    /// some rows are accepted, they lie as far apart as that many more would.
    fn wanted(&self) -> Result<f32> {
        let live = self.view.state.live as f32;
        let share = match (self.ask.query.filter, &self.rows) {
            (Filter::Predicate(_), _) => {
                let slots = self.view.state.slots;
                let step = slots.div_ceil(SAMPLE).max(1) as usize;
                let mut accepted = 0.5;
                for slot in (0..slots).step_by(step) {
                    accepted += f32::from(u8::from(self.accepts(slot)?));
                }
                (accepted * step as f32 / live).min(1.0)
            }
            (_, Some(rows)) => rows.slots.len() as f32 / live,
            (_, None) => 1.0,
        };
        Ok(self.count as f32 / share)
    }

    /// Whether the lists say where the nearest rows are. They are made for one
    /// metric; with another, any may hold the nearest.
    fn is_arranged_for(&self) -> bool {
        self.ask.metric == self.view.fixed.metric && self.view.state.lists > 1
    }

    /// All lists, with how far they are.
    fn lists(&self) -> Result<Vec<Near>> {
        let bytes = self.view.bytes(File::Lists);
        let centroids = Centroids::new(&self.view.fixed, self.view.state.lists);
        (0..self.view.state.lists)
            .map(|list| {
                let record = centroids.record(bytes, list)?;
                let known = List::decode(bytes.get(list as usize * LIST..)?);
                Some(Near::new(self.ask.metric, self.ask.point, &record, &known, self.kernels))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| corrupt(self.dir, "a list is not where it should be"))
    }

    /// Estimates the scores of a list's rows, block by block; how high they may
    /// be comes with them.
    fn estimate(
        &self,
        near: &Near,
        mut on_block: impl FnMut(&Block<'_>, &[f32; GROUP], &[f32; GROUP]) -> Result<()>,
    ) -> Result<()> {
        let point = self.ask.point;
        let shelf = Shelf::new(&self.view.fixed);
        let bytes = self.view.bytes(File::Blocks);
        let how = Weigh {
            base: near.product,
            step: point.step,
            bias: point.bias,
            spread: SURE * ERROR * near.distance,
            shape: point.shape,
        };
        let (mut sums, mut scores, mut uppers) = ([0; GROUP], [0.0; GROUP], [0.0; GROUP]);
        let (mut next, mut blocks) = (near.head, 0);
        while next != NONE {
            let block = shelf
                .block(bytes, next)
                .ok_or_else(|| corrupt(self.dir, "a block is not where it should be"))?;
            blocks += 1;
            if blocks > self.view.state.blocks {
                return Err(corrupt(self.dir, "the blocks of a list go in a circle"));
            }
            self.kernels.bits(block.bits, &point.table, &mut sums);
            self.kernels.weigh(&sums, block.factors, how, &mut scores, &mut uppers);
            on_block(&block, &scores, &uppers)?;
            next = block.next;
        }
        Ok(())
    }

    /// Looks for likely rows in a list.
    fn scan(&self, near: &Near, walk: &mut Walk) -> Result<()> {
        let all = self.excluded.is_empty() && matches!(self.ask.query.filter, Filter::All);
        self.estimate(near, |block, scores, uppers| {
            let mut likely = self.kernels.above(uppers, walk.top.least());
            if block.count < GROUP as u32 {
                likely &= (1 << block.count) - 1;
            }
            while likely != 0 {
                let i = likely.trailing_zeros() as usize;
                likely &= likely - 1;
                let least = walk.top.least();
                let slot = block.slots[i];
                if !all && !self.accepts(slot)? {
                    continue;
                }
                if scores[i] <= least {
                    walk.maybe.push((upper(scores[i], uppers[i] - scores[i]), slot));
                } else {
                    self.rate_in(walk, slot)?;
                }
            }
            walk.seen += block.count;
            Ok(())
        })
    }

    /// Has lists read from the disk.
    fn ask_for_lists(&self, lists: &[Near]) {
        let shelf = Shelf::new(&self.view.fixed);
        for near in lists.iter().take(LISTS_AHEAD).filter(|near| near.head != NONE) {
            let (at, len) = shelf.span(near.head, near.count);
            self.view.will_need(File::Blocks, at, len);
        }
    }

    /// Has the 8-bit codes read of rows that look good in the nearest lists.
    fn ask_for_likely(&self, lists: &[Near]) -> Result<()> {
        let mut estimates = Vec::new();
        for near in lists {
            self.estimate(near, |block, scores, _| {
                let count = (block.count as usize).min(GROUP);
                estimates.extend(scores[..count].iter().copied().zip(block.slots.iter().copied()));
                Ok(())
            })?;
        }
        estimates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        for &(_, slot) in estimates.iter().take(CODES_AHEAD) {
            self.ask_for_code(slot);
        }
        Ok(())
    }

    fn ask_for_code(&self, slot: u32) {
        let fixed = &self.view.fixed;
        self.view.will_need(File::Codes, fixed.code_at(slot), fixed.code_bytes());
        self.view.will_need(File::Slots, crate::layout::Slot::at(slot), 1);
    }

    /// Looks at the 8-bit code of a row.
    fn rate_in(&self, walk: &mut Walk, slot: u32) -> Result<()> {
        let (score, _, usual) = self.rate(slot)?;
        let doubt = usual * SURER;
        let upper = upper(score, doubt);
        walk.top.offer(score);
        if upper >= walk.lowers.least() {
            walk.lowers.offer(score - doubt);
            walk.rated.push(Maybe { upper, slot });
        }
        Ok(())
    }

    /// From estimates to 8-bit codes to rows.
    fn narrow(&self, mut walk: Walk) -> Result<Best> {
        let mut maybe = std::mem::take(&mut walk.maybe);
        let least = walk.top.least();
        maybe.retain(|&(upper, _)| upper >= least);
        if self.ask.ahead {
            maybe.iter().take(ROWS_AHEAD).for_each(|&(_, slot)| self.ask_for_code(slot));
        }
        for (i, &(upper, slot)) in maybe.iter().enumerate() {
            if let Some(&(_, later)) = maybe.get(i + AHEAD) {
                self.prefetch(Some(later));
            }
            if upper >= walk.top.least() {
                self.rate_in(&mut walk, slot)?;
            }
        }
        self.finish(walk.rated, walk.lowers.least())
    }
}

/// The lowest score of a similarity, with room for rounding.
fn floor(metric: Metric, similarity: f32) -> f32 {
    let score = match metric {
        Metric::Cosine | Metric::Dot => similarity,
        Metric::Euclidean if similarity > 0.0 => 1.0 - 1.0 / similarity,
        Metric::Euclidean => f32::NEG_INFINITY,
    };
    score - 1e-5 * (1.0 + score.abs())
}

/// What is not a number may be anything.
fn upper(score: f32, doubt: f32) -> f32 {
    let upper = score + doubt;
    if upper.is_nan() { f32::INFINITY } else { upper }
}

/// A walk through the lists under way.
struct Walk {
    /// The best scores by 8-bit code. Unlike the best estimates, which are
    /// the luckiest of many, they are scores that rows do have.
    top: Top,
    lowers: Top,
    /// Rows whose 8-bit codes were looked at.
    rated: Vec<Maybe>,
    /// How high the scores of others may be.
    maybe: Vec<(f32, u32)>,
    /// How many rows were seen, wanted or not.
    seen: u32,
}

/// A list, from the query's point of view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    head: u32,
    /// How many rows it holds.
    count: u32,
    /// The dot product of the turned query with the centroid.
    product: f32,
    radius: f32,
    /// From the query to the centroid.
    pub(crate) distance: f32,
    /// In which order lists are looked at, the lowest first.
    pub(crate) rank: f32,
}

impl Near {
    pub(crate) fn new(
        metric: Metric,
        point: &Point,
        record: &Record<'_>,
        list: &List,
        kernels: &Kernels,
    ) -> Self {
        let product = point.product(kernels, record);
        let square = point.square + list.square - 2.0 * product;
        let distance = square.max(0.0).sqrt();
        let rank = match metric {
            Metric::Cosine | Metric::Euclidean => distance,
            // How far along the query the furthest rows of a list lie: the
            // centroid, and of what its rows are off it in any direction some
            // standard deviations.
            Metric::Dot => -(product + 2.5 * point.length * list.radius * point.share),
        };
        Self { head: list.head, count: list.count, product, radius: list.radius, distance, rank }
    }

    /// How nearly a row of the list has to lie in the direction of the query
    /// for its score to be `least`: the cosine of the angle between them, seen
    /// from the centroid.
    pub(crate) fn demand(&self, metric: Metric, point: &Point, least: f32) -> f32 {
        // Of the triangle of query, centroid and row two sides are known, and
        // the third is to be no longer than this.
        let side = match metric {
            Metric::Cosine => 2.0 - 2.0 * least,
            Metric::Euclidean => -least,
            // No triangle: the row only has to lie far along the query.
            Metric::Dot => return known((least - self.product) / (point.length * self.radius)),
        };
        let (distance, radius) = (self.distance, self.radius);
        known((distance * distance + radius * radius - side) / (2.0 * distance * radius))
    }
}

/// What is not a number demands nothing.
fn known(demand: f32) -> f32 {
    if demand.is_nan() { f32::NEG_INFINITY } else { demand }
}

/// Puts the nearest lists into their places from `done` to `wanted`.
fn nearest_first(order: &mut [Near], done: usize, wanted: usize) {
    let by_rank = |a: &Near, b: &Near| a.rank.total_cmp(&b.rank);
    let rest = &mut order[done..];
    if wanted - done < rest.len() {
        rest.select_nth_unstable_by(wanted - done - 1, by_rank);
    }
    order[done..wanted].sort_unstable_by(by_rank);
}

/// How many rows ahead memory is asked for.
const AHEAD: usize = 6;

/// Slots, with a look at those to come.
struct Ahead<I> {
    slots: I,
    queue: std::collections::VecDeque<u32>,
}

impl<I: Iterator<Item = u32>> Ahead<I> {
    fn new(mut slots: I) -> Self {
        let queue = slots.by_ref().take(AHEAD).collect();
        Self { slots, queue }
    }

    fn next(&mut self) -> Option<u32> {
        let next = self.queue.pop_front()?;
        self.queue.extend(self.slots.next());
        Some(next)
    }

    fn later(&self) -> Option<u32> {
        self.queue.back().copied()
    }
}

/// The greatest few of many numbers.
#[derive(Debug)]
struct Top {
    count: usize,
    heap: BinaryHeap<std::cmp::Reverse<Number>>,
    least: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Number(f32);

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Top {
    /// Of numbers that reach `floor`.
    fn new(count: usize, floor: f32) -> Self {
        Self { count, heap: BinaryHeap::new(), least: floor }
    }

    fn is_full(&self) -> bool {
        self.heap.len() >= self.count
    }

    /// What a number has to reach to be one of them.
    fn least(&self) -> f32 {
        self.least
    }

    fn offer(&mut self, number: f32) {
        if self.heap.len() < self.count {
            if number >= self.least {
                self.heap.push(std::cmp::Reverse(Number(number)));
            }
        } else if number > self.least
            && let Some(mut least) = self.heap.peek_mut()
        {
            *least = std::cmp::Reverse(Number(number));
        }
        if self.is_full()
            && let Some(least) = self.heap.peek()
        {
            self.least = least.0.0;
        }
    }
}

/// A row whose score is known. The greatest is the one to drop first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    score: f64,
    key: Key,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best rows seen so far.
#[derive(Debug)]
struct Best {
    count: usize,
    heap: BinaryHeap<Candidate>,
}

impl Best {
    fn new(count: usize) -> Self {
        Self { count, heap: BinaryHeap::new() }
    }

    /// Whether a row of this score may be among the best.
    fn wants(&self, score: f64) -> bool {
        self.heap.len() < self.count || self.heap.peek().is_some_and(|worst| score >= worst.score)
    }

    fn offer(&mut self, candidate: Candidate) {
        if self.heap.len() < self.count {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for candidate in other.heap {
            self.offer(candidate);
        }
        self
    }
}

/// Where the rows of a set are.
fn resolve(view: &View, dir: &Path, rows: &RowSet) -> Result<Arc<Rows>> {
    let (index, generation) = (view.fixed.seed, view.state.sequence);
    if let Some(rows) = rows.resolved(index, generation) {
        return Ok(rows);
    }
    let mut slots = Vec::with_capacity(rows.len());
    for key in rows.keys() {
        slots.extend(view.find(dir, key)?);
    }
    slots.sort_unstable();
    let mut bitmap = vec![0; (view.state.slots as usize).div_ceil(64)];
    for &slot in &slots {
        if let Some(word) = bitmap.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }
    let found = Arc::new(Rows { slots, bitmap });
    rows.remember(Resolved { index, generation, rows: Arc::clone(&found) });
    Ok(found)
}
