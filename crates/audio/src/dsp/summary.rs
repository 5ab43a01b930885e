//! From sums over frames to a song's values.

use songrec_core::{FeatureGroups, Features};

use super::{
    instrument::{self, Sound},
    key,
    loudness::Loudness,
    mood,
    onsets::LEAST_ONSETS,
    stft::{HOP, SAMPLE_RATE},
    tempo,
    totals::{Totals, Trimmed},
    tuning,
    vectors::Raw45,
};

/// The version of the song's own features; it rises when they change.
pub const FEATURES_VERSION: u32 = 3;

/// Quieter than this is silence, wherever it stands.
const SILENCE: f64 = 1e-4;
/// So is what is 60 dB below the loudest hop.
const SILENCE_BELOW_TOP: f64 = 1e-3;

/// What lasts longer, in seconds, is neither a loop nor a one-shot.
const LONGEST_LOOP: f64 = 60.0;
/// In less time than so many beats last, no tempo can be estimated.
const LEAST_BEATS: f64 = 3.0;

/// The 45 values in their order.
pub(super) fn raw45(totals: &Totals) -> Raw45 {
    let whole = &totals.whole;
    let frames = whole.frames as f64;
    let values = whole
        .mfcc
        .iter()
        .map(|moments| moments.mean())
        .chain(whole.mfcc.iter().map(|moments| moments.deviation()))
        .chain(whole.chroma.iter().map(|sum| sum / frames))
        .chain([
            whole.centroid.mean(),
            whole.centroid.deviation(),
            whole.rolloff.mean(),
            whole.crossing_rate.mean(),
            whole.tempogram.bpm(),
            whole.rms.mean(),
            whole.bandwidth.mean(),
        ]);
    let mut raw = [0.0; 45];
    for (raw, value) in raw.iter_mut().zip(values) {
        *raw = value as f32;
    }
    raw
}

/// The song's own features.
pub(super) fn features(totals: &Totals, loudness: &Loudness, name: Option<&str>) -> Features {
    let whole = &totals.whole;
    let seconds = totals.samples as f64 / f64::from(SAMPLE_RATE);
    let levels = Levels::of(totals);
    let trimmed_frames = totals.trimmed.frames as f64;
    let key = levels
        .sounding
        .then(|| {
            key::key(&totals.trimmed.pitches.map(|o| o.map(|sum| sum / trimmed_frames)), seconds)
        })
        .flatten();
    let tuned = whole.tuning.iter().any(|&count| count > 0);
    let tuning = tuning::offset(tuning::fullest(&whole.tuning));
    let sounding = |value: f64| levels.sounding.then_some(value as f32);
    let onsets = whole.onsets.count();
    let one_shot = levels.is_one_shot(seconds, onsets);
    // A single hit and a swelling pad repeat nothing that could be counted.
    let repeats = !one_shot && onsets >= LEAST_ONSETS;
    let tempo = repeats
        .then(|| tempo::tempo(&whole.pulse))
        .flatten()
        .filter(|tempo| levels.sounding_seconds * tempo.bpm / 60.0 >= LEAST_BEATS);
    let sound = levels.sounding.then(|| Sound {
        seconds: levels.sounding_seconds,
        one_shot,
        centroid_hz: whole.centroid.mean(),
        flatness: whole.flatness.mean(),
        salience: whole.salience.mean(),
        crossing_rate: whole.crossing_rate.mean(),
    });
    let guess = sound.as_ref().and_then(|sound| instrument::guess(name, sound));
    let named = sound.as_ref().and_then(|sound| instrument::named(name, sound));
    let mut features = Features {
        version: FEATURES_VERSION,
        bpm: tempo.map(|tempo| tempo.bpm as f32),
        bpm_confidence: tempo.map(|tempo| tempo.confidence as f32),
        key: key.map(|(key, _)| key),
        key_confidence: key.map(|(_, confidence)| confidence as f32),
        tuning_hz: tuned.then(|| (440.0 * (tuning / 12.0).exp2()) as f32),
        loudness_lufs: loudness.integrated.map(|lufs| lufs as f32),
        loudness_range_lu: loudness.range.map(|range| range as f32),
        peak_db: (loudness.peak > 0.0).then(|| 20.0 * loudness.peak.log10()),
        rms: Some(whole.rms.mean() as f32),
        dynamic_range_db: levels.dynamic_range().map(|range| range as f32),
        spectral_centroid_hz: sounding(whole.centroid.mean()),
        spectral_bandwidth_hz: sounding(whole.bandwidth.mean()),
        spectral_rolloff_hz: sounding(whole.rolloff.mean()),
        spectral_flatness: sounding(whole.flatness.mean()),
        zero_crossing_rate: Some(whole.crossing_rate.mean() as f32),
        pitch_salience: sounding(whole.salience.mean()),
        onset_rate: Some(whole.onsets.rate() as f32),
        is_loop: None,
        instrument: guess.map(|(instrument, _)| instrument.to_owned()),
        instrument_confidence: guess.map(|(_, confidence)| confidence as f32),
        named_instrument: named.map(str::to_owned),
        heard_instrument: None,
        heard_instrument_probability: None,
        vocal_probability: None,
        loop_probability: None,
        moods: Vec::new(),
        silence_start_s: Some(levels.silence_start as f32),
        silence_end_s: Some(levels.silence_end as f32),
        groups: Some(groups(&totals.trimmed)),
    };
    let shape = Shape { seconds, onsets, one_shot, levels: &levels };
    features.loop_probability = loop_probability(&shape, features.bpm);
    features.is_loop = is_loop(name, &shape, features.loop_probability);
    if seconds >= 1.0 {
        features.moods = mood::moods(&features);
    }
    features
}

