//! Squared Euclidean distances, many at once.
//!
//! They are sums of squared differences, not `‖x‖² − 2x·c + ‖c‖²`: that form is
//! cheaper and loses what two points that lie close to each other but far
//! from the origin have in common, up to all digits of their distance.

use pulp::{Arch, Simd, WithSimd};

/// Points of a panel: two registers of AVX2, four of NEON.
pub(crate) const PANEL: usize = 16;
/// Rows that are compared with a panel together, so that each value of it is loaded once
/// for all; with [`PANEL`], as many sums as AVX2 has registers for.
const TILE: usize = 4;

/// Points, arranged so that the distances from one row to sixteen of them are
/// found together: value 0 of sixteen points, value 1 of them, and so on.
///
/// Missing points of the last panel are infinitely far away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panels {
    values: Vec<f32>,
    dimension: usize,
    len: usize,
}

impl Panels {
    /// Of points with so many values each.
    pub(crate) fn new<'a>(points: impl IntoIterator<Item = &'a [f32]>, dimension: usize) -> Self {
        let mut panels = Self { values: Vec::new(), dimension, len: 0 };
        points.into_iter().for_each(|point| panels.push(point));
        panels
    }

    /// Adds a point.
    pub(crate) fn push(&mut self, point: &[f32]) {
        let lane = self.len % PANEL;
        if lane == 0 {
            let end = self.values.len() + PANEL * self.dimension;
            self.values.resize(end, f32::INFINITY);
        }
        let start = self.len / PANEL * PANEL * self.dimension;
        for (slot, value) in self.values[start + lane..].iter_mut().step_by(PANEL).zip(point) {
            *slot = *value;
        }
        self.len += 1;
    }

    /// Fills up the last panel, so that the next point begins another one.
    pub(crate) const fn fill(&mut self) {
        self.len = self.len.next_multiple_of(PANEL);
    }

    /// The number of panels.
    pub(crate) const fn count(&self) -> usize {
        self.len.div_ceil(PANEL)
    }

    /// The number of distances that [`Self::squared`] gives a row.
    pub(crate) const fn width(&self) -> usize {
        self.count() * PANEL
    }

    /// Sets `distances` to the squared distances of each of `rows` to all points, then
    /// infinity for what fills up the last panel: [`Self::width`] values a row.
    pub(crate) fn squared(&self, rows: &[&[f32]], distances: &mut [f32]) {
        self.squared_within(0..self.count(), rows, distances);
    }

    /// The same for some panels: sixteen values for each, row after row.
    pub(crate) fn squared_within(
        &self,
        panels: std::ops::Range<usize>,
        rows: &[&[f32]],
        distances: &mut [f32],
    ) {
        self.squared_up_to(f32::INFINITY, panels, rows, distances, &mut []);
    }

    /// The same, but of a distance above `limit` some part that is above it as well may be
    /// given. Sets the places in `reached` of rows that have a distance within the limit, and
    /// maybe of others.
    pub(crate) fn squared_up_to(
        &self,
        limit: f32,
        panels: std::ops::Range<usize>,
        rows: &[&[f32]],
        distances: &mut [f32],
        reached: &mut [bool],
    ) {
        let size = PANEL * self.dimension;
        let values = &self.values[panels.start * size..panels.end * size];
        let dimension = self.dimension;
        Arch::new().dispatch(Squared { values, dimension, rows, limit, distances, reached });
    }
}

struct Squared<'a> {
    values: &'a [f32],
    dimension: usize,
    rows: &'a [&'a [f32]],
    limit: f32,
    distances: &'a mut [f32],
    reached: &'a mut [bool],
}

impl WithSimd for Squared<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { values, dimension, rows, limit, distances, reached } = self;
        let width = values.len() / dimension;
        let (tiles, rest) = rows.as_chunks::<TILE>();
        for (panel, values) in values.chunks_exact(PANEL * dimension).enumerate() {
            let points = values.as_chunks::<PANEL>().0;
            let mut put = |row: usize, sums: &[f32; PANEL], near: bool| {
                distances[row * width + panel * PANEL..][..PANEL].copy_from_slice(sums);
                if near && let Some(reached) = reached.get_mut(row) {
                    *reached = true;
                }
            };
            for (tile, rows) in tiles.iter().enumerate() {
                let (sums, near) = four::<S>(rows.map(|row| &row[..dimension]), points, limit);
                let rows = tile * TILE..;
                rows.zip(&sums).for_each(|(row, sums)| put(row, sums, near));
            }
            let first = tiles.len() * TILE;
            match *rest {
                [] => {}
                [row] => {
                    let (sums, near) = one::<S>(&row[..dimension], points, limit);
                    put(first, &sums, near);
                }
                [a, b, ..] => {
                    let rows = [a, b, rest[rest.len() - 1], b].map(|row| &row[..dimension]);
                    let (sums, near) = four::<S>(rows, points, limit);
                    (first..).zip(&sums[..rest.len()]).for_each(|(row, sums)| put(row, sums, near));
                }
            }
        }
    }
}

/// Values that are summed before the sums are first compared with the limit; then after
/// twice as many, and so on.
const FIRST: usize = 8;

