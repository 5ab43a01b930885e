//! The tempo of a song, finer than the frame grid that librosa's has.

use std::collections::BTreeMap;

use realfft::RealFftPlanner;

use super::rhythm::FRAME_RATE;

/// Longest lag of the autocorrelation, in frames: 24 seconds.
const LAGS: usize = 1024;
const LOWEST_BPM: f64 = 40.0;
const HIGHEST_BPM: f64 = 240.0;
/// Multiples of the period that vote for a tempo.
const VOTES: usize = 4;
/// Multiples of the period that make it finer.
const FINE_VOTES: usize = 32;
/// Below this the rhythm is as weak as that of noise.
const LEAST_CONFIDENCE: f64 = 0.08;

/// The autocorrelation of onset strength, summed over clips.
#[derive(Debug)]
pub(super) struct Periodicity {
    lags: Vec<f64>,
    frames: usize,
}

/// Beats per minute and how clear they are, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tempo {
    pub(super) bpm: f64,
    pub(super) confidence: f64,
}

impl Periodicity {
    pub(super) fn new() -> Self {
        Self { lags: vec![0.0; LAGS], frames: 0 }
    }

    /// Adds the onset strength of one clip.
    pub(super) fn add(&mut self, strength: &[f32]) {
        if strength.is_empty() {
            return;
        }
        let mean = strength.iter().map(|&s| f64::from(s)).sum::<f64>() / strength.len() as f64;
        let size = (strength.len() + LAGS).next_power_of_two();
        let mut planner = RealFftPlanner::<f32>::new();
        let forward = planner.plan_fft_forward(size);
        let inverse = planner.plan_fft_inverse(size);
        let mut values = forward.make_input_vec();
        for (value, strength) in values.iter_mut().zip(strength) {
            *value = strength - mean as f32;
        }
        let mut bins = forward.make_output_vec();
        forward.process(&mut values, &mut bins).expect("the buffers were made by this plan");
        for bin in &mut bins {
            *bin = (bin.norm_sqr() / size as f32).into();
        }
        inverse.process(&mut bins, &mut values).expect("the buffers were made by this plan");
        for (lag, value) in self.lags.iter_mut().zip(values) {
            *lag += f64::from(value);
        }
        self.frames += strength.len();
    }

    /// The tempo, if there is a beat at all.
    pub(super) fn tempo(&self) -> Option<Tempo> {
        if self.lags[0] <= f64::EPSILON || self.frames == 0 {
            return None;
        }
        // Onsets are placed to the nearest frame, so that a period of 36.3
        // frames is now 36 and now 37: without smoothing its peak is split.
        let smooth = |lag: usize| {
            let at = |distance: isize| self.lags[lag.saturating_add_signed(distance).min(LAGS - 1)];
            if lag < 2 {
                // Symmetric around zero, and zero is what the rest is measured by.
                return 0.375 * self.lags[lag] + 0.5 * self.lags[1] + 0.125 * self.lags[2];
            }
            0.375 * at(0) + 0.25 * (at(-1) + at(1)) + 0.0625 * (at(-2) + at(2))
        };
        let top = smooth(0);
        if top <= f64::EPSILON {
            return None;
        }
        // Longer lags overlap less of the clip; beyond three quarters the
        // correction would amplify chance.
        let usable = LAGS.min(self.frames * 3 / 4);
        let lags: Vec<f64> = (0..usable)
            .map(|lag| {
                let overlap = (self.frames - lag) as f64 / self.frames as f64;
                smooth(lag) / top / overlap
            })
            .collect();
        let vote = |period: f64, votes: usize| mean_at_multiples(&lags, period, votes);
        // Candidates by whole and half frames of the period.
        let shortest = (FRAME_RATE * 60.0 / HIGHEST_BPM).floor() as usize;
        let longest = (FRAME_RATE * 60.0 / LOWEST_BPM).ceil() as usize;
        let mut candidates = BTreeMap::new();
        for half in 2 * shortest..=2 * longest {
            let period = half as f64 / 2.0;
            let Some(strength) = vote(period, VOTES) else { continue };
            // A tempo is also heard in its beats' halves: a true beat is
            // strong between its multiples only if something subdivides it.
            candidates.insert(half, strength.max(0.0) * usualness(period));
        }
        let (&half, &score) = candidates.iter().max_by(|a, b| a.1.total_cmp(b.1))?;
        if score <= 0.0 {
            return None;
        }
        let period = refined(&lags, half as f64 / 2.0);
        let confidence = vote(period, VOTES)?.clamp(0.0, 1.0).sqrt();
        let bpm = 60.0 * FRAME_RATE / period;
        (confidence >= LEAST_CONFIDENCE).then_some(Tempo { bpm, confidence })
    }
}