/// The six groups of the 47 values.
fn groups(trimmed: &Trimmed) -> FeatureGroups {
    let frames = trimmed.frames as f64;
    let means = |sums: &[f64]| sums.iter().map(|sum| (sum / frames) as f32).collect();
    // A clip without onsets has no beat, as librosa's tracker says.
    let bpm = if trimmed.tempogram.has_onsets() { trimmed.tempogram.bpm() } else { 0.0 };
    FeatureGroups {
        mfcc: means(&trimmed.mfcc),
        chroma: means(&trimmed.chroma),
        spectral_contrast: means(&trimmed.contrast),
        rhythm: [bpm, trimmed.gaps.deviation(), trimmed.onset.mean(), trimmed.onset.deviation()]
            .map(|value| value as f32)
            .to_vec(),
        zcr: [trimmed.crossing_rate.mean(), trimmed.crossing_rate.deviation()]
            .map(|value| value as f32)
            .to_vec(),
        rms: [trimmed.rms.mean(), trimmed.rms.deviation()].map(|value| value as f32).to_vec(),
    }
}

/// How level and silence run through a song.
struct Levels {
    sounding: bool,
    silence_start: f64,
    silence_end: f64,
    sounding_seconds: f64,
    /// Root mean squares of the hops between the silent ends.
    hops: Vec<f32>,
}

impl Levels {
    fn of(totals: &Totals) -> Self {
        let seconds = |samples: f64| samples / f64::from(SAMPLE_RATE);
        let samples = totals.samples as f64;
        let rms: Vec<f32> =
            totals.energies.iter().map(|energy| (energy / HOP as f32).sqrt()).collect();
        let top = rms.iter().copied().fold(0.0, f32::max);
        let gate = SILENCE.max(SILENCE_BELOW_TOP * f64::from(top));
        let sounds = |level: &f32| f64::from(*level) > gate;
        let (Some(first), Some(last)) = (rms.iter().position(sounds), rms.iter().rposition(sounds))
        else {
            // Silent from both ends on.
            return Self {
                sounding: false,
                silence_start: seconds(samples),
                silence_end: seconds(samples),
                sounding_seconds: 0.0,
                hops: Vec::new(),
            };
        };
        let start = (first * HOP) as f64;
        let end = (((last + 1) * HOP) as f64).min(samples);
        Self {
            sounding: true,
            silence_start: seconds(start),
            silence_end: seconds(samples - end),
            sounding_seconds: seconds(end - start),
            hops: rms[first..=last].to_vec(),
        }
    }

