//! The outline of a song's sound, as it is drawn.

use std::{ops::Range, path::Path, sync::Arc};

use songrec_core::Interrupt;

use crate::{Decoder, Ffmpeg, Opening, Result};

/// The outline of a part of a song: for each of its points the lowest and the highest
/// sample, −1 to 1 as they are stored, and the root of the mean square. All three are
/// equally long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waveform {
    /// How long the whole song is, in seconds.
    pub duration: f64,
    /// The lowest sample of each point.
    pub min: Vec<f32>,
    /// The highest.
    pub max: Vec<f32>,
    /// The root of the mean square.
    pub rms: Vec<f32>,
}

/// Samples that follow each other, as an outline knows them.
#[derive(Clone, Copy, Debug)]
struct Cell {
    min: f32,
    max: f32,
    squares: f64,
    samples: u64,
}

impl Cell {
    const EMPTY: Self = Self { min: f32::MAX, max: f32::MIN, squares: 0.0, samples: 0 };

    fn add(&mut self, sample: f32) {
        self.min = self.min.min(sample);
        self.max = self.max.max(sample);
        self.squares += f64::from(sample).powi(2);
        self.samples += 1;
    }

    fn join(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            squares: self.squares + other.squares,
            samples: self.samples + other.samples,
        }
    }
}

/// So many cells are kept at the most; where there would be more, two become one. So
/// memory does not grow with the length of a song, of which nobody need know it before.
const MOST_CELLS: usize = 1 << 16;

/// An outline that grows.
#[derive(Debug)]
struct Outline {
    cells: Vec<Cell>,
    open: Cell,
    /// Samples of one cell.
    samples: u64,
}

impl Outline {
    const fn new() -> Self {
        Self { cells: Vec::new(), open: Cell::EMPTY, samples: 1 }
    }

    fn push(&mut self, samples: &[f32]) {
        for sample in samples {
            self.open.add(*sample);
            if self.open.samples == self.samples {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.cells.push(std::mem::replace(&mut self.open, Cell::EMPTY));
        if self.cells.len() == MOST_CELLS {
            self.cells = self.cells.chunks(2).map(|two| two[0].join(two[1])).collect();
            self.samples *= 2;
        }
    }

    /// The outline in at most `points` points.
    fn finish(mut self, points: usize, duration: f64) -> Waveform {
        if self.open.samples > 0 {
            self.cells.push(self.open);
        }
        let points = points.min(self.cells.len());
        let mut waveform = Waveform { duration, ..Waveform::default() };
        for point in 0..points {
            let range = point * self.cells.len() / points..(point + 1) * self.cells.len() / points;
            let cell = self.cells[range].iter().fold(Cell::EMPTY, |all, cell| all.join(*cell));
            waveform.min.push(cell.min);
            waveform.max.push(cell.max);
            waveform.rms.push((cell.squares / cell.samples as f64).sqrt() as f32);
        }
        waveform
    }
}

/// The outline of the mean of all channels, or of a part of it, which is given in
/// seconds, in at most `points` points. Decodes the file from its beginning, in memory
/// that does not depend on its length. Nothing if it was interrupted.
///
/// # Errors
///
/// When there is no audio in the file.
pub fn waveform(
    path: &Path,
    part: Option<Range<f64>>,
    points: usize,
    ffmpeg: Option<Arc<Ffmpeg>>,
    interrupt: &Interrupt,
) -> Result<Option<Waveform>> {
    let cancel = Some(interrupt.flag());
    let opening = Opening { cancel, ..Opening::with(ffmpeg) };
    let mut decoder = Decoder::open_with(path, &opening)?;
    let mut outline = Outline::new();
    let mut mono = Vec::new();
    let mut at = 0u64;
    while let Some(block) = decoder.next_block()? {
        if interrupt.is_set() {
            return Ok(None);
        }
        block.mono_into(&mut mono);
        let rate = f64::from(block.sample_rate());
        let end = at + mono.len() as u64;
        let wanted = match &part {
            None => at..end,
            Some(part) => {
                let frame = |seconds: f64| (seconds.max(0.0) * rate).round() as u64;
                frame(part.start).clamp(at, end)..frame(part.end).clamp(at, end)
            }
        };
        if wanted.start < wanted.end {
            outline.push(&mono[(wanted.start - at) as usize..(wanted.end - at) as usize]);
        }
        at = end;
    }
    Ok(Some(outline.finish(points, decoder.properties().duration)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_holds_the_extremes_whatever_its_length() {
        for samples in [1, 100, MOST_CELLS - 1, MOST_CELLS, 5 * MOST_CELLS + 3] {
            let mut sound = vec![0.25f32; samples];
            sound[samples / 2] = -0.75;
            let mut outline = Outline::new();
            sound.chunks(997).for_each(|piece| outline.push(piece));

            let waveform = outline.finish(50, 1.0);

            assert_eq!(waveform.min.len(), samples.min(50));
            assert_eq!(waveform.min.iter().copied().fold(1.0, f32::min), -0.75, "{samples}");
            let quiet = waveform.rms.iter().filter(|rms| (**rms - 0.25).abs() < 1e-6).count();
            assert_eq!(quiet, waveform.rms.len() - 1, "{samples}: one point has the low sample");
        }
    }
}
