//! The tempo of a song: the candidates whose multiples have onsets, and which of
//! them is the beat.
//!
//! That onsets come again after a time does not say that it is a beat: so they do
//! after half of it and after twice as long. What tells them apart is how the
//! groups of bands repeat in relation to it (a kick is followed by a snare after
//! one beat, hats by hats after half of one), and after how many beats chords
//! change and come again. [`pulse`](super::pulse) has measured
//! that for all times; a small network, whose weights `tools/tempo_key/fit.py` has
//! fitted on rendered pieces, scores each candidate by it.

use super::{
    pulse::{CHANNELS, Correlations, PAIRS, Pulse, ROWS},
    rhythm::FRAME_RATE,
    tempo_weights::{BIAS, DIRECT, HIDDEN, OUT, SURE},
};

/// Candidates lie between these, 80 to the octave.
const LOWEST_BPM: f64 = 57.0;
const HIGHEST_BPM: f64 = 210.0;
const STEPS: f64 = 80.0;
/// The strongest so many are compared.
const CANDIDATES: usize = 14;
/// Multiples of the period that vote for a tempo.
const VOTES: usize = 4;
/// Multiples of the period that make it finer.
const FINE_VOTES: usize = 32;
/// Multiples of the period at which a candidate is looked at.
const MULTIPLES: [f64; 25] = [
    1.0 / 8.0,
    1.0 / 6.0,
    1.0 / 4.0,
    1.0 / 3.0,
    3.0 / 8.0,
    1.0 / 2.0,
    5.0 / 8.0,
    2.0 / 3.0,
    3.0 / 4.0,
    1.0,
    5.0 / 4.0,
    4.0 / 3.0,
    3.0 / 2.0,
    5.0 / 3.0,
    7.0 / 4.0,
    2.0,
    5.0 / 2.0,
    3.0,
    4.0,
    5.0,
    6.0,
    7.0,
    8.0,
    12.0,
    16.0,
];
/// Multiples of the period by which one group of bands may follow another.
const SHIFTS: [f64; 15] =
    [-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0];
/// What the network takes: the strength, both of the above, and the tempo.
const INPUTS: usize = 1 + ROWS * MULTIPLES.len() + PAIRS.len() * SHIFTS.len() + 4;
/// Tempi that are less likely to be right are not said.
const LEAST_CONFIDENCE: f64 = 0.3;

/// Beats per minute and how likely they are right, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tempo {
    pub(super) bpm: f64,
    pub(super) confidence: f64,
}

/// The tempo, if there is a beat at all.
pub(super) fn tempo(pulse: &Pulse) -> Option<Tempo> {
    let seen = pulse.correlations()?;
    let total: Vec<f64> = (0..seen.own[0].len())
        .map(|lag| {
            let (all, groups) = seen.own[..CHANNELS].split_last().expect("there are channels");
            all[lag] + groups.iter().map(|group| group[lag]).sum::<f64>() / groups.len() as f64
        })
        .collect();
    let usable = &total[..seen.usable];
    let candidates = candidates(usable);
    let scores: Vec<f64> =
        candidates.iter().map(|&(bpm, strength)| score(&inputs(&seen, bpm, strength))).collect();
    let (best, top) = scores.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let share = 1.0 / scores.iter().map(|score| (score - top).exp()).sum::<f64>();
    let (bpm, strength) = candidates[best];
    let confidence = confidence(share, bpm, strength, pulse.seconds(), seen.flux);
    let period = refined(usable, 60.0 * FRAME_RATE / bpm);
    (confidence >= LEAST_CONFIDENCE)
        .then_some(Tempo { bpm: 60.0 * FRAME_RATE / period, confidence })
}

/// The strongest tempi, and the mean correlation at their first multiples.
fn candidates(total: &[f64]) -> Vec<(f64, f64)> {
    let count = ((HIGHEST_BPM / LOWEST_BPM).log2() * STEPS) as usize + 1;
    let grid: Vec<(f64, f64)> = (0..count)
        .map(|step| {
            let bpm = LOWEST_BPM * (step as f64 / STEPS).exp2();
            let strength = mean_at_multiples(total, 60.0 * FRAME_RATE / bpm, VOTES, linear);
            (bpm, strength.unwrap_or(0.0))
        })
        .collect();
    let mut tops: Vec<(f64, f64)> = grid
        .windows(3)
        .filter(|around| around[1].1 > around[0].1 && around[1].1 >= around[2].1)
        .map(|around| around[1])
        .collect();
    tops.sort_by(|a, b| b.1.total_cmp(&a.1));
    tops.truncate(CANDIDATES);
    tops
}

/// What the network is told of a candidate, in the order of its weights.
fn inputs(seen: &Correlations, bpm: f64, strength: f64) -> [f64; INPUTS] {
    let period = 60.0 * FRAME_RATE / bpm;
    let octaves = (bpm / 110.0).log2();
    let own = seen
        .own
        .iter()
        .flat_map(|row| MULTIPLES.into_iter().map(move |multiple| linear(row, multiple * period)));
    let pairs = seen.pairs.iter().flat_map(|[ahead, behind]| {
        SHIFTS.into_iter().map(move |shift| {
            linear(if shift >= 0.0 { ahead } else { behind }, shift.abs() * period)
        })
    });
    let tempo = [octaves, octaves * octaves, (octaves - 0.4).max(0.0), (-octaves - 0.4).max(0.0)];
    let mut inputs = [0.0; INPUTS];
    let values = std::iter::once(strength).chain(own).chain(pairs).chain(tempo);
    for (input, value) in inputs.iter_mut().zip(values) {
        *input = value;
    }
    inputs
}

