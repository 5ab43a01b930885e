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
        let size = PANEL * self.dimension;
        let values = &self.values[panels.start * size..panels.end * size];
        Arch::new().dispatch(Squared { values, dimension: self.dimension, rows, distances });
    }
}

struct Squared<'a> {
    values: &'a [f32],
    dimension: usize,
    rows: &'a [&'a [f32]],
    distances: &'a mut [f32],
}

impl WithSimd for Squared<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.tiles::<S, 1>(simd),
            8 => self.tiles::<S, 2>(simd),
            4 => self.tiles::<S, 4>(simd),
            _ => self.tiles::<S, PANEL>(simd),
        }
    }
}

impl Squared<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let Self { values, dimension, rows, distances } = self;
        let width = values.len() / dimension;
        for (panel, values) in values.chunks_exact(PANEL * dimension).enumerate() {
            let (values, _) = S::as_simd_f32s(values);
            let mut row = 0;
            while row < rows.len() {
                let left = &rows[row..];
                let at = row * width + panel * PANEL;
                let out = &mut distances[at..];
                // Few rows together keep the processor busy better than one by one.
                row += match *left {
                    [a, b, c, d, ..] => {
                        squared_tile::<S, TILE, REGISTERS>(simd, &[a, b, c, d], values, out, width)
                    }
                    [a, b, c] => {
                        squared_tile::<S, 3, REGISTERS>(simd, &[a, b, c], values, out, width)
                    }
                    [a, b] => squared_tile::<S, 2, REGISTERS>(simd, &[a, b], values, out, width),
                    [a] => squared_tile::<S, 1, REGISTERS>(simd, &[a], values, out, width),
                    [] => break,
                };
            }
        }
    }
}

/// The distances of `ROWS` rows to one panel; gives their number.
#[inline(always)]
fn squared_tile<S: Simd, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    rows: &[&[f32]; ROWS],
    panel: &[S::f32s],
    out: &mut [f32],
    width: usize,
) -> usize {
    let dimension = panel.len() / REGISTERS;
    let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
    let rows = rows.map(|row| &row[..dimension]);
    let (panel, _) = panel.as_chunks::<REGISTERS>();
    for (j, points) in panel.iter().enumerate() {
        for (row, sums) in rows.iter().zip(&mut sums) {
            let value = simd.splat_f32s(row[j]);
            for (point, sum) in points.iter().zip(sums) {
                let difference = simd.sub_f32s(value, *point);
                *sum = simd.mul_add_e_f32s(difference, difference, *sum);
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        let (out, _) = S::as_mut_simd_f32s(&mut out[row * width..][..PANEL]);
        out.copy_from_slice(&sums);
    }
    ROWS
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