    /// Decibels between the 95th and the 10th percentile of the hops' levels.
    fn dynamic_range(&self) -> Option<f64> {
        if self.hops.is_empty() {
            return None;
        }
        let mut hops = self.hops.clone();
        let mut percentile = |share: f64| {
            let at = (share * (hops.len() - 1) as f64).round() as usize;
            let (_, level, _) = hops.select_nth_unstable_by(at, f32::total_cmp);
            f64::from(*level).max(SILENCE)
        };
        let (loud, soft) = (percentile(0.95), percentile(0.10));
        Some(20.0 * (loud / soft).log10())
    }

    /// Whether it sounds like one hit or note: at most two onsets, loudest in
    /// its first half, and died away at the end.
    fn is_one_shot(&self, seconds: f64, onsets: usize) -> bool {
        if !self.sounding || seconds > 12.0 || onsets > 2 {
            return false;
        }
        let (at, top) = self
            .hops
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or((0, 0.0), |(at, &top)| (at, top));
        self.hops.len() < 4 || (at <= self.hops.len() / 2 && self.tail() < 0.15 * top)
    }

    /// Mean level of the last twentieth.
    fn tail(&self) -> f32 {
        let count = (self.hops.len() / 20).max(1).min(self.hops.len());
        self.hops[self.hops.len() - count..].iter().sum::<f32>() / count.max(1) as f32
    }

    /// The mean level of the last quarter, as a share of that of all.
    fn last_quarter(&self) -> f32 {
        let mean = |hops: &[f32]| hops.iter().sum::<f32>() / hops.len().max(1) as f32;
        mean(&self.hops[self.hops.len() / 4 * 3..]) / mean(&self.hops).max(f32::MIN_POSITIVE)
    }
}

/// What tells a loop from a one-shot.
struct Shape<'a> {
    seconds: f64,
    onsets: usize,
    one_shot: bool,
    levels: &'a Levels,
}

/// How probable it is that a sample is made to be repeated, by its sound alone: it
/// is if it lasts a whole number of bars and is as loud at its end, and it is not
/// if it sounds like one hit that died away. The numbers are how often such rules
/// are right, as far as that can be said without a collection of loops: they were
/// not fitted to anything.
fn loop_probability(shape: &Shape<'_>, bpm: Option<f32>) -> Option<f32> {
    let Shape { seconds, onsets, one_shot, levels } = *shape;
    if !levels.sounding || seconds > LONGEST_LOOP {
        return None;
    }
    if one_shot {
        // One onset is a hit; two may be a flam, or two beats of something.
        return Some(if onsets <= 1 { 0.03 } else { 0.15 });
    }
    let bpm = f64::from(bpm?);
    // The last hit of a loop may die away, but not for longer than a beat.
    let beat = 60.0 / bpm;
    let runs_on =
        levels.silence_start < 0.1 && levels.silence_end < beat && levels.last_quarter() > 0.3;
    if !runs_on {
        return None;
    }
    let bars = seconds * bpm / 60.0 / 4.0;
    // Half a tenth of a beat is what editing to the grid leaves.
    const OFF: f64 = 0.06;
    let off = (bars - bars.round()).abs() * 4.0;
    let whole_bars = bars >= 0.9 && off < OFF;
    whole_bars.then_some((0.95 - 0.2 * off / OFF) as f32)
}

/// Whether a sample is made to be repeated: because its name says so, or because
/// it sounds like it.
fn is_loop(name: Option<&str>, shape: &Shape<'_>, heard: Option<f32>) -> Option<bool> {
    if !shape.levels.sounding || shape.seconds > LONGEST_LOOP {
        return None;
    }
    let words = name.map(instrument::words).unwrap_or_default();
    let says = |spellings: &[&str]| words.iter().any(|word| spellings.contains(&word.as_str()));
    if says(&["loop", "loops", "looped", "drumloop"]) {
        return Some(true);
    }
    if says(&["oneshot", "oneshots", "hit", "hits"]) {
        return Some(false);
    }
    heard.map(|probability| probability > 0.5)
}
