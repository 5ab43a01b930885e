//! Finding the nearest rows.
//!
//! A search walks the lists nearest to the query, estimates every row's score
//! from its first bits, and better from its second bits where it may be among
//! the best; of those that still may be it looks at the 8-bit codes, and in
//! the end at the rows themselves. How many that are depends on how sure the
//! estimates are, not on a constant.

mod best;
mod walk;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use self::best::{Best, Candidate, Top};
pub(crate) use self::walk::{LEAST, Near};
use crate::code::{Point, Record};
use crate::kernel::Kernels;
use crate::layout::{Damage, File};
use crate::query::{Resolved, Rows};
use crate::view::{Buffer, Reading, Unread, View};
use crate::{Error, Filter, Hit, Metric, Precision, Query, Result, RowSet, table};

/// Slots that one thread looks through at a time.
const SHARE: u32 = 16 * 1024;
/// With no more rows than this, looking at the rows themselves is faster.
const FEW: usize = 64;
/// How many standard errors above the score of its 8-bit code a row's own may
/// be: these are so small that it costs little to be generous.
const SUREST: f32 = 4.0;
/// More rows than this are read through their map, whatever its size.
const MANY: usize = 16 * 1024;
/// With a threshold most hits may lie just above it, where estimates rule out
/// the most; of the nearest few it is only the last.
const CARE: f32 = 1.3;
/// As many rows more than are wanted are thought to be: of few a single one that
/// is missed is a large part.
const CARE_OF_FEW: f32 = 6.0;
/// How much further a thorough search goes than what nearly all searches need. With half of
/// that, 2 of 50,000 neighbors were missed on 100,000 clustered rows, with five times none.
const THOROUGH: f32 = 6.0;
/// By how many standard errors more it doubts an estimate: a fortieth as many rows are wrongly
/// left out.
const MORE_DOUBT: f32 = 1.0;
/// What a row out of order costs, in rows of a list.
const OUT_OF_ORDER: f32 = 10.0;
/// What is asked for ahead at the most: codes or rows that are left in the end.
const ROWS_AHEAD: usize = 2000;

/// A query, and what was computed of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) query: &'a Query<'a>,
    pub(crate) metric: Metric,
    pub(crate) vector: &'a [f32],
    pub(crate) point: &'a Point,
    /// Whether the process may have just begun and soon end. What will be read
    /// is asked for ahead of it then, all at once: on a disk that is a tenth of
    /// the time of waiting for one after the other.
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
    let precision = if ask.point.usable { query.precision } else { Precision::Exact };
    let best = match (precision, search.rows.as_deref()) {
        (Precision::Exact, Some(rows)) => search.compare_some(rows)?,
        (Precision::Exact, None) => search.compare_all()?,
        (Precision::Proved, Some(rows)) => search.code_some(rows, true)?,
        (Precision::Proved, None) => search.code_all(true)?,
        (Precision::Auto | Precision::Thorough, Some(rows)) => match rows.slots.len() {
            few if few <= FEW.max(count) => search.compare_some(rows)?,
            some if search.prefers_slots(some)? => search.code_some(rows, false)?,
            _ => search.walk()?,
        },
        (Precision::Auto | Precision::Thorough, None) if live <= FEW => search.compare_all()?,
        (Precision::Auto | Precision::Thorough, None) => search.walk()?,
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

fn likely_first(rows: &mut [Maybe]) {
    rows.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper).then(a.slot.cmp(&b.slot)));
}

/// Rows whose 8-bit codes were looked at, without those that these rule out.
struct Seen {
    rows: Vec<Maybe>,
    /// How low the best scores may be.
    lowers: Top,
}

impl Seen {
    fn new(search: &Search<'_>) -> Self {
        Self { rows: Vec::new(), lowers: Top::new(search.count, search.floor) }
    }

