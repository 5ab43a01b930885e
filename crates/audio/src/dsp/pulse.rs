//! The pulse of a song: how loudness rises in groups of bands, and how chords
//! change, and after which times they do so again.

use std::cell::RefCell;

use realfft::{RealFftPlanner, num_complex::Complex};

use super::{
    chroma::CLASSES,
    mel::MELS,
    rhythm::FRAME_RATE,
    simd::{LANES, fold, vectorized},
};

/// Longest lag of a correlation, in frames: 24 seconds.
pub(super) const LAGS: usize = 1024;
/// How far below the loudest band of a clip a rise is not heard, in decibels.
const SPAN_DB: f32 = 60.0;
/// Where groups of mel bands begin and end: at 155, 410, 1000, 2700 and 5600 Hz.
const EDGES: [usize; 7] = [0, 6, 16, 40, 70, 100, MELS];
/// The groups, and behind them all bands together.
pub(super) const CHANNELS: usize = EDGES.len();
/// What is correlated with itself, behind the channels: how much the pitch classes
/// change, and the classes themselves.
const CHANGE: usize = CHANNELS;
const TUNE: usize = CHANGE + 1;
pub(super) const ROWS: usize = TUNE + 1;
/// Groups whose onsets follow each other, as those of kick and snare do.
pub(super) const PAIRS: [(usize, usize); 4] = [(0, 2), (0, 3), (0, 5), (3, 5)];
/// Frames from one level to that which it is compared with.
const STEP: usize = 2;
/// Frames either side above whose mean a rise has to be.
const AROUND: usize = 20;
/// Frames before and after a frame whose pitch classes are compared, 0.37 s each:
/// longer than most notes of a melody, shorter than most chords.
const REACH: usize = 16;

thread_local! {
    /// Keeps the plans of each size that there was: five powers of two.
    static PLANNER: RefCell<RealFftPlanner<f32>> = RefCell::new(RealFftPlanner::new());
}

/// Correlations of onset strength and of pitch classes, summed over clips.
#[derive(Debug)]
pub(super) struct Pulse {
    own: Vec<Vec<f64>>,
    pairs: Vec<[Vec<f64>; 2]>,
    energies: [f64; ROWS],
    flux: f64,
    frames: usize,
    clips: usize,
}

