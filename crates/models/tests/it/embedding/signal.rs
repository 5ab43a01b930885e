//! Signals that `tools/make_test_models.py` makes in the same way; all but the
//! song.

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
        "song" => song(),
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

/// Something like a pop song at 97 beats a minute, so that no shift by whole
/// seconds falls on a beat: drums, a bass, chords of plucked strings and a
/// melody; verses of eight bars without the snare and quieter, and choruses.
fn song() -> Box<dyn FnMut(f64) -> f64> {
    const BEAT: f64 = 60.0 / 97.0;
    // Semitones from A: the roots of Am, F, C and G, and what is stacked on them.
    const CHORDS: [(f64, [f64; 3]); 4] = [
        (0.0, [0.0, 3.0, 7.0]),
        (-4.0, [0.0, 4.0, 7.0]),
        (3.0, [0.0, 4.0, 7.0]),
        (-2.0, [0.0, 4.0, 7.0]),
    ];
    const MELODY: [f64; 16] = [
        12.0, 15.0, 17.0, 15.0, 12.0, 10.0, 12.0, 7.0, 15.0, 17.0, 19.0, 22.0, 19.0, 17.0, 15.0,
        17.0,
    ];
    let hz = |semitones: f64| 220.0 * (semitones / 12.0).exp2();
    // Harmonics that fade as one over their number, and faster when high.
    let string = move |hz: f64, t: f64| -> f64 {
        let harmonics = (1..=4).map(f64::from);
        harmonics.map(|n| (TAU * hz * n * t).sin() * (-t * n * 1.5).exp() / n).sum()
    };
    let mut noise = noise(4);
    Box::new(move |t| {
        let beats = t / BEAT;
        let bar = (beats / 4.0) as usize;
        let is_chorus = (bar / 8) % 2 == 1;
        let (root, chord) = CHORDS[bar % 4];
        let since = |every: f64, offset: f64| (beats - offset).rem_euclid(every) * BEAT;

        let kick = since(2.0, 0.0);
        let kick = 0.5
            * (TAU * (50.0 * kick + 8.0 * (1.0 - (-kick * 30.0).exp()))).sin()
            * (-kick * 12.0).exp();
        let hat = 0.12 * noise() * (-since(0.5, 0.0) * 60.0).exp();
        let snare = if is_chorus { 0.4 * noise() * (-since(2.0, 1.0) * 18.0).exp() } else { 0.0 };
        let bass = 0.16 * string(hz(root - 24.0), since(1.0, 0.0));
        let strummed = since(1.0, 0.5);
        let chord: f64 =
            chord.iter().map(|note| 0.06 * string(hz(root + note - 12.0), strummed)).sum();
        let melody = 0.12 * string(hz(MELODY[beats as usize % 16]), since(1.0, 0.0));
        (kick + hat + snare + bass + chord + melody) * if is_chorus { 1.0 } else { 0.7 }
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
