//! What was found in all clips of a song.

use super::{
    chroma::CLASSES, contrast, cqt::OCTAVES, moments::Moments, onsets::Onsets, pulse::Pulse,
    rhythm::Tempogram, tuning::STEPS,
};

/// Sums over the frames of the clips of a song.
pub(super) struct Totals {
    pub(super) samples: u64,
    /// Energy of the samples of each hop, all through the song.
    pub(super) energies: Vec<f32>,
    pub(super) whole: Whole,
    pub(super) trimmed: Trimmed,
}

/// Of every frame.
pub(super) struct Whole {
    pub(super) frames: usize,
    pub(super) mfcc: [Moments; 13],
    pub(super) chroma: [f64; CLASSES],
    pub(super) centroid: Moments,
    pub(super) bandwidth: Moments,
    pub(super) rolloff: Moments,
    pub(super) flatness: Moments,
    pub(super) salience: Moments,
    pub(super) crossing_rate: Moments,
    pub(super) rms: Moments,
    pub(super) tuning: [u32; STEPS],
    pub(super) tempogram: Tempogram,
    pub(super) pulse: Pulse,
    pub(super) onsets: Onsets,
}

/// Of the frames between the silence at the ends of each clip.
pub(super) struct Trimmed {
    pub(super) frames: usize,
    pub(super) mfcc: [f64; 20],
    pub(super) chroma: [f64; CLASSES],
    pub(super) pitches: [[f64; CLASSES]; OCTAVES],
    pub(super) contrast: [f64; contrast::BANDS],
    pub(super) tempogram: Tempogram,
    pub(super) gaps: Moments,
    pub(super) onset: Moments,
    pub(super) crossing_rate: Moments,
    pub(super) rms: Moments,
}

impl Totals {
    pub(super) fn new() -> Self {
        Self {
            samples: 0,
            energies: Vec::new(),
            whole: Whole {
                frames: 0,
                mfcc: Default::default(),
                chroma: Default::default(),
                centroid: Moments::default(),
                bandwidth: Moments::default(),
                rolloff: Moments::default(),
                flatness: Moments::default(),
                salience: Moments::default(),
                crossing_rate: Moments::default(),
                rms: Moments::default(),
                tuning: [0; STEPS],
                tempogram: Tempogram::new(),
                pulse: Pulse::new(),
                onsets: Onsets::default(),
            },
            trimmed: Trimmed {
                frames: 0,
                mfcc: Default::default(),
                chroma: Default::default(),
                pitches: Default::default(),
                contrast: Default::default(),
                tempogram: Tempogram::new(),
                gaps: Moments::default(),
                onset: Moments::default(),
                crossing_rate: Moments::default(),
                rms: Moments::default(),
            },
        }
    }
}
