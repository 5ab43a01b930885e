//! What a song sounds like over time, as a picture shows it.

use std::{path::Path, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};
use songrec_core::Interrupt;

use crate::{Decoder, Ffmpeg, Opening, Result};

/// Samples of one transform: 46 ms at 44,100 Hz.
const WINDOW: usize = 2_048;
/// Samples from one transform to the next.
const HOP: usize = 512;
/// So many columns are kept at the most; where there would be more, two become one.
const MOST_COLUMNS: usize = 4_096;
/// What is so many decibels below the loudest counts as silence.
const RANGE: f32 = 80.0;
/// Where the lowest band begins, in Hz, and above which nobody hears.
const LOWEST: f64 = 30.0;
const HIGHEST: f64 = 16_000.0;

/// The power in bands of the mel scale over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrogram {
    /// Points in time.
    pub width: usize,
    /// Bands.
    pub height: usize,
    /// For each point in time its bands, the lowest first, from 0, which is 80 dB below
    /// the loudest or less, to 1, the loudest.
    pub levels: Vec<f32>,
}

/// Bins of a transform that are heard together, and how much each counts.
#[derive(Debug)]
struct Band {
    first: usize,
    weights: Vec<f32>,
}

// Triangles on the mel scale of O'Shaughnessy; one too narrow for a bin takes the
// nearest.
fn bands(count: usize, rate: f64) -> Vec<Band> {
    let mel = |hz: f64| 2_595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f64| 700.0 * (10f64.powf(mel / 2_595.0) - 1.0);
    let (low, high) = (mel(LOWEST), mel(HIGHEST.min(rate / 2.0)));
    let bin = |edge: usize| {
        hz(low + (high - low) * edge as f64 / (count + 1) as f64) * WINDOW as f64 / rate
    };
    let band = |number: usize| {
        let (from, middle, to) = (bin(number), bin(number + 1), bin(number + 2));
        let first = from.ceil() as usize;
        let weights: Vec<f32> = (first..=to.floor().min((WINDOW / 2) as f64) as usize)
            .map(|bin| {
                let bin = bin as f64;
                let up = (bin - from) / (middle - from);
                let down = (to - bin) / (to - middle);
                up.min(down).max(0.0) as f32
            })
            .collect();
        match weights.iter().sum::<f32>() {
            sum if sum > 0.0 => {
                Band { first, weights: weights.iter().map(|weight| weight / sum).collect() }
            }
            _ => {
                let nearest = middle.round().clamp(0.0, (WINDOW / 2) as f64) as usize;
                Band { first: nearest, weights: vec![1.0] }
            }
        }
    };
    (0..count).map(band).collect()
}

/// Columns as they are found.
struct Columns {
    bands: Vec<Band>,
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    windowed: Vec<f32>,
    spectrum: Vec<Complex32>,
    /// Samples that wait for their transform.
    waiting: Vec<f32>,
    /// The mean power of each band, column by column.
    columns: Vec<f32>,
    open: Vec<f32>,
    /// Transforms of a column, and of the open one.
    transforms: usize,
    open_transforms: usize,
}

impl Columns {
    fn new(height: usize, rate: f64) -> Self {
        let turn = std::f32::consts::TAU / WINDOW as f32;
        let transform = RealFftPlanner::new().plan_fft_forward(WINDOW);
        Self {
            bands: bands(height, rate),
            window: (0..WINDOW).map(|i| 0.5 - 0.5 * (turn * i as f32).cos()).collect(),
            windowed: vec![0.0; WINDOW],
            spectrum: transform.make_output_vec(),
            transform,
            waiting: Vec::new(),
            columns: Vec::new(),
            open: vec![0.0; height],
            transforms: 1,
            open_transforms: 0,
        }
    }

    fn push(&mut self, samples: &[f32]) {
        self.waiting.extend_from_slice(samples);
        let mut at = 0;
        while self.waiting.len() - at >= WINDOW {
            self.transform_at(at);
            at += HOP;
        }
        self.waiting.drain(..at);
    }

    fn transform_at(&mut self, at: usize) {
        let samples = &self.waiting[at..at + WINDOW];
        for ((to, sample), weight) in self.windowed.iter_mut().zip(samples).zip(&self.window) {
            *to = sample * weight;
        }
        let done = self.transform.process(&mut self.windowed, &mut self.spectrum);
        // The buffers are those that the transform asked for.
        debug_assert!(done.is_ok());
        for (open, band) in self.open.iter_mut().zip(&self.bands) {
            let bins = self.spectrum.iter().skip(band.first).zip(&band.weights);
            *open += bins.map(|(bin, weight)| bin.norm_sqr() * weight).sum::<f32>();
        }
        self.open_transforms += 1;
        if self.open_transforms == self.transforms {
            self.close();
        }
    }

