//! x86-64 with AVX2.

use std::arch::x86_64::*;

use super::{Factors, GROUP, Kernels, Weigh, portable};

pub(super) fn kernels() -> Option<Kernels> {
    is_x86_feature_detected!("avx2").then_some(Kernels {
        name: "avx2",
        // SAFETY: the processor has AVX2.
        bits: |codes, table, sums| unsafe { bits(codes, table, sums) },
        bytes: |code, high, low| unsafe { bytes(code, high, low) },
        masked: |bits, values| unsafe { masked(bits, values) },
        dot: |a, b| unsafe { dot(a, b) },
        square: |a, b| unsafe { square(a, b) },
        weigh: |sums, factors, how, scores, uppers| unsafe {
            weigh(sums, factors, how, scores, uppers);
        },
        above: |numbers, least| unsafe { above(numbers, least) },
    })
}

#[target_feature(enable = "avx2")]
fn bits(codes: &[u8], table: &[u8], sums: &mut [u32; GROUP]) {
    let four = _mm256_set1_epi8(15);
    let (mut both, mut odd) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let pairs = codes.as_chunks::<{ 2 * GROUP }>().0;
    for (columns, table) in pairs.iter().zip(table.as_chunks::<128>().0) {
        for half in 0..2 {
            let codes = load(&columns[half * 32..]);
            let low = _mm256_and_si256(codes, four);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), four);
            let sum = _mm256_add_epi8(
                _mm256_shuffle_epi8(load(&table[half * 32..]), low),
                _mm256_shuffle_epi8(load(&table[64 + half * 32..]), high),
            );
            // Rows two by two in 16 bits: the sum of the even one, with that
            // of the odd one in the high byte, which is taken off below.
            both = _mm256_add_epi16(both, sum);
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16::<8>(sum));
        }
    }
    let even = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd));
    let (even, odd): ([u16; 16], [u16; 16]) = (cast(even), cast(odd));
    for i in 0..GROUP / 2 {
        sums[2 * i] += u32::from(even[i]);
        sums[2 * i + 1] += u32::from(odd[i]);
    }
}

#[target_feature(enable = "avx2")]
fn bytes(code: &[u8], high: &[i8], low: &[i8]) -> (i32, i32) {
    let (mut first, mut second) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let codes = code.as_chunks::<16>().0;
    let highs = high.as_chunks::<16>().0;
    let lows = low.as_chunks::<16>().0;
    for ((code, high), low) in codes.iter().zip(highs).zip(lows) {
        // SAFETY: each is sixteen bytes long.
        let (code, high, low) = unsafe {
            (
                _mm256_cvtepu8_epi16(_mm_loadu_si128(code.as_ptr().cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(high.as_ptr().cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(low.as_ptr().cast())),
            )
        };
        first = _mm256_add_epi32(first, _mm256_madd_epi16(code, high));
        second = _mm256_add_epi32(second, _mm256_madd_epi16(code, low));
    }
    let (first, second): ([i32; 8], [i32; 8]) = (cast(first), cast(second));
    (first.iter().sum(), second.iter().sum())
}

#[target_feature(enable = "avx2")]
fn masked(bits: &[u8], values: &[i8]) -> i32 {
    // Which of four bytes a lane looks at, and which bit of it.
    let byte =
        _mm256_set_epi64x(0x0303_0303_0303_0303, 0x0202_0202_0202_0202, 0x0101_0101_0101_0101, 0);
    let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let (one, ones) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    let mut sum = _mm256_setzero_si256();
    for (bits, values) in bits.as_chunks::<4>().0.iter().zip(values.as_chunks::<32>().0) {
        let bits = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(*bits)), byte);
        let set = _mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit);
        // SAFETY: 32 bytes long.
        let values = unsafe { _mm256_loadu_si256(values.as_ptr().cast()) };
        let pairs = _mm256_maddubs_epi16(one, _mm256_and_si256(values, set));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    cast::<[i32; 8]>(sum).iter().sum()
}

/// The portable loop, compiled for this processor.
#[target_feature(enable = "avx2")]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    portable::sums(a, b, |a, b| f64::from(a) * f64::from(b))
}

/// The portable loop, compiled for this processor.
#[target_feature(enable = "avx2")]
fn square(a: &[f32], b: &[f32]) -> f64 {
    portable::sums(a, b, |a, b| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    })
}

/// The portable loop, compiled for this processor.
#[target_feature(enable = "avx2")]
fn weigh(
    sums: &[u32; GROUP],
    factors: Factors<'_>,
    how: Weigh,
    scores: &mut [f32; GROUP],
    uppers: &mut [f32; GROUP],
) {
    portable::weigh(sums, factors, how, scores, uppers);
}

#[target_feature(enable = "avx2")]
fn above(numbers: &[f32; GROUP], least: f32) -> u32 {
    let least = _mm256_set1_ps(least);
    let mut mask = 0;
    for (i, eight) in numbers.as_chunks::<8>().0.iter().enumerate() {
        // SAFETY: eight floats.
        let eight = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        let bits = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(eight, least));
        mask |= (bits as u32) << (i * 8);
    }
    mask
}

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8]) -> __m256i {
    assert!(bytes.len() >= 32, "a whole vector");
    // SAFETY: checked above.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

fn cast<T: Copy>(vector: __m256i) -> T {
    const { assert!(size_of::<T>() == size_of::<__m256i>()) };
    // SAFETY: of the same size, and used for arrays of integers only.
    unsafe { std::mem::transmute_copy(&vector) }
}
