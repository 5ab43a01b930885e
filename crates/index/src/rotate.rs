//! A fixed random rotation, after which every coordinate matters equally.
//!
//! Rounds of random sign flips and fast Walsh-Hadamard transforms (Ailon and
//! Chazelle, 2006). Where the padded length is not a power of two the
//! transform covers the front and the back in turn, and the halves are mixed
//! between the rounds, so that every value reaches every coordinate.

/// Vectors are padded with zeros to a multiple of this, which the kernels
/// need.
const STEP: usize = 64;
const ROUNDS: usize = 4;

#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// A power of two: the length of one transform.
    width: usize,
    /// 1 or −1, for each round and coordinate.
    signs: Vec<f32>,
    len: usize,
}

impl Rotation {
    pub(crate) fn new(dimension: usize, seed: u64) -> Self {
        let len = padded(dimension);
        let mut state = seed;
        let mut signs = Vec::with_capacity(len * ROUNDS);
        while signs.len() < len * ROUNDS {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            signs.extend((0..64).map(|bit| if word >> bit & 1 == 1 { 1.0 } else { -1.0 }));
        }
        Self { width: 1 << len.ilog2(), signs, len }
    }

    /// The rotated vector, as long as it was, in [`padded`] values.
    pub(crate) fn apply(&self, vector: impl Iterator<Item = f32>) -> Vec<f32> {
        let mut values = vec![0.0; self.len];
        for (value, from) in values.iter_mut().zip(vector) {
            *value = from;
        }
        let whole = self.width == self.len;
        let scale = 1.0 / (self.width as f32).sqrt();
        for (round, signs) in self.signs.chunks_exact(self.len).enumerate() {
            if whole && round == ROUNDS - 1 {
                break;
            }
            for (value, sign) in values.iter_mut().zip(signs) {
                *value *= sign;
            }
            let start = if round % 2 == 0 { 0 } else { self.len - self.width };
            let part = &mut values[start..start + self.width];
            hadamard(part);
            part.iter_mut().for_each(|value| *value *= scale);
            if !whole {
                let (front, back) = values.split_at_mut(self.len / 2);
                for (front, back) in front.iter_mut().zip(back) {
                    let (a, b) = (*front, *back);
                    *front = (a + b) * std::f32::consts::FRAC_1_SQRT_2;
                    *back = (a - b) * std::f32::consts::FRAC_1_SQRT_2;
                }
            }
        }
        values
    }
}

pub(crate) fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(STEP)
}

fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    // Up to eight neighbours at once, in registers.
    if values.len() >= 8 {
        for values in values.as_chunks_mut::<8>().0 {
            for half in [1, 2, 4] {
                let mut next = [0.0; 8];
                for i in 0..8 {
                    let other = values[i ^ half];
                    next[i] = if i & half == 0 { values[i] + other } else { other - values[i] };
                }
                *values = next;
            }
        }
        half = 8;
    }
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (front, back) = pair.split_at_mut(half);
            for (front, back) in front.iter_mut().zip(back) {
                let (a, b) = (*front, *back);
                *front = a + b;
                *back = a - b;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_lengths_and_angles_and_spreads_one_value_over_all() {
        for dimension in [1, 45, 64, 100, 128, 384, 512, 768, 1000, 1024] {
            let rotation = Rotation::new(dimension, 7);
            let mut one = vec![0.0; dimension];
            one[0] = 3.0;
            let many: Vec<f32> = (0..dimension).map(|i| (i as f32).sin()).collect();
            let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };

            let turned_one = rotation.apply(one.iter().copied());
            let turned = rotation.apply(many.iter().copied());

            let close = |a: f32, b: f32| (a - b).abs() < 1e-4 * (1.0 + b.abs());
            assert!(close(dot(&turned_one, &turned_one), 9.0), "{dimension}");
            assert!(close(dot(&turned, &turned), dot(&many, &many)), "{dimension}");
            assert!(close(dot(&turned, &turned_one), dot(&many, &one)), "{dimension}");
            let greatest = turned_one.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
            assert!(
                greatest <= 3.0 * 6.0 / (turned_one.len() as f32).sqrt(),
                "{dimension}: {greatest}"
            );
        }
    }
}
