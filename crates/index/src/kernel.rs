//! The inner loops, for the processor at hand.
//!
//! All versions of a loop give the same result, bit for bit: sums of integers
//! are exact, and sums of floats have an order that is part of the definition.
#![cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(
        unsafe_code,
        reason = "vector loads and calls of functions for features that were detected"
    )
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use std::sync::OnceLock;

/// Rows whose 1-bit codes lie together, byte column by byte column.
pub(crate) const GROUP: usize = 32;

/// Dimensions whose sums fit 16 bits: 31 each.
const CHUNK: usize = 2048;

/// What a [`Kernels::weigh`] needs to know of the query; see `code`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weigh {
    pub(crate) base: f32,
    pub(crate) step: f32,
    pub(crate) bias: f32,
    pub(crate) spread: f32,
    pub(crate) shape: Shape,
}

/// How a score comes from the dot product `a` of query and code, where `n` is
/// the norm of the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// `a`
    Plain,
    /// `n a`
    Times,
    /// `a / n`
    Over,
    /// `2 a − n² −` the query's square
    Square(f32),
    /// `2 n a − n² −` the query's square
    TimesSquare(f32),
}

impl Shape {
    /// Factor and term: the score is `factor × a + term`.
    #[inline(always)]
    pub(crate) fn line(self, n: f32) -> (f32, f32) {
        match self {
            Self::Plain => (1.0, 0.0),
            Self::Times => (n, 0.0),
            Self::Over => (if n > 0.0 { 1.0 / n } else { 0.0 }, 0.0),
            Self::Square(square) => (2.0, -(n * n) - square),
            Self::TimesSquare(square) => (2.0 * n, -(n * n) - square),
        }
    }
}

/// The factors of a group of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors<'a> {
    pub(crate) scale: &'a [f32; GROUP],
    pub(crate) shift: &'a [f32; GROUP],
    pub(crate) norm: &'a [f32; GROUP],
}

type Bytes = fn(&[u8], &[i8], &[i8]) -> (i32, i32);

/// One set of loops.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    pub(crate) name: &'static str,
    bits: fn(&[u8], &[u8], &mut [u32; GROUP]),
    bytes: Bytes,
    masked: fn(&[u8], &[i8]) -> i32,
    dot: fn(&[f32], &[f32]) -> f64,
    square: fn(&[f32], &[f32]) -> f64,
    weigh: fn(&[u32; GROUP], Factors<'_>, Weigh, &mut [f32; GROUP], &mut [f32; GROUP]),
    above: fn(&[f32; GROUP], f32) -> u32,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kernels").field(&self.name).finish()
    }
}

impl Kernels {
    /// The fastest that this processor can run.
    pub(crate) fn get() -> &'static Self {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        BEST.get_or_init(|| {
            let all = Self::available();
            all[all.len() - 1]
        })
    }

    /// All that this processor can run, the fastest last.
    pub(crate) fn available() -> Vec<Self> {
        let mut all = vec![portable::KERNELS];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx2::kernels());
            all.extend(avx512::kernels());
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(neon::kernels());
        all
    }

    /// For each of 32 rows, the sum over the dimensions of what `table` holds
    /// for the row's bits.
    ///
    /// `codes` holds, for each eight dimensions, one byte of each row. `table`
    /// holds, for each sixteen dimensions, 128 bytes: for the low four bits of
    /// either byte 16 values, twice; then the same for the high four bits.
    /// Every value is at most 124.
    pub(crate) fn bits(&self, codes: &[u8], table: &[u8], sums: &mut [u32; GROUP]) {
        assert!(
            codes.len() * 2 == table.len() && codes.len().is_multiple_of(2 * GROUP),
            "codes and table are of the same dimension"
        );
        *sums = [0; GROUP];
        let chunks = codes.chunks(CHUNK / 8 * GROUP).zip(table.chunks(CHUNK / 8 * GROUP * 2));
        for (codes, table) in chunks {
            (self.bits)(codes, table, sums);
        }
    }

    /// The dot products of one row's 8-bit code with two queries.
    pub(crate) fn bytes(&self, code: &[u8], high: &[i8], low: &[i8]) -> (i32, i32) {
        assert!(
            code.len() == high.len() && code.len() == low.len() && code.len().is_multiple_of(64),
            "code and query are of the same padded dimension"
        );
        (self.bytes)(code, high, low)
    }

    /// The sum of the values whose bit is set.
    pub(crate) fn masked(&self, bits: &[u8], values: &[i8]) -> i32 {
        assert!(
            bits.len() * 8 == values.len() && values.len().is_multiple_of(64),
            "bits and query are of the same padded dimension"
        );
        (self.masked)(bits, values)
    }

    /// The dot product of two vectors, in float64.
    pub(crate) fn dot(&self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len(), "vectors of one index are equally long");
        (self.dot)(a, b)
    }

    /// The square of the distance of two vectors, in float64.
    pub(crate) fn square(&self, a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len(), "vectors of one index are equally long");
        (self.square)(a, b)
    }

    /// Scores from sums, and how high each row's score may be.
    pub(crate) fn weigh(
        &self,
        sums: &[u32; GROUP],
        factors: Factors<'_>,
        weigh: Weigh,
        scores: &mut [f32; GROUP],
        uppers: &mut [f32; GROUP],
    ) {
        (self.weigh)(sums, factors, weigh, scores, uppers);
    }
}

