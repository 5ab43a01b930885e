//! What is made of a window before the engine sees it.

mod log_mel;

use self::log_mel::LogMel;
use crate::description::FrontEnd;

/// A front end, ready to be used from any thread.
#[derive(Debug)]
pub(crate) enum Prepared {
    Samples,
    NormalizedSamples,
    LogMel(Box<LogMel>),
}

impl Prepared {
    pub(crate) fn new(front_end: &FrontEnd, sample_rate: u32) -> Self {
        match front_end {
            FrontEnd::Samples => Self::Samples,
            FrontEnd::NormalizedSamples => Self::NormalizedSamples,
            FrontEnd::LogMel { .. } => Self::LogMel(Box::new(LogMel::new(front_end, sample_rate))),
        }
    }

    /// The engine's input for one window.
    pub(crate) fn apply(&self, window: &[f32]) -> Vec<f32> {
        match self {
            Self::Samples => window.to_vec(),
            Self::NormalizedSamples => normalized(window),
            Self::LogMel(log_mel) => log_mel.apply(window),
        }
    }

    /// The shape of one input of `length` values, without the batch.
    pub(crate) fn shape(&self, length: usize) -> Vec<usize> {
        match self {
            Self::Samples | Self::NormalizedSamples => vec![length],
            Self::LogMel(log_mel) => log_mel.shape(length),
        }
    }
}

/// Mean 0 and variance 1, as `Wav2Vec2FeatureExtractor` does. Silence stays
/// silence.
fn normalized(window: &[f32]) -> Vec<f32> {
    /// What the extractor adds to the variance.
    const FLOOR: f64 = 1e-7;
    let count = window.len().max(1) as f64;
    let mean = window.iter().copied().map(f64::from).sum::<f64>() / count;
    let variance =
        window.iter().map(|&sample| (f64::from(sample) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + FLOOR).sqrt();
    window.iter().map(|&sample| ((f64::from(sample) - mean) * scale) as f32).collect()
}
