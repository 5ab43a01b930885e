//! Signals that `tools/make_test_models.py` makes in the same way.

use std::{f64::consts::TAU, fs, path::Path};

/// 16-bit samples of a signal.
pub(crate) fn signal(kind: &str, rate: u32, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds).round() as usize;
    let sample: Box<dyn FnMut(f64) -> f64> = match kind {
        "noise" => scaled_noise(1, 0.4),
        "sine" => Box::new(|t| 0.5 * (TAU * 440.0 * t).sin()),
        "quiet" => scaled_noise(2, 0.001),
        "silence" => Box::new(|_| 0.0),
        "chirp" => Box::new(|t| 0.3 * (TAU * (100.0 + 300.0 * t) * t).sin()),
        "music" => music(),
        _ => panic!("no signal is called {kind}"),
    };
    let times = (0..count).map(|n| n as f64 / f64::from(rate));
    times.map(sample).map(|x| (x * 32767.0).round_ties_even() as i16).collect()
}

/// Four chords of two seconds each, over and over, with a beat.
fn music() -> Box<dyn FnMut(f64) -> f64> {
    const CHORDS: [[f64; 3]; 4] = [
        [220.0, 277.2, 329.6],
        [174.6, 220.0, 261.6],
        [261.6, 329.6, 392.0],
        [196.0, 246.9, 293.7],
    ];
    let mut noise = noise(3);
    Box::new(move |t| {
        let chord = CHORDS[(t / 2.0).floor() as usize % 4];
        let voices = chord.iter().zip(1..);
        let tones: f64 = voices.map(|(hz, n)| 0.1 * (TAU * hz * f64::from(n) * t).sin()).sum();
        tones + 0.5 * noise() * (-(t % 0.5) * 30.0).exp()
    })
}

fn scaled_noise(seed: u32, scale: f64) -> Box<dyn FnMut(f64) -> f64> {
    let mut noise = noise(seed);
    Box::new(move |_| scale * noise())
}

/// Uniform in [-0.5, 0.5).
fn noise(seed: u32) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) - 0.5
    }
}

pub(crate) fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|&sample| f32::from(sample) / 32768.0).collect()
}

/// Writes a WAV file of one channel.
pub(crate) fn write_wav(path: &Path, rate: u32, samples: &[i16]) {
    let bytes = 2 * samples.len() as u32;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend(1u16.to_le_bytes());
    wav.extend(1u16.to_le_bytes());
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend(2u16.to_le_bytes());
    wav.extend(16u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    fs::write(path, wav).unwrap();
}
