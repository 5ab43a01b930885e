//! Which windows of a song the network gets, as a stream.

use songrec_audio::picture::{RATE, SAMPLES, SEEN, SILENCE, peak};

/// Samples from one window to the next, as long as there are few: 1 s. Windows that
/// overlap little show another song when it begins a second later.
const STEP: u64 = RATE as u64;
/// The most windows of a song.
pub(crate) const MOST: usize = 60;
/// Samples after the first sound in which the attack is looked for: 10 s.
const OPENING: usize = 10 * RATE as usize;
/// The attack is where a sound first gets to this share of its peak …
const ATTACK_LEVEL: f32 = 0.05;
/// … and so many samples (5 ms) before it belong to it.
const ATTACK_LEAD: usize = 160;
/// A window so much quieter than the loudest (60 dB) is left out.
const INAUDIBLE: f32 = 1e-3;
/// Larger than this, 80 dB over full scale, is no sample.
const LARGEST_SAMPLE: f32 = 1e4;

/// Chooses the windows of one song while it is decoded.
///
/// The first window begins at the attack: 5 ms before the sound first gets to
/// 5 % of its peak, that of the 10 s from the first sample over −100 dBFS on. The
/// others begin every second after it, as long as whole windows fit. When more than
/// [`MOST`] are kept, every second one is dropped, and from then on only one in two
/// of those that follow is taken: so a song of any length has windows that are
/// evenly spread, 1, 2, 4 … s apart, at least [`MOST`] / 2 of them once there are
/// more than [`MOST`]. Windows of silence are left out.
///
/// A sound shorter than a window is one window. What is chosen depends on the
/// samples alone, not on how they are cut into blocks. Keeps at most 24 MB.
#[derive(Debug, Default)]
pub(crate) struct SpreadWindows {
    stage: Stage,
    /// In the first stage the last samples before the first sound, in the second
    /// all from there on, in the third what the next windows need.
    samples: Vec<f32>,
    /// In the third stage, where `samples` begins, counted from the attack.
    start: u64,
    /// Number of the next window.
    next: u64,
    /// Windows that are taken have numbers that this divides.
    spacing: u64,
    kept: Vec<Kept>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Silence,
    Opening,
    Spread,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    peak: f32,
    samples: Vec<f32>,
}

impl SpreadWindows {
    /// Takes the next samples.
    pub(crate) fn push(&mut self, samples: &[f32]) {
        let from = self.samples.len();
        // Also false for what is not a number.
        let clean = |sample: &f32| if sample.abs() <= LARGEST_SAMPLE { *sample } else { 0.0 };
        self.samples.extend(samples.iter().map(clean));
        if self.stage == Stage::Silence {
            let sound = self.samples[from..].iter().position(|sample| sample.abs() >= SILENCE);
            let lead = match sound {
                Some(at) => from + at,
                None => self.samples.len(),
            };
            self.samples.drain(..lead.saturating_sub(ATTACK_LEAD));
            if sound.is_some() {
                self.stage = Stage::Opening;
            }
        }
        if self.stage == Stage::Opening && self.samples.len() >= OPENING {
            self.spread();
        }
        if self.stage == Stage::Spread {
            self.cut_all(SEEN);
        }
    }

    /// The samples of the windows, in the order of the song: none for silence.
    pub(crate) fn finish(mut self) -> Vec<Vec<f32>> {
        if self.stage == Stage::Opening {
            self.spread();
        }
        if self.stage == Stage::Spread {
            self.cut_all(SAMPLES);
            if self.next == 0 {
                let samples = std::mem::take(&mut self.samples);
                self.keep(samples);
            }
        }
        let loudest = self.kept.iter().fold(0.0f32, |loudest, kept| kept.peak.max(loudest));
        let is_loud_enough = |kept: &Kept| kept.peak >= SILENCE && kept.peak >= loudest * INAUDIBLE;
        self.kept.into_iter().filter(is_loud_enough).map(|kept| kept.samples).collect()
    }

    /// Finds the attack in what there is: there the first window begins.
    fn spread(&mut self) {
        let opening = &self.samples[..self.samples.len().min(OPENING)];
        let level = peak(opening) * ATTACK_LEVEL;
        let attack = opening.iter().position(|sample| sample.abs() > level).unwrap_or(0);
        self.samples.drain(..attack.saturating_sub(ATTACK_LEAD));
        self.stage = Stage::Spread;
        self.spacing = 1;
    }