    fn close(&mut self) {
        let height = self.open.len();
        let scale = 1.0 / self.open_transforms as f32;
        self.columns.extend(self.open.iter().map(|power| power * scale));
        self.open.fill(0.0);
        self.open_transforms = 0;
        if self.columns.len() == MOST_COLUMNS * height {
            for column in 0..MOST_COLUMNS / 2 {
                for band in 0..height {
                    let two = 2 * column * height + band;
                    self.columns[column * height + band] =
                        (self.columns[two] + self.columns[two + height]) / 2.0;
                }
            }
            self.columns.truncate(MOST_COLUMNS / 2 * height);
            self.transforms *= 2;
        }
    }

    fn finish(mut self, width: usize) -> Spectrogram {
        let height = self.open.len();
        if self.columns.is_empty() && self.open_transforms == 0 {
            // Shorter than one transform: the rest is silence.
            self.waiting.resize(WINDOW, 0.0);
            self.transform_at(0);
        }
        if self.open_transforms > 0 {
            self.close();
        }
        let count = self.columns.len() / height;
        let mut levels = Vec::with_capacity(width * height);
        for column in 0..width {
            let first = column * count / width;
            let last = ((column + 1) * count / width).max(first + 1);
            for band in 0..height {
                let powers = (first..last).map(|column| self.columns[column * height + band]);
                levels.push(powers.sum::<f32>() / (last - first) as f32);
            }
        }
        let loudest = levels.iter().copied().fold(0.0, f32::max);
        for level in &mut levels {
            let decibels = 10.0 * (*level / loudest.max(f32::MIN_POSITIVE)).max(1e-20).log10();
            *level = if loudest > 0.0 { (1.0 + decibels / RANGE).clamp(0.0, 1.0) } else { 0.0 };
        }
        Spectrogram { width, height, levels }
    }
}

/// The spectrogram of a file in `width` points in time and `height` bands. Decodes the
/// whole file, in memory that does not depend on its length. Nothing if it was
/// interrupted.
///
/// # Errors
///
/// When there is no audio in the file.
pub fn spectrogram(
    path: &Path,
    width: usize,
    height: usize,
    ffmpeg: Option<Arc<Ffmpeg>>,
    interrupt: &Interrupt,
) -> Result<Option<Spectrogram>> {
    let cancel = Some(interrupt.flag());
    let opening = Opening { cancel, ..Opening::with(ffmpeg) };
    let mut decoder = Decoder::open_with(path, &opening)?;
    let mut columns: Option<Columns> = None;
    let mut mono = Vec::new();
    while let Some(block) = decoder.next_block()? {
        if interrupt.is_set() {
            return Ok(None);
        }
        block.mono_into(&mut mono);
        let rate = f64::from(block.sample_rate());
        columns.get_or_insert_with(|| Columns::new(height.max(1), rate)).push(&mono);
    }
    let columns = columns.unwrap_or_else(|| Columns::new(height.max(1), 44_100.0));
    Ok(Some(columns.finish(width.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, samples: usize) -> Vec<f32> {
        let turn = std::f32::consts::TAU * hz / 44_100.0;
        (0..samples).map(|i| 0.5 * (turn * i as f32).sin()).collect()
    }

    fn loudest_band(spectrogram: &Spectrogram, column: usize) -> usize {
        let bands = &spectrogram.levels[column * spectrogram.height..][..spectrogram.height];
        (0..bands.len()).max_by(|a, b| bands[*a].total_cmp(&bands[*b])).unwrap()
    }

    #[test]
    fn a_higher_tone_is_in_a_higher_band_and_a_later_one_further_right() {
        let mut columns = Columns::new(64, 44_100.0);
        columns.push(&tone(200.0, 44_100));
        columns.push(&tone(5_000.0, 44_100));

        let spectrogram = columns.finish(20);

        assert_eq!(spectrogram.levels.len(), 20 * 64);
        assert!(loudest_band(&spectrogram, 2) < 12, "{}", loudest_band(&spectrogram, 2));
        assert!(loudest_band(&spectrogram, 17) > 38, "{}", loudest_band(&spectrogram, 17));
    }

    #[test]
    fn a_long_song_takes_no_more_memory_and_a_short_one_is_seen() {
        let mut long = Columns::new(8, 44_100.0);
        let minute = tone(440.0, 60 * 44_100);
        (0..2).for_each(|_| long.push(&minute));
        assert!(long.columns.len() < MOST_COLUMNS * 8);
        assert_eq!(long.transforms, 4, "two became one twice");

        let mut short = Columns::new(8, 44_100.0);
        short.push(&tone(440.0, 100));
        assert_eq!(short.finish(5).levels.iter().copied().fold(0.0, f32::max), 1.0);
    }

    #[test]
    fn silence_is_dark() {
        let mut columns = Columns::new(8, 44_100.0);
        columns.push(&[0.0; 10_000]);

        assert!(columns.finish(4).levels.iter().all(|level| *level == 0.0));
    }
}
