//! The K-weighting of ITU-R BS.1770: how loud what is heard is at each frequency.

use super::simd::{Simd, WithSimd, run};

/// Segments of a second that are filtered side by side. The recursion of a
/// filter is one long chain; eight of them keep the processor busy.
pub(super) const LANES: usize = 8;
/// What a filter remembers less than this of is nothing. In digital silence it would
/// become so small that processors compute it a hundred times slower.
const INAUDIBLE: f64 = 1e-100;

/// Coefficients of a second-order section, the first of the denominator one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    b: [f64; 3],
    a: [f64; 2],
}

/// Both sections, for so many samples per second.
pub(super) fn sections(rate: f64) -> [Section; 2] {
    [shelf(rate), high_pass(rate)]
}

/// What the two sections of every lane remember.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FilterMemory {
    shelf: [[f64; LANES]; 2],
    high_pass: [[f64; LANES]; 2],
}

impl FilterMemory {
    /// Filters samples; returns the energy of each lane.
    pub(super) fn run(
        &mut self,
        samples: &[[f64; LANES]],
        sections: &[Section; 2],
    ) -> [f64; LANES] {
        let energies = run(Filter { state: &mut *self, samples, sections });
        for value in self.shelf.iter_mut().chain(&mut self.high_pass).flatten() {
            if value.abs() < INAUDIBLE {
                *value = 0.0;
            }
        }
        energies
    }
}

struct Filter<'a> {
    state: &'a mut FilterMemory,
    samples: &'a [[f64; LANES]],
    sections: &'a [Section; 2],
}

impl WithSimd for Filter<'_> {
    type Output = [f64; LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; LANES] {
        // The lanes fill two registers or more, which do not wait for each
        // other.
        let registers = LANES / S::F64_LANES;
        let [first, second] = *self.sections;
        let (b0, b1, b2) =
            (simd.splat_f64s(first.b[0]), simd.splat_f64s(first.b[1]), simd.splat_f64s(first.b[2]));
        let (a1, a2) = (simd.splat_f64s(first.a[0]), simd.splat_f64s(first.a[1]));
        let (c1, c2) = (simd.splat_f64s(second.a[0]), simd.splat_f64s(second.a[1]));
        let FilterMemory { shelf: [s1_values, s2_values], high_pass: [h1_values, h2_values] } =
            self.state;
        let zero = [simd.splat_f64s(0.0); LANES];
        let (mut s1, mut s2, mut h1, mut h2) = (zero, zero, zero, zero);
        s1[..registers].copy_from_slice(S::as_simd_f64s(s1_values).0);
        s2[..registers].copy_from_slice(S::as_simd_f64s(s2_values).0);
        h1[..registers].copy_from_slice(S::as_simd_f64s(h1_values).0);
        h2[..registers].copy_from_slice(S::as_simd_f64s(h2_values).0);
        let mut sums = zero;
        for samples in self.samples {
            let (samples, _) = S::as_simd_f64s(samples);
            for at in 0..registers {
                let x = samples[at];
                let y = simd.mul_add_e_f64s(b0, x, s1[at]);
                s1[at] = simd.negate_mul_add_e_f64s(a1, y, simd.mul_add_e_f64s(b1, x, s2[at]));
                s2[at] = simd.negate_mul_add_e_f64s(a2, y, simd.mul_f64s(b2, x));
                let z = simd.add_f64s(y, h1[at]);
                let twice = simd.add_f64s(y, y);
                h1[at] = simd.negate_mul_add_e_f64s(c1, z, simd.sub_f64s(h2[at], twice));
                h2[at] = simd.negate_mul_add_e_f64s(c2, z, y);
                sums[at] = simd.mul_add_e_f64s(z, z, sums[at]);
            }
        }
        S::as_mut_simd_f64s(s1_values).0.copy_from_slice(&s1[..registers]);
        S::as_mut_simd_f64s(s2_values).0.copy_from_slice(&s2[..registers]);
        S::as_mut_simd_f64s(h1_values).0.copy_from_slice(&h1[..registers]);
        S::as_mut_simd_f64s(h2_values).0.copy_from_slice(&h2[..registers]);
        let mut out = [0.0; LANES];
        S::as_mut_simd_f64s(&mut out).0.copy_from_slice(&sums[..registers]);
        out
    }
}

/// The head: a shelf that lifts highs by 4 dB. BS.1770 tabulates coefficients
/// for 48 kHz; these are of the analogue filter behind them, for any rate.
fn shelf(rate: f64) -> Section {
    const HZ: f64 = 1_681.974_450_955_533;
    const GAIN_DB: f64 = 3.999_843_853_973_347;
    const Q: f64 = 0.707_175_236_955_419_6;
    let k = (std::f64::consts::PI * limited(HZ, rate) / rate).tan();
    let high = 10f64.powf(GAIN_DB / 20.0);
    let band = high.powf(0.499_666_774_154_541_6);
    let a0 = 1.0 + k / Q + k * k;
    Section {
        b: [
            (high + band * k / Q + k * k) / a0,
            2.0 * (k * k - high) / a0,
            (high - band * k / Q + k * k) / a0,
        ],
        a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / Q + k * k) / a0],
    }
}

/// The low-frequency roll-off of hearing, "RLB"; its numerator is 1, −2, 1.
fn high_pass(rate: f64) -> Section {
    const HZ: f64 = 38.135_470_876_024_44;
    const Q: f64 = 0.500_327_037_323_877_3;
    let k = (std::f64::consts::PI * limited(HZ, rate) / rate).tan();
    let a0 = 1.0 + k / Q + k * k;
    Section { b: [1.0, -2.0, 1.0], a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / Q + k * k) / a0] }
}

/// Filters of absurdly low rates stay stable.
fn limited(hz: f64, rate: f64) -> f64 {
    hz.min(0.45 * rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_at_48_khz_are_those_of_the_standard() {
        let head = shelf(48_000.0);
        let rlb = high_pass(48_000.0);

        let expected = [
            (head.b[0], 1.535_124_859_586_97),
            (head.b[1], -2.691_696_189_406_38),
            (head.b[2], 1.198_392_810_852_85),
            (head.a[0], -1.690_659_293_182_41),
            (head.a[1], 0.732_480_774_215_85),
            (rlb.a[0], -1.990_047_454_833_98),
            (rlb.a[1], 0.990_072_250_366_21),
        ];
        for (actual, expected) in expected {
            assert!((actual - expected).abs() < 1e-7, "{actual} {expected}");
        }
    }

    #[test]
    fn filters_are_at_rest_after_silence() {
        let sections = sections(44_100.0);
        let mut state = FilterMemory::default();
        let tone: Vec<[f64; LANES]> =
            (0..13_230).map(|n| [(f64::from(n) * 0.142).sin(); LANES]).collect();
        let energies = state.run(&tone, &sections);
        assert!(energies.iter().all(|&energy| energy > 1e3));

        for _ in 0..345 {
            // 2 s in all.
            state.run(&[[0.0; LANES]; 256], &sections);
        }

        let values = state.shelf.iter().chain(&state.high_pass).flatten();
        assert!(values.copied().all(|value| value == 0.0), "{state:?}");
    }
}
