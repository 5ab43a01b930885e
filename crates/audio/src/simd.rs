//! Wide registers without unsafe code.

pub(crate) use pulp::{Simd, WithSimd};

/// Runs a kernel written for any width of register with the widest there is.
#[inline(always)]
pub(crate) fn run<K: WithSimd>(kernel: K) -> K::Output {
    pulp::Arch::new().dispatch(kernel)
}

/// Runs `work` compiled for the widest vector registers this processor has.
///
/// The closure, and what it calls, must be `#[inline(always)]`, or they are
/// compiled for the baseline processor after all.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The number of values that are worked on together; a multiple of the lanes
/// of any register in use.
pub(crate) const LANES: usize = 8;

/// The sum of products of two slices of equal length, a multiple of [`LANES`].
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    let (left, _) = S::as_simd_f32s(left);
    let (right, _) = S::as_simd_f32s(right);
    let mut sum = simd.splat_f32s(0.0);
    for (l, r) in left.iter().zip(right) {
        sum = simd.mul_add_e_f32s(*l, *r, sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// The sum of all lanes, in one fixed order.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Logarithm to base 2 of a positive normal number, to about 1e-7.
///
/// Splits off the exponent so that the mantissa lies in [√½, √2), where the
/// series of the inverse hyperbolic tangent needs five terms. Unlike the
/// library's, it can be computed in many lanes at once.
#[inline(always)]
pub(crate) fn log2(x: f32) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let bits = x.to_bits();
    let exponent = (bits.wrapping_sub(SQRT_HALF) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    // 2 / ln 2 · 1/(2k + 1).
    let series = s
        * (2.885_39
            + s2 * (0.961_796_7 + s2 * (0.577_078 + s2 * (0.412_198_6 + s2 * 0.320_598_9))));
    exponent as f32 + series
}

/// Decibels of a power, never below −100 dB.
#[inline(always)]
pub(crate) fn decibels(power: f32) -> f32 {
    // 10 · log10(2).
    const PER_OCTAVE: f32 = 3.010_3;
    PER_OCTAVE * log2(power.max(1e-10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels_agree_with_the_library_logarithm() {
        for step in 0..4000 {
            let power = 1e-10 * 10f64.powf(f64::from(step) / 200.0);

            let expected = 10.0 * power.log10();

            // Half a unit in the last place of 100 dB is 4e-6.
            assert!((f64::from(decibels(power as f32)) - expected).abs() < 2e-5, "{power}");
        }
        assert!((decibels(0.0) + 100.0).abs() < 1e-5);
    }
}