    /// Of what [`Search::rate`] says, only what is `proved` counts, or what is
    /// as good as sure.
    fn offer(&mut self, slot: u32, (score, most, usual): (f32, f32, f32), proved: bool) {
        let doubt = if proved { most } else { usual * SUREST };
        let upper = upper(score, doubt);
        if upper >= self.lowers.least() {
            self.lowers.offer(score - doubt);
            self.rows.push(Maybe { upper, slot });
        }
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
            excluded.extend(table::find(view, dir, key)?);
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

    /// How many rows are wanted, without those that the offset leaves out.
    fn asked(&self) -> f32 {
        self.ask.query.k.min(self.count) as f32
    }

    /// By how many standard errors an estimate is doubted, if it usually is by
    /// so many.
    ///
    /// One that is missed before an offset moves another out of what is asked
    /// for, so where few are asked for after many, fewer of these may be missed.
    /// A normally distributed error is so many times rarer where the square of
    /// the doubt is twice the logarithm greater.
    fn doubt(&self, usual: f32) -> f32 {
        let times = (self.count as f32 + CARE_OF_FEW) / self.asked();
        let care = if self.ask.query.threshold.is_some() { CARE } else { 1.0 };
        // In lists few rows are looked at more closely, so that more of them cost little.
        let is_thorough = self.ask.query.precision == Precision::Thorough && self.has_lists_for();
        let usual = if is_thorough { usual + MORE_DOUBT } else { usual };
        care * (usual * usual + 2.0 * times.ln()).sqrt()
    }

    fn buffer(&self) -> Buffer {
        Buffer::new(if self.ask.ahead { Reading::Once } else { Reading::Usual })
    }

    fn damaged(&self) -> Error {
        Error::corrupt(self.dir, "a row is not where it should be")
    }

    fn corrupt(&self) -> impl FnOnce(Damage) -> Error {
        |what| Error::corrupt(self.dir, what)
    }

    fn unread(&self) -> impl FnOnce(Unread) -> Error {
        |why| why.of(self.dir)
    }

    /// How many rows are looked through before others are left out, if as many as `wanted`
    /// are looked for.
    fn budget(&self, wanted: f32) -> f32 {
        let usual = self.view.state.budget(wanted);
        if self.ask.query.precision == Precision::Thorough { THOROUGH * usual } else { usual }
    }

    /// Whether so few rows come into question that it is faster to go from
    /// one to the next than through the lists.
    fn prefers_slots(&self, rows: usize) -> Result<bool> {
        let live = self.view.state.live as f32;
        let budget = match self.has_lists_for() {
            true => self.budget(self.wanted()?.rows).min(live),
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
                let known = self.view.slot(slot).map_err(self.corrupt())?;
                Ok(known.is_live() && accepts(&known.key))
            }
            (_, Some(rows)) => Ok(rows.contains(slot)),
            (_, None) => Ok(true),
        }
    }