/// How readily people tap a period: a bell around 120 BPM, 0.9 octaves wide,
/// which settles which of a tempo, its half and its double is meant.
fn usualness(period: f64) -> f64 {
    let bpm = 60.0 * FRAME_RATE / period;
    (-0.5 * ((bpm / 120.0).log2() / 0.9).powi(2)).exp()
}

/// The mean autocorrelation at the first multiples of a period that are within
/// reach; absent when not even one is.
fn mean_at_multiples(lags: &[f64], period: f64, votes: usize) -> Option<f64> {
    let within = |lag: f64| lag + 2.0 < lags.len() as f64;
    let values: Vec<f64> = (1..=votes)
        .map(|multiple| period * multiple as f64)
        .take_while(|&lag| within(lag))
        .map(|lag| between(lags, lag))
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The period near `coarse` whose many multiples fit best: an error of one
/// frame at the thirtieth beat is one of a thousandth in tempo.
fn refined(lags: &[f64], coarse: f64) -> f64 {
    let mut best = coarse;
    let mut votes = 2;
    // Each round doubles the multiples and halves the search.
    let mut reach = 0.75 / coarse;
    while votes <= FINE_VOTES {
        let centre = best;
        let score = |step: i32| {
            let period = centre * (1.0 + reach * f64::from(step) / 20.0);
            (period, mean_at_multiples(lags, period, votes).unwrap_or(f64::MIN))
        };
        best = (-20..=20)
            .map(score)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(centre, |(period, _)| period);
        votes *= 2;
        reach /= 2.0;
    }
    best
}

/// A value between samples, by a cubic through the four around it.
fn between(values: &[f64], position: f64) -> f64 {
    let at = position.floor() as usize;
    let t = position - at as f64;
    let get = |i: usize| values.get(i).copied().unwrap_or(0.0);
    let (a, b, c, d) = (get(at.saturating_sub(1)), get(at), get(at + 1), get(at + 2));
    b + 0.5 * t * ((c - a) + t * ((2.0 * a - 5.0 * b + 4.0 * c - d) + t * (3.0 * (b - c) + d - a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clicks(bpm: f64, seconds: f64) -> Vec<f32> {
        let mut strength = vec![0.0; (seconds * FRAME_RATE) as usize];
        let mut time = 0.1;
        while let Some(frame) = strength.get_mut((time * FRAME_RATE).round() as usize) {
            *frame = 1.0;
            time += 60.0 / bpm;
        }
        strength
    }

    #[test]
    fn tempo_is_finer_than_a_frame() {
        for bpm in [71.3, 93.0, 118.0, 127.9, 140.0, 151.2] {
            let mut periodicity = Periodicity::new();
            periodicity.add(&clicks(bpm, 40.0));

            let tempo = periodicity.tempo().unwrap();

            // Clicks are placed to the nearest frame; a frame in the last of
            // 32 beats is 0.1 to 0.2 %.
            assert!((tempo.bpm / bpm - 1.0).abs() < 0.002, "{bpm}: {tempo:?}");
            assert!(tempo.confidence > 0.5);
        }
    }

    #[test]
    fn silence_and_a_single_hit_have_no_tempo() {
        let mut silence = Periodicity::new();
        silence.add(&[0.0; 500]);
        let mut hit = Periodicity::new();
        let mut strength = [0.0; 60];
        strength[3] = 2.0;
        hit.add(&strength);

        assert_eq!(silence.tempo(), None);
        assert_eq!(hit.tempo(), None);
        assert_eq!(Periodicity::new().tempo(), None);
    }
}