/// What [`Pulse`] has seen, in shares: 1 where everything comes again.
#[derive(Debug)]
pub(super) struct Correlations {
    /// For each of [`ROWS`], by lag in frames.
    pub(super) own: Vec<Vec<f64>>,
    /// For each pair, of the second after the first, and of the first after the
    /// second.
    pub(super) pairs: Vec<[Vec<f64>; 2]>,
    /// Lags from here on are unknown, because the song is short.
    pub(super) usable: usize,
    /// Mean rise in decibels a frame.
    pub(super) flux: f64,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let lags = || vec![0.0; LAGS];
        Self {
            own: (0..ROWS).map(|_| lags()).collect(),
            pairs: PAIRS.iter().map(|_| [lags(), lags()]).collect(),
            energies: [0.0; ROWS],
            flux: 0.0,
            frames: 0,
            clips: 0,
        }
    }

    /// Adds one clip: its mel bands, of which the loudest has `top` decibels, and
    /// the pitch classes of as many frames.
    pub(super) fn add(&mut self, log_mel: &[f32], top: f32, classes: &[[f32; CLASSES]]) {
        let frames = log_mel.len() / MELS;
        if frames == 0 {
            return;
        }
        debug_assert_eq!(classes.len(), frames);
        let mut strength = rises(log_mel, top - SPAN_DB);
        self.flux += strength[CHANNELS - 1].iter().map(|&s| f64::from(s)).sum::<f64>();
        strength.push(changes(classes));
        let size = (frames + LAGS).next_power_of_two();
        let (forward, inverse) = PLANNER.with_borrow_mut(|planner| {
            (planner.plan_fft_forward(size), planner.plan_fft_inverse(size))
        });
        let mut values = forward.make_input_vec();
        let mut spectrum = |fill: &dyn Fn(&mut [f32])| -> (Vec<Complex<f32>>, f64) {
            values.fill(0.0);
            fill(&mut values[..frames]);
            let energy = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
            let mut bins = forward.make_output_vec();
            forward.process(&mut values, &mut bins).expect("the buffers were made by this plan");
            (bins, energy)
        };
        let mut spectra = Vec::with_capacity(CHANNELS + 1);
        for (energy, strength) in self.energies.iter_mut().zip(&strength) {
            let (bins, own) = spectrum(&|out| above_mean(strength, out));
            *energy += own;
            spectra.push(bins);
        }
        // The correlation of all classes is the sum of theirs.
        let mut powers = vec![Complex::default(); size / 2 + 1];
        for class in 0..CLASSES {
            let (bins, own) = spectrum(&|out| centred(classes, class, out));
            self.energies[TUNE] += own;
            for (power, bin) in powers.iter_mut().zip(bins) {
                *power += bin.conj() * bin / size as f32;
            }
        }
        let mut lags = inverse.make_output_vec();
        let mut correlation = |mut bins: Vec<Complex<f32>>| -> Vec<f32> {
            // Real of a real signal; rounding must not make them otherwise.
            for at in [0, size / 2] {
                bins[at].im = 0.0;
            }
            inverse.process(&mut bins, &mut lags).expect("the buffers were made by this plan");
            lags.clone()
        };
        let product = |left: &[Complex<f32>], right: &[Complex<f32>]| -> Vec<Complex<f32>> {
            left.iter().zip(right).map(|(l, r)| l.conj() * r / size as f32).collect()
        };
        let all = spectra.iter().map(|spectrum| product(spectrum, spectrum)).chain([powers]);
        for (bins, own) in all.zip(&mut self.own) {
            for (sum, value) in own.iter_mut().zip(correlation(bins)) {
                *sum += f64::from(value);
            }
        }
        for ((left, right), [ahead, behind]) in PAIRS.into_iter().zip(&mut self.pairs) {
            let cyclic = correlation(product(&spectra[left], &spectra[right]));
            for (lag, (ahead, behind)) in ahead.iter_mut().zip(behind).enumerate() {
                *ahead += f64::from(cyclic[lag]);
                *behind += f64::from(cyclic[(size - lag) % size]);
            }
        }
        self.frames += frames;
        self.clips += 1;
    }

    /// The correlations as shares; absent where nothing begins.
    pub(super) fn correlations(&self) -> Option<Correlations> {
        if self.frames == 0 || self.energies[CHANNELS - 1] <= f64::EPSILON {
            return None;
        }
        // Longer lags overlap less of a clip; beyond three quarters the
        // correction would amplify chance.
        let usable = LAGS.min(self.frames * 3 / 4);
        let shares = |sums: &[f64], left: usize, right: usize| -> Vec<f64> {
            let norm = (self.energies[left] * self.energies[right]).sqrt().max(1e-9);
            let share = |lag: usize| {
                if lag >= usable {
                    return 0.0;
                }
                let left = self.frames.saturating_sub(lag * self.clips).max(1);
                sums[lag] / norm * self.frames as f64 / left as f64
            };
            // Onsets are placed to the nearest frame, so that a period of 36.3
            // frames is now 36 and now 37: without smoothing its peak is split.
            let mut smooth: Vec<f64> = (0..LAGS.min(usable + 1))
                .map(|lag| {
                    let before = if lag == 0 { 0.0 } else { share(lag - 1) };
                    0.25 * before + 0.5 * share(lag) + 0.25 * share(lag + 1)
                })
                .collect();
            // Of what is unknown there is nothing to smooth.
            smooth.resize(LAGS, 0.0);
            smooth
        };
        Some(Correlations {
            own: (0..ROWS).map(|row| shares(&self.own[row], row, row)).collect(),
            pairs: PAIRS
                .into_iter()
                .zip(&self.pairs)
                .map(|((left, right), sums)| sums.each_ref().map(|sums| shares(sums, left, right)))
                .collect(),
            usable,
            flux: self.flux / self.frames as f64,
        })
    }

    /// Seconds of all clips.
    pub(super) fn seconds(&self) -> f64 {
        self.frames as f64 / FRAME_RATE
    }
}

