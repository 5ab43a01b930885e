//! CLAP's log-mel spectrogram, by the definitions of `ClapFeatureExtractor`.

use std::{fmt, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex};

use super::description::{FrontEnd, MelScale};

/// The least power; 10·log10 of it is −100 dB.
const FLOOR: f64 = 1e-10;

/// Decibels of mel bands: frames centred on every hop, the ends reflected, a
/// periodic Hann window, power, triangles, 10·log10.
///
/// Computed in f64, as the extractor does. In f32 the transform's own noise
/// shows in bands that are nearly empty beside a loud tone: up to 1.4 dB.
pub(crate) struct LogMel {
    fft: Arc<dyn RealToComplex<f64>>,
    frame: usize,
    hop: usize,
    channels: usize,
    window: Vec<f64>,
    bands: Vec<Band>,
}

/// One triangle: the weights of the bins from `start` on.
struct Band {
    start: usize,
    weights: Vec<f64>,
}

impl LogMel {
    /// # Panics
    ///
    /// If `front_end` is another one.
    pub(crate) fn new(front_end: &FrontEnd, sample_rate: u32) -> Self {
        let &FrontEnd::LogMel { frame, hop, mels, min_hz, max_hz, scale, channels } = front_end
        else {
            panic!("a log-mel front end, not {front_end:?}")
        };
        let turn = std::f64::consts::TAU / frame as f64;
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(frame),
            frame,
            hop,
            channels,
            window: (0..frame).map(|n| 0.5 - 0.5 * (turn * n as f64).cos()).collect(),
            bands: bands(frame, f64::from(sample_rate), mels, min_hz..max_hz, scale),
        }
    }

    /// Channels, frames and bands, without the batch.
    pub(crate) fn shape(&self, length: usize) -> Vec<usize> {
        let mels = self.bands.len();
        vec![self.channels, length / mels / self.channels, mels]
    }

    /// The spectrogram, frame by frame, once for each channel.
    pub(crate) fn apply(&self, samples: &[f32]) -> Vec<f32> {
        let half = self.frame / 2;
        let padded = reflected(samples, half);
        let frames = 1 + (padded.len() - self.frame) / self.hop;
        let mut decibels = Vec::with_capacity(frames * self.bands.len() * self.channels);
        let mut input = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0.0; half + 1];
        for at in (0..frames).map(|frame| frame * self.hop) {
            let samples = &padded[at..at + self.frame];
            for ((input, sample), weight) in input.iter_mut().zip(samples).zip(&self.window) {
                *input = sample * weight;
            }
            self.fft
                .process_with_scratch(&mut input, &mut spectrum, &mut scratch)
                .expect("the buffers are the transform's own");
            for (power, bin) in power.iter_mut().zip(&spectrum) {
                *power = bin.norm_sqr();
            }
            decibels.extend(self.bands.iter().map(|band| {
                let bins = &power[band.start..band.start + band.weights.len()];
                let sum: f64 =
                    bins.iter().zip(&band.weights).map(|(bin, weight)| bin * weight).sum();
                (10.0 * sum.max(FLOOR).log10()) as f32
            }));
        }
        let one = decibels.len();
        for _ in 1..self.channels {
            decibels.extend_from_within(..one);
        }
        decibels
    }
}

/// `samples` with `edge` more at each end, mirrored at the first and last
/// sample; what is too short to be mirrored is mirrored again and again.
fn reflected(samples: &[f32], edge: usize) -> Vec<f64> {
    let last = samples.len() as isize - 1;
    let mirrored = |mut at: isize| {
        if last <= 0 {
            return 0;
        }
        while !(0..=last).contains(&at) {
            at = if at < 0 { -at } else { 2 * last - at };
        }
        at as usize
    };
    let edge = edge as isize;
    let before = (-edge..0).map(|at| f64::from(samples[mirrored(at)]));
    let after = (last + 1..=last + edge).map(|at| f64::from(samples[mirrored(at)]));
    before.chain(samples.iter().copied().map(f64::from)).chain(after).collect()
}

fn bands(
    frame: usize,
    sample_rate: f64,
    mels: usize,
    hz: std::ops::Range<f64>,
    scale: MelScale,
) -> Vec<Band> {
    let (low, high) = (to_mel(hz.start, scale), to_mel(hz.end, scale));
    let step = (high - low) / (mels + 1) as f64;
    let edges: Vec<f64> = (0..mels + 2).map(|m| to_hz(low + step * m as f64, scale)).collect();
    edges
        .windows(3)
        .map(|edges| {
            let (low, centre, high) = (edges[0], edges[1], edges[2]);
            let weight = |bin: usize| {
                let hz = bin as f64 * sample_rate / frame as f64;
                let height = ((hz - low) / (centre - low)).min((high - hz) / (high - centre));
                let norm = match scale {
                    MelScale::Slaney => 2.0 / (high - low),
                    MelScale::Htk => 1.0,
                };
                height.max(0.0) * norm
            };
            let bins = frame / 2 + 1;
            let start = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
            let weights: Vec<f64> =
                (start..bins).map(weight).take_while(|&weight| weight > 0.0).collect();
            Band { start, weights }
        })
        .collect()
}

fn to_mel(hz: f64, scale: MelScale) -> f64 {
    match scale {
        // Linear below 1000 Hz, logarithmic above.
        MelScale::Slaney if hz < 1000.0 => 3.0 * hz / 200.0,
        MelScale::Slaney => 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4f64.ln(),
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
    }
}

fn to_hz(mel: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Slaney if mel < 15.0 => 200.0 * mel / 3.0,
        MelScale::Slaney => 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp(),
        MelScale::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
    }
}

impl fmt::Debug for LogMel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMel")
            .field("frame", &self.frame)
            .field("hop", &self.hop)
            .field("mels", &self.bands.len())
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_samples_are_mirrored_more_than_once() {
        assert_eq!(reflected(&[1.0, 2.0, 3.0], 2), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(reflected(&[1.0, 2.0], 3), [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(reflected(&[1.0], 2), [1.0; 5]);
    }

    #[test]
    fn the_scales_are_inverse() {
        for scale in [MelScale::Slaney, MelScale::Htk] {
            for hz in [50.0, 999.0, 1000.0, 5_000.0] {
                assert!((to_hz(to_mel(hz, scale), scale) - hz).abs() < 1e-9);
            }
        }
    }
}
