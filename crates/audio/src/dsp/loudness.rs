//! Loudness after ITU-R BS.1770-5 and EBU R 128, loudness range after EBU Tech
//! 3342, at the audio's own rate and number of channels.

use std::cell::Cell;

use super::{
    LARGEST_SAMPLE,
    k_weighting::{FilterMemory, LANES, Section, sections},
    simd::{Simd, WithSimd, run},
};

/// Samples of each segment that are brought together at a time; they fit the
/// first-level cache.
const TILE: usize = 256;
/// Higher rates are those of damaged files.
const HIGHEST_RATE: u32 = 1_000_000;
/// Samples for which room is made before they come.
const MOST_ROOM: usize = 1 << 22;
/// Samples of a buffer that a thread keeps for its next song: stereo at 48 kHz.
const MOST_SPARE: usize = 1 << 20;
/// Tenths of a second: the grid of the gating blocks.
const PARTS: usize = 10;
/// Tenths in a gating block.
const BLOCK: usize = 4;
/// Tenths in a short-term window, and from one to the next.
const SHORT_TERM: usize = 30;
const SHORT_TERM_STEP: usize = 10;
const ABSOLUTE_GATE: f64 = -70.0;
thread_local! {
    /// The buffer of the last song: fresh memory comes from the system page by page.
    static SPARE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Loudness and peak of what was pushed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Integrated loudness in LUFS; absent when all of it is below −70 LUFS.
    pub integrated: Option<f64>,
    /// Loudness range in LU; absent for less than three seconds.
    pub range: Option<f64>,
    /// Largest magnitude of a sample.
    pub peak: f32,
}

/// Measures loudness block by block.
#[derive(Debug)]
pub struct LoudnessMeter {
    sections: [Section; 2],
    weights: Vec<f64>,
    /// Samples in a second.
    rate: usize,
    /// Samples before a segment that settle its filters: a tenth of a second,
    /// after which 1e-10 of what they held is left.
    settle: usize,
    /// Interleaved samples: `settle` old frames, then a second for each segment.
    buffer: Vec<f32>,
    /// Weighted energy of each whole tenth of a second.
    tenths: Vec<f64>,
    /// Weighted energy and number of all frames.
    energy: f64,
    frames: u64,
    peak: f32,
    tile: Vec<[f64; LANES]>,
}

impl LoudnessMeter {
    /// A meter for `rate` samples per second, from 1 Hz to 1 MHz, in `channels` interleaved
    /// channels, from 1.
    pub fn new(rate: u32, channels: usize) -> Self {
        let rate = rate.clamp(1, HIGHEST_RATE);
        let sections = sections(f64::from(rate));
        let rate = rate as usize;
        let channels = channels.max(1);
        let settle = rate.div_ceil(PARTS);
        // Room that is not used costs nothing; growing would copy.
        let room = (settle + LANES * rate) * channels;
        let mut buffer = SPARE.take();
        buffer.clear();
        buffer.reserve_exact(room.min(MOST_ROOM));
        buffer.resize(settle * channels, 0.0);
        Self {
            sections,
            weights: weights(channels),
            rate,
            settle,
            buffer,
            tenths: Vec::new(),
            energy: 0.0,
            frames: 0,
            peak: 0.0,
            tile: vec![[0.0; LANES]; TILE],
        }
    }

