//! x86-64 with AVX-512 F, BW and VNNI.

use std::arch::x86_64::*;

use super::portable::LANES;
use super::{Factors, GROUP, Kernels, Weigh, portable};

pub(super) fn kernels() -> Option<Kernels> {
    let can = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni");
    can.then_some(Kernels {
        name: "avx512",
        // SAFETY: the processor has what these are compiled for.
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

#[target_feature(enable = "avx512f,avx512bw")]
fn bits(codes: &[u8], table: &[u8], sums: &mut [u32; GROUP]) {
    let four = _mm512_set1_epi8(15);
    let (mut both, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let pairs = codes.as_chunks::<{ 2 * GROUP }>().0;
    for (columns, table) in pairs.iter().zip(table.as_chunks::<128>().0) {
        // SAFETY: 64 and 128 bytes long.
        let (codes, lows, highs) = unsafe {
            (
                _mm512_loadu_si512(columns.as_ptr().cast()),
                _mm512_loadu_si512(table.as_ptr().cast()),
                _mm512_loadu_si512(table[64..].as_ptr().cast()),
            )
        };
        let low = _mm512_and_si512(codes, four);
        let high = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), four);
        let sum = _mm512_add_epi8(_mm512_shuffle_epi8(lows, low), _mm512_shuffle_epi8(highs, high));
        // Rows two by two in 16 bits: the sum of the even one, with that of
        // the odd one in the high byte, which is taken off below.
        both = _mm512_add_epi16(both, sum);
        odd = _mm512_add_epi16(odd, _mm512_srli_epi16::<8>(sum));
    }
    let even = _mm512_sub_epi16(both, _mm512_slli_epi16::<8>(odd));
    // The lower half has the first byte column of each pair, the upper half
    // the second.
    let even = _mm512_add_epi32(halves(even).0, halves(even).1);
    let odd = _mm512_add_epi32(halves(odd).0, halves(odd).1);
    let evens: [u32; 16] = cast(even);
    let odds: [u32; 16] = cast(odd);
    for i in 0..GROUP / 2 {
        sums[2 * i] += evens[i];
        sums[2 * i + 1] += odds[i];
    }
}

/// Sixteen 16-bit numbers each, widened.
#[target_feature(enable = "avx512f,avx512bw")]
fn halves(vector: __m512i) -> (__m512i, __m512i) {
    (
        _mm512_cvtepu16_epi32(_mm512_castsi512_si256(vector)),
        _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(vector)),
    )
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn bytes(code: &[u8], high: &[i8], low: &[i8]) -> (i32, i32) {
    let (mut first, mut second) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let codes = code.as_chunks::<64>().0;
    let highs = high.as_chunks::<64>().0;
    let lows = low.as_chunks::<64>().0;
    for ((code, high), low) in codes.iter().zip(highs).zip(lows) {
        // SAFETY: each is 64 bytes long.
        let (code, high, low) = unsafe {
            (
                _mm512_loadu_si512(code.as_ptr().cast()),
                _mm512_loadu_si512(high.as_ptr().cast()),
                _mm512_loadu_si512(low.as_ptr().cast()),
            )
        };
        first = _mm512_dpbusd_epi32(first, code, high);
        second = _mm512_dpbusd_epi32(second, code, low);
    }
    (_mm512_reduce_add_epi32(first), _mm512_reduce_add_epi32(second))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn masked(bits: &[u8], values: &[i8]) -> i32 {
    let one = _mm512_set1_epi8(1);
    let mut sum = _mm512_setzero_si512();
    for (bits, values) in bits.as_chunks::<8>().0.iter().zip(values.as_chunks::<64>().0) {
        // SAFETY: 64 bytes long.
        let values = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
        let values = _mm512_maskz_mov_epi8(u64::from_le_bytes(*bits), values);
        sum = _mm512_dpbusd_epi32(sum, one, values);
    }
    _mm512_reduce_add_epi32(sum)
}

#[target_feature(enable = "avx512f")]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [_mm512_setzero_pd(); LANES / 8];
    let (a_rows, a_rest) = a.as_chunks::<LANES>();
    let (b_rows, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_rows.iter().zip(b_rows) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: eight floats of 32.
            let (a, b) = unsafe {
                (
                    _mm512_cvtps_pd(_mm256_loadu_ps(a[i * 8..].as_ptr())),
                    _mm512_cvtps_pd(_mm256_loadu_ps(b[i * 8..].as_ptr())),
                )
            };
            *sum = _mm512_fmadd_pd(a, b, *sum);
        }
    }
    // SAFETY: of the same size, and any bits are a float.
    let mut lanes: [f64; LANES] = unsafe { std::mem::transmute(sums) };
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += f64::from(a) * f64::from(b);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The portable loop, compiled for this processor.
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
fn square(a: &[f32], b: &[f32]) -> f64 {
    portable::sums(a, b, |a, b| {
        let difference = f64::from(a) - f64::from(b);
        difference * difference
    })
}

/// The portable loop, compiled for this processor.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
fn weigh(
    sums: &[u32; GROUP],
    factors: Factors<'_>,
    how: Weigh,
    scores: &mut [f32; GROUP],
    uppers: &mut [f32; GROUP],
) {
    portable::weigh(sums, factors, how, scores, uppers);
}

#[target_feature(enable = "avx512f")]
fn above(numbers: &[f32; GROUP], least: f32) -> u32 {
    let least = _mm512_set1_ps(least);
    // SAFETY: twice sixteen of 32 floats.
    let (front, back) =
        unsafe { (_mm512_loadu_ps(numbers.as_ptr()), _mm512_loadu_ps(numbers[16..].as_ptr())) };
    let front = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(front, least);
    let back = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(back, least);
    u32::from(front) | u32::from(back) << 16
}

fn cast<T: Copy>(vector: __m512i) -> T {
    const { assert!(size_of::<T>() == size_of::<__m512i>()) };
    // SAFETY: of the same size, and used for arrays of integers only.
    unsafe { std::mem::transmute_copy(&vector) }
}
