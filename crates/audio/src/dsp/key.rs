//! The key of a song from its pitch classes.

use songrec_core::{Key, Mode};

use super::chroma::CLASSES;

/// How much of each degree, in semitones above the tonic, music in major and
/// in minor uses: Albrecht & Shanahan, *The Use of Large Corpora to Train a New
/// Type of Key-Finding Algorithm*, 2013.
const MAJOR: [f64; CLASSES] =
    [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081];
const MINOR: [f64; CLASSES] =
    [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052];

/// A worse fit than this is no key.
const LEAST_FIT: f64 = 0.3;

/// The key that fits best and how sure it is, 0 to 1: the fit, less if another
/// tonic fits nearly as well.
pub(super) fn key(chroma: &[f64; CLASSES]) -> Option<(Key, f64)> {
    let mut fits = Vec::with_capacity(2 * CLASSES);
    for tonic in 0..CLASSES {
        for (mode, profile) in [(Mode::Major, &MAJOR), (Mode::Minor, &MINOR)] {
            let mut turned = *chroma;
            turned.rotate_left(tonic);
            fits.push((correlation(&turned, profile)?, Key::new(tonic as u8, mode)));
        }
    }
    fits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (best, key) = fits[0];
    let second = fits[1].0;
    // A lead of 0.15 is as clear as keys get.
    let lead = ((best - second) / 0.15).clamp(0.0, 1.0);
    (best >= LEAST_FIT).then(|| (key, (best * (0.4 + 0.6 * lead)).clamp(0.0, 1.0)))
}

/// Pearson's; absent for a flat chroma.
fn correlation(chroma: &[f64; CLASSES], profile: &[f64; CLASSES]) -> Option<f64> {
    let mean = |values: &[f64; CLASSES]| values.iter().sum::<f64>() / CLASSES as f64;
    let (chroma_mean, profile_mean) = (mean(chroma), mean(profile));
    let mut products = 0.0;
    let mut squares = [0.0; 2];
    for (c, p) in chroma.iter().zip(profile) {
        let (c, p) = (c - chroma_mean, p - profile_mean);
        products += c * p;
        squares[0] += c * c;
        squares[1] += p * p;
    }
    (squares[0] > 1e-9).then(|| products / (squares[0] * squares[1]).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(degrees: &[(usize, f64)]) -> [f64; CLASSES] {
        let mut chroma = [0.1; CLASSES];
        for &(degree, weight) in degrees {
            chroma[degree % CLASSES] = weight;
        }
        chroma
    }

    #[test]
    fn a_cadence_is_in_its_key() {
        for tonic in 0..12 {
            // Tonic, subdominant and dominant triads.
            let major = [0, 4, 7, 5, 9, 2, 11]
                .map(|d| (d + tonic, if d == 0 || d == 7 { 1.0 } else { 0.5 }));
            let minor = [0, 3, 7, 5, 8, 2, 10]
                .map(|d| (d + tonic, if d == 0 || d == 7 { 1.0 } else { 0.5 }));

            let (found_major, confidence) = key(&scale(&major)).unwrap();
            let (found_minor, _) = key(&scale(&minor)).unwrap();

            assert_eq!(found_major, Key::new(tonic as u8, Mode::Major));
            assert_eq!(found_minor, Key::new(tonic as u8, Mode::Minor));
            assert!(confidence > 0.4, "{confidence}");
        }
    }

    #[test]
    fn silence_and_noise_have_no_key() {
        assert_eq!(key(&[0.0; CLASSES]), None);
        assert_eq!(key(&[0.7; CLASSES]), None);
    }
}