impl Kernels {
    /// A bit for each number that is not below `least`; set for what is not a
    /// number.
    pub(crate) fn above(&self, numbers: &[f32; GROUP], least: f32) -> u32 {
        (self.above)(numbers, least)
    }
}

/// Asks for the memory to be brought near, because it will be read soon.
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        // SAFETY: SSE is part of x86-64, and a prefetch reads nothing.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                line.as_ptr().cast(),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use rand::prelude::*;

    use super::*;

    #[test]
    fn all_kernels_give_the_same_bits() {
        let mut random = StdRng::seed_from_u64(5);
        let all = Kernels::available();
        for dimension in [64, 128, 448, 512, 768, 2048, 2112, 4160] {
            let codes: Vec<u8> = (0..dimension / 8 * GROUP).map(|_| random.random()).collect();
            let mut table: Vec<u8> =
                (0..codes.len() * 2).map(|_| random.random_range(0..=124)).collect();
            for pair in table.as_chunks_mut::<32>().0 {
                let (front, back) = pair.split_at_mut(16);
                back.copy_from_slice(front);
            }
            let code: Vec<u8> = (0..dimension).map(|_| random.random()).collect();
            let mut query =
                || -> Vec<i8> { (0..dimension).map(|_| random.random_range(-127..=127)).collect() };
            let (high, low) = (query(), query());

            // What the loops stand for, spelled out.
            let mut expected = [0; GROUP];
            for (row, sum) in expected.iter_mut().enumerate() {
                for column in 0..dimension / 8 {
                    let byte = codes[column * GROUP + row];
                    let values = &table[column / 2 * 128..][..128];
                    let half = column % 2 * 32;
                    *sum += u32::from(values[half + usize::from(byte & 15)])
                        + u32::from(values[64 + half + usize::from(byte >> 4)]);
                }
            }
            let product = |query: &[i8]| -> i32 {
                code.iter().zip(query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
            };
            for kernels in &all {
                let mut sums = [9; GROUP];
                kernels.bits(&codes, &table, &mut sums);
                assert_eq!(sums, expected, "{kernels:?} {dimension}");
                assert_eq!(
                    kernels.bytes(&code, &high, &low),
                    (product(&high), product(&low)),
                    "{kernels:?} {dimension}"
                );
                let bits = &code[..dimension / 8];
                let set = |i: usize| bits[i / 8] >> (i % 8) & 1 == 1;
                let expected: i32 =
                    (0..dimension).filter(|&i| set(i)).map(|i| i32::from(high[i])).sum();
                assert_eq!(kernels.masked(bits, &high), expected, "{kernels:?} {dimension}");
            }
        }
        for dimension in [1, 5, 45, 64, 100, 512, 777] {
            let mut vector = || -> Vec<f32> {
                (0..dimension)
                    .map(|_| {
                        random.random_range(-1.0..1.0_f32) * 10_f32.powi(random.random_range(-9..9))
                    })
                    .collect()
            };
            let (a, b) = (vector(), vector());
            for kernels in &all {
                let same = |one: f64, other: f64| one.to_bits() == other.to_bits();
                assert!(same(kernels.dot(&a, &b), all[0].dot(&a, &b)), "{kernels:?}");
                assert!(same(kernels.square(&a, &b), all[0].square(&a, &b)), "{kernels:?}");
            }
        }
        let floats = |random: &mut StdRng| -> [f32; GROUP] {
            std::array::from_fn(|_| random.random_range(0.01..2.0))
        };
        let sums = std::array::from_fn(|_| random.random_range(0..16_000));
        let (scale, shift, norm) = (floats(&mut random), floats(&mut random), floats(&mut random));
        for shape in
            [Shape::Plain, Shape::Times, Shape::Over, Shape::Square(0.7), Shape::TimesSquare(1.3)]
        {
            let answers: Vec<_> = all
                .iter()
                .map(|kernels| {
                    let (mut scores, mut uppers) = ([0.0; GROUP], [0.0; GROUP]);
                    let factors = Factors { scale: &scale, shift: &shift, norm: &norm };
                    let weigh = Weigh { base: 0.3, step: 0.01, bias: -77.0, spread: 0.2, shape };
                    kernels.weigh(&sums, factors, weigh, &mut scores, &mut uppers);
                    (scores.map(f32::to_bits), uppers.map(f32::to_bits))
                })
                .collect();
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{shape:?}");
        }
    }
}
