use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use crate::build::Ended;
use crate::code::{Bits, Coder, Record};
use crate::edit::Edit;
use crate::kernel::Kernels;
use crate::layout::{FILES, File, Fixed, MAX_DIMENSION, NONE, Slot, npy_header};
use crate::lists::{self, BlockLayout};
use crate::search::{self, Ask};
use crate::store::Store;
use crate::view::{Buffer, Reading, View};
use crate::{AllNeighbors, Error, Filter, Hit, Key, Kind, Metric, Query, Result, build, table};

/// Rows of a batch that are one step: all of them are stored or none.
const STEP: usize = 4096;

/// Searches after opening for which what they read is asked for ahead: it may
/// not be in memory. Later ones would pay for asking and gain nothing.
const COLD: u32 = 8;

/// What an index is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many values a row has.
    pub dimension: usize,
    /// What near means when a query does not say; the lists are built by it.
    pub metric: Metric,
    pub kind: Kind,
}

/// A folder of rows that can be searched.
///
/// May be shared between threads, and opened by any number of processes at
/// once. An open index shows what others put and remove, at the next call.
///
/// # Atomicity
///
/// A call of [`put`](Self::put) or [`remove`](Self::remove) with up to 4,096
/// rows happens or does not, whatever crashes; a longer one is several such
/// steps in order. A search sees the rows between two steps.
///
/// # Errors
///
/// [`Error::Corrupt`] may come from any call; it never comes as a panic or a
/// wrong answer about which rows there are. [`Error::is_rebuildable`] says
/// whether to delete the folder and build it again.
pub struct Index {
    store: Store,
    coder: Coder,
    kind: Kind,
    /// How many searches there were, until they no longer count.
    searches: AtomicU32,
}

impl Index {
    /// Makes an empty index in `dir`, which is created if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if there is one already.
    pub fn create(dir: &Path, options: &Options) -> Result<Self> {
        if !(1..=MAX_DIMENSION).contains(&options.dimension) {
            return Err(Error::DimensionRange(options.dimension));
        }
        let fixed = Fixed {
            dimension: options.dimension,
            metric: options.metric,
            kind: options.kind,
            seed: RandomState::new().hash_one(dir),
        };
        Store::create(dir, fixed).map(Self::over)
    }

    /// Opens the index in `dir`, for reading and writing.
    ///
    /// Costs the same at any size. Only after a crash in the middle of a
    /// change does it write, which the process must then be allowed to.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Corrupt`] and [`Error::Newer`] are left by
    /// building the index again.
    pub fn open(dir: &Path) -> Result<Self> {
        Store::open(dir).map(Self::over)
    }

    fn over(store: Store) -> Self {
        Self {
            coder: Coder::new(store.fixed()),
            kind: store.fixed().kind,
            searches: AtomicU32::new(0),
            store,
        }
    }