/// How much a candidate looks like a beat, in natural logarithms.
fn score(inputs: &[f64; INPUTS]) -> f64 {
    let product = |weights: &[f32; INPUTS]| -> f64 {
        weights.iter().zip(inputs).map(|(weight, input)| f64::from(*weight) * input).sum()
    };
    let hidden: f64 = (HIDDEN.iter().zip(BIAS).zip(OUT))
        .map(|((weights, bias), out)| f64::from(out) * (product(weights) + f64::from(bias)).tanh())
        .sum();
    hidden + product(&DIRECT)
}

/// How likely a tempo is right, from its share among the candidates and from
/// how much of a beat there is.
fn confidence(share: f64, bpm: f64, strength: f64, seconds: f64, flux: f64) -> f64 {
    let beats = (seconds * bpm / 60.0).min(64.0);
    let values = [odds(share), beats.sqrt(), strength, strength * strength, (flux + 0.01).ln()];
    logistic(&values, &SURE)
}

/// The logarithm of the odds of a share, not beyond 1 in 1000.
pub(super) fn odds(share: f64) -> f64 {
    let share = share.clamp(1e-3, 1.0 - 1e-3);
    (share / (1.0 - share)).ln()
}

/// A logistic regression; the last weight is that of no value.
pub(super) fn logistic(values: &[f64], weights: &[f32]) -> f64 {
    debug_assert_eq!(values.len() + 1, weights.len());
    let terms = weights.iter().zip(values.iter().chain([&1.0]));
    1.0 / (1.0 + (-terms.map(|(w, v)| f64::from(*w) * v).sum::<f64>()).exp())
}

/// The mean correlation at the first multiples of a period that are within
/// reach; absent when not even one is.
fn mean_at_multiples(
    lags: &[f64],
    period: f64,
    votes: usize,
    between: fn(&[f64], f64) -> f64,
) -> Option<f64> {
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
            (period, mean_at_multiples(lags, period, votes, between).unwrap_or(f64::MIN))
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

/// A value between samples, on a line.
fn linear(values: &[f64], position: f64) -> f64 {
    let at = (position as usize).min(values.len().saturating_sub(2));
    let get = |i: usize| values.get(i).copied().unwrap_or(0.0);
    let t = (position - at as f64).clamp(0.0, 1.0);
    get(at) * (1.0 - t) + get(at + 1) * t
}

#[cfg(test)]
mod tests {
    use super::super::{chroma::CLASSES, mel::MELS};
    use super::*;

    /// Mel bands of decaying clicks.
    fn clicks(bpm: f64, seconds: f64) -> Vec<f32> {
        let frames = (seconds * FRAME_RATE) as usize;
        let mut log_mel = vec![-70.0; frames * MELS];
        let mut time = 0.1;
        while ((time * FRAME_RATE).round() as usize) < frames {
            let first = (time * FRAME_RATE).round() as usize;
            for at in first..(first + 4).min(frames) {
                log_mel[at * MELS..][..MELS].fill(-10.0 - 15.0 * (at - first) as f32);
            }
            time += 60.0 / bpm;
        }
        log_mel
    }

    /// Pitch classes of as many frames: none.
    fn quiet(log_mel: &[f32]) -> Vec<[f32; CLASSES]> {
        vec![[0.0; CLASSES]; log_mel.len() / MELS]
    }

    #[test]
    fn tempo_is_finer_than_a_frame() {
        for bpm in [71.3, 93.0, 118.0, 127.9, 140.0, 151.2, 183.0] {
            let mut pulse = Pulse::new();
            let clicks = clicks(bpm, 40.0);
            pulse.add(&clicks, -10.0, &quiet(&clicks));

            let tempo = tempo(&pulse).unwrap();

            // Clicks are placed to the nearest frame; a frame in the last of
            // 32 beats is 0.1 to 0.2 %.
            assert!((tempo.bpm / bpm - 1.0).abs() < 0.002, "{bpm}: {tempo:?}");
            assert!(tempo.confidence > 0.5, "{bpm}: {tempo:?}");
        }
    }

    /// Pitch classes for so many frames, of which another two sound every `seconds`.
    fn chords(frames: usize, seconds: f64) -> Vec<[f32; CLASSES]> {
        let chord = |at: usize| {
            let root = [0, 5, 7, 9][(at as f64 / FRAME_RATE / seconds) as usize % 4];
            let mut frame = [0.0; CLASSES];
            frame[root] = 1.0;
            frame[(root + 4) % CLASSES] = 1.0;
            frame
        };
        (0..frames).map(chord).collect()
    }

    #[test]
    fn chords_tell_whether_a_click_is_a_beat_or_half_of_one() {
        for rate in [140.0, 160.0, 180.0] {
            // A chord for four beats, which are four clicks or eight.
            for (clicks_of_a_chord, bpm) in [(4.0, rate), (8.0, rate / 2.0)] {
                let clicks = clicks(rate, 40.0);
                let chords = chords(clicks.len() / MELS, clicks_of_a_chord * 60.0 / rate);
                let mut pulse = Pulse::new();
                pulse.add(&clicks, -10.0, &chords);

                let tempo = tempo(&pulse).unwrap();

                assert!((tempo.bpm / bpm - 1.0).abs() < 0.002, "{rate}, {bpm}: {tempo:?}");
            }
        }
    }

    #[test]
    fn silence_and_a_single_hit_have_no_tempo() {
        let mut silence = Pulse::new();
        silence.add(&[-100.0; 500 * MELS], -100.0, &[[0.0; CLASSES]; 500]);
        let mut hit = Pulse::new();
        let click = clicks(10.0, 1.5);
        hit.add(&click, -10.0, &quiet(&click));

        assert_eq!(tempo(&silence), None);
        assert_eq!(tempo(&hit), None);
        assert_eq!(tempo(&Pulse::new()), None);
    }
}
