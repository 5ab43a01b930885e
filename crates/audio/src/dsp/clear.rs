//! Tones that stand out from what is around them: what a key is told from.

use super::{
    bins::{BINS_PER_OCTAVE, Bins},
    chroma::CLASSES,
    simd::{LANES, log2, vectorized},
    tuning,
};

/// Bins either side, three semitones together, above whose mean a tone stands.
const AROUND: isize = 4;

/// The clear tones of the frames of an octave.
pub(super) struct Clear {
    soft: f32,
    /// How many bins the middles of the classes lie above those of the octave.
    shift: isize,
    sums: [f64; CLASSES],
    frames: usize,
    /// The bins of frames that wait, and their gains.
    waiting: [[f32; LANES]; BINS_PER_OCTAVE],
    gains: [f32; LANES],
    waits: usize,
}

impl Clear {
    /// `bins` and `semitones` are tunings, steps of [`tuning::offset`]; `soft` is
    /// the magnitude from which on the logarithm of a tone counts, not its size.
    pub(super) fn new(bins: usize, semitones: usize, soft: f32) -> Self {
        // A clip that is 40 cents sharp is in tune with the next bin, the 36th part
        // of an octave, but not with the next semitone.
        let shift = (3.0 * tuning::offset(semitones) - tuning::offset(bins)).round_ties_even();
        let shift = shift.clamp(-1.0, 1.0) as isize;
        Self {
            soft,
            shift,
            sums: [0.0; CLASSES],
            frames: 0,
            waiting: [[0.0; LANES]; BINS_PER_OCTAVE],
            gains: [0.0; LANES],
            waits: 0,
        }
    }

    /// Adds a frame's magnitudes, times `gain`.
    ///
    /// They wait until there are [`LANES`] frames, which are then worked on side by side:
    /// within a frame each bin waits for the one before it.
    pub(super) fn add(&mut self, magnitudes: &Bins, gain: f32) {
        for (bins, magnitude) in self.waiting.iter_mut().zip(magnitudes) {
            bins[self.waits] = *magnitude;
        }
        self.gains[self.waits] = gain;
        self.waits += 1;
        if self.waits == LANES {
            self.add_waiting();
        }
    }

    fn add_waiting(&mut self) {
        let Self { soft, shift, waiting, gains, .. } = self;
        let mut classes = [[0.0f32; LANES]; CLASSES];
        vectorized(
            #[inline(always)]
            || {
                clear_classes(waiting, *shift, &mut classes);
                for class in &mut classes {
                    for lane in 0..LANES {
                        class[lane] = log2(1.0 + gains[lane] * class[lane] / *soft);
                    }
                }
            },
        );
        for (sum, class) in self.sums.iter_mut().zip(classes) {
            for value in &class[..self.waits] {
                *sum += f64::from(*value) * std::f64::consts::LN_2;
            }
        }
        self.frames += self.waits;
        self.waits = 0;
    }

    /// The mean over the frames so far, which are forgotten.
    pub(super) fn take_mean(&mut self) -> [f64; CLASSES] {
        self.add_waiting();
        let frames = std::mem::take(&mut self.frames).max(1) as f64;
        std::mem::take(&mut self.sums).map(|sum| sum / frames)
    }
}

/// Adds to the classes of each frame by how much its bins stand above the mean around
/// them.
#[inline(always)]
fn clear_classes(
    bins: &[[f32; LANES]; BINS_PER_OCTAVE],
    shift: isize,
    classes: &mut [[f32; LANES]; CLASSES],
) {
    let last = BINS_PER_OCTAVE as isize - 1;
    let at = |bin: isize| &bins[bin.clamp(0, last) as usize];
    let mut around = [0.0f32; LANES];
    for bin in -AROUND..AROUND {
        for (around, magnitude) in around.iter_mut().zip(at(bin)) {
            *around += magnitude;
        }
    }
    for bin in 0..=last {
        let class = &mut classes[((bin + 1 - shift) / 3) as usize % CLASSES];
        let (here, next, passed) = (at(bin), at(bin + AROUND), at(bin - AROUND));
        for lane in 0..LANES {
            around[lane] += next[lane];
            let above = here[lane] - around[lane] / (2 * AROUND + 1) as f32;
            class[lane] += above.max(0.0);
            around[lane] -= passed[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::bins::NONE;

    /// A tone at the middle bin of a class, over a level of all bins.
    fn tone(class: usize, level: f32) -> Bins {
        let mut bins = NONE;
        bins[..BINS_PER_OCTAVE].fill(level);
        bins[3 * class] += 1.0;
        bins
    }

    #[test]
    fn noise_is_not_clear_and_a_tone_is() {
        let mut clear = Clear::new(50, 50, 0.1);

        clear.add(&tone(4, 0.5), 1.0);

        let found = clear.take_mean();
        // Eight ninths of 1 stand above the mean around it.
        assert!((found[4] - (1.0f64 + 8.0 / 0.9).ln()).abs() < 1e-4, "{found:?}");
        assert!(found[7].abs() < 1e-5 && found[10].abs() < 1e-5, "{found:?}");
        clear.add(&tone(4, 0.5), 0.0);
        assert_eq!(clear.take_mean(), [0.0; CLASSES]);
    }

    #[test]
    fn frames_side_by_side_are_as_frames_alone() {
        let frames =
            (0u8..11).map(|at| (tone(usize::from(at), 0.1 * f32::from(at)), f32::from(at)));
        let mut clear = Clear::new(50, 50, 0.1);

        frames.clone().for_each(|(bins, gain)| clear.add(&bins, gain));

        let mut sums = [0.0; CLASSES];
        for (bins, gain) in frames {
            let mut alone = Clear::new(50, 50, 0.1);
            alone.add(&bins, gain);
            sums.iter_mut().zip(alone.take_mean()).for_each(|(sum, value)| *sum += value);
        }
        assert_eq!(clear.take_mean(), sums.map(|sum| sum / 11.0));
    }

    #[test]
    fn a_sharp_clip_is_in_its_own_semitones() {
        // 40 cents sharp: 1.2 bins, so that bins are 0.2 off and semitones 0.4.
        let mut clear = Clear::new(70, 90, 0.1);
        let mut bins = NONE;
        // The next bin above that of concert pitch, and one more.
        bins[13] = 1.0;
        bins[14] = 0.9;

        clear.add(&bins, 1.0);

        let found = clear.take_mean();
        let top = (0..CLASSES).max_by(|&a, &b| found[a].total_cmp(&found[b]));
        assert_eq!(top, Some(4), "{found:?}");
        assert_eq!(found[5], 0.0, "{found:?}");
    }
}