/// How much each group of bands, and all of them, rose at each frame; decibels.
fn rises(log_mel: &[f32], floor: f32) -> Vec<Vec<f32>> {
    let frames = log_mel.len() / MELS;
    let mut strength = vec![vec![0.0f32; frames]; CHANNELS];
    let mut rise = [0.0f32; MELS];
    for at in STEP..frames {
        let before = &log_mel[(at - STEP) * MELS..][..MELS];
        let after = &log_mel[at * MELS..][..MELS];
        let all = vectorized(
            #[inline(always)]
            || {
                let mut sums = [0.0f32; LANES];
                for ((rise, before), after) in rise
                    .chunks_exact_mut(LANES)
                    .zip(before.chunks_exact(LANES))
                    .zip(after.chunks_exact(LANES))
                {
                    for lane in 0..LANES {
                        rise[lane] = (after[lane].max(floor) - before[lane].max(floor)).max(0.0);
                        sums[lane] += rise[lane];
                    }
                }
                fold(sums)
            },
        );
        for (edges, strength) in EDGES.windows(2).zip(&mut strength) {
            let group = &rise[edges[0]..edges[1]];
            strength[at] = group.iter().sum::<f32>() / group.len() as f32;
        }
        strength[CHANNELS - 1][at] = all / MELS as f32;
    }
    strength
}

/// How much the pitch classes of the next frames differ from those of the last, at
/// each frame: the mean over the classes of the distance of their means.
fn changes(classes: &[[f32; CLASSES]]) -> Vec<f32> {
    let mut sums = vec![[0.0f64; CLASSES]];
    for frame in classes {
        let last = sums[sums.len() - 1];
        sums.push(std::array::from_fn(|class| last[class] + f64::from(frame[class])));
    }
    let mean = |from: usize, to: usize| {
        let count = (to - from) as f64;
        std::array::from_fn::<f64, CLASSES, _>(|class| {
            (sums[to][class] - sums[from][class]) / count
        })
    };
    (0..classes.len())
        .map(|at| {
            if at == 0 {
                return 0.0;
            }
            let before = mean(at.saturating_sub(REACH), at);
            let after = mean(at, (at + REACH).min(classes.len()));
            let distance: f64 = before.iter().zip(after).map(|(b, a)| (a - b).abs()).sum();
            (distance / CLASSES as f64) as f32
        })
        .collect()
}

/// Writes one class of every frame, less its mean.
fn centred(classes: &[[f32; CLASSES]], class: usize, out: &mut [f32]) {
    let mean =
        classes.iter().map(|frame| f64::from(frame[class])).sum::<f64>() / classes.len() as f64;
    for (out, frame) in out.iter_mut().zip(classes) {
        *out = (f64::from(frame[class]) - mean) as f32;
    }
}

