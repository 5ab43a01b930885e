//! Mel bands and cepstral coefficients, by librosa's definitions.

use std::sync::LazyLock;

use super::{
    simd::{LANES, Simd, WithSimd, decibels, dot, run, vectorized},
    stft::{BIN_HZ, BINS, PADDED_BINS, SAMPLE_RATE, Spectrum},
};

/// Mel bands.
pub(super) const MELS: usize = 128;
/// How far below the loudest value of a clip decibels are cut off.
pub(super) const TOP_DB: f32 = 80.0;

/// One triangle: weights of the bins from `start`, a whole number of lanes.
struct Band {
    start: usize,
    weights: Vec<f32>,
}

static BANDS: LazyLock<Vec<Band>> = LazyLock::new(|| {
    let edges: Vec<f64> = {
        let top = hz_to_mel(f64::from(SAMPLE_RATE) / 2.0);
        (0..MELS + 2).map(|m| mel_to_hz(top * m as f64 / (MELS + 1) as f64)).collect()
    };
    edges.windows(3).map(|triangle| band(triangle[0], triangle[1], triangle[2])).collect()
});

fn band(low: f64, centre: f64, high: f64) -> Band {
    let weight = |bin: usize| {
        let hz = bin as f64 * f64::from(BIN_HZ);
        let rise = (hz - low) / (centre - low);
        let fall = (high - hz) / (high - centre);
        // Slaney's norm: every triangle has the same area.
        (rise.min(fall).max(0.0) * 2.0 / (high - low)) as f32
    };
    let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
    let last = (first..BINS).rev().find(|&bin| weight(bin) > 0.0).unwrap_or(first);
    let lanes = (last - first + 1).next_multiple_of(LANES);
    let start = first.min(PADDED_BINS - lanes);
    let weights =
        (start..start + lanes).map(|bin| if bin < BINS { weight(bin) } else { 0.0 }).collect();
    Band { start, weights }
}

/// Slaney's mel scale: linear below 1000 Hz, logarithmic above.
fn hz_to_mel(hz: f64) -> f64 {
    if hz < 1000.0 { hz * 3.0 / 200.0 } else { 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4f64.ln() }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp() }
}

/// Appends the decibels of the mel bands of a power spectrum, not yet cut off
/// below.
pub(super) fn push_log_mel(power: &Spectrum, out: &mut Vec<f32>) {
    let at = out.len();
    out.resize(at + MELS, 0.0);
    run(LogMel { bands: &BANDS, power, out: &mut out[at..] });
}

struct LogMel<'a> {
    bands: &'a [Band],
    power: &'a Spectrum,
    out: &'a mut [f32],
}

impl WithSimd for LogMel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (out, band) in self.out.iter_mut().zip(self.bands) {
            let end = band.start + band.weights.len();
            *out = dot(simd, &band.weights, &self.power[band.start..end]);
        }
        for out in self.out {
            *out = decibels(*out);
        }
    }
}

/// The level below which the decibels of a clip are cut off.
pub(super) fn floor(log_mel: &[f32]) -> f32 {
    let mut tops = [f32::MIN; LANES];
    vectorized(
        #[inline(always)]
        || {
            for chunk in log_mel.chunks_exact(LANES) {
                for lane in 0..LANES {
                    tops[lane] = tops[lane].max(chunk[lane]);
                }
            }
        },
    );
    tops.into_iter().fold(f32::MIN, f32::max) - TOP_DB
}

/// The first `COUNT` rows of the orthonormal DCT-II, one column of
/// coefficients per mel band.
pub(super) struct Cepstrum<const COUNT: usize> {
    columns: Vec<[f32; COUNT]>,
}

/// The coefficients of every frame, for the 45 values.
pub(super) static CEPSTRUM_13: LazyLock<Cepstrum<13>> = LazyLock::new(Cepstrum::new);
/// Those of the mean of all frames, for the 47 values.
pub(super) static CEPSTRUM_20: LazyLock<Cepstrum<20>> = LazyLock::new(Cepstrum::new);

impl<const COUNT: usize> Cepstrum<COUNT> {
    fn new() -> Self {
        let columns = (0..MELS)
            .map(|band| {
                std::array::from_fn(|k| {
                    let scale = if k == 0 { 1.0 } else { 2.0 } / MELS as f64;
                    let phase = std::f64::consts::PI * k as f64 * (band as f64 + 0.5) / MELS as f64;
                    (scale.sqrt() * phase.cos()) as f32
                })
            })
            .collect();
        Self { columns }
    }

    /// The coefficients of one frame of decibels.
    #[inline(always)]
    pub(super) fn of(&self, log_mel: &[f32]) -> [f32; COUNT] {
        let mut sums = [[0.0f32; COUNT]; 2];
        for (pair, columns) in log_mel.chunks_exact(2).zip(self.columns.chunks_exact(2)) {
            for half in 0..2 {
                for k in 0..COUNT {
                    sums[half][k] += pair[half] * columns[half][k];
                }
            }
        }
        std::array::from_fn(|k| sums[0][k] + sums[1][k])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mel_band_has_the_same_area() {
        for (m, band) in BANDS.iter().enumerate().skip(30) {
            let area: f32 = band.weights.iter().sum::<f32>() * BIN_HZ;

            // Exact for a continuous triangle; the bins sample it.
            assert!((area - 1.0).abs() < 0.12, "band {m}: {area}");
        }
    }

    #[test]
    fn a_flat_spectrum_has_only_the_first_coefficient() {
        let cepstrum = Cepstrum::<13>::new();

        let coefficients = cepstrum.of(&[-20.0; MELS]);

        assert!((coefficients[0] + 20.0 * (MELS as f32).sqrt()).abs() < 1e-2);
        assert!(coefficients[1..].iter().all(|c| c.abs() < 1e-3), "{coefficients:?}");
    }
}
