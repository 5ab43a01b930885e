//! Squared Euclidean distances, sixteen at a time.

use pulp::{Simd, WithSimd};

/// Rows of a panel.
pub(crate) const LANES: usize = 16;

/// Queries that a pass over a panel serves: with eight lanes to a register, their sums
/// and what they need fill the sixteen registers of AVX2.
pub(crate) const QUERIES: usize = 4;

/// Rows in groups of [`LANES`], each transposed, so that one vector instruction works
/// on the same coordinate of several rows.
///
/// Lanes without a row are infinitely far from everything.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    values: Vec<f32>,
    dimension: usize,
}

impl Panels {
    /// Transposes `rows`, given one after the other.
    pub(crate) fn new(rows: &[f32], dimension: usize) -> Self {
        let count = (rows.len() / dimension).div_ceil(LANES);
        let mut values = vec![f32::INFINITY; count * LANES * dimension];
        for (panel, rows) in
            values.chunks_exact_mut(LANES * dimension).zip(rows.chunks(LANES * dimension))
        {
            for (lane, row) in rows.chunks_exact(dimension).enumerate() {
                for (to, &value) in panel[lane..].iter_mut().step_by(LANES).zip(row) {
                    *to = value;
                }
            }
        }
        Self { values, dimension }
    }

    /// Room for `count` panels, without rows.
    pub(crate) fn with_room(count: usize, dimension: usize) -> Self {
        Self { values: Vec::with_capacity(count * LANES * dimension), dimension }
    }

    /// Appends panels of these rows, given one after the other, and tells which they are.
    pub(crate) fn append(&mut self, rows: &[f32]) -> std::ops::Range<usize> {
        let first = self.len();
        self.values.extend_from_slice(&Self::new(rows, self.dimension).values);
        first..self.len()
    }

    /// How many panels there are.
    pub(crate) const fn len(&self) -> usize {
        self.values.len() / (LANES * self.dimension)
    }

    /// Calls `found(query, first row, distances)` for all queries and panels: the
    /// squared distances of a query to the rows `first..first + LANES`.
    ///
    /// The sum goes over the coordinates in order, so that it is the same whichever
    /// rows are computed with it.
    pub(crate) fn squares(
        &self,
        queries: &[f32],
        panels: std::ops::Range<usize>,
        found: impl FnMut(usize, usize, &[f32; LANES]),
    ) {
        pulp::Arch::new().dispatch(Squares { panels: self, range: panels, queries, found });
    }
}

struct Squares<'a, F> {
    panels: &'a Panels,
    range: std::ops::Range<usize>,
    queries: &'a [f32],
    found: F,
}

impl<F: FnMut(usize, usize, &[f32; LANES])> WithSimd for Squares<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { panels, range, queries, mut found } = self;
        let dimension = panels.dimension;
        let size = LANES * dimension;
        let whole = &panels.values[range.start * size..range.end * size];
        for (number, panel) in whole.chunks_exact(size).enumerate() {
            let first = (range.start + number) * LANES;
            let mut blocks = queries.chunks_exact(QUERIES * dimension);
            let mut query = 0;
            for block in &mut blocks {
                let sums = four::<S>(panel, block, dimension);
                for sum in &sums {
                    found(query, first, sum);
                    query += 1;
                }
            }
            for row in blocks.remainder().chunks_exact(dimension) {
                found(query, first, &one::<S>(panel, row));
                query += 1;
            }
        }
    }
}

#[inline(always)]
fn four<S: Simd>(panel: &[f32], block: &[f32], dimension: usize) -> [[f32; LANES]; QUERIES] {
    // Four variables and no array of them, or the compiler keeps them in memory.
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    let (mut third, mut fourth) = ([0.0; LANES], [0.0; LANES]);
    let (a, rest) = block.split_at(dimension);
    let (b, rest) = rest.split_at(dimension);
    let (c, d) = rest.split_at(dimension);
    let columns = panel.as_chunks::<LANES>().0;
    for ((((x, &a), &b), &c), &d) in columns.iter().zip(a).zip(b).zip(c).zip(d) {
        first = add_squares::<S>(first, x, a);
        second = add_squares::<S>(second, x, b);
        third = add_squares::<S>(third, x, c);
        fourth = add_squares::<S>(fourth, x, d);
    }
    [first, second, third, fourth]
}

#[inline(always)]
fn one<S: Simd>(panel: &[f32], query: &[f32]) -> [f32; LANES] {
    let mut sum = [0.0; LANES];
    for (x, &query) in panel.as_chunks::<LANES>().0.iter().zip(query) {
        sum = add_squares::<S>(sum, x, query);
    }
    sum
}

/// `sum + (x − query)²`, rounded once where the processor can.
#[inline(always)]
fn add_squares<S: Simd>(mut sum: [f32; LANES], x: &[f32; LANES], query: f32) -> [f32; LANES] {
    for (sum, x) in sum.iter_mut().zip(x) {
        let a = x - query;
        // Without the instruction it would be a call of a function for each.
        *sum = if S::IS_SCALAR { a * a + *sum } else { a.mul_add(a, *sum) };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_definition_whatever_the_block() {
        let dimension = 7;
        let rows: Vec<f32> = (0..37 * dimension).map(|i| ((i * 31) % 17) as f32 / 3.0).collect();
        let panels = Panels::new(&rows, dimension);

        for count in [1, 4, 6] {
            let queries = &rows[3 * dimension..(3 + count) * dimension];
            let mut seen = 0;
            panels.squares(queries, 0..panels.len(), |query, first, squares| {
                for (lane, &square) in squares.iter().enumerate() {
                    let Some(row) = rows.chunks_exact(dimension).nth(first + lane) else {
                        assert!(square.is_infinite());
                        continue;
                    };
                    let query = &queries[query * dimension..][..dimension];
                    let expected: f32 = query.iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum();
                    assert!((square - expected).abs() <= 1e-5 * expected.max(1.0));
                    seen += 1;
                }
            });
            assert_eq!(seen, 37 * count);
        }
    }
}