/// Writes what stands above the mean of its neighbourhood, centred on zero.
fn above_mean(strength: &[f32], out: &mut [f32]) {
    let mut sums = Vec::with_capacity(strength.len() + 1);
    let mut sum = 0.0f64;
    sums.push(sum);
    for &value in strength {
        sum += f64::from(value);
        sums.push(sum);
    }
    let mut total = 0.0f64;
    for (at, (out, &value)) in out.iter_mut().zip(strength).enumerate() {
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(strength.len()));
        let mean = (sums[to] - sums[from]) / (to - from) as f64;
        *out = (f64::from(value) - mean).max(0.0) as f32;
        total += f64::from(*out);
    }
    let mean = (total / strength.len() as f64) as f32;
    for value in out {
        *value -= mean;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames in which a group of bands sounds at every `period`-th, from `first` on.
    fn hits(frames: usize, groups: &[(usize, usize, usize)]) -> Vec<f32> {
        let mut log_mel = vec![-100.0; frames * MELS];
        for &(group, first, period) in groups {
            for at in (first..frames).step_by(period) {
                log_mel[at * MELS..][EDGES[group]..EDGES[group + 1]].fill(-10.0);
            }
        }
        log_mel
    }

    /// No pitch at all.
    fn quiet(frames: usize) -> Vec<[f32; CLASSES]> {
        vec![[0.0; CLASSES]; frames]
    }

    /// A chord of one class after another, each for `length` frames; round and round.
    fn chords(frames: usize, round: &[usize], length: usize) -> Vec<[f32; CLASSES]> {
        let chord = |at: usize| {
            let mut frame = [0.0; CLASSES];
            frame[round[at / length % round.len()]] = 1.0;
            frame
        };
        (0..frames).map(chord).collect()
    }

    #[test]
    fn chords_change_at_their_length_and_come_again_after_a_round() {
        let mut pulse = Pulse::new();

        pulse.add(&hits(1200, &[(0, 5, 30)]), -10.0, &chords(1200, &[4, 7, 9, 11], 60));

        let seen = pulse.correlations().unwrap();
        let (change, tune) = (&seen.own[CHANGE], &seen.own[TUNE]);
        assert!(change[60] > 0.9 && change[120] > 0.9 && change[30] < 0.0, "{change:?}");
        assert!(tune[240] > 0.9 && tune[120] < 0.0 && tune[60] < 0.0, "{tune:?}");
    }

    #[test]
    fn a_chord_that_is_held_changes_nothing() {
        let mut pulse = Pulse::new();

        pulse.add(&hits(900, &[(0, 5, 30)]), -10.0, &chords(900, &[4], 60));

        let seen = pulse.correlations().unwrap();
        assert!(seen.own[CHANGE].iter().chain(&seen.own[TUNE]).all(|&share| share == 0.0));
    }

    #[test]
    fn what_comes_again_correlates_at_its_period() {
        let mut pulse = Pulse::new();

        pulse.add(&hits(900, &[(0, 5, 30)]), -10.0, &quiet(900));

        let seen = pulse.correlations().unwrap();
        // A peak of one frame keeps half of its height when it is smoothed.
        assert!((seen.own[0][30] / seen.own[0][0] - 1.0).abs() < 0.05, "{:?}", &seen.own[0][..40]);
        assert!(seen.own[0][15] < 0.0 && seen.own[0][60] > 0.4);
        assert_eq!(seen.own[1][30], 0.0);
    }

    #[test]
    fn pairs_tell_which_comes_after_which() {
        let mut pulse = Pulse::new();

        pulse.add(&hits(900, &[(0, 0, 40), (2, 10, 40)]), -10.0, &quiet(900));

        let seen = pulse.correlations().unwrap();
        let [ahead, behind] = &seen.pairs[0];
        assert!(ahead[10] > 0.4 && ahead[30] < 0.1, "{}", ahead[10]);
        assert!(behind[30] > 0.4 && behind[10] < 0.1, "{}", behind[30]);
    }

    #[test]
    fn a_song_in_two_clips_is_as_one() {
        let clip = hits(600, &[(0, 5, 30), (3, 20, 30)]);
        let chords = chords(600, &[0, 7], 50);
        let mut one = Pulse::new();
        one.add(&clip, -10.0, &chords);
        let mut two = Pulse::new();
        two.add(&clip, -10.0, &chords);
        two.add(&clip, -10.0, &chords);

        let [one, two] = [one, two].map(|pulse| pulse.correlations().unwrap());

        for lag in 0..400 {
            for row in 0..ROWS {
                assert!((one.own[row][lag] - two.own[row][lag]).abs() < 1e-5, "{row} {lag}");
            }
        }
        assert!((one.flux - two.flux).abs() < 1e-9);
    }

    #[test]
    fn silence_has_no_pulse() {
        let mut silence = Pulse::new();
        silence.add(&[-100.0; 50 * MELS], -100.0, &quiet(50));

        assert!(silence.correlations().is_none());
        assert!(Pulse::new().correlations().is_none());
    }
}
