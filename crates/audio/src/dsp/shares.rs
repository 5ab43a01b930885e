//! Magnitudes of frames as shares of the largest, in half the memory.

use super::{
    simd::vectorized,
    stft::{HOP, PADDED_BINS, Spectrum},
};

/// Samples, three quarters of a minute of them, for which room is made at once.
pub(super) const GROWTH: usize = 1 << 20;

/// Makes room for `more` values, by at least `step`: doubling, as vectors grow
/// by themselves, would leave up to half of a long clip's memory unused.
pub(super) fn grow<T>(values: &mut Vec<T>, more: usize, step: usize) {
    if values.capacity() - values.len() < more {
        values.reserve_exact(more.max(step));
    }
}

/// Appends magnitudes in 65,535ths of `top`, the largest.
pub(super) fn push(magnitudes: &Spectrum, top: f32, out: &mut Vec<u16>) {
    grow(out, PADDED_BINS, GROWTH / HOP * PADDED_BINS);
    let mut shares = [0; PADDED_BINS];
    if top >= f32::MIN_POSITIVE {
        let scale = f32::from(u16::MAX) / top;
        vectorized(
            #[inline(always)]
            || {
                for (share, magnitude) in shares.iter_mut().zip(magnitudes) {
                    // Adding 2²³ leaves the rounded number in the low bits.
                    *share = (magnitude * scale + 8_388_608.0).to_bits() as u16;
                }
            },
        );
    }
    out.extend_from_slice(&shares);
}

/// The powers of magnitudes that [`push`] appended.
pub(super) fn squares(shares: &[u16], power: &mut Spectrum) {
    vectorized(
        #[inline(always)]
        || {
            for (power, share) in power.iter_mut().zip(shares) {
                let share = f32::from(*share);
                *power = share * share;
            }
        },
    );
}