    /// The same index, built into lists by another kind than it was made with, for as
    /// long as it is open here.
    pub fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same index, of which the rows are read through a map of their file as
    /// long as it has no more than so many bytes, and the codes likewise. It is
    /// 128 MB if nobody says so.
    ///
    /// What was read through a map counts as memory of this process until the
    /// system wants it back. Beyond that rows are read one by one, half a
    /// microsecond slower each, and stay in the system's cache only.
    pub fn with_mapped(self, bytes: u64) -> Self {
        self.store.set_mapped(bytes);
        self
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    pub fn dimension(&self) -> usize {
        self.store.fixed().dimension
    }

    pub fn metric(&self) -> Metric {
        self.store.fixed().metric
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.store.read(|view| Ok(view.state.live as usize)).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A number that grows with each change, by whichever process.
    pub fn generation(&self) -> u64 {
        self.store.read(|view| Ok(view.state.sequence)).unwrap_or(0)
    }

    /// Adds rows, or replaces those whose keys are there. Of a key that comes
    /// more than once the last row counts.
    ///
    /// Durable when it returns. One call with many rows is much faster than
    /// many calls, because each waits for the disk once.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`], [`Error::NotFinite`] and, under cosine,
    /// [`Error::Zero`]; nothing is stored then.
    pub fn put(&self, rows: &[(Key, &[f32])]) -> Result<()> {
        for (_, row) in rows {
            self.check(row, self.metric())?;
        }
        rows.chunks(STEP).try_for_each(|rows| {
            // The last one of each key, in the order of the batch.
            let mut last = HashMap::with_capacity(rows.len());
            for (i, (key, _)) in rows.iter().enumerate() {
                last.insert(*key, i);
            }
            let rows: Vec<(Key, &[f32])> = rows
                .iter()
                .enumerate()
                .filter(|(i, (key, _))| last[key] == *i)
                .map(|(_, row)| *row)
                .collect();
            let codes: Vec<Vec<u8>> =
                rows.par_iter().with_min_len(16).map(|(_, row)| self.coder.encode(row)).collect();
            self.store.edit(|edit| {
                let lists: Vec<(u32, Bits)> = codes
                    .par_iter()
                    .with_min_len(16)
                    .map(|code| build::choose(edit, self.store.fixed(), &self.coder, code))
                    .collect::<Result<_, _>>()
                    .map_err(|what| self.corrupt(what))?;
                for (((key, row), code), (list, bits)) in rows.iter().zip(&codes).zip(&lists) {
                    self.put_one(edit, key, row, code, *list, bits)?;
                }
                Ok(())
            })
        })
    }

    /// Removes rows, and says how many of the keys were there.
    ///
    /// Durable when it returns. The space is used by rows added later.
    pub fn remove(&self, keys: &[Key]) -> Result<usize> {
        let mut removed = 0;
        for keys in keys.chunks(STEP) {
            removed += self.store.edit(|edit| {
                let mut removed = 0;
                for key in keys {
                    removed += usize::from(self.remove_one(edit, key)?);
                }
                Ok(removed)
            })?;
        }
        Ok(removed)
    }

    /// The row of `key`, bit for bit as it was put.
    pub fn get(&self, key: &Key) -> Result<Option<Vec<f32>>> {
        self.store.read(|view| {
            let Some(slot) = table::find(view, self.dir(), key)? else {
                return Ok(None);
            };
            let mut buffer = Buffer::new(Reading::Usual);
            let row = view.read_row(slot, &mut buffer).map_err(|why| why.of(self.dir()))?;
            Ok(Some(row.to_vec()))
        })
    }

    pub fn contains(&self, key: &Key) -> Result<bool> {
        self.store.read(|view| Ok(table::find(view, self.dir(), key)?.is_some()))
    }

    /// The keys of all rows, as they are now, in no particular order.
    pub fn keys(&self) -> Result<Vec<Key>> {
        self.store.read(|view| {
            let mut keys = Vec::with_capacity(view.state.live as usize);
            for slot in 0..view.state.slots {
                let known = view.slot(slot).map_err(|what| self.corrupt(what))?;
                if known.is_live() {
                    keys.push(known.key);
                }
            }
            Ok(keys)
        })
    }

    /// The nearest rows, nearest first; rows that are equally similar in the
    /// order of their keys.
    ///
    /// There are fewer than `k` only where there are no more.
    ///
    /// # Errors
    ///
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::NoVector`] and,
    /// under cosine, [`Error::Zero`].
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>> {
        let vector = self.point(query)?;
        let metric = query.metric.unwrap_or(self.metric());
        let point = self.coder.point(self.metric(), metric, &vector);
        let ahead = self.searches.load(Ordering::Relaxed) < COLD;
        if ahead {
            self.searches.fetch_add(1, Ordering::Relaxed);
        }
        let ask = Ask { query, metric, vector: &vector, point: &point, ahead };
        self.store.read(|view| search::search(view, self.dir(), &ask))
    }

    /// Answers many queries, on all threads of the current rayon pool.
    pub fn search_batch(&self, queries: &[Query<'_>]) -> Result<Vec<Vec<Hit>>> {
        queries.par_iter().map(|query| self.search(query)).collect()
    }

    /// The nearest rows of every row but itself, on all threads of the current
    /// rayon pool: the graph of neighbors.
    ///
    /// `on_found` gets each row with its neighbors, from any thread and in
    /// any order, so that a graph of any size takes no memory here. Rows that
    /// are near each other come one after another, which is fast. Rows that
    /// are put or removed meanwhile may be left out. False if `stop`, which is
    /// asked before each row, ended it.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn neighbors_of_all(
        &self,
        options: &AllNeighbors<'_>,
        stop: &(dyn Fn() -> bool + Sync),
        on_found: &(dyn Fn(Key, Vec<Hit>) + Sync),
    ) -> Result<bool> {
        // The snapshot is not compared with checksums, so that it may change.
        self.store.check_whole(&[File::Slots, File::Lists, File::Blocks])?;
        let snapshot = self.store.snapshot()?;
        for list in 0..snapshot.state.lists {
            let keys = lists::keys_of(&snapshot, list).map_err(|what| self.corrupt(what))?;
            let done = keys.into_par_iter().map(|key| {
                if stop() {
                    return Ok(false);
                }
                let wanted = match options.filter {
                    Filter::All => true,
                    Filter::Rows(rows) => rows.contains(&key),
                    Filter::Predicate(accepts) => accepts(&key),
                };
                if wanted && let Some(row) = self.get(&key)? {
                    let exclude = [key];
                    let query = Query {
                        exclude: &exclude,
                        filter: options.filter,
                        threshold: options.threshold,
                        precision: options.precision,
                        ..Query::new(&row, options.k)
                    };
                    on_found(key, self.search(&query)?);
                }
                Ok(true)
            });
            if !done.try_reduce(|| true, |a, b| Ok(a && b))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether [`build`](Self::build) is worth its while: the number of
    /// rows is far from what it was at the last build.
    pub fn wants_build(&self) -> bool {
        self.store.read(|view| Ok(build::is_due(self.kind, &view.state))).unwrap_or(false)
    }

    /// Builds the inverted lists anew, for the present number of rows.
    ///
    /// Answers are as good before, during and after; searches become faster.
    /// It takes seconds to a minute, on all threads of the current rayon pool,
    /// and may run on a thread of its own: searches go on, and writers only
    /// wait at the end, for about a second for each million rows. A process
    /// that ends in the middle leaves the rows as they were.
    ///
    /// False if nothing was done: another process or thread is doing it, or
    /// `stop` said so, which is asked every few milliseconds until the end
    /// begins.
    pub fn build(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        let Some(_turn) = self.store.turn_to_build()? else {
            return Ok(false);
        };
        self.store.check_whole(&[File::Slots, File::Codes])?;
        let snapshot = self.store.snapshot()?;
        let plan = match build::plan(&snapshot, &self.coder, self.kind, stop) {
            Ok(plan) => plan,
            Err(Ended::Stopped) => return Ok(false),
            Err(Ended::Damaged(what)) => return Err(self.corrupt(what)),
        };
        drop(snapshot);
        self.store.build(|view| {
            build::carry_out(view, &self.coder, &plan).map_err(|what| self.corrupt(what))
        })?;
        Ok(true)
    }

    /// How many lists the rows are in.
    pub fn lists(&self) -> usize {
        self.store.read(|view| Ok(view.state.lists as usize)).unwrap_or(0)
    }

    /// Reads everything and compares it with its checksums.
    ///
    /// Every call does that with what it reads for the first time; this one
    /// does it at once, before long work that should not end in the middle.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if a part of a file is not as it was written.
    pub fn check_files(&self) -> Result<()> {
        self.store.check_whole(&FILES)
    }

    /// Reads everything and compares it with its checksums and with itself.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] with the first thing that is wrong.
    pub fn verify(&self) -> Result<()> {
        self.check_files()?;
        self.store.read(|view| {
            let verified = self.verify_view(view);
            view.forget_rows();
            verified
        })
    }

    fn verify_view(&self, view: &View) -> Result<()> {
        build::verify(view, &self.coder).map_err(|what| self.corrupt(what))?;
        let mut live = 0;
        for slot in 0..view.state.slots {
            let known = view.slot(slot).map_err(|what| self.corrupt(what))?;
            if !known.is_live() {
                continue;
            }
            live += 1;
            let row = view.row(slot).map_err(|what| self.corrupt(what))?;
            if crc32fast::hash(bytemuck::cast_slice(row)) != known.check {
                return Err(Error::corrupt(self.dir(), "a row does not match its checksum"));
            }
            let code = view.code(slot).map_err(|what| self.corrupt(what))?;
            if code != self.coder.encode(row) {
                return Err(self.corrupt("a code is not that of its row"));
            }
            if table::find(view, self.dir(), &known.key)? != Some(slot) {
                return Err(Error::corrupt(self.dir(), "its table does not name a row"));
            }
        }
        if live != view.state.live {
            return Err(Error::corrupt(self.dir(), "it holds more or fewer rows than it says"));
        }
        Ok(())
    }

    /// The one point that the vectors of a query stand for.
    fn point(&self, query: &Query<'_>) -> Result<Vec<f32>> {
        let metric = query.metric.unwrap_or(self.metric());
        let (first, rest) = query.vectors.split_first().ok_or(Error::NoVector)?;
        for (vector, weight) in &query.vectors {
            self.check(vector, metric)?;
            if !weight.is_finite() {
                return Err(Error::NotFinite { position: 0 });
            }
        }
        if rest.is_empty() && first.1 == 1.0 {
            return Ok(first.0.to_vec());
        }
        let mut sum = vec![0.0_f64; self.dimension()];
        let mut total = 0.0_f64;
        for (vector, weight) in &query.vectors {
            let norm = match metric {
                Metric::Cosine => Kernels::get().dot(vector, vector).sqrt(),
                Metric::Dot | Metric::Euclidean => 1.0,
            };
            for (sum, &value) in sum.iter_mut().zip(*vector) {
                *sum += f64::from(value) * f64::from(*weight) / norm;
            }
            total += f64::from(*weight);
        }
        if metric == Metric::Euclidean && total > 0.0 {
            sum.iter_mut().for_each(|sum| *sum /= total);
        }
        let point: Vec<f32> = sum.into_iter().map(|value| value as f32).collect();
        self.check(&point, metric)?;
        Ok(point)
    }

    fn check(&self, vector: &[f32], metric: Metric) -> Result<()> {
        if vector.len() != self.dimension() {
            return Err(Error::Dimension { expected: self.dimension(), found: vector.len() });
        }
        if let Some(position) = vector.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { position });
        }
        if metric == Metric::Cosine && vector.iter().all(|&value| value == 0.0) {
            return Err(Error::Zero);
        }
        Ok(())
    }

    fn corrupt(&self, what: &'static str) -> Error {
        Error::corrupt(self.dir(), what)
    }

    fn put_one(
        &self,
        edit: &mut Edit<'_>,
        key: &Key,
        row: &[f32],
        code: &[u8],
        list: u32,
        bits: &Bits,
    ) -> Result<()> {
        let fixed = self.store.fixed();
        let block_layout = BlockLayout::new(fixed);
        let damaged = |what| self.corrupt(what);
        let slots = edit.state.slots;
        let slot = match table::find_in(edit, key, fixed.seed).map_err(damaged)? {
            Some(slot) => {
                lists::remove(edit, block_layout, slot).map_err(damaged)?;
                slot
            }
            None => {
                let slot = self.take_slot(edit)?;
                table::insert(edit, key, fixed.seed, slot).map_err(damaged)?;
                edit.state.live += 1;
                slot
            }
        };
        let bytes = bytemuck::cast_slice(row);
        if slot >= slots {
            edit.lay(File::Rows, fixed.row_at(slot), bytes);
            edit.lay(File::Codes, fixed.code_at(slot), code);
        } else {
            edit.write(File::Rows, fixed.row_at(slot), bytes);
            edit.write(File::Codes, fixed.code_at(slot), code);
        }
        let known = Slot {
            key: *key,
            sequence: edit.state.sequence + 1,
            check: crc32fast::hash(bytes),
            next: Slot::LIVE,
        };
        edit.write(File::Slots, Slot::at(slot), &known.encode());
        let norm = Record::decode(code).map_or(0.0, |record| record.norm);
        lists::insert(edit, block_layout, slot, list, bits, norm).map_err(damaged)
    }

    /// A slot without a row: one that was freed, or a new one.
    fn take_slot(&self, edit: &mut Edit<'_>) -> Result<u32> {
        let free = edit.state.free_slot;
        if free != NONE {
            if free >= edit.state.slots {
                return Err(Error::corrupt(
                    self.dir(),
                    "its free rows are not where they should be",
                ));
            }
            let known = Slot::decode(&edit.bytes::<{ Slot::LEN }>(File::Slots, Slot::at(free)));
            if known.is_live() {
                return Err(Error::corrupt(self.dir(), "a row is both free and in use"));
            }
            edit.state.free_slot = known.next;
            return Ok(free);
        }
        let slot = edit.state.slots;
        if slot >= Slot::LIVE - 1 {
            return Err(Error::Full { dir: self.dir().to_owned() });
        }
        edit.state.slots += 1;
        let header = npy_header(edit.state.slots, self.dimension());
        edit.write(File::Rows, 0, &header);
        Ok(slot)
    }

    fn remove_one(&self, edit: &mut Edit<'_>, key: &Key) -> Result<bool> {
        let fixed = self.store.fixed();
        let damaged = |what| self.corrupt(what);
        let Some(slot) = table::find_in(edit, key, fixed.seed).map_err(damaged)? else {
            return Ok(false);
        };
        table::remove(edit, key, fixed.seed, slot).map_err(damaged)?;
        lists::remove(edit, BlockLayout::new(fixed), slot).map_err(damaged)?;
        // Zeros, so that the vectors of a forgotten song do not stay.
        edit.write(File::Rows, fixed.row_at(slot), &vec![0; fixed.row_bytes()]);
        edit.write(File::Codes, fixed.code_at(slot), &vec![0; fixed.code_bytes()]);
        let known = Slot {
            key: Key::default(),
            sequence: edit.state.sequence + 1,
            check: 0,
            next: edit.state.free_slot,
        };
        edit.write(File::Slots, Slot::at(slot), &known.encode());
        edit.state.free_slot = slot;
        edit.state.live = edit.state.live.saturating_sub(1);
        Ok(true)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("dir", &self.dir())
            .field("dimension", &self.dimension())
            .field("metric", &self.metric())
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}
