//! Ten kinds of sound, and five members of each that differ in pitch, length,
//! timbre and level.

use std::f64::consts::TAU;

use crate::synth::{
    Filter, Noise, Oscillator, Pass, Stereo, centre, decay, mix, note, render, samples, string,
    swell, time,
};

/// A kind of sound: its folder, its tags, and its members.
pub(crate) struct Kind {
    pub(crate) folder: &'static str,
    pub(crate) album: &'static str,
    pub(crate) genre: &'static str,
    pub(crate) members: [(&'static str, Stereo); 5],
}

/// All kinds.
pub(crate) fn all() -> Vec<Kind> {
    vec![
        Kind {
            folder: "bass",
            album: "Low End",
            genre: "Bass",
            members: [
                ("Rubber Bass", bass(33.0, 1.4, 0.35, 6.0, 0.4)),
                ("Round Bass", bass(28.0, 1.8, 0.5, 4.0, 0.2)),
                ("Growl Bass", bass(31.0, 1.6, 0.6, 9.0, 0.8)),
                ("Short Bass", bass(36.0, 1.2, 0.25, 7.0, 0.5)),
                ("Deep Bass", bass(26.0, 2.0, 0.7, 5.0, 0.3)),
            ],
        },
        Kind {
            folder: "bell",
            album: "Metal and Glass",
            genre: "Percussion",
            members: [
                ("Tower Bell", bell(69.0, 2.2, 0.7, 0.9)),
                ("Hand Bell", bell(76.0, 1.8, 0.5, 0.8)),
                ("Glass Bell", bell(81.0, 1.6, 0.45, 0.7)),
                ("Temple Bell", bell(74.0, 2.4, 0.8, 1.0)),
                ("Desk Bell", bell(88.0, 1.4, 0.4, 1.1)),
            ],
        },
        Kind {
            folder: "hihat",
            album: "Drum Cabinet",
            genre: "Drums",
            members: [
                ("Closed Hat", hihat(7_500.0, 0.35, 0.03, 0.7)),
                ("Tight Hat", hihat(8_500.0, 0.3, 0.02, 0.5)),
                ("Loose Hat", hihat(7_000.0, 0.5, 0.07, 0.8)),
                ("Open Hat", hihat(6_800.0, 0.8, 0.17, 0.6)),
                ("Sizzle Hat", hihat(8_000.0, 0.7, 0.12, 0.9)),
            ],
        },
        Kind {
            folder: "kick",
            album: "Drum Cabinet",
            genre: "Drums",
            members: [
                ("Soft Kick", kick(48.0, 0.6, 0.16, 0.05, 1.2)),
                ("Long Kick", kick(44.0, 0.9, 0.28, 0.1, 1.5)),
                ("Hard Kick", kick(55.0, 0.5, 0.12, 0.2, 3.0)),
                ("Room Kick", kick(58.0, 0.7, 0.15, 0.12, 2.0)),
                ("Club Kick", kick(50.0, 0.6, 0.2, 0.15, 2.5)),
            ],
        },
        Kind {
            folder: "pad",
            album: "Slow Weather",
            genre: "Ambient",
            members: [
                ("Morning Pad", pad(&[57.0, 60.0, 64.0, 71.0], 2.5, 900.0, 1)),
                ("Winter Pad", pad(&[50.0, 57.0, 60.0, 65.0], 2.8, 700.0, 2)),
                ("Harbour Pad", pad(&[55.0, 59.0, 62.0, 66.0], 2.4, 1_200.0, 3)),
                ("Cloud Pad", pad(&[52.0, 59.0, 64.0, 67.0], 2.6, 1_000.0, 4)),
                ("Dusk Pad", pad(&[53.0, 57.0, 60.0, 64.0], 3.0, 800.0, 5)),
            ],
        },
        Kind {
            folder: "pluck",
            album: "Small Strings",
            genre: "Folk",
            members: [
                ("Parlour Melody", pluck(&[0, 4, 7, 12, 7, 4, 9, 7], 57.0, 0.25, 0.6)),
                ("Harp Melody", pluck(&[12, 7, 3, 0, 3, 7, 10, 12], 55.0, 0.22, 0.45)),
                ("Porch Melody", pluck(&[0, 0, 7, 7, 9, 9, 7, 5], 60.0, 0.24, 0.75)),
                ("Lute Melody", pluck(&[0, 3, 5, 7, 10, 7, 5, 3], 62.0, 0.2, 0.55)),
                ("Kora Melody", pluck(&[7, 12, 11, 7, 4, 2, 0, 4], 59.0, 0.18, 0.7)),
            ],
        },
        Kind {
            folder: "riser",
            album: "Transitions",
            genre: "Effects",
            members: [
                ("Air Riser", riser(300.0, 9_000.0, 2.2, 1.6, 11)),
                ("Storm Riser", riser(200.0, 7_000.0, 2.5, 1.2, 12)),
                ("Steam Riser", riser(500.0, 11_000.0, 1.8, 2.0, 13)),
                ("Ocean Riser", riser(150.0, 6_000.0, 2.6, 1.0, 14)),
                ("Jet Riser", riser(400.0, 10_000.0, 2.0, 2.6, 15)),
            ],
        },
        Kind {
            folder: "rock",
            album: "Garage Door",
            genre: "Rock",
            members: [
                ("Highway Riff", rock(&[40.0, 40.0, 43.0, 45.0], 132.0, 5.0, 21)),
                ("Basement Riff", rock(&[38.0, 41.0, 38.0, 36.0], 120.0, 8.0, 22)),
                ("Stadium Riff", rock(&[45.0, 43.0, 41.0, 43.0], 140.0, 6.0, 23)),
                ("Amber Riff", rock(&[42.0, 45.0, 47.0, 42.0], 126.0, 10.0, 24)),
                ("Gravel Riff", rock(&[41.0, 41.0, 39.0, 44.0], 150.0, 12.0, 25)),
            ],
        },
        Kind {
            folder: "snare",
            album: "Drum Cabinet",
            genre: "Drums",
            members: [
                ("Crisp Snare", snare(210.0, 0.45, 0.09, 0.9, 31)),
                ("Fat Snare", snare(175.0, 0.6, 0.14, 0.7, 32)),
                ("Piccolo Snare", snare(260.0, 0.4, 0.07, 1.0, 33)),
                ("Gated Snare", snare(190.0, 0.5, 0.12, 0.8, 34)),
                ("Brush Snare", snare(200.0, 0.55, 0.11, 1.1, 35)),
            ],
        },
        Kind {
            folder: "voice",
            album: "Vowels",
            genre: "Vocal",
            members: [
                ("Low Ah", voice(45.0, 1.8, ["a", "a"], 0.2)),
                ("Oh to Ah", voice(50.0, 1.6, ["o", "a"], 0.3)),
                ("High Ah", voice(57.0, 1.5, ["a", "e"], 0.35)),
                ("Eh to Oh", voice(48.0, 2.0, ["e", "o"], 0.25)),
                ("Choir Oh", voice(52.0, 1.7, ["o", "o"], 0.4)),
            ],
        },
    ]
}

/// A falling sine with a click, driven into saturation.
fn kick(hz: f64, seconds: f64, fall: f64, click: f64, drive: f64) -> Stereo {
    let mut body = Oscillator::new(0.0);
    let mut noise = Noise::new(hz as u64);
    centre(render(seconds, |t| {
        let pitch = hz * (1.0 + 5.0 * (-t / 0.02).exp() + 0.6 * (-t / 0.09).exp());
        let tone = body.sine(pitch) * decay(t, 0.001, fall);
        (drive * (tone + click * noise.next() * decay(t, 0.0, 0.004))).tanh()
    }))
}

/// Two modes of a skin over rattling noise.
fn snare(hz: f64, seconds: f64, fall: f64, rattle: f64, seed: u64) -> Stereo {
    let mut modes = [Oscillator::new(0.0), Oscillator::new(0.0)];
    let mut noise = Noise::new(seed);
    let mut high = Filter::new(Pass::High, 0.8);
    let mut top = Filter::new(Pass::Low, 0.7);
    centre(render(seconds, |t| {
        let bend = 1.0 + 0.4 * (-t / 0.012).exp();
        let skin = modes[0].sine(hz * bend) + 0.6 * modes[1].sine(hz * 1.59 * bend);
        let wires = top.run(high.run(noise.next(), 1_300.0), 9_000.0);
        0.7 * skin * decay(t, 0.001, fall * 0.5) + rattle * wires * decay(t, 0.001, fall)
    }))
}

/// Six squares that agree on nothing, through a high-pass filter.
fn hihat(cut: f64, seconds: f64, fall: f64, hiss: f64) -> Stereo {
    const RATIOS: [f64; 6] = [2.0, 3.0, 4.16, 5.43, 6.79, 8.21];
    let mut squares = RATIOS.map(|ratio| Oscillator::new(ratio / 9.0));
    let mut noise = Noise::new(cut as u64);
    let mut first = Filter::new(Pass::High, 0.9);
    let mut second = Filter::new(Pass::High, 0.7);
    centre(render(seconds, |t| {
        let metal: f64 = squares
            .iter_mut()
            .zip(RATIOS)
            .map(|(square, ratio)| square.square(ratio * 205.0))
            .sum();
        let bright = first.run(metal / 6.0 + hiss * noise.next(), cut);
        second.run(bright, cut) * decay(t, 0.001, fall)
    }))
}

/// A saw and a sub-octave through a closing low-pass filter.
fn bass(pitch: f64, seconds: f64, fall: f64, opening: f64, saw: f64) -> Stereo {
    let hz = note(pitch);
    let mut oscillators = [Oscillator::new(0.0), Oscillator::new(0.3), Oscillator::new(0.0)];
    let mut low = Filter::new(Pass::Low, 1.4);
    centre(render(seconds, |t| {
        let [one, two, sub] = &mut oscillators;
        let raw = saw * (one.saw(hz) + two.saw(hz * 1.005)) + 0.8 * sub.sine(hz);
        let cut = hz * (1.5 + opening * (-t / (fall * 0.5)).exp());
        (1.5 * low.run(raw, cut)).tanh()
            * swell(t, 0.01, 0.15, seconds)
            * (0.3 + decay(t, 0.0, fall))
    }))
}

/// A chord of detuned saws behind a slow filter, wide.
fn pad(chord: &[f64], seconds: f64, cut: f64, seed: u64) -> Stereo {
    let mut noise = Noise::new(seed);
    [0.0, 0.5].map(|side| {
        let mut sum = vec![0.0; samples(seconds)];
        for &pitch in chord {
            for detune in [-0.09, 0.0, 0.08] {
                let hz = note(pitch + detune * (1.0 + 0.3 * side));
                let mut voice = Oscillator::new((noise.next() + 1.0) / 2.0);
                let part = render(seconds, |_| voice.saw(hz));
                mix(&mut sum, &part, 0.0, 1.0 / (3.0 * chord.len() as f64));
            }
        }
        let mut low = Filter::new(Pass::Low, 0.8);
        sum.iter()
            .enumerate()
            .map(|(n, &sample)| {
                let t = time(n);
                let slow = 1.0 + 0.35 * (TAU * (0.3 * t + side)).sin();
                low.run(sample, cut * slow) * swell(t, 0.7, 0.8, seconds)
            })
            .collect()
    })
}

/// A melody on plucked strings.
fn pluck(steps: &[u8], root: f64, beat: f64, brightness: f64) -> Stereo {
    let seconds = beat * steps.len() as f64 + 0.6;
    let mut sum = vec![0.0; samples(seconds)];
    for (at, &step) in steps.iter().enumerate() {
        let seed = 100 + at as u64 + root as u64;
        let tone = string(note(root + f64::from(step)), 0.9, brightness, 0.994, seed);
        mix(&mut sum, &tone, at as f64 * beat, if at % 4 == 0 { 1.0 } else { 0.75 });
    }
    let whole = sum.iter().enumerate();
    centre(whole.map(|(n, sample)| sample * swell(time(n), 0.001, 0.2, seconds)).collect())
}

/// A glottal pulse through three formants that glide from vowel to vowel.
fn voice(pitch: f64, seconds: f64, vowels: [&str; 2], vibrato: f64) -> Stereo {
    let formants = |vowel| match vowel {
        "a" => [730.0, 1_090.0, 2_440.0],
        "e" => [530.0, 1_840.0, 2_480.0],
        _ => [470.0, 840.0, 2_410.0],
    };
    let [from, to] = vowels.map(formants);
    let mut pulse = Oscillator::new(0.0);
    let mut breath = Noise::new(pitch as u64);
    let mut tilt = Filter::new(Pass::Low, 0.6);
    let mut filters = [9.0, 10.0, 12.0].map(|sharpness| Filter::new(Pass::Band, sharpness));
    centre(render(seconds, |t| {
        let hz = note(pitch + vibrato * (TAU * 5.3 * t).sin() * (t * 2.0).min(1.0));
        let source = tilt.run(pulse.saw(hz), 1_800.0) + 0.01 * breath.next();
        let glide = (t / seconds).clamp(0.0, 1.0);
        let sung: f64 = filters
            .iter_mut()
            .zip([1.0, 0.6, 0.3])
            .enumerate()
            .map(|(n, (filter, level))| {
                level * filter.run(source, from[n] + (to[n] - from[n]) * glide)
            })
            .sum();
        sung * swell(t, 0.12, 0.25, seconds)
    }))
}

/// Noise through a band-pass filter that climbs.
fn riser(from: f64, to: f64, seconds: f64, sharpness: f64, seed: u64) -> Stereo {
    [0, 1].map(|side| {
        let mut noise = Noise::new(seed * 2 + side);
        let mut band = Filter::new(Pass::Band, sharpness);
        render(seconds, |t| {
            let way = t / seconds;
            let hz = from * (to / from).powf(way);
            band.run(noise.next(), hz) * way.powf(1.5) * swell(t, 0.05, 0.06, seconds)
        })
    })
}

/// Partials in the ratios of cast bells, the high ones fading first.
fn bell(pitch: f64, seconds: f64, fall: f64, strike: f64) -> Stereo {
    const PARTIALS: [(f64, f64); 10] = [
        (0.5, 0.25),
        (1.0, 0.8),
        (1.2, 0.7),
        (1.5, 0.4),
        (2.0, 0.9),
        (2.67, 0.6),
        (3.01, 0.4),
        (4.17, 0.6),
        (5.43, 0.5),
        (6.8, 0.4),
    ];
    let hz = note(pitch);
    let mut oscillators = PARTIALS.map(|_| Oscillator::new(0.0));
    let mut clapper = Noise::new(pitch as u64);
    let mut high = Filter::new(Pass::High, 0.7);
    centre(render(seconds, |t| {
        let ringing: f64 = oscillators
            .iter_mut()
            .zip(PARTIALS)
            .map(|(oscillator, (ratio, level))| {
                let own = if ratio > 1.0 { level * strike } else { level };
                own * oscillator.sine(hz * ratio) * decay(t, 0.002, fall / ratio.powf(0.3))
            })
            .sum();
        let hit = high.run(clapper.next(), 5_000.0) * decay(t, 0.0, 0.006);
        (ringing + strike * hit) * swell(t, 0.001, 0.1, seconds)
    }))
}

/// Two bars of drums under distorted fifths.
fn rock(roots: &[f64; 4], tempo: f64, drive: f64, seed: u64) -> Stereo {
    let beat = 60.0 / tempo;
    let seconds = 8.0 * beat;
    let mut drums = vec![0.0; samples(seconds)];
    let [kick, _] = kick(52.0, 0.4, 0.12, 0.2, 2.5);
    let [snare, _] = snare(195.0, 0.35, 0.1, 0.9, seed);
    let [hat, _] = hihat(7_200.0, 0.2, 0.04, 0.7);
    for half in 0..16 {
        let at = half as f64 * beat / 2.0;
        mix(&mut drums, &hat, at, 0.5);
        if matches!(half % 8, 0 | 3 | 4) {
            mix(&mut drums, &kick, at, 0.8);
        }
        if half % 4 == 2 {
            mix(&mut drums, &snare, at, 0.7);
        }
    }
    [0.0, 0.4].map(|side| {
        let mut whole = drums.clone();
        for (bar, &root) in roots.iter().enumerate() {
            let mut strings = [0.0, 7.0, 12.0].map(|fifth| {
                (note(root + fifth + 0.05 * side), Oscillator::new(side + fifth / 30.0))
            });
            let mut cabinet = Filter::new(Pass::Low, 0.8);
            let length = 2.0 * beat;
            let riff = render(length, |t| {
                // Eighths, damped by the hand.
                let eighth = t % (beat / 2.0);
                let raw: f64 = strings.iter_mut().map(|(hz, saw)| saw.saw(*hz)).sum();
                let loud = (drive * raw * (0.5 + decay(eighth, 0.002, 0.15))).tanh();
                cabinet.run(loud, 4_200.0) * swell(t, 0.004, 0.02, length)
            });
            mix(&mut whole, &riff, bar as f64 * length, 0.35);
        }
        whole
    })
}
