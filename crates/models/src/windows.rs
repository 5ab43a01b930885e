//! Songs cut into windows.

use crate::embedder::{Short, Windowing};

/// Cuts one song into the windows that a model embeds, as a stream.
///
/// Windows start every hop. Audio that no whole window covers is covered by a
/// last one that ends with the song; a song shorter than a window is one
/// window, filled up as [`Short`] says. Nothing is random: the same samples
/// give the same windows, however they are cut into blocks.
#[derive(Debug)]
pub struct Windows {
    windowing: Windowing,
    /// The samples from `start` on that are still needed.
    samples: Vec<f32>,
    /// Where `samples` begins, counted from the start of the song.
    start: u64,
    /// Where the next window begins.
    next: u64,
    /// Up to where windows were cut.
    covered: u64,
}

/// One window of a song.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The samples, at the model's rate.
    pub samples: Vec<f32>,
    /// Where it begins in the song, in samples.
    pub start: u64,
    /// Where it ends in the song, in samples: no later than the song.
    pub end: u64,
    /// How much it counts in a mean: the samples that it is the first to
    /// cover, at most a hop. With them a song's vector changes only little
    /// when the song gets a little longer.
    pub weight: u64,
}

impl Windows {
    /// Windows of one song.
    ///
    /// # Panics
    ///
    /// If the window is empty, or the hop is zero or longer than the window.
    pub fn new(windowing: &Windowing) -> Self {
        assert!(windowing.window > 0 && (1..=windowing.window).contains(&windowing.hop));
        Self { windowing: windowing.clone(), samples: Vec::new(), start: 0, next: 0, covered: 0 }
    }

    /// Takes mono samples at the model's rate and hands the windows that they
    /// complete to `embedded`.
    pub fn push(&mut self, samples: &[f32], mut embedded: impl FnMut(Window)) {
        let (window, hop) = (self.windowing.window, self.windowing.hop);
        self.samples.extend_from_slice(samples);
        loop {
            let offset = (self.next - self.start) as usize;
            if self.samples.len() < offset + window {
                break;
            }
            embedded(self.cut(offset));
            self.next += hop as u64;
        }
        // One window back is kept, for a last one that ends with the song.
        let keep = (self.next - self.start) as usize;
        let unneeded = keep.min(self.samples.len().saturating_sub(window));
        if unneeded >= window {
            self.samples.drain(..unneeded);
            self.start += unneeded as u64;
        }
    }

    /// Ends the song and hands over the window that was left, if any.
    pub fn finish(mut self, mut embedded: impl FnMut(Window)) {
        let window = self.windowing.window;
        let end = self.start + self.samples.len() as u64;
        if end == self.covered {
            return;
        }
        if self.samples.len() >= window {
            let offset = self.samples.len() - window;
            return embedded(self.cut(offset));
        }
        let weight = end.min(self.windowing.hop as u64);
        let samples = lengthened(std::mem::take(&mut self.samples), &self.windowing);
        embedded(Window { samples, start: 0, end, weight });
    }

    fn cut(&mut self, offset: usize) -> Window {
        let samples = self.samples[offset..offset + self.windowing.window].to_vec();
        let start = self.start + offset as u64;
        let end = start + samples.len() as u64;
        let weight = (end - self.covered).min(self.windowing.hop as u64);
        self.covered = end;
        Window { samples, start, end, weight }
    }
}

/// A song shorter than a window, made as long as the model wants it.
fn lengthened(mut samples: Vec<f32>, windowing: &Windowing) -> Vec<f32> {
    let (length, window) = (samples.len(), windowing.window);
    debug_assert!(0 < length && length < window);
    match windowing.short {
        Short::Repeat => {
            let whole = length * (window / length);
            repeat(&mut samples, whole);
            samples.resize(window, 0.0);
        }
        Short::RepeatAndCut => repeat(&mut samples, window),
        Short::Silence => samples.resize(window, 0.0),
        Short::Keep => {
            let least = (windowing.sample_rate as usize).div_ceil(40).min(window);
            samples.resize(length.max(least), 0.0);
        }
    }
    samples
}

fn repeat(samples: &mut Vec<f32>, wanted: usize) {
    while samples.len() < wanted {
        let more = samples.len().min(wanted - samples.len());
        samples.extend_from_within(..more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windowing(window: usize, hop: usize, short: Short) -> Windowing {
        Windowing { sample_rate: 40, window, hop, short, normalize: true }
    }

    fn cut(windowing: &Windowing, samples: usize, block: usize) -> Vec<Window> {
        let song: Vec<f32> = (0..samples).map(|n| n as f32).collect();
        let mut windows = Windows::new(windowing);
        let mut embedded = Vec::new();
        for block in song.chunks(block) {
            windows.push(block, |window| embedded.push(window));
        }
        windows.finish(|window| embedded.push(window));
        embedded
    }

    fn ranges(windows: &[Window]) -> Vec<(u64, u64, u64)> {
        windows.iter().map(|window| (window.start, window.end, window.weight)).collect()
    }

    #[test]
    fn windows_cover_the_song_and_the_last_ends_with_it() {
        let whole = windowing(10, 10, Short::Repeat);
        let overlapping = windowing(10, 4, Short::Repeat);

        assert_eq!(ranges(&cut(&whole, 20, 3)), [(0, 10, 10), (10, 20, 10)]);
        assert_eq!(ranges(&cut(&whole, 23, 3)), [(0, 10, 10), (10, 20, 10), (13, 23, 3)]);
        assert_eq!(
            ranges(&cut(&overlapping, 21, 3)),
            [(0, 10, 4), (4, 14, 4), (8, 18, 4), (11, 21, 3)]
        );
        assert_eq!(ranges(&cut(&whole, 0, 3)), []);
    }

    #[test]
    fn a_window_holds_the_samples_that_it_names() {
        for (samples, hop) in [(23, 10), (57, 3), (100, 7), (10, 10)] {
            for window in cut(&windowing(10, hop, Short::Repeat), samples, 1) {
                let expected: Vec<f32> = (window.start..window.end).map(|n| n as f32).collect();
                assert_eq!(window.samples, expected);
            }
        }
    }

    #[test]
    fn how_the_song_is_cut_into_blocks_does_not_matter() {
        let windowing = windowing(10, 4, Short::Repeat);
        let whole = cut(&windowing, 137, 137);
        for block in [1, 2, 9, 10, 11, 64] {
            assert_eq!(cut(&windowing, 137, block), whole, "blocks of {block}");
        }
    }

    #[test]
    fn no_more_than_some_windows_are_kept() {
        let mut windows = Windows::new(&windowing(10, 10, Short::Repeat));
        for _ in 0..10_000 {
            windows.push(&[0.5; 7], |_| ());
        }

        assert!(windows.samples.capacity() < 100);
    }

    #[test]
    fn a_short_song_is_filled_up_as_the_model_wants() {
        let filled = |short, samples| cut(&windowing(8, 8, short), samples, 2)[0].samples.clone();

        assert_eq!(filled(Short::Repeat, 3), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 0.0]);
        assert_eq!(filled(Short::RepeatAndCut, 3), [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]);
        assert_eq!(filled(Short::Silence, 3), [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(filled(Short::Keep, 3), [0.0, 1.0, 2.0]);
        assert_eq!(ranges(&cut(&windowing(8, 8, Short::Repeat), 3, 2)), [(0, 3, 3)]);
    }
}
