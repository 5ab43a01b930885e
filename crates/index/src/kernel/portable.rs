//! The loops in plain Rust; what the others have to agree with.

use super::{Factors, GROUP, Kernels, Shape, Weigh};

pub(super) const KERNELS: Kernels =
    Kernels { name: "portable", bits, bytes, masked, dot, square, weigh, above };

/// Partial sums of one dot product. The products of float32 values are exact
/// in float64, so machines with and without fused multiply-add agree.
pub(super) const LANES: usize = 32;

fn bits(codes: &[u8], table: &[u8], sums: &mut [u32; GROUP]) {
    let columns = codes.as_chunks::<{ 2 * GROUP }>().0;
    for (columns, table) in columns.iter().zip(table.as_chunks::<128>().0) {
        for (half, column) in columns.as_chunks::<GROUP>().0.iter().enumerate() {
            let low = &table[half * 32..half * 32 + 16];
            let high = &table[64 + half * 32..64 + half * 32 + 16];
            for (sum, &byte) in sums.iter_mut().zip(column) {
                *sum += u32::from(low[usize::from(byte & 15)])
                    + u32::from(high[usize::from(byte >> 4)]);
            }
        }
    }
}

fn bytes(code: &[u8], high: &[i8], low: &[i8]) -> (i32, i32) {
    let (mut first, mut second) = (0, 0);
    for ((&code, &high), &low) in code.iter().zip(high).zip(low) {
        first += i32::from(code) * i32::from(high);
        second += i32::from(code) * i32::from(low);
    }
    (first, second)
}

fn masked(bits: &[u8], values: &[i8]) -> i32 {
    let mut sum = 0;
    for (&byte, values) in bits.iter().zip(values.as_chunks::<8>().0) {
        for (bit, &value) in values.iter().enumerate() {
            sum += i32::from(value) * i32::from(byte >> bit & 1);
        }
    }
    sum
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sums(a, b, |a, b| f64::from(a) * f64::from(b))
}

pub(super) fn square(a: &[f32], b: &[f32]) -> f64 {
    sums(a, b, |a, b| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    })
}

#[inline(always)]
pub(super) fn sums(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_rows, a_rest) = a.as_chunks::<LANES>();
    let (b_rows, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_rows.iter().zip(b_rows) {
        for i in 0..LANES {
            sums[i] += term(a[i], b[i]);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(a, b);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

#[inline(always)]
pub(super) fn weigh(
    sums: &[u32; GROUP],
    factors: Factors<'_>,
    how: Weigh,
    scores: &mut [f32; GROUP],
    uppers: &mut [f32; GROUP],
) {
    // The shape is looked at once, not for each row: so rows are computed side
    // by side.
    let of = (sums, factors, how);
    match how.shape {
        shape @ Shape::Plain => weigh_all(of, |n| shape.line(n), scores, uppers),
        shape @ Shape::Times => weigh_all(of, |n| shape.line(n), scores, uppers),
        shape @ Shape::Over => weigh_all(of, |n| shape.line(n), scores, uppers),
        shape @ Shape::Square(_) => weigh_all(of, |n| shape.line(n), scores, uppers),
        shape @ Shape::TimesSquare(_) => weigh_all(of, |n| shape.line(n), scores, uppers),
    }
}

#[inline(always)]
fn weigh_all(
    (sums, factors, how): (&[u32; GROUP], Factors<'_>, Weigh),
    line: impl Fn(f32) -> (f32, f32),
    scores: &mut [f32; GROUP],
    uppers: &mut [f32; GROUP],
) {
    for i in 0..GROUP {
        let sum = how.step * sums[i] as f32 + how.bias;
        let a = how.base + factors.scale[i] * sum + factors.shift[i];
        let (factor, term) = line(factors.norm[i]);
        scores[i] = factor * a + term;
        uppers[i] = scores[i] + factor * how.spread * factors.scale[i];
    }
}

#[inline(always)]
pub(super) fn above(numbers: &[f32; GROUP], least: f32) -> u32 {
    let mut mask = 0;
    for (i, &number) in numbers.iter().enumerate() {
        mask |= u32::from(number >= least || number.is_nan()) << i;
    }
    mask
}
