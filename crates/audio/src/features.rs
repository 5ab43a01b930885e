//! The song's own features, and the feature vectors, of samples in memory.

use crate::{
    dsp::{Extracted, Extractor, Source},
    sink::BlockSink,
};

/// Describes a whole clip of mono samples at [`crate::dsp::SAMPLE_RATE`].
///
/// The convenient spelling of [`Extractor`], for short clips; loudness is
/// measured from the same samples.
pub fn extract(samples: &[f32], name: Option<&str>) -> Extracted {
    let source =
        Source { sample_rate: crate::dsp::SAMPLE_RATE, channels: 1, name: name.map(str::to_owned) };
    let mut extractor = Extractor::new(source);
    extractor.push_decoded(samples);
    extractor.push(samples);
    extractor.finish()
}