    /// Cuts the windows of which at least `needed` samples are there.
    fn cut_all(&mut self, needed: usize) {
        loop {
            let begin = self.next * STEP;
            let Some(offset) = begin.checked_sub(self.start).map(|offset| offset as usize) else {
                break;
            };
            if self.samples.len() < offset + needed {
                // Moved only when that pays.
                let unneeded = offset.min(self.samples.len());
                if unneeded >= SAMPLES {
                    self.samples.drain(..unneeded);
                    self.start += unneeded as u64;
                }
                break;
            }
            let end = self.samples.len().min(offset + SEEN);
            self.keep(self.samples[offset..end].to_vec());
        }
    }

    fn keep(&mut self, samples: Vec<f32>) {
        let kept = Kept { number: self.next, peak: peak(&samples), samples };
        if kept.peak >= SILENCE {
            self.kept.push(kept);
        }
        if self.kept.len() > MOST {
            self.spacing *= 2;
            let spacing = self.spacing;
            self.kept.retain(|kept| kept.number % spacing == 0);
        }
        self.next = (self.next / self.spacing + 1) * self.spacing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = RATE as usize;

    // Noise that is the same everywhere: a linear congruential generator.
    fn noise(samples: usize) -> Vec<f32> {
        let mut state = 1u32;
        (0..samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect()
    }

    fn windows(samples: &[f32], block: usize) -> Vec<Vec<f32>> {
        let mut windows = SpreadWindows::default();
        for block in samples.chunks(block) {
            windows.push(block);
        }
        windows.finish()
    }

    // Where in `samples` each window was cut.
    fn starts(samples: &[f32]) -> Vec<usize> {
        let find = |window: Vec<f32>| {
            (0..samples.len())
                .find(|at| samples[*at..].starts_with(&window[..64.min(window.len())]))
                .unwrap()
        };
        windows(samples, 4_096).into_iter().map(find).collect()
    }

    #[test]
    fn a_short_sound_is_one_window_from_its_attack_on() {
        let mut sound = vec![0.0; 3 * SECOND];
        sound.extend(vec![0.001; 1_000]);
        let attack = sound.len();
        sound.extend(noise(SECOND / 10));
        sound[attack] = 0.5;

        let windows = windows(&sound, 777);

        assert_eq!(windows.len(), 1);
        assert_eq!(windows[0], sound[attack - ATTACK_LEAD..]);
    }

    #[test]
    fn a_longer_sound_has_a_window_every_second_that_is_whole() {
        // 2.88 + 2 · 1 s are three windows, one sample less is two.
        let sound = noise(SAMPLES + 2 * STEP as usize);
        assert_eq!(starts(&sound), [0, STEP as usize, 2 * STEP as usize]);
        assert_eq!(windows(&sound[..sound.len() - 1], 1_000).len(), 2);
    }

    #[test]
    fn windows_of_a_long_song_are_spread_evenly() {
        for (seconds, count, apart) in [(62, 60, 1), (63, 31, 2), (124, 31, 4), (250, 31, 8)] {
            let starts = starts(&noise(seconds * SECOND));
            let expected: Vec<usize> = (0..count).map(|n| n * apart * SECOND).collect();
            assert_eq!(starts, expected, "{seconds} s");
        }
    }

    #[test]
    fn how_the_song_is_cut_does_not_matter() {
        let mut song = vec![0.0; 12_345];
        song.extend(noise(40 * SECOND));
        let whole = windows(&song, song.len());
        for block in [1, 160, 1_152, 65_537] {
            assert!(windows(&song, block) == whole, "blocks of {block}");
        }
    }

    #[test]
    fn what_is_inaudible_is_left_out() {
        let mut sound = noise(SECOND);
        // A tail 80 dB below the sound, then nothing, then what is no number.
        sound.extend(noise(5 * SECOND).iter().map(|sample| sample * 1e-4));
        sound.extend(vec![0.0; 5 * SECOND]);
        sound.extend(vec![f32::NAN; SECOND]);
        sound.extend(vec![f32::INFINITY; SECOND]);

        assert_eq!(windows(&sound, 1_000).len(), 1);
        assert!(windows(&[], 1).is_empty());
        assert!(windows(&vec![0.0; 90 * SECOND], 1_000).is_empty());
        assert!(windows(&vec![f32::NAN; SECOND], 1_000).is_empty());
        assert_eq!(windows(&[0.5], 1).len(), 1);
    }
}