    /// Adds interleaved samples, whole frames of them. Samples that are no
    /// numbers count as silence.
    pub fn push(&mut self, interleaved: &[f32]) {
        let full = self.full();
        let mut rest = interleaved;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(full - self.buffer.len()));
            let at = self.buffer.len();
            self.buffer.resize(at + now.len(), 0.0);
            let peak = run(CleanCopy { from: now, to: &mut self.buffer[at..] });
            self.peak = self.peak.max(peak);
            rest = later;
            if self.buffer.len() == full {
                self.filter(full / self.weights.len() - self.settle);
            }
        }
    }

    /// The loudness of all that was pushed.
    pub fn finish(mut self) -> Loudness {
        let channels = self.weights.len();
        let left = self.buffer.len() / channels - self.settle;
        if left > 0 {
            // To the end of a segment; of one alone, to that of the tenth that has begun.
            let begun = (0..PARTS).filter(|&tenth| self.edge(tenth) < left).count();
            let needed = match self.segments(left) {
                1 => self.edge(begun),
                segments => segments * self.rate,
            };
            self.buffer.resize((self.settle + needed) * channels, 0.0);
            self.filter(left);
        }
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() <= MOST_SPARE {
            SPARE.set(buffer);
        }
        Loudness { integrated: self.integrated(), range: self.range(), peak: self.peak }
    }

    /// Samples of a full buffer.
    fn full(&self) -> usize {
        let segments = if self.weights.len() == 2 { LANES / 2 } else { LANES };
        (self.settle + segments * self.rate) * self.weights.len()
    }

    /// The frame of a segment at which a tenth of it begins.
    fn edge(&self, tenth: usize) -> usize {
        (tenth * self.rate + PARTS / 2) / PARTS
    }

    /// Segments that have begun after `count` frames.
    fn segments(&self, count: usize) -> usize {
        count.div_ceil(self.rate)
    }

    /// Filters the buffer, of which the first `count` frames are to be counted, and keeps
    /// its end. It is full, or as long as the tenths or segments that have begun.
    fn filter(&mut self, count: usize) {
        let channels = self.weights.len();
        let edges: Vec<usize> = (0..=PARTS).map(|tenth| self.edge(tenth)).collect();
        // Energy of each tenth in each segment.
        let mut energies = [[0.0; LANES]; PARTS];
        // Both channels of stereo go side by side, in half as many segments.
        let together = if channels == 2 { 2 } else { 1 };
        let segments = self.segments(count);
        if segments < LANES / together {
            // The lanes of the others are silent.
            self.tile.fill([0.0; LANES]);
        }
        for (channel, &weight) in self.weights.iter().enumerate().step_by(together) {
            if weight == 0.0 {
                continue;
            }
            let samples = &self.buffer[channel..];
            let mut state = FilterMemory::default();
            let mut run = |from: usize, to: usize| {
                let mut sums = [0.0; LANES];
                for start in (from..to).step_by(TILE) {
                    let tile = &mut self.tile[..TILE.min(to - start)];
                    for segment in 0..segments {
                        let frames = &samples[(segment * self.rate + start) * channels..];
                        gather(tile, frames, channels, segment, together);
                    }
                    for (sum, energy) in sums.iter_mut().zip(state.run(tile, &self.sections)) {
                        *sum += energy;
                    }
                }
                sums
            };
            run(0, self.settle);
            // Of less than a second, not even the first segment is full.
            let parts = edges.windows(2).take_while(|part| part[0] < count);
            for (part, energies) in parts.zip(&mut energies) {
                let sums = run(self.settle + part[0], self.settle + part[1]);
                for (energy, sums) in energies.iter_mut().zip(sums.chunks_exact(together)) {
                    *energy += weight * sums.iter().sum::<f64>();
                }
            }
        }
        // Behind `count` there are only zeros, through which the filters ring:
        // their energy belongs to the clip, but not to a whole tenth.
        for segment in 0..LANES / together {
            for (part, energies) in edges.windows(2).zip(&energies) {
                if segment * self.rate + part[0] < count {
                    self.energy += energies[segment];
                }
                if segment * self.rate + part[1] <= count {
                    self.tenths.push(energies[segment]);
                }
            }
        }
        self.frames += count as u64;
        let kept = self.buffer.len() - self.settle * channels;
        self.buffer.drain(..kept);
    }

    /// Loudness over all blocks of 400 ms that are neither below −70 LUFS nor
    /// 10 LU below the mean of those. A shorter clip is one block.
    fn integrated(&self) -> Option<f64> {
        let samples_per_tenth = self.rate as f64 / PARTS as f64;
        let blocks: Vec<f64> = if self.tenths.len() < BLOCK {
            if self.frames == 0 {
                return None;
            }
            vec![self.energy / self.frames as f64]
        } else {
            self.tenths
                .windows(BLOCK)
                .map(|tenths| tenths.iter().sum::<f64>() / (BLOCK as f64 * samples_per_tenth))
                .collect()
        };
        let gated = |gate: f64| {
            let kept: Vec<f64> = blocks.iter().copied().filter(|&b| lufs(b) > gate).collect();
            (!kept.is_empty()).then(|| lufs(kept.iter().sum::<f64>() / kept.len() as f64))
        };
        gated(gated(ABSOLUTE_GATE)?.max(ABSOLUTE_GATE + 10.0) - 10.0)
    }

    /// The distance between the 10th and 95th percentile of short-term
    /// loudness, of windows not below −70 LUFS nor 20 LU below their mean.
    fn range(&self) -> Option<f64> {
        let scale = SHORT_TERM as f64 * self.rate as f64 / PARTS as f64;
        let windows: Vec<f64> = self
            .tenths
            .windows(SHORT_TERM)
            .step_by(SHORT_TERM_STEP)
            .map(|tenths| tenths.iter().sum::<f64>() / scale)
            .filter(|&energy| lufs(energy) > ABSOLUTE_GATE)
            .collect();
        if windows.is_empty() {
            return None;
        }
        let gate = lufs(windows.iter().sum::<f64>() / windows.len() as f64) - 20.0;
        let mut kept: Vec<f64> = windows.into_iter().map(lufs).filter(|&l| l > gate).collect();
        kept.sort_by(f64::total_cmp);
        let percentile = |share: f64| kept[(share * (kept.len() - 1) as f64).round() as usize];
        Some(percentile(0.95) - percentile(0.10))
    }
}

