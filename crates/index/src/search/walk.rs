//! The walk through the lists: from bits to 8-bit codes.

use super::best::{Best, Top};
use super::{AHEAD, Maybe, ROWS_AHEAD, Search, Seen, likely_first, upper};
use crate::code::{ERROR, ERROR_OF_BOTH, Point, Record};
use crate::kernel::{GROUP, Kernels, Shape, Weigh, prefetch};
use crate::layout::{File, NONE, Slot};
use crate::lists::{Block, BlockLayout, Centroids, LIST, List, Second, place_of};
use crate::view::Buffer;
use crate::{Error, Filter, Metric, Precision, Result};

/// Lists that are looked at whatever their distance.
pub(crate) const LEAST: usize = 3;
/// How many standard errors above its estimate by first bits a row's score may
/// be, before [`Search::doubt`].
const SURE: f32 = 2.85;
/// The same by both bits.
const SURER: f32 = 2.95;
/// Rows that a predicate is asked about to know which part it accepts.
const SAMPLE: u32 = 256;
/// How many rows may be in lists that are too far to be looked at, as a part of
/// those that are asked for: this is a bound, the truth is far below.
const BEYOND: f32 = 0.001;
/// How many times fewer these are for a thorough search: they are few in the mean of all
/// searches, but nearly all of them are neighbors of the same few rows.
const RARER: f32 = 32.0;
/// How many standard deviations of a count chance is allowed.
const LUCK: f32 = 3.0;
/// What is asked for ahead at the most: lists at once, and codes of rows in
/// the nearest ones.
const LISTS_AHEAD: usize = 16;
const CODES_AHEAD: usize = 64;

impl<'a> Search<'a> {
    /// Goes through the lists, the nearest first.
    pub(super) fn walk(&self) -> Result<Best> {
        let mut order = self.lists()?;
        let (mut budget, reach) = match self.has_lists_for() {
            true => {
                let wanted = self.wanted()?;
                let state = &self.view.state;
                (self.budget(wanted.rows), state.reach(wanted.beyond))
            }
            false => (f32::INFINITY, f32::INFINITY),
        };
        let mut walk = Walk {
            top: Top::new(self.count, self.floor),
            likely: Vec::new(),
            maybe: Vec::new(),
            seen: Seen::new(self),
            rows: 0,
            surer: self.doubt(SURER),
            scanned: Vec::new(),
            buffer: self.buffer(),
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
            for (rank, near) in order.iter().enumerate().take(wanted).skip(done) {
                let enough = walk.top.is_full() || self.floor > f32::NEG_INFINITY;
                if enough && walk.rows as f32 >= budget {
                    budget = self.budget_left(&order, &mut walk, budget)?;
                    if walk.rows as f32 >= budget {
                        return self.narrow(&order, walk);
                    }
                }
                let demand = near.demand(self.ask.metric, self.ask.point, walk.top.least());
                if done < LEAST || demand <= reach {
                    self.scan(near, rank, &mut walk)?;
                }
            }
            done = wanted;
            step *= 2;
        }
        self.narrow(&order, walk)
    }

    /// How many rows have to be looked for to have those that are wanted. Where
    /// only some are accepted, these lie as far apart as that many more would,
    /// give or take what chance makes of it.
    pub(super) fn wanted(&self) -> Result<Wanted> {
        let count = self.count as f32;
        let share = self.share()?;
        // What is excluded is most likely near.
        let rows = count + self.excluded.len() as f32;
        let luck = if share < 1.0 { LUCK * (rows.sqrt() + 1.0) } else { 0.0 };
        // One that is missed before an offset moves one out of what is asked
        // for, so rows that an offset leaves out allow for none.
        let rarer = if self.ask.query.precision == Precision::Thorough { RARER } else { 1.0 };
        let beyond = self.asked() * BEYOND / rarer;
        Ok(Wanted { rows: (rows + luck) / share, beyond: beyond / share })
    }

