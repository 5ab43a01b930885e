//! Guessing moods from features: rules of thumb, not a trained model.

use songrec_core::{Features, Key, Mode};

/// At most so many moods are reported, the strongest.
const MOST: usize = 3;

/// The moods of a song, the strongest first.
///
/// Each mood is scored by features that ramp from 0 to 1 between two values
/// taken from common practice (a calm song has fewer than two onsets a
/// second, a fast one more than 130 BPM …) and reported from a score of 0.6.
pub(super) fn moods(features: &Features) -> Vec<String> {
    let Some(loudness) = features.loudness_lufs else { return Vec::new() };
    let value = |value: Option<f32>, default: f32| f64::from(value.unwrap_or(default));
    let onsets = value(features.onset_rate, 0.0);
    let centroid = value(features.spectral_centroid_hz, 1500.0);
    let flatness = value(features.spectral_flatness, 0.0);
    let range = value(features.dynamic_range_db, 10.0);
    let salience = value(features.pitch_salience, 0.0);
    let loud = ramp(f64::from(loudness), -20.0, -9.0);
    let busy = ramp(onsets, 1.5, 5.0);
    let bright = ramp(centroid, 1400.0, 3200.0);
    let noisy = ramp(flatness, 0.005, 0.08);
    let beat = value(features.bpm_confidence, 0.0);
    let fast = features.bpm.map_or(0.4, |bpm| ramp(f64::from(bpm), 85.0, 140.0));
    let sure = value(features.key_confidence, 0.0);
    // Drums have no key, and are neither happy nor sad by it.
    let mode = |wanted: Mode| features.sure_key().map(Key::mode) == Some(wanted);
    let major = if mode(Mode::Major) { 0.5 + sure / 2.0 } else { 0.0 };
    let minor = if mode(Mode::Minor) { 0.5 + sure / 2.0 } else { 0.0 };
    let mut scores = [
        ("energetic", mean([loud, busy, fast, beat])),
        ("calm", mean([1.0 - loud, 1.0 - busy, 1.0 - noisy, 1.0 - fast])),
        ("aggressive", mean([loud, noisy, bright, busy])),
        ("dark", mean([1.0 - bright, 1.0 - bright, minor])),
        ("bright", mean([bright, bright, 1.0 - noisy])),
        ("happy", mean([major, bright, fast, beat])),
        ("sad", mean([minor, 1.0 - fast, 1.0 - busy, 1.0 - bright])),
        ("dramatic", mean([ramp(range, 15.0, 35.0), minor, loud])),
        ("danceable", mean([beat, fast, 1.0 - ramp(range, 12.0, 30.0), busy])),
        ("dreamy", mean([salience, 1.0 - busy, 1.0 - beat, 1.0 - noisy])),
    ];
    // A stable sort: of equals, the order above.
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores
        .iter()
        .filter(|(_, score)| *score >= 0.6)
        .take(MOST)
        .map(|(m, _)| (*m).to_owned())
        .collect()
}

fn ramp(value: f64, low: f64, high: f64) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

fn mean<const N: usize>(parts: [f64; N]) -> f64 {
    parts.iter().sum::<f64>() / N as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_busy_and_fast_is_energetic_and_the_opposite_calm() {
        let energetic = Features {
            loudness_lufs: Some(-8.0),
            onset_rate: Some(6.0),
            bpm: Some(140.0),
            bpm_confidence: Some(0.9),
            spectral_centroid_hz: Some(2500.0),
            ..Features::default()
        };
        let calm = Features {
            loudness_lufs: Some(-26.0),
            onset_rate: Some(0.5),
            bpm: Some(70.0),
            bpm_confidence: Some(0.2),
            spectral_centroid_hz: Some(900.0),
            ..Features::default()
        };

        assert!(moods(&energetic).contains(&"energetic".to_owned()));
        assert!(moods(&calm).contains(&"calm".to_owned()));
        assert!(!moods(&calm).contains(&"energetic".to_owned()));
        assert!(moods(&Features::default()).is_empty());
    }
}
