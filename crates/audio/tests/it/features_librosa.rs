//! Every value against librosa's own, on committed clips.
//!
//! `tools/make_feature_fixtures.py` makes clips and values again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use songrec_audio::{dsp::SAMPLE_RATE, features::extract};

/// How far a value may be from librosa's: this much, and this share of it.
#[derive(Clone, Copy)]
struct Tolerance {
    absolute: f64,
    relative: f64,
}

const fn within(absolute: f64, relative: f64) -> Tolerance {
    Tolerance { absolute, relative }
}

/// Coefficients are sums of 128 decibels, each rounded to f32 from a transform
/// in f32; near the cut 80 dB down the transform's own noise shows. A thousandth
/// of a decibel is 0.01 of the first coefficient.
const MFCC: Tolerance = within(0.02, 1e-3);
/// Classes are shares of the strongest; a hundredth of a semitone of tuning
/// is the grid, so both must have found the same.
const CHROMA: Tolerance = within(1e-3, 1e-3);
/// Hz, from sums of magnitudes in f32.
const HZ: Tolerance = within(0.5, 1e-3);
/// Counts of samples, exact up to the rounding of f32.
const SHARE: Tolerance = within(1e-6, 1e-4);
/// What a transform in f32 leaves where there is nothing: a constant offset
/// has no overtones, and a click's flat spectrum no peaks to be tuned by.
const NOISE: Tolerance = within(0.01, 0.03);
/// One of a grid of lags, or none.
const TEMPO: Tolerance = within(1e-3, 0.0);
/// The lowest octaves come from every second or fourth frame here, which shows
/// in percussion; with every frame the largest distance is a tenth of this.
const CHROMA_CQT: Tolerance = within(8e-3, 2e-3);
/// Decibels of single bins, of which the smallest are noise.
const CONTRAST: Tolerance = within(0.05, 2e-3);
const ONSET: Tolerance = within(2e-3, 2e-3);
/// Beats are whole frames of 23 ms; one that falls one frame aside moves the
/// deviation of 10 gaps by up to 5 ms.
const GAPS: Tolerance = within(5e-3, 0.0);

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/features"))
}

fn expected() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(fixtures().join("librosa.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all["clips"].take()).unwrap()
}

/// The samples of a clip: made by rule, or read from its 16-bit mono file.
fn samples(name: &str) -> Vec<f32> {
    let rate = SAMPLE_RATE as usize;
    let sine = |hz: f64, count: usize| -> Vec<f32> {
        let step = 2.0 * std::f64::consts::PI * hz / f64::from(SAMPLE_RATE);
        (0..count).map(|n| (0.5 * (step * n as f64).sin()) as f32).collect()
    };
    match name {
        "silence" => vec![0.0; rate],
        "click" => {
            let mut click = vec![0.0; rate];
            click[10_000] = 1.0;
            click
        }
        "offset" => vec![0.25; rate],
        "ten_milliseconds" => sine(1000.0, 220),
        "one_hop" => sine(440.0, 512),
        _ => {
            let bytes = std::fs::read(fixtures().join(format!("{name}.wav"))).unwrap();
            assert_eq!(&bytes[36..40], b"data", "a plain header of 44 bytes");
            bytes[44..]
                .chunks_exact(2)
                .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
                .collect()
        }
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Says which of `actual` are farther from `expected` than they may be.
fn compare(
    clip: &str,
    feature: &str,
    actual: &[f32],
    expected: &[f64],
    tolerance: Tolerance,
    complaints: &mut Vec<String>,
) {
    assert_eq!(actual.len(), expected.len(), "{clip}: {feature}");
    let mut worst = 0.0f64;
    for (at, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let distance = (f64::from(actual) - expected).abs();
        let allowed = tolerance.absolute + tolerance.relative * expected.abs();
        worst = worst.max(distance / allowed);
        if distance.is_nan() || distance > allowed {
            complaints.push(format!("{clip}: {feature} {at} is {actual}, librosa has {expected}"));
        }
    }
    // Shown by `--nocapture`: how much of the tolerance is used.
    println!("{clip:20} {feature:20} {:6.1} %", 100.0 * worst);
}

#[test]
fn the_45_values_are_those_of_librosa() {
    let mut complaints = Vec::new();
    for (clip, expected) in expected() {
        let raw = extract(&samples(&clip), None).raw45.unwrap();

        let expected = numbers(&expected["dsp45"]);
        for (feature, range, tolerance) in [
            ("mfcc", 0..26, MFCC),
            ("chroma", 26..38, CHROMA),
            ("centroid", 38..40, HZ),
            ("rolloff", 40..41, HZ),
            ("zcr", 41..42, SHARE),
            ("tempo", 42..43, TEMPO),
            ("rms", 43..44, SHARE),
            ("bandwidth", 44..45, HZ),
        ] {
            let tolerance = match (clip.as_str(), feature) {
                ("offset", "bandwidth") | ("click", "chroma") => NOISE,
                _ => tolerance,
            };
            let (actual, expected) = (&raw[range.clone()], &expected[range]);
            compare(&clip, feature, actual, expected, tolerance, &mut complaints);
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_six_groups_are_those_of_librosa() {
    let mut complaints = Vec::new();
    for (clip, expected) in expected() {
        let groups = extract(&samples(&clip), None).features.groups.unwrap();

        let expected = |group: &str| numbers(&expected["dsp47"][group]);
        let rhythm = expected("rhythm");
        let complaints = &mut complaints;
        compare(&clip, "mfcc", &groups.mfcc, &expected("mfcc"), MFCC, complaints);
        compare(&clip, "chroma_cqt", &groups.chroma, &expected("chroma"), CHROMA_CQT, complaints);
        let contrast = expected("spectral_contrast");
        let tolerance = if clip == "offset" { NOISE } else { CONTRAST };
        compare(&clip, "contrast", &groups.spectral_contrast, &contrast, tolerance, complaints);
        compare(&clip, "tempo", &groups.rhythm[..1], &rhythm[..1], TEMPO, complaints);
        compare(&clip, "beat gaps", &groups.rhythm[1..2], &rhythm[1..2], GAPS, complaints);
        compare(&clip, "onset", &groups.rhythm[2..], &rhythm[2..], ONSET, complaints);
        compare(&clip, "zcr", &groups.zcr, &expected("zcr"), SHARE, complaints);
        compare(&clip, "rms", &groups.rms, &expected("rms"), SHARE, complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