    /// Which part of all rows is accepted.
    fn share(&self) -> Result<f32> {
        let live = self.view.state.live as f32;
        Ok(match (self.ask.query.filter, &self.rows) {
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
        })
    }

    /// How many rows have to be seen after all, once as many were as usually
    /// suffice: more where fewer of them were accepted than are everywhere. The
    /// accepted rows lie elsewhere then, as the songs of another genre do.
    fn budget_left(&self, order: &[Near], walk: &mut Walk, budget: f32) -> Result<f32> {
        let Some(rows) = &self.rows else { return Ok(budget) };
        let block_layout = BlockLayout::new(&self.view.fixed);
        let mut accepted = 0_u32;
        for &rank in &walk.scanned {
            let near = order.get(rank as usize).ok_or_else(|| self.damaged())?;
            self.blocks_of(near, block_layout, |_, block| {
                let slots = block.slots.iter().take(block.count as usize);
                accepted += slots.filter(|slot| rows.contains(**slot)).count() as u32;
                Ok(())
            })?;
        }
        let expected = walk.rows as f32 * self.share()?;
        let short = accepted as f32 + LUCK * expected.sqrt() < expected;
        Ok(if short { budget * 2.0 } else { budget })
    }

    /// Whether the lists say where the nearest rows are. They are made for one
    /// metric; with another, any may hold the nearest.
    pub(super) fn has_lists_for(&self) -> bool {
        self.ask.metric == self.view.fixed.metric && self.view.state.lists > 1
    }

