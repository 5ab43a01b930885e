//! CLAP's log-mel spectrogram, by the definitions of `ClapFeatureExtractor`.

use std::{f64::consts::LOG10_2, fmt, ops::Range, sync::Arc};

use rustfft::{Fft, num_complex::Complex64};
use songrec_audio::plan_double;

use crate::description::{FrontEnd, MelScale};

/// The least power; 10·log10 of it is −100 dB.
const FLOOR: f64 = 1e-10;

/// Decibels of mel bands: frames centred on every hop, the ends reflected, a
/// periodic Hann window, power, triangles, 10·log10.
///
/// Computed in f64, as the extractor does. In f32 the transform's own noise
/// shows in bands that are nearly empty beside a loud tone: up to 1.4 dB.
pub(crate) struct LogMel {
    fft: Arc<dyn Fft<f64>>,
    frame: usize,
    hop: usize,
    channels: usize,
    window: Vec<f64>,
    /// The bins that some band listens to.
    bins: Range<usize>,
    bands: Vec<Band>,
}

/// One triangle: the weights of the spectrum's bins from `start` on.
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
        let bands = bands(frame, f64::from(sample_rate), mels, min_hz..max_hz, scale);
        let first = bands.iter().map(|band| band.start).min().unwrap_or(0);
        let end = bands.iter().map(|band| band.start + band.weights.len()).max().unwrap_or(0);
        Self {
            fft: plan_double(frame),
            frame,
            hop,
            channels,
            window: (0..frame).map(|n| 0.5 - 0.5 * (turn * n as f64).cos()).collect(),
            bins: first..end,
            bands,
        }
    }

    /// Channels, frames and bands, without the batch.
    pub(crate) fn shape(&self, length: usize) -> Vec<usize> {
        let mels = self.bands.len();
        vec![self.channels, length / mels / self.channels, mels]
    }

    /// The spectrogram, frame by frame, once for each channel.
    pub(crate) fn apply(&self, samples: &[f32]) -> Vec<f32> {
        let mels = self.bands.len();
        let frames = 1 + samples.len() / self.hop;
        let mut decibels = vec![0.0; frames * mels];
        let mut buffer = vec![Complex64::ZERO; self.frame];
        let mut scratch = vec![Complex64::ZERO; self.fft.get_inplace_scratch_len()];
        let mut power = vec![[0.0; 2]; self.bins.len()];
        let mut edges = [Vec::new(), Vec::new()];
        for (pair, decibels) in decibels.chunks_mut(2 * mels).enumerate() {
            // Two frames go through one transform, as the real and the
            // imaginary part; the last one, if it is alone, goes twice.
            let (early, late) = decibels.split_at_mut(mels);
            let second = if late.is_empty() { 2 * pair } else { 2 * pair + 1 };
            let [edge, other_edge] = &mut edges;
            let first = self.frame_at(samples, 2 * pair, edge);
            let second = self.frame_at(samples, second, other_edge);
            for (((value, first), second), weight) in
                buffer.iter_mut().zip(first).zip(second).zip(&self.window)
            {
                *value = Complex64::new(f64::from(*first) * weight, f64::from(*second) * weight);
            }
            self.fft.process_with_scratch(&mut buffer, &mut scratch);
            for (bin, power) in self.bins.clone().zip(&mut power) {
                *power = powers(buffer[bin], buffer[(self.frame - bin) % self.frame]);
            }
            self.measure(&power, early, late);
        }
        let one = decibels.len();
        decibels.reserve_exact(one * (self.channels - 1));
        for _ in 1..self.channels {
            decibels.extend_from_within(..one);
        }
        decibels
    }

    /// The samples of one frame, which is centred on a hop; at the ends of the
    /// song they are put together in `edge`.
    fn frame_at<'a>(&self, samples: &'a [f32], number: usize, edge: &'a mut Vec<f32>) -> &'a [f32] {
        let half = self.frame / 2;
        let centre = number * self.hop;
        if centre >= half && centre + half <= samples.len() {
            return &samples[centre - half..centre + half];
        }
        let start = centre as isize - half as isize;
        edge.clear();
        edge.extend((start..start + self.frame as isize).map(|at| mirrored(samples, at)));
        edge
    }

    /// Decibels of every band, for two frames at once.
    fn measure(&self, power: &[[f64; 2]], early: &mut [f32], late: &mut [f32]) {
        // log2 is the fastest logarithm of most maths libraries.
        let decibels = |power: f64| (10.0 * LOG10_2 * power.max(FLOOR).log2()) as f32;
        for (number, band) in self.bands.iter().enumerate() {
            let start = band.start.saturating_sub(self.bins.start);
            let bins = &power[start..start + band.weights.len()];
            let mut sums = [0.0; 2];
            for (power, weight) in bins.iter().zip(&band.weights) {
                sums[0] += power[0] * weight;
                sums[1] += power[1] * weight;
            }
            early[number] = decibels(sums[0]);
            if let Some(late) = late.get_mut(number) {
                *late = decibels(sums[1]);
            }
        }
    }
}

/// The powers of one bin in two real signals that were transformed as the real
/// and the imaginary part of one; `mirror` is the bin of the opposite
/// frequency.
fn powers(bin: Complex64, mirror: Complex64) -> [f64; 2] {
    let first = (bin + mirror.conj()).norm_sqr();
    let second = (bin - mirror.conj()).norm_sqr();
    [0.25 * first, 0.25 * second]
}

/// The sample at `at`; beyond the ends the samples are mirrored at the first
/// and the last one, again and again where they are few.
fn mirrored(samples: &[f32], mut at: isize) -> f32 {
    let last = samples.len() as isize - 1;
    if last <= 0 {
        return samples.first().copied().unwrap_or(0.0);
    }
    while !(0..=last).contains(&at) {
        at = if at < 0 { -at } else { 2 * last - at };
    }
    samples[at as usize]
}

fn bands(
    frame: usize,
    sample_rate: f64,
    mels: usize,
    hz: Range<f64>,
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
        let around = |samples: &[f32], edge: isize| -> Vec<f32> {
            let end = samples.len() as isize + edge;
            (-edge..end).map(|at| mirrored(samples, at)).collect()
        };

        assert_eq!(around(&[1.0, 2.0, 3.0], 2), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(around(&[1.0, 2.0], 3), [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]);
        assert_eq!(around(&[1.0], 2), [1.0; 5]);
    }

    #[test]
    fn a_loud_frame_is_not_heard_in_the_quiet_one_beside_it() {
        let front_end = FrontEnd::LogMel {
            frame: 16,
            hop: 16,
            mels: 4,
            min_hz: 50.0,
            max_hz: 4_000.0,
            scale: MelScale::Htk,
            channels: 1,
        };
        let log_mel = LogMel::new(&front_end, 8_000);
        // Frame 1 is all ones; its neighbours touch none of them.
        let mut samples = vec![0.0; 64];
        samples[8..24].fill(1.0);

        let embedded = log_mel.apply(&samples);

        let [zeroth, first, rest @ ..] = embedded.as_chunks::<4>().0 else {
            panic!("{embedded:?}")
        };
        assert_eq!((zeroth, rest), (&[-100.0; 4], &[[-100.0; 4]; 3][..]));
        assert!(first[0] > -20.0, "{first:?}");
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
