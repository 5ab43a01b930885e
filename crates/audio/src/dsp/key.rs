//! The key of a song from its pitch classes.

use songrec_core::{Key, Mode};

use super::{
    chroma::CLASSES,
    cqt::OCTAVES,
    key_weights::{PROFILES, SURE},
    stft::HOP,
    tempo::{logistic, odds},
};

/// Octaves from C1 of bass, middle and treble: the same pitch class says
/// something else of the key in each.
const REGISTERS: [std::ops::Range<usize>; 3] = [0..2, 2..4, 4..OCTAVES];
/// The length of a song's values.
const LENGTH: f64 = 3.0;
/// The share of loud hops' level from which on loudness counts as its logarithm.
const SOFT: f32 = 0.5;
/// Less than this stands above the noise in no song.
const LEAST_LEVEL: f64 = 1e-3;
/// How unlike each other the classes are at least where there are tones: half of
/// all rendered pieces have 0.5 and none has less than 0.27, while a second of
/// noise has 0.24 and ten seconds have 0.08.
const LEAST_CLEAR: f64 = 0.25;

/// Pitch classes of the registers.
type Registers = [[f64; CLASSES]; REGISTERS.len()];

/// The magnitude of tones from which on their logarithm counts, for
/// [`cqt::sum`](super::cqt::sum), from the energies of hops.
pub(super) fn soft(energies: &[f32]) -> f32 {
    let mut levels: Vec<f32> = energies.iter().map(|e| (e / HOP as f32).sqrt()).collect();
    let at = (0.95 * levels.len().saturating_sub(1) as f64) as usize;
    if levels.is_empty() {
        return 1.0;
    }
    let (_, loud, _) = levels.select_nth_unstable_by(at, f32::total_cmp);
    SOFT * *loud + 1e-7
}

/// The likeliest key and how likely it is right, 0 to 1, of a song whose
/// octaves have these pitch classes.
///
/// Profiles and the confidence are fitted by `tools/tempo_key/fit.py`. A sound
/// without a key, such as drums, has one of a low confidence.
pub(super) fn key(pitches: &[[f64; CLASSES]; OCTAVES], seconds: f64) -> Option<(Key, f64)> {
    let mut registers: Registers = Default::default();
    for (register, octaves) in registers.iter_mut().zip(REGISTERS) {
        for octave in &pitches[octaves] {
            for (sum, value) in register.iter_mut().zip(octave) {
                *sum += value;
            }
        }
    }
    let level = length(&registers);
    for register in &mut registers {
        let mean = register.iter().sum::<f64>() / CLASSES as f64;
        for value in register {
            *value -= mean;
        }
    }
    let clear = length(&registers);
    if level < LEAST_LEVEL || clear < LEAST_CLEAR * level {
        return None;
    }
    for value in registers.as_flattened_mut() {
        *value *= LENGTH / clear;
    }
    let keys = [Mode::Major, Mode::Minor]
        .into_iter()
        .zip(&PROFILES)
        .flat_map(|(mode, profile)| (0..CLASSES).map(move |tonic| (tonic, mode, profile)));
    let scores: Vec<(Key, f64)> = keys
        .map(|(tonic, mode, profile)| {
            (Key::new(tonic as u8, mode), score(&registers, tonic, profile))
        })
        .collect();
    let &(key, top) = scores.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let share = 1.0 / scores.iter().map(|(_, score)| (score - top).exp()).sum::<f64>();
    let values = [odds(share), clear / level, (level + 0.1).ln(), seconds.min(30.0).sqrt()];
    Some((key, logistic(&values, &SURE)))
}

fn length(registers: &Registers) -> f64 {
    registers.as_flattened().iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// How well the registers fit a profile of a mode, whose last weight is its
/// own, in natural logarithms.
fn score(registers: &Registers, tonic: usize, profile: &[f32]) -> f64 {
    let (degrees, own) = profile.split_at(REGISTERS.len() * CLASSES);
    let products = degrees.chunks_exact(CLASSES).zip(registers).flat_map(|(weights, register)| {
        (weights.iter().enumerate())
            .map(move |(degree, w)| f64::from(*w) * register[(tonic + degree) % CLASSES])
    });
    products.sum::<f64>() + f64::from(own[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same pitch classes in two octaves of each register.
    fn scale(degrees: &[(usize, f64)]) -> [[f64; CLASSES]; OCTAVES] {
        let mut classes = [0.1; CLASSES];
        for &(degree, weight) in degrees {
            classes[degree % CLASSES] = weight;
        }
        [classes; OCTAVES]
    }

    #[test]
    fn a_cadence_is_in_its_key() {
        for tonic in 0..12 {
            // Tonic, subdominant and dominant triads.
            let major = [0, 4, 7, 5, 9, 2, 11]
                .map(|d| (d + tonic, if d == 0 || d == 7 { 1.0 } else { 0.5 }));
            let minor = [0, 3, 7, 5, 8, 2, 10]
                .map(|d| (d + tonic, if d == 0 || d == 7 { 1.0 } else { 0.5 }));

            let (found_major, confidence) = key(&scale(&major), 30.0).unwrap();
            let (found_minor, _) = key(&scale(&minor), 30.0).unwrap();

            assert_eq!(found_major, Key::new(tonic as u8, Mode::Major));
            assert_eq!(found_minor, Key::new(tonic as u8, Mode::Minor));
            assert!(confidence > 0.5, "{confidence}");
        }
    }

    #[test]
    fn silence_and_noise_have_no_key() {
        assert_eq!(key(&[[0.0; CLASSES]; OCTAVES], 30.0), None);
        assert_eq!(key(&[[0.7; CLASSES]; OCTAVES], 30.0), None);
    }
}