type Sums = [f32; PANEL];

/// The distances of four rows to the points of a panel, and whether one may be within the
/// limit.
#[inline(always)]
fn four<S: Simd>(
    [a, b, c, d]: [&[f32]; TILE],
    points: &[[f32; PANEL]],
    limit: f32,
) -> ([Sums; TILE], bool) {
    // Four variables and no array of them, or the compiler keeps them in memory.
    let (mut first, mut second) = ([0.0; PANEL], [0.0; PANEL]);
    let (mut third, mut fourth) = ([0.0; PANEL], [0.0; PANEL]);
    let (mut from, mut to) = (0, look(limit, points.len()));
    loop {
        let rows = a[from..to].iter().zip(&b[from..to]);
        let rows = rows.zip(c[from..to].iter().zip(&d[from..to]));
        for (points, ((a, b), (c, d))) in points[from..to].iter().zip(rows) {
            first = add_squares::<S>(first, points, *a);
            second = add_squares::<S>(second, points, *b);
            third = add_squares::<S>(third, points, *c);
            fourth = add_squares::<S>(fourth, points, *d);
        }
        let mut near = false;
        for lane in 0..PANEL {
            let (left, right) = (first[lane].min(second[lane]), third[lane].min(fourth[lane]));
            near |= left.min(right) <= limit;
        }
        if !near || to == points.len() {
            return ([first, second, third, fourth], near);
        }
        (from, to) = (to, (2 * to).min(points.len()));
    }
}

/// The same for one row.
#[inline(always)]
fn one<S: Simd>(row: &[f32], points: &[[f32; PANEL]], limit: f32) -> (Sums, bool) {
    let mut sums = [0.0; PANEL];
    let (mut from, mut to) = (0, look(limit, points.len()));
    loop {
        for (points, value) in points[from..to].iter().zip(&row[from..to]) {
            sums = add_squares::<S>(sums, points, *value);
        }
        let near = sums.iter().fold(false, |near, sum| near | (*sum <= limit));
        if !near || to == points.len() {
            return (sums, near);
        }
        (from, to) = (to, (2 * to).min(points.len()));
    }
}

/// After how many values sums are first compared with a limit.
fn look(limit: f32, dimension: usize) -> usize {
    if limit < f32::INFINITY { FIRST.min(dimension) } else { dimension }
}

/// `sums + (points − value)²`, rounded once where the processor can.
#[inline(always)]
fn add_squares<S: Simd>(mut sums: Sums, points: &[f32; PANEL], value: f32) -> Sums {
    for (sum, point) in sums.iter_mut().zip(points) {
        let difference = point - value;
        // Without the instruction it would be a call of a function for each.
        *sum = if S::IS_SCALAR {
            difference * difference + *sum
        } else {
            difference.mul_add(difference, *sum)
        };
    }
    sums
}

/// The smallest value of up to a panel.
#[inline]
pub(crate) fn least(squared: &[f32]) -> f32 {
    let smaller = |l: f32, r: f32| if r < l { r } else { l };
    match squared.first_chunk::<PANEL>() {
        Some(panel) => {
            let mut four = [f32::INFINITY; 4];
            for lanes in panel.chunks_exact(4) {
                for (least, value) in four.iter_mut().zip(lanes) {
                    *least = smaller(*least, *value);
                }
            }
            four.into_iter().fold(f32::INFINITY, smaller)
        }
        None => squared.iter().copied().fold(f32::INFINITY, smaller),
    }
}

/// The squared distance of two rows.
pub(crate) fn squared(left: &[f32], right: &[f32]) -> f32 {
    Arch::new().dispatch(Pair { left, right })
}

struct Pair<'a> {
    left: &'a [f32],
    right: &'a [f32],
}

impl WithSimd for Pair<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (left, left_tail) = S::as_simd_f32s(self.left);
        let (right, right_tail) = S::as_simd_f32s(self.right);
        let mut sums = [simd.splat_f32s(0.0); 4];
        let (left_fours, left_rest) = left.as_chunks::<4>();
        let (right_fours, right_rest) = right.as_chunks::<4>();
        for (l, r) in left_fours.iter().zip(right_fours) {
            for ((l, r), sum) in l.iter().zip(r).zip(&mut sums) {
                let difference = simd.sub_f32s(*l, *r);
                *sum = simd.mul_add_e_f32s(difference, difference, *sum);
            }
        }
        for ((l, r), sum) in left_rest.iter().zip(right_rest).zip(&mut sums) {
            let difference = simd.sub_f32s(*l, *r);
            *sum = simd.mul_add_e_f32s(difference, difference, *sum);
        }
        let [a, b, c, d] = sums;
        let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
        let tail: f32 = left_tail.iter().zip(right_tail).map(|(l, r)| (l - r) * (l - r)).sum();
        simd.reduce_sum_f32s(sum) + tail
    }
}

/// The squared distance of two rows, in float64.
pub(crate) fn squared_f64(left: &[f32], right: &[f32]) -> f64 {
    let difference = |(l, r): (&f32, &f32)| f64::from(*l) - f64::from(*r);
    left.iter().zip(right).map(difference).map(|difference| difference * difference).sum()
}
