//! Some of many rows.

use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

/// At most `at_most` of `n` rows, each no more than once, in their order. The same seed draws the same.
pub(crate) fn rows(n: usize, at_most: usize, seed: u64) -> Vec<usize> {
    if n <= at_most {
        return (0..n).collect();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut some = index::sample(&mut rng, n, at_most).into_vec();
    some.sort_unstable();
    some
}
