//! The magnitudes of an octave.

use super::simd::LANES;

/// Bins an octave.
pub(super) const BINS_PER_OCTAVE: usize = 36;

/// The magnitudes of an octave in a frame.
pub(super) type Bins = [f32; BINS_PER_OCTAVE.next_multiple_of(LANES)];

/// The magnitudes of silence.
pub(super) const NONE: Bins = [0.0; BINS_PER_OCTAVE.next_multiple_of(LANES)];
