//! Where the energy of a spectrum lies.

use super::{
    simd::{Simd, WithSimd, log2, run, vectorized},
    stft::{BIN_HZ, BINS, PADDED_BINS, Spectrum},
};

/// Statistics of one frame's magnitudes, in Hz; zero for silence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    pub(super) centroid: f32,
    pub(super) bandwidth: f32,
    pub(super) rolloff: f32,
}

/// Share of the magnitude that lies below the rolloff.
const ROLLOFF: f32 = 0.85;

static BIN_NUMBERS: [f32; PADDED_BINS] = {
    let mut numbers = [0.0; PADDED_BINS];
    let mut bin = 0;
    while bin < PADDED_BINS {
        numbers[bin] = bin as f32;
        bin += 1;
    }
    numbers
};

/// Writes the magnitudes of a power spectrum; returns the largest.
pub(super) fn magnitudes(power: &Spectrum, out: &mut Spectrum) -> f32 {
    run(Magnitudes { power, out })
}

struct Magnitudes<'a> {
    power: &'a Spectrum,
    out: &'a mut Spectrum,
}

impl WithSimd for Magnitudes<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (power, _) = S::as_simd_f32s(self.power);
        let (out, _) = S::as_mut_simd_f32s(self.out);
        let mut top = simd.splat_f32s(0.0);
        for (out, power) in out.iter_mut().zip(power) {
            *out = simd.sqrt_f32s(*power);
            top = simd.max_f32s(top, *out);
        }
        simd.reduce_max_f32s(top)
    }
}

/// The shape of a frame of magnitudes.
pub(super) fn shape(magnitudes: &Spectrum) -> Shape {
    run(Shapes(magnitudes))
}

/// Sums of so many bins serve the total and, added up again, the rolloff.
const BLOCK: usize = 40;

struct Shapes<'a>(&'a Spectrum);

impl WithSimd for Shapes<'_> {
    type Output = Shape;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Shape {
        let (values, _) = S::as_simd_f32s(self.0);
        let (numbers, _) = S::as_simd_f32s(&BIN_NUMBERS);
        let width = BLOCK / S::F32_LANES;
        let mut blocks = [0.0f32; PADDED_BINS / BLOCK];
        let mut moments = simd.splat_f32s(0.0);
        for (block, (values, numbers)) in
            blocks.iter_mut().zip(values.chunks_exact(width).zip(numbers.chunks_exact(width)))
        {
            let mut sum = simd.splat_f32s(0.0);
            for (value, number) in values.iter().zip(numbers) {
                sum = simd.add_f32s(sum, *value);
                moments = simd.mul_add_e_f32s(*value, *number, moments);
            }
            *block = simd.reduce_sum_f32s(sum);
        }
        let total: f32 = blocks.iter().sum();
        if total < f32::MIN_POSITIVE {
            return Shape::default();
        }
        let centroid = simd.reduce_sum_f32s(moments) / total;
        let centre = simd.splat_f32s(centroid);
        let mut squares = [simd.splat_f32s(0.0); 2];
        for (values, numbers) in values.chunks_exact(2).zip(numbers.chunks_exact(2)) {
            for half in 0..2 {
                let distance = simd.sub_f32s(numbers[half], centre);
                let square = simd.mul_f32s(distance, distance);
                squares[half] = simd.mul_add_e_f32s(values[half], square, squares[half]);
            }
        }
        let spread = simd.reduce_sum_f32s(simd.add_f32s(squares[0], squares[1])) / total;
        Shape {
            centroid: centroid * BIN_HZ,
            bandwidth: spread.sqrt() * BIN_HZ,
            rolloff: rolloff(self.0, &blocks, ROLLOFF * total) * BIN_HZ,
        }
    }
}

/// The first bin up to which the magnitudes sum to `target`.
#[inline(always)]
fn rolloff(magnitudes: &Spectrum, blocks: &[f32], target: f32) -> f32 {
    let mut sum = 0.0;
    let mut at = 0;
    for next in blocks {
        if sum + next >= target {
            break;
        }
        sum += next;
        at += BLOCK;
    }
    while at < BINS - 1 {
        sum += magnitudes[at];
        if sum >= target {
            break;
        }
        at += 1;
    }
    at as f32
}

/// The geometric over the arithmetic mean of a power spectrum: 0 for a tone,
/// 1 for white noise and for silence.
pub(super) fn flatness(power: &Spectrum) -> f32 {
    const FLOOR: f32 = 1e-10;
    // Without 0 Hz, which leaves a whole number of lanes.
    let mut raised = [0.0f32; BINS - 1];
    let mut logs = [0.0f32; BINS - 1];
    vectorized(
        #[inline(always)]
        || {
            for ((raised, log), power) in raised.iter_mut().zip(&mut logs).zip(&power[1..]) {
                *raised = power.max(FLOOR);
                *log = log2(*raised);
            }
        },
    );
    let count = (BINS - 1) as f32;
    let (sum, logs) = (run(Sum(&raised)), run(Sum(&logs)));
    ((logs / count).exp2() / (sum / count)).min(1.0)
}

/// The sum of a whole number of lanes.
struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sum = simd.splat_f32s(0.0);
        for values in S::as_simd_f32s(self.0).0 {
            sum = simd.add_f32s(sum, *values);
        }
        simd.reduce_sum_f32s(sum)
    }
}