    /// All lists, with how far they are.
    fn lists(&self) -> Result<Vec<Near>> {
        let centroids = Centroids::new(&self.view.fixed, self.view.state.lists);
        let bytes = centroids.records(self.view).map_err(self.corrupt())?;
        (0..self.view.state.lists)
            .map(|list| {
                let record = centroids.record(bytes, list)?;
                let known = List::decode(bytes.get(list as usize * LIST..)?);
                Some(Near::new(self.ask.metric, self.ask.point, &record, &known, self.kernels))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Error::corrupt(self.dir, "a list is not where it should be"))
    }

    /// Estimates the scores of a list's rows by their first bits, block by
    /// block.
    fn estimate(
        &self,
        near: &Near,
        mut on_block: impl FnMut(u32, &Block<'_>, &Estimates) -> Result<()>,
    ) -> Result<()> {
        let point = self.ask.point;
        let block_layout = BlockLayout::new(&self.view.fixed);
        let how = Weigh {
            base: near.product,
            step: point.step,
            bias: point.bias,
            spread: self.doubt(SURE) * ERROR * near.distance,
            shape: point.shape,
        };
        let mut estimates =
            Estimates { sums: [0; GROUP], scores: [0.0; GROUP], uppers: [0.0; GROUP] };
        self.blocks_of(near, block_layout, |number, block| {
            let Estimates { sums, scores, uppers } = &mut estimates;
            self.kernels.bits(block.bits, &point.table, sums);
            self.kernels.weigh(sums, block.factors, how, scores, uppers);
            on_block(number, block, &estimates)
        })
    }

    /// Goes through the blocks of a list.
    #[inline]
    fn blocks_of(
        &self,
        near: &Near,
        block_layout: BlockLayout,
        mut on_block: impl FnMut(u32, &Block<'_>) -> Result<()>,
    ) -> Result<()> {
        let bytes = self.view.unchecked(File::Blocks);
        let (mut number, mut blocks) = (near.head, 0);
        while number != NONE {
            let block = block_layout.block(self.view, number).map_err(self.corrupt())?;
            blocks += 1;
            if blocks > self.view.state.blocks {
                return Err(Error::corrupt(self.dir, "the blocks of a list go in a circle"));
            }
            // Blocks lie too far apart for the processor to see what comes next.
            block_layout.prefetch_block(bytes, block.next);
            on_block(number, &block)?;
            number = block.next;
        }
        Ok(())
    }

    /// Looks for likely rows in a list, the one at `rank` of those seen.
    fn scan(&self, near: &Near, rank: usize, walk: &mut Walk) -> Result<()> {
        let all = self.excluded.is_empty() && matches!(self.ask.query.filter, Filter::All);
        let point = self.ask.point;
        walk.scanned.push(rank as u32);
        self.estimate(near, |number, block, estimates| {
            let mut rows = self.kernels.above(&estimates.uppers, walk.top.least());
            if block.count < GROUP as u32 {
                rows &= (1 << block.count) - 1;
            }
            while rows != 0 {
                let place = rows.trailing_zeros();
                rows &= rows - 1;
                let i = place as usize;
                if !all && !self.accepts(block.slots[i])? {
                    continue;
                }
                let likely = Likely {
                    upper: upper(estimates.uppers[i], 0.0),
                    first: point.step * estimates.sums[i] as f32 + point.bias,
                    place: place_of(number, place),
                    rank: rank as u32,
                };
                // Those that look best raise what the others have to reach.
                if estimates.scores[i] > walk.top.least() {
                    self.look_closer(near, &likely, walk)?;
                } else {
                    walk.likely.push(likely);
                }
            }
            walk.rows = walk.rows.saturating_add(block.count);
            Ok(())
        })
    }

    /// Estimates the score of a row by both bits.
    #[inline]
    fn look_closer(&self, near: &Near, likely: &Likely, walk: &mut Walk) -> Result<()> {
        let point = self.ask.point;
        let block_layout = BlockLayout::new(&self.view.fixed);
        let bytes = self.view.unchecked(File::Blocks);
        let second = block_layout.second_of(bytes, likely.place).ok_or_else(|| self.damaged())?;
        let Second { bits, scale, shift } = Second::new(second);
        let sum = likely.first + 0.5 * point.signed(self.kernels, bits);
        let product = near.product + scale * sum + shift;
        // Of cosines the norm is not asked for: it is in another line of memory.
        let slot = || block_layout.slot_of(bytes, likely.place).ok_or_else(|| self.damaged());
        let (factor, term) = match point.shape {
            Shape::Plain => (1.0, 0.0),
            shape => shape.line(slot()?.1),
        };
        let score = factor * product + term;
        let error = factor * ERROR_OF_BOTH * near.distance * scale;
        let upper = upper(score, walk.surer * error);
        let least = walk.top.least();
        // What looks better by more than luck raises what others have to reach.
        if score - error > least {
            self.rate_in(walk, slot()?.0)?;
        } else if upper >= least {
            walk.maybe.push(Maybe { upper, slot: slot()?.0 });
        }
        Ok(())
    }

    /// Has lists read from the disk.
    fn ask_for_lists(&self, lists: &[Near]) {
        let block_layout = BlockLayout::new(&self.view.fixed);
        let lists = lists.iter().take(LISTS_AHEAD).filter(|near| near.head != NONE);
        self.view
            .will_need(File::Blocks, lists.map(|near| block_layout.span(near.head, near.count)));
    }

    /// Has the 8-bit codes read of rows that look good in the nearest lists.
    fn ask_for_likely(&self, lists: &[Near]) -> Result<()> {
        if self.view.seems_cached(File::Codes) {
            return Ok(());
        }
        let mut estimates = Vec::new();
        for near in lists {
            self.estimate(near, |_, block, of_block| {
                let count = (block.count as usize).min(GROUP);
                let scores = of_block.scores[..count].iter().copied();
                estimates.extend(scores.zip(block.slots.iter().copied()));
                Ok(())
            })?;
        }
        if estimates.len() > CODES_AHEAD {
            estimates.select_nth_unstable_by(CODES_AHEAD, |a, b| b.0.total_cmp(&a.0));
        }
        self.ask_for_codes(estimates.into_iter().take(CODES_AHEAD).map(|(_, slot)| slot));
        Ok(())
    }

    fn ask_for_codes(&self, slots: impl Iterator<Item = u32> + Clone) {
        let fixed = &self.view.fixed;
        let codes = slots.clone().map(|slot| (fixed.code_at(slot), fixed.code_bytes()));
        self.view.will_need(File::Codes, codes);
        self.view.will_need(File::Slots, slots.map(|slot| (Slot::at(slot), 1)));
    }

    /// Looks at the 8-bit code of a row.
    fn rate_in(&self, walk: &mut Walk, slot: u32) -> Result<()> {
        let rated = self.rate(slot, &mut walk.buffer)?;
        walk.top.offer(rated.0);
        walk.seen.offer(slot, rated, false);
        Ok(())
    }

    /// From first bits to both, to 8-bit codes, to rows.
    fn narrow(&self, order: &[Near], mut walk: Walk) -> Result<Best> {
        let block_layout = BlockLayout::new(&self.view.fixed);
        let bytes = self.view.unchecked(File::Blocks);
        let mut likely = std::mem::take(&mut walk.likely);
        let least = walk.top.least();
        likely.retain(|row| row.upper >= least);
        for (i, row) in likely.iter().enumerate() {
            if let Some(later) = likely.get(i + AHEAD) {
                prefetch(block_layout.second_of(bytes, later.place).unwrap_or_default());
            }
            if row.upper >= walk.top.least() {
                let near = order.get(row.rank as usize).ok_or_else(|| self.damaged())?;
                self.look_closer(near, row, &mut walk)?;
            }
        }

        let mut maybe = std::mem::take(&mut walk.maybe);
        let least = walk.top.least();
        maybe.retain(|row| row.upper >= least);
        if self.ask.ahead {
            self.ask_for_codes(maybe.iter().take(ROWS_AHEAD).map(|row| row.slot));
        }
        likely_first(&mut maybe);
        for (i, row) in maybe.iter().enumerate() {
            if row.upper < walk.top.least() {
                break;
            }
            if let Some(later) = maybe.get(i + AHEAD) {
                self.view.prefetch_code(later.slot, &walk.buffer);
            }
            self.rate_in(&mut walk, row.slot)?;
        }
        self.finish(walk.seen.rows, walk.seen.lowers.least(), &mut walk.buffer)
    }
}

/// What the first bits of a block say.
struct Estimates {
    /// Of the query's levels, as [`Kernels::bits`] has them.
    sums: [u32; GROUP],
    scores: [f32; GROUP],
    /// How high the scores may be.
    uppers: [f32; GROUP],
}

/// A row that its first bits do not rule out.
#[derive(Clone, Copy, Debug)]
struct Likely {
    /// How high its score may be.
    upper: f32,
    /// The dot product of the turned query with its first bits.
    first: f32,
    /// Which place of which block it has, as [`place_of`] says.
    place: u32,
    /// Which of the lists it is in, the nearest being 0.
    rank: u32,
}

/// A walk through the lists under way.
struct Walk {
    /// The best scores by 8-bit code. Unlike the best estimates, which are
    /// the luckiest of many, they are scores that rows do have.
    top: Top,
    likely: Vec<Likely>,
    /// Rows that both bits do not rule out.
    maybe: Vec<Maybe>,
    /// Those whose 8-bit codes were looked at.
    seen: Seen,
    /// How many standard errors above its estimate by both bits a score may be.
    surer: f32,
    /// In how many rows, wanted or not, the likely ones were looked for.
    rows: u32,
    /// In which of the lists, the nearest being 0.
    scanned: Vec<u32>,
    buffer: Buffer,
}

/// What a query wants, as if it accepted all rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Among how many of the nearest rows the wanted ones are.
    pub(super) rows: f32,
    /// How many rows that it wants may be in lists that it does not look at.
    pub(super) beyond: f32,
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
