//! Sound from arithmetic: oscillators, noise, filters and envelopes.

use std::f64::consts::{PI, TAU};

/// Samples per second of everything that is synthesised.
pub(crate) const RATE: f64 = 44_100.0;

/// A sound, one vector of samples per channel.
pub(crate) type Stereo = [Vec<f64>; 2];

/// The number of samples in so many seconds.
pub(crate) fn samples(seconds: f64) -> usize {
    (seconds * RATE).round() as usize
}

/// The time of a sample in seconds.
pub(crate) fn time(sample: usize) -> f64 {
    sample as f64 / RATE
}

/// The frequency of a MIDI note in Hz.
pub(crate) fn note(number: f64) -> f64 {
    440.0 * ((number - 69.0) / 12.0).exp2()
}

/// Evaluates `wave` at every sample of so many seconds.
pub(crate) fn render(seconds: f64, mut wave: impl FnMut(f64) -> f64) -> Vec<f64> {
    (0..samples(seconds)).map(|sample| wave(time(sample))).collect()
}

/// Random numbers that are the same on every machine: xorshift64*.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// White noise between −1 and 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// An oscillator whose frequency may change from sample to sample.
pub(crate) struct Oscillator {
    phase: f64,
}

impl Oscillator {
    pub(crate) fn new(phase: f64) -> Self {
        Self { phase }
    }

    fn advance(&mut self, hz: f64) -> (f64, f64) {
        let step = hz / RATE;
        let phase = self.phase;
        self.phase = (self.phase + step).fract();
        (phase, step)
    }

    pub(crate) fn sine(&mut self, hz: f64) -> f64 {
        (self.advance(hz).0 * TAU).sin()
    }

    pub(crate) fn saw(&mut self, hz: f64) -> f64 {
        let (phase, step) = self.advance(hz);
        2.0 * phase - 1.0 - smooth_edge(phase, step)
    }

    pub(crate) fn square(&mut self, hz: f64) -> f64 {
        let (phase, step) = self.advance(hz);
        let level = if phase < 0.5 { 1.0 } else { -1.0 };
        level + smooth_edge(phase, step) - smooth_edge((phase + 0.5).fract(), step)
    }
}

/// Takes most of the aliasing off an edge (PolyBLEP; Välimäki and Huovilainen,
/// "Antialiasing oscillators in subtractive synthesis", 2007).
fn smooth_edge(phase: f64, step: f64) -> f64 {
    if phase < step {
        let t = phase / step;
        t + t - t * t - 1.0
    } else if phase > 1.0 - step {
        let t = (phase - 1.0) / step;
        t * t + t + t + 1.0
    } else {
        0.0
    }
}

/// What a filter lets through.
#[derive(Clone, Copy)]
pub(crate) enum Pass {
    Low,
    Band,
    High,
}

/// A state-variable filter (Simper, "Solving the continuous SVF equations",
/// 2013) whose frequency may change from sample to sample.
pub(crate) struct Filter {
    pass: Pass,
    resonance: f64,
    state: [f64; 2],
}

impl Filter {
    pub(crate) fn new(pass: Pass, resonance: f64) -> Self {
        Self { pass, resonance, state: [0.0; 2] }
    }

    pub(crate) fn run(&mut self, input: f64, hz: f64) -> f64 {
        let g = (PI * hz.clamp(10.0, RATE * 0.45) / RATE).tan();
        let k = 1.0 / self.resonance;
        let [low, band] = self.state;
        let a = 1.0 / (1.0 + g * (g + k));
        let v1 = a * (band + g * (input - low));
        let v2 = low + g * v1;
        self.state = [2.0 * v2 - low, 2.0 * v1 - band];
        match self.pass {
            Pass::Low => v2,
            Pass::Band => k * v1,
            Pass::High => input - k * v1 - v2,
        }
    }
}

/// Rises over `attack` seconds, then falls by a factor of e every `decay`.
pub(crate) fn decay(t: f64, attack: f64, decay: f64) -> f64 {
    if t < 0.0 {
        0.0
    } else if t < attack {
        t / attack
    } else {
        (-(t - attack) / decay).exp()
    }
}

/// Rises over `attack` and falls over `release` at the end of `length`.
pub(crate) fn swell(t: f64, attack: f64, release: f64, length: f64) -> f64 {
    let ramp = |x: f64| (x.clamp(0.0, 1.0) * PI * 0.5).sin();
    ramp(t / attack) * ramp((length - t) / release)
}

/// A plucked string (Karplus and Strong, 1983).
pub(crate) fn string(hz: f64, seconds: f64, brightness: f64, damping: f64, seed: u64) -> Vec<f64> {
    let period = RATE / hz;
    let mut noise = Noise::new(seed);
    let mut smooth = 0.0;
    let mut line: Vec<f64> = (0..period.ceil() as usize + 1)
        .map(|_| {
            smooth += brightness * (noise.next() - smooth);
            smooth
        })
        .collect();
    let length = line.len();
    let fraction = period - period.floor();
    let mut at = 0;
    let mut last = 0.0;
    (0..samples(seconds))
        .map(|_| {
            let here = line[at];
            let before = line[(at + 1) % length];
            let out = here * fraction + before * (1.0 - fraction);
            line[at] = damping * 0.5 * (out + last);
            last = out;
            at = (at + 1) % length;
            out
        })
        .collect()
}

/// Adds `part` to `whole` from a time in seconds on.
pub(crate) fn mix(whole: &mut [f64], part: &[f64], at: f64, level: f64) {
    let start = samples(at).min(whole.len());
    for (sum, sample) in whole[start..].iter_mut().zip(part) {
        *sum += sample * level;
    }
}

/// The same sound on both sides.
pub(crate) fn centre(mono: Vec<f64>) -> Stereo {
    [mono.clone(), mono]
}