/// Brings the samples of one segment into its lane, or those of both channels
/// into its two.
fn gather(
    tile: &mut [[f64; LANES]],
    frames: &[f32],
    channels: usize,
    segment: usize,
    together: usize,
) {
    if together == 2 {
        for (out, pair) in tile.iter_mut().zip(frames.chunks_exact(2)) {
            out[2 * segment] = f64::from(pair[0]);
            out[2 * segment + 1] = f64::from(pair[1]);
        }
    } else {
        for (out, sample) in tile.iter_mut().zip(frames.iter().step_by(channels)) {
            out[segment] = f64::from(*sample);
        }
    }
}

fn lufs(energy: f64) -> f64 {
    10.0 * energy.log10() - 0.691
}

/// Copies samples, silence for what can be none; tells the largest magnitude.
struct CleanCopy<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for CleanCopy<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (from, from_rest) = S::as_simd_f32s(self.from);
        let (to, to_rest) = S::as_mut_simd_f32s(self.to);
        let (zero, largest) = (simd.splat_f32s(0.0), simd.splat_f32s(LARGEST_SAMPLE));
        let mut top = zero;
        for (to, from) in to.iter_mut().zip(from) {
            let magnitude = simd.abs_f32s(*from);
            // Also false for what is not a number.
            let good = simd.less_than_or_equal_f32s(magnitude, largest);
            *to = simd.select_f32s(good, *from, zero);
            top = simd.max_f32s(top, simd.select_f32s(good, magnitude, zero));
        }
        let mut top = simd.reduce_max_f32s(top);
        for (to, from) in to_rest.iter_mut().zip(from_rest) {
            *to = if from.abs() <= LARGEST_SAMPLE { *from } else { 0.0 };
            top = top.max(to.abs());
        }
        top
    }
}

