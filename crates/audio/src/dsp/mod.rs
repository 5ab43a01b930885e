//! From samples to numbers: the DSP feature sets and what they are made of.
//!
//! | set | dimension | what |
//! | --- | --- | --- |
//! | [`DSP45`] | 45 | summary of timbre, harmony and level, every feature scaled by the scaler that belongs to the revision |
//! | [`DSP45_ROW`] | 45 | the same values, scaled by the vector's own mean and deviation |
//! | [`DSP47`] | 47 | six groups of features that explanations compare, every one scaled likewise |
//! | [`DSP47_PLAIN`] | 47 | the same in their own units, scaled to length 1 |
//!
//! All are computed from mono samples at 22,050 Hz by librosa 0.11's
//! definitions (frames of 2048 samples every 512, its defaults otherwise); the
//! tests compare every value with librosa's own.
//!
//! # Clips
//!
//! Some of librosa's definitions look at the whole clip: decibels are cut off
//! 80 below its loudest value, its tuning is estimated from all of it, its ends
//! are trimmed 20 dB below its loudest frame. So a clip's samples and its mel
//! spectrum are kept until it ends, which takes 13 to 17 MB a minute. A song of up to
//! ten minutes ([`CLIP_SAMPLES`]) is one clip, and its values are exactly as
//! defined. A longer one is cut into clips of ten minutes, each described on
//! its own; means are then taken over the frames of all clips, deviations over
//! their pooled frames, and the tempo from the mean of all their tempograms.
//! Memory thus stays below 200 MB however long the song is.
//!
//! # Defined answers
//!
//! Samples that are no numbers, or are 80 dB over full scale, count as
//! silence. Of no samples at all there is no vector and no feature. Silence has
//! vectors like any other clip, as librosa has; features that it does not
//! define, such as a key, are absent.

mod beat;
mod bins;
mod chroma;
mod clear;
mod clip;
mod contrast;
mod cqt;
mod extractor;
mod instrument;
mod k_weighting;
mod key;
mod key_weights;
mod loudness;
mod mel;
mod moments;
mod mood;
mod onsets;
mod pulse;
mod rhythm;
mod salience;
mod scaler;
mod scaler45;
mod scaler47;
mod shape;
mod shares;
mod stft;
mod summary;
mod tempo;
mod tempo_weights;
mod totals;
mod tuning;
mod vectors;

pub use extractor::{CLIP_SAMPLES, Extracted, Extractor, Source, values45};
pub use instrument::code as instrument_code;
pub use loudness::{Loudness, LoudnessMeter};
pub use scaler::{InvalidScaler, Scaler};
pub use stft::SAMPLE_RATE;
pub use summary::FEATURES_VERSION;
pub use vectors::{
    DSP45, DSP45_FEATURES, DSP45_ROW, DSP47, DSP47_PLAIN, Raw45, dsp45, dsp45_row, dsp45_scaler,
    dsp47, dsp47_plain,
};

use crate::simd;

/// The largest magnitude that counts as a sample: 80 dB over full scale.
/// Squares of larger ones, summed over a frame, could become infinite.
const LARGEST_SAMPLE: f32 = 1e4;

/// Replaces what cannot be a sample by silence.
fn clean(samples: &mut [f32]) {
    simd::vectorized(
        #[inline(always)]
        || {
            for sample in samples {
                // Also false for what is not a number.
                let good = sample.abs() <= LARGEST_SAMPLE;
                *sample = if good { *sample } else { 0.0 };
            }
        },
    );
}
