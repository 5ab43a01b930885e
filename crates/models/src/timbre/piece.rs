//! What tells one piece of music from another: measured values and the spectrum of its
//! windows, each weighted by how little it varies within a piece.
//!
//! The weights are a matrix that `tools/train/timbre/piece.py` fits: the inverse root of the
//! covariance within pieces (within-class covariance normalisation, Hatch et al. 2006), its
//! directions by how much they vary between pieces, of which the first [`PIECE`] are kept.

use std::sync::LazyLock;

use songrec_audio::picture::{BANDS, COLUMNS, FINE};

use super::unit;

/// Values of a piece's vector.
pub(super) const PIECE: usize = 192;
/// What is measured of a piece: 43 values of `dsp45@1`, 47 of `dsp47@2`, the spectrum.
const MEASURES: usize = 43 + 47 + SPECTRUM;
/// Values of a [`Spectrum`].
const SPECTRUM: usize = (2 + LAGS.len()) * BANDS;
/// Columns, of 10 ms, over which the spectrum's steps go.
const LAGS: [usize; 4] = [1, 3, 8, 24];

/// [`PIECE`] rows of an offset and [`MEASURES`] weights, as little-endian `f32`.
pub(super) const WEIGHTS: &[u8] = include_bytes!("../../models/timbre-piece.f32");

static ROWS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let (values, _) = WEIGHTS.as_chunks::<4>();
    values.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
});

/// The vector of a piece, at length 1; None if there are other than [`MEASURES`] values.
pub(super) fn piece(measures: &[f64]) -> Option<Vec<f32>> {
    if measures.len() != MEASURES || ROWS.len() != PIECE * (1 + MEASURES) {
        return None;
    }
    let of_row = |row: &[f64]| {
        let (offset, weights) = (row[0], &row[1..]);
        weights.iter().zip(measures).map(|(weight, value)| weight * value).sum::<f64>() + offset
    };
    Some(unit(&ROWS.chunks_exact(1 + MEASURES).map(of_row).collect::<Vec<f64>>()))
}

/// The spectrum of a song's windows: of each band of their pictures' fine columns the mean,
/// the deviation, and how far a column is on average from the one 10, 30, 80 and 240 ms later.
#[derive(Debug, Default)]
pub(super) struct Spectrum {
    pictures: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
    /// For each of [`LAGS`].
    steps: [Vec<f64>; LAGS.len()],
}

impl Spectrum {
    /// Takes the picture of a window.
    pub(super) fn add(&mut self, picture: &[f32]) {
        self.pictures += 1;
        for sums in [&mut self.sums, &mut self.squares].into_iter().chain(&mut self.steps) {
            sums.resize(BANDS, 0.0);
        }
        for (band, row) in picture.chunks_exact(COLUMNS).enumerate() {
            let fine = &row[..FINE];
            for value in fine.iter().copied().map(f64::from) {
                self.sums[band] += value;
                self.squares[band] += value * value;
            }
            for (lag, steps) in LAGS.into_iter().zip(&mut self.steps) {
                let pairs = fine[lag..].iter().zip(fine);
                steps[band] +=
                    pairs.map(|(later, now)| f64::from((later - now).abs())).sum::<f64>();
            }
        }
    }

    /// All means, then all deviations, then the steps of each lag, the lowest band first.
    pub(super) fn values(&self) -> Vec<f64> {
        let pictures = self.pictures.max(1);
        let columns = (pictures * FINE) as f64;
        let mut values: Vec<f64> = self.sums.iter().map(|sum| sum / columns).collect();
        let deviation = |(sum, square): (&f64, &f64)| {
            (square / columns - (sum / columns).powi(2)).max(0.0).sqrt()
        };
        values.extend(self.sums.iter().zip(&self.squares).map(deviation));
        for (lag, steps) in LAGS.into_iter().zip(&self.steps) {
            let pairs = (pictures * (FINE - lag)) as f64;
            values.extend(steps.iter().map(|step| step / pairs));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A picture whose lowest band goes up and down between 0.25 and 0.75 from column to column,
    // and whose next stays.
    fn drawn() -> Vec<f32> {
        let mut picture = vec![0.0; BANDS * COLUMNS];
        for column in 0..COLUMNS {
            picture[column] = if column % 2 == 0 { 0.25 } else { 0.75 };
            picture[COLUMNS + column] = 0.5;
        }
        picture
    }

    #[test]
    fn the_spectrum_is_mean_deviation_and_step_of_each_band() {
        let mut spectrum = Spectrum::default();
        spectrum.add(&drawn());
        spectrum.add(&drawn());

        let values = spectrum.values();

        assert_eq!(values.len(), SPECTRUM);
        // Columns an even number apart are the same.
        let expected = [(0.5, 0.5), (0.25, 0.0), (0.5, 0.0), (0.5, 0.0), (0.0, 0.0), (0.0, 0.0)];
        for (part, (first, second)) in expected.into_iter().enumerate() {
            let of = part * BANDS;
            assert!((values[of] - first).abs() < 1e-9, "part {part}: {}", values[of]);
            assert!((values[of + 1] - second).abs() < 1e-9, "part {part}: {}", values[of + 1]);
            assert_eq!(values[of + 2], 0.0);
        }
    }

    #[test]
    fn the_coarse_columns_do_not_count() {
        let mut picture = drawn();
        picture[FINE..COLUMNS].fill(1.0);
        let (mut with, mut without) = (Spectrum::default(), Spectrum::default());

        with.add(&picture);
        without.add(&drawn());

        assert_eq!(with.values(), without.values());
    }

    #[test]
    fn a_piece_has_length_1_and_is_of_all_its_measures() {
        let measures: Vec<f64> = (0..MEASURES).map(|at| (at as f64 * 0.37).sin()).collect();

        let found = piece(&measures).unwrap();

        assert_eq!(found.len(), PIECE);
        let length: f32 = found.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5);
        for at in 0..MEASURES {
            let mut other = measures.clone();
            other[at] += 1.0;
            assert_ne!(piece(&other).unwrap(), found, "measure {at}");
        }
        assert_eq!(piece(&measures[1..]), None);
    }
}
