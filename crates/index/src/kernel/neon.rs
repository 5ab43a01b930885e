//! AArch64 with NEON.

use std::arch::aarch64::*;

use super::{Factors, GROUP, Kernels, Weigh, portable};

pub(super) fn kernels() -> Option<Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(Kernels {
        name: "neon",
        // SAFETY: the processor has NEON.
        bits: |codes, table, sums| unsafe { bits(codes, table, sums) },
        bytes: |code, high, low| unsafe { bytes(code, high, low) },
        masked: |bits, values| unsafe { masked(bits, values) },
        // These compile to NEON as they are: it is part of the architecture.
        dot: portable::dot,
        square: portable::square,
        weigh: |sums, factors, how: Weigh, scores, uppers| {
            let factors: Factors<'_> = factors;
            portable::weigh(sums, factors, how, scores, uppers);
        },
        above: portable::above,
    })
}

#[target_feature(enable = "neon")]
fn bits(codes: &[u8], table: &[u8], sums: &mut [u32; GROUP]) {
    let four = vdupq_n_u8(15);
    // Rows 0, 2, 4 … and 1, 3, 5 … of the first and second sixteen.
    let mut even = [vdupq_n_u16(0); 2];
    let mut odd = [vdupq_n_u16(0); 2];
    let pairs = codes.as_chunks::<{ 2 * GROUP }>().0;
    for (columns, table) in pairs.iter().zip(table.as_chunks::<128>().0) {
        for half in 0..2 {
            let low = load(&table[half * 32..]);
            let high = load(&table[64 + half * 32..]);
            for part in 0..2 {
                let codes = load(&columns[half * 32 + part * 16..]);
                let sum = vaddq_u8(
                    vqtbl1q_u8(low, vandq_u8(codes, four)),
                    vqtbl1q_u8(high, vshrq_n_u8::<4>(codes)),
                );
                let pairs = vreinterpretq_u16_u8(sum);
                even[part] = vaddq_u16(even[part], vandq_u16(pairs, vdupq_n_u16(255)));
                odd[part] = vaddq_u16(odd[part], vshrq_n_u16::<8>(pairs));
            }
        }
    }
    for part in 0..2 {
        let (mut evens, mut odds) = ([0_u16; 8], [0_u16; 8]);
        // SAFETY: eight numbers each.
        unsafe {
            vst1q_u16(evens.as_mut_ptr(), even[part]);
            vst1q_u16(odds.as_mut_ptr(), odd[part]);
        }
        for i in 0..8 {
            sums[part * 16 + 2 * i] += u32::from(evens[i]);
            sums[part * 16 + 2 * i + 1] += u32::from(odds[i]);
        }
    }
}

#[target_feature(enable = "neon")]
fn bytes(code: &[u8], high: &[i8], low: &[i8]) -> (i32, i32) {
    let (mut first, mut second) = (vdupq_n_s32(0), vdupq_n_s32(0));
    let codes = code.as_chunks::<8>().0;
    let highs = high.as_chunks::<8>().0;
    let lows = low.as_chunks::<8>().0;
    for ((code, high), low) in codes.iter().zip(highs).zip(lows) {
        // SAFETY: each is eight bytes long.
        let (code, high, low) = unsafe {
            (
                vreinterpretq_s16_u16(vmovl_u8(vld1_u8(code.as_ptr()))),
                vmovl_s8(vld1_s8(high.as_ptr())),
                vmovl_s8(vld1_s8(low.as_ptr())),
            )
        };
        first = vmlal_s16(first, vget_low_s16(code), vget_low_s16(high));
        first = vmlal_high_s16(first, code, high);
        second = vmlal_s16(second, vget_low_s16(code), vget_low_s16(low));
        second = vmlal_high_s16(second, code, low);
    }
    (vaddvq_s32(first), vaddvq_s32(second))
}

#[target_feature(enable = "neon")]
fn masked(bits: &[u8], values: &[i8]) -> i32 {
    let bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
    let mut sum = vdupq_n_s32(0);
    for (bits, values) in bits.as_chunks::<2>().0.iter().zip(values.as_chunks::<16>().0) {
        let bits = vcombine_u8(vdup_n_u8(bits[0]), vdup_n_u8(bits[1]));
        let set = vreinterpretq_s8_u8(vtstq_u8(bits, bit));
        // SAFETY: sixteen bytes long.
        let values = unsafe { vld1q_s8(values.as_ptr()) };
        sum = vpadalq_s16(sum, vpaddlq_s8(vandq_s8(values, set)));
    }
    vaddvq_s32(sum)
}

#[target_feature(enable = "neon")]
fn load(bytes: &[u8]) -> uint8x16_t {
    assert!(bytes.len() >= 16, "a whole vector");
    // SAFETY: checked above.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}
