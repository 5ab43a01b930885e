//! Counting onsets.

use super::rhythm::FRAME_RATE;

/// Fewer onsets are no rhythm.
pub(super) const LEAST_ONSETS: usize = 3;
/// Frames either side among which an onset is the strongest.
const NEIGHBOURS: usize = 3;
/// Frames either side whose mean an onset stands out from.
const AROUND: usize = 20;
/// By how many decibels, averaged over mel bands.
const RISE: f32 = 1.0;

/// Frames at which something begins, all through a song.
#[derive(Debug, Default)]
pub(super) struct Onsets {
    frames: usize,
    count: usize,
}

impl Onsets {
    /// Counts the onsets of the next clip of a song.
    pub(super) fn extend(&mut self, strength: &[f32]) {
        self.frames += strength.len();
        for at in 0..strength.len() {
            let near = |reach: usize| {
                &strength[at.saturating_sub(reach)..(at + reach + 1).min(strength.len())]
            };
            let here = strength[at];
            let around = near(AROUND);
            let mean = around.iter().sum::<f32>() / around.len() as f32;
            if here < mean + RISE || near(NEIGHBOURS).iter().any(|&other| other > here) {
                continue;
            }
            // Of equals next to each other, the first.
            let earlier = &strength[at.saturating_sub(NEIGHBOURS)..at];
            self.count += usize::from(!earlier.contains(&here));
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Onsets per second.
    pub(super) fn rate(&self) -> f64 {
        if self.frames == 0 { 0.0 } else { self.count as f64 * FRAME_RATE / self.frames as f64 }
    }
}