/// How much each channel counts, in the usual order of 1 to 8 channels: the
/// ones behind the listener more, the low-frequency effects not at all.
fn weights(channels: usize) -> Vec<f64> {
    const BACK: f64 = 1.41;
    match channels {
        4 => vec![1.0, 1.0, BACK, BACK],
        5 => vec![1.0, 1.0, 1.0, BACK, BACK],
        6 => vec![1.0, 1.0, 1.0, 0.0, BACK, BACK],
        8 => vec![1.0, 1.0, 1.0, 0.0, BACK, BACK, BACK, BACK],
        _ => vec![1.0; channels],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, level: f64, rate: u32, channels: usize, seconds: f64) -> Vec<f32> {
        let frames = (f64::from(rate) * seconds) as usize;
        (0..frames)
            .flat_map(|n| {
                let phase = 2.0 * std::f64::consts::PI * hz * n as f64 / f64::from(rate);
                std::iter::repeat_n((level * phase.sin()) as f32, channels)
            })
            .collect()
    }

    fn measure(samples: &[f32], rate: u32, channels: usize, block: usize) -> Loudness {
        let mut meter = LoudnessMeter::new(rate, channels);
        for block in samples.chunks(block * channels) {
            meter.push(block);
        }
        meter.finish()
    }

    #[test]
    fn the_reference_tone_has_its_loudness() {
        // BS.1770: a full-scale 997 Hz sine in one channel is −3.01 LUFS, in
        // two channels 3.01 more.
        for (channels, expected) in [(1, -3.01), (2, 0.0)] {
            for rate in [8_000, 22_050, 44_100, 48_000, 192_000] {
                let clip = sine(997.0, 1.0, rate, channels, 11.3);

                let loudness = measure(&clip, rate, channels, 1000);

                let integrated = loudness.integrated.unwrap();
                // The lower the rate, the more the bilinear transform bends the
                // shelf.
                let tolerance = if rate < 44_100 { 0.15 } else { 0.05 };
                assert!((integrated - expected).abs() < tolerance, "{rate}: {integrated}");
                assert!(loudness.range.unwrap() < 0.01);
                assert!((loudness.peak - 1.0).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn quiet_passages_are_gated() {
        // EBU Tech 3341 case 3: −36, −23, −36 dBFS at 1 kHz make −23 LUFS.
        let level = |db: f64| 10f64.powf(db / 20.0);
        let clip = [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)]
            .iter()
            .flat_map(|&(db, seconds)| sine(1000.0, level(db), 48_000, 2, seconds))
            .collect::<Vec<_>>();

        let loudness = measure(&clip, 48_000, 2, 4800);

        assert!((loudness.integrated.unwrap() + 23.0).abs() < 0.1, "{loudness:?}");
    }

    #[test]
    fn loudness_range_is_the_step_between_two_levels() {
        // EBU Tech 3342 case 1: −20 then −30 dBFS, 20 s each: 10 LU ± 1.
        let level = |db: f64| 10f64.powf(db / 20.0);
        let mut clip = sine(1000.0, level(-20.0), 48_000, 2, 20.0);
        clip.extend(sine(1000.0, level(-30.0), 48_000, 2, 20.0));

        let loudness = measure(&clip, 48_000, 2, 12_345);

        assert!((loudness.range.unwrap() - 10.0).abs() < 1.0, "{loudness:?}");
    }

    #[test]
    fn blocks_do_not_change_the_measure() {
        let mut clip = sine(200.0, 0.3, 44_100, 2, 20.0);
        clip.extend(sine(3000.0, 0.1, 44_100, 2, 7.7));

        let whole = measure(&clip, 44_100, 2, clip.len());
        let pieces = measure(&clip, 44_100, 2, 777);

        assert_eq!(whole, pieces);
    }

    #[test]
    fn silence_has_no_loudness_and_a_click_has_one() {
        let silence = measure(&vec![0.0; 88_200], 44_100, 2, 512);
        let click = measure(&[0.9; 44], 44_100, 2, 44);
        let nothing = measure(&[], 44_100, 2, 44);

        assert_eq!(silence.integrated, None);
        assert_eq!(silence.range, None);
        assert!(click.integrated.unwrap() > -40.0);
        assert_eq!(nothing.integrated, None);
    }

    #[test]
    fn samples_that_are_no_numbers_count_as_silence() {
        let mut clip = sine(997.0, 0.5, 44_100, 1, 3.0);
        let clean = measure(&clip, 44_100, 1, 4096).integrated.unwrap();
        clip[1000] = f32::NAN;
        clip[2000] = f32::INFINITY;

        let loudness = measure(&clip, 44_100, 1, 4096);

        assert!((loudness.integrated.unwrap() - clean).abs() < 0.1);
    }
}