    /// Compares with the row itself.
    fn consider(&self, best: &mut Best, slot: u32, buffer: &mut Buffer) -> Result<()> {
        let known = self.view.slot(slot).map_err(self.corrupt())?;
        if !known.is_live() {
            return Ok(());
        }
        let row = self.view.read_row(slot, buffer).map_err(self.unread())?;
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
    fn compare(&self, slots: impl Iterator<Item = u32>, buffer: &mut Buffer) -> Result<Best> {
        let mut best = Best::new(self.count);
        for slot in slots {
            if self.accepts(slot)? {
                self.consider(&mut best, slot, buffer)?;
            }
        }
        Ok(best)
    }

    /// Compares with every row of a set.
    fn compare_some(&self, rows: &Rows) -> Result<Best> {
        self.through(rows.slots.len(), |buffer| self.compare(rows.slots.iter().copied(), buffer))
    }

    /// Compares with every row, on all threads if there are many.
    fn compare_all(&self) -> Result<Best> {
        let slots = self.view.state.slots;
        if slots <= SHARE {
            return self.through(slots as usize, |buffer| self.compare(0..slots, buffer));
        }
        self.through(slots as usize, |_| {
            (0..slots.div_ceil(SHARE))
                .into_par_iter()
                .map(|share| {
                    let start = share * SHARE;
                    let end = start.saturating_add(SHARE).min(slots);
                    self.compare(start..end, &mut Buffer::new(Reading::Many))
                })
                .try_reduce(|| Best::new(self.count), |a, b| Ok(a.merge(b)))
        })
    }

    /// Reads so many rows or codes one by one, or through the map if they are
    /// many, which is faster, and gives that memory back.
    fn through(&self, rows: usize, work: impl FnOnce(&mut Buffer) -> Result<Best>) -> Result<Best> {
        let many = rows > MANY;
        let mut buffer = if many { Buffer::new(Reading::Many) } else { self.buffer() };
        let best = work(&mut buffer);
        if many {
            self.view.forget_rows();
        }
        best
    }

    /// Score and doubt of a row from its 8-bit code.
    fn rate(&self, slot: u32, buffer: &mut Buffer) -> Result<(f32, f32, f32)> {
        self.rate_code(self.view.read_code(slot, buffer).map_err(self.unread())?)
    }

    fn rate_code(&self, code: &[u8]) -> Result<(f32, f32, f32)> {
        let record = Record::decode(code).ok_or_else(|| self.damaged())?;
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

    /// Looks at the 8-bit codes of a set's rows, and at the rows that are left.
    fn code_some(&self, rows: &Rows, proved: bool) -> Result<Best> {
        let slots = rows.slots.iter().copied();
        if self.view.is_mapped(File::Codes) || rows.slots.len() > MANY {
            return self.through(rows.slots.len(), |buffer| self.code(slots, proved, buffer));
        }
        // Read once, so that further searches in the set do not have to.
        let codes = match rows.codes.get() {
            Some(codes) => codes,
            None => {
                let read = self.view.read_codes(&rows.slots).map_err(self.unread())?;
                rows.codes.get_or_init(|| read)
            }
        };
        let mut seen = Seen::new(self);
        for (slot, code) in slots.zip(codes.chunks_exact(self.view.fixed.code_bytes())) {
            if self.accepts(slot)? {
                seen.offer(slot, self.rate_code(code)?, proved);
            }
        }
        self.finish(seen.rows, seen.lowers.least(), &mut self.buffer())
    }

    /// The same of all rows.
    fn code_all(&self, proved: bool) -> Result<Best> {
        let slots = self.view.state.slots;
        self.through(slots as usize, |buffer| self.code(0..slots, proved, buffer))
    }

    fn code(
        &self,
        slots: impl Iterator<Item = u32>,
        proved: bool,
        buffer: &mut Buffer,
    ) -> Result<Best> {
        let mut seen = Seen::new(self);
        let mut ahead = Ahead::new(slots);
        while let Some(slot) = ahead.next() {
            if let Some(later) = ahead.later() {
                self.view.prefetch_code(later, buffer);
            }
            if self.accepts(slot)? && self.view.slot(slot).map_err(self.corrupt())?.is_live() {
                seen.offer(slot, self.rate(slot, buffer)?, proved);
            }
        }
        self.finish(seen.rows, seen.lowers.least(), &mut self.buffer())
    }

    /// Compares with the rows that may be among the best, the likely first.
    fn finish(&self, mut maybe: Vec<Maybe>, least: f32, buffer: &mut Buffer) -> Result<Best> {
        maybe.retain(|row| row.upper >= least);
        likely_first(&mut maybe);
        if self.ask.ahead {
            let fixed = &self.view.fixed;
            let likely = maybe.iter().take(self.count.saturating_mul(3).min(ROWS_AHEAD));
            let parts = likely.map(|row| (fixed.row_at(row.slot), fixed.row_bytes()));
            self.view.will_need(File::Rows, parts);
        }
        let mut best = Best::new(self.count);
        for (i, row) in maybe.iter().enumerate() {
            if !best.wants(row.upper.into()) {
                break;
            }
            if let Some(next) = maybe.get(i + 1) {
                self.view.prefetch_row(next.slot, buffer);
            }
            self.consider(&mut best, row.slot, buffer)?;
        }
        Ok(best)
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

/// How many rows ahead memory is asked for.
const AHEAD: usize = 8;

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

/// Where the rows of a set are.
fn resolve(view: &View, dir: &Path, rows: &RowSet) -> Result<Arc<Rows>> {
    let (index, generation) = (view.fixed.seed, view.state.sequence);
    if let Some(rows) = rows.resolved(index, generation) {
        return Ok(rows);
    }
    let mut slots = Vec::with_capacity(rows.len());
    for key in rows.keys() {
        slots.extend(table::find(view, dir, key)?);
    }
    slots.sort_unstable();
    let mut bitmap = vec![0; (view.state.slots as usize).div_ceil(64)];
    for &slot in &slots {
        if let Some(word) = bitmap.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }
    let found = Arc::new(Rows { slots, bitmap, codes: OnceLock::new() });
    rows.remember(Resolved { index, generation, rows: Arc::clone(&found) });
    Ok(found)
}
